// tools_cli.c - reading command lines with subcommands.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools_cli.h"

#include <stdio.h>
#include <sys/stat.h>

#include "app/version.h"
#include "base/num.h"
#include "config/schema.h"

const struct cli_option cli_help_flag = CLI_OPTION(
    "help", CLI_BOOL, NULL, "Show context-sensitive help (also try --help-long and --help-man).",
    .short_name = 'h');
const struct cli_option cli_version_flag = CLI_OPTION("version", CLI_BOOL, NULL,
                                                      "Show application version.");

struct reader {
    struct cli *c;
    int argc, at;
    char **argv;
    bool only_args; // behind --
    size_t arg;     // the next argument's place in the table
    size_t arg_values;
};

/* ---- values ---- */

struct unit {
    const char *name;
    double ns;
};
static const struct unit units[] = {
    { "ns", 1 },         { "us", 1e3 },        { "µs", 1e3 },
    { "ms", 1e6 },       { "s", 1e9 },         { "m", 60 * 1e9 },
    { "h", 3600 * 1e9 }, { "d", 86400 * 1e9 }, { "w", 604800 * 1e9 },
};

static size_t span_of(struct str s, bool digits)
{
    size_t n = 0;

    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || s.p[n] == '.') == digits)
        n++;
    return n;
}

bool cli_duration_parse(struct str s, int64_t *out_ns, struct err *e)
{
    struct str rest = s;
    double sum = 0;
    bool negative = rest.n && rest.p[0] == '-';

    if (rest.n && (rest.p[0] == '-' || rest.p[0] == '+'))
        rest = str_sub(rest, 1, rest.n);
    if (str_eq(rest, STR("0")))
        return *out_ns = 0, true;
    if (!rest.n)
        return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STRF(s));
    while (rest.n) {
        double v;
        size_t n = span_of(rest, true);
        if (!n || !num_parse_double(str_sub(rest, 0, n), &v))
            return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STRF(s));
        rest = str_sub(rest, n, rest.n);
        size_t unit_n = span_of(rest, false);
        if (!unit_n)
            return err_set(e, ERR_INVALID, "time: missing unit in duration \"%.*s\"", STRF(s));
        size_t u = 0;
        while (u < ARRAY_LEN(units) && !str_eq_c(str_sub(rest, 0, unit_n), units[u].name))
            u++;
        if (u == ARRAY_LEN(units))
            return err_set(e, ERR_INVALID, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
                           (int)unit_n, rest.p, STRF(s));
        sum += v * units[u].ns;
        rest = str_sub(rest, unit_n, rest.n);
    }
    if (sum >= 0x1p63)
        return err_set(e, ERR_INVALID, "time: invalid duration \"%.*s\"", STRF(s));
    *out_ns = negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

static bool check_choice(const struct cli_option *o, struct str text, struct err *e)
{
    struct str rest = str_c(o->choices);

    while (rest.p)
        if (str_eq(str_cut(&rest, ','), text))
            return true;
    return err_set(e, ERR_INVALID, "enum value must be one of %s, got '%.*s'", o->choices,
                   STRF(text));
}

static bool check_file(struct str text, struct err *e)
{
    struct stat st;

    if (stat(text.p, &st) != 0)
        return err_set(e, ERR_INVALID, "path '%.*s' does not exist", STRF(text));
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "'%.*s' is a directory", STRF(text));
    return true;
}

static bool check_value(const struct cli_option *o, struct str text, struct err *e)
{
    int64_t i;

    switch (o->kind) {
    case CLI_ENUM:
        return check_choice(o, text, e);
    case CLI_DURATION:
        return cli_duration_parse(text, &i, e);
    case CLI_INT:
        return str_to_i64(text, &i) ||
               err_set(e, ERR_INVALID, "strconv.ParseInt: parsing \"%.*s\": invalid syntax",
                       STRF(text));
    case CLI_FILE:
        return check_file(text, e);
    case CLI_MAP:
        return str_find_char(text, '=') != STR_NPOS ||
               err_set(e, ERR_INVALID, "expected KEY=VALUE got '%.*s'", STRF(text));
    default:
        return true;
    }
}

/* ---- looking up ---- */

// "check" is a parent of "check config".
static bool is_below(const char *path, const char *parent)
{
    struct str p = str_c(path), up = str_c(parent);

    return !up.n || (str_starts(p, up) && p.n > up.n && p.p[up.n] == ' ');
}

static const struct cli_command *find_command(const struct cli_app *app, struct str path)
{
    for (size_t i = 0; i < app->command_count; i++)
        if (str_eq_c(path, app->commands[i].path))
            return &app->commands[i];
    return NULL;
}

static bool has_children(const struct cli_app *app, const struct cli_command *command)
{
    return !command || !command->run;
}

// A flag by name or by its letter, of the command, its parents and the program.
static const struct cli_option *find_flag(const struct cli *c, struct str name, char letter)
{
    const struct cli_app *app = c->app;

    if (name.n ? str_eq_c(name, "help") : letter == 'h')
        return &cli_help_flag;
    if (str_eq_c(name, "version"))
        return &cli_version_flag;
    for (size_t i = 0; i < app->flag_count; i++)
        if (name.n ? str_eq_c(name, app->flags[i].name) : letter == app->flags[i].short_name)
            return &app->flags[i];
    for (size_t k = 0; c->command && k < app->command_count; k++) {
        const struct cli_command *up = &app->commands[k];
        if (up != c->command && !is_below(c->command->path, up->path))
            continue;
        for (size_t i = 0; i < up->flag_count; i++)
            if (name.n ? str_eq_c(name, up->flags[i].name) : letter == up->flags[i].short_name)
                return &up->flags[i];
    }
    return NULL;
}

static bool unknown_flag(const struct cli *c, struct str name, struct err *e)
{
    struct arena *a = c->arena;
    VEC(struct str) names = { 0 };

    if (c->app->kingpin)
        return err_set(e, ERR_INVALID, "unknown long flag '--%.*s'", STRF(name));
    for (size_t k = 0; k < c->app->command_count; k++) {
        const struct cli_command *up = &c->app->commands[k];
        if (c->command && (up == c->command || is_below(c->command->path, up->path)))
            for (size_t i = 0; i < up->flag_count; i++)
                *vec_push_in(a, &names) = str_c(up->flags[i].name);
    }
    struct str guess = conf_suggest(name, names.v, names.n);
    return guess.n ? err_set(e, ERR_INVALID, "unknown flag --%.*s; did you mean --%.*s?",
                             STRF(name), STRF(guess))
                   : err_set(e, ERR_INVALID, "unknown flag --%.*s", STRF(name));
}

static bool unknown_command(const struct cli *c, struct str word, struct err *e)
{
    struct arena *a = c->arena;
    struct str up = c->command ? str_c(c->command->path) : STR_NONE;
    VEC(struct str) names = { 0 };

    if (c->app->kingpin)
        return err_set(e, ERR_INVALID, "expected command but got \"%.*s\"", STRF(word));
    for (size_t k = 0; k < c->app->command_count; k++) {
        struct str path = str_c(c->app->commands[k].path);
        if (is_below(path.p, up.p ? up.p : ""))
            *vec_push_in(a, &names) = str_sub(path, up.n ? up.n + 1 : 0, path.n);
    }
    struct str guess = conf_suggest(word, names.v, names.n);
    if (guess.n)
        return err_set(e, ERR_INVALID, "there is no command \"%.*s\"; did you mean \"%.*s\"?",
                       STRF(word), STRF(guess));
    return err_set(e, ERR_INVALID, "there is no command \"%.*s\"", STRF(word));
}

/* ---- reading ---- */

static void add_value(struct reader *r, const struct cli_option *o, struct str text)
{
    *vec_push_in(r->c->arena, &r->c->values) = (struct cli_value){ o,
                                                                   arena_str(r->c->arena, text) };
}

static bool take_word(struct reader *r, struct str *out)
{
    if (r->at >= r->argc)
        return false;
    *out = str_c(r->argv[r->at++]);
    return true;
}

static bool read_long(struct reader *r, struct str word, struct err *e)
{
    struct str value = str_sub(word, 2, word.n), name = str_cut(&value, '=');
    const struct cli_option *o = find_flag(r->c, name, 0);
    bool negated = false;

    if (!o && str_starts(name, STR("no-"))) {
        o = find_flag(r->c, str_sub(name, 3, name.n), 0);
        negated = o && o->kind == CLI_BOOL;
        o = negated ? o : NULL;
    }
    if (!o)
        return unknown_flag(r->c, name, e);
    if (o->kind == CLI_BOOL) {
        add_value(r, o, negated ? STR("false") : value.p ? value : STR("true"));
        return true;
    }
    if (!value.p && !take_word(r, &value))
        return err_set(e, ERR_INVALID, "expected argument for flag '--%.*s'", STRF(name));
    add_value(r, o, value);
    return true;
}

static bool read_short(struct reader *r, struct str word, struct err *e)
{
    for (size_t i = 1; i < word.n; i++) {
        const struct cli_option *o = find_flag(r->c, STR_NONE, word.p[i]);
        struct str value = str_sub(word, i + 1, word.n);
        if (!o)
            return err_set(e, ERR_INVALID, "unknown short flag '-%c'", word.p[i]);
        if (o->kind == CLI_BOOL) {
            add_value(r, o, STR("true"));
            continue;
        }
        if (!value.n && !take_word(r, &value))
            return err_set(e, ERR_INVALID, "expected argument for flag '-%c'", word.p[i]);
        add_value(r, o, value);
        return true;
    }
    return true;
}

static bool read_argument(struct reader *r, struct str word, struct err *e)
{
    const struct cli_command *command = r->c->command;

    if (r->arg >= command->arg_count)
        return err_set(e, ERR_INVALID, "unexpected %.*s", STRF(word));
    add_value(r, &command->args[r->arg], word);
    r->arg += !command->args[r->arg].many;
    return true;
}

static bool read_command(struct reader *r, struct str word, struct err *e)
{
    struct cli *c = r->c;
    struct str up = c->command ? str_c(c->command->path) : STR_NONE;
    struct str path = arena_printf(c->arena, "%.*s%s%.*s", STRF(up), up.n ? " " : "", STRF(word));
    const struct cli_command *next = find_command(c->app, path);

    if (!next)
        return unknown_command(c, word, e);
    c->command = next;
    return true;
}

static bool read_all(struct reader *r, struct err *e)
{
    struct str word;

    while (take_word(r, &word)) {
        bool ok;
        if (!r->only_args && str_eq_c(word, "--")) {
            r->only_args = true;
            continue;
        }
        if (!r->only_args && str_starts(word, STR("--")))
            ok = read_long(r, word, e);
        else if (!r->only_args && word.n > 1 && word.p[0] == '-')
            ok = read_short(r, word, e);
        else if (has_children(r->c->app, r->c->command))
            ok = read_command(r, word, e);
        else
            ok = read_argument(r, word, e);
        if (!ok)
            return false;
    }
    return true;
}

static bool is_set(const struct cli *c, const struct cli_option *o)
{
    for (size_t i = 0; i < c->values.n; i++)
        if (c->values.v[i].option == o)
            return true;
    return false;
}

static bool check_required(const struct cli *c, struct err *e)
{
    const struct cli_command *m = c->command;
    struct str missing = STR_NONE;

    for (size_t i = 0; i < m->flag_count; i++)
        if (m->flags[i].required && !is_set(c, &m->flags[i]))
            missing = arena_printf(c->arena, "%.*s%s'--%s'", STRF(missing), missing.n ? ", " : "",
                                   m->flags[i].name);
    if (missing.n)
        return err_set(e, ERR_INVALID, "required flag(s) %.*s not provided", STRF(missing));
    for (size_t i = 0; i < m->arg_count; i++)
        if (m->args[i].required && !is_set(c, &m->args[i]))
            return err_set(e, ERR_INVALID, "required argument '%s' not provided", m->args[i].name);
    return true;
}

static bool check_all(const struct cli *c, struct err *e)
{
    if (has_children(c->app, c->command))
        return err_set(e, ERR_INVALID, "must select a subcommand of '%s'", c->command->path);
    for (size_t i = 0; i < c->values.n; i++)
        if (!check_value(c->values.v[i].option, c->values.v[i].text, e))
            return false;
    return check_required(c, e);
}

/* ---- running ---- */

static int show_help(const struct cli *c)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const char *text = NULL;

    if (c->app->help_text)
        text = c->app->help_text(c->command ? c->command->path : "");
    if (text)
        buf_str(&b, str_c(text));
    else
        cli_usage(&b, c->app, c->command);
    fwrite(b.p, 1, b.n, stdout);
    return 0;
}

static int show_error(const struct cli *c, const struct err *e)
{
    const char *path = c->command ? c->command->path : "";

    if (c->app->kingpin) {
        fprintf(stderr, "%s: error: %s, try --help\n", c->app->name, e->text);
        return 1;
    }
    fprintf(stderr, "%s%s%s: %s\n", c->app->name, *path ? " " : "", path, e->text);
    fprintf(stderr, "`%s%s%s --help` shows how it is used.\n", c->app->name, *path ? " " : "",
            path);
    return 2;
}

static int show_topic(struct cli *c, int argc, char **argv)
{
    struct reader r = { .c = c, .argc = argc, .argv = argv, .at = 2 };
    struct err e = { 0 };

    if (!read_all(&r, &e))
        return show_error(c, &e);
    return show_help(c);
}

int cli_main(const struct cli_app *app, int argc, char **argv)
{
    OWNED(arena_fini) struct arena arena = { 0 };
    struct cli c = { .app = app, .arena = &arena };
    struct reader r = { .c = &c, .argc = argc, .argv = argv, .at = 1 };
    struct err e = { 0 };

    if (argc > 1 && strcmp(argv[1], "help") == 0)
        return show_topic(&c, argc, argv);
    bool ok = read_all(&r, &e);
    if (is_set(&c, &cli_help_flag) || (ok && !c.command && !is_set(&c, &cli_version_flag)))
        return show_help(&c);
    if (ok && is_set(&c, &cli_version_flag)) {
        version_print(app->name);
        return 0;
    }
    if (ok && !app->kingpin && has_children(app, c.command))
        return show_help(&c);
    if (!ok || !check_all(&c, &e))
        return show_error(&c, &e);
    int code = c.command->run(&c);
    fflush(stdout);
    return code;
}

/* ---- asking ---- */

static const struct cli_option *look_up(const struct cli *c, const char *name)
{
    const struct cli_option *o = find_flag(c, str_c(name), 0);

    for (size_t i = 0; !o && i < c->command->arg_count; i++)
        if (strcmp(c->command->args[i].name, name) == 0)
            o = &c->command->args[i];
    return o;
}

bool cli_has(const struct cli *c, const char *name)
{
    return look_up(c, name) != NULL;
}

static const struct cli_option *find_option(const struct cli *c, const char *name)
{
    const struct cli_option *o = look_up(c, name);

    assert(o && "asked for an option that is not in the table");
    return o;
}

struct str cli_text(const struct cli *c, const char *name)
{
    const struct cli_option *o = find_option(c, name);

    for (size_t i = c->values.n; i-- > 0;)
        if (c->values.v[i].option == o)
            return c->values.v[i].text;
    return str_c(o->value ? o->value : "");
}

bool cli_given(const struct cli *c, const char *name)
{
    return is_set(c, find_option(c, name));
}

bool cli_bool(const struct cli *c, const char *name)
{
    return str_eq_c(cli_text(c, name), "true");
}

int64_t cli_ns(const struct cli *c, const char *name)
{
    struct err unused = { 0 };
    int64_t ns = 0;

    (void)!cli_duration_parse(cli_text(c, name), &ns, &unused); // checked by check_value()
    return ns;
}

int64_t cli_int(const struct cli *c, const char *name)
{
    int64_t v = 0;

    (void)!str_to_i64(cli_text(c, name), &v); // checked by check_value()
    return v;
}

struct cli_list cli_all(const struct cli *c, const char *name)
{
    const struct cli_option *o = find_option(c, name);
    VEC(struct str) all = { 0 };

    for (size_t i = 0; i < c->values.n; i++)
        if (c->values.v[i].option == o)
            *vec_push_in(c->arena, &all) = c->values.v[i].text;
    if (!all.n && o->value)
        *vec_push_in(c->arena, &all) = str_c(o->value);
    return (struct cli_list){ all.v, all.n };
}
