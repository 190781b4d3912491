// otlp_metrics_json.c - metrics and their points in JSON: see otlp_metrics.h.
// SPDX-License-Identifier: Apache-2.0
#include "codec/otlp_metrics_priv.h"
#include "codec/otlp_priv.h"

static bool wrong(const struct json_value *v, const char *what, struct err *e)
{
    return err_at(e, v->pos, ERR_CORRUPT, "malformed OTLP request: %s", what);
}

static bool too_many(const struct json_value *v, const char *what, struct err *e)
{
    return err_at(e, v->pos, ERR_LIMIT, "a data point has too many %s", what);
}

/* ---- the head ---- */

bool otlp_metric_read_json(const struct json_value *v, struct otlp_metric *m, struct err *e)
{
    static const char *const kinds[] = {
        [OTLP_GAUGE] = "gauge",         [OTLP_SUM] = "sum",
        [OTLP_HISTOGRAM] = "histogram", [OTLP_EXP_HISTOGRAM] = "exponentialHistogram",
        [OTLP_SUMMARY] = "summary",
    };
    static const char *const temporalities[] = { "UNSPECIFIED", "DELTA", "CUMULATIVE", NULL };
    const struct json_value *data = NULL, *monotonic;

    m->name = otlp_json_str(v, "name");
    m->description = otlp_json_str(v, "description");
    m->unit = otlp_json_str(v, "unit");
    for (int i = OTLP_GAUGE; i <= OTLP_SUMMARY && !data; i++) {
        data = otlp_json_get(v, kinds[i]);
        if (data)
            m->kind = (enum otlp_metric_kind)i;
    }
    if (!data)
        return true;
    if (data->kind != JSON_OBJECT)
        return wrong(data, "data of a metric is no object", e);
    m->data = (struct otlp_item){ .json = data };
    monotonic = otlp_json_get(data, "isMonotonic");
    m->monotonic = monotonic && monotonic->kind == JSON_BOOL && monotonic->b;
    return otlp_json_enum(data, "aggregationTemporality", "AGGREGATION_TEMPORALITY_", temporalities,
                          &m->temporality, e);
}

/* ---- points ---- */

static bool read_number(const struct json_value *v, enum otlp_number *kind, int64_t *i,
                        double *value, struct err *e)
{
    bool found;

    if (!otlp_json_double(v, "asDouble", value, &found, e))
        return false;
    if (found) {
        *kind = OTLP_NUMBER_DOUBLE;
    } else if (otlp_json_get(v, "asInt")) {
        *kind = OTLP_NUMBER_INT;
        if (!otlp_json_i64(v, "asInt", i, e))
            return false;
        *value = (double)*i;
    }
    return true;
}

static bool read_exemplars(struct arena *a, const struct json_value *v, struct otlp_point *p,
                           struct err *e)
{
    const struct json_value *items = NULL;
    size_t n;

    if (!otlp_json_list(v, "exemplars", &items, &n, e))
        return false;
    if (n > OTLP_EXEMPLARS_MAX)
        return too_many(v, "exemplars", e);
    struct otlp_exemplar *x = arena_array(a, n + 1, struct otlp_exemplar);
    for (size_t i = 0; i < n; i++) {
        int64_t whole = 0;

        if (!otlp_json_attrs(a, &items[i], "filteredAttributes", &x[i].attrs, e) ||
            !otlp_json_u64(&items[i], "timeUnixNano", &x[i].time_ns, e) ||
            !read_number(&items[i], &x[i].kind, &whole, &x[i].value, e) ||
            !otlp_json_hex(a, &items[i], "traceId", OTLP_TRACE_ID_SIZE, &x[i].trace_id, e) ||
            !otlp_json_hex(a, &items[i], "spanId", OTLP_SPAN_ID_SIZE, &x[i].span_id, e))
            return false;
    }
    p->exemplar = x;
    p->exemplar_n = n;
    return true;
}

static bool read_counts(struct arena *a, const struct json_value *v, struct otlp_buckets *out,
                        struct err *e)
{
    const struct json_value *items = NULL;

    if (!otlp_json_list(v, "bucketCounts", &items, &out->n, e))
        return false;
    if (out->n > OTLP_BUCKETS_MAX)
        return too_many(v, "buckets", e);
    uint64_t *count = arena_array(a, out->n + 1, uint64_t);
    for (size_t i = 0; i < out->n; i++)
        if (!otlp_json_to_u64(&items[i], &count[i]))
            return wrong(&items[i], "expected an unsigned integer for bucketCounts", e);
    out->count = count;
    return true;
}

static bool read_bounds(struct arena *a, const struct json_value *v, struct otlp_point *p,
                        struct err *e)
{
    const struct json_value *items = NULL;

    if (!otlp_json_list(v, "explicitBounds", &items, &p->bound_n, e))
        return false;
    if (p->bound_n > OTLP_BUCKETS_MAX)
        return too_many(v, "bounds", e);
    double *bound = arena_array(a, p->bound_n + 1, double);
    for (size_t i = 0; i < p->bound_n; i++)
        if (!otlp_json_to_double(&items[i], &bound[i]))
            return wrong(&items[i], "expected a number for explicitBounds", e);
    p->bound = bound;
    return true;
}

static bool read_i32(const struct json_value *v, const char *name, int32_t *out, struct err *e)
{
    int64_t n = 0;

    if (!otlp_json_i64(v, name, &n, e))
        return false;
    if (n < INT32_MIN || n > INT32_MAX)
        return wrong(v, "a number does not fit 32 bits", e);
    *out = (int32_t)n;
    return true;
}

static bool read_side(struct arena *a, const struct json_value *v, const char *name,
                      struct otlp_buckets *out, struct err *e)
{
    const struct json_value *side = otlp_json_get(v, name);

    return !side || (read_i32(side, "offset", &out->offset, e) && read_counts(a, side, out, e));
}

static bool read_quantiles(struct arena *a, const struct json_value *v, struct otlp_point *p,
                           struct err *e)
{
    const struct json_value *items = NULL;

    if (!otlp_json_list(v, "quantileValues", &items, &p->quantile_n, e))
        return false;
    if (p->quantile_n > OTLP_QUANTILES_MAX)
        return too_many(v, "quantiles", e);
    struct otlp_quantile *q = arena_array(a, p->quantile_n + 1, struct otlp_quantile);
    for (size_t i = 0; i < p->quantile_n; i++) {
        bool found;

        if (!otlp_json_double(&items[i], "quantile", &q[i].quantile, &found, e) ||
            !otlp_json_double(&items[i], "value", &q[i].value, &found, e))
            return false;
    }
    p->quantile = q;
    return true;
}

static bool read_count_and_sum(const struct json_value *v, struct otlp_point *p, struct err *e)
{
    return otlp_json_u64(v, "count", &p->count, e) &&
           otlp_json_double(v, "sum", &p->sum, &p->has_sum, e);
}

static bool read_kind(enum otlp_metric_kind kind, struct arena *a, const struct json_value *v,
                      struct otlp_point *p, struct err *e)
{
    bool found;

    switch (kind) {
    case OTLP_GAUGE:
    case OTLP_SUM:
        return read_number(v, &p->kind, &p->i, &p->value, e) && read_exemplars(a, v, p, e);
    case OTLP_HISTOGRAM:
        return read_count_and_sum(v, p, e) && read_counts(a, v, &p->pos, e) &&
               read_bounds(a, v, p, e) && read_exemplars(a, v, p, e);
    case OTLP_EXP_HISTOGRAM:
        return read_count_and_sum(v, p, e) && read_i32(v, "scale", &p->scale, e) &&
               otlp_json_u64(v, "zeroCount", &p->zero_count, e) &&
               otlp_json_double(v, "zeroThreshold", &p->zero_threshold, &found, e) &&
               read_side(a, v, "positive", &p->pos, e) && read_side(a, v, "negative", &p->neg, e) &&
               read_exemplars(a, v, p, e);
    case OTLP_SUMMARY:
        return read_count_and_sum(v, p, e) && read_quantiles(a, v, p, e);
    default:
        return true;
    }
}

static bool read_point(enum otlp_metric_kind kind, struct arena *a, const struct json_value *v,
                       struct otlp_point *p, struct err *e)
{
    uint64_t flags = 0;

    if (v->kind != JSON_OBJECT)
        return wrong(v, "a data point is no object", e);
    if (!otlp_json_attrs(a, v, "attributes", &p->attrs, e) ||
        !otlp_json_u64(v, "startTimeUnixNano", &p->start_ns, e) ||
        !otlp_json_u64(v, "timeUnixNano", &p->time_ns, e) || !otlp_json_u64(v, "flags", &flags, e))
        return false;
    p->flags = (uint32_t)flags;
    return read_kind(kind, a, v, p, e);
}

bool otlp_metric_points_json(const struct otlp_metric *m, struct arena *a,
                             bool (*visit)(void *ctx, const struct otlp_point *p, struct err *e),
                             void *ctx, struct err *e)
{
    const struct json_value *items = NULL;
    size_t n;

    if (!otlp_json_list(m->data.json, "dataPoints", &items, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(a);
        struct otlp_point p = { 0 };
        bool ok = read_point(m->kind, a, &items[i], &p, e) && visit(ctx, &p, e);

        arena_release(a, mark);
        if (!ok)
            return false;
    }
    return true;
}

int64_t otlp_metric_point_count_json(const struct otlp_metric *m)
{
    const struct json_value *v = otlp_json_get(m->data.json, "dataPoints");

    if (!v)
        return 0;
    return v->kind == JSON_ARRAY ? (int64_t)v->n : -1;
}
