/*
 * line_server.h - text over bare TCP and UDP sockets: whole lines to a callback.
 *
 * One thread per server reads all its sockets and calls back with runs of whole lines; while it is in
 * the callback nothing is read, so senders over TCP are slowed down, and datagrams wait in the kernel. A
 * line without an end is cut off with its connection. For protocols that answer nothing.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

enum {
    LINE_SERVER_LINE_MAX = 64 << 10,
    LINE_SERVER_RUN_MAX = 1 << 20, // bytes of one call
};

struct line_server_options { // zero in a field means its default
    const char *name;        // of the thread, ≤ 11 bytes
    const char *address;     // ":2003", "127.0.0.1:8125"; borrowed until open returns
    bool tcp, udp;
    unsigned connections_max; // 256; more wait in the kernel
    int64_t idle_timeout_ms;  // 10 min
    // Runs on the server's thread. Datagrams come with a line feed behind each.
    void (*lines)(void *ctx, struct str text);
    void (*tick)(void *ctx); // every tick_ms on the same thread; NULL: never
    int64_t tick_ms;
    void *ctx;
};

struct line_server;
// Listens and starts. Errors: ERR_INVALID address; ERR_IO.
MUST_CHECK bool line_server_open(struct line_server **out, const struct line_server_options *o,
                                 struct err *e);
void line_server_close(struct line_server *s); // joins; what was read whole is still passed on
OWN_DEFINE(struct line_server *, line_server_close)
int line_server_port(const struct line_server *s); // useful with :0; TCP's, else UDP's
