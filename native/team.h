// The threads that compute one call together, as each of them sees it.
#pragma once
#include <cstdint>

namespace creuset {

struct Team {
    int32_t thread = 0, threads = 1;
    void barrier() {}
};

template <typename F>
static inline void together(int32_t threads, F work) {
    (void)threads;
    Team alone;
    work(alone);
}

}  // namespace creuset
