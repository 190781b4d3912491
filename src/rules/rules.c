/*
 * rules.c - rule files to groups, reloads, start and stop.
 */
// SPDX-License-Identifier: Apache-2.0
#include "rules/rules.h"

#include <glob.h>

#include "base/log.h"
#include "base/mem.h"
#include "rules/rules_priv.h"

enum { THREADS_DEFAULT = 8 };

/* ---- reading files ---- */

static bool load_group(struct rules *r, struct prom_config *c, struct str path,
                       const struct rule_group *conf)
{
    struct eval_group *g = eval_group_new(path, conf, c->doc.global.evaluation_interval_ms,
                                          !r->applied);

    for (size_t i = 0; i < r->prepared.n; i++)
        if (str_eq(r->prepared.v[i]->key, g->key)) { // a file that two patterns name
            eval_group_free(r->prepared.v[i]);
            r->prepared.v[i] = g;
            return true;
        }
    *vec_push(&r->prepared) = g;
    return true;
}

static void log_problems(const char *path, const struct rule_file *f)
{
    for (size_t i = 0; i < f->problem_count; i++) {
        const struct rule_problem *p = &f->problems[i];
        log_error("rules", "problem in a rule file", KV("file", path), KV_U64("line", p->pos.line),
                  KV_U64("column", p->pos.col), KV_STR("where", p->where),
                  KV_STR("problem", p->text.n ? p->text : p->upstream));
    }
}

static bool load_file(struct rules *r, struct prom_config *c, const char *path, struct err *e)
{
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct rule_file_options o = {
        .syntax = r->o.engine->syntax,
        .legacy_names = str_eq(c->doc.global.metric_name_validation_scheme, STR("legacy")),
    };

    if (!rule_file_load(path, &o, &f, e)) {
        log_problems(path, f);
        if (e->pos.line)
            return err_wrap(e, "%s:%u:%u", path, e->pos.line, e->pos.col);
        return err_wrap(e, "%s", path);
    }
    for (size_t i = 0; i < f->groups.n; i++)
        if (!load_group(r, c, str_c(path), f->groups.v[i]))
            return false;
    return true;
}

static void globfree_owned(glob_t *g)
{
    globfree(g);
}
OWN_DEFINE_FINI(glob_t, globfree_owned)

static bool load_pattern(struct rules *r, struct prom_config *c, struct str pattern, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(globfree_owned) glob_t found = { 0 };

    // A pattern without a match is no error: files may come later.
    if (glob(arena_cstr(&a, pattern), 0, NULL, &found) == GLOB_NOSPACE)
        return err_set(e, ERR_IO, "%.*s: out of memory", STRF(pattern));
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (!load_file(r, c, found.gl_pathv[i], e))
            return false;
    return true;
}

static void drop_prepared(struct rules *r)
{
    for (size_t i = 0; i < r->prepared.n; i++)
        eval_group_free(r->prepared.v[i]);
    r->prepared.n = 0;
    prom_config_put(r->prepared_config);
    r->prepared_config = NULL;
}

bool rules_prepare(struct rules *r, struct prom_config *c, struct err *e)
{
    drop_prepared(r);
    for (size_t i = 0; i < c->doc.rule_files.n; i++)
        if (!load_pattern(r, c, c->doc.rule_files.v[i], e)) {
            drop_prepared(r);
            return false;
        }
    r->prepared_config = prom_config_get(c);
    return true;
}

/* ---- taking them ---- */

static struct rules_entry *find_entry(struct rules *r, struct str key)
{
    for (size_t i = 0; i < r->entries.n; i++)
        if (!r->entries.v[i]->retired && str_eq(r->entries.v[i]->group->key, key))
            return r->entries.v[i];
    return NULL;
}

int64_t rules_wall_ns(const struct rules *r)
{
    return clock_ms(r->o.clock) * NS_MS;
}

void rules_schedule(const struct rules *r, struct rules_entry *entry)
{
    entry->due_mono_ns = clock_mono_ns(r->o.clock) + entry->slot_ns - rules_wall_ns(r);
}

static void begin_locked(struct rules *r, struct rules_entry *entry, struct eval_group *g)
{
    entry->group = g;
    entry->metrics = rules_group_metrics_make(g);
    entry->iterations = 0;
    entry->keep = true;
    entry->slot_ns = eval_group_slot(g, rules_wall_ns(r)) + g->interval_ms * NS_MS;
    rules_schedule(r, entry);
}

static void take_group_locked(struct rules *r, struct eval_group *g)
{
    struct rules_entry *entry = find_entry(r, g->key);

    if (entry && str_eq(entry->group->signature, g->signature)) {
        entry->keep = true;
        eval_group_free(g);
        return;
    }
    if (!entry) {
        entry = *vec_push(&r->entries) = xcalloc(1, sizeof *entry);
        begin_locked(r, entry, g);
        return;
    }
    rules_wait_idle_locked(r, entry);
    eval_group_adopt(g, entry->group);
    eval_group_free(entry->group);
    begin_locked(r, entry, g);
}

// Renamed rules get two intervals to write their series first.
static void retire_locked(struct rules *r, struct rules_entry *entry)
{
    rules_wait_idle_locked(r, entry);
    entry->retired = true;
    entry->retired_ns = rules_wall_ns(r);
    entry->slot_ns = entry->retired_ns + 2 * entry->group->interval_ms * NS_MS;
    rules_schedule(r, entry);
}

static struct rules_entry *find_gone(struct rules *r)
{
    for (size_t i = 0; i < r->entries.n; i++)
        if (!r->entries.v[i]->keep && !r->entries.v[i]->retired)
            return r->entries.v[i];
    return NULL;
}

void rules_apply(struct rules *r)
{
    LOCKED(&r->mu);

    if (!r->prepared_config)
        return;
    struct prom_config *old = r->config;
    r->config = r->prepared_config;
    r->prepared_config = NULL;
    for (size_t i = 0; i < r->entries.n; i++)
        r->entries.v[i]->keep = r->entries.v[i]->retired;
    for (size_t i = 0; i < r->prepared.n; i++)
        take_group_locked(r, r->prepared.v[i]);
    r->prepared.n = 0;
    for (struct rules_entry *gone; (gone = find_gone(r));)
        retire_locked(r, gone);
    r->applied = true;
    prom_config_put(old);
    cond_wake_all(&r->wake);
}

/* ---- start and stop ---- */

bool rules_start(struct rules **out, const struct rules_options *o, struct err *e)
{
    OWNED(rules_free) struct rules *r = xcalloc(1, sizeof *r);

    r->o = *o;
    if (!r->o.clock)
        r->o.clock = clock_real();
    if (!r->o.threads)
        r->o.threads = THREADS_DEFAULT;
    mutex_init(&r->mu, "rules", RANK_APP + 1);
    cond_init(&r->wake);
    cond_init(&r->idle);
    rules_metrics_make(r);
    r->env = (struct eval_env){
        .engine = o->engine,
        .source = metrics_source(o->tenant),
        .append = eval_append_metrics,
        .append_ctx = o->tenant,
        .clock = r->o.clock,
        .external_url = o->external_url,
        .sink = o->sink,
        .resend_delay_ms = o->resend_delay_ms,
        .outage_tolerance_ms = o->outage_tolerance_ms,
        .grace_period_ms = o->grace_period_ms,
        .query_timeout_ms = o->query_timeout_ms,
        .query_memory_bytes = o->query_memory_bytes,
        .cancelled = &r->cancelled,
    };
    r->threads = xcalloc(r->o.threads, sizeof *r->threads);
    for (; r->thread_count < r->o.threads; r->thread_count++)
        if (!thread_start(&r->threads[r->thread_count], "rules", rules_thread, r, e))
            return false;
    *out = TAKE(r);
    return true;
}

void rules_stop(struct rules *r)
{
    if (!r || !r->threads)
        return;
    mutex_lock(&r->mu);
    r->stopping = true;
    // relaxed: looked at now and then
    atomic_store_explicit(&r->cancelled, true, memory_order_relaxed);
    cond_wake_all(&r->wake);
    mutex_unlock(&r->mu);
    for (unsigned i = 0; i < r->thread_count; i++)
        thread_join(&r->threads[i]);
    r->thread_count = 0;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    rules_stop(r);
    drop_prepared(r);
    vec_fini(&r->prepared);
    for (size_t i = 0; i < r->entries.n; i++) {
        eval_group_free(r->entries.v[i]->group);
        xfree(r->entries.v[i]);
    }
    vec_fini(&r->entries);
    vec_fini(&r->shares);
    prom_config_put(r->config);
    cond_fini(&r->wake);
    cond_fini(&r->idle);
    mutex_fini(&r->mu);
    xfree(r->threads);
    xfree(r);
}
