// pool.c - a ring of jobs, a mutex and a condition.
// SPDX-License-Identifier: Apache-2.0
#include "base/pool.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"

struct job {
    void (*run)(void *ctx);
    void *ctx;
};

struct pool {
    struct mutex mu;
    struct cond wake;
    struct job *ring;     // under mu; queue_max of them
    size_t first, n, max; // under mu (max: constant)
    bool stopping;        // under mu
    int nice;
    const char *name;
    struct thread *threads;
    unsigned thread_count;
};

static void *work(void *ctx)
{
    struct pool *p = ctx;

    if (p->nice)
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), p->nice);
    mutex_lock(&p->mu);
    for (;;) {
        if (!p->n && p->stopping)
            break;
        if (!p->n) {
            cond_wait(&p->wake, &p->mu, 10000);
            continue;
        }
        struct job job = p->ring[p->first];
        p->first = (p->first + 1) % p->max;
        p->n--;
        mutex_unlock(&p->mu);
        job.run(job.ctx);
        mutex_lock(&p->mu);
    }
    mutex_unlock(&p->mu);
    return NULL;
}

bool pool_start(struct pool **out, const struct pool_options *o, struct err *e)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = o->threads ? o->threads : (unsigned)MAX(cpus, 2L);
    OWNED(pool_stop) struct pool *p = xcalloc(1, sizeof *p);

    assert(o->name);
    mutex_init(&p->mu, "pool", RANK_QUEUE);
    cond_init(&p->wake);
    p->max = o->queue_max ? o->queue_max : 1024;
    p->ring = xcalloc(p->max, sizeof *p->ring);
    p->name = o->name;
    p->nice = o->nice;
    p->threads = xcalloc(threads, sizeof *p->threads);
    for (unsigned i = 0; i < threads; i++) {
        char name[16];
        snprintf(name, sizeof name, "%.11s-%u", o->name, i % 1000);
        if (!thread_start(&p->threads[i], name, work, p, e))
            return false;
        p->thread_count++;
    }
    *out = TAKE(p);
    return true;
}

void pool_stop(struct pool *p)
{
    if (!p)
        return;
    mutex_lock(&p->mu);
    p->stopping = true;
    cond_wake_all(&p->wake);
    mutex_unlock(&p->mu);
    for (unsigned i = 0; i < p->thread_count; i++)
        thread_join(&p->threads[i]);
    assert(!p->n); // every job has answered its waiter
    cond_fini(&p->wake);
    mutex_fini(&p->mu);
    xfree(p->ring);
    xfree(p->threads);
    xfree(p);
}

bool pool_submit(struct pool *p, void (*run)(void *ctx), void *ctx, struct err *e)
{
    LOCKED(&p->mu);

    assert(run);
    if (p->stopping)
        return err_set(e, ERR_UNAVAILABLE, "%s workers are stopping", p->name);
    if (p->n == p->max)
        return err_set(e, ERR_UNAVAILABLE, "%s queue is full (%zu waiting)", p->name, p->n);
    p->ring[(p->first + p->n++) % p->max] = (struct job){ run, ctx };
    cond_wake(&p->wake);
    return true;
}

unsigned pool_threads(const struct pool *p)
{
    return p->thread_count;
}

size_t pool_waiting(struct pool *p)
{
    LOCKED(&p->mu);

    return p->n;
}
