/*
 * query_plan.c - from the tree of an expression to the tree of operators.
 *
 * Parts whose value is the same at every step (everything below is a number or carries @) are
 * evaluated at one step and shown at all. Scalars are evaluated while planning: an array over the
 * steps.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "query/query_priv.h"

const struct promql_node *plan_unwrap(const struct promql_node *n)
{
    while (n->kind == PROMQL_PAREN)
        n = n->paren;
    return n;
}

int64_t plan_at_ms(const struct query *q, enum promql_at at, int64_t at_ms)
{
    int64_t t = at == AT_START ? q->start_ms : at == AT_END ? q->end_ms : at_ms;

    return MAX(-QUERY_TIME_MAX, MIN(QUERY_TIME_MAX, t));
}

// Functions of the evaluation time.
static bool fn_uses_time(unsigned fn)
{
    switch (fn) {
    case FN_days_in_month:
    case FN_day_of_month:
    case FN_day_of_week:
    case FN_day_of_year:
    case FN_hour:
    case FN_minute:
    case FN_month:
    case FN_year:
    case FN_predict_linear:
    case FN_time:
    case FN_timestamp:
        return true;
    default:
        return false;
    }
}

static bool call_is_invariant(const struct promql_node *n)
{
    unsigned fn = n->call.fn->id;

    for (size_t i = 0; i < n->call.arg_count; i++)
        if (!plan_is_invariant(n->call.args[i]))
            return false;
    if (fn == FN_timestamp) // the sample's own time, unless computed from a value
        return n->call.arg_count && plan_unwrap(n->call.args[0])->kind == PROMQL_SELECTOR;
    return !fn_uses_time(fn);
}

bool plan_is_invariant(const struct promql_node *n)
{
    n = plan_unwrap(n);
    switch (n->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        return true;
    case PROMQL_SELECTOR:
        return n->selector.at != AT_NONE;
    case PROMQL_RANGE:
        return n->range.selector->selector.at != AT_NONE;
    case PROMQL_SUBQUERY:
        return n->subquery.at != AT_NONE;
    case PROMQL_UNARY:
        return plan_is_invariant(n->unary.expr);
    case PROMQL_BINARY:
        return plan_is_invariant(n->binary.lhs) && plan_is_invariant(n->binary.rhs);
    case PROMQL_AGGREGATE:
        return plan_is_invariant(n->aggregate.expr); // upstream does not look at the parameter
    case PROMQL_CALL:
        return call_is_invariant(n);
    case PROMQL_PAREN:
        break;
    }
    return false;
}

static void stat_call(struct query *q, const struct promql_node *n, bool wanted, bool blocked)
{
    unsigned fn = n->call.fn->id;

    wanted |= fn == FN_histogram_count || fn == FN_histogram_sum || fn == FN_histogram_avg;
    blocked |= fn == FN_histogram_quantile || fn == FN_histogram_quantiles ||
               fn == FN_histogram_fraction;
    for (size_t i = 0; i < n->call.arg_count; i++)
        plan_stat_selectors(q, n->call.args[i], wanted, blocked);
}

void plan_stat_selectors(struct query *q, const struct promql_node *n, bool wanted, bool blocked)
{
    switch (n->kind) {
    case PROMQL_SELECTOR:
        if (wanted && !blocked)
            *vec_push_in(q->keep, &q->stat_selectors) = n;
        break;
    case PROMQL_RANGE:
        plan_stat_selectors(q, n->range.selector, wanted, blocked);
        break;
    case PROMQL_SUBQUERY:
        plan_stat_selectors(q, n->subquery.expr, wanted, true);
        break;
    case PROMQL_UNARY:
        plan_stat_selectors(q, n->unary.expr, wanted, blocked);
        break;
    case PROMQL_BINARY:
        blocked |= n->binary.op == PROMQL_TRIM_LOWER || n->binary.op == PROMQL_TRIM_UPPER;
        plan_stat_selectors(q, n->binary.lhs, wanted, blocked);
        plan_stat_selectors(q, n->binary.rhs, wanted, blocked);
        break;
    case PROMQL_AGGREGATE:
        plan_stat_selectors(q, n->aggregate.expr, wanted, blocked);
        if (n->aggregate.param)
            plan_stat_selectors(q, n->aggregate.param, wanted, blocked);
        break;
    case PROMQL_CALL:
        stat_call(q, n, wanted, blocked);
        break;
    case PROMQL_PAREN:
        plan_stat_selectors(q, n->paren, wanted, blocked);
        break;
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        break;
    }
}

void plan_presence_only(struct query *q, const struct promql_node *n)
{
    n = plan_unwrap(n);
    if (n->kind == PROMQL_SELECTOR && !n->selector.smoothed)
        *vec_push_in(q->keep, &q->presence_selectors) = n;
}

bool plan_is_presence_only(const struct query *q, const struct promql_node *selector)
{
    for (size_t i = 0; i < q->presence_selectors.n; i++)
        if (q->presence_selectors.v[i] == selector)
            return true;
    return false;
}

struct grid plan_subquery_grid(const struct query *q, const struct promql_node *sub,
                               const struct grid *outer)
{
    int64_t step = sub->subquery.step_ms > 0         ? sub->subquery.step_ms
                   : q->engine->subquery_step_ms > 0 ? q->engine->subquery_step_ms
                                                     : MS_MINUTE;
    int64_t first = outer->start_ms, last = grid_last(outer);

    if (sub->subquery.at != AT_NONE)
        first = last = plan_at_ms(q, sub->subquery.at, sub->subquery.at_ms);
    first -= sub->subquery.offset_ms + sub->subquery.range_ms; // exclusive
    last -= sub->subquery.offset_ms;
    struct grid g = { (floor_div(first, step) + 1) * step, step, 0 };
    if (outer->n && last >= g.start_ms)
        g.n = (size_t)((last - g.start_ms) / step) + 1;
    return g;
}

/* ---- scalars ---- */

double scalar_binop(enum promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_ADD:
        return a + b;
    case PROMQL_SUB:
        return a - b;
    case PROMQL_MUL:
        return a * b;
    case PROMQL_DIV:
        return a / b;
    case PROMQL_MOD:
        return fmod(a, b);
    case PROMQL_POW:
        return pow(a, b);
    case PROMQL_ATAN2:
        return atan2(a, b);
    case PROMQL_EQ:
        return a == b;
    case PROMQL_NE:
        return a != b;
    case PROMQL_LT:
        return a < b;
    case PROMQL_LE:
        return a <= b;
    case PROMQL_GT:
        return a > b;
    case PROMQL_GE:
        return a >= b;
    default:
        return NAN;
    }
}

struct scalar_fold { // scalar(v): the one float of a step
    double *v;
    uint8_t *seen;
};

static bool scalar_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct scalar_fold *f = ctx;

    FOR_STEPS(i, c)
    {
        if (column_hist(c, i))
            continue;
        f->v[i] = f->seen[i] ? NAN : c->v[i];
        f->seen[i] = 1;
    }
    return true;
}

static bool scalar_of_vector(struct query *q, const struct promql_node *arg, struct grid g,
                             double *out, struct err *e)
{
    struct scalar_fold f = { out, arena_array(q->keep, g.n + 1, uint8_t) };
    struct op *o = plan_vector(q, arg, g, e);

    for (size_t i = 0; i < g.n; i++)
        out[i] = NAN;
    return o && o->run(o, q, (struct flow){ scalar_push, &f }, e);
}

static bool scalar_pair(struct query *q, const struct promql_node *n, struct grid g, double *out,
                        struct err *e)
{
    double *a, *b;

    if (!scalar_eval(q, n->call.args[0], g, &a, e) || !scalar_eval(q, n->call.args[1], g, &b, e))
        return false;
    for (size_t i = 0; i < g.n; i++)
        out[i] = n->call.fn->id == FN_max_of ? num_max(a[i], b[i]) : num_min(a[i], b[i]);
    return true;
}

static void fill(double *v, size_t n, double x)
{
    for (size_t i = 0; i < n; i++)
        v[i] = x;
}

static bool scalar_call(struct query *q, const struct promql_node *n, struct grid g, double *out,
                        struct err *e)
{
    switch (n->call.fn->id) {
    case FN_time:
        for (size_t i = 0; i < g.n; i++)
            out[i] = (double)grid_time(&g, i) / 1000;
        return true;
    case FN_pi:
        fill(out, g.n, M_PI);
        return true;
    case FN_start:
        fill(out, g.n, (double)q->start_ms / 1000);
        return true;
    case FN_end:
        fill(out, g.n, (double)q->end_ms / 1000);
        return true;
    case FN_range:
        fill(out, g.n, (double)(q->end_ms - q->start_ms) / 1000);
        return true;
    case FN_step:
        fill(out, g.n, q->start_ms == q->end_ms ? 0 : (double)q->step_ms / 1000);
        return true;
    case FN_max_of:
    case FN_min_of:
        return scalar_pair(q, n, g, out, e);
    case FN_scalar:
        return scalar_of_vector(q, n->call.args[0], g, out, e);
    default:
        return query_fail(q, e, ERR_UNSUPPORTED, "function %s() gives no scalar here",
                          n->call.fn->name);
    }
}

static bool scalar_binary(struct query *q, const struct promql_node *n, struct grid g, double *out,
                          struct err *e)
{
    double *a, *b;

    if (!scalar_eval(q, n->binary.lhs, g, &a, e) || !scalar_eval(q, n->binary.rhs, g, &b, e))
        return false;
    for (size_t i = 0; i < g.n; i++)
        out[i] = scalar_binop(n->binary.op, a[i], b[i]);
    return true;
}

// One evaluation that counts at every step: its samples are what one step loads.
static void tally_spread(struct tally *t, const struct tally *once)
{
    t->total += once->total * (int64_t)t->grid.n;
    t->read += once->read;
    if (t->total_step)
        for (size_t i = 0; i < t->grid.n; i++)
            t->total_step[i] += once->total;
    if (t->read_step && t->grid.n)
        t->read_step[0] += once->read;
}

static bool scalar_once(struct query *q, const struct promql_node *n, struct grid g, double *out,
                        struct err *e)
{
    struct tally *outer = q->tally, once = { .grid = { g.start_ms, g.step_ms, 1 } };
    double *one;

    q->tally = &once;
    bool ok = scalar_eval(q, n, once.grid, &one, e);
    q->tally = outer;
    if (!ok)
        return false;
    tally_spread(outer, &once);
    fill(out, g.n, one[0]);
    return true;
}

bool scalar_eval(struct query *q, const struct promql_node *n, struct grid g, double **out,
                 struct err *e)
{
    if (!query_reserve(q, g.n, e) || !query_account(q, 1, e))
        return false;
    double *v = arena_array(q->keep, g.n + 1, double);
    n = plan_unwrap(n);
    *out = v;
    if (n->kind == PROMQL_NUMBER) {
        fill(v, g.n, n->number.value);
        return true;
    }
    if (g.n > 1 && plan_is_invariant(n))
        return scalar_once(q, n, g, v, e);
    switch (n->kind) {
    case PROMQL_UNARY:
        if (!scalar_eval(q, n->unary.expr, g, out, e))
            return false;
        if (n->unary.negative)
            for (size_t i = 0; i < g.n; i++)
                (*out)[i] = -(*out)[i];
        return true;
    case PROMQL_BINARY:
        return scalar_binary(q, n, g, v, e);
    case PROMQL_CALL:
        return scalar_call(q, n, g, v, e);
    default:
        return query_fail(q, e, ERR_INVALID, "expected a scalar");
    }
}

/* ---- small operators ---- */

static bool empty_run(struct op *o, struct query *q, struct flow to, struct err *e)
{
    return true;
}

struct once {
    struct op op;
    struct op *child;
    struct flow to;
    struct column column;
};

static bool once_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct once *o = ctx;
    struct column *out = &o->column;
    const struct histogram *h = column_hist(c, 0);

    if (!column_has(c, 0))
        return true;
    memset(out->has, 0xff, out->n / 64 * 8);
    if (out->n % 64)
        out->has[out->n / 64] = (UINT64_C(1) << (out->n % 64)) - 1;
    for (size_t i = 0; i < out->n; i++)
        out->v[i] = c->v[0];
    const struct histogram **hists = out->hist;
    if (h) {
        for (size_t i = 0; i < out->n; i++)
            hists[i] = h;
    } else {
        out->hist = NULL;
    }
    bool ok = o->to.push(o->to.ctx, s, out, e);
    out->hist = hists;
    return ok;
}

static bool once_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct once *o = (struct once *)op;
    struct tally *outer = q->tally, once = { .grid = o->child->grid };

    o->to = to;
    o->column = column_new(q->keep, op->grid.n);
    column_want_hists(q->keep, &o->column);
    q->tally = &once;
    bool ok = o->child->run(o->child, q, (struct flow){ once_push, o }, e);
    q->tally = outer;
    tally_spread(outer, &once);
    return ok;
}

struct op *op_once(struct query *q, struct op *child, struct grid g)
{
    struct once *o = arena_new(q->keep, struct once);

    o->op = (struct op){ .run = once_run,
                         .node = child->node,
                         .grid = g,
                         .repeats = child->repeats,
                         .origin = op_origin(child) };
    o->child = child;
    return &o->op;
}

struct constant { // vector(s), and date functions without argument
    struct op op;
    double *v;
};

static bool constant_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct constant *o = (struct constant *)op;
    struct column c = column_new(q->keep, op->grid.n);
    struct flow_series s = { .stable = true };

    for (size_t i = 0; i < c.n; i++)
        column_put(&c, i, o->v[i]);
    return to.push(to.ctx, &s, &c, e);
}

static struct op *constant_new(struct query *q, const struct promql_node *n, struct grid g,
                               struct err *e)
{
    struct constant *o = arena_new(q->keep, struct constant);

    o->op = (struct op){ .run = constant_run, .node = n, .grid = g };
    return scalar_eval(q, n->call.args[0], g, &o->v, e) ? &o->op : NULL;
}

/* ---- the tree ---- */

static struct op *plan_call(struct query *q, const struct promql_node *n, struct grid g,
                            struct err *e)
{
    for (size_t i = 0; i < n->call.arg_count; i++)
        if (n->call.args[i]->type == PROMQL_MATRIX)
            return window_new(q, n, g, e);
    switch (n->call.fn->id) {
    case FN_vector:
        return constant_new(q, n, g, e);
    case FN_timestamp:
    case FN_start_timestamp:
        if (plan_unwrap(n->call.args[0])->kind == PROMQL_SELECTOR)
            return leaf_timestamp_new(q, plan_unwrap(n->call.args[0]), g,
                                      n->call.fn->id == FN_start_timestamp);
        return simple_new(q, n, g, e);
    case FN_absent:
        return absent_new(q, n, g, e);
    case FN_label_replace:
    case FN_label_join:
        return relabel_new(q, n, g, e);
    case FN_sort:
    case FN_sort_desc:
    case FN_sort_by_label:
    case FN_sort_by_label_desc:
        return sort_new(q, n, g, e);
    case FN_histogram_quantile:
    case FN_histogram_quantiles:
    case FN_histogram_fraction:
        return quantile_new(q, n, g, e);
    case FN_info:
        return info_new(q, n, g, e);
    default:
        return simple_new(q, n, g, e);
    }
}

static struct op *plan_aggregate(struct query *q, const struct promql_node *n, struct grid g,
                                 struct err *e)
{
    switch (n->aggregate.op) {
    case AGG_TOPK:
    case AGG_BOTTOMK:
    case AGG_LIMITK:
    case AGG_LIMIT_RATIO:
        return agg_k_new(q, n, g, e);
    case AGG_COUNT_VALUES:
        return agg_values_new(q, n, g, e);
    default:
        return agg_new(q, n, g, e);
    }
}

static struct op *plan_binary(struct query *q, const struct promql_node *n, struct grid g,
                              struct err *e)
{
    if (n->binary.lhs->type == PROMQL_SCALAR || n->binary.rhs->type == PROMQL_SCALAR)
        return op_drop_names(q, binary_scalar_new(q, n, g, e), n);
    if (promql_op_is_set(n->binary.op))
        return set_new(q, n, g, e);
    return match_new(q, n, g, e);
}

static struct op *plan_kind(struct query *q, const struct promql_node *n, struct grid g,
                            struct err *e)
{
    switch (n->kind) {
    case PROMQL_SELECTOR:
        return leaf_new(q, n, g);
    case PROMQL_UNARY:
        return op_drop_names(q, unary_new(q, n, g, e), n);
    case PROMQL_BINARY:
        return plan_binary(q, n, g, e);
    case PROMQL_AGGREGATE:
        return plan_aggregate(q, n, g, e);
    case PROMQL_CALL:
        return op_drop_names(q, plan_call(q, n, g, e), n);
    default:
        query_fail(q, e, ERR_INVALID, "expected an instant vector");
        return NULL;
    }
}

struct op *plan_vector(struct query *q, const struct promql_node *n, struct grid g, struct err *e)
{
    assert(g.step_ms > 0);
    n = plan_unwrap(n);
    if (n->kind == PROMQL_UNARY && !n->unary.negative)
        return plan_vector(q, n->unary.expr, g, e);
    if (!query_reserve(q, g.n, e))
        return NULL;
    if (g.n == 0) {
        struct op *o = arena_new(q->keep, struct op);

        *o = (struct op){ .run = empty_run, .node = n, .grid = g };
        return o;
    }
    if (g.n > 1 && plan_is_invariant(n)) {
        struct op *one = plan_vector(q, n, (struct grid){ g.start_ms, g.step_ms, 1 }, e);

        return one ? op_once(q, one, g) : NULL;
    }
    return op_metered(q, plan_kind(q, n, g, e));
}
