// blackbox_grpc.c - the grpc prober: grpc.health.v1.Health/Check over HTTP/2.
// SPDX-License-Identifier: Apache-2.0
#include "export/blackbox_priv.h"
#include "export/h2_call.h"
#include "net/url.h"

enum { GRPC_OK = 0, GRPC_UNKNOWN = 2, GRPC_DEADLINE = 4, GRPC_UNAVAILABLE = 14, SERVING = 1 };

static const char *const statuses[] = { "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN" };

struct check {
    struct probe *p;
    double resolve, check;
    int64_t code; // of gRPC
    int serving;  // index of statuses; −1: none came
    bool reached, has_peer;
    struct tls_peer peer;
};

// Message 1 of the protocol: field 1, the service's name, in a frame of five bytes of head.
static void put_request(struct buf *b, struct str service)
{
    OWNED(buf_fini) struct buf m = { 0 };

    if (service.n) {
        buf_char(&m, 0x0a);
        buf_varint(&m, service.n);
        buf_str(&m, service);
    }
    char head[5] = { 0, (char)(m.n >> 24), (char)(m.n >> 16), (char)(m.n >> 8), (char)m.n };
    buf_bytes(b, head, sizeof head);
    buf_str(b, buf_view(&m));
}

// Field 1 of the answer; an empty message says 0.
static int serving_of(struct str frame)
{
    if (frame.n < 5)
        return -1;
    if (frame.n >= 7 && frame.p[5] == 0x08 && (unsigned char)frame.p[6] < ARRAY_LEN(statuses))
        return frame.p[6];
    return frame.n == 5 ? 0 : -1;
}

static void fill_headers(struct check *k, struct str authority, struct http_header *h, size_t *n,
                         size_t max)
{
    const struct blackbox_grpc *m = &k->p->module->grpc;

    h[(*n)++] = (struct http_header){ STR(":method"), STR("POST") };
    h[(*n)++] = (struct http_header){ STR(":scheme"), m->tls ? STR("https") : STR("http") };
    h[(*n)++] = (struct http_header){ STR(":authority"), authority };
    h[(*n)++] = (struct http_header){ STR(":path"), STR("/grpc.health.v1.Health/Check") };
    h[(*n)++] = (struct http_header){ STR("content-type"), STR("application/grpc") };
    h[(*n)++] = (struct http_header){ STR("user-agent"), STR("vigie/" VIGIE_VERSION) };
    h[(*n)++] = (struct http_header){ STR("te"), STR("trailers") };
    for (size_t i = 0; i < m->metadata.n; i++) {
        for (size_t j = 0; j < m->metadata.v[i].values.n && *n < max; j++) {
            char *name = arena_cstr(k->p->a, m->metadata.v[i].key);
            for (char *c = name; *c; c++) // HTTP/2 knows lower case only
                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
            h[(*n)++] = (struct http_header){ str_c(name), m->metadata.v[i].values.v[j] };
        }
    }
}

static void call(struct check *k, struct dial *d, struct str authority)
{
    struct http_header h[64];
    size_t n = 0;
    OWNED(buf_fini) struct buf body = { 0 };
    struct err e = { 0 };

    fill_headers(k, authority, h, &n, ARRAY_LEN(h));
    put_request(&body, k->p->module->grpc.service);
    struct h2_call c = {
        .headers = h, .header_count = n, .body = buf_view(&body), .body_max = 64 << 10, .a = k->p->a
    };
    bool ok = h2_call_run(&c, d, &e);
    struct str status = h2_call_header(&c, STR("grpc-status"));
    k->reached = c.began;
    if (!str_to_i64(status, &k->code))
        k->code = ok ? GRPC_UNKNOWN : e.kind == ERR_TIMEOUT ? GRPC_DEADLINE : GRPC_UNAVAILABLE;
    if (!ok)
        probe_error(k->p, "Error for gRPC request", KV_ERR(&e));
    else if (k->code != GRPC_OK)
        probe_error(k->p, "can't connect grpc server", KV_I64("code", k->code),
                    KV_STR("err", h2_call_header(&c, STR("grpc-message"))));
    else
        k->serving = serving_of(buf_view(&c.answer));
    buf_fini(&c.answer);
}

static void connect_and_call(struct check *k, const struct url *u, struct dial_address *to)
{
    const struct blackbox_grpc *m = &k->p->module->grpc;
    OWNED(dial_end) struct dial d = dial_closed(k->p->deadline_mono_ns);
    OWNED(http_tls_free) struct http_tls *tls = NULL;
    struct err e = { 0 };
    uint64_t port = m->tls ? 443 : 80;

    if (u->port.n && (!str_to_u64(u->port, &port) || port > 65535))
        port = 0;
    dial_address_set_port(to, (int)port);
    k->code = GRPC_UNAVAILABLE;
    if (!dial_tcp(&d, to, NULL, &e)) {
        probe_error(k->p, "did not connect", KV_ERR(&e));
        return;
    }
    if (m->tls) {
        if (!probe_tls_new(k->p, &m->tls_config, &tls))
            return;
        if (!dial_tls(&d, tls, arena_cstr(k->p->a, u->host), true, &e)) {
            probe_error(k->p, "did not connect", KV_ERR(&e));
            return;
        }
        k->has_peer = tls_peer_read(&d.s, k->p->a, &k->peer);
    }
    call(k, &d, arena_printf(k->p->a, "%.*s:%d", STRF(u->host), (int)port));
}

static void add_metrics(struct check *k)
{
    static const char name[] = "probe_grpc_duration_seconds";
    static const char help[] = "Duration of gRPC request by phase";
    struct probe *p = k->p;

    probe_add(p, name, help, k->resolve, "phase", STR("resolve"));
    if (k->check >= 0)
        probe_add(p, name, help, k->check, "phase", STR("check"));
    PROBE_GAUGE(p, "probe_grpc_ssl", "Indicates if SSL was used for the connection", k->has_peer);
    PROBE_GAUGE(p, "probe_grpc_status_code", "Response gRPC status code", (double)k->code);
    for (size_t i = 0; k->check >= 0 && i < ARRAY_LEN(statuses); i++)
        probe_add(p, "probe_grpc_healthcheck_response", "Response HealthCheck response",
                  k->serving == (int)i, "serving_status", str_c(statuses[i]));
    if (k->has_peer)
        probe_add_tls(p, &k->peer, 0);
}

bool probe_grpc(struct probe *p)
{
    struct check k = { .p = p, .serving = -1, .check = -1 };
    struct str target = p->target;
    struct dial_address to;
    struct err e = { 0 };
    struct url u;
    bool ok = true;

    if (!str_starts(target, STR("http://")) && !str_starts(target, STR("https://")))
        target = arena_printf(p->a, "http://%.*s", STRF(target));
    if (!url_parse(p->a, target, &u, &e)) {
        probe_error(p, "Could not parse target URL", KV_ERR(&e));
        ok = false;
    }
    ok = ok && probe_choose(p, &p->module->grpc.ip, u.host, &to, &k.resolve);
    if (ok) {
        int64_t begin = clock_mono_ns(clock_real());
        connect_and_call(&k, &u, &to);
        k.check = probe_seconds_since(begin);
    }
    add_metrics(&k);
    return ok && k.code == GRPC_OK && k.serving == SERVING;
}

bool probe_websocket(struct probe *p)
{
    probe_error(p, "the websocket prober is not supported yet");
    return false;
}
