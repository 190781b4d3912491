// otlp_name.c - see otlp_name.h.
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp_name.h"

#include "base/rune.h"
#include "base/vec.h"

struct unit_word {
    const char *unit, *word;
};

static const struct unit_word units[] = {
    { "d", "days" },
    { "h", "hours" },
    { "min", "minutes" },
    { "s", "seconds" },
    { "ms", "milliseconds" },
    { "us", "microseconds" },
    { "ns", "nanoseconds" },
    { "By", "bytes" },
    { "KiBy", "kibibytes" },
    { "MiBy", "mebibytes" },
    { "GiBy", "gibibytes" },
    { "TiBy", "tibibytes" },
    { "KBy", "kilobytes" },
    { "MBy", "megabytes" },
    { "GBy", "gigabytes" },
    { "TBy", "terabytes" },
    { "m", "meters" },
    { "V", "volts" },
    { "A", "amperes" },
    { "J", "joules" },
    { "W", "watts" },
    { "g", "grams" },
    { "Cel", "celsius" },
    { "Hz", "hertz" },
    { "1", "" },
    { "%", "percent" },
};

static const struct unit_word per_units[] = {
    { "s", "second" }, { "m", "minute" }, { "h", "hour" }, { "d", "day" },
    { "w", "week" },   { "mo", "month" }, { "y", "year" },
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c) // part of a word of a metric's name
{
    return is_letter_or_digit(c) || c == ':';
}

static bool only_underscores(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            return false;
    return true;
}

/* ---- units ---- */

static struct str word_of(const struct unit_word *table, size_t n, struct str unit)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(unit, table[i].unit))
            return str_c(table[i].word);
    return unit;
}

// Empty for an annotation such as {request}.
static struct str half(struct str s)
{
    s = str_trim(s);
    return str_find_char(s, '{') == STR_NPOS && str_find_char(s, '}') == STR_NPOS ? s : STR_NONE;
}

// "By/s" in its halves: "bytes", "per_second".
static void split_unit(struct arena *a, struct str unit, struct str *main, struct str *per)
{
    struct str rest = unit, first = half(str_cut(&rest, '/'));

    *main = first.n ? word_of(units, ARRAY_LEN(units), first) : STR_NONE;
    rest = half(rest);
    *per = STR_NONE;
    if (!rest.n)
        return;
    rest = word_of(per_units, ARRAY_LEN(per_units), rest);
    *per = arena_printf(a, "per_%.*s", STRF(rest));
}

// Other characters become '_', runs of it one, none at the start.
static struct str clean_unit(struct arena *a, struct str unit)
{
    char *p = arena_raw(a, unit.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < unit.n;) {
        uint32_t r;
        size_t width = rune_decode(str_sub(unit, i, unit.n), &r);

        if (is_word(unit.p[i]))
            p[n++] = unit.p[i];
        else if (n == 0 || p[n - 1] != '_')
            p[n++] = '_';
        i += width;
    }
    struct str s = str_of(p, n);
    return n && p[0] == '_' ? str_sub(s, 1, n) : s;
}

struct str otlp_unit_name(struct arena *a, struct str unit, bool utf8)
{
    struct str main, per, u;

    split_unit(a, unit, &main, &per);
    if (!utf8) {
        main = clean_unit(a, main);
        per = clean_unit(a, per);
    }
    if (main.n && per.n)
        u = arena_printf(a, "%.*s_%.*s", STRF(main), STRF(per));
    else
        u = main.n ? main : per;
    if (u.n && u.p[0] == '_')
        u = str_sub(u, 1, u.n);
    return u.n && u.p[u.n - 1] == '_' ? str_sub(u, 0, u.n - 1) : u;
}

/* ---- metrics: words joined by '_' ---- */

struct words {
    VEC(struct str) v;
};

static void split_words(struct arena *a, struct str name, struct words *w)
{
    for (size_t i = 0, end; i < name.n; i = end + 1) {
        for (end = i; end < name.n && is_word(name.p[end]); end++)
            continue;
        if (end > i)
            *vec_push_in(a, &w->v) = str_sub(name, i, end);
    }
}

static bool has_word(const struct words *w, struct str word)
{
    for (size_t i = 0; i < w->v.n; i++)
        if (str_eq(w->v.v[i], word))
            return true;
    return false;
}

// Moves the word to the end; it stands there once.
static void put_last(struct arena *a, struct words *w, struct str word)
{
    size_t n = 0;

    for (size_t i = 0; i < w->v.n; i++)
        if (!str_eq(w->v.v[i], word))
            w->v.v[n++] = w->v.v[i];
    w->v.n = n;
    *vec_push_in(a, &w->v) = word;
}

static struct str without_tail(struct str s, char c)
{
    return s.n && s.p[s.n - 1] == c ? str_sub(s, 0, s.n - 1) : s;
}

static void add_unit(struct arena *a, struct words *w, struct str unit)
{
    struct str main, per;

    split_unit(a, unit, &main, &per);
    main = clean_unit(a, main);
    per = clean_unit(a, per);
    if (has_word(w, main))
        main = STR_NONE;
    per = str_eq(per, STR("per_")) ? STR_NONE : without_tail(per, '_');
    if (has_word(w, per))
        per = STR_NONE;
    if (per.n)
        main = without_tail(main, '_');
    if (main.n)
        *vec_push_in(a, &w->v) = main;
    if (per.n)
        *vec_push_in(a, &w->v) = per;
}

static struct str join(struct arena *a, const struct words *w)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < w->v.n; i++) {
        if (i)
            buf_char(&b, '_');
        else if (is_digit(w->v.v[0].p[0]))
            buf_char(&b, '_');
        buf_str(&b, w->v.v[i]);
    }
    return arena_str(a, buf_view(&b));
}

static struct str with_suffixes(struct arena *a, struct str name, struct str unit,
                                enum otlp_name_kind kind)
{
    struct words w = { 0 };

    split_words(a, name, &w);
    add_unit(a, &w, unit);
    if (kind == OTLP_NAME_COUNTER)
        put_last(a, &w, STR("total"));
    if (kind == OTLP_NAME_GAUGE && str_eq(unit, STR("1")))
        put_last(a, &w, STR("ratio"));
    return join(a, &w);
}

// Runs of other characters become one '_', none at either end; underscores stay.
static struct str escaped(struct arena *a, struct str name)
{
    char *p = arena_raw(a, name.n + 2), *start = p + 1;
    bool gap = false;
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++) {
        if (!is_word(name.p[i]) && name.p[i] != '_') {
            gap = n > 0;
            continue;
        }
        if (gap)
            start[n++] = '_';
        gap = false;
        start[n++] = name.p[i];
    }
    if (n == 0 || !is_digit(start[0]))
        return str_of(start, n);
    p[0] = '_';
    return str_of(p, n + 1);
}

/* ---- metrics: UTF-8 ---- */

// Takes the suffix and the character before it away.
static struct str cut_suffix(struct str name, struct str suffix)
{
    return str_ends(name, suffix) && name.n > suffix.n + 1 ? str_sub(name, 0, name.n - suffix.n - 1)
                                                           : name;
}

static struct str utf8_with_suffixes(struct arena *a, struct str name, struct str unit,
                                     enum otlp_name_kind kind)
{
    OWNED(buf_fini) struct buf b = { 0 };
    bool ratio = kind == OTLP_NAME_GAUGE && str_eq(unit, STR("1"));
    struct str main, per;

    split_unit(a, unit, &main, &per);
    if (ratio)
        name = cut_suffix(name, STR("ratio"));
    if (kind == OTLP_NAME_COUNTER)
        name = cut_suffix(name, STR("total"));
    if (per.n)
        name = cut_suffix(name, per);
    buf_str(&b, name);
    if (main.n && !str_ends(name, main))
        buf_printf(&b, "_%.*s", STRF(main));
    if (per.n)
        buf_printf(&b, "_%.*s", STRF(per));
    if (kind == OTLP_NAME_COUNTER)
        buf_lit(&b, "_total");
    if (ratio)
        buf_lit(&b, "_ratio");
    return arena_str(a, buf_view(&b));
}

/* ---- names ---- */

static bool fail(struct err *e, const char *what, struct str name, const char *how, struct str got)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "normalization for %s ", what);
    buf_quoted(&b, name);
    buf_printf(&b, " resulted in %s", how);
    if (got.n) {
        buf_char(&b, ' ');
        buf_quoted(&b, got);
    }
    return err_set(e, ERR_INVALID, "%.*s", STRF(buf_view(&b)));
}

bool otlp_metric_name(const struct otlp_namer *n, struct arena *a, struct str name, struct str unit,
                      enum otlp_name_kind kind, struct str *out, struct err *e)
{
    struct str made = name;

    if (n->suffixes)
        made = n->utf8 ? utf8_with_suffixes(a, name, unit, kind)
                       : with_suffixes(a, name, unit, kind);
    else if (!n->utf8)
        made = escaped(a, name);
    if (!made.n)
        return fail(e, "metric", name, "empty name", STR_NONE);
    if (!n->utf8 && !str_eq(made, name) && only_underscores(made))
        return fail(e, "metric", name, "invalid name", made);
    *out = made;
    return true;
}

// Each other character becomes '_', or each run of them unless they are kept.
static struct str sanitize(struct arena *a, struct str name, bool keep)
{
    bool reserved = !keep && name.n >= 4 && str_starts(name, STR("__")) &&
                    str_ends(name, STR("__"));
    struct str in = reserved ? str_sub(name, 2, name.n - 2) : name;
    OWNED(buf_fini) struct buf b = { 0 };
    bool gap = false;

    if (reserved)
        buf_lit(&b, "__");
    for (size_t i = 0; i < in.n;) {
        uint32_t r;
        size_t width = rune_decode(str_sub(in, i, in.n), &r);

        if (is_letter_or_digit(in.p[i])) {
            buf_char(&b, in.p[i]);
            gap = false;
        } else if (keep || !gap) {
            buf_char(&b, '_');
            gap = true;
        }
        i += width;
    }
    if (reserved)
        buf_lit(&b, "__");
    return arena_str(a, buf_view(&b));
}

bool otlp_label_name(const struct otlp_namer *n, struct arena *a, struct str name, struct str *out,
                     struct err *e)
{
    struct str made = name;

    if (!name.n)
        return err_set(e, ERR_INVALID, "label name is empty");
    if (!n->utf8) {
        made = sanitize(a, name, n->keep_underscores);
        if (is_digit(made.p[0]))
            made = arena_printf(a, "key_%.*s", STRF(made));
        else if (n->key_prefix && made.p[0] == '_' && !str_starts(made, STR("__")))
            made = arena_printf(a, "key%.*s", STRF(made));
    }
    if (only_underscores(made))
        return fail(e, "label name", name, "invalid name", made);
    *out = made;
    return true;
}
