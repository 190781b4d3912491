/*
 * rules.h - the rules of the server: files read, groups evaluated on their beat, state to look at.
 *
 * Groups are evaluated by a few threads, each group by one at a time; reloads keep groups that did
 * not change undisturbed, and the state of rules that did not. All functions are thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "rules/eval.h"

struct rules;

struct rules_options { // zero in a field means its default
    struct metrics_tenant *tenant;
    const struct query_engine *engine; // borrowed
    struct clock *clock;               // clock_real()
    struct str external_url;           // borrowed
    struct alert_sink *sink;           // borrowed; NULL: alerts are not sent
    int64_t outage_tolerance_ms, grace_period_ms, resend_delay_ms;
    int64_t query_timeout_ms;
    uint64_t query_memory_bytes;
    unsigned threads;          // 8
    unsigned concurrent_rules; // of all groups, besides one of each; 0: one after the other
};
MUST_CHECK bool rules_start(struct rules **out, const struct rules_options *o, struct err *e);
// Ends evaluations after the rule at hand. Writes no stale markers, as upstream. NULL is fine.
void rules_stop(struct rules *r);
void rules_free(struct rules *r); // stops, too; NULL is fine
OWN_DEFINE(struct rules *, rules_free)

/*
 * Reads the rule files of a configuration. On failure every problem is in the log with its place,
 * and *e has the first one. What is prepared waits for rules_apply() or another rules_prepare().
 */
MUST_CHECK bool rules_prepare(struct rules *r, struct prom_config *c, struct err *e);
// Takes what was prepared last.
void rules_apply(struct rules *r);

/* ---- looking at it ---- */

struct rules_alert {
    struct labels labels, annotations;
    enum alert_state state;
    int64_t active_ns, keep_since_ns; // EVAL_NEVER: not
    double value;
};
struct rules_rule {
    bool alerting;
    struct str name, query;
    int64_t for_ms, keep_firing_for_ms;
    struct labels labels, annotations;
    enum alert_state state; // of alerting rules
    enum eval_health health;
    struct str error;
    int64_t duration_ns, evaluated_ns; // EVAL_NEVER: not yet
    struct rules_alert *alerts;        // pending and firing ones
    size_t alert_count;
};
struct rules_group {
    struct str name, file;
    int64_t interval_ms, limit, query_offset_ms;
    bool has_query_offset;
    int64_t duration_ns, evaluated_ns; // EVAL_NEVER: not yet
    struct rules_rule *rules;
    size_t rule_count;
};
struct rules_info {
    struct rules_group *groups; // by file, then name
    size_t n;
};
// A copy of everything, in the arena. no_alerts: rules without their alerts.
void rules_info(struct rules *r, bool no_alerts, struct arena *a, struct rules_info *out);
