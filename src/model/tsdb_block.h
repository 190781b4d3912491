/*
 * tsdb_block.h - a block of Prometheus's TSDB, read in place: index, chunks, tombstones.
 *
 * Files are mapped by the caller and handed in as slices. Everything is checked before it is used: a
 * hostile file costs an error that names the place, never more memory than a small multiple of its size.
 * The formats are described in Prometheus's tsdb/docs/format and at the head of tsdb_block.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "model/labels.h"

enum { TSDB_LABELS_MAX = 1024 }; // of one series

struct tsdb_index {
    struct str file;
    const struct str *symbol;
    size_t symbols;
    size_t series_from, series_to; // offsets
};

// Arrays in the arena. ERR_CORRUPT with the offset; ERR_UNSUPPORTED: another version.
MUST_CHECK bool tsdb_index_open(struct arena *a, struct str file, struct tsdb_index *out,
                                struct err *e);

struct tsdb_chunk_ref {
    int64_t min_ms, max_ms;
    uint64_t ref;
};

struct tsdb_series {
    uint64_t ref; // what tombstones name it by
    struct labels labels;
    const struct tsdb_chunk_ref *chunk;
    size_t chunks;
};

/*
 * The next series at *at, which begins at 0 and is moved behind it: 1, 0 at the end, −1 damaged. Its
 * arrays are in the arena, its texts slices of the file.
 */
int tsdb_series_next(const struct tsdb_index *x, size_t *at, struct arena *a,
                     struct tsdb_series *out, struct err *e);

struct tsdb_chunks { // the files of chunks/ in order: 000001 is file[0]
    const struct str *file;
    size_t n;
};

struct tsdb_chunk {
    uint8_t encoding; // 1 floats, 2 histograms, 3 float histograms
    struct str data;
};
// ERR_CORRUPT: no such place, or the checksum is wrong.
MUST_CHECK bool tsdb_chunk_get(const struct tsdb_chunks *c, uint64_t ref, struct tsdb_chunk *out,
                               struct err *e);

struct tsdb_tombstone {
    uint64_t ref;
    int64_t min_ms, max_ms; // both inclusive
};
// Sorted by ref. An empty file has none.
MUST_CHECK bool tsdb_tombstones_read(struct arena *a, struct str file, struct tsdb_tombstone **out,
                                     size_t *n, struct err *e);
bool tsdb_is_deleted(const struct tsdb_tombstone *v, size_t n, uint64_t ref, int64_t t_ms);
