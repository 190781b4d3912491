// http2_fuzz.c - any bytes behind the preface of HTTP/2, into a real server over loopback.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void handle(struct http_exchange *x)
{
    buf_str(http_body(x), x->req.path);
    buf_str(http_body(x), x->req.body);
}

static void call(struct grpc_call *c)
{
    buf_str(c->reply, c->message);
}

// Lives as long as the process.
static int server_port(void)
{
    static const char *const listen_any[] = { "127.0.0.1:0" };
    static const struct grpc_method method = { .path = "/s/m", .call = call };
    static int port;
    struct http_server_options o = { .listen = listen_any, .listen_count = 1, .loops = 1 };
    struct http_server *s;
    struct err e;

    if (port)
        return port;
    bool ok = http_server_open(&s, &o, &e);
    assert(ok);
    http_server_route(s, &(struct http_route){ .path = "/", .prefix = true, .handle = handle });
    grpc_route(s, &method);
    ok = http_server_start(s, &e);
    assert(ok);
    port = http_server_port(s, 0);
    return port;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port()) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = { .tv_sec = 20 };
    char in[4096];

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
        bool ok = send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL) > 0;
        if (ok && n)
            ok = send(fd, p, n, MSG_NOSIGNAL) > 0;
        shutdown(fd, SHUT_WR);
        while (recv(fd, in, sizeof in, 0) > 0) // the server closes behind the end of the input
            continue;
    }
    close(fd);
    return 0;
}
