/*
 * rules_info.c - a copy of groups, rules and alerts for whoever shows them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "rules/rules_priv.h"

static void copy_alerts(const struct eval_rule *r, struct arena *a, struct rules_rule *out)
{
    out->alerts = arena_array(a, r->active.n, struct rules_alert);
    for (size_t i = 0; i < r->active.n; i++) {
        const struct eval_alert *from = r->active.v[i];
        if (from->resolved_ns != EVAL_NEVER)
            continue;
        out->alerts[out->alert_count++] = (struct rules_alert){
            .labels = labels_copy(a, from->labels),
            .annotations = labels_copy(a, from->annotations),
            .state = from->state,
            .active_ns = from->active_ns,
            .keep_since_ns = from->keep_since_ns,
            .value = from->value
        };
    }
}

static void copy_rule(const struct eval_rule *r, bool no_alerts, struct arena *a,
                      struct rules_rule *out)
{
    *out = (struct rules_rule){ .alerting = r->alerting,
                                .name = arena_str(a, r->name),
                                .query = arena_str(a, r->expr),
                                .for_ms = r->for_ms,
                                .keep_firing_for_ms = r->keep_firing_for_ms,
                                .labels = labels_copy(a, r->labels),
                                .annotations = labels_copy(a, r->annotations),
                                .state = eval_rule_state(r),
                                .health = r->health,
                                .error = arena_str(a, buf_view(&r->error)),
                                .duration_ns = r->duration_ns,
                                .evaluated_ns = r->evaluated_ns };
    if (r->alerting && !no_alerts)
        copy_alerts(r, a, out);
}

static void copy_group(struct eval_group *g, bool no_alerts, struct arena *a,
                       struct rules_group *out)
{
    LOCKED(&g->mu);

    *out = (struct rules_group){ .name = arena_str(a, g->name),
                                 .file = arena_str(a, g->file),
                                 .interval_ms = g->interval_ms,
                                 .limit = g->limit,
                                 .query_offset_ms = g->query_offset_ms,
                                 .has_query_offset = g->has_query_offset,
                                 .duration_ns = g->duration_ns,
                                 .evaluated_ns = g->evaluated_ns,
                                 .rules = arena_array(a, g->rule_count, struct rules_rule),
                                 .rule_count = g->rule_count };
    for (size_t i = 0; i < g->rule_count; i++)
        copy_rule(&g->rules[i], no_alerts, a, &out->rules[i]);
}

static int by_file(const void *a, const void *b, void *ctx UNUSED)
{
    const struct rules_group *x = a, *y = b;
    int c = str_cmp(x->file, y->file);

    return c ? c : str_cmp(x->name, y->name);
}

void rules_info(struct rules *r, bool no_alerts, struct arena *a, struct rules_info *out)
{
    mutex_lock(&r->mu);
    out->groups = arena_array(a, r->entries.n, struct rules_group);
    out->n = 0;
    for (size_t i = 0; i < r->entries.n; i++)
        if (!r->entries.v[i]->retired)
            copy_group(r->entries.v[i]->group, no_alerts, a, &out->groups[out->n++]);
    mutex_unlock(&r->mu);
    sort_stable(out->groups, out->n, sizeof *out->groups, by_file, NULL);
}
