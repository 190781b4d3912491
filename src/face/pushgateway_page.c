// pushgateway_page.c - the page at /: groups with their metrics, and buttons to delete them.
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "codec/base64.h"
#include "face/pushgateway_priv.h"

static const char style[] =
    "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 "
    "1rem;"
    "color-scheme:light dark}summary{cursor:pointer;padding:.3rem 0}code{font-size:13px}"
    ".bad{color:#c0392b;font-weight:600}table{border-collapse:collapse;margin:.3rem 0 1rem 1.2rem}"
    "td{padding:.1rem .8rem .1rem 0;vertical-align:top}button{float:right}"
    "h1 small{font-weight:400;opacity:.7}</style>";

static const char script[] =
    "document.addEventListener('click',async e=>{const b=e.target.closest('button[data-url]');"
    "if(!b)return;e.preventDefault();if(!confirm(b.title+'?'))return;"
    "const r=await fetch(b.dataset.url,{method:b.dataset.method});"
    "if(r.ok)location.reload();else alert(r.status+' '+await r.text())});\n";

static void put_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
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
        default:
            buf_char(b, s.p[i]);
        }
}

static void put_labels(struct buf *b, const struct expo_label *v, size_t n)
{
    buf_lit(b, "<code>{");
    for (size_t i = 0; i < n; i++) {
        OWNED(buf_fini) struct buf value = { 0 };

        buf_quoted(&value, v[i].value);
        buf_printf(b, "%s", i ? ", " : "");
        put_html(b, v[i].name);
        buf_char(b, '=');
        put_html(b, buf_view(&value));
    }
    buf_lit(b, "}</code>");
}

// The path of a group, with every value in base64, so that any text passes.
static void put_group_url(struct buf *b, const struct push_batch *batch)
{
    for (int others = 0; others < 2; others++)
        for (size_t i = 0; i < batch->labels; i++) {
            const struct expo_label *l = &batch->label[i];

            if (str_eq(l->name, STR("job")) == (others != 0))
                continue;
            size_t from;
            buf_char(b, '/');
            put_html(b, l->name);
            buf_lit(b, "@base64/");
            from = b->n;
            buf_base64(b, l->value);
            for (size_t k = from; k < b->n; k++)
                b->p[k] = b->p[k] == '+' ? '-' : b->p[k] == '/' ? '_' : b->p[k];
            if (b->n == from)
                buf_char(b, '=');
        }
}

static void put_metric(struct buf *b, const struct push_family *f, const struct expo_metric *m)
{
    buf_lit(b, "<tr><td>");
    put_labels(b, m->label, m->labels);
    buf_lit(b, "<td><code>");
    switch (f->head.type) {
    case EXPO_HISTOGRAM:
    case EXPO_GAUGE_HISTOGRAM:
    case EXPO_SUMMARY:
        for (size_t i = 0; i < m->quantiles; i++) {
            buf_double_g(b, m->quantile[i].quantile);
            buf_lit(b, ": ");
            buf_double_g(b, m->quantile[i].value);
            buf_lit(b, "<br>");
        }
        for (size_t i = 0; i < m->buckets; i++) {
            buf_lit(b, "&le; ");
            buf_double_g(b, m->bucket[i].upper);
            buf_lit(b, ": ");
            buf_double_g(b, m->bucket[i].count);
            buf_lit(b, "<br>");
        }
        buf_lit(b, "sum ");
        buf_double_g(b, m->hist ? m->hist->sum : m->value);
        buf_lit(b, ", count ");
        buf_double_g(b, m->hist ? m->hist->count : m->count);
        break;
    default:
        buf_double_g(b, m->value);
    }
    buf_lit(b, "</code>");
}

static void put_family(struct buf *b, const struct push_family *f)
{
    buf_lit(b, "<details><summary><b>");
    put_html(b, f->head.name);
    buf_lit(b, "</b> ");
    put_html(b, f->head.help);
    buf_lit(b, " <small>pushed ");
    buf_rfc3339_ms(b, f->t_ns / NS_MS);
    buf_lit(b, "</small></summary><table>");
    for (size_t i = 0; i < f->n; i++)
        put_metric(b, f, &f->metric[i]);
    buf_lit(b, "</table></details>");
}

struct page_context {
    struct pushgateway *g;
    struct buf *b;
    size_t groups;
};

static void put_group(void *ctx, struct push_family *const *v, size_t n)
{
    struct page_context *p = ctx;

    p->groups++;
    buf_lit(p->b, "<details><summary>");
    put_labels(p->b, v[0]->batch->label, v[0]->batch->labels);
    buf_printf(p->b, "%s <button title='Delete this group' data-method=DELETE data-url=\"%.*s",
               push_group_is_good(v, n) ? "" : " <span class=bad>last push failed</span>",
               STRF(p->g->o.route_prefix));
    buf_lit(p->b, "/metrics");
    put_group_url(p->b, v[0]->batch);
    buf_lit(p->b, "\">Delete</button></summary>");
    for (size_t i = 0; i < n; i++)
        put_family(p->b, v[i]);
    buf_lit(p->b, "</details>");
}

static void handle_page(struct http_exchange *x)
{
    struct pushgateway *g = push_of(x);
    struct page_context p = { g, http_body(x), 0 };

    http_set_header(x, STR("Content-Type"), STR("text/html; charset=utf-8"));
    http_set_header(x, STR("X-Content-Type-Options"), STR("nosniff"));
    http_set_header(x, STR("Content-Security-Policy"),
                    STR("default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; "
                        "connect-src 'self'; frame-ancestors 'self'"));
    buf_printf(p.b,
               "<!doctype html><html lang=en><meta charset=utf-8><title>Pushgateway</title>%s"
               "<script src=\"%.*s/static/pushgateway.js\" defer></script>",
               style, STRF(g->o.route_prefix));
    buf_printf(p.b,
               "<h1>Pushgateway <small>by vigie</small></h1><p><a href=\"%.*s%.*s\">metrics</a>",
               STRF(g->o.route_prefix), STRF(g->o.telemetry_path));
    if (g->o.admin)
        buf_printf(p.b,
                   " <button title='Delete all groups' data-method=PUT "
                   "data-url=\"%.*s/api/v1/admin/wipe\">Delete all groups</button>",
                   STRF(g->o.route_prefix));
    push_groups_each(g, put_group, &p);
    if (!p.groups)
        buf_lit(p.b, "<p>Nothing was pushed yet. Try: <code>echo 'answer 42' | curl --data-binary "
                     "@- http://HOST:9091/metrics/job/some_job</code>");
    buf_lit(p.b, "</html>\n");
    push_count(g, x, "status", 200);
}

static void handle_script(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Type"), STR("text/javascript; charset=utf-8"));
    buf_str(http_body(x), str_c(script));
}

void push_routes_page(struct pushgateway *g, struct http_server *s)
{
    push_route(g, s, &(struct http_route){ .method = "GET", .path = "/", .handle = handle_page });
    push_route(g, s,
               &(struct http_route){ .method = "GET", .path = "/status", .handle = handle_page });
    push_route(g, s,
               &(struct http_route){
                   .method = "GET", .path = "/static/pushgateway.js", .handle = handle_script });
}
