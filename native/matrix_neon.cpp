// NEON, which each arm64 processor has.
#include "products_neon.h"

namespace creuset {

const Kernels neon_kernels = {product<Tile<F32Kind>>, product<Tile<Bf16Kind>>, q8, quantized<Q4, 32>, quantized<Q4A, 32>,
                              nullptr};

}  // namespace creuset
