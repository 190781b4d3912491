/*
 * hash.h - XXH3 for tables and fingerprints, CRC-32C for what lies on disk.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

struct hash128 {
    uint64_t lo, hi;
};

// XXH3 of 64 bits. The same on every machine: results may be stored.
uint64_t hash_seeded(struct str s, uint64_t seed);
// With a random key of this process: for tables keyed by bytes of outsiders. Never stored.
uint64_t hash_keyed(struct str s);
// XXH3 of 128 bits, for fingerprints that must not collide by accident; may be stored.
struct hash128 hash128_seeded(struct str s, uint64_t seed);
uint64_t hash_xxh64(struct str s);                       // XXH64 with seed 0, as upstream uses
uint32_t crc32c(uint32_t seed, const void *p, size_t n); // SSE4.2 where the CPU has it
// A bijective mix of 64 bits: for integer keys.
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}
