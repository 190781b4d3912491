/*
 * eval_batch.c - which rules of a group may be evaluated at once.
 *
 * A rule depends on an earlier one when a selector of it can match what that one makes: its name, or
 * for alerting rules ALERTS and ALERTS_FOR_STATE of its alert. A selector without a name can
 * match everything: then all rules follow each other. Three kinds of batches, as upstream has them:
 * first what depends on nothing, then one by one what is in the middle, at last what nothing
 * depends on.
 */
// SPDX-License-Identifier: Apache-2.0
#include "rules/eval_priv.h"

enum { BATCH_RULES_MAX = 4096 }; // of a group; beyond, pairs would be too many

struct analysis {
    const struct eval_group *group;
    bool *has_dependency, *has_dependent;
    size_t at;    // the rule at hand
    bool unknown; // a selector without a name
};

static const struct matcher *find_matcher(const struct promql_node *n, struct str name)
{
    for (size_t i = 0; i < n->selector.matcher_count; i++)
        if (str_eq(n->selector.matchers[i].name, name))
            return &n->selector.matchers[i];
    return NULL;
}

static void look_at_selector(void *ctx, struct promql_node *n)
{
    struct analysis *a = ctx;

    if (n->kind != PROMQL_SELECTOR)
        return;
    const struct matcher *name = find_matcher(n, LABEL_NAME);
    const struct matcher *alert = find_matcher(n, STR("alertname"));
    if (!name) {
        a->unknown = true;
        return;
    }
    bool alerts = matcher_matches(name, STR("ALERTS")) ||
                  matcher_matches(name, STR("ALERTS_FOR_STATE"));
    for (size_t i = 0; i < a->at; i++) {
        const struct eval_rule *other = &a->group->rules[i];
        if (matcher_matches(name, other->name) ||
            (alerts && other->alerting && (!alert || matcher_matches(alert, other->name))))
            a->has_dependency[a->at] = a->has_dependent[i] = true;
    }
}

static void add_batch(struct eval_group *g, const uint32_t *rule, size_t n)
{
    if (n)
        g->batches[g->batch_count++] = (struct eval_batch){
            arena_copy(&g->arena, rule, n * sizeof *rule), n
        };
}

static void fill_batches(struct eval_group *g, const struct analysis *a)
{
    OWNED(arena_fini) struct arena scratch = { 0 };
    uint32_t *first = arena_array(&scratch, g->rule_count, uint32_t);
    uint32_t *last = arena_array(&scratch, g->rule_count, uint32_t);
    size_t first_n = 0, last_n = 0;

    g->batches = arena_array(&g->arena, g->rule_count + 2, struct eval_batch);
    for (uint32_t i = 0; i < g->rule_count; i++)
        if (!a->has_dependency[i])
            first[first_n++] = i;
        else if (!a->has_dependent[i])
            last[last_n++] = i;
    add_batch(g, first, first_n);
    for (uint32_t i = 0; i < g->rule_count; i++)
        if (a->has_dependency[i] && a->has_dependent[i])
            add_batch(g, &i, 1);
    add_batch(g, last, last_n);
}

void eval_batches_make(struct eval_group *g, const struct rule_group *conf)
{
    OWNED(arena_fini) struct arena scratch = { 0 };
    struct analysis a = { .group = g,
                          .has_dependency = arena_array(&scratch, g->rule_count, bool),
                          .has_dependent = arena_array(&scratch, g->rule_count, bool) };

    if (g->rule_count < 2 || g->rule_count > BATCH_RULES_MAX)
        return;
    for (a.at = 0; a.at < g->rule_count && !a.unknown; a.at++) {
        const struct rule *r = conf->rules.v[a.at];
        if (!r->query || !r->query->root)
            return;
        promql_walk(r->query->root, look_at_selector, &a);
    }
    if (!a.unknown)
        fill_batches(g, &a);
}
