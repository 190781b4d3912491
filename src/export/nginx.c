// nginx.c - the nginx exporter: stub_status, and the access logs that are followed.
// SPDX-License-Identifier: Apache-2.0
#include "export/nginx.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "export/nginx_log_priv.h"
#include "net/http_client.h"

struct nginx {
    struct exporter base;
    struct arena a;
    struct str *uri;
    size_t uri_count, label_count, log_count;
    struct expo_label *label;
    int64_t timeout_ms;
    struct http_client *client;
    struct http_tls *tls;
    struct mutex mu;
    struct nginx_log **log; // under mu
};

struct stub { // the page of stub_status
    double active, accepted, handled, requests, reading, writing, waiting;
};

static double number_behind(struct str text, const char *word, size_t skip)
{
    size_t at = str_find(text, str_c(word));
    double v = 0;

    if (at == STR_NPOS)
        return 0;
    struct str rest = str_trim(str_sub(text, at + strlen(word), text.n));
    for (size_t i = 0; i < skip; i++) {
        str_cut(&rest, ' ');
        rest = str_trim(rest);
    }
    num_scan_double(rest.p, rest.n, &v);
    return v;
}

// Active connections: 2 / server accepts handled requests / 3 3 5 / Reading: 0 Writing: 1 Waiting: 1
static bool stub_parse(struct str text, struct stub *out, struct err *e)
{
    if (str_find(text, STR("Active connections:")) == STR_NPOS ||
        str_find(text, STR("requests")) == STR_NPOS)
        return err_set(e, ERR_INVALID, "the answer is no page of stub_status");
    *out = (struct stub){
        .active = number_behind(text, "Active connections:", 0),
        .accepted = number_behind(text, "accepts handled requests", 0),
        .handled = number_behind(text, "accepts handled requests", 1),
        .requests = number_behind(text, "accepts handled requests", 2),
        .reading = number_behind(text, "Reading:", 0),
        .writing = number_behind(text, "Writing:", 0),
        .waiting = number_behind(text, "Waiting:", 0),
    };
    return true;
}

static bool ask(struct nginx *x, struct str uri, int64_t deadline, struct arena *a,
                struct stub *out, struct err *e)
{
    struct http_response r = { 0 };
    int64_t left = (deadline - clock_mono_ns(clock_real())) / NS_MS;
    struct http_call_options o = {
        .url = uri,
        .tls = x->tls,
        .timeout_ms = MAX(MIN(left, x->timeout_ms), INT64_C(1)),
        .body_max = 64 << 10,
    };

    if (!http_client_wait(x->client, &o, a, &r, e))
        return false;
    bool ok = r.status == 200
                  ? stub_parse(buf_view(&r.body), out, e)
                  : err_set(e, ERR_UNAVAILABLE, "expected 200 response, got %d", r.status);
    buf_fini(&r.body);
    return ok;
}

static void add_stub(struct export_set *set, const struct stub *s, const struct expo_label *l,
                     size_t n)
{
    const struct {
        struct export_desc d;
        double v;
    } rows[] = {
        { { "nginx_connections_active", "Active client connections", EXPO_GAUGE }, s->active },
        { { "nginx_connections_accepted", "Accepted client connections", EXPO_COUNTER },
          s->accepted },
        { { "nginx_connections_handled", "Handled client connections", EXPO_COUNTER }, s->handled },
        { { "nginx_connections_reading", "Connections where NGINX is reading the request header",
            EXPO_GAUGE },
          s->reading },
        { { "nginx_connections_writing",
            "Connections where NGINX is writing the response back to the client", EXPO_GAUGE },
          s->writing },
        { { "nginx_connections_waiting", "Idle client connections", EXPO_GAUGE }, s->waiting },
        { { "nginx_http_requests_total", "Total http requests", EXPO_COUNTER }, s->requests },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        export_add(set, &rows[i].d, rows[i].v, l, n);
}

static void scrape(struct nginx *x, struct str uri, bool with_addr, int64_t deadline,
                   struct export_set *set)
{
    static const struct export_desc up = { "nginx_up", "Status of the last metric scrape",
                                           EXPO_GAUGE };
    struct expo_label *l = arena_array(set->a, x->label_count + 1, struct expo_label);
    size_t n = x->label_count;
    struct err e = { 0 };
    struct stub s;

    memcpy(l, x->label, n * sizeof *l);
    if (with_addr)
        l[n++] = (struct expo_label){ STR("addr"), uri };
    bool ok = ask(x, uri, deadline, set->a, &s, &e);
    export_add(set, &up, ok, l, n);
    if (ok)
        add_stub(set, &s, l, n);
    else
        log_warn("export", "nginx scrape failed", KV_ERR(&e));
}

static void write_page(struct export_set *set, struct buf *out)
{
    struct expo_writer w = expo_writer(EXPO_TEXT, out);

    export_set_write(set, &w);
    expo_write_end(&w);
}

static bool metrics(struct exporter *b, const struct export_request *q, struct buf *out,
                    struct err *e)
{
    struct nginx *x = (struct nginx *)b;
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };

    (void)e;
    for (size_t i = 0; i < x->uri_count; i++)
        scrape(x, x->uri[i], x->uri_count > 1, export_deadline(q), &set);
    mutex_lock(&x->mu);
    for (size_t i = 0; i < x->log_count; i++) {
        nginx_log_read(x->log[i]);
        nginx_log_add(x->log[i], &set, x->label, x->label_count);
    }
    mutex_unlock(&x->mu);
    write_page(&set, out);
    return true;
}

static bool probe(struct exporter *b, const struct export_request *q, struct buf *out,
                  struct err *e)
{
    struct nginx *x = (struct nginx *)b;
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct str target = export_param(q, "target");

    if (!target.n)
        return err_set(e, ERR_INVALID, "target is required");
    if (str_find(target, STR("://")) == STR_NPOS)
        target = arena_printf(&a, "http://%.*s/stub_status", STRF(target));
    scrape(x, target, false, export_deadline(q), &set);
    write_page(&set, out);
    return true;
}

static void close_nginx(struct exporter *b)
{
    struct nginx *x = (struct nginx *)b;

    for (size_t i = 0; i < x->log_count; i++)
        nginx_log_close(x->log[i]);
    http_client_stop(x->client);
    http_tls_free(x->tls);
    mutex_fini(&x->mu);
    arena_fini(&x->a);
    xfree(x);
}

static const struct exporter_class class = {
    .name = "nginx_exporter",
    .title = "NGINX Prometheus Exporter",
    .probe_path = "/probe",
    .metrics = metrics,
    .probe = probe,
    .close = close_nginx,
};

static bool set_labels(struct nginx *x, const struct export_nginx_options *o, struct err *e)
{
    x->label = arena_array(&x->a, o->label_count, struct expo_label);
    for (size_t i = 0; i < o->label_count; i++) {
        struct str value = arena_str(&x->a, str_c(o->labels[i])), name = str_cut(&value, '=');
        if (!value.p || !name.n)
            return err_set(e, ERR_INVALID, "expected label=value, got \"%s\"", o->labels[i]);
        x->label[x->label_count++] = (struct expo_label){ name, value };
    }
    return true;
}

bool export_nginx_open(struct exporter **out, const struct export_nginx_options *o, struct err *e)
{
    OWNED(exporter_close) struct exporter *b = xcalloc(1, sizeof(struct nginx));
    struct nginx *x = (struct nginx *)b;
    struct tls_client_options tls = { .ca_file = o->ca_file,
                                      .cert_file = o->cert_file,
                                      .key_file = o->key_file,
                                      .insecure_skip_verify = !o->verify };

    b->class = &class;
    mutex_init(&x->mu, "nginx", RANK_APP);
    x->timeout_ms = o->timeout_ms ? o->timeout_ms : 5000;
    x->uri = arena_array(&x->a, o->uri_count, struct str);
    for (size_t i = 0; i < o->uri_count; i++)
        x->uri[x->uri_count++] = arena_str(&x->a, str_c(o->uri[i]));
    x->log = arena_array(&x->a, o->log_count, struct nginx_log *);
    for (size_t i = 0; i < o->log_count; i++, x->log_count++)
        if (!nginx_log_open(&x->log[i], o->logs[i], o->log_format, e))
            return false;
    if (!set_labels(x, o, e) || !http_tls_new(&x->tls, &tls, e) ||
        !http_client_start(&x->client, e))
        return false;
    *out = TAKE(b);
    return true;
}
