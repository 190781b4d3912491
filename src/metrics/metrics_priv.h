/*
 * metrics_priv.h - what the files of the metric store share.
 *
 *   metrics.c          opening, tenants, figures
 *   metrics_span.c     a partition at run time: catalog, logs, tails, parts, views
 *   metrics_batch.c    collecting a batch; resolving series
 *   metrics_commit.c   binding, order checks, copying rows, waiting for the log
 *   metrics_repeat.c   repeated rows among those refused for order
 *   metrics_replay.c   recovery
 *   metrics_flush.c    tails to parts, freezing of catalog segments
 *   metrics_merge.c    merging parts, closing partitions
 *   metrics_mask.c     deleting
 *   metrics_upkeep.c   background threads, retention, disk room
 *   metrics_snapshot.c hard-linked copies
 *   metrics_read.c     views: select, label strings
 *   metrics_scan.c     views: samples
 *   metrics_damage.c   what answers lack
 *   feed_priv.h        cursors of the change feed, and what they hold back
 *
 * Locks, outer first: create_mu, span.merge_mu, span.work_mu, span.open_mu (held over I/O, each guarding a rare
 * act); shard.mu; catalog; span.mu; tenant.snapshot_mu; leaves.
 *
 * Invariants beyond STORE's: a span's tails, sorted by sequence, and its parts are what its
 * published view holds; `head[i]` changes only under shard i's mutex and span.mu; sequence numbers
 * are log numbers, so they ascend over all shards of a partition.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/file.h"
#include "base/thread.h"
#include "base/vec.h"
#include "metrics/exemplar.h"
#include "metrics/metadata.h"
#include "metrics/metric_part.h"
#include "metrics/metrics.h"
#include "metrics/slot.h"
#include "metrics/tail.h"
#include "store/catalog.h"
#include "store/log_writer.h"
#include "store/page_cache.h"
#include "store/partition.h"

enum {
    METRICS_SHARDS_MAX = 16,
    METRICS_TAG_OFFSET_DAYS = 8192,    // tag of a span: days since 1970 of its start plus this
    METRICS_CREATE_MAX = 64,           // new partitions per tenant and minute
    METRICS_CREATE_HISTORY_MAX = 4096, // the same, for batches of any age
    METRICS_SLICES = 32,
    RANK_RETAIN = RANK_APP + 1,
    RANK_CREATE = RANK_APP + 2,
    RANK_MERGE = RANK_APP + 3,
    RANK_WORK = RANK_APP + 4,
    RANK_OPEN = RANK_APP + 5,
    RANK_FEEDS = RANK_APP + 6,
    RANK_SPAN = RANK_CATALOG + 5,
};

struct metrics_shard {
    struct mutex mu; // guards slots, and head[this shard] of all spans
    struct slots slots;
    uint32_t hand; // of the sweep
};

struct span_part {
    struct metric_part *part; // referenced
    struct manifest_part info;
};

struct span_mask { // hides rows of parts with smaller numbers
    _Atomic uint32_t refs;
    uint64_t number;
    int64_t min_ms, max_ms; // both inclusive
    struct arena arena;
    struct matcher *matchers;
    size_t matcher_count;
};

// What a reader sees of a partition: immutable.
struct span_view {
    _Atomic uint32_t refs;
    size_t tail_count, part_count, mask_count;
    struct tail **tails;      // by sequence; referenced
    struct span_part *parts;  // by sequence
    struct span_mask **masks; // by number; referenced
};

struct late_entry { // a series with rows here that has moved on to a newer partition
    struct hash128 fingerprint;
    uint32_t id;
};

struct span {
    _Atomic uint32_t refs;
    struct metrics_tenant *tenant;
    struct partition *store;
    char *name;
    int64_t min_ms, max_ms; // [min, max)
    int64_t slice_ms;
    uint16_t tag;
    uint32_t shards;        // of its live logs and parts
    atomic_bool is_open;    // released when catalog and parts are there
    atomic_bool is_final;   // was closed: slices of its series count, late rows need new ids
    struct mutex merge_mu;  // held over merging and closing
    struct mutex work_mu;   // held over flushing and freezing
    int64_t close_after_ns; // under merge_mu: not before, after a failure
    int64_t merge_after_ns; // the merger thread\'s: likewise
    struct mutex open_mu;   // held while catalog, parts and logs are opened
    struct catalog *catalog;
    uint64_t catalog_log;   // number of the log that new series go to
    struct log_group *logs; // NULL until rows are to be appended

    struct mutex mu;    // guards what follows
    unsigned appenders; // batches between binding and copying
    bool is_dropped;
    VEC(struct log_stream *) catalog_streams; // oldest first
    VEC(struct tail *) tails;                 // by sequence; heads included
    VEC(struct span_part) parts;              // by (seq_from, number)
    VEC(struct span_mask *) masks;            // by number
    struct map late_map;
    VEC(struct late_entry) late;

    struct tail *head[METRICS_SHARDS_MAX]; // under the shard's mutex and mu; NULL: none
    struct span_view *view;                // under tenant->snapshot_mu
    _Atomic int64_t appended_mono_ns;
};

struct in_flight {
    uint64_t *v;
    size_t n, cap;
};

static inline uint32_t shard_of(struct hash128 fingerprint, uint32_t shards)
{
    return (uint32_t)(fingerprint.hi >> 56) & (shards - 1);
}

struct damage {              // what could not be opened, and the times it may have held
    const struct span *span; // NULL: of no span that is known
    int64_t min_ms, max_ms;  // both inclusive
    char *text;
};
struct damage_said { // to the log
    uint64_t file;   // hash of its path
    int64_t at_mono_ns;
};

struct feed;
struct feed_merge;
struct feeds {            // of a tenant; see feed_priv.h
    struct mutex list_mu; // held while the list is walked or changed, also over I/O
    struct mutex mu;      // a leaf; guards what follows and the places of cursors
    VEC(struct feed *) v; // changes under both
    struct feed_merge *merges;
    uint64_t epoch; // counts merges
};

struct metrics_tenant {
    struct series_source source; // first: a source is its tenant
    struct metrics *m;
    char *name, *path; // path: …/tenants/<name>/metrics
    uint64_t fingerprint_key, owner_key;
    unsigned shard_count, shard_bits;
    struct metrics_shard shard[METRICS_SHARDS_MAX];
    struct aliases aliases;
    struct mutex create_mu;   // held while a partition is created
    int64_t create_minute;    // under create_mu, with the counts
    unsigned created[2];      // by live batches; by those of any age, which must not starve them
    struct mutex snapshot_mu; // guards spans, their views, batch numbers
    struct cond batch_done;
    VEC(struct span *) spans; // by time
    uint64_t batch_last;
    struct in_flight in_flight;
    VEC(struct damage) damages;         // under snapshot_mu
    struct damage_said damage_said[32]; // under snapshot_mu
    _Atomic int64_t newest_ms;          // of accepted rows; INT64_MIN: none
    _Atomic int64_t retention_ms, out_of_order_window_ms;
    struct exemplars *exemplars;
    struct metadata *metadata;
    struct feeds feeds;
    _Atomic uint64_t series_created, rows_appended, rows_refused[APPEND_STATUS_COUNT];
};

struct metrics {
    struct metrics_options o;
    char *path;
    struct clock *clock;
    int lock_fd;
    struct page_cache *cache;
    struct log_writer *writer;
    struct mutex mu; // guards tenants
    VEC(struct metrics_tenant *) tenants;
    struct mutex retain_mu; // held over retention and snapshots
    struct thread flusher, merger;
    struct mutex work_mu; // guards stopping, with its condition
    struct cond work;
    bool stopping;
    atomic_bool is_disk_full;
    _Atomic uint64_t flushes, merges, corruptions, replayed_rows;
    _Atomic int64_t replay_ms;
};

/* ---- metrics_span.c ---- */

enum span_create { SPAN_FIND, SPAN_CREATE, SPAN_CREATE_HISTORY };
// The span that holds t_ms, referenced; created when absent if so wanted. NULL without error: absent.
MUST_CHECK bool span_for(struct metrics_tenant *t, int64_t t_ms, enum span_create create,
                         struct span **out, struct err *e);
struct span *span_get(struct span *s);
void span_put(struct span *s);
OWN_DEFINE(struct span *, span_put)
// All spans of the tenant, referenced, by time. Arena memory; span_put each.
struct span_list {
    struct span **v;
    size_t n;
};
struct span_list span_list(struct metrics_tenant *t, struct arena *a);
void span_list_put(struct span_list *l);
OWN_DEFINE_FINI(struct span_list, span_list_put)
// Reads names and manifests of the tenant's partitions.
MUST_CHECK bool spans_load(struct metrics_tenant *t, struct err *e);
/*
 * Opens catalog and parts and replays live logs; nothing when that is done. fill_slots: rebuild the
 * tenant's slots from the catalog (start-up, oldest span first).
 */
MUST_CHECK bool span_open(struct span *s, bool fill_slots, struct err *e);
// Makes the span take new series: its catalog log is created when absent.
MUST_CHECK bool span_open_logs(struct span *s, struct err *e);
// Makes the span take rows in that shard: logs are created when absent. There is a head then.
MUST_CHECK bool span_open_head(struct span *s, uint32_t shard, struct err *e);
// A new log and an empty tail over it, not yet part of the span.
MUST_CHECK bool span_new_tail(struct span *s, uint32_t shard, struct tail **out, struct err *e);
// A new catalog log and its stream, added to the span.
MUST_CHECK bool span_new_catalog_log(struct span *s, uint64_t number, struct err *e);
// Between begin and end the span is neither dropped nor closed. False: dropped.
bool span_append_begin(struct span *s);
void span_append_end(struct span *s);
void span_add_tail_locked(struct span *s, struct tail *t); // takes the reference
void span_publish_locked(struct span *s);                  // builds and swaps the view, under s->mu
struct span_view *span_view_get_locked(struct span *s);    // under snapshot_mu
void span_view_put(struct span_view *v);
struct span_view *span_view_now(struct span *s); // referenced
bool span_has_logs(struct span *s);
struct log_group *span_logs(struct span *s); // NULL: none; stays while work_mu is held
static inline uint32_t span_slice(const struct span *s, int64_t t_ms)
{
    int64_t k = (t_ms - s->min_ms) / s->slice_ms;

    return UINT32_C(1) << MIN(MAX(k, 0), METRICS_SLICES - 1);
}
// Forgets all of a dropped or broken span that is in memory.
void span_detach(struct metrics_tenant *t, struct span *s);

/* ---- batches ---- */

struct append_row {
    uint32_t slot;  // number within the shard
    uint32_t index; // in order of adding, for the caller's statuses
    int64_t t_ms;
    uint64_t value; // float bits; start: index in starts; histogram: offset in blobs
    uint32_t id;    // in the span
    uint16_t generation;
    uint8_t span; // index in the commit's spans
    uint8_t kind : 2, status : 6;
};
static_assert(sizeof(struct append_row) == 32, "one per row of a batch");

struct batch_shard {
    VEC(struct append_row) rows;
};
struct batch_fresh { // labels of a series that is in no partition yet
    struct series_ref ref;
    struct labels labels;
};
struct batch_exemplar {
    struct series_ref ref;
    struct exemplar x;
};
struct append_batch {
    struct metrics_tenant *tenant;
    struct batch_shard shard[METRICS_SHARDS_MAX];
    size_t rows;
    uint32_t last_shard;
    bool any_age;
    uint64_t series_added;
    struct buf blobs; // u32 length, bytes
    VEC(struct tail_start) starts;
    struct map fresh_map;
    VEC(struct batch_fresh) fresh;
    VEC(struct batch_exemplar) exemplars;
    struct arena arena; // labels of the two above
};
// Labels of a fresh series kept in the batch. False: none.
bool batch_fresh_labels(const struct append_batch *b, struct series_ref ref, struct labels *out);
// Labels from the catalog of the span a tag names; bytes in the arena.
bool tenant_labels(struct metrics_tenant *t, uint16_t tag, uint32_t id, struct arena *a,
                   struct labels *out);
static inline uint32_t ref_shard(const struct metrics_tenant *t, struct series_ref ref)
{
    return ref.slot & (t->shard_count - 1);
}
static inline uint32_t ref_number(const struct metrics_tenant *t, struct series_ref ref)
{
    return ref.slot >> t->shard_bits;
}

// What tells values apart: the bits of a float, the hash of an encoded histogram.
uint64_t append_row_bits(const struct append_batch *b, const struct append_row *row);
/*
 * Rows refused as out of order whose very like is in a tail of the span become APPEND_OK: a sender
 * that repeats a batch after a crash or a 503 is not told that its samples were refused.
 */
void append_accept_repeats(struct append_batch *b, uint8_t span_index, struct span *s);

/* ---- batches in flight ---- */

uint64_t batch_begin(struct metrics_tenant *t);
void batch_end(struct metrics_tenant *t, uint64_t number);
void batch_wait(struct metrics_tenant *t, uint64_t upto); // until none <= upto is in flight
// What a snapshot taken now sees; arena memory. Under snapshot_mu.
struct batch_view batch_view_locked(struct metrics_tenant *t, struct arena *a);

/* ---- recovery, flushing, merging ---- */

// Recovery of a span whose catalog is open: catalog logs; then slots; then rows, into tails.
// *id_next: above every id that any frame speaks of.
MUST_CHECK bool span_replay(struct span *s, bool fill_slots, uint32_t *id_next, struct err *e);
// Rotates the shard's head if it has rows, and writes all its older tails to parts.
MUST_CHECK bool span_flush_shard(struct span *s, uint32_t shard, bool keep_head, struct err *e);
MUST_CHECK bool span_flush(struct span *s, bool keep_head, struct err *e);
MUST_CHECK bool span_flush_locked(struct span *s, bool keep_head, struct err *e); // under work_mu
// Flushes everything and gives the span the tenant's number of shards. Its parts become barriers.
MUST_CHECK bool span_reshard(struct span *s, struct err *e);
MUST_CHECK bool span_freeze(struct span *s, struct err *e);
// final: 0, or the number of the one segment that all become; its slices then count for good.
MUST_CHECK bool span_freeze_locked(struct span *s, uint64_t final, struct err *e);
/*
 * Writes, syncs and opens a part with a new number. fill adds its rows; without rows out->part is
 * NULL and no file stays. base: path and id are set here.
 */
MUST_CHECK bool span_part_create(struct span *s, const struct metric_part_writer_options *base,
                                 bool (*fill)(void *ctx, struct metric_part_writer *w,
                                              struct err *e),
                                 void *ctx, struct span_part *out, struct err *e);
void span_insert_part_locked(struct span *s, const struct span_part *p); // takes the reference
MUST_CHECK bool span_merge(struct span *s, struct err *e);               // all due merges
// Takes parts out that every cursor of the feed has passed: for agents, which keep nothing else.
MUST_CHECK bool span_drop_passed(struct span *s, struct err *e);
/*
 * Closing: flush, merge all parts and segments, let go of logs. Late rows open the span again.
 * due: idle for an hour, and there is something to do.
 */
MUST_CHECK bool span_close_writing(struct span *s, struct err *e);
bool span_is_due_to_close(struct span *s);

/* ---- deleting ---- */

MUST_CHECK bool span_mask_parse(const struct manifest_mask *m, struct span_mask **out,
                                struct err *e);
struct span_mask *span_mask_get(struct span_mask *k);
void span_mask_put(struct span_mask *k);
OWN_DEFINE(struct span_mask *, span_mask_put)
void span_masks_load(struct span *s, const struct manifest *m);
void span_masks_prune_locked(struct span *s, const struct manifest *m); // those not listed any more

// What masks hide, by id: of a view's times, or of a merge's inputs.
struct mask_ids {
    uint64_t number;
    int64_t min_ms, max_ms;
    uint64_t *bits;
    uint32_t id_end;
};
struct mask_set {
    struct mask_ids *v;
    size_t n;
};
struct mask_query {
    int64_t min_ms, max_ms; // both inclusive
    struct catalog_read read;
};
MUST_CHECK bool masks_resolve(const struct span_view *rows, struct catalog_view *catalog,
                              const struct mask_query *q, struct mask_set *out, struct err *e);
// Takes what is hidden of c[from..n): rows of one id of the part with that number, times ascending.
void masks_apply(const struct mask_set *m, uint64_t part, uint32_t id, struct sample_columns *c,
                 size_t from);
// Rewrites the parts of which masks hide rows. In metrics_merge.c.
MUST_CHECK bool span_clean(struct span *s, struct err *e);

/* ---- upkeep ---- */

MUST_CHECK bool upkeep_start(struct metrics *m, struct err *e);
void upkeep_stop(struct metrics *m);
MUST_CHECK bool upkeep_retain(struct metrics *m, struct err *e);
void upkeep_look_at_disk(struct metrics *m);

/* ---- damage ---- */

// Queries that touch [min_ms, max_ms] will be told, until the span is forgotten.
void damage_note(struct metrics_tenant *t, const struct span *s, int64_t min_ms, int64_t max_ms,
                 const char *what, const struct err *why);
void damage_forget_locked(struct metrics_tenant *t, const struct span *s); // under snapshot_mu
void damages_fini(struct metrics_tenant *t);

/* ---- reading ---- */

bool metrics_view_open(struct series_source *src, int64_t min_ms, int64_t max_ms,
                       struct series_view **out, struct err *e);
