// One row of a packed matrix as plain numbers: the embedding of a token. matrix.h says how the numbers lie.
#include "model.h"
#include "numbers.h"

namespace creuset {

static float scale_of(const Matrix &m, const uint8_t *scales, int64_t index) {
    if (m.scale_type == SCALE_F32) return reinterpret_cast<const float *>(scales)[index];
    uint16_t half = reinterpret_cast<const uint16_t *>(scales)[index];
    return m.scale_type == SCALE_BF16 ? from_bf16(half) : from_f16(half);
}

void embedding_row(const Matrix &m, int32_t token, float *out) {
    const uint8_t *tile = m.data + token / 16 * tile_bytes(m);
    const uint8_t *scales = tile + code_bytes(m), *minima = scales + scale_bytes(m);
    const int lane = token % 16;
    for (int i = 0; i < m.ins; i++) {
        if (m.kind == F32) {
            out[i] = reinterpret_cast<const float *>(tile)[i * 16 + lane];
        } else if (m.kind == BF16) {
            out[i] = from_bf16(reinterpret_cast<const uint16_t *>(tile)[i / 2 * 32 + lane * 2 + i % 2]);
        } else if (m.kind == Q8) {
            float scale = scale_of(m, scales, i / m.group * 16 + lane);
            out[i] = float(int(tile[i / 4 * 64 + lane * 4 + i % 4]) - 128) * scale;
        } else {
            // Inputs 0-15 of each 32 are the low halves of 4 vectors, 16-31 the high halves.
            int code = tile[i / 32 * 256 + i % 16 / 4 * 64 + lane * 4 + i % 4] >> (i % 32 < 16 ? 0 : 4) & 15;
            float scale = scale_of(m, scales, i / m.group * 16 + lane);
            out[i] = m.kind == Q4 ? float(code - 8) * scale
                                  : float(code) * scale + scale_of(m, minima, i / m.group * 16 + lane);
        }
    }
}

}  // namespace creuset
