// relabel_test.c - every action on small label sets, and what a rule may not say.
// SPDX-License-Identifier: Apache-2.0
#include "model/relabel.h"

#include "test.h"

enum { SOURCES_MAX = 4 };

// Label sets are written a=1,b=2; sources a,b.
static const struct {
    const char *in, *action, *sources, *separator, *regex, *target, *replacement;
    uint64_t modulus;
    const char *want; // NULL: dropped
} cases[] = {
    { "a=foo", "replace", "a", ";", NULL, "b", "$1", 0, "a=foo,b=foo" },
    { "a=foo", "replace", "a", ";", "(.*)", "b", "$1", 0, "a=foo,b=foo" },
    { "a=foo", "replace", "a", ";", NULL, "b", "x-${1}-$0-$2-$$-$1x-$", 0,
      "a=foo,b=x-foo-foo--$--$" },
    { "a=foo", "replace", "a", ";", "(.*)", "b", "x-${1}-$0-$2-$$-$1x-$", 0,
      "a=foo,b=x-foo-foo--$--$" },
    { "a=1,b=2", "replace", "a,b", ";", "(.);(.)", "${1}_x$2", "y", 0,
      "a=1,b=2" }, // 1_x2: see below
    { "a=p,b=2", "replace", "a,b", ";", "(.);(.)", "${1}_x$2", "y", 0, "a=p,b=2,p_x2=y" },
    { "a=1,b=2", "replace", "a,x,b", "-", NULL, "c", "$1", 0, "a=1,b=2,c=1--2" },
    { "a=1", "replace", "", ";", NULL, "b", "const", 0, "a=1,b=const" },
    { "a=1,b=2", "replace", "x", ";", NULL, "b", "$1", 0, "a=1" },      // empty deletes
    { "a=1,b=2", "replace", "a", ";", "2", "b", "gone", 0, "a=1,b=2" }, // no match: nothing
    { "a=xay", "replace", "a", ";", "a", "b", "no", 0, "a=xay" },       // anchored
    { "a=p", "replace", "a", ";", "(.*)", "$2", "no", 0, "a=p" },       // empty target
    { "a=x", "keep", "a", ";", "x|y", "", "$1", 0, "a=x" },
    { "a=z", "keep", "a", ";", "x|y", "", "$1", 0, NULL },
    { "a=z", "keep", "b", ";", "", "", "$1", 0, "a=z" },
    { "a=x", "drop", "a", ";", "x|y", "", "$1", 0, NULL },
    { "a=z", "drop", "a", ";", "x|y", "", "$1", 0, "a=z" },
    { "a=1,b=1", "keepequal", "a", ";", NULL, "b", "$1", 0, "a=1,b=1" },
    { "a=1,b=2", "keepequal", "a", ";", NULL, "b", "$1", 0, NULL },
    { "a=1", "keepequal", "x", ";", NULL, "y", "$1", 0, "a=1" },
    { "a=1,b=1", "dropequal", "a", ";", NULL, "b", "$1", 0, NULL },
    { "a=1,b=2", "dropequal", "a", ";", NULL, "b", "$1", 0, "a=1,b=2" },
    { "a=x", "hashmod", "a", ";", NULL, "h", "$1", 10, "a=x,h=6" },
    { "a=x", "hashmod", "b", ";", NULL, "h", "$1", 1000, "a=x,h=958" }, // of nothing
    { "m_a=1,m_b=2,c=3", "labelmap", "", ";", "m_(.+)", "", "n_$1", 0,
      "c=3,m_a=1,m_b=2,n_a=1,n_b=2" },
    { "a=1,xa=2", "labelmap", "", ";", "x(.)", "", "$1", 0, "a=2,xa=2" },
    { "x=1,xx=2,xxx=3", "labelmap", "", ";", "x(x*)", "", "$1", 0, "=1,x=2,xx=3,xxx=3" },
    { "a=1,b=2,c=3", "labeldrop", "", ";", "a|c", "", "$1", 0, "b=2" },
    { "a=1,b=2,c=3", "labelkeep", "", ";", "a|c", "", "$1", 0, "a=1,c=3" },
    { "a=ABCé", "uppercase", "a", ";", NULL, "b", "$1", 0, "a=ABCé,b=ABCÉ" },
    { "a=ABÉ", "lowercase", "a", ";", NULL, "a", "$1", 0, "a=abé" },
};

static void builder_from_text(struct labels_builder *b, const char *text)
{
    struct str rest = str_c(text);

    labels_builder_reset(b, (struct labels){ 0 });
    while (rest.n) {
        struct str value = str_cut(&rest, ',');
        struct str name = str_cut(&value, '=');

        labels_builder_set(b, name, value);
    }
}

static void buf_plain(struct buf *out, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++)
        buf_printf(out, "%s%.*s=%.*s", i ? "," : "", STRF(ls.v[i].name), STRF(ls.v[i].value));
}

TEST(relabel_apply_table)
{
    FOR_CASES (t, cases) {
        OWNED(labels_builder_fini) struct labels_builder b = { 0 };
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf got = { 0 };
        OWNED(regex_free) struct regex *re = NULL;
        struct err e = { 0 };
        struct str sources[SOURCES_MAX], rest = str_c(t->sources);
        struct relabel_rule r = { .source_labels = sources,
                                  .separator = str_c(t->separator),
                                  .modulus = t->modulus,
                                  .target_label = str_c(t->target),
                                  .replacement = str_c(t->replacement) };

        while (rest.n)
            sources[r.source_count++] = str_cut(&rest, ',');
        CHECK(relabel_action_of(str_c(t->action), &r.action));
        if (t->regex)
            CHECK_OK(regex_new(&re, str_c(t->regex), REGEX_ANCHORED, &e), &e);
        r.re = re;
        builder_from_text(&b, t->in);
        // "1_x2" is no name in the old alphabet; everything else is the same in both.
        r.legacy_names = str_starts(r.target_label, STR("${1}"));
        bool keep = relabel_apply(&r, 1, &b, &a);
        CHECK_F(keep == (t->want != NULL), "case %ld", (long)(t - cases));
        buf_plain(&got, labels_builder_view(&b));
        if (keep)
            CHECK_STR(buf_view(&got), str_c(t->want));
    }
}

TEST(relabel_apply_stops_at_the_first_drop)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct str source = STR("a");
    struct relabel_rule r[] = {
        { &source, 1, RELABEL_SEPARATOR, NULL, 0, STR("b"), RELABEL_REPLACEMENT, RELABEL_REPLACE,
          false },
        { &source, 1, RELABEL_SEPARATOR, NULL, 0, STR_NONE, RELABEL_REPLACEMENT, RELABEL_DROP,
          false },
        { &source, 1, RELABEL_SEPARATOR, NULL, 0, STR("c"), RELABEL_REPLACEMENT, RELABEL_REPLACE,
          false },
    };

    builder_from_text(&b, "a=1");
    CHECK(!relabel_apply(r, 3, &b, &a));
    CHECK_STR(labels_builder_get(&b, STR("b")), STR("1"));
    CHECK(labels_builder_get(&b, STR("c")).n == 0);
    CHECK(relabel_apply(r, 0, &b, &a));
}

TEST(relabel_apply_takes_utf8_targets)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct relabel_rule r = { .replacement = STR("v"), .target_label = STR("é.ü") };

    CHECK(relabel_apply(&r, 1, &b, &a));
    CHECK_STR(labels_builder_get(&b, STR("é.ü")), STR("v"));
    r.target_label = STR("\xff$1");
    CHECK(relabel_apply(&r, 1, &b, &a));
    CHECK(b.n == 1);
    r.target_label = STR("é");
    r.legacy_names = true;
    CHECK(relabel_apply(&r, 1, &b, &a));
    CHECK(b.n == 1);
}

static const struct {
    struct relabel_rule r;
    const char *err; // NULL: fine
} checks[] = {
    { { .action = RELABEL_HASHMOD, .target_label = STR("a") }, "requires non-zero modulus" },
    { { .action = RELABEL_HASHMOD, .modulus = 1 }, "for hashmod action requires 'target_label'" },
    { { .action = RELABEL_HASHMOD, .modulus = 1, .target_label = STR("a") }, NULL },
    { { .action = RELABEL_KEEPEQUAL, .replacement = STR("$1") }, "requires 'target_label' value" },
    { { .action = RELABEL_REPLACE, .target_label = STR("a$1") }, NULL },
    { { .action = RELABEL_REPLACE, .target_label = STR("\xff") },
      "\"\\xff\" is invalid 'target_label' for replace action" },
    { { .action = RELABEL_REPLACE, .target_label = STR("0$1"), .legacy_names = true },
      "\"0$1\" is invalid 'target_label' for replace action" },
    { { .action = RELABEL_LOWERCASE, .target_label = STR("a"), .replacement = STR("x") },
      "'replacement' can not be set for lowercase action" },
    { { .action = RELABEL_LABELMAP, .replacement = STR("a b"), .legacy_names = true },
      "\"a b\" is invalid 'replacement' for labelmap action" },
    { { .action = RELABEL_LABELMAP, .replacement = STR("a b") }, NULL },
    { { .action = RELABEL_DROPEQUAL, .target_label = STR("a"), .replacement = STR("$1") },
      "dropequal action requires only 'source_labels' and `target_label`, and no other fields" },
    { { .action = RELABEL_DROPEQUAL,
        .target_label = STR("a"),
        .replacement = STR("$1"),
        .separator = STR(";") },
      NULL },
    { { .action = RELABEL_LABELDROP, .target_label = STR("a") },
      "labeldrop action requires only 'regex', and no other fields" },
    { { .action = RELABEL_LABELKEEP, .replacement = STR("$1"), .separator = STR(";") }, NULL },
    { { .action = RELABEL_KEEP }, NULL },
};

TEST(relabel_rule_check_says_what_upstream_says)
{
    FOR_CASES (t, checks) {
        struct err e = { 0 };
        bool ok = relabel_rule_check(&t->r, &e);

        CHECK_F(ok == !t->err, "case %ld: %s", (long)(t - checks), e.text);
        CHECK_F(ok || strstr(e.text, t->err), "case %ld: %s", (long)(t - checks), e.text);
        CHECK(ok || e.kind == ERR_INVALID);
    }
}

TEST(relabel_action_of_takes_any_case)
{
    enum relabel_action got;

    CHECK(relabel_action_of(STR("LabelMap"), &got) && got == RELABEL_LABELMAP);
    CHECK(!relabel_action_of(STR(""), &got) && !relabel_action_of(STR("replaces"), &got));
    CHECK(got == RELABEL_LABELMAP);
    CHECK_STR(str_c(relabel_action_name(RELABEL_DROPEQUAL)), STR("dropequal"));
}
