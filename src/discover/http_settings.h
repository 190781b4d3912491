/*
 * http_settings.h - what the HTTP client settings of a configuration mean for a call.
 *
 * Secrets in files and OAuth 2 tokens change while the configuration does not: such
 * settings are "dynamic", and their headers are asked for before each call.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/http_config.h"
#include "net/http_client.h"

struct discover_http {
    struct arena arena;
    struct http_tls *tls;        // NULL: defaults
    struct http_header *headers; // of authentication and http_headers; none when dynamic
    size_t header_count;
    struct http_header *proxy_headers;
    size_t proxy_header_count;
    bool no_redirects;
    bool dynamic; // see discover_http_authorize()
};
// Reads the certificates. ERR_IO, ERR_INVALID.
MUST_CHECK bool discover_http_make(const struct conf_http *c, struct discover_http *out,
                                   struct err *e);
void discover_http_fini(struct discover_http *h);
OWN_DEFINE_FINI(struct discover_http, discover_http_fini)

MUST_CHECK bool discover_tls_make(const struct conf_tls *t, struct http_tls **out, struct err *e);
// Changes when the files do.
uint64_t discover_tls_stamp(const struct conf_tls *t);
// The secret itself, or the content of its file without white space around.
MUST_CHECK bool discover_secret(struct arena *a, struct str inline_text, struct str file,
                                struct str *out, struct err *e);
// Headers of authentication but for OAuth 2, and http_headers. Reads files. In the arena.
MUST_CHECK bool discover_http_headers(const struct conf_http *c, struct arena *a,
                                      struct http_header **out, size_t *n, struct err *e);

/* ---- OAuth 2, client credentials: oauth2.c ---- */

struct discover_token; // the token in use; thread-safe
struct discover_token *discover_token_new(void);
void discover_token_free(struct discover_token *t); // NULL is fine
OWN_DEFINE(struct discover_token *, discover_token_free)

/*
 * All headers of dynamic settings, in the arena: as discover_http_headers(), and with oauth2 (token
 * not NULL) its Authorization, for which the token is fetched when there is none or it is about to
 * end. Blocks for at most timeout_ms per try.
 */
struct discover_authorize {
    struct http_client *client;
    struct discover_token *token;
    int64_t timeout_ms;
};
MUST_CHECK bool discover_http_authorize(const struct conf_http *c,
                                        const struct discover_authorize *o, struct arena *a,
                                        struct http_header **out, size_t *n, struct err *e);

/* ---- proxies: proxy.c ---- */

/*
 * The proxy for a URL, in the arena; empty: none. With proxy_from_environment: of HTTP_PROXY,
 * HTTPS_PROXY and NO_PROXY. With no_proxy: none for its hosts and for this one.
 */
struct str discover_proxy_of(const struct conf_proxy *c, struct str url, struct arena *a);
