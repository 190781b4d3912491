/*
 * pool.h - worker threads with a bounded queue.
 *
 * Jobs start in order of submission on any worker. Stopping runs what is queued
 * first, so that each job can answer its waiter. Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

struct pool;

struct pool_options {
    const char *name;   // ≤ 11 bytes: threads are name-N
    unsigned threads;   // 0: one per online CPU, at least 2
    unsigned queue_max; // jobs waiting; 0: 1024
    int nice;           // 0..19
};

// Starts the threads; the caller owns *out: pool_stop(). name is borrowed until then.
// ERR_UNAVAILABLE or ERR_IO when a thread cannot be started; none is left running.
MUST_CHECK bool pool_start(struct pool **out, const struct pool_options *o, struct err *e);
void pool_stop(struct pool *p); // joins; NULL is fine
OWN_DEFINE(struct pool *, pool_stop);
// ERR_UNAVAILABLE when the queue is full or the pool stops.
// Queues run(ctx) for any worker; never waits. ctx is the job's own: freed by it if at all.
MUST_CHECK bool pool_submit(struct pool *p, void (*run)(void *ctx), void *ctx, struct err *e);
// How many workers there are: constant while the pool lives.
unsigned pool_threads(const struct pool *p);
// How many jobs are queued and not yet begun: already old when it is returned.
size_t pool_waiting(struct pool *p);
