// export_redis.c - flags of redis_exporter.
// SPDX-License-Identifier: Apache-2.0
#include "app/export_command.h"
#include "export/redis.h"

static const char group[] = "Redis";

#define ACTS(name, kind, value, help)             \
    {                                             \
        name, kind, value, help, group, FLAG_ACTS \
    }
#define IGNORE(name, kind, value)                   \
    {                                               \
        name, kind, value, NULL, NULL, FLAG_IGNORED \
    }

static const struct flag flags[] = {
    ACTS("redis.addr", FLAG_TEXT, "redis://localhost:6379", "server to look at"),
    ACTS("redis.user", FLAG_TEXT, "", "user name of Redis ACL"),
    ACTS("redis.password", FLAG_TEXT, "", "password; better in the environment"),
    ACTS("redis.password-file", FLAG_TEXT, "", "JSON of addresses and passwords"),
    ACTS("namespace", FLAG_TEXT, "redis", "prefix of all names"),
    ACTS("check-keys", FLAG_TEXT, "", "patterns of keys to show: db0=app:*,…"),
    ACTS("check-single-keys", FLAG_TEXT, "", "keys to show: db0=queue,…"),
    ACTS("count-keys", FLAG_TEXT, "", "patterns of keys to count"),
    ACTS("config-command", FLAG_TEXT, "CONFIG", "name of the CONFIG command; - to leave it"),
    ACTS("connection-timeout", FLAG_DURATION, "15s", "longest scrape"),
    ACTS("tls-client-key-file", FLAG_TEXT, "", "client key"),
    ACTS("tls-client-cert-file", FLAG_TEXT, "", "client certificate"),
    ACTS("tls-ca-cert-file", FLAG_TEXT, "", "certificates to trust"),
    ACTS("tls-server-name", FLAG_TEXT, "", "name in the server's certificate"),
    ACTS("skip-tls-verification", FLAG_BOOL, "false", "do not verify the certificate"),
    ACTS("export-client-list", FLAG_BOOL, "false", "metrics of each client"),
    ACTS("export-client-port", FLAG_BOOL, "false", "with the client's port"),
    ACTS("include-config-metrics", FLAG_BOOL, "false", "all settings as metrics"),
    ACTS("redact-config-metrics", FLAG_BOOL, "true", "without passwords"),
    ACTS("include-system-metrics", FLAG_BOOL, "false", "total_system_memory_bytes"),
    ACTS("exclude-latency-histogram-metrics", FLAG_BOOL, "false", "without LATENCY HISTOGRAM"),
    ACTS("disable-exporting-key-values", FLAG_BOOL, "false", "sizes of keys only"),
    ACTS("set-client-name", FLAG_BOOL, "true", "CLIENT SETNAME redis_exporter"),
    ACTS("include-metrics-for-empty-databases", FLAG_BOOL, "true", "db_keys of all databases"),
    ACTS("disable-scrape-endpoint", FLAG_BOOL, "false", "no /scrape"),
    ACTS("redis-only-metrics", FLAG_BOOL, "false", "without metrics of this program"),
    IGNORE("include-go-runtime-metrics", FLAG_BOOL, "false"),
    IGNORE("ping-on-connect", FLAG_BOOL, "false"),
    IGNORE("is-cluster", FLAG_BOOL, "false"),
    IGNORE("is-tile38", FLAG_BOOL, "false"),
    IGNORE("debug", FLAG_BOOL, "false"),
    IGNORE("log-format", FLAG_TEXT, "txt"),
    IGNORE("log-level", FLAG_TEXT, "INFO"),
    IGNORE("check-keys-batch-size", FLAG_INT, "1000"),
    IGNORE("check-key-groups", FLAG_TEXT, ""),
    IGNORE("check-streams", FLAG_TEXT, ""),
    IGNORE("check-single-streams", FLAG_TEXT, ""),
    IGNORE("max-distinct-key-groups", FLAG_INT, "100"),
    IGNORE("script", FLAG_TEXT, ""),
    IGNORE("include-modules-metrics", FLAG_BOOL, "false"),
    IGNORE("skip-checkkeys-for-role-master", FLAG_BOOL, "false"),
    IGNORE("append-instance-role-label", FLAG_BOOL, "false"),
};

#define ENV(flag, name)              \
    {                                \
        flag, "REDIS_EXPORTER_" name \
    }
static const struct export_env env[] = {
    { "redis.addr", "REDIS_ADDR" },
    { "redis.user", "REDIS_USER" },
    { "redis.password", "REDIS_PASSWORD" },
    { "redis.password-file", "REDIS_PASSWORD_FILE" },
    ENV("namespace", "NAMESPACE"),
    ENV("check-keys", "CHECK_KEYS"),
    ENV("check-single-keys", "CHECK_SINGLE_KEYS"),
    ENV("count-keys", "COUNT_KEYS"),
    ENV("web.listen-address", "WEB_LISTEN_ADDRESS"),
    ENV("web.telemetry-path", "WEB_TELEMETRY_PATH"),
    ENV("config-command", "CONFIG_COMMAND"),
    ENV("connection-timeout", "CONNECTION_TIMEOUT"),
    ENV("tls-client-key-file", "TLS_CLIENT_KEY_FILE"),
    ENV("tls-client-cert-file", "TLS_CLIENT_CERT_FILE"),
    ENV("tls-ca-cert-file", "TLS_CA_CERT_FILE"),
    ENV("tls-server-name", "TLS_SERVER_NAME"),
    ENV("skip-tls-verification", "SKIP_TLS_VERIFICATION"),
    ENV("export-client-list", "EXPORT_CLIENT_LIST"),
    ENV("export-client-port", "EXPORT_CLIENT_PORT"),
    ENV("include-config-metrics", "INCL_CONFIG_METRICS"),
    ENV("redact-config-metrics", "REDACT_CONFIG_METRICS"),
    ENV("include-system-metrics", "INCL_SYSTEM_METRICS"),
    ENV("exclude-latency-histogram-metrics", "EXCLUDE_LATENCY_HISTOGRAM_METRICS"),
    ENV("disable-exporting-key-values", "DISABLE_EXPORTING_KEY_VALUES"),
    ENV("set-client-name", "SET_CLIENT_NAME"),
    ENV("include-metrics-for-empty-databases", "INCL_METRICS_FOR_EMPTY_DATABASES"),
    ENV("disable-scrape-endpoint", "DISABLE_SCRAPE_ENDPOINT"),
    ENV("redis-only-metrics", "REDIS_ONLY_METRICS"),
};

static bool open_redis(struct exporter **out, const struct flags *f, struct err *e)
{
    struct export_redis_options o = {
        .address = export_flag(f, "redis.addr"),
        .user = export_flag(f, "redis.user"),
        .password = export_flag(f, "redis.password"),
        .password_file = export_flag(f, "redis.password-file"),
        .space = export_flag(f, "namespace"),
        .check_keys = export_flag(f, "check-keys"),
        .check_single_keys = export_flag(f, "check-single-keys"),
        .count_keys = export_flag(f, "count-keys"),
        .config_command = export_flag(f, "config-command"),
        .ca_file = export_flag(f, "tls-ca-cert-file"),
        .cert_file = export_flag(f, "tls-client-cert-file"),
        .key_file = export_flag(f, "tls-client-key-file"),
        .server_name = export_flag(f, "tls-server-name"),
        .timeout_ms = flags_ms(f, "connection-timeout"),
        .skip_verify = flags_bool(f, "skip-tls-verification"),
        .client_list = flags_bool(f, "export-client-list"),
        .client_port = flags_bool(f, "export-client-port"),
        .config_metrics = flags_bool(f, "include-config-metrics"),
        .show_secrets = !flags_bool(f, "redact-config-metrics"),
        .system_metrics = flags_bool(f, "include-system-metrics"),
        .no_latency_histograms = flags_bool(f, "exclude-latency-histogram-metrics"),
        .no_key_values = flags_bool(f, "disable-exporting-key-values"),
        .no_client_name = !flags_bool(f, "set-client-name"),
        .no_empty_databases = !flags_bool(f, "include-metrics-for-empty-databases"),
        .no_scrape_endpoint = flags_bool(f, "disable-scrape-endpoint"),
    };

    if (!export_redis_open(out, &o, e))
        return false;
    (*out)->no_self = flags_bool(f, "redis-only-metrics");
    return true;
}

const struct export_kind export_kind_redis = {
    .name = "redis",
    .binaries = { "redis_exporter", "redis-exporter" },
    .title = "Redis Exporter",
    .listen = ":9121",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .env = env,
    .env_count = ARRAY_LEN(env),
    .open = open_redis,
};
