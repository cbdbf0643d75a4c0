// The plain C interface of training: which copy of the loops is used, and how threads share the rows.
//
// The threads are torch's own: its OpenMP runtime starts a team by a function whose address Python hands over. Threads of
// ours beside them would take each other's processors. Without it one thread does all.
#include "train.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace creuset {

extern const TrainOps train_scalar[2];
extern const TrainOps train_avx2[2], train_avx512[2], train_bf16[2], train_neon[2];

namespace {

const TrainOps &train_ops(int32_t half) {
    const Isa level = isa();
    (void)level;
#ifdef CREUSET_HAS_BF16
    if (level >= ISA_BF16) return train_bf16[half];
#endif
#ifdef CREUSET_HAS_AVX512
    if (level >= AVX512) return train_avx512[half];
#endif
#ifdef CREUSET_HAS_AVX2
    if (level >= AVX2) return train_avx2[half];
#endif
#ifdef CREUSET_HAS_NEON
    if (level == NEON) return train_neon[half];
#endif
    return train_scalar[half];
}

using Start = void (*)(void (*)(void *), void *, unsigned threads, unsigned flags);  // GOMP_parallel
Start start_team = nullptr;

// work(item) for each item below `count`, by up to `threads` threads; which one takes an item decides nothing.
template <class F>
void share_out(int64_t count, int32_t threads, const F &work) {
    if (count < threads) threads = int32_t(count);
    if (!start_team || threads < 2) {
        for (int64_t item = 0; item < count; item++) work(item);
        return;
    }
    struct Call {
        std::atomic<int64_t> next;
        int64_t count;
        const F &work;
    } call{{0}, count, work};
    start_team([](void *argument) {
        Call &mine = *static_cast<Call *>(argument);
        for (int64_t item; (item = mine.next.fetch_add(1, std::memory_order_relaxed)) < mine.count;) mine.work(item);
    }, &call, unsigned(threads), 0);
}

// Memory of a thread that lives as long as it and only grows: pages that are new at each call cost more than the work.
struct Scratch {
    float *data = nullptr;
    int64_t size = 0;
    ~Scratch() { std::free(data); }
    float *of(int64_t floats) {
        if (floats > size) {
            std::free(data);
            size = (floats + 1023) / 1024 * 1024;
            data = static_cast<float *>(std::aligned_alloc(4096, size_t(size) * 4));
            if (!data) std::abort();
        }
        return data;
    }
};
thread_local Scratch scratch;

int64_t pieces(int64_t rows) { return (rows + PIECE - 1) / PIECE; }

template <class F>
void by_rows(int64_t rows, int32_t threads, const F &work) {
    share_out(pieces(rows), threads, [&](int64_t piece) {
        const int64_t begin = piece * PIECE, end = begin + PIECE < rows ? begin + PIECE : rows;
        work(begin, end, piece);
    });
}

// `work(begin, end, sums)` adds to the sums of its piece; they are added up in the order of the pieces.
template <class F>
void with_sums(int64_t rows, int32_t threads, int32_t width, float *total, const F &work) {
    float *sums = static_cast<float *>(std::calloc(size_t(pieces(rows) * width), 4));
    if (!sums) std::abort();
    by_rows(rows, threads, [&](int64_t begin, int64_t end, int64_t piece) { work(begin, end, sums + piece * width); });
    for (int32_t i = 0; i < width; i++) {
        float sum = 0;
        for (int64_t piece = 0; piece < pieces(rows); piece++) sum += sums[piece * width + i];
        total[i] = sum;
    }
    std::free(sums);
}

}  // namespace

static int64_t of_unit(const Sequences &s) { return (int64_t(s.longest) + 63) / 64 * 64; }
static int64_t rows_of_block(const Sequences &s) {
    const int64_t fold = s.heads / s.groups;
    return fold > 48 ? fold : 48;
}
int64_t attend_floats(const Sequences &s) {
    return 2 * of_unit(s) * s.width + rows_of_block(s) * (2 * s.width + 2 * (of_unit(s) + 16));
}
int64_t attend_back_floats(const Sequences &s) {
    return 5 * of_unit(s) * s.width + (rows_of_block(s) + 2) * (3 * s.width + 5 * (of_unit(s) + 16));
}
int64_t muon_floats(const MuonUnit &u) {
    const int64_t m = u.rows < u.columns ? u.rows : u.columns, n = u.rows < u.columns ? u.columns : u.rows;
    return 3 * (m + 63) * (n + 63) + 2 * m * m + 48 * n;
}

}  // namespace creuset

using namespace creuset;

// `start`: GOMP_parallel of the OpenMP runtime that torch uses; null: one thread does all.
CREUSET_API void creuset_train_team(void *start) { start_team = reinterpret_cast<Start>(start); }

CREUSET_API void creuset_train_norm(const NormRows *a, int32_t half, int64_t rows, int32_t threads) {
    const TrainOps &o = train_ops(half);
    by_rows(rows, threads, [&](int64_t begin, int64_t end, int64_t) { o.norm(*a, begin, end); });
}
CREUSET_API void creuset_train_norm_back(const NormRows *a, int32_t half, int64_t rows, int32_t threads, float *dweight) {
    const TrainOps &o = train_ops(half);
    with_sums(rows, threads, a->width, dweight, [&](int64_t begin, int64_t end, float *sums) { o.norm_back(*a, begin, end, sums); });
}
CREUSET_API void creuset_train_heads(const Heads *a, int32_t half, int64_t rows, int32_t threads) {
    const TrainOps &o = train_ops(half);
    by_rows(rows, threads, [&](int64_t begin, int64_t end, int64_t) { o.heads(*a, begin, end); });
}
CREUSET_API void creuset_train_heads_back(const Heads *a, int32_t half, int64_t rows, int32_t threads, float *dweight) {
    const TrainOps &o = train_ops(half);
    with_sums(rows, threads, a->width, dweight, [&](int64_t begin, int64_t end, float *sums) { o.heads_back(*a, begin, end, sums); });
}
CREUSET_API void creuset_train_swiglu(const Swiglu *a, int32_t half, int64_t rows, int32_t threads) {
    const TrainOps &o = train_ops(half);
    by_rows(rows, threads, [&](int64_t begin, int64_t end, int64_t) { o.swiglu(*a, begin, end); });
}
CREUSET_API void creuset_train_swiglu_back(const Swiglu *a, int32_t half, int64_t rows, int32_t threads) {
    const TrainOps &o = train_ops(half);
    by_rows(rows, threads, [&](int64_t begin, int64_t end, int64_t) { o.swiglu_back(*a, begin, end); });
}
CREUSET_API void creuset_train_softmax_slope(const SoftmaxRows *a, int32_t half, int64_t rows, int32_t threads) {
    const TrainOps &o = train_ops(half);
    share_out((rows + 15) / 16, threads, [&](int64_t piece) {
        const int64_t begin = piece * 16, end = begin + 16 < rows ? begin + 16 : rows;
        o.softmax_slope(*a, begin, end, scratch.of(a->vocab));
    });
}
CREUSET_API void creuset_train_attend(const Sequences *a, int32_t half, int32_t threads) {
    const TrainOps &o = train_ops(half);
    share_out(int64_t(a->sequences) * a->groups, threads,
              [&](int64_t unit) { o.attend(*a, unit, scratch.of(attend_floats(*a))); });
}
CREUSET_API void creuset_train_attend_back(const Sequences *a, int32_t half, int32_t threads) {
    const TrainOps &o = train_ops(half);
    share_out(int64_t(a->sequences) * a->groups, threads,
              [&](int64_t unit) { o.attend_back(*a, unit, scratch.of(attend_back_floats(*a))); });
}
// 0: updated. 1: there are no products of bf16 at this level, and nothing was done.
CREUSET_API int32_t creuset_train_muon(const Muon *a, int32_t half, int64_t count, int32_t threads) {
    const TrainOps &o = train_ops(half);
    if (!o.muon) return 1;
    share_out(count, threads, [&](int64_t i) { o.muon(*a, a->units[i], scratch.of(muon_floats(a->units[i]))); });
    return 0;
}
