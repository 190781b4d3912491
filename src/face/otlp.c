// otlp.c - see otlp.h.
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp.h"

#include "base/mem.h"
#include "base/metric.h"
#include "base/rand.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "codec/otlp.h"
#include "face/otlp_delta.h"
#include "face/otlp_translate.h"

enum {
    BODY_MAX = 32 << 20,      // bytes as sent
    INFLATED_MAX = 128 << 20, // bytes of a request
    JSON_MAX = 20 << 20,      // bytes of one in JSON, which is read whole into twenty times that
    GRPC_MAX = 32 << 20,
    QUEUE_MAX = 1024,
    LOOKBACK_MS = 300000,
};

struct otlp_face {
    struct otlp_face_options o;
    struct pool *pool;
    struct otlp_delta *delta; // NULL: not converted
    struct grpc_method export;
    struct mutex mu;
    struct prom_config *config;  // under mu; NULL before the first
    struct otlp_options options; // under mu; borrows from config
    uint64_t seed;
    struct metric *points, *rejected;
};

struct settings { // as of one request
    struct prom_config *config;
    struct otlp_options options;
};

static void settings_fini(struct settings *s)
{
    prom_config_put(s->config);
}
OWN_DEFINE_FINI(struct settings, settings_fini)

static bool settings_of(struct otlp_face *f, struct settings *out, struct err *e)
{
    LOCKED(&f->mu);
    if (!f->config)
        return err_set(e, ERR_UNAVAILABLE, "the server is starting");
    out->config = prom_config_get(f->config);
    out->options = f->options;
    return true;
}

void otlp_face_apply(struct otlp_face *f, struct prom_config *c)
{
    struct prom_config *before;

    mutex_lock(&f->mu);
    before = f->config;
    f->config = prom_config_get(c);
    f->options = (struct otlp_options){ .type_and_unit = f->o.type_and_unit,
                                        .native_delta = f->o.native_delta,
                                        .lookback_ms = f->o.lookback_ms,
                                        .delta = f->delta,
                                        .seed = f->seed };
    otlp_options_set(&f->options, &c->doc.otlp);
    mutex_unlock(&f->mu);
    prom_config_put(before);
}

/* ---- one request, of either protocol ---- */

struct answer {
    int status; // of HTTP
    int retry_after_s;
    uint64_t rejected;
    struct str text;
};

static int status_of(const struct err *e)
{
    return e->kind == ERR_CORRUPT ? 400 : intake_error_status(e);
}

static struct answer failed(struct http_exchange *x, const struct err *e)
{
    struct answer a = { .status = status_of(e), .text = arena_str(&x->arena, str_c(e->text)) };

    if (a.status == 429 || a.status == 503)
        a.retry_after_s = 1;
    return a;
}

static struct answer store(struct otlp_face *f, struct http_exchange *x, struct str body, bool json)
{
    OWNED(settings_fini) struct settings s = { 0 };
    struct otlp_job job = { .intake = f->o.intake, .o = &s.options, .body = body, .json = json };
    struct otlp_outcome out;
    struct err e;

    if (!settings_of(f, &s, &e) || !intake_tenant_of(f->o.intake, &x->req, &job.tenant, &e) ||
        !otlp_store_metrics(&job, &x->arena, &out, &e))
        return failed(x, &e);
    metric_add(f->points, (double)out.points);
    metric_add(f->rejected, (double)out.rejected);
    return (struct answer){ out.status, out.retry_after_s, out.rejected, out.text };
}

/* ---- HTTP ---- */

enum form { FORM_PROTO, FORM_JSON, FORM_UNKNOWN };

static enum form form_of(struct str type)
{
    type = str_trim(str_cut(&type, ';'));
    if (str_eq_nocase(type, STR("application/x-protobuf")))
        return FORM_PROTO;
    return str_eq_nocase(type, STR("application/json")) ? FORM_JSON : FORM_UNKNOWN;
}

static enum grpc_status grpc_of(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
        return GRPC_INVALID_ARGUMENT;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 429:
        return GRPC_RESOURCE_EXHAUSTED;
    case 503:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_INTERNAL;
    }
}

static void reply_error(struct http_exchange *x, const struct answer *a, bool plain, bool json)
{
    http_status(x, a->status);
    if (a->retry_after_s)
        http_set_header(x, STR("Retry-After"), arena_printf(&x->arena, "%d", a->retry_after_s));
    if (plain) {
        http_text(x, a->status, a->text);
        buf_char(http_body(x), '\n');
        return;
    }
    http_set_header(x, STR("Content-Type"),
                    json ? STR("application/json") : STR("application/x-protobuf"));
    buf_otlp_status(http_body(x), json, grpc_of(a->status), a->text);
}

static void reply(struct http_exchange *x, const struct answer *a, bool plain, bool json)
{
    if (a->status != 200) {
        reply_error(x, a, plain, json);
        return;
    }
    http_set_header(x, STR("Content-Type"),
                    json ? STR("application/json") : STR("application/x-protobuf"));
    buf_otlp_response(http_body(x), OTLP_METRICS, json, a->rejected,
                      a->rejected ? a->text : STR_NONE);
}

static bool inflate(struct http_exchange *x, bool json, struct buf *out, struct answer *a)
{
    const struct compress_limits limits = { .size_max = json ? JSON_MAX : INFLATED_MAX };
    struct str name = http_header_get(&x->req, STR("Content-Encoding"));
    enum compress_codec codec;
    struct err e;

    if (!compress_codec_of(name, &codec)) {
        *a = (struct answer){
            415, 0, 0, arena_printf(&x->arena, "unsupported compression: %.*s", STRF(name))
        };
        return false;
    }
    if (codec == COMPRESS_NONE && x->req.body.n > limits.size_max) {
        *a = (struct answer){ 413, 0, 0, STR("request body too large") };
        return false;
    }
    if (codec == COMPRESS_NONE || compress_inflate(codec, x->req.body, &limits, out, &e))
        return true;
    *a = (struct answer){ e.kind == ERR_LIMIT ? 413 : 400, 0, 0,
                          arena_str(&x->arena, str_c(e.text)) };
    return false;
}

static void handle(struct http_exchange *x, bool plain)
{
    struct otlp_face *f = x->route_ctx;
    struct str type = http_header_get(&x->req, STR("Content-Type"));
    enum form form = form_of(type);
    OWNED(buf_fini) struct buf inflated = { 0 };
    struct answer a;

    if (form == FORM_UNKNOWN) {
        a = (struct answer){ plain ? 400 : 415, 0, 0,
                             arena_printf(&x->arena,
                                          "unsupported content type: %.*s, supported: "
                                          "[application/json, application/x-protobuf]",
                                          STRF(type)) };
        reply(x, &a, true, false);
        return;
    }
    if (inflate(x, form == FORM_JSON, &inflated, &a))
        a = store(f, x, inflated.p ? buf_view(&inflated) : x->req.body, form == FORM_JSON);
    reply(x, &a, plain, form == FORM_JSON);
}

static void handle_plain(struct http_exchange *x)
{
    struct otlp_face *f = x->route_ctx;

    if (f->o.off)
        http_text(x, 404, arena_printf(&x->arena, "%s\n", f->o.off));
    else
        handle(x, true);
}

static void handle_otlp(struct http_exchange *x)
{
    handle(x, false);
}

void otlp_face_route_http(struct otlp_face *f, struct http_server *s, const char *path, bool plain)
{
    http_server_route(s, &(struct http_route){ .method = "POST",
                                               .path = path,
                                               .handle = plain ? handle_plain : handle_otlp,
                                               .ctx = f,
                                               .pool = f->pool,
                                               .body_max = BODY_MAX });
}

/* ---- gRPC ---- */

static void export(struct grpc_call *c)
{
    struct otlp_face *f = c->ctx;
    struct answer a = store(f, c->x, c->message, false);

    if (a.status == 200) {
        buf_otlp_response(c->reply, OTLP_METRICS, false, a.rejected,
                          a.rejected ? a.text : STR_NONE);
        return;
    }
    grpc_fail(c, grpc_of(a.status), a.text);
    if (a.retry_after_s)
        grpc_retry_after(c, (int64_t)a.retry_after_s * 1000);
}

void otlp_face_route_grpc(struct otlp_face *f, struct http_server *s)
{
    grpc_route(s, &f->export);
}

/* ---- the face ---- */

bool otlp_face_new(struct otlp_face **out, const struct otlp_face_options *o, struct err *e)
{
    OWNED(otlp_face_free) struct otlp_face *f = xcalloc(1, sizeof *f);

    f->o = *o;
    if (!f->o.lookback_ms)
        f->o.lookback_ms = LOOKBACK_MS;
    rand_bytes(&f->seed, sizeof f->seed);
    mutex_init(&f->mu, "otlp face", RANK_LEAF);
    if (!pool_start(&f->pool, &(struct pool_options){ .name = "otlp", .queue_max = QUEUE_MAX }, e))
        return false;
    if (o->convert_delta && !o->native_delta)
        f->delta = otlp_delta_new(&(struct otlp_delta_options){ 0 });
    f->export = (struct grpc_method){
        .path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/"
                "Export",
        .call = export,
        .ctx = f,
        .pool = f->pool,
        .message_max = GRPC_MAX
    };
    f->points = metric_plain("vigie_otlp_points_total", "Data points received over OTLP.",
                             METRIC_COUNTER);
    f->rejected = metric_plain("vigie_otlp_points_rejected_total",
                               "Data points received over OTLP and not stored.", METRIC_COUNTER);
    *out = TAKE(f);
    return true;
}

void otlp_face_free(struct otlp_face *f)
{
    if (!f)
        return;
    pool_stop(f->pool);
    otlp_delta_free(f->delta);
    prom_config_put(f->config);
    mutex_fini(&f->mu);
    xfree(f);
}
