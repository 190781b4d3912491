// sort.c - merge sort with insertion runs; LSD radix sort that skips equal bytes.
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"

#include <stdlib.h>

#include "base/mem.h"

enum { RUN = 12 }; // elements sorted by insertion

static void insertion(char *p, size_t n, size_t size, sort_cmp_fn cmp, void *ctx)
{
    char stack[256], *tmp = size <= sizeof stack ? stack : xmalloc(size);

    for (size_t i = 1; i < n; i++) {
        size_t j = i;
        memcpy(tmp, p + i * size, size);
        while (j && cmp(p + (j - 1) * size, tmp, ctx) > 0)
            j--;
        memmove(p + (j + 1) * size, p + j * size, (i - j) * size);
        memcpy(p + j * size, tmp, size);
    }
    if (tmp != stack)
        xfree(tmp);
}

struct merge {
    size_t size;
    sort_cmp_fn cmp;
    void *ctx;
};

// Merges the sorted a[0..na) and b[0..nb) into out, a first among equals.
static void merge_runs(const struct merge *m, const char *a, size_t na, const char *b, size_t nb,
                       char *out)
{
    while (na && nb) {
        bool take_b = m->cmp(a, b, m->ctx) > 0;
        memcpy(out, take_b ? b : a, m->size);
        out += m->size;
        a += take_b ? 0 : m->size;
        b += take_b ? m->size : 0;
        na -= !take_b;
        nb -= take_b;
    }
    memcpy(out, a, na * m->size);
    memcpy(out + na * m->size, b, nb * m->size);
}

void sort_stable(void *p, size_t n, size_t size, sort_cmp_fn cmp, void *ctx)
{
    struct merge m = { size, cmp, ctx };

    for (size_t i = 0; i < n; i += RUN)
        insertion((char *)p + i * size, MIN((size_t)RUN, n - i), size, cmp, ctx);
    if (n <= RUN)
        return;
    char *scratch = xmalloc(n * size), *from = p, *to = scratch;
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t na = MIN(width, n - i), nb = MIN(width, n - i - na);
            merge_runs(&m, from + i * size, na, from + (i + na) * size, nb, to + i * size);
        }
        char *swap = from;
        from = to;
        to = swap;
    }
    if (from != p)
        memcpy(p, from, n * size);
    xfree(scratch);
}

void sort_pairs(struct sort_pair *p, size_t n, struct sort_pair *scratch)
{
    struct sort_pair *from = p, *to = scratch;
    uint64_t differ = 0;

    for (size_t i = 1; i < n; i++)
        differ |= p[i].key ^ p[0].key;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t count[257] = { 0 };
        if (!((differ >> shift) & 0xff))
            continue;
        for (size_t i = 0; i < n; i++)
            count[((from[i].key >> shift) & 0xff) + 1]++;
        for (size_t i = 1; i < 257; i++)
            count[i] += count[i - 1];
        for (size_t i = 0; i < n; i++)
            to[count[(from[i].key >> shift) & 0xff]++] = from[i];
        struct sort_pair *swap = from;
        from = to;
        to = swap;
    }
    if (from != p)
        memcpy(p, from, n * sizeof *p);
}

static int u32_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void sort_u32(uint32_t *p, size_t n)
{
    if (n > 1)
        qsort(p, n, sizeof *p, u32_cmp);
}

static int str_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void sort_strs(struct str *p, size_t n)
{
    if (n > 1)
        qsort(p, n, sizeof *p, str_order);
}

size_t sort_strs_unique(struct str *p, size_t n)
{
    size_t kept = 0;

    sort_strs(p, n);
    for (size_t i = 0; i < n; i++)
        if (!kept || !str_eq(p[kept - 1], p[i]))
            p[kept++] = p[i];
    return kept;
}
