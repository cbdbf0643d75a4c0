// NEON with dot products of bytes, which most arm64 processors have (sdot, since Armv8.2).
#include "products_neon.h"

namespace creuset {

const Kernels neondot_kernels = {product<Tile<F32Kind>>, product<Tile<Bf16Kind>>, q8, quantized<Q4, 32>, quantized<Q4A, 32>,
                              nullptr};

}  // namespace creuset
