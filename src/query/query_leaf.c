/*
 * query_leaf.c - selectors: selecting series, and the value of a series at each step.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "model/histogram_ops.h"
#include "query/query_loops.h"
#include "query/query_priv.h"

/* ---- scans ---- */

static struct flow_series leaf_series(const struct series_entry *s)
{
    return (struct flow_series){ .labels = s->labels, .stable = true };
}

/* ---- histograms of which only count and sum are wanted ---- */

static bool leaf_wants_stats(const struct query *q, const struct promql_node *selector)
{
    for (size_t i = 0; i < q->stat_selectors.n; i++)
        if (q->stat_selectors.v[i] == selector)
            return true;
    return false;
}

// Without buckets; a reset since the histogram before is said by the hint, as nothing else can.
static const struct histogram *hist_stats(struct arena *a, const struct histogram *h,
                                          const struct histogram *last)
{
    struct histogram *s = arena_new(a, struct histogram);

    s->schema = h->schema;
    s->count = h->count;
    s->sum = h->sum;
    s->reset = h->reset;
    if (h->reset == HIST_RESET_UNKNOWN && last)
        s->reset = histogram_is_reset(h, last) ? HIST_RESET_YES : HIST_RESET_NO;
    return s;
}

/* ---- range selectors ---- */

struct splitter {
    struct query *q;
    const struct series_set *set;
    struct flow_split to;
    bool stats;
};

// Copies what is not stale to arrays of its own; needed with histograms or stale markers only.
static struct split split_copy(struct arena *a, const struct series_samples *s, bool stats)
{
    const struct histogram *last = NULL;
    int64_t *ft = arena_raw(a, (s->n + 1) * sizeof *ft),
            *ht = arena_raw(a, (s->n + 1) * sizeof *ht);
    int64_t *fs = NULL, *hs = NULL;
    double *fv = arena_raw(a, (s->n + 1) * sizeof *fv);
    const struct histogram **hv = arena_raw(a, (s->n + 1) * sizeof *hv);
    struct split x = { .ft = ft, .ht = ht, .fv = fv, .hv = hv };

    if (s->start_ms) {
        x.fs = fs = arena_raw(a, (s->n + 1) * sizeof *fs);
        x.hs = hs = arena_raw(a, (s->n + 1) * sizeof *hs);
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct histogram *h = s->hist ? s->hist[i] : NULL;

        if (h ? histogram_is_stale(h) : sample_is_stale(s->value[i]))
            continue;
        if (h) {
            ht[x.hn] = s->t_ms[i];
            if (hs)
                hs[x.hn] = s->start_ms[i];
            hv[x.hn++] = stats ? hist_stats(a, h, last) : h;
            last = h;
        } else {
            ft[x.fn] = s->t_ms[i];
            if (fs)
                fs[x.fn] = s->start_ms[i];
            fv[x.fn++] = s->value[i];
        }
    }
    return x;
}

static bool split_visit(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e)
{
    struct splitter *k = ctx;
    struct query *q = k->q;
    struct flow_series fs = leaf_series(&k->set->v[pos]);
    struct arena_mark mark = arena_mark(q->scratch);
    struct split x = { .ft = s->t_ms, .fv = s->value, .fs = s->start_ms, .fn = s->n };

    if (!query_account(q, s->n, e))
        return false;
    if (s->start_ms && !loop_any_nonzero(s->start_ms, s->n))
        x.fs = NULL; // none is known
    if (s->hist || loop_any_stale(s->value, s->n))
        x = split_copy(q->scratch, s, k->stats);
    bool ok = x.fn + x.hn == 0 || k->to.push(k->to.ctx, &fs, &x, e);
    arena_release(q->scratch, mark);
    return ok;
}

bool leaf_scan(struct query *q, const struct promql_node *selector, struct leaf_span span,
               struct flow_split to, struct err *e)
{
    struct series_set set;
    struct splitter k = { q, &set, to, leaf_wants_stats(q, selector) };
    struct scan_query s = { .max_ms = span.hi_ms,
                            .need_start = span.starts,
                            .times_only = plan_is_presence_only(q, selector) };

    s.min_ms = span.lo_ms - k.stats; // the one before tells of resets
    if (!query_select(q, selector, s.min_ms, span.hi_ms, &set, e))
        return false;
    if (span.op)
        span.op->set = &set;
    bool ok = q->view->ops->scan(q->view, &set, &s, q->budget, split_visit, &k, e);
    if (span.op)
        span.op->set = NULL;
    return ok;
}

/* ---- a range selector at the top ---- */

struct range_top {
    struct query *q;
    const struct promql_node *selector;
    int64_t lo_ms, hi_ms; // of the plain range: exclusive, inclusive
    struct flow_split to;
};

static bool range_top_push(void *ctx, const struct flow_series *s, const struct split *x,
                           struct err *e)
{
    struct range_top *k = ctx;
    const char *word = k->selector->selector.anchored ? "anchored" : "smoothed";
    struct arena *a = k->q->scratch;

    if (!k->selector->selector.anchored && !k->selector->selector.smoothed)
        return k->to.push(k->to.ctx, s, x, e);
    if (x->hn)
        return query_fail(k->q, e, ERR_CONFLICT, "%s modifier is not supported with histograms",
                          word);
    struct split wide = extend_floats(a, x, k->lo_ms, k->hi_ms, k->selector->selector.smoothed);
    return wide.fn == 0 || k->to.push(k->to.ctx, s, &wide, e);
}

bool leaf_range_run(struct query *q, const struct promql_node *n, int64_t t_ms,
                    struct flow_split to, struct err *e)
{
    const struct promql_node *sel = n->range.selector;
    struct range_top k = { .q = q, .selector = sel, .to = to };
    int64_t lo, hi;

    if (sel->selector.at != AT_NONE)
        t_ms = plan_at_ms(q, sel->selector.at, sel->selector.at_ms);
    k.hi_ms = hi = t_ms - sel->selector.offset_ms;
    k.lo_ms = lo = hi - n->range.range_ms;
    if (sel->selector.anchored || sel->selector.smoothed)
        lo -= q->lookback_ms;
    if (sel->selector.smoothed)
        hi += q->lookback_ms;
    return leaf_scan(q, sel, (struct leaf_span){ lo + 1, hi, false, NULL },
                     (struct flow_split){ range_top_push, &k }, e);
}

/* ---- instant selectors ---- */

enum leaf_mode { LEAF_VALUE, LEAF_TIME, LEAF_START, LEAF_INFO };

struct leaf_plan { // which sample each step sees: the same for series with the same times
    int64_t *t;
    size_t n, cap;
    uint32_t *at; // per step that sees one
    uint64_t *has;
    int64_t count; // of steps that see one
    bool set;
};

struct leaf {
    struct op op;
    enum leaf_mode mode;
    struct query *q;
    struct series_set set;
    struct flow to;
    struct column column;
    const struct histogram **hists; // room for the column's
    bool stats;
    struct leaf_plan plan;
};

// Time that step i looks at.
static int64_t leaf_ref(const struct leaf *o, size_t i)
{
    const struct promql_node *n = o->op.node;
    int64_t t = n->selector.at == AT_NONE ? grid_time(&o->op.grid, i)
                                          : plan_at_ms(o->q, n->selector.at, n->selector.at_ms);

    return t - n->selector.offset_ms;
}

static const struct histogram *leaf_stats(struct leaf *o, const struct series_samples *s,
                                          size_t step, size_t at)
{
    const struct histogram *last = NULL;

    for (size_t i = at; i-- > 0 && s->t_ms[i] >= leaf_ref(o, step) - o->q->lookback_ms && !last;)
        if (s->hist[i] && !histogram_is_stale(s->hist[i]))
            last = s->hist[i];
    return hist_stats(o->q->scratch, s->hist[at], last);
}

static void leaf_put(struct leaf *o, const struct series_samples *s, size_t step, size_t at)
{
    struct column *c = &o->column;
    const struct histogram *h = s->hist ? s->hist[at] : NULL;
    int64_t weight = 1;

    if (h ? histogram_is_stale(h) : sample_is_stale(s->value[at]))
        return;
    if (o->mode == LEAF_TIME) {
        column_put(c, step, (double)s->t_ms[at] / 1000);
    } else if (o->mode == LEAF_START) {
        column_put(c, step, s->start_ms ? (double)s->start_ms[at] / 1000 : 0);
    } else if (o->mode == LEAF_INFO && !h) {
        column_put(c, step, (double)s->t_ms[at]);
    } else if (h) {
        c->hist = o->hists;
        c->hist[step] = o->stats ? leaf_stats(o, s, step, at) : h;
        column_put(c, step, 0);
        weight = (int64_t)histogram_samples(h);
    } else {
        column_put(c, step, s->value[at]);
    }
    tally_add(o->q->tally, step, weight, weight);
}

static void leaf_plan_make(struct leaf *o, const struct series_samples *s)
{
    struct leaf_plan *p = &o->plan;
    size_t steps = o->column.n, j = 0;

    if (p->set && p->n == s->n && memcmp(p->t, s->t_ms, s->n * sizeof *p->t) == 0)
        return;
    if (s->n > p->cap) {
        p->cap = s->n + s->n / 2;
        p->t = arena_array(o->q->keep, p->cap, int64_t);
    }
    memcpy(p->t, s->t_ms, s->n * sizeof *p->t);
    memset(p->has, 0, column_words(steps) * sizeof *p->has);
    p->n = s->n;
    p->set = true;
    p->count = 0;
    for (size_t i = 0; i < steps; i++) {
        int64_t ref = leaf_ref(o, i);

        while (j < s->n && s->t_ms[j] <= ref)
            j++;
        if (!j || s->t_ms[j - 1] <= ref - o->q->lookback_ms)
            continue;
        p->at[i] = (uint32_t)(j - 1);
        p->has[i / 64] |= UINT64_C(1) << (i % 64);
        p->count++;
    }
}

// Floats without stale markers: what each step sees is known from the times.
static bool leaf_column(struct leaf *o, const struct series_samples *s)
{
    struct column *c = &o->column;
    struct leaf_plan *p = &o->plan;
    struct tally *t = o->q->tally;

    if (s->hist || o->mode != LEAF_VALUE || s->n >= UINT32_MAX || loop_any_stale(s->value, s->n))
        return false;
    leaf_plan_make(o, s);
    memcpy(c->has, p->has, column_words(c->n) * sizeof *c->has);
    for (size_t at, end = 0; column_run(p->has, c->n, &at, &end);)
        for (size_t i = at; i < end; i++)
            c->v[i] = s->value[p->at[i]];
    if (t->total_step || t->read_step)
        FOR_STEPS(i, c)
    tally_add(t, i, 1, 1);
    else
    {
        t->total += p->count;
        t->read += p->count;
    }
    return true;
}

static void leaf_steps(struct leaf *o, const struct series_samples *s)
{
    size_t j = 0;

    column_clear(&o->column);
    for (size_t i = 0; i < o->column.n; i++) {
        int64_t ref = leaf_ref(o, i);

        while (j < s->n && s->t_ms[j] <= ref)
            j++;
        if (j && s->t_ms[j - 1] > ref - o->q->lookback_ms)
            leaf_put(o, s, i, j - 1);
    }
}

static bool leaf_push(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e)
{
    struct leaf *o = ctx;
    struct query *q = o->q;
    struct flow_series fs = leaf_series(&o->set.v[pos]);
    struct arena_mark mark = arena_mark(q->scratch);

    fs.drop_name = o->mode == LEAF_TIME || o->mode == LEAF_START;
    o->column.hist = NULL;
    if (s->hist) // a float next to histograms must not find those of the series before
        memset(o->hists, 0, o->column.n * sizeof(void *));
    if (!leaf_column(o, s))
        leaf_steps(o, s);
    struct column c = o->column; // the receiver may take its histogram array away
    bool ok = query_account(q, s->n + c.n, e) &&
              (column_is_empty(&c) || o->to.push(o->to.ctx, &fs, &c, e));
    arena_release(q->scratch, mark);
    return ok;
}

static bool leaf_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct leaf *o = (struct leaf *)op;
    struct scan_query s = { .need_start = o->mode == LEAF_START,
                            .times_only = o->mode != LEAF_VALUE ||
                                          plan_is_presence_only(q, op->node) };

    o->q = q;
    o->to = to;
    o->column = column_new(q->keep, op->grid.n);
    o->hists = arena_array(q->keep, op->grid.n, const struct histogram *);
    o->stats = leaf_wants_stats(q, op->node);
    o->plan.at = arena_array(q->keep, op->grid.n, uint32_t);
    o->plan.has = arena_array(q->keep, column_words(op->grid.n) + 1, uint64_t);
    s.min_ms = leaf_ref(o, 0) - q->lookback_ms + !o->stats; // the one before tells of resets
    s.max_ms = leaf_ref(o, op->grid.n - 1);
    if (!query_select(q, op->node, s.min_ms, s.max_ms, &o->set, e))
        return false;
    op->set = &o->set;
    return q->view->ops->scan(q->view, &o->set, &s, q->budget, leaf_push, o, e);
}

/* ---- smoothed instant selectors: between the neighbours of the step ---- */

static double between(double v1, int64_t t1, double v2, int64_t t2, int64_t t)
{
    return v1 + (v2 - v1) * (double)(t - t1) / (double)(t2 - t1);
}

static void smooth_float(struct leaf *o, const struct split *x, size_t step, size_t lo, size_t hi)
{
    int64_t ref = leaf_ref(o, step);
    size_t i = lo;

    while (i < hi && x->ft[i] < ref)
        i++;
    if (i < hi && x->ft[i] == ref)
        column_put(&o->column, step, x->fv[i]);
    else if (i > lo && i < hi)
        column_put(&o->column, step, between(x->fv[i - 1], x->ft[i - 1], x->fv[i], x->ft[i], ref));
    else if (i > lo)
        column_put(&o->column, step, x->fv[i - 1]);
}

static void smooth_hist(struct leaf *o, const struct flow_series *s, const struct split *x,
                        size_t step, size_t lo, size_t hi)
{
    int64_t ref = leaf_ref(o, step);
    const struct histogram *h = NULL;
    struct query *q = o->q;
    size_t i = lo;

    while (i < hi && x->ht[i] < ref)
        i++;
    if (i < hi && x->ht[i] == ref) {
        h = x->hv[i];
    } else if (i > lo && i < hi) {
        const struct histogram *a = x->hv[i - 1], *b = x->hv[i];

        if (!histogram_is_compatible(a, b))
            note_mixed_schemas(q, s->labels, o->op.node);
        else
            h = hist_between(q, o->op.node, (struct hist_point){ a, x->ht[i - 1] },
                             (struct hist_point){ b, x->ht[i] }, ref,
                             a->reset != HIST_RESET_GAUGE || b->reset != HIST_RESET_GAUGE);
    } else if (i > lo) {
        struct histogram *copy = arena_copy(q->scratch, x->hv[i - 1], sizeof *copy);

        copy->reset = HIST_RESET_UNKNOWN;
        h = copy;
    }
    if (!h)
        return;
    column_want_hists(q->scratch, &o->column);
    o->column.hist[step] = h;
    column_put(&o->column, step, 0);
}

static bool smooth_push(void *ctx, const struct flow_series *s, const struct split *x,
                        struct err *e)
{
    struct leaf *o = ctx;
    struct query *q = o->q;
    size_t f0 = 0, f1 = 0, h0 = 0, h1 = 0;

    o->column.hist = NULL;
    column_clear(&o->column);
    for (size_t i = 0; i < o->column.n; i++) {
        int64_t ref = leaf_ref(o, i), lo = ref - q->lookback_ms, hi = ref + q->lookback_ms;

        for (; f0 < x->fn && x->ft[f0] <= lo; f0++)
            ;
        for (; f1 < x->fn && x->ft[f1] <= hi; f1++)
            ;
        for (; h0 < x->hn && x->ht[h0] <= lo; h0++)
            ;
        for (; h1 < x->hn && x->ht[h1] <= hi; h1++)
            ;
        if (f1 > f0 && h1 > h0)
            note_mixed(q, s->labels, o->op.node);
        else if (h1 > h0)
            smooth_hist(o, s, x, i, h0, h1);
        else if (f1 > f0)
            smooth_float(o, x, i, f0, f1);
    }
    return column_is_empty(&o->column) || o->to.push(o->to.ctx, s, &o->column, e);
}

static bool smooth_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct leaf *o = (struct leaf *)op;

    o->q = q;
    o->to = to;
    o->column = column_new(q->keep, op->grid.n);
    struct leaf_span span = { leaf_ref(o, 0) - q->lookback_ms + 1,
                              leaf_ref(o, op->grid.n - 1) + q->lookback_ms, false, op };

    return leaf_scan(q, op->node, span, (struct flow_split){ smooth_push, o }, e);
}

struct op *leaf_new(struct query *q, const struct promql_node *n, struct grid g)
{
    struct leaf *o = arena_new(q->keep, struct leaf);

    o->op = (struct op){ .run = n->selector.smoothed ? smooth_run : leaf_run,
                         .node = n,
                         .grid = g };
    return &o->op;
}

struct op *leaf_timestamp_new(struct query *q, const struct promql_node *n, struct grid g,
                              bool start_time)
{
    struct leaf *o = arena_new(q->keep, struct leaf);

    o->op = (struct op){ .run = leaf_run, .node = n, .grid = g };
    o->mode = start_time ? LEAF_START : LEAF_TIME;
    if (start_time && q->engine->no_start_times) {
        o->op.grid.n = 0;
        struct op *none = plan_vector(q, n, o->op.grid, &(struct err){ 0 }); // an empty operator
        return none;
    }
    return &o->op;
}

struct op *leaf_info_new(struct query *q, const struct promql_node *n, struct grid g)
{
    struct leaf *o = arena_new(q->keep, struct leaf);

    o->op = (struct op){ .run = leaf_run, .node = n, .grid = g };
    o->mode = LEAF_INFO;
    return &o->op;
}
