/*
 * prometheus.h - Prometheus's HTTP face on :9090: /api/v1, federation, management, remote read and write.
 *
 * Translates requests into calls of query/, metrics/ and pipeline/ and their answers
 * into the JSON, headers and statuses that Prometheus 3 gives. Owns no data.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "metrics/metrics.h"
#include "net/http.h"
#include "pipeline/intake.h"
#include "pipeline/scrape.h"
#include "query/query.h"

struct rules;
struct alert_sender;

struct prom_flag {
    const char *name;
    struct str value;
};

// What the face asks of the program around it. Functions may be called from any thread.
struct prom_host {
    void *ctx;
    struct prom_config *(*config)(void *ctx); // a reference to the current configuration
    bool (*reload)(void *ctx, struct err *e);
    void (*quit)(void *ctx);
    bool (*ready)(void *ctx);
    void (*reload_state)(void *ctx, bool *ok, int64_t *at_ms); // of the last reload
    bool (*has_feature)(void *ctx, const char *name); // of --enable-feature; as vigie all are on
};

struct prom_face_options {
    struct metrics *metrics;
    struct metrics_tenant *tenant; // of requests that name none
    struct intake *intake;         // what is pushed goes through it
    struct limits_store *limits;   // NULL: nothing is limited
    bool tenancy;                  // requests must name their tenants
    struct scraper *scraper;       // NULL: agent-less tools
    struct rules *rules;           // NULL: none
    struct alert_sender *alerts;   // NULL: none are sent
    struct prom_host host;
    const struct query_engine *engine;
    struct clock *clock;
    const struct prom_flag *flags; // for /status/flags, sorted by name
    size_t flag_count;
    struct str external_url, route_prefix; // prefix: "/" or "/prom"
    struct str listen_port;                // of this server: targets on it are this server
    struct str cors_origin;                // regular expression; default .*
    struct str page_title;
    bool enable_admin, enable_lifecycle, enable_remote_write, enable_otlp, agent;
    bool as_prometheus;       // manners that only replacing that program excuses
    bool search_api;          // the feature is on
    size_t search_limit_max;  // of the search API; 0: none
    int64_t query_timeout_ms; // 2 min
    int64_t start_ms;         // of the process
    int64_t retention_ms;
    uint64_t retention_bytes;
    unsigned query_concurrency;  // 20
    uint64_t query_memory_bytes; // budget of one query; 0: 1 GiB, or a quarter of the memory
};

struct prom_face;
MUST_CHECK bool prom_face_new(struct prom_face **out, const struct prom_face_options *o,
                              struct err *e);
void prom_face_free(struct prom_face *f); // after the server was closed
OWN_DEFINE(struct prom_face *, prom_face_free)
// Adds all routes. The face's fallback and before belong into the server's options.
void prom_face_routes(struct prom_face *f, struct http_server *s);
void prom_face_fallback(struct http_exchange *x, const char *allow);
bool prom_face_before(struct http_exchange *x);
