/*
 * feed_hold.c - what cursors ask of the store: parts are not merged across them, partitions with
 * rows they need stay, tails that become parts leave word; and the bounds of all that.
 */
// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "metrics/feed_priv.h"

/* ---- merges ---- */

static bool bars(const struct feed_shard *sh, uint64_t from, uint64_t to)
{
    bool behind = to < sh->saved.seq;
    bool ahead = from > sh->read.seq || (from == sh->read.seq && sh->read.at == FEED_START);

    return !behind && !ahead;
}

static bool bars_merge_locked(const struct span *s, uint32_t shard, uint64_t from, uint64_t to)
{
    const struct feeds *all = &s->tenant->feeds;

    assert(mutex_is_mine(&all->mu));
    for (size_t i = 0; i < all->v.n; i++) {
        const struct feed_span *fs = feed_span_find(all->v.v[i], s->min_ms);

        for (uint32_t k = 0; fs && k < METRICS_SHARDS_MAX; k++) {
            if ((shard == k || shard == MANIFEST_SHARD_ALL) && bars(&fs->shard[k], from, to))
                return true;
        }
    }
    return false;
}

bool feeds_bar_merge(const struct span *s, uint32_t shard, uint64_t from, uint64_t to)
{
    LOCKED(&s->tenant->feeds.mu);
    return bars_merge_locked(s, shard, from, to);
}

bool feeds_merge_begin(struct feed_merge *m, const struct span *s, uint32_t shard, uint64_t from,
                       uint64_t to)
{
    struct feeds *all = &s->tenant->feeds;
    LOCKED(&all->mu);

    *m = (struct feed_merge){ .s = s, .shard = shard, .seq_from = from, .seq_to = to };
    // What all shards become is asked of each part before: see feeds_need().
    if (shard != MANIFEST_SHARD_ALL && bars_merge_locked(s, shard, from, to))
        return false;
    m->next = all->merges;
    all->merges = m;
    return true;
}

bool feeds_merge_commit(struct feed_merge *m)
{
    struct feeds *all = &m->s->tenant->feeds;
    LOCKED(&all->mu);

    if (m->is_cancelled)
        return false;
    m->is_committing = true;
    all->epoch++; // snapshots taken before are out of date
    return true;
}

void feeds_merge_end(struct feed_merge *m)
{
    struct feeds *all = &m->s->tenant->feeds;
    LOCKED(&all->mu);

    for (struct feed_merge **p = &all->merges; *p; p = &(*p)->next) {
        if (*p != m)
            continue;
        *p = m->next;
        all->epoch++;
        return;
    }
}

/* ---- what is needed ---- */

// The shard whose rows a part holds; METRICS_SHARDS_MAX: of all, and of no cursor's interest.
static uint32_t shard_of_part(const struct span_part *p)
{
    return MIN(metric_part_info(p->part)->shard, (uint32_t)METRICS_SHARDS_MAX);
}

static bool is_passed_locked(const struct metrics_tenant *t, const struct span *s,
                             const struct span_part *p)
{
    uint32_t k = shard_of_part(p);

    assert(mutex_is_mine(&t->feeds.mu));
    for (size_t i = 0; k < METRICS_SHARDS_MAX && i < t->feeds.v.n; i++) {
        const struct feed_span *fs = feed_span_find(t->feeds.v.v[i], s->min_ms);

        if (!fs || fs->shard[k].saved.seq <= p->info.seq_to)
            return false;
    }
    return true;
}

bool feeds_need(struct span *s)
{
    LOCKED(&s->mu);
    LOCKED(&s->tenant->feeds.mu);
    for (size_t i = 0; i < s->parts.n; i++) {
        if (!is_passed_locked(s->tenant, s, &s->parts.v[i]))
            return true;
    }
    return false;
}

size_t feeds_passed_parts(struct span *s, struct arena *a, uint64_t **numbers)
{
    size_t n = 0;
    LOCKED(&s->mu);
    LOCKED(&s->tenant->feeds.mu);

    *numbers = arena_array(a, s->parts.n, uint64_t);
    for (size_t i = 0; s->tenant->feeds.v.n && i < s->parts.n; i++) {
        if (is_passed_locked(s->tenant, s, &s->parts.v[i]))
            (*numbers)[n++] = s->parts.v[i].info.number;
    }
    return n;
}

/* ---- flushes ---- */

struct flush_place {
    struct feed *f;
    struct feed_span *fs;
    struct feed_pos acked;
};

static struct flush_place place_of(struct feed *f, const struct span *s, const struct tail *t)
{
    struct flush_place p = { .f = f };
    LOCKED(&s->tenant->feeds.mu);

    p.fs = feed_span_find(f, s->min_ms);
    if (p.fs && t->shard < METRICS_SHARDS_MAX)
        p.acked = p.fs->shard[t->shard].acked;
    return p;
}

bool feeds_before_flush(struct span *s, struct tail *t, bool *passed, struct err *e)
{
    struct feeds *all = &s->tenant->feeds;
    uint32_t rows = atomic_load_explicit(&t->row_count, memory_order_acquire);
    LOCKED(&all->list_mu);

    *passed = all->v.n > 0;
    // release; pairs with the acquire in feed_save
    atomic_store_explicit(&t->is_leaving, true, memory_order_release);
    for (size_t i = 0; i < all->v.n; i++) {
        struct flush_place p = place_of(all->v.v[i], s, t);
        bool amidst = p.acked.seq == t->seq && p.acked.at == FEED_TAIL && p.acked.row > 0;
        struct feed_rest *rest;
        bool ok;

        *passed &= p.acked.seq > t->seq || (amidst && p.acked.row >= rows);
        if (!amidst)
            continue;
        rest = feed_rest_of_tail(t, p.acked.row);
        ok = feed_rest_save(p.f, p.fs, t->shard, rest, e);
        feed_rest_free(rest);
        if (!ok)
            return err_wrap(e, "cursor %s", p.f->name);
        LOCKED(&all->mu);
        p.fs->shard[t->shard].rest_seq = t->seq;
        p.fs->shard[t->shard].rest_row = p.acked.row;
    }
    return true;
}

/* ---- drops ---- */

void feeds_forget(struct span *s)
{
    struct feeds *all = &s->tenant->feeds;
    LOCKED(&all->list_mu);
    LOCKED(&all->mu);

    for (size_t i = 0; i < all->v.n; i++) {
        struct feed *f = all->v.v[i];
        struct feed_span *fs = feed_span_find(f, s->min_ms);

        if (fs && f->is_open)
            fs->is_gone = true; // the reader buries it
        else if (fs)
            feed_span_remove(f, fs);
    }
}

/* ---- bounds ---- */

struct bounds {
    struct feed *f;
    int64_t now_ms; // the store's clock
    uint64_t bytes;
    int64_t oldest_ms;
    uint64_t floor[METRICS_SHARDS_MAX]; // of the span in work: what this round skips
};

// Old rows may come late: what counts is that neither they nor their part are of today.
static bool is_too_old(const struct bounds *b, const struct span_part *p)
{
    int64_t limit_ms = b->f->o.behind_ms_max;
    struct stat st;

    if (p->info.max_ms >= b->now_ms - limit_ms ||
        stat(metric_part_path(p->part), &st) != 0) // wall clock against wall clock
        return false;
    return (int64_t)st.st_mtime * MS_SECOND < clock_ms(clock_real()) - limit_ms;
}

static void skip_part(struct bounds *b, const struct span *s, const struct span_part *p)
{
    uint32_t k = shard_of_part(p);

    b->floor[k] = MAX(b->floor[k], p->info.seq_to + 1);
    atomic_fetch_add_explicit(&b->f->rows_skipped, p->info.rows, memory_order_relaxed);
    log_error("feed", "rows are skipped: the receiver is further behind than the bound",
              KV("cursor", b->f->name), KV("partition", s->name), KV_U64("part", p->info.number),
              KV_U64("rows", p->info.rows), KV_I64("from_ms", p->info.min_ms),
              KV_I64("to_ms", p->info.max_ms));
}

static void bound_part(struct bounds *b, const struct span *s, const struct span_part *p)
{
    const struct feed_span *fs = feed_span_find(b->f, s->min_ms);
    uint32_t k = shard_of_part(p);

    if (k == METRICS_SHARDS_MAX ||
        (fs && (fs->shard[k].saved.seq > p->info.seq_to || fs->shard[k].floor > p->info.seq_to)))
        return;
    b->bytes += p->info.bytes;
    if (fs && (b->bytes > b->f->o.behind_bytes_max || is_too_old(b, p))) {
        skip_part(b, s, p);
        return;
    }
    b->oldest_ms = MIN(b->oldest_ms, p->info.min_ms);
}

static void raise_floors(struct bounds *b, const struct span *s)
{
    struct feed_span *fs = feed_span_find(b->f, s->min_ms);

    for (size_t k = 0; fs && k < METRICS_SHARDS_MAX; k++) {
        struct feed_shard *sh = &fs->shard[k];

        if (b->floor[k] <= sh->floor)
            continue;
        sh->floor = b->floor[k];
        if (!b->f->is_open)
            sh->read = sh->acked = sh->saved = (struct feed_pos){ .seq = sh->floor };
    }
    memset(b->floor, 0, sizeof b->floor);
}

static void bound_feed(struct metrics_tenant *t, struct feed *f, const struct span_list *spans)
{
    struct bounds b = { .f = f, .now_ms = clock_ms(t->m->clock), .oldest_ms = INT64_MAX };

    for (size_t i = spans->n; i-- > 0;) {
        struct span_view *v = span_view_now(spans->v[i]);

        mutex_lock(&t->feeds.mu);
        if (!f->is_open && v->part_count && !feed_span_find(f, spans->v[i]->min_ms))
            (void)feed_span_add(f, spans->v[i]->min_ms);
        for (size_t k = v->part_count; k-- > 0;)
            bound_part(&b, spans->v[i], &v->parts[k]);
        raise_floors(&b, spans->v[i]);
        mutex_unlock(&t->feeds.mu);
        span_view_put(v);
    }
    atomic_store_explicit(&f->behind_bytes, b.bytes, memory_order_relaxed);
    atomic_store_explicit(&f->oldest_ms, b.oldest_ms, memory_order_relaxed);
}

void feed_bounds(struct metrics_tenant *t)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(t, &a);
    LOCKED(&t->feeds.list_mu);

    for (size_t i = 0; i < t->feeds.v.n; i++)
        bound_feed(t, t->feeds.v.v[i], &list);
}
