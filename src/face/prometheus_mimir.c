/*
 * prometheus_mimir.c - what Mimir tells of its tenants: limits, figures, HA pairs, cardinality.
 */
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant.h"
#include "base/map.h"
#include "base/sort.h"
#include "face/prometheus_priv.h"

enum { CARDINALITY_DEFAULT = 20, CARDINALITY_MAX = 500, CARDINALITY_LABELS_MAX = 100 };

static struct json_writer begin_json(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    return json_writer(http_body(x));
}

/* ---- limits ---- */

static void put_limit(void *ctx, const char *name, double v)
{
    json_key(ctx, str_c(name));
    json_double(ctx, v);
}

static void user_limits(struct http_exchange *x)
{
    struct limits_store *store = prom_face_of(x)->o.limits;
    OWNED(limits_doc_put) struct limits_doc *doc = store ? limits_store_doc(store) : NULL;
    struct limits none = { 0 };
    struct tenant_names names;

    if (!prom_tenants(x, &names))
        return;
    struct json_writer w = begin_json(x);
    json_object(&w);
    limits_each(doc ? limits_of(doc, names.v[0]) : &none, put_limit, &w);
    json_object_end(&w);
}

static void runtime_config(struct http_exchange *x)
{
    struct limits_store *store = prom_face_of(x)->o.limits;
    OWNED(limits_doc_put) struct limits_doc *doc = store ? limits_store_doc(store) : NULL;

    http_set_header(x, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    if (doc)
        buf_limits_doc(http_body(x), doc);
}

/* ---- figures ---- */

static void user_stats(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct intake_tenant_stats s = { 0 };
    bool answered;
    struct metrics_tenant *tenant = prom_tenant(x, &answered);

    if (answered)
        return;
    if (tenant && !intake_tenant_stats(f->o.intake, str_c(metrics_tenant_name(tenant)), &s))
        s.series = metrics_tenant_series(tenant);
    struct json_writer w = begin_json(x);
    json_object(&w);
    json_key_lit(&w, "ingestionRate");
    json_double(&w, s.samples_per_s);
    json_key_lit(&w, "numSeries");
    json_u64(&w, s.series);
    json_key_lit(&w, "APIIngestionRate");
    json_double(&w, s.samples_per_s);
    json_key_lit(&w, "RuleIngestionRate");
    json_double(&w, 0);
    json_object_end(&w);
}

static void ha_tracker(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct intake_replica *v;
    size_t n = intake_replicas(f->o.intake, &x->arena, &v);
    struct json_writer w = begin_json(x);

    json_object(&w);
    json_key_lit(&w, "elected");
    json_array(&w);
    for (size_t i = 0; i < n; i++) {
        OWNED(buf_fini) struct buf at = { 0 };
        buf_rfc3339_ms(&at, v[i].received_ms);
        json_object(&w);
        json_key_lit(&w, "userID");
        json_str(&w, v[i].tenant);
        json_key_lit(&w, "cluster");
        json_str(&w, v[i].cluster);
        json_key_lit(&w, "replica");
        json_str(&w, v[i].replica);
        json_key_lit(&w, "receivedAt");
        json_str(&w, buf_view(&at));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

/* ---- cardinality of active series ---- */

struct tally { // of one name and value
    struct str name, value;
    uint64_t series;
};

struct census {
    struct http_exchange *x;
    struct http_form form;
    struct prom_selectors selectors;
    struct series_view *view;
    struct series_set set;
    size_t limit;
    struct map map;
    VEC(struct tally) v;
};

static void census_fini(struct census *c)
{
    series_view_put(c->view);
    prom_selectors_fini(&c->selectors);
    map_fini(&c->map);
    vec_fini(&c->v);
}
OWN_DEFINE_FINI(struct census, census_fini)

static bool census_limit(struct census *c)
{
    struct str text = http_form_get(&c->form, STR("limit"));
    uint64_t n = CARDINALITY_DEFAULT;

    if (text.n && (!str_to_u64(text, &n) || n > CARDINALITY_MAX)) {
        prom_error(c->x, "bad_data",
                   arena_printf(&c->x->arena, "'limit' param cannot be greater than '%d'",
                                CARDINALITY_MAX));
        return false;
    }
    c->limit = n;
    return true;
}

// Selects the series with samples of the last hour. False: answered.
static bool census_begin(struct census *c, struct http_exchange *x)
{
    int64_t now_ms = clock_ms(prom_face_of(x)->o.clock);
    struct matcher any = { MATCH_NE, LABEL_NAME, STR_NONE, NULL };
    struct select_query q = {
        .matchers = &any, .matcher_count = 1, .min_ms = now_ms - MS_HOUR, .max_ms = now_ms + MS_HOUR
    };
    struct budget budget = prom_budget(x);
    struct err e;

    c->x = x;
    c->form = prom_form(x);
    if (!census_limit(c))
        return false;
    struct str selector = http_form_get(&c->form, STR("selector"));
    if (selector.n) {
        struct http_header match = { STR("match[]"), selector };
        struct http_form form = { &match, 1 };
        if (!prom_selectors(x, &form, "selector", &c->selectors))
            return false;
        q.matchers = c->selectors.v[0].root->selector.matchers;
        q.matcher_count = c->selectors.v[0].root->selector.matcher_count;
    }
    struct series_source *source = prom_source(x);
    if (!source)
        return false;
    if (source->open(source, q.min_ms, q.max_ms, &c->view, &e) &&
        c->view->ops->select(c->view, &q, &x->arena, &budget, &c->set, &e))
        return true;
    prom_error_of(x, &e);
    return false;
}

static bool tally_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct census *c = ctx;
    const struct label *l = key;

    return str_eq(l->name, c->v.v[index].name) && str_eq(l->value, c->v.v[index].value);
}

static void count_label(struct census *c, const struct label *l)
{
    uint64_t hash = hash_keyed(l->value) ^ hash_u64(hash_keyed(l->name));
    uint32_t i = map_find(&c->map, hash, tally_equal, c, l);

    if (i == MAP_NONE) {
        i = (uint32_t)c->v.n;
        map_add(&c->map, hash, i);
        *vec_push(&c->v) = (struct tally){ .name = l->name, .value = l->value };
    }
    c->v.v[i].series++;
}

static int by_name(const void *a, const void *b, void *ctx UNUSED)
{
    const struct tally *x = a, *y = b;
    int c = str_cmp(x->name, y->name);

    return c                       ? c
           : x->series < y->series ? 1
           : x->series > y->series ? -1
                                   : str_cmp(x->value, y->value);
}

static int by_size(const void *a, const void *b, void *ctx UNUSED)
{
    const struct tally *x = a, *y = b;

    return x->series < y->series ? 1 : x->series > y->series ? -1 : str_cmp(x->name, y->name);
}

// Counts all labels; the tallies then stand by name, most series first.
static void count_all(struct census *c)
{
    for (size_t i = 0; i < c->set.n; i++)
        for (size_t k = 0; k < c->set.v[i].labels.n; k++)
            count_label(c, &c->set.v[i].labels.v[k]);
    sort_stable(c->v.v, c->v.n, sizeof *c->v.v, by_name, NULL);
}

static void label_names(struct http_exchange *x)
{
    OWNED(census_fini) struct census c = { 0 };
    VEC(struct tally) names = { 0 }; // values per name

    if (!census_begin(&c, x))
        return;
    count_all(&c);
    for (size_t i = 0; i < c.v.n; i++) {
        if (!names.n || !str_eq(names.v[names.n - 1].name, c.v.v[i].name))
            *vec_push_in(&x->arena, &names) = (struct tally){ .name = c.v.v[i].name };
        names.v[names.n - 1].series++;
    }
    sort_stable(names.v, names.n, sizeof *names.v, by_size, NULL);
    struct json_writer w = begin_json(x);
    json_object(&w);
    json_key_lit(&w, "label_values_count_total");
    json_u64(&w, c.v.n);
    json_key_lit(&w, "label_names_count");
    json_u64(&w, names.n);
    json_key_lit(&w, "cardinality");
    json_array(&w);
    for (size_t i = 0; i < names.n && i < c.limit; i++) {
        json_object(&w);
        json_key_lit(&w, "label_name");
        json_str(&w, names.v[i].name);
        json_key_lit(&w, "label_values_count");
        json_u64(&w, names.v[i].series);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

// One label of the answer: its tallies are [from, to).
static void put_label(struct census *c, struct json_writer *w, struct str name)
{
    uint64_t series = 0;
    size_t from = 0, to;

    while (from < c->v.n && !str_eq(c->v.v[from].name, name))
        from++;
    for (to = from; to < c->v.n && str_eq(c->v.v[to].name, name); to++)
        series += c->v.v[to].series;
    json_object(w);
    json_key_lit(w, "label_name");
    json_str(w, name);
    json_key_lit(w, "label_values_count");
    json_u64(w, to - from);
    json_key_lit(w, "series_count");
    json_u64(w, series);
    json_key_lit(w, "cardinality");
    json_array(w);
    for (size_t i = from; i < to && i - from < c->limit; i++) {
        json_object(w);
        json_key_lit(w, "label_value");
        json_str(w, c->v.v[i].value);
        json_key_lit(w, "series_count");
        json_u64(w, c->v.v[i].series);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void label_values(struct http_exchange *x)
{
    OWNED(census_fini) struct census c = { 0 };
    struct str names[CARDINALITY_LABELS_MAX];
    size_t n = 0;

    if (!census_begin(&c, x))
        return;
    for (size_t i = 0; i < c.form.n && n < CARDINALITY_LABELS_MAX; i++)
        if (str_eq(c.form.v[i].name, STR("label_names[]")))
            names[n++] = c.form.v[i].value;
    if (!n) {
        prom_error(x, "bad_data", STR("'label_names[]' param is required"));
        return;
    }
    n = sort_strs_unique(names, n);
    count_all(&c);
    struct json_writer w = begin_json(x);
    json_object(&w);
    json_key_lit(&w, "series_count_total");
    json_u64(&w, c.set.n);
    json_key_lit(&w, "labels");
    json_array(&w);
    for (size_t i = 0; i < n; i++)
        put_label(&c, &w, names[i]);
    json_array_end(&w);
    json_object_end(&w);
}

static void active_series(struct http_exchange *x)
{
    OWNED(census_fini) struct census c = { 0 };

    if (!census_begin(&c, x))
        return;
    struct json_writer w = begin_json(x);
    json_object(&w);
    json_key_lit(&w, "data");
    json_array(&w);
    for (size_t i = 0; i < c.set.n; i++) {
        prom_json_labels(&w, c.set.v[i].labels);
        if (!prom_reply_flush(x))
            return;
    }
    json_array_end(&w);
    json_object_end(&w);
}

void prom_routes_mimir(struct prom_face *f, struct http_server *s)
{
    if (f->o.as_prometheus)
        return;
    prom_route(f, s, "GET", "/api/v1/user_limits", user_limits);
    prom_route(f, s, "GET", "/api/v1/user_stats", user_stats);
    prom_route(f, s, "GET", "/runtime_config", runtime_config);
    prom_route(f, s, "GET", "/distributor/ha_tracker", ha_tracker);
    prom_route(f, s, "GET POST", "/api/v1/cardinality/label_names", label_names);
    prom_route(f, s, "GET POST", "/api/v1/cardinality/label_values", label_values);
    prom_route(f, s, "GET POST", "/api/v1/cardinality/active_series", active_series);
}
