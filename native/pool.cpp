#include "pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <mutex>
#include <new>
#include <vector>

namespace creuset {
namespace {

constexpr int MOST_THREADS = 256;
constexpr int UNTIMED_SPINS = 50;          // before a waiting thread looks at the clock
constexpr int64_t SPIN_NS = 30'000;        // then asleep
constexpr int64_t SPAN_NS = 4'000'000;     // the controller decides after this much time in runs ...
constexpr int SPAN_RUNS = 4;               // ... and at least so many runs
constexpr double TOO_LATE = 0.25;          // share of waiting above which fewer threads are better
constexpr int64_t PATIENCE_NS = 50'000'000, MOST_PATIENCE_NS = 2'000'000'000;

int64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * int64_t(1'000'000'000) + t.tv_nsec;
}

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

using Word = std::atomic<uint32_t>;

void futex_wait(Word& word, uint32_t value) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futex_wake(Word& word) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// A word that threads wait for. `sleepers` says whether whoever changes it has to wake somebody; both sides write
// first and read then, in one total order, so that one of them sees the other.
struct alignas(64) Signal {
    Word word{0};
    Word sleepers{0};

    void add(uint32_t by) {
        word.fetch_add(by, std::memory_order_seq_cst);
        if (sleepers.load(std::memory_order_seq_cst)) futex_wake(word);
    }
};

// Forks of this process and of those it comes from: a pool that was made before the last one has lost its threads.
std::atomic<int> forks{0};

void count_forks() {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
    (void)registered;
}

struct alignas(64) Thread {
    Signal job;              // changes when there is work for this thread, or the end
    pthread_t handle{};
    Pool* pool = nullptr;
    int index = 0;
    int64_t waited = 0;      // in this run; read by the caller once the run is over
    int64_t finished = 0;    // when this thread was done
    int64_t sleeps = 0;
};

}  // namespace

struct Pool {
    Signal phase;                        // of the barrier
    alignas(64) std::atomic<int> arrived{0};
    Signal left;                         // threads that are not done with this run
    alignas(64) Work work = nullptr;
    void* argument = nullptr;
    int active = 1;                      // threads of this run
    bool stop = false;
    std::atomic<int64_t> spin_ns{SPIN_NS};

    Thread* threads = nullptr;
    int size = 1;
    int forked = 0;
    std::mutex caller;

    // The controller.
    bool controlled = true;
    int next = 1;
    int64_t runs = 0, drops = 0, rises = 0, span_waited = 0, span_time = 0, span_runs = 0;
    int64_t patience = PATIENCE_NS, try_at = 0;
    int good_spans = 0;
    double waiting = 0;

    // Wait until `signal` is no longer `value`. Returns the nanoseconds that this took, 0 if hardly any.
    int64_t wait(Signal& signal, uint32_t value, Thread& self) const {
        for (int i = 0; i < UNTIMED_SPINS; ++i) {
            if (signal.word.load(std::memory_order_acquire) != value) return 0;
            pause();
        }
        const int64_t begun = now();
        while (signal.word.load(std::memory_order_acquire) == value) {
            for (int i = 0; i < 16; ++i) {
                if (signal.word.load(std::memory_order_acquire) != value) return now() - begun;
                pause();
            }
            if (now() - begun < spin_ns.load(std::memory_order_relaxed)) continue;
            ++self.sleeps;
            signal.sleepers.fetch_add(1, std::memory_order_seq_cst);
            while (signal.word.load(std::memory_order_seq_cst) == value) futex_wait(signal.word, value);
            signal.sleepers.fetch_sub(1, std::memory_order_relaxed);
        }
        return now() - begun;
    }

    void start();
    void decide(int64_t begun, int64_t ended);
};

namespace {

// The index of this thread in the pool whose work it does: `barrier` is called without it.
thread_local int current = 0;

void* serve(void* argument) {
    Thread& self = *static_cast<Thread*>(argument);
    Pool& pool = *self.pool;
    current = self.index;
    uint32_t seen = 0;
    for (;;) {
        pool.wait(self.job, seen, self);
        seen = self.job.word.load(std::memory_order_acquire);
        if (pool.stop) return nullptr;
        self.waited = 0;
        pool.work(self.index, pool.active, pool.argument);
        self.finished = now();
        pool.left.add(uint32_t(-1));
    }
}

int allowed_processors() {
    std::vector<unsigned long> mask(1024 / sizeof(unsigned long));  // 8192 processors
    const size_t bytes = mask.size() * sizeof(mask[0]);
    cpu_set_t* set = reinterpret_cast<cpu_set_t*>(mask.data());
    return sched_getaffinity(0, bytes, set) == 0 ? std::max(1, CPU_COUNT_S(bytes, set)) : 1;
}

}  // namespace

// Start the threads of a new pool, or of one whose process was forked. Fewer where the system has no more.
void Pool::start() {
    forked = forks.load();
    phase.word = left.word = 0;
    phase.sleepers = left.sleepers = 0;
    arrived = 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the threads of the caller
    int started = 1;
    for (; started < size; ++started) {
        Thread& thread = threads[started];
        thread.job.word = thread.job.sleepers = 0;
        thread.pool = this;
        thread.index = started;
        if (pthread_create(&thread.handle, nullptr, serve, &thread) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    size = started;
    next = std::min(next, size);
}

// After a run: shall the next one have fewer threads, or more?
void Pool::decide(int64_t begun, int64_t ended) {
    ++runs;
    if (!controlled) {
        next = size;
        return;
    }
    if (next < size && ended >= try_at) {  // patience is over: twice as many, and a new look
        next = std::min(size, 2 * next);
        ++rises;
        span_waited = span_time = span_runs = 0;
        return;
    }
    if (active == 1) return;
    int64_t waited = threads[0].waited;
    for (int i = 1; i < active; ++i) waited += threads[i].waited + std::max<int64_t>(0, ended - threads[i].finished);
    span_waited += waited;
    span_time += (ended - begun) * active;
    ++span_runs;
    if (span_time < SPAN_NS * active || span_runs < SPAN_RUNS) return;
    waiting = double(span_waited) / double(span_time);
    span_waited = span_time = span_runs = 0;
    if (waiting > TOO_LATE) {
        next = std::max(1, active / 2);
        ++drops;
        try_at = ended + patience;
        patience = std::min(2 * patience, MOST_PATIENCE_NS);
        good_spans = 0;
    } else {
        if (active < size) try_at = ended;      // this many work well: try more
        if (++good_spans >= 25) patience = PATIENCE_NS;
    }
}

Pool* pool_new(int threads) {
    if (threads <= 0) threads = allowed_processors();
    count_forks();
    Pool* pool = new (std::nothrow) Pool;
    if (pool == nullptr) return nullptr;
    pool->size = pool->next = std::min(threads, MOST_THREADS);
    pool->threads = new (std::nothrow) Thread[pool->size];
    if (pool->threads == nullptr) {
        delete pool;
        return nullptr;
    }
    pool->start();
    return pool;
}

void pool_free(Pool* pool) {
    if (pool == nullptr) return;
    if (pool->forked == forks.load()) {  // in a child that never ran it there are no threads to end
        pool->stop = true;
        for (int i = 1; i < pool->size; ++i) pool->threads[i].job.add(1);
        for (int i = 1; i < pool->size; ++i) pthread_join(pool->threads[i].handle, nullptr);
    }
    delete[] pool->threads;
    delete pool;
}

void run(Pool* pool, Work work, void* argument) {
    if (pool->forked != forks.load(std::memory_order_relaxed)) {
        new (&pool->caller) std::mutex;  // the one that held it may not exist here
        pool->start();
    }
    std::lock_guard<std::mutex> hold(pool->caller);
    const int before = current;
    current = 0;
    const int active = pool->active = pool->next;
    Thread& self = pool->threads[0];
    if (active == 1) {
        work(0, 1, argument);
        pool->decide(0, pool->size > 1 ? now() : 0);
        current = before;
        return;
    }
    const int64_t begun = now();
    pool->work = work;
    pool->argument = argument;
    self.waited = 0;
    pool->left.word.store(uint32_t(active - 1), std::memory_order_relaxed);
    for (int i = 1; i < active; ++i) pool->threads[i].job.add(1);
    work(0, active, argument);
    while (const uint32_t left = pool->left.word.load(std::memory_order_acquire))
        self.waited += pool->wait(pool->left, left, self);
    pool->decide(begun, now());
    current = before;
}

void barrier(Pool* pool) {
    const int active = pool->active;
    if (active == 1) return;
    const uint32_t phase = pool->phase.word.load(std::memory_order_relaxed);
    if (pool->arrived.fetch_add(1, std::memory_order_acq_rel) == active - 1) {
        pool->arrived.store(0, std::memory_order_relaxed);
        pool->phase.add(1);
        return;
    }
    Thread& self = pool->threads[current];
    self.waited += pool->wait(pool->phase, phase, self);
}

int pool_threads(const Pool* pool) { return pool->size; }
int pool_active(const Pool* pool) { return pool->next; }

namespace {

// What the threads of `creuset_pool_check` write and read.
struct Check {
    Pool* pool;
    int barriers;
    int64_t work_ns;
    std::vector<int64_t> cells = std::vector<int64_t>(MOST_THREADS * 8);
    std::vector<int64_t> wrong = std::vector<int64_t>(MOST_THREADS * 8);
    int64_t begun = 0;  // a number that no run has had before
};

void check(int thread, int threads, void* argument) {
    Check& c = *static_cast<Check*>(argument);
    for (int i = 1; i <= c.barriers; ++i) {
        if (c.work_ns > 0)
            for (const int64_t end = now() + c.work_ns; now() < end;) pause();
        c.cells[thread * 8] = c.begun + i;
        barrier(c.pool);
        c.wrong[thread * 8] += c.cells[(thread + 1) % threads * 8] != c.begun + i;
        barrier(c.pool);
    }
}

}  // namespace
}  // namespace creuset

void* creuset_pool_new(int threads) { return creuset::pool_new(threads); }
void creuset_pool_free(void* pool) { creuset::pool_free(static_cast<creuset::Pool*>(pool)); }

void creuset_pool_stats(const void* pool, creuset::PoolStats* stats) {
    const auto* p = static_cast<const creuset::Pool*>(pool);
    *stats = {p->size, p->next, p->runs, p->drops, p->rises, 0, p->waiting};
    for (int i = 0; i < p->size; ++i) stats->sleeps += p->threads[i].sleeps;
}

void creuset_pool_set(void* pool, int controlled, int64_t spin_ns) {
    auto* p = static_cast<creuset::Pool*>(pool);
    std::lock_guard<std::mutex> hold(p->caller);
    p->controlled = controlled != 0;
    if (!p->controlled) p->next = p->size;
    if (spin_ns >= 0) p->spin_ns = spin_ns;
}

int64_t creuset_pool_check(void* pool, int runs, int barriers, int64_t work_ns) {
    creuset::Check c{static_cast<creuset::Pool*>(pool), barriers, work_ns};
    for (int i = 0; i < runs; ++i) {
        c.begun += barriers + 1;
        creuset::run(c.pool, creuset::check, &c);
    }
    int64_t wrong = 0;
    for (const int64_t one : c.wrong) wrong += one;
    return wrong;
}
