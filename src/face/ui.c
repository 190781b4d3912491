// ui.c - serving the embedded pages, and the addresses that Prometheus's own pages had.
// SPDX-License-Identifier: Apache-2.0
#include "face/ui.h"

#include "base/mem.h"

struct ui_face {
    struct ui_face_options o;
    struct arena arena;
    struct str prefix; // without a slash at the end
};

static const char csp[] =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src "
    "'none'";

static const char no_ui[] =
    "<!doctype html><meta charset=utf-8><title>vigie</title>"
    "<h1>vigie is running</h1><p>This build has no web pages: it was made without Node.js. "
    "The API works: try <a href=\"api/v1/query?query=up\">api/v1/query?query=up</a>, "
    "<a href=\"api/v1/targets\">api/v1/targets</a> or <a href=\"metrics\">metrics</a>.";

bool ui_face_new(struct ui_face **out, const struct ui_face_options *o, struct err *e UNUSED)
{
    struct ui_face *f = xcalloc(1, sizeof *f);

    f->o = *o;
    f->prefix = arena_str(&f->arena, o->prefix);
    while (f->prefix.n && f->prefix.p[f->prefix.n - 1] == '/')
        f->prefix.n--;
    *out = f;
    return true;
}

void ui_face_free(struct ui_face *f)
{
    if (!f)
        return;
    arena_fini(&f->arena);
    xfree(f);
}

static const struct ui_asset *asset_of(struct str path)
{
    for (size_t i = 0; i < ui_asset_count; i++)
        if (str_eq_c(path, ui_assets[i].path))
            return &ui_assets[i];
    return NULL;
}

static const char *type_of(struct str path)
{
    static const struct {
        const char *ext, *type;
    } types[] = { { ".html", "text/html; charset=utf-8" },
                  { ".js", "text/javascript; charset=utf-8" },
                  { ".css", "text/css; charset=utf-8" },
                  { ".svg", "image/svg+xml" },
                  { ".png", "image/png" },
                  { ".ico", "image/x-icon" },
                  { ".woff2", "font/woff2" },
                  { ".json", "application/json" },
                  { ".webmanifest", "application/manifest+json" } };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ends(path, str_c(types[i].ext)))
            return types[i].type;
    return "application/octet-stream";
}

static void security_headers(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Security-Policy"), str_c(csp));
    http_set_header(x, STR("X-Content-Type-Options"), STR("nosniff"));
    http_set_header(x, STR("Referrer-Policy"), STR("same-origin"));
}

// The asset as the build compressed it, when there is one and the client takes gzip.
static const struct ui_asset *packed_of(struct http_exchange *x, struct str path)
{
    if (!http_accepts(&x->req, STR("gzip")))
        return NULL;
    return asset_of(arena_printf(&x->arena, "%.*s.gz", STRF(path)));
}

static void serve_asset(struct http_exchange *x)
{
    struct ui_face *f = x->route_ctx;
    struct str path = str_sub(x->req.path, f->prefix.n + 1, x->req.path.n);
    const struct ui_asset *a = asset_of(path), *packed;

    if (!a) {
        http_text(x, 404, STR("404 page not found\n"));
        return;
    }
    security_headers(x);
    http_set_header(x, STR("Content-Type"), str_c(type_of(path)));
    http_set_header(x, STR("Cache-Control"),
                    str_starts(path, STR("assets/")) ? STR("public, max-age=31536000, immutable")
                                                     : STR("no-cache"));
    http_set_header(x, STR("Vary"), STR("Accept-Encoding"));
    packed = packed_of(x, path);
    if (packed) {
        http_set_header(x, STR("Content-Encoding"), STR("gzip"));
        a = packed;
    }
    buf_bytes(http_body(x), a->bytes, a->n);
}

// index.html with the base path of this server put in.
static void serve_page(struct http_exchange *x)
{
    struct ui_face *f = x->route_ctx;
    const struct ui_asset *a = asset_of(STR("index.html"));
    struct str html = a ? str_of(a->bytes, a->n) : str_c(no_ui), mark = STR("<base href=\"/\"");
    size_t at = str_find(html, mark);

    security_headers(x);
    http_set_header(x, STR("Content-Type"), STR("text/html; charset=utf-8"));
    http_set_header(x, STR("Cache-Control"), STR("no-cache"));
    if (at == STR_NPOS) {
        buf_str(http_body(x), html);
        return;
    }
    buf_str(http_body(x), str_sub(html, 0, at));
    buf_printf(http_body(x), "<base href=\"%.*s/\"", STRF(f->prefix));
    buf_str(http_body(x), str_sub(html, at + mark.n, html.n));
}

static void redirect(struct http_exchange *x, int status, const char *words, struct str to)
{
    http_status(x, status);
    http_set_header(x, STR("Content-Type"), STR("text/html; charset=utf-8"));
    http_set_header(x, STR("Location"), to);
    buf_printf(http_body(x), "<a href=\"%.*s\">%s</a>.\n\n", STRF(to), words);
}

static void root(struct http_exchange *x)
{
    struct ui_face *f = x->route_ctx;

    redirect(x, 302, "Found",
             arena_printf(&x->arena, "%.*s/%s", STRF(f->prefix), f->o.agent ? "agent" : "query"));
}

// Outside of the prefix: the way to it.
static void to_prefix(struct http_exchange *x)
{
    struct ui_face *f = x->route_ctx;

    redirect(x, 302, "Found", f->prefix);
}

static void add_slash(struct http_exchange *x)
{
    struct ui_face *f = x->route_ctx;

    redirect(x, 301, "Moved Permanently", arena_printf(&x->arena, "%.*s/", STRF(f->prefix)));
}

static void graph(struct http_exchange *x)
{
    struct ui_face *f = x->route_ctx;

    redirect(x, 302, "Found",
             arena_printf(&x->arena, "%.*s/query?%.*s", STRF(f->prefix), STRF(x->req.query)));
}

static void add(struct ui_face *f, struct http_server *s, const char *path, bool prefix,
                http_handler_fn handle)
{
    http_server_route(s, &(struct http_route){
                             .method = "GET",
                             .path = arena_printf(&f->arena, "%.*s%s", STRF(f->prefix), path).p,
                             .prefix = prefix,
                             .handle = handle,
                             .ctx = f,
                             .name = path,
                         });
}

void ui_face_routes(struct ui_face *f, struct http_server *s)
{
    // Pages of Prometheus at their known addresses, then our own.
    static const char *const pages[] = {
        "/query",  "/alerts",      "/targets",         "/rules",  "/service-discovery",
        "/status", "/tsdb-status", "/flags",           "/config", "/alertmanager-discovery",
        "/agent",  "/explore",     "/metrics-explorer"
    };

    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        add(f, s, pages[i], false, serve_page);
    add(f, s, "/", false, root);
    add(f, s, "/graph", false, graph);
    add(f, s, "/assets/", true, serve_asset);
    add(f, s, "/favicon.svg", false, serve_asset);
    if (f->prefix.n) {
        add(f, s, "", false, add_slash);
        http_server_route(
            s, &(struct http_route){ .method = "GET", .path = "/", .handle = to_prefix, .ctx = f });
    }
}
