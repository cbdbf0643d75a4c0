// NEON with dot products of bytes, which most arm64 processors have (sdot, since Armv8.2).
#include "products_neon.h"

namespace creuset {

const Kernels neondot_kernels = {product<Halves<F32Kind>>, product<Halves<Bf16Kind>>, OfCodes<Codes>::q8, OfCodes<Codes>::q4,
                                 OfCodes<Codes>::q4a, nullptr};

}  // namespace creuset
