// tools_push.c - `push metrics`. Source of the conversion: prometheus util/fmtutil.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools_push.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "app/tools_http.h"
#include "base/file.h"
#include "base/num.h"
#include "base/time.h"
#include "codec/compress.h"
#include "model/page.h"
#include "model/prompb.h"

enum { PAGE_BYTES_MAX = 1 << 30 };

struct pusher {
    const struct cli *c;
    struct tools_http http;
    struct str url;
    struct arena *arena; // of one page
    struct buf body;     // the write request
    struct labels_builder labels;
};

/* ---- the request ---- */

static void put_sample(struct pusher *p, const struct page_metric *m, double value)
{
    int64_t t_ms = m->t_ms ? m->t_ms : wall_ns() / NS_MS;
    struct series_samples s = { .t_ms = &t_ms, .value = &value, .n = 1 };

    prompb_put_series(&p->body, 1, labels_builder_view(&p->labels), &s);
}

static void set_name(struct pusher *p, struct str name, const char *suffix)
{
    labels_builder_set(&p->labels, LABEL_NAME,
                       arena_printf(p->arena, "%.*s%s", STRF(name), suffix));
}

static void set_number(struct pusher *p, const char *label, double v)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_double_g(&b, v);
    labels_builder_set(&p->labels, str_c(label), arena_str(p->arena, buf_view(&b)));
}

static void put_grouped(struct pusher *p, const struct page_family *f, const struct page_metric *m)
{
    bool histogram = f->type == PAGE_HISTOGRAM, infinite = false;
    const char *label = histogram ? "le" : "quantile";

    set_name(p, f->name, histogram ? "_bucket" : "");
    for (size_t i = 0; i < m->parts.n; i++) {
        set_number(p, label, m->parts.v[i].at);
        put_sample(p, m, m->parts.v[i].value);
        infinite |= isinf(m->parts.v[i].at) != 0;
    }
    if (histogram && !infinite) {
        set_number(p, label, INFINITY);
        put_sample(p, m, m->count);
    }
    labels_builder_del(&p->labels, str_c(label));
    set_name(p, f->name, "_sum");
    put_sample(p, m, m->sum);
    set_name(p, f->name, "_count");
    put_sample(p, m, m->count);
}

static void put_metric(struct pusher *p, const struct page_family *f, const struct page_metric *m)
{
    struct cli_list extra = cli_all(p->c, "label");

    labels_builder_reset(&p->labels, (struct labels){ 0 });
    for (size_t i = 0; i < extra.n; i++) {
        struct str value = extra.v[i], name = str_cut(&value, '=');
        labels_builder_set(&p->labels, name, value);
    }
    for (size_t i = 0; i < m->label_count; i++) {
        struct str name = m->labels[i].name;
        labels_builder_set(&p->labels, str_eq(name, STR("job")) ? STR("exported_job") : name,
                           m->labels[i].value);
    }
    set_name(p, f->name, "");
    if (f->type == PAGE_HISTOGRAM || f->type == PAGE_SUMMARY)
        put_grouped(p, f, m);
    else
        put_sample(p, m, m->value);
}

static enum metric_type type_of(enum page_type t)
{
    switch (t) {
    case PAGE_COUNTER:
        return TYPE_COUNTER;
    case PAGE_GAUGE:
        return TYPE_GAUGE;
    case PAGE_HISTOGRAM:
        return TYPE_HISTOGRAM;
    case PAGE_SUMMARY:
        return TYPE_SUMMARY;
    default:
        return TYPE_UNKNOWN;
    }
}

static void make_request(struct pusher *p, const struct page *page)
{
    buf_reset(&p->body);
    for (size_t i = 0; i < page->n; i++) {
        const struct page_family *f = page->families[i];
        struct metric_meta meta = { .name = f->name, .type = type_of(f->type), .help = f->help };
        prompb_put_meta(&p->body, &meta);
        for (size_t k = 0; k < f->metrics.n; k++)
            put_metric(p, f, f->metrics.v[k]);
    }
}

/* ---- sending ---- */

static bool send_request(struct pusher *p, struct err *e)
{
    OWNED(buf_fini) struct buf packed = { 0 };
    struct cli_list extra = cli_all(p->c, "header");
    struct http_header *headers = arena_array(p->arena, extra.n + 4, struct http_header);
    struct http_header *more = tools_headers(p->arena, extra.v, extra.n);
    struct tools_answer r = { 0 };
    size_t n = 0;

    compress_all(COMPRESS_SNAPPY, 0, buf_view(&p->body), &packed);
    headers[n++] = (struct http_header){ STR("Content-Type"), STR("application/x-protobuf") };
    headers[n++] = (struct http_header){ STR("Content-Encoding"), STR("snappy") };
    headers[n++] = (struct http_header){ STR("X-Prometheus-Remote-Write-Version"), STR("0.1.0") };
    for (size_t i = 0; i < extra.n; i++)
        headers[n++] = more[i];
    struct tools_call call = { .method = STR("POST"),
                               .url = p->url,
                               .body = buf_view(&packed),
                               .headers = headers,
                               .header_count = n,
                               .timeout_ms = cli_ns(p->c, "timeout") / NS_MS };
    if (!tools_http_call(&p->http, &call, &r, e))
        return false;
    if (r.status / 100 == 2)
        return true;
    return err_set(e, ERR_INVALID, "server returned HTTP status %d %.*s: %.*s", r.status,
                   STRF(r.reason), STRF(r.body));
}

static bool push_page(struct pusher *p, struct str text)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct page page = { 0 };
    struct err e = { 0 };

    p->arena = &a;
    bool ok = page_read(&a, text, &page, &e);
    if (ok) {
        make_request(p, &page);
        ok = send_request(p, &e);
    }
    if (!ok)
        fprintf(stderr, "  FAILED: %s\n", e.text);
    return ok;
}

static bool push_stdin(struct pusher *p)
{
    OWNED(buf_fini) struct buf text = { 0 };
    ssize_t n;

    while (text.n < PAGE_BYTES_MAX && (n = read(0, buf_room(&text, 1 << 16), 1 << 16)) > 0)
        text.n += (size_t)n;
    printf("Parsing standard input\n");
    if (!push_page(p, buf_view(&text)))
        return false;
    printf("  SUCCESS: metrics pushed to remote write.\n");
    return true;
}

static bool push_file(struct pusher *p, const char *path)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct str text;

    if (!file_read(&a, path, PAGE_BYTES_MAX, &text, &e)) {
        fprintf(stderr, "  FAILED: %s\n", e.text);
        return false;
    }
    printf("Parsing metrics file %s\n", path);
    if (!push_page(p, text))
        return false;
    printf("  SUCCESS: metrics file %s pushed to remote write.\n", path);
    return true;
}

// The address as it is, or with the path of the API when it has none.
static struct str url_of(struct arena *a, struct str address, struct str path)
{
    struct str url = tools_url(a, address, "");
    size_t scheme = str_find(url, STR("://"));

    if (str_find_char(str_sub(url, scheme + 3, url.n), '/') != STR_NPOS)
        return url;
    return arena_printf(a, "%.*s%.*s", STRF(url), STRF(path));
}

static bool push_all(struct pusher *p)
{
    struct cli_list files = cli_all(p->c, "metric-files");
    bool ok = true;

    if (!files.n)
        return push_stdin(p);
    for (size_t i = 0; i < files.n; i++)
        ok &= push_file(p, files.v[i].p);
    return ok;
}

int tools_push_metrics(const struct cli *c)
{
    struct pusher p = { .c = c };
    struct str message = cli_text(c, "protobuf_message");
    struct err e = { 0 };

    if (!str_eq_c(message, "prometheus.WriteRequest")) {
        fprintf(stderr,
                "  FAILED: invalid protobuf message \"%.*s\", must be "
                "prometheus.WriteRequest\n",
                STRF(message));
        return 1;
    }
    bool ok = tools_http_open(&p.http, cli_text(c, "http.config.file"), &e);
    if (!ok)
        fprintf(stderr, "%s\n", e.text);
    p.url = url_of(c->arena, cli_text(c, "remote-write-url"), cli_text(c, "remote-write.path"));
    ok = ok && push_all(&p);
    tools_http_close(&p.http);
    buf_fini(&p.body);
    labels_builder_fini(&p.labels);
    return !ok;
}
