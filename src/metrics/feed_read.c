/*
 * feed_read.c - the change feed: rows from tails and parts, in order of sequence.
 *
 * A read takes one snapshot of all partitions, as a query does, and walks them by time and each by
 * sequence, so that a series which goes on in the next partition is read there later. Within a tail
 * rows are taken up to the first batch that is on its way; nothing behind it in that shard is read
 * before it. A part that belongs to all shards is the work of an import, or was made of parts that
 * had been read: it is passed.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "base/sort.h"
#include "metrics/feed_priv.h"
#include "metrics/hist_blob.h"

struct feed_view {
    struct span *s;         // referenced
    struct span_view *rows; // referenced
    struct feed_span *fs;
};

struct reading {
    struct feed *f;
    struct feed_batch *out;
    size_t room;
    uint64_t epoch; // of merges, before the snapshot
    struct arena arena;
    struct batch_view batches;
    struct feed_view *view;
    size_t views;
    bool is_stopped; // the snapshot is out of date, or a merge is being committed
    bool is_blocked[METRICS_SHARDS_MAX]; // of the span in work: rows of a batch on its way
};

static void reading_fini(struct reading *r)
{
    for (size_t i = 0; i < r->views; i++) {
        span_view_put(r->view[i].rows);
        span_put(r->view[i].s);
    }
    arena_fini(&r->arena);
}
OWN_DEFINE_FINI(struct reading, reading_fini)

void feed_batch_fini(struct feed_batch *b)
{
    vec_free_(b->v);
    arena_fini(&b->arena);
    *b = (struct feed_batch){ 0 };
}

bool feed_has_news(struct feed *f)
{
    return f->has_more ||
           f->news != atomic_load_explicit(&f->t->rows_appended, memory_order_relaxed);
}

/* ---- segments and acknowledging ---- */

static void segment_fini(struct feed_segment *s)
{
    tail_put(s->tail);
    xfree(s->place);
}

static void set_acked(struct feed *f, struct feed_span *fs, uint32_t shard, struct feed_pos p)
{
    LOCKED(&f->t->feeds.mu);
    if (fs->is_gone || p.seq < fs->shard[shard].acked.seq)
        return; // skipped meanwhile
    fs->shard[shard].acked = p;
    f->is_dirty = true;
}

// The place behind the first n rows of a segment.
static struct feed_pos place_within(const struct feed *f, const struct feed_segment *s, uint64_t n)
{
    if (n == s->n && s->after.at == FEED_START)
        return s->after;
    if (s->at == FEED_REST)
        return (struct feed_pos){ s->seq, FEED_REST, 0, (int64_t)f->acked_serial };
    if (n == s->n)
        return s->after;
    if (s->at == FEED_TAIL)
        return (struct feed_pos){ s->seq, FEED_TAIL, s->row + (uint32_t)n, 0 };
    return (struct feed_pos){ s->seq, s->at, s->place[n].id, s->place[n].t_ms };
}

void feed_ack(struct feed *f, uint64_t serial)
{
    assert(serial <= f->next_serial);
    if (serial > f->acked_serial) {
        atomic_fetch_add_explicit(&f->rows_acked, serial - f->acked_serial, memory_order_relaxed);
        f->acked_serial = serial;
    }
    for (; f->segment_at < f->segments.n; f->segment_at++) {
        struct feed_segment *s = &f->segments.v[f->segment_at];

        if (s->serial + s->n > f->acked_serial) {
            if (s->serial < f->acked_serial)
                set_acked(f, s->fs, s->shard, place_within(f, s, f->acked_serial - s->serial));
            break;
        }
        set_acked(f, s->fs, s->shard, place_within(f, s, s->n));
        segment_fini(s);
    }
    if (f->segment_at == f->segments.n) {
        vec_reset(&f->segments);
        f->segment_at = 0;
    } else if (f->segment_at > 64 && f->segment_at > f->segments.n / 2) {
        f->segments.n -= f->segment_at;
        memmove(f->segments.v, f->segments.v + f->segment_at,
                f->segments.n * sizeof f->segments.v[0]);
        f->segment_at = 0;
    }
}

static void add_segment(struct feed *f, struct feed_segment s)
{
    s.serial = f->next_serial;
    f->next_serial += s.n;
    if (s.tail)
        (void)tail_get(s.tail);
    *vec_push(&f->segments) = s;
    atomic_fetch_add_explicit(&f->rows_read, s.n, memory_order_relaxed);
}

static void set_read(struct feed *f, struct feed_shard *sh, struct feed_pos p)
{
    LOCKED(&f->t->feeds.mu);
    sh->read = p;
}

/* ---- letting go ---- */

static void part_close_reading(struct feed *f)
{
    metric_part_cursor_free(f->part.cursor);
    metric_part_put(f->part.part);
    sample_columns_fini(&f->part.rows);
    arena_fini(&f->part.arena);
    f->part = (struct feed_part){ 0 };
}

void feed_read_fini(struct feed *f)
{
    part_close_reading(f);
    for (; f->segment_at < f->segments.n; f->segment_at++)
        segment_fini(&f->segments.v[f->segment_at]);
    vec_reset(&f->segments);
    f->segment_at = 0;
    f->acked_serial = f->next_serial;
    for (size_t i = 0; i < f->spans.n; i++) {
        for (size_t k = 0; k < METRICS_SHARDS_MAX; k++)
            tail_put(TAKE(f->spans.v[i]->shard[k].held));
    }
}

static void leave_unit(struct feed *f, struct feed_shard *sh)
{
    if (f->part.rest && f->part.rest == sh->rest)
        part_close_reading(f);
    tail_put(TAKE(sh->held));
    feed_rest_free(TAKE(sh->rest));
}

static void apply_floor(struct feed *f, struct feed_span *fs, uint32_t k)
{
    struct feed_shard *sh = &fs->shard[k];
    struct feed_pos to;

    mutex_lock(&f->t->feeds.mu);
    to = (struct feed_pos){ .seq = sh->floor };
    mutex_unlock(&f->t->feeds.mu);
    if (to.seq > sh->read.seq) {
        if (f->part.fs == fs)
            part_close_reading(f);
        leave_unit(f, sh);
        set_read(f, sh, to);
    }
    if (to.seq > sh->acked.seq)
        set_acked(f, fs, k, to);
}

static bool has_segments(const struct feed *f, const struct feed_span *fs)
{
    for (size_t i = f->segment_at; i < f->segments.n; i++) {
        if (f->segments.v[i].fs == fs)
            return true;
    }
    return false;
}

// Lets go of a partition that is gone, once its end is written and no row of it is on its way.
static bool bury(struct feed *f, struct feed_span *fs)
{
    for (size_t k = 0; k < METRICS_SHARDS_MAX; k++)
        leave_unit(f, &fs->shard[k]);
    if (f->part.fs == fs)
        part_close_reading(f);
    f->is_dirty = true;
    if (!fs->is_unsaved || has_segments(f, fs))
        return false;
    span_put(fs->s);
    xfree(fs);
    return true;
}

void feed_apply_floors(struct feed *f)
{
    for (size_t i = f->spans.n; i-- > 0;) {
        struct feed_span *fs = f->spans.v[i];

        for (uint32_t k = 0; k < METRICS_SHARDS_MAX; k++)
            apply_floor(f, fs, k);
        if (!fs->is_gone || !bury(f, fs))
            continue;
        LOCKED(&f->t->feeds.mu);
        memmove(&f->spans.v[i], &f->spans.v[i + 1], (f->spans.n - i - 1) * sizeof f->spans.v[0]);
        f->spans.n--;
    }
}

static uint64_t tail_bytes(const struct tail *t)
{
    return (uint64_t)atomic_load_explicit(&t->row_count, memory_order_relaxed) *
               FEED_TAIL_BYTES_PER_ROW +
           atomic_load_explicit(&t->blob_bytes, memory_order_relaxed);
}

// Rows on their way: the places of their rows in the part take the place of the tail.
static void let_go_of_tail(struct feed *f, struct feed_shard *sh, struct tail *t)
{
    OWNED(tail_put) struct tail *mine = tail_get(t);

    mutex_lock(&f->t->feeds.mu);
    if (sh->acked.at == FEED_TAIL && sh->acked.seq == t->seq)
        sh->acked = (struct feed_pos){ t->seq, FEED_REST, 0, (int64_t)f->acked_serial };
    mutex_unlock(&f->t->feeds.mu);
    f->is_dirty = true;
    for (size_t i = f->segment_at; i < f->segments.n; i++) {
        struct feed_segment *s = &f->segments.v[i];

        if (s->tail != t)
            continue;
        s->place = xmalloc((s->n + 1) * sizeof *s->place);
        for (uint32_t k = 0; k < s->n; k++)
            s->place[k] = (struct feed_place){ TAIL_ID(tail_row_id(t, s->row + k)),
                                               tail_row_ms(t, s->row + k) };
        s->at = FEED_REST;
        tail_put(TAKE(s->tail));
    }
}

// Goes on in the part: what is left is remembered, the tail is let go of.
static void swap_tail_for_rest(struct feed *f, struct feed_shard *sh)
{
    sh->rest = feed_rest_of_tail(sh->held, sh->read.row);
    let_go_of_tail(f, sh, sh->held);
    set_read(f, sh, (struct feed_pos){ sh->held->seq, FEED_REST, 0, INT64_MIN });
    tail_put(TAKE(sh->held));
}

// Flushed tails live on for the reader, up to a bound.
static void bound_tails(struct feed *f)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < f->spans.n; i++) {
        for (size_t k = 0; k < METRICS_SHARDS_MAX; k++) {
            struct feed_shard *sh = &f->spans.v[i]->shard[k];

            if (!sh->held || !atomic_load_explicit(&sh->held->is_durable, memory_order_acquire))
                continue;
            bytes += tail_bytes(sh->held);
            if (bytes > f->o.tail_bytes_max)
                swap_tail_for_rest(f, sh);
        }
    }
    for (size_t i = f->segment_at; i < f->segments.n; i++) {
        struct feed_segment *s = &f->segments.v[i];

        if (!s->tail || s->fs->shard[s->shard].held == s->tail ||
            !atomic_load_explicit(&s->tail->is_durable, memory_order_acquire))
            continue;
        if (i == f->segment_at || f->segments.v[i - 1].tail != s->tail)
            bytes += tail_bytes(s->tail); // some are counted twice
        if (bytes > f->o.tail_bytes_max)
            let_go_of_tail(f, &s->fs->shard[s->shard], s->tail);
    }
}

/* ---- the snapshot ---- */

static bool is_needed(const struct feed_span *fs, struct span *s)
{
    OWNED(manifest_fini) struct manifest m = { 0 };

    if (!fs)
        return true;
    partition_manifest(s->store, &m);
    for (size_t i = 0; i < m.parts.n; i++) {
        const struct manifest_part *p = &m.parts.v[i];

        for (size_t k = 0; k < s->tenant->shard_count; k++) {
            if ((p->shard == k || p->shard == MANIFEST_SHARD_ALL) &&
                fs->shard[k].read.seq <= p->seq_to)
                return true;
        }
    }
    return false;
}

// Opens partitions of which rows are needed and that nobody else has opened.
static bool open_needed(struct feed *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(f->t, &a);

    f->left_shut = 0;
    for (size_t i = 0; i < list.n; i++) {
        struct span *s = list.v[i];
        struct err why = { 0 };

        if (atomic_load_explicit(&s->is_open, memory_order_acquire))
            continue;
        if (!is_needed(feed_span_find(f, s->min_ms), s)) {
            f->left_shut++;
        } else if (!span_open(s, false, &why)) {
            if (why.kind != ERR_CORRUPT) {
                *e = why;
                return false;
            }
            f->left_shut++;
            log_error("feed", "a damaged partition is passed over", KV("partition", s->name),
                      KV_ERR(&why));
        }
    }
    return true;
}

// False: partitions are shut that were not looked at.
static bool take_views(struct reading *r)
{
    struct metrics_tenant *t = r->f->t;
    size_t shut = 0;
    LOCKED(&t->snapshot_mu);

    r->batches = batch_view_locked(t, &r->arena);
    r->view = arena_array(&r->arena, t->spans.n, struct feed_view);
    for (size_t i = 0; i < t->spans.n; i++) {
        struct span *s = t->spans.v[i];

        if (atomic_load_explicit(&s->is_open, memory_order_acquire))
            r->view[r->views++] = (struct feed_view){ span_get(s), span_view_get_locked(s), NULL };
        else
            shut++;
    }
    return shut == r->f->left_shut;
}

// The feed's place in a span, made when there is none. NULL: the span is being dropped.
static struct feed_span *place_in(struct feed *f, struct span *s)
{
    struct feed_span *fs;
    LOCKED(&s->mu);
    LOCKED(&f->t->feeds.mu);

    if (s->is_dropped)
        return NULL;
    fs = feed_span_find(f, s->min_ms);
    if (!fs)
        fs = feed_span_add(f, s->min_ms);
    if (!fs->s)
        fs->s = span_get(s);
    return fs;
}

void feed_look_around(struct feed *f)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(f->t, &a);

    for (size_t i = 0; i < list.n && list.n != f->spans.n; i++) {
        if (atomic_load_explicit(&list.v[i]->is_open, memory_order_acquire))
            (void)place_in(f, list.v[i]);
    }
}

static bool snapshot(struct reading *r, struct err *e)
{
    struct metrics_tenant *t = r->f->t;

    mutex_lock(&t->feeds.mu);
    r->epoch = t->feeds.epoch;
    mutex_unlock(&t->feeds.mu);
    if (!take_views(r)) {
        reading_fini(r);
        r->views = 0;
        if (!open_needed(r->f, e))
            return false;
        (void)take_views(r);
    }
    for (size_t i = 0; i < r->views; i++)
        r->view[i].fs = place_in(r->f, r->view[i].s);
    return true;
}

/*
 * Puts the reader at the begin of a unit, so that it is not merged from here on. False: what the
 * snapshot says of it may not be true any more; another read will see.
 */
static bool enter(struct reading *r, const struct feed_view *v, uint32_t k, uint64_t seq_to,
                  struct feed_pos p)
{
    struct feeds *all = &r->f->t->feeds;
    LOCKED(&all->mu);

    r->is_stopped |= all->epoch != r->epoch || v->fs->is_gone;
    for (struct feed_merge *m = all->merges; m && !r->is_stopped; m = m->next) {
        if (m->s != v->s || (m->shard != k && m->shard != MANIFEST_SHARD_ALL) ||
            m->seq_from > seq_to || m->seq_to < p.seq)
            continue;
        r->is_stopped = m->is_committing;
        m->is_cancelled = true;
    }
    if (r->is_stopped)
        return false;
    v->fs->shard[k].read = p;
    return true;
}

/* ---- rows of a tail ---- */

static bool tail_row(const struct reading *r, const struct tail *t, uint16_t tag, uint32_t i,
                     struct feed_row *out, struct err *e)
{
    const struct tail_chunk *c = atomic_load_explicit(&t->chunk[i / TAIL_CHUNK_ROWS],
                                                      memory_order_relaxed);
    uint32_t at = i % TAIL_CHUNK_ROWS;
    uint64_t value = c->value[at];

    *out = (struct feed_row){ .series = (uint64_t)tag << 32 | TAIL_ID(c->id[at]),
                              .t_ms = t->base_ms + c->dt_ms[at] };
    switch (TAIL_KIND(c->id[at])) {
    case TAIL_FLOAT:
        out->value = double_from_bits(value);
        return true;
    case TAIL_START: {
        const struct tail_start *s = (const struct tail_start *)(uintptr_t)value;

        out->value = double_from_bits(s->value);
        out->start_ms = s->start_ms;
        return true;
    }
    case TAIL_HISTOGRAM: {
        const struct tail_blob *b = (const struct tail_blob *)(uintptr_t)value;

        return hist_blob_read(str_of((const char *)b->p, b->n), &r->out->arena, &out->hist, e);
    }
    }
    return err_set(e, ERR_CORRUPT, "row of unknown kind in memory");
}

// A place that was saved means other rows when not all of the log came back.
static void restart_tail(struct feed *f, struct feed_span *fs, uint32_t k, const struct tail *t)
{
    struct feed_pos p = { .seq = t->seq, .at = FEED_TAIL };

    log_warn("feed", "a damaged log was replayed: its rows are read again", KV("cursor", f->name),
             KV_U64("sequence", t->seq));
    atomic_fetch_add_explicit(&f->restarts, 1, memory_order_relaxed);
    set_read(f, &fs->shard[k], p);
    set_acked(f, fs, k, p);
}

// Puts the reader into the tail. False: not now.
static bool enter_tail(struct reading *r, const struct feed_view *v, struct tail *t)
{
    struct feed_shard *sh = &v->fs->shard[t->shard];
    struct feed_pos begin = { .seq = t->seq, .at = FEED_TAIL };

    if (sh->read.seq != t->seq || sh->read.at == FEED_START) {
        if (!enter(r, v, t->shard, t->seq, begin))
            return false;
    } else if (sh->read.at != FEED_TAIL) {
        restart_tail(r->f, v->fs, t->shard, t); // a part's place, but the part is a tail again
    } else if (!sh->held && t->is_partial && sh->read.row) {
        restart_tail(r->f, v->fs, t->shard, t);
    }
    if (sh->held != t) {
        tail_put(sh->held);
        sh->held = tail_get(t);
    }
    return true;
}

// is_last: rows may yet be added to it.
static void read_tail(struct reading *r, const struct feed_view *v, struct tail *t, bool is_last)
{
    struct feed_shard *sh = &v->fs->shard[t->shard];
    struct tail_visible seen = tail_visible(t, &r->batches);
    uint32_t row = sh->read.row, to = MAX(row, seen.rows);
    struct feed_segment s = {
        .fs = v->fs, .shard = t->shard, .row = row, .seq = t->seq, .at = FEED_TAIL, .tail = t
    };
    struct err e = { 0 };
    bool ok = true;

    to = (uint32_t)MIN(to, (uint64_t)row + r->room);
    vec_reserve(r->out, to - row);
    for (; row < to && (ok = tail_row(r, t, v->s->tag, row, &r->out->v[r->out->n], &e)); row++)
        r->out->n++;
    s.n = row - s.row;
    r->room -= s.n;
    if (!ok) { // such a row is passed; the next read begins behind it
        log_error("feed", "a damaged row is passed over", KV("cursor", r->f->name), KV_ERR(&e));
        atomic_fetch_add_explicit(&r->f->rows_skipped, 1, memory_order_relaxed);
        r->is_stopped = true;
        row++;
    }
    bool is_done = row == to && to >= seen.published && !is_last;
    s.after = is_done ? (struct feed_pos){ .seq = t->seq + 1 }
                      : (struct feed_pos){ t->seq, FEED_TAIL, row, 0 };
    if (s.after.row != s.row || is_done)
        add_segment(r->f, s);
    set_read(r->f, sh, s.after);
    if (is_done)
        leave_unit(r->f, sh);
    else
        r->is_blocked[t->shard] = true; // what follows in the shard comes after it
}

/* ---- rows of a part ---- */

static void restart_part(struct feed *f, struct feed_span *fs, uint32_t k,
                         const struct manifest_part *info)
{
    log_warn("feed", "a cursor's place is not in the part: its rows are read again",
             KV("cursor", f->name), KV_U64("part", info->number), KV_U64("rows", info->rows));
    atomic_fetch_add_explicit(&f->restarts, 1, memory_order_relaxed);
    set_read(f, &fs->shard[k], (struct feed_pos){ info->seq_from, FEED_PART, 0, INT64_MIN });
}

/*
 * Makes the reader's place one in this part. False: not now. *in_tail: its tail is still held.
 */
static bool enter_part(struct reading *r, const struct feed_view *v, uint32_t k,
                       const struct manifest_part *info, bool *in_tail)
{
    struct feed_shard *sh = &v->fs->shard[k];
    struct feed_pos begin = { info->seq_from, FEED_PART, 0, INT64_MIN };

    *in_tail = false;
    if (sh->read.seq < info->seq_from || sh->read.at == FEED_START)
        return enter(r, v, k, info->seq_to, begin);
    *in_tail = sh->held && sh->held->seq == sh->read.seq;
    if (*in_tail)
        return true;
    if (sh->read.at == FEED_TAIL && sh->read.row == 0) {
        set_read(r->f, sh, begin);
        return true;
    }
    if (sh->read.at != FEED_PART && !sh->rest)
        sh->rest = feed_rest_load(r->f, v->fs, k, sh->read.seq);
    if (sh->read.seq != info->seq_from || (sh->read.at != FEED_PART && !sh->rest))
        restart_part(r->f, v->fs, k, info);
    else if (sh->read.at == FEED_TAIL)
        set_read(r->f, sh, (struct feed_pos){ sh->read.seq, FEED_REST, 0, INT64_MIN });
    return true;
}

static void open_part(struct feed *f, const struct feed_span *fs, const struct feed_shard *sh,
                      struct metric_part *part)
{
    struct feed_part *p = &f->part;

    if (p->part == part && p->fs == fs)
        return;
    part_close_reading(f);
    p->part = metric_part_get(part);
    p->cursor = metric_part_cursor_new(part, METRIC_PART_START | METRIC_PART_ONCE);
    p->fs = fs;
    p->rest = sh->read.at == FEED_REST ? sh->rest : NULL;
    p->id = sh->read.row;
    while (p->rest && p->rest_at < p->rest->n && p->rest->id[p->rest_at] < p->id)
        p->rest_at++;
}

// The next series of the part: false when there is none, or the rest cannot be read.
static bool next_id(struct feed_part *p, struct err *e)
{
    int found;

    if (p->rest) {
        if (p->rest_at == p->rest->n)
            return false;
        p->id = p->rest->id[p->rest_at];
        return true;
    }
    found = p->ended ? 0 : metric_part_next_id(p->cursor, &p->id, e);
    return found > 0;
}

// Rows of series p->id from t_ms on.
static bool load_rows(struct feed_part *p, int64_t t_ms, struct err *e)
{
    int64_t min_ms = p->rest ? MAX(t_ms, p->rest->t_ms[p->rest_at]) : t_ms;
    bool ok;

    sample_columns_reset(&p->rows);
    arena_reset(&p->arena);
    p->rows.arena = &p->arena;
    p->at = 0;
    p->rows_id = p->id;
    ok = metric_part_read(p->cursor, p->id, min_ms, INT64_MAX, &p->rows, e);
    p->ended = p->id == UINT32_MAX;
    p->id++;
    p->rest_at += p->rest != NULL;
    return ok;
}

// Fills the columns with rows that were not read yet: false at the end of the part, or *e is set.
static bool more_rows(struct reading *r, const struct feed_shard *sh)
{
    struct feed_part *p = &r->f->part;

    while (p->at == p->rows.n) {
        struct err e = { 0 };
        bool ok = next_id(p, &e);

        if (!ok && !e.text[0])
            return false;
        if (ok && load_rows(p, p->id == sh->read.row ? sh->read.t_ms : INT64_MIN, &e))
            continue;
        log_error("feed", "rows of a damaged part are passed over",
                  KV("path", metric_part_path(p->part)), KV_ERR(&e));
        atomic_fetch_add_explicit(&r->f->rows_skipped, 1, memory_order_relaxed);
        if (!ok)
            return false; // what lies behind cannot be found
    }
    return true;
}

static void copy_rows(struct reading *r, uint16_t tag, struct feed_segment *s)
{
    struct feed_part *p = &r->f->part;
    size_t n = MIN(p->rows.n - p->at, r->room);
    uint64_t series = (uint64_t)tag << 32 | p->rows_id;

    vec_reserve(r->out, n);
    for (size_t i = p->at; i < p->at + n; i++) {
        const struct histogram *h = p->rows.has_hist ? p->rows.hist[i] : NULL;

        s->place[s->n++] = (struct feed_place){ p->rows_id, p->rows.t_ms[i] };
        r->out->v[r->out->n++] = (struct feed_row){
            .series = series,
            .t_ms = p->rows.t_ms[i],
            .start_ms = p->rows.has_start ? p->rows.start_ms[i] : 0,
            .value = p->rows.value[i],
            .hist = h ? histogram_copy(&r->out->arena, h) : NULL,
        };
    }
    p->at += n;
    r->room -= n;
}

static void read_part(struct reading *r, const struct feed_view *v, uint32_t k,
                      const struct span_part *sp)
{
    struct feed_shard *sh = &v->fs->shard[k];
    struct feed_segment s = { .fs = v->fs, .shard = k, .seq = sp->info.seq_from };
    bool more;

    open_part(r->f, v->fs, sh, sp->part);
    s.at = sh->read.at;
    s.place = xmalloc((r->room + 1) * sizeof *s.place);
    while ((more = more_rows(r, sh)) && r->room)
        copy_rows(r, v->s->tag, &s);
    if (more) {
        const struct feed_part *p = &r->f->part;

        s.after = (struct feed_pos){ s.seq, s.at, p->rows_id, p->rows.t_ms[p->at] };
        r->is_blocked[k] = true;
    } else {
        s.after = (struct feed_pos){ .seq = sp->info.seq_to + 1 };
        part_close_reading(r->f);
    }
    add_segment(r->f, s);
    set_read(r->f, sh, s.after);
    if (!more)
        leave_unit(r->f, sh);
}

/* ---- a span ---- */

static bool is_last_tail(const struct span_view *v, size_t at)
{
    for (size_t i = at + 1; i < v->tail_count; i++) {
        if (v->tails[i]->shard == v->tails[at]->shard)
            return false;
    }
    return true;
}

static void step_part(struct reading *r, const struct feed_view *v, const struct span_part *sp)
{
    uint32_t k = metric_part_info(sp->part)->shard;
    bool in_tail;

    if (k >= METRICS_SHARDS_MAX || r->is_blocked[k] || sp->info.seq_to < v->fs->shard[k].read.seq)
        return;
    if (!enter_part(r, v, k, &sp->info, &in_tail))
        return;
    if (in_tail)
        read_tail(r, v, v->fs->shard[k].held, false);
    else
        read_part(r, v, k, sp);
}

static void step_tail(struct reading *r, const struct feed_view *v, size_t at)
{
    struct tail *t = v->rows->tails[at];

    if (!r->is_blocked[t->shard] && t->seq >= v->fs->shard[t->shard].read.seq &&
        enter_tail(r, v, t))
        read_tail(r, v, t, is_last_tail(v->rows, at));
}

// Parts and tails by sequence.
static void read_span(struct reading *r, const struct feed_view *v)
{
    const struct span_view *rows = v->rows;
    size_t part = 0, tail = 0;

    memset(r->is_blocked, 0, sizeof r->is_blocked);
    while (r->room && !r->is_stopped && (part < rows->part_count || tail < rows->tail_count)) {
        if (tail == rows->tail_count ||
            (part < rows->part_count && rows->parts[part].info.seq_from <= rows->tails[tail]->seq))
            step_part(r, v, &rows->parts[part++]);
        else
            step_tail(r, v, tail++);
    }
}

bool feed_read(struct feed *f, size_t rows_max, struct feed_batch *out, struct err *e)
{
    OWNED(reading_fini) struct reading r = { .f = f, .out = out, .room = rows_max };
    uint64_t news = atomic_load_explicit(&f->t->rows_appended, memory_order_relaxed);

    out->n = 0;
    out->serial = f->next_serial;
    arena_reset(&out->arena);
    feed_apply_floors(f);
    bound_tails(f);
    if (!snapshot(&r, e))
        return false;
    for (size_t i = 0; i < r.views && r.room && !r.is_stopped; i++) {
        if (r.view[i].fs)
            read_span(&r, &r.view[i]);
    }
    f->has_more = !r.room || r.is_stopped;
    f->news = news;
    feed_ack(f, f->acked_serial); // moves that gave no rows
    return true;
}

/* ---- labels and exemplars ---- */

// Labels of sorted[0..n), all of one partition.
static bool labels_of_span(struct feed *f, const struct sort_pair *sorted, size_t n,
                           struct arena *a, struct feed_labels *out, struct err *e)
{
    OWNED(catalog_view_put) struct catalog_view *view = NULL;
    OWNED(arena_fini) struct arena mine = { 0 };
    struct budget budget = { 0 };
    struct catalog_damage damage = { 0 };
    struct catalog_read read = { &mine, &budget, &damage };
    struct catalog_ids ids = { arena_array(&mine, n, uint32_t), 0 };
    struct labels *labels = arena_array(&mine, n, struct labels);
    struct catalog_key *keys = arena_array(&mine, n, struct catalog_key);
    uint16_t tag = (uint16_t)(sorted[0].key >> 32);

    for (size_t i = 0; i < f->spans.n && !view; i++) {
        if (f->spans.v[i]->s && f->spans.v[i]->s->tag == tag)
            view = catalog_view_get(f->spans.v[i]->s->catalog);
    }
    if (!view)
        return true; // the partition is gone
    for (size_t i = 0; i < n; i++) {
        if (!i || sorted[i].key != sorted[i - 1].key)
            ids.v[ids.n++] = (uint32_t)sorted[i].key;
    }
    if (!catalog_labels(view, ids, &read, labels, e) || !catalog_keys(view, ids, &read, keys, e))
        return false;
    for (size_t i = 0, at = 0; i < n; i++) {
        at += i && sorted[i].key != sorted[i - 1].key;
        out[sorted[i].value] = (struct feed_labels){ labels_copy(a, labels[at]),
                                                     keys[at].fingerprint };
    }
    return true;
}

bool feed_labels(struct feed *f, const uint64_t *series, size_t n, struct arena *a,
                 struct feed_labels *out, struct err *e)
{
    OWNED(arena_fini) struct arena mine = { 0 };
    struct sort_pair *sorted = arena_array(&mine, n, struct sort_pair);
    size_t from = 0;

    for (size_t i = 0; i < n; i++) {
        sorted[i] = (struct sort_pair){ series[i], i };
        out[i] = (struct feed_labels){ 0 };
    }
    sort_pairs(sorted, n, arena_array(&mine, n, struct sort_pair));
    for (size_t i = 1; i <= n; i++) {
        if (i < n && sorted[i].key >> 32 == sorted[from].key >> 32)
            continue;
        if (!labels_of_span(f, sorted + from, i - from, a, out, e))
            return false;
        from = i;
    }
    return true;
}

size_t feed_exemplars(struct feed *f, size_t max, struct arena *a, struct feed_exemplar **out)
{
    struct exemplar_news *news;
    size_t n = exemplars_since(f->t->exemplars, &f->exemplar_serial, max, a, &news);

    *out = arena_array(a, n, struct feed_exemplar);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = (struct feed_exemplar){ news[i].fingerprint, news[i].x };
    return n;
}
