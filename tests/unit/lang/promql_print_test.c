// promql_print_test.c - trees back to text: one line, several lines, JSON.
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql.h"

#include <stdlib.h>

#include "base/file.h"
#include "codec/json.h"
#include "test.h"

static const struct {
    const char *in, *out;
} canonical[] = {
    { "sum(x)by(b , a)", "sum by (b, a) (x)" },
    { "topk ( 3,x ) without( )", "topk without () (3, x)" },
    { "sum by (\"a.b\", c) (x)", "sum by (\"a.b\", c) (x)" },
    { "x{b=\"1\",a='2'}", "x{a=\"2\",b=\"1\"}" },
    { "{\"x\"}", "{__name__=\"x\"}" },
    { "{\"\xc3\xbc\"=\"\\n\"}", "{\"\xc3\xbc\"=\"\\n\"}" },
    { "x offset 90m @ start()", "x @ start() offset 1h30m" },
    { "x[1d] @ 3 anchored offset -1w", "x[1d] anchored @ 3.000 offset -1w" },
    { "x[1h:] @ end()", "x[1h:] @ end()" },
    { "x[step()*2:min_of(1m,(5))]", "x[step() * 2:min_of(1m, (5))]" },
    { "x offset ((5m))", "x offset (5m)" },
    { "x offset -(5m + 1)", "x offset -(5m + 1)" },
    { "x offset ---1+5", "x offset (-1 + 5)" }, // two signs: the sum is the offset's
    { "x offset --min_of((1),2)+5", "x offset (--min_of((1), 2) + 5)" },
    { "x offset (1)+5", "x offset (1) + 5" },
    { "0x1F + 1_000 + .5 + 1e3", "31 + 1000 + 0.5 + 1000" },
    { "1h30m + inf + NaN", "1h30m + +Inf + NaN" },
    { "a +on(x)group_left b", "a + on (x) group_left () b" },
    { "a and ignoring() b", "a and b" },
    { "1 + on() a", "1 + a" },
    { "a==bool b", "a == bool b" },
    { "a + fill(1e6) b", "a + fill (1e+06) b" },
    { "a + fill_right(2)fill_left(-5m) b", "a + fill_left (-300) fill_right (2) b" },
    { "a </ b >/ c", "a </ b >/ c" },
    { "`\"`", "\"\\\"\"" },
    { "holt_winters(x[5m],1,1)", "holt_winters(x[5m], 1, 1)" },
};

static void print_parsed(struct buf *out, struct str text, bool pretty)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    struct err e = { 0 };

    CHECK_F(promql_parse(&a, text, &q, &e), "%.*s: %s", STRF(text), e.text);
    buf_reset(out);
    if (pretty)
        promql_pretty(out, q.root);
    else
        promql_print(out, q.root);
}

// What is printed reads back as something that prints the same.
static void check_stable(struct str in)
{
    OWNED(buf_fini) struct buf once = { 0 };
    OWNED(buf_fini) struct buf again = { 0 };
    OWNED(buf_fini) struct buf pretty = { 0 };

    print_parsed(&once, in, false);
    print_parsed(&again, buf_view(&once), false);
    CHECK_STR(buf_view(&again), buf_view(&once));
    print_parsed(&pretty, in, true);
    print_parsed(&again, buf_view(&pretty), false);
    CHECK_STR(buf_view(&again), buf_view(&once));
}

TEST(canonical_form)
{
    FOR_CASES (t, canonical) {
        OWNED(buf_fini) struct buf b = { 0 };
        print_parsed(&b, str_c(t->in), false);
        CHECK_STR(buf_view(&b), str_c(t->out));
        check_stable(str_c(t->in));
    }
}

static void check_pretty(struct str in, size_t width, struct str want)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    CHECK_OK(promql_parse(&a, in, &q, &e), &e);
    promql_pretty_width(&b, q.root, width);
    CHECK_STR(buf_view(&b), want);
}

TEST(pretty_form)
{
    check_pretty(STR("a + b"), 5, STR("a + b"));
    check_pretty(STR("a + b"), 4, STR("  a\n+\n  b"));
    check_pretty(STR("topk(3, -abs(metric_a))"), 12,
                 STR("topk(\n  3,\n  -abs(\n    metric_a\n  )\n)"));
    check_pretty(STR("-(aaaaaa + on(x) b)"), 8, STR("-(\n    aaaaaa\n  + on (x)\n    b\n)"));
    check_pretty(STR("x{a=\"0123456789\"}"), 4, STR("x{a=\"0123456789\"}"));
    check_pretty(STR("sort_by_label(f, \"0123456789\")"), 16,
                 STR("sort_by_label(\n  f,\n  \"0123456789\"\n)"));
}

TEST(pretty_of_a_tall_tree_stays_small)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf in = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };
    struct err e = { 0 };

    for (int i = 1; i < PROMQL_HEIGHT_MAX; i++)
        buf_lit(&in, "metric + ");
    buf_lit(&in, "metric");
    CHECK_OK(promql_parse(&a, buf_view(&in), &q, &e), &e);
    promql_pretty(&out, q.root);
    CHECK(out.n < 1 << 20);
}

/* ---- JSON ---- */

static const struct {
    const char *in, *json;
} asts[] = {
    { "1h", "{\"type\":\"numberLiteral\",\"val\":\"3600\"}" },
    { "'\"'", "{\"type\":\"stringLiteral\",\"val\":\"\\\"\"}" },
    { "x[5m] offset (1m)",
      "{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"x\"}],"
      "\"name\":\"x\",\"offset\":0,\"offsetExpr\":{\"lhs\":null,\"op\":\"+\",\"rhs\":{\"duration\":"
      "true,\"type\":\"numberLiteral\",\"val\":\"60\"},\"type\":\"durationExpr\",\"wrapped\":true},"
      "\"range\":300000,\"rangeExpr\":null,\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":"
      "null,"
      "\"type\":\"matrixSelector\"}" },
    { "time()",
      "{\"args\":[],\"func\":{\"argTypes\":[],\"name\":\"time\",\"returnType\":\"scalar\","
      "\"variadic\":0},\"type\":\"call\"}" },
};

TEST(json_of_trees)
{
    FOR_CASES (t, asts) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(promql_fini) struct promql q = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };
        struct json_writer w = json_writer(&b);

        CHECK_OK(promql_parse(&a, str_c(t->in), &q, &e), &e);
        promql_json(&w, q.root);
        CHECK_STR(buf_view(&b), str_c(t->json));
    }
}

TEST(json_in_an_array_has_commas)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };
    struct json_writer w = json_writer(&b);
    struct json_value *doc;

    CHECK_OK(promql_parse(&a, STR("1"), &q, &e), &e);
    json_array(&w);
    promql_json(&w, q.root);
    promql_json(&w, q.root);
    json_array_end(&w);
    CHECK_OK(json_parse(&a, buf_view(&b), &doc, &e), &e);
    CHECK(doc->n == 2);
}

/* ---- the corpus ---- */

static struct json_value *load(struct arena *a, const char *path)
{
    struct json_value *doc;
    struct str text;
    struct err e = { 0 };

    CHECK_OK(file_read(a, path, 64 << 20, &text, &e), &e);
    CHECK_OK(json_parse(a, text, &doc, &e), &e);
    return json_get(doc, STR("cases"));
}

TEST(corpus_print)
{
    const char *path = test_corpus("promql/print.json");
    OWNED(arena_fini) struct arena a = { 0 };

    SKIP_WITHOUT_CORPUS(path);
    struct json_value *cases = load(&a, path);
    for (size_t i = 0; i < cases->n; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        struct str in = json_get_str(&cases->items[i], STR("input"));
        print_parsed(&b, in, false);
        CHECK_STR(buf_view(&b), json_get_str(&cases->items[i], STR("canonical")));
        check_stable(in);
    }
    print_message("%u cases\n", cases->n);
}

TEST(corpus_pretty)
{
    const char *path = test_corpus("promql/pretty.json");
    OWNED(arena_fini) struct arena a = { 0 };

    SKIP_WITHOUT_CORPUS(path);
    struct json_value *cases = load(&a, path);
    for (size_t i = 0; i < cases->n; i++) {
        const struct json_value *c = &cases->items[i];
        int64_t width = 0;
        CHECK(json_to_i64(json_get(c, STR("max_chars_per_line")), &width));
        check_pretty(json_get_str(c, STR("input")), (size_t)width,
                     json_get_str(c, STR("expected")));
        check_stable(json_get_str(c, STR("input")));
    }
    print_message("%u cases\n", cases->n);
}

TEST(corpus_expressions_print_stably)
{
    const char *path = test_corpus("promql/real_expressions.json");
    OWNED(arena_fini) struct arena a = { 0 };

    SKIP_WITHOUT_CORPUS(path);
    struct json_value *cases = load(&a, path);
    for (size_t i = 0; i < cases->n; i++)
        if (json_get(&cases->items[i], STR("ok"))->b)
            check_stable(json_get_str(&cases->items[i], STR("query")));
}

// Equal whatever the order of members.
static bool json_same(const struct json_value *x, const struct json_value *y)
{
    if (!x || !y || x->kind != y->kind)
        return false;
    switch (x->kind) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return x->b == y->b;
    case JSON_NUMBER:
    case JSON_STRING:
        return str_eq(x->s, y->s);
    case JSON_ARRAY:
        for (uint32_t i = 0; i < x->n && x->n == y->n; i++)
            if (!json_same(&x->items[i], &y->items[i]))
                return false;
        return x->n == y->n;
    case JSON_OBJECT:
        for (uint32_t i = 0; i < x->n && x->n == y->n; i++)
            if (!json_same(x->members[i].value, json_get(y, x->members[i].key)))
                return false;
        return x->n == y->n;
    }
    return false;
}

static struct str url_decode(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < s.n; i++) {
        char hex[3] = { 0 };
        if (s.p[i] == '%' && i + 2 < s.n) {
            memcpy(hex, s.p + i + 1, 2);
            buf_char(&b, (char)strtoul(hex, NULL, 16));
            i += 2;
        } else {
            buf_char(&b, s.p[i] == '+' ? ' ' : s.p[i]);
        }
    }
    return arena_str(a, buf_view(&b));
}

static void check_answer(struct arena *a, const struct json_value *body, struct str query,
                         bool format)
{
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };
    struct json_writer w = json_writer(&b);
    struct json_value *got;

    if (!promql_parse(a, query, &q, &e)) {
        buf_lit(&b, "invalid parameter \"query\": ");
        promql_print_error(&b, &q, 0);
        CHECK_STR(buf_view(&b), json_get_str(body, STR("error")));
        return;
    }
    CHECK_F(json_get(body, STR("data")), "%.*s should fail", STRF(query));
    if (format) {
        promql_pretty(&b, q.root);
        CHECK_STR(buf_view(&b), json_get_str(body, STR("data")));
        return;
    }
    promql_json(&w, q.root);
    CHECK_OK(json_parse(a, buf_view(&b), &got, &e), &e);
    CHECK_F(json_same(got, json_get(body, STR("data"))), "%.*s gave %.*s", STRF(query), (int)b.n,
            b.p);
}

TEST(corpus_api_answers)
{
    const char *path = test_corpus("api-golden/prometheus/fixed.jsonl");
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct str rest, key = STR("query=");
    unsigned checked = 0;

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 64 << 20, &rest, &e), &e);
    while (rest.n) {
        struct str line = str_cut(&rest, '\n');
        struct json_value *record;
        bool format = str_find(line, STR("/api/v1/format_query")) != STR_NPOS;
        // Features that are off in the recorded program and on here.
        if (str_find(line, STR("experimental and not enabled")) != STR_NPOS ||
            (!format && str_find(line, STR("/api/v1/parse_query")) == STR_NPOS))
            continue;
        CHECK_OK(json_parse(&a, line, &record, &e), &e);
        struct str query = json_get_str(record, STR("query"));
        if (!str_starts(query, key) || !json_get(record, STR("body")) ||
            json_get(record, STR("body"))->kind != JSON_OBJECT)
            continue;
        query = url_decode(&a, str_sub(query, key.n, query.n));
        check_answer(&a, json_get(record, STR("body")), query, format);
        checked++;
    }
    print_message("%u records\n", checked);
    CHECK(checked > 50);
}
