/*
 * remote_write_priv.h - what the files of the sender share.
 *
 *   remote_write.c         queues of a configuration
 *   remote_write_queue.c   one queue: its thread, shards, sending, answers
 *   remote_write_series.c  series of a queue: relabelled, labels encoded once
 *   remote_write_encode.c  requests, 1.0 and 2.0
 *   remote_write_stats.c   prometheus_remote_storage_*
 *
 * A queue belongs to its thread; only answers of the HTTP client come from elsewhere, under mu.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/map.h"
#include "base/metric.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/vec.h"
#include "discover/http_settings.h"
#include "metrics/feed.h"
#include "model/prompb.h"
#include "pipeline/remote_write.h"

/* ---- series ---- */

struct rw_series {
    struct hash128 fingerprint; // of the labels as stored
    uint64_t hash;              // of the labels as sent: chooses the shard
    uint32_t pending;           // items that refer to it
    uint32_t round;             // of the sweep when it was last used
    bool is_dropped;            // by relabelling
    uint32_t label_count;
    uint32_t name;    // symbol of the metric name; 0: none
    uint32_t n;       // of what follows
    uint32_t bytes[]; // 1.0: bytes of the label fields; 2.0: symbols
};

struct rw_symbol {
    struct str text;
    uint64_t request; // that it stands in, as number `ref`
    uint32_t ref;
};

struct rw_meta {
    uint32_t name; // symbol
    enum metric_type type;
    uint32_t help, unit; // symbols
};

struct rw_table {
    enum prompb_version version;
    const struct relabel_rule *rules;
    size_t rule_count;
    struct labels external;
    struct arena arena;        // symbols
    VEC(struct rw_series *) v; // NULL: free
    struct map by_fingerprint; // to v
    VEC(uint64_t) key;         // of feed rows; place i belongs to `of` i
    VEC(struct rw_series *) of;
    struct map by_key;
    VEC(struct rw_symbol) symbols;
    struct map by_text;
    uint64_t request;
    uint32_t round;
    VEC(struct rw_meta) metas; // 2.0
    struct map by_name;        // to metas, by symbol
};

void rw_table_fini(struct rw_table *t);
// Series of the rows of a batch: out[0..b->n), NULL where labels cannot be had.
MUST_CHECK bool rw_table_find(struct rw_table *t, struct feed *f, const struct feed_batch *b,
                              struct rw_series **out, struct err *e);
// NULL: not seen yet.
struct rw_series *rw_table_series(struct rw_table *t, struct hash128 fingerprint);
// Forgets series that were not used since the sweep before and are not pending.
void rw_table_sweep(struct rw_table *t);
// Takes over the metadata of the tenant, for requests of 2.0.
void rw_table_metadata(struct rw_table *t, struct metrics_tenant *tenant);
const struct rw_meta *rw_table_meta(const struct rw_table *t, const struct rw_series *s);

/* ---- requests ---- */

// What waits to be sent: a row, or an exemplar.
struct rw_item {
    struct rw_series *series;
    uint64_t serial; // of the feed; of an exemplar: of the row that comes next
    int64_t t_ms, start_ms;
    double value;
    const struct histogram *hist;    // in the chunk
    const struct exemplar *exemplar; // likewise
    struct rw_chunk *chunk;
};

// Rows read together, with what they point to.
struct rw_chunk {
    struct feed_batch batch;
    struct arena arena;
    uint32_t left; // items; freed with the last
};

struct rw_counts {
    uint32_t samples, histograms, exemplars;
    int64_t newest_ms;
};
// Encodes and compresses into body; scratch keeps its room.
void rw_encode(struct rw_table *t, const struct rw_item *v, size_t n, struct buf scratch[2],
               struct buf *body);
void rw_encode_metadata(const struct metric_meta *v, size_t n, struct buf *scratch,
                        struct buf *body);

/* ---- figures ---- */

enum rw_reason { RW_TOO_OLD, RW_DROPPED, RW_UNKNOWN, RW_NHCB, RW_SKIPPED, RW_REASON_COUNT };
struct rw_metrics {
    struct metric *samples, *histograms, *exemplars, *metadata;
    struct metric *failed_samples, *failed_histograms, *failed_exemplars, *failed_metadata;
    struct metric *retried_samples, *retried_histograms, *retried_exemplars, *retried_metadata;
    struct metric *dropped_samples[RW_REASON_COUNT], *dropped_histograms[RW_REASON_COUNT],
        *dropped_exemplars[RW_REASON_COUNT];
    struct metric *enqueue_retries, *duration, *newest, *newest_sent, *pending_samples,
        *pending_histograms, *pending_exemplars, *capacity, *shards, *shards_max, *shards_min,
        *shards_desired, *bytes, *metadata_bytes, *per_send, *behind_bytes, *behind_seconds;
};
void rw_metrics_init(struct rw_metrics *m, struct str name, struct str url);

/* ---- queues ---- */

struct rw_queue_options {
    const struct remote_write_options *all;
    struct prom_config *config; // a reference is taken
    const struct conf_remote_write *conf;
    struct str name, cursor; // copied
};
struct rw_queue;
MUST_CHECK bool rw_queue_start(struct rw_queue **out, const struct rw_queue_options *o,
                               struct err *e);
// flush_ms: how long to send what is left while the receiver takes it.
void rw_queue_stop(struct rw_queue *q, int64_t flush_ms);
