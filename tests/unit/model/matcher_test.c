// matcher_test.c - what each kind of matcher accepts, present and absent labels.
// SPDX-License-Identifier: Apache-2.0
#include "model/matcher.h"

#include "test.h"

static const struct {
    enum match_op op;
    const char *pattern;
    struct str value;
    bool want;
} cases[] = {
    { MATCH_EQ, "a", STR("a"), true },        { MATCH_EQ, "a", STR("ab"), false },
    { MATCH_EQ, "", STR(""), true },          { MATCH_NE, "a", STR("b"), true },
    { MATCH_NE, "a", STR("a"), false },       { MATCH_NE, "", STR(""), false },
    { MATCH_RE, "a.c", STR("abc"), true },    { MATCH_RE, "a.c", STR("xabc"), false }, // anchored
    { MATCH_RE, "a.c", STR("a\nc"), true }, // . takes newlines
    { MATCH_RE, "a|b", STR("b"), true },      { MATCH_RE, ".*", STR(""), true },
    { MATCH_RE, ".*", STR("a\xff\n"), true }, { MATCH_RE, ".+", STR(""), false },
    { MATCH_RE, ".+", STR("\n"), true },      { MATCH_RE, "", STR(""), true },
    { MATCH_RE, "", STR("a"), false },        { MATCH_RE, ".?", STR("a"), true }, // no fast path
    { MATCH_NRE, ".*", STR("a"), false },     { MATCH_NRE, ".+", STR(""), true },
    { MATCH_NRE, "a|b", STR("c"), true },     { MATCH_NRE, "a|b", STR("a"), false },
};

TEST(matcher_matches_table)
{
    FOR_CASES (t, cases) {
        struct err e = { 0 };
        OWNED(regex_free) struct regex *re = NULL;
        struct matcher m = { t->op, STR("x"), str_c(t->pattern), NULL };

        if (t->op == MATCH_RE || t->op == MATCH_NRE) {
            CHECK_OK(regex_new(&re, m.value, REGEX_ANCHORED, &e), &e);
            m.re = re;
        }
        CHECK_F(matcher_matches(&m, t->value) == t->want, "x%s\"%s\" on \"%.*s\"",
                match_op_text(t->op), t->pattern, STRF(t->value));
        if (t->value.n == 0)
            CHECK(matcher_matches_empty(&m) == t->want);
    }
}

TEST(matchers_match_takes_absent_as_empty)
{
    struct label v[] = { { STR("a"), STR("1") }, { STR("b"), STR("2") } };
    struct labels ls = { v, 2 };
    struct matcher m[] = { { MATCH_EQ, STR("a"), STR("1"), NULL },
                           { MATCH_NE, STR("c"), STR("x"), NULL },
                           { MATCH_EQ, STR("d"), STR(""), NULL } };

    CHECK(matchers_match(m, 3, ls));
    CHECK(matchers_match(m, 0, ls));
    m[2].value = STR("y");
    CHECK(!matchers_match(m, 3, ls));
}

TEST(buf_matcher_quotes_where_needed)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct matcher plain = { MATCH_RE, STR("a"), STR("x\\."), NULL };
    struct matcher utf8 = { MATCH_NE, STR("a.b"), STR(""), NULL };

    buf_matcher(&b, &plain);
    buf_char(&b, ' ');
    buf_matcher(&b, &utf8);
    CHECK_STR(buf_view(&b), STR("a=~\"x\\\\.\" \"a.b\"!=\"\""));
}
