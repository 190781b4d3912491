/*
 * serve_otlp.c - the part that takes OTLP: gRPC on :4317, HTTP on :4318, and on the main port.
 *
 * Without a configuration file both ports are there by themselves, on loopback; with one, when their
 * address is given: somebody may run a collector of his own then. The main port has
 * /api/v1/otlp/v1/metrics as Prometheus and /otlp/v1/metrics as Mimir.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/serve_priv.h"
#include "base/mem.h"
#include "face/otlp.h"

struct serve_otlp {
    struct otlp_face *face;
    struct http_server *grpc, *http;
};

#define OFF "otlp write receiver needs to be enabled with --web.enable-otlp-receiver"

static bool open_part(struct server *s, struct err *e)
{
    bool native = serve_has_feature(s, STR("otlp-native-delta-ingestion"));
    bool on = !s->as_prometheus || flags_bool(&s->flags, "web.enable-otlp-receiver");
    struct serve_otlp *p = s->otlp = xcalloc(1, sizeof *p);

    return otlp_face_new(&p->face,
                         &(struct otlp_face_options){
                             .intake = s->intake,
                             .lookback_ms = flags_ms(&s->flags, "query.lookback-delta"),
                             .convert_delta = !s->as_prometheus ||
                                              serve_has_feature(s, STR("otlp-deltatocumulative")),
                             .native_delta = native,
                             .type_and_unit = serve_has_feature(s, STR("type-and-unit-labels")),
                             .off = on ? NULL : OFF,
                         },
                         e);
}

static const char *below_prefix(struct server *s, const char *path)
{
    struct str prefix = serve_prefix(s);

    if (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return arena_printf(&s->arena, "%.*s%s", STRF(prefix), path).p;
}

static void main_routes(struct server *s, struct http_server *http)
{
    struct otlp_face *f = s->otlp->face;

    otlp_face_route_http(f, http, below_prefix(s, "/api/v1/otlp/v1/metrics"), true);
    if (!s->as_prometheus)
        otlp_face_route_http(f, http, below_prefix(s, "/otlp/v1/metrics"), false);
}

static void grpc_routes(void *ctx, struct http_server *http)
{
    otlp_face_route_grpc(((struct serve_otlp *)ctx)->face, http);
}

// Clients of gRPC that were given the other port are served there too.
static void http_routes(void *ctx, struct http_server *http)
{
    otlp_face_route_http(((struct serve_otlp *)ctx)->face, http, "/v1/metrics", false);
    grpc_routes(ctx, http);
}

static bool wants_port(struct server *s, const char *flag)
{
    const struct flag_value *listen = flags_get(&s->flags, flag);

    return !s->as_prometheus && (listen->given || !flags_text(&s->flags, "config.file").n);
}

static bool open_port(struct server *s, const char *flag,
                      void (*routes)(void *ctx, struct http_server *http), struct http_server **out,
                      struct err *e)
{
    const struct serve_port port = {
        .flag = flag, .routes = routes, .routes_ctx = s->otlp, .all_loops = true
    };

    return !wants_port(s, flag) || serve_open_port(s, &port, out, e);
}

static bool start(struct server *s, struct err *e)
{
    return open_port(s, "otlp.grpc-listen-address", grpc_routes, &s->otlp->grpc, e) &&
           open_port(s, "otlp.http-listen-address", http_routes, &s->otlp->http, e);
}

static void apply(struct server *s, struct prom_config *c)
{
    otlp_face_apply(s->otlp->face, c);
}

static void stop(struct server *s)
{
    if (s->otlp->grpc)
        http_server_stop(s->otlp->grpc);
    if (s->otlp->http)
        http_server_stop(s->otlp->http);
}

static void close_part(struct server *s)
{
    http_server_close(s->otlp->grpc);
    http_server_close(s->otlp->http);
    otlp_face_free(s->otlp->face);
    xfree(s->otlp);
    s->otlp = NULL;
}

const struct serve_part serve_otlp_part = {
    .name = "otlp",
    .open = open_part,
    .routes = main_routes,
    .start = start,
    .apply = apply,
    .stop = stop,
    .close = close_part,
};
