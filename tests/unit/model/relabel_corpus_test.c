// relabel_corpus_test.c - relabelling against the cases of the reference corpus.
// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "codec/json.h"
#include "model/relabel.h"
#include "test.h"

enum { SOURCES_MAX = 8, STEPS_MAX = 8 };

struct step {
    struct relabel_rule rule;
    struct str sources[SOURCES_MAX];
    struct regex *re;
};

static struct json_value *load_cases(struct arena *a, const char *path)
{
    struct err e = { 0 };
    struct json_value *doc = NULL;
    struct str text;

    CHECK_OK(file_read(a, path, 1 << 20, &text, &e), &e);
    CHECK_OK(json_parse(a, text, &doc, &e), &e);
    struct json_value *list = json_get(doc, STR("cases"));
    CHECK(list && list->kind == JSON_ARRAY && list->n > 0);
    return list;
}

static bool step_from_json(struct step *s, const struct json_value *v, bool legacy)
{
    struct json_value *sources = json_get(v, STR("source_labels"));
    struct str regex = json_get_str(v, STR("regex"));
    struct err e = { 0 };
    int64_t modulus = 0;

    *s = (struct step){ .rule = { .separator = json_get_str(v, STR("separator")),
                                  .target_label = json_get_str(v, STR("target_label")),
                                  .replacement = json_get_str(v, STR("replacement")),
                                  .legacy_names = legacy } };
    CHECK(sources && sources->n <= SOURCES_MAX);
    for (size_t i = 0; i < sources->n; i++)
        s->sources[i] = sources->items[i].s;
    s->rule.source_labels = s->sources;
    s->rule.source_count = sources->n;
    CHECK(json_to_i64(json_get(v, STR("modulus")), &modulus));
    s->rule.modulus = (uint64_t)modulus;
    CHECK_OK(regex_new(&s->re, regex, REGEX_ANCHORED, &e), &e);
    s->rule.re = s->re;
    return relabel_action_of(json_get_str(v, STR("action")), &s->rule.action);
}

static void labels_from_json(struct labels_builder *b, const struct json_value *v)
{
    labels_builder_reset(b, (struct labels){ 0 });
    for (size_t i = 0; i < v->n; i++)
        labels_builder_set(b, v->members[i].key, v->members[i].value->s);
}

static void run_case(struct json_value *c, struct arena *a, size_t number)
{
    OWNED(labels_builder_fini) struct labels_builder got = { 0 }, want = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };
    struct json_value *configs = json_get(c, STR("relabel_configs"));
    struct step steps[STEPS_MAX];
    struct relabel_rule rules[STEPS_MAX];

    CHECK(configs->n <= STEPS_MAX);
    for (size_t i = 0; i < configs->n; i++) {
        CHECK(step_from_json(&steps[i], &configs->items[i], false));
        rules[i] = steps[i].rule;
    }
    labels_from_json(&got, json_get(c, STR("input")));
    bool keep = relabel_apply(rules, configs->n, &got, a);
    CHECK_F(keep == json_get(c, STR("keep"))->b, "case %zu", number);
    if (keep) {
        labels_from_json(&want, json_get(c, STR("output")));
        buf_labels(&text, labels_builder_view(&got));
        CHECK_F(labels_equal(labels_builder_view(&got), labels_builder_view(&want)), "case %zu: %s",
                number, buf_cstr(&text));
    }
    for (size_t i = 0; i < configs->n; i++)
        regex_free(steps[i].re);
}

TEST(relabel_corpus_apply)
{
    const char *path = test_corpus("relabel/relabel.json");
    SKIP_WITHOUT_CORPUS(path);
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *list = load_cases(&a, path);

    for (size_t i = 0; i < list->n; i++)
        run_case(&list->items[i], &a, i);
}

TEST(relabel_corpus_validate)
{
    const char *path = test_corpus("relabel/validate.json");
    SKIP_WITHOUT_CORPUS(path);
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *list = load_cases(&a, path);

    for (size_t i = 0; i < list->n; i++) {
        struct json_value *c = &list->items[i];
        struct str want = json_get_str(c, STR("error"));
        bool legacy = str_eq(json_get_str(c, STR("name_validation_scheme")), STR("legacy"));
        struct step s;
        struct err e = { 0 };

        if (!step_from_json(&s, json_get(c, STR("config")), legacy)) {
            CHECK_STR(want, STR("relabel action cannot be empty"));
        } else {
            CHECK_F(relabel_rule_check(&s.rule, &e) == (want.n == 0), "case %zu: %s", i, e.text);
            CHECK_STR(str_c(e.text), want);
        }
        regex_free(s.re);
    }
}

TEST(relabel_corpus_legacy_targets)
{
    const char *path = test_corpus("relabel/target_label_legacy.json");
    SKIP_WITHOUT_CORPUS(path);
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *list = load_cases(&a, path);

    for (size_t i = 0; i < list->n; i++) {
        struct json_value *c = &list->items[i];
        struct relabel_rule r = { .target_label = json_get_str(c, STR("target_label")),
                                  .replacement = RELABEL_REPLACEMENT,
                                  .separator = RELABEL_SEPARATOR,
                                  .legacy_names = true };
        struct err e = { 0 };

        CHECK_F(relabel_rule_check(&r, &e) == json_get(c, STR("valid"))->b, "%.*s: %s",
                STRF(r.target_label), e.text);
    }
}
