// Products of activations with packed matrices: what a step of the model calls.
//
// Reading order: `Matrix` (weights, packed once), `Rows` (activations, prepared once for several matrices), `multiply`.
//
// Promise: an output is summed in one fixed order. The order depends on the matrix, and for bf16 on the feature level,
// but not on how many rows there are, which rows they are or which thread computes it. The kinds with codes and f32 give the
// same bits at every level.
//
// Layout. Outputs come in tiles of 32. A tile is rows of 128 bytes, which hold 4 codes of each of the 32 outputs side by
// side (q8), 2 numbers (bf16) or 1 (f32), in the order of the inputs. With codes, 32 inputs are a group: their rows, then
// its scales, 32 numbers for each 16 or 32 inputs, then the minima in the same form (q4a). q4 holds inputs 0-15 of a group
// in the low halves of its 4 rows, and inputs 16-31 in the high halves. So a tile is read from its first byte to its last
// in the order in which it lies: where the order is another one, a processor foresees too little and waits for memory.
// Inputs are padded with zeros to a multiple of 32 (f32: not padded), outputs to a multiple of 32.
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

constexpr int64_t TILE = 32;
static inline int64_t padded(int64_t ins) { return (ins + 31) / 32 * 32; }
static inline int64_t tiles(int64_t outs) { return (outs + TILE - 1) / TILE; }

// Of a group of 32 inputs in a tile: its codes, its scales (minima not included), and all of it.
static inline int64_t code_bytes(int32_t kind) { return kind == Q8 ? 32 * TILE : 16 * TILE; }
static inline int64_t scale_bytes(const Matrix &m) { return 32 / m.group * TILE * (m.scale_type == SCALE_F32 ? 4 : 2); }
static inline int64_t group_bytes(const Matrix &m) { return code_bytes(m.kind) + scale_bytes(m) * (m.kind == Q4A ? 2 : 1); }
static inline int64_t tile_bytes(const Matrix &m) {
    if (m.kind == F32) return TILE * 4 * m.ins;
    return m.kind == BF16 ? TILE * 2 * padded(m.ins) : padded(m.ins) / 32 * group_bytes(m);
}
// Where input `in` of output `out` of a tile lies: the number or code (of q4 the low half for the first 16 inputs of a group),
// and the index of its scale and minimum among the scales of its group.
static inline int64_t place(const Matrix &m, int64_t out, int64_t in) {
    switch (m.kind) {
        case F32: return in * 128 + out * 4;
        case BF16: return in / 2 * 128 + out * 4 + in % 2 * 2;
        case Q8: return in / 32 * group_bytes(m) + in % 32 / 4 * 128 + out * 4 + in % 4;
        default: return in / 32 * group_bytes(m) + in % 16 / 4 * 128 + out * 4 + in % 4;
    }
}
static inline int64_t place_of_scales(const Matrix &m, int64_t in) { return in / 32 * group_bytes(m) + code_bytes(m.kind); }
static inline int64_t scale_index(const Matrix &m, int64_t out, int64_t in) { return in % 32 / m.group * TILE + out; }
static inline int64_t packed_bytes(const Matrix &m) { return tiles(m.outs) * tile_bytes(m); }

// Packing. Rows `begin .. begin + count` of the matrix are filled from a plain array whose first row is row `begin`; `begin`
// is a multiple of 32, and so is `count` unless it ends the matrix. So several weights (gate and up) may share a matrix, and
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

// Which rows are multiplied with which outputs of a matrix, and where that goes.
struct Outputs {
    const int32_t *index;  // numbers of the rows; null: 0, 1, 2 ...
    int32_t count;         // of them
    float *y;              // of the i-th row, output `out`: y[i * ld + out]
    int64_t ld;
    int32_t begin, end;    // outputs that are computed, and written; begin is a multiple of 32, end too or all there are
    const uint8_t *next;   // what this thread reads then, null: not known. It is asked for early; no number depends on it
};
// y[i * ld + out] = sum over inputs of matrix[out] * row[index[i]].
void multiply(const Matrix &m, const Rows &rows, const Outputs &outputs);

// The share of `thread` of the outputs, in whole tiles: [begin, end).
static inline void share(int32_t outs, int32_t thread, int32_t threads, int32_t *begin, int32_t *end) {
    int64_t all = tiles(outs);
    *begin = int32_t(all * thread / threads * TILE);
    int64_t last = all * (thread + 1) / threads * TILE;
    *end = int32_t(last < outs ? last : outs);
}

}  // namespace creuset
