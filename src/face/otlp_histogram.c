/*
 * otlp_histogram.c - buckets of OTLP as native histograms.
 *
 * An exponential bucket i of OpenTelemetry is (base^i, base^(i+1)], Prometheus's bucket i ends at
 * base^i: so indexes move by one. Scales above 8 are reduced by merging 2^k neighbours, which is a
 * shift of the index. Buckets without counts are left out, but gaps of up to two are kept: a
 * span costs more.
 */
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp_priv.h"

enum { GAP_MAX = 2 };

static const double zero_threshold = 1e-128; // where the sender does not say

struct side {
    VEC(struct hist_span) spans;
    VEC(double) counts;
    int64_t next; // index behind the last bucket
};

static void put_bucket(struct arena *a, struct side *s, int64_t index, double count)
{
    int64_t gap = index - s->next;

    if (!s->spans.n || gap > GAP_MAX) {
        *vec_push_in(
            a, &s->spans) = (struct hist_span){ .offset = (int32_t)(s->spans.n ? gap : index) };
        gap = 0;
    }
    struct hist_span *span = &s->spans.v[s->spans.n - 1];
    for (; gap > 0; gap--, span->length++)
        *vec_push_in(a, &s->counts) = 0;
    *vec_push_in(a, &s->counts) = count;
    span->length++;
    s->next = index + 1;
}

// The index of a bucket: shifted down by `shift` scales, moved by `move`.
static bool read_side(const struct otlp_buckets *b, int shift, int move, struct arena *a,
                      struct hist_side *out, struct err *e)
{
    struct side s = { 0 };
    uint64_t sum = 0;

    for (size_t i = 0; i < b->n; i++) {
        int64_t index = ((int64_t)b->offset + (int64_t)i) >> shift;
        bool last = i + 1 == b->n || ((int64_t)b->offset + (int64_t)i + 1) >> shift != index;

        if (__builtin_add_overflow(sum, b->count[i], &sum))
            return err_set(e, ERR_INVALID, "the counts of a histogram overflow");
        if (!last || sum == 0)
            continue;
        if (index + move > INT32_MAX || index + move < INT32_MIN)
            return err_set(e, ERR_INVALID, "bucket index %lld does not fit 32 bits",
                           (long long)index);
        put_bucket(a, &s, index + move, (double)sum);
        sum = 0;
    }
    *out = (struct hist_side){ .span = s.spans.v,
                               .count = s.counts.v,
                               .spans = (uint32_t)s.spans.n,
                               .buckets = (uint32_t)s.counts.n };
    return true;
}

bool otlp_exponential(const struct otlp_point *p, bool gauge, struct arena *a,
                      struct histogram *out, struct err *e)
{
    int32_t scale = MIN(p->scale, (int32_t)HIST_SCHEMA_MAX);
    // Beyond 62 steps all is one bucket on each side of 1.
    int shift = (int)MIN((int64_t)p->scale - scale, INT64_C(62));

    if (scale < HIST_SCHEMA_MIN)
        return err_set(e, ERR_INVALID,
                       "cannot convert exponential to native histogram. Scale must be >= %d, was "
                       "%d",
                       HIST_SCHEMA_MIN, scale);
    *out = (struct histogram){ .schema = scale,
                               .reset = gauge ? HIST_RESET_GAUGE : HIST_RESET_UNKNOWN,
                               .integer = true,
                               .zero_threshold = zero_threshold,
                               .zero_count = (double)p->zero_count,
                               .count = (double)p->count,
                               .sum = p->has_sum ? p->sum : 0 };
    return read_side(&p->pos, shift, 1, a, &out->pos, e) &&
           read_side(&p->neg, shift, 1, a, &out->neg, e);
}

bool otlp_custom(const struct otlp_point *p, bool gauge, struct arena *a, struct histogram *out,
                 struct err *e)
{
    *out = (struct histogram){ .schema = HIST_SCHEMA_CUSTOM,
                               .reset = gauge ? HIST_RESET_GAUGE : HIST_RESET_UNKNOWN,
                               .integer = true,
                               .count = (double)p->count,
                               .sum = p->has_sum ? p->sum : 0,
                               .custom = p->bound,
                               .custom_n = (uint32_t)p->bound_n };
    return read_side(&p->pos, 0, 0, a, &out->pos, e);
}
