// tools_http.c - HTTP calls of the commands.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools_http.h"

#include "base/file.h"
#include "base/mem.h"

static bool read_settings(struct tools_http *h, struct str path, struct conf_http *out,
                          struct err *e)
{
    struct conf_reader r = { .arena = &h->arena };
    const struct yaml_node *root = NULL;
    struct str text;

    return file_read(&h->arena, path.p, 1 << 20, &text, e) &&
           yaml_parse(&h->arena, text, &root, e) && conf_read(&r, &conf_http_type, root, out, e) &&
           conf_http_check(out, root, e);
}

bool tools_http_open(struct tools_http *h, struct str config_file, struct err *e)
{
    *h = (struct tools_http){ .conf = { .follow_redirects = true } };
    if (config_file.n && !read_settings(h, config_file, &h->conf, e))
        return err_wrap(e, "Failed to load HTTP config file");
    h->token = discover_token_new();
    return discover_http_make(&h->conf, &h->settings, e) && http_client_start(&h->client, e);
}

void tools_http_close(struct tools_http *h)
{
    http_client_stop(h->client);
    discover_token_free(h->token);
    discover_http_fini(&h->settings);
    arena_fini(&h->arena);
}

bool tools_http_call(struct tools_http *h, const struct tools_call *c, struct tools_answer *out,
                     struct err *e)
{
    struct discover_authorize who = { h->client, h->token, c->timeout_ms };
    struct http_header *mine = h->settings.headers;
    size_t own = h->settings.header_count;

    if (h->settings.dynamic && !discover_http_authorize(&h->conf, &who, &h->arena, &mine, &own, e))
        return false;
    struct http_header *headers = arena_array(&h->arena, own + c->header_count, struct http_header);
    struct http_response r = { 0 };

    for (size_t i = 0; i < own; i++)
        headers[i] = mine[i];
    for (size_t i = 0; i < c->header_count; i++)
        headers[own + i] = c->headers[i];
    struct http_call_options o = { .method = c->method,
                                   .url = c->url,
                                   .headers = headers,
                                   .header_count = own + c->header_count,
                                   .body = c->body,
                                   .tls = h->settings.tls,
                                   .proxy_url = discover_proxy_of(&h->conf.proxy, c->url,
                                                                  &h->arena),
                                   .proxy_headers = h->settings.proxy_headers,
                                   .proxy_header_count = h->settings.proxy_header_count,
                                   .no_redirects = h->settings.no_redirects,
                                   .timeout_ms = c->timeout_ms };
    if (!http_client_wait(h->client, &o, &h->arena, &r, e))
        return false;
    out->status = r.status;
    out->reason = arena_str(&h->arena, r.reason);
    out->body = arena_str(&h->arena, buf_view(&r.body));
    buf_fini(&r.body);
    return true;
}

struct str tools_url(struct arena *a, struct str base, const char *path)
{
    const char *scheme = str_find(base, STR("://")) == STR_NPOS ? "http://" : "";

    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    return arena_printf(a, "%s%.*s%s", scheme, STRF(base), path);
}

struct http_header *tools_headers(struct arena *a, const struct str *words, size_t n)
{
    struct http_header *v = arena_array(a, n, struct http_header);

    for (size_t i = 0; i < n; i++) {
        struct str rest = words[i];
        v[i].name = str_cut(&rest, '=');
        v[i].value = rest;
    }
    return v;
}
