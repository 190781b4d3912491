// prometheus_reply.c - envelopes, errors and values: the manners all of /api/v1 shares.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "face/prometheus_priv.h"

static void common_headers(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Type"), STR("application/json"));
}

struct json_writer prom_reply_begin(struct http_exchange *x)
{
    struct json_writer w = json_writer(http_body(x));

    common_headers(x);
    json_object(&w);
    json_key_lit(&w, "status");
    json_str(&w, STR("success"));
    json_key_lit(&w, "data");
    return w;
}

static void write_notes(struct json_writer *w, const struct prom_notes *n)
{
    const struct {
        const char *key;
        const struct str *v;
        size_t n;
    } lists[] = { { "warnings", n->warnings, n->warning_count },
                  { "infos", n->infos, n->info_count } };

    for (size_t i = 0; i < 2; i++) {
        if (!lists[i].n)
            continue;
        json_key(w, str_c(lists[i].key));
        json_array(w);
        for (size_t k = 0; k < lists[i].n; k++)
            json_str(w, lists[i].v[k]);
        json_array_end(w);
    }
}

void prom_reply_end(struct http_exchange *x, struct json_writer *w, const struct prom_notes *notes)
{
    if (notes)
        write_notes(w, notes);
    json_object_end(w);
}

bool prom_reply_flush(struct http_exchange *x)
{
    struct err e; // the reply ends here: nobody is left to tell

    if (http_body(x)->n < 128 << 10)
        return true;
    return http_write(x, STR(""), &e);
}

static const struct {
    const char *type;
    int status;
} error_types[] = {
    { "bad_data", 400 }, { "execution", 422 },   { "timeout", 503 },   { "canceled", 499 },
    { "internal", 500 }, { "unavailable", 500 }, { "not_found", 404 }, { "not_acceptable", 406 },
};

void prom_error_notes(struct http_exchange *x, const char *type, struct str text,
                      const struct prom_notes *notes)
{
    struct json_writer w = json_writer(http_body(x));

    common_headers(x);
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++)
        if (strcmp(type, error_types[i].type) == 0)
            http_status(x, error_types[i].status);
    json_object(&w);
    json_key_lit(&w, "status");
    json_str(&w, STR("error"));
    json_key_lit(&w, "errorType");
    json_str(&w, str_c(type));
    json_key_lit(&w, "error");
    json_str(&w, text);
    if (notes)
        write_notes(&w, notes);
    json_object_end(&w);
}

void prom_error(struct http_exchange *x, const char *type, struct str text)
{
    prom_error_notes(x, type, text, NULL);
}

bool prom_refuse_agent(struct http_exchange *x)
{
    if (!prom_face_of(x)->o.agent)
        return false;
    prom_error(x, "execution", STR("unavailable with Prometheus Agent"));
    return true;
}

void prom_error_of(struct http_exchange *x, const struct err *e)
{
    static const char *const types[] = {
        [ERR_INVALID] = "bad_data",        [ERR_CONFLICT] = "execution",
        [ERR_LIMIT] = "execution",         [ERR_TIMEOUT] = "timeout",
        [ERR_CANCELLED] = "canceled",      [ERR_NOT_FOUND] = "not_found",
        [ERR_UNAVAILABLE] = "unavailable", [ERR_UNSUPPORTED] = "execution",
    };
    const char *type = (size_t)e->kind < ARRAY_LEN(types) ? types[e->kind] : NULL;

    prom_error(x, type ? type : "internal", str_c(e->text));
}

void prom_bad_parameter(struct http_exchange *x, const char *name, struct str text)
{
    prom_error(x, "bad_data",
               arena_printf(&x->arena, "invalid parameter \"%s\": %.*s", name, STRF(text)));
}

void prom_plain_error(struct http_exchange *x, int status, struct str text)
{
    http_text(x, status, text);
    buf_char(http_body(x), '\n');
    http_set_header(x, STR("X-Content-Type-Options"), STR("nosniff"));
}

struct budget prom_budget(struct http_exchange *x)
{
    const struct prom_face *f = prom_face_of(x);

    return (struct budget){ .what = "request",
                            .bytes_max = f->o.query_memory_bytes,
                            .deadline_mono_ns = x->start_mono_ns + f->o.query_timeout_ms * NS_MS,
                            .cancelled = x->cancelled };
}

struct labels prom_external_labels(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(prom_config_put) struct prom_config *c = f->o.host.config(f->o.host.ctx);
    size_t n = c ? c->doc.global.external_labels.n : 0;
    struct label *v = arena_array(&x->arena, n, struct label);

    for (size_t i = 0; i < n; i++)
        v[i] = (struct label){ arena_str(&x->arena, c->doc.global.external_labels.v[i].key),
                               arena_str(&x->arena, c->doc.global.external_labels.v[i].value) };
    return (struct labels){ v, n };
}

/* ---- exposition formats ---- */

struct wish {
    bool proto, utf8;
};

// The first media range of an Accept header that names a format of ours; others count for nothing.
static struct wish wish_of(struct str accept)
{
    while (accept.n) {
        struct str range = str_cut(&accept, ','), media = str_trim(str_cut(&range, ';'));
        bool proto = str_eq(media, STR("application/vnd.google.protobuf"));
        bool family = !proto, delimited = !proto, utf8 = false;
        if (!proto && !str_eq(media, STR("text/plain")))
            continue;
        while (range.n) {
            struct str parameter = str_trim(str_cut(&range, ';'));
            family |= str_eq(parameter, STR("proto=io.prometheus.client.MetricFamily"));
            delimited |= str_eq(parameter, STR("encoding=delimited"));
            utf8 |= str_eq(parameter, STR("escaping=allow-utf-8"));
        }
        if (family && delimited)
            return (struct wish){ proto, utf8 };
    }
    return (struct wish){ false, false };
}

struct str prom_expo_type(struct http_exchange *x, enum expo_format *format, bool *utf8)
{
    struct wish w = wish_of(http_header_get(&x->req, STR("Accept")));
    const char *escaping = w.utf8 ? "allow-utf-8" : "underscores";

    *format = w.proto ? EXPO_PROTO : EXPO_TEXT;
    *utf8 = w.utf8;
    if (w.proto)
        return arena_printf(&x->arena,
                            "application/vnd.google.protobuf; "
                            "proto=io.prometheus.client.MetricFamily; encoding=delimited; "
                            "escaping=%s",
                            escaping);
    return arena_printf(&x->arena, "text/plain; version=%s; charset=utf-8; escaping=%s",
                        w.utf8 ? "1.0.0" : "0.0.4", escaping);
}

void prom_buf_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_lit(b, "&amp;");
            break;
        case '<':
            buf_lit(b, "&lt;");
            break;
        case '>':
            buf_lit(b, "&gt;");
            break;
        case '"':
            buf_lit(b, "&#34;");
            break;
        case '\'':
            buf_lit(b, "&#39;");
            break;
        default:
            buf_char(b, s.p[i]);
        }
    }
}

/* ---- values ---- */

void prom_json_time(struct json_writer *w, int64_t ms)
{
    char text[32];
    size_t n = 0;
    uint64_t u = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    OWNED(buf_fini) struct buf b = { 0 };

    if (ms < 0)
        buf_char(&b, '-');
    buf_u64(&b, u / 1000);
    if (u % 1000) { // three digits, as upstream's marshaller
        text[n++] = '.';
        text[n++] = (char)('0' + u % 1000 / 100);
        text[n++] = (char)('0' + u % 100 / 10);
        text[n++] = (char)('0' + u % 10);
    }
    buf_bytes(&b, text, n);
    json_raw(w, buf_view(&b));
}

void buf_prom_labels(struct buf *b, struct labels ls)
{
    buf_char(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        if (i)
            buf_char(b, ',');
        buf_json_str(b, ls.v[i].name);
        buf_char(b, ':');
        buf_json_str(b, ls.v[i].value);
    }
    buf_char(b, '}');
}

void prom_json_labels(struct json_writer *w, struct labels ls)
{
    json_raw(w, STR("")); // places the comma
    buf_prom_labels(w->out, ls);
}

void prom_json_value(struct json_writer *w, double v)
{
    json_raw(w, STR("\""));
    buf_double_json(w->out, v);
    buf_char(w->out, '"');
}

void prom_json_histogram(struct json_writer *w, const struct histogram *h)
{
    struct hist_iter it = histogram_iter(h);
    struct hist_bucket b;
    bool any = false;

    json_object(w);
    json_key_lit(w, "count");
    prom_json_value(w, h->count);
    json_key_lit(w, "sum");
    prom_json_value(w, h->sum);
    while (histogram_iter_next(&it, &b)) {
        if (!(b.count < 0 || b.count > 0) && !isnan(b.count))
            continue;
        if (!any) {
            json_key_lit(w, "buckets");
            json_array(w);
            any = true;
        }
        json_array(w);
        json_i64(w, b.lower_inclusive ? (b.upper_inclusive ? 3 : 1) : (b.upper_inclusive ? 0 : 2));
        prom_json_value(w, b.lower);
        prom_json_value(w, b.upper);
        prom_json_value(w, b.count);
        json_array_end(w);
    }
    if (any)
        json_array_end(w);
    json_object_end(w);
}
