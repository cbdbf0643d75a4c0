// AVX2 with FMA: a vector holds a quarter of a tile's row, 8 outputs.
#include <immintrin.h>

#include "blocks.h"

namespace creuset {

namespace {

inline __m256i broadcast4(const void *at) {  // four bytes to all lanes
    int32_t four;
    __builtin_memcpy(&four, at, 4);
    return _mm256_set1_epi32(four);
}

inline __m256i load(const uint8_t *at) { return _mm256_load_si256(reinterpret_cast<const __m256i *>(at)); }

// The 8 scales of a half from `index` on.
inline __m256 scales_at(int32_t type, const uint8_t *scales, int64_t index) {
    if (type == SCALE_F32) return _mm256_load_ps(reinterpret_cast<const float *>(scales) + index);
    __m128i half = _mm_load_si128(reinterpret_cast<const __m128i *>(scales + index * 2));
    if (type == SCALE_F16) return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

inline void store(float *to, int there, __m256 sum) {
    if (there >= 8) return _mm256_storeu_ps(to, sum);
    float all[8];
    _mm256_storeu_ps(all, sum);
    for (int i = 0; i < there; i++) to[i] = all[i];
}

// Runs `Kind::sums<R, Q>` over the quarters of a tile for R rows, Q quarters at a time: there are 16 registers.
template <class Kind>
struct Quarters {
    static constexpr int most = 4;

    template <int R>
    static void run(const Work &work) {
        constexpr int Q = Kind::quarters(R);
        for (int first = 0; first < 4; first += Q) {
            __m256 sum[R][Q];
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int q = 0; q < Q; q++) sum[r][q] = _mm256_setzero_ps();
            Kind::template sums<R, Q>(work, first, sum);
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int q = 0; q < Q; q++) {
                    int out = (first + q) * 8;
                    store(work.to[r] + out, work.width - out, sum[r][q]);
                }
        }
    }
};

struct F32Kind {
    static constexpr int quarters(int rows) { return rows <= 2 ? 4 : 2; }

    template <int R, int Q>
    static void sums(const Work &work, int first, __m256 (&sum)[R][Q]) {
        const Rows &rows = work.rows;
        const float *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.values + work.row[r] * rows.ld;
        for (int64_t in = 0; in < work.m.ins; in++)
                UNROLL for (int q = 0; q < Q; q++) {
                    auto *at = reinterpret_cast<const float *>(work.data + in * 128 + (first + q) * 32);
                    __m256 w = _mm256_load_ps(at);
                    UNROLL for (int r = 0; r < R; r++)
                        sum[r][q] = _mm256_fmadd_ps(w, _mm256_broadcast_ss(x[r] + in), sum[r][q]);
                }
    }
};

struct Bf16Kind {
    static constexpr int quarters(int rows) { return rows <= 2 ? 4 : 2; }

    static __m256 even(__m256i pair) { return _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16)); }
    static __m256 odd(__m256i pair) { return _mm256_castsi256_ps(_mm256_and_si256(pair, _mm256_set1_epi32(-65536))); }

    template <int R, int Q>
    static void sums(const Work &work, int first, __m256 (&sum)[R][Q]) {
        const Rows &rows = work.rows;
        const uint16_t *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.bf16 + work.row[r] * rows.groups * 32;
        for (int64_t pair = 0; pair < rows.groups * 16; pair++)
                UNROLL for (int q = 0; q < Q; q++) {
                    __m256i w = load(work.data + pair * 128 + (first + q) * 32);
                    __m256 w0 = even(w), w1 = odd(w);
                    UNROLL for (int r = 0; r < R; r++) {
                        __m256i both = broadcast4(x[r] + pair * 2);
                        sum[r][q] = _mm256_fmadd_ps(w0, even(both), sum[r][q]);
                        sum[r][q] = _mm256_fmadd_ps(w1, odd(both), sum[r][q]);
                    }
                }
    }
};

template <int kind, int group>
struct CodesKind {
    static constexpr int quarters(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

    template <int R, int Q>
    static void sums(const Work &work, int first, __m256 (&sum)[R][Q]) {
        const Rows &rows = work.rows;
        const int64_t groups = rows.groups;
        const int32_t scale_type = work.m.scale_type;
        const int8_t *x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = rows.codes + work.row[r] * groups * 32;
        const int64_t of_group = group_bytes(work.m), of_scales = scale_bytes(work.m);
        const __m256i one = _mm256_set1_epi16(1), low = _mm256_set1_epi8(15), flip = _mm256_set1_epi8(-128);
        const uint8_t *codes = work.data;
        constexpr int parts = 32 / group;
        for (int64_t g = 0; g < groups; g++, codes += of_group) {
            const uint8_t *scales = codes + code_bytes(kind);
            UNROLL for (int part = 0; part < parts; part++) {
                // q8: sums of 32 bits. q4: sums of 16 bits, which hold the 8 pairs of 32 inputs: 8 * 2 * 15 * 127.
                __m256i whole[R][Q];
                UNROLL for (int r = 0; r < R; r++)
                        UNROLL for (int q = 0; q < Q; q++) whole[r][q] = _mm256_setzero_si256();
                UNROLL for (int v = 0; v < (kind == Q8 ? group / 4 : 4); v++)
                        UNROLL for (int q = 0; q < Q; q++) {
                            __m256i stored = load(codes + (part * group / 4 + v) * 128 + (first + q) * 32);
                            if constexpr (kind == Q8) {
                                // Magnitude times the activation with the weight's sign: at most 2 * 128 * 127, which fits.
                                __m256i code = _mm256_xor_si256(stored, flip), magnitude = _mm256_abs_epi8(code);
                                UNROLL for (int r = 0; r < R; r++) {
                                    __m256i with_sign = _mm256_sign_epi8(broadcast4(x[r] + part * group + v * 4), code);
                                    __m256i pairs = _mm256_maddubs_epi16(magnitude, with_sign);
                                    whole[r][q] = _mm256_add_epi32(whole[r][q], _mm256_madd_epi16(pairs, one));
                                }
                            } else {
                                __m256i w0 = _mm256_and_si256(stored, low);
                                __m256i w1 = _mm256_and_si256(_mm256_srli_epi16(stored, 4), low);
                                UNROLL for (int r = 0; r < R; r++) {
                                    __m256i p0 = _mm256_maddubs_epi16(w0, broadcast4(x[r] + v * 4));
                                    __m256i p1 = _mm256_maddubs_epi16(w1, broadcast4(x[r] + 16 + v * 4));
                                    whole[r][q] = _mm256_add_epi16(whole[r][q], _mm256_add_epi16(p0, p1));
                                }
                            }
                        }
                    UNROLL for (int q = 0; q < Q; q++) {
                        int64_t at = part * 32 + (first + q) * 8;
                        __m256 scale = scales_at(scale_type, scales, at);
                        UNROLL for (int r = 0; r < R; r++) {
                            __m256i all = whole[r][q];
                            if constexpr (kind != Q8) all = _mm256_madd_epi16(all, one);
                            if constexpr (kind == Q4)
                                all = _mm256_add_epi32(all, _mm256_set1_epi32(rows.minus[work.row[r] * groups + g]));
                            __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(rows.scales[work.row[r] * groups + g]));
                            sum[r][q] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(all), both, sum[r][q]);
                        }
                        if constexpr (kind == Q4A) {
                            __m256 minimum = scales_at(scale_type, scales + of_scales, at);
                            UNROLL for (int r = 0; r < R; r++) {
                                __m256 offset = _mm256_set1_ps(rows.sums[work.row[r] * groups + g]);
                                sum[r][q] = _mm256_fmadd_ps(minimum, offset, sum[r][q]);
                            }
                        }
                    }
            }
            UNROLL for (int r = 0; r < R; r++) x[r] += 32;
        }
    }
};

template <int kind, int group>
using Codes = Quarters<CodesKind<kind, group>>;

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
            const Scale scale(from_bits(lanes_max(larger)));
            __m256i code[4];
            UNROLL for (int i = 0; i < 4; i++)
                code[i] = scale.usable ? _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(scale.inverse))) : _mm256_setzero_si256();
            int32_t sa = lanes_sum(_mm256_add_epi32(code[0], code[1])), sb = lanes_sum(_mm256_add_epi32(code[2], code[3]));
            // Packing works within the halves of a vector; the last step puts the groups of four back in order.
            __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3]));
            packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(rows.codes + at * 32), packed);
            put_sums(rows, at, scale.scale, sa, sb);
        }
    }
}

}  // namespace

const Kernels avx2_kernels = {product<Quarters<F32Kind>>, product<Quarters<Bf16Kind>>, OfCodes<Codes>::q8, OfCodes<Codes>::q4,
                              OfCodes<Codes>::q4a, prepare_avx2};

}  // namespace creuset
