// One row of a packed matrix as plain numbers: the embedding of a token.
#include "model.h"
#include "tile.h"

namespace creuset {

void embedding_row(const Matrix &m, int32_t token, float *out) {
    const uint8_t *tile = m.data + token / TILE * tile_bytes(m);
    const int64_t lane = token % TILE;
    if (m.kind == Q8) {
        for (int64_t first = 0; first < m.ins; first += m.group) {
            const int64_t end = first + m.group < m.ins ? first + m.group : m.ins;
            const float scale = number_at(m, tile + place_of_scales(m, first), scale_index(m, lane, first));
            for (int64_t in = first; in < end; in++) out[in] = float(code_at(m, tile, lane, in)) * scale;
        }
        return;
    }
    for (int64_t in = 0; in < m.ins; in++) out[in] = value_at(m, tile, lane, in);
}

}  // namespace creuset
