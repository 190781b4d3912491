// num.c - floats to and from text as Go writes and reads them.
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"

#include <math.h>

#include "base/bytes.h"

// num_shim.cc
size_t num_shim_scan(const char *p, size_t n, bool hex, double *out, int *range);
size_t num_shim_format(double v, char form, char *out, size_t room);

static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/*
 * Whether the digits of an out-of-range number are too big (else too small): the exponent decides,
 * and without one the count of digits before the point does.
 */
static bool overflows(const char *p, size_t n)
{
    size_t at = 0;

    while (at < n && p[at] != 'e' && p[at] != 'E' && p[at] != 'p' && p[at] != 'P')
        at++;
    if (at + 1 < n)
        return p[at + 1] != '-';
    for (at = 0; at < n && (p[at] == '-' || p[at] == '0'); at++)
        ;
    return at < n && p[at] != '.';
}

// Up to 15 digits, at most one point, no exponent: exact by one division. 0: not such a number.
static size_t scan_short(const char *p, size_t n, double *out)
{
    size_t at = 0, digits = 0, fraction = 0;
    uint64_t v = 0;
    bool negative = n && p[0] == '-', point = false;

    at = negative;
    for (; at < n; at++) {
        unsigned d = (unsigned)(unsigned char)p[at] - '0';
        if (d <= 9) {
            v = v * 10 + d;
            fraction += point;
            if (++digits > 15)
                return 0;
        } else if (p[at] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!digits || (at < n && ((p[at] | 32) == 'e' || (p[at] | 32) == 'x')))
        return 0;
    double d = (double)v / powers[fraction];
    *out = negative ? -d : d;
    return at;
}

size_t num_scan_double(const char *p, size_t n, double *out)
{
    size_t used = scan_short(p, n, out);
    size_t sign = 0;
    int range;
    double v;

    if (used)
        return used;
    if (n && p[0] == '+')
        sign = 1;
    if (n <= sign ||
        !((p[sign] >= '0' && p[sign] <= '9') || p[sign] == '.' || (p[sign] == '-' && !sign)))
        return 0;
    if (p[sign] == '-' && (n < 2 || !((p[1] >= '0' && p[1] <= '9') || p[1] == '.')))
        return 0; // no "-inf" here
    used = num_shim_scan(p + sign, n - sign, false, &v, &range);
    if (!used)
        return 0;
    if (range)
        v = copysign(overflows(p + sign, used) ? INFINITY : 0.0, p[0] == '-' ? -1.0 : 1.0);
    *out = v;
    return used + sign;
}

// A NaN has no sign in Go.
static bool parse_special(struct str s, bool has_sign, bool negative, double *out)
{
    if (str_eq_nocase(s, STR("inf")) || str_eq_nocase(s, STR("infinity")))
        *out = negative ? -INFINITY : INFINITY;
    else if (str_eq_nocase(s, STR("nan")) && !has_sign)
        *out = double_from_bits(UINT64_C(0x7ff8000000000001));
    else
        return false;
    return true;
}

// Hex floats need a p exponent, as in Go.
static bool parse_hex(struct str s, bool negative, double *out)
{
    int range;
    double v;

    if (str_find_char(s, 'p') == STR_NPOS && str_find_char(s, 'P') == STR_NPOS)
        return false;
    if (s.n < 3 || s.p[2] == '-' || num_shim_scan(s.p + 2, s.n - 2, true, &v, &range) != s.n - 2)
        return false;
    if (range)
        v = overflows(s.p + 2, s.n - 2) ? INFINITY : 0;
    *out = negative ? -v : v;
    return true;
}

bool num_parse_double(struct str s, double *out)
{
    double v;
    bool negative = s.n && s.p[0] == '-';
    struct str body = s.n && (s.p[0] == '-' || s.p[0] == '+') ? str_sub(s, 1, s.n) : s;

    if (body.n == 0 || body.p[0] == '-' || body.p[0] == '+')
        return false;
    if (body.n > 2 && body.p[0] == '0' && (body.p[1] | 32) == 'x')
        return parse_hex(body, negative, out);
    if (body.p[0] != '.' && (body.p[0] < '0' || body.p[0] > '9'))
        return parse_special(body, body.n < s.n, negative, out);
    if (num_scan_double(body.p, body.n, &v) != body.n)
        return false;
    *out = negative ? -v : v;
    return true;
}

static size_t put(char *out, const char *text)
{
    size_t n = strlen(text);

    memcpy(out, text, n);
    return n;
}

// NaN and infinities; 0: v is finite.
static size_t format_special(double v, char *out)
{
    if (isnan(v))
        return put(out, "NaN");
    if (isinf(v))
        return put(out, v > 0 ? "+Inf" : "-Inf");
    return 0;
}

size_t num_format_e(double v, char *out)
{
    size_t n = format_special(v, out);

    return n ? n : num_shim_format(v, 'e', out, NUM_TEXT_MAX);
}

/*
 * A whole number of 2^53 and more: the shortest digits, then zeros. The library's own plain form
 * writes all digits of the binary value here, most of which mean nothing.
 */
static size_t format_large(double v, char *out)
{
    char e[NUM_TEXT_MAX];
    size_t n = num_shim_format(v, 'e', e, sizeof e), at = 0, used = 0;
    int exponent = 0, digits = 0;
    size_t mark = n;

    for (size_t i = 0; i < n; i++)
        if (e[i] == 'e')
            mark = i;
    for (size_t i = mark + 2; i < n; i++) // the exponent is positive: "e+20"
        exponent = exponent * 10 + (e[i] - '0');
    if (e[0] == '-')
        out[used++] = e[at++];
    for (; at < mark; at++) {
        if (e[at] == '.')
            continue;
        out[used++] = e[at];
        digits++;
    }
    for (; digits <= exponent; digits++)
        out[used++] = '0';
    assert(digits == exponent + 1);
    return used;
}

size_t num_format_f(double v, char *out)
{
    size_t n = format_special(v, out);

    if (n)
        return n;
    return fabs(v) >= 0x1p53 ? format_large(v, out) : num_shim_format(v, 'f', out, NUM_TEXT_MAX);
}

// Small whole numbers, by far the most common values. 0: not such a one.
static size_t format_small(double v, char *out)
{
    char digits[16];
    size_t at = sizeof digits, n = 0;

    if (!(v > -1e9 && v < 1e9) || v != (double)(int64_t)v || (v == 0 && signbit(v)))
        return 0;
    uint64_t u = (uint64_t)(v < 0 ? -v : v);
    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        out[n++] = '-';
    memcpy(out + n, digits + at, sizeof digits - at);
    return n + sizeof digits - at;
}

/*
 * Exponent form when the decimal exponent is < low or >= high, else plain; shortest digits.
 */
static size_t format_between(double v, int low, int high, char *out)
{
    double a = fabs(v);
    size_t n = format_special(v, out);

    if (n)
        return n;
    if (a != 0 && (a < powers[0] / powers[-low] || a >= powers[high]))
        return num_format_e(v, out);
    return num_format_f(v, out);
}

size_t num_format_g(double v, char *out)
{
    size_t n = fabs(v) < 1e6 ? format_small(v, out) : 0;

    if (n)
        return n;
    // strconv decides by a precision of 6 when the digits are the shortest.
    return format_between(v, -4, 6, out);
}

size_t num_format_json(double v, char *out)
{
    size_t n = format_small(v, out);

    if (n)
        return n;
    n = format_between(v, -6, 21, out);
    // e-07 is written e-7
    if (n > 4 && out[n - 4] == 'e' && out[n - 3] == '-' && out[n - 2] == '0') {
        out[n - 2] = out[n - 1];
        n--;
    }
    return n;
}

void buf_double_g(struct buf *b, double v)
{
    b->n += num_format_g(v, buf_room(b, NUM_TEXT_MAX));
}

void buf_double_f(struct buf *b, double v)
{
    b->n += num_format_f(v, buf_room(b, NUM_TEXT_MAX));
}

void buf_double_json(struct buf *b, double v)
{
    b->n += num_format_json(v, buf_room(b, NUM_TEXT_MAX));
}
