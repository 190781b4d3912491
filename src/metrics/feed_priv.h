/*
 * feed_priv.h - what the files of the change feed share, and what the store asks of it.
 *
 *   feed.c       names, opening, the file of a cursor
 *   feed_read.c  rows from tails and parts; acknowledging; labels
 *   feed_rest.c  what is left of a sequence whose tail is gone
 *   feed_hold.c  merges, drops, flushes and bounds
 *
 * A place (feed_pos) is a sequence number, which all before is done with, and how far it is done
 * with: not at all; so many rows of the tail; up to an id and a time of the part. Three of them per
 * shard: read ≥ acked ≥ saved. All are guarded by feeds.mu, which is a leaf; only the reader changes
 * `read` and `acked`, so it may look at them without.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "metrics/feed.h"
#include "metrics/metrics_priv.h"

enum { FEED_TAIL_BYTES_PER_ROW = 18 };

enum feed_at {
    FEED_START, // nothing of the sequence
    FEED_TAIL,  // rows below `row` of its tail
    FEED_PART,  // rows of its part before (row as id, t_ms)
    FEED_REST,  // the same, of those that were left when its tail went. Acknowledged and saved: all
                // but what its table names; t_ms is a stamp then
};
struct feed_pos {
    uint64_t seq; // of a part of several: its first
    enum feed_at at;
    uint32_t row; // or id
    int64_t t_ms;
};

/*
 * What was not yet read of a tail when it became a part: per series the least time. Exact for
 * series in order; of others rows may come again.
 */
struct feed_rest {
    uint64_t seq;
    size_t n;
    uint32_t *id; // ascending
    int64_t *t_ms;
};

struct feed_shard {
    struct feed_pos read, acked, saved;
    uint64_t floor;         // what is below is skipped
    struct tail *held;      // the reader's: the tail that it is in
    struct feed_rest *rest; // the reader's: of read.seq
    uint64_t rest_seq;      // the table in its file is of this place; under feeds.mu
    uint32_t rest_row;
};

struct feed_span {
    int64_t min_ms;
    struct span *s;  // referenced; NULL: not looked for yet
    bool is_unsaved; // never written; of one that is gone: its end is
    bool is_gone;    // the partition was dropped
    struct feed_shard shard[METRICS_SHARDS_MAX];
};

struct feed_place {
    uint32_t id;
    int64_t t_ms;
};
// Rows given out together from one tail or part.
struct feed_segment {
    uint64_t serial, n;
    struct feed_span *fs;
    uint32_t shard, row; // row: of the first, in a tail
    uint64_t seq;
    enum feed_at at;
    struct tail *tail;        // referenced; NULL: let go of, and it is FEED_REST
    struct feed_place *place; // per row, but of a tail
    struct feed_pos after;    // when all are acknowledged
};

// A part that is being read.
struct feed_part {
    struct metric_part *part; // referenced; NULL: none
    struct metric_part_cursor *cursor;
    const struct feed_span *fs;
    const struct feed_rest *rest; // NULL: all rows
    size_t rest_at;
    uint32_t id; // next
    bool ended;
    struct sample_columns rows; // of the id before it
    uint32_t rows_id;
    size_t at;
    struct arena arena;
};

struct feed {
    struct metrics_tenant *t;
    char *name, *path;
    struct feed_options o;
    bool is_open;                  // under feeds.mu
    VEC(struct feed_span *) spans; // by time; the list is under feeds.mu
    /* the reader's */
    int fd;
    uint64_t file_bytes, records;
    uint64_t next_serial, acked_serial;
    VEC(struct feed_segment) segments; // oldest first, from segment_at
    size_t segment_at;
    struct feed_part part;
    uint64_t news;    // rows_appended at the last read that found nothing
    size_t left_shut; // partitions not open, because nothing of them is needed
    bool has_more, is_dirty, is_unsynced;
    uint64_t exemplar_serial;
    struct mutex rest_mu; // held over writing of tables of what is left
    _Atomic uint64_t rows_read, rows_acked, rows_skipped, restarts, behind_bytes;
    _Atomic int64_t oldest_ms;
};

// A merge on its way. Lives on the merger's stack between begin and end.
struct feed_merge {
    struct feed_merge *next;
    const struct span *s;
    uint32_t shard; // or MANIFEST_SHARD_ALL
    uint64_t seq_from, seq_to;
    bool is_cancelled, is_committing;
};

/* ---- feed.c ---- */

// Loads the cursors of a tenant, before its partitions are opened.
MUST_CHECK bool feeds_load(struct metrics_tenant *t, struct err *e);
void feeds_free(struct metrics_tenant *t);
// The feed's place in a span; NULL: none yet. Under feeds.mu, or by the reader.
struct feed_span *feed_span_find(const struct feed *f, int64_t min_ms);
// Adds one, everything of it unread.
struct feed_span *feed_span_add(struct feed *f, int64_t min_ms);
void feed_span_remove(struct feed *f, struct feed_span *fs);

/* ---- feed_read.c ---- */

// Lets go of everything that reading holds.
void feed_read_fini(struct feed *f);
// Takes a place in partitions that are new, so that bounds apply to them.
void feed_look_around(struct feed *f);
// Moves on over what was skipped, and forgets partitions that are gone.
void feed_apply_floors(struct feed *f);

/* ---- feed_rest.c ---- */

struct feed_rest *feed_rest_of_tail(struct tail *t, uint32_t row);
void feed_rest_free(struct feed_rest *r);
// What is read and not acknowledged, or not read, of the sequence of acked, which is FEED_REST.
struct feed_rest *feed_rest_of_reader(const struct feed *f, const struct feed_span *fs,
                                      uint32_t shard);
// Writes the table, so that a kill changes nothing.
MUST_CHECK bool feed_rest_save(struct feed *f, const struct feed_span *fs, uint32_t shard,
                               const struct feed_rest *r, struct err *e);
// NULL: there is none for the sequence.
struct feed_rest *feed_rest_load(struct feed *f, const struct feed_span *fs, uint32_t shard,
                                 uint64_t seq);

/* ---- feed_hold.c ---- */

// Whether a cursor keeps the parts of a shard with sequences [from, to] from being merged.
bool feeds_bar_merge(const struct span *s, uint32_t shard, uint64_t from, uint64_t to);
// Whether a cursor has not passed all parts of the span.
bool feeds_need(struct span *s);
/*
 * Brackets a merge. begin false: a cursor is there. commit false: a reader came meanwhile, and the
 * merge is to be given up. end: after the view is swapped, or it was given up.
 */
bool feeds_merge_begin(struct feed_merge *m, const struct span *s, uint32_t shard, uint64_t from,
                       uint64_t to);
bool feeds_merge_commit(struct feed_merge *m);
void feeds_merge_end(struct feed_merge *m);
/*
 * Before the MANIFEST says that the tail is a part. Cursors that are amidst it remember how far.
 * *passed: no cursor needs its rows any more, and there are cursors.
 */
MUST_CHECK bool feeds_before_flush(struct span *s, struct tail *t, bool *passed, struct err *e);
// The partition is dropped.
void feeds_forget(struct span *s);
// Parts that every cursor has passed, by number; none without cursors. Arena memory.
size_t feeds_passed_parts(struct span *s, struct arena *a, uint64_t **numbers);
