// Threads that compute a step together.
//
//     Pool* pool = pool_new(2);
//     run(pool, work, argument);      // work(thread, threads, argument) on each thread; returns when all are done
//         barrier(pool);              // inside `work`, on all of them: nobody goes on before everybody is there
//     pool_free(pool);
//
// A thread that waits spins for a few microseconds and then sleeps, so that nobody's processor is burnt. A controller
// measures which share of a run was spent waiting. Above a quarter the others are late more than they help: half as
// many threads do the next runs, and later, with growing patience, twice as many are tried again. So `threads` differs
// from run to run, and what is computed must not depend on it.
//
// A pool belongs to one caller at a time; a second one waits. After fork() the child starts its own threads at its
// first run. `work` must not throw and must not call `run` of the same pool.
#pragma once
#include <cstdint>

#include "isa.h"

namespace creuset {

using Work = void (*)(int thread, int threads, void* argument);

struct Pool;

// `threads` >= 1, the caller's own among them. 0: as many as the processors that this process may use. Null: no memory.
Pool* pool_new(int threads);
void pool_free(Pool* pool);

void run(Pool* pool, Work work, void* argument);
void barrier(Pool* pool);

// Threads of the pool, and those that the next run will have.
int pool_threads(const Pool* pool);
int pool_active(const Pool* pool);

struct PoolStats {
    int64_t threads, active, runs;
    int64_t drops, rises;      // times that the controller took fewer, or more threads
    int64_t sleeps;            // times that a thread fell asleep while it waited
    double waiting;            // share of the last measured span that was spent waiting, over all threads
};

}  // namespace creuset

CREUSET_API void* creuset_pool_new(int threads);
CREUSET_API void creuset_pool_free(void* pool);
CREUSET_API void creuset_pool_stats(const void* pool, creuset::PoolStats* stats);
// `controlled` 0: always all threads, for benches and tests. `spin_ns`: how long a waiting thread spins; -1: as it is.
CREUSET_API void creuset_pool_set(void* pool, int controlled, int64_t spin_ns);
// A test of the pool: `runs` runs with `barriers` barriers each, in which every thread writes what its neighbour reads
// after the barrier, with about `work_ns` of computing between them. Returns how many reads were wrong.
CREUSET_API int64_t creuset_pool_check(void* pool, int runs, int barriers, int64_t work_ns);
