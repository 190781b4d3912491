// map.c - open addressing with linear probing; removal shifts back, so there are no tombstones.
// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include "base/mem.h"

enum { SLOTS_MIN = 16 };

// The tag is the upper half of the hash and also gives the slot, so growth needs no keys.
static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

static size_t slots_of(const struct map *m)
{
    return m->slot ? m->mask + 1 : 0;
}

void map_fini(struct map *m)
{
    xfree(m->slot);
    *m = (struct map){ 0 };
}

void map_reset(struct map *m)
{
    for (size_t i = 0; i < slots_of(m); i++)
        m->slot[i].index = MAP_NONE;
    m->n = 0;
}

static void place(struct map *m, uint32_t tag, uint32_t index)
{
    size_t at = tag & m->mask;

    while (m->slot[at].index != MAP_NONE)
        at = (at + 1) & m->mask;
    m->slot[at] = (struct map_slot){ tag, index };
}

static void resize(struct map *m, size_t slots)
{
    struct map old = *m;

    assert((slots & (slots - 1)) == 0); // mask
    assert(m->n < slots);               // a chain ends at a free slot
    m->slot = xmalloc(slots * sizeof *m->slot);
    m->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        m->slot[i].index = MAP_NONE;
    for (size_t i = 0; i < slots_of(&old); i++)
        if (old.slot[i].index != MAP_NONE)
            place(m, old.slot[i].tag, old.slot[i].index);
    xfree(old.slot);
}

void map_reserve(struct map *m, size_t n)
{
    size_t slots = SLOTS_MIN;

    assert(n < MAP_NONE / 2);
    while (slots - slots / 4 < n)
        slots *= 2;
    if (slots > slots_of(m))
        resize(m, slots);
}

size_t map_first(const struct map *m, uint64_t hash)
{
    return tag_of(hash) & m->mask;
}

uint32_t map_at(const struct map *m, uint64_t hash, size_t *at)
{
    uint32_t tag = tag_of(hash);

    if (!m->slot)
        return MAP_NONE;
    assert(*at <= m->mask);
    for (;;) {
        const struct map_slot *s = &m->slot[*at];
        *at = (*at + 1) & m->mask;
        if (s->index == MAP_NONE || s->tag == tag)
            return s->index;
    }
}

uint32_t map_find(const struct map *m, uint64_t hash, map_equal_fn equal, const void *ctx,
                  const void *key)
{
    size_t at = map_first(m, hash);
    uint32_t index;

    while ((index = map_at(m, hash, &at)) != MAP_NONE)
        if (equal(ctx, key, index))
            return index;
    return MAP_NONE;
}

void map_add(struct map *m, uint64_t hash, uint32_t index)
{
    assert(index != MAP_NONE);
    map_reserve(m, m->n + 1);
    place(m, tag_of(hash), index);
    m->n++;
}

bool map_remove(struct map *m, uint64_t hash, uint32_t index)
{
    size_t at = map_first(m, hash);

    if (!m->slot)
        return false;
    for (; m->slot[at].index != index || m->slot[at].tag != tag_of(hash); at = (at + 1) & m->mask)
        if (m->slot[at].index == MAP_NONE)
            return false;
    // Close the gap: move back every later entry of the run that may stand here.
    for (size_t next = (at + 1) & m->mask; m->slot[next].index != MAP_NONE;
         next = (next + 1) & m->mask) {
        size_t home = m->slot[next].tag & m->mask;
        if (((next - home) & m->mask) >= ((next - at) & m->mask)) {
            m->slot[at] = m->slot[next];
            at = next;
        }
    }
    m->slot[at].index = MAP_NONE;
    assert(m->n);
    m->n--;
    return true;
}

size_t map_bytes(const struct map *m)
{
    return slots_of(m) * sizeof *m->slot;
}
