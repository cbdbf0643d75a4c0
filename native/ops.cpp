// Which copy of the operations is used: the one for the level in use.
#include "ops.h"

#include "isa.h"

namespace creuset {

extern const Ops ops_scalar;
extern const Ops ops_avx2, ops_avx512, ops_neon;

const Ops &ops() {
    const Isa level = isa();
    (void)level;
#ifdef CREUSET_HAS_AVX512
    if (level >= AVX512) return ops_avx512;
#endif
#ifdef CREUSET_HAS_AVX2
    if (level >= AVX2) return ops_avx2;
#endif
#ifdef CREUSET_HAS_NEON
    if (level == NEON) return ops_neon;
#endif
    return ops_scalar;
}

}  // namespace creuset
