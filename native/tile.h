// Single codes and scales of a tile, as matrix.h lays them out: for whoever need not be fast.
#pragma once
#include "matrix.h"
#include "numbers.h"

namespace creuset {

static inline int code_at(const Matrix &m, const uint8_t *tile, int64_t out, int64_t in) {
    const uint8_t byte = tile[place(m, out, in)];
    if (m.kind == Q8) return int(byte) - 128;
    return (in % 32 < 16 ? byte & 15 : byte >> 4) - (m.kind == Q4 ? 8 : 0);
}

static inline float number_at(const Matrix &m, const uint8_t *scales, int64_t index) {
    if (m.scale_type == SCALE_F32) return reinterpret_cast<const float *>(scales)[index];
    const uint16_t half = reinterpret_cast<const uint16_t *>(scales)[index];
    return m.scale_type == SCALE_BF16 ? from_bf16(half) : from_f16(half);
}

// What input `in` of output `out` stands for.
static inline float value_at(const Matrix &m, const uint8_t *tile, int64_t out, int64_t in) {
    const uint8_t *at = tile + place(m, out, in);
    if (m.kind == F32) return *reinterpret_cast<const float *>(at);
    if (m.kind == BF16) return from_bf16(*reinterpret_cast<const uint16_t *>(at));
    const uint8_t *scales = tile + place_of_scales(m, in);
    const int64_t index = scale_index(m, out, in);
    const float value = float(code_at(m, tile, out, in)) * number_at(m, scales, index);
    return m.kind == Q4A ? value + number_at(m, scales + scale_bytes(m), index) : value;
}

}  // namespace creuset
