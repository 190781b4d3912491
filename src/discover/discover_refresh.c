// discover_refresh.c - asking: targets of static lists, files, HTTP servers and DNS.
// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/time.h"
#include "discover/discover_priv.h"
#include "discover/dns.h"

enum { SD_BYTES_MAX = 64 << 20 };

void made_fini(struct made *m)
{
    arena_fini(&m->arena);
}

/* ---- groups of targets ---- */

// One target: its address, the labels of its group, and one label of the discovery (name empty: none).
static void target_add(struct made *m, struct str address, const struct conf_map *group,
                       struct label meta)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, (struct labels){ 0 });
    for (size_t i = 0; group && i < group->n; i++)
        labels_builder_set(&b, group->v[i].key, group->v[i].value);
    if (meta.name.n)
        labels_builder_set(&b, meta.name, meta.value);
    labels_builder_set(&b, STR("__address__"), address);
    *vec_push_in(&m->arena, &m->targets) = labels_copy(&m->arena, labels_builder_view(&b));
}

static void groups_add(struct made *m, const struct conf_list *groups, struct label meta)
{
    for (size_t i = 0; i < groups->n; i++) {
        const struct conf_target_group *g = groups->v[i];
        for (size_t k = 0; k < g->targets.n; k++)
            target_add(m, g->targets.v[k], &g->labels, meta);
    }
}

/* ---- files ---- */

struct file_refresh {
    struct provider *p;
    const struct discover_metrics *metrics;
    struct made *m;
    struct err *e; // of the last file that could not be read
    bool failed;
};

// What the provider knew of a file.
static void keep_file(struct file_refresh *f, struct str path)
{
    for (size_t i = 0; i < f->p->target_count; i++)
        if (str_eq(labels_get(f->p->targets[i], STR("__meta_filepath")), path))
            *vec_push_in(&f->m->arena, &f->m->targets) = labels_copy(&f->m->arena,
                                                                     f->p->targets[i]);
}

// A file that cannot be read costs nothing but itself, and not even that when it was read once.
static void refresh_file(struct file_refresh *f, const char *path)
{
    struct arena *a = &f->m->arena;
    struct conf_list groups;
    struct str text;

    if (!file_read(a, path, SD_BYTES_MAX, &text, f->e) ||
        !conf_target_groups_parse(a, text, &groups, f->e)) {
        err_wrap(f->e, "%s", path);
        f->failed = true;
        metric_add(f->metrics->file_errors, 1);
        keep_file(f, str_c(path));
        return;
    }
    groups_add(f->m, &groups, (struct label){ STR("__meta_filepath"), arena_str(a, str_c(path)) });
}

// Calls refresh_file() for every file of the globs when f is not NULL.
static uint64_t each_file(const struct conf_file_sd *c, struct file_refresh *f)
{
    OWNED(arena_fini) struct arena a = { 0 };
    uint64_t stamp = 0;

    for (size_t i = 0; i < c->files.n; i++) {
        glob_t found = { 0 };
        glob(arena_cstr(&a, c->files.v[i]), 0, NULL, &found);
        for (size_t k = 0; k < found.gl_pathc; k++) {
            struct stat st = { 0 };
            if (stat(found.gl_pathv[k], &st) != 0)
                continue;
            stamp = hash_seeded(str_c(found.gl_pathv[k]), stamp);
            stamp = hash_u64(stamp ^ (uint64_t)st.st_size ^ (uint64_t)st.st_mtim.tv_nsec);
            stamp = hash_u64(stamp ^ (uint64_t)st.st_mtim.tv_sec ^ ((uint64_t)st.st_ino << 20));
            if (f)
                refresh_file(f, found.gl_pathv[k]);
        }
        globfree(&found);
    }
    return stamp;
}

uint64_t provider_file_stamp(const struct conf_file_sd *c)
{
    return each_file(c, NULL);
}

static void say_once(struct provider *p, const struct err *e)
{
    if (str_eq(p->error, str_c(e->text)))
        return;
    log_error("discover", "file not read, what was known of it stays", KV_STR("job", p->name),
              KV_ERR(e));
    xfree((void *)(uintptr_t)p->error.p);
    p->error = str_of(xstrdup_str(str_c(e->text)), strlen(e->text));
}

static bool refresh_files(struct provider *p, const struct discover_metrics *metrics,
                          struct made *m)
{
    struct err e = { 0 };
    struct file_refresh f = { p, metrics, m, &e, false };

    p->file_stamp = each_file(p->conf, &f);
    if (f.failed)
        say_once(p, &e);
    return true;
}

/* ---- HTTP ---- */

static bool is_json(struct str type)
{
    struct str media = str_trim(str_cut(&type, ';'));
    struct str params = str_trim(type);

    return str_eq_nocase(media, STR("application/json")) &&
           (!params.n || str_eq_nocase(params, STR("charset=utf-8")) ||
            str_eq_nocase(params, STR("charset=\"utf-8\"")));
}

static struct str type_of(const struct http_response *r)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, STR("Content-Type")))
            return r->headers[i].value;
    return STR_NONE;
}

static bool check_answer(const struct http_response *r, struct err *e)
{
    OWNED(buf_fini) struct buf quoted = { 0 };

    if (r->status != 200)
        return err_set(e, ERR_UNAVAILABLE, "server returned HTTP status %d %.*s", r->status,
                       STRF(r->reason));
    if (is_json(type_of(r)))
        return true;
    buf_quoted(&quoted, type_of(r));
    return err_set(e, ERR_INVALID, "unsupported content type %s", buf_cstr(&quoted));
}

// The call's headers: of authentication, and what http_sd adds.
static bool http_sd_headers(struct provider *p, struct http_client *client, struct arena *a,
                            struct discover_http *h, struct err *e)
{
    const struct conf_http_sd *c = p->conf;
    struct discover_authorize o = { client, p->token, 10 * MS_SECOND };
    OWNED(buf_fini) struct buf interval = { 0 };

    if (!discover_http_make(&c->http, h, e) ||
        (h->dynamic && !discover_http_authorize(&c->http, &o, a, &h->headers, &h->header_count, e)))
        return false;
    struct http_header *all = arena_array(a, h->header_count + 2, struct http_header);
    if (h->header_count)
        memcpy(all, h->headers, h->header_count * sizeof *all);
    buf_double_f(&interval, (double)c->refresh_interval_ms / 1000);
    all[h->header_count++] = (struct http_header){ STR("Accept"), STR("application/json") };
    all[h->header_count++] = (struct http_header){ STR("X-Prometheus-Refresh-Interval-Seconds"),
                                                   arena_str(a, buf_view(&interval)) };
    h->headers = all;
    return true;
}

static bool refresh_http(struct provider *p, struct http_client *client, struct made *m,
                         struct err *e)
{
    const struct conf_http_sd *c = p->conf;
    OWNED(discover_http_fini) struct discover_http h = { 0 };
    struct http_response r = { 0 };
    struct conf_list groups;

    if (!http_sd_headers(p, client, &m->arena, &h, e))
        return false;
    struct http_call_options o = { .url = c->url,
                                   .headers = h.headers,
                                   .header_count = h.header_count,
                                   .tls = h.tls,
                                   .proxy_url = discover_proxy_of(&c->http.proxy, c->url,
                                                                  &m->arena),
                                   .proxy_headers = h.proxy_headers,
                                   .proxy_header_count = h.proxy_header_count,
                                   .no_redirects = h.no_redirects,
                                   .timeout_ms = MIN(c->refresh_interval_ms, INT64_C(10000)),
                                   .body_max = SD_BYTES_MAX };
    bool ok = http_client_wait(client, &o, &m->arena, &r, e);
    if (!ok)
        return false;
    ok = check_answer(&r, e);
    struct str body = arena_str(&m->arena, buf_view(&r.body));
    buf_fini(&r.body);
    if (!ok || !conf_target_groups_parse(&m->arena, body, &groups, e))
        return false;
    groups_add(m, &groups, (struct label){ STR("__meta_url"), c->url });
    return true;
}

/* ---- DNS ---- */

static void dns_target(struct made *m, struct str name, struct str type, const struct dns_record *r,
                       int64_t port)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct str number = arena_printf(&m->arena, "%u", (unsigned)(r->port ? r->port : port));
    bool v6 = str_find_char(r->host, ':') != STR_NPOS;

    labels_builder_reset(&b, (struct labels){ 0 });
    labels_builder_set(&b, STR("__address__"),
                       arena_printf(&m->arena, "%s%.*s%s:%.*s", v6 ? "[" : "", STRF(r->host),
                                    v6 ? "]" : "", STRF(number)));
    labels_builder_set(&b, STR("__meta_dns_name"), name);
    struct str dotted = arena_printf(&m->arena, "%.*s.", STRF(r->host));
    if (str_eq_nocase(type, STR("SRV"))) {
        labels_builder_set(&b, STR("__meta_dns_srv_record_target"), dotted);
        labels_builder_set(&b, STR("__meta_dns_srv_record_port"), number);
    } else if (str_eq_nocase(type, STR("MX"))) {
        labels_builder_set(&b, STR("__meta_dns_mx_record_target"), dotted);
    } else if (str_eq_nocase(type, STR("NS"))) {
        labels_builder_set(&b, STR("__meta_dns_ns_record_target"), dotted);
    }
    *vec_push_in(&m->arena, &m->targets) = labels_copy(&m->arena, labels_builder_view(&b));
}

static bool refresh_dns(struct provider *p, const struct discover_metrics *metrics, struct made *m,
                        struct err *e)
{
    const struct conf_dns_sd *c = p->conf;

    for (size_t i = 0; i < c->names.n; i++) {
        struct dns_record *records;
        size_t n;
        metric_add(metrics->dns_lookups, 1);
        if (!dns_lookup(&m->arena, c->names.v[i], c->type, &records, &n, e)) {
            metric_add(metrics->dns_failures, 1);
            return false;
        }
        for (size_t k = 0; k < n; k++)
            dns_target(m, c->names.v[i], c->type, &records[k], c->port);
    }
    return true;
}

/* ---- any of them ---- */

const char *provider_mechanism(enum provider_kind k)
{
    static const char *const names[] = { "static", "file", "http", "dns" };

    return names[k];
}

bool provider_refresh(struct provider *p, struct http_client *client,
                      const struct discover_metrics *metrics, struct made *m, struct err *e)
{
    switch (p->kind) {
    case PROVIDER_STATIC:
        groups_add(m, &((const struct conf_sd *)p->conf)->static_configs, (struct label){ 0 });
        return true;
    case PROVIDER_FILE:
        return refresh_files(p, metrics, m);
    case PROVIDER_HTTP:
        if (refresh_http(p, client, m, e))
            return true;
        metric_add(metrics->http_failures, 1);
        return false;
    case PROVIDER_DNS:
        return refresh_dns(p, metrics, m, e);
    }
    return true;
}
