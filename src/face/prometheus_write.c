/*
 * prometheus_write.c - the remote-write receiver, protocols 1.0 and 2.0.
 *
 * Series are resolved by a keyed hash of their raw label bytes; labels are decoded only
 * for series not seen before. One request is one batch: acknowledged when the log has it.
 * What is wrong with one series concerns that series: 1.0 drops it silently, 2.0 says so.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/rand.h"
#include "codec/compress.h"
#include "face/prometheus_priv.h"
#include "model/prompb.h"

enum { WRITE_BODY_MAX = 32 << 20, WRITE_INFLATED_MAX = 128 << 20 };

struct row_source { // whose row it is, for errors
    uint32_t series;
    int64_t t_ms;
    double value;
};

struct receiver {
    struct http_exchange *x;
    struct prom_face *f;
    struct append_batch *batch;
    struct prompb_write w;
    enum prompb_version version;
    VEC(struct row_source) rows;
    struct buf body;
    uint64_t samples, histograms, exemplars; // of the request
    struct str problem;                      // the first refusal that the sender must hear of
    int status;
};

static void receiver_fini(struct receiver *r)
{
    append_batch_free(r->batch);
    prompb_write_fini(&r->w);
    vec_fini(&r->rows);
    buf_fini(&r->body);
}
OWN_DEFINE_FINI(struct receiver, receiver_fini)

// The key of label hashes: of this process, set once.
static uint64_t alias_seed(void)
{
    static _Atomic uint64_t seed;
    uint64_t none = 0, fresh = rand_u64() | 1;

    atomic_compare_exchange_strong_explicit(&seed, &none, fresh, memory_order_relaxed,
                                            memory_order_relaxed);
    return none ? none : fresh;
}

static void problem(struct receiver *r, struct str text)
{
    if (!r->problem.p)
        r->problem = text;
}

/* ---- series ---- */

static bool labels_are_good(struct labels ls)
{
    if (!labels_get(ls, LABEL_NAME).n)
        return false;
    for (size_t i = 0; i < ls.n; i++)
        if (!ls.v[i].name.n || !str_is_utf8(ls.v[i].name) || !str_is_utf8(ls.v[i].value))
            return false;
    return true;
}

static struct str labels_problem(struct arena *a, const struct prompb_series *s,
                                 const struct err *e)
{
    OWNED(buf_fini) struct buf refs = { 0 };

    if (e->kind != ERR_NOT_FOUND)
        return arena_str(a, str_c(e->text));
    prompb_series_refs(s, &refs);
    return arena_printf(a, "parsing labels for series %.*s: %s", STRF(buf_view(&refs)), e->text);
}

// The ref of a series. False: the series is dropped.
static bool resolve(struct receiver *r, const struct prompb_series *s, struct series_ref *out)
{
    struct arena *a = &r->x->arena;
    struct hash128 key;
    struct labels ls;
    struct err e;
    bool keyed = prompb_series_key(&r->w, s, alias_seed(), &key);

    if (keyed && append_find(r->batch, key, out))
        return true;
    if (!prompb_series_labels(&r->w, s, a, &ls, &e)) {
        if (r->version == PROMPB_WRITE_2)
            problem(r, labels_problem(a, s, &e));
        return false;
    }
    if (!labels_are_good(ls)) {
        OWNED(buf_fini) struct buf text = { 0 };
        buf_lit(&text, "invalid metric name or labels, got ");
        buf_labels(&text, ls);
        if (r->version == PROMPB_WRITE_2)
            problem(r, arena_str(a, buf_view(&text)));
        return false;
    }
    if (!append_resolve(r->batch, ls, out, &e)) {
        problem(r, arena_str(a, str_c(e.text)));
        r->status = e.kind == ERR_LIMIT ? 429 : 503;
        return false;
    }
    if (keyed)
        append_alias(r->batch, key, *out);
    return true;
}

static void add_row(struct receiver *r, uint32_t series, int64_t t_ms, double v)
{
    *vec_push(&r->rows) = (struct row_source){ series, t_ms, v };
}

static void add_histograms(struct receiver *r, const struct prompb_series *s, struct series_ref ref,
                           uint32_t number)
{
    for (size_t i = 0; i < s->histograms; i++) {
        struct prompb_histogram h;
        struct err e;
        if (!prompb_histogram(&r->x->arena, s->histogram[i], &h, &e) ||
            !histogram_validate(h.h, &e)) {
            problem(r, arena_str(&r->x->arena, str_c(e.text)));
            continue;
        }
        append_histogram(r->batch, ref, h.t_ms, h.h);
        if (h.start_ms)
            append_start(r->batch, h.start_ms);
        add_row(r, number, h.t_ms, h.h->sum);
        r->histograms++;
    }
}

static void add_series(struct receiver *r, const struct prompb_series *s, uint32_t number)
{
    struct arena_mark mark = arena_mark(&r->x->arena);
    struct series_ref ref;

    if (!resolve(r, s, &ref))
        return;
    for (size_t i = 0; i < s->samples; i++) {
        append_float(r->batch, ref, s->sample[i].t_ms, s->sample[i].value);
        if (s->sample[i].start_ms)
            append_start(r->batch, s->sample[i].start_ms);
        add_row(r, number, s->sample[i].t_ms, s->sample[i].value);
    }
    r->samples += s->samples;
    add_histograms(r, s, ref, number);
    for (size_t i = 0; i < s->exemplars; i++) {
        struct exemplar x;
        struct err e; // an exemplar that cannot be read costs nothing but itself
        if (prompb_exemplar(&r->w, s->exemplar[i], &r->x->arena, &x, &e)) {
            append_exemplar(r->batch, ref, &x);
            r->exemplars++;
        }
    }
    if (!r->problem.p)
        arena_release(&r->x->arena, mark);
}

static void add_series_meta(struct receiver *r, const struct prompb_series *s)
{
    struct metric_meta meta = { 0 };
    struct labels ls;
    struct err e;

    if (!s->metadata.p || !prompb_series_meta(&r->w, s, &meta, &e) ||
        !prompb_series_labels(&r->w, s, &r->x->arena, &ls, &e))
        return;
    meta.name = labels_get(ls, LABEL_NAME);
    if (meta.name.n && (meta.type != TYPE_UNKNOWN || meta.help.n || meta.unit.n))
        metrics_meta_set(r->f->o.tenant, &meta);
}

// Reads the whole request into the batch. False: malformed, nothing may be stored.
static bool read_request(struct receiver *r, struct err *e)
{
    struct prompb_series s;
    struct metric_meta meta;
    uint32_t number = 0;
    int got;

    if (!prompb_write_begin(&r->w, r->version, buf_view(&r->body), e))
        return false;
    while ((got = prompb_write_next(&r->w, &s, e)) == 1) {
        add_series(r, &s, number++);
        if (r->version == PROMPB_WRITE_2)
            add_series_meta(r, &s);
    }
    while (got == 0 && r->version == PROMPB_WRITE_1 &&
           (got = prompb_write_next_meta(&r->w, &meta, e)) == 1) {
        if (meta.name.n)
            metrics_meta_set(r->f->o.tenant, &meta);
        got = 0;
    }
    return got == 0;
}

/* ---- what became of the rows ---- */

struct existing {
    double value;
    bool found;
};

static bool take_existing(void *ctx, uint32_t pos UNUSED, const struct series_samples *s,
                          struct err *e UNUSED)
{
    struct existing *x = ctx;

    if (s->n && !(s->hist && s->hist[0]))
        *x = (struct existing){ s->value[0], true };
    return true;
}

// The stored value that a duplicate met: for upstream's message only.
static struct existing existing_value(struct receiver *r, uint32_t number, int64_t t_ms)
{
    OWNED(prompb_write_fini) struct prompb_write again = { 0 };
    OWNED(series_view_put) struct series_view *view = NULL;
    struct series_source *source = metrics_source(r->f->o.tenant);
    struct budget budget = { 0 };
    struct existing x = { 0 };
    struct prompb_series s;
    struct series_set set;
    struct labels ls;
    struct err e;

    if (!prompb_write_begin(&again, r->version, buf_view(&r->body), &e))
        return x;
    for (uint32_t i = 0; i <= number; i++)
        if (prompb_write_next(&again, &s, &e) != 1)
            return x;
    if (!prompb_series_labels(&again, &s, &r->x->arena, &ls, &e) ||
        !source->open(source, t_ms, t_ms, &view, &e))
        return x;
    struct matcher *m = arena_array(&r->x->arena, ls.n, struct matcher);
    for (size_t i = 0; i < ls.n; i++)
        m[i] = (struct matcher){ MATCH_EQ, ls.v[i].name, ls.v[i].value, NULL };
    struct select_query q = {
        .matchers = m, .matcher_count = ls.n, .min_ms = t_ms, .max_ms = t_ms
    };
    if (view->ops->select(view, &q, &r->x->arena, &budget, &set, &e))
        (void)!view->ops->scan(view, &set, &(struct scan_query){ .min_ms = t_ms, .max_ms = t_ms },
                               &budget, take_existing, &x, &e);
    return x;
}

static struct str duplicate_text(struct receiver *r, const struct row_source *row)
{
    struct existing x = existing_value(r, row->series, row->t_ms);
    char before[NUM_TEXT_MAX], now[NUM_TEXT_MAX];
    size_t n = num_format_g(x.value, before), k = num_format_g(row->value, now);

    if (!x.found)
        return STR("duplicate sample for timestamp");
    return arena_printf(
        &r->x->arena,
        "duplicate sample for timestamp %lld; overrides not allowed: existing %.*s, new value %.*s",
        (long long)row->t_ms, (int)n, before, (int)k, now);
}

// Rows that only clash with an accepted row of the same request and series are dropped in silence, as upstream.
static bool clashes_within(const struct receiver *r, const uint8_t *status, size_t i)
{
    for (size_t k = i; k-- > 0 && r->rows.v[k].series == r->rows.v[i].series;)
        if (status[k] == APPEND_OK && r->rows.v[k].t_ms >= r->rows.v[i].t_ms)
            return true;
    return false;
}

static void judge_rows(struct receiver *r, const uint8_t *status)
{
    for (size_t i = 0; i < r->rows.n && !r->problem.p; i++) {
        if (status[i] == APPEND_OK)
            continue;
        if ((status[i] == APPEND_OUT_OF_ORDER || status[i] == APPEND_DUPLICATE) &&
            clashes_within(r, status, i))
            continue;
        problem(r, status[i] == APPEND_DUPLICATE
                       ? duplicate_text(r, &r->rows.v[i])
                       : str_c(append_status_text((enum append_status)status[i])));
    }
}

/* ---- the exchange ---- */

static bool refuse(struct http_exchange *x, int status, struct str text)
{
    prom_plain_error(x, status, text);
    return false;
}

// Content-Type and Content-Encoding; false: answered.
static bool read_headers(struct receiver *r)
{
    struct http_exchange *x = r->x;
    struct str type = http_header_get(&x->req, STR("Content-Type")), rest = type;
    struct str encoding = http_header_get(&x->req, STR("Content-Encoding"));
    struct str media = str_trim(str_cut(&rest, ';')), message = STR("prometheus.WriteRequest");

    if (type.n && !str_eq_nocase(media, STR("application/x-protobuf")))
        return refuse(
            x, 415,
            arena_printf(
                &x->arena,
                "expected application/x-protobuf as the first (media) part, got %.*s content-type",
                STRF(type)));
    while (rest.n) {
        struct str parameter = str_trim(str_cut(&rest, ';')), value = parameter;
        struct str name = str_cut(&value, '=');
        if (str_eq(str_trim(name), STR("proto")))
            message = str_trim(value);
    }
    if (str_eq(message, STR("io.prometheus.write.v2.Request")))
        r->version = PROMPB_WRITE_2;
    else if (str_eq(message, STR("prometheus.WriteRequest")))
        r->version = PROMPB_WRITE_1;
    else
        return refuse(
            x, 415,
            arena_printf(
                &x->arena,
                "got %.*s content type; unknown type for remote write protobuf message %.*s, "
                "supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
                STRF(type), STRF(message)));
    if (encoding.n && !str_eq_nocase(encoding, STR("snappy")))
        return refuse(x, 415,
                      arena_printf(&x->arena,
                                   "%.*s encoding (compression) is not accepted by this server; "
                                   "only snappy is acceptable",
                                   STRF(encoding)));
    return true;
}

static void count_header(struct http_exchange *x, const char *name, uint64_t n)
{
    http_set_header(x, arena_printf(&x->arena, "X-Prometheus-Remote-Write-%s-Written", name),
                    arena_printf(&x->arena, "%llu", (unsigned long long)n));
}

static void answer(struct receiver *r, bool stored)
{
    if (r->version == PROMPB_WRITE_2) {
        count_header(r->x, "Samples", stored ? r->samples : 0);
        count_header(r->x, "Histograms", stored ? r->histograms : 0);
        count_header(r->x, "Exemplars", stored ? r->exemplars : 0);
    }
    if (r->problem.p)
        prom_plain_error(r->x, r->status, r->problem);
    else
        http_status(r->x, 204);
    if (r->status == 503 || r->status == 429)
        http_set_header(r->x, STR("Retry-After"), STR("5"));
}

static void store(struct receiver *r)
{
    struct append_stats stats = { 0 };
    uint8_t *status = arena_array(&r->x->arena, r->rows.n + 1, uint8_t);
    struct err e;

    if (!append_commit(r->batch, &stats, status, &e)) {
        r->problem = arena_str(&r->x->arena, str_c(e.text));
        r->status = 503;
        answer(r, false);
        return;
    }
    judge_rows(r, status);
    answer(r, true);
}

static void write_request(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(receiver_fini) struct receiver r = { .x = x, .f = f, .status = 400 };
    struct compress_limits limits = { .size_max = WRITE_INFLATED_MAX };
    struct err e;

    if (!f->o.enable_remote_write) {
        prom_plain_error(x, 404,
                         STR("remote write receiver needs to be enabled with "
                             "--web.enable-remote-write-receiver"));
        return;
    }
    if (!read_headers(&r))
        return;
    if (!x->req.body.n || !compress_inflate(COMPRESS_SNAPPY, x->req.body, &limits, &r.body, &e)) {
        prom_plain_error(x, 400, STR("s2: corrupt input"));
        return;
    }
    r.batch = append_batch_new(f->o.tenant);
    if (!read_request(&r, &e)) {
        r.problem = arena_str(&x->arena, str_c(e.text));
        answer(&r, false);
        return;
    }
    store(&r);
}

static void otlp(struct http_exchange *x)
{
    if (prom_face_of(x)->o.enable_otlp)
        prom_plain_error(x, 501, STR("the OTLP receiver is not supported yet"));
    else
        prom_plain_error(
            x, 404, STR("otlp write receiver needs to be enabled with --web.enable-otlp-receiver"));
}

void prom_routes_write(struct prom_face *f, struct http_server *s)
{
    prom_route_with(f, s,
                    &(struct http_route){ .method = "POST",
                                          .path = "/api/v1/write",
                                          .handle = write_request,
                                          .pool = f->write_pool,
                                          .body_max = WRITE_BODY_MAX });
    prom_route_with(f, s,
                    &(struct http_route){ .method = "POST",
                                          .path = "/api/v1/otlp/v1/metrics",
                                          .handle = otlp,
                                          .body_max = WRITE_BODY_MAX });
}
