/*
 * scrape.h - scraping: targets of all jobs, each on its own beat, from HTTP body to stored rows.
 *
 * A pool per job holds targets made from discovered labels by relabelling. A timer
 * thread starts calls on the HTTP client's loop; bodies are parsed and appended on
 * worker threads. One target has at most one scrape under way. Reloading keeps
 * targets of unchanged jobs undisturbed. All functions are thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "metrics/metrics.h"
#include "net/http_client.h"

struct scraper;

struct scraper_options {
    struct metrics_tenant *tenant;
    struct clock *clock;   // NULL: clock_real()
    struct str user_agent; // "Prometheus/3.15.0": some targets look at it
    unsigned workers;      // 0: one per CPU
    bool zero_rows;        // created-timestamp-zero-ingestion: a zero where a counter started
    bool start_times;      // st-storage: samples are stored with their start times
    /*
     * Pages made inside the process: for jobs with `scheme: vigie`, metrics_path names the page;
     * url is the target's, vigie://address/page?params. Runs on a thread that may wait for
     * timeout_ms. NULL: there are none.
     */
    bool (*local)(void *ctx, struct str url, int64_t timeout_ms, struct buf *out, struct err *e);
    void *local_ctx;
};
MUST_CHECK bool scraper_start(struct scraper **out, const struct scraper_options *o, struct err *e);
// Cancels running scrapes, writing no stale markers, as upstream at shutdown. NULL is fine.
void scraper_stop(struct scraper *s);
OWN_DEFINE(struct scraper *, scraper_stop)

// Starts, replaces and stops pools so that they are those of c, which is shared.
MUST_CHECK bool scraper_apply(struct scraper *s, struct prom_config *c, struct err *e);

/* ---- looking at it ---- */

enum scrape_health { SCRAPE_UNKNOWN, SCRAPE_UP, SCRAPE_DOWN };

struct scrape_target_info {
    struct str pool, url;
    struct labels discovered, labels; // labels empty: a dropped target
    struct str last_error;
    int64_t last_scrape_ns; // wall clock; 0: never
    int64_t last_duration_ns;
    enum scrape_health health;
    int64_t interval_ms, timeout_ms;
    uint64_t series, body_bytes; // of the last page
};

struct scrape_pool_info {
    struct str name;
    const struct conf_scrape *conf; // valid while the arena's config reference is held
    struct scrape_target_info *active, *dropped;
    size_t active_n, dropped_n;
    uint64_t dropped_count; // also those beyond keep_dropped_targets
};

struct scrape_info {
    struct scrape_pool_info *pools; // by name
    size_t n;
    struct prom_config *config; // a reference: prom_config_put() when done with conf
};
// A copy of everything, texts in the arena.
void scraper_info(struct scraper *s, struct arena *a, struct scrape_info *out);

// Metadata of one target's page: all, or one metric's (metric empty: all).
struct scrape_meta {
    struct labels target;
    struct metric_meta meta;
};
void scraper_meta(struct scraper *s, struct str metric, struct arena *a, struct scrape_meta **out,
                  size_t *n);

/*
 * What relabelling makes of labels, step by step: for the API and for tests. rules: of the job.
 * *kept false: dropped at that step.
 */
MUST_CHECK bool scrape_target_labels(const struct conf_scrape *job, struct labels discovered,
                                     struct arena *a, struct labels *before, struct labels *after,
                                     bool *kept, struct err *e);
