#include "step.h"

#include <cstring>
#include <new>

namespace creuset {

static const uint8_t *first_read(const Matrix &m, const Team &t) {
    int32_t begin, end;
    share(m.outs, t.thread, t.threads, &begin, &end);
    return begin < end ? m.data + begin / TILE * tile_bytes(m) : nullptr;
}

const uint8_t *first_read(const Linear &l, const Team &t) { return l.count ? first_read(l.parts[0].matrix, t) : nullptr; }

void product(const Linear &l, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, const Team &t,
             const uint8_t *next) {
    for (int i = 0; i < l.count; i++) {
        const Matrix &m = l.parts[i].matrix;
        Outputs o{index, count, y + l.parts[i].at, ld, 0, 0, i + 1 < l.count ? first_read(l.parts[i + 1].matrix, t) : next};
        share(m.outs, t.thread, t.threads, &o.begin, &o.end);
        multiply(m, rows, o);
    }
}

void add_bias(const Linear &l, float *y) {
    if (!l.bias.empty()) ops().add(y, l.bias.data(), l.outs);
}

void adapt(const Step &s, const Layer &l, Adapted place, int32_t row, const float *x, float *y) {
    const int32_t number = s.spans[s.m.work->span_of[row]].adapter;
    if (!number) return;
    const int64_t layer = &l - s.m.layers.data();
    for (const LowRank &low : s.m.adapters[number - 1][layer * ADAPTED_PLACES + place])
        ops().low_rank(x, low.a.data(), low.b.data(), y + low.at, low.rank, low.ins, low.outs);
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

static void feed_forward(Step &s, const Layer &l, Team &t) {
    Workspace &w = *s.m.work;
    const FeedForward &f = l.dense;
    const Share mine(t, s.rows);
    product(f.up, s.hidden, nullptr, s.rows, w.up.data, f.up.outs, t, first_read(f.down, t));
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) {
        float *up = w.up.data + int64_t(row) * f.up.outs;
        adapt(s, l, ADAPTED_UP, row, w.normed.data + int64_t(row) * s.m.shape.hidden, up);
        bend_row(f, up, w.bent.data + int64_t(row) * f.inner);
    }
    prepare(s.bent, w.bent.data, f.inner, mine.begin, mine.end);
    t.barrier();
    product(f.down, s.bent, nullptr, s.rows, w.down.data, f.down.outs, t, s.after);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) {
        float *down = w.down.data + int64_t(row) * f.down.outs;
        adapt(s, l, ADAPTED_DOWN, row, w.bent.data + int64_t(row) * f.inner, down);
        add_bias(f.down, down);
    }
}

// Layers begin .. end, from the stream to the stream.
static void layers(Step &s, int begin, int end, Team &t) {
    Workspace &w = *s.m.work;
    const Shape &c = s.m.shape;
    const Share mine(t, s.rows);
    for (int layer = begin; layer < end; layer++) {
        const Layer &l = s.m.layers[layer];
        s.after = first_read(layer + 1 < end ? s.m.layers[layer + 1].qkv : s.m.head, t);
        // Rows of one phase stay with their thread in the next: no barrier lies between two that work row by row.
        for (int32_t row = mine.begin; row < mine.end; row++) normed(s, l.norm_in, row);
        s.hidden.forms = l.qkv.forms | l.query.forms;
        prepare(s.hidden, w.normed.data, c.hidden, mine.begin, mine.end);
        t.barrier();
        if (c.kv_rank) latent_attention(s, l, layer, t);
        else attention(s, l, layer, t);
        s.read.forms = l.out.forms;
        prepare(s.read, w.read.data, l.out.parts[0].matrix.ins, mine.begin, mine.end);
        t.barrier();
        product(l.out, s.read, nullptr, s.rows, w.mixed.data, c.hidden, t,
                first_read(l.experts.empty() ? l.dense.up : l.router, t));
        t.barrier();
        for (int32_t row = mine.begin; row < mine.end; row++) {
            float *y = w.mixed.data + int64_t(row) * c.hidden;
            adapt(s, l, ADAPTED_OUT, row, w.read.data + int64_t(row) * l.out.parts[0].matrix.ins, y);
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

static void embed(const Step &s, int32_t row, float *x) {
    const Shape &c = s.m.shape;
    embedding_row(s.m.embedding, s.tokens[row], x);
    if (c.embedding_scale != 1.0f) ops().scale(x, c.embedding_scale, c.hidden);
}

static void run(Step &s, Team &t) {
    const Share mine(t, s.rows);
    for (int32_t row = mine.begin; row < mine.end; row++)
        embed(s, row, s.m.work->stream.data + int64_t(row) * s.m.shape.hidden);
    layers(s, 0, s.m.shape.layers, t);
}

// The layer behind the last: what the model made of some rows of the last batch, beside the tokens that follow them.
static void run_guess(Step &s, const int32_t *rows, Team &t) {
    const Shape &c = s.m.shape;
    const Guess &g = s.m.guess;
    Workspace &w = *s.m.work;
    const Share mine(t, s.rows);
    for (int32_t row = mine.begin; row < mine.end; row++) {
        float *next = w.beside.data + int64_t(row) * 2 * c.hidden, *before = next + c.hidden;
        embed(s, row, next);
        ops().norm(next, g.norm_next.data(), next, c.hidden, c.eps);
        ops().norm(w.stream.data + int64_t(rows[row]) * c.hidden, s.m.norm.data(), before, c.hidden, c.eps);
        ops().norm(before, g.norm_hidden.data(), before, c.hidden, c.eps);
    }
    prepare(s.beside, w.beside.data, 2 * c.hidden, mine.begin, mine.end);
    t.barrier();
    product(g.join, s.beside, nullptr, s.rows, w.stream.data, c.hidden, t, first_read(s.m.layers[c.layers].qkv, t));
    t.barrier();
    layers(s, c.layers, c.layers + 1, t);
}

// Pieces of attention: tokens of one request and one key-value head, as many as keep their scores near.
static void cut(Step &s, int32_t *longest) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const int fold = c.heads / s.cache.heads;
    w.items.clear(), w.span_of.clear(), w.position_of.clear();
    int32_t row = 0;
    *longest = 0;
    for (int32_t i = 0; i < s.span_count; i++) {
        const Span &span = s.spans[i];
        const int tokens = fold >= 12 ? 1 : 12 / fold;  // of one item
        for (int32_t at = 0; at < span.count; at += tokens)
            for (int h = 0; h < s.cache.heads; h++)
                w.items.push_back({i, row + at, span.count - at < tokens ? span.count - at : tokens, h});
        for (int32_t at = 0; at < span.count; at++) w.span_of.push_back(i), w.position_of.push_back(span.first + at);
        row += span.count;
        if (span.first + span.count > *longest) *longest = span.first + span.count;
    }
}

Rows room(Buffer<char> &memory, int32_t rows, int32_t ins, int32_t forms) {
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
        hidden |= l.qkv.forms | l.query.forms | l.dense.up.forms | l.shared.up.forms | forms_of_experts(l, true);
        read |= l.out.forms, bent |= l.dense.down.forms, pairs |= forms_of_experts(l, false);
        shared |= l.shared.down.forms;
        most(shared_up, l.shared.up.outs), most(shared_inner, l.shared.inner);
        for (const FeedForward &e : l.experts) most(pair_up, e.up.outs), most(pair_inner, e.inner);
    }
    w.stream.room(n * c.hidden), w.normed.room(n * c.hidden), w.mixed.room(n * c.hidden), w.down.room(n * c.hidden);
    const int32_t read_width = s.m.layers[0].out.parts[0].matrix.ins;
    w.qkv.room(n * qkv), w.read.room(n * read_width);
    w.up.room(n * up + 1), w.bent.room(n * inner + 1);
    s.hidden = room(w.for_hidden, s.rows, c.hidden, hidden);
    s.read = room(w.for_read, s.rows, read_width, read);
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
    if (c.kv_rank) lay_out_latent(s);
    if (s.m.guess.join.count) {
        w.beside.room(n * 2 * c.hidden);
        s.beside = room(w.for_beside, s.rows, 2 * c.hidden, s.m.guess.join.forms);
    }
    int32_t longest;
    cut(s, &longest);
    s.scratch_of_thread = reading_floats(8, s.cache.head, longest);  // of the rows that are read at once
    w.scratch.room(s.scratch_of_thread * s.m.threads * sizeof(float));
    if (!w.next) w.next.reset(new std::atomic<int32_t>[s.m.layers.size()]);
    for (size_t layer = 0; layer < s.m.layers.size(); layer++) w.next[layer].store(0, std::memory_order_relaxed);
    w.rows = s.rows;
}

static int checked(const Model &m, const Cache &cache, int32_t rows, const int32_t *tokens, int32_t span_count,
                   const Span *spans, const int32_t *block_counts) {
    int64_t counted = 0;
    for (int32_t row = 0; row < rows; row++)
        if (tokens[row] < 0 || tokens[row] >= m.shape.vocab) return 1;
    for (int32_t i = 0; i < span_count; i++) {
        const Span &span = spans[i];
        const int64_t end = int64_t(span.first) + span.count;
        counted += span.count;
        if (span.adapter < 0 || span.adapter > int32_t(m.adapters.size())) return 1;
        if (span.first < 0 || span.count < 1 || end > int64_t(block_counts[i]) * cache.block_size) return 1;
        for (int32_t b = 0; b < block_counts[i]; b++)
            if (span.blocks[b] < 0 || span.blocks[b] >= cache.blocks) return 1;
        if (end > m.tables[span.beyond ? 2 : 0].positions) return 1;
    }
    return counted != rows;
}

// `from`: rows of the last batch that are read by the layer behind the last; null: tokens by the model.
static int compute(Model *m, const Cache *cache, int32_t rows, const int32_t *tokens, int32_t span_count, const Span *spans,
                   const int32_t *block_counts, const int32_t *from) {
    if (int wrong = checked(*m, *cache, rows, tokens, span_count, spans, block_counts)) return wrong;
    if (!rows) return 0;
    try {
        Step step{*m, *cache, tokens, spans, rows, span_count, 0, {}, {}, {}, {}, {}, {}, {}, {}, {}, nullptr};
        if (from) {
            for (int32_t i = 0; i < rows; i++)
                if (from[i] < 0 || from[i] >= m->work->rows) return 1;
            if (rows > m->work->rows) return 1;
        }
        lay_out(step);
        together(rows <= m->alone ? nullptr : m->pool, [&step, from](Team &team) {
            Step own = step;  // each thread notes for itself which forms of the rows are there
            from ? run_guess(own, from, team) : run(own, team);
        });
    } catch (const std::bad_alloc &) {
        return 2;
    }
    return 0;
}

}  // namespace creuset

using namespace creuset;

// 0: done. 1: a token, position, block or adapter is not there. 2: no memory.
CREUSET_API int creuset_forward(Model *m, const Cache *cache, int32_t rows, const int32_t *tokens, int32_t span_count,
                                const Span *spans, const int32_t *block_counts) {
    m->guessed = false;
    return compute(m, cache, rows, tokens, span_count, spans, block_counts, nullptr);
}

// As creuset_forward, and the experts of each row into `routed` (layers, rows, chosen); layers without experts leave theirs.
CREUSET_API int creuset_routed(Model *m, const Cache *cache, int32_t rows, const int32_t *tokens, int32_t span_count,
                               const Span *spans, const int32_t *block_counts, int32_t *routed) {
    m->guessed = false;
    m->routed = routed;
    const int failed = compute(m, cache, rows, tokens, span_count, spans, block_counts, nullptr);
    m->routed = nullptr;
    return failed;
}

// As creuset_forward, by the layer that guesses: row i stands for row from[i] of the last batch, beside the token behind it.
// The logits of its rows are then those of the token after the next; the last batch's own can no longer be had.
CREUSET_API int creuset_guess(Model *m, const Cache *cache, int32_t rows, const int32_t *tokens, int32_t span_count,
                              const Span *spans, const int32_t *block_counts, const int32_t *from) {
    if (!m->guess.join.count || m->guessed) return 1;
    int failed = compute(m, cache, rows, tokens, span_count, spans, block_counts, from);
    m->guessed = !failed;
    return failed;
}
