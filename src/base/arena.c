// arena.c - bump allocation in blocks that double from 4 KiB to 1 MiB.
// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *older;
    size_t size_bytes; // of data
    char data[] __attribute__((aligned(16)));
};

static void block_push(struct arena *a, size_t need)
{
    size_t size = a->block ? MIN(a->block->size_bytes * 2, (size_t)BLOCK_MAX) : BLOCK_MIN;

    size = MAX(size, need);
    struct arena_block *block = xmalloc(sizeof *block + size);
    *block = (struct arena_block){ .older = a->block, .size_bytes = size };
    a->block = block;
    a->p = block->data;
    a->end = block->data + size;
    a->taken_bytes += size;
}

void *arena_alloc_slow(struct arena *a, size_t n)
{
    size_t need = (n + 15) & ~(size_t)15;

    assert(need >= n && need < SIZE_MAX / 4); // sizes from input are charged before
    block_push(a, need);
    void *out = a->p;
    a->p += need;
    return out;
}

static void block_pop(struct arena *a)
{
    struct arena_block *block = a->block;

    a->block = block->older;
    a->taken_bytes -= block->size_bytes;
    xfree(block);
}

void arena_fini(struct arena *a)
{
    while (a->block)
        block_pop(a);
    *a = (struct arena){ 0 };
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = a->block;

    if (!keep)
        return;
    a->block = keep->older;
    a->taken_bytes -= keep->size_bytes;
    while (a->block)
        block_pop(a);
    keep->older = NULL;
    *a = (struct arena){ keep, keep->data, keep->data + keep->size_bytes, keep->size_bytes };
}

void *arena_alloc(struct arena *a, size_t n)
{
    return memset(arena_raw(a, n), 0, n);
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        bytes = SIZE_MAX / 2; // the assertion in arena_alloc_slow stops it
    return arena_alloc(a, bytes);
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *out = arena_raw(a, n);

    if (n)
        memcpy(out, p, n);
    return out;
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *out = arena_raw(a, s.n + 1);

    if (s.n)
        memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return out;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){ arena_cstr(a, s), s.n };
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *out = arena_raw(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(out, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct str){ out, (size_t)n };
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->block, a->p };
}

void arena_release(struct arena *a, struct arena_mark m)
{
    while (a->block != m.block) {
        assert(a->block && "a mark of this arena, released newest first");
        block_pop(a);
    }
    a->p = m.p;
    a->end = a->block ? a->block->data + a->block->size_bytes : NULL;
    assert(!a->block || (a->p >= a->block->data && a->p <= a->end));
}
