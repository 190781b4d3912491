/*
 * http_server_exchange.c - the course of a request that HTTP/1 and HTTP/2 share: its target and
 * route, who sends it, the start of the handler and what comes back from it. All on the loop.
 */
// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_priv.h"

#include "base/mem.h"
#include "base/pool.h"
#include "base/time.h"

struct http_exchange_priv *http_exchange_new(struct http_conn *c)
{
    struct http_exchange_priv *x = xcalloc(1, sizeof *x);

    x->server = c->loop->server;
    x->loop = c->loop;
    x->conn = c;
    x->status = 200;
    x->out_last = &x->out;
    x->task.run = http_exchange_collect;
    x->pub.cancelled = &x->cancelled;
    x->pub.server_ctx = x->server->options.ctx;
    x->pub.start_mono_ns = clock_mono_ns(clock_real());
    x->pub.req.peer = arena_str(&x->pub.arena, str_of(c->peer, c->peer_n));
    x->pub.req.tls = c->stream.tls != NULL;
    mutex_init(&x->mu, "http exchange", RANK_LEAF);
    cond_init(&x->drained);
    return x;
}

void http_exchange_drop(struct http_exchange_priv *x)
{
    x->conn = NULL;
    x->stream = NULL;
    if (x->dispatched)
        http_exchange_gone(x); // the handler keeps it and is told
    else
        http_exchange_free(x);
}

/* ---- where it goes ---- */

// Scheme and authority of an absolute target are dropped: the Host header counts.
static struct str origin_form(struct str target)
{
    if (target.p[0] == '/' || target.p[0] == '*')
        return target;
    size_t slashes = str_find(target, STR("//"));
    struct str rest = slashes == STR_NPOS ? STR_NONE : str_sub(target, slashes + 2, target.n);
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] == '/' || rest.p[i] == '?')
            return str_sub(rest, i, rest.n);
    return STR("/");
}

bool http_exchange_set_target(struct http_exchange_priv *x, struct str target)
{
    struct http_request *r = &x->pub.req;

    r->target = target;
    target = origin_form(target);
    r->raw_path = str_cut(&target, '?');
    r->query = target;
    if (r->raw_path.n == 0)
        r->raw_path = STR("/");
    r->path = str_find_char(r->raw_path, '%') == STR_NPOS
                  ? r->raw_path
                  : http_url_decode(&x->pub.arena, r->raw_path, false);
    if (!r->path.p)
        http_exchange_refuse(x, 400, "malformed escape in the path");
    return r->path.p != NULL;
}

void http_exchange_find_route(struct http_exchange_priv *x)
{
    const struct http_request *r = &x->pub.req;

    x->route = http_routes_find(&x->server->routes, &x->pub.arena, r->path, r->method, &x->allow);
    x->pub.route_ctx = x->route ? x->route->route.ctx : x->server->options.ctx;
    x->body_max = x->route && x->route->route.body_max ? x->route->route.body_max
                                                       : HTTP_BODY_MAX_DEFAULT;
}

/* ---- who sends it ---- */

static void hash_password(void *exchange)
{
    struct http_exchange_priv *x = exchange;
    struct str given = http_header_get(&x->pub.req, STR("Authorization"));

    x->verdict = web_access_verify(x->server->web, &x->pub.arena, given, &x->pub.req.user);
    loop_post(x->loop->loop, &x->auth_task);
}

enum web_verdict http_exchange_authorize(struct http_exchange_priv *x,
                                         void (*hashed)(struct loop_task *))
{
    struct str given = http_header_get(&x->pub.req, STR("Authorization"));
    struct web_access *web = x->server->web;
    struct err e;

    if (!web)
        return WEB_ALLOWED;
    web_access_refresh(web);
    x->web = web_access_config(web);
    enum web_verdict v = web_access_check(web, &x->pub.arena, given, &x->pub.req.user);
    if (v == WEB_DENIED)
        http_exchange_deny(x);
    if (v != WEB_UNKNOWN)
        return v;
    x->auth_task.run = hashed;
    if (!pool_submit(x->server->auth_pool, hash_password, x, &e)) {
        http_exchange_refuse(x, 503, "too many passwords to check");
        return WEB_DENIED;
    }
    x->dispatched = true;
    atomic_fetch_add_explicit(&x->server->running, 1, memory_order_relaxed);
    return WEB_UNKNOWN;
}

void http_exchange_hashed(struct http_exchange_priv *x)
{
    x->dispatched = false;
    if (x->verdict != WEB_ALLOWED && x->conn)
        http_exchange_deny(x);
    http_server_exchange_ended(x->server);
}

/* ---- the handler ---- */

bool http_exchange_start(struct http_exchange_priv *x)
{
    struct pool *pool = x->route && !x->refused ? x->route->route.pool : NULL;
    struct err e;

    assert(!x->dispatched && "one handler at a time");
    x->pub.req.body = buf_view(&x->body_in);
    if (!x->body.p)
        x->body = http_spare_take(x->loop);
    x->dispatched = true;
    atomic_fetch_add_explicit(&x->server->running, 1, memory_order_relaxed);
    if (pool && pool_submit(pool, http_exchange_run, x, &e))
        return true;
    if (pool) {
        http_set_header(&x->pub, STR("Retry-After"), STR("1"));
        http_exchange_refuse(x, 503, e.text);
    }
    x->on_loop = true;
    http_exchange_run(x);
    return false;
}

struct http_out *http_exchange_take(struct http_exchange_priv *x, bool *done)
{
    mutex_lock(&x->mu);
    struct http_out *o = TAKE(x->out);
    x->out_last = &x->out;
    x->posted = false;
    *done = x->done;
    mutex_unlock(&x->mu);
    if (*done) {
        x->dispatched = false;
        x->complete = true;
        http_server_exchange_ended(x->server);
    }
    return o;
}

void http_exchange_drained(struct http_exchange_priv *x, size_t n)
{
    LOCKED(&x->mu);
    assert(x->in_flight >= n);
    x->in_flight -= n;
    if (x->in_flight <= HTTP_IN_FLIGHT_MAX / 2)
        cond_wake(&x->drained);
}
