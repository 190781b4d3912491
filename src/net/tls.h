/*
 * tls.h - TLS over a non-blocking socket, for server and client, by OpenSSL.
 *
 * A struct http_tls holds settings and certificates and is shared by any number of
 * streams and threads. A stream belongs to one thread at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "net/http_client.h"
#include "net/stream.h"

enum tls_client_auth { // of the exporter toolkit
    TLS_NO_CLIENT_CERT,
    TLS_REQUEST_CLIENT_CERT,
    TLS_REQUIRE_ANY_CLIENT_CERT,
    TLS_VERIFY_CLIENT_CERT_IF_GIVEN,
    TLS_REQUIRE_AND_VERIFY_CLIENT_CERT,
};

struct tls_server_options {
    const char *cert_file, *key_file, *client_ca_file; // NULL: the inline ones
    struct str cert, key, client_ca;                   // PEM; empty: none
    enum tls_client_auth client_auth;
    const struct str *client_allowed_sans; // the peer's certificate has one of these; none: any
    size_t client_allowed_san_count;
    int min_version, max_version; // 0x0303 = TLS 1.2; 0: TLS 1.2, none
    const char *ciphers;          // of TLS 1.2, in OpenSSL's syntax; NULL: default
    const char *curves;           // in OpenSSL's syntax; NULL: default
    bool prefer_server_ciphers;
    bool no_http2; // offer HTTP/1.1 only
};
// Reads and checks certificate, key and CAs. The caller owns *out: http_tls_free(). Errors:
// ERR_INVALID, ERR_IO, naming the file.
MUST_CHECK bool tls_server_new(struct http_tls **out, const struct tls_server_options *o,
                               struct err *e);
struct http_tls *
tls_get(struct http_tls *t);               // one more reference, for http_tls_free(). Thread-safe
uint64_t tls_id(const struct http_tls *t); // random: two settings never share one

// Puts TLS on a connected socket; name: who the server should be (a client's view), NULL: none.
void tls_stream_open(struct stream *s, struct http_tls *t, const char *name);
// Says goodbye (without waiting) and frees; the descriptor stays open. Plain streams are fine.
void tls_stream_close(struct stream *s);

// 1: done; or STREAM_AGAIN, STREAM_ERROR with *e set in Go's words.
int tls_stream_handshake(struct stream *s, struct err *e);
// Bytes that have been read from the socket and wait inside.
bool tls_stream_has_bytes(const struct stream *s);
// The peer spoke plain HTTP to a TLS server.
bool tls_stream_saw_http(const struct stream *s);
bool tls_stream_is_ready(const struct stream *s); // the handshake is done

// The connection itself, for what this header does not cover (ALPN, certificates); NULL: plain.
struct ssl_st *tls_stream_ssl(const struct stream *s);

// Reads at most n bytes: how many, 0 at the end, or STREAM_AGAIN, STREAM_ERROR.
ssize_t tls_stream_read(struct stream *s, void *p, size_t n);
// Writes some of the pieces: how many bytes, or STREAM_AGAIN, STREAM_ERROR. What was not taken
// must be offered again in the same order.
ssize_t tls_stream_writev(struct stream *s, const struct iovec *v, int n);
