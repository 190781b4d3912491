/*
 * metrics_flush.c - tails become parts, the catalog's open segment a file.
 *
 * Flush of a tail, as STORE's commit protocol numbers it: 1 the shard moves to a new log; 2 the part
 * is written and synced; 3 the catalog log is synced; 4 no batch of the tail is in flight; 5 the
 * MANIFEST is committed: part in, log dead; 6 the view is swapped; 7 the log is unlinked.
 * Tails of a shard are flushed in order of sequence: a log is dead only with all before it.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/feed_priv.h"

/* ---- writing a part ---- */

struct part_columns {
    struct sample_columns c;
    struct arena hist, scratch;
};

static void part_columns_fini(struct part_columns *p)
{
    sample_columns_fini(&p->c);
    arena_fini(&p->hist);
    arena_fini(&p->scratch);
}
OWN_DEFINE_FINI(struct part_columns, part_columns_fini)

static bool write_series(struct metric_part_writer *w, uint32_t id, struct part_columns *p,
                         struct err *e)
{
    struct series_samples s;

    columns_settle(&p->c, 0, &p->scratch);
    s = sample_columns_view(&p->c);
    if (!metric_part_writer_add(w, id, &s, e))
        return false;
    sample_columns_reset(&p->c);
    arena_reset(&p->hist);
    return true;
}

static bool write_rows(struct metric_part_writer *w, struct tail *t, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(part_columns_fini) struct part_columns p = { 0 };
    struct tail_sorted sorted = tail_sort(t, &a);
    uint32_t id = 0;

    p.c.arena = &p.hist;
    for (uint32_t i = 0; i < sorted.rows; i++) {
        uint32_t next = TAIL_ID(tail_row_id(t, sorted.order[i]));

        if (p.c.n && next != id && !write_series(w, id, &p, e))
            return false;
        id = next;
        if (!tail_row_read(t, sorted.order[i], &p.c, e))
            return false;
    }
    return !p.c.n || write_series(w, id, &p, e);
}

static struct manifest_part manifest_part_of(uint64_t number, const struct part_info *info)
{
    return (struct manifest_part){
        .number = number,
        .shard = info->shard,
        .seq_from = info->seq_from,
        .seq_to = info->seq_to,
        .resolution_ms = (int64_t)info->resolution_ms,
        .min_ms = info->min_ms,
        .max_ms = info->max_ms,
        .rows = info->rows,
        .bytes = info->bytes,
        .crc = info->crc,
    };
}

bool span_part_create(struct span *s, const struct metric_part_writer_options *base,
                      bool (*fill)(void *ctx, struct metric_part_writer *w, struct err *e),
                      void *ctx, struct span_part *out, struct err *e)
{
    OWNED(metric_part_writer_close) struct metric_part_writer *w = NULL;
    OWNED(buf_fini) struct buf path = { 0 };
    struct metric_part_writer_options o = *base;
    struct part_info info;
    uint64_t number = partition_number(s->store);
    struct file_head head = partition_head(s->store, PARTITION_PART, number);

    o.path = partition_file_path(s->store, PARTITION_PART, number, &path);
    o.id = (struct part_id){ head.owner, number, head.epoch, PART_METRICS };
    if (fault_hit("part.write"))
        return err_os(e, "write part %s", path.p);
    if (!partition_mkdir(s->store, PARTITION_PART, e) || !metric_part_writer_open(&w, &o, e) ||
        !fill(ctx, w, e))
        return false;
    *out = (struct span_part){ 0 };
    if (!metric_part_writer_rows(w))
        return true; // nothing to keep: the writer removes its file
    if (!metric_part_writer_finish(w, &info, e))
        return false;
    if (fault_hit("part.sync"))
        return err_os(e, "sync part %s", path.p);
    if (!partition_sync_dir(s->store, PARTITION_PART, e))
        return false;
    out->info = manifest_part_of(number, &info);
    return metric_part_open(&out->part, s->tenant->m->cache, path.p, &o.id, e);
}

static bool fill_from_tail(void *ctx, struct metric_part_writer *w, struct err *e)
{
    return write_rows(w, ctx, e);
}

/* ---- committing ---- */

struct flush_edit {
    struct span *s;
    const struct tail *tail;
    const struct span_part *part; // part NULL: no rows
};

static void edit_flush(void *ctx, struct manifest *m)
{
    struct flush_edit *f = ctx;

    if (f->part->part)
        manifest_add_part(m, &f->part->info);
    m->log_first[f->tail->shard] = f->tail->seq + 1;
    m->next_id = catalog_id_next(f->s->catalog);
}

void span_insert_part_locked(struct span *s, const struct span_part *p)
{
    size_t i;

    assert(mutex_is_mine(&s->mu));
    (void)vec_push(&s->parts);
    for (i = s->parts.n - 1; i > 0 && s->parts.v[i - 1].info.seq_from > p->info.seq_from; i--)
        s->parts.v[i] = s->parts.v[i - 1];
    s->parts.v[i] = *p;
}

static void remove_tail_locked(struct span *s, const struct tail *t)
{
    assert(mutex_is_mine(&s->mu));
    for (size_t i = 0; i < s->tails.n; i++) {
        if (s->tails.v[i] != t)
            continue;
        memmove(&s->tails.v[i], &s->tails.v[i + 1], (s->tails.n - i - 1) * sizeof s->tails.v[0]);
        s->tails.n--;
        return;
    }
    assert(false && "the tail is the span's");
}

// Steps 6 and 7. The span's reference to the tail goes.
static void retire_tail(struct span *s, struct tail *t, const struct span_part *part)
{
    OWNED(buf_fini) struct buf path = { 0 };
    struct err e = { 0 };

    atomic_store_explicit(&t->is_durable, true, memory_order_release);
    mutex_lock(&s->mu);
    remove_tail_locked(s, t);
    if (part->part)
        span_insert_part_locked(s, part);
    span_publish_locked(s);
    mutex_unlock(&s->mu);
    if (t->stream)
        log_stream_retire(t->stream);
    // A log that stays is dead by the manifest and deleted at the next start.
    if (fault_hit("flush.unlink") ||
        !file_remove(partition_file_path(s->store, PARTITION_ROWS, t->seq, &path), &e))
        log_warn("metrics", "dead log is not deleted", KV("path", path.p));
    tail_put(t);
}

// Step 3. What was replayed is synced already.
static bool sync_catalog(struct span *s, struct err *e)
{
    struct log_group *g = span_logs(s);

    return !g || log_group_sync_catalog(g, e);
}

// Steps 2 to 7 for a tail that takes no more rows.
static bool flush_tail(struct span *s, struct tail *t, struct err *e)
{
    struct metric_part_writer_options o = { .shard = t->shard,
                                            .seq_from = t->seq,
                                            .seq_to = t->seq };
    struct span_part part = { 0 };
    struct flush_edit edit = { s, t, &part };
    bool passed;

    batch_wait(s->tenant, t->batch_max);
    if (fault_hit("flush.rotated"))
        return err_os(e, "flush");
    if (!feeds_before_flush(s, t, &passed, e))
        return false;
    if (!(passed && s->tenant->m->o.drop_passed) &&
        !span_part_create(s, &o, fill_from_tail, t, &part, e))
        return false;
    if (!sync_catalog(s, e) || (fault_hit("flush.synced") && !err_os(e, "flush")) ||
        !partition_commit(s->store, edit_flush, &edit, e)) {
        if (part.part)
            metric_part_doom(part.part);
        metric_part_put(part.part);
        return false;
    }
    (void)fault_hit("flush.committed"); // a kill before the view is swapped
    retire_tail(s, t, &part);
    atomic_fetch_add_explicit(&s->tenant->m->flushes, 1, memory_order_relaxed);
    return true;
}

/* ---- rotating ---- */

/*
 * Step 1. The old head stays among the tails. keep_head: a new one takes its place. Without, the
 * head stays while a batch is on its way to it: the span is not to be closed then.
 */
static bool rotate(struct span *s, uint32_t shard, bool keep_head, struct err *e)
{
    struct metrics_shard *sh = &s->tenant->shard[shard];
    struct tail *next = NULL, *old;
    bool empty;

    mutex_lock(&sh->mu);
    old = s->head[shard];
    empty = !old || old->end == 0;
    mutex_unlock(&sh->mu);
    if (!old || (empty && keep_head))
        return true;
    if (keep_head && !span_new_tail(s, shard, &next, e))
        return false;
    mutex_lock(&sh->mu);
    mutex_lock(&s->mu);
    if (keep_head || !s->appenders)
        s->head[shard] = next;
    if (next)
        span_add_tail_locked(s, next);
    span_publish_locked(s);
    mutex_unlock(&s->mu);
    mutex_unlock(&sh->mu);
    return true;
}

// The oldest tail of the shard that takes no more rows; NULL: none.
static struct tail *oldest_frozen(struct span *s, uint32_t shard)
{
    const struct tail *head = NULL;

    if (shard < s->tenant->shard_count) {
        LOCKED(&s->tenant->shard[shard].mu);
        head = s->head[shard];
    }
    LOCKED(&s->mu);
    for (size_t i = 0; i < s->tails.n; i++) {
        if (s->tails.v[i]->shard == shard && s->tails.v[i] != head)
            return s->tails.v[i];
    }
    return NULL;
}

static bool flush_shard(struct span *s, uint32_t shard, bool keep_head, struct err *e)
{
    struct tail *t;

    assert(mutex_is_mine(&s->work_mu));
    if (shard < s->tenant->shard_count && !rotate(s, shard, keep_head, e))
        return false;
    while ((t = oldest_frozen(s, shard))) {
        if (!flush_tail(s, t, e))
            return err_wrap(e, "flush %s", s->name);
    }
    return true;
}

bool span_flush_shard(struct span *s, uint32_t shard, bool keep_head, struct err *e)
{
    LOCKED(&s->work_mu);
    return flush_shard(s, shard, keep_head, e);
}

bool span_flush_locked(struct span *s, bool keep_head, struct err *e)
{
    uint32_t n = MAX(s->shards, s->tenant->shard_count);

    for (uint32_t k = 0; k < n; k++) {
        if (!flush_shard(s, k, keep_head, e))
            return false;
    }
    return true;
}

bool span_flush(struct span *s, bool keep_head, struct err *e)
{
    LOCKED(&s->work_mu);
    return span_flush_locked(s, keep_head, e);
}

/* ---- another number of shards ---- */

static void edit_reshard(void *ctx, struct manifest *m)
{
    const struct span *s = ctx;

    m->shards = s->tenant->shard_count;
    for (uint32_t k = 0; k < m->shards; k++)
        m->log_first[k] = m->next_file;
    for (size_t i = 0; i < m->parts.n; i++)
        m->parts.v[i].shard = MANIFEST_SHARD_ALL;
}

bool span_reshard(struct span *s, struct err *e)
{
    LOCKED(&s->work_mu);
    if (!span_flush_locked(s, false, e) || !partition_commit(s->store, edit_reshard, s, e))
        return false;
    LOCKED(&s->mu);
    s->shards = s->tenant->shard_count;
    for (size_t i = 0; i < s->parts.n; i++)
        s->parts.v[i].info.shard = MANIFEST_SHARD_ALL;
    span_publish_locked(s);
    return true;
}

/* ---- catalog segments ---- */

struct freeze_edit {
    struct span *s;
    const struct catalog_build *build;
    uint64_t catalog_first;
};

static void edit_freeze(void *ctx, struct manifest *m)
{
    struct freeze_edit *f = ctx;
    const struct catalog_segment *seg = catalog_build_segment(f->build);
    size_t replaced, kept = 0, at;
    const uint64_t *gone = catalog_build_replaced(f->build, &replaced);

    for (size_t i = 0; i < m->segments.n; i++) {
        bool drop = false;

        for (size_t k = 0; k < replaced; k++)
            drop |= gone[k] == m->segments.v[i].number;
        // The new one also replaces what an earlier try committed but could not install.
        drop |= m->segments.v[i].id_from < seg->id_end && seg->id_first < m->segments.v[i].id_to;
        if (!drop)
            m->segments.v[kept++] = m->segments.v[i];
    }
    m->segments.n = kept;
    (void)vec_push(&m->segments);
    for (at = kept; at > 0 && m->segments.v[at - 1].id_from > seg->id_first; at--)
        m->segments.v[at] = m->segments.v[at - 1];
    m->segments.v[at] = (struct manifest_segment){ .number = seg->number,
                                                   .bytes = seg->bytes,
                                                   .id_from = seg->id_first,
                                                   .id_to = seg->id_end,
                                                   .crc = seg->crc };
    m->catalog_first = f->catalog_first;
    m->next_id = catalog_id_next(f->s->catalog);
}

// Logs below `first` are dead: their streams leave the group, their files go.
static void retire_catalog_logs(struct span *s, uint64_t first)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct partition_numbers logs;
    struct err e = { 0 };
    VEC(struct log_stream *) dead = { 0 };

    mutex_lock(&s->mu);
    for (size_t i = 0; i < s->catalog_streams.n;) {
        if (log_stream_number(s->catalog_streams.v[i]) >= first) {
            i++;
            continue;
        }
        *vec_push(&dead) = s->catalog_streams.v[i];
        memmove(&s->catalog_streams.v[i], &s->catalog_streams.v[i + 1],
                (s->catalog_streams.n - i - 1) * sizeof s->catalog_streams.v[0]);
        s->catalog_streams.n--;
    }
    mutex_unlock(&s->mu);
    for (size_t i = 0; i < dead.n; i++) {
        log_stream_retire(dead.v[i]);
        log_stream_put(dead.v[i]);
    }
    vec_fini(&dead);
    if (!partition_files(s->store, PARTITION_CATALOG_LOG, &a, &logs, &e))
        return;
    for (size_t i = 0; i < logs.n && logs.v[i] < first; i++) {
        if (!file_remove(partition_file_path(s->store, PARTITION_CATALOG_LOG, logs.v[i], &path),
                         &e))
            log_warn("metrics", "dead catalog log is not deleted", KV("path", path.p));
    }
}

// The open segment is put aside; new series go to a new log.
static bool rotate_catalog(struct span *s, struct err *e)
{
    LOCKED(&s->open_mu);
    if (!s->catalog_streams.n)
        return true; // nothing was registered by this process: only replayed series wait
    uint64_t number = partition_number(s->store);
    if (!span_new_catalog_log(s, number, e))
        return false;
    catalog_rotate(s->catalog, number);
    s->catalog_log = number;
    return true;
}

bool span_freeze_locked(struct span *s, uint64_t final, struct err *e)
{
    OWNED(catalog_build_free) struct catalog_build *build = NULL;
    struct freeze_edit edit = { .s = s };
    uint64_t number;

    if (!rotate_catalog(s, e) || (fault_hit("freeze.rotated") && !err_os(e, "freeze")) ||
        !sync_catalog(s, e))
        return false;
    edit.catalog_first = s->catalog_log;
    number = final ? final : partition_number(s->store);
    if (!(final ? catalog_merge(s->catalog, number, true, &build, e)
                : catalog_freeze(s->catalog, number, &build, e)))
        return err_wrap(e, "freeze the catalog of %s", s->name);
    if (!build)
        return true;
    edit.build = build;
    if (fault_hit("freeze.commit"))
        return err_os(e, "freeze the catalog of %s", s->name);
    if (!partition_commit(s->store, edit_freeze, &edit, e))
        return false;
    (void)fault_hit("freeze.committed"); // a kill before the view is swapped
    // Should this fail, the next freeze writes the same series again and replaces this segment.
    if (!catalog_install(s->catalog, TAKE(build), e))
        return false;
    retire_catalog_logs(s, edit.catalog_first);
    return true;
}

bool span_freeze(struct span *s, struct err *e)
{
    LOCKED(&s->work_mu);
    return span_freeze_locked(s, 0, e);
}
