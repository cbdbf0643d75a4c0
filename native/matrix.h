// Products of activations with packed matrices: what a step of the model calls.
//
// Reading order: `Matrix` (weights, packed once), `Rows` (activations, prepared once for several matrices), `multiply`.
//
// Promise: an output is summed in one fixed order. The order depends on the matrix, and for bf16 on the feature level,
// but not on how many rows there are, which rows they are or which thread computes it. The kinds with codes and f32 give the
// same bits at every level.
//
// Layout. Outputs come in tiles of 16. A tile is `padded / 4` vectors of 64 bytes for q8: 16 outputs by 4 inputs, the
// inputs of one output side by side. q4 holds the vectors of inputs 0-15 of a group of 32 in the low halves of its 4
// vectors, and those of inputs 16-31 in the high halves. bf16: 16 outputs by 2 inputs, f32: 16 outputs by 1. The scales
// of a tile follow its codes: 16 numbers a group, then the minima in the same form (q4a). Inputs are padded with zeros
// to a multiple of 32 (f32: not padded), outputs to a multiple of 16.
//
// Functions in headers are `static`: each feature level is a translation unit with its own flags, and the linker would
// otherwise keep one copy of an inline function, with instructions that an older machine lacks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace creuset {

enum Kind : int32_t {
    F32 = 0,
    BF16 = 1,
    Q8 = 2,   // stored as code + 128; code in -128..127; value = code * scale
    Q4 = 3,   // stored as code + 8; code in -8..7; value = code * scale
    Q4A = 4,  // code in 0..15; value = code * scale + minimum
};
enum ScaleType : int32_t { SCALE_F32 = 0, SCALE_BF16 = 1, SCALE_F16 = 2 };

struct Matrix {
    int32_t kind, outs, ins;
    int32_t group;       // inputs a scale: 32, or 16 for q8. 0 for f32 and bf16
    int32_t scale_type;  // of scales and minima
    int32_t unused;
    uint8_t *data;  // packed_bytes(matrix) of them, aligned to 64
};

static inline int64_t padded(int64_t ins) { return (ins + 31) / 32 * 32; }
static inline int64_t tiles(int64_t outs) { return (outs + 15) / 16; }

static inline int64_t code_bytes(const Matrix &m) {  // of a tile
    switch (m.kind) {
        case F32: return 64 * int64_t(m.ins);
        case BF16: return 32 * padded(m.ins);
        case Q8: return 16 * padded(m.ins);
        default: return 8 * padded(m.ins);
    }
}
static inline int64_t scale_bytes(const Matrix &m) {  // of a tile, minima not included
    return m.group ? padded(m.ins) / m.group * 16 * (m.scale_type == SCALE_F32 ? 4 : 2) : 0;
}
static inline int64_t tile_bytes(const Matrix &m) {
    return (code_bytes(m) + scale_bytes(m) * (m.kind == Q4A ? 2 : 1) + 63) / 64 * 64;
}
static inline int64_t packed_bytes(const Matrix &m) { return tiles(m.outs) * tile_bytes(m); }

// Packing. Rows `begin .. begin + count` of the matrix are filled from a plain array whose first row is row `begin`; `begin`
// is a multiple of 16, and so is `count` unless it ends the matrix. So several weights (gate and up) may share a matrix, and
// threads may share the work. Nothing is rounded where the source fits the kind.
void pack_f32(const Matrix &m, int64_t begin, int64_t count, const float *values);  // f32; bf16 to the nearest, ties to even
void pack_bf16(const Matrix &m, int64_t begin, int64_t count, const uint16_t *values);  // f32 or bf16
// codes: (count, ins). scales, minima: (count, ceil(ins / group)); minima for q4a only.
void pack_codes(const Matrix &m, int64_t begin, int64_t count, const int8_t *codes, const float *scales, const float *minima);
// Rounds to q8 or q4 with the scale of the largest magnitude of each group, as `creuset quantize` does.
void pack_rounded(const Matrix &m, int64_t begin, int64_t count, const float *values);
void unpack(const Matrix &m, int64_t begin, int64_t count, float *values);  // what it stands for, (count, ins)

// Activations. `forms` says which are there; the memory is the caller's.
enum Form : int32_t { FORM_F32 = 1, FORM_BF16 = 2, FORM_INT8 = 4 };
struct Rows {
    int32_t rows, ins, forms, groups;  // groups of 32 inputs
    int64_t ld;                        // of `values`
    const float *values;               // f32: the caller's own, which must outlive the products
    uint16_t *bf16;                    // (rows, 32 * groups), zeros behind the last input
    int8_t *codes;                     // (rows, 32 * groups): round(x * 127 / largest magnitude of the group), to even
    float *scales;                     // (rows, groups): largest magnitude / 127
    int32_t *minus;                    // (rows, groups): -8 times the sum of the codes
    int32_t *halves;                   // (rows, 2 * groups): the same of each 16 codes
    float *sums;                       // (rows, groups): scale times the sum of the codes
};
static inline int32_t form_of(int32_t kind) { return kind == F32 ? FORM_F32 : kind == BF16 ? FORM_BF16 : FORM_INT8; }
size_t rows_bytes(int32_t rows, int32_t ins, int32_t forms);
// Lays the arrays out in `memory` (aligned to 64, rows_bytes of them); nothing is computed.
Rows rows_in(void *memory, int32_t rows, int32_t ins, int32_t forms);
// Fills rows begin .. end from x[row * ld + input]; threads share rows. `x` is row 0 of all of them.
void prepare(Rows &rows, const float *x, int64_t ld, int32_t begin, int32_t end);

// y[i * ld + out] = sum over inputs of matrix[out] * row[index[i]], for i < count and out in out_begin .. out_end. `index`
// may be null: row i. out_begin is a multiple of 16, out_end too or the number of outputs. Only these outputs are written.
void multiply(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld,
              int32_t out_begin, int32_t out_end);

// The share of `thread` of the outputs, in multiples of 16: [begin, end).
static inline void share(int32_t outs, int32_t thread, int32_t threads, int32_t *begin, int32_t *end) {
    int64_t all = tiles(outs);
    *begin = int32_t(all * thread / threads * 16);
    int64_t last = all * (thread + 1) / threads * 16;
    *end = int32_t(last < outs ? last : outs);
}

}  // namespace creuset
