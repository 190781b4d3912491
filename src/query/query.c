/*
 * query.c - one query from its text to its result.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sort.h"
#include "model/histogram_ops.h"
#include "query/query_priv.h"

enum { LOOKBACK_DEFAULT_MS = 5 * MS_MINUTE, SAMPLES_DEFAULT = 50000000, RESERVE_STEPS = 1 << 16 };

/* ---- failures, memory ---- */

bool query_fail_str(struct query *q, struct err *e, enum err_kind kind, struct str text)
{
    if (!q->error.n)
        q->error = arena_str(q->result, text);
    return err_set(e, kind, "%.*s", STRF(text));
}

bool query_fail(struct query *q, struct err *e, enum err_kind kind, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return query_fail_str(q, e, kind, str_of(text, n < 0 ? 0 : MIN((size_t)n, sizeof text - 1)));
}

bool query_fail_same_labels(struct query *q, struct err *e)
{
    return query_fail(q, e, ERR_CONFLICT, "vector cannot contain metrics with the same labelset");
}

bool query_account(struct query *q, uint64_t n, struct err *e)
{
    uint64_t taken = q->keep->taken_bytes + q->scratch->taken_bytes;

    if (taken > q->charged_bytes) {
        if (!budget_charge(q->budget, taken - q->charged_bytes, e))
            return false;
        q->charged_bytes = taken;
    }
    return budget_step(q->budget, n, e);
}

// Room of an operator over a long grid is charged before it is taken.
bool query_reserve(struct query *q, size_t steps, struct err *e)
{
    uint64_t bytes = 2 * sizeof(double) * (uint64_t)steps;

    if (steps < RESERVE_STEPS)
        return true;
    if (steps > QUERY_STEPS_MAX)
        return query_fail(q, e, ERR_LIMIT, "too many steps: %zu, at most %d", steps,
                          QUERY_STEPS_MAX);
    if (!budget_charge(q->budget, bytes, e))
        return false;
    q->reserved_bytes += bytes;
    return true;
}

bool query_hold(struct query *q, int64_t samples, struct err *e)
{
    uint64_t max = q->engine->samples_max ? q->engine->samples_max : SAMPLES_DEFAULT;

    q->samples_now += samples;
    q->samples_peak = MAX(q->samples_peak, q->samples_now);
    if ((uint64_t)q->samples_now <= max)
        return true;
    return query_fail(q, e, ERR_LIMIT,
                      "query processing would load too many samples into memory in query "
                      "execution");
}

void query_release(struct query *q, int64_t samples)
{
    assert(samples >= 0 && samples <= q->samples_now);
    q->samples_now -= samples;
}

// What the answer takes stays charged after the query, unless it fails.
static bool query_charge_result(struct query *q, uint64_t bytes, struct err *e)
{
    if (!budget_charge(q->budget, bytes, e))
        return false;
    q->result_bytes += bytes;
    return true;
}

/*
 * Upstream counts nanoseconds in 64 bits, which overflow; the last time that its API knows has
 * 999999 of them above its millisecond.
 */
static int64_t time_wrap(int64_t t_ms)
{
    uint64_t above = t_ms == INT64_C(9223309901257974999) ? 999999 : 0;

    return (int64_t)((uint64_t)t_ms * NS_MS + above) / NS_MS;
}

/* ---- the span of time that a query reads ---- */

struct span {
    int64_t lo, hi; // both inclusive; lo > hi: nothing
};

static void span_walk(const struct query *q, const struct promql_node *n, int64_t lo, int64_t hi,
                      struct span *s);

static void span_selector(const struct query *q, const struct promql_node *n, int64_t range_ms,
                          int64_t lo, int64_t hi, struct span *s)
{
    if (n->selector.at != AT_NONE)
        lo = hi = plan_at_ms(q, n->selector.at, n->selector.at_ms);
    lo -= n->selector.offset_ms + range_ms;
    hi -= n->selector.offset_ms;
    if (!range_ms || n->selector.anchored || n->selector.smoothed)
        lo -= q->lookback_ms;
    if (n->selector.smoothed)
        hi += q->lookback_ms;
    s->lo = MIN(s->lo, lo);
    s->hi = MAX(s->hi, hi);
}

static void span_call(const struct query *q, const struct promql_node *n, int64_t lo, int64_t hi,
                      struct span *s)
{
    for (size_t i = 0; i < n->call.arg_count; i++)
        if (n->call.fn->id != FN_info || i == 0)
            span_walk(q, n->call.args[i], lo, hi, s);
    if (n->call.fn->id == FN_info) {
        info_span(q, n, &lo, &hi);
        s->lo = MIN(s->lo, lo);
        s->hi = MAX(s->hi, hi);
    }
}

static void span_subquery(const struct query *q, const struct promql_node *n, int64_t lo,
                          int64_t hi, struct span *s)
{
    if (n->subquery.at != AT_NONE)
        lo = hi = plan_at_ms(q, n->subquery.at, n->subquery.at_ms);
    span_walk(q, n->subquery.expr, lo - n->subquery.offset_ms - n->subquery.range_ms,
              hi - n->subquery.offset_ms, s);
}

static void span_walk(const struct query *q, const struct promql_node *n, int64_t lo, int64_t hi,
                      struct span *s)
{
    switch (n->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
        break;
    case PROMQL_SELECTOR:
        span_selector(q, n, 0, lo, hi, s);
        break;
    case PROMQL_RANGE:
        span_selector(q, n->range.selector, n->range.range_ms, lo, hi, s);
        break;
    case PROMQL_SUBQUERY:
        span_subquery(q, n, lo, hi, s);
        break;
    case PROMQL_UNARY:
        span_walk(q, n->unary.expr, lo, hi, s);
        break;
    case PROMQL_BINARY:
        span_walk(q, n->binary.lhs, lo, hi, s);
        span_walk(q, n->binary.rhs, lo, hi, s);
        break;
    case PROMQL_AGGREGATE:
        span_walk(q, n->aggregate.expr, lo, hi, s);
        if (n->aggregate.param)
            span_walk(q, n->aggregate.param, lo, hi, s);
        break;
    case PROMQL_CALL:
        span_call(q, n, lo, hi, s);
        break;
    case PROMQL_PAREN:
        span_walk(q, n->paren, lo, hi, s);
        break;
    }
}

/* ---- results ---- */

struct collector {
    struct query *q;
    VEC(struct query_series) v;
    const struct grid *grid;
    bool may_repeat; // a name was dropped or the operator repeats labels
};

static void collect_points(struct collector *k, const struct column *c, struct query_series *s)
{
    struct arena *a = k->q->result;
    size_t n = column_count(c), hists = 0;

    if (c->hist)
        FOR_STEPS(i, c)
    hists += c->hist[i] != NULL;
    s->floats = arena_raw(a, MAX(n - hists, (size_t)1) * sizeof *s->floats);
    s->hists = hists ? arena_raw(a, hists * sizeof *s->hists) : NULL;
    if (!hists) {
        for (size_t at, end = 0; column_run(c->has, c->n, &at, &end);)
            for (size_t i = at; i < end; i++)
                s->floats[s->float_count++] = (struct query_point){ grid_time(k->grid, i),
                                                                    c->v[i] };
        return;
    }
    FOR_STEPS(i, c)
    {
        int64_t t = grid_time(k->grid, i);

        if (column_hist(c, i))
            s->hists[s->hist_count++] = (struct query_hist_point){ t,
                                                                   histogram_copy(a, c->hist[i]) };
        else
            s->floats[s->float_count++] = (struct query_point){ t, c->v[i] };
    }
}

static bool collect(void *ctx, const struct flow_series *fs, struct column *c, struct err *e)
{
    struct collector *k = ctx;
    struct query *q = k->q;

    if (column_is_empty(c))
        return true;
    if (!query_hold(q, column_samples(c), e) || !query_account(q, 1, e) ||
        !query_charge_result(q, 64 + 16 * column_count(c), e))
        return false;
    struct query_series *s = vec_push_in(q->keep, &k->v);
    s->labels = fs->drop_name ? labels_drop_metadata(q->keep, fs->labels) : fs->labels;
    if (!fs->stable)
        s->labels = labels_copy(q->keep, s->labels);
    k->may_repeat |= fs->drop_name;
    collect_points(k, c, s);
    return true;
}

static int by_labels(const void *x, const void *y, void *ctx)
{
    const struct query_series *a = x, *b = y;

    return labels_cmp(a->labels, b->labels);
}

// Joins b into a, whose points are before or between; equal times are an error.
static bool merge_floats(struct query *q, struct query_series *a, const struct query_series *b,
                         struct err *e)
{
    size_t n = a->float_count + b->float_count, i = 0, j = 0;
    struct query_point *to = arena_raw(q->result, (n + 1) * sizeof *to);

    for (size_t k = 0; k < n; k++) {
        bool left = j == b->float_count ||
                    (i < a->float_count && a->floats[i].t_ms < b->floats[j].t_ms);

        if (!left && i < a->float_count && a->floats[i].t_ms == b->floats[j].t_ms)
            return query_fail_same_labels(q, e);
        to[k] = left ? a->floats[i++] : b->floats[j++];
    }
    a->floats = to;
    a->float_count = n;
    return true;
}

static bool merge_hists(struct query *q, struct query_series *a, const struct query_series *b,
                        struct err *e)
{
    size_t n = a->hist_count + b->hist_count, i = 0, j = 0;
    struct query_hist_point *to = arena_raw(q->result, (n + 1) * sizeof *to);

    for (size_t k = 0; k < n; k++) {
        bool left = j == b->hist_count ||
                    (i < a->hist_count && a->hists[i].t_ms < b->hists[j].t_ms);

        if (!left && i < a->hist_count && a->hists[i].t_ms == b->hists[j].t_ms)
            return query_fail_same_labels(q, e);
        to[k] = left ? a->hists[i++] : b->hists[j++];
    }
    a->hists = to;
    a->hist_count = n;
    return true;
}

// Series that lost their names, or came twice, become one per label set.
static bool collect_merge(struct collector *k, struct err *e)
{
    struct key_index *index = key_index_new(k->q);
    size_t n = 0;

    for (size_t i = 0; i < k->v.n; i++) {
        OWNED(buf_fini) struct buf key = { 0 };
        bool added;

        buf_labels_canonical(&key, k->v.v[i].labels);
        uint32_t at = key_index_put(index, buf_view(&key), &added);
        if (added)
            k->v.v[n++] = k->v.v[i];
        else if (!merge_floats(k->q, &k->v.v[at], &k->v.v[i], e) ||
                 !merge_hists(k->q, &k->v.v[at], &k->v.v[i], e))
            return false;
    }
    k->v.n = n;
    return true;
}

static void collect_finish(struct collector *k, bool sorted, struct query_result *out)
{
    struct arena *a = k->q->result;

    out->series = arena_array(a, k->v.n + 1, struct query_series);
    out->series_count = k->v.n;
    if (k->v.n)
        memcpy(out->series, k->v.v, k->v.n * sizeof *out->series);
    if (sorted)
        sort_stable(out->series, k->v.n, sizeof *out->series, by_labels, NULL);
    for (size_t i = 0; i < k->v.n; i++) {
        out->series[i].labels = labels_copy(a, out->series[i].labels);
        if (out->type == PROMQL_VECTOR && out->series[i].hist_count)
            out->series[i].float_count = 0; // two metrics lost their names: the histogram shows
    }
}

/* ---- evaluation ---- */

static double seconds_since(const struct query *q, int64_t *from_ns)
{
    if (!q->engine->clock)
        return 0;
    int64_t now = clock_mono_ns(q->engine->clock);
    double s = *from_ns ? (double)(now - *from_ns) / 1e9 : 0;

    *from_ns = now;
    return s;
}

static bool eval_scalar(struct query *q, struct grid g, struct query_result *out, struct err *e)
{
    double *v;

    if (!scalar_eval(q, q->promql->root, g, &v, e))
        return false;
    out->type = PROMQL_SCALAR;
    out->scalar = (struct query_point){ g.start_ms, v[0] };
    if (!q->request->range)
        return true;
    struct query_series *s = arena_new(q->result, struct query_series);
    s->floats = arena_array(q->result, g.n, struct query_point);
    s->float_count = g.n;
    for (size_t i = 0; i < g.n; i++)
        s->floats[i] = (struct query_point){ grid_time(&g, i), v[i] };
    out->type = PROMQL_MATRIX;
    out->series = s;
    out->series_count = 1;
    return query_hold(q, (int64_t)g.n, e);
}

static bool collect_range(void *ctx, const struct flow_series *fs, const struct split *x,
                          struct err *e)
{
    struct collector *k = ctx;
    struct query *q = k->q;
    int64_t samples = (int64_t)x->fn;

    for (size_t i = 0; i < x->hn; i++)
        samples += (int64_t)histogram_samples(x->hv[i]);
    if (!samples)
        return true;
    tally_add(q->tally, 0, samples, samples);
    if (!query_hold(q, samples, e) || !query_account(q, x->fn, e) ||
        !query_charge_result(q, 16 * (uint64_t)samples, e))
        return false;
    struct query_series *s = vec_push_in(q->keep, &k->v);
    s->labels = flow_labels_keep(q, fs);
    s->floats = arena_array(q->result, x->fn + 1, struct query_point);
    s->hists = arena_array(q->result, x->hn + 1, struct query_hist_point);
    s->float_count = x->fn;
    s->hist_count = x->hn;
    for (size_t i = 0; i < x->fn; i++)
        s->floats[i] = (struct query_point){ x->ft[i], x->fv[i] };
    for (size_t i = 0; i < x->hn; i++)
        s->hists[i] = (struct query_hist_point){ x->ht[i], histogram_copy(q->result, x->hv[i]) };
    return true;
}

static bool eval_matrix(struct collector *k, const struct promql_node *n, struct grid g,
                        struct err *e)
{
    struct query *q = k->q;
    struct tally *outer = q->tally, inner = { 0 };

    if (n->kind == PROMQL_RANGE)
        return leaf_range_run(q, n, g.start_ms, (struct flow_split){ collect_range, k }, e);
    struct grid *sub = arena_new(q->keep, struct grid);
    *sub = plan_subquery_grid(q, n, &g);
    k->grid = sub;
    struct op *o = plan_vector(q, n->subquery.expr, *sub, e);
    if (!o)
        return false;
    k->may_repeat = o->repeats;
    q->tally = &inner;
    bool ok = o->run(o, q, (struct flow){ collect, k }, e);
    q->tally = outer;
    tally_add(outer, 0, inner.total, inner.read);
    return ok;
}

static bool eval_series(struct query *q, struct grid g, struct query_result *out, struct err *e)
{
    struct collector k = { .q = q, .grid = &g };
    const struct promql_node *root = q->promql->root;
    int64_t t0 = 0;

    if (root->type == PROMQL_MATRIX) {
        if (!eval_matrix(&k, plan_unwrap(root), g, e))
            return false;
    } else {
        struct op *o = plan_vector(q, root, g, e);

        if (!o)
            return false;
        k.may_repeat = o->repeats;
        if (!o->run(o, q, (struct flow){ collect, &k }, e))
            return false;
    }
    if (k.may_repeat && !collect_merge(&k, e))
        return false;
    seconds_since(q, &t0);
    out->type = q->request->range ? PROMQL_MATRIX : root->type;
    collect_finish(&k, out->type == PROMQL_MATRIX, out);
    out->stats.result_sort_s = seconds_since(q, &t0);
    return true;
}

static bool eval(struct query *q, struct query_result *out, struct err *e)
{
    const struct query_request *r = q->request;
    struct grid g = { q->start_ms, r->range ? r->step_ms : 1, 1 };

    if (r->range) {
        uint64_t steps = q->end_ms < q->start_ms ? 0
                                                 : ((uint64_t)q->end_ms - (uint64_t)q->start_ms) /
                                                           (uint64_t)r->step_ms +
                                                       1;
        if (steps > QUERY_STEPS_MAX)
            return query_fail(q, e, ERR_INVALID, "too many steps: %llu, at most %d",
                              (unsigned long long)steps, QUERY_STEPS_MAX);
        g.n = steps;
    }
    q->tally = arena_new(q->keep, struct tally);
    q->tally->grid = g;
    if (r->per_step_stats && q->engine->per_step_stats) {
        q->tally->total_step = arena_array(q->keep, g.n + 1, int64_t);
        q->tally->read_step = arena_array(q->keep, g.n + 1, int64_t);
    }
    if (!budget_check(q->budget, e))
        return false;
    switch (q->promql->root->type) {
    case PROMQL_STRING:
        out->type = PROMQL_STRING;
        out->string = arena_str(q->result, plan_unwrap(q->promql->root)->text);
        out->scalar.t_ms = g.start_ms;
        return true;
    case PROMQL_SCALAR:
        if (g.n)
            return eval_scalar(q, g, out, e);
        out->type = PROMQL_MATRIX;
        return true;
    default:
        return eval_series(q, g, out, e);
    }
}

static void stats_finish(struct query *q, struct query_result *out)
{
    struct query_stats *s = &out->stats;
    const struct tally *t = q->tally;

    s->total_samples = t->total;
    s->samples_read = t->read;
    s->peak_samples = q->request->stats || q->request->per_step_stats ? meter_peak(q, t->grid)
                                                                      : q->samples_peak;
    if (!t->total_step)
        return;
    s->step_count = t->grid.n;
    s->total_per_step = arena_array(q->result, t->grid.n + 1, struct query_step_stat);
    s->read_per_step = arena_array(q->result, t->grid.n + 1, struct query_step_stat);
    for (size_t i = 0; i < t->grid.n; i++) {
        int64_t at = grid_time(&t->grid, i);

        s->total_per_step[i] = (struct query_step_stat){ at, t->total_step[i] };
        s->read_per_step[i] = (struct query_step_stat){ at, t->read_step[i] };
    }
}

static bool prepare(struct query *q, struct series_source *source, struct err *e)
{
    const struct query_request *r = q->request;
    struct span s = { INT64_MAX, INT64_MIN };

    if (q->lookback_ms > QUERY_TIME_MAX)
        return err_set(e, ERR_INVALID, "the lookback delta is out of bounds");
    if (!promql_parse_with(q->keep, r->text, &q->engine->syntax, q->promql, e)) {
        OWNED(buf_fini) struct buf text = { 0 };

        if (q->promql->error_count)
            promql_print_error(&text, q->promql, 0);
        q->error = arena_str(q->result, buf_view(&text));
        return false;
    }
    enum promql_type type = q->promql->root->type;
    if (r->range && type != PROMQL_SCALAR && type != PROMQL_VECTOR)
        return err_set(e, ERR_INVALID,
                       "invalid expression type \"%s\" for range query, must be Scalar or instant "
                       "Vector",
                       promql_type_name(type));
    if (r->range && r->step_ms <= 0)
        return err_set(e, ERR_INVALID, "the step of a range query must be above 0");
    if (!promql_resolve_durations(q->promql, q->start_ms, q->end_ms, q->step_ms, e))
        return false;
    span_walk(q, q->promql->root, q->start_ms, q->end_ms, &s);
    plan_stat_selectors(q, q->promql->root, false, false);
    return s.lo > s.hi || source->open(source, s.lo, s.hi, &q->view, e);
}

static bool run(struct query *q, struct series_source *source, struct query_result *out,
                struct err *e)
{
    int64_t whole = 0, part = 0;

    seconds_since(q, &whole);
    seconds_since(q, &part);
    if (!prepare(q, source, e))
        return false;
    out->stats.preparation_s = seconds_since(q, &part);
    if (!eval(q, out, e))
        return false;
    out->stats.inner_eval_s = seconds_since(q, &part);
    out->stats.eval_total_s = out->stats.exec_total_s = seconds_since(q, &whole);
    return true;
}

// What is not in an arena.
static void query_drop(struct query *q)
{
    for (struct key_index *x = q->indexes; x; x = x->next)
        map_fini(&x->map);
    for (size_t i = 0; i < q->regexes.n; i++)
        regex_free(q->regexes.v[i]);
}

bool query_run(const struct query_engine *g, const struct query_request *r,
               struct series_source *source, struct budget *b, struct arena *a,
               struct query_result *out, struct err *e)
{
    OWNED(arena_fini) struct arena keep = { 0 }, scratch = { 0 };
    OWNED(promql_fini) struct promql parsed = { 0 };
    struct query_result res = { 0 };
    struct query q = {
        .engine = g,
        .request = r,
        .promql = &parsed,
        .lookback_ms = r->lookback_delta_ms > 0 ? r->lookback_delta_ms
                       : g->lookback_delta_ms   ? g->lookback_delta_ms
                                                : LOOKBACK_DEFAULT_MS,
        .start_ms = time_wrap(r->start_ms),
        .end_ms = time_wrap(r->range ? r->end_ms : r->start_ms),
        .step_ms = r->range ? r->step_ms : 0,
        .budget = b,
        .keep = &keep,
        .scratch = &scratch,
        .result = a,
    };

    bool ok = run(&q, source, &res, e);
    if (ok)
        stats_finish(&q, &res);
    assert(!ok || res.type != PROMQL_NONE);
    query_notes_finish(&q, &res);
    series_view_put(q.view);
    query_drop(&q);
    budget_refund(b, q.charged_bytes + q.reserved_bytes + (ok ? 0 : q.result_bytes));
    if (ok) {
        *out = res;
        return true;
    }
    out->error = q.error.n ? q.error : arena_str(a, str_c(e->text));
    out->warnings = res.warnings;
    out->warning_count = res.warning_count;
    out->infos = res.infos;
    out->info_count = res.info_count;
    return false;
}
