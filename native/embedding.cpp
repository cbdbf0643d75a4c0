// One row of a packed matrix as plain numbers: the embedding of a token. matrix.h says how the numbers lie.
#include "model.h"
#include "numbers.h"

namespace creuset {

static float number_at(const Matrix &m, const uint8_t *numbers, int64_t index) {
    if (m.scale_type == SCALE_F32) return reinterpret_cast<const float *>(numbers)[index];
    uint16_t half = reinterpret_cast<const uint16_t *>(numbers)[index];
    return m.scale_type == SCALE_BF16 ? from_bf16(half) : from_f16(half);
}

void embedding_row(const Matrix &m, int32_t token, float *out) {
    const uint8_t *tile = m.data + token / 16 * tile_bytes(m);
    const uint8_t *scales = tile + code_bytes(m), *minima = scales + scale_bytes(m);
    const int lane = token % 16;
    if (m.kind == F32) {
        const float *values = reinterpret_cast<const float *>(tile) + lane;
        for (int i = 0; i < m.ins; i++) out[i] = values[i * 16];
        return;
    }
    if (m.kind == BF16) {
        const uint16_t *values = reinterpret_cast<const uint16_t *>(tile) + lane * 2;
        for (int i = 0; i < m.ins; i++) out[i] = from_bf16(values[i / 2 * 32 + i % 2]);
        return;
    }
    for (int first = 0; first < m.ins; first += m.group) {
        const int end = first + m.group < m.ins ? first + m.group : m.ins, at = first / m.group * 16 + lane;
        const float scale = number_at(m, scales, at), least = m.kind == Q4A ? number_at(m, minima, at) : 0.0f;
        for (int i = first; i < end; i++) {
            if (m.kind == Q8) {
                out[i] = float(int(tile[i / 4 * 64 + lane * 4 + i % 4]) - 128) * scale;
                continue;
            }
            // Inputs 0-15 of each 32 are the low halves of 4 vectors, 16-31 the high halves.
            int code = tile[i / 32 * 256 + i % 16 / 4 * 64 + lane * 4 + i % 4] >> (i % 32 < 16 ? 0 : 4) & 15;
            out[i] = m.kind == Q4 ? float(code - 8) * scale : float(code) * scale + least;
        }
    }
}

}  // namespace creuset
