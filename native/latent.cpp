// Multi-head latent attention by what the cache keeps of a token (DeepSeek-V2, arXiv:2405.04434, section 2.1): a narrow latent
// vector and one rotated key for all heads. Each head's matrices stand on the other side of the products, on the query
// and on what was read (creuset/engine/backend/torch/latent.py tells why that is the same).
//
// The latent is key and value at once. It is kept twice, since keys lie in tiles and values do not (model.h).
#include <cstring>

#include "step.h"

namespace creuset {

constexpr float NORM_EPS = 1e-6f;  // of the latents, whatever config.json says of the other norms

// One row: the norms of its latents, its rotated key, and both into the cache.
static void place_row(const Step &s, const Layer &l, int layer, int32_t row) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    float *q = w.qkv.data + int64_t(row) * l.qkv.outs, *latent = q + c.q_rank, *key = latent + c.kv_rank;
    add_bias(l.qkv, q);
    if (c.q_rank) ops().norm(q, l.q_norm.data(), q, c.q_rank, NORM_EPS);
    ops().norm(latent, l.k_norm.data(), latent, c.kv_rank, NORM_EPS);
    const Turn turn(s, l, row);
    ops().rotate(key, turn.cosines, turn.sines, c.rope / 2);
    const Span &span = s.spans[w.span_of[row]];
    const int32_t position = w.position_of[row];
    s.cache.write(layer, span.blocks[position / s.cache.block_size], position % s.cache.block_size, 0, latent, latent);
}

// The rotated part of each head's query goes beside the place of what the other part becomes.
static void turn_queries(const Step &s, const Layer &l, int32_t row) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const int32_t width = c.nope + c.rope, wide = c.kv_rank + c.rope;
    float *q = w.queries.data + int64_t(row) * c.heads * width, *into = w.wide.data + int64_t(row) * c.heads * wide;
    ops().scale(q, c.scale, c.heads * width);
    const Turn turn(s, l, row);
    for (int h = 0; h < c.heads; h++) {
        ops().rotate(q + h * width + c.nope, turn.cosines, turn.sines, c.rope / 2);
        memcpy(into + h * wide + c.kv_rank, q + h * width + c.nope, sizeof(float) * c.rope);
    }
}

void lay_out_latent(Step &s) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const int64_t copies = int64_t(s.rows) * c.heads;
    int32_t latent = 0, narrow = 0, read = 0;
    for (const Layer &l : s.m.layers) latent |= l.query.forms, narrow |= l.into[0].forms, read |= l.out_of[0].forms;
    w.queries.room(copies * (c.nope + c.rope)), w.wide.room(copies * (c.kv_rank + c.rope));
    w.latents.room(copies * c.kv_rank), w.rows_of_head.room(copies);
    for (int h = 0; h < c.heads; h++)
        for (int32_t row = 0; row < s.rows; row++) w.rows_of_head.data[h * s.rows + row] = row * c.heads + h;
    if (c.q_rank) s.latent = room(w.for_latent, s.rows, c.q_rank, latent);
    s.narrow = room(w.for_narrow, int32_t(copies), c.nope, narrow);
    s.read_latent = room(w.for_latents, int32_t(copies), c.kv_rank, read);
}

void latent_attention(Step &s, const Layer &l, int layer, Team &t) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const Share mine(t, s.rows);
    const int32_t width = c.nope + c.rope, wide = c.kv_rank + c.rope;
    product(l.qkv, s.hidden, nullptr, s.rows, w.qkv.data, l.qkv.outs, t);
    if (!c.q_rank) product(l.query, s.hidden, nullptr, s.rows, w.queries.data, c.heads * width, t);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) place_row(s, l, layer, row);
    if (c.q_rank) {
        s.latent.forms = l.query.forms;
        prepare(s.latent, w.qkv.data, l.qkv.outs, mine.begin, mine.end);
        t.barrier();
        product(l.query, s.latent, nullptr, s.rows, w.queries.data, c.heads * width, t);
        t.barrier();
    }
    for (int32_t row = mine.begin; row < mine.end; row++) turn_queries(s, l, row);
    s.narrow.forms = l.into[0].forms;
    prepare(s.narrow, w.queries.data, width, mine.begin * c.heads, mine.end * c.heads);
    t.barrier();
    for (int h = 0; h < c.heads; h++)
        product(l.into[h], s.narrow, w.rows_of_head.data + int64_t(h) * s.rows, s.rows, w.wide.data + h * wide,
                int64_t(c.heads) * wide, t);
    t.barrier();
    read_items(s, l, layer, t, w.wide.data, int64_t(c.heads) * wide, w.latents.data, int64_t(c.heads) * c.kv_rank);
    t.barrier();
    s.read_latent.forms = l.out_of[0].forms;
    prepare(s.read_latent, w.latents.data, c.kv_rank, mine.begin * c.heads, mine.end * c.heads);
    t.barrier();
    for (int h = 0; h < c.heads; h++)
        product(l.out_of[h], s.read_latent, w.rows_of_head.data + int64_t(h) * s.rows, s.rows, w.read.data + h * c.value,
                int64_t(c.heads) * c.value, t);
    t.barrier();
}

}  // namespace creuset
