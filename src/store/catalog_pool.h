/*
 * catalog_pool.h - growing memory that never moves, for one writer and many readers.
 *
 * A pool is up to POOL_CHUNKS chunks, each twice as large as the one before, so
 * that an index or offset gives chunk and place by one bit scan. Chunks are taken
 * when first written; the system gives their pages when they are touched, so the
 * unused half of the last chunk costs addresses, not memory.
 *
 * Threads: one writer. A reader may read what the writer published to it by a
 * release store of some count that the reader loaded with acquire: element and
 * chunk pointer were both written before.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/mem.h"

enum { POOL_CHUNKS = 24, POOL_SHIFT = 8, POOL_BYTES_SHIFT = 14 };

// Elements of one size: chunk k holds 256 << k of them.
struct pool {
    char *chunk[POOL_CHUNKS];
};

static inline unsigned pool_chunk_of(uint64_t index, unsigned shift)
{
    return 63 - (unsigned)__builtin_clzll(index + (UINT64_C(1) << shift)) - shift;
}

static inline uint64_t pool_chunk_first(unsigned k, unsigned shift)
{
    return (UINT64_C(1) << (k + shift)) - (UINT64_C(1) << shift);
}

static inline void *pool_at(const struct pool *p, uint32_t index, size_t size)
{
    unsigned k = pool_chunk_of(index, POOL_SHIFT);

    return p->chunk[k] + (index - pool_chunk_first(k, POOL_SHIFT)) * size;
}

// Room for element `index`; indexes are taken in ascending order. zeroed: fresh chunks are.
static inline void *pool_take(struct pool *p, uint32_t index, size_t size)
{
    unsigned k = pool_chunk_of(index, POOL_SHIFT);

    assert(k < POOL_CHUNKS);
    if (!p->chunk[k])
        p->chunk[k] = xcalloc((size_t)1 << (k + POOL_SHIFT), size);
    return pool_at(p, index, size);
}

static inline void pool_fini(struct pool *p)
{
    for (size_t k = 0; k < POOL_CHUNKS; k++)
        xfree(p->chunk[k]);
    *p = (struct pool){ 0 };
}

#define POOL_AT(p, index, T)   ((T *)pool_at((p), (index), sizeof(T)))
#define POOL_TAKE(p, index, T) ((T *)pool_take((p), (index), sizeof(T)))

// Runs of bytes: chunk k holds 16 KiB << k; a run does not cross chunks.
struct byte_pool {
    char *chunk[POOL_CHUNKS];
    uint64_t end;  // offset behind the last run
    uint64_t used; // bytes of all runs
};

static inline void *byte_pool_at(const struct byte_pool *p, uint64_t offset)
{
    unsigned k = pool_chunk_of(offset, POOL_BYTES_SHIFT);

    return p->chunk[k] + (offset - pool_chunk_first(k, POOL_BYTES_SHIFT));
}

// Offset of a fresh run of n bytes at a multiple of align (a power of two).
static inline uint64_t byte_pool_take(struct byte_pool *p, size_t n, size_t align)
{
    uint64_t at = (p->end + align - 1) & ~(uint64_t)(align - 1);
    unsigned k = pool_chunk_of(at, POOL_BYTES_SHIFT);

    while (at + n > pool_chunk_first(k + 1, POOL_BYTES_SHIFT)) // first of a chunk: 16 Ki multiple
        at = pool_chunk_first(++k, POOL_BYTES_SHIFT);
    assert(k < POOL_CHUNKS);
    if (!p->chunk[k])
        p->chunk[k] = xmalloc((size_t)1 << (k + POOL_BYTES_SHIFT));
    p->end = at + n;
    p->used += n;
    return at;
}

static inline void byte_pool_fini(struct byte_pool *p)
{
    for (size_t k = 0; k < POOL_CHUNKS; k++)
        xfree(p->chunk[k]);
    *p = (struct byte_pool){ 0 };
}
