/*
 * tools_cli.h - command lines with subcommands, by table.
 *
 * One table describes a program: commands ("check config"), their flags and arguments.
 * Flags stand anywhere behind the command that has them: --name=v, --name v, -o v, and
 * --no-name for booleans. Two manners: that of promtool (kingpin's usage text, errors and
 * exit codes, to the letter), and our own, which says what was probably meant.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/vec.h"

enum cli_kind {
    CLI_TEXT,
    CLI_BOOL,
    CLI_ENUM,     // one of `choices`
    CLI_DURATION, // as Go: 1h30m, 1.5s; and d, w
    CLI_INT,
    CLI_FILE, // must exist
    CLI_URL,
    CLI_MAP, // key=value
};

struct cli_option { // a flag or an argument
    const char *name;
    enum cli_kind kind;
    const char *value; // default; NULL: none
    const char *help;
    const char *choices;     // of CLI_ENUM, separated by commas
    const char *placeholder; // in the usage text; NULL: made from default and name
    char short_name;
    bool many;     // may repeat
    bool required; // must be given
    bool hidden;   // not in the usage text
};

// Rows of the tables: CLI_OPTION("name", CLI_TEXT, "default", "help", .short_name = 'n')
#define CLI_OPTION(name_, kind_, value_, help_, ...)                                      \
    {                                                                                     \
        .name = (name_), .kind = (kind_), .value = (value_), .help = (help_), __VA_ARGS__ \
    }

struct cli;
struct cli_command {
    const char *path; // "check", "check config": parents stand before their children
    const char *help;
    const struct cli_option *flags;
    size_t flag_count;
    const struct cli_option *args;
    size_t arg_count;
    bool hidden;
    int (*run)(const struct cli *c); // NULL: has subcommands
};

struct cli_list {
    struct str *v;
    size_t n;
};

struct cli_app {
    const char *name, *help;
    bool kingpin; // in promtool's manner
    const struct cli_option *flags;
    size_t flag_count;
    const struct cli_command *commands;
    size_t command_count;
    // Our own manner: the help of a command; NULL: from the table.
    const char *(*help_text)(const char *path);
};
#define CLI_OPTIONS(table) (table), ARRAY_LEN(table)

struct cli_value {
    const struct cli_option *option;
    struct str text; // NUL-terminated
};

struct cli {
    const struct cli_app *app;
    const struct cli_command *command;
    VEC(struct cli_value) values; // flags and arguments in the order given
    struct arena *arena;          // of the run
};

/*
 * Reads argv[1..] and runs the command. Returns the exit code: the command's; 1 (promtool) or 2
 * (ours) for a wrong command line; 0 for help and version.
 */
int cli_main(const struct cli_app *app, int argc, char **argv);

// The last value given, or the default; empty when there is neither.
struct str cli_text(const struct cli *c, const char *name);
bool cli_has(const struct cli *c, const char *name); // the command has such an option
// Was it on the command line?
bool cli_given(const struct cli *c, const char *name);
// Of CLI_BOOL: absent is false.
bool cli_bool(const struct cli *c, const char *name);
int64_t cli_ns(const struct cli *c, const char *name);          // CLI_DURATION: checked when read
int64_t cli_int(const struct cli *c, const char *name);         // CLI_INT: checked when read
struct cli_list cli_all(const struct cli *c, const char *name); // those given; else the default

// Go's ParseDuration with days and weeks: "1h30m", "-1.5s", "2d". ERR_INVALID in Go's words.
MUST_CHECK bool cli_duration_parse(struct str s, int64_t *out_ns, struct err *e);
// What every program has: --help and --version.
extern const struct cli_option cli_help_flag, cli_version_flag;
// kingpin's usage text of a command (NULL: of the program).
void cli_usage(struct buf *b, const struct cli_app *app, const struct cli_command *command);
