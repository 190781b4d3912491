/*
 * tmpl_format.c - printing values as Go's fmt does: %v and all other verbs, with flags.
 *
 * Source: the documentation of fmt, Go 1.26. Mistakes in a format are told in the output, as there.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "template/tmpl_priv.h"

enum { NUMBER_MAX = 1000000 }; // width and precision

struct printer {
    struct buf *b;
    size_t max; // bytes of b
    int64_t width, precision;
    bool has_width, has_precision;
    bool minus, plus, sharp, space, zero; // flags
    bool plus_v, sharp_v;                 // flags of %v
};

static size_t count_runes(struct str s)
{
    size_t n = 0;
    uint32_t r;

    for (; s.n; n++)
        s = str_sub(s, rune_decode(s, &r), s.n);
    return n;
}

static bool is_full(const struct printer *p)
{
    return p->b->n > p->max;
}

static void put_fill(struct printer *p, int64_t n, char c)
{
    if (n <= 0 || is_full(p))
        return;
    memset(buf_room(p->b, (size_t)n), c, (size_t)n);
    p->b->n += (size_t)n;
}

// The text in its width.
static void put_padded(struct printer *p, struct str s)
{
    int64_t more = p->has_width ? p->width - (int64_t)count_runes(s) : 0;

    if (!p->minus)
        put_fill(p, more, p->zero ? '0' : ' ');
    buf_str(p->b, s);
    if (p->minus)
        put_fill(p, more, ' ');
}

/* ---- text ---- */

static struct str cut_runes(const struct printer *p, struct str s)
{
    size_t at = 0;
    uint32_t r;

    if (!p->has_precision)
        return s;
    for (int64_t i = 0; i < p->precision && at < s.n; i++)
        at += rune_decode(str_sub(s, at, s.n), &r);
    return str_sub(s, 0, at);
}

// Quotes, and \u escapes of all that is not ASCII.
static void put_quoted_ascii(struct buf *b, struct str s)
{
    OWNED(buf_fini) struct buf q = { 0 };

    buf_quoted(&q, s);
    for (struct str rest = buf_view(&q); rest.n;) {
        uint32_t r;
        size_t n = rune_decode(rest, &r);
        if (r < 128)
            buf_char(b, (char)r);
        else
            buf_printf(b, r < 0x10000 ? "\\u%04x" : "\\U%08x", r);
        rest = str_sub(rest, n, rest.n);
    }
}

// Printable, without a back quote: may stand between back quotes.
static bool can_backquote(struct str s)
{
    while (s.n) {
        uint32_t r;
        size_t n = rune_decode(s, &r);
        if ((r < ' ' && r != '\t') || r == '`' || r == 0x7f || r == 0xfeff ||
            (r == RUNE_BAD && n == 1))
            return false;
        s = str_sub(s, n, s.n);
    }
    return true;
}

static void put_q(struct printer *p, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    s = cut_runes(p, s);
    if (p->sharp && can_backquote(s))
        buf_printf(&b, "`%.*s`", STRF(s));
    else if (p->plus)
        put_quoted_ascii(&b, s);
    else
        buf_quoted(&b, s);
    put_padded(p, buf_view(&b));
}

static void put_hex_text(struct printer *p, struct str s, bool upper)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const char *prefix = upper ? "0X" : "0x";

    if (p->has_precision)
        s = str_sub(s, 0, (size_t)p->precision);
    for (size_t i = 0; i < s.n; i++) {
        if (p->space && i)
            buf_char(&b, ' ');
        if (p->sharp && (p->space || !i))
            buf_str(&b, str_c(prefix));
        buf_printf(&b, upper ? "%02X" : "%02x", (unsigned char)s.p[i]);
    }
    put_padded(p, buf_view(&b));
}

static bool put_text(struct printer *p, struct str s, uint32_t verb)
{
    switch (verb) {
    case 'v':
        if (p->sharp_v) {
            put_q(p, s);
            return true;
        }
        // fall through
    case 's':
        put_padded(p, cut_runes(p, s));
        return true;
    case 'q':
        put_q(p, s);
        return true;
    case 'x':
    case 'X':
        put_hex_text(p, s, verb == 'X');
        return true;
    default:
        return false;
    }
}

/* ---- integers ---- */

static void put_digits(struct printer *p, uint64_t u, bool negative, unsigned base, uint32_t verb)
{
    const char *digits = verb == 'X' ? "0123456789ABCDEFX" : "0123456789abcdefx";
    char tail[80];
    size_t at = sizeof tail;
    int64_t wanted = 0;
    bool zero = p->zero;

    if (p->has_precision) {
        wanted = p->precision;
        if (!wanted && !u) {
            put_fill(p, p->has_width ? p->width : 0, ' ');
            return;
        }
    } else if (zero && !p->minus && p->has_width) {
        wanted = p->width - (negative || p->plus || p->space);
    }
    do
        tail[--at] = digits[u % base];
    while (u /= base);
    OWNED(buf_fini) struct buf b = { 0 };
    if (negative || p->plus || p->space)
        buf_char(&b, negative ? '-' : p->plus ? '+' : ' ');
    if (verb == 'O')
        buf_lit(&b, "0o");
    int64_t zeros = wanted - (int64_t)(sizeof tail - at);
    if (p->sharp && base == 2)
        buf_lit(&b, "0b");
    if (p->sharp && base == 16)
        buf_printf(&b, "0%c", digits[16]);
    if (p->sharp && base == 8 && tail[at] != '0' && zeros <= 0)
        buf_char(&b, '0');
    struct printer inner = { .b = &b, .max = p->max };
    put_fill(&inner, zeros, '0');
    buf_bytes(&b, tail + at, sizeof tail - at);
    p->zero = false;
    put_padded(p, buf_view(&b));
    p->zero = zero;
}

static void put_rune(struct printer *p, uint64_t u, bool quoted)
{
    OWNED(buf_fini) struct buf b = { 0 }, q = { 0 };
    uint32_t r = u > RUNE_MAX ? RUNE_BAD : (uint32_t)u;

    buf_rune(&b, r);
    if (quoted && r == '\'') {
        buf_lit(&q, "'\\''");
    } else if (quoted && r == '"') {
        buf_lit(&q, "'\"'");
    } else if (quoted) {
        if (p->plus)
            put_quoted_ascii(&q, buf_view(&b));
        else
            buf_quoted(&q, buf_view(&b));
        q.p[0] = q.p[q.n - 1] = '\'';
    }
    put_padded(p, quoted ? buf_view(&q) : buf_view(&b));
}

static void put_unicode(struct printer *p, uint64_t u)
{
    OWNED(buf_fini) struct buf b = { 0 };
    bool zero = p->zero;

    buf_printf(&b, "U+%0*llX", p->has_precision && p->precision > 4 ? (int)p->precision : 4,
               (unsigned long long)u);
    if (p->sharp && u <= RUNE_MAX && rune_is_print((uint32_t)u)) {
        buf_lit(&b, " '");
        buf_rune(&b, (uint32_t)u);
        buf_char(&b, '\'');
    }
    p->zero = false;
    put_padded(p, buf_view(&b));
    p->zero = zero;
}

static bool put_integer(struct printer *p, uint64_t u, bool negative, bool is_signed, uint32_t verb)
{
    uint64_t magnitude = negative ? 0 - u : u;

    switch (verb) {
    case 'v':
        if (p->sharp_v && !is_signed) {
            bool sharp = p->sharp;
            p->sharp = true;
            put_digits(p, magnitude, negative, 16, 'x');
            p->sharp = sharp;
            return true;
        }
        // fall through
    case 'd':
        put_digits(p, magnitude, negative, 10, verb);
        return true;
    case 'b':
        put_digits(p, magnitude, negative, 2, verb);
        return true;
    case 'o':
    case 'O':
        put_digits(p, magnitude, negative, 8, verb);
        return true;
    case 'x':
    case 'X':
        put_digits(p, magnitude, negative, 16, verb);
        return true;
    case 'c':
    case 'q':
        put_rune(p, u, verb == 'q');
        return true;
    case 'U':
        put_unicode(p, u);
        return true;
    default:
        return false;
    }
}

/* ---- floats ---- */

// Two digits at least in the exponent of a hexadecimal float.
static void put_hex_float(struct buf *b, double v, int64_t precision, bool upper)
{
    OWNED(buf_fini) struct buf c = { 0 };

    if (precision < 0)
        buf_printf(&c, upper ? "%A" : "%a", v);
    else
        buf_printf(&c, upper ? "%.*A" : "%.*a", (int)precision, v);
    size_t at = str_rfind_char(buf_view(&c), upper ? 'P' : 'p');
    buf_bytes(b, c.p, MIN(at + 2, c.n));
    if (c.n - at == 3)
        buf_char(b, '0');
    buf_bytes(b, c.p + at + 2, c.n - at - 2);
}

// The number with a sign, always.
static void float_text(const struct printer *p, struct buf *b, double v, uint32_t verb,
                       int64_t precision)
{
    char text[NUM_TEXT_MAX], format[] = "%.*f";

    if (!signbit(v) || isnan(v))
        buf_char(b, '+');
    if (isnan(v) || isinf(v)) {
        buf_str(b, isnan(v) ? STR("NaN") : v < 0 ? STR("-Inf") : STR("Inf"));
    } else if (verb == 'x' || verb == 'X') {
        put_hex_float(b, v, precision, verb == 'X');
    } else if (precision < 0) {
        size_t n = verb == 'e' || verb == 'E'   ? num_format_e(v, text)
                   : verb == 'g' || verb == 'G' ? num_format_g(v, text)
                                                : num_format_f(v, text);
        for (size_t i = 0; i < n && (verb == 'G' || verb == 'E'); i++)
            text[i] = text[i] == 'e' ? 'E' : text[i];
        buf_bytes(b, text, n);
    } else if (p->sharp) {
        char sharp[] = "%#.*f";
        sharp[4] = (char)verb;
        buf_printf(b, sharp, (int)precision, v);
    } else {
        format[3] = (char)verb;
        buf_printf(b, format, (int)precision, v);
    }
}

static void put_float_text(struct printer *p, double v, uint32_t verb, int64_t precision)
{
    OWNED(buf_fini) struct buf b = { 0 };
    bool zero = p->zero;

    float_text(p, &b, v, verb, p->has_precision ? p->precision : precision);
    if (p->space && b.p[0] == '+' && !p->plus)
        b.p[0] = ' ';
    struct str s = buf_view(&b);
    if (b.p[1] == 'I' || b.p[1] == 'N') {
        if (b.p[1] == 'N' && !p->space && !p->plus)
            s = str_sub(s, 1, s.n);
        p->zero = false;
        put_padded(p, s);
    } else if (p->plus || b.p[0] != '+') {
        if (zero && !p->minus && p->has_width && p->width > (int64_t)s.n) {
            buf_char(p->b, s.p[0]);
            put_fill(p, p->width - (int64_t)s.n, '0');
            buf_str(p->b, str_sub(s, 1, s.n));
        } else {
            put_padded(p, s);
        }
    } else {
        put_padded(p, str_sub(s, 1, s.n));
    }
    p->zero = zero;
}

static bool put_float(struct printer *p, double v, uint32_t verb)
{
    switch (verb) {
    case 'v':
        put_float_text(p, v, 'g', -1);
        return true;
    case 'g':
    case 'G':
    case 'x':
    case 'X':
        put_float_text(p, v, verb, -1);
        return true;
    case 'e':
    case 'E':
    case 'f':
        put_float_text(p, v, verb, 6);
        return true;
    case 'F':
        put_float_text(p, v, 'f', 6);
        return true;
    default:
        return false;
    }
}

static bool put_complex(struct printer *p, const struct tmpl_value *v, uint32_t verb)
{
    bool plus = p->plus;

    if (!verb || verb > 127 || !strchr("vbgGxXfFeE", (int)verb))
        return false;
    buf_char(p->b, '(');
    (void)put_float(p, v->c.re, verb);
    p->plus = true;
    (void)put_float(p, v->c.im, verb);
    buf_lit(p->b, "i)");
    p->plus = plus;
    return true;
}

/* ---- containers ---- */

static void put_value(struct printer *p, const struct tmpl_value *v, uint32_t verb, unsigned depth);

static void put_bad_verb(struct printer *p, const struct tmpl_value *v, uint32_t verb)
{
    buf_lit(p->b, "%!");
    buf_rune(p->b, verb);
    buf_char(p->b, '(');
    if (v->type) {
        buf_printf(p->b, "%s=", v->type->name);
        put_value(p, v, 'v', 0);
    } else {
        buf_lit(p->b, "<nil>");
    }
    buf_char(p->b, ')');
}

static void put_list(struct printer *p, const struct tmpl_value *v, uint32_t verb, unsigned depth)
{
    if (p->sharp_v && !v->list.v) {
        buf_printf(p->b, "%s(nil)", v->type->name);
        return;
    }
    if (p->sharp_v)
        buf_str(p->b, str_c(v->type->name));
    buf_char(p->b, p->sharp_v ? '{' : '[');
    for (size_t i = 0; i < v->list.n && !is_full(p); i++) {
        if (i)
            buf_str(p->b, p->sharp_v ? STR(", ") : STR(" "));
        put_value(p, &v->list.v[i], verb, depth + 1);
    }
    buf_char(p->b, p->sharp_v ? '}' : ']');
}

static void put_map(struct printer *p, const struct tmpl_value *v, uint32_t verb, unsigned depth)
{
    if (p->sharp_v && !v->map.v) {
        buf_printf(p->b, "%s(nil)", v->type->name);
        return;
    }
    buf_str(p->b, p->sharp_v ? str_c(v->type->name) : STR("map"));
    buf_char(p->b, p->sharp_v ? '{' : '[');
    for (size_t i = 0; i < v->map.n && !is_full(p); i++) {
        struct tmpl_value key = tmpl_of_str(v->map.v[i].key);
        if (i)
            buf_str(p->b, p->sharp_v ? STR(", ") : STR(" "));
        put_value(p, &key, verb, depth + 1);
        buf_char(p->b, ':');
        put_value(p, &v->map.v[i].value, verb, depth + 1);
    }
    buf_char(p->b, p->sharp_v ? '}' : ']');
}

static void put_struct(struct printer *p, const struct tmpl_value *v, uint32_t verb, unsigned depth)
{
    if (p->sharp_v)
        buf_str(p->b, str_c(v->type->name));
    buf_char(p->b, '{');
    for (size_t i = 0; i < v->type->field_count && !is_full(p); i++) {
        if (i)
            buf_str(p->b, p->sharp_v ? STR(", ") : STR(" "));
        if (p->plus_v || p->sharp_v)
            buf_printf(p->b, "%s:", v->type->field[i].name);
        put_value(p, &v->field[i], verb, depth + 1);
    }
    buf_char(p->b, '}');
}

// Addresses say nothing to a reader: what is pointed to is printed also inside of containers.
static void put_pointer(struct printer *p, const struct tmpl_value *v, uint32_t verb,
                        unsigned depth)
{
    buf_char(p->b, '&');
    put_value(p, v->target, verb, depth + 1);
}

// The String() of a value or of what it points to.
static bool put_stringer(struct printer *p, const struct tmpl_value *v, uint32_t verb)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_value to = tmpl_follow(*v);

    if (!to.type->print || p->sharp_v ||
        !(verb == 'v' || verb == 's' || verb == 'q' || verb == 'x' || verb == 'X'))
        return false;
    to.type->print(&b, &to);
    return put_text(p, buf_view(&b), verb);
}

static bool put_basic(struct printer *p, const struct tmpl_value *v, uint32_t verb)
{
    switch (v->type->kind) {
    case TMPL_BOOL:
        if (verb != 't' && verb != 'v')
            return false;
        put_padded(p, v->b ? STR("true") : STR("false"));
        return true;
    case TMPL_INT:
        return put_integer(p, (uint64_t)v->i, v->i < 0, true, verb);
    case TMPL_UINT:
        return put_integer(p, v->u, false, false, verb);
    case TMPL_FLOAT:
        return put_float(p, v->f, verb);
    case TMPL_COMPLEX:
        return put_complex(p, v, verb);
    case TMPL_STRING:
        return put_text(p, v->s, verb);
    default:
        return false;
    }
}

static void put_value(struct printer *p, const struct tmpl_value *v, uint32_t verb, unsigned depth)
{
    if (!v->type && depth) {
        buf_str(p->b, p->sharp_v ? STR("interface {}(nil)") : STR("<nil>"));
    } else if (!v->type) {
        if (verb == 'T' || verb == 'v')
            put_padded(p, STR("<nil>"));
        else
            put_bad_verb(p, v, verb);
    } else if (verb == 'T') {
        put_padded(p, str_c(v->type->name));
    } else if (depth > TMPL_DEPTH_MAX) {
        buf_lit(p->b, "...");
    } else if (v->type->print && put_stringer(p, v, verb)) {
        return;
    } else if (v->type->kind == TMPL_POINTER) {
        if (!put_stringer(p, v, verb))
            put_pointer(p, v, verb, depth);
    } else if (v->type->kind == TMPL_LIST) {
        put_list(p, v, verb, depth);
    } else if (v->type->kind == TMPL_MAP) {
        put_map(p, v, verb, depth);
    } else if (v->type->kind == TMPL_STRUCT) {
        put_struct(p, v, verb, depth);
    } else if (!put_basic(p, v, verb)) {
        put_bad_verb(p, v, verb);
    }
}

void tmpl_print(struct buf *b, const struct tmpl_value *v)
{
    struct printer p = { .b = b, .max = SIZE_MAX };

    put_value(&p, v, 'v', 0);
}

/* ---- formats ---- */

struct format {
    struct str text;
    size_t at;
    const struct tmpl_value *arg;
    size_t arg_count, next;
    bool reordered, good, after_index;
};

static int format_peek(const struct format *f)
{
    return f->at < f->text.n ? (unsigned char)f->text.p[f->at] : -1;
}

// Digits; what is too large ends the format.
static bool read_digits(struct format *f, int64_t *out)
{
    size_t from = f->at;
    int64_t v = 0;

    for (int c; (c = format_peek(f)) >= '0' && c <= '9'; f->at++) {
        if (v > NUMBER_MAX) {
            f->at = f->text.n;
            return false;
        }
        v = v * 10 + c - '0';
    }
    *out = v;
    return f->at > from;
}

// [n]: which argument comes next.
static void read_index(struct format *f)
{
    struct str rest = str_sub(f->text, f->at, f->text.n);
    size_t end;
    int64_t n = 0;

    if (format_peek(f) != '[')
        return;
    f->reordered = true;
    end = rest.n < 3 ? STR_NPOS : str_find_char(rest, ']');
    if (end == STR_NPOS) {
        f->good = false;
        f->at++;
        return;
    }
    size_t from = f->at++;
    bool ok = read_digits(f, &n) && f->at == from + end && n >= 1 && n <= (int64_t)f->arg_count;
    f->at = from + end + 1;
    if (ok) {
        f->next = (size_t)n - 1;
        f->after_index = true;
    } else {
        f->good = false;
    }
}

// The value of a *.
static bool take_star(struct format *f, int64_t *out)
{
    const struct tmpl_value *v = f->next < f->arg_count ? &f->arg[f->next] : NULL;

    f->after_index = false;
    if (!v)
        return false;
    f->next++;
    if (!v->type || (v->type->kind != TMPL_INT && v->type->kind != TMPL_UINT) ||
        v->i > NUMBER_MAX || v->i < -NUMBER_MAX)
        return false;
    *out = v->i;
    return true;
}

static void read_flags(struct format *f, struct printer *p)
{
    for (;; f->at++)
        switch (format_peek(f)) {
        case '#':
            p->sharp = true;
            break;
        case '0':
            p->zero = true;
            break;
        case '+':
            p->plus = true;
            break;
        case '-':
            p->minus = true;
            break;
        case ' ':
            p->space = true;
            break;
        default:
            return;
        }
}

static void read_width(struct format *f, struct printer *p)
{
    read_index(f);
    if (format_peek(f) == '*') {
        f->at++;
        p->has_width = take_star(f, &p->width);
        if (!p->has_width)
            buf_lit(p->b, "%!(BADWIDTH)");
        if (p->width < 0) {
            p->width = -p->width;
            p->minus = true;
            p->zero = false;
        }
    } else {
        p->has_width = read_digits(f, &p->width);
        if (f->after_index && p->has_width)
            f->good = false;
    }
}

static void read_precision(struct format *f, struct printer *p)
{
    if (format_peek(f) != '.' || f->at + 1 > f->text.n)
        return;
    f->at++;
    if (f->after_index)
        f->good = false;
    f->after_index = false;
    read_index(f);
    if (format_peek(f) == '*') {
        f->at++;
        p->has_precision = take_star(f, &p->precision);
        if (p->precision < 0)
            p->precision = 0, p->has_precision = false;
        if (!p->has_precision)
            buf_lit(p->b, "%!(BADPREC)");
    } else if (!read_digits(f, &p->precision)) {
        p->precision = 0;
        p->has_precision = true;
    } else {
        p->has_precision = true;
    }
}

static void put_verb(struct format *f, struct printer *p, uint32_t verb)
{
    if (verb == '%') {
        buf_char(p->b, '%');
        return;
    }
    if (!f->good || f->next >= f->arg_count) {
        buf_lit(p->b, "%!");
        buf_rune(p->b, verb);
        buf_str(p->b, f->good ? STR("(MISSING)") : STR("(BADINDEX)"));
        return;
    }
    if (verb == 'v') {
        p->sharp_v = p->sharp;
        p->plus_v = p->plus;
        p->sharp = p->plus = false;
    }
    put_value(p, &f->arg[f->next++], verb, 0);
}

// One directive behind its %.
static void put_directive(struct format *f, struct buf *b, size_t max)
{
    struct printer p = { .b = b, .max = max };
    uint32_t verb;

    f->good = true;
    f->after_index = false;
    read_flags(f, &p);
    read_width(f, &p);
    read_precision(f, &p);
    if (!f->after_index)
        read_index(f);
    if (f->at >= f->text.n) {
        buf_lit(b, "%!(NOVERB)");
        return;
    }
    f->at += rune_decode(str_sub(f->text, f->at, f->text.n), &verb);
    put_verb(f, &p, verb);
}

static void put_extra(const struct format *f, struct buf *b, size_t max)
{
    struct printer p = { .b = b, .max = max };

    if (f->reordered || f->next >= f->arg_count)
        return;
    buf_lit(b, "%!(EXTRA ");
    for (size_t i = f->next; i < f->arg_count && b->n <= max; i++) {
        if (i > f->next)
            buf_lit(b, ", ");
        if (f->arg[i].type)
            buf_printf(b, "%s=", f->arg[i].type->name);
        put_value(&p, &f->arg[i], 'v', 0);
    }
    buf_char(b, ')');
}

bool tmpl_sprintf(struct buf *b, size_t max, struct str format, const struct tmpl_value *arg,
                  size_t n)
{
    struct format f = { .text = format, .arg = arg, .arg_count = n };

    while (f.at < format.n && b->n <= max) {
        size_t percent = str_find_char(str_sub(format, f.at, format.n), '%');
        size_t end = percent == STR_NPOS ? format.n : f.at + percent;
        buf_str(b, str_sub(format, f.at, end));
        f.at = end;
        if (percent == STR_NPOS)
            break;
        f.at++;
        put_directive(&f, b, max);
    }
    put_extra(&f, b, max);
    return b->n <= max;
}

bool tmpl_sprint(struct buf *b, size_t max, const struct tmpl_value *arg, size_t n, bool line)
{
    struct printer p = { .b = b, .max = max };

    for (size_t i = 0; i < n && b->n <= max; i++) {
        bool text = arg[i].type && arg[i].type->kind == TMPL_STRING;
        bool before = i && arg[i - 1].type && arg[i - 1].type->kind == TMPL_STRING;
        if (i && (line || (!text && !before)))
            buf_char(b, ' ');
        put_value(&p, &arg[i], 'v', 0);
    }
    if (line)
        buf_char(b, '\n');
    return b->n <= max;
}
