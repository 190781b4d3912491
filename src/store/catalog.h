/*
 * catalog.h - the series of ONE partition: labels → local 32-bit id, matchers → ids.
 *
 * A catalog is a list of immutable sealed segments (files, segment.h) and one open
 * segment in memory (catalog_open.h) whose records also go to the catalog log. An
 * id is a handle inside one partition, given in ascending order and never reused;
 * identity is the fingerprint. A label set may have several ids (re-registration),
 * so whoever needs series and not ids joins by fingerprint: catalog_keys().
 *
 * Who does what: this module encodes and replays log records, writes and reads
 * segment files. Frames, log files, file numbers and the MANIFEST are the caller's:
 *
 *   open:    catalog_open (segments of the MANIFEST), then for each live log
 *            catalog_replay_log + catalog_replay per frame, then catalog_start
 *   append:  catalog_add …; the log writer drains catalog_log_take into frames
 *   freeze:  create a new log; catalog_rotate; drain and sync the old log;
 *            catalog_freeze; commit the MANIFEST; catalog_install; unlink the old log
 *   close:   catalog_merge; commit the MANIFEST; catalog_install
 *
 * Threads: every function is thread-safe unless it says otherwise. One mutex (rank
 * CATALOG) serialises writers; readers hold a view and take no lock that a writer
 * holds for long. catalog_view_get takes a leaf lock only: it may be called under the
 * snapshot lock. A view outlives catalog_close.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/budget.h"
#include "base/hash.h"
#include "model/matcher.h"

struct catalog;
struct catalog_build;
struct catalog_view;
struct page_cache;

enum {
    CATALOG_SERIES_MAX = 256 << 10,    // an open segment beyond this is due to be frozen
    CATALOG_LABELS_MAX = 4096,         // labels of one series; more: ERR_LIMIT
    CATALOG_LABEL_BYTES_MAX = 1 << 20, // names and values of one series together; more: ERR_LIMIT
    CATALOG_FIND_MAX = 8,              // ids of one fingerprint that catalog_find tells
};

// A sealed segment as the MANIFEST names it: `segment NUMBER ids FIRST END bytes … crc …`.
struct catalog_segment {
    uint64_t number;           // of the file
    uint32_t id_first, id_end; // its ids are in [first, end)
    uint64_t bytes;            // of the file
    uint32_t crc;              // of the file's footer, which holds the checksums of all pages
    uint32_t series;           // 0 when unknown
};

struct catalog_options {      // zero in a field means its default
    const char *dir;          // the folder "catalog" of the partition; borrowed during open
    struct page_cache *cache; // lives longer than the catalog and its views
    uint64_t place;           // hash of tenant and partition: files from elsewhere are refused
    uint32_t epoch;           // of the writer, for new files
    uint32_t id_next;         // least id that may be given out
    const struct catalog_segment *segments; // ascending by id; borrowed during open
    size_t segment_count;
    uint64_t match_cache_bytes; // for cached matcher results; 1 MiB
    // No rows came since the last final merge (no logs, no parts younger than that merge), so that
    // the slices of final segments are complete. If unsure: false, and no series is pruned by them.
    bool slices_trusted;
};

/*
 * Opens the catalog: reads the footer of each segment. A segment that cannot be read does not
 * fail the call: its ids are quarantined (*damage counts it) and the rest is served.
 * Errors: ERR_CORRUPT when the segments' id ranges overlap.
 */
struct catalog_damage {
    uint32_t segments; // that could not be read in full
    struct err first;  // names file and offset of the first damage
};
MUST_CHECK bool catalog_open(struct catalog **out, const struct catalog_options *o,
                             struct catalog_damage *damage, struct err *e);
void catalog_close(struct catalog *c); // NULL is fine; pending log bytes are dropped
OWN_DEFINE(struct catalog *, catalog_close);

/* ---- log ---- */

/*
 * A log's payloads are runs of whole records: PAIR(pair id, name, value) and SERIES(id,
 * fingerprint, shard, pair ids); see the head of catalog_log.c. Replaying the same payload
 * again changes nothing. A SERIES whose PAIR was lost is left out and counted in *dropped.
 * ERR_CORRUPT: the rest of this payload could not be understood; what came before it is kept.
 * Before catalog_start only; one thread.
 */
void catalog_replay_log(struct catalog *c); // what follows comes from the next log
MUST_CHECK bool catalog_replay(struct catalog *c, struct str payload, uint64_t *dropped,
                               struct err *e);
// Ends recovery: new series will be logged to the log with this number. What was replayed waits
// to be frozen (catalog_freeze_is_due). id_next: at least this, when larger than what was seen.
void catalog_start(struct catalog *c, uint64_t log_number, uint32_t id_next);

/*
 * Moves up to about max_bytes of pending records into *out, which is emptied first. All of them
 * belong to the log *log_number. False: nothing is pending. Call until false to drain; after
 * catalog_rotate the old log's records come first.
 */
bool catalog_log_take(struct catalog *c, size_t max_bytes, struct buf *out, uint64_t *log_number);
uint64_t catalog_log_pending(struct catalog *c); // bytes

/* ---- writing ---- */

/*
 * Registers a series that the caller knows to be new and returns its id. The labels are copied.
 * shard < 256. Errors: ERR_LIMIT (label set too large), ERR_UNAVAILABLE (out of ids, or the open
 * segment is over its hard bounds because nobody froze it).
 */
MUST_CHECK bool catalog_add(struct catalog *c, struct labels ls, struct hash128 fingerprint,
                            unsigned shard, uint32_t *id, struct err *e);
/*
 * Ids with this fingerprint, newest first; at most CATALOG_FIND_MAX. Looks at the open segment
 * first and reads pages of sealed ones: not for hot paths. Segments that cannot be read are
 * skipped: the worst that follows is another id for the same series.
 */
size_t catalog_find(struct catalog *c, struct hash128 fingerprint, uint32_t *ids);
uint32_t catalog_id_next(struct catalog *c); // every id given out is below: `catalog_need`
/*
 * Notes that a series has rows in the slices of `bits` (bit k: k-th 1/32 of the span). Lock-free,
 * cheap when already set. Series from before catalog_start count as having rows everywhere,
 * unless their segment is final (catalog_merge): then this adds to what it says.
 */
void catalog_slices_set(struct catalog *c, uint32_t id, uint32_t bits);

/* ---- freezing and merging ---- */

bool catalog_freeze_is_due(struct catalog *c); // the open segment is full, or replayed series wait
/*
 * Puts the open segment aside and starts a new one, logged to log_number. Series added from now
 * on are in the new one. Cheap. An empty open segment only changes its log.
 */
void catalog_rotate(struct catalog *c, uint64_t log_number);
/*
 * Writes everything that was put aside (rotated, replayed) to one new segment file
 * NUMBER.seg and syncs file and folder. *out is NULL when nothing was put aside.
 * One freeze or merge at a time. Errors: ERR_IO, ERR_UNAVAILABLE (disk full).
 */
MUST_CHECK bool catalog_freeze(struct catalog *c, uint64_t number, struct catalog_build **out,
                               struct err *e);
/*
 * Writes all sealed segments and all that was put aside to one new segment, ids kept. final: the
 * partition has no more rows to come for these ids, so that slices may be trusted after a
 * restart, late rows apart. *out is NULL when there is nothing to merge or to correct. ERR_CORRUPT: an input is damaged.
 */
MUST_CHECK bool catalog_merge(struct catalog *c, uint64_t number, bool final,
                              struct catalog_build **out, struct err *e);
// What the MANIFEST must say of the new segment; borrowed from b.
const struct catalog_segment *catalog_build_segment(const struct catalog_build *b);
// Numbers of the sealed segments that the new one replaces, for the MANIFEST.
const uint64_t *catalog_build_replaced(const struct catalog_build *b, size_t *n);
// After the MANIFEST was committed: views taken from now on use the new segment; replaced files
// are unlinked when the last view lets go. Takes b.
MUST_CHECK bool catalog_install(struct catalog *c, struct catalog_build *b, struct err *e);
void catalog_build_free(struct catalog_build *b); // not installed: removes the file; NULL is fine
OWN_DEFINE(struct catalog_build *, catalog_build_free);
// The sealed segments now, ascending by id, for a MANIFEST: arena memory.
struct catalog_segment *catalog_segments(struct catalog *c, struct arena *a, size_t *n);
// Path of a segment file below the catalog's folder: "00000007.seg".
void buf_segment_name(struct buf *b, uint64_t number);

/* ---- reading ---- */

struct catalog_view *catalog_view_get(struct catalog *c);      // all series added before
struct catalog_view *catalog_view_ref(struct catalog_view *v); // one more reference
void catalog_view_put(struct catalog_view *v);                 // NULL is fine
OWN_DEFINE(struct catalog_view *, catalog_view_put);
uint32_t catalog_view_id_end(const struct catalog_view *v); // all ids of the view are below
uint64_t catalog_view_series(const struct catalog_view *v); // how many ids

// Where results go and what they may cost.
struct catalog_read {
    struct arena *arena;
    struct budget *budget;
    struct catalog_damage *damage; // NULL: damage fails the call with ERR_CORRUPT or ERR_IO
};

struct catalog_query {
    const struct matcher *matchers; // all must match; none: every series
    size_t matcher_count;
    uint32_t slices; // only series with rows in one of these slices; 0: any time
};

struct catalog_ids {
    uint32_t *v; // ascending
    size_t n;
};

// Ids of the matching series.
MUST_CHECK bool catalog_select(struct catalog_view *v, const struct catalog_query *q,
                               const struct catalog_read *r, struct catalog_ids *out,
                               struct err *e);
/*
 * Labels of ascending ids, in out[0..ids.n). Arrays live in the arena, bytes in the arena or in
 * memory that the view pins. An id in a damaged segment, or unknown, gets an empty set.
 */
MUST_CHECK bool catalog_labels(struct catalog_view *v, struct catalog_ids ids,
                               const struct catalog_read *r, struct labels *out, struct err *e);
struct catalog_key {
    struct hash128 fingerprint;
    uint32_t id;
    uint32_t shard; // UINT32_MAX: unknown or damaged
};
// Fingerprint and shard of ascending ids, in out[0..ids.n).
MUST_CHECK bool catalog_keys(struct catalog_view *v, struct catalog_ids ids,
                             const struct catalog_read *r, struct catalog_key *out, struct err *e);
/*
 * The order of ascending ids by labels: order[0] is the place in ids of the first in label order.
 * Within one sealed segment it needs no labels.
 */
MUST_CHECK bool catalog_order(struct catalog_view *v, struct catalog_ids ids,
                              const struct catalog_read *r, uint32_t *order, struct err *e);
struct catalog_strs {
    struct str *v; // sorted, each once
    size_t n;
};
// Label names of the series that q selects, limit 0: all. Without matchers and slices no posting
// is read. With a limit up to limit + 1 are returned, which tells that there are more.
MUST_CHECK bool catalog_label_names(struct catalog_view *v, const struct catalog_query *q,
                                    size_t limit, const struct catalog_read *r,
                                    struct catalog_strs *out, struct err *e);
// Values of one label, likewise.
struct catalog_values_query {
    struct catalog_query select;
    struct str name;
    size_t limit;
};
// Values of one label over the series that q->select selects, as catalog_label_names().
MUST_CHECK bool catalog_label_values(struct catalog_view *v, const struct catalog_values_query *q,
                                     const struct catalog_read *r, struct catalog_strs *out,
                                     struct err *e);

/* ---- figures ---- */

struct catalog_top {
    struct str name;
    uint64_t value;
};
struct catalog_figures { // as /api/v1/status/tsdb; each list largest first
    uint64_t series, label_pairs, label_names;
    struct catalog_top *by_metric;      // series per value of __name__
    struct catalog_top *by_label;       // values per label name
    struct catalog_top *bytes_by_label; // length of value × series with it, per label name
    struct catalog_top *by_pair;        // series per "name=value"
    size_t by_metric_n, by_label_n, bytes_by_label_n, by_pair_n;
};
// limit: entries per list, at most 10000.
MUST_CHECK bool catalog_figures(struct catalog_view *v, size_t limit, const struct catalog_read *r,
                                struct catalog_figures *out, struct err *e);
struct catalog_memory {
    uint64_t open_bytes, open_series;     // of the open segment and what waits to be frozen
    uint64_t sealed_bytes, sealed_series; // resident bytes of sealed segments, without page cache
    uint64_t sealed_file_bytes;
    uint64_t slices_bytes, match_cache_bytes, pending_bytes;
    uint64_t damages; // segments found damaged since open
};
// Fills *out with figures as of now. They are read one after the other: sums may be off by what is
// being added meanwhile.
void catalog_memory(struct catalog *c, struct catalog_memory *out);
