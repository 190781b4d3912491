/*
 * blackbox_http_priv.h - a probe of HTTP under way: between the requests and their verdict.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/blackbox_priv.h"
#include "net/http_parser.h"
#include "net/url.h"

enum http_phase {
    HTTP_RESOLVE,
    HTTP_CONNECT,
    HTTP_TLS,
    HTTP_PROCESSING,
    HTTP_TRANSFER,
    HTTP_PHASES
};

struct http_probe {
    struct probe *p;
    const struct blackbox_http *m;
    struct http_tls *tls; // owned, made when first wanted
    struct dial_address first;
    struct str method, host_header, body;
    bool same_host;
    int hops, redirects;
    double phase[HTTP_PHASES];
    struct buf in, raw, cookies; // bytes read; the body; what to send back
    bool answered, body_failed, failed_regex, failed_cel;
    struct http_head head; // of the last answer
    double content_length;
    bool has_peer;
    struct tls_peer peer;
};

// Whether the answer is what the module wants; reasons go to the log.
bool http_probe_judge(struct http_probe *h);
// All metrics of the prober.
void http_probe_add(struct http_probe *h);
