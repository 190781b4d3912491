/*
 * histogram_stat.c - quantiles, fractions and variance of native histograms.
 *
 * Within a bucket observations are taken to be spread evenly: on the linear scale in custom buckets
 * and in the zero bucket, on the logarithmic scale in exponential ones. Semantics: upstream's
 * promql/quantile.go of 3.x.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/histogram_priv.h"

// A zero bucket of a histogram with one side only is taken to reach only to that side.
static void narrow_zero(const struct histogram *h, struct hist_bucket *b)
{
    if (h->neg.buckets == 0 && h->pos.buckets > 0)
        b->lower = 0;
    else if (h->pos.buckets == 0 && h->neg.buckets > 0)
        b->upper = 0;
}

// The value at a fraction of the way into a bucket.
static double value_in(const struct histogram *h, const struct hist_bucket *b, double fraction)
{
    double low, high;

    if (histogram_is_custom(h) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    low = log2(fabs(b->lower));
    high = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(low + (high - low) * fraction);
    return -exp2(high + (low - high) * (1 - fraction));
}

/*
 * Tells whether observations are missing from the buckets. *b becomes the highest bucket: upstream
 * goes on with that one, not with the one that holds the rank, and answers are to be equal.
 */
static void note_skew(const struct histogram *h, struct hist_iter *it, double count,
                      struct hist_bucket *b, unsigned *notes)
{
    while (histogram_iter_next(it, b))
        count += b->count;
    if (count < h->count)
        *notes |= HIST_NOTE_NAN_SKEW;
}

// True when the bucket's bounds alone decide the quantile.
static bool is_open_ended(const struct histogram *h, struct hist_bucket *b, double *out)
{
    if (!histogram_is_custom(h)) {
        if (b->lower < 0 && b->upper > 0)
            narrow_zero(h, b);
        return false;
    }
    if (b->lower == -INFINITY) {
        *out = b->upper;
        if (b->upper <= 0)
            return true;
        b->lower = 0;
        return false;
    }
    *out = b->lower;
    return b->upper == INFINITY;
}

double histogram_quantile(const struct histogram *h, double q, unsigned *notes)
{
    bool has_nan = isnan(h->sum); // NaN is counted, but in no bucket: walk up, where it is missing
    bool up = has_nan || q < 0.5;
    struct hist_iter it = up ? histogram_iter(h) : histogram_iter_reverse(h);
    struct hist_bucket b = { 0 };
    double rank, value, count = 0;

    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count == 0 || isnan(q))
        return double_from_bits(SAMPLE_NAN_BITS);
    rank = (up ? q : 1 - q) * h->count;
    while (histogram_iter_next(&it, &b)) {
        if (b.count == 0)
            continue;
        count += b.count;
        if (count >= rank)
            break;
    }
    if (is_open_ended(h, &b, &value))
        return value;
    count = MIN(count, h->count);
    if (count < rank) {
        if (!has_nan)
            return b.upper; // rounding: the end of the highest bucket
        *notes |= HIST_NOTE_QUANTILE_NAN;
        return double_from_bits(SAMPLE_NAN_BITS);
    }
    rank = up ? rank - (count - b.count) : count - rank;
    if (has_nan)
        note_skew(h, &it, count, &b, notes);
    return value_in(h, &b, rank / b.count);
}

/* Where a bound falls into the ranks of a histogram, found while walking up. */
struct rank {
    double bound, rank;
    bool set;
};

static void rank_seek(struct rank *r, const struct hist_bucket *b, double below, bool linear)
{
    if (r->set)
        return;
    if (b->lower >= r->bound) {
        r->rank = below;
        r->set = true;
    } else if (b->upper > r->bound) {
        // Nothing is known of where in a bucket without lower end: all of it counts as below.
        r->rank = linear && b->lower == -INFINITY
                      ? b->count
                      : below + b->count * hist_share_below(b, r->bound, linear);
        r->set = true;
    }
}

double histogram_fraction(const struct histogram *h, double lower, double upper, unsigned *notes)
{
    struct hist_iter it = histogram_iter(h);
    struct rank low = { lower, 0, false }, high = { upper, 0, false };
    struct hist_bucket b;
    double count = 0, below = 0;

    if (h->count == 0 || isnan(lower) || isnan(upper))
        return double_from_bits(SAMPLE_NAN_BITS);
    if (lower >= upper)
        return 0;
    while (!(low.set && high.set) && histogram_iter_next(&it, &b)) {
        bool zero = b.lower <= 0 && b.upper >= 0;

        count += b.count;
        if (zero)
            narrow_zero(h, &b);
        rank_seek(&low, &b, below, zero || histogram_is_custom(h));
        rank_seek(&high, &b, below, zero || histogram_is_custom(h));
        below += b.count;
    }
    if (isnan(h->sum)) {
        while (histogram_iter_next(&it, &b))
            count += b.count;
        if (count < h->count)
            *notes |= HIST_NOTE_FRACTION_NAN;
    } else {
        count = h->count;
    }
    if (!low.set || low.rank > count)
        low.rank = count;
    if (!high.set || high.rank > count)
        high.rank = count;
    return (high.rank - low.rank) / h->count;
}

double histogram_stdvar(const struct histogram *h)
{
    struct hist_iter it = histogram_iter(h);
    struct hist_bucket b;
    double mean = h->sum / h->count, sum = 0, comp = 0;

    while (histogram_iter_next(&it, &b)) {
        double value = 0; // in the zero bucket

        if (b.count == 0)
            continue;
        if (histogram_is_custom(h))
            value = (b.upper + b.lower) / 2;
        else if (b.lower > 0 || b.upper < 0)
            value = copysign(sqrt(b.upper * b.lower), b.upper);
        kahan_add(b.count * (value - mean) * (value - mean), &sum, &comp);
    }
    return (sum + comp) / h->count;
}
