/*
 * query_binary_priv.h - what operators with a scalar and between vectors share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "query/query_priv.h"

enum binary_note {
    NOTE_NOTHING,
    NOTE_FLOAT_FLOAT, // types that do not go together
    NOTE_FLOAT_HIST,
    NOTE_HIST_FLOAT,
    NOTE_HIST_HIST,
    NOTE_COLLISION_ADD,
    NOTE_COLLISION_SUB,
    NOTE_BOUNDS_ADD,
    NOTE_BOUNDS_SUB,
    NOTE_LAYOUT,
    NOTE_BINARY_COUNT,
};

struct binary_notes {
    struct query *q;
    const struct promql_node *node;
    size_t n;      // steps
    uint8_t *last; // per step; NULL: none so far
};
void binary_note(struct binary_notes *k, size_t step, enum binary_note note);
void binary_notes_flush(struct binary_notes *k); // into the query's annotations

struct binary_value {
    double v;
    const struct histogram *hist;
    bool keep; // comparison: it holds
    bool ok;   // the types go together
    enum binary_note note;
};
// l op r; comparisons give l. New histograms live in a.
struct binary_value binary_pair(struct arena *a, enum promql_op op, double lv,
                                const struct histogram *lh, double rv, const struct histogram *rh);
void binary_floats(enum promql_op op, const double *l, const double *r, double *out, size_t n);
// The result means something else than the operands: arithmetic.
bool binary_changes_metric(enum promql_op op);
