// NEON, which each arm64 processor has.
#include "products_neon.h"

namespace creuset {

const Kernels neon_kernels = {product<Halves<F32Kind>>, product<Halves<Bf16Kind>>, OfCodes<Codes>::q8, OfCodes<Codes>::q4,
                              OfCodes<Codes>::q4a, nullptr};

}  // namespace creuset
