/*
 * tls.c - see tls.h.
 *
 * The socket is given to OpenSSL (measured: no difference to memory BIOs), buffers are released
 * while idle (14 instead of 29 KB a connection). Failures are told in the words of Go's
 * crypto/tls and crypto/x509, which users of the programs that we replace search for.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"

enum {
    PEM_MAX = 16 << 20,
    RECORD_SIZE = 16 << 10,
    ALERT_REASON_BASE = 1000, // OpenSSL: reason of a received alert = base + its number
};

struct http_tls {
    atomic_int refs;
    uint64_t id;
    SSL_CTX *ctx;
    bool server, verify, no_http2;
    struct arena arena; // of the texts below
    const char *server_name;
    struct str *allowed_sans;
    size_t allowed_san_count;
};

struct tls_stream {
    SSL *ssl;
    struct http_tls *tls;
    const char *name; // owned
    X509 *refused;    // the peer's certificate when it was not accepted; OpenSSL drops it
    bool ready, saw_http;
};

static void ctx_free(SSL_CTX *c)
{
    SSL_CTX_free(c);
}
OWN_DEFINE(SSL_CTX *, ctx_free);
static void bio_free(BIO *b)
{
    BIO_free(b);
}
OWN_DEFINE(BIO *, bio_free);
static void x509_free(X509 *x)
{
    X509_free(x);
}
OWN_DEFINE(X509 *, x509_free);
static void pkey_free(EVP_PKEY *k)
{
    EVP_PKEY_free(k);
}
OWN_DEFINE(EVP_PKEY *, pkey_free);

/* ---- settings ---- */

static bool ssl_failed(struct err *e, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return err_set(e, ERR_INVALID, "%s: %s", what, reason ? reason : "failed");
}

// PEM text from the file or, without one, inline.
static bool read_pem(struct arena *a, const char *path, struct str text, struct str *out,
                     struct err *e)
{
    *out = text;
    return !path || file_read(a, path, PEM_MAX, out, e);
}

static BIO *bio_of(struct str s)
{
    BIO *b = BIO_new_mem_buf(s.p, (int)s.n);

    assert(b);
    return b;
}

static int no_password(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return 0; // never ask on the terminal
}

// The certificate and the chain behind it.
static bool use_certs(SSL_CTX *ctx, struct str pem, struct err *e)
{
    OWNED(bio_free) BIO *bio = bio_of(pem);
    OWNED(x509_free) X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);

    if (!leaf || SSL_CTX_use_certificate(ctx, leaf) != 1)
        return ssl_failed(e, "failed to find any PEM data in certificate input");
    for (;;) {
        OWNED(x509_free) X509 *x = PEM_read_bio_X509(bio, NULL, no_password, NULL);

        if (!x)
            break;
        if (SSL_CTX_add1_chain_cert(ctx, x) != 1)
            return ssl_failed(e, "certificate chain");
    }
    ERR_clear_error();
    return true;
}

static bool use_key(SSL_CTX *ctx, struct str pem, struct err *e)
{
    OWNED(bio_free) BIO *bio = bio_of(pem);
    OWNED(pkey_free) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);

    if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1)
        return ssl_failed(e, "failed to parse private key");
    if (SSL_CTX_check_private_key(ctx) != 1)
        return ssl_failed(e, "private key does not match public key");
    return true;
}

struct pair { // files, or inline texts where there is none
    const char *cert_file, *key_file;
    struct str cert, key;
};

static bool use_pair(SSL_CTX *ctx, struct arena *a, const struct pair *p, struct err *e)
{
    struct str cert, key;

    if (!read_pem(a, p->cert_file, p->cert, &cert, e) || !read_pem(a, p->key_file, p->key, &key, e))
        return false;
    if (!use_certs(ctx, cert, e))
        return p->cert_file ? err_wrap(e, "%s", p->cert_file) : false;
    return use_key(ctx, key, e) || (p->key_file ? err_wrap(e, "%s", p->key_file) : false);
}

// names: the certificates are also what a server tells its clients to choose from.
static bool trust(SSL_CTX *ctx, struct str pem, bool names, struct err *e)
{
    OWNED(bio_free) BIO *bio = bio_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    size_t n = 0;

    for (;; n++) {
        OWNED(x509_free) X509 *x = PEM_read_bio_X509(bio, NULL, no_password, NULL);

        if (!x)
            break;
        X509_STORE_add_cert(store, x);
        if (names)
            SSL_CTX_add_client_CA(ctx, x);
    }
    ERR_clear_error();
    return n > 0 || err_set(e, ERR_INVALID, "unable to use specified CA cert");
}

static SSL_CTX *new_ctx(bool server, int min_version, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    assert(ctx);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_min_proto_version(ctx, min_version ? min_version : TLS1_2_VERSION);
    if (max_version)
        SSL_CTX_set_max_proto_version(ctx, max_version);
    // Go still offers TLS 1.0 and 1.1 when asked to; OpenSSL only at security level 0.
    if (min_version && min_version < TLS1_2_VERSION)
        SSL_CTX_set_security_level(ctx, 0);
    return ctx;
}

static struct http_tls *new_tls(SSL_CTX *ctx, bool server)
{
    struct http_tls *t = xcalloc(1, sizeof *t);

    atomic_init(&t->refs, 1);
    t->id = rand_u64();
    t->ctx = ctx;
    t->server = server;
    return t;
}

struct http_tls *tls_get(struct http_tls *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void http_tls_free(struct http_tls *t)
{
    // release: what others did with it is over; acquire: before it is taken apart
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(t->ctx);
    arena_fini(&t->arena);
    xfree(t);
}

uint64_t tls_id(const struct http_tls *t)
{
    return t->id;
}

// Keeps what the message will be about.
static int keep_refused(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_stream *t = SSL_get_app_data(ssl);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);

    if (!ok && leaf && !t->refused && X509_up_ref(leaf))
        t->refused = leaf;
    return ok;
}

bool http_tls_new(struct http_tls **out, const struct tls_client_options *o, struct err *e)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    OWNED(ctx_free) SSL_CTX *ctx = new_ctx(false, o->min_version, o->max_version);
    OWNED(arena_fini) struct arena a = { 0 };
    struct str ca;

    if (!read_pem(&a, o->ca_file, o->ca, &ca, e))
        return err_wrap(e, "unable to load specified CA cert");
    if (!ca.n && !o->ca_file && o->insecure_skip_verify)
        ; // nothing is verified: the system's certificates, which take long to read, are not needed
    else if (!ca.n && !o->ca_file)
        SSL_CTX_set_default_verify_paths(ctx);
    else if (!trust(ctx, ca, false, e))
        return o->ca_file ? err_wrap(e, "%s", o->ca_file) : false;
    const struct pair pair = { o->cert_file, o->key_file, o->cert, o->key };
    if ((o->cert_file || o->cert.n) && !use_pair(ctx, &a, &pair, e))
        return err_wrap(e, "unable to use specified client cert");
    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1);
    SSL_CTX_set_verify(ctx, o->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       o->insecure_skip_verify ? NULL : keep_refused);
    struct http_tls *t = new_tls(TAKE(ctx), false);
    t->verify = !o->insecure_skip_verify;
    if (o->server_name && *o->server_name)
        t->server_name = arena_cstr(&t->arena, str_c(o->server_name));
    *out = t;
    return true;
}

/* ---- the server's settings ---- */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *ctx)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const struct http_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    unsigned skip = t->no_http2 ? 3 : 0;
    unsigned char *chosen;

    (void)ctx;
    if (SSL_select_next_proto(&chosen, out_n, ours + skip, sizeof ours - 1 - skip, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static void sans_free(GENERAL_NAMES *n)
{
    GENERAL_NAMES_free(n);
}
OWN_DEFINE(GENERAL_NAMES *, sans_free);

// One subject alternative name as text; false: of a kind that has none.
static bool san_text(const GENERAL_NAME *n, char *out, size_t size)
{
    const ASN1_STRING *s = NULL;

    out[0] = '\0';
    if (n->type == GEN_IPADD) {
        int len = ASN1_STRING_length(n->d.iPAddress);
        const void *ip = ASN1_STRING_get0_data(n->d.iPAddress);
        return (len == 4 || len == 16) &&
               inet_ntop(len == 4 ? AF_INET : AF_INET6, ip, out, (socklen_t)size);
    }
    if (n->type == GEN_DNS || n->type == GEN_EMAIL || n->type == GEN_URI)
        s = n->d.ia5;
    if (!s || (size_t)ASN1_STRING_length(s) >= size)
        return false;
    memcpy(out, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
    out[ASN1_STRING_length(s)] = '\0';
    return true;
}

static bool san_is_allowed(const struct http_tls *t, X509 *cert)
{
    OWNED(sans_free)
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        char text[256];

        if (!san_text(sk_GENERAL_NAME_value(names, i), text, sizeof text))
            continue;
        for (size_t n = 0; n < t->allowed_san_count; n++)
            if (str_eq(t->allowed_sans[n], str_c(text)))
                return true;
    }
    return false;
}

// The leaf comes last: then the chain is already good.
static int check_sans(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct http_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (!ok || X509_STORE_CTX_get_error_depth(store) > 0)
        return ok;
    if (san_is_allowed(t, X509_STORE_CTX_get_current_cert(store)))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static void set_client_auth(struct http_tls *t, const struct tls_server_options *o)
{
    static const int modes[] = {
        [TLS_NO_CLIENT_CERT] = SSL_VERIFY_NONE,
        [TLS_REQUEST_CLIENT_CERT] = SSL_VERIFY_PEER,
        [TLS_REQUIRE_ANY_CLIENT_CERT] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [TLS_VERIFY_CLIENT_CERT_IF_GIVEN] = SSL_VERIFY_PEER,
        [TLS_REQUIRE_AND_VERIFY_CLIENT_CERT] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    bool verified = o->client_auth >= TLS_VERIFY_CLIENT_CERT_IF_GIVEN;

    SSL_CTX_set_app_data(t->ctx, t);
    SSL_CTX_set_verify(t->ctx, modes[o->client_auth],
                       !verified                     ? accept_any
                       : o->client_allowed_san_count ? check_sans
                                                     : NULL);
    t->allowed_sans = arena_array(&t->arena, o->client_allowed_san_count, struct str);
    t->allowed_san_count = o->client_allowed_san_count;
    for (size_t i = 0; i < o->client_allowed_san_count; i++)
        t->allowed_sans[i] = arena_str(&t->arena, o->client_allowed_sans[i]);
}

bool tls_server_new(struct http_tls **out, const struct tls_server_options *o, struct err *e)
{
    OWNED(ctx_free) SSL_CTX *ctx = new_ctx(true, o->min_version, o->max_version);
    OWNED(arena_fini) struct arena a = { 0 };
    struct str ca;

    const struct pair pair = { o->cert_file, o->key_file, o->cert, o->key };

    if (!use_pair(ctx, &a, &pair, e) || !read_pem(&a, o->client_ca_file, o->client_ca, &ca, e))
        return false;
    if (ca.n && !trust(ctx, ca, true, e))
        return err_wrap(e, "client CA");
    if (o->ciphers && SSL_CTX_set_cipher_list(ctx, o->ciphers) != 1)
        return ssl_failed(e, "cipher suites");
    if (o->curves && SSL_CTX_set1_curves_list(ctx, o->curves) != 1)
        return ssl_failed(e, "curves");
    if (o->prefer_server_ciphers)
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"vigie", 5);
    struct http_tls *t = new_tls(TAKE(ctx), true);
    t->no_http2 = o->no_http2;
    set_client_auth(t, o);
    *out = t;
    return true;
}

/* ---- why a handshake failed ---- */

static const char *alert_text(int alert)
{
    switch (alert) {
    case 40:
        return "handshake failure";
    case 42:
        return "bad certificate";
    case 43:
        return "unsupported certificate";
    case 44:
        return "revoked certificate";
    case 45:
        return "expired certificate";
    case 46:
        return "unknown certificate";
    case 47:
        return "illegal parameter";
    case 48:
        return "unknown certificate authority";
    case 49:
        return "access denied";
    case 51:
        return "error decrypting message";
    case 70:
        return "protocol version not supported";
    case 71:
        return "insufficient security level";
    case 80:
        return "internal error";
    case 112:
        return "unrecognized name";
    case 116:
        return "certificate required";
    case 120:
        return "no application protocol";
    default:
        return NULL;
    }
}

// "certificate is valid for a, b, not c" and its relatives.
static bool wrong_name(struct tls_stream *t, X509 *cert, struct err *e)
{
    OWNED(sans_free)
    GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    uint8_t ip[16];
    const char *want = t->name ? t->name : "";
    bool is_ip = inet_pton(AF_INET, want, ip) == 1 || inet_pton(AF_INET6, want, ip) == 1;

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        char text[256];

        if (n->type == (is_ip ? GEN_IPADD : GEN_DNS) && san_text(n, text, sizeof text))
            buf_printf(&b, "%s%s", b.n ? ", " : "", text);
    }
    const char *prefix = "tls: failed to verify certificate: x509:";
    if (b.n)
        return err_set(e, ERR_INVALID, "%s certificate is valid for %s, not %s", prefix,
                       buf_cstr(&b), want);
    if (is_ip)
        return err_set(e, ERR_INVALID,
                       "%s cannot validate certificate for %s because it doesn't contain any IP "
                       "SANs",
                       prefix, want);
    return err_set(e, ERR_INVALID,
                   "%s certificate is not valid for any names, but wanted to match %s", prefix,
                   want);
}

static bool verify_failed(struct tls_stream *t, long code, struct err *e)
{
    const char *why;

    switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return wrong_name(t, t->refused, e);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        why = "certificate has expired or is not yet valid";
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        why = "certificate signed by unknown authority";
        break;
    default:
        why = X509_verify_cert_error_string(code);
        break;
    }
    return err_set(e, ERR_INVALID, "tls: failed to verify certificate: x509: %s", why);
}

static void explain(struct tls_stream *t, struct err *e)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    long verify = SSL_get_verify_result(t->ssl);
    const char *text = NULL;

    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK) {
        verify_failed(t, verify, e);
        return;
    }
    if (reason > ALERT_REASON_BASE)
        text = alert_text(reason - ALERT_REASON_BASE);
    if (text)
        err_set(e, ERR_IO, "remote error: tls: %s", text);
    else if (code == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        err_set(e, ERR_IO, "EOF");
    else if (reason == SSL_R_WRONG_VERSION_NUMBER && !t->tls->server)
        err_set(e, ERR_IO, "http: server gave HTTP response to HTTPS client");
    else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_UNKNOWN_PROTOCOL)
        err_set(e, ERR_IO, "tls: server selected unsupported protocol version");
    else
        err_set(e, ERR_IO, "tls: %s", ERR_reason_error_string(code));
}

/* ---- streams ---- */

void tls_stream_open(struct stream *s, struct http_tls *t, const char *name)
{
    struct tls_stream *ts = xcalloc(1, sizeof *ts);
    uint8_t ip[16];

    ts->tls = tls_get(t);
    ts->ssl = SSL_new(t->ctx);
    assert(ts->ssl);
    SSL_set_app_data(ts->ssl, ts);
    SSL_set_fd(ts->ssl, s->fd);
    s->tls = ts;
    if (t->server) {
        SSL_set_accept_state(ts->ssl);
        return;
    }
    SSL_set_connect_state(ts->ssl);
    if (t->server_name)
        name = t->server_name;
    if (!name)
        return;
    ts->name = xstrdup_str(str_c(name));
    bool is_ip = inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
    if (!is_ip)
        SSL_set_tlsext_host_name(ts->ssl, name);
    if (t->verify && is_ip)
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ts->ssl), name);
    else if (t->verify)
        SSL_set1_host(ts->ssl, name);
}

void tls_stream_close(struct stream *s)
{
    struct tls_stream *t = TAKE(s->tls);

    if (!t)
        return;
    ERR_clear_error();
    if (t->ready)
        SSL_shutdown(t->ssl);
    ERR_clear_error();
    SSL_free(t->ssl);
    X509_free(t->refused);
    http_tls_free(t->tls);
    xfree((void *)(uintptr_t)t->name);
    xfree(t);
}

bool tls_stream_has_bytes(const struct stream *s)
{
    return s->tls && SSL_has_pending(s->tls->ssl);
}

bool tls_stream_saw_http(const struct stream *s)
{
    return s->tls && s->tls->saw_http;
}

bool tls_stream_is_ready(const struct stream *s)
{
    return !s->tls || s->tls->ready;
}

struct ssl_st *tls_stream_ssl(const struct stream *s)
{
    return s->tls ? s->tls->ssl : NULL;
}

static int stream_result(struct stream *s, int r)
{
    switch (SSL_get_error(s->tls->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        s->want_read = true;
        return STREAM_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        s->want_write = true;
        return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_EOF;
    default:
        return STREAM_ERROR;
    }
}

int tls_stream_handshake(struct stream *s, struct err *e)
{
    s->want_read = s->want_write = false;
    ERR_clear_error();
    int r = SSL_do_handshake(s->tls->ssl);
    if (r == 1) {
        s->tls->ready = true;
        return 1;
    }
    r = stream_result(s, r);
    if (r == STREAM_AGAIN)
        return r;
    explain(s->tls, e);
    return STREAM_ERROR;
}

// Reading and writing finish the handshake by themselves.
static void note_ready(struct tls_stream *t)
{
    t->ready = t->ready || SSL_is_init_finished(t->ssl);
}

ssize_t tls_stream_read(struct stream *s, void *p, size_t n)
{
    size_t got;

    s->want_write = false;
    ERR_clear_error();
    int r = SSL_read_ex(s->tls->ssl, p, n, &got);
    note_ready(s->tls);
    if (r == 1)
        return (ssize_t)got;
    s->tls->saw_http = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
    r = stream_result(s, r);
    s->want_read = false; // a reader waits for readability anyway
    return r;
}

// Small pieces go out as one record; *used: bytes of v gathered.
static struct str gather(const struct iovec *v, int n, size_t skip, char *room)
{
    size_t used = 0;

    for (; n && used < RECORD_SIZE; v++, n--) {
        if (skip >= v->iov_len) {
            skip -= v->iov_len;
            continue;
        }
        const char *p = (const char *)v->iov_base + skip;
        size_t len = v->iov_len - skip;
        skip = 0;
        if (used == 0 && len >= RECORD_SIZE)
            return str_of(p, len);
        len = MIN(len, RECORD_SIZE - used);
        memcpy(room + used, p, len);
        used += len;
    }
    return str_of(room, used);
}

ssize_t tls_stream_writev(struct stream *s, const struct iovec *v, int n)
{
    char room[RECORD_SIZE];
    size_t done = 0;

    s->want_read = s->want_write = false;
    for (;;) {
        struct str piece = gather(v, n, done, room);
        size_t put;

        if (piece.n == 0)
            return (ssize_t)done;
        ERR_clear_error();
        int r = SSL_write_ex(s->tls->ssl, piece.p, piece.n, &put);
        note_ready(s->tls);
        if (r != 1) {
            r = stream_result(s, r);
            return r == STREAM_AGAIN && done ? (ssize_t)done : r == STREAM_EOF ? STREAM_ERROR : r;
        }
        done += put;
    }
}
