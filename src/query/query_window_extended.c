/*
 * query_window_extended.c - anchored and smoothed ranges: values at the ends of the range itself.
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

struct ends {        // what determines a range: its first and last sample, and its bounds
    size_t from, to; // the samples of the window
    int64_t lo_ms, hi_ms;
    bool smoothed;
    size_t first, last;
    const struct histogram *left, *right;
};

// False: no sample behind the start of the range.
static bool ends_find(struct ends *k, const int64_t *t)
{
    size_t i = k->from;

    k->last = k->to - 1;
    while (i < k->last && t[i] <= k->lo_ms)
        i++;
    k->first = i > k->from ? i - 1 : k->from;
    if (k->smoothed) {
        for (i = k->from; i < k->last && t[i] < k->hi_ms; i++)
            ;
        k->last = i;
    }
    return t[k->last] > k->lo_ms;
}

static double value_left(const struct split *x, const struct ends *k, bool counter)
{
    if (k->smoothed && x->ft[k->first] < k->lo_ms)
        return float_between(x, k->first, k->lo_ms, counter);
    return x->fv[k->first];
}

static double value_right(const struct split *x, const struct ends *k, bool counter)
{
    if (k->smoothed && k->last > k->from && x->ft[k->last] > k->hi_ms)
        return float_between(x, k->last - 1, k->hi_ms, counter);
    return x->fv[k->last];
}

struct split extend_floats(struct arena *a, const struct split *x, int64_t lo_ms, int64_t hi_ms,
                           bool smoothed)
{
    struct ends k = { .to = x->fn, .lo_ms = lo_ms, .hi_ms = hi_ms, .smoothed = smoothed };
    struct split out = { 0 };

    if (!ends_find(&k, x->ft))
        return out;
    size_t from = k.first + (x->ft[k.first] <= lo_ms), to = k.last + (x->ft[k.last] < hi_ms);
    size_t n = to > from ? to - from : 0;
    int64_t *t = arena_array(a, n + 2, int64_t);
    double *v = arena_array(a, n + 2, double);

    t[0] = lo_ms;
    v[0] = value_left(x, &k, false);
    if (n) {
        memcpy(t + 1, x->ft + from, n * sizeof *t);
        memcpy(v + 1, x->fv + from, n * sizeof *v);
    }
    t[n + 1] = hi_ms;
    v[n + 1] = value_right(x, &k, false);
    out.ft = t;
    out.fv = v;
    out.fn = n + 2;
    return out;
}

static bool extended_floats(struct window *w, bool counter, struct window_value *out)
{
    const struct split *x = w->x;
    struct ends k = { w->f0, w->f1, w->lo_ms, w->hi_ms, w->o->smoothed, 0, 0, NULL, NULL };

    if (!ends_find(&k, x->ft) || (k.smoothed && x->ft[k.first] > w->hi_ms))
        return false;
    double left = value_left(x, &k, counter), right = value_right(x, &k, counter);
    double lost = 0, prev = left;

    out->v = right - left;
    if (!counter)
        return true;
    size_t from = k.first + (x->ft[k.first] <= w->lo_ms);
    size_t to = k.last + (x->ft[k.last] < w->hi_ms);
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
                                     struct hist_point x, struct hist_point y, int64_t t_ms,
                                     bool counter)
{
    double share = (double)(t_ms - x.t_ms) / (double)(y.t_ms - x.t_ms);
    struct hist_acc acc;

    if (t_ms == x.t_ms)
        return x.h;
    if (t_ms == y.t_ms)
        return y.h;
    hist_acc_init(&acc, q->scratch);
    hist_acc_set(&acc, y.h);
    if (counter && histogram_is_reset(y.h, x.h)) { // from zero
        hist_acc_mul(&acc, share);
        return hist_acc_get(&acc, q->scratch, false);
    }
    unsigned notes = hist_acc_sub(&acc, x.h);
    if (notes & HIST_NOTE_INCOMPATIBLE)
        return NULL;
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, at, HIST_SUB);
    hist_acc_mul(&acc, share);
    notes = hist_acc_add(&acc, x.h);
    if (notes & HIST_NOTE_INCOMPATIBLE)
        return NULL;
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, at, HIST_ADD);
    return hist_acc_get(&acc, q->scratch, false);
}

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

static struct hist_point hist_at(const struct split *x, size_t i)
{
    return (struct hist_point){ x->hv[i], x->ht[i] };
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
        k->left = hist_between(q, w->o->at, hist_at(x, i), hist_at(x, i + 1), w->lo_ms, counter);
    if (k->left && smoothed && j > w->h0 && x->ht[j] > w->hi_ms)
        k->right = hist_between(q, w->o->at, hist_at(x, j - 1), hist_at(x, j), w->hi_ms, counter);
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
    struct ends k = { w->h0, w->h1, w->lo_ms, w->hi_ms, w->o->smoothed, 0, 0, NULL, NULL };
    struct hist_acc acc;

    if (!ends_find(&k, x->ht) || (k.smoothed && x->ht[k.first] > w->hi_ms))
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
