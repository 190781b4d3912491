/*
 * memory_source.c - a series source in memory.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/memory_source.h"

#include <math.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/time.h"
#include "base/vec.h"
#include "model/histogram.h"
#include "model/histogram_ops.h"

struct memory_series {
    struct labels labels;
    struct hash128 fingerprint;
    VEC(int64_t) t;
    VEC(int64_t) start;
    VEC(double) value;
    VEC(const struct histogram *) hist;
    bool has_hist, has_start;
};

struct memory_source {
    struct series_source source;
    struct series_view view;
    struct arena arena; // labels and histograms
    VEC(struct memory_series) series;
    struct map index; // by fingerprint
};

static struct memory_source *of_view(struct series_view *v)
{
    return CONTAINER_OF(v, struct memory_source, view);
}

/* ---- adding ---- */

static bool labels_at(const void *ctx, const void *key, uint32_t index)
{
    const struct memory_source *m = ctx;

    return labels_equal(m->series.v[index].labels, *(const struct labels *)key);
}

static struct memory_series *series_of(struct memory_source *m, struct labels ls)
{
    struct hash128 f = labels_fingerprint(ls, 0);
    uint32_t i = map_find(&m->index, f.lo, labels_at, m, &ls);

    if (i == MAP_NONE) {
        i = (uint32_t)m->series.n;
        struct memory_series *s = vec_push(&m->series);
        s->labels = labels_copy(&m->arena, ls);
        s->fingerprint = f;
        map_add(&m->index, f.lo, i);
    }
    return &m->series.v[i];
}

static bool continues(const struct histogram *h, const struct histogram *prev)
{
    struct histogram x = *h, y = *prev;

    if (histogram_is_stale(prev) || prev->reset == HIST_RESET_GAUGE || h->reset == HIST_RESET_YES)
        return false;
    if (histogram_is_stale(h))
        return true;
    if (h->schema != prev->schema || h->zero_threshold != prev->zero_threshold ||
        (histogram_is_custom(h) && !hist_bounds_equal(h, prev)))
        return false;
    x.reset = y.reset = HIST_RESET_UNKNOWN;
    return !histogram_is_reset(&x, &y);
}

static const struct histogram *hist_stored(struct memory_source *m, const struct memory_series *s,
                                           size_t at, int64_t t_ms, const struct histogram *h)
{
    struct histogram *copy = histogram_copy(&m->arena, h);
    const struct histogram *prev = at ? s->hist.v[at - 1] : NULL;

    if (h->reset == HIST_RESET_GAUGE)
        return copy;
    bool same = prev && floor_div(t_ms, MS_DAY) == floor_div(s->t.v[at - 1], MS_DAY) &&
                continues(h, prev);
    copy->reset = same ? HIST_RESET_NO : HIST_RESET_UNKNOWN;
    return copy;
}

#define INSERT(vec, at, x)                                                                       \
    do {                                                                                         \
        vec_push(vec);                                                                           \
        memmove((vec)->v + (at) + 1, (vec)->v + (at), ((vec)->n - 1 - (at)) * sizeof *(vec)->v); \
        (vec)->v[at] = (x);                                                                      \
    } while (0)

void memory_source_add(struct memory_source *m, struct labels labels, const struct memory_sample *v,
                       size_t n)
{
    if (!n)
        return;
    struct memory_series *s = series_of(m, labels);

    for (size_t i = 0; i < n; i++) {
        size_t at = s->t.n;

        while (at && s->t.v[at - 1] >= v[i].t_ms)
            at--;
        if (at < s->t.n && s->t.v[at] == v[i].t_ms)
            continue;
        const struct histogram *h = v[i].hist ? hist_stored(m, s, at, v[i].t_ms, v[i].hist) : NULL;
        INSERT(&s->t, at, v[i].t_ms);
        INSERT(&s->start, at, v[i].start_ms);
        INSERT(&s->value, at, h ? 0 : v[i].value);
        INSERT(&s->hist, at, h);
        s->has_hist |= h != NULL;
        s->has_start |= v[i].start_ms != 0;
    }
}

/* ---- reading ---- */

static size_t first_from(const struct memory_series *s, int64_t min_ms)
{
    size_t lo = 0, hi = s->t.n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (s->t.v[mid] < min_ms)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool memory_select(struct series_view *v, const struct select_query *q, struct arena *a,
                          struct budget *b, struct series_set *out, struct err *e)
{
    struct memory_source *m = of_view(v);
    struct series_entry *found = arena_array(a, m->series.n + 1, struct series_entry);
    size_t n = 0;

    for (size_t i = 0; i < m->series.n && !(q->limit && n > q->limit); i++) {
        const struct memory_series *s = &m->series.v[i];
        size_t from = first_from(s, q->min_ms);

        if (!budget_step(b, 1, e))
            return false;
        if (from == s->t.n || s->t.v[from] > q->max_ms ||
            !matchers_match(q->matchers, q->matcher_count, s->labels))
            continue;
        found[n++] = (struct series_entry){ s->labels, s->fingerprint, i };
    }
    *out = (struct series_set){ found, n };
    return true;
}

// The samples of a series that a scan asks for.
static struct series_samples samples_in(const struct memory_series *s, const struct scan_query *q)
{
    size_t from = first_from(s, q->min_ms), to = from;

    while (to < s->t.n && s->t.v[to] <= q->max_ms)
        to++;
    return (struct series_samples){
        .t_ms = s->t.v + from,
        .value = s->value.v + from,
        .hist = s->has_hist ? s->hist.v + from : NULL,
        .start_ms = s->has_start && q->need_start ? s->start.v + from : NULL,
        .n = to - from,
    };
}

// As little as a scan for times may give, so that tests find out who needs more.
static const double *without_values(struct arena *a, const struct series_samples *s)
{
    double *v = arena_array(a, s->n + 1, double);

    for (size_t i = 0; i < s->n; i++)
        v[i] = isnan(s->value[i]) ? s->value[i] : 0;
    return v;
}

static bool memory_scan(struct series_view *v, const struct series_set *set,
                        const struct scan_query *q, struct budget *b, scan_fn visit, void *ctx,
                        struct err *e)
{
    OWNED(arena_fini) struct arena room = { 0 };
    size_t n = q->pick ? q->pick_count : set->n;

    for (size_t i = 0; i < n; i++) {
        uint32_t pos = q->pick ? q->pick[i] : (uint32_t)i;
        struct series_samples x = samples_in(&of_view(v)->series.v[set->v[pos].ref], q);

        assert(pos < set->n);
        if (q->times_only)
            x.value = without_values(&room, &x);
        if (!budget_step(b, x.n, e) || (x.n && !visit(ctx, pos, &x, e)))
            return false;
    }
    return true;
}

static bool memory_label_strings(struct series_view *v, const struct select_query *q,
                                 struct arena *a, struct budget *b, struct str **out, size_t *out_n,
                                 struct err *e)
{
    struct memory_source *m = of_view(v);
    VEC(struct str) found = { 0 };

    for (size_t i = 0; i < m->series.n; i++) {
        struct labels ls = m->series.v[i].labels;

        if (!matchers_match(q->matchers, q->matcher_count, ls))
            continue;
        for (size_t k = 0; k < ls.n; k++)
            if (!q->label.n || str_eq(ls.v[k].name, q->label))
                *vec_push_in(a, &found) = q->label.n ? ls.v[k].value : ls.v[k].name;
    }
    *out = found.v;
    *out_n = sort_strs_unique(found.v, found.n);
    if (q->limit && *out_n > q->limit + 1)
        *out_n = q->limit + 1;
    return true;
}

static bool memory_exemplars(struct series_view *v, const struct select_query *q, struct arena *a,
                             struct budget *b, struct series_exemplars **out, size_t *out_n,
                             struct err *e)
{
    *out = NULL;
    *out_n = 0;
    return true;
}

static void memory_put(struct series_view *v)
{
}

static const struct series_view_ops memory_ops = {
    .select = memory_select,
    .scan = memory_scan,
    .label_strings = memory_label_strings,
    .exemplars = memory_exemplars,
    .put = memory_put,
};

static bool memory_open(struct series_source *s, int64_t min_ms, int64_t max_ms,
                        struct series_view **out, struct err *e)
{
    *out = &CONTAINER_OF(s, struct memory_source, source)->view;
    return true;
}

struct series_source *memory_source_view(struct memory_source *m)
{
    return &m->source;
}

struct memory_source *memory_source_new(void)
{
    struct memory_source *m = xcalloc(1, sizeof *m);

    m->source.open = memory_open;
    m->view.ops = &memory_ops;
    return m;
}

void memory_source_clear(struct memory_source *m)
{
    for (size_t i = 0; i < m->series.n; i++) {
        struct memory_series *s = &m->series.v[i];

        vec_fini(&s->t);
        vec_fini(&s->start);
        vec_fini(&s->value);
        vec_fini(&s->hist);
    }
    vec_fini(&m->series);
    map_fini(&m->index);
    arena_fini(&m->arena);
}

void memory_source_free(struct memory_source *m)
{
    if (!m)
        return;
    memory_source_clear(m);
    xfree(m);
}
