// AVX2 with FMA: a vector holds half a tile, 8 outputs.
#include <immintrin.h>

#include <cmath>

#include "blocks.h"
#include "numbers.h"

namespace creuset {

namespace {

#define UNROLL _Pragma("GCC unroll 16")

inline __m256i broadcast4(const void *at) {  // four bytes to all lanes
    int32_t four;
    __builtin_memcpy(&four, at, 4);
    return _mm256_set1_epi32(four);
}

inline __m256i load(const uint8_t *at) { return _mm256_load_si256(reinterpret_cast<const __m256i *>(at)); }

// The 8 scales of a half from `index` on.
template <int scale_type>
inline __m256 scales_at(const uint8_t *scales, int64_t index) {
    if constexpr (scale_type == SCALE_F32) return _mm256_load_ps(reinterpret_cast<const float *>(scales) + index);
    __m128i half = _mm_load_si128(reinterpret_cast<const __m128i *>(scales + index * 2));
    if constexpr (scale_type == SCALE_F16) return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

inline void store(float *to, int there, __m256 sum) {
    if (there >= 8) return _mm256_storeu_ps(to, sum);
    float all[8];
    _mm256_storeu_ps(all, sum);
    for (int i = 0; i < there; i++) to[i] = all[i];
}

// Runs `Half::sums<R, T, H>` over the halves of R rows by T tiles, H halves at a time: there are 16 registers.
template <class Half>
struct Halves {
    static constexpr int most = 4;
    static constexpr int tiles(int rows) { return rows <= Half::rows_of_two_tiles ? 2 : 1; }

    template <int R, int T>
    static void run(const Matrix &m, const Rows &rows, const int64_t *row, const uint8_t *data, int64_t stride,
                    Target target) {
        constexpr int H = R <= Half::rows_of_two_halves ? 2 : 1;
        for (int first = 0; first < 2; first += H) {
            __m256 sum[R][T][H];
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int t = 0; t < T; t++)
                    UNROLL for (int h = 0; h < H; h++) sum[r][t][h] = _mm256_setzero_ps();
            Half::template sums<R, T, H>(m, rows, row, data, stride, first, sum);
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int t = 0; t < T; t++)
                    UNROLL for (int h = 0; h < H; h++) {
                        int out = (first + h) * 8, there = (t == T - 1 ? target.width : 16) - out;
                        store(target.rows[r] + t * 16 + out, there, sum[r][t][h]);
                    }
        }
    }
};

struct F32Half {
    static constexpr int rows_of_two_tiles = 2, rows_of_two_halves = 4;

    template <int R, int T, int H>
    static void sums(const Matrix &m, const Rows &rows, const int64_t *row, const uint8_t *data, int64_t stride, int first,
                     __m256 (&sum)[R][T][H]) {
        const float *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.values + row[r] * rows.ld;
        for (int64_t in = 0; in < m.ins; in++)
            UNROLL for (int t = 0; t < T; t++)
                UNROLL for (int h = 0; h < H; h++) {
                    auto *at = reinterpret_cast<const float *>(data + t * stride + in * 64 + (first + h) * 32);
                    __m256 w = _mm256_load_ps(at);
                    UNROLL for (int r = 0; r < R; r++)
                        sum[r][t][h] = _mm256_fmadd_ps(w, _mm256_broadcast_ss(x[r] + in), sum[r][t][h]);
                }
    }
};

struct Bf16Half {
    static constexpr int rows_of_two_tiles = 2, rows_of_two_halves = 4;

    static __m256 even(__m256i pair) { return _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16)); }
    static __m256 odd(__m256i pair) { return _mm256_castsi256_ps(_mm256_and_si256(pair, _mm256_set1_epi32(-65536))); }

    template <int R, int T, int H>
    static void sums(const Matrix &, const Rows &rows, const int64_t *row, const uint8_t *data, int64_t stride, int first,
                     __m256 (&sum)[R][T][H]) {
        const uint16_t *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.bf16 + row[r] * rows.groups * 32;
        for (int64_t pair = 0; pair < rows.groups * 16; pair++)
            UNROLL for (int t = 0; t < T; t++)
                UNROLL for (int h = 0; h < H; h++) {
                    __m256i w = load(data + t * stride + pair * 64 + (first + h) * 32);
                    __m256 w0 = even(w), w1 = odd(w);
                    UNROLL for (int r = 0; r < R; r++) {
                        __m256i both = broadcast4(x[r] + pair * 2);
                        sum[r][t][h] = _mm256_fmadd_ps(w0, even(both), sum[r][t][h]);
                        sum[r][t][h] = _mm256_fmadd_ps(w1, odd(both), sum[r][t][h]);
                    }
                }
    }
};

template <int kind, int group, int scale_type>
struct QuantizedHalf {
    static constexpr int rows_of_two_tiles = 1, rows_of_two_halves = 2;

    template <int R, int T, int H>
    static void sums(const Matrix &m, const Rows &rows, const int64_t *row, const uint8_t *data, int64_t stride, int first,
                     __m256 (&sum)[R][T][H]) {
        const int64_t groups = rows.groups;
        const int8_t *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.codes + row[r] * groups * 32;
        const uint8_t *scales = data + code_bytes(m), *minima = scales + scale_bytes(m);
        const __m256i one = _mm256_set1_epi16(1), low = _mm256_set1_epi8(15), flip = _mm256_set1_epi8(-128);
        const uint8_t *codes = data + first * 32;
        constexpr int parts = 32 / group;
        for (int64_t g = 0; g < groups; g++) {
            UNROLL for (int part = 0; part < parts; part++) {
                // q8: sums of 32 bits. q4: sums of 16 bits, which hold the 8 pairs of 32 inputs: 8 * 2 * 15 * 127.
                __m256i whole[R][T][H];
                UNROLL for (int r = 0; r < R; r++)
                    UNROLL for (int t = 0; t < T; t++)
                        UNROLL for (int h = 0; h < H; h++) whole[r][t][h] = _mm256_setzero_si256();
                UNROLL for (int v = 0; v < (kind == Q8 ? group / 4 : 4); v++)
                    UNROLL for (int t = 0; t < T; t++)
                        UNROLL for (int h = 0; h < H; h++) {
                            __m256i stored = load(codes + t * stride + (part * group / 4 + v) * 64 + h * 32);
                            if constexpr (kind == Q8) {
                                // Magnitude times the activation with the weight's sign: at most 2 * 128 * 127, which fits.
                                __m256i code = _mm256_xor_si256(stored, flip), magnitude = _mm256_abs_epi8(code);
                                UNROLL for (int r = 0; r < R; r++) {
                                    __m256i with_sign = _mm256_sign_epi8(broadcast4(x[r] + part * group + v * 4), code);
                                    __m256i pairs = _mm256_maddubs_epi16(magnitude, with_sign);
                                    whole[r][t][h] = _mm256_add_epi32(whole[r][t][h], _mm256_madd_epi16(pairs, one));
                                }
                            } else {
                                __m256i w0 = _mm256_and_si256(stored, low);
                                __m256i w1 = _mm256_and_si256(_mm256_srli_epi16(stored, 4), low);
                                UNROLL for (int r = 0; r < R; r++) {
                                    __m256i p0 = _mm256_maddubs_epi16(w0, broadcast4(x[r] + v * 4));
                                    __m256i p1 = _mm256_maddubs_epi16(w1, broadcast4(x[r] + 16 + v * 4));
                                    whole[r][t][h] = _mm256_add_epi16(whole[r][t][h], _mm256_add_epi16(p0, p1));
                                }
                            }
                        }
                UNROLL for (int t = 0; t < T; t++)
                    UNROLL for (int h = 0; h < H; h++) {
                        int64_t at = (g * parts + part) * 16 + (first + h) * 8;
                        __m256 scale = scales_at<scale_type>(scales + t * stride, at);
                        UNROLL for (int r = 0; r < R; r++) {
                            __m256i all = whole[r][t][h];
                            if constexpr (kind != Q8) all = _mm256_madd_epi16(all, one);
                            if constexpr (kind == Q4)
                                all = _mm256_add_epi32(all, _mm256_set1_epi32(rows.minus[row[r] * groups + g]));
                            __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(rows.scales[row[r] * groups + g]));
                            sum[r][t][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(all), both, sum[r][t][h]);
                        }
                        if constexpr (kind == Q4A) {
                            __m256 minimum = scales_at<scale_type>(minima + t * stride, at);
                            UNROLL for (int r = 0; r < R; r++) {
                                __m256 offset = _mm256_set1_ps(rows.sums[row[r] * groups + g]);
                                sum[r][t][h] = _mm256_fmadd_ps(minimum, offset, sum[r][t][h]);
                            }
                        }
                    }
            }
            UNROLL for (int r = 0; r < R; r++) x[r] += 32;
            codes += kind == Q8 ? 512 : 256;
        }
    }
};

template <int kind, int group>
void quantized(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
               int32_t end) {
    auto by_scale = m.scale_type == SCALE_F32    ? product<Halves<QuantizedHalf<kind, group, SCALE_F32>>>
                    : m.scale_type == SCALE_BF16 ? product<Halves<QuantizedHalf<kind, group, SCALE_BF16>>>
                                                 : product<Halves<QuantizedHalf<kind, group, SCALE_F16>>>;
    by_scale(m, rows, index, count, y, ld, begin, end);
}

void q8(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
        int32_t end) {
    (m.group == 16 ? quantized<Q8, 16> : quantized<Q8, 32>)(m, rows, index, count, y, ld, begin, end);
}

inline int32_t lanes_sum(__m256i v) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}
inline uint32_t lanes_max(__m256i v) {
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return uint32_t(_mm_cvtsi128_si32(_mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1))));
}

void prepare_avx2(Rows &rows, const float *x, int64_t ld, int32_t begin, int32_t end) {
    const int64_t groups = rows.groups;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t g = 0; g < groups; g++) {
            int64_t left = rows.ins - g * 32, at = row * groups + g;
            const float *from = x + row * ld + g * 32;
            float last[32] = {};
            if (left < 32) {
                memcpy(last, from, left * 4);
                from = last;
            }
            if (rows.forms & FORM_BF16)
                for (int i = 0; i < 32; i++) rows.bf16[at * 32 + i] = to_bf16(from[i]);
            if (!(rows.forms & FORM_INT8)) continue;
            __m256 v[4];
            __m256i larger = _mm256_setzero_si256();
            UNROLL for (int i = 0; i < 4; i++) {
                v[i] = _mm256_loadu_ps(from + i * 8);
                __m256i size = _mm256_and_si256(_mm256_castps_si256(v[i]), _mm256_set1_epi32(0x7fffffff));
                larger = _mm256_max_epi32(larger, size);
            }
            float top = from_bits(lanes_max(larger)), inverse = 127 / top;
            bool usable = top < INFINITY && inverse < INFINITY;
            __m256i code[4];
            UNROLL for (int i = 0; i < 4; i++)
                code[i] = usable ? _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse))) : _mm256_setzero_si256();
            int32_t sa = lanes_sum(_mm256_add_epi32(code[0], code[1])), sb = lanes_sum(_mm256_add_epi32(code[2], code[3]));
            // Packing works within the halves of a vector; the last step puts the groups of four back in order.
            __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3]));
            packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(rows.codes + at * 32), packed);
            float scale = usable ? top / 127 : top < INFINITY ? 0 : NAN;
            rows.scales[at] = scale;
            rows.minus[at] = -8 * (sa + sb);
            rows.halves[2 * at] = -8 * sa, rows.halves[2 * at + 1] = -8 * sb;
            rows.sums[at] = scale * float(sa + sb);
        }
    }
}

}  // namespace

const Kernels avx2_kernels = {product<Halves<F32Half>>, product<Halves<Bf16Half>>, q8, quantized<Q4, 32>, quantized<Q4A, 32>,
                              prepare_avx2};

}  // namespace creuset
