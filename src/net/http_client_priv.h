/*
 * http_client_priv.h - what the files of the HTTP client share.
 *
 *   http_client.c       the public face, idle connections, timeouts, stopping
 *   http_client_dial.c  names to addresses to a connected socket
 *   http_client_call.c  one call: tunnel, TLS, request out, response in, redirects
 *
 * Everything below belongs to the client's one loop.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <netinet/in.h>

#include "net/http_client.h"
#include "net/http_parser.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net/url.h"

enum {
    CLIENT_SCRATCH = 64 << 10,
    CLIENT_BODY_READ = 256 << 10,
    CLIENT_BODY_MAX = 1 << 30,
    CLIENT_IDLE_MS = 300000, // as Go's transport in Prometheus
    CLIENT_IDLE_MAX = 20000,
    CLIENT_BUCKETS = 1024, // power of two
    CLIENT_REDIRECTS_MAX = 10,
    CLIENT_ADDRESSES_MAX = 8,
    CLIENT_NEXT_ADDRESS_MS = 250, // RFC 8305: then the next address is tried beside the first
};

enum client_conn_state { CONN_DIALING, CONN_BUSY, CONN_IDLE, CONN_CLOSED };

struct client_conn {
    struct loop_poll poll;
    struct stream stream;
    struct http_client *client;
    struct http_call *call;           // NULL: idle
    struct client_conn *next, **link; // in a bucket of idle ones, or among a call's dials
    enum client_conn_state state;
    bool reused;
    uint64_t key_hash;
    char *key; // owned; NULL before the call that dialled it is set up
    uint64_t idle_since_ms;
    struct sockaddr_in6 address; // or sockaddr_in; for messages
};

struct client_address {
    struct sockaddr_in6 a; // room for both kinds
    socklen_t n;
};

struct client_lookup; // of http_client_dial.c

enum call_phase { CALL_NEW, CALL_DIAL, CALL_TUNNEL, CALL_HANDSHAKE, CALL_EXCHANGE, CALL_OVER };

struct http_call {
    struct loop_task task;
    struct http_client *client;
    struct http_call *next, **link; // running calls
    struct arena arena;
    http_done_fn done;
    void *ctx;
    struct http_call_options o; // copied into the arena; the body is borrowed
    struct loop_timer deadline;
    int64_t start_mono_ns;
    enum call_phase phase;
    // where to
    struct str method;
    bool with_body;
    struct url url, proxy;
    bool via_proxy, tunnel;
    unsigned redirects;
    bool retried;
    // dialling
    struct client_lookup *lookup;
    struct client_address addresses[CLIENT_ADDRESSES_MAX];
    size_t address_count, address_next;
    struct client_conn *dials;
    struct loop_timer next_address;
    struct err dial_error;
    unsigned timers_open; // the memory goes when both are closed
    // the exchange
    struct client_conn *conn;
    struct buf out; // head of the request
    size_t sent;    // of out and body together
    struct buf in;  // head of the response, and what came with it
    struct http_head_scan scan;
    struct http_head head;
    bool got_bytes, got_head, until_close;
    bool leftover;     // bytes behind the response
    bool refused_body; // the server closed before it had all of the request
    struct http_chunked chunks;
    uint64_t left; // of Content-Length
    struct buf body;
};

struct http_client {
    struct loop *loop;
    char *scratch;                // CLIENT_SCRATCH
    struct http_tls *default_tls; // made on first use
    struct http_call *calls;
    struct client_conn *idle[CLIENT_BUCKETS];
    size_t idle_count;
    struct loop_timer sweep;
    bool stopping;
};

/* ---- client ---- */
struct client_conn *client_conn_new(struct http_client *c, int fd, struct err *e); // takes the fd
void client_conn_close(struct client_conn *conn); // any state; leaves its list and its call
void client_conn_park(struct client_conn *conn);  // busy → idle
// An idle connection for this key that looks alive; NULL: none.
struct client_conn *client_conn_reuse(struct http_client *c, const char *key, uint64_t hash);

/* ---- dial ---- */
// Sends the request on a fresh or reused connection, which the call has from now on.
void client_dial(struct http_call *call);      // then client_call_connected() or _fail()
void client_dial_stop(struct http_call *call); // drops the lookup, the attempts, the timer
// The socket of an attempt is ready: connected, failed, or the handshake goes on.
void client_dial_event(struct client_conn *conn, int events);
void client_dial_next(struct http_call *call); // starts with the next address, if any

/* ---- call ---- */
void client_call_start(struct http_call *call);
void client_call_connected(struct http_call *call, struct client_conn *conn);
// The socket of a running call is ready (LOOP_READ, LOOP_WRITE; −1: broken).
void client_call_event(struct http_call *call, int events);
void client_call_fail(struct http_call *call, const struct err *e);      // e: without the URL
void client_call_fail_bare(struct http_call *call, const struct err *e); // e is the whole text
