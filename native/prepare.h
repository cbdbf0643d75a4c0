// What all levels do alike when activations are rounded to 8 bits, 32 of a row at a time.
#pragma once
#include <cmath>

#include "kernels.h"
#include "numbers.h"

namespace creuset {

namespace {

// Scale and inverse scale of 32 activations whose largest magnitude is `top`. Those below 4e-37 count as zero; what is not
// finite stays seen.
struct Scale {
    float inverse, scale;
    bool usable;
    explicit Scale(float top) : inverse(127 / top), scale(0), usable(top < INFINITY && inverse < INFINITY) {
        scale = usable ? top / 127 : top < INFINITY ? 0 : NAN;
    }
};

// What products need of the codes of group `at`, whose halves add up to `low` and `high`.
inline void put_sums(Rows &rows, int64_t at, float scale, int32_t low, int32_t high) {
    rows.scales[at] = scale;
    rows.minus[at] = -8 * (low + high);
    rows.halves[2 * at] = -8 * low, rows.halves[2 * at + 1] = -8 * high;
    rows.sums[at] = scale * float(low + high);
}

}  // namespace

}  // namespace creuset
