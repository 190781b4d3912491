/*
 * blackbox_http.c - the http prober: requests along redirects, phases, and what an answer must be.
 *
 * Speaks HTTP/1.1. One connection per hop, as upstream's transport without keep-alive.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/base64.h"
#include "codec/compress.h"
#include "export/blackbox_http_priv.h"
#include "net/http_parser.h"

enum { REDIRECTS_MAX = 10, BODY_MAX = 64 << 20 };

/* ---- the request ---- */

static bool is_host(struct str name)
{
    return str_eq_nocase(name, STR("Host"));
}

static struct str header_of(const struct conf_map *m, struct str name)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq_nocase(m->v[i].key, name))
            return m->v[i].value;
    return STR_NONE;
}

static void put_header(struct buf *b, struct str name, struct str value)
{
    if (http_is_token(name) && http_is_field_value(value))
        buf_printf(b, "%.*s: %.*s\r\n", STRF(name), STRF(value));
}

// Authorization by basic_auth or authorization; secrets of files are read now.
static bool put_auth(struct http_probe *h, struct buf *b, struct err *e)
{
    const struct conf_http *c = &h->m->http;
    struct probe *p = h->p;
    OWNED(buf_fini) struct buf plain = { 0 };
    struct str user, secret;

    if (c->basic_auth) {
        const struct conf_basic_auth *a = c->basic_auth;
        if (!probe_secret(p, a->username, a->username_file, &user, e) ||
            !probe_secret(p, a->password, a->password_file, &secret, e))
            return false;
        buf_printf(&plain, "%.*s:%.*s", STRF(user), STRF(secret));
        buf_lit(b, "Authorization: Basic ");
        buf_base64(b, buf_view(&plain));
        buf_lit(b, "\r\n");
    }
    if (c->authorization) {
        const struct conf_authorization *a = c->authorization;
        if (!probe_secret(p, a->credentials, a->credentials_file, &secret, e))
            return false;
        buf_printf(&plain, "%.*s %.*s", STRF(a->type), STRF(secret));
        put_header(b, STR("Authorization"), buf_view(&plain));
    }
    return true;
}

// http_headers: name → {values, secrets, files}.
static bool put_http_headers(struct http_probe *h, struct buf *b, struct err *e)
{
    const struct yaml_node *n = h->m->http.http_headers;

    for (size_t i = 0; n && n->kind == YAML_MAPPING && i < n->n; i++) {
        static const char *const kinds[] = { "values", "secrets", "files" };
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            const struct yaml_node *list = yaml_get(n->pairs[i].value, str_c(kinds[k]));
            for (size_t j = 0; list && list->kind == YAML_SEQUENCE && j < list->n; j++) {
                struct str value = list->items[j]->text;
                if (k == 2 && !probe_secret(h->p, STR(""), value, &value, e))
                    return false;
                put_header(b, n->pairs[i].key->text, value);
            }
        }
    }
    return true;
}

static bool make_request(struct http_probe *h, const struct url *u, struct buf *b, struct err *e)
{
    const struct conf_map *headers = &h->m->headers;
    struct str host = h->hops == 0 ? h->host_header : STR("");

    buf_printf(b, "%.*s ", STRF(h->method));
    buf_url_target(b, u);
    buf_lit(b, " HTTP/1.1\r\nHost: ");
    if (host.n)
        buf_str(b, host);
    else
        buf_url_host(b, u);
    buf_lit(b, "\r\n");
    for (size_t i = 0; i < headers->n; i++)
        if (!is_host(headers->v[i].key))
            put_header(b, headers->v[i].key, headers->v[i].value);
    if (!header_of(headers, STR("User-Agent")).p)
        buf_lit(b, "User-Agent: Blackbox-Exporter/0.27.0\r\n");
    if (!header_of(headers, STR("Accept-Encoding")).p && !h->m->compression.n)
        buf_lit(b, "Accept-Encoding: gzip\r\n");
    // Credentials are for the host that was asked for, not for where it sends us.
    if (h->same_host && !header_of(headers, STR("Authorization")).p && !put_auth(h, b, e))
        return false;
    if (h->same_host && !put_http_headers(h, b, e))
        return false;
    if (h->cookies.n)
        buf_printf(b, "Cookie: %.*s\r\n", STRF(buf_view(&h->cookies)));
    if (h->body.n || str_eq(h->method, STR("POST")) || str_eq(h->method, STR("PUT")))
        buf_printf(b, "Content-Length: %zu\r\n", h->body.n);
    buf_lit(b, "Connection: close\r\n\r\n");
    buf_str(b, h->body);
    return true;
}

/* ---- the connection ---- */

// The proxy's tunnel to a host.
static bool tunnel(struct http_probe *h, struct dial *d, const struct url *u, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    char room[4096];
    size_t n = 0, got;

    buf_printf(&b, "CONNECT %.*s:%d HTTP/1.1\r\nHost: %.*s:%d\r\n", STRF(u->host), url_port(u),
               STRF(u->host), url_port(u));
    for (size_t i = 0; i < h->m->http.proxy.proxy_connect_header.n; i++) {
        const struct conf_multi *m = &h->m->http.proxy.proxy_connect_header.v[i];
        for (size_t k = 0; k < m->values.n; k++)
            put_header(&b, m->key, m->values.v[k]);
    }
    buf_lit(&b, "\r\n");
    if (!dial_write(d, buf_view(&b), e))
        return false;
    while (n < sizeof room && str_find(str_of(room, n), STR("\r\n\r\n")) == STR_NPOS) {
        if (!dial_read(d, room + n, 1, &got, e)) // what follows is the tunnel's
            return false;
        if (!got)
            return err_set(e, ERR_IO, "proxyconnect tcp: unexpected EOF");
        n += got;
    }
    struct str line = str_of(room, n);
    if (n < 12 || !str_starts(str_sub(line, 8, n), STR(" 2")))
        return err_set(e, ERR_IO, "proxyconnect tcp: %.*s", (int)MIN(n, (size_t)64), room);
    return true;
}

static bool connect_hop(struct http_probe *h, struct dial *d, const struct url *u, struct err *e)
{
    struct probe *p = h->p;
    bool https = str_eq(u->scheme, STR("https"));
    struct url proxy = { 0 };
    struct dial_address to = h->first;
    bool has_proxy = h->m->http.proxy.proxy_url.n > 0;
    int64_t begin = clock_mono_ns(clock_real());

    if (has_proxy && !url_parse(p->a, h->m->http.proxy.proxy_url, &proxy, e))
        return false;
    if (has_proxy || h->hops > 0) {
        if (!probe_resolve(p, &h->m->ip, has_proxy ? proxy.host : u->host, &to, e))
            return false;
        h->phase[HTTP_RESOLVE] += probe_seconds_since(begin);
    }
    dial_address_set_port(&to, url_port(has_proxy ? &proxy : u));
    begin = clock_mono_ns(clock_real());
    if (!dial_tcp(d, &to, NULL, e) || (has_proxy && https && !tunnel(h, d, u, e)))
        return false;
    h->phase[HTTP_CONNECT] += probe_seconds_since(begin);
    if (!https)
        return true;
    begin = clock_mono_ns(clock_real());
    struct str name = h->hops == 0 && h->host_header.n ? h->host_header : u->host;
    size_t colon = str_rfind_char(name, ':'); // of a Host header with a port
    if (h->hops == 0 && h->host_header.n && colon != STR_NPOS)
        name = str_sub(name, 0, colon);
    if (!h->tls && !probe_tls_new(p, &h->m->http.tls, &h->tls))
        return err_set(e, ERR_INVALID, "no TLS configuration");
    bool ok = dial_tls(d, h->tls, arena_cstr(p->a, name), false, e);
    h->phase[HTTP_TLS] += probe_seconds_since(begin);
    if (ok)
        h->has_peer = tls_peer_read(&d->s, p->a, &h->peer);
    return ok;
}

/* ---- the answer ---- */

static bool read_head(struct http_probe *h, struct dial *d, struct http_head *head, size_t *end,
                      struct err *e)
{
    struct http_head_scan scan = { .lenient = true, .response = true };
    int status;

    for (;;) {
        size_t got;
        char *room = buf_room(&h->in, 16 << 10);
        if (!dial_read(d, room, 16 << 10, &got, e))
            return false;
        if (!got)
            return err_set(e, ERR_IO, "EOF");
        h->in.n += got;
        enum http_parse r = http_head_scan(&scan, buf_view(&h->in), end, &status, e);
        if (r == HTTP_PARSE_BAD)
            return false;
        if (r != HTTP_PARSE_DONE)
            continue;
        struct str text = arena_str(h->p->a, str_sub(buf_view(&h->in), scan.start, *end));
        if (!http_head_parse_response(h->p->a, text, true, head, e))
            return false;
        if (head->status / 100 != 1 || head->status == 101)
            return true;
        memmove(h->in.p, h->in.p + *end, h->in.n - *end); // 100 Continue and the like
        h->in.n -= *end;
        scan = (struct http_head_scan){ .lenient = true, .response = true };
    }
}

// Takes bytes of the body from h->in at *at; false: the body is whole, or *e says what is wrong.
static bool take_body(struct http_probe *h, const struct http_head *head, struct http_chunked *c,
                      size_t *at, struct err *e)
{
    struct str in = str_sub(buf_view(&h->in), *at, h->in.n), data;

    *at = h->in.n;
    if (!head->chunked) {
        if (head->has_length)
            in = str_sub(
                in, 0,
                (size_t)MIN(head->length - MIN(head->length, (uint64_t)h->raw.n), (uint64_t)in.n));
        buf_str(&h->raw, in);
        return !(head->has_length && h->raw.n >= head->length);
    }
    for (;;) {
        switch (http_chunked_next(c, &in, &data, e)) {
        case HTTP_PARSE_DATA:
            buf_str(&h->raw, data);
            break;
        case HTTP_PARSE_MORE:
            return true;
        default:
            return false; // done, or bad with *e set
        }
    }
}

static bool read_body(struct http_probe *h, struct dial *d, const struct http_head *head, size_t at,
                      struct err *e)
{
    struct http_chunked c = { 0 };
    bool none = str_eq(h->method, STR("HEAD")) || head->status == 204 || head->status == 304;

    while (!none && take_body(h, head, &c, &at, e)) {
        size_t got;
        if (h->raw.n > BODY_MAX)
            return err_set(e, ERR_LIMIT, "http: response body too large");
        h->in.n = at = 0;
        char *room = buf_room(&h->in, 64 << 10);
        if (!dial_read(d, room, 64 << 10, &got, e))
            return false;
        h->in.n = got;
        if (!got && (head->chunked || head->has_length))
            return err_set(e, ERR_IO, "unexpected EOF");
        if (!got)
            break;
    }
    return !e->kind;
}

// As Go's transport: gzip that we asked for by ourselves is undone; `compression` is the user's.
static bool inflate_body(struct http_probe *h, const struct http_head *head, struct err *e)
{
    struct str coding = http_header_find(head->headers, head->header_count,
                                         STR("Content-Encoding"));
    bool asked = !header_of(&h->m->headers, STR("Accept-Encoding")).p;
    struct compress_limits limits = { .size_max = BODY_MAX };
    enum compress_codec codec = COMPRESS_NONE;

    if (h->m->compression.n)
        coding = h->m->compression;
    else if (!asked || !str_eq_nocase(coding, STR("gzip")))
        coding = STR("");
    if (!coding.n || str_eq_nocase(coding, STR("identity")) || !h->raw.n)
        return true;
    if (!compress_codec_of(coding, &codec))
        return err_set(e, ERR_UNSUPPORTED, "unsupported compression algorithm");
    if (!h->m->compression.n)
        h->content_length = -1;
    OWNED(buf_fini) struct buf plain = { 0 };
    if (!compress_inflate(codec, buf_view(&h->raw), &limits, &plain, e))
        return false;
    buf_fini(&h->raw);
    h->raw = plain;
    plain = (struct buf){ 0 };
    return true;
}

static void keep_cookies(struct http_probe *h, const struct http_head *head)
{
    for (size_t i = 0; i < head->header_count; i++) {
        if (!str_eq_nocase(head->headers[i].name, STR("Set-Cookie")) || h->cookies.n > 8192)
            continue;
        struct str rest = head->headers[i].value, pair = str_trim(str_cut(&rest, ';'));
        if (str_find_char(pair, '=') != STR_NPOS)
            buf_printf(&h->cookies, "%s%.*s", h->cookies.n ? "; " : "", STRF(pair));
    }
}

// One request and its answer. 1: the last one, 0: *next is where to go on, -1: failed and logged.
static int run_hop(struct http_probe *h, const struct url *u, struct url *next)
{
    OWNED(dial_end) struct dial d = dial_closed(h->p->deadline_mono_ns);
    OWNED(buf_fini) struct buf request = { 0 };
    struct http_head *head = &h->head;
    struct err e = { 0 };
    size_t end = 0;

    h->has_peer = false;
    h->in.n = h->raw.n = 0;
    if (!make_request(h, u, &request, &e) || !connect_hop(h, &d, u, &e)) {
        probe_error(h->p, "Error for HTTP request", KV_ERR(&e));
        return -1;
    }
    int64_t begin = clock_mono_ns(clock_real());
    if (!dial_write(&d, buf_view(&request), &e) || !read_head(h, &d, head, &end, &e)) {
        probe_error(h->p, "Error for HTTP request", KV_ERR(&e));
        return -1;
    }
    h->phase[HTTP_PROCESSING] += probe_seconds_since(begin);
    h->answered = true;
    h->content_length = head->has_length ? (double)head->length : -1;
    probe_info(h->p, "Received HTTP response", KV_I64("status_code", head->status));
    keep_cookies(h, head);
    struct str where = http_header_find(head->headers, head->header_count, STR("Location"));
    bool moves = head->status == 301 || head->status == 302 || head->status == 303 ||
                 head->status == 307 || head->status == 308;
    if (moves && where.n) {
        probe_info(h->p, "Received redirect", KV_STR("location", where));
        h->redirects = h->hops + 1;
        if (h->redirects > REDIRECTS_MAX || !h->m->http.follow_redirects)
            probe_info(h->p, "Not following redirect");
        else if (url_resolve(h->p->a, u, where, next, &e))
            return 0;
        else
            probe_error(h->p, "Error for HTTP request", KV_ERR(&e));
    }
    begin = clock_mono_ns(clock_real());
    if (!read_body(h, &d, head, end, &e) || !inflate_body(h, head, &e)) {
        probe_error(h->p, "Failed to read HTTP response body", KV_ERR(&e));
        h->body_failed = true;
    }
    h->phase[HTTP_TRANSFER] += probe_seconds_since(begin);
    return 1;
}

/* ---- the way along redirects ---- */

static void after_redirect(struct http_probe *h, const struct url *from, const struct url *to)
{
    int s = h->head.status;

    if ((s == 301 || s == 302 || s == 303) && !str_eq(h->method, STR("GET")) &&
        !str_eq(h->method, STR("HEAD"))) {
        h->method = STR("GET");
        h->body = STR("");
    }
    if (!str_eq(from->host, to->host))
        h->same_host = false;
    h->hops++;
}

static bool prepare(struct http_probe *h, struct url *u)
{
    struct probe *p = h->p;
    struct str target = p->target;
    struct err e = { 0 };

    if (!(target.n >= 7 && str_eq_nocase(str_sub(target, 0, 7), STR("http://"))) &&
        !(target.n >= 8 && str_eq_nocase(str_sub(target, 0, 8), STR("https://"))))
        target = arena_printf(p->a, "http://%.*s", STRF(target));
    if (!url_parse(p->a, target, u, &e)) {
        probe_error(p, "Could not parse target URL", KV_ERR(&e));
        return false;
    }
    h->method = h->m->method.n ? h->m->method : STR("GET");
    h->same_host = true;
    h->host_header = p->hostname.n ? p->hostname : header_of(&h->m->headers, STR("Host"));
    h->body = h->m->body;
    if (h->m->body_file.n &&
        !file_read(p->a, arena_cstr(p->a, h->m->body_file), 16 << 20, &h->body, &e)) {
        probe_error(p, "Error creating request", KV_ERR(&e));
        return false;
    }
    if (!http_is_token(h->method)) {
        probe_error(p, "Error creating request", KV("err", "net/http: invalid method"));
        return false;
    }
    bool proxy = h->m->http.proxy.proxy_url.n || h->m->http.proxy.proxy_from_environment;
    return (proxy && h->m->skip_resolve_phase_with_proxy) ||
           probe_choose(p, &h->m->ip, u->host, &h->first, &h->phase[HTTP_RESOLVE]);
}

static bool fetch(struct http_probe *h)
{
    struct url u, next = { 0 };
    int r;

    if (!prepare(h, &u))
        return false;
    while ((r = run_hop(h, &u, &next)) == 0) {
        after_redirect(h, &u, &next);
        u = next;
    }
    return r > 0;
}

bool probe_http(struct probe *p)
{
    struct http_probe h = { .p = p, .m = &p->module->http, .content_length = 0 };
    bool ok = fetch(&h);

    ok = h.answered && http_probe_judge(&h) && ok;
    http_probe_add(&h);
    buf_fini(&h.in);
    buf_fini(&h.raw);
    buf_fini(&h.cookies);
    http_tls_free(h.tls);
    return ok;
}
