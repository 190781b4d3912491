/*
 * serve_lines.c - the part that takes line protocols and files: routes on the main port, and ports of
 * Graphite, OpenTSDB and statsd, which are off until their addresses are given.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/serve_priv.h"
#include "base/log.h"
#include "base/mem.h"
#include "face/import.h"
#include "face/statsd.h"
#include "net/line_server.h"

struct serve_lines {
    struct import_face *face;
    struct statsd_sums *statsd;
    struct line_server *graphite, *opentsdb, *statsd_port;
};

enum { STATSD_FLUSH_MS = 10000 };

static void take(struct serve_lines *l, enum import_protocol p, struct str text)
{
    struct import_counts c;

    import_text(l->face, p, text, &c);
    if (c.status >= 400)
        log_warn("import", "lines were not all stored",
                 KV("protocol", p == IMPORT_GRAPHITE ? "graphite" : "opentsdb"),
                 KV_U64("stored", c.samples), KV_U64("malformed", c.malformed),
                 KV_U64("refused", c.refused), KV("first", c.text));
}

static void graphite_lines(void *ctx, struct str text)
{
    take(ctx, IMPORT_GRAPHITE, text);
}

static void opentsdb_lines(void *ctx, struct str text)
{
    take(ctx, IMPORT_OPENTSDB, text);
}

static void statsd_text(void *ctx, struct str text)
{
    statsd_lines(((struct serve_lines *)ctx)->statsd, text);
}

static void statsd_tick(void *ctx)
{
    struct err e = { 0 };

    if (!statsd_flush(((struct serve_lines *)ctx)->statsd, &e))
        log_warn("import", "sums of statsd were not all stored", KV_ERR(&e));
}

static bool open_lines(struct server *s, struct err *e)
{
    if (s->as_prometheus)
        return true;
    s->lines = xcalloc(1, sizeof *s->lines);
    s->lines->statsd = statsd_sums_new(s->intake, clock_real());
    return import_face_new(&s->lines->face,
                           &(struct import_options){ .metrics = s->metrics,
                                                     .intake = s->intake,
                                                     .tenancy = s->tenancy,
                                                     .prefix = serve_prefix(s) },
                           e);
}

static void lines_routes(struct server *s, struct http_server *http)
{
    if (s->lines)
        import_face_routes(s->lines->face, http);
}

// A port of text, when its flag names an address.
static bool open_port(struct server *s, const char *flag, struct line_server_options o,
                      struct line_server **out, struct err *e)
{
    struct str address = flags_text(&s->flags, flag);

    if (!address.n)
        return true;
    if (s->tenancy) // nothing on these ports can name a tenant
        log_warn("import", "what comes by this port goes to the tenant anonymous",
                 KV("flag", flag));
    o.address = address.p;
    o.ctx = s->lines;
    if (!line_server_open(out, &o, e))
        return false;
    log_info("app", "listening", KV("flag", flag), KV_STR("address", address),
             KV_I64("port", line_server_port(*out)));
    return true;
}

static bool start_lines(struct server *s, struct err *e)
{
    struct serve_lines *l = s->lines;
    int64_t flush_ms = flags_ms(&s->flags, "statsd.flush-interval");

    if (!l)
        return true;
    return open_port(s, "graphite.listen-address",
                     (struct line_server_options){
                         .name = "graphite", .tcp = true, .udp = true, .lines = graphite_lines },
                     &l->graphite, e) &&
           open_port(s, "opentsdb.listen-address",
                     (struct line_server_options){
                         .name = "opentsdb", .tcp = true, .lines = opentsdb_lines },
                     &l->opentsdb, e) &&
           open_port(
               s, "statsd.listen-address",
               (struct line_server_options){ .name = "statsd",
                                             .tcp = true,
                                             .udp = true,
                                             .lines = statsd_text,
                                             .tick = statsd_tick,
                                             .tick_ms = flush_ms ? flush_ms : STATSD_FLUSH_MS },
               &l->statsd_port, e);
}

static void stop_lines(struct server *s)
{
    struct serve_lines *l = s->lines;

    if (!l)
        return;
    line_server_close(l->graphite);
    line_server_close(l->opentsdb);
    line_server_close(l->statsd_port);
    l->graphite = l->opentsdb = l->statsd_port = NULL;
}

static void close_lines(struct server *s)
{
    if (!s->lines)
        return;
    stop_lines(s);
    import_face_free(s->lines->face);
    statsd_sums_free(s->lines->statsd);
    xfree(s->lines);
    s->lines = NULL;
}

const struct serve_part serve_lines_part = {
    .name = "lines",
    .open = open_lines,
    .routes = lines_routes,
    .start = start_lines,
    .stop = stop_lines,
    .close = close_lines,
};
