// The eight tile registers of AMX: each up to 16 rows of 64 bytes.
//
// With CREUSET_TILES_EMULATED the same functions are plain C++, so that the code around them is tested on machines that
// have no tiles (tests/native/test_levels.py). The compiler's own intrinsics tell it too little: `_tile_loadconfig` of GCC
// 12 names 8 of the 64 bytes that it reads, and `_tile_loadd` none at all, so stores before them may be dropped or come
// too late. Here each instruction names all memory as read.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "numbers.h"

namespace creuset {

namespace {

struct TileShapes {  // what ldtilecfg reads
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {};  // of a row
    uint8_t rows[16] = {};

    void set(int tile, int row_count, int row_bytes) {
        rows[tile] = uint8_t(row_count);
        bytes[tile] = uint16_t(row_bytes);
    }
};
static_assert(sizeof(TileShapes) == 64, "ldtilecfg reads 64 bytes");

#if CREUSET_TILES_EMULATED

thread_local TileShapes shapes;
thread_local uint8_t registers[8][16][64];

// What the processor would raise an exception for ends the program (Intel's manual, volume 2: LDTILECFG, TDPBSUD, TDPBF16PS).
inline void must(bool fine) {
    if (!fine) __builtin_trap();
}
inline void tiles_shape(const TileShapes &wanted) {
    must(wanted.palette == 1 && wanted.start_row == 0);
    for (uint8_t byte : wanted.reserved) must(byte == 0);
    for (int tile = 0; tile < 16; tile++) {
        must((wanted.rows[tile] == 0) == (wanted.bytes[tile] == 0));
        must(wanted.rows[tile] <= 16 && wanted.bytes[tile] <= 64 && (tile < 8 || wanted.rows[tile] == 0));
    }
    shapes = wanted;
    memset(registers, 0, sizeof registers);
}
inline void must_fit(int to, int a, int b) {
    must(to != a && to != b && a != b);
    must(shapes.rows[to] && shapes.rows[a] && shapes.rows[b]);
    must(shapes.rows[to] == shapes.rows[a] && shapes.bytes[to] == shapes.bytes[b]);
    must(shapes.bytes[a] % 4 == 0 && shapes.bytes[b] % 4 == 0 && shapes.bytes[a] / 4 == shapes.rows[b]);
}
inline void tiles_release() { shapes = TileShapes(); }
template <int tile>
inline void tile_zero() {
    memset(registers[tile], 0, sizeof registers[tile]);
}
template <int tile>
inline void tile_load(const void *from, int64_t stride) {
    tile_zero<tile>();
    for (int r = 0; r < shapes.rows[tile]; r++)
        memcpy(registers[tile][r], static_cast<const uint8_t *>(from) + r * stride, shapes.bytes[tile]);
}
template <int tile>
inline void tile_store(void *to, int64_t stride) {
    for (int r = 0; r < shapes.rows[tile]; r++)
        memcpy(static_cast<uint8_t *>(to) + r * stride, registers[tile][r], shapes.bytes[tile]);
}
template <int to, int a, int b>
inline void tile_dot_bytes() {  // signed bytes of `a` by unsigned ones of `b`
    must_fit(to, a, b);
    for (int r = 0; r < shapes.rows[to]; r++)
        for (int k = 0; k < shapes.bytes[a] / 4; k++)
            for (int n = 0; n < shapes.bytes[to] / 4; n++) {
                int32_t sum;
                memcpy(&sum, &registers[to][r][n * 4], 4);
                for (int i = 0; i < 4; i++) sum += int8_t(registers[a][r][k * 4 + i]) * int(registers[b][k][n * 4 + i]);
                memcpy(&registers[to][r][n * 4], &sum, 4);
            }
}
template <int to, int a, int b>
inline void tile_dot_bf16() {  // first and second numbers of the pairs are added up apart, then both to what was there
    must_fit(to, a, b);
    auto number = [](const uint8_t *at) { return from_bf16(uint16_t(at[0] | at[1] << 8)); };
    for (int r = 0; r < shapes.rows[to]; r++)
        for (int n = 0; n < shapes.bytes[to] / 4; n++) {
            float sum, apart[2] = {};
            for (int k = 0; k < shapes.bytes[a] / 4; k++)
                for (int i = 0; i < 2; i++)
                    apart[i] = std::fma(number(&registers[a][r][k * 4 + i * 2]), number(&registers[b][k][n * 4 + i * 2]), apart[i]);
            memcpy(&sum, &registers[to][r][n * 4], 4);
            sum += apart[0] + apart[1];
            memcpy(&registers[to][r][n * 4], &sum, 4);
        }
}

#else

inline void tiles_shape(const TileShapes &wanted) { asm volatile("ldtilecfg %0" : : "m"(wanted) : "memory"); }
inline void tiles_release() { asm volatile("tilerelease" : : : "memory"); }
template <int tile>
inline void tile_zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
}
template <int tile>
inline void tile_load(const void *from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
inline void tile_store(void *to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int to, int a, int b>
inline void tile_dot_bytes() {  // signed bytes of `a` by unsigned ones of `b`
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(to), "i"(a), "i"(b));
}
template <int to, int a, int b>
inline void tile_dot_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(to), "i"(a), "i"(b));
}

#endif

}  // namespace

}  // namespace creuset
