/*
 * tmpl_human.c - see the header. Source: prometheus/common, helpers/templates; Go's strconv errors.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_human.h"

#include <math.h>

#include "base/num.h"
#include "base/regex.h"
#include "base/time.h"
#include "template/tmpl_priv.h"

/* ---- numbers ---- */

bool tmpl_to_float(struct tmpl_call *c, const struct tmpl_value *v, double *out)
{
    const struct tmpl_type *t = v->type;

    if (t == &tmpl_float) {
        *out = v->f;
    } else if (t == &tmpl_int || t == &tmpl_int64) {
        *out = (double)v->i;
    } else if (t == &tmpl_uint || t == &tmpl_uint64) {
        *out = (double)v->u;
    } else if (t == &tmpl_duration) {
        *out = (double)(v->i / NS_SECOND) + (double)(v->i % NS_SECOND) / 1e9;
    } else if (t != &tmpl_string) {
        return tmpl_fail(c, "can't convert %s to float", t ? t->name : "<nil>");
    } else if (!num_parse_double(v->s, out)) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_quoted(&b, v->s);
        return tmpl_fail(c, "strconv.ParseFloat: parsing %.*s: invalid syntax", STRF(buf_view(&b)));
    }
    return true;
}

static bool is_special(double v)
{
    return isnan(v) || isinf(v);
}

// As %.4g there: with a sign before Inf and no locale.
static void put_4g(struct buf *b, double v)
{
    if (isnan(v))
        buf_lit(b, "NaN");
    else if (isinf(v))
        buf_str(b, v < 0 ? STR("-Inf") : STR("+Inf"));
    else
        buf_printf(b, "%.4g", v);
}

// Divides or multiplies until the number has a handy size; the prefix for that.
static const char *scale(double *v, double by, const char *const *prefixes)
{
    const char *prefix = "";

    for (size_t i = 0; i < 8; i++) {
        if (by > 1 ? fabs(*v) < by : fabs(*v) >= 1)
            break;
        prefix = prefixes[i];
        *v = by > 1 ? *v / by : *v * 1000;
    }
    return prefix;
}

static const char *const prefixes_large[] = { "k", "M", "G", "T", "P", "E", "Z", "Y" };
static const char *const prefixes_binary[] = { "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi" };
static const char *const prefixes_small[] = { "m", "u", "n", "p", "f", "a", "z", "y" };

TMPL_FN(tmpl_fn_humanize)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const char *prefix = "";
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    if (v != 0 && !is_special(v))
        prefix = fabs(v) >= 1 ? scale(&v, 1000, prefixes_large) : scale(&v, 0, prefixes_small);
    put_4g(&b, v);
    buf_str(&b, str_c(prefix));
    return tmpl_give_str(c, buf_view(&b), out);
}

TMPL_FN(tmpl_fn_humanize1024)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const char *prefix = "";
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    if (fabs(v) > 1 && !is_special(v))
        prefix = scale(&v, 1024, prefixes_binary);
    put_4g(&b, v);
    buf_str(&b, str_c(prefix));
    return tmpl_give_str(c, buf_view(&b), out);
}

static void put_long_duration(struct buf *b, double v)
{
    // What does not fit becomes the smallest number, as conversions do on that machine.
    int64_t s = v < 0x1p63 ? (int64_t)v : INT64_MIN;
    long long days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60, seconds = s % 60;

    if (days)
        buf_printf(b, "%lldd ", days);
    if (days || hours)
        buf_printf(b, "%lldh ", hours);
    if (days || hours || minutes) {
        buf_printf(b, "%lldm %llds", minutes, seconds);
    } else {
        put_4g(b, v);
        buf_char(b, 's');
    }
}

TMPL_FN(tmpl_fn_humanize_duration)
{
    OWNED(buf_fini) struct buf b = { 0 };
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    if (is_special(v)) {
        put_4g(&b, v);
    } else if (v == 0) {
        put_4g(&b, v);
        buf_char(&b, 's');
    } else if (fabs(v) >= 1) {
        if (v < 0)
            buf_char(&b, '-');
        put_long_duration(&b, fabs(v));
    } else {
        const char *prefix = scale(&v, 0, prefixes_small);
        put_4g(&b, v);
        buf_printf(&b, "%ss", prefix);
    }
    return tmpl_give_str(c, buf_view(&b), out);
}

TMPL_FN(tmpl_fn_humanize_percentage)
{
    OWNED(buf_fini) struct buf b = { 0 };
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    put_4g(&b, v * 100);
    buf_char(&b, '%');
    return tmpl_give_str(c, buf_view(&b), out);
}

bool tmpl_float_to_time(struct arena *a, double v, struct tmpl_instant *out, struct str *why)
{
    OWNED(buf_fini) struct buf b = { 0 };
    double ns = v * 1e9;

    *why = STR_NONE;
    if (is_special(v))
        return false;
    if (ns > 0x1p63 || ns < -0x1p63) {
        buf_double_g(&b, v);
        buf_lit(&b, " cannot be represented as a nanoseconds timestamp since it overflows int64");
        *why = arena_str(a, buf_view(&b));
        return false;
    }
    // Milliseconds are all that times of that system have.
    int64_t ms = (ns >= 0x1p63 ? INT64_MAX : (int64_t)ns) / 1000000;
    *out = (struct tmpl_instant){ .s = floor_div(ms, 1000) };
    out->ns = (int32_t)((ms - out->s * 1000) * 1000000);
    return true;
}

TMPL_FN(tmpl_fn_humanize_timestamp)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_instant t;
    struct str why;
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    if (tmpl_float_to_time(c->arena, v, &t, &why)) {
        struct tmpl_value time = { .type = &tmpl_time, .instant = &t };
        tmpl_print(&b, &time);
    } else if (why.p) {
        return tmpl_fail(c, "%.*s", STRF(why));
    } else {
        put_4g(&b, v);
    }
    return tmpl_give_str(c, buf_view(&b), out);
}

/* ---- text ---- */

TMPL_FN(tmpl_fn_to_upper)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    buf_upper(&b, arg[0].s);
    return tmpl_give_str(c, buf_view(&b), out);
}

TMPL_FN(tmpl_fn_to_lower)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    buf_lower(&b, arg[0].s);
    return tmpl_give_str(c, buf_view(&b), out);
}

static bool is_digit(uint32_t r)
{
    return r - '0' < 10;
}

static bool is_letter(uint32_t r)
{
    return r < 128 ? (r | 32) - 'a' < 26 : rune_upper(r) != r || rune_lower(r) != r || r >= 0xaa;
}

// Does a word go on over this mark, by Unicode's rules for words (UAX 29)?
static bool joins(uint32_t before, uint32_t mark, uint32_t after)
{
    bool letters = is_letter(before) && is_letter(after);
    bool digits = is_digit(before) && is_digit(after);

    switch (mark) {
    case '_':
        return true;
    case ':':
    case 0xb7:
        return letters;
    case '\'':
    case '.':
    case 0x2018:
    case 0x2019:
    case 0x2024:
        return letters || digits;
    case ',':
    case ';':
        return digits;
    default:
        return false;
    }
}

void tmpl_title(struct buf *b, struct str s, bool lower)
{
    bool inside = false; // of a word whose first letter is done
    uint32_t before = 0, r, after = 0;

    while (s.n) {
        size_t n = rune_decode(s, &r);
        s = str_sub(s, n, s.n);
        if (s.n)
            (void)rune_decode(s, &after);
        bool word = is_letter(r) || is_digit(r);
        if (!word && !joins(before, r, s.n ? after : 0))
            inside = false;
        if (word && !inside) {
            buf_rune(b, rune_upper(r));
            inside = is_letter(r);
        } else {
            buf_rune(b, lower ? rune_lower(r) : r);
        }
        before = r;
    }
}

TMPL_FN(tmpl_fn_title)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    tmpl_title(&b, arg[0].s, false);
    return tmpl_give_str(c, buf_view(&b), out);
}

TMPL_FN(tmpl_fn_title_lower)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    tmpl_title(&b, arg[0].s, true);
    return tmpl_give_str(c, buf_view(&b), out);
}

TMPL_FN(tmpl_fn_safe_html)
{
    (void)c, (void)n;
    *out = arg[0];
    out->type = &tmpl_html;
    return true;
}

TMPL_FN(tmpl_fn_query_escape)
{
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    tmpl_escape_query(&b, arg[0].s);
    return tmpl_give_str(c, buf_view(&b), out);
}

/* ---- regular expressions ---- */

TMPL_FN(tmpl_fn_match)
{
    OWNED(regex_free) struct regex *re = NULL;
    struct err e = { 0 };

    (void)n;
    if (!regex_new(&re, arg[0].s, 0, &e))
        return tmpl_fail(c, "%s", e.text);
    *out = tmpl_of_bool(regex_match(re, arg[1].s));
    return true;
}

// How long a replacement of everything can be at most: every place replaced, by the whole text.
static uint64_t replaced_max(struct str text, struct str repl)
{
    uint64_t dollars = 0;

    for (size_t i = 0; i < repl.n; i++)
        dollars += repl.p[i] == '$';
    return text.n + (text.n + 1) * (uint64_t)repl.n + dollars * text.n;
}

TMPL_FN(tmpl_fn_replace)
{
    OWNED(regex_free) struct regex *re = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    (void)n;
    if (!regex_new(&re, arg[0].s, 0, &e)) {
        bool ticks = str_find_char(arg[0].s, '`') == STR_NPOS;
        if (ticks)
            buf_printf(&b, "`%.*s`", STRF(arg[0].s));
        else
            buf_quoted(&b, arg[0].s);
        return tmpl_fail(c, "regexp: Compile(%.*s): %s", STRF(buf_view(&b)), e.text);
    }
    if (replaced_max(arg[2].s, arg[1].s) > c->x->memory_left)
        return tmpl_charge(c, UINT64_MAX); // says that it is too much
    regex_replace_all(re, arg[2].s, arg[1].s, &b);
    return tmpl_give_str(c, buf_view(&b), out);
}
