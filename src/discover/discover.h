/*
 * discover.h - service discovery: static, file, http and dns; tells who is interested what there is.
 *
 * A set is the discovery part of one job; it is told once each of its parts has answered or failed,
 * or after five seconds, and then whenever it changes. Its targets are label sets: __address__,
 * the labels of their group, and __meta_* of the discovery. Files are looked at each
 * second, HTTP and DNS at their refresh interval. A failing refresh keeps what was
 * known, counts, and logs.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "discover/http_settings.h"

struct discover;

struct discover_set {
    struct str name;          // of the job, for logs and metrics
    const struct conf_sd *sd; // borrowed while the discovery runs
};

/*
 * Called with all targets of a set whenever they changed, from threads of the discovery and from
 * discover_start(); one call at a time. Labels are sorted and borrowed during the call.
 */
typedef void (*discover_fn)(void *ctx, size_t set, const struct labels *targets, size_t n);

struct discover_options {
    const char *name; // of the consumer, in metrics: "scrape"
    const struct discover_set *sets;
    size_t set_count;
    struct http_client *client; // for http_sd; borrowed
    discover_fn update;
    void *ctx;
    /*
     * The discovery before a reload, taken over also on failure: what it knew of the same parts of a
     * configuration (the same pointers) is known again, without asking. NULL: none.
     */
    struct discover *old;
};
MUST_CHECK bool discover_start(struct discover **out, const struct discover_options *o,
                               struct err *e);
// Ends its threads: no more updates. NULL is fine.
void discover_pause(struct discover *d);
void discover_stop(struct discover *d); // joins; NULL is fine
OWN_DEFINE(struct discover *, discover_stop)
