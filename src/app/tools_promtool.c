// tools_promtool.c - promtool's commands, flags and arguments. Source: cmd/promtool/main.go of 3.15.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <sys/stat.h>

#include "app/check.h"
#include "app/query_command.h"
#include "app/test_rules.h"
#include "app/tools.h"
#include "app/tools_promql.h"
#include "app/tools_push.h"
#include "base/file.h"
#include "codec/expo.h"

#define HTTP_CONFIG                                                                   \
    CLI_OPTION("http.config.file", CLI_FILE, NULL,                                    \
               "HTTP client configuration file, see details at "                      \
               "https://prometheus.io/docs/prometheus/latest/configuration/promtool", \
               .placeholder = "<filename>")
#define IGNORE_UNKNOWN(where)                                                                  \
    CLI_OPTION("ignore-unknown-fields", CLI_BOOL, NULL,                                        \
               "Ignore unknown fields in the " where                                           \
               ". This is useful when you want to extend rule files with custom metadata. "    \
               "Ensure that those fields are removed before loading them into the Prometheus " \
               "server as it performs strict checks by default.")
#define LINT(help) CLI_OPTION("lint", CLI_TEXT, "duplicate-rules", help)
#define LINT_FATAL \
    CLI_OPTION("lint-fatal", CLI_BOOL, NULL, "Make lint errors exit with exit code 3.")
#define SERVER       CLI_OPTION("server", CLI_URL, NULL, "Prometheus server to query.", .required = true)
#define HEADER(help) CLI_OPTION("header", CLI_MAP, NULL, help, .many = true)
#define START(what)  CLI_OPTION("start", CLI_TEXT, NULL, what " time (RFC3339 or Unix timestamp).")
#define END(what)    CLI_OPTION("end", CLI_TEXT, NULL, what " time (RFC3339 or Unix timestamp).")
#define MATCH(need_)                                                                         \
    CLI_OPTION("match", CLI_TEXT, NULL, "Series selector. Can be specified multiple times.", \
               .many = true, .required = (need_))

/* ---- check ---- */

static const struct cli_option check_flags[] = {
    CLI_OPTION("query.lookback-delta", CLI_DURATION, "5m",
               "The server's maximum query lookback duration."),
};

static const struct cli_option sd_flags[] = {
    CLI_OPTION("timeout", CLI_DURATION, "30s", "The time to wait for discovery results."),
};
static const struct cli_option sd_args[] = {
    CLI_OPTION("config-file", CLI_FILE, NULL, "The prometheus config file.", .required = true),
    CLI_OPTION("job", CLI_TEXT, NULL, "The job to run service discovery for.", .required = true),
};
static int run_check_sd(const struct cli *c)
{
    return check_service_discovery(cli_text(c, "config-file"), cli_text(c, "job"),
                                   cli_ns(c, "timeout"));
}

static const struct cli_option config_flags[] = {
    CLI_OPTION("syntax-only", CLI_BOOL, NULL,
               "Only check the config file syntax, ignoring file and content validation referenced "
               "in the config"),
    LINT("Linting checks to apply to the rules/scrape configs specified in the config. Available "
         "options are: all, duplicate-rules, none, too-long-scrape-interval. Use --lint=none to "
         "disable linting"),
    LINT_FATAL,
    IGNORE_UNKNOWN("rule groups read by the config files"),
    CLI_OPTION("agent", CLI_BOOL, NULL, "Check config file for Prometheus in Agent mode."),
};
static const struct cli_option config_args[] = {
    CLI_OPTION("config-files", CLI_FILE, NULL, "The config files to check.", .required = true,
               .many = true),
};
static int run_check_config(const struct cli *c)
{
    struct check_options o = { .promtool = true,
                               .syntax_only = cli_bool(c, "syntax-only"),
                               .agent = cli_bool(c, "agent") };

    check_options_read(&o, c, true);
    return check_config(&o, cli_all(c, "config-files"));
}

static const struct cli_option web_args[] = {
    CLI_OPTION("web-config-files", CLI_FILE, NULL, "The config files to check.", .required = true,
               .many = true),
};
static int run_check_web(const struct cli *c)
{
    return check_web_config(&(struct check_options){ .promtool = true },
                            cli_all(c, "web-config-files"));
}

static const struct cli_option status_flags[] = {
    HTTP_CONFIG,
    CLI_OPTION("url", CLI_URL, "http://localhost:9090", "The URL for the Prometheus server."),
};
static int run_check_healthy(const struct cli *c)
{
    return check_server(&(struct check_options){ .promtool = true }, cli_text(c, "url"),
                        "/-/healthy", cli_text(c, "http.config.file"));
}
static int run_check_ready(const struct cli *c)
{
    return check_server(&(struct check_options){ .promtool = true }, cli_text(c, "url"), "/-/ready",
                        cli_text(c, "http.config.file"));
}

static const struct cli_option rules_flags[] = {
    LINT("Linting checks to apply. Available options are: all, duplicate-rules, none. Use "
         "--lint=none to disable linting"),
    LINT_FATAL,
    IGNORE_UNKNOWN("rule files"),
};
static const struct cli_option rules_args[] = {
    CLI_OPTION("rule-files", CLI_FILE, NULL,
               "The rule files to check, default is read from standard input.", .many = true),
};
static int run_check_rules(const struct cli *c)
{
    struct check_options o = { .promtool = true };

    check_options_read(&o, c, false);
    return check_rules(&o, cli_all(c, "rule-files"));
}

static const struct cli_option metrics_flags[] = {
    CLI_OPTION("extended", CLI_BOOL, NULL,
               "Print extended information related to the cardinality of the metrics."),
    CLI_OPTION("lint", CLI_TEXT, "all",
               "Linting checks to apply for metrics. Available options are: all, none. Use "
               "--lint=none to disable metrics linting."),
};
static int run_check_metrics(const struct cli *c)
{
    return check_metrics(&(struct check_options){ .promtool = true }, cli_bool(c, "extended"),
                         !str_eq_c(cli_text(c, "lint"), "none"));
}

/* ---- query ---- */

static const struct cli_option query_flags[] = {
    CLI_OPTION("format", CLI_ENUM, "promql", "Output format of the query.", .short_name = 'o',
               .choices = "promql,json"),
    HTTP_CONFIG,
};
static const struct cli_option query_args[] = {
    SERVER,
    CLI_OPTION("expr", CLI_TEXT, NULL, "PromQL query expression.", .required = true),
};
static const struct cli_option instant_flags[] = {
    CLI_OPTION("time", CLI_TEXT, NULL, "Query evaluation time (RFC3339 or Unix timestamp)."),
    HEADER("Extra headers to send to server."),
};
static const struct cli_option range_flags[] = {
    HEADER("Extra headers to send to server."),
    START("Query range start"),
    END("Query range end"),
    CLI_OPTION("step", CLI_DURATION, NULL, "Query step size (duration)."),
};
static const struct cli_option series_flags[] = { MATCH(true), START("Start"), END("End") };
static const struct cli_option server_args[] = { SERVER };
static const struct cli_option labels_flags[] = { START("Start"), END("End"), MATCH(false) };
static const struct cli_option labels_args[] = {
    SERVER,
    CLI_OPTION("name", CLI_TEXT, NULL, "Label name to provide label values for.", .required = true),
};
static const struct cli_option analyze_flags[] = {
    SERVER,
    CLI_OPTION("type", CLI_TEXT, NULL, "Type of metric: histogram.", .required = true),
    CLI_OPTION("duration", CLI_DURATION, "1h", "Time frame to analyze."),
    CLI_OPTION("time", CLI_TEXT, NULL, "Query time (RFC3339 or Unix timestamp), defaults to now."),
    MATCH(true),
};

/* ---- push, test ---- */

static const struct cli_option push_flags[] = { HTTP_CONFIG };
static const struct cli_option push_metrics_flags[] = {
    CLI_OPTION("label", CLI_MAP, "job=promtool",
               "Label to attach to metrics. Can be specified multiple times.", .many = true),
    CLI_OPTION("timeout", CLI_DURATION, "30s", "The time to wait for pushing metrics."),
    HEADER("Prometheus remote write header."),
    CLI_OPTION("protobuf_message", CLI_TEXT, "prometheus.WriteRequest",
               "Protobuf message to use when writing (prometheus.WriteRequest or "
               "io.prometheus.write.v2.Request)."),
    CLI_OPTION("remote-write.path", CLI_TEXT, "/api/v1/write",
               "Override the default remote write API path."),
};
static const struct cli_option push_args[] = {
    CLI_OPTION("remote-write-url", CLI_URL, NULL, "Prometheus remote write url to push metrics.",
               .required = true),
    CLI_OPTION("metric-files", CLI_FILE, NULL,
               "The metric files to push, default is read from standard input.", .many = true),
};

static const struct cli_option test_flags[] = {
    CLI_OPTION("junit", CLI_TEXT, NULL, "File path to store JUnit XML test results."),
};
static const struct cli_option test_rules_flags[] = {
    CLI_OPTION("run", CLI_TEXT, NULL,
               "If set, will only run test groups whose names match the regular expression. Can be "
               "specified multiple times.",
               .many = true),
    CLI_OPTION("debug", CLI_BOOL, NULL, "Enable unit test debugging."),
    CLI_OPTION("diff", CLI_BOOL, NULL,
               "[Experimental] Print colored differential output between expected & received "
               "output."),
    IGNORE_UNKNOWN("test files"),
};
static const struct cli_option test_args[] = {
    CLI_OPTION("test-rule-file", CLI_FILE, NULL, "The unit test file.", .required = true,
               .many = true),
};

/* ---- what a store of another kind cannot do ---- */

static int refuse_tsdb(const struct cli *c)
{
    fprintf(stderr,
            "promtool %s: vigie keeps samples in a store of its own, which has no TSDB blocks; use "
            "the query and remote-read APIs, or Prometheus's promtool on Prometheus's files\n",
            c->command->path);
    return 1;
}

static int run_tsdb_list(const struct cli *c)
{
    struct str dir = cli_text(c, "db path");
    struct stat st;

    if (stat(dir.p, &st) != 0) {
        fprintf(stderr, "opening the db dir: stat %.*s: no such file or directory\n", STRF(dir));
        return 1;
    }
    return refuse_tsdb(c);
}

// Says what is wrong with the input before what is wrong with the wish.
static bool check_import_file(const struct cli *c, struct str path)
{
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_options o = { .format = EXPO_OPENMETRICS };
    struct expo_event ev;
    struct err e = { 0 };
    struct str text;
    int got;

    if (!file_read(c->arena, path.p, 1 << 30, &text, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return false;
    }
    expo_start(x, &o, text);
    while ((got = expo_next(x, &ev, &e)) > 0)
        if (ev.kind == EXPO_SAMPLE && !ev.has_time) {
            fprintf(stderr,
                    "getting min and max timestamp: expected timestamp for series got none\n");
            return false;
        }
    if (got < 0)
        fprintf(stderr, "getting min and max timestamp: next: %s\n", e.text);
    return got == 0;
}

static int run_tsdb_import(const struct cli *c)
{
    struct str file = cli_text(c, "input file");
    struct stat st;

    if (stat(file.p, &st) != 0) {
        fprintf(stderr, "stat %.*s: no such file or directory\n", STRF(file));
        return 1;
    }
    return check_import_file(c, file) ? refuse_tsdb(c) : 1;
}

static int refuse_debug(const struct cli *c)
{
    fprintf(stderr,
            "promtool %s: not supported, vigie is no Go program; its own figures are at /metrics\n",
            c->command->path);
    return 1;
}

static const struct cli_option db_args[] = {
    CLI_OPTION("db path", CLI_TEXT, "data/", "Database path (default is data/)."),
};
static const struct cli_option tsdb_analyze_args[] = {
    CLI_OPTION("db path", CLI_TEXT, "data/", "Database path (default is data/)."),
    CLI_OPTION("block id", CLI_TEXT, NULL, "Block to analyze (default is the last block)."),
};
static const struct cli_option tsdb_analyze_flags[] = {
    CLI_OPTION("limit", CLI_INT, "20", "How many items to show in each list."),
    CLI_OPTION("extended", CLI_BOOL, NULL, "Run extended analysis."),
    CLI_OPTION("match", CLI_TEXT, NULL,
               "Series selector to analyze. Only 1 set of matchers is supported now."),
};
static const struct cli_option bench_args[] = {
    CLI_OPTION("file", CLI_TEXT, NULL, "Input file with samples data."),
};
static const struct cli_option bench_flags[] = {
    CLI_OPTION("out", CLI_TEXT, "benchout", "Set the output path."),
    CLI_OPTION("metrics", CLI_INT, "10000", "Number of metrics to read."),
    CLI_OPTION("scrapes", CLI_INT, "3000", "Number of scrapes to simulate."),
};
static const struct cli_option list_flags[] = {
    CLI_OPTION("human-readable", CLI_BOOL, NULL, "Print human readable values.", .short_name = 'r'),
};
static const struct cli_option dump_flags[] = {
    CLI_OPTION("sandbox-dir-root", CLI_TEXT, NULL,
               "Root directory where a sandbox directory will be created."),
    CLI_OPTION("min-time", CLI_INT, "-9223372036854775808",
               "Minimum timestamp to dump, in milliseconds since the Unix epoch."),
    CLI_OPTION("max-time", CLI_INT, "9223372036854775807",
               "Maximum timestamp to dump, in milliseconds since the Unix epoch."),
    CLI_OPTION("match", CLI_TEXT, "{__name__=~'(?s:.*)'}",
               "Series selector. Can be specified multiple times.", .many = true),
    CLI_OPTION("format", CLI_ENUM, "prom",
               "Output format of the dump (prom (default) or seriesjson).",
               .choices = "prom,seriesjson"),
};
static const struct cli_option import_flags[] = {
    CLI_OPTION("human-readable", CLI_BOOL, NULL, "Print human readable values.", .short_name = 'r'),
    CLI_OPTION("quiet", CLI_BOOL, NULL, "Do not print created blocks.", .short_name = 'q'),
};
static const struct cli_option import_om_flags[] = {
    CLI_OPTION("label", CLI_MAP, NULL,
               "Label to attach to metrics. Can be specified multiple times. Example "
               "--label=label_name=label_value",
               .many = true),
};
static const struct cli_option import_om_args[] = {
    CLI_OPTION("input file", CLI_TEXT, NULL, "OpenMetrics file to read samples from.",
               .required = true),
    CLI_OPTION("output directory", CLI_TEXT, "data/", "Output directory for generated blocks."),
};
static const struct cli_option import_rules_flags[] = {
    HTTP_CONFIG,
    CLI_OPTION("url", CLI_URL, "http://localhost:9090",
               "The URL for the Prometheus API with the data where the rule will be backfilled "
               "from."),
    CLI_OPTION("start", CLI_TEXT, NULL, "The time to start backfilling the new rule from.",
               .required = true),
    CLI_OPTION("end", CLI_TEXT, NULL, "The time to backfill to."),
    CLI_OPTION("output-dir", CLI_TEXT, "data/", "Output directory for generated blocks."),
    CLI_OPTION("eval-interval", CLI_DURATION, "60s",
               "How frequently to evaluate rules when backfilling."),
};
static const struct cli_option import_rules_args[] = {
    CLI_OPTION("rule-files", CLI_FILE, NULL, "Files containing recording rules.", .required = true,
               .many = true),
};

/* ---- promql ---- */

static const struct cli_option format_args[] = {
    CLI_OPTION("query", CLI_TEXT, NULL, "PromQL query.", .required = true),
};
static const struct cli_option set_flags[] = {
    CLI_OPTION("type", CLI_ENUM, "=", "Type of the label matcher to set.", .short_name = 't',
               .choices = "=,!=,=~,!~"),
};
static const struct cli_option set_args[] = {
    CLI_OPTION("query", CLI_TEXT, NULL, "PromQL query.", .required = true),
    CLI_OPTION("name", CLI_TEXT, NULL, "Name of the label matcher to set.", .required = true),
    CLI_OPTION("value", CLI_TEXT, NULL, "Value of the label matcher to set.", .required = true),
};
static const struct cli_option delete_args[] = {
    CLI_OPTION("query", CLI_TEXT, NULL, "PromQL query.", .required = true),
    CLI_OPTION("name", CLI_TEXT, NULL, "Name of the label to delete.", .required = true),
};

/* ---- all of it ---- */

#define NONE NULL, 0
#define ALL  CLI_OPTIONS
static const struct cli_command commands[] = {
    { "check", "Check the resources for validity.", ALL(check_flags), NONE, false, NULL },
    { "check service-discovery",
      "Perform service discovery for the given job name and report the results, including "
      "relabeling.",
      ALL(sd_flags), ALL(sd_args), false, run_check_sd },
    { "check config", "Check if the config files are valid or not.", ALL(config_flags),
      ALL(config_args), false, run_check_config },
    { "check web-config", "Check if the web config files are valid or not.", NONE, ALL(web_args),
      false, run_check_web },
    { "check healthy", "Check if the Prometheus server is healthy.", ALL(status_flags), NONE, false,
      run_check_healthy },
    { "check ready", "Check if the Prometheus server is ready.", ALL(status_flags), NONE, false,
      run_check_ready },
    { "check rules", "Check if the rule files are valid or not.", ALL(rules_flags), ALL(rules_args),
      false, run_check_rules },
    { "check metrics",
      "Pass Prometheus metrics over stdin to lint them for consistency and correctness, and "
      "optionally perform cardinality analysis.\n\nexamples:\n\n$ cat metrics.prom | promtool "
      "check "
      "metrics\n\n$ curl -s http://localhost:9090/metrics | promtool check metrics --extended\n\n$ "
      "curl -s http://localhost:9100/metrics | promtool check metrics --extended --lint=none",
      ALL(metrics_flags), NONE, false, run_check_metrics },
    { "query", "Run query against a Prometheus server.", ALL(query_flags), NONE, false, NULL },
    { "query instant", "Run instant query.", ALL(instant_flags), ALL(query_args), false,
      query_command_instant },
    { "query range", "Run range query.", ALL(range_flags), ALL(query_args), false,
      query_command_range },
    { "query series", "Run series query.", ALL(series_flags), ALL(server_args), false,
      query_command_series },
    { "query labels", "Run labels query.", ALL(labels_flags), ALL(labels_args), false,
      query_command_labels },
    { "query analyze",
      "Run queries against your Prometheus to analyze the usage pattern of certain metrics.",
      ALL(analyze_flags), NONE, false, query_command_analyze },
    { "debug", "Fetch debug information.", NONE, NONE, false, NULL },
    { "debug pprof", "Fetch profiling debug information.", NONE, ALL(server_args), false,
      refuse_debug },
    { "debug metrics", "Fetch metrics debug information.", NONE, ALL(server_args), false,
      refuse_debug },
    { "debug all", "Fetch all debug information.", NONE, ALL(server_args), false, refuse_debug },
    { "push", "Push to a Prometheus server.", ALL(push_flags), NONE, false, NULL },
    { "push metrics", "Push metrics to a prometheus remote write (for testing purpose only).",
      ALL(push_metrics_flags), ALL(push_args), false, tools_push_metrics },
    { "test", "Unit testing.", ALL(test_flags), NONE, false, NULL },
    { "test rules", "Unit tests for rules.", ALL(test_rules_flags), ALL(test_args), false,
      test_rules_command },
    { "tsdb", "Run tsdb commands.", NONE, NONE, false, NULL },
    { "tsdb bench", "Run benchmarks.", NONE, NONE, false, NULL },
    { "tsdb bench write", "Run a write performance benchmark.", ALL(bench_flags), ALL(bench_args),
      false, refuse_tsdb },
    { "tsdb analyze", "Analyze churn, label pair cardinality and compaction efficiency.",
      ALL(tsdb_analyze_flags), ALL(tsdb_analyze_args), false, refuse_tsdb },
    { "tsdb list", "List tsdb blocks.", ALL(list_flags), ALL(db_args), false, run_tsdb_list },
    { "tsdb dump", "Dump data (series+samples or optionally just series) from a TSDB.",
      ALL(dump_flags), ALL(db_args), false, refuse_tsdb },
    { "tsdb dump-openmetrics",
      "[Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native "
      "histograms and staleness markers, which are not representable in OpenMetrics.",
      dump_flags, ARRAY_LEN(dump_flags) - 1, ALL(db_args), false, refuse_tsdb },
    { "tsdb create-blocks-from",
      "[Experimental] Import samples from input and produce TSDB blocks. Please refer to the "
      "storage docs for more details.",
      ALL(import_flags), NONE, false, NULL },
    { "tsdb create-blocks-from openmetrics",
      "Import samples from OpenMetrics input and produce TSDB blocks. Please refer to the storage "
      "docs for more details.",
      ALL(import_om_flags), ALL(import_om_args), false, run_tsdb_import },
    { "tsdb create-blocks-from rules", "Create blocks of data for new recording rules.",
      ALL(import_rules_flags), ALL(import_rules_args), false, refuse_tsdb },
    { "promql", "PromQL formatting and editing. Requires the --experimental flag.", NONE, NONE,
      false, NULL },
    { "promql format", "Format PromQL query to pretty printed form.", NONE, ALL(format_args), false,
      tools_promql_format },
    { "promql label-matchers", "Edit label matchers contained within an existing PromQL query.",
      NONE, NONE, false, NULL },
    { "promql label-matchers set", "Set a label matcher in the query.", ALL(set_flags),
      ALL(set_args), false, tools_promql_set },
    { "promql label-matchers delete", "Delete a label from the query.", NONE, ALL(delete_args),
      false, tools_promql_delete },
};

static const struct cli_option app_flags[] = {
    CLI_OPTION("experimental", CLI_BOOL, NULL, "Enable experimental commands."),
    CLI_OPTION("enable-feature", CLI_TEXT, "",
               "Comma separated feature names to enable. Valid options: "
               "promql-experimental-functions, promql-delayed-name-removal, "
               "promql-extended-range-selectors. See "
               "https://prometheus.io/docs/prometheus/latest/feature_flags/ for more details",
               .many = true),
};

int tools_promtool(int argc, char **argv)
{
    static const struct cli_app app = { .name = "promtool",
                                        .help = "Tooling for the Prometheus monitoring system.",
                                        .kingpin = true,
                                        .flags = app_flags,
                                        .flag_count = ARRAY_LEN(app_flags),
                                        .commands = commands,
                                        .command_count = ARRAY_LEN(commands) };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cli_main(&app, argc, argv);
}
