/*
 * metric_part.h - an immutable part of metric rows: per series ascending times with floats,
 * native histograms, start times; and exemplars.
 *
 * Rows are ordered by (id, time), each pair once. Every distinct run of timestamps
 * is stored once and referenced by the series that share it. Values are bit exact.
 * The format is described at the heads of metric_part.c (pages) and chunk.c (columns).
 *
 * Threads: an open metric_part may be read by any number of threads, each with its
 * own cursor. A writer or a cursor belongs to one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/budget.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "store/part.h"

/* ---- writing ---- */

struct metric_part_writer;

struct metric_part_writer_options {
    const char *path;  // must not exist; borrowed until the call returns
    struct part_id id; // kind is set to PART_METRICS
    uint32_t shard;    // or PART_SHARD_ALL
    uint64_t seq_from, seq_to;
    uint64_t resolution_ms; // 0: raw
    bool background;        // drop written pages from the kernel's cache: merges
};

// Creates the file. The caller owns *out: metric_part_writer_close().
MUST_CHECK bool metric_part_writer_open(struct metric_part_writer **out,
                                        const struct metric_part_writer_options *o, struct err *e);
/*
 * Adds rows of one series, at least one. Ids ascend from call to call; the same id may come again
 * with later times. Times ascend strictly. Everything is copied. Neighbouring ids whose values move
 * alike (buckets of one histogram) are found and stored as differences.
 */
MUST_CHECK bool metric_part_writer_add(struct metric_part_writer *w, uint32_t id,
                                       const struct series_samples *s, struct err *e);

struct metric_part_exemplar {
    uint32_t id; // of the series
    int64_t t_ms;
    double value;
    struct str labels; // canonical bytes, opaque here
};
// Ids ascend, and times within an id, over all calls; independent of metric_part_writer_add.
MUST_CHECK bool metric_part_writer_exemplar(struct metric_part_writer *w,
                                            const struct metric_part_exemplar *x, struct err *e);
uint64_t metric_part_writer_bytes(const struct metric_part_writer *w); // about: for cutting parts
uint64_t metric_part_writer_rows(const struct metric_part_writer *w);
// Writes the rest, syncs the file (not its folder) and says what the manifest must know.
MUST_CHECK bool metric_part_writer_finish(struct metric_part_writer *w, struct part_info *out,
                                          struct err *e);
void metric_part_writer_close(struct metric_part_writer *w); // removes the file unless finished
OWN_DEFINE(struct metric_part_writer *, metric_part_writer_close)

/* ---- reading ---- */

struct metric_part; // reference counted

/*
 * Opens a part; the caller holds one reference: metric_part_put(). expect: header fields to insist
 * on, NULL: none. Errors: ERR_IO, ERR_NOT_FOUND, ERR_CORRUPT.
 */
MUST_CHECK bool metric_part_open(struct metric_part **out, struct page_cache *c, const char *path,
                                 const struct part_id *expect, struct err *e);
struct metric_part *metric_part_get(struct metric_part *p);
void metric_part_put(struct metric_part *p); // closes at the last one; NULL is fine
OWN_DEFINE(struct metric_part *, metric_part_put)
void metric_part_doom(struct metric_part *p); // unlink the file at the last put
const struct part_info *metric_part_info(const struct metric_part *p);
const char *metric_part_path(const struct metric_part *p);
bool metric_part_has_exemplars(const struct metric_part *p);
struct metric_part_sections { // bytes on disk, without indexes
    uint64_t values_bytes, times_bytes, histograms_bytes, starts_bytes, exemplars_bytes;
};
void metric_part_sections(const struct metric_part *p, struct metric_part_sections *out);

/*
 * Growing columns of samples of one series. Zero is valid and empty; reset keeps the memory.
 * hist is NULL until a histogram was appended, start_ms until a start time was: earlier rows are
 * then NULL and 0. Histograms live in the arena.
 */
struct sample_columns {
    int64_t *t_ms;
    double *value;
    const struct histogram **hist;
    int64_t *start_ms;
    size_t n, cap;
    bool has_hist, has_start;
    struct arena *arena; // for histograms; set by the caller before the first read
};
void sample_columns_fini(struct sample_columns *c);
OWN_DEFINE_FINI(struct sample_columns, sample_columns_fini)
void sample_columns_reset(struct sample_columns *c); // n = 0; the arena is the caller's
void sample_columns_reserve(struct sample_columns *c, size_t more);
// One row; hist NULL: a float; start_ms 0: unknown. hist is borrowed.
void sample_columns_push(struct sample_columns *c, int64_t t_ms, double value,
                         const struct histogram *hist, int64_t start_ms);
// For who writes the arrays itself: rows before are given NULL and 0.
void sample_columns_need_hist(struct sample_columns *c);
void sample_columns_need_start(struct sample_columns *c);
static inline struct series_samples sample_columns_view(const struct sample_columns *c)
{
    return (struct series_samples){ c->t_ms, c->value, c->has_hist ? c->hist : NULL,
                                    c->has_start ? c->start_ms : NULL, c->n };
}

struct metric_part_cursor;

enum metric_part_read_flags {
    METRIC_PART_START = 1, // fill start_ms where known
    METRIC_PART_TIMES = 4, // values that are no NaN may come as 0
    METRIC_PART_ONCE = 2,  // do not leave pages in the cache: merges, exports
};

// A cursor for one query, cheap to make; fastest when ids ascend. Holds a reference to the part.
struct metric_part_cursor *metric_part_cursor_new(struct metric_part *p, unsigned flags);
void metric_part_cursor_free(struct metric_part_cursor *c);
OWN_DEFINE(struct metric_part_cursor *, metric_part_cursor_free)

/*
 * Appends the rows of id with min_ms <= t <= max_ms to *out, in order of time; none is fine.
 * On failure *out holds what it held before. Errors: ERR_IO, ERR_CORRUPT.
 */
MUST_CHECK bool metric_part_read(struct metric_part_cursor *c, uint32_t id, int64_t min_ms,
                                 int64_t max_ms, struct sample_columns *out, struct err *e);
/*
 * The least id >= *id of the part, in *id: 1; 0: none; -1: failed. To iterate over all series:
 * for (uint32_t id = 0; (r = metric_part_next_id(c, &id, e)) > 0; id++) …
 */
int metric_part_next_id(struct metric_part_cursor *c, uint32_t *id, struct err *e);

typedef bool (*metric_part_exemplar_fn)(void *ctx, const struct metric_part_exemplar *x,
                                        struct err *e);
struct metric_part_exemplar_query { // all inclusive
    uint32_t id_min, id_max;
    int64_t min_ms, max_ms;
};
// Visits the exemplars that the query wants, by (id, time).
MUST_CHECK bool metric_part_exemplars(struct metric_part *p,
                                      const struct metric_part_exemplar_query *q,
                                      metric_part_exemplar_fn visit, void *ctx, struct err *e);
// Reads and checks everything: for `check storage`.
MUST_CHECK bool metric_part_verify(struct metric_part *p, struct budget *b, struct err *e);

/* ---- merging ---- */

struct metric_part_merge {
    struct metric_part *const *input; // in sequence order, oldest first
    size_t inputs;
    // Takes what is to vanish out of rows[from..n): those of id in that input. NULL: keep everything.
    void (*cut)(void *ctx, size_t input, uint32_t id, struct sample_columns *rows, size_t from);
    void *ctx;
    uint32_t id_min, id_max; // only these ids, both inclusive; zero max: all
    struct budget *budget;   // stepped per row; NULL: none
};

/*
 * Merges rows and exemplars into the writer: of equal (id, time) the one of the first input is kept.
 * Memory is bounded by the longest series. The writer may have been added to before with lower ids.
 */
MUST_CHECK bool metric_part_merge(const struct metric_part_merge *m, struct metric_part_writer *w,
                                  struct err *e);
