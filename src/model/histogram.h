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

// Structure, counts and bounds as upstream's Validate: ERR_INVALID with its words. A NaN or
// negative zero threshold and indexes beyond 32 bits are refused too, which upstream forgets.
MUST_CHECK bool histogram_validate(const struct histogram *h, struct err *e);
// A deep copy in one piece of the arena.
struct histogram *histogram_copy(struct arena *a, const struct histogram *h);
// Same counts in the same buckets, bit by bit; hint and `integer` are not looked at.
bool histogram_equal(const struct histogram *x, const struct histogram *y);

/* ---- visiting ---- */

// The buckets of one side in the order of the spans, as index and count.
struct hist_walk {
    const struct hist_side *side;
    uint32_t span, in_span, at;
    uint32_t next; // index of the next bucket, modulo 2^32
    int32_t index; // of the bucket last given
    double count;
};

static inline struct hist_walk hist_walk_of(const struct hist_side *s)
{
    return (struct hist_walk){ .side = s, .next = s->spans ? (uint32_t)s->span[0].offset : 0 };
}

static inline bool hist_walk_next(struct hist_walk *w)
{
    while (w->span < w->side->spans && w->in_span >= w->side->span[w->span].length) {
        w->in_span = 0;
        if (++w->span < w->side->spans)
            w->next += (uint32_t)w->side->span[w->span].offset;
    }
    if (w->span >= w->side->spans || w->at >= w->side->buckets)
        return false;
    w->index = (int32_t)w->next++;
    w->count = w->side->count[w->at++];
    w->in_span++;
    return true;
}

// The same from the last bucket to the first.
struct hist_walk hist_walk_back_of(const struct hist_side *s);
// One step towards the first bucket; false when there is none left.
bool hist_walk_back(struct hist_walk *w);

// Upper bound of a bucket of an exponential schema, bit for bit upstream's; the last finite bucket
// ends at DBL_MAX. Any index; schema HIST_SCHEMA_MIN..HIST_SCHEMA_MAX.
double hist_bound(int32_t index, int32_t schema);

// One bucket, as iterators give it. Infinite bounds are ±Inf.
struct hist_bucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
    int32_t index; // 0 for the zero bucket
};

// The bucket of a side with its bounds as the schema gives them.
struct hist_bucket hist_bucket_of(const struct histogram *h, bool positive, int32_t index,
                                  double count);

/*
 * Visits in ascending order of bounds: negative, zero (if its count is above 0), positive; empty
 * buckets too. Bounds that reach into the zero bucket are moved to the zero threshold.
 */
struct hist_iter {
    const struct histogram *h;
    struct hist_walk walk;
    int state;
    bool reverse;
};
// Walks all buckets in ascending order of their bounds: negative, zero, positive. Borrows h.
struct hist_iter histogram_iter(const struct histogram *h);
// As histogram_iter(), descending.
struct hist_iter histogram_iter_reverse(const struct histogram *h);
// The next bucket; false at the end, for ever after.
bool histogram_iter_next(struct hist_iter *it, struct hist_bucket *out);

/*
 * Text as promqltest writes it: {{schema:1 count:3 …}}, each side joined to one run of at most
 * HIST_BUCKETS_MAX buckets.
 */
void buf_histogram_test(struct buf *b, const struct histogram *h);
// Text as Prometheus writes it everywhere else: {count:3, sum:2, (0.5,1]:3}.
void buf_histogram_text(struct buf *b, const struct histogram *h);
