#include "step.h"

#include <cstring>
#include <new>

namespace creuset {

void product(const Linear &l, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, const Team &t) {
    for (int i = 0; i < l.count; i++) {
        int32_t begin, end;
        share(l.parts[i].matrix.outs, t.thread, t.threads, &begin, &end);
        if (begin < end) multiply(l.parts[i].matrix, rows, index, count, y + l.parts[i].at, ld, begin, end);
    }
}

void add_bias(const Linear &l, float *y) {
    if (!l.bias.empty()) ops().add(y, l.bias.data(), l.outs);
}

void bend_row(const FeedForward &f, float *up, float *out) {
    add_bias(f.up, up);
    ops().bend(f.bend, up, f.bend.gated ? up + f.inner : up, out, f.inner);
}

// What goes into a product: normed where there is a norm, else the stream itself.
static void normed(const Step &s, const std::vector<float> &weight, int32_t row) {
    const Shape &c = s.m.shape;
    const float *x = s.m.work->stream.data + int64_t(row) * c.hidden;
    float *h = s.m.work->normed.data + int64_t(row) * c.hidden;
    if (weight.empty()) memcpy(h, x, sizeof(float) * c.hidden);
    else ops().norm(x, weight.data(), h, c.hidden, c.eps);
}

// Adds what a part of a layer gave, normed where the family norms it behind.
static void join(const Step &s, const std::vector<float> &weight, int32_t row, float *y) {
    const Shape &c = s.m.shape;
    if (!weight.empty()) ops().norm(y, weight.data(), y, c.hidden, c.eps);
    ops().add(s.m.work->stream.data + int64_t(row) * c.hidden, y, c.hidden);
}

// Queries and keys of one row: bias, norms, limits, rotation; keys and values go into the cache.
static void place_row(const Step &s, const Layer &l, int layer, int32_t row) {
    const Shape &c = s.m.shape;
    const Ops &o = ops();
    Workspace &w = *s.m.work;
    float *q = w.qkv.data + int64_t(row) * l.qkv.outs, *k = q + c.heads * c.head, *v = k + c.kv_heads * c.head;
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
    const Span &span = s.spans[w.span_of[row]];
    const int32_t position = w.position_of[row], pairs = c.rotated / 2;
    const Table &table = s.m.tables[l.table + (span.beyond ? 2 : 0)];
    const float *cosines = table.cosines + int64_t(position) * pairs, *sines = table.sines + int64_t(position) * pairs;
    for (int h = 0; h < c.heads + c.kv_heads; h++) o.rotate(q + h * c.head, cosines, sines, pairs);
    o.scale(q, c.scale, c.heads * c.head);
    const int block = span.blocks[position / s.cache.block_size], within = position % s.cache.block_size;
    for (int h = 0; h < c.kv_heads; h++) s.cache.write(layer, block, within, h, k + h * c.head, v + h * c.head);
}

static void read_items(const Step &s, const Layer &l, int layer, const Team &t) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const int fold = c.heads / c.kv_heads;
    Reading a{};
    a.ld = l.qkv.outs, a.out_ld = c.heads * c.head;
    a.heads = fold, a.head = a.value = c.head;
    a.window = l.window, a.cap = c.attention_cap;
    a.block_size = s.cache.block_size, a.type = s.cache.type;
    a.key_stride = s.cache.key_head() * c.kv_heads, a.value_stride = s.cache.value_head() * c.kv_heads;
    a.scratch = reinterpret_cast<float *>(w.scratch.data) + s.scratch_of_thread * t.thread;
    for (int32_t i; (i = w.next[layer].fetch_add(1, std::memory_order_relaxed)) < int32_t(w.items.size());) {
        const Workspace::Item &item = w.items[i];
        const Span &span = s.spans[item.span];
        a.queries = w.qkv.data + int64_t(item.row) * l.qkv.outs + item.head * fold * c.head;
        a.out = w.read.data + int64_t(item.row) * a.out_ld + item.head * fold * c.head;
        a.tokens = item.tokens, a.first = w.position_of[item.row];
        a.sinks = l.sinks.empty() ? nullptr : l.sinks.data() + item.head * fold;
        a.blocks = span.blocks;
        a.keys = s.cache.key_at(layer, 0, item.head), a.values = s.cache.value_at(layer, 0, item.head);
        ops().read(a);
    }
}

static void attention(Step &s, const Layer &l, int layer, Team &t) {
    Workspace &w = *s.m.work;
    const Shape &c = s.m.shape;
    const Share mine(t, s.rows);
    product(l.qkv, s.hidden, nullptr, s.rows, w.qkv.data, l.qkv.outs, t);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) place_row(s, l, layer, row);
    t.barrier();
    read_items(s, l, layer, t);
    t.barrier();
    prepare(s.read, w.read.data, c.heads * c.head, mine.begin, mine.end);
    t.barrier();
    product(l.out, s.read, nullptr, s.rows, w.mixed.data, c.hidden, t);
    t.barrier();
}

static void feed_forward(Step &s, const Layer &l, Team &t) {
    Workspace &w = *s.m.work;
    const FeedForward &f = l.dense;
    const Share mine(t, s.rows);
    product(f.up, s.hidden, nullptr, s.rows, w.up.data, f.up.outs, t);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++)
        bend_row(f, w.up.data + int64_t(row) * f.up.outs, w.bent.data + int64_t(row) * f.inner);
    prepare(s.bent, w.bent.data, f.inner, mine.begin, mine.end);
    t.barrier();
    product(f.down, s.bent, nullptr, s.rows, w.down.data, f.down.outs, t);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) add_bias(f.down, w.down.data + int64_t(row) * f.down.outs);
}

static void run(Step &s, Team &t) {
    Workspace &w = *s.m.work;
    const Shape &c = s.m.shape;
    const Share mine(t, s.rows);
    for (int32_t row = mine.begin; row < mine.end; row++) {
        float *x = w.stream.data + int64_t(row) * c.hidden;
        embedding_row(s.m.embedding, s.tokens[row], x);
        if (c.embedding_scale != 1.0f) ops().scale(x, c.embedding_scale, c.hidden);
    }
    for (int layer = 0; layer < c.layers; layer++) {
        const Layer &l = s.m.layers[layer];
        // Rows of one phase stay with their thread in the next: no barrier lies between two that work row by row.
        for (int32_t row = mine.begin; row < mine.end; row++) normed(s, l.norm_in, row);
        s.hidden.forms = l.qkv.forms;
        prepare(s.hidden, w.normed.data, c.hidden, mine.begin, mine.end);
        t.barrier();
        attention(s, l, layer, t);
        for (int32_t row = mine.begin; row < mine.end; row++) {
            float *y = w.mixed.data + int64_t(row) * c.hidden;
            add_bias(l.out, y);
            join(s, c.norm_place == 0 ? std::vector<float>() : l.norm_middle, row, y);
            normed(s, c.norm_place == 0 ? l.norm_middle : l.norm_before, row);
        }
        s.hidden.forms = l.experts.empty() ? l.dense.up.forms
                                           : FORM_F32 | forms_of_experts(l, true) | l.shared.up.forms;
        prepare(s.hidden, w.normed.data, c.hidden, mine.begin, mine.end);
        t.barrier();
        if (l.experts.empty()) feed_forward(s, l, t);
        else experts(s, l, t);
        for (int32_t row = mine.begin; row < mine.end; row++)
            join(s, l.norm_after, row, w.down.data + int64_t(row) * c.hidden);
    }
}

// Pieces of attention: tokens of one request and one key-value head, as many as keep their scores near.
static void cut(Step &s, int32_t *longest) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const int fold = c.heads / c.kv_heads;
    w.items.clear(), w.span_of.clear(), w.position_of.clear();
    int32_t row = 0;
    *longest = 0;
    for (int32_t i = 0; i < s.span_count; i++) {
        const Span &span = s.spans[i];
        const int tokens = fold >= 12 ? 1 : 12 / fold;  // of one item
        for (int32_t at = 0; at < span.count; at += tokens)
            for (int h = 0; h < c.kv_heads; h++)
                w.items.push_back({i, row + at, span.count - at < tokens ? span.count - at : tokens, h});
        for (int32_t at = 0; at < span.count; at++) w.span_of.push_back(i), w.position_of.push_back(span.first + at);
        row += span.count;
        if (span.first + span.count > *longest) *longest = span.first + span.count;
    }
}

static Rows room(Buffer<char> &memory, int32_t rows, int32_t ins, int32_t forms) {
    return rows_in(memory.room(rows_bytes(rows, ins, forms)), rows, ins, forms);
}

static void lay_out(Step &s) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const int64_t n = s.rows;
    int64_t qkv = 0, up = 0, inner = 0, pair_up = 0, pair_inner = 0, shared_up = 0, shared_inner = 0;
    int32_t hidden = FORM_F32, read = 0, bent = 0, pairs = 0, shared = 0;
    auto most = [](int64_t &a, int64_t b) { a = a > b ? a : b; };
    for (const Layer &l : s.m.layers) {
        most(qkv, l.qkv.outs), most(up, l.dense.up.outs), most(inner, l.dense.inner);
        hidden |= l.qkv.forms | l.dense.up.forms | l.shared.up.forms | forms_of_experts(l, true);
        read |= l.out.forms, bent |= l.dense.down.forms, pairs |= forms_of_experts(l, false);
        shared |= l.shared.down.forms;
        most(shared_up, l.shared.up.outs), most(shared_inner, l.shared.inner);
        for (const FeedForward &e : l.experts) most(pair_up, e.up.outs), most(pair_inner, e.inner);
    }
    w.stream.room(n * c.hidden), w.normed.room(n * c.hidden), w.mixed.room(n * c.hidden), w.down.room(n * c.hidden);
    w.qkv.room(n * qkv), w.read.room(n * c.heads * c.head);
    w.up.room(n * up + 1), w.bent.room(n * inner + 1);
    s.hidden = room(w.for_hidden, s.rows, c.hidden, hidden);
    s.read = room(w.for_read, s.rows, c.heads * c.head, read);
    if (inner) s.bent = room(w.for_bent, s.rows, int32_t(inner), bent);
    if (c.experts) {
        const int64_t copies = n * c.chosen;
        w.scores.room(n * c.experts), w.weights.room(copies), w.chosen.room(copies), w.place.room(copies);
        w.row_of_pair.room(copies * 2), w.expert_begin.room(c.experts + 1);
        w.pair_up.room(copies * pair_up), w.pair_bent.room(copies * pair_inner), w.pair_down.room(copies * c.hidden);
        s.pairs = room(w.for_pairs, int32_t(copies), int32_t(pair_inner), pairs);
        if (shared_inner) {
            w.shared_up.room(n * shared_up), w.shared_bent.room(n * shared_inner), w.shared_down.room(n * c.hidden);
            s.shared = room(w.for_shared, s.rows, int32_t(shared_inner), shared);
        }
    }
    int32_t longest;
    cut(s, &longest);
    const int fold = c.heads / c.kv_heads;
    s.scratch_of_thread = reading_floats(fold > 12 ? fold : 12, c.head, longest);
    w.scratch.room(s.scratch_of_thread * s.m.threads * sizeof(float));
    if (!w.next) w.next.reset(new std::atomic<int32_t>[c.layers]);
    for (int layer = 0; layer < c.layers; layer++) w.next[layer].store(0, std::memory_order_relaxed);
    w.rows = s.rows;
}

}  // namespace creuset

using namespace creuset;

// 0: done. 1: a token, position or block is not there. 2: no memory.
CREUSET_API int creuset_forward(Model *m, const Cache *cache, int32_t rows, const int32_t *tokens, int32_t span_count,
                                const Span *spans, const int32_t *block_counts) {
    int64_t counted = 0;
    for (int32_t row = 0; row < rows; row++)
        if (tokens[row] < 0 || tokens[row] >= m->shape.vocab) return 1;
    for (int32_t i = 0; i < span_count; i++) {
        const Span &span = spans[i];
        const int64_t end = int64_t(span.first) + span.count;
        counted += span.count;
        if (span.first < 0 || span.count < 1 || end > int64_t(block_counts[i]) * cache->block_size) return 1;
        for (int32_t b = 0; b < block_counts[i]; b++)
            if (span.blocks[b] < 0 || span.blocks[b] >= cache->blocks) return 1;
        if (end > m->tables[span.beyond ? 2 : 0].positions) return 1;
    }
    if (counted != rows) return 1;
    if (!rows) return 0;
    try {
        Step step{*m, *cache, tokens, spans, rows, span_count, 0, {}, {}, {}, {}, {}};
        lay_out(step);
        together(rows <= m->alone ? nullptr : m->pool, [&step](Team &team) {
            Step own = step;  // each thread notes for itself which forms of the rows are there
            run(own, team);
        });
    } catch (const std::bad_alloc &) {
        return 2;
    }
    return 0;
}
