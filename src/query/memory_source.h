/*
 * memory_source.h - a series source in memory, for tests and `vigie test`.
 *
 * Series come in the order of their first sample. Samples of one series may be added in any
 * order of time; of two at one time the first stays. Reading while adding is not allowed.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "metrics/source.h"

struct memory_source;
struct memory_source *memory_source_new(void);
void memory_source_free(struct memory_source *m);
OWN_DEFINE(struct memory_source *, memory_source_free)
void memory_source_clear(struct memory_source *m);

struct memory_sample {
    int64_t t_ms, start_ms; // start_ms 0: unknown
    double value;
    const struct histogram *hist; // copied; NULL: value
};
/*
 * Adds samples of one series. Histograms get the hint that a storage of chunks would give back:
 * "not reset" where one continues the one before, "gauge" for gauges, else "unknown".
 */
void memory_source_add(struct memory_source *m, struct labels labels, const struct memory_sample *v,
                       size_t n);
struct series_source *memory_source_view(struct memory_source *m); // as a source; borrowed
