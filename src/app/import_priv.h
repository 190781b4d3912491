/*
 * import_priv.h - what the files of `vigie import` share: rows on their way into a data directory.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/map.h"
#include "base/vec.h"
#include "metrics/metrics.h"

struct importer {
    const char *from; // Prometheus's directory
    int64_t min_ms, max_ms;
    struct metrics *metrics;
    struct metrics_tenant *tenant;
    struct append_batch *batch;
    uint64_t batches;     // committed so far
    uint64_t since_flush; // rows
    struct append_stats stats;
    uint64_t samples, histograms, series, damaged;
    int64_t said_mono_ns; // when progress was last told
};

// A row of a series, in the batch at hand, which is committed when it is long enough. Histograms that
// are not valid are left out as damage.
MUST_CHECK bool importer_float(struct importer *im, struct series_ref ref, int64_t t_ms, double v,
                               struct err *e);
MUST_CHECK bool importer_histogram(struct importer *im, struct series_ref ref, int64_t t_ms,
                                   const struct histogram *h, struct err *e);
MUST_CHECK bool importer_commit(struct importer *im, struct err *e);
// All rows to parts: bounds memory, and what was imported survives.
MUST_CHECK bool importer_flush(struct importer *im, struct err *e);
// Something could not be read and is left out.
void importer_damage(struct importer *im, const char *what, const struct err *e);
// At most every few seconds.
void importer_progress(struct importer *im, const char *what);

// Everything of one block's folder.
MUST_CHECK bool importer_block(struct importer *im, const char *folder, struct err *e);
// wal/ with its checkpoint, and wbl/. Rows of wal/ before from_ms are in blocks.
MUST_CHECK bool importer_wal(struct importer *im, int64_t from_ms, struct err *e);

struct mapped { // a file, read-only
    struct str bytes;
};
// Absent: empty, and true. ERR_IO.
MUST_CHECK bool mapped_open(struct mapped *m, const char *path, struct err *e);
void mapped_close(struct mapped *m);
OWN_DEFINE_FINI(struct mapped, mapped_close)
