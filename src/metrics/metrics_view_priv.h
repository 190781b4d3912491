/*
 * metrics_view_priv.h - a snapshot of a tenant's series, as metrics_read.c and metrics_scan.c share it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "metrics/metrics_priv.h"

struct view_span {
    struct span *s;         // referenced
    struct span_view *rows; // referenced
    struct catalog_view *catalog;
};

struct metrics_view {
    struct series_view base; // first
    struct metrics_tenant *tenant;
    struct arena arena;
    struct batch_view batches;
    struct view_span *spans; // by time
    size_t span_count;
    struct mutex warnings_mu; // guards what follows
    struct arena warnings_arena;
    VEC(struct str) warnings; // each once
    bool warnings_left_out;
};

// Where a series has rows: one id in one span, packed, or a list when there are several.
struct series_loc {
    uint32_t span, id;
};
struct series_locs {
    uint32_t n, cap;
    struct series_loc *v; // in order of joining: newer spans first
};
#define LOC_INLINE (UINT64_C(1) << 63)
static inline uint64_t loc_pack(uint32_t span, uint32_t id)
{
    return LOC_INLINE | (uint64_t)span << 32 | id;
}
// The places of an entry; *one is room for a packed one.
static inline const struct series_loc *entry_locs(const struct series_entry *x,
                                                  struct series_loc *one, uint32_t *n)
{
    const struct series_locs *l;

    if (x->ref & LOC_INLINE) {
        *one = (struct series_loc){ (uint32_t)(x->ref >> 32) & 0x7fffffff, (uint32_t)x->ref };
        *n = 1;
        return one;
    }
    l = (const struct series_locs *)(uintptr_t)x->ref;
    *n = l->n;
    return l->v;
}

/* ---- metrics_damage.c ---- */

// Notes once that the view's answers lack something; counts and logs it.
void view_damage(struct metrics_view *v, const char *what, struct str file, const struct err *why);
// The tenant's known damages that touch the times, into a view not yet published. Under snapshot_mu.
void view_damages_locked(struct metrics_view *v, int64_t min_ms, int64_t max_ms);
size_t metrics_view_warnings(struct series_view *v, struct arena *a, struct str **out);

/* ---- metrics_scan.c ---- */

bool metrics_view_scan(struct series_view *v, const struct series_set *set,
                       const struct scan_query *q, struct budget *b, scan_fn visit, void *ctx,
                       struct err *e);
