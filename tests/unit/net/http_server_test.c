// http_server_test.c - a real server on a free port, talked to over raw sockets.
// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/metric.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "net/http_parser.h"
#include "test.h"

/* ---- the server under test ---- */

#define FD __attribute__((cleanup(file_close_owned_))) int

struct gate { // what a handler waits at and tells
    struct mutex mu;
    struct cond cond;
    bool open, entered, saw_cancel, write_failed;
    size_t written;
    struct err e;
};

struct fixture {
    struct http_server *server;
    struct pool *pool;
    struct gate gate;
    int port;
};

static struct gate *gate_of(struct http_exchange *x)
{
    return x->route_ctx;
}

static void set(struct gate *g, bool *flag)
{
    LOCKED(&g->mu);
    *flag = true;
    cond_wake_all(&g->cond);
}

// Waits for a flag that another thread sets; fails the test after 20 s.
static void await(struct gate *g, const bool *flag)
{
    LOCKED(&g->mu);
    for (int i = 0; i < 20 && !*flag; i++)
        cond_wait(&g->cond, &g->mu, 1000);
    assert(*flag);
}

static void handle_hello(struct http_exchange *x)
{
    http_text(x, 200, STR("hello"));
}

static void handle_echo(struct http_exchange *x)
{
    struct buf *b = http_body(x);

    buf_printf(b, "%.*s %.*s?%.*s [%.*s]", STRF(x->req.method), STRF(x->req.path),
               STRF(x->req.query), STRF(x->req.body));
}

static void handle_count(struct http_exchange *x)
{
    buf_printf(http_body(x), "%zu", x->req.body.n);
}

// As many lines as the query says, by http_write.
static void handle_lines(struct http_exchange *x)
{
    uint64_t n = 0;
    struct err e;

    if (!str_to_u64(x->req.query, &n))
        n = 10;
    for (uint64_t i = 0; i < n; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "line %09llu of the reply\n", (unsigned long long)i);

        if (!http_write(x, str_of(line, (size_t)len), &e))
            return;
    }
}

static void handle_gate(struct http_exchange *x)
{
    struct gate *g = gate_of(x);

    set(g, &g->entered);
    await(g, &g->open);
    http_text(x, 200, STR("through"));
}

// Runs until the client leaves.
static void handle_until_cancel(struct http_exchange *x)
{
    struct gate *g = gate_of(x);

    set(g, &g->entered);
    for (int i = 0; i < 20000 && !atomic_load(x->cancelled); i++)
        usleep(1000);
    if (atomic_load(x->cancelled))
        set(g, &g->saw_cancel);
}

static void handle_endless(struct http_exchange *x)
{
    struct gate *g = gate_of(x);
    char block[16384];

    memset(block, 'x', sizeof block);
    set(g, &g->entered);
    for (;;) {
        struct err e = { 0 };

        if (!http_write(x, str_of(block, sizeof block), &e)) {
            g->e = e;
            set(g, &g->write_failed);
            return;
        }
        LOCKED(&g->mu);
        g->written += sizeof block;
    }
}

static void handle_events(struct http_exchange *x)
{
    struct gate *g = gate_of(x);
    struct err e;

    http_set_header(x, STR("Content-Type"), STR("text/event-stream"));
    bool ok = http_write(x, STR("data: 1\n\n"), &e) && http_flush(x, &e);
    set(g, &g->entered);
    await(g, &g->open);
    ok = ok && http_write(x, STR("data: 2\n\n"), &e) && http_flush(x, &e);
    assert(ok);
}

static void handle_headers(struct http_exchange *x)
{
    http_status(x, 201);
    http_set_header(x, STR("X-One"), STR("1"));
    http_set_header(x, STR("x-one"), STR("2"));
    http_set_header(x, STR("X-Evil"), STR("a\r\nSet-Cookie: b"));
    http_add_header(x, STR("Set-Cookie"), STR("a=1"));
    http_add_header(x, STR("Set-Cookie"), STR("b=2"));
    http_set_header(x, STR("Content-Length"), STR("77"));
    buf_lit(http_body(x), "body");
}

static void handle_empty(struct http_exchange *x)
{
    http_status(x, 204);
}

static bool before(struct http_exchange *x)
{
    http_set_header(x, STR("X-Before"), STR("yes"));
    if (!http_header_get(&x->req, STR("X-Forbid")).p)
        return true;
    http_text(x, 403, STR("forbidden"));
    return false;
}

static void fixture_open(struct fixture *f, struct http_server_options o)
{
    static const char *const listen_any[] = { "127.0.0.1:0" };
    struct err e = { 0 };

    *f = (struct fixture){ 0 };
    mutex_init(&f->gate.mu, "gate", RANK_LEAF);
    cond_init(&f->gate.cond);
    CHECK_OK(pool_start(&f->pool, &(struct pool_options){ .name = "test", .threads = 3 }, &e), &e);
    o.listen = listen_any;
    o.listen_count = 1;
    o.loops = o.loops ? o.loops : 2;
    CHECK_OK(http_server_open(&f->server, &o, &e), &e);
    const struct http_route routes[] = {
        { .method = "GET HEAD", .path = "/hello", .handle = handle_hello },
        { .method = "GET", .path = "/pool", .handle = handle_hello, .pool = f->pool },
        { .path = "/echo", .prefix = true, .handle = handle_echo, .body_max = 100 },
        { .method = "POST",
          .path = "/count",
          .handle = handle_count,
          .body_max = 20 << 20,
          .pool = f->pool },
        { .method = "GET HEAD", .path = "/lines", .handle = handle_lines, .pool = f->pool },
        { .method = "GET", .path = "/lines/plain", .handle = handle_lines, .no_compress = true },
        { .method = "GET",
          .path = "/gate",
          .handle = handle_gate,
          .pool = f->pool,
          .ctx = &f->gate },
        { .method = "GET",
          .path = "/cancel",
          .handle = handle_until_cancel,
          .pool = f->pool,
          .ctx = &f->gate },
        { .method = "GET",
          .path = "/endless",
          .handle = handle_endless,
          .pool = f->pool,
          .ctx = &f->gate },
        { .method = "GET",
          .path = "/events",
          .handle = handle_events,
          .pool = f->pool,
          .ctx = &f->gate },
        { .method = "GET", .path = "/multi", .handle = handle_hello },
        { .method = "POST PUT", .path = "/multi", .handle = handle_echo, .name = "multi-post" },
        { .method = "GET HEAD", .path = "/headers", .handle = handle_headers },
        { .method = "GET", .path = "/empty", .handle = handle_empty },
    };
    FOR_CASES (r, routes)
        http_server_route(f->server, r);
    CHECK_OK(http_server_start(f->server, &e), &e);
    f->port = http_server_port(f->server, 0);
}

static void fixture_close(struct fixture *f)
{
    http_server_close(f->server);
    pool_stop(f->pool);
    cond_fini(&f->gate.cond);
    mutex_fini(&f->gate.mu);
}
OWN_DEFINE_FINI(struct fixture, fixture_close)

/* ---- a client of bytes ---- */

static int dial(const struct fixture *f)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port) };
    struct timeval limit = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static void say(int fd, struct str s)
{
    CHECK(send(fd, s.p, s.n, MSG_NOSIGNAL) == (ssize_t)s.n);
}

static void say_c(int fd, const char *s)
{
    say(fd, str_c(s));
}

struct reply {
    struct arena arena;
    struct http_head head;
    struct buf body; // dechunked
    bool complete;   // a whole reply was seen
    bool closed;     // the server closed behind it
};

static void reply_fini(struct reply *r)
{
    arena_fini(&r->arena);
    buf_fini(&r->body);
}
OWN_DEFINE_FINI(struct reply, reply_fini)

static ssize_t hear(int fd, struct buf *b)
{
    ssize_t n = recv(fd, buf_room(b, 65536), 65536, 0);

    b->n += (size_t)MAX(n, (ssize_t)0);
    return n;
}

static bool take_body(int fd, struct buf *in, struct reply *r, bool head_only)
{
    struct http_chunked c = { 0 };

    if (head_only || r->head.status == 204 || r->head.status == 304 || r->head.status == 100)
        return true;
    for (;;) {
        if (r->head.chunked) {
            struct str rest = buf_view(in), data;
            struct err e;
            enum http_parse p;

            while ((p = http_chunked_next(&c, &rest, &data, &e)) == HTTP_PARSE_DATA)
                buf_str(&r->body, data);
            CHECK(p != HTTP_PARSE_BAD);
            memmove(in->p, in->p + (in->n - rest.n), rest.n);
            in->n = rest.n;
            if (p == HTTP_PARSE_DONE)
                return true;
        } else if (r->head.has_length && in->n >= r->head.length) {
            buf_bytes(&r->body, in->p, r->head.length);
            memmove(in->p, in->p + r->head.length, in->n - r->head.length);
            in->n -= r->head.length;
            return true;
        }
        if (hear(fd, in) <= 0) {
            bool to_end = !r->head.has_length && !r->head.chunked;
            if (to_end)
                buf_str(&r->body, buf_view(in));
            return to_end;
        }
    }
}

// Reads one reply; bytes behind it stay in `in`.
static void listen_for(int fd, struct buf *in, struct reply *r, bool head_only)
{
    struct http_head_scan s = { .response = true };
    struct err e = { 0 };
    size_t end;
    int status;

    *r = (struct reply){ 0 };
    while (http_head_scan(&s, buf_view(in), &end, &status, &e) == HTTP_PARSE_MORE)
        if (hear(fd, in) <= 0)
            return;
    CHECK_OK(http_head_parse_response(&r->arena, arena_str(&r->arena, str_of(in->p, end)), false,
                                      &r->head, &e),
             &e);
    memmove(in->p, in->p + end, in->n - end);
    in->n -= end;
    r->complete = take_body(fd, in, r, head_only);
}

// One request on a connection of its own; the reply and whether the server then closed.
static void ask(const struct fixture *f, struct str request, struct reply *r)
{
    FD fd = dial(f);
    OWNED(buf_fini) struct buf in = { 0 };

    say(fd, request);
    listen_for(fd, &in, r, str_starts(request, STR("HEAD")));
    // A closing server ends the stream; an open one would make this wait for nothing.
    if (r->complete && !r->head.keep_alive)
        r->closed = hear(fd, &in) <= 0;
}

static struct str header(const struct reply *r, const char *name)
{
    return http_header_find(r->head.headers, r->head.header_count, str_c(name));
}

/* ---- requests and replies ---- */

TEST(http_server_answers)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 }, p = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    ask(&f, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), &r);
    CHECK(r.complete && r.head.status == 200 && r.head.keep_alive && r.head.length == 5);
    CHECK_STR(buf_view(&r.body), STR("hello"));
    CHECK_STR(r.head.reason, STR("OK"));
    CHECK_STR(header(&r, "Content-Type"), STR("text/plain; charset=utf-8"));
    CHECK(header(&r, "Date").n == 29 && str_ends(header(&r, "Date"), STR(" GMT")));
    ask(&f, STR("GET /pool HTTP/1.0\r\n\r\n"), &p);
    CHECK(p.complete && p.head.status == 200 && p.closed);
    CHECK_STR(buf_view(&p.body), STR("hello"));
}

TEST(http_server_headers_and_head)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 }, h = { 0 }, n = { 0 };

    fixture_open(&f, (struct http_server_options){ .before = before });
    ask(&f, STR("GET /headers HTTP/1.1\r\nHost: a\r\n\r\n"), &r);
    CHECK(r.head.status == 201 && r.head.length == 4);
    CHECK_STR(header(&r, "X-One"), STR("2"));
    CHECK_STR(header(&r, "X-Evil"), STR("a  Set-Cookie: b"));
    CHECK_STR(header(&r, "X-Before"), STR("yes"));
    size_t cookies = 0;
    for (size_t i = 0; i < r.head.header_count; i++)
        cookies += str_eq(r.head.headers[i].name, STR("Set-Cookie"));
    CHECK(cookies == 2);
    ask(&f, STR("HEAD /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), &h);
    CHECK(h.complete && h.head.status == 201 && h.head.length == 4 && h.closed && h.body.n == 0);
    ask(&f, STR("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n"), &n);
    CHECK(n.complete && n.head.status == 204 && !n.head.has_length && !n.head.chunked);
}

TEST(http_server_before_may_answer)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 };

    fixture_open(&f, (struct http_server_options){ .before = before });
    ask(&f, STR("GET /pool HTTP/1.1\r\nHost: a\r\nX-Forbid: 1\r\n\r\n"), &r);
    CHECK(r.head.status == 403);
    CHECK_STR(buf_view(&r.body), STR("forbidden"));
}

static void fallback(struct http_exchange *x, const char *allow)
{
    assert(x->route_ctx == x->server_ctx);
    http_status(x, allow ? 405 : 404);
    buf_printf(http_body(x), "%s|%s", (const char *)x->server_ctx, allow ? allow : "none");
}

TEST(http_server_routes)
{
    static const struct {
        const char *method, *target;
        int status;
        const char *body;
    } cases[] = {
        { "GET", "/multi", 200, "hello" },
        { "PUT", "/multi?a=b", 200, "PUT /multi?a=b []" },
        { "DELETE", "/multi", 405, "ctx|GET, OPTIONS, POST, PUT" },
        { "OPTIONS", "/multi", 405, "ctx|GET, OPTIONS, POST, PUT" },
        { "get", "/multi", 405, "ctx|GET, OPTIONS, POST, PUT" },
        { "POST", "/hello", 405, "ctx|GET, HEAD, OPTIONS" },
        { "GET", "/nosuch", 404, "ctx|none" },
        { "GET", "/hello/", 404, "ctx|none" },
        { "OPTIONS", "*", 404, "ctx|none" },
        { "GET", "/echo", 200, "GET /echo? []" },
        { "ODD", "/echoes/a%20b%2Fc?x=%41", 200, "ODD /echoes/a b/c?x=%41 []" },
        { "GET", "http://a:1/echo?q", 200, "GET /echo?q []" },
        { "GET", "http://a:1?q", 404, "ctx|none" },
        { "GET", "/echo%zz", 400, "400 Bad Request: malformed escape in the path\n" },
        { "GET", "/%6Dulti", 200, "hello" },
        { "CONNECT", "a:1", 501, "501 Not Implemented: CONNECT is not served here\n" },
    };
    OWNED(fixture_close) struct fixture f;
    OWNED(arena_fini) struct arena a = { 0 };

    fixture_open(&f, (struct http_server_options){ .fallback = fallback, .ctx = "ctx" });
    FOR_CASES (t, cases) {
        OWNED(reply_fini) struct reply r = { 0 };

        ask(&f, arena_printf(&a, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", t->method, t->target), &r);
        CHECK_F(r.head.status == t->status, "%s %s: %d", t->method, t->target, r.head.status);
        CHECK_STR(buf_view(&r.body), str_c(t->body));
    }
}

TEST(http_server_plain_fallback)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 }, s = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    ask(&f, STR("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), &r);
    CHECK(r.head.status == 404);
    ask(&f, STR("PUT /hello HTTP/1.1\r\nHost: a\r\n\r\n"), &s);
    CHECK(s.head.status == 405);
    CHECK_STR(header(&s, "Allow"), STR("GET, HEAD, OPTIONS"));
}

/* ---- framing ---- */

TEST(http_server_pipelining_keeps_the_order)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf out = { 0 }, in = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    for (int i = 0; i < 200; i++) {
        if (i % 3 == 0)
            buf_printf(&out, "GET /pool HTTP/1.1\r\nHost: a\r\n\r\n");
        else if (i % 3 == 1)
            buf_printf(&out, "POST /echo/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                       i);
        else
            buf_printf(&out,
                       "POST /echo/%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
                       i);
    }
    say(fd, buf_view(&out));
    for (int i = 0; i < 200; i++) {
        OWNED(reply_fini) struct reply r = { 0 };
        char want[64];

        listen_for(fd, &in, &r, false);
        CHECK_F(r.complete && r.head.status == 200, "reply %d", i);
        snprintf(want, sizeof want, i % 3 == 0 ? "hello" : "POST /echo/%d? [%s]", i,
                 i % 3 == 1 ? "abc" : "def");
        CHECK_STR(buf_view(&r.body), str_c(want));
    }
}

TEST(http_server_takes_bytes_one_by_one)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 };
    OWNED(buf_fini) struct buf in = { 0 };
    struct str request = STR(
        "POST /echo?x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n");

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    for (size_t i = 0; i < request.n; i++)
        say(fd, str_of(request.p + i, 1));
    listen_for(fd, &in, &r, false);
    CHECK_STR(buf_view(&r.body), STR("POST /echo?x [hello]"));
}

TEST(http_server_large_bodies)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf body = { 0 }, in = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    memset(buf_room(&body, 5 << 20), 'b', 5 << 20);
    body.n = 5 << 20;
    for (int chunked = 0; chunked < 2; chunked++) {
        OWNED(reply_fini) struct reply r = { 0 };
        FD fd = dial(&f);

        if (chunked)
            say(fd,
                arena_printf(
                    &a,
                    "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                    body.n));
        else
            say(fd,
                arena_printf(&a, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                             body.n));
        for (size_t at = 0; at < body.n; at += 70000)
            say(fd, str_sub(buf_view(&body), at, at + 70000));
        if (chunked)
            say_c(fd, "\r\n0\r\n\r\n");
        buf_reset(&in);
        listen_for(fd, &in, &r, false);
        CHECK_STR(buf_view(&r.body), STR("5242880"));
    }
}

TEST(http_server_expect_continue)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf in = { 0 };
    OWNED(reply_fini) struct reply go = { 0 }, r = { 0 }, no = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    say_c(fd,
          "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    listen_for(fd, &in, &go, false);
    CHECK(go.complete && go.head.status == 100);
    say_c(fd, "abc");
    listen_for(fd, &in, &r, false);
    CHECK_STR(buf_view(&r.body), STR("POST /echo? [abc]"));
    // A body that is too large is refused before it is sent.
    ask(&f,
        STR("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
            "101\r\n\r\n"),
        &no);
    CHECK(no.head.status == 413 && no.closed);
}

/* ---- refusals and limits ---- */

TEST(http_server_refuses_and_closes)
{
    static const struct {
        const char *in;
        int status;
    } cases[] = {
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
          "chunked\r\n\r\n0\r\n\r\n",
          400 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
          400 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello", 400 },
        { "GET /echo HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400 },
        { "GET /echo HTTP/1.1\nHost: a\n\n", 400 },
        { "GET /echo HTTP/1.1\r\n\r\n", 400 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd", 400 },
        { "GET /echo HTTP/3.0\r\nHost: a\r\n\r\n", 505 },
        { "\x16\x03\x01\x02\x03", 400 },
    };
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f, (struct http_server_options){ 0 });
    FOR_CASES (t, cases) {
        OWNED(reply_fini) struct reply r = { 0 };

        ask(&f, str_c(t->in), &r);
        CHECK_F(r.head.status == t->status && r.closed, "%s: %d", t->in, r.head.status);
        CHECK(r.body.n > 15 && r.body.p[r.body.n - 1] == '\n'); // says why
    }
}

TEST(http_server_chunked_body_limit)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 }, fits = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    buf_lit(&out, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++)
        buf_lit(&out, "1\r\na\r\n");
    size_t n = out.n;
    buf_lit(&out, "0\r\n\r\n");
    ask(&f, buf_view(&out), &fits);
    CHECK(fits.head.status == 200);
    out.n = n;
    buf_lit(&out, "1\r\na\r\n0\r\n\r\n");
    ask(&f, buf_view(&out), &r);
    CHECK(r.head.status == 413 && r.closed);
}

TEST(http_server_refusal_reaches_a_client_that_still_sends)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 };
    OWNED(buf_fini) struct buf in = { 0 };
    char block[65536] = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    say_c(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 8; i++)
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0)
            break;
    listen_for(fd, &in, &r, false);
    CHECK(r.complete && r.head.status == 413);
}

TEST(http_server_slow_clients_are_told_and_dropped)
{
    static const struct {
        const char *in;
        int status; // 0: closed without a word
    } cases[] = {
        { "", 0 },
        { "GET /hel", 408 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 408 },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408 },
    };
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f,
                 (struct http_server_options){ .read_timeout_ms = 100, .header_timeout_ms = 60 });
    FOR_CASES (t, cases) {
        OWNED(buf_fini) struct buf in = { 0 };
        OWNED(reply_fini) struct reply r = { 0 };
        FD fd = dial(&f);

        say_c(fd, t->in);
        listen_for(fd, &in, &r, false);
        CHECK_F(r.head.status == t->status, "%s: %d", t->in, r.head.status);
        CHECK(hear(fd, &in) == 0);
    }
}

TEST(http_server_connection_limit_makes_others_wait)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf in = { 0 };
    OWNED(reply_fini) struct reply r = { 0 };
    struct pollfd p = { .events = POLLIN };

    fixture_open(&f, (struct http_server_options){ .connections_max = 3 });
    int held[3];
    for (int i = 0; i < 3; i++) {
        OWNED(reply_fini) struct reply first = { 0 };

        held[i] = dial(&f);
        say_c(held[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        buf_reset(&in);
        listen_for(held[i], &in, &first, false);
        CHECK(first.complete);
    }
    FD fd = dial(&f);
    say_c(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    p.fd = fd;
    CHECK(poll(&p, 1, 50) == 0); // not served while the others are there
    close(held[1]);
    buf_reset(&in);
    listen_for(fd, &in, &r, false);
    CHECK(r.complete && r.head.status == 200);
    close(held[0]);
    close(held[2]);
}

TEST(http_server_busy_pool_answers_503)
{
    static const char *const listen_any[] = { "127.0.0.1:0" };
    OWNED(reply_fini) struct reply r = { 0 };
    OWNED(pool_stop) struct pool *tiny = NULL;
    OWNED(http_server_close) struct http_server *s = NULL;
    struct gate g = { .mu = MUTEX_INIT("gate", RANK_LEAF) };
    struct err e = { 0 };

    cond_init(&g.cond);
    CHECK_OK(pool_start(&tiny,
                        &(struct pool_options){ .name = "tiny", .threads = 1, .queue_max = 1 }, &e),
             &e);
    CHECK_OK(http_server_open(
                 &s, &(struct http_server_options){ .listen = listen_any, .listen_count = 1 }, &e),
             &e);
    http_server_route(
        s, &(struct http_route){ .path = "/gate", .handle = handle_gate, .pool = tiny, .ctx = &g });
    CHECK_OK(http_server_start(s, &e), &e);
    struct fixture f = { .server = s, .port = http_server_port(s, 0) };
    FD runs = dial(&f), waits = dial(&f);
    say_c(runs, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&g, &g.entered);
    say_c(waits, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    while (pool_waiting(tiny) == 0)
        usleep(1000);
    ask(&f, STR("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n"), &r);
    CHECK(r.head.status == 503 && r.closed);
    CHECK_STR(header(&r, "Retry-After"), STR("1"));
    set(&g, &g.open);
    http_server_close(TAKE(s));
    cond_fini(&g.cond);
}

/* ---- streaming ---- */

static void check_lines(struct str body, size_t n)
{
    CHECK(body.n == n * 28);
    for (size_t i = 0; i < n; i += 997) {
        char want[40];
        snprintf(want, sizeof want, "line %09zu of the reply\n", i);
        CHECK_STR(str_sub(body, i * 28, i * 28 + 28), str_c(want));
    }
}

TEST(http_server_streams_large_replies)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(reply_fini) struct reply r = { 0 }, old = { 0 }, head = { 0 }, small = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    ask(&f, STR("GET /lines?200000 HTTP/1.1\r\nHost: a\r\n\r\n"), &r);
    CHECK(r.complete && r.head.chunked);
    check_lines(buf_view(&r.body), 200000);
    ask(&f, STR("GET /lines?200000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &old);
    CHECK(old.complete && !old.head.chunked && !old.head.keep_alive);
    check_lines(buf_view(&old.body), 200000);
    ask(&f, STR("HEAD /lines?200000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), &head);
    CHECK(head.complete && head.closed && head.body.n == 0);
    ask(&f, STR("GET /lines?9 HTTP/1.1\r\nHost: a\r\n\r\n"), &small);
    CHECK(small.head.has_length && small.head.length == 9 * 28);
}

TEST(http_server_slow_reader_holds_the_handler_back)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf in = { 0 };
    size_t before_n, after_n;
    int small = 65536;

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say_c(fd, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.gate, &f.gate.entered);
    // Unread, the handler comes to a halt: what it wrote stops growing.
    do {
        mutex_lock(&f.gate.mu);
        before_n = f.gate.written;
        cond_wait(&f.gate.cond, &f.gate.mu, 200);
        after_n = f.gate.written;
        mutex_unlock(&f.gate.mu);
    } while (after_n != before_n || after_n == 0);
    CHECK_F(after_n < 16 << 20, "%zu bytes were taken without a reader", after_n);
    // Reading lets it go on.
    while (in.n < 4 << 20)
        CHECK(hear(fd, &in) > 0);
    // Leaving ends it.
    shutdown(fd, SHUT_RDWR);
    close(fd);
    fd = -1;
    await(&f.gate, &f.gate.write_failed);
    CHECK(f.gate.e.kind == ERR_CANCELLED);
}

TEST(http_server_flush_sends_now)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf in = { 0 };
    OWNED(reply_fini) struct reply r = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    say_c(fd, "GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    // The handler waits, and yet its first event's bytes arrive.
    await(&f.gate, &f.gate.entered);
    while (str_find(buf_view(&in), STR("\r\n\r\n")) == STR_NPOS ||
           in.n < str_find(buf_view(&in), STR("\r\n\r\n")) + 10)
        CHECK(hear(fd, &in) > 0);
    set(&f.gate, &f.gate.open);
    listen_for(fd, &in, &r, false);
    CHECK(r.complete);
    OWNED(buf_fini) struct buf plain = { 0 };
    struct err e = { 0 };
    CHECK_OK(compress_inflate(COMPRESS_GZIP, buf_view(&r.body), NULL, &plain, &e), &e);
    CHECK_STR(buf_view(&plain), STR("data: 1\n\ndata: 2\n\n"));
}

TEST(http_server_disconnect_cancels_the_handler)
{
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f, (struct http_server_options){ 0 });
    int fd = dial(&f);
    say_c(fd, "GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.gate, &f.gate.entered);
    close(fd);
    await(&f.gate, &f.gate.saw_cancel);
}

TEST(http_server_half_closed_client_gets_its_reply)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf in = { 0 };
    OWNED(reply_fini) struct reply r = { 0 }, second = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FD fd = dial(&f);
    say_c(fd,
          "GET /gate HTTP/1.1\r\nHost: a\r\n\r\nGET /pool HTTP/1.1\r\nHost: a\r\n\r\nGET /inco");
    await(&f.gate, &f.gate.entered);
    shutdown(fd, SHUT_WR);
    set(&f.gate, &f.gate.open);
    listen_for(fd, &in, &r, false);
    CHECK_STR(buf_view(&r.body), STR("through"));
    listen_for(fd, &in, &second, false);
    CHECK_STR(buf_view(&second.body), STR("hello"));
    CHECK(hear(fd, &in) == 0);
}

/* ---- compression ---- */

TEST(http_server_compression)
{
    static const struct {
        const char *path, *accept, *encoding;
    } cases[] = {
        { "/lines?100", "gzip", "gzip" },
        { "/lines?100", "deflate", "deflate" },
        { "/lines?100", "br, gzip;q=0.5, deflate", "gzip" },
        { "/lines?100", "gzip;q=0, deflate", "deflate" },
        { "/lines?100", "gzip;q=0.0", "" },
        { "/lines?100", "zstd", "" }, // too small to be worth it
        { "/lines?100", "identity", "" },
        { "/lines?100", "*", "" },
        { "/lines?9", "gzip", "" },
        { "/lines?2000", "gzip, zstd", "zstd" },
        { "/lines?2000", "zstd;q=0, gzip", "gzip" },
        { "/lines/plain?2000", "gzip, zstd", "" },
        { "/lines?200000", "gzip", "gzip" }, // streamed
        { "/lines?200000", "zstd", "zstd" },
        { "/lines?200000", "deflate", "deflate" },
        { "/lines?200000", "", "" },
    };
    OWNED(fixture_close) struct fixture f;
    OWNED(arena_fini) struct arena a = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FOR_CASES (t, cases) {
        OWNED(reply_fini) struct reply r = { 0 };
        OWNED(buf_fini) struct buf plain = { 0 };
        enum compress_codec c;
        uint64_t n;
        struct err e = { 0 };

        ask(&f,
            arena_printf(&a, "GET %s HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %s\r\n\r\n", t->path,
                         t->accept),
            &r);
        CHECK(r.complete && r.head.status == 200);
        CHECK_STR(header(&r, "Content-Encoding"), str_c(t->encoding));
        CHECK(compress_codec_of(str_c(t->encoding), &c));
        CHECK_OK(compress_inflate(c, buf_view(&r.body), NULL, &plain, &e), &e);
        CHECK(str_to_u64(str_c(strchr(t->path, '?') + 1), &n));
        check_lines(buf_view(&plain), n);
    }
}

/* ---- stopping, metrics, opening ---- */

static void *stop_server(void *ctx)
{
    http_server_stop(ctx);
    return NULL;
}

TEST(http_server_stop_lets_requests_finish)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf in = { 0 };
    OWNED(reply_fini) struct reply r = { 0 };
    struct thread t = { 0 };
    struct err e = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    FD idle = dial(&f), fd = dial(&f);
    say_c(fd, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.gate, &f.gate.entered);
    say_c(idle, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"); // it was accepted, then
    OWNED(reply_fini) struct reply hello = { 0 };
    listen_for(idle, &in, &hello, false);
    CHECK_OK(thread_start(&t, "stopper", stop_server, f.server, &e), &e);
    CHECK(hear(idle, &in) == 0); // idle connections end at once
    set(&f.gate, &f.gate.open);
    listen_for(fd, &in, &r, false);
    CHECK(r.complete && r.head.status == 200);
    CHECK(hear(fd, &in) == 0);
    thread_join(&t);
}

TEST(http_server_counts_requests)
{
    static const char *const names[] = { "handler", "code" };
    OWNED(fixture_close) struct fixture f;
    struct str hello_200[] = { STR("/hello"), STR("200") },
               multi[] = { STR("multi-post"), STR("200") };

    fixture_open(&f, (struct http_server_options){ 0 });
    struct metric_family *family = metric_family("prometheus_http_requests_total", "",
                                                 METRIC_COUNTER, names, 2);
    double hello_before = metric_get(metric_child(family, hello_200));
    double multi_before = metric_get(metric_child(family, multi));
    for (int i = 0; i < 3; i++) {
        OWNED(reply_fini) struct reply r = { 0 }, p = { 0 };

        ask(&f, STR("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), &r);
        ask(&f, STR("POST /multi HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), &p);
        CHECK(r.closed && p.closed);
    }
    CHECK(metric_get(metric_child(family, hello_200)) == hello_before + 3);
    CHECK(metric_get(metric_child(family, multi)) == multi_before + 3);
}

TEST(http_server_open_errors)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(arena_fini) struct arena a = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    const struct {
        const char *listen, *text;
    } cases[] = {
        { "nocolon", "expected an address such as" },
        { "::1:9090", "needs brackets" },
        { "127.0.0.1:65536", "expected a port" },
        { "127.0.0.1:http", "expected a port" },
        { "256.0.0.1:1", "listen on 256.0.0.1:1" },
        { arena_cstr(&a, arena_printf(&a, "127.0.0.1:%d", f.port)), "in use" },
    };
    FOR_CASES (t, cases) {
        struct http_server *s = NULL;
        struct err e = { 0 };

        CHECK(!http_server_open(
            &s, &(struct http_server_options){ .listen = &t->listen, .listen_count = 1 }, &e));
        CHECK_F(strstr(e.text, t->text), "%s: %s", t->listen, e.text);
        CHECK(s == NULL);
    }
}

TEST(http_server_many_clients)
{
    enum { CLIENTS = 40, ROUNDS = 20 };
    OWNED(fixture_close) struct fixture f;
    int fd[CLIENTS];

    fixture_open(&f, (struct http_server_options){ .loops = 3 });
    for (int i = 0; i < CLIENTS; i++)
        fd[i] = dial(&f);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++)
            say_c(fd[i], round % 2 ? "GET /pool HTTP/1.1\r\nHost: a\r\n\r\n"
                                   : "GET /lines?20000 HTTP/1.1\r\nHost: a\r\n\r\n");
        for (int i = 0; i < CLIENTS; i++) {
            OWNED(buf_fini) struct buf in = { 0 };
            OWNED(reply_fini) struct reply r = { 0 };

            listen_for(fd[i], &in, &r, false);
            CHECK(r.complete && r.body.n == (round % 2 ? 5 : 20000 * 28));
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        close(fd[i]);
}
