/*
 * web_config.c - see web_config.h. Source: prometheus/exporter-toolkit docs/web-configuration.md.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/web_config.h"

#include <openssl/tls1.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/yaml.h"
#include "net/http_parser.h"
#include "net/tls.h"
#include "net/web_config_priv.h"

enum { FILE_MAX = 1 << 20 };

static const struct {
    const char *go, *openssl;
} ciphers[] = {
    { "TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA" },
    { "TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA" },
    { "TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256" },
    { "TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256" },
    { "TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA" },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256" },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384" },
    { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305" },
    { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305" },
    { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA" },
    { "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA" },
    { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256" },
    { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256" },
    { "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384" },
    { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305" },
    { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305" },
    { "TLS_AES_128_GCM_SHA256", "" }, // TLS 1.3: always on, as in Go
    { "TLS_AES_256_GCM_SHA384", "" },
    { "TLS_CHACHA20_POLY1305_SHA256", "" },
};

static const struct {
    const char *go, *openssl;
} curves[] = {
    { "CurveP256", "P-256" },
    { "CurveP384", "P-384" },
    { "CurveP521", "P-521" },
    { "X25519", "X25519" },
};

static const struct {
    const char *name;
    int version;
} versions[] = {
    { "TLS13", TLS1_3_VERSION },
    { "TLS12", TLS1_2_VERSION },
    { "TLS11", TLS1_1_VERSION },
    { "TLS10", TLS1_VERSION },
};

static const struct {
    const char *name;
    enum tls_client_auth auth;
} client_auths[] = {
    { "", TLS_NO_CLIENT_CERT },
    { "NoClientCert", TLS_NO_CLIENT_CERT },
    { "RequestClientCert", TLS_REQUEST_CLIENT_CERT },
    { "RequireAnyClientCert", TLS_REQUIRE_ANY_CLIENT_CERT },
    { "RequireClientCert", TLS_REQUIRE_ANY_CLIENT_CERT }, // the old name
    { "VerifyClientCertIfGiven", TLS_VERIFY_CLIENT_CERT_IF_GIVEN },
    { "RequireAndVerifyClientCert", TLS_REQUIRE_AND_VERIFY_CLIENT_CERT },
};

static const struct {
    const char *name;
    const char *values[2]; // NULL: any
} extra_headers[] = {
    { "Strict-Transport-Security", { NULL } },       { "X-Content-Type-Options", { "nosniff" } },
    { "X-Frame-Options", { "deny", "sameorigin" } }, { "X-XSS-Protection", { NULL } },
    { "Content-Security-Policy", { NULL } },
};

struct reading {
    struct web_config_counted *w;
    struct arena *arena;
    struct str dir; // of the file, with its slash
    bool has_tls;
    struct tls_server_options tls;
    VEC(struct str) sans;
};

static bool bad(const struct yaml_node *n, struct err *e, const char *fmt, struct str v)
{
    OWNED(buf_fini) struct buf text = { 0 };

    for (; *fmt; fmt++) {
        if (*fmt == '%')
            buf_str(&text, v);
        else
            buf_char(&text, *fmt);
    }
    return err_at(e, n->pos, ERR_INVALID, "%u:%u: %s", n->pos.line, n->pos.col, buf_cstr(&text));
}

// One value; null leaves *out as it is.
static bool scalar(const struct yaml_node *n, struct str *out, struct err *e)
{
    if (yaml_is_null(n))
        return true;
    if (n->kind != YAML_SCALAR)
        return bad(n, e, "expected text", STR(""));
    *out = n->text;
    return true;
}

static bool boolean(const struct yaml_node *n, bool *out, struct err *e)
{
    return yaml_is_null(n) || yaml_to_bool(n, out) || bad(n, e, "expected true or false", STR(""));
}

static bool sequence(const struct yaml_node *n, struct err *e)
{
    return yaml_is_null(n) || n->kind == YAML_SEQUENCE || bad(n, e, "expected a list", STR(""));
}

// A path below the folder of the file, unless it is absolute; remembered to notice changes.
static bool path_value(struct reading *r, const struct yaml_node *n, const char **out,
                       struct err *e)
{
    struct str s = STR("");

    if (!scalar(n, &s, e))
        return false;
    if (!s.n)
        return true;
    *out = s.p[0] == '/'
               ? arena_cstr(r->arena, s)
               : arena_cstr(r->arena, arena_printf(r->arena, "%.*s%.*s", STRF(r->dir), STRF(s)));
    *vec_push_in(r->arena, &r->w->files) = *out;
    return true;
}

static bool version_value(const struct yaml_node *n, int *out, struct err *e)
{
    struct str s = STR("");

    if (!scalar(n, &s, e))
        return false;
    for (size_t i = 0; s.n && i < ARRAY_LEN(versions); i++) {
        if (str_eq_c(s, versions[i].name)) {
            *out = versions[i].version;
            return true;
        }
    }
    return !s.n || bad(n, e, "unknown TLS version: %", s);
}

static bool client_auth_value(const struct yaml_node *n, enum tls_client_auth *out, struct err *e)
{
    struct str s = STR("");

    if (!scalar(n, &s, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(client_auths); i++) {
        if (str_eq_c(s, client_auths[i].name)) {
            *out = client_auths[i].auth;
            return true;
        }
    }
    return bad(n, e, "Invalid ClientAuth: %", s);
}

// A list of names of Go as one of OpenSSL.
static bool cipher_list(struct reading *r, const struct yaml_node *n, struct err *e)
{
    OWNED(buf_fini) struct buf list = { 0 };

    if (!sequence(n, e))
        return false;
    for (size_t i = 0; !yaml_is_null(n) && i < n->n; i++) {
        struct str name = STR("");
        size_t at = 0;

        if (!scalar(n->items[i], &name, e))
            return false;
        while (at < ARRAY_LEN(ciphers) && !str_eq_c(name, ciphers[at].go))
            at++;
        if (at == ARRAY_LEN(ciphers))
            return bad(n->items[i], e, "unknown cipher: %", name);
        if (*ciphers[at].openssl)
            buf_printf(&list, "%s%s", list.n ? ":" : "", ciphers[at].openssl);
    }
    if (list.n)
        r->tls.ciphers = arena_cstr(r->arena, buf_view(&list));
    return true;
}

static bool curve_list(struct reading *r, const struct yaml_node *n, struct err *e)
{
    OWNED(buf_fini) struct buf list = { 0 };

    if (!sequence(n, e))
        return false;
    for (size_t i = 0; !yaml_is_null(n) && i < n->n; i++) {
        struct str name = STR("");
        size_t at = 0;

        if (!scalar(n->items[i], &name, e))
            return false;
        while (at < ARRAY_LEN(curves) && !str_eq_c(name, curves[at].go))
            at++;
        if (at == ARRAY_LEN(curves))
            return bad(n->items[i], e, "unknown curve: %", name);
        buf_printf(&list, "%s%s", list.n ? ":" : "", curves[at].openssl);
    }
    if (list.n)
        r->tls.curves = arena_cstr(r->arena, buf_view(&list));
    return true;
}

static bool san_list(struct reading *r, const struct yaml_node *n, struct err *e)
{
    if (!sequence(n, e))
        return false;
    for (size_t i = 0; !yaml_is_null(n) && i < n->n; i++) {
        struct str name = STR("");

        if (!scalar(n->items[i], &name, e))
            return false;
        *vec_push_in(r->arena, &r->sans) = name;
    }
    return true;
}

static bool tls_key(struct reading *r, struct str key, const struct yaml_node *v, bool *known,
                    struct err *e)
{
    struct tls_server_options *t = &r->tls;

    *known = true;
    if (str_eq(key, STR("cert_file")))
        return path_value(r, v, &t->cert_file, e);
    if (str_eq(key, STR("key_file")))
        return path_value(r, v, &t->key_file, e);
    if (str_eq(key, STR("client_ca_file")))
        return path_value(r, v, &t->client_ca_file, e);
    if (str_eq(key, STR("cert")))
        return scalar(v, &t->cert, e);
    if (str_eq(key, STR("key")))
        return scalar(v, &t->key, e);
    if (str_eq(key, STR("client_ca")) || str_eq(key, STR("client_ca_cert")))
        return scalar(v, &t->client_ca, e);
    if (str_eq(key, STR("client_auth_type")))
        return client_auth_value(v, &t->client_auth, e);
    if (str_eq(key, STR("client_allowed_sans")))
        return san_list(r, v, e);
    if (str_eq(key, STR("min_version")))
        return version_value(v, &t->min_version, e);
    if (str_eq(key, STR("max_version")))
        return version_value(v, &t->max_version, e);
    if (str_eq(key, STR("cipher_suites")))
        return cipher_list(r, v, e);
    if (str_eq(key, STR("curve_preferences")))
        return curve_list(r, v, e);
    if (str_eq(key, STR("prefer_server_cipher_suites")))
        return boolean(v, &t->prefer_server_ciphers, e);
    *known = false;
    return true;
}

static bool check_tls(const struct yaml_node *n, const struct tls_server_options *t, struct err *e)
{
    bool cert = t->cert_file || t->cert.n, key = t->key_file || t->key.n;

    if (!cert && !key)
        return bad(n, e, "missing one of cert or cert_file and key or key_file", STR(""));
    if (!cert)
        return bad(n, e, "missing one of cert or cert_file", STR(""));
    if (!key)
        return bad(n, e, "missing one of key or key_file", STR(""));
    if (t->cert_file && t->cert.n)
        return bad(n, e, "cert and cert_file are both given", STR(""));
    if (t->key_file && t->key.n)
        return bad(n, e, "key and key_file are both given", STR(""));
    if (t->client_ca_file && t->client_ca.n)
        return bad(n, e, "client_ca and client_ca_file are both given", STR(""));
    if ((t->client_ca_file || t->client_ca.n) && t->client_auth == TLS_NO_CLIENT_CERT)
        return bad(n, e, "Client CA's have been configured without a Client Auth Policy", STR(""));
    return true;
}

static bool mapping(const struct yaml_node *n, struct err *e)
{
    return n->kind == YAML_MAPPING || bad(n, e, "expected a mapping", STR(""));
}

static bool read_tls(struct reading *r, const struct yaml_node *n, struct err *e)
{
    if (yaml_is_null(n))
        return true;
    if (!mapping(n, e))
        return false;
    for (size_t i = 0; i < n->n; i++) {
        bool known;

        if (!tls_key(r, n->pairs[i].key->text, n->pairs[i].value, &known, e))
            return false;
        if (!known)
            return bad(n->pairs[i].key, e, "field % not found in tls_server_config",
                       n->pairs[i].key->text);
    }
    r->has_tls = n->n > 0;
    r->tls.client_allowed_sans = r->sans.v;
    r->tls.client_allowed_san_count = r->sans.n;
    return !r->has_tls || check_tls(n, &r->tls, e);
}

static bool check_header(const struct yaml_pair *p, struct str value, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(extra_headers); i++) {
        const char *const *want = extra_headers[i].values;

        if (!str_eq_nocase(p->key->text, str_c(extra_headers[i].name)))
            continue;
        if (!http_is_field_value(value))
            return bad(p->value, e, "value of header % has control characters", p->key->text);
        if (!value.n || !want[0] || str_eq_c(value, want[0]) ||
            (want[1] && str_eq_c(value, want[1])))
            return true;
        return bad(p->value, e, "invalid value for %", p->key->text);
    }
    return bad(p->key, e, "HTTP header \"%\" can not be configured", p->key->text);
}

static bool read_headers(struct reading *r, const struct yaml_node *n, struct err *e)
{
    VEC(struct http_header) headers = { 0 };

    if (yaml_is_null(n))
        return true;
    if (!mapping(n, e))
        return false;
    for (size_t i = 0; i < n->n; i++) {
        struct str value = STR("");

        if (!scalar(n->pairs[i].value, &value, e) || !check_header(&n->pairs[i], value, e))
            return false;
        if (value.n)
            *vec_push_in(r->arena, &headers) = (struct http_header){ n->pairs[i].key->text, value };
    }
    r->w->pub.headers = headers.v;
    r->w->pub.header_count = headers.n;
    return true;
}

static bool read_http(struct reading *r, const struct yaml_node *n, struct err *e)
{
    bool http2 = true;

    if (yaml_is_null(n))
        return true;
    if (!mapping(n, e))
        return false;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_pair *p = &n->pairs[i];
        bool ok;

        if (str_eq(p->key->text, STR("http2")))
            ok = boolean(p->value, &http2, e);
        else if (str_eq(p->key->text, STR("headers")))
            ok = read_headers(r, p->value, e);
        else
            ok = bad(p->key, e, "field % not found in http_server_config", p->key->text);
        if (!ok)
            return false;
    }
    r->tls.no_http2 = !http2;
    return true;
}

static bool read_users(struct reading *r, const struct yaml_node *n, struct err *e)
{
    VEC(struct web_user) users = { 0 };

    if (yaml_is_null(n))
        return true;
    if (!mapping(n, e))
        return false;
    for (size_t i = 0; i < n->n; i++) {
        struct str hash = STR("");

        if (!scalar(n->pairs[i].value, &hash, e))
            return false;
        bool bcrypt = hash.n == 60 && str_starts(hash, STR("$2")) && hash.p[3] == '$';
        if (!bcrypt && !str_starts(hash, STR("$y$")))
            return bad(n->pairs[i].value, e,
                       "basic_auth_users: expected a bcrypt hash such as $2y$10$..., for user %",
                       n->pairs[i].key->text);
        *vec_push_in(r->arena,
                     &users) = (struct web_user){ arena_str(r->arena, n->pairs[i].key->text),
                                                  arena_str(r->arena, hash) };
    }
    r->w->pub.users = users.v;
    r->w->pub.user_count = users.n;
    return true;
}

static bool read_root(struct reading *r, const struct yaml_node *n, struct err *e)
{
    if (yaml_is_null(n))
        return true;
    if (!mapping(n, e))
        return false;
    for (size_t i = 0; i < n->n; i++) {
        struct str key = n->pairs[i].key->text;
        const struct yaml_node *v = n->pairs[i].value;
        bool ok;

        if (str_eq(key, STR("tls_server_config")))
            ok = read_tls(r, v, e);
        else if (str_eq(key, STR("http_server_config")))
            ok = read_http(r, v, e);
        else if (str_eq(key, STR("basic_auth_users")))
            ok = read_users(r, v, e);
        else
            ok = bad(n->pairs[i].key, e, "field % not found in the web config", key);
        if (!ok)
            return false;
    }
    return true;
}

static bool load(struct web_config_counted *w, const char *path, struct err *e)
{
    struct str name = str_c(path), text;
    size_t slash = str_rfind_char(name, '/');
    struct reading r = { .w = w, .arena = &w->arena };
    const struct yaml_node *root;

    r.dir = slash == STR_NPOS ? STR("") : str_sub(name, 0, slash + 1);
    *vec_push_in(r.arena, &w->files) = arena_cstr(r.arena, name);
    if (!file_read(r.arena, path, FILE_MAX, &text, e))
        return false;
    if (!yaml_parse(r.arena, text, &root, e) || !read_root(&r, root, e))
        return err_wrap(e, "%s", path);
    if (r.has_tls && !tls_server_new(&w->pub.tls, &r.tls, e))
        return err_wrap(e, "%s: tls_server_config", path);
    return true;
}

bool web_config_load(struct web_config **out, const char *path, struct err *e)
{
    struct web_config_counted *w = xcalloc(1, sizeof *w);

    atomic_init(&w->refs, 1);
    if (!load(w, path, e)) {
        web_config_put(&w->pub);
        return false;
    }
    *out = &w->pub;
    return true;
}

static struct web_config_counted *counted(struct web_config *w)
{
    return CONTAINER_OF(w, struct web_config_counted, pub);
}

struct web_config *web_config_get(struct web_config *w)
{
    atomic_fetch_add_explicit(&counted(w)->refs, 1, memory_order_relaxed);
    return w;
}

void web_config_put(struct web_config *w)
{
    // release: others are done with it; acquire: before it is taken apart
    if (!w || atomic_fetch_sub_explicit(&counted(w)->refs, 1, memory_order_acq_rel) > 1)
        return;
    http_tls_free(w->tls);
    arena_fini(&counted(w)->arena);
    xfree(counted(w));
}
