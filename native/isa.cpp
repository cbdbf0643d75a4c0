#include "isa.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace creuset {

static const char *const names[] = {"scalar", "neon", "avx2", "avx512", "vnni", "bf16", "amx"};
static char refused[160];

const char *isa_name(Isa isa) { return names[isa]; }

#if defined(__x86_64__)
// Linux gives the tile registers' memory to a process that asks for it (arch_prctl, since 5.16).
static bool tiles_permitted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
    const long request_permission = 0x1023, get_permission = 0x1022, tile_data = 18;
    unsigned long granted = 0;
    if (syscall(SYS_arch_prctl, request_permission, tile_data)) return false;
    return !syscall(SYS_arch_prctl, get_permission, &granted) && (granted >> tile_data & 1);
#else
    return false;
#endif
}
#endif

bool isa_here(Isa isa) {
    if (isa == SCALAR) return true;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
    switch (isa) {
        case AVX2: return avx2;
        case AVX512: return avx512;
        case VNNI: return vnni;
        case ISA_BF16: return bf16;
        case AMX:
#if CREUSET_TILES_EMULATED  // a test of the code around the tiles (tiles.h)
            return bf16;
#endif
            return bf16 && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
                   __builtin_cpu_supports("amx-bf16") && tiles_permitted();
        default: return false;
    }
#elif defined(__aarch64__)
    return isa == NEON;
#else
    return false;
#endif
}

static Isa best() {
    for (int level = AMX; level > SCALAR; level--)
        if (isa_here(Isa(level))) return Isa(level);
    return SCALAR;
}

// -1: `name` is no level; the reason is in `refused`.
static int level_of(const char *name) {
    for (int level = SCALAR; level <= AMX; level++)
        if (!strcmp(name, names[level])) {
            if (isa_here(Isa(level))) return level;
            snprintf(refused, sizeof refused, "CREUSET_ISA=%s: this machine has no %s; its best level is %s", name, name, names[best()]);
            return -1;
        }
    snprintf(refused, sizeof refused, "CREUSET_ISA=%.40s is not one of scalar, neon, avx2, avx512, vnni, bf16, amx", name);
    return -1;
}

static int initial() {
    const char *forced = getenv("CREUSET_ISA");
    return forced && *forced ? level_of(forced) : best();
}

static int &current() {
    static int level = initial();
    return level;
}

Isa isa() { return current() < 0 ? best() : Isa(current()); }

}  // namespace creuset

// Null, or why the level that CREUSET_ISA names cannot be used. Whoever loads the library asks first.
CREUSET_API const char *creuset_isa_refused() { return creuset::current() < 0 ? creuset::refused : nullptr; }
CREUSET_API const char *creuset_isa() { return creuset::isa_name(creuset::isa()); }
CREUSET_API int creuset_isa_here(const char *name) { return creuset::level_of(name) >= 0; }
// Another level from now on, for tests and benches: 0, or -1 where the machine lacks it. Not while a product runs.
CREUSET_API int creuset_isa_set(const char *name) {
    int level = creuset::level_of(name);
    if (level < 0) return -1;
    creuset::current() = level;
    return 0;
}
