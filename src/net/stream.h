/*
 * stream.h - bytes in and out of a connected socket, plain or through TLS, never blocking.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

struct tls_stream;

enum { STREAM_EOF = 0, STREAM_AGAIN = -1, STREAM_ERROR = -2 };

struct stream {
    int fd;
    bool want_write;        // after AGAIN of a read: wait for writability (TLS only)
    bool want_read;         // after AGAIN of a write: wait for readability (TLS only)
    struct tls_stream *tls; // NULL: plain
};

// Bytes read (at most n), or one of the above. After fewer than n plain bytes nothing more waits.
ssize_t stream_read(struct stream *s, void *p, size_t n);
// Bytes written, or one of the above; never EOF. At most 64 pieces.
ssize_t stream_writev(struct stream *s, const struct iovec *v, int n);
