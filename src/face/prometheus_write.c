/*
 * prometheus_write.c - the remote-write receiver, protocols 1.0 and 2.0.
 *
 * Series are resolved by a keyed hash of their raw label bytes; labels are decoded only
 * for series not seen before. One request is one batch: acknowledged when the log has it.
 * What is wrong with one series concerns that series: on Prometheus's path 1.0 drops what has
 * impossible labels in silence, as there; 2.0, and the paths of Mimir and Cortex, say so.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "codec/compress.h"
#include "face/prometheus_priv.h"
#include "model/prompb.h"

enum { WRITE_BODY_MAX = 32 << 20, WRITE_INFLATED_MAX = 128 << 20 };

struct receiver {
    struct http_exchange *x;
    struct prom_face *f;
    struct intake_batch *batch;
    struct str tenant;
    struct prompb_write w;
    enum prompb_version version;
    enum compress_codec codec;
    bool strict;             // a path of Mimir: everything refused is said, success is 200
    VEC(uint32_t) first_row; // of each series, and the end
    struct buf body;
    struct intake_result result;
};

static void receiver_fini(struct receiver *r)
{
    intake_end(r->batch);
    prompb_write_fini(&r->w);
    vec_fini(&r->first_row);
    buf_fini(&r->body);
}
OWN_DEFINE_FINI(struct receiver, receiver_fini)

/* ---- series ---- */

static bool labels_are_good(struct labels ls)
{
    return labels_get(ls, LABEL_NAME).n && labels_are_valid(ls, false);
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

// The ref of a series that is not known. key: NULL when it has none. False: dropped, rows and all.
static NOINLINE bool resolve(struct receiver *r, const struct prompb_series *s,
                             const struct hash128 *key, struct series_ref *out)
{
    struct arena *a = &r->x->arena;
    bool silent = r->version == PROMPB_WRITE_1 && !r->strict;
    struct labels ls;
    struct err e;

    if (key && intake_find(r->batch, *key, out)) // there since a moment ago, or all is refused
        return true;
    if (!prompb_series_labels(&r->w, s, a, &ls, &e)) {
        if (!silent)
            intake_refuse(r->batch, INTAKE_INVALID, s->samples + s->histograms,
                          labels_problem(a, s, &e));
        return false;
    }
    if (silent && !labels_are_good(ls))
        return false;
    (void)intake_series(r->batch, ls, key, out); // refused: its rows are counted
    return true;
}

static void add_histograms(struct receiver *r, const struct prompb_series *s, struct series_ref ref)
{
    for (size_t i = 0; i < s->histograms; i++) {
        struct prompb_histogram h;
        struct err e;
        if (!prompb_histogram(&r->x->arena, s->histogram[i], &h, &e)) {
            intake_refuse(r->batch, INTAKE_INVALID, 1, str_c(e.text));
            continue;
        }
        intake_histogram(r->batch, ref, h.t_ms, h.h);
        intake_start(r->batch, h.start_ms);
    }
}

static void add_exemplars(struct receiver *r, const struct prompb_series *s, struct series_ref ref)
{
    for (size_t i = 0; i < s->exemplars; i++) {
        struct exemplar x;
        struct err e; // an exemplar that cannot be read costs nothing but itself
        if (prompb_exemplar(&r->w, s->exemplar[i], &r->x->arena, &x, &e))
            intake_exemplar(r->batch, ref, &x);
    }
}

static void add_meta(struct receiver *r, const struct prompb_series *s)
{
    struct metric_meta meta = { 0 };
    struct labels ls;
    struct err e;
    uint64_t key;

    if (prompb_series_meta_key(&r->w, s, intake_seed(r->batch), &key) &&
        intake_meta_is_known(r->batch, key))
        return;
    if (!prompb_series_meta(&r->w, s, &meta, &e) ||
        !prompb_series_labels(&r->w, s, &r->x->arena, &ls, &e))
        return;
    meta.name = labels_get(ls, LABEL_NAME);
    if (meta.type != TYPE_UNKNOWN || meta.help.n || meta.unit.n)
        intake_meta(r->batch, &meta);
}

static void add_series(struct receiver *r, const struct prompb_series *s, const struct hash128 *key,
                       struct series_ref ref)
{
    struct arena_mark mark = arena_mark(&r->x->arena);

    *vec_push(&r->first_row) = (uint32_t)intake_rows(r->batch);
    if (LIKELY(ref.generation) || resolve(r, s, key, &ref)) {
        for (size_t i = 0; i < s->samples; i++) {
            intake_float(r->batch, ref, s->sample[i].t_ms, s->sample[i].value);
            if (UNLIKELY(s->sample[i].start_ms))
                intake_start(r->batch, s->sample[i].start_ms);
        }
        if (UNLIKELY(s->histograms))
            add_histograms(r, s, ref);
        if (UNLIKELY(s->exemplars))
            add_exemplars(r, s, ref);
    }
    if (s->metadata.p)
        add_meta(r, s);
    arena_release(&r->x->arena, mark);
}

static void add_block(struct receiver *r, const struct prompb_series *s, size_t n)
{
    struct hash128 key[PROMPB_BLOCK] = { 0 };
    struct series_ref ref[PROMPB_BLOCK];
    uint64_t seed = intake_seed(r->batch), keyed = 0;

    static_assert((int)PROMPB_BLOCK <= (int)APPEND_FIND_MAX && PROMPB_BLOCK <= 64, "bits of keyed");
    for (size_t i = 0; i < n; i++)
        keyed |= (uint64_t)prompb_series_key(&r->w, &s[i], seed, &key[i]) << i;
    intake_find_many(r->batch, key, n, ref);
    for (size_t i = 0; i < n; i++) {
        bool has_key = keyed >> i & 1;
        add_series(r, &s[i], has_key ? &key[i] : NULL, has_key ? ref[i] : (struct series_ref){ 0 });
    }
}

// Reads the whole request into the batch. False: malformed, nothing may be stored.
static bool read_request(struct receiver *r, struct err *e)
{
    struct prompb_series s[PROMPB_BLOCK];
    struct metric_meta meta;
    int got;

    if (!prompb_write_begin(&r->w, r->version, buf_view(&r->body), e))
        return false;
    while ((got = prompb_write_block(&r->w, s, e)) > 0)
        add_block(r, s, (size_t)got);
    *vec_push(&r->first_row) = (uint32_t)intake_rows(r->batch);
    while (got == 0 && r->version == PROMPB_WRITE_1 &&
           (got = prompb_write_next_meta(&r->w, &meta, e)) == 1) {
        intake_meta(r->batch, &meta);
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
static struct existing existing_value(struct receiver *r, struct prompb_write *w,
                                      const struct prompb_series *s, int64_t t_ms)
{
    OWNED(series_view_put) struct series_view *view = NULL;
    struct metrics_tenant *tenant = metrics_tenant_find(r->f->o.metrics, r->tenant);
    struct budget budget = { 0 };
    struct existing x = { 0 };
    struct series_set set;
    struct labels ls;
    struct err e;

    if (!tenant || !prompb_series_labels(w, s, &r->x->arena, &ls, &e))
        return x;
    struct series_source *source = metrics_source(tenant);
    if (!source->open(source, t_ms, t_ms, &view, &e))
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

static struct str duplicate_text(struct receiver *r, struct prompb_write *w,
                                 const struct prompb_series *s, size_t i)
{
    struct existing x = { 0 };
    char before[NUM_TEXT_MAX], now[NUM_TEXT_MAX];

    if (i < s->samples)
        x = existing_value(r, w, s, s->sample[i].t_ms);
    if (!x.found)
        return STR("duplicate sample for timestamp");
    size_t n = num_format_g(x.value, before), k = num_format_g(s->sample[i].value, now);
    return arena_printf(
        &r->x->arena,
        "duplicate sample for timestamp %lld; overrides not allowed: existing %.*s, new value %.*s",
        (long long)s->sample[i].t_ms, (int)n, before, (int)k, now);
}

// A row that only clashes with an accepted row of the same request and series is dropped in
// silence, as upstream.
static bool clashes_within(const struct prompb_series *s, const uint8_t *status, size_t i)
{
    for (size_t k = i; i < s->samples && k-- > 0;)
        if (status[k] == APPEND_OK && s->sample[k].t_ms >= s->sample[i].t_ms)
            return true;
    return false;
}

// The first refusal among the rows of one series that the sender must hear of; n 0: none.
static struct str judge_series(struct receiver *r, struct prompb_write *w,
                               const struct prompb_series *s, uint32_t number)
{
    uint32_t from = r->first_row.v[number], to = r->first_row.v[number + 1];
    const uint8_t *status = r->result.row_status + from;

    for (size_t i = 0; i < to - from; i++) {
        enum append_status why = (enum append_status)status[i];

        if (why == APPEND_OK || ((why == APPEND_OUT_OF_ORDER || why == APPEND_DUPLICATE) &&
                                 clashes_within(s, status, i)))
            continue;
        return why == APPEND_DUPLICATE ? duplicate_text(r, w, s, i)
                                       : str_c(append_status_text(why));
    }
    return STR_NONE;
}

// Rows know no series: the request is read once more to say what is wrong with which.
static struct str judge_rows(struct receiver *r)
{
    OWNED(prompb_write_fini) struct prompb_write again = { 0 };
    struct str problem = STR_NONE;
    struct prompb_series s;
    struct err e;

    if (!prompb_write_begin(&again, r->version, buf_view(&r->body), &e))
        return problem;
    for (uint32_t i = 0; !problem.n && prompb_write_next(&again, &s, &e) == 1; i++)
        if (r->first_row.v[i] < r->first_row.v[i + 1])
            problem = judge_series(r, &again, &s, i);
    return problem;
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
    r->codec = COMPRESS_SNAPPY;
    if (str_eq_nocase(encoding, STR("zstd")) && !r->f->o.as_prometheus)
        r->codec = COMPRESS_ZSTD; // as VictoriaMetrics's agent sends it
    else if (encoding.n && !str_eq_nocase(encoding, STR("snappy")))
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

static void count_headers(struct receiver *r)
{
    count_header(r->x, "Samples", r->result.samples);
    count_header(r->x, "Histograms", r->result.histograms);
    count_header(r->x, "Exemplars", r->result.exemplars);
}

// Rows refused for their times are upstream's to word, and some of them to keep silent about.
static void answer(struct receiver *r)
{
    const struct intake_result *result = &r->result;
    struct str text = result->text;
    int status = result->status;

    if (status == 400 && !result->refused[INTAKE_LABELS] && !result->refused[INTAKE_INVALID]) {
        text = judge_rows(r);
        status = text.n ? 400 : result->refused[INTAKE_REPLICA] ? 202 : 200;
    }
    if (r->version == PROMPB_WRITE_2)
        count_headers(r);
    if (result->retry_after_s)
        http_set_header(r->x, STR("Retry-After"),
                        arena_printf(&r->x->arena, "%d", result->retry_after_s));
    if (status != 200)
        prom_plain_error(r->x, status, text);
    else
        http_status(r->x, r->strict ? 200 : 204);
}

// A request of which nothing was stored.
static void fail(struct receiver *r, int status, struct str text)
{
    if (r->version == PROMPB_WRITE_2)
        count_headers(r);
    if (status == 429 || status == 503)
        http_set_header(r->x, STR("Retry-After"), STR("5"));
    prom_plain_error(r->x, status, text);
}

static void write_request_to(struct http_exchange *x, bool strict)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(receiver_fini) struct receiver r = { .x = x, .f = f, .strict = strict };
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
    if (!intake_tenant_of(f->o.intake, &x->req, &r.tenant, &e) ||
        !intake_begin(f->o.intake, &(struct intake_request){ .tenant = r.tenant }, &r.batch, &e)) {
        fail(&r, intake_error_status(&e), str_c(e.text));
        return;
    }
    if (!x->req.body.n || !compress_inflate(r.codec, x->req.body, &limits, &r.body, &e)) {
        prom_plain_error(x, 400,
                         r.codec == COMPRESS_SNAPPY ? STR("s2: corrupt input")
                                                    : STR("zstd: corrupt input"));
        return;
    }
    if (!read_request(&r, &e)) {
        fail(&r, 400, str_c(e.text));
        return;
    }
    intake_commit(r.batch, &r.result);
    answer(&r);
}

static void write_request(struct http_exchange *x)
{
    write_request_to(x, false);
}

static void push_request(struct http_exchange *x)
{
    write_request_to(x, true);
}

void prom_routes_write(struct prom_face *f, struct http_server *s)
{
    static const struct {
        const char *path;
        http_handler_fn handle;
    } routes[] = { { "/api/v1/write", write_request },
                   { "/api/v1/push", push_request },     // Mimir
                   { "/api/prom/push", push_request } }; // Cortex

    for (size_t i = 0; i < (f->o.as_prometheus ? 1 : ARRAY_LEN(routes)); i++)
        prom_route_with(f, s,
                        &(struct http_route){ .method = "POST",
                                              .path = routes[i].path,
                                              .handle = routes[i].handle,
                                              .pool = f->write_pool,
                                              .body_max = WRITE_BODY_MAX });
}
