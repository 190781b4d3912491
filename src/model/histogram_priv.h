/*
 * histogram_priv.h - what the files of the histogram module share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <float.h>
#include <math.h>

#include "model/histogram_ops.h"

/*
 * Adds by Kahan's summation with Neumaier's improvement. The order of operations is upstream's
 * (util/kahansum), because answers are compared with its answers.
 */
static inline void kahan_add(double v, double *sum, double *comp)
{
    double t = *sum + v;

    if (t > DBL_MAX || t < -DBL_MAX)
        *comp = 0;
    else if (fabs(*sum) >= fabs(v))
        *comp += (*sum - t) + v;
    else
        *comp += (v - t) + *sum;
    *sum = t;
}

// Share of a bucket with finite bounds that lies below v, lower < v < upper. linear: custom and
// zero buckets; else on the logarithmic scale of the exponential ones.
static inline double hist_share_below(const struct hist_bucket *b, double v, bool linear)
{
    double low, high, at;

    if (linear)
        return (v - b->lower) / (b->upper - b->lower);
    low = log2(fabs(b->lower));
    high = log2(fabs(b->upper));
    at = log2(fabs(v));
    return v > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

/* What the zero bucket of h would hold if it reached to a larger threshold. */
struct hist_zero {
    double threshold; // raised to the end of a bucket that is not empty, if it fell into one
    double count, comp;
};
// The zero bucket of h with at least this threshold, with the buckets that fall into it; their
// borders may widen it further.
struct hist_zero hist_zero_widened(const struct histogram *h, double threshold);

// As a histogram: sides from parallel arrays of indexes and counts, empty buckets left out or not.
struct hist_side hist_side_build(struct arena *a, const int32_t *index, const double *count,
                                 uint32_t n, bool compact);
