/*
 * query_set.c - and, or, unless: one bit per signature and step of one side, the other streams.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query_priv.h"

struct set {
    struct op op;
    enum promql_op fn;
    struct op *left, *right;
    struct names labels;
    bool on;
    struct query *q;
    struct key_index *index;
    VEC(uint64_t *) bits; // per signature: steps at which the first side has it
    struct flow to;
};

static uint32_t set_sig(struct set *o, struct labels ls, bool make)
{
    OWNED(buf_fini) struct buf key = { 0 };
    bool added;

    key_of_labels(&key, ls, &o->labels, o->on);
    if (!make)
        return key_index_find(o->index, buf_view(&key));
    uint32_t i = key_index_put(o->index, buf_view(&key), &added);
    if (added)
        *vec_push_in(o->q->keep, &o->bits) = arena_array(o->q->keep, column_words(o->op.grid.n) + 1,
                                                         uint64_t);
    return i;
}

static bool set_note(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct set *o = ctx;
    uint32_t sig = set_sig(o, s->labels, true); // may move the array
    uint64_t *bits = o->bits.v[sig];

    for (size_t w = 0; w < column_words(c->n); w++)
        bits[w] |= c->has[w];
    if (!query_account(o->q, 1, e))
        return false;
    return o->fn != PROMQL_OR || o->to.push(o->to.ctx, s, c, e);
}

static bool set_filter(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct set *o = ctx;
    uint32_t sig = set_sig(o, s->labels, false);
    bool keep = o->fn == PROMQL_AND; // what the first side has, else what it has not

    if (sig == MAP_NONE && keep)
        return true;
    for (size_t w = 0; sig != MAP_NONE && w < column_words(c->n); w++) {
        uint64_t bits = o->bits.v[sig][w];

        c->has[w] &= keep ? bits : ~bits;
    }
    return column_is_empty(c) || o->to.push(o->to.ctx, s, c, e);
}

static bool set_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct set *o = (struct set *)op;
    struct op *first = o->fn == PROMQL_OR ? o->left : o->right;
    struct op *second = o->fn == PROMQL_OR ? o->right : o->left;

    o->to = to;
    o->index = key_index_new(q);
    return first->run(first, q, (struct flow){ set_note, o }, e) &&
           second->run(second, q, (struct flow){ set_filter, o }, e);
}

struct op *set_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e)
{
    struct set *o = arena_new(q->keep, struct set);

    o->fn = n->binary.op;
    if (o->fn != PROMQL_OR)
        plan_presence_only(q, n->binary.rhs);
    o->left = plan_vector(q, n->binary.lhs, g, e);
    o->right = o->left ? plan_vector(q, n->binary.rhs, g, e) : NULL;
    if (!o->right)
        return NULL;
    o->op = (struct op){
        .run = set_run, .node = n, .grid = g, .repeats = o->fn == PROMQL_OR || o->left->repeats
    };
    if (o->fn != PROMQL_OR)
        o->op.origin = op_origin(o->left);
    o->labels = names_of(q->keep, n->binary.labels, n->binary.label_count);
    o->on = n->binary.on;
    o->q = q;
    return &o->op;
}
