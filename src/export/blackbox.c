// blackbox.c - the blackbox exporter: modules, probes, what is remembered of them, its pages.
// SPDX-License-Identifier: Apache-2.0
#include "export/blackbox.h"

#include <math.h>

#include "base/mem.h"
#include "base/metric.h"
#include "base/thread.h"
#include "export/blackbox_priv.h"

enum { HISTORY_USUAL = 100, TIMEOUT_USUAL_S = 120 };

struct result { // of one probe; owned by the history
    int64_t id;
    struct str module, target, text;
    bool success;
    struct arena arena;
};

struct results {
    struct result **v;
    size_t n;
};

struct blackbox {
    struct exporter base;
    struct export_blackbox_options o;
    char *path; // NULL: built in
    struct dialer *dialer;
    struct http_tls *usual_tls;
    struct mutex mu;
    struct blackbox_config *config; // under mu
    struct results last, failed;    // under mu; oldest first; failed: fell out of last
    int64_t next_id;                // under mu
    struct metric *reload_ok, *reload_time, *unknown_module;
};

/* ---- history ---- */

static void result_free(struct result *r)
{
    if (!r)
        return;
    arena_fini(&r->arena);
    xfree(r);
}

// Appends; what falls out at the front is returned.
static struct result *push(struct results *s, size_t max, struct result *r)
{
    struct result *out = NULL;

    if (s->n == max) {
        out = s->v[0];
        memmove(s->v, s->v + 1, --s->n * sizeof *s->v);
    }
    s->v[s->n++] = r;
    return out;
}

static void remember(struct blackbox *b, const struct probe *p, struct str text, bool success)
{
    struct result *r = xcalloc(1, sizeof *r);

    r->module = arena_str(&r->arena, p->module->name);
    r->target = arena_str(&r->arena, p->target);
    r->text = arena_str(&r->arena, text);
    r->success = success;
    LOCKED(&b->mu);
    r->id = b->next_id++;
    struct result *old = push(&b->last, b->o.history_max, r);
    if (old && !old->success)
        old = push(&b->failed, b->o.history_max, old);
    result_free(old);
}

// By id, or by target and perhaps module; under mu.
static const struct result *find_in(const struct results *s, int64_t id, struct str target,
                                    struct str module)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct result *r = s->v[i];
        if (id >= 0 ? r->id == id
                    : str_eq(r->target, target) && (!module.n || str_eq(r->module, module)))
            return r;
    }
    return NULL;
}

/* ---- a probe ---- */

static const struct {
    const char *name;
    probe_fn run;
} probers[] = {
    [BLACKBOX_HTTP] = { "http", probe_http },
    [BLACKBOX_TCP] = { "tcp", probe_tcp },
    [BLACKBOX_DNS] = { "dns", probe_dns },
    [BLACKBOX_ICMP] = { "icmp", probe_icmp },
    [BLACKBOX_GRPC] = { "grpc", probe_grpc },
    [BLACKBOX_UNIX] = { "unix", probe_unix },
    [BLACKBOX_WEBSOCKET] = { "websocket", probe_websocket },
};

// As upstream: the scraper's patience less the offset, and never more than the module's timeout.
static double timeout_of(const struct blackbox *b, const struct export_request *q,
                         const struct blackbox_module *m)
{
    double asked = q->timeout_s > 0 ? q->timeout_s : TIMEOUT_USUAL_S;
    double most = asked - b->o.timeout_offset_s, own = (double)m->timeout_ms / 1000;

    if ((own > 0 && own < most) || most < 0)
        return own;
    return most;
}

static void debug_text(const struct probe *p, struct str metrics, struct buf *out)
{
    buf_lit(out, "Logs for the probe:\n");
    buf_str(out, buf_view(&p->log));
    buf_lit(out, "\n\n\nMetrics that would have been returned:\n");
    buf_str(out, metrics);
    buf_lit(out, "\n\n\nModule configuration:\n");
    blackbox_module_print(out, p->module);
}

static bool run_probe(struct probe *p, double timeout, int64_t begin, struct buf *page)
{
    struct expo_writer w = expo_writer(EXPO_TEXT, page);

    probe_info(p, "Beginning probe", KV("probe", probers[p->module->prober].name),
               KV_F64("timeout_seconds", timeout));
    bool ok = probers[p->module->prober].run(p);
    double seconds = probe_seconds_since(begin);
    if (ok)
        probe_info(p, "Probe succeeded", KV_F64("duration_seconds", seconds));
    else
        probe_error(p, "Probe failed", KV_F64("duration_seconds", seconds));
    PROBE_GAUGE(p, "probe_success", "Displays whether or not the probe was a success", ok);
    PROBE_GAUGE(p, "probe_duration_seconds",
                "Returns how long the probe took to complete in seconds", seconds);
    PROBE_GAUGE(p, "probe_timeout_seconds", "Returns how long the probe timeout is in seconds",
                timeout);
    export_set_write(&p->set, &w);
    expo_write_end(&w);
    return ok;
}

static bool host_conflict(const struct blackbox_module *m, struct str hostname, struct err *e)
{
    for (size_t i = 0; hostname.n && i < m->http.headers.n; i++)
        if (str_eq_nocase(m->http.headers.v[i].key, STR("Host")) &&
            !str_eq(m->http.headers.v[i].value, hostname))
            return !err_set(e, ERR_INVALID,
                            "host header defined both in module configuration (%.*s) and with "
                            "URL-parameter 'hostname' (%.*s)",
                            STRF(m->http.headers.v[i].value), STRF(hostname));
    return false;
}

static bool check_request(struct blackbox *b, const struct export_request *q,
                          const struct blackbox_config *c, const struct blackbox_module **out,
                          struct err *e)
{
    struct str name = export_param(q, "module");

    if (!name.n)
        name = STR("http_2xx");
    *out = blackbox_config_find(c, name);
    if (!*out) {
        metric_add(b->unknown_module, 1);
        return err_set(e, ERR_INVALID, "Unknown module \"%.*s\"", STRF(name));
    }
    if (!export_param(q, "target").n)
        return err_set(e, ERR_INVALID, "Target parameter is missing");
    return !host_conflict(*out, export_param(q, "hostname"), e);
}

static bool answer_probe(struct exporter *x, const struct export_request *q, struct buf *out,
                         struct err *e)
{
    struct blackbox *b = (struct blackbox *)x;
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf page = { 0 }, debug = { 0 };
    struct probe p = {
        .dialer = b->dialer, .usual_tls = b->usual_tls, .a = &a, .set = { .a = &a }
    };

    mutex_lock(&b->mu);
    OWNED(blackbox_config_put) struct blackbox_config *c = blackbox_config_get(b->config);
    mutex_unlock(&b->mu);
    if (!check_request(b, q, c, &p.module, e))
        return false;
    double timeout = timeout_of(b, q, p.module);
    p.target = export_param(q, "target");
    p.hostname = export_param(q, "hostname");
    p.deadline_mono_ns = q->start_mono_ns + (int64_t)(timeout * 1e9);
    bool ok = run_probe(&p, timeout, clock_mono_ns(clock_real()), &page);
    debug_text(&p, buf_view(&page), &debug);
    remember(b, &p, buf_view(&debug), ok);
    buf_str(out,
            str_eq(export_param(q, "debug"), STR("true")) ? buf_view(&debug) : buf_view(&page));
    buf_fini(&p.log);
    export_set_fini(&p.set);
    return true;
}

/* ---- pages ---- */

static void show_results(const struct results *s, struct buf *out)
{
    for (size_t i = s->n; i-- > 0;) {
        const struct result *r = s->v[i];
        buf_lit(out, "<tr><td>");
        buf_html(out, r->module);
        buf_lit(out, "</td><td>");
        buf_html(out, r->target);
        buf_printf(out, "</td><td>%s</td><td><a href='logs?id=%lld'>Logs</a></td></tr>\n",
                   r->success ? "Success" : "<strong>Failure</strong>", (long long)r->id);
    }
}

static void show_front(struct blackbox *b, struct export_answer *out)
{
    out->content_type = "text/html; charset=utf-8";
    buf_lit(&out->body,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<title>Blackbox Exporter</title><style>body{font:16px/1.5 system-ui,sans-serif;"
            "margin:2em auto;max-width:60em;padding:0 1em}td,th{padding:.1em .8em;text-align:left}"
            "</style></head>\n<body><h1>Blackbox Exporter</h1>\n"
            "<p><a href=\"probe?target=localhost:9115&amp;module=http_2xx\">Probe this exporter "
            "for http_2xx</a></p>\n"
            "<p><a href=\"probe?target=localhost:9115&amp;module=http_2xx&amp;debug=true\">Debug "
            "it</a></p>\n<p><a href=\"metrics\">Metrics</a></p>\n"
            "<p><a href=\"config\">Configuration</a></p>\n<h2>Recent Probes</h2>\n"
            "<table><tr><th>Module</th><th>Target</th><th>Result</th><th>Debug</th></tr>\n");
    LOCKED(&b->mu);
    show_results(&b->last, &out->body);
    show_results(&b->failed, &out->body);
    buf_lit(&out->body, "</table></body></html>\n");
}

static void show_log(struct blackbox *b, const struct export_request *q, struct export_answer *out)
{
    struct str target = export_param(q, "target"), module = export_param(q, "module");
    int64_t id = -1;

    bool by_id = str_to_i64(export_param(q, "id"), &id) && id >= 0;
    if (by_id && target.n) {
        export_answer_error(out, 400, "Probe id and target can't be defined at the same time");
        return;
    }
    if (!by_id && !target.n) {
        export_answer_error(out, 400,
                            "Probe id or target must be defined as http query parameters");
        return;
    }
    if (!target.n && module.n) {
        export_answer_error(out, 400,
                            "Probe module filter only works in conjunction with target parameter");
        return;
    }
    LOCKED(&b->mu);
    const struct result *r = find_in(&b->failed, by_id ? id : -1, target, module);
    if (!r)
        r = find_in(&b->last, by_id ? id : -1, target, module);
    if (!r) {
        export_answer_error(out, 404, by_id ? "Probe id not found" : "Probe target not found");
        return;
    }
    out->content_type = "text/plain; charset=utf-8";
    buf_str(&out->body, r->text);
}

static bool answer_other(struct exporter *x, const struct export_request *q,
                         struct export_answer *out)
{
    struct blackbox *b = (struct blackbox *)x;

    if (str_eq(q->path, STR("/"))) {
        show_front(b, out);
    } else if (str_eq(q->path, STR("/logs"))) {
        show_log(b, q, out);
    } else if (str_eq(q->path, STR("/config"))) {
        out->content_type = "text/plain; charset=utf-8";
        LOCKED(&b->mu);
        blackbox_config_print(&out->body, b->config);
    } else if (str_eq(q->path, STR("/-/healthy"))) {
        out->content_type = "text/plain; charset=utf-8";
        buf_lit(&out->body, "Healthy");
    } else {
        return false;
    }
    return true;
}

/* ---- life ---- */

static bool reload(struct exporter *x, struct err *e)
{
    struct blackbox *b = (struct blackbox *)x;
    struct blackbox_config *c = NULL;
    bool ok = blackbox_config_load(&c, b->path, e);

    metric_set(b->reload_ok, ok);
    if (!ok)
        return false;
    metric_set(b->reload_time, (double)clock_ms(clock_real()) / 1000);
    mutex_lock(&b->mu);
    struct blackbox_config *old = b->config;
    b->config = c;
    mutex_unlock(&b->mu);
    blackbox_config_put(old);
    return true;
}

static void close_blackbox(struct exporter *x)
{
    struct blackbox *b = (struct blackbox *)x;
    struct results *all[] = { &b->last, &b->failed };

    for (size_t k = 0; k < ARRAY_LEN(all); k++) {
        for (size_t i = 0; i < all[k]->n; i++)
            result_free(all[k]->v[i]);
        xfree(all[k]->v);
    }
    dialer_close(b->dialer);
    http_tls_free(b->usual_tls);
    blackbox_config_put(b->config);
    mutex_fini(&b->mu);
    xfree(b->path);
    xfree(b);
}

static const struct exporter_class class = {
    .name = "blackbox_exporter",
    .title = "Blackbox Exporter",
    .probe_path = "/probe",
    .probe = answer_probe,
    .other = answer_other,
    .reload = reload,
    .close = close_blackbox,
};

bool export_blackbox_open(struct exporter **out, const struct export_blackbox_options *o,
                          struct err *e)
{
    OWNED(exporter_close) struct exporter *x = xcalloc(1, sizeof(struct blackbox));
    struct blackbox *b = (struct blackbox *)x;

    x->class = &class;
    x->may_reload = true;
    mutex_init(&b->mu, "blackbox", RANK_APP);
    b->o = *o;
    b->o.history_max = MAX(o->history_max ? o->history_max : HISTORY_USUAL, (size_t)1);
    b->last.v = xcalloc(b->o.history_max, sizeof *b->last.v);
    b->failed.v = xcalloc(b->o.history_max, sizeof *b->failed.v);
    b->path = o->config_path ? xstrdup_str(str_c(o->config_path)) : NULL;
    b->reload_ok = metric_plain("blackbox_exporter_config_last_reload_successful",
                                "Blackbox exporter config loaded successfully.", METRIC_GAUGE);
    b->reload_time = metric_plain("blackbox_exporter_config_last_reload_success_timestamp_seconds",
                                  "Timestamp of the last successful configuration reload.",
                                  METRIC_GAUGE);
    b->unknown_module = metric_plain("blackbox_module_unknown_total",
                                     "Count of unknown modules requested by probes",
                                     METRIC_COUNTER);
    if (!http_tls_new(&b->usual_tls, &(struct tls_client_options){ 0 }, e) ||
        !dialer_open(&b->dialer,
                     &(struct dialer_options){
                         .allow = o->allow, .allow_count = o->allow_count, .threads = 16 },
                     e) ||
        !reload(x, e))
        return false;
    *out = TAKE(x);
    return true;
}
