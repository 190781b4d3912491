// prometheus_score_test.c - scores equal those that a Prometheus gave; filters combine them.
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus_score.h"

#include <math.h>

#include "../test.h"
#include "base/buf.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

static const struct {
    const char *pattern, *text;
    double score;
} subsequences[] = {
    { "", "anything", 1 },
    { "up", "up", 1 },
    { "req", "http_requests_total", 0.9376578947368421 },
    { "req", "job:http_requests:rate5m", 0.929625 },
    { "xyz", "up", 0 },
    { "zz", "jazz", (4 - 2.0 / 4) / 4 * 0.999 },
    { "ab", "a_b", (1 + 1 - 1.0 / 3) / 4 * 0.999 },
    { "ba", "ab", 0 },
    { "é", "caf\xc3\xa9", (1 - 3.0 / 4) * 0.999 }, // characters, not bytes
};

TEST(subsequence_scores)
{
    FOR_CASES (t, subsequences) {
        OWNED(arena_fini) struct arena a = { 0 };
        double got = score_subsequence(str_c(t->pattern), str_c(t->text), &a);
        CHECK_F(near(got, t->score), "%s in %s: %.17g", t->pattern, t->text, got);
    }
}

// The classic examples of the literature.
static const struct {
    const char *a, *b;
    double score;
} similarities[] = {
    { "martha", "marhta", 0.9611111111111111 },
    { "dwayne", "duane", 0.84 },
    { "dixon", "dicksonx", 0.8133333333333332 },
    { "", "a", 0 },
    { "same", "same", 1 },
    { "abc", "xyz", 0 },
};

TEST(jaro_winkler_scores)
{
    FOR_CASES (t, similarities) {
        OWNED(arena_fini) struct arena a = { 0 };
        double one = score_jaro_winkler(str_c(t->a), str_c(t->b), &a);
        double two = score_jaro_winkler(str_c(t->b), str_c(t->a), &a);
        CHECK_F(near(one, t->score), "%s %s: %.17g", t->a, t->b, one);
        CHECK(near(one, two));
    }
}

TEST(substring_scores)
{
    CHECK(score_substring(STR("x"), STR("abc")) < 0);
    CHECK(near(score_substring(STR("ab"), STR("abc")), 1));
    CHECK(near(score_substring(STR("c"), STR("abc")), 0.1));
    CHECK(near(score_substring(STR("b"), STR("abc")), 0.55));
    CHECK(near(score_substring(STR("c"), STR("\xc3\xa9"
                                             "bc")),
               0.1));
}

static bool accepts(const struct score_filter *f, const char *name, double *score)
{
    OWNED(arena_fini) struct arena a = { 0 };

    return score_accepts(f, str_c(name), &a, score);
}

TEST(filters)
{
    struct str terms[] = { STR(""), STR("req"), STR("UP") };
    struct score_filter f = { .terms = terms, .term_count = 3 };
    double score = -1;

    CHECK(accepts(&f, "requests", &score) && near(score, 1));
    CHECK(!accepts(&f, "up", &score));
    f.ignore_case = true;
    CHECK(accepts(&f, "up", &score) && near(score, 1));
    f.threshold = 95;
    CHECK(!accepts(&f, "http_requests_total", &score));
    f.threshold = 90;
    CHECK(accepts(&f, "http_requests_total", &score));
    f.term_count = 1; // the empty one: everything fits
    CHECK(accepts(&f, "anything", &score) && near(score, 1));
}

TEST(jaro_winkler_filters_only_with_a_threshold)
{
    struct str term = STR("martha");
    struct score_filter f = { .terms = &term, .term_count = 1, .algorithm = SCORE_JARO_WINKLER };
    double score;

    CHECK(!accepts(&f, "marhta", &score));
    f.threshold = 90;
    CHECK(accepts(&f, "marhta", &score) && near(score, 0.9611111111111111));
    CHECK(accepts(&f, "xx_martha", &score) && near(score, 0.1)); // inside: by its place
    f.threshold = 97;
    CHECK(!accepts(&f, "marhta", &score));
}

TEST(long_texts_are_bounded)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };

    for (int i = 0; i < 1 << 20; i++)
        buf_char(&b, 'a');
    CHECK(score_subsequence(STR("aaab"), buf_view(&b), &a) <= 0);
    CHECK(score_subsequence(STR("aaa"), buf_view(&b), &a) > 0);
    CHECK(near(score_jaro_winkler(STR("aaa"), buf_view(&b), &a), 0));
}
