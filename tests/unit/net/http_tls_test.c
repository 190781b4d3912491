// http_tls_test.c - TLS and passwords: server and client against each other, certificates made here.
// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "codec/base64.h"
#include "net/http_client.h"
#include "net/http_parser.h"
#include "test.h"

// bcrypt of "test", cost 4.
#define HASH_TEST "$2b$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a"

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void identity_fini(struct identity *i)
{
    EVP_PKEY_free(i->key);
    X509_free(i->cert);
}
OWN_DEFINE_FINI(struct identity, identity_fini)

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(ext && X509_add_ext(x, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

// issuer NULL: signs itself and may sign others. sans: "DNS:a,IP:127.0.0.1"; NULL: none.
static void make_identity(struct identity *out, const char *name, const char *sans,
                          const struct identity *issuer, int days)
{
    *out = (struct identity){ EVP_EC_gen("P-256"), X509_new() };
    X509 *x = out->cert, *by = issuer ? issuer->cert : x;

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)((uintptr_t)x & 0xfffffff));
    X509_gmtime_adj(X509_getm_notBefore(x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x), days * 86400L - 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(by));
    X509_set_pubkey(x, out->key);
    add_extension(x, by, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (sans)
        add_extension(x, by, NID_subject_alt_name, sans);
    CHECK(X509_sign(x, issuer ? issuer->key : out->key, EVP_sha256()) > 0);
}

static struct str pem_of(struct arena *a, const struct identity *i, bool key)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *p;

    CHECK(key ? PEM_write_bio_PrivateKey(b, i->key, NULL, NULL, 0, NULL, NULL)
              : PEM_write_bio_X509(b, i->cert));
    long n = BIO_get_mem_data(b, &p);
    struct str s = arena_str(a, str_of(p, (size_t)n));
    BIO_free(b);
    return s;
}

/* ---- a server with a web config ---- */

struct fixture {
    struct arena arena;
    const char *dir, *web;
    struct identity ca, server, other_ca, client, stranger;
    struct http_server *http;
    struct http_client *client_of_http;
    int port;
};

static const char *put_file(struct fixture *f, const char *name, struct str content)
{
    const char *path = arena_cstr(&f->arena, arena_printf(&f->arena, "%s/%s", f->dir, name));
    struct err e = { 0 };

    CHECK_OK(file_replace(path, content, &e), &e);
    return path;
}

static void handle_hello(struct http_exchange *x)
{
    buf_printf(http_body(x), "hello %.*s%s", STRF(x->req.user), x->req.tls ? " over tls" : "");
}

static void handle_big(struct http_exchange *x)
{
    struct err e;
    char block[10000];

    memset(block, 'b', sizeof block);
    for (int i = 0; i < 500; i++)
        if (!http_write(x, str_of(block, sizeof block), &e))
            return;
}

static void handle_count(struct http_exchange *x)
{
    buf_printf(http_body(x), "%zu", x->req.body.n);
}

static void fixture_open(struct fixture *f, const char *web)
{
    static const char *const listen_any[] = { "127.0.0.1:0" };
    struct err e = { 0 };

    *f = (struct fixture){ 0 };
    f->dir = file_temp_dir(&f->arena);
    make_identity(&f->ca, "test ca", NULL, NULL, 10);
    make_identity(&f->other_ca, "other ca", NULL, NULL, 10);
    make_identity(&f->server, "server", "DNS:localhost,DNS:two.example,IP:127.0.0.1", &f->ca, 10);
    make_identity(&f->client, "client", "DNS:client.example", &f->ca, 10);
    make_identity(&f->stranger, "stranger", "DNS:client.example", &f->other_ca, 10);
    put_file(f, "cert.pem", pem_of(&f->arena, &f->server, false));
    put_file(f, "key.pem", pem_of(&f->arena, &f->server, true));
    put_file(f, "ca.pem", pem_of(&f->arena, &f->ca, false));
    f->web = put_file(f, "web.yml", str_c(web));
    CHECK_OK(http_server_open(&f->http,
                              &(struct http_server_options){ .listen = listen_any,
                                                             .listen_count = 1,
                                                             .loops = 2,
                                                             .web_config_path = f->web },
                              &e),
             &e);
    http_server_route(f->http, &(struct http_route){ .path = "/hello", .handle = handle_hello });
    http_server_route(f->http, &(struct http_route){ .path = "/big", .handle = handle_big });
    http_server_route(
        f->http,
        &(struct http_route){ .path = "/count", .handle = handle_count, .body_max = 32 << 20 });
    CHECK_OK(http_server_start(f->http, &e), &e);
    f->port = http_server_port(f->http, 0);
    CHECK_OK(http_client_start(&f->client_of_http, &e), &e);
}

static void fixture_close(struct fixture *f)
{
    struct err e = { 0 };

    http_client_stop(f->client_of_http);
    http_server_close(f->http);
    CHECK_OK(file_remove_tree(f->dir, &e), &e);
    identity_fini(&f->ca);
    identity_fini(&f->other_ca);
    identity_fini(&f->server);
    identity_fini(&f->client);
    identity_fini(&f->stranger);
    arena_fini(&f->arena);
}
OWN_DEFINE_FINI(struct fixture, fixture_close)

struct answer {
    struct arena arena;
    struct http_response r;
    struct err e;
    bool ok;
};

static void answer_fini(struct answer *a)
{
    arena_fini(&a->arena);
    buf_fini(&a->r.body);
}
OWN_DEFINE_FINI(struct answer, answer_fini)

// t: the client's settings; NULL: trusts the fixture's CA.
static void ask(struct fixture *f, const char *host, const char *path,
                const struct tls_client_options *t, struct http_call_options o, struct answer *a)
{
    OWNED(http_tls_free) struct http_tls *tls = NULL;
    struct tls_client_options ours = { .ca = pem_of(&f->arena, &f->ca, false) };
    struct err e = { 0 };

    *a = (struct answer){ 0 };
    CHECK_OK(http_tls_new(&tls, t ? t : &ours, &e), &e);
    o.tls = tls;
    o.timeout_ms = 15000;
    o.url = arena_printf(&f->arena, "https://%s:%d%s", host, f->port, path);
    a->ok = http_client_wait(f->client_of_http, &o, &a->arena, &a->r, &a->e);
}

#define TLS_CONFIG "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"

TEST(http_tls_serves)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(answer_fini) struct answer a = { 0 };
    OWNED(answer_fini) struct answer big = { 0 };
    OWNED(answer_fini) struct answer post = { 0 };
    OWNED(buf_fini) struct buf body = { 0 };

    fixture_open(&f, TLS_CONFIG);
    ask(&f, "127.0.0.1", "/hello", NULL, (struct http_call_options){ 0 }, &a);
    CHECK_OK(a.ok, &a.e);
    CHECK_STR(buf_view(&a.r.body), STR("hello  over tls"));
    ask(&f, "localhost", "/big", NULL, (struct http_call_options){ 0 }, &big);
    CHECK_OK(big.ok, &big.e);
    CHECK(big.r.body.n == 5000000);
    memset(buf_room(&body, 20 << 20), 'x', 20 << 20);
    body.n = 20 << 20;
    ask(&f, "localhost", "/count", NULL,
        (struct http_call_options){ .method = STR("POST"), .body = buf_view(&body) }, &post);
    CHECK_OK(post.ok, &post.e);
    CHECK_STR(buf_view(&post.r.body), STR("20971520"));
}

TEST(http_tls_connections_are_kept)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(http_tls_free) struct http_tls *tls = NULL;
    OWNED(arena_fini) struct arena m = { 0 };
    struct err e = { 0 };

    fixture_open(&f, TLS_CONFIG);
    CHECK_OK(http_tls_new(&tls, &(struct tls_client_options){ .insecure_skip_verify = true }, &e),
             &e);
    for (int i = 0; i < 50; i++) {
        OWNED(answer_fini) struct answer a = { 0 };
        struct http_call_options o = { .tls = tls,
                                       .timeout_ms = 15000,
                                       .url = arena_printf(&m, "https://127.0.0.1:%d/hello",
                                                           f.port) };

        a.ok = http_client_wait(f.client_of_http, &o, &a.arena, &a.r, &a.e);
        CHECK_OK(a.ok, &a.e);
    }
}

TEST(http_tls_verification_and_its_words)
{
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f, TLS_CONFIG);
    struct str ca = pem_of(&f.arena, &f.ca, false), other = pem_of(&f.arena, &f.other_ca, false);
    const char *ca_file = arena_cstr(&f.arena, arena_printf(&f.arena, "%s/ca.pem", f.dir));
    const struct {
        struct tls_client_options t;
        const char *text; // NULL: works
    } cases[] = {
        { { .ca_file = ca_file }, NULL },
        { { .insecure_skip_verify = true }, NULL },
        { { .ca = other, .insecure_skip_verify = true }, NULL },
        { { .ca = ca, .server_name = "two.example" }, NULL },
        { { .ca = other },
          "tls: failed to verify certificate: x509: certificate signed by unknown authority" },
        { { 0 },
          "tls: failed to verify certificate: x509: certificate signed by unknown authority" },
        { { .ca = ca, .server_name = "three.example" },
          "tls: failed to verify certificate: x509: certificate is valid for localhost, "
          "two.example, not three.example" },
        { { .ca = ca, .server_name = "10.1.2.3" },
          "x509: certificate is valid for 127.0.0.1, not 10.1.2.3" },
    };
    FOR_CASES (t, cases) {
        OWNED(answer_fini) struct answer a = { 0 };

        ask(&f, "127.0.0.1", "/hello", &t->t, (struct http_call_options){ 0 }, &a);
        CHECK_F(a.ok == !t->text, "%s", a.e.text);
        if (t->text)
            CHECK_F(strstr(a.e.text, t->text), "%s", a.e.text);
    }
}

TEST(http_tls_client_certificates)
{
    static const struct {
        const char *config; // added to the TLS section
        bool none, good, stranger;
    } cases[] = {
        { "  client_auth_type: RequestClientCert\n", true, true, true },
        { "  client_auth_type: RequireAnyClientCert\n", false, true, true },
        { "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n", true, true,
          false },
        { "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n", false, true,
          false },
        { "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  "
          "client_allowed_sans: [x, client.example]\n",
          false, true, false },
        { "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  "
          "client_allowed_sans: [x]\n",
          false, false, false },
    };

    FOR_CASES (t, cases) {
        OWNED(fixture_close) struct fixture f;
        OWNED(arena_fini) struct arena m = { 0 };

        fixture_open(&f, arena_cstr(&m, arena_printf(&m, TLS_CONFIG "%s", t->config)));
        struct str ca = pem_of(&f.arena, &f.ca, false);
        const struct {
            struct tls_client_options t;
            bool ok;
        } clients[] = {
            { { .ca = ca }, t->none },
            { { .ca = ca,
                .cert = pem_of(&f.arena, &f.client, false),
                .key = pem_of(&f.arena, &f.client, true) },
              t->good },
            { { .ca = ca,
                .cert = pem_of(&f.arena, &f.stranger, false),
                .key = pem_of(&f.arena, &f.stranger, true) },
              t->stranger },
        };
        FOR_CASES (c, clients) {
            OWNED(answer_fini) struct answer a = { 0 };

            ask(&f, "127.0.0.1", "/hello", &c->t, (struct http_call_options){ 0 }, &a);
            CHECK_F(a.ok == c->ok, "%s client %d: %s", t->config, (int)(c - clients), a.e.text);
        }
    }
}

TEST(http_tls_versions)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(answer_fini) struct answer a = { 0 };
    OWNED(answer_fini) struct answer old = { 0 };

    fixture_open(&f, TLS_CONFIG "  min_version: TLS13\n");
    struct str ca = pem_of(&f.arena, &f.ca, false);
    ask(&f, "127.0.0.1", "/hello", &(struct tls_client_options){ .ca = ca },
        (struct http_call_options){ 0 }, &a);
    CHECK_OK(a.ok, &a.e);
    ask(&f, "127.0.0.1", "/hello", &(struct tls_client_options){ .ca = ca, .max_version = 0x0303 },
        (struct http_call_options){ 0 }, &old);
    CHECK(!old.ok && strstr(old.e.text, "remote error: tls: protocol version not supported"));
}

TEST(http_tls_new_certificate_without_restart)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(identity_fini) struct identity fresh = { 0 };

    fixture_open(&f, TLS_CONFIG);
    OWNED(answer_fini) struct answer first = { 0 };
    ask(&f, "127.0.0.1", "/hello", NULL, (struct http_call_options){ 0 }, &first);
    CHECK(first.ok);
    make_identity(&fresh, "fresh", "IP:127.0.0.1", &f.other_ca, 10);
    put_file(&f, "cert.pem", pem_of(&f.arena, &fresh, false)); // does not fit the key yet
    OWNED(answer_fini) struct answer meanwhile = { 0 };
    ask(&f, "127.0.0.1", "/hello", NULL, (struct http_call_options){ 0 }, &meanwhile);
    CHECK(meanwhile.ok);
    put_file(&f, "key.pem", pem_of(&f.arena, &fresh, true));
    OWNED(answer_fini) struct answer after = { 0 };
    struct tls_client_options other = { .ca = pem_of(&f.arena, &f.other_ca, false) };
    ask(&f, "127.0.0.1", "/hello", &other, (struct http_call_options){ 0 }, &after);
    CHECK_OK(after.ok, &after.e);
}

TEST(http_tls_expired_certificate)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(identity_fini) struct identity expired = { 0 };
    OWNED(answer_fini) struct answer a = { 0 };

    fixture_open(&f, TLS_CONFIG);
    make_identity(&expired, "expired", "IP:127.0.0.1", &f.ca, 0);
    put_file(&f, "key.pem", pem_of(&f.arena, &expired, true));
    put_file(&f, "cert.pem", pem_of(&f.arena, &expired, false));
    ask(&f, "127.0.0.1", "/hello", NULL, (struct http_call_options){ 0 }, &a);
    CHECK(!a.ok && strstr(a.e.text, "x509: certificate has expired or is not yet valid"));
}

/* ---- plain and TLS by mistake ---- */

static int dial(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct timeval limit = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

TEST(http_tls_plain_request_is_told)
{
    OWNED(fixture_close) struct fixture f;
    struct str request = STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    char text[400] = "";
    size_t n = 0;

    fixture_open(&f, TLS_CONFIG);
    int fd = dial(f.port);
    CHECK(send(fd, request.p, request.n, MSG_NOSIGNAL) == (ssize_t)request.n);
    for (ssize_t got;
         n < sizeof text - 1 && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0;)
        n += (size_t)got;
    close(fd);
    CHECK_F(strstr(text, "400 Bad Request") && strstr(text, "HTTP request to an HTTPS server"),
            "%s", text);
}

TEST(http_tls_client_of_a_plain_server_is_told)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(answer_fini) struct answer a = { 0 };

    fixture_open(&f, "");
    ask(&f, "127.0.0.1", "/hello", NULL, (struct http_call_options){ 0 }, &a);
    CHECK_F(!a.ok && strstr(a.e.text, "http: server gave HTTP response to HTTPS client"), "%s",
            a.e.text);
}

/* ---- passwords and headers ---- */

static void ask_plain(struct fixture *f, const char *user, const char *method, struct str body,
                      struct answer *a)
{
    struct http_call_options o = { .timeout_ms = 15000, .method = str_c(method), .body = body };

    *a = (struct answer){ 0 };
    o.url = arena_printf(&f->arena, "http://%s127.0.0.1:%d/%s", user, f->port,
                         body.n ? "count" : "hello");
    a->ok = http_client_wait(f->client_of_http, &o, &a->arena, &a->r, &a->e);
}

TEST(http_server_basic_auth)
{
    static const struct {
        const char *user;
        int status;
        const char *body;
    } cases[] = {
        { "", 401, "Unauthorized\n" },
        { "alice:wrong@", 401, "Unauthorized\n" },
        { "nobody:test@", 401, "Unauthorized\n" },
        { "alice:test@", 200, "hello alice" },
        { "alice:test@", 200, "hello alice" },
        { "bob:test@", 200, "hello bob" },
        { "bob:@", 401, "Unauthorized\n" },
    };
    OWNED(fixture_close) struct fixture f;

    fixture_open(&f, "basic_auth_users:\n  alice: " HASH_TEST "\n  bob: " HASH_TEST "\n"
                     "http_server_config:\n  headers:\n    X-Frame-Options: deny\n");
    FOR_CASES (t, cases) {
        OWNED(answer_fini) struct answer a = { 0 };

        ask_plain(&f, t->user, "GET", STR_NONE, &a);
        CHECK_OK(a.ok, &a.e);
        CHECK_F(a.r.status == t->status, "%s: %d", t->user, a.r.status);
        CHECK_STR(buf_view(&a.r.body), str_c(t->body));
        struct str challenge = http_header_find(a.r.headers, a.r.header_count,
                                                STR("WWW-Authenticate"));
        CHECK_STR(challenge, t->status == 401 ? STR("Basic") : STR(""));
        CHECK_STR(http_header_find(a.r.headers, a.r.header_count, STR("X-Frame-Options")),
                  STR("deny"));
    }
}

TEST(http_server_basic_auth_of_bodies)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(buf_fini) struct buf body = { 0 };
    OWNED(answer_fini) struct answer good = { 0 };
    OWNED(answer_fini) struct answer bad = { 0 };

    fixture_open(&f, "basic_auth_users:\n  alice: " HASH_TEST "\n");
    memset(buf_room(&body, 3 << 20), 'x', 3 << 20);
    body.n = 3 << 20;
    // The body comes while the password is being hashed.
    ask_plain(&f, "alice:test@", "POST", buf_view(&body), &good);
    CHECK_OK(good.ok, &good.e);
    CHECK_STR(buf_view(&good.r.body), STR("3145728"));
    ask_plain(&f, "alice:nope@", "POST", buf_view(&body), &bad);
    CHECK_OK(bad.ok, &bad.e);
    CHECK(bad.r.status == 401);
}

TEST(http_server_client_leaves_while_the_password_is_hashed)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(answer_fini) struct answer a = { 0 };

    fixture_open(&f, "basic_auth_users:\n  alice: " HASH_TEST "\n");
    for (int i = 0; i < 20; i++) {
        OWNED(buf_fini) struct buf b = { 0 }, plain = { 0 };
        int fd = dial(f.port);

        buf_printf(&plain, "alice:%d", i);
        buf_lit(&b, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ");
        buf_base64(&b, buf_view(&plain));
        buf_lit(&b, "\r\n\r\n");
        CHECK(send(fd, b.p, b.n, MSG_NOSIGNAL) == (ssize_t)b.n);
        close(fd);
    }
    ask_plain(&f, "alice:test@", "GET", STR_NONE, &a);
    CHECK(a.ok && a.r.status == 200);
}

/* ---- https through a proxy ---- */

struct tunnel {
    int fd, port, target_port;
    struct thread thread;
};

// Takes one CONNECT and then copies bytes both ways until either side ends.
static void *run_tunnel(void *ctx)
{
    struct tunnel *t = ctx;
    char block[16384];
    int in = accept(t->fd, NULL, NULL);
    struct str head = { block, 0 };

    while (str_find(head, STR("\r\n\r\n")) == STR_NPOS) {
        ssize_t n = recv(in, block + head.n, sizeof block - head.n, 0);
        if (n <= 0)
            return NULL;
        head.n += (size_t)n;
    }
    int out = dial(t->target_port);
    struct str ok = STR("HTTP/1.1 200 Connection established\r\n\r\n");
    send(in, ok.p, ok.n, MSG_NOSIGNAL);
    for (;;) {
        fd_set r;
        FD_ZERO(&r);
        FD_SET(in, &r);
        FD_SET(out, &r);
        if (select(MAX(in, out) + 1, &r, NULL, NULL, NULL) < 0)
            break;
        int from = FD_ISSET(in, &r) ? in : out;
        ssize_t n = recv(from, block, sizeof block, 0);
        if (n <= 0 || send(from == in ? out : in, block, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    }
    close(in);
    close(out);
    return NULL;
}

TEST(http_client_https_through_a_proxy)
{
    OWNED(fixture_close) struct fixture f;
    OWNED(answer_fini) struct answer a = { 0 };
    struct sockaddr_in any = { .sin_family = AF_INET };
    socklen_t n = sizeof any;
    struct tunnel t = { 0 };
    struct err e = { 0 };

    fixture_open(&f, TLS_CONFIG);
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    t.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(t.fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(t.fd, 4) == 0);
    CHECK(getsockname(t.fd, (struct sockaddr *)&any, &n) == 0);
    t.port = ntohs(any.sin_port);
    t.target_port = f.port;
    CHECK_OK(thread_start(&t.thread, "tunnel", run_tunnel, &t, &e), &e);
    // The name is the proxy's to resolve; the certificate has it.
    ask(&f, "two.example", "/hello", NULL,
        (struct http_call_options){
            .proxy_url = arena_printf(&f.arena, "http://127.0.0.1:%d", t.port) },
        &a);
    CHECK_OK(a.ok, &a.e);
    CHECK_STR(buf_view(&a.r.body), STR("hello  over tls"));
    http_client_stop(TAKE(f.client_of_http));
    thread_join(&t.thread);
    close(t.fd);
}
