// http2.c - the session of a connection: see http2_priv.h.
// SPDX-License-Identifier: Apache-2.0
#include "net/http2_priv.h"

#include "base/mem.h"
#include "base/time.h"

/* ---- streams ---- */

static struct http2_stream *stream_new(struct http2_conn *h, int32_t id)
{
    struct http2_stream *s = xcalloc(1, sizeof *s);

    s->conn = h;
    s->id = id;
    s->out_last = &s->out;
    s->since_ms = http_conn_ms(h->conn);
    s->x = http_exchange_new(h->conn);
    s->x->stream = s;
    s->x->pub.req.http2 = true;
    s->x->keep_alive = true;
    s->x->task.run = http2_reply_collect;
    s->next = h->streams;
    s->link = &h->streams;
    if (s->next)
        s->next->link = &s->next;
    h->streams = s;
    h->stream_count++;
    return s;
}

static void uncount_body(struct http2_stream *s)
{
    s->conn->body_bytes -= s->counted;
    s->counted = 0;
}

static void stream_free(struct http2_stream *s)
{
    struct http2_conn *h = s->conn;

    uncount_body(s);
    if (s->x->complete)
        http_route_count(s->x);
    http_exchange_drop(s->x);
    http_out_free(s->out);
    arena_fini(&s->arena);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    h->stream_count--;
    h->idle_ms = http_conn_ms(h->conn);
    xfree(s);
}

/* ---- requests ---- */

static void start(struct http2_stream *s)
{
    s->started = true;
    uncount_body(s);
    s->since_ms = http_conn_ms(s->conn->conn);
    if (!http_exchange_start(s->x))
        http2_reply_take(s);
}

static void refuse(struct http2_stream *s, int status, const char *text)
{
    http_exchange_refuse(s->x, status, text);
    start(s);
}

// Crumbs of a cookie are one header for handlers (RFC 9113 section 8.2.3).
static void join_cookies(struct http2_stream *s)
{
    struct http_header *first = NULL;
    size_t to = 0;

    for (size_t i = 0; i < s->headers.n; i++) {
        struct http_header *h = &s->headers.v[i];
        bool cookie = str_eq(h->name, STR("cookie"));

        if (cookie && first) {
            first->value = arena_printf(&s->x->pub.arena, "%.*s; %.*s", STRF(first->value),
                                        STRF(h->value));
            continue;
        }
        s->headers.v[to] = *h;
        if (cookie)
            first = &s->headers.v[to];
        to++;
    }
    s->headers.n = to;
}

static void fill_request(struct http2_stream *s)
{
    struct http_request *r = &s->x->pub.req;
    struct arena *a = &s->x->pub.arena;

    join_cookies(s);
    if (s->authority.n && !http_header_find(s->headers.v, s->headers.n, STR("host")).p)
        *vec_push_in(a, &s->headers) = (struct http_header){ STR("host"), s->authority };
    r->method = s->method;
    r->headers = s->headers.v;
    r->header_count = s->headers.n;
    s->x->head_only = str_eq(s->method, STR("HEAD"));
}

static void begin_body(struct http2_stream *s)
{
    struct http_exchange_priv *x = s->x;
    uint64_t length;

    s->waiting = false;
    if (s->ended) {
        start(s);
        return;
    }
    if (str_to_u64(http_header_get(&x->pub.req, STR("content-length")), &length) &&
        length > x->body_max)
        refuse(s, 413, "request body too large");
}

static void on_hashed(struct loop_task *t)
{
    struct http_exchange_priv *x = CONTAINER_OF(t, struct http_exchange_priv, auth_task);
    struct http2_stream *s = x->stream;

    http_exchange_hashed(x);
    if (!s) {
        http_exchange_free(x);
        return;
    }
    struct http_conn *c = x->conn;
    s->since_ms = http_conn_ms(c);
    if (x->verdict == WEB_ALLOWED)
        begin_body(s);
    else
        start(s);
    http_conn_go_on(c);
}

// The head is complete.
static void begin_request(struct http2_stream *s)
{
    struct http_exchange_priv *x = s->x;

    fill_request(s);
    s->since_ms = http_conn_ms(s->conn->conn);
    if (s->too_large) {
        refuse(s, 431, "the head is too large");
        return;
    }
    if (str_eq(s->method, STR("CONNECT")) || s->target.n == 0) {
        refuse(s, 501, "CONNECT is not served here");
        return;
    }
    if (!http_exchange_set_target(x, s->target)) {
        start(s);
        return;
    }
    http_exchange_find_route(x);
    switch (http_exchange_authorize(x, on_hashed)) {
    case WEB_ALLOWED:
        begin_body(s);
        break;
    case WEB_DENIED:
        start(s);
        break;
    case WEB_UNKNOWN:
        s->waiting = true;
        break;
    }
}

// All of the request is here, trailers too.
static void end_request(struct http2_stream *s)
{
    s->ended = true;
    if (!s->started && !s->waiting)
        start(s);
}

static void take_body(struct http2_stream *s, struct str data)
{
    struct http_exchange_priv *x = s->x;
    struct http2_conn *h = s->conn;

    if (data.n > x->body_max - x->body_in.n) {
        if (s->waiting) // for a password: then the limit is all that it gets
            s->too_large = true;
        else
            refuse(s, 413, "request body too large");
        return;
    }
    if (h->body_bytes + data.n > HTTP2_BODIES_MAX && x->body_in.n + data.n > HTTP2_BODIES_FREE &&
        !s->waiting) {
        refuse(s, 503, "too many large request bodies at once");
        return;
    }
    if (!x->body_in.p)
        x->body_in = http_spare_take(x->loop);
    buf_str(&x->body_in, data);
    s->counted += data.n;
    h->body_bytes += data.n;
}

/* ---- what nghttp2 calls ---- */

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static bool is_request(const nghttp2_frame *f)
{
    return f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *conn)
{
    struct http2_conn *h = conn;

    h->head_ms = http_conn_ms(h->conn);
    if (!is_request(f))
        return 0;
    if (h->stopping || h->stream_count >= HTTP2_STREAMS_MAX) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, f->hd.stream_id,
                                  NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    nghttp2_session_set_stream_user_data(session, f->hd.stream_id, stream_new(h, f->hd.stream_id));
    return 0;
}

static void take_pseudo(struct http2_stream *s, struct str name, struct str value)
{
    if (str_eq(name, STR(":method")))
        s->method = value;
    else if (str_eq(name, STR(":path")))
        s->target = value;
    else if (str_eq(name, STR(":authority")))
        s->authority = value;
}

static struct str str_of_rcbuf(nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);

    return str_of((const char *)v.base, v.len);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *conn)
{
    struct http2_stream *s = stream_of(session, f->hd.stream_id);

    (void)flags, (void)conn;
    if (!s || !is_request(f))
        return 0; // trailers are dropped
    struct str n = str_of_rcbuf(name), v = str_of_rcbuf(value);
    s->head_bytes += n.n + v.n + 32;
    s->too_large |= s->head_bytes > HTTP_HEAD_MAX || s->headers.n >= HTTP_HEADERS_MAX;
    bool pseudo = n.n && n.p[0] == ':';
    if (s->too_large && !pseudo)
        return 0;
    struct arena *a = &s->x->pub.arena;
    n = arena_str(a, n);
    v = arena_str(a, v);
    if (pseudo)
        take_pseudo(s, n, v);
    else
        *vec_push_in(a, &s->headers) = (struct http_header){ n, v };
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *conn)
{
    struct http2_conn *h = conn;

    if (f->hd.type == NGHTTP2_HEADERS)
        h->head_ms = 0;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
        return 0;
    struct http2_stream *s = stream_of(session, f->hd.stream_id);
    if (!s)
        return 0;
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    s->ended |= end;
    if (is_request(f))
        begin_request(s);
    else if (end)
        end_request(s);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *conn)
{
    struct http2_stream *s = stream_of(session, id);

    (void)flags, (void)conn;
    if (s && !s->started)
        take_body(s, str_of((const char *)p, n));
    return 0;
}

// A reply that ended before its request did: the rest of the request is not wanted.
static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *conn)
{
    bool ends = (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA) &&
                (f->hd.flags & NGHTTP2_FLAG_END_STREAM);
    struct http2_stream *s = ends ? stream_of(session, f->hd.stream_id) : NULL;

    (void)conn;
    if (s && !s->ended)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *conn)
{
    struct http2_stream *s = stream_of(session, id);

    (void)code, (void)conn;
    if (s)
        stream_free(s);
    return 0;
}

/* ---- the session ---- */

enum http_parse http2_preface(struct str in)
{
    struct str whole = STR(NGHTTP2_CLIENT_MAGIC);
    size_t n = MIN(in.n, whole.n);

    if (!str_eq(str_sub(in, 0, n), str_sub(whole, 0, n)))
        return HTTP_PARSE_BAD;
    return n == whole.n ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}

static nghttp2_session *new_session(struct http2_conn *h)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *o;
    nghttp2_session *session = NULL;

    int bad = nghttp2_session_callbacks_new(&cb) | nghttp2_option_new(&o);
    assert(!bad);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_option_set_no_closed_streams(o, 1);
    bad = nghttp2_session_server_new2(&session, cb, h, o);
    assert(!bad);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    return session;
}

void http2_open(struct http_conn *c)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    struct http2_conn *h = xcalloc(1, sizeof *h);

    h->conn = c;
    h->idle_ms = http_conn_ms(c);
    h->session = new_session(h);
    c->http2 = h;
    int bad = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    bad |= nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 HTTP2_CONN_WINDOW);
    assert(!bad);
}

void http2_close(struct http_conn *c)
{
    struct http2_conn *h = TAKE(c->http2);

    if (!h)
        return;
    nghttp2_session_del(h->session);
    while (h->streams)
        stream_free(h->streams);
    xfree(h);
}

bool http2_input(struct http_conn *c, struct str in)
{
    return nghttp2_session_mem_recv(c->http2->session, (const uint8_t *)in.p, in.n) >= 0;
}

bool http2_output(struct http_conn *c)
{
    struct buf b = { 0 };

    if (!c->http2)
        return false;
    while (b.n < HTTP2_OUTPUT_SIZE) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(c->http2->session, &p);

        if (n <= 0)
            break;
        if (!b.p)
            b = http_spare_take(c->loop);
        buf_bytes(&b, p, (size_t)n);
    }
    if (b.n == 0)
        return false;
    struct http_out *o = xcalloc(1, sizeof *o);
    o->body = b;
    http_conn_append(c, o);
    return true;
}

bool http2_is_over(const struct http_conn *c)
{
    nghttp2_session *session = c->http2->session;

    return !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session);
}

/* ---- time, and the end ---- */

// A request or reply of a stream that does not get on.
static void sweep_stream(struct http2_stream *s, uint64_t now_ms)
{
    struct http_exchange_priv *x = s->x;
    int64_t took_ms = (int64_t)(now_ms - s->since_ms), read_ms = x->server->read_timeout_ms;

    if (s->waiting)
        return;
    if (!s->started) {
        int64_t earned_ms = (int64_t)(x->body_in.n * 1000 / HTTP_BODY_RATE_MIN);
        if (took_ms > MIN(read_ms, earned_ms + HTTP_BODY_GRACE_MS))
            refuse(s, 408, "the request came too slowly");
    } else if (s->out && took_ms > read_ms) {
        nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
    }
}

bool http2_sweep(struct http_conn *c, uint64_t now_ms)
{
    struct http2_conn *h = c->http2;
    const struct http_server *server = c->loop->server;

    if (c->out && (int64_t)(now_ms - c->since_ms) > server->read_timeout_ms)
        return false;
    if (h->head_ms && (int64_t)(now_ms - h->head_ms) > server->header_timeout_ms)
        return false;
    for (struct http2_stream *s = h->streams, *next; s; s = next) {
        next = s->next;
        sweep_stream(s, now_ms);
    }
    if (!h->streams && !h->stopping && (int64_t)(now_ms - h->idle_ms) > server->read_timeout_ms)
        http2_stop(c);
    return true;
}

void http2_stop(struct http_conn *c)
{
    struct http2_conn *h = c->http2;

    if (h->stopping)
        return;
    h->stopping = true;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    for (struct http2_stream *s = h->streams; s; s = s->next) {
        struct http_exchange_priv *x = s->x;

        mutex_lock(&x->mu);
        bool live = x->live;
        mutex_unlock(&x->mu);
        if (live)
            atomic_store_explicit(&x->cancelled, true, memory_order_relaxed);
    }
}
