// line_server_test.c - lines over TCP and UDP: cut anywhere they come whole; what has no end is refused.
// SPDX-License-Identifier: Apache-2.0
#include "net/line_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/thread.h"
#include "test.h"

struct heard {
    struct mutex mu;
    struct cond cond;
    struct buf text;     // under mu: all calls joined
    unsigned bad, ticks; // under mu: calls that did not end with a line, unless the stream did
};

static void take_lines(void *ctx, struct str text)
{
    struct heard *h = ctx;
    LOCKED(&h->mu);

    h->bad += text.n == 0 || text.n > LINE_SERVER_RUN_MAX + LINE_SERVER_LINE_MAX;
    buf_str(&h->text, text);
    cond_wake_all(&h->cond);
}

static void take_tick(void *ctx)
{
    struct heard *h = ctx;
    LOCKED(&h->mu);

    h->ticks++;
    cond_wake_all(&h->cond);
}

static void open_server(struct heard *h, struct line_server **s)
{
    struct err e = { 0 };

    mutex_init(&h->mu, "heard", RANK_LEAF);
    cond_init(&h->cond);
    CHECK_OK(line_server_open(s,
                              &(struct line_server_options){ .name = "test",
                                                             .address = "127.0.0.1:0",
                                                             .tcp = true,
                                                             .udp = true,
                                                             .lines = take_lines,
                                                             .tick = take_tick,
                                                             .tick_ms = 5,
                                                             .ctx = h },
                              &e),
             &e);
}

static int dial(struct line_server *s, int type)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)line_server_port(s)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static void say(int fd, const char *text)
{
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

// Waits until exactly this was heard, for 20 s.
static bool hears(struct heard *h, const char *want)
{
    LOCKED(&h->mu);
    for (int i = 0; i < 20 && !str_eq_c(buf_view(&h->text), want); i++)
        cond_wait(&h->cond, &h->mu, 1000);
    return str_eq_c(buf_view(&h->text), want);
}

static void fini(struct heard *h)
{
    CHECK(h->bad == 0);
    buf_fini(&h->text);
    cond_fini(&h->cond);
    mutex_fini(&h->mu);
}

TEST(lines_come_whole)
{
    OWNED(line_server_close) struct line_server *s = NULL;
    struct heard h = { 0 };

    open_server(&h, &s);
    int fd = dial(s, SOCK_STREAM);
    say(fd, "one\ntw");
    CHECK(hears(&h, "one\n"));
    say(fd, "o\nrest");
    CHECK(hears(&h, "one\ntwo\n"));
    close(fd); // the end of the stream ends the line
    CHECK(hears(&h, "one\ntwo\nrest"));
    fd = dial(s, SOCK_DGRAM);
    say(fd, "datagram");
    CHECK(hears(&h, "one\ntwo\nrestdatagram\n"));
    close(fd);
    mutex_lock(&h.mu);
    for (int i = 0; i < 20 && h.ticks < 3; i++)
        cond_wait(&h.cond, &h.mu, 1000);
    CHECK(h.ticks >= 3);
    mutex_unlock(&h.mu);
    line_server_close(TAKE(s));
    fini(&h);
}

TEST(a_line_without_end_costs_its_connection)
{
    OWNED(line_server_close) struct line_server *s = NULL;
    OWNED(buf_fini) struct buf line = { 0 };
    struct heard h = { 0 };
    char c;

    open_server(&h, &s);
    int fd = dial(s, SOCK_STREAM), other = dial(s, SOCK_STREAM);
    memset(buf_room(&line, 2 * LINE_SERVER_LINE_MAX), 'x', 2 * LINE_SERVER_LINE_MAX);
    ssize_t sent = send(fd, line.p, 2 * LINE_SERVER_LINE_MAX, MSG_NOSIGNAL);
    CHECK(sent > 0);
    CHECK(recv(fd, &c, 1, 0) <= 0); // closed by the server
    say(other, "fine\n");
    CHECK(hears(&h, "fine\n"));
    close(fd);
    close(other);
    line_server_close(TAKE(s));
    fini(&h);
}

TEST(bad_addresses_are_named)
{
    struct line_server *s = NULL;
    struct err e = { 0 };

    CHECK(!line_server_open(
        &s, &(struct line_server_options){ .name = "t", .address = "nowhere", .tcp = true }, &e));
    CHECK(e.kind == ERR_INVALID && strstr(e.text, "\"nowhere\"") && !s);
}
