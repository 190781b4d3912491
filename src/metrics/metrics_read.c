/*
 * metrics_read.c - snapshots: taking one, selecting series, label strings, exemplars.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "base/sort.h"
#include "metrics/metrics_view_priv.h"

static struct metrics_view *view_of(struct series_view *v)
{
    return CONTAINER_OF(v, struct metrics_view, base);
}

static void view_segment_damage(struct metrics_view *v, const struct catalog_damage *d)
{
    struct str text = str_c(d->first.text); // begins with the file

    view_damage(v, "series of a damaged catalog segment are left out", str_cut(&text, ':'),
                &d->first);
}

/* ---- selecting ---- */

// The slices of a span that a time range touches; 0: none of the span.
static uint32_t slices_of(const struct span *s, int64_t min_ms, int64_t max_ms)
{
    uint32_t first, last;

    min_ms = MAX(min_ms, s->min_ms);
    max_ms = MIN(max_ms, s->max_ms - 1);
    if (min_ms > max_ms)
        return 0;
    first = span_slice(s, min_ms);
    last = span_slice(s, max_ms);
    return last - first + last; // all bits from first to last
}

struct select_ctx {
    struct metrics_view *view;
    const struct select_query *q;
    struct arena *a;
    struct budget *budget;
    struct catalog_damage damage;
    VEC(struct series_entry) found; // in the arena
    struct map by_fingerprint;
};

static void select_fini(struct select_ctx *c)
{
    map_fini(&c->by_fingerprint);
}
OWN_DEFINE_FINI(struct select_ctx, select_fini)

static void add_loc(struct select_ctx *c, struct series_entry *x, struct series_loc loc)
{
    struct series_loc one;
    struct series_locs *l;
    uint32_t n;

    if (x->ref & LOC_INLINE) {
        const struct series_loc *first = entry_locs(x, &one, &n);

        l = arena_new(c->a, struct series_locs);
        l->cap = 4;
        l->v = arena_array(c->a, l->cap, struct series_loc);
        l->v[l->n++] = *first;
        x->ref = (uint64_t)(uintptr_t)l;
    }
    l = (struct series_locs *)(uintptr_t)x->ref;
    if (l->n == l->cap) {
        struct series_loc *v = arena_array(c->a, 2 * (size_t)l->cap, struct series_loc);

        memcpy(v, l->v, l->n * sizeof *v);
        l->v = v;
        l->cap *= 2;
    }
    l->v[l->n++] = loc;
}

static struct series_entry *find_entry(struct select_ctx *c, struct hash128 fp)
{
    uint32_t i;

    if (!c->by_fingerprint.n)
        return NULL;
    for (size_t at = map_first(&c->by_fingerprint, fp.lo);
         (i = map_at(&c->by_fingerprint, fp.lo, &at)) != MAP_NONE;) {
        if (c->found.v[i].fingerprint.lo == fp.lo && c->found.v[i].fingerprint.hi == fp.hi)
            return &c->found.v[i];
    }
    return NULL;
}

// Labels of the entries that this span brought: found[from..), whose ids ascend.
static bool add_labels(struct select_ctx *c, struct view_span *vs, struct catalog_ids ids,
                       size_t from, const struct catalog_read *read, struct err *e)
{
    struct labels *labels = arena_array(c->a, ids.n, struct labels);

    if (!catalog_labels(vs->catalog, ids, read, labels, e))
        return false;
    for (size_t i = 0; i < ids.n; i++)
        c->found.v[from + i].labels = labels[i];
    return true;
}

// Series whose labels cannot be read are left out; an older span may still know them.
static void drop_nameless(struct select_ctx *c, size_t from)
{
    size_t kept = from;

    for (size_t i = from; i < c->found.n; i++) {
        if (c->found.v[i].labels.n)
            c->found.v[kept++] = c->found.v[i];
    }
    if (kept == c->found.n)
        return;
    c->found.n = kept;
    map_fini(&c->by_fingerprint);
    c->by_fingerprint = (struct map){ 0 };
    for (size_t i = 0; i < kept; i++)
        map_add(&c->by_fingerprint, c->found.v[i].fingerprint.lo, (uint32_t)i);
}

static bool select_span(struct select_ctx *c, uint32_t index, struct err *e)
{
    struct view_span *vs = &c->view->spans[index];
    struct catalog_read read = { c->a, c->budget, &c->damage };
    struct catalog_query q = { c->q->matchers, c->q->matcher_count,
                               slices_of(vs->s, c->q->min_ms, c->q->max_ms) };
    struct catalog_ids ids, fresh;
    struct catalog_key *keys;
    size_t from = c->found.n;

    if (!q.slices)
        return true;
    if (!catalog_select(vs->catalog, &q, &read, &ids, e))
        return false;
    if (!budget_charge(c->budget, ids.n * (sizeof(struct series_entry) + sizeof *keys), e))
        return false;
    keys = arena_array(c->a, ids.n, struct catalog_key);
    fresh = (struct catalog_ids){ arena_array(c->a, ids.n, uint32_t), 0 };
    if (!catalog_keys(vs->catalog, ids, &read, keys, e))
        return false;
    vec_reserve_in(c->a, &c->found, ids.n);
    for (size_t i = 0; i < ids.n; i++) {
        struct series_entry *x;

        if (keys[i].shard == UINT32_MAX)
            continue; // its segment is damaged
        x = find_entry(c, keys[i].fingerprint);
        if (x) {
            add_loc(c, x, (struct series_loc){ index, ids.v[i] });
            continue;
        }
        if (c->q->limit && c->found.n > c->q->limit)
            continue;
        map_add(&c->by_fingerprint, keys[i].fingerprint.lo, (uint32_t)c->found.n);
        *vec_push_in(c->a, &c->found) = (struct series_entry){
            .fingerprint = keys[i].fingerprint,
            .ref = loc_pack(index, ids.v[i]),
        };
        fresh.v[fresh.n++] = ids.v[i];
    }
    if (fresh.n && !add_labels(c, vs, fresh, from, &read, e))
        return false;
    if (c->damage.segments)
        drop_nameless(c, from);
    return true;
}

static bool view_select(struct series_view *v, const struct select_query *q, struct arena *a,
                        struct budget *b, struct series_set *out, struct err *e)
{
    OWNED(select_fini) struct select_ctx c = { .view = view_of(v), .q = q, .a = a, .budget = b };

    for (size_t i = c.view->span_count; i-- > 0;) {
        if (!select_span(&c, (uint32_t)i, e))
            return false;
    }
    if (c.damage.segments)
        view_segment_damage(c.view, &c.damage);
    *out = (struct series_set){ c.found.v, c.found.n };
    return true;
}

/* ---- label names and values ---- */

static bool view_label_strings(struct series_view *v, const struct select_query *q, struct arena *a,
                               struct budget *b, struct str **out, size_t *out_n, struct err *e)
{
    struct metrics_view *view = view_of(v);
    struct catalog_damage damage = { 0 };
    struct catalog_read read = { a, b, &damage };
    VEC(struct str) all = { 0 };

    for (size_t i = 0; i < view->span_count; i++) {
        struct view_span *vs = &view->spans[i];
        struct catalog_values_query vq = {
            .select = { q->matchers, q->matcher_count, slices_of(vs->s, q->min_ms, q->max_ms) },
            .name = q->label,
            .limit = q->limit,
        };
        struct catalog_strs got;
        bool ok;

        if (!vq.select.slices)
            continue;
        // The whole span: without slices no posting need be read.
        if (q->min_ms <= vs->s->min_ms && q->max_ms >= vs->s->max_ms - 1)
            vq.select.slices = 0;
        ok = q->label.n ? catalog_label_values(vs->catalog, &vq, &read, &got, e)
                        : catalog_label_names(vs->catalog, &vq.select, q->limit, &read, &got, e);
        if (!ok)
            return false;
        vec_reserve_in(a, &all, got.n);
        for (size_t k = 0; k < got.n; k++)
            *vec_push_in(a, &all) = got.v[k];
        if (view->span_count > 1)
            all.n = sort_strs_unique(all.v, all.n);
    }
    if (damage.segments)
        view_segment_damage(view, &damage);
    *out = all.v;
    *out_n = q->limit ? MIN(all.n, q->limit + 1) : all.n;
    return true;
}

/* ---- exemplars ---- */

static bool view_exemplars(struct series_view *v, const struct select_query *q, struct arena *a,
                           struct budget *b, struct series_exemplars **out, size_t *out_n,
                           struct err *e)
{
    struct select_query any_time = *q; // an exemplar may be of another time than its series' rows
    struct series_set set;
    VEC(struct series_exemplars) found = { 0 };

    any_time.min_ms = INT64_MIN;
    any_time.max_ms = INT64_MAX;
    if (!view_select(v, &any_time, a, b, &set, e))
        return false;
    for (size_t i = 0; i < set.n; i++) {
        struct series_exemplars x = { .series = set.v[i].labels };

        if (!budget_step(b, 1, e))
            return false;
        x.v = exemplars_of(view_of(v)->tenant->exemplars, set.v[i].fingerprint, q->min_ms,
                           q->max_ms, a, &x.n);
        if (x.n)
            *vec_push_in(a, &found) = x;
    }
    *out = found.v;
    *out_n = found.n;
    return true;
}

/* ---- snapshots ---- */

static void view_put(struct series_view *v)
{
    struct metrics_view *view = view_of(v);

    for (size_t i = 0; i < view->span_count; i++) {
        span_view_put(view->spans[i].rows);
        catalog_view_put(view->spans[i].catalog);
        span_put(view->spans[i].s);
    }
    arena_fini(&view->arena);
    arena_fini(&view->warnings_arena);
    mutex_fini(&view->warnings_mu);
    xfree(view);
}

static const struct series_view_ops ops = {
    .select = view_select,
    .scan = metrics_view_scan,
    .label_strings = view_label_strings,
    .exemplars = view_exemplars,
    .warnings = metrics_view_warnings,
    .put = view_put,
};

static bool overlaps(const struct span *s, int64_t min_ms, int64_t max_ms)
{
    return s->min_ms <= max_ms && s->max_ms > min_ms;
}

// Opens what was not needed before. One damaged beyond use is left out, and said.
static bool open_spans(struct metrics_view *view, int64_t min_ms, int64_t max_ms, struct err *e)
{
    struct metrics_tenant *t = view->tenant;
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(t, &a);

    for (size_t i = 0; i < list.n; i++) {
        struct err why = { 0 };

        if (!overlaps(list.v[i], min_ms, max_ms) || span_open(list.v[i], false, &why))
            continue;
        if (why.kind != ERR_CORRUPT) {
            *e = why;
            return false;
        }
        view_damage(view, "a damaged partition is left out", str_c(list.v[i]->name), &why);
    }
    return true;
}

bool metrics_view_open(struct series_source *src, int64_t min_ms, int64_t max_ms,
                       struct series_view **out, struct err *e)
{
    struct metrics_tenant *t = CONTAINER_OF(src, struct metrics_tenant, source);
    struct metrics_view *view = xcalloc(1, sizeof *view);

    view->base.ops = &ops;
    view->tenant = t;
    mutex_init(&view->warnings_mu, "view_warnings", RANK_LEAF);
    if (!open_spans(view, min_ms, max_ms, e)) {
        view_put(&view->base);
        return false;
    }
    LOCKED(&t->snapshot_mu);
    view->batches = batch_view_locked(t, &view->arena);
    view->spans = arena_array(&view->arena, t->spans.n, struct view_span);
    for (size_t i = 0; i < t->spans.n; i++) {
        struct span *s = t->spans.v[i];

        if (!overlaps(s, min_ms, max_ms) ||
            !atomic_load_explicit(&s->is_open, memory_order_acquire))
            continue;
        view->spans[view->span_count++] = (struct view_span){ span_get(s), span_view_get_locked(s),
                                                              catalog_view_get(s->catalog) };
    }
    view_damages_locked(view, min_ms, max_ms);
    *out = &view->base;
    return true;
}
