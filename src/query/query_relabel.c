/*
 * query_relabel.c - label_replace, label_join, the sort family, absent.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/regex.h"
#include "base/sort.h"
#include "query/query_priv.h"

/* ---- label_replace, label_join ---- */

struct relabel_op {
    struct op op;
    struct op *from;
    struct str target, template, source, separator;
    struct regex *re; // label_replace
    struct str *sources;
    size_t source_count;
    struct overlap overlap;
    struct query *q;
    struct flow to;
};

static struct labels relabel_labels(struct relabel_op *o, struct labels ls, bool *changed)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct arena *a = o->q->scratch;

    if (o->re) {
        *changed = regex_expand(o->re, labels_get(ls, o->source), o->template, &b);
    } else {
        *changed = true;
        for (size_t i = 0; i < o->source_count; i++) {
            if (i)
                buf_str(&b, o->separator);
            buf_str(&b, labels_get(ls, o->sources[i]));
        }
    }
    return *changed ? labels_with(a, ls, o->target, arena_str(a, buf_view(&b))) : ls;
}

static bool relabel_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct relabel_op *o = ctx;
    struct query *q = o->q;
    struct arena_mark mark = arena_mark(q->scratch);
    struct flow_series out = *s;
    bool changed;

    out.labels = relabel_labels(o, s->labels, &changed);
    out.stable = s->stable && !changed;
    if (changed && str_eq(o->target, LABEL_NAME))
        out.drop_name = false;
    bool ok = query_account(q, 1, e) && overlap_add(q, &o->overlap, out.labels, c, e) &&
              o->to.push(o->to.ctx, &out, c, e);
    arena_release(q->scratch, mark);
    return ok;
}

static bool relabel_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct relabel_op *o = (struct relabel_op *)op;

    o->to = to;
    return o->from->run(o->from, q, (struct flow){ relabel_push, o }, e);
}

static bool is_label_name(struct str s)
{
    return s.n && str_is_utf8(s);
}

static struct str text_arg(const struct promql_node *call, size_t i)
{
    return plan_unwrap(call->call.args[i])->text;
}

static bool replace_args(struct relabel_op *o, const struct promql_node *call, struct err *e)
{
    struct str pattern = text_arg(call, 4);

    o->target = text_arg(call, 1);
    o->template = text_arg(call, 2);
    o->source = text_arg(call, 3);
    if (!is_label_name(o->target))
        return query_fail(o->q, e, ERR_CONFLICT,
                          "invalid destination label name in label_replace(): %.*s",
                          STRF(o->target));
    if (!regex_new(&o->re, pattern, REGEX_ANCHORED, &(struct err){ 0 })) // upstream's text instead
        return query_fail(o->q, e, ERR_CONFLICT,
                          "invalid regular expression in label_replace(): %.*s", STRF(pattern));
    *vec_push_in(o->q->keep, &o->q->regexes) = o->re;
    return true;
}

static bool join_args(struct relabel_op *o, const struct promql_node *call, struct err *e)
{
    o->target = text_arg(call, 1);
    o->separator = text_arg(call, 2);
    o->source_count = call->call.arg_count - 3;
    o->sources = arena_array(o->q->keep, o->source_count + 1, struct str);
    for (size_t i = 0; i < o->source_count; i++) {
        o->sources[i] = text_arg(call, 3 + i);
        if (!is_label_name(o->sources[i]))
            return query_fail(o->q, e, ERR_CONFLICT,
                              "invalid source label name in label_join(): %.*s",
                              STRF(o->sources[i]));
    }
    if (!is_label_name(o->target))
        return query_fail(o->q, e, ERR_CONFLICT,
                          "invalid destination label name in label_join(): %.*s", STRF(o->target));
    return true;
}

struct op *relabel_new(struct query *q, const struct promql_node *call, struct grid g,
                       struct err *e)
{
    struct relabel_op *o = arena_new(q->keep, struct relabel_op);

    o->op = (struct op){ .run = relabel_run, .node = call, .grid = g, .repeats = true };
    o->q = q;
    o->from = plan_vector(q, call->call.args[0], g, e);
    if (!o->from)
        return NULL;
    bool ok = call->call.fn->id == FN_label_replace ? replace_args(o, call, e)
                                                    : join_args(o, call, e);
    return ok ? &o->op : NULL;
}

/* ---- sort ---- */

struct sort_op {
    struct op op;
    unsigned fn;
    struct op *from;
    const struct promql_node *call;
    struct query *q;
    struct flow to;
};

struct chunk { // of digits, or of anything else
    struct str text;
    uint64_t number;
    bool is_number;
};

static struct chunk chunk_next(struct str *s)
{
    struct chunk c = { 0 };
    size_t n = 0;
    bool digit = s->n && s->p[0] >= '0' && s->p[0] <= '9';

    while (n < s->n && (s->p[n] >= '0' && s->p[n] <= '9') == digit)
        n++;
    c.text = str_sub(*s, 0, n);
    c.is_number = digit && str_to_u64(c.text, &c.number) && c.number <= INT64_MAX;
    *s = str_sub(*s, n, s->n);
    return c;
}

// Natural order: runs of digits by their number.
static int natural_cmp(struct str a, struct str b)
{
    while (a.n && b.n) {
        struct chunk x = chunk_next(&a), y = chunk_next(&b);

        if (x.is_number && y.is_number) {
            if (x.number != y.number)
                return x.number < y.number ? -1 : 1;
            continue;
        }
        int c = str_cmp(x.text, y.text);
        if (c)
            return c;
    }
    return (a.n > 0) - (b.n > 0);
}

static int by_value(const void *x, const void *y, void *ctx)
{
    const struct held_series *a = x, *b = y;
    const struct sort_op *o = ctx;
    double v = a->column.v[0], w = b->column.v[0];

    if (isnan(v) || isnan(w)) // NaN goes last either way
        return isnan(v) - isnan(w);
    if (o->fn == FN_sort_desc)
        return (v < w) - (v > w);
    return (v > w) - (v < w);
}

static int by_named_labels(const void *x, const void *y, void *ctx)
{
    const struct held_series *a = x, *b = y;
    const struct sort_op *o = ctx;
    int sign = o->fn == FN_sort_by_label_desc ? -1 : 1;

    for (size_t i = 1; i < o->call->call.arg_count; i++) {
        struct str name = text_arg(o->call, i);
        struct str v = labels_get(a->series.labels, name), w = labels_get(b->series.labels, name);

        if (str_eq(v, w))
            continue;
        int c = natural_cmp(v, w);
        if (c)
            return sign * c;
    }
    return sign * labels_cmp(a->series.labels, b->series.labels);
}

static bool is_by_value(const struct sort_op *o)
{
    return o->fn == FN_sort || o->fn == FN_sort_desc;
}

static bool sort_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct sort_op *o = ctx;

    if (c->hist && is_by_value(o)) {
        FOR_STEPS(i, c)
        if (c->hist[i])
            column_del(c, i);
        c->hist = NULL;
    }
    return column_is_empty(c) || o->to.push(o->to.ctx, s, c, e);
}

static bool sort_filtered_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct sort_op *o = (struct sort_op *)op;

    o->to = to;
    return o->from->run(o->from, q, (struct flow){ sort_push, o }, e);
}

static bool sort_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct sort_op *o = (struct sort_op *)op;
    struct held h;

    if (op->grid.n > 1) {
        query_note(q, NOTE_WARNING, op->node,
                   "PromQL warning: sort is ineffective for range queries since results are always "
                   "ordered by labels");
        return sort_filtered_run(op, q, to, e);
    }
    struct sort_op filter = *o;
    filter.op.run = sort_filtered_run;
    if (!held_run(&h, &filter.op, false, q, e))
        return false;
    sort_stable(h.v.v, h.v.n, sizeof *h.v.v, is_by_value(o) ? by_value : by_named_labels, o);
    for (size_t i = 0; i < h.v.n; i++)
        if (!to.push(to.ctx, &h.v.v[i].series, &h.v.v[i].column, e))
            return false;
    held_done(&h);
    return true;
}

struct op *sort_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e)
{
    struct sort_op *o = arena_new(q->keep, struct sort_op);

    o->fn = call->call.fn->id;
    o->call = call;
    o->q = q;
    o->from = plan_vector(q, call->call.args[0], g, e);
    if (!o->from)
        return NULL;
    o->op = (struct op){ .run = sort_run,
                         .node = call,
                         .grid = g,
                         .repeats = o->from->repeats,
                         .origin = op_origin(o->from) };
    return &o->op;
}

/* ---- absent ---- */

struct absent_op {
    struct op op;
    struct op *from;
    struct column seen;
};

// Labels that an absent series would have: those matched with = by one matcher alone.
struct labels absent_labels(struct query *q, const struct promql_node *arg)
{
    struct labels ls = { 0 };

    arg = plan_unwrap(arg);
    if (arg->kind == PROMQL_RANGE)
        arg = arg->range.selector;
    if (arg->kind != PROMQL_SELECTOR)
        return ls;
    for (size_t i = 0; i < arg->selector.matcher_count; i++) {
        const struct matcher *m = &arg->selector.matchers[i];
        bool before = false;

        if (str_eq(m->name, LABEL_NAME))
            continue;
        for (size_t k = 0; k < i; k++)
            before |= arg->selector.matchers[k].op == MATCH_EQ &&
                      str_eq(arg->selector.matchers[k].name, m->name);
        bool set = m->op == MATCH_EQ && !before;
        ls = labels_with(q->keep, ls, m->name, set ? m->value : STR_NONE);
    }
    return ls;
}

static bool absent_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct absent_op *o = ctx;

    for (size_t w = 0; w < column_words(c->n); w++)
        o->seen.has[w] |= c->has[w];
    return true;
}

static bool absent_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct absent_op *o = (struct absent_op *)op;
    struct column out = column_new(q->keep, op->grid.n);
    struct flow_series s = { .stable = true };

    o->seen = column_new(q->keep, op->grid.n);
    if (!o->from->run(o->from, q, (struct flow){ absent_push, o }, e))
        return false;
    s.labels = absent_labels(q, op->node->call.args[0]);
    for (size_t i = 0; i < out.n; i++)
        if (!column_has(&o->seen, i))
            column_put(&out, i, 1);
    return column_is_empty(&out) || to.push(to.ctx, &s, &out, e);
}

struct op *absent_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e)
{
    struct absent_op *o = arena_new(q->keep, struct absent_op);

    o->op = (struct op){ .run = absent_run, .node = call, .grid = g };
    plan_presence_only(q, call->call.args[0]);
    o->from = plan_vector(q, call->call.args[0], g, e);
    return o->from ? &o->op : NULL;
}
