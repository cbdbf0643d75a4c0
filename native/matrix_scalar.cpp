// The definition of every product, for any processor. Other levels give the same bits, except bf16 where the processor
// has dot products of its own.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "numbers.h"

namespace creuset {

namespace {

float scale_at(const Matrix &m, const uint8_t *scales, int64_t at) {
    if (m.scale_type == SCALE_F32) return reinterpret_cast<const float *>(scales)[at];
    uint16_t half = reinterpret_cast<const uint16_t *>(scales)[at];
    return m.scale_type == SCALE_BF16 ? from_bf16(half) : from_f16(half);
}

float one_f32(const Matrix &m, const uint8_t *tile, int out, const Rows &rows, int64_t row) {
    const float *w = reinterpret_cast<const float *>(tile) + out, *x = rows.values + row * rows.ld;
    float sum = 0;
    for (int in = 0; in < m.ins; in++) sum = std::fma(w[in * 16], x[in], sum);
    return sum;
}

float one_bf16(const Matrix &, const uint8_t *tile, int out, const Rows &rows, int64_t row) {
    const uint16_t *w = reinterpret_cast<const uint16_t *>(tile) + out * 2, *x = rows.bf16 + row * rows.groups * 32;
    float sum = 0;
    for (int in = 0; in < rows.groups * 32; in++) sum = std::fma(from_bf16(w[in / 2 * 32 + in % 2]), from_bf16(x[in]), sum);
    return sum;
}

// Groups in rising order. The sum of a group is a whole number, so that its order does not matter.
float one_quantized(const Matrix &m, const uint8_t *tile, int out, const Rows &rows, int64_t row) {
    const int8_t *x = rows.codes + row * rows.groups * 32;
    const uint8_t *scales = tile + code_bytes(m), *minima = scales + scale_bytes(m);
    float sum = 0;
    for (int group = 0; group < rows.groups * 32 / m.group; group++) {
        int whole = 0;
        for (int i = 0; i < m.group; i++) {
            int in = group * m.group + i, code;
            if (m.kind == Q8) {
                code = int(tile[in / 4 * 64 + out * 4 + in % 4]) - 128;
            } else {
                uint8_t byte = tile[in / 32 * 256 + in % 16 / 4 * 64 + out * 4 + in % 4];
                code = (in % 32 < 16 ? byte & 15 : byte >> 4) - (m.kind == Q4 ? 8 : 0);
            }
            whole += code * x[in];
        }
        int64_t group32 = row * rows.groups + group * m.group / 32;
        sum = std::fma(float(whole), scale_at(m, scales, group * 16 + out) * rows.scales[group32], sum);
        if (m.kind == Q4A) sum = std::fma(scale_at(m, minima, group * 16 + out), rows.sums[group32], sum);
    }
    return sum;
}

template <float (*one)(const Matrix &, const uint8_t *, int, const Rows &, int64_t)>
void product(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
             int32_t end) {
    for (int32_t i = 0; i < count; i++)
        for (int32_t out = begin; out < end; out++)
            y[i * ld + out] = one(m, m.data + out / 16 * tile_bytes(m), out % 16, rows, index ? index[i] : i);
}

void prepare_scalar(Rows &rows, const float *x, int64_t ld, int32_t begin, int32_t end) {
    int64_t width = int64_t(rows.groups) * 32;
    for (int64_t row = begin; row < end; row++) {
        const float *from = x + row * ld;
        if (rows.forms & FORM_BF16)
            for (int64_t in = 0; in < width; in++) rows.bf16[row * width + in] = in < rows.ins ? to_bf16(from[in]) : 0;
        if (!(rows.forms & FORM_INT8)) continue;
        for (int64_t group = 0; group < rows.groups; group++) {
            float values[32] = {};
            uint32_t bits = 0;  // compared as whole numbers, magnitudes keep their order and a NaN is the largest
            for (int i = 0; i < 32 && group * 32 + i < rows.ins; i++) {
                values[i] = from[group * 32 + i];
                bits = std::max(bits, to_bits(values[i]) & 0x7fffffff);
            }
            float top = from_bits(bits), inverse = 127 / top;
            bool usable = top < INFINITY && inverse < INFINITY;  // magnitudes below 4e-37 count as zero
            int64_t at = row * rows.groups + group;
            int32_t halves[2] = {};
            for (int i = 0; i < 32; i++) {
                int code = usable ? int(std::nearbyint(values[i] * inverse)) : 0;
                rows.codes[row * width + group * 32 + i] = int8_t(code);
                halves[i / 16] += code;
            }
            rows.scales[at] = usable ? top / 127 : top < INFINITY ? 0 : NAN;  // what is not finite stays seen
            rows.minus[at] = -8 * (halves[0] + halves[1]);
            rows.halves[2 * at] = -8 * halves[0], rows.halves[2 * at + 1] = -8 * halves[1];
            rows.sums[at] = rows.scales[at] * float(halves[0] + halves[1]);
        }
    }
}

}  // namespace

const Kernels scalar_kernels = {product<one_f32>, product<one_bf16>, product<one_quantized>, product<one_quantized>,
                                product<one_quantized>, prepare_scalar};

}  // namespace creuset
