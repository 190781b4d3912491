/*
 * catalog_live.h - the open segment of a catalog: series in memory, growing.
 *
 * Series have positions 0, 1, 2 …; ids ascend with positions (runs say how). A
 * pair is one (name, value); its postings are the ascending positions of the
 * series that have it, kept as delta lists. A list of one lives in the pair record.
 *
 * Threads: one writer (the catalog's mutex). Readers take n = live_count() once and
 * look only at positions below n and what these refer to: everything in the pools
 * was written before the count was released and never moves. Only the hash maps
 * move: `mu` guards them, for the time of one look-up.
 *
 * Private to store/catalog*.c and store/segment*.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/base.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/thread.h"
#include "base/vec.h"
#include "model/labels.h"
#include "store/catalog_pool.h"
#include "store/postings.h"

#define LIVE_NONE UINT32_MAX
enum { LIVE_MAPS = 64 }; // so that no map is large when it doubles

struct live_pair {
    uint32_t value;         // offset in text: varint length, bytes
    uint32_t name;          // index of its name
    uint32_t prev;          // the pair of this name before it, LIVE_NONE: none
    uint32_t first;         // position of the first series that has it
    uint32_t list;          // unit in lists of its list, unused while count < 2
    _Atomic uint32_t count; // series; release, pairs with the acquire in live_pair_count()
};
static_assert(sizeof(struct live_pair) == 24, "one per distinct label pair; think before growing");

struct live_name {
    uint32_t text;
    _Atomic uint32_t head; // newest pair, LIVE_NONE: none; release, readers acquire
    _Atomic uint32_t pairs;
};

struct live_run { // positions from `position` on have ids from `id` on
    uint32_t position, id;
};

struct live_ids { // a VEC(uint32_t) with a name
    uint32_t *v;
    size_t n, cap;
};

struct live {
    atomic_uint refs;
    uint64_t uid;           // distinguishes segments in caches
    _Atomic uint32_t count; // series; release, pairs with the acquire in live_count()
    _Atomic uint32_t pair_count, name_count, run_count;
    uint32_t id_end;                        // writer: least id that may follow
    struct pool pair, name, run;            // live_pair, live_name, live_run
    struct pool offset, fingerprint, shard; // uint32_t in records, hash128, uint8_t; per series
    struct byte_pool text, list, record;
    struct mutex mu;                                                      // guards the maps
    struct map pair_map[LIVE_MAPS], fingerprint_map[LIVE_MAPS], name_map; // under mu
    struct live_ids last, next; // writer: pair ids of the series before, and of this one
};

struct live_key {
    struct hash128 fingerprint;
    uint32_t id; // larger than every id before
    uint8_t shard;
};

// An empty open segment with one reference. uid: never used before in this process.
struct live *live_new(uint64_t uid);
// One more reference; returns s.
struct live *live_get(struct live *s);
void live_put(struct live *s); // NULL is fine
OWN_DEFINE(struct live *, live_put);
uint64_t live_bytes(struct live *s); // memory touched

/* ---- writer ---- */

bool live_has_room(const struct live *s); // for one more series of the largest kind
uint32_t live_intern(struct live *s, struct str name, struct str value); // id of the pair
// Adds a series with the pair ids s->next, ascending by name; returns its position.
uint32_t live_add(struct live *s, const struct live_key *key);
// Interns the labels into s->next.
void live_intern_set(struct live *s, struct labels ls);

/* ---- readers ---- */

static inline uint32_t live_count(const struct live *s)
{
    return atomic_load_explicit(&s->count, memory_order_acquire);
}

static inline struct str live_text(const struct live *s, uint32_t offset)
{
    const uint8_t *p = byte_pool_at(&s->text, offset);
    uint32_t n = *p & 0x7f;

    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        n |= (uint32_t)(*p & 0x7f) << shift;
    return (struct str){ (const char *)p, n };
}

static inline const struct live_pair *live_pair(const struct live *s, uint32_t pair)
{
    return POOL_AT(&s->pair, pair, struct live_pair);
}

static inline struct live_name *live_name(const struct live *s, uint32_t name)
{
    return POOL_AT(&s->name, name, struct live_name);
}

static inline struct str live_pair_value(const struct live *s, uint32_t pair)
{
    return live_text(s, live_pair(s, pair)->value);
}

static inline struct str live_pair_name(const struct live *s, uint32_t pair)
{
    return live_text(s, live_name(s, live_pair(s, pair)->name)->text);
}

// Series that have it, also ones beyond the reader's n; 0: not in use yet.
static inline uint32_t live_pair_count(const struct live *s, uint32_t pair)
{
    return atomic_load_explicit(&live_pair(s, pair)->count, memory_order_acquire);
}

static inline bool live_pair_is_seen(const struct live *s, uint32_t pair, uint32_t n)
{
    return live_pair_count(s, pair) > 0 && live_pair(s, pair)->first < n;
}

static inline struct hash128 live_fingerprint(const struct live *s, uint32_t position)
{
    return *POOL_AT(&s->fingerprint, position, struct hash128);
}

static inline uint8_t live_shard(const struct live *s, uint32_t position)
{
    return *POOL_AT(&s->shard, position, uint8_t);
}

uint32_t live_name_find(struct live *s, struct str name);                 // LIVE_NONE: absent
uint32_t live_pair_find(struct live *s, uint32_t name, struct str value); // LIVE_NONE: absent
// Positions with this fingerprint below n, newest first; at most max.
size_t live_find(struct live *s, struct hash128 fingerprint, uint32_t *positions, size_t max);
// Id of the series at a position that is below live_count().
uint32_t live_id(const struct live *s, uint32_t position);
// Position of the first id >= id; live_count() when there is none.
uint32_t live_position(const struct live *s, uint32_t id);

// Pair ids of one series, ascending by label name.
struct live_record {
    const uint8_t *p;
    uint32_t left;
};
struct live_record live_record(const struct live *s, uint32_t position); // left: how many
// The next pair id; left must be above zero.
uint32_t live_record_next(struct live_record *r);

// Postings of one pair, below n.
struct live_iter {
    const struct live *segment;
    const uint8_t *chunk, *p, *end;
    uint32_t count, left, at, bound, total;
};
// Begins at the first posting of a pair that is in use; nothing at or beyond n is told. Borrows s.
struct live_iter live_iter(const struct live *s, uint32_t pair, uint32_t n);
// The next up to POSTINGS_BLOCK positions; 0: the end.
uint32_t live_iter_next(struct live_iter *it, uint32_t *out);
