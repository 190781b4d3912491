/*
 * http2_reply.c - replies on the streams of HTTP/2: head, body under flow control, trailers.
 *
 * What a handler makes (pieces without HTTP/1's framing) waits in stream->out until nghttp2 asks
 * for it, which it does as the peer's windows and the socket allow; the handler is held back by
 * the bytes in flight just as on HTTP/1.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http2_priv.h"

#include "base/mem.h"

static nghttp2_nv pair(struct str name, struct str value)
{
    return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p,
                         .namelen = name.n,
                         .value = (uint8_t *)(uintptr_t)value.p,
                         .valuelen = value.n };
}

/* ---- the body ---- */

static size_t copy_body(struct http2_stream *s, uint8_t *to, size_t room)
{
    size_t done = 0;

    while (s->out && done < room) {
        struct http_out *o = s->out;
        size_t n = MIN(room - done, o->body.n - o->sent);

        if (n)
            memcpy(to + done, o->body.p + o->sent, n);
        done += n;
        o->sent += n;
        if (o->sent < o->body.n)
            break;
        s->out = o->next;
        o->next = NULL;
        http_spare_put(s->x->loop, &o->body);
        http_out_free(o);
    }
    if (!s->out)
        s->out_last = &s->out;
    return done;
}

static void send_trailers(nghttp2_session *session, struct http2_stream *s)
{
    struct http_exchange_priv *x = s->x;
    VEC(nghttp2_nv) v = { 0 };

    for (size_t i = 0; i < x->trailers.n; i++)
        *vec_push_in(&s->arena, &v) = pair(x->trailers.v[i].name, x->trailers.v[i].value);
    nghttp2_submit_trailer(session, s->id, v.v, v.n);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *conn)
{
    struct http2_stream *s = source->ptr;
    size_t n = copy_body(s, to, room);

    (void)id, (void)conn;
    if (n) {
        http_exchange_drained(s->x, n);
        s->since_ms = http_conn_ms(s->conn->conn);
    }
    if (!s->out && s->x->complete) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->x->trailers.n) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            send_trailers(session, s);
        }
    } else if (n == 0) {
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

/* ---- the head ---- */

// Status, the handler's headers, those of the web config, date and length; without a body the
// trailers too, which is how gRPC tells an error.
static size_t make_head(struct http2_stream *s, bool body, nghttp2_nv **out)
{
    struct http_exchange_priv *x = s->x;
    struct arena *a = &s->arena;
    OWNED(buf_fini) struct buf date = { 0 };
    VEC(nghttp2_nv) v = { 0 };

    *vec_push_in(a, &v) = pair(STR(":status"), arena_printf(a, "%d", x->status));
    for (size_t i = 0; i < x->headers.n; i++)
        *vec_push_in(a, &v) = pair(x->headers.v[i].name, x->headers.v[i].value);
    for (size_t i = 0; x->web && i < x->web->header_count; i++) {
        const struct http_header *h = &x->web->headers[i];
        if (!http_reply_has_header(x, h->name))
            *vec_push_in(a, &v) = pair(h->name, h->value);
    }
    buf_http_date(&date);
    *vec_push_in(a, &v) = pair(STR("date"), arena_str(a, buf_view(&date)));
    if (x->length >= 0 && x->trailers.n == 0)
        *vec_push_in(a, &v) = pair(STR("content-length"),
                                   arena_printf(a, "%lld", (long long)x->length));
    for (size_t i = 0; !body && i < x->trailers.n; i++)
        *vec_push_in(a, &v) = pair(x->trailers.v[i].name, x->trailers.v[i].value);
    *out = v.v;
    return v.n;
}

static void submit_head(struct http2_stream *s)
{
    struct http_exchange_priv *x = s->x;
    bool body = !x->head_only && http_status_has_body(x->status) && (!x->complete || s->out);
    nghttp2_data_provider from = { .source.ptr = s, .read_callback = read_body };
    nghttp2_nv *nv;
    size_t n = make_head(s, body, &nv);

    s->submitted = true;
    if (nghttp2_submit_response(s->conn->session, s->id, nv, n, body ? &from : NULL) != 0)
        nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id,
                                  NGHTTP2_INTERNAL_ERROR);
}

/* ---- from the handler ---- */

static void append(struct http2_stream *s, struct http_out *o)
{
    while (o) {
        struct http_out *next = o->next;

        o->next = NULL;
        if (o->body.n) {
            *s->out_last = o;
            s->out_last = &o->next;
        } else {
            http_out_free(o);
        }
        o = next;
    }
}

static void frame(struct http2_stream *s, struct http_out *o)
{
    bool first = !s->out;

    if (o || s->x->complete)
        append(s, o);
    else
        return;
    if (first)
        s->since_ms = http_conn_ms(s->conn->conn);
    if (s->x->complete && s->x->failed)
        nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id,
                                  NGHTTP2_INTERNAL_ERROR);
    else if (!s->submitted)
        submit_head(s);
    else
        nghttp2_session_resume_data(s->conn->session, s->id); // an error: nothing was deferred
}

void http2_reply_take(struct http2_stream *s)
{
    bool done;

    frame(s, http_exchange_take(s->x, &done));
}

void http2_reply_collect(struct loop_task *t)
{
    struct http_exchange_priv *x = CONTAINER_OF(t, struct http_exchange_priv, task);
    bool done;
    struct http_out *o = http_exchange_take(x, &done);

    if (!x->stream) {
        http_out_free(o);
        if (done)
            http_exchange_free(x);
        return;
    }
    struct http_conn *c = x->conn;
    frame(x->stream, o);
    http_conn_go_on(c);
}
