/*
 * catalog_cache.h - results of matchers per segment, kept while they are in use.
 *
 * An entry says which series of one segment have a value that a matcher wants.
 * Entries are immutable and reference-counted; a newer entry of the same key
 * replaces the older one (the open segment grows, a scan continues where it
 * ended). The least recently used go when the bytes pass the bound.
 *
 * Threads: all functions are thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/base.h"
#include "store/postings.h"

struct catalog_match {
    atomic_uint refs;
    struct posset set; // sealed; positions below `n` that have one of the values
    uint32_t n;        // series that were looked at
    uint32_t pair_end; // open segment: pairs that were looked at
    uint32_t *pairs;   // open segment: wanted pairs below pair_end, ascending
    size_t pair_count;
};
// An empty entry with one reference, the caller's: filled by it alone before it is stored,
// immutable afterwards.
struct catalog_match *catalog_match_new(void);
void catalog_match_put(struct catalog_match *m); // NULL is fine
OWN_DEFINE(struct catalog_match *, catalog_match_put);

struct catalog_cache;
// A cache of at most bytes_max bytes, with one reference. An entry beyond a quarter of that is not kept.
struct catalog_cache *catalog_cache_new(uint64_t bytes_max);
// One more reference, for a view that outlives its catalog; returns c.
struct catalog_cache *catalog_cache_ref(struct catalog_cache *c);
void catalog_cache_put(struct catalog_cache *c); // drops one reference; NULL is fine
// Bytes held by the entries now.
uint64_t catalog_cache_bytes(struct catalog_cache *c);

struct catalog_cache_key {
    uint64_t segment; // uid
    char want;        // what the scan collected
    struct str name, value;
};
// The entry with one more reference, or NULL.
struct catalog_match *catalog_cache_find(struct catalog_cache *c,
                                         const struct catalog_cache_key *key);
void catalog_cache_store(struct catalog_cache *c, const struct catalog_cache_key *key,
                         struct catalog_match *m); // borrows
