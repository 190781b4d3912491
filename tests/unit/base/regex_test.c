// regex_test.c - the shortcuts agree with the engine, templates expand as in Go.
// SPDX-License-Identifier: Apache-2.0
#include "base/regex.h"

#include "test.h"

static const struct {
    const char *re;
    const char *yes[4], *no[4];
    int set;
    const char *prefix;
} shapes[] = {
    { "abc", { "abc" }, { "abcd", "xabc", "" }, 1, "" },
    { "a|b|", { "a", "b", "" }, { "c", "ab" }, 3, "" },
    { "(foo|bar)", { "foo", "bar" }, { "foobar", "(foo" }, 2, "" },
    { "(?:foo|bar)", { "foo", "bar" }, { "baz" }, 2, "" },
    { "(a)(b)", { "ab" }, { "a", "b" }, 0, "" },
    { "a\\.b", { "a.b" }, { "axb" }, 1, "" },
    { "ab*", { "a", "ab", "abb" }, { "b", "" }, 0, "a" },
    { "ab?c|d", { "ac", "abc", "d" }, { "ab" }, 0, "" },
    { ".*", { "", "x", "a\nb" }, { NULL }, 0, "" },
    { ".+", { "x", "\n" }, { "" }, 0, "" },
    { "api.*", { "api", "api/v1", "api\n" }, { "xapi" }, 0, "api" },
    { ".*log", { "log", "a.log" }, { "logs" }, 0, "" },
    { ".*err.*", { "err", "an error" }, { "eror" }, 0, "" },
    { "^a$", { "a" }, { "aa" }, 1, "" },
    { "a|b.*", { "a", "b", "bc" }, { "ac" }, 0, "" },
    { "(?i)abc", { "ABC", "abc" }, { "abd" }, 0, "" },
    { "x{2}", { "xx" }, { "x", "x{2}" }, 0, "" },
    { "5..", { "500", "5\nx" }, { "50", "400" }, 0, "5" },
    { "[ab]c", { "ac", "bc" }, { "c" }, 0, "" },
    { "a$b", { NULL }, { "ab", "a$b" }, 0, "a" },
    { "\\d+", { "12" }, { "d", "\\d" }, 0, "" },
    { "é+x", { "éx", "ééx" }, { "x" }, 0, "" },
    { "", { "" }, { "a" }, 1, "" },
    { "(a|b)|c", { "a", "c" }, { "(a" }, 0, "" },
};

TEST(anchored_shapes)
{
    FOR_CASES (t, shapes) {
        OWNED(regex_free) struct regex *r = NULL;
        struct err e = { 0 };
        const struct str *set;
        CHECK_OK(regex_new(&r, str_c(t->re), REGEX_ANCHORED, &e), &e);
        for (size_t i = 0; i < 4 && t->yes[i]; i++)
            CHECK_F(regex_match(r, str_c(t->yes[i])), "%s should match \"%s\"", t->re, t->yes[i]);
        for (size_t i = 0; i < 4 && t->no[i]; i++)
            CHECK_F(!regex_match(r, str_c(t->no[i])), "%s should not match \"%s\"", t->re,
                    t->no[i]);
        CHECK_F((int)regex_set(r, &set) == t->set, "%s: %zu literals", t->re, regex_set(r, &set));
        CHECK_STR(regex_prefix(r), str_c(t->prefix));
    }
}

TEST(errors_name_the_cause)
{
    static const struct {
        const char *re, *text;
    } cases[] = { { "[a", "missing closing ]: `[a`" }, { "a(b", "missing closing )" },
                  { "a) (b", "unexpected )" },         { "*a", "repetition" },
                  { "\\C", "invalid escape" },         { "a{1001}", "repeat" } };

    FOR_CASES (t, cases) {
        struct regex *r = NULL;
        struct err e = { 0 };
        CHECK(!regex_new(&r, str_c(t->re), 0, &e) && !r);
        CHECK_F(strstr(e.text, t->text), "%s gave: %s", t->re, e.text);
        e = (struct err){ 0 };
        CHECK(!regex_new(&r, str_c(t->re), REGEX_ANCHORED, &e) && !r);
        CHECK_F(strstr(e.text, t->text), "%s, anchored, gave: %s", t->re, e.text);
    }
}

static const struct {
    const char *re, *in, *tmpl, *out;
} expansions[] = {
    { "(.*):(\\d+)", "host:80", "$2-$1", "80-host" },
    { "(.*):(\\d+)", "host:80", "${1}x", "hostx" },
    { "(.*):(\\d+)", "host:80", "$1x", "" },
    { "(?P<h>.*):.*", "host:80", "${h}!", "host!" },
    { "(?<h>.*):.*", "host:80", "$h!", "host!" },
    { "(.*)", "v", "$$1", "$1" },
    { "(.*)", "v", "$9", "" },
    { "(.*)", "v", "a$", "a$" },
    { "(.*)", "v", "${", "${" },
};

TEST(expand_as_go)
{
    FOR_CASES (t, expansions) {
        OWNED(regex_free) struct regex *r = NULL;
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };
        CHECK_OK(regex_new(&r, str_c(t->re), REGEX_ANCHORED, &e), &e);
        CHECK(regex_expand(r, str_c(t->in), str_c(t->tmpl), &b));
        CHECK_STR(buf_view(&b), str_c(t->out));
    }
}

static const struct {
    const char *re, *in, *tmpl, *out;
} replacements[] = {
    { "a", "banana", "o", "bonono" }, { "a*", "baac", "x", "xbxcx" },
    { "", "ab", "-", "-a-b-" },       { "(b)(c)", "abcabc", "$2$1", "acbacb" },
    { "z", "abc", "y", "abc" },       { "a*", "", "x", "x" },
};

TEST(replace_all_as_go)
{
    FOR_CASES (t, replacements) {
        OWNED(regex_free) struct regex *r = NULL;
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };
        CHECK_OK(regex_new(&r, str_c(t->re), 0, &e), &e);
        regex_replace_all(r, str_c(t->in), str_c(t->tmpl), &b);
        CHECK_STR(buf_view(&b), str_c(t->out));
    }
}
