/*
 * grpc.h - gRPC methods with one message each way, as routes of the HTTP server.
 *
 * A call is an HTTP/2 POST to /package.Service/Method whose body is one message behind a head of
 * five bytes; status and text of the answer travel in trailers (grpc/doc/PROTOCOL-HTTP2.md).
 * Here: framing, gzip both ways, deadlines, status. What the bytes of a message mean is the
 * method's.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/http.h"

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

struct grpc_call {
    struct http_exchange *x;  // headers (metadata) by http_header_get(), arena, cancelled
    void *ctx;                // of the method
    struct str message;       // decompressed; lives as long as the call
    int64_t deadline_mono_ns; // INT64_MAX: none
    struct buf *reply;        // the method appends its message here
};

// Fills the reply, or calls grpc_fail() and leaves it.
typedef void (*grpc_unary_fn)(struct grpc_call *c);

struct grpc_method {
    const char *path; // "/package.Service/Method"
    grpc_unary_fn call;
    void *ctx;
    struct pool *pool;  // NULL: on the loop; must then not block
    size_t message_max; // bytes, also when decompressed; 0: 4 MiB as gRPC's own default
};
// Adds the method to the server before its start. The method must outlive the server.
void grpc_route(struct http_server *s, const struct grpc_method *m);

// Ends the call with this status; copied, any text. The last one counts.
void grpc_fail(struct grpc_call *c, enum grpc_status status, struct str text);
/*
 * Asks the client not to come back before so many seconds: google.rpc.RetryInfo in
 * grpc-status-details-bin, which OTLP's exporters obey. Call it behind grpc_fail().
 */
void grpc_retry_after(struct grpc_call *c, int64_t after_ms);

// Whether this request is a gRPC call.
bool grpc_is_call(const struct http_request *r);
// Answers a call to a method without route, as the server does by itself; false: no call.
bool grpc_refuse_unknown(struct http_exchange *x);
// What a server's refusal before the handler means to a client of gRPC.
enum grpc_status grpc_status_of_http(int status);
// Answers any exchange with a status of gRPC and without message.
void grpc_answer(struct http_exchange *x, enum grpc_status status, struct str text);
