/*
 * statsd.h - what statsd senders mean, added up: counters, gauges, timers and sets as series.
 *
 * Names as statsd_exporter makes them: other characters than letters, digits, _ and : become _. A
 * counter only grows, a timer is a summary in seconds (quantile 0.5, 0.9, 0.99, _sum, _count) over its
 * last values, h and d the same in their own unit, a set the number of different members since the last
 * flush. A name that has had no event for an hour is forgotten.
 *
 * One thread: statsd_lines() and statsd_flush() are called by the thread that reads the socket.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/time.h"
#include "pipeline/intake.h"

enum { STATSD_SERIES_MAX = 200000, STATSD_VALUES_MAX = 1024, STATSD_MEMBERS_MAX = 65536 };

struct statsd_sums;

struct statsd_sums *statsd_sums_new(struct intake *in, struct clock *clock);
void statsd_sums_free(struct statsd_sums *s);
OWN_DEFINE(struct statsd_sums *, statsd_sums_free)
// Takes lines; malformed ones are counted.
void statsd_lines(struct statsd_sums *s, struct str text);
// Writes what there is at this moment. ERR_UNAVAILABLE, ERR_LIMIT: not stored; the sums stay.
MUST_CHECK bool statsd_flush(struct statsd_sums *s, struct err *e);
