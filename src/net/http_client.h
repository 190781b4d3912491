/*
 * http_client.h - the hot outgoing HTTP calls: scrapes, remote write, object storage.
 *
 * Runs on one event loop thread of its own; connections are kept and reused per
 * (scheme, host, port, TLS settings). The call's callback runs on the loop and must
 * not block. Redirects, proxies (HTTP CONNECT and plain) and TLS are handled here.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/buf.h"
#include "net/http.h"

struct http_client;

// Reads and checks certificates and keys. The caller owns *out: http_tls_free(). Errors:
// ERR_INVALID, ERR_IO, naming the file.
struct tls_client_options {                                   // files are read at http_tls_new()
    const char *ca_file, *cert_file, *key_file, *server_name; // NULL: none
    struct str ca, cert, key;                                 // inline PEM; empty: none
    bool insecure_skip_verify;
    int min_version, max_version; // 0x0303 = TLS 1.2; 0: default
};
struct http_tls; // shared client settings, reference counted by the callers' ownership
MUST_CHECK bool http_tls_new(struct http_tls **out, const struct tls_client_options *o,
                             struct err *e);
// Drops the reference; NULL is fine. Connections that use it hold their own.
void http_tls_free(struct http_tls *t);
OWN_DEFINE(struct http_tls *, http_tls_free);

struct http_call_options {
    struct str method; // empty: GET
    struct str url;    // http:// or https://
    // Sent as given; Host, Content-Length and the URL's user (as basic auth) are added when absent.
    const struct http_header *headers;
    size_t header_count;
    struct str body;                         // borrowed until the callback
    struct http_tls *tls;                    // NULL: system defaults
    struct str proxy_url;                    // http:// (or https:// for plain targets); empty: none
    const struct http_header *proxy_headers; // sent with CONNECT
    size_t proxy_header_count;
    bool no_redirects;
    int64_t timeout_ms; // whole call; required
    size_t body_max;    // bytes as received and after inflating; 0: 1 GiB
    bool keep_encoded;  // do not inflate gzip/zstd/deflate
};

struct http_response {
    int status;
    struct str reason;
    const struct http_header *headers;
    size_t header_count;
    struct buf body;   // may be taken over with buf moves
    size_t wire_bytes; // body bytes before inflating
    int64_t duration_ns;
};

/*
 * r is NULL on failure and then *e says why, in Go's words, which users see in lastError:
 *   Get "http://a:1/": dial tcp 127.0.0.1:1: connect: connection refused    ERR_IO
 *   Get "http://a:1/": context deadline exceeded                            ERR_TIMEOUT
 *   unexpected EOF (a body cut short), body size limit exceeded             ERR_IO, ERR_LIMIT
 * *r is valid during the call only; its body may be taken (TAKE the buf and leave it zeroed).
 */
typedef void (*http_done_fn)(void *ctx, struct http_response *r, const struct err *e);

// Starts the client and its loop; the caller owns *out: http_client_stop().
MUST_CHECK bool http_client_start(struct http_client **out, struct err *e);
void http_client_stop(struct http_client *c); // running calls end with ERR_CANCELLED first
OWN_DEFINE(struct http_client *, http_client_stop);
// Thread-safe. The callback is called exactly once, also on failure.
void http_client_call(struct http_client *c, const struct http_call_options *o, http_done_fn done,
                      void *ctx);
// Waits for the answer: for tools and service discovery threads. Body is the caller's.
MUST_CHECK bool http_client_wait(struct http_client *c, const struct http_call_options *o,
                                 struct arena *a, struct http_response *out, struct err *e);
