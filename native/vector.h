// Sixteen fp32 numbers, in the widest registers that this translation unit may use. All is `static`: each feature level
// compiles its own copy, and the linker must not mix them.
//
// A product and a sum are one operation only where `fma` is written, so two loops that do the same to a number give the
// same bits.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "numbers.h"

#if defined(__AVX2__)
// GCC's own header leaves the unused operand of unmasked operations open, and GCC 12 warns of that.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))

namespace creuset {
namespace {

#if defined(__AVX512F__)

constexpr int ROWS_AT_ONCE = 6, WIDTH_AT_ONCE = 4;  // accumulators that fit into the registers: rows by vectors
struct V { __m512 v; };
INLINE V set1(float x) { return {_mm512_set1_ps(x)}; }
INLINE V load(const float *p) { return {_mm512_loadu_ps(p)}; }
INLINE void store(float *p, V a) { _mm512_storeu_ps(p, a.v); }
INLINE V operator+(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
INLINE V operator-(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
INLINE V operator*(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
INLINE V operator/(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
INLINE V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
INLINE V larger(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }  // b where either is a NaN
INLINE V below(V a, V b, V yes, V no) {  // a < b ? yes : no
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
}
INLINE V nearest(V a) { return {_mm512_roundscale_ps(a.v, 8)}; }
INLINE V times_power(V a, V n) { return {_mm512_scalef_ps(a.v, n.v)}; }  // a 2^n, n whole
INLINE V load_bf16(const uint16_t *p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

#elif defined(__AVX2__)

constexpr int ROWS_AT_ONCE = 3, WIDTH_AT_ONCE = 2;
struct V { __m256 a, b; };
INLINE V set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE V load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void store(float *p, V x) { _mm256_storeu_ps(p, x.a), _mm256_storeu_ps(p + 8, x.b); }
INLINE V operator+(V x, V y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
INLINE V operator-(V x, V y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
INLINE V operator*(V x, V y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
INLINE V operator/(V x, V y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
INLINE V fma(V x, V y, V z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
INLINE V larger(V x, V y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
INLINE V below(V x, V y, V yes, V no) {
    return {_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
            _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
}
INLINE V nearest(V x) { return {_mm256_round_ps(x.a, 8), _mm256_round_ps(x.b, 8)}; }
INLINE __m256 power(__m256 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
INLINE V times_power(V x, V n) { return {_mm256_mul_ps(x.a, power(n.a)), _mm256_mul_ps(x.b, power(n.b))}; }
INLINE __m256 wide(const uint16_t *p) {
    __m256i codes = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(codes, 16));
}
INLINE V load_bf16(const uint16_t *p) { return {wide(p), wide(p + 8)}; }

#elif defined(__ARM_NEON)

constexpr int ROWS_AT_ONCE = 3, WIDTH_AT_ONCE = 2;
struct V { float32x4_t q[4]; };
#define EACH(expression)                  \
    V y;                                  \
    for (int i = 0; i < 4; i++) y.q[i] = expression; \
    return y
INLINE V set1(float x) { EACH(vdupq_n_f32(x)); }
INLINE V load(const float *p) { EACH(vld1q_f32(p + 4 * i)); }
INLINE void store(float *p, V a) { for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, a.q[i]); }
INLINE V operator+(V a, V b) { EACH(vaddq_f32(a.q[i], b.q[i])); }
INLINE V operator-(V a, V b) { EACH(vsubq_f32(a.q[i], b.q[i])); }
INLINE V operator*(V a, V b) { EACH(vmulq_f32(a.q[i], b.q[i])); }
INLINE V operator/(V a, V b) { EACH(vdivq_f32(a.q[i], b.q[i])); }
INLINE V fma(V a, V b, V c) { EACH(vfmaq_f32(c.q[i], a.q[i], b.q[i])); }
INLINE V larger(V a, V b) { EACH(vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i])); }
INLINE V below(V a, V b, V yes, V no) { EACH(vbslq_f32(vcltq_f32(a.q[i], b.q[i]), yes.q[i], no.q[i])); }
INLINE V nearest(V a) { EACH(vrndnq_f32(a.q[i])); }
INLINE V times_power(V a, V n) {
    EACH(vmulq_f32(a.q[i], vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n.q[i]), vdupq_n_s32(127)), 23))));
}
INLINE V load_bf16(const uint16_t *p) { EACH(vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16))); }
#undef EACH

#else

constexpr int ROWS_AT_ONCE = 2, WIDTH_AT_ONCE = 2;
struct V { float f[16]; };
#define EACH(expression)                   \
    V y;                                   \
    for (int i = 0; i < 16; i++) y.f[i] = expression; \
    return y
INLINE V set1(float x) { EACH(x); }
INLINE V load(const float *p) { EACH(p[i]); }
INLINE void store(float *p, V a) { for (int i = 0; i < 16; i++) p[i] = a.f[i]; }
INLINE V operator+(V a, V b) { EACH(a.f[i] + b.f[i]); }
INLINE V operator-(V a, V b) { EACH(a.f[i] - b.f[i]); }
INLINE V operator*(V a, V b) { EACH(a.f[i] * b.f[i]); }
INLINE V operator/(V a, V b) { EACH(a.f[i] / b.f[i]); }
INLINE V fma(V a, V b, V c) { EACH(a.f[i] * b.f[i] + c.f[i]); }
INLINE V larger(V a, V b) { EACH(a.f[i] > b.f[i] ? a.f[i] : b.f[i]); }
INLINE V below(V a, V b, V yes, V no) { EACH(a.f[i] < b.f[i] ? yes.f[i] : no.f[i]); }
INLINE V nearest(V a) { EACH((a.f[i] + 12582912.0f) - 12582912.0f); }  // 1.5 * 2^23, for |a| < 2^22
INLINE V times_power(V a, V n) { EACH(a.f[i] * from_bits(uint32_t(int32_t(n.f[i]) + 127) << 23)); }
INLINE V load_bf16(const uint16_t *p) { EACH(from_bf16(p[i])); }
#undef EACH

#endif

INLINE V load_part(const float *p, int count, float rest = 0.0f) {  // the first `count` numbers, then `rest`
    float all[16];
    for (int i = 0; i < 16; i++) all[i] = i < count ? p[i] : rest;
    return load(all);
}
INLINE void store_part(float *p, V a, int count) {
    float all[16];
    store(all, a);
    for (int i = 0; i < count; i++) p[i] = all[i];
}
// Halves are added to each other until one number is left: always in this order.
#if defined(__AVX2__)
#if defined(__AVX512F__)
INLINE __m256 lower(V a) { return _mm512_castps512_ps256(a.v); }
INLINE __m256 upper(V a) { return _mm512_extractf32x8_ps(a.v, 1); }
#else
INLINE __m256 lower(V x) { return x.a; }
INLINE __m256 upper(V x) { return x.b; }
#endif
INLINE float sum_of(V a) {
    __m256 eight = _mm256_add_ps(lower(a), upper(a));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
INLINE float largest_of(V a) {
    __m256 eight = _mm256_max_ps(lower(a), upper(a));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
#else
INLINE float sum_of(V a) {
    float all[16];
    store(all, a);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) all[i] += all[i + half];
    return all[0];
}
INLINE float largest_of(V a) {
    float all[16];
    store(all, a);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) all[i] = all[i] > all[i + half] ? all[i] : all[i + half];
    return all[0];
}
#endif

// e^x within 2 units of the last place: x = n ln 2 + r, and a polynomial in r (Cephes' expf). 0 below -87, infinity above
// 88.7; a NaN stays one.
INLINE V exp(V x) {
    V low = set1(-87.0f), high = set1(88.7f);
    V safe = below(x, low, low, below(high, x, high, x));
    V n = nearest(safe * set1(1.44269504f));
    V r = fma(n, set1(-0.693359375f), safe);
    r = fma(n, set1(2.12194440e-4f), r);
    V p = set1(1.9875691500e-4f);
    p = fma(p, r, set1(1.3981999507e-3f));
    p = fma(p, r, set1(8.3334519073e-3f));
    p = fma(p, r, set1(4.1665795894e-2f));
    p = fma(p, r, set1(1.6666665459e-1f));
    p = fma(p, r, set1(5.0000001201e-1f));
    V y = fma(p, r * r, r) + set1(1.0f);
    // In two steps: 2^n itself may be beyond the largest number.
    V half = nearest(n * set1(0.5f));
    y = times_power(times_power(y, half), n - half);
    return below(x, low, set1(0.0f), below(high, x, set1(INFINITY), y));
}
INLINE V sigmoid(V x) { return set1(1.0f) / (set1(1.0f) + exp(set1(0.0f) - x)); }
INLINE V tanh(V x) { return set1(1.0f) - set1(2.0f) / (exp(x + x) + set1(1.0f)); }

}  // namespace
}  // namespace creuset
