// AVX-512 without VNNI: bytes are multiplied by vpmaddubsw, whose sums of two must fit 16 bits.
#include "products_512.h"

namespace creuset {

namespace {

struct Bytes {
    struct Weight {
        __m512i magnitude;
        __mmask64 negative;
    };
    template <int kind>
    static __m512i start(const int32_t *minus) {
        return kind == Q4 ? _mm512_set1_epi32(*minus) : _mm512_setzero_si512();
    }
    // Magnitude times the activation with the weight's sign: at most 2 * 128 * 127, which fits.
    static Weight weight(__m512i stored) {
        __m512i code = _mm512_xor_si512(stored, _mm512_set1_epi8(-128));
        return {_mm512_abs_epi8(code), _mm512_movepi8_mask(code)};
    }
    static __m512i dot(__m512i sum, Weight w, __m512i x) {
        __m512i with_sign = _mm512_mask_sub_epi8(x, w.negative, _mm512_setzero_si512(), x);
        return small_dot(sum, w.magnitude, with_sign);
    }
    static __m512i small_dot(__m512i sum, __m512i w, __m512i x) {
        __m512i pairs = _mm512_maddubs_epi16(w, x);
        return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
};

struct Singles {
    static constexpr int most = 12;
    static const float *activations(const Rows &rows) { return rows.values; }
    static int64_t of_row(const Rows &rows) { return rows.ld; }
    static int64_t vectors(const Matrix &m) { return m.ins; }
    static __m512 input(const float *x, int64_t in) { return _mm512_set1_ps(x[in]); }
    static __m512 weight(__m512i w) { return _mm512_castsi512_ps(w); }
    static __m512 add(__m512 sum, __m512 w, __m512 x) { return _mm512_fmadd_ps(w, x, sum); }
};

// Without dot products of bf16: both inputs of a pair in turn, in fp32.
struct Pairs : OfBf16 {
    struct Both {
        __m512 even, odd;
        explicit Both(__m512i pair)
            : even(_mm512_castsi512_ps(_mm512_slli_epi32(pair, 16))),
              odd(_mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(-65536)))) {}
    };
    static constexpr int most = 8;
    static Both input(const uint16_t *x, int64_t pair) { return Both(broadcast4(x + pair * 2)); }
    static Both weight(__m512i both) { return Both(both); }
    static __m512 add(__m512 sum, Both w, Both x) { return _mm512_fmadd_ps(w.odd, x.odd, _mm512_fmadd_ps(w.even, x.even, sum)); }
};

// 16 numbers to bf16: nearest, ties to even; a NaN stays one.
inline __m256i to_bf16_16(__m512 value) {
    __m512i bits = _mm512_castps_si512(value);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(64));
    __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, quiet));
}

void prepare_512(Rows &rows, const float *x, int64_t ld, int32_t begin, int32_t end) {
    const int64_t groups = rows.groups;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t g = 0; g < groups; g++) {
            int64_t left = rows.ins - g * 32;
            uint32_t there = left >= 32 ? 0xffffffffu : (1u << left) - 1;
            const float *from = x + row * ld + g * 32;
            __m512 a = _mm512_maskz_loadu_ps(__mmask16(there), from);
            __m512 b = there >> 16 ? _mm512_maskz_loadu_ps(__mmask16(there >> 16), from + 16) : _mm512_setzero_ps();
            int64_t at = row * groups + g;
            if (rows.forms & FORM_BF16) {
                auto *to = reinterpret_cast<__m256i *>(rows.bf16 + at * 32);
                _mm256_store_si256(to, to_bf16_16(a));
                _mm256_store_si256(to + 1, to_bf16_16(b));
            }
            if (!(rows.forms & FORM_INT8)) continue;
            // Compared as whole numbers, magnitudes keep their order and a NaN is the largest.
            const __m512i size = _mm512_set1_epi32(0x7fffffff);
            __m512i larger = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), size),
                                              _mm512_and_si512(_mm512_castps_si512(b), size));
            const Scale scale(from_bits(uint32_t(_mm512_reduce_max_epi32(larger))));
            __m512 factor = _mm512_set1_ps(scale.inverse);
            __mmask16 keep = scale.usable ? 0xffff : 0;
            __m512i ca = _mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(a, factor));
            __m512i cb = _mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(b, factor));
            _mm_store_si128(reinterpret_cast<__m128i *>(rows.codes + at * 32), _mm512_cvtepi32_epi8(ca));
            _mm_store_si128(reinterpret_cast<__m128i *>(rows.codes + at * 32 + 16), _mm512_cvtepi32_epi8(cb));
            put_sums(rows, at, scale.scale, _mm512_reduce_add_epi32(ca), _mm512_reduce_add_epi32(cb));
        }
    }
}

using Codes = OfCodes<Codes512<Bytes>::Block>;

}  // namespace

const Kernels avx512_kernels = {product<Plain512<Singles>>, product<Plain512<Pairs>>, Codes::q8, Codes::q4, Codes::q4a,
                                prepare_512};

}  // namespace creuset
