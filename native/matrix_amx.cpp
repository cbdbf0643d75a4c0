// AMX: a tile of up to 16 rows of activations times a tile of weights, which lie in memory as the tiles want them.
//
// Not run on a machine that has AMX yet: tested with emulated tiles only (tiles.h).
//
// Up to 32 rows by the two halves of a tile of outputs at a time: registers 0-3 are sums, 4 and 5 activations, 6 and 7 weights. With bytes a
// group of 16 or 32 inputs is one instruction, and its whole sums are scaled and added in fp32 as at all other levels.
// With bf16 the sums stay in the registers over all inputs; a row is summed there like that whatever the number of rows.
#include "products_512.h"
#include "tiles.h"

namespace creuset {

namespace {

constexpr int few = 4;  // rows below which tiles are mostly empty

struct Piece {  // up to 32 rows by a tile of outputs
    const Matrix &m;
    const Rows &rows;
    const int64_t *row;
    int count;
    bool together;        // the rows lie one after the other
    const uint8_t *data;  // the tile
    float (*sum)[2][16];  // of each row

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
        for (int64_t g = 0; g < p.rows.groups; g++) {
            int64_t stride;
            const uint8_t *x = activations(p, reinterpret_cast<const uint8_t *>(p.rows.bf16), of_row, g * 64, 64, room, &stride);
            tile_load<4>(x, stride);
            tile_load<6>(p.data + g * 2048, 128);
            tile_dot_bf16<0, 4, 6>();
            tile_load<7>(p.data + g * 2048 + 64, 128);
            tile_dot_bf16<1, 4, 7>();
            if (!p.high()) continue;
            tile_load<5>(x + 16 * stride, stride);
            tile_dot_bf16<2, 5, 6>();
            tile_dot_bf16<3, 5, 7>();
        }
        tile_store<0>(&p.sum[0][0], 128);
        tile_store<1>(&p.sum[0][1], 128);
        if (!p.high()) return;
        tile_store<2>(&p.sum[16][0], 128);
        tile_store<3>(&p.sum[16][1], 128);
    }
};

template <int kind, int group>
struct ByteTiles {
    static constexpr int row_bytes = group;

    // The codes of a group of 32 as bytes, in rows of 128: as they lie, or out of the two halves of each byte.
    static const uint8_t *bytes_of(const uint8_t *codes, uint8_t *room) {
        if constexpr (kind == Q8) return codes;
        const __m512i low = _mm512_set1_epi8(15);
        for (int at = 0; at < 512; at += 64) {
            __m512i both = _mm512_load_si512(codes + at);
            _mm512_store_si512(room + at, _mm512_and_si512(both, low));
            _mm512_store_si512(room + 512 + at, _mm512_and_si512(_mm512_srli_epi16(both, 4), low));
        }
        return room;
    }

    static void run(const Piece &p) {
        alignas(64) uint8_t room[32 * 32], unpacked[1024];
        alignas(64) int32_t whole[32][2][16];
        memset(p.sum, 0, sizeof(float) * 32 * p.count);
        const Matrix &m = p.m;
        const int64_t of_row = int64_t(p.rows.groups) * 32, of_group = group_bytes(m), of_scales = scale_bytes(m);
        constexpr int parts = 32 / group;
        for (int64_t index = 0; index < p.rows.groups * parts; index++) {
            const int64_t g = index / parts, part = index % parts;
            const uint8_t *codes = p.data + g * of_group, *scales = codes + code_bytes(kind);
            const uint8_t *w = bytes_of(codes, unpacked) + part * group / 4 * 128;
            int64_t stride;
            const uint8_t *x = activations(p, reinterpret_cast<const uint8_t *>(p.rows.codes), of_row, index * group, group, room,
                                           &stride);
            tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
            tile_load<4>(x, stride);
            tile_load<6>(w, 128);
            tile_dot_bytes<0, 4, 6>();
            tile_store<0>(&whole[0][0], 128);
            tile_load<7>(w + 64, 128);
            tile_dot_bytes<1, 4, 7>();
            tile_store<1>(&whole[0][1], 128);
            if (p.high()) {
                tile_load<5>(x + 16 * stride, stride);
                tile_dot_bytes<2, 5, 6>();
                tile_store<2>(&whole[16][0], 128);
                tile_dot_bytes<3, 5, 7>();
                tile_store<3>(&whole[16][1], 128);
            }
            for (int t = 0; t < 2; t++) {
                __m512 scale = scales_at(m.scale_type, scales, part * 32 + t * 16);
                __m512 minimum = kind == Q4A ? scales_at(m.scale_type, scales + of_scales, t * 16) : _mm512_setzero_ps();
                for (int r = 0; r < p.count; r++) {
                    int64_t at = p.row[r] * p.rows.groups + g;
                    int32_t minus = group == 16 ? p.rows.halves[2 * at + part] : p.rows.minus[at];
                    __m512i all = _mm512_load_si512(&whole[r][t]);
                    if (kind != Q4A) all = _mm512_add_epi32(all, _mm512_set1_epi32(kind == Q8 ? minus * 16 : minus));
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
void by_tiles(const Matrix &m, const Rows &rows, const Outputs &o) {
    const int64_t first = o.begin / TILE, last = tiles(o.end), stride = tile_bytes(m);
    const int64_t row_bytes = padded(m.ins) * (m.kind == BF16 ? 2 : 1), most = std::max<int64_t>(32, cached / row_bytes / 32 * 32);
    alignas(64) float sum[32][2][16];
    int shaped = 0;
    for (int64_t from = 0; from < o.count; from += most) {
        const int64_t until = std::min<int64_t>(o.count, from + most);
        for (int64_t tile = first; tile < last; tile++)
            for (int64_t at = from; at < until; at += 32) {
                int64_t row[32];
                Piece p{m, rows, row, int(std::min<int64_t>(32, until - at)), true, m.data + tile * stride, sum};
                for (int r = 0; r < p.count; r++) {
                    row[r] = o.index ? o.index[at + r] : at + r;
                    p.together = p.together && row[r] == row[0] + r;
                }
                if (shaped != p.count) shape(p, Tiles::row_bytes);
                shaped = p.count;
                Tiles::run(p);
                const int64_t out = tile * TILE, width = std::min<int64_t>(TILE, o.end - out);
                for (int r = 0; r < p.count; r++) memcpy(o.y + (at + r) * o.ld + out, sum[r], width * 4);
            }
    }
    tiles_release();
}

// A few rows are computed by VNNI, with the same bits.
template <int kind, int group>
void codes(const Matrix &m, const Rows &rows, const Outputs &o) {
    const Product by_few = kind == Q8 ? vnni_kernels.q8 : kind == Q4 ? vnni_kernels.q4 : vnni_kernels.q4a;
    (o.count < few ? by_few : by_tiles<ByteTiles<kind, group>>)(m, rows, o);
}

void q8(const Matrix &m, const Rows &rows, const Outputs &o) { (m.group == 16 ? codes<Q8, 16> : codes<Q8, 32>)(m, rows, o); }

}  // namespace

const Kernels amx_kernels = {nullptr, by_tiles<Bf16Tiles>, q8, codes<Q4, 32>, codes<Q4A, 32>, nullptr};

}  // namespace creuset
