// Activations, and the choice of the kernels of the level in use.
#if CREUSET_HAS_NEONDOT && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "isa.h"
#include "kernels.h"

namespace creuset {

namespace {

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

const Kernels *kernels_of(Isa level) {
    switch (level) {
#if CREUSET_HAS_AVX2
        case AVX2: return &avx2_kernels;
#endif
#if CREUSET_HAS_AVX512
        case AVX512: return &avx512_kernels;
#endif
#if CREUSET_HAS_VNNI
        case VNNI: return &vnni_kernels;
#endif
#if CREUSET_HAS_BF16
        case ISA_BF16: return &bf16_kernels;
#endif
#if CREUSET_HAS_AMX
        case AMX: return &amx_kernels;
#endif
#if CREUSET_HAS_NEONDOT && defined(__linux__)
        case NEON: return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? &neondot_kernels : &neon_kernels;
#elif CREUSET_HAS_NEON
        case NEON: return &neon_kernels;
#endif
        default: return &scalar_kernels;
    }
}

// The function of the highest level that has one of its own, from the level in use down.
template <class Function>
Function chosen(Function Kernels::*member) {
    for (int level = isa(); level > SCALAR; level--)
        if (Function own = kernels_of(Isa(level))->*member) return own;
    return scalar_kernels.*member;
}

}  // namespace

size_t rows_bytes(int32_t rows, int32_t ins, int32_t forms) {
    size_t width = padded(ins), groups = width / 32, n = rows, bytes = 0;
    if (forms & FORM_BF16) bytes += aligned(n * width * 2);
    if (forms & FORM_INT8) bytes += aligned(n * width) + 3 * aligned(n * groups * 4) + aligned(n * groups * 8);
    return bytes;
}

Rows rows_in(void *memory, int32_t rows, int32_t ins, int32_t forms) {
    Rows r{};
    r.rows = rows, r.ins = ins, r.forms = forms, r.groups = int32_t(padded(ins) / 32);
    size_t width = padded(ins), n = rows;
    auto *at = static_cast<uint8_t *>(memory);
    auto take = [&at](size_t bytes) {
        uint8_t *here = at;
        at += aligned(bytes);
        return here;
    };
    if (forms & FORM_BF16) r.bf16 = reinterpret_cast<uint16_t *>(take(n * width * 2));
    if (forms & FORM_INT8) {
        r.codes = reinterpret_cast<int8_t *>(take(n * width));
        r.scales = reinterpret_cast<float *>(take(n * r.groups * 4));
        r.minus = reinterpret_cast<int32_t *>(take(n * r.groups * 4));
        r.halves = reinterpret_cast<int32_t *>(take(n * r.groups * 8));
        r.sums = reinterpret_cast<float *>(take(n * r.groups * 4));
    }
    return r;
}

void prepare(Rows &rows, const float *x, int64_t ld, int32_t begin, int32_t end) {
    if (rows.forms & FORM_F32) rows.values = x, rows.ld = ld;
    if (begin < end && rows.forms & (FORM_BF16 | FORM_INT8)) chosen(&Kernels::prepare)(rows, x, ld, begin, end);
}

void multiply(const Matrix &m, const Rows &rows, const Outputs &o) {
    if (o.count <= 0 || o.begin >= o.end) return;
    static Product Kernels::*const members[] = {&Kernels::f32, &Kernels::bf16, &Kernels::q8, &Kernels::q4, &Kernels::q4a};
    chosen(members[m.kind])(m, rows, o);
}

}  // namespace creuset
