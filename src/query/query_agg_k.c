/*
 * query_agg_k.c - topk bottomk limitk limit_ratio, and count_values.
 *
 * Per step and group a heap of at most k (value, series) pairs. As upstream: series count in the
 * order in which they come from below, a later one never displaces an equal value, and which of
 * equal ones leaves is up to the heap, which moves its entries as Go's container/heap does.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/sort.h"
#include "model/histogram_ops.h"
#include "query/query_priv.h"

struct k_entry {
    double v;
    const struct histogram *hist;
    uint32_t series;
};

struct k_cell {
    struct k_entry *v; // the worst first
    size_t n, cap;
};

struct k_group {
    struct k_cell *cell; // per step
};

struct agg_k {
    struct op op;
    enum promql_agg fn;
    struct op *from;
    struct names by;
    bool without;
    double *param;
    bool none; // no step asks for anything
    struct query *q;
    struct key_index *index;
    VEC(struct k_group) groups;
    VEC(struct flow_series) series;
    struct flow to;
    int64_t held;
};

/* ---- the heap ---- */

// a is to leave before b. NaN leaves first; not an order among several NaN, as upstream.
static bool is_worse(const struct agg_k *o, const struct k_entry *a, const struct k_entry *b)
{
    if (isnan(a->v))
        return true;
    return o->fn == AGG_BOTTOMK ? a->v > b->v : a->v < b->v;
}

// x displaces the worst of a full heap.
static bool is_better(const struct agg_k *o, const struct k_entry *x, const struct k_entry *worst)
{
    if (o->fn == AGG_LIMITK)
        return false;
    if (isnan(worst->v))
        return !isnan(x->v);
    return o->fn == AGG_BOTTOMK ? worst->v > x->v : worst->v < x->v;
}

static void heap_down(const struct agg_k *o, struct k_entry *v, size_t n, size_t i)
{
    for (;;) {
        size_t worst = 2 * i + 1;

        if (worst >= n)
            return;
        if (worst + 1 < n && is_worse(o, &v[worst + 1], &v[worst]))
            worst++;
        if (!is_worse(o, &v[worst], &v[i]))
            return;
        struct k_entry swap = v[i];
        v[i] = v[worst];
        v[worst] = swap;
        i = worst;
    }
}

// Invariant of a heap: no entry is worse than the one above it; v[0] is the worst of all.
static void heap_up(const struct agg_k *o, struct k_entry *v, size_t i)
{
    while (i && is_worse(o, &v[i], &v[(i - 1) / 2])) {
        struct k_entry swap = v[i];

        v[i] = v[(i - 1) / 2];
        v[(i - 1) / 2] = swap;
        i = (i - 1) / 2;
    }
}

// True when the entry was taken.
static bool cell_offer(struct agg_k *o, struct k_cell *c, size_t k, const struct k_entry *x)
{
    if (c->n < k) {
        *(struct k_entry *)vec_push_in(o->q->keep, c) = *x;
        heap_up(o, c->v, c->n - 1);
        o->held++;
        return true;
    }
    if (!is_better(o, x, &c->v[0]))
        return false;
    c->v[0] = *x;
    heap_down(o, c->v, c->n, 0);
    return true;
}

static int by_rank(const void *x, const void *y, void *ctx)
{
    const struct k_entry *a = x, *b = y;
    const struct agg_k *o = ctx;

    if (isnan(a->v) || isnan(b->v))
        return isnan(a->v) - isnan(b->v);
    return is_worse(o, a, b) - is_worse(o, b, a);
}

// Best first; equal ones as the heap had them. limitk does not sort.
static void cell_sort(struct agg_k *o, struct k_cell *c)
{
    if (o->fn != AGG_LIMITK)
        sort_stable(c->v, c->n, sizeof *c->v, by_rank, o);
}

/* ---- input ---- */

static struct k_group *k_group(struct agg_k *o, const struct flow_series *s)
{
    OWNED(buf_fini) struct buf key = { 0 };
    bool added;

    key_of_labels(&key, s->labels, &o->by, !o->without);
    uint32_t i = key_index_put(o->index, buf_view(&key), &added);
    if (!added)
        return &o->groups.v[i];
    struct k_group *g = vec_push_in(o->q->keep, &o->groups);
    g->cell = arena_array(o->q->keep, o->op.grid.n, struct k_cell);
    return g;
}

static bool k_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct agg_k *o = ctx;
    struct query *q = o->q;
    struct k_group *g = k_group(o, s);
    struct k_entry x = { .series = (uint32_t)o->series.n };
    int64_t held = o->held;
    bool taken = false;

    FOR_STEPS(i, c)
    {
        const struct histogram *h = column_hist(c, i);

        if (!(o->param[i] >= 1))
            continue;
        if (h && o->fn != AGG_LIMITK) {
            note_ignored_hist(q, promql_agg_name(o->fn), o->op.node);
            continue;
        }
        x.v = c->v[i];
        x.hist = h;
        struct k_cell *cell = &g->cell[i];
        if (!cell_offer(o, cell, (size_t)fmin(o->param[i], UINT32_MAX), &x))
            continue;
        taken = true;
        if (h) // what stays has to outlive the push
            for (size_t k = 0; k < cell->n; k++)
                if (cell->v[k].hist == h && cell->v[k].series == x.series)
                    cell->v[k].hist = histogram_copy(q->keep, h);
    }
    if (taken) {
        struct flow_series *to = vec_push_in(q->keep, &o->series);

        *to = *s;
        to->labels = flow_labels_keep(q, s);
        to->stable = true;
    }
    return query_hold(q, o->held - held, e) && query_account(q, 1, e);
}

/* ---- results ---- */

static bool k_emit_instant(struct agg_k *o, struct err *e)
{
    struct column c = column_new(o->q->keep, 1);
    const struct histogram *hist;

    for (size_t i = 0; i < o->groups.n; i++) {
        struct k_cell *cell = &o->groups.v[i].cell[0];

        cell_sort(o, cell);
        for (size_t k = 0; k < cell->n; k++) {
            struct column one = c;

            hist = cell->v[k].hist;
            one.hist = hist ? &hist : NULL;
            column_put(&one, 0, cell->v[k].v);
            if (!o->to.push(o->to.ctx, &o->series.v[cell->v[k].series], &one, e))
                return false;
        }
    }
    return true;
}

static bool k_emit_range(struct agg_k *o, struct err *e)
{
    struct query *q = o->q;
    size_t n = o->op.grid.n;
    struct column *of = arena_array(q->keep, o->series.n + 1, struct column);

    for (size_t g = 0; g < o->groups.n; g++)
        for (size_t i = 0; i < n; i++) {
            const struct k_cell *cell = &o->groups.v[g].cell[i];

            for (size_t k = 0; k < cell->n; k++) {
                struct column *c = &of[cell->v[k].series];

                if (!c->v)
                    *c = column_new(q->keep, n);
                column_put(c, i, cell->v[k].v);
                if (!cell->v[k].hist)
                    continue;
                column_want_hists(q->keep, c);
                c->hist[i] = cell->v[k].hist;
            }
            if (!query_account(q, cell->n, e))
                return false;
        }
    for (size_t i = 0; i < o->series.n; i++)
        if (of[i].v && !o->to.push(o->to.ctx, &o->series.v[i], &of[i], e))
            return false;
    return true;
}

static bool k_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct agg_k *o = (struct agg_k *)op;

    if (o->none)
        return true;
    o->to = to;
    o->index = key_index_new(q);
    if (!o->from->run(o->from, q, (struct flow){ k_push, o }, e))
        return false;
    if (!(op->grid.n == 1 ? k_emit_instant(o, e) : k_emit_range(o, e)))
        return false;
    query_release(q, o->held);
    return true;
}

/* ---- limit_ratio: each series by the hash of its labels ---- */

static void buf_packed(struct buf *b, struct str s)
{
    if (s.n < 255) {
        buf_char(b, (char)s.n);
    } else {
        buf_char(b, (char)255);
        buf_char(b, (char)(s.n & 0xff));
        buf_char(b, (char)(s.n >> 8 & 0xff));
        buf_char(b, (char)(s.n >> 16 & 0xff));
    }
    buf_str(b, s);
}

// Upstream's place of a series in 0..1: XXH64 of its packed labels.
static double ratio_offset(struct labels ls)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < ls.n; i++) {
        buf_packed(&b, ls.v[i].name);
        buf_packed(&b, ls.v[i].value);
    }
    return (double)hash_xxh64(buf_view(&b)) / (double)UINT64_MAX;
}

static bool ratio_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct agg_k *o = ctx;
    double at = ratio_offset(s->labels);

    FOR_STEPS(i, c)
    {
        double r = fmax(-1, fmin(1, o->param[i]));
        bool in = r >= 0 ? at < r : at >= 1.0 + r;

        if (!in || r == 0)
            column_del(c, i);
    }
    return column_is_empty(c) || o->to.push(o->to.ctx, s, c, e);
}

static bool ratio_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct agg_k *o = (struct agg_k *)op;

    if (o->none)
        return true;
    o->to = to;
    return o->from->run(o->from, q, (struct flow){ ratio_push, o }, e);
}

/* ---- parameters ---- */

struct bounds {
    double lo, hi;
    bool nan;
};

static struct bounds param_bounds(const double *v, size_t n)
{
    struct bounds b = { INFINITY, -INFINITY, false };

    for (size_t i = 0; i < n; i++) {
        b.nan |= isnan(v[i]);
        b.lo = fmin(b.lo, v[i]);
        b.hi = fmax(b.hi, v[i]);
    }
    return b;
}

static bool fail_scalar(struct query *q, struct err *e, double v, const char *what)
{
    char text[NUM_TEXT_MAX];
    size_t n = num_format_g(v, text);

    return query_fail(q, e, ERR_CONFLICT, "Scalar value %.*s %s int64", (int)n, text, what);
}

static bool check_k(struct agg_k *o, struct err *e)
{
    struct bounds b = param_bounds(o->param, o->op.grid.n);

    o->none = b.hi < 1 && !(b.nan && b.hi == -INFINITY);
    if (o->none)
        return true;
    if (b.nan)
        return query_fail(o->q, e, ERR_CONFLICT, "Parameter value is NaN");
    if (b.lo <= -0x1p63)
        return fail_scalar(o->q, e, b.lo, "underflows");
    if (b.hi >= 0x1p63)
        return fail_scalar(o->q, e, b.hi, "overflows");
    return true;
}

static void note_ratio(struct agg_k *o, double v, const char *cap)
{
    char text[NUM_TEXT_MAX];
    size_t n = num_format_g(v, text);

    query_note(o->q, NOTE_WARNING, plan_unwrap(o->op.node->aggregate.param),
               "PromQL warning: ratio value should be between -1 and 1, got %.*s, capping to %s",
               (int)n, text, cap);
}

static bool check_ratio(struct agg_k *o, struct err *e)
{
    struct bounds b = param_bounds(o->param, o->op.grid.n);

    o->none = b.hi == 0 && b.lo == 0 && !b.nan;
    if (o->none)
        return true;
    if (b.nan)
        return query_fail(o->q, e, ERR_CONFLICT, "Ratio value is NaN");
    if (b.hi > 1)
        note_ratio(o, b.hi, "1");
    if (b.lo < -1)
        note_ratio(o, b.lo, "-1");
    return true;
}

struct op *agg_k_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e)
{
    struct agg_k *o = arena_new(q->keep, struct agg_k);
    bool ratio = n->aggregate.op == AGG_LIMIT_RATIO;

    o->op = (struct op){ .run = ratio ? ratio_run : k_run, .node = n, .grid = g };
    o->fn = n->aggregate.op;
    o->by = names_of(q->keep, n->aggregate.grouping, n->aggregate.grouping_count);
    o->without = n->aggregate.without;
    o->q = q;
    if (!scalar_eval(q, n->aggregate.param, g, &o->param, e) ||
        !(o->from = plan_vector(q, n->aggregate.expr, g, e)) ||
        !(ratio ? check_ratio(o, e) : check_k(o, e)))
        return NULL;
    o->op.repeats = o->from->repeats;
    o->op.origin = op_origin(o->from);
    return &o->op;
}

/* ---- count_values ---- */

struct values_group {
    struct labels labels;
    struct column column;
};

struct agg_values {
    struct op op;
    struct op *from;
    struct names by; // with the value label, unless without
    bool without;
    struct str label;
    struct query *q;
    struct key_index *index;
    VEC(struct values_group) groups;
};

static struct values_group *values_group(struct agg_values *o, const struct flow_series *s,
                                         struct str value)
{
    struct query *q = o->q;
    struct arena_mark mark = arena_mark(q->scratch);
    struct labels with = labels_with(q->scratch, s->labels, o->label, value);
    OWNED(buf_fini) struct buf key = { 0 };
    bool added;

    key_of_labels(&key, with, &o->by, !o->without);
    uint32_t i = key_index_put(o->index, buf_view(&key), &added);
    if (added) {
        struct labels ls = o->without ? labels_without(q->scratch, with, &o->by, true)
                                      : labels_keep(q->scratch, with, &o->by);

        *(struct values_group *)vec_push_in(q->keep, &o->groups) = (struct values_group){
            labels_copy(q->keep, ls), column_new(q->keep, o->op.grid.n)
        };
    }
    arena_release(q->scratch, mark);
    return &o->groups.v[i];
}

static bool values_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct agg_values *o = ctx;
    struct values_group *g = NULL;
    uint64_t last = 0;

    FOR_STEPS(i, c)
    {
        const struct histogram *h = column_hist(c, i);
        OWNED(buf_fini) struct buf text = { 0 };

        if (!g || h || double_bits(c->v[i]) != last) {
            if (h)
                buf_histogram_text(&text, h);
            else
                buf_double_f(&text, c->v[i]);
            g = values_group(o, s, buf_view(&text));
            last = double_bits(c->v[i]);
        }
        double before = column_has(&g->column, i) ? g->column.v[i] : 0;
        column_put(&g->column, i, before + 1);
        if (h)
            g = NULL;
        if (!query_account(o->q, 1, e))
            return false;
    }
    return true;
}

static bool values_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct agg_values *o = (struct agg_values *)op;

    o->index = key_index_new(q);
    if (!o->from->run(o->from, q, (struct flow){ values_push, o }, e))
        return false;
    for (size_t i = 0; i < o->groups.n; i++) {
        struct flow_series s = { .labels = o->groups.v[i].labels, .stable = true };

        if (!to.push(to.ctx, &s, &o->groups.v[i].column, e))
            return false;
    }
    return true;
}

struct op *agg_values_new(struct query *q, const struct promql_node *n, struct grid g,
                          struct err *e)
{
    struct agg_values *o = arena_new(q->keep, struct agg_values);
    size_t count = n->aggregate.grouping_count;
    struct str *names = arena_array(q->keep, count + 1, struct str);

    o->op = (struct op){ .run = values_run, .node = n, .grid = g };
    o->label = plan_unwrap(n->aggregate.param)->text;
    o->without = n->aggregate.without;
    o->q = q;
    if (!o->label.n || !str_is_utf8(o->label)) {
        OWNED(buf_fini) struct buf quoted = { 0 };

        buf_quoted(&quoted, o->label);
        query_fail(q, e, ERR_CONFLICT, "invalid label name %.*s", STRF(buf_view(&quoted)));
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        names[i] = n->aggregate.grouping[i];
    if (!o->without)
        names[count++] = o->label;
    o->by = names_of(q->keep, names, count);
    o->from = plan_vector(q, n->aggregate.expr, g, e);
    return o->from ? &o->op : NULL;
}
