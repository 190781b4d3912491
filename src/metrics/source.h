/*
 * source.h - what the query engine reads from: snapshots of series and their samples.
 *
 * Two stages, as STORE says: select gives the matching series with their labels
 * before any value is read; scan then visits their samples in storage order, so
 * that a page is decoded once. Implemented by metrics/ over the store, and by
 * small in-memory sources in tests. A view is one snapshot: the same questions
 * get the same answers until it is put. All calls on one view may come from
 * several threads at once.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/budget.h"
#include "model/matcher.h"
#include "model/sample.h"

struct series_entry {
    struct labels labels;       // borrowed from the view
    struct hash128 fingerprint; // identity within the tenant
    uint64_t ref;               // the source's own handle
};

struct series_set {
    struct series_entry *v; // in storage order
    size_t n;
};

struct select_query {
    const struct matcher *matchers; // at least one
    size_t matcher_count;
    int64_t min_ms, max_ms; // both inclusive; series without rows near it may be left out
    size_t limit;           // 0: none; for the series API
    struct str label;       // label_strings: whose values; empty: the names of labels
};

struct scan_query {
    const uint32_t *pick; // positions in the set to visit, ascending; NULL: all of them
    size_t pick_count;
    int64_t min_ms, max_ms; // samples with min_ms <= t <= max_ms
    bool need_start;        // fill start_ms where known
    bool times_only;        // values that are no NaN may come as 0
};

/*
 * Called once per picked series that has samples, with all of them in range; arrays are valid
 * during the call only. pos: position in the series_set. False with *e set stops the scan.
 */
typedef bool (*scan_fn)(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e);

struct series_view;
struct series_exemplars {
    struct labels series;
    const struct exemplar *v;
    size_t n;
};

struct series_view_ops {
    bool (*select)(struct series_view *v, const struct select_query *q, struct arena *a,
                   struct budget *b, struct series_set *out, struct err *e);
    bool (*scan)(struct series_view *v, const struct series_set *set, const struct scan_query *q,
                 struct budget *b, scan_fn visit, void *ctx, struct err *e);
    // Sorted names or values of one label (q->label), of series that match (no matcher: all).
    // limit 0: none; with it *out_n may be limit + 1, which tells that there are more.
    bool (*label_strings)(struct series_view *v, const struct select_query *q, struct arena *a,
                          struct budget *b, struct str **out, size_t *out_n, struct err *e);
    bool (*exemplars)(struct series_view *v, const struct select_query *q, struct arena *a,
                      struct budget *b, struct series_exemplars **out, size_t *out_n,
                      struct err *e);
    // What the answers given so far lack, and why: files that are damaged. NULL: never anything.
    size_t (*warnings)(struct series_view *v, struct arena *a, struct str **out);
    void (*put)(struct series_view *v);
};
struct series_view {
    const struct series_view_ops *ops;
};
static inline void series_view_put(struct series_view *v)
{
    if (v)
        v->ops->put(v);
}
OWN_DEFINE(struct series_view *, series_view_put)

// Warnings to send with an answer: ask after the last select or scan. Arena memory; v may be NULL.
static inline size_t series_view_warnings(struct series_view *v, struct arena *a, struct str **out)
{
    return v && v->ops->warnings ? v->ops->warnings(v, a, out) : 0;
}

struct series_source {
    // Takes a snapshot that is good for [min_ms, max_ms].
    bool (*open)(struct series_source *s, int64_t min_ms, int64_t max_ms, struct series_view **out,
                 struct err *e);
};
