/*
 * url.h - URLs of http and https: taken apart, put together, resolved.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct url {
    struct str scheme; // lower case
    bool has_user, has_password;
    struct str user, password; // decoded
    struct str host;           // lower case, without brackets
    bool ipv6;                 // the host was in brackets
    struct str port;           // as written; empty: the scheme's
    struct str path;           // escaped, starts with '/'
    struct str query;          // escaped; p NULL: no '?'
};

/*
 * Parses an absolute URL of any scheme; slices are of the arena or of text. A fragment is dropped.
 * Errors: ERR_INVALID in Go's words (parse "…": …).
 */
MUST_CHECK bool url_parse(struct arena *a, struct str text, struct url *out, struct err *e);
int url_port(const struct url *u); // of the URL or its scheme; 0: unknown scheme
void buf_url_host(struct buf *b, const struct url *u);   // host[:port] as written
void buf_url_target(struct buf *b, const struct url *u); // path?query
void buf_url(struct buf *b, const struct url *u); // whole; a password as "***", as Go's errors
// The URL that `ref`, found in a document at base, leads to (RFC 3986 §5.3).
MUST_CHECK bool url_resolve(struct arena *a, const struct url *base, struct str ref,
                            struct url *out, struct err *e);
