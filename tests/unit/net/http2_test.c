// http2_test.c - HTTP/2 and gRPC: a real server on a free port, a client of nghttp2 against it.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread.h"
#include "base/time.h"
#include "codec/compress.h"
#include "net/grpc.h"
#include "net/http_parser.h"
#include "test.h"

/* ---- the server under test ---- */

struct gate {
    struct mutex mu;
    struct cond cond;
    bool open, entered, cancelled;
};

struct fixture {
    struct http_server *server;
    struct pool *pool;
    struct gate gate;
    struct grpc_method echo, fail;
    int port;
};

static void set(struct gate *g, bool *flag)
{
    LOCKED(&g->mu);
    *flag = true;
    cond_wake_all(&g->cond);
}

static void await(struct gate *g, const bool *flag)
{
    LOCKED(&g->mu);
    for (int i = 0; i < 20 && !*flag; i++)
        cond_wait(&g->cond, &g->mu, 1000);
    assert(*flag);
}

static void handle_echo(struct http_exchange *x)
{
    struct str host = http_header_get(&x->req, STR("Host"));
    struct str cookie = http_header_get(&x->req, STR("Cookie"));

    http_status(x, 201);
    http_set_header(x, STR("X-Mixed"), STR("Case"));
    buf_printf(http_body(x), "%.*s %.*s?%.*s [%.*s] %.*s %.*s %d", STRF(x->req.method),
               STRF(x->req.path), STRF(x->req.query), STRF(x->req.body), STRF(host), STRF(cookie),
               x->req.http2);
}

static void handle_count(struct http_exchange *x)
{
    buf_printf(http_body(x), "%zu", x->req.body.n);
}

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
    struct gate *g = x->route_ctx;

    set(g, &g->entered);
    await(g, &g->open);
    http_text(x, 200, STR("through"));
}

static void handle_until_cancel(struct http_exchange *x)
{
    struct gate *g = x->route_ctx;

    set(g, &g->entered);
    for (int i = 0; i < 20000 && !atomic_load(x->cancelled); i++)
        usleep(1000);
    if (atomic_load(x->cancelled))
        set(g, &g->cancelled);
}

static void call_echo(struct grpc_call *c)
{
    assert(c->ctx);
    buf_str(c->reply, c->message);
}

static void call_fail(struct grpc_call *c)
{
    buf_str(c->reply, c->message);
    grpc_fail(c, GRPC_UNAVAILABLE, STR("50% \n\xc3\xa4"));
    grpc_retry_after(c, 1500);
}

static void fixture_open(struct fixture *f, struct http_server_options o)
{
    static const char *const listen_any[] = { "127.0.0.1:0" };
    struct err e = { 0 };

    *f = (struct fixture){ 0 };
    mutex_init(&f->gate.mu, "gate", RANK_LEAF);
    cond_init(&f->gate.cond);
    CHECK_OK(pool_start(&f->pool, &(struct pool_options){ .name = "test", .threads = 4 }, &e), &e);
    o.listen = listen_any;
    o.listen_count = 1;
    o.loops = 1;
    CHECK_OK(http_server_open(&f->server, &o, &e), &e);
    const struct http_route routes[] = {
        { .path = "/echo", .handle = handle_echo, .body_max = 100 },
        { .method = "POST",
          .path = "/count",
          .handle = handle_count,
          .body_max = 20 << 20,
          .pool = f->pool },
        { .method = "GET HEAD", .path = "/lines", .handle = handle_lines, .pool = f->pool },
        { .path = "/gate", .handle = handle_gate, .pool = f->pool, .ctx = &f->gate },
        { .path = "/cancel", .handle = handle_until_cancel, .pool = f->pool, .ctx = &f->gate },
    };
    FOR_CASES (r, routes)
        http_server_route(f->server, r);
    f->echo = (struct grpc_method){
        .path = "/t.Test/Echo", .call = call_echo, .ctx = f, .pool = f->pool, .message_max = 1 << 20
    };
    f->fail = (struct grpc_method){ .path = "/t.Test/Fail", .call = call_fail };
    grpc_route(f->server, &f->echo);
    grpc_route(f->server, &f->fail);
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

/* ---- the client ---- */

enum { CALLS_MAX = 300 };

struct call {
    int32_t id;
    struct buf head, body, trailers; // "name: value\n"
    struct str send;                 // what is left of the request's body
    bool hold;                       // send no end of the request
    bool closed;
    uint32_t code; // of the close
};

struct client {
    int fd;
    nghttp2_session *session;
    struct call calls[CALLS_MAX];
    size_t call_count;
    uint32_t goaway; // last stream id + 1; 0: none came
    bool over;       // the server closed
};

static struct call *call_by_id(struct client *c, int32_t id)
{
    for (size_t i = 0; i < c->call_count; i++)
        if (c->calls[i].id == id)
            return &c->calls[i];
    return NULL;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *client)
{
    struct call *call = call_by_id(client, f->hd.stream_id);
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);

    (void)s, (void)flags;
    buf_printf(f->headers.cat == NGHTTP2_HCAT_RESPONSE ? &call->head : &call->trailers,
               "%.*s: %.*s\n", (int)n.len, (const char *)n.base, (int)v.len, (const char *)v.base);
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *client)
{
    (void)s, (void)flags;
    buf_bytes(&call_by_id(client, id)->body, p, n);
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *client)
{
    struct call *call = call_by_id(client, id);

    (void)s;
    if (call) {
        call->closed = true;
        call->code = code;
    }
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *client)
{
    struct client *c = client;

    (void)s;
    if (f->hd.type == NGHTTP2_GOAWAY)
        c->goaway = (uint32_t)f->goaway.last_stream_id + 1;
    return 0;
}

static void client_open(struct client *c, const struct fixture *f)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port) };
    nghttp2_session_callbacks *cb;

    *c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0);
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    CHECK(nghttp2_session_client_new(&c->session, cb, c) == 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static void client_close(struct client *c)
{
    for (size_t i = 0; i < c->call_count; i++) {
        buf_fini(&c->calls[i].head);
        buf_fini(&c->calls[i].body);
        buf_fini(&c->calls[i].trailers);
    }
    nghttp2_session_del(c->session);
    if (c->fd >= 0)
        close(c->fd);
}
OWN_DEFINE_FINI(struct client, client_close)

static ssize_t read_request(nghttp2_session *s, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *client)
{
    struct call *call = source->ptr;
    size_t n = MIN(room, call->send.n);

    (void)s, (void)id, (void)client;
    if (n == 0 && call->hold)
        return NGHTTP2_ERR_DEFERRED;
    if (n)
        memcpy(to, call->send.p, n);
    call->send = str_sub(call->send, n, call->send.n);
    if (call->send.n == 0 && !call->hold)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

// headers: "name: value\n…" beyond the pseudo ones. body.p NULL: none.
static struct call *request(struct client *c, const char *method, const char *path,
                            const char *headers, struct str body)
{
    struct call *call = &c->calls[c->call_count++];
    nghttp2_nv nv[600];
    size_t n = 0;
    struct str rest = str_c(headers),
               values[4] = { str_c(method), STR("http"), STR("h.example"), str_c(path) };
    const char *const names[4] = { ":method", ":scheme", ":authority", ":path" };

    CHECK(c->call_count <= CALLS_MAX);
    for (; n < 4; n++)
        nv[n] = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)names[n],
                              .namelen = strlen(names[n]),
                              .value = (uint8_t *)(uintptr_t)values[n].p,
                              .valuelen = values[n].n };
    while (rest.n) {
        struct str value = str_cut(&rest, '\n'), name = str_cut(&value, ':');

        value = str_trim(value);
        nv[n++] = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p,
                                .namelen = name.n,
                                .value = (uint8_t *)(uintptr_t)value.p,
                                .valuelen = value.n };
    }
    call->send = body;
    nghttp2_data_provider from = { .source.ptr = call, .read_callback = read_request };
    call->id = nghttp2_submit_request(c->session, NULL, nv, n, body.p ? &from : NULL, NULL);
    CHECK(call->id > 0);
    return call;
}

static void send_all(struct client *c)
{
    const uint8_t *p;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(c->session, &p)) > 0)
        if (send(c->fd, p, (size_t)n, MSG_NOSIGNAL) != n)
            c->over = true;
}

// One exchange of bytes; waits at most so long for the server's.
static bool turn(struct client *c, int wait_ms)
{
    static uint8_t in[65536];
    struct pollfd p = { .fd = c->fd, .events = POLLIN };

    send_all(c);
    if (poll(&p, 1, wait_ms) <= 0)
        return false;
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n <= 0) {
        c->over = true;
        return false;
    }
    CHECK(nghttp2_session_mem_recv(c->session, in, (size_t)n) == n);
    send_all(c);
    return true;
}

static void finish(struct client *c, const struct call *call)
{
    for (int i = 0; i < 20000 && !call->closed && !c->over; i++)
        turn(c, 20000);
}

static bool has_line(const struct buf *b, const char *line)
{
    return str_find(buf_view(b), str_c(line)) != STR_NPOS;
}

/* ---- requests and replies ---- */

TEST(http2_answers)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    struct call *a = request(&c, "POST", "/ec%68o?x=1", "cookie: a=1\ncookie: b=2\n", STR("body"));
    struct call *b = request(&c, "GET", "/nowhere", "", STR_NONE);
    struct call *h = request(&c, "HEAD", "/lines?3", "", STR_NONE);
    finish(&c, a);
    finish(&c, b);
    finish(&c, h);
    CHECK_STR(buf_view(&a->body), STR("POST /echo?x=1 [body] h.example a=1; b=2 1"));
    CHECK(has_line(&a->head, ":status: 201\n") && has_line(&a->head, "x-mixed: Case\n"));
    CHECK(has_line(&a->head, "content-length: 42\n") && has_line(&a->head, "date: "));
    CHECK(has_line(&b->head, ":status: 404\n"));
    CHECK(h->closed && h->body.n == 0 && has_line(&h->head, "content-length: 84\n"));
    CHECK(!c.goaway);
}

TEST(http2_many_streams_at_once)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    struct call *slow = request(&c, "GET", "/gate", "", STR_NONE);
    for (int i = 0; i < 100; i++)
        request(&c, "POST", "/count", "", STR("0123456789"));
    for (size_t i = 1; i < c.call_count; i++) {
        finish(&c, &c.calls[i]);
        CHECK_STR(buf_view(&c.calls[i].body), STR("10"));
    }
    CHECK(!slow->closed);
    set(&f.gate, &f.gate.open);
    finish(&c, slow);
    CHECK_STR(buf_view(&slow->body), STR("through"));
}

TEST(http2_large_bodies_both_ways)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    OWNED(buf_fini) struct buf big = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    memset(buf_room(&big, 9 << 20), 'z', 9 << 20);
    big.n = 9 << 20;
    struct call *up = request(&c, "POST", "/count", "", buf_view(&big));
    struct call *down = request(&c, "GET", "/lines?200000", "", STR_NONE);
    struct call *packed = request(&c, "GET", "/lines?20000", "accept-encoding: gzip\n", STR_NONE);
    finish(&c, up);
    finish(&c, down);
    finish(&c, packed);
    CHECK_STR(buf_view(&up->body), STR("9437184"));
    CHECK(down->body.n == 200000 * 28);
    CHECK(str_ends(buf_view(&down->body), STR("line 000199999 of the reply\n")));
    CHECK(has_line(&packed->head, "content-encoding: gzip\n"));
    OWNED(buf_fini) struct buf plain = { 0 };
    struct err e = { 0 };
    CHECK_OK(compress_inflate(COMPRESS_GZIP, buf_view(&packed->body), NULL, &plain, &e), &e);
    CHECK(plain.n == 20000 * 28);
}

/* ---- limits ---- */

TEST(http2_refuses_bodies_beyond_the_limit)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    char body[200];

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    memset(body, 'x', sizeof body);
    struct call *told = request(&c, "POST", "/echo", "content-length: 101\n", str_of(body, 101));
    struct call *seen = request(&c, "POST", "/echo", "", str_of(body, sizeof body));
    struct call *held = request(&c, "POST", "/echo", "", str_of(body, sizeof body));
    held->hold = true;
    struct call *fits = request(&c, "POST", "/echo", "", str_of(body, 100));
    finish(&c, told);
    finish(&c, seen);
    finish(&c, held);
    finish(&c, fits);
    CHECK(has_line(&told->head, ":status: 413\n") && has_line(&seen->head, ":status: 413\n"));
    // A request that never ends is reset without blame behind the reply.
    CHECK(has_line(&held->head, ":status: 413\n") && held->code == NGHTTP2_NO_ERROR);
    CHECK(has_line(&fits->head, ":status: 201\n"));
}

TEST(http2_refuses_large_heads)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    OWNED(buf_fini) struct buf many = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    for (int i = 0; i < HTTP_HEADERS_MAX + 10; i++)
        buf_printf(&many, "x-%d: v\n", i);
    struct call *a = request(&c, "GET", "/echo", buf_cstr(&many), STR_NONE);
    finish(&c, a);
    CHECK(has_line(&a->head, ":status: 431\n"));
}

TEST(http2_slow_requests_end)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;

    fixture_open(&f, (struct http_server_options){ .read_timeout_ms = 300 });
    client_open(&c, &f);
    struct call *slow = request(&c, "POST", "/echo", "", STR("x"));
    slow->hold = true;
    finish(&c, slow);
    CHECK(has_line(&slow->head, ":status: 408\n"));
    // Then nothing more: the server says goodbye.
    for (int i = 0; i < 50 && !c.over; i++)
        turn(&c, 1000);
    CHECK(c.over && c.goaway);
}

TEST(http2_garbage_ends_the_connection)
{
    static const char *const after[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",            // no SETTINGS
        "\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\x01\x88", // HEADERS on stream 0
        "\xff\xff\xff\x04\0\0\0\0\0",                   // a frame of 16 MiB
    };
    static const size_t sizes[] = { 27, 18, 9 };
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f, (struct http_server_options){ .read_timeout_ms = 2000 });
    for (size_t i = 0; i < ARRAY_LEN(after); i++) {
        OWNED(client_close) struct client c;
        char in[4096];
        ssize_t n;

        client_open(&c, &f);
        CHECK(send(c.fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, MSG_NOSIGNAL) > 0);
        CHECK(send(c.fd, after[i], sizes[i], MSG_NOSIGNAL) > 0);
        while ((n = recv(c.fd, in, sizeof in, 0)) > 0)
            continue;
        CHECK(n == 0 || n == -1);
    }
}

TEST(http2_and_http1_share_the_port)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    static const char get[] = "PUT /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                              "Content-Length: 0\r\n\r\n";
    char in[4096] = "";
    size_t got = 0;
    ssize_t n;

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    // "P" alone may be either.
    CHECK(send(c.fd, get, 1, MSG_NOSIGNAL) == 1 && poll(NULL, 0, 20) == 0);
    CHECK(send(c.fd, get + 1, sizeof get - 2, MSG_NOSIGNAL) > 0);
    while (got < sizeof in - 1 && (n = recv(c.fd, in + got, sizeof in - 1 - got, 0)) > 0)
        got += (size_t)n;
    CHECK(strstr(in, "HTTP/1.1 201") && strstr(in, "PUT /echo? [] h  0"));
}

/* ---- clients that leave, servers that stop ---- */

TEST(http2_reset_cancels_the_handler)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    struct call *a = request(&c, "GET", "/cancel", "", STR_NONE);
    send_all(&c);
    await(&f.gate, &f.gate.entered);
    nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, a->id, NGHTTP2_CANCEL);
    send_all(&c);
    await(&f.gate, &f.gate.cancelled);
    struct call *b = request(&c, "GET", "/echo", "", STR_NONE);
    finish(&c, b);
    CHECK(has_line(&b->head, ":status: 201\n"));
}

TEST(http2_disconnect_cancels_the_handler)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    request(&c, "GET", "/cancel", "", STR_NONE);
    send_all(&c);
    await(&f.gate, &f.gate.entered);
    close(c.fd);
    c.fd = -1;
    await(&f.gate, &f.gate.cancelled);
}

TEST(http2_rapid_reset_is_stopped)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    const nghttp2_nv nv[] = {
        { (uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0 },
        { (uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0 },
        { (uint8_t *)":path", (uint8_t *)"/echo", 5, 5, 0 },
    };

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    for (int i = 0; i < 20000 && !c.over && !c.goaway; i++) {
        int32_t id = nghttp2_submit_request(c.session, NULL, nv, 3, NULL, NULL);
        send_all(&c);
        nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        while (turn(&c, 0))
            continue;
    }
    CHECK(c.over || c.goaway);
}

static void stop(void *fixture)
{
    struct fixture *f = fixture;

    http_server_stop(f->server);
}

TEST(http2_stop_lets_requests_finish)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    OWNED(pool_stop) struct pool *stopper = NULL;
    struct err e = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    CHECK_OK(pool_start(&stopper, &(struct pool_options){ .name = "stop", .threads = 1 }, &e), &e);
    client_open(&c, &f);
    struct call *a = request(&c, "GET", "/gate", "", STR_NONE);
    send_all(&c);
    await(&f.gate, &f.gate.entered);
    CHECK_OK(pool_submit(stopper, stop, &f, &e), &e);
    for (int i = 0; i < 50 && !c.goaway; i++)
        turn(&c, 1000);
    CHECK(c.goaway == (uint32_t)a->id + 1 && !a->closed);
    set(&f.gate, &f.gate.open);
    finish(&c, a);
    CHECK_STR(buf_view(&a->body), STR("through"));
    for (int i = 0; i < 50 && !c.over; i++)
        turn(&c, 1000);
    CHECK(c.over);
}

/* ---- gRPC ---- */

#define GRPC_HEADERS "content-type: application/grpc\nte: trailers\n"

static struct str message(struct buf *b, uint8_t flag, struct str text)
{
    buf_reset(b);
    buf_char(b, (char)flag);
    buf_le32(b, __builtin_bswap32((uint32_t)text.n));
    buf_str(b, text);
    return buf_view(b);
}

TEST(grpc_unary)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    OWNED(buf_fini) struct buf b = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    struct str framed = message(&b, 0, STR("hello"));
    struct call *a = request(&c, "POST", "/t.Test/Echo", GRPC_HEADERS, framed);
    finish(&c, a);
    CHECK_STR(buf_view(&a->body), framed);
    CHECK(has_line(&a->head, ":status: 200\n"));
    CHECK(has_line(&a->head, "content-type: application/grpc\n"));
    CHECK(!has_line(&a->head, "grpc-status") && has_line(&a->trailers, "grpc-status: 0\n"));

    a = request(&c, "POST", "/t.Test/Echo", GRPC_HEADERS "grpc-timeout: 20S\n",
                message(&b, 0, STR("")));
    finish(&c, a);
    CHECK(a->body.n == 5 && has_line(&a->trailers, "grpc-status: 0\n"));
}

TEST(grpc_compression_both_ways)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(client_close) struct client c;
    OWNED(buf_fini) struct buf b = { 0 }, z = { 0 }, text = { 0 }, back = { 0 };
    struct err e = { 0 };

    fixture_open(&f, (struct http_server_options){ 0 });
    client_open(&c, &f);
    for (int i = 0; i < 1000; i++)
        buf_lit(&text, "again ");
    compress_all(COMPRESS_GZIP, 0, buf_view(&text), &z);
    struct call *a = request(&c, "POST", "/t.Test/Echo",
                             GRPC_HEADERS
                             "grpc-encoding: gzip\ngrpc-accept-encoding: identity, gzip\n",
                             message(&b, 1, buf_view(&z)));
    finish(&c, a);
    CHECK(has_line(&a->head, "grpc-encoding: gzip\n") && a->body.n > 5 && a->body.p[0] == 1);
    CHECK(get_be32(a->body.p + 1) == a->body.n - 5);
    CHECK_OK(
        compress_inflate(COMPRESS_GZIP, str_sub(buf_view(&a->body), 5, a->body.n), NULL, &back, &e),
        &e);
    CHECK_STR(buf_view(&back), buf_view(&text));
}

TEST(grpc_failures)
{
    OWNED(buf_fini) struct buf two = { 0 }, bomb = { 0 };
    static char zeros[4 << 20];
    struct str z = STR_NONE;

    compress_all(COMPRESS_GZIP, 0, str_of(zeros, sizeof zeros), &bomb);
    z = buf_view(&bomb);
    const struct {
        const char *path, *headers;
        uint8_t flag;
        struct str text;
        const char *line;
    } cases[] = {
        { "/t.Test/None", "", 0, STR("x"), "grpc-status: 12\n" },
        { "/t.Test/None", "", 0, STR("x"),
          "grpc-message: unknown method None for service t.Test\n" },
        { "/t.Test/Fail", "", 0, STR("x"), "grpc-status: 14\n" },
        { "/t.Test/Fail", "", 0, STR("x"), "grpc-message: 50%25 %0A%C3%A4\n" },
        { "/t.Test/Fail", "", 0, STR("x"), "grpc-status-details-bin: " },
        { "/t.Test/Echo", "grpc-timeout: 0n\n", 0, STR("x"), "grpc-status: 4\n" },
        { "/t.Test/Echo", "grpc-timeout: 5\n", 0, STR("x"), "grpc-status: 13\n" },
        { "/t.Test/Echo", "grpc-encoding: br\n", 1, STR("x"), "grpc-status: 12\n" },
        { "/t.Test/Echo", "grpc-encoding: br\n", 1, STR("x"), "grpc-accept-encoding: " },
        { "/t.Test/Echo", "", 1, STR("x"), "grpc-status: 13\n" },
        { "/t.Test/Echo", "", 2, STR("x"), "grpc-status: 13\n" },
        { "/t.Test/Echo", "grpc-encoding: gzip\n", 1, STR("no gzip"), "grpc-status: 13\n" },
        { "/t.Test/Echo", "grpc-encoding: gzip\n", 1, z, "grpc-status: 8\n" },
        { "/t.Test/Echo", "", 0, str_of(zeros, 2 << 20), "grpc-status: 8\n" },
    };
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f, (struct http_server_options){ 0 });
    FOR_CASES (t, cases) {
        OWNED(client_close) struct client c;
        OWNED(buf_fini) struct buf b = { 0 }, headers = { 0 };

        client_open(&c, &f);
        buf_printf(&headers, "%s%s", GRPC_HEADERS, t->headers);
        struct call *a = request(&c, "POST", t->path, buf_cstr(&headers),
                                 message(&b, t->flag, t->text));
        finish(&c, a);
        // An error is a head alone.
        CHECK(has_line(&a->head, ":status: 200\n") && a->body.n == 0 && a->trailers.n == 0);
        CHECK_F(has_line(&a->head, t->line), "%s: want %s got %s", t->path, t->line,
                buf_cstr(&a->head));
    }
    OWNED(client_close) struct client c;
    client_open(&c, &f);
    struct call *a = request(&c, "POST", "/t.Test/Echo", "content-type: text/plain\n", STR("x"));
    finish(&c, a);
    CHECK(has_line(&a->head, ":status: 415\n"));
}
