/*
 * column.h - the values of one series over the steps of a grid.
 *
 * A float per step and a bit that says whether it is there; histograms in a second array that
 * exists only where there are any. What v holds at absent steps means nothing, so that loops over
 * v need not look at the bits. Lives in the arena of whoever made it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

struct histogram;

struct column {
    double *v;
    uint64_t *has;                 // bitmap of n bits; bits beyond n are 0
    const struct histogram **hist; // NULL: floats only; [i] NULL: step i is a float
    size_t n;
};
// Words of the bitmap of n steps.
static inline size_t column_words(size_t n)
{
    return (n + 63) / 64;
}
// Step i < n is present.
static inline bool column_has(const struct column *c, size_t i)
{
    return c->has[i / 64] >> (i % 64) & 1;
}
// Makes step i present; its value is what v[i] holds.
static inline void column_add(struct column *c, size_t i)
{
    assert(i < c->n);
    c->has[i / 64] |= UINT64_C(1) << (i % 64);
}
// Makes step i absent.
static inline void column_del(struct column *c, size_t i)
{
    c->has[i / 64] &= ~(UINT64_C(1) << (i % 64));
}
// Sets step i to a float.
static inline void column_put(struct column *c, size_t i, double v)
{
    c->v[i] = v;
    column_add(c, i);
}
// The histogram of step i; NULL: a float, or nothing.
static inline const struct histogram *column_hist(const struct column *c, size_t i)
{
    return c->hist ? c->hist[i] : NULL;
}
/* Visits the steps present: for (size_t i = column_next(c, 0); i < c->n; i = column_next(c, i + 1)) */
static inline size_t column_next(const struct column *c, size_t i)
{
    if (i >= c->n)
        return c->n;
    uint64_t w = c->has[i / 64] >> (i % 64);
    if (w)
        return i + (size_t)__builtin_ctzll(w);
    for (size_t k = i / 64 + 1; k < column_words(c->n); k++)
        if (c->has[k])
            return k * 64 + (size_t)__builtin_ctzll(c->has[k]);
    return c->n;
}
#define FOR_STEPS(i, c) \
    for (size_t i = column_next((c), 0); i < (c)->n; i = column_next((c), i + 1))

/*
 * Visits runs of steps [at, end) that are all in a bitmap of n bits:
 * for (size_t at, end = 0; column_run(has, n, &at, &end);) …
 */
bool column_run(const uint64_t *has, size_t n, size_t *at, size_t *end);

struct column column_new(struct arena *a, size_t n);       // all absent, floats
void column_clear(struct column *c);                       // all absent; keeps the histogram array
void column_want_hists(struct arena *a, struct column *c); // makes c->hist an array
// No step, or every step, is present.
bool column_is_empty(const struct column *c);
bool column_is_full(const struct column *c);
// Steps present.
size_t column_count(const struct column *c);
// Samples as upstream weighs them: a histogram counts for its size.
int64_t column_samples(const struct column *c);
// A deep copy in a: histograms too.
struct column column_copy(struct arena *a, const struct column *c);
