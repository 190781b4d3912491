// prometheus.c - the face as a whole: routes, pools, CORS, what unknown paths and methods get.
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus.h"

#include "base/mem.h"
#include "face/prometheus_priv.h"

enum { FORM_BODY_MAX = 10 << 20, WRITE_BODY_MAX = 32 << 20 };

bool prom_face_new(struct prom_face **out, const struct prom_face_options *o, struct err *e)
{
    OWNED(prom_face_free) struct prom_face *f = xcalloc(1, sizeof *f);

    f->o = *o;
    if (!f->o.cors_origin.n)
        f->o.cors_origin = STR(".*");
    if (!f->o.query_timeout_ms)
        f->o.query_timeout_ms = 120000;
    if (!f->o.route_prefix.n)
        f->o.route_prefix = STR("/");
    if (!regex_new(&f->cors, f->o.cors_origin, REGEX_ANCHORED, e))
        return err_wrap(e, "invalid CORS origin");
    if (!pool_start(&f->pool, &(struct pool_options){ .name = "query", .queue_max = 4096 }, e) ||
        !pool_start(&f->write_pool, &(struct pool_options){ .name = "write", .queue_max = 4096 },
                    e))
        return false;
    *out = TAKE(f);
    return true;
}

void prom_face_free(struct prom_face *f)
{
    if (!f)
        return;
    pool_stop(f->pool);
    pool_stop(f->write_pool);
    regex_free(f->cors);
    arena_fini(&f->arena);
    xfree(f);
}

void prom_route_with(struct prom_face *f, struct http_server *s, const struct http_route *r)
{
    struct http_route route = *r;
    struct str prefix = f->o.route_prefix;

    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    route.path = arena_printf(&f->arena, "%.*s%s", STRF(prefix), r->path).p;
    route.name = r->path;
    route.ctx = f;
    http_server_route(s, &route);
}

void prom_route(struct prom_face *f, struct http_server *s, const char *method, const char *path,
                http_handler_fn handle)
{
    prom_route_with(f, s,
                    &(struct http_route){ .method = method,
                                          .path = path,
                                          .handle = handle,
                                          .pool = f->pool,
                                          .body_max = FORM_BODY_MAX });
}

void prom_face_routes(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET POST", "/api/v1/query", prom_query);
    prom_route(f, s, "GET POST", "/api/v1/query_range", prom_query_range);
    prom_route(f, s, "GET POST", "/api/v1/format_query", prom_format_query);
    prom_route(f, s, "GET POST", "/api/v1/parse_query", prom_parse_query);
    prom_route(f, s, "GET POST", "/api/v1/series", prom_series);
    prom_route(f, s, "GET POST", "/api/v1/labels", prom_labels);
    prom_route_with(f, s,
                    &(struct http_route){ .method = "GET",
                                          .path = "/api/v1/label/",
                                          .prefix = true,
                                          .handle = prom_label_values,
                                          .pool = f->pool });
    prom_routes_status(f, s);
    prom_routes_targets(f, s);
    prom_routes_write(f, s);
    prom_routes_read(f, s);
    prom_routes_admin(f, s);
}

/* ---- manners ---- */

// The path below the prefix, STR_NONE when it is not below.
static struct str below_prefix(const struct prom_face *f, struct str path)
{
    struct str prefix = f->o.route_prefix;

    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return str_starts(path, prefix) ? str_sub(path, prefix.n, path.n) : STR_NONE;
}

static bool is_api(const struct prom_face *f, struct str path)
{
    return str_starts(below_prefix(f, path), STR("/api/v1/"));
}

static void add_cors(struct prom_face *f, struct http_exchange *x)
{
    struct str origin = http_header_get(&x->req, STR("Origin"));

    http_set_header(x, STR("Vary"), STR("Accept-Encoding, Origin"));
    if (!origin.n || !regex_match(f->cors, origin))
        return;
    http_set_header(x, STR("Access-Control-Allow-Headers"),
                    STR("Accept, Authorization, Content-Type, Origin"));
    http_set_header(x, STR("Access-Control-Allow-Methods"), STR("GET, POST, OPTIONS"));
    http_set_header(x, STR("Access-Control-Allow-Origin"), origin);
    http_set_header(x, STR("Access-Control-Expose-Headers"), STR("Date"));
}

bool prom_face_before(struct http_exchange *x)
{
    // Routes of the face carry it; so does an exchange without route (the server's own context).
    if (str_find(x->req.path, STR("/api/v1/")) != STR_NPOS && x->route_ctx &&
        is_api(prom_face_of(x), x->req.path))
        add_cors(prom_face_of(x), x);
    return true;
}

static void redirect(struct http_exchange *x, int status, const char *words, struct str to)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "<a href=\"%.*s\">%s</a>.\n\n", STRF(to), words);
    http_text(x, status, buf_view(&b));
    http_set_header(x, STR("Content-Type"), STR("text/html; charset=utf-8"));
    http_set_header(x, STR("Location"), to);
}

// The path without doubled slashes and dot segments; equal to the path when it is clean.
static struct str clean_path(struct arena *a, struct str path)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (struct str rest = path; rest.p;) {
        struct str part = str_cut(&rest, '/');
        if (!part.n || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            size_t cut = str_rfind_char(buf_view(&b), '/');
            b.n = cut == STR_NPOS ? 0 : cut;
            continue;
        }
        buf_char(&b, '/');
        buf_str(&b, part);
    }
    if (!b.n || (path.n > 1 && path.p[path.n - 1] == '/'))
        buf_char(&b, '/');
    return arena_str(a, buf_view(&b));
}

static void options(struct prom_face *f, struct http_exchange *x, const char *allow)
{
    if (is_api(f, x->req.path)) {
        http_status(x, 204);
    } else if (allow) {
        http_set_header(x, STR("Allow"), str_c(allow));
    } else {
        prom_plain_error(x, 404, STR("404 page not found"));
    }
}

void prom_face_fallback(struct http_exchange *x, const char *allow)
{
    struct prom_face *f = prom_face_of(x);
    struct str path = x->req.path, clean = clean_path(&x->arena, path);
    struct str api = STR("/api/v1");

    if (str_eq(x->req.method, STR("OPTIONS"))) {
        options(f, x, allow);
    } else if (allow) {
        http_set_header(x, STR("Allow"), str_c(allow));
        prom_plain_error(x, 405, STR("Method Not Allowed"));
    } else if (!str_eq(path, clean)) {
        redirect(x, 307, "Temporary Redirect", clean);
    } else if (str_eq(below_prefix(f, path), api)) {
        redirect(x, 307, "Temporary Redirect", arena_printf(&x->arena, "%.*s/", STRF(path)));
    } else {
        prom_plain_error(x, 404, STR("404 page not found"));
    }
}
