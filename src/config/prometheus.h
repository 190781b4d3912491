/*
 * prometheus.h - prometheus.yml: the document as structs, read, checked and printable.
 *
 * Relative paths inside are resolved against the folder of the file. Everything
 * lives in the config's arena. No behaviour here: discover/, pipeline/ and rules/
 * act on it. Source: Prometheus 3.15, config/config.go and discovery/.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "config/http_config.h"
#include "model/relabel.h"

struct conf_relabel {
    struct conf_strs source_labels;
    struct str separator, regex, target_label, replacement, action;
    uint64_t modulus;
    struct relabel_rule rule; // compiled from the above
};

struct conf_target_group {
    struct conf_strs targets;
    struct conf_map labels;
    struct str source; // where it came from: file name, "job/0" …
};

struct conf_file_sd {
    struct conf_strs files;
    int64_t refresh_interval_ms;
};

struct conf_http_sd {
    struct conf_http http;
    int64_t refresh_interval_ms;
    struct str url;
};

struct conf_dns_sd {
    struct conf_strs names;
    int64_t refresh_interval_ms;
    struct str type; // A AAAA SRV MX NS
    int64_t port;
};

// A discovery that is recognised and checked but not done yet: say so at start.
struct conf_other_sd {
    const char *key; // "consul_sd_configs"
    const struct yaml_node *node;
};

struct conf_sd {
    struct conf_list static_configs; // struct conf_target_group
    struct conf_list file_sd, http_sd, dns_sd;
    struct conf_other_sd *other;
    size_t other_n;
};

struct conf_scrape {
    struct str job_name;
    bool honor_labels, honor_timestamps, track_timestamps_staleness;
    struct conf_multimap params;
    int64_t scrape_interval_ms, scrape_timeout_ms;
    struct conf_strs scrape_protocols;
    struct str fallback_scrape_protocol;
    enum conf_tri scrape_native_histograms, always_scrape_classic_histograms,
        convert_classic_histograms_to_nhcb;
    struct str scrape_failure_log_file, metrics_path, scheme;
    bool enable_compression;
    uint64_t body_size_limit, sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit, native_histogram_bucket_limit;
    double native_histogram_min_bucket_factor;
    uint64_t keep_dropped_targets;
    struct str metric_name_validation_scheme, metric_name_escaping_scheme;
    enum conf_tri extra_scrape_metrics;
    struct conf_http http;
    struct conf_list relabel_configs, metric_relabel_configs; // struct conf_relabel
    struct relabel_rule *relabel, *metric_relabel;            // the same, compiled, as arrays
    struct conf_sd sd;
};

struct conf_global {
    int64_t scrape_interval_ms, scrape_timeout_ms;
    struct conf_strs scrape_protocols;
    int64_t evaluation_interval_ms, rule_query_offset_ms;
    struct str query_log_file, scrape_failure_log_file;
    struct conf_map external_labels;
    uint64_t body_size_limit, sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit, keep_dropped_targets;
    struct str metric_name_validation_scheme, metric_name_escaping_scheme;
    enum conf_tri scrape_native_histograms;
    bool convert_classic_histograms_to_nhcb, always_scrape_classic_histograms;
    enum conf_tri extra_scrape_metrics;
};

struct conf_alertmanager {
    struct conf_http http;
    const struct yaml_node *sigv4;
    struct str scheme, path_prefix;
    int64_t timeout_ms;
    struct str api_version;
    struct conf_list relabel_configs, alert_relabel_configs;
    struct conf_sd sd;
};

struct conf_alerting {
    struct conf_list alert_relabel_configs, alertmanagers;
};

struct conf_queue {
    int64_t capacity, max_shards, min_shards, max_samples_per_send, batch_send_deadline_ms,
        min_backoff_ms, max_backoff_ms;
    bool retry_on_http_429;
    int64_t sample_age_limit_ms;
};

struct conf_metadata {
    bool send;
    int64_t send_interval_ms, max_samples_per_send;
};

struct conf_remote_write {
    struct str url;
    int64_t remote_timeout_ms;
    struct conf_map headers;
    struct conf_list write_relabel_configs;
    struct str name;
    bool send_exemplars, send_native_histograms, round_robin_dns;
    struct str protobuf_message;
    bool failed_request_logging;
    struct conf_http http;
    struct conf_queue queue;
    struct conf_metadata metadata;
    const struct yaml_node *sigv4, *azuread, *google_iam;
};

struct conf_remote_read {
    struct str url;
    int64_t remote_timeout_ms;
    uint64_t chunked_read_limit;
    struct conf_map headers;
    bool read_recent;
    struct str name;
    struct conf_http http;
    struct conf_map required_matchers;
    bool filter_external_labels;
};

struct conf_retention {
    int64_t time_ms;
    uint64_t size;
    double percentage;
};

struct conf_chunk_encoding {
    struct str floats;
};

struct conf_tsdb {
    int64_t out_of_order_time_window_ms, out_of_order_printed_ms;
    double stale_series_compaction_threshold;
    struct conf_chunk_encoding chunk_encoding;
    struct conf_retention *retention;
};

struct conf_exemplars {
    int64_t max_exemplars;
};

struct conf_storage {
    struct conf_tsdb *tsdb;
    struct conf_exemplars *exemplars;
};

struct conf_tracing {
    struct str client_type, endpoint;
    double sampling_fraction;
    bool insecure;
    struct conf_tls tls;
    struct conf_map headers;
    struct str compression;
    int64_t timeout_ms;
};

struct conf_otlp {
    bool promote_all_resource_attributes;
    struct conf_strs promote_resource_attributes, ignore_resource_attributes;
    struct str translation_strategy;
    bool keep_identifying_resource_attributes, convert_histograms_to_nhcb, promote_scope_metadata,
        label_name_underscore_sanitization, label_name_preserve_multiple_underscores;
};

struct conf_runtime {
    int64_t gogc;
    struct str log_level;
};

struct conf_prometheus {
    struct conf_global global;
    struct conf_runtime runtime;
    struct conf_alerting alerting;
    struct conf_strs rule_files, scrape_config_files;
    struct conf_list scrape_configs; // struct conf_scrape, those of scrape_config_files behind
    size_t own_scrape_configs;       // how many stand in the file itself
    struct conf_storage storage;
    struct conf_tracing tracing;
    struct conf_list remote_write, remote_read;
    struct conf_otlp otlp;
};

// Immutable once loaded, shared by reference.
struct prom_config {
    _Atomic unsigned refs;
    struct arena arena;
    struct str path, dir;
    struct conf_prometheus doc;
    struct conf_problem *problems; // after a failure: every unknown key and wrong kind
    size_t problem_count;
    struct conf_problem *warnings; // accepted, but worth a line in the log
    size_t warning_count;
    struct regex **regexes;
    size_t regex_count;
};

struct prom_config_options {
    bool agent;                 // the subset allowed in agent mode
    bool no_scrape_files;       // leave scrape_config_files alone
    const char *const *environ; // for ${VAR} in external labels; NULL: the process's
};

/*
 * Reads and checks a file. *out is set on success; on failure too when problems are worth showing
 * (then prom_config_put it). *e: upstream's text, with position: "parsing YAML file x.yml: …".
 */
MUST_CHECK bool prom_config_load(const char *path, const struct prom_config_options *o,
                                 struct prom_config **out, struct err *e);
// The same from memory: path is only for messages and relative paths.
MUST_CHECK bool prom_config_parse(struct str text, const char *path,
                                  const struct prom_config_options *o, struct prom_config **out,
                                  struct err *e);
struct prom_config *prom_config_get(struct prom_config *c);
void prom_config_put(struct prom_config *c); // the last one frees; NULL is fine
OWN_DEFINE(struct prom_config *, prom_config_put)
// The effective configuration as /api/v1/status/config shows it.
void prom_config_print(struct buf *b, const struct prom_config *c);
// The same with another retention: the one a flag asked for; and with the default of exemplars, or
// without, as upstream shows it when their storage is off.
void prom_config_print_with(struct buf *b, const struct prom_config *c,
                            const struct conf_retention *retention, bool exemplars);
void prom_config_print_scrape(struct buf *b, const struct conf_scrape *s);
// A hash of all settings of a job with the secrets that printing hides. Of this process only.
struct hash128 prom_config_scrape_key(const struct conf_scrape *s);
// The same of an entry of remote_write, with the external labels; hi is the same in every process.
struct hash128 prom_config_remote_write_key(const struct prom_config *c,
                                            const struct conf_remote_write *w);

// Target groups of a file of file_sd or a body of http_sd (JSON is YAML).
MUST_CHECK bool conf_target_groups_parse(struct arena *a, struct str text, struct conf_list *out,
                                         struct err *e);
