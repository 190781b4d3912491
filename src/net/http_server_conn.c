/*
 * http_server_conn.c - one connection: bytes in, requests out of them, replies back.
 *
 * States: HEAD (between requests and while a head comes in), AUTH (a password is being checked), BODY, RUN (a handler runs or its
 * reply is being sent), LINGER (all is said; what still comes in is dropped for a while so that
 * the last reply is not lost to a reset), CLOSED. Requests of one connection are handled one
 * after the other; what a client sends ahead waits in `in`, at most HTTP_READ_SIZE bytes.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_priv.h"

#include <sys/socket.h>

#include "base/mem.h"
#include "base/metric.h"
#include "base/pool.h"
#include "base/time.h"
#include "net/tls.h"

// A handler or a password check runs: what comes in waits.
static bool is_busy(const struct http_conn *c)
{
    return c->state == HTTP_CONN_RUN || c->state == HTTP_CONN_AUTH;
}

uint64_t http_conn_ms(const struct http_conn *c)
{
    return uv_now(loop_uv(c->loop->loop));
}

/* ---- the end of a connection ---- */

static void on_closed(struct loop_poll *p)
{
    struct http_conn *c = CONTAINER_OF(p, struct http_conn, poll);
    struct http_server *s = c->loop->server;

    buf_fini(&c->in);
    xfree(c);
    http_server_conn_closed(s);
}

void http_conn_drop(struct http_conn *c)
{
    if (c->state == HTTP_CONN_CLOSED)
        return;
    c->state = HTTP_CONN_CLOSED;
    if (c->x)
        http_exchange_drop(TAKE(c->x));
    http2_close(c);
    http_out_free(TAKE(c->out));
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    tls_stream_close(&c->stream);
    loop_poll_close(&c->poll, on_closed);
}

/* ---- bytes out ---- */

static int gather(const struct http_out *o, struct iovec *v, int max)
{
    int n = 0;

    for (; o && n + 3 <= max; o = o->next) {
        struct str parts[] = { buf_view(&o->head), buf_view(&o->body), o->tail };
        size_t skip = o->sent;

        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            struct str left = str_sub(parts[i], skip, parts[i].n);
            skip -= MIN(skip, parts[i].n);
            if (left.n)
                v[n++] = (struct iovec){ (char *)(uintptr_t)left.p, left.n };
        }
    }
    return n;
}

static void sent(struct http_conn *c, size_t n)
{
    size_t all = n;

    while (c->out) {
        struct http_out *o = c->out;
        size_t left = http_out_size(o) - o->sent;

        if (n < left) {
            o->sent += n;
            break;
        }
        n -= left;
        c->out = o->next;
        o->next = NULL;
        http_spare_put(c->loop, &o->body);
        http_out_free(o);
    }
    if (!c->out)
        c->out_last = &c->out;
    c->since_ms = http_conn_ms(c);
    if (c->x)
        http_exchange_drained(c->x, all);
}

// False: the connection is gone.
static bool flush(struct http_conn *c)
{
    while (c->out || http2_output(c)) {
        struct iovec v[48];
        int n = gather(c->out, v, ARRAY_LEN(v));
        ssize_t put = n ? stream_writev(&c->stream, v, n) : 0;

        if (put == STREAM_AGAIN)
            return true;
        if (put < 0) {
            http_conn_drop(c);
            return false;
        }
        sent(c, (size_t)put);
    }
    return true;
}

static void want_events(struct http_conn *c)
{
    int events = 0;

    if (c->state == HTTP_CONN_CLOSED)
        return;
    if (!c->eof)
        events = is_busy(c) && c->in.n >= HTTP_READ_SIZE ? LOOP_GONE : LOOP_READ;
    if (c->out || c->stream.want_write)
        events |= LOOP_WRITE;
    if (c->stream.want_read)
        events |= LOOP_READ;
    loop_poll_want(&c->poll, events);
}

/* ---- the end of a request ---- */

// unread: bytes of the peer may wait in the kernel; a plain close would then be a reset, which
// can overtake the reply.
static void close_or_linger(struct http_conn *c, bool unread)
{
    if (c->eof || !unread) {
        http_conn_drop(c);
        return;
    }
    tls_stream_close(&c->stream); // the rest is only counted
    shutdown(c->stream.fd, SHUT_WR);
    buf_fini(&c->in);
    c->state = HTTP_CONN_LINGER;
    c->since_ms = http_conn_ms(c);
}

// The reply is in the socket: on to the next request or to the end.
static void request_end(struct http_conn *c)
{
    struct http_exchange_priv *x = TAKE(c->x);
    bool stopping = atomic_load_explicit(&x->server->stopping, memory_order_relaxed);
    bool keep = x->keep_alive && (!c->eof || c->in.n) && !stopping;
    bool unread = x->refused || c->in.n;

    http_route_count(x);
    http_exchange_free(x);
    c->state = HTTP_CONN_HEAD;
    c->scan = (struct http_head_scan){ 0 };
    c->since_ms = http_conn_ms(c);
    if (!keep)
        close_or_linger(c, unread);
}

// Sends what there is; at the end of a complete reply the request ends.
static void advance(struct http_conn *c)
{
    if (!flush(c) || c->out)
        return;
    if (c->http2 && http2_is_over(c))
        http_conn_drop(c);
    else if (c->x && c->x->complete)
        request_end(c);
}

void http_conn_append(struct http_conn *c, struct http_out *o)
{
    assert(o && c->state != HTTP_CONN_CLOSED);
    if (!c->out)
        c->since_ms = http_conn_ms(c);
    *c->out_last = o;
    while (o->next)
        o = o->next;
    c->out_last = &o->next;
}

// Takes over what the handler has made since; true: it has ended.
static bool collect(struct http_exchange_priv *x)
{
    bool done;
    struct http_out *o = http_exchange_take(x, &done);

    if (o && x->conn)
        http_conn_append(x->conn, o);
    else
        http_out_free(o);
    return done;
}

/* ---- requests ---- */

// The request is complete.
static void dispatch(struct http_conn *c)
{
    c->state = HTTP_CONN_RUN;
    if (http_exchange_start(c->x))
        return;
    collect(c->x);
    advance(c);
}

static void refuse(struct http_conn *c, int status, const char *text)
{
    http_exchange_refuse(c->x, status, text);
    dispatch(c);
}

static bool fill_request(struct http_conn *c, struct http_exchange_priv *x,
                         const struct http_head *h)
{
    x->pub.req.method = h->method;
    x->pub.req.headers = h->headers;
    x->pub.req.header_count = h->header_count;
    x->head_only = str_eq(h->method, STR("HEAD"));
    x->http10 = h->minor == 0;
    x->keep_alive = h->keep_alive;
    x->chunked = h->chunked;
    x->body_left = h->length;
    x->expect_continue = h->expect_continue;
    return http_exchange_set_target(x, h->target);
}

static void send_continue(struct http_conn *c)
{
    struct http_out *o = xcalloc(1, sizeof *o);

    o->tail = STR("HTTP/1.1 100 Continue\r\n\r\n");
    mutex_lock(&c->x->mu);
    c->x->in_flight += o->tail.n;
    mutex_unlock(&c->x->mu);
    http_conn_append(c, o);
    flush(c);
}

// The head is known: route it and see whether and how a body follows. more: bytes are behind it.
static void begin_body(struct http_conn *c, bool more)
{
    struct http_exchange_priv *x = c->x;

    if (!x->chunked && x->body_left == 0) {
        dispatch(c);
        return;
    }
    if (x->body_left > x->body_max) {
        refuse(c, 413, "request body too large");
        return;
    }
    c->state = HTTP_CONN_BODY;
    x->body_in = http_spare_take(c->loop);
    if (x->expect_continue && !more)
        send_continue(c);
}

static void on_hashed(struct loop_task *t); // continues what authorize() starts

static void obey(struct http_conn *c, enum web_verdict v, bool more)
{
    if (v == WEB_ALLOWED)
        begin_body(c, more);
    else if (v == WEB_DENIED)
        dispatch(c);
    else
        c->state = HTTP_CONN_AUTH;
}

static void begin_request(struct http_conn *c, struct str head, bool more)
{
    struct http_exchange_priv *x = http_exchange_new(c);
    struct http_head h;
    struct err e;
    int status;

    c->x = x;
    c->since_ms = http_conn_ms(c);
    if (!http_head_parse_request(&x->pub.arena, arena_str(&x->pub.arena, head), &h, &status, &e)) {
        refuse(c, status, e.text);
        return;
    }
    if (!fill_request(c, x, &h)) {
        dispatch(c);
        return;
    }
    if (str_eq(h.method, STR("CONNECT"))) {
        refuse(c, 501, "CONNECT is not served here");
        return;
    }
    http_exchange_find_route(x);
    obey(c, http_exchange_authorize(x, on_hashed), more);
}

// Returns the bytes used; 0: the head is not complete.
static size_t consume_head(struct http_conn *c, struct str in)
{
    struct err e;
    int status;
    size_t end;

    switch (http_head_scan(&c->scan, in, &end, &status, &e)) {
    case HTTP_PARSE_DONE:
        begin_request(c, str_sub(in, c->scan.start, end), end < in.n);
        return end;
    case HTTP_PARSE_MORE:
        return 0;
    default:
        c->x = http_exchange_new(c);
        refuse(c, status, e.text);
        return in.n;
    }
}

static size_t consume_chunks(struct http_conn *c, struct str in)
{
    struct http_exchange_priv *x = c->x;
    struct str rest = in, data;
    enum http_parse r;
    struct err e;

    while ((r = http_chunked_next(&x->chunks, &rest, &data, &e)) == HTTP_PARSE_DATA) {
        if (data.n > x->body_max - x->body_in.n) {
            refuse(c, 413, "request body too large");
            return in.n;
        }
        buf_str(&x->body_in, data);
    }
    if (r == HTTP_PARSE_BAD) {
        refuse(c, 400, e.text);
        return in.n;
    }
    if (r == HTTP_PARSE_DONE)
        dispatch(c);
    return in.n - rest.n;
}

static size_t consume_body(struct http_conn *c, struct str in)
{
    struct http_exchange_priv *x = c->x;

    if (x->chunked)
        return consume_chunks(c, in);
    size_t n = (size_t)MIN((uint64_t)in.n, x->body_left);
    buf_bytes(&x->body_in, in.p, n);
    x->body_left -= n;
    if (x->body_left == 0)
        dispatch(c);
    return n;
}

static size_t consume(struct http_conn *c, struct str in)
{
    size_t used = 0;

    while (used < in.n && (c->state == HTTP_CONN_HEAD || c->state == HTTP_CONN_BODY)) {
        struct str rest = str_sub(in, used, in.n);
        size_t n = c->state == HTTP_CONN_HEAD ? consume_head(c, rest) : consume_body(c, rest);

        if (n == 0)
            break;
        used += n;
    }
    return used;
}

static void keep_rest(struct http_conn *c, struct str in, size_t used)
{
    bool over = c->state == HTTP_CONN_CLOSED || c->state == HTTP_CONN_LINGER;

    if (in.p != c->in.p) {
        if (!over)
            buf_str(&c->in, str_sub(in, used, in.n));
    } else if (used == c->in.n || over) {
        buf_fini(&c->in);
    } else if (used) {
        memmove(c->in.p, c->in.p + used, c->in.n - used);
        c->in.n -= used;
    }
}

// Goes on with what was read ahead.
static void resume(struct http_conn *c)
{
    if (c->in.n && (c->state == HTTP_CONN_HEAD || c->state == HTTP_CONN_BODY)) {
        struct str in = buf_view(&c->in);
        keep_rest(c, in, consume(c, in));
    }
    if (c->eof && (c->state == HTTP_CONN_HEAD || c->state == HTTP_CONN_BODY))
        http_conn_drop(c);
}

/* ---- bytes in ---- */

// The first bytes tell which version is spoken. True: HTTP/1, or too few bytes to tell.
static bool is_http1(struct http_conn *c, struct str in)
{
    if (c->is_http1)
        return true;
    enum http_parse p = http2_preface(in);
    c->is_http1 = p == HTTP_PARSE_BAD;
    if (p != HTTP_PARSE_DONE)
        return true;
    c->state = HTTP_CONN_HTTP2;
    http2_open(c);
    return false;
}

static void take_http2(struct http_conn *c, struct str in)
{
    bool ok = http2_input(c, in);

    buf_fini(&c->in);
    if (ok)
        advance(c);
    else
        http_conn_drop(c);
}

static void take_input(struct http_conn *c, struct str in)
{
    if (c->state == HTTP_CONN_HTTP2) {
        take_http2(c, in);
        return;
    }
    if (c->state == HTTP_CONN_LINGER) {
        c->lingered += (uint32_t)in.n;
        if (c->lingered > HTTP_LINGER_BYTES)
            http_conn_drop(c);
        return;
    }
    if (c->in.n) {
        buf_str(&c->in, in);
        in = buf_view(&c->in);
    } else if (c->state == HTTP_CONN_HEAD) {
        c->since_ms = http_conn_ms(c);
    }
    if (!is_http1(c, in))
        take_http2(c, in);
    else
        keep_rest(c, in, c->is_http1 ? consume(c, in) : 0);
}

// The peer sends no more. A reply under way is still written, but the handler is told.
static void take_eof(struct http_conn *c)
{
    c->eof = true;
    if (is_busy(c))
        atomic_store_explicit(&c->x->cancelled, true, memory_order_relaxed);
    else
        http_conn_drop(c);
}

// A body of known length is read to where it stays.
static bool reads_body(const struct http_conn *c)
{
    return c->state == HTTP_CONN_BODY && !c->x->chunked && c->in.n == 0;
}

static void say_wrong_scheme(struct http_conn *c)
{
    static const char text[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
                               "Client sent an HTTP request to an HTTPS server.\n";

    send(c->stream.fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(c->stream.fd, SHUT_WR);
}

// One read; false: nothing more for now.
static bool read_some(struct http_conn *c)
{
    bool body = reads_body(c);
    size_t room = body ? (size_t)MIN(c->x->body_left, (uint64_t)HTTP_BODY_READ_SIZE)
                       : HTTP_READ_SIZE - (is_busy(c) ? c->in.n : 0);
    char *to = body ? buf_room(&c->x->body_in, room) : c->loop->scratch;
    ssize_t got = stream_read(&c->stream, to, room);

    if (got == STREAM_AGAIN)
        return false;
    if (got < 0) {
        if (tls_stream_saw_http(&c->stream))
            say_wrong_scheme(c);
        http_conn_drop(c);
    } else if (got == 0) {
        take_eof(c);
    } else if (body) {
        c->x->body_in.n += (size_t)got;
        c->x->body_left -= (uint64_t)got;
        if (c->x->body_left == 0)
            dispatch(c);
    } else {
        take_input(c, str_of(to, (size_t)got));
    }
    return got > 0 && ((size_t)got == room || c->stream.tls);
}

// A few rounds only: others wait on this loop. TLS is read dry, since what it holds wakes nobody.
static void pump(struct http_conn *c)
{
    for (int i = 0; c->stream.tls || i < 8; i++) {
        if (c->state == HTTP_CONN_CLOSED || c->eof)
            break;
        if (is_busy(c) && c->in.n >= HTTP_READ_SIZE)
            break;
        if (!read_some(c))
            break;
    }
}

// After something other than input has moved the connection on.
void http_conn_go_on(struct http_conn *c)
{
    if (c->http2)
        advance(c);
    resume(c);
    if (tls_stream_has_bytes(&c->stream))
        pump(c);
    want_events(c);
}

void http_exchange_collect(struct loop_task *t)
{
    struct http_exchange_priv *x = CONTAINER_OF(t, struct http_exchange_priv, task);
    bool done = collect(x);
    struct http_conn *c = x->conn;

    if (!c) {
        if (done)
            http_exchange_free(x);
        return;
    }
    if (done && x->failed) {
        http_conn_drop(c);
        return;
    }
    advance(c);
    http_conn_go_on(c);
}

static void on_hashed(struct loop_task *t)
{
    struct http_exchange_priv *x = CONTAINER_OF(t, struct http_exchange_priv, auth_task);
    struct http_conn *c = x->conn;

    http_exchange_hashed(x);
    if (!c) {
        http_exchange_free(x);
        return;
    }
    obey(c, x->verdict, c->in.n > 0);
    http_conn_go_on(c);
}

static void on_ready(struct loop_poll *p, int events)
{
    struct http_conn *c = CONTAINER_OF(p, struct http_conn, poll);

    if (events < 0) {
        http_conn_drop(c);
        return;
    }
    if (c->out) {
        advance(c);
        resume(c);
    }
    pump(c);
    if (c->state != HTTP_CONN_CLOSED && (events & LOOP_GONE) && c->x && !c->eof)
        atomic_store_explicit(&c->x->cancelled, true, memory_order_relaxed);
    want_events(c);
}

/* ---- from the server ---- */

// As upstream, a changed certificate counts from the next connection on.
static void start_tls(struct http_conn *c)
{
    struct http_server *s = c->loop->server;

    if (!s->web)
        return;
    web_access_refresh(s->web);
    struct web_config *w = web_access_config(s->web);
    if (w->tls)
        tls_stream_open(&c->stream, w->tls, NULL);
    web_config_put(w);
}

void http_conn_open(struct http_server_loop *l, int fd, const char *peer)
{
    struct http_conn *c = xcalloc(1, sizeof *c);
    struct err e;

    c->loop = l;
    c->stream.fd = fd;
    c->out_last = &c->out;
    start_tls(c);
    c->peer_n = (uint8_t)MIN(strlen(peer), sizeof c->peer);
    memcpy(c->peer, peer, c->peer_n);
    c->since_ms = http_conn_ms(c);
    bool ok = loop_poll_init(l->loop, &c->poll, fd, on_ready, &e);
    assert(ok);
    c->next = l->conns;
    c->link = &l->conns;
    if (c->next)
        c->next->link = &c->next;
    l->conns = c;
    want_events(c);
}

// Milliseconds that the present state may last without progress.
static int64_t patience_ms(struct http_conn *c)
{
    const struct http_server *s = c->loop->server;

    switch (c->state) {
    case HTTP_CONN_HEAD:
        return c->in.n || !tls_stream_is_ready(&c->stream) ? s->header_timeout_ms
                                                           : s->read_timeout_ms;
    case HTTP_CONN_BODY: {
        int64_t earned_ms = (int64_t)(c->x->body_in.n * 1000 / HTTP_BODY_RATE_MIN);
        return MIN(s->read_timeout_ms, earned_ms + HTTP_BODY_GRACE_MS);
    }
    case HTTP_CONN_AUTH:
    case HTTP_CONN_RUN:
        return c->out ? s->read_timeout_ms : INT64_MAX;
    default:
        return HTTP_LINGER_MS;
    }
}

void http_conn_sweep(struct http_conn *c, uint64_t now_ms)
{
    if (c->state == HTTP_CONN_HTTP2) {
        if (http2_sweep(c, now_ms))
            http_conn_go_on(c);
        else
            http_conn_drop(c);
        return;
    }
    if (c->state == HTTP_CONN_CLOSED || (int64_t)(now_ms - c->since_ms) <= patience_ms(c))
        return;
    if (c->state == HTTP_CONN_BODY || (c->state == HTTP_CONN_HEAD && c->in.n)) {
        if (!c->x)
            c->x = http_exchange_new(c);
        refuse(c, 408, "the request came too slowly");
        want_events(c);
        return;
    }
    http_conn_drop(c);
}

void http_conn_stop(struct http_conn *c, bool hard)
{
    if (!hard && c->http2) {
        http2_stop(c);
        http_conn_go_on(c);
        return;
    }
    if (hard || !is_busy(c)) {
        http_conn_drop(c);
        return;
    }
    mutex_lock(&c->x->mu);
    bool live = c->x->live;
    mutex_unlock(&c->x->mu);
    if (live)
        atomic_store_explicit(&c->x->cancelled, true, memory_order_relaxed);
}
