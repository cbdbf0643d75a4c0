// The memory of keys and values. Pages of the operating system are taken only where something is written.
#include <sys/mman.h>

#include <cstring>
#include <new>

#include "model.h"
#include "numbers.h"

namespace creuset {

void Cache::write(int layer, int block, int within, int h, const float *key, const float *value_row) const {
    int tile = block_size < 16 ? block_size : 16;
    int64_t first = int64_t(within / tile) * tile * head + within % tile, row = int64_t(within) * value;
    if (type == CACHE_F32) {
        float *k = reinterpret_cast<float *>(key_at(layer, block, h)) + first;
        float *v = reinterpret_cast<float *>(value_at(layer, block, h)) + row;
        for (int d = 0; d < head; d++) k[d * tile] = key[d];
        memcpy(v, value_row, sizeof(float) * value);
    } else {
        uint16_t *k = reinterpret_cast<uint16_t *>(key_at(layer, block, h)) + first;
        uint16_t *v = reinterpret_cast<uint16_t *>(value_at(layer, block, h)) + row;
        for (int d = 0; d < head; d++) k[d * tile] = to_bf16(key[d]);
        for (int d = 0; d < value; d++) v[d] = to_bf16(value_row[d]);
    }
}

static char *zeros(size_t bytes) {
    void *found = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return found == MAP_FAILED ? nullptr : static_cast<char *>(found);
}

}  // namespace creuset

using namespace creuset;

CREUSET_API void creuset_cache_free(Cache *cache) {
    if (!cache) return;
    if (cache->keys) munmap(cache->keys, cache->key_bytes);
    if (cache->values) munmap(cache->values, cache->value_bytes);
    delete cache;
}

// Null: there is not so much memory.
CREUSET_API Cache *creuset_cache_new(const Model *m, int32_t blocks, int32_t block_size, int32_t type) {
    Cache *c = new (std::nothrow) Cache{};
    if (!c) return nullptr;
    const Shape &s = m->shape;
    c->layers = s.layers + s.next_layers, c->blocks = blocks, c->block_size = block_size, c->type = type;
    c->heads = s.kv_heads, c->head = s.head, c->value = s.kv_rank ? s.kv_rank : s.head;
    size_t all = size_t(c->layers) * blocks * c->heads * c->width();
    c->key_bytes = all * c->key_head(), c->value_bytes = all * c->value_head() + 64;  // vectors reach behind the last
    c->keys = zeros(c->key_bytes), c->values = zeros(c->value_bytes);
    if (c->keys && c->values) return c;
    creuset_cache_free(c);
    return nullptr;
}

CREUSET_API void creuset_cache_wipe(Cache *c, const int32_t *blocks, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        for (int layer = 0; layer < c->layers; layer++) {
            memset(c->key_at(layer, blocks[i], 0), 0, c->key_head() * c->width() * c->heads);
            memset(c->value_at(layer, blocks[i], 0), 0, c->value_head() * c->width() * c->heads);
        }
}
