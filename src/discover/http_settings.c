// http_settings.c - from configured HTTP client settings to headers and TLS of a call.
// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "discover/discover.h"

enum { SECRET_BYTES_MAX = 1 << 20 };

struct maker {
    struct discover_http *out;
    VEC(struct http_header) headers;
    struct err *e;
};

static void header_add(struct maker *m, struct str name, struct str value)
{
    *vec_push_in(&m->out->arena, &m->headers) = (struct http_header){ name, value };
}

// The secret itself or the content of its file, without the line end.
static bool secret_of(struct maker *m, struct str inline_text, struct str file, struct str *out)
{
    *out = inline_text;
    if (!file.n)
        return true;
    if (!file_read(&m->out->arena, arena_cstr(&m->out->arena, file), SECRET_BYTES_MAX, out, m->e))
        return false;
    *out = str_trim(*out);
    return true;
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
    header_add(m, STR("Authorization"), arena_str(&m->out->arena, buf_view(&coded)));
    return true;
}

static bool add_authorization(struct maker *m, const struct conf_authorization *a)
{
    struct str credentials;

    if (!secret_of(m, a->credentials, a->credentials_file, &credentials))
        return false;
    header_add(m, STR("Authorization"),
               arena_printf(&m->out->arena, "%.*s %.*s", STRF(a->type), STRF(credentials)));
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

static bool make_tls(struct maker *m, const struct conf_tls *t)
{
    struct arena *a = &m->out->arena;
    struct tls_client_options o = {
        .ca_file = t->ca_file.n ? arena_cstr(a, t->ca_file) : NULL,
        .cert_file = t->cert_file.n ? arena_cstr(a, t->cert_file) : NULL,
        .key_file = t->key_file.n ? arena_cstr(a, t->key_file) : NULL,
        .server_name = t->server_name.n ? arena_cstr(a, t->server_name) : NULL,
        .ca = t->ca,
        .cert = t->cert,
        .key = t->key,
        .insecure_skip_verify = t->insecure_skip_verify,
        .min_version = tls_version(t->min_version),
        .max_version = tls_version(t->max_version),
    };
    bool is_default = !o.ca_file && !o.cert_file && !o.key_file && !o.server_name && !o.ca.n &&
                      !o.cert.n && !o.insecure_skip_verify && !o.min_version && !o.max_version;

    return is_default || http_tls_new(&m->out->tls, &o, m->e);
}

bool discover_http_make(const struct conf_http *c, struct discover_http *out, struct err *e)
{
    OWNED(discover_http_fini) struct discover_http made = { 0 };
    struct maker m = { .out = &made, .e = e };

    if (c->oauth2)
        return err_set(e, ERR_UNSUPPORTED, "oauth2 is not supported here yet");
    if ((c->basic_auth && !add_basic(&m, c->basic_auth)) ||
        (c->authorization && !add_authorization(&m, c->authorization)) ||
        !add_headers(&m, c->http_headers) || !make_tls(&m, &c->tls))
        return false;
    made.headers = m.headers.v;
    made.header_count = m.headers.n;
    made.proxy_url = arena_str(&made.arena, c->proxy.proxy_url);
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
