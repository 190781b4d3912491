/*
 * test_rules_eval.c - rules evaluated over samples in memory. Source: Prometheus 3.15, rules/.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/test_rules_priv.h"

enum { RESOLVED_KEPT_MS = 15 * 60 * 1000 };
#define NOT_YET INT64_MIN

/* ---- queries ---- */

bool live_query(struct live *l, struct str text, int64_t t_ms, struct query_result *out,
                struct str *error)
{
    struct query_request r = { .text = text, .start_ms = t_ms };
    struct budget b = { .what = "query" };
    struct err e = { 0 };

    if (query_run(&l->engine, &r, memory_source_view(l->memory), &b, l->scratch, out, &e))
        return true;
    *error = arena_str(l->scratch, out->error.n ? out->error : str_c(e.text));
    return false;
}

// The result of a rule: a vector, or a scalar as a vector of one without labels.
static bool rule_query(struct live *l, const struct rule *rule, int64_t t_ms,
                       struct query_result *out, struct str *error)
{
    if (!live_query(l, rule->expr, t_ms, out, error))
        return false;
    if (out->type == PROMQL_SCALAR) {
        out->series = arena_new(l->scratch, struct query_series);
        out->series->floats = &out->scalar;
        out->series->float_count = out->series_count = 1;
    } else if (out->type != PROMQL_VECTOR) {
        *error = STR("rule result is not a vector or scalar");
        return false;
    }
    return true;
}

/* ---- what a rule makes ---- */

struct made {
    int64_t t_ms, sample_ms; // of the evaluation; of its samples: earlier by the query offset
    VEC(struct labels) series;
    VEC(struct memory_sample) samples;
};

static void make(struct live *l, struct made *m, struct labels ls, struct memory_sample s)
{
    *vec_push_in(l->scratch, &m->series) = ls;
    *vec_push_in(l->scratch, &m->samples) = s;
}

static bool is_listed(const struct labels *v, size_t n, struct labels ls)
{
    for (size_t i = 0; i < n; i++)
        if (labels_equal(v[i], ls))
            return true;
    return false;
}

// Stores the samples; series that are gone since the evaluation before end with a stale marker.
static void store(struct live *l, struct live_rule *r, const struct made *m)
{
    struct memory_sample stale = { .t_ms = m->sample_ms,
                                   .value = double_from_bits(SAMPLE_STALE_BITS) };

    for (size_t i = 0; i < m->series.n; i++)
        memory_source_add(l->memory, m->series.v[i], &m->samples.v[i], 1);
    for (size_t i = 0; i < r->previous_n; i++)
        if (!is_listed(m->series.v, m->series.n, r->previous[i]))
            memory_source_add(l->memory, r->previous[i], &stale, 1);
    r->previous = m->series.v;
    r->previous_n = m->series.n;
}

static bool over_limit(struct live *l, const struct live_group *g, size_t n, const char *what,
                       struct str *error)
{
    if (g->group->limit <= 0 || (int64_t)n <= g->group->limit)
        return false;
    *error = arena_printf(l->scratch, "exceeded limit of %lld with %zu %s",
                          (long long)g->group->limit, n, what);
    return true;
}

/* ---- recording rules ---- */

static bool eval_record(struct live *l, const struct live_group *g, struct live_rule *r,
                        struct made *m, struct str *error)
{
    int64_t t_ms = m->sample_ms;
    struct query_result q = { 0 };

    if (!rule_query(l, r->rule, t_ms, &q, error))
        return false;
    for (size_t i = 0; i < q.series_count; i++) {
        OWNED(labels_builder_fini) struct labels_builder b = { 0 };
        const struct query_series *s = &q.series[i];
        labels_builder_reset(&b, s->labels);
        labels_builder_set(&b, LABEL_NAME, r->rule->record);
        for (size_t k = 0; k < r->labels.n; k++)
            labels_builder_set(&b, r->labels.v[k].name, r->labels.v[k].value);
        struct labels ls = labels_copy(l->scratch, labels_builder_view(&b));
        if (is_listed(m->series.v, m->series.n, ls)) {
            *error = STR("vector contains metrics with the same labelset after applying rule "
                         "labels");
            return false;
        }
        struct memory_sample sample = { .t_ms = t_ms };
        if (s->hist_count)
            sample.hist = s->hists[0].hist;
        else
            sample.value = s->floats[0].value;
        make(l, m, ls, sample);
    }
    return !over_limit(l, g, q.series_count, "series", error);
}

/* ---- alerting rules ---- */

static struct labels expand_all(struct live *l, struct labels templates,
                                const struct template_data *d)
{
    struct label *v = arena_array(l->scratch, templates.n, struct label);

    for (size_t i = 0; i < templates.n; i++)
        v[i] = (struct label){ templates.v[i].name,
                               template_expand(l->scratch, templates.v[i].value, d) };
    return (struct labels){ v, templates.n };
}

static struct labels alert_labels(struct live *l, const struct live_rule *r, struct labels series,
                                  const struct template_data *d)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct labels own = expand_all(l, r->labels, d);

    labels_builder_reset(&b, series);
    labels_builder_del(&b, LABEL_NAME);
    for (size_t i = 0; i < own.n; i++)
        labels_builder_set(&b, own.v[i].name, own.v[i].value);
    labels_builder_set(&b, STR("alertname"), r->rule->alert);
    return labels_copy(l->scratch, labels_builder_view(&b));
}

static struct alert *find_alert(struct live_rule *r, struct labels ls)
{
    for (size_t i = 0; i < r->alerts.n; i++)
        if (labels_equal(r->alerts.v[i].labels, ls))
            return &r->alerts.v[i];
    return NULL;
}

// An element of the expression's result: a new alert, or news of a known one.
static bool take_element(struct live *l, struct live_rule *r, const struct query_series *s,
                         int64_t t_ms, struct str *error)
{
    double value = s->float_count ? s->floats[0].value : 0;
    struct template_data d = { s->labels, value, l->test };
    struct labels ls = alert_labels(l, r, s->labels, &d);
    struct alert *a = find_alert(r, ls);

    if (a && a->seen) {
        *error = STR("vector contains metrics with the same labelset after applying alert labels");
        return false;
    }
    if (!a)
        a = vec_push_in(l->arena, &r->alerts);
    struct labels annotations = expand_all(l, r->annotations, &d);
    if (a->state == ALERT_INACTIVE)
        *a = (struct alert){ .labels = labels_copy(l->arena, ls),
                             .state = ALERT_PENDING,
                             .active_ms = t_ms,
                             .resolved_ms = NOT_YET,
                             .keep_since_ms = NOT_YET };
    if (!labels_equal(a->annotations, annotations))
        a->annotations = labels_copy(l->arena, annotations);
    a->seen = true;
    return true;
}

// An alert whose element is gone: does it keep firing? *drop: it is to be forgotten.
static bool keeps_firing(const struct rule *rule, struct alert *a, int64_t t_ms, bool *drop)
{
    bool keep = false;

    if (a->state == ALERT_FIRING && rule->keep_firing_for_ms > 0) {
        if (a->keep_since_ms == NOT_YET)
            a->keep_since_ms = t_ms;
        keep = t_ms - a->keep_since_ms < rule->keep_firing_for_ms;
    }
    *drop = a->state == ALERT_PENDING ||
            (a->resolved_ms != NOT_YET && t_ms - a->resolved_ms > RESOLVED_KEPT_MS);
    if (a->state != ALERT_INACTIVE && !keep) {
        a->state = ALERT_INACTIVE;
        a->resolved_ms = t_ms;
    }
    return keep;
}

static void advance(const struct rule *rule, struct alert *a, int64_t t_ms)
{
    bool held = t_ms - a->active_ms >= rule->for_ms;

    if (a->state == ALERT_PENDING && held) {
        a->state = ALERT_FIRING;
    } else if (a->state == ALERT_FIRING && !held) {
        a->state = ALERT_PENDING;
        a->keep_since_ms = NOT_YET;
    }
}

static struct labels state_series(struct live *l, const struct live_rule *r, const struct alert *a,
                                  struct str name, bool with_state)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, r->labels);
    for (size_t i = 0; i < a->labels.n; i++)
        labels_builder_set(&b, a->labels.v[i].name, a->labels.v[i].value);
    labels_builder_set(&b, LABEL_NAME, name);
    if (with_state)
        labels_builder_set(&b, STR("alertstate"),
                           a->state == ALERT_FIRING ? STR("firing") : STR("pending"));
    return labels_copy(l->scratch, labels_builder_view(&b));
}

static bool eval_alert(struct live *l, const struct live_group *g, struct live_rule *r,
                       struct made *m, struct str *error)
{
    int64_t t_ms = m->t_ms, sample_ms = m->sample_ms;
    struct query_result q = { 0 };
    size_t kept = 0, active = 0;

    for (size_t i = 0; i < r->alerts.n; i++)
        r->alerts.v[i].seen = false;
    if (!rule_query(l, r->rule, sample_ms, &q, error))
        return false;
    for (size_t i = 0; i < q.series_count; i++)
        if (!take_element(l, r, &q.series[i], t_ms, error))
            return false;
    for (size_t i = 0; i < r->alerts.n; i++) {
        struct alert a = r->alerts.v[i];
        bool drop = false, alive = true;
        if (a.seen)
            a.keep_since_ms = NOT_YET;
        else
            alive = keeps_firing(r->rule, &a, t_ms, &drop);
        if (alive) {
            active++;
            advance(r->rule, &a, t_ms);
            make(l, m, state_series(l, r, &a, STR("ALERTS"), true),
                 (struct memory_sample){ .t_ms = sample_ms, .value = 1 });
            make(l, m, state_series(l, r, &a, STR("ALERTS_FOR_STATE"), false),
                 (struct memory_sample){ .t_ms = sample_ms,
                                         .value = (double)floor_div(a.active_ms, 1000) });
        }
        if (!drop)
            r->alerts.v[kept++] = a;
    }
    r->alerts.n = kept;
    if (!over_limit(l, g, active, "alerts", error))
        return true;
    r->alerts.n = 0;
    return false;
}

void live_group_eval(struct live *l, struct live_group *g, int64_t t_ms)
{
    int64_t sample_ms = t_ms - (g->group->has_query_offset ? g->group->query_offset_ms : 0);

    for (size_t i = 0; i < g->rule_count; i++) {
        struct live_rule *r = &g->rules[i];
        struct made m = { .t_ms = t_ms, .sample_ms = sample_ms };
        bool ok = r->rule->alert.n ? eval_alert(l, g, r, &m, &r->error)
                                   : eval_record(l, g, r, &m, &r->error);
        if (!ok)
            continue;
        r->error = STR_NONE;
        store(l, r, &m);
    }
}
