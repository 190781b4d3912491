/*
 * exemplar.h - the newest exemplars of a tenant: a bounded ring in memory.
 *
 * Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/budget.h"
#include "base/hash.h"
#include "metrics/source.h"

struct exemplars;

struct exemplars *exemplars_new(size_t max); // 0: none are kept
void exemplars_free(struct exemplars *x);
// Copies. An exemplar equal to the series' last one is left out, as is one older than it.
void exemplars_add(struct exemplars *x, struct hash128 fingerprint, const struct exemplar *ex);
// Those of one series within the times, ascending; in the arena.
struct exemplar *exemplars_of(struct exemplars *x, struct hash128 fingerprint, int64_t min_ms,
                              int64_t max_ms, struct arena *a, size_t *n);

// Exemplars taken so far.
uint64_t exemplars_serial(struct exemplars *x);
struct exemplar_news {
    struct hash128 fingerprint;
    struct exemplar x;
};
// Those from number *serial on that are still there, oldest first, at most max; *serial moves behind.
size_t exemplars_since(struct exemplars *x, uint64_t *serial, size_t max, struct arena *a,
                       struct exemplar_news **out);
