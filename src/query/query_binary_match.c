/*
 * query_binary_match.c - arithmetic and comparison between two vectors, matched by labels.
 *
 * The side that may hold one series per signature is read first and held, one column per
 * signature; the other side streams by. Which series belong together is settled once per series.
 * Duplicates are errors per step, and only at steps where the other side has anything.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "model/histogram_ops.h"
#include "query/query_binary_priv.h"

struct one { // a series of the held side
    struct labels labels;
    uint32_t next; // of the same signature; MAP_NONE ends
};

struct sig {
    struct column held;
    uint32_t first;    // of its series; MAP_NONE: the held side has none
    uint32_t *who;     // series per step; NULL: first alone
    uint64_t *matched; // steps where a result was made
};

struct dup { // two series of the held side at one step
    uint32_t a, b;
    bool set;
};

struct match {
    struct op op;
    enum promql_op fn;
    enum promql_card card;
    const struct promql_node *node;
    struct op *one_side, *many_side;
    bool one_is_left;
    struct names labels;
    const double *fill_one, *fill_many; // stand-ins for what is missing; NULL: none
    struct query *q;
    struct flow to;
    struct key_index *index;
    VEC(struct sig) sigs;
    VEC(struct one) ones;
    struct dup *dups;   // per step; NULL: none
    uint64_t *many_any; // steps where the streaming side has anything
    struct column out;
    const struct histogram **out_hists;
    struct overlap results; // many to one: labels made so far, per signature
    struct binary_notes notes;
    int64_t held;
};

static uint32_t match_sig(struct match *o, struct labels ls)
{
    OWNED(buf_fini) struct buf key = { 0 };
    bool added;

    key_of_labels(&key, ls, &o->labels, o->node->binary.on);
    uint32_t i = key_index_put(o->index, buf_view(&key), &added);
    if (added)
        ((struct sig *)vec_push_in(o->q->keep, &o->sigs))->first = MAP_NONE;
    return i;
}

// The labels that made the match.
static struct labels match_labels(struct match *o, struct arena *a, struct labels ls)
{
    return o->node->binary.on ? labels_keep(a, ls, &o->labels)
                              : labels_without(a, ls, &o->labels, true);
}

/* ---- the held side ---- */

static void sig_note_dup(struct match *o, size_t step, uint32_t a, uint32_t b)
{
    if (!o->dups)
        o->dups = arena_array(o->q->keep, o->op.grid.n, struct dup);
    if (!o->dups[step].set)
        o->dups[step] = (struct dup){ a, b, true };
}

static void sig_join(struct match *o, struct sig *g, const struct column *c, uint32_t one)
{
    struct arena *a = o->q->keep;

    if (!g->who) {
        g->who = arena_array(a, c->n, uint32_t);
        for (size_t i = 0; i < c->n; i++)
            g->who[i] = g->first;
    }
    FOR_STEPS(i, c)
    {
        if (column_has(&g->held, i)) {
            sig_note_dup(o, i, g->who[i], one);
            continue;
        }
        g->who[i] = one;
        column_put(&g->held, i, c->v[i]);
        if (!column_hist(c, i))
            continue;
        column_want_hists(a, &g->held);
        g->held.hist[i] = histogram_copy(a, c->hist[i]);
    }
}

static bool match_hold(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct match *o = ctx;
    struct query *q = o->q;
    uint32_t sig = match_sig(o, s->labels); // may move the array
    struct sig *g = &o->sigs.v[sig];
    uint32_t id = (uint32_t)o->ones.n;
    struct one *one = vec_push_in(q->keep, &o->ones);
    int64_t samples = column_samples(c);

    one->labels = flow_labels_keep(q, s);
    one->next = MAP_NONE;
    if (g->first == MAP_NONE) {
        g->first = id;
        g->held = column_copy(q->keep, c);
    } else {
        sig_join(o, g, c, id);
        one->next = o->ones.v[g->first].next;
        o->ones.v[g->first].next = id;
    }
    o->held += samples;
    return query_hold(q, samples, e) && query_account(q, 1, e);
}

/* ---- errors ---- */

static bool fail_dup(struct match *o, const struct dup *d, struct err *e)
{
    struct arena *a = o->q->keep;
    struct str x = labels_text(a, o->ones.v[d->a].labels);
    struct str y = labels_text(a, o->ones.v[d->b].labels);
    struct str group = labels_text(a, match_labels(o, a, o->ones.v[d->b].labels));
    struct str text = arena_printf(
        a,
        "found duplicate series for the match group %.*s on the %s hand-side of the "
        "operation: [%.*s, %.*s];many-to-many matching not allowed: matching labels "
        "must be unique on one side",
        STRF(group), o->one_is_left ? "left" : "right", STRF(y), STRF(x)); // the later one first

    return query_fail_str(o->q, e, ERR_CONFLICT, text);
}

// Duplicates at steps up to `last` where the operation happens.
static bool check_dups(struct match *o, size_t last, struct err *e)
{
    bool fills = o->fill_one || o->fill_many;

    for (size_t i = 0; o->dups && i <= last && i < o->op.grid.n; i++)
        if (o->dups[i].set && (fills || o->many_any[i / 64] >> (i % 64) & 1))
            return fail_dup(o, &o->dups[i], e);
    return true;
}

static bool fail_multiple(struct match *o, size_t step, struct err *e)
{
    if (!check_dups(o, step, e))
        return false;
    if (o->card == CARD_ONE_TO_ONE)
        return query_fail(o->q, e, ERR_CONFLICT,
                          "multiple matches for labels: many-to-one matching must be explicit "
                          "(group_left/group_right)");
    return query_fail(o->q, e, ERR_CONFLICT,
                      "multiple matches for labels: grouping labels must ensure unique matches");
}

/* ---- results ---- */

struct pair { // one series of the streaming side and what it meets
    struct labels many, one;
    const struct column *many_col, *one_col; // NULL: the fill value
    const struct column *steps;              // where to do it
    uint32_t sig;
};

static struct labels pair_labels(struct match *o, const struct pair *p)
{
    struct arena *a = o->q->scratch;
    const struct promql_node *n = o->node;
    bool drop = binary_changes_metric(o->fn) ||
                (n->binary.return_bool && o->q->engine->early_name_removal);
    struct labels ls = drop ? labels_drop_metadata(a, p->many) : p->many;

    if (o->card == CARD_ONE_TO_ONE)
        ls = n->binary.on ? labels_keep(a, ls, &o->labels)
                          : labels_without(a, ls, &o->labels, false);
    for (size_t i = 0; i < n->binary.include_count; i++)
        ls = labels_with(a, ls, n->binary.include[i], labels_get(p->one, n->binary.include[i]));
    return ls;
}

static void pair_floats(struct match *o, const struct pair *p, struct column *out)
{
    const double *many = p->many_col->v, *one = p->one_col->v;
    const double *l = o->one_is_left ? one : many, *r = o->one_is_left ? many : one;

    memcpy(out->has, p->steps->has, column_words(out->n) * sizeof *out->has);
    if (!promql_op_is_comparison(o->fn))
        binary_floats(o->fn, l, r, out->v, out->n);
    else
        memcpy(out->v, l, out->n * sizeof *out->v);
}

static void pair_filter(struct match *o, const struct pair *p, struct column *out)
{
    const double *many = p->many_col->v, *one = p->one_col->v;
    const double *l = o->one_is_left ? one : many, *r = o->one_is_left ? many : one;

    FOR_STEPS(i, p->steps)
    {
        bool keep = scalar_binop(o->fn, l[i], r[i]) != 0;

        if (o->node->binary.return_bool)
            out->v[i] = keep;
        else if (!keep)
            column_del(out, i);
    }
}

// Marks step i of out absent in `made` when the operation itself is impossible.
static void pair_step(struct match *o, const struct pair *p, size_t i, struct column *out,
                      uint64_t *made)
{
    double many = p->many_col ? p->many_col->v[i] : *o->fill_many;
    double one = p->one_col ? p->one_col->v[i] : *o->fill_one;
    const struct histogram *many_h = p->many_col ? column_hist(p->many_col, i) : NULL;
    const struct histogram *one_h = p->one_col ? column_hist(p->one_col, i) : NULL;
    struct arena *a = o->q->scratch;
    struct binary_value x = o->one_is_left ? binary_pair(a, o->fn, one, one_h, many, many_h)
                                           : binary_pair(a, o->fn, many, many_h, one, one_h);

    binary_note(&o->notes, i, x.note);
    if (!x.ok) {
        made[i / 64] &= ~(UINT64_C(1) << (i % 64));
        return;
    }
    if (o->node->binary.return_bool)
        x = (struct binary_value){ .v = x.keep, .keep = true };
    if (!x.keep)
        return;
    column_put(out, i, x.v);
    if (!x.hist)
        return;
    out->hist = o->out_hists;
    out->hist[i] = x.hist;
}

static bool is_plain(const struct match *o, const struct pair *p)
{
    return p->many_col && p->one_col && !p->many_col->hist && !p->one_col->hist &&
           o->fn != PROMQL_TRIM_LOWER && o->fn != PROMQL_TRIM_UPPER;
}

// Notes where results were made; twice at one step is an error.
static bool match_mark(struct match *o, const struct pair *p, struct labels ls,
                       const uint64_t *made, struct err *e)
{
    struct sig *g = &o->sigs.v[p->sig];
    size_t words = column_words(o->op.grid.n);
    uint64_t *marks;

    if (!g->matched)
        g->matched = arena_array(o->q->keep, words + 1, uint64_t);
    marks = g->matched;
    if (o->card != CARD_ONE_TO_ONE)
        marks = overlap_marks(o->q, &o->results, ls, p->sig, o->op.grid.n);
    for (size_t w = 0; w < words; w++) {
        uint64_t twice = marks[w] & made[w];

        if (twice)
            return fail_multiple(o, w * 64 + (size_t)__builtin_ctzll(twice), e);
        marks[w] |= made[w];
        g->matched[w] |= made[w];
    }
    return true;
}

static bool match_pair(struct match *o, const struct pair *p, struct err *e)
{
    struct query *q = o->q;
    struct arena_mark mark = arena_mark(q->scratch);
    struct column out = o->out;
    size_t words = column_words(out.n);
    uint64_t *made = arena_copy(q->scratch, p->steps->has, (words + 1) * sizeof *made);
    struct flow_series s = { .labels = pair_labels(o, p),
                             .drop_name = o->node->binary.return_bool &&
                                          !o->q->engine->early_name_removal };

    memset(o->out_hists, 0, out.n * sizeof *o->out_hists);
    out.hist = NULL;
    column_clear(&out);
    if (is_plain(o, p)) {
        pair_floats(o, p, &out);
        if (promql_op_is_comparison(o->fn))
            pair_filter(o, p, &out);
    } else {
        FOR_STEPS(i, p->steps)
        pair_step(o, p, i, &out, made);
    }
    bool ok = match_mark(o, p, s.labels, made, e) &&
              (column_is_empty(&out) || o->to.push(o->to.ctx, &s, &out, e));
    arena_release(q->scratch, mark);
    return ok;
}

/* ---- the streaming side ---- */

// Steps of c where the held column of g is present (or absent, inverted).
static struct column steps_where(struct arena *a, const struct column *c, const struct sig *g,
                                 bool absent)
{
    struct column out = column_new(a, 0);

    out.n = c->n;
    out.has = arena_array(a, column_words(c->n) + 1, uint64_t);
    for (size_t w = 0; w < column_words(c->n); w++) {
        uint64_t held = g->first == MAP_NONE ? 0 : g->held.has[w];

        out.has[w] = c->has[w] & (absent ? ~held : held);
    }
    return out;
}

// With several held series of one signature and labels to take from them: one by one.
static bool match_each(struct match *o, struct pair *p, const struct sig *g, struct column *steps,
                       struct err *e)
{
    struct arena *a = o->q->scratch;

    for (uint32_t id = g->first; id != MAP_NONE; id = o->ones.v[id].next) {
        struct column some = *steps;

        some.has = arena_array(a, column_words(steps->n) + 1, uint64_t);
        FOR_STEPS(i, steps)
        if (g->who[i] == id)
            column_add(&some, i);
        p->one = o->ones.v[id].labels;
        p->steps = &some;
        if (!column_is_empty(&some) && !match_pair(o, p, e))
            return false;
    }
    return true;
}

static bool match_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct match *o = ctx;
    struct query *q = o->q;
    struct arena_mark mark = arena_mark(q->scratch);
    uint32_t sig = match_sig(o, s->labels);
    const struct sig *g = &o->sigs.v[sig];
    struct pair p = { .many = s->labels, .many_col = c, .sig = sig };

    for (size_t w = 0; w < column_words(c->n); w++)
        o->many_any[w] |= c->has[w];
    if (!query_account(q, 1, e))
        return false;
    if (g->first != MAP_NONE) {
        struct column steps = steps_where(q->scratch, c, g, false);

        p.one = o->ones.v[g->first].labels;
        p.one_col = &g->held;
        p.steps = &steps;
        bool each = g->who && o->node->binary.include_count;
        if (!column_is_empty(&steps) &&
            !(each ? match_each(o, &p, g, &steps, e) : match_pair(o, &p, e)))
            return false;
    }
    if (o->fill_one) {
        struct column steps = steps_where(q->scratch, c, &o->sigs.v[sig], true);

        p.one = match_labels(o, q->scratch, s->labels);
        p.one_col = NULL;
        p.steps = &steps;
        if (!column_is_empty(&steps) && !match_pair(o, &p, e))
            return false;
    }
    arena_release(q->scratch, mark);
    return true;
}

// What the held side has and nothing met.
static bool match_fill_many(struct match *o, struct err *e)
{
    struct arena *a = o->q->scratch;

    for (uint32_t id = 0; id < o->ones.n; id++) {
        struct arena_mark mark = arena_mark(a);
        struct labels ls = o->ones.v[id].labels;
        uint32_t sig = match_sig(o, ls);
        struct sig *g = &o->sigs.v[sig];
        struct column steps = { .has = arena_array(a, column_words(o->out.n) + 1, uint64_t),
                                .n = o->out.n };
        struct column held = g->held;

        FOR_STEPS(i, &held)
        if ((!g->who || g->who[i] == id) && !(g->matched && g->matched[i / 64] >> (i % 64) & 1))
            column_add(&steps, i);
        struct pair p = {
            .many = match_labels(o, a, ls), .one = ls, .one_col = &held, .steps = &steps, .sig = sig
        };
        if (!column_is_empty(&steps) && !match_pair(o, &p, e))
            return false;
        arena_release(a, mark);
    }
    return true;
}

static bool match_run(struct op *op, struct query *q, struct flow to, struct err *e)
{
    struct match *o = (struct match *)op;

    o->q = q;
    o->to = to;
    o->index = key_index_new(q);
    o->out = column_new(q->keep, op->grid.n);
    o->out_hists = arena_array(q->keep, op->grid.n, const struct histogram *);
    o->many_any = arena_array(q->keep, column_words(op->grid.n) + 1, uint64_t);
    if (!o->one_side->run(o->one_side, q, (struct flow){ match_hold, o }, e) ||
        !o->many_side->run(o->many_side, q, (struct flow){ match_push, o }, e) ||
        !check_dups(o, SIZE_MAX, e))
        return false;
    if (o->fill_many && !match_fill_many(o, e))
        return false;
    binary_notes_flush(&o->notes);
    query_release(q, o->held);
    return true;
}

struct op *match_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e)
{
    struct match *o = arena_new(q->keep, struct match);
    struct op *left = plan_vector(q, n->binary.lhs, g, e);
    struct op *right = left ? plan_vector(q, n->binary.rhs, g, e) : NULL;

    if (!right)
        return NULL;
    o->op = (struct op){ .run = match_run, .node = n, .grid = g, .repeats = true };
    o->fn = n->binary.op;
    o->card = n->binary.card;
    o->node = n;
    o->one_is_left = o->card == CARD_ONE_TO_MANY;
    o->one_side = o->one_is_left ? left : right;
    o->many_side = o->one_is_left ? right : left;
    o->labels = names_of(q->keep, n->binary.labels, n->binary.label_count);
    o->fill_one = n->binary.has_fill_rhs ? &n->binary.fill_rhs : NULL;
    o->fill_many = n->binary.has_fill_lhs ? &n->binary.fill_lhs : NULL;
    o->notes = (struct binary_notes){ .q = q, .node = n, .n = g.n };
    return &o->op;
}
