// The pool under ThreadSanitizer: all ways of waiting, and the controller at work.
#include <cstdio>
#include <initializer_list>

#include "pool.h"

int main() {
    long wrong = 0;
    for (int threads : {1, 2, 4})
        for (int controlled : {0, 1})
            for (int spin_ns : {0, 20000}) {
                void* pool = creuset_pool_new(threads);
                creuset_pool_set(pool, controlled, spin_ns);
                wrong += creuset_pool_check(pool, 100, 20, 0) + creuset_pool_check(pool, 300, 1, 20000);
                creuset_pool_free(pool);
            }
    std::printf("wrong: %ld\n", wrong);
    return wrong != 0;
}
