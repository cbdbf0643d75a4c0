// The model as the core knows it: numbers of its shape, packed matrices and vectors of each layer, and the cache.
//
// Whoever owns the weights keeps them alive; only vectors (norms, biases) are copied here.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "isa.h"
#include "matrix.h"
#include "ops.h"
#include "pool.h"

namespace creuset {

// Memory that starts at a multiple of 64 and only grows.
template <typename T>
struct Buffer {
    T *data = nullptr;
    size_t size = 0;
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { free(data); }
    T *room(size_t wanted) {
        if (wanted > size) {
            free(data);
            size = 0;
            data = static_cast<T *>(aligned_alloc(64, (wanted * sizeof(T) + 63) / 64 * 64));
            if (!data) throw std::bad_alloc();
            size = wanted;
        }
        return data;
    }
};

// What config.json says, in numbers: creuset/engine/backend/native/interface.py has the same fields in the same order.
struct Shape {
    int32_t bytes;  // sizeof(Shape), so that two versions are not mixed up
    int32_t vocab, hidden, layers, heads, kv_heads, head, rotated;
    int32_t experts, chosen, groups, groups_chosen, router_sigmoid, norm_chosen;
    int32_t norm_place;  // 0 before each part of a layer, 1 after it, 2 both
    int32_t qk_norm;     // 0 none, 1 each head by itself, 2 all heads together
    int32_t activation, gated;
    int32_t q_rank, kv_rank, nope, rope, value;  // latent attention; kv_rank 0: none
    int32_t next_layers;                         // 1: a layer behind the last guesses the token after the next
    float bend_a, bend_b;  // clamped: limit, alpha
    float eps, scale, attention_cap, final_cap, clip, embedding_scale, router_scale;
};

// A product whose outputs come from up to three matrices, one beside the other.
struct Linear {
    struct Part {
        Matrix matrix;
        int32_t at;  // column of its first output
    };
    Part parts[3];
    int32_t count = 0, outs = 0, forms = 0;
    std::vector<float> bias;
    void add(const Matrix &m);
};

struct FeedForward {
    Linear up, down;  // up: the gate's outputs first, where there is a gate
    Activation bend{};
    int32_t inner = 0;
};

struct Layer {
    int32_t window = 0, table = 0;
    std::vector<float> norm_in, norm_middle, norm_before, norm_after;  // empty: there is none
    std::vector<float> q_norm, k_norm, sinks;
    Linear qkv, out;
    Linear query;  // latent attention: `qkv` gives the latents, from which it makes queries
    std::vector<Linear> into, out_of;  // of each head
    FeedForward dense;
    Linear router;
    std::vector<float> correction;
    std::vector<FeedForward> experts;
    FeedForward shared;
    std::vector<float> shared_gate;
};

struct Table {  // of rotations: (positions, rotated / 2) each; the caller's memory
    const float *cosines = nullptr, *sines = nullptr;
    int32_t positions = 0;
};

struct Guess {  // what the layer behind the last has beside the others; its own norm is the last of its head
    std::vector<float> norm_next, norm_hidden, norm;
    Linear join;
};

// What an adapter adds to some outputs of a product (LoRA): y[at + i] += sum over r of b[r][i] (a[r] . x).
struct LowRank {
    int32_t at, outs, ins, rank;
    std::vector<float> a, b;  // (rank, ins), (rank, outs)
};

enum Adapted : int32_t { ADAPTED_QKV = 0, ADAPTED_OUT, ADAPTED_UP, ADAPTED_DOWN, ADAPTED_PLACES };
using Adapter = std::vector<std::vector<LowRank>>;  // (layers, ADAPTED_PLACES)

struct Workspace;
struct Model {
    Shape shape;
    std::vector<Layer> layers;
    std::vector<float> norm;
    Guess guess;
    int32_t *routed = nullptr;  // (layers, rows, chosen): where the experts of each row are written, if anywhere
    bool guessed = false;  // the rows are those of the layer that guesses
    Linear head;
    std::vector<Adapter> adapters;
    Matrix embedding{};
    Table tables[4];  // everywhere, in layers with a window; the same of sequences beyond LongRoPE's border
    int32_t threads = 1;  // at most; the pool may take fewer
    Pool *pool = nullptr;  // null: one thread
    int32_t alone = 0;     // rows of a batch up to which one thread computes: less work than waiting for others
    std::unique_ptr<Workspace> work;
    Model(const Shape &s);
    ~Model();
};

// Keys: (layer, block, head, tiles of min(16, block_size) positions, dimension, position). Values: (layer, block, head,
// position, dimension).
struct Cache {
    int32_t layers, blocks, block_size, heads, head, value, type;
    char *keys, *values;
    size_t key_bytes, value_bytes;
    int64_t key_head() const { return int64_t(block_size) * head; }  // numbers of one head in one block
    int64_t value_head() const { return int64_t(block_size) * value; }
    int64_t width() const { return type == CACHE_F32 ? 4 : 2; }
    char *key_at(int layer, int block, int h) const {
        return keys + ((int64_t(layer) * blocks + block) * heads + h) * key_head() * width();
    }
    char *value_at(int layer, int block, int h) const {
        return values + ((int64_t(layer) * blocks + block) * heads + h) * value_head() * width();
    }
    void write(int layer, int block, int within, int h, const float *key, const float *value) const;
};

// Tokens of one request that are computed now. `beyond` 1: its sequence is beyond LongRoPE's border. `adapter`: the number
// of the adapter that it is computed with, 0: none.
struct Span {
    int32_t first, count, beyond, adapter;
    const int32_t *blocks;
};

void embedding_row(const Matrix &m, int32_t token, float *out);

}  // namespace creuset
