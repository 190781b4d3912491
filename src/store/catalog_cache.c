// catalog_cache.c - a small table of matcher results; eviction looks at all entries (at most 256).
// SPDX-License-Identifier: Apache-2.0
#include "store/catalog_cache.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"

enum { ENTRIES_MAX = 256 };

struct entry {
    uint64_t segment, hash, used, bytes;
    char want;
    char *text; // name, then value
    size_t name_n, value_n;
    struct catalog_match *match;
};

struct catalog_cache {
    atomic_uint refs;
    uint64_t bytes_max;
    struct mutex mu;                 // guards the rest
    uint64_t clock;                  // under mu
    uint64_t bytes;                  // under mu
    size_t n;                        // under mu
    struct entry entry[ENTRIES_MAX]; // under mu
};

struct catalog_match *catalog_match_new(void)
{
    struct catalog_match *m = xcalloc(1, sizeof *m);

    atomic_init(&m->refs, 1);
    return m;
}

void catalog_match_put(struct catalog_match *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    posset_fini(&m->set);
    xfree(m->pairs);
    xfree(m);
}

struct catalog_cache *catalog_cache_new(uint64_t bytes_max)
{
    struct catalog_cache *c = xcalloc(1, sizeof *c);

    atomic_init(&c->refs, 1);
    c->bytes_max = bytes_max;
    mutex_init(&c->mu, "matcher results", RANK_LEAF);
    return c;
}

struct catalog_cache *catalog_cache_ref(struct catalog_cache *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void entry_fini(struct entry *x)
{
    catalog_match_put(x->match);
    xfree(x->text);
}

void catalog_cache_put(struct catalog_cache *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->n; i++)
        entry_fini(&c->entry[i]);
    mutex_fini(&c->mu);
    xfree(c);
}

uint64_t catalog_cache_bytes(struct catalog_cache *c)
{
    LOCKED(&c->mu);
    return c->bytes;
}

static uint64_t key_hash(const struct catalog_cache_key *k)
{
    uint64_t h = hash_keyed(k->value) + 3 * hash_keyed(k->name);

    return hash_u64(h + k->segment * 256 + (unsigned char)k->want);
}

static struct entry *find_locked(struct catalog_cache *c, const struct catalog_cache_key *k,
                                 uint64_t hash)
{
    assert(mutex_is_mine(&c->mu));
    for (size_t i = 0; i < c->n; i++) {
        struct entry *x = &c->entry[i];
        if (x->hash == hash && x->segment == k->segment && x->want == k->want &&
            str_eq(str_of(x->text, x->name_n), k->name) &&
            str_eq(str_of(x->text + x->name_n, x->value_n), k->value))
            return x;
    }
    return NULL;
}

struct catalog_match *catalog_cache_find(struct catalog_cache *c, const struct catalog_cache_key *k)
{
    uint64_t hash = key_hash(k);

    LOCKED(&c->mu);
    struct entry *x = find_locked(c, k, hash);
    if (!x)
        return NULL;
    x->used = ++c->clock;
    atomic_fetch_add_explicit(&x->match->refs, 1, memory_order_relaxed);
    return x->match;
}

static void evict_locked(struct catalog_cache *c)
{
    struct entry *oldest = &c->entry[0];

    assert(c->n > 0);
    for (size_t i = 1; i < c->n; i++)
        if (c->entry[i].used < oldest->used)
            oldest = &c->entry[i];
    c->bytes -= oldest->bytes;
    entry_fini(oldest);
    *oldest = c->entry[--c->n];
}

void catalog_cache_store(struct catalog_cache *c, const struct catalog_cache_key *k,
                         struct catalog_match *m)
{
    struct entry x = { .segment = k->segment, .hash = key_hash(k), .want = k->want };

    x.name_n = k->name.n;
    x.value_n = k->value.n;
    x.bytes = sizeof x + sizeof *m + x.name_n + x.value_n + posset_bytes(&m->set) +
              m->pair_count * sizeof *m->pairs;
    if (x.bytes > c->bytes_max / 4)
        return;
    x.text = xmalloc(x.name_n + x.value_n);
    if (x.name_n)
        memcpy(x.text, k->name.p, x.name_n);
    if (x.value_n)
        memcpy(x.text + x.name_n, k->value.p, x.value_n);
    x.match = m;
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    LOCKED(&c->mu);
    struct entry *old = find_locked(c, k, x.hash);
    if (old) {
        c->bytes -= old->bytes;
        entry_fini(old);
        *old = c->entry[--c->n];
    }
    while (c->n == ENTRIES_MAX || (c->n > 0 && c->bytes + x.bytes > c->bytes_max))
        evict_locked(c);
    x.used = ++c->clock;
    c->bytes += x.bytes;
    c->entry[c->n++] = x;
}
