/*
 * metrics_upkeep.c - background work: flushing, freezing, merging, closing, retention, disk room.
 *
 * Two threads, so that a long merge delays no flush: the flusher (flush, freeze, ageing of slots,
 * disk room) and the merger (merge, close, retention). Each looks around once a second.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/feed_priv.h"

enum {
    TICK_MS = 1000,
    FLUSH_ROWS_PER_SERIES = 16,
    FLUSH_ROWS_MIN = 64 << 10,
    FLUSH_ROWS_MAX = 4 << 20,
    SWEEP_STEP = 4096,
    SLOW_TICKS = 60, // merger: retention and closing; flusher: metadata
    SWEEP_TICKS = 3600,
    FEED_TICKS = 10,
    MERGE_NICE = 10,
};
#define MERGE_RETRY_NS     (600 * NS_SECOND)
#define FLUSH_AGE_NS       (2 * 3600 * NS_SECOND)
#define DISK_MIN_BYTES     (UINT64_C(512) << 20)
#define DISK_RESERVE_BYTES (UINT64_C(64) << 20)

/* ---- room on the disk ---- */

// Keeps a file of 64 MiB while there is room, and gives it up when there is none.
static void keep_reserve(struct metrics *m, bool full, uint64_t left)
{
    OWNED(buf_fini) struct buf path = { 0 };
    OWNED(file_close) int fd = -1;
    struct err e = { 0 };

    buf_printf(&path, "%s/reserve", m->path);
    if (full) {
        if (!file_remove(buf_cstr(&path), &e))
            log_warn("metrics", "reserve is not given up", KV_ERR(&e));
        return;
    }
    if (m->o.no_background || left < 2 * DISK_MIN_BYTES || file_exists(buf_cstr(&path)))
        return;
    fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd >= 0 && fallocate(fd, 0, 0, (off_t)DISK_RESERVE_BYTES) != 0)
        (void)unlink(path.p);
}

void upkeep_look_at_disk(struct metrics *m)
{
    struct err e = { 0 }; // unknown room counts as enough
    uint64_t left, total;
    bool full, was;

    if (!file_disk_free(m->path, &left, &total, &e))
        return;
    full = left < MAX(total / 100, DISK_MIN_BYTES) || fault_hit("disk.full");
    was = atomic_exchange_explicit(&m->is_disk_full, full, memory_order_relaxed);
    if (full && !was)
        log_error("metrics", "disk is full: new samples are refused until there is room",
                  KV("path", m->path), KV_U64("free_bytes", left));
    if (!full && was)
        log_info("metrics", "disk has room again", KV("path", m->path));
    keep_reserve(m, full, left);
}

/* ---- flushing ---- */

struct load {
    uint32_t rows;
    uint64_t bytes;
    int64_t age_ns;
    bool is_frozen, is_broken; // older tails wait; a log cannot be written
};

static struct load load_of(struct span *s, uint32_t shard)
{
    struct load l = { 0 };
    const struct tail *head = NULL;
    int64_t now_ns = clock_mono_ns(s->tenant->m->clock);

    if (shard < s->tenant->shard_count) {
        LOCKED(&s->tenant->shard[shard].mu);
        head = s->head[shard];
    }
    LOCKED(&s->mu);
    for (size_t i = 0; i < s->tails.n; i++) {
        const struct tail *t = s->tails.v[i];
        uint32_t rows = atomic_load_explicit(&t->row_count, memory_order_relaxed);

        if (t->shard != shard)
            continue;
        l.bytes += (uint64_t)rows * 18 + atomic_load_explicit(&t->blob_bytes, memory_order_relaxed);
        if (t->stream && log_stream_is_broken(t->stream))
            l.is_broken = true;
        if (t != head) {
            l.is_frozen = true;
            continue;
        }
        l.rows = rows;
        l.age_ns = now_ns - t->born_mono_ns;
    }
    return l;
}

static uint32_t rows_max(struct metrics_tenant *t, uint32_t shard)
{
    uint64_t active;
    LOCKED(&t->shard[shard % METRICS_SHARDS_MAX].mu);

    active = t->shard[shard % METRICS_SHARDS_MAX].slots.active;
    return (uint32_t)MIN(MAX(active * FLUSH_ROWS_PER_SERIES, (uint64_t)FLUSH_ROWS_MIN),
                         (uint64_t)FLUSH_ROWS_MAX);
}

struct biggest {
    struct span *s; // referenced
    uint32_t shard;
    uint64_t bytes, all_bytes;
};

static void flush_span(struct span *s, struct biggest *big)
{
    struct err e = { 0 };

    if (!atomic_load_explicit(&s->is_open, memory_order_acquire))
        return;
    for (uint32_t k = 0; k < s->tenant->shard_count; k++) {
        struct load l = load_of(s, k);

        if (l.is_frozen || l.is_broken || l.rows >= rows_max(s->tenant, k) ||
            (l.rows && l.age_ns > FLUSH_AGE_NS)) {
            if (!span_flush_shard(s, k, true, &e))
                log_warn("metrics", "flush failed and is tried again", KV_ERR(&e));
            continue;
        }
        big->all_bytes += l.bytes;
        if (l.bytes > big->bytes) {
            span_put(big->s);
            big->s = span_get(s);
            big->shard = k;
            big->bytes = l.bytes;
        }
    }
    if (catalog_freeze_is_due(s->catalog) && !span_freeze(s, &e))
        log_warn("metrics", "freezing of the catalog failed and is tried again", KV_ERR(&e));
}

// Under memory pressure the biggest tail goes first.
static void flush_biggest(struct metrics *m, struct biggest *big)
{
    struct err e = { 0 };

    if (big->s && big->all_bytes > m->o.tail_bytes_max &&
        !span_flush_shard(big->s, big->shard, true, &e))
        log_warn("metrics", "flush failed and is tried again", KV_ERR(&e));
    span_put(big->s);
}

/* ---- ageing of slots ---- */

static void sweep_slots(struct metrics_tenant *t)
{
    for (uint32_t k = 0; k < t->shard_count; k++) {
        struct metrics_shard *sh = &t->shard[k];
        uint64_t evicted = 0;

        do {
            LOCKED(&sh->mu);
            evicted += slots_sweep(&sh->slots, &sh->hand, SWEEP_STEP);
        } while (sh->hand);
        if (evicted) {
            for (unsigned i = 0; i < ALIAS_STRIPES; i++)
                aliases_drop_stripe(&t->aliases, i);
        }
    }
}

/* ---- threads ---- */

// A copy of the list of tenants, which live as long as m.
static struct metrics_tenant **tenants_of(struct metrics *m, struct arena *a, size_t *n)
{
    struct metrics_tenant **v;
    LOCKED(&m->mu);

    *n = m->tenants.n;
    v = arena_array(a, *n, struct metrics_tenant *);
    for (size_t i = 0; i < *n; i++)
        v[i] = m->tenants.v[i];
    return v;
}

// Waits for the next look. False: stop.
static bool tick(struct metrics *m)
{
    LOCKED(&m->work_mu);
    if (!m->stopping)
        (void)cond_wait(&m->work, &m->work_mu, TICK_MS);
    return !m->stopping;
}

static void flush_round(struct metrics *m, struct arena *a, unsigned ticks)
{
    struct biggest big = { 0 };
    size_t n;
    struct metrics_tenant **t = tenants_of(m, a, &n);
    struct err e = { 0 };

    upkeep_look_at_disk(m);
    for (size_t i = 0; i < n; i++) {
        OWNED(span_list_put) struct span_list list = span_list(t[i], a);

        for (size_t k = 0; k < list.n; k++)
            flush_span(list.v[k], &big);
        if (ticks % SLOW_TICKS == 0 && !metadata_save(t[i]->metadata, &e))
            log_warn("metrics", "metadata is not saved", KV_ERR(&e));
        if (ticks % SWEEP_TICKS == 0)
            sweep_slots(t[i]);
    }
    flush_biggest(m, &big);
}

static void *run_flusher(void *ctx)
{
    struct metrics *m = ctx;
    struct arena a = { 0 };

    for (unsigned ticks = 1; tick(m); ticks++) {
        flush_round(m, &a, ticks);
        arena_reset(&a);
    }
    arena_fini(&a);
    return NULL;
}

static void merge_round(struct metrics *m, struct arena *a, unsigned ticks)
{
    size_t n;
    struct metrics_tenant **t = tenants_of(m, a, &n);
    int64_t now_ns = clock_mono_ns(m->clock);
    struct err e = { 0 };

    for (size_t i = 0; i < n; i++) {
        OWNED(span_list_put) struct span_list list = span_list(t[i], a);

        if (ticks % FEED_TICKS == 0)
            feed_bounds(t[i]);
        for (size_t k = 0; k < list.n; k++) {
            struct span *s = list.v[k];

            if (m->o.drop_passed && !span_drop_passed(s, &e))
                log_warn("metrics", "passed parts are not dropped", KV_ERR(&e));
            if (atomic_load_explicit(&s->is_open, memory_order_acquire) &&
                now_ns >= s->merge_after_ns && !span_merge(s, &e)) {
                s->merge_after_ns = now_ns + MERGE_RETRY_NS;
                log_warn("metrics", "merge failed and is tried again", KV_ERR(&e));
            }
            if (ticks % SLOW_TICKS == 0 && span_is_due_to_close(s) && !span_close_writing(s, &e))
                log_warn("metrics", "closing of a partition failed and is tried again", KV_ERR(&e));
        }
    }
    if (ticks % SLOW_TICKS == 0 && !upkeep_retain(m, &e))
        log_warn("metrics", "retention failed and is tried again", KV_ERR(&e));
}

static void *run_merger(void *ctx)
{
    struct metrics *m = ctx;
    struct arena a = { 0 };

    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), MERGE_NICE);
    for (unsigned ticks = 1; tick(m); ticks++) {
        merge_round(m, &a, ticks);
        arena_reset(&a);
    }
    arena_fini(&a);
    return NULL;
}

bool upkeep_start(struct metrics *m, struct err *e)
{
    return thread_start(&m->flusher, "flusher", run_flusher, m, e) &&
           thread_start(&m->merger, "merger", run_merger, m, e);
}

void upkeep_stop(struct metrics *m)
{
    mutex_lock(&m->work_mu);
    m->stopping = true;
    cond_wake_all(&m->work);
    mutex_unlock(&m->work_mu);
    thread_join(&m->flusher);
    thread_join(&m->merger);
}

/* ---- retention ---- */

// Takes the span out of the tenant and deletes its folder. *done false: it has logs or readers' rows.
static bool drop_span(struct span *s, const char *why, bool *done, struct err *e)
{
    struct metrics_tenant *t = s->tenant;
    LOCKED(&s->merge_mu);
    LOCKED(&s->work_mu);

    *done = false;
    if (feeds_need(s))
        return true; // until its bounds: see feed_bounds()
    mutex_lock(&s->mu);
    s->is_dropped = !s->tails.n && !s->appenders;
    *done = s->is_dropped;
    mutex_unlock(&s->mu);
    if (!*done)
        return true;
    if (!partition_drop(t->path, s->name, e)) {
        LOCKED(&s->mu);
        s->is_dropped = false;
        return false;
    }
    span_detach(t, s);
    feeds_forget(s);
    log_info("metrics", "partition dropped", KV("partition", s->name), KV("why", why));
    return true;
}

static uint64_t span_bytes(struct span *s)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    uint64_t n = 0;

    partition_manifest(s->store, &m);
    for (size_t i = 0; i < m.parts.n; i++)
        n += m.parts.v[i].bytes;
    for (size_t i = 0; i < m.segments.n; i++)
        n += m.segments.v[i].bytes;
    return n;
}

// By time: relative to the newest sample, so that data stays when nothing new comes.
static bool retain_tenant(struct metrics *m, struct metrics_tenant *t, struct arena *a,
                          struct err *e)
{
    OWNED(span_list_put) struct span_list list = span_list(t, a);
    int64_t newest = atomic_load_explicit(&t->newest_ms, memory_order_relaxed);
    int64_t keep_ms = atomic_load_explicit(&t->retention_ms, memory_order_relaxed);
    uint64_t bytes = 0;
    bool done = false;

    if (newest == INT64_MIN || !list.n)
        return true;
    for (size_t i = 0; i < list.n; i++)
        bytes += span_bytes(list.v[i]);
    for (size_t i = 0; i + 1 < list.n; i++) {
        bool old = keep_ms != INT64_MAX && list.v[i]->max_ms <= newest - keep_ms;
        bool big = m->o.retention_bytes && bytes > m->o.retention_bytes;
        uint64_t its = span_bytes(list.v[i]);

        if (!old && !big)
            continue;
        if (!drop_span(list.v[i], old ? "retention time" : "retention size", &done, e))
            return false;
        bytes -= done ? its : 0;
    }
    return true;
}

bool upkeep_retain(struct metrics *m, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    size_t n;
    struct metrics_tenant **t = tenants_of(m, &a, &n);
    LOCKED(&m->retain_mu);

    for (size_t i = 0; i < n; i++) {
        if (!retain_tenant(m, t[i], &a, e))
            return false;
    }
    return true;
}

/* ---- on demand ---- */

bool metrics_retain(struct metrics *m, struct err *e)
{
    return upkeep_retain(m, e);
}

static bool each_span(struct metrics *m, bool (*act)(struct span *s, struct err *e), struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    size_t n;
    struct metrics_tenant **t = tenants_of(m, &a, &n);

    for (size_t i = 0; i < n; i++) {
        OWNED(span_list_put) struct span_list list = span_list(t[i], &a);

        for (size_t k = 0; k < list.n; k++) {
            if (!act(list.v[k], e))
                return false;
        }
    }
    return true;
}

static bool flush_now(struct span *s, struct err *e)
{
    return !atomic_load_explicit(&s->is_open, memory_order_acquire) || span_flush(s, true, e);
}

static bool merge_now(struct span *s, struct err *e)
{
    if (atomic_load_explicit(&s->is_open, memory_order_acquire) && !span_merge(s, e))
        return false;
    return !span_is_due_to_close(s) || span_close_writing(s, e);
}

bool metrics_flush(struct metrics *m, struct err *e)
{
    return each_span(m, flush_now, e);
}

bool metrics_merge(struct metrics *m, struct err *e)
{
    return each_span(m, merge_now, e);
}

bool metrics_clean(struct metrics *m, struct err *e)
{
    return each_span(m, span_clean, e);
}
