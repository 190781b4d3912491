/*
 * http_client_dial.c - names to addresses to a connected socket.
 *
 * Addresses are tried in the order of getaddrinfo; while one does not answer the next is started
 * beside it (RFC 8305), and the first that connects wins.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http_client_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

struct client_lookup {
    uv_getaddrinfo_t uv;
    struct http_call *call; // NULL: nobody waits any more
};

static const struct url *peer_of(const struct http_call *call)
{
    return call->via_proxy ? &call->proxy : &call->url;
}

static const char *go_errno(int os, char *out, size_t size)
{
    snprintf(out, size, "%s", strerror(os));
    out[0] = (char)tolower((unsigned char)out[0]);
    return out;
}

static void address_text(const struct sockaddr_in6 *a, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (a->sin6_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip);
        snprintf(out, size, "[%s]:%u", ip, ntohs(a->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const void *)a;
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(out, size, "%s:%u", ip, ntohs(v4->sin_port));
    }
}

static void fail(struct http_call *call, const struct err *cause)
{
    struct err e = *cause;

    if (call->via_proxy)
        err_wrap(&e, "proxyconnect tcp");
    client_call_fail(call, &e);
}

// Keeps the first error: it is of the address that should have worked.
static void note_failure(struct http_call *call, const struct sockaddr_in6 *a, int os)
{
    char to[80], why[120];

    if (call->dial_error.kind != ERR_NONE)
        return;
    address_text(a, to, sizeof to);
    err_set(&call->dial_error, ERR_IO, "dial tcp %s: connect: %s", to,
            go_errno(os, why, sizeof why));
    call->dial_error.os = os;
}

static void add_address(struct http_call *call, const struct sockaddr *a, size_t n)
{
    if (call->address_count == CLIENT_ADDRESSES_MAX || n > sizeof(struct sockaddr_in6))
        return;
    struct client_address *to = &call->addresses[call->address_count++];
    memcpy(&to->a, a, n);
    to->n = (socklen_t)n;
}

/* ---- attempts ---- */

// 1: connected, 0: under way, −1: failed at once.
static int attempt(struct http_call *call, const struct client_address *to)
{
    int on = 1, family = to->a.sin6_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct client_conn *conn;

    if (fd < 0) {
        note_failure(call, &to->a, errno);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    int r = connect(fd, (const struct sockaddr *)&to->a, to->n);
    if (r < 0 && errno != EINPROGRESS) {
        note_failure(call, &to->a, errno);
        close(fd);
        return -1;
    }
    conn = client_conn_new(call->client, fd, &call->dial_error);
    if (!conn)
        return -1;
    conn->call = call;
    conn->address = to->a;
    conn->next = call->dials;
    conn->link = &call->dials;
    if (conn->next)
        conn->next->link = &conn->next;
    call->dials = conn;
    loop_poll_want(&conn->poll, LOOP_WRITE); // also when already connected: one way only
    return 0;
}

static void on_next_address(struct loop_timer *t)
{
    client_dial_next(CONTAINER_OF(t, struct http_call, next_address));
}

void client_dial_next(struct http_call *call)
{
    while (call->address_next < call->address_count) {
        if (attempt(call, &call->addresses[call->address_next++]) < 0)
            continue;
        if (call->address_next < call->address_count)
            loop_timer_start(&call->next_address, CLIENT_NEXT_ADDRESS_MS, 0);
        return;
    }
    if (!call->dials)
        fail(call, &call->dial_error);
}

void client_dial_event(struct client_conn *conn, int events)
{
    struct http_call *call = conn->call;
    int os = 0;
    socklen_t n = sizeof os;

    (void)events;
    if (getsockopt(conn->stream.fd, SOL_SOCKET, SO_ERROR, &os, &n) < 0)
        os = errno;
    if (os == 0) {
        *conn->link = conn->next;
        if (conn->next)
            conn->next->link = conn->link;
        conn->link = NULL;
        client_dial_stop(call);
        client_call_connected(call, conn);
        return;
    }
    note_failure(call, &conn->address, os);
    client_conn_close(conn);
    client_dial_next(call);
}

/* ---- names ---- */

static void lookup_failed(struct http_call *call, int code)
{
    const struct url *u = peer_of(call);
    struct err e;

    if (code == UV_EAI_NONAME || code == UV_EAI_NODATA)
        err_set(&e, ERR_IO, "dial tcp: lookup %.*s: no such host", STRF(u->host));
    else
        err_set(&e, ERR_IO, "dial tcp: lookup %.*s: %s", STRF(u->host), uv_strerror(code));
    fail(call, &e);
}

static void on_lookup(uv_getaddrinfo_t *uv, int status, struct addrinfo *found)
{
    struct client_lookup *l = CONTAINER_OF(uv, struct client_lookup, uv);
    struct http_call *call = l->call;

    if (call) {
        call->lookup = NULL;
        for (struct addrinfo *a = status == 0 ? found : NULL; a; a = a->ai_next)
            add_address(call, a->ai_addr, a->ai_addrlen);
        if (call->address_count)
            client_dial_next(call);
        else
            lookup_failed(call, status ? status : UV_EAI_NONAME);
    }
    uv_freeaddrinfo(found);
    xfree(l);
}

static void look_up(struct http_call *call, const struct url *u)
{
    struct client_lookup *l = xcalloc(1, sizeof *l);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    char port[8];

    snprintf(port, sizeof port, "%d", url_port(u));
    l->call = call;
    call->lookup = l;
    int r = uv_getaddrinfo(loop_uv(call->client->loop), &l->uv, on_lookup,
                           arena_cstr(&call->arena, u->host), port, &hints);
    if (r < 0) {
        call->lookup = NULL;
        xfree(l);
        lookup_failed(call, r);
    }
}

// An address in digits needs no lookup.
static bool literal_address(struct http_call *call, const struct url *u)
{
    const char *host = arena_cstr(&call->arena, u->host);
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)url_port(u)) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        add_address(call, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        add_address(call, (struct sockaddr *)&v6, sizeof v6);
    return call->address_count > 0;
}

void client_dial(struct http_call *call)
{
    const struct url *u = peer_of(call);

    call->phase = CALL_DIAL;
    call->address_count = call->address_next = 0;
    call->dial_error = (struct err){ 0 };
    call->next_address.fire = on_next_address;
    if (literal_address(call, u))
        client_dial_next(call);
    else
        look_up(call, u);
}

void client_dial_stop(struct http_call *call)
{
    if (call->lookup) {
        call->lookup->call = NULL;
        uv_cancel((uv_req_t *)&call->lookup->uv); // if it already runs, its end frees it
        call->lookup = NULL;
    }
    loop_timer_cancel(&call->next_address);
    while (call->dials)
        client_conn_close(call->dials);
}
