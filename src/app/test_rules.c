/*
 * test_rules.c - `test rules`: series in, rules evaluated step by step, alerts and expressions
 * compared. Texts are those of promtool. Source: cmd/promtool/unittest.go of 3.15.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/test_rules.h"

#include <math.h>
#include <stdio.h>

#include "app/check.h"
#include "app/test_rules_priv.h"
#include "app/tools_promql.h"
#include "base/num.h"
#include "base/sort.h"
#include "base/time.h"

struct runner {
    const struct cli *c;
    struct arena *arena; // of the file
    struct test_file file;
    struct cli_list rule_files;
    struct regex *run; // NULL: all groups
    VEC(struct rule_file *) loaded;
    VEC(struct str) errors;
};

struct loaded_series {
    struct labels labels;
    struct memory_sample *v;
    size_t n, given; // given: to the memory so far
};

struct group_run {
    struct runner *r;
    const struct test_group *test;
    struct live live;
    struct arena step[2];
    VEC(struct loaded_series) series;
    int64_t interval_ms; // between evaluations
};

#define SAY(g, ...) (*vec_push_in((g)->arena, &(g)->errors) = arena_printf((g)->arena, __VA_ARGS__))

static struct str duration_text(struct arena *a, int64_t ms)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_duration(&b, ms);
    return arena_str(a, buf_view(&b));
}

static struct str quoted(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, s);
    return arena_str(a, buf_view(&b));
}

/* ---- series in ---- */

static bool load_series(struct group_run *g)
{
    struct arena *a = g->r->arena;

    for (size_t i = 0; i < g->test->input_series.n; i++) {
        const struct input_series *in = g->test->input_series.v[i];
        struct promql_series_line line;
        struct err e = { 0 };
        struct str text = arena_printf(a, "%.*s %.*s", STRF(in->series), STRF(in->values));
        if (!promql_parse_series_line(a, text, &line, &e)) {
            // Upstream reads the series as one script, whose first line says how far apart they are.
            struct str why = str_c(e.text);
            if (str_starts(why, STR("1:")))
                why = arena_printf(a, "%zu%.*s", i + 2, STRF(str_sub(why, 1, why.n)));
            SAY(g->r, "%.*s", STRF(why));
            return false;
        }
        struct loaded_series *to = NULL;
        for (size_t k = 0; k < g->series.n; k++) // a series given twice: the last one counts
            if (labels_equal(g->series.v[k].labels, line.labels))
                to = &g->series.v[k];
        if (!to)
            to = vec_push_in(a, &g->series);
        *to = (struct loaded_series){ line.labels, arena_array(a, line.n + 1, struct memory_sample),
                                      0, 0 };
        for (size_t k = 0; k < line.n; k++)
            if (!line.v[k].omitted)
                to->v[to->n++] = (struct memory_sample){
                    .t_ms = g->test->start_ms + (int64_t)k * g->test->interval_ms,
                    .value = line.v[k].value,
                    .hist = line.v[k].hist,
                };
    }
    return true;
}

// Rules see nothing of what comes later.
static void give_samples(struct group_run *g, int64_t t_ms)
{
    for (size_t i = 0; i < g->series.n; i++) {
        struct loaded_series *s = &g->series.v[i];
        size_t to = s->given;
        while (to < s->n && s->v[to].t_ms <= t_ms)
            to++;
        memory_source_add(g->live.memory, s->labels, s->v + s->given, to - s->given);
        s->given = to;
    }
}

/* ---- rules in ---- */

static struct labels labels_of_map(struct arena *a, const struct conf_map *map)
{
    struct label *v = arena_array(a, map->n, struct label);

    for (size_t i = 0; i < map->n; i++)
        v[i] = (struct label){ map->v[i].key, map->v[i].value };
    return (struct labels){ v, map->n };
}

static bool load_rules(struct runner *r)
{
    struct rule_file_options o = { .ignore_unknown = cli_bool(r->c, "ignore-unknown-fields"),
                                   .syntax = tools_promql_syntax(r->c) };

    for (size_t i = 0; i < r->rule_files.n; i++) {
        struct rule_file *f = NULL;
        struct err e = { 0 };
        const char *path = r->rule_files.v[i].p;
        bool ok = rule_file_load(path, &o, &f, &e);
        *vec_push_in(r->arena, &r->loaded) = f;
        for (size_t k = 0; !ok && k < f->problem_count; k++)
            if (f->problems[k].upstream.n)
                SAY(r, "%s: %.*s", path, STRF(f->problems[k].upstream));
        if (!ok)
            return false;
    }
    return true;
}

static int group_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct live_group *x = a, *y = b;

    return (x->order > y->order) - (x->order < y->order);
}

static int64_t order_of(const struct conf_strs *order, struct str name)
{
    for (size_t i = 0; i < order->n; i++)
        if (str_eq(order->v[i], name))
            return (int64_t)i;
    return 0; // as upstream: those that are not named come with the first
}

static void add_group(struct group_run *g, struct str file, const struct rule_group *group,
                      struct live_group *out)
{
    out->group = eval_group_new(file, group, g->interval_ms, false);
    out->order = order_of(&g->r->file.group_eval_order, group->name);
}

static void add_groups(struct group_run *g)
{
    struct live *l = &g->live;
    size_t n = 0;

    for (size_t i = 0; i < g->r->loaded.n; i++)
        n += g->r->loaded.v[i]->groups.n;
    l->groups = arena_array(g->r->arena, n, struct live_group);
    for (size_t i = 0; i < g->r->loaded.n; i++)
        for (size_t k = 0; k < g->r->loaded.v[i]->groups.n; k++)
            add_group(g, g->r->rule_files.v[i], g->r->loaded.v[i]->groups.v[k],
                      &l->groups[l->group_count++]);
    sort_stable(l->groups, l->group_count, sizeof *l->groups, group_order, NULL);
}

/* ---- alerts ---- */

static int alert_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct alert *x = a, *y = b;
    int c = labels_cmp(x->labels, y->labels);

    return c ? c : labels_cmp(x->annotations, y->annotations);
}

static void collect_firing(const struct group_run *g, struct str name, struct alert_list *out)
{
    for (size_t i = 0; i < g->live.group_count; i++) {
        const struct eval_group *group = g->live.groups[i].group;
        for (size_t k = 0; k < group->rule_count; k++) {
            const struct eval_rule *r = &group->rules[k];
            if (!r->alerting || !str_eq(r->name, name))
                continue;
            for (size_t j = 0; j < r->active.n; j++)
                if (r->active.v[j]->state == ALERT_FIRING)
                    *vec_push_in(g->r->arena,
                                 &out->v) = (struct alert){ r->active.v[j]->labels,
                                                            r->active.v[j]->annotations };
        }
    }
    sort_stable(out->v.v, out->v.n, sizeof *out->v.v, alert_order, NULL);
}

static void collect_expected(const struct group_run *g, const struct alert_case *test,
                             struct alert_list *out)
{
    struct arena *a = g->r->arena;

    for (size_t i = 0; i < test->exp_alerts.n; i++) {
        const struct alert_expected *x = test->exp_alerts.v[i];
        OWNED(labels_builder_fini) struct labels_builder b = { 0 };
        for (size_t k = 0; k < x->labels.n; k++)
            labels_builder_set(&b, x->labels.v[k].key, x->labels.v[k].value);
        labels_builder_set(&b, STR("alertname"), test->alertname);
        *vec_push_in(a,
                     &out->v) = (struct alert){ .labels = labels_copy(a, labels_builder_view(&b)),
                                                .annotations = labels_of_map(a, &x->annotations) };
    }
    sort_stable(out->v.v, out->v.n, sizeof *out->v.v, alert_order, NULL);
}

static struct str alerts_text(struct arena *a, const struct alert_list *list)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!list->v.n)
        return STR("[]");
    buf_lit(&b, "[");
    for (size_t i = 0; i < list->v.n; i++) {
        buf_printf(&b, "%s\n            %zu:\n              Labels:", i ? "," : "", i);
        buf_labels(&b, list->v.v[i].labels);
        buf_lit(&b, "\n              Annotations:");
        buf_labels(&b, list->v.v[i].annotations);
    }
    buf_lit(&b, "\n            ]");
    return arena_str(a, buf_view(&b));
}

static void compare_alerts(struct group_run *g, const struct alert_case *test)
{
    struct arena *a = g->r->arena;
    struct alert_list want = { 0 }, got = { 0 };

    collect_expected(g, test, &want);
    collect_firing(g, test->alertname, &got);
    bool same = want.v.n == got.v.n;
    for (size_t i = 0; same && i < want.v.n; i++)
        same = alert_order(&want.v.v[i], &got.v.v[i], NULL) == 0;
    if (same)
        return;
    struct str name = g->test->name.n ? arena_printf(a, "    name: %.*s,\n", STRF(g->test->name))
                                      : STR_NONE;
    struct str time = duration_text(a, test->eval_time_ms);
    if (cli_bool(g->r->c, "diff")) {
        SAY(g->r, "%.*s    alertname: %.*s, time: %.*s, \n        diff: %.*s", STRF(name),
            STRF(test->alertname), STRF(time), STRF(alert_diff(a, &want, &got)));
        return;
    }
    SAY(g->r, "%.*s    alertname: %.*s, time: %.*s, \n        exp:%.*s, \n        got:%.*s",
        STRF(name), STRF(test->alertname), STRF(time), STRF(alerts_text(a, &want)),
        STRF(alerts_text(a, &got)));
}

// Alert tests whose time lies in this evaluation's share, in the order of their times.
static void check_alerts(struct group_run *g, int64_t since_start_ms)
{
    VEC(const struct alert_case *) due = { 0 };

    for (size_t i = 0; i < g->test->alert_tests.n; i++) {
        const struct alert_case *t = g->test->alert_tests.v[i];
        if (t->eval_time_ms < since_start_ms || t->eval_time_ms >= since_start_ms + g->interval_ms)
            continue;
        *vec_push_in(g->r->arena, &due) = t;
        for (size_t k = due.n - 1; k && due.v[k - 1]->eval_time_ms > t->eval_time_ms; k--) {
            due.v[k] = due.v[k - 1];
            due.v[k - 1] = t;
        }
    }
    for (size_t i = 0; i < due.n; i++)
        compare_alerts(g, due.v[i]);
}

/* ---- expressions ---- */

struct point {
    struct labels labels;
    double value;
    struct str hist; // text of a histogram; empty: value
};
struct point_list {
    VEC(struct point) v;
};

static int point_order(const void *a, const void *b, void *ctx UNUSED)
{
    return labels_cmp(((const struct point *)a)->labels, ((const struct point *)b)->labels);
}

static struct str hist_text(struct arena *a, const struct histogram *h)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_histogram_test(&b, h);
    return arena_str(a, buf_view(&b));
}

static bool expected_point(struct arena *a, const struct sample_expected *x, struct point *out,
                           struct err *e)
{
    struct promql_series_line line;

    *out = (struct point){ .value = x->value };
    if (x->labels.n && !promql_parse_labels(a, x->labels, &out->labels, e))
        return false;
    if (!x->histogram.n)
        return true;
    if (!promql_parse_series_line(a, arena_printf(a, "{} %.*s", STRF(x->histogram)), &line, e))
        return false;
    if (line.n != 1)
        return err_set(e, ERR_INVALID, "expected 1 value, got %zu", line.n);
    if (!line.v[0].hist)
        return err_set(e, ERR_INVALID, "expected histogram, got %.*s", STRF(x->histogram));
    out->hist = hist_text(a, line.v[0].hist);
    return true;
}

static struct str points_text(struct arena *a, const struct point_list *list)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!list->v.n)
        return STR("nil");
    for (size_t i = 0; i < list->v.n; i++) {
        char number[NUM_TEXT_MAX];
        const struct point *p = &list->v.v[i];
        buf_str(&b, i ? STR(", ") : STR_NONE);
        buf_labels(&b, p->labels);
        buf_char(&b, ' ');
        buf_str(&b, p->hist);
        size_t n = p->hist.n ? 0 : num_format_e(p->value, number);
        for (size_t k = 0; k < n; k++)
            buf_char(&b, number[k] == 'e' && k ? 'E' : number[k]);
    }
    return arena_str(a, buf_view(&b));
}

static bool same_value(double x, double y, bool fuzzy)
{
    return x == y || (fuzzy && (nextafter(x, -INFINITY) == y || nextafter(x, INFINITY) == y));
}

static bool same_points(const struct point_list *x, const struct point_list *y, bool fuzzy)
{
    if (x->v.n != y->v.n)
        return false;
    for (size_t i = 0; i < x->v.n; i++) {
        const struct point *p = &x->v.v[i], *q = &y->v.v[i];
        bool value = p->hist.n || q->hist.n ? str_eq(p->hist, q->hist)
                                            : same_value(p->value, q->value, fuzzy);
        if (!value || !labels_equal(p->labels, q->labels))
            return false;
    }
    return true;
}

static bool got_points(struct group_run *g, const struct expr_case *test, struct point_list *out,
                       struct str *error)
{
    struct arena *a = g->r->arena;
    struct query_result q = { 0 };

    if (!live_query(&g->live, test->expr, g->test->start_ms + test->eval_time_ms, &q, error))
        return false;
    if (q.type == PROMQL_SCALAR)
        *vec_push_in(a, &out->v) = (struct point){ .value = q.scalar.value };
    else if (q.type != PROMQL_VECTOR)
        return *error = STR("rule result is not a vector or scalar"), false;
    for (size_t i = 0; i < q.series_count; i++) {
        const struct query_series *s = &q.series[i];
        struct point *p = vec_push_in(a, &out->v);
        p->labels = s->labels;
        if (s->hist_count)
            p->hist = hist_text(a, s->hists[0].hist);
        else
            p->value = s->floats[0].value;
    }
    sort_stable(out->v.v, out->v.n, sizeof *out->v.v, point_order, NULL);
    return true;
}

static void check_expr(struct group_run *g, const struct expr_case *test)
{
    struct arena *a = g->r->arena;
    struct str name = quoted(a, test->expr), time = duration_text(a, test->eval_time_ms);
    struct point_list want = { 0 }, got = { 0 };
    struct str error;

    if (!got_points(g, test, &got, &error)) {
        SAY(g->r, "    expr: %.*s, time: %.*s, err: %.*s", STRF(name), STRF(time), STRF(error));
        return;
    }
    for (size_t i = 0; i < test->exp_samples.n; i++) {
        const struct sample_expected *x = test->exp_samples.v[i];
        struct err e = { 0 };
        if (!expected_point(a, x, vec_push_in(a, &want.v), &e)) {
            SAY(g->r, "    expr: %.*s, time: %.*s, err: labels %.*s: %s", STRF(name), STRF(time),
                STRF(quoted(a, x->labels)), e.text);
            return;
        }
    }
    sort_stable(want.v.v, want.v.n, sizeof *want.v.v, point_order, NULL);
    if (!same_points(&want, &got, g->r->file.fuzzy_compare))
        SAY(g->r, "    expr: %.*s, time: %.*s,\n        exp: %.*s\n        got: %.*s", STRF(name),
            STRF(time), STRF(points_text(a, &want)), STRF(points_text(a, &got)));
}

/* ---- one group of tests ---- */

static int64_t last_time(const struct test_group *t)
{
    int64_t last_ms = 0;

    for (size_t i = 0; i < t->alert_tests.n; i++)
        last_ms = MAX(last_ms, ((struct alert_case *)t->alert_tests.v[i])->eval_time_ms);
    for (size_t i = 0; i < t->expr_tests.n; i++)
        last_ms = MAX(last_ms, ((struct expr_case *)t->expr_tests.v[i])->eval_time_ms);
    return last_ms;
}

static bool names_are_given(struct group_run *g)
{
    for (size_t i = 0; i < g->test->alert_tests.n; i++) {
        const struct alert_case *t = g->test->alert_tests.v[i];
        struct str in = g->test->name.n
                            ? arena_printf(g->r->arena, " (in TestGroup %.*s)", STRF(g->test->name))
                            : STR_NONE;
        if (t->alertname.n)
            continue;
        SAY(g->r,
            "an item under alert_rule_test misses required attribute alertname at eval_time "
            "%.*s%.*s",
            STRF(duration_text(g->r->arena, t->eval_time_ms)), STRF(in));
        return false;
    }
    return true;
}

// Evaluates all groups at one time. False: a rule failed, which ends the test.
static bool eval_groups(struct group_run *g, int64_t t_ms)
{
    bool ok = true;

    give_samples(g, t_ms);
    for (size_t i = 0; i < g->live.group_count; i++) {
        struct eval_group *group = g->live.groups[i].group;
        eval_group_run(group, &g->live.env, t_ms * NS_MS);
        for (size_t k = 0; k < group->rule_count; k++) {
            const struct eval_rule *r = &group->rules[k];
            OWNED(buf_fini) struct buf at = { 0 };
            if (!r->error.n)
                continue;
            buf_duration_go(&at, t_ms * NS_MS);
            SAY(g->r, "    rule: %.*s, time: %s, err: %.*s", STRF(r->name), buf_cstr(&at),
                STRF(buf_view(&r->error)));
            ok = false;
        }
    }
    return ok;
}

static void dump_samples(struct group_run *g)
{
    int64_t range_ms = (last_time(g->test) + 1000) / 1000 * 1000;
    OWNED(buf_fini) struct buf range = { 0 }, b = { 0 };
    struct query_result q = { 0 };
    struct str error;

    buf_duration_go(&range, range_ms * NS_MS);
    struct str expr = arena_printf(g->r->arena, "{__name__=~\".+\"}[%s]", buf_cstr(&range));
    if (!live_query(&g->live, expr, g->test->start_ms + range_ms, &q, &error)) {
        fprintf(stderr, "DEBUG: Failed query exec, expr: \"%.*s\", err: %.*s\n", STRF(expr),
                STRF(error));
        return;
    }
    fprintf(stderr, "DEBUG: Dump of all data (input_series and rules) at %s:\n", buf_cstr(&range));
    for (size_t i = 0; i < q.series_count; i++) {
        const struct query_series *s = &q.series[i];
        buf_labels(&b, s->labels);
        buf_lit(&b, " =>\n");
        for (size_t k = 0; k < s->float_count; k++) {
            buf_double_f(&b, s->floats[k].value);
            buf_printf(&b, " @[%lld]\n", (long long)s->floats[k].t_ms);
        }
        for (size_t k = 0; k < s->hist_count; k++) {
            buf_histogram_text(&b, s->hists[k].hist);
            buf_printf(&b, " @[%lld]\n", (long long)s->hists[k].t_ms);
        }
    }
    fwrite(b.p, 1, b.n, stderr);
}

static void run_steps(struct group_run *g)
{
    int64_t start_ms = g->test->start_ms, end_ms = start_ms + last_time(g->test);
    size_t turn = 0;

    for (int64_t t_ms = start_ms; t_ms <= end_ms; t_ms += g->interval_ms) {
        g->live.scratch = &g->step[turn++ % 2];
        arena_reset(g->live.scratch);
        if (!eval_groups(g, t_ms))
            return;
        check_alerts(g, t_ms - start_ms);
    }
    for (size_t i = 0; i < g->test->expr_tests.n; i++)
        check_expr(g, g->test->expr_tests.v[i]);
    if (cli_bool(g->r->c, "debug"))
        dump_samples(g);
}

static void run_group(struct runner *r, struct test_group *test, size_t index)
{
    OWNED(memory_source_free) struct memory_source *memory = memory_source_new();
    struct group_run g = { .r = r, .test = test, .interval_ms = r->file.evaluation_interval_ms };
    struct str name = test->name.n ? test->name : arena_printf(r->arena, "unnamed#%zu", index);
    int64_t begin_ns = clock_mono_ns(clock_real());
    bool debug = cli_bool(r->c, "debug");

    if (!test->interval_ms)
        test->interval_ms = g.interval_ms;
    if (debug)
        fprintf(stderr, "DEBUG: Starting test %.*s\n", STRF(name));
    g.live = (struct live){ .memory = memory,
                            .engine = { .subquery_step_ms = g.interval_ms,
                                        .early_name_removal = !tools_has_feature(
                                            r->c, "promql-delayed-name-removal"),
                                        .syntax = tools_promql_syntax(r->c) } };
    live_init(&g.live, test->external_url, labels_of_map(r->arena, &test->external_labels));
    if (load_series(&g) && (r->loaded.n || load_rules(r))) {
        add_groups(&g);
        if (names_are_given(&g))
            run_steps(&g);
    }
    for (size_t i = 0; i < g.live.group_count; i++)
        eval_group_free(g.live.groups[i].group);
    arena_fini(&g.step[0]);
    arena_fini(&g.step[1]);
    if (debug) {
        OWNED(buf_fini) struct buf took = { 0 };
        buf_duration_go(&took, clock_mono_ns(clock_real()) - begin_ns);
        fprintf(stderr, "DEBUG: Test %.*s finished, took %s\n", STRF(name), buf_cstr(&took));
    }
}

/* ---- one file ---- */

static void find_rule_files(struct runner *r, struct str path)
{
    size_t slash = str_rfind_char(path, '/');
    struct str dir = slash == STR_NPOS ? STR_NONE : str_sub(path, 0, slash + 1);
    VEC(struct str) all = { 0 };

    for (size_t i = 0; i < r->file.rule_files.n; i++) {
        struct str pattern = r->file.rule_files.v[i];
        if (pattern.n && pattern.p[0] != '/')
            pattern = arena_printf(r->arena, "%.*s%.*s", STRF(dir), STRF(pattern));
        struct cli_list found = check_glob(r->arena, pattern);
        if (!found.n)
            fprintf(stderr, "  WARNING: no file match pattern %.*s\n", STRF(pattern));
        for (size_t k = 0; k < found.n; k++)
            *vec_push_in(r->arena, &all) = found.v[k];
    }
    r->rule_files = (struct cli_list){ all.v, all.n };
}

static bool order_is_unique(struct runner *r)
{
    const struct conf_strs *order = &r->file.group_eval_order;

    for (size_t i = 0; i < order->n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(order->v[i], order->v[k])) {
                SAY(r, "group name repeated in evaluation order: %.*s", STRF(order->v[i]));
                return false;
            }
    return true;
}

static void run_groups(struct runner *r)
{
    if (!r->file.evaluation_interval_ms)
        r->file.evaluation_interval_ms = MS_MINUTE;
    for (size_t i = 0; i < r->file.tests.n; i++) {
        struct test_group *t = r->file.tests.v[i];
        if (!r->run || regex_find(r->run, t->name, NULL, 0))
            run_group(r, t, i);
    }
}

static bool run_file(const struct cli *c, struct str path, struct regex *run)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct runner r = { .c = c, .arena = &a, .run = run };
    struct str error;

    if (!test_file_read(&a, path.p, &r.file, &error)) {
        SAY(&r, "%.*s", STRF(error));
    } else {
        find_rule_files(&r, path);
        if (order_is_unique(&r))
            run_groups(&r);
    }
    for (size_t i = 0; i < r.loaded.n; i++)
        rule_file_free(r.loaded.v[i]);
    if (!r.errors.n)
        printf("  SUCCESS\n");
    else
        fprintf(stderr, "  FAILED:\n");
    for (size_t i = 0; i < r.errors.n; i++) {
        fprintf(stderr, "%.*s\n", STRF(r.errors.v[i]));
        printf("\n");
    }
    printf("\n");
    return !r.errors.n;
}

static bool compile_run(const struct cli *c, struct regex **out)
{
    struct cli_list run = cli_all(c, "run");
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    if (!run.n)
        return true;
    for (size_t i = 0; i < run.n; i++)
        buf_printf(&b, "%s%.*s", i ? "|" : "", STRF(run.v[i]));
    if (regex_new(out, buf_view(&b), 0, &e))
        return true;
    fprintf(stderr, "--run: %s\n", e.text);
    return false;
}

int test_rules_command(const struct cli *c)
{
    OWNED(regex_free) struct regex *run = NULL;
    struct cli_list files = cli_all(c, "test-rule-file");
    bool ok = true;

    if (cli_text(c, "junit").n) {
        fprintf(stderr, "--junit: not yet supported\n");
        return 1;
    }
    if (!compile_run(c, &run))
        return 1;
    for (size_t i = 0; i < files.n; i++)
        ok &= run_file(c, files.v[i], run);
    return !ok;
}
