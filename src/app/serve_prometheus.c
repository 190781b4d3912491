/*
 * serve_prometheus.c - the part that is Prometheus: its API and pages on :9090.
 */
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/serve_priv.h"
#include "app/version.h"
#include "base/log.h"
#include "base/mem.h"

struct serve_prometheus {
    struct prom_face *face;
    struct ui_face *ui;
    struct http_server *http;
};

/* ---- what the face asks of the program around it ---- */

static struct prom_config *host_config(void *ctx)
{
    return serve_config(ctx);
}

static bool host_reload(void *ctx, struct err *e)
{
    return serve_reload(ctx, e);
}

static void host_quit(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGTERM);
}

static bool host_ready(void *ctx)
{
    return atomic_load_explicit(&((struct server *)ctx)->ready, memory_order_acquire);
}

static void host_reload_state(void *ctx, bool *ok, int64_t *at_ms)
{
    struct server *s = ctx;
    LOCKED(&s->mu);

    *ok = s->reload_ok;
    *at_ms = s->reload_ms;
}

static bool host_has_feature(void *ctx, const char *name)
{
    return serve_feature_is_on(ctx, name);
}

/* ---- flags as shown ---- */

// Flags that the newest Prometheus does not have: ours, and those of older releases.
static bool is_unknown_there(const char *name)
{
    static const char *const names[] = { "auth.multitenancy-enabled",
                                         "export.blackbox-config",
                                         "export.probe-allow",
                                         "export.postgres-config",
                                         "limits.file",
                                         "storage.wal-sync",
                                         "storage.cache-size",
                                         "storage.feed.max-bytes",
                                         "storage.feed.max-age",
                                         "alertmanager.timeout",
                                         "storage.tsdb.retention",
                                         "otlp.grpc-listen-address",
                                         "otlp.http-listen-address",
                                         "pushgateway.listen-address",
                                         "graphite.listen-address",
                                         "statsd.listen-address",
                                         "statsd.flush-interval",
                                         "opentsdb.listen-address",
                                         "pushgateway.persistence-file",
                                         "storage.tsdb.allow-overlapping-blocks" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int flag_order(const void *a, const void *b)
{
    return strcmp(((const struct prom_flag *)a)->name, ((const struct prom_flag *)b)->name);
}

// What /status/flags shows: all flags that Prometheus has, with their values.
static struct prom_flag *shown_flags(struct server *s, size_t *n)
{
    struct prom_flag *v = arena_array(&s->arena, s->flags.n, struct prom_flag);

    *n = 0;
    for (size_t i = 0; i < s->flags.n; i++) {
        const struct flag_value *f = &s->flags.v[i];
        if (strcmp(f->flag->name, "help") == 0 || strcmp(f->flag->name, "version") == 0 ||
            (s->as_prometheus && !f->given && is_unknown_there(f->flag->name)))
            continue;
        OWNED(buf_fini) struct buf text = { 0 };
        for (size_t k = 0; k < f->all.n; k++)
            buf_printf(&text, "%s%.*s", k ? "," : "", STRF(f->all.v[k]));
        struct str shown = f->all.n ? arena_str(&s->arena, buf_view(&text)) : f->text;
        if (strcmp(f->flag->name, "web.route-prefix") == 0)
            shown = serve_prefix(s);
        v[(*n)++] = (struct prom_flag){ f->flag->name, shown };
    }
    qsort(v, *n, sizeof *v, flag_order);
    return v;
}

/* ---- the part ---- */

static bool make_face(struct server *s, struct serve_prometheus *p, struct err *e)
{
    struct prom_face_options o = {
        .metrics = s->metrics,
        .tenant = s->tenant,
        .intake = s->intake,
        .limits = s->limits,
        .tenancy = s->tenancy,
        .scraper = s->scraper,
        .rules = serve_rules_of(s),
        .alerts = serve_alert_sender_of(s),
        .host = { s, host_config, host_reload, host_quit, host_ready, host_reload_state,
                  host_has_feature },
        .engine = &s->engine,
        .clock = clock_real(),
        .external_url = serve_external_url(s),
        .listen_port = serve_port_of(flags_text(&s->flags, "web.listen-address")),
        .route_prefix = serve_prefix(s),
        .cors_origin = flags_text(&s->flags, "web.cors.origin"),
        .page_title = flags_text(&s->flags, "web.page-title"),
        .enable_admin = flags_bool(&s->flags, "web.enable-admin-api"),
        .enable_lifecycle = flags_bool(&s->flags, "web.enable-lifecycle"),
        .enable_remote_write = flags_bool(&s->flags, "web.enable-remote-write-receiver"),
        .enable_otlp = !s->as_prometheus || flags_bool(&s->flags, "web.enable-otlp-receiver"),
        .agent = flags_bool(&s->flags, "agent"),
        .as_prometheus = s->as_prometheus,
        .search_api = serve_feature_is_on(s, "search-api"),
        .search_limit_max = (size_t)MAX(flags_int(&s->flags, "web.search.max-limit"), INT64_C(0)),
        .query_timeout_ms = flags_ms(&s->flags, "query.timeout"),
        .start_ms = s->start_ms,
        .query_concurrency = (unsigned)flags_int(&s->flags, "query.max-concurrency"),
    };

    o.flags = shown_flags(s, &o.flag_count);
    o.retention_ms = serve_retention_ms(s, s->config);
    o.retention_bytes = flags_size(&s->flags, "storage.tsdb.retention.size");
    return prom_face_new(&p->face, &o, e);
}

static bool open_prometheus(struct server *s, struct err *e)
{
    struct serve_prometheus *p = s->prometheus = xcalloc(1, sizeof *p);
    struct ui_face_options ui = { .prefix = serve_prefix(s),
                                  .agent = flags_bool(&s->flags, "agent") };

    return make_face(s, p, e) && ui_face_new(&p->ui, &ui, e);
}

static void add_routes(void *ctx, struct http_server *http)
{
    struct server *s = ctx;

    prom_face_routes(s->prometheus->face, http);
    ui_face_routes(s->prometheus->ui, http);
    serve_add_routes(s, http);
}

static bool start_prometheus(struct server *s, struct err *e)
{
    struct serve_port port = {
        .flag = "web.listen-address",
        .routes = add_routes,
        .routes_ctx = s,
        .server_ctx = s->prometheus->face,
        .fallback = prom_face_fallback,
        .before = prom_face_before,
        .must = true,
        .all_loops = true,
    };

    return serve_open_port(s, &port, &s->prometheus->http, e);
}

static void stop_prometheus(struct server *s)
{
    if (s->prometheus->http)
        http_server_stop(s->prometheus->http);
}

static void close_prometheus(struct server *s)
{
    struct serve_prometheus *p = s->prometheus;

    http_server_close(p->http);
    ui_face_free(p->ui);
    prom_face_free(p->face);
    xfree(p);
}

const struct serve_part serve_prometheus_part = {
    .name = "prometheus",
    .open = open_prometheus,
    .start = start_prometheus,
    .stop = stop_prometheus,
    .close = close_prometheus,
};
