// pushgateway_command.c - flags, port and signals of a Pushgateway that is a process of its own.
// SPDX-License-Identifier: Apache-2.0
#include "app/pushgateway_command.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/flags.h"
#include "app/version.h"
#include "base/log.h"
#include "export/export.h"
#include "face/pushgateway.h"

static const char basics[] = "Basics", web[] = "Web", store[] = "Store";

static const struct flag table[] = {
    { "log.format", FLAG_TEXT, "logfmt", "logfmt or json", basics, FLAG_ACTS },
    { "log.level", FLAG_TEXT, "info", "debug, info, warn, error", basics, FLAG_ACTS },
    { "persistence.file", FLAG_TEXT, "", "file that keeps metrics; empty: memory only", store,
      FLAG_ACTS },
    { "persistence.interval", FLAG_DURATION, "5m", "least time between two writes of the file",
      store, FLAG_ACTS },
    { "push.disable-consistency-check", FLAG_BOOL, "false", "take pushes unchecked: dangerous",
      store, FLAG_ACTS },
    { "push.enable-utf8-names", FLAG_BOOL, "false", "names of any characters", store, FLAG_ACTS },
    { "web.config.file", FLAG_TEXT, "", "TLS and basic auth", web, FLAG_ACTS },
    { "web.enable-admin-api", FLAG_BOOL, "false", "allow PUT /api/v1/admin/wipe", web, FLAG_ACTS },
    { "web.enable-lifecycle", FLAG_BOOL, "false", "allow PUT /-/quit", web, FLAG_ACTS },
    { "web.external-url", FLAG_TEXT, "", "URL under which this is reached", web, FLAG_ACTS },
    { "web.listen-address", FLAG_LIST, ":9091", "address to listen on; may repeat", web,
      FLAG_ACTS },
    { "web.local-assets", FLAG_TEXT, "", NULL, NULL, FLAG_IGNORED },
    { "web.route-prefix", FLAG_TEXT, "", "prefix of all paths", web, FLAG_ACTS },
    { "web.systemd-socket", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "web.telemetry-path", FLAG_TEXT, "/metrics", "path of the page to scrape", web, FLAG_ACTS },
    { "help", FLAG_BOOL, "false", "this help", basics, FLAG_ACTS },
    { "h", FLAG_BOOL, "false", NULL, NULL, FLAG_HIDDEN },
    { "version", FLAG_BOOL, "false", "print the version", basics, FLAG_ACTS },
};

bool pushgateway_command_is(const char *program)
{
    return strcmp(program, "pushgateway") == 0 || strcmp(program, "prometheus-pushgateway") == 0;
}

static void self(void *ctx, struct buf *out)
{
    (void)ctx;
    export_self_write(EXPO_TEXT, NULL, out);
}

static void quit(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGTERM);
}

// The prefix of the paths, without a slash at the end.
static struct str prefix_of(struct arena *a, const struct flags *f)
{
    struct str prefix = flags_text(f, "web.route-prefix");
    struct str url = flags_text(f, "web.external-url");
    size_t scheme = str_find(url, STR("://"));

    if (!prefix.n) {
        struct str rest = scheme == STR_NPOS ? url : str_sub(url, scheme + 3, url.n);
        size_t slash = str_find_char(rest, '/');
        prefix = slash == STR_NPOS ? STR("") : str_sub(rest, slash, rest.n);
    }
    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return prefix.n && prefix.p[0] != '/' ? arena_printf(a, "/%.*s", STRF(prefix)) : prefix;
}

static struct str shown(struct arena *a, const struct flag_value *v)
{
    OWNED(buf_fini) struct buf b = { 0 };
    int64_t ms;
    struct err e;

    if (v->flag->kind == FLAG_DURATION && duration_parse(v->text, &ms, &e))
        buf_duration_go(&b, ms * NS_MS);
    else if (!v->all.n)
        buf_str(&b, v->text);
    for (size_t i = 0; i < v->all.n; i++)
        buf_printf(&b, "%s%.*s", i ? "," : "", STRF(v->all.v[i]));
    return arena_str(a, buf_view(&b));
}

static struct pushgateway_flag *shown_flags(struct arena *a, const struct flags *f, size_t *n)
{
    struct pushgateway_flag *v = arena_array(a, f->n, struct pushgateway_flag);

    *n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (strchr(f->v[i].flag->name, '.'))
            v[(*n)++] = (struct pushgateway_flag){ f->v[i].flag->name, shown(a, &f->v[i]) };
    return v;
}

static bool open_face(struct pushgateway **out, struct arena *a, const struct flags *f,
                      struct err *e)
{
    struct str file = flags_text(f, "persistence.file");
    struct pushgateway_options o = {
        .persistence_path = file.n ? file.p : NULL,
        .persistence_interval_ms = MAX(flags_ms(f, "persistence.interval"), INT64_C(1)),
        .unchecked = flags_bool(f, "push.disable-consistency-check"),
        .admin = flags_bool(f, "web.enable-admin-api"),
        .lifecycle = flags_bool(f, "web.enable-lifecycle"),
        .utf8 = flags_bool(f, "push.enable-utf8-names"),
        .route_prefix = prefix_of(a, f),
        .telemetry_path = flags_text(f, "web.telemetry-path"),
        .version = STR(VIGIE_VERSION),
        .self = self,
        .quit = quit,
    };

    o.flags = shown_flags(a, f, &o.flag_count);
    return pushgateway_new(out, &o, e);
}

static bool open_http(struct http_server **out, struct arena *a, const struct flags *f,
                      struct pushgateway *face, struct err *e)
{
    const struct flag_value *listen = flags_get(f, "web.listen-address");
    struct str web_config = flags_text(f, "web.config.file");
    size_t n = MAX(listen->all.n, (size_t)1);
    const char **addresses = arena_array(a, n, const char *);

    for (size_t i = 0; i < n; i++)
        addresses[i] = listen->all.n ? listen->all.v[i].p : listen->text.p;
    if (!http_server_open(
            out,
            &(struct http_server_options){ .listen = addresses,
                                           .listen_count = n,
                                           .loops = 1,
                                           .web_config_path = web_config.n ? web_config.p : NULL,
                                           .fallback = pushgateway_fallback },
            e))
        return false;
    pushgateway_routes(face, *out);
    if (!http_server_start(*out, e))
        return false;
    for (size_t i = 0; i < n; i++)
        log_info("pushgateway", "listening", KV("address", addresses[i]),
                 KV_I64("port", http_server_port(*out, i)));
    return true;
}

static bool serve(const struct flags *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(pushgateway_free) struct pushgateway *face = NULL;
    OWNED(http_server_close) struct http_server *http = NULL;
    sigset_t signals;
    int sig = 0;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // before threads start: all inherit it
    signal(SIGPIPE, SIG_IGN);
    if (!open_face(&face, &a, f, e) || !open_http(&http, &a, f, face, e))
        return false;
    while (sigwait(&signals, &sig) != 0)
        continue;
    log_info("pushgateway", "stopping", KV("signal", strsignal(sig)));
    http_server_stop(http);
    return true;
}

static void print_help(void)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b,
            "usage: pushgateway [<flags>]\n\nvigie in the place of the Prometheus Pushgateway\n");
    flags_help(&b, table, ARRAY_LEN(table));
    fwrite(b.p, 1, b.n, stdout);
}

int pushgateway_command(int argc, char **argv)
{
    OWNED(flags_fini) struct flags f = { 0 };
    struct err e = { 0 };

    if (!flags_parse(&f, table, ARRAY_LEN(table), argc, argv, &e) ||
        (f.args.n && !err_set(&e, ERR_INVALID, "unexpected %s", f.args.v[0].p)) ||
        !log_configure(flags_text(&f, "log.level"), flags_text(&f, "log.format"), &e)) {
        fprintf(stderr, "%s: error: %s, try --help\n", argv[0], e.text);
        return 1;
    }
    if (flags_bool(&f, "help") || flags_bool(&f, "h"))
        return print_help(), 0;
    if (flags_bool(&f, "version"))
        return version_print("pushgateway"), 0;
    if (serve(&f, &e))
        return 0;
    log_error("pushgateway", "not started", KV_ERR(&e));
    return 1;
}
