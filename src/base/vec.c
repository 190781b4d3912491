// vec.c - growth of arrays: by doubling, at least 8 elements.
// SPDX-License-Identifier: Apache-2.0
#include "base/vec.h"

#include "base/mem.h"

static size_t grown_cap(size_t cap, size_t n, size_t more, size_t size)
{
    size_t need, bytes;

    if (__builtin_add_overflow(n, more, &need))
        need = SIZE_MAX;
    cap = MAX(MAX(cap * 2, (size_t)8), need);
    assert(!__builtin_mul_overflow(cap, size, &bytes)); // sizes from input are charged before
    return cap;
}

void *vec_grow_(void *p, size_t *cap, size_t n, size_t more, size_t size)
{
    *cap = grown_cap(*cap, n, more, size);
    return xrealloc(p, *cap * size);
}

void *vec_grow_in_(struct arena *a, void *p, size_t *cap, size_t n, size_t more, size_t size)
{
    *cap = grown_cap(*cap, n, more, size);
    void *out = arena_raw(a, *cap * size);
    if (n)
        memcpy(out, p, n * size);
    return out;
}

void *vec_zero_(void *p, size_t size)
{
    return memset(p, 0, size);
}

void vec_free_(void *p)
{
    xfree(p);
}
