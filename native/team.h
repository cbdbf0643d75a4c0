// The threads that compute one call together, as each of them sees it (pool.h).
#pragma once
#include <cstdint>

#include "pool.h"

namespace creuset {

struct Team {
    Pool *pool;  // null: one thread alone
    int32_t thread, threads;
    void barrier() {
        if (threads > 1) creuset::barrier(pool);
    }
};

// work(team) on each thread of `pool`; on this one where it is null.
template <typename F>
static inline void together(Pool *pool, F work) {
    if (!pool) {
        Team alone{nullptr, 0, 1};
        work(alone);
        return;
    }
    struct Call {
        Pool *pool;
        F &work;
    } call{pool, work};
    run(pool, [](int thread, int threads, void *argument) {
        Call &mine = *static_cast<Call *>(argument);
        Team team{mine.pool, thread, threads};
        mine.work(team);
    }, &call);
}

}  // namespace creuset
