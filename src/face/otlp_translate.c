// otlp_translate.c - the walk over a request, its batches, and what became of it.
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp_translate.h"

#include "base/rand.h"
#include "face/otlp_delta.h"
#include "face/otlp_priv.h"

enum {
    BATCH_ROWS = 50000,
    TARGET_SAMPLES_MAX = 1000, // of target_info for one resource
};

#define SERVICE_NAME      STR("service.name")
#define SERVICE_NAMESPACE STR("service.namespace")
#define SERVICE_INSTANCE  STR("service.instance.id")

void otlp_options_set(struct otlp_options *o, const struct conf_otlp *c)
{
    struct str s = c->translation_strategy;

    o->namer.suffixes = str_ends(s, STR("WithSuffixes"));
    o->namer.utf8 = !str_starts(s, STR("UnderscoreEscaping"));
    o->namer.key_prefix = c->label_name_underscore_sanitization;
    o->namer.keep_underscores = c->label_name_preserve_multiple_underscores;
    o->promote_all = c->promote_all_resource_attributes;
    o->attributes = o->promote_all ? c->ignore_resource_attributes : c->promote_resource_attributes;
    o->keep_identifying = c->keep_identifying_resource_attributes;
    o->nhcb = c->convert_histograms_to_nhcb;
    o->promote_scope = c->promote_scope_metadata;
    rand_bytes(&o->number, sizeof o->number);
}

void otlp_reject(struct otlp_work *w, uint64_t n, struct str text)
{
    w->rejected += n;
    if (!w->text.p)
        w->text = arena_str(w->result, text);
}

/* ---- batches ---- */

static bool begin(struct otlp_work *w, struct err *e)
{
    return intake_begin(w->job->intake, &(struct intake_request){ .tenant = w->job->tenant },
                        &w->batch, e);
}

static bool row_is_bad(const struct intake_result *r, size_t from, size_t to)
{
    for (size_t i = from; i < to && i < r->rows; i++)
        if (r->row_status[i] != APPEND_OK)
            return true;
    return false;
}

// Points of which a row was refused.
static void count_points(struct otlp_work *w, const struct intake_result *r)
{
    bool replica_only = r->status == 202; // those of the other replica are not missed

    for (size_t i = 0; i < w->marks.n; i++) {
        size_t end = i + 1 < w->marks.n ? w->marks.v[i + 1].row : r->rows;

        if (!w->marks.v[i].counted && row_is_bad(r, w->marks.v[i].row, end))
            w->rejected++;
    }
    if (!replica_only)
        w->rejected += w->refused;
}

static void commit(struct otlp_work *w)
{
    struct intake_result r = { 0 };

    intake_commit(w->batch, &r);
    w->stored += r.samples + r.histograms;
    if (r.refused[INTAKE_UNAVAILABLE] || r.refused[INTAKE_RATE]) {
        w->status = r.status;
        w->text = arena_str(w->result, r.text);
    } else if (r.status != 200 && w->status < 429) {
        w->status = MAX(w->status, r.status);
        if (r.status != 202)
            otlp_reject(w, 0, r.text);
    }
    w->retry_after_s = MAX(w->retry_after_s, r.retry_after_s);
    count_points(w, &r);
    vec_reset(&w->marks);
    w->refused = 0;
    intake_end(TAKE(w->batch));
}

bool otlp_next_batch(struct otlp_work *w, struct err *e)
{
    if (intake_rows(w->batch) < BATCH_ROWS)
        return true;
    commit(w);
    return begin(w, e);
}

/* ---- resources ---- */

static bool is_listed(const struct conf_strs *list, struct str s)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i], s))
            return true;
    return false;
}

// As a builder would: the last of equal names stays.
static void put_label(struct arena *a, struct otlp_labels *l, struct str name, struct str value)
{
    for (size_t i = 0; i < l->v.n; i++) {
        if (str_eq(l->v.v[i].name, name)) {
            l->v.v[i].value = value;
            return;
        }
    }
    *vec_push_in(a, &l->v) = (struct label){ name, value };
}

static bool promote(struct otlp_work *w, struct otlp_attrs attrs, struct err *e)
{
    w->promoted = (struct otlp_labels){ 0 };
    for (size_t i = 0; i < attrs.n; i++) {
        struct str name;

        if (is_listed(&w->o->attributes, attrs.v[i].key) == w->o->promote_all)
            continue;
        if (!otlp_label_name(&w->o->namer, w->arena, attrs.v[i].key, &name, e))
            return false;
        put_label(w->arena, &w->promoted, name, otlp_value_text(w->arena, &attrs.v[i].value));
    }
    return true;
}

static struct str text_of(struct otlp_work *w, struct str key)
{
    const struct otlp_value *v = otlp_attr_get(w->resource, key);

    return v ? otlp_value_text(w->arena, v) : STR_NONE;
}

static bool on_resource(void *work, const struct otlp_resource *r, struct err *e)
{
    struct otlp_work *w = work;

    (void)e;
    w->resource = r->attrs;
    w->job_label = text_of(w, SERVICE_NAME);
    if (otlp_attr_get(r->attrs, SERVICE_NAME) && otlp_attr_get(r->attrs, SERVICE_NAMESPACE))
        w->job_label = arena_printf(w->arena, "%.*s/%.*s", STRF(text_of(w, SERVICE_NAMESPACE)),
                                    STRF(w->job_label));
    w->instance_label = text_of(w, SERVICE_INSTANCE);
    w->resource_bad = !promote(w, r->attrs, &w->resource_err);
    w->min_ns = w->max_ns = 0;
    otlp_key_attrs(&w->key, r->attrs);
    w->resource_key = otlp_key_take(w);
    return true;
}

static const struct str identifying[] = { { "service.namespace", 17 },
                                          { "service.name", 12 },
                                          { "service.instance.id", 19 } };

// target_info is of use when the resource says more than job and instance, and has one of them.
static bool wants_target_info(const struct otlp_work *w)
{
    size_t rest = w->resource.n;

    for (size_t i = 0; i < ARRAY_LEN(identifying); i++)
        if (rest && otlp_attr_get(w->resource, identifying[i]))
            rest--;
    return rest && w->max_ns;
}

static void add_target_info(struct otlp_work *w, struct series_ref ref)
{
    int64_t step_ms = MAX(w->o->lookback_ms / 2, INT64_C(1));
    int64_t end_ms = (int64_t)w->max_ns / NS_MS, t_ms = (int64_t)w->min_ns / NS_MS;

    if ((end_ms - t_ms) / step_ms > TARGET_SAMPLES_MAX)
        t_ms = end_ms - TARGET_SAMPLES_MAX * step_ms;
    for (; t_ms < end_ms; t_ms += step_ms)
        intake_float(w->batch, ref, t_ms, 1);
    intake_float(w->batch, ref, end_ms, 1);
}

static bool on_resource_end(void *work, struct err *e)
{
    struct otlp_work *w = work;
    const struct otlp_labels promoted = w->promoted, scope = w->scope;
    struct series_ref ref;
    struct err why;

    if (w->resource_bad || !wants_target_info(w))
        return true;
    w->promoted = w->scope = (struct otlp_labels){ 0 };
    bool ok = otlp_make_labels(w, w->resource, identifying,
                               w->o->keep_identifying ? 0 : ARRAY_LEN(identifying), &why);
    w->promoted = promoted;
    w->scope = scope;
    if (!ok) {
        otlp_reject(w, 0, str_c(why.text));
        return true;
    }
    labels_builder_set(&w->labels, LABEL_NAME, STR("target_info"));
    struct labels ls = labels_builder_view(&w->labels);
    if (!labels_get(ls, STR("job")).n && !labels_get(ls, STR("instance")).n)
        return true;
    *vec_push(&w->marks) = (struct otlp_mark){ (uint32_t)intake_rows(w->batch), true };
    if (!intake_series(w->batch, ls, NULL, &ref))
        return true;
    add_target_info(w, ref);
    intake_meta(w->batch, &(struct metric_meta){ STR("target_info"), TYPE_GAUGE,
                                                 STR("Target metadata"), STR_NONE });
    return otlp_next_batch(w, e);
}

/* ---- scopes ---- */

static bool scope_labels(struct otlp_work *w, const struct otlp_scope *s, struct err *e)
{
    w->scope = (struct otlp_labels){ 0 };
    if (!w->o->promote_scope || !s->name.n)
        return true;
    for (size_t i = 0; i < s->attrs.n; i++) {
        struct str name = arena_printf(w->arena, "otel_scope_%.*s", STRF(s->attrs.v[i].key));

        if (!otlp_label_name(&w->o->namer, w->arena, name, &name, e))
            return false;
        put_label(w->arena, &w->scope, name, otlp_value_text(w->arena, &s->attrs.v[i].value));
    }
    put_label(w->arena, &w->scope, STR("otel_scope_name"), s->name);
    put_label(w->arena, &w->scope, STR("otel_scope_version"), s->version);
    put_label(w->arena, &w->scope, STR("otel_scope_schema_url"), s->schema_url);
    return true;
}

static bool on_scope(void *work, const struct otlp_scope *s, struct err *e)
{
    struct otlp_work *w = work;

    (void)e;
    w->scope_bad = !scope_labels(w, s, &w->scope_err);
    buf_bytes(&w->key, &w->resource_key, sizeof w->resource_key);
    otlp_key_str(&w->key, s->name);
    otlp_key_str(&w->key, s->version);
    otlp_key_str(&w->key, s->schema_url);
    otlp_key_attrs(&w->key, s->attrs);
    w->scope_key = otlp_key_take(w);
    return true;
}

/* ---- metrics ---- */

static enum metric_type type_of(const struct otlp_work *w)
{
    switch (w->metric.kind) {
    case OTLP_GAUGE:
        return TYPE_GAUGE;
    case OTLP_SUM:
        return w->delta ? TYPE_UNKNOWN : w->metric.monotonic ? TYPE_COUNTER : TYPE_GAUGE;
    case OTLP_HISTOGRAM:
    case OTLP_EXP_HISTOGRAM:
        return w->delta ? TYPE_UNKNOWN : TYPE_HISTOGRAM;
    case OTLP_SUMMARY:
        return TYPE_SUMMARY;
    default:
        return TYPE_UNKNOWN;
    }
}

static bool check_temporality(const struct otlp_work *w, struct err *e)
{
    const struct otlp_metric *m = &w->metric;
    bool has = m->kind == OTLP_SUM || m->kind == OTLP_HISTOGRAM || m->kind == OTLP_EXP_HISTOGRAM;

    if (!has || m->temporality == OTLP_CUMULATIVE ||
        (m->temporality == OTLP_DELTA && (w->delta || w->o->delta)))
        return true;
    return err_set(e, ERR_INVALID, "invalid temporality and type combination for metric \"%.*s\"",
                   STRF(m->name));
}

static bool begin_metric(struct otlp_work *w, struct err *e)
{
    const struct otlp_metric *m = &w->metric;
    enum otlp_name_kind kind = m->kind == OTLP_GAUGE                 ? OTLP_NAME_GAUGE
                               : m->kind == OTLP_SUM && m->monotonic ? OTLP_NAME_COUNTER
                                                                     : OTLP_NAME_OTHER;

    w->delta = m->temporality == OTLP_DELTA && w->o->native_delta;
    if (!check_temporality(w, e) ||
        !otlp_metric_name(&w->o->namer, w->arena, m->name, m->unit, kind, &w->meta.name, e))
        return false;
    w->meta.type = type_of(w);
    w->meta.help = m->description;
    w->meta.unit = otlp_unit_name(w->arena, m->unit, false);
    w->unit_label = w->o->namer.utf8 ? otlp_unit_name(w->arena, m->unit, true) : w->meta.unit;
    buf_bytes(&w->key, &w->scope_key, sizeof w->scope_key);
    otlp_key_str(&w->key, m->name);
    otlp_key_str(&w->key, m->unit);
    buf_char(&w->key, (char)(m->kind | m->monotonic << 4 | w->delta << 5));
    w->metric_key = otlp_key_take(w);
    return true;
}

static bool store_metric(struct otlp_work *w, struct err *e)
{
    struct err why = { 0 };
    int64_t n = otlp_metric_point_count(&w->metric);

    if (n < 0)
        return err_set(e, ERR_CORRUPT, "malformed OTLP request: data points");
    bool ok = !w->resource_bad && !w->scope_bad && begin_metric(w, &why);
    if (!ok) {
        const struct err *of = w->resource_bad ? &w->resource_err
                               : w->scope_bad  ? &w->scope_err
                                               : &why;
        w->points += (uint64_t)n;
        otlp_reject(w, (uint64_t)n, str_c(of->text));
        return true;
    }
    if (!n)
        return true;
    intake_meta(w->batch, &w->meta);
    return otlp_metric_points(&w->metric, w->arena, otlp_point, w, e);
}

static bool on_item(void *work, const struct otlp_item *item, struct err *e)
{
    struct otlp_work *w = work;
    struct arena_mark mark = arena_mark(w->arena);
    bool ok = otlp_metric_read(item, &w->metric, e) && store_metric(w, e);

    arena_release(w->arena, mark);
    return ok;
}

/* ---- the request ---- */

static void work_fini(struct otlp_work *w)
{
    intake_end(w->batch);
    buf_fini(&w->key);
    labels_builder_fini(&w->labels);
    vec_fini(&w->marks);
}
OWN_DEFINE_FINI(struct otlp_work, work_fini)

static void decide(const struct otlp_work *w, struct otlp_outcome *out)
{
    *out = (struct otlp_outcome){
        .status = 200, .points = w->points, .rejected = w->rejected, .text = w->text
    };
    if (w->status == 503 || (w->status == 429 && !w->stored)) {
        out->status = w->status;
        out->retry_after_s = w->retry_after_s;
    } else if (w->rejected && w->rejected >= w->points) {
        out->status = 400;
    }
}

bool otlp_store_metrics(const struct otlp_job *job, struct arena *a, struct otlp_outcome *out,
                        struct err *e)
{
    OWNED(arena_fini) struct arena walk = { 0 };
    OWNED(work_fini)
    struct otlp_work w = { .job = job, .o = job->o, .arena = &walk, .result = a, .status = 200 };
    const struct otlp_walk steps = { .signal = OTLP_METRICS,
                                     .arena = &walk,
                                     .ctx = &w,
                                     .resource = on_resource,
                                     .scope = on_scope,
                                     .item = on_item,
                                     .resource_end = on_resource_end };

    if (!begin(&w, e))
        return false;
    bool ok = job->json ? otlp_walk_json(&steps, job->body, e)
                        : otlp_walk_proto(&steps, job->body, e);
    if (!ok)
        return false;
    commit(&w);
    decide(&w, out);
    return true;
}
