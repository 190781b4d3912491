// line_server.c - one poll loop over listeners, connections and a datagram socket.
// SPDX-License-Identifier: Apache-2.0
#include "net/line_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/vec.h"

enum {
    DATAGRAM_MAX = 64 << 10,
    READ_BYTES = 64 << 10,
    CONNECTIONS_MAX = 256,
    DATAGRAMS_A_TURN = 4096
};

struct connection {
    int fd;
    struct buf in; // an unfinished line, then what is read
    int64_t active_mono_ns;
};

struct line_server {
    struct line_server_options o;
    int tcp, udp, wake; // −1: none
    int port;
    VEC(struct connection *) connections;
    VEC(struct pollfd) polls;
    struct buf datagrams;
    int64_t next_tick_mono_ns;
    struct thread thread;
};

/* ---- sockets ---- */

static void address_free(struct addrinfo *a)
{
    if (a)
        freeaddrinfo(a);
}
OWN_DEFINE(struct addrinfo *, address_free)

static int bind_socket(const struct addrinfo *a, int type)
{
    int on = 1, off = 0;
    int fd = socket(a->ai_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && (type != SOCK_STREAM || listen(fd, 128) == 0))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0)
        return 0;
    return ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&ss)->sin6_port)
                                    : ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

static void set_port(struct addrinfo *a, int port)
{
    if (a->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)a->ai_addr)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)a->ai_addr)->sin_port = htons((uint16_t)port);
}

static bool open_sockets(struct line_server *s, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(address_free) struct addrinfo *found = NULL;
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct str text = str_c(s->o.address);
    size_t colon = str_rfind_char(text, ':');

    if (colon == STR_NPOS)
        return err_set(e, ERR_INVALID, "expected an address such as 127.0.0.1:2003, got \"%s\"",
                       s->o.address);
    struct str host = str_sub(text, 0, colon);
    if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 1);
    int r = getaddrinfo(host.n ? arena_cstr(&a, host) : "0.0.0.0",
                        arena_cstr(&a, str_sub(text, colon + 1, text.n)), &hints, &found);
    if (r != 0)
        return err_set(e, ERR_INVALID, "listen on %s: %s", s->o.address, gai_strerror(r));
    if (s->o.tcp && (s->tcp = bind_socket(found, SOCK_STREAM)) < 0)
        return err_os(e, "listen on %s (TCP)", s->o.address);
    s->port = s->tcp >= 0 ? port_of(s->tcp) : 0;
    if (s->port)
        set_port(found, s->port);
    if (s->o.udp && (s->udp = bind_socket(found, SOCK_DGRAM)) < 0)
        return err_os(e, "listen on %s (UDP)", s->o.address);
    if (!s->port)
        s->port = port_of(s->udp);
    int room = 8 << 20; // as much of it as the kernel allows
    if (s->udp >= 0)
        setsockopt(s->udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return true;
}

/* ---- connections ---- */

static void connection_free(struct connection *c)
{
    file_close(c->fd);
    buf_fini(&c->in);
    xfree(c);
}

// Passes whole lines on; at the end of the stream the rest, too.
static void pass_lines(struct line_server *s, struct connection *c, bool end)
{
    size_t n = c->in.n;

    while (!end && n && c->in.p[n - 1] != '\n')
        n--;
    if (!n)
        return;
    s->o.lines(s->o.ctx, str_of(c->in.p, n));
    memmove(c->in.p, c->in.p + n, c->in.n - n);
    c->in.n -= n;
}

// False: the connection is over.
static bool read_connection(struct line_server *s, struct connection *c)
{
    ssize_t got;

    while (c->in.n < LINE_SERVER_RUN_MAX) {
        got = read(c->fd, buf_room(&c->in, READ_BYTES), READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        c->in.n += (size_t)got;
        c->active_mono_ns = clock_mono_ns(clock_real());
        if (got < READ_BYTES)
            break;
    }
    bool over = c->in.n < LINE_SERVER_RUN_MAX && (got == 0 || (got < 0 && errno != EAGAIN));
    pass_lines(s, c, over);
    if (c->in.n > LINE_SERVER_LINE_MAX) {
        log_warn("net", "a line is too long, the connection ends", KV("server", s->o.name));
        return false;
    }
    return !over;
}

static void accept_all(struct line_server *s)
{
    while (s->connections.n < s->o.connections_max) {
        int fd = accept4(s->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        struct connection *c = xcalloc(1, sizeof *c);
        c->fd = fd;
        c->active_mono_ns = clock_mono_ns(clock_real());
        *vec_push(&s->connections) = c;
    }
}

static void read_datagrams(struct line_server *s)
{
    buf_reset(&s->datagrams);
    for (int i = 0; i < DATAGRAMS_A_TURN && s->datagrams.n < LINE_SERVER_RUN_MAX; i++) {
        ssize_t got = recv(s->udp, buf_room(&s->datagrams, DATAGRAM_MAX), DATAGRAM_MAX, 0);

        if (got < 0)
            break;
        s->datagrams.n += (size_t)got;
        buf_char(&s->datagrams, '\n');
    }
    if (s->datagrams.n)
        s->o.lines(s->o.ctx, buf_view(&s->datagrams));
}

/* ---- the loop ---- */

static int wait_ms(const struct line_server *s)
{
    int64_t left;

    if (!s->o.tick)
        return 10000;
    left = (s->next_tick_mono_ns - clock_mono_ns(clock_real())) / NS_MS;
    return (int)MIN(MAX(left, INT64_C(0)), INT64_C(10000));
}

static void add_poll(struct line_server *s, int fd, bool wanted)
{
    *vec_push(&s->polls) = (struct pollfd){ .fd = wanted ? fd : -1, .events = POLLIN };
}

static void read_connections(struct line_server *s)
{
    int64_t now = clock_mono_ns(clock_real());
    size_t n = 0, polled = s->polls.n - 3;

    for (size_t i = 0; i < s->connections.n; i++) {
        struct connection *c = s->connections.v[i];
        bool ready = i < polled && s->polls.v[3 + i].revents;

        if (ready ? read_connection(s, c) : now - c->active_mono_ns < s->o.idle_timeout_ms * NS_MS)
            s->connections.v[n++] = c;
        else
            connection_free(c);
    }
    s->connections.n = n;
}

static void *run(void *ctx)
{
    struct line_server *s = ctx;

    for (;;) {
        vec_reset(&s->polls);
        add_poll(s, s->wake, true);
        add_poll(s, s->udp, s->udp >= 0);
        add_poll(s, s->tcp, s->tcp >= 0 && s->connections.n < s->o.connections_max);
        for (size_t i = 0; i < s->connections.n; i++)
            add_poll(s, s->connections.v[i]->fd, true);
        (void)!poll(s->polls.v, s->polls.n, wait_ms(s)); // a signal: round again
        bool stop = s->polls.v[0].revents;
        if (s->polls.v[1].revents)
            read_datagrams(s);
        read_connections(s);
        if (s->polls.v[2].revents)
            accept_all(s);
        if (s->o.tick && (stop || clock_mono_ns(clock_real()) >= s->next_tick_mono_ns)) {
            s->o.tick(s->o.ctx);
            s->next_tick_mono_ns = clock_mono_ns(clock_real()) + s->o.tick_ms * NS_MS;
        }
        if (stop)
            return NULL;
    }
}

bool line_server_open(struct line_server **out, const struct line_server_options *o, struct err *e)
{
    OWNED(line_server_close) struct line_server *s = xcalloc(1, sizeof *s);

    s->o = *o;
    s->tcp = s->udp = -1;
    if (!s->o.connections_max)
        s->o.connections_max = CONNECTIONS_MAX;
    if (!s->o.idle_timeout_ms)
        s->o.idle_timeout_ms = 600000;
    s->next_tick_mono_ns = clock_mono_ns(clock_real()) + s->o.tick_ms * NS_MS;
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake < 0)
        return err_os(e, "eventfd");
    if (!open_sockets(s, e) || !thread_start(&s->thread, s->o.name, run, s, e))
        return false;
    s->o.address = NULL;
    *out = TAKE(s);
    return true;
}

void line_server_close(struct line_server *s)
{
    uint64_t one = 1;

    if (!s)
        return;
    if (s->thread.started) {
        (void)!write(s->wake, &one, sizeof one); // the counter cannot overflow
        thread_join(&s->thread);
    }
    for (size_t i = 0; i < s->connections.n; i++)
        connection_free(s->connections.v[i]);
    vec_fini(&s->connections);
    vec_fini(&s->polls);
    buf_fini(&s->datagrams);
    file_close(s->tcp);
    file_close(s->udp);
    file_close(s->wake);
    xfree(s);
}

int line_server_port(const struct line_server *s)
{
    return s->port;
}
