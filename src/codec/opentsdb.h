/*
 * opentsdb.h - OpenTSDB: put lines (telnet) and the JSON of /api/put.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/json.h"
#include "codec/line.h"

struct opentsdb_point {
    struct str name;
    const struct line_tag *tag;
    size_t tags;
    double value;
    int64_t t_ms; // seconds, or milliseconds where it has more than 32 bits
    bool has_time;
};

struct opentsdb { // put lines
    struct line_walk lines;
    struct arena *arena;
    line_tags tag;
};
struct opentsdb opentsdb_of(struct arena *a, struct str body);
// See line.h. Lines of other commands (version, stats, exit) are skipped.
int opentsdb_next(struct opentsdb *o, struct opentsdb_point *out, struct err *e);

// One object of /api/put. ERR_INVALID.
MUST_CHECK bool opentsdb_json_point(struct arena *a, const struct json_value *v,
                                    struct opentsdb_point *out, struct err *e);
