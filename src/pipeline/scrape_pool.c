/*
 * scrape_pool.c - the targets of a job follow what discovery says; what goes leaves markers.
 *
 * A target that goes gets its stale markers at once. One whose whole pool is replaced by a reload may
 * come back in the new pool a moment later: it waits, and the new one takes over what it had (see
 * scrape_target.heir_of); when nobody comes for two intervals, it gets its markers.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/scrape_priv.h"

void scrape_pool_put(struct scrape_pool *p)
{
    // acq_rel: the last holder sees what the others did
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    assert(p->targets.n == 0);
    vec_fini(&p->targets);
    vec_fini(&p->dropped);
    arena_fini(&p->dropped_arena);
    discover_http_fini(&p->http);
    discover_token_free(p->token);
    scrape_log_put(p->failures);
    prom_config_put(p->config);
    xfree(p);
}

/* ---- going ---- */

static void gone_run(void *ctx)
{
    struct scrape_target *t = ctx;
    struct scraper *s = t->pool->scraper;

    scrape_append_gone(t, clock_ms(s->o.clock));
    scrape_target_put(t);
    // release: scraper_stop() sees that nothing of this is left to do
    atomic_fetch_sub_explicit(&s->running, 1, memory_order_release);
}

bool scrape_target_claim(struct scrape_target *t)
{
    bool idle = false;

    // seq_cst: with the store of `fate` before, and the other way round in job_end(), one of the two
    // sees the other.
    return atomic_compare_exchange_strong_explicit(&t->busy, &idle, true, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

// Takes over the reference. The heap's own goes when its beat comes.
static void target_gone(struct scraper *s, struct scrape_target *t)
{
    struct err e;

    atomic_store_explicit(&t->fate, FATE_GONE, memory_order_seq_cst);
    if (!scrape_target_claim(t)) { // the scrape under way does it at its end
        scrape_target_put(t);
        return;
    }
    atomic_fetch_add_explicit(&s->running, 1, memory_order_relaxed);
    if (!pool_submit(s->workers, gone_run, t, &e)) {
        atomic_fetch_sub_explicit(&s->running, 1, memory_order_relaxed);
        scrape_target_put(t);
    }
}

void scrape_orphans_expire_locked(struct scraper *s, int64_t now_mono_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->orphans.n; i++) {
        struct scrape_orphan o = s->orphans.v[i];
        if (now_mono_ns < o.until_mono_ns)
            s->orphans.v[kept++] = o;
        else
            target_gone(s, o.t);
    }
    s->orphans.n = kept;
}

void scrape_pool_close_locked(struct scraper *s, struct scrape_pool *p, enum scrape_fate fate)
{
    int64_t now = clock_mono_ns(s->o.clock);

    for (size_t i = 0; i < p->targets.n; i++) {
        struct scrape_target *t = p->targets.v[i];
        if (fate == FATE_GONE) {
            target_gone(s, t);
            continue;
        }
        atomic_store_explicit(&t->fate, fate, memory_order_seq_cst);
        if (fate == FATE_WAITING)
            *vec_push(&s->orphans) = (struct scrape_orphan){ t, now + t->interval_ms * NS_MS / 10 *
                                                                          21 };
        else
            scrape_target_put(t);
    }
    p->targets.n = 0;
    scrape_pool_put(p);
}

/* ---- coming ---- */

// Targets of a pool found by their key; those taken are NULL.
struct roll {
    struct map map;
    struct scrape_target **v;
};

static bool key_equal(const void *ctx, const void *key, uint32_t i)
{
    const struct roll *r = ctx;

    return r->v[i] && str_eq(r->v[i]->key, *(const struct str *)key);
}

static void roll_fini(struct roll *r)
{
    map_fini(&r->map);
}
OWN_DEFINE_FINI(struct roll, roll_fini)

static struct roll roll_of(struct scrape_target **v, size_t n)
{
    struct roll r = { .v = v };

    map_reserve(&r.map, n);
    for (size_t i = 0; i < n; i++)
        map_add(&r.map, hash_keyed(v[i]->key), (uint32_t)i);
    return r;
}

static uint32_t roll_find(const struct roll *r, struct str key)
{
    return map_find(&r->map, hash_keyed(key), key_equal, r, &key);
}

// A new target goes on where one of the same labels, of a pool replaced, has stopped.
static void adopt_orphan(struct scraper *s, struct scrape_target *t)
{
    for (size_t i = 0; i < s->orphans.n; i++) {
        struct scrape_target *old = s->orphans.v[i].t;
        if (old->labels_hash != t->labels_hash || !labels_equal(old->labels, t->labels))
            continue;
        t->heir_of = old;
        s->orphans.v[i] = s->orphans.v[--s->orphans.n];
        return;
    }
}

static void keep_dropped(struct scrape_pool *p, struct labels discovered)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct labels before = discovered, after;
    uint64_t max = p->conf->keep_dropped_targets;
    bool kept;
    struct err e;

    p->dropped_count++;
    if (max && p->dropped.n >= max)
        return;
    (void)!scrape_target_labels(p->conf, discovered, &a, &before, &after, &kept, &e);
    *vec_push(&p->dropped) = labels_copy(&p->dropped_arena, before);
}

struct update {
    struct scraper *s;
    struct scrape_pool *p;
    struct roll old;
    struct map seen; // keys of next
    VEC(struct scrape_target *) next;
};

static bool next_equal(const void *ctx, const void *key, uint32_t i)
{
    const struct update *u = ctx;

    return str_eq(u->next.v[i]->key, *(const struct str *)key);
}

static void take_target(struct update *u, struct labels discovered)
{
    struct err e = { 0 };
    bool kept = true;
    OWNED(scrape_target_put)
    struct scrape_target *t = scrape_target_make(u->p, discovered, &kept, &e);

    if (!kept) {
        keep_dropped(u->p, discovered);
        return;
    }
    if (!t) {
        metric_add(u->p->gauges.sync_failed, 1);
        log_warn("scrape", "target refused", KV_STR("pool", u->p->name), KV_ERR(&e));
        return;
    }
    uint64_t hash = hash_keyed(t->key);
    if (map_find(&u->seen, hash, next_equal, u, &t->key) != MAP_NONE)
        return; // the same target twice
    uint32_t at = roll_find(&u->old, t->key);
    struct scrape_target *goes_on = at == MAP_NONE ? NULL : TAKE(u->old.v[at]);
    map_add(&u->seen, hash, (uint32_t)u->next.n);
    *vec_push(&u->next) = goes_on ? goes_on : scrape_target_get(t);
    if (goes_on)
        return;
    adopt_orphan(u->s, t);
    scrape_schedule_locked(u->s, t);
}

void scrape_pool_update_locked(struct scraper *s, struct scrape_pool *p,
                               const struct labels *targets, size_t n)
{
    int64_t start = clock_mono_ns(clock_real());
    OWNED(roll_fini) struct roll old = roll_of(p->targets.v, p->targets.n);
    struct update u = { .s = s, .p = p, .old = old };
    uint64_t limit = p->conf->target_limit;

    arena_reset(&p->dropped_arena);
    vec_reset(&p->dropped);
    p->dropped_count = 0;
    for (size_t i = 0; i < n; i++)
        take_target(&u, targets[i]);
    for (size_t i = 0; i < p->targets.n; i++)
        if (p->targets.v[i])
            target_gone(s, p->targets.v[i]);
    vec_fini(&p->targets);
    map_fini(&u.seen);
    p->targets.v = u.next.v;
    p->targets.n = u.next.n;
    p->targets.cap = u.next.cap;
    bool over = limit && p->targets.n > limit;
    // relaxed: a number by itself, read by start_scrape()
    atomic_store_explicit(&p->too_many, over ? (unsigned)p->targets.n : 0, memory_order_relaxed);
    if (over)
        metric_add(s->target_limits, 1);
    metric_set(p->gauges.targets, (double)p->targets.n);
    metric_add(p->gauges.syncs, 1);
    metric_observe(p->gauges.sync_seconds, (double)(clock_mono_ns(clock_real()) - start) / 1e9);
}
