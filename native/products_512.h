// Products in vectors of 64 bytes: one vector holds a number of each output of a tile.
//
// `Dot` is how a level multiplies bytes: the levels avx512 and vnni differ in nothing else.
#pragma once
#include <immintrin.h>

#include "blocks.h"

namespace creuset {

namespace {

#define UNROLL _Pragma("GCC unroll 16")

inline __m512i broadcast4(const void *at) {  // four bytes to all lanes
    int32_t four;
    __builtin_memcpy(&four, at, 4);
    return _mm512_set1_epi32(four);
}

// With few rows a product waits for memory. Where tiles are short, the processor has hardly noticed that weights are read
// one after the other when a tile ends: the tiles that come next are asked for while these are read.
constexpr int waiting = 4;
constexpr int64_t near = 128 << 10;  // bytes; longer tiles are noticed

template <int scale_type>
inline __m512 scales_at(const uint8_t *scales, int64_t group) {
    if constexpr (scale_type == SCALE_F32) return _mm512_load_ps(scales + group * 64);
    __m256i half = _mm256_load_si256(reinterpret_cast<const __m256i *>(scales + group * 32));
    if constexpr (scale_type == SCALE_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

template <int R, int T>
inline void store(const Target &target, const __m512 (&sum)[R][T]) {
    UNROLL for (int t = 0; t < T; t++) {
        __mmask16 mask = t == T - 1 ? __mmask16((1u << target.width) - 1) : __mmask16(0xffff);
        UNROLL for (int r = 0; r < R; r++) _mm512_mask_storeu_ps(target.rows[r] + t * 16, mask, sum[r][t]);
    }
}

template <class Dot, int kind, int group, int scale_type>
struct Quantized512 {
    static constexpr int most = 6;
    static constexpr int tiles(int rows) { return rows <= 3 ? 4 : 2; }

    template <int R, int T>
    static void run(const Matrix &m, const Rows &rows, const int64_t *row, const uint8_t *data, int64_t stride,
                    Target target) {
        const int64_t groups = rows.groups, ahead = T * stride <= near ? T * stride : 0;
        const int8_t *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.codes + row[r] * groups * 32;
        const uint8_t *scales = data + code_bytes(m), *minima = scales + scale_bytes(m);
        __m512 sum[R][T];
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int t = 0; t < T; t++) sum[r][t] = _mm512_setzero_ps();
        const uint8_t *codes = data;
        for (int64_t g = 0; g < groups; g++) {
            constexpr int parts = 32 / group;
            UNROLL for (int part = 0; part < parts; part++) {
                __m512i whole[R][T];
                UNROLL for (int r = 0; r < R; r++) {
                    int64_t at = row[r] * groups + g;
                    __m512i start = Dot::template start<kind>(group == 16 ? rows.halves + 2 * at + part : rows.minus + at);
                    UNROLL for (int t = 0; t < T; t++) whole[r][t] = start;
                }
                if constexpr (kind == Q8) {
                    UNROLL for (int v = 0; v < group / 4; v++)
                        UNROLL for (int t = 0; t < T; t++) {
                            const uint8_t *at = codes + t * stride + (part * group / 4 + v) * 64;
                            if constexpr (R <= waiting) _mm_prefetch(at + ahead, _MM_HINT_T1);
                            auto w = Dot::weight(_mm512_load_si512(at));
                            UNROLL for (int r = 0; r < R; r++)
                                whole[r][t] = Dot::dot(whole[r][t], w, broadcast4(x[r] + part * group + v * 4));
                        }
                } else {
                    const __m512i low = _mm512_set1_epi8(15);
                    UNROLL for (int v = 0; v < 4; v++)
                        UNROLL for (int t = 0; t < T; t++) {
                            const uint8_t *at = codes + t * stride + v * 64;
                            if constexpr (R <= waiting) _mm_prefetch(at + ahead, _MM_HINT_T1);
                            __m512i both = _mm512_load_si512(at);
                            __m512i w0 = _mm512_and_si512(both, low), w1 = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
                            UNROLL for (int r = 0; r < R; r++) {
                                whole[r][t] = Dot::small_dot(whole[r][t], w0, broadcast4(x[r] + v * 4));
                                whole[r][t] = Dot::small_dot(whole[r][t], w1, broadcast4(x[r] + 16 + v * 4));
                            }
                        }
                }
                UNROLL for (int t = 0; t < T; t++) {
                    __m512 scale = scales_at<scale_type>(scales + t * stride, g * parts + part);
                    UNROLL for (int r = 0; r < R; r++) {
                        __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(rows.scales[row[r] * groups + g]));
                        sum[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[r][t]), both, sum[r][t]);
                    }
                    if constexpr (kind == Q4A) {
                        __m512 minimum = scales_at<scale_type>(minima + t * stride, g);
                        UNROLL for (int r = 0; r < R; r++)
                            sum[r][t] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(rows.sums[row[r] * groups + g]), sum[r][t]);
                    }
                }
            }
            UNROLL for (int r = 0; r < R; r++) x[r] += 32;
            codes += kind == Q8 ? 512 : 256;
        }
        store<R, T>(target, sum);
    }
};

template <class Dot, int kind, int group>
void quantized_512(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld,
                   int32_t begin, int32_t end) {
    auto by_scale = m.scale_type == SCALE_F32    ? product<Quantized512<Dot, kind, group, SCALE_F32>>
                    : m.scale_type == SCALE_BF16 ? product<Quantized512<Dot, kind, group, SCALE_BF16>>
                                                 : product<Quantized512<Dot, kind, group, SCALE_F16>>;
    by_scale(m, rows, index, count, y, ld, begin, end);
}

template <class Dot>
void q8_512(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
            int32_t end) {
    (m.group == 16 ? quantized_512<Dot, Q8, 16> : quantized_512<Dot, Q8, 32>)(m, rows, index, count, y, ld, begin, end);
}

}  // namespace

}  // namespace creuset
