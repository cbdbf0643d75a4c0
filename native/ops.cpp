// Which copy of the operations is used: the one for the level in use.
#include "ops.h"

#include "isa.h"

namespace creuset {

extern const Ops ops_scalar;
#if defined(__x86_64__)
extern const Ops ops_avx2, ops_avx512;
#elif defined(__aarch64__)
extern const Ops ops_neon;
#endif

const Ops &ops() {
#if defined(__x86_64__)
    const Isa level = isa();
    return level >= AVX512 ? ops_avx512 : level >= AVX2 ? ops_avx2 : ops_scalar;
#elif defined(__aarch64__)
    return isa() == NEON ? ops_neon : ops_scalar;
#else
    return ops_scalar;
#endif
}

}  // namespace creuset
