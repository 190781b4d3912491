/*
 * http_server_reply.c - the handler's side of an exchange: status, headers, body, streaming.
 *
 * A reply stays in x->body until the handler ends or the body passes HTTP_STREAM_SIZE. In the
 * first case it leaves as one piece with Content-Length, in the second as chunks; a handler on a
 * pool then waits while more than HTTP_IN_FLIGHT_MAX bytes are on their way to a slow reader.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_priv.h"

#include "base/mem.h"
#include "base/time.h"
#include "net/grpc.h"

static const struct {
    int status;
    const char *text;
} statuses[] = {
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" },
    { 414, "Request URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Requested Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 422, "Unprocessable Entity" },
    { 425, "Too Early" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 499, "Client Closed Request" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 507, "Insufficient Storage" },
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "status";
}

static struct http_exchange_priv *priv(struct http_exchange *x)
{
    return CONTAINER_OF(x, struct http_exchange_priv, pub);
}

struct buf http_spare_take(struct http_server_loop *l)
{
    return l->spare_count ? l->spares[--l->spare_count] : (struct buf){ 0 };
}

void http_spare_put(struct http_server_loop *l, struct buf *b)
{
    if (b->cap < HTTP_SPARE_MIN || b->cap > HTTP_SPARE_MAX || l->spare_count == HTTP_SPARES) {
        buf_fini(b);
        return;
    }
    buf_reset(b);
    l->spares[l->spare_count++] = *b;
    *b = (struct buf){ 0 };
}

void http_out_free(struct http_out *o)
{
    while (o) {
        struct http_out *next = o->next;

        buf_fini(&o->head);
        buf_fini(&o->body);
        xfree(o);
        o = next;
    }
}

void http_exchange_free(struct http_exchange_priv *x)
{
    if (!x)
        return;
    http_out_free(x->out);
    http_spare_put(x->loop, &x->body_in);
    http_spare_put(x->loop, &x->body);
    compress_writer_free(x->z);
    web_config_put(x->web);
    cond_fini(&x->drained);
    mutex_fini(&x->mu);
    arena_fini(&x->pub.arena);
    xfree(x);
}

void http_exchange_gone(struct http_exchange_priv *x)
{
    atomic_store_explicit(&x->cancelled, true, memory_order_relaxed); // polled, orders nothing
    LOCKED(&x->mu);
    x->gone = true;
    cond_wake_all(&x->drained);
}

/* ---- status and headers ---- */

void http_status(struct http_exchange *xp, int status)
{
    struct http_exchange_priv *x = priv(xp);

    assert(status >= 200 && status <= 599);
    if (!x->streaming)
        x->status = status;
}

// Bytes that would end the line are made blanks: a value from outside cannot add headers.
static struct str safe_value(struct arena *a, struct str v)
{
    v = arena_str(a, v);
    if (http_is_field_value(v))
        return v;
    char *p = arena_copy(a, v.p, v.n);
    for (size_t i = 0; i < v.n; i++)
        if (!http_is_field_value(str_of(p + i, 1)))
            p[i] = ' ';
    return str_of(p, v.n);
}

static bool is_servers_own(struct http_exchange_priv *x, struct str name, struct str value)
{
    if (str_eq_nocase(name, STR("connection"))) {
        if (http_token_listed(value, STR("close")))
            x->keep_alive = false;
        return true;
    }
    return str_eq_nocase(name, STR("content-length")) || str_eq_nocase(name, STR("date")) ||
           str_eq_nocase(name, STR("transfer-encoding"));
}

void http_add_header(struct http_exchange *xp, struct str name, struct str value)
{
    struct http_exchange_priv *x = priv(xp);

    assert(http_is_token(name));
    if (x->streaming || is_servers_own(x, name, value))
        return;
    *vec_push_in(&xp->arena, &x->headers) = (struct http_header){ arena_str(&xp->arena, name),
                                                                  safe_value(&xp->arena, value) };
}

void http_set_header(struct http_exchange *xp, struct str name, struct str value)
{
    struct http_exchange_priv *x = priv(xp);

    for (size_t i = 0; i < x->headers.n && !x->streaming; i++) {
        if (str_eq_nocase(x->headers.v[i].name, name)) {
            x->headers.v[i].value = safe_value(&xp->arena, value);
            return;
        }
    }
    http_add_header(xp, name, value);
}

void http_add_trailer(struct http_exchange *xp, struct str name, struct str value)
{
    struct http_exchange_priv *x = priv(xp);

    assert(http_is_token(name));
    *vec_push_in(&xp->arena, &x->trailers) = (struct http_header){ arena_str(&xp->arena, name),
                                                                   safe_value(&xp->arena, value) };
}

bool http_reply_has_header(const struct http_exchange_priv *x, struct str name)
{
    return http_header_find(x->headers.v, x->headers.n, name).p != NULL;
}

bool http_status_has_body(int status)
{
    return status != 204 && status != 304;
}

void buf_http_date(struct buf *b)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct civil c = civil_of(floor_div(clock_ms(clock_real()), 1000));

    buf_printf(b, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * c.weekday, c.day,
               months + 3 * (c.month - 1), (int)c.year, c.hour, c.minute, c.second);
}

// length −1: chunked, or until the end of the connection for HTTP/1.0. The loop makes HTTP/2's.
static void put_head(struct http_exchange_priv *x, struct buf *b, int64_t length)
{
    x->length = length;
    if (x->pub.req.http2)
        return;
    buf_grow(b, 256);
    buf_lit(b, "HTTP/1.1 ");
    buf_u64(b, (uint64_t)x->status);
    buf_char(b, ' ');
    buf_str(b, str_c(http_status_text(x->status)));
    buf_lit(b, "\r\n");
    for (size_t i = 0; i < x->headers.n; i++) {
        buf_str(b, x->headers.v[i].name);
        buf_lit(b, ": ");
        buf_str(b, x->headers.v[i].value);
        buf_lit(b, "\r\n");
    }
    for (size_t i = 0; x->web && i < x->web->header_count; i++) {
        const struct http_header *h = &x->web->headers[i];
        if (!http_reply_has_header(x, h->name))
            buf_printf(b, "%.*s: %.*s\r\n", STRF(h->name), STRF(h->value));
    }
    buf_lit(b, "Date: ");
    buf_http_date(b);
    buf_lit(b, "\r\n");
    if (length >= 0) {
        buf_lit(b, "Content-Length: ");
        buf_u64(b, (uint64_t)length);
        buf_lit(b, "\r\n");
    } else if (!x->http10 && http_status_has_body(x->status)) {
        buf_lit(b, "Transfer-Encoding: chunked\r\n");
    }
    if (!x->keep_alive)
        buf_lit(b, "Connection: close\r\n");
    else if (x->http10)
        buf_lit(b, "Connection: keep-alive\r\n");
    buf_lit(b, "\r\n");
}

/* ---- compression ---- */

static bool quality_is_zero(struct str params)
{
    while (params.n) {
        struct str p = str_trim(str_cut(&params, ';'));

        if (p.n >= 3 && (p.p[0] | 0x20) == 'q' && p.p[1] == '=') {
            for (size_t i = 2; i < p.n; i++)
                if (p.p[i] != '0' && p.p[i] != '.')
                    return false;
            return true;
        }
    }
    return false;
}

bool http_accepts(const struct http_request *r, struct str coding)
{
    struct str list = http_header_get(r, STR("Accept-Encoding"));

    while (list.n) {
        struct str rest = str_cut(&list, ','), name = str_trim(str_cut(&rest, ';'));

        if (str_eq_nocase(name, coding))
            return !quality_is_zero(rest);
    }
    return false;
}

// size: of the whole body, or SIZE_MAX while it streams.
static enum compress_codec choose_codec(struct http_exchange_priv *x, size_t size)
{
    const struct http_request *r = &x->pub.req;

    if (!x->route || x->route->route.no_compress ||
        size < (x->route->route.compress_small ? 1 : HTTP_COMPRESS_MIN) || x->head_only ||
        !http_status_has_body(x->status) || http_reply_has_header(x, STR("Content-Encoding")))
        return COMPRESS_NONE;
    if (size >= HTTP_ZSTD_MIN && http_accepts(r, STR("zstd")))
        return COMPRESS_ZSTD;
    if (http_accepts(r, STR("gzip")))
        return COMPRESS_GZIP;
    return http_accepts(r, STR("deflate")) ? COMPRESS_DEFLATE : COMPRESS_NONE;
}

static void name_codec(struct http_exchange_priv *x, enum compress_codec c)
{
    if (c != COMPRESS_NONE)
        http_set_header(&x->pub, STR("Content-Encoding"), str_c(compress_codec_name(c)));
}

/* ---- pieces on their way ---- */

// Hands a piece to the loop; the piece is gone when the client is.
static void hand_over(struct http_exchange_priv *x, struct http_out *o, bool done)
{
    bool post;

    mutex_lock(&x->mu);
    if (o && x->gone) {
        http_out_free(o);
    } else if (o) {
        *x->out_last = o;
        x->out_last = &o->next;
        x->in_flight += http_out_size(o);
    }
    x->done = done;
    post = !x->posted && !x->on_loop;
    x->posted |= post;
    mutex_unlock(&x->mu);
    if (post)
        loop_post(x->loop->loop, &x->task);
}

static bool wait_for_room(struct http_exchange_priv *x, struct err *e)
{
    int64_t end_ns = clock_mono_ns(clock_real()) + x->server->read_timeout_ms * NS_MS;
    LOCKED(&x->mu);

    while (!x->on_loop && !x->gone && x->in_flight > HTTP_IN_FLIGHT_MAX) {
        cond_wait(&x->drained, &x->mu, 1000);
        if (clock_mono_ns(clock_real()) > end_ns) {
            x->failed = true;
            return err_set(e, ERR_TIMEOUT, "the client does not read its reply");
        }
    }
    return !x->gone || err_set(e, ERR_CANCELLED, "client disconnected");
}

static void start_stream(struct http_exchange_priv *x, struct http_out *o)
{
    enum compress_codec c = choose_codec(x, SIZE_MAX);

    if (c != COMPRESS_NONE)
        x->z = compress_writer_new(c, 0);
    name_codec(x, c);
    if (x->http10)
        x->keep_alive = false;
    put_head(x, &o->head, -1);
    x->streaming = true;
}

// Frames x->body as a chunk behind whatever o->head holds, and leaves it empty.
static void take_chunk(struct http_exchange_priv *x, struct http_out *o, enum compress_mode mode)
{
    if (x->head_only || !http_status_has_body(x->status)) {
        buf_reset(&x->body);
        return;
    }
    if (x->z) {
        compress_writer_feed(x->z, buf_view(&x->body), mode, &o->body);
        buf_reset(&x->body);
    } else {
        o->body = x->body;
        x->body = (struct buf){ 0 };
    }
    x->body_bytes += o->body.n;
    if (x->http10 || x->pub.req.http2)
        return;
    if (o->body.n) {
        buf_printf(&o->head, "%zx\r\n", o->body.n);
        o->tail = STR("\r\n");
    }
    if (mode == COMPRESS_END)
        o->tail = o->body.n ? STR("\r\n0\r\n\r\n") : STR("0\r\n\r\n");
}

static bool push(struct http_exchange_priv *x, enum compress_mode mode, struct err *e)
{
    if (!wait_for_room(x, e)) {
        buf_reset(&x->body);
        return false;
    }
    struct http_out *o = xcalloc(1, sizeof *o);
    if (!x->streaming)
        start_stream(x, o);
    take_chunk(x, o, mode);
    hand_over(x, o, false);
    return true;
}

bool http_write(struct http_exchange *xp, struct str bytes, struct err *e)
{
    struct http_exchange_priv *x = priv(xp);

    buf_str(&x->body, bytes);
    return x->body.n < HTTP_STREAM_SIZE || push(x, COMPRESS_MORE, e);
}

struct buf *http_body(struct http_exchange *xp)
{
    return &priv(xp)->body;
}

bool http_flush(struct http_exchange *xp, struct err *e)
{
    struct http_exchange_priv *x = priv(xp);

    mutex_lock(&x->mu);
    x->live = true;
    mutex_unlock(&x->mu);
    return push(x, COMPRESS_FLUSH, e);
}

void http_text(struct http_exchange *xp, int status, struct str text)
{
    http_status(xp, status);
    http_set_header(xp, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    buf_str(http_body(xp), text);
}

/* ---- the end ---- */

// The whole reply in one piece.
static void finish_whole(struct http_exchange_priv *x, struct http_out *o)
{
    enum compress_codec c = choose_codec(x, x->body.n);

    if (!http_status_has_body(x->status))
        buf_reset(&x->body);
    name_codec(x, c);
    if (c != COMPRESS_NONE) {
        compress_all(c, 0, buf_view(&x->body), &o->body);
    } else {
        o->body = x->body;
        x->body = (struct buf){ 0 };
    }
    x->body_bytes = o->body.n;
    put_head(x, &o->head, http_status_has_body(x->status) ? (int64_t)o->body.n : -1);
    if (x->head_only)
        buf_reset(&o->body);
}

static void finish(struct http_exchange_priv *x)
{
    struct http_out *o = xcalloc(1, sizeof *o);

    if (x->streaming)
        take_chunk(x, o, COMPRESS_END);
    else
        finish_whole(x, o);
    hand_over(x, o, true);
}

static void run_fallback(struct http_exchange_priv *x)
{
    if (grpc_refuse_unknown(&x->pub))
        return;
    if (x->server->options.fallback)
        x->server->options.fallback(&x->pub, x->allow);
    else if (!x->allow)
        http_text(&x->pub, 404, STR("404 page not found\n"));
    else {
        http_set_header(&x->pub, STR("Allow"), str_c(x->allow));
        http_text(&x->pub, 405, STR("Method Not Allowed\n"));
    }
}

void http_exchange_run(void *exchange)
{
    struct http_exchange_priv *x = exchange;
    const struct http_server_options *o = &x->server->options;

    if (!x->refused && (!o->before || o->before(&x->pub))) {
        if (x->route)
            x->route->route.handle(&x->pub);
        else
            run_fallback(x);
    }
    finish(x);
}

void http_exchange_refuse(struct http_exchange_priv *x, int status, const char *text)
{
    x->refused = true;
    x->keep_alive = false;
    if (grpc_is_call(&x->pub.req)) {
        grpc_answer(&x->pub, grpc_status_of_http(status), str_c(text));
        return;
    }
    http_text(&x->pub, status, STR(""));
    buf_printf(&x->body, "%d %s: %s\n", status, http_status_text(status), text);
}

void http_exchange_deny(struct http_exchange_priv *x)
{
    x->refused = true;
    if (x->chunked || x->body_left)
        x->keep_alive = false; // the body is not read
    if (grpc_is_call(&x->pub.req)) {
        grpc_answer(&x->pub, GRPC_UNAUTHENTICATED, STR("Unauthorized"));
        return;
    }
    http_set_header(&x->pub, STR("WWW-Authenticate"), STR("Basic"));
    http_set_header(&x->pub, STR("X-Content-Type-Options"), STR("nosniff"));
    http_text(&x->pub, 401, STR("Unauthorized\n"));
}
