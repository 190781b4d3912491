// slot_test.c - aliases: what was put is found, also after the tables have grown.
// SPDX-License-Identifier: Apache-2.0
#include "metrics/slot.h"

#include "test.h"

static struct hash128 key_of(uint32_t i)
{
    return hash128_seeded(str_of((const char *)&i, sizeof i), 7);
}

TEST(aliases_survive_growing)
{
    enum { N = 300000 };
    struct aliases a;
    uint32_t slot, generation;

    aliases_init(&a);
    CHECK(!aliases_find(&a, key_of(0), &slot, &generation));
    for (uint32_t i = 0; i < N; i++) {
        aliases_prefetch(&a, key_of(i));
        aliases_put(&a, key_of(i), i, i % SLOT_GENERATIONS + 1);
    }
    for (uint32_t i = 0; i < N; i++) {
        CHECK(aliases_find(&a, key_of(i), &slot, &generation));
        CHECK(slot == i && generation == i % SLOT_GENERATIONS + 1);
    }
    CHECK(!aliases_find(&a, key_of(N), &slot, &generation));
    aliases_put(&a, key_of(5), 77, 1); // replaces
    CHECK(aliases_find(&a, key_of(5), &slot, &generation) && slot == 77 && generation == 1);
    for (unsigned i = 0; i < ALIAS_STRIPES; i++)
        aliases_drop_stripe(&a, i);
    CHECK(!aliases_find(&a, key_of(5), &slot, &generation));
    aliases_fini(&a);
}
