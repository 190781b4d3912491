/*
 * prometheus_docs.c - the API described for machines (OpenAPI), and what stands where pprof was.
 */
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus_priv.h"

struct operation {
    const char *path, *methods, *summary;
    const char *params; // names separated by blanks; ! in front: required, [] behind: may repeat
};

static const struct operation operations[] = {
    { "/query", "get post", "Evaluate an instant query",
      "!query time timeout limit lookback_delta stats" },
    { "/query_range", "get post", "Evaluate a query over a range of time",
      "!query !start !end !step timeout limit lookback_delta stats" },
    { "/query_exemplars", "get post", "Exemplars of the series of a query", "!query start end" },
    { "/format_query", "get post", "Format a query", "!query" },
    { "/parse_query", "get post", "The syntax tree of a query", "!query" },
    { "/series", "get post", "Label sets of series", "!match[] start end limit" },
    { "/labels", "get post", "Names of labels", "match[] start end limit" },
    { "/label/{name}/values", "get", "Values of a label", "match[] start end limit" },
    { "/search/metric_names", "get post", "Search for names of metrics",
      "match[] search[] fuzz_threshold fuzz_alg case_sensitive sort_by sort_dir include_score "
      "include_metadata start end limit batch_size" },
    { "/search/label_names", "get post", "Search for names of labels",
      "match[] search[] fuzz_threshold fuzz_alg case_sensitive sort_by sort_dir include_score "
      "start "
      "end limit batch_size" },
    { "/search/label_values", "get post", "Search for values of a label",
      "!label match[] search[] fuzz_threshold fuzz_alg case_sensitive sort_by sort_dir "
      "include_score start end limit batch_size" },
    { "/metadata", "get", "Metadata of metrics", "metric limit limit_per_metric" },
    { "/targets", "get", "Targets, active and dropped", "state scrapePool" },
    { "/targets/metadata", "get", "Metadata by target", "match_target metric limit" },
    { "/targets/relabel_steps", "get", "Relabelling of a label set step by step",
      "!scrapePool !labels" },
    { "/scrape_pools", "get", "Names of scrape pools", "" },
    { "/scrape_pools/config", "get", "Configuration of a scrape pool", "!scrapePool" },
    { "/alertmanagers", "get", "Alertmanagers", "" },
    { "/rules", "get", "Rules by group",
      "type rule_name[] rule_group[] file[] match[] exclude_alerts group_limit group_next_token" },
    { "/alerts", "get", "Active alerts", "" },
    { "/status/config", "get", "The configuration file in effect", "" },
    { "/status/flags", "get", "Values of the command line's flags", "" },
    { "/status/runtimeinfo", "get", "The running process", "" },
    { "/status/buildinfo", "get", "Version", "" },
    { "/status/tsdb", "get", "Cardinality of the store", "limit" },
    { "/status/tsdb/blocks", "get", "Blocks of the store", "" },
    { "/status/walreplay", "get", "Progress of reading the log at start", "" },
    { "/status/self_metrics", "get", "This server's own metrics", "metric_name_pattern" },
    { "/features", "get", "What this server can do", "" },
    { "/notifications", "get", "Messages of the server to its users", "" },
    { "/notifications/live", "get", "The same as server-sent events", "" },
    { "/read", "post", "Remote read", "" },
    { "/write", "post", "Remote write", "" },
    { "/admin/tsdb/snapshot", "post put", "Take a snapshot", "skip_head" },
    { "/admin/tsdb/delete_series", "post put", "Delete series", "!match[] start end" },
    { "/admin/tsdb/clean_tombstones", "post put", "Remove deleted data from disk", "" },
};

static void put_parameter(struct buf *b, struct str name)
{
    bool required = name.p[0] == '!', repeats = str_ends(name, STR("[]"));

    buf_printf(b, "        - name: \"%.*s\"\n          in: query\n          required: %s\n",
               STRF(str_sub(name, required, name.n)), required ? "true" : "false");
    if (repeats)
        buf_lit(b, "          schema:\n            type: array\n            items:\n"
                   "              type: string\n");
    else
        buf_lit(b, "          schema:\n            type: string\n");
}

static void put_operation(struct buf *b, const struct operation *o, struct str method)
{
    buf_printf(b, "    %.*s:\n      summary: %s\n", STRF(method), o->summary);
    if (o->params[0] || str_find_char(str_c(o->path), '{') != STR_NPOS)
        buf_lit(b, "      parameters:\n");
    if (str_find_char(str_c(o->path), '{') != STR_NPOS)
        buf_lit(b, "        - name: name\n          in: path\n          required: true\n"
                   "          schema:\n            type: string\n");
    for (struct str rest = str_c(o->params); rest.n;)
        put_parameter(b, str_cut(&rest, ' '));
    buf_lit(b, "      responses:\n"
               "        \"200\":\n          description: Success\n"
               "        default:\n          description: An error\n          content:\n"
               "            application/json:\n              schema:\n"
               "                $ref: \"#/components/schemas/Error\"\n");
}

static void openapi(struct http_exchange *x)
{
    struct buf *b = http_body(x);
    struct http_form form = prom_form(x);
    bool newer = str_starts(http_form_get(&form, STR("openapi_version")), STR("3.2"));

    http_set_header(x, STR("Content-Type"), STR("application/yaml; charset=utf-8"));
    http_set_header(x, STR("Cache-Control"), STR("no-cache, no-store, must-revalidate"));
    buf_printf(b,
               "openapi: %s\n"
               "info:\n"
               "  title: vigie, HTTP API of Prometheus\n"
               "  version: \"%s\"\n"
               "servers:\n"
               "  - url: api/v1\n"
               "components:\n"
               "  schemas:\n"
               "    Error:\n"
               "      type: object\n"
               "      required: [status, errorType, error]\n"
               "      properties:\n"
               "        status: {type: string, const: error}\n"
               "        errorType: {type: string}\n"
               "        error: {type: string}\n"
               "paths:\n",
               newer ? "3.2.0" : "3.1.0", PROM_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        buf_printf(b, "  %s:\n", operations[i].path);
        for (struct str rest = str_c(operations[i].methods); rest.n;)
            put_operation(b, &operations[i], str_cut(&rest, ' '));
    }
}

static void profiles(struct http_exchange *x)
{
    http_text(x, 200,
              STR("<!doctype html><meta charset=utf-8><title>profiles</title>\n"
                  "<h1>Profiles</h1>\n"
                  "<p>This is not a Go program: there are no pprof profiles here. The process can "
                  "be profiled with perf(1), for example <code>perf record -g -p PID</code>; its "
                  "own figures are at <a href=\"../../metrics\">metrics</a>.\n"));
    http_set_header(x, STR("Content-Type"), STR("text/html; charset=utf-8"));
    http_set_header(x, STR("X-Content-Type-Options"), STR("nosniff"));
}

void prom_routes_docs(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/api/v1/openapi.yaml", openapi);
    prom_route(f, s, "GET", "/debug/pprof/", profiles);
}
