// hash.c - XXH3 inlined from the header-only library; CRC-32C by SSE4.2 or a table.
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <pthread.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <xxhash.h>
#pragma GCC diagnostic pop

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "base/bytes.h"
#include "base/rand.h"

uint64_t hash_seeded(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.p, s.n, seed);
}

struct hash128 hash128_seeded(struct str s, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(s.p, s.n, seed);

    return (struct hash128){ h.low64, h.high64 };
}

uint64_t hash_xxh64(struct str s)
{
    return XXH64(s.p, s.n, 0);
}

// Set once before main: a process constant, not state.
static uint64_t process_key;

__attribute__((constructor)) static void process_key_make(void)
{
    rand_bytes(&process_key, sizeof process_key);
}

uint64_t hash_keyed(struct str s)
{
    return XXH3_64bits_withSeed(s.p, s.n, process_key);
}

// The reflected Castagnoli polynomial, one byte at a time.
static uint32_t crc_portable(uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p,
                                                            size_t n)
{
    uint64_t c = crc;

    for (; n >= 8; p += 8, n -= 8)
        c = _mm_crc32_u64(c, get_le64(p));
    for (; n; p++, n--)
        c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t seed, const void *p, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_sse42(~seed, p, n);
#endif
    return ~crc_portable(~seed, p, n);
}
