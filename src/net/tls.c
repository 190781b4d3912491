// tls.c - see tls.h.
// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

ssize_t tls_stream_read(struct stream *s, void *p, size_t n)
{
    (void)s, (void)p, (void)n;
    return STREAM_ERROR;
}

ssize_t tls_stream_writev(struct stream *s, const struct iovec *v, int n)
{
    (void)s, (void)v, (void)n;
    return STREAM_ERROR;
}
