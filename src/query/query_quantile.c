/*
 * query_quantile.c - histogram_quantile, histogram_quantiles, histogram_fraction.
 *
 * Native histograms give their value as they stream by. Classic buckets are held per group (all
 * labels but le) until all are there. A native sample and classic buckets of the same labels at
 * one step cancel each other, with a warning.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "model/histogram_ops.h"
#include "query/query_priv.h"

struct bucket {
    double le;
    struct column column;
};

struct classic {
    struct labels labels; // without le
    bool drop_name;
    VEC(struct bucket) buckets;
    uint64_t *has;    // steps with any bucket
    uint64_t *native; // steps with a native histogram of the same labels
};

struct native {
    struct flow_series series;
    struct column *values; // per output
};

struct output { // histogram_quantiles: one per argument
    double *q;
    struct str label; // value; p NULL: it changes from step to step
};

struct quantile_op {
    struct op op;
    unsigned fn;
    struct op *from;
    const struct promql_node *at; // the vector argument
    double *lower, *upper;        // histogram_fraction
    struct str label;             // histogram_quantiles
    VEC(struct output) outputs;
    struct query *q;
    struct key_index *index;
    VEC(struct classic) groups;
    VEC(struct native) natives;
    int64_t held;
};

static const struct names le_name = { &(struct str){ "le", 2 }, 1 };

/* ---- annotations ---- */

static void note_with_name(struct quantile_op *o, enum note_level level, const char *text,
                           struct labels ls)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str name = labels_get(ls, LABEL_NAME);

    if (name.n && !o->q->engine->early_name_removal) {
        buf_lit(&b, " for metric name ");
        buf_quoted(&b, name);
    }
    query_note(o->q, level, o->at, "%s%.*s", text, STRF(buf_view(&b)));
}

static void note_bad_le(struct quantile_op *o, struct labels ls, struct str le)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "PromQL warning: bucket label \"le\" is missing or has a malformed value of ");
    buf_quoted(&b, le);
    note_with_name(o, NOTE_WARNING, buf_cstr(&b), ls);
}

static void note_native(struct quantile_op *o, unsigned notes, struct labels ls)
{
    if (notes & HIST_NOTE_QUANTILE_NAN)
        note_with_name(o, NOTE_INFO,
                       "PromQL info: input to histogram_quantile has NaN observations, result is "
                       "NaN",
                       ls);
    if (notes & HIST_NOTE_NAN_SKEW)
        note_with_name(o, NOTE_INFO,
                       "PromQL info: input to histogram_quantile has NaN observations, result is "
                       "skewed higher",
                       ls);
    if (notes & HIST_NOTE_FRACTION_NAN)
        note_with_name(o, NOTE_INFO,
                       "PromQL info: input to histogram_fraction has NaN observations, which are "
                       "excluded from all fractions",
                       ls);
}

/* ---- input ---- */

static struct classic *classic_group(struct quantile_op *o, const struct flow_series *s,
                                     bool without_le, bool make)
{
    struct query *q = o->q;
    struct arena_mark mark = arena_mark(q->scratch);
    struct labels ls = s->labels;
    OWNED(buf_fini) struct buf key = { 0 };
    bool added = false;

    if (without_le)
        ls = labels_without(q->scratch, ls, &le_name, false);
    buf_labels_canonical(&key, ls);
    uint32_t i = make ? key_index_put(o->index, buf_view(&key), &added)
                      : key_index_find(o->index, buf_view(&key));
    if (added) {
        struct classic *g = vec_push_in(q->keep, &o->groups);

        g->labels = s->stable
                        ? (struct labels){ arena_copy(q->keep, ls.v, (ls.n + 1) * sizeof *ls.v),
                                           ls.n }
                        : labels_copy(q->keep, ls);
        g->has = arena_array(q->keep, column_words(o->op.grid.n) + 1, uint64_t);
    }
    arena_release(q->scratch, mark);
    return i == MAP_NONE ? NULL : &o->groups.v[i];
}

static bool quantile_hold_buckets(struct quantile_op *o, const struct flow_series *s,
                                  const struct column *c, struct err *e)
{
    struct query *q = o->q;
    struct str le = labels_get(s->labels, STR("le"));
    double bound;

    if (!num_parse_double(le, &bound)) {
        note_bad_le(o, s->labels, le);
        return true;
    }
    struct classic *g = classic_group(o, s, true, true);
    struct bucket *b = vec_push_in(q->keep, &g->buckets);
    int64_t samples = (int64_t)column_count(c);

    b->le = bound;
    b->column = column_copy(q->keep, c);
    g->drop_name |= s->drop_name;
    for (size_t w = 0; w < column_words(c->n); w++)
        g->has[w] |= c->has[w];
    o->held += samples;
    return query_hold(q, samples, e);
}

static double native_value(struct quantile_op *o, const struct histogram *h, size_t out,
                           size_t step, unsigned *notes)
{
    if (o->fn == FN_histogram_fraction)
        return histogram_fraction(h, o->lower[step], o->upper[step], notes);
    return histogram_quantile(h, o->outputs.v[out].q[step], notes);
}

static bool quantile_hold_natives(struct quantile_op *o, const struct flow_series *s,
                                  const struct column *c, struct err *e)
{
    struct query *q = o->q;
    struct native *n = vec_push_in(q->keep, &o->natives);
    unsigned notes = 0;
    int64_t samples = 0;

    n->series = *s;
    n->series.labels = flow_labels_keep(q, s);
    n->series.stable = true;
    n->values = arena_array(q->keep, o->outputs.n, struct column);
    for (size_t k = 0; k < o->outputs.n; k++) {
        n->values[k] = column_new(q->keep, c->n);
        FOR_STEPS(i, c)
        if (c->hist[i])
            column_put(&n->values[k], i, native_value(o, c->hist[i], k, i, &notes));
        samples += (int64_t)column_count(&n->values[k]);
    }
    note_native(o, notes, s->labels);
    o->held += samples;
    return query_hold(q, samples, e);
}

static bool quantile_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct quantile_op *o = ctx;
    bool hists = false;

    if (!query_account(o->q, 1, e))
        return false;
    if (c->hist) {
        FOR_STEPS(i, c)
        hists |= c->hist[i] != NULL;
        if (hists && !quantile_hold_natives(o, s, c, e))
            return false;
        FOR_STEPS(i, c)
        if (c->hist[i])
            column_del(c, i);
        c->hist = NULL;
    }
    return column_is_empty(c) || quantile_hold_buckets(o, s, c, e);
}

/* ---- results ---- */

static struct str open_metrics_float(struct arena *a, double v)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_double_g(&b, v);
    if (isfinite(v) && str_find_char(buf_view(&b), '.') == STR_NPOS &&
        str_find_char(buf_view(&b), 'e') == STR_NPOS)
        buf_lit(&b, ".0");
    return arena_str(a, buf_view(&b));
}

// Pushes one column; with histogram_quantiles under the label of its quantile.
static bool quantile_emit(struct quantile_op *o, struct flow_series *s, size_t k, struct column *c,
                          struct flow to, struct err *e)
{
    struct arena *a = o->q->scratch;
    const struct output *out = &o->outputs.v[k];

    if (column_is_empty(c))
        return true;
    s->drop_name = true;
    if (o->fn != FN_histogram_quantiles)
        return to.push(to.ctx, s, c, e);
    struct labels base = s->labels;
    s->stable = false;
    if (out->label.p) {
        s->labels = labels_with(a, base, o->label, out->label);
        bool ok = to.push(to.ctx, s, c, e);
        s->labels = base;
        return ok;
    }
    struct column one = column_new(a, c->n);
    bool ok = true;
    FOR_STEPS(i, c)
    { // rare: the quantile is computed, so each step is for itself
        column_clear(&one);
        column_put(&one, i, c->v[i]);
        s->labels = labels_with(a, base, o->label, open_metrics_float(a, out->q[i]));
        ok = ok && to.push(to.ctx, s, &one, e);
    }
    s->labels = base;
    return ok;
}

static bool emit_native(struct quantile_op *o, struct native *n, struct flow to, struct err *e)
{
    struct classic *g = classic_group(o, &n->series, false, false);

    for (size_t k = 0; k < o->outputs.n; k++) {
        struct column *c = &n->values[k];

        for (size_t w = 0; g && w < column_words(c->n); w++) {
            uint64_t both = c->has[w] & g->has[w];

            if (!both)
                continue;
            note_with_name(o, NOTE_WARNING,
                           "PromQL warning: vector contains a mix of classic and native histograms",
                           n->series.labels);
            if (!g->native)
                g->native = arena_array(o->q->keep, column_words(c->n) + 1, uint64_t);
            g->native[w] |= both;
            c->has[w] &= ~both;
        }
        if (!quantile_emit(o, &n->series, k, c, to, e))
            return false;
    }
    return true;
}

static double classic_value(struct quantile_op *o, struct classic *g, size_t k, size_t step,
                            struct classic_bucket *room)
{
    struct classic_repair repair = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < g->buckets.n; i++)
        if (column_has(&g->buckets.v[i].column, step))
            room[n++] = (struct classic_bucket){ g->buckets.v[i].le,
                                                 g->buckets.v[i].column.v[step] };
    if (o->fn == FN_histogram_fraction)
        return classic_fraction(room, &n, o->lower[step], o->upper[step]);
    double v = classic_quantile(room, &n, o->outputs.v[k].q[step], &repair);
    if (repair.forced) {
        struct note_bucket_fix fix = { repair.le_min, repair.le_max, repair.diff_max };

        query_note_monotonic(o->q, o->at,
                             o->q->engine->early_name_removal ? STR_NONE
                                                              : labels_get(g->labels, LABEL_NAME),
                             grid_time(&o->op.grid, step), &fix);
    }
    return v;
}

static bool emit_classic(struct quantile_op *o, struct classic *g, struct column *out,
                         struct classic_bucket *room, struct flow to, struct err *e)
{
    struct flow_series s = { .labels = g->labels, .drop_name = true, .stable = true };
    struct column has = { .has = g->has, .n = out->n };

    for (size_t k = 0; k < o->outputs.n; k++) {
        struct column c = *out;

        column_clear(&c);
        FOR_STEPS(i, &has)
        if (!g->native || !(g->native[i / 64] >> (i % 64) & 1))
            column_put(&c, i, classic_value(o, g, k, i, room));
        if (!query_account(o->q, c.n * g->buckets.n, e) || !quantile_emit(o, &s, k, &c, to, e))
            return false;
    }
    return true;
}

static bool quantile_finish(struct quantile_op *o, struct flow to, struct err *e)
{
    struct query *q = o->q;
    struct column out = column_new(q->keep, o->op.grid.n);
    size_t most = 1;

    for (size_t i = 0; i < o->groups.n; i++)
        most = MAX(most, o->groups.v[i].buckets.n);
    struct classic_bucket *room = arena_array(q->keep, most, struct classic_bucket);
    for (size_t i = 0; i < o->natives.n; i++) {
        struct arena_mark mark = arena_mark(q->scratch);

        if (!emit_native(o, &o->natives.v[i], to, e))
            return false;
        arena_release(q->scratch, mark);
    }
    for (size_t i = 0; i < o->groups.n; i++) {
        struct arena_mark mark = arena_mark(q->scratch);

        if (!emit_classic(o, &o->groups.v[i], &out, room, to, e))
            return false;
        arena_release(q->scratch, mark);
    }
    query_release(q, o->held);
    return true;
}

static bool quantile_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct quantile_op *o = (struct quantile_op *)op;

    o->index = key_index_new(q);
    return o->from->run(o->from, q, (struct flow){ quantile_push, o }, e) &&
           quantile_finish(o, to, e);
}

/* ---- making one ---- */

static bool quantile_add_output(struct quantile_op *o, const struct promql_node *arg, struct err *e)
{
    struct query *q = o->q;
    struct output *out = vec_push_in(q->keep, &o->outputs);
    bool same = true;

    if (!scalar_eval(q, arg, o->op.grid, &out->q, e))
        return false;
    for (size_t i = 0; i < o->op.grid.n; i++) {
        double v = out->q[i];

        if (isnan(v) || v < 0 || v > 1)
            note_bad_quantile(q, v, plan_unwrap(arg));
        same &= double_bits(v) == double_bits(out->q[0]);
    }
    if (same)
        out->label = open_metrics_float(q->keep, out->q[0]);
    return true;
}

static bool quantile_args(struct quantile_op *o, const struct promql_node *call, struct err *e)
{
    struct promql_node **args = call->call.args;
    struct query *q = o->q;

    if (o->fn == FN_histogram_fraction) {
        vec_push_in(q->keep, &o->outputs);
        o->at = plan_unwrap(args[2]);
        return scalar_eval(q, args[0], o->op.grid, &o->lower, e) &&
               scalar_eval(q, args[1], o->op.grid, &o->upper, e);
    }
    if (o->fn == FN_histogram_quantile) {
        o->at = plan_unwrap(args[1]);
        return quantile_add_output(o, args[0], e);
    }
    o->at = plan_unwrap(args[0]);
    o->label = plan_unwrap(args[1])->text;
    for (size_t i = 2; i < call->call.arg_count; i++)
        if (!quantile_add_output(o, args[i], e))
            return false;
    return true;
}

struct op *quantile_new(struct query *q, const struct promql_node *call, struct grid g,
                        struct err *e)
{
    struct quantile_op *o = arena_new(q->keep, struct quantile_op);

    o->op = (struct op){ .run = quantile_run, .node = call, .grid = g, .repeats = true };
    o->fn = call->call.fn->id;
    o->q = q;
    if (!quantile_args(o, call, e))
        return NULL;
    o->from = plan_vector(q, o->at, g, e);
    return o->from ? &o->op : NULL;
}
