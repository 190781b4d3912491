// flags.c - reading command lines.
// SPDX-License-Identifier: Apache-2.0
#include "app/flags.h"

#include "base/time.h"
#include "config/schema.h"

void flags_fini(struct flags *f)
{
    for (size_t i = 0; i < f->n; i++)
        vec_fini(&f->v[i].all);
    vec_fini(&f->args);
    arena_fini(&f->arena);
}

static struct flag_value *find(const struct flags *f, struct str name)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq_c(name, f->v[i].flag->name))
            return &f->v[i];
    return NULL;
}

static bool check_value(const struct flag *flag, struct str text, struct err *e)
{
    struct err inner = { 0 };
    int64_t i;
    uint64_t u;

    switch (flag->kind) {
    case FLAG_DURATION:
        return duration_parse(text, &i, &inner) ||
               err_set(e, ERR_INVALID, "--%s: %s", flag->name, inner.text);
    case FLAG_SIZE:
        return conf_size_parse(text, &u) ||
               err_set(e, ERR_INVALID, "--%s: expected a size such as 512MB, got \"%.*s\"",
                       flag->name, STRF(text));
    case FLAG_INT:
        return str_to_i64(text, &i) ||
               err_set(e, ERR_INVALID, "--%s: expected a number, got \"%.*s\"", flag->name,
                       STRF(text));
    default:
        return true;
    }
}

static bool set_value(struct flag_value *v, struct str text, struct err *e)
{
    if (!check_value(v->flag, text, e))
        return false;
    v->given = true;
    v->text = text;
    if (v->flag->kind == FLAG_LIST)
        *vec_push(&v->all) = text;
    return true;
}

static bool unknown(struct flags *f, struct str name, struct err *e)
{
    VEC(struct str) names = { 0 };

    for (size_t i = 0; i < f->n; i++)
        *vec_push_in(&f->arena, &names) = str_c(f->v[i].flag->name);
    struct str guess = conf_suggest(name, names.v, names.n);
    if (guess.n)
        return err_set(e, ERR_INVALID, "unknown long flag '--%.*s' (did you mean --%.*s?)",
                       STRF(name), STRF(guess));
    return err_set(e, ERR_INVALID, "unknown long flag '--%.*s'", STRF(name));
}

// One flag at argv[*i]; *i moves on when the value is the next word.
static bool read_flag(struct flags *f, int argc, char **argv, int *i, struct err *e)
{
    struct str word = str_c(argv[*i]);
    word = str_sub(word, str_starts(word, STR("--")) ? 2 : 1, word.n);
    struct str value = word, name = str_cut(&value, '=');
    bool has_value = value.p != NULL;
    struct flag_value *v = find(f, name);

    if (!v && str_starts(name, STR("no-"))) {
        v = find(f, str_sub(name, 3, name.n));
        if (v && v->flag->kind == FLAG_BOOL && !has_value)
            return set_value(v, STR("false"), e);
        v = NULL;
    }
    if (!v)
        return unknown(f, name, e);
    if (v->flag->kind == FLAG_BOOL)
        return set_value(v, has_value ? value : STR("true"), e);
    if (!has_value) {
        if (*i + 1 >= argc)
            return err_set(e, ERR_INVALID, "expected argument for flag '--%.*s'", STRF(name));
        value = str_c(argv[++*i]);
    }
    return set_value(v, value, e);
}

bool flags_parse(struct flags *f, const struct flag *table, size_t n, int argc, char **argv,
                 struct err *e)
{
    *f = (struct flags){ 0 };
    f->v = arena_array(&f->arena, n, struct flag_value);
    f->n = n;
    for (size_t i = 0; i < n; i++)
        f->v[i] = (struct flag_value){ .flag = &table[i], .text = str_c(table[i].value) };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            while (++i < argc)
                *vec_push(&f->args) = str_c(argv[i]);
        } else if (argv[i][0] != '-' || argv[i][1] == 0) {
            *vec_push(&f->args) = str_c(argv[i]);
        } else if (!read_flag(f, argc, argv, &i, e)) {
            return false;
        }
    }
    return true;
}

const struct flag_value *flags_get(const struct flags *f, const char *name)
{
    const struct flag_value *v = find(f, str_c(name));

    assert(v && "asked for a flag that is not in the table");
    return v;
}

struct str flags_text(const struct flags *f, const char *name)
{
    return flags_get(f, name)->text;
}

bool flags_bool(const struct flags *f, const char *name)
{
    return str_eq(flags_get(f, name)->text, STR("true"));
}

int64_t flags_ms(const struct flags *f, const char *name)
{
    struct err unused;
    int64_t ms = 0;

    (void)!duration_parse(flags_text(f, name), &ms, &unused); // checked by check_value()
    return ms;
}

int64_t flags_int(const struct flags *f, const char *name)
{
    int64_t v = 0;

    (void)!str_to_i64(flags_text(f, name), &v); // checked by check_value()
    return v;
}

uint64_t flags_size(const struct flags *f, const char *name)
{
    uint64_t v = 0;

    (void)!conf_size_parse(flags_text(f, name), &v); // checked by check_value()
    return v;
}

void flags_help(struct buf *b, const struct flag *table, size_t n)
{
    const char *group = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct flag *flag = &table[i];
        if (!flag->help || flag->note != FLAG_ACTS)
            continue;
        if (!group || strcmp(group, flag->group) != 0)
            buf_printf(b, "\n%s\n", flag->group);
        group = flag->group;
        size_t from = b->n;
        buf_printf(b, "  --%s", flag->name);
        if (flag->kind != FLAG_BOOL)
            buf_printf(b, "=%s", flag->value && flag->value[0] ? flag->value : "…");
        while (b->n - from < 44)
            buf_char(b, ' ');
        buf_printf(b, " %s\n", flag->help);
    }
}
