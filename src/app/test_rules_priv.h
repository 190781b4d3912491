/*
 * test_rules_priv.h - what the files of app/test_rules share: test files, rules with their state.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/rules.h"
#include "query/memory_source.h"
#include "query/query.h"

/* ---- the test file ---- */

struct input_series {
    struct str series, values;
};
struct alert_case {
    int64_t eval_time_ms;
    struct str alertname;
    struct conf_list exp_alerts; // struct alert_expected
};
struct alert_expected {
    struct conf_map labels, annotations;
};
struct expr_case {
    struct str expr;
    int64_t eval_time_ms;
    struct conf_list exp_samples; // struct sample_expected
};
struct sample_expected {
    struct str labels;
    double value;
    struct str histogram; // not empty: value does not count
};
struct test_group {
    int64_t interval_ms;
    struct conf_list input_series, alert_tests, expr_tests;
    struct conf_map external_labels;
    struct str external_url, name;
    struct str start_timestamp;
    int64_t start_ms; // from start_timestamp
};
struct test_file {
    struct conf_strs rule_files;
    int64_t evaluation_interval_ms;
    struct conf_strs group_eval_order;
    struct conf_list tests; // struct test_group
    bool fuzzy_compare;
};
// Reads a test file; everything lives in the arena. *error: the whole text on failure.
MUST_CHECK bool test_file_read(struct arena *a, const char *path, struct test_file *out,
                               struct str *error);

/* ---- rules with state ---- */

enum alert_state { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };
struct alert {
    struct labels labels, annotations;
    enum alert_state state;
    int64_t active_ms, resolved_ms, keep_since_ms; // INT64_MIN: not
    bool seen;                                     // in the evaluation at hand
};
struct live_rule {
    const struct rule *rule;
    struct labels labels, annotations; // as configured: templates
    VEC(struct alert) alerts;
    struct labels *previous; // series of the evaluation before
    size_t previous_n;
    struct str error; // of the last evaluation; empty: none
};
struct live_group {
    const struct rule_group *group;
    struct live_rule *rules;
    size_t rule_count;
    int64_t order; // group_eval_order
};
struct live {
    struct arena *arena;   // of the test group
    struct arena *scratch; // of this evaluation and the next: two arenas take turns
    struct memory_source *memory;
    struct query_engine engine;
    struct live_group *groups;
    size_t group_count;
    const struct test_group *test; // external labels and URL, for templates
};
// Evaluates all rules of a group at a time, one after the other, and stores what they make.
void live_group_eval(struct live *l, struct live_group *g, int64_t t_ms);
// A query at a time; *out lives in the scratch arena. *error: the whole text on failure.
MUST_CHECK bool live_query(struct live *l, struct str text, int64_t t_ms, struct query_result *out,
                           struct str *error);

/* ---- differences ---- */

struct alert_list {
    VEC(struct alert) v;
};
// Two lists of alerts as JSON, what differs marked in colours: for --diff. In the arena.
struct str alert_diff(struct arena *a, const struct alert_list *want, const struct alert_list *got);

/* ---- templates: the forms that need no engine ---- */

struct template_data {
    struct labels labels;
    double value;
    const struct test_group *test;
};
/*
 * Expands text, {{ $labels.x }}, {{ $value }}, {{ $externalLabels.x }} and {{ $externalURL }}, also
 * in their dotted forms. Anything else becomes an error text and is said on stderr.
 */
struct str template_expand(struct arena *a, struct str text, const struct template_data *d);
