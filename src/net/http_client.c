// http_client.c - the public face of the client, its idle connections, timeouts, stopping.
// SPDX-License-Identifier: Apache-2.0
#include "net/http_client_priv.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"

enum { SWEEP_MS = 5000 };

/* ---- connections ---- */

static void on_conn_closed(struct loop_poll *p)
{
    struct client_conn *conn = CONTAINER_OF(p, struct client_conn, poll);

    xfree(conn->key);
    xfree(conn);
}

static void on_conn_ready(struct loop_poll *p, int events)
{
    struct client_conn *conn = CONTAINER_OF(p, struct client_conn, poll);
    char byte;

    switch (conn->state) {
    case CONN_DIALING:
        client_dial_event(conn, events);
        break;
    case CONN_BUSY:
        client_call_event(conn->call, events);
        break;
    default: // an idle server has nothing to say (but TLS tickets): it closed, or it is confused
        if (!conn->stream.tls || stream_read(&conn->stream, &byte, 1) != STREAM_AGAIN)
            client_conn_close(conn);
        break;
    }
}

struct client_conn *client_conn_new(struct http_client *c, int fd, struct err *e)
{
    struct client_conn *conn = xcalloc(1, sizeof *conn);

    conn->client = c;
    conn->stream.fd = fd;
    if (!loop_poll_init(c->loop, &conn->poll, fd, on_conn_ready, e)) {
        file_close(fd);
        xfree(conn);
        return NULL;
    }
    return conn;
}

static void leave_list(struct client_conn *conn)
{
    if (!conn->link)
        return;
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    conn->link = NULL;
    conn->next = NULL;
    if (conn->state == CONN_IDLE)
        conn->client->idle_count--;
}

void client_conn_close(struct client_conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    leave_list(conn);
    conn->state = CONN_CLOSED;
    conn->call = NULL;
    tls_stream_close(&conn->stream);
    loop_poll_close(&conn->poll, on_conn_closed);
}

void client_conn_park(struct client_conn *conn)
{
    struct http_client *c = conn->client;
    struct client_conn **bucket = &c->idle[conn->key_hash & (CLIENT_BUCKETS - 1)];

    assert(loop_is_mine(c->loop));
    assert(conn->state != CONN_CLOSED);
    conn->call = NULL;
    if (c->stopping || c->idle_count >= CLIENT_IDLE_MAX) {
        client_conn_close(conn);
        return;
    }
    conn->state = CONN_IDLE;
    conn->idle_since_ms = uv_now(loop_uv(c->loop));
    conn->next = *bucket;
    conn->link = bucket;
    if (conn->next)
        conn->next->link = &conn->next;
    *bucket = conn;
    c->idle_count++;
    loop_poll_want(&conn->poll, LOOP_READ);
}

// A close that has arrived but was not looked at yet.
static bool looks_alive(const struct client_conn *conn)
{
    char byte;

    return recv(conn->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct client_conn *client_conn_reuse(struct http_client *c, const char *key, uint64_t hash)
{
    struct client_conn *conn = c->idle[hash & (CLIENT_BUCKETS - 1)], *next;

    for (; conn; conn = next) {
        next = conn->next;
        if (conn->key_hash != hash || strcmp(conn->key, key) != 0)
            continue;
        if (!looks_alive(conn)) {
            client_conn_close(conn);
            continue;
        }
        leave_list(conn);
        conn->state = CONN_BUSY;
        conn->reused = true;
        return conn;
    }
    return NULL;
}

static void close_idle(struct http_client *c, uint64_t older_than_ms)
{
    for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
        for (struct client_conn *conn = c->idle[i], *next; conn; conn = next) {
            next = conn->next;
            if (conn->idle_since_ms <= older_than_ms)
                client_conn_close(conn);
        }
    }
}

static void on_sweep(struct loop_timer *t)
{
    struct http_client *c = CONTAINER_OF(t, struct http_client, sweep);
    uint64_t now_ms = uv_now(loop_uv(c->loop));

    if (c->idle_count && now_ms > CLIENT_IDLE_MS)
        close_idle(c, now_ms - CLIENT_IDLE_MS);
}

/* ---- start and stop ---- */

static void start_on_loop(void *ctx)
{
    struct http_client *c = ctx;

    loop_timer_init(c->loop, &c->sweep, on_sweep);
    loop_timer_start(&c->sweep, SWEEP_MS, SWEEP_MS);
}

bool http_client_start(struct http_client **out, struct err *e)
{
    struct http_client *c = xcalloc(1, sizeof *c);

    if (!loop_start(&c->loop, "http-client", e)) {
        xfree(c);
        return false;
    }
    c->scratch = xmalloc(CLIENT_SCRATCH);
    loop_call(c->loop, start_on_loop, c);
    *out = c;
    return true;
}

static void stop_on_loop(void *ctx)
{
    struct http_client *c = ctx;
    struct err e;

    c->stopping = true;
    err_set(&e, ERR_CANCELLED, "context canceled");
    while (c->calls)
        client_call_fail(c->calls, &e);
    close_idle(c, UINT64_MAX);
    loop_timer_close(&c->sweep, NULL);
}

void http_client_stop(struct http_client *c)
{
    if (!c)
        return;
    loop_call(c->loop, stop_on_loop, c);
    loop_stop(c->loop);
    http_tls_free(c->default_tls);
    xfree(c->scratch);
    xfree(c);
}

/* ---- calls ---- */

static const struct http_header *copy_headers(struct arena *a, const struct http_header *h,
                                              size_t n)
{
    struct http_header *copy = arena_array(a, n, struct http_header);

    for (size_t i = 0; i < n; i++)
        copy[i] = (struct http_header){ arena_str(a, h[i].name), arena_str(a, h[i].value) };
    return copy;
}

static void on_call(struct loop_task *t)
{
    client_call_start(CONTAINER_OF(t, struct http_call, task));
}

void http_client_call(struct http_client *c, const struct http_call_options *o, http_done_fn done,
                      void *ctx)
{
    struct http_call *call = xcalloc(1, sizeof *call);
    struct arena *a = &call->arena;

    assert(o->timeout_ms > 0);
    call->client = c;
    call->done = done;
    call->ctx = ctx;
    call->o = *o;
    call->o.method = o->method.n ? arena_str(a, o->method) : STR("GET");
    call->o.url = arena_str(a, o->url);
    call->o.proxy_url = arena_str(a, o->proxy_url);
    call->o.headers = copy_headers(a, o->headers, o->header_count);
    call->o.proxy_headers = copy_headers(a, o->proxy_headers, o->proxy_header_count);
    if (o->tls)
        tls_get(o->tls);
    call->start_mono_ns = clock_mono_ns(clock_real());
    call->task.run = on_call;
    loop_post(c->loop, &call->task);
}

struct waiter {
    struct mutex mu;
    struct cond cond;
    struct arena *arena;
    struct http_response *out;
    struct err e;
    bool done, ok; // under mu
};

static void wake_waiter(void *ctx, struct http_response *r, const struct err *e)
{
    struct waiter *w = ctx;

    if (r) {
        *w->out = *r;
        w->out->reason = arena_str(w->arena, r->reason);
        w->out->headers = copy_headers(w->arena, r->headers, r->header_count);
        r->body = (struct buf){ 0 };
    } else {
        w->e = *e;
    }
    LOCKED(&w->mu);
    w->ok = r != NULL;
    w->done = true;
    cond_wake(&w->cond);
}

bool http_client_wait(struct http_client *c, const struct http_call_options *o, struct arena *a,
                      struct http_response *out, struct err *e)
{
    struct waiter w = { .arena = a, .out = out };

    assert(!loop_is_mine(c->loop));
    mutex_init(&w.mu, "http wait", RANK_LEAF);
    cond_init(&w.cond);
    http_client_call(c, o, wake_waiter, &w);
    mutex_lock(&w.mu);
    while (!w.done) // the call has a deadline of its own
        cond_wait(&w.cond, &w.mu, 1000);
    mutex_unlock(&w.mu);
    cond_fini(&w.cond);
    mutex_fini(&w.mu);
    if (!w.ok)
        *e = w.e;
    return w.ok;
}
