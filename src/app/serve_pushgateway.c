/*
 * serve_pushgateway.c - the part that is a Pushgateway on :9091, scraped from within.
 *
 * Without a configuration file it is there by itself, on loopback; with one, when its address is given:
 * somebody may run a Pushgateway of his own then.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/serve_priv.h"
#include "app/version.h"
#include "base/mem.h"
#include "face/pushgateway.h"

struct serve_pushgateway {
    struct pushgateway *face;
    struct http_server *http;
};

enum { SAVE_INTERVAL_MS = 30000 };

static bool is_on(struct server *s)
{
    const struct flag_value *listen = flags_get(&s->flags, "pushgateway.listen-address");

    if (s->as_prometheus || (flags_text(&s->flags, "config.file").n && !listen->given))
        return false;
    return listen->all.n ? listen->all.v[0].n : listen->text.n;
}

static void bare(struct server *s, struct buf *scrape_configs)
{
    const struct flag_value *listen = flags_get(&s->flags, "pushgateway.listen-address");
    struct str address = listen->all.n ? listen->all.v[0] : listen->text;

    if (!is_on(s))
        return;
    buf_printf(scrape_configs,
               "- job_name: pushgateway\n"
               "  scheme: vigie\n"
               "  metrics_path: /pushgateway\n"
               "  honor_labels: true\n"
               "  static_configs:\n"
               "  - targets: ['%s%.*s']\n",
               str_starts(address, STR(":")) ? "localhost" : "", STRF(address));
}

static void self(void *ctx, struct buf *out)
{
    (void)ctx;
    export_self_write(EXPO_TEXT, NULL, out);
}

static bool open_part(struct server *s, struct err *e)
{
    struct str file = flags_text(&s->flags, "pushgateway.persistence-file");
    struct serve_pushgateway *p;

    if (!is_on(s))
        return true;
    p = s->pushgateway = xcalloc(1, sizeof *p);
    return pushgateway_new(
        &p->face,
        &(struct pushgateway_options){
            .persistence_path =
                file.n ? file.p
                       : arena_printf(&s->arena, "%s/pushgateway.data", serve_data_path(s)).p,
            .persistence_interval_ms = SAVE_INTERVAL_MS,
            .admin = flags_bool(&s->flags, "web.enable-admin-api"),
            .utf8 = true,
            .version = STR(VIGIE_VERSION),
            .self = self,
        },
        e);
}

static void routes(void *ctx, struct http_server *http)
{
    pushgateway_routes(((struct serve_pushgateway *)ctx)->face, http);
}

static bool start(struct server *s, struct err *e)
{
    struct serve_pushgateway *p = s->pushgateway;

    return !p || serve_open_port(s,
                                 &(struct serve_port){ .flag = "pushgateway.listen-address",
                                                       .routes = routes,
                                                       .routes_ctx = p,
                                                       .fallback = pushgateway_fallback },
                                 &p->http, e);
}

static bool page(struct server *s, struct buf *out, struct err *e UNUSED)
{
    if (s->pushgateway)
        pushgateway_page(s->pushgateway->face, out);
    return true;
}

static void stop(struct server *s)
{
    if (s->pushgateway && s->pushgateway->http)
        http_server_stop(s->pushgateway->http);
}

static void close_part(struct server *s)
{
    if (!s->pushgateway)
        return;
    http_server_close(s->pushgateway->http);
    pushgateway_free(s->pushgateway->face);
    xfree(s->pushgateway);
    s->pushgateway = NULL;
}

const struct serve_part serve_pushgateway_part = {
    .name = "pushgateway",
    .bare = bare,
    .open = open_part,
    .start = start,
    .stop = stop,
    .close = close_part,
    .page_path = "/pushgateway",
    .page = page,
};
