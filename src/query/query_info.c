/*
 * query_info.c - info(): labels of info metrics join the series of the same instance and job.
 *
 * Base series are held. Info series are reduced to the time of the sample each step sees: their
 * values mean nothing, the newest of two that match wins. Semantics of Prometheus 3.15
 * (promql/info.go).
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "query/query_priv.h"

struct info_series {
    struct labels labels;
    struct column times; // ms, of the sample seen
};

struct info_sig { // one info metric of one instance and job
    struct str name;
    VEC(uint32_t) series;
};

struct info_op {
    struct op op;
    struct op *from;
    struct promql_node *selector; // of the info series, made here
    struct matcher *names;        // effective matchers of __name__
    size_t name_count;
    struct matcher *data; // matchers of the other labels
    size_t data_count;
    struct query *q;
    struct key_index *values[2]; // of instance and job in the base series
    VEC(struct info_series) infos;
    struct key_index *index;
    VEC(struct info_sig) sigs;
    struct key_index *info_names;
    struct held base;
    bool *ignored; // base series that are info series themselves
    struct overlap overlap;
};

static const struct str identifying[2] = { { "instance", 8 }, { "job", 3 } };

/* ---- when: modifiers of the first selector in the argument rule ---- */

struct info_when {
    enum promql_at at;
    int64_t at_ms, offset_ms;
    bool found;
};

static void info_when_walk(const struct promql_node *n, struct info_when *w);

static void info_when_subquery(const struct promql_node *n, struct info_when *w)
{
    info_when_walk(n->subquery.expr, w);
    if (!w->found || w->at != AT_NONE)
        return;
    w->offset_ms += n->subquery.offset_ms;
    w->at = n->subquery.at;
    w->at_ms = n->subquery.at_ms;
}

static void info_when_walk(const struct promql_node *n, struct info_when *w)
{
    if (w->found)
        return;
    switch (n->kind) {
    case PROMQL_SELECTOR:
        *w = (struct info_when){ n->selector.at, n->selector.at_ms, n->selector.offset_ms, true };
        break;
    case PROMQL_RANGE:
        info_when_walk(n->range.selector, w);
        break;
    case PROMQL_SUBQUERY:
        info_when_subquery(n, w);
        break;
    case PROMQL_UNARY:
        info_when_walk(n->unary.expr, w);
        break;
    case PROMQL_BINARY:
        info_when_walk(n->binary.lhs, w);
        info_when_walk(n->binary.rhs, w);
        break;
    case PROMQL_AGGREGATE:
        info_when_walk(n->aggregate.expr, w);
        if (n->aggregate.param)
            info_when_walk(n->aggregate.param, w);
        break;
    case PROMQL_CALL:
        for (size_t i = 0; i < n->call.arg_count; i++)
            info_when_walk(n->call.args[i], w);
        break;
    case PROMQL_PAREN:
        info_when_walk(n->paren, w);
        break;
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        break;
    }
}

void info_span(const struct query *q, const struct promql_node *call, int64_t *lo, int64_t *hi)
{
    struct info_when w = { 0 };

    info_when_walk(call->call.args[0], &w);
    if (w.at != AT_NONE)
        *lo = *hi = plan_at_ms(q, w.at, w.at_ms);
    *lo -= w.offset_ms + q->lookback_ms;
    *hi -= w.offset_ms;
}

/* ---- base series ---- */

static bool info_is_ignored(const struct info_op *o, struct labels ls)
{
    struct str name = labels_get(ls, LABEL_NAME);

    for (size_t i = 0; i < o->name_count; i++)
        if (!matcher_matches(&o->names[i], name))
            return false;
    return true;
}

static bool info_note_base(struct info_op *o)
{
    bool any = false, added;

    o->ignored = arena_array(o->q->keep, o->base.v.n + 1, bool);
    for (int k = 0; k < 2; k++)
        o->values[k] = key_index_new(o->q);
    for (size_t i = 0; i < o->base.v.n; i++) {
        struct labels ls = o->base.v.v[i].series.labels;

        o->ignored[i] = info_is_ignored(o, ls);
        for (int k = 0; k < 2 && !o->ignored[i]; k++) {
            struct str v = labels_get(ls, identifying[k]);

            if (!v.n)
                continue;
            key_index_put(o->values[k], v, &added);
            any = true;
        }
    }
    return any;
}

/* ---- info series ---- */

static void info_key(struct buf *key, struct str name, struct labels ls)
{
    buf_str(key, name);
    for (int k = 0; k < 2; k++) {
        struct str v = labels_get(ls, identifying[k]);

        buf_char(key, '\0');
        buf_str(key, v);
    }
}

static bool info_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct info_op *o = ctx;
    struct query *q = o->q;
    OWNED(buf_fini) struct buf key = { 0 };
    bool added;

    if (c->hist)
        return query_fail(q, e, ERR_CONFLICT,
                          "this should be an info metric, with float samples: %.*s",
                          STRF(labels_text(q->keep, s->labels)));
    for (int k = 0; k < 2; k++)
        if (o->values[k]->keys.n &&
            key_index_find(o->values[k], labels_get(s->labels, identifying[k])) == MAP_NONE)
            return true;
    struct str name = labels_get(s->labels, LABEL_NAME);
    key_index_put(o->info_names, name, &added);
    info_key(&key, name, s->labels);
    uint32_t i = key_index_put(o->index, buf_view(&key), &added);
    if (added)
        ((struct info_sig *)vec_push_in(q->keep, &o->sigs))->name = name;
    *vec_push_in(q->keep, &o->sigs.v[i].series) = (uint32_t)o->infos.n;
    *(struct info_series *)vec_push_in(q->keep,
                                       &o->infos) = (struct info_series){ flow_labels_keep(q, s),
                                                                          column_copy(q->keep, c) };
    return query_account(q, 1, e);
}

static bool fail_info_twice(struct info_op *o, uint32_t a, uint32_t b, int64_t t_ms, struct err *e)
{
    struct arena *k = o->q->keep;
    struct str x = labels_text(k, o->infos.v[a].labels), y = labels_text(k, o->infos.v[b].labels);

    return query_fail_str(o->q, e, ERR_CONFLICT,
                          arena_printf(k,
                                       "found duplicate series for info metric: existing %.*s @ "
                                       "%lld, new %.*s @ %lld",
                                       STRF(x), (long long)t_ms, STRF(y), (long long)t_ms));
}

// The newest info series of a signature at a step; MAP_NONE: none.
static bool info_choose(struct info_op *o, const struct info_sig *sig, size_t step, uint32_t *out,
                        struct err *e)
{
    double best = 0;

    *out = MAP_NONE;
    for (size_t i = 0; i < sig->series.n; i++) {
        const struct column *c = &o->infos.v[sig->series.v[i]].times;

        if (!column_has(c, step))
            continue;
        if (*out != MAP_NONE && c->v[step] == best)
            return fail_info_twice(o, *out, sig->series.v[i], (int64_t)best, e);
        if (*out != MAP_NONE && c->v[step] < best)
            continue;
        best = c->v[step];
        *out = sig->series.v[i];
    }
    return true;
}

// Two info series that tie are an error even where no base series wants them.
static bool info_check(struct info_op *o, struct err *e)
{
    uint32_t unused;

    for (size_t i = 0; i < o->sigs.n; i++)
        for (size_t k = 0; o->sigs.v[i].series.n > 1 && k < o->op.grid.n; k++)
            if (!info_choose(o, &o->sigs.v[i], k, &unused, e))
                return false;
    return true;
}

/* ---- joining ---- */

struct choice {      // steps of a base series that meet the same info series
    uint32_t *infos; // one per info metric name
    struct labels labels;
    bool skip;
    struct column column;
};

static bool info_wants(const struct info_op *o, struct str name)
{
    for (size_t i = 0; i < o->data_count; i++)
        if (str_eq(o->data[i].name, name))
            return true;
    return !o->data_count;
}

static bool info_add_labels(struct info_op *o, const struct labels *base, struct labels info,
                            struct labels *got, struct err *e)
{
    for (size_t i = 0; i < info.n; i++) {
        struct label l = info.v[i];

        if (str_eq(l.name, LABEL_NAME) || !info_wants(o, l.name))
            continue;
        struct str before = labels_get(*got, l.name);
        if (before.n && !str_eq(before, l.value))
            return query_fail(o->q, e, ERR_CONFLICT, "conflicting label: %.*s", STRF(l.name));
        if (!labels_get(*base, l.name).n)
            *got = labels_with(o->q->scratch, *got, l.name, l.value);
    }
    return true;
}

static bool info_make_choice(struct info_op *o, struct labels base, const uint32_t *infos,
                             struct choice *out, struct err *e)
{
    struct labels got = { 0 };
    bool any = false;

    for (size_t i = 0; i < o->info_names->keys.n; i++) {
        if (infos[i] == MAP_NONE)
            continue;
        any = true;
        if (!info_add_labels(o, &base, o->infos.v[infos[i]].labels, &got, e))
            return false;
    }
    for (size_t i = 0; !any && i < o->data_count; i++)
        out->skip |= !matcher_matches_empty(&o->data[i]);
    out->labels = base;
    for (size_t i = 0; i < got.n; i++)
        out->labels = labels_with(o->q->scratch, out->labels, got.v[i].name, got.v[i].value);
    return true;
}

struct join { // of one base series
    struct choice *v;
    size_t n, cap;
    const struct info_sig **sigs; // per info metric name; NULL: none
    uint32_t *infos;
};

static bool info_choice(struct info_op *o, struct join *j, struct labels base, size_t step,
                        struct choice **out, struct err *e)
{
    struct arena *a = o->q->scratch;
    size_t names = o->info_names->keys.n;

    for (size_t i = 0; i < names; i++) {
        j->infos[i] = MAP_NONE;
        if (j->sigs[i] && !info_choose(o, j->sigs[i], step, &j->infos[i], e))
            return false;
    }
    for (size_t i = 0; i < j->n; i++)
        if (memcmp(j->v[i].infos, j->infos, names * sizeof *j->infos) == 0) {
            *out = &j->v[i];
            return true;
        }
    struct choice *c = vec_push_in(a, j);
    c->infos = arena_copy(a, j->infos, (names + 1) * sizeof *j->infos);
    c->column = column_new(a, o->op.grid.n);
    *out = c;
    return info_make_choice(o, base, j->infos, c, e);
}

static bool info_join(struct info_op *o, const struct held_series *b, struct flow to, struct err *e)
{
    struct arena *a = o->q->scratch;
    size_t names = o->info_names->keys.n;
    struct join j = { .sigs = arena_array(a, names + 1, const struct info_sig *),
                      .infos = arena_array(a, names + 1, uint32_t) };
    const struct column *c = &b->column;

    for (size_t i = 0; i < names; i++) {
        OWNED(buf_fini) struct buf key = { 0 };

        info_key(&key, o->info_names->keys.v[i], b->series.labels);
        uint32_t sig = key_index_find(o->index, buf_view(&key));
        j.sigs[i] = sig == MAP_NONE ? NULL : &o->sigs.v[sig];
    }
    FOR_STEPS(i, c)
    {
        struct choice *k;

        if (!info_choice(o, &j, b->series.labels, i, &k, e))
            return false;
        column_put(&k->column, i, c->v[i]);
        if (!column_hist(c, i))
            continue;
        column_want_hists(a, &k->column);
        k->column.hist[i] = c->hist[i];
    }
    for (size_t i = 0; i < j.n; i++) {
        struct flow_series s = { .labels = j.v[i].labels, .drop_name = b->series.drop_name };

        if (!j.v[i].skip && (!overlap_add(o->q, &o->overlap, s.labels, &j.v[i].column, e) ||
                             !to.push(to.ctx, &s, &j.v[i].column, e)))
            return false;
    }
    return true;
}

static bool info_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct info_op *o = (struct info_op *)op;

    if (!held_run(&o->base, o->from, true, q, e))
        return false;
    o->index = key_index_new(q);
    o->info_names = key_index_new(q);
    if (info_note_base(o)) {
        struct op *infos = leaf_info_new(q, o->selector, op->grid);

        if (!infos->run(infos, q, (struct flow){ info_push, o }, e) || !info_check(o, e))
            return false;
    }
    for (size_t i = 0; i < o->base.v.n; i++) {
        struct held_series *b = &o->base.v.v[i];
        struct arena_mark mark = arena_mark(q->scratch);
        bool ok = o->ignored[i] ? overlap_add(q, &o->overlap, b->series.labels, &b->column, e) &&
                                      to.push(to.ctx, &b->series, &b->column, e)
                                : info_join(o, b, to, e);

        arena_release(q->scratch, mark);
        if (!ok || !query_account(q, op->grid.n, e))
            return false;
    }
    held_done(&o->base);
    return true;
}

/* ---- making one ---- */

static struct matcher *matcher_copy_to(struct matcher *to, const struct matcher *m)
{
    *to = *m;
    return to + 1;
}

// Which metrics are asked: as written; with only != and !~, of those that end in _info.
static bool info_names(struct info_op *o, const struct promql_node *arg, struct err *e)
{
    size_t n = arg ? arg->selector.matcher_count : 0;
    struct matcher *names = arena_array(o->q->keep, n + 1, struct matcher), *to = names;
    bool positive = false;

    for (size_t i = 0; i < n; i++) {
        const struct matcher *m = &arg->selector.matchers[i];

        if (!str_eq(m->name, LABEL_NAME))
            continue;
        to = matcher_copy_to(to, m);
        positive |= m->op == MATCH_EQ || m->op == MATCH_RE;
    }
    if (to == names) {
        *to++ = (struct matcher){ MATCH_EQ, LABEL_NAME, STR("target_info"), NULL };
    } else if (!positive) {
        struct regex *re;

        if (!regex_new(&re, STR(".+_info"), REGEX_ANCHORED, e))
            return false;
        *vec_push_in(o->q->keep, &o->q->regexes) = re;
        *to++ = (struct matcher){ MATCH_RE, LABEL_NAME, STR(".+_info"), re };
    }
    o->names = names;
    o->name_count = (size_t)(to - names);
    return true;
}

static void info_selector(struct info_op *o, const struct promql_node *call,
                          const struct promql_node *arg)
{
    struct arena *a = o->q->keep;
    size_t n = arg ? arg->selector.matcher_count : 0;
    struct matcher *all = arena_array(a, n + o->name_count + 1, struct matcher), *to = all;
    struct info_when w = { 0 };

    o->data = arena_array(a, n + 1, struct matcher);
    for (size_t i = 0; i < n; i++) {
        const struct matcher *m = &arg->selector.matchers[i];

        if (str_eq(m->name, LABEL_NAME))
            continue;
        o->data[o->data_count++] = *m;
        to = matcher_copy_to(to, m);
    }
    for (size_t i = 0; i < o->name_count; i++)
        to = matcher_copy_to(to, &o->names[i]);
    info_when_walk(call->call.args[0], &w);
    o->selector = arena_new(a, struct promql_node);
    *o->selector = *call;
    o->selector->kind = PROMQL_SELECTOR;
    o->selector->type = PROMQL_VECTOR;
    memset(&o->selector->selector, 0, sizeof o->selector->selector);
    o->selector->selector.matchers = all;
    o->selector->selector.matcher_count = (size_t)(to - all);
    o->selector->selector.at = w.at;
    o->selector->selector.at_ms = w.at_ms;
    o->selector->selector.offset_ms = w.offset_ms;
}

struct op *info_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e)
{
    struct info_op *o = arena_new(q->keep, struct info_op);
    const struct promql_node *arg = call->call.arg_count > 1 ? plan_unwrap(call->call.args[1])
                                                             : NULL;

    o->op = (struct op){ .run = info_run, .node = call, .grid = g, .repeats = true };
    o->q = q;
    o->from = plan_vector(q, call->call.args[0], g, e);
    if (!o->from || !info_names(o, arg, e))
        return NULL;
    info_selector(o, call, arg);
    return &o->op;
}
