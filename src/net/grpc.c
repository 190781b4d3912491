// grpc.c - see grpc.h.
// SPDX-License-Identifier: Apache-2.0
#include "net/grpc.h"

#include "base/bytes.h"
#include "base/time.h"
#include "codec/base64.h"
#include "codec/compress.h"
#include "codec/proto.h"
#include "net/http_parser.h"

enum {
    GRPC_HEAD_SIZE = 5, // compressed flag, length in big endian
    GRPC_MESSAGE_MAX = 4 << 20,
    GRPC_GZIP_MIN = 1024, // bytes of a reply worth compressing
    GRPC_TEXT_MAX = 1024, // bytes of grpc-message
};

static_assert((int)GRPC_UNAUTHENTICATED == 16, "the protocol's numbers");

struct call { // a call and how it ended
    struct grpc_call pub;
    enum grpc_status status;
    struct str text, details; // details: base64 of a google.rpc.Status, or empty
    struct str accepted;      // set: named in grpc-accept-encoding of a refusal
};

/* ---- the answer ---- */

// Bytes outside of printable ASCII, and '%', become %XX.
static struct str percent_encode(struct arena *a, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < s.n && b.n < GRPC_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= ' ' && c < 0x7f && c != '%') {
            buf_char(&b, (char)c);
        } else {
            buf_char(&b, '%');
            buf_char(&b, hex[c >> 4]);
            buf_char(&b, hex[c & 15]);
        }
    }
    return arena_str(a, buf_view(&b));
}

static void set_status(struct http_exchange *x, enum grpc_status status, struct str text)
{
    http_status(x, 200);
    http_set_header(x, STR("Content-Type"), STR("application/grpc"));
    http_add_trailer(x, STR("grpc-status"), arena_printf(&x->arena, "%d", (int)status));
    if (text.n)
        http_add_trailer(x, STR("grpc-message"), percent_encode(&x->arena, text));
}

void grpc_answer(struct http_exchange *x, enum grpc_status status, struct str text)
{
    buf_reset(http_body(x));
    set_status(x, status, text);
}

static struct call *call_of(struct grpc_call *c)
{
    return CONTAINER_OF(c, struct call, pub);
}

void grpc_fail(struct grpc_call *c, enum grpc_status status, struct str text)
{
    assert(status != GRPC_OK);
    call_of(c)->status = status;
    call_of(c)->text = arena_str(&c->x->arena, text);
}

void grpc_retry_after(struct grpc_call *c, int64_t after_ms)
{
    OWNED(buf_fini) struct buf b = { 0 }, text = { 0 };

    proto_put_varint(&b, 1, call_of(c)->status); // google.rpc.Status.code
    proto_put_bytes(&b, 2, call_of(c)->text);
    size_t any = proto_begin(&b, 3); // details
    proto_put_bytes(&b, 1, STR("type.googleapis.com/google.rpc.RetryInfo"));
    size_t info = proto_begin(&b, 2);
    size_t delay = proto_begin(&b, 1); // google.protobuf.Duration
    if (after_ms >= 1000)
        proto_put_varint(&b, 1, (uint64_t)(after_ms / 1000));
    if (after_ms % 1000)
        proto_put_varint(&b, 2, (uint64_t)(after_ms % 1000 * NS_MS));
    proto_end(&b, delay);
    proto_end(&b, info);
    proto_end(&b, any);
    buf_base64(&text, buf_view(&b));
    call_of(c)->details = arena_str(&c->x->arena, buf_view(&text));
}

static bool accepts_gzip(const struct http_request *r)
{
    return http_token_listed(http_header_get(r, STR("grpc-accept-encoding")), STR("gzip"));
}

// Frames the message that stands in the body.
static void frame_reply(struct http_exchange *x)
{
    OWNED(buf_fini) struct buf message = *http_body(x);
    struct buf *out = http_body(x);
    bool gzip = message.n >= GRPC_GZIP_MIN && accepts_gzip(&x->req);

    *out = (struct buf){ 0 };
    buf_grow(out, GRPC_HEAD_SIZE + message.n);
    memset(out->p, 0, GRPC_HEAD_SIZE);
    out->n = GRPC_HEAD_SIZE;
    if (gzip) {
        http_set_header(x, STR("grpc-encoding"), STR("gzip"));
        compress_all(COMPRESS_GZIP, 0, buf_view(&message), out);
    } else {
        buf_str(out, buf_view(&message));
    }
    assert(out->n - GRPC_HEAD_SIZE <= UINT32_MAX);
    out->p[0] = gzip;
    put_le32(out->p + 1, __builtin_bswap32((uint32_t)(out->n - GRPC_HEAD_SIZE)));
}

static void answer(struct call *c)
{
    struct http_exchange *x = c->pub.x;

    if (c->accepted.n)
        http_set_header(x, STR("grpc-accept-encoding"), c->accepted);
    if (c->status != GRPC_OK) {
        grpc_answer(x, c->status, c->text);
        if (c->details.n)
            http_add_trailer(x, STR("grpc-status-details-bin"), c->details);
        return;
    }
    frame_reply(x);
    set_status(x, GRPC_OK, STR_NONE);
}

/* ---- the call ---- */

bool grpc_is_call(const struct http_request *r)
{
    struct str type = http_header_get(r, STR("Content-Type"));
    struct str base = STR("application/grpc");

    return r->http2 && str_starts(type, base) &&
           (type.n == base.n || type.p[base.n] == '+' || type.p[base.n] == ';');
}

// "100m" and its like; INT64_MAX when absent, false when malformed.
static bool read_timeout(struct str text, int64_t *out_ns)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = { { 'H', 3600 * NS_SECOND },
                  { 'M', 60 * NS_SECOND },
                  { 'S', NS_SECOND },
                  { 'm', NS_MS },
                  { 'u', 1000 },
                  { 'n', 1 } };
    uint64_t n;

    *out_ns = INT64_MAX;
    if (text.n == 0)
        return true;
    if (text.n < 2 || text.n > 9 || !str_to_u64(str_sub(text, 0, text.n - 1), &n))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit != text.p[text.n - 1])
            continue;
        if (__builtin_mul_overflow((int64_t)n, units[i].ns, out_ns))
            *out_ns = INT64_MAX;
        return true;
    }
    return false;
}

static bool inflate(struct call *c, const struct grpc_method *m, struct str in)
{
    struct http_exchange *x = c->pub.x;
    struct str name = http_header_get(&x->req, STR("grpc-encoding"));
    enum compress_codec codec;
    OWNED(buf_fini) struct buf out = { 0 };
    struct err e;

    if (!compress_codec_of(name, &codec) || codec == COMPRESS_SNAPPY) {
        c->accepted = STR("identity,gzip,deflate,zstd");
        grpc_fail(&c->pub, GRPC_UNIMPLEMENTED,
                  arena_printf(&x->arena,
                               "grpc: Decompressor is not installed for "
                               "grpc-encoding \"%.*s\"",
                               STRF(name)));
        return false;
    }
    if (codec == COMPRESS_NONE) {
        grpc_fail(&c->pub, GRPC_INTERNAL,
                  STR("grpc: compressed flag set with identity or empty encoding"));
        return false;
    }
    const struct compress_limits limits = { .size_max = m->message_max ? m->message_max
                                                                       : GRPC_MESSAGE_MAX };
    if (!compress_inflate(codec, in, &limits, &out, &e)) {
        grpc_fail(&c->pub, e.kind == ERR_LIMIT ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL,
                  str_c(e.text));
        return false;
    }
    c->pub.message = arena_str(&x->arena, buf_view(&out));
    return true;
}

// Exactly one message.
static bool read_message(struct call *c, const struct grpc_method *m)
{
    struct str body = c->pub.x->req.body;

    if (body.n < GRPC_HEAD_SIZE || get_be32(body.p + 1) != body.n - GRPC_HEAD_SIZE ||
        (unsigned char)body.p[0] > 1) {
        grpc_fail(&c->pub, GRPC_INTERNAL, STR("expected one whole message in the request"));
        return false;
    }
    c->pub.message = str_sub(body, GRPC_HEAD_SIZE, body.n);
    return body.p[0] == 0 || inflate(c, m, c->pub.message);
}

static bool read_deadline(struct call *c)
{
    struct http_exchange *x = c->pub.x;
    int64_t timeout_ns;

    if (!read_timeout(http_header_get(&x->req, STR("grpc-timeout")), &timeout_ns)) {
        grpc_fail(&c->pub, GRPC_INTERNAL, STR("malformed grpc-timeout"));
        return false;
    }
    if (__builtin_add_overflow(x->start_mono_ns, timeout_ns, &c->pub.deadline_mono_ns))
        c->pub.deadline_mono_ns = INT64_MAX;
    if (clock_mono_ns(clock_real()) < c->pub.deadline_mono_ns)
        return true;
    grpc_fail(&c->pub, GRPC_DEADLINE_EXCEEDED, STR("context deadline exceeded"));
    return false;
}

static void handle(struct http_exchange *x)
{
    const struct grpc_method *m = x->route_ctx;
    struct call c = { .pub = { .x = x, .ctx = m->ctx, .reply = http_body(x) } };

    if (!x->req.http2) {
        http_text(x, 505, STR("gRPC requires HTTP/2\n"));
        return;
    }
    if (!grpc_is_call(&x->req)) {
        http_text(x, 415, STR("expected Content-Type application/grpc\n"));
        return;
    }
    if (read_deadline(&c) && read_message(&c, m))
        m->call(&c.pub);
    answer(&c);
}

void grpc_route(struct http_server *s, const struct grpc_method *m)
{
    size_t max = m->message_max ? m->message_max : GRPC_MESSAGE_MAX;

    http_server_route(s, &(struct http_route){ .method = "POST",
                                               .path = m->path,
                                               .handle = handle,
                                               .ctx = (void *)(uintptr_t)m,
                                               .pool = m->pool,
                                               .body_max = max + GRPC_HEAD_SIZE,
                                               .no_compress = true });
}

/* ---- refusals ---- */

bool grpc_refuse_unknown(struct http_exchange *x)
{
    struct str path = x->req.path;

    if (!grpc_is_call(&x->req))
        return false;
    size_t slash = str_rfind_char(path, '/');
    struct str service = str_sub(path, 1, slash), method = str_sub(path, slash + 1, path.n);
    grpc_answer(x, GRPC_UNIMPLEMENTED,
                arena_printf(&x->arena, "unknown method %.*s for service %.*s", STRF(method),
                             STRF(service)));
    return true;
}

enum grpc_status grpc_status_of_http(int status)
{
    switch (status) {
    case 400:
    case 431:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
    case 405:
    case 501:
        return GRPC_UNIMPLEMENTED;
    case 408:
        return GRPC_DEADLINE_EXCEEDED;
    case 413:
        return GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}
