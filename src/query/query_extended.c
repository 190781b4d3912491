/*
 * query_extended.c - anchored and smoothed ranges: values at the ends of the range itself.
 *
 * Anchored takes the last sample at or before the start as the value there; smoothed
 * interpolates between the neighbours of either end. Semantics of Prometheus 3.15
 * (promql/functions.go, extendedRate and its kin).
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "query/query_window_priv.h"

static double float_between(const struct split *x, size_t i, int64_t t_ms, bool counter)
{
    double y1 = x->fv[i], y2 = x->fv[i + 1];

    if (counter && y2 < y1)
        y1 = 0;
    return y1 + (y2 - y1) * (double)(t_ms - x->ft[i]) / (double)(x->ft[i + 1] - x->ft[i]);
}

// The samples first..last of [from, to) that determine the range; false: none.
static bool range_ends(const int64_t *t, size_t from, size_t to, int64_t lo_ms, int64_t hi_ms,
                       bool smoothed, size_t *first, size_t *last)
{
    size_t i = from;

    *last = to - 1;
    while (i < *last && t[i] <= lo_ms)
        i++;
    *first = i > from ? i - 1 : from;
    if (smoothed) {
        for (i = from; i < *last && t[i] < hi_ms; i++)
            ;
        *last = i;
    }
    return t[*last] > lo_ms;
}

static double value_left(const struct split *x, size_t first, int64_t lo_ms, bool smoothed,
                         bool counter)
{
    if (smoothed && x->ft[first] < lo_ms)
        return float_between(x, first, lo_ms, counter);
    return x->fv[first];
}

static double value_right(const struct split *x, size_t from, size_t last, int64_t hi_ms,
                          bool smoothed, bool counter)
{
    if (smoothed && last > from && x->ft[last] > hi_ms)
        return float_between(x, last - 1, hi_ms, counter);
    return x->fv[last];
}

struct split extend_floats(struct arena *a, const struct split *x, int64_t lo_ms, int64_t hi_ms,
                           bool smoothed)
{
    struct split out = { 0 };
    size_t first, last;

    if (!range_ends(x->ft, 0, x->fn, lo_ms, hi_ms, smoothed, &first, &last))
        return out;
    double left = value_left(x, first, lo_ms, smoothed, false);
    double right = value_right(x, 0, last, hi_ms, smoothed, false);
    size_t from = first + (x->ft[first] <= lo_ms), to = last + (x->ft[last] < hi_ms);
    size_t n = to > from ? to - from : 0;
    int64_t *t = arena_array(a, n + 2, int64_t);
    double *v = arena_array(a, n + 2, double);

    t[0] = lo_ms;
    v[0] = left;
    if (n) {
        memcpy(t + 1, x->ft + from, n * sizeof *t);
        memcpy(v + 1, x->fv + from, n * sizeof *v);
    }
    t[n + 1] = hi_ms;
    v[n + 1] = right;
    out.ft = t;
    out.fv = v;
    out.fn = n + 2;
    return out;
}

static bool extended_floats(struct window *w, bool counter, struct window_value *out)
{
    const struct split *x = w->x;
    bool smoothed = w->o->smoothed;
    size_t first, last;

    if (!range_ends(x->ft, w->f0, w->f1, w->lo_ms, w->hi_ms, smoothed, &first, &last) ||
        (smoothed && x->ft[first] > w->hi_ms))
        return false;
    double left = value_left(x, first, w->lo_ms, smoothed, counter);
    double right = value_right(x, w->f0, last, w->hi_ms, smoothed, counter);
    double lost = 0, prev = left;

    out->v = right - left;
    if (!counter)
        return true;
    size_t from = first + (x->ft[first] <= w->lo_ms), to = last + (x->ft[last] < w->hi_ms);
    for (size_t i = from; i < to; i++) {
        if (x->fv[i] < prev)
            lost += prev;
        prev = x->fv[i];
    }
    if (right < prev)
        lost += prev;
    out->v += lost;
    return true;
}

/* ---- histograms ---- */

const struct histogram *hist_between(struct query *q, const struct promql_node *at,
                                     const struct histogram *x, int64_t x_ms,
                                     const struct histogram *y, int64_t y_ms, int64_t t_ms,
                                     bool counter)
{
    double share = (double)(t_ms - x_ms) / (double)(y_ms - x_ms);
    struct hist_acc acc;

    if (t_ms == x_ms)
        return x;
    if (t_ms == y_ms)
        return y;
    hist_acc_init(&acc, q->scratch);
    hist_acc_set(&acc, y);
    if (counter && histogram_is_reset(y, x)) { // from zero
        hist_acc_mul(&acc, share);
        return hist_acc_get(&acc, q->scratch, false);
    }
    unsigned notes = hist_acc_sub(&acc, x);
    if (notes & HIST_NOTE_INCOMPATIBLE)
        return NULL;
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, at, HIST_SUB);
    hist_acc_mul(&acc, share);
    notes = hist_acc_add(&acc, x);
    if (notes & HIST_NOTE_INCOMPATIBLE)
        return NULL;
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, at, HIST_ADD);
    return hist_acc_get(&acc, q->scratch, false);
}

struct ends { // of a range of histograms
    size_t first, last;
    const struct histogram *left, *right;
};

static bool ends_check(struct window *w, const struct ends *k, bool counter)
{
    const struct split *x = w->x;
    struct query *q = w->o->q;

    for (size_t i = k->first; i <= k->last; i++) {
        if (!histogram_is_compatible(x->hv[i], x->hv[k->first])) {
            note_mixed_schemas(q, w->s->labels, w->o->at);
            return false;
        }
        if (counter && x->hv[i]->reset == HIST_RESET_GAUGE)
            note_not_counter(q, w->s->labels, w->o->at);
    }
    return true;
}

static bool ends_values(struct window *w, struct ends *k, bool counter)
{
    const struct split *x = w->x;
    struct query *q = w->o->q;
    bool smoothed = w->o->smoothed;
    size_t i = k->first, j = k->last;

    k->left = x->hv[i];
    k->right = x->hv[j];
    if (smoothed && x->ht[i] < w->lo_ms)
        k->left = hist_between(q, w->o->at, x->hv[i], x->ht[i], x->hv[i + 1], x->ht[i + 1],
                               w->lo_ms, counter);
    if (k->left && smoothed && j > w->h0 && x->ht[j] > w->hi_ms)
        k->right = hist_between(q, w->o->at, x->hv[j - 1], x->ht[j - 1], x->hv[j], x->ht[j],
                                w->hi_ms, counter);
    if (k->left && k->right)
        return true;
    note_mixed_schemas(q, w->s->labels, w->o->at);
    return false;
}

struct correction { // what resets lost, as one histogram
    struct hist_acc acc;
    bool any;
    unsigned notes;
};

static bool correction_add(struct correction *c, struct arena *a, const struct histogram *h)
{
    if (!c->any) {
        hist_acc_init(&c->acc, a);
        hist_acc_set(&c->acc, h);
        c->any = true;
        return true;
    }
    c->notes |= hist_acc_add(&c->acc, h);
    return !(c->notes & HIST_NOTE_INCOMPATIBLE);
}

static bool ends_correct(struct window *w, const struct ends *k, struct correction *c)
{
    const struct split *x = w->x;
    struct arena *a = w->o->q->scratch;
    const struct histogram *prev = k->left;
    size_t i = k->first + 1; // left stands for the first, right for the last

    if (w->o->smoothed && x->ht[k->first] < w->lo_ms &&
        histogram_is_reset(x->hv[k->first + 1], x->hv[k->first])) {
        prev = x->hv[k->first + 1]; // the interpolation saw this reset
        i++;
    }
    if (i > k->last)
        return true;
    for (; i < k->last; i++) {
        if (histogram_is_reset(x->hv[i], prev) && !correction_add(c, a, prev))
            return false;
        prev = x->hv[i];
    }
    return !histogram_is_reset(k->right, prev) || correction_add(c, a, prev);
}

static bool note_combined(struct window *w, unsigned notes, enum hist_verb verb)
{
    if (notes & HIST_NOTE_INCOMPATIBLE) {
        note_mixed_schemas(w->o->q, w->s->labels, w->o->at);
        return false;
    }
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(w->o->q, w->o->at, verb);
    return true;
}

static bool extended_hists(struct window *w, bool counter, bool rate, struct window_value *out)
{
    const struct split *x = w->x;
    struct query *q = w->o->q;
    struct correction lost = { 0 };
    struct hist_acc acc;
    struct ends k;

    if (!range_ends(x->ht, w->h0, w->h1, w->lo_ms, w->hi_ms, w->o->smoothed, &k.first, &k.last) ||
        (w->o->smoothed && x->ht[k.first] > w->hi_ms))
        return false;
    if (!ends_check(w, &k, counter) || !ends_values(w, &k, counter))
        return false;
    if (!counter && (k.left->reset != HIST_RESET_GAUGE || k.right->reset != HIST_RESET_GAUGE))
        note_not_gauge(q, w->s->labels, w->o->at);
    hist_acc_init(&acc, q->scratch);
    hist_acc_set(&acc, k.right);
    if (!note_combined(w, hist_acc_sub(&acc, k.left), HIST_SUB))
        return false;
    if (counter) {
        bool ok = ends_correct(w, &k, &lost);

        if (!note_combined(w, lost.notes, HIST_ADD) || !ok)
            return false;
    }
    if (lost.any) {
        const struct histogram *h = hist_acc_get(&lost.acc, q->scratch, false);

        if (!note_combined(w, hist_acc_add(&acc, h), HIST_ADD))
            return false;
    }
    if (rate)
        hist_acc_div(&acc, (double)w->o->range_ms / 1000);
    acc.h.reset = HIST_RESET_GAUGE;
    out->hist = hist_acc_get(&acc, q->scratch, true);
    return true;
}

bool window_extended_rate(struct window *w, bool counter, bool rate, struct window_value *out)
{
    if (window_hists(w))
        return extended_hists(w, counter, rate, out);
    if (!extended_floats(w, counter, out))
        return false;
    if (rate)
        out->v /= (double)w->o->range_ms / 1000;
    return true;
}
