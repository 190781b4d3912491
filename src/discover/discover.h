/*
 * discover.h - service discovery: static, file, http and dns; tells who is interested what there is.
 *
 * A set is the discovery part of one job. Its targets are label sets: __address__,
 * the labels of their group, and __meta_* of the discovery. Files are looked at each
 * second, HTTP and DNS at their refresh interval. A failing refresh keeps what was
 * known, counts, and logs.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "net/http_client.h"

struct discover;

#define DISCOVER_FRESH SIZE_MAX

struct discover_set {
    struct str name;          // of the job, for logs and metrics
    const struct conf_sd *sd; // borrowed while the discovery runs
    size_t before;            // number of the equal set of options.before; DISCOVER_FRESH: none
};

/*
 * Called with all targets of a set whenever they changed, and once at the start, from threads of the
 * discovery; one call at a time. Labels are sorted and borrowed during the call.
 */
typedef void (*discover_fn)(void *ctx, size_t set, const struct labels *targets, size_t n);

struct discover_options {
    const struct discover_set *sets;
    size_t set_count;
    struct http_client *client; // for http_sd; borrowed
    discover_fn update;
    void *ctx;
    /*
     * A halted discovery, or NULL. Sets that name one of its sets take over what that has found, and
     * update is called for them only when this changes: a reload disturbs no targets.
     */
    struct discover *before;
};
MUST_CHECK bool discover_start(struct discover **out, const struct discover_options *o,
                               struct err *e);
// Joins its threads: no update is called after it. What was found stays until discover_stop().
void discover_halt(struct discover *d); // NULL is fine
void discover_stop(struct discover *d); // halts and frees; NULL is fine
OWN_DEFINE(struct discover *, discover_stop)

// The call options that HTTP client settings of a configuration mean. Secrets of files are read now.
struct discover_http {
    struct arena arena;
    struct http_tls *tls; // NULL: defaults
    struct http_header *headers;
    size_t header_count;
    struct str proxy_url;
    bool no_redirects;
};
MUST_CHECK bool discover_http_make(const struct conf_http *c, struct discover_http *out,
                                   struct err *e);
void discover_http_fini(struct discover_http *h);
OWN_DEFINE_FINI(struct discover_http, discover_http_fini)
