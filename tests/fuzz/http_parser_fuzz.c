// http_parser_fuzz.c - heads and chunked bodies: the split of the bytes never changes the outcome.
// SPDX-License-Identifier: Apache-2.0
#include "net/http_parser.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct outcome {
    enum http_parse scan;
    size_t end, start;
    int status;
};

static struct outcome scan(struct str in, size_t piece, bool response, bool lenient)
{
    struct http_head_scan s = { .response = response, .lenient = lenient };
    struct outcome o = { .scan = HTTP_PARSE_MORE };
    struct err e = { 0 };

    for (size_t n = piece; o.scan == HTTP_PARSE_MORE; n += piece) {
        o.scan = http_head_scan(&s, str_sub(in, 0, n), &o.end, &o.status, &e);
        if (n >= in.n)
            break;
    }
    o.start = o.scan == HTTP_PARSE_DONE ? s.start : 0;
    return o;
}

static enum http_parse unchunk(struct str in, size_t piece, struct buf *out, size_t *left)
{
    struct http_chunked c = { 0 };
    struct err e = { 0 };
    enum http_parse r = HTTP_PARSE_MORE;

    for (size_t at = 0; at < in.n && r == HTTP_PARSE_MORE; at += piece) {
        struct str part = str_sub(in, at, at + piece), data;

        while ((r = http_chunked_next(&c, &part, &data, &e)) == HTTP_PARSE_DATA)
            buf_str(out, data);
        *left = part.n + in.n - MIN(in.n, at + piece);
    }
    return r;
}

// First byte: size of the pieces and the mode.
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf whole = { 0 }, parts = { 0 };
    struct http_head head;
    struct err e = { 0 };
    size_t left_whole = 0, left_parts = 0;
    int status = 0;

    if (n < 2)
        return 0;
    bool response = p[0] & 1, lenient = response && (p[0] & 2);
    size_t piece = 1 + (p[0] >> 2);
    struct str in = { (const char *)p + 1, n - 1 };
    struct outcome o = scan(in, in.n, response, lenient),
                   split = scan(in, piece, response, lenient);
    assert(o.scan == split.scan && o.end == split.end && o.start == split.start &&
           o.status == split.status);
    if (o.scan == HTTP_PARSE_DONE) {
        struct str text = str_sub(in, o.start, o.end);
        bool ok = response ? http_head_parse_response(&a, text, lenient, &head, &e)
                           : http_head_parse_request(&a, text, &head, &status, &e);
        assert(!ok || lenient || !(head.chunked && head.has_length));
        assert(ok || response || status >= 400);
    }
    enum http_parse r = unchunk(in, in.n, &whole, &left_whole);
    assert(unchunk(in, piece, &parts, &left_parts) == r);
    assert(str_eq(buf_view(&whole), buf_view(&parts)));
    assert(r != HTTP_PARSE_DONE || left_whole == left_parts);
    return 0;
}
