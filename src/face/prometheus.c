// prometheus.c - the face as a whole: routes, pools, CORS, what unknown paths and methods get.
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus.h"

#include <unistd.h>

#include "base/mem.h"
#include "face/prometheus_priv.h"

enum { FORM_BODY_MAX = 10 << 20, QUERY_THREADS_MAX = 128, QUERY_MEMORY_MAX = 1 << 30 };

// Of one query: a quarter of the machine's memory, and no more than 1 GiB.
static uint64_t memory_default(void)
{
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    return MIN(all / 4, (uint64_t)QUERY_MEMORY_MAX);
}

bool prom_face_new(struct prom_face **out, const struct prom_face_options *o, struct err *e)
{
    OWNED(prom_face_free) struct prom_face *f = xcalloc(1, sizeof *f);

    f->o = *o;
    if (!f->o.cors_origin.n)
        f->o.cors_origin = STR(".*");
    if (!f->o.query_concurrency)
        f->o.query_concurrency = 20;
    if (!f->o.query_memory_bytes)
        f->o.query_memory_bytes = memory_default();
    if (!f->o.query_timeout_ms)
        f->o.query_timeout_ms = 120000;
    if (!f->o.route_prefix.n)
        f->o.route_prefix = STR("/");
    if (!regex_new(&f->cors, f->o.cors_origin, REGEX_ANCHORED, e))
        return err_wrap(e, "invalid CORS origin");
    // Idle threads cost little; more than that many queries at once would only share the CPUs.
    unsigned queries = MIN(MAX(f->o.query_concurrency, 1U), (unsigned)QUERY_THREADS_MAX);
    if (!pool_start(
            &f->query_pool,
            &(struct pool_options){ .name = "query", .threads = queries, .queue_max = 4096 }, e) ||
        !pool_start(&f->pool, &(struct pool_options){ .name = "api", .queue_max = 4096 }, e) ||
        !pool_start(&f->write_pool, &(struct pool_options){ .name = "write", .queue_max = 4096 },
                    e))
        return false;
    prom_engine_init(f);
    prom_metrics_init(f);
    *out = TAKE(f);
    return true;
}

void prom_face_free(struct prom_face *f)
{
    if (!f)
        return;
    pool_stop(f->query_pool);
    pool_stop(f->pool);
    pool_stop(f->write_pool);
    regex_free(f->cors);
    vec_fini(&f->paths);
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
    route.compress_small = !route.no_compress;
    *vec_push(&f->paths) = str_c(r->path);
    http_server_route(s, &route);
    if (f->o.as_prometheus || !str_starts(str_c(r->path), STR("/api/v1/")))
        return;
    route.path = arena_printf(&f->arena, "%.*s/prometheus%s", STRF(prefix), r->path).p; // Mimir's
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

static void query_route(struct prom_face *f, struct http_server *s, const char *path,
                        http_handler_fn handle)
{
    prom_route_with(f, s,
                    &(struct http_route){ .method = "GET POST",
                                          .path = path,
                                          .handle = handle,
                                          .pool = f->query_pool,
                                          .body_max = FORM_BODY_MAX });
}

void prom_face_routes(struct prom_face *f, struct http_server *s)
{
    query_route(f, s, "/api/v1/query", prom_query);
    query_route(f, s, "/api/v1/query_range", prom_query_range);
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
    prom_routes_search(f, s);
    prom_routes_rules(f, s);
    prom_routes_federate(f, s);
    prom_routes_metrics(f, s);
    prom_routes_docs(f, s);
    prom_routes_status(f, s);
    prom_routes_targets(f, s);
    prom_routes_write(f, s);
    prom_routes_read(f, s);
    prom_routes_mimir(f, s);
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
    if (!origin.n)
        return;
    http_set_header(x, STR("Access-Control-Allow-Headers"),
                    STR("Accept, Authorization, Content-Type, Origin"));
    http_set_header(x, STR("Access-Control-Allow-Methods"), STR("GET, POST, OPTIONS"));
    http_set_header(x, STR("Access-Control-Expose-Headers"), STR("Date"));
    if (regex_match(f->cors, origin))
        http_set_header(x, STR("Access-Control-Allow-Origin"), origin);
}

bool prom_face_before(struct http_exchange *x)
{
    struct prom_face *f = x->server_ctx; // routes of other parts on this port have their own

    if (str_find(x->req.path, STR("/api/v1/")) != STR_NPOS && is_api(f, x->req.path))
        add_cors(f, x);
    return true;
}

// As Go's http.Redirect: the query goes along, the text is for GET only.
static void redirect(struct http_exchange *x, int status, const char *words, struct str path)
{
    bool has_query = x->req.query.n > 0;
    struct str to = has_query ? arena_printf(&x->arena, "%.*s?%.*s", STRF(path), STRF(x->req.query))
                              : path;
    struct buf *b = http_body(x);

    http_status(x, status);
    http_set_header(x, STR("Location"), to);
    if (!str_eq(x->req.method, STR("GET")))
        return;
    http_set_header(x, STR("Content-Type"), STR("text/html; charset=utf-8"));
    buf_lit(b, "<a href=\"");
    prom_buf_html(b, to);
    buf_printf(b, "\">%s</a>.\n\n", words);
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

// A known path with a slash too many.
static bool is_path_with_slash(struct prom_face *f, struct str path)
{
    struct str below = below_prefix(f, path), plain = str_sub(below, 0, below.n - (below.n > 0));

    if (!str_ends(below, STR("/")))
        return false;
    if (str_starts(plain, STR("/api/v1/label/")) && str_ends(plain, STR("/values")))
        return true;
    for (size_t i = 0; i < f->paths.n; i++)
        if (str_eq(f->paths.v[i], plain))
            return true;
    return false;
}

static void drop_slash(struct prom_face *f, struct http_exchange *x)
{
    struct str path = str_sub(x->req.path, 0, x->req.path.n - 1);
    bool get = str_eq(x->req.method, STR("GET"));

    // Upstream's router sees the path below /api/v1 only, and sends people there.
    if (f->o.as_prometheus && is_api(f, path))
        path = str_sub(below_prefix(f, path), strlen("/api/v1"), path.n);
    redirect(x, get ? 301 : 307, get ? "Moved Permanently" : "Temporary Redirect", path);
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
    } else if (is_path_with_slash(f, path)) {
        drop_slash(f, x);
    } else if (str_eq(below_prefix(f, path), api)) {
        redirect(x, 307, "Temporary Redirect", arena_printf(&x->arena, "%.*s/", STRF(path)));
    } else {
        prom_plain_error(x, 404, STR("404 page not found"));
    }
}
