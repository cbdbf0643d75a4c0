// Dot products of bf16: two products and their sum in one instruction.
#include "products_512.h"

namespace creuset {

namespace {

struct Pairs : OfBf16 {
    static constexpr int most = 12;
    static __m512bh input(const uint16_t *x, int64_t pair) { return (__m512bh)broadcast4(x + pair * 2); }
    static __m512bh weight(__m512i both) { return (__m512bh)both; }
    static __m512 add(__m512 sum, __m512bh w, __m512bh x) { return _mm512_dpbf16_ps(sum, w, x); }
};

}  // namespace

const Kernels bf16_kernels = {nullptr, product<Plain512<Pairs>>, nullptr, nullptr, nullptr, nullptr};

}  // namespace creuset
