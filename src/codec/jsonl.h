/*
 * jsonl.h - series as JSON lines, as VictoriaMetrics exports and imports them.
 *
 *   {"metric":{"__name__":"up","job":"x"},"values":[1,null,"Infinity"],"timestamps":[1549891472010,…]}
 *
 *   {"metric":{"__name__":"h"},"histograms":["{{schema:1 count:3 …}}"],"timestamps":[1549891472010]}
 *
 * Values that are no JSON numbers: null is NaN, "Infinity", "-Infinity" and "NaN" as texts. Times are
 * milliseconds. Other keys are skipped.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "codec/line.h"

enum { JSONL_LINE_MAX = 256 << 20 }; // bytes

struct jsonl_series {
    struct str raw; // the metric object as written: equal bytes are the same series
    const struct line_tag *tag;
    size_t tags;
    const double *value;
    const int64_t *t_ms;
    size_t n;
    const struct str *histogram; // texts, with the first of the times; then there are no values
    size_t histograms;
};

struct jsonl {
    struct line_walk lines;
    struct arena *arena;
    line_tags tag;
    VEC(double) value;
    VEC(int64_t) t_ms;
    VEC(struct str) histogram;
};

struct jsonl jsonl_of(struct arena *a, struct str body);
void jsonl_reset(struct jsonl *j); // after the arena was reset between two lines
// See line.h.
int jsonl_next(struct jsonl *j, struct jsonl_series *out, struct err *e);

// Appends a line with its line feed. tag: __name__ is one of them.
void jsonl_write(struct buf *b, const struct jsonl_series *s);
