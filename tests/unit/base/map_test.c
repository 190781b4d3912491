// map_test.c - the hash index against a plain array; sorting; arenas; checksums.
// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/sort.h"
#include "base/vec.h"
#include "test.h"

static bool key_equal(const void *ctx, const void *key, uint32_t index)
{
    return ((const uint64_t *)ctx)[index] == *(const uint64_t *)key;
}

TEST(map_agrees_with_an_array)
{
    enum { KEYS = 500 };
    uint64_t keys[KEYS];
    bool in[KEYS] = { 0 };
    OWNED(map_fini) struct map m = { 0 };
    struct rand_state r = rand_seeded(1);

    for (size_t i = 0; i < KEYS; i++)
        keys[i] = i % 7 ? rand_next(&r) : i; // few distinct hashes among the small ones
    for (int step = 0; step < 50000; step++) {
        uint32_t i = (uint32_t)(rand_next(&r) % KEYS);
        uint64_t hash = keys[i] < KEYS ? keys[i] % 3 : keys[i];
        CHECK((map_find(&m, hash, key_equal, keys, &keys[i]) == i) == in[i]);
        if (in[i])
            CHECK(map_remove(&m, hash, i));
        else
            map_add(&m, hash, i);
        in[i] = !in[i];
    }
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++)
        n += in[i];
    CHECK(m.n == n);
    CHECK(!map_remove(&m, 12345, 1));
}

static int by_high_half(const void *a, const void *b, void *ctx UNUSED)
{
    uint64_t x = *(const uint64_t *)a >> 32, y = *(const uint64_t *)b >> 32;

    return (x > y) - (x < y);
}

TEST(sorts_are_stable)
{
    enum { N = 1000 };
    uint64_t v[N];
    struct sort_pair p[N], scratch[N];
    struct rand_state r = rand_seeded(2);

    for (size_t i = 0; i < N; i++) {
        v[i] = (rand_next(&r) % 50) << 32 | i;
        p[i] = (struct sort_pair){ (rand_next(&r) % 50) << 20, i };
    }
    sort_stable(v, N, sizeof v[0], by_high_half, NULL);
    sort_pairs(p, N, scratch);
    for (size_t i = 1; i < N; i++) {
        CHECK(v[i - 1] < v[i]);
        CHECK(p[i - 1].key < p[i].key || (p[i - 1].key == p[i].key && p[i - 1].value < p[i].value));
    }
}

TEST(unique_strings_are_sorted)
{
    struct str v[] = { STR("b"), STR("a"), STR("b"), STR(""), STR("ab") };
    size_t n = sort_strs_unique(v, ARRAY_LEN(v));

    CHECK(n == 4 && str_eq(v[0], STR("")) && str_eq(v[1], STR("a")) && str_eq(v[2], STR("ab")));
}

TEST(arena_marks_give_memory_back)
{
    OWNED(arena_fini) struct arena a = { 0 };
    char *first = arena_alloc(&a, 100);
    struct arena_mark m = arena_mark(&a);

    for (int i = 0; i < 1000; i++)
        memset(arena_alloc(&a, 5000), i, 5000);
    size_t much = a.taken_bytes;
    arena_release(&a, m);
    CHECK(a.taken_bytes < much);
    CHECK(arena_alloc(&a, 16) == first + 112);
    arena_reset(&a);
    CHECK((uintptr_t)arena_raw(&a, 1) % 16 == 0);
}

TEST(vectors_grow_on_heap_and_in_arenas)
{
    OWNED(arena_fini) struct arena a = { 0 };
    VEC(uint32_t) h = { 0 }, in = { 0 };

    for (uint32_t i = 0; i < 1000; i++) {
        *vec_push(&h) = i;
        *vec_push_in(&a, &in) = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        CHECK(h.v[i] == i && in.v[i] == i);
    vec_fini(&h);
}

TEST(crc32c_known_values)
{
    CHECK(crc32c(0, "123456789", 9) == 0xe3069283u);
    CHECK(crc32c(0, "", 0) == 0);
    CHECK(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283u);
    CHECK(hash_xxh64(STR("")) == UINT64_C(0xef46db3751d8e999));
}
