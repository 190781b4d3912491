/*
 * eval.c - groups: making, running, storing what rules make, handing state on.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "base/sort.h"
#include "rules/eval_priv.h"

const char *alert_state_name(enum alert_state s)
{
    static const char *const names[] = { "unknown", "inactive", "pending", "firing" };

    return names[s];
}

/* ---- label sets on the heap ---- */

struct labels eval_labels_new(struct labels ls)
{
    size_t bytes = ls.n * sizeof(struct label);

    for (size_t i = 0; i < ls.n; i++)
        bytes += ls.v[i].name.n + ls.v[i].value.n;
    if (!ls.n)
        return (struct labels){ 0 };
    struct label *v = xmalloc(bytes);
    char *p = (char *)(v + ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        struct str name = ls.v[i].name, value = ls.v[i].value;
        memcpy(p, name.p, name.n);
        v[i].name = str_of(p, name.n);
        p += name.n;
        if (value.n)
            memcpy(p, value.p, value.n);
        v[i].value = str_of(p, value.n);
        p += value.n;
    }
    return (struct labels){ v, ls.n };
}

void eval_labels_free(struct labels ls)
{
    xfree((void *)ls.v);
}

void eval_alert_free(struct eval_alert *a)
{
    eval_labels_free(a->labels);
    eval_labels_free(a->annotations);
    xfree(a);
}

void eval_series_free(struct eval_series *s)
{
    eval_labels_free(s->labels);
    xfree(s);
}

/* ---- making ---- */

static struct labels labels_of_map(struct arena *a, const struct conf_map *map)
{
    struct label *v = arena_array(a, map->n, struct label);
    size_t n = 0;

    for (size_t i = 0; i < map->n; i++)
        if (map->v[i].value.n)
            v[n++] = (struct label){ map->v[i].key, map->v[i].value };
    return labels_copy(a, (struct labels){ v, n });
}

static struct tmpl_alert **templates_of(struct arena *a, struct str name, struct labels ls)
{
    struct tmpl_alert **v = arena_array(a, ls.n + 1, struct tmpl_alert *);

    for (size_t i = 0; i < ls.n; i++)
        v[i] = tmpl_alert_new(a, name, ls.v[i].value);
    return v;
}

static void make_rule(struct eval_group *g, struct eval_rule *r,
                      const struct rule_group *conf_group, const struct rule *conf)
{
    OWNED(buf_fini) struct buf expr = { 0 };
    struct arena *a = &g->arena;

    r->alerting = conf->alert.n > 0;
    r->name = arena_str(a, rule_name(conf));
    if (conf->query && conf->query->root)
        promql_print(&expr, conf->query->root);
    else
        buf_str(&expr, conf->expr);
    r->expr = arena_str(a, buf_view(&expr));
    r->for_ms = conf->for_ms;
    r->keep_firing_for_ms = conf->keep_firing_for_ms;
    r->pos = conf->pos;
    r->labels = labels_copy(a, rule_labels(a, conf_group, conf));
    r->evaluated_ns = EVAL_NEVER;
    r->restored = !g->restore;
    if (!r->alerting)
        return;
    r->annotations = labels_of_map(a, &conf->annotations);
    r->label_text = templates_of(a, r->name, r->labels);
    r->annotation_text = templates_of(a, r->name, r->annotations);
}

// All that is configured, in one text.
static void sign(struct buf *b, const struct eval_group *g)
{
    buf_printf(b, "%lld %lld %d %lld\n", (long long)g->interval_ms, (long long)g->query_offset_ms,
               g->has_query_offset, (long long)g->limit);
    for (size_t i = 0; i < g->rule_count; i++) {
        const struct eval_rule *r = &g->rules[i];
        buf_printf(b, "%d %lld %lld ", r->alerting, (long long)r->for_ms,
                   (long long)r->keep_firing_for_ms);
        buf_quoted(b, r->name);
        buf_quoted(b, r->expr);
        buf_labels(b, r->labels);
        buf_labels(b, r->annotations);
        buf_char(b, '\n');
    }
}

struct eval_group *eval_group_new(struct str file, const struct rule_group *conf,
                                  int64_t interval_ms, bool restore)
{
    struct eval_group *g = xcalloc(1, sizeof *g);
    OWNED(buf_fini) struct buf signature = { 0 };
    struct arena *a = &g->arena;

    g->file = arena_str(a, file);
    g->name = arena_str(a, conf->name);
    g->key = arena_printf(a, "%.*s;%.*s", STRF(file), STRF(conf->name));
    g->interval_ms = conf->interval_ms ? conf->interval_ms : interval_ms;
    g->has_query_offset = conf->has_query_offset;
    g->query_offset_ms = conf->query_offset_ms;
    g->limit = conf->limit;
    g->restore = restore;
    g->evaluated_ns = EVAL_NEVER;
    g->rule_count = conf->rules.n;
    g->rules = arena_array(a, conf->rules.n, struct eval_rule);
    mutex_init(&g->mu, "rule group", RANK_APP + 2);
    for (size_t i = 0; i < g->rule_count; i++)
        make_rule(g, &g->rules[i], conf, conf->rules.v[i]);
    eval_batches_make(g, conf);
    sign(&signature, g);
    g->signature = arena_str(a, buf_view(&signature));
    return g;
}

static void rule_fini(struct eval_rule *r)
{
    for (size_t i = 0; i < r->active.n; i++)
        eval_alert_free(r->active.v[i]);
    for (size_t i = 0; i < r->series.n; i++)
        eval_series_free(r->series.v[i]);
    vec_fini(&r->active);
    vec_fini(&r->series);
    map_fini(&r->by_labels);
    map_fini(&r->by_series);
    buf_fini(&r->error);
}

void eval_group_free(struct eval_group *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->rule_count; i++)
        rule_fini(&g->rules[i]);
    for (size_t i = 0; i < g->stale.n; i++)
        eval_series_free(g->stale.v[i]);
    vec_fini(&g->stale);
    mutex_fini(&g->mu);
    arena_fini(&g->arena);
    xfree(g);
}

int64_t eval_group_slot(const struct eval_group *g, int64_t now_ns)
{
    int64_t interval = g->interval_ms * NS_MS;
    int64_t offset = (int64_t)(hash_xxh64(g->key) % (uint64_t)interval);

    return floor_div(now_ns - offset, interval) * interval + offset;
}

int64_t eval_group_offset_ms(const struct eval_group *g, const struct eval_env *env)
{
    return g->has_query_offset ? g->query_offset_ms : env->query_offset_ms;
}

enum alert_state eval_rule_state(const struct eval_rule *r)
{
    enum alert_state max = ALERT_INACTIVE;

    if (r->evaluated_ns == EVAL_NEVER)
        return ALERT_UNKNOWN;
    for (size_t i = 0; i < r->active.n; i++)
        max = r->active.v[i]->state > max ? r->active.v[i]->state : max;
    return max;
}

/* ---- queries ---- */

bool eval_query(struct eval_run *run, struct str text, int64_t t_ms, struct query_result *out)
{
    struct query_request request = { .text = text, .start_ms = t_ms };
    struct err e = { 0 };

    *out = (struct query_result){ 0 };
    if (!query_run(run->env->engine, &request, run->env->source, run->budget, run->arena, out,
                   &e)) {
        run->error = arena_str(run->arena, out->error.n ? out->error : str_c(e.text));
        return false;
    }
    if (out->type == PROMQL_SCALAR) {
        out->series = arena_new(run->arena, struct query_series);
        out->series->floats = &out->scalar;
        out->series->float_count = out->series_count = 1;
    } else if (out->type != PROMQL_VECTOR) {
        run->error = STR("rule result is not a vector or scalar");
        return false;
    }
    return true;
}

/* ---- recording rules ---- */

static int by_labels(const void *a, const void *b, void *ctx UNUSED)
{
    return labels_cmp(((const struct eval_row *)a)->labels, ((const struct eval_row *)b)->labels);
}

// True when two rows have the same labels. Small results are compared pair by pair.
static bool has_repeats(struct eval_run *run)
{
    size_t n = run->rows.n;

    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < i; k++)
                if (labels_equal(run->rows.v[i].labels, run->rows.v[k].labels))
                    return true;
        return false;
    }
    struct eval_row *v = arena_copy(run->arena, run->rows.v, n * sizeof *v);
    sort_stable(v, n, sizeof *v, by_labels, NULL);
    for (size_t i = 1; i < n; i++)
        if (labels_equal(v[i].labels, v[i - 1].labels))
            return true;
    return false;
}

bool eval_recording(struct eval_run *run)
{
    const struct eval_rule *r = run->rule;
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct query_result q;

    if (!eval_query(run, r->expr, run->sample_ms, &q))
        return false;
    vec_reserve_in(run->arena, &run->rows, q.series_count);
    for (size_t i = 0; i < q.series_count; i++) {
        const struct query_series *s = &q.series[i];
        struct eval_row *row = vec_push_in(run->arena, &run->rows);
        labels_builder_reset(&b, s->labels);
        labels_builder_set(&b, LABEL_NAME, r->name);
        for (size_t k = 0; k < r->labels.n; k++)
            labels_builder_set(&b, r->labels.v[k].name, r->labels.v[k].value);
        row->labels.v = arena_copy(run->arena, b.v, b.n * sizeof *b.v);
        row->labels.n = b.n;
        row->t_ms = run->sample_ms;
        if (s->hist_count)
            row->hist = s->hists[0].hist;
        else
            row->value = s->floats[0].value;
    }
    if (has_repeats(run)) {
        run->error = STR("vector contains metrics with the same labelset after applying rule "
                         "labels");
        return false;
    }
    if (run->group->limit > 0 && (int64_t)q.series_count > run->group->limit) {
        run->error = arena_printf(run->arena, "exceeded limit of %lld with %zu series",
                                  (long long)run->group->limit, q.series_count);
        return false;
    }
    return true;
}

/* ---- storing ---- */

struct series_key {
    struct labels labels;
    uint64_t hash;
};

static bool series_equal(const void *ctx, const void *key, uint32_t i)
{
    const struct eval_rule *r = ctx;
    const struct series_key *k = key;

    return r->series.v[i]->hash == k->hash && labels_equal(r->series.v[i]->labels, k->labels);
}

static struct eval_series *series_of(struct eval_rule *r, struct labels ls)
{
    struct series_key key = { ls, labels_hash(ls) };
    uint32_t at = map_find(&r->by_series, key.hash, series_equal, r, &key);

    if (at != MAP_NONE)
        return r->series.v[at];
    struct eval_series *s = xcalloc(1, sizeof *s);
    s->labels = eval_labels_new(ls);
    s->hash = key.hash;
    map_add(&r->by_series, key.hash, (uint32_t)r->series.n);
    *vec_push(&r->series) = s;
    return s;
}

static double stale_value(void)
{
    return double_from_bits(SAMPLE_STALE_BITS);
}

static void add_stale(struct eval_run *run, struct eval_series *s)
{
    struct eval_row *row = vec_push_in(run->arena, &run->rows);

    row->labels = s->labels;
    row->ref = &s->ref;
    row->t_ms = run->sample_ms;
    row->value = stale_value();
}

// Forgets the series that this evaluation did not make, or whose sample was refused.
static void drop_old_series(struct eval_rule *r)
{
    size_t kept = 0;
    bool any = false;

    for (size_t i = 0; i < r->series.n; i++)
        any = any || r->series.v[i]->epoch != r->epoch;
    if (!any)
        return;
    map_reset(&r->by_series);
    for (size_t i = 0; i < r->series.n; i++) {
        struct eval_series *s = r->series.v[i];
        if (s->epoch != r->epoch) {
            eval_series_free(s);
            continue;
        }
        map_add(&r->by_series, s->hash, (uint32_t)kept);
        r->series.v[kept++] = s;
    }
    r->series.n = kept;
}

// Counts what was refused; the first reason is the rule's error.
static bool check_status(struct eval_run *run, struct eval_series **made, const uint8_t *status,
                         size_t n)
{
    size_t refused[APPEND_STATUS_COUNT] = { 0 };
    enum append_status first = APPEND_OK;

    for (size_t i = 0; i < n; i++) {
        if (status[i] == APPEND_OK)
            continue;
        refused[status[i]]++;
        made[i]->epoch--; // as if it were not there
        first = first == APPEND_OK ? (enum append_status)status[i] : first;
    }
    if (first == APPEND_OK)
        return true;
    for (unsigned i = 1; i < APPEND_STATUS_COUNT; i++)
        if (refused[i])
            log_warn("rules", "samples of a rule were refused", KV_STR("group", run->group->key),
                     KV_STR("rule", run->rule->name),
                     KV("reason", append_status_text((enum append_status)i)),
                     KV_U64("samples", refused[i]));
    run->error = str_c(append_status_text(first));
    return false;
}

// Stores the rows, and stale markers of series that are gone since the evaluation before.
static bool store(struct eval_run *run)
{
    struct eval_rule *r = run->rule;
    size_t n = run->rows.n;
    struct eval_series **made = arena_array(run->arena, n + 1, struct eval_series *);
    struct err e = { 0 };

    r->epoch++;
    for (size_t i = 0; i < n; i++) {
        made[i] = series_of(r, run->rows.v[i].labels);
        made[i]->epoch = r->epoch;
        run->rows.v[i].ref = &made[i]->ref;
    }
    for (size_t i = 0; i < r->series.n; i++)
        if (r->series.v[i]->epoch != r->epoch)
            add_stale(run, r->series.v[i]);
    if (!run->rows.n)
        return true;
    uint8_t *status = arena_alloc(run->arena, run->rows.n);
    if (!run->env->append(run->env->append_ctx, run->rows.v, run->rows.n, status, &e)) {
        run->error = arena_str(run->arena, str_c(e.text));
        return false;
    }
    bool ok = check_status(run, made, status, n);
    drop_old_series(r);
    return ok;
}

bool eval_append_metrics(void *ctx, struct eval_row *v, size_t n, uint8_t *status, struct err *e)
{
    OWNED(append_batch_free) struct append_batch *b = append_batch_new(ctx);
    struct append_stats stats;

    for (int attempt = 0; attempt < 3; attempt++) {
        bool again = false;
        for (size_t i = 0; i < n; i++) {
            if (!append_ref_is_live(b, *v[i].ref) && !append_resolve(b, v[i].labels, v[i].ref, e))
                return false;
            if (v[i].hist)
                append_histogram(b, *v[i].ref, v[i].t_ms, v[i].hist);
            else
                append_float(b, *v[i].ref, v[i].t_ms, v[i].value);
        }
        if (!append_commit(b, &stats, status, e))
            return false;
        for (size_t i = 0; i < n; i++)
            again = again || status[i] == APPEND_STALE_REF;
        if (!again)
            return true;
        // Series that went cold meanwhile: what was stored is found again as the same sample.
        for (size_t i = 0; i < n; i++)
            if (status[i] == APPEND_STALE_REF)
                *v[i].ref = (struct series_ref){ 0 };
        append_batch_reset(b);
    }
    return true;
}

/* ---- running ---- */

static void set_result(struct eval_run *run, bool ok, int64_t start_ns, int64_t duration_ns)
{
    struct eval_rule *r = run->rule;
    LOCKED(&run->group->mu);

    r->health = ok ? EVAL_GOOD : EVAL_BAD;
    buf_reset(&r->error);
    if (!ok)
        buf_str(&r->error, run->error);
    r->duration_ns = duration_ns;
    r->evaluated_ns = start_ns;
}

static int64_t mono_ns(const struct eval_env *env)
{
    return env->clock ? clock_mono_ns(env->clock) : 0;
}

static int64_t wall_now_ns(const struct eval_env *env, int64_t t_ns)
{
    return env->clock ? clock_ms(env->clock) * NS_MS : t_ns;
}

static void warn_failed(const struct eval_run *run)
{
    log_warn("rules", "evaluating a rule failed", KV_STR("group", run->group->key),
             KV_STR("rule", run->rule->name), KV_STR("error", run->error));
}

size_t eval_rule_run(struct eval_group *g, struct eval_rule *r, const struct eval_env *env,
                     int64_t t_ns)
{
    OWNED(arena_fini) struct arena a = { 0 };
    int64_t start_mono = mono_ns(env), start_wall = wall_now_ns(env, t_ns);
    struct budget b = { .what = "query",
                        .bytes_max = env->query_memory_bytes,
                        .cancelled = env->cancelled };
    struct eval_run run = {
        .group = g, .rule = r, .env = env, .arena = &a, .t_ns = t_ns, .budget = &b
    };

    run.sample_ms = floor_div(t_ns, NS_MS) - eval_group_offset_ms(g, env);
    if (env->query_timeout_ms && env->clock)
        b.deadline_mono_ns = start_mono + env->query_timeout_ms * NS_MS;
    bool ok = r->alerting ? eval_alerting(&run) : eval_recording(&run);
    size_t samples = ok ? run.rows.n : 0;
    if (ok && r->alerting && env->sink)
        eval_send(&run);
    if (ok)
        ok = store(&run);
    int64_t duration = mono_ns(env) - start_mono;
    // relaxed: a rule that ends because of it need not be told of
    bool ending = env->cancelled && atomic_load_explicit(env->cancelled, memory_order_relaxed);
    if (!ok && !env->quiet && !ending)
        warn_failed(&run);
    set_result(&run, ok, start_wall, duration);
    if (env->evaluated)
        env->evaluated(env->evaluated_ctx, g, !ok, duration);
    return samples;
}

void eval_group_finish(struct eval_group *g, const struct eval_env *env, int64_t t_ns)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct eval_run run = { .group = g, .env = env, .arena = &a };
    struct err e = { 0 };

    run.sample_ms = floor_div(t_ns, NS_MS) - eval_group_offset_ms(g, env);
    if (!g->stale.n)
        return;
    for (size_t i = 0; i < g->stale.n; i++)
        add_stale(&run, g->stale.v[i]);
    uint8_t *status = arena_alloc(&a, run.rows.n);
    if (!env->append(env->append_ctx, run.rows.v, run.rows.n, status, &e)) {
        log_warn("rules", "stale markers of former rules were not stored", KV_ERR(&e));
        return;
    }
    for (size_t i = 0; i < g->stale.n; i++)
        eval_series_free(g->stale.v[i]);
    g->stale.n = 0;
}

void eval_group_run(struct eval_group *g, const struct eval_env *env, int64_t t_ns)
{
    size_t samples = 0;

    for (size_t i = 0; i < g->rule_count; i++)
        samples += eval_rule_run(g, &g->rules[i], env, t_ns);
    g->samples = samples;
    eval_group_finish(g, env, t_ns);
}

/* ---- handing on ---- */

static void move_series(struct eval_group *to, struct eval_rule *from)
{
    for (size_t i = 0; i < from->series.n; i++)
        *vec_push(&to->stale) = from->series.v[i];
    from->series.n = 0;
    map_reset(&from->by_series);
}

void eval_group_mark_stale(struct eval_group *g, const struct eval_env *env, int64_t t_ns)
{
    for (size_t i = 0; i < g->rule_count; i++)
        move_series(g, &g->rules[i]);
    eval_group_finish(g, env, t_ns);
}

#define MOVE(to, from) \
    (memcpy(&(to), &(from), sizeof(to)), memset(&(from), 0, sizeof(from)), (void)0)

static void adopt_rule(struct eval_rule *r, struct eval_rule *from)
{
    MOVE(r->series, from->series);
    MOVE(r->by_series, from->by_series);
    r->epoch = from->epoch;
    if (!r->alerting || !from->alerting)
        return;
    MOVE(r->active, from->active);
    MOVE(r->by_labels, from->by_labels);
    r->restored = r->restored || from->restored;
}

void eval_group_adopt(struct eval_group *g, struct eval_group *from)
{
    bool *taken = arena_array(&g->arena, from->rule_count + 1, bool);

    g->duration_ns = from->duration_ns;
    g->evaluated_ns = from->evaluated_ns;
    MOVE(g->stale, from->stale);
    for (size_t i = 0; i < g->rule_count; i++)
        for (size_t k = 0; k < from->rule_count; k++) {
            struct eval_rule *r = &g->rules[i], *f = &from->rules[k];
            if (taken[k] || !str_eq(r->name, f->name) || !labels_equal(r->labels, f->labels))
                continue;
            taken[k] = true;
            adopt_rule(r, f);
            break;
        }
    for (size_t k = 0; k < from->rule_count; k++)
        if (!taken[k])
            move_series(g, &from->rules[k]);
}
