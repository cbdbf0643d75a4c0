// Cuts a product into blocks of a few rows by a tile, whose sums stay in registers.
//
// A `Block` says how many rows it takes at once (`most`) and computes `run<rows>(work)`. Rows are taken in pieces that stay in
// the second level of cache while all tiles go by.
// How a product is cut changes no sum: each output is summed by one block, in the block's one order.
#pragma once
#include <algorithm>

#include "prepare.h"

namespace creuset {

namespace {

#define UNROLL _Pragma("GCC unroll 16")

constexpr int64_t cached = 384 << 10;  // bytes of activations that stay in the cache of one core
constexpr int64_t early = 4 << 10;     // bytes of what is read next that are asked for before

struct Work {  // of one block
    const Matrix &m;
    const Rows &rows;
    const int64_t *row;   // numbers of the rows
    float *const *to;     // where the tile's first output of each row goes
    const uint8_t *data;  // the tile
    int width;            // outputs of it that exist: 1..32
};

template <class Block, int R>
void run(int n, const Work &work) {
    if (n == R)
        Block::template run<R>(work);
    else if constexpr (R > 1)
        run<Block, R - 1>(n, work);
}

// A matrix that follows in memory is noticed by the processor; another one is not.
inline void ask_for(const uint8_t *next) {
    for (int64_t at = 0; next && at < early; at += 64) __builtin_prefetch(next + at, 0, 2);
}

template <class Block>
void product(const Matrix &m, const Rows &rows, const Outputs &o) {
    constexpr int most = Block::most;
    const int64_t first = o.begin / TILE, last = tiles(o.end), stride = tile_bytes(m);
    const int64_t row_bytes = m.kind == F32 ? 4 * int64_t(m.ins) : padded(m.ins) * (m.kind == BF16 ? 2 : 1);
    const int64_t piece = std::max<int64_t>(most, cached / row_bytes / most * most);
    const int64_t pieces = (o.count + piece - 1) / piece;
    for (int64_t p = 0; p < pieces; p++) {
        const int64_t from = o.count * p / pieces, n = o.count * (p + 1) / pieces - from, blocks = (n + most - 1) / most;
        for (int64_t tile = first; tile < last; tile++) {
            if (tile + 1 == last && p + 1 == pieces) ask_for(o.next);
            const int width = tile + 1 < last ? int(TILE) : int(o.end - tile * TILE);
            for (int64_t b = 0; b < blocks; b++) {  // the tile stays in cache for all of them
                const int64_t at = from + n * b / blocks, size = from + n * (b + 1) / blocks - at;
                int64_t row[most];
                float *to[most];
                for (int64_t r = 0; r < size; r++) {
                    row[r] = o.index ? o.index[at + r] : at + r;
                    to[r] = o.y + (at + r) * o.ld + tile * TILE;
                }
                run<Block, most>(int(size), Work{m, rows, row, to, m.data + tile * stride, width});
            }
        }
    }
}

// The kinds with codes: `Block<kind, inputs of a scale>`.
template <template <int, int> class Block>
struct OfCodes {
    static void q8(const Matrix &m, const Rows &rows, const Outputs &o) {
        (m.group == 16 ? product<Block<Q8, 16>> : product<Block<Q8, 32>>)(m, rows, o);
    }
    static constexpr Product q4 = product<Block<Q4, 32>>, q4a = product<Block<Q4A, 32>>;
};

}  // namespace

}  // namespace creuset
