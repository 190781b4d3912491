/*
 * tls_peer.h - what a finished handshake tells about the other side: for certificate monitoring.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "net/stream.h"

struct tls_peer {
    const char *version;          // "TLS 1.3"
    const char *cipher;           // "TLS_AES_128_GCM_SHA256"
    int64_t earliest_expiry_s;    // of the certificates sent, since 1970
    bool verified;                // a chain was verified
    int64_t chain_expiry_s;       // when the verified chain ends to be valid
    struct str fingerprint;       // SHA-256 of the leaf, hex
    struct str subject, issuer;   // RFC 2253
    struct str dns_names, serial; // a,b; hex
};

// Fills *out, texts in the arena. False: no TLS here, or the peer sent no certificate.
bool tls_peer_read(const struct stream *s, struct arena *a, struct tls_peer *out);
