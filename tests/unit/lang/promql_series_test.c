// promql_series_test.c - series lines, label sets and histogram literals.
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql.h"

#include <string.h>

#include "base/file.h"
#include "codec/json.h"
#include "test.h"

static void buf_value(struct buf *b, const struct promql_seq_value *v)
{
    if (v->omitted)
        buf_char(b, '_');
    else if (v->hist)
        buf_histogram_test(b, v->hist);
    else if (sample_is_stale(v->value))
        buf_lit(b, "stale");
    else if (v->value != v->value)
        buf_lit(b, "NaN");
    else
        buf_printf(b, "%g", v->value);
}

static const struct {
    const char *in, *out, *err;
} lines[] = {
    { "m", "{__name__=\"m\"}", NULL },
    { "m{b=\"1\", a='2'} 1", "{__name__=\"m\", a=\"2\", b=\"1\"} 1", NULL },
    { "{\"u.v\", \"w x\"=\"y\"} 1", "{__name__=\"u.v\", \"w x\"=\"y\"} 1", NULL },
    { "m{a=\"\"} 7 ", "{__name__=\"m\"} 7", NULL },
    { "m 1 -2 +3 1.5 1e3 1_000", "{__name__=\"m\"} 1 -2 3 1.5 1000 1000", NULL },
    { "m NaN Inf -Inf", "{__name__=\"m\"} NaN inf -inf", NULL },
    { "m 1+2x3", "{__name__=\"m\"} 1 3 5 7", NULL },
    { "m 1-2x2", "{__name__=\"m\"} 1 -1 -3", NULL },
    { "m 4x2 _ _x2 stale", "{__name__=\"m\"} 4 4 4 _ _ _ stale", NULL },
    { "m 0x2", "{__name__=\"m\"} 0 0 0", NULL },
    { "m {{}}", "{__name__=\"m\"} {{}}", NULL },
    { "m {{schema:1 sum:2 count:3 buckets:[1 2] offset:-1}}x1",
      "{__name__=\"m\"} {{schema:1 count:3 sum:2 offset:-1 buckets:[1 2]}} "
      "{{schema:1 count:3 sum:2 offset:-1 buckets:[1 2]}}",
      NULL },
    { "m {{count:1 buckets:[1]}}+{{count:2 buckets:[1 1]}}x2",
      "{__name__=\"m\"} {{count:1 buckets:[1]}} {{count:3 buckets:[2 1]}} {{count:5 buckets:[3 "
      "2]}}",
      NULL },
    { "m {{schema:-53 count:3 custom_values:[5 10] buckets:[1 2]}}",
      "{__name__=\"m\"} {{schema:-53 count:3 custom_values:[5 10] buckets:[1 2]}}", NULL },
    { "m 1 2]", NULL, "1:6: parse error: unexpected character in series sequence: ']'" },
    { "m 1 2-", NULL, "1:7: parse error: unexpected end of input in series values" },
    { "m 1x1.5", NULL,
      "1:5: parse error: invalid repetition in series values: strconv.ParseUint: parsing \"1.5\": "
      "invalid syntax" },
    { "m 1x99999999999", NULL, "series has more than" },
    { "m old", NULL,
      "1:3: parse error: unexpected identifier \"old\" in series values, expected number or "
      "\"stale\"" },
    { "m{a} 1", NULL, "1:4: parse error: unexpected \"}\" in label set, expected \"=\"" },
    { "m{a=\"1\" b} 1", NULL,
      "1:9: parse error: unexpected identifier \"b\" in label set, expected \",\" or \"}\"" },
    { "m{a=\"1\",a=\"2\"} 1", NULL, "label \"a\" is given twice" },
    { "m{a=\"1\"", NULL, "1:8: parse error: unexpected end of input inside braces" },
    { "m {{count:1 count:2}}", NULL, "duplicate key \"count\" in histogram" },
    { "m {{size:1}}", NULL, "1:5: parse error: bad histogram descriptor found: \"size\"" },
    { "m {{count 1}}", NULL, "missing `:` for histogram descriptor" },
    { "m {{count:1 5}}", NULL,
      "1:13: parse error: unexpected number \"5\" in histogram description, expected histogram "
      "description key, e.g. buckets:[5 10 7]" },
    { "m {{schema:1}}+{{schema:0}}x1", NULL,
      "error combining histograms: cannot merge from schema 0 to 1" },
    { "m {{schema:9}}", NULL, "invalid schema 9" },
    { "m {{schema:-53 buckets:[1 2]}}", NULL, "beyond them" },
    { "m {{offset:2000000000 buckets:[1]}}", NULL, "out of range" },
};

TEST(lines_and_their_values)
{
    FOR_CASES (t, lines) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct promql_series_line line = { .n = 77 };
        struct err e = { 0 };
        bool ok = promql_parse_series_line(&a, str_c(t->in), &line, &e);

        CHECK_F(ok == !t->err, "%s: %s", t->in, e.text);
        CHECK_F(ok || strstr(e.text, t->err), "%s: %s", t->in, e.text);
        CHECK(ok || line.n == 77); // untouched
        if (!ok)
            continue;
        buf_labels(&b, line.labels);
        for (size_t i = 0; i < line.n; i++) {
            buf_char(&b, ' ');
            buf_value(&b, &line.v[i]);
        }
        CHECK_STR(buf_view(&b), str_c(t->out));
    }
}

TEST(hints_are_remembered)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct promql_series_line line;
    struct err e = { 0 };

    CHECK_OK(promql_parse_series_line(&a,
                                      STR("m {{count:1 counter_reset_hint:gauge}} {{count:1}} "
                                          "{{}}+{{counter_reset_hint:not_reset}}x1"),
                                      &line, &e),
             &e);
    CHECK(line.n == 4 && line.v[0].hist->reset == HIST_RESET_GAUGE);
    CHECK(line.v[0].counter_reset_hint_set && !line.v[1].counter_reset_hint_set);
    CHECK(line.v[2].counter_reset_hint_set && line.v[3].counter_reset_hint_set);
}

TEST(labels_alone)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct labels ls = { 0 };
    struct err e = { 0 };

    CHECK_OK(promql_parse_labels(&a, STR("up{job=\"x\",}"), &ls, &e), &e);
    CHECK(ls.n == 2);
    CHECK_STR(labels_get(ls, LABEL_NAME), STR("up"));
    CHECK_OK(promql_parse_labels(&a, STR("{}"), &ls, &e), &e);
    CHECK(ls.n == 0);
    CHECK(!promql_parse_labels(&a, STR("up 5"), &ls, &e));
    CHECK_STR(str_c(e.text), STR("1:4: parse error: unexpected number \"5\""));
}

TEST(expansion_is_bounded)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct promql_series_line line;
    struct err e = { 0 };

    CHECK(!promql_parse_series_line(&a, STR("m {{}}+{{}}x18446744073709551615"), &line, &e));
    CHECK(!promql_parse_series_line(&a, STR("m _x18446744073709551615"), &line, &e));
    CHECK(!promql_parse_series_line(&a, STR("m 1x18446744073709551615"), &line, &e));
    CHECK(!promql_parse_series_line(&a, STR("m {{}}x18446744073709551615"), &line, &e));
    CHECK(!promql_parse_series_line(&a, STR("m 1x1048575 1"), &line, &e));
    CHECK_OK(promql_parse_series_line(&a, STR("m 1x1048575"), &line, &e), &e);
    CHECK(line.n == PROMQL_SEQ_MAX);
}

/* ---- the corpus ---- */

static void check_values(const struct promql_series_line *line, const struct json_value *want,
                         struct str in)
{
    CHECK_F(line->n == want->n, "%.*s: %zu values", STRF(in), line->n);
    for (size_t i = 0; i < want->n; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        const struct promql_seq_value *v = &line->v[i];
        if (v->omitted)
            buf_char(&b, '_');
        else if (v->hist)
            buf_histogram_text(&b, v->hist);
        else if (v->value != v->value)
            buf_lit(&b, "NaN");
        else
            buf_printf(&b, "%f", v->value);
        CHECK_STR(buf_view(&b), want->items[i].s);
    }
}

TEST(corpus_series)
{
    const char *path = test_corpus("promql/series_description.json");
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *doc;
    struct err e = { 0 };
    struct str text;

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 1 << 20, &text, &e), &e);
    CHECK_OK(json_parse(&a, text, &doc, &e), &e);
    struct json_value *cases = json_get(doc, STR("cases"));
    for (size_t i = 0; i < cases->n; i++) {
        const struct json_value *c = &cases->items[i];
        struct str in = json_get_str(c, STR("input"));
        struct promql_series_line line;
        bool ok = promql_parse_series_line(&a, in, &line, &e);
        CHECK_F(ok == json_get(c, STR("ok"))->b, "%.*s: %s", STRF(in), e.text);
        if (!ok) {
            CHECK_STR(str_c(e.text), json_get_str(c, STR("error")));
            continue;
        }
        const struct json_value *labels = json_get(c, STR("labels"));
        CHECK(line.labels.n == labels->n);
        for (size_t k = 0; k < labels->n; k++)
            CHECK_STR(labels_get(line.labels, labels->members[k].key), labels->members[k].value->s);
        check_values(&line, json_get(c, STR("values")), in);
    }
    print_message("%u cases\n", cases->n);
}
