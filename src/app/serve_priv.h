/*
 * serve_priv.h - the running server and the parts it is made of.
 *
 * A part is one thing that serve wires up: a face with its routes, a port, a background
 * service. It lives in a file of its own, serve_<part>.c, keeps its state behind one pointer in
 * struct server, and is one row of the table in serve.c. Parts start in the order of the
 * table and end in reverse, all of them between opening and closing the store.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/serve.h"
#include "base/arena.h"
#include "base/metric.h"
#include "base/thread.h"
#include "config/prometheus.h"
#include "export/export.h"
#include "face/prometheus.h"
#include "face/ui.h"
#include "pipeline/intake.h"

struct server {
    struct flags flags;
    struct arena arena; // lives as long as the server; used by its starting thread only
    bool as_prometheus; // called by that name: only what that program has
    int64_t start_ms, start_mono_ns;
    struct metrics *metrics;
    struct metrics_tenant *tenant; // of scrapes, rules, and of requests that name none
    struct intake *intake;         // what is pushed goes through it
    struct limits_store *limits;   // NULL: nothing is limited
    bool tenancy;                  // requests must name their tenants
    struct scraper *scraper;
    struct query_engine engine;
    struct export_node *node;
    struct mutex mu;
    struct prom_config *config; // under mu
    bool reload_ok;             // under mu
    int64_t reload_ms;          // under mu
    atomic_bool ready;
    struct mutex reload_mu; // one reload at a time
    struct metric *reload_success, *reload_time, *ready_gauge;
    size_t opened; // parts whose open was called
    // Of the parts, each its own.
    struct serve_export *export;
    struct serve_otlp *otlp;
    struct serve_prometheus *prometheus;
    struct remote_write *remote_write;
    struct serve_pushgateway *pushgateway;
    struct serve_lines *lines;
    struct serve_rules *rules; // NULL: an agent
};

/*
 * Each function may be NULL. They run on the starting thread, prepare and apply also on one that
 * reloads (one reload at a time). Order: open of all, start of all, prepare and apply; stop of all
 * in reverse, then close of all in reverse.
 */
struct serve_part {
    const char *name;
    // A start without a file: appends items of scrape_configs ("- job_name: …\n  …").
    void (*bare)(struct server *s, struct buf *scrape_configs);
    // Makes the part's state. Store, tenant, scraper, engine and the first configuration are there.
    bool (*open)(struct server *s, struct err *e);
    // Adds routes to the server of the main port; between open and start.
    void (*routes)(struct server *s, struct http_server *http);
    // Begins to serve: ports, threads.
    bool (*start)(struct server *s, struct err *e);
    // Whether a configuration can be taken; what it makes of it replaces what was prepared before.
    bool (*prepare)(struct server *s, struct prom_config *c, struct err *e);
    // Takes the configuration prepared last; the reference stays the caller's.
    void (*apply)(struct server *s, struct prom_config *c);
    // No request and no work comes in after it.
    void (*stop)(struct server *s);
    // Frees everything; called also when open failed half-way.
    void (*close)(struct server *s);
    // A page inside this process: scheme vigie, metrics_path as page_path, "/self".
    const char *page_path;
    bool (*page)(struct server *s, struct buf *out, struct err *e);
};
extern const struct serve_part serve_remote_write_part; // before all that stores: it ends last
extern const struct serve_part serve_intake_part;       // first: others push through it
extern const struct serve_part serve_export_part;
extern const struct serve_part serve_otlp_part;
extern const struct serve_part serve_prometheus_part;
extern const struct serve_part serve_pushgateway_part;
extern const struct serve_part serve_lines_part;
extern const struct serve_part serve_rules_part;
// For faces; NULL in an agent.
struct rules *serve_rules_of(struct server *s);
struct alert_sender *serve_alert_sender_of(struct server *s);

// Exporters asked in place, without a port: scheme vigie, metrics_path /redis, /probe and so on.
struct url;
bool serve_export_has(struct str path);
MUST_CHECK bool serve_export_page(struct server *s, const struct url *u, int64_t timeout_ms,
                                  struct buf *out, struct err *e);

/*
 * A HTTP port of a part. A default address that is busy is named in the log and its service left
 * out; one that was given, or that must be there, is an error.
 */
struct serve_port {
    const char *flag; // its listen address: FLAG_LIST of the table; empty: no port
    void (*routes)(void *ctx, struct http_server *http); // adds them
    void *routes_ctx;
    void (*fallback)(struct http_exchange *x, const char *allow); // as in net/http.h; NULL: plain
    bool (*before)(struct http_exchange *x);                      // NULL: none
    void *server_ctx;                                             // of fallback and before
    bool must;
    bool all_loops; // a loop per CPU instead of one
};
// *out: started, to be stopped and closed by the caller; NULL when left out.
MUST_CHECK bool serve_open_port(struct server *s, const struct serve_port *p,
                                struct http_server **out, struct err *e);
// The routes that all parts have on the main port.
void serve_add_routes(struct server *s, struct http_server *http);

// Loads the configuration again and lets every part take it; logs and shows why not. Thread-safe.
bool serve_reload(struct server *s, struct err *e);
// The current configuration; the reference is the caller's. NULL before the first is there.
struct prom_config *serve_config(struct server *s);
// --enable-feature names it.
bool serve_has_feature(const struct server *s, struct str name);
// On by flag, or because vigie under its own name has all of them.
bool serve_feature_is_on(const struct server *s, const char *name);
int64_t serve_retention_ms(const struct server *s, const struct prom_config *c);
const char *serve_data_path(struct server *s);
// Port of an address such as 127.0.0.1:9090; that one when there is none.
struct str serve_port_of(struct str address);
// URL under which this server is reached, and the prefix of its paths ("/", "/prom").
struct str serve_external_url(struct server *s);
struct str serve_prefix(struct server *s);
