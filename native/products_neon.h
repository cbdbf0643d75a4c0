// Products with NEON: a vector holds 4 outputs of a tile. Compiled twice, with and without dot products of bytes.
#pragma once
#include <arm_neon.h>

#include "blocks.h"

namespace creuset {

namespace {

inline int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x) {
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(sum, w, x);
#else
    // Pairs of products fit 16 bits but for -128 * -128 twice, and activations are never -128.
    int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_s8(vget_high_s8(w), vget_high_s8(x));
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
#endif
}

inline int8x16_t broadcast4(const int8_t *at) {  // four bytes to all lanes
    int32_t four;
    __builtin_memcpy(&four, at, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

// The 4 scales from `index` on.
inline float32x4_t scales_at(int32_t type, const uint8_t *scales, int64_t index) {
    if (type == SCALE_F32) return vld1q_f32(reinterpret_cast<const float *>(scales) + index);
    uint16x4_t half = vld1_u16(reinterpret_cast<const uint16_t *>(scales) + index);
    if (type == SCALE_F16) return vcvt_f32_f16(vreinterpret_f16_u16(half));
    return vreinterpretq_f32_u32(vshll_n_u16(half, 15) << 1);
}

// Runs `Kind::sums<R>` over R rows by half a tile: four vectors a row.
template <class Kind>
struct Halves {
    static constexpr int most = 4;

    template <int R>
    static void run(const Work &work) {
        for (int half = 0; half < 2 && half * 16 < work.width; half++) {
            const int width = std::min(16, work.width - half * 16);
            float32x4_t sum[R][4];
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int q = 0; q < 4; q++) sum[r][q] = vdupq_n_f32(0);
            Kind::template sums<R>(work, work.data + half * 64, half * 16, sum);
            UNROLL for (int r = 0; r < R; r++) {
                float all[16];
                UNROLL for (int q = 0; q < 4; q++) vst1q_f32(all + q * 4, sum[r][q]);
                __builtin_memcpy(work.to[r] + half * 16, all, width * 4);
            }
        }
    }
};

struct F32Kind {
    template <int R>
    static void sums(const Work &work, const uint8_t *half, int, float32x4_t (&sum)[R][4]) {
        const Rows &rows = work.rows;
        const float *w = reinterpret_cast<const float *>(half);
        for (int64_t in = 0; in < work.m.ins; in++, w += 32)
            UNROLL for (int q = 0; q < 4; q++) {
                float32x4_t four = vld1q_f32(w + q * 4);
                UNROLL for (int r = 0; r < R; r++)
                    sum[r][q] = vfmaq_n_f32(sum[r][q], four, rows.values[work.row[r] * rows.ld + in]);
            }
    }
};

struct Bf16Kind {
    template <int R>
    static void sums(const Work &work, const uint8_t *half, int, float32x4_t (&sum)[R][4]) {
        const Rows &rows = work.rows;
        for (int64_t pair = 0; pair < rows.groups * 16; pair++)
            UNROLL for (int q = 0; q < 4; q++) {
                uint32x4_t both = vreinterpretq_u32_u8(vld1q_u8(half + pair * 128 + q * 16));
                float32x4_t w0 = vreinterpretq_f32_u32(vshlq_n_u32(both, 16));
                float32x4_t w1 = vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000)));
                UNROLL for (int r = 0; r < R; r++) {
                    const uint16_t *x = rows.bf16 + work.row[r] * rows.groups * 32 + pair * 2;
                    sum[r][q] = vfmaq_n_f32(sum[r][q], w0, from_bf16(x[0]));
                    sum[r][q] = vfmaq_n_f32(sum[r][q], w1, from_bf16(x[1]));
                }
            }
    }
};

template <int kind, int group>
struct CodesKind {
    template <int R>
    static void sums(const Work &work, const uint8_t *half, int first, float32x4_t (&sum)[R][4]) {
        const Rows &rows = work.rows;
        const int32_t scale_type = work.m.scale_type;
        const int64_t of_group = group_bytes(work.m), of_scales = scale_bytes(work.m);
        const uint8x16_t flip = vdupq_n_u8(128), low = vdupq_n_u8(15);
        constexpr int parts = 32 / group;
        for (int64_t g = 0; g < rows.groups; g++) {
            const uint8_t *codes = half + g * of_group, *scales = work.data + g * of_group + code_bytes(kind);
            UNROLL for (int part = 0; part < parts; part++) {
                int32x4_t whole[R][4];
                const int8_t *x[R];
                UNROLL for (int r = 0; r < R; r++) {
                    int64_t at = work.row[r] * rows.groups + g;
                    x[r] = rows.codes + at * 32 + part * group;
                    UNROLL for (int q = 0; q < 4; q++) whole[r][q] = vdupq_n_s32(kind == Q4 ? rows.minus[at] : 0);
                }
                UNROLL for (int v = 0; v < (kind == Q8 ? group / 4 : 4); v++)
                    UNROLL for (int q = 0; q < 4; q++) {
                        uint8x16_t stored = vld1q_u8(codes + v * 128 + q * 16);
                        if constexpr (kind == Q8) {
                            int8x16_t w = vreinterpretq_s8_u8(veorq_u8(stored, flip));
                            UNROLL for (int r = 0; r < R; r++) whole[r][q] = dot(whole[r][q], w, broadcast4(x[r] + v * 4));
                        } else {
                            int8x16_t w0 = vreinterpretq_s8_u8(vandq_u8(stored, low));
                            int8x16_t w1 = vreinterpretq_s8_u8(vshrq_n_u8(stored, 4));
                            UNROLL for (int r = 0; r < R; r++) {
                                whole[r][q] = dot(whole[r][q], w0, broadcast4(x[r] + v * 4));
                                whole[r][q] = dot(whole[r][q], w1, broadcast4(x[r] + 16 + v * 4));
                            }
                        }
                    }
                UNROLL for (int q = 0; q < 4; q++) {
                    float32x4_t scale = scales_at(scale_type, scales, part * 32 + first + q * 4);
                    UNROLL for (int r = 0; r < R; r++) {
                        float32x4_t both = vmulq_n_f32(scale, rows.scales[work.row[r] * rows.groups + g]);
                        sum[r][q] = vfmaq_f32(sum[r][q], vcvtq_f32_s32(whole[r][q]), both);
                    }
                    if constexpr (kind == Q4A) {
                        float32x4_t minimum = scales_at(scale_type, scales + of_scales, first + q * 4);
                        UNROLL for (int r = 0; r < R; r++)
                            sum[r][q] = vfmaq_n_f32(sum[r][q], minimum, rows.sums[work.row[r] * rows.groups + g]);
                    }
                }
                codes += group / 4 * 128;
            }
        }
    }
};

template <int kind, int group>
using Codes = Halves<CodesKind<kind, group>>;

}  // namespace

}  // namespace creuset
