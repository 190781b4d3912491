/*
 * query_window.c - functions of range vectors: windows over one series at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "query/query_window_priv.h"

bool window_fail(struct window *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->o->failed = true;
    struct query *q = w->o->q;
    if (!q->error.n)
        q->error = arena_str(q->result, str_of(text, MIN((size_t)n, sizeof text - 1)));
    return false;
}

static window_fn window_fn_of(unsigned fn)
{
    switch (fn) {
    case FN_rate:
    case FN_increase:
    case FN_delta:
        return window_rate;
    case FN_irate:
    case FN_idelta:
        return window_instant;
    case FN_resets:
        return window_resets;
    case FN_changes:
        return window_changes;
    default:
        return window_over_time(fn);
    }
}

static bool uses_start(const struct window_op *o)
{
    return !o->q->engine->no_start_times &&
           (o->fn == FN_rate || o->fn == FN_increase || o->fn == FN_irate || o->fn == FN_resets);
}

/* ---- one series ---- */

// Moves the window to the next step; the reads of this step are what the last one did not see.
static void window_move(struct window *w, size_t step)
{
    const struct window_op *o = w->o;
    const struct split *x = w->x;
    int64_t lookback = o->q->lookback_ms;

    w->hi_ms = (o->fixed ? o->fixed_ms : w->t_ms) - o->offset_ms;
    w->lo_ms = w->hi_ms - o->range_ms;
    int64_t lo = o->anchored || o->smoothed ? w->lo_ms - lookback : w->lo_ms;
    int64_t hi = o->smoothed ? w->hi_ms + lookback : w->hi_ms;

    assert(w->f0 <= w->f1 && w->f1 <= x->fn && w->h0 <= w->h1 && w->h1 <= x->hn);
    while (w->f0 < x->fn && x->ft[w->f0] <= lo)
        w->f0++;
    w->f1 = MAX(w->f1, w->f0);
    while (w->f1 < x->fn && x->ft[w->f1] <= hi)
        w->f1++;
    while (w->h0 < x->hn && x->ht[w->h0] <= lo)
        w->h0++;
    w->h1 = MAX(w->h1, w->h0);
    while (w->h1 < x->hn && x->ht[w->h1] <= hi)
        w->h1++;
}

static int64_t hists_weight(const struct split *x, size_t from, size_t to)
{
    int64_t sum = 0;

    for (; from < to; from++)
        sum += (int64_t)histogram_samples(x->hv[from]);
    return sum;
}

static void window_tally(struct window *w, size_t f_seen, size_t h_seen)
{
    struct window_op *o = w->o;
    int64_t total = (int64_t)window_floats(w), read = 0;

    if (window_hists(w))
        total += hists_weight(w->x, w->h0, w->h1);
    if (!o->from_subquery && !(o->fixed && w->step)) {
        read = (int64_t)(w->f1 - MIN(MAX(w->f0, f_seen), w->f1));
        if (window_hists(w))
            read += hists_weight(w->x, MIN(MAX(w->h0, h_seen), w->h1), w->h1);
    }
    tally_add(o->tally, w->step, total, read);
    w->weight = total;
    o->op.held_peak = MAX(o->op.held_peak, o->held + total);
}

static void window_note_counter(const struct window_op *o, struct labels ls)
{
    struct query *q = o->q;
    struct str name = labels_get(ls, LABEL_NAME), type = labels_get(ls, STR("__type__"));
    OWNED(buf_fini) struct buf b = { 0 };

    if (!name.n)
        return;
    if (q->engine->type_and_unit_labels) {
        if (str_eq(type, STR("counter")) || str_eq(type, STR("histogram")))
            return;
        buf_lit(&b, "PromQL info: metric might not be a counter, __type__ label is not set to "
                    "\"counter\" or \"histogram\", got ");
        buf_quoted(&b, type);
        buf_lit(&b, ": ");
    } else {
        if (str_ends(name, STR("_total")) || str_ends(name, STR("_sum")) ||
            str_ends(name, STR("_count")) || str_ends(name, STR("_bucket")))
            return;
        buf_lit(&b, "PromQL info: metric might not be a counter, name does not end in "
                    "_total/_sum/_count/_bucket: ");
    }
    buf_quoted(&b, name);
    query_note(q, NOTE_INFO, o->at, "%.*s", STRF(buf_view(&b)));
}

// Bounds and samples of a step, from the plan if there is one.
static void window_go(struct window *w, const struct window_plan *p, size_t step)
{
    const struct window_op *o = w->o;

    w->step = step;
    w->t_ms = grid_time(&o->op.grid, step);
    if (p) {
        w->hi_ms = w->t_ms - o->offset_ms;
        w->lo_ms = w->hi_ms - o->range_ms;
        window_plan_at(p, step, &w->f0, &w->f1);
    } else if (!o->fixed || step == 0) {
        window_move(w, step);
    }
}

static bool window_steps(struct window *w, const struct window_plan *p, window_fn fn,
                         struct column *c, bool *floats)
{
    struct window_op *o = w->o;

    for (size_t i = 0; i < c->n; i++) {
        struct window_value out = { 0 };
        size_t f_seen = w->f1, h_seen = w->h1;

        window_go(w, p, i);
        if (w->f0 == w->f1 && w->h0 == w->h1) {
            w->weight = 0;
            continue;
        }
        if (!p)
            window_tally(w, f_seen, h_seen);
        if (!fn(w, &out)) {
            if (o->failed)
                return false;
            continue;
        }
        column_put(c, i, out.v);
        *floats |= !out.hist;
        if (out.hist) {
            c->hist = o->hists;
            c->hist[i] = out.hist;
        }
    }
    return true;
}

static void window_prepare(struct window *w)
{
    struct window_op *o = w->o;
    struct arena *a = o->q->scratch;

    if (o->fn == FN_rate || o->fn == FN_increase || o->fn == FN_resets)
        window_prepare_resets(w);
    else if (o->fn == FN_changes)
        window_prepare_changes(w);
    else if (o->fn == FN_min_over_time || o->fn == FN_max_over_time)
        w->queue = arena_raw(a, (w->x->fn + 1) * sizeof *w->queue);
    else if (o->fn == FN_quantile_over_time)
        w->order = arena_raw(a, (w->x->fn + 1) * sizeof *w->order);
    else if (o->fn == FN_mad_over_time)
        w->values = arena_raw(a, (w->x->fn + 1) * sizeof *w->values);
}

static bool window_push(void *ctx, const struct flow_series *s, const struct split *x,
                        struct err *e)
{
    struct window_op *o = ctx;
    struct query *q = o->q;
    struct window w = { .o = o, .s = s, .x = x };
    struct flow_series out = *s;
    struct arena_mark mark = arena_mark(q->scratch);
    struct column c = o->column;
    bool floats = false;

    if (x->fn > UINT32_MAX - 1)
        return query_fail(q, e, ERR_LIMIT, "too many samples in one series");
    out.drop_name |= o->fn != FN_last_over_time && o->fn != FN_first_over_time;
    c.hist = NULL;
    if (x->hn)
        memset(o->hists, 0, c.n * sizeof *o->hists);
    column_clear(&c);
    if (!query_hold(q, (int64_t)(x->fn + x->hn), e))
        return false;
    struct window_plan *p = window_plan_of(o, x);
    window_fn fn = window_fn_of(o->fn);
    if (p && window_column(&w, p, fn, &c)) {
        floats = !column_is_empty(&c);
    } else {
        window_prepare(&w);
        if (!window_steps(&w, p, fn, &c, &floats))
            return query_fail_str(q, e, ERR_CONFLICT, q->error);
    }
    if (p) {
        window_plan_tally(o, p);
        w.weight = window_plan_last(p);
    }
    query_release(q, (int64_t)(x->fn + x->hn));
    o->held += column_samples(&c);
    o->op.held_peak = MAX(o->op.held_peak, o->held + w.weight);
    if (floats && (o->fn == FN_rate || o->fn == FN_increase))
        window_note_counter(o, s->labels);
    bool ok = query_account(q, c.n, e) &&
              (column_is_empty(&c) || o->to.push(o->to.ctx, &out, &c, e));
    arena_release(q->scratch, mark);
    return ok;
}

/* ---- subqueries as input ---- */

struct subquery_input {
    struct window_op *o;
    struct grid grid;
};

// A counter reset between two samples of a subquery is not what a hint of the series said.
static const struct histogram *hist_without_hint(struct arena *a, const struct histogram *h)
{
    if (h->reset != HIST_RESET_YES && h->reset != HIST_RESET_NO)
        return h;
    struct histogram *copy = arena_copy(a, h, sizeof *copy);

    copy->reset = HIST_RESET_UNKNOWN;
    return copy;
}

static bool subquery_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct subquery_input *in = ctx;
    struct arena *a = in->o->q->scratch;
    struct arena_mark mark = arena_mark(a);
    size_t n = column_count(c) + 1;
    int64_t *ft = arena_raw(a, n * sizeof *ft), *ht = NULL;
    double *fv = arena_raw(a, n * sizeof *fv);
    const struct histogram **hv = NULL;
    struct split x = { .ft = ft, .fv = fv };

    if (c->hist) {
        x.ht = ht = arena_raw(a, n * sizeof *ht);
        x.hv = hv = arena_raw(a, n * sizeof *hv);
    }
    FOR_STEPS(i, c)
    {
        int64_t t = grid_time(&in->grid, i);

        if (column_hist(c, i)) {
            ht[x.hn] = t;
            hv[x.hn++] = hist_without_hint(a, c->hist[i]);
        } else {
            ft[x.fn] = t;
            fv[x.fn++] = c->v[i];
        }
    }
    bool ok = x.fn + x.hn == 0 || window_push(in->o, s, &x, e);
    arena_release(a, mark);
    return ok;
}

// Which step of the outer grid pays for reads of the inner one.
static void tally_merge_reads(struct window_op *o, const struct tally *inner)
{
    const struct grid *g = &o->op.grid;
    struct tally *t = o->tally;

    if (g->n <= 1) {
        tally_add(t, 0, 0, inner->read);
        return;
    }
    for (size_t k = 0; k < inner->grid.n; k++) {
        int64_t at = grid_time(&inner->grid, k) + o->offset_ms;
        size_t step = 0;

        if (!inner->read_step[k])
            continue;
        if (at > g->start_ms)
            step = (size_t)((at - g->start_ms + g->step_ms - 1) / g->step_ms);
        step = MIN(step, g->n - 1);
        if (at <= grid_time(g, step) - o->range_ms)
            continue;
        tally_add(t, step, 0, inner->read_step[k]);
    }
}

static bool window_run_subquery(struct window_op *o, struct query *q, struct err *e)
{
    struct subquery_input in = { o, plan_subquery_grid(q, o->arg, &o->op.grid) };
    struct tally inner = { .grid = in.grid };
    struct held h = { 0 };

    struct op *from = plan_vector(q, o->arg->subquery.expr, in.grid, e);
    if (!from)
        return false;
    o->op.origin = op_origin(from);
    inner.read_step = arena_array(q->keep, in.grid.n + 1, int64_t);
    q->tally = &inner;
    bool ok = from->repeats ? held_run(&h, from, true, q, e)
                            : from->run(from, q, (struct flow){ subquery_push, &in }, e);
    q->tally = o->tally;
    if (!ok)
        return false;
    for (size_t i = 0; i < h.v.n; i++)
        if (!subquery_push(&in, &h.v.v[i].series, &h.v.v[i].column, e))
            return false;
    if (h.q)
        held_done(&h);
    tally_merge_reads(o, &inner);
    return true;
}

static bool window_run_range(struct window_op *o, struct query *q, struct err *e)
{
    const struct grid *g = &o->op.grid;
    int64_t first = o->fixed ? o->fixed_ms : g->start_ms;
    int64_t last = o->fixed ? o->fixed_ms : grid_last(g);
    int64_t lo = first - o->offset_ms - o->range_ms, hi = last - o->offset_ms;

    if (o->anchored || o->smoothed)
        lo -= q->lookback_ms;
    if (o->smoothed)
        hi += q->lookback_ms;
    if (o->fn == FN_count_over_time || o->fn == FN_present_over_time ||
        o->fn == FN_absent_over_time || o->fn == FN_ts_of_first_over_time ||
        o->fn == FN_ts_of_last_over_time)
        plan_presence_only(q, o->arg->range.selector);
    return leaf_scan(q, o->arg->range.selector,
                     (struct leaf_span){ lo + 1, hi, uses_start(o), &o->op },
                     (struct flow_split){ window_push, o }, e);
}

/* ---- absent_over_time ---- */

struct absent_over {
    uint64_t *has;
    size_t words;
};

static bool absent_over_push(void *ctx, const struct flow_series *s, struct column *c,
                             struct err *e)
{
    struct absent_over *k = ctx;

    for (size_t i = 0; i < k->words; i++)
        k->has[i] |= c->has[i];
    return true;
}

static bool absent_over_finish(struct window_op *o, struct query *q, struct column *seen,
                               struct flow to, struct err *e)
{
    struct flow_series s = { .labels = absent_labels(q, o->arg),
                             .drop_name = true,
                             .stable = true };
    struct column out = column_new(q->keep, seen->n);

    for (size_t i = 0; i < out.n; i++)
        if (!column_has(seen, i))
            column_put(&out, i, 1);
    return column_is_empty(&out) || to.push(to.ctx, &s, &out, e);
}

static bool window_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct window_op *o = (struct window_op *)op;
    struct column seen = { 0 };
    struct absent_over absent = { 0 };

    o->q = q;
    o->to = to;
    o->tally = q->tally;
    o->column = column_new(q->keep, op->grid.n);
    o->hists = arena_array(q->keep, op->grid.n, const struct histogram *);
    if (o->fn == FN_absent_over_time) {
        seen = column_new(q->keep, op->grid.n);
        absent = (struct absent_over){ seen.has, column_words(seen.n) };
        o->to = (struct flow){ absent_over_push, &absent };
    }
    bool ok = o->from_subquery ? window_run_subquery(o, q, e) : window_run_range(o, q, e);
    if (!ok || o->fn != FN_absent_over_time)
        return ok;
    return absent_over_finish(o, q, &seen, to, e);
}

/* ---- making one ---- */

static bool window_check_modifiers(struct window_op *o, struct query *q, struct err *e)
{
    const char *name = o->op.node->call.fn->name;
    bool rate = o->fn == FN_rate || o->fn == FN_increase || o->fn == FN_delta;

    if (o->anchored && !rate && o->fn != FN_resets && o->fn != FN_changes)
        return query_fail(q, e, ERR_CONFLICT,
                          "anchored modifier can only be used with: changes, delta, increase, "
                          "rate, resets - not with %s",
                          name);
    if (o->smoothed && !rate)
        return query_fail(q, e, ERR_CONFLICT,
                          "smoothed modifier can only be used with: delta, increase, rate - not "
                          "with %s",
                          name);
    return true;
}

static void window_set_arg(struct window_op *o, struct query *q, const struct promql_node *arg)
{
    enum promql_at at;
    int64_t at_ms;

    o->arg = arg;
    o->from_subquery = arg->kind == PROMQL_SUBQUERY;
    if (o->from_subquery) {
        o->range_ms = arg->subquery.range_ms;
        o->offset_ms = arg->subquery.offset_ms;
        at = arg->subquery.at;
        at_ms = arg->subquery.at_ms;
    } else {
        const struct promql_node *sel = arg->range.selector;

        o->range_ms = arg->range.range_ms;
        o->offset_ms = sel->selector.offset_ms;
        o->anchored = sel->selector.anchored;
        o->smoothed = sel->selector.smoothed;
        at = sel->selector.at;
        at_ms = sel->selector.at_ms;
    }
    o->fixed = at != AT_NONE;
    o->fixed_ms = o->fixed ? plan_at_ms(q, at, at_ms) : 0;
}

struct op *window_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e)
{
    struct window_op *o = arena_new(q->keep, struct window_op);
    size_t scalars = 0;

    o->op = (struct op){ .run = window_run, .node = call, .grid = g };
    o->fn = call->call.fn->id;
    o->at = plan_unwrap(call->call.args[0]);
    o->q = q;
    for (size_t i = 0; i < call->call.arg_count; i++) {
        const struct promql_node *arg = plan_unwrap(call->call.args[i]);

        if (arg->type == PROMQL_MATRIX)
            window_set_arg(o, q, arg);
        else if (!scalar_eval(q, arg, g, &o->args[scalars++], e))
            return NULL;
    }
    if (!window_fn_of(o->fn)) {
        query_fail(q, e, ERR_UNSUPPORTED, "function %s() is not supported", call->call.fn->name);
        return NULL;
    }
    return window_check_modifiers(o, q, e) ? &o->op : NULL;
}
