/*
 * serve_export.c - exporters inside the server: asked by jobs with `scheme: vigie`, on no port.
 *
 *   - job_name: redis
 *     scheme: vigie
 *     metrics_path: /redis
 *     static_configs: [{ targets: ['localhost:6379'] }]
 *
 * The address is the target unless a parameter `target` says otherwise. An exporter is made
 * when a job first asks for it. Secrets come from the environment and from files, never from targets.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "app/serve_priv.h"
#include "base/mem.h"
#include "export/blackbox.h"
#include "export/nginx.h"
#include "export/postgres.h"
#include "export/redis.h"
#include "net/url.h"

static bool open_blackbox(struct server *s, struct exporter **out, struct err *e)
{
    const struct flag_value *allow = flags_get(&s->flags, "export.probe-allow");
    struct str path = flags_text(&s->flags, "export.blackbox-config");
    OWNED(arena_fini) struct arena a = { 0 };
    const char **networks = arena_array(&a, allow->all.n, const char *);

    for (size_t i = 0; i < allow->all.n; i++)
        networks[i] = allow->all.v[i].p;
    return export_blackbox_open(out,
                                &(struct export_blackbox_options){
                                    .config_path = path.n ? path.p : NULL,
                                    .timeout_offset_s = 0.5,
                                    .allow = networks,
                                    .allow_count = allow->all.n,
                                },
                                e);
}

static bool open_redis(struct server *s UNUSED, struct exporter **out, struct err *e)
{
    return export_redis_open(out,
                             &(struct export_redis_options){
                                 .user = getenv("REDIS_USER"),
                                 .password = getenv("REDIS_PASSWORD"),
                                 .password_file = getenv("REDIS_PASSWORD_FILE"),
                             },
                             e);
}

static bool open_postgres(struct server *s, struct exporter **out, struct err *e)
{
    struct str path = flags_text(&s->flags, "export.postgres-config");

    return export_postgres_open(
        out, &(struct export_postgres_options){ .config_path = path.n ? path.p : NULL }, e);
}

static bool open_nginx(struct server *s UNUSED, struct exporter **out, struct err *e)
{
    return export_nginx_open(out, &(struct export_nginx_options){ .verify = true }, e);
}

static const struct {
    const char *path;
    bool (*open)(struct server *s, struct exporter **out, struct err *e);
} kinds[] = {
    { "/probe", open_blackbox },
    { "/redis", open_redis },
    { "/postgres", open_postgres },
    { "/nginx", open_nginx },
};

struct serve_export {
    struct mutex mu;
    struct exporter *exporter[ARRAY_LEN(kinds)]; // under mu until made; then constant
};

static size_t find(struct str path)
{
    size_t i = 0;

    while (i < ARRAY_LEN(kinds) && !str_eq_c(path, kinds[i].path))
        i++;
    return i;
}

bool serve_export_has(struct str path)
{
    return find(path) < ARRAY_LEN(kinds);
}

static bool exporter_of(struct server *s, size_t i, struct exporter **out, struct err *e)
{
    LOCKED(&s->export->mu);

    if (!s->export->exporter[i] && !kinds[i].open(s, &s->export->exporter[i], e))
        return false;
    *out = s->export->exporter[i];
    return true;
}

// The parameters of the URL, and the address as target when there is none.
static struct http_form params_of(struct arena *a, const struct url *u)
{
    struct http_request r = { .method = STR("GET"), .query = u->query };
    struct http_form form = { 0 };
    OWNED(buf_fini) struct buf host = { 0 };

    (void)!http_form_parse(a, &r, &form, &(struct err){ 0 }); // of our own making
    if (http_form_get(&form, STR("target")).p)
        return form;
    struct http_header *v = arena_array(a, form.n + 1, struct http_header);
    if (form.n)
        memcpy(v, form.v, form.n * sizeof *v);
    buf_url_host(&host, u);
    v[form.n] = (struct http_header){ STR("target"), arena_str(a, buf_view(&host)) };
    return (struct http_form){ v, form.n + 1 };
}

bool serve_export_page(struct server *s, const struct url *u, int64_t timeout_ms, struct buf *out,
                       struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct exporter *x;

    if (!exporter_of(s, find(u->path), &x, e))
        return false;
    struct http_form form = params_of(&a, u);
    struct export_request q = {
        .path = str_c(x->class->probe_path),
        .param = form.v,
        .params = form.n,
        .timeout_s = (double)timeout_ms / 1000,
        .start_mono_ns = clock_mono_ns(clock_real()),
    };
    return x->class->probe(x, &q, out, e);
}

static bool open_part(struct server *s, struct err *e UNUSED)
{
    s->export = xcalloc(1, sizeof *s->export);
    mutex_init(&s->export->mu, "exporters", RANK_APP - 1); // making one takes its own lock
    return true;
}

static void close_part(struct server *s)
{
    if (!s->export)
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        exporter_close(s->export->exporter[i]);
    mutex_fini(&s->export->mu);
    xfree(s->export);
}

const struct serve_part serve_export_part = {
    .name = "export",
    .open = open_part,
    .close = close_part,
};
