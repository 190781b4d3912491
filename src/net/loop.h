/*
 * loop.h - one event loop on a thread of its own, over libuv.
 *
 * Handles and timers belong to the loop's thread; other threads only post tasks.
 * A loop ends when its owner has closed all handles and calls loop_stop().
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <uv.h>

#include "base/base.h"

struct loop;

// Name: at most 15 bytes, shown by top -H.
MUST_CHECK bool loop_start(struct loop **out, const char *name, struct err *e);
void loop_stop(struct loop *l); // runs what was posted, joins, frees; NULL is fine
OWN_DEFINE(struct loop *, loop_stop);
// libuv's loop, for handles of other kinds; only on the loop's thread.
uv_loop_t *loop_uv(struct loop *l);
// Whether the calling thread is the loop's.
bool loop_is_mine(const struct loop *l);

struct loop_task {
    void (*run)(struct loop_task *t);
    struct loop_task *next;
};
// Runs t->run(t) on the loop, in order of posting. The task is the loop's until it runs. Thread-safe.
void loop_post(struct loop *l, struct loop_task *t);
// Posts and waits until the task has run; not from the loop itself.
void loop_call(struct loop *l, void (*run)(void *ctx), void *ctx);

enum { LOOP_READ = UV_READABLE, LOOP_WRITE = UV_WRITABLE, LOOP_GONE = UV_DISCONNECT };

// Readiness of one file descriptor of ours. Embedded in its owner.
struct loop_poll {
    uv_poll_t uv;
    int fd, events;
    void (*ready)(struct loop_poll *p, int events); // events −1: the descriptor has an error
    void (*closed)(struct loop_poll *p);
};
// Takes nothing: fd stays the caller's until loop_poll_close(). No events are wanted at first. On
// the loop's thread, as all that follows here.
MUST_CHECK bool loop_poll_init(struct loop *l, struct loop_poll *p, int fd,
                               void (*ready)(struct loop_poll *p, int events), struct err *e);
void loop_poll_want(struct loop_poll *p, int events); // costs nothing when nothing changes
// Closes the descriptor too; `closed` runs later, and only then may the memory go.
void loop_poll_close(struct loop_poll *p, void (*closed)(struct loop_poll *p));

struct loop_timer {
    uv_timer_t uv;
    void (*fire)(struct loop_timer *t);
    void (*closed)(struct loop_timer *t);
};
// A timer at rest; fire runs on the loop. loop_timer_close() it before its memory goes.
void loop_timer_init(struct loop *l, struct loop_timer *t, void (*fire)(struct loop_timer *t));
void loop_timer_start(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms); // repeat 0: once
// Stops it; starting it again is fine. fire does not run afterwards.
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_close(struct loop_timer *t, void (*closed)(struct loop_timer *t)); // NULL: nothing
