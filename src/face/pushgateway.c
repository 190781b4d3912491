// pushgateway.c - the face as a whole: routes, pushing, deleting, /metrics, management.
// SPDX-License-Identifier: Apache-2.0
#include "face/pushgateway.h"

#include "base/log.h"
#include "base/mem.h"
#include "face/pushgateway_priv.h"

enum { BODY_MAX = 64 << 20, PERSIST_INTERVAL_MS = 300000 };

/* ---- replies ---- */

static struct str lower(struct arena *a, struct str s)
{
    struct str out = arena_str(a, s);
    char *p = arena_copy(a, out.p, out.n + 1);

    for (size_t i = 0; i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
    return str_of(p, s.n);
}

void push_count(struct pushgateway *g, struct http_exchange *x, const char *handler, int status)
{
    char code[16] = "200";

    if (status) {
        struct str text = arena_printf(&x->arena, "%d", status);
        memcpy(code, text.p, MIN(text.n + 1, sizeof code));
    }
    struct str values[] = { str_c(code), str_c(handler), lower(&x->arena, x->req.method) };
    metric_add(metric_child(g->requests, values), 1);
}

// As Go's http.Error.
static void plain_error(struct http_exchange *x, int status, const char *text)
{
    http_set_header(x, STR("X-Content-Type-Options"), STR("nosniff"));
    http_text(x, status, arena_printf(&x->arena, "%s\n", text));
}

void pushgateway_fallback(struct http_exchange *x, const char *allow)
{
    if (allow) {
        http_set_header(x, STR("Allow"), str_c(allow));
        plain_error(x, 405, "Method Not Allowed");
        return;
    }
    plain_error(x, 404, "404 page not found");
}

/* ---- pushing and deleting ---- */

// Upstream's router answers a path with an empty element by its clean form.
static bool redirect_clean(struct http_exchange *x)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str path = x->req.raw_path;

    if (str_find(path, STR("//")) == STR_NPOS)
        return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] != '/' || i + 1 == path.n || path.p[i + 1] != '/')
            buf_char(&b, path.p[i]);
    http_status(x, 301);
    http_set_header(x, STR("Location"), buf_view(&b));
    return true;
}

// The path behind the prefix and /metrics: "/job/…".
static struct str group_path(struct pushgateway *g, struct http_exchange *x)
{
    return str_sub(x->req.path, g->o.route_prefix.n + STR("/metrics").n, x->req.path.n);
}

static int do_push(struct pushgateway *g, struct http_exchange *x, enum push_mode mode)
{
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct err e = { 0 };
    struct str body;

    if (!push_body(x, &body, &e) || !push_path(g, group_path(g, x), b, &e) ||
        !push_decode(x, body, b, push_now_ns(g), &e)) {
        plain_error(x, 400, e.text);
        return 400;
    }
    if (push_store_push(g, b, mode, &e))
        return g->o.unchecked ? 202 : 200;
    if (e.kind == ERR_LIMIT) {
        plain_error(x, 503, e.text);
        return 503;
    }
    log_warn("pushgateway", "push refused", KV_STR("method", x->req.method),
             KV_STR("source", x->req.peer), KV_ERR(&e));
    if (g->o.unchecked) // upstream does not wait for the outcome then
        return 202;
    plain_error(x, 400,
                arena_printf(&x->arena,
                             "pushed metrics are invalid or inconsistent with existing metrics: %s",
                             e.text)
                    .p);
    return 400;
}

static void handle_push(struct http_exchange *x)
{
    struct pushgateway *g = push_of(x);
    bool put = str_eq(x->req.method, STR("PUT"));
    struct str method = put ? STR("put") : STR("post");

    if (redirect_clean(x))
        return;
    int status = do_push(g, x, put ? PUSH_REPLACE : PUSH_UPDATE);
    http_status(x, status);
    push_count(g, x, "push", status);
    metric_observe(metric_child(g->push_bytes, &method), (double)x->req.body.n);
    metric_observe(metric_child(g->push_seconds, &method),
                   (double)(clock_mono_ns(clock_real()) - x->start_mono_ns) / 1e9);
}

static void handle_delete(struct http_exchange *x)
{
    struct pushgateway *g = push_of(x);
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct err e = { 0 };
    int status = 202;

    if (redirect_clean(x))
        return;
    if (push_path(g, group_path(g, x), b, &e)) {
        push_store_delete(g, b->key);
        http_status(x, 202);
    } else {
        plain_error(x, status = 400, e.text);
    }
    push_count(g, x, "delete", status);
}

/* ---- the page and management ---- */

static enum expo_format format_of(struct http_exchange *x)
{
    struct str accept = http_header_get(&x->req, STR("Accept"));

    if (str_find(accept, STR("application/vnd.google.protobuf")) != STR_NPOS &&
        str_find(accept, STR("encoding=delimited")) != STR_NPOS)
        return EXPO_PROTO;
    return EXPO_TEXT;
}

static void handle_metrics(struct http_exchange *x)
{
    enum expo_format format = format_of(x);
    struct err e = { 0 };

    if (!push_gather(push_of(x), true, format, http_body(x), &e)) {
        buf_reset(http_body(x));
        plain_error(
            x, 500,
            arena_printf(&x->arena, "An error has occurred while serving metrics:\n\n%s", e.text)
                .p);
        return;
    }
    http_set_header(x, STR("Content-Type"),
                    format == EXPO_PROTO ? str_c(expo_content_type(EXPO_PROTO))
                                         : STR("text/plain; version=0.0.4; charset=utf-8"));
}

static void handle_ok(struct http_exchange *x)
{
    http_text(x, 200, STR("OK"));
    push_count(push_of(x), x, str_ends(x->req.path, STR("ready")) ? "ready" : "healthy", 200);
}

static void handle_quit(struct http_exchange *x)
{
    struct pushgateway *g = push_of(x);

    if (str_eq(x->req.method, STR("GET"))) {
        http_text(x, 405, STR("Only POST or PUT requests allowed."));
    } else if (!g->o.lifecycle || !g->o.quit) {
        http_text(x, 403, STR("Lifecycle API is not enabled."));
    } else {
        http_text(x, 200, STR("Requesting termination... Goodbye!"));
        g->o.quit(g->o.ctx);
    }
}

static void handle_wipe(struct http_exchange *x)
{
    push_store_wipe(push_of(x));
    http_status(x, 202);
    push_count(push_of(x), x, "wipe", 202);
}

/* ---- routes ---- */

void push_route(struct pushgateway *g, struct http_server *s, const struct http_route *r)
{
    struct http_route route = *r;

    route.path = arena_printf(&g->arena, "%.*s%s", STRF(g->o.route_prefix), r->path).p;
    route.name = r->path;
    route.ctx = g;
    route.pool = g->pool;
    http_server_route(s, &route);
}

void pushgateway_routes(struct pushgateway *g, struct http_server *s)
{
    static const char *const jobs[] = { "/metrics/job/", "/metrics/job@base64/" };

    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        push_route(g, s,
                   &(struct http_route){ .method = "PUT POST",
                                         .path = jobs[i],
                                         .prefix = true,
                                         .handle = handle_push,
                                         .body_max = BODY_MAX });
        push_route(
            g, s,
            &(struct http_route){
                .method = "DELETE", .path = jobs[i], .prefix = true, .handle = handle_delete });
    }
    push_route(g, s,
               &(struct http_route){ .method = "GET",
                                     .path = arena_cstr(&g->arena, g->o.telemetry_path),
                                     .handle = handle_metrics });
    push_route(g, s,
               &(struct http_route){ .method = "GET", .path = "/-/ready", .handle = handle_ok });
    push_route(g, s,
               &(struct http_route){ .method = "GET", .path = "/-/healthy", .handle = handle_ok });
    push_route(
        g, s,
        &(struct http_route){ .method = "GET PUT POST", .path = "/-/quit", .handle = handle_quit });
    if (g->o.admin)
        push_route(g, s,
                   &(struct http_route){
                       .method = "PUT", .path = "/api/v1/admin/wipe", .handle = handle_wipe });
    push_routes_read(g, s);
    push_routes_page(g, s);
}

/* ---- beginning and end ---- */

static void make_metrics(struct pushgateway *g)
{
    static const char *const build_labels[] = { "branch",    "goarch",   "goos",
                                                "goversion", "revision", "version" };
    const struct str build[] = {
        STR(""), STR("amd64"), STR("linux"), STR(""), STR(""), g->o.version
    };
    static const char *const request_labels[] = { "code", "handler", "method" };

    g->requests = metric_family("pushgateway_http_requests_total",
                                "Total HTTP requests processed by the Pushgateway, excluding "
                                "scrapes.",
                                METRIC_COUNTER, request_labels, 3);
    metric_set(metric_child(metric_family("pushgateway_build_info",
                                          "A metric with a constant '1' value labeled by version, "
                                          "revision, branch, goversion from which pushgateway was "
                                          "built, and the goos and goarch for the build.",
                                          METRIC_GAUGE, build_labels, ARRAY_LEN(build_labels)),
                            build),
               1);
    g->push_seconds = metric_family("pushgateway_http_push_duration_seconds",
                                    "HTTP request duration for pushes to the Pushgateway.",
                                    METRIC_SUMMARY, request_labels + 2, 1);
    g->push_bytes = metric_family("pushgateway_http_push_size_bytes",
                                  "HTTP request size for pushes to the Pushgateway.",
                                  METRIC_SUMMARY, request_labels + 2, 1);
}

// What this process shows by itself: pushes may not contradict it.
static void read_self(struct pushgateway *g)
{
    OWNED(buf_fini) struct buf text = { 0 };
    struct page page;

    if (!g->o.self)
        return;
    g->o.self(g->o.ctx, &text);
    if (!page_read(&g->arena, buf_view(&text), &page, &(struct err){ 0 })) // ours: never malformed
        return;
    push_keep_own(&page);
    g->self = page;
}

bool pushgateway_new(struct pushgateway **out, const struct pushgateway_options *o, struct err *e)
{
    OWNED(pushgateway_free) struct pushgateway *g = xcalloc(1, sizeof *g);

    g->o = *o;
    if (!g->o.clock)
        g->o.clock = clock_real();
    if (!g->o.persistence_interval_ms)
        g->o.persistence_interval_ms = PERSIST_INTERVAL_MS;
    if (!g->o.telemetry_path.n)
        g->o.telemetry_path = STR("/metrics");
    if (!g->o.memory_max)
        g->o.memory_max = (size_t)1 << 30;
    g->start_ns = push_now_ns(g);
    mutex_init(&g->mu, "pushgateway", RANK_LEAF);
    cond_init(&g->wake);
    if (!pool_start(&g->pool, &(struct pool_options){ .name = "pushgw", .threads = 2 }, e))
        return false;
    make_metrics(g);
    read_self(g);
    if (!push_file_start(g, e))
        return false;
    *out = TAKE(g);
    return true;
}

void pushgateway_free(struct pushgateway *g)
{
    if (!g)
        return;
    pool_stop(g->pool);
    push_file_stop(g);
    for (size_t i = 0; i < g->families.n; i++)
        push_batch_put(g->families.v[i]->batch);
    vec_fini(&g->families);
    cond_fini(&g->wake);
    mutex_fini(&g->mu);
    arena_fini(&g->arena);
    xfree(g);
}
