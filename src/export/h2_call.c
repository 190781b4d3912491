// h2_call.c - see h2_call.h.
// SPDX-License-Identifier: Apache-2.0
#include "export/h2_call.h"

#include <nghttp2/nghttp2.h>

#include "base/vec.h"

enum { HEADERS_MAX = 256, WINDOW = 1 << 20 };

struct running {
    struct h2_call *c;
    size_t sent;
    bool closed, too_big;
    uint32_t error;
    VEC(struct http_header) got;
};

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *room, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    struct running *r = ctx;
    struct str rest = str_sub(r->c->body, r->sent, r->c->body.n);

    (void)s, (void)id, (void)source;
    n = MIN(n, rest.n);
    if (n)
        memcpy(room, rest.p, n);
    r->sent += n;
    if (r->sent == r->c->body.n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static struct str text_of(struct arena *a, nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);

    return arena_str(a, str_of((const char *)v.base, v.len));
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
    struct running *r = ctx;

    (void)s, (void)f, (void)flags;
    r->c->began = true;
    if (r->got.n < HEADERS_MAX)
        *vec_push_in(r->c->a, &r->got) = (struct http_header){ text_of(r->c->a, name),
                                                               text_of(r->c->a, value) };
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *ctx)
{
    struct running *r = ctx;

    (void)s, (void)flags, (void)id;
    if (r->c->answer.n + n > r->c->body_max)
        r->too_big = true;
    else
        buf_bytes(&r->c->answer, p, n);
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t error, void *ctx)
{
    struct running *r = ctx;

    (void)s, (void)id;
    r->closed = true;
    r->error = error;
    return 0;
}

static nghttp2_session *make_session(struct running *r)
{
    nghttp2_session_callbacks *cb;
    nghttp2_session *s;

    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    int bad = nghttp2_session_client_new(&s, cb, r);
    nghttp2_session_callbacks_del(cb);
    assert(bad == 0); // only without memory
    return s;
}

static bool submit(struct running *r, nghttp2_session *s, struct err *e)
{
    nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
                                          { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
    nghttp2_data_provider body = { .read_callback = read_body };
    nghttp2_nv *nv = arena_array(r->c->a, r->c->header_count, nghttp2_nv);

    for (size_t i = 0; i < r->c->header_count; i++) {
        const struct http_header *h = &r->c->headers[i];
        nv[i] = (nghttp2_nv){ (uint8_t *)(uintptr_t)h->name.p, (uint8_t *)(uintptr_t)h->value.p,
                              h->name.n, h->value.n, 0 };
    }
    int code = nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    if (!code)
        code = nghttp2_session_set_local_window_size(s, NGHTTP2_FLAG_NONE, 0, 4 * WINDOW);
    int32_t id = code ? code
                      : nghttp2_submit_request(s, NULL, nv, r->c->header_count,
                                               r->c->body.n ? &body : NULL, NULL);
    return id >= 0 || err_set(e, ERR_INVALID, "http2: %s", nghttp2_strerror(id));
}

static bool flush(nghttp2_session *s, struct dial *d, struct err *e)
{
    OWNED(buf_fini) struct buf out = { 0 };
    const uint8_t *p;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(s, &p)) > 0)
        buf_bytes(&out, p, (size_t)n);
    if (n < 0)
        return err_set(e, ERR_IO, "http2: %s", nghttp2_strerror((int)n));
    return dial_write(d, buf_view(&out), e);
}

static bool exchange(struct running *r, nghttp2_session *s, struct dial *d, struct err *e)
{
    uint8_t room[16 << 10];

    if (!submit(r, s, e))
        return false;
    while (!r->closed) {
        size_t n;

        if (!flush(s, d, e) || !dial_read(d, room, sizeof room, &n, e))
            return false;
        if (!n)
            return err_set(e, ERR_IO, "http2: unexpected EOF");
        ssize_t used = nghttp2_session_mem_recv(s, room, n);
        if (used < 0)
            return err_set(e, ERR_IO, "http2: %s", nghttp2_strerror((int)used));
        if (r->too_big)
            return err_set(e, ERR_LIMIT, "http2: response body too large");
    }
    if (r->error)
        return err_set(e, ERR_IO, "http2: stream error: %s", nghttp2_http2_strerror(r->error));
    return true;
}

bool h2_call_run(struct h2_call *c, struct dial *d, struct err *e)
{
    struct running r = { .c = c };
    nghttp2_session *s = make_session(&r);
    bool ok = exchange(&r, s, d, e);

    nghttp2_session_del(s);
    c->got = r.got.v;
    c->got_count = r.got.n;
    return ok;
}

struct str h2_call_header(const struct h2_call *c, struct str name)
{
    for (size_t i = 0; i < c->got_count; i++)
        if (str_eq_nocase(c->got[i].name, name))
            return c->got[i].value;
    return STR_NONE;
}
