// tools.c - vigie's own commands.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools.h"

#include <stdio.h>

#include "app/check.h"
#include "app/import_command.h"
#include "app/query_command.h"
#include "app/test_promql.h"
#include "app/test_rules.h"
#include "app/tools_promql.h"
#include "app/tools_push.h"

/* ---- help ---- */

static const char help_all[] =
    "vigie - metrics, stored and queried; in place of Prometheus.\n"
    "\n"
    "Start the server\n"
    "  vigie                                  watch this host, pages at http://localhost:9090\n"
    "  vigie --config.file=prometheus.yml     run what Prometheus would run\n"
    "  vigie --help                           flags of the server\n"
    "\n"
    "Look before you start\n"
    "  vigie check config prometheus.yml      every mistake, with its place\n"
    "  vigie check rules rules/*.yml          the same for rule files\n"
    "  vigie check alertmanager am.yml        routes, receivers, templates of Alertmanager\n"
    "  vigie check web-config web.yml         TLS and users of the server\n"
    "  curl -s host:9100/metrics | vigie check metrics\n"
    "\n"
    "Ask a running server\n"
    "  vigie query instant 'up == 0'          now\n"
    "  vigie query range 'rate(x_total[5m])'  the last minutes, step by step\n"
    "  vigie query series --match up          which series there are\n"
    "  vigie query labels job                 which values a label has\n"
    "\n"
    "Test\n"
    "  vigie test rules tests.yml             unit tests of rules, as promtool's\n"
    "  vigie test promql script.test          scripts of PromQL's own tests\n"
    "\n"
    "Move\n"
    "  vigie import prometheus DIR            blocks and logs of a Prometheus into ./data\n"
    "  vigie export metrics --match up        series of ./data as JSON lines or CSV\n"
    "\n"
    "More\n"
    "  vigie promql format 'sum(up)by(job)'   expressions, laid out\n"
    "  vigie push metrics URL page.txt        a text page by remote write\n"
    "  vigie promtool ...                     exactly as promtool: same words, same exit codes\n"
    "\n"
    "`vigie COMMAND --help` tells more about each.\n";

static const char help_check[] =
    "vigie check - is it in order? One line per problem: file:line:column, what, what was meant.\n"
    "\n"
    "  vigie check config FILE...       prometheus.yml and all that it names: rule files, "
    "secrets,\n"
    "                                   certificates, files of targets\n"
    "  vigie check rules [FILE...]      rule files; without one, standard input\n"
    "  vigie check alertmanager FILE... alertmanager.yml and its templates; --strict: what\n"
    "                                   Alertmanager would refuse is wrong, too\n"
    "  vigie check web-config FILE...   the file of --web.config.file\n"
    "  vigie check metrics              a page of metrics on standard input: names, units, help\n"
    "  vigie check healthy|ready        a running server (--server=URL)\n"
    "  vigie check service-discovery FILE JOB   the targets of a job, before and after "
    "relabelling\n"
    "\n"
    "Flags of config and rules\n"
    "  --lint=LIST                what else to look at: all, none, duplicate-rules,\n"
    "                             too-long-scrape-interval (default: duplicate-rules)\n"
    "  --lint-fatal               exit 3 when only the lint rules complain\n"
    "  --ignore-unknown-fields    accept keys in rule files that nobody knows\n"
    "Flags of config\n"
    "  --syntax-only              look at no other file\n"
    "  --agent                    the subset for --agent\n"
    "  --query.lookback-delta=5m  what too-long-scrape-interval compares with\n"
    "Flag of metrics\n"
    "  --extended                 count the series of each metric\n"
    "\n"
    "Exit codes: 0 in order, 1 not, 2 wrong usage, 3 only the lint rules complain.\n";

static const char help_query[] =
    "vigie query - asks a running server.\n"
    "\n"
    "  vigie query instant EXPR        one answer: at --time, else now\n"
    "  vigie query range EXPR          from --start to --end, one answer per --step\n"
    "                                  (default: the last five minutes, 250 steps at most)\n"
    "  vigie query series --match=SEL  series that match; --match may repeat\n"
    "  vigie query labels NAME         values of a label, of all series or of --match\n"
    "  vigie query analyze --match=SEL buckets of histograms that are in use\n"
    "\n"
    "Flags\n"
    "  --server=URL              default http://localhost:9090\n"
    "  -o, --format=promql|json  how to print\n"
    "  --header=NAME=VALUE       to send along; may repeat\n"
    "  --http.config.file=FILE   password, token, TLS: as in prometheus.yml\n"
    "Times are RFC 3339 (2024-06-01T12:00:00Z) or Unix seconds; steps are 15s, 5m, 1h.\n"
    "\n"
    "  vigie query instant 'sum by (job) (up)' --server=https://prom.example.org\n"
    "  vigie query range 'rate(http_requests_total[5m])' --start=1717243200 --step=1m -o json\n";

static const char help_test[] =
    "vigie test - runs tests.\n"
    "\n"
    "  vigie test rules FILE...    unit tests of rules, in promtool's format\n"
    "      --run=REGEXP            only test groups whose names match; may repeat\n"
    "      --debug                 print the samples after the test\n"
    "      --ignore-unknown-fields accept unknown keys in rule files\n"
    "  vigie test promql FILE...   scripts of the promqltest language (-v lists what passes)\n";

static const char *help_text(const char *path)
{
    static const struct {
        const char *prefix, *text;
    } texts[] = { { "check", help_check }, { "query", help_query }, { "test", help_test } };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_starts(str_c(path), str_c(texts[i].prefix)))
            return texts[i].text;
    return *path ? NULL : help_all;
}

/* ---- tables ---- */

#define SERVER(name_) CLI_OPTION(name_, CLI_URL, "http://localhost:9090", "the server to ask")
#define HTTP_CONFIG \
    CLI_OPTION("http.config.file", CLI_FILE, NULL, "password, token, TLS of the call")
#define MATCH       CLI_OPTION("match", CLI_TEXT, NULL, "series selector", .many = true)
#define TIME(name_) CLI_OPTION(name_, CLI_TEXT, NULL, "RFC 3339 or Unix seconds")
#define FILES(need_) \
    CLI_OPTION("files", CLI_FILE, NULL, "files to check", .many = true, .required = (need_))
#define LINT                                                                                  \
    CLI_OPTION("lint", CLI_TEXT, "duplicate-rules", "what else to look at"),                  \
        CLI_OPTION("lint-fatal", CLI_BOOL, NULL, "exit 3 when only the lint rules complain"), \
        CLI_OPTION("ignore-unknown-fields", CLI_BOOL, NULL, "accept unknown keys in rule files")

static const struct cli_option config_flags[] = {
    LINT,
    CLI_OPTION("syntax-only", CLI_BOOL, NULL, "look at no other file"),
    CLI_OPTION("agent", CLI_BOOL, NULL, "the subset for agent mode"),
    CLI_OPTION("query.lookback-delta", CLI_DURATION, "5m", "what scrape intervals must be below"),
};
static const struct cli_option rules_flags[] = { LINT };
static const struct cli_option alertmanager_flags[] = {
    CLI_OPTION("strict", CLI_BOOL, NULL, "refuse what Alertmanager would refuse"),
};
static const struct cli_option metrics_flags[] = {
    CLI_OPTION("extended", CLI_BOOL, NULL, "count the series of each metric"),
    CLI_OPTION("lint", CLI_TEXT, "all", "all or none"),
};
static const struct cli_option status_flags[] = { SERVER("server"), HTTP_CONFIG };
static const struct cli_option sd_flags[] = {
    CLI_OPTION("timeout", CLI_DURATION, "30s", "how long to wait for the network"),
};
static const struct cli_option sd_args[] = {
    CLI_OPTION("file", CLI_FILE, NULL, "prometheus.yml", .required = true),
    CLI_OPTION("job", CLI_TEXT, NULL, "name of a scrape job", .required = true),
};
static const struct cli_option files_args[] = { FILES(true) };
static const struct cli_option maybe_files_args[] = { FILES(false) };

static const struct cli_option query_flags[] = {
    SERVER("server"),
    HTTP_CONFIG,
    CLI_OPTION("format", CLI_ENUM, "promql", "how to print", .short_name = 'o',
               .choices = "promql,json"),
    CLI_OPTION("header", CLI_MAP, NULL, "to send along", .many = true),
};
static const struct cli_option expr_args[] = {
    CLI_OPTION("expr", CLI_TEXT, NULL, "PromQL expression", .required = true),
};
static const struct cli_option instant_flags[] = { TIME("time") };
static const struct cli_option range_flags[] = {
    TIME("start"),
    TIME("end"),
    CLI_OPTION("step", CLI_DURATION, NULL, "time between answers"),
};
static const struct cli_option series_flags[] = {
    TIME("start"),
    TIME("end"),
    CLI_OPTION("match", CLI_TEXT, NULL, "series selector", .many = true, .required = true),
};
static const struct cli_option labels_flags[] = { TIME("start"), TIME("end"), MATCH };
static const struct cli_option name_args[] = {
    CLI_OPTION("name", CLI_TEXT, NULL, "label name", .required = true),
};
static const struct cli_option analyze_flags[] = {
    CLI_OPTION("type", CLI_TEXT, "histogram", "kind of metric"),
    CLI_OPTION("duration", CLI_DURATION, "1h", "time frame"),
    TIME("time"),
    CLI_OPTION("match", CLI_TEXT, NULL, "series selector", .many = true, .required = true),
};

static const struct cli_option test_flags[] = {
    CLI_OPTION("run", CLI_TEXT, NULL, "only groups whose names match", .many = true),
    CLI_OPTION("debug", CLI_BOOL, NULL, "print the samples after the test"),
    CLI_OPTION("diff", CLI_BOOL, NULL, "print differences"),
    CLI_OPTION("ignore-unknown-fields", CLI_BOOL, NULL, "accept unknown keys in rule files"),
    CLI_OPTION("junit", CLI_TEXT, NULL, "file for results as JUnit XML"),
};
static const struct cli_option test_args[] = {
    CLI_OPTION("test-rule-file", CLI_FILE, NULL, "unit tests", .required = true, .many = true),
};

static const struct cli_option push_flags[] = {
    HTTP_CONFIG,
    CLI_OPTION("label", CLI_MAP, "job=vigie", "label of all series", .many = true),
    CLI_OPTION("timeout", CLI_DURATION, "30s", "of the call"),
    CLI_OPTION("header", CLI_MAP, NULL, "to send along", .many = true),
    CLI_OPTION("protobuf_message", CLI_TEXT, "prometheus.WriteRequest", "message", .hidden = true),
    CLI_OPTION("remote-write.path", CLI_TEXT, "/api/v1/write", "when the URL has no path"),
};
static const struct cli_option push_args[] = {
    CLI_OPTION("remote-write-url", CLI_URL, NULL, "where to", .required = true),
    CLI_OPTION("metric-files", CLI_FILE, NULL, "text pages; none: standard input", .many = true),
};

static const struct cli_option format_args[] = {
    CLI_OPTION("query", CLI_TEXT, NULL, "PromQL expression", .required = true),
};
static const struct cli_option set_flags[] = {
    CLI_OPTION("type", CLI_ENUM, "=", "operator", .short_name = 't', .choices = "=,!=,=~,!~"),
};
static const struct cli_option set_args[] = {
    CLI_OPTION("query", CLI_TEXT, NULL, "PromQL expression", .required = true),
    CLI_OPTION("name", CLI_TEXT, NULL, "label name", .required = true),
    CLI_OPTION("value", CLI_TEXT, NULL, "label value", .required = true),
};
static const struct cli_option delete_args[] = {
    CLI_OPTION("query", CLI_TEXT, NULL, "PromQL expression", .required = true),
    CLI_OPTION("name", CLI_TEXT, NULL, "label name", .required = true),
};

/* ---- runs ---- */

static int run_config(const struct cli *c)
{
    struct check_options o = { .syntax_only = cli_bool(c, "syntax-only"),
                               .agent = cli_bool(c, "agent") };

    check_options_read(&o, c, true);
    return check_config(&o, cli_all(c, "files"));
}

static int run_rules(const struct cli *c)
{
    struct check_options o = { 0 };

    check_options_read(&o, c, false);
    return check_rules(&o, cli_all(c, "files"));
}

static int run_alertmanager(const struct cli *c)
{
    return check_alertmanager(cli_all(c, "files"), cli_bool(c, "strict"));
}

static int run_web(const struct cli *c)
{
    return check_web_config(&(struct check_options){ 0 }, cli_all(c, "files"));
}

static int run_metrics(const struct cli *c)
{
    return check_metrics(&(struct check_options){ 0 }, cli_bool(c, "extended"),
                         !str_eq_c(cli_text(c, "lint"), "none"));
}

static int run_healthy(const struct cli *c)
{
    return check_server(&(struct check_options){ 0 }, cli_text(c, "server"), "/-/healthy",
                        cli_text(c, "http.config.file"));
}

static int run_ready(const struct cli *c)
{
    return check_server(&(struct check_options){ 0 }, cli_text(c, "server"), "/-/ready",
                        cli_text(c, "http.config.file"));
}

static int run_sd(const struct cli *c)
{
    return check_service_discovery(cli_text(c, "file"), cli_text(c, "job"), cli_ns(c, "timeout"));
}

#define DATA \
    CLI_OPTION("storage.tsdb.path", CLI_TEXT, "data", "data directory of vigie, which must not run")
#define TENANT CLI_OPTION("tenant", CLI_TEXT, "anonymous", "whose data")
static const struct cli_option import_flags[] = {
    DATA,
    TENANT,
    CLI_OPTION("start", CLI_TEXT, NULL, "oldest time: RFC 3339 or Unix seconds"),
    CLI_OPTION("end", CLI_TEXT, NULL, "newest time"),
};
static const struct cli_option import_args[] = {
    CLI_OPTION("dir", CLI_TEXT, NULL, "data directory of Prometheus, or a snapshot of it",
               .required = true),
};
static const struct cli_option export_flags[] = {
    DATA,
    TENANT,
    CLI_OPTION("match", CLI_TEXT, NULL, "series selector; none: everything", .many = true),
    CLI_OPTION("start", CLI_TEXT, NULL, "oldest time: RFC 3339 or Unix seconds"),
    CLI_OPTION("end", CLI_TEXT, NULL, "newest time"),
    CLI_OPTION("format", CLI_ENUM, "jsonl", "how to write", .choices = "jsonl,csv"),
    CLI_OPTION("columns", CLI_TEXT, NULL,
               "of CSV: label names, __series__, __value__, __timestamp__:unix_s"),
};

#define NONE NULL, 0
#define ALL  CLI_OPTIONS
static const struct cli_command commands[] = {
    { "check", "", NONE, NONE, false, NULL },
    { "check config", "", ALL(config_flags), ALL(files_args), false, run_config },
    { "check rules", "", ALL(rules_flags), ALL(maybe_files_args), false, run_rules },
    { "check alertmanager", "", ALL(alertmanager_flags), ALL(files_args), false, run_alertmanager },
    { "check web-config", "", NONE, ALL(files_args), false, run_web },
    { "check metrics", "", ALL(metrics_flags), NONE, false, run_metrics },
    { "check healthy", "", ALL(status_flags), NONE, false, run_healthy },
    { "check ready", "", ALL(status_flags), NONE, false, run_ready },
    { "check service-discovery", "", ALL(sd_flags), ALL(sd_args), false, run_sd },
    { "query", "", ALL(query_flags), NONE, false, NULL },
    { "query instant", "", ALL(instant_flags), ALL(expr_args), false, query_command_instant },
    { "query range", "", ALL(range_flags), ALL(expr_args), false, query_command_range },
    { "query series", "", ALL(series_flags), NONE, false, query_command_series },
    { "query labels", "", ALL(labels_flags), ALL(name_args), false, query_command_labels },
    { "query analyze", "", ALL(analyze_flags), NONE, false, query_command_analyze },
    { "test", "", NONE, NONE, false, NULL },
    { "test rules", "", ALL(test_flags), ALL(test_args), false, test_rules_command },
    { "import", "Takes data of other systems.", NONE, NONE, false, NULL },
    { "import prometheus", "Blocks and logs of a Prometheus into a data directory.",
      ALL(import_flags), ALL(import_args), false, import_command_prometheus },
    { "export", "Writes series out.", NONE, NONE, false, NULL },
    { "export metrics", "Series of a data directory as JSON lines or CSV.", ALL(export_flags), NONE,
      false, export_command_metrics },
    { "push", "Sends metrics.", NONE, NONE, false, NULL },
    { "push metrics", "Sends pages of the text format by remote write.", ALL(push_flags),
      ALL(push_args), false, tools_push_metrics },
    { "promql", "Rewrites expressions.", NONE, NONE, false, NULL },
    { "promql format", "Lays an expression out.", NONE, ALL(format_args), false,
      tools_promql_format },
    { "promql label-matchers", "Changes the selectors of an expression.", NONE, NONE, false, NULL },
    { "promql label-matchers set", "Sets a matcher in every selector.", ALL(set_flags),
      ALL(set_args), false, tools_promql_set },
    { "promql label-matchers delete", "Takes a label out of every selector.", NONE,
      ALL(delete_args), false, tools_promql_delete },
};

int tools_main(int argc, char **argv)
{
    static const struct cli_app app = { .name = "vigie",
                                        .help = "",
                                        .commands = commands,
                                        .command_count = ARRAY_LEN(commands),
                                        .help_text = help_text };

    if (argc > 1 && strcmp(argv[1], "promtool") == 0)
        return tools_promtool(argc - 1, argv + 1);
    if (argc > 2 && strcmp(argv[1], "test") == 0 && strcmp(argv[2], "promql") == 0)
        return app_test_promql(argc - 2, argv + 2);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cli_main(&app, argc, argv);
}
