// page_test.c - pages as families: what is refused and in whose words; histograms put together.
// SPDX-License-Identifier: Apache-2.0
#include "model/page.h"

#include "test.h"

static const struct {
    const char *in, *text;
} bad[] = {
    { "a{b=\"c} 1\n", "line 1: label value \"c} 1\" contains unescaped new-line" },
    { "a 1", "line 1: unexpected end of input stream" },
    { "# x\n\na{b=1} 1\n", "line 3: expected '\"' at start of label value, found '1'" },
    { "a{b\"x\"} 1\n", "line 1: expected '=' after label name, found '\"'" },
    { "a{b=\"x\"c=\"y\"} 1\n", "line 1: unexpected end of label value \"x\"" },
    { "a{b=\"x\",b=\"y\"} 1\n", "line 1: duplicate label names for metric \"a\"" },
    { "a{__name__=\"x\"} 1\n", "line 1: label name \"__name__\" is reserved" },
    { "a one\n", "line 1: expected float as value, got \"one\"" },
    { "a 1 x\n", "line 1: expected integer as timestamp, got \"x\"" },
    { "a 1 2 3\n", "line 1: spurious string after timestamp: \" 3\"" },
    { "a 0x1p3\n", "line 1: expected float as value, got \"0x1p3\"" },
    { "%\n", "line 1: invalid metric name" },
    { "# TYPE a foo\n", "line 1: unknown metric type \"foo\"" },
    { "a 1\n# TYPE a gauge\n",
      "line 2: second TYPE line for metric name \"a\", or TYPE reported after samples" },
    { "# HELP a x\n# HELP a y\n", "line 2: second HELP line for metric name \"a\"" },
    { "# TYPE a histogram\na_bucket{le=\"x\"} 1\n",
      "line 2: expected float as value for 'le' label, got \"x\"" },
};

TEST(refusals_say_what_and_where)
{
    FOR_CASES (t, bad) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct page page = { .n = 77 };
        struct err e = { 0 };
        CHECK_F(!page_read(&a, str_c(t->in), &page, &e), "%s", t->in);
        CHECK_F(strstr(e.text, t->text) != NULL, "%s: %s", t->in, e.text);
        CHECK(page.n == 77);
    }
}

TEST(lines_of_a_histogram_make_one_metric)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct page page = { 0 };
    struct err e = { 0 };

    CHECK_OK(page_read(&a,
                       STR("# HELP h A \\\\ line\\nmore\n# TYPE h histogram\n"
                           "h_bucket{a=\"1\",le=\"1\"} 2\nh_bucket{le=\"+Inf\",a=\"1\"} 3\n"
                           "h_sum{a=\"1\"} 4.5\nh_count{a=\"1\"} 3\nh_count{a=\"2\"} 0 17\n"
                           "b 7\n{\"x.y\",z=\"\\\"\"} 1\n"),
                       &page, &e),
             &e);
    CHECK(page.n == 3);
    CHECK_STR(page.families[0]->name, STR("b"));
    CHECK(page.families[0]->type == PAGE_UNTYPED && page.families[0]->metrics.v[0]->value == 7);
    const struct page_family *h = page.families[1];
    CHECK_STR(h->help, STR("A \\ line\nmore"));
    CHECK(h->type == PAGE_HISTOGRAM && h->metrics.n == 2);
    const struct page_metric *m = h->metrics.v[0];
    CHECK(m->parts.n == 2 && m->parts.v[0].at == 1 && m->parts.v[1].value == 3);
    CHECK(m->sum == 4.5 && m->count == 3 && m->label_count == 1);
    CHECK(h->metrics.v[1]->t_ms == 17);
    CHECK_STR(page.families[2]->name, STR("x.y"));
    CHECK_STR(page.families[2]->metrics.v[0]->labels[0].value, STR("\""));
}
