/*
 * h2_call.h - one request over HTTP/2 on a blocking connection, by nghttp2.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "export/dial.h"
#include "net/http.h"

struct h2_call {
    const struct http_header *headers; // with :method, :scheme, :authority, :path first
    size_t header_count;
    struct str body;
    size_t body_max; // bytes of the answer
    // the answer: headers and trailers together, in the arena
    struct arena *a;
    struct http_header *got;
    size_t got_count;
    struct buf answer; // buf_fini() it
    bool began;        // the answer's head has come
};

// Sends the request and reads the whole answer. Errors as dial_read(); ERR_LIMIT beyond body_max.
MUST_CHECK bool h2_call_run(struct h2_call *c, struct dial *d, struct err *e);
struct str h2_call_header(const struct h2_call *c, struct str name); // p NULL: absent
