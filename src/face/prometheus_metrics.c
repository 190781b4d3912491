/*
 * prometheus_metrics.c - /metrics: what Prometheus's own dashboards and alerts ask of this server.
 *
 * Names and meaning are upstream's where the store has such a thing; parts stand for blocks,
 * merges for compactions, the row log for the WAL.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "base/metric.h"
#include "export/export.h"
#include "face/prometheus_priv.h"

enum unit { COUNT, MILLISECONDS, SECONDS_OF_MS };

struct stat_metric {
    const char *name, *help;
    enum metric_kind kind;
    size_t offset; // in struct metrics_stats, of an uint64_t or int64_t
    enum unit unit;
};

#define STAT(field) offsetof(struct metrics_stats, field)

static const struct stat_metric stat_metrics[] = {
    { "prometheus_tsdb_head_series", "Series that are being written to.", METRIC_GAUGE,
      STAT(series_active), COUNT },
    { "prometheus_tsdb_head_chunks", "Chunks of series that are being written to.", METRIC_GAUGE,
      STAT(series_active), COUNT },
    { "prometheus_tsdb_head_series_created_total", "Series registered.", METRIC_COUNTER,
      STAT(series_created), COUNT },
    { "prometheus_tsdb_head_samples_appended_total", "Samples stored.", METRIC_COUNTER,
      STAT(rows_appended), COUNT },
    { "prometheus_tsdb_head_min_time", "Time of the oldest sample, in milliseconds.", METRIC_GAUGE,
      STAT(min_ms), MILLISECONDS },
    { "prometheus_tsdb_head_max_time", "Time of the newest sample, in milliseconds.", METRIC_GAUGE,
      STAT(max_ms), MILLISECONDS },
    { "prometheus_tsdb_head_min_time_seconds", "Time of the oldest sample.", METRIC_GAUGE,
      STAT(min_ms), SECONDS_OF_MS },
    { "prometheus_tsdb_head_max_time_seconds", "Time of the newest sample.", METRIC_GAUGE,
      STAT(max_ms), SECONDS_OF_MS },
    { "prometheus_tsdb_lowest_timestamp", "Time of the oldest sample, in milliseconds.",
      METRIC_GAUGE, STAT(min_ms), MILLISECONDS },
    { "prometheus_tsdb_lowest_timestamp_seconds", "Time of the oldest sample.", METRIC_GAUGE,
      STAT(min_ms), SECONDS_OF_MS },
    { "prometheus_tsdb_blocks_loaded", "Parts on disk.", METRIC_GAUGE, STAT(parts), COUNT },
    { "prometheus_tsdb_storage_blocks_bytes", "Bytes of parts on disk.", METRIC_GAUGE,
      STAT(part_bytes), COUNT },
    { "prometheus_tsdb_wal_storage_size_bytes", "Bytes of row logs on disk.", METRIC_GAUGE,
      STAT(log_bytes), COUNT },
    { "prometheus_tsdb_symbol_table_size_bytes", "Bytes of the catalog of series.", METRIC_GAUGE,
      STAT(catalog_bytes), COUNT },
    { "prometheus_tsdb_compactions_total", "Merges of parts.", METRIC_COUNTER, STAT(merges),
      COUNT },
    { "prometheus_tsdb_wal_corruptions_total", "Damage found in files.", METRIC_COUNTER,
      STAT(corruptions), COUNT },
    { "prometheus_tsdb_out_of_order_samples_total", "Samples refused as out of order.",
      METRIC_COUNTER, STAT(rows_refused[APPEND_OUT_OF_ORDER]), COUNT },
    { "prometheus_tsdb_too_old_samples_total", "Samples refused as too old.", METRIC_COUNTER,
      STAT(rows_refused[APPEND_TOO_OLD]), COUNT },
    { "prometheus_tsdb_out_of_bound_samples_total", "Samples refused as too far ahead.",
      METRIC_COUNTER, STAT(rows_refused[APPEND_TOO_NEW]), COUNT },
    { "prometheus_tsdb_data_replay_duration_seconds", "How long reading the logs took at start.",
      METRIC_GAUGE, STAT(replay_ms), SECONDS_OF_MS },
    { "vigie_partitions", "Partitions of time that have data.", METRIC_GAUGE, STAT(partitions),
      COUNT },
    { "vigie_flushes_total", "Tails of rows made parts.", METRIC_COUNTER, STAT(flushes), COUNT },
};

// What nothing here can fail at, kept at zero for the alerts that watch it.
static const struct {
    const char *name, *help;
} zeros[] = {
    { "prometheus_tsdb_compactions_failed_total", "Merges that failed." },
    { "prometheus_tsdb_reloads_failures_total", "Reloads of the list of parts that failed." },
};

struct stat_reader {
    struct metrics *metrics;
    const struct stat_metric *m;
};

static double read_stat(void *ctx)
{
    const struct stat_reader *r = ctx;
    struct metrics_stats stats = { 0 };
    int64_t v;

    metrics_stats(r->metrics, &stats);
    memcpy(&v, (const char *)&stats + r->m->offset, sizeof v);
    switch (r->m->unit) {
    case COUNT:
        return (double)(uint64_t)v;
    case SECONDS_OF_MS:
        return (double)v / 1000;
    default:
        return (double)v;
    }
}

static void set(const char *name, const char *help, double v)
{
    metric_set(metric_plain(name, help, METRIC_GAUGE), v);
}

void prom_metrics_init(struct prom_face *f)
{
    static const char *const build[] = { "branch",   "goarch", "goos",   "goversion",
                                         "revision", "tags",   "version" };
    static const char *const code[] = { "code" };
    const struct str values[] = { STR(""), STR("none"),  STR("linux"),     STR("none"),
                                  STR(""), STR("vigie"), STR(PROM_VERSION) };
    struct stat_reader *readers = arena_array(&f->arena, ARRAY_LEN(stat_metrics),
                                              struct stat_reader);

    static_assert(ARRAY_LEN(build) == ARRAY_LEN(values), "one value each");
    metric_set(metric_child(metric_family("prometheus_build_info", "What this server is.",
                                          METRIC_GAUGE, build, ARRAY_LEN(build)),
                            values),
               1);
    f->scrapes = metric_family("promhttp_metric_handler_requests_total",
                               "Scrapes by HTTP status code.", METRIC_COUNTER, code, 1);
    if (!f->o.metrics)
        return;
    for (size_t i = 0; i < ARRAY_LEN(stat_metrics); i++) {
        readers[i] = (struct stat_reader){ f->o.metrics, &stat_metrics[i] };
        metric_on_read(stat_metrics[i].name, stat_metrics[i].help, stat_metrics[i].kind, read_stat,
                       &readers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(zeros); i++)
        metric_plain(zeros[i].name, zeros[i].help, METRIC_COUNTER);
    set("prometheus_tsdb_retention_limit_seconds", "Retention by time; 0: none.",
        (double)f->o.retention_ms / 1000);
    set("prometheus_tsdb_retention_limit_bytes", "Retention by size; 0: none.",
        (double)f->o.retention_bytes);
}

static void metrics_page(struct http_exchange *x)
{
    enum expo_format format;
    bool utf8;
    struct str type = prom_expo_type(x, &format, &utf8);

    http_set_header(x, STR("Content-Type"), type);
    export_self_write(format, NULL, http_body(x));
    metric_add(metric_child(prom_face_of(x)->scrapes, &STR("200")), 1);
}

void prom_routes_metrics(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/metrics", metrics_page);
}
