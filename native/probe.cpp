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

// Sixteen vectors under way at once, from eight places far apart: one stream of reads does not fill a core's bandwidth.
void read(int thread, int threads, void* argument) {
    typedef uint64_t Vector __attribute__((vector_size(64), aligned(8)));
    Reading& r = *static_cast<Reading*>(argument);
    const int64_t vectors = r.words / 8, begin = vectors * thread / threads, end = vectors * (thread + 1) / threads;
    const Vector* v = reinterpret_cast<const Vector*>(r.data);
    const int64_t part = (end - begin) / 8;
    Vector sums[8] = {};
    for (int64_t i = 0; i < part; ++i)
        for (int64_t k = 0; k < 8; ++k) sums[k] += v[begin + k * part + i];
    uint64_t sum = 0;
    for (const Vector& one : sums)
        for (int k = 0; k < 8; ++k) sum += one[k];
    r.sum += sum;
}

}  // namespace
}  // namespace creuset

// Bytes a second that the threads of `pool` read of a block of `bytes`: the best of `repeats` readings. 0: no memory.
CREUSET_API double creuset_read_rate(void* pool, int64_t bytes, int repeats) {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return 0;
    madvise(data, bytes, MADV_HUGEPAGE);
    creuset::Reading reading{static_cast<uint64_t*>(data), bytes / 8};
    for (int64_t i = 0; i < bytes / 8; i += 64) static_cast<uint64_t*>(data)[i] = i;
    double best = 0;
    for (int i = 0; i < repeats; ++i) {
        timespec begun, ended;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        creuset::run(static_cast<creuset::Pool*>(pool), creuset::read, &reading);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        const double seconds = (ended.tv_sec - begun.tv_sec) + 1e-9 * (ended.tv_nsec - begun.tv_nsec);
        if (bytes / seconds > best) best = bytes / seconds;
    }
    munmap(data, bytes);
    return best;
}
