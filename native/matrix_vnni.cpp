// VNNI: four products of bytes and their sum in one instruction. Weights are its unsigned side, as they are stored.
#include "products_512.h"

namespace creuset {

namespace {

struct Vnni {
    // The stored weight is the code plus 128 (q8) or 8 (q4), so the sum starts at minus that many times the activations.
    template <int kind>
    static __m512i start(const int32_t *minus) {
        if constexpr (kind == Q4A) return _mm512_setzero_si512();
        __m512i eight = _mm512_set1_epi32(*minus);
        return kind == Q8 ? _mm512_slli_epi32(eight, 4) : eight;
    }
    static __m512i weight(__m512i stored) { return stored; }
    static __m512i dot(__m512i sum, __m512i w, __m512i x) { return _mm512_dpbusd_epi32(sum, w, x); }
    static __m512i small_dot(__m512i sum, __m512i w, __m512i x) { return _mm512_dpbusd_epi32(sum, w, x); }
};

using Codes = OfCodes<Codes512<Vnni>::Block>;

}  // namespace

const Kernels vnni_kernels = {nullptr, nullptr, Codes::q8, Codes::q4, Codes::q4a, nullptr};

}  // namespace creuset
