/*
 * slot.c - slots of active series and aliases to them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/slot.h"

#include <stdatomic.h>

#include "base/mem.h"

void slots_init(struct slots *s)
{
    *s = (struct slots){ .free_head = SLOT_NONE };
}

void slots_fini(struct slots *s)
{
    for (uint32_t i = 0; i * SLOT_CHUNK < s->end; i++)
        xfree(s->chunk[i]);
    xfree(s->chunk);
    for (size_t i = 0; i < SLOT_MAPS; i++)
        map_fini(&s->by_fingerprint[i]);
}

static struct map *map_of(const struct slots *s, struct hash128 fp)
{
    return (struct map *)&s->by_fingerprint[fp.hi % SLOT_MAPS];
}

uint32_t slots_find(const struct slots *s, struct hash128 fp)
{
    const struct map *m = map_of(s, fp);
    uint32_t i;

    if (m->n == 0)
        return SLOT_NONE;
    for (size_t at = map_first(m, fp.lo); (i = map_at(m, fp.lo, &at)) != MAP_NONE;) {
        const struct slot *slot = slots_at(s, i);

        if (slot->fingerprint.lo == fp.lo && slot->fingerprint.hi == fp.hi)
            return i;
    }
    return SLOT_NONE;
}

static uint32_t new_number(struct slots *s)
{
    uint32_t chunk = s->end / SLOT_CHUNK;

    if (s->free_head != SLOT_NONE) {
        uint32_t i = s->free_head;

        s->free_head = slots_at(s, i)->id;
        return i;
    }
    if (s->end % SLOT_CHUNK == 0) {
        if (chunk == s->chunk_cap) {
            s->chunk_cap = s->chunk_cap ? 2 * s->chunk_cap : 16;
            s->chunk = xrealloc(s->chunk, s->chunk_cap * sizeof(struct slot *));
        }
        s->chunk[chunk] = xcalloc(SLOT_CHUNK, sizeof(struct slot));
    }
    return s->end++;
}

uint32_t slots_add(struct slots *s, struct hash128 fp)
{
    uint32_t i = new_number(s);
    struct slot *slot = slots_at(s, i);
    // A free slot remembers its last generation in last_bits, so that old refs do not fit.
    uint64_t generation = slot->last_bits % SLOT_GENERATIONS + 1;

    *slot = (struct slot){
        .fingerprint = fp,
        .last_ms = SLOT_NEVER_MS,
        .generation = (uint16_t)(generation & SLOT_GENERATIONS),
    };
    map_add(map_of(s, fp), fp.lo, i);
    atomic_fetch_add_explicit(&s->active, 1, memory_order_relaxed);
    return i;
}

static void evict(struct slots *s, uint32_t number)
{
    struct slot *slot = slots_at(s, number);
    uint16_t generation = slot->generation;

    (void)map_remove(map_of(s, slot->fingerprint), slot->fingerprint.lo, number);
    *slot = (struct slot){ .id = s->free_head, .last_bits = generation };
    s->free_head = number;
    atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
}

uint32_t slots_sweep(struct slots *s, uint32_t *hand, uint32_t count)
{
    uint32_t evicted = 0;

    for (; count && *hand < s->end; count--, ++*hand) {
        struct slot *slot = slots_at(s, *hand);

        if (!slot->generation)
            continue;
        if (slot->age == SLOT_AGE_MAX) {
            evict(s, *hand);
            evicted++;
        } else {
            slot->age++;
        }
    }
    if (*hand >= s->end)
        *hand = 0;
    return evicted;
}

size_t slots_bytes(const struct slots *s)
{
    size_t n = (size_t)(s->end + SLOT_CHUNK - 1) / SLOT_CHUNK * SLOT_CHUNK * sizeof(struct slot);

    for (size_t i = 0; i < SLOT_MAPS; i++)
        n += map_bytes(&s->by_fingerprint[i]);
    return n;
}

/* ---- aliases ---- */

void aliases_init(struct aliases *a)
{
    *a = (struct aliases){ 0 };
    for (size_t i = 0; i < ALIAS_STRIPES; i++)
        mutex_init(&a->stripe[i].mu, "alias", RANK_LEAF);
}

static struct alias_entry *table_of(struct alias_stripe *s)
{
    return atomic_load_explicit(&s->v, memory_order_relaxed);
}

static size_t mask_of(struct alias_stripe *s)
{
    return atomic_load_explicit(&s->mask, memory_order_relaxed);
}

static void set_table(struct alias_stripe *s, struct alias_entry *v, size_t mask)
{
    xfree(table_of(s));
    atomic_store_explicit(&s->v, v, memory_order_relaxed);
    atomic_store_explicit(&s->mask, mask, memory_order_relaxed);
    s->n = 0;
}

void aliases_fini(struct aliases *a)
{
    for (size_t i = 0; i < ALIAS_STRIPES; i++) {
        xfree(table_of(&a->stripe[i]));
        mutex_fini(&a->stripe[i].mu);
    }
}

// The entry of the key, or the free one where it belongs. The table has a free entry.
static struct alias_entry *probe(struct alias_entry *v, size_t mask, struct hash128 key)
{
    for (size_t i = key.lo / ALIAS_STRIPES & mask;; i = (i + 1) & mask) {
        if (!v[i].generation || v[i].check == key.hi)
            return &v[i];
    }
}

// A table that is being replaced gives a useless address; fetching from it does no harm.
void aliases_prefetch(struct aliases *a, struct hash128 key)
{
    struct alias_stripe *s = &a->stripe[key.lo % ALIAS_STRIPES];
    uintptr_t at = (uintptr_t)table_of(s);

    if (at)
        __builtin_prefetch((const void *)(at + (key.lo / ALIAS_STRIPES & mask_of(s)) *
                                                   sizeof(struct alias_entry)));
}

bool aliases_find(struct aliases *a, struct hash128 key, uint32_t *slot, uint32_t *generation)
{
    struct alias_stripe *s = &a->stripe[key.lo % ALIAS_STRIPES];
    const struct alias_entry *x;
    LOCKED(&s->mu);

    if (!table_of(s))
        return false;
    x = probe(table_of(s), mask_of(s), key);
    *slot = x->slot;
    *generation = x->generation;
    return x->generation != 0;
}

enum { PLACES = 1 << 18 };

// Beyond PLACES entries are forgotten when the table grows: they come back as they are used.
static void grow(struct alias_stripe *s)
{
    const struct alias_entry *old = table_of(s);
    size_t had = old ? mask_of(s) + 1 : 0, cap = old ? 4 * had : 64, n = 0;
    struct alias_entry *v = xcalloc(cap, sizeof *v);

    for (size_t i = 0; cap <= PLACES && i < had; i++) {
        if (!old[i].generation)
            continue;
        struct hash128 key = { (uint64_t)old[i].place * ALIAS_STRIPES, old[i].check };
        *probe(v, cap - 1, key) = old[i];
        n++;
    }
    set_table(s, v, cap - 1);
    s->n = n;
}

void aliases_put(struct aliases *a, struct hash128 key, uint32_t slot, uint32_t generation)
{
    struct alias_stripe *s = &a->stripe[key.lo % ALIAS_STRIPES];
    struct alias_entry *x;
    LOCKED(&s->mu);

    if (!table_of(s) || (s->n + 1) * 4 > (mask_of(s) + 1) * 3)
        grow(s);
    x = probe(table_of(s), mask_of(s), key);
    s->n += !x->generation;
    *x = (struct alias_entry){ .check = key.hi,
                               .slot = slot,
                               .generation = generation & SLOT_GENERATIONS,
                               .place = key.lo / ALIAS_STRIPES & (PLACES - 1) };
}

void aliases_drop_stripe(struct aliases *a, unsigned stripe)
{
    struct alias_stripe *s = &a->stripe[stripe % ALIAS_STRIPES];
    LOCKED(&s->mu);

    set_table(s, NULL, 0);
}
