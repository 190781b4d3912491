/*
 * slot.h - the active series of one shard: 40 bytes each, found by number or fingerprint.
 *
 * A slot knows where its series' rows go now (id in the newest partition it has rows for, told by
 * a tag) and what came last. Numbers are reused after eviction; the generation tells. Aliases lead
 * from a keyed hash of raw label bytes to a slot without decoding labels.
 *
 * Threads: slots are used under their shard's mutex; alias tables lock themselves.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/thread.h"

enum {
    SLOT_CHUNK = 4096,
    SLOT_MAPS = 64, // the fingerprint index is split so that growing one stays short
    SLOT_GENERATIONS = (1 << 14) - 1,
    SLOT_AGE_MAX = 3, // sweeps without a row before eviction
    ALIAS_STRIPES = 64,
};
#define SLOT_NONE     UINT32_MAX
#define SLOT_NEVER_MS INT64_MIN // last_ms of a slot whose last row is not known

struct slot {
    struct hash128 fingerprint;
    int64_t last_ms;
    uint64_t last_bits;       // of the value; of a histogram: its hash
    uint32_t id;              // in the partition of the tag; of a free slot: the next free one
    uint16_t tag;             // 0: in no partition yet
    uint16_t generation : 14; // 0: free
    uint16_t age : 2;         // sweeps since the last row
};
static_assert(sizeof(struct slot) == 40, "one per active series; think before growing");

struct slots {
    struct slot **chunk;
    uint32_t end, free_head; // end: numbers given out so far
    _Atomic uint32_t active; // changed under the shard's mutex, read by anybody
    uint32_t chunk_cap;
    struct map by_fingerprint[SLOT_MAPS];
};

void slots_init(struct slots *s);
void slots_fini(struct slots *s);
static inline struct slot *slots_at(const struct slots *s, uint32_t number)
{
    return &s->chunk[number / SLOT_CHUNK][number % SLOT_CHUNK];
}
// The live slot of this number and generation, NULL: gone.
static inline struct slot *slots_live(const struct slots *s, uint32_t number, uint32_t generation)
{
    struct slot *slot;

    if (number >= s->end)
        return NULL;
    slot = slots_at(s, number);
    return slot->generation == generation && generation ? slot : NULL;
}
uint32_t slots_find(const struct slots *s, struct hash128 fingerprint); // SLOT_NONE: absent
uint32_t slots_add(struct slots *s, struct hash128 fingerprint);        // the caller knows: absent
/*
 * Ages `count` slots from number *hand on and evicts those that had no row for SLOT_AGE_MAX
 * sweeps. Returns how many were evicted; *hand wraps to 0 at the end.
 */
uint32_t slots_sweep(struct slots *s, uint32_t *hand, uint32_t count);
size_t slots_bytes(const struct slots *s);

struct alias_entry {
    uint64_t check; // the half of the key that is not the index
    uint32_t slot;
    uint32_t generation : 14;
    uint32_t place : 18; // of the other half: enough to find the entry's place in a larger table
};
static_assert(sizeof(struct alias_entry) == 16, "one per active series and sender");
struct alias_stripe {
    struct mutex mu;
    struct alias_entry *_Atomic v; // open addressing; generation 0: free
    _Atomic size_t mask;           // both are also read without the lock, to fetch ahead
    size_t n;
};
struct aliases {
    struct alias_stripe stripe[ALIAS_STRIPES];
};
void aliases_init(struct aliases *a);
void aliases_fini(struct aliases *a);
bool aliases_find(struct aliases *a, struct hash128 key, uint32_t *slot, uint32_t *generation);
// Brings the place where a key belongs into the cache: for who looks up many. No lock.
void aliases_prefetch(struct aliases *a, struct hash128 key);
void aliases_put(struct aliases *a, struct hash128 key, uint32_t slot, uint32_t generation);
/*
 * Drops all entries of one stripe: they come back at their next use. Called in turn after
 * evictions, so that aliases of dead series do not pile up.
 */
void aliases_drop_stripe(struct aliases *a, unsigned stripe);
