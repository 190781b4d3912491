/*
 * query_window_plan.c - what windows over a vector of times have in common, and functions that
 * make a whole column at once.
 *
 * Series scraped together have equal times, and so the same windows, the same extrapolation, the
 * same statistics. The plan of the series before is used again when its times are the same ones.
 * Only plain windows over floats have a plan.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "query/query_loops.h"
#include "query/query_window_priv.h"

struct window_plan {
    int64_t *t; // made for these
    size_t n, cap;
    uint32_t *from, *to;  // per step
    uint64_t *some, *two; // bitmaps of steps: a sample, at least two samples
    struct tally tally;   // of one series
    int64_t most, last;   // samples of the largest window, of the last one
    double *sampled, *to_start, *to_end, *factor; // of rates, where two
    double *first, *delta;                        // room
};

/* ---- making one ---- */

static struct window_plan *plan_new(struct window_op *o)
{
    struct arena *a = o->q->keep;
    struct window_plan *p = arena_new(a, struct window_plan);
    size_t n = o->op.grid.n;

    p->from = arena_array(a, n, uint32_t);
    p->to = arena_array(a, n, uint32_t);
    p->some = arena_array(a, column_words(n) + 1, uint64_t);
    p->two = arena_array(a, column_words(n) + 1, uint64_t);
    p->first = arena_array(a, n, double);
    p->delta = arena_array(a, n, double);
    if (o->fn != FN_rate && o->fn != FN_increase && o->fn != FN_delta)
        return p;
    p->sampled = arena_array(a, n, double);
    p->to_start = arena_array(a, n, double);
    p->to_end = arena_array(a, n, double);
    p->factor = arena_array(a, n, double);
    return p;
}

static void plan_set_times(struct window_op *o, struct window_plan *p, const struct split *x)
{
    if (x->fn > p->cap) {
        p->cap = x->fn + x->fn / 2;
        p->t = arena_array(o->q->keep, p->cap, int64_t);
    }
    memcpy(p->t, x->ft, x->fn * sizeof *p->t);
    p->n = x->fn;
}

// Bitmaps, and what the samples of the windows add to the statistics.
static void plan_count(struct window_op *o, struct window_plan *p)
{
    size_t n = o->op.grid.n, words = column_words(n);
    uint32_t seen = 0;

    memset(p->some, 0, words * sizeof *p->some);
    memset(p->two, 0, words * sizeof *p->two);
    p->tally.total = p->tally.read = p->most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t from = p->from[i], to = p->to[i];

        p->some[i / 64] |= (uint64_t)(to > from) << (i % 64);
        p->two[i / 64] |= (uint64_t)(to > from + 1) << (i % 64);
        p->tally.total += to - from;
        p->tally.read += to - MIN(MAX(from, seen), to);
        p->most = MAX(p->most, (int64_t)(to - from));
        seen = to;
    }
    p->last = n ? p->to[n - 1] - p->from[n - 1] : 0;
}

// Everything about extrapolation that does not depend on values; see rate_extrapolate().
static void plan_rates(struct window_op *o, struct window_plan *p, struct window_bounds b)
{
    struct column two = { .has = p->two, .n = o->op.grid.n };
    double range = (double)o->range_ms / 1000;

    FOR_STEPS(i, &two)
    {
        int64_t first_ms = p->t[p->from[i]], last_ms = p->t[p->to[i] - 1];
        int64_t shift = (int64_t)i * b.step_ms;
        double to_start = (double)(first_ms - (b.lo_ms + shift)) / 1000;
        double to_end = (double)(b.hi_ms + shift - last_ms) / 1000;
        double sampled = (double)(last_ms - first_ms) / 1000, factor = 1;
        double spacing = sampled / (double)(p->to[i] - 1 - p->from[i]), threshold = spacing * 1.1;

        if (to_start >= threshold)
            to_start = spacing / 2;
        if (to_end >= threshold)
            to_end = spacing / 2;
        if (sampled != 0)
            factor = (sampled + to_start + to_end) / sampled;
        if (o->fn == FN_rate)
            factor /= range;
        p->sampled[i] = sampled;
        p->to_start[i] = to_start;
        p->to_end[i] = to_end;
        p->factor[i] = factor;
    }
}

struct window_plan *window_plan_of(struct window_op *o, const struct split *x)
{
    struct window_plan *p = o->plan;
    const struct grid *g = &o->op.grid;

    if (o->fixed || o->anchored || o->smoothed || x->hn)
        return NULL;
    if (!p)
        o->plan = p = plan_new(o);
    else if (p->n == x->fn && memcmp(p->t, x->ft, x->fn * sizeof *p->t) == 0)
        return p;
    int64_t hi = g->start_ms - o->offset_ms;
    struct window_bounds b = { hi - o->range_ms, hi, g->step_ms };

    plan_set_times(o, p, x);
    loop_windows(p->t, p->n, b, p->from, p->to, g->n);
    plan_count(o, p);
    if (p->factor)
        plan_rates(o, p, b);
    return p;
}

bool window_plan_at(const struct window_plan *p, size_t step, size_t *from, size_t *to)
{
    *from = p->from[step];
    *to = p->to[step];
    return *to > *from;
}

void window_plan_tally(struct window_op *o, const struct window_plan *p)
{
    struct tally *t = o->tally;
    int64_t read = o->from_subquery ? 0 : p->tally.read;

    o->op.held_peak = MAX(o->op.held_peak, o->held + p->most);
    if (!t->total_step && !t->read_step) {
        t->total += p->tally.total;
        t->read += read;
        return;
    }
    uint32_t seen = 0;
    for (size_t i = 0; i < o->op.grid.n; i++) {
        uint32_t from = p->from[i], to = p->to[i];

        tally_add(t, i, to - from, read ? to - MIN(MAX(from, seen), to) : 0);
        seen = to;
    }
}

int64_t window_plan_last(const struct window_plan *p)
{
    return p->last;
}

/* ---- rates ---- */

// Adds the value before each drop; in order, as the bits depend on it.
static void add_resets(struct window *w, struct window_plan *p, size_t at, size_t end)
{
    const double *v = w->x->fv;

    for (size_t i = at; i < end; i++) {
        marks_move(&w->resets, p->from[i], p->to[i]);
        for (size_t k = w->resets.lo; k < w->resets.hi; k++)
            p->delta[i] += v[w->resets.at[k] - 1];
    }
}

static double rate_exact(const struct window_op *o, const struct window_plan *p, size_t i)
{
    double to_start = p->to_start[i], to_zero = to_start, factor = 1;

    if (p->delta[i] > 0 && p->first[i] >= 0)
        to_zero = p->sampled[i] * (p->first[i] / p->delta[i]);
    to_start = to_zero < to_start ? to_zero : to_start;
    if (p->sampled[i] != 0)
        factor = (p->sampled[i] + to_start + p->to_end[i]) / p->sampled[i];
    if (o->fn == FN_rate)
        factor /= (double)o->range_ms / 1000;
    return p->delta[i] * factor;
}

static void rate_column(struct window *w, struct window_plan *p, struct column *c)
{
    const struct window_op *o = w->o;
    bool counter = o->fn != FN_delta, drops = counter && loop_any_drop(w->x->fv, w->x->fn);

    if (drops)
        window_prepare_resets(w);
    memcpy(c->has, p->two, column_words(c->n) * sizeof *c->has);
    for (size_t at, end = 0; column_run(p->two, c->n, &at, &end);) {
        struct loop_rate r = { p->first + at, p->delta + at, p->sampled + at, p->to_start + at,
                               p->factor + at };

        loop_delta(w->x->fv, p->from + at, p->to + at, end - at, p->first + at, p->delta + at);
        if (drops)
            add_resets(w, p, at, end);
        if (!loop_extrapolate(&r, counter, c->v + at, end - at))
            continue;
        for (size_t i = at; i < end; i++)
            if (loop_is_unsure(&r, i - at))
                c->v[i] = rate_exact(o, p, i);
    }
}

/* ---- sums, and what is simply there ---- */

// True: the mean of this window needs care, as its sum is not finite.
static void sum_column(struct window *w, struct window_plan *p, struct column *c, window_fn careful)
{
    bool mean = w->o->fn == FN_avg_over_time;
    double *sum = p->first, *comp = p->delta;

    for (size_t at, end = 0; column_run(p->some, c->n, &at, &end);) {
        loop_window_sums(w->x->fv, p->from + at, p->to + at, end - at, sum + at, comp + at);
        for (size_t i = at; i < end; i++) {
            double n = (double)(p->to[i] - p->from[i]);

            c->v[i] = mean ? sum[i] / n + comp[i] / n : sum[i] + comp[i];
            if (isfinite(sum[i]))
                continue;
            struct window_value out = { 0 };
            w->f0 = p->from[i];
            w->f1 = p->to[i];
            careful(w, &out);
            c->v[i] = out.v;
        }
    }
}

// Looking at every window whole is cheaper than a queue as long as few samples are in many windows.
static bool extreme_column(const struct window *w, struct window_plan *p, struct column *c)
{
    struct column some = { .has = p->some, .n = c->n };
    bool max = w->o->fn == FN_max_over_time;

    if (p->tally.total / 8 > (int64_t)p->n)
        return false;
    FOR_STEPS(i, &some)
    {
        const double *v = w->x->fv + p->from[i];
        size_t n = p->to[i] - p->from[i];

        c->v[i] = max ? loop_max_of(v, n) : loop_min_of(v, n);
    }
    return true;
}

bool window_column(struct window *w, struct window_plan *p, window_fn step_fn, struct column *c)
{
    struct column some = { .has = p->some, .n = c->n };
    const double *v = w->x->fv;
    unsigned fn = w->o->fn;

    if (p->factor && !w->x->fs) {
        rate_column(w, p, c);
        return true;
    }
    if (fn == FN_sum_over_time || fn == FN_avg_over_time) {
        sum_column(w, p, c, step_fn);
    } else if (fn == FN_count_over_time) {
        FOR_STEPS(i, &some)
        c->v[i] = (double)(p->to[i] - p->from[i]);
    } else if (fn == FN_max_over_time || fn == FN_min_over_time) {
        if (!extreme_column(w, p, c))
            return false;
    } else if (fn == FN_last_over_time) {
        FOR_STEPS(i, &some)
        c->v[i] = v[p->to[i] - 1];
    } else if (fn == FN_first_over_time) {
        FOR_STEPS(i, &some)
        c->v[i] = v[p->from[i]];
    } else if (fn == FN_present_over_time || fn == FN_absent_over_time) {
        for (size_t i = 0; i < c->n; i++)
            c->v[i] = 1;
    } else {
        return false;
    }
    memcpy(c->has, p->some, column_words(c->n) * sizeof *c->has);
    return true;
}
