// fault.c - a small table of armed faults.
// SPDX-License-Identifier: Apache-2.0
#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FAULTS_MAX = 64 };

struct fault {
    char name[48];
    unsigned delay_ms;
    unsigned left; // passes until it fires; 0: spent or only counting
    enum fault_action action;
    uint64_t passes;
};

// Test equipment: armed by tests or the environment, empty in normal life.
static struct {
    atomic_bool armed;
    pthread_mutex_t mu;
    struct fault v[FAULTS_MAX];
    size_t n;
} faults = { .mu = PTHREAD_MUTEX_INITIALIZER };

static struct fault *fault_locked(const char *name, bool add)
{
    for (size_t i = 0; i < faults.n; i++)
        if (strcmp(faults.v[i].name, name) == 0)
            return &faults.v[i];
    if (!add || faults.n == FAULTS_MAX || strlen(name) >= sizeof faults.v[0].name)
        return NULL;
    struct fault *f = &faults.v[faults.n++];
    *f = (struct fault){ 0 };
    memcpy(f->name, name, strlen(name) + 1);
    return f;
}

void fault_set(const char *name, unsigned nth, enum fault_action action)
{
    pthread_mutex_lock(&faults.mu);
    struct fault *f = fault_locked(name, true);
    assert(f);
    f->left = nth;
    f->action = action;
    atomic_store_explicit(&faults.armed, true, memory_order_relaxed);
    pthread_mutex_unlock(&faults.mu);
}

void fault_at(const char *name, unsigned nth)
{
    fault_set(name, nth, FAULT_EIO);
}

void fault_delay(const char *name, unsigned delay_ms)
{
    pthread_mutex_lock(&faults.mu);
    struct fault *f = fault_locked(name, true);
    assert(f);
    f->delay_ms = delay_ms;
    atomic_store_explicit(&faults.armed, true, memory_order_relaxed);
    pthread_mutex_unlock(&faults.mu);
}

void fault_clear(void)
{
    pthread_mutex_lock(&faults.mu);
    faults.n = 0;
    atomic_store_explicit(&faults.armed, false, memory_order_relaxed);
    pthread_mutex_unlock(&faults.mu);
}

void fault_from_env(void)
{
    const char *env = getenv("VIGIE_FAULT"); // name:nth[:kill|nospace], name:ms:delay
    struct str rest = str_c(env), name = str_cut(&rest, ':'), nth = str_cut(&rest, ':');
    char text[48];
    uint64_t n;

    if (!env || name.n >= sizeof text || !str_to_u64(nth, &n))
        return;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    if (str_eq(rest, STR("delay"))) {
        fault_delay(text, (unsigned)n);
        return;
    }
    fault_set(text, (unsigned)n,
              str_eq(rest, STR("kill"))      ? FAULT_KILL
              : str_eq(rest, STR("nospace")) ? FAULT_ENOSPC
                                             : FAULT_EIO);
}

bool fault_hit(const char *name)
{
    if (LIKELY(!atomic_load_explicit(&faults.armed, memory_order_relaxed)))
        return false;
    pthread_mutex_lock(&faults.mu);
    struct fault *f = fault_locked(name, true);
    bool fires = f && f->left && --f->left == 0;
    enum fault_action action = f ? f->action : FAULT_EIO;
    if (f)
        f->passes++;
    unsigned delay_ms = f ? f->delay_ms : 0;
    pthread_mutex_unlock(&faults.mu);
    if (delay_ms)
        nanosleep(&(struct timespec){ delay_ms / 1000, (long)(delay_ms % 1000) * 1000000 }, NULL);
    if (fires && action == FAULT_KILL)
        kill(getpid(), SIGKILL);
    if (fires)
        errno = action == FAULT_ENOSPC ? ENOSPC : EIO;
    return fires;
}

uint64_t fault_passes(const char *name)
{
    pthread_mutex_lock(&faults.mu);
    struct fault *f = fault_locked(name, false);
    uint64_t n = f ? f->passes : 0;
    pthread_mutex_unlock(&faults.mu);
    return n;
}
