// stream.c - see stream.h.
// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"

ssize_t stream_read(struct stream *s, void *p, size_t n)
{
    ssize_t got;

    if (s->tls)
        return tls_stream_read(s, p, n);
    do
        got = read(s->fd, p, n);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        return got;
    return errno == EAGAIN ? STREAM_AGAIN : STREAM_ERROR;
}

ssize_t stream_writev(struct stream *s, const struct iovec *v, int n)
{
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n };
    ssize_t put;

    if (s->tls)
        return tls_stream_writev(s, v, n);
    do
        put = sendmsg(s->fd, &m, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put >= 0)
        return put;
    return errno == EAGAIN ? STREAM_AGAIN : STREAM_ERROR;
}
