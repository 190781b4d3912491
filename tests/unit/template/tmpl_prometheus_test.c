/*
 * tmpl_prometheus_test.c - templates of alerts: cases of the corpus, and labels and annotations.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_prometheus.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/num.h"
#include "codec/json.h"
#include "lang/promql.h"
#include "test.h"

struct fixture {
    struct arena *arena;
    struct tmpl_sample *v;
    size_t n;
    struct str error;
};

static bool give_samples(void *ctx, struct str query UNUSED, int64_t t_ms UNUSED,
                         struct arena *a UNUSED, struct tmpl_sample **out, size_t *n,
                         struct str *error)
{
    struct fixture *f = ctx;

    *out = f->v;
    *n = f->n;
    *error = f->error;
    return !f->error.n;
}

static struct labels labels_of(struct arena *a, const struct json_value *v)
{
    struct label *l = arena_array(a, v->n + 1, struct label);
    struct str dup;
    size_t n = v->n;

    for (uint32_t i = 0; i < v->n; i++)
        l[i] = (struct label){ v->members[i].key, v->members[i].value->s };
    CHECK(labels_normalize(l, &n, &dup));
    return (struct labels){ l, n };
}

// A histogram as series lines write it.
static const struct histogram *histogram_of(struct arena *a, struct str text)
{
    struct promql_series_line line;
    struct err e = { 0 };

    CHECK_OK(promql_parse_series_line(a, arena_printf(a, "x %.*s", STRF(text)), &line, &e), &e);
    return line.v[0].hist;
}

static void read_samples(struct fixture *f, const struct json_value *v)
{
    f->v = arena_array(f->arena, v->n + 1, struct tmpl_sample);
    f->n = v->n;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct json_value *s = &v->items[i];
        f->v[i].labels = labels_of(f->arena, json_get(s, STR("labels")));
        struct str hist = json_get_str(s, STR("histogram"));
        if (hist.n)
            f->v[i].hist = histogram_of(f->arena, hist);
        else
            CHECK(num_parse_double(json_get_str(s, STR("value")), &f->v[i].value));
    }
}

static const struct {
    const char *name;
    const struct tmpl_type *type;
} list_types[] = { { "float64", &tmpl_float }, { "string", &tmpl_string }, { "int64", &tmpl_int64 },
                   { "int", &tmpl_int },       { "uint64", &tmpl_uint64 }, { "uint", &tmpl_uint } };

static struct tmpl_value scalar_of(const struct tmpl_type *type, struct str text)
{
    struct tmpl_value v = { .type = type };

    if (type->kind == TMPL_FLOAT)
        CHECK(num_parse_double(text, &v.f));
    else if (type->kind == TMPL_STRING)
        v.s = text;
    else if (type->kind == TMPL_INT)
        CHECK(str_to_i64(text, &v.i));
    else
        CHECK(str_to_u64(text, &v.u));
    return v;
}

// "[1 2]" of type "[]int", or "1" of type "int".
static struct tmpl_value input_of(struct arena *a, struct str text, struct str type)
{
    static struct tmpl_type lists[ARRAY_LEN(list_types)];
    bool list = str_starts(type, STR("[]"));
    struct str elem = str_sub(type, list ? 2 : 0, type.n);
    VEC(struct tmpl_value) v = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(list_types); i++) {
        if (!str_eq_c(elem, list_types[i].name))
            continue;
        if (!list)
            return scalar_of(list_types[i].type, text);
        lists[i] = (struct tmpl_type){ .name = "[]x",
                                       .kind = TMPL_LIST,
                                       .elem = list_types[i].type };
        struct str rest = str_sub(text, 1, text.n - 1);
        while (rest.n)
            *vec_push_in(a, &v) = scalar_of(list_types[i].type, str_cut(&rest, ' '));
        return (struct tmpl_value){ .type = &lists[i], .list = { v.v, v.n } };
    }
    CHECK_F(false, "unknown type %.*s", STRF(type));
    return (struct tmpl_value){ 0 };
}

static struct tmpl_value data_of(struct arena *a, const struct json_value *c)
{
    const struct json_value *input = json_get(c, STR("input"));
    struct tmpl_sample s = { 0 };

    if (!input)
        return (struct tmpl_value){ 0 };
    if (input->kind != JSON_OBJECT)
        return input_of(a, input->s, json_get_str(c, STR("input_type")));
    struct str text = json_get_str(input, STR("Value"));
    s.hist = histogram_of(a, STR("{{count:3 sum:10}}"));
    CHECK_STR(text, STR("{count:3, sum:10}"));
    return tmpl_of_sample(a, &s);
}

static bool expand(struct gotemplate_set *set, const struct json_value *c,
                   const struct tmpl_options *o, struct arena *a, struct buf *out,
                   struct str *error)
{
    struct str why = { 0 };
    struct err e = { 0 };

    set->has_function = tmpl_prometheus_has_function;
    if (!gotemplate_parse(set, STR("test"), json_get_str(c, STR("template")), &e)) {
        *error = arena_printf(a, "error parsing template test: %.*s", STRF(set->error));
        return false;
    }
    if (tmpl_run(set, STR("test"), data_of(a, c), o, a, out, &why, &e))
        return true;
    *error = arena_printf(a, "error executing template test: %.*s", STRF(why));
    return false;
}

static void run_case(const struct json_value *c, unsigned *bad)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };
    const struct json_value *html = json_get(c, STR("html")),
                            *options = json_get(c, STR("options"));
    const struct json_value *result = json_get(c, STR("query_result"));
    struct fixture f = { .arena = &a };
    struct tmpl_prometheus env = { .now_ms = 1353755652000,
                                   .external_url = STR("http://testhost:9090/path/prefix"),
                                   .query = give_samples,
                                   .query_ctx = &f,
                                   .set = &set };
    struct tmpl_options o = { .functions = tmpl_prometheus_functions,
                              .function_count = tmpl_prometheus_function_count,
                              .ctx = &env,
                              .html = html && html->b,
                              .missing = options ? TMPL_MISSING_ERROR : TMPL_MISSING_ZERO };
    struct str error = { 0 }, want = json_get_str(c, STR("error"));

    if (result)
        read_samples(&f, result);
    bool ok = expand(&set, c, &o, &a, &out, &error);
    if (ok == !want.n && str_eq(error, want) &&
        (!ok || str_eq(buf_view(&out), json_get_str(c, STR("output")))))
        return;
    ++*bad;
    print_error("%.*s\n   got \"%.*s\" %.*s\n  want \"%.*s\" %.*s\n",
                STRF(json_get_str(c, STR("template"))), STRF(buf_view(&out)), STRF(error),
                STRF(json_get_str(c, STR("output"))), STRF(want));
}

TEST(cases_of_the_corpus)
{
    const char *path = test_corpus("template/prometheus.json");
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *doc = NULL;
    struct str text;
    struct err e = { 0 };
    unsigned bad = 0;

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 16 << 20, &text, &e), &e);
    CHECK_OK(json_parse(&a, text, &doc, &e), &e);
    const struct json_value *cases = json_get(doc, STR("cases"));
    for (uint32_t i = 0; i < cases->n; i++)
        run_case(&cases->items[i], &bad);
    CHECK(cases->n > 50);
    CHECK_F(bad == 0, "%u of %u cases differ", bad, cases->n);
}

static const struct {
    const char *text, *want;
    bool ok;
} annotations[] = {
    { "plain }} text", "plain }} text", true },
    { "{{ $labels.instance }} of {{ .Labels.job }} is {{ $value }}", "a:1 of api is 0.25", true },
    { "{{ $labels.absent }}{{ $externalLabels.dc }} {{ $externalURL }}", "eu http://x:9090", true },
    { "{{ $value | humanizePercentage }} {{ printf \"%.1f\" .Value }}", "25% 0.2", true },
    { "{{ with query \"up\" }}{{ . | first | value }}{{ end }}", "7", true },
    { "{{ nosuch }}",
      "<error expanding template: error parsing template __alert_A: template: __alert_A:1: "
      "function "
      "\"nosuch\" not defined>",
      false },
    { "{{ $value.x }}",
      "<error expanding template: error executing template __alert_A: template: __alert_A:1:121: "
      "executing \"__alert_A\" at <$value.x>: can't evaluate field x in type float64>",
      false },
};

TEST(labels_and_annotations)
{
    struct label dc = { STR("dc"), STR("eu") };
    struct label own[] = { { STR("instance"), STR("a:1") }, { STR("job"), STR("api") } };
    struct tmpl_sample seven = { .value = 7 };
    struct fixture f = { .v = &seven, .n = 1 };
    struct tmpl_prometheus env = { .external_url = STR("http://x:9090"),
                                   .query = give_samples,
                                   .query_ctx = &f };
    struct tmpl_alert_data d = { .labels = { own, 2 },
                                 .external_labels = { &dc, 1 },
                                 .sample = { .value = 0.25 },
                                 .env = &env };

    FOR_CASES (t, annotations) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct tmpl_alert *alert = tmpl_alert_new(&a, STR("A"), str_c(t->text));
        struct str out = { 0 };
        CHECK(tmpl_alert_expand(alert, &d, &a, &out) == t->ok);
        CHECK_STR(out, str_c(t->want));
    }
}
