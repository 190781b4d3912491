/*
 * eval_priv.h - what the files of rules/eval share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rules/eval.h"

// An evaluation of one rule.
struct eval_run {
    struct eval_group *group;
    struct eval_rule *rule;
    const struct eval_env *env;
    struct arena *arena;
    int64_t t_ns, sample_ms; // sample_ms: of queries and samples, earlier by the offset
    struct budget *budget;
    VEC(struct eval_row) rows; // in the arena
    struct str error;
};

// A query at a time, whose result is a vector or made one. False: run->error.
bool eval_query(struct eval_run *run, struct str text, int64_t t_ms, struct query_result *out);
// Fills rows, or fails with run->error.
bool eval_recording(struct eval_run *run);
bool eval_alerting(struct eval_run *run);
// Gives what is due to the sink.
void eval_send(struct eval_run *run);

void eval_alert_free(struct eval_alert *a);
// A copy of a set in one block of the heap; empty sets have none.
struct labels eval_labels_new(struct labels ls);
void eval_labels_free(struct labels ls);
void eval_series_free(struct eval_series *s);
// Rules by what depends on what; NULL: unknown, one after the other.
void eval_batches_make(struct eval_group *g, const struct rule_group *conf);
