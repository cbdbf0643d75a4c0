// ggml's blocks into packed matrices, code by code: nothing is rounded. What the blocks hold is described at each one.
#include <cmath>
#include <cstring>
#include <memory>

#include "isa.h"
#include "matrix.h"
#include "numbers.h"

namespace creuset {

namespace {

// Codes (width), scales and minima (width / group) of one block.
struct Out {
    int8_t *codes;
    float *scales, *minima;
};

float half_at(const uint8_t *at) {
    uint16_t half;
    memcpy(&half, at, 2);
    return from_f16(half);
}

// scale, 32 codes of 8 bits
void q8_0(const uint8_t *block, Out out) {
    out.scales[0] = half_at(block);
    memcpy(out.codes, block + 2, 32);
}

// scale, 16 bytes: numbers 0-15 in the low halves, 16-31 in the high ones, each 8 more than the code
void q4_0(const uint8_t *block, Out out) {
    out.scales[0] = half_at(block);
    for (int i = 0; i < 16; i++) {
        out.codes[i] = int8_t((block[2 + i] & 15) - 8);
        out.codes[16 + i] = int8_t((block[2 + i] >> 4) - 8);
    }
}

// scale, minimum, 16 bytes as above, not shifted
void q4_1(const uint8_t *block, Out out) {
    out.scales[0] = half_at(block), out.minima[0] = half_at(block + 2);
    for (int i = 0; i < 16; i++) {
        out.codes[i] = int8_t(block[4 + i] & 15);
        out.codes[16 + i] = int8_t(block[4 + i] >> 4);
    }
}

// scale, a fifth bit of each number, 16 bytes as above, 16 more than the code
void q5_0(const uint8_t *block, Out out) {
    uint32_t fifth;
    memcpy(&fifth, block + 2, 4);
    out.scales[0] = half_at(block);
    for (int i = 0; i < 16; i++) {
        out.codes[i] = int8_t(((block[6 + i] & 15) | (fifth >> i & 1) << 4) - 16);
        out.codes[16 + i] = int8_t((block[6 + i] >> 4 | (fifth >> (16 + i) & 1) << 4) - 16);
    }
}

// 256 numbers in 8 parts: two units, the parts' scales and minima in 6 bits each, then 32 bytes for two parts
void q4_k(const uint8_t *block, Out out) {
    float scale_unit = half_at(block), minimum_unit = half_at(block + 2);
    const uint8_t *six = block + 4, *codes = block + 16;
    for (int part = 0; part < 8; part++) {
        int scale = part < 4 ? six[part] & 63 : (six[part + 4] & 15) | six[part - 4] >> 6 << 4;
        int minimum = part < 4 ? six[part + 4] & 63 : six[part + 4] >> 4 | six[part] >> 6 << 4;
        out.scales[part] = scale_unit * float(scale);
        out.minima[part] = -(minimum_unit * float(minimum));
        for (int i = 0; i < 32; i++) {
            uint8_t byte = codes[part / 2 * 32 + i];
            out.codes[part * 32 + i] = int8_t(part % 2 ? byte >> 4 : byte & 15);
        }
    }
}

// 256 numbers in 16 parts: 4 low bits, 2 high bits, a scale of 8 bits a part, the unit; 32 more than the code
void q6_k(const uint8_t *block, Out out) {
    const uint8_t *low = block, *high = block + 128;
    float unit = half_at(block + 208);
    for (int part = 0; part < 16; part++) out.scales[part] = unit * float(int8_t(block[192 + part]));
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = i % 128 / 32, at = i % 32;
        uint8_t byte = low[half * 64 + quarter % 2 * 32 + at];
        int four = quarter < 2 ? byte & 15 : byte >> 4, two = high[half * 32 + at] >> (2 * quarter) & 3;
        out.codes[i] = int8_t((four | two << 4) - 32);
    }
}

struct Type {
    const char *name;
    int width, bytes, kind, group;
    void (*decode)(const uint8_t *, Out);
};
const Type types[] = {
    {"Q8_0", 32, 34, Q8, 32, q8_0}, {"Q4_0", 32, 18, Q4, 32, q4_0},    {"Q4_1", 32, 20, Q4A, 32, q4_1},
    {"Q5_0", 32, 22, Q8, 32, q5_0}, {"Q4_K", 256, 144, Q4A, 32, q4_k}, {"Q6_K", 256, 210, Q8, 16, q6_k},
};

}  // namespace

}  // namespace creuset

using namespace creuset;

// Rows begin .. begin + count from blocks of the type `name`. 0; 1: no such type, or the matrix is not of its kind;
// 2: a scale is not finite.
CREUSET_API int creuset_pack_ggml(const Matrix *m, const char *name, int64_t begin, int64_t count, const uint8_t *blocks) {
    const Type *type = nullptr;
    for (const Type &one : types)
        if (!strcmp(one.name, name)) type = &one;
    if (!type || m->kind != type->kind || m->group != type->group || m->ins % type->width) return 1;
    int64_t groups = m->ins / m->group, of_row = m->ins / type->width;
    std::unique_ptr<int8_t[]> codes(new int8_t[TILE * m->ins]);
    std::unique_ptr<float[]> scales(new float[TILE * groups]()), minima(new float[TILE * groups]());
    for (int64_t row = 0; row < count; row += TILE) {
        int64_t rows = count - row < TILE ? count - row : TILE;
        for (int64_t b = 0; b < rows * of_row; b++) {
            int64_t at = b * type->width;
            type->decode(blocks, {&codes[at], &scales[at / m->group], &minima[at / m->group]});
            blocks += type->bytes;
        }
        float sum = 0;
        for (int64_t g = 0; g < rows * groups; g++) sum += 0 * (scales[g] + minima[g]);
        if (sum != 0) return 2;  // 0 times what is not finite is a NaN
        pack_codes(*m, begin + row, rows, codes.get(), scales.get(), minima.get());
    }
    return 0;
}
