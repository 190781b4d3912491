// scrape_metrics.c - what the scraper tells of itself: the names that Prometheus's dashboards use.
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/scrape_priv.h"

static struct metric *counter(const char *name, const char *help)
{
    return metric_plain(name, help, METRIC_COUNTER);
}

void scrape_metrics_make(struct scraper *s)
{
    static const char *const interval[] = { "interval" };

    s->samples = counter("vigie_scrape_samples_total", "Samples stored by scrapes.");
    s->late = counter("vigie_scrapes_skipped_total",
                      "Scrapes that were due while the one before still ran.");
    s->sample_limit = counter("prometheus_target_scrapes_exceeded_sample_limit_total",
                              "Scrapes that hit the sample limit and were rejected.");
    s->bucket_limit = counter(
        "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
        "Scrapes that hit the bucket limit of native histograms and were rejected.");
    s->body_limit = counter("prometheus_target_scrapes_exceeded_body_size_limit_total",
                            "Scrapes that hit the body size limit.");
    s->label_limits = counter("prometheus_target_scrape_pool_exceeded_label_limits_total",
                              "Scrapes that hit a limit on labels and were rejected.");
    s->duplicates = counter("prometheus_target_scrapes_sample_duplicate_timestamp_total",
                            "Samples rejected for another value at the same time.");
    s->out_of_order = counter("prometheus_target_scrapes_sample_out_of_order_total",
                              "Samples rejected for being out of order.");
    s->out_of_bounds = counter("prometheus_target_scrapes_sample_out_of_bounds_total",
                               "Samples rejected for a time outside of the bounds.");
    s->cache_flushes = counter("prometheus_target_scrapes_cache_flush_forced_total",
                               "Caches emptied for growing while scrapes failed.");
    s->pools_made = counter("prometheus_target_scrape_pools_total", "Scrape pools made.");
    s->pools_failed = counter("prometheus_target_scrape_pools_failed_total",
                              "Scrape pools that could not be made.");
    s->reloads = counter("prometheus_target_scrape_pool_reloads_total",
                         "Scrape pools replaced by a reload.");
    s->target_limits = counter("prometheus_target_scrape_pool_exceeded_target_limit_total",
                               "Times that a scrape pool had too many targets.");
    s->interval_seconds = metric_family("prometheus_target_interval_length_seconds",
                                        "Actual intervals between scrapes.", METRIC_SUMMARY,
                                        interval, 1);
}

struct scrape_gauges scrape_gauges_of(struct str job)
{
    static const char *const names[] = { "scrape_job" };
    struct metric_family *targets = metric_family("prometheus_target_scrape_pool_targets",
                                                  "Targets in this scrape pool.", METRIC_GAUGE,
                                                  names, 1);
    struct metric_family *limit = metric_family("prometheus_target_scrape_pool_target_limit",
                                                "Targets allowed in this scrape pool; 0: any.",
                                                METRIC_GAUGE, names, 1);
    struct metric_family *syncs = metric_family("prometheus_target_scrape_pool_sync_total",
                                                "Times that the pool followed discovery.",
                                                METRIC_COUNTER, names, 1);
    struct metric_family *failed = metric_family("prometheus_target_sync_failed_total",
                                                 "Targets that could not be made.", METRIC_COUNTER,
                                                 names, 1);
    struct metric_family *seconds = metric_family("prometheus_target_sync_length_seconds",
                                                  "How long following discovery took.",
                                                  METRIC_SUMMARY, names, 1);

    return (struct scrape_gauges){ metric_child(targets, &job), metric_child(limit, &job),
                                   metric_child(syncs, &job), metric_child(failed, &job),
                                   metric_child(seconds, &job) };
}
