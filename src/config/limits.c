/*
 * limits.c - the document of limits.
 *
 * Keys are Mimir's. Those that only make sense in a cluster of its kind are accepted, with a
 * warning, so that its files can be used as they are; any other unknown key is an error, because a
 * misspelt limit limits nothing.
 */
// SPDX-License-Identifier: Apache-2.0
#include "config/limits.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/sort.h"

enum { TENANTS_MAX = 100000 };

#define ROW(member, key, kind) CONF_FIELD(struct limits, member, key, kind, 0, NULL)
#define LIMITS(key, kind)      ROW(key, #key, kind)
#define LIMITS_MS(key)         ROW(key##_ms, #key, CONF_DURATION)
#define OTHER(key)             CONF_FIELD(struct limits, other, key, CONF_NODE, CONF_HIDDEN, NULL)

static const struct conf_field fields[] = {
    LIMITS(ingestion_rate, CONF_DOUBLE),
    LIMITS(ingestion_burst_size, CONF_UINT),
    LIMITS(request_rate, CONF_DOUBLE),
    LIMITS(request_burst_size, CONF_UINT),
    LIMITS(max_global_series_per_user, CONF_UINT),
    LIMITS(max_global_series_per_metric, CONF_UINT),
    LIMITS(max_label_names_per_series, CONF_UINT),
    LIMITS(max_label_name_length, CONF_UINT),
    LIMITS(max_label_value_length, CONF_UINT),
    LIMITS(max_metadata_length, CONF_UINT),
    LIMITS(drop_labels, CONF_STRS),
    LIMITS(accept_ha_samples, CONF_BOOL),
    LIMITS(ha_cluster_label, CONF_STR),
    LIMITS(ha_replica_label, CONF_STR),
    LIMITS(ha_max_clusters, CONF_UINT),
    LIMITS_MS(ha_tracker_failover_timeout),
    CONF_FIELD(struct limits, out_of_order_time_window_ms, "out_of_order_time_window",
               CONF_DURATION, CONF_OMIT, NULL),
    LIMITS_MS(compactor_blocks_retention_period),
    LIMITS(max_fetched_series_per_query, CONF_UINT),
    LIMITS(max_samples_per_query, CONF_UINT),
    LIMITS_MS(max_query_lookback),
    ROW(max_query_length_ms, "max_total_query_length", CONF_DURATION),
    CONF_FIELD(struct limits, max_query_length_ms, "max_query_length", CONF_DURATION, CONF_HIDDEN,
               NULL), // its name in Cortex
    LIMITS(max_query_expression_size_bytes, CONF_UINT),
    OTHER("ingestion_burst_factor"),
    OTHER("ingestion_tenant_shard_size"),
    OTHER("ingestion_partitions_tenant_shard_size"),
    OTHER("ingestion_rate_strategy"),
    OTHER("ha_tracker_update_timeout"),
    OTHER("ha_tracker_update_timeout_jitter_max"),
    OTHER("ha_tracker_use_sample_time_for_failover"),
    OTHER("max_active_series_per_user"),
    OTHER("max_label_names_per_info_series"),
    OTHER("max_native_histogram_buckets"),
    OTHER("max_exemplars_per_series_per_request"),
    OTHER("reduce_native_histogram_over_max_buckets"),
    OTHER("creation_grace_period"),
    OTHER("past_grace_period"),
    OTHER("enforce_metadata_metric_name"),
    OTHER("metric_relabel_configs"),
    OTHER("metric_relabeling_enabled"),
    OTHER("service_overload_status_code_on_rate_limit_enabled"),
    OTHER("max_global_metadata_per_user"),
    OTHER("max_global_metadata_per_metric"),
    OTHER("max_global_exemplars_per_user"),
    OTHER("ignore_ooo_exemplars"),
    OTHER("native_histograms_ingestion_enabled"),
    OTHER("ooo_native_histograms_ingestion_enabled"),
    OTHER("active_series_custom_trackers"),
    OTHER("active_series_additional_custom_trackers"),
    OTHER("out_of_order_blocks_external_label_enabled"),
    OTHER("separate_metrics_group_label"),
    OTHER("max_fetched_chunks_per_query"),
    OTHER("max_fetched_chunk_bytes_per_query"),
    OTHER("max_estimated_fetched_chunks_per_query_multiplier"),
    OTHER("max_estimated_memory_consumption_per_query"),
    OTHER("max_partial_query_length"),
    OTHER("max_query_parallelism"),
    OTHER("max_labels_query_length"),
    OTHER("max_series_query_limit"),
    OTHER("max_cache_freshness"),
    OTHER("max_queriers_per_tenant"),
    OTHER("query_sharding_total_shards"),
    OTHER("query_sharding_max_sharded_queries"),
    OTHER("query_sharding_max_regexp_size_bytes"),
    OTHER("query_ingesters_within"),
    OTHER("split_instant_queries_by_interval"),
    OTHER("query_queue_disabled"),
    OTHER("results_cache_ttl"),
    OTHER("results_cache_ttl_for_out_of_order_time_window"),
    OTHER("results_cache_ttl_for_cardinality_query"),
    OTHER("results_cache_ttl_for_labels_query"),
    OTHER("results_cache_ttl_for_errors"),
    OTHER("results_cache_for_unaligned_query_enabled"),
    OTHER("blocked_queries"),
    OTHER("blocked_requests"),
    OTHER("limited_queries"),
    OTHER("align_queries_with_step"),
    OTHER("enabled_promql_experimental_functions"),
    OTHER("cardinality_analysis_enabled"),
    OTHER("label_names_and_values_results_max_size_bytes"),
    OTHER("label_values_max_cardinality_label_names_per_request"),
    OTHER("cardinality_analysis_max_results"),
    OTHER("active_series_results_max_size_bytes"),
    OTHER("store_gateway_tenant_shard_size"),
    OTHER("compactor_partial_block_deletion_delay"),
    OTHER("compactor_split_and_merge_shards"),
    OTHER("compactor_split_groups"),
    OTHER("compactor_tenant_shard_size"),
    OTHER("compactor_block_upload_enabled"),
    OTHER("compactor_block_upload_validation_enabled"),
    OTHER("compactor_block_upload_verify_chunks"),
    OTHER("compactor_block_upload_max_block_size_bytes"),
    OTHER("compactor_in_memory_tenant_meta_cache_size"),
    OTHER("compactor_max_lookback"),
    OTHER("s3_sse_type"),
    OTHER("s3_sse_kms_key_id"),
    OTHER("s3_sse_kms_encryption_context"),
    OTHER("ruler_evaluation_delay_duration"),
    OTHER("ruler_tenant_shard_size"),
    OTHER("ruler_max_rules_per_rule_group"),
    OTHER("ruler_max_rule_groups_per_tenant"),
    OTHER("ruler_recording_rules_evaluation_enabled"),
    OTHER("ruler_alerting_rules_evaluation_enabled"),
    OTHER("ruler_sync_rules_on_changes_enabled"),
    OTHER("ruler_max_rules_per_rule_group_by_namespace"),
    OTHER("ruler_max_rule_groups_per_tenant_by_namespace"),
    OTHER("ruler_protected_namespaces"),
    OTHER("ruler_max_independent_rule_evaluation_concurrency_per_tenant"),
    OTHER("alertmanager_receivers_firewall_block_cidr_networks"),
    OTHER("alertmanager_receivers_firewall_block_private_addresses"),
    OTHER("alertmanager_notification_rate_limit"),
    OTHER("alertmanager_notification_rate_limit_per_integration"),
    OTHER("alertmanager_max_config_size_bytes"),
    OTHER("alertmanager_max_templates_count"),
    OTHER("alertmanager_max_template_size_bytes"),
    OTHER("alertmanager_max_dispatcher_aggregation_groups"),
    OTHER("alertmanager_max_alerts_count"),
    OTHER("alertmanager_max_alerts_size_bytes"),
    OTHER("alertmanager_max_silences_count"),
    OTHER("alertmanager_max_silence_size_bytes"),
    OTHER("otel_metric_suffixes_enabled"),
    OTHER("otel_created_timestamp_zero_ingestion_enabled"),
    OTHER("promote_otel_resource_attributes"),
    OTHER("otel_keep_identifying_resource_attributes"),
    OTHER("cost_attribution_labels"),
    OTHER("max_cost_attribution_cardinality"),
    OTHER("cost_attribution_cooldown"),
};

static const struct limits none = {
    .ha_cluster_label = { "cluster", 7 },
    .ha_replica_label = { "__replica__", 11 },
    .ha_max_clusters = 100,
    .ha_tracker_failover_timeout_ms = 30000,
    .out_of_order_time_window_ms = -1,
};

// Of a server with tenants: Mimir's, but room for 1 M series and 100,000 samples a second.
static struct limits shared_defaults(void)
{
    struct limits l = none;

    l.ingestion_rate = 100000;
    l.ingestion_burst_size = 2000000;
    l.max_global_series_per_user = 1000000;
    l.max_label_names_per_series = 30;
    l.max_label_name_length = 1024;
    l.max_label_value_length = 2048;
    l.max_metadata_length = 1024;
    return l;
}

static bool is_other(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq_c(key, fields[i].key))
            return fields[i].offset == offsetof(struct limits, other);
    return false;
}

static bool check(struct conf_reader *r, const struct yaml_node *node, void *obj, struct err *e)
{
    struct limits *l = obj;

    for (size_t i = 0; node->kind == YAML_MAPPING && i < node->n; i++) {
        const struct yaml_node *key = node->pairs[i].key;

        if (is_other(key->text))
            conf_warn(r, key, arena_printf(r->arena, "%.*s has no meaning here", STRF(key->text)));
    }
    l->other = NULL;
    if (!(l->ingestion_rate >= 0) || !(l->request_rate >= 0))
        return conf_fail(e, node, "a rate is 0 for none, or above it");
    if (!l->ha_cluster_label.n || !l->ha_replica_label.n)
        return conf_fail(e, node, "ha_cluster_label and ha_replica_label cannot be empty");
    return true;
}

static const struct conf_type limits_type = CONF_TYPE("validation.Limits", struct limits, fields,
                                                      &none, check);

struct file {
    const struct yaml_node *limits, *overrides;
};
static const struct conf_field file_fields[] = {
    CONF_FIELD(struct file, limits, "limits", CONF_NODE, 0, NULL),
    CONF_FIELD(struct file, overrides, "overrides", CONF_NODE, 0, NULL),
};
static const struct conf_type file_type = CONF_TYPE("limits file", struct file, file_fields, NULL,
                                                    NULL);

static int by_tenant(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct limits_override *)a)->tenant,
                   ((const struct limits_override *)b)->tenant);
}

static bool read_overrides(struct limits_doc *d, struct conf_reader *r, const struct yaml_node *n,
                           struct err *e)
{
    struct conf_type type = limits_type;

    type.defaults = &d->limits;
    if (!n || n->kind == YAML_NULL)
        return true;
    if (n->kind != YAML_MAPPING)
        return conf_fail(e, n, "overrides: expected tenants with their limits, got %s",
                         yaml_kind_name(n));
    if (n->n > TENANTS_MAX)
        return conf_fail(e, n, "overrides of more than %d tenants", TENANTS_MAX);
    d->v = arena_array(&d->arena, n->n, struct limits_override);
    for (size_t i = 0; i < n->n; i++) {
        d->v[i].tenant = n->pairs[i].key->text;
        if (!conf_read(r, &type, n->pairs[i].value, &d->v[i].limits, e))
            return false;
    }
    d->n = n->n;
    sort_stable(d->v, d->n, sizeof *d->v, by_tenant, NULL);
    return true;
}

bool limits_parse(struct str text, bool tenancy, struct limits_doc **out, struct err *e)
{
    static _Atomic uint64_t numbers;
    OWNED(limits_doc_put) struct limits_doc *d = xcalloc(1, sizeof *d);
    struct limits defaults = tenancy ? shared_defaults() : none;
    struct conf_type type = limits_type;
    const struct yaml_node *root;
    struct file file = { 0 };

    atomic_init(&d->refs, 1);
    struct conf_reader r = { .arena = &d->arena };
    d->number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    type.defaults = &defaults;
    d->limits = defaults;
    if (!yaml_parse(&d->arena, arena_str(&d->arena, text), &root, e) ||
        !conf_read(&r, &file_type, root, &file, e) ||
        (file.limits && !conf_read(&r, &type, file.limits, &d->limits, e)) ||
        !read_overrides(d, &r, file.overrides, e))
        return false;
    d->warnings.v = r.warnings.v;
    d->warnings.n = r.warnings.n;
    *out = TAKE(d);
    return true;
}

struct limits_doc *limits_doc_get(struct limits_doc *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void limits_doc_put(struct limits_doc *d)
{
    // acq_rel: the last one sees what the others did before they let go
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct arena arena = d->arena; // warnings and texts are in it
    xfree(d);
    arena_fini(&arena);
}

const struct limits *limits_of(const struct limits_doc *d, struct str tenant)
{
    size_t from = 0, to = d->n;

    while (from < to) {
        size_t mid = (from + to) / 2;
        int c = str_cmp(d->v[mid].tenant, tenant);

        if (c == 0)
            return &d->v[mid].limits;
        if (c < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return &d->limits;
}

void buf_limits(struct buf *b, const struct limits *l, int indent)
{
    struct limits shown = *l;

    if (shown.out_of_order_time_window_ms < 0)
        shown.out_of_order_time_window_ms = 0; // left out: the server's own
    conf_print(b, &limits_type, &shown, indent);
}

void buf_limits_doc(struct buf *b, const struct limits_doc *d)
{
    buf_lit(b, "limits:\n");
    buf_limits(b, &d->limits, 2);
    if (d->n)
        buf_lit(b, "overrides:\n");
    for (size_t i = 0; i < d->n; i++) {
        buf_lit(b, "  ");
        buf_yaml_scalar(b, d->v[i].tenant);
        buf_lit(b, ":\n");
        buf_limits(b, &d->v[i].limits, 4);
    }
}

void limits_each(const struct limits *l, void (*visit)(void *ctx, const char *name, double v),
                 void *ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const void *at = (const char *)l + fields[i].offset;

        if (fields[i].flags & CONF_HIDDEN)
            continue;
        if (fields[i].kind == CONF_UINT)
            visit(ctx, fields[i].key, (double)*(const uint64_t *)at);
        else if (fields[i].kind == CONF_DOUBLE)
            visit(ctx, fields[i].key, *(const double *)at);
    }
}
