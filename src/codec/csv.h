/*
 * csv.h - CSV with columns named by a format, as VictoriaMetrics' /api/v1/import/csv has it.
 *
 * A format is a list of column:kind:what, columns from 1:
 *   2:metric:ask,3:metric:bid,1:label:symbol,4:time:unix_s
 * Times: unix_s, unix_ms, unix_ns, rfc3339. Without a time column the time is now.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "codec/line.h"

enum { CSV_COLUMNS_MAX = 1024 };
enum csv_kind {
    CSV_SKIP,
    CSV_METRIC,
    CSV_LABEL,
    CSV_UNIX_S,
    CSV_UNIX_MS,
    CSV_UNIX_NS,
    CSV_RFC3339
};

struct csv_column {
    enum csv_kind kind;
    struct str name;
};

struct csv_format {
    struct csv_column *column; // by position
    size_t columns;
    size_t metrics;
};

struct csv_value {
    struct str name;
    double value;
};

struct csv_row {
    const struct line_tag *tag;
    size_t tags;
    const struct csv_value *value; // cells that are empty are left out
    size_t values;
    int64_t t_ms;
    bool has_time;
};

struct csv {
    const struct csv_format *format;
    const char *p, *end, *start;
    uint32_t line;
    struct arena *arena;
    line_tags tag;
    VEC(struct csv_value) value;
};

// The format's names are slices of text. ERR_INVALID, ERR_UNSUPPORTED.
MUST_CHECK bool csv_format_parse(struct arena *a, struct str text, struct csv_format *out,
                                 struct err *e);
struct csv csv_of(struct arena *a, const struct csv_format *f, struct str body);
void csv_reset(struct csv *c); // after the arena was reset between two rows
// See line.h.
int csv_next(struct csv *c, struct csv_row *out, struct err *e);
// Appends a cell, in quotes where it must be.
void buf_csv_cell(struct buf *b, struct str s);
