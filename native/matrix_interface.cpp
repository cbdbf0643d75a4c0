// The C interface of packing and products, for tests, benches and the loading of weights.
#include <cstdlib>
#include <cstring>

#include "isa.h"
#include "matrix.h"

using namespace creuset;

CREUSET_API int64_t creuset_packed_bytes(const Matrix *m) { return packed_bytes(*m); }
CREUSET_API void creuset_pack_f32(const Matrix *m, int64_t begin, int64_t count, const float *values) {
    pack_f32(*m, begin, count, values);
}
CREUSET_API void creuset_pack_bf16(const Matrix *m, int64_t begin, int64_t count, const uint16_t *values) {
    pack_bf16(*m, begin, count, values);
}
CREUSET_API void creuset_pack_codes(const Matrix *m, int64_t begin, int64_t count, const int8_t *codes,
                                    const float *scales, const float *minima) {
    pack_codes(*m, begin, count, codes, scales, minima);
}
CREUSET_API void creuset_pack_rounded(const Matrix *m, int64_t begin, int64_t count, const float *values) {
    pack_rounded(*m, begin, count, values);
}
CREUSET_API void creuset_unpack(const Matrix *m, int64_t begin, int64_t count, float *values) {
    unpack(*m, begin, count, values);
}

CREUSET_API int64_t creuset_rows_bytes(int32_t rows, int32_t ins, int32_t forms) {
    return int64_t(rows_bytes(rows, ins, forms));
}
// `memory`: rows_bytes of them, aligned to 64. The caller keeps `rows`.
CREUSET_API void creuset_prepare(Rows *rows, void *memory, int32_t count, int32_t ins, int32_t forms, const float *x,
                                 int64_t ld) {
    *rows = rows_in(memory, count, ins, forms);
    prepare(*rows, x, ld, 0, count);
}
CREUSET_API void creuset_multiply(const Matrix *m, const Rows *rows, const int32_t *index, int32_t count, float *y,
                                  int64_t ld, int32_t begin, int32_t end) {
    multiply(*m, *rows, {index, count, y, ld, begin, end, nullptr});
}
