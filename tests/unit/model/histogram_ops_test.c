// histogram_ops_test.c - layout, operators, trimming, counter resets, statistics, classic buckets.
// SPDX-License-Identifier: Apache-2.0
#include "model/histogram_ops.h"

#include "histogram_test.h"

#define NONE       \
    {              \
        {          \
            END, 0 \
        }          \
    }

/* ---- layout ---- */

TEST(histogram_compact_table)
{
    static const struct {
        struct test_bucket pos[12];
        uint32_t gap_max;
        const char *want; // span offset:length … / counts
    } cases[] = {
        { { { 0, 1 }, { 1, 2 }, { END, 0 } }, 0, "0:2 / 1 2" },
        { { { 0, 0 }, { 1, 2 }, { 2, 0 }, { END, 0 } }, 0, "1:1 / 2" },
        { { { 0, 1 }, { 1, 0 }, { 2, 0 }, { 3, 4 }, { END, 0 } }, 1, "0:1 2:1 / 1 4" },
        { { { 0, 1 }, { 1, 0 }, { 2, 0 }, { 3, 4 }, { END, 0 } }, 2, "0:4 / 1 0 0 4" },
        { { { 0, 1 }, { 3, 4 }, { END, 0 } }, 2, "0:4 / 1 0 0 4" },
        { { { 0, 1 }, { 3, 4 }, { 9, 5 }, { END, 0 } }, 2, "0:4 5:1 / 1 0 0 4 5" },
        { { { -5, 1 }, { 3, 0 }, { END, 0 } }, 0, "-5:1 / 1" },
        { { { 3, 0 }, { 4, 0 }, { END, 0 } }, 0, " /" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct test_histogram in = { .neg = NONE };

        memcpy(in.pos, t->pos, sizeof in.pos);
        const struct histogram *h = histogram_compact(&a, test_histogram(&a, &in), t->gap_max);
        for (uint32_t i = 0; i < h->pos.spans; i++)
            buf_printf(&b, "%s%d:%u", i ? " " : "", h->pos.span[i].offset, h->pos.span[i].length);
        buf_lit(&b, " /");
        for (uint32_t i = 0; i < h->pos.buckets; i++)
            buf_printf(&b, " %g", h->pos.count[i]);
        CHECK_STR(buf_view(&b), str_c(t->want));
        CHECK(histogram_equal(histogram_compact(&a, h, t->gap_max), h)); // nothing more to do
    }
}

TEST(histogram_compact_does_not_fill_wide_gaps)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct hist_span span[] = { { 0, 1 }, { 2000000000, 1 } };
    double count[] = { 1, 1 };
    struct histogram h = { .pos = { span, count, 2, 2 } };

    CHECK(histogram_compact(&a, &h, UINT32_MAX)->pos.buckets == 2);
    CHECK(a.taken_bytes < 1 << 20);
}

/* ---- operators ---- */

static const struct {
    struct test_histogram x, y;
    char op;
    unsigned notes;
    const char *want; // NULL: incompatible
} operators[] = {
    // The same layout.
    { { .count = 3, .sum = 5, .pos = { { 0, 1 }, { 1, 2 }, { END, 0 } }, .neg = NONE },
      { .count = 7, .sum = 1, .pos = { { 0, 3 }, { 1, 4 }, { END, 0 } }, .neg = NONE },
      '+',
      0,
      "{{count:10 sum:6 buckets:[4 6]}}" },
    // Buckets before, between, behind, and on the negative side.
    { { .pos = { { 0, 1 }, { 4, 2 }, { END, 0 } }, .neg = NONE },
      { .pos = { { -1, 5 }, { 2, 6 }, { 4, 1 }, { 7, 7 }, { END, 0 } },
        .neg = { { 0, 9 }, { END, 0 } } },
      '+',
      0,
      "{{offset:-1 buckets:[5 1 0 6 0 3 0 0 7] n_buckets:[9]}}" },
    // The finer schema is reduced: buckets 1 and 2 of schema 1 end in bucket 1 of schema 0.
    { { .schema = 1, .pos = { { 1, 1 }, { 2, 2 }, { 3, 4 }, { END, 0 } }, .neg = NONE },
      { .schema = 0, .pos = { { 1, 10 }, { END, 0 } }, .neg = NONE },
      '+',
      0,
      "{{offset:1 buckets:[13 4]}}" },
    { { .schema = 0, .pos = { { 1, 10 }, { END, 0 } }, .neg = NONE },
      { .schema = 2, .pos = { { 1, 1 }, { 4, 2 }, { 5, 4 }, { END, 0 } }, .neg = NONE },
      '-',
      0,
      "{{counter_reset_hint:gauge offset:1 buckets:[7 -4]}}" },
    // A wider zero bucket takes the buckets that it covers.
    { { .zero_threshold = 1, .zero_count = 2, .pos = { { 1, 4 }, { END, 0 } }, .neg = NONE },
      { .zero_threshold = 0.25,
        .zero_count = 1,
        .pos = { { -1, 3 }, { 1, 5 }, { END, 0 } },
        .neg = NONE },
      '+',
      0,
      "{{z_bucket:6 z_bucket_w:1 offset:1 buckets:[9]}}" },
    // One that ends within a bucket in use is widened to the end of it.
    { { .zero_threshold = 0.001,
        .pos = { { 0, 4 }, { 2, 1 }, { END, 0 } },
        .neg = { { 1, 8 }, { END, 0 } } },
      { .zero_threshold = 1.5, .zero_count = 1, .pos = { { 2, 1 }, { END, 0 } }, .neg = NONE },
      '+',
      0,
      "{{z_bucket:13 z_bucket_w:2 offset:2 buckets:[2]}}" },
    // Custom bounds.
    { { .schema = -53,
        .pos = { { 0, 1 }, { 2, 3 }, { END, 0 } },
        .neg = NONE,
        .custom = { 1, 2 },
        .custom_n = 2 },
      { .schema = -53,
        .pos = { { 0, 1 }, { 1, 3 }, { END, 0 } },
        .neg = NONE,
        .custom = { 1, 2 },
        .custom_n = 2 },
      '+',
      0,
      "{{schema:-53 custom_values:[1 2] buckets:[2 3 3]}}" },
    { { .schema = -53,
        .pos = { { 0, 1 }, { 1, 2 }, { 2, 4 }, { 3, 8 }, { END, 0 } },
        .neg = NONE,
        .custom = { 1, 2, 5 },
        .custom_n = 3 },
      { .schema = -53,
        .pos = { { 0, 16 }, { 1, 32 }, { 2, 64 }, { END, 0 } },
        .neg = NONE,
        .custom = { 2, 4 },
        .custom_n = 2 },
      '+',
      HIST_NOTE_BOUNDS_MISMATCH,
      "{{schema:-53 custom_values:[2] buckets:[19 108]}}" },
    { { .schema = -53,
        .count = 3,
        .pos = { { 0, 1 }, { 1, 2 }, { END, 0 } },
        .neg = NONE,
        .custom = { 1 },
        .custom_n = 1 },
      { .schema = -53,
        .count = 1,
        .pos = { { 0, 1 }, { END, 0 } },
        .neg = NONE,
        .custom = { 2 },
        .custom_n = 1 },
      '-',
      HIST_NOTE_BOUNDS_MISMATCH,
      "{{schema:-53 count:2 custom_values:[] counter_reset_hint:gauge buckets:[2]}}" },
    { { .pos = NONE, .neg = NONE },
      { .schema = -53, .pos = NONE, .neg = NONE },
      '+',
      HIST_NOTE_INCOMPATIBLE,
      NULL },
    // Hints.
    { { .reset = HIST_RESET_YES, .pos = NONE, .neg = NONE },
      { .reset = HIST_RESET_NO, .pos = NONE, .neg = NONE },
      '+',
      HIST_NOTE_RESET_COLLISION,
      "{{}}" },
    { { .reset = HIST_RESET_YES, .pos = NONE, .neg = NONE },
      { .reset = HIST_RESET_GAUGE, .pos = NONE, .neg = NONE },
      '+',
      0,
      "{{counter_reset_hint:gauge}}" },
    { { .reset = HIST_RESET_NO, .pos = NONE, .neg = NONE },
      { .reset = HIST_RESET_UNKNOWN, .pos = NONE, .neg = NONE },
      '+',
      0,
      "{{}}" },
    { { .reset = HIST_RESET_NO, .pos = NONE, .neg = NONE },
      { .reset = HIST_RESET_NO, .pos = NONE, .neg = NONE },
      '+',
      0,
      "{{counter_reset_hint:not_reset}}" },
};

TEST(histogram_add_and_sub_table)
{
    FOR_CASES (t, operators) {
        OWNED(arena_fini) struct arena a = { 0 };
        const struct histogram *x = test_histogram(&a, &t->x), *y = test_histogram(&a, &t->y);
        const struct histogram *out = NULL, *before = histogram_copy(&a, y);
        unsigned notes = t->op == '+' ? histogram_add(&a, x, y, &out)
                                      : histogram_sub(&a, x, y, &out);

        CHECK_F(notes == t->notes, "case %ld: notes %u", (long)(t - operators), notes);
        CHECK(histogram_equal(y, before));
        CHECK((out == NULL) == (t->want == NULL));
        if (out)
            check_text(out, t->want);
    }
}

TEST(histogram_scaling)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct test_histogram t = { .count = 6,
                                .sum = 3,
                                .zero_count = 2,
                                .zero_threshold = 0.5,
                                .pos = { { 0, 4 }, { 1, 0 }, { END, 0 } },
                                .neg = NONE };
    const struct histogram *h = test_histogram(&a, &t);

    check_text(histogram_mul(&a, h, 0.5),
               "{{count:3 sum:1.5 z_bucket:1 z_bucket_w:0.5 buckets:[2]}}");
    check_text(histogram_mul(&a, h, -1), "{{count:-6 sum:-3 z_bucket:-2 z_bucket_w:0.5 "
                                         "counter_reset_hint:gauge buckets:[-4]}}");
    check_text(histogram_div(&a, h, 0), "{{count:+Inf sum:+Inf z_bucket:+Inf z_bucket_w:0.5}}");
    CHECK(histogram_negate(&a, h)->pos.buckets == 2); // not compacted
    check_text(histogram_reduce(&a, h, -1),
               "{{schema:-1 count:6 sum:3 z_bucket:2 z_bucket_w:0.5 buckets:[4]}}");
}

TEST(histogram_trim_table)
{
    static const struct test_histogram exp = { .count = 30,
                                               .sum = 100,
                                               .zero_count = 10,
                                               .zero_threshold = 0.5,
                                               .pos = { { 1, 8 }, { 2, 12 }, { END, 0 } },
                                               .neg = NONE };
    static const struct test_histogram nhcb = { .schema = -53,
                                                .count = 20,
                                                .sum = 100,
                                                .pos = { { 0, 4 }, { 1, 8 }, { 2, 8 }, { END, 0 } },
                                                .neg = NONE,
                                                .custom = { 2, 4 },
                                                .custom_n = 2 };
    static const struct {
        const struct test_histogram *h;
        double bound;
        bool upper;
        const char *want;
    } cases[] = {
        { &exp, 100, true,
          "{{count:30 sum:100 z_bucket:10 z_bucket_w:0.5 offset:1 buckets:[8 12]}}" },
        { &exp, 2, true,
          "{{count:18 sum:13.813708498984761 z_bucket:10 z_bucket_w:0.5 offset:1 "
          "buckets:[8]}}" },
        { &exp, 2, false,
          "{{count:12 sum:33.941125496954285 z_bucket_w:0.5 offset:2 buckets:[12]}}" },
        { &exp, 0.25, true, "{{count:5 sum:0.625 z_bucket:5 z_bucket_w:0.5}}" },
        { &exp, -1, true, "{{z_bucket_w:0.5}}" },
        { &nhcb, 3, true, "{{schema:-53 count:8 sum:14 custom_values:[2 4] buckets:[4 4]}}" },
        { &nhcb, 1, false, "{{schema:-53 count:18 sum:59 custom_values:[2 4] buckets:[2 8 8]}}" },
        { &nhcb, 4, true, "{{schema:-53 count:12 sum:28 custom_values:[2 4] buckets:[4 8]}}" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };

        check_text(histogram_trim(&a, test_histogram(&a, t->h), t->bound, t->upper), t->want);
    }
}

/* ---- collecting ---- */

TEST(hist_acc_add_exact_keeps_what_rounding_loses)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct test_histogram big = {
        .count = 1e16, .sum = 1e16, .pos = { { 0, 1e16 }, { END, 0 } }, .neg = NONE
    };
    struct test_histogram one = {
        .count = 1, .sum = 1, .pos = { { 0, 1 }, { END, 0 } }, .neg = NONE
    };
    struct hist_acc plain, exact;

    hist_acc_init(&plain, &a);
    hist_acc_init(&exact, &a);
    hist_acc_set(&plain, test_histogram(&a, &big));
    hist_acc_set(&exact, test_histogram(&a, &big));
    for (int i = 0; i < 10; i++) {
        CHECK(hist_acc_add(&plain, test_histogram(&a, &one)) == 0);
        CHECK(hist_acc_add_exact(&exact, test_histogram(&a, &one)) == 0);
    }
    hist_acc_fold(&exact);
    CHECK(hist_acc_get(&plain, &a, true)->count == 1e16);
    const struct histogram *h = hist_acc_get(&exact, &a, true);
    CHECK(h->count == 1e16 + 10 && h->sum == 1e16 + 10 && h->pos.count[0] == 1e16 + 10);
}

TEST(hist_acc_allocates_only_for_new_layouts)
{
    OWNED(arena_fini) struct arena a = { 0 }, other = { 0 };
    struct test_histogram t = { .pos = { { 0, 1 }, { 5, 1 }, { END, 0 } }, .neg = NONE };
    const struct histogram *h = test_histogram(&other, &t);
    struct hist_acc x;

    hist_acc_init(&x, &a);
    hist_acc_set(&x, h);
    CHECK(hist_acc_add(&x, h) == 0);
    char *mark = a.p;
    for (int i = 0; i < 1000; i++)
        CHECK(hist_acc_add(&x, h) == 0);
    CHECK(a.p == mark);
    arena_fini(&other); // nothing of the inputs is kept
    check_text(hist_acc_get(&x, &a, true), "{{buckets:[1002 0 0 0 0 1002]}}");
}

TEST(hist_mean_survives_overflow)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct test_histogram t = {
        .count = 2, .sum = 1.5e308, .pos = { { 0, 2 }, { END, 0 } }, .neg = NONE
    };
    struct hist_mean m;

    hist_mean_init(&m, &a);
    for (int i = 0; i < 4; i++)
        CHECK(hist_mean_add(&m, test_histogram(&a, &t)) == 0);
    CHECK(m.incremental);
    const struct histogram *h = hist_mean_get(&m, &a, true);
    CHECK(fabs(h->sum / 1.5e308 - 1) < 1e-15 && h->count == 2 && h->pos.count[0] == 2);
    t.sum = 4;
    hist_mean_init(&m, &a);
    CHECK(hist_mean_add(&m, test_histogram(&a, &t)) == 0);
    t.sum = 8;
    CHECK(hist_mean_add(&m, test_histogram(&a, &t)) == 0);
    t.schema = HIST_SCHEMA_CUSTOM;
    CHECK(!m.incremental && hist_mean_get(&m, &a, true)->sum == 6);
    CHECK(hist_mean_add(&m, test_histogram(&a, &t)) == HIST_NOTE_INCOMPATIBLE);
}

/* ---- counter resets ---- */

TEST(histogram_is_reset_table)
{
    static const struct {
        struct test_histogram now, before;
        bool want;
    } cases[] = {
        { { .count = 5, .pos = NONE, .neg = NONE },
          { .count = 5, .pos = NONE, .neg = NONE },
          false },
        { { .count = 4, .pos = NONE, .neg = NONE },
          { .count = 5, .pos = NONE, .neg = NONE },
          true },
        { { .count = 4, .reset = HIST_RESET_NO, .pos = NONE, .neg = NONE },
          { .count = 5, .pos = NONE, .neg = NONE },
          false },
        { { .count = 6, .reset = HIST_RESET_YES, .pos = NONE, .neg = NONE },
          { .count = 5, .pos = NONE, .neg = NONE },
          true },
        // A bucket fell, vanished, or was empty and vanished.
        { { .count = 9, .pos = { { 0, 2 }, { 1, 7 }, { END, 0 } }, .neg = NONE },
          { .count = 5, .pos = { { 0, 3 }, { 1, 2 }, { END, 0 } }, .neg = NONE },
          true },
        { { .count = 9, .pos = { { 1, 7 }, { END, 0 } }, .neg = NONE },
          { .count = 5, .pos = { { 0, 3 }, { END, 0 } }, .neg = NONE },
          true },
        { { .count = 9, .pos = { { 1, 7 }, { END, 0 } }, .neg = NONE },
          { .count = 5, .pos = { { 0, 0 }, { 1, 5 }, { 4, 0 }, { END, 0 } }, .neg = NONE },
          false },
        { { .count = 9, .pos = NONE, .neg = { { 1, 1 }, { END, 0 } } },
          { .count = 5, .pos = NONE, .neg = { { 1, 2 }, { END, 0 } } },
          true },
        // Less resolution is no reset, more is one.
        { { .schema = 0, .count = 9, .pos = { { 1, 7 }, { END, 0 } }, .neg = NONE },
          { .schema = 1, .count = 5, .pos = { { 1, 3 }, { 2, 4 }, { END, 0 } }, .neg = NONE },
          false },
        { { .schema = 0, .count = 9, .pos = { { 1, 7 }, { END, 0 } }, .neg = NONE },
          { .schema = 1, .count = 5, .pos = { { 1, 3 }, { 2, 5 }, { END, 0 } }, .neg = NONE },
          true },
        { { .schema = 1, .count = 9, .pos = NONE, .neg = NONE },
          { .schema = 0, .count = 5, .pos = NONE, .neg = NONE },
          true },
        // The zero bucket may grow over whole buckets only.
        { { .count = 9, .zero_threshold = 1, .zero_count = 3, .pos = NONE, .neg = NONE },
          { .count = 5,
            .zero_threshold = 0.5,
            .zero_count = 1,
            .pos = { { 0, 2 }, { END, 0 } },
            .neg = NONE },
          false },
        { { .count = 9, .zero_threshold = 1, .zero_count = 2, .pos = NONE, .neg = NONE },
          { .count = 5,
            .zero_threshold = 0.5,
            .zero_count = 1,
            .pos = { { 0, 2 }, { END, 0 } },
            .neg = NONE },
          true },
        { { .count = 9, .zero_threshold = 0.75, .zero_count = 9, .pos = NONE, .neg = NONE },
          { .count = 5,
            .zero_threshold = 0.5,
            .zero_count = 1,
            .pos = { { 0, 2 }, { END, 0 } },
            .neg = NONE },
          true },
        { { .count = 9, .zero_threshold = 0.5, .pos = NONE, .neg = NONE },
          { .count = 5, .zero_threshold = 1, .pos = NONE, .neg = NONE },
          true },
        // Custom bounds: compared between the bounds in common.
        { { .schema = -53,
            .count = 9,
            .pos = { { 0, 3 }, { 1, 6 }, { END, 0 } },
            .neg = NONE,
            .custom = { 2 },
            .custom_n = 1 },
          { .schema = -53,
            .count = 9,
            .pos = { { 0, 1 }, { 1, 2 }, { 2, 6 }, { END, 0 } },
            .neg = NONE,
            .custom = { 1, 2 },
            .custom_n = 2 },
          false },
        { { .schema = -53,
            .count = 9,
            .pos = { { 0, 2 }, { 1, 7 }, { END, 0 } },
            .neg = NONE,
            .custom = { 2 },
            .custom_n = 1 },
          { .schema = -53,
            .count = 9,
            .pos = { { 0, 1 }, { 1, 2 }, { 2, 6 }, { END, 0 } },
            .neg = NONE,
            .custom = { 1, 2 },
            .custom_n = 2 },
          true },
        { { .schema = -53, .count = 9, .pos = NONE, .neg = NONE },
          { .count = 9, .pos = NONE, .neg = NONE },
          true },
        { { .count = 9, .pos = NONE, .neg = NONE },
          { .schema = -53, .count = 9, .pos = NONE, .neg = NONE },
          true },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };

        CHECK_F(histogram_is_reset(test_histogram(&a, &t->now), test_histogram(&a, &t->before)) ==
                    t->want,
                "case %ld", (long)(t - cases));
    }
}

/* ---- statistics ---- */

static const struct test_histogram two_sided = { .count = 12,
                                                 .sum = 3,
                                                 .zero_count = 4,
                                                 .zero_threshold = 0.001,
                                                 .pos = { { 1, 4 }, { END, 0 } },
                                                 .neg = { { 1, 4 }, { END, 0 } } };
static const struct test_histogram positive = { .count = 12,
                                                .sum = 100,
                                                .zero_count = 2,
                                                .zero_threshold = 0.001,
                                                .pos = { { 0, 2 }, { 1, 3 }, { 3, 5 }, { END, 0 } },
                                                .neg = NONE };
static const struct test_histogram with_nan = {
    .count = 15, .sum = NAN, .pos = { { 0, 12 }, { END, 0 } }, .neg = NONE
};
static const struct test_histogram bounded = { .schema = -53,
                                               .count = 10,
                                               .sum = 50,
                                               .pos = { { 0, 2 }, { 1, 4 }, { 2, 4 }, { END, 0 } },
                                               .neg = NONE,
                                               .custom = { 5, 10 },
                                               .custom_n = 2 };
static const struct test_histogram nothing = { .pos = NONE, .neg = NONE };

TEST(histogram_quantile_table)
{
    static const struct {
        const struct test_histogram *h;
        double q, want;
        unsigned notes;
    } cases[] = {
        { &positive, 1.001, INFINITY, 0 },
        { &positive, -0.1, -INFINITY, 0 },
        { &positive, NAN, NAN, 0 },
        { &nothing, 0.5, NAN, 0 },
        { &positive, 1, 8, 0 },
        { &positive, 0, 0, 0 },
        { &positive, 1.0 / 12, 0.0005, 0 },            // half of a zero bucket that begins at 0
        { &positive, 5.5 / 12, 1.414213562373095, 0 }, // half of 1..2 on the logarithmic scale
        { &positive, 0.75, 5.278031643091577, 0 },
        { &two_sided, 0.5, 0, 0 },
        { &two_sided, 2.0 / 12, -1.414213562373095, 0 },
        { &two_sided, 10.0 / 12, 1.414213562373095, 0 },
        { &bounded, 0.1, 2.5, 0 }, // the first bucket is taken to begin at 0
        { &bounded, 0.4, 7.5, 0 },
        { &bounded, 0.9, 10, 0 }, // the last one has no end
        { &with_nan, 0.4, 0.7071067811865475, HIST_NOTE_NAN_SKEW },
        { &with_nan, 0.81, NAN, HIST_NOTE_QUANTILE_NAN },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        unsigned notes = 0;
        double got = histogram_quantile(test_histogram(&a, t->h), t->q, &notes);

        CHECK_F(got == t->want || fabs(got - t->want) < 1e-12 * fabs(t->want) ||
                    (isnan(got) && isnan(t->want)),
                "case %ld: %.17g", (long)(t - cases), got);
        CHECK_F(notes == t->notes, "case %ld: notes %u", (long)(t - cases), notes);
    }
}

TEST(histogram_fraction_table)
{
    static const struct {
        const struct test_histogram *h;
        double lower, upper, want;
        unsigned notes;
    } cases[] = {
        { &positive, -INFINITY, INFINITY, 1, 0 },
        { &positive, 2, 1, 0, 0 },
        { &positive, 1, NAN, NAN, 0 },
        { &nothing, 0, 1, NAN, 0 },
        { &positive, 1, 2, 0.25, 0 },
        { &positive, 1.414213562373095, 2, 0.125, 0 },
        { &positive, 0, 0.0005, 1.0 / 12, 0 },
        { &two_sided, -INFINITY, 0, 0.5, 0 },
        { &two_sided, -2, -1.414213562373095, 2.0 / 12, 0 },
        { &bounded, 0, 7.5, 0.4, 0 }, // the first bucket is taken to begin at 0
        { &bounded, -INFINITY, 7.5, 0.4, 0 },
        { &bounded, 10, 100, 0, 0 },
        { &with_nan, -INFINITY, INFINITY, 0.8, HIST_NOTE_FRACTION_NAN },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        unsigned notes = 0;
        double got = histogram_fraction(test_histogram(&a, t->h), t->lower, t->upper, &notes);

        CHECK_F(fabs(got - t->want) < 1e-12 || (isnan(got) && isnan(t->want)), "case %ld: %.17g",
                (long)(t - cases), got);
        CHECK_F(notes == t->notes, "case %ld: notes %u", (long)(t - cases), notes);
    }
}

TEST(histogram_stdvar_takes_the_middle_of_buckets)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct test_histogram t = {
        .count = 4, .sum = 8, .pos = { { 2, 4 }, { END, 0 } }, .neg = NONE
    };

    double d = 2.8284271247461903 - 2; // the geometric middle of 2..4 and the mean
    CHECK(fabs(histogram_stdvar(test_histogram(&a, &t)) - d * d) < 1e-12);
    t = (struct test_histogram){ .schema = -53,
                                 .count = 4,
                                 .sum = 8,
                                 .pos = { { 1, 4 }, { END, 0 } },
                                 .neg = NONE,
                                 .custom = { 2, 4 },
                                 .custom_n = 2 };
    CHECK(histogram_stdvar(test_histogram(&a, &t)) == 1); // the arithmetic middle
}

TEST(histogram_sizes)
{
    OWNED(arena_fini) struct arena a = { 0 };

    CHECK(histogram_samples(test_histogram(&a, &nothing)) == 11);
    CHECK(histogram_samples(test_histogram(&a, &positive)) == (168 + 8 * 5 + 8) / 16);
    CHECK(histogram_bytes(test_histogram(&a, &positive)) == sizeof(struct histogram) + 40);
}

/* ---- classic buckets ---- */

TEST(classic_quantile_table)
{
    static const struct {
        struct classic_bucket v[6];
        size_t n;
        double q, want;
        bool forced, small;
    } cases[] = {
        { { { 1, 2 }, { 2, 6 }, { INFINITY, 8 } }, 3, 0.5, 1.5, false, false },
        { { { INFINITY, 8 }, { 2, 6 }, { 1, 2 } }, 3, 0.5, 1.5, false, false }, // any order
        { { { 1, 2 }, { 2, 6 }, { INFINITY, 8 } }, 3, 0.125, 0.5, false, false },
        { { { 1, 2 }, { 2, 6 }, { INFINITY, 8 } }, 3, 0.9, 2, false, false },
        { { { -1, 2 }, { 2, 6 }, { INFINITY, 8 } }, 3, 0.1, -1, false, false },
        { { { 1, 2 }, { 2, 6 } }, 2, 0.5, NAN, false, false },
        { { { INFINITY, 8 } }, 1, 0.5, NAN, false, false },
        { { { 1, 0 }, { INFINITY, 0 } }, 2, 0.5, NAN, false, false },
        { { { 1, 2 }, { 1, 2 }, { INFINITY, 8 } },
          3,
          0.25,
          0.5,
          false,
          false }, // equal bounds join
        { { { 1, 4 }, { 2, 3 }, { INFINITY, 8 } }, 3, 0.75, 2, true, false },
        { { { 1, 4 }, { 2, 4 + 1e-12 }, { INFINITY, 8 } }, 3, 0.25, 0.5, false, true },
        { { { 1, 2 }, { INFINITY, 8 } }, 2, 2, INFINITY, false, false },
    };

    FOR_CASES (t, cases) {
        struct classic_bucket v[6];
        struct classic_repair r;
        size_t n = t->n;

        memcpy(v, t->v, sizeof v);
        double got = classic_quantile(v, &n, t->q, &r);
        CHECK_F(got == t->want || (isnan(got) && isnan(t->want)), "case %ld: %.17g",
                (long)(t - cases), got);
        CHECK(r.forced == t->forced && r.small == t->small);
        if (r.forced)
            CHECK(r.le_min == 2 && r.le_max == 2 && r.diff_max == 1);
    }
}

TEST(classic_fraction_interpolates)
{
    struct classic_bucket v[] = { { INFINITY, 10 }, { 4, 8 }, { 2, 4 } };
    size_t n = 3;

    CHECK(classic_fraction(v, &n, 1, 3) == 0.4);
    CHECK(classic_fraction(v, &n, -INFINITY, INFINITY) == 1);
    CHECK(classic_fraction(v, &n, 4, 100) == 0);
    CHECK(isnan(classic_fraction(v, &n, NAN, 1)) && classic_fraction(v, &n, 3, 3) == 0);
}

TEST(nhcb_builder_converts)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(nhcb_fini) struct nhcb_builder b = { 0 };
    struct err e = { 0 };
    struct histogram *h = NULL;

    CHECK_OK(nhcb_bucket(&b, INFINITY, 9, &e), &e);
    CHECK_OK(nhcb_bucket(&b, 1, 2, &e), &e);
    CHECK_OK(nhcb_bucket(&b, 5, 9, &e), &e);
    CHECK_OK(nhcb_bucket(&b, 2, 2, &e), &e);
    CHECK_OK(nhcb_bucket(&b, 2, 1, &e), &e); // repeated: ignored
    CHECK_OK(nhcb_count(&b, 9, &e), &e);
    nhcb_sum(&b, 20);
    CHECK_OK(nhcb_build(&b, &a, &h, &e), &e);
    CHECK(h->integer);
    CHECK_OK(histogram_validate(h, &e), &e);
    check_text(h, "{{schema:-53 count:9 sum:20 custom_values:[1 2 5] buckets:[2 0 7]}}");

    nhcb_reset(&b);
    CHECK_OK(nhcb_bucket(&b, 1, 1.5, &e), &e);
    CHECK_OK(nhcb_build(&b, &a, &h, &e), &e); // count and +Inf from the highest bucket
    CHECK(!h->integer && h->count == 1.5 && h->pos.buckets == 1);

    nhcb_reset(&b);
    CHECK_OK(nhcb_bucket(&b, 1, 5, &e), &e);
    CHECK(!nhcb_bucket(&b, 2, 4, &e) && strstr(e.text, "count is not cumulative: 4 < 5"));
    CHECK(!nhcb_bucket(&b, 0.5, 6, &e) && strstr(e.text, "count is not cumulative: 6 > 5"));
    CHECK(!nhcb_bucket(&b, NAN, 6, &e) && strstr(e.text, "must not be NaN"));
    CHECK(!nhcb_bucket(&b, 3, -1, &e) && strstr(e.text, "non-negative: le=3, count=-1"));
    CHECK(!nhcb_count(&b, -1, &e));
    CHECK_OK(nhcb_bucket(&b, INFINITY, 7, &e), &e);
    CHECK_OK(nhcb_count(&b, 8, &e), &e);
    h = NULL;
    CHECK(!nhcb_build(&b, &a, &h, &e) && h == NULL);
    CHECK(strstr(e.text, "count mismatch: count=8 != le=+Inf count=7"));
}
