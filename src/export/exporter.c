// exporter.c - the paths every exporter has: its metrics, a landing page, health, reload.
// SPDX-License-Identifier: Apache-2.0
#include "export/exporter.h"

#include "base/log.h"
#include "export/export.h"

struct str export_param(const struct export_request *q, const char *name)
{
    for (size_t i = 0; i < q->params; i++)
        if (str_eq_c(q->param[i].name, name))
            return q->param[i].value;
    return STR_NONE;
}

int64_t export_deadline(const struct export_request *q)
{
    double ms = EXPORT_TIMEOUT_MS;

    if (q->timeout_s > 0 && q->timeout_s < 86400)
        ms = q->timeout_s * 1000;
    if (ms > 2 * EXPORT_TIMEOUT_OFFSET_MS)
        ms -= EXPORT_TIMEOUT_OFFSET_MS;
    return q->start_mono_ns + (int64_t)(ms * 1e6);
}

void export_answer_fini(struct export_answer *a)
{
    buf_fini(&a->body);
}

void export_answer_error(struct export_answer *a, int status, const char *text)
{
    a->status = status;
    a->content_type = "text/plain; charset=utf-8";
    buf_reset(&a->body);
    buf_printf(&a->body, "%s\n", text);
}

void exporter_close(struct exporter *x)
{
    if (x)
        x->class->close(x);
}

void buf_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<':
            buf_lit(b, "&lt;");
            break;
        case '>':
            buf_lit(b, "&gt;");
            break;
        case '&':
            buf_lit(b, "&amp;");
            break;
        case '"':
            buf_lit(b, "&#34;");
            break;
        case '\'':
            buf_lit(b, "&#39;");
            break;
        default:
            buf_char(b, s.p[i]);
            break;
        }
    }
}

static int status_of(const struct err *e)
{
    switch (e->kind) {
    case ERR_INVALID:
        return 400;
    case ERR_DENIED:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_TIMEOUT:
        return 504;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

static void landing(struct exporter *x, struct export_answer *out)
{
    const struct exporter_class *c = x->class;
    const char *metrics = x->metrics_path ? x->metrics_path : "/metrics";

    out->content_type = "text/html; charset=utf-8";
    buf_printf(
        &out->body,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:3em auto;max-width:40em;"
        "padding:0 1em}</style></head>\n<body><h1>%s</h1>\n<p>Built into vigie " VIGIE_VERSION
        ".</p>\n<ul>\n<li><a href=\"%s\">Metrics</a></li>\n",
        c->title, c->title, metrics + 1);
    if (c->probe_try)
        buf_printf(&out->body, "<li><a href=\"%s?%s\">%s?%s</a></li>\n", c->probe_path + 1,
                   c->probe_try, c->probe_path, c->probe_try);
    buf_lit(&out->body, "</ul></body></html>\n");
}

static void page(struct exporter *x, const struct export_request *q, struct export_answer *out,
                 bool probe)
{
    struct err e = { 0 };
    bool ok = true;

    if (probe)
        ok = x->class->probe(x, q, &out->body, &e);
    else if (x->class->metrics)
        ok = x->class->metrics(x, q, &out->body, &e);
    if (!ok) {
        export_answer_error(out, status_of(&e), e.text);
        return;
    }
    if (!probe && (!x->no_self || !x->class->metrics))
        export_self_write(EXPO_TEXT, NULL, &out->body);
}

static void reload(struct exporter *x, const struct export_request *q, struct export_answer *out)
{
    struct err e = { 0 };

    if (!str_eq(q->method, STR("POST")) && !str_eq(q->method, STR("PUT"))) {
        export_answer_error(out, 405, "This endpoint requires a POST request.");
        return;
    }
    if (x->class->reload(x, &e))
        return;
    OWNED(buf_fini) struct buf b = { 0 };
    buf_printf(&b, "failed to reload config: %s", e.text);
    export_answer_error(out, 500, buf_cstr(&b));
}

void exporter_answer(struct exporter *x, const struct export_request *q, struct export_answer *out)
{
    const char *metrics = x->metrics_path ? x->metrics_path : "/metrics";

    if (str_eq_c(q->path, metrics))
        page(x, q, out, false);
    else if (x->class->probe && str_eq_c(q->path, x->class->probe_path))
        page(x, q, out, true);
    else if (x->may_reload && x->class->reload && str_eq(q->path, STR("/-/reload")))
        reload(x, q, out);
    else if (x->class->other && x->class->other(x, q, out))
        return;
    else if (str_eq(q->path, STR("/")))
        landing(x, out);
    else if (str_eq(q->path, STR("/-/healthy")) || str_eq(q->path, STR("/-/ready")) ||
             str_eq(q->path, STR("/health")))
        export_answer_error(out, 200, "ok");
    else
        export_answer_error(out, 404, "404 page not found");
}
