/*
 * log_writer.c - rounds of the log writer.
 *
 * Locks: w->mu (rank QUEUE) guards groups and round counters and is not held over I/O; a stream's
 * mu (rank LEAF) guards its pending bytes. `writing` and `taken` belong to the writer thread.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/log_writer.h"

#include <stdatomic.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/vec.h"

enum { RETRY_MS = 1000, CATALOG_WAIT_MS = 60000 };

struct log_stream {
    _Atomic uint32_t refs;
    enum log_stream_kind kind;
    struct log_group *group;
    struct rowlog *log;
    struct mutex mu;    // guards pending, taken, counted
    struct buf pending; // under mu
    uint64_t taken;     // under mu: bytes that left pending; the end of pending is taken + its size
    uint64_t counted;   // under mu: bytes added to the writer's total
    struct buf writing; // the writer's: taken, not yet written
    bool dirty;         // the writer's: written since the last sync
    bool wrote;         // the writer's: written in this round
    _Atomic uint64_t done; // bytes written; released by the writer for log_stream_has_written
    _Atomic uint64_t bytes;
    atomic_bool failed, broken;
};

struct log_group {
    struct log_writer *writer;
    void (*pull)(void *ctx);
    void *ctx;
    VEC(struct log_stream *) streams; // under writer->mu; each holds a reference; oldest first
    bool kicked;                      // under writer->mu
};

struct log_writer {
    struct log_writer_options o;
    struct thread thread;
    struct mutex mu; // guards groups, their streams and kicks, and what follows
    struct cond wake, done;
    VEC(struct log_group *) groups;
    uint64_t started, finished; // rounds
    bool kicked, stopping;
    bool busy; // a round or a sync is running: groups stay
    _Atomic uint64_t pending;
};

struct stream_list {
    struct log_stream **v; // referenced
    size_t n, cap;
};

/* ---- streams ---- */

struct log_stream *log_stream_new(struct log_group *g, struct rowlog *log,
                                  enum log_stream_kind kind)
{
    struct log_stream *s = xcalloc(1, sizeof *s);

    atomic_init(&s->refs, 2); // the caller's and the group's
    s->kind = kind;
    s->group = g;
    s->log = log;
    atomic_init(&s->bytes, rowlog_bytes(log));
    mutex_init(&s->mu, "log_stream", RANK_LEAF);
    LOCKED(&g->writer->mu);
    *vec_push(&g->streams) = s;
    return s;
}

struct log_stream *log_stream_get(struct log_stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void log_stream_put(struct log_stream *s)
{
    assert(!s || atomic_load_explicit(&s->refs, memory_order_relaxed) > 0);
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    rowlog_close(s->log);
    buf_fini(&s->pending);
    buf_fini(&s->writing);
    mutex_fini(&s->mu);
    xfree(s);
}

static bool forget_stream(struct log_group *g, const struct log_stream *s)
{
    LOCKED(&g->writer->mu);
    for (size_t i = 0; i < g->streams.n; i++) {
        if (g->streams.v[i] != s)
            continue;
        memmove(&g->streams.v[i], &g->streams.v[i + 1],
                (g->streams.n - i - 1) * sizeof g->streams.v[0]);
        g->streams.n--;
        return true;
    }
    return false;
}

void log_stream_retire(struct log_stream *s)
{
    if (forget_stream(s->group, s)) {
        log_stream_put(s);
    }
}

uint64_t log_stream_number(const struct log_stream *s)
{
    return rowlog_number(s->log);
}

const char *log_stream_path(const struct log_stream *s)
{
    return rowlog_path(s->log);
}

uint64_t log_stream_bytes(const struct log_stream *s)
{
    return atomic_load_explicit(&s->bytes, memory_order_relaxed);
}

bool log_stream_has_failed(const struct log_stream *s)
{
    return atomic_load_explicit(&s->failed, memory_order_relaxed);
}

bool log_stream_is_broken(const struct log_stream *s)
{
    return atomic_load_explicit(&s->broken, memory_order_relaxed);
}

static uint64_t position_locked(const struct log_stream *s)
{
    return s->taken + s->pending.n;
}

struct buf *log_stream_begin(struct log_stream *s)
{
    mutex_lock(&s->mu);
    return &s->pending;
}

uint64_t log_stream_end(struct log_stream *s)
{
    uint64_t position = position_locked(s);

    assert(mutex_is_mine(&s->mu)); // since log_stream_begin()
    assert(s->pending.n % 8 == 0); // whole frames
    assert(position >= s->counted);
    atomic_fetch_add_explicit(&s->group->writer->pending, position - s->counted,
                              memory_order_relaxed);
    s->counted = position;
    mutex_unlock(&s->mu);
    return position;
}

uint64_t log_stream_position(struct log_stream *s)
{
    LOCKED(&s->mu);
    return position_locked(s);
}

bool log_stream_has_written(const struct log_stream *s, uint64_t position)
{
    return atomic_load_explicit(&s->done, memory_order_acquire) >= position;
}

static void stream_take(struct log_stream *s)
{
    LOCKED(&s->mu);
    s->taken += s->pending.n;
    if (s->writing.n == 0) {
        struct buf empty = s->writing;

        s->writing = s->pending;
        s->pending = empty;
        return;
    }
    buf_bytes(&s->writing, s->pending.p, s->pending.n);
    buf_reset(&s->pending);
}

// A burst's room is given back, the usual size kept.
static void shrink(struct buf *b)
{
    if (b->cap > 1 << 20)
        buf_fini(b);
    else
        buf_reset(b);
}

static bool stream_write(struct log_stream *s)
{
    struct err e = { 0 };
    uint64_t n = s->writing.n;

    s->wrote = n > 0;
    if (n == 0)
        return true;
    if (!rowlog_append(s->log, s->writing.p, n, &e)) {
        if (!atomic_exchange_explicit(&s->failed, true, memory_order_relaxed))
            log_error("store", "log cannot be written", KV("path", rowlog_path(s->log)),
                      KV_ERR(&e));
        s->wrote = false;
        return false;
    }
    atomic_store_explicit(&s->failed, false, memory_order_relaxed);
    atomic_store_explicit(&s->bytes, rowlog_bytes(s->log), memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->group->writer->pending, n, memory_order_relaxed);
    shrink(&s->writing);
    s->dirty = true;
    return true;
}

// A failed sync is not tried again on this file: the kernel may have dropped the pages.
static bool stream_sync(struct log_stream *s)
{
    struct err e = { 0 };

    if (!s->dirty)
        return true;
    s->dirty = false;
    if (rowlog_sync(s->log, &e))
        return true;
    log_error("store", "log cannot be synced", KV("path", rowlog_path(s->log)), KV_ERR(&e));
    atomic_store_explicit(&s->broken, true, memory_order_relaxed);
    return false;
}

// Publishes what is written (and synced, where that is asked for).
static void stream_publish(struct log_stream *s)
{
    LOCKED(&s->mu);
    atomic_store_explicit(&s->done, s->taken - s->writing.n, memory_order_release);
}

/* ---- groups ---- */

struct log_group *log_group_new(struct log_writer *w, void (*pull)(void *ctx), void *ctx)
{
    struct log_group *g = xcalloc(1, sizeof *g);

    g->writer = w;
    g->pull = pull;
    g->ctx = ctx;
    LOCKED(&w->mu);
    *vec_push(&w->groups) = g;
    return g;
}

void log_group_free(struct log_group *g)
{
    struct log_writer *w;

    if (!g)
        return;
    w = g->writer;
    mutex_lock(&w->mu);
    for (size_t i = 0; i < w->groups.n; i++) {
        if (w->groups.v[i] == g)
            w->groups.v[i] = w->groups.v[--w->groups.n];
    }
    while (w->busy)
        (void)cond_wait(&w->done, &w->mu, RETRY_MS);
    mutex_unlock(&w->mu);
    for (size_t i = 0; i < g->streams.n; i++)
        log_stream_put(g->streams.v[i]);
    vec_fini(&g->streams);
    xfree(g);
}

uint64_t log_group_kick(struct log_group *g)
{
    struct log_writer *w = g->writer;

    LOCKED(&w->mu);
    g->kicked = true;
    if (!w->kicked) {
        w->kicked = true;
        cond_wake(&w->wake);
    }
    return w->started + 1;
}

bool log_writer_wait(struct log_writer *w, uint64_t ticket, int64_t timeout_ms, struct err *e)
{
    int64_t until = clock_mono_ns(clock_real()) + timeout_ms * NS_MS;

    LOCKED(&w->mu);
    while (w->finished < ticket) {
        int64_t left_ms = (until - clock_mono_ns(clock_real())) / NS_MS;

        if (left_ms <= 0)
            return err_set(e, ERR_UNAVAILABLE, "log was not written within %lld ms",
                           (long long)timeout_ms);
        (void)cond_wait(&w->done, &w->mu, left_ms);
    }
    return true;
}

// The group's streams of one kind, each referenced, oldest first.
static void collect(struct log_group *g, enum log_stream_kind kind, struct stream_list *list)
{
    LOCKED(&g->writer->mu);
    for (size_t i = 0; i < g->streams.n; i++) {
        if (g->streams.v[i]->kind == kind)
            *vec_push(list) = log_stream_get(g->streams.v[i]);
    }
}

static void release(struct stream_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        log_stream_put(list->v[i]);
    vec_fini(list);
}
OWN_DEFINE_FINI(struct stream_list, release);

bool log_group_sync_catalog(struct log_group *g, struct err *e)
{
    OWNED(release) struct stream_list list = { 0 };

    if (!log_writer_wait(g->writer, log_group_kick(g), CATALOG_WAIT_MS, e))
        return false;
    collect(g, LOG_CATALOG, &list);
    for (size_t i = 0; i < list.n; i++) {
        struct log_stream *s = list.v[i];

        if (log_stream_has_failed(s) || log_stream_is_broken(s))
            return err_set(e, ERR_UNAVAILABLE, "catalog log %s cannot be written",
                           rowlog_path(s->log));
        if (!rowlog_sync(s->log, e)) {
            atomic_store_explicit(&s->broken, true, memory_order_relaxed);
            return false;
        }
    }
    return true;
}

/* ---- rounds ---- */

static bool stream_round(struct log_stream *s, bool sync)
{
    if (!stream_write(s) || (sync && !stream_sync(s)))
        return false;
    stream_publish(s);
    return true;
}

// Takes rows, then catalog records; writes catalogs, then rows.
static void group_round(struct log_group *g, bool sync)
{
    OWNED(release) struct stream_list rows = { 0 };
    OWNED(release) struct stream_list catalogs = { 0 };
    bool ok = true;

    collect(g, LOG_ROWS, &rows);
    for (size_t i = 0; i < rows.n; i++)
        stream_take(rows.v[i]);
    if (g->pull)
        g->pull(g->ctx);
    collect(g, LOG_CATALOG, &catalogs);
    for (size_t i = 0; i < catalogs.n; i++)
        stream_take(catalogs.v[i]);
    for (size_t i = 0; ok && i < catalogs.n; i++)
        ok = stream_round(catalogs.v[i], sync);
    if (fault_hit("log.catalog"))
        ok = false;
    for (size_t i = 0; ok && i < rows.n; i++)
        (void)stream_round(rows.v[i], sync);
    (void)fault_hit("log.rows"); // a kill between writing and waking
}

static void group_sync(struct log_group *g)
{
    OWNED(release) struct stream_list rows = { 0 };
    OWNED(release) struct stream_list catalogs = { 0 };
    bool ok = true;

    collect(g, LOG_CATALOG, &catalogs);
    collect(g, LOG_ROWS, &rows);
    for (size_t i = 0; ok && i < catalogs.n; i++)
        ok = stream_sync(catalogs.v[i]);
    for (size_t i = 0; ok && i < rows.n; i++)
        (void)stream_sync(rows.v[i]);
}

struct group_list {
    struct log_group **v;
    size_t n, cap;
};

/*
 * Waits for work. False: stop, and nothing is left. Each second all groups are due, for syncing
 * and for trying again what failed.
 */
static bool next_round(struct log_writer *w, int64_t sync_at_ns, struct group_list *due,
                       bool *sync_due)
{
    LOCKED(&w->mu);
    w->busy = false;
    cond_wake_all(&w->done);
    for (;;) {
        int64_t now = clock_mono_ns(clock_real());

        *sync_due = now >= sync_at_ns;
        if (w->kicked || w->stopping || *sync_due)
            break;
        (void)cond_wait(&w->wake, &w->mu, (sync_at_ns - now) / NS_MS + 1);
    }
    vec_reset(due);
    for (size_t i = 0; i < w->groups.n; i++) {
        if (w->groups.v[i]->kicked || *sync_due)
            *vec_push(due) = w->groups.v[i];
        w->groups.v[i]->kicked = false;
    }
    if (w->stopping && !w->kicked)
        return false;
    w->kicked = false;
    w->busy = true;
    w->started++;
    return true;
}

static void finish_round(struct log_writer *w)
{
    LOCKED(&w->mu);
    w->finished++;
    cond_wake_all(&w->done);
}

static void *run(void *ctx)
{
    struct log_writer *w = ctx;
    struct group_list due = { 0 };
    int64_t interval_ns = w->o.sync_interval_ms * NS_MS;
    int64_t sync_at_ns = clock_mono_ns(clock_real()) + interval_ns;
    bool sync_due;

    while (next_round(w, sync_at_ns, &due, &sync_due)) {
        for (size_t i = 0; i < due.n; i++)
            group_round(due.v[i], w->o.sync_always);
        finish_round(w);
        if (sync_due) {
            for (size_t i = 0; i < due.n; i++)
                group_sync(due.v[i]);
            sync_at_ns = clock_mono_ns(clock_real()) + interval_ns;
        }
    }
    vec_fini(&due);
    return NULL;
}

bool log_writer_start(struct log_writer **out, const struct log_writer_options *o, struct err *e)
{
    struct log_writer *w = xcalloc(1, sizeof *w);

    w->o = *o;
    if (w->o.sync_interval_ms <= 0)
        w->o.sync_interval_ms = RETRY_MS;
    mutex_init(&w->mu, "log_writer", RANK_QUEUE);
    cond_init(&w->wake);
    cond_init(&w->done);
    if (!thread_start(&w->thread, "log-writer", run, w, e)) {
        log_writer_stop(w);
        return false;
    }
    *out = w;
    return true;
}

void log_writer_stop(struct log_writer *w)
{
    if (!w)
        return;
    mutex_lock(&w->mu);
    w->stopping = true;
    cond_wake(&w->wake);
    mutex_unlock(&w->mu);
    thread_join(&w->thread);
    assert(w->groups.n == 0);
    vec_fini(&w->groups);
    cond_fini(&w->wake);
    cond_fini(&w->done);
    mutex_fini(&w->mu);
    xfree(w);
}

uint64_t log_writer_pending(struct log_writer *w)
{
    return atomic_load_explicit(&w->pending, memory_order_relaxed);
}
