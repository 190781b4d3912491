// loop_test.c - tasks run in order on the loop's thread, timers fire, stopping runs what is left.
// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <unistd.h>

#include "base/thread.h"
#include "test.h"

enum { TASKS = 1000 };

struct counted {
    struct loop_task task;
    struct loop *loop;
    int *seen, value;
};

static void run_counted(struct loop_task *t)
{
    struct counted *c = CONTAINER_OF(t, struct counted, task);

    assert(loop_is_mine(c->loop));
    if (*c->seen == c->value)
        ++*c->seen;
}

TEST(loop_runs_posted_tasks_in_order)
{
    struct loop *l = NULL;
    struct err e = { 0 };
    static struct counted tasks[TASKS]; // too many for the stack
    int seen = 0;

    CHECK_OK(loop_start(&l, "test", &e), &e);
    CHECK(!loop_is_mine(l));
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (struct counted){ { run_counted, NULL }, l, &seen, i };
        loop_post(l, &tasks[i].task);
    }
    loop_stop(l); // whatever waits runs first
    CHECK(seen == TASKS);
}

struct ticker {
    struct loop_timer timer;
    struct loop *loop;
    struct mutex mu;
    struct cond cond;
    int fired;   // under mu
    bool closed; // under mu
};

static void on_tick(struct loop_timer *t)
{
    struct ticker *k = CONTAINER_OF(t, struct ticker, timer);
    LOCKED(&k->mu);

    k->fired++;
    cond_wake(&k->cond);
}

static void on_closed(struct loop_timer *t)
{
    struct ticker *k = CONTAINER_OF(t, struct ticker, timer);
    LOCKED(&k->mu);

    k->closed = true;
    cond_wake(&k->cond);
}

static void start_ticking(void *ctx)
{
    struct ticker *k = ctx;

    loop_timer_init(k->loop, &k->timer, on_tick);
    loop_timer_start(&k->timer, 1, 1);
}

static void stop_ticking(void *ctx)
{
    struct ticker *k = ctx;

    loop_timer_cancel(&k->timer);
    loop_timer_close(&k->timer, on_closed);
}

TEST(loop_timers)
{
    struct ticker k = { .mu = MUTEX_INIT("ticker", RANK_LEAF) };
    struct err e = { 0 };

    cond_init(&k.cond);
    CHECK_OK(loop_start(&k.loop, "test", &e), &e);
    loop_call(k.loop, start_ticking, &k);
    mutex_lock(&k.mu);
    for (int i = 0; i < 100 && k.fired < 3; i++)
        cond_wait(&k.cond, &k.mu, 1000);
    CHECK(k.fired >= 3);
    mutex_unlock(&k.mu);
    loop_call(k.loop, stop_ticking, &k);
    loop_stop(k.loop);
    CHECK(k.closed);
    cond_fini(&k.cond);
}

struct watcher {
    struct loop_poll poll;
    struct loop *loop;
    int fd;
    struct mutex mu;
    struct cond cond;
    char byte; // under mu
};

static void forget(struct loop_poll *p)
{
    (void)p;
}

static void on_ready(struct loop_poll *p, int events)
{
    struct watcher *w = CONTAINER_OF(p, struct watcher, poll);
    char byte = 0;

    bool ok = (events & LOOP_READ) && read(p->fd, &byte, 1) == 1;
    assert(ok);
    loop_poll_close(p, forget);
    LOCKED(&w->mu);
    w->byte = byte;
    cond_wake(&w->cond);
}

static void start_watching(void *ctx)
{
    struct watcher *w = ctx;
    struct err e;

    bool ok = loop_poll_init(w->loop, &w->poll, w->fd, on_ready, &e);
    assert(ok);
    loop_poll_want(&w->poll, LOOP_READ);
}

TEST(loop_polls_descriptors)
{
    struct watcher w = { .mu = MUTEX_INIT("watcher", RANK_LEAF) };
    struct err e = { 0 };
    int ends[2];

    cond_init(&w.cond);
    CHECK(pipe(ends) == 0);
    w.fd = ends[0];
    CHECK_OK(loop_start(&w.loop, "test", &e), &e);
    loop_call(w.loop, start_watching, &w);
    CHECK(write(ends[1], "x", 1) == 1);
    mutex_lock(&w.mu);
    for (int i = 0; i < 20 && !w.byte; i++)
        cond_wait(&w.cond, &w.mu, 1000);
    CHECK(w.byte == 'x');
    mutex_unlock(&w.mu);
    loop_stop(w.loop);
    close(ends[1]);
    cond_fini(&w.cond);
}
