// prometheus_read.c - exemplars, remote read (samples and streamed chunks).
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/sort.h"
#include "base/vec.h"
#include "codec/compress.h"
#include "face/prometheus_priv.h"
#include "model/prompb.h"

enum { READ_BODY_MAX = 4 << 20, READ_INFLATED_MAX = 32 << 20 };

/* ---- exemplars ---- */

struct selector_list {
    struct http_exchange *x;
    VEC(const struct promql_node *) v;
};

static void take_selector(void *ctx, struct promql_node *n)
{
    struct selector_list *l = ctx;

    if (n->kind == PROMQL_SELECTOR)
        *vec_push_in(&l->x->arena, &l->v) = n;
}

static void write_exemplars(struct json_writer *w, const struct series_exemplars *s)
{
    json_object(w);
    json_key_lit(w, "seriesLabels");
    prom_json_labels(w, s->series);
    json_key_lit(w, "exemplars");
    json_array(w);
    for (size_t i = 0; i < s->n; i++) {
        json_object(w);
        json_key_lit(w, "labels");
        prom_json_labels(w, s->v[i].labels);
        json_key_lit(w, "value");
        prom_json_value(w, s->v[i].value);
        json_key_lit(w, "timestamp");
        prom_json_time(w, s->v[i].t_ms);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

typedef VEC(struct series_exemplars) exemplar_vec;

static int exemplars_order(const void *a, const void *b, void *ctx UNUSED)
{
    return labels_cmp(((const struct series_exemplars *)a)->series,
                      ((const struct series_exemplars *)b)->series);
}

static bool collect_exemplars(struct http_exchange *x, const struct selector_list *l,
                              struct series_view *view, int64_t min_ms, int64_t max_ms,
                              exemplar_vec *out)
{
    struct budget b = prom_budget(x);
    struct err e;

    for (size_t i = 0; i < l->v.n; i++) {
        struct select_query q = { .matchers = l->v.v[i]->selector.matchers,
                                  .matcher_count = l->v.v[i]->selector.matcher_count,
                                  .min_ms = min_ms,
                                  .max_ms = max_ms };
        struct series_exemplars *found;
        size_t n;
        if (!view->ops->exemplars(view, &q, &x->arena, &b, &found, &n, &e)) {
            prom_error_of(x, &e);
            return false;
        }
        for (size_t k = 0; k < n; k++)
            *vec_push_in(&x->arena, out) = found[k];
    }
    sort_stable(out->v, out->n, sizeof *out->v, exemplars_order, NULL);
    return true;
}

static void query_exemplars(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(series_view_put) struct series_view *view = NULL;
    struct selector_list l = { .x = x };
    exemplar_vec all = { 0 };
    struct prom_time start = PROM_TIME_MIN, end = PROM_TIME_MAX;
    struct err e;

    if (prom_refuse_agent(x))
        return;
    struct http_form form = prom_form(x);
    if (!prom_time_param(x, &form, "start", &start) || !prom_time_param(x, &form, "end", &end))
        return;
    if (prom_time_sub_ns(end, start) < 0) {
        prom_error(x, "bad_data", STR("end timestamp must not be before start timestamp"));
        return;
    }
    if (!promql_parse_with(&x->arena, http_form_get(&form, STR("query")), &f->o.engine->syntax, &q,
                           &e)) {
        prom_error(x, "bad_data", prom_parse_problem(&x->arena, &q, &e));
        return;
    }
    int64_t min_ms = prom_time_storage_ms(start), max_ms = prom_time_storage_ms(end);
    promql_walk(q.root, take_selector, &l);
    if (!l.v.n) {
        http_status(x, 204);
        return;
    }
    // Exemplars have times of their own: the series may be of any time.
    struct series_source *s = prom_source(x);
    if (!s)
        return;
    if (!s->open(s, prom_time_storage_ms(PROM_TIME_MIN), prom_time_storage_ms(PROM_TIME_MAX), &view,
                 &e)) {
        prom_error_of(x, &e);
        return;
    }
    if (!collect_exemplars(x, &l, view, min_ms, max_ms, &all))
        return;
    struct json_writer w = prom_reply_begin(x);
    json_array(&w);
    for (size_t i = 0; i < all.n; i++)
        if (!i || !labels_equal(all.v[i].series, all.v[i - 1].series))
            write_exemplars(&w, &all.v[i]);
    json_array_end(&w);
    prom_reply_end(x, &w, NULL);
}

/* ---- remote read ---- */

struct reader {
    struct http_exchange *x;
    struct budget budget;
    struct labels external;
    VEC(struct regex *) regexes;
    struct buf out;
    struct series_source *source;
    struct series_set *set;
    size_t query;
    bool streamed;
};

static void reader_fini(struct reader *r)
{
    for (size_t i = 0; i < r->regexes.n; i++)
        regex_free(r->regexes.v[i]);
    vec_fini(&r->regexes);
    buf_fini(&r->out);
}
OWN_DEFINE_FINI(struct reader, reader_fini)

// Labels with the external ones added where there are none of that name.
static struct labels with_external(struct arena *a, struct labels ls, struct labels external)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    if (!external.n)
        return ls;
    labels_builder_reset(&b, ls);
    for (size_t i = 0; i < external.n; i++)
        if (!labels_get(ls, external.v[i].name).n)
            labels_builder_set(&b, external.v[i].name, external.v[i].value);
    return labels_copy(a, labels_builder_view(&b));
}

/*
 * The query's matchers compiled, without equality matchers on external labels: stored series do not
 * have those, the answer does. *n counts what is left.
 */
static bool compile(struct reader *r, const struct prompb_query *q, struct matcher **out, size_t *n,
                    struct err *e)
{
    struct matcher *m = arena_array(&r->x->arena, q->matcher_count, struct matcher);

    *n = 0;
    for (size_t i = 0; i < q->matcher_count; i++) {
        const struct matcher *from = &q->matchers[i];
        struct str external = labels_get(r->external, from->name);
        if (from->op == MATCH_EQ && external.n && str_eq(external, from->value))
            continue;
        m[*n] = *from;
        if (from->op == MATCH_RE || from->op == MATCH_NRE) {
            struct regex *re = NULL;
            if (!regex_new(&re, from->value, REGEX_ANCHORED, e))
                return false;
            *vec_push(&r->regexes) = re;
            m[*n].re = re;
        }
        (*n)++;
    }
    *out = m;
    return true;
}

static bool put_series(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e)
{
    struct reader *r = ctx;
    struct labels ls = with_external(&r->x->arena, r->set->v[pos].labels, r->external);

    if (!r->streamed) {
        prompb_put_series(&r->out, 1, ls, s);
        return true;
    }
    if (!prompb_put_chunked(&r->out, (int64_t)r->query, ls, s, 0, e))
        return false;
    bool ok = http_write(r->x, buf_view(&r->out), e);
    buf_reset(&r->out);
    return ok;
}

static bool run_read(struct reader *r, const struct prompb_query *q, struct err *e)
{
    struct series_source *source = r->source;
    OWNED(series_view_put) struct series_view *view = NULL;
    struct select_query select = { .min_ms = q->min_ms, .max_ms = q->max_ms };
    struct series_set set;
    struct matcher *m;

    if (!compile(r, q, &m, &select.matcher_count, e) ||
        !source->open(source, q->min_ms, q->max_ms, &view, e))
        return false;
    select.matchers = m;
    if (!view->ops->select(view, &select, &r->x->arena, &r->budget, &set, e))
        return false;
    r->set = &set;
    size_t mark = r->streamed ? 0 : prompb_result_begin(&r->out);
    bool ok = view->ops->scan(view, &set,
                              &(struct scan_query){ .min_ms = q->min_ms, .max_ms = q->max_ms },
                              &r->budget, put_series, r, e);
    if (!r->streamed)
        prompb_result_end(&r->out, mark);
    return ok;
}

static void read_request(struct http_exchange *x)
{
    OWNED(reader_fini) struct reader r = { .x = x, .budget = prom_budget(x) };
    OWNED(buf_fini) struct buf body = { 0 };
    struct compress_limits limits = { .size_max = READ_INFLATED_MAX };
    struct prompb_read_request q = { 0 };
    struct err e;

    if (!x->req.body.n || !compress_inflate(COMPRESS_SNAPPY, x->req.body, &limits, &body, &e)) {
        prom_plain_error(x, 400, STR("snappy: corrupt input"));
        return;
    }
    if (!prompb_read_request(&x->arena, buf_view(&body), &q, &e)) {
        prom_plain_error(x, 400, str_c(e.text));
        return;
    }
    r.source = prom_source(x);
    if (!r.source)
        return;
    r.external = prom_external_labels(x);
    r.streamed = q.streamed;
    http_set_header(
        x, STR("Content-Type"),
        q.streamed ? STR("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")
                   : STR("application/x-protobuf"));
    if (!q.streamed)
        http_set_header(x, STR("Content-Encoding"), STR("snappy"));
    for (r.query = 0; r.query < q.queries; r.query++) {
        if (run_read(&r, &q.query[r.query], &e))
            continue;
        if (e.kind != ERR_CANCELLED)
            prom_plain_error(x, 500, str_c(e.text)); // a bad expression too, as upstream
        return;
    }
    if (!q.streamed)
        compress_all(COMPRESS_SNAPPY, 0, buf_view(&r.out), http_body(x));
}

void prom_routes_read(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET POST", "/api/v1/query_exemplars", query_exemplars);
    prom_route_with(f, s,
                    &(struct http_route){ .method = "POST",
                                          .path = "/api/v1/read",
                                          .handle = read_request,
                                          .pool = f->pool,
                                          .body_max = READ_BODY_MAX,
                                          .no_compress = true });
}
