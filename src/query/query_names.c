/*
 * query_names.c - metric names dropped at once, as upstream does without delayed name removal.
 *
 * Series that differ in their names alone become equal then, which is an error. Whether that can
 * happen is mostly known from the selected series: where all have one name nothing is compared.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query_priv.h"

struct drop {
    struct op op;
    struct op *from;
    bool whole;     // equal labels are an error even at different steps
    bool name_only; // __type__ and __unit__ stay
    struct overlap overlap;
    struct query *q;
    struct flow to;
};

static const struct names only_name = { &(struct str){ "__name__", 8 }, 1 };

static bool labels_share_metadata(struct labels a, struct labels b)
{
    static const struct str names[] = { { "__name__", 8 }, { "__type__", 8 }, { "__unit__", 8 } };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!str_eq(labels_get(a, names[i]), labels_get(b, names[i])))
            return false;
    return true;
}

// One name for all: without it they differ as they did with it.
static bool op_is_distinct(struct op *o)
{
    if (o->distinct != DISTINCT_UNKNOWN)
        return o->distinct == DISTINCT_YES;
    o->distinct = o->set ? DISTINCT_YES : DISTINCT_NO;
    for (size_t i = 1; o->set && i < o->set->n && o->distinct == DISTINCT_YES; i++)
        if (!labels_share_metadata(o->set->v[0].labels, o->set->v[i].labels))
            o->distinct = DISTINCT_NO;
    return o->distinct == DISTINCT_YES;
}

static bool drop_check(struct drop *o, struct labels ls, const struct column *c, struct err *e)
{
    if (!o->whole)
        return overlap_add(o->q, &o->overlap, ls, c, e);
    uint64_t *seen = overlap_marks(o->q, &o->overlap, ls, 0, 1);
    bool twice = seen[0];

    seen[0] = 1;
    return !twice || query_fail_same_labels(o->q, e);
}

static bool drop_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct drop *o = ctx;
    struct flow_series out = *s;

    if (!s->drop_name)
        return o->to.push(o->to.ctx, s, c, e);
    out.drop_name = false;
    out.labels = o->name_only ? labels_without(o->q->keep, s->labels, &only_name, false)
                              : labels_drop_metadata(o->q->keep, s->labels);
    if (!op_is_distinct(op_origin(o->from)) && !drop_check(o, out.labels, c, e))
        return false;
    return o->to.push(o->to.ctx, &out, c, e);
}

static bool drop_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct drop *o = (struct drop *)op;

    o->to = to;
    bool ok = o->from->run(o->from, q, (struct flow){ drop_push, o }, e);
    op->held_peak = o->from->held_peak;
    return ok;
}

// Series of n have one name, or the same ones without it differ anyway; known without looking.
static bool has_one_name(const struct promql_node *n)
{
    n = plan_unwrap(n);
    switch (n->kind) {
    case PROMQL_SELECTOR:
        for (size_t i = 0; i < n->selector.matcher_count; i++)
            if (n->selector.matchers[i].op == MATCH_EQ &&
                str_eq(n->selector.matchers[i].name, LABEL_NAME))
                return true;
        return false;
    case PROMQL_UNARY:
        return has_one_name(n->unary.expr);
    case PROMQL_BINARY:
        return n->binary.lhs->type == PROMQL_SCALAR   ? has_one_name(n->binary.rhs)
               : n->binary.rhs->type == PROMQL_SCALAR ? has_one_name(n->binary.lhs)
                                                      : false;
    case PROMQL_AGGREGATE:
        for (size_t i = 0; i < n->aggregate.grouping_count; i++)
            if (name_is_metadata(n->aggregate.grouping[i]))
                return false;
        return !n->aggregate.without && n->aggregate.op < AGG_TOPK;
    case PROMQL_CALL:
        for (size_t i = 0; i < n->call.arg_count; i++)
            if (n->call.args[i]->type == PROMQL_MATRIX)
                return true; // equal ones are an error
        for (size_t i = 0; i < n->call.arg_count; i++)
            if (n->call.args[i]->type == PROMQL_VECTOR && n->call.fn->id != FN_label_replace &&
                n->call.fn->id != FN_label_join && n->call.fn->id != FN_info)
                return has_one_name(n->call.args[i]);
        return false;
    default:
        return false;
    }
}

static bool is_of_range(const struct promql_node *n)
{
    for (size_t i = 0; n->kind == PROMQL_CALL && i < n->call.arg_count; i++)
        if (n->call.args[i]->type == PROMQL_MATRIX)
            return true;
    return false;
}

struct op *op_drop_names(struct query *q, struct op *child, const struct promql_node *n)
{
    if (!child || !q->engine->early_name_removal)
        return child;
    struct drop *o = arena_new(q->keep, struct drop);

    o->op = (struct op){ .run = drop_run,
                         .node = n,
                         .grid = child->grid,
                         .repeats = child->repeats,
                         .distinct = DISTINCT_YES };
    o->from = child;
    o->whole = is_of_range(n);
    o->name_only = n->kind == PROMQL_CALL && simple_is_of_hists(n->call.fn->id);
    o->op.repeats |= !o->whole && !has_one_name(n);
    o->q = q;
    return &o->op;
}
