/*
 * graphite.h - Graphite's plaintext protocol: name;tag=value value time.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/line.h"

struct graphite_line {
    struct str raw; // name and tags as written
    struct str name;
    const struct line_tag *tag;
    size_t tags;
    double value;
    int64_t t_ms;  // from seconds, fractions allowed
    bool has_time; // absent or −1: now
};

struct graphite {
    struct line_walk lines;
    struct arena *arena;
    line_tags tag;
};

struct graphite graphite_of(struct arena *a, struct str body);
// See line.h.
int graphite_next(struct graphite *g, struct graphite_line *out, struct err *e);
