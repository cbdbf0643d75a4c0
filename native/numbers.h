// Conversions of single numbers: bf16 and fp16 to fp32 and back, and sizes of arrays.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace creuset {

static inline float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float from_bf16(uint16_t half) { return from_bits(uint32_t(half) << 16); }
static inline uint16_t to_bf16(float value) {  // nearest, ties to even; a NaN stays one
    uint32_t bits = to_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 64);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float from_f16(uint16_t half) {
    uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    if (exponent == 31) return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float small = float(mantissa) * 0x1p-24f;
    return sign ? -small : small;
}
static inline uint16_t to_f16(float value) {  // nearest, ties to even
    uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000;
    float size = std::fabs(value);
    if (size != size) return uint16_t(sign | 0x7e00);
    if (size >= 65520.0f) return uint16_t(sign | 0x7c00);
    if (size < 0x1p-14f) return uint16_t(sign | uint32_t(std::nearbyint(size * 0x1p24f)));
    uint32_t magnitude = bits & 0x7fffffff;
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return uint16_t(sign | ((magnitude >> 13) - (112 << 10)));
}

}  // namespace creuset
