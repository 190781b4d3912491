/*
 * test_rules_priv.h - what the files of app/test_rules share: test files, rules with their state.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/rules.h"
#include "query/memory_source.h"
#include "query/query.h"
#include "rules/eval.h"

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

struct live_group {
    struct eval_group *group;
    int64_t order; // group_eval_order
};
struct live {
    struct arena *scratch; // of this evaluation and the next: two arenas take turns
    struct memory_source *memory;
    struct query_engine engine;
    struct eval_env env;
    struct live_group *groups;
    size_t group_count;
};
// Fills env: rules read from the memory and write into it.
void live_init(struct live *l, struct str external_url, struct labels external_labels);
// A query at a time; *out lives in the scratch arena. *error: the whole text on failure.
MUST_CHECK bool live_query(struct live *l, struct str text, int64_t t_ms, struct query_result *out,
                           struct str *error);

/* ---- differences ---- */

struct alert { // firing, or expected to
    struct labels labels, annotations;
};
struct alert_list {
    VEC(struct alert) v;
};
// Two lists of alerts as JSON, what differs marked in colours: for --diff. In the arena.
struct str alert_diff(struct arena *a, const struct alert_list *want, const struct alert_list *got);
