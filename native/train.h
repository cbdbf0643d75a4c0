// What training computes beside products of large matrices, forward and backward: norms, rotation, SwiGLU, softmax of the
// loss, attention, updates of weights. Each function is one pass over memory where torch makes five to ten.
//
// The source of the loops (train_rows.inc, train_attention.inc) is compiled for each width of register (train_LEVEL.cpp).
// Numbers are fp32, or bf16 that is computed in fp32 and rounded once, when it is written. A row is summed in one fixed
// order; sums over rows are made of pieces of a fixed number of rows, added in their order. So no number depends on how
// many threads there are.
//
// Widths are multiples of 16.
#pragma once
#include <cstdint>

#include "isa.h"

namespace creuset {

// Rows of a norm. `weight` may be null for gradients of what has none.
struct NormRows {
    const void *x, *weight;  // (rows, width), (width): all of one type
    void *y;                 // forward: x / rms(x) * weight
    float *inverse;          // (rows) 1 / rms(x)
    const void *dy;          // backward
    const void *more;        // added to dx, (rows, width), or null
    void *dx;
    int32_t width;
    float eps;
};

// Heads of a projection: each is normed (`weight` not null) and its first `rotated` numbers are turned.
struct Heads {
    const void *x, *weight, *cosines, *sines;  // (rows, heads * width), (width), (rows, rotated) twice
    void *y;
    float *inverse;  // (rows, heads), with a norm
    const void *dy;
    void *dx;
    int32_t heads, width, rotated;
    float eps;
};

// Experts' inner rows: gate and up side by side.
struct Swiglu {
    const void *h;        // (rows, 2 * width)
    void *y;              // forward: silu(gate) * up; backward: that times `scale`
    const void *da;       // (rows, width): gradient of what `y` was multiplied into, before `scale`
    const float *scale;   // (rows), or null: 1
    float *dscale;        // (rows), with `scale`
    void *dh;             // (rows, 2 * width); may be `h`
    int32_t width;
};

// Logits of tokens become the slope of the weighted cross-entropy.
struct SoftmaxRows {
    void *logits;            // (rows, vocab)
    const int64_t *targets;  // (rows)
    const float *weights;    // (rows)
    float *losses;           // (rows): weight times nats
    int32_t vocab;
};

// Sequences one after the other, each seeing only itself: causal, grouped queries.
struct Sequences {
    const int32_t *bounds;    // (sequences + 1): their first rows, and the number of all
    const void *q, *k, *v;    // (rows, heads * width), keys and values (rows, groups * width)
    void *o;                  // like q
    float *logs;              // (rows, heads): ln of the sum of e^score
    const void *go;           // like q: the gradient of o
    void *dq, *dk, *dv;
    int32_t sequences, longest, heads, groups, width, window;  // window 0: all before it
    float scale;
};

// Muon: momentum, Newton-Schulz iteration, update of the masters (creuset/train/optim.py). Both sizes are multiples of 32.
struct MuonUnit {
    float *master, *first;
    const float *grad;
    int32_t rows, columns;
};
struct Muon {
    const MuonUnit *units;
    float momentum, a, b, c;  // the iteration's coefficients
    float rate, decay;        // master = decay * master - rate * sqrt(the larger size) * update
    int32_t iterations;
};

struct TrainOps {
    void (*norm)(const NormRows &, int64_t begin, int64_t end);
    void (*norm_back)(const NormRows &, int64_t begin, int64_t end, float *dweight);  // adds to dweight (width)
    void (*heads)(const Heads &, int64_t begin, int64_t end);
    void (*heads_back)(const Heads &, int64_t begin, int64_t end, float *dweight);
    void (*swiglu)(const Swiglu &, int64_t begin, int64_t end);
    void (*swiglu_back)(const Swiglu &, int64_t begin, int64_t end);
    void (*softmax_slope)(const SoftmaxRows &, int64_t begin, int64_t end, float *scratch);  // vocab numbers
    // Sequence `unit / groups` with the heads of group `unit % groups`.
    void (*attend)(const Sequences &, int64_t unit, float *scratch);
    void (*attend_back)(const Sequences &, int64_t unit, float *scratch);
    void (*muon)(const Muon &, const MuonUnit &, float *scratch);  // of bf16: null where there are no dot products of it
};

int64_t attend_floats(const Sequences &);       // of scratch
int64_t attend_back_floats(const Sequences &);
int64_t muon_floats(const MuonUnit &);

constexpr int64_t PIECE = 256;  // rows whose sums are made together

}  // namespace creuset
