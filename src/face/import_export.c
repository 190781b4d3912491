// import_export.c - series out over HTTP: /api/v1/export and /api/v1/export/csv.
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant.h"
#include "codec/json.h"
#include "face/import_priv.h"
#include "face/series_export.h"

enum { SELECTORS_MAX = 64, EXPORT_TIMEOUT_S = 3600 };

struct parameters {
    struct promql selector[SELECTORS_MAX];
    size_t n;
    int64_t min_ms, max_ms;
    uint64_t rows_per_line;
};

static void parameters_fini(struct parameters *p)
{
    for (size_t i = 0; i < p->n; i++)
        promql_fini(&p->selector[i]);
}
OWN_DEFINE_FINI(struct parameters, parameters_fini)

static void fail(struct http_exchange *x, int status, struct str text)
{
    http_status(x, status);
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    buf_reset(http_body(x));
    buf_lit(http_body(x), "{\"status\":\"error\",\"error\":");
    buf_json_str(http_body(x), text);
    buf_lit(http_body(x), "}\n");
}

static bool read_selectors(struct http_exchange *x, const struct http_form *f, struct parameters *p,
                           struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        if (!str_eq(f->v[i].name, STR("match[]")) && !str_eq(f->v[i].name, STR("match")))
            continue;
        if (p->n >= SELECTORS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d selectors", SELECTORS_MAX);
        if (!promql_parse_selector(&x->arena, f->v[i].value, &p->selector[p->n++], e))
            return err_wrap(e, "match[]");
    }
    return p->n || err_set(e, ERR_INVALID, "missing match[]: which series to export");
}

static bool read_time(const struct http_form *f, const char *name, int64_t *out, struct err *e)
{
    struct str text = http_form_get(f, str_c(name));

    return !text.n || series_time_parse(text, out) ||
           err_set(e, ERR_INVALID, "%s: expected seconds, milliseconds or RFC 3339, got \"%.*s\"",
                   name, STRF(text));
}

static bool read_parameters(struct http_exchange *x, struct http_form *f, struct parameters *p,
                            struct err *e)
{
    struct str rows;

    p->max_ms = INT64_MAX;
    if (!http_form_parse(&x->arena, &x->req, f, e) || !read_selectors(x, f, p, e) ||
        !read_time(f, "start", &p->min_ms, e) || !read_time(f, "end", &p->max_ms, e))
        return false;
    rows = http_form_get(f, STR("max_rows_per_line"));
    return !rows.n || str_to_u64(rows, &p->rows_per_line) ||
           err_set(e, ERR_INVALID, "max_rows_per_line: expected a number");
}

static bool write_piece(void *ctx, struct str text, struct err *e)
{
    return http_write(ctx, text, e);
}

static void handle_export(struct http_exchange *x)
{
    struct import_face *f = x->route_ctx;
    OWNED(parameters_fini) struct parameters p = { 0 };
    bool csv = str_ends(x->req.path, STR("/csv"));
    struct budget budget = { .cancelled = x->cancelled,
                             .deadline_mono_ns = clock_mono_ns(clock_real()) +
                                                 EXPORT_TIMEOUT_S * NS_SECOND };
    struct http_form form;
    struct series_export_counts counts;
    struct str tenant;
    struct err e = { 0 };

    if (!tenant_of_request(&x->req, f->o.tenancy, &tenant, &e)) {
        fail(x, tenant_error_status(&e), str_c(e.text));
        return;
    }
    if (!read_parameters(x, &form, &p, &e)) {
        fail(x, 400, str_c(e.text));
        return;
    }
    struct metrics_tenant *t = metrics_tenant_find(f->o.metrics, tenant);
    http_set_header(x, STR("Content-Type"),
                    csv ? STR("text/csv; charset=utf-8") : STR("application/stream+json"));
    if (!t)
        return; // nobody wrote for this tenant: nothing to export
    struct series_export o = { .source = metrics_source(t),
                               .selector = p.selector,
                               .selectors = p.n,
                               .min_ms = p.min_ms,
                               .max_ms = p.max_ms,
                               .format = csv ? SERIES_CSV : SERIES_JSONL,
                               .columns = http_form_get(&form, STR("format")),
                               .rows_per_line = (size_t)p.rows_per_line,
                               .budget = &budget,
                               .write = write_piece,
                               .ctx = x };
    if (!series_export(&o, &counts, &e) && e.kind != ERR_CANCELLED)
        fail(x, e.kind == ERR_INVALID ? 400 : 503, str_c(e.text));
}

void import_export_routes(struct import_face *f, struct http_server *s)
{
    static const struct import_handler handlers[] = {
        { "GET POST", "/api/v1/export", handle_export, false },
        { "GET POST", "/api/v1/export/csv", handle_export, false },
    };

    import_routes(f, s, handlers, ARRAY_LEN(handlers));
}
