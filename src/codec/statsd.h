/*
 * statsd.h - statsd and DogStatsD: name:value|type|@rate|#tag:value,tag. One event per value.
 *
 * Tags may also stand in the name, as Librato (name#tag=v,…), InfluxDB (name,tag=v,…) and SignalFx
 * (name[tag=v,…]) write them.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/line.h"

enum statsd_type { STATSD_COUNTER, STATSD_GAUGE, STATSD_TIMER, STATSD_DISTRIBUTION, STATSD_SET };

struct statsd_event {
    struct str raw; // name as written: with `tags_raw` what tells series apart
    struct str tags_raw;
    struct str name; // without tags
    const struct line_tag *tag;
    size_t tags;
    enum statsd_type type;
    double value;      // of a timer in milliseconds
    bool relative;     // gauge: + or − before the value
    struct str member; // set: the value as text
    double rate;       // 0 < rate ≤ 1
};

struct statsd {
    struct line_walk lines;
    struct arena *arena;
    line_tags tag;
    struct str line, values; // of the line in work: values left
    struct pos pos;
    struct statsd_event event;
};

struct statsd statsd_of(struct arena *a, struct str body);
// See line.h. DogStatsD's events and service checks (_e, _sc) are skipped.
int statsd_next(struct statsd *s, struct statsd_event *out, struct err *e);
