/*
 * exemplar.c - the exemplar ring. Entries of one series are chained from old to new; since the ring
 * is overwritten in order of arrival, what is overwritten is always the first of its chain.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/exemplar.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"

struct entry {
    struct arena arena; // its labels
    struct exemplar x;
    uint32_t series, next; // next: newer one of the series, MAP_NONE
};
struct chain {
    struct hash128 fingerprint;
    uint32_t first, last; // first MAP_NONE: free, `last` is the next free one
};

struct exemplars {
    struct mutex mu; // guards all
    size_t max, at;  // at: entry to be overwritten next
    VEC(struct entry) ring;
    VEC(struct chain) chains;
    uint32_t free_chain;
    struct map by_fingerprint;
    uint64_t taken; // number n of them was put at n % max
};

struct exemplars *exemplars_new(size_t max)
{
    struct exemplars *x = xcalloc(1, sizeof *x);

    x->max = MIN(max, (size_t)UINT32_MAX / 2);
    x->free_chain = MAP_NONE;
    mutex_init(&x->mu, "exemplars", RANK_LEAF);
    return x;
}

void exemplars_free(struct exemplars *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->ring.n; i++)
        arena_fini(&x->ring.v[i].arena);
    vec_fini(&x->ring);
    vec_fini(&x->chains);
    map_fini(&x->by_fingerprint);
    mutex_fini(&x->mu);
    xfree(x);
}

static uint32_t find_chain(const struct exemplars *x, struct hash128 fp)
{
    uint32_t i;

    if (!x->by_fingerprint.n)
        return MAP_NONE;
    for (size_t at = map_first(&x->by_fingerprint, fp.lo);
         (i = map_at(&x->by_fingerprint, fp.lo, &at)) != MAP_NONE;) {
        if (x->chains.v[i].fingerprint.lo == fp.lo && x->chains.v[i].fingerprint.hi == fp.hi)
            return i;
    }
    return MAP_NONE;
}

static uint32_t new_chain(struct exemplars *x, struct hash128 fp)
{
    uint32_t i = x->free_chain;

    if (i != MAP_NONE) {
        x->free_chain = x->chains.v[i].last;
    } else {
        i = (uint32_t)x->chains.n;
        (void)vec_push(&x->chains);
    }
    x->chains.v[i] = (struct chain){ fp, MAP_NONE, MAP_NONE };
    map_add(&x->by_fingerprint, fp.lo, i);
    return i;
}

// Takes the entry that is overwritten out of its chain.
static void unlink_entry(struct exemplars *x, uint32_t number)
{
    struct entry *en = &x->ring.v[number];
    struct chain *c = &x->chains.v[en->series];

    assert(c->first == number);
    c->first = en->next;
    if (c->first == MAP_NONE) {
        (void)map_remove(&x->by_fingerprint, c->fingerprint.lo, en->series);
        c->last = x->free_chain;
        x->free_chain = en->series;
    }
    arena_fini(&en->arena);
}

static bool is_news(const struct exemplars *x, uint32_t chain, const struct exemplar *ex)
{
    const struct exemplar *last;

    if (chain == MAP_NONE)
        return true;
    last = &x->ring.v[x->chains.v[chain].last].x;
    return ex->t_ms > last->t_ms;
}

void exemplars_add(struct exemplars *x, struct hash128 fp, const struct exemplar *ex)
{
    struct entry *en;
    uint32_t number, chain;
    LOCKED(&x->mu);

    chain = find_chain(x, fp);
    if (!x->max || !is_news(x, chain, ex))
        return;
    if (x->ring.n < x->max) {
        number = (uint32_t)x->ring.n;
        (void)vec_push(&x->ring);
    } else {
        number = (uint32_t)x->at;
        x->at = (x->at + 1) % x->max;
        unlink_entry(x, number);
        chain = find_chain(x, fp); // it may have been the chain's only one
    }
    if (chain == MAP_NONE)
        chain = new_chain(x, fp);
    en = &x->ring.v[number];
    *en = (struct entry){ .x = *ex, .series = chain, .next = MAP_NONE };
    en->x.labels = labels_copy(&en->arena, ex->labels);
    if (x->chains.v[chain].first == MAP_NONE)
        x->chains.v[chain].first = number;
    else
        x->ring.v[x->chains.v[chain].last].next = number;
    x->chains.v[chain].last = number;
    x->taken++;
}

uint64_t exemplars_serial(struct exemplars *x)
{
    LOCKED(&x->mu);
    return x->taken;
}

size_t exemplars_since(struct exemplars *x, uint64_t *serial, size_t max, struct arena *a,
                       struct exemplar_news **out)
{
    size_t n;
    LOCKED(&x->mu);

    if (x->taken - *serial > x->ring.n)
        *serial = x->taken - x->ring.n;
    n = MIN(x->taken - *serial, max);
    *out = arena_array(a, n, struct exemplar_news);
    for (size_t i = 0; i < n; i++, ++*serial) {
        const struct entry *en = &x->ring.v[*serial % x->max];

        (*out)[i] = (struct exemplar_news){ x->chains.v[en->series].fingerprint, en->x };
        (*out)[i].x.labels = labels_copy(a, en->x.labels);
    }
    return n;
}

struct exemplar *exemplars_of(struct exemplars *x, struct hash128 fp, int64_t min_ms,
                              int64_t max_ms, struct arena *a, size_t *n)
{
    VEC(struct exemplar) out = { 0 };
    uint32_t chain;
    LOCKED(&x->mu);

    chain = find_chain(x, fp);
    if (chain != MAP_NONE) {
        for (uint32_t i = x->chains.v[chain].first; i != MAP_NONE; i = x->ring.v[i].next) {
            const struct exemplar *ex = &x->ring.v[i].x;
            struct exemplar *o;

            if (ex->t_ms < min_ms || ex->t_ms > max_ms)
                continue;
            o = vec_push_in(a, &out);
            *o = *ex;
            o->labels = labels_copy(a, ex->labels);
        }
    }
    *n = out.n;
    return out.v;
}
