/*
 * query_func.c - functions of one instant vector, value by value; sorting; quantiles of arrays.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/sort.h"
#include "base/time.h"
#include "model/histogram_ops.h"
#include "query/query_priv.h"

/* ---- quantiles ---- */

static bool is_less(double a, double b) // NaN comes first
{
    return isnan(a) ? !isnan(b) : a < b;
}

static void swap_values(double *a, double *b)
{
    double t = *a;

    *a = *b;
    *b = t;
}

/*
 * Puts the k-th smallest value at v[k], no greater ones before and no smaller ones behind it.
 * Pivots come from a generator, so that no input can be made to cost quadratic time.
 */
static void select_nth(double *v, size_t n, size_t k)
{
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)n;
    size_t from = 0, to = n;

    while (to - from > 1) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double pivot = v[from + (size_t)(seed >> 33) % (to - from)];
        size_t low = from, at = from, high = to; // [from, low) <, [low, at) =, [high, to) >

        while (at < high) {
            if (is_less(v[at], pivot))
                swap_values(&v[at++], &v[low++]);
            else if (is_less(pivot, v[at]))
                swap_values(&v[at], &v[--high]);
            else
                at++;
        }
        if (k < low)
            to = low;
        else if (k >= high)
            from = high;
        else
            return;
    }
}

double quantile_of(double q, double *v, size_t n)
{
    if (!n || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    double rank = q * (double)(n - 1), low = fmax(0, floor(rank));
    size_t i = (size_t)low, j = MIN(n - 1, i + 1);
    double weight = rank - floor(rank);

    select_nth(v, n, i);
    if (j > i) { // the least of what is behind
        for (size_t k = j + 1; k < n; k++)
            if (is_less(v[k], v[j]))
                swap_values(&v[k], &v[j]);
    }
    return v[i] * (1 - weight) + v[j] * weight;
}

/* ---- one value to one value ---- */

struct simple {
    struct op op;
    unsigned fn;
    struct op *from; // NULL: a function of the time alone
    double *args[3]; // scalars, per step
    struct query *q;
    struct flow to;
};

// Seconds of a float as Go converts them: out of range is the least integer.
static struct civil civil_of_float(double v)
{
    int64_t limit = INT64_C(1) << 55;

    if (!(v > -0x1p63 && v < 0x1p63))
        v = -0x1p63;
    int64_t s = (int64_t)fmax(v, -0x1p62);
    return civil_of(MAX(-limit, MIN(limit, s)));
}

static double date_value(unsigned fn, double v)
{
    struct civil c = civil_of_float(v);

    switch (fn) {
    case FN_days_in_month:
        return days_in_month(c.year, c.month);
    case FN_day_of_month:
        return c.day;
    case FN_day_of_week:
        return c.weekday;
    case FN_day_of_year:
        return c.yearday;
    case FN_hour:
        return c.hour;
    case FN_minute:
        return c.minute;
    case FN_month:
        return c.month;
    default:
        return (double)c.year;
    }
}

// Long because it is a table.
static double float_value(const struct simple *o, double v, size_t i)
{
    switch (o->fn) {
    case FN_abs:
        return fabs(v);
    case FN_ceil:
        return ceil(v);
    case FN_floor:
        return floor(v);
    case FN_exp:
        return exp(v);
    case FN_sqrt:
        return sqrt(v);
    case FN_ln:
        return log(v);
    case FN_log2:
        return log2(v);
    case FN_log10:
        return log10(v);
    case FN_sin:
        return sin(v);
    case FN_cos:
        return cos(v);
    case FN_tan:
        return tan(v);
    case FN_asin:
        return asin(v);
    case FN_acos:
        return acos(v);
    case FN_atan:
        return atan(v);
    case FN_sinh:
        return sinh(v);
    case FN_cosh:
        return cosh(v);
    case FN_tanh:
        return tanh(v);
    case FN_asinh:
        return asinh(v);
    case FN_acosh:
        return acosh(v);
    case FN_atanh:
        return atanh(v);
    case FN_rad:
        return v * M_PI / 180;
    case FN_deg:
        return v * 180 / M_PI;
    case FN_sgn:
        return v < 0 ? -1 : v > 0 ? 1 : v;
    case FN_round: {
        double inverse = 1.0 / (o->args[0] ? o->args[0][i] : 1);
        return floor(v * inverse + 0.5) / inverse;
    }
    case FN_clamp:
        return num_max(o->args[0][i], num_min(o->args[1][i], v));
    case FN_clamp_min:
        return num_max(o->args[0][i], num_min(INFINITY, v));
    case FN_clamp_max:
        return num_max(-INFINITY, num_min(o->args[0][i], v));
    case FN_timestamp:
        return (double)grid_time(&o->op.grid, i) / 1000;
    default:
        return date_value(o->fn, v);
    }
}

bool simple_is_of_hists(unsigned fn)
{
    return fn == FN_histogram_count || fn == FN_histogram_sum || fn == FN_histogram_avg ||
           fn == FN_histogram_stddev || fn == FN_histogram_stdvar;
}

static double hist_value(unsigned fn, const struct histogram *h)
{
    switch (fn) {
    case FN_histogram_count:
        return h->count;
    case FN_histogram_sum:
        return h->sum;
    case FN_histogram_avg:
        return h->sum / h->count;
    case FN_histogram_stddev:
        return sqrt(histogram_stdvar(h));
    default:
        return histogram_stdvar(h);
    }
}

static bool simple_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct simple *o = ctx;
    struct flow_series out = *s;
    bool hists = simple_is_of_hists(o->fn);

    FOR_STEPS(i, c)
    {
        const struct histogram *h = column_hist(c, i);
        bool empty = o->fn == FN_clamp && o->args[1][i] < o->args[0][i];

        if (hists && h)
            c->v[i] = hist_value(o->fn, h);
        else if (hists != !!h || empty)
            if (!(o->fn == FN_timestamp && h))
                column_del(c, i);
    }
    if (!hists)
        FOR_STEPS(i, c)
    c->v[i] = float_value(o, c->v[i], i);
    c->hist = NULL;
    out.drop_name = true;
    return column_is_empty(c) || o->to.push(o->to.ctx, &out, c, e);
}

// hour() and its kin without argument: of the evaluation time.
static bool simple_of_time(struct simple *o, struct err *e)
{
    struct column c = column_new(o->q->keep, o->op.grid.n);
    struct flow_series s = { .stable = true };

    for (size_t i = 0; i < c.n; i++)
        column_put(&c, i, date_value(o->fn, (double)floor_div(grid_time(&o->op.grid, i), 1000)));
    return o->to.push(o->to.ctx, &s, &c, e);
}

static bool simple_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct simple *o = (struct simple *)op;

    o->to = to;
    if (o->fn == FN_start_timestamp)
        return true; // of an expression there is none
    return o->from ? o->from->run(o->from, q, (struct flow){ simple_push, o }, e)
                   : simple_of_time(o, e);
}

struct op *simple_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e)
{
    struct simple *o = arena_new(q->keep, struct simple);
    size_t scalars = 0;

    o->op = (struct op){ .run = simple_run, .node = call, .grid = g };
    o->fn = call->call.fn->id;
    o->q = q;
    for (size_t i = 0; i < call->call.arg_count; i++) {
        const struct promql_node *arg = call->call.args[i];

        if (arg->type == PROMQL_VECTOR) {
            o->from = plan_vector(q, arg, g, e);
            if (!o->from)
                return NULL;
            o->op.repeats = o->from->repeats;
            o->op.origin = op_origin(o->from);
        } else if (scalars < ARRAY_LEN(o->args) &&
                   !scalar_eval(q, arg, g, &o->args[scalars++], e)) {
            return NULL;
        }
    }
    return &o->op;
}

/* ---- unary minus ---- */

struct unary {
    struct op op;
    struct op *from;
    struct query *q;
    struct flow to;
};

static bool unary_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct unary *o = ctx;
    struct arena_mark mark = arena_mark(o->q->scratch);
    struct flow_series out = *s;

    out.drop_name = true;
    for (size_t i = 0; i < c->n; i++)
        c->v[i] = -c->v[i];
    if (c->hist)
        FOR_STEPS(i, c)
    if (c->hist[i])
        c->hist[i] = histogram_negate(o->q->scratch, c->hist[i]);
    bool ok = o->to.push(o->to.ctx, &out, c, e);
    arena_release(o->q->scratch, mark);
    return ok;
}

static bool unary_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct unary *o = (struct unary *)op;

    o->to = to;
    return o->from->run(o->from, q, (struct flow){ unary_push, o }, e);
}

struct op *unary_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e)
{
    struct unary *o = arena_new(q->keep, struct unary);

    o->q = q;
    o->from = plan_vector(q, n->unary.expr, g, e);
    if (!o->from)
        return NULL;
    o->op = (struct op){ .run = unary_run,
                         .node = n,
                         .grid = g,
                         .repeats = o->from->repeats,
                         .origin = op_origin(o->from) };
    return &o->op;
}
