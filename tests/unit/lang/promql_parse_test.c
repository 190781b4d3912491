// promql_parse_test.c - grammar, types, messages and spans, limits.
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql.h"

#include <string.h>

#include "base/file.h"
#include "codec/json.h"
#include "test.h"

/* ---- structure, as (operator operand …) ---- */

static void shape(struct buf *b, const struct promql_node *n)
{
    switch (n->kind) {
    case PROMQL_BINARY:
        buf_printf(b, "(%s ", promql_op_text(n->binary.op));
        shape(b, n->binary.lhs);
        buf_char(b, ' ');
        shape(b, n->binary.rhs);
        buf_char(b, ')');
        break;
    case PROMQL_UNARY:
        buf_str(b, n->unary.negative ? STR("(neg ") : STR("(pos "));
        shape(b, n->unary.expr);
        buf_char(b, ')');
        break;
    case PROMQL_PAREN:
        buf_char(b, '[');
        shape(b, n->paren);
        buf_char(b, ']');
        break;
    case PROMQL_SUBQUERY:
        buf_lit(b, "(sub ");
        shape(b, n->subquery.expr);
        buf_char(b, ')');
        break;
    default:
        promql_print(b, n);
    }
}

static const struct {
    const char *in, *shape;
} shapes[] = {
    { "a + b * c", "(+ a (* b c))" },
    { "a * b + c", "(+ (* a b) c)" },
    { "a - b - c", "(- (- a b) c)" },
    { "a ^ b ^ c", "(^ a (^ b c))" },
    { "a or b and c unless d", "(or a (unless (and b c) d))" },
    { "a == b + c", "(== a (+ b c))" },
    { "a < b >/ c", "(>/ (< a b) c)" },
    { "a % b atan2 c / d", "(/ (atan2 (% a b) c) d)" },
    { "-a ^ b", "(neg (^ a b))" },
    { "-a * b", "(* (neg a) b)" },
    { "-1 ^ 2", "(neg (^ 1 2))" },
    { "- -1", "1" },
    { "2 ^ -1 * 3", "(* (^ 2 -1) 3)" },
    { "-(1)", "(neg [1])" },
    { "a + b offset 5m", "(+ a b offset 5m)" },
    { "-a[5m:]", "(neg (sub a))" }, // refused by its type, but so parsed
    { "a offset 5m + 3", "(+ a offset 5m 3)" },
    { "a offset (5m) + 3", "a offset (5m) + 3" },
    { "a offset step() + 3", "(+ a offset step() 3)" },
    { "a offset -(5m) * 3", "(* a offset -(5m) 3)" },
    { "sum + by + offset", "(+ (+ sum by) offset)" },
    { "fill + fill_left", "(+ fill fill_left)" },
};

TEST(precedence)
{
    FOR_CASES (t, shapes) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };

        if (t->in[0] == '-' && strstr(t->in, ":]")) {
            CHECK(!promql_parse(&a, str_c(t->in), &q, &e));
            CHECK(strstr(e.text, "got \"range vector\""));
            continue;
        }
        CHECK_OK(promql_parse(&a, str_c(t->in), &q, &e), &e);
        shape(&b, q.root);
        CHECK_STR(buf_view(&b), str_c(t->shape));
    }
}

/* ---- messages ---- */

struct expected_error {
    uint32_t start, end;
    const char *text;
};

static const struct {
    const char *in;
    struct expected_error errors[3];
} bad[] = {
    { " ", { { 0, 0, "no expression found in input" } } },
    { "a +", { { 3, 3, "unexpected end of input" } } },
    { "a\n+ )", { { 5, 5, "unexpected right parenthesis ')'" } } },
    { "sum(1 + *)",
      { { 8, 9, "unexpected <op:*> in aggregation" },
        { 0, 5, "no arguments for aggregate expression provided" },
        { 9, 10, "unexpected \")\"" } } },
    { "a b }", { { 2, 3, "unexpected identifier \"b\"" }, { 4, 5, "unexpected character: '}'" } } },
    { "a{b,c}",
      { { 3, 4, "unexpected \",\" in label matching, expected label matching operator" },
        { 5, 6, "unexpected \"}\" in label matching, expected label matching operator" } } },
    { "a{b=~\"(\"}", { { 2, 8, "error parsing regexp: missing closing ): `(`" } } },
    { "a[5m x]", { { 5, 7, "unexpected character: 'x', expected ':'" } } },
    { "a[5m:1m 5]", { { 8, 9, "unexpected number \"5\" in subquery selector, expected \"]\"" } } },
    { "a[5m + ]",
      { { 7, 8,
          "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or "
          "range()" } } },
    { "a offset (5m) + b",
      { { 16, 17,
          "unexpected identifier \"b\" in offset, expected number, duration, step(), or "
          "range()" } } },
    { "a @ start", { { 9, 9, "unexpected end of input in @, expected timestamp" } } },
    { "foo(a,,b)",
      { { 5, 6, "trailing commas not allowed in function call args" },
        { 0, 3, "unknown function with name \"foo\"" } } },
    { "sum by (a, (b)",
      { { 11, 12, "unexpected \"(\" in grouping opts, expected label" },
        { 14, 14, "unclosed left parenthesis" },
        { 0, 14, "no arguments for aggregate expression provided" } } },
    { "a + on(x) group_left) b", { { 21, 23, "unexpected right parenthesis ')'" } } },
    { "(a + on(x) group_left)",
      { { 21, 22, "unexpected \")\" in grouping opts, expected \"(\"" } } },
    { "a + fill(1 b",
      { { 11, 12, "unexpected identifier \"b\"" }, { 12, 12, "unclosed left parenthesis" } } },
    { "topk(1)",
      { { 0, 7,
          "wrong number of arguments for aggregate expression provided, expected 2, got 1" } } },
    { "sum by (\"\") (a)", { { 8, 10, "invalid label name for grouping: \"\"" } } },
    { "rate(a) + abs(1)",
      { { 5, 6, "expected type range vector in call to function \"rate\", got instant vector" },
        { 14, 15, "expected type instant vector in call to function \"abs\", got scalar" } } },
    { "a{b=\"c\"} and on(x) group_left 1",
      { { 0, 31, "vector matching only allowed between instant vectors" },
        { 0, 31, "set operator \"and\" not allowed in binary scalar expression" } } },
    { "label_join(a)",
      { { 0, 13, "expected at least 3 argument(s) in call to \"label_join\", got 1" } } },
    { "\"\\400\"", { { 0, 6, "escape sequence is an invalid Unicode code point" } } },
    { "a{b=\"\xff\"}", { { 4, 8, "invalid UTF-8 rune" } } },
    { "1__0", { { 0, 4, "bad number or duration syntax: \"1__\"" } } },
    { "a[1h2h]",
      { { 2, 6, "not a valid duration string: \"1h2h\"" },
        { 2, 6, "duration must be greater than 0" } } },
    { "a[1m/0]", { { 4, 5, "division by zero" }, { 0, 0, "duration must be greater than 0" } } },
};

TEST(messages_and_spans)
{
    FOR_CASES (t, bad) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };

        CHECK_F(!promql_parse(&a, str_c(t->in), &q, &e), "%s parsed", t->in);
        CHECK(!q.root && e.kind == ERR_INVALID);
        promql_print_error(&b, &q, 0);
        CHECK_STR(str_c(e.text), buf_view(&b));
        for (size_t i = 0; i < 3; i++) {
            const struct expected_error *want = &t->errors[i];
            CHECK_F((i < q.error_count) == (want->text != NULL) || i == 2, "%s: %zu errors", t->in,
                    q.error_count);
            if (!want->text || i >= q.error_count)
                break;
            CHECK_STR(q.errors[i].text, str_c(want->text));
            CHECK_F(q.errors[i].start == want->start && q.errors[i].end == want->end, "%s: %u..%u",
                    t->in, q.errors[i].start, q.errors[i].end);
        }
    }
}

static const struct {
    const char *in, *error;
} gated[] = {
    { "sort_by_label(up, \"a\")", "1:1: parse error: function \"sort_by_label\" is not enabled" },
    { "1 + sum(info(up))", "1:9: parse error: function \"info\" is not enabled" },
    { "abs(limitk(1, up))", "1:5: parse error: limitk() is experimental and must be enabled with "
                            "--enable-feature=promql-experimental-functions" },
    { "limitk()", "1:1: parse error: no arguments for aggregate expression provided" },
    { "rate(up[5m] smoothed)",
      "1:6: parse error: smoothed modifier is experimental and not enabled" },
    { "up anchored", "1:1: parse error: anchored modifier is experimental and not enabled" },
    { "holt_winters(a[5m], 0.5, 0.5)",
      "1:1: parse error: unknown function with name \"holt_winters\"" },
    { "1 + (a and fill(0) b)",
      "1:6: parse error: binop fill modifiers are experimental and not enabled" },
};

TEST(what_options_switch_off)
{
    static const struct promql_options off = { true, true, true, true };

    FOR_CASES (t, gated) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        struct err e = { 0 };
        CHECK_F(!promql_parse_with(&a, str_c(t->in), &off, &q, &e), "%s parsed", t->in);
        CHECK_STR(str_c(e.text), str_c(t->error));
    }
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    struct err e = { 0 };
    CHECK_OK(promql_parse_with(&a, STR("rate(up[5m-1m]) + on(a) topk(1, b)"), &off, &q, &e), &e);
}

TEST(position_counts_lines)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    struct err e = { 0 };

    CHECK(!promql_parse(&a, STR("a + # one\n  b +\n ]"), &q, &e));
    CHECK_STR(str_c(e.text), STR("3:2: parse error: unexpected right bracket ']'"));
    CHECK(e.pos.line == 3 && e.pos.col == 2 && e.pos.offset == 17);
}

/* ---- what a tree holds ---- */

static struct promql_node *parsed(struct arena *a, struct promql *q, const char *text)
{
    struct err e = { 0 };

    CHECK_OK(promql_parse(a, str_c(text), q, &e), &e);
    return q->root;
}

TEST(selector_fields)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    struct promql_node *n = parsed(
        &a, &q, "up{\"x.y\"!=\"\\x41\\u00e9\", z=~`a|b`}[5m] offset -1h @ 1.5 smoothed");
    struct promql_node *s = n->range.selector;

    CHECK(n->kind == PROMQL_RANGE && n->type == PROMQL_MATRIX && n->range.range_ms == 300000);
    CHECK(n->height == 2 && s->height == 1);
    CHECK_STR(s->selector.name, STR("up"));
    CHECK(s->selector.matcher_count == 3);
    CHECK_STR(s->selector.matchers[0].name, STR("x.y"));
    CHECK_STR(s->selector.matchers[0].value, STR("A\xc3\xa9"));
    CHECK(matcher_matches(&s->selector.matchers[1], STR("b")));
    CHECK(!matcher_matches(&s->selector.matchers[1], STR("bb")));
    CHECK_STR(s->selector.matchers[2].name, LABEL_NAME);
    CHECK(s->selector.offset_ms == -3600000 && s->selector.at == AT_TIME);
    CHECK(s->selector.at_ms == 1500 && s->selector.smoothed && !s->selector.anchored);
    CHECK(q.regex_count == 1);
}

TEST(binary_fields)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    struct promql_node *n = parsed(
        &a, &q, "a > bool on(b, \"c d\") group_right(e) fill_right(-5m) fill_left(2) f");

    CHECK(n->binary.op == PROMQL_GT && n->binary.return_bool && n->binary.on);
    CHECK(n->binary.label_count == 2 && n->binary.include_count == 1);
    CHECK_STR(n->binary.labels[1], STR("c d"));
    CHECK(n->binary.card == CARD_ONE_TO_MANY && n->binary.has_matching);
    CHECK(n->binary.has_fill_lhs && n->binary.fill_lhs == 2);
    CHECK(n->binary.has_fill_rhs && n->binary.fill_rhs == -300);
    CHECK(n->binary.op_start == 2 && n->binary.op_end == 3);
}

TEST(functions_are_found_by_exact_name)
{
    CHECK(promql_function_find(STR("rate"))->id == FN_rate);
    CHECK(promql_function_find(STR("year"))->id == FN_year);
    CHECK(promql_function_find(STR("abs"))->id == FN_abs);
    CHECK(promql_function_find(STR("holt_winters"))->result == PROMQL_VECTOR);
    CHECK(promql_function_find(STR("info"))->flags & FN_EXPERIMENTAL);
    CHECK(!promql_function_find(STR("Rate")) && !promql_function_find(STR_NONE));
}

TEST(selector_alone)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };

    OWNED(promql_fini) struct promql q = { 0 };
    CHECK_OK(promql_parse_selector(&a, STR("sum{a=\"b\"} "), &q, &e), &e);
    CHECK(q.root->kind == PROMQL_SELECTOR && q.root->selector.matcher_count == 2);

    OWNED(promql_fini) struct promql any = { 0 };
    CHECK_OK(promql_parse_selector(&a, STR("{}"), &any, &e), &e);
    CHECK(any.root->selector.matcher_count == 0);

    OWNED(promql_fini) struct promql more = { 0 };
    CHECK(!promql_parse_selector(&a, STR("up offset 5m"), &more, &e));
    CHECK_STR(str_c(e.text), STR("1:4: parse error: unexpected <offset>"));
}

/* ---- limits ---- */

static void repeat(struct buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_str(b, str_c(text));
}

TEST(deep_nesting_is_an_error)
{
    static const struct {
        const char *open, *inner, *close, *text;
    } cases[] = {
        { "(", "a", ")", "nested deeper" },
        { "-", "a", "", "nested deeper" },
        { "abs(", "a", ")", "nested deeper" },
        { "sum by (x) (", "a", ")", "nested deeper" },
        { "a ^ ", "a", "", "nested deeper" },
        { "a + ", "a", "", "more than 2000 levels" },
        { "a[5m:", "1m", "]", "unexpected" },
        { "a[(", "5m", ")]", "unexpected" },
        { "", "a", "[5m:]", "more than 2000 levels" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };

        repeat(&b, t->open, 10000);
        buf_str(&b, str_c(t->inner));
        repeat(&b, t->close, 10000);
        CHECK(!promql_parse(&a, buf_view(&b), &q, &e));
        CHECK_F(strstr(e.text, t->text), "%s: %s", t->open, e.text);
    }
}

TEST(deep_durations_are_errors)
{
    static const char *const open[] = { "(", "-", "min_of(1,", "1+", "1^" };

    FOR_CASES (t, open) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };

        buf_lit(&b, "a[");
        repeat(&b, *t, 5000);
        buf_lit(&b, "5m");
        CHECK(!promql_parse(&a, buf_view(&b), &q, &e));
        CHECK_F(strstr(e.text, "nested deeper") || strstr(e.text, "more than"), "%s: %s", *t,
                e.text);
    }
}

TEST(chains_within_the_limit_parse)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };
    struct err e = { 0 };

    repeat(&b, "a or ", PROMQL_HEIGHT_MAX - 1);
    buf_char(&b, 'a');
    CHECK_OK(promql_parse(&a, buf_view(&b), &q, &e), &e);
    CHECK(q.root->height == PROMQL_HEIGHT_MAX);
    promql_print(&out, q.root);
    CHECK_STR(buf_view(&out), buf_view(&b));
}

TEST(long_text_is_an_error)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    repeat(&b, " ", PROMQL_TEXT_MAX + 1);
    CHECK(!promql_parse(&a, buf_view(&b), &q, &e));
    CHECK(strstr(e.text, "is longer than"));
}

/* ---- the corpus ---- */

static struct json_value *load(struct arena *a, const char *path)
{
    struct json_value *doc;
    struct err e = { 0 };
    struct str text;

    CHECK_OK(file_read(a, path, 64 << 20, &text, &e), &e);
    CHECK_OK(json_parse(a, text, &doc, &e), &e);
    return json_get(doc, STR("cases"));
}

static void check_errors(const struct promql *q, const struct json_value *want, struct str in)
{
    CHECK_F(q->error_count == want->n, "%.*s: %zu errors, want %u", STRF(in), q->error_count,
            want->n);
    for (size_t i = 0; i < want->n; i++) {
        int64_t start = -1, end = -1;
        CHECK(json_to_i64(json_get(&want->items[i], STR("start")), &start));
        CHECK(json_to_i64(json_get(&want->items[i], STR("end")), &end));
        CHECK_STR(q->errors[i].text, json_get_str(&want->items[i], STR("msg")));
        CHECK_F(q->errors[i].start == start && q->errors[i].end == end, "%.*s: %u..%u", STRF(in),
                q->errors[i].start, q->errors[i].end);
    }
}

static void check_case(const struct json_value *c, struct str in)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    const struct json_value *errors = json_get(c, STR("errors"));
    struct err e = { 0 };
    bool ok = promql_parse(&a, in, &q, &e);

    CHECK_F(ok == json_get(c, STR("ok"))->b, "%.*s: %s", STRF(in), e.text);
    if (!ok) {
        promql_print_error(&b, &q, 0);
        CHECK_STR(buf_view(&b), json_get_str(c, STR("error")));
        if (errors)
            check_errors(&q, errors, in);
        return;
    }
    promql_print(&b, q.root);
    CHECK_STR(buf_view(&b), json_get_str(c, STR("canonical")));
    CHECK_STR(str_c(promql_type_word(q.root->type)), json_get_str(c, STR("type")));
}

// JSON could not hold the bad bytes that some inputs had: U+FFFD stands for each.
static struct str as_recorded(struct arena *a, struct str in)
{
    struct str mark = STR("\xef\xbf\xbd");
    size_t at = str_find(in, mark);

    if (at == STR_NPOS)
        return in;
    return arena_printf(a, "%.*s\xff%.*s", STRF(str_sub(in, 0, at)),
                        STRF(str_sub(in, at + mark.n, in.n)));
}

static void check_corpus(const char *path, struct str key)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *cases = load(&a, path);

    for (size_t i = 0; i < cases->n; i++)
        check_case(&cases->items[i], as_recorded(&a, json_get_str(&cases->items[i], key)));
    print_message("%u cases\n", cases->n);
}

TEST(corpus_parse)
{
    const char *path = test_corpus("promql/parse.json");

    SKIP_WITHOUT_CORPUS(path);
    check_corpus(path, STR("input"));
}

TEST(corpus_real_expressions)
{
    const char *path = test_corpus("promql/real_expressions.json");

    SKIP_WITHOUT_CORPUS(path);
    check_corpus(path, STR("query"));
}
