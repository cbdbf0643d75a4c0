// Packing: plain arrays into the layout of matrix.h, and back.
#include <algorithm>
#include <cmath>

#include "matrix.h"
#include "numbers.h"

namespace creuset {

namespace {

struct Tile {
    uint8_t *codes, *scales, *minima;
};

Tile tile_at(const Matrix &m, int64_t tile) {
    uint8_t *start = m.data + tile * tile_bytes(m), *scales = start + code_bytes(m);
    return {start, scales, scales + scale_bytes(m)};
}

void put_scale(const Matrix &m, uint8_t *to, int64_t at, float value) {
    if (m.scale_type == SCALE_F32)
        reinterpret_cast<float *>(to)[at] = value;
    else
        reinterpret_cast<uint16_t *>(to)[at] = m.scale_type == SCALE_BF16 ? to_bf16(value) : to_f16(value);
}

float get_scale(const Matrix &m, const uint8_t *from, int64_t at) {
    if (m.scale_type == SCALE_F32) return reinterpret_cast<const float *>(from)[at];
    uint16_t half = reinterpret_cast<const uint16_t *>(from)[at];
    return m.scale_type == SCALE_BF16 ? from_bf16(half) : from_f16(half);
}

// Where the code of input `in` of output `out` of a tile lies: a byte of q8, a byte and a half of it of q4.
int64_t byte_q8(int64_t out, int64_t in) { return in / 4 * 64 + out * 4 + in % 4; }
int64_t byte_q4(int64_t out, int64_t in) { return in / 32 * 256 + in % 16 / 4 * 64 + out * 4 + in % 4; }

template <class Value, class Convert>
void pack_bf16_pairs(const Matrix &m, int64_t begin, int64_t count, const Value *values, Convert convert) {
    for (int64_t row = 0; row < count; row++) {
        auto *to = reinterpret_cast<uint16_t *>(tile_at(m, (begin + row) / 16).codes) + (begin + row) % 16 * 2;
        const Value *from = values + row * m.ins;
        for (int64_t in = 0; in < m.ins; in++) to[in / 2 * 32 + in % 2] = convert(from[in]);
    }
}

template <class Value, class Convert>
void pack_single(const Matrix &m, int64_t begin, int64_t count, const Value *values, Convert convert) {
    for (int64_t row = 0; row < count; row++) {
        auto *to = reinterpret_cast<float *>(tile_at(m, (begin + row) / 16).codes) + (begin + row) % 16;
        const Value *from = values + row * m.ins;
        for (int64_t in = 0; in < m.ins; in++) to[in * 16] = convert(from[in]);
    }
}

// Padding is zero: as a code of q4 and q8 that is 8 and 128.
void clear(const Matrix &m, int64_t begin, int64_t count) {
    bool whole = m.kind == F32 || padded(m.ins) == m.ins;
    if (whole && (begin + count) % 16 == 0) return;
    for (int64_t tile = begin / 16; tile < tiles(begin + count); tile++) {
        Tile t = tile_at(m, tile);
        memset(t.codes, m.kind == Q8 ? 128 : m.kind == Q4 ? 0x88 : 0, code_bytes(m));
        memset(t.scales, 0, tile_bytes(m) - code_bytes(m));
    }
}

}  // namespace

void pack_f32(const Matrix &m, int64_t begin, int64_t count, const float *values) {
    clear(m, begin, count);
    if (m.kind == F32)
        pack_single(m, begin, count, values, [](float v) { return v; });
    else
        pack_bf16_pairs(m, begin, count, values, to_bf16);
}

void pack_bf16(const Matrix &m, int64_t begin, int64_t count, const uint16_t *values) {
    clear(m, begin, count);
    if (m.kind == F32)
        pack_single(m, begin, count, values, from_bf16);
    else
        pack_bf16_pairs(m, begin, count, values, [](uint16_t v) { return v; });
}

void pack_codes(const Matrix &m, int64_t begin, int64_t count, const int8_t *codes, const float *scales,
                const float *minima) {
    clear(m, begin, count);
    int64_t groups = (m.ins + m.group - 1) / m.group;
    for (int64_t row = 0; row < count; row++) {
        int64_t out = (begin + row) % 16;
        Tile t = tile_at(m, (begin + row) / 16);
        const int8_t *from = codes + row * m.ins;
        if (m.kind == Q8) {
            uint8_t *to = t.codes + out * 4;
            int64_t in = 0;
            for (; in + 4 <= m.ins; in += 4, to += 64) {
                uint32_t four;
                memcpy(&four, from + in, 4);
                four ^= 0x80808080;
                memcpy(to, &four, 4);
            }
            for (; in < m.ins; in++) t.codes[byte_q8(out, in)] = uint8_t(from[in]) ^ 128;
        } else {
            uint8_t shift = m.kind == Q4 ? 8 : 0, empty = shift | shift << 4;
            for (int64_t group = 0; group < groups; group++) {
                uint8_t bytes[16];
                memset(bytes, empty, 16);
                int64_t first = group * 32, width = std::min<int64_t>(32, m.ins - first);
                for (int64_t in = 0; in < width; in++) {
                    uint8_t code = (uint8_t(from[first + in]) + shift) & 15, &byte = bytes[in % 16];
                    byte = in < 16 ? (byte & 0xf0) | code : (byte & 15) | code << 4;
                }
                for (int part = 0; part < 4; part++) memcpy(t.codes + group * 256 + part * 64 + out * 4, bytes + part * 4, 4);
            }
        }
        for (int64_t group = 0; group < groups; group++) {
            put_scale(m, t.scales, group * 16 + out, scales[row * groups + group]);
            if (m.kind == Q4A) put_scale(m, t.minima, group * 16 + out, minima[row * groups + group]);
        }
    }
}

void pack_rounded(const Matrix &m, int64_t begin, int64_t count, const float *values) {
    int64_t groups = (m.ins + m.group - 1) / m.group;
    int8_t *codes = new int8_t[m.ins];
    float *scales = new float[groups];
    for (int64_t row = 0; row < count; row += 1) {
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
        // A row at a time: `clear` works on whole tiles, so it may only run at the first row of one.
        Matrix one = m;
        one.data = m.data + (begin + row) / 16 * tile_bytes(m);
        int64_t out = (begin + row) % 16;
        if (out == 0) clear(m, begin + row, std::min<int64_t>(16, count - row));
        Tile t = tile_at(one, 0);
        for (int64_t in = 0; in < m.ins; in++) {
            if (m.kind == Q8) {
                t.codes[byte_q8(out, in)] = uint8_t(codes[in]) ^ 128;
            } else {
                uint8_t code = uint8_t(codes[in] + 8), &byte = t.codes[byte_q4(out, in)];
                byte = in % 32 < 16 ? (byte & 0xf0) | code : (byte & 15) | code << 4;
            }
        }
        for (int64_t group = 0; group < groups; group++) put_scale(m, t.scales, group * 16 + out, scales[group]);
    }
    delete[] codes;
    delete[] scales;
}

void unpack(const Matrix &m, int64_t begin, int64_t count, float *values) {
    for (int64_t row = 0; row < count; row++) {
        Tile t = tile_at(m, (begin + row) / 16);
        int64_t out = (begin + row) % 16;
        for (int64_t in = 0; in < m.ins; in++) {
            float &to = values[row * m.ins + in];
            if (m.kind == F32) {
                to = reinterpret_cast<float *>(t.codes)[in * 16 + out];
            } else if (m.kind == BF16) {
                to = from_bf16(reinterpret_cast<uint16_t *>(t.codes)[in / 2 * 32 + out * 2 + in % 2]);
            } else {
                int code;
                if (m.kind == Q8) {
                    code = int(t.codes[byte_q8(out, in)]) - 128;
                } else {
                    uint8_t byte = t.codes[byte_q4(out, in)];
                    code = (in % 32 < 16 ? byte & 15 : byte >> 4) - (m.kind == Q4 ? 8 : 0);
                }
                int64_t at = in / m.group * 16 + out;
                to = float(code) * get_scale(m, t.scales, at);
                if (m.kind == Q4A) to += get_scale(m, t.minima, at);
            }
        }
    }
}

}  // namespace creuset
