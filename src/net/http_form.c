/*
 * http_form.c - headers, form values and URL escapes of a request (http.h).
 *
 * Source of the rules: Go's net/url (ParseQuery, QueryEscape) and net/http (Request.ParseForm),
 * which the clients of the programs that we replace have adapted to.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "base/vec.h"
#include "net/http_parser.h"

struct str http_header_get(const struct http_request *r, struct str name)
{
    return http_header_find(r->headers, r->header_count, name);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Length of the escape at s.p[i]: 3 when whole, 0 when malformed.
static size_t escape_at(struct str s, size_t i)
{
    bool whole = s.n - i >= 3 && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0;

    return whole ? 3 : 0;
}

// STR_NONE or the malformed escape with up to two bytes behind the '%'.
static struct str bad_escape(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%')
            continue;
        size_t n = escape_at(s, i);
        if (!n)
            return str_sub(s, i, i + 3);
        i += n - 1;
    }
    return STR_NONE;
}

struct str http_url_decode(struct arena *a, struct str s, bool plus_is_space)
{
    size_t n = 0;

    if (bad_escape(s).p)
        return STR_NONE;
    char *out = arena_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            out[n++] = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i] == '+' && plus_is_space ? ' ' : s.p[i];
        }
    }
    out[n] = '\0';
    return str_of(out, n);
}

void buf_url_encode(struct buf *b, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
            c == '_' || c == '.' || c == '~') {
            buf_char(b, (char)c);
        } else if (c == ' ') {
            buf_char(b, '+');
        } else {
            char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
            buf_bytes(b, escape, 3);
        }
    }
}

struct pairs {
    VEC(struct http_header) v;
};

// The first error is kept: later pairs are still read.
static bool parse_pair(struct arena *a, struct str pair, struct pairs *out, struct err *e)
{
    size_t eq = str_find_char(pair, '=');
    struct str key = str_sub(pair, 0, eq), value = STR(""), bad;

    if (eq != STR_NPOS)
        value = str_sub(pair, eq + 1, pair.n);
    if (str_find_char(pair, ';') != STR_NPOS)
        return err_set(e, ERR_INVALID, "invalid semicolon separator in query");
    bad = bad_escape(key);
    if (!bad.p)
        bad = bad_escape(value);
    if (bad.p)
        return err_set(e, ERR_INVALID, "invalid URL escape \"%.*s\"", STRF(bad));
    *vec_push_in(a, &out->v) = (struct http_header){ http_url_decode(a, key, true),
                                                     http_url_decode(a, value, true) };
    return true;
}

static bool parse_pairs(struct arena *a, struct str text, struct pairs *out, struct err *e)
{
    struct err later;
    bool ok = true;

    while (text.n) {
        struct str pair = str_cut(&text, '&');

        if (pair.n && !parse_pair(a, pair, out, ok ? e : &later))
            ok = false;
    }
    return ok;
}

static bool has_form_body(const struct http_request *r)
{
    struct str type = http_header_get(r, STR("Content-Type"));
    bool method = str_eq(r->method, STR("POST")) || str_eq(r->method, STR("PUT")) ||
                  str_eq(r->method, STR("PATCH"));

    return method &&
           str_eq_nocase(str_trim(str_cut(&type, ';')), STR("application/x-www-form-urlencoded"));
}

bool http_form_parse(struct arena *a, const struct http_request *r, struct http_form *out,
                     struct err *e)
{
    struct pairs pairs = { 0 };
    struct err later;
    bool ok = true;

    if (has_form_body(r))
        ok = parse_pairs(a, r->body, &pairs, e);
    if (!parse_pairs(a, r->query, &pairs, ok ? e : &later))
        ok = false;
    *out = (struct http_form){ pairs.v.v, pairs.v.n };
    return ok;
}

/* ---- multipart/form-data (RFC 7578) ---- */

// The value of a parameter in `form-data; name="x"`; p NULL: absent.
static struct str header_parameter(struct str header, struct str name)
{
    str_cut(&header, ';');
    while (header.n) {
        struct str value = str_trim(str_cut(&header, ';')), key = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        if (!str_eq_nocase(key, name))
            continue;
        bool quoted = value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"';
        return quoted ? str_sub(value, 1, value.n - 1) : value;
    }
    return STR_NONE;
}

// Reads the head of a part; *head begins at the part. The field's name; p NULL: a file, or malformed.
static struct str part_name(struct str head)
{
    struct str name = STR_NONE;

    while (head.n) {
        struct str value = str_cut(&head, '\n'), key = str_cut(&value, ':');
        if (!str_eq_nocase(str_trim(key), STR("Content-Disposition")))
            continue;
        if (header_parameter(value, STR("filename")).p)
            return STR_NONE;
        name = header_parameter(value, STR("name"));
    }
    return name;
}

void http_form_add_multipart(struct arena *a, const struct http_request *r, struct http_form *out)
{
    struct str type = http_header_get(r, STR("Content-Type")), media = type, body = r->body;
    struct str boundary = header_parameter(type, STR("boundary"));
    struct pairs pairs = { 0 };

    if (!str_eq_nocase(str_trim(str_cut(&media, ';')), STR("multipart/form-data")) || !boundary.n)
        return;
    struct str line = arena_printf(a, "\r\n--%.*s", STRF(boundary));
    if (!str_starts(body, str_sub(line, 2, line.n)))
        return;
    for (size_t i = 0; i < out->n; i++)
        *vec_push_in(a, &pairs.v) = out->v[i];
    for (body = str_sub(body, line.n - 2, body.n); str_starts(body, STR("\r\n"));) {
        size_t end = str_find(body, line);
        if (end == STR_NPOS)
            return;
        struct str part = str_sub(body, 0, end);
        size_t head = str_find(part, STR("\r\n\r\n"));
        if (head == STR_NPOS)
            return;
        struct str value = str_sub(part, head + 4, end), name = part_name(str_sub(part, 2, head));
        if (name.p)
            *vec_push_in(a, &pairs.v) = (struct http_header){ name, value };
        body = str_sub(body, end + line.n, body.n);
    }
    if (str_starts(body, STR("--")))
        *out = (struct http_form){ pairs.v.v, pairs.v.n };
}

struct str http_form_get(const struct http_form *f, struct str key)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->v[i].name, key))
            return f->v[i].value;
    return STR_NONE;
}
