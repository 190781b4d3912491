/*
 * feed.h - the change feed: every accepted row of a tenant, once, in order per series.
 *
 * A consumer (remote write, an export, a replica) has a name and a cursor: a place per
 * partition and shard. Rows come from memory while the consumer keeps up, and from
 * parts when it is behind; nothing is written or kept twice for it. What was
 * acknowledged is saved: after a kill reading goes on there. A cursor keeps parts from being
 * merged across it and its partition from being dropped, until it is further behind
 * than its bounds: then the oldest rows are skipped, counted and said.
 *
 * Order: rows of one series come in order of sequence, which for a sender in order is
 * order of time. Rows that a delete hides may still come. Parts of imports do not.
 *
 * Threads: one thread per feed reads, acknowledges and saves; feed_stats() from any.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "metrics/metrics.h"

struct feed;

enum { FEED_NAME_MAX = 100 };

struct feed_options { // zero in a field means its default
    struct metrics_tenant *tenant;
    struct str name;           // [A-Za-z0-9_-]{1,FEED_NAME_MAX}: names the files of the cursor
    bool from_start;           // a new cursor begins with the oldest row, not after the newest
    uint64_t behind_bytes_max; // of parts not yet read; 8 GiB
    int64_t behind_ms_max;     // age of the oldest row not yet acknowledged; 24 h
    uint64_t tail_bytes_max;   // flushed rows kept in memory for it; 64 MiB
};

/*
 * Opens the cursor, made when there is none. One at a time per name: ERR_CONFLICT. A cursor whose
 * file is damaged begins anew at the newest row; that is logged.
 */
MUST_CHECK bool feed_open(struct feed **out, const struct feed_options *o, struct err *e);
// Saves. The cursor stays and goes on holding what it has not passed.
void feed_close(struct feed *f);
OWN_DEFINE(struct feed *, feed_close)
// Forgets a cursor that is not open. An absent one is fine.
MUST_CHECK bool feed_remove(struct metrics_tenant *t, struct str name, struct err *e);
// Names of the tenant's cursors, open or not; arena memory.
size_t feed_names(struct metrics_tenant *t, struct arena *a, struct str **out);

struct feed_row {
    uint64_t series;        // names the series for feed_labels(); several may be of one label set
    int64_t t_ms, start_ms; // start 0: unknown
    double value;           // of a float; bits are exact
    const struct histogram *hist; // NULL: a float
};

struct feed_batch { // zero is valid; reusable
    struct feed_row *v;
    size_t n, cap;
    uint64_t serial;    // of v[0]; the row after it has the next one
    struct arena arena; // histograms: valid until the next read into this batch
};
void feed_batch_fini(struct feed_batch *b);
OWN_DEFINE_FINI(struct feed_batch, feed_batch_fini)

// Whether a read may find something: cheap, a few loads.
bool feed_has_news(struct feed *f);
/*
 * The next rows, at most rows_max; none: nothing is new. A batch that was committed is read whole
 * or not at all, over as many reads as it takes. Damaged pages are logged, counted and passed.
 * Errors: ERR_IO, ERR_UNAVAILABLE; try again.
 */
MUST_CHECK bool feed_read(struct feed *f, size_t rows_max, struct feed_batch *out, struct err *e);
// Says that all rows with a serial below are done with, for good.
void feed_ack(struct feed *f, uint64_t serial);
/*
 * Writes what was acknowledged; nothing when nothing was. sync: also against power cuts; without,
 * it survives the death of the process. Call after each acknowledged send, and each second with
 * sync.
 */
MUST_CHECK bool feed_save(struct feed *f, bool sync, struct err *e);

struct feed_labels {
    struct labels labels;       // empty: its catalog is damaged, or its partition was dropped
    struct hash128 fingerprint; // the same for the same labels of a tenant, for ever
};
/*
 * Labels of series that were read since the feed was opened: out[0..n). They never change, so ask
 * once. Arrays and bytes in the arena.
 */
MUST_CHECK bool feed_labels(struct feed *f, const uint64_t *series, size_t n, struct arena *a,
                            struct feed_labels *out, struct err *e);

// Exemplars are kept in memory only: those that came since the last call, oldest first.
struct feed_exemplar {
    struct hash128 fingerprint; // of the series
    struct exemplar x;
};
size_t feed_exemplars(struct feed *f, size_t max, struct arena *a, struct feed_exemplar **out);

// Skips what is beyond the bounds of the tenant's cursors. The store does it every 10 s.
void feed_bounds(struct metrics_tenant *t);

struct feed_stats {
    uint64_t rows_read, rows_acked;
    uint64_t rows_skipped; // beyond the bounds, or in damaged parts
    uint64_t restarts;     // sequences that had to be read again from their start
    uint64_t behind_bytes; // of parts not yet acknowledged in full
    int64_t oldest_ms; // bounds the time of rows not yet acknowledged, in parts; INT64_MAX: none
};
void feed_stats(struct feed *f, struct feed_stats *out);
