// matcher_text_test.c - both grammars of matchers, and what wins where they differ.
// SPDX-License-Identifier: Apache-2.0
#include "model/matcher_text.h"

#include "base/file.h"
#include "codec/json.h"
#include "test.h"

static void print_list(struct buf *b, const struct matcher_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        buf_printf(b, "%s%.*s %s %.*s", i ? ", " : "", STRF(l->v[i].name),
                   match_op_text(l->v[i].op), STRF(l->v[i].value));
}

// What reading gives, as text: matchers, or "error: …"; "?" in front where the grammars differ.
static struct str read_text(struct arena *a, enum matcher_grammar g, bool one, struct str text)
{
    OWNED(matcher_list_fini) struct matcher_list l = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    bool doubt = false;
    struct err e;

    if (!(one ? matcher_parse : matchers_parse)(a, text, g, &l, &doubt, &e)) {
        CHECK(l.n == 0 && e.kind == ERR_INVALID);
        buf_printf(&b, "error: %s", e.text);
    } else {
        buf_str(&b, doubt ? STR("? ") : STR_NONE);
        print_list(&b, &l);
    }
    return arena_str(a, buf_view(&b));
}

static const struct {
    enum matcher_grammar grammar;
    bool one;
    const char *text, *want;
} cases[] = {
    { MATCHER_UTF8, false, "", "" },
    { MATCHER_UTF8, false, " { } ", "" },
    { MATCHER_UTF8, false, "{a=b, \"c d\" !~ \"x\\n\\u00e9\",}", "a = b, c d !~ x\né" },
    { MATCHER_UTF8, false, "{a=b} c", "error: 6:7: c: expected end of input" },
    { MATCHER_UTF8, false, "{a=b,,c=d}",
      "error: 5:6: unexpected ,: expected a matcher or close brace after comma" },
    { MATCHER_UTF8, false, "é=", "error: end of input: expected label value" },
    { MATCHER_UTF8, false, "é é",
      "error: 2:3: unexpected é: expected an operator such as '=', "
      "'!=', '=~' or '!~'" },
    { MATCHER_UTF8, false, "a!b",
      "error: 1:2: !: expected one of '=~': expected an operator such "
      "as '=', '!=', '=~' or '!~'" },
    { MATCHER_UTF8, false, "a=\"b", "error: 2:4: \"b: missing end \": expected label value" },
    { MATCHER_UTF8, false, "a=~\"(\"",
      "error: failed to create matcher: error parsing regexp: "
      "missing closing ): `(`" },
    { MATCHER_UTF8, true, "{a=b}", "error: unexpected open or close brace: {a=b}" },
    { MATCHER_UTF8, true, "a=b,c=d", "error: expected 1 matcher, found 2" },
    { MATCHER_CLASSIC, false, "a=b,,c=d", "error: bad matcher format: " },
    { MATCHER_CLASSIC, false, " a = b c , ", "a = b c" },
    { MATCHER_CLASSIC, false, "a=\"b\\,\"", "a = b\\," },
    { MATCHER_CLASSIC, true, "1a=b", "error: bad matcher format: 1a=b" },
    { MATCHER_BOTH, false, "a=b", "a = b" },
    { MATCHER_BOTH, false, "a=b c", "? a = b c" },     // only the classic one takes it
    { MATCHER_BOTH, false, "a=\"\\t\"", "? a = \\t" }, // both do, differently
    { MATCHER_BOTH, false, "\"a.b\"=c", "a.b = c" },   // only the newer one does
    { MATCHER_BOTH, false, "a", "error: bad matcher format: a" },
    { MATCHER_BOTH, true, "a.b=c", "a.b = c" },
    { MATCHER_BOTH, true, "a=b}", "error: unexpected open or close brace: a=b}" },
};

TEST(texts_are_read)
{
    FOR_CASES (c, cases) {
        OWNED(arena_fini) struct arena a = { 0 };

        CHECK_STR(read_text(&a, c->grammar, c->one, str_c(c->text)), str_c(c->want));
    }
}

TEST(expressions_match_whole_values_without_line_ends)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(matcher_list_fini) struct matcher_list l = { 0 };
    struct err e;

    CHECK_OK(matchers_parse(&a, STR("x=~\"a|b.*\""), MATCHER_BOTH, &l, NULL, &e), &e);
    CHECK(l.n == 1 && matcher_matches(&l.v[0], STR("bc")) && matcher_matches(&l.v[0], STR("a")));
    CHECK(!matcher_matches(&l.v[0], STR("ac")) && !matcher_matches(&l.v[0], STR("xa")));
    CHECK(!matcher_matches(&l.v[0], STR("b\nc")));
}

/* ---- the corpus ---- */

static void check_case(struct arena *a, const struct json_value *c)
{
    bool utf8 = str_eq_c(json_get_str(c, STR("mode")), "utf8");
    bool one = str_eq_c(json_get_str(c, STR("function")), "matcher");
    struct json_value *want = json_get(c, STR("matchers")), *single = json_get(c, STR("matcher"));
    struct str error = json_get_str(c, STR("error")), input = json_get_str(c, STR("input"));
    OWNED(matcher_list_fini) struct matcher_list l = { 0 };
    enum matcher_grammar g = utf8 ? MATCHER_UTF8 : MATCHER_CLASSIC;
    bool braces = one && (str_starts(input, STR("{")) || str_ends(input, STR("}")));
    struct err e = { 0 };
    // The corpus has the parser below the refusal of braces around a single matcher.
    bool ok = (braces ? matchers_parse
               : one  ? matcher_parse
                      : matchers_parse)(a, input, g, &l, NULL, &e);

    if (braces && ok && l.n == 0)
        ok = err_set(&e, ERR_INVALID, "no matchers");
    CHECK_F(ok == !error.n, "%.*s: %s", STRF(input), ok ? "taken" : e.text);
    if (error.n) {
        CHECK_STR(str_c(e.text), error);
        return;
    }
    if (single)
        CHECK(l.n == 1);
    for (size_t i = 0; i < l.n; i++) {
        const struct json_value *m = single ? single : &want->items[i];

        CHECK(single || (want && want->n == l.n));
        CHECK_STR(l.v[i].name, json_get_str(m, STR("name")));
        CHECK_STR(str_c(match_op_text(l.v[i].op)), json_get_str(m, STR("op")));
        CHECK_STR(l.v[i].value, json_get_str(m, STR("value")));
    }
}

TEST(corpus_of_matchers)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *path = test_corpus("alertmanager/matchers.json");
    struct err e = { 0 };
    struct json_value *doc;
    struct str text;

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 1 << 20, &text, &e), &e);
    CHECK_OK(json_parse(&a, text, &doc, &e), &e);
    struct json_value *list = json_get(doc, STR("cases"));
    CHECK(list && list->n > 50);
    for (size_t i = 0; i < list->n; i++)
        check_case(&a, &list->items[i]);
}
