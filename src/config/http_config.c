// http_config.c - tables and rules of HTTP client settings.
// SPDX-License-Identifier: Apache-2.0
#include "config/http_config.h"

static const struct conf_field basic_auth_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_basic_auth, m, #m, kind, flags, NULL)
    F(username, CONF_STR, CONF_OMIT),
    F(username_file, CONF_STR, CONF_OMIT),
    F(password, CONF_SECRET, CONF_OMIT),
    F(password_file, CONF_STR, CONF_OMIT),
#undef F
};
static const struct conf_type basic_auth_type = { "config.plain",
                                                  sizeof(struct conf_basic_auth),
                                                  basic_auth_fields,
                                                  ARRAY_LEN(basic_auth_fields),
                                                  NULL,
                                                  NULL };

static const struct conf_field authorization_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_authorization, m, #m, kind, flags, NULL)
    F(type, CONF_STR, CONF_OMIT),
    F(credentials, CONF_SECRET, CONF_OMIT),
    F(credentials_file, CONF_STR, CONF_OMIT),
#undef F
};
static const struct conf_type authorization_type = { "config.Authorization",
                                                     sizeof(struct conf_authorization),
                                                     authorization_fields,
                                                     ARRAY_LEN(authorization_fields),
                                                     NULL,
                                                     NULL };

static bool tls_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_tls *t = obj;
    struct str versions[] = { t->min_version, t->max_version };

    for (size_t i = 0; i < 2; i++)
        if (versions[i].n && !str_eq(versions[i], STR("TLS10")) &&
            !str_eq(versions[i], STR("TLS11")) && !str_eq(versions[i], STR("TLS12")) &&
            !str_eq(versions[i], STR("TLS13")))
            return conf_fail(e, n, "unknown TLS version: %.*s", STRF(versions[i]));
    if (t->ca.n && t->ca_file.n)
        return conf_fail(e, n, "at most one of ca, ca_file & ca_ref must be configured");
    if (t->cert.n && t->cert_file.n)
        return conf_fail(e, n, "at most one of cert, cert_file & cert_ref must be configured");
    if (t->key.n && t->key_file.n)
        return conf_fail(e, n, "at most one of key, key_file & key_ref must be configured");
    bool cert = t->cert.n || t->cert_file.n, key = t->key.n || t->key_file.n;
    if (cert && !key)
        return conf_fail(e, n,
                         "exactly one of key or key_file must be configured when a client "
                         "certificate is configured");
    if (key && !cert)
        return conf_fail(
            e, n,
            "exactly one of cert or cert_file must be configured when a client key is configured");
    return true;
}

static const struct conf_field tls_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_tls, m, #m, kind, flags, NULL)
    F(ca, CONF_STR, CONF_OMIT),          F(cert, CONF_STR, CONF_OMIT),
    F(key, CONF_SECRET, CONF_OMIT),      F(ca_file, CONF_STR, CONF_OMIT),
    F(cert_file, CONF_STR, CONF_OMIT),   F(key_file, CONF_STR, CONF_OMIT),
    F(server_name, CONF_STR, CONF_OMIT), F(insecure_skip_verify, CONF_BOOL, 0),
    F(min_version, CONF_STR, CONF_OMIT), F(max_version, CONF_STR, CONF_OMIT),
#undef F
};
const struct conf_type conf_tls_type = { "config.plain", sizeof(struct conf_tls),
                                         tls_fields,     ARRAY_LEN(tls_fields),
                                         NULL,           tls_check };

static const struct conf_field proxy_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_proxy, m, #m, kind, flags, NULL)
    F(proxy_url, CONF_URL, CONF_OMIT),
    F(no_proxy, CONF_STR, CONF_OMIT),
    F(proxy_from_environment, CONF_BOOL, CONF_OMIT),
    F(proxy_connect_header, CONF_MULTIMAP, CONF_OMIT),
#undef F
};

static bool proxy_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct conf_proxy *p = obj;

    if (p->proxy_connect_header.n && !p->proxy_url.n && !p->proxy_from_environment)
        return conf_fail(e, n,
                         "if proxy_connect_header is configured, proxy_url or "
                         "proxy_from_environment must also be configured");
    if (p->proxy_from_environment && p->proxy_url.n)
        return conf_fail(
            e, n, "if proxy_from_environment is configured, proxy_url must not be configured");
    if (p->proxy_from_environment && p->no_proxy.n)
        return conf_fail(
            e, n, "if proxy_from_environment is configured, no_proxy must not be configured");
    if (!p->proxy_url.n && p->no_proxy.n)
        return conf_fail(e, n, "if no_proxy is configured, proxy_url must also be configured");
    return true;
}

static const struct conf_type proxy_type = { "config.plain", sizeof(struct conf_proxy),
                                             proxy_fields,   ARRAY_LEN(proxy_fields),
                                             NULL,           proxy_check };

static const struct conf_field oauth2_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct conf_oauth2, m, #m, kind, flags, NULL)
    F(client_id, CONF_STR, 0),
    F(client_secret, CONF_SECRET, 0),
    F(client_secret_file, CONF_STR, CONF_OMIT),
    F(client_certificate_key_id, CONF_STR, CONF_OMIT),
    F(client_certificate_key, CONF_SECRET, CONF_OMIT),
    F(client_certificate_key_file, CONF_STR, CONF_OMIT),
    F(grant_type, CONF_STR, CONF_OMIT),
    F(signature_algorithm, CONF_STR, CONF_OMIT),
    F(iss, CONF_STR, CONF_OMIT),
    F(audience, CONF_STR, CONF_OMIT),
    F(claims, CONF_NODE, CONF_OMIT),
    F(scopes, CONF_STRS, CONF_OMIT),
    F(token_url, CONF_STR, 0),
    F(endpoint_params, CONF_MAP, CONF_OMIT),
#undef F
    CONF_FIELD(struct conf_oauth2, tls, "tls_config", CONF_STRUCT, CONF_OMIT, &conf_tls_type),
    CONF_FIELD(struct conf_oauth2, proxy, "", CONF_INLINE, 0, &proxy_type),
};
static const struct conf_type oauth2_type = { "config.plain", sizeof(struct conf_oauth2),
                                              oauth2_fields,  ARRAY_LEN(oauth2_fields),
                                              NULL,           NULL };

static bool check_oauth2(const struct conf_oauth2 *o, const struct yaml_node *n, struct err *e)
{
    bool jwt = str_eq(o->grant_type, STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));

    if (!o->client_id.n)
        return conf_fail(e, n, "oauth2 client_id must be configured");
    if (!o->token_url.n)
        return conf_fail(e, n, "oauth2 token_url must be configured");
    if (o->client_secret.n && o->client_secret_file.n)
        return conf_fail(
            e, n,
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
            "configured using grant-type=client_credentials");
    if (jwt && !o->client_certificate_key.n && !o->client_certificate_key_file.n)
        return conf_fail(e, n,
                         "oauth2 client_certificate_key, client_certificate_key_file or "
                         "client_certificate_key_ref must be configured using "
                         "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
    return true;
}

static bool check_authorization(const struct conf_authorization *a, const struct yaml_node *n,
                                struct err *e)
{
    if (a->credentials.n && a->credentials_file.n)
        return conf_fail(
            e, n, "at most one of authorization credentials & credentials_file must be configured");
    if (str_eq_nocase(str_trim(a->type), STR("basic")))
        return conf_fail(
            e, n, "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    return true;
}

bool conf_http_check(const struct conf_http *c, const struct yaml_node *n, struct err *e)
{
    const struct conf_basic_auth *b = c->basic_auth;

    if (c->bearer_token.n && c->bearer_token_file.n)
        return conf_fail(e, n,
                         "at most one of bearer_token & bearer_token_file must be configured");
    bool bearer = c->bearer_token.n || c->bearer_token_file.n;
    if ((b || c->oauth2) && bearer)
        return conf_fail(e, n,
                         "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must "
                         "be configured");
    if (b && b->username.n && b->username_file.n)
        return conf_fail(e, n,
                         "at most one of basic_auth username & username_file must be configured");
    if (b && b->password.n && b->password_file.n)
        return conf_fail(e, n,
                         "at most one of basic_auth password & password_file must be configured");
    if (c->authorization && bearer)
        return conf_fail(e, n,
                         "authorization is not compatible with bearer_token & bearer_token_file");
    if (c->authorization && !check_authorization(c->authorization, n, e))
        return false;
    if (c->authorization && (b || c->oauth2))
        return conf_fail(e, n,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
    if (c->oauth2 && b)
        return conf_fail(e, n,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
    return !c->oauth2 || check_oauth2(c->oauth2, n, e);
}

/*
 * Also moves the old bearer_token keys into authorization and fills its type, as upstream does.
 */
static bool http_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct conf_http *c = obj;

    if (!conf_http_check(c, n, e))
        return false;
    if (c->bearer_token.n || c->bearer_token_file.n) {
        c->authorization = arena_new(r->arena, struct conf_authorization);
        *c->authorization = (struct conf_authorization){ STR("Bearer"), c->bearer_token,
                                                         c->bearer_token_file };
        c->bearer_token = c->bearer_token_file = STR_NONE;
    }
    if (c->authorization && !str_trim(c->authorization->type).n)
        c->authorization->type = STR("Bearer");
    return true;
}

static const struct conf_http http_defaults = { .follow_redirects = true, .enable_http2 = true };

static const struct conf_field http_fields[] = {
#define F(m, kind, flags, sub) CONF_FIELD(struct conf_http, m, #m, kind, flags, sub)
    F(basic_auth, CONF_PTR, CONF_OMIT, &basic_auth_type),
    F(authorization, CONF_PTR, CONF_OMIT, &authorization_type),
    F(oauth2, CONF_PTR, CONF_OMIT, &oauth2_type),
    F(bearer_token, CONF_SECRET, CONF_OMIT, NULL),
    F(bearer_token_file, CONF_STR, CONF_OMIT, NULL),
    CONF_FIELD(struct conf_http, tls, "tls_config", CONF_STRUCT, CONF_OMIT, &conf_tls_type),
    F(follow_redirects, CONF_BOOL, 0, NULL),
    F(enable_http2, CONF_BOOL, 0, NULL),
    CONF_FIELD(struct conf_http, proxy, "", CONF_INLINE, 0, &proxy_type),
    F(http_headers, CONF_NODE, CONF_OMIT, NULL),
#undef F
};
const struct conf_type conf_http_type = { "config.plain", sizeof(struct conf_http),
                                          http_fields,    ARRAY_LEN(http_fields),
                                          &http_defaults, http_check };

static void visit_tls(const struct conf_tls *t,
                      void (*visit)(void *ctx, const char *what, struct str path), void *ctx)
{
    if (t->ca_file.n)
        visit(ctx, "ca_file", t->ca_file);
    if (t->cert_file.n)
        visit(ctx, "client cert file", t->cert_file);
    if (t->key_file.n)
        visit(ctx, "client key file", t->key_file);
}

void conf_http_each_file(const struct conf_http *c,
                         void (*visit)(void *ctx, const char *what, struct str path), void *ctx)
{
    if (c->authorization && c->authorization->credentials_file.n)
        visit(ctx, "authorization credentials or bearer token file",
              c->authorization->credentials_file);
    if (c->basic_auth && c->basic_auth->password_file.n)
        visit(ctx, "basic_auth password file", c->basic_auth->password_file);
    visit_tls(&c->tls, visit, ctx);
}
