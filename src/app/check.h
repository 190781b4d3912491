/*
 * check.h - `check`: whether files and servers are in order, said in two manners.
 *
 * As promtool: its texts on its streams and its exit codes, to the letter. As vigie: one
 * line per problem, file:line:column, what it is and what was probably meant; then one line
 * per file. Exit codes: 0 fine, 1 wrong, 3 wrong only to the lint rules (with fatal).
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "app/tools_cli.h"
#include "config/prometheus.h"
#include "config/rules.h"

struct check_options {
    bool promtool;                // the manner
    bool syntax_only;             // config: look at no other file
    bool agent;                   // config: the subset for agent mode
    bool lint_duplicates;         // rules that make the same series
    bool fatal;                   // lint problems are failures: exit 3
    bool ignore_unknown;          // unknown keys in rule files
    struct promql_options syntax; // parts of PromQL that are off
    int64_t lookback_ms;          // lint: scrape intervals must be below; 0: no matter
};
// Reads --lint, --lint-fatal, --ignore-unknown-fields of the command at hand; says unknown words.
void check_options_read(struct check_options *o, const struct cli *c, bool config);

struct check_result {
    bool failed;   // something is wrong
    bool is_error; // and not only to the lint rules
};
// 0; 1 for errors; 3 for what only the lint rules say, when that is fatal.
int check_exit_code(const struct check_options *o, struct check_result r);

// Checks prometheus.yml files and what they name. Returns the exit code.
int check_config(const struct check_options *o, struct cli_list files);
// Checks rule files; without one, standard input. Returns the exit code.
int check_rules(const struct check_options *o, struct cli_list files);
// Checks alertmanager.yml files and their templates. strict: warnings are failures, too.
int check_alertmanager(struct cli_list files, bool strict);
// Checks files of --web.config.file and the certificates they name. Returns the exit code.
int check_web_config(const struct check_options *o, struct cli_list files);
// Reads a text page from standard input. lint: promlint's rules; extended: counts of series.
int check_metrics(const struct check_options *o, bool extended, bool lint);
// Asks url + path ("/-/healthy") of a running server; http_config_file: empty or a file's name.
int check_server(const struct check_options *o, struct str url, const char *path,
                 struct str http_config_file);
// Prints the targets of a job before and after relabelling as JSON, when there are any or the time
// is over (a second where no network is asked). Returns the exit code.
int check_service_discovery(struct str config_file, struct str job, int64_t timeout_ns);

// One file's part of check_rules(): shared with check_config().
struct check_result check_rule_files(const struct check_options *o, struct cli_list files);
// Files that match a pattern, in the arena.
struct cli_list check_glob(struct arena *a, struct str pattern);
// "a, b" → the problems of a configuration that failed, as compilers do; to stderr.
void check_show_config_error(const struct prom_config *c, const char *path, const struct err *e);
// The whole text of a configuration's error, as upstream has it: *e alone may be cut.
struct str check_config_error(struct arena *a, const struct prom_config *c, const char *path,
                              const struct err *e);
// Targets of a file of file_sd. Errors in upstream's words.
MUST_CHECK bool check_sd_file(struct arena *a, const char *path, struct conf_list *out,
                              struct err *e);
// What a target has before relabelling: its own labels and those of its group.
struct labels check_target_labels(struct arena *a, const struct conf_target_group *g,
                                  struct str target);
