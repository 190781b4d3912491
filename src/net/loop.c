// loop.c - see loop.h. Posted tasks wait on a stack of atomics that the loop takes whole.
// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    struct thread thread;
    _Atomic(struct loop_task *) posted; // newest first
    atomic_bool stopping;
};

static void run_posted(struct loop *l)
{
    // acquire; pairs with the release in loop_post()
    struct loop_task *t = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
    struct loop_task *first = NULL;

    while (t) {
        struct loop_task *next = t->next;
        t->next = first;
        first = t;
        t = next;
    }
    while (first) {
        struct loop_task *next = first->next; // the task may be posted again by its own run
        first->run(first);
        first = next;
    }
}

static void on_wake(uv_async_t *a)
{
    struct loop *l = CONTAINER_OF(a, struct loop, wake);

    run_posted(l);
    if (atomic_load_explicit(&l->stopping, memory_order_acquire) && !uv_is_closing((void *)a))
        uv_close((uv_handle_t *)a, NULL);
}

static void *run_loop(void *ctx)
{
    struct loop *l = ctx;
    sigset_t all;

    // Signals are the main thread's; SIGPIPE of a TLS write must not end the process.
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    run_posted(l);
    return NULL;
}

bool loop_start(struct loop **out, const char *name, struct err *e)
{
    struct loop *l = xcalloc(1, sizeof *l);
    int r = uv_loop_init(&l->uv);

    if (r < 0) {
        xfree(l);
        return err_set(e, ERR_IO, "event loop: %s", uv_strerror(r));
    }
    r = uv_async_init(&l->uv, &l->wake, on_wake);
    assert(r == 0);
    if (!thread_start(&l->thread, name, run_loop, l, e)) {
        uv_close((uv_handle_t *)&l->wake, NULL);
        uv_run(&l->uv, UV_RUN_DEFAULT);
        uv_loop_close(&l->uv);
        xfree(l);
        return false;
    }
    *out = l;
    return true;
}

void loop_stop(struct loop *l)
{
    if (!l)
        return;
    atomic_store_explicit(&l->stopping, true, memory_order_release); // pairs with on_wake()
    uv_async_send(&l->wake);
    thread_join(&l->thread);
    int r = uv_loop_close(&l->uv);
    assert(r == 0); // the owner closed its handles
    xfree(l);
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

bool loop_is_mine(const struct loop *l)
{
    return pthread_equal(l->thread.t, pthread_self());
}

void loop_post(struct loop *l, struct loop_task *t)
{
    struct loop_task *head = atomic_load_explicit(&l->posted, memory_order_relaxed);

    assert(t->run);
    do
        t->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->posted, &head, t, memory_order_release,
                                                  memory_order_relaxed));
    if (!head)
        uv_async_send(&l->wake);
}

struct call {
    struct loop_task task;
    void (*run)(void *ctx);
    void *ctx;
    struct mutex mu;
    struct cond done;
    bool ran; // under mu
};

static void run_call(struct loop_task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);

    c->run(c->ctx);
    LOCKED(&c->mu);
    c->ran = true;
    cond_wake(&c->done);
}

void loop_call(struct loop *l, void (*run)(void *ctx), void *ctx)
{
    struct call c = { .task = { .run = run_call }, .run = run, .ctx = ctx };

    assert(!loop_is_mine(l));
    mutex_init(&c.mu, "loop call", RANK_LEAF);
    cond_init(&c.done);
    loop_post(l, &c.task);
    mutex_lock(&c.mu);
    while (!c.ran)
        cond_wait(&c.done, &c.mu, 1000);
    mutex_unlock(&c.mu);
    cond_fini(&c.done);
    mutex_fini(&c.mu);
}

/* ---- descriptors ---- */

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_poll *p = CONTAINER_OF(uv, struct loop_poll, uv);

    p->ready(p, status < 0 ? -1 : events);
}

bool loop_poll_init(struct loop *l, struct loop_poll *p, int fd,
                    void (*ready)(struct loop_poll *p, int events), struct err *e)
{
    int r = uv_poll_init(&l->uv, &p->uv, fd);

    if (r < 0)
        return err_set(e, ERR_IO, "poll: %s", uv_strerror(r));
    p->fd = fd;
    p->events = 0;
    p->ready = ready;
    return true;
}

void loop_poll_want(struct loop_poll *p, int events)
{
    assert(p->fd >= 0 && "not closed");
    if (p->events == events)
        return;
    p->events = events;
    if (events)
        uv_poll_start(&p->uv, events, on_poll);
    else
        uv_poll_stop(&p->uv);
}

static void on_poll_closed(uv_handle_t *h)
{
    struct loop_poll *p = CONTAINER_OF((uv_poll_t *)h, struct loop_poll, uv);

    p->closed(p);
}

void loop_poll_close(struct loop_poll *p, void (*closed)(struct loop_poll *p))
{
    assert(p->fd >= 0 && "closed once");
    p->closed = closed;
    uv_poll_stop(&p->uv);
    uv_close((uv_handle_t *)&p->uv, on_poll_closed);
    file_close(p->fd);
    p->fd = -1;
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *t = CONTAINER_OF(uv, struct loop_timer, uv);

    t->fire(t);
}

void loop_timer_init(struct loop *l, struct loop_timer *t, void (*fire)(struct loop_timer *t))
{
    uv_timer_init(&l->uv, &t->uv);
    t->fire = fire;
}

void loop_timer_start(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms)
{
    assert(t->fire && repeat_ms >= 0);
    uv_update_time(t->uv.loop);
    uv_timer_start(&t->uv, on_timer, (uint64_t)MAX(after_ms, INT64_C(0)), (uint64_t)repeat_ms);
}

void loop_timer_cancel(struct loop_timer *t)
{
    uv_timer_stop(&t->uv);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct loop_timer *t = CONTAINER_OF((uv_timer_t *)h, struct loop_timer, uv);

    if (t->closed)
        t->closed(t);
}

void loop_timer_close(struct loop_timer *t, void (*closed)(struct loop_timer *t))
{
    t->closed = closed;
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}
