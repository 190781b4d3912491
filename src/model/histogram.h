/*
 * histogram.h - native histograms: exponential (schema −4..8) and custom buckets (schema −53).
 *
 * One representation for all uses: float counts, absolute per bucket (not deltas,
 * not cumulative), in the order of the spans. Integer histograms keep `integer`
 * set so that they are stored and sent as such; counts are exact up to 2^53.
 * Immutable once shared; every operation makes a new one in an arena.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "model/sample.h"

enum { HIST_SCHEMA_MIN = -4, HIST_SCHEMA_MAX = 8, HIST_SCHEMA_CUSTOM = -53 };
enum { HIST_SPANS_MAX = 4096, HIST_BUCKETS_MAX = 65536 };

enum hist_reset { HIST_RESET_UNKNOWN, HIST_RESET_YES, HIST_RESET_NO, HIST_RESET_GAUGE };

struct hist_span {
    int32_t offset;  // first span: bucket index; later: gap to the end of the one before
    uint32_t length; // buckets
};

struct hist_side {
    const struct hist_span *span;
    const double *count; // one per bucket of all spans
    uint32_t spans, buckets;
};

struct histogram {
    int32_t schema;
    enum hist_reset reset;
    bool integer;
    double zero_threshold, zero_count;
    double count, sum;
    struct hist_side pos, neg; // neg is empty for custom buckets
    const double *custom;      // custom_n upper bounds, ascending, +Inf implied
    uint32_t custom_n;
};

static inline bool histogram_is_stale(const struct histogram *h)
{
    return sample_is_stale(h->sum);
}
static inline bool histogram_is_custom(const struct histogram *h)
{
    return h->schema == HIST_SCHEMA_CUSTOM;
}

// Structure, counts and bounds as upstream's Validate: ERR_INVALID with its words.
MUST_CHECK bool histogram_validate(const struct histogram *h, struct err *e);
struct histogram *histogram_copy(struct arena *a, const struct histogram *h);
bool histogram_equal(const struct histogram *x, const struct histogram *y); // bit-wise, after spans

// One bucket, as iterators give it. Infinite bounds are ±Inf.
struct hist_bucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
    int32_t index;
};
/* Visits in ascending order of bounds: negative, zero (if its count is not 0), positive. */
struct hist_iter {
    const struct histogram *h;
    int state;
    uint32_t span, in_span, at;
    int32_t index;
    bool reverse;
};
struct hist_iter histogram_iter(const struct histogram *h);
bool histogram_iter_next(struct hist_iter *it, struct hist_bucket *out);

/*
 * Text as Prometheus prints it: in promqltest {{schema:1 count:3 …}} (after joining each side to one
 * span), and {count:3, sum:2, (0.5,1]:3} everywhere else.
 */
void buf_histogram_test(struct buf *b, const struct histogram *h);
void buf_histogram_text(struct buf *b, const struct histogram *h);
