// http_parser_test.c - what is a message and what is refused; the split of the bytes never matters.
// SPDX-License-Identifier: Apache-2.0
#include "net/http_parser.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/rand.h"
#include "test.h"

struct outcome {
    enum http_parse scan;
    bool ok;
    int status;
    size_t end;
    struct http_head head;
};

// Scans and parses with the bytes arriving in pieces; piece 0: all at once.
static struct outcome parse(struct arena *a, struct str in, size_t piece, bool response,
                            bool lenient)
{
    struct http_head_scan s = { .response = response, .lenient = lenient };
    struct outcome o = { .scan = HTTP_PARSE_MORE };
    struct err e = { 0 };

    for (size_t n = piece ? piece : in.n; o.scan == HTTP_PARSE_MORE; n += piece) {
        o.scan = http_head_scan(&s, str_sub(in, 0, n), &o.end, &o.status, &e);
        if (n >= in.n)
            break;
    }
    if (o.scan != HTTP_PARSE_DONE)
        return o;
    struct str head = str_sub(in, s.start, o.end);
    o.ok = response ? http_head_parse_response(a, head, lenient, &o.head, &e)
                    : http_head_parse_request(a, head, &o.head, &o.status, &e);
    return o;
}

static const struct {
    const char *in;
    int status; // 0: accepted
} requests[] = {
    { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "GET / HTTP/1.0\r\n\r\n", 0 },
    { "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
    { "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", 0 },
    { "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 0 },
    { "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 0 },
    { "GET /\xc3\xa4?q=\xc3\xa4 HTTP/1.1\r\nHost: [::1]:9090\r\nX: \xc3\xa4 \t b\r\n\r\n", 0 },
    // the strictness table
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
      400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n\tc: d\r\n\r\n", 400 },
    { "GET / HTTP/1.1\nHost: a\n\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n", 400 },
    { "GET / HTTP/1.1\r\n\r\n", 400 },
    // more of the kind
    { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
    { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
      "chunked\r\n\r\n",
      400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
      "chunked\r\n\r\n",
      400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX\x80: b\r\n\r\n", 400 },
    { "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400 },
    { "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET /\r\nHost: a\r\n\r\n", 400 },
    { "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET / http/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/11\r\nHost: a\r\n\r\n", 400 },
    { "PRI * HTTP/2.0\r\n\r\n", 400 },
    { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
    { "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417 },
    { "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "\x16\x03\x01\x02", 400 }, // a TLS hello is refused at its first byte
};

TEST(http_parser_requests_accepted_and_refused)
{
    FOR_CASES (t, requests) {
        struct str in = str_c(t->in);

        for (size_t piece = 0; piece <= in.n; piece++) {
            OWNED(arena_fini) struct arena a = { 0 };
            struct outcome o = parse(&a, in, piece, false, false);

            CHECK_F(o.ok == !t->status, "%s (piece %zu)", t->in, piece);
            CHECK_F(o.ok || o.status == t->status, "%s: %d", t->in, o.status);
        }
    }
}

TEST(http_parser_head_fields)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str in = STR(
        "PUT /a?b HTTP/1.1\r\nhost: h:1\r\nConnection: x, Close\r\nX-A: \t v w \r\nX-a:2\r\n"
        "EXPECT: 100-Continue\r\nContent-Length: 012\r\n\r\nbody");
    struct outcome o = parse(&a, in, 0, false, false);

    CHECK(o.ok && o.end == in.n - 4);
    CHECK_STR(o.head.method, STR("PUT"));
    CHECK_STR(o.head.target, STR("/a?b"));
    CHECK_STR(o.head.host, STR("h:1"));
    CHECK(!o.head.keep_alive && o.head.expect_continue && o.head.has_length && o.head.length == 12);
    CHECK(!o.head.chunked && o.head.minor == 1 && o.head.header_count == 6);
    CHECK_STR(http_header_find(o.head.headers, o.head.header_count, STR("x-A")), STR("v w"));
    CHECK(http_header_find(o.head.headers, o.head.header_count, STR("nope")).p == NULL);
}

TEST(http_parser_keep_alive_rules)
{
    static const struct {
        const char *version, *connection;
        bool keep;
    } cases[] = {
        { "1.1", "x", true },
        { "1.1", "close", false },
        { "1.0", "x", false },
        { "1.0", "Keep-Alive", true },
        { "1.1", "keep-alive,close", false },
        { "1.0", "keep-alive, close", false },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct str in = arena_printf(&a, "GET / HTTP/%s\r\nHost: a\r\nConnection: %s\r\n\r\n",
                                     t->version, t->connection);
        struct outcome o = parse(&a, in, 0, false, false);
        CHECK_F(o.ok && o.head.keep_alive == t->keep, "%.*s", STRF(in));
    }
}

// A request whose first line, or whose whole head, has exactly n bytes.
static struct str sized(struct buf *b, size_t line, size_t head)
{
    buf_reset(b);
    buf_lit(b, "GET /");
    while (b->n + 11 < line)
        buf_char(b, 'a');
    buf_lit(b, " HTTP/1.1\r\nHost: a\r\nX: ");
    while (b->n + 4 < head)
        buf_char(b, 'b');
    buf_lit(b, "\r\n\r\n");
    return buf_view(b);
}

TEST(http_parser_sizes_are_exact)
{
    static const struct {
        size_t line, head;
        bool ok;
    } cases[] = {
        { HTTP_LINE_MAX, 0, true },
        { HTTP_LINE_MAX + 1, 0, false },
        { 0, HTTP_HEAD_MAX, true },
        { 0, HTTP_HEAD_MAX + 1, false },
    };
    static const size_t pieces[] = { 0, 1, 3, 4096, 8191, 8192, 65535 };

    FOR_CASES (t, cases) {
        OWNED(buf_fini) struct buf b = { 0 };
        struct str in = sized(&b, t->line, t->head);

        FOR_CASES (piece, pieces) {
            OWNED(arena_fini) struct arena a = { 0 };
            struct outcome o = parse(&a, in, *piece, false, false);
            CHECK_F(o.ok == t->ok, "line %zu head %zu piece %zu", t->line, t->head, *piece);
            CHECK(o.ok || o.status == 431);
        }
    }
}

TEST(http_parser_endless_head_is_refused_early)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "GET / HTTP/1.1\r\n");
    while (b.n < HTTP_HEAD_MAX)
        buf_lit(&b, "X: y\r\n");
    struct outcome o = parse(&a, buf_view(&b), 1, false, false);
    CHECK(o.scan == HTTP_PARSE_BAD && o.status == 431);
    buf_reset(&b);
    buf_lit(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        buf_lit(&b, "X: y\r\n");
    buf_lit(&b, "\r\n");
    o = parse(&a, buf_view(&b), 0, false, false);
    CHECK(o.scan == HTTP_PARSE_DONE && !o.ok && o.status == 431);
}

TEST(http_parser_responses)
{
    static const struct {
        const char *in;
        bool strict, lenient;
    } cases[] = {
        { "HTTP/1.1 200 OK\r\n\r\n", true, true },
        { "HTTP/1.1 200\r\n\r\n", true, true },
        { "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", true, true },
        { "HTTP/1.0 200 OK\nX: y\n\n", false, true },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", false, true },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", false, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false,
          true },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, false },
        { "HTTP/1.1 20 OK\r\n\r\n", false, false },
        { "HTTP/1.1 abc OK\r\n\r\n", false, false },
        { "ICY 200 OK\r\n\r\n", false, false },
        { "HTTP/2.0 200 OK\r\n\r\n", false, false },
        { "\r\nHTTP/1.1 200 OK\r\n\r\n", false, false },
    };

    FOR_CASES (t, cases) {
        for (int lenient = 0; lenient < 2; lenient++) {
            OWNED(arena_fini) struct arena a = { 0 };
            struct outcome o = parse(&a, str_c(t->in), 0, true, lenient);
            CHECK_F(o.ok == (lenient ? t->lenient : t->strict), "%s lenient %d", t->in, lenient);
            CHECK(!o.ok || o.head.odd == (lenient && !t->strict));
        }
    }
}

/* ---- chunked ---- */

// The decoded body, or false; *rest_n: bytes left over.
static bool unchunk(struct str in, size_t piece, struct buf *out, size_t *rest_n)
{
    struct http_chunked c = { 0 };
    struct err e = { 0 };

    for (size_t at = 0; at < in.n; at += piece) {
        struct str part = str_sub(in, at, at + piece), data;
        enum http_parse r;

        while ((r = http_chunked_next(&c, &part, &data, &e)) == HTTP_PARSE_DATA)
            buf_str(out, data);
        if (r == HTTP_PARSE_BAD)
            return false;
        if (r == HTTP_PARSE_DONE) {
            *rest_n = part.n + (in.n - MIN(in.n, at + piece));
            return true;
        }
    }
    return false;
}

TEST(http_chunked_table)
{
    static const struct {
        const char *in, *body; // NULL: refused or incomplete
        size_t rest;
    } cases[] = {
        { "0\r\n\r\n", "", 0 },
        { "3\r\nabc\r\n0\r\n\r\nGET", "abc", 3 },
        { "3\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n", "abc0123456789", 0 },
        { "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n", "abc", 0 },
        { "1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", "a", 0 },
        { "3\r\nabc0\r\n\r\n", NULL, 0 },
        { "3\nabc\r\n0\r\n\r\n", NULL, 0 },
        { "3\r\nabc\n0\r\n\r\n", NULL, 0 },
        { "3 \r\nabc\r\n0\r\n\r\n", NULL, 0 },
        { " 3\r\nabc\r\n0\r\n\r\n", NULL, 0 },
        { "\r\nabc", NULL, 0 },
        { "-1\r\n", NULL, 0 },
        { "0x1\r\na\r\n0\r\n\r\n", NULL, 0 },
        { "g\r\n", NULL, 0 },
        { "fffffffffffffffff\r\n", NULL, 0 },
        { "0\r\nX: y\n\r\n", NULL, 0 },
        { "0\r\n X: y\r\n\r\n", NULL, 0 },
        { "0\r\nX : y\r\n\r\n", NULL, 0 },
        { "0\r\nX: \x01\r\n\r\n", NULL, 0 },
        { "3\r\nab", NULL, 0 },
    };

    FOR_CASES (t, cases) {
        for (size_t piece = 1; piece <= strlen(t->in); piece++) {
            OWNED(buf_fini) struct buf out = { 0 };
            size_t rest = 0;
            bool ok = unchunk(str_c(t->in), piece, &out, &rest);

            CHECK_F(ok == (t->body != NULL), "%s by %zu", t->in, piece);
            if (ok) {
                CHECK_STR(buf_view(&out), str_c(t->body));
                CHECK_F(rest == t->rest, "%s: rest %zu", t->in, rest);
            }
        }
    }
}

TEST(http_chunked_lines_are_bounded)
{
    OWNED(buf_fini) struct buf line = { 0 }, trailer = { 0 }, out = { 0 };
    size_t rest;

    buf_lit(&line, "1;");
    while (line.n < HTTP_CHUNK_LINE_MAX + 2)
        buf_char(&line, 'x');
    buf_lit(&line, "\r\na\r\n0\r\n\r\n");
    CHECK(!unchunk(buf_view(&line), line.n, &out, &rest));
    buf_lit(&trailer, "0\r\n");
    while (trailer.n < HTTP_TRAILER_MAX + 8)
        buf_lit(&trailer, "X: y\r\n");
    buf_lit(&trailer, "\r\n\r\n");
    CHECK(!unchunk(buf_view(&trailer), trailer.n, &out, &rest));
}

TEST(http_token_lists)
{
    CHECK(http_token_listed(STR("a, Close ,b"), STR("close")));
    CHECK(!http_token_listed(STR("a, closed"), STR("close")));
    CHECK(!http_token_listed(STR(""), STR("close")));
}
