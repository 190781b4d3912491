/*
 * http_parser.c - see http_parser.h. Source: RFC 9112 (syntax, framing), RFC 9110 §5 (fields).
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http_parser.h"

#include <string.h>

#include "base/vec.h"

/* ---- characters ---- */

enum { CH_TOKEN = 1, CH_VALUE = 2, CH_TARGET = 4 };

// clang-format off
#define ROW_CTL 0, 0, 0, 0, 0, 0, 0, 0
#define ROW_HIGH 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6
// tchar of RFC 9110 §5.6.2; field-vchar with SP and HTAB; visible bytes of a request target.
static const uint8_t kinds[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, // HTAB
    ROW_CTL, ROW_CTL,
    2, 7, 6, 7, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 6, // SP ! " # $ % & ' ( ) * + , - . /
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, // 0-9 : ; < = > ?
    6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // @ A-O
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 7, 7, // P-Z [ \ ] ^ _
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // ` a-o
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 7, 6, 7, 0, // p-z { | } ~ DEL
    ROW_HIGH, ROW_HIGH, ROW_HIGH, ROW_HIGH, ROW_HIGH, ROW_HIGH, ROW_HIGH, ROW_HIGH,
};
// clang-format on

static inline bool is(uint8_t kind, char c)
{
    return kinds[(unsigned char)c] & kind;
}

static bool all(uint8_t kind, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is(kind, s.p[i]))
            return false;
    return true;
}

bool http_is_token(struct str s)
{
    return s.n && all(CH_TOKEN, s);
}

bool http_is_field_value(struct str s)
{
    return all(CH_VALUE, s);
}

static struct str trim_blanks(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool http_token_listed(struct str list, struct str token)
{
    while (list.n)
        if (str_eq_nocase(trim_blanks(str_cut(&list, ',')), token))
            return true;
    return false;
}

struct str http_header_find(const struct http_header *h, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(h[i].name, name))
            return h[i].value;
    return STR_NONE;
}

/* ---- finding the end of a head ---- */

static enum http_parse refuse(int *status, int code, struct err *e, const char *text)
{
    *status = code;
    err_set(e, code == 431 ? ERR_LIMIT : ERR_INVALID, "%s", text);
    return HTTP_PARSE_BAD;
}

// Line limits, asked before the line's own form so that the answer does not depend on the split.
static bool too_long(const struct http_head_scan *s, size_t end)
{
    return end > HTTP_HEAD_MAX || (!s->started && end - s->line > HTTP_LINE_MAX);
}

static bool first_byte_is_odd(const struct http_head_scan *s, struct str in)
{
    if (s->started || s->line >= in.n || s->response)
        return false;
    return !is(CH_TOKEN, in.p[s->line]) && in.p[s->line] != '\r' && in.p[s->line] != '\n';
}

enum http_parse http_head_scan(struct http_head_scan *s, struct str in, size_t *end, int *status,
                               struct err *e)
{
    for (;;) {
        const char *lf = s->at < in.n ? memchr(in.p + s->at, '\n', in.n - s->at) : NULL;
        size_t next = lf ? (size_t)(lf - in.p) + 1 : in.n;

        if (first_byte_is_odd(s, in))
            return refuse(status, 400, e, "malformed request line");
        if (too_long(s, lf ? next : in.n + 1))
            return refuse(status, 431, e, "request header fields too large");
        s->at = (uint32_t)next;
        if (!lf)
            return HTTP_PARSE_MORE;
        size_t line_n = next - 1 - s->line;
        bool crlf = line_n && in.p[next - 2] == '\r';
        if (!crlf && !s->lenient)
            return refuse(status, 400, e, "bare LF");
        bool empty = line_n == crlf;
        s->line = (uint32_t)next;
        if (empty && s->started) {
            *end = next;
            return HTTP_PARSE_DONE;
        }
        if (!empty)
            s->started = true;
        else if (s->response || next > 2 * HTTP_EMPTY_LINES_MAX)
            return refuse(status, 400, e, "empty line where a message should start");
        else
            s->start = (uint32_t)next;
    }
}

/* ---- parsing a head ---- */

struct head_parse {
    struct arena *arena;
    struct str rest;
    struct http_head *out;
    VEC(struct http_header) headers;
    int status;
    bool lenient, response;
    unsigned host_count, length_count, coding_count;
};

static bool bad(struct head_parse *h, struct err *e, int status, const char *text)
{
    h->status = status;
    return err_set(e,
                   status == 431   ? ERR_LIMIT
                   : status >= 500 ? ERR_UNSUPPORTED
                                   : ERR_INVALID,
                   "%s", text);
}

static struct str next_line(struct head_parse *h)
{
    struct str line = str_cut(&h->rest, '\n');

    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    else
        h->out->odd = true;
    return line;
}

static bool parse_version(struct head_parse *h, struct str v, struct err *e)
{
    bool digits = v.n == 8 && str_starts(v, STR("HTTP/")) && v.p[6] == '.' && v.p[5] >= '0' &&
                  v.p[5] <= '9' && v.p[7] >= '0' && v.p[7] <= '9';

    if (!digits)
        return bad(h, e, 400, "malformed HTTP version");
    if (v.p[5] != '1')
        return bad(h, e, 505, "unsupported protocol version");
    h->out->minor = v.p[7] == '0' ? 0 : 1;
    h->out->keep_alive = h->out->minor == 1;
    return true;
}

static bool target_form_ok(struct str method, struct str target)
{
    if (target.n == 0 || !all(CH_TARGET, target))
        return false;
    if (target.p[0] == '/')
        return true;
    if (str_eq(target, STR("*")))
        return str_eq(method, STR("OPTIONS"));
    if (str_eq(method, STR("CONNECT")))
        return true;
    return str_eq_nocase(str_sub(target, 0, 7), STR("http://")) ||
           str_eq_nocase(str_sub(target, 0, 8), STR("https://"));
}

static bool parse_request_line(struct head_parse *h, struct err *e)
{
    struct str line = next_line(h), method = str_cut(&line, ' '), target = str_cut(&line, ' ');

    if (!line.p || !http_is_token(method) || !target_form_ok(method, target))
        return bad(h, e, 400, "malformed request line");
    h->out->method = method;
    h->out->target = target;
    return parse_version(h, line, e);
}

static bool parse_status_line(struct head_parse *h, struct err *e)
{
    struct str line = next_line(h), all_of_it = line, version = str_cut(&line, ' '),
               code = str_cut(&line, ' ');
    uint64_t status;

    if (!str_starts(version, STR("HTTP/")))
        return err_set(e, ERR_INVALID, "malformed HTTP response \"%.*s\"",
                       STRF(str_sub(all_of_it, 0, 80)));
    if (code.n != 3 || !str_to_u64(code, &status) || status < 100)
        return err_set(e, ERR_INVALID, "malformed HTTP status code \"%.*s\"",
                       STRF(str_sub(code, 0, 20)));
    h->out->status = (int)status;
    h->out->reason = line;
    if (!http_is_field_value(line))
        return bad(h, e, 400, "malformed HTTP status line");
    return parse_version(h, version, e);
}

static bool take_length(struct head_parse *h, struct str v, struct err *e)
{
    uint64_t n = 0;

    if (v.n == 0 || v.n > 18)
        return bad(h, e, 400, "bad Content-Length");
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return bad(h, e, 400, "bad Content-Length");
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    if (h->length_count++ && !(h->lenient && n == h->out->length))
        return bad(h, e, 400, "too many Content-Length headers");
    h->out->odd |= h->length_count > 1;
    h->out->has_length = true;
    h->out->length = n;
    return true;
}

static bool take_connection(struct http_head *out, struct str v)
{
    if (http_token_listed(v, STR("close")))
        out->keep_alive = false;
    else if (out->minor == 0 && http_token_listed(v, STR("keep-alive")))
        out->keep_alive = true;
    return true;
}

static bool take_coding(struct head_parse *h, struct str v, struct err *e)
{
    if (h->coding_count++)
        return bad(h, e, 400, "too many transfer encodings");
    if (!str_eq_nocase(v, STR("chunked")))
        return bad(h, e, 501, "unsupported transfer encoding");
    h->out->chunked = true;
    return true;
}

static bool take_expect(struct head_parse *h, struct str v, struct err *e)
{
    if (h->response)
        return true;
    if (!str_eq_nocase(v, STR("100-continue")))
        return bad(h, e, 417, "unknown expectation");
    h->out->expect_continue = h->out->minor == 1;
    return true;
}

// What decides about framing and the connection; everything else is only kept.
static bool take_known(struct head_parse *h, struct str name, struct str v, struct err *e)
{
    switch (name.n) {
    case 4:
        if (!str_eq_nocase(name, STR("host")))
            return true;
        h->host_count++;
        h->out->host = v;
        return h->response || (all(CH_TARGET, v) && str_find_char(v, '/') == STR_NPOS) ||
               bad(h, e, 400, "malformed Host header");
    case 6:
        return !str_eq_nocase(name, STR("expect")) || take_expect(h, v, e);
    case 10:
        return !str_eq_nocase(name, STR("connection")) || take_connection(h->out, v);
    case 14:
        return !str_eq_nocase(name, STR("content-length")) || take_length(h, v, e);
    case 17:
        return !str_eq_nocase(name, STR("transfer-encoding")) || take_coding(h, v, e);
    default:
        return true;
    }
}

static bool parse_field(struct head_parse *h, struct str line, struct err *e)
{
    size_t colon = str_find_char(line, ':');

    if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
        return bad(h, e, 400, "folded header line");
    if (colon == STR_NPOS || !http_is_token(str_sub(line, 0, colon)))
        return bad(h, e, 400, "malformed header line");
    struct str name = str_sub(line, 0, colon), v = trim_blanks(str_sub(line, colon + 1, line.n));
    if (!http_is_field_value(v))
        return bad(h, e, 400, "malformed header value");
    if (h->headers.n == HTTP_HEADERS_MAX)
        return bad(h, e, 431, "too many header fields");
    *vec_push_in(h->arena, &h->headers) = (struct http_header){ name, v };
    return take_known(h, name, v, e);
}

static bool parse_fields(struct head_parse *h, struct err *e)
{
    vec_reserve_in(h->arena, &h->headers, 12);
    while (h->rest.n) {
        struct str line = next_line(h);

        if (line.n == 0)
            break;
        if (!parse_field(h, line, e))
            return false;
    }
    h->out->headers = h->headers.v;
    h->out->header_count = h->headers.n;
    return true;
}

// RFC 9112 §6.1: a length beside a transfer coding, or a coding in HTTP/1.0, is an attack or a bug.
static bool check_framing(struct head_parse *h, struct err *e)
{
    struct http_head *out = h->out;

    if (out->chunked && out->has_length) {
        if (!h->lenient)
            return bad(h, e, 400, "Content-Length beside Transfer-Encoding");
        out->has_length = false;
        out->odd = true;
    }
    if (out->chunked && out->minor == 0 && !h->lenient)
        return bad(h, e, 400, "Transfer-Encoding in HTTP/1.0");
    if (h->response)
        return true;
    if (h->host_count > 1)
        return bad(h, e, 400, "too many Host headers");
    if (h->host_count == 0 && out->minor == 1)
        return bad(h, e, 400, "missing required Host header");
    return true;
}

static bool parse_head(struct head_parse *h, struct http_head *out, struct err *e)
{
    struct http_head head = { 0 };

    h->out = &head;
    if (!(h->response ? parse_status_line(h, e) : parse_request_line(h, e)))
        return false;
    if (!parse_fields(h, e) || !check_framing(h, e))
        return false;
    *out = head;
    return true;
}

bool http_head_parse_request(struct arena *a, struct str head, struct http_head *out, int *status,
                             struct err *e)
{
    struct head_parse h = { .arena = a, .rest = head };

    if (parse_head(&h, out, e))
        return true;
    *status = h.status;
    return false;
}

bool http_head_parse_response(struct arena *a, struct str head, bool lenient, struct http_head *out,
                              struct err *e)
{
    struct head_parse h = { .arena = a, .rest = head, .lenient = lenient, .response = true };

    return parse_head(&h, out, e);
}

/* ---- chunked bodies ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool chunk_bad(struct err *e, const char *text)
{
    return err_set(e, ERR_INVALID, "%s", text);
}

static bool size_byte(struct http_chunked *c, char b, struct err *e)
{
    int digit = hex_digit(b);

    if (++c->line > HTTP_CHUNK_LINE_MAX)
        return chunk_bad(e, "chunk size line too long");
    if (digit >= 0) {
        if (c->left >> 56)
            return chunk_bad(e, "chunk length too large");
        c->left = c->left << 4 | (uint64_t)digit;
        c->state = CHUNK_SIZE;
        return true;
    }
    if (c->state == CHUNK_SIZE_FIRST || (b != '\r' && b != ';'))
        return chunk_bad(e, "invalid byte in chunk length");
    c->state = b == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    return true;
}

static bool extension_byte(struct http_chunked *c, char b, struct err *e)
{
    if (++c->line > HTTP_CHUNK_LINE_MAX)
        return chunk_bad(e, "chunk size line too long");
    if (b == '\r')
        c->state = CHUNK_SIZE_LF;
    else if (!is(CH_VALUE, b))
        return chunk_bad(e, "invalid byte in chunk extension");
    return true;
}

static bool trailer_byte(struct http_chunked *c, char b, struct err *e)
{
    switch (c->state) {
    case CHUNK_TRAILER_START:
        c->state = b == '\r' ? CHUNK_END_LF : CHUNK_TRAILER_NAME;
        return b == '\r' || is(CH_TOKEN, b) || chunk_bad(e, "malformed trailer");
    case CHUNK_TRAILER_NAME:
        c->state = b == ':' ? CHUNK_TRAILER_VALUE : CHUNK_TRAILER_NAME;
        return b == ':' || is(CH_TOKEN, b) || chunk_bad(e, "malformed trailer");
    default:
        c->state = b == '\r' ? CHUNK_TRAILER_LF : CHUNK_TRAILER_VALUE;
        return b == '\r' || is(CH_VALUE, b) || chunk_bad(e, "malformed trailer");
    }
}

// States that want exactly one byte, and what follows them.
static bool want_byte(struct http_chunked *c, char b, struct err *e)
{
    bool cr = c->state == CHUNK_DATA_CR;

    if (b != (cr ? '\r' : '\n'))
        return chunk_bad(e, "malformed chunked encoding");
    if (cr)
        c->state = CHUNK_DATA_LF;
    else if (c->state == CHUNK_SIZE_LF)
        c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER_START;
    else if (c->state == CHUNK_DATA_LF)
        c->state = CHUNK_SIZE_FIRST;
    else
        c->state = c->state == CHUNK_TRAILER_LF ? CHUNK_TRAILER_START : CHUNK_DONE;
    c->line = 0;
    return true;
}

static bool chunk_byte(struct http_chunked *c, char b, struct err *e)
{
    if (c->state >= CHUNK_TRAILER_START && ++c->trailer > HTTP_TRAILER_MAX)
        return chunk_bad(e, "trailers too large");
    switch (c->state) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
        return size_byte(c, b, e);
    case CHUNK_EXTENSION:
        return extension_byte(c, b, e);
    case CHUNK_TRAILER_START:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE:
        return trailer_byte(c, b, e);
    default:
        return want_byte(c, b, e);
    }
}

enum http_parse http_chunked_next(struct http_chunked *c, struct str *in, struct str *data,
                                  struct err *e)
{
    while (in->n && c->state != CHUNK_DONE) {
        if (c->state == CHUNK_DATA) {
            *data = str_sub(*in, 0, (size_t)MIN((uint64_t)in->n, c->left));
            *in = str_sub(*in, data->n, in->n);
            c->left -= data->n;
            if (c->left == 0)
                c->state = CHUNK_DATA_CR;
            return HTTP_PARSE_DATA;
        }
        if (!chunk_byte(c, in->p[0], e))
            return HTTP_PARSE_BAD;
        *in = str_sub(*in, 1, in->n);
    }
    return c->state == CHUNK_DONE ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}
