/*
 * influx.h - InfluxDB's line protocol: measurement,tag=value field=value,field=value time.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/line.h"

struct influx_field {
    struct str key;
    double value;
    bool is_number; // false: a text, which has no value. Booleans are 1 and 0
};

struct influx_line {
    struct str raw; // measurement and tags as written: equal bytes are the same series
    struct str measurement;
    const struct line_tag *tag; // empty values are left out
    size_t tags;
    const struct influx_field *field;
    size_t fields;
    int64_t time; // in whatever unit the sender uses
    bool has_time;
};

struct influx {
    const char *p, *end, *start;
    uint32_t line;
    struct arena *arena;
    line_tags tag;
    VEC(struct influx_field) field;
};

// The body is borrowed. The arena may be reset between two lines if influx_reset() is called then.
struct influx influx_of(struct arena *a, struct str body);
void influx_reset(struct influx *x);
// See line.h. *out lives until the next call. Comment lines and empty ones are skipped.
int influx_next(struct influx *x, struct influx_line *out, struct err *e);
/*
 * Milliseconds of a time in a precision of the API: ns n u us µs ms s m h; empty: by its size, as a
 * time between 1970 and 2286. Rounds down. False: no such precision.
 */
bool influx_time_ms(int64_t time, struct str precision, int64_t *out_ms);
