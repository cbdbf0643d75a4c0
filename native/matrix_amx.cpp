// AMX: a tile of up to 16 rows of activations times a tile of weights, which lie in memory as the tiles want them.
//
// Not run on a machine that has AMX yet: tested with emulated tiles only (tiles.h).
//
// Two row tiles by two weight tiles at a time: registers 0-3 are sums, 4 and 5 activations, 6 and 7 weights. With bytes a
// group of 16 or 32 inputs is one instruction, and its whole sums are scaled and added in fp32 as at all other levels.
// With bf16 the sums stay in the registers over all inputs; a row is summed there like that whatever the number of rows.
#include <immintrin.h>

#include <algorithm>

#include "kernels.h"
#include "tiles.h"

namespace creuset {

namespace {

constexpr int few = 4;  // rows below which VNNI computes bytes, with the same bits
constexpr int64_t cached = 384 << 10;

struct Piece {  // up to 32 rows by up to two tiles of outputs
    const Matrix &m;
    const Rows &rows;
    const int64_t *row;
    int count, tiles;
    bool together;        // the rows lie one after the other
    const uint8_t *data;  // of the first tile
    int64_t stride;       // to the next
    float (*sum)[2][16];  // of each row and tile

    int low() const { return std::min(count, 16); }
    int high() const { return std::max(count - 16, 0); }
};

// `bytes` of each row from `offset` on, as tileloadd wants them: where they lie, or gathered into `room`.
inline const uint8_t *activations(const Piece &p, const uint8_t *base, int64_t row_bytes, int64_t offset, int bytes,
                                  uint8_t *room, int64_t *stride) {
    if (p.together) {
        *stride = row_bytes;
        return base + p.row[0] * row_bytes + offset;
    }
    for (int r = 0; r < p.count; r++) memcpy(room + r * bytes, base + p.row[r] * row_bytes + offset, bytes);
    *stride = bytes;
    return room;
}

inline void shape(const Piece &p, int row_bytes) {
    TileShapes shapes;
    for (int tile : {0, 1}) shapes.set(tile, p.low(), 64);
    for (int tile : {2, 3}) shapes.set(tile, p.high() ? p.high() : 1, 64);
    shapes.set(4, p.low(), row_bytes);
    shapes.set(5, p.high() ? p.high() : 1, row_bytes);
    for (int tile : {6, 7}) shapes.set(tile, row_bytes / 4, 64);
    tiles_shape(shapes);
}

struct Bf16Tiles {
    static constexpr int row_bytes = 64;

    static void run(const Piece &p) {
        alignas(64) uint8_t room[32 * 64];
        tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
        const int64_t of_row = int64_t(p.rows.groups) * 64;
        const bool second = p.tiles > 1, high = p.high() > 0;
        for (int64_t g = 0; g < p.rows.groups; g++) {
            int64_t stride;
            const uint8_t *x = activations(p, reinterpret_cast<const uint8_t *>(p.rows.bf16), of_row, g * 64, 64, room, &stride);
            tile_load<4>(x, stride);
            tile_load<6>(p.data + g * 1024, 64);
            tile_dot_bf16<0, 4, 6>();
            if (second) {
                tile_load<7>(p.data + p.stride + g * 1024, 64);
                tile_dot_bf16<1, 4, 7>();
            }
            if (high) {
                tile_load<5>(x + 16 * stride, stride);
                tile_dot_bf16<2, 5, 6>();
                if (second) tile_dot_bf16<3, 5, 7>();
            }
        }
        tile_store<0>(&p.sum[0][0], 128);
        if (second) tile_store<1>(&p.sum[0][1], 128);
        if (high) tile_store<2>(&p.sum[16][0], 128);
        if (high && second) tile_store<3>(&p.sum[16][1], 128);
    }
};

template <int kind, int group>
struct ByteTiles {
    static constexpr int row_bytes = group;

    static __m512 scales_at(const Matrix &m, const uint8_t *scales, int64_t index) {
        if (m.scale_type == SCALE_F32) return _mm512_load_ps(scales + index * 64);
        __m256i half = _mm256_load_si256(reinterpret_cast<const __m256i *>(scales + index * 32));
        if (m.scale_type == SCALE_F16) return _mm512_cvtph_ps(half);
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }

    // The bytes of a group as a weight tile: as they lie, or out of the two halves of each byte.
    static const uint8_t *weights(const uint8_t *tile, int64_t index, uint8_t *room) {
        if constexpr (kind == Q8) return tile + index * group * 16;
        const __m512i low = _mm512_set1_epi8(15);
        for (int v = 0; v < 4; v++) {
            __m512i both = _mm512_load_si512(tile + index * 256 + v * 64);
            _mm512_store_si512(room + v * 64, _mm512_and_si512(both, low));
            _mm512_store_si512(room + (v + 4) * 64, _mm512_and_si512(_mm512_srli_epi16(both, 4), low));
        }
        return room;
    }

    static void run(const Piece &p) {
        alignas(64) uint8_t room[32 * 32], room0[512], room1[512];
        alignas(64) int32_t whole[32][2][16];
        memset(p.sum, 0, sizeof(float) * 32 * p.count);
        const Matrix &m = p.m;
        const int64_t of_row = int64_t(p.rows.groups) * 32, of_codes = code_bytes(m), of_scales = scale_bytes(m);
        const bool second = p.tiles > 1, high = p.high() > 0;
        constexpr int parts = 32 / group;
        for (int64_t index = 0; index < p.rows.groups * parts; index++) {
            int64_t stride, g = index / parts;
            const uint8_t *x = activations(p, reinterpret_cast<const uint8_t *>(p.rows.codes), of_row, index * group, group, room,
                                           &stride);
            tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
            tile_load<4>(x, stride);
            tile_load<6>(weights(p.data, index, room0), 64);
            tile_dot_bytes<0, 4, 6>();
            tile_store<0>(&whole[0][0], 128);
            if (second) {
                tile_load<7>(weights(p.data + p.stride, index, room1), 64);
                tile_dot_bytes<1, 4, 7>();
                tile_store<1>(&whole[0][1], 128);
            }
            if (high) {
                tile_load<5>(x + 16 * stride, stride);
                tile_dot_bytes<2, 5, 6>();
                tile_store<2>(&whole[16][0], 128);
                if (second) {
                    tile_dot_bytes<3, 5, 7>();
                    tile_store<3>(&whole[16][1], 128);
                }
            }
            for (int t = 0; t < p.tiles; t++) {
                const uint8_t *scales = p.data + t * p.stride + of_codes;
                __m512 scale = scales_at(m, scales, index);
                __m512 minimum = kind == Q4A ? scales_at(m, scales + of_scales, index) : _mm512_setzero_ps();
                for (int r = 0; r < p.count; r++) {
                    int64_t at = p.row[r] * p.rows.groups + g;
                    int32_t minus = group == 16 ? p.rows.halves[2 * at + index % 2] : p.rows.minus[at];
                    if (kind != Q4A) minus *= kind == Q8 ? 16 : 1;
                    __m512i all = _mm512_load_si512(&whole[r][t]);
                    if (kind != Q4A) all = _mm512_add_epi32(all, _mm512_set1_epi32(minus));
                    __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(p.rows.scales[at]));
                    __m512 sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(all), both, _mm512_load_ps(&p.sum[r][t]));
                    if (kind == Q4A) sum = _mm512_fmadd_ps(minimum, _mm512_set1_ps(p.rows.sums[at]), sum);
                    _mm512_store_ps(&p.sum[r][t], sum);
                }
            }
        }
    }
};

template <class Tiles>
void by_tiles(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
              int32_t end) {
    const int64_t first = begin / 16, last = tiles(end), stride = tile_bytes(m);
    const int64_t row_bytes = padded(m.ins) * (m.kind == BF16 ? 2 : 1), most = std::max<int64_t>(32, cached / row_bytes / 32 * 32);
    alignas(64) float sum[32][2][16];
    int shaped = 0;
    for (int64_t from = 0; from < count; from += most) {
        const int64_t until = std::min<int64_t>(count, from + most);
        for (int64_t tile = first; tile < last; tile += 2)
            for (int64_t at = from; at < until; at += 32) {
                int64_t row[32];
                Piece p{m, rows, row, int(std::min<int64_t>(32, until - at)), int(std::min<int64_t>(2, last - tile)), true,
                        m.data + tile * stride, stride, sum};
                for (int r = 0; r < p.count; r++) {
                    row[r] = index ? index[at + r] : at + r;
                    p.together = p.together && row[r] == row[0] + r;
                }
                if (shaped != p.count) shape(p, Tiles::row_bytes);
                shaped = p.count;
                Tiles::run(p);
                for (int r = 0; r < p.count; r++)
                    for (int t = 0; t < p.tiles; t++) {
                        int64_t out = (tile + t) * 16, width = std::min<int64_t>(16, end - out);
                        memcpy(y + (at + r) * ld + out, sum[r][t], width * 4);
                    }
            }
    }
    tiles_release();
}

void bf16(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
          int32_t end) {
    by_tiles<Bf16Tiles>(m, rows, index, count, y, ld, begin, end);
}

void q8(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
        int32_t end) {
    auto product = count < few ? vnni_kernels.q8 : m.group == 16 ? by_tiles<ByteTiles<Q8, 16>> : by_tiles<ByteTiles<Q8, 32>>;
    product(m, rows, index, count, y, ld, begin, end);
}

void q4(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
        int32_t end) {
    (count < few ? vnni_kernels.q4 : by_tiles<ByteTiles<Q4, 32>>)(m, rows, index, count, y, ld, begin, end);
}

void q4a(const Matrix &m, const Rows &rows, const int32_t *index, int32_t count, float *y, int64_t ld, int32_t begin,
         int32_t end) {
    (count < few ? vnni_kernels.q4a : by_tiles<ByteTiles<Q4A, 32>>)(m, rows, index, count, y, ld, begin, end);
}

}  // namespace

const Kernels amx_kernels = {nullptr, bf16, q8, q4, q4a, nullptr};

}  // namespace creuset
