// rules_test.c - rule files: what is refused, where, in whose words; what loads.
// SPDX-License-Identifier: Apache-2.0
#include "config/rules.h"

#include "base/file.h"
#include "test.h"

static const struct {
    const char *in, *text, *upstream;
    uint32_t line, col;
} bad[] = {
    { "groups:\n- name: g\n  rulez: []\n", "field rulez not found in type rulefmt.RuleGroup",
      "yaml: unmarshal errors:\n  line 3: field rulez not found in type rulefmt.RuleGroup", 3, 3 },
    { "groups:\n- name: g\n  interval: 5x\n", "unknown unit \"x\" in duration \"5x\"",
      "unknown unit \"x\" in duration \"5x\"", 3, 13 },
    { "groups:\n- name: g\n  query_offset: no\n", "not a valid duration string: \"no\"",
      "not a valid duration string: \"no\"", 3, 17 },
    { "groups:\n- rules: []\n", "Groupname must not be empty", "0:0: Groupname must not be empty",
      2, 3 },
    { "groups:\n- name: g\n- name: g\n", "group name \"g\" is already used in line 2",
      "0:0: groupname: \"g\" is repeated in the same file", 3, 3 },
    { "groups:\n- name: g\n  rules:\n  - {record: a, alert: b, expr: up}\n",
      "only one of 'record' and 'alert' must be set",
      "4:14: 4:24: group \"g\", rule 1, \"b\": only one of 'record' and 'alert' must be set", 4,
      14 },
    { "groups:\n- name: g\n  rules:\n  - {expr: up}\n", "one of 'record' or 'alert' must be set",
      "0:0: 0:0: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set", 4, 5 },
    { "groups:\n- name: g\n  rules:\n  - alert: A\n", "field 'expr' must be set in rule",
      "0:0: group \"g\", rule 1, \"A\": field 'expr' must be set in rule", 4, 5 },
    { "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(x\n", "unclosed left parenthesis",
      "5:11: group \"g\", rule 1, \"A\": could not parse expression: 1:6: parse error: unclosed "
      "left "
      "parenthesis",
      5, 16 },
    { "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      sum(\n        rate(x))\n",
      "expected type range vector in call to function \"rate\", got instant vector",
      "5:11: group \"g\", rule 1, \"A\": could not parse expression: 2:8: parse error: expected "
      "type "
      "range vector in call to function \"rate\", got instant vector",
      7, 14 },
    { "groups:\n- name: g\n  rules:\n  - {record: 'a{b=\"c\"}', expr: up}\n",
      "braces present in the recording rule name; should it be in expr?: a{b=\"c\"}",
      "4:14: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": braces present in the recording rule name; "
      "should "
      "it be in expr?: a{b=\"c\"}",
      4, 14 },
    { "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, for: 1m}\n",
      "invalid field 'for' in recording rule",
      "4:14: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule", 4, 14 },
    { "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, labels: {__name__: x}}\n",
      "invalid label name: __name__", "group \"g\", rule 1, \"a\": invalid label name: __name__", 4,
      5 },
    { "groups: [\n", "did not find expected node content", "did not find expected node content", 0,
      0 },
};

TEST(refusals_say_what_and_where)
{
    FOR_CASES (t, bad) {
        OWNED(rule_file_free) struct rule_file *f = NULL;
        struct err e = { 0 };
        CHECK_F(!rule_file_parse(str_c(t->in), NULL, &f, &e), "%s", t->in);
        CHECK(f->problem_count >= 1);
        const struct rule_problem *p = &f->problems[0];
        CHECK_F(str_find(p->text, str_c(t->text)) != STR_NPOS, "%s: %.*s", t->in, STRF(p->text));
        CHECK_F(str_find(p->upstream, str_c(t->upstream)) != STR_NPOS, "%s: %.*s", t->in,
                STRF(p->upstream));
        if (t->line)
            CHECK_F(p->pos.line == t->line && p->pos.col == t->col, "%s: %u:%u", t->in, p->pos.line,
                    p->pos.col);
    }
}

TEST(all_problems_of_a_file_are_found)
{
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct err e = { 0 };

    CHECK(!rule_file_parse(
        STR("groups:\n- name: g\n  rules:\n  - {expr: 'sum('}\n  - {record: a}\n"), NULL, &f, &e));
    CHECK_F(f->problem_count == 3, "%zu", f->problem_count);
}

TEST(a_file_is_read_whole)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct err e = { 0 };

    CHECK_OK(rule_file_parse(STR("groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n"
                                 "  limit: 10\n  labels: {team: a, tier: x}\n  rules:\n"
                                 "  - {record: 'a:b', expr: sum(x), labels: {tier: y, none: ''}}\n"
                                 "  - {alert: A, expr: x > 1, for: 5m, keep_firing_for: 1h30m,\n"
                                 "     annotations: {summary: '{{ $value }}'}}\n"),
                             NULL, &f, &e),
             &e);
    CHECK(f->groups.n == 1);
    const struct rule_group *g = f->groups.v[0];
    CHECK(g->interval_ms == 30000 && g->has_query_offset && g->query_offset_ms == 60000 &&
          g->limit == 10 && g->rules.n == 2);
    const struct rule *record = g->rules.v[0], *alert = g->rules.v[1];
    CHECK(record->query && record->query->root->kind == PROMQL_AGGREGATE);
    CHECK_STR(rule_name(record), STR("a:b"));
    struct labels ls = rule_labels(&a, g, record);
    CHECK(ls.n == 2);
    CHECK_STR(labels_get(ls, STR("tier")), STR("y"));
    CHECK(alert->for_ms == 300000 && alert->keep_firing_for_ms == 5400000);
    CHECK(alert->annotations.n == 1 && alert->query->root->kind == PROMQL_BINARY);
}

TEST(unknown_keys_may_be_ignored)
{
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct rule_file_options o = { .ignore_unknown = true };
    struct err e = { 0 };

    CHECK_OK(rule_file_parse(STR("x: 1\ngroups:\n- {name: g, owner: me}\n"), &o, &f, &e), &e);
    CHECK(f->groups.n == 1);
}

static size_t judge_folder(const char *below, size_t *files_out)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct file_list files;
    struct err e = { 0 };
    size_t wrong = 0;
    const char *dir = arena_cstr(&a, str_c(test_corpus(below)));

    CHECK_OK(file_list(&a, dir, &files, &e), &e);
    for (size_t i = 0; i < files.n; i++) {
        OWNED(rule_file_free) struct rule_file *f = NULL;
        struct str name = files.v[i];
        struct rule_file_options o = { .legacy_names = str_starts(name, STR("legacy_")) };
        bool refused = str_find(name, STR(".bad.")) != STR_NPOS ||
                       str_find(name, STR("_failure")) != STR_NPOS;
        bool ok = rule_file_load(arena_printf(&a, "%s/%.*s", dir, STRF(name)).p, &o, &f, &e);
        if (ok == refused) {
            print_message("%.*s: %s\n", STRF(name), ok ? "accepted" : e.text);
            wrong++;
        }
        ++*files_out;
    }
    return wrong;
}

TEST(corpus_files)
{
    size_t files = 0;

    SKIP_WITHOUT_CORPUS(test_corpus("config/rules-prometheus"));
    size_t wrong = judge_folder("config/rules-prometheus", &files) +
                   judge_folder("config/rules-real", &files);
    CHECK_F(wrong == 0 && files > 10, "%zu of %zu files are judged otherwise", wrong, files);
}
