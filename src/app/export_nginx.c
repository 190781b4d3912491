// export_nginx.c - flags and environment of nginx-prometheus-exporter.
// SPDX-License-Identifier: Apache-2.0
#include "app/export_command.h"
#include "export/nginx.h"

static const char group[] = "NGINX";

static const struct flag flags[] = {
    { "nginx.scrape-uri", FLAG_LIST, "http://127.0.0.1:8080/stub_status",
      "stub_status page; may repeat", group, FLAG_ACTS },
    { "nginx.access-log", FLAG_LIST, "", "access log to follow; may repeat", group, FLAG_ACTS },
    { "nginx.access-log-format", FLAG_TEXT, "", "its log_format (default combined)", group,
      FLAG_ACTS },
    { "nginx.timeout", FLAG_DURATION, "5s", "longest question", group, FLAG_ACTS },
    { "nginx.ssl-verify", FLAG_BOOL, "false", "verify the server's certificate", group, FLAG_ACTS },
    { "nginx.ssl-ca-cert", FLAG_TEXT, "", "certificates to trust", group, FLAG_ACTS },
    { "nginx.ssl-client-cert", FLAG_TEXT, "", "client certificate", group, FLAG_ACTS },
    { "nginx.ssl-client-key", FLAG_TEXT, "", "client key", group, FLAG_ACTS },
    { "prometheus.const-label", FLAG_LIST, "", "label=value for every sample; may repeat", group,
      FLAG_ACTS },
    { "prometheus.const-labels", FLAG_TEXT, "", NULL, NULL, FLAG_HIDDEN },
    { "nginx.plus", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "nginx.proxy-protocol", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "nginx.retries", FLAG_INT, "0", NULL, NULL, FLAG_IGNORED },
    { "nginx.retry-interval", FLAG_DURATION, "5s", NULL, NULL, FLAG_IGNORED },
};

static const struct export_env env[] = {
    { "web.listen-address", "LISTEN_ADDRESS" },    { "web.telemetry-path", "TELEMETRY_PATH" },
    { "nginx.scrape-uri", "SCRAPE_URI" },          { "nginx.ssl-verify", "SSL_VERIFY" },
    { "nginx.ssl-ca-cert", "SSL_CA_CERT" },        { "nginx.ssl-client-cert", "SSL_CLIENT_CERT" },
    { "nginx.ssl-client-key", "SSL_CLIENT_KEY" },  { "nginx.timeout", "TIMEOUT" },
    { "prometheus.const-labels", "CONST_LABELS" },
};

static bool open_nginx(struct exporter **out, const struct flags *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    VEC(const char *) labels = { 0 };
    struct export_nginx_options o = {
        .log_format = export_flag(f, "nginx.access-log-format"),
        .timeout_ms = flags_ms(f, "nginx.timeout"),
        .verify = flags_bool(f, "nginx.ssl-verify"),
        .ca_file = export_flag(f, "nginx.ssl-ca-cert"),
        .cert_file = export_flag(f, "nginx.ssl-client-cert"),
        .key_file = export_flag(f, "nginx.ssl-client-key"),
    };
    size_t n;
    const char *const *given = export_flag_list(f, &a, "prometheus.const-label", &n);

    for (size_t i = 0; i < n; i++)
        *vec_push_in(&a, &labels) = given[i];
    for (struct str rest = flags_text(f, "prometheus.const-labels"); rest.n;)
        *vec_push_in(&a, &labels) = arena_cstr(&a, str_trim(str_cut(&rest, ',')));
    o.labels = labels.v;
    o.label_count = labels.n;
    o.uri = export_flag_list(f, &a, "nginx.scrape-uri", &o.uri_count);
    o.logs = export_flag_list(f, &a, "nginx.access-log", &o.log_count);
    return export_nginx_open(out, &o, e);
}

const struct export_kind export_kind_nginx = {
    .name = "nginx",
    .binaries = { "nginx-prometheus-exporter", "nginx-exporter", "nginx_exporter" },
    .title = "NGINX Exporter",
    .listen = ":9113",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .env = env,
    .env_count = ARRAY_LEN(env),
    .open = open_nginx,
};
