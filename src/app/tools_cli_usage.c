// tools_cli_usage.c - usage texts as kingpin lays them out, lines broken as Go's doc comments are.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools_cli.h"

#include <ctype.h>

enum { USAGE_WIDTH = 80, COLUMN_MAX = 30, PADDING = 2, WORDS_MAX = 512 };

/* ---- paragraphs ---- */

struct cost {
    int64_t over, rest; // characters beyond the width, squared; then those left, squared
};

// What a line of words [from, to) costs. A break not behind punctuation costs 64 more.
static struct cost line_cost(const struct str *word, size_t n, size_t from, size_t to, int width)
{
    int64_t len = (int64_t)(to - from) - 1;

    for (size_t i = from; i < to; i++)
        len += (int64_t)word[i].n;
    if (to == n && len <= width)
        return (struct cost){ 0, 0 };
    char last = word[to - 1].p[word[to - 1].n - 1];
    int64_t penalty = last == '.' || last == ',' || last == ':' || last == ';' ? 0 : 64;
    int64_t square = (width - len) * (width - len);
    return len > width ? (struct cost){ square, penalty } : (struct cost){ 0, square + penalty };
}

static bool is_less(struct cost a, struct cost b)
{
    return a.over < b.over || (a.over == b.over && a.rest < b.rest);
}

// Breaks a paragraph where the sum of costs is least; start[i] gets the first word of line i.
static size_t break_lines(const struct str *word, size_t n, int width, size_t *start)
{
    struct cost best[WORDS_MAX + 1] = { { 0, 0 } };
    size_t from[WORDS_MAX + 1] = { 0 }, lines = 0;

    for (size_t to = 1; to <= n; to++) {
        best[to] = (struct cost){ INT64_MAX, INT64_MAX };
        for (size_t i = 0; i < to; i++) {
            struct cost c = line_cost(word, n, i, to, width);
            c.over += best[i].over;
            c.rest += best[i].rest;
            if (is_less(c, best[to])) {
                best[to] = c;
                from[to] = i;
            }
        }
    }
    for (size_t to = n; to > 0; to = from[to])
        lines++;
    for (size_t to = n, i = lines; to > 0; to = from[to])
        start[--i] = from[to];
    return lines;
}

static void write_paragraph(struct buf *b, struct str text, const char *indent, int width)
{
    struct str word[WORDS_MAX];
    size_t start[WORDS_MAX], n = 0;
    struct str rest = text;

    while (rest.p && n < WORDS_MAX) {
        struct str w = str_cut(&rest, ' ');
        if (w.n)
            word[n++] = w;
    }
    size_t lines = break_lines(word, n, width, start);
    for (size_t i = 0; i < lines; i++) {
        size_t end = i + 1 < lines ? start[i + 1] : n;
        if (i)
            buf_char(b, '\n');
        buf_str(b, str_c(indent));
        for (size_t k = start[i]; k < end; k++) {
            if (k > start[i])
                buf_char(b, ' ');
            buf_str(b, word[k]);
        }
    }
}

// Paragraphs are separated by an empty line.
static void write_text(struct buf *b, const char *text, const char *indent, int width)
{
    struct str rest = str_c(text);

    while (rest.n) {
        size_t end = str_find(rest, STR("\n\n"));
        struct str one = end == STR_NPOS ? rest : str_sub(rest, 0, end);
        write_paragraph(b, one, indent, width);
        rest = end == STR_NPOS ? STR_NONE : str_sub(rest, end + 2, rest.n);
        buf_str(b, rest.n ? STR("\n\n") : STR("\n"));
    }
}

/* ---- flags ---- */

static void write_upper(struct buf *b, const char *s)
{
    for (; *s; s++)
        buf_char(b, (char)toupper((unsigned char)*s));
}

static void write_placeholder(struct buf *b, const struct cli_option *o)
{
    bool quoted = !o->many && o->kind == CLI_TEXT;

    if (o->placeholder)
        buf_str(b, str_c(o->placeholder));
    else if (o->value)
        buf_printf(b, quoted ? "\"%s\"" : "%s", o->value);
    else
        write_upper(b, o->name);
}

static void write_flag(struct buf *b, const struct cli_option *o)
{
    if (o->short_name)
        buf_printf(b, "-%c, ", o->short_name);
    else
        buf_lit(b, "    ");
    buf_printf(b, "--%s%s", o->kind == CLI_BOOL ? "[no-]" : "", o->name);
    if (o->kind != CLI_BOOL) {
        buf_char(b, '=');
        write_placeholder(b, o);
    }
    if (o->many)
        buf_lit(b, " ...");
}

struct row {
    struct str left;
    const char *right;
};

static void write_columns(struct buf *b, const struct row *row, size_t n)
{
    size_t wide = 0;

    for (size_t i = 0; i < n; i++)
        if (row[i].left.n > wide && row[i].left.n < COLUMN_MAX)
            wide = row[i].left.n;
    for (size_t i = 0; i < n; i++) {
        OWNED(buf_fini) struct buf text = { 0 };
        write_text(&text, row[i].right, "", (int)(USAGE_WIDTH - wide - PADDING - 2));
        buf_printf(b, "  %-*.*s%*s", (int)wide, STRF(row[i].left), PADDING, "");
        if (row[i].left.n >= COLUMN_MAX)
            buf_printf(b, "\n%*s", (int)(2 + wide + PADDING), "");
        struct str rest = { text.p, text.n ? text.n - 1 : 0 };
        for (bool first = true; rest.p; first = false) {
            if (!first)
                buf_printf(b, "%*s", (int)(2 + wide + PADDING), "");
            struct str line = str_cut(&rest, '\n');
            buf_printf(b, "%.*s\n", STRF(line));
        }
    }
}

typedef VEC(struct row) row_vec;

static void add_flags(struct arena *a, void *rows_out, const struct cli_option *o, size_t n)
{
    row_vec *rows = rows_out;

    for (size_t i = 0; i < n; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        if (o[i].hidden)
            continue;
        write_flag(&b, &o[i]);
        *vec_push_in(a, rows) = (struct row){ arena_str(a, buf_view(&b)),
                                              o[i].help ? o[i].help : "" };
    }
}

static bool is_within(const char *path, const char *parent)
{
    struct str p = str_c(path), up = str_c(parent);

    return str_starts(p, up) && (p.n == up.n || p.p[up.n] == ' ');
}

static void write_flags(struct buf *b, const struct cli_app *app, const struct cli_command *command)
{
    OWNED(arena_fini) struct arena a = { 0 };
    row_vec rows = { 0 };

    add_flags(&a, &rows, &cli_help_flag, 1);
    add_flags(&a, &rows, &cli_version_flag, 1);
    add_flags(&a, &rows, app->flags, app->flag_count);
    for (size_t i = 0; command && i < app->command_count; i++)
        if (is_within(command->path, app->commands[i].path))
            add_flags(&a, &rows, app->commands[i].flags, app->commands[i].flag_count);
    buf_lit(b, "Flags:\n");
    write_columns(b, rows.v, rows.n);
    buf_char(b, '\n');
}

/* ---- commands ---- */

static void write_argument(struct buf *b, const struct cli_option *o)
{
    buf_printf(b, " %s<%s>%s%s", o->required ? "" : "[", o->name, o->many ? "..." : "",
               o->required ? "" : "]");
}

// "check config [<flags>] <config-files>..."
static void write_summary(struct buf *b, const struct cli_command *m)
{
    bool optional = false;

    for (size_t i = 0; i < m->flag_count; i++) {
        if (m->flags[i].required) {
            buf_printf(b, " --%s=", m->flags[i].name);
            write_placeholder(b, &m->flags[i]);
        }
        optional |= !m->flags[i].required && !m->flags[i].hidden;
    }
    if (optional)
        buf_lit(b, " [<flags>]");
    for (size_t i = 0; i < m->arg_count; i++)
        write_argument(b, &m->args[i]);
}

static void write_commands(struct buf *b, const struct cli_app *app, const char *parent)
{
    for (size_t i = 0; i < app->command_count; i++) {
        const struct cli_command *m = &app->commands[i];
        if (!m->run || m->hidden || (*parent && !is_within(m->path, parent)))
            continue;
        buf_str(b, str_c(m->path));
        write_summary(b, m);
        buf_char(b, '\n');
        write_text(b, m->help, "    ", USAGE_WIDTH - 4);
        buf_char(b, '\n');
    }
    buf_char(b, '\n');
}

static void write_arguments(struct buf *b, const struct cli_command *m)
{
    OWNED(arena_fini) struct arena a = { 0 };
    row_vec rows = { 0 };

    for (size_t i = 0; i < m->arg_count; i++)
        *vec_push_in(&a, &rows) = (struct row){
            arena_printf(&a, m->args[i].required ? "<%s>" : "[<%s>]", m->args[i].name),
            m->args[i].help ? m->args[i].help : ""
        };
    buf_lit(b, "Args:\n");
    write_columns(b, rows.v, rows.n);
    buf_char(b, '\n');
}

void cli_usage(struct buf *b, const struct cli_app *app, const struct cli_command *command)
{
    bool parent = !command || !command->run;

    buf_printf(b, "usage: %s", app->name);
    if (command) {
        buf_printf(b, " %s", command->path);
        write_summary(b, command);
    } else {
        buf_lit(b, " [<flags>]");
    }
    buf_printf(b, "%s\n\n", parent ? " <command> [<args> ...]" : "");
    write_text(b, command ? command->help : app->help, "", USAGE_WIDTH);
    buf_lit(b, "\n\n");
    write_flags(b, app, command);
    if (command && command->arg_count)
        write_arguments(b, command);
    if (command && parent)
        buf_lit(b, "Subcommands:\n");
    else if (!command)
        buf_lit(b, "Commands:\nhelp [<command>...]\n    Show help.\n\n");
    if (parent)
        write_commands(b, app, command ? command->path : "");
}
