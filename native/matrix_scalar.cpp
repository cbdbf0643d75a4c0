// The definition of every product, for any processor. Other levels give the same bits, except bf16 where the processor
// has dot products of its own.
#include <algorithm>

#include "prepare.h"
#include "tile.h"

namespace creuset {

namespace {

float one_f32(const Matrix &m, const uint8_t *tile, int out, const Rows &rows, int64_t row) {
    const float *x = rows.values + row * rows.ld;
    float sum = 0;
    for (int in = 0; in < m.ins; in++) sum = std::fma(*reinterpret_cast<const float *>(tile + place(m, out, in)), x[in], sum);
    return sum;
}

float one_bf16(const Matrix &m, const uint8_t *tile, int out, const Rows &rows, int64_t row) {
    const uint16_t *x = rows.bf16 + row * rows.groups * 32;
    float sum = 0;
    for (int in = 0; in < rows.groups * 32; in++)
        sum = std::fma(from_bf16(*reinterpret_cast<const uint16_t *>(tile + place(m, out, in))), from_bf16(x[in]), sum);
    return sum;
}

// Groups in rising order. The sum of a group is a whole number, so that its order does not matter.
float one_of_codes(const Matrix &m, const uint8_t *tile, int out, const Rows &rows, int64_t row) {
    const int8_t *x = rows.codes + row * rows.groups * 32;
    float sum = 0;
    for (int first = 0; first < rows.groups * 32; first += m.group) {
        int whole = 0;
        for (int in = first; in < first + m.group; in++) whole += code_at(m, tile, out, in) * x[in];
        int64_t group = row * rows.groups + first / 32, index = scale_index(m, out, first);
        const uint8_t *scales = tile + place_of_scales(m, first);
        sum = std::fma(float(whole), number_at(m, scales, index) * rows.scales[group], sum);
        if (m.kind == Q4A) sum = std::fma(number_at(m, scales + scale_bytes(m), index), rows.sums[group], sum);
    }
    return sum;
}

template <float (*one)(const Matrix &, const uint8_t *, int, const Rows &, int64_t)>
void product(const Matrix &m, const Rows &rows, const Outputs &o) {
    for (int32_t i = 0; i < o.count; i++)
        for (int32_t out = o.begin; out < o.end; out++)
            o.y[i * o.ld + out] = one(m, m.data + out / TILE * tile_bytes(m), out % TILE, rows, o.index ? o.index[i] : i);
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
            const Scale scale(from_bits(bits));
            int32_t halves[2] = {};
            for (int i = 0; i < 32; i++) {
                int code = scale.usable ? int(std::nearbyint(values[i] * scale.inverse)) : 0;
                rows.codes[row * width + group * 32 + i] = int8_t(code);
                halves[i / 16] += code;
            }
            put_sums(rows, row * rows.groups + group, scale.scale, halves[0], halves[1]);
        }
    }
}

}  // namespace

const Kernels scalar_kernels = {product<one_f32>, product<one_bf16>, product<one_of_codes>, product<one_of_codes>,
                                product<one_of_codes>, prepare_scalar};

}  // namespace creuset
