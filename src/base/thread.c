// thread.c - pthreads behind ranks and names.
// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

enum { HELD_MAX = 16 };

// The mutexes this thread holds, in order of locking: for the rank check.
static __thread struct {
    const struct mutex *v[HELD_MAX];
    int n;
} held;

void mutex_init(struct mutex *m, const char *name, int rank)
{
    assert(rank > 0); // a mutex that was not initialised has none
    pthread_mutex_init(&m->m, NULL);
    m->name = name;
    m->rank = rank;
}

void mutex_fini(struct mutex *m)
{
    int busy = pthread_mutex_destroy(&m->m);

    assert(!busy && "nobody holds it");
}

static void held_add(const struct mutex *m)
{
    for (int i = 0; i < held.n; i++)
        assert(held.v[i]->rank < m->rank && "locks are taken in order of rank");
    assert(held.n < HELD_MAX);
    held.v[held.n++] = m;
}

static void held_drop(const struct mutex *m)
{
    int i = held.n;

    while (i && held.v[i - 1] != m)
        i--;
    assert(i && "unlocked by a thread that does not hold it");
    for (; i < held.n; i++)
        held.v[i - 1] = held.v[i];
    held.n--;
}

void mutex_lock(struct mutex *m)
{
    held_add(m);
    int os = pthread_mutex_lock(&m->m);
    assert(os == 0);
}

bool mutex_try(struct mutex *m)
{
    if (pthread_mutex_trylock(&m->m) != 0)
        return false;
    assert(held.n < HELD_MAX);
    held.v[held.n++] = m; // a try cannot deadlock: any rank
    return true;
}

void mutex_unlock(struct mutex *m)
{
    held_drop(m);
    int os = pthread_mutex_unlock(&m->m);
    assert(os == 0);
}

bool mutex_is_mine(const struct mutex *m)
{
    for (int i = 0; i < held.n; i++)
        if (held.v[i] == m)
            return true;
    return false;
}

void cond_init(struct cond *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->c, &attr);
    pthread_condattr_destroy(&attr);
}

void cond_fini(struct cond *c)
{
    pthread_cond_destroy(&c->c);
}

void cond_wake(struct cond *c)
{
    pthread_cond_signal(&c->c);
}

void cond_wake_all(struct cond *c)
{
    pthread_cond_broadcast(&c->c);
}

bool cond_wait(struct cond *c, struct mutex *m, int64_t timeout_ms)
{
    struct timespec ts;

    assert(mutex_is_mine(m) && timeout_ms >= 0);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    timeout_ms = MIN(timeout_ms, (int64_t)86400 * 1000);
    ts.tv_sec += timeout_ms / 1000;
    ts.tv_nsec += timeout_ms % 1000 * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return pthread_cond_timedwait(&c->c, &m->m, &ts) != ETIMEDOUT;
}

bool thread_start(struct thread *t, const char *name, void *(*run)(void *), void *ctx,
                  struct err *e)
{
    assert(!t->started);
    int os = pthread_create(&t->t, NULL, run, ctx);

    if (os) {
        errno = os;
        return err_os(e, "start thread %s", name);
    }
    t->started = true;
    pthread_setname_np(t->t, name);
    return true;
}

void thread_join(struct thread *t)
{
    if (t->started)
        pthread_join(t->t, NULL);
    t->started = false;
}
