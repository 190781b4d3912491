/*
 * http_server_priv.h - what the files of the HTTP server share.
 *
 *   http_server.c        options, listening, accepting, timeouts, start and stop
 *   http_server_route.c  which route a path and method lead to; request metrics
 *   http_server_exchange.c  the course of a request that HTTP/1 and HTTP/2 share
 *   http_server_conn.c   one connection: bytes in, requests, bytes out
 *   http2.c, http2_*.c   the streams of a connection that speaks HTTP/2 (see http2_priv.h)
 *   http_server_reply.c  the handler's side: status, headers, body, streaming
 *
 * Threads: a connection belongs to its loop. An exchange belongs to the loop until it is handed
 * to a pool; from then on the handler's thread has it, and the two meet in the fields under mu:
 * the handler appends pieces to `out`, the loop takes and sends them. The loop alone frees an
 * exchange, after the handler has set `done`.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/thread.h"
#include "base/vec.h"
#include "codec/compress.h"
#include "net/http.h"
#include "net/http_parser.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/web_config.h"

enum {
    HTTP_READ_SIZE = 64 << 10,       // scratch of a loop; also the most kept of pipelined input
    HTTP_BODY_READ_SIZE = 256 << 10, // one read straight into a request body
    HTTP_STREAM_SIZE = 256 << 10,    // a body beyond is streamed
    HTTP_IN_FLIGHT_MAX = 1 << 20,    // bytes handed to the loop and not yet in the socket
    HTTP_BODY_MAX_DEFAULT = 1 << 20,
    HTTP_COMPRESS_MIN = 512,  // bytes: smaller replies go out as they are
    HTTP_ZSTD_MIN = 32 << 10, // zstd only pays for larger ones; Prometheus never sends it
    HTTP_LINGER_MS = 2000,
    HTTP_LINGER_BYTES = 1 << 20,
    HTTP_BODY_GRACE_MS = 10000, // before the minimum rate of a request body counts
    HTTP_BODY_RATE_MIN = 1024,  // bytes per second
    HTTP_PEER_SIZE = 60,
    HTTP_SPARES = 8, // buffers a loop keeps for the next requests
    HTTP_SPARE_MIN = 4 << 10,
    HTTP_SPARE_MAX = 512 << 10, // larger ones go back to the heap
};

struct http_out { // a piece of a reply on its way to the socket
    struct http_out *next;
    struct buf head; // status and headers, or the size line of a chunk
    struct buf body;
    struct str tail; // constant text
    size_t sent;     // bytes of the three together
};

struct http_route_metrics {
    struct metric *duration, *size;
};

struct http_route_entry {
    struct http_route route;
    struct str path;
    size_t index; // in the table
};

struct http_routes {
    VEC(struct http_route_entry) v; // sorted at start: longest path first
    struct http_route_metrics *metrics;
};

struct http_exchange_priv {
    struct http_exchange pub; // first: the handler's pointer is ours
    struct http_server *server;
    struct http_server_loop *loop;
    struct http_conn *conn;               // loop only; NULL: the client is gone
    struct http2_stream *stream;          // loop only; NULL: HTTP/1, or the client is gone
    const struct http_route_entry *route; // NULL: fallback
    const char *allow;
    // fixed before the handler runs
    bool head_only, http10, on_loop, refused;
    bool keep_alive;
    // body of the request; loop only
    struct buf body_in;
    uint64_t body_left; // of Content-Length
    size_t body_max;
    bool chunked, expect_continue;
    struct http_chunked chunks;
    // the reply; the handler's thread only
    int status;
    VEC(struct http_header) headers; // in the arena
    VEC(struct http_header) trailers;
    int64_t length; // of the body, for HTTP/2; −1: it streams
    struct buf body;
    struct compress_writer *z;
    bool streaming;      // the head went out
    bool failed;         // the reply cannot be completed: cut the connection
    uint64_t body_bytes; // as sent
    // between the two
    struct mutex mu;
    struct cond drained;
    struct http_out *out, **out_last; // under mu
    size_t in_flight;                 // under mu; bytes handed over and not yet sent
    bool posted;                      // under mu; the task is on its way
    bool done;                        // under mu; the handler has ended
    bool gone;                        // under mu; nobody reads any more
    bool live; // under mu; flushed: an endless reply, ended at once by a stop
    struct loop_task task;
    struct web_config *web; // in force when the request came; NULL: none
    struct loop_task auth_task;
    enum web_verdict verdict; // of the pool
    atomic_bool cancelled;
    bool dispatched; // loop only: a handler runs
    bool complete;   // loop only: all of the reply is in conn->out
};

enum http_conn_state {
    HTTP_CONN_HEAD,
    HTTP_CONN_AUTH, // a password is being hashed on a pool
    HTTP_CONN_BODY,
    HTTP_CONN_RUN,
    HTTP_CONN_LINGER,
    HTTP_CONN_HTTP2, // for good: `http2` has the streams
    HTTP_CONN_CLOSED
};

struct http_conn {
    struct loop_poll poll;
    struct stream stream;
    struct http_server_loop *loop;
    struct http_conn *next, **link; // all of the loop
    enum http_conn_state state;
    struct http_head_scan scan;
    struct buf in;                // read and not yet used
    struct http_exchange_priv *x; // HTTP/1
    struct http2_conn *http2;     // NULL: HTTP/1
    struct http_out *out, **out_last;
    uint64_t since_ms; // loop time of the last progress in this state
    uint32_t lingered; // bytes
    bool is_http1;     // the first bytes were no preface of HTTP/2
    bool eof;
    uint8_t peer_n;
    char peer[HTTP_PEER_SIZE];
};

struct http_listener {
    struct loop_poll poll;
    struct http_server_loop *loop;
};

struct http_code_metric {
    int code;
    struct metric *m;
};

struct http_server_loop {
    struct http_server *server;
    struct loop *loop;
    struct http_listener *listeners; // listen_count of them
    struct http_conn *conns;
    struct loop_timer sweep;
    struct loop_task resume; // posted once when `paused` is taken back
    atomic_bool paused;      // accepting waits for a free connection
    bool listening;
    char *scratch; // HTTP_READ_SIZE
    // Bodies come from here and return: fresh heap pages cost more than all else of a large POST.
    struct buf spares[HTTP_SPARES];
    unsigned spare_count;
    // requests by route and code, found without the registry's lock
    struct http_code_metric (*codes)[4];
};

struct http_server {
    struct http_server_options options;
    struct arena arena;
    struct http_routes routes;
    unsigned loop_count;
    struct http_server_loop *loops;
    int *fds; // listening sockets, loop by loop; −1 once owned by a loop
    int *ports;
    unsigned connections_max;
    int64_t read_timeout_ms, header_timeout_ms, sweep_ms;
    struct mutex mu;
    struct cond idle; // an exchange or a connection ended while stopping
    atomic_int connections;
    atomic_int running; // exchanges with a handler
    atomic_bool stopping;
    bool started, stopped;
    struct web_access *web; // NULL: plain and open to all
    struct pool *auth_pool; // hashes passwords; NULL without a web config
    struct metric *open_connections, *accepted, *closed;
    struct metric_family *requests, *durations, *sizes;
};

/* ---- route ---- */
void http_routes_sort(struct http_server *s);
// Frees the table; the routes' own strings are borrowed and stay.
void http_routes_fini(struct http_routes *r);
/*
 * The route of a decoded path and method. NULL: none; *allow then lists the sorted methods of
 * the path in the arena, or is NULL when the path is unknown.
 */
const struct http_route_entry *http_routes_find(const struct http_routes *r, struct arena *a,
                                                struct str path, struct str method,
                                                const char **allow);
void http_route_count(struct http_exchange_priv *x); // on the loop, when a reply was sent

/* ---- exchange: all on the loop ---- */
struct http_exchange_priv *http_exchange_new(struct http_conn *c);
// Splits the target into path and query; false: malformed, a reply to that is prepared.
bool http_exchange_set_target(struct http_exchange_priv *x, struct str target);
// Sets x->route and x->allow from the decoded path and the method.
void http_exchange_find_route(struct http_exchange_priv *x);
/*
 * DENIED: a reply is prepared. UNKNOWN: a pool hashes the password; x->verdict is set when `hashed`
 * (of x->auth_task) runs on the loop, which must call http_exchange_hashed() first.
 */
enum web_verdict http_exchange_authorize(struct http_exchange_priv *x,
                                         void (*hashed)(struct loop_task *));
// Ends the detour over the pool: when x->verdict is not ALLOWED a 401 is prepared. The connection
// may be gone by now.
void http_exchange_hashed(struct http_exchange_priv *x);
// Runs the handler for the complete request. True: on a pool, x->task runs when there is something
// to take; false: it has ended here.
bool http_exchange_start(struct http_exchange_priv *x);
// What the handler has made since; *done: it has ended.
struct http_out *http_exchange_take(struct http_exchange_priv *x, bool *done);
// So many bytes of the reply have left: the handler may go on.
void http_exchange_drained(struct http_exchange_priv *x, size_t n);
void http_exchange_drop(struct http_exchange_priv *x); // without connection: frees it when it may

/* ---- conn ---- */
uint64_t http_conn_ms(const struct http_conn *c); // time of its loop
// Queues pieces of a reply, a list that it takes. Time for the peer to read starts with the first.
void http_conn_append(struct http_conn *c, struct http_out *o);
void http_conn_go_on(struct http_conn *c); // something other than input has moved it on
// Takes an accepted descriptor and waits for its first bytes; peer is copied, cut to what fits.
void http_conn_open(struct http_server_loop *l, int fd, const char *peer);
// Closes without a word, whatever state it is in, and leaves the list; freed when libuv lets go.
// Dropping twice is fine.
void http_conn_drop(struct http_conn *c);
// Drops the connection when its peer has kept it waiting for longer than its state allows.
void http_conn_sweep(struct http_conn *c, uint64_t now_ms);
void http_conn_stop(struct http_conn *c, bool hard); // hard: also those with a request
void http_exchange_collect(struct loop_task *t);     // takes over what the handler made

/* ---- HTTP/2 ---- */
// Whether these first bytes of a connection are HTTP/2's: DONE, MORE (needs more) or BAD (not).
enum http_parse http2_preface(struct str in);
void http2_open(struct http_conn *c);  // sends our settings; the preface is input like the rest
void http2_close(struct http_conn *c); // not from within its callbacks; nothing without HTTP/2
MUST_CHECK bool http2_input(struct http_conn *c, struct str in); // false: the connection is over
bool http2_output(struct http_conn *c); // appends to c->out what is due; false: nothing
// Whether both sides have said all they will: to be dropped.
bool http2_is_over(const struct http_conn *c);
bool http2_sweep(struct http_conn *c, uint64_t now_ms); // false: drop it
void http2_stop(struct http_conn *c);                   // no new requests; endless replies end

/* ---- reply ---- */
void http_exchange_free(struct http_exchange_priv *x); // on the loop
void http_exchange_run(void *exchange);                // before, handler, end of the reply
// A refusal by the server itself; the connection closes after it.
void http_exchange_deny(struct http_exchange_priv *x); // 401
// Prepares a refusal by the server itself with this status; the connection closes after it.
void http_exchange_refuse(struct http_exchange_priv *x, int status, const char *text);
void http_exchange_gone(struct http_exchange_priv *x); // loop: wakes and cancels the handler
// Frees a list of pieces; NULL is fine.
void http_out_free(struct http_out *o);
struct buf http_spare_take(struct http_server_loop *l);         // on the loop; empty
void http_spare_put(struct http_server_loop *l, struct buf *b); // on the loop; *b is empty after
static inline size_t http_out_size(const struct http_out *o)
{
    return o->head.n + o->body.n + o->tail.n;
}
// The reason phrase, "status" for one that is not in the table. A constant.
const char *http_status_text(int status);
void buf_http_date(struct buf *b); // now
// False for 204 and 304, whose replies end with the head.
bool http_status_has_body(int status);
// Whether the handler has set a header of this name (in any case).
bool http_reply_has_header(const struct http_exchange_priv *x, struct str name);

/* ---- server ---- */
void http_server_conn_closed(struct http_server *s);
// Counts down the running exchanges; the last one lets a waiting http_server_stop() go on.
void http_server_exchange_ended(struct http_server *s);
