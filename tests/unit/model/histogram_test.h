/*
 * histogram_test.h - histograms for tests, written down by their buckets.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <math.h>

#include "model/histogram_ops.h"
#include "test.h"

enum { TEST_BUCKETS_MAX = 64 };

struct test_bucket {
    int32_t index;
    double count;
};

/* A side ends at the first bucket whose index is END. */
enum { END = INT32_MIN };
struct test_histogram {
    int32_t schema;
    double count, sum, zero_threshold, zero_count;
    enum hist_reset reset;
    struct test_bucket pos[12], neg[12];
    double custom[8];
    uint32_t custom_n;
};

static inline struct hist_side test_side(struct arena *a, const struct test_bucket *b)
{
    int32_t index[12];
    double count[12];
    struct hist_span *span = arena_array(a, 12, struct hist_span);
    struct hist_side s = { .span = span };
    int32_t end = 0;

    for (; s.buckets < 12 && b[s.buckets].index != END; s.buckets++) {
        index[s.buckets] = b[s.buckets].index;
        count[s.buckets] = b[s.buckets].count;
        if (s.buckets == 0 || index[s.buckets] != end)
            span[s.spans++] = (struct hist_span){ index[s.buckets] - end, 0 };
        span[s.spans - 1].length++;
        end = index[s.buckets] + 1;
    }
    s.count = arena_copy(a, count, s.buckets * sizeof *count);
    return s;
}

static inline const struct histogram *test_histogram(struct arena *a,
                                                     const struct test_histogram *t)
{
    struct histogram *h = arena_new(a, struct histogram);

    *h = (struct histogram){ .schema = t->schema,
                             .reset = t->reset,
                             .zero_threshold = t->zero_threshold,
                             .zero_count = t->zero_count,
                             .count = t->count,
                             .sum = t->sum,
                             .pos = test_side(a, t->pos),
                             .neg = test_side(a, t->neg),
                             .custom = t->custom,
                             .custom_n = t->custom_n };
    return h;
}

static inline void check_text(const struct histogram *h, const char *want)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_histogram_test(&b, h);
    CHECK_STR(buf_view(&b), str_c(want));
}
