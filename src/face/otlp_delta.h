/*
 * otlp_delta.h - sums and histograms of differences made cumulative.
 *
 * One total is kept per stream (resource, scope, metric, attributes), for as long as points of it
 * come; totals are bounded in number and bytes and forgotten after five minutes without points:
 * then the next point starts anew, which readers see as a reset. Totals live in memory: a restart
 * starts all of them anew. Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "base/time.h"
#include "codec/otlp_metrics.h"

struct otlp_delta;

struct otlp_delta_options { // zero in a field means its default
    struct clock *clock;    // clock_real()
    size_t streams_max;     // 500000
    size_t bytes_max;       // 256 MiB
    int64_t stale_ms;       // 5 min
};

struct otlp_delta *otlp_delta_new(const struct otlp_delta_options *o);
void otlp_delta_free(struct otlp_delta *d);
OWN_DEFINE(struct otlp_delta *, otlp_delta_free)

/*
 * Adds a point to its stream's total. *out: the point with the total; lists in the arena.
 * Errors: ERR_INVALID: not behind the last point, or before the stream's start; ERR_LIMIT.
 */
MUST_CHECK bool otlp_delta_add(struct otlp_delta *d, struct hash128 stream,
                               enum otlp_metric_kind kind, const struct otlp_point *p,
                               struct arena *a, struct otlp_point *out, struct err *e);
size_t otlp_delta_streams(struct otlp_delta *d);
