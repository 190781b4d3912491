/*
 * series_export.h - whole series out of a store: JSON lines and CSV, for HTTP and for commands.
 *
 * Markers of staleness are left out: they say that a series had ended, which other systems cannot
 * express. Native histograms are texts ("histograms":["{{count:3 …}}"]) in JSON lines, and left out in
 * CSV.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "lang/promql.h"
#include "metrics/source.h"

enum series_format { SERIES_JSONL, SERIES_CSV };

struct series_export { // zero in a field means its default
    struct series_source *source;
    const struct promql *selector; // what to export: one or more; none: everything
    size_t selectors;
    int64_t min_ms, max_ms; // both inclusive
    enum series_format format;
    struct str columns;    // of CSV: __series__,__timestamp__:rfc3339,__value__
    size_t rows_per_line;  // of JSON lines; all
    struct budget *budget; // NULL: none
    bool (*write)(void *ctx, struct str text, struct err *e); // takes pieces of whole lines
    void *ctx;
};

struct series_export_counts {
    uint64_t series, samples, histograms;
};
/*
 * Exports all series of all selectors, each once. ERR_INVALID: the columns; the source's errors; what
 * write says.
 */
MUST_CHECK bool series_export(const struct series_export *o, struct series_export_counts *out,
                              struct err *e);
// A time as the API takes it: seconds, milliseconds where it is too large for those, or RFC 3339.
MUST_CHECK bool series_time_parse(struct str text, int64_t *out_ms);
