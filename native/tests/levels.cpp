// Each feature level of this machine against the scalar one: products, preparation, and what a step does beside them.
//
// Prints a line for each problem; the levels; one hash of what the scalar level computed with codes and fp32; and a sum of
// what its operations gave. The numbers put in are the same on every machine, so the hash is too, and the sum nearly so.
// Exit code 1 where there is a problem.
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "matrix.h"
#include "ops.h"
#include "pool.h"

extern "C" int creuset_isa_set(const char *);
extern "C" int creuset_isa_here(const char *);

using namespace creuset;

static uint64_t state = 1;
static float number() {  // in -1 .. 1, the same on every machine
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return float(int32_t(state >> 40) - (1 << 23)) / float(1 << 23);
}

static std::vector<float> numbers(size_t count) {
    std::vector<float> found(count);
    for (float &one : found) one = number();
    return found;
}

static uint64_t hash = 1469598103934665603ull;
static void put(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        std::memcpy(&bits, values + i, 4);
        hash = (hash ^ bits) * 1099511628211ull;
    }
}

static int problems = 0;
static void problem(const std::string &what, const std::string &level) {
    std::printf("%s: %s\n", level.c_str(), what.c_str());
    problems++;
}

static bool same(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && !std::memcmp(a.data(), b.data(), 4 * a.size());
}

static bool close(const std::vector<float> &a, const std::vector<float> &b, float within) {
    for (size_t i = 0; i < a.size(); i++)
        if (!(std::fabs(a[i] - b[i]) <= within * (1 + std::fabs(b[i])))) return false;
    return a.size() == b.size();
}

static double total = 0;
static void add_up(const std::vector<float> &values) {
    for (size_t i = 0; i < values.size(); i++) total += double(values[i]) * double(1 + i % 7);
}

struct Memory {  // aligned to 64
    explicit Memory(size_t bytes) : data(std::aligned_alloc(64, (bytes + 127) / 64 * 64)) { std::memset(data, 0, bytes); }
    ~Memory() { std::free(data); }
    void *data;
};

static const char *const KINDS[] = {"f32", "bf16", "q8", "q4", "q4a"};

static void products(int32_t kind, int32_t group, int32_t outs, int32_t ins, int32_t count, const std::vector<std::string> &levels) {
    Matrix m{kind, outs, ins, group, SCALE_F32, 0, nullptr};
    Memory packed(packed_bytes(m));
    m.data = static_cast<uint8_t *>(packed.data);
    const std::vector<float> weights = numbers(size_t(outs) * ins), x = numbers(size_t(count) * ins);
    std::vector<int8_t> codes(size_t(outs) * ins);
    if (kind == F32 || kind == BF16) {
        pack_f32(m, 0, outs, weights.data());
    } else {
        const int32_t groups = (ins + group - 1) / group;
        const int low = kind == Q8 ? -127 : kind == Q4 ? -8 : 0, span = kind == Q8 ? 255 : 16;
        for (size_t i = 0; i < codes.size(); i++) codes[i] = int8_t(low + int((weights[i] + 1) * 0.4999f * float(span)));
        const std::vector<float> scales = numbers(size_t(outs) * groups), minima = numbers(size_t(outs) * groups);
        pack_codes(m, 0, outs, codes.data(), scales.data(), kind == Q4A ? minima.data() : nullptr);
    }
    const std::string what = std::string(KINDS[kind]) + " " + std::to_string(outs) + "x" + std::to_string(ins) + ", " +
                             std::to_string(count) + " rows";
    std::vector<float> definition;
    for (const std::string &level : levels) {
        if (creuset_isa_set(level.c_str())) continue;
        Memory memory(rows_bytes(count, ins, form_of(kind)));
        Rows rows = rows_in(memory.data, count, ins, form_of(kind));
        prepare(rows, x.data(), ins, 0, count);
        std::vector<float> y(size_t(count) * outs), pieces(y.size()), alone(y.size());
        multiply(m, rows, {nullptr, count, y.data(), outs, 0, outs, nullptr});
        for (int thread = 0; thread < 3; thread++) {
            int32_t begin, end;
            share(outs, thread, 3, &begin, &end);
            if (begin < end) multiply(m, rows, {nullptr, count, pieces.data(), outs, begin, end, m.data});
        }
        for (int32_t row = 0; row < count; row++) multiply(m, rows, {&row, 1, alone.data() + size_t(row) * outs, outs, 0, outs, m.data});
        if (!same(y, pieces)) problem(what + ": the share of a thread changes numbers", level);
        if (!same(y, alone)) problem(what + ": a row alone has other numbers", level);
        if (level == "scalar") {
            definition = y;
            if (kind != BF16) put(y.data(), y.size());
        } else if (kind == BF16 ? !close(y, definition, 1e-2f) : !same(y, definition)) {
            problem(what + ": not what the scalar level computes", level);
        }
    }
}

// What each operation makes of the same rows, one after the other.
static std::vector<float> operations(int32_t n, const std::vector<float> &x, const std::vector<float> &w) {
    const Ops &o = ops();
    std::vector<float> all, y(n);
    auto keep = [&] { all.insert(all.end(), y.begin(), y.end()); };
    o.norm(x.data(), w.data(), y.data(), n, 1e-6f), keep();
    y = x, o.add(y.data(), w.data(), n), keep();
    y = x, o.add_times(y.data(), w.data(), 0.3f, n), keep();
    y = x, o.scale(y.data(), 1.7f, n), keep();
    y = x, o.clip(y.data(), 0.4f, n), keep();
    y = x, o.cap(y.data(), 0.5f, n), keep();
    y = x, o.softmax(y.data(), n), keep();
    y = x, o.sigmoid(y.data(), n), keep();
    y = x, o.rotate(y.data(), w.data(), x.data(), n / 2), keep();
    for (int32_t kind : {SILU, GELU_TANH, XIELU, CLAMPED}) {
        const Activation a{kind, kind == XIELU ? 0 : 1, 0.7f, 1.3f, 0.5f, 1e-6f};
        std::vector<float> gate = x;
        for (float &one : gate) one *= 4;
        o.bend(a, gate.data(), w.data(), y.data(), n), keep();
    }
    all.push_back(o.largest(x.data(), n));
    all.push_back(o.dot(x.data(), w.data(), n));
    all.push_back(float(o.log_sum(x.data(), n)));
    return all;
}

static std::vector<float> attention(int32_t head, int32_t first, int32_t tokens, int32_t type, bool more, const std::vector<float> &q,
                                    const std::vector<uint32_t> &cache) {
    const int32_t heads = 3, block = 16, padded = value_padded(head), blocks = (first + tokens + block - 1) / block;
    std::vector<int32_t> order;
    for (int32_t i = 0; i < blocks; i++) order.push_back(blocks - 1 - i);
    std::vector<float> out(size_t(tokens) * heads * head), sinks = {0.1f, -0.4f, 0.9f};
    Memory scratch(4 * size_t(reading_floats(tokens * heads, head, first + tokens)));
    Reading r{};
    r.queries = q.data(), r.out = out.data(), r.ld = r.out_ld = heads * head;
    r.tokens = tokens, r.heads = heads, r.head = r.value = head, r.first = first;
    r.window = more ? 5 : 0, r.cap = more ? 2.0f : 0.0f, r.sinks = more ? sinks.data() : nullptr;
    r.blocks = order.data(), r.block_size = block, r.type = type;
    r.keys = cache.data(), r.values = cache.data() + 64 * 1024;
    r.key_stride = block * head, r.value_stride = block * padded;
    r.scratch = static_cast<float *>(scratch.data);
    ops().read(r);
    return out;
}

int main() {
    std::vector<std::string> levels;
    for (const char *level : {"scalar", "neon", "avx2", "avx512", "vnni", "bf16", "amx"})
        if (creuset_isa_here(level)) levels.push_back(level);
    for (int32_t outs : {1, 16, 40, 96})
        for (int32_t ins : {32, 64, 80, 192})
            for (int32_t count : {1, 2, 5, 17}) {
                products(F32, 0, outs, ins, count, levels);
                products(BF16, 0, outs, ins, count, levels);
                products(Q8, 32, outs, ins, count, levels);
                products(Q8, 16, outs, ins, count, levels);
                products(Q4, 32, outs, ins, count, levels);
                products(Q4A, 32, outs, ins, count, levels);
            }
    for (int32_t n : {1, 7, 16, 30, 64, 193}) {
        const std::vector<float> x = numbers(n), w = numbers(n);
        std::vector<float> definition;
        for (const std::string &level : levels) {
            if (creuset_isa_set(level.c_str())) continue;
            const std::vector<float> found = operations(n, x, w);
            if (level == "scalar") add_up(definition = found);
            if (!close(found, definition, 2e-5f)) problem("operations on " + std::to_string(n) + " numbers", level);
        }
    }
    for (int32_t head : {16, 24, 64})
        for (int32_t tokens : {1, 4})
            for (int32_t type : {CACHE_F32, CACHE_BF16})
                for (bool more : {false, true}) {
                    const std::vector<float> q = numbers(size_t(tokens) * 3 * head);
                    std::vector<uint32_t> cache(128 * 1024);
                    for (uint32_t &one : cache) {
                        const float value = number();
                        std::memcpy(&one, &value, 4);
                        if (type == CACHE_BF16) one = (one & 0xffff0000u) | one >> 16;  // two numbers, both sound
                        if (type == CACHE_BF16 && (one & 0x7f80u) == 0x7f80u) one &= 0xffff0000u;
                    }
                    if (type == CACHE_BF16)
                        for (uint32_t &one : cache) one = (one & 0xffff0000u) | (one >> 16);
                    std::vector<float> definition;
                    for (const std::string &level : levels) {
                        if (creuset_isa_set(level.c_str())) continue;
                        const std::vector<float> found = attention(head, 37, tokens, type, more, q, cache);
                        if (level == "scalar") add_up(definition = found);
                        if (!close(found, definition, 1e-4f)) problem("attention with heads of " + std::to_string(head), level);
                    }
                }
    void *pool = creuset_pool_new(3);
    if (creuset_pool_check(pool, 20, 10, 0)) problem("barriers", "pool");
    creuset_pool_free(pool);
    for (const std::string &level : levels) std::printf("%s ", level.c_str());
    std::printf("\nhash %016" PRIx64 "\nsum %.6f\n", hash, total);
    return problems != 0;
}
