/*
 * metrics.h - the metric store of one data directory: tenants, appending, snapshots, upkeep.
 *
 * Appending is batch-wise: resolve series to refs (cached by the caller or by raw
 * bytes), add rows, commit. A commit is acknowledged after the log has it; see
 * STORE in docs/. Reading goes through series_source (source.h). All functions are
 * thread-safe unless said otherwise; a batch belongs to one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/time.h"
#include "metrics/source.h"
#include "model/histogram.h"

struct metrics;
struct metrics_tenant;

struct metrics_options {            // zero in a field means its default
    const char *path;               // data directory, created if absent; borrowed during open
    struct clock *clock;            // clock_real()
    unsigned shards;                // power of two; 0: by CPUs, at least 2
    int64_t retention_ms;           // 15 d; INT64_MAX: for ever
    uint64_t retention_bytes;       // none
    int64_t out_of_order_window_ms; // 0
    uint64_t cache_bytes;           // page cache; 5 % of memory, at least 16 MiB
    uint64_t tail_bytes_max;        // rows in memory before early flushes
    uint64_t exemplars_max;         // per tenant; 100000
    int64_t sync_interval_ms;       // of the logs, and of trying again what failed; 1 s
    bool sync_always;               // fdatasync before every acknowledgement
    bool drop_passed;               // agent: keep no rows that all cursors of the feed have passed
    bool no_background;             // tests: flush and merge only when asked; no reserve
    bool leave_logs;                // tests: closing flushes nothing, as after a kill
};

MUST_CHECK bool metrics_open(struct metrics **out, const struct metrics_options *o, struct err *e);
void metrics_close(struct metrics *m); // flushes for at most 5 s, else leaves the logs
OWN_DEFINE(struct metrics *, metrics_close)

// The tenant, created when absent. "anonymous" is the default one. Lives as long as m.
MUST_CHECK bool metrics_tenant(struct metrics *m, struct str name, struct metrics_tenant **out,
                               struct err *e);
// The tenant if there is one by that name, else NULL.
struct metrics_tenant *metrics_tenant_find(struct metrics *m, struct str name);
// Calls visit for every tenant, in order of their opening; none may be opened meanwhile.
void metrics_tenant_each(struct metrics *m, void (*visit)(void *ctx, struct metrics_tenant *t),
                         void *ctx);
const char *metrics_tenant_name(const struct metrics_tenant *t);
struct metrics_tenant_settings {
    int64_t retention_ms;           // 0: the store's own
    int64_t out_of_order_window_ms; // −1: the store's own
};
// Acts from the next batch and the next look at retention on.
void metrics_tenant_set(struct metrics_tenant *t, const struct metrics_tenant_settings *s);
uint64_t metrics_tenant_series(struct metrics_tenant *t); // active ones
struct series_source *metrics_source(struct metrics_tenant *t);

/* ---- appending ---- */

// Handle of a live series: stays valid across partitions; may go stale after 2 h without rows.
struct series_ref {
    uint32_t slot;       // shard in the low bits
    uint32_t generation; // 0: no ref
};

enum append_status {
    APPEND_OK,
    APPEND_DUPLICATE, // same time, other value: "duplicate sample for timestamp"
    APPEND_OUT_OF_ORDER,
    APPEND_TOO_OLD,   // out of bounds
    APPEND_TOO_NEW,   // more than 10 min ahead
    APPEND_STALE_REF, // resolve again from the labels and repeat
    APPEND_LIMIT,     // a limit refused the new series
    APPEND_STATUS_COUNT,
};
const char *append_status_text(enum append_status s); // upstream's words

struct append_batch;
struct append_stats {
    uint64_t rows[APPEND_STATUS_COUNT];
    uint64_t series_added;
};

// A batch becomes visible and durable whole. Reusable after commit or reset.
struct append_batch *append_batch_new(struct metrics_tenant *t);
void append_batch_free(struct append_batch *b);
OWN_DEFINE(struct append_batch *, append_batch_free)
void append_batch_reset(struct append_batch *b);
// Rows of any age are taken, in any order: for imports of history. Stays until called again.
void append_batch_any_age(struct append_batch *b, bool on);

/*
 * Resolves a label set, registering a new series if needed. ERR_INVALID: too many labels or bytes.
 */
MUST_CHECK bool append_resolve(struct append_batch *b, struct labels ls, struct series_ref *out,
                               struct err *e);
// A label set that has rows already, as append_resolve() would give it; nothing is registered.
bool append_known(struct append_batch *b, struct labels ls, struct series_ref *out);
/*
 * The push side's shortcut: `key` is a keyed 128-bit hash of the raw label bytes of a request.
 * False: unknown, resolve from labels and remember with append_alias.
 */
bool append_find(struct append_batch *b, struct hash128 key, struct series_ref *out);
enum { APPEND_FIND_MAX = 64 };
// The same for up to APPEND_FIND_MAX keys at once; out[i] has generation 0 where it is unknown.
void append_find_many(struct append_batch *b, const struct hash128 *key, size_t n,
                      struct series_ref *out);
void append_alias(struct append_batch *b, struct hash128 key, struct series_ref ref);
bool append_ref_is_live(struct append_batch *b, struct series_ref ref);
// Labels of a live ref, copied into the arena. False: stale.
bool append_labels(struct append_batch *b, struct series_ref ref, struct arena *a,
                   struct labels *out);

// Rows are only collected here; checks against what is stored happen at commit.
void append_float(struct append_batch *b, struct series_ref ref, int64_t t_ms, double v);
void append_start(struct append_batch *b, int64_t start_ms); // start time of the row added last
void append_histogram(struct append_batch *b, struct series_ref ref, int64_t t_ms,
                      const struct histogram *h); // copied
void append_exemplar(struct append_batch *b, struct series_ref ref, const struct exemplar *x);
size_t append_rows(const struct append_batch *b);

/*
 * Commits and waits until the log has the batch. *stats: what became of the rows. Rows refused for
 * order do not fail the call. ERR_UNAVAILABLE: overload or full disk (answer 503); nothing of the
 * batch may be called stored then.
 * status: NULL, or append_rows(b) bytes that receive enum append_status per row.
 */
MUST_CHECK bool append_commit(struct append_batch *b, struct append_stats *stats, uint8_t *status,
                              struct err *e);

/* ---- deleting ---- */

struct metrics_delete {
    const struct matcher *matchers; // at least one; all must match
    size_t matcher_count;
    int64_t min_ms, max_ms; // both inclusive
};
/*
 * Hides what is stored now of matching series in the time range: at once for readers, over kills,
 * and not what is stored later. Space comes back with merges, or metrics_clean().
 */
MUST_CHECK bool metrics_delete(struct metrics_tenant *t, const struct metrics_delete *d,
                               struct err *e);
MUST_CHECK bool metrics_clean(struct metrics *m, struct err *e); // rewrites parts with hidden rows

/* ---- metadata ---- */

void metrics_meta_set(struct metrics_tenant *t, const struct metric_meta *meta);
void metrics_meta_each(struct metrics_tenant *t,
                       void (*visit)(void *ctx, const struct metric_meta *m), void *ctx);

/* ---- upkeep and figures ---- */

MUST_CHECK bool metrics_flush(struct metrics *m, struct err *e);  // all tails to parts, now
MUST_CHECK bool metrics_merge(struct metrics *m, struct err *e);  // all due merges, now
MUST_CHECK bool metrics_retain(struct metrics *m, struct err *e); // drops what retention says
/*
 * Rotates, flushes and hard-links everything a manifest lists into dir (below path/snapshots/).
 * name: at least 64 bytes, receives the snapshot's folder name.
 */
MUST_CHECK bool metrics_snapshot(struct metrics *m, bool skip_head, char *name, struct err *e);

struct metrics_stats {
    uint64_t series_active, series_created, rows_appended, rows_tail, log_bytes, part_bytes,
        catalog_bytes, parts, partitions, flushes, merges, corruptions;
    uint64_t rows_refused[APPEND_STATUS_COUNT];
    int64_t min_ms, max_ms; // of stored samples; INT64_MAX, INT64_MIN when empty
    uint64_t replayed_rows;
    int64_t replay_ms;
};
void metrics_stats(struct metrics *m, struct metrics_stats *out);

struct metrics_top {
    struct str name;
    uint64_t value;
};
struct metrics_cardinality { // of the newest partition; each list is sorted, longest first
    uint64_t series, label_pairs;
    struct metrics_top *by_metric, *by_label, *bytes_by_label, *by_pair;
    size_t by_metric_n, by_label_n, bytes_by_label_n, by_pair_n;
};
MUST_CHECK bool metrics_cardinality(struct metrics_tenant *t, size_t limit, struct arena *a,
                                    struct metrics_cardinality *out, struct err *e);
