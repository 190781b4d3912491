/*
 * http_parser.h - HTTP/1.1 messages, strictly: heads and chunked bodies, for server and client.
 *
 * A head is first looked for (http_head_scan, incremental, any split of the bytes
 * gives the same result), then parsed whole. All slices point into the head.
 * Strict means RFC 9112 without its tolerances: bare LF, blanks before a colon,
 * folded lines, two lengths, a length beside a transfer coding and a request
 * without Host are refused. `lenient`, for answers of other people's servers,
 * takes bare LF, equal repeated lengths and a length beside chunked; such a
 * connection must not be used again.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "net/http.h"

enum {
    HTTP_LINE_MAX = 8 << 10,  // bytes of the first line, with its CRLF
    HTTP_HEAD_MAX = 64 << 10, // bytes of the whole head
    HTTP_HEADERS_MAX = 512,
    HTTP_CHUNK_LINE_MAX = 1024, // bytes of one chunk size line
    HTTP_TRAILER_MAX = 8 << 10, // bytes behind the last chunk
    HTTP_EMPTY_LINES_MAX = 4,   // before a request line
};

enum http_parse {
    HTTP_PARSE_MORE, // needs more bytes
    HTTP_PARSE_DATA, // a piece of body (chunked only)
    HTTP_PARSE_DONE,
    HTTP_PARSE_BAD,
};

struct http_head_scan { // zero to start
    uint32_t at;        // bytes looked at
    uint32_t line;      // where the current line starts
    uint32_t start;     // of the head, behind empty lines
    bool started, lenient, response;
};

/*
 * Looks on for the end of the head. `in` holds all bytes since the message began;
 * DONE: the head is in[s->start, *end). BAD: *status says what to answer.
 */
enum http_parse http_head_scan(struct http_head_scan *s, struct str in, size_t *end, int *status,
                               struct err *e);

struct http_head {
    struct str method, target; // of a request
    int status;                // of a response
    struct str reason;
    int minor; // HTTP/1.minor: 0 or 1
    const struct http_header *headers;
    size_t header_count;
    struct str host;
    bool keep_alive;
    bool chunked;
    bool has_length;
    bool expect_continue;
    bool odd; // taken only because of `lenient`
    uint64_t length;
};

// Parses a head that the scan has found. On failure *status is 400, 417, 431, 501 or 505.
MUST_CHECK bool http_head_parse_request(struct arena *a, struct str head, struct http_head *out,
                                        int *status, struct err *e);
// The same for the head of a response. lenient: take what Go's client takes though no standard
// does, and say so in out->odd.
MUST_CHECK bool http_head_parse_response(struct arena *a, struct str head, bool lenient,
                                         struct http_head *out, struct err *e);
// The first header of this name, empty when absent.
struct str http_header_find(const struct http_header *h, size_t n, struct str name);
// Whether a comma separated header value has this token (ASCII case folded).
bool http_token_listed(struct str list, struct str token);
bool http_is_token(struct str s);       // method and header names
bool http_is_field_value(struct str s); // no controls but TAB

enum http_chunked_state {
    CHUNK_SIZE_FIRST,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE,
};

struct http_chunked { // zero to start
    uint64_t left;    // bytes of the chunk still to come
    uint32_t line;    // bytes of the size line so far
    uint32_t trailer; // bytes of trailers so far
    enum http_chunked_state state;
};

/*
 * Takes a step through *in, which it shortens: DATA gives one slice of it, MORE means that all
 * was used, DONE leaves what follows the body. Trailers are checked and dropped.
 */
enum http_parse http_chunked_next(struct http_chunked *c, struct str *in, struct str *data,
                                  struct err *e);
