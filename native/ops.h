// What a step does beside products of matrices, on one row or one piece of attention at a time. The same source
// (ops.inc, attention.inc) is compiled for each width of register.
#pragma once
#include <cstddef>
#include <cstdint>

namespace creuset {

enum Bend : int32_t { SILU = 0, GELU_TANH = 1, XIELU = 2, CLAMPED = 3 };
struct Activation {
    int32_t kind, gated;
    float a, b, c, d;  // xielu: above, below, beta, eps; clamped: limit, alpha
};

enum CacheType : int32_t { CACHE_F32 = 0, CACHE_BF16 = 1 };

// Some neighbouring tokens of one request and the query heads that share one key-value head.
//
// Keys lie in tiles: `width` = min(16, block_size) positions of one dimension are neighbours, so sixteen scores are
// sums of whole vectors. Values lie position by position. What a token reads is summed over the positions in order, so it
// depends on neither the other tokens nor where blocks begin.
struct Reading {
    const float *queries;  // token t, head f: queries + t * ld + f * head; already multiplied by the scale
    float *out;            // token t, head f: out + t * out_ld + f * value
    int64_t ld, out_ld;
    int32_t tokens, heads, head, value;
    int32_t first;  // position of the first token
    int32_t window;  // tokens that are seen, 0: all
    float cap;
    const float *sinks;  // one logit for each head, or null
    const int32_t *blocks;
    int32_t block_size, type;
    const void *keys, *values;         // of this layer and head, in block 0
    int64_t key_stride, value_stride;  // numbers from one block to the next
    float *scratch;                    // reading_floats of them
};
static inline int32_t value_padded(int32_t value) { return (value + 15) / 16 * 16; }
static inline int64_t reading_floats(int64_t rows, int64_t head, int64_t context) {
    return rows * ((context + 15) / 16 * 16 + 32) + head * 16 + 64;
}

struct Ops {
    void (*norm)(const float *x, const float *weight, float *y, int32_t n, float eps);
    void (*add)(float *x, const float *y, int32_t n);                // x += y
    void (*add_times)(float *x, const float *y, float by, int32_t n);  // x += by * y
    void (*scale)(float *x, float by, int32_t n);
    void (*clip)(float *x, float at, int32_t n);
    void (*cap)(float *x, float at, int32_t n);  // at tanh(x / at)
    void (*rotate)(float *x, const float *cosines, const float *sines, int32_t pairs);  // i with i + pairs
    void (*bend)(const Activation &, const float *gate, const float *up, float *y, int32_t n);
    void (*softmax)(float *x, int32_t n);
    void (*sigmoid)(float *x, int32_t n);
    float (*largest)(const float *x, int32_t n);
    float (*dot)(const float *x, const float *y, int32_t n);
    // y += sum over r of b[r] (a[r] . x): a (rank, ins), b (rank, outs).
    void (*low_rank)(const float *x, const float *a, const float *b, float *y, int32_t rank, int32_t ins, int32_t outs);
    double (*log_sum)(const float *x, int32_t n);  // ln of the sum of e^x
    void (*read)(const Reading &);
};

const Ops &ops();  // of the level in use

}  // namespace creuset
