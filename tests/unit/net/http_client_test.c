// http_client_test.c - the client against our own server and against one that misbehaves.
// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "net/http_parser.h"
#include "test.h"

/* ---- a server that says what it is told, right or wrong ---- */

struct script {            // one connection
    struct str replies[4]; // after each request head; p NULL: close
    bool hold;             // then leave the connection open
    bool reset;            // then reset it
    bool endless;          // repeats the last reply until the client is gone
};

enum { SCRIPTS_MAX = 16 };

struct puppet {
    int fd, port;
    struct thread thread;
    const struct script *scripts;
    size_t script_count;
    struct mutex mu;
    struct buf heard; // under mu: all request bytes
    atomic_int connections;
    atomic_bool stop;
    int held[SCRIPTS_MAX];
    size_t held_count;
};

static int listen_any(int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

// Reads one head (and what comes with it). False: the client is gone.
static bool hear_head(struct puppet *p, int fd)
{
    OWNED(buf_fini) struct buf in = { 0 };

    while (str_find(buf_view(&in), STR("\r\n\r\n")) == STR_NPOS) {
        ssize_t n = recv(fd, buf_room(&in, 4096), 4096, 0);
        if (n <= 0)
            return false;
        in.n += (size_t)n;
    }
    LOCKED(&p->mu);
    buf_str(&p->heard, buf_view(&in));
    return true;
}

static void say(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        s = str_sub(s, (size_t)n, s.n);
    }
}

static void play(struct puppet *p, const struct script *s, int fd)
{
    struct str last = STR_NONE;

    for (size_t i = 0; i < ARRAY_LEN(s->replies) && s->replies[i].p; i++) {
        if (!hear_head(p, fd))
            break;
        say(fd, last = s->replies[i]);
    }
    while (s->endless && send(fd, last.p, last.n, MSG_NOSIGNAL) > 0)
        ;
    if (s->hold && p->held_count < SCRIPTS_MAX) {
        p->held[p->held_count++] = fd;
        return;
    }
    if (s->reset) {
        struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close(fd);
}

static void *run_puppet(void *ctx)
{
    struct puppet *p = ctx;

    for (size_t i = 0; i < p->script_count && !atomic_load(&p->stop); i++) {
        int fd = accept(p->fd, NULL, NULL);
        struct timeval limit = { .tv_sec = 20 };

        if (fd < 0)
            break;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        atomic_fetch_add(&p->connections, 1);
        play(p, &p->scripts[i], fd);
    }
    return NULL;
}

static void puppet_open(struct puppet *p, const struct script *scripts, size_t n)
{
    struct err e = { 0 };

    *p = (struct puppet){ .scripts = scripts, .script_count = n };
    mutex_init(&p->mu, "puppet", RANK_LEAF);
    p->fd = listen_any(&p->port);
    CHECK_OK(thread_start(&p->thread, "puppet", run_puppet, p, &e), &e);
}

static void puppet_close(struct puppet *p)
{
    atomic_store(&p->stop, true);
    shutdown(p->fd, SHUT_RDWR);
    thread_join(&p->thread);
    close(p->fd);
    for (size_t i = 0; i < p->held_count; i++)
        close(p->held[i]);
    buf_fini(&p->heard);
    mutex_fini(&p->mu);
}
OWN_DEFINE_FINI(struct puppet, puppet_close)

/* ---- calling ---- */

struct answer {
    struct arena arena;
    struct http_response r;
    struct err e;
    bool ok;
};

static void answer_fini(struct answer *a)
{
    arena_fini(&a->arena);
    buf_fini(&a->r.body);
}
OWN_DEFINE_FINI(struct answer, answer_fini)

static struct http_client *client_start(void)
{
    struct http_client *c = NULL;
    struct err e = { 0 };

    CHECK_OK(http_client_start(&c, &e), &e);
    return c;
}

static void call(struct http_client *c, struct http_call_options o, struct answer *a)
{
    *a = (struct answer){ 0 };
    if (!o.timeout_ms)
        o.timeout_ms = 15000;
    a->ok = http_client_wait(c, &o, &a->arena, &a->r, &a->e);
}

static void get(struct http_client *c, int port, const char *path, struct answer *a)
{
    struct arena scratch = { 0 };
    struct str url = arena_printf(&scratch, "http://127.0.0.1:%d%s", port, path);

    call(c, (struct http_call_options){ .url = url }, a);
    arena_fini(&scratch);
}

/* ---- our own server ---- */

static void handle_lines(struct http_exchange *x)
{
    for (int i = 0; i < 5000; i++)
        buf_printf(http_body(x), "metric_%d{a=\"b\"} %d\n", i, i);
}

static void handle_echo(struct http_exchange *x)
{
    buf_printf(http_body(x), "%.*s %.*s %.*s|", STRF(x->req.method), STRF(x->req.target),
               STRF(http_header_get(&x->req, STR("Host"))));
    buf_printf(http_body(x), "%.*s|%.*s", STRF(http_header_get(&x->req, STR("X-Mine"))),
               STRF(x->req.body));
}

static void handle_auth(struct http_exchange *x)
{
    buf_str(http_body(x), http_header_get(&x->req, STR("Authorization")));
}

static void handle_redirect(struct http_exchange *x)
{
    uint64_t status = 302;
    struct str to = x->req.query;

    if (str_to_u64(str_sub(to, 0, 3), &status))
        to = str_sub(to, 3, to.n);
    http_status(x, (int)status);
    http_set_header(x, STR("Location"), to);
    buf_lit(http_body(x), "moved");
}

static void handle_empty(struct http_exchange *x)
{
    http_status(x, 204);
}

struct own {
    struct http_server *server;
    int port;
};

static void own_open(struct own *o)
{
    static const char *const listen_on[] = { "127.0.0.1:0" };
    static const struct http_route routes[] = {
        { .path = "/lines", .handle = handle_lines },
        { .path = "/echo", .prefix = true, .handle = handle_echo, .body_max = 8 << 20 },
        { .path = "/auth", .handle = handle_auth },
        { .path = "/redirect", .handle = handle_redirect },
        { .path = "/empty", .handle = handle_empty },
    };
    struct err e = { 0 };

    CHECK_OK(http_server_open(&o->server,
                              &(struct http_server_options){
                                  .listen = listen_on, .listen_count = 1, .loops = 1 },
                              &e),
             &e);
    FOR_CASES (r, routes)
        http_server_route(o->server, r);
    CHECK_OK(http_server_start(o->server, &e), &e);
    o->port = http_server_port(o->server, 0);
}

static void own_close(struct own *o)
{
    http_server_close(o->server);
}
OWN_DEFINE_FINI(struct own, own_close)

TEST(http_client_gets)
{
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(answer_fini) struct answer a = { 0 };
    OWNED(answer_fini) struct answer h = { 0 };

    own_open(&s);
    get(c, s.port, "/echo/a%20b?c=d", &a);
    CHECK_OK(a.ok, &a.e);
    char want[100];
    snprintf(want, sizeof want, "GET /echo/a%%20b?c=d 127.0.0.1:%d||", s.port);
    CHECK_STR(buf_view(&a.r.body), str_c(want));
    CHECK(a.r.status == 200 && a.r.duration_ns > 0 && a.r.wire_bytes == a.r.body.n);
    CHECK_STR(a.r.reason, STR("OK"));
    CHECK(http_header_find(a.r.headers, a.r.header_count, STR("date")).n > 0);
    get(c, s.port, "/empty", &h);
    CHECK(h.ok && h.r.status == 204 && h.r.body.n == 0);
}

TEST(http_client_posts_and_sends_headers)
{
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    OWNED(buf_fini) struct buf big = { 0 };
    struct http_header h[] = { { STR("X-Mine"), STR("yes") }, { STR("Host"), STR("other") } };

    own_open(&s);
    memset(buf_room(&big, 3 << 20), 'x', 3 << 20);
    big.n = 3 << 20;
    struct http_call_options o = { .method = STR("POST"),
                                   .headers = h,
                                   .header_count = 2,
                                   .url = arena_printf(&m, "http://127.0.0.1:%d/echo", s.port),
                                   .body = STR("hello") };
    OWNED(answer_fini) struct answer a = { 0 };
    call(c, o, &a);
    CHECK_OK(a.ok, &a.e);
    CHECK_STR(buf_view(&a.r.body), STR("POST /echo other|yes|hello"));
    OWNED(answer_fini) struct answer b = { 0 };
    o.body = buf_view(&big);
    call(c, o, &b);
    CHECK(b.ok && b.r.body.n == big.n + 21);
    OWNED(answer_fini) struct answer bad = { 0 };
    h[0].value = STR("a\r\nb");
    call(c, o, &bad);
    CHECK(!bad.ok && strstr(bad.e.text, "invalid header field value for \"X-Mine\""));
}

TEST(http_client_head_has_no_body)
{
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };

    own_open(&s);
    for (int i = 0; i < 2; i++) { // the second finds the connection in order
        OWNED(answer_fini) struct answer a = { 0 };
        call(c,
             (struct http_call_options){
                 .method = STR("HEAD"),
                 .url = arena_printf(&m, "http://127.0.0.1:%d/lines", s.port) },
             &a);
        CHECK(a.ok && a.r.status == 200 && a.r.body.n == 0);
    }
}

TEST(http_client_inflates)
{
    static const char *const codings[] = { "gzip", "deflate", "zstd", "identity" };
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    struct str url;
    size_t size = 0;

    own_open(&s);
    url = arena_printf(&m, "http://127.0.0.1:%d/lines", s.port);
    for (int keep = 0; keep < 2; keep++) {
        FOR_CASES (coding, codings) {
            OWNED(answer_fini) struct answer a = { 0 };
            struct http_header h = { STR("Accept-Encoding"), str_c(*coding) };

            call(c,
                 (struct http_call_options){
                     .url = url, .headers = &h, .header_count = 1, .keep_encoded = keep },
                 &a);
            CHECK_OK(a.ok, &a.e);
            bool packed = !str_eq_c(str_c(*coding), "identity");
            if (!keep)
                CHECK(str_ends(buf_view(&a.r.body), STR("metric_4999{a=\"b\"} 4999\n")));
            size = keep ? size : a.r.body.n;
            CHECK((a.r.wire_bytes < size) == packed);
            CHECK(!keep || a.r.body.n == a.r.wire_bytes);
        }
    }
    OWNED(answer_fini) struct answer small = { 0 };
    OWNED(answer_fini) struct answer exact = { 0 };
    struct http_header h = { STR("Accept-Encoding"), STR("gzip") };
    struct http_call_options o = { .url = url, .headers = &h, .header_count = 1, .body_max = size };
    call(c, o, &exact);
    CHECK(exact.ok);
    o.body_max--;
    call(c, o, &small);
    CHECK(!small.ok && small.e.kind == ERR_LIMIT);
}

TEST(http_client_user_of_the_url)
{
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };

    own_open(&s);
    call(c,
         (struct http_call_options){
             .url = arena_printf(&m, "http://us%%40er:pw@127.0.0.1:%d/auth", s.port) },
         &a);
    CHECK_STR(buf_view(&a.r.body), STR("Basic dXNAZXI6cHc="));
}

TEST(http_client_redirects)
{
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    static const struct {
        const char *query, *method, *body;
        const char *out; // method and target, then the body
    } cases[] = {
        { "/echo/x", "GET", "", "GET /echo/x" },
        { "301/echo/x?y=z", "POST", "data", "GET /echo/x?y=z" },
        { "307/echo", "POST", "data", "POST /echo" },
        { "308echo", "PUT", "data", "PUT /echo" },
        { "303/echo", "POST", "data", "GET /echo" },
    };

    own_open(&s);
    FOR_CASES (t, cases) {
        OWNED(answer_fini) struct answer a = { 0 };

        call(c,
             (struct http_call_options){
                 .method = str_c(t->method),
                 .body = str_c(t->body),
                 .url = arena_printf(&m, "http://127.0.0.1:%d/redirect?%s", s.port, t->query) },
             &a);
        CHECK_OK(a.ok, &a.e);
        CHECK_F(str_starts(buf_view(&a.r.body), str_c(t->out)), "%s: %.*s", t->query,
                (int)a.r.body.n, a.r.body.p);
        bool kept = str_starts(str_c(t->query), STR("307")) ||
                    str_starts(str_c(t->query), STR("308"));
        CHECK(str_ends(buf_view(&a.r.body), STR("|data")) == kept);
    }
    OWNED(answer_fini) struct answer stay = { 0 };
    call(c,
         (struct http_call_options){
             .no_redirects = true,
             .url = arena_printf(&m, "http://127.0.0.1:%d/redirect?/echo", s.port) },
         &stay);
    CHECK(stay.ok && stay.r.status == 302);
    CHECK_STR(buf_view(&stay.r.body), STR("moved"));
    OWNED(answer_fini) struct answer loop = { 0 };
    call(c,
         (struct http_call_options){
             .url = arena_printf(&m, "http://127.0.0.1:%d/redirect?", s.port) },
         &loop);
    CHECK(loop.ok && loop.r.status == 302); // an empty Location leads nowhere
    OWNED(answer_fini) struct answer odd = { 0 };
    call(c,
         (struct http_call_options){
             .url = arena_printf(&m, "http://127.0.0.1:%d/redirect?ftp://x/", s.port) },
         &odd);
    CHECK_STR(str_c(odd.e.text), STR("Get \"ftp://x/\": unsupported protocol scheme \"ftp\""));
}

TEST(http_client_other_sites_do_not_get_secrets)
{
    static const struct script scripts[] = {
        { .replies = { STR("HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: "
                           "0\r\n\r\n") } }
    };
    OWNED(puppet_close) struct puppet p;
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };
    OWNED(answer_fini) struct answer same = { 0 };
    struct http_header h = { STR("Authorization"), STR("Bearer secret") };

    own_open(&s);
    puppet_open(&p, scripts, 1);
    // 127.0.0.1 leads to localhost: another name, another site.
    struct str to = arena_printf(&m, "http://127.0.0.1:%d/redirect?http://localhost:%d/auth",
                                 s.port, s.port);
    call(c, (struct http_call_options){ .url = to, .headers = &h, .header_count = 1 }, &a);
    CHECK_OK(a.ok, &a.e);
    CHECK_STR(buf_view(&a.r.body), STR(""));
    to = arena_printf(&m, "http://127.0.0.1:%d/redirect?/auth", s.port);
    call(c, (struct http_call_options){ .url = to, .headers = &h, .header_count = 1 }, &same);
    CHECK_STR(buf_view(&same.r.body), STR("Bearer secret"));
}

/* ---- connections kept and lost ---- */

#define OK_2 STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

TEST(http_client_keeps_connections)
{
    static const struct script scripts[] = { { .replies = { OK_2, OK_2, OK_2 }, .hold = true } };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();

    puppet_open(&p, scripts, 1);
    for (int i = 0; i < 3; i++) {
        OWNED(answer_fini) struct answer a = { 0 };
        get(c, p.port, "/", &a);
        CHECK_OK(a.ok, &a.e);
        CHECK_STR(buf_view(&a.r.body), STR("ok"));
    }
    CHECK(atomic_load(&p.connections) == 1);
}

TEST(http_client_retries_a_stale_connection_once)
{
    // The first connection answers once, takes a second request and closes without a word.
    static const struct script scripts[] = { { .replies = { OK_2, STR("") } },
                                             { .replies = { OK_2 } } };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();

    puppet_open(&p, scripts, 2);
    for (int i = 0; i < 2; i++) {
        OWNED(answer_fini) struct answer a = { 0 };
        get(c, p.port, "/", &a);
        CHECK_OK(a.ok, &a.e);
    }
    CHECK(atomic_load(&p.connections) == 2);
}

TEST(http_client_does_not_repeat_a_post)
{
    static const struct script scripts[] = { { .replies = { OK_2, STR("") } },
                                             { .replies = { OK_2 } } };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };

    puppet_open(&p, scripts, 2);
    for (int i = 0; i < 2; i++) {
        OWNED(answer_fini) struct answer a = { 0 };
        call(c,
             (struct http_call_options){ .method = STR("POST"),
                                         .body = STR("x"),
                                         .url = arena_printf(&m, "http://127.0.0.1:%d/", p.port) },
             &a);
        CHECK(a.ok == (i == 0));
        if (!a.ok)
            CHECK_F(str_ends(str_c(a.e.text), STR(": EOF")), "%s", a.e.text);
    }
}

TEST(http_client_does_not_keep_what_is_odd)
{
    static const struct script odd[] = {
        { .replies = { STR("HTTP/1.1 200 OK\nContent-Length: 2\n\nok") }, .hold = true },
        { .replies = { STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok extra") },
          .hold = true },
        { .replies = { STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok") },
          .hold = true },
        { .replies = { STR("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok") }, .hold = true },
        { .replies = { STR("HTTP/1.1 200 OK\r\n\r\nok") } },
        { .replies = { STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
                           "chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n") },
          .hold = true },
    };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();

    puppet_open(&p, odd, ARRAY_LEN(odd));
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        OWNED(answer_fini) struct answer a = { 0 };
        get(c, p.port, "/", &a);
        CHECK_OK(a.ok, &a.e);
        CHECK_STR(buf_view(&a.r.body), STR("ok"));
        CHECK((size_t)atomic_load(&p.connections) == i + 1);
    }
}

/* ---- answers that are wrong ---- */

TEST(http_client_failures_and_their_words)
{
    static const struct {
        struct script s;
        enum err_kind kind;
        const char *text; // behind Get "…": , or whole when it starts with '='
    } cases[] = {
        { { .replies = { STR("") } }, ERR_IO, "EOF" },
        { { .replies = { STR("HTTP/1.1 200") } },
          ERR_IO,
          "net/http: HTTP/1.x transport connection broken: unexpected EOF" },
        { { .replies = { STR("SSH-2.0-OpenSSH_9\r\n\r\n") } },
          ERR_INVALID,
          "net/http: HTTP/1.x transport connection broken: malformed HTTP response "
          "\"SSH-2.0-OpenSSH_9\"" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort") } },
          ERR_IO,
          "=unexpected EOF" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel") } },
          ERR_IO,
          "=unexpected EOF" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") } },
          ERR_INVALID,
          "=invalid byte in chunk length" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n") } },
          ERR_INVALID,
          "net/http: HTTP/1.x transport connection broken: bad Content-Length" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n") } },
          ERR_LIMIT,
          "=body size limit exceeded" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\n\r\n"), STR("") }, .hold = true },
          ERR_TIMEOUT,
          "=context deadline exceeded" },
        { { .replies = { STR(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope") } },
          ERR_CORRUPT,
          "=gzip: invalid header" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\n\r\n0123456789abcdef") }, .endless = true },
          ERR_LIMIT,
          "=body size limit exceeded" },
        { { .replies = { STR("HTTP/1.1 200 OK\r\nX: y\r\n") }, .endless = true },
          ERR_LIMIT,
          "net/http: HTTP/1.x transport connection broken: request header fields too large" },
    };

    FOR_CASES (t, cases) {
        OWNED(puppet_close) struct puppet p;
        OWNED(http_client_stop) struct http_client *c = client_start();
        OWNED(arena_fini) struct arena m = { 0 };
        OWNED(answer_fini) struct answer a = { 0 };
        struct str url, want;

        puppet_open(&p, &t->s, 1);
        url = arena_printf(&m, "http://127.0.0.1:%d/m", p.port);
        want = t->text[0] == '=' ? str_c(t->text + 1)
                                 : arena_printf(&m, "Get \"%.*s\": %s", STRF(url), t->text);
        call(c,
             (struct http_call_options){
                 .url = url, .body_max = 4000, .timeout_ms = t->kind == ERR_TIMEOUT ? 100 : 15000 },
             &a);
        CHECK(!a.ok);
        CHECK_STR(str_c(a.e.text), want);
        CHECK(a.e.kind == t->kind);
    }
}

TEST(http_client_reset_connection)
{
    static const struct script scripts[] = {
        { .replies = { STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort") }, .reset = true }
    };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(answer_fini) struct answer a = { 0 };

    puppet_open(&p, scripts, 1);
    get(c, p.port, "/", &a);
    CHECK(!a.ok && strstr(a.e.text, "read tcp 127.0.0.1:"));
    CHECK(str_ends(str_c(a.e.text), STR(": read: connection reset by peer")));
}

TEST(http_client_nobody_there)
{
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };
    OWNED(answer_fini) struct answer lost = { 0 };
    int port, fd = listen_any(&port);

    close(fd); // nobody listens there now
    get(c, port, "/x", &a);
    CHECK(!a.ok && a.e.kind == ERR_IO);
    CHECK_STR(
        str_c(a.e.text),
        arena_printf(
            &m, "Get \"http://127.0.0.1:%d/x\": dial tcp 127.0.0.1:%d: connect: connection refused",
            port, port));
    call(c, (struct http_call_options){ .url = STR("http://no.such.host.invalid:9/") }, &lost);
    CHECK_F(strstr(lost.e.text,
                   "Get \"http://no.such.host.invalid:9/\": dial tcp: lookup no.such.host.invalid"),
            "%s", lost.e.text);
}

TEST(http_client_bad_urls)
{
    static const struct {
        const char *url, *text;
    } cases[] = {
        { "ftp://h/", "Get \"ftp://h/\": unsupported protocol scheme \"ftp\"" },
        { "http:///x", "Get \"http:///x\": http: no Host in request URL" },
        { "http://h:a/",
          "Get \"http://h:a/\": parse \"http://h:a/\": invalid port \":a\" after host" },
        { "http://u:secret@h:99999/",
          "Get \"http://u:***@h:99999/\": dial tcp: address 99999: invalid port" },
    };
    OWNED(http_client_stop) struct http_client *c = client_start();

    FOR_CASES (t, cases) {
        OWNED(answer_fini) struct answer a = { 0 };
        call(c, (struct http_call_options){ .url = str_c(t->url) }, &a);
        CHECK(!a.ok);
        CHECK_STR(str_c(a.e.text), str_c(t->text));
    }
}

TEST(http_client_long_urls_keep_the_cause)
{
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(buf_fini) struct buf url = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };
    int port, fd = listen_any(&port);

    close(fd);
    buf_printf(&url, "http://127.0.0.1:%d/", port);
    for (int i = 0; i < 500; i++)
        buf_char(&url, 'x');
    call(c, (struct http_call_options){ .url = buf_view(&url) }, &a);
    CHECK_F(str_ends(str_c(a.e.text), STR("connection refused")), "%s", a.e.text);
}

TEST(http_client_deadline_covers_a_silent_server)
{
    static const struct script scripts[] = { { .replies = { STR(""), STR("") } } };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };
    struct str url;

    puppet_open(&p, scripts, 1);
    url = arena_printf(&m, "http://127.0.0.1:%d/", p.port);
    call(c, (struct http_call_options){ .url = url, .timeout_ms = 60 }, &a);
    CHECK(!a.ok && a.e.kind == ERR_TIMEOUT);
    CHECK_STR(str_c(a.e.text),
              arena_printf(&m, "Get \"%.*s\": context deadline exceeded", STRF(url)));
}

/* ---- proxies ---- */

TEST(http_client_plain_proxy)
{
    static const struct script scripts[] = { { .replies = { OK_2, OK_2 }, .hold = true } };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    struct str proxy;

    puppet_open(&p, scripts, 1);
    proxy = arena_printf(&m, "http://pu:pp@127.0.0.1:%d", p.port);
    for (int i = 0; i < 2; i++) { // hosts share the connection
        OWNED(answer_fini) struct answer a = { 0 };
        call(c,
             (struct http_call_options){ .url = i ? STR("http://two.example/b")
                                                  : STR("http://one.example:8080/a?b"),
                                         .proxy_url = proxy },
             &a);
        CHECK_OK(a.ok, &a.e);
    }
    LOCKED(&p.mu);
    CHECK(
        str_starts(buf_view(&p.heard),
                   STR("GET http://one.example:8080/a?b HTTP/1.1\r\nHost: one.example:8080\r\n")));
    CHECK(str_find(buf_view(&p.heard), STR("Proxy-Authorization: Basic cHU6cHA=\r\n")) != STR_NPOS);
    CHECK(str_find(buf_view(&p.heard), STR("GET http://two.example/b HTTP/1.1\r\n")) != STR_NPOS);
    CHECK(atomic_load(&p.connections) == 1);
}

TEST(http_client_proxy_refusals)
{
    static const struct script scripts[] = { { .replies = {
                                                   STR("HTTP/1.1 403 Forbidden\r\n\r\n") } } };
    OWNED(puppet_close) struct puppet p;
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };
    OWNED(answer_fini) struct answer none = { 0 };
    struct http_header extra = { STR("X-Proxy"), STR("p") };
    int port, fd = listen_any(&port);

    close(fd);
    puppet_open(&p, scripts, 1);
    call(c,
         (struct http_call_options){
             .url = STR("https://t.example/x"),
             .proxy_url = arena_printf(&m, "http://u:v@127.0.0.1:%d", p.port),
             .proxy_headers = &extra,
             .proxy_header_count = 1 },
         &a);
    CHECK_STR(str_c(a.e.text), STR("Get \"https://t.example/x\": Forbidden"));
    mutex_lock(&p.mu);
    CHECK_STR(buf_view(&p.heard),
              STR("CONNECT t.example:443 HTTP/1.1\r\nHost: t.example:443\r\nX-Proxy: "
                  "p\r\nProxy-Authorization: Basic dTp2\r\n\r\n"));
    mutex_unlock(&p.mu);
    call(c,
         (struct http_call_options){ .url = STR("http://t.example/x"),
                                     .proxy_url = arena_printf(&m, "http://127.0.0.1:%d", port) },
         &none);
    CHECK_F(strstr(none.e.text, "proxyconnect tcp: dial tcp 127.0.0.1:"), "%s", none.e.text);
}

/* ---- many, and stopping ---- */

struct tally {
    struct mutex mu;
    struct cond cond;
    int ok, failed; // under mu
    enum err_kind kind;
};

static void count(void *ctx, struct http_response *r, const struct err *e)
{
    struct tally *t = ctx;
    LOCKED(&t->mu);

    if (r)
        t->ok++;
    else
        t->failed++;
    if (e)
        t->kind = e->kind;
    cond_wake(&t->cond);
}

TEST(http_client_many_at_once)
{
    enum { CALLS = 300 };
    OWNED(own_close) struct own s = { 0 };
    OWNED(http_client_stop) struct http_client *c = client_start();
    OWNED(arena_fini) struct arena m = { 0 };
    struct tally t = { .mu = MUTEX_INIT("tally", RANK_LEAF) };

    own_open(&s);
    cond_init(&t.cond);
    struct http_call_options o = { .url = arena_printf(&m, "http://127.0.0.1:%d/lines", s.port),
                                   .timeout_ms = 15000 };
    for (int i = 0; i < CALLS; i++)
        http_client_call(c, &o, count, &t);
    mutex_lock(&t.mu);
    for (int i = 0; i < 20 && t.ok + t.failed < CALLS; i++)
        cond_wait(&t.cond, &t.mu, 15000);
    while (t.ok + t.failed < CALLS && cond_wait(&t.cond, &t.mu, 15000))
        ;
    CHECK_F(t.ok == CALLS, "%d ok, %d failed", t.ok, t.failed);
    mutex_unlock(&t.mu);
    cond_fini(&t.cond);
}

TEST(http_client_stop_ends_running_calls)
{
    static const struct script scripts[] = { { .replies = { STR(""), STR("") } } };
    OWNED(puppet_close) struct puppet p;
    OWNED(arena_fini) struct arena m = { 0 };
    struct http_client *c = client_start();
    struct tally t = { .mu = MUTEX_INIT("tally", RANK_LEAF) };

    puppet_open(&p, scripts, 1);
    cond_init(&t.cond);
    http_client_call(
        c,
        &(struct http_call_options){ .url = arena_printf(&m, "http://127.0.0.1:%d/", p.port),
                                     .timeout_ms = 15000 },
        count, &t);
    http_client_stop(c);
    CHECK(t.failed == 1 && t.ok == 0 && t.kind == ERR_CANCELLED);
    cond_fini(&t.cond);
}
