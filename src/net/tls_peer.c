// tls_peer.c - see tls_peer.h. Texts are as Go prints them: dashboards show these labels.
// SPDX-License-Identifier: Apache-2.0
#include "net/tls_peer.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/time.h"
#include "net/tls.h"

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm = { 0 };

    if (!ASN1_TIME_to_tm(t, &tm))
        return 0;
    int64_t days = civil_days(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    return days * 86400 + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
}

static int64_t earliest_of(const STACK_OF(X509) * chain)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < sk_X509_num(chain); i++)
        least = MIN(least, seconds_of(X509_get0_notAfter(sk_X509_value(chain, i))));
    return least == INT64_MAX ? 0 : least;
}

static struct str name_text(struct arena *a, const X509_NAME *n)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *p = NULL;

    assert(b);
    X509_NAME_print_ex(b, n, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    long len = BIO_get_mem_data(b, &p);
    struct str text = arena_str(a, str_of(p, len > 0 ? (size_t)len : 0));
    BIO_free(b);
    return text;
}

static struct str hex(struct arena *a, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_raw(a, 2 * n + 1);

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = 0;
    return str_of(out, 2 * n);
}

static struct str dns_names(struct arena *a, X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    OWNED(buf_fini) struct buf b = { 0 };

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        if (n->type != GEN_DNS)
            continue;
        if (b.n)
            buf_char(&b, ',');
        buf_bytes(&b, ASN1_STRING_get0_data(n->d.dNSName),
                  (size_t)ASN1_STRING_length(n->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    return arena_str(a, buf_view(&b));
}

static const char *version_text(int version)
{
    switch (version) {
    case TLS1_VERSION:
        return "TLS 1.0";
    case TLS1_1_VERSION:
        return "TLS 1.1";
    case TLS1_2_VERSION:
        return "TLS 1.2";
    case TLS1_3_VERSION:
        return "TLS 1.3";
    default:
        return "unknown";
    }
}

bool tls_peer_read(const struct stream *s, struct arena *a, struct tls_peer *out)
{
    SSL *ssl = tls_stream_ssl(s);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (!ssl)
        return false;
    const STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (!leaf)
        return false;
    *out = (struct tls_peer){ .version = version_text(SSL_version(ssl)) };
    const char *cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl));
    out->cipher = cipher ? cipher : "";
    out->earliest_expiry_s = sent ? earliest_of(sent) : seconds_of(X509_get0_notAfter(leaf));
    out->verified = chain && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
    if (out->verified)
        out->chain_expiry_s = earliest_of(chain);
    if (X509_digest(leaf, EVP_sha256(), digest, &n))
        out->fingerprint = hex(a, digest, n);
    out->subject = name_text(a, X509_get_subject_name(leaf));
    out->issuer = name_text(a, X509_get_issuer_name(leaf));
    out->dns_names = dns_names(a, leaf);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
    out->serial = hex(a, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
    return true;
}
