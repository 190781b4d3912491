/*
 * tmpl_test.c - templates of tmpl_cases.json, whose outputs and errors are what Go 1.26 gave; limits.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl.h"

#include "base/file.h"
#include "base/num.h"
#include "codec/json.h"
#include "template/tmpl_human.h"
#include "test.h"

/* ---- functions that the cases use ---- */

static TMPL_FN(fn_fail)
{
    (void)arg, (void)n, (void)out;
    return tmpl_fail(c, "failed 100%%");
}

static TMPL_FN(fn_date)
{
    static const struct tmpl_instant t = { .s = 1700000000, .ns = 123456789 };
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    tmpl_time_format(&b, &t, arg[0].s);
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(fn_dur)
{
    (void)c, (void)n;
    *out = (struct tmpl_value){ .type = &tmpl_duration, .i = arg[0].i };
    return true;
}

static const struct tmpl_function functions[] = {
    { "date", fn_date, { &tmpl_string }, NULL },
    { "dur", fn_dur, { &tmpl_int }, NULL },
    { "fail", fn_fail, { NULL }, NULL },
    { "title", tmpl_fn_title, { &tmpl_string }, NULL },
    { "titlel", tmpl_fn_title_lower, { &tmpl_string }, NULL },
    { "toUpper", tmpl_fn_to_upper, { &tmpl_string }, NULL },
};

static bool has_function(void *ctx UNUSED, struct str name)
{
    return tmpl_find(functions, ARRAY_LEN(functions), name) ||
           tmpl_find(tmpl_builtins, tmpl_builtin_count, name);
}

static struct tmpl_value of_json(struct arena *a, const struct json_value *v)
{
    double d;

    switch (v->kind) {
    case JSON_BOOL:
        return tmpl_of_bool(v->b);
    case JSON_NUMBER:
        CHECK(json_to_double(v, &d));
        return tmpl_of_float(d);
    case JSON_STRING:
        return tmpl_of_str(v->s);
    case JSON_ARRAY: {
        struct tmpl_value *list = arena_array(a, v->n + 1, struct tmpl_value);
        for (uint32_t i = 0; i < v->n; i++)
            list[i] = of_json(a, &v->items[i]);
        return (struct tmpl_value){ .type = &tmpl_any_list, .list = { list, v->n } };
    }
    case JSON_OBJECT: {
        struct tmpl_pair *pairs = arena_array(a, v->n + 1, struct tmpl_pair);
        for (uint32_t i = 0; i < v->n; i++)
            pairs[i] = (struct tmpl_pair){ v->members[i].key, of_json(a, v->members[i].value) };
        return tmpl_of_pairs(&tmpl_any_map, pairs, v->n);
    }
    default:
        return (struct tmpl_value){ 0 };
    }
}

static struct json_value *load(struct arena *a, const char *path)
{
    struct json_value *doc = NULL;
    struct str text;
    struct err e = { 0 };

    CHECK_OK(file_read(a, path, 16 << 20, &text, &e), &e);
    CHECK_OK(json_parse(a, text, &doc, &e), &e);
    return doc;
}

static bool run(struct gotemplate_set *set, struct str text, struct tmpl_value data,
                const struct tmpl_options *o, struct arena *a, struct buf *out, struct str *error)
{
    struct err e = { 0 };

    set->has_function = has_function;
    if (!gotemplate_parse(set, STR("test"), text, &e)) {
        *error = set->error;
        return false;
    }
    return tmpl_run(set, STR("test"), data, o, a, out, error, &e);
}

static void run_case(const struct json_value *c, struct tmpl_value data, unsigned *bad)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };
    struct str text = json_get_str(c, STR("template")), missing = json_get_str(c, STR("missing"));
    struct str error = { 0 }, want = json_get_str(c, STR("error"));
    struct tmpl_options o = { .functions = functions,
                              .function_count = ARRAY_LEN(functions),
                              .missing = str_eq(missing, STR("zero"))    ? TMPL_MISSING_ZERO
                                         : str_eq(missing, STR("error")) ? TMPL_MISSING_ERROR
                                                                         : TMPL_MISSING_INVALID };

    bool ok = run(&set, text, data, &o, &a, &out, &error);
    if (ok == !want.n && str_eq(error, want) &&
        str_eq(buf_view(&out), json_get_str(c, STR("output"))))
        return;
    ++*bad;
    print_error("%.*s (%.*s)\n   got \"%.*s\" %.*s\n  want \"%.*s\" %.*s\n", STRF(text),
                STRF(missing), STRF(buf_view(&out)), STRF(error),
                STRF(json_get_str(c, STR("output"))), STRF(want));
}

TEST(cases_as_go)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct json_value *doc = load(&a,
                                        VIGIE_SOURCE_DIR "/tests/unit/template/tmpl_cases.json");
    const struct json_value *cases = json_get(doc, STR("cases"));
    struct tmpl_value data = of_json(&a, json_get(doc, STR("data")));
    unsigned bad = 0;

    for (uint32_t i = 0; i < cases->n; i++)
        run_case(&cases->items[i], data, &bad);
    CHECK(cases->n > 300);
    CHECK_F(bad == 0, "%u of %u cases differ", bad, cases->n);
}

/* ---- limits ---- */

static const struct {
    const char *text, *error;
} bombs[] = {
    { "{{ range 1000000000 }}{{ end }}", "too many steps" },
    { "{{ range 1000000000 }}0123456789{{ end }}", "longer than" },
    { "{{ $x := \"xxxxxxxxxxxxxxxx\" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}",
      "too much memory" },
    { "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
      "exceeded maximum template depth" },
    { "{{ range 1000 }}{{ $x := printf \"%900000d\" 1 }}{{ end }}", "too much memory" },
    { "{{ printf \"%900000d%900000d%900000d%900000d%900000d%900000d\" 1 2 3 4 5 6 }}",
      "longer than" },
};

TEST(bombs_fail)
{
    FOR_CASES (t, bombs) {
        OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf out = { 0 };
        struct tmpl_options o = { .steps_max = 200000, .output_max = 100000 };
        struct str error = { 0 };

        CHECK(!run(&set, str_c(t->text), (struct tmpl_value){ 0 }, &o, &a, &out, &error));
        CHECK_F(str_find(error, str_c(t->error)) != STR_NPOS, "%s: %.*s", t->text, STRF(error));
    }
}

TEST(nesting_is_bounded)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    for (int i = 0; i < 100000; i++)
        buf_lit(&b, "{{if 1}}");
    CHECK(!gotemplate_parse(&set, STR("test"), buf_view(&b), &e) && e.kind == ERR_LIMIT);
    buf_reset(&b);
    buf_lit(&b, "{{");
    for (int i = 0; i < 100000; i++)
        buf_lit(&b, "(");
    CHECK(!gotemplate_parse(&set, STR("test"), buf_view(&b), &e) && e.kind == ERR_LIMIT);
}

TEST(long_chains_of_else_if_are_fine)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 }, out = { 0 };
    struct tmpl_options o = { 0 };
    struct str error = { 0 };

    buf_lit(&b, "{{if false}}");
    for (int i = 0; i < 150; i++)
        buf_printf(&b, "{{else if eq 149 %d}}%d", i, i);
    buf_lit(&b, "{{end}}");
    CHECK_F(run(&set, buf_view(&b), (struct tmpl_value){ 0 }, &o, &a, &out, &error), "%.*s",
            STRF(error));
    CHECK_STR(buf_view(&out), STR("149"));
}

/* ---- sets ---- */

TEST(failure_leaves_the_set_as_it_was)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    struct err e = { 0 };

    CHECK_OK(gotemplate_parse(&set, STR("a"), STR("{{define \"x\"}}1{{end}}"), &e), &e);
    CHECK(!gotemplate_parse(&set, STR("b"), STR("{{define \"y\"}}1{{end}}{{"), &e));
    CHECK(set.v.n == 2 && !gotemplate_find(&set, STR("y")) && gotemplate_find(&set, STR("x")));
    CHECK(e.pos.line == 1);
}

TEST(later_files_replace_what_is_not_empty)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };
    struct tmpl_options o = { 0 };
    struct str error = { 0 };
    struct err e = { 0 };

    CHECK_OK(gotemplate_parse(&set, STR("1.tmpl"), STR("{{define \"x\"}}1{{end}}"), &e), &e);
    CHECK_OK(gotemplate_parse(&set, STR("2.tmpl"), STR("{{define \"x\"}} {{end}}"), &e), &e);
    CHECK_OK(gotemplate_parse(&set, STR("3.tmpl"),
                              STR("{{define \"y\"}}2{{template \"x\"}}{{end}}"), &e),
             &e);
    CHECK(tmpl_run(&set, STR("y"), (struct tmpl_value){ 0 }, &o, &a, &out, &error, &e));
    CHECK_STR(buf_view(&out), STR("21"));
}
