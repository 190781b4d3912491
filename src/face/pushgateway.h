/*
 * pushgateway.h - the face of a Pushgateway (:9091): groups of metrics that jobs leave behind.
 *
 * Keeps what was pushed in memory, and in a file when one is given; serves it as a page to
 * scrape and as JSON. Takes and refuses what prometheus/pushgateway does, with its statuses and texts.
 * Requests come on any thread; everything here is thread-safe but new and free.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/time.h"
#include "net/http.h"

struct pushgateway_flag { // for /api/v1/status
    const char *name;
    struct str value;
};

struct pushgateway_options {              // zero in a field means its default
    struct clock *clock;                  // clock_real()
    const char *persistence_path;         // NULL: memory only
    int64_t persistence_interval_ms;      // 5 min; a kill loses at most that
    bool unchecked;                       // do not check consistency
    bool admin, lifecycle;                // wipe; quit
    bool utf8;                            // names of any characters
    struct str route_prefix;              // "", "/prefix"
    struct str telemetry_path;            // "/metrics"
    const struct pushgateway_flag *flags; // sorted; borrowed
    size_t flag_count;
    struct str version;
    size_t memory_max; // bytes of all groups; 1 GiB
    void *ctx;
    void (*self)(void *ctx, struct buf *out); // this process's own metrics as text; NULL: none
    void (*quit)(void *ctx);
};

struct pushgateway;
/*
 * Restores what the file holds; a file that cannot be read is put aside, named in the log, and not
 * an error. Options are copied, their texts borrowed.
 */
MUST_CHECK bool pushgateway_new(struct pushgateway **out, const struct pushgateway_options *o,
                                struct err *e);
void pushgateway_free(struct pushgateway *g); // writes the file; after the server was closed
OWN_DEFINE(struct pushgateway *, pushgateway_free)
void pushgateway_routes(struct pushgateway *g, struct http_server *s);
// Answers unknown paths and methods; the exchange's server_ctx is not looked at.
void pushgateway_fallback(struct http_exchange *x, const char *allow);
// Appends what was pushed, without this process's own metrics, as Prometheus text.
void pushgateway_page(struct pushgateway *g, struct buf *out);
