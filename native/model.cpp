// How a model is put together and taken apart, for callers of the plain C interface.
#include "model.h"

#include <cstring>

#include "step.h"

namespace creuset {

void Linear::add(const Matrix &m) {
    parts[count++] = {m, outs};
    outs += m.outs;
    forms |= form_of(m.kind);
}

Model::Model(const Shape &s) : shape(s), layers(s.layers + s.next_layers), work(new Workspace) {}
Model::~Model() {
    if (pool) pool_free(pool);
}

// Where a matrix or a vector belongs: the same numbers as in creuset/engine/backend/native/interface.py.
enum Place : int32_t {
    QKV = 0, OUT = 1, UP = 2, DOWN = 3, ROUTER = 4, SHARED_UP = 5, SHARED_DOWN = 6, EXPERT_UP = 7, EXPERT_DOWN = 8,
    HEAD = 9, EMBEDDING = 10, QUERY = 11, INTO = 12, OUT_OF = 13, JOIN = 14,
    NORM_IN = 20, NORM_MIDDLE = 21, NORM_BEFORE = 22, NORM_AFTER = 23, Q_NORM = 24, K_NORM = 25, SINKS = 26,
    CORRECTION = 27, SHARED_GATE = 28, NORM_LAST = 29, NORM_NEXT = 30,
    NORM_HIDDEN = 31, NORM_GUESS = 32,
};

static Linear *linear_at(Model &m, int32_t layer, int32_t place, int32_t expert) {
    if (place == HEAD) return &m.head;
    if (place == JOIN) return &m.guess.join;
    if (layer < 0 || layer >= int32_t(m.layers.size())) return nullptr;
    Layer &l = m.layers[layer];
    switch (place) {
        case QKV: return &l.qkv;
        case OUT: return &l.out;
        case UP: return &l.dense.up;
        case DOWN: return &l.dense.down;
        case ROUTER: return &l.router;
        case SHARED_UP: return &l.shared.up;
        case SHARED_DOWN: return &l.shared.down;
        case QUERY: return &l.query;
        case INTO:
        case OUT_OF:
            if (expert < 0 || expert >= m.shape.heads) return nullptr;
            if (l.into.empty()) l.into.resize(m.shape.heads), l.out_of.resize(m.shape.heads);
            return place == INTO ? &l.into[expert] : &l.out_of[expert];
        case EXPERT_UP:
        case EXPERT_DOWN:
            if (expert < 0 || expert >= m.shape.experts) return nullptr;
            if (l.experts.empty()) l.experts.resize(m.shape.experts);
            return place == EXPERT_UP ? &l.experts[expert].up : &l.experts[expert].down;
        default: return nullptr;
    }
}

static std::vector<float> *vector_at(Model &m, int32_t layer, int32_t place, int32_t expert) {
    if (place == NORM_LAST) return &m.norm;
    if (place == NORM_NEXT) return &m.guess.norm_next;
    if (place == NORM_HIDDEN) return &m.guess.norm_hidden;
    if (place == NORM_GUESS) return &m.guess.norm;
    if (place < NORM_IN) {
        Linear *linear = linear_at(m, layer, place, expert);
        return linear ? &linear->bias : nullptr;
    }
    if (layer < 0 || layer >= int32_t(m.layers.size())) return nullptr;
    Layer &l = m.layers[layer];
    switch (place) {
        case NORM_IN: return &l.norm_in;
        case NORM_MIDDLE: return &l.norm_middle;
        case NORM_BEFORE: return &l.norm_before;
        case NORM_AFTER: return &l.norm_after;
        case Q_NORM: return &l.q_norm;
        case K_NORM: return &l.k_norm;
        case SINKS: return &l.sinks;
        case CORRECTION: return &l.correction;
        case SHARED_GATE: return &l.shared_gate;
        default: return nullptr;
    }
}

}  // namespace creuset

using namespace creuset;

CREUSET_API Model *creuset_model_new(const Shape *shape) {
    if (shape->bytes != sizeof(Shape)) return nullptr;
    try {
        return new Model(*shape);
    } catch (...) {
        return nullptr;
    }
}
CREUSET_API void creuset_model_free(Model *m) { delete m; }

// 0; or 1: there is no such place, 2: no memory.
CREUSET_API int creuset_model_matrix(Model *m, int32_t layer, int32_t place, int32_t expert, const Matrix *matrix) {
    if (place == EMBEDDING) {
        m->embedding = *matrix;
        return 0;
    }
    Linear *linear = linear_at(*m, layer, place, expert);
    if (!linear || linear->count == 3) return 1;
    linear->add(*matrix);
    return 0;
}

CREUSET_API int creuset_model_vector(Model *m, int32_t layer, int32_t place, int32_t expert, const float *values, int64_t n) {
    std::vector<float> *target = vector_at(*m, layer, place, expert);
    if (!target) return 1;
    try {
        target->assign(values, values + n);
    } catch (...) {
        return 2;
    }
    return 0;
}

// `xielu`: four numbers of the activation, or null.
CREUSET_API int creuset_model_layer(Model *m, int32_t layer, int32_t window, int32_t table, const float *xielu) {
    if (layer < 0 || layer >= int32_t(m->layers.size())) return 1;
    Layer &l = m->layers[layer];
    l.window = window, l.table = table;
    const Shape &s = m->shape;
    Activation bend{s.activation, s.gated, s.bend_a, s.bend_b, 0, 0};
    if (xielu) bend.a = xielu[0], bend.b = xielu[1], bend.c = xielu[2], bend.d = xielu[3];
    auto finish = [](FeedForward &f, const Activation &how) {
        f.bend = how;
        f.inner = how.gated ? f.up.outs / 2 : f.up.outs;
    };
    finish(l.dense, bend);
    finish(l.shared, Activation{SILU, 1, 0, 0, 0, 0});
    for (FeedForward &expert : l.experts) finish(expert, bend);
    return 0;
}

// The number of a new adapter, which changes nothing yet; 0: no memory.
CREUSET_API int32_t creuset_model_adapter(Model *m) {
    try {
        m->adapters.emplace_back(m->layers.size() * ADAPTED_PLACES);
    } catch (...) {
        return 0;
    }
    return int32_t(m->adapters.size());
}

// `place`: QKV, OUT, UP or DOWN. `a` (rank, ins), `b` (rank, outs). 0; or 1: there is no such place, 2: no memory.
CREUSET_API int creuset_model_low_rank(Model *m, int32_t adapter, int32_t layer, int32_t place, int32_t at, int32_t outs,
                                       int32_t ins, int32_t rank, const float *a, const float *b) {
    if (adapter < 1 || adapter > int32_t(m->adapters.size()) || place < QKV || place > DOWN || m->shape.kv_rank) return 1;
    const Linear *linear = linear_at(*m, layer, place, 0);
    if (!linear || !linear->count || linear->parts[0].matrix.ins != ins || at < 0 || at + outs > linear->outs) return 1;
    try {
        std::vector<LowRank> &here = m->adapters[adapter - 1][int64_t(layer) * ADAPTED_PLACES + place];
        here.push_back({at, outs, ins, rank, {a, a + int64_t(rank) * ins}, {b, b + int64_t(rank) * outs}});
    } catch (...) {
        return 2;
    }
    return 0;
}

CREUSET_API int creuset_model_table(Model *m, int32_t table, const float *cosines, const float *sines, int32_t positions) {
    if (table < 0 || table > 3) return 1;
    m->tables[table] = {cosines, sines, positions};
    return 0;
}

// Compute with so many threads; 0: one for each processor. Up to `alone` rows one of them does it all. Returns their
// number, 0 where there is no memory for them.
CREUSET_API int32_t creuset_model_threads(Model *m, int32_t threads, int32_t alone) {
    if (m->pool) pool_free(m->pool);
    m->pool = nullptr, m->threads = 1, m->alone = alone;
    if (threads == 1) return 1;
    if (!(m->pool = pool_new(threads))) return 0;
    return m->threads = pool_threads(m->pool);
}
