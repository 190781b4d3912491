/*
 * query_binary.c - operators between samples: float and histogram, and vectors with scalars.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query_binary_priv.h"

#include "model/histogram_ops.h"

/* ---- annotations: the last one of a step stays, as upstream has it ---- */

void binary_note(struct binary_notes *k, size_t step, enum binary_note note)
{
    if (!note)
        return;
    if (!k->last)
        k->last = arena_array(k->q->keep, k->n, uint8_t);
    k->last[step] = (uint8_t)note;
}

void binary_notes_flush(struct binary_notes *k)
{
    const char *op = promql_op_text(k->node->binary.op);
    bool seen[NOTE_BINARY_COUNT] = { 0 };

    for (size_t i = 0; k->last && i < k->n; i++)
        seen[k->last[i]] = true;
    if (seen[NOTE_FLOAT_FLOAT])
        note_types(k->q, k->node, "float", op, "float");
    if (seen[NOTE_FLOAT_HIST])
        note_types(k->q, k->node, "float", op, "histogram");
    if (seen[NOTE_HIST_FLOAT])
        note_types(k->q, k->node, "histogram", op, "float");
    if (seen[NOTE_HIST_HIST])
        note_types(k->q, k->node, "histogram", op, "histogram");
    if (seen[NOTE_COLLISION_ADD])
        note_reset_collision(k->q, k->node, HIST_ADD);
    if (seen[NOTE_COLLISION_SUB])
        note_reset_collision(k->q, k->node, HIST_SUB);
    if (seen[NOTE_BOUNDS_ADD])
        note_mismatched_bounds(k->q, k->node, HIST_ADD);
    if (seen[NOTE_BOUNDS_SUB])
        note_mismatched_bounds(k->q, k->node, HIST_SUB);
    if (seen[NOTE_LAYOUT])
        query_note(k->q, NOTE_WARNING, k->node,
                   "PromQL warning: incompatible bucket layout encountered for binary operator %s",
                   op);
}

/* ---- one pair of samples ---- */

static struct binary_value float_pair(enum promql_op op, double l, double r)
{
    struct binary_value out = { .v = scalar_binop(op, l, r), .keep = true, .ok = true };

    if (promql_op_is_comparison(op)) {
        out.keep = out.v != 0;
        out.v = l;
    } else if (op == PROMQL_TRIM_UPPER || op == PROMQL_TRIM_LOWER) {
        out = (struct binary_value){ .note = NOTE_FLOAT_FLOAT };
    }
    return out;
}

static struct binary_value hist_float(struct arena *a, enum promql_op op, const struct histogram *l,
                                      double r)
{
    struct binary_value out = { .keep = true, .ok = true };

    switch (op) {
    case PROMQL_MUL:
        out.hist = histogram_mul(a, l, r);
        return out;
    case PROMQL_DIV:
        out.hist = histogram_div(a, l, r);
        return out;
    case PROMQL_TRIM_UPPER:
    case PROMQL_TRIM_LOWER:
        out.hist = histogram_trim(a, l, r, op == PROMQL_TRIM_UPPER);
        return out;
    default:
        return (struct binary_value){ .note = NOTE_HIST_FLOAT };
    }
}

static struct binary_value hist_pair(struct arena *a, enum promql_op op, const struct histogram *l,
                                     const struct histogram *r)
{
    struct binary_value out = { .keep = true, .ok = true };
    bool add = op == PROMQL_ADD;

    switch (op) {
    case PROMQL_ADD:
    case PROMQL_SUB: {
        unsigned notes = add ? histogram_add(a, l, r, &out.hist)
                             : histogram_sub(a, l, r, &out.hist);

        if (notes & HIST_NOTE_INCOMPATIBLE)
            return (struct binary_value){ .note = NOTE_LAYOUT };
        if (notes & HIST_NOTE_RESET_COLLISION)
            return (struct binary_value){ .note = add ? NOTE_COLLISION_ADD : NOTE_COLLISION_SUB };
        if (notes & HIST_NOTE_BOUNDS_MISMATCH)
            out.note = add ? NOTE_BOUNDS_ADD : NOTE_BOUNDS_SUB;
        return out;
    }
    case PROMQL_EQ:
    case PROMQL_NE:
        out.hist = l;
        out.keep = histogram_equal(l, r) == (op == PROMQL_EQ);
        return out;
    default:
        return (struct binary_value){ .note = NOTE_HIST_HIST };
    }
}

struct binary_value binary_pair(struct arena *a, enum promql_op op, double lv,
                                const struct histogram *lh, double rv, const struct histogram *rh)
{
    if (lh && rh)
        return hist_pair(a, op, lh, rh);
    if (lh)
        return hist_float(a, op, lh, rv);
    if (!rh)
        return float_pair(op, lv, rv);
    if (op == PROMQL_MUL)
        return hist_float(a, op, rh, lv);
    return (struct binary_value){ .note = NOTE_FLOAT_HIST };
}

/* ---- whole columns of floats ---- */

void binary_floats(enum promql_op op, const double *l, const double *r, double *out, size_t n)
{
    switch (op) {
    case PROMQL_ADD:
        for (size_t i = 0; i < n; i++)
            out[i] = l[i] + r[i];
        break;
    case PROMQL_SUB:
        for (size_t i = 0; i < n; i++)
            out[i] = l[i] - r[i];
        break;
    case PROMQL_MUL:
        for (size_t i = 0; i < n; i++)
            out[i] = l[i] * r[i];
        break;
    case PROMQL_DIV:
        for (size_t i = 0; i < n; i++)
            out[i] = l[i] / r[i];
        break;
    default:
        for (size_t i = 0; i < n; i++)
            out[i] = scalar_binop(op, l[i], r[i]);
    }
}

bool binary_changes_metric(enum promql_op op)
{
    return op <= PROMQL_ATAN2;
}

/* ---- vector and scalar ---- */

struct with_scalar {
    struct op op;
    enum promql_op fn;
    struct op *from;
    double *scalar;
    bool swap; // the scalar is on the left
    bool as_bool;
    struct query *q;
    struct flow to;
    struct binary_notes notes;
};

static void scalar_floats(struct with_scalar *o, struct column *c)
{
    const double *l = o->swap ? o->scalar : c->v, *r = o->swap ? c->v : o->scalar;

    if (!promql_op_is_comparison(o->fn)) {
        binary_floats(o->fn, l, r, c->v, c->n);
        return;
    }
    FOR_STEPS(i, c)
    {
        bool keep = scalar_binop(o->fn, l[i], r[i]) != 0;

        if (o->as_bool)
            c->v[i] = keep;
        else if (!keep)
            column_del(c, i);
    }
}

static void scalar_step(struct with_scalar *o, struct column *c, size_t i)
{
    const struct histogram *h = column_hist(c, i);
    double v = c->v[i], s = o->scalar[i];
    struct arena *a = o->q->scratch;
    struct binary_value x = o->swap ? binary_pair(a, o->fn, s, NULL, v, h)
                                    : binary_pair(a, o->fn, v, h, s, NULL);

    binary_note(&o->notes, i, x.note);
    if (!x.ok || (!x.keep && !o->as_bool)) {
        column_del(c, i);
        return;
    }
    if (promql_op_is_comparison(o->fn)) { // the vector's own sample stays
        if (!o->as_bool)
            return;
        x = (struct binary_value){ .v = x.keep };
    }
    c->v[i] = x.v;
    if (c->hist)
        c->hist[i] = x.hist;
}

static bool scalar_push_column(void *ctx, const struct flow_series *s, struct column *c,
                               struct err *e)
{
    struct with_scalar *o = ctx;
    struct arena_mark mark = arena_mark(o->q->scratch);
    struct flow_series out = *s;
    bool trim = o->fn == PROMQL_TRIM_LOWER || o->fn == PROMQL_TRIM_UPPER;

    out.drop_name |= binary_changes_metric(o->fn) || o->as_bool;
    if (c->hist || trim)
        FOR_STEPS(i, c)
    scalar_step(o, c, i);
    else scalar_floats(o, c);
    bool ok = column_is_empty(c) || o->to.push(o->to.ctx, &out, c, e);
    arena_release(o->q->scratch, mark);
    return ok;
}

static bool with_scalar_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct with_scalar *o = (struct with_scalar *)op;

    o->to = to;
    bool ok = o->from->run(o->from, q, (struct flow){ scalar_push_column, o }, e);
    binary_notes_flush(&o->notes);
    return ok;
}

struct op *binary_scalar_new(struct query *q, const struct promql_node *n, struct grid g,
                             struct err *e)
{
    struct with_scalar *o = arena_new(q->keep, struct with_scalar);

    o->swap = n->binary.lhs->type == PROMQL_SCALAR;
    o->fn = n->binary.op;
    o->as_bool = n->binary.return_bool;
    o->q = q;
    o->notes = (struct binary_notes){ .q = q, .node = n, .n = g.n };
    if (!scalar_eval(q, o->swap ? n->binary.lhs : n->binary.rhs, g, &o->scalar, e))
        return NULL;
    o->from = plan_vector(q, o->swap ? n->binary.rhs : n->binary.lhs, g, e);
    if (!o->from)
        return NULL;
    o->op = (struct op){ .run = with_scalar_run,
                         .node = n,
                         .grid = g,
                         .repeats = o->from->repeats,
                         .origin = op_origin(o->from) };
    return &o->op;
}
