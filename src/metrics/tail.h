/*
 * tail.h - the newest rows of one shard of a partition, in arrival order, in memory.
 *
 * Arrays in chunks that never move. A run is what one batch added; runs are published
 * by one release store, and a reader's snapshot says which batches it sees. A full
 * chunk gets, at first use, a permutation by (id, arrival), so that it is searched and
 * not scanned. A row is an id with its kind in the top bits, a time relative to the
 * tail's base, and 64 bits: a float, or the address of something longer.
 *
 * Threads: one writer, under the shard's mutex; any number of readers with a reference.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/thread.h"
#include "metrics/metric_part.h"

enum {
    TAIL_CHUNK_ROWS = 65536,
    TAIL_CHUNKS_MAX = 128, // 8 Mi rows: appends are refused beyond
    TAIL_RUNS_PER_BLOCK = 255,
};

enum tail_kind { TAIL_FLOAT, TAIL_START, TAIL_HISTOGRAM }; // in the top two bits of an id
#define TAIL_ID_BITS       30
#define TAIL_ID(id_kind)   ((id_kind) & ((UINT32_C(1) << TAIL_ID_BITS) - 1))
#define TAIL_KIND(id_kind) ((enum tail_kind)((id_kind) >> TAIL_ID_BITS))
static inline uint32_t tail_id_kind(uint32_t id, enum tail_kind kind)
{
    return id | (uint32_t)kind << TAIL_ID_BITS;
}

struct tail_chunk {
    _Atomic(uint16_t *) order; // by (id, arrival); set once, when the chunk is full
    uint32_t id[TAIL_CHUNK_ROWS];
    int32_t dt_ms[TAIL_CHUNK_ROWS];
    uint64_t value[TAIL_CHUNK_ROWS];
};

// What `value` points at for the kinds that need more than 64 bits.
struct tail_start {
    uint64_t value;
    int64_t start_ms;
};
struct tail_blob { // an encoded histogram
    uint32_t n;
    uint8_t p[];
};

struct tail_run {
    uint64_t batch;
    uint32_t end; // row behind its last
};
struct tail_runs {
    struct tail_runs *before;
    uint64_t batch_max_before; // of all earlier blocks
    uint32_t first;            // number of run[0]
    struct tail_run run[TAIL_RUNS_PER_BLOCK];
};

struct log_stream;

struct tail {
    _Atomic uint32_t refs;
    uint32_t shard;
    int64_t base_ms;
    uint64_t seq;              // number of its log
    struct log_stream *stream; // its log; NULL for a replayed one. Owned.
    int64_t born_mono_ns;
    _Atomic uint32_t run_count; // published runs; release, pairs with tail_rows
    _Atomic(struct tail_runs *) runs;
    _Atomic(struct tail_chunk *) chunk[TAIL_CHUNKS_MAX];
    _Atomic uint32_t row_count; // for figures and flush decisions
    _Atomic uint64_t blob_bytes;
    atomic_bool is_durable; // its rows are in a committed part
    atomic_bool is_leaving; // they are about to be: cursors keep what is left of it for them
    bool is_partial;        // replayed, and not all of the log: row numbers are others than before
    /* the writer's */
    uint32_t end; // rows written, published or not
    uint64_t batch_max;
    _Atomic int64_t min_ms; // also read for figures
    struct arena blobs;     // what values point at: never moves
};

struct tail *tail_new(uint32_t shard, int64_t base_ms, uint64_t seq);
struct tail *tail_get(struct tail *t);
void tail_put(struct tail *t);
OWN_DEFINE(struct tail *, tail_put)

static inline uint32_t tail_room(const struct tail *t)
{
    return TAIL_CHUNKS_MAX * TAIL_CHUNK_ROWS - t->end;
}
struct tail_chunk *tail_chunk_new(struct tail *t, uint32_t index);

// Writes one row, not yet visible. There is room.
static inline void tail_add(struct tail *t, uint32_t id_kind, int64_t t_ms, uint64_t value)
{
    uint32_t at = t->end % TAIL_CHUNK_ROWS, index = t->end / TAIL_CHUNK_ROWS;
    struct tail_chunk *c = atomic_load_explicit(&t->chunk[index], memory_order_relaxed);

    if (UNLIKELY(!c))
        c = tail_chunk_new(t, index);
    c->id[at] = id_kind;
    c->dt_ms[at] = (int32_t)(t_ms - t->base_ms);
    c->value[at] = value;
    t->end++;
    if (UNLIKELY(t_ms < atomic_load_explicit(&t->min_ms, memory_order_relaxed)))
        atomic_store_explicit(&t->min_ms, t_ms, memory_order_relaxed);
}
// INT64_MAX when empty.
static inline int64_t tail_min_ms(const struct tail *t)
{
    return atomic_load_explicit(&t->min_ms, memory_order_relaxed);
}
// Room for a blob of n bytes that lives as long as the tail; its address is the row's value.
struct tail_blob *tail_blob_new(struct tail *t, size_t n);
struct tail_start *tail_start_new(struct tail *t);
// Publishes the rows added since the last call as one run of the batch.
void tail_publish(struct tail *t, uint64_t batch);

/* ---- reading ---- */

// Which batches a snapshot sees: those up to last that were not in flight. Replayed rows are 0.
struct batch_view {
    uint64_t last;
    const uint64_t *in_flight;
    size_t in_flight_count;
    uint64_t low; // all batches below were complete
};
static inline bool batch_is_visible(const struct batch_view *v, uint64_t batch)
{
    if (batch < v->low)
        return true;
    if (batch > v->last)
        return false;
    for (size_t i = 0; i < v->in_flight_count; i++) {
        if (v->in_flight[i] == batch)
            return false;
    }
    return true;
}

/*
 * Rows that a snapshot sees without a gap before them, and rows published: the same number when no
 * batch is on its way.
 */
struct tail_visible {
    uint32_t rows, published;
};
struct tail_visible tail_visible(struct tail *t, const struct batch_view *view);
/*
 * The last row up to `row` such that a replay of the log gives the same rows before it: a log holds
 * a batch kind by kind.
 */
uint32_t tail_replay_row(struct tail *t, uint32_t row);

// Rows of some ids of one tail, found by id. Belongs to one thread.
struct tail_reader_chunk {
    const struct tail_chunk *chunk;
    const uint16_t *order; // visible rows by (id, arrival)
    uint32_t n, at;
};
struct tail_reader {
    struct tail *tail; // borrowed
    struct tail_reader_chunk *v;
    size_t n;
};
/*
 * Prepares reading. want: a bit per id below id_end and a clear one behind; NULL: all ids. Memory
 * is taken from the arena.
 */
void tail_reader_init(struct tail_reader *r, struct tail *t, const struct batch_view *view,
                      const uint64_t *want, uint32_t id_end, struct arena *a);
/*
 * Appends the rows of id within the times, in order of arrival. Fastest when ids ascend.
 * ERR_CORRUPT: an encoded histogram does not decode.
 */
MUST_CHECK bool tail_reader_read(struct tail_reader *r, uint32_t id, int64_t min_ms, int64_t max_ms,
                                 struct sample_columns *out, struct err *e);

/*
 * All rows of a tail that takes no more, grouped by id, in order of arrival within an id.
 * order[0..rows): row numbers. Memory from the arena: 4 bytes a row and an id.
 */
struct tail_sorted {
    const uint32_t *order;
    uint32_t rows;
};
struct tail_sorted tail_sort(struct tail *t, struct arena *a);
static inline uint32_t tail_row_id(const struct tail *t, uint32_t row)
{
    return atomic_load_explicit(&t->chunk[row / TAIL_CHUNK_ROWS], memory_order_relaxed)
        ->id[row % TAIL_CHUNK_ROWS];
}
static inline int64_t tail_row_ms(const struct tail *t, uint32_t row)
{
    return t->base_ms + atomic_load_explicit(&t->chunk[row / TAIL_CHUNK_ROWS], memory_order_relaxed)
                            ->dt_ms[row % TAIL_CHUNK_ROWS];
}
// Appends one row to the columns; out->arena holds histograms.
MUST_CHECK bool tail_row_read(const struct tail *t, uint32_t row, struct sample_columns *out,
                              struct err *e);
/*
 * Sorts columns by time, keeps the first of equal times. Nothing is done when they ascend strictly,
 * from row `from` on (earlier ones are known to).
 */
void columns_settle(struct sample_columns *c, size_t from, struct arena *scratch);
