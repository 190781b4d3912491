/*
 * http.h - the HTTP server: requests in, replies out, for every face.
 *
 * HTTP/1.1 and HTTP/2 (by ALPN under TLS, by prior knowledge without) come in on the same
 * listeners; a handler need not know which. gRPC methods are added by net/grpc.h.
 * Event loops (one per core, SO_REUSEPORT) parse requests and read bodies up to
 * the route's limit. A handler runs on its route's pool (or on the loop for
 * trivial ones) and writes its reply into the exchange; big replies stream with
 * back-pressure. A client that goes away sets *cancelled.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/pool.h"

struct http_header {
    struct str name, value; // name as sent; look up with http_header_get (case-insensitive)
};

struct http_request {
    struct str method, target; // target as sent
    struct str path;           // percent-decoded, without query
    struct str raw_path;       // still escaped
    struct str query;          // raw, without '?'
    const struct http_header *headers;
    size_t header_count;
    struct str body; // decoded from chunks; still content-encoded
    struct str peer; // "127.0.0.1:4711"
    bool tls;
    bool http2;
    struct str user; // authenticated user, empty: none
};
struct str http_header_get(const struct http_request *r, struct str name); // empty: absent
// True when Accept-Encoding lists the coding, "gzip", and not with quality 0.
bool http_accepts(const struct http_request *r, struct str coding);

/*
 * Form values of the query string and, for POST, PUT and PATCH of a urlencoded form, of the body;
 * the body's come first, as in Go's r.Form. A malformed pair (bad escape, ';') is left out and
 * makes the call fail with Go's words, but *out still has all the others: callers that read
 * single values go on (r.FormValue), those that parse the form first (r.ParseForm) refuse.
 */
struct http_form {
    struct http_header *v; // decoded, in order
    size_t n;
};
MUST_CHECK bool http_form_parse(struct arena *a, const struct http_request *r,
                                struct http_form *out, struct err *e);
/*
 * Adds the plain fields of a multipart/form-data body behind what *out has, as r.FormValue and
 * r.ParseMultipartForm do; files are left out. Nothing when the body is no such form or malformed.
 */
void http_form_add_multipart(struct arena *a, const struct http_request *r, struct http_form *out);
// Value of a key (first), STR_NONE with p == NULL when absent.
struct str http_form_get(const struct http_form *f, struct str key);
struct str http_url_decode(struct arena *a, struct str s, bool plus_is_space); // p NULL: malformed
void buf_url_encode(struct buf *b, struct str s); // as Go's url.QueryEscape

struct http_exchange {
    struct http_request req;
    struct arena arena;           // of the request; freed after the reply was sent
    const atomic_bool *cancelled; // the client went away or the server stops
    void *route_ctx;              // of the route; the server's ctx in a fallback
    void *server_ctx;             // ctx of the server's options
    int64_t start_mono_ns;        // when the request's head was read
    // private to net/http_server.c behind this
};

// The reply. Status and headers first, then the body, then the end of the handler ends the reply.
void http_status(struct http_exchange *x, int status); // default 200
// Copied; a later value replaces the earlier one. Content-Length, Transfer-Encoding and Date are
// the server's own and are ignored; "Connection: close" is obeyed.
void http_set_header(struct http_exchange *x, struct str name, struct str value);
void http_add_header(struct http_exchange *x, struct str name, struct str value); // Set-Cookie
// A field behind the body. HTTP/2 only: elsewhere it is left out. Before the handler ends; copied.
void http_add_trailer(struct http_exchange *x, struct str name, struct str value);
/*
 * Appends to the body: kept until 256 KiB, then sent chunked (status and headers are then fixed). Blocks while the peer reads slowly
 * (only on pool threads); ERR_CANCELLED when it is gone. Compressed by Accept-Encoding (zstd, gzip, deflate)
 * when the route allows it and the body is worth it.
 */
MUST_CHECK bool http_write(struct http_exchange *x, struct str bytes, struct err *e);
struct buf *http_body(struct http_exchange *x); // small bodies: append here
// Sends what was written so far to the client now (server-sent events, NDJSON).
MUST_CHECK bool http_flush(struct http_exchange *x, struct err *e);
void http_text(struct http_exchange *x, int status, struct str text); // text/plain; charset=utf-8

typedef void (*http_handler_fn)(struct http_exchange *x);

struct http_route {
    const char *method; // NULL: any; several separated by blanks: "GET POST"
    const char *path;   // "/api/v1/query"; "/static/" with prefix set
    bool prefix;        // the path and everything below it
    http_handler_fn handle;
    void *ctx;
    struct pool *pool; // NULL: on the loop; must then not block
    size_t body_max;   // bytes; 0: 1 MiB
    bool no_compress;
    bool compress_small; // also bodies that are too small to gain by it
    const char *name;    // label `handler` of the request metrics; NULL: path
};

/*
 * The route with the longest matching path is asked; several routes may share a path with
 * different methods. HEAD must be listed: its reply is made as for GET and sent without the body.
 */
struct http_server;
struct http_server_options {
    const char *const *listen; // "127.0.0.1:9090", "[::1]:9090", ":9090"
    size_t listen_count;
    unsigned loops;              // 0: one per CPU
    unsigned connections_max;    // 0: 512, as Prometheus
    int64_t read_timeout_ms;     // idle connections and slow requests; 0: 5 min
    const char *web_config_path; // TLS and basic auth of the exporter toolkit; NULL: none
    int64_t header_timeout_ms;   // from the first byte of a head to its last; 0: 30 s
    /*
     * Called on the loop for a path without route (allow NULL), and for a known path with another
     * method: allow then lists the path's methods and OPTIONS, sorted, "GET, OPTIONS, POST".
     * NULL: plain 404 and 405.
     */
    void (*fallback)(struct http_exchange *x, const char *allow);
    // Called for every exchange before the handler or fallback, on the same thread; false: it has
    // answered (CORS, auth).
    bool (*before)(struct http_exchange *x);
    void *ctx;
};
// Binds and listens on every address, so that ports are known, but accepts nothing before
// http_server_start(). The caller owns *out: http_server_close().
MUST_CHECK bool http_server_open(struct http_server **out, const struct http_server_options *o,
                                 struct err *e);
// Routes are added before start. Borrowed strings must outlive the server. Longest match wins.
void http_server_route(struct http_server *s, const struct http_route *r);
// Starts the loops and accepts. Routes are fixed from here on.
MUST_CHECK bool http_server_start(struct http_server *s, struct err *e);
// The port listened on (useful with :0), of the i-th address.
int http_server_port(const struct http_server *s, size_t i);
void http_server_stop(struct http_server *s);  // no new requests, waits ≤ 5 s for running ones
void http_server_close(struct http_server *s); // NULL is fine
OWN_DEFINE(struct http_server *, http_server_close);
