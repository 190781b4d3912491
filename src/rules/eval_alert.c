/*
 * eval_alert.c - alerting rules: the states of alerts, their series, what is sent, what is restored.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "rules/eval_priv.h"

#define LABEL_ALERTNAME STR("alertname")

/* ---- what the expression says ---- */

struct candidate {
    struct labels labels, annotations; // in the arena
    uint64_t hash;
    double value;
    bool taken;
};
struct candidates {
    struct candidate *v;
    size_t n;
    struct map map; // by labels
};

static void candidates_fini(struct candidates *c)
{
    map_fini(&c->map);
}
OWN_DEFINE_FINI(struct candidates, candidates_fini)

static bool candidate_equal(const void *ctx, const void *key, uint32_t i)
{
    const struct candidates *c = ctx;
    const struct candidate *k = key;

    return c->v[i].hash == k->hash && labels_equal(c->v[i].labels, k->labels);
}

// `query` in templates: at the time of the evaluation, without the offset.
static bool query_for_template(void *ctx, struct str query, int64_t t_ms, struct arena *a,
                               struct tmpl_sample **out, size_t *n, struct str *error)
{
    struct eval_run *outer = ctx, run = *outer;
    struct query_result q;

    run.arena = a;
    if (!eval_query(&run, query, t_ms, &q)) {
        *error = run.error;
        return false;
    }
    *out = arena_array(a, q.series_count + 1, struct tmpl_sample);
    *n = q.series_count;
    for (size_t i = 0; i < q.series_count; i++) {
        const struct query_series *s = &q.series[i];
        (*out)[i] = (struct tmpl_sample){ .labels = s->labels };
        if (s->hist_count)
            (*out)[i].hist = s->hists[0].hist;
        else
            (*out)[i].value = s->floats[0].value;
    }
    return true;
}

static struct str expand(struct eval_run *run, const struct tmpl_alert *t,
                         const struct tmpl_alert_data *d)
{
    struct str out;

    if (!tmpl_alert_expand(t, d, run->arena, &out) && !run->env->quiet)
        log_warn("rules", "expanding a template of an alert failed",
                 KV_STR("group", run->group->key), KV_STR("rule", run->rule->name),
                 KV_STR("error", out));
    return out;
}

static struct labels expand_labels(struct eval_run *run, struct labels series,
                                   const struct tmpl_alert_data *d)
{
    const struct eval_rule *r = run->rule;
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, series);
    labels_builder_del(&b, LABEL_NAME);
    for (size_t i = 0; i < r->labels.n; i++)
        labels_builder_set(&b, r->labels.v[i].name, expand(run, r->label_text[i], d));
    labels_builder_set(&b, LABEL_ALERTNAME, r->name);
    return (struct labels){ arena_copy(run->arena, b.v, b.n * sizeof *b.v), b.n };
}

// Annotations keep empty values.
static struct labels expand_annotations(struct eval_run *run, const struct tmpl_alert_data *d)
{
    const struct eval_rule *r = run->rule;
    struct label *v = arena_array(run->arena, r->annotations.n, struct label);

    for (size_t i = 0; i < r->annotations.n; i++)
        v[i] = (struct label){ r->annotations.v[i].name, expand(run, r->annotation_text[i], d) };
    return (struct labels){ v, r->annotations.n };
}

static bool find_candidates(struct eval_run *run, const struct query_result *q,
                            struct candidates *c)
{
    struct tmpl_prometheus env = { .now_ms = floor_div(run->t_ns, NS_MS),
                                   .external_url = run->env->external_url,
                                   .query = query_for_template,
                                   .query_ctx = run };

    c->v = arena_array(run->arena, q->series_count, struct candidate);
    map_reserve(&c->map, q->series_count);
    for (size_t i = 0; i < q->series_count; i++) {
        const struct query_series *s = &q->series[i];
        struct candidate *k = &c->v[i];
        struct tmpl_alert_data d = { .labels = s->labels,
                                     .external_labels = run->env->external_labels,
                                     .env = &env,
                                     .budget = run->budget };
        if (s->hist_count)
            d.sample.hist = s->hists[0].hist;
        else
            k->value = d.sample.value = s->floats[0].value;
        k->labels = expand_labels(run, s->labels, &d);
        k->hash = labels_hash(k->labels);
        if (map_find(&c->map, k->hash, candidate_equal, c, k) != MAP_NONE) {
            run->error = STR(
                "vector contains metrics with the same labelset after applying alert labels");
            return false;
        }
        k->annotations = expand_annotations(run, &d);
        map_add(&c->map, k->hash, (uint32_t)i);
        c->n++;
    }
    return true;
}

/* ---- states ---- */

static void forget(struct eval_rule *r)
{
    for (size_t i = 0; i < r->active.n; i++)
        eval_alert_free(r->active.v[i]);
    r->active.n = 0;
    map_reset(&r->by_labels);
}

static struct eval_alert *new_alert(const struct candidate *k, int64_t t_ns)
{
    struct eval_alert *a = xcalloc(1, sizeof *a);

    *a = (struct eval_alert){ .labels = eval_labels_new(k->labels),
                              .annotations = eval_labels_new(k->annotations),
                              .hash = k->hash,
                              .state = ALERT_PENDING,
                              .value = k->value,
                              .active_ns = t_ns,
                              .fired_ns = EVAL_NEVER,
                              .resolved_ns = EVAL_NEVER,
                              .keep_since_ns = EVAL_NEVER,
                              .last_sent_ns = EVAL_NEVER,
                              .valid_until_ns = EVAL_NEVER,
                              .seen = true };
    return a;
}

// News of a known alert. One that was resolved begins anew.
static void refresh(struct eval_alert **a, const struct candidate *k, int64_t t_ns)
{
    if ((*a)->state == ALERT_INACTIVE) {
        eval_alert_free(*a);
        *a = new_alert(k, t_ns);
        return;
    }
    (*a)->value = k->value;
    (*a)->seen = true;
    if (labels_equal((*a)->annotations, k->annotations))
        return;
    eval_labels_free((*a)->annotations);
    (*a)->annotations = eval_labels_new(k->annotations);
}

// Takes over what the expression says, in the order of known alerts.
static void merge_locked(struct eval_run *run, struct candidates *c)
{
    struct eval_rule *r = run->rule;

    for (size_t i = 0; i < r->active.n; i++) {
        struct eval_alert **a = &r->active.v[i];
        struct candidate key = { .labels = (*a)->labels, .hash = (*a)->hash };
        uint32_t at = map_find(&c->map, key.hash, candidate_equal, c, &key);
        (*a)->seen = false;
        if (at == MAP_NONE)
            continue;
        c->v[at].taken = true;
        refresh(a, &c->v[at], run->t_ns);
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].taken)
            continue;
        *vec_push(&r->active) = new_alert(&c->v[i], run->t_ns);
    }
}

// An alert whose element is gone. True: it goes on firing. *drop: it is to be forgotten.
static bool keeps_firing(const struct eval_rule *r, struct eval_alert *a, int64_t t_ns, bool *drop)
{
    bool keep = false;

    if (a->state == ALERT_FIRING && r->keep_firing_for_ms > 0) {
        if (a->keep_since_ns == EVAL_NEVER)
            a->keep_since_ns = t_ns;
        keep = t_ns - a->keep_since_ns < r->keep_firing_for_ms * NS_MS;
    }
    *drop = a->state == ALERT_PENDING ||
            (a->resolved_ns != EVAL_NEVER && t_ns - a->resolved_ns > EVAL_KEEP_RESOLVED_NS);
    if (a->state != ALERT_INACTIVE && !keep) {
        a->state = ALERT_INACTIVE;
        a->resolved_ns = t_ns;
    }
    return keep;
}

static void advance(const struct eval_rule *r, struct eval_alert *a, int64_t t_ns)
{
    bool held = t_ns - a->active_ns >= r->for_ms * NS_MS;

    if (a->state == ALERT_PENDING && held) {
        a->state = ALERT_FIRING;
        a->fired_ns = t_ns;
    } else if (a->state == ALERT_FIRING && !held) {
        a->state = ALERT_PENDING; // a new configuration wants it longer
        a->fired_ns = a->last_sent_ns = a->keep_since_ns = EVAL_NEVER;
    }
}

// ALERTS or ALERTS_FOR_STATE: the rule's labels, over them the alert's.
static void add_row(struct eval_run *run, struct labels_builder *b, const struct eval_alert *a,
                    bool with_state)
{
    struct eval_row *row = vec_push_in(run->arena, &run->rows);

    labels_builder_reset(b, run->rule->labels);
    for (size_t i = 0; i < a->labels.n; i++)
        labels_builder_set(b, a->labels.v[i].name, a->labels.v[i].value);
    labels_builder_set(b, LABEL_NAME, with_state ? STR("ALERTS") : STR("ALERTS_FOR_STATE"));
    if (with_state)
        labels_builder_set(b, STR("alertstate"), str_c(alert_state_name(a->state)));
    // Deep: the alert may be gone before the row is stored.
    row->labels = labels_copy(run->arena, labels_builder_view(b));
    row->t_ms = run->sample_ms;
    row->value = with_state ? 1 : (double)floor_div(a->active_ns, NS_SECOND);
}

static void index_alerts(struct eval_rule *r)
{
    map_reset(&r->by_labels);
    for (size_t i = 0; i < r->active.n; i++)
        map_add(&r->by_labels, r->active.v[i]->hash, (uint32_t)i);
}

// All alerts go on by one evaluation; returns how many are pending or firing.
static size_t advance_all_locked(struct eval_run *run)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct eval_rule *r = run->rule;
    size_t kept = 0, alive = 0;

    for (size_t i = 0; i < r->active.n; i++) {
        struct eval_alert *a = r->active.v[i];
        bool drop = false, live = true;
        if (a->seen)
            a->keep_since_ns = EVAL_NEVER;
        else
            live = keeps_firing(r, a, run->t_ns, &drop);
        if (live) {
            alive++;
            advance(r, a, run->t_ns);
        }
        if (live && r->restored) {
            add_row(run, &b, a, true);
            add_row(run, &b, a, false);
        }
        if (drop && !live)
            eval_alert_free(a);
        else
            r->active.v[kept++] = a;
    }
    r->active.n = kept;
    index_alerts(r);
    return alive;
}

bool eval_alerting(struct eval_run *run)
{
    OWNED(candidates_fini) struct candidates c = { 0 };
    struct query_result q;

    if (!eval_query(run, run->rule->expr, run->sample_ms, &q) || !find_candidates(run, &q, &c))
        return false;
    LOCKED(&run->group->mu);
    merge_locked(run, &c);
    size_t alive = advance_all_locked(run);
    if (run->group->limit <= 0 || (int64_t)alive <= run->group->limit)
        return true;
    forget(run->rule);
    run->error = arena_printf(run->arena, "exceeded limit of %lld with %zu alerts",
                              (long long)run->group->limit, alive);
    return false;
}

/* ---- sending ---- */

static bool needs_sending(const struct eval_alert *a, int64_t t_ns, int64_t resend_ns)
{
    if (a->state == ALERT_PENDING)
        return false;
    if (a->last_sent_ns == EVAL_NEVER || a->resolved_ns > a->last_sent_ns)
        return true;
    return a->last_sent_ns + resend_ns < t_ns;
}

static struct str generator_url(struct eval_run *run)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_str(&b, run->env->external_url);
    buf_lit(&b, "/graph?g0.expr=");
    tmpl_escape_query(&b, run->rule->expr);
    buf_lit(&b, "&g0.tab=1");
    return arena_str(run->arena, buf_view(&b));
}

void eval_send(struct eval_run *run)
{
    VEC(struct alert_notice) due = { 0 };
    int64_t resend_ns = run->env->resend_delay_ms * NS_MS;
    int64_t valid_ns = 4 * MAX(run->group->interval_ms * NS_MS, resend_ns);
    struct str url = generator_url(run);

    mutex_lock(&run->group->mu);
    for (size_t i = 0; i < run->rule->active.n; i++) {
        struct eval_alert *a = run->rule->active.v[i];
        if (!needs_sending(a, run->t_ns, resend_ns))
            continue;
        a->last_sent_ns = run->t_ns;
        a->valid_until_ns = run->t_ns + valid_ns;
        *vec_push_in(run->arena, &due) = (struct alert_notice){
            .labels = labels_copy(run->arena, a->labels),
            .annotations = labels_copy(run->arena, a->annotations),
            .starts_ns = a->fired_ns,
            .ends_ns = a->resolved_ns != EVAL_NEVER ? a->resolved_ns : a->valid_until_ns,
            .generator_url = url
        };
    }
    mutex_unlock(&run->group->mu);
    if (due.n)
        run->env->sink->send(run->env->sink, due.v, due.n);
}

/* ---- restoring ---- */

struct stored {
    const struct series_set *set;
    struct query_point *last; // of each series; t_ms INT64_MIN: none
};

static bool take_last(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e UNUSED)
{
    struct stored *st = ctx;

    for (size_t i = s->n; i > 0; i--)
        if (!s->hist || !s->hist[i - 1]) {
            st->last[pos] = (struct query_point){ s->t_ms[i - 1], s->value[i - 1] };
            break;
        }
    return true;
}

static struct matcher matcher_equal(struct str name, struct str value)
{
    return (struct matcher){ .op = MATCH_EQ, .name = name, .value = value };
}

// The series of the rule: its labels but for those that are templates.
static struct matcher *matchers_of(const struct eval_rule *r, struct arena *a, size_t *n)
{
    struct matcher *m = arena_array(a, r->labels.n + 2, struct matcher);

    *n = 0;
    m[(*n)++] = matcher_equal(LABEL_NAME, STR("ALERTS_FOR_STATE"));
    m[(*n)++] = matcher_equal(LABEL_ALERTNAME, r->name);
    for (size_t i = 0; i < r->labels.n; i++)
        if (str_find(r->labels.v[i].value, STR("{{")) == STR_NPOS &&
            !str_eq(r->labels.v[i].name, LABEL_ALERTNAME))
            m[(*n)++] = matcher_equal(r->labels.v[i].name, r->labels.v[i].value);
    return m;
}

// Since when an alert is active, by what was stored before the outage.
static int64_t restored_ns(const struct eval_env *env, const struct eval_rule *r,
                           const struct query_point *last, int64_t now_ns)
{
    int64_t down_ns = floor_div(last->t_ms, 1000) * NS_SECOND;
    int64_t active_ns = (int64_t)last->value * NS_SECOND, hold_ns = r->for_ms * NS_MS;
    int64_t left_ns = hold_ns - (down_ns - active_ns), grace_ns = env->grace_period_ms * NS_MS;

    if (left_ns <= 0)
        return active_ns; // it was firing: so it does again with the next evaluation
    if (left_ns < grace_ns)
        return now_ns + grace_ns - hold_ns;
    return active_ns + (now_ns - down_ns); // time without evaluations does not count
}

static void restore_alert(const struct eval_env *env, const struct eval_rule *r,
                          struct eval_alert *a, const struct stored *st, int64_t now_ns)
{
    for (size_t i = 0; i < st->set->n; i++) {
        const struct query_point *last = &st->last[i];
        struct labels ls = st->set->v[i].labels;
        OWNED(labels_builder_fini) struct labels_builder b = { 0 };
        labels_builder_reset(&b, ls);
        labels_builder_del(&b, LABEL_NAME);
        if (!labels_equal(labels_builder_view(&b), a->labels))
            continue;
        if (last->t_ms != INT64_MIN && !sample_is_stale(last->value) && last->value > -0x1p33 &&
            last->value < 0x1p33)
            a->active_ns = restored_ns(env, r, last, now_ns);
        return;
    }
}

static bool read_stored(const struct eval_env *env, struct eval_rule *r, int64_t now_ns,
                        struct arena *a, struct series_view *view, struct stored *st, struct err *e)
{
    int64_t now_ms = floor_div(now_ns, NS_MS);
    struct select_query q = { .min_ms = now_ms - env->outage_tolerance_ms, .max_ms = now_ms };
    struct scan_query scan = { .min_ms = q.min_ms, .max_ms = q.max_ms };
    struct series_set *set = arena_new(a, struct series_set);
    struct budget b = { .what = "query" };

    q.matchers = matchers_of(r, a, &q.matcher_count);
    if (!view->ops->select(view, &q, a, &b, set, e))
        return false;
    st->set = set;
    st->last = arena_array(a, set->n, struct query_point);
    for (size_t i = 0; i < set->n; i++)
        st->last[i].t_ms = INT64_MIN;
    return view->ops->scan(view, set, &scan, &b, take_last, st, e);
}

static bool restore_rule(struct eval_group *g, struct eval_rule *r, const struct eval_env *env,
                         struct series_view *view, int64_t now_ns, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct stored st = { 0 };

    // What waits for less than the grace period would wait longer if it were restored.
    if (r->for_ms < env->grace_period_ms)
        return true;
    if (!read_stored(env, r, now_ns, &a, view, &st, e))
        return false;
    LOCKED(&g->mu);
    for (size_t i = 0; i < r->active.n && st.set->n; i++)
        restore_alert(env, r, r->active.v[i], &st, now_ns);
    return true;
}

void eval_group_restore(struct eval_group *g, const struct eval_env *env, int64_t now_ns)
{
    int64_t now_ms = floor_div(now_ns, NS_MS);
    OWNED(series_view_put) struct series_view *view = NULL;
    struct err e = { 0 };
    bool open = env->source->open(env->source, now_ms - env->outage_tolerance_ms, now_ms, &view,
                                  &e);

    if (!open)
        log_error("rules", "the state of `for` was not restored", KV_STR("group", g->key),
                  KV_ERR(&e));
    for (size_t i = 0; i < g->rule_count; i++) {
        struct eval_rule *r = &g->rules[i];
        if (r->alerting && open && !r->restored && !restore_rule(g, r, env, view, now_ns, &e))
            log_error("rules", "the state of `for` was not restored", KV_STR("group", g->key),
                      KV_STR("rule", r->name), KV_ERR(&e));
        mutex_lock(&g->mu);
        r->restored = true;
        mutex_unlock(&g->mu);
    }
    g->restore = false;
}
