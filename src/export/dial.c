// dial.c - see dial.h.
// SPDX-License-Identifier: Apache-2.0
#include "export/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/thread.h"
#include "net/tls.h"

enum { ADDRESSES_MAX = 32 };

struct network {
    unsigned char bytes[16]; // IPv4 as ::ffff:a.b.c.d
    unsigned bits;
};

struct dialer {
    struct pool *pool;
    struct network *allow;
    size_t allow_count;
};

/* ---- addresses ---- */

bool dial_address_is_v6(const struct dial_address *a)
{
    return a->sa.ss_family == AF_INET6;
}

void buf_dial_address(struct buf *b, const struct dial_address *a)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (a->sa.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&a->sa)->sin6_addr, text, sizeof text);
    else
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&a->sa)->sin_addr, text, sizeof text);
    buf_str(b, str_c(text));
}

bool dial_address_parse(struct str text, struct dial_address *out)
{
    char c[INET6_ADDRSTRLEN + 1];
    struct dial_address a = { 0 };
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.sa;

    if (text.n == 0 || text.n >= sizeof c)
        return false;
    memcpy(c, text.p, text.n);
    c[text.n] = 0;
    if (inet_pton(AF_INET, c, &v4->sin_addr) == 1) {
        a.sa.ss_family = AF_INET;
        a.n = sizeof *v4;
    } else if (inet_pton(AF_INET6, c, &v6->sin6_addr) == 1) {
        a.sa.ss_family = AF_INET6;
        a.n = sizeof *v6;
    } else {
        return false;
    }
    *out = a;
    return true;
}

void dial_address_set_port(struct dial_address *a, int port)
{
    if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&a->sa)->sin_port = htons((uint16_t)port);
}

static void bytes_of(const struct dial_address *a, unsigned char out[16])
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (a->sa.ss_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)&a->sa)->sin6_addr, 16);
        return;
    }
    memcpy(out, mapped, 12);
    memcpy(out + 12, &((const struct sockaddr_in *)&a->sa)->sin_addr, 4);
}

static bool network_parse(struct network *out, const char *text, struct err *e)
{
    struct str rest = str_c(text), host = str_cut(&rest, '/');
    struct dial_address a;
    uint64_t bits;

    if (!dial_address_parse(host, &a))
        return err_set(e, ERR_INVALID, "expected a network such as 10.0.0.0/8, got \"%s\"", text);
    unsigned width = dial_address_is_v6(&a) ? 128 : 32;
    bits = width;
    if (rest.p && (!str_to_u64(rest, &bits) || bits > width))
        return err_set(e, ERR_INVALID, "expected 0 to %u bits of network, got \"%s\"", width, text);
    bytes_of(&a, out->bytes);
    out->bits = (unsigned)bits + (128 - width);
    return true;
}

static bool network_has(const struct network *n, const unsigned char ip[16])
{
    size_t whole = n->bits / 8;
    unsigned rest = n->bits % 8;

    if (memcmp(n->bytes, ip, whole) != 0)
        return false;
    return !rest || (n->bytes[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

bool dialer_check(const struct dialer *d, const struct dial_address *a, struct err *e)
{
    unsigned char ip[16];
    OWNED(buf_fini) struct buf b = { 0 };

    bytes_of(a, ip);
    for (size_t i = 0; i < d->allow_count; i++)
        if (network_has(&d->allow[i], ip))
            return true;
    if (!d->allow_count)
        return true;
    buf_dial_address(&b, a);
    return err_set(e, ERR_DENIED, "address %s is not allowed", buf_cstr(&b));
}

bool dialer_open(struct dialer **out, const struct dialer_options *o, struct err *e)
{
    OWNED(dialer_close) struct dialer *d = xcalloc(1, sizeof *d);

    d->allow = xcalloc(o->allow_count, sizeof *d->allow);
    for (size_t i = 0; i < o->allow_count; i++)
        if (!network_parse(&d->allow[d->allow_count++], o->allow[i], e))
            return false;
    if (!pool_start(&d->pool,
                    &(struct pool_options){ .name = "resolve",
                                            .threads = o->threads ? o->threads : 8,
                                            .queue_max = 256 },
                    e))
        return false;
    *out = TAKE(d);
    return true;
}

void dialer_close(struct dialer *d)
{
    if (!d)
        return;
    pool_stop(d->pool);
    xfree(d->allow);
    xfree(d);
}

/* ---- resolving ---- */

struct lookup { // shared by who waits and who works: the last one frees
    atomic_int refs;
    struct mutex mu;
    struct cond cond;
    bool done; // under mu, as all below
    int family, code, n;
    struct dial_address v[ADDRESSES_MAX];
    char host[256];
};

static void lookup_put(struct lookup *l)
{
    // acq_rel: what the other side wrote happens before the end
    if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
        return;
    mutex_fini(&l->mu);
    cond_fini(&l->cond);
    xfree(l);
}
OWN_DEFINE(struct lookup *, lookup_put)

static void lookup_run(void *ctx)
{
    struct lookup *l = ctx;
    struct addrinfo hints = { .ai_family = l->family, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    int code = getaddrinfo(l->host, NULL, &hints, &list);

    mutex_lock(&l->mu);
    l->code = code;
    for (struct addrinfo *i = list; i && l->n < ADDRESSES_MAX; i = i->ai_next) {
        struct dial_address *a = &l->v[l->n];
        if (i->ai_addrlen > sizeof a->sa)
            continue;
        memcpy(&a->sa, i->ai_addr, i->ai_addrlen);
        a->n = i->ai_addrlen;
        l->n++;
    }
    l->done = true;
    cond_wake_all(&l->cond);
    mutex_unlock(&l->mu);
    if (list)
        freeaddrinfo(list);
    lookup_put(l);
}

static int64_t left_ms(int64_t deadline_mono_ns)
{
    int64_t left = deadline_mono_ns - clock_mono_ns(clock_real());

    return left > 0 ? (left + NS_MS - 1) / NS_MS : 0;
}

static bool lookup_wait(struct lookup *l, int64_t deadline_mono_ns, struct err *e)
{
    LOCKED(&l->mu);

    while (!l->done) {
        int64_t ms = left_ms(deadline_mono_ns);
        if (ms <= 0)
            return err_set(e, ERR_TIMEOUT, "lookup %s: i/o timeout", l->host);
        (void)cond_wait(&l->cond, &l->mu, ms);
    }
    if (l->code == 0 && l->n)
        return true;
    if (l->code == EAI_AGAIN)
        return err_set(e, ERR_UNAVAILABLE, "lookup %s: server misbehaving", l->host);
    return err_set(e, ERR_NOT_FOUND, "lookup %s: no such host", l->host);
}

bool dialer_resolve(struct dialer *d, struct arena *a, struct str host, int family,
                    int64_t deadline_mono_ns, struct dial_address **out, size_t *n, struct err *e)
{
    struct dial_address one;

    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 1);
    if (dial_address_parse(host, &one)) {
        if (family != AF_UNSPEC && one.sa.ss_family != family)
            return err_set(e, ERR_NOT_FOUND, "address %.*s: no suitable address found", STRF(host));
        *out = arena_copy(a, &one, sizeof one);
        *n = 1;
        return true;
    }
    OWNED(lookup_put) struct lookup *l = xcalloc(1, sizeof *l);
    atomic_init(&l->refs, 1);
    mutex_init(&l->mu, "lookup", RANK_LEAF);
    cond_init(&l->cond);
    if (host.n == 0 || host.n >= sizeof l->host || memchr(host.p, 0, host.n))
        return err_set(e, ERR_NOT_FOUND, "lookup %.*s: no such host", STRF(host));
    memcpy(l->host, host.p, host.n);
    l->family = family;
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    if (!pool_submit(d->pool, lookup_run, l, e)) {
        lookup_put(l);
        return false;
    }
    if (!lookup_wait(l, deadline_mono_ns, e))
        return false;
    *out = arena_copy(a, l->v, (size_t)l->n * sizeof *l->v); // done: nobody writes any more
    *n = (size_t)l->n;
    return true;
}

/* ---- connections ---- */

bool dial_wait(const struct dial *d, int events, struct err *e)
{
    for (;;) {
        struct pollfd p = { .fd = d->s.fd, .events = (short)events };
        int64_t ms = left_ms(d->deadline_mono_ns);
        int r = ms > 0 ? poll(&p, 1, (int)MIN(ms, (int64_t)INT32_MAX)) : 0;

        if (r > 0)
            return true;
        if (r == 0)
            return err_set(e, ERR_TIMEOUT, "i/o timeout");
        if (errno != EINTR)
            return err_os(e, "poll");
    }
}

static const char *errno_text(int code)
{
    switch (code) {
    case ECONNREFUSED:
        return "connection refused";
    case EHOSTUNREACH:
        return "no route to host";
    case ENETUNREACH:
        return "network is unreachable";
    case ECONNRESET:
        return "connection reset by peer";
    case ETIMEDOUT:
        return "connection timed out";
    case ENOENT:
        return "no such file or directory";
    case EACCES:
        return "permission denied";
    case EADDRNOTAVAIL:
        return "cannot assign requested address";
    default:
        return strerrordesc_np(code) ? strerrordesc_np(code) : "failed";
    }
}

static bool failed(struct dial *d, const char *what, struct str to, int code, struct err *e)
{
    dial_end(d);
    return err_set(e, ERR_IO, "dial %s %.*s: connect: %s", what, STRF(to), errno_text(code));
}

static bool connect_to(struct dial *d, const void *sa, socklen_t n, const char *what, struct str to,
                       struct err *e)
{
    int code = 0;
    socklen_t size = sizeof code;

    if (connect(d->s.fd, sa, n) == 0)
        return true;
    if (errno != EINPROGRESS && errno != EAGAIN)
        return failed(d, what, to, errno, e);
    if (!dial_wait(d, POLLOUT, e)) {
        dial_end(d);
        return err_wrap(e, "dial %s %.*s", what, STRF(to));
    }
    if (getsockopt(d->s.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    return !code || failed(d, what, to, code, e);
}

static bool dial_ip(struct dial *d, int type, const struct dial_address *to,
                    const struct dial_address *source, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const char *what = type == SOCK_STREAM ? "tcp" : "udp";
    bool v6 = dial_address_is_v6(to);
    int one = 1;

    if (v6)
        buf_char(&b, '[');
    buf_dial_address(&b, to);
    buf_printf(&b, "%s:%d", v6 ? "]" : "",
               ntohs(v6 ? ((const struct sockaddr_in6 *)&to->sa)->sin6_port
                        : ((const struct sockaddr_in *)&to->sa)->sin_port));
    d->s = (struct stream){ .fd = socket(to->sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                         0) };
    if (d->s.fd < 0)
        return failed(d, what, buf_view(&b), errno, e);
    if (type == SOCK_STREAM)
        setsockopt(d->s.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (source && bind(d->s.fd, (const struct sockaddr *)&source->sa, source->n) < 0)
        return failed(d, what, buf_view(&b), errno, e);
    return connect_to(d, &to->sa, to->n, what, buf_view(&b), e);
}

bool dial_tcp(struct dial *d, const struct dial_address *to, const struct dial_address *source,
              struct err *e)
{
    return dial_ip(d, SOCK_STREAM, to, source, e);
}

bool dial_udp(struct dial *d, const struct dial_address *to, const struct dial_address *source,
              struct err *e)
{
    return dial_ip(d, SOCK_DGRAM, to, source, e);
}

bool dial_unix(struct dial *d, struct str path, struct err *e)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    if (path.n == 0 || path.n >= sizeof sa.sun_path)
        return err_set(e, ERR_INVALID, "dial unix %.*s: connect: invalid argument", STRF(path));
    memcpy(sa.sun_path, path.p, path.n);
    d->s = (struct stream){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
    if (d->s.fd < 0)
        return failed(d, "unix", path, errno, e);
    return connect_to(d, &sa, sizeof sa, "unix", path, e);
}

bool dial_host(struct dial *d, struct dialer *by, struct str host, int port, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct dial_address *v;
    size_t n;

    if (!dialer_resolve(by, &a, host, AF_UNSPEC, d->deadline_mono_ns, &v, &n, e))
        return err_wrap(e, "dial tcp");
    for (size_t i = 0; i < n; i++) {
        dial_address_set_port(&v[i], port);
        if (dialer_check(by, &v[i], e) && dial_tcp(d, &v[i], NULL, e))
            return true;
    }
    return false;
}

bool dial_tls(struct dial *d, struct http_tls *tls, const char *name, bool h2, struct err *e)
{
    static const unsigned char alpn[] = "\x02h2";
    int r;

    tls_stream_open(&d->s, tls, name);
    if (h2)
        SSL_set_alpn_protos(tls_stream_ssl(&d->s), alpn, sizeof alpn - 1);
    while ((r = tls_stream_handshake(&d->s, e)) == STREAM_AGAIN)
        if (!dial_wait(d, d->s.want_write ? POLLOUT : POLLIN, e))
            return err_wrap(e, "tls handshake");
    return r == 1;
}

void dial_end(struct dial *d)
{
    if (d->s.tls)
        tls_stream_close(&d->s);
    if (d->s.fd >= 0)
        close(d->s.fd);
    d->s = (struct stream){ .fd = -1 };
}

bool dial_write(struct dial *d, struct str bytes, struct err *e)
{
    while (bytes.n) {
        struct iovec v = { (void *)(uintptr_t)bytes.p, bytes.n };
        ssize_t n = stream_writev(&d->s, &v, 1);

        if (n == STREAM_AGAIN) {
            if (!dial_wait(d, d->s.want_read ? POLLIN : POLLOUT, e))
                return err_wrap(e, "write");
            continue;
        }
        if (n < 0)
            return err_set(e, ERR_IO, "write: %s", errno_text(errno));
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return true;
}

bool dial_read(struct dial *d, void *p, size_t max, size_t *n, struct err *e)
{
    for (;;) {
        ssize_t got = stream_read(&d->s, p, max);

        if (got >= 0) {
            *n = (size_t)got;
            return true;
        }
        if (got == STREAM_ERROR)
            return err_set(e, ERR_IO, "read: %s", d->s.tls ? "unexpected EOF" : errno_text(errno));
        if (!dial_wait(d, d->s.want_write ? POLLOUT : POLLIN, e))
            return err_wrap(e, "read");
    }
}
