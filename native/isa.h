// Feature levels: what this processor and this operating system allow, and which one is used.
#pragma once
#include <cstdint>

namespace creuset {

// In rising order; a level uses what the lower ones of its architecture have. CREUSET_ISA names one to force.
enum Isa : int32_t { SCALAR = 0, NEON = 1, AVX2 = 2, AVX512 = 3, VNNI = 4, ISA_BF16 = 5, AMX = 6 };

bool isa_here(Isa isa);   // cpuid and, for AMX, the permission of the operating system
Isa isa();                // the level in use: the best one here, or the one that CREUSET_ISA forces
const char *isa_name(Isa isa);

}  // namespace creuset

#define CREUSET_API extern "C" __attribute__((visibility("default")))
