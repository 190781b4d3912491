/*
 * promqltest.c - runs the commands of a script in order.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/promqltest.h"

#include <string.h>

#include "base/budget.h"
#include "base/buf.h"
#include "query/promqltest_priv.h"

enum { NOTES_ALL = 1 << 20 };

struct run {
    struct script *script;
    const struct test_eval *t;
    struct arena arena; // of one evaluation
    struct str why;
};

static bool failed(struct run *r, struct str text, const char *how)
{
    r->why = arena_printf(&r->arena, "%s %.*s: %.*s", how, STRF(text), STRF(r->why));
    return false;
}

static bool run_query(struct run *r, const struct query_request *q, struct query_result *out)
{
    struct query_engine engine = { 0 };
    struct budget budget = { .what = "query" };
    struct err e = { 0 };

    return query_run(&engine, q, memory_source_view(r->script->data), &budget, &r->arena, out, &e);
}

/* ---- the middle step of a range query gives what the instant query gave ---- */

static bool asks_for_range(struct str text)
{
    static const char *const calls[] = { "start()", "end()", "range()", "step()" };

    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (str_find(text, str_c(calls[i])) != STR_NPOS)
            return true;
    return false;
}

// What a matrix has at one time, as a vector.
static struct query_result vector_at(struct arena *a, const struct query_result *m, int64_t t_ms)
{
    struct query_result out = { .type = PROMQL_VECTOR };

    out.series = arena_array(a, m->series_count + 1, struct query_series);
    for (size_t i = 0; i < m->series_count; i++) {
        struct query_series *s = &out.series[out.series_count];
        const struct query_series *from = &m->series[i];

        *s = (struct query_series){ .labels = from->labels };
        for (size_t k = 0; k < from->float_count; k++)
            if (from->floats[k].t_ms == t_ms) {
                s->floats = &from->floats[k];
                s->float_count = 1;
            }
        for (size_t k = 0; k < from->hist_count && !s->float_count; k++)
            if (from->hists[k].t_ms == t_ms) {
                s->hists = &from->hists[k];
                s->hist_count = 1;
            }
        out.series_count += s->float_count || s->hist_count;
    }
    return out;
}

static bool run_as_range(struct run *r, struct str expr, int64_t t_ms, bool scalar)
{
    struct query_request q = { .text = expr,
                               .range = true,
                               .start_ms = t_ms - MS_MINUTE,
                               .end_ms = t_ms + MS_MINUTE,
                               .step_ms = MS_MINUTE,
                               .notes_max = NOTES_ALL };
    struct query_result m = { 0 };

    if (!run_query(r, &q, &m)) {
        r->why = m.error;
        return failed(r, expr, "in range mode");
    }
    if (eval_is_ordered(r->t))
        return true;
    struct query_result v = vector_at(&r->arena, &m, t_ms);
    if (scalar) {
        v.type = PROMQL_SCALAR;
        v.scalar.value = v.series_count ? v.series[0].floats[0].value : 0;
    }
    return compare_result(&r->arena, r->t, &v, &r->why) || failed(r, expr, "in range mode");
}

static bool run_instant(struct run *r, struct str expr, int64_t t_ms)
{
    struct query_request q = { .text = expr, .start_ms = t_ms, .notes_max = NOTES_ALL };
    struct query_result out = { 0 };
    struct arena *a = &r->arena;

    if (!run_query(r, &q, &out))
        return compare_failure(a, r->t, out.error, &r->why) || failed(r, expr, "instant");
    if (eval_should_fail(r->t)) {
        r->why = STR("expected an error, but got none");
        return failed(r, expr, "instant");
    }
    if (!compare_notes(a, r->t, &out, &r->why) || !compare_result(a, r->t, &out, &r->why))
        return failed(r, expr, "instant");
    if (r->t->no_range_check || asks_for_range(expr) || out.type == PROMQL_STRING)
        return true;
    if (out.type == PROMQL_MATRIX)
        return true;
    return run_as_range(r, expr, t_ms, out.type == PROMQL_SCALAR);
}

/* ---- the same with @ on what has none: the result may not depend on the evaluation time ---- */

struct pin {
    int64_t t_ms;
    bool uses_time;
};

static bool fn_depends_on_time(unsigned fn)
{
    switch (fn) {
    case FN_days_in_month:
    case FN_day_of_month:
    case FN_day_of_week:
    case FN_day_of_year:
    case FN_end:
    case FN_hour:
    case FN_minute:
    case FN_month:
    case FN_year:
    case FN_predict_linear:
    case FN_range:
    case FN_start:
    case FN_step:
    case FN_time:
    case FN_timestamp:
        return true;
    default:
        return false;
    }
}

static void pin_node(struct promql_node *n, struct pin *p)
{
    switch (n->kind) {
    case PROMQL_SELECTOR:
        if (n->selector.at != AT_TIME) {
            n->selector.at = AT_TIME;
            n->selector.at_ms = p->t_ms;
        }
        break;
    case PROMQL_RANGE:
        pin_node(n->range.selector, p);
        break;
    case PROMQL_SUBQUERY: // what is inside follows the subquery
        if (n->subquery.at != AT_TIME) {
            n->subquery.at = AT_TIME;
            n->subquery.at_ms = p->t_ms;
        }
        break;
    case PROMQL_UNARY:
        pin_node(n->unary.expr, p);
        break;
    case PROMQL_BINARY:
        pin_node(n->binary.lhs, p);
        pin_node(n->binary.rhs, p);
        break;
    case PROMQL_AGGREGATE:
        pin_node(n->aggregate.expr, p);
        if (n->aggregate.param)
            pin_node(n->aggregate.param, p);
        break;
    case PROMQL_CALL:
        for (size_t i = 0; i < n->call.arg_count; i++)
            pin_node(n->call.args[i], p);
        break;
    case PROMQL_PAREN:
        pin_node(n->paren, p);
        break;
    default:
        break;
    }
}

static void note_time(void *ctx, struct promql_node *n)
{
    struct pin *p = ctx;

    if (n->kind == PROMQL_CALL)
        p->uses_time |= fn_depends_on_time(n->call.fn->id);
}

static bool run_pinned(struct run *r)
{
    OWNED(promql_fini) struct promql parsed = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };
    int64_t t = r->t->eval_ms;
    int64_t at[] = { -10 * t, 0, t / 5, t, 10 * t }, at_zero[] = { -1000, 0, 1000 };
    struct pin p = { .t_ms = t };
    struct err e = { 0 };

    if (!promql_parse(&r->arena, r->t->expr, &parsed, &e))
        return true; // what is to fail has failed already
    promql_walk(parsed.root, note_time, &p);
    if (p.uses_time)
        return true;
    pin_node(parsed.root, &p);
    promql_print(&text, parsed.root);
    struct str expr = arena_str(&r->arena, buf_view(&text));
    size_t n = t ? ARRAY_LEN(at) : ARRAY_LEN(at_zero);
    for (size_t i = 0; i < n; i++)
        if (!run_instant(r, expr, t ? at[i] : at_zero[i]))
            return false;
    return true;
}

static bool run_range(struct run *r)
{
    const struct test_eval *t = r->t;
    struct query_request q = { .text = t->expr,
                               .range = true,
                               .start_ms = t->start_ms,
                               .end_ms = t->end_ms,
                               .step_ms = t->step_ms,
                               .notes_max = NOTES_ALL };
    struct query_result out = { 0 };
    struct arena *a = &r->arena;

    if (!run_query(r, &q, &out))
        return compare_failure(a, t, out.error, &r->why) || failed(r, t->expr, "range");
    if (eval_should_fail(t)) {
        r->why = STR("expected an error, but got none");
        return failed(r, t->expr, "range");
    }
    return (compare_notes(a, t, &out, &r->why) && compare_result(a, t, &out, &r->why)) ||
           failed(r, t->expr, "range");
}

static void run_eval(struct script *s, const struct test_eval *t,
                     const struct promqltest_options *o, struct promqltest_totals *totals)
{
    struct run r = { .script = s, .t = t };
    bool ok = t->range ? run_range(&r) : run_instant(&r, t->expr, t->eval_ms) && run_pinned(&r);

    totals->passed += ok;
    totals->failed += !ok;
    if (o && o->report)
        o->report(o->ctx, &(struct promqltest_report){ s->name, t->line, t->expr, ok,
                                                       ok ? STR_NONE : r.why });
    arena_fini(&r.arena);
}

/* ---- the script ---- */

static void script_split(struct script *s, struct str text)
{
    VEC(struct str) lines = { 0 };

    while (text.p) {
        struct str line = str_trim(str_cut(&text, '\n'));

        if (line.n && line.p[0] == '#')
            line = STR_NONE;
        *vec_push_in(&s->arena, &lines) = line;
    }
    s->lines = lines.v;
    s->line_count = lines.n;
}

static bool script_command(struct script *s, size_t *at, const struct promqltest_options *o,
                           struct promqltest_totals *totals, struct err *e)
{
    struct str line = s->lines[*at];
    struct test_eval t;

    if (str_starts(line, STR("clear"))) {
        memory_source_clear(s->data);
        return true;
    }
    if (str_starts(line, STR("load")))
        return script_load(s, at, e);
    if (!str_starts(line, STR("eval")))
        return script_fail(s, *at, e, "invalid command \"%.*s\"", STRF(str_sub(line, 0, 60)));
    if (!script_eval(s, at, &t, e))
        return false;
    run_eval(s, &t, o, totals);
    return true;
}

static void script_fini(struct script *s)
{
    for (size_t i = 0; i < s->regexes.n; i++)
        regex_free(s->regexes.v[i]);
    memory_source_free(s->data);
    arena_fini(&s->arena);
}
OWN_DEFINE_FINI(struct script, script_fini)

bool promqltest_run(const char *name, struct str text, const struct promqltest_options *o,
                    struct promqltest_totals *totals, struct err *e)
{
    OWNED(script_fini) struct script s = { .name = name, .data = memory_source_new() };

    script_split(&s, text);
    for (size_t i = 0; i < s.line_count; i++)
        if (s.lines[i].n && !script_command(&s, &i, o, totals, e))
            return false;
    return true;
}
