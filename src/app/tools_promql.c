// tools_promql.c - expressions, rewritten.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools_promql.h"

#include <stdio.h>

bool tools_has_feature(const struct cli *c, const char *name)
{
    struct cli_list all = cli_has(c, "enable-feature") ? cli_all(c, "enable-feature")
                                                       : (struct cli_list){ 0 };

    for (size_t i = 0; i < all.n; i++) {
        struct str rest = all.v[i];
        while (rest.p)
            if (str_eq_c(str_cut(&rest, ','), name))
                return true;
    }
    return false;
}

struct promql_options tools_promql_syntax(const struct cli *c)
{
    struct promql_options o = { 0 };

    if (!c->app->kingpin)
        return o;
    o.no_experimental_functions = !tools_has_feature(c, "promql-experimental-functions");
    o.no_extended_selectors = !tools_has_feature(c, "promql-extended-range-selectors");
    o.no_fill_modifiers = !tools_has_feature(c, "promql-binop-fill-modifiers");
    return o;
}

struct edit {
    struct arena *arena;
    struct str name, value;
    enum match_op op;
};

static void set_matcher(void *ctx, struct promql_node *n)
{
    const struct edit *x = ctx;
    bool found = false;

    if (n->kind != PROMQL_SELECTOR)
        return;
    for (size_t i = 0; i < n->selector.matcher_count; i++) {
        struct matcher *m = &n->selector.matchers[i];
        if (!str_eq(m->name, x->name))
            continue;
        m->op = x->op;
        m->value = x->value;
        found = true;
    }
    if (found)
        return;
    size_t count = n->selector.matcher_count;
    struct matcher *v = arena_array(x->arena, count + 1, struct matcher);
    for (size_t i = 0; i < count; i++)
        v[i + 1] = n->selector.matchers[i];
    v[0] = (struct matcher){ .name = x->name, .value = x->value, .op = x->op };
    n->selector.matchers = v;
    n->selector.matcher_count = count + 1;
}

static void delete_matcher(void *ctx, struct promql_node *n)
{
    const struct edit *x = ctx;
    size_t kept = 0;

    if (n->kind != PROMQL_SELECTOR)
        return;
    for (size_t i = 0; i < n->selector.matcher_count; i++)
        if (!str_eq(n->selector.matchers[i].name, x->name))
            n->selector.matchers[kept++] = n->selector.matchers[i];
    n->selector.matcher_count = kept;
}

static int rewrite(const struct cli *c, void (*visit)(void *ctx, struct promql_node *n),
                   struct edit *x)
{
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct promql_options syntax = tools_promql_syntax(c);
    struct err e = { 0 };

    if (c->app->kingpin && !cli_bool(c, "experimental")) {
        fprintf(stderr, "This command is experimental and requires the --experimental flag to be "
                        "set.\n");
        return 1;
    }
    if (!promql_parse_with(c->arena, cli_text(c, "query"), &syntax, &q, &e)) {
        if (q.error_count)
            promql_print_error(&b, &q, 0);
        else
            buf_str(&b, str_c(e.text));
        fprintf(stderr, "%.*s\n", STRF(buf_view(&b)));
        return 1;
    }
    if (visit)
        promql_walk(q.root, visit, x);
    promql_pretty(&b, q.root);
    printf("%.*s\n", STRF(buf_view(&b)));
    return 0;
}

int tools_promql_format(const struct cli *c)
{
    return rewrite(c, NULL, NULL);
}

int tools_promql_set(const struct cli *c)
{
    struct edit x = { .arena = c->arena,
                      .name = cli_text(c, "name"),
                      .value = cli_text(c, "value") };

    for (enum match_op op = MATCH_EQ; op <= MATCH_NRE; op++)
        if (str_eq_c(cli_text(c, "type"), match_op_text(op)))
            x.op = op;
    return rewrite(c, set_matcher, &x);
}

int tools_promql_delete(const struct cli *c)
{
    struct edit x = { .arena = c->arena, .name = cli_text(c, "name") };

    return rewrite(c, delete_matcher, &x);
}
