// Routed experts: who goes where (model/layers/router.py), and each expert on the rows that were sent to it.
#include <cmath>
#include <cstring>

#include "step.h"

namespace creuset {

int32_t forms_of_experts(const Layer &l, bool up) {
    int32_t forms = 0;
    for (const FeedForward &e : l.experts) forms |= up ? e.up.forms : e.down.forms;
    return forms;
}

// The `count` highest of `n`, highest first; of equals, the lower index first. A NaN is lower than all.
static void highest(const float *x, int32_t n, int32_t count, int32_t *found) {
    for (int32_t i = 0, held = 0; i < n; i++) {
        if (held == count && !(x[i] > x[found[count - 1]])) continue;
        int32_t at = held < count ? held++ : count - 1;
        for (; at && x[i] > x[found[at - 1]]; at--) found[at] = found[at - 1];
        found[at] = i;
    }
}

// Chooses the experts of one row out of its logits, which become scores.
static void choose(const Shape &c, const Layer &l, float *scores, int32_t *experts, float *weights) {
    if (c.router_sigmoid) ops().sigmoid(scores, c.experts);
    else ops().softmax(scores, c.experts);
    float choice[4096];
    const float *by = scores;
    if (!l.correction.empty() || c.groups > 1) {
        memcpy(choice, scores, sizeof(float) * c.experts);
        if (!l.correction.empty()) ops().add(choice, l.correction.data(), c.experts);
        by = choice;
    }
    if (c.groups > 1) {
        // A group is as good as its best expert, with sigmoids as its two best together.
        float goodness[4096];
        int32_t best[2], kept[4096];
        const int32_t size = c.experts / c.groups, counted = c.router_sigmoid ? 2 : 1;
        for (int32_t g = 0; g < c.groups; g++) {
            highest(choice + g * size, size, counted, best);
            goodness[g] = choice[g * size + best[0]] + (counted == 2 ? choice[g * size + best[1]] : 0.0f);
        }
        highest(goodness, c.groups, c.groups_chosen, kept);
        for (int32_t g = 0; g < c.groups; g++) {
            bool open = false;
            for (int32_t i = 0; i < c.groups_chosen; i++) open |= kept[i] == g;
            if (!open)
                for (int32_t e = 0; e < size; e++) choice[g * size + e] = -INFINITY;
        }
    }
    for (int32_t k = 0; k < c.chosen; k++) experts[k] = k;  // where all are NaN
    highest(by, c.experts, c.chosen, experts);
    float total = 0;
    for (int32_t k = 0; k < c.chosen; k++) weights[k] = scores[experts[k]], total += weights[k];
    if (c.norm_chosen) {
        if (c.router_sigmoid) total += 1e-20f;
        for (int32_t k = 0; k < c.chosen; k++) weights[k] /= total;
    }
    for (int32_t k = 0; k < c.chosen; k++) weights[k] *= c.router_scale;
}

// Copies of rows in the order of their experts: expert e has those from expert_begin[e] on.
static void sort(const Shape &c, Workspace &w, int32_t rows) {
    const int32_t copies = rows * c.chosen;
    int32_t *begin = w.expert_begin.data;
    memset(begin, 0, sizeof(int32_t) * (c.experts + 1));
    for (int32_t i = 0; i < copies; i++) begin[w.chosen.data[i] + 1]++;
    for (int32_t e = 0; e < c.experts; e++) begin[e + 1] += begin[e];
    int32_t *row = w.row_of_pair.data, *itself = row + copies;
    for (int32_t i = 0; i < copies; i++) {
        int32_t at = begin[w.chosen.data[i]]++;
        w.place.data[i] = at, row[at] = i / c.chosen, itself[at] = at;
    }
    for (int32_t e = c.experts; e > 0; e--) begin[e] = begin[e - 1];
    begin[0] = 0;
}

// The first expert from `e` on that has rows.
static int32_t asked(const Workspace &w, int32_t e, int32_t experts) {
    while (e < experts && w.expert_begin.data[e + 1] == w.expert_begin.data[e]) e++;
    return e;
}

// The up or down products of all experts that have rows. `next`: what is read behind the last.
static void all_experts(const Layer &l, bool up, const Rows &rows, const int32_t *index, const Workspace &w, float *y,
                        int64_t ld, const Team &t, const uint8_t *next) {
    const int32_t *begin = w.expert_begin.data, experts = int32_t(l.experts.size());
    const auto linear = [&](int32_t e) -> const Linear & { return up ? l.experts[e].up : l.experts[e].down; };
    for (int32_t e = asked(w, 0, experts), then; e < experts; e = then) {
        then = asked(w, e + 1, experts);
        product(linear(e), rows, index + begin[e], begin[e + 1] - begin[e], y + begin[e] * ld, ld, t,
                then < experts ? first_read(linear(then), t) : next);
    }
}

void experts(Step &s, const Layer &l, Team &t) {
    const Shape &c = s.m.shape;
    Workspace &w = *s.m.work;
    const Ops &o = ops();
    const Share mine(t, s.rows);
    const FeedForward &shared = l.shared;
    const int32_t copies = s.rows * c.chosen, inner = l.experts[0].inner, up = l.experts[0].up.outs;
    product(l.router, s.hidden, nullptr, s.rows, w.scores.data, c.experts, t);
    if (shared.inner) product(shared.up, s.hidden, nullptr, s.rows, w.shared_up.data, shared.up.outs, t);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) {
        float *scores = w.scores.data + int64_t(row) * c.experts;
        add_bias(l.router, scores);
        choose(c, l, scores, w.chosen.data + row * c.chosen, w.weights.data + row * c.chosen);
        if (s.m.routed)
            memcpy(s.m.routed + ((&l - s.m.layers.data()) * int64_t(s.rows) + row) * c.chosen, w.chosen.data + row * c.chosen,
                   sizeof(int32_t) * c.chosen);
        if (shared.inner)
            bend_row(shared, w.shared_up.data + int64_t(row) * shared.up.outs,
                     w.shared_bent.data + int64_t(row) * shared.inner);
    }
    if (shared.inner) {
        s.shared.forms = shared.down.forms;
        prepare(s.shared, w.shared_bent.data, shared.inner, mine.begin, mine.end);
    }
    t.barrier();
    if (t.thread == 0) sort(c, w, s.rows);
    t.barrier();
    all_experts(l, true, s.hidden, w.row_of_pair.data, w, w.pair_up.data, up, t,
                first_read(l.experts[asked(w, 0, c.experts)].down, t));
    if (shared.inner) product(shared.down, s.shared, nullptr, s.rows, w.shared_down.data, c.hidden, t);
    t.barrier();
    const Share pairs(t, copies);
    for (int32_t e = 0; e < c.experts; e++)
        for (int32_t i = w.expert_begin.data[e]; i < w.expert_begin.data[e + 1]; i++)
            if (i >= pairs.begin && i < pairs.end)
                bend_row(l.experts[e], w.pair_up.data + int64_t(i) * up, w.pair_bent.data + int64_t(i) * inner);
    prepare(s.pairs, w.pair_bent.data, inner, pairs.begin, pairs.end);
    t.barrier();
    all_experts(l, false, s.pairs, w.row_of_pair.data + copies, w, w.pair_down.data, c.hidden, t, s.after);
    t.barrier();
    for (int32_t row = mine.begin; row < mine.end; row++) {
        float *y = w.down.data + int64_t(row) * c.hidden;
        memset(y, 0, sizeof(float) * c.hidden);
        for (int32_t k = 0; k < c.chosen; k++) {
            const int32_t i = row * c.chosen + k;
            float *part = w.pair_down.data + int64_t(w.place.data[i]) * c.hidden;
            add_bias(l.experts[w.chosen.data[i]].down, part);
            o.add_times(y, part, w.weights.data[i], c.hidden);
        }
        if (!shared.inner) continue;
        float by = 1;
        if (!l.shared_gate.empty()) {
            by = o.dot(w.normed.data + int64_t(row) * c.hidden, l.shared_gate.data(), c.hidden);
            o.sigmoid(&by, 1);
        }
        o.add_times(y, w.shared_down.data + int64_t(row) * c.hidden, by, c.hidden);
    }
}

}  // namespace creuset
