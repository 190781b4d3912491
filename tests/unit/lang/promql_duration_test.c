// promql_duration_test.c - duration expressions get their values from start, end and step.
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql.h"

#include "test.h"

static const struct {
    const char *in;
    int64_t range_ms, offset_ms;
    const char *err;
} cases[] = {
    { "x[5m] offset 1h", 300000, 3600000, NULL },
    { "x[5m*2]", 600000, 0, NULL },
    { "x[step()]", 15000, 0, NULL },
    { "x[range()]", 3600000, 0, NULL },
    { "x[range() / step()]", 240000, 0, NULL },
    { "x[2^3]", 8000, 0, NULL },
    { "x[-1 ^ 2 + 3]", 2000, 0, NULL },
    { "x[7 % 4] offset -step()", 3000, -15000, NULL },
    { "x[max_of(step(), 1m)] offset min_of(step(), 1m)", 60000, 15000, NULL },
    { "x[1m] offset -(1h / 2)", 60000, -1800000, NULL },
    { "x[1.0006]", 1000, 0, NULL },
    { "x[step() - 1m]", 0, 0, "2:13: duration must be greater than 0" },
    { "x[step() / (1 - 1)]", 0, 0, "2:17: division by zero" },
    { "x[step() % (1 - 1)]", 0, 0, "2:17: modulo by zero" },
    { "x[(0-1) ^ 0.5]", 0, 0, "3:13: duration is NaN or infinite" },
    { "x[10 ^ 10]", 0, 0, "2:9: duration is out of range" },
    { "x[1m] offset (10 ^ 10)", 0, 0, "14:21: duration is out of range" },
};

TEST(values)
{
    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        struct err e = { 0 };

        CHECK_OK(promql_parse(&a, str_c(t->in), &q, &e), &e);
        bool ok = promql_resolve_durations(&q, 1000, 3601000, 15000, &e);
        CHECK_F(ok == !t->err, "%s: %s", t->in, e.text);
        if (!ok) {
            CHECK_STR(str_c(e.text), str_c(t->err));
            continue;
        }
        CHECK_F(q.root->range.range_ms == t->range_ms, "%s: range %lld", t->in,
                (long long)q.root->range.range_ms);
        CHECK_F(q.root->range.selector->selector.offset_ms == t->offset_ms, "%s: offset %lld",
                t->in, (long long)q.root->range.selector->selector.offset_ms);
    }
}

TEST(subqueries_and_other_times)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    struct err e = { 0 };

    CHECK_OK(promql_parse(&a, STR("x[range()*1:step()] offset (step() * 2)"), &q, &e), &e);
    CHECK_OK(promql_resolve_durations(&q, 0, 60000, 1000, &e), &e);
    CHECK(q.root->subquery.range_ms == 60000 && q.root->subquery.step_ms == 1000);
    CHECK(q.root->subquery.offset_ms == 2000);
    CHECK_OK(promql_resolve_durations(&q, 0, 120000, 5000, &e), &e);
    CHECK(q.root->subquery.range_ms == 120000 && q.root->subquery.step_ms == 5000);
    CHECK(q.root->subquery.offset_ms == 10000);
}
