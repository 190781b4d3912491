/*
 * tls.h - TLS over a non-blocking socket, for server and client, by OpenSSL.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "net/stream.h"

ssize_t tls_stream_read(struct stream *s, void *p, size_t n);
ssize_t tls_stream_writev(struct stream *s, const struct iovec *v, int n);
