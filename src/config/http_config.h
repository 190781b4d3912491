/*
 * http_config.h - how an outgoing HTTP call authenticates, as every native configuration writes it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/schema.h"

struct conf_basic_auth {
    struct str username, username_file, password, password_file;
};

struct conf_authorization {
    struct str type, credentials, credentials_file;
};

struct conf_tls {
    struct str ca, cert, key, ca_file, cert_file, key_file, server_name;
    bool insecure_skip_verify;
    struct str min_version, max_version; // TLS10 … TLS13
};

struct conf_proxy {
    struct str proxy_url, no_proxy;
    bool proxy_from_environment;
    struct conf_multimap proxy_connect_header;
};

struct conf_oauth2 {
    struct str client_id, client_secret, client_secret_file, grant_type, token_url;
    struct str client_certificate_key_id, client_certificate_key, client_certificate_key_file,
        signature_algorithm, iss, audience;
    const struct yaml_node *claims;
    struct conf_strs scopes;
    struct conf_map endpoint_params;
    struct conf_tls tls;
    struct conf_proxy proxy;
};

struct conf_http {
    struct conf_basic_auth *basic_auth;
    struct conf_authorization *authorization;
    struct conf_oauth2 *oauth2;
    struct str bearer_token, bearer_token_file;
    struct conf_tls tls;
    bool follow_redirects, enable_http2;
    struct conf_proxy proxy;
    const struct yaml_node *http_headers; // name → {values, secrets, files}
};

extern const struct conf_type conf_http_type, conf_tls_type;
// Upstream's rules on what may stand together. Paths stay as written.
MUST_CHECK bool conf_http_check(const struct conf_http *c, const struct yaml_node *node,
                                struct err *e);
// Files named in it, resolved against dir: visited so that `check config` can look for them.
void conf_http_each_file(const struct conf_http *c,
                         void (*visit)(void *ctx, const char *what, struct str path), void *ctx);
