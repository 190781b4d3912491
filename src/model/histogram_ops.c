/*
 * histogram_ops.c - operations on whole histograms: layout, operators, trimming, counter resets.
 *
 * Semantics: upstream's model/histogram/float_histogram.go of 3.x.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"
#include "model/histogram_priv.h"

size_t histogram_bytes(const struct histogram *h)
{
    return sizeof *h + ((size_t)h->pos.spans + h->neg.spans) * sizeof(struct hist_span) +
           ((size_t)h->pos.buckets + h->neg.buckets + h->custom_n) * sizeof(double);
}

size_t histogram_samples(const struct histogram *h)
{
    size_t parts = (size_t)h->pos.spans + h->neg.spans + h->pos.buckets + h->neg.buckets +
                   h->custom_n;

    return (168 + 8 * parts + 8) / 16; // upstream's size of its struct over that of a float point
}

/* ---- layout ---- */

static bool side_is_compact(const struct hist_side *s, uint32_t gap_max)
{
    for (uint32_t i = 0; i < s->buckets; i++) {
        if (s->count[i] == 0)
            return false;
    }
    for (uint32_t i = 0; i < s->spans; i++) {
        if (s->span[i].length == 0 || (i > 0 && (uint32_t)s->span[i].offset <= gap_max))
            return false;
    }
    return true;
}

/*
 * One pass; without `to` it only counts. Runs of at most gap_max empty buckets between two that are
 * not are kept or put in, as long as the side stays within HIST_BUCKETS_MAX.
 */
static struct hist_side compact_pass(const struct hist_side *s, uint32_t gap_max,
                                     struct hist_span *span, double *count)
{
    struct hist_side out = { .span = span, .count = count };
    struct hist_walk w = hist_walk_of(s);
    int64_t end = 0;

    while (hist_walk_next(&w)) {
        int64_t gap = (int64_t)w.index - end;

        if (w.count == 0)
            continue;
        if (out.spans == 0 || gap > gap_max || gap < 0 || out.buckets + gap > HIST_BUCKETS_MAX) {
            if (span)
                span[out.spans] = (struct hist_span){ (int32_t)gap, 0 };
            out.spans++;
            gap = 0;
        }
        for (; gap >= 0; gap--, out.buckets++) {
            if (span) {
                count[out.buckets] = gap ? 0 : w.count;
                span[out.spans - 1].length++;
            }
        }
        end = (int64_t)w.index + 1;
    }
    return out;
}

static struct hist_side compact_side(struct arena *a, const struct hist_side *s, uint32_t gap_max)
{
    struct hist_side size = compact_pass(s, gap_max, NULL, NULL);
    struct hist_span *span = arena_raw(a, (size.spans + 1) * sizeof *span);
    double *count = arena_raw(a, size.buckets * sizeof *count);

    struct hist_side out = compact_pass(s, gap_max, span, count);
    assert(out.buckets == size.buckets && out.spans == size.spans); // both passes agree
    return out;
}

const struct histogram *histogram_compact(struct arena *a, const struct histogram *h,
                                          uint32_t gap_max)
{
    struct histogram *out;

    if (side_is_compact(&h->pos, gap_max) && side_is_compact(&h->neg, gap_max))
        return h;
    out = arena_copy(a, h, sizeof *h);
    out->pos = compact_side(a, &h->pos, gap_max);
    out->neg = compact_side(a, &h->neg, gap_max);
    out->custom = arena_copy(a, h->custom, h->custom_n * sizeof *h->custom);
    return out;
}

/* ---- operators ---- */

struct histogram *histogram_reduce(struct arena *a, const struct histogram *h, int32_t schema)
{
    struct hist_acc x;
    struct histogram *out;

    hist_acc_init(&x, a);
    hist_acc_set(&x, h);
    hist_acc_reduce(&x, schema);
    out = hist_acc_get(&x, a, false);
    out->integer = h->integer;
    return out;
}

unsigned histogram_add(struct arena *a, const struct histogram *x, const struct histogram *y,
                       const struct histogram **out)
{
    struct hist_acc sum;
    unsigned notes;

    if (!histogram_is_compatible(x, y))
        return HIST_NOTE_INCOMPATIBLE;
    hist_acc_init(&sum, a);
    hist_acc_set(&sum, x);
    notes = hist_acc_add(&sum, y);
    *out = hist_acc_get(&sum, a, true);
    return notes;
}

unsigned histogram_sub(struct arena *a, const struct histogram *x, const struct histogram *y,
                       const struct histogram **out)
{
    struct hist_acc rest;
    unsigned notes;

    if (!histogram_is_compatible(x, y))
        return HIST_NOTE_INCOMPATIBLE;
    hist_acc_init(&rest, a);
    hist_acc_set(&rest, x);
    notes = hist_acc_sub(&rest, y);
    rest.h.reset = HIST_RESET_GAUGE;
    *out = hist_acc_get(&rest, a, true);
    return notes;
}

static struct histogram *scaled(struct arena *a, const struct histogram *h, double by, bool divide,
                                bool compact)
{
    struct hist_acc x;

    hist_acc_init(&x, a);
    hist_acc_set(&x, h);
    if (divide)
        hist_acc_div(&x, by);
    else
        hist_acc_mul(&x, by);
    return hist_acc_get(&x, a, compact);
}

const struct histogram *histogram_mul(struct arena *a, const struct histogram *h, double factor)
{
    return scaled(a, h, factor, false, true);
}

const struct histogram *histogram_div(struct arena *a, const struct histogram *h, double divisor)
{
    return scaled(a, h, divisor, true, true);
}

struct histogram *histogram_negate(struct arena *a, const struct histogram *h)
{
    return scaled(a, h, -1, false, false);
}

/* ---- trimming ---- */

struct trim {
    double bound;
    bool upper; // keep what is below the bound, else what is above
    bool custom;
    bool changed;
    double count, sum; // of what is kept
};

struct kept {
    double count, middle; // middle: the value that stands for each observation
};

// The value in the middle of what is left of a bucket.
static double middle_of(double lower, double upper, bool positive, bool linear)
{
    double mean;

    if (isinf(lower))
        return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    if (isinf(upper))
        return lower;
    if (linear)
        return (lower + upper) / 2;
    mean = sqrt(fabs(lower * upper));
    return positive ? mean : -mean;
}

static double finite_or_0(double v)
{
    return isinf(v) ? 0 : v;
}

// A bucket that reaches to −∞: what is in there is unknown, unless one may take 0 as its start.
static struct kept trim_from_minus_inf(const struct trim *t, const struct hist_bucket *b)
{
    double v = t->bound;
    bool finite = b->upper > 0 && !isinf(b->upper);

    if (t->upper) {
        if (v >= b->upper)
            return (struct kept){ b->count, 0 };
        if (v > 0 && finite)
            return (struct kept){ b->count * v / b->upper, v / 2 };
        if (b->upper <= 0)
            return (struct kept){ b->count, v };
        return (struct kept){ 0, finite_or_0(b->upper) };
    }
    if (v <= b->lower)
        return (struct kept){ b->count, 0 };
    if (v >= 0 && b->upper > v && !isinf(b->upper))
        return (struct kept){ b->count * (1 - v / b->upper), (v + b->upper) / 2 };
    return (struct kept){ 0, finite_or_0(b->upper) };
}

static struct kept trim_bucket(const struct trim *t, const struct hist_bucket *b, bool positive)
{
    double below;

    if (isinf(b->lower) && b->lower < 0)
        return trim_from_minus_inf(t, b);
    if (isinf(b->upper) && b->upper > 0) {
        if (!t->upper && t->bound >= b->lower)
            return (struct kept){ b->count, t->bound };
        return (struct kept){ 0, finite_or_0(b->lower) };
    }
    if (t->bound <= b->lower)
        below = 0;
    else if (t->bound >= b->upper)
        below = b->count;
    else
        below = b->count * hist_share_below(b, t->bound, t->custom);
    if (t->upper)
        return (struct kept){ below, middle_of(b->lower, t->bound, positive, t->custom) };
    return (struct kept){ b->count - below, middle_of(t->bound, b->upper, positive, t->custom) };
}

// Trims the counts of one side in place. True when it had observations.
static bool trim_side(struct trim *t, const struct histogram *h, const struct hist_side *s,
                      double *count, bool positive)
{
    struct hist_walk w = hist_walk_of(s);
    bool any = false;

    while (hist_walk_next(&w)) {
        struct hist_bucket b = hist_bucket_of(h, positive, w.index, w.count);
        struct kept k = { 0, 0 };

        if (w.count == 0)
            continue;
        any = true;
        if (t->upper ? b.upper <= t->bound : b.lower >= t->bound)
            k = (struct kept){ b.count, middle_of(b.lower, b.upper, positive, t->custom) };
        else if (t->upper ? b.lower < t->bound : b.upper > t->bound)
            k = trim_bucket(t, &b, positive);
        else
            t->changed = true;
        t->changed |= k.count != w.count;
        t->count += k.count;
        t->sum += k.middle * k.count;
        count[w.at - 1] = k.count;
    }
    return any;
}

static struct kept trim_zero(const struct trim *t, const struct histogram *h, bool negative,
                             bool positive)
{
    double lower = positive && !negative ? 0 : -h->zero_threshold;
    double upper = negative && !positive ? 0 : h->zero_threshold;
    double v = t->bound;
    struct kept all = { h->zero_count, (lower + upper) / 2 }, none = { 0, 0 };

    if (v <= lower)
        return t->upper ? none : all;
    if (v >= upper)
        return t->upper ? all : none;
    if (t->upper)
        return (struct kept){ h->zero_count * ((v - lower) / (upper - lower)), (lower + v) / 2 };
    return (struct kept){ h->zero_count * ((upper - v) / (upper - lower)), (v + upper) / 2 };
}

const struct histogram *histogram_trim(struct arena *a, const struct histogram *h, double bound,
                                       bool upper)
{
    struct histogram *out = histogram_copy(a, h);
    double *pos = arena_copy(a, h->pos.count, h->pos.buckets * sizeof *pos);
    double *neg = arena_copy(a, h->neg.count, h->neg.buckets * sizeof *neg);
    struct trim t = { .bound = bound, .upper = upper, .custom = histogram_is_custom(h) };
    bool has_positive = trim_side(&t, h, &h->pos, pos, true);
    bool has_negative = trim_side(&t, h, &h->neg, neg, false);

    out->integer = false;
    if (h->zero_count > 0) {
        struct kept k = trim_zero(&t, h, has_negative, has_positive);

        t.changed |= k.count != h->zero_count;
        out->zero_count = k.count;
        t.sum += k.middle * k.count;
        t.count += k.count;
    }
    if (!t.changed)
        return out;
    out->pos.count = pos;
    out->neg.count = neg;
    out->count = t.count;
    out->sum = t.sum;
    return histogram_compact(a, out, 0);
}

/* ---- counter resets ---- */

// As widen_flat() of accumulators, on a shared histogram.
static bool widen_side(const struct histogram *h, const struct hist_side *s, struct hist_zero *z)
{
    struct hist_walk w = hist_walk_of(s);

    while (hist_walk_next(&w)) {
        double upper = hist_bound(w.index, h->schema);

        if (hist_bound((int32_t)((uint32_t)w.index - 1), h->schema) >= z->threshold)
            return false;
        kahan_add(w.count, &z->count, &z->comp);
        if (upper > z->threshold) {
            if (w.count == 0)
                return false;
            z->threshold = upper;
            return true;
        }
    }
    return false;
}

struct hist_zero hist_zero_widened(const struct histogram *h, double threshold)
{
    struct hist_zero z = { threshold, h->zero_count, 0 };

    if (threshold == h->zero_threshold)
        return z;
    do { // again with the positive side when the negative one raised the threshold
        z.count = h->zero_count; // the compensation goes on, as upstream's does
        widen_side(h, &h->pos, &z);
    } while (widen_side(h, &h->neg, &z));
    return z;
}

// Walks over a side in a coarser schema, without what ends in the zero bucket.
struct coarse_walk {
    struct hist_walk w;
    bool more; // w stands on a bucket not yet given
    int32_t shift, schema;
    double threshold;
    int32_t index;
    double count;
};

static bool coarse_next(struct coarse_walk *c)
{
    while (c->more) {
        c->index = hist_coarser_index(c->w.index, c->shift);
        c->count = 0;
        do {
            c->count += c->w.count;
            c->more = hist_walk_next(&c->w);
        } while (c->more && hist_coarser_index(c->w.index, c->shift) == c->index);
        if (c->threshold == 0 || hist_bound(c->index, c->schema) > c->threshold)
            return true;
    }
    return false;
}

static struct coarse_walk coarse_walk_of(const struct hist_side *s, int32_t shift,
                                         const struct histogram *like)
{
    struct coarse_walk c = { .w = hist_walk_of(s),
                             .shift = shift,
                             .schema = like->schema,
                             .threshold = histogram_is_custom(like) ? 0 : like->zero_threshold };

    c.more = hist_walk_next(&c.w);
    return c;
}

// True when some bucket of the earlier side is not reached by the later one.
static bool side_is_reset(const struct histogram *h, const struct hist_side *now,
                          const struct hist_side *before, int32_t shift)
{
    struct coarse_walk x = coarse_walk_of(now, 0, h), y = coarse_walk_of(before, shift, h);
    bool have = coarse_next(&x);

    while (coarse_next(&y)) {
        while (have && x.index < y.index)
            have = coarse_next(&x);
        if (have && x.index == y.index ? x.count < y.count : y.count != 0)
            return true;
    }
    return false;
}

// Observations up to a bound that were not yet given; have: w stands on a bucket.
static double roll_up(const struct histogram *h, struct hist_walk *w, bool *have, double bound)
{
    double sum = 0;

    while (*have && hist_bucket_of(h, true, w->index, 0).upper <= bound) {
        sum += w->count;
        *have = hist_walk_next(w);
    }
    return sum;
}

static double custom_bound(const struct histogram *h, uint32_t i)
{
    return i < h->custom_n ? h->custom[i] : INFINITY;
}

// The same question where the custom bounds differ: asked between the bounds in common.
static bool custom_is_reset(const struct histogram *h, const struct histogram *prev)
{
    struct hist_walk x = hist_walk_of(&h->pos), y = hist_walk_of(&prev->pos);
    bool have_x = hist_walk_next(&x), have_y = hist_walk_next(&y);

    for (uint32_t i = 0, j = 0; i <= h->custom_n && j <= prev->custom_n;) {
        double a = custom_bound(h, i), b = custom_bound(prev, j);

        if (a == b) {
            double now = roll_up(h, &x, &have_x, a);

            if (now < roll_up(prev, &y, &have_y, a))
                return true;
        }
        i += a <= b;
        j += !(a < b); // so NaN cannot hold up the loop
    }
    return false;
}

bool histogram_is_reset(const struct histogram *h, const struct histogram *prev)
{
    struct hist_zero z;

    if (h->reset == HIST_RESET_YES)
        return true;
    if (h->reset == HIST_RESET_NO)
        return false;
    if (h->count < prev->count)
        return true;
    if (histogram_is_custom(h)) {
        if (!histogram_is_custom(prev))
            return true;
        if (!hist_bounds_equal(h, prev))
            return custom_is_reset(h, prev);
        return side_is_reset(h, &h->pos, &prev->pos, 0);
    }
    if (h->schema > prev->schema || h->zero_threshold < prev->zero_threshold)
        return true;
    z = hist_zero_widened(prev, h->zero_threshold);
    if (z.threshold != h->zero_threshold || h->zero_count < z.count)
        return true;
    return side_is_reset(h, &h->pos, &prev->pos, prev->schema - h->schema) ||
           side_is_reset(h, &h->neg, &prev->neg, prev->schema - h->schema);
}
