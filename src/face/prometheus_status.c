// prometheus_status.c - what the server says of itself: status/*, notifications, management.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "base/metric.h"
#include "config/schema.h"
#include "face/prometheus_priv.h"

static void pair(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, str_c(key));
    json_str(w, value);
}

static void status_config(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(prom_config_put) struct prom_config *c = f->o.host.config(f->o.host.ctx);
    OWNED(buf_fini) struct buf text = { 0 };

    if (c) {
        struct conf_retention r = *c->doc.storage.tsdb->retention;
        if (f->o.retention_ms) // a flag wins over the file: the effective value is shown
            r.time_ms = f->o.retention_ms;
        prom_config_print_with(&text, c, &r,
                               f->o.host.has_feature(f->o.host.ctx, "exemplar-storage"));
    }
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    pair(&w, "yaml", buf_view(&text));
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void status_flags(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct json_writer w = prom_reply_begin(x);

    json_object(&w);
    for (size_t i = 0; i < f->o.flag_count; i++)
        pair(&w, f->o.flags[i].name, f->o.flags[i].value);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static struct str time_text(struct http_exchange *x, int64_t ms)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_rfc3339_ns(&b, ms * NS_MS);
    return arena_str(&x->arena, buf_view(&b));
}

static struct str retention_text(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(buf_fini) struct buf b = { 0 };

    if (f->o.retention_ms)
        buf_duration(&b, f->o.retention_ms);
    if (f->o.retention_bytes) {
        if (b.n)
            buf_lit(&b, " or ");
        buf_conf_size(&b, f->o.retention_bytes);
    }
    return arena_str(&x->arena, buf_view(&b));
}

static void status_runtimeinfo(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    char dir[4096] = "", host[256] = "";
    bool ok = true;
    int64_t at_ms = 0;
    struct metrics_stats stats = { 0 };

    f->o.host.reload_state(f->o.host.ctx, &ok, &at_ms);
    if (f->o.metrics)
        metrics_stats(f->o.metrics, &stats);
    (void)!getcwd(dir, sizeof dir);
    gethostname(host, sizeof host - 1);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    pair(&w, "startTime", time_text(x, f->o.start_ms));
    pair(&w, "CWD", str_c(dir));
    pair(&w, "hostname", str_c(host));
    pair(&w, "serverTime", time_text(x, clock_ms(f->o.clock)));
    json_key_lit(&w, "reloadConfigSuccess");
    json_bool(&w, ok);
    pair(&w, "lastConfigTime", time_text(x, at_ms / 1000 * 1000));
    json_key_lit(&w, "corruptionCount");
    json_u64(&w, stats.corruptions);
    // Go's figures have no meaning here; clients expect the keys.
    json_key_lit(&w, "goroutineCount");
    json_i64(&w, (int64_t)pool_threads(f->pool) + pool_threads(f->write_pool));
    json_key_lit(&w, "GOMAXPROCS");
    json_i64(&w, sysconf(_SC_NPROCESSORS_ONLN));
    json_key_lit(&w, "GOMEMLIMIT");
    json_i64(&w, (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    pair(&w, "GOGC", STR(""));
    pair(&w, "GODEBUG", STR(""));
    pair(&w, "storageRetention", retention_text(x));
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void write_build(struct json_writer *w)
{
    json_object(w);
    pair(w, "version", STR(PROM_VERSION));
    pair(w, "revision", STR("vigie-" VIGIE_VERSION));
    pair(w, "branch", STR(""));
    pair(w, "buildUser", STR(""));
    pair(w, "buildDate", STR(""));
    pair(w, "goVersion", STR("none"));
    json_object_end(w);
}

static void status_buildinfo(struct http_exchange *x)
{
    struct json_writer w = prom_reply_begin(x);

    write_build(&w);
    prom_reply_end(x, &w, NULL);
}

static void version(struct http_exchange *x)
{
    struct json_writer w = json_writer(http_body(x));

    http_set_header(x, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    write_build(&w);
    buf_char(http_body(x), '\n');
}

/* ---- the store ---- */

static void write_top(struct json_writer *w, const char *key, const struct metrics_top *v, size_t n)
{
    json_key(w, str_c(key));
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        json_object(w);
        pair(w, "name", v[i].name);
        json_key_lit(w, "value");
        json_u64(w, v[i].value);
        json_object_end(w);
    }
    json_array_end(w);
}

static bool tsdb_limit(struct http_exchange *x, size_t *out)
{
    struct http_form form = prom_form(x);
    int64_t v = 10;

    struct str s = http_form_get(&form, STR("limit"));
    if (s.n && (!str_to_i64(s, &v) || v < 1)) {
        prom_error(x, "bad_data", STR("limit must be a positive number"));
        return false;
    }
    if (v > 10000) {
        prom_error(x, "bad_data", STR("limit must not exceed 10000"));
        return false;
    }
    *out = (size_t)v;
    return true;
}

static void status_tsdb(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct metrics_cardinality c = { 0 };
    struct metrics_stats stats;
    struct err e;
    size_t limit;
    bool answered;

    if (prom_refuse_agent(x) || !tsdb_limit(x, &limit))
        return;
    struct metrics_tenant *tenant = prom_tenant(x, &answered);
    if (answered)
        return;
    if (tenant && !metrics_cardinality(tenant, limit, &x->arena, &c, &e)) {
        prom_error_of(x, &e);
        return;
    }
    metrics_stats(f->o.metrics, &stats);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "headStats");
    json_object(&w);
    json_key_lit(&w, "numSeries");
    json_u64(&w, c.series);
    json_key_lit(&w, "numLabelPairs");
    json_u64(&w, c.label_pairs);
    json_key_lit(&w, "chunkCount");
    json_u64(&w, c.series + stats.parts);
    json_key_lit(&w, "minTime");
    json_i64(&w, stats.min_ms);
    json_key_lit(&w, "maxTime");
    json_i64(&w, stats.max_ms);
    json_object_end(&w);
    write_top(&w, "seriesCountByMetricName", c.by_metric, c.by_metric_n);
    write_top(&w, "labelValueCountByLabelName", c.by_label, c.by_label_n);
    write_top(&w, "memoryInBytesByLabelName", c.bytes_by_label, c.bytes_by_label_n);
    write_top(&w, "seriesCountByLabelValuePair", c.by_pair, c.by_pair_n);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void status_blocks(struct http_exchange *x)
{
    if (prom_refuse_agent(x))
        return;
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "blocks"); // there are none: parts are not Prometheus's blocks
    json_array(&w);
    json_array_end(&w);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void status_walreplay(struct http_exchange *x)
{
    static const char *const keys[] = { "min", "max", "current" };
    struct json_writer w = prom_reply_begin(x);

    http_set_header(x, STR("Vary"), STR("Origin")); // as upstream: not compressed either

    json_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_key(&w, str_c(keys[i]));
        json_i64(&w, 0); // the server answers only when replay is done
    }
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

/* ---- self metrics as ProtoJSON ---- */

struct self_writer {
    struct json_writer *w;
    struct regex *pattern;
    struct str family;
    bool open;
};

static void close_family(struct self_writer *s)
{
    if (!s->open)
        return;
    json_array_end(s->w);
    json_object_end(s->w);
    s->open = false;
}

static void write_self_histogram(struct json_writer *w, const struct metric_sample *m)
{
    uint64_t sum = 0;

    json_key_lit(w, "histogram");
    json_object(w);
    OWNED(buf_fini) struct buf count = { 0 };
    buf_u64(&count, m->count);
    pair(w, "sampleCount", buf_view(&count));
    json_key_lit(w, "sampleSum");
    json_double(w, m->value);
    json_key_lit(w, "bucket");
    json_array(w);
    for (size_t i = 0; i < m->bound_count; i++) {
        OWNED(buf_fini) struct buf text = { 0 };
        buf_u64(&text, sum += m->counts[i]);
        json_object(w);
        pair(w, "cumulativeCount", buf_view(&text));
        json_key_lit(w, "upperBound");
        json_double(w, m->bounds[i]);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_self(void *ctx, const struct metric_sample *m)
{
    static const char *const types[] = { "COUNTER", "GAUGE", "HISTOGRAM", "SUMMARY" };
    struct self_writer *s = ctx;
    struct json_writer *w = s->w;

    if (s->pattern && !regex_match(s->pattern, m->family))
        return;
    if (!s->open || !str_eq(s->family, m->family)) {
        close_family(s);
        json_object(w);
        pair(w, "name", m->family);
        pair(w, "help", m->help);
        pair(w, "type", str_c(types[m->kind]));
        json_key_lit(w, "metric");
        json_array(w);
        s->family = m->family;
        s->open = true;
    }
    json_object(w);
    if (m->label_count) {
        json_key_lit(w, "label");
        json_array(w);
        for (size_t i = 0; i < m->label_count; i++) {
            json_object(w);
            pair(w, "name", str_c(m->label_names[i]));
            pair(w, "value", m->label_values[i]);
            json_object_end(w);
        }
        json_array_end(w);
    }
    if (m->kind == METRIC_HISTOGRAM) {
        write_self_histogram(w, m);
    } else {
        json_key(w, m->kind == METRIC_COUNTER ? STR("counter") : STR("gauge"));
        json_object(w);
        json_key_lit(w, "value");
        json_double(w, m->value);
        json_object_end(w);
    }
    json_object_end(w);
}

static void status_self_metrics(struct http_exchange *x)
{
    OWNED(regex_free) struct regex *pattern = NULL;
    struct http_form form = prom_form(x);
    struct err e;

    struct str text = http_form_get(&form, STR("metric_name_pattern"));
    if (text.n && !regex_new(&pattern, text, REGEX_ANCHORED, &e)) {
        struct str words = str_c(e.text);
        size_t tick = str_find_char(words, '`');
        prom_error(x, "bad_data",
                   arena_printf(&x->arena, "invalid metric_name_pattern: %.*s`^(?:%.*s)$`",
                                (int)(tick == STR_NPOS ? words.n : tick), words.p, STRF(text)));
        return;
    }
    struct json_writer w = prom_reply_begin(x);
    struct self_writer s = { .w = &w, .pattern = pattern };
    json_array(&w);
    metric_each(write_self, &s);
    close_family(&s);
    json_array_end(&w);
    prom_reply_end(x, &w, NULL);
}

/* ---- notifications ---- */

static void notifications(struct http_exchange *x)
{
    struct json_writer w = prom_reply_begin(x);

    json_array(&w);
    json_array_end(&w);
    http_set_header(x, STR("Vary"), STR("Origin"));
    prom_reply_end(x, &w, NULL);
}

// As upstream when it has its fill of subscribers: clients then ask for the list from time to time.
static void notifications_live(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Type"), STR("text/event-stream"));
    http_set_header(x, STR("Cache-Control"), STR("no-cache"));
    http_set_header(x, STR("Vary"), STR("Origin"));
    http_status(x, 204);
}

/* ---- management ---- */

static void healthy(struct http_exchange *x)
{
    http_text(x, 200,
              prom_face_of(x)->o.agent ? STR("Prometheus Agent is Healthy.\n")
                                       : STR("Prometheus Server is Healthy.\n"));
}

static void ready(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);

    if (!f->o.host.ready(f->o.host.ctx)) {
        http_set_header(x, STR("X-Prometheus-Stopping"), STR("false"));
        http_text(x, 503, STR("Service Unavailable"));
        return;
    }
    http_text(x, 200,
              f->o.agent ? STR("Prometheus Agent is Ready.\n")
                         : STR("Prometheus Server is Ready.\n"));
}

static bool lifecycle_allowed(struct http_exchange *x)
{
    if (prom_face_of(x)->o.enable_lifecycle)
        return true;
    http_text(x, 403, STR("Lifecycle API is not enabled."));
    return false;
}

static void reload(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct err e;

    if (!lifecycle_allowed(x))
        return;
    if (!f->o.host.reload(f->o.host.ctx, &e))
        prom_plain_error(x, 500, arena_printf(&x->arena, "failed to reload config: %s", e.text));
}

static void quit(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);

    if (!lifecycle_allowed(x))
        return;
    http_text(x, 200, STR("Requesting termination... Goodbye!"));
    f->o.host.quit(f->o.host.ctx);
}

static void only_post(struct http_exchange *x)
{
    http_text(x, 405, STR("Only POST or PUT requests allowed"));
}

void prom_routes_status(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/api/v1/status/config", status_config);
    prom_route(f, s, "GET", "/api/v1/status/flags", status_flags);
    prom_route(f, s, "GET", "/api/v1/status/runtimeinfo", status_runtimeinfo);
    prom_route(f, s, "GET", "/api/v1/status/buildinfo", status_buildinfo);
    prom_route(f, s, "GET", "/api/v1/status/tsdb", status_tsdb);
    prom_route(f, s, "GET", "/api/v1/status/tsdb/blocks", status_blocks);
    prom_route(f, s, "GET", "/api/v1/status/walreplay", status_walreplay);
    prom_route(f, s, "GET", "/api/v1/status/self_metrics", status_self_metrics);
    prom_route(f, s, "GET", "/api/v1/features", prom_features);
    prom_route(f, s, "GET", "/api/v1/notifications", notifications);
    prom_route(f, s, "GET", "/api/v1/notifications/live", notifications_live);
    prom_route(f, s, "GET HEAD", "/-/healthy", healthy);
    prom_route(f, s, "GET HEAD", "/-/ready", ready);
    prom_route(f, s, "POST PUT", "/-/reload", reload);
    prom_route(f, s, "GET", "/-/reload", only_post);
    prom_route(f, s, "POST PUT", "/-/quit", quit);
    prom_route(f, s, "GET", "/-/quit", only_post);
    prom_route(f, s, "GET", "/version", version);
}
