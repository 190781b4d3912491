/*
 * serve.c - start, wiring, reload, shutdown.
 *
 * Start order: store → scraper → face → server; stop order is the reverse, so that
 * nothing calls what is gone. Signals are taken by one thread in sigwait().
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/serve.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/serve_priv.h"
#include "app/version.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "net/url.h"

// In the order of their start. The last one opens the main port, so that all is there when it does.
static const struct serve_part *const parts[] = { &serve_remote_write_part, &serve_intake_part,
                                                  &serve_otlp_part,         &serve_pushgateway_part,
                                                  &serve_lines_part,        &serve_rules_part,
                                                  &serve_prometheus_part,   &serve_export_part };

/* ---- configuration ---- */

// Bare start: this process and its host.
static const char bare_config[] = "global:\n"
                                  "  scrape_interval: 15s\n"
                                  "scrape_configs:\n"
                                  "- job_name: vigie\n"
                                  "  scheme: vigie\n"
                                  "  metrics_path: /self\n"
                                  "  static_configs:\n"
                                  "  - targets: ['%.*s']\n"
                                  "- job_name: node\n"
                                  "  scheme: vigie\n"
                                  "  metrics_path: /node\n"
                                  "  static_configs:\n"
                                  "  - targets: ['%.*s']\n";

static bool local_page(void *ctx, struct str url, int64_t timeout_ms, struct buf *out,
                       struct err *e)
{
    struct server *s = ctx;
    OWNED(arena_fini) struct arena a = { 0 };
    struct url u;

    if (!url_parse(&a, url, &u, e))
        return false;
    struct str path = u.path;
    if (str_eq(path, STR("/node")))
        return export_node_write(s->node, out, e);
    if (str_eq(path, STR("/self")))
        return export_self_write(EXPO_TEXT, NULL, out), true;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]->page && str_eq_c(path, parts[i]->page_path))
            return parts[i]->page(s, out, e);
    if (serve_export_has(path))
        return serve_export_page(s, &u, timeout_ms, out, e);
    return err_set(e, ERR_NOT_FOUND, "there is no page %.*s inside this process", STRF(path));
}

static bool load_bare(struct server *s, struct prom_config **out, struct err *e)
{
    char host[256] = "localhost";
    struct str listen = flags_text(&s->flags, "web.listen-address");

    gethostname(host, sizeof host - 1);
    if (str_starts(listen, STR(":")))
        listen = arena_printf(&s->arena, "localhost%.*s", STRF(listen));
    OWNED(buf_fini) struct buf text = { 0 };
    buf_printf(&text, bare_config, STRF(listen), STRF(str_c(host)));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]->bare)
            parts[i]->bare(s, &text);
    return prom_config_parse(buf_view(&text), "(built in)", NULL, out, e);
}

// Names every problem of the file on its line, as a compiler does.
static void show_problems(const struct prom_config *c, const char *path, const struct err *e)
{
    if (c && c->problem_count) {
        for (size_t i = 0; i < c->problem_count; i++) {
            const struct conf_problem *p = &c->problems[i];
            fprintf(stderr, "%s:%u:%u: %.*s%s%.*s\n", path, p->pos.line, p->pos.col, STRF(p->text),
                    p->hint.n ? "; " : "", STRF(p->hint));
        }
    } else if (e->pos.line) {
        fprintf(stderr, "%s:%u:%u: %s\n", path, e->pos.line, e->pos.col, e->text);
    } else {
        fprintf(stderr, "%s: %s\n", path, e->text);
    }
}

static void warn_unsupported(const struct prom_config *c)
{
    for (size_t i = 0; i < c->doc.scrape_configs.n; i++) {
        const struct conf_scrape *job = c->doc.scrape_configs.v[i];
        for (size_t k = 0; k < job->sd.other_n; k++)
            log_warn("config", "this service discovery is not yet supported: it finds no targets",
                     KV_STR("job", job->job_name), KV("key", job->sd.other[k].key));
    }
}

static bool load_config(struct server *s, struct prom_config **out, struct err *e)
{
    struct str path = flags_text(&s->flags, "config.file");
    struct prom_config_options o = { .agent = flags_bool(&s->flags, "agent") };

    if (!path.n)
        return load_bare(s, out, e);
    return prom_config_load(path.p, &o, out, e);
}

// Takes over the reference on success.
static bool apply_config(struct server *s, struct prom_config *c, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]->prepare && !parts[i]->prepare(s, c, e))
            return false;
    if (!scraper_apply(s->scraper, c, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]->apply)
            parts[i]->apply(s, c);
    warn_unsupported(c);
    mutex_lock(&s->mu);
    struct prom_config *old = s->config;
    s->config = c;
    s->reload_ok = true;
    s->reload_ms = clock_ms(clock_real());
    mutex_unlock(&s->mu);
    prom_config_put(old);
    metric_set(s->reload_success, 1);
    metric_set(s->reload_time, (double)s->reload_ms / 1000);
    return true;
}

bool serve_reload(struct server *s, struct err *e)
{
    struct prom_config *c = NULL;
    LOCKED(&s->reload_mu);

    log_info("app", "loading the configuration",
             KV_STR("file", flags_text(&s->flags, "config.file")));
    if (load_config(s, &c, e) && apply_config(s, c, e))
        return true;
    show_problems(c, flags_text(&s->flags, "config.file").p, e);
    log_error("app", "configuration refused, the old one stays", KV_ERR(e));
    prom_config_put(c);
    mutex_lock(&s->mu);
    s->reload_ok = false;
    mutex_unlock(&s->mu);
    metric_set(s->reload_success, 0);
    return false;
}

struct prom_config *serve_config(struct server *s)
{
    LOCKED(&s->mu);

    return s->config ? prom_config_get(s->config) : NULL;
}

/* ---- starting ---- */

const char *serve_data_path(struct server *s)
{
    struct str given = flags_text(&s->flags, "storage.tsdb.path");
    const char *xdg = getenv("XDG_DATA_HOME"), *state = getenv("STATE_DIRECTORY");

    if (flags_bool(&s->flags, "agent") && s->as_prometheus)
        return flags_text(&s->flags, "storage.agent.path").p;
    if (given.n)
        return given.p;
    if (state && *state) // set by systemd: /var/lib/vigie
        return state;
    if (xdg && *xdg)
        return arena_printf(&s->arena, "%s/vigie", xdg).p;
    return "data";
}

bool serve_has_feature(const struct server *s, struct str name)
{
    const struct flag_value *v = flags_get(&s->flags, "enable-feature");

    for (size_t i = 0; i < v->all.n; i++)
        for (struct str rest = v->all.v[i]; rest.n;)
            if (str_eq(str_cut(&rest, ','), name))
                return true;
    return false;
}

// What a flag says that Prometheus has and this program does always.
static bool is_always_on(const char *name)
{
    static const char *const names[] = { "exemplar-storage",
                                         "promql-binop-fill-modifiers",
                                         "promql-experimental-functions",
                                         "promql-extended-range-selectors",
                                         "promql-per-step-stats",
                                         "search-api" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

// As vigie everything there is is on; as prometheus what that program would have on.
bool serve_feature_is_on(const struct server *s, const char *name)
{
    return serve_has_feature(s, str_c(name)) || (!s->as_prometheus && is_always_on(name));
}

int64_t serve_retention_ms(const struct server *s, const struct prom_config *c)
{
    int64_t ms = flags_ms(&s->flags, "storage.tsdb.retention.time");

    if (!ms)
        ms = flags_ms(&s->flags, "storage.tsdb.retention");
    if (!ms && c)
        ms = c->doc.storage.tsdb->retention->time_ms;
    return ms ? ms : INT64_C(15) * MS_DAY;
}

static bool open_store(struct server *s, const struct prom_config *c, struct err *e)
{
    uint64_t size = flags_size(&s->flags, "storage.tsdb.retention.size");
    struct metrics_options o = {
        .path = serve_data_path(s),
        .retention_ms = serve_retention_ms(s, c),
        .retention_bytes = size ? size : c->doc.storage.tsdb->retention->size,
        .out_of_order_window_ms = c->doc.storage.tsdb->out_of_order_time_window_ms,
        .cache_bytes = flags_size(&s->flags, "storage.cache-size"),
        .exemplars_max = (uint64_t)MAX(c->doc.storage.exemplars->max_exemplars, INT64_C(0)),
        .sync_always = str_eq(flags_text(&s->flags, "storage.wal-sync"), STR("always")),
        .drop_passed = flags_bool(&s->flags, "agent"),
    };

    if (o.drop_passed) // no more than what is to be sent; the bound of the cursors is the same
        o.retention_ms = flags_ms(&s->flags, "storage.agent.retention.max-time");
    return metrics_open(&s->metrics, &o, e) &&
           metrics_tenant(s->metrics, STR("anonymous"), &s->tenant, e);
}

static void make_metrics(struct server *s)
{
    s->reload_success = metric_plain("prometheus_config_last_reload_successful",
                                     "Whether the last configuration reload succeeded.",
                                     METRIC_GAUGE);
    s->reload_time = metric_plain("prometheus_config_last_reload_success_timestamp_seconds",
                                  "When the configuration was last reloaded with success.",
                                  METRIC_GAUGE);
    s->ready_gauge = metric_plain(
        "prometheus_ready",
        "Whether Prometheus startup was fully completed and the server is ready for "
        "normal operation.",
        METRIC_GAUGE);
}

static void make_engine(struct server *s, const struct prom_config *c)
{
    s->engine = (struct query_engine){
        .lookback_delta_ms = flags_ms(&s->flags, "query.lookback-delta"),
        .subquery_step_ms = c->doc.global.evaluation_interval_ms,
        .samples_max = (uint64_t)flags_int(&s->flags, "query.max-samples"),
        .early_name_removal = !serve_has_feature(s, STR("promql-delayed-name-removal")),
        .per_step_stats = serve_feature_is_on(s, "promql-per-step-stats"),
        .no_start_times = s->as_prometheus && !serve_has_feature(s, STR("use-start-timestamps")),
        .type_and_unit_labels = serve_has_feature(s, STR("type-and-unit-labels")),
        .exact_numbers = s->as_prometheus,
        .syntax = {
            .no_experimental_functions = !serve_feature_is_on(s, "promql-experimental-functions"),
            .no_extended_selectors = !serve_feature_is_on(s, "promql-extended-range-selectors"),
            .no_fill_modifiers = !serve_feature_is_on(s, "promql-binop-fill-modifiers"),
            .no_old_functions = s->as_prometheus,
        },
        .clock = clock_real(),
    };
}

static bool open_core(struct server *s, struct prom_config *c, struct err *e)
{
    struct scraper_options scraper = {
        .user_agent = STR("Prometheus/" VERSION_PROMETHEUS),
        .zero_rows = serve_has_feature(s, STR("created-timestamp-zero-ingestion")),
        .start_times = serve_has_feature(s, STR("st-storage")),
        .local = local_page,
        .local_ctx = s,
    };

    if (!open_store(s, c, e) || !export_node_open(&s->node, &(struct export_node_options){ 0 }, e))
        return false;
    scraper.tenant = s->tenant;
    if (!scraper_start(&s->scraper, &scraper, e))
        return false;
    s->config = prom_config_get(c);
    make_engine(s, c);
    return true;
}

static bool start_parts(struct server *s, struct err *e)
{
    for (; s->opened < ARRAY_LEN(parts); s->opened++)
        if (parts[s->opened]->open && !parts[s->opened]->open(s, e))
            return s->opened++, false; // it is closed like the others
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]->start && !parts[i]->start(s, e))
            return false;
    return true;
}

static bool start(struct server *s, struct err *e)
{
    struct prom_config *c = NULL;
    struct str config_file = flags_text(&s->flags, "config.file");

    make_metrics(s);
    if (!load_config(s, &c, e)) {
        show_problems(c, config_file.p, e);
        prom_config_put(c);
        return false;
    }
    if (!open_core(s, c, e) || !start_parts(s, e) || !apply_config(s, c, e)) {
        prom_config_put(c);
        return false;
    }
    return true;
}

void serve_add_routes(struct server *s, struct http_server *http)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]->routes)
            parts[i]->routes(s, http);
}

/* ---- running and stopping ---- */

static void run(struct server *s, sigset_t *signals)
{
    for (;;) {
        int sig = 0;
        if (sigwait(signals, &sig) != 0)
            continue;
        if (sig == SIGHUP) {
            struct err e;
            (void)!serve_reload(s, &e); // it has logged why
        } else {
            log_info("app", "stopping", KV("signal", strsignal(sig)));
            return;
        }
    }
}

static void stop(struct server *s)
{
    for (size_t i = s->opened; i-- > 0;)
        if (parts[i]->stop)
            parts[i]->stop(s);
    scraper_stop(s->scraper);
    for (size_t i = s->opened; i-- > 0;)
        if (parts[i]->close)
            parts[i]->close(s);
    metrics_close(s->metrics);
    export_node_close(s->node);
    prom_config_put(s->config);
    flags_fini(&s->flags);
    arena_fini(&s->arena);
}

static void print_help(bool as_prometheus)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (as_prometheus)
        buf_lit(&b, "usage: prometheus [<flags>]\n\nvigie in the place of the Prometheus "
                    "monitoring server\n");
    else
        buf_lit(
            &b,
            "vigie watches: metrics today, in the place of Prometheus\n\n"
            "  vigie                                 watch this host, on http://127.0.0.1:9090\n"
            "  vigie --config.file=prometheus.yml    do what that Prometheus did\n"
            "  vigie check config|rules|metrics …    look at files before they are used\n"
            "  vigie query instant|range …           ask a running server\n"
            "  vigie test promql|rules FILE…         run tests\n");
    flags_help(&b, serve_flags, serve_flag_count);
    buf_lit(&b, "\nAll other flags of Prometheus 2.45 and 3.x are accepted.\n");
    fwrite(b.p, 1, b.n, stdout);
}

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL); // before threads start: all inherit it
    signal(SIGPIPE, SIG_IGN);
}

// Defaults that differ from ours: read when the program is called by that name.
static void prometheus_defaults(struct flags *f)
{
    static const struct {
        const char *name, *value;
    } defaults[] = { { "storage.tsdb.path", "data/" },
                     { "web.listen-address", "0.0.0.0:9090" },
                     { "web.enable-remote-write-receiver", "false" } };

    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        for (size_t k = 0; k < f->n; k++)
            if (!f->v[k].given && strcmp(f->v[k].flag->name, defaults[i].name) == 0)
                f->v[k].text = str_c(defaults[i].value);
}

static bool read_command_line(struct server *s, int argc, char **argv)
{
    struct err e;

    if (!flags_parse(&s->flags, serve_flags, serve_flag_count, argc, argv, &e)) {
        fprintf(stderr, "Error parsing command line arguments: %s\n%s: --help lists the flags\n",
                e.text, argv[0]);
        return false;
    }
    if (s->as_prometheus)
        prometheus_defaults(&s->flags);
    if (s->flags.args.n) {
        fprintf(
            stderr,
            "Error parsing command line arguments: unexpected %s\n%s: --help lists the commands\n",
            s->flags.args.v[0].p, argv[0]);
        return false;
    }
    if (!log_configure(flags_text(&s->flags, "log.level"), flags_text(&s->flags, "log.format"),
                       &e)) {
        fprintf(stderr, "Error parsing command line arguments: %s\n", e.text);
        return false;
    }
    return true;
}

int serve_main(int argc, char **argv, bool as_prometheus)
{
    static struct server s; // the one struct of globals: its threads outlive no function but main
    sigset_t signals;
    struct err e = { 0 };

    s.as_prometheus = as_prometheus;
    s.start_ms = clock_ms(clock_real());
    s.start_mono_ns = clock_mono_ns(clock_real());
    mutex_init(&s.mu, "server", RANK_LEAF);
    mutex_init(&s.reload_mu, "reload", 1);
    if (!read_command_line(&s, argc, argv))
        return 2;
    if (flags_bool(&s.flags, "help")) {
        print_help(as_prometheus);
        return 0;
    }
    if (flags_bool(&s.flags, "version")) {
        version_print(as_prometheus ? "prometheus" : "vigie");
        return 0;
    }
    mallopt(M_ARENA_MAX, 4); // memory of short-lived threads is shared, not kept apart
    fault_from_env();
    block_signals(&signals);
    if (!start(&s, &e)) {
        log_error("app", "not started", KV_ERR(&e));
        stop(&s);
        return 1;
    }
    atomic_store_explicit(&s.ready, true,
                          memory_order_release); // pairs with the face's host_ready()
    metric_set(s.ready_gauge, 1);
    log_info("app", "ready",
             KV_I64("start_ms", (clock_mono_ns(clock_real()) - s.start_mono_ns) / NS_MS),
             KV("data", serve_data_path(&s)));
    run(&s, &signals);
    stop(&s);
    return 0;
}
