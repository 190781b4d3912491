// scrape.c - pools of targets: made from the configuration, fed by discovery, shown to the API.
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/scrape.h"

#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/sort.h"
#include "pipeline/scrape_priv.h"

static void discovered(void *ctx, size_t set, const struct labels *targets, size_t n)
{
    struct scraper *s = ctx;
    LOCKED(&s->mu);

    if (!s->stopping && set < s->pools.n)
        scrape_pool_update_locked(s, s->pools.v[set], targets, n);
}

/* ---- configuration ---- */

typedef VEC(struct scrape_pool *) pool_vec;

// The failure log that another pool has open already, or a new one.
static bool open_log(const pool_vec *pools, struct scrape_pool *p, struct err *e)
{
    struct str path = p->conf->scrape_failure_log_file;

    if (!path.n)
        return true;
    for (size_t i = 0; i < pools->n; i++) {
        struct scrape_log *l = pools->v[i]->failures;
        if (l && str_eq(scrape_log_path(l), path)) {
            p->failures = scrape_log_get(l);
            return true;
        }
    }
    return scrape_log_open(&p->failures, path, e);
}

// All settings, and what the files of certificates looked like.
static struct hash128 key_of(const struct conf_scrape *conf)
{
    struct hash128 key = prom_config_scrape_key(conf);

    key.lo ^= discover_tls_stamp(&conf->http.tls);
    return key;
}

static struct scrape_pool *pool_new(struct scraper *s, struct prom_config *c,
                                    const struct conf_scrape *conf, const pool_vec *others,
                                    struct err *e)
{
    OWNED(scrape_pool_put) struct scrape_pool *p = xcalloc(1, sizeof *p);
    struct err log_error;

    atomic_init(&p->refs, 1);
    p->scraper = s;
    p->config = prom_config_get(c);
    p->conf = conf;
    p->name = conf->job_name;
    p->key = key_of(conf);
    metric_add(s->pools_made, 1);
    if (!discover_http_make(&conf->http, &p->http, &p->http_error)) {
        metric_add(s->pools_failed, 1);
        if (p->http_error.kind == ERR_UNSUPPORTED || p->http_error.kind == ERR_INVALID) {
            *e = p->http_error;
            err_wrap(e, "job %.*s", STRF(conf->job_name));
            return NULL;
        }
        // A file that is missing makes the job's scrapes fail, not the start.
        log_warn("scrape", "job cannot be scraped", KV_STR("job", p->name), KV_ERR(&p->http_error));
    }
    if (conf->http.oauth2)
        p->token = discover_token_new();
    if (!open_log(others, p, &log_error)) // as upstream: scraping is worth more than its log
        log_error("scrape", "failure log not opened", KV_STR("job", p->name), KV_ERR(&log_error));
    p->gauges = scrape_gauges_of(p->name);
    metric_set(p->gauges.target_limit, (double)conf->target_limit);
    return TAKE(p);
}

// The pool of an unchanged job, taken out of `old`.
static struct scrape_pool *pool_reuse(pool_vec *old, struct hash128 key)
{
    for (size_t i = 0; i < old->n; i++) {
        struct scrape_pool *p = old->v[i];
        if (p && p->key.lo == key.lo && p->key.hi == key.hi)
            return TAKE(old->v[i]);
    }
    return NULL;
}

// Makes the pools of a configuration; those of unchanged jobs move over from old.
static bool make_pools(struct scraper *s, struct prom_config *c, pool_vec *old, pool_vec *out,
                       struct err *e)
{
    const struct conf_list *jobs = &c->doc.scrape_configs;

    for (size_t i = 0; i < jobs->n; i++) {
        const struct conf_scrape *conf = jobs->v[i];
        struct scrape_pool *p = pool_reuse(old, key_of(conf));
        if (!p && !(p = pool_new(s, c, conf, out, e)))
            return false;
        *vec_push(out) = p;
    }
    return true;
}

static bool has_pool(const struct scraper *s, const struct scrape_pool *p)
{
    for (size_t i = 0; i < s->pools.n; i++)
        if (s->pools.v[i] == p)
            return true;
    return false;
}

static bool has_job(const struct scraper *s, struct str name)
{
    for (size_t i = 0; i < s->pools.n; i++)
        if (str_eq(s->pools.v[i]->name, name))
            return true;
    return false;
}

// Pools that are not in use any more. Of a job that goes on, targets wait for their successors.
static void close_old_locked(struct scraper *s, pool_vec *old)
{
    for (size_t i = 0; i < old->n; i++) {
        struct scrape_pool *p = old->v[i];
        if (!p)
            continue;
        bool goes_on = has_job(s, p->name);
        metric_add(s->reloads, goes_on);
        if (!goes_on)
            metric_set(p->gauges.targets, 0);
        scrape_pool_close_locked(s, p, goes_on ? FATE_WAITING : FATE_GONE);
    }
}

static void swap_pools(struct scraper *s, struct prom_config *c, pool_vec *old, pool_vec *made)
{
    LOCKED(&s->mu);

    vec_fini(&s->pools);
    s->pools.v = made->v;
    s->pools.n = made->n;
    s->pools.cap = made->cap;
    close_old_locked(s, old);
    prom_config_put(s->config);
    s->config = prom_config_get(c);
}

static bool follow(struct scraper *s, struct err *e)
{
    VEC(struct discover_set) sets = { 0 };
    struct discover *old = TAKE(s->discover);

    for (size_t i = 0; i < s->pools.n; i++)
        *vec_push(&sets) = (struct discover_set){ s->pools.v[i]->name, &s->pools.v[i]->conf->sd };
    bool ok = discover_start(&s->discover,
                             &(struct discover_options){
                                 .name = "scrape",
                                 .sets = sets.v,
                                 .set_count = sets.n,
                                 .client = s->client,
                                 .update = discovered,
                                 .ctx = s,
                                 .old = old,
                             },
                             e);
    vec_fini(&sets);
    return ok;
}

bool scraper_apply(struct scraper *s, struct prom_config *c, struct err *e)
{
    pool_vec old = { 0 }, made = { 0 };

    // Only this function changes the list of pools: reading it needs no lock here.
    for (size_t i = 0; i < s->pools.n; i++)
        *vec_push(&old) = s->pools.v[i];
    if (!make_pools(s, c, &old, &made, e)) {
        for (size_t i = 0; i < made.n; i++)
            if (!has_pool(s, made.v[i]))
                scrape_pool_put(made.v[i]);
        vec_fini(&made);
        vec_fini(&old);
        return false;
    }
    discover_pause(s->discover); // sets change their numbers
    swap_pools(s, c, &old, &made);
    vec_fini(&old);
    return follow(s, e);
}

/* ---- life ---- */

enum { WAITERS = 16 }; // slow pages inside the process that may be made at once

bool scraper_start(struct scraper **out, const struct scraper_options *o, struct err *e)
{
    OWNED(scraper_stop) struct scraper *s = xcalloc(1, sizeof *s);

    s->o = *o;
    if (!s->o.clock)
        s->o.clock = clock_real();
    s->spread = rand_u64();
    mutex_init(&s->mu, "scraper", RANK_APP + 1);
    cond_init(&s->wake);
    mutex_init(&s->scratch_mu, "scrape scratch", RANK_LEAF);
    scrape_metrics_make(s);
    if (!http_client_start(&s->client, e) ||
        !pool_start(
            &s->workers,
            &(struct pool_options){ .name = "scrape", .threads = o->workers, .queue_max = 65536 },
            e) ||
        (o->local &&
         !pool_start(&s->waiters,
                     &(struct pool_options){
                         .name = "scrape-local", .threads = WAITERS, .queue_max = 65536 },
                     e)) ||
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
    pool_stop(s->waiters);
    pool_stop(s->workers);
    mutex_lock(&s->mu);
    for (size_t i = 0; i < s->heap.n; i++)
        scrape_target_put(s->heap.v[i]);
    for (size_t i = 0; i < s->orphans.n; i++)
        scrape_target_put(s->orphans.v[i].t);
    for (size_t i = 0; i < s->pools.n; i++)
        scrape_pool_close_locked(s, s->pools.v[i], FATE_SILENT);
    mutex_unlock(&s->mu);
    vec_fini(&s->heap);
    vec_fini(&s->orphans);
    vec_fini(&s->pools);
    scrape_scratch_free(s->scratch);
    mutex_fini(&s->scratch_mu);
    prom_config_put(s->config);
    cond_fini(&s->wake);
    mutex_fini(&s->mu);
    xfree(s);
}
