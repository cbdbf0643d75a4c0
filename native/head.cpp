// From rows of the last batch to logits, candidates and log-probabilities.
#include <cmath>
#include <cstring>
#include <new>

#include "step.h"

namespace creuset {

// The stream of one row of the last batch, behind the norm that its head reads.
static void final_norm(const Model &m, int32_t row, float *out) {
    const Shape &c = m.shape;
    ops().norm(m.work->stream.data + int64_t(row) * c.hidden, (m.guessed ? m.guess.norm : m.norm).data(), out, c.hidden, c.eps);
}

// Logits of `count` rows into `out` (count, vocab).
static void logits(Model &m, const int32_t *rows, int32_t count, float *out) {
    const Shape &c = m.shape;
    Workspace &w = *m.work;
    w.normed.room(int64_t(count) * c.hidden);
    Rows prepared = rows_in(w.for_hidden.room(rows_bytes(count, c.hidden, m.head.forms)), count, c.hidden, m.head.forms);
    together(count <= m.alone ? nullptr : m.pool, [&](Team &t) {
        const Share mine(t, count);
        for (int32_t i = mine.begin; i < mine.end; i++) final_norm(m, rows[i], w.normed.data + int64_t(i) * c.hidden);
        prepare(prepared, w.normed.data, c.hidden, mine.begin, mine.end);
        t.barrier();
        product(m.head, prepared, nullptr, count, out, c.vocab, t);
        if (!c.final_cap) return;
        t.barrier();
        for (int32_t i = mine.begin; i < mine.end; i++) ops().cap(out + int64_t(i) * c.vocab, c.final_cap, c.vocab);
    });
}

static bool known(const Model &m, const int32_t *rows, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        if (rows[i] < 0 || rows[i] >= m.work->rows) return false;
    return true;
}

// The `count` highest of `n`, highest first; of equals, the lower index first. Pieces with nothing higher are passed over.
static void likeliest(const float *x, int32_t n, int32_t count, int64_t *ids) {
    const int32_t piece = 64;
    int32_t held = 0;
    for (int32_t begin = 0; begin < n; begin += piece) {
        const int32_t end = begin + piece < n ? begin + piece : n;
        if (held == count && !(ops().largest(x + begin, end - begin) > x[ids[count - 1]])) continue;
        for (int32_t i = begin; i < end; i++) {
            if (held == count && !(x[i] > x[ids[count - 1]])) continue;
            int32_t at = held < count ? held++ : count - 1;
            for (; at && x[i] > x[ids[at - 1]]; at--) ids[at] = ids[at - 1];
            ids[at] = i;
        }
    }
}

constexpr int32_t AT_ONCE = 64;  // rows of logits that are held

// each(i, logits of rows[i]) for all rows.
template <typename F>
static int for_each(Model &m, const int32_t *rows, int32_t count, F each) {
    if (!known(m, rows, count)) return 1;
    try {
        const int64_t vocab = m.shape.vocab;
        for (int32_t begin = 0; begin < count; begin += AT_ONCE) {
            const int32_t some = count - begin < AT_ONCE ? count - begin : AT_ONCE;
            float *x = m.work->logits.room(some * vocab);
            logits(m, rows + begin, some, x);
            together(some <= m.alone ? nullptr : m.pool, [&](Team &t) {
                const Share mine(t, some);
                for (int32_t i = mine.begin; i < mine.end; i++) each(begin + i, x + i * vocab);
            });
        }
    } catch (const std::bad_alloc &) {
        return 2;
    }
    return 0;
}

}  // namespace creuset

using namespace creuset;

// All return 0, or 1: a row is not of the last batch, 2: no memory.
CREUSET_API int creuset_logits(Model *m, const int32_t *rows, int32_t count, float *out) {
    if (!known(*m, rows, count)) return 1;
    try {
        if (count) logits(*m, rows, count, out);
    } catch (const std::bad_alloc &) {
        return 2;
    }
    return 0;
}

// Hidden states of `count` rows behind the final norm, into `out` (count, hidden).
CREUSET_API int creuset_hidden(Model *m, const int32_t *rows, int32_t count, float *out) {
    if (!known(*m, rows, count)) return 1;
    for (int32_t i = 0; i < count; i++) final_norm(*m, rows[i], out + int64_t(i) * m->shape.hidden);
    return 0;
}

// ids and values (count, k), sums (count): the k likeliest of the first `within`, and ln of the sum of all e^logit.
CREUSET_API int creuset_candidates(Model *m, const int32_t *rows, int32_t count, int32_t k, int32_t within, int64_t *ids,
                                   float *values, double *sums) {
    if (k < 1 || k > within || within > m->shape.vocab) return 1;
    return for_each(*m, rows, count, [&](int32_t i, const float *x) {
        likeliest(x, within, k, ids + int64_t(i) * k);
        for (int32_t j = 0; j < k; j++) values[int64_t(i) * k + j] = x[ids[int64_t(i) * k + j]];
        sums[i] = ops().log_sum(x, m->shape.vocab);
    });
}

// ln p of targets[i] after rows[i], and whether it is the likeliest token.
CREUSET_API int creuset_targets(Model *m, const int32_t *rows, int32_t count, const int32_t *targets, double *values,
                                uint8_t *best) {
    for (int32_t i = 0; i < count; i++)
        if (targets[i] < 0 || targets[i] >= m->shape.vocab) return 1;
    return for_each(*m, rows, count, [&](int32_t i, const float *x) {
        int64_t first = -1;
        likeliest(x, m->shape.vocab, 1, &first);
        values[i] = double(x[targets[i]]) - ops().log_sum(x, m->shape.vocab);
        best[i] = first == targets[i];
    });
}
