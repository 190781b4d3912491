/*
 * query_agg.c - sum avg min max group count stddev stdvar quantile: series fold into groups.
 *
 * A group is one array per piece of state over the steps; input series are forgotten once folded
 * (quantile keeps their columns). Order of folding is the order of the flow: storage order.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "model/histogram_ops.h"
#include "query/query_loops.h"
#include "query/query_priv.h"

struct hist_cell {         // histograms of one group at one step
    struct hist_mean mean; // avg: whole; sum: its acc alone
    bool started, incompatible, reset, not_reset;
};

struct group {
    struct labels labels;
    bool drop_name;
    uint64_t *seen;       // floats, or any sample where kinds do not matter
    double *v, *c, *n;    // value or sum or mean; compensation or spread; count
    uint8_t *incremental; // avg: v is the mean, as the sum would overflow
    struct hist_cell **cell;
    VEC(struct column) all; // quantile
};

struct agg {
    struct op op;
    enum promql_agg fn;
    struct op *from;
    struct names by;
    bool without;
    const struct promql_node *at;
    double *param;
    struct query *q;
    struct key_index *index;
    VEC(struct group) groups;
    struct buf key;
    int64_t held;
};

/* ---- floats ---- */

static bool group_is_new(struct group *g, size_t i)
{
    uint64_t bit = UINT64_C(1) << (i % 64);
    bool is_new = !(g->seen[i / 64] & bit);

    g->seen[i / 64] |= bit;
    return is_new;
}

static void fold_sum(struct group *g, const struct column *c, size_t i)
{
    if (group_is_new(g, i))
        g->v[i] = c->v[i];
    else
        sum_add(c->v[i], &g->v[i], &g->c[i]);
}

static void fold_avg_incremental(struct group *g, size_t i, double x)
{
    double share = (g->n[i] - 1) / g->n[i];

    g->v[i] *= share;
    g->c[i] *= share;
    sum_add(x / g->n[i], &g->v[i], &g->c[i]);
}

static void fold_avg(struct query *q, struct group *g, const struct column *c, size_t i)
{
    double x = c->v[i];

    g->n[i]++;
    if (group_is_new(g, i)) {
        g->v[i] = x;
        return;
    }
    if (g->incremental && g->incremental[i]) {
        fold_avg_incremental(g, i, x);
        return;
    }
    double sum = g->v[i], comp = g->c[i];
    sum_add(x, &sum, &comp);
    if (!isinf(sum)) {
        g->v[i] = sum;
        g->c[i] = comp;
        return;
    }
    if (!g->incremental)
        g->incremental = arena_array(q->keep, c->n, uint8_t);
    g->incremental[i] = 1;
    g->v[i] /= g->n[i] - 1;
    g->c[i] /= g->n[i] - 1;
    fold_avg_incremental(g, i, x);
}

static void fold_variance(struct group *g, const struct column *c, size_t i)
{
    double x = c->v[i];

    g->n[i]++;
    if (group_is_new(g, i)) {
        g->v[i] = x;
        g->c[i] = isnan(x) || isinf(x) ? NAN : 0;
        return;
    }
    double delta = x - g->v[i];
    g->v[i] += delta / g->n[i];
    g->c[i] += delta * (x - g->v[i]);
}

static void fold_max(struct group *g, const struct column *c, size_t i)
{
    if (group_is_new(g, i) || g->v[i] < c->v[i] || isnan(g->v[i]))
        g->v[i] = c->v[i];
}

static void fold_min(struct group *g, const struct column *c, size_t i)
{
    if (group_is_new(g, i) || g->v[i] > c->v[i] || isnan(g->v[i]))
        g->v[i] = c->v[i];
}

/* ---- histograms ---- */

static struct hist_cell *group_cell(struct query *q, struct group *g, size_t n, size_t i)
{
    if (!g->cell)
        g->cell = arena_array(q->keep, n, struct hist_cell *);
    if (!g->cell[i])
        g->cell[i] = arena_new(q->keep, struct hist_cell);
    return g->cell[i];
}

static void fold_hist(struct agg *o, struct group *g, const struct column *c, size_t i,
                      struct labels ls)
{
    struct query *q = o->q;
    struct hist_cell *k = group_cell(q, g, c->n, i);
    const struct histogram *h = c->hist[i];
    unsigned notes = 0;

    if (k->incompatible || g->seen[i / 64] >> (i % 64) & 1)
        return; // next to a float nothing comes of it
    k->reset |= h->reset == HIST_RESET_YES;
    k->not_reset |= h->reset == HIST_RESET_NO;
    if (o->fn == AGG_AVG) {
        if (!k->started)
            hist_mean_init(&k->mean, q->keep);
        notes = hist_mean_add(&k->mean, h);
    } else if (!k->started) {
        hist_acc_init(&k->mean.acc, q->keep);
        hist_acc_set(&k->mean.acc, h);
    } else {
        notes = hist_acc_add_exact(&k->mean.acc, h);
    }
    k->started = true;
    if (notes & HIST_NOTE_INCOMPATIBLE) {
        k->incompatible = true;
        note_mixed_schemas(q, ls, o->at);
    }
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, o->at, HIST_AGG);
}

// The histogram of a group at a step; NULL: none comes of it.
static const struct histogram *group_hist(struct agg *o, struct group *g, size_t i)
{
    struct hist_cell *k = g->cell ? g->cell[i] : NULL;
    struct query *q = o->q;

    if (!k)
        return NULL;
    if (g->seen[i / 64] >> (i % 64) & 1) {
        query_note(q, NOTE_WARNING, o->at,
                   "PromQL warning: encountered a mix of histograms and floats for aggregation");
        g->seen[i / 64] &= ~(UINT64_C(1) << (i % 64));
        return NULL;
    }
    if (k->incompatible || !k->started)
        return NULL;
    if (k->reset && k->not_reset)
        note_reset_collision(q, o->at, HIST_AGG);
    if (o->fn == AGG_AVG)
        return hist_mean_get(&k->mean, q->scratch, true);
    hist_acc_fold(&k->mean.acc);
    return hist_acc_get(&k->mean.acc, q->scratch, true);
}

/* ---- folding ---- */

static void fold_floats(struct agg *o, struct group *g, const struct column *c, size_t i)
{
    switch (o->fn) {
    case AGG_SUM:
        fold_sum(g, c, i);
        break;
    case AGG_AVG:
        fold_avg(o->q, g, c, i);
        break;
    case AGG_MIN:
        fold_min(g, c, i);
        break;
    case AGG_MAX:
        fold_max(g, c, i);
        break;
    case AGG_COUNT:
        group_is_new(g, i);
        g->v[i]++;
        break;
    case AGG_STDDEV:
    case AGG_STDVAR:
        fold_variance(g, c, i);
        break;
    default:
        group_is_new(g, i);
    }
}

static void fold_with_hists(struct agg *o, struct group *g, struct column *c, struct labels ls)
{
    bool counts = o->fn == AGG_COUNT || o->fn == AGG_GROUP;
    bool ignored = !counts && o->fn != AGG_SUM && o->fn != AGG_AVG;

    FOR_STEPS(i, c)
    {
        if (!c->hist[i] || counts)
            fold_floats(o, g, c, i);
        else if (ignored)
            note_ignored_hist(o->q, promql_agg_name(o->fn), o->at);
        else
            fold_hist(o, g, c, i, ls);
    }
}

// Folds x into steps that the group has.
static void fold_run(struct agg *o, struct group *g, const double *x, size_t at, size_t n)
{
    switch (o->fn) {
    case AGG_SUM:
    case AGG_AVG:
        loop_add(g->v + at, g->c + at, x, n);
        break;
    case AGG_MIN:
        loop_min(g->v + at, x, n);
        break;
    case AGG_MAX:
        loop_max(g->v + at, x, n);
        break;
    default:
        break;
    }
}

// Steps that the group has are folded into, the others become the first of their step.
static void fold_words(struct agg *o, struct group *g, const struct column *c)
{
    double *count = o->fn == AGG_COUNT ? g->v : o->fn == AGG_AVG ? g->n : NULL;

    for (size_t w = 0; w < column_words(c->n); w++) {
        uint64_t new = c->has[w] & ~g->seen[w], both = c->has[w] & g->seen[w];
        const double *x = c->v + w * 64;

        for (size_t at, end = 0; count && c->has[w] && column_run(&c->has[w], 64, &at, &end);)
            for (size_t i = at; i < end; i++)
                count[w * 64 + i]++;
        g->seen[w] |= new;
        if (o->fn == AGG_COUNT || o->fn == AGG_GROUP)
            continue;
        for (size_t at, end = 0; both && column_run(&both, 64, &at, &end);)
            fold_run(o, g, x + at, w * 64 + at, end - at);
        for (size_t at, end = 0; new &&column_run(&new, 64, &at, &end);)
            memcpy(g->v + w * 64 + at, x + at, (end - at) * sizeof *g->v);
    }
}

static bool is_variance(enum promql_agg fn)
{
    return fn == AGG_STDDEV || fn == AGG_STDVAR;
}

// A mean must watch its sum; one that may overflow goes step by step.
static bool avg_may_overflow(const struct group *g, const struct column *c)
{
    return g->incremental || loop_any_beyond(g->v, c->n, 0x1p1000) ||
           loop_any_beyond(c->v, c->n, 0x1p1000);
}

static bool keep_column(struct agg *o, struct group *g, struct column *c, struct err *e)
{
    if (c->hist) {
        FOR_STEPS(i, c)
        {
            if (!c->hist[i])
                continue;
            note_ignored_hist(o->q, "quantile", o->at);
            column_del(c, i);
        }
        c->hist = NULL;
    }
    for (size_t i = 0; i < column_words(c->n); i++)
        g->seen[i] |= c->has[i];
    int64_t samples = (int64_t)column_count(c);
    o->held += samples;
    *vec_push_in(o->q->keep, &g->all) = column_copy(o->q->keep, c);
    return query_hold(o->q, samples, e);
}

static struct group *agg_group(struct agg *o, const struct flow_series *s)
{
    struct query *q = o->q;
    size_t n = o->op.grid.n;
    bool added;

    buf_reset(&o->key);
    key_of_labels(&o->key, s->labels, &o->by, !o->without);
    uint32_t i = key_index_put(o->index, buf_view(&o->key), &added);
    if (!added)
        return &o->groups.v[i];
    struct group *g = vec_push_in(q->keep, &o->groups);
    g->labels = o->without ? labels_without(q->keep, s->labels, &o->by, true)
                           : labels_keep(q->keep, s->labels, &o->by);
    if (!s->stable)
        g->labels = labels_copy(q->keep, g->labels);
    g->seen = arena_array(q->keep, column_words(n) + 1, uint64_t);
    if (o->fn != AGG_QUANTILE && o->fn != AGG_GROUP)
        g->v = arena_array(q->keep, n, double);
    if (o->fn == AGG_SUM || o->fn == AGG_AVG || o->fn == AGG_STDDEV || o->fn == AGG_STDVAR)
        g->c = arena_array(q->keep, n, double);
    if (o->fn == AGG_AVG || o->fn == AGG_STDDEV || o->fn == AGG_STDVAR)
        g->n = arena_array(q->keep, n, double);
    return g;
}

static bool agg_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct agg *o = ctx;
    struct group *g = agg_group(o, s);

    g->drop_name |= s->drop_name;
    if (!query_account(o->q, 1, e))
        return false;
    if (o->fn == AGG_QUANTILE)
        return keep_column(o, g, c, e);
    if (c->hist)
        fold_with_hists(o, g, c, s->labels);
    else if (o->fn == AGG_AVG ? !avg_may_overflow(g, c) : !is_variance(o->fn))
        fold_words(o, g, c);
    else
        FOR_STEPS(i, c)
    fold_floats(o, g, c, i);
    return true;
}

/* ---- results ---- */

static double group_quantile(struct agg *o, struct group *g, size_t step, double *room)
{
    size_t n = 0;

    for (size_t i = 0; i < g->all.n; i++)
        if (column_has(&g->all.v[i], step))
            room[n++] = g->all.v[i].v[step];
    return quantile_of(o->param[step], room, n);
}

static double group_value(struct agg *o, struct group *g, size_t i, double *room)
{
    switch (o->fn) {
    case AGG_SUM:
        return g->v[i] + g->c[i];
    case AGG_AVG:
        if (g->incremental && g->incremental[i])
            return g->v[i] + g->c[i];
        return g->v[i] / g->n[i] + g->c[i] / g->n[i];
    case AGG_STDVAR:
        return g->c[i] / g->n[i];
    case AGG_STDDEV:
        return sqrt(g->c[i] / g->n[i]);
    case AGG_GROUP:
        return 1;
    case AGG_QUANTILE:
        return group_quantile(o, g, i, room);
    default:
        return g->v[i];
    }
}

static bool agg_emit(struct agg *o, struct group *g, struct column *out, double *room,
                     struct flow to, struct err *e)
{
    struct flow_series s = { .labels = g->labels, .drop_name = g->drop_name, .stable = true };
    struct query *q = o->q;
    struct arena_mark mark = arena_mark(q->scratch);
    struct column c = *out;

    column_clear(&c);
    c.hist = NULL;
    for (size_t i = 0; g->cell && i < c.n; i++) {
        const struct histogram *h = group_hist(o, g, i);

        if (!h)
            continue;
        column_want_hists(q->scratch, &c);
        c.hist[i] = h;
        column_put(&c, i, 0);
    }
    struct column seen = { .has = g->seen, .n = c.n };
    FOR_STEPS(i, &seen)
    column_put(&c, i, group_value(o, g, i, room));
    bool ok = query_account(q, c.n, e) && (column_is_empty(&c) || to.push(to.ctx, &s, &c, e));
    arena_release(q->scratch, mark);
    return ok;
}

static void agg_check_quantile(struct agg *o)
{
    double lo = INFINITY, hi = -INFINITY;
    bool nan = false;
    const struct promql_node *at = plan_unwrap(o->op.node->aggregate.param);

    for (size_t i = 0; i < o->op.grid.n; i++) {
        nan |= isnan(o->param[i]);
        lo = fmin(lo, o->param[i]);
        hi = fmax(hi, o->param[i]);
    }
    if (nan)
        note_bad_quantile(o->q, NAN, at);
    if (hi > 1)
        note_bad_quantile(o->q, hi, at);
    if (lo < 0)
        note_bad_quantile(o->q, lo, at);
}

static bool agg_finish(struct agg *o, struct flow to, struct err *e)
{
    struct column out = column_new(o->q->keep, o->op.grid.n);
    double *room = NULL;
    size_t most = 0;

    for (size_t i = 0; i < o->groups.n; i++)
        most = MAX(most, o->groups.v[i].all.n);
    if (most)
        room = arena_array(o->q->keep, most, double);
    for (size_t i = 0; i < o->groups.n; i++)
        if (!agg_emit(o, &o->groups.v[i], &out, room, to, e))
            return false;
    query_release(o->q, o->held);
    return true;
}

static bool agg_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct agg *o = (struct agg *)op;

    o->index = key_index_new(q);
    if (o->fn == AGG_QUANTILE)
        agg_check_quantile(o);
    bool ok = o->from->run(o->from, q, (struct flow){ agg_push, o }, e);
    buf_fini(&o->key);
    return ok && agg_finish(o, to, e);
}

struct op *agg_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e)
{
    struct agg *o = arena_new(q->keep, struct agg);

    o->op = (struct op){ .run = agg_run, .node = n, .grid = g };
    o->fn = n->aggregate.op;
    o->by = names_of(q->keep, n->aggregate.grouping, n->aggregate.grouping_count);
    o->without = n->aggregate.without;
    o->at = plan_unwrap(n->aggregate.expr);
    o->q = q;
    if (n->aggregate.param && !scalar_eval(q, n->aggregate.param, g, &o->param, e))
        return NULL;
    o->op.distinct = o->without || names_has_metadata(&o->by) ? DISTINCT_NO : DISTINCT_YES;
    if (o->fn == AGG_COUNT || o->fn == AGG_GROUP)
        plan_presence_only(q, n->aggregate.expr);
    o->from = plan_vector(q, n->aggregate.expr, g, e);
    return o->from ? &o->op : NULL;
}
