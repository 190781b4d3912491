// prometheus.c - the tables of prometheus.yml, in the order in which it is printed.
// SPDX-License-Identifier: Apache-2.0
#include "config/prometheus_priv.h"

/* ---- relabelling ---- */

static const struct conf_relabel relabel_defaults = { .separator = { ";", 1 },
                                                      .regex = { "(.*)", 4 },
                                                      .replacement = { "$1", 2 },
                                                      .action = { "replace", 7 } };

static const struct conf_field relabel_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_relabel, m, #m, kind, flags, NULL)
    F(source_labels, CONF_STRS, CONF_OMIT | CONF_FLOW),
    F(separator, CONF_STR, CONF_OMIT),
    F(regex, CONF_STR, CONF_OMIT),
    F(modulus, CONF_UINT, CONF_OMIT),
    F(target_label, CONF_STR, CONF_OMIT),
    F(replacement, CONF_STR, CONF_OMIT),
    F(action, CONF_STR, CONF_OMIT),
#undef F
};
const struct conf_type conf_relabel_type = CONF_TYPE(
    "relabel.plain", struct conf_relabel, relabel_fields, &relabel_defaults, conf_relabel_check);

/* ---- discovery ---- */

static const struct conf_field group_fields[] = {
    CONF_FIELD(struct conf_target_group, targets, "targets", CONF_STRS, 0, NULL),
    CONF_FIELD(struct conf_target_group, labels, "labels", CONF_MAP, CONF_OMIT, NULL),
};
const struct conf_type conf_target_group_type = CONF_TYPE(
    "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet "
    "\"yaml:\\\"labels\\\"\" }",
    struct conf_target_group, group_fields, NULL, NULL);

static const struct conf_file_sd file_sd_defaults = { .refresh_interval_ms = 5 * 60000 };
static const struct conf_field file_sd_fields[] = {
    CONF_FIELD(struct conf_file_sd, files, "files", CONF_STRS, 0, NULL),
    CONF_FIELD(struct conf_file_sd, refresh_interval_ms, "refresh_interval", CONF_DURATION,
               CONF_OMIT, NULL),
};
static const struct conf_type file_sd_type = CONF_TYPE(
    "file.plain", struct conf_file_sd, file_sd_fields, &file_sd_defaults, conf_file_sd_check);

static const struct conf_http_sd http_sd_defaults = { .refresh_interval_ms = 60000 };
static const struct conf_field http_sd_fields[] = {
    CONF_FIELD(struct conf_http_sd, http, "", CONF_INLINE, 0, &conf_http_type),
    CONF_FIELD(struct conf_http_sd, refresh_interval_ms, "refresh_interval", CONF_DURATION,
               CONF_OMIT, NULL),
    CONF_FIELD(struct conf_http_sd, url, "url", CONF_STR, 0, NULL),
};
static const struct conf_type http_sd_type = CONF_TYPE(
    "http.plain", struct conf_http_sd, http_sd_fields, &http_sd_defaults, conf_http_sd_check);

static const struct conf_dns_sd dns_sd_defaults = { .refresh_interval_ms = 30000,
                                                    .type = { "SRV", 3 } };
static const struct conf_field dns_sd_fields[] = {
    CONF_FIELD(struct conf_dns_sd, names, "names", CONF_STRS, 0, NULL),
    CONF_FIELD(struct conf_dns_sd, refresh_interval_ms, "refresh_interval", CONF_DURATION,
               CONF_OMIT, NULL),
    CONF_FIELD(struct conf_dns_sd, type, "type", CONF_STR, 0, NULL),
    CONF_FIELD(struct conf_dns_sd, port, "port", CONF_INT, 0, NULL),
};
static const struct conf_type dns_sd_type = CONF_TYPE(
    "dns.plain", struct conf_dns_sd, dns_sd_fields, &dns_sd_defaults, conf_dns_sd_check);

static const struct conf_field sd_fields[] = {
    CONF_FIELD(struct conf_sd_read, sd.dns_sd, "dns_sd_configs", CONF_LIST, CONF_OMIT,
               &dns_sd_type),
    CONF_FIELD(struct conf_sd_read, sd.file_sd, "file_sd_configs", CONF_LIST, CONF_OMIT,
               &file_sd_type),
    CONF_FIELD(struct conf_sd_read, sd.http_sd, "http_sd_configs", CONF_LIST, CONF_OMIT,
               &http_sd_type),
#define OTHER(name) \
    CONF_FIELD(struct conf_sd_read, name, #name "_sd_configs", CONF_NODE, CONF_OMIT, NULL),
    CONF_SD_OTHERS(OTHER)
#undef OTHER
        CONF_FIELD(struct conf_sd_read, sd.static_configs, "static_configs", CONF_LIST,
                   CONF_OMIT | CONF_NULL_ITEM, &conf_target_group_type),
};
static const struct conf_type sd_type = CONF_TYPE("config.plain", struct conf_sd_read, sd_fields,
                                                  NULL, conf_sd_check);

/* ---- scraping ---- */

static const struct conf_scrape_read scrape_defaults = { .s = { .honor_timestamps = true,
                                                                .metrics_path = { "/metrics", 8 },
                                                                .scheme = { "http", 4 },
                                                                .enable_compression = true } };

static const struct conf_field scrape_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_scrape_read, s.m, #m, kind, flags, NULL)
    F(job_name, CONF_STR, 0),
    F(honor_labels, CONF_BOOL, CONF_OMIT),
    F(honor_timestamps, CONF_BOOL, 0),
    F(track_timestamps_staleness, CONF_BOOL, 0),
    F(params, CONF_MULTIMAP, CONF_OMIT),
    CONF_FIELD(struct conf_scrape_read, s.scrape_interval_ms, "scrape_interval", CONF_DURATION,
               CONF_OMIT, NULL),
    CONF_FIELD(struct conf_scrape_read, s.scrape_timeout_ms, "scrape_timeout", CONF_DURATION,
               CONF_OMIT, NULL),
    F(scrape_protocols, CONF_STRS, CONF_OMIT),
    F(fallback_scrape_protocol, CONF_STR, CONF_OMIT),
    F(scrape_native_histograms, CONF_TRI, CONF_OMIT),
    F(always_scrape_classic_histograms, CONF_TRI, CONF_OMIT),
    F(convert_classic_histograms_to_nhcb, CONF_TRI, CONF_OMIT),
    F(scrape_failure_log_file, CONF_STR, CONF_OMIT),
    F(metrics_path, CONF_STR, CONF_OMIT),
    F(scheme, CONF_STR, CONF_OMIT),
    F(enable_compression, CONF_BOOL, 0),
    F(body_size_limit, CONF_SIZE, CONF_OMIT),
    F(sample_limit, CONF_UINT, CONF_OMIT),
    F(target_limit, CONF_UINT, CONF_OMIT),
    F(label_limit, CONF_UINT, CONF_OMIT),
    F(label_name_length_limit, CONF_UINT, CONF_OMIT),
    F(label_value_length_limit, CONF_UINT, CONF_OMIT),
    F(native_histogram_bucket_limit, CONF_UINT, CONF_OMIT),
    F(native_histogram_min_bucket_factor, CONF_DOUBLE, CONF_OMIT),
    F(keep_dropped_targets, CONF_UINT, CONF_OMIT),
    F(metric_name_validation_scheme, CONF_STR, CONF_OMIT),
    F(metric_name_escaping_scheme, CONF_STR, CONF_OMIT),
    F(extra_scrape_metrics, CONF_TRI, CONF_OMIT),
    CONF_FIELD(struct conf_scrape_read, s.http, "", CONF_INLINE, 0, &conf_http_type),
    CONF_FIELD(struct conf_scrape_read, s.relabel_configs, "relabel_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &conf_relabel_type),
    CONF_FIELD(struct conf_scrape_read, s.metric_relabel_configs, "metric_relabel_configs",
               CONF_LIST, CONF_OMIT | CONF_NULL_ITEM, &conf_relabel_type),
    CONF_FIELD(struct conf_scrape_read, sd, "", CONF_INLINE, 0, &sd_type),
#undef F
};
const struct conf_type conf_scrape_type = CONF_TYPE("config.ScrapeConfig", struct conf_scrape_read,
                                                    scrape_fields, &scrape_defaults,
                                                    conf_scrape_check);

static const struct conf_field scrape_file_fields[] = {
    CONF_FIELD(struct conf_list_only, list, "scrape_configs", CONF_LIST, CONF_OMIT | CONF_NULL_ITEM,
               &conf_scrape_type),
};
const struct conf_type conf_scrape_file_type = CONF_TYPE(
    "config.ScrapeConfigs", struct conf_list_only, scrape_file_fields, NULL, NULL);

static const struct conf_field global_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_global, m, #m, kind, flags, NULL)
    CONF_FIELD(struct conf_global, scrape_interval_ms, "scrape_interval", CONF_DURATION, CONF_OMIT,
               NULL),
    CONF_FIELD(struct conf_global, scrape_timeout_ms, "scrape_timeout", CONF_DURATION, CONF_OMIT,
               NULL),
    F(scrape_protocols, CONF_STRS, CONF_OMIT),
    CONF_FIELD(struct conf_global, evaluation_interval_ms, "evaluation_interval", CONF_DURATION,
               CONF_OMIT, NULL),
    CONF_FIELD(struct conf_global, rule_query_offset_ms, "rule_query_offset", CONF_DURATION,
               CONF_OMIT, NULL),
    F(query_log_file, CONF_STR, CONF_OMIT),
    F(scrape_failure_log_file, CONF_STR, CONF_OMIT),
    F(external_labels, CONF_MAP, CONF_OMIT),
    F(body_size_limit, CONF_SIZE, CONF_OMIT),
    F(sample_limit, CONF_UINT, CONF_OMIT),
    F(target_limit, CONF_UINT, CONF_OMIT),
    F(label_limit, CONF_UINT, CONF_OMIT),
    F(label_name_length_limit, CONF_UINT, CONF_OMIT),
    F(label_value_length_limit, CONF_UINT, CONF_OMIT),
    F(keep_dropped_targets, CONF_UINT, CONF_OMIT),
    F(metric_name_validation_scheme, CONF_STR, CONF_OMIT),
    F(metric_name_escaping_scheme, CONF_STR, CONF_OMIT),
    F(scrape_native_histograms, CONF_TRI, CONF_OMIT),
    F(convert_classic_histograms_to_nhcb, CONF_BOOL, CONF_OMIT),
    F(always_scrape_classic_histograms, CONF_BOOL, CONF_OMIT),
    F(extra_scrape_metrics, CONF_TRI, CONF_OMIT),
#undef F
};
static const struct conf_type global_type = CONF_TYPE("config.plain", struct conf_global,
                                                      global_fields, NULL, conf_global_check);

/* ---- alerting ---- */

static const struct conf_alertmanager_read alertmanager_defaults = {
    .a = { .scheme = { "http", 4 }, .timeout_ms = 10000, .api_version = { "v2", 2 } }
};

static const struct conf_field alertmanager_fields[] = {
    CONF_FIELD(struct conf_alertmanager_read, a.http, "", CONF_INLINE, 0, &conf_http_type),
    CONF_FIELD(struct conf_alertmanager_read, a.sigv4, "sigv4", CONF_NODE, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_alertmanager_read, a.scheme, "scheme", CONF_STR, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_alertmanager_read, a.path_prefix, "path_prefix", CONF_STR, CONF_OMIT,
               NULL),
    CONF_FIELD(struct conf_alertmanager_read, a.timeout_ms, "timeout", CONF_DURATION, CONF_OMIT,
               NULL),
    CONF_FIELD(struct conf_alertmanager_read, a.api_version, "api_version", CONF_STR, 0, NULL),
    CONF_FIELD(struct conf_alertmanager_read, a.relabel_configs, "relabel_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &conf_relabel_type),
    CONF_FIELD(struct conf_alertmanager_read, a.alert_relabel_configs, "alert_relabel_configs",
               CONF_LIST, CONF_OMIT | CONF_NULL_ITEM, &conf_relabel_type),
    CONF_FIELD(struct conf_alertmanager_read, sd, "", CONF_INLINE, 0, &sd_type),
};
static const struct conf_type alertmanager_type = CONF_TYPE(
    "config.plain", struct conf_alertmanager_read, alertmanager_fields, &alertmanager_defaults,
    conf_alertmanager_check);

static const struct conf_field alerting_fields[] = {
    CONF_FIELD(struct conf_alerting, alert_relabel_configs, "alert_relabel_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &conf_relabel_type),
    CONF_FIELD(struct conf_alerting, alertmanagers, "alertmanagers", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &alertmanager_type),
};
static const struct conf_type alerting_type = CONF_TYPE("config.plain", struct conf_alerting,
                                                        alerting_fields, NULL, conf_alerting_check);

/* ---- remote ---- */

static const struct conf_queue queue_defaults = { .capacity = 10000,
                                                  .max_shards = 50,
                                                  .min_shards = 1,
                                                  .max_samples_per_send = 2000,
                                                  .batch_send_deadline_ms = 5000,
                                                  .min_backoff_ms = 30,
                                                  .max_backoff_ms = 5000 };
static const struct conf_field queue_fields[] = {
#define F(m, kind) CONF_FIELD(struct conf_queue, m, #m, kind, CONF_OMIT, NULL)
    F(capacity, CONF_INT),
    F(max_shards, CONF_INT),
    F(min_shards, CONF_INT),
    F(max_samples_per_send, CONF_INT),
    CONF_FIELD(struct conf_queue, batch_send_deadline_ms, "batch_send_deadline", CONF_DURATION,
               CONF_OMIT, NULL),
    CONF_FIELD(struct conf_queue, min_backoff_ms, "min_backoff", CONF_DURATION, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_queue, max_backoff_ms, "max_backoff", CONF_DURATION, CONF_OMIT, NULL),
    F(retry_on_http_429, CONF_BOOL),
    CONF_FIELD(struct conf_queue, sample_age_limit_ms, "sample_age_limit", CONF_DURATION, CONF_OMIT,
               NULL),
#undef F
};
static const struct conf_type queue_type = CONF_TYPE(
    "config.plain", struct conf_queue, queue_fields, &queue_defaults, conf_queue_check);

static const struct conf_metadata metadata_defaults = { .send = true,
                                                        .send_interval_ms = 60000,
                                                        .max_samples_per_send = 2000 };
static const struct conf_field metadata_fields[] = {
    CONF_FIELD(struct conf_metadata, send, "send", CONF_BOOL, 0, NULL),
    CONF_FIELD(struct conf_metadata, send_interval_ms, "send_interval", CONF_DURATION, 0, NULL),
    CONF_FIELD(struct conf_metadata, max_samples_per_send, "max_samples_per_send", CONF_INT,
               CONF_OMIT, NULL),
};
static const struct conf_type metadata_type = CONF_TYPE(
    "config.MetadataConfig", struct conf_metadata, metadata_fields, &metadata_defaults, NULL);

static const struct conf_remote_write remote_write_defaults = {
    .remote_timeout_ms = 30000, .protobuf_message = { "prometheus.WriteRequest", 23 }
};
static const struct conf_field remote_write_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_remote_write, m, #m, kind, flags, NULL)
    F(url, CONF_URL, 0),
    CONF_FIELD(struct conf_remote_write, remote_timeout_ms, "remote_timeout", CONF_DURATION,
               CONF_OMIT, NULL),
    F(headers, CONF_MAP, CONF_OMIT),
    CONF_FIELD(struct conf_remote_write, write_relabel_configs, "write_relabel_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &conf_relabel_type),
    F(name, CONF_STR, CONF_OMIT),
    F(send_exemplars, CONF_BOOL, CONF_OMIT),
    F(send_native_histograms, CONF_BOOL, CONF_OMIT),
    F(round_robin_dns, CONF_BOOL, CONF_OMIT),
    F(protobuf_message, CONF_STR, CONF_OMIT),
    F(failed_request_logging, CONF_BOOL, CONF_OMIT),
    CONF_FIELD(struct conf_remote_write, http, "", CONF_INLINE, 0, &conf_http_type),
    CONF_FIELD(struct conf_remote_write, queue, "queue_config", CONF_STRUCT, CONF_OMIT,
               &queue_type),
    CONF_FIELD(struct conf_remote_write, metadata, "metadata_config", CONF_STRUCT, CONF_OMIT,
               &metadata_type),
    F(sigv4, CONF_NODE, CONF_OMIT),
    F(azuread, CONF_NODE, CONF_OMIT),
    F(google_iam, CONF_NODE, CONF_OMIT),
#undef F
};
static const struct conf_type remote_write_type = CONF_TYPE(
    "config.plain", struct conf_remote_write, remote_write_fields, &remote_write_defaults,
    conf_remote_write_check);

static const struct conf_remote_read remote_read_defaults = { .remote_timeout_ms = 60000,
                                                              .chunked_read_limit = 52428800,
                                                              .filter_external_labels = true };
static const struct conf_field remote_read_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_remote_read, m, #m, kind, flags, NULL)
    F(url, CONF_URL, 0),
    CONF_FIELD(struct conf_remote_read, remote_timeout_ms, "remote_timeout", CONF_DURATION,
               CONF_OMIT, NULL),
    F(chunked_read_limit, CONF_UINT, CONF_OMIT),
    F(headers, CONF_MAP, CONF_OMIT),
    F(read_recent, CONF_BOOL, CONF_OMIT),
    F(name, CONF_STR, CONF_OMIT),
    CONF_FIELD(struct conf_remote_read, http, "", CONF_INLINE, 0, &conf_http_type),
    F(required_matchers, CONF_MAP, CONF_OMIT),
    F(filter_external_labels, CONF_BOOL, CONF_OMIT),
#undef F
};
static const struct conf_type remote_read_type = CONF_TYPE(
    "config.plain", struct conf_remote_read, remote_read_fields, &remote_read_defaults,
    conf_remote_read_check);

/* ---- storage, tracing, OTLP ---- */

static const struct conf_retention retention_defaults = { 0 };
static const struct conf_field retention_fields[] = {
    CONF_FIELD(struct conf_retention, time_ms, "time", CONF_DURATION, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_retention, size, "size", CONF_SIZE, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_retention, percentage, "percentage", CONF_DOUBLE, CONF_OMIT, NULL),
};
static const struct conf_type retention_type = CONF_TYPE("config.plain", struct conf_retention,
                                                         retention_fields, &retention_defaults,
                                                         conf_retention_check);

static const struct conf_field chunk_fields[] = {
    CONF_FIELD(struct conf_chunk_encoding, floats, "floats", CONF_STR, CONF_OMIT, NULL),
};
static const struct conf_type chunk_type = CONF_TYPE(
    "config.ChunkEncodingConfig", struct conf_chunk_encoding, chunk_fields, NULL, conf_chunk_check);

static const struct conf_field tsdb_fields[] = {
    // Upstream prints its resolved copy under Go's own name for it, and both when it is set.
    CONF_FIELD(struct conf_tsdb, out_of_order_printed_ms, "outofordertimewindow", CONF_INT, 0,
               NULL),
    CONF_FIELD(struct conf_tsdb, out_of_order_time_window_ms, "out_of_order_time_window",
               CONF_DURATION, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tsdb, stale_series_compaction_threshold,
               "stale_series_compaction_threshold", CONF_DOUBLE, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tsdb, chunk_encoding, "chunk_encoding", CONF_STRUCT, CONF_OMIT,
               &chunk_type),
    CONF_FIELD(struct conf_tsdb, retention, "retention", CONF_PTR, CONF_OMIT, &retention_type),
};
const struct conf_type conf_tsdb_type = CONF_TYPE("config.plain", struct conf_tsdb, tsdb_fields,
                                                  NULL, conf_tsdb_check);

static const struct conf_field exemplars_fields[] = {
    CONF_FIELD(struct conf_exemplars, max_exemplars, "max_exemplars", CONF_INT, CONF_OMIT, NULL),
};
static const struct conf_type exemplars_type = CONF_TYPE(
    "config.ExemplarsConfig", struct conf_exemplars, exemplars_fields, NULL, NULL);

static const struct conf_field storage_fields[] = {
    CONF_FIELD(struct conf_storage, tsdb, "tsdb", CONF_PTR, CONF_OMIT, &conf_tsdb_type),
    CONF_FIELD(struct conf_storage, exemplars, "exemplars", CONF_PTR, CONF_OMIT, &exemplars_type),
};
static const struct conf_type storage_type = CONF_TYPE("config.StorageConfig", struct conf_storage,
                                                       storage_fields, NULL, NULL);

static const struct conf_field tracing_fields[] = {
    CONF_FIELD(struct conf_tracing, client_type, "client_type", CONF_STR, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tracing, endpoint, "endpoint", CONF_STR, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tracing, sampling_fraction, "sampling_fraction", CONF_DOUBLE, CONF_OMIT,
               NULL),
    CONF_FIELD(struct conf_tracing, insecure, "insecure", CONF_BOOL, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tracing, tls, "tls_config", CONF_STRUCT, CONF_OMIT, &conf_tls_type),
    CONF_FIELD(struct conf_tracing, headers, "headers", CONF_MAP, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tracing, compression, "compression", CONF_STR, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_tracing, timeout_ms, "timeout", CONF_DURATION, CONF_OMIT, NULL),
};
static const struct conf_type tracing_type = CONF_TYPE("config.plain", struct conf_tracing,
                                                       tracing_fields, NULL, conf_tracing_check);

static const struct conf_otlp otlp_defaults = {
    .translation_strategy = { "UnderscoreEscapingWithSuffixes", 30 },
    .label_name_underscore_sanitization = true,
    .label_name_preserve_multiple_underscores = true
};
static const struct conf_field otlp_fields[] = {
#define F(m, kind) CONF_FIELD(struct conf_otlp, m, #m, kind, CONF_OMIT, NULL)
    F(promote_all_resource_attributes, CONF_BOOL),
    F(promote_resource_attributes, CONF_STRS),
    F(ignore_resource_attributes, CONF_STRS),
    F(translation_strategy, CONF_STR),
    F(keep_identifying_resource_attributes, CONF_BOOL),
    F(convert_histograms_to_nhcb, CONF_BOOL),
    F(promote_scope_metadata, CONF_BOOL),
    F(label_name_underscore_sanitization, CONF_BOOL),
    F(label_name_preserve_multiple_underscores, CONF_BOOL),
#undef F
};
static const struct conf_type otlp_type = CONF_TYPE("config.plain", struct conf_otlp, otlp_fields,
                                                    &otlp_defaults, conf_otlp_check);

static const struct conf_field runtime_fields[] = {
    CONF_FIELD(struct conf_runtime, gogc, "gogc", CONF_INT, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_runtime, log_level, "log_level", CONF_STR, CONF_OMIT, NULL),
};
static const struct conf_type runtime_type = CONF_TYPE("config.RuntimeConfig", struct conf_runtime,
                                                       runtime_fields, NULL, NULL);

/* ---- the document ---- */

static const struct conf_field doc_fields[] = {
    CONF_FIELD(struct conf_prometheus, global, "global", CONF_STRUCT, 0, &global_type),
    CONF_FIELD(struct conf_prometheus, runtime, "runtime", CONF_STRUCT, CONF_OMIT, &runtime_type),
    CONF_FIELD(struct conf_prometheus, alerting, "alerting", CONF_STRUCT, CONF_OMIT,
               &alerting_type),
    CONF_FIELD(struct conf_prometheus, rule_files, "rule_files", CONF_STRS, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_prometheus, scrape_config_files, "scrape_config_files", CONF_STRS,
               CONF_OMIT, NULL),
    CONF_FIELD(struct conf_prometheus, scrape_configs, "scrape_configs", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &conf_scrape_type),
    CONF_FIELD(struct conf_prometheus, storage, "storage", CONF_STRUCT, CONF_OMIT, &storage_type),
    CONF_FIELD(struct conf_prometheus, tracing, "tracing", CONF_STRUCT, CONF_OMIT, &tracing_type),
    CONF_FIELD(struct conf_prometheus, remote_write, "remote_write", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &remote_write_type),
    CONF_FIELD(struct conf_prometheus, remote_read, "remote_read", CONF_LIST,
               CONF_OMIT | CONF_NULL_ITEM, &remote_read_type),
    CONF_FIELD(struct conf_prometheus, otlp, "otlp", CONF_STRUCT, CONF_OMIT, &otlp_type),
};
const struct conf_type conf_prometheus_type = CONF_TYPE("config.plain", struct conf_prometheus,
                                                        doc_fields, NULL, NULL);

void prom_config_print(struct buf *b, const struct prom_config *c)
{
    prom_config_print_with(b, c, c->doc.storage.tsdb->retention, true);
}

void prom_config_print_with(struct buf *b, const struct prom_config *c,
                            const struct conf_retention *retention, bool exemplars)
{
    struct conf_prometheus doc = c->doc;
    struct conf_tsdb tsdb = *doc.storage.tsdb;
    struct conf_retention copy = *retention;

    tsdb.retention = &copy;
    doc.storage.tsdb = &tsdb;
    if (!exemplars)
        doc.storage.exemplars = NULL;
    doc.scrape_configs.n = doc.own_scrape_configs;
    conf_print(b, &conf_prometheus_type, &doc, 0);
}

void prom_config_print_scrape(struct buf *b, const struct conf_scrape *s)
{
    // A scrape is always the first member of what was read.
    conf_print(b, &conf_scrape_type, s, 0);
}

struct hash128 prom_config_scrape_key(const struct conf_scrape *s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    prom_config_print_scrape(&b, s);
    buf_conf_secrets(&b, &conf_scrape_type, s);
    return (struct hash128){ hash_keyed(buf_view(&b)), hash_seeded(buf_view(&b), 1) };
}

struct hash128 prom_config_remote_write_key(const struct prom_config *c,
                                            const struct conf_remote_write *w)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const struct conf_map *external = &c->doc.global.external_labels;

    conf_print(&b, &remote_write_type, w, 0);
    buf_conf_secrets(&b, &remote_write_type, w);
    for (size_t i = 0; i < external->n; i++)
        buf_printf(&b, "%.*s=%.*s\n", STRF(external->v[i].key), STRF(external->v[i].value));
    return (struct hash128){ hash_keyed(buf_view(&b)), hash_seeded(buf_view(&b), 1) };
}
