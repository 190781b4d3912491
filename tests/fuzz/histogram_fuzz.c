// histogram_fuzz.c - two Histogram messages, one behind the other: every operation, valid or not.
//
// Operations must hold on histograms that nobody validated; on valid ones sums have the counts of
// their parts, and what cannot be a reset is none.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "model/histogram_ops.h"
#include "model/prompb.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void exercise(struct arena *a, const struct histogram *h)
{
    OWNED(buf_fini) struct buf b = { 0 };
    unsigned notes = 0;
    struct hist_mean m;

    histogram_quantile(h, 0.3, &notes);
    histogram_quantile(h, 0.9, &notes);
    histogram_fraction(h, -1, 2, &notes);
    histogram_stdvar(h);
    histogram_trim(a, h, 0.7, true);
    histogram_trim(a, h, -3, false);
    histogram_mul(a, h, -2);
    histogram_div(a, h, 0);
    histogram_compact(a, h, 0);
    histogram_compact(a, h, UINT32_MAX);
    buf_histogram_test(&b, h);
    buf_histogram_text(&b, h);
    hist_mean_init(&m, a);
    hist_mean_add(&m, h);
    hist_mean_add(&m, h);
    hist_mean_get(&m, a, true);
    struct err e = { 0 };
    assert(!histogram_validate(h, &e) || histogram_equal(h, histogram_copy(a, h)));
    assert(histogram_samples(h) > 0 && histogram_bytes(h) > 0);
}

static void combine(struct arena *a, const struct histogram *x, const struct histogram *y)
{
    const struct histogram *sum = NULL, *rest = NULL;
    struct hist_acc acc;
    struct err e = { 0 };
    unsigned notes = histogram_add(a, x, y, &sum);

    histogram_is_reset(x, y);
    hist_acc_init(&acc, a);
    hist_acc_set(&acc, x);
    assert(((hist_acc_add_exact(&acc, y) ^ notes) & HIST_NOTE_INCOMPATIBLE) == 0);
    assert(((histogram_sub(a, x, y, &rest) ^ notes) & HIST_NOTE_INCOMPATIBLE) == 0);
    if (notes & HIST_NOTE_INCOMPATIBLE)
        return;
    hist_acc_fold(&acc);
    hist_acc_get(&acc, a, true);
    if (!histogram_validate(x, &e) || !histogram_validate(y, &e))
        return;
    assert(sum->count == x->count + y->count || isnan(sum->count));
    assert(histogram_validate(sum, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct prompb_histogram x, y;
    size_t cut = n > 0 ? MIN((size_t)p[0], n - 1) : 0;
    struct err e = { 0 };

    if (n == 0 || !prompb_histogram(&a, str_of((const char *)p + 1, cut), &x, &e) ||
        !prompb_histogram(&a, str_of((const char *)p + 1 + cut, n - 1 - cut), &y, &e))
        return 0;
    if (!histogram_is_custom(x.h) &&
        (x.h->schema < HIST_SCHEMA_MIN || x.h->schema > HIST_SCHEMA_MAX))
        return 0; // bounds are only defined for these
    exercise(&a, x.h);
    if (histogram_is_custom(y.h) ||
        (y.h->schema >= HIST_SCHEMA_MIN && y.h->schema <= HIST_SCHEMA_MAX))
        combine(&a, x.h, y.h);
    return 0;
}
