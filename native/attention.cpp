// Attention of a layer: from products to what each row reads (attention.inc reads; latent.cpp has DeepSeek's way).
#include "step.h"

namespace creuset {

Turn::Turn(const Step &s, const Layer &l, int32_t row) {
    const Table &table = s.m.tables[l.table + (s.spans[s.m.work->span_of[row]].beyond ? 2 : 0)];
    const int64_t at = int64_t(s.m.work->position_of[row]) * (s.m.shape.rotated / 2);
    cosines = table.cosines + at, sines = table.sines + at;
}

// Queries and keys of one row: bias, norms, limits, rotation; keys and values go into the cache.
static void place_row(const Step &s, const Layer &l, int layer, int32_t row) {
    const Shape &c = s.m.shape;
    const Ops &o = ops();
    Workspace &w = *s.m.work;
    float *q = w.qkv.data + int64_t(row) * l.qkv.outs, *k = q + c.heads * c.head, *v = k + c.kv_heads * c.head;
    adapt(s, l, ADAPTED_QKV, row, w.normed.data + int64_t(row) * c.hidden, q);
    add_bias(l.qkv, q);
    if (c.qk_norm == 2) {
        o.norm(q, l.q_norm.data(), q, c.heads * c.head, c.eps);
        o.norm(k, l.k_norm.data(), k, c.kv_heads * c.head, c.eps);
    }
    if (c.clip) o.clip(q, c.clip, l.qkv.outs);
    if (c.qk_norm == 1) {
        for (int h = 0; h < c.heads; h++) o.norm(q + h * c.head, l.q_norm.data(), q + h * c.head, c.head, c.eps);
        for (int h = 0; h < c.kv_heads; h++) o.norm(k + h * c.head, l.k_norm.data(), k + h * c.head, c.head, c.eps);
    }
    const Turn turn(s, l, row);
    for (int h = 0; h < c.heads + c.kv_heads; h++) o.rotate(q + h * c.head, turn.cosines, turn.sines, c.rotated / 2);
    o.scale(q, c.scale, c.heads * c.head);
    const Span &span = s.spans[w.span_of[row]];
    const int32_t position = w.position_of[row];
    const int block = span.blocks[position / s.cache.block_size], within = position % s.cache.block_size;
    for (int h = 0; h < c.kv_heads; h++) s.cache.write(layer, block, within, h, k + h * c.head, v + h * c.head);
}

void read_items(const Step &s, const Layer &l, int layer, const Team &t, const float *queries, int64_t ld, float *out,
                int64_t out_ld) {
    Workspace &w = *s.m.work;
    const Cache &cache = s.cache;
    const int fold = s.m.shape.heads / cache.heads;
    Reading a{};
    a.ld = ld, a.out_ld = out_ld;
    a.heads = fold, a.head = cache.head, a.value = cache.value;
    a.window = l.window, a.cap = s.m.shape.attention_cap;
    a.block_size = cache.block_size, a.type = cache.type;
    a.key_stride = cache.key_head() * cache.heads, a.value_stride = cache.value_head() * cache.heads;
    a.scratch = reinterpret_cast<float *>(w.scratch.data) + s.scratch_of_thread * t.thread;
    for (int32_t i; (i = w.next[layer].fetch_add(1, std::memory_order_relaxed)) < int32_t(w.items.size());) {
        const Workspace::Item &item = w.items[i];
        a.queries = queries + item.row * ld + item.head * fold * cache.head;
        a.out = out + item.row * out_ld + item.head * fold * cache.value;
        a.tokens = item.tokens, a.first = w.position_of[item.row];
        a.sinks = l.sinks.empty() ? nullptr : l.sinks.data() + item.head * fold;
        a.blocks = s.spans[item.span].blocks;
        a.keys = cache.key_at(layer, 0, item.head), a.values = cache.value_at(layer, 0, item.head);
        ops().read(a);
    }
}

void attention(Step &s, const Layer &l, int layer, Team &t) {
    Workspace &w = *s.m.work;
    const Shape &c = s.m.shape;
    const Share mine(t, s.rows);
    product(l.qkv, s.hidden, nullptr, s.rows, w.qkv.data, l.qkv.outs, t, first_read(l.out, t));
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) place_row(s, l, layer, row);
    t.barrier();
    read_items(s, l, layer, t, w.qkv.data, l.qkv.outs, w.read.data, c.heads * c.head);
    t.barrier();
}

}  // namespace creuset
