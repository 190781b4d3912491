/*
 * export_command.c - one exporter as a process: flags, environment, port, signals.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/export_command.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/version.h"
#include "base/log.h"
#include "face/exporter.h"

static const char web[] = "Web", basics[] = "Basics";

// What every exporter has. The first two are replaced by the kind's own names and defaults.
static const struct flag common[] = {
    { "web.listen-address", FLAG_LIST, "", "address to listen on; may repeat", web, FLAG_ACTS },
    { "web.telemetry-path", FLAG_TEXT, "/metrics", "path of the metrics", web, FLAG_ACTS },
    { "web.config.file", FLAG_TEXT, "", "TLS and basic auth of this exporter", web, FLAG_ACTS },
    { "web.disable-exporter-metrics", FLAG_BOOL, "false", "without metrics of this program", web,
      FLAG_ACTS },
    { "web.route-prefix", FLAG_TEXT, "", "prefix of all paths", web, FLAG_ACTS },
    { "web.external-url", FLAG_TEXT, "", NULL, NULL, FLAG_HIDDEN },
    { "web.max-requests", FLAG_INT, "40", "questions answered at once", web, FLAG_ACTS },
    { "web.systemd-socket", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "log.level", FLAG_TEXT, "info", "debug, info, warn, error", basics, FLAG_ACTS },
    { "log.format", FLAG_TEXT, "logfmt", "logfmt or json", basics, FLAG_ACTS },
    { "help", FLAG_BOOL, "false", "this help", basics, FLAG_ACTS },
    { "h", FLAG_BOOL, "false", NULL, NULL, FLAG_HIDDEN },
    { "version", FLAG_BOOL, "false", "print the version", basics, FLAG_ACTS },
};

static const struct export_kind *const kinds[] = {
    &export_kind_node,  &export_kind_blackbox, &export_kind_redis,  &export_kind_postgres,
    &export_kind_nginx, &export_kind_process,  &export_kind_cgroup,
};

const char *export_flag(const struct flags *f, const char *name)
{
    struct str s = flags_text(f, name);

    return s.n ? s.p : NULL;
}

const char *const *export_flag_list(const struct flags *f, struct arena *a, const char *name,
                                    size_t *n)
{
    const struct flag_value *v = flags_get(f, name);
    const char **list = arena_array(a, v->all.n + 1, const char *);

    *n = 0;
    for (size_t i = 0; i < v->all.n; i++)
        list[(*n)++] = v->all.v[i].p;
    if (!*n && v->text.n)
        list[(*n)++] = v->text.p;
    return list;
}

static const struct export_kind *find_kind(const char *word)
{
    struct str name = str_c(word);
    struct str debian = STR("prometheus-");

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            if (str_eq_c(name, kinds[i]->name))
                return kinds[i];
            for (size_t k = 0; k < ARRAY_LEN(kinds[i]->binaries); k++)
                if (kinds[i]->binaries[k] && str_eq_c(name, kinds[i]->binaries[k]))
                    return kinds[i];
        }
        if (!str_starts(name, debian))
            break;
        name = str_sub(name, debian.n, name.n);
    }
    return NULL;
}

bool export_command_is(const char *program)
{
    const struct export_kind *k = find_kind(program);

    return k && strcmp(k->name, program) != 0; // "node" alone is no program's name
}

/* ---- flags ---- */

static struct flag *make_table(struct arena *a, const struct export_kind *k, size_t *n)
{
    size_t more_n = 0;
    const struct flag *more = k->more ? k->more(a, &more_n) : NULL;
    struct flag *t = arena_array(a, ARRAY_LEN(common) + k->flag_count + more_n, struct flag);

    *n = 0;
    for (size_t i = 0; i < k->flag_count; i++)
        t[(*n)++] = k->flags[i];
    for (size_t i = 0; i < more_n; i++)
        t[(*n)++] = more[i];
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        struct flag f = common[i];
        bool twice = false;

        if (i == 0)
            f.value = k->listen;
        for (size_t m = 0; m < k->flag_count; m++)
            twice = twice || strcmp(k->flags[m].name, f.name) == 0;
        if (!twice)
            t[(*n)++] = f;
    }
    return t;
}

static bool set_from_environment(struct flags *f, const struct export_kind *k, struct err *e)
{
    for (size_t i = 0; i < k->env_count; i++) {
        const char *value = getenv(k->env[i].variable);

        for (size_t m = 0; value && *value && m < f->n; m++) {
            struct flag_value *v = &f->v[m];
            if (v->given || strcmp(v->flag->name, k->env[i].flag) != 0)
                continue;
            if (v->flag->kind == FLAG_BOOL && strcmp(value, "true") != 0 &&
                strcmp(value, "false") != 0 && strcmp(value, "1") != 0 && strcmp(value, "0") != 0)
                return err_set(e, ERR_INVALID, "%s: expected true or false, got \"%s\"",
                               k->env[i].variable, value);
            v->text = str_c(v->flag->kind == FLAG_BOOL && *value == '1' ? "true" : value);
            v->given = true;
            if (v->flag->kind == FLAG_LIST)
                *vec_push(&v->all) = v->text;
        }
    }
    return true;
}

static void print_help(const struct export_kind *k, const struct flag *table, size_t n)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "usage: vigie export %s [<flags>]\n\n%s, with the flags of %s\n", k->name,
               k->title, k->binaries[0] ? k->binaries[0] : "vigie");
    flags_help(&b, table, n);
    for (size_t i = 0; i < k->env_count; i++)
        buf_printf(&b, "%s  %-36s --%s\n", i ? "" : "\nEnvironment\n", k->env[i].variable,
                   k->env[i].flag);
    fwrite(b.p, 1, b.n, stdout);
}

/* ---- running ---- */

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL); // before threads start: all inherit it
    signal(SIGPIPE, SIG_IGN);
}

static void wait_for_end(struct exporter *x, const sigset_t *signals)
{
    for (;;) {
        int sig = 0;
        struct err e = { 0 };

        if (sigwait(signals, &sig) != 0)
            continue;
        if (sig != SIGHUP) {
            log_info("export", "stopping", KV("signal", strsignal(sig)));
            return;
        }
        if (!x->class->reload)
            log_info("export", "this exporter has nothing to load again");
        else if (x->class->reload(x, &e))
            log_info("export", "loaded the configuration again");
        else
            log_error("export", "configuration refused, the old one stays", KV_ERR(&e));
    }
}

static bool serve(const struct export_kind *k, const struct flags *f, struct exporter *x,
                  struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(exporter_face_close) struct exporter_face *face = NULL;
    OWNED(http_server_close) struct http_server *http = NULL;
    sigset_t signals;
    size_t n;
    const char *const *listen = export_flag_list(
        f, &a, k->listen_flag ? k->listen_flag : "web.listen-address", &n);

    block_signals(&signals);
    if (!exporter_face_open(&face,
                            &(struct exporter_face_options){
                                .exporter = x,
                                .prefix = flags_text(f, "web.route-prefix"),
                                .threads = k->threads,
                            },
                            e) ||
        !http_server_open(&http,
                          &(struct http_server_options){
                              .listen = listen,
                              .listen_count = n,
                              .loops = 1,
                              .web_config_path = export_flag(f, "web.config.file"),
                          },
                          e))
        return false;
    exporter_face_routes(face, http);
    if (!http_server_start(http, e))
        return false;
    for (size_t i = 0; i < n; i++)
        log_info("export", "listening", KV("exporter", k->name), KV("address", listen[i]),
                 KV_I64("port", http_server_port(http, i)));
    wait_for_end(x, &signals);
    http_server_stop(http);
    return true;
}

static int run(const struct export_kind *k, const struct flags *f)
{
    OWNED(exporter_close) struct exporter *x = NULL;
    struct err e = { 0 };

    if (!k->open(&x, f, &e)) {
        fprintf(stderr, "%s: %s\n", k->name, e.text);
        return 1;
    }
    if (!x)
        return 0; // it was only asked to check
    struct str path = flags_text(f, k->path_flag ? k->path_flag : "web.telemetry-path");
    x->metrics_path = path.n ? path.p : NULL;
    x->no_self = x->no_self || flags_bool(f, "web.disable-exporter-metrics");
    if (serve(k, f, x, &e))
        return 0;
    log_error("export", "not started", KV_ERR(&e));
    return 1;
}

static int usage(const char *word)
{
    if (word)
        fprintf(stderr, "vigie export: there is no exporter \"%s\"\n", word);
    fputs("usage: vigie export NAME [<flags>]\n\n", stderr);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        fprintf(stderr, "  %-14s %s, %s\n", kinds[i]->name, kinds[i]->title, kinds[i]->listen);
    fputs("\nvigie export NAME --help lists its flags.\n", stderr);
    return 2;
}

int export_command(int argc, char **argv)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(flags_fini) struct flags f = { 0 };
    const struct export_kind *k = argc ? find_kind(argv[0]) : NULL;
    struct err e = { 0 };
    size_t n;

    if (!k)
        return usage(argc ? argv[0] : NULL);
    const struct flag *table = make_table(&a, k, &n);
    if (!flags_parse(&f, table, n, argc, argv, &e) || !set_from_environment(&f, k, &e) ||
        !log_configure(flags_text(&f, "log.level"), flags_text(&f, "log.format"), &e)) {
        fprintf(stderr, "%s: error: %s, try --help\n", argv[0], e.text);
        return 2;
    }
    if (flags_bool(&f, "help") || flags_bool(&f, "h")) {
        print_help(k, table, n);
        return 0;
    }
    if (flags_bool(&f, "version")) {
        version_print(k->binaries[0] ? k->binaries[0] : "vigie");
        return 0;
    }
    return run(k, &f);
}
