// yaml_test.c - trees, positions, merges, anchors, refusals.
// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml.h"

#include "test.h"

TEST(tree_with_positions_and_merges)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct yaml_node *n = NULL;
    struct err e = { 0 };
    int64_t i;
    bool b;

    CHECK_OK(yaml_parse(&a,
                        STR("base: &b {x: 1, y: 'two'}\nlist:\n  - 0x10\n  - ~\n  - yes\nall:\n  "
                            "<<: *b\n  x: 3\n"),
                        &n, &e),
             &e);
    const struct yaml_node *list = yaml_get(n, STR("list")), *all = yaml_get(n, STR("all"));
    CHECK(list->kind == YAML_SEQUENCE && list->n == 3 && list->items[0]->pos.line == 3 &&
          list->items[0]->pos.col == 5);
    CHECK(yaml_to_i64(list->items[0], &i) && i == 16);
    CHECK(yaml_is_null(list->items[1]) && yaml_to_bool(list->items[2], &b) && b);
    CHECK_STR(yaml_get(all, STR("x"))->text, STR("3"));
    CHECK_STR(yaml_get(all, STR("y"))->text, STR("two"));
    CHECK(!yaml_to_i64(yaml_get(all, STR("y")), &i) && !yaml_get(all, STR("z")));
    CHECK_OK(yaml_parse(&a, STR(""), &n, &e), &e);
    CHECK(yaml_is_null(n));
}

static const struct {
    const char *in, *text;
    uint32_t line;
} bad[] = {
    { "a: 1\nb: c: d\n", "mapping values are not allowed in this context", 2 },
    { "a: 1\na: 2\n", "already defined at line 1", 2 },
    { "a: *nope\n", "unknown anchor 'nope' referenced", 1 },
    { "a: &x [*x]\n", "contains itself", 1 },
    { "a: [1\n", "", 2 },
    { "? [a]\n: 1\n", "a key must be plain text", 1 },
    { "<<: 3\n", "map merge requires", 1 },
    { "\tb: 1\n", "cannot start any token", 1 },
};

TEST(refusals_name_the_line)
{
    FOR_CASES (t, bad) {
        OWNED(arena_fini) struct arena a = { 0 };
        const struct yaml_node *n = NULL;
        struct err e = { 0 };
        CHECK_F(!yaml_parse(&a, str_c(t->in), &n, &e) && !n, "%s", t->in);
        CHECK_F(strstr(e.text, t->text) && e.pos.line == t->line, "%s: %s (line %u)", t->in, e.text,
                e.pos.line);
    }
}

TEST(alias_bombs_are_refused)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    const struct yaml_node *n = NULL;
    struct err e = { 0 };

    buf_lit(&b, "a0: &a0 [x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&b, "*a%d,", i - 1);
        buf_lit(&b, "x]\n");
    }
    CHECK(!yaml_parse(&a, buf_view(&b), &n, &e) && e.kind == ERR_LIMIT);
}

TEST(scalars_read_back)
{
    static const char *const texts[] = { "a",    "1",    "true", "",     " x",    "x ",
                                         "a: b", "- a",  "#",    "it's", "\"q\"", "\n",
                                         "{a}",  "null", "1m",   "-",    ":9090", "*" };

    FOR_CASES (t, texts) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        const struct yaml_node *n = NULL;
        struct err e = { 0 };
        buf_lit(&b, "k: ");
        buf_yaml_scalar(&b, str_c(*t));
        buf_char(&b, '\n');
        CHECK_OK(yaml_parse(&a, buf_view(&b), &n, &e), &e);
        n = yaml_get(n, STR("k"));
        int64_t i;
        bool flag;
        CHECK_F(n->kind == YAML_SCALAR && str_eq_c(n->text, *t), "%s", buf_cstr(&b));
        CHECK(!yaml_to_i64(n, &i) && !yaml_to_bool(n, &flag));
    }
}
