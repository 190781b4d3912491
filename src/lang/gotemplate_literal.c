/*
 * gotemplate_literal.c - values of strings, runes and numerals. Source: Go's language specification.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "base/rune.h"
#include "lang/gotemplate_priv.h"

/* ---- strings ---- */

static struct str without_returns(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\r')
            buf_char(&b, s.p[i]);
    return arena_str(a, buf_view(&b));
}

bool gotemplate_unquote(struct arena *a, struct str quoted, struct str *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str s = str_sub(quoted, 1, quoted.n - 1);

    if (quoted.p[0] == '`') {
        *out = str_find_char(s, '\r') == STR_NPOS ? s : without_returns(a, s);
        return true;
    }
    if (str_find_char(s, '\\') == STR_NPOS) {
        *out = s;
        return true;
    }
    while (s.n) {
        uint32_t r = (unsigned char)s.p[0];
        bool byte = true, escaped = r == '\\';
        s = str_sub(s, 1, s.n);
        if (escaped && !rune_unescape(&s, '"', &r, &byte))
            return false;
        if (byte)
            buf_char(&b, (char)r);
        else
            buf_rune(&b, r);
    }
    *out = arena_str(a, buf_view(&b));
    return true;
}

static bool read_rune(struct arena *a, struct str text, struct gotemplate_number *out,
                      struct str *why)
{
    struct str s = str_sub(text, 1, text.n);
    uint32_t r = 0;
    bool byte;

    *why = STR("invalid syntax");
    if (s.p[0] == '\'')
        return false;
    if (s.p[0] == '\\') {
        s = str_sub(s, 1, s.n);
        if (!rune_unescape(&s, '\'', &r, &byte))
            return false;
    } else {
        s = str_sub(s, rune_decode(s, &r), s.n);
    }
    *why = arena_printf(a, "malformed character constant: %.*s", STRF(text));
    if (!str_eq(s, STR("'")))
        return false;
    *out = (struct gotemplate_number){
        .is_int = true, .is_uint = true, .is_float = true, .i = r, .u = r, .f = r
    };
    return true;
}

/* ---- numbers ---- */

static unsigned base_of(struct str *digits)
{
    if (digits->n < 2 || digits->p[0] != '0')
        return 10;
    char c = (char)(digits->p[1] | 32);
    unsigned base = c == 'x' ? 16 : c == 'o' || digits->p[1] == '_' ? 8 : c == 'b' ? 2 : 8;
    *digits = str_sub(*digits, c == 'x' || c == 'o' || c == 'b' ? 2 : 1, digits->n);
    return base;
}

static bool is_digit(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

// Underscores stand between digits or behind the prefix of the base.
static bool underscores_are_good(struct str s, bool prefix)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '_' &&
            !((i ? is_digit(s.p[i - 1]) : prefix) && i + 1 < s.n && is_digit(s.p[i + 1])))
            return false;
    return true;
}

static bool read_unsigned(struct str s, uint64_t *out)
{
    struct str digits = s;
    unsigned base = base_of(&digits);
    uint64_t v = 0;
    bool any = false;

    if (!digits.n || !underscores_are_good(digits, digits.n < s.n))
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        unsigned char c = (unsigned char)digits.p[i];
        unsigned d = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        if (c == '_')
            continue;
        if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            return false;
        any = true;
    }
    *out = v;
    return any;
}

static bool has_sign(struct str s)
{
    return s.n && (s.p[0] == '+' || s.p[0] == '-');
}

static bool read_signed(struct str s, int64_t *out)
{
    bool sign = has_sign(s), negative = sign && s.p[0] == '-';
    uint64_t v;

    if (!read_unsigned(str_sub(s, sign, s.n), &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool read_float(struct str s, double *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str body = str_sub(s, has_sign(s), s.n);

    bool hex = body.n > 2 && body.p[0] == '0' && (body.p[1] | 32) == 'x';
    if (!underscores_are_good(str_sub(body, hex ? 2 : 0, body.n), hex))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            buf_char(&b, s.p[i]);
    // Unlike there, what is out of range is no number.
    return num_parse_double(buf_view(&b), out) && !isinf(*out);
}

// Which integers a float is, too.
static void add_integers(struct gotemplate_number *n)
{
    if (!n->is_int && n->f >= -0x1p63 && n->f < 0x1p63 && n->f == trunc(n->f)) {
        n->is_int = true;
        n->i = (int64_t)n->f;
    }
    if (!n->is_uint && n->f >= 0 && n->f < 0x1p64 && n->f == trunc(n->f)) {
        n->is_uint = true;
        n->u = (uint64_t)n->f;
    }
}

static void simplify_complex(struct gotemplate_number *n)
{
    n->is_complex = true;
    n->is_float = n->imaginary == 0;
    if (n->is_float)
        add_integers(n);
}

static bool read_complex(struct str s, struct gotemplate_number *out, struct str *why)
{
    size_t split = 1;

    // The sign between the parts: not the first one, not one of an exponent.
    while (split < s.n &&
           !((s.p[split] == '+' || s.p[split] == '-') && !strchr("eEpP", s.p[split - 1])))
        split++;
    *why = STR("syntax error scanning complex number");
    if (!read_float(str_sub(s, 0, split), &out->f) ||
        !read_float(str_sub(s, split, s.n - 1), &out->imaginary))
        return false;
    simplify_complex(out);
    return true;
}

static bool contains_any(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr(set, s.p[i]))
            return true;
    return false;
}

static struct str quote_after(struct arena *a, const char *what, struct str text)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_str(&b, str_c(what));
    buf_quoted(&b, text);
    return arena_str(a, buf_view(&b));
}

static bool read_number(struct arena *a, struct str s, struct gotemplate_number *out,
                        struct str *why)
{
    if (s.p[s.n - 1] == 'i' && read_float(str_sub(s, 0, s.n - 1), &out->imaginary)) {
        simplify_complex(out);
        return true;
    }
    out->is_uint = read_unsigned(s, &out->u);
    out->is_int = read_signed(s, &out->i);
    if (out->is_int && !out->i)
        out->is_uint = true; // −0
    out->is_float = out->is_int || out->is_uint;
    if (out->is_float) {
        out->f = out->is_int ? (double)out->i : (double)out->u;
        return true;
    }
    *why = quote_after(a, "illegal number syntax: ", s);
    if (!read_float(s, &out->f))
        return false;
    *why = quote_after(a, "integer overflow: ", s);
    if (!contains_any(s, ".eEpP"))
        return false;
    out->is_float = true;
    add_integers(out);
    return true;
}

bool gotemplate_number(struct arena *a, const struct gotemplate_token *t,
                       struct gotemplate_number *out, struct str *why)
{
    *out = (struct gotemplate_number){ 0 };
    if (t->kind == TOKEN_RUNE)
        return read_rune(a, t->text, out, why);
    if (t->kind == TOKEN_COMPLEX)
        return read_complex(t->text, out, why);
    return read_number(a, t->text, out, why);
}
