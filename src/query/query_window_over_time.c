/*
 * query_window_over_time.c - the _over_time functions, deriv, predict_linear, smoothing.
 *
 * Sums are Neumaier's, in order of time; see sum_add(). Bits follow Prometheus 3.15.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "query/query_window_priv.h"

static const double *values(const struct window *w)
{
    return w->x->fv + w->f0;
}

// Histograms next to floats are left out, and said to be.
static void ignore_hists(struct window *w)
{
    if (window_hists(w))
        note_ignored_in_range(w->o->q, w->s->labels, w->o->at);
}

static bool only_one_kind(struct window *w)
{
    if (!window_floats(w) || !window_hists(w))
        return true;
    note_mixed(w->o->q, w->s->labels, w->o->at);
    return false;
}

/* ---- sum, avg ---- */

struct hist_fold { // what adding the histograms of a window brought up
    unsigned notes;
    bool reset, not_reset;
};

static void fold_hint(struct hist_fold *f, const struct histogram *h)
{
    f->reset |= h->reset == HIST_RESET_YES;
    f->not_reset |= h->reset == HIST_RESET_NO;
}

static bool fold_note(struct window *w, const struct hist_fold *f)
{
    struct query *q = w->o->q;

    if (f->notes & HIST_NOTE_INCOMPATIBLE) {
        note_mixed_schemas(q, w->s->labels, w->o->at);
        return false;
    }
    if (f->reset && f->not_reset)
        note_reset_collision(q, w->o->at, HIST_AGG);
    if (f->notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, w->o->at, HIST_AGG);
    return true;
}

static bool sum_hists(struct window *w, struct window_value *out)
{
    const struct split *x = w->x;
    struct hist_fold f = { 0 };
    struct hist_acc acc;

    hist_acc_init(&acc, w->o->q->scratch);
    hist_acc_set(&acc, x->hv[w->h0]);
    fold_hint(&f, x->hv[w->h0]);
    for (size_t i = w->h0 + 1; i < w->h1; i++) {
        fold_hint(&f, x->hv[i]);
        f.notes |= hist_acc_add_exact(&acc, x->hv[i]);
        if (f.notes & HIST_NOTE_INCOMPATIBLE)
            break;
    }
    if (!fold_note(w, &f))
        return false;
    hist_acc_fold(&acc);
    out->hist = hist_acc_get(&acc, w->o->q->scratch, false);
    return true;
}

static bool over_sum(struct window *w, struct window_value *out)
{
    const double *v = values(w);
    size_t n = window_floats(w);
    double sum = 0, c = 0;

    if (!only_one_kind(w))
        return false;
    if (!n)
        return sum_hists(w, out);
    for (size_t i = 0; i < n; i++)
        sum_add(v[i], &sum, &c);
    out->v = isinf(sum) ? sum : sum + c;
    return true;
}

static bool avg_hists(struct window *w, struct window_value *out)
{
    const struct split *x = w->x;
    struct hist_fold f = { 0 };
    struct hist_mean m;

    hist_mean_init(&m, w->o->q->scratch);
    for (size_t i = w->h0; i < w->h1; i++) {
        fold_hint(&f, x->hv[i]);
        f.notes |= hist_mean_add(&m, x->hv[i]);
        if (f.notes & HIST_NOTE_INCOMPATIBLE)
            break;
    }
    if (!fold_note(w, &f))
        return false;
    out->hist = hist_mean_get(&m, w->o->q->scratch, false);
    return true;
}

// The mean of the rest, from value i on, after the sum of the first i would overflow.
static double avg_incremental(const double *v, size_t i, size_t n, double sum, double c)
{
    double mean = sum / (double)i;

    c /= (double)i;
    for (; i < n; i++) {
        double count = (double)(i + 1), share = (count - 1) / count;

        mean *= share;
        c *= share;
        sum_add(v[i] / count, &mean, &c);
    }
    return mean + c;
}

static bool over_avg(struct window *w, struct window_value *out)
{
    const double *v = values(w);
    size_t n = window_floats(w);

    if (!only_one_kind(w))
        return false;
    if (!n)
        return avg_hists(w, out);
    double sum = v[0], c = 0;
    for (size_t i = 1; i < n; i++) {
        double old_sum = sum, old_c = c;

        sum_add(v[i], &sum, &c);
        if (!isinf(sum))
            continue;
        out->v = avg_incremental(v, i, n, old_sum, old_c);
        return true;
    }
    out->v = sum / (double)n + c / (double)n;
    return true;
}

/* ---- counts, first, last ---- */

static bool over_count(struct window *w, struct window_value *out)
{
    out->v = (double)(window_floats(w) + window_hists(w));
    return true;
}

static bool over_present(struct window *w, struct window_value *out)
{
    out->v = 1;
    return true;
}

static bool over_first(struct window *w, struct window_value *out)
{
    const struct split *x = w->x;

    if (window_hists(w) && !(window_floats(w) && x->ft[w->f0] < x->ht[w->h0]))
        out->hist = x->hv[w->h0];
    else
        out->v = x->fv[w->f0];
    return true;
}

static bool over_last(struct window *w, struct window_value *out)
{
    const struct split *x = w->x;

    if (window_hists(w) && !(window_floats(w) && x->ht[w->h1 - 1] < x->ft[w->f1 - 1]))
        out->hist = x->hv[w->h1 - 1];
    else
        out->v = x->fv[w->f1 - 1];
    return true;
}

static bool over_first_time(struct window *w, struct window_value *out)
{
    int64_t f = window_floats(w) ? w->x->ft[w->f0] : INT64_MAX;
    int64_t h = window_hists(w) ? w->x->ht[w->h0] : INT64_MAX;

    out->v = (double)MIN(f, h) / 1000;
    return true;
}

static bool over_last_time(struct window *w, struct window_value *out)
{
    int64_t f = window_floats(w) ? w->x->ft[w->f1 - 1] : INT64_MIN;
    int64_t h = window_hists(w) ? w->x->ht[w->h1 - 1] : INT64_MIN;

    out->v = (double)MAX(f, h) / 1000;
    return true;
}

/* ---- min, max: a queue of candidates, each sample enters and leaves once ---- */

static bool over_extreme(struct window *w, bool max, struct window_value *out)
{
    const double *v = w->x->fv;

    if (!window_floats(w))
        return false;
    ignore_hists(w);
    w->queue_next = MAX(w->queue_next, w->f0);
    for (; w->queue_next < w->f1; w->queue_next++) {
        double x = v[w->queue_next];

        if (isnan(x))
            continue;
        while (w->queue_to > w->queue_from &&
               (max ? v[w->queue[w->queue_to - 1]] < x : v[w->queue[w->queue_to - 1]] > x))
            w->queue_to--;
        w->queue[w->queue_to++] = (uint32_t)w->queue_next;
    }
    while (w->queue_from < w->queue_to && w->queue[w->queue_from] < w->f0)
        w->queue_from++;
    out->v = w->queue_from < w->queue_to ? v[w->queue[w->queue_from]] : NAN;
    return true;
}

static bool over_max(struct window *w, struct window_value *out)
{
    return over_extreme(w, true, out);
}

static bool over_min(struct window *w, struct window_value *out)
{
    return over_extreme(w, false, out);
}

// Of equal extremes the last one's time.
static bool over_extreme_time(struct window *w, bool max, struct window_value *out)
{
    const double *v = values(w);
    size_t best = 0;

    if (!window_floats(w))
        return false;
    ignore_hists(w);
    for (size_t i = 0; i < window_floats(w); i++)
        if ((max ? v[i] >= v[best] : v[i] <= v[best]) || isnan(v[best]))
            best = i;
    out->v = (double)w->x->ft[w->f0 + best] / 1000;
    return true;
}

static bool over_max_time(struct window *w, struct window_value *out)
{
    return over_extreme_time(w, true, out);
}

static bool over_min_time(struct window *w, struct window_value *out)
{
    return over_extreme_time(w, false, out);
}

/* ---- spread ---- */

static bool over_variance(struct window *w, struct window_value *out)
{
    const double *v = values(w);
    double count = 0, mean = 0, c_mean = 0, aux = 0, c_aux = 0;

    if (!window_floats(w))
        return false;
    ignore_hists(w);
    for (size_t i = 0; i < window_floats(w); i++) {
        count++;
        double delta = v[i] - (mean + c_mean);
        sum_add(delta / count, &mean, &c_mean);
        sum_add(delta * (v[i] - (mean + c_mean)), &aux, &c_aux);
    }
    out->v = (aux + c_aux) / count;
    if (w->o->fn == FN_stddev_over_time)
        out->v = sqrt(out->v);
    return true;
}

/*
 * The values of the window in order, kept from step to step: as integers that compare as the
 * values do, NaN first. A step takes out what left and puts in what came.
 */
static int64_t order_key(double v)
{
    int64_t bits = (int64_t)double_bits(v);

    if (isnan(v))
        return INT64_MIN;
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static double order_value(int64_t key)
{
    if (key == INT64_MIN)
        return NAN;
    return double_from_bits((uint64_t)(key < 0 ? key ^ INT64_MAX : key));
}

// First place whose key is not below.
static size_t order_find(const int64_t *v, size_t n, int64_t key)
{
    size_t at = 0;

    for (size_t half; n > 1; n -= half) {
        half = n / 2;
        at += v[at + half - 1] < key ? half : 0;
    }
    return at + (n && v[at] < key);
}

static void order_del(struct window *w, int64_t key)
{
    size_t at = order_find(w->order, w->order_n, key);

    assert(at < w->order_n && w->order[at] == key);
    w->order_n--;
    memmove(w->order + at, w->order + at + 1, (w->order_n - at) * sizeof *w->order);
}

static void order_put(struct window *w, int64_t key)
{
    size_t at = order_find(w->order, w->order_n, key);

    memmove(w->order + at + 1, w->order + at, (w->order_n - at) * sizeof *w->order);
    w->order[at] = key;
    w->order_n++;
}

static void order_move(struct window *w)
{
    const double *v = w->x->fv;

    if (w->order_to <= w->f0) { // nothing in common
        w->order_n = 0;
        w->order_from = w->order_to = w->f0;
    }
    for (; w->order_from < w->f0; w->order_from++)
        order_del(w, order_key(v[w->order_from]));
    for (; w->order_to < w->f1; w->order_to++)
        order_put(w, order_key(v[w->order_to]));
}

// quantile_of() of values in order.
static double order_quantile(const struct window *w, double q)
{
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    double rank = q * (double)(w->order_n - 1), low = fmax(0, floor(rank));
    size_t i = (size_t)low, j = MIN(w->order_n - 1, i + 1);
    double weight = rank - floor(rank);

    return order_value(w->order[i]) * (1 - weight) + order_value(w->order[j]) * weight;
}

static bool over_quantile(struct window *w, struct window_value *out)
{
    double q = w->o->args[0][w->step];

    if (!window_floats(w))
        return false;
    if (isnan(q) || q < 0 || q > 1)
        note_bad_quantile(w->o->q, q, w->o->at);
    ignore_hists(w);
    order_move(w);
    out->v = order_quantile(w, q);
    return true;
}

static bool over_mad(struct window *w, struct window_value *out)
{
    const double *v = values(w);
    size_t n = window_floats(w);

    if (!n)
        return false;
    ignore_hists(w);
    out->v = NAN;
    for (size_t i = 0; i < n; i++) {
        if (isnan(v[i]))
            return true;
        w->values[i] = v[i];
    }
    double median = quantile_of(0.5, w->values, n);
    for (size_t i = 0; i < n; i++)
        w->values[i] = fabs(w->values[i] - median);
    out->v = quantile_of(0.5, w->values, n);
    return true;
}

/* ---- trends ---- */

struct line {
    double slope, intercept;
};

static struct line regression(const int64_t *t, const double *v, size_t n, int64_t at_ms)
{
    double sx = 0, cx = 0, sy = 0, cy = 0, sxy = 0, cxy = 0, sxx = 0, cxx = 0;
    double count = (double)n;
    bool flat = true;

    for (size_t i = 0; i < n; i++) {
        double x = (double)(t[i] - at_ms) / 1e3;

        flat &= v[i] == v[0] || i == 0;
        sum_add(x, &sx, &cx);
        sum_add(v[i], &sy, &cy);
        sum_add(x * v[i], &sxy, &cxy);
        sum_add(x * x, &sxx, &cxx);
    }
    if (flat)
        return isinf(v[0]) ? (struct line){ NAN, NAN } : (struct line){ 0, v[0] };
    sx += cx;
    sy += cy;
    sxy += cxy;
    sxx += cxx;
    double cov = sxy - sx * sy / count, var = sxx - sx * sx / count, slope = cov / var;
    return (struct line){ slope, sy / count - slope * sx / count };
}

// At least two floats; a lone one next to histograms is worth a word.
static bool enough_floats(struct window *w)
{
    size_t n = window_floats(w);

    if (n)
        ignore_hists(w);
    return n >= 2;
}

static bool over_deriv(struct window *w, struct window_value *out)
{
    const int64_t *t = w->x->ft + w->f0;

    if (!enough_floats(w))
        return false;
    out->v = regression(t, values(w), window_floats(w), t[0]).slope;
    return true;
}

static bool over_predict(struct window *w, struct window_value *out)
{
    if (!enough_floats(w))
        return false;
    struct line l = regression(w->x->ft + w->f0, values(w), window_floats(w), w->t_ms);
    out->v = l.slope * w->o->args[0][w->step] + l.intercept;
    return true;
}

static bool over_smoothing(struct window *w, struct window_value *out)
{
    double sf = w->o->args[0][w->step], tf = w->o->args[1][w->step];
    const double *v = values(w);
    size_t n = window_floats(w);

    if (sf <= 0 || sf >= 1)
        return window_fail(w, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", sf);
    if (tf <= 0 || tf >= 1)
        return window_fail(w, "invalid trend factor. Expected: 0 < tf < 1, got: %f", tf);
    if (!enough_floats(w))
        return false;
    double s0 = 0, s1 = v[0], trend = v[1] - v[0];
    for (size_t i = 1; i < n; i++) {
        double x = sf * v[i];

        if (i > 1) {
            double a = tf * (s1 - s0), b = (1 - tf) * trend;
            trend = a + b;
        }
        double y = (1 - sf) * (s1 + trend);
        s0 = s1;
        s1 = x + y;
    }
    out->v = s1;
    return true;
}

window_fn window_over_time(unsigned fn)
{
    switch (fn) {
    case FN_sum_over_time:
        return over_sum;
    case FN_avg_over_time:
        return over_avg;
    case FN_count_over_time:
        return over_count;
    case FN_present_over_time:
    case FN_absent_over_time:
        return over_present;
    case FN_first_over_time:
        return over_first;
    case FN_last_over_time:
        return over_last;
    case FN_ts_of_first_over_time:
        return over_first_time;
    case FN_ts_of_last_over_time:
        return over_last_time;
    case FN_max_over_time:
        return over_max;
    case FN_min_over_time:
        return over_min;
    case FN_ts_of_max_over_time:
        return over_max_time;
    case FN_ts_of_min_over_time:
        return over_min_time;
    case FN_stddev_over_time:
    case FN_stdvar_over_time:
        return over_variance;
    case FN_quantile_over_time:
        return over_quantile;
    case FN_mad_over_time:
        return over_mad;
    case FN_deriv:
        return over_deriv;
    case FN_predict_linear:
        return over_predict;
    case FN_holt_winters:
    case FN_double_exponential_smoothing:
        return over_smoothing;
    default:
        return NULL;
    }
}
