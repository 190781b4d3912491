/*
 * query_window_rate.c - rate, increase, delta, irate, idelta, resets, changes.
 *
 * Semantics of Prometheus 3.15 (promql/functions.go), step by step where the result's bits
 * depend on it: last − first plus the value before each drop, in order; extrapolation to the ends
 * of the range when samples come close, else by half an interval; start timestamps as resets and
 * as a zero before the first sample.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query_window_priv.h"

/* ---- start timestamps ---- */

bool start_is_reset(int64_t prev_start, int64_t prev_ms, int64_t start, int64_t t_ms)
{
    if (start == 0 || start >= t_ms || start < prev_ms)
        return false; // unknown, invalid, or the same life
    if (start > prev_ms)
        return true;
    // start == prev_ms: a delta series restarts, a cumulative one of unknown start does not
    return prev_start <= prev_ms && prev_start != 0 && prev_start != prev_ms;
}

static bool start_overlaps(int64_t prev_start, int64_t prev_ms, int64_t start)
{
    return start != 0 && start < prev_ms && start != prev_start;
}

/* ---- marks: events between neighbours, found once per series ---- */

static void mark_add(struct marks *m, struct arena *a, size_t room, size_t at)
{
    if (!m->at)
        m->at = arena_raw(a, room * sizeof *m->at);
    m->at[m->n++] = (uint32_t)at;
}

void marks_move(struct marks *m, size_t from, size_t to)
{
    while (m->lo < m->n && m->at[m->lo] <= from)
        m->lo++;
    m->hi = MAX(m->hi, m->lo);
    while (m->hi < m->n && m->at[m->hi] < to)
        m->hi++;
}

void window_prepare_resets(struct window *w)
{
    const struct split *x = w->x;
    struct arena *a = w->o->q->scratch;

    for (size_t i = 1; i < x->fn; i++)
        if (x->fv[i] < x->fv[i - 1] ||
            (x->fs && start_is_reset(x->fs[i - 1], x->ft[i - 1], x->fs[i], x->ft[i])))
            mark_add(&w->resets, a, x->fn, i);
    if (!x->fs)
        return;
    for (size_t i = 1; i < x->fn; i++)
        if (start_overlaps(x->fs[i - 1], x->ft[i - 1], x->fs[i]))
            mark_add(&w->overlaps, a, x->fn, i);
}

void window_prepare_changes(struct window *w)
{
    const struct split *x = w->x;

    for (size_t i = 1; i < x->fn; i++)
        if (x->fv[i] != x->fv[i - 1] && !(isnan(x->fv[i]) && isnan(x->fv[i - 1])))
            mark_add(&w->changes, w->o->q->scratch, x->fn, i);
}

/* ---- rates ---- */

struct rate { // of one window, before extrapolation
    bool counter, per_second;
    double v;
    struct hist_acc *hist; // NULL: float
    int64_t first_ms, last_ms;
    size_t gaps;      // samples − 1
    int64_t start_ms; // start time of the first sample; 0: unknown
    const struct histogram *first_hist;
    double first;
    bool raw; // hist is one sample as it was: not compacted
};

static struct labels window_labels(const struct window *w)
{
    return w->s->labels;
}

static void rate_floats(struct window *w, struct rate *r)
{
    const struct split *x = w->x;
    size_t last = w->f1 - 1;

    r->gaps = last - w->f0;
    r->first_ms = x->ft[w->f0];
    r->last_ms = x->ft[last];
    r->first = x->fv[w->f0];
    r->v = x->fv[last] - x->fv[w->f0];
    if (!r->counter)
        return;
    marks_move(&w->resets, w->f0, w->f1);
    for (size_t i = w->resets.lo; i < w->resets.hi; i++)
        r->v += x->fv[w->resets.at[i] - 1];
    if (!x->fs)
        return;
    r->start_ms = x->fs[w->f0];
    marks_move(&w->overlaps, w->f0, w->f1);
    if (w->overlaps.hi > w->overlaps.lo)
        query_note_overlap(w->o->q, w->o->at, labels_get(window_labels(w), LABEL_NAME));
}

static bool hists_reset(const struct split *x, size_t i, const struct histogram *prev)
{
    return (x->hs && start_is_reset(x->hs[i - 1], x->ht[i - 1], x->hs[i], x->ht[i])) ||
           histogram_is_reset(x->hv[i], prev);
}

// The least schema of the samples that count; false when exponential and custom buckets mix.
static bool rate_schema(struct window *w, const struct rate *r, bool custom, int32_t *schema,
                        bool *gauge)
{
    const struct split *x = w->x;

    for (size_t i = w->h0 + 1; i + 1 < w->h1; i++) {
        const struct histogram *h = x->hv[i];

        if (!r->counter)
            break;
        *gauge |= h->reset == HIST_RESET_GAUGE;
        *schema = MIN(*schema, h->schema);
        if (histogram_is_custom(h) != custom)
            return false;
    }
    return true;
}

// Adds what was lost at each reset.
static unsigned rate_hist_resets(struct window *w, struct rate *r, const struct histogram *prev)
{
    const struct split *x = w->x;
    unsigned notes = 0;
    bool overlap = false;

    for (size_t i = w->h0 + 1; i < w->h1; i++) {
        if (x->hs && !overlap && start_overlaps(x->hs[i - 1], x->ht[i - 1], x->hs[i])) {
            overlap = true;
            query_note_overlap(w->o->q, w->o->at, labels_get(window_labels(w), LABEL_NAME));
        }
        if (hists_reset(x, i, prev))
            notes |= hist_acc_add(r->hist, prev);
        if (notes & HIST_NOTE_INCOMPATIBLE)
            return notes;
        prev = x->hv[i];
    }
    return notes;
}

static bool rate_hist_pair(struct window *w, struct rate *r)
{
    const struct split *x = w->x;
    struct query *q = w->o->q;
    const struct promql_node *at = w->o->at;
    const struct histogram *prev = x->hv[w->h0], *last = x->hv[w->h1 - 1];
    struct histogram zero = { 0 };
    bool gauge = prev->reset == HIST_RESET_GAUGE || last->reset == HIST_RESET_GAUGE;
    bool any_gauge = r->counter && gauge, custom = histogram_is_custom(prev);

    if (r->counter && hists_reset(x, w->h0 + 1, prev)) {
        const struct histogram *second = x->hv[w->h0 + 1];

        zero.schema = second->schema;
        zero.custom = second->custom;
        zero.custom_n = second->custom_n;
        custom = histogram_is_custom(second);
        prev = &zero; // the first sample's buckets do not matter
    }
    if (histogram_is_custom(last) != custom) {
        if (any_gauge)
            note_not_counter(q, window_labels(w), at);
        note_mixed_schemas(q, window_labels(w), at);
        return false;
    }
    int32_t schema = MIN(last->schema, prev->schema);
    if (!rate_schema(w, r, custom, &schema, &any_gauge)) {
        note_mixed_schemas(q, window_labels(w), at);
        return false;
    }
    r->hist = arena_new(q->scratch, struct hist_acc);
    hist_acc_init(r->hist, q->scratch);
    hist_acc_set(r->hist, last);
    if (!custom && schema < last->schema)
        hist_acc_reduce(r->hist, schema);
    unsigned sub = hist_acc_sub(r->hist, prev), add = 0;
    if (r->counter && !(sub & HIST_NOTE_INCOMPATIBLE))
        add = rate_hist_resets(w, r, prev);
    if ((sub | add) & HIST_NOTE_INCOMPATIBLE) {
        note_mixed_schemas(q, window_labels(w), at);
        return false;
    }
    if (any_gauge)
        note_not_counter(q, window_labels(w), at);
    if (sub & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, at, HIST_SUB);
    if (add & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, at, HIST_ADD);
    if (!r->counter && (x->hv[w->h0]->reset != HIST_RESET_GAUGE || last->reset != HIST_RESET_GAUGE))
        note_not_gauge(q, window_labels(w), at);
    r->hist->h.reset = HIST_RESET_GAUGE;
    return true;
}

static bool rate_hists(struct window *w, struct rate *r)
{
    const struct split *x = w->x;

    r->gaps = w->h1 - 1 - w->h0;
    r->first_ms = x->ht[w->h0];
    r->last_ms = x->ht[w->h1 - 1];
    r->first_hist = x->hv[w->h0];
    r->start_ms = r->counter && x->hs ? x->hs[w->h0] : 0;
    return r->gaps == 0 || rate_hist_pair(w, r);
}

// The series began inside the range: its start stands for a sample of zero.
static bool rate_from_start(struct window *w, struct rate *r)
{
    struct query *q = w->o->q;

    if (!r->first_hist) {
        r->v += r->first;
        return true;
    }
    if (!r->hist) {
        r->hist = arena_new(q->scratch, struct hist_acc);
        hist_acc_init(r->hist, q->scratch);
        hist_acc_set(r->hist, r->first_hist);
        r->raw = true;
        return true;
    }
    unsigned notes = hist_acc_add(r->hist, r->first_hist);
    if (notes & HIST_NOTE_INCOMPATIBLE) {
        note_mixed_schemas(q, window_labels(w), w->o->at);
        return false;
    }
    if (notes & HIST_NOTE_BOUNDS_MISMATCH)
        note_mismatched_bounds(q, w->o->at, HIST_ADD);
    return true;
}

// How far before the first sample the series is taken to reach, in seconds.
static double rate_before(const struct rate *r, double to_start, double threshold, double spacing,
                          double sampled)
{
    double to_zero;

    if (to_start >= threshold)
        to_start = spacing / 2;
    if (!r->counter)
        return to_start;
    to_zero = to_start;
    if (!r->first_hist && r->v > 0 && r->first >= 0)
        to_zero = sampled * (r->first / r->v);
    else if (r->hist && r->hist->h.count > 0 && r->first_hist && r->first_hist->count >= 0)
        to_zero = sampled * (r->first_hist->count / r->hist->h.count);
    return to_zero < to_start ? to_zero : to_start;
}

static bool rate_extrapolate(struct window *w, struct rate *r, struct window_value *out)
{
    double to_start = (double)(r->first_ms - w->lo_ms) / 1000;
    double to_end = (double)(w->hi_ms - r->last_ms) / 1000;
    double sampled = (double)(r->last_ms - r->first_ms) / 1000;
    double spacing = r->gaps ? sampled / (double)r->gaps : 0;
    double threshold = spacing * 1.1, factor = 1;

    if (r->counter && r->start_ms != 0 && r->start_ms > w->lo_ms && r->start_ms < r->first_ms) {
        to_start = 0;
        sampled = (double)(r->last_ms - r->start_ms) / 1000;
        if (!rate_from_start(w, r))
            return false;
    } else if (!r->gaps) {
        return false;
    } else {
        to_start = rate_before(r, to_start, threshold, spacing, sampled);
    }
    if (to_end >= threshold)
        to_end = spacing / 2;
    if (sampled != 0)
        factor = (sampled + to_start + to_end) / sampled;
    if (r->per_second)
        factor /= (double)w->o->range_ms / 1000;
    if (!r->hist) {
        out->v = r->v * factor;
        return true;
    }
    hist_acc_mul(r->hist, factor);
    out->hist = hist_acc_get(r->hist, w->o->q->scratch, !r->raw);
    return true;
}

bool window_rate(struct window *w, struct window_value *out)
{
    struct window_op *o = w->o;
    struct rate r = { .counter = o->fn != FN_delta, .per_second = o->fn == FN_rate };

    if (window_floats(w) && window_hists(w)) {
        note_mixed(o->q, window_labels(w), o->at);
        return false;
    }
    if (o->anchored || o->smoothed)
        return window_extended_rate(w, r.counter, r.per_second, out);
    if (window_hists(w)) {
        if (!rate_hists(w, &r))
            return false;
    } else {
        rate_floats(w, &r);
    }
    return rate_extrapolate(w, &r, out);
}

/* ---- irate, idelta ---- */

struct instant_sample {
    int64_t t_ms, start_ms;
    double v;
    const struct histogram *hist;
};

static struct instant_sample instant_hist(const struct split *x, size_t i)
{
    return (struct instant_sample){ x->ht[i], x->hs ? x->hs[i] : 0, 0, x->hv[i] };
}

// The last two samples of either kind, in order of time. At least two are there.
static void instant_last_two(const struct window *w, struct instant_sample s[2])
{
    const struct split *x = w->x;
    size_t f = w->f1, h = w->h1;

    for (int k = 1; k >= 0; k--) {
        bool hist = h > w->h0 && (f == w->f0 || x->ht[h - 1] >= x->ft[f - 1]);

        if (hist) {
            s[k] = instant_hist(x, --h);
        } else {
            f--;
            s[k] = (struct instant_sample){ x->ft[f], x->fs ? x->fs[f] : 0, x->fv[f], NULL };
        }
    }
}

static bool instant_hists(struct window *w, const struct instant_sample s[2], bool rate,
                          bool restart, struct window_value *out)
{
    const struct promql_node *at = w->o->at;
    struct query *q = w->o->q;
    bool gauges = s[0].hist->reset == HIST_RESET_GAUGE && s[1].hist->reset == HIST_RESET_GAUGE;
    bool gauge = s[0].hist->reset == HIST_RESET_GAUGE || s[1].hist->reset == HIST_RESET_GAUGE;
    struct hist_acc acc;

    if (rate && gauge)
        note_not_counter(q, window_labels(w), at);
    if (!rate && !gauges)
        note_not_gauge(q, window_labels(w), at);
    hist_acc_init(&acc, q->scratch);
    hist_acc_set(&acc, s[1].hist);
    if (!rate || (!restart && !histogram_is_reset(s[1].hist, s[0].hist))) {
        unsigned notes = hist_acc_sub(&acc, s[0].hist);

        if (notes & HIST_NOTE_INCOMPATIBLE) {
            note_mixed_schemas(q, window_labels(w), at);
            return false;
        }
        if (notes & HIST_NOTE_BOUNDS_MISMATCH)
            note_mismatched_bounds(q, at, HIST_SUB);
    }
    acc.h.reset = HIST_RESET_GAUGE;
    if (rate)
        hist_acc_div(&acc, (double)(s[1].t_ms - s[0].t_ms) / 1000);
    out->hist = hist_acc_get(&acc, q->scratch, true);
    return true;
}

bool window_instant(struct window *w, struct window_value *out)
{
    struct instant_sample s[2];
    bool rate = w->o->fn == FN_irate;

    if (window_floats(w) + window_hists(w) < 2)
        return false;
    instant_last_two(w, s);
    if (s[0].t_ms == s[1].t_ms)
        return false;
    bool restart = rate && start_is_reset(s[0].start_ms, s[0].t_ms, s[1].start_ms, s[1].t_ms);
    if (s[0].hist && s[1].hist)
        return instant_hists(w, s, rate, restart, out);
    if (s[0].hist || s[1].hist) {
        note_mixed(w->o->q, window_labels(w), w->o->at);
        return false;
    }
    out->v = s[1].v;
    if (!rate || !(s[1].v < s[0].v || restart))
        out->v = s[1].v - s[0].v;
    if (rate)
        out->v /= (double)(s[1].t_ms - s[0].t_ms) / 1000;
    return true;
}

/* ---- resets, changes ---- */

struct event_walk { // floats and histograms of a window in order of time
    size_t f, h;
};

// First samples to look at; anchored: the newest at or before the range. False: nothing follows.
static bool event_first(const struct window *w, struct event_walk *k)
{
    const struct split *x = w->x;
    size_t f = w->f0, h = w->h0; // first behind the start of the range

    k->f = w->f0;
    k->h = w->h0;
    if (!w->o->anchored)
        return true;
    while (f < w->f1 && x->ft[f] <= w->lo_ms)
        f++;
    while (h < w->h1 && x->ht[h] <= w->lo_ms)
        h++;
    if (f == w->f1 && h == w->h1)
        return false;
    bool has_f = f > w->f0, has_h = h > w->h0;
    if (!has_f && !has_h)
        return true;
    bool anchor_f = !has_h || (has_f && x->ft[f - 1] >= x->ht[h - 1]);
    k->f = anchor_f ? f - 1 : f;
    k->h = anchor_f ? h : h - 1;
    return true;
}

static struct instant_sample event_next(const struct window *w, struct event_walk *k)
{
    const struct split *x = w->x;

    if (k->h >= w->h1 || (k->f < w->f1 && x->ft[k->f] < x->ht[k->h])) {
        size_t i = k->f++;

        return (struct instant_sample){ x->ft[i], x->fs ? x->fs[i] : 0, x->fv[i], NULL };
    }
    return instant_hist(x, k->h++);
}

static bool is_reset(const struct instant_sample *prev, const struct instant_sample *s)
{
    if (!prev->hist != !s->hist)
        return true;
    if (start_is_reset(prev->start_ms, prev->t_ms, s->start_ms, s->t_ms))
        return true;
    return s->hist ? histogram_is_reset(s->hist, prev->hist) : s->v < prev->v;
}

static bool is_change(const struct instant_sample *prev, const struct instant_sample *s)
{
    if (!prev->hist != !s->hist)
        return true;
    if (s->hist)
        return !histogram_equal(s->hist, prev->hist);
    return s->v != prev->v && !(isnan(s->v) && isnan(prev->v));
}

static bool count_events(struct window *w, struct marks *floats,
                         bool (*event)(const struct instant_sample *,
                                       const struct instant_sample *),
                         struct window_value *out)
{
    struct event_walk k;

    if (!event_first(w, &k))
        return false;
    if (!window_hists(w)) {
        marks_move(floats, k.f, w->f1);
        out->v = (double)(floats->hi - floats->lo);
        return true;
    }
    struct instant_sample prev = event_next(w, &k);
    while (k.f < w->f1 || k.h < w->h1) {
        struct instant_sample s = event_next(w, &k);

        out->v += event(&prev, &s);
        prev = s;
    }
    return true;
}

bool window_resets(struct window *w, struct window_value *out)
{
    return count_events(w, &w->resets, is_reset, out);
}

bool window_changes(struct window *w, struct window_value *out)
{
    return count_events(w, &w->changes, is_change, out);
}
