// histogram_test.c - bounds, validity, equality, walking and text of native histograms.
// SPDX-License-Identifier: Apache-2.0
#include "histogram_test.h"

#include <float.h>

static const struct {
    int32_t schema, index;
    double want;
} bounds[] = {
    { 0, 0, 1 },
    { 0, 1, 2 },
    { 0, -1, 0.5 },
    { 0, 1023, 0x1p1023 },
    { 0, 1024, DBL_MAX }, // the last bucket of finite values
    { 0, 1025, INFINITY },
    { 0, -1074, 0x1p-1074 },
    { 0, -1075, 0 },
    { 1, 1, 0x1.6a09e667f3bccp0 }, // an ulp below the nearest double: upstream's table
    { 2, 4, 2 },
    { 2, -3, 0.5946035575013605 },
    { 8, 1, 0x1.00b1afa5abcbfp0 },
    { 8, 255, 0x1.fe9d96b2a23d6p0 },
    { 8, 256, 2 },
    { 8, -1, 0x1.fe9d96b2a23d6p-1 },
    { 8, 256 * 1024, DBL_MAX },
    { 8, 256 * 1024 + 1, INFINITY },
    { 8, 256 * 1024 - 1, 0x1.fe9d96b2a23d6p1023 },
    { -1, 1, 4 },
    { -1, 512, DBL_MAX },
    { -4, 1, 65536 },
    { -4, -1, 0x1p-16 },
    { -4, 64, DBL_MAX },
    { -4, 65, INFINITY },
    { -4, INT32_MAX, INFINITY },
    { -4, INT32_MIN, 0 },
    { 8, INT32_MIN, 0 },
};

TEST(hist_bound_table)
{
    FOR_CASES (t, bounds)
        CHECK_F(hist_bound(t->index, t->schema) == t->want, "schema %d index %d: %a", t->schema,
                t->index, hist_bound(t->index, t->schema));
}

TEST(hist_bound_schemas_nest)
{
    for (int32_t schema = HIST_SCHEMA_MIN; schema < HIST_SCHEMA_MAX; schema++) {
        for (int32_t i = -600; i < 600; i++)
            CHECK(hist_bound(i, schema) == hist_bound(2 * i, schema + 1));
    }
    for (int32_t i = -2000; i < 2000; i++)
        CHECK(hist_bound(i, 8) < hist_bound(i + 1, 8));
}

TEST(hist_coarser_index_keeps_upper_bounds)
{
    for (int32_t i = -40; i <= 40; i++) {
        double upper = hist_bound(i, 3), coarse = hist_bound(hist_coarser_index(i, 2), 1);

        CHECK(upper <= coarse && hist_bound(hist_coarser_index(i, 2) - 1, 1) < upper);
    }
    CHECK(hist_coarser_index(INT32_MIN, 3) == INT32_MIN / 8);
}

static const struct test_histogram plain = {
    .schema = 1,
    .count = 21,
    .sum = 12.5,
    .zero_threshold = 0.25,
    .zero_count = 2,
    .pos = { { -1, 3 }, { 0, 0 }, { 2, 4 }, { END, 0 } },
    .neg = { { 1, 5 }, { 4, 7 }, { END, 0 } },
};

static const struct test_histogram custom = {
    .schema = HIST_SCHEMA_CUSTOM,
    .count = 6,
    .sum = 9,
    .pos = { { 0, 1 }, { 2, 2 }, { 3, 3 }, { END, 0 } },
    .neg = { { END, 0 } },
    .custom = { -1, 2, 5 },
    .custom_n = 3,
};

TEST(histogram_text_forms)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct histogram empty = { 0 };

    check_text(test_histogram(&a, &plain),
               "{{schema:1 count:21 sum:12.5 z_bucket:2 z_bucket_w:0.25 offset:-1 "
               "buckets:[3 0 0 4] n_offset:1 n_buckets:[5 0 0 7]}}");
    check_text(test_histogram(&a, &custom),
               "{{schema:-53 count:6 sum:9 custom_values:[-1 2 5] buckets:[1 0 2 3]}}");
    check_text(&empty, "{{}}");
    empty.reset = HIST_RESET_GAUGE;
    check_text(&empty, "{{counter_reset_hint:gauge}}");
    buf_histogram_text(&b, test_histogram(&a, &plain));
    CHECK_STR(buf_view(&b),
              STR("{count:21, sum:12.5, [-4,-2.82842712474619):7, "
                  "[-1.414213562373095,-1):5, [-0.25,0.25]:2, (0.5,0.7071067811865475]:3, "
                  "(1.414213562373095,2]:4}"));
    buf_reset(&b);
    buf_histogram_text(&b, test_histogram(&a, &custom));
    CHECK_STR(buf_view(&b), STR("{count:6, sum:9, [-Inf,-1]:1, (2,5]:2, (5,+Inf]:3}"));
}

TEST(histogram_iter_visits_in_order_both_ways)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct test_histogram t = plain;
    struct hist_bucket seen[16], b;
    size_t n = 0;

    t.zero_threshold = 0.6; // reaches into the first positive bucket
    const struct histogram *h = test_histogram(&a, &t);
    struct hist_iter it = histogram_iter(h);
    while (histogram_iter_next(&it, &b))
        seen[n++] = b;
    CHECK(n == 6);
    CHECK(!histogram_iter_next(&it, &b));
    for (size_t i = 1; i < n; i++)
        CHECK(seen[i - 1].upper <= seen[i].lower);
    CHECK(seen[2].lower == -0.6 && seen[2].upper == 0.6 && seen[2].lower_inclusive);
    CHECK(seen[3].lower == 0.6 && seen[3].count == 3);
    CHECK(seen[0].lower_inclusive && !seen[0].upper_inclusive && seen[0].count == 7);
    CHECK(!seen[5].lower_inclusive && seen[5].upper_inclusive && seen[5].index == 2);
    it = histogram_iter_reverse(h);
    while (histogram_iter_next(&it, &b)) {
        n--;
        CHECK(b.lower == seen[n].lower && b.upper == seen[n].upper && b.count == seen[n].count);
    }
    CHECK(n == 0);
}

TEST(hist_walk_takes_empty_and_adjacent_spans)
{
    struct hist_span span[] = { { -3, 0 }, { 2, 2 }, { 0, 1 }, { 4, 0 }, { 1, 1 } };
    double count[] = { 1, 2, 3, 4 };
    struct hist_side s = { span, count, 5, 4 };
    int32_t want[] = { -1, 0, 1, 7 };
    struct hist_walk w = hist_walk_of(&s);

    for (int i = 0; i < 4; i++)
        CHECK(hist_walk_next(&w) && w.index == want[i] && w.count == i + 1);
    CHECK(!hist_walk_next(&w));
    w = hist_walk_back_of(&s);
    for (int i = 3; i >= 0; i--)
        CHECK(hist_walk_back(&w) && w.index == want[i] && w.count == i + 1);
    CHECK(!hist_walk_back(&w));
    s.buckets = 2; // fewer counts than the spans say
    w = hist_walk_of(&s);
    CHECK(hist_walk_next(&w) && hist_walk_next(&w) && !hist_walk_next(&w));
}

TEST(histogram_equal_looks_at_buckets_not_spans)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct histogram *h = test_histogram(&a, &plain);
    struct histogram *copy = histogram_copy(&a, h);
    struct hist_span split[] = { { -1, 1 }, { 0, 1 }, { 0, 0 }, { 1, 1 } };

    CHECK(copy->pos.count != h->pos.count && histogram_equal(h, copy));
    copy->pos.span = split;
    copy->pos.spans = 4;
    copy->reset = HIST_RESET_YES;
    CHECK(histogram_equal(h, copy));
    split[3].offset = 2;
    CHECK(!histogram_equal(h, copy));
    copy = histogram_copy(&a, h);
    copy->sum = double_from_bits(SAMPLE_NAN_BITS);
    struct histogram *nan = histogram_copy(&a, copy);
    CHECK(histogram_equal(copy, nan) && !histogram_equal(copy, h));
    nan->sum = double_from_bits(SAMPLE_STALE_BITS);
    CHECK(!histogram_equal(copy, nan) && histogram_is_stale(nan));
    struct test_histogram other = custom;
    other.custom[1] = 3;
    CHECK(!histogram_equal(test_histogram(&a, &custom), test_histogram(&a, &other)));
}

#define EXP  .pos = { { END, 0 } }, .neg = { { END, 0 } }
#define NHCB .schema = HIST_SCHEMA_CUSTOM, .neg = { { END, 0 } }

static const struct {
    struct test_histogram h;
    bool integer;
    const char *err; // NULL: fine
} checks[] = {
    { { EXP }, false, NULL },
    { { .schema = 9, EXP },
      false,
      "invalid schema, which must be between -4 and 8 for exponential "
      "buckets, or -53 for custom buckets, got schema 9" },
    { { .schema = -5, EXP }, false, "got schema -5" },
    { { .count = -1, EXP }, false, "observation count is  -1: histogram's observation count is" },
    { { .zero_count = -2, EXP }, false, "zero bucket has observation count of -2: " },
    { { .zero_threshold = -1, EXP }, false, "invalid zero threshold" },
    { { .zero_threshold = NAN, EXP }, false, "invalid zero threshold" },
    { { .custom_n = 1, EXP }, false, "exponential schema must not have custom bounds" },
    { { .pos = { { 0, -1 }, { END, 0 } }, .neg = { { END, 0 } } },
      false,
      "positive side: bucket number 1 has observation count of -1: " },
    { { .pos = { { END, 0 } }, .neg = { { 0, 1 }, { 1, -0.5 }, { END, 0 } } },
      false,
      "negative side: bucket number 2 has observation count of -0.5: " },
    { { .count = 3, .pos = { { 5, 1 }, { END, 0 } }, .neg = { { END, 0 } } }, false, NULL },
    { { .count = 3, .pos = { { 5, 1 }, { END, 0 } }, .neg = { { END, 0 } } },
      true,
      "1 observations found in buckets, but the Count field is 3: histogram's observation count "
      "should equal the number" },
    { { .count = 3, .sum = NAN, .pos = { { 5, 1 }, { END, 0 } }, .neg = { { END, 0 } } },
      true,
      NULL },
    { { .sum = NAN, .zero_count = 1, EXP }, true, "should be at least the number" },
    { { .pos = { { 0, 1 }, { 1, 1 }, { END, 0 } }, .custom = { 1 }, .custom_n = 1, NHCB },
      false,
      NULL },
    { { .pos = { { 0, 1 }, { 2, 1 }, { END, 0 } }, .custom = { 1 }, .custom_n = 1, NHCB },
      false,
      "custom buckets: only 1 custom bounds defined which is insufficient to cover total span "
      "length of 3: " },
    { { .pos = { { END, 0 } }, .custom = { 1, 1 }, .custom_n = 2, NHCB },
      false,
      "custom buckets: previous bound is 1.000000 and current is 1.000000: " },
    { { .pos = { { END, 0 } }, .custom = { 1, INFINITY }, .custom_n = 2, NHCB },
      false,
      "custom buckets: last +Inf bound must not be explicitly defined: " },
    { { .pos = { { END, 0 } }, .custom = { NAN }, .custom_n = 1, NHCB }, false, "must not be NaN" },
    { { .pos = { { -1, 1 }, { END, 0 } }, NHCB }, false, "span number 1 with offset -1: " },
    { { .pos = { { END, 0 } }, .zero_count = 1, NHCB }, false, "must have zero count of 0" },
    { { .pos = { { END, 0 } }, .zero_threshold = 1, NHCB }, false, "zero threshold of 0" },
    { { .schema = HIST_SCHEMA_CUSTOM, .pos = { { END, 0 } }, .neg = { { 0, 1 }, { END, 0 } } },
      false,
      "custom buckets: must not have negative spans" },
};

TEST(histogram_validate_table)
{
    FOR_CASES (t, checks) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct histogram *h = histogram_copy(&a, test_histogram(&a, &t->h));
        struct err e = { 0 };

        h->integer = t->integer;
        bool ok = histogram_validate(h, &e);
        CHECK_F(ok == !t->err, "case %ld: %s", (long)(t - checks), e.text);
        CHECK_F(ok || strstr(e.text, t->err), "case %ld: %s", (long)(t - checks), e.text);
    }
}

TEST(histogram_validate_checks_spans_against_buckets)
{
    struct hist_span span[] = { { 0, 2 }, { -1, 1 } }, far[] = { { INT32_MAX, 1 } };
    double count[3] = { 1, 1, 1 };
    struct histogram h = { .count = 3, .pos = { span, count, 2, 3 } };
    struct err e = { 0 };

    CHECK(!histogram_validate(&h, &e) && strstr(e.text, "span number 2 with offset -1"));
    span[1].offset = 1;
    CHECK(histogram_validate(&h, &e));
    h.pos.buckets = 2;
    CHECK(!histogram_validate(&h, &e) && strstr(e.text, "spans need 3 buckets, have 2 buckets"));
    h.pos = (struct hist_side){ far, count, 1, 1 };
    CHECK(!histogram_validate(&h, &e) && strstr(e.text, "beyond 32 bits"));
}

TEST(buf_histogram_test_survives_wide_gaps)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct hist_span span[] = { { 0, 1 }, { 2000000000, 1 } };
    double count[] = { 1, 1 };
    struct histogram h = { .pos = { span, count, 2, 2 } };

    buf_histogram_test(&b, &h);
    CHECK(b.n < 3 * HIST_BUCKETS_MAX);
}
