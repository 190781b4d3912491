// prometheus_targets.c - targets, their metadata, scrape pools, relabelling step by step.
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "base/vec.h"
#include "face/prometheus_priv.h"
#include "rules/alert_sender.h"

static void pair(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, str_c(key));
    json_str(w, value);
}

/* ---- targets ---- */

// host[:port] of a URL, brackets around the host kept; *at: where it begins.
static struct str authority_of(struct str url, size_t *at)
{
    size_t scheme = str_find(url, STR("://"));

    if (scheme == STR_NPOS)
        return STR_NONE;
    *at = scheme + 3;
    struct str rest = str_sub(url, *at, url.n);
    size_t end = 0;
    while (end < rest.n && !strchr("/?#", rest.p[end]))
        end++;
    return str_sub(rest, 0, end);
}

// Cuts the port off; p NULL: there was none.
static struct str cut_port(struct str *host)
{
    size_t colon = str_rfind_char(*host, ':'), bracket = str_rfind_char(*host, ']');

    if (colon == STR_NPOS || (bracket != STR_NPOS && bracket > colon))
        return STR_NONE;
    struct str port = str_sub(*host, colon + 1, host->n);
    host->n = colon;
    return port;
}

// The URL as others reach it: for targets on this host, the host of the external URL; for this
// server itself, all of the external URL but the path.
static struct str global_url(struct http_exchange *x, struct str url)
{
    static const char *const local[] = { "localhost", "127.0.0.1", "[::1]" };
    const struct prom_face *f = prom_face_of(x);
    struct str external = f->o.external_url;
    size_t at = 0, external_at = 0;
    struct str host = authority_of(url, &at), outside = authority_of(external, &external_at);
    struct str path = str_sub(url, at + host.n, url.n), port = cut_port(&host);
    bool is_local = false;

    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        is_local |= str_eq_c(host, local[i]);
    if (!is_local || !outside.n)
        return url;
    if (str_eq(port, f->o.listen_port))
        return arena_printf(&x->arena, "%.*s%.*s%.*s", (int)external_at, external.p, STRF(outside),
                            STRF(path));
    cut_port(&outside);
    return arena_printf(&x->arena, "%.*s%.*s%s%.*s%.*s", (int)at, url.p, STRF(outside),
                        port.n ? ":" : "", STRF(port), STRF(path));
}

static struct str zero_time(void)
{
    return STR("0001-01-01T00:00:00Z");
}

static void write_duration(struct json_writer *w, const char *key, int64_t ms)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_duration(&b, ms);
    pair(w, key, buf_view(&b));
}

static void write_active(struct http_exchange *x, struct json_writer *w,
                         const struct scrape_target_info *t)
{
    static const char *const health[] = { "unknown", "up", "down" };
    OWNED(buf_fini) struct buf time = { 0 };

    if (t->last_scrape_ns)
        buf_rfc3339_ns(&time, t->last_scrape_ns);
    else
        buf_str(&time, zero_time());
    json_object(w);
    json_key_lit(w, "discoveredLabels");
    prom_json_labels(w, t->discovered);
    json_key_lit(w, "labels");
    prom_json_labels(w, t->labels);
    pair(w, "scrapePool", t->pool);
    pair(w, "scrapeUrl", t->url);
    pair(w, "globalUrl", global_url(x, t->url));
    pair(w, "lastError", t->last_error);
    pair(w, "lastScrape", buf_view(&time));
    json_key_lit(w, "lastScrapeDuration");
    json_double(w, (double)t->last_duration_ns / 1e9);
    pair(w, "health", str_c(health[t->health]));
    write_duration(w, "scrapeInterval", t->interval_ms);
    write_duration(w, "scrapeTimeout", t->timeout_ms);
    json_object_end(w);
}

static void write_actives(struct http_exchange *x, struct json_writer *w,
                          const struct scrape_info *info, struct str pool)
{
    for (size_t i = 0; i < info->n; i++)
        for (size_t k = 0;
             (!pool.n || str_eq(pool, info->pools[i].name)) && k < info->pools[i].active_n; k++)
            write_active(x, w, &info->pools[i].active[k]);
}

static void write_dropped(struct json_writer *w, const struct scrape_info *info, struct str pool)
{
    for (size_t i = 0; i < info->n; i++) {
        const struct scrape_pool_info *p = &info->pools[i];
        for (size_t k = 0; (!pool.n || str_eq(pool, p->name)) && k < p->dropped_n; k++) {
            json_object(w);
            json_key_lit(w, "discoveredLabels");
            prom_json_labels(w, p->dropped[k].discovered);
            pair(w, "scrapePool", p->name);
            json_object_end(w);
        }
    }
}

static void write_dropped_counts(struct json_writer *w, const struct scrape_info *info)
{
    json_object(w);
    for (size_t i = 0; i < info->n; i++) {
        json_key(w, info->pools[i].name);
        json_u64(w, info->pools[i].dropped_count);
    }
    json_object_end(w);
}

static void targets(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct http_form form = prom_form(x);
    struct scrape_info info = { 0 };
    struct str state = http_form_get(&form, STR("state")),
               pool = http_form_get(&form, STR("scrapePool"));
    bool any = !state.n || str_eq_nocase(state, STR("any"));
    bool active = any || str_eq_nocase(state, STR("active"));
    bool dropped = any || str_eq_nocase(state, STR("dropped"));
    if (f->o.scraper)
        scraper_info(f->o.scraper, &x->arena, &info);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "activeTargets");
    json_array(&w);
    if (active)
        write_actives(x, &w, &info, pool);
    json_array_end(&w);
    json_key_lit(&w, "droppedTargets");
    json_array(&w);
    if (dropped)
        write_dropped(&w, &info, pool);
    json_array_end(&w);
    json_key_lit(&w, "droppedTargetCounts");
    if (dropped)
        write_dropped_counts(&w, &info);
    else
        json_null(&w);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
    prom_config_put(info.config);
}

static void scrape_pools(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct scrape_info info = { 0 };

    if (f->o.scraper)
        scraper_info(f->o.scraper, &x->arena, &info);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "scrapePools");
    json_array(&w);
    for (size_t i = 0; i < info.n; i++)
        json_str(&w, info.pools[i].name);
    json_array_end(&w);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
    prom_config_put(info.config);
}

/* ---- metadata ---- */

static const char *type_text(enum metric_type t)
{
    return metric_type_name(t);
}

static bool number_param(struct http_exchange *x, const struct http_form *form, const char *name,
                         int64_t *out)
{
    struct str s = http_form_get(form, str_c(name));

    *out = -1;
    if (!s.n || str_to_i64(s, out))
        return true;
    prom_error(x, "bad_data", arena_printf(&x->arena, "%s must be a number", name));
    return false;
}

static void targets_metadata(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(promql_fini) struct promql q = { 0 };
    struct scrape_meta *meta = NULL;
    struct http_form form = prom_form(x);
    struct err e;
    int64_t limit;
    size_t n = 0;

    struct str metric = http_form_get(&form, STR("metric")),
               match = http_form_get(&form, STR("match_target"));
    if (!number_param(x, &form, "limit", &limit))
        return;
    if (match.n && !promql_parse_selector(&x->arena, match, &q, &e)) {
        prom_bad_parameter(x, "match_target", str_c(e.text));
        return;
    }
    if (f->o.scraper)
        scraper_meta(f->o.scraper, metric, &x->arena, &meta, &n);
    struct json_writer w = prom_reply_begin(x);
    json_array(&w);
    for (size_t i = 0; i < n && limit != 0; i++) {
        if (q.root && !matchers_match(q.root->selector.matchers, q.root->selector.matcher_count,
                                      meta[i].target))
            continue;
        json_object(&w);
        json_key_lit(&w, "target");
        prom_json_labels(&w, meta[i].target);
        if (!metric.n)
            pair(&w, "metric", meta[i].meta.name);
        pair(&w, "type", str_c(type_text(meta[i].meta.type)));
        pair(&w, "help", meta[i].meta.help);
        pair(&w, "unit", meta[i].meta.unit);
        json_object_end(&w);
        limit -= limit > 0;
    }
    json_array_end(&w);
    prom_reply_end(x, &w, NULL);
}

static int meta_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct scrape_meta *)a)->meta.name,
                   ((const struct scrape_meta *)b)->meta.name);
}

static bool same_meta(const struct metric_meta *a, const struct metric_meta *b)
{
    return a->type == b->type && str_eq(a->help, b->help) && str_eq(a->unit, b->unit);
}

static void write_metas(struct json_writer *w, const struct scrape_meta *meta, size_t n,
                        int64_t per_metric)
{
    json_key(w, meta[0].meta.name);
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = same_meta(&meta[i].meta, &meta[k].meta);
        if (seen || per_metric == 0)
            continue;
        json_object(w);
        pair(w, "type", str_c(type_text(meta[i].meta.type)));
        pair(w, "unit", meta[i].meta.unit);
        pair(w, "help", meta[i].meta.help);
        json_object_end(w);
        per_metric -= per_metric > 0;
    }
    json_array_end(w);
}

typedef VEC(struct scrape_meta) meta_vec;
struct meta_collect {
    struct arena *a;
    meta_vec v;
    struct str metric;
};

// Metadata that came by remote write.
static void collect_meta(void *ctx, const struct metric_meta *m)
{
    struct meta_collect *c = ctx;

    if (c->metric.n && !str_eq(c->metric, m->name))
        return;
    *vec_push_in(c->a, &c->v) = (struct scrape_meta){ .meta = { arena_str(c->a, m->name), m->type,
                                                                arena_str(c->a, m->help),
                                                                arena_str(c->a, m->unit) } };
}

static void metadata(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct meta_collect c = { .a = &x->arena };
    struct scrape_meta *scraped = NULL;
    struct http_form form = prom_form(x);
    int64_t limit, per_metric;
    size_t n = 0;
    bool answered;

    if (!number_param(x, &form, "limit", &limit) ||
        !number_param(x, &form, "limit_per_metric", &per_metric))
        return;
    struct metrics_tenant *tenant = prom_tenant(x, &answered);
    if (answered)
        return;
    per_metric = per_metric == 0 ? -1 : per_metric; // 0 is no limit here, and only here
    c.metric = http_form_get(&form, STR("metric"));
    if (f->o.scraper && tenant == f->o.tenant) // what is scraped is that one's
        scraper_meta(f->o.scraper, c.metric, &x->arena, &scraped, &n);
    for (size_t i = 0; i < n; i++)
        *vec_push_in(&x->arena, &c.v) = scraped[i];
    if (tenant)
        metrics_meta_each(tenant, collect_meta, &c);
    sort_stable(c.v.v, c.v.n, sizeof *c.v.v, meta_order, NULL);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    for (size_t i = 0, end; i < c.v.n && limit != 0; i = end, limit -= limit > 0) {
        for (end = i + 1; end < c.v.n && str_eq(c.v.v[end].meta.name, c.v.v[i].meta.name);)
            end++;
        write_metas(&w, c.v.v + i, end - i, per_metric);
    }
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

/* ---- relabelling, step by step ---- */

static bool bad_labels(struct http_exchange *x, struct str why)
{
    prom_error(x, "bad_data", arena_printf(&x->arena, "error parsing labels: %.*s", STRF(why)));
    return false;
}

// Go's words for a value of the wrong kind.
static bool wrong_kind(struct http_exchange *x, enum json_kind kind, const char *wanted)
{
    static const char *const words[] = { [JSON_BOOL] = "bool",
                                         [JSON_NUMBER] = "number",
                                         [JSON_STRING] = "string",
                                         [JSON_ARRAY] = "array",
                                         [JSON_OBJECT] = "object" };

    return bad_labels(x,
                      arena_printf(&x->arena, "json: cannot unmarshal %s into Go value of type %s",
                                   words[kind], wanted));
}

static bool read_label_object(struct http_exchange *x, struct str text, struct labels_builder *b)
{
    struct json_value *v = NULL;
    struct err e;

    if (!json_parse(&x->arena, text, &v, &e)) {
        // Go's words for the commonest mistakes.
        struct str at = str_trim(text);
        if (!at.n || at.p[0] == '{')
            return bad_labels(x, STR("unexpected end of JSON input"));
        return bad_labels(x, arena_printf(&x->arena,
                                          "invalid character '%c' looking for beginning of value",
                                          at.p[0]));
    }
    labels_builder_reset(b, (struct labels){ 0 });
    if (v->kind == JSON_NULL)
        return true;
    if (v->kind != JSON_OBJECT)
        return wrong_kind(x, v->kind, "map[string]string");
    for (uint32_t i = 0; i < v->n; i++) {
        const struct json_value *value = v->members[i].value;
        if (value->kind == JSON_STRING)
            labels_builder_set(b, v->members[i].key, value->s);
        else if (value->kind != JSON_NULL)
            return wrong_kind(x, value->kind, "string");
    }
    return true;
}

static void write_rule(struct json_writer *w, const struct conf_relabel *c)
{
    json_object(w);
    if (c->source_labels.n) {
        json_key_lit(w, "source_labels");
        json_array(w);
        for (size_t i = 0; i < c->source_labels.n; i++)
            json_str(w, c->source_labels.v[i]);
        json_array_end(w);
    }
    pair(w, "separator", c->separator);
    pair(w, "regex", c->regex.n ? c->regex : RELABEL_REGEX);
    if (c->modulus) {
        json_key_lit(w, "modulus");
        json_u64(w, c->modulus);
    }
    if (c->target_label.n)
        pair(w, "target_label", c->target_label);
    if (c->replacement.n)
        pair(w, "replacement", c->replacement);
    pair(w, "action", c->action);
    json_object_end(w);
}

static void write_steps(struct http_exchange *x, struct json_writer *w,
                        const struct conf_scrape *job, struct labels_builder *b)
{
    bool kept = true;

    json_key_lit(w, "steps");
    json_array(w);
    for (size_t i = 0; i < job->relabel_configs.n; i++) {
        kept = kept && relabel_apply(&job->relabel[i], 1, b, &x->arena);
        json_object(w);
        json_key_lit(w, "rule");
        write_rule(w, job->relabel_configs.v[i]);
        json_key_lit(w, "output");
        prom_json_labels(w, kept ? labels_builder_view(b) : (struct labels){ 0 });
        json_key_lit(w, "keep");
        json_bool(w, kept);
        json_object_end(w);
    }
    json_array_end(w);
}

static void relabel_steps(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    OWNED(prom_config_put) struct prom_config *c = f->o.host.config(f->o.host.ctx);
    const struct conf_scrape *job = NULL;
    struct http_form form = prom_form(x);

    struct str pool = http_form_get(&form, STR("scrapePool")),
               text = http_form_get(&form, STR("labels"));
    if (!pool.n || !text.n) {
        prom_error(x, "bad_data",
                   pool.n ? STR("no labels parameter provided")
                          : STR("no scrapePool parameter provided"));
        return;
    }
    if (!read_label_object(x, text, &b))
        return;
    for (size_t i = 0; c && i < c->doc.scrape_configs.n; i++)
        if (str_eq(((const struct conf_scrape *)c->doc.scrape_configs.v[i])->job_name, pool))
            job = c->doc.scrape_configs.v[i];
    if (!job) {
        prom_error(x, "bad_data",
                   arena_printf(&x->arena,
                                "error retrieving scrape config: scrape pool \"%.*s\" not found",
                                STRF(pool)));
        return;
    }
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    write_steps(x, &w, job, &b);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

/* ---- alertmanagers ---- */

static void write_managers(struct json_writer *w, const char *key, const struct str *url, size_t n)
{
    json_key(w, str_c(key));
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        json_object(w);
        pair(w, "url", url[i]);
        json_object_end(w);
    }
    json_array_end(w);
}

static void alertmanagers(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct alert_sender_info info = { 0 };

    if (prom_refuse_agent(x))
        return;
    if (f->o.alerts)
        alert_sender_info(f->o.alerts, &x->arena, &info);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    write_managers(&w, "activeAlertmanagers", info.active, info.active_n);
    write_managers(&w, "droppedAlertmanagers", info.dropped, info.dropped_n);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void pool_config(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(prom_config_put) struct prom_config *c = f->o.host.config(f->o.host.ctx);
    OWNED(buf_fini) struct buf text = { 0 };
    struct http_form form = prom_form(x);

    struct str pool = http_form_get(&form, STR("scrapePool"));
    if (!pool.n) {
        prom_error(x, "bad_data", STR("no scrapePool parameter provided"));
        return;
    }
    for (size_t i = 0; c && i < c->doc.scrape_configs.n; i++) {
        const struct conf_scrape *job = c->doc.scrape_configs.v[i];
        if (str_eq(job->job_name, pool))
            prom_config_print_scrape(&text, job);
    }
    if (!text.n) {
        pool = prom_quote(&x->arena, pool);
        prom_error(x, "bad_data",
                   arena_printf(&x->arena,
                                "error retrieving scrape config: scrape pool %.*s not found",
                                STRF(pool)));
        return;
    }
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    pair(&w, "yaml", buf_view(&text));
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

void prom_routes_targets(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/api/v1/targets", targets);
    prom_route(f, s, "GET", "/api/v1/targets/metadata", targets_metadata);
    prom_route(f, s, "GET", "/api/v1/targets/relabel_steps", relabel_steps);
    prom_route(f, s, "GET", "/api/v1/scrape_pools", scrape_pools);
    prom_route(f, s, "GET", "/api/v1/scrape_pools/config", pool_config);
    prom_route(f, s, "GET", "/api/v1/metadata", metadata);
    prom_route(f, s, "GET", "/api/v1/alertmanagers", alertmanagers);
}
