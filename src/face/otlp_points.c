// otlp_points.c - data points of each kind of metric as rows.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/sort.h"
#include "face/otlp_delta.h"
#include "face/otlp_priv.h"
#include "model/sample.h"

enum { EXEMPLAR_RUNES_MAX = 128 }; // of names and values, as OpenMetrics says

static double stale(void)
{
    return double_from_bits(SAMPLE_STALE_BITS);
}

static bool is_unrecorded(const struct otlp_point *p)
{
    return p->flags & OTLP_FLAG_NO_RECORDED_VALUE;
}

static void add(struct otlp_work *w, struct series_ref ref, double v)
{
    if (is_unrecorded(w->p))
        v = stale();
    intake_float(w->batch, ref, w->t_ms, v);
    intake_start(w->batch, w->start_ms);
}

/* ---- exemplars ---- */

static size_t rune_count(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

// Lower case; empty when all is zero: no id.
static struct str hex(struct arena *a, struct str id)
{
    static const char digits[] = "0123456789abcdef";
    char *p = arena_raw(a, 2 * id.n + 1);
    bool any = false;

    for (size_t i = 0; i < id.n; i++) {
        unsigned char c = (unsigned char)id.p[i];

        any |= c != 0;
        p[2 * i] = digits[c >> 4];
        p[2 * i + 1] = digits[c & 15];
    }
    return any ? str_of(p, 2 * id.n) : STR_NONE;
}

static bool exemplar_labels(struct otlp_work *w, const struct otlp_exemplar *x, struct labels *out)
{
    struct label *v = arena_array(w->arena, x->attrs.n + 2, struct label);
    size_t n = 0, runes = 0;
    struct str id, dup;

    if ((id = hex(w->arena, x->trace_id)).n)
        v[n++] = (struct label){ STR("trace_id"), id };
    if ((id = hex(w->arena, x->span_id)).n)
        v[n++] = (struct label){ STR("span_id"), id };
    size_t ids = n;
    for (size_t i = 0; i < x->attrs.n; i++)
        v[n++] = (struct label){ x->attrs.v[i].key,
                                 otlp_value_text(w->arena, &x->attrs.v[i].value) };
    for (size_t i = 0; i < n; i++)
        runes += rune_count(v[i].name) + rune_count(v[i].value);
    if (runes > EXEMPLAR_RUNES_MAX)
        n = ids; // the ids are worth more than the rest
    if (!labels_normalize(v, &n, &dup))
        return false;
    *out = (struct labels){ v, n };
    return labels_are_valid(*out, false);
}

static void add_exemplar(struct otlp_work *w, struct series_ref ref, const struct otlp_exemplar *x)
{
    struct exemplar made = { .value = x->value, .t_ms = (int64_t)(x->time_ns / NS_MS) };

    if (x->kind == OTLP_NO_NUMBER || !exemplar_labels(w, x, &made.labels))
        return;
    if (!made.t_ms)
        made.t_ms = w->t_ms;
    intake_exemplar(w->batch, ref, &made);
}

static void add_exemplars(struct otlp_work *w, struct series_ref ref)
{
    for (size_t i = 0; i < w->p->exemplar_n; i++)
        add_exemplar(w, ref, &w->p->exemplar[i]);
}

/* ---- kinds ---- */

static bool number_point(struct otlp_work *w)
{
    struct series_ref ref;

    if (!otlp_series(w, STR_NONE, STR_NONE, 0, &ref))
        return false;
    add(w, ref, w->p->value);
    if (w->metric.kind == OTLP_SUM)
        add_exemplars(w, ref);
    return true;
}

static bool add_part(struct otlp_work *w, struct str suffix, double v)
{
    struct series_ref ref;

    if (!otlp_series(w, suffix, STR_NONE, 0, &ref))
        return false;
    add(w, ref, v);
    return true;
}

static int compare_values(const void *x, const void *y, void *ctx)
{
    const struct otlp_exemplar *const *a = x, *const *b = y;

    (void)ctx;
    return ((*a)->value > (*b)->value) - ((*a)->value < (*b)->value);
}

struct sorted { // exemplars by value
    const struct otlp_exemplar **v;
    size_t n, next;
};

static struct sorted sort_exemplars(struct otlp_work *w)
{
    const struct otlp_point *p = w->p;
    struct sorted s = { .n = p->exemplar_n };

    s.v = arena_array(w->arena, s.n + 1, const struct otlp_exemplar *);
    for (size_t i = 0; i < s.n; i++)
        s.v[i] = &p->exemplar[i];
    sort_stable(s.v, s.n, sizeof *s.v, compare_values, NULL);
    return s;
}

// A bucket of a classic histogram, and the exemplars up to its bound.
static bool add_bucket(struct otlp_work *w, double le, double count, struct sorted *exemplars)
{
    struct series_ref ref;

    if (!otlp_series(w, STR("_bucket"), STR("le"), le, &ref))
        return false;
    add(w, ref, count);
    while (exemplars->next < exemplars->n && exemplars->v[exemplars->next]->value <= le)
        add_exemplar(w, ref, exemplars->v[exemplars->next++]);
    return true;
}

static bool classic_point(struct otlp_work *w)
{
    const struct otlp_point *p = w->p;
    struct sorted exemplars = sort_exemplars(w);
    uint64_t count = 0;

    if (p->has_sum && !add_part(w, STR("_sum"), p->sum))
        return false;
    if (!add_part(w, STR("_count"), (double)p->count))
        return false;
    for (size_t i = 0; i < p->bound_n && i < p->pos.n; i++) {
        count += p->pos.count[i];
        if (!add_bucket(w, p->bound[i], (double)count, &exemplars))
            return false;
    }
    return add_bucket(w, INFINITY, (double)p->count, &exemplars);
}

static bool native_point(struct otlp_work *w)
{
    struct histogram h;
    struct series_ref ref;
    struct err e = { 0 };
    bool ok = w->metric.kind == OTLP_EXP_HISTOGRAM
                  ? otlp_exponential(w->p, w->delta, w->arena, &h, &e)
                  : otlp_custom(w->p, w->delta, w->arena, &h, &e);

    if (!ok) {
        w->point_bad = true;
        otlp_reject(w, 0, str_c(e.text));
        return false;
    }
    if (!otlp_series(w, STR_NONE, STR_NONE, 0, &ref))
        return false;
    if (is_unrecorded(w->p))
        h = (struct histogram){ .schema = h.schema,
                                .integer = true,
                                .zero_threshold = h.zero_threshold,
                                .sum = stale(),
                                .custom = h.custom,
                                .custom_n = h.custom_n };
    size_t rows = intake_rows(w->batch);
    intake_histogram(w->batch, ref, w->t_ms, &h);
    w->point_refused |= intake_rows(w->batch) == rows; // it cannot be one
    intake_start(w->batch, w->start_ms);
    add_exemplars(w, ref);
    return true;
}

static bool summary_point(struct otlp_work *w)
{
    const struct otlp_point *p = w->p;

    if (!add_part(w, STR("_sum"), p->sum) || !add_part(w, STR("_count"), (double)p->count))
        return false;
    for (size_t i = 0; i < p->quantile_n; i++) {
        struct series_ref ref;

        if (!otlp_series(w, STR_NONE, STR("quantile"), p->quantile[i].quantile, &ref))
            return false;
        add(w, ref, p->quantile[i].value);
    }
    return true;
}

/* ---- points ---- */

static bool store_point(struct otlp_work *w)
{
    switch (w->metric.kind) {
    case OTLP_GAUGE:
    case OTLP_SUM:
        return number_point(w);
    case OTLP_HISTOGRAM:
        return w->o->nhcb ? native_point(w) : classic_point(w);
    case OTLP_EXP_HISTOGRAM:
        return native_point(w);
    case OTLP_SUMMARY:
        return summary_point(w);
    default:
        return true;
    }
}

static void note_time(struct otlp_work *w, uint64_t time_ns)
{
    if (time_ns == 0)
        return;
    w->min_ns = w->max_ns ? MIN(w->min_ns, time_ns) : time_ns;
    w->max_ns = MAX(w->max_ns, time_ns);
}

static bool make_cumulative(struct otlp_work *w, const struct otlp_point *p, struct otlp_point *out,
                            struct err *e)
{
    struct otlp_attrs attrs;

    return otlp_point_attrs(p, w->arena, &attrs, e) &&
           otlp_delta_add(w->o->delta, otlp_stream_key(w, attrs), w->metric.kind, p, w->arena, out,
                          e);
}

bool otlp_point(void *work, const struct otlp_point *p, struct err *e)
{
    struct otlp_work *w = work;
    struct otlp_point total;
    struct err why = { 0 };

    w->points++;
    note_time(w, p->time_ns);
    if (w->metric.temporality == OTLP_DELTA && !w->delta) {
        if (!make_cumulative(w, p, &total, &why)) {
            otlp_reject(w, 1, str_c(why.text));
            return true;
        }
        p = &total;
    }
    *vec_push(&w->marks) = (struct otlp_mark){ (uint32_t)intake_rows(w->batch), false };
    w->p = p;
    w->point_key = otlp_point_key(w, p);
    w->t_ms = (int64_t)p->time_ns / NS_MS;
    w->start_ms = (int64_t)p->start_ns / NS_MS;
    w->labels_ready = w->point_bad = w->point_refused = false;
    store_point(w);
    if (w->point_bad || w->point_refused)
        w->marks.v[w->marks.n - 1].counted = true;
    w->rejected += w->point_bad;
    w->refused += w->point_refused && !w->point_bad;
    return otlp_next_batch(w, e);
}
