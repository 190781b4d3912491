/*
 * http_client_call.c - one call: tunnel, TLS, request out, response in, redirects.
 *
 * Phases: DIAL, then for https through a proxy TUNNEL, for https HANDSHAKE, then EXCHANGE, in which
 * request and response may overlap (a server may refuse a body before it has all of it).
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http_client_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "codec/base64.h"
#include "codec/compress.h"

static void begin(struct http_call *call);
static void step(struct http_call *call);

/* ---- the end ---- */

static void free_when_closed(struct http_call *call)
{
    if (--call->timers_open > 0)
        return;
    arena_fini(&call->arena);
    xfree(call);
}

static void on_deadline_closed(struct loop_timer *t)
{
    free_when_closed(CONTAINER_OF(t, struct http_call, deadline));
}

static void on_next_closed(struct loop_timer *t)
{
    free_when_closed(CONTAINER_OF(t, struct http_call, next_address));
}

// Gives the answer and lets everything go; the call is not to be touched after.
static void end(struct http_call *call, struct http_response *r, const struct err *e)
{
    call->phase = CALL_OVER;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    client_dial_stop(call);
    if (call->conn)
        client_conn_close(TAKE(call->conn));
    call->done(call->ctx, r, e);
    buf_fini(&call->out);
    buf_fini(&call->in);
    buf_fini(&call->body);
    http_tls_free(call->o.tls);
    loop_timer_close(&call->deadline, on_deadline_closed);
    loop_timer_close(&call->next_address, on_next_closed);
}

void client_call_fail_bare(struct http_call *call, const struct err *e)
{
    end(call, NULL, e);
}

// "Get" for GET, as Go's url.Error.
static void put_operation(struct buf *b, struct str method)
{
    for (size_t i = 0; i < method.n; i++)
        buf_char(b, (char)(i ? tolower(method.p[i]) : toupper(method.p[i])));
}

// The cause is what matters: a URL too long for the record is cut.
void client_call_fail(struct http_call *call, const struct err *cause)
{
    OWNED(buf_fini) struct buf url = { 0 }, op = { 0 };
    struct err e = *cause;
    size_t room = sizeof e.text - strlen(cause->text);

    put_operation(&op, call->o.method);
    if (call->url.scheme.n)
        buf_url(&url, &call->url);
    else
        buf_str(&url, call->o.url);
    room = room > op.n + 10 ? room - op.n - 10 : 0;
    bool cut = url.n > room;
    err_wrap(&e, "%s \"%.*s%s\"", buf_cstr(&op), (int)MIN(url.n, room), url.p, cut ? "…" : "");
    end(call, NULL, &e);
}

static void fail(struct http_call *call, enum err_kind kind, const char *text)
{
    struct err e;

    err_set(&e, kind, "%s", text);
    client_call_fail(call, &e);
}

// While the body comes in, Go's readers see the bare cause.
static void fail_reading(struct http_call *call, enum err_kind kind, const char *text)
{
    struct err e;

    err_set(&e, kind, "%s", text);
    if (call->got_head)
        client_call_fail_bare(call, &e);
    else
        client_call_fail(call, &e);
}

static void on_deadline(struct loop_timer *t)
{
    fail_reading(CONTAINER_OF(t, struct http_call, deadline), ERR_TIMEOUT,
                 "context deadline exceeded");
}

/* ---- the request ---- */

static bool method_may_repeat(struct str m)
{
    return str_eq(m, STR("GET")) || str_eq(m, STR("HEAD")) || str_eq(m, STR("OPTIONS")) ||
           str_eq(m, STR("PUT")) || str_eq(m, STR("DELETE"));
}

static bool has_header(const struct http_call *call, const char *name)
{
    return http_header_find(call->o.headers, call->o.header_count, str_c(name)).p != NULL;
}

static void put_basic(struct buf *b, const char *name, const struct url *u)
{
    OWNED(buf_fini) struct buf plain = { 0 };

    buf_printf(&plain, "%.*s:%.*s", STRF(u->user), STRF(u->password));
    buf_printf(b, "%s: Basic ", name);
    buf_base64(b, buf_view(&plain));
    buf_lit(b, "\r\n");
}

static void put_headers(struct buf *b, const struct http_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (h[i].name.n)
            buf_printf(b, "%.*s: %.*s\r\n", STRF(h[i].name), STRF(h[i].value));
}

static void put_request(struct http_call *call)
{
    struct buf *b = &call->out;

    buf_reset(b);
    buf_str(b, call->method);
    buf_char(b, ' ');
    if (call->via_proxy && !call->tunnel) {
        buf_printf(b, "%.*s://", STRF(call->url.scheme));
        buf_url_host(b, &call->url);
    }
    buf_url_target(b, &call->url);
    buf_lit(b, " HTTP/1.1\r\n");
    if (!has_header(call, "Host")) {
        buf_lit(b, "Host: ");
        buf_url_host(b, &call->url);
        buf_lit(b, "\r\n");
    }
    put_headers(b, call->o.headers, call->o.header_count);
    if (call->url.has_user && !has_header(call, "Authorization"))
        put_basic(b, "Authorization", &call->url);
    if (call->via_proxy && !call->tunnel && call->proxy.has_user)
        put_basic(b, "Proxy-Authorization", &call->proxy);
    bool says_length = call->with_body || str_eq(call->method, STR("POST")) ||
                       str_eq(call->method, STR("PUT")) || str_eq(call->method, STR("PATCH"));
    if (says_length)
        buf_printf(b, "Content-Length: %zu\r\n", call->with_body ? call->o.body.n : 0);
    buf_lit(b, "\r\n");
}

static void put_connect(struct http_call *call)
{
    struct buf *b = &call->out;

    buf_reset(b);
    for (int i = 0; i < 2; i++) {
        buf_str(b, i ? STR("Host: ") : STR("CONNECT "));
        buf_printf(b, call->url.ipv6 ? "[%.*s]:%d" : "%.*s:%d", STRF(call->url.host),
                   url_port(&call->url));
        buf_str(b, i ? STR("\r\n") : STR(" HTTP/1.1\r\n"));
    }
    put_headers(b, call->o.proxy_headers, call->o.proxy_header_count);
    if (call->proxy.has_user)
        put_basic(b, "Proxy-Authorization", &call->proxy);
    buf_lit(b, "\r\n");
}

/* ---- getting a connection ---- */

static bool headers_are_valid(const struct http_header *h, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (h[i].name.n && !http_is_token(h[i].name))
            return err_set(e, ERR_INVALID, "net/http: invalid header field name \"%.*s\"",
                           STRF(h[i].name));
        if (!http_is_field_value(h[i].value))
            return err_set(e, ERR_INVALID, "net/http: invalid header field value for \"%.*s\"",
                           STRF(h[i].name));
    }
    return true;
}

static bool check_url(const struct url *u, struct err *e)
{
    if (!str_eq(u->scheme, STR("http")) && !str_eq(u->scheme, STR("https")))
        return err_set(e, ERR_INVALID, "unsupported protocol scheme \"%.*s\"", STRF(u->scheme));
    if (!u->host.n)
        return err_set(e, ERR_INVALID, "http: no Host in request URL");
    if (!url_port(u))
        return err_set(e, ERR_INVALID, "dial tcp: address %.*s: invalid port", STRF(u->port));
    return true;
}

static bool is_https(const struct url *u)
{
    return str_eq(u->scheme, STR("https"));
}

static bool prepare(struct http_call *call, struct err *e)
{
    call->method = call->o.method;
    call->with_body = call->o.body.n > 0;
    if (!http_is_token(call->method))
        return err_set(e, ERR_INVALID, "net/http: invalid method \"%.*s\"", STRF(call->method));
    if (!url_parse(&call->arena, call->o.url, &call->url, e) || !check_url(&call->url, e))
        return false;
    if (!headers_are_valid(call->o.headers, call->o.header_count, e) ||
        !headers_are_valid(call->o.proxy_headers, call->o.proxy_header_count, e))
        return false;
    call->via_proxy = call->o.proxy_url.n > 0;
    if (!call->via_proxy)
        return true;
    if (!url_parse(&call->arena, call->o.proxy_url, &call->proxy, e) || !check_url(&call->proxy, e))
        return err_wrap(e, "proxy");
    return true;
}

static bool choose_tls(struct http_call *call, struct err *e)
{
    struct http_client *c = call->client;

    if (call->o.tls || (!is_https(&call->url) && !(call->via_proxy && is_https(&call->proxy))))
        return true;
    if (!c->default_tls && !http_tls_new(&c->default_tls, &(struct tls_client_options){ 0 }, e))
        return false;
    call->o.tls = tls_get(c->default_tls);
    return true;
}

// Two calls may share a connection when this text is the same.
static const char *connection_key(struct http_call *call)
{
    const struct url *u = &call->url, *p = &call->proxy;
    unsigned long long tls = call->o.tls ? tls_id(call->o.tls) : 0;
    struct str s;

    if (call->via_proxy && !call->tunnel) // one connection carries requests for all hosts
        s = arena_printf(&call->arena, "proxy %.*s %.*s %d %llu", STRF(p->scheme), STRF(p->host),
                         url_port(p), tls);
    else
        s = arena_printf(&call->arena, "%.*s %.*s %d %llu via %.*s %.*s %d %.*s:%.*s",
                         STRF(u->scheme), STRF(u->host), url_port(u), is_https(u) ? tls : 0,
                         STRF(p->scheme), STRF(p->host), call->via_proxy ? url_port(p) : 0,
                         STRF(p->user), STRF(p->password));
    return arena_cstr(&call->arena, s);
}

static void reset_exchange(struct http_call *call)
{
    call->sent = 0;
    buf_reset(&call->in);
    buf_reset(&call->body);
    call->scan = (struct http_head_scan){ .response = true, .lenient = true };
    call->head = (struct http_head){ 0 };
    call->chunks = (struct http_chunked){ 0 };
    call->got_bytes = call->got_head = call->until_close = false;
    call->leftover = call->refused_body = false;
    call->left = 0;
}

static void start_exchange(struct http_call *call)
{
    reset_exchange(call);
    put_request(call);
    call->phase = CALL_EXCHANGE;
    step(call);
}

// From the start, or again after a redirect or a stale connection.
static void begin(struct http_call *call)
{
    struct err e;

    call->tunnel = call->via_proxy && is_https(&call->url);
    if (call->tunnel && is_https(&call->proxy)) {
        fail(call, ERR_UNSUPPORTED, "https targets through an https proxy are not supported");
        return;
    }
    if (!choose_tls(call, &e)) {
        client_call_fail(call, &e);
        return;
    }
    const char *key = connection_key(call);
    struct client_conn *conn = call->retried
                                   ? NULL
                                   : client_conn_reuse(call->client, key, hash_keyed(str_c(key)));
    if (!conn) {
        client_dial(call);
        return;
    }
    call->conn = conn;
    conn->call = call;
    start_exchange(call);
}

// The loop may have ended already: no handle may be opened.
static void refuse_stopped(struct http_call *call)
{
    struct err e;

    err_set(&e, ERR_CANCELLED, "context canceled");
    call->done(call->ctx, NULL, &e);
    http_tls_free(call->o.tls);
    arena_fini(&call->arena);
    xfree(call);
}

void client_call_start(struct http_call *call)
{
    struct http_client *c = call->client;
    struct err e;

    if (c->stopping) {
        refuse_stopped(call);
        return;
    }
    call->next = c->calls;
    call->link = &c->calls;
    if (call->next)
        call->next->link = &call->next;
    c->calls = call;
    call->timers_open = 2;
    loop_timer_init(c->loop, &call->deadline, on_deadline);
    loop_timer_init(c->loop, &call->next_address, NULL);
    loop_timer_start(&call->deadline, call->o.timeout_ms, 0);
    if (!prepare(call, &e)) {
        client_call_fail(call, &e);
        return;
    }
    begin(call);
}

void client_call_connected(struct http_call *call, struct client_conn *conn)
{
    const char *key = connection_key(call);
    bool tls = is_https(call->tunnel || !call->via_proxy ? &call->url : &call->proxy);

    conn->state = CONN_BUSY;
    conn->call = call;
    conn->key = xstrdup_str(str_c(key));
    conn->key_hash = hash_keyed(str_c(key));
    call->conn = conn;
    reset_exchange(call);
    if (call->tunnel) {
        put_connect(call);
        call->phase = CALL_TUNNEL;
    } else if (tls) {
        call->phase = CALL_HANDSHAKE;
    } else {
        start_exchange(call);
        return;
    }
    step(call);
}

/* ---- trouble on the way ---- */

static void endpoint_text(int fd, bool peer, char *out, size_t size)
{
    struct sockaddr_storage a = { 0 };
    socklen_t n = sizeof a;
    char ip[INET6_ADDRSTRLEN] = "";

    if (peer)
        getpeername(fd, (struct sockaddr *)&a, &n);
    else
        getsockname(fd, (struct sockaddr *)&a, &n);
    const struct sockaddr_in6 *v6 = (const void *)&a;
    const struct sockaddr_in *v4 = (const void *)&a;
    if (a.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
        snprintf(out, size, "[%s]:%u", ip, ntohs(v6->sin6_port));
    } else {
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(out, size, "%s:%u", ip, ntohs(v4->sin_port));
    }
}

// The server closed a kept connection just when we used it: no fault of the request.
static bool retry(struct http_call *call)
{
    if (!call->conn->reused || call->got_bytes || call->retried || !method_may_repeat(call->method))
        return false;
    call->retried = true;
    client_conn_close(TAKE(call->conn));
    begin(call);
    return true;
}

static void broken(struct http_call *call, const char *verb, int os)
{
    char from[80], to[80];
    struct err e;

    if (retry(call))
        return;
    if (call->conn->stream.tls) {
        fail_reading(call, ERR_IO, call->got_bytes ? "unexpected EOF" : "EOF");
        return;
    }
    endpoint_text(call->conn->stream.fd, false, from, sizeof from);
    endpoint_text(call->conn->stream.fd, true, to, sizeof to);
    err_set(&e, ERR_IO, "%s tcp %s->%s: %s: %s", verb, from, to, verb,
            os == EPIPE        ? "broken pipe"
            : os == ECONNRESET ? "connection reset by peer"
                               : strerror(os));
    if (call->got_head)
        client_call_fail_bare(call, &e);
    else
        client_call_fail(call, &e);
}

/* ---- the response ---- */

static bool redirect_leads_on(const struct http_call *call)
{
    int s = call->head.status;

    return !call->o.no_redirects && (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) &&
           http_header_find(call->head.headers, call->head.header_count, STR("Location")).n > 0;
}

static bool same_site(const struct url *from, const struct url *to)
{
    size_t n = from->host.n;

    if (str_eq(from->host, to->host))
        return true;
    return to->host.n > n && str_ends(to->host, from->host) &&
           to->host.p[to->host.n - n - 1] == '.';
}

// Another site does not get our secrets.
static void drop_secrets(struct http_call *call)
{
    static const char *const names[] = { "Authorization", "Www-Authenticate", "Cookie", "Cookie2",
                                         "Host" };
    struct http_header *h = arena_copy(&call->arena, call->o.headers,
                                       call->o.header_count * sizeof *call->o.headers);

    for (size_t i = 0; i < call->o.header_count; i++)
        for (size_t n = 0; n < ARRAY_LEN(names); n++)
            if (str_eq_nocase(h[i].name, str_c(names[n])))
                h[i].name = STR_NONE;
    call->o.headers = h;
}

static void follow(struct http_call *call)
{
    struct str location = http_header_find(call->head.headers, call->head.header_count,
                                           STR("Location"));
    int status = call->head.status;
    struct url to;
    struct err e;

    if (!url_resolve(&call->arena, &call->url, location, &to, &e)) {
        err_wrap(&e, "failed to parse Location header \"%.*s\"", STRF(str_sub(location, 0, 80)));
        client_call_fail(call, &e);
        return;
    }
    if (!same_site(&call->url, &to))
        drop_secrets(call);
    call->url = to;
    if (++call->redirects > CLIENT_REDIRECTS_MAX) {
        fail(call, ERR_LIMIT, "stopped after 10 redirects");
        return;
    }
    if (!check_url(&to, &e)) {
        client_call_fail(call, &e);
        return;
    }
    if (status < 307 && !str_eq(call->method, STR("HEAD"))) {
        call->method = STR("GET");
        call->with_body = false;
    }
    call->retried = false;
    begin(call);
}

static size_t body_max(const struct http_call *call)
{
    return call->o.body_max ? call->o.body_max : CLIENT_BODY_MAX;
}

static bool inflate(struct http_call *call, struct err *e)
{
    struct str name = http_header_find(call->head.headers, call->head.header_count,
                                       STR("Content-Encoding"));
    struct compress_limits limits = { .size_max = body_max(call) };
    enum compress_codec c;
    struct buf plain = { 0 };

    if (call->o.keep_encoded || !call->body.n || !compress_codec_of(name, &c) ||
        c == COMPRESS_NONE || c == COMPRESS_SNAPPY)
        return true;
    if (!compress_inflate(c, buf_view(&call->body), &limits, &plain, e)) {
        buf_fini(&plain);
        return false;
    }
    buf_fini(&call->body);
    call->body = plain;
    return true;
}

static void complete(struct http_call *call)
{
    struct client_conn *conn = TAKE(call->conn);
    bool all_sent = !call->refused_body &&
                    call->sent == call->out.n + (call->with_body ? call->o.body.n : 0);
    struct err e;

    if (call->head.keep_alive && !call->until_close && !call->head.odd && all_sent &&
        !call->leftover)
        client_conn_park(conn);
    else
        client_conn_close(conn);
    if (redirect_leads_on(call)) {
        follow(call);
        return;
    }
    struct http_response r = { .status = call->head.status,
                               .reason = call->head.reason,
                               .headers = call->head.headers,
                               .header_count = call->head.header_count,
                               .wire_bytes = call->body.n };
    if (!inflate(call, &e)) {
        client_call_fail_bare(call, &e);
        return;
    }
    r.duration_ns = clock_mono_ns(clock_real()) - call->start_mono_ns;
    r.body = call->body;
    call->body = (struct buf){ 0 };
    end(call, &r, NULL);
    buf_fini(&r.body); // unless it was taken
}

static bool within_limit(struct http_call *call, size_t more)
{
    if (more <= body_max(call) - call->body.n)
        return true;
    fail_reading(call, ERR_LIMIT, "body size limit exceeded");
    return false;
}

// What a read brought of the body. False: the call is over (or has moved on).
static bool take_body(struct http_call *call, struct str in)
{
    struct str data;
    struct err e;
    enum http_parse r;

    if (!call->head.chunked) {
        size_t n = call->until_close ? in.n : (size_t)MIN((uint64_t)in.n, call->left);
        if (!within_limit(call, n))
            return false;
        buf_bytes(&call->body, in.p, n);
        call->left -= call->until_close ? 0 : n;
        call->leftover = in.n > n;
        if (call->until_close || call->left)
            return true;
        complete(call);
        return false;
    }
    while ((r = http_chunked_next(&call->chunks, &in, &data, &e)) == HTTP_PARSE_DATA) {
        if (!within_limit(call, data.n))
            return false;
        buf_str(&call->body, data);
    }
    call->leftover = in.n > 0;
    if (r == HTTP_PARSE_MORE)
        return true;
    if (r == HTTP_PARSE_DONE)
        complete(call);
    else
        client_call_fail_bare(call, &e);
    return false;
}

static bool has_no_body(const struct http_call *call)
{
    int s = call->head.status;

    return s == 204 || s == 304 || str_eq(call->method, STR("HEAD"));
}

// The head is known. False: the call is over (or has moved on).
static bool begin_body(struct http_call *call, struct str rest)
{
    const struct http_head *h = &call->head;

    call->got_head = true;
    if (has_no_body(call) || (!h->chunked && h->has_length && h->length == 0)) {
        call->leftover = rest.n > 0;
        complete(call);
        return false;
    }
    call->until_close = !h->chunked && !h->has_length;
    call->left = h->length;
    if (h->has_length && !h->chunked && h->length > body_max(call))
        return within_limit(call, SIZE_MAX);
    return rest.n == 0 || take_body(call, rest);
}

static bool bad_head(struct http_call *call, const struct err *cause)
{
    struct err e = *cause;

    err_wrap(&e, "net/http: HTTP/1.x transport connection broken");
    client_call_fail(call, &e);
    return false;
}

static void tunnel_answered(struct http_call *call)
{
    struct str reason = call->head.reason;

    if (call->head.status / 100 != 2) {
        struct err e;
        err_set(&e, ERR_IO, "%.*s", STRF(reason.n ? reason : STR("proxy refused the tunnel")));
        client_call_fail(call, &e);
        return;
    }
    call->phase = CALL_HANDSHAKE;
    step(call);
}

// Looks for a whole head in call->in. False: the call is over (or has moved on).
static bool take_head(struct http_call *call)
{
    struct err e;
    size_t head_end;
    int status;

    for (;;) {
        struct str in = buf_view(&call->in);
        enum http_parse r = http_head_scan(&call->scan, in, &head_end, &status, &e);

        if (r == HTTP_PARSE_MORE)
            return true;
        struct str text = arena_str(&call->arena, str_sub(in, call->scan.start, head_end));
        if (r == HTTP_PARSE_BAD ||
            !http_head_parse_response(&call->arena, text, true, &call->head, &e))
            return bad_head(call, &e);
        struct str rest = arena_str(&call->arena, str_sub(in, head_end, in.n));
        buf_reset(&call->in);
        call->scan = (struct http_head_scan){ .response = true, .lenient = true };
        if (call->phase == CALL_TUNNEL) {
            tunnel_answered(call);
            return false;
        }
        if (call->head.status == 101)
            return err_set(&e, ERR_UNSUPPORTED, "server switches protocols"), bad_head(call, &e);
        if (call->head.status >= 200)
            return begin_body(call, rest);
        buf_str(&call->in, rest); // 100, 103: the real one follows
    }
}

static void take_eof(struct http_call *call)
{
    struct err e;

    if (call->until_close && call->got_head) {
        complete(call);
    } else if (call->got_head) {
        fail_reading(call, ERR_IO, "unexpected EOF");
    } else if (call->got_bytes) {
        err_set(&e, ERR_IO, "unexpected EOF");
        bad_head(call, &e);
    } else if (!retry(call)) {
        fail(call, ERR_IO, call->phase == CALL_TUNNEL ? "proxyconnect tcp: EOF" : "EOF");
    }
}

// One read. False: nothing more for now, or the call is over.
static bool read_some(struct http_call *call)
{
    bool direct = call->got_head && !call->head.chunked && !call->until_close;
    size_t room = direct ? (size_t)MIN(call->left, (uint64_t)CLIENT_BODY_READ) : CLIENT_SCRATCH;
    char *to = direct ? buf_room(&call->body, room) : call->client->scratch;
    ssize_t got = stream_read(&call->conn->stream, to, room);

    if (got == STREAM_AGAIN)
        return false;
    if (got == STREAM_EOF) {
        take_eof(call);
        return false;
    }
    if (got < 0) {
        broken(call, "read", errno);
        return false;
    }
    call->got_bytes = true;
    if (direct) { // the length was held against the limit when the head came
        call->body.n += (size_t)got;
        call->left -= (uint64_t)got;
        if (call->left)
            return true;
        complete(call);
        return false;
    }
    if (call->got_head)
        return take_body(call, str_of(to, (size_t)got));
    buf_bytes(&call->in, to, (size_t)got);
    return take_head(call);
}

/* ---- driving ---- */

// False: the call is over (or has moved on).
static bool send_some(struct http_call *call)
{
    struct str body = call->phase == CALL_EXCHANGE && call->with_body ? call->o.body : STR_NONE;
    size_t all = call->out.n + body.n;

    while (call->sent < all) {
        struct str parts[] = { str_sub(buf_view(&call->out), call->sent, call->out.n),
                               str_sub(body, call->sent - MIN(call->sent, call->out.n), body.n) };
        struct iovec v[2];
        int n = 0;

        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            if (parts[i].n)
                v[n++] = (struct iovec){ (char *)(uintptr_t)parts[i].p, parts[i].n };
        ssize_t put = stream_writev(&call->conn->stream, v, n);
        if (put == STREAM_AGAIN)
            return true;
        if (put < 0) {
            int os = errno;
            // An answer that came before the body was all out counts more than the broken pipe.
            if (!call->conn->reused && call->sent > call->out.n) {
                call->sent = all;
                call->refused_body = true;
                return true;
            }
            broken(call, "write", os);
            return false;
        }
        call->sent += (size_t)put;
    }
    return true;
}

static void want_events(struct http_call *call)
{
    struct client_conn *conn = call->conn;
    size_t all = call->out.n +
                 (call->phase == CALL_EXCHANGE && call->with_body ? call->o.body.n : 0);
    int events = call->phase == CALL_HANDSHAKE ? 0 : LOOP_READ;

    if (conn->stream.want_read)
        events |= LOOP_READ;
    if (conn->stream.want_write || (call->phase != CALL_HANDSHAKE && call->sent < all))
        events |= LOOP_WRITE;
    loop_poll_want(&conn->poll, events);
}

static void handshake(struct http_call *call)
{
    struct client_conn *conn = call->conn;
    const struct url *u = call->via_proxy && !call->tunnel ? &call->proxy : &call->url;
    struct err e;

    if (!conn->stream.tls)
        tls_stream_open(&conn->stream, call->o.tls, arena_cstr(&call->arena, u->host));
    switch (tls_stream_handshake(&conn->stream, &e)) {
    case 1:
        start_exchange(call);
        return;
    case STREAM_AGAIN:
        want_events(call);
        return;
    default:
        client_call_fail(call, &e);
        return;
    }
}

static void step(struct http_call *call)
{
    if (call->phase == CALL_HANDSHAKE) {
        handshake(call);
        return;
    }
    if (send_some(call))
        want_events(call);
}

void client_call_event(struct http_call *call, int events)
{
    struct client_conn *conn = call->conn;

    if (call->phase == CALL_HANDSHAKE) {
        handshake(call);
        return;
    }
    if ((events & LOOP_WRITE) && !send_some(call))
        return;
    for (int i = 0; conn->stream.tls || i < 8; i++)
        if (!read_some(call))
            break;
    // The call may have ended or moved to another connection meanwhile.
    if (call->phase != CALL_OVER && call->conn == conn && conn->call == call)
        want_events(call);
}
