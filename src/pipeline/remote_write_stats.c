/*
 * remote_write_stats.c - what a queue tells of itself, by the names of Prometheus.
 */
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/remote_write_priv.h"

#define P "prometheus_remote_storage_"

struct maker {
    struct str values[3];
};

static struct metric *make(struct maker *m, const char *name, const char *help,
                           enum metric_kind kind)
{
    static const char *const labels[] = { "remote_name", "url" };

    return metric_child(metric_family(name, help, kind, labels, 2), m->values);
}

static struct metric *counter(struct maker *m, const char *name, const char *help)
{
    return make(m, name, help, METRIC_COUNTER);
}

static struct metric *gauge(struct maker *m, const char *name, const char *help)
{
    return make(m, name, help, METRIC_GAUGE);
}

static void make_dropped(struct maker *m, const char *name, struct metric **out)
{
    static const char *const labels[] = { "remote_name", "url", "reason" };
    static const char *const reasons[RW_REASON_COUNT] = {
        [RW_TOO_OLD] = "too_old",
        [RW_DROPPED] = "dropped_series",
        [RW_UNKNOWN] = "unintentionally_dropped_series",
        [RW_NHCB] = "nhcb_in_rw1_not_supported",
        [RW_SKIPPED] = "behind_bound",
    };
    struct metric_family *f = metric_family(name, "Read from the store and not sent, by reason.",
                                            METRIC_COUNTER, labels, 3);

    for (size_t i = 0; i < RW_REASON_COUNT; i++) {
        m->values[2] = str_c(reasons[i]);
        out[i] = metric_child(f, m->values);
    }
}

static void make_counters(struct rw_metrics *m, struct maker *k)
{
    m->samples = counter(k, P "samples_total", "Samples sent to remote storage.");
    m->histograms = counter(k, P "histograms_total", "Histograms sent to remote storage.");
    m->exemplars = counter(k, P "exemplars_total", "Exemplars sent to remote storage.");
    m->metadata = counter(k, P "metadata_total", "Metadata entries sent to remote storage.");
    m->failed_samples = counter(k, P "samples_failed_total",
                                "Samples that the remote storage refused for good.");
    m->failed_histograms = counter(k, P "histograms_failed_total",
                                   "Histograms that the remote storage refused for good.");
    m->failed_exemplars = counter(k, P "exemplars_failed_total",
                                  "Exemplars that the remote storage refused for good.");
    m->failed_metadata = counter(k, P "metadata_failed_total",
                                 "Metadata entries that the remote storage refused for good.");
    m->retried_samples = counter(k, P "samples_retried_total",
                                 "Samples whose sending failed and is tried again.");
    m->retried_histograms = counter(k, P "histograms_retried_total",
                                    "Histograms whose sending failed and is tried again.");
    m->retried_exemplars = counter(k, P "exemplars_retried_total",
                                   "Exemplars whose sending failed and is tried again.");
    m->retried_metadata = counter(k, P "metadata_retried_total",
                                  "Metadata entries whose sending failed and is tried again.");
    m->enqueue_retries = counter(k, P "enqueue_retries_total",
                                 "Times that reading waited for a shard which was full.");
    m->bytes = counter(k, P "bytes_total", "Bytes of data sent, compressed.");
    m->metadata_bytes = counter(k, P "metadata_bytes_total", "Bytes of metadata sent, compressed.");
}

void rw_metrics_init(struct rw_metrics *m, struct str name, struct str url)
{
    static const char *const labels[] = { "remote_name", "url" };
    static const double bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1,
                                     2.5,  5,   10,   25,  60, 120, 300 };
    struct maker k = { { name, url } };

    make_counters(m, &k);
    make_dropped(&k, P "samples_dropped_total", m->dropped_samples);
    make_dropped(&k, P "histograms_dropped_total", m->dropped_histograms);
    make_dropped(&k, P "exemplars_dropped_total", m->dropped_exemplars);
    m->duration = metric_child(metric_histogram_family(P "sent_batch_duration_seconds",
                                                       "Duration of calls to the remote storage.",
                                                       bounds, ARRAY_LEN(bounds), labels, 2),
                               k.values);
    m->newest = gauge(&k, P "queue_highest_timestamp_seconds", "Newest time that was enqueued.");
    m->newest_sent = gauge(&k, P "queue_highest_sent_timestamp_seconds",
                           "Newest time that was sent.");
    m->pending_samples = gauge(&k, P "samples_pending", "Samples waiting in the shards.");
    m->pending_histograms = gauge(&k, P "histograms_pending", "Histograms waiting in the shards.");
    m->pending_exemplars = gauge(&k, P "exemplars_pending", "Exemplars waiting in the shards.");
    m->capacity = gauge(&k, P "shard_capacity", "Capacity of each shard.");
    m->shards = gauge(&k, P "shards", "Shards that send in parallel.");
    m->shards_max = gauge(&k, P "shards_max", "Most shards that are allowed.");
    m->shards_min = gauge(&k, P "shards_min", "Least shards that are allowed.");
    m->shards_desired = gauge(&k, P "shards_desired", "Shards that the rates ask for.");
    m->per_send = gauge(&k, P "max_samples_per_send", "Most samples in one request.");
    m->behind_bytes = gauge(&k, "vigie_remote_write_behind_bytes",
                            "Bytes of parts not yet acknowledged by the receiver.");
    m->behind_seconds = gauge(&k, "vigie_remote_write_behind_seconds",
                              "Age of the oldest sample in parts not yet acknowledged.");
}
