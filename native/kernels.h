// The functions that each feature level has of its own. Null: the next lower level's are used.
#pragma once
#include "matrix.h"

namespace creuset {

using Product = void (*)(const Matrix &, const Rows &, const Outputs &);
using Prepare = void (*)(Rows &, const float *, int64_t, int32_t, int32_t);
struct Kernels {
    Product f32, bf16, q8, q4, q4a;
    Prepare prepare;
};
extern const Kernels scalar_kernels, avx2_kernels, avx512_kernels, vnni_kernels, bf16_kernels, amx_kernels;
extern const Kernels neon_kernels, neondot_kernels;

}  // namespace creuset
