/*
 * http2_priv.h - the inside of a connection that speaks HTTP/2 (RFC 9113), over nghttp2.
 *
 *   http2.c        the session: preface, settings, frames in, bytes out, timeouts, the end
 *   http2_reply.c  replies: head, body under flow control, trailers
 *
 * A stream has one exchange, made when its head begins and run by the same handlers as HTTP/1's.
 * Everything here happens on the connection's loop. nghttp2 checks frames, the shape of messages
 * and the protocol's own limits (resets, CONTINUATIONs, pings); counted here: bytes and fields of
 * a head, bytes of a body and of all bodies under way, time.
 *
 * Nothing may close the connection from within a callback of nghttp2: callbacks only note.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nghttp2/nghttp2.h>

#include "net/http_server_priv.h"

enum {
    HTTP2_STREAMS_MAX = 250,       // at once on a connection, as Go's server
    HTTP2_STREAM_WINDOW = 1 << 20, // bytes a client may send ahead on a stream
    HTTP2_CONN_WINDOW = 8 << 20,   // and on a connection
    HTTP2_BODIES_MAX = 128 << 20,  // bytes of all incomplete bodies of a connection
    HTTP2_OUTPUT_SIZE = 64 << 10,  // one write
    HTTP2_BODIES_FREE = 8 << 20,   // a body below is never refused for the others
};

struct http2_stream {
    struct http_exchange_priv *x;
    struct http2_conn *conn;
    struct http2_stream *next, **link; // all of the connection
    int32_t id;
    VEC(struct http_header) headers; // in the exchange's arena
    struct str method, target, authority;
    size_t head_bytes;
    bool too_large; // the head
    bool ended;     // the request is complete
    bool waiting;   // for a password
    bool started;   // the handler, or a refusal
    bool submitted; // the head of the reply
    uint64_t since_ms;
    struct arena arena; // of the loop: the exchange's own is the handler's while it runs
    size_t counted;     // bytes of its body in conn->body_bytes
    struct http_out *out, **out_last; // of the reply, not yet framed
};

struct http2_conn {
    nghttp2_session *session;
    struct http_conn *conn;
    struct http2_stream *streams;
    unsigned stream_count;
    size_t body_bytes; // of all incomplete bodies
    uint64_t idle_ms;  // when the last stream ended
    uint64_t head_ms;  // when the head under way began; 0: none
    bool stopping;
};

// The handler has made something, or has ended: frames what can be framed.
void http2_reply_take(struct http2_stream *s);
void http2_reply_collect(struct loop_task *t); // x->task of an exchange on a stream
