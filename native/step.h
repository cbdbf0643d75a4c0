// One batch through the model: `forward` leaves each row's stream, from which head.cpp makes logits.
//
// All threads run the same function. Between barriers each writes its own rows, or its own outputs of a product; what a
// row gets is the same whoever computes it.
#pragma once
#include <atomic>

#include "model.h"
#include "team.h"

namespace creuset {

// What one batch needs beside the model. Grows with the largest batch.
struct Workspace {
    Buffer<float> stream, normed, qkv, read, mixed, up, bent, down, scores, weights, logits;
    Buffer<float> queries, wide, latents, beside;  // of latent attention, and of the layer that guesses
    Buffer<float> pair_up, pair_bent, pair_down, shared_up, shared_bent, shared_down;
    Buffer<char> for_latent, for_narrow, for_latents, for_beside;
    Buffer<char> for_hidden, for_read, for_bent, for_pairs, for_shared;
    Buffer<int32_t> rows_of_head, chosen, place, row_of_pair, expert_begin;
    Buffer<char> scratch;  // of attention, one piece for each thread
    std::vector<int32_t> span_of;      // (rows): whose row it is
    std::vector<int32_t> position_of;  // (rows)
    struct Item {
        int32_t span, row, tokens, head;
    };
    std::vector<Item> items;  // of attention
    std::unique_ptr<std::atomic<int32_t>[]> next;  // (layers) the item that nobody has taken yet
    int32_t rows = 0;
};

struct Step {
    Model &m;
    const Cache &cache;
    const int32_t *tokens;
    const Span *spans;
    int32_t rows, span_count;
    size_t scratch_of_thread;  // floats
    Rows hidden, read, bent, pairs, shared;  // activations prepared for products
    Rows latent, narrow, read_latent, beside;
    const uint8_t *after;  // what this thread reads first behind the layer
};

// This thread's share of `n` rows.
struct Share {
    int32_t begin, end;
    Share(const Team &t, int32_t n) : begin(int32_t(int64_t(n) * t.thread / t.threads)),
                                      end(int32_t(int64_t(n) * (t.thread + 1) / t.threads)) {}
};

// What one row's queries and keys are turned by.
struct Turn {
    const float *cosines, *sines;
    Turn(const Step &s, const Layer &l, int32_t row);
};

Rows room(Buffer<char> &memory, int32_t rows, int32_t ins, int32_t forms);
// `next`: what this thread reads then, or null.
void product(const Linear &l, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, const Team &t,
             const uint8_t *next = nullptr);
const uint8_t *first_read(const Linear &l, const Team &t);  // by this thread, of its share
void add_bias(const Linear &l, float *y);
// Adds to the outputs `y` of one row what its request's adapter makes of the product's input `x`. One thread does a whole
// row, in one order: it depends on no other row.
void adapt(const Step &s, const Layer &l, Adapted place, int32_t row, const float *x, float *y);
void bend_row(const FeedForward &f, float *up, float *out);
int32_t forms_of_experts(const Layer &l, bool up);
// What the rows read, into `read` of the workspace, heads side by side.
void attention(Step &s, const Layer &l, int layer, Team &t);
void latent_attention(Step &s, const Layer &l, int layer, Team &t);
void lay_out_latent(Step &s);
void read_items(const Step &s, const Layer &l, int layer, const Team &t, const float *queries, int64_t ld, float *out,
                int64_t out_ld);
void experts(Step &s, const Layer &l, Team &t);

}  // namespace creuset
