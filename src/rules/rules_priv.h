/*
 * rules_priv.h - what the files of rules/rules share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/metric.h"
#include "rules/rules.h"

struct rules_group_metrics {
    struct metric *missed, *iterations, *evaluations, *failures, *interval, *last_time,
        *last_duration, *rule_duration_sum, *last_restore, *rules, *samples;
};
struct rules_metrics {
    struct metric *evaluation_seconds, *evaluation_histogram, *iteration_seconds,
        *iteration_histogram;
};

// A group on its beat.
struct rules_entry {
    struct eval_group *group;
    struct rules_group_metrics metrics;
    int64_t slot_ns;     // of the next evaluation; wall clock
    int64_t due_mono_ns; // when that is
    unsigned iterations;
    bool running;       // a thread has it; under mu of the rules
    bool retired;       // gone from the files: marks its series stale when due, and ends
    int64_t retired_ns; // when it went
    bool keep;          // during rules_apply()
};

// A batch of rules that several threads work on.
struct rules_share {
    struct rules_entry *entry;
    const struct eval_env *env;
    const struct eval_batch *batch;
    int64_t t_ns;
    size_t next, done, samples; // under mu
};

struct rules {
    struct rules_options o;
    struct eval_env env; // without what the configuration says
    struct rules_metrics metrics;
    atomic_bool cancelled; // running queries are to end
    struct mutex mu;       // guards what follows
    struct cond wake, idle;
    VEC(struct rules_entry *) entries;
    VEC(struct rules_share *) shares;
    unsigned helpers; // threads that help with shares
    struct prom_config *config, *prepared_config;
    VEC(struct eval_group *) prepared;
    bool applied; // once at least: groups that come later restore nothing
    bool stopping;
    struct thread *threads;
    unsigned thread_count;
};

void rules_metrics_make(struct rules *r);
struct rules_group_metrics rules_group_metrics_make(const struct eval_group *g);
void *rules_thread(void *ctx);
// Waits until no thread has the entry. Under mu.
void rules_wait_idle_locked(struct rules *r, const struct rules_entry *entry);
int64_t rules_wall_ns(const struct rules *r);
// Sets when the entry is due, from its slot.
void rules_schedule(const struct rules *r, struct rules_entry *entry);
