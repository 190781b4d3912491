/*
 * tenant_source.c - the views of several tenants as one.
 *
 * A selection is the tenants' selections one behind the other, each with the handles of its own
 * view. Where one ends and the next begins stands in front of the array of entries.
 */
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant_source.h"

#include <stdatomic.h>

#include "auth/tenant.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/vec.h"

struct source {
    struct series_source base; // first
    struct tenant_source_options o;
};

struct view {
    struct series_view base; // first
    const struct source *source;
    struct series_view *part[TENANTS_OF_QUERY_MAX]; // NULL: nothing there
    _Atomic uint64_t series;                        // selected so far
};

struct set_head { // in front of the entries of a set
    size_t end[TENANTS_OF_QUERY_MAX];
};
static_assert(sizeof(struct set_head) % 16 == 0, "the entries behind it stay aligned");

static bool is_merged(const struct view *v)
{
    return v->source->o.part_count > 1;
}

/* ---- selecting ---- */

// The matchers without those on the tenant, for which *chosen says which tenants match.
static struct select_query forward(const struct view *v, const struct select_query *q,
                                   struct arena *a, bool *chosen)
{
    const struct tenant_source_options *o = &v->source->o;
    struct matcher *m = arena_array(a, q->matcher_count + 1, struct matcher);
    struct select_query out = *q;
    size_t n = 0;

    out.min_ms = MAX(q->min_ms, o->floor_ms);
    for (size_t i = 0; i < o->part_count; i++)
        chosen[i] = true;
    if (!is_merged(v))
        return out;
    for (size_t i = 0; i < q->matcher_count; i++) {
        if (!str_eq(q->matchers[i].name, TENANT_LABEL)) {
            m[n] = q->matchers[i];
            if (str_eq(m[n].name, TENANT_LABEL_ORIGINAL))
                m[n].name = TENANT_LABEL;
            n++;
            continue;
        }
        for (size_t k = 0; k < o->part_count; k++)
            chosen[k] = chosen[k] && matcher_matches(&q->matchers[i], o->parts[k].name);
    }
    if (!n && q->matcher_count) // a selection needs a matcher: this one takes all there is
        m[n++] = (struct matcher){ MATCH_NE, LABEL_NAME, STR_NONE, NULL };
    out.matchers = m;
    out.matcher_count = n;
    return out;
}

static struct labels with_tenant(struct arena *a, struct labels ls, struct str tenant)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct str before = labels_get(ls, TENANT_LABEL);

    labels_builder_reset(&b, ls);
    labels_builder_set(&b, TENANT_LABEL, tenant);
    if (before.n)
        labels_builder_set(&b, TENANT_LABEL_ORIGINAL, before);
    return (struct labels){ arena_copy(a, b.v, b.n * sizeof *b.v), b.n };
}

static bool charge(struct view *v, size_t n, struct err *e)
{
    uint64_t max = v->source->o.series_max;
    uint64_t sum = atomic_fetch_add_explicit(&v->series, n, memory_order_relaxed) + n;

    return !max || sum <= max ||
           err_set(e, ERR_LIMIT,
                   "the query selects more series than the limit (err-mimir-max-series-per-query): "
                   "max_fetched_series_per_query is %llu",
                   (unsigned long long)max);
}

static struct series_set join(const struct view *v, const struct series_set *sets, struct arena *a)
{
    const struct tenant_source_options *o = &v->source->o;
    struct set_head *head;
    struct series_set out = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < o->part_count; i++)
        n += sets[i].n;
    head = arena_raw(a, sizeof *head + n * sizeof *out.v);
    out.v = (struct series_entry *)(head + 1);
    for (size_t i = 0; i < o->part_count; i++) {
        for (size_t k = 0; k < sets[i].n; k++) {
            out.v[out.n] = sets[i].v[k];
            out.v[out.n++].labels = with_tenant(a, sets[i].v[k].labels, o->parts[i].name);
        }
        head->end[i] = out.n;
    }
    return out;
}

static bool view_select(struct series_view *base, const struct select_query *q, struct arena *a,
                        struct budget *b, struct series_set *out, struct err *e)
{
    struct view *v = (struct view *)base;
    struct series_set sets[TENANTS_OF_QUERY_MAX] = { 0 };
    bool chosen[TENANTS_OF_QUERY_MAX];
    struct select_query inner = forward(v, q, a, chosen);

    for (size_t i = 0; i < v->source->o.part_count; i++) {
        struct series_view *part = v->part[i];

        if (!part || !chosen[i])
            continue;
        if (!part->ops->select(part, &inner, a, b, &sets[i], e) || !charge(v, sets[i].n, e))
            return false;
    }
    *out = is_merged(v) ? join(v, sets, a) : sets[0];
    return true;
}

/* ---- scanning ---- */

struct shift {
    scan_fn visit;
    void *ctx;
    uint32_t by;
};

static bool shifted(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e)
{
    const struct shift *x = ctx;

    return x->visit(x->ctx, pos + x->by, s, e);
}

// The picks of [from, to), counted from `from`; *at goes behind them.
static const uint32_t *picks_of(const struct scan_query *q, size_t *at, size_t from, size_t to,
                                struct arena *a, size_t *n)
{
    size_t end = *at;
    uint32_t *out;

    while (end < q->pick_count && q->pick[end] < to)
        end++;
    *n = end - *at;
    out = arena_array(a, *n + 1, uint32_t);
    for (size_t i = 0; i < *n; i++)
        out[i] = q->pick[*at + i] - (uint32_t)from;
    *at = end;
    return out;
}

static bool view_scan(struct series_view *base, const struct series_set *set,
                      const struct scan_query *q, struct budget *b, scan_fn visit, void *ctx,
                      struct err *e)
{
    OWNED(arena_fini) struct arena scratch = { 0 };
    struct view *v = (struct view *)base;
    struct scan_query inner = *q;
    size_t from = 0, at = 0;

    inner.min_ms = MAX(q->min_ms, v->source->o.floor_ms);
    if (inner.min_ms > inner.max_ms || !set->n)
        return true;
    if (!is_merged(v))
        return !v->part[0] || v->part[0]->ops->scan(v->part[0], set, &inner, b, visit, ctx, e);
    const struct set_head *head = (const struct set_head *)(const void *)set->v - 1;
    for (size_t i = 0; i < v->source->o.part_count; i++) {
        struct series_set part = { set->v + from, head->end[i] - from };
        struct shift shift = { visit, ctx, (uint32_t)from };

        if (q->pick)
            inner.pick = picks_of(q, &at, from, head->end[i], &scratch, &inner.pick_count);
        from = head->end[i];
        if (!part.n || (q->pick && !inner.pick_count))
            continue;
        if (!v->part[i]->ops->scan(v->part[i], &part, &inner, b, shifted, &shift, e))
            return false;
    }
    return true;
}

/* ---- label names and values ---- */

struct strs {
    struct str *v;
    size_t n, cap;
};

static void add_strs(struct arena *a, struct strs *all, const struct str *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *vec_push_in(a, all) = v[i];
}

static bool part_strings(struct series_view *part, const struct select_query *q, struct arena *a,
                         struct budget *b, struct strs *all, struct err *e)
{
    struct str *v;
    size_t n;

    if (!part->ops->label_strings(part, q, a, b, &v, &n, e))
        return false;
    add_strs(a, all, v, n);
    return true;
}

static bool view_label_strings(struct series_view *base, const struct select_query *q,
                               struct arena *a, struct budget *b, struct str **out, size_t *out_n,
                               struct err *e)
{
    struct view *v = (struct view *)base;
    const struct tenant_source_options *o = &v->source->o;
    bool chosen[TENANTS_OF_QUERY_MAX], merged = is_merged(v);
    struct select_query inner = forward(v, q, a, chosen);
    struct strs all = { 0 };

    inner.label = merged && str_eq(q->label, TENANT_LABEL_ORIGINAL) ? TENANT_LABEL : q->label;
    for (size_t i = 0; i < o->part_count; i++) {
        if (!chosen[i])
            continue;
        if (merged && str_eq(q->label, TENANT_LABEL))
            add_strs(a, &all, &o->parts[i].name, 1);
        else if (v->part[i] && !part_strings(v->part[i], &inner, a, b, &all, e))
            return false;
    }
    if (merged && !q->label.n) {
        size_t had = all.n;

        for (size_t i = 0; i < had; i++)
            if (str_eq(all.v[i], TENANT_LABEL))
                all.v[i] = TENANT_LABEL_ORIGINAL;
        if (had)
            *vec_push_in(a, &all) = TENANT_LABEL;
    }
    *out_n = merged ? sort_strs_unique(all.v, all.n) : all.n;
    if (q->limit && *out_n > q->limit + 1)
        *out_n = q->limit + 1;
    *out = all.v;
    return true;
}

/* ---- the rest ---- */

static bool view_exemplars(struct series_view *base, const struct select_query *q, struct arena *a,
                           struct budget *b, struct series_exemplars **out, size_t *out_n,
                           struct err *e)
{
    struct view *v = (struct view *)base;
    bool chosen[TENANTS_OF_QUERY_MAX];
    struct select_query inner = forward(v, q, a, chosen);
    VEC(struct series_exemplars) all = { 0 };

    for (size_t i = 0; i < v->source->o.part_count; i++) {
        struct series_view *part = v->part[i];
        struct series_exemplars *x;
        size_t n;

        if (!part || !chosen[i])
            continue;
        if (!part->ops->exemplars(part, &inner, a, b, &x, &n, e))
            return false;
        for (size_t k = 0; k < n; k++) {
            if (is_merged(v))
                x[k].series = with_tenant(a, x[k].series, v->source->o.parts[i].name);
            *vec_push_in(a, &all) = x[k];
        }
    }
    *out = all.v;
    *out_n = all.n;
    return true;
}

static size_t view_warnings(struct series_view *base, struct arena *a, struct str **out)
{
    struct view *v = (struct view *)base;
    struct strs all = { 0 };

    for (size_t i = 0; i < v->source->o.part_count; i++) {
        struct str *w = NULL;
        size_t n = series_view_warnings(v->part[i], a, &w);

        add_strs(a, &all, w, n);
    }
    *out = all.v;
    return all.n;
}

static void view_put(struct series_view *base)
{
    struct view *v = (struct view *)base;

    for (size_t i = 0; i < v->source->o.part_count; i++)
        series_view_put(v->part[i]);
    xfree(v);
}

static const struct series_view_ops view_ops = {
    .select = view_select,
    .scan = view_scan,
    .label_strings = view_label_strings,
    .exemplars = view_exemplars,
    .warnings = view_warnings,
    .put = view_put,
};

static bool source_open(struct series_source *base, int64_t min_ms, int64_t max_ms,
                        struct series_view **out, struct err *e)
{
    const struct source *s = (const struct source *)base;
    struct view *v = xcalloc(1, sizeof *v);
    int64_t from_ms = MAX(min_ms, s->o.floor_ms);

    v->base.ops = &view_ops;
    v->source = s;
    for (size_t i = 0; i < s->o.part_count && from_ms <= max_ms; i++) {
        struct series_source *part = s->o.parts[i].source;

        if (part && !part->open(part, from_ms, max_ms, &v->part[i], e)) {
            view_put(&v->base);
            return false;
        }
    }
    *out = &v->base;
    return true;
}

struct series_source *tenant_source_new(struct arena *a, const struct tenant_source_options *o)
{
    struct source *s;

    assert(o->part_count > 0 && o->part_count <= TENANTS_OF_QUERY_MAX);
    if (o->part_count == 1 && o->parts[0].source && !o->series_max && o->floor_ms == INT64_MIN)
        return o->parts[0].source;
    s = arena_new(a, struct source);
    s->base.open = source_open;
    s->o = *o;
    return &s->base;
}
