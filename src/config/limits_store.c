/*
 * limits_store.c - the limits in force: read from a file, and again when the file has changed.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/limits.h"

enum { FILE_MAX = 64 << 20 };

struct file_state { // what tells one version of a file from another
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct limits_store {
    char *path; // NULL: none
    bool tenancy;
    struct mutex mu; // guards what follows
    struct cond wake;
    struct limits_doc *doc;
    struct file_state seen;
    bool stopping;
    void (*changed)(void *ctx);
    void *changed_ctx;
    _Atomic uint64_t number; // of doc; released after it was set
    struct thread thread;
};

static bool state_of(const char *path, struct file_state *out)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return false;
    *out = (struct file_state){ st.st_ino, st.st_size, st.st_mtim };
    return true;
}

static bool read_doc(const struct limits_store *s, struct limits_doc **out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text = STR_NONE;

    if (s->path && !file_read(&a, s->path, FILE_MAX, &text, e))
        return false;
    if (!limits_parse(text, s->tenancy, out, e))
        return s->path ? err_wrap(e, "limits file %s, line %u", s->path, e->pos.line) : false;
    for (size_t i = 0; i < (*out)->warnings.n; i++)
        log_warn("limits", "a key of the limits file is ignored",
                 KV_U64("line", (*out)->warnings.v[i].pos.line),
                 KV_STR("key", (*out)->warnings.v[i].text));
    return true;
}

static void set_doc(struct limits_store *s, struct limits_doc *d, const struct file_state *seen)
{
    struct limits_doc *old;
    void (*changed)(void *ctx);
    void *ctx;

    mutex_lock(&s->mu);
    old = s->doc;
    s->doc = d;
    s->seen = *seen;
    atomic_store_explicit(&s->number, d->number, memory_order_release);
    changed = s->changed;
    ctx = s->changed_ctx;
    mutex_unlock(&s->mu);
    limits_doc_put(old);
    if (changed)
        changed(ctx);
}

bool limits_store_reload(struct limits_store *s, struct err *e)
{
    struct file_state seen = { 0 };
    struct limits_doc *d;

    if (s->path)
        (void)state_of(s->path, &seen); // before reading: a change meanwhile is seen next time
    if (!read_doc(s, &d, e))
        return false;
    set_doc(s, d, &seen);
    return true;
}

bool limits_store_open(struct limits_store **out, const char *path, bool tenancy, struct err *e)
{
    OWNED(limits_store_close) struct limits_store *s = xcalloc(1, sizeof *s);

    s->path = path && *path ? xstrdup_str(str_c(path)) : NULL;
    s->tenancy = tenancy;
    mutex_init(&s->mu, "limits", RANK_LEAF);
    cond_init(&s->wake);
    if (!limits_store_reload(s, e))
        return false;
    *out = TAKE(s);
    return true;
}

void limits_store_stop(struct limits_store *s)
{
    mutex_lock(&s->mu);
    s->stopping = true;
    s->changed = NULL;
    cond_wake_all(&s->wake);
    mutex_unlock(&s->mu);
    thread_join(&s->thread);
    s->thread = (struct thread){ 0 };
}

void limits_store_close(struct limits_store *s)
{
    if (!s)
        return;
    limits_store_stop(s);
    limits_doc_put(s->doc);
    cond_fini(&s->wake);
    mutex_fini(&s->mu);
    xfree(s->path);
    xfree(s);
}

struct limits_doc *limits_store_doc(struct limits_store *s)
{
    LOCKED(&s->mu);

    return limits_doc_get(s->doc);
}

uint64_t limits_store_number(const struct limits_store *s)
{
    return atomic_load_explicit(&s->number, memory_order_acquire); // pairs with set_doc()
}

void limits_store_poll(struct limits_store *s)
{
    struct file_state now = { 0 };
    struct err e = { 0 };
    bool same;

    if (!s->path || !state_of(s->path, &now))
        return; // a file that is away for a moment changes nothing
    mutex_lock(&s->mu);
    same = now.inode == s->seen.inode && now.size == s->seen.size &&
           now.changed.tv_sec == s->seen.changed.tv_sec &&
           now.changed.tv_nsec == s->seen.changed.tv_nsec;
    s->seen = now; // a wrong file is named once
    mutex_unlock(&s->mu);
    if (same)
        return;
    if (limits_store_reload(s, &e))
        log_info("limits", "limits taken in", KV("file", s->path));
    else
        log_error("limits", "limits refused, the old ones stay", KV_ERR(&e));
}

static void *watch(void *ctx)
{
    struct limits_store *s = ctx;

    mutex_lock(&s->mu);
    while (!s->stopping) {
        if (cond_wait(&s->wake, &s->mu, LIMITS_POLL_MS))
            continue;
        mutex_unlock(&s->mu);
        limits_store_poll(s);
        mutex_lock(&s->mu);
    }
    mutex_unlock(&s->mu);
    return NULL;
}

bool limits_store_watch(struct limits_store *s, void (*changed)(void *ctx), void *ctx,
                        struct err *e)
{
    mutex_lock(&s->mu);
    s->changed = changed;
    s->changed_ctx = ctx;
    mutex_unlock(&s->mu);
    return !s->path || thread_start(&s->thread, "limits", watch, s, e);
}
