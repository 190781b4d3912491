/*
 * thread.h - mutexes that know their rank, conditions, threads.
 *
 * A mutex has a name and a rank: a thread may lock only a mutex of a higher rank
 * than those it holds. Builds with -DVIGIE_SLOW_ASSERTS or sanitizers check it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <pthread.h>

#include "base/base.h"

struct mutex {
    pthread_mutex_t m;
    const char *name;
    int rank;
};
#define MUTEX_INIT(name_, rank_)                    \
    {                                               \
        PTHREAD_MUTEX_INITIALIZER, (name_), (rank_) \
    }

// Ranks: outer locks first. See the lock order in ARCHITECTURE.md.
enum {
    RANK_APP = 10,
    RANK_QUEUE = 20, // worker pools, mailboxes: nothing is taken while held, except metrics
    RANK_SHARD = 30,
    RANK_CATALOG = 40,
    RANK_SNAPSHOT = 50,
    RANK_MANIFEST = 60,
    RANK_CACHE = 70,
    RANK_LEAF = 100, // holds nothing else
};

// An unlocked mutex; name is borrowed for its life and shown when the rank check fails.
void mutex_init(struct mutex *m, const char *name, int rank);
// Ends a mutex that nobody holds or waits for.
void mutex_fini(struct mutex *m);
// Waits without a limit. Stops the process when the thread holds a mutex of the same or a higher
// rank: the order of locks is broken, and it would be a deadlock one day.
void mutex_lock(struct mutex *m);
// Locks if it is free, false if not; of any rank, since it cannot wait.
bool mutex_try(struct mutex *m);
// By the thread that locked it, else the process stops. Any order of unlocking is fine.
void mutex_unlock(struct mutex *m);
bool mutex_is_mine(const struct mutex *m); // true also where ownership is not tracked

static inline void mutex_unlock_owned_(struct mutex **m)
{
    if (*m)
        mutex_unlock(*m);
}
// Locks for the rest of the scope: LOCKED(&x->mu);
#define LOCKED_2(m, line)                                                               \
    __attribute__((cleanup(mutex_unlock_owned_))) struct mutex *locked_##line##_ = (m); \
    mutex_lock(locked_##line##_)
#define LOCKED_1(m, line) LOCKED_2(m, line)
#define LOCKED(m)         LOCKED_1(m, __LINE__)

struct cond {
    pthread_cond_t c;
};
void cond_init(struct cond *c); // waits are on the monotonic clock
// Ends a condition that nobody waits for.
void cond_fini(struct cond *c);
// Wakes one waiter, or none. What it waits for is changed under the mutex before.
void cond_wake(struct cond *c);
// Wakes all waiters, as cond_wake does one.
void cond_wake_all(struct cond *c);
// Waits with m held for at most timeout_ms; false: timed out.
bool cond_wait(struct cond *c, struct mutex *m, int64_t timeout_ms);

struct thread {
    pthread_t t;
    bool started;
};
// name: at most 15 bytes, shown by top -H.
MUST_CHECK bool thread_start(struct thread *t, const char *name, void *(*run)(void *), void *ctx,
                             struct err *e);
void thread_join(struct thread *t); // a thread that was not started is fine
