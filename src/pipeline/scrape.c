// scrape.c - pools of targets: made from the configuration, fed by discovery, shown to the API.
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/scrape.h"

#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/sort.h"
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
    buf_fini(&p->printed);
    prom_config_put(p->config);
    xfree(p);
}

/* ---- targets from discovery ---- */

static struct scrape_target *target_take(struct scrape_pool *p, struct str key)
{
    for (size_t i = 0; i < p->targets.n; i++) {
        struct scrape_target *t = p->targets.v[i];
        if (t && str_eq(t->key, key)) {
            p->targets.v[i] = NULL;
            return t;
        }
    }
    return NULL;
}

struct removal {
    struct scrape_target *t;
    int tries;
};

// Runs on a worker: writes stale markers once the scrape under way, if any, has ended.
static void removal_run(void *ctx)
{
    struct removal *r = ctx;
    struct scraper *s = r->t->pool->scraper;
    bool idle = false;

    while (!atomic_compare_exchange_strong_explicit(&r->t->busy, &idle, true, memory_order_acquire,
                                                    memory_order_relaxed) &&
           r->tries++ < 200) {
        idle = false;
        nanosleep(&(struct timespec){ 0, 10 * NS_MS }, NULL);
    }
    if (r->tries < 200)
        scrape_append_gone(r->t, clock_ms(s->o.clock));
    scrape_target_put(r->t);
    xfree(r);
    atomic_fetch_sub_explicit(&s->running, 1, memory_order_release);
}

// Takes over the reference. The heap's own reference goes when its beat comes.
static void target_remove(struct scraper *s, struct scrape_target *t)
{
    struct removal *r = xcalloc(1, sizeof *r);
    struct err e;

    atomic_store_explicit(&t->removed, true, memory_order_relaxed);
    *r = (struct removal){ t, 0 };
    atomic_fetch_add_explicit(&s->running, 1, memory_order_relaxed);
    if (!pool_submit(s->workers, removal_run, r, &e)) {
        atomic_fetch_sub_explicit(&s->running, 1, memory_order_relaxed);
        scrape_target_put(t);
        xfree(r);
    }
}

static void keep_dropped(struct scrape_pool *p, struct labels discovered)
{
    uint64_t max = p->conf->keep_dropped_targets;

    p->dropped_count++;
    if (!max || p->dropped.n < max)
        *vec_push(&p->dropped) = labels_copy(&p->dropped_arena, discovered);
}

// Labels before relabelling, for the list of dropped targets.
static struct labels before_relabel(struct scrape_pool *p, struct labels discovered,
                                    struct arena *a)
{
    struct labels before = discovered, after;
    bool kept;
    struct err e;

    (void)!scrape_target_labels(p->conf, discovered, a, &before, &after, &kept, &e);
    return before;
}

typedef VEC(struct scrape_target *) target_vec;

static void target_adopt(struct scraper *s, struct scrape_pool *p, struct labels discovered,
                         target_vec *next)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    bool kept = true;
    OWNED(scrape_target_put) struct scrape_target *t = scrape_target_make(p, discovered, &kept, &e);

    if (!kept) {
        keep_dropped(p, before_relabel(p, discovered, &a));
        return;
    }
    if (!t) {
        log_warn("scrape", "target refused", KV_STR("pool", p->name), KV_ERR(&e));
        return;
    }
    for (size_t i = 0; i < next->n; i++)
        if (str_eq(next->v[i]->key, t->key))
            return; // the same target twice
    struct scrape_target *old = target_take(p, t->key);
    *vec_push(next) = old ? old : scrape_target_get(t);
    if (!old)
        scrape_schedule_locked(s, t);
}

static void pool_update_locked(struct scraper *s, struct scrape_pool *p,
                               const struct labels *targets, size_t n)
{
    target_vec next = { 0 };
    uint64_t limit = p->conf->target_limit;

    arena_reset(&p->dropped_arena);
    vec_reset(&p->dropped);
    p->dropped_count = 0;
    for (size_t i = 0; i < n; i++)
        target_adopt(s, p, targets[i], &next);
    bool over = limit && next.n > limit;
    if (over)
        log_error("scrape", "target limit exceeded, none of the pool's targets is scraped",
                  KV_STR("pool", p->name), KV_U64("targets", next.n), KV_U64("limit", limit));
    atomic_store_explicit(&p->over_limit, over ? next.n : 0, memory_order_relaxed);
    for (size_t i = 0; i < p->targets.n; i++)
        if (p->targets.v[i])
            target_remove(s, p->targets.v[i]);
    vec_fini(&p->targets);
    p->targets.v = next.v;
    p->targets.n = next.n;
    p->targets.cap = next.cap;
}

static void discovered(void *ctx, size_t set, const struct labels *targets, size_t n)
{
    struct scraper *s = ctx;
    LOCKED(&s->mu);

    if (!s->stopping && set < s->pools.n)
        pool_update_locked(s, s->pools.v[set], targets, n);
}

/* ---- configuration ---- */

static struct scrape_pool *pool_new(struct scraper *s, struct prom_config *c,
                                    const struct conf_scrape *conf, struct err *e)
{
    struct scrape_pool *p = xcalloc(1, sizeof *p);

    atomic_init(&p->refs, 1);
    p->scraper = s;
    p->config = prom_config_get(c);
    p->conf = conf;
    p->name = conf->job_name;
    prom_config_print_scrape(&p->printed, conf);
    if (discover_http_make(&conf->http, &p->http, &p->http_error))
        return p;
    if (p->http_error.kind == ERR_UNSUPPORTED || p->http_error.kind == ERR_INVALID) {
        *e = p->http_error;
        err_wrap(e, "job %.*s", STRF(conf->job_name));
        scrape_pool_put(p);
        return NULL;
    }
    // As upstream: a file that is missing makes the job's scrapes fail, not the start.
    log_warn("scrape", "job cannot be scraped", KV_STR("job", p->name), KV_ERR(&p->http_error));
    return p;
}

static void pool_close_locked(struct scraper *s, struct scrape_pool *p, bool markers)
{
    for (size_t i = 0; i < p->targets.n; i++) {
        if (markers) {
            target_remove(s, p->targets.v[i]);
        } else {
            atomic_store_explicit(&p->targets.v[i]->removed, true, memory_order_relaxed);
            scrape_target_put(p->targets.v[i]);
        }
    }
    p->targets.n = 0;
    scrape_pool_put(p);
}

// A change of configuration under way.
struct scrape_apply {
    struct arena arena;
    VEC(struct scrape_pool *) next;
    bool *kept;   // per pool of before: goes on
    size_t *from; // per pool of next: which it was before; SIZE_MAX: none
};

// Whether calls would be the same: the text of a job hides secrets, and files may have changed.
static bool same_calls(const struct scrape_pool *a, const struct scrape_pool *b)
{
    const struct discover_http *x = &a->http, *y = &b->http;

    if (a->http_error.kind || b->http_error.kind || x->header_count != y->header_count ||
        !str_eq(x->proxy_url, y->proxy_url))
        return false;
    for (size_t i = 0; i < x->header_count; i++)
        if (!str_eq(x->headers[i].name, y->headers[i].name) ||
            !str_eq(x->headers[i].value, y->headers[i].value))
            return false;
    return true;
}

// The index of an unchanged job's pool that nobody has taken; SIZE_MAX: there is none.
static size_t pool_find(const struct scraper *s, const struct scrape_pool *p,
                        const struct scrape_apply *a)
{
    for (size_t i = 0; i < s->pools.n; i++)
        if (!a->kept[i] && str_eq(buf_view(&s->pools.v[i]->printed), buf_view(&p->printed)) &&
            same_calls(s->pools.v[i], p))
            return i;
    return SIZE_MAX;
}

/*
 * Makes the pools of c, where unchanged jobs keep theirs. On failure nothing has changed. Pools are
 * changed by this function's callers only, one at a time.
 */
static bool make_pools(struct scraper *s, struct prom_config *c, struct scrape_apply *a,
                       struct err *e)
{
    const struct conf_list *jobs = &c->doc.scrape_configs;

    a->kept = arena_array(&a->arena, s->pools.n + 1, bool);
    a->from = arena_array(&a->arena, jobs->n + 1, size_t);
    for (size_t i = 0; i < jobs->n; i++) {
        struct scrape_pool *p = pool_new(s, c, jobs->v[i], e);
        if (!p)
            return false;
        size_t old = pool_find(s, p, a);
        a->from[i] = old;
        if (old != SIZE_MAX) {
            a->kept[old] = true;
            scrape_pool_put(p);
            p = s->pools.v[old];
        }
        *vec_push(&a->next) = p;
    }
    return true;
}

// Puts the new pools in place of the old; those of jobs that are gone or changed are closed.
static void switch_pools(struct scraper *s, struct prom_config *c, struct scrape_apply *a)
{
    LOCKED(&s->mu);
    __typeof__(s->pools) old = s->pools;

    s->pools.v = a->next.v;
    s->pools.n = a->next.n;
    s->pools.cap = a->next.cap;
    a->next = (__typeof__(a->next)){ 0 };
    for (size_t i = 0; i < old.n; i++)
        if (!a->kept[i])
            pool_close_locked(s, old.v[i], true);
    vec_fini(&old);
    prom_config_put(s->config);
    s->config = prom_config_get(c);
}

static void apply_fini(struct scrape_apply *a)
{
    for (size_t i = 0; i < a->next.n; i++) // only after a failure
        if (a->from[i] == SIZE_MAX)
            scrape_pool_put(a->next.v[i]);
    vec_fini(&a->next);
    arena_fini(&a->arena);
}
OWN_DEFINE_FINI(struct scrape_apply, apply_fini)

bool scraper_apply(struct scraper *s, struct prom_config *c, struct err *e)
{
    OWNED(apply_fini) struct scrape_apply a = { 0 };

    if (!make_pools(s, c, &a, e))
        return false;
    OWNED(discover_stop) struct discover *before = s->discover;
    s->discover = NULL;
    discover_halt(before);
    switch_pools(s, c, &a);
    struct discover_set *sets = arena_array(&a.arena, s->pools.n + 1, struct discover_set);
    for (size_t i = 0; i < s->pools.n; i++)
        sets[i] = (struct discover_set){ s->pools.v[i]->name, &s->pools.v[i]->conf->sd,
                                         a.from[i] == SIZE_MAX ? DISCOVER_FRESH : a.from[i] };
    return discover_start(&s->discover,
                          &(struct discover_options){
                              .sets = sets,
                              .set_count = s->pools.n,
                              .client = s->client,
                              .before = before,
                              .update = discovered,
                              .ctx = s,
                          },
                          e);
}

/* ---- life ---- */

static void make_metrics(struct scraper *s)
{
    s->samples = metric_plain("vigie_scrape_samples_total", "Samples stored by scrapes.",
                              METRIC_COUNTER);
    s->late = metric_plain("vigie_scrapes_skipped_total",
                           "Scrapes that were due while the one before still ran.", METRIC_COUNTER);
    s->sample_limit = metric_plain("prometheus_target_scrapes_exceeded_sample_limit_total",
                                   "Scrapes that hit the sample limit and were rejected.",
                                   METRIC_COUNTER);
    s->duplicates = metric_plain("prometheus_target_scrapes_sample_duplicate_timestamp_total",
                                 "Samples rejected for another value at the same time.",
                                 METRIC_COUNTER);
    s->out_of_order = metric_plain("prometheus_target_scrapes_sample_out_of_order_total",
                                   "Samples rejected for being out of order.", METRIC_COUNTER);
    s->out_of_bounds = metric_plain("prometheus_target_scrapes_sample_out_of_bounds_total",
                                    "Samples rejected for a time outside of the bounds.",
                                    METRIC_COUNTER);
}

bool scraper_start(struct scraper **out, const struct scraper_options *o, struct err *e)
{
    OWNED(scraper_stop) struct scraper *s = xcalloc(1, sizeof *s);

    s->o = *o;
    if (!s->o.clock)
        s->o.clock = clock_real();
    s->spread = rand_u64();
    mutex_init(&s->mu, "scraper", RANK_APP + 1);
    cond_init(&s->wake);
    make_metrics(s);
    if (!http_client_start(&s->client, e) ||
        !pool_start(
            &s->workers,
            &(struct pool_options){ .name = "scrape", .threads = o->workers, .queue_max = 65536 },
            e) ||
        !thread_start(&s->timer, "scrape-timer", scrape_timer, s, e))
        return false;
    *out = TAKE(s);
    return true;
}

void scraper_stop(struct scraper *s)
{
    if (!s)
        return;
    discover_stop(s->discover);
    mutex_lock(&s->mu);
    s->stopping = true;
    cond_wake_all(&s->wake);
    mutex_unlock(&s->mu);
    thread_join(&s->timer);
    http_client_stop(s->client); // calls under way end, their jobs go to the workers
    while (atomic_load_explicit(&s->running, memory_order_acquire)) // pairs with job_end()
        nanosleep(&(struct timespec){ 0, NS_MS }, NULL);
    pool_stop(s->workers);
    mutex_lock(&s->mu);
    for (size_t i = 0; i < s->heap.n; i++)
        scrape_target_put(s->heap.v[i]);
    for (size_t i = 0; i < s->pools.n; i++)
        pool_close_locked(s, s->pools.v[i], false);
    mutex_unlock(&s->mu);
    vec_fini(&s->heap);
    vec_fini(&s->pools);
    prom_config_put(s->config);
    cond_fini(&s->wake);
    mutex_fini(&s->mu);
    xfree(s);
}

/* ---- looking at it ---- */

static void target_info(struct scrape_target *t, struct arena *a, struct scrape_target_info *out)
{
    *out = (struct scrape_target_info){
        .pool = arena_str(a, t->pool->name),
        .url = arena_str(a, t->url),
        .discovered = labels_copy(a, t->discovered),
        .labels = labels_copy(a, t->labels),
        .interval_ms = t->interval_ms,
        .timeout_ms = t->timeout_ms,
    };
    LOCKED(&t->mu);
    out->last_error = arena_str(a, str_c(t->last_error));
    out->last_scrape_ns = t->last_scrape_ns;
    out->last_duration_ns = t->last_duration_ns;
    out->health = t->health;
    out->series = t->page_series;
    out->body_bytes = t->page_bytes;
}

static int pool_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct scrape_pool_info *)a)->name,
                   ((const struct scrape_pool_info *)b)->name);
}

void scraper_info(struct scraper *s, struct arena *a, struct scrape_info *out)
{
    LOCKED(&s->mu);

    *out = (struct scrape_info){ .config = s->config ? prom_config_get(s->config) : NULL };
    out->pools = arena_array(a, s->pools.n, struct scrape_pool_info);
    out->n = s->pools.n;
    for (size_t i = 0; i < s->pools.n; i++) {
        struct scrape_pool *p = s->pools.v[i];
        struct scrape_pool_info *info = &out->pools[i];
        *info = (struct scrape_pool_info){ .name = arena_str(a, p->name),
                                           .conf = p->conf,
                                           .dropped_count = p->dropped_count };
        info->active = arena_array(a, p->targets.n, struct scrape_target_info);
        info->active_n = p->targets.n;
        for (size_t k = 0; k < p->targets.n; k++)
            target_info(p->targets.v[k], a, &info->active[k]);
        info->dropped = arena_array(a, p->dropped.n, struct scrape_target_info);
        info->dropped_n = p->dropped.n;
        for (size_t k = 0; k < p->dropped.n; k++)
            info->dropped[k] = (struct scrape_target_info){
                .pool = info->name, .discovered = labels_copy(a, p->dropped.v[k])
            };
    }
    sort_stable(out->pools, out->n, sizeof *out->pools, pool_order, NULL);
}

typedef VEC(struct scrape_meta) meta_vec;

static void target_meta(struct scrape_target *t, struct str metric, struct arena *a, meta_vec *out)
{
    LOCKED(&t->mu);

    for (size_t i = 0; i < t->cache.meta.n; i++) {
        const struct scrape_meta_entry *m = &t->cache.meta.v[i];
        if (metric.n && !str_eq(metric, m->name))
            continue;
        *vec_push_in(a, out) = (struct scrape_meta){
            labels_copy(a, t->labels),
            { arena_str(a, m->name), m->type, arena_str(a, m->help), arena_str(a, m->unit) }
        };
    }
}

void scraper_meta(struct scraper *s, struct str metric, struct arena *a, struct scrape_meta **out,
                  size_t *n)
{
    meta_vec all = { 0 };
    LOCKED(&s->mu);

    for (size_t i = 0; i < s->pools.n; i++)
        for (size_t k = 0; k < s->pools.v[i]->targets.n; k++)
            target_meta(s->pools.v[i]->targets.v[k], metric, a, &all);
    *out = all.v;
    *n = all.n;
}
