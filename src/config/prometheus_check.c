// prometheus_check.c - what the parts of prometheus.yml must satisfy, each in upstream's words.
// SPDX-License-Identifier: Apache-2.0
#include "config/prometheus_priv.h"

static bool is_any(struct str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(s, words[i]))
            return true;
    return false;
}
#define IS_ANY(s, ...)                                \
    is_any((s), (const char *const[]){ __VA_ARGS__ }, \
           sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

bool conf_relabel_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_relabel *c = obj;
    const struct yaml_node *action = yaml_get(n, STR("action"));

    if (action && (action->kind == YAML_NULL || !c->action.n))
        return conf_fail(e, action, "relabel action cannot be empty");
    if (!relabel_action_of(c->action, &c->rule.action))
        return conf_fail(e, action, "unknown relabel action \"%.*s\"", STRF(c->action));
    c->action = str_c(relabel_action_name(c->rule.action));
    if (!c->regex.n)
        return true;
    return conf_regex(r, c->regex, e) || conf_fail(e, yaml_get(n, STR("regex")), "%s", e->text);
}

/* ---- discovery ---- */

bool conf_file_sd_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_file_sd *c = obj;

    if (!c->files.n)
        return conf_fail(e, n, "file service discovery config must contain at least one path name");
    for (size_t i = 0; i < c->files.n; i++) {
        struct str f = c->files.v[i];
        size_t slash = str_rfind_char(f, '/'), dot = str_rfind_char(f, '.');
        bool star_below = slash != STR_NPOS && str_find_char(str_sub(f, 0, slash), '*') != STR_NPOS;
        struct str ext = dot == STR_NPOS ? STR_NONE : str_sub(f, dot, f.n);
        if (star_below || !IS_ANY(ext, ".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"))
            return conf_fail(e, n, "path name \"%.*s\" is not valid for file discovery", STRF(f));
    }
    return true;
}

bool conf_http_sd_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_http_sd *c = obj;
    struct str rest = c->url;
    size_t at = str_find(rest, STR("://"));

    if (!c->url.n)
        return conf_fail(e, n, "URL is missing");
    if (at == STR_NPOS || !IS_ANY(str_sub(rest, 0, at), "http", "https"))
        return conf_fail(e, n, "URL scheme must be 'http' or 'https'");
    if (rest.n == at + 3 || rest.p[at + 3] == '/')
        return conf_fail(e, n, "host is missing in URL");
    return true;
}

bool conf_dns_sd_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_dns_sd *c = obj;

    if (!c->names.n)
        return conf_fail(e, n, "DNS-SD config must contain at least one SRV record name");
    if (IS_ANY(c->type, "SRV", "srv"))
        return true;
    if (!IS_ANY(c->type, "A", "AAAA", "MX", "NS", "a", "aaaa", "mx", "ns"))
        return conf_fail(e, n, "invalid DNS-SD records type %.*s", STRF(c->type));
    if (!c->port)
        return conf_fail(e, n,
                         "a port is required in DNS-SD configs for all record types except SRV");
    return true;
}

bool conf_sd_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_sd_read *c = obj;
    VEC(struct conf_other_sd) other = { 0 };
    static const char *const keys[] = {
#define KEY(name) #name "_sd_configs",
        CONF_SD_OTHERS(KEY)
#undef KEY
    };
    const struct yaml_node *const nodes[] = {
#define NODE(name) c->name,
        CONF_SD_OTHERS(NODE)
#undef NODE
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (yaml_is_null(nodes[i]))
            continue;
        if (nodes[i]->kind != YAML_SEQUENCE)
            return conf_fail(e, nodes[i], "%s must be a list", keys[i]);
        for (size_t k = 0; k < nodes[i]->n; k++)
            if (!conf_other_sd_check(str_c(keys[i]), nodes[i]->items[k], e))
                return false;
        *vec_push_in(r->arena, &other) = (struct conf_other_sd){ keys[i], nodes[i] };
    }
    c->sd.other = other.v;
    c->sd.other_n = other.n;
    for (size_t i = 0; i < c->sd.static_configs.n; i++)
        if (!c->sd.static_configs.v[i])
            return conf_fail(e, n, "empty or null section in static_configs");
    return true;
}

bool conf_targets_check(const struct conf_sd *sd, struct err *e)
{
    for (size_t i = 0; i < sd->static_configs.n; i++) {
        const struct conf_target_group *g = sd->static_configs.v[i];
        for (size_t k = 0; k < g->targets.n; k++)
            if (str_find_char(g->targets.v[k], '/') != STR_NPOS)
                return err_set(e, ERR_INVALID, "\"%.*s\" is not a valid hostname",
                               STRF(g->targets.v[k]));
    }
    return true;
}

/* ---- scraping ---- */

static bool no_nulls(const struct conf_list *list, const struct yaml_node *n, const char *text,
                     struct err *e)
{
    for (size_t i = 0; i < list->n; i++)
        if (!list->v[i])
            return conf_fail(e, n, "%s", text);
    return true;
}

bool conf_scrape_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_scrape_read *c = obj;

    c->s.sd = c->sd.sd;
    if (!c->s.job_name.n)
        return conf_fail(e, n, "job_name is empty");
    if (!c->s.relabel_configs.n && !conf_targets_check(&c->s.sd, e))
        return conf_fail(e, yaml_get(n, STR("static_configs")), "%s", e->text);
    return no_nulls(&c->s.relabel_configs, n,
                    "empty or null target relabeling rule in scrape config", e) &&
           no_nulls(&c->s.metric_relabel_configs, n,
                    "empty or null metric relabeling rule in scrape config", e);
}

static const char *const protocols[] = { "OpenMetricsText0.0.1", "OpenMetricsText1.0.0",
                                         "PrometheusProto", "PrometheusText0.0.4",
                                         "PrometheusText1.0.0" };

static bool protocol_check(struct str p, struct err *e)
{
    if (is_any(p, protocols, ARRAY_LEN(protocols)))
        return true;
    return err_set(
        e, ERR_INVALID,
        "unknown scrape protocol %.*s, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 "
        "PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
        STRF(p));
}

static bool protocols_check(const struct conf_strs *p, struct err *e)
{
    if (!p->n)
        return err_set(e, ERR_INVALID, "scrape_protocols cannot be empty");
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!str_eq_nocase(p->v[i], p->v[k]))
                continue;
            OWNED(buf_fini) struct buf b = { 0 };
            for (size_t j = 0; j < p->n; j++)
                buf_printf(&b, "%s%.*s", j ? " " : "", STRF(p->v[j]));
            return err_set(e, ERR_INVALID, "duplicated protocol in scrape_protocols, got [%s]",
                           buf_cstr(&b));
        }
        if (!protocol_check(p->v[i], e))
            return err_wrap(e, "scrape_protocols");
    }
    return true;
}

static bool not_valid(struct err *e, const struct yaml_node *n, struct str text, const char *what)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, text);
    return conf_fail(e, n, "%s is not a valid label %s", buf_cstr(&b), what);
}

static bool labels_check(const struct conf_map *m, bool legacy, const struct yaml_node *n,
                         struct err *e)
{
    for (size_t i = 0; i < m->n; i++) {
        struct str name = m->v[i].key;
        if (!name.n || !str_is_utf8(name) || (legacy && !label_name_is_legacy(name)))
            return not_valid(e, n, name, "name");
        if (!str_is_utf8(m->v[i].value))
            return not_valid(e, n, m->v[i].value, "value");
    }
    return true;
}

static bool scheme_check(struct str scheme, const struct yaml_node *n, struct err *e)
{
    if (!scheme.n || IS_ANY(scheme, "legacy", "utf8"))
        return true;
    return conf_fail(e, n, "unrecognized ValidationScheme: \"%.*s\"", STRF(scheme));
}

bool conf_global_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_global *g = obj;

    if (!scheme_check(g->metric_name_validation_scheme,
                      yaml_get(n, STR("metric_name_validation_scheme")), e))
        return false;
    if (!g->metric_name_validation_scheme.n)
        g->metric_name_validation_scheme = STR("utf8");
    bool legacy = str_eq(g->metric_name_validation_scheme, STR("legacy"));
    if (!labels_check(&g->external_labels, legacy, yaml_get(n, STR("external_labels")), e))
        return false;
    if (!g->scrape_interval_ms)
        g->scrape_interval_ms = 60000;
    if (g->scrape_timeout_ms > g->scrape_interval_ms)
        return conf_fail(e, yaml_get(n, STR("scrape_timeout")),
                         "global scrape timeout greater than scrape interval");
    if (!g->scrape_timeout_ms)
        g->scrape_timeout_ms = MIN(INT64_C(10000), g->scrape_interval_ms);
    if (!g->evaluation_interval_ms)
        g->evaluation_interval_ms = 60000;
    if (!g->scrape_native_histograms)
        g->scrape_native_histograms = CONF_FALSE;
    if (!g->extra_scrape_metrics)
        g->extra_scrape_metrics = CONF_FALSE;
    if (g->scrape_protocols.set && !protocols_check(&g->scrape_protocols, e))
        return conf_fail(e, yaml_get(n, STR("scrape_protocols")), "%s for global config", e->text);
    return true;
}

static void inherit_limits(struct conf_scrape *s, const struct conf_global *g)
{
    uint64_t *mine[] = { &s->body_size_limit,
                         &s->sample_limit,
                         &s->target_limit,
                         &s->label_limit,
                         &s->label_name_length_limit,
                         &s->label_value_length_limit,
                         &s->keep_dropped_targets };
    const uint64_t global[] = { g->body_size_limit,
                                g->sample_limit,
                                g->target_limit,
                                g->label_limit,
                                g->label_name_length_limit,
                                g->label_value_length_limit,
                                g->keep_dropped_targets };

    for (size_t i = 0; i < ARRAY_LEN(mine); i++)
        if (!*mine[i])
            *mine[i] = global[i];
    if (!s->scrape_failure_log_file.n)
        s->scrape_failure_log_file = g->scrape_failure_log_file;
    if (!s->scrape_native_histograms)
        s->scrape_native_histograms = g->scrape_native_histograms;
    if (!s->extra_scrape_metrics)
        s->extra_scrape_metrics = g->extra_scrape_metrics;
    if (!s->convert_classic_histograms_to_nhcb)
        s->convert_classic_histograms_to_nhcb = g->convert_classic_histograms_to_nhcb ? CONF_TRUE
                                                                                      : CONF_FALSE;
    if (!s->always_scrape_classic_histograms)
        s->always_scrape_classic_histograms = g->always_scrape_classic_histograms ? CONF_TRUE
                                                                                  : CONF_FALSE;
}

static bool fill_protocols(struct conf_scrape *s, const struct conf_global *g, struct err *e)
{
    // Not constants of the file only because struct str is not one: the order of preference.
    static struct str proto_first[] = { { "PrometheusProto", 15 },
                                        { "OpenMetricsText1.0.0", 20 },
                                        { "OpenMetricsText0.0.1", 20 },
                                        { "PrometheusText1.0.0", 19 },
                                        { "PrometheusText0.0.4", 19 } };

    if (!s->scrape_protocols.set) {
        if (g->scrape_protocols.set)
            s->scrape_protocols = g->scrape_protocols;
        else if (s->scrape_native_histograms == CONF_TRUE)
            s->scrape_protocols = (struct conf_strs){ proto_first, 5, false };
        else
            s->scrape_protocols = (struct conf_strs){ proto_first + 1, 4, false };
    }
    struct err inner = { 0 };
    if (!protocols_check(&s->scrape_protocols, &inner))
        return err_set(e, ERR_INVALID, "%s for scrape config with job name \"%.*s\"", inner.text,
                       STRF(s->job_name));
    if (s->fallback_scrape_protocol.n && !protocol_check(s->fallback_scrape_protocol, &inner))
        return err_set(
            e, ERR_INVALID,
            "invalid fallback_scrape_protocol for scrape config with job name \"%.*s\": %s",
            STRF(s->job_name), inner.text);
    return true;
}

static const char *const escapings[] = { "allow-utf-8", "underscores", "dots", "values" };

static bool fill_names(struct conf_scrape *s, const struct conf_global *g, struct err *e)
{
    bool unset = !s->metric_name_validation_scheme.n;
    struct str global = g->metric_name_escaping_scheme;

    if (!scheme_check(s->metric_name_validation_scheme, NULL, e))
        return false;
    if (unset)
        s->metric_name_validation_scheme = g->metric_name_validation_scheme;
    if (global.n && !is_any(global, escapings, ARRAY_LEN(escapings)))
        return err_set(
            e, ERR_INVALID,
            "unknown global name escaping method specified, must be one of 'allow-utf-8', "
            "'underscores', 'dots', or 'values', got \"%.*s\"",
            STRF(global));
    if (!global.n)
        global = str_eq(g->metric_name_validation_scheme, STR("legacy")) ? STR("underscores")
                                                                         : STR("allow-utf-8");
    bool legacy = str_eq(s->metric_name_validation_scheme, STR("legacy"));
    if (!s->metric_name_escaping_scheme.n)
        s->metric_name_escaping_scheme = unset    ? global
                                         : legacy ? STR("underscores")
                                                  : STR("allow-utf-8");
    if (!is_any(s->metric_name_escaping_scheme, escapings, ARRAY_LEN(escapings)))
        return err_set(e, ERR_INVALID,
                       "unknown scrape config name escaping method specified, must be one of "
                       "'allow-utf-8', 'underscores', 'dots', or 'values', got \"%.*s\"",
                       STRF(s->metric_name_escaping_scheme));
    if (legacy && str_eq(s->metric_name_escaping_scheme, STR("allow-utf-8")))
        return err_set(e, ERR_INVALID,
                       "utf8 metric names requested but validation scheme is not set to UTF8");
    return true;
}

bool conf_scrape_validate(struct prom_config *c, struct conf_scrape *s, struct err *e)
{
    const struct conf_global *g = &c->doc.global;

    if (!s)
        return err_set(e, ERR_INVALID, "empty or null scrape config section");
    if (!s->scrape_interval_ms)
        s->scrape_interval_ms = g->scrape_interval_ms;
    if (s->scrape_timeout_ms > s->scrape_interval_ms)
        return err_set(
            e, ERR_INVALID,
            "scrape timeout greater than scrape interval for scrape config with job name \"%.*s\"",
            STRF(s->job_name));
    if (!s->scrape_timeout_ms)
        s->scrape_timeout_ms = MIN(g->scrape_timeout_ms, s->scrape_interval_ms);
    inherit_limits(s, g);
    if (!fill_protocols(s, g, e) || !fill_names(s, g, e))
        return false;
    return conf_relabel_rules(c, &s->relabel_configs, s->metric_name_validation_scheme, &s->relabel,
                              e) &&
           conf_relabel_rules(c, &s->metric_relabel_configs, s->metric_name_validation_scheme,
                              &s->metric_relabel, e);
}

/* ---- alerting and remote ---- */

bool conf_alertmanager_check(struct conf_reader *r, const struct yaml_node *n, void *obj,
                             struct err *e)
{
    struct conf_alertmanager_read *c = obj;

    c->a.sd = c->sd.sd;
    if (!str_eq(c->a.api_version, STR("v2")))
        return conf_fail(e, n, "expected Alertmanager api version to be one of [v2] but got %.*s",
                         STRF(c->a.api_version));
    if (c->a.sigv4 && (c->a.http.basic_auth || c->a.http.authorization || c->a.http.oauth2))
        return conf_fail(
            e, n, "at most one of basic_auth, authorization, oauth2, or sigv4 must be configured");
    if (!c->a.relabel_configs.n && !conf_targets_check(&c->a.sd, e))
        return conf_fail(e, yaml_get(n, STR("static_configs")), "%s", e->text);
    return no_nulls(&c->a.relabel_configs, n, "empty or null Alertmanager target relabeling rule",
                    e) &&
           no_nulls(&c->a.alert_relabel_configs, n,
                    "empty or null Alertmanager alert relabeling rule", e);
}

bool conf_alerting_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_alerting *c = obj;

    return no_nulls(&c->alert_relabel_configs, n, "empty or null alert relabeling rule", e) &&
           no_nulls(&c->alertmanagers, n, "empty or null alertmanager config section", e);
}

bool conf_queue_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_queue *q = obj;
    static const char head[] = "remote write queue ";

    if (q->capacity <= 0)
        return conf_fail(e, n, "%scapacity must be positive", head);
    if (q->max_shards <= 0)
        return conf_fail(e, n, "%smax_shards must be positive", head);
    if (q->min_shards <= 0)
        return conf_fail(e, n, "%smin_shards must be positive", head);
    if (q->max_samples_per_send <= 0)
        return conf_fail(e, n, "%smax_samples_per_send must be positive", head);
    if (q->max_backoff_ms < q->min_backoff_ms)
        return conf_fail(e, n, "%smax_backoff must not be less than min_backoff", head);
    return true;
}

static bool is_reserved_header(struct str name)
{
    static const char *const names[] = { "authorization",
                                         "host",
                                         "content-encoding",
                                         "content-length",
                                         "content-type",
                                         "user-agent",
                                         "connection",
                                         "keep-alive",
                                         "proxy-authenticate",
                                         "proxy-authorization",
                                         "www-authenticate",
                                         "accept-encoding",
                                         "x-prometheus-remote-write-version",
                                         "x-prometheus-remote-read-version" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_c(names[i])))
            return true;
    return false;
}

static bool headers_check(const struct conf_map *headers, const char *authorization,
                          const struct yaml_node *n, struct err *e)
{
    for (size_t i = 0; i < headers->n; i++) {
        struct str name = headers->v[i].key;
        if (str_eq_nocase(name, STR("authorization")))
            return conf_fail(e, n, "%s", authorization);
        if (is_reserved_header(name))
            return conf_fail(e, n, "%.*s is a reserved header. It must not be changed", STRF(name));
    }
    return true;
}

bool conf_remote_write_check(struct conf_reader *r, const struct yaml_node *n, void *obj,
                             struct err *e)
{
    const struct conf_remote_write *c = obj;
    int ways = (c->http.basic_auth != NULL) + (c->http.authorization != NULL) +
               (c->http.oauth2 != NULL) + (c->sigv4 != NULL) + (c->azuread != NULL) +
               (c->google_iam != NULL);

    if (!c->url.n)
        return conf_fail(e, n, "url for remote_write is empty");
    if (!no_nulls(&c->write_relabel_configs, n,
                  "empty or null relabeling rule in remote write config", e))
        return false;
    if (!headers_check(&c->headers,
                       "authorization header must be changed via the basic_auth, authorization, "
                       "oauth2, sigv4, azuread or google_iam parameter",
                       yaml_get(n, STR("headers")), e))
        return false;
    if (!IS_ANY(c->protobuf_message, "prometheus.WriteRequest", "io.prometheus.write.v2.Request"))
        return conf_fail(e, yaml_get(n, STR("protobuf_message")),
                         "invalid protobuf_message value: unknown type for remote write protobuf "
                         "message %.*s, supported: prometheus.WriteRequest, "
                         "io.prometheus.write.v2.Request",
                         STRF(c->protobuf_message));
    if (ways > 1)
        return conf_fail(e, n,
                         "at most one of basic_auth, authorization, oauth2, sigv4, azuread or "
                         "google_iam must be configured");
    return true;
}

bool conf_remote_read_check(struct conf_reader *r, const struct yaml_node *n, void *obj,
                            struct err *e)
{
    const struct conf_remote_read *c = obj;

    if (!c->url.n)
        return conf_fail(e, n, "url for remote_read is empty");
    return headers_check(
        &c->headers,
        "authorization header must be changed via the basic_auth, authorization, oauth2 parameter",
        yaml_get(n, STR("headers")), e);
}

/* ---- the rest ---- */

bool conf_retention_check(struct conf_reader *r, const struct yaml_node *n, void *obj,
                          struct err *e)
{
    const struct conf_retention *c = obj;

    if (c->percentage < 0 || c->percentage > 100)
        return conf_fail(
            e, n, "'storage.tsdb.retention.percentage' must be in the range [0, 100], got %g",
            c->percentage);
    return true;
}

bool conf_chunk_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_chunk_encoding *c = obj;

    if ((c->floats.n || yaml_get(n, STR("floats"))) && !IS_ANY(c->floats, "xor", "xor2"))
        return conf_fail(
            e, n,
            "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field "
            "must be omitted entirely, got \"%.*s\"",
            STRF(c->floats));
    return true;
}

bool conf_tsdb_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_tsdb *c = obj;

    c->out_of_order_printed_ms = c->out_of_order_time_window_ms;
    return true;
}

bool conf_tracing_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_tracing *c = obj;

    if (yaml_is_null(n))
        return true; // no tracing section
    if (!c->client_type.n)
        c->client_type = STR("grpc");
    if (!IS_ANY(c->client_type, "http", "grpc"))
        return conf_fail(e, n,
                         "expected tracing client type to be to be one of [http grpc] but got %.*s",
                         STRF(c->client_type));
    if (!headers_check(&c->headers, "authorization header configuration is not yet supported",
                       yaml_get(n, STR("headers")), e))
        return false;
    if (!c->endpoint.n)
        return conf_fail(e, n, "tracing endpoint must be set");
    if (c->compression.n && !str_eq(c->compression, STR("gzip")))
        return conf_fail(e, n, "invalid compression type %.*s provided, valid options: gzip",
                         STRF(c->compression));
    if (!c->timeout_ms)
        c->timeout_ms = 10000;
    return true;
}

static bool attributes_check(struct conf_strs *list, const char *what, const struct yaml_node *n,
                             struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        list->v[i] = str_trim(list->v[i]);
        if (!list->v[i].n)
            return conf_fail(e, n, "empty %s OTel resource attribute", what);
        for (size_t k = 0; k < i; k++)
            if (str_eq(list->v[i], list->v[k]))
                return conf_fail(e, n, "duplicated %s OTel resource attribute \"%.*s\"", what,
                                 STRF(list->v[i]));
    }
    return true;
}

bool conf_otlp_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_otlp *c = obj;

    if (c->promote_all_resource_attributes && c->promote_resource_attributes.n)
        return conf_fail(
            e, n,
            "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot "
            "be configured simultaneously");
    if (!c->promote_all_resource_attributes && c->ignore_resource_attributes.n)
        return conf_fail(e, n,
                         "'ignore_resource_attributes' cannot be configured unless "
                         "'promote_all_resource_attributes' is true");
    if (!IS_ANY(c->translation_strategy, "UnderscoreEscapingWithSuffixes",
                "NoUTF8EscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoTranslation"))
        return conf_fail(e, n, "unsupported OTLP translation strategy \"%.*s\"",
                         STRF(c->translation_strategy));
    return attributes_check(&c->promote_resource_attributes, "promoted", n, e) &&
           attributes_check(&c->ignore_resource_attributes, "ignored", n, e);
}
