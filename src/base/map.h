/*
 * map.h - a hash index: from a 64-bit hash to a 32-bit number of the caller's.
 *
 * The map stores {tag, index} pairs (8 bytes each, load ≤ 0.75) and no keys: the
 * caller keeps its objects in an array and says whether object `index` equals
 * the key in hand. Hash bytes of outsiders with hash_keyed(): probe chains are
 * then out of their hands. Zero is a valid empty map. One thread at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

#define MAP_NONE UINT32_MAX

struct map_slot {
    uint32_t tag, index; // index MAP_NONE: free
};

struct map {
    struct map_slot *slot;
    size_t mask, n; // mask = slots − 1, 0 while empty
};

typedef bool (*map_equal_fn)(const void *ctx, const void *key, uint32_t index);

// Frees the slots; the map is empty and usable again. The caller's objects are not touched.
void map_fini(struct map *m);
OWN_DEFINE_FINI(struct map, map_fini);
// Forgets all entries, keeps the room.
void map_reset(struct map *m);
// Room for n entries in all, so that adding up to there moves nothing. n < 2^31.
void map_reserve(struct map *m, size_t n);
// Index of the object equal to key, MAP_NONE when there is none.
uint32_t map_find(const struct map *m, uint64_t hash, map_equal_fn equal, const void *ctx,
                  const void *key);
// Adds without looking; the caller knows that the key is new. index < MAP_NONE.
void map_add(struct map *m, uint64_t hash, uint32_t index);
// Removes the entry with this hash and index; false when absent.
bool map_remove(struct map *m, uint64_t hash, uint32_t index);
size_t map_bytes(const struct map *m); // heap memory held

/*
 * Walks the candidates of a hash without a callback:
 *   for (size_t at = map_first(m, h); (i = map_at(m, h, &at)) != MAP_NONE;) …
 */
size_t map_first(const struct map *m, uint64_t hash);
// The next candidate index for the hash, MAP_NONE at the end of the chain; *at moves on.
// Candidates share a 32-bit tag: the caller compares keys. Adding ends the walk.
uint32_t map_at(const struct map *m, uint64_t hash, size_t *at);
