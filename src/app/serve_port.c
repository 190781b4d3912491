// serve_port.c - ports of the server's parts, and the addresses under which they are reached.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "app/serve_priv.h"
#include "base/log.h"

// Port of an address such as 127.0.0.1:9090.
struct str serve_port_of(struct str address)
{
    size_t colon = str_rfind_char(address, ':');

    return colon == STR_NPOS ? STR("9090") : str_sub(address, colon + 1, address.n);
}

// As given, or this machine's name and the first port listened on.
struct str serve_external_url(struct server *s)
{
    struct str given = flags_text(&s->flags, "web.external-url");
    struct str listen = flags_text(&s->flags, "web.listen-address");
    char host[256] = "localhost";

    if (str_find(given, STR("://")) != STR_NPOS)
        return given;
    gethostname(host, sizeof host - 1);
    return arena_printf(&s->arena, "http://%s:%.*s%s%.*s", host, STRF(serve_port_of(listen)),
                        str_starts(given, STR("/")) ? "" : "/", STRF(given));
}

// /prom for http://host/prom, / without a path.
struct str serve_prefix(struct server *s)
{
    struct str prefix = flags_text(&s->flags, "web.route-prefix");
    struct str url = serve_external_url(s);
    size_t scheme = str_find(url, STR("://"));

    if (prefix.n)
        return prefix.p[0] == '/' ? prefix : arena_printf(&s->arena, "/%.*s", STRF(prefix));
    if (scheme == STR_NPOS)
        return STR("/");
    struct str rest = str_sub(url, scheme + 3, url.n);
    size_t slash = str_find_char(rest, '/');
    struct str path = slash == STR_NPOS ? STR("/") : str_sub(rest, slash, rest.n);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

bool serve_open_port(struct server *s, const struct serve_port *p, struct http_server **out,
                     struct err *e)
{
    const struct flag_value *listen = flags_get(&s->flags, p->flag);
    size_t n = listen->all.n ? listen->all.n : listen->text.n != 0;
    const char **addresses = arena_array(&s->arena, MAX(n, (size_t)1), const char *);
    struct str web_config = flags_text(&s->flags, "web.config.file");
    struct http_server_options o = {
        .listen = addresses,
        .listen_count = n,
        .loops = p->all_loops ? 0 : 1,
        .connections_max = (unsigned)flags_int(&s->flags, "web.max-connections"),
        .read_timeout_ms = flags_ms(&s->flags, "web.read-timeout"),
        .web_config_path = web_config.n ? web_config.p : NULL,
        .fallback = p->fallback,
        .before = p->before,
        .ctx = p->server_ctx,
    };

    *out = NULL;
    for (size_t i = 0; i < n; i++)
        addresses[i] = listen->all.n ? listen->all.v[i].p : listen->text.p;
    if (!n)
        return true;
    if (!http_server_open(out, &o, e)) {
        if (p->must || listen->given)
            return false;
        log_warn("app", "a default port is not to be had, its service is left out",
                 KV("flag", p->flag), KV("address", addresses[0]), KV_ERR(e));
        return true;
    }
    p->routes(p->routes_ctx, *out);
    if (!http_server_start(*out, e))
        return false;
    for (size_t i = 0; i < n; i++)
        log_info("app", "listening", KV("address", addresses[i]),
                 KV_I64("port", http_server_port(*out, i)),
                 KV("authentication", web_config.n ? "by the web config file" : "off"));
    return true;
}
