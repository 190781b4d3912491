/*
 * query_window_priv.h - functions of range vectors: the driver's record and their step functions.
 *
 * A series is read once; two indices per kind of sample move over it from step to step. What a
 * function can prepare for all windows at once (positions of resets, a queue of maxima) hangs off
 * the window.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/histogram_ops.h"
#include "query/query_priv.h"

struct window_op {
    struct op op;
    unsigned fn;
    const struct promql_node *arg; // PROMQL_RANGE or PROMQL_SUBQUERY
    const struct promql_node *at;  // where annotations point: the first argument
    double *args[PROMQL_ARGS_MAX]; // the scalar ones, per step, in order
    int64_t range_ms, offset_ms;
    bool fixed; // @: the same window at every step
    int64_t fixed_ms;
    bool anchored, smoothed;
    struct query *q;
    struct flow to;
    struct column column;
    const struct histogram **hists;
    struct tally *tally;
    struct window_plan *plan; // of the series before; NULL: none yet
    bool from_subquery;
    int64_t held; // samples made so far, for held_peak
    bool failed;  // a step function found an error: e_text is in the query
};

struct marks { // ascending positions of something between sample i − 1 and i
    uint32_t *at;
    size_t n, lo, hi; // of the window: marks [lo, hi) lie behind its first sample
};

struct window {
    struct window_op *o;
    const struct flow_series *s;
    const struct split *x;
    size_t step;
    int64_t t_ms, lo_ms, hi_ms; // step; range without extension: lo excluded, hi included
    size_t f0, f1, h0, h1;      // samples of the window
    struct marks resets, overlaps, changes;
    uint32_t *queue; // of minima or maxima
    size_t queue_from, queue_to, queue_next;
    double *values; // room for one window's values
    int64_t *order; // keys of the samples [order_from, order_to), in order
    size_t order_n, order_from, order_to;
    int64_t weight; // of the step's samples
};

struct window_value {
    double v;
    const struct histogram *hist;
};
// False: no value at this step. Errors: window_fail().
typedef bool (*window_fn)(struct window *w, struct window_value *out);
bool window_fail(struct window *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline size_t window_floats(const struct window *w)
{
    return w->f1 - w->f0;
}
static inline size_t window_hists(const struct window *w)
{
    return w->h1 - w->h0;
}

/*
 * Windows that series with equal times share (query_window_plan.c). NULL: these have none. Good
 * until asked for the next series.
 */
struct window_plan *window_plan_of(struct window_op *o, const struct split *x);
// The samples of a step; false: none.
bool window_plan_at(const struct window_plan *p, size_t step, size_t *from, size_t *to);
void window_plan_tally(struct window_op *o, const struct window_plan *p); // counts one series
int64_t window_plan_last(const struct window_plan *p); // samples of the last step
// All steps at once; false: not for this function, go step by step.
bool window_column(struct window *w, struct window_plan *p, window_fn step_fn, struct column *c);

// Narrows the marks to those behind sample `from` and before `to`. Both only grow.
void marks_move(struct marks *m, size_t from, size_t to);

// Rates and counts of events (query_window_rate.c).
bool window_rate(struct window *w, struct window_value *out);    // rate, increase, delta
bool window_instant(struct window *w, struct window_value *out); // irate, idelta
bool window_resets(struct window *w, struct window_value *out);
bool window_changes(struct window *w, struct window_value *out);
void window_prepare_resets(struct window *w);
void window_prepare_changes(struct window *w);
bool window_extended_rate(struct window *w, bool counter, bool rate, struct window_value *out);
// A counter restarted between two samples, as their start times tell.
bool start_is_reset(int64_t prev_start, int64_t prev_ms, int64_t start, int64_t t_ms);

// The _over_time family (query_window_over_time.c). NULL: not one of them.
window_fn window_over_time(unsigned fn);
