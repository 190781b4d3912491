/*
 * metric.h - the program's own metrics: counters, gauges, histograms; read by /metrics and self-scrape.
 *
 * Families are registered once, by name, and live for the process. Values are
 * atomics: adding costs a few ns and no lock. A family with labels has children
 * found by metric_child() (a lock; keep the pointer).
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/base.h"

// A summary here has count and sum, no quantiles.
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUMMARY };

struct metric_family;
struct metric; // one child

// Registers a family, or returns the one of that name; kind and label names must then be equal.
// name, help and label names are borrowed for ever: constants. Thread-safe.
struct metric_family *metric_family(const char *name, const char *help, enum metric_kind kind,
                                    const char *const *label_names, size_t label_count);
// The child with these values, one per label name in their order; created at zero. Values are
// copied. Lives for the process: the caller bounds how many there are.
struct metric *metric_child(struct metric_family *f, const struct str *label_values);
// A family without labels and its only child in one step.
struct metric *metric_plain(const char *name, const char *help, enum metric_kind kind);
// Histograms: upper bounds, ascending (+Inf implied), borrowed for ever; at most 62.
struct metric_family *metric_histogram_family(const char *name, const char *help,
                                              const double *bounds, size_t n,
                                              const char *const *label_names, size_t label_count);
// A histogram without labels, bounds as in metric_histogram_family().
struct metric *metric_histogram(const char *name, const char *help, const double *bounds, size_t n);

void metric_add(struct metric *m, double v); // counter, gauge
void metric_set(struct metric *m, double v); // gauge
// Counts v in its bucket of a histogram, or in count and sum of a summary.
void metric_observe(struct metric *m, double v);
// The value of a counter or gauge, the sum of a histogram or summary.
double metric_get(const struct metric *m);

// A gauge or counter that is computed when read.
void metric_on_read(const char *name, const char *help, enum metric_kind kind,
                    double (*read)(void *ctx), void *ctx);

struct metric_sample {
    struct str family, help; // of the family
    enum metric_kind kind;
    const char *const *label_names;
    const struct str *label_values;
    size_t label_count;
    double value;           // counter, gauge; sum of a histogram or summary
    uint64_t count;         // histogram, summary
    const double *bounds;   // histogram: bound_count bounds and bound_count + 1 counts
    const uint64_t *counts; // not cumulative
    size_t bound_count;
};
// Visits all children, family by family in order of name.
void metric_each(void (*visit)(void *ctx, const struct metric_sample *s), void *ctx);
