/*
 * tmpl_alertmanager_test.c - templates of notifications: cases of the corpus, KV and its methods.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_alertmanager.h"

#include "base/file.h"
#include "base/num.h"
#include "base/time.h"
#include "codec/json.h"
#include "test.h"

static struct labels labels_of(struct arena *a, const struct json_value *v)
{
    struct label *l = arena_array(a, (v ? v->n : 0) + 1, struct label);
    size_t n = 0;

    if (!v || v->kind != JSON_OBJECT)
        return (struct labels){ 0 };
    for (uint32_t i = 0; i < v->n; i++)
        l[n++] = (struct label){ v->members[i].key, v->members[i].value->s };
    return (struct labels){ l, n };
}

static int64_t time_of(const struct json_value *v, struct str key)
{
    struct str text = json_get_str(v, key);
    int64_t s;
    int32_t ns;
    struct err e = { 0 };

    if (!text.n || str_starts(text, STR("0001")))
        return 0;
    CHECK_OK(rfc3339_parse_parts(text, &s, &ns, &e), &e);
    return s * NS_SECOND + ns;
}

static struct tmpl_note note_of(struct arena *a, const struct json_value *d)
{
    const struct json_value *alerts = json_get(d, STR("alerts"));
    size_t n = alerts && alerts->kind == JSON_ARRAY ? alerts->n : 0;
    struct tmpl_note_alert *v = n ? arena_array(a, n, struct tmpl_note_alert) : NULL;

    for (size_t i = 0; i < n; i++) {
        const struct json_value *x = &alerts->items[i];
        v[i] = (struct tmpl_note_alert){
            .resolved = str_eq(json_get_str(x, STR("status")), STR("resolved")),
            .labels = labels_of(a, json_get(x, STR("labels"))),
            .annotations = labels_of(a, json_get(x, STR("annotations"))),
            .starts_ns = time_of(x, STR("startsAt")),
            .ends_ns = time_of(x, STR("endsAt")),
            .generator_url = json_get_str(x, STR("generatorURL")),
            .fingerprint = json_get_str(x, STR("fingerprint")),
        };
    }
    return (struct tmpl_note){
        .receiver = json_get_str(d, STR("receiver")),
        .status = json_get_str(d, STR("status")),
        .reason = json_get_str(d, STR("notification_reason")),
        .external_url = json_get_str(d, STR("externalURL")),
        .alerts = v,
        .alert_count = n,
        .group_labels = labels_of(a, json_get(d, STR("groupLabels"))),
        .common_labels = labels_of(a, json_get(d, STR("commonLabels"))),
        .common_annotations = labels_of(a, json_get(d, STR("commonAnnotations"))),
        .route_labels = labels_of(a, json_get(d, STR("routeLabels"))),
    };
}

static struct tmpl_value scalar_of(const struct json_value *v, struct str type)
{
    int64_t i = 0;
    double d = 0;

    if (v->kind == JSON_STRING)
        return tmpl_of_str(v->s);
    if (str_eq(type, STR("float64"))) {
        CHECK(json_to_double(v, &d));
        return tmpl_of_float(d);
    }
    CHECK(json_to_i64(v, &i));
    if (str_eq(type, STR("uint")))
        return (struct tmpl_value){ .type = &tmpl_uint, .u = (uint64_t)i };
    return tmpl_of_int(i);
}

static struct tmpl_value data_of(struct arena *a, const struct json_value *c, struct labels *route)
{
    const struct json_value *d = json_get(c, STR("data"));
    struct str type = json_get_str(c, STR("data_type"));
    int64_t s;
    int32_t ns;
    struct err e = { 0 };

    if (!d)
        return (struct tmpl_value){ 0 };
    if (str_eq(type, STR("time.Time"))) {
        CHECK_OK(rfc3339_parse_parts(d->s, &s, &ns, &e), &e);
        return tmpl_of_time(a, s, ns);
    }
    if (d->kind == JSON_ARRAY) {
        struct tmpl_value *v = arena_array(a, d->n + 1, struct tmpl_value);
        for (uint32_t i = 0; i < d->n; i++)
            v[i] = scalar_of(&d->items[i], str_sub(type, 2, type.n));
        return (struct tmpl_value){ .type = &tmpl_any_list, .list = { v, d->n } };
    }
    struct tmpl_note note = note_of(a, d);
    *route = note.route_labels;
    return tmpl_of_note(a, &note);
}

static void run_case(const struct json_value *c, unsigned *bad)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct json_value *html = json_get(c, STR("html"));
    struct tmpl_note_run r = { .html = html && html->b };
    struct str out = { 0 }, error = { 0 }, want = json_get_str(c, STR("error"));
    struct err e = { 0 };

    r.data = data_of(&a, c, &r.route_labels);
    bool ok = tmpl_note_expand(&r, json_get_str(c, STR("template")), &a, &out, &error, &e);
    if (ok == !want.n && str_eq(error, want) && str_eq(out, json_get_str(c, STR("output"))))
        return;
    ++*bad;
    print_error("%.*s\n   got \"%.*s\" %.*s\n  want \"%.*s\" %.*s\n",
                STRF(json_get_str(c, STR("template"))), STRF(out), STRF(error),
                STRF(json_get_str(c, STR("output"))), STRF(want));
}

TEST(cases_of_the_corpus)
{
    const char *path = test_corpus("template/alertmanager.json");
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
    CHECK(cases->n > 30);
    CHECK_F(bad == 0, "%u of %u cases differ", bad, cases->n);
}

static const struct {
    const char *text, *want;
} texts[] = {
    { "{{ .GroupLabels }} {{ .CommonLabels.SortedPairs.Names | join \",\" }}",
      "alertname=Down alertname,job,zone" },
    { "{{ (.CommonLabels.Remove .GroupLabels.Names).Values.Join \"/\" }}", "api/eu" },
    { "{{ len .Alerts.Firing }}/{{ len .Alerts }} {{ .Status | toUpper }}", "1/2 FIRING" },
    { "{{ range .Alerts }}{{ .Status }} {{ .Labels.job }};{{ end }}", "firing api;resolved ;" },
    { "{{ (index .Alerts 0).StartsAt.Format \"15:04\" }} {{ (index .Alerts 0).StartsAt | tz "
      "\"Europe/Paris\" | date \"15:04 MST\" }}",
      "10:30 11:30 CET" },
    { "{{ since (index .Alerts 0).StartsAt | humanizeDuration }}", "1h 0m 0s" },
    { "{{ template \"mine\" . }}", "<Down>" },
    { "{{ .Labels }}{{ .CommonAnnotations.none }}", NULL },
};

static struct tmpl_note sample_note(struct arena *a)
{
    static struct label common[] = { { STR("alertname"), STR("Down") },
                                     { STR("job"), STR("api") },
                                     { STR("zone"), STR("eu") } };
    struct tmpl_note_alert *alerts = arena_array(a, 2, struct tmpl_note_alert);

    alerts[0].labels = (struct labels){ common, 3 };
    alerts[0].starts_ns = INT64_C(1710498600) * NS_SECOND; // 2024-03-15T10:30:00Z
    alerts[1].resolved = true;
    return (struct tmpl_note){ .status = STR("firing"),
                               .alerts = alerts,
                               .alert_count = 2,
                               .group_labels = { common, 1 },
                               .common_labels = { common, 3 } };
}

TEST(data_and_methods)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set base = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct tmpl_note note = sample_note(&a);
    struct tmpl_note_run r = { .base = &base,
                               .data = tmpl_of_note(&a, &note),
                               .now_ms = INT64_C(1710502200) * 1000 };
    struct err e = { 0 };

    CHECK_OK(gotemplate_parse(&base, STR("m.tmpl"),
                              STR("{{ define \"mine\" }}<{{ .GroupLabels.alertname }}>{{ end }}"),
                              &e),
             &e);
    FOR_CASES (t, texts) {
        struct str out = { 0 }, error = { 0 };
        bool ok = tmpl_note_expand(&r, str_c(t->text), &a, &out, &error, &e);
        CHECK_F(ok == (t->want != NULL), "%s: %.*s", t->text, STRF(error));
        if (ok)
            CHECK_STR(out, str_c(t->want));
    }
}

TEST(html_is_escaped_for_its_place)
{
    static const struct {
        const char *text, *want;
    } pages[] = {
        { "<p>{{ . }}</p>", "<p>&lt;b&gt; &amp; &#34;x&#34;</p>" },
        { "<a title=\"{{ . }}\" x={{ . }}>", "<a title=\"&lt;b&gt; &amp; &#34;x&#34;\" "
                                             "x=&lt;b&gt;&#32;&amp;&#32;&#34;x&#34;>" },
        { "<a href=\"/x?q={{ . }}\">", "<a href=\"/x?q=%3cb%3e%20%26%20%22x%22\">" },
        { "<a href=\"{{ \"javascript:alert(1)\" }}\">", "<a href=\"#ZgotmplZ\">" },
        { "<a href=\"{{ \"http://a/b?c=d&e=f\" }}\">", "<a href=\"http://a/b?c=d&amp;e=f\">" },
        { "a<!-- {{ . }} -->b", "ab" },
        { "<script>var x = {{ . }};</script>{{ \"<\" }}",
          "<script>var x = \"\\u003cb\\u003e \\u0026 \\\"x\\\"\";</script>&lt;" },
    };
    OWNED(arena_fini) struct arena a = { 0 };
    struct tmpl_note_run r = { .data = tmpl_of_str(STR("<b> & \"x\"")), .html = true };

    FOR_CASES (t, pages) {
        struct str out = { 0 }, error = { 0 };
        struct err e = { 0 };
        CHECK_F(tmpl_note_expand(&r, str_c(t->text), &a, &out, &error, &e), "%.*s", STRF(error));
        CHECK_STR(out, str_c(t->want));
    }
}
