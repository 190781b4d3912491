/*
 * discover.c - one scheduler thread, a few workers, one provider per entry of the configuration.
 *
 * A provider's refresh makes its targets anew in an arena of its own; the old ones are kept until the
 * new ones are whole. Equal results (by hash) call nobody.
 */
// SPDX-License-Identifier: Apache-2.0
#include "discover/discover.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/pool.h"
#include "base/time.h"
#include "discover/discover_priv.h"

enum { TICK_MS = 1000, WORKERS = 2, WAIT_FOR_ALL_MS = 5000 };

struct discover {
    struct discover_options o;
    struct mutex mu;      // guards the providers' targets, sets, and the calls of update
    struct mutex wake_mu; // guards stopping
    struct cond wake;
    bool stopping; // under wake_mu
    struct provider *providers;
    size_t provider_count;
    bool *told; // under mu: by set
    int64_t start_mono_ns;
    struct thread scheduler;
    struct pool *pool;
    struct discover_metrics metrics;
};

/* ---- telling ---- */

// Whether every part of the set has answered. New sets wait for that, but not for ever: telling a part
// would make targets of the others go and come.
static bool is_complete_locked(const struct discover *d, size_t set)
{
    for (size_t i = 0; i < d->provider_count; i++)
        if (d->providers[i].set == set && !d->providers[i].answered)
            return false;
    return true;
}

static void set_count_metric(const struct discover *d, size_t set, size_t n)
{
    struct str values[] = { str_c(d->o.name), d->o.sets[set].name };

    metric_set(metric_child(d->metrics.targets, values), (double)n);
    metric_set(metric_child(d->metrics.last_update, values), (double)wall_ns() / 1e9);
}

static void tell_locked(struct discover *d, size_t set, bool whole)
{
    VEC(struct labels) all = { 0 };

    if (!whole && !d->told[set] && !is_complete_locked(d, set))
        return;
    for (size_t i = 0; i < d->provider_count; i++) {
        const struct provider *p = &d->providers[i];
        for (size_t k = 0; p->set == set && k < p->target_count; k++)
            *vec_push(&all) = p->targets[k];
    }
    d->told[set] = true;
    set_count_metric(d, set, all.n);
    metric_add(d->metrics.updates, 1);
    d->o.update(d->o.ctx, set, all.v, all.n);
    vec_fini(&all);
}

static uint64_t targets_hash(const struct made *m)
{
    uint64_t h = m->targets.n + 1;
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < m->targets.n; i++) {
        buf_reset(&b);
        buf_labels_canonical(&b, m->targets.v[i]);
        h = hash_seeded(buf_view(&b), h);
    }
    return h;
}

// made NULL: the refresh failed.
static void adopt(struct provider *p, struct made *m)
{
    uint64_t hash = m ? targets_hash(m) : 0;
    LOCKED(&p->d->mu);
    bool changed = m && hash != p->hash;

    p->answered = true;
    if (changed) {
        struct arena old = p->arena;
        p->arena = m->arena;
        m->arena = old; // freed by the caller
        p->targets = m->targets.v;
        p->target_count = m->targets.n;
        p->hash = hash;
    }
    if (changed || !p->d->told[p->set])
        tell_locked(p->d, p->set, false);
}

static void run_provider(void *ctx)
{
    struct provider *p = ctx;
    const struct discover_metrics *metrics = &p->d->metrics;
    struct str values[] = { str_c(provider_mechanism(p->kind)), p->name };
    int64_t start = clock_mono_ns(clock_real());
    OWNED(made_fini) struct made m = { 0 };
    struct err e = { 0 };
    bool ok = provider_refresh(p, p->d->o.client, metrics, &m, &e);

    if (p->kind != PROVIDER_STATIC)
        metric_observe(metric_child(metrics->seconds, values),
                       (double)(clock_mono_ns(clock_real()) - start) / 1e9);
    if (ok) {
        metric_add(metrics->received, 1);
        adopt(p, &m);
    } else {
        metric_add(metric_child(metrics->failures, values), 1);
        log_warn("discover", "refresh failed, what was known stays", KV_STR("job", p->name),
                 KV_ERR(&e));
        adopt(p, NULL);
    }
    p->asked = true;
    atomic_store_explicit(&p->running, false, memory_order_release); // pairs with is_due()
}

/* ---- scheduling ---- */

static bool is_due(struct provider *p, int64_t now_mono_ns)
{
    // acquire: what the last run wrote is seen; pairs with run_provider()
    if (atomic_load_explicit(&p->running, memory_order_acquire))
        return false;
    if (!p->asked)
        return true;
    if (p->kind == PROVIDER_STATIC)
        return false;
    if (p->kind == PROVIDER_FILE && provider_file_stamp(p->conf) != p->file_stamp)
        return true;
    return now_mono_ns >= p->due_mono_ns;
}

static void start_due(struct discover *d)
{
    int64_t now = clock_mono_ns(clock_real());

    for (size_t i = 0; i < d->provider_count; i++) {
        struct provider *p = &d->providers[i];
        struct err e;
        if (!is_due(p, now))
            continue;
        p->due_mono_ns = now + p->interval_ms * NS_MS;
        atomic_store_explicit(&p->running, true, memory_order_relaxed);
        if (!pool_submit(d->pool, run_provider, p, &e))
            atomic_store_explicit(&p->running, false, memory_order_relaxed); // next tick again
    }
}

// Sets with parts that do not answer get what there is.
static void tell_late(struct discover *d)
{
    int64_t now = clock_mono_ns(clock_real());

    if (now - d->start_mono_ns < WAIT_FOR_ALL_MS * NS_MS)
        return;
    LOCKED(&d->mu);
    for (size_t i = 0; i < d->o.set_count; i++)
        if (!d->told[i])
            tell_locked(d, i, true);
}

static void *schedule(void *ctx)
{
    struct discover *d = ctx;

    mutex_lock(&d->wake_mu);
    while (!d->stopping) {
        mutex_unlock(&d->wake_mu);
        start_due(d);
        tell_late(d);
        mutex_lock(&d->wake_mu);
        if (!d->stopping)
            cond_wait(&d->wake, &d->wake_mu, TICK_MS);
    }
    mutex_unlock(&d->wake_mu);
    return NULL;
}

/* ---- parts ---- */

// What the discovery before knew of the same part of a configuration.
static void take_over(struct provider *p, struct discover *old)
{
    for (size_t i = 0; old && i < old->provider_count; i++) {
        struct provider *q = &old->providers[i];
        if (q->conf != p->conf || q->kind != p->kind || !q->asked)
            continue;
        p->arena = q->arena;
        p->targets = q->targets;
        p->target_count = q->target_count;
        p->hash = q->hash;
        p->file_stamp = q->file_stamp;
        p->due_mono_ns = q->due_mono_ns;
        p->token = TAKE(q->token);
        p->asked = p->answered = true;
        q->arena = (struct arena){ 0 };
        q->target_count = 0;
    }
}

static void provider_add(struct discover *d, size_t set, enum provider_kind kind, const void *conf,
                         int64_t interval_ms)
{
    struct provider *p = &d->providers[d->provider_count++];

    *p = (struct provider){ .d = d,
                            .set = set,
                            .name = d->o.sets[set].name,
                            .kind = kind,
                            .conf = conf,
                            .interval_ms = interval_ms };
    take_over(p, d->o.old);
    if (kind == PROVIDER_HTTP && !p->token && ((const struct conf_http_sd *)conf)->http.oauth2)
        p->token = discover_token_new();
}

static void set_add(struct discover *d, size_t set)
{
    const struct conf_sd *sd = d->o.sets[set].sd;
    bool same = true;

    size_t from = d->provider_count;
    provider_add(d, set, PROVIDER_STATIC, sd, 0);
    for (size_t i = 0; i < sd->file_sd.n; i++)
        provider_add(d, set, PROVIDER_FILE, sd->file_sd.v[i],
                     ((const struct conf_file_sd *)sd->file_sd.v[i])->refresh_interval_ms);
    for (size_t i = 0; i < sd->http_sd.n; i++)
        provider_add(d, set, PROVIDER_HTTP, sd->http_sd.v[i],
                     ((const struct conf_http_sd *)sd->http_sd.v[i])->refresh_interval_ms);
    for (size_t i = 0; i < sd->dns_sd.n; i++)
        provider_add(d, set, PROVIDER_DNS, sd->dns_sd.v[i],
                     ((const struct conf_dns_sd *)sd->dns_sd.v[i])->refresh_interval_ms);
    for (size_t i = from; i < d->provider_count; i++)
        same = same && d->providers[i].asked;
    d->told[set] = same; // its consumer has these targets already
}

static void make_metrics(struct discover *d)
{
    static const char *const set_names[] = { "name", "config" };
    static const char *const refresh_names[] = { "mechanism", "config" };
    static const char *const name_only[] = { "name" };
    struct discover_metrics *m = &d->metrics;
    struct str name = str_c(d->o.name);

    m->targets = metric_family("prometheus_sd_discovered_targets", "Targets discovered.",
                               METRIC_GAUGE, set_names, 2);
    m->last_update = metric_family("prometheus_sd_last_update_timestamp_seconds",
                                   "When the targets were last told.", METRIC_GAUGE, set_names, 2);
    m->updates = metric_child(metric_family("prometheus_sd_updates_total",
                                            "Times that changed targets were told.", METRIC_COUNTER,
                                            name_only, 1),
                              &name);
    m->received = metric_child(metric_family("prometheus_sd_received_updates_total",
                                             "Refreshes that gave targets.", METRIC_COUNTER,
                                             name_only, 1),
                               &name);
    metric_child(metric_family("prometheus_sd_failed_configs",
                               "Configurations of discovery that could not be used.", METRIC_GAUGE,
                               name_only, 1),
                 &name);
    m->failures = metric_family("prometheus_sd_refresh_failures_total", "Refreshes that failed.",
                                METRIC_COUNTER, refresh_names, 2);
    m->seconds = metric_family("prometheus_sd_refresh_duration_seconds", "How long refreshes took.",
                               METRIC_SUMMARY, refresh_names, 2);
    m->file_errors = metric_plain("prometheus_sd_file_read_errors_total",
                                  "Files of discovery that could not be read.", METRIC_COUNTER);
    m->dns_lookups = metric_plain("prometheus_sd_dns_lookups_total", "DNS lookups of discovery.",
                                  METRIC_COUNTER);
    m->dns_failures = metric_plain("prometheus_sd_dns_lookup_failures_total",
                                   "DNS lookups of discovery that failed.", METRIC_COUNTER);
    m->http_failures = metric_plain("prometheus_sd_http_failures_total",
                                    "HTTP refreshes of discovery that failed.", METRIC_COUNTER);
}

// The failures of each part show as 0 from the start: alerts use increase().
static void touch_metrics(const struct provider *p)
{
    struct str values[] = { str_c(provider_mechanism(p->kind)), p->name };

    if (p->kind == PROVIDER_HTTP || p->kind == PROVIDER_DNS)
        metric_child(p->d->metrics.failures, values);
}

static struct discover *discover_new(const struct discover_options *o)
{
    struct discover *d = xcalloc(1, sizeof *d);
    size_t n = 0;

    d->o = *o;
    d->o.name = o->name ? o->name : "";
    d->o.sets = xmemdup(o->sets, o->set_count * sizeof *o->sets);
    mutex_init(&d->mu, "discover", RANK_APP);
    mutex_init(&d->wake_mu, "discover wake", RANK_LEAF);
    cond_init(&d->wake);
    make_metrics(d);
    d->start_mono_ns = clock_mono_ns(clock_real());
    d->told = xcalloc(o->set_count + 1, sizeof *d->told);
    for (size_t i = 0; i < o->set_count; i++)
        n += 1 + o->sets[i].sd->file_sd.n + o->sets[i].sd->http_sd.n + o->sets[i].sd->dns_sd.n;
    d->providers = xcalloc(n + 1, sizeof *d->providers);
    for (size_t i = 0; i < o->set_count; i++)
        set_add(d, i);
    assert(d->provider_count == n);
    return d;
}

bool discover_start(struct discover **out, const struct discover_options *o, struct err *e)
{
    OWNED(discover_stop) struct discover *old = o->old;

    discover_pause(old);
    OWNED(discover_stop) struct discover *d = discover_new(o);
    d->o.old = NULL;
    // What needs no network is known before this returns.
    for (size_t i = 0; i < d->provider_count; i++) {
        struct provider *p = &d->providers[i];
        touch_metrics(p);
        if (!p->asked && (p->kind == PROVIDER_STATIC || p->kind == PROVIDER_FILE))
            run_provider(p);
    }
    if (!pool_start(&d->pool, &(struct pool_options){ .name = "discover", .threads = WORKERS },
                    e) ||
        !thread_start(&d->scheduler, "discover", schedule, d, e))
        return false;
    *out = TAKE(d);
    return true;
}

void discover_pause(struct discover *d)
{
    if (!d)
        return;
    mutex_lock(&d->wake_mu);
    d->stopping = true;
    cond_wake_all(&d->wake);
    mutex_unlock(&d->wake_mu);
    thread_join(&d->scheduler);
    d->scheduler.started = false;
    pool_stop(TAKE(d->pool));
}

void discover_stop(struct discover *d)
{
    if (!d)
        return;
    discover_pause(d);
    for (size_t i = 0; i < d->provider_count; i++) {
        arena_fini(&d->providers[i].arena);
        discover_token_free(d->providers[i].token);
        xfree((void *)(uintptr_t)d->providers[i].error.p);
    }
    cond_fini(&d->wake);
    mutex_fini(&d->wake_mu);
    mutex_fini(&d->mu);
    xfree(d->providers);
    xfree(d->told);
    xfree((void *)(uintptr_t)d->o.sets);
    xfree(d);
}
