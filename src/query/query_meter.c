/*
 * query_meter.c - peakSamples as upstream would have counted it.
 *
 * Upstream evaluates node by node and holds each result whole; operators here stream, and hold
 * less. When statistics are asked for, a meter behind each operator counts what flows, and
 * meter_peak() walks the expression afterwards with upstream's rules (promql/engine.go: rangeEval,
 * gatherVector, matrixIterSlice).
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/histogram_ops.h"
#include "query/query_priv.h"

struct meter {
    const struct promql_node *node;
    struct op *op;   // what is metered
    uint32_t *count; // samples per step
    int64_t *extra;  // per step: what histograms weigh above one sample; NULL: none
    int64_t total;   // with histograms by their weight
    struct meter *next;
};

struct metered {
    struct op op;
    struct op *from;
    struct meter meter;
    struct query *q;
    struct flow to;
};

static bool metered_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct metered *o = ctx;
    struct meter *m = &o->meter;

    FOR_STEPS(i, c)
    {
        const struct histogram *h = column_hist(c, i);

        m->count[i]++;
        m->total++;
        if (!h)
            continue;
        int64_t more = (int64_t)histogram_samples(h) - 1;
        if (!m->extra)
            m->extra = arena_array(o->q->keep, c->n, int64_t);
        m->extra[i] += more;
        m->total += more;
    }
    return o->to.push(o->to.ctx, s, c, e);
}

static bool metered_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct metered *o = (struct metered *)op;

    o->to = to;
    return o->from->run(o->from, q, (struct flow){ metered_push, o }, e);
}

struct op *op_metered(struct query *q, struct op *child)
{
    if (!child || !(q->request->stats || q->request->per_step_stats))
        return child;
    struct metered *o = arena_new(q->keep, struct metered);

    o->op = *child;
    o->op.run = metered_run;
    o->op.origin = op_origin(child);
    o->from = child;
    o->q = q;
    o->meter = (struct meter){ .node = child->node,
                               .op = child,
                               .count = arena_array(q->keep, child->grid.n + 1, uint32_t),
                               .next = q->meters };
    q->meters = &o->meter;
    return &o->op;
}

/* ---- the walk ---- */

struct walk {
    struct query *q;
    int64_t peak;
};

static int64_t walk_node(struct walk *w, const struct promql_node *n, const struct grid *g,
                         int64_t now);

static void walk_reach(struct walk *w, int64_t samples)
{
    w->peak = MAX(w->peak, samples);
}

static const struct promql_node *bare(const struct promql_node *n)
{
    for (;;) {
        n = plan_unwrap(n);
        if (n->kind != PROMQL_UNARY || n->unary.negative)
            return n;
        n = n->unary.expr;
    }
}

// NULL: never planned, as there were no steps.
static const struct meter *meter_of(const struct walk *w, const struct promql_node *n)
{
    const struct meter *m = w->q->meters;

    for (n = bare(n); m && m->node != n; m = m->next)
        ;
    return m;
}

// Samples at step i of an argument's result.
static int64_t count_at(const struct walk *w, const struct promql_node *n, size_t i)
{
    if (n->type == PROMQL_SCALAR)
        return 1;
    if (n->type != PROMQL_VECTOR)
        return 0;
    const struct meter *m = meter_of(w, n);
    return m ? m->count[m->op->grid.n == 1 ? 0 : i] : 0;
}

static int64_t weight_at(const struct walk *w, const struct promql_node *n, size_t i)
{
    const struct meter *m = n->type == PROMQL_SCALAR ? NULL : meter_of(w, n);

    return count_at(w, n, i) + (m && m->extra ? m->extra[m->op->grid.n == 1 ? 0 : i] : 0);
}

// Step by step: the arguments are held, their samples at this step gathered, results pile up.
static int64_t walk_steps(struct walk *w, const struct promql_node *n, struct promql_node **args,
                          size_t arg_count, const struct grid *g, int64_t now)
{
    int64_t held = now, made = 0;
    bool own = !arg_count && n->kind == PROMQL_CALL && n->call.arg_count; // timestamp(selector)

    for (size_t k = 0; k < arg_count; k++)
        held = walk_node(w, args[k], g, held);
    for (size_t i = 0; i < g->n; i++) {
        int64_t gathered = own ? count_at(w, n, i) : 0;

        for (size_t k = 0; k < arg_count; k++)
            gathered += count_at(w, args[k], i);
        made += weight_at(w, n, i);
        walk_reach(w, held + made + gathered);
    }
    return now + made;
}

static int64_t walk_aggregate(struct walk *w, const struct promql_node *n, const struct grid *g,
                              int64_t now)
{
    const struct meter *m = meter_of(w, n);
    struct promql_node *arg = n->aggregate.expr;
    int64_t held = now;

    if (n->aggregate.op == AGG_COUNT_VALUES)
        return walk_steps(w, n, &arg, 1, g, now);
    if (n->aggregate.param)
        held = walk_node(w, n->aggregate.param, g, held);
    walk_node(w, arg, g, held);
    now += m ? m->total : 0;
    walk_reach(w, now);
    return now;
}

static int64_t walk_window(struct walk *w, const struct promql_node *n,
                           const struct promql_node *range, const struct grid *g, int64_t now)
{
    const struct meter *m = meter_of(w, n);
    int64_t held = now, sub = 0;

    if (range->kind == PROMQL_SUBQUERY) {
        struct grid inner = plan_subquery_grid(w->q, range, g);

        sub = walk_node(w, range->subquery.expr, &inner, held) - held;
        held += sub;
    }
    for (size_t i = 0; i < n->call.arg_count; i++)
        if (plan_unwrap(n->call.args[i]) != range)
            held = walk_node(w, n->call.args[i], g, held);
    if (!m)
        return now;
    walk_reach(w, held + m->op->held_peak);
    return held - sub + m->total;
}

static int64_t walk_call(struct walk *w, const struct promql_node *n, const struct grid *g,
                         int64_t now)
{
    const struct meter *m = meter_of(w, n);
    bool of_selector = false;

    for (size_t i = 0; i < n->call.arg_count; i++) {
        const struct promql_node *arg = plan_unwrap(n->call.args[i]);

        if (arg->type == PROMQL_MATRIX)
            return walk_window(w, n, arg, g, now);
        of_selector |= arg->kind == PROMQL_SELECTOR;
    }
    switch (n->call.fn->id) {
    case FN_label_replace:
    case FN_label_join:
        return walk_node(w, n->call.args[0], g, now);
    case FN_info: {
        int64_t base = walk_node(w, n->call.args[0], g, now);
        int64_t made = m ? m->total : 0;

        walk_reach(w, base + made);
        return now + made;
    }
    case FN_timestamp:
    case FN_start_timestamp:
        return walk_steps(w, n, n->call.args, of_selector ? 0 : n->call.arg_count, g, now);
    default:
        return walk_steps(w, n, n->call.args, n->call.arg_count, g, now);
    }
}

static int64_t walk_kind(struct walk *w, const struct promql_node *n, const struct grid *g,
                         int64_t now)
{
    const struct meter *m = n->type == PROMQL_VECTOR ? meter_of(w, n) : NULL;

    switch (n->kind) {
    case PROMQL_SELECTOR:
        now += m && !n->selector.smoothed ? m->total : 0;
        walk_reach(w, now);
        return now;
    case PROMQL_NUMBER:
        return walk_steps(w, n, NULL, 0, g, now);
    case PROMQL_UNARY:
        return walk_node(w, n->unary.expr, g, now);
    case PROMQL_BINARY: {
        struct promql_node *args[2] = { n->binary.lhs, n->binary.rhs };

        return walk_steps(w, n, args, 2, g, now);
    }
    case PROMQL_AGGREGATE:
        return walk_aggregate(w, n, g, now);
    case PROMQL_CALL:
        return walk_call(w, n, g, now);
    default:
        return now;
    }
}

// What is held when n's result is there, of which `now` before.
static int64_t walk_node(struct walk *w, const struct promql_node *n, const struct grid *g,
                         int64_t now)
{
    n = bare(n);
    if (g->n <= 1 || n->kind == PROMQL_NUMBER || !plan_is_invariant(n))
        return g->n ? walk_kind(w, n, g, now) : now;
    struct grid once = { g->start_ms, g->step_ms, 1 };
    const struct meter *m = n->type == PROMQL_VECTOR ? meter_of(w, n) : NULL;

    now = walk_kind(w, n, &once, now);
    now += (m ? m->total : n->type == PROMQL_SCALAR) * ((int64_t)g->n - 1);
    walk_reach(w, now);
    return now;
}

int64_t meter_peak(struct query *q, struct grid g)
{
    const struct promql_node *root = bare(q->promql->root);
    struct walk w = { q, 0 };

    if (root->kind == PROMQL_RANGE) {
        w.peak = q->tally->total;
    } else if (root->kind == PROMQL_SUBQUERY) {
        struct grid inner = plan_subquery_grid(q, root, &g);

        walk_node(&w, root->subquery.expr, &inner, 0);
    } else {
        walk_node(&w, root, &g, 0);
    }
    return w.peak;
}
