/*
 * discover.c - one scheduler thread, a few workers, one provider per entry of the configuration.
 *
 * A provider's refresh makes its targets anew in an arena of its own; the old ones are kept until the
 * new ones are whole. Equal results (by hash) call nobody.
 */
// SPDX-License-Identifier: Apache-2.0
#include "discover/discover.h"

#include <glob.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/num.h"
#include "base/pool.h"
#include "base/thread.h"
#include "base/time.h"
#include "discover/dns.h"

enum { TICK_MS = 1000, SD_BYTES_MAX = 64 << 20, WORKERS = 2 };

enum provider_kind { PROVIDER_STATIC, PROVIDER_FILE, PROVIDER_HTTP, PROVIDER_DNS };

struct provider {
    struct discover *d;
    size_t set;
    enum provider_kind kind;
    const void *conf; // of its kind; static: struct conf_sd
    int64_t interval_ms, due_mono_ns;
    atomic_bool running;
    uint64_t file_stamp;    // of names, sizes and times: files are read when it changes
    bool asked;             // refreshed at least once
    struct arena arena;     // under d->mu: holds targets
    struct labels *targets; // under d->mu
    size_t target_count;    // under d->mu
    uint64_t hash;          // under d->mu: of targets
};

struct discover {
    struct discover_options o;
    struct mutex mu;      // guards the providers' targets, and the calls of update
    struct mutex wake_mu; // guards stopping
    struct cond wake;
    bool stopping; // under wake_mu
    bool halted;
    struct provider *providers;
    size_t provider_count;
    struct thread scheduler;
    struct pool *pool;
    struct metric *failures;
};

/* ---- making targets ---- */

struct made {
    struct arena arena;
    VEC(struct labels) targets;
};

static void made_fini(struct made *m)
{
    arena_fini(&m->arena);
}
OWN_DEFINE_FINI(struct made, made_fini)

// One target: its address, the labels of its group, and one label of the discovery (name empty: none).
static void target_add(struct made *m, struct str address, const struct conf_map *group,
                       struct label meta)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, (struct labels){ 0 });
    for (size_t i = 0; group && i < group->n; i++)
        labels_builder_set(&b, group->v[i].key, group->v[i].value);
    if (meta.name.n)
        labels_builder_set(&b, meta.name, meta.value);
    labels_builder_set(&b, STR("__address__"), address);
    *vec_push_in(&m->arena, &m->targets) = labels_copy(&m->arena, labels_builder_view(&b));
}

static void groups_add(struct made *m, const struct conf_list *groups, struct label meta)
{
    for (size_t i = 0; i < groups->n; i++) {
        const struct conf_target_group *g = groups->v[i];
        for (size_t k = 0; k < g->targets.n; k++)
            target_add(m, g->targets.v[k], &g->labels, meta);
    }
}

static bool refresh_file(struct provider *p, struct made *m, const char *path, struct err *e)
{
    struct conf_list groups;
    struct str text;

    if (!file_read(&m->arena, path, SD_BYTES_MAX, &text, e) ||
        !conf_target_groups_parse(&m->arena, text, &groups, e))
        return err_wrap(e, "%s", path);
    groups_add(m, &groups,
               (struct label){ STR("__meta_filepath"), arena_str(&m->arena, str_c(path)) });
    return true;
}

// Calls visit for every file of the globs. Returns a stamp of names, sizes and times.
static uint64_t each_file(const struct conf_file_sd *c, struct arena *a,
                          void (*visit)(void *ctx, const char *path), void *ctx)
{
    uint64_t stamp = 0;

    for (size_t i = 0; i < c->files.n; i++) {
        glob_t found = { 0 };
        glob(arena_cstr(a, c->files.v[i]), 0, NULL, &found);
        for (size_t k = 0; k < found.gl_pathc; k++) {
            struct stat st = { 0 };
            if (stat(found.gl_pathv[k], &st) != 0)
                continue;
            stamp = hash_seeded(str_c(found.gl_pathv[k]), stamp);
            stamp = hash_u64(stamp ^ (uint64_t)st.st_size ^ (uint64_t)st.st_mtim.tv_nsec);
            stamp = hash_u64(stamp ^ (uint64_t)st.st_mtim.tv_sec ^ ((uint64_t)st.st_ino << 20));
            if (visit)
                visit(ctx, found.gl_pathv[k]);
        }
        globfree(&found);
    }
    return stamp;
}

struct file_refresh {
    struct provider *p;
    struct made *m;
    struct err *e;
    bool ok;
};

static void refresh_one(void *ctx, const char *path)
{
    struct file_refresh *f = ctx;

    f->ok = f->ok && refresh_file(f->p, f->m, path, f->e);
}

static bool refresh_files(struct provider *p, struct made *m, struct err *e)
{
    struct file_refresh f = { p, m, e, true };

    p->file_stamp = each_file(p->conf, &m->arena, refresh_one, &f);
    return f.ok;
}

static bool refresh_http(struct provider *p, struct made *m, struct err *e)
{
    const struct conf_http_sd *c = p->conf;
    OWNED(discover_http_fini) struct discover_http h = { 0 };
    struct http_response r = { 0 };
    struct conf_list groups;
    OWNED(buf_fini) struct buf interval = { 0 };

    if (!discover_http_make(&c->http, &h, e))
        return false;
    struct http_header *headers = arena_array(&h.arena, h.header_count + 2, struct http_header);
    if (h.header_count)
        memcpy(headers, h.headers, h.header_count * sizeof *headers);
    buf_double_g(&interval, (double)c->refresh_interval_ms / 1000);
    headers[h.header_count] = (struct http_header){ STR("Accept"), STR("application/json") };
    headers[h.header_count + 1] = (struct http_header){
        STR("X-Prometheus-Refresh-Interval-Seconds"), buf_view(&interval)
    };
    struct http_call_options o = { .url = c->url,
                                   .headers = headers,
                                   .header_count = h.header_count + 2,
                                   .tls = h.tls,
                                   .proxy_url = h.proxy_url,
                                   .no_redirects = h.no_redirects,
                                   .timeout_ms = MIN(c->refresh_interval_ms, INT64_C(10000)),
                                   .body_max = SD_BYTES_MAX };
    bool ok = http_client_wait(p->d->o.client, &o, &m->arena, &r, e);
    if (ok && r.status != 200)
        ok = err_set(e, ERR_UNAVAILABLE, "server returned HTTP status %d", r.status);
    ok = ok &&
         conf_target_groups_parse(&m->arena, arena_str(&m->arena, buf_view(&r.body)), &groups, e);
    buf_fini(&r.body);
    if (ok)
        groups_add(m, &groups, (struct label){ STR("__meta_url"), c->url });
    return ok;
}

static void dns_target(struct made *m, struct str name, struct str type, const struct dns_record *r,
                       int64_t port)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct str number = arena_printf(&m->arena, "%u", (unsigned)(r->port ? r->port : port));
    bool v6 = str_find_char(r->host, ':') != STR_NPOS;

    labels_builder_reset(&b, (struct labels){ 0 });
    labels_builder_set(&b, STR("__address__"),
                       arena_printf(&m->arena, "%s%.*s%s:%.*s", v6 ? "[" : "", STRF(r->host),
                                    v6 ? "]" : "", STRF(number)));
    labels_builder_set(&b, STR("__meta_dns_name"), name);
    struct str dotted = arena_printf(&m->arena, "%.*s.", STRF(r->host));
    if (str_eq_nocase(type, STR("SRV"))) {
        labels_builder_set(&b, STR("__meta_dns_srv_record_target"), dotted);
        labels_builder_set(&b, STR("__meta_dns_srv_record_port"), number);
    } else if (str_eq_nocase(type, STR("MX"))) {
        labels_builder_set(&b, STR("__meta_dns_mx_record_target"), dotted);
    } else if (str_eq_nocase(type, STR("NS"))) {
        labels_builder_set(&b, STR("__meta_dns_ns_record_target"), dotted);
    }
    *vec_push_in(&m->arena, &m->targets) = labels_copy(&m->arena, labels_builder_view(&b));
}

static bool refresh_dns(struct provider *p, struct made *m, struct err *e)
{
    const struct conf_dns_sd *c = p->conf;

    for (size_t i = 0; i < c->names.n; i++) {
        struct dns_record *records;
        size_t n;
        if (!dns_lookup(&m->arena, c->names.v[i], c->type, &records, &n, e))
            return false;
        for (size_t k = 0; k < n; k++)
            dns_target(m, c->names.v[i], c->type, &records[k], c->port);
    }
    return true;
}

static bool refresh(struct provider *p, struct made *m, struct err *e)
{
    switch (p->kind) {
    case PROVIDER_STATIC:
        groups_add(m, &((const struct conf_sd *)p->conf)->static_configs, (struct label){ 0 });
        return true;
    case PROVIDER_FILE:
        return refresh_files(p, m, e);
    case PROVIDER_HTTP:
        return refresh_http(p, m, e);
    case PROVIDER_DNS:
        return refresh_dns(p, m, e);
    }
    return true;
}

/* ---- telling ---- */

static void tell_locked(struct discover *d, size_t set)
{
    VEC(struct labels) all = { 0 };

    for (size_t i = 0; i < d->provider_count; i++) {
        const struct provider *p = &d->providers[i];
        for (size_t k = 0; p->set == set && k < p->target_count; k++)
            *vec_push(&all) = p->targets[k];
    }
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

static void adopt(struct provider *p, struct made *m)
{
    uint64_t hash = targets_hash(m);
    LOCKED(&p->d->mu);
    bool changed = hash != p->hash;

    if (changed) {
        struct arena old = p->arena;
        p->arena = m->arena;
        m->arena = old; // freed by the caller
        p->targets = m->targets.v;
        p->target_count = m->targets.n;
        p->hash = hash;
        tell_locked(p->d, p->set);
    }
}

static void run_provider(void *ctx)
{
    struct provider *p = ctx;
    OWNED(made_fini) struct made m = { 0 };
    struct err e = { 0 };

    if (refresh(p, &m, &e)) {
        adopt(p, &m);
    } else {
        metric_add(p->d->failures, 1);
        log_warn("discover", "refresh failed, what was known stays",
                 KV_STR("job", p->d->o.sets[p->set].name), KV_ERR(&e));
    }
    p->asked = true;
    atomic_store_explicit(&p->running, false, memory_order_release); // pairs with is_due()
}

/* ---- scheduling ---- */

static bool is_due(struct provider *p, int64_t now_mono_ns)
{
    OWNED(arena_fini) struct arena a = { 0 };

    // acquire: what the last run wrote is seen; pairs with run_provider()
    if (atomic_load_explicit(&p->running, memory_order_acquire))
        return false;
    if (!p->asked)
        return true;
    if (p->kind == PROVIDER_STATIC)
        return false;
    if (p->kind == PROVIDER_FILE && each_file(p->conf, &a, NULL, NULL) != p->file_stamp)
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

static void *schedule(void *ctx)
{
    struct discover *d = ctx;

    mutex_lock(&d->wake_mu);
    while (!d->stopping) {
        mutex_unlock(&d->wake_mu);
        start_due(d);
        mutex_lock(&d->wake_mu);
        if (!d->stopping)
            cond_wait(&d->wake, &d->wake_mu, TICK_MS);
    }
    mutex_unlock(&d->wake_mu);
    return NULL;
}

static void provider_add(struct discover *d, size_t set, enum provider_kind kind, const void *conf,
                         int64_t interval_ms)
{
    d->providers[d->provider_count++] = (struct provider){
        .d = d, .set = set, .kind = kind, .conf = conf, .interval_ms = interval_ms
    };
}

// Takes over what the providers of an equal set have found; their order is the same.
static void take_over(struct discover *d, size_t set, size_t first)
{
    const struct discover *old = d->o.before;
    size_t from = d->o.sets[set].before, k = first;

    for (size_t i = 0; old && i < old->provider_count; i++) {
        struct provider *was = &old->providers[i];
        if (was->set != from || from == DISCOVER_FRESH)
            continue;
        assert(k < d->provider_count && d->providers[k].kind == was->kind);
        struct provider *p = &d->providers[k++];
        p->arena = was->arena;
        p->targets = was->targets;
        p->target_count = was->target_count;
        p->hash = was->hash;
        was->arena = (struct arena){ 0 };
        was->targets = NULL;
        was->target_count = 0;
    }
}

static void set_add(struct discover *d, size_t set)
{
    size_t first = d->provider_count;

    const struct conf_sd *sd = d->o.sets[set].sd;

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
    take_over(d, set, first);
}

bool discover_start(struct discover **out, const struct discover_options *o, struct err *e)
{
    OWNED(discover_stop) struct discover *d = xcalloc(1, sizeof *d);
    size_t n = 0;

    d->o = *o;
    d->o.sets = xmemdup(o->sets, o->set_count * sizeof *o->sets);
    mutex_init(&d->mu, "discover", RANK_APP);
    mutex_init(&d->wake_mu, "discover wake", RANK_LEAF);
    cond_init(&d->wake);
    d->failures = metric_plain("prometheus_sd_refresh_failures_total",
                               "Refreshes of service discovery that failed.", METRIC_COUNTER);
    for (size_t i = 0; i < o->set_count; i++)
        n += 1 + o->sets[i].sd->file_sd.n + o->sets[i].sd->http_sd.n + o->sets[i].sd->dns_sd.n;
    d->providers = xcalloc(n, sizeof *d->providers);
    for (size_t i = 0; i < o->set_count; i++)
        set_add(d, i);
    assert(d->provider_count == n);
    // What needs no network is known before this returns.
    for (size_t i = 0; i < n; i++)
        if (d->providers[i].kind == PROVIDER_STATIC)
            run_provider(&d->providers[i]);
    if (!pool_start(&d->pool, &(struct pool_options){ .name = "discover", .threads = WORKERS },
                    e) ||
        !thread_start(&d->scheduler, "discover", schedule, d, e))
        return false;
    *out = TAKE(d);
    return true;
}

void discover_halt(struct discover *d)
{
    if (!d || d->halted)
        return;
    mutex_lock(&d->wake_mu);
    d->stopping = true;
    cond_wake_all(&d->wake);
    mutex_unlock(&d->wake_mu);
    thread_join(&d->scheduler);
    pool_stop(d->pool);
    d->pool = NULL;
    d->halted = true;
}

void discover_stop(struct discover *d)
{
    if (!d)
        return;
    discover_halt(d);
    for (size_t i = 0; i < d->provider_count; i++)
        arena_fini(&d->providers[i].arena);
    cond_fini(&d->wake);
    mutex_fini(&d->wake_mu);
    mutex_fini(&d->mu);
    xfree(d->providers);
    xfree((void *)(uintptr_t)d->o.sets);
    xfree(d);
}
