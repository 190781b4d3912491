/*
 * column.c - columns: values over the steps of a grid, with a bit per step.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/column.h"

#include <string.h>

#include "model/histogram_ops.h"

struct column column_new(struct arena *a, size_t n)
{
    return (struct column){
        .v = arena_array(a, n ? n : 1, double),
        .has = arena_array(a, column_words(n) + 1, uint64_t),
        .n = n,
    };
}

bool column_run(const uint64_t *has, size_t n, size_t *at, size_t *end)
{
    struct column c = { .has = (uint64_t *)(uintptr_t)has, .n = n };
    size_t i = column_next(&c, *end), j = i;

    *at = i;
    while (j < n) {
        uint64_t clear = ~(has[j / 64] >> (j % 64)); // bits shifted in count as clear
        size_t ones = clear ? (size_t)__builtin_ctzll(clear) : 64, room = 64 - j % 64;

        j += MIN(ones, room);
        if (ones < room)
            break;
    }
    *end = MIN(j, n);
    return i < n;
}

void column_clear(struct column *c)
{
    memset(c->has, 0, column_words(c->n) * sizeof *c->has);
    if (c->hist)
        memset(c->hist, 0, c->n * sizeof *c->hist);
}

void column_want_hists(struct arena *a, struct column *c)
{
    assert(c->n);
    if (!c->hist)
        c->hist = arena_array(a, c->n, const struct histogram *);
}

bool column_is_empty(const struct column *c)
{
    return column_next(c, 0) == c->n;
}

bool column_is_full(const struct column *c)
{
    size_t whole = c->n / 64, rest = c->n % 64;

    assert(!rest || c->has[whole] >> rest == 0); // bits beyond n are 0

    for (size_t i = 0; i < whole; i++)
        if (~c->has[i])
            return false;
    return !rest || c->has[whole] == (UINT64_C(1) << rest) - 1;
}

size_t column_count(const struct column *c)
{
    size_t count = 0;

    for (size_t i = 0; i < column_words(c->n); i++)
        count += (size_t)__builtin_popcountll(c->has[i]);
    return count;
}

int64_t column_samples(const struct column *c)
{
    int64_t count = (int64_t)column_count(c);

    if (c->hist)
        FOR_STEPS(i, c)
    if (c->hist[i])
        count += (int64_t)histogram_samples(c->hist[i]) - 1;
    return count;
}

struct column column_copy(struct arena *a, const struct column *c)
{
    struct column out = {
        .v = arena_copy(a, c->v, (c->n ? c->n : 1) * sizeof *c->v),
        .has = arena_copy(a, c->has, (column_words(c->n) + 1) * sizeof *c->has),
        .n = c->n,
    };

    if (c->hist)
        FOR_STEPS(i, c)
        {
            if (!c->hist[i])
                continue;
            column_want_hists(a, &out);
            out.hist[i] = histogram_copy(a, c->hist[i]);
        }
    return out;
}
