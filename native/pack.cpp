// Packing: plain arrays into the layout of matrix.h, and back.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tile.h"

namespace creuset {

namespace {

uint8_t *tile_of(const Matrix &m, int64_t row) { return m.data + row / TILE * tile_bytes(m); }

void put_scale(const Matrix &m, uint8_t *scales, int64_t index, float value) {
    if (m.scale_type == SCALE_F32)
        reinterpret_cast<float *>(scales)[index] = value;
    else
        reinterpret_cast<uint16_t *>(scales)[index] = m.scale_type == SCALE_BF16 ? to_bf16(value) : to_f16(value);
}

template <class Stored, class Value, class Convert>
void pack_plain(const Matrix &m, int64_t begin, int64_t count, const Value *values, Convert convert) {
    for (int64_t row = 0; row < count; row++) {
        uint8_t *tile = tile_of(m, begin + row);
        const Value *from = values + row * m.ins;
        for (int64_t in = 0; in < m.ins; in++)
            *reinterpret_cast<Stored *>(tile + place(m, (begin + row) % TILE, in)) = convert(from[in]);
    }
}

// Padding is zero: as a code of q4 and q8 that is 8 and 128.
void clear(const Matrix &m, int64_t begin, int64_t count) {
    bool whole = m.kind == F32 || padded(m.ins) == m.ins;
    if (whole && (begin + count) % TILE == 0) return;
    for (int64_t row = begin; row < begin + count; row += TILE) {
        uint8_t *tile = tile_of(m, row);
        memset(tile, 0, tile_bytes(m));
        if (m.group == 0) continue;
        for (int64_t first = 0; first < padded(m.ins); first += 32)
            memset(tile + first / 32 * group_bytes(m), m.kind == Q8 ? 128 : m.kind == Q4 ? 0x88 : 0, code_bytes(m.kind));
    }
}

// One row: its codes, scales and minima.
void pack_row(const Matrix &m, int64_t row, const int8_t *codes, const float *scales, const float *minima) {
    uint8_t *group = tile_of(m, row);
    const int64_t out = row % TILE, of_group = group_bytes(m), of_scales = scale_bytes(m);
    const uint8_t shift = m.kind == Q4 ? 8 : 0;
    for (int64_t first = 0; first < m.ins; first += 32, group += of_group) {
        int8_t all[32] = {};
        memcpy(all, codes + first, std::min<int64_t>(32, m.ins - first));
        for (int64_t v = 0; v < (m.kind == Q8 ? 8 : 4); v++) {
            uint8_t four[4];
            for (int i = 0; i < 4; i++) {
                const int64_t in = v * 4 + i;
                four[i] = m.kind == Q8 ? uint8_t(all[in]) ^ 128
                                       : ((uint8_t(all[in]) + shift) & 15) | ((uint8_t(all[in + 16]) + shift) & 15) << 4;
            }
            memcpy(group + v * 128 + out * 4, four, 4);
        }
        for (int64_t in = first; in < first + 32 && in < m.ins; in += m.group) {
            uint8_t *to = group + code_bytes(m.kind);
            put_scale(m, to, scale_index(m, out, in), scales[in / m.group]);
            if (m.kind == Q4A) put_scale(m, to + of_scales, scale_index(m, out, in), minima[in / m.group]);
        }
    }
}

}  // namespace

void pack_f32(const Matrix &m, int64_t begin, int64_t count, const float *values) {
    clear(m, begin, count);
    if (m.kind == F32)
        pack_plain<float>(m, begin, count, values, [](float v) { return v; });
    else
        pack_plain<uint16_t>(m, begin, count, values, to_bf16);
}

void pack_bf16(const Matrix &m, int64_t begin, int64_t count, const uint16_t *values) {
    clear(m, begin, count);
    if (m.kind == F32)
        pack_plain<float>(m, begin, count, values, from_bf16);
    else
        pack_plain<uint16_t>(m, begin, count, values, [](uint16_t v) { return v; });
}

void pack_codes(const Matrix &m, int64_t begin, int64_t count, const int8_t *codes, const float *scales,
                const float *minima) {
    clear(m, begin, count);
    const int64_t groups = (m.ins + m.group - 1) / m.group;
    for (int64_t row = 0; row < count; row++)
        pack_row(m, begin + row, codes + row * m.ins, scales + row * groups, minima ? minima + row * groups : nullptr);
}

void pack_rounded(const Matrix &m, int64_t begin, int64_t count, const float *values) {
    clear(m, begin, count);
    const int64_t groups = (m.ins + m.group - 1) / m.group;
    std::vector<int8_t> codes(m.ins);
    std::vector<float> scales(groups);
    for (int64_t row = 0; row < count; row++) {
        const float *from = values + row * m.ins;
        for (int64_t group = 0; group < groups; group++) {
            int64_t first = group * m.group, last = std::min<int64_t>(m.ins, first + m.group);
            float top = 0;
            for (int64_t in = first; in < last; in++)
                if (std::fabs(from[in]) > std::fabs(top)) top = from[in];
            float scale = m.kind == Q8 ? std::fabs(top) / 127 : top / -8;
            if (m.scale_type == SCALE_BF16) scale = from_bf16(to_bf16(scale));
            if (m.scale_type == SCALE_F16) scale = from_f16(to_f16(scale));
            scales[group] = scale;
            float low = m.kind == Q8 ? -127 : -8, high = m.kind == Q8 ? 127 : 7;
            for (int64_t in = first; in < last; in++)
                codes[in] = int8_t(scale == 0 ? 0 : std::min(high, std::max(low, std::nearbyint(from[in] / scale))));
        }
        pack_row(m, begin + row, codes.data(), scales.data(), nullptr);
    }
}

void unpack(const Matrix &m, int64_t begin, int64_t count, float *values) {
    for (int64_t row = begin; row < begin + count; row++)
        for (int64_t in = 0; in < m.ins; in++) *values++ = value_at(m, tile_of(m, row), row % TILE, in);
}

}  // namespace creuset
