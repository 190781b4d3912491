/*
 * tools_http.h - HTTP calls of the commands: one client, settings from an HTTP client config file.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "discover/discover.h"

struct tools_http {
    struct arena arena; // texts of answers, too
    struct http_client *client;
    struct conf_http conf;
    struct discover_http settings;
    struct discover_token *token;
};

// config_file: a http_config as in prometheus.yml; empty: none.
MUST_CHECK bool tools_http_open(struct tools_http *h, struct str config_file, struct err *e);
// Safe on a half-opened one.
void tools_http_close(struct tools_http *h);
OWN_DEFINE_FINI(struct tools_http, tools_http_close)

struct tools_call {
    struct str method, url, body;
    const struct http_header *headers; // besides those of the settings
    size_t header_count;
    int64_t timeout_ms;
};
struct tools_answer {
    int status;
    struct str body;
    struct str reason;
};
// One call, waited for; the answer's texts live in h->arena. Any status is an answer.
MUST_CHECK bool tools_http_call(struct tools_http *h, const struct tools_call *c,
                                struct tools_answer *out, struct err *e);
// base + path with one slash between; "http://" is added to a base without a scheme.
struct str tools_url(struct arena *a, struct str base, const char *path);
// "k=v" words as headers.
struct http_header *tools_headers(struct arena *a, const struct str *words, size_t n);
