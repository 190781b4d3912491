// exporter.c - see exporter.h.
// SPDX-License-Identifier: Apache-2.0
#include "face/exporter.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/metric.h"
#include "base/num.h"
#include "base/pool.h"
#include "base/time.h"

struct exporter_face {
    struct exporter_face_options o;
    struct pool *pool;
    struct metric *in_flight;
    struct metric_family *requests;
};

static double timeout_of(const struct http_request *r)
{
    struct str text = http_header_get(r, STR("X-Prometheus-Scrape-Timeout-Seconds"));
    double s = 0;

    return text.n && num_parse_double(text, &s) && s > 0 ? s : 0;
}

static void handle(struct http_exchange *x)
{
    struct exporter_face *f = x->route_ctx;
    OWNED(export_answer_fini) struct export_answer a = { 0 };
    struct http_form form = { 0 };
    struct err e = { 0 };
    struct str path = x->req.path;

    (void)!http_form_parse(&x->arena, &x->req, &form, &e); // as Go: what can be read counts
    if (f->o.prefix.n)
        path = str_sub(path, f->o.prefix.n, path.n);
    struct export_request q = {
        .method = x->req.method,
        .path = path.n ? path : STR("/"),
        .param = form.v,
        .params = form.n,
        .timeout_s = timeout_of(&x->req),
        .start_mono_ns = x->start_mono_ns,
    };
    metric_add(f->in_flight, 1);
    exporter_answer(f->o.exporter, &q, &a);
    metric_add(f->in_flight, -1);
    http_status(x, a.status ? a.status : 200);
    http_set_header(
        x, STR("Content-Type"),
        str_c(a.content_type ? a.content_type : "text/plain; version=0.0.4; charset=utf-8"));
    if (!http_write(x, buf_view(&a.body), &e))
        return; // the client is gone
    char code[8];
    struct str label = { code,
                         (size_t)snprintf(code, sizeof code, "%d", a.status ? a.status : 200) };
    metric_add(metric_child(f->requests, &label), 1);
}

bool exporter_face_open(struct exporter_face **out, const struct exporter_face_options *o,
                        struct err *e)
{
    static const char *const labels[] = { "code" };
    OWNED(exporter_face_close) struct exporter_face *f = xcalloc(1, sizeof *f);

    f->o = *o;
    if (str_eq(f->o.prefix, STR("/")))
        f->o.prefix = STR("");
    f->in_flight = metric_plain("promhttp_metric_handler_requests_in_flight",
                                "Current number of scrapes being served.", METRIC_GAUGE);
    f->requests = metric_family("promhttp_metric_handler_requests_total",
                                "Total number of scrapes by HTTP status code.", METRIC_COUNTER,
                                labels, 1);
    if (!pool_start(&f->pool,
                    &(struct pool_options){ .name = "export",
                                            .threads = o->threads ? o->threads : 16,
                                            .queue_max = 256 },
                    e))
        return false;
    *out = TAKE(f);
    return true;
}

void exporter_face_close(struct exporter_face *f)
{
    if (!f)
        return;
    pool_stop(f->pool);
    xfree(f);
}

void exporter_face_routes(struct exporter_face *f, struct http_server *s)
{
    http_server_route(s, &(struct http_route){
                             .method = "GET HEAD POST PUT",
                             .path = "/",
                             .prefix = true,
                             .handle = handle,
                             .ctx = f,
                             .pool = f->pool,
                             .body_max = 64 << 10,
                             .name = "exporter",
                         });
}
