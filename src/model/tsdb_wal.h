/*
 * tsdb_wal.h - segments of Prometheus's write-ahead log and checkpoints, record by record.
 *
 * A segment is pages of 32 KiB with fragments of records: type (1 byte: 3 bits of kind, bit 3 snappy,
 * bit 4 zstd), length (2), CRC-32C of the data (4), data; kinds: 0 the rest of the page is empty, 1 whole,
 * 2 first, 3 middle, 4 last. Records are described in Prometheus's tsdb/docs/format/wal.md.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "model/histogram.h"

enum { TSDB_RECORD_MAX = 256 << 20 }; // bytes, inflated

struct tsdb_wal {
    struct str file;
    size_t at;
    struct buf record, inflated;
};

static inline struct tsdb_wal tsdb_wal_of(struct str file)
{
    return (struct tsdb_wal){ .file = file };
}
void tsdb_wal_fini(struct tsdb_wal *w);
OWN_DEFINE_FINI(struct tsdb_wal, tsdb_wal_fini)
/*
 * The next record: 1, 0 at the end of the segment, −1 damaged or cut off: nothing behind it can be
 * trusted. *out lives until the next call.
 */
int tsdb_wal_next(struct tsdb_wal *w, struct str *out, struct err *e);

struct tsdb_wal_visit { // functions may be NULL
    void *ctx;
    bool (*series)(void *ctx, uint64_t ref, struct labels ls, struct err *e);
    bool (*sample)(void *ctx, uint64_t ref, int64_t t_ms, double v, struct err *e);
    bool (*histogram)(void *ctx, uint64_t ref, int64_t t_ms, const struct histogram *h,
                      struct err *e);
    bool (*tombstone)(void *ctx, uint64_t ref, int64_t min_ms, int64_t max_ms, struct err *e);
    void (*skipped)(void *ctx, uint8_t type); // a record of a kind that is not read
};
// Visits what a record holds. Labels and histograms live in the arena. ERR_CORRUPT; visitors' errors.
MUST_CHECK bool tsdb_wal_record(struct arena *a, struct str record, const struct tsdb_wal_visit *v,
                                struct err *e);
