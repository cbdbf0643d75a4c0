// How fast this machine reads memory: what a step that reads all its weights is measured against.
#include <sys/mman.h>
#include <time.h>

#include <atomic>

#include "pool.h"

namespace creuset {
namespace {

struct Reading {
    const uint64_t* data;
    int64_t words;
    std::atomic<uint64_t> sum{0};  // so that nothing is left out as unused
};

// From four places far apart, in the order in which each lies. Two sums: more would not fit into registers on each processor.
void read(int thread, int threads, void* argument) {
    typedef uint64_t Vector __attribute__((vector_size(64), aligned(8)));
    Reading& r = *static_cast<Reading*>(argument);
    const int64_t vectors = r.words / 8, begin = vectors * thread / threads, end = vectors * (thread + 1) / threads;
    const Vector* v = reinterpret_cast<const Vector*>(r.data);
    const int64_t part = (end - begin) / 4;
    Vector sums[2] = {};
    for (int64_t i = 0; i < part; ++i)
        for (int64_t k = 0; k < 4; ++k) sums[k % 2] += v[begin + k * part + i];
    uint64_t sum = 0;
    for (const Vector& one : sums)
        for (int k = 0; k < 8; ++k) sum += one[k];
    r.sum += sum;
}

}  // namespace
}  // namespace creuset

// Bytes a second that the threads of `pool` read of a block of `bytes`: the best of `repeats` readings. 0: no memory. Without
// a pool this thread reads alone, and seconds are those of its processor time.
CREUSET_API double creuset_read_rate(void* pool, int64_t bytes, int repeats) {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return 0;
    madvise(data, bytes, MADV_HUGEPAGE);
    creuset::Reading reading{static_cast<uint64_t*>(data), bytes / 8};
    for (int64_t i = 0; i < bytes / 8; i += 64) static_cast<uint64_t*>(data)[i] = i;
    double best = 0;
    const clockid_t clock = pool ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    for (int i = 0; i < repeats; ++i) {
        timespec begun, ended;
        clock_gettime(clock, &begun);
        if (pool) creuset::run(static_cast<creuset::Pool*>(pool), creuset::read, &reading);
        else creuset::read(0, 1, &reading);
        clock_gettime(clock, &ended);
        const double seconds = (ended.tv_sec - begun.tv_sec) + 1e-9 * (ended.tv_nsec - begun.tv_nsec);
        if (bytes / seconds > best) best = bytes / seconds;
    }
    munmap(data, bytes);
    return best;
}
