// http_server_route.c - which route a request leads to, and the metrics of requests by route.
// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_priv.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/metric.h"
#include "base/sort.h"
#include "base/time.h"

// Bounds as Prometheus has them, for its own dashboards.
static const double duration_bounds[] = { .1, .2, .4, 1, 3, 8, 20, 60, 120 };
static const double size_bounds[] = { 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

// Longest path first; an exact one before a prefix; then in order of addition.
static int compare_routes(const void *a, const void *b, void *ctx)
{
    const struct http_route_entry *x = a, *y = b;

    (void)ctx;
    if (x->path.n != y->path.n)
        return x->path.n > y->path.n ? -1 : 1;
    return (int)x->route.prefix - (int)y->route.prefix;
}

void http_routes_sort(struct http_server *s)
{
    static const char *const by_handler[] = { "handler" };
    static const char *const by_handler_code[] = { "handler", "code" };
    struct http_routes *r = &s->routes;

    if (r->v.n)
        sort_stable(r->v.v, r->v.n, sizeof *r->v.v, compare_routes, NULL);
    s->requests = metric_family("prometheus_http_requests_total", "Counter of HTTP requests.",
                                METRIC_COUNTER, by_handler_code, 2);
    s->durations = metric_histogram_family(
        "prometheus_http_request_duration_seconds", "Histogram of latencies for HTTP requests.",
        duration_bounds, ARRAY_LEN(duration_bounds), by_handler, 1);
    s->sizes = metric_histogram_family("prometheus_http_response_size_bytes",
                                       "Histogram of response size for HTTP requests.", size_bounds,
                                       ARRAY_LEN(size_bounds), by_handler, 1);
    r->metrics = xcalloc(r->v.n + 1, sizeof *r->metrics);
    for (size_t i = 0; i < r->v.n; i++) {
        struct http_route_entry *entry = &r->v.v[i];
        struct str name = str_c(entry->route.name ? entry->route.name : entry->route.path);

        entry->index = i;
        r->metrics[i].duration = metric_child(s->durations, &name);
        r->metrics[i].size = metric_child(s->sizes, &name);
    }
}

void http_routes_fini(struct http_routes *r)
{
    vec_fini(&r->v);
    xfree(r->metrics);
    r->metrics = NULL;
}

static bool path_matches(const struct http_route_entry *r, struct str path)
{
    return r->route.prefix ? str_starts(path, r->path) : str_eq(path, r->path);
}

static bool same_path(const struct http_route_entry *a, const struct http_route_entry *b)
{
    return a->route.prefix == b->route.prefix && str_eq(a->path, b->path);
}

static bool has_method(const struct http_route *r, struct str method)
{
    struct str list = str_c(r->method);

    if (!r->method)
        return true;
    while (list.n)
        if (str_eq(str_cut(&list, ' '), method))
            return true;
    return false;
}

// "GET, OPTIONS, POST" for the routes [from, to), which share a path.
static const char *allow_list(struct arena *a, const struct http_route_entry *from,
                              const struct http_route_entry *to)
{
    OWNED(buf_fini) struct buf b = { 0 };
    VEC(struct str) methods = { 0 };

    *vec_push_in(a, &methods) = STR("OPTIONS");
    for (; from < to; from++)
        for (struct str list = str_c(from->route.method); list.n;)
            *vec_push_in(a, &methods) = str_cut(&list, ' ');
    size_t n = sort_strs_unique(methods.v, methods.n);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%.*s", i ? ", " : "", STRF(methods.v[i]));
    return arena_cstr(a, buf_view(&b));
}

const struct http_route_entry *http_routes_find(const struct http_routes *r, struct arena *a,
                                                struct str path, struct str method,
                                                const char **allow)
{
    const struct http_route_entry *at = r->v.v, *end = r->v.v + r->v.n, *first;

    *allow = NULL;
    while (at < end && !path_matches(at, path))
        at++;
    if (at == end)
        return NULL;
    for (first = at; at < end && same_path(first, at); at++)
        if (has_method(&at->route, method))
            return at;
    *allow = allow_list(a, first, at);
    return NULL;
}

// The loop keeps the last few codes of each route: the registry takes a lock.
static struct metric *code_metric(struct http_exchange_priv *x)
{
    struct http_code_metric *cache = x->loop->codes[x->route->index], *free_one = NULL;
    char code[12];

    for (size_t i = 0; i < ARRAY_LEN(*x->loop->codes); i++) {
        if (cache[i].m && cache[i].code == x->status)
            return cache[i].m;
        if (!cache[i].m && !free_one)
            free_one = &cache[i];
    }
    snprintf(code, sizeof code, "%d", x->status);
    const struct http_route *r = &x->route->route;
    struct str values[] = { str_c(r->name ? r->name : r->path), str_c(code) };
    struct metric *m = metric_child(x->server->requests, values);
    if (free_one)
        *free_one = (struct http_code_metric){ x->status, m };
    return m;
}

void http_route_count(struct http_exchange_priv *x)
{
    if (!x->route)
        return;
    const struct http_route_metrics *m = &x->server->routes.metrics[x->route->index];
    int64_t took_ns = clock_mono_ns(clock_real()) - x->pub.start_mono_ns;
    metric_add(code_metric(x), 1);
    metric_observe(m->duration, (double)took_ns / 1e9);
    metric_observe(m->size, (double)x->body_bytes);
}
