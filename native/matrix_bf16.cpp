// Dot products of bf16: two products and their sum in one instruction.
#include "products_512.h"

namespace creuset {

namespace {

struct DotBlock {
    static constexpr int most = 6;
    static constexpr int tiles(int rows) { return rows <= 2 ? 8 : 4; }

    template <int R, int T>
    static void run(const Matrix &, const Rows &rows, const int64_t *row, const uint8_t *data, int64_t stride,
                    Target target) {
        const uint16_t *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.bf16 + row[r] * rows.groups * 32;
        __m512 sum[R][T];
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int t = 0; t < T; t++) sum[r][t] = _mm512_setzero_ps();
        for (int64_t pair = 0; pair < rows.groups * 16; pair++) {
            __m512bh w[T];
            UNROLL for (int t = 0; t < T; t++) w[t] = (__m512bh)_mm512_load_si512(data + t * stride + pair * 64);
            UNROLL for (int r = 0; r < R; r++) {
                __m512bh both = (__m512bh)broadcast4(x[r] + pair * 2);
                UNROLL for (int t = 0; t < T; t++) sum[r][t] = _mm512_dpbf16_ps(sum[r][t], w[t], both);
            }
        }
        store<R, T>(target, sum);
    }
};

}  // namespace

const Kernels bf16_kernels = {nullptr, product<DotBlock>, nullptr, nullptr, nullptr, nullptr};

}  // namespace creuset
