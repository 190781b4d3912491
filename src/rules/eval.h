/*
 * eval.h - groups of rules with their state, evaluated at given times.
 *
 * Knows no schedule and no files: the manager (rules.h) evaluates groups when they are due, tests and
 * back-tests when they like. What a rule reads and writes comes as functions. Source: Prometheus
 * 3.15, rules/.
 *
 * Threads: a group is evaluated by one thread at a time, which may share the rules of a batch
 * with others; anybody may read state under the group's mutex.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/map.h"
#include "base/thread.h"
#include "config/rules.h"
#include "metrics/metrics.h"
#include "model/alert_sink.h"
#include "query/query.h"
#include "template/tmpl_prometheus.h"

#define EVAL_NEVER            ALERT_NO_TIME
#define EVAL_KEEP_RESOLVED_NS (INT64_C(15) * 60 * NS_SECOND)

enum alert_state { ALERT_UNKNOWN, ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };
const char *alert_state_name(enum alert_state s); // "unknown", "inactive" …

struct eval_alert {
    struct labels labels, annotations; // blocks of their own
    uint64_t hash;                     // of labels
    enum alert_state state;
    double value;
    // EVAL_NEVER: not
    int64_t active_ns, fired_ns, resolved_ns, keep_since_ns, last_sent_ns, valid_until_ns;
    bool seen; // in the evaluation at hand
};

// A series that a rule made: what is missing next time is marked stale.
struct eval_series {
    struct labels labels; // a block of its own
    uint64_t hash;
    struct series_ref ref; // of the store
    uint64_t epoch;        // evaluation that made it last
};

enum eval_health { EVAL_UNKNOWN, EVAL_GOOD, EVAL_BAD };

struct eval_rule {
    bool alerting;
    struct str name, expr; // expr: as it prints
    int64_t for_ms, keep_firing_for_ms;
    struct labels labels, annotations; // as configured: templates
    struct tmpl_alert **label_text, **annotation_text;
    struct pos pos; // in its file
    // state, under the group's mutex
    VEC(struct eval_alert *) active;
    struct map by_labels; // of active
    enum eval_health health;
    struct buf error;                  // of the last evaluation; empty: none
    int64_t duration_ns, evaluated_ns; // EVAL_NEVER: not yet
    bool restored;                     // or nothing to restore: its series are written
    // state of the evaluating thread
    VEC(struct eval_series *) series;
    struct map by_series;
    uint64_t epoch;
};

// Rules that may be evaluated at once; batches follow each other.
struct eval_batch {
    uint32_t *rule;
    size_t n;
};

struct eval_group {
    struct arena arena;                    // of what is configured
    struct str file, name, key, signature; // key: file;name. Equal signatures: the same rules
    int64_t interval_ms, query_offset_ms, limit;
    bool has_query_offset;
    struct eval_rule *rules;
    size_t rule_count;
    struct eval_batch *batches; // NULL: one after the other
    size_t batch_count;
    struct mutex mu;
    int64_t duration_ns, evaluated_ns, slot_ns; // under mu; of the last evaluation
    VEC(struct eval_series *) stale;            // of rules that are gone: to be marked
    bool restore;                               // `for` is to be restored
    size_t samples;                             // of the last evaluation
};

struct eval_row {
    struct labels labels;
    struct series_ref *ref; // kept from one evaluation to the next
    int64_t t_ms;
    double value;
    const struct histogram *hist; // NULL: value counts
};

/*
 * Stores rows; status[i] receives enum append_status. Rows refused for order do not fail the call.
 */
typedef bool (*eval_append_fn)(void *ctx, struct eval_row *v, size_t n, uint8_t *status,
                               struct err *e);

struct eval_env { // zero in a field means its default
    const struct query_engine *engine;
    struct series_source *source;
    eval_append_fn append;
    void *append_ctx;
    struct clock *clock; // for durations and deadlines; NULL: none are measured
    struct str external_url;
    struct labels external_labels;
    struct alert_sink *sink; // NULL: alerts are not sent
    int64_t query_offset_ms; // of groups without their own
    int64_t resend_delay_ms, outage_tolerance_ms, grace_period_ms;
    int64_t query_timeout_ms; // 0: none
    uint64_t query_memory_bytes;
    bool quiet;                   // nothing is logged
    const atomic_bool *cancelled; // set: running queries end; NULL: never
    // Called for each rule that was evaluated; NULL: nobody asks.
    void (*evaluated)(void *ctx, const struct eval_group *g, bool failed, int64_t duration_ns);
    void *evaluated_ctx;
};

/*
 * The group as a file has it. interval_ms: of groups without their own; restore: `for` comes from
 * stored series. The file may be freed.
 */
struct eval_group *eval_group_new(struct str file, const struct rule_group *g, int64_t interval_ms,
                                  bool restore);
void eval_group_free(struct eval_group *g); // NULL is fine
OWN_DEFINE(struct eval_group *, eval_group_free)

// Evaluates all rules at a time, batch after batch, on this thread.
void eval_group_run(struct eval_group *g, const struct eval_env *env, int64_t t_ns);
// One rule of it: for threads that share a batch. Returns the count of samples made.
size_t eval_rule_run(struct eval_group *g, struct eval_rule *r, const struct eval_env *env,
                     int64_t t_ns);
// The end of an evaluation whose rules were run one by one: markers of rules that are gone.
void eval_group_finish(struct eval_group *g, const struct eval_env *env, int64_t t_ns);
// What its series and those of gone rules have: stale markers. Before it is freed for good.
void eval_group_mark_stale(struct eval_group *g, const struct eval_env *env, int64_t t_ns);
// Takes over the state of rules with equal names and labels; the others' series become stale.
void eval_group_adopt(struct eval_group *g, struct eval_group *from);
// Restores `for` from the series ALERTS_FOR_STATE; see the flags --rules.alert.*.
void eval_group_restore(struct eval_group *g, const struct eval_env *env, int64_t now_ns);
// The last slot at or before now: slots of groups are spread over the interval by their hash.
int64_t eval_group_slot(const struct eval_group *g, int64_t now_ns);
int64_t eval_group_offset_ms(const struct eval_group *g, const struct eval_env *env);

// The highest state of its alerts. Under the group's mutex.
enum alert_state eval_rule_state(const struct eval_rule *r);
// Appends through the store's batches: for eval_env.append. ctx: struct metrics_tenant.
bool eval_append_metrics(void *ctx, struct eval_row *v, size_t n, uint8_t *status, struct err *e);
