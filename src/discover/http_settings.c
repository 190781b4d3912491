// http_settings.c - from configured HTTP client settings to headers and TLS of a call.
// SPDX-License-Identifier: Apache-2.0
#include "discover/http_settings.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/vec.h"
#include "codec/base64.h"

enum { SECRET_BYTES_MAX = 1 << 20 };

struct maker {
    struct arena *arena;
    VEC(struct http_header) headers;
    struct err *e;
};

static void header_add(struct maker *m, struct str name, struct str value)
{
    *vec_push_in(m->arena, &m->headers) = (struct http_header){ name, value };
}

bool discover_secret(struct arena *a, struct str inline_text, struct str file, struct str *out,
                     struct err *e)
{
    *out = inline_text;
    if (!file.n)
        return true;
    if (!file_read(a, arena_cstr(a, file), SECRET_BYTES_MAX, out, e))
        return false;
    *out = str_trim(*out);
    return true;
}

static bool secret_of(struct maker *m, struct str inline_text, struct str file, struct str *out)
{
    return discover_secret(m->arena, inline_text, file, out, m->e);
}

static bool add_basic(struct maker *m, const struct conf_basic_auth *b)
{
    OWNED(buf_fini) struct buf plain = { 0 }, coded = { 0 };
    struct str user, password;

    if (!secret_of(m, b->username, b->username_file, &user) ||
        !secret_of(m, b->password, b->password_file, &password))
        return false;
    buf_str(&plain, user);
    buf_char(&plain, ':');
    buf_str(&plain, password);
    buf_lit(&coded, "Basic ");
    buf_base64(&coded, buf_view(&plain));
    header_add(m, STR("Authorization"), arena_str(m->arena, buf_view(&coded)));
    return true;
}

static bool add_authorization(struct maker *m, const struct conf_authorization *a)
{
    struct str credentials;

    if (!secret_of(m, a->credentials, a->credentials_file, &credentials))
        return false;
    header_add(m, STR("Authorization"),
               arena_printf(m->arena, "%.*s %.*s", STRF(a->type), STRF(credentials)));
    return true;
}

// http_headers: name → {values, secrets, files}
static bool add_headers(struct maker *m, const struct yaml_node *n)
{
    static const char *const kinds[] = { "values", "secrets", "files" };

    for (size_t i = 0; n && n->kind == YAML_MAPPING && i < n->n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            const struct yaml_node *list = yaml_get(n->pairs[i].value, str_c(kinds[k]));
            for (size_t j = 0; list && list->kind == YAML_SEQUENCE && j < list->n; j++) {
                struct str value, text = list->items[j]->text;
                if (!secret_of(m, text, k == 2 ? text : STR_NONE, &value))
                    return false;
                header_add(m, n->pairs[i].key->text, value);
            }
        }
    }
    return true;
}

static int tls_version(struct str s)
{
    return str_eq(s, STR("TLS10"))   ? 0x0301
           : str_eq(s, STR("TLS11")) ? 0x0302
           : str_eq(s, STR("TLS12")) ? 0x0303
           : str_eq(s, STR("TLS13")) ? 0x0304
                                     : 0;
}

bool discover_tls_make(const struct conf_tls *t, struct http_tls **out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct tls_client_options o = {
        .ca_file = t->ca_file.n ? arena_cstr(&a, t->ca_file) : NULL,
        .cert_file = t->cert_file.n ? arena_cstr(&a, t->cert_file) : NULL,
        .key_file = t->key_file.n ? arena_cstr(&a, t->key_file) : NULL,
        .server_name = t->server_name.n ? arena_cstr(&a, t->server_name) : NULL,
        .ca = t->ca,
        .cert = t->cert,
        .key = t->key,
        .insecure_skip_verify = t->insecure_skip_verify,
        .min_version = tls_version(t->min_version),
        .max_version = tls_version(t->max_version),
    };
    bool is_default = !o.ca_file && !o.cert_file && !o.key_file && !o.server_name && !o.ca.n &&
                      !o.cert.n && !o.insecure_skip_verify && !o.min_version && !o.max_version;

    return is_default || http_tls_new(out, &o, e);
}

uint64_t discover_tls_stamp(const struct conf_tls *t)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct str files[] = { t->ca_file, t->cert_file, t->key_file };
    uint64_t stamp = 0;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct stat st;
        if (!files[i].n || stat(arena_cstr(&a, files[i]), &st) != 0)
            continue;
        stamp = hash_u64(stamp ^ (uint64_t)st.st_size ^ (uint64_t)st.st_mtim.tv_nsec);
        stamp = hash_u64(stamp ^ (uint64_t)st.st_mtim.tv_sec ^ ((uint64_t)st.st_ino << 20));
    }
    return stamp;
}

static bool has_files(const struct yaml_node *http_headers)
{
    for (size_t i = 0; http_headers && http_headers->kind == YAML_MAPPING && i < http_headers->n;
         i++)
        if (!yaml_is_null(yaml_get(http_headers->pairs[i].value, STR("files"))))
            return true;
    return false;
}

static bool is_dynamic(const struct conf_http *c)
{
    const struct conf_basic_auth *b = c->basic_auth;

    return c->oauth2 || (b && (b->username_file.n || b->password_file.n)) ||
           (c->authorization && c->authorization->credentials_file.n) || has_files(c->http_headers);
}

static void add_proxy_headers(struct discover_http *out, const struct conf_multimap *m)
{
    VEC(struct http_header) all = { 0 };

    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->v[i].values.n; k++)
            *vec_push_in(&out->arena, &all) = (struct http_header){
                arena_str(&out->arena, m->v[i].key), arena_str(&out->arena, m->v[i].values.v[k])
            };
    out->proxy_headers = all.v;
    out->proxy_header_count = all.n;
}

bool discover_http_headers(const struct conf_http *c, struct arena *a, struct http_header **out,
                           size_t *n, struct err *e)
{
    struct maker m = { .arena = a, .e = e };

    if ((c->basic_auth && !add_basic(&m, c->basic_auth)) ||
        (c->authorization && !add_authorization(&m, c->authorization)) ||
        !add_headers(&m, c->http_headers))
        return false;
    *out = m.headers.v;
    *n = m.headers.n;
    return true;
}

bool discover_http_make(const struct conf_http *c, struct discover_http *out, struct err *e)
{
    OWNED(discover_http_fini) struct discover_http made = { .dynamic = is_dynamic(c) };

    if (!discover_tls_make(&c->tls, &made.tls, e))
        return false;
    if (!made.dynamic &&
        !discover_http_headers(c, &made.arena, &made.headers, &made.header_count, e))
        return false;
    add_proxy_headers(&made, &c->proxy.proxy_connect_header);
    made.no_redirects = !c->follow_redirects;
    *out = made;
    made = (struct discover_http){ 0 };
    return true;
}

void discover_http_fini(struct discover_http *h)
{
    http_tls_free(h->tls);
    arena_fini(&h->arena);
    *h = (struct discover_http){ 0 };
}
