// http_server.c - options, listening sockets, accepting, timeouts, start and stop.
// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/time.h"

enum {
    CONNECTIONS_MAX = 512,
    READ_TIMEOUT_MS = 300000,
    HEADER_TIMEOUT_MS = 30000,
    ACCEPT_BURST = 64,
    BACKLOG = 1024,
    STOP_WAIT_MS = 5000,    // for running handlers before they are cancelled
    CANCEL_WAIT_MS = 30000, // for cancelled handlers before they are given up
};

/* ---- listening ---- */

static bool split_address(struct arena *a, const char *text, char **host, char **port,
                          struct err *e)
{
    struct str s = str_c(text);
    size_t colon = str_rfind_char(s, ':');

    if (colon == STR_NPOS)
        return err_set(e, ERR_INVALID, "expected an address such as 127.0.0.1:9090, got \"%s\"",
                       text);
    struct str h = str_sub(s, 0, colon);
    uint64_t number;
    if (!str_to_u64(str_sub(s, colon + 1, s.n), &number) || number > UINT16_MAX)
        return err_set(e, ERR_INVALID, "expected a port of 0 to 65535, got \"%s\"",
                       text + colon + 1);
    if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
        h = str_sub(h, 1, h.n - 1);
    else if (str_find_char(h, ':') != STR_NPOS)
        return err_set(e, ERR_INVALID, "an IPv6 address needs brackets: \"[%.*s]:port\"", STRF(h));
    *host = h.n ? arena_cstr(a, h) : NULL;
    *port = arena_cstr(a, str_sub(s, colon + 1, s.n));
    return true;
}

// probe: without SO_REUSEPORT, to find out whether someone else has the port.
static int bind_to(const struct sockaddr *addr, socklen_t len, bool probe)
{
    int on = 1, off = 0;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!probe)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // inherited by accepted sockets
    if (addr->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, addr, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int os = errno;
    close(fd);
    errno = os;
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;

    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static void set_port(struct sockaddr *a, int port)
{
    if (a->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)a)->sin_port = htons((uint16_t)port);
}

// One socket per loop on the same port.
static bool listen_on(struct http_server *s, size_t i, struct sockaddr *addr, socklen_t len)
{
    bool any_port = (addr->sa_family == AF_INET6 ? ((struct sockaddr_in6 *)addr)->sin6_port
                                                 : ((struct sockaddr_in *)addr)->sin_port) == 0;

    if (!any_port) {
        int probe = bind_to(addr, len, true);
        if (probe < 0)
            return false;
        close(probe);
    }
    for (unsigned l = 0; l < s->loop_count; l++) {
        int fd = bind_to(addr, len, false);
        if (fd < 0)
            return false;
        s->fds[l * s->options.listen_count + i] = fd;
        s->ports[i] = port_of(fd);
        set_port(addr, s->ports[i]);
    }
    return true;
}

static void address_free(struct addrinfo *a)
{
    if (a)
        freeaddrinfo(a);
}
OWN_DEFINE(struct addrinfo *, address_free);

static bool listen_address(struct http_server *s, size_t i, struct err *e)
{
    const char *text = s->options.listen[i];
    OWNED(address_free) struct addrinfo *found = NULL;
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    char *host, *port;

    if (!split_address(&s->arena, text, &host, &port, e))
        return false;
    if (!host)
        hints.ai_family = AF_INET6; // takes IPv4 too
    int r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return err_set(e, ERR_INVALID, "listen on %s: %s", text, gai_strerror(r));
    if (listen_on(s, i, found->ai_addr, found->ai_addrlen))
        return true;
    if (!host && errno == EAFNOSUPPORT) { // a kernel without IPv6
        struct sockaddr_in any = { .sin_family = AF_INET,
                                   .sin_port = ((struct sockaddr_in6 *)found->ai_addr)->sin6_port };
        if (listen_on(s, i, (struct sockaddr *)&any, sizeof any))
            return true;
    }
    return err_os(e, "listen on %s", text);
}

/* ---- open ---- */

static void register_metrics(struct http_server *s)
{
    static const char *const by_listener[] = { "listener_name" };
    struct str http = STR("http");

    s->open_connections = metric_plain("vigie_http_connections", "Open connections to the server.",
                                       METRIC_GAUGE);
    s->accepted = metric_child(
        metric_family("net_conntrack_listener_conn_accepted_total",
                      "Total number of connections opened to the listener of a given name.",
                      METRIC_COUNTER, by_listener, 1),
        &http);
    s->closed = metric_child(
        metric_family("net_conntrack_listener_conn_closed_total",
                      "Total number of connections closed that were made to the listener of a "
                      "given name.",
                      METRIC_COUNTER, by_listener, 1),
        &http);
}

bool http_server_open(struct http_server **out, const struct http_server_options *o, struct err *e)
{
    OWNED(http_server_close) struct http_server *s = xcalloc(1, sizeof *s);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    assert(o->listen_count > 0);
    mutex_init(&s->mu, "http server", RANK_APP);
    cond_init(&s->idle);
    s->options = *o;
    s->loop_count = o->loops ? o->loops : (unsigned)MAX(cpus, 1L);
    s->connections_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX;
    s->read_timeout_ms = o->read_timeout_ms ? o->read_timeout_ms : READ_TIMEOUT_MS;
    s->header_timeout_ms = o->header_timeout_ms ? o->header_timeout_ms : HEADER_TIMEOUT_MS;
    s->header_timeout_ms = MIN(s->header_timeout_ms, s->read_timeout_ms);
    s->sweep_ms = MAX(INT64_C(10), MIN(INT64_C(1000), s->header_timeout_ms / 4));
    if (o->web_config_path && !web_access_open(&s->web, o->web_config_path, e))
        return false;
    const struct pool_options auth = { .name = "web-auth", .threads = 2, .queue_max = 64 };
    if (s->web && !pool_start(&s->auth_pool, &auth, e))
        return false;
    s->fds = xcalloc(s->loop_count * o->listen_count, sizeof *s->fds);
    s->ports = xcalloc(o->listen_count, sizeof *s->ports);
    for (size_t i = 0; i < s->loop_count * o->listen_count; i++)
        s->fds[i] = -1;
    for (size_t i = 0; i < o->listen_count; i++)
        if (!listen_address(s, i, e))
            return false;
    register_metrics(s);
    *out = TAKE(s);
    return true;
}

void http_server_route(struct http_server *s, const struct http_route *r)
{
    assert(!s->started && r->path && r->path[0] == '/' && r->handle);
    *vec_push(&s->routes.v) = (struct http_route_entry){ .route = *r, .path = str_c(r->path) };
}

int http_server_port(const struct http_server *s, size_t i)
{
    assert(i < s->options.listen_count);
    return s->ports[i];
}

/* ---- accepting ---- */

static void name_peer(const struct sockaddr_storage *a, char *out)
{
    char ip[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in6 *v6 = (const void *)a;
    const struct sockaddr_in *v4 = (const void *)a;

    if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], ip, sizeof ip);
        snprintf(out, HTTP_PEER_SIZE, "%s:%u", ip, ntohs(v6->sin6_port));
    } else if (a->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
        snprintf(out, HTTP_PEER_SIZE, "[%s]:%u", ip, ntohs(v6->sin6_port));
    } else {
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(out, HTTP_PEER_SIZE, "%s:%u", ip, ntohs(v4->sin_port));
    }
}

static void set_listening(struct http_server_loop *l, bool on)
{
    l->listening = on;
    for (size_t i = 0; i < l->server->options.listen_count; i++)
        loop_poll_want(&l->listeners[i].poll, on ? LOOP_READ : 0);
}

// Waits until a connection ends; the sweep looks again in case nobody tells.
static void pause_accepting(struct http_server_loop *l)
{
    set_listening(l, false);
    atomic_store(&l->paused, true);
}

static void on_connect(struct loop_poll *p, int events)
{
    struct http_listener *listener = CONTAINER_OF(p, struct http_listener, poll);
    struct http_server_loop *l = listener->loop;
    struct http_server *s = l->server;

    (void)events;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage addr;
        socklen_t len = sizeof addr;
        char peer[HTTP_PEER_SIZE];

        if (atomic_fetch_add(&s->connections, 1) >= (int)s->connections_max) {
            atomic_fetch_sub(&s->connections, 1);
            pause_accepting(l);
            return;
        }
        int fd = accept4(p->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            atomic_fetch_sub(&s->connections, 1);
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                log_warn("http", "cannot accept a connection", KV("err", strerror(errno)));
                pause_accepting(l);
            }
            return;
        }
        metric_add(s->open_connections, 1);
        metric_add(s->accepted, 1);
        name_peer(&addr, peer);
        http_conn_open(l, fd, peer);
    }
}

static void on_resume(struct loop_task *t)
{
    struct http_server_loop *l = CONTAINER_OF(t, struct http_server_loop, resume);

    if (!atomic_load(&l->server->stopping))
        set_listening(l, true);
}

static void wake_stopper(struct http_server *s)
{
    if (!atomic_load(&s->stopping))
        return;
    LOCKED(&s->mu);
    cond_wake_all(&s->idle);
}

void http_server_conn_closed(struct http_server *s)
{
    metric_add(s->open_connections, -1);
    metric_add(s->closed, 1);
    int before = atomic_fetch_sub(&s->connections, 1);
    assert(before > 0);
    for (unsigned i = 0; i < s->loop_count; i++) {
        bool yes = true;
        if (atomic_compare_exchange_strong(&s->loops[i].paused, &yes, false))
            loop_post(s->loops[i].loop, &s->loops[i].resume);
    }
    wake_stopper(s);
}

void http_server_exchange_ended(struct http_server *s)
{
    int before = atomic_fetch_sub(&s->running, 1);

    assert(before > 0);
    wake_stopper(s);
}

/* ---- timeouts ---- */

static void on_sweep(struct loop_timer *t)
{
    struct http_server_loop *l = CONTAINER_OF(t, struct http_server_loop, sweep);
    uint64_t now_ms = uv_now(loop_uv(l->loop));

    for (struct http_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        http_conn_sweep(c, now_ms);
    }
    bool yes = true;
    if (atomic_compare_exchange_strong(&l->paused, &yes, false))
        on_resume(&l->resume);
}

/* ---- start and stop ---- */

static void start_on_loop(void *ctx)
{
    struct http_server_loop *l = ctx;
    struct http_server *s = l->server;
    size_t n = s->options.listen_count, at = (size_t)(l - s->loops) * n;
    struct err e;

    for (size_t i = 0; i < n; i++) {
        l->listeners[i].loop = l;
        bool ok = loop_poll_init(l->loop, &l->listeners[i].poll, s->fds[at + i], on_connect, &e);
        assert(ok);
        s->fds[at + i] = -1;
    }
    loop_timer_init(l->loop, &l->sweep, on_sweep);
    loop_timer_start(&l->sweep, s->sweep_ms, s->sweep_ms);
    set_listening(l, true);
}

bool http_server_start(struct http_server *s, struct err *e)
{
    assert(!s->started);
    http_routes_sort(s);
    s->loops = xcalloc(s->loop_count, sizeof *s->loops);
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct http_server_loop *l = &s->loops[i];
        char name[16];

        l->server = s;
        l->resume.run = on_resume;
        l->listeners = xcalloc(s->options.listen_count, sizeof *l->listeners);
        l->scratch = xmalloc(HTTP_READ_SIZE);
        l->codes = xcalloc(s->routes.v.n + 1, sizeof *l->codes);
        snprintf(name, sizeof name, "http-%u", i % 1000);
        if (!loop_start(&l->loop, name, e))
            return false;
    }
    s->started = true;
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_call(s->loops[i].loop, start_on_loop, &s->loops[i]);
    return true;
}

static void nothing(struct loop_poll *p)
{
    (void)p;
}

static void stop_soft(void *ctx)
{
    struct http_server_loop *l = ctx;

    for (size_t i = 0; i < l->server->options.listen_count; i++)
        loop_poll_close(&l->listeners[i].poll, nothing);
    for (struct http_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        http_conn_stop(c, false);
    }
}

static void stop_hard(void *ctx)
{
    struct http_server_loop *l = ctx;

    for (struct http_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        http_conn_stop(c, true);
    }
}

static void stop_timer(void *ctx)
{
    struct http_server_loop *l = ctx;

    loop_timer_close(&l->sweep, NULL);
}

static void on_loops(struct http_server *s, void (*run)(void *))
{
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_call(s->loops[i].loop, run, &s->loops[i]);
}

static bool wait_for_none(struct http_server *s, const atomic_int *count, int64_t timeout_ms)
{
    int64_t end_ns = clock_mono_ns(clock_real()) + timeout_ms * NS_MS;
    LOCKED(&s->mu);

    while (atomic_load(count) > 0) {
        int64_t left_ms = (end_ns - clock_mono_ns(clock_real())) / NS_MS;
        if (left_ms <= 0)
            return false;
        cond_wait(&s->idle, &s->mu, left_ms);
    }
    return true;
}

void http_server_stop(struct http_server *s)
{
    if (!s->started || s->stopped)
        return;
    atomic_store(&s->stopping, true);
    on_loops(s, stop_soft);
    wait_for_none(s, &s->connections, STOP_WAIT_MS);
    on_loops(s, stop_hard);
    s->stopped = wait_for_none(s, &s->running, CANCEL_WAIT_MS) &&
                 wait_for_none(s, &s->connections, CANCEL_WAIT_MS);
    if (!s->stopped)
        log_error("http", "a request handler does not end");
}

// A handler that never came back still uses the server: then it is left alone.
void http_server_close(struct http_server *s)
{
    if (!s)
        return;
    http_server_stop(s);
    if (s->started && !s->stopped)
        return;
    if (s->started)
        on_loops(s, stop_timer);
    for (unsigned i = 0; s->loops && i < s->loop_count; i++) {
        loop_stop(s->loops[i].loop);
        xfree(s->loops[i].listeners);
        xfree(s->loops[i].scratch);
        xfree(s->loops[i].codes);
        for (unsigned n = 0; n < s->loops[i].spare_count; n++)
            buf_fini(&s->loops[i].spares[n]);
    }
    for (size_t i = 0; s->fds && i < s->loop_count * s->options.listen_count; i++)
        file_close(s->fds[i]);
    pool_stop(s->auth_pool);
    web_access_close(s->web);
    http_routes_fini(&s->routes);
    xfree(s->loops);
    xfree(s->fds);
    xfree(s->ports);
    arena_fini(&s->arena);
    cond_fini(&s->idle);
    mutex_fini(&s->mu);
    xfree(s);
}
