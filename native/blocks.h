// Cuts a product into blocks of a few rows by a few tiles, whose sums stay in registers.
//
// A `Block` says how many rows it takes at once (`most`), how many tiles with that many rows (`tiles(rows)`), and computes
// `run<rows, tiles>(...)`. Rows are taken in pieces that stay in the second level of cache while all tiles go by.
// How a product is cut changes no sum: each output is summed by one block, in the block's one order.
#pragma once
#include <algorithm>

#include "kernels.h"

namespace creuset {

namespace {

constexpr int64_t cached = 384 << 10;  // bytes of activations that stay in the cache of one core

struct Target {
    float *const *rows;  // where the first tile's first output of each row goes
    int width;           // outputs of the last tile that exist: 1..16
};

template <class Block, int R>
void tiles_of_rows(const Matrix &m, const Rows &rows, const int64_t *row, float **to, int64_t tile, int64_t last, int width) {
    constexpr int T = Block::tiles(R);
    int64_t stride = tile_bytes(m);
    const uint8_t *data = m.data + tile * stride;
    int64_t left = last - tile;
    if constexpr (T > 1)
        for (; left >= T; left -= T, data += T * stride) {
            Block::template run<R, T>(m, rows, row, data, stride, Target{to, left == T ? width : 16});
            for (int r = 0; r < R; r++) to[r] += 16 * T;
        }
    for (; left > 0; left--, data += stride) {
        Block::template run<R, 1>(m, rows, row, data, stride, Target{to, left == 1 ? width : 16});
        for (int r = 0; r < R; r++) to[r] += 16;
    }
}

template <class Block, int R>
void rows_at_once(int n, const Matrix &m, const Rows &rows, const int64_t *row, float **to, int64_t tile, int64_t last,
                  int width) {
    if (n == R)
        tiles_of_rows<Block, R>(m, rows, row, to, tile, last, width);
    else if constexpr (R > 1)
        rows_at_once<Block, R - 1>(n, m, rows, row, to, tile, last, width);
}

template <class Block>
void product(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
             int32_t end) {
    constexpr int most = Block::most;
    int64_t first = begin / 16, last = tiles(end);
    int width = end - int32_t(last - 1) * 16;
    int64_t row_bytes = m.kind == F32 ? 4 * int64_t(m.ins) : padded(m.ins) * (m.kind == BF16 ? 2 : 1);
    int64_t piece = std::max<int64_t>(most, cached / row_bytes / most * most);
    int64_t pieces = (count + piece - 1) / piece;
    constexpr int step = Block::tiles(most);
    for (int64_t p = 0; p < pieces; p++) {
        int64_t from = count * p / pieces, n = count * (p + 1) / pieces - from, blocks = (n + most - 1) / most;
        // With one block of rows the tiles go by in one run; otherwise `step` tiles stay in cache for all blocks.
        int64_t panel = blocks == 1 ? last - first : step;
        for (int64_t tile = first; tile < last; tile += panel) {
            int64_t stop = std::min(last, tile + panel);
            for (int64_t b = 0; b < blocks; b++) {
                int64_t at = from + n * b / blocks, size = from + n * (b + 1) / blocks - at;
                int64_t row[most];
                float *to[most];
                for (int64_t r = 0; r < size; r++) {
                    row[r] = index ? index[at + r] : at + r;
                    to[r] = y + (at + r) * ld + tile * 16;
                }
                rows_at_once<Block, most>(int(size), m, rows, row, to, tile, stop, stop == last ? width : 16);
            }
        }
    }
}

}  // namespace

}  // namespace creuset
