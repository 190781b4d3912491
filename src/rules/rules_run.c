/*
 * rules_run.c - the threads that evaluate groups when they are due, and help each other with batches.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "rules/rules_priv.h"

enum { WAIT_MAX_MS = 60000 };

void rules_wait_idle_locked(struct rules *r, const struct rules_entry *entry)
{
    while (entry->running)
        (void)cond_wait(&r->idle, &r->mu, 1000);
}

/* ---- batches ---- */

// Evaluates the next rule of a share. Called and returns with mu held.
static void share_step_locked(struct rules *r, struct rules_share *s)
{
    struct eval_group *g = s->entry->group;
    uint32_t i = s->batch->rule[s->next++];

    mutex_unlock(&r->mu);
    size_t samples = eval_rule_run(g, &g->rules[i], s->env, s->t_ns);
    mutex_lock(&r->mu);
    s->samples += samples;
    s->done++;
    if (s->done == s->batch->n)
        cond_wake_all(&r->idle);
}

static size_t run_shared(struct rules *r, struct rules_entry *entry, const struct eval_env *env,
                         const struct eval_batch *batch, int64_t t_ns)
{
    struct rules_share s = { .entry = entry, .env = env, .batch = batch, .t_ns = t_ns };

    LOCKED(&r->mu);
    *vec_push(&r->shares) = &s;
    cond_wake_all(&r->wake);
    while (s.next < batch->n && !r->stopping)
        share_step_locked(r, &s);
    for (size_t i = 0; i < r->shares.n; i++)
        if (r->shares.v[i] == &s)
            r->shares.v[i] = r->shares.v[--r->shares.n];
    while (s.done < s.next)
        (void)cond_wait(&r->idle, &r->mu, 1000);
    return s.samples;
}

static struct rules_share *find_share_locked(struct rules *r)
{
    if (r->helpers >= r->o.concurrent_rules)
        return NULL;
    for (size_t i = 0; i < r->shares.n; i++)
        if (r->shares.v[i]->next < r->shares.v[i]->batch->n)
            return r->shares.v[i];
    return NULL;
}

static bool is_stopping(struct rules *r)
{
    LOCKED(&r->mu);

    return r->stopping;
}

static size_t run_rules(struct rules *r, struct rules_entry *entry, const struct eval_env *env,
                        int64_t t_ns)
{
    struct eval_group *g = entry->group;
    size_t samples = 0;

    if (!g->batches || !r->o.concurrent_rules) {
        for (size_t i = 0; i < g->rule_count && !is_stopping(r); i++)
            samples += eval_rule_run(g, &g->rules[i], env, t_ns);
        return samples;
    }
    for (size_t i = 0; i < g->batch_count && !is_stopping(r); i++) {
        const struct eval_batch *b = &g->batches[i];
        samples += b->n > 1 ? run_shared(r, entry, env, b, t_ns)
                            : eval_rule_run(g, &g->rules[b->rule[0]], env, t_ns);
    }
    return samples;
}

/* ---- one evaluation ---- */

static void count_rule(void *ctx, const struct eval_group *g UNUSED, bool failed,
                       int64_t duration_ns)
{
    struct rules_entry *entry = ctx;

    metric_add(entry->metrics.evaluations, 1);
    if (failed)
        metric_add(entry->metrics.failures, 1);
    (void)duration_ns;
}

static void set_group_state(struct rules_entry *entry, int64_t start_ns, int64_t duration_ns,
                            size_t samples)
{
    struct eval_group *g = entry->group;
    int64_t sum_ns = 0;
    LOCKED(&g->mu);

    g->duration_ns = duration_ns;
    g->evaluated_ns = start_ns;
    g->slot_ns = entry->slot_ns;
    g->samples = samples;
    for (size_t i = 0; i < g->rule_count; i++)
        sum_ns += g->rules[i].duration_ns;
    metric_set(entry->metrics.rule_duration_sum, (double)sum_ns / 1e9);
    metric_set(entry->metrics.last_duration, (double)duration_ns / 1e9);
    metric_set(entry->metrics.last_time, (double)start_ns / 1e9);
    metric_set(entry->metrics.samples, (double)samples);
}

static void observe_rules(struct rules *r, struct rules_entry *entry)
{
    struct eval_group *g = entry->group;
    LOCKED(&g->mu);

    for (size_t i = 0; i < g->rule_count; i++) {
        metric_observe(r->metrics.evaluation_seconds, (double)g->rules[i].duration_ns / 1e9);
        metric_observe(r->metrics.evaluation_histogram, (double)g->rules[i].duration_ns / 1e9);
    }
}

static void evaluate(struct rules *r, struct rules_entry *entry, struct eval_env *env)
{
    int64_t start_ns = rules_wall_ns(r), start_mono = clock_mono_ns(r->o.clock);

    env->evaluated = count_rule;
    env->evaluated_ctx = entry;
    metric_add(entry->metrics.iterations, 1);
    size_t samples = run_rules(r, entry, env, entry->slot_ns);
    eval_group_finish(entry->group, env, entry->slot_ns);
    int64_t duration = clock_mono_ns(r->o.clock) - start_mono;
    metric_observe(r->metrics.iteration_seconds, (double)duration / 1e9);
    metric_observe(r->metrics.iteration_histogram, (double)duration / 1e9);
    observe_rules(r, entry);
    set_group_state(entry, start_ns, duration, samples);
    entry->iterations++;
    // The first evaluation may lack what is scraped and recorded only now.
    if (entry->group->restore && entry->iterations >= 2) {
        int64_t begin = clock_mono_ns(r->o.clock);
        eval_group_restore(entry->group, env, rules_wall_ns(r));
        metric_set(entry->metrics.last_restore, (double)(clock_mono_ns(r->o.clock) - begin) / 1e9);
    }
}

// The slot at hand: those that went by unused are counted as missed.
static void catch_up(struct rules *r, struct rules_entry *entry)
{
    int64_t interval = entry->group->interval_ms * NS_MS;
    int64_t late = rules_wall_ns(r) - entry->slot_ns;

    if (late >= interval) {
        int64_t missed = late / interval;
        metric_add(entry->metrics.missed, (double)missed);
        metric_add(entry->metrics.iterations, (double)missed);
        entry->slot_ns += missed * interval;
    } else if (late < -interval) { // the clock was set back
        entry->slot_ns = eval_group_slot(entry->group, rules_wall_ns(r));
    }
}

static struct labels external_labels(const struct prom_config *c, struct arena *a)
{
    const struct conf_map *map = &c->doc.global.external_labels;
    struct label *v = arena_array(a, map->n, struct label);

    for (size_t i = 0; i < map->n; i++)
        v[i] = (struct label){ map->v[i].key, map->v[i].value };
    return (struct labels){ v, map->n };
}

// Called and returns with mu held.
static void run_entry_locked(struct rules *r, struct rules_entry *entry)
{
    OWNED(prom_config_put) struct prom_config *c = prom_config_get(r->config);
    OWNED(arena_fini) struct arena a = { 0 };
    struct eval_env env = r->env;

    entry->running = true;
    mutex_unlock(&r->mu);
    env.external_labels = external_labels(c, &a);
    env.query_offset_ms = c->doc.global.rule_query_offset_ms;
    if (entry->retired) {
        eval_group_mark_stale(entry->group, &env, entry->retired_ns);
    } else {
        catch_up(r, entry);
        evaluate(r, entry, &env);
        entry->slot_ns += entry->group->interval_ms * NS_MS;
        rules_schedule(r, entry);
    }
    mutex_lock(&r->mu);
    entry->running = false;
    if (entry->retired) {
        for (size_t i = 0; i < r->entries.n; i++)
            if (r->entries.v[i] == entry)
                r->entries.v[i] = r->entries.v[--r->entries.n];
        eval_group_free(entry->group);
        xfree(entry);
    }
    cond_wake_all(&r->idle);
}

/* ---- threads ---- */

// The entry that has been due longest; NULL: *wait_ms until there is one.
static struct rules_entry *find_due_locked(struct rules *r, int64_t *wait_ms)
{
    int64_t now = clock_mono_ns(r->o.clock), first = INT64_MAX;
    struct rules_entry *found = NULL;

    for (size_t i = 0; i < r->entries.n; i++) {
        struct rules_entry *entry = r->entries.v[i];
        if (entry->running || entry->due_mono_ns >= first)
            continue;
        first = entry->due_mono_ns;
        found = entry;
    }
    if (found && first <= now)
        return found;
    *wait_ms = found ? MIN((first - now) / NS_MS + 1, (int64_t)WAIT_MAX_MS) : WAIT_MAX_MS;
    return NULL;
}

void *rules_thread(void *ctx)
{
    struct rules *r = ctx;
    LOCKED(&r->mu);

    while (!r->stopping) {
        int64_t wait_ms = 0;
        struct rules_share *s = find_share_locked(r);
        if (s) {
            r->helpers++;
            share_step_locked(r, s);
            r->helpers--;
            continue;
        }
        struct rules_entry *entry = find_due_locked(r, &wait_ms);
        if (entry)
            run_entry_locked(r, entry);
        else
            (void)cond_wait(&r->wake, &r->mu, wait_ms);
    }
    return NULL;
}
