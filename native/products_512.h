// Products in vectors of 64 bytes: two of them are a row of a tile, and hold a number each of its 32 outputs.
#pragma once
#include <immintrin.h>

#include "blocks.h"

namespace creuset {

namespace {

inline __m512i broadcast4(const void *at) {  // four bytes to all lanes
    int32_t four;
    __builtin_memcpy(&four, at, 4);
    return _mm512_set1_epi32(four);
}

// Weights, in the order in which the source asks for them: a compiler that reads in another one costs a third of the
// memory's speed.
inline __m512i read(const uint8_t *at) {
    __m512i w;
    asm volatile("vmovdqa64 %1, %0" : "=v"(w) : "m"(*reinterpret_cast<const __m512i *>(at)));
    return w;
}

// The 16 scales from `index` on.
inline __m512 scales_at(int32_t type, const uint8_t *scales, int64_t index) {
    if (type == SCALE_F32) return _mm512_load_ps(scales + index * 4);
    __m256i half = _mm256_load_si256(reinterpret_cast<const __m256i *>(scales + index * 2));
    if (type == SCALE_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

template <int R>
inline void store(const Work &w, const __m512 (&sum)[R][2]) {
    const uint32_t there = w.width == 32 ? 0xffffffffu : (1u << w.width) - 1;
    UNROLL for (int r = 0; r < R; r++) {
        _mm512_mask_storeu_ps(w.to[r], __mmask16(there), sum[r][0]);
        _mm512_mask_storeu_ps(w.to[r] + 16, __mmask16(there >> 16), sum[r][1]);
    }
}

// Plain numbers. `Kind` says what a vector of weights and the activations beside it are, and how they are added to a sum.
template <class Kind>
struct Plain512 {
    static constexpr int most = Kind::most;

    template <int R>
    static void run(const Work &work) {
        const auto *const base = Kind::activations(work.rows);
        const int64_t of_row = Kind::of_row(work.rows), vectors = Kind::vectors(work.m);
        std::remove_const_t<decltype(base)> x[R];
        UNROLL for (int r = 0; r < R; r++) x[r] = base + work.row[r] * of_row;
        __m512 sum[R][2];
        UNROLL for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
        const uint8_t *at = work.data;
        for (int64_t v = 0; v < vectors; v++, at += 128) {
            const auto low = Kind::weight(read(at)), high = Kind::weight(read(at + 64));
            UNROLL for (int r = 0; r < R; r++) {
                const auto input = Kind::input(x[r], v);
                sum[r][0] = Kind::add(sum[r][0], low, input);
                sum[r][1] = Kind::add(sum[r][1], high, input);
            }
        }
        store<R>(work, sum);
    }
};

struct OfBf16 {
    static const uint16_t *activations(const Rows &rows) { return rows.bf16; }
    static int64_t of_row(const Rows &rows) { return int64_t(rows.groups) * 32; }
    static int64_t vectors(const Matrix &m) { return padded(m.ins) / 2; }
};

// Codes. `Dot` is how a level multiplies bytes.
template <class Dot>
struct Codes512 {
    template <int kind, int group>
    struct Block {
        static constexpr int most = 8, parts = 32 / group;

        template <int R>
        static void run(const Work &work) {
            const Rows &rows = work.rows;
            const int32_t scale_type = work.m.scale_type;
            const int64_t groups = rows.groups, of_group = group_bytes(work.m), of_scales = scale_bytes(work.m);
            const int64_t *row = work.row;
            const int8_t *x[R];
            UNROLL for (int r = 0; r < R; r++) x[r] = rows.codes + row[r] * groups * 32;
            __m512 sum[R][2];
            UNROLL for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
            const uint8_t *codes = work.data;
            for (int64_t g = 0; g < groups; g++, codes += of_group) {
                const uint8_t *scales = codes + code_bytes(kind);
                UNROLL for (int part = 0; part < parts; part++) {
                    __m512i whole[R][2];
                    UNROLL for (int r = 0; r < R; r++) {
                        const int64_t at = row[r] * groups + g;
                        whole[r][0] = whole[r][1] =
                            Dot::template start<kind>(group == 16 ? rows.halves + 2 * at + part : rows.minus + at);
                    }
                    if constexpr (kind == Q8) {
                        UNROLL for (int v = part * group / 4; v < (part + 1) * group / 4; v++) {
                            const auto w0 = Dot::weight(read(codes + v * 128)), w1 = Dot::weight(read(codes + v * 128 + 64));
                            UNROLL for (int r = 0; r < R; r++) {
                                const __m512i input = broadcast4(x[r] + v * 4);
                                whole[r][0] = Dot::dot(whole[r][0], w0, input);
                                whole[r][1] = Dot::dot(whole[r][1], w1, input);
                            }
                        }
                    } else {
                        const __m512i low = _mm512_set1_epi8(15);
                        UNROLL for (int v = 0; v < 4; v++) {
                            __m512i both[2] = {read(codes + v * 128), read(codes + v * 128 + 64)};
                            UNROLL for (int half = 0; half < 2; half++) {
                                const __m512i w0 = _mm512_and_si512(both[0], low), w1 = _mm512_and_si512(both[1], low);
                                UNROLL for (int r = 0; r < R; r++) {
                                    const __m512i input = broadcast4(x[r] + half * 16 + v * 4);
                                    whole[r][0] = Dot::small_dot(whole[r][0], w0, input);
                                    whole[r][1] = Dot::small_dot(whole[r][1], w1, input);
                                }
                                UNROLL for (int t = 0; t < 2; t++) both[t] = _mm512_srli_epi16(both[t], 4);
                            }
                        }
                    }
                    // Sums are finished before it branches by the type of the scales, or they would be kept in memory.
                    UNROLL for (int r = 0; r < R; r++) asm("" : "+v"(whole[r][0]), "+v"(whole[r][1]));
                    UNROLL for (int t = 0; t < 2; t++) {
                        const __m512 scale = scales_at(scale_type, scales, part * 32 + t * 16);
                        UNROLL for (int r = 0; r < R; r++) {
                            const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(rows.scales[row[r] * groups + g]));
                            sum[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[r][t]), both, sum[r][t]);
                        }
                        if constexpr (kind == Q4A) {
                            const __m512 minimum = scales_at(scale_type, scales + of_scales, t * 16);
                            UNROLL for (int r = 0; r < R; r++)
                                sum[r][t] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(rows.sums[row[r] * groups + g]), sum[r][t]);
                        }
                    }
                }
                UNROLL for (int r = 0; r < R; r++) x[r] += 32;
            }
            store<R>(work, sum);
        }
    };
};

}  // namespace

}  // namespace creuset
