// prometheus_test.c - prometheus.yml: accepted, refused with cause and place, printed as upstream does.
// SPDX-License-Identifier: Apache-2.0
#include "config/prometheus.h"

#include <stdio.h>

#include "base/file.h"
#include "codec/json.h"
#include "test.h"

static const struct {
    const char *in, *text, *hint;
    uint32_t line, col;
} bad[] = {
    { "foo: 1\n", "field foo not found in type config.plain", "", 1, 1 },
    { "global:\n  scrape_intervall: 5s\n", "field scrape_intervall not found", "scrape_interval", 2,
      3 },
    { "global: {scrape_interval: 5x}\n", "unknown unit \"x\" in duration \"5x\"", "", 1, 27 },
    { "global: {scrape_interval: 5s, scrape_timeout: 10s}\n", "global scrape timeout greater", "",
      1, 47 },
    { "scrape_configs:\n- job_name: a\n- job_name: a\n",
      "multiple scrape configs with job name \"a\"", "", 3, 3 },
    { "scrape_configs:\n- honor_labels: maybe\n  job_name: x\n",
      "cannot unmarshal !!str `maybe` into bool", "", 2, 17 },
    { "scrape_configs:\n-\n", "empty or null scrape config section", "", 2, 2 },
    { "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: foo\n",
      "unknown relabel action \"foo\"", "", 4, 13 },
    { "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - regex: '('\n    target_label: x\n",
      "missing closing ): `^(?s:()$`", "", 4, 12 },
    { "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [x.txt]}]\n",
      "not valid for file discovery", "", 3, 21 },
    { "rule_files: ['a/*/b.yml']\n", "invalid rule file path", "", 0, 0 },
    { "a: b: c\n", "mapping values are not allowed", "", 1, 5 },
};

TEST(refusals_say_what_and_where)
{
    FOR_CASES (t, bad) {
        OWNED(prom_config_put) struct prom_config *c = NULL;
        struct err e = { 0 };
        CHECK_F(!prom_config_parse(str_c(t->in), "x.yml", NULL, &c, &e), "%s", t->in);
        CHECK_F(strstr(e.text, t->text) &&
                    str_starts(str_c(e.text), STR("parsing YAML file x.yml: ")),
                "%s: %s", t->in, e.text);
        CHECK_F(e.pos.line == t->line && e.pos.col == t->col, "%s: %u:%u", t->in, e.pos.line,
                e.pos.col);
        if (t->hint[0])
            CHECK(c && c->problem_count == 1 &&
                  str_find(c->problems[0].hint, str_c(t->hint)) != STR_NPOS);
    }
}

TEST(without_a_global_block_there_are_defaults)
{
    OWNED(prom_config_put) struct prom_config *c = NULL;
    struct err e = { 0 };

    CHECK_OK(prom_config_parse(STR("scrape_configs: [{job_name: a}]\n"), "x.yml", NULL, &c, &e),
             &e);
    const struct conf_scrape *a = c->doc.scrape_configs.v[0];
    CHECK(a->scrape_interval_ms == 60000 && a->scrape_timeout_ms == 10000);
    CHECK(c->doc.global.evaluation_interval_ms == 60000);
}

TEST(jobs_inherit_and_paths_are_resolved)
{
    OWNED(prom_config_put) struct prom_config *c = NULL;
    static const char *const environ_[] = { "ZONE=eu", NULL };
    struct prom_config_options o = { .environ = environ_ };
    struct err e = { 0 };

    CHECK_OK(prom_config_parse(
                 STR("global: {scrape_interval: 20s, sample_limit: 7, external_labels: {z: "
                     "'${ZONE}-$$x'}}\n"
                     "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [t/*.json]}]\n"
                     "  basic_auth: {username: u, password: hunter2}\n"
                     "- {job_name: b, scrape_interval: 5s, sample_limit: 9}\n"),
                 "/etc/p/x.yml", &o, &c, &e),
             &e);
    const struct conf_scrape *a = c->doc.scrape_configs.v[0], *b = c->doc.scrape_configs.v[1];
    CHECK(a->scrape_interval_ms == 20000 && a->scrape_timeout_ms == 10000 && a->sample_limit == 7);
    CHECK(b->scrape_interval_ms == 5000 && b->scrape_timeout_ms == 5000 && b->sample_limit == 9);
    CHECK_STR(((struct conf_file_sd *)a->sd.file_sd.v[0])->files.v[0], STR("/etc/p/t/*.json"));
    CHECK_STR(c->doc.global.external_labels.v[0].value, STR("eu-$x"));
    OWNED(buf_fini) struct buf text = { 0 };
    prom_config_print(&text, c);
    CHECK(!strstr(buf_cstr(&text), "hunter2") && strstr(text.p, "password: <secret>"));
}

// Each file of the corpus is refused exactly when the reference refuses it, for the same cause.
TEST(corpus_files)
{
    const char *dir = test_corpus("config/prometheus");
    OWNED(arena_fini) struct arena a = { 0 };
    struct file_list files;
    struct json_value *expected = NULL;
    struct err e = { 0 };
    struct str text;
    size_t wrong = 0;

    SKIP_WITHOUT_CORPUS(dir);
    dir = arena_cstr(&a, str_c(dir));
    CHECK_OK(file_read(&a, arena_printf(&a, "%s/expected_errors.json", dir).p, 1 << 20, &text, &e),
             &e);
    CHECK_OK(json_parse(&a, text, &expected, &e), &e);
    CHECK_OK(file_list(&a, dir, &files, &e), &e);
    for (size_t i = 0; i < files.n; i++) {
        OWNED(prom_config_put) struct prom_config *c = NULL;
        struct str name = files.v[i];
        if (!str_ends(name, STR(".yml")) || str_starts(name, STR("agent_mode")))
            continue;
        struct str cause = json_get_str(expected, name);
        bool refused = cause.p || str_ends(name, STR(".bad.yml"));
        if (!refused && !str_ends(name, STR(".good.yml")))
            continue;
        e = (struct err){ 0 };
        bool ok = prom_config_load(arena_printf(&a, "%s/%.*s", dir, STRF(name)).p, NULL, &c, &e);
        bool same = ok != refused;
        struct str testdata = STR("testdata/");
        size_t at = str_find(cause, testdata);
        // Repeated keys are found before types are known: the wording differs on purpose.
        bool worded = at == STR_NPOS && !str_starts(name, STR("section_key_dup"));
        if (!ok && refused && worded && cause.n)
            same = str_find(str_c(e.text), str_sub(cause, 0, 60)) != STR_NPOS;
        if (!same) {
            print_message("%.*s: %s, expected %.*s\n", STRF(name), ok ? "accepted" : e.text,
                          STRF(cause));
            wrong++;
        }
    }
    CHECK_F(wrong == 0, "%zu of %zu files are judged otherwise", wrong, files.n);
}

TEST(examples_load)
{
    const char *dir = test_corpus("config/prometheus-examples");
    OWNED(arena_fini) struct arena a = { 0 };
    struct file_list files;
    struct err e = { 0 };

    SKIP_WITHOUT_CORPUS(dir);
    dir = arena_cstr(&a, str_c(dir));
    CHECK_OK(file_list(&a, dir, &files, &e), &e);
    for (size_t i = 0; i < files.n; i++) {
        OWNED(prom_config_put) struct prom_config *c = NULL;
        if (str_ends(files.v[i], STR(".yml")) && str_find(files.v[i], STR("rules")) == STR_NPOS &&
            !str_starts(files.v[i], STR("web-config")))
            CHECK_F(prom_config_load(arena_printf(&a, "%s/%.*s", dir, STRF(files.v[i])).p, NULL, &c,
                                     &e),
                    "%.*s: %s", STRF(files.v[i]), e.text);
    }
}

// What the real Prometheus printed of the golden set-ups.
static void golden_print(const char *records, const char *setup)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prom_config_put) struct prom_config *c = NULL;
    OWNED(buf_fini) struct buf got = { 0 };
    struct err e = { 0 };
    struct str text, want = STR_NONE;
    const char *path = test_corpus(records);

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 64 << 20, &text, &e), &e);
    while (text.n && !want.n) {
        struct str line = str_cut(&text, '\n');
        struct json_value *v = NULL;
        if (str_find(line, STR("/api/v1/status/config\"")) == STR_NPOS)
            continue;
        CHECK_OK(json_parse(&a, line, &v, &e), &e);
        want = json_get_str(json_get(json_get(v, STR("body")), STR("data")), STR("yaml"));
    }
    CHECK(want.n);
    CHECK_OK(file_read(&a, test_corpus(setup), 1 << 20, &text, &e), &e);
    CHECK_OK(prom_config_parse(text, "own.yml", NULL, &c, &e), &e);
    // Retention of the fixed scenario comes from a flag.
    if (strstr(setup, "fixed"))
        c->doc.storage.tsdb->retention->time_ms = INT64_C(100) * 365 * 86400000;
    prom_config_print(&got, c);
    OWNED(buf_fini) struct buf normal = { 0 };
    for (struct str rest = buf_view(&got); rest.n;) { // placeholders are quoted on the way in
        struct str line = str_cut(&rest, '\n');
        size_t q = str_find(line, STR("'{"));
        if (q != STR_NPOS && str_ends(line, STR("}'")))
            buf_printf(&normal, "%.*s%.*s\n", (int)q, line.p, (int)(line.n - q - 2),
                       line.p + q + 1);
        else
            buf_printf(&normal, "%.*s\n", STRF(line));
    }
    struct str g = buf_view(&normal);
    while (g.n && want.n) {
        struct str gl = str_cut(&g, '\n'), wl = str_cut(&want, '\n');
        CHECK_STR(gl, wl);
    }
    CHECK(!g.n && !want.n);
}

TEST(prints_as_upstream)
{
    golden_print("api-golden/prometheus/fixed.jsonl", "api-golden/prometheus/setup/fixed.yml");
    golden_print("api-golden/prometheus/live.jsonl", "api-golden/prometheus/setup/live.yml");
}

TEST(without_a_global_section_the_defaults_hold)
{
    OWNED(prom_config_put) struct prom_config *c = NULL;
    struct err e = { 0 };

    CHECK_OK(prom_config_parse(STR("scrape_configs:\n- job_name: j\n"), "p.yml", NULL, &c, &e), &e);
    const struct conf_scrape *s = c->doc.scrape_configs.v[0];
    CHECK(s->scrape_interval_ms == 60000 && s->scrape_timeout_ms == 10000);
    CHECK(c->doc.global.evaluation_interval_ms == 60000);
    CHECK_STR(s->metric_name_validation_scheme, STR("utf8"));
}
