// prometheus_features.c - /api/v1/features: what this server can do, by group and name.
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "face/prometheus_priv.h"

enum rule {
    ALWAYS,
    NEVER,
    FLAG, // when the feature flag is on
    ADMIN,
    LIFECYCLE,
    OTLP,
    REMOTE_WRITE,
    SEARCH,
    AGENT,
    SERVER,
    AS_PROMETHEUS, // that program has them; not all are here yet
};

struct row {
    const char *group, *names; // names separated by blanks
    enum rule rule;
    const char *flag;
};

// By group. Names of functions are added from the table of the language.
static const struct row rows[] = {
    { "api",
      "exclude_alerts label_values_match openapi_3.1 openapi_3.2 query_stats query_warnings "
      "search_fuzz_alg_jarowinkler search_fuzz_alg_subsequence time_range_labels "
      "time_range_series",
      ALWAYS, NULL },
    { "api", "admin", ADMIN, NULL },
    { "api", "lifecycle", LIFECYCLE, NULL },
    { "api", "otlp_write_receiver", OTLP, NULL },
    { "api", "remote_write_receiver", REMOTE_WRITE, NULL },
    { "api", "search", SEARCH, NULL },
    { "otlp_receiver", "delta_conversion", FLAG, "otlp-deltatocumulative" },
    { "otlp_receiver", "native_delta_ingestion", FLAG, "otlp-native-delta-ingestion" },
    { "prometheus", "agent_mode", AGENT, NULL },
    { "prometheus", "auto_reload_config", NEVER, NULL },
    { "prometheus", "server_mode", SERVER, NULL },
    { "prometheus", "stringlabels", ALWAYS, NULL },
    { "promql",
      "at_modifier bool by duration_expr group_left group_right ignoring negative_offset offset on "
      "per_query_lookback_delta subqueries without",
      ALWAYS, NULL },
    { "promql", "anchored smoothed", FLAG, "promql-extended-range-selectors" },
    { "promql", "fill fill_left fill_right", FLAG, "promql-binop-fill-modifiers" },
    { "promql", "delayed_name_removal", FLAG, "promql-delayed-name-removal" },
    { "promql", "per_step_stats", FLAG, "promql-per-step-stats" },
    { "promql", "type_and_unit_labels", FLAG, "type-and-unit-labels" },
    { "promql_functions", "", ALWAYS, NULL },
    { "promql_operators",
      "!= !~ % * + - / < </ <= == =~ > >/ >= @ ^ and atan2 avg bottomk count count_values group "
      "max "
      "min or quantile stddev stdvar sum topk unless",
      ALWAYS, NULL },
    { "promql_operators", "limit_ratio limitk", FLAG, "promql-experimental-functions" },
    { "rules", "concurrent_rule_eval", FLAG, "concurrent-rule-eval" },
    { "rules", "keep_firing_for query_offset", ALWAYS, NULL },
    { "scrape", "extra_scrape_metrics", ALWAYS, NULL },
    { "scrape", "start_timestamp_zero_ingestion", FLAG, "created-timestamp-zero-ingestion" },
    { "scrape", "type_and_unit_labels", FLAG, "type-and-unit-labels" },
    { "service_discovery_providers", "dns file http static", ALWAYS, NULL },
    { "service_discovery_providers",
      "aws azure consul digitalocean docker dockerswarm ec2 ecs elasticache eureka gce hetzner "
      "ionos kubernetes kuma lightsail linode marathon msk nerve nomad oci openstack outscale "
      "ovhcloud puppetdb rds scaleway serverset stackit triton uyuni vultr",
      AS_PROMETHEUS, NULL },
    { "templating_functions",
      "args externalURL first graphLink humanize humanize1024 humanizeDuration humanizePercentage "
      "humanizeTimestamp label match now parseDuration pathPrefix query reReplaceAll safeHtml "
      "sortByLabel stripDomain stripPort strvalue tableLink title toDuration toLower toTime "
      "toUpper urlQueryEscape value",
      ALWAYS, NULL },
    { "tsdb", "delayed_compaction", FLAG, "delayed-compaction" },
    { "tsdb", "exemplar_storage", FLAG, "exemplar-storage" },
    { "tsdb", "histograms_st_encoding", FLAG, "histograms-st-encoding" },
    { "tsdb", "isolation native_histograms", ALWAYS, NULL },
    { "tsdb", "st_storage", FLAG, "st-storage" },
    { "tsdb", "use_uncached_io", FLAG, "use-uncached-io" },
    { "tsdb", "xor2_encoding", FLAG, "xor2-encoding" },
    { "ui", "ui_v2", NEVER, NULL },
    { "ui", "ui_v3", ALWAYS, NULL },
};

struct feature {
    struct str name;
    bool on;
};

typedef VEC(struct feature) feature_vec;

static bool holds(const struct prom_face *f, const struct row *r)
{
    switch (r->rule) {
    case ALWAYS:
        return true;
    case NEVER:
        return false;
    case FLAG:
        return f->o.host.has_feature(f->o.host.ctx, r->flag);
    case ADMIN:
        return f->o.enable_admin;
    case LIFECYCLE:
        return f->o.enable_lifecycle;
    case OTLP:
        return f->o.enable_otlp;
    case REMOTE_WRITE:
        return f->o.enable_remote_write;
    case SEARCH:
        return f->o.search_api;
    case AGENT:
        return f->o.agent;
    case SERVER:
        return !f->o.agent;
    case AS_PROMETHEUS:
        return f->o.as_prometheus;
    }
    return false;
}

static void take_functions(const struct prom_face *f, struct arena *a, feature_vec *v)
{
    static const char *const names[] = {
#define NAME(name) #name,
        PROMQL_FUNCTIONS(NAME)
#undef NAME
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct promql_function *fn = promql_function_find(str_c(names[i]));
        if (!fn || (fn->id == FN_holt_winters && f->o.engine->syntax.no_old_functions))
            continue;
        bool on = !(fn->flags & FN_EXPERIMENTAL) || !f->o.engine->syntax.no_experimental_functions;
        *vec_push_in(a, v) = (struct feature){ str_c(names[i]), on };
    }
}

static int feature_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct feature *)a)->name, ((const struct feature *)b)->name);
}

void prom_features(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct json_writer w = prom_reply_begin(x);

    json_object(&w);
    for (size_t i = 0, from; i < ARRAY_LEN(rows);) {
        feature_vec v = { 0 };
        for (from = i; i < ARRAY_LEN(rows) && strcmp(rows[i].group, rows[from].group) == 0; i++)
            for (struct str rest = str_c(rows[i].names); rest.n;)
                *vec_push_in(&x->arena, &v) = (struct feature){ str_cut(&rest, ' '),
                                                                holds(f, &rows[i]) };
        if (strcmp(rows[from].group, "promql_functions") == 0)
            take_functions(f, &x->arena, &v);
        sort_stable(v.v, v.n, sizeof *v.v, feature_order, NULL);
        json_key(&w, str_c(rows[from].group));
        json_object(&w);
        for (size_t k = 0; k < v.n; k++) {
            json_key(&w, v.v[k].name);
            json_bool(&w, v.v[k].on);
        }
        json_object_end(&w);
    }
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}
