/*
 * metrics_commit.c - committing a batch: the append of STORE's commit protocol.
 *
 *   1 every row gets its partition and its id there; new series are registered; logs are opened.
 *     This may block.
 *   2 the batch gets its number and is in flight
 *   3 per shard, under its mutex: order check, rows into the tail, frames into the pending bytes.
 *     Nothing here blocks.
 *   4 the batch is not in flight any more: readers see it, whole
 *   5 the log writer writes catalog, then rows; 6 the caller is told.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/fault.h"
#include "base/mem.h"
#include "base/sort.h"
#include "metrics/metrics_priv.h"

enum {
    SPANS_MAX = 250,
    WAIT_MS = 60000,
    AHEAD_MAX_MS = 10 * MS_MINUTE,
    ROOM_MIN = 1 << 20, // rows that must be free in a tail before a batch starts
};
#define PENDING_BYTES_MAX (UINT64_C(64) << 20)

struct commit_shard {
    struct tail *tail; // referenced: where this batch's rows of the shard are
    uint64_t position; // of its log, to wait for
    uint32_t start;    // first row of the batch
    unsigned kinds;    // bit per kind
    bool used;
};
struct commit_span {
    struct span *s;               // referenced, with an appender
    int64_t slice_from, slice_to; // rows in it are known to be marked if the last one was
    struct commit_shard shard[METRICS_SHARDS_MAX];
};
struct bind {
    uint32_t shard, row;
};
struct commit {
    struct append_batch *b;
    struct metrics_tenant *t;
    int64_t oldest_ms, newest_ms, late_ms; // bounds of this batch; rows before late_ms are refused
    int64_t seen_ms;                       // newest accepted row
    VEC(struct commit_span *) spans;
    VEC(struct bind) binds;
    struct arena arena;
    struct append_stats stats;
};

static void commit_fini(struct commit *c)
{
    for (size_t i = 0; i < c->spans.n; i++) {
        struct commit_span *cs = c->spans.v[i];

        for (size_t k = 0; k < METRICS_SHARDS_MAX; k++)
            tail_put(cs->shard[k].tail);
        span_append_end(cs->s);
        span_put(cs->s);
        xfree(cs);
    }
    vec_fini(&c->spans);
    vec_fini(&c->binds);
    arena_fini(&c->arena);
}
OWN_DEFINE_FINI(struct commit, commit_fini)

/* ---- 1: partitions and ids ---- */

static void set_bounds(struct commit *c)
{
    int64_t window_ms = atomic_load_explicit(&c->t->out_of_order_window_ms, memory_order_relaxed);
    int64_t newest = atomic_load_explicit(&c->t->newest_ms, memory_order_relaxed);
    int64_t back_ms = MAX(window_ms, (int64_t)MS_HOUR);

    c->oldest_ms = newest == INT64_MIN ? -(int64_t)METRICS_TAG_OFFSET_DAYS * MS_DAY + MS_DAY
                                       : newest - back_ms;
    c->late_ms = window_ms > 0 && newest != INT64_MIN ? newest - window_ms : INT64_MAX;
    if (c->b->any_age) {
        c->oldest_ms = -(int64_t)METRICS_TAG_OFFSET_DAYS * MS_DAY + MS_DAY;
        c->late_ms = INT64_MIN;
    }
    c->newest_ms = clock_ms(c->t->m->clock) + AHEAD_MAX_MS;
    c->seen_ms = INT64_MIN;
}

// Index of the span that holds t_ms. False: error; *out == SPANS_MAX: no such span can be had.
static bool span_index(struct commit *c, int64_t t_ms, size_t *out, struct err *e)
{
    OWNED(span_put) struct span *s = NULL;
    struct commit_span *cs;

    for (size_t i = 0; i < c->spans.n; i++) {
        if (t_ms >= c->spans.v[i]->s->min_ms && t_ms < c->spans.v[i]->s->max_ms) {
            *out = i;
            return true;
        }
    }
    *out = SPANS_MAX;
    if (c->spans.n == SPANS_MAX)
        return true;
    enum span_create create = c->b->any_age ? SPAN_CREATE_HISTORY : SPAN_CREATE;
    if (!span_for(c->t, t_ms, create, &s, e) || !span_open(s, false, e))
        return false;
    if (!span_append_begin(s))
        return true;
    cs = xcalloc(1, sizeof *cs);
    cs->s = TAKE(s);
    *out = c->spans.n;
    *vec_push(&c->spans) = cs;
    return true;
}

// Gives each row its span, or refuses it by its time.
static bool assign_spans(struct commit *c, struct err *e)
{
    for (uint32_t k = 0; k < c->t->shard_count; k++) {
        struct batch_shard *sh = &c->b->shard[k];
        int64_t from = 0, to = 0;
        size_t at = 0;

        for (size_t i = 0; i < sh->rows.n; i++) {
            struct append_row *row = &sh->rows.v[i];

            row->status = APPEND_OK;
            if (row->t_ms > c->newest_ms) {
                row->status = APPEND_TOO_NEW;
                continue;
            }
            if (row->t_ms < c->oldest_ms) {
                row->status = APPEND_TOO_OLD;
                continue;
            }
            if (row->t_ms < from || row->t_ms >= to) {
                if (!span_index(c, row->t_ms, &at, e))
                    return false;
                from = at < SPANS_MAX ? c->spans.v[at]->s->min_ms : row->t_ms;
                to = at < SPANS_MAX ? c->spans.v[at]->s->max_ms : row->t_ms + 1;
            }
            if (at == SPANS_MAX) {
                row->status = APPEND_TOO_OLD;
                continue;
            }
            row->span = (uint8_t)at;
            c->spans.v[at]->shard[k].used = true;
        }
    }
    return true;
}

// Gives each row its id where the slot knows it; lists the others.
static void find_ids(struct commit *c)
{
    for (uint32_t k = 0; k < c->t->shard_count; k++) {
        struct batch_shard *bs = &c->b->shard[k];
        struct metrics_shard *sh = &c->t->shard[k];

        if (!bs->rows.n)
            continue;
        LOCKED(&sh->mu);
        for (size_t i = 0; i < bs->rows.n; i++) {
            struct append_row *row = &bs->rows.v[i];
            struct slot *slot;

            if (row->status != APPEND_OK)
                continue;
            slot = slots_live(&sh->slots, row->slot, row->generation);
            if (!slot) {
                row->status = APPEND_STALE_REF;
                continue;
            }
            slot->age = 0;
            if (slot->tag == c->spans.v[row->span]->s->tag)
                row->id = slot->id;
            else
                *vec_push(&c->binds) = (struct bind){ k, (uint32_t)i };
        }
    }
}

static struct slot copy_slot(struct commit *c, const struct bind *at, const struct append_row *row)
{
    struct metrics_shard *sh = &c->t->shard[at->shard];
    const struct slot *slot;
    LOCKED(&sh->mu);

    slot = slots_live(&sh->slots, row->slot, row->generation);
    return slot ? *slot : (struct slot){ 0 };
}

static bool row_labels(struct commit *c, const struct bind *at, const struct append_row *row,
                       const struct slot *slot, struct labels *out)
{
    struct series_ref ref = { row->slot << c->t->shard_bits | at->shard, row->generation };

    if (batch_fresh_labels(c->b, ref, out))
        return true;
    return slot->tag && tenant_labels(c->t, slot->tag, slot->id, &c->arena, out);
}

static bool find_late(struct span *s, struct hash128 fp, uint32_t *id)
{
    uint32_t i;
    LOCKED(&s->mu);

    if (!s->late_map.n)
        return false;
    for (size_t at = map_first(&s->late_map, fp.lo);
         (i = map_at(&s->late_map, fp.lo, &at)) != MAP_NONE;) {
        if (s->late.v[i].fingerprint.lo == fp.lo && s->late.v[i].fingerprint.hi == fp.hi) {
            *id = s->late.v[i].id;
            return true;
        }
    }
    return false;
}

static void keep_late(struct span *s, struct hash128 fp, uint32_t id)
{
    LOCKED(&s->mu);
    map_add(&s->late_map, fp.lo, (uint32_t)s->late.n);
    *vec_push(&s->late) = (struct late_entry){ fp, id };
}

// A late row: its series has an id in an older partition, or gets one.
static bool bind_late(struct commit *c, struct append_row *row, const struct bind *at,
                      const struct slot *slot, struct err *e)
{
    struct span *s = c->spans.v[row->span]->s;
    uint32_t ids[CATALOG_FIND_MAX];
    struct labels ls;

    if (find_late(s, slot->fingerprint, &row->id))
        return true;
    if (!atomic_load_explicit(&s->is_final, memory_order_relaxed) &&
        catalog_find(s->catalog, slot->fingerprint, ids)) {
        row->id = ids[0];
    } else if (!row_labels(c, at, row, slot, &ls)) {
        row->status = APPEND_STALE_REF;
        return true;
    } else if (!catalog_add(s->catalog, ls, slot->fingerprint, at->shard, &row->id, e)) {
        return false;
    }
    keep_late(s, slot->fingerprint, row->id);
    return true;
}

// Registers the series in the row's partition and moves the slot there, unless another was faster.
static bool bind_forward(struct commit *c, struct append_row *row, const struct bind *at,
                         const struct slot *old, struct err *e)
{
    struct span *s = c->spans.v[row->span]->s;
    struct metrics_shard *sh = &c->t->shard[at->shard];
    struct slot *slot;
    struct labels ls;
    uint32_t id;

    if (!row_labels(c, at, row, old, &ls)) {
        row->status = APPEND_STALE_REF;
        return true;
    }
    if (!catalog_add(s->catalog, ls, old->fingerprint, at->shard, &id, e))
        return false;
    row->id = id;
    LOCKED(&sh->mu);
    slot = slots_live(&sh->slots, row->slot, row->generation);
    if (slot && slot->tag < s->tag) {
        slot->tag = s->tag;
        slot->id = id;
    } else if (slot && slot->tag == s->tag) {
        row->id = slot->id;
    }
    return true;
}

static bool bind_row(struct commit *c, const struct bind *at, struct err *e)
{
    struct append_row *row = &c->b->shard[at->shard].rows.v[at->row];
    struct slot slot = copy_slot(c, at, row);
    uint16_t tag = c->spans.v[row->span]->s->tag;

    if (!slot.generation) {
        row->status = APPEND_STALE_REF;
        return true;
    }
    if (slot.tag == tag) { // an earlier row of this batch, or another batch, has bound it
        row->id = slot.id;
        return true;
    }
    return slot.tag > tag ? bind_late(c, row, at, &slot, e) : bind_forward(c, row, at, &slot, e);
}

// A shard whose log cannot be written takes nothing new.
static bool check_logs(struct span *s, uint32_t shard, struct err *e)
{
    LOCKED(&s->mu);
    for (size_t i = 0; i < s->tails.n; i++) {
        const struct tail *t = s->tails.v[i];

        if (t->shard == shard && t->stream && log_stream_has_failed(t->stream) &&
            !atomic_load_explicit(&t->is_durable, memory_order_relaxed))
            return err_set(e, ERR_UNAVAILABLE, "log %s cannot be written",
                           log_stream_path(t->stream));
    }
    return true;
}

static uint32_t head_room(struct span *s, uint32_t shard)
{
    LOCKED(&s->tenant->shard[shard].mu);
    return s->head[shard] ? tail_room(s->head[shard]) : 0;
}

static bool open_heads(struct commit *c, struct err *e)
{
    for (size_t i = 0; i < c->spans.n; i++) {
        struct span *s = c->spans.v[i]->s;

        for (uint32_t k = 0; k < c->t->shard_count; k++) {
            if (!c->spans.v[i]->shard[k].used)
                continue;
            if (!span_open_head(s, k, e) || !check_logs(s, k, e))
                return false;
            if (head_room(s, k) < ROOM_MIN + c->b->rows && !span_flush_shard(s, k, true, e))
                return false;
        }
    }
    return true;
}

static int bind_order(const void *a, const void *b, void *ctx)
{
    const struct bind *x = a, *y = b;
    const struct append_batch *batch = ctx;
    uint32_t i = batch->shard[x->shard].rows.v[x->row].index;
    uint32_t k = batch->shard[y->shard].rows.v[y->row].index;

    return (i > k) - (i < k);
}

static bool prepare(struct commit *c, struct err *e)
{
    struct metrics *m = c->t->m;

    if (atomic_load_explicit(&m->is_disk_full, memory_order_relaxed))
        return err_set(e, ERR_UNAVAILABLE, "disk is full: no new samples are taken");
    if (log_writer_pending(m->writer) > PENDING_BYTES_MAX)
        return err_set(e, ERR_UNAVAILABLE, "overloaded: the log is too far behind");
    if (c->b->rows > ROOM_MIN)
        return err_set(e, ERR_LIMIT, "batch of %zu samples, the limit is %d", c->b->rows, ROOM_MIN);
    set_bounds(c);
    if (!assign_spans(c, e))
        return false;
    find_ids(c);
    // New series get their ids in the order in which they came: answers keep that order, as upstream's.
    sort_stable(c->binds.v, c->binds.n, sizeof *c->binds.v, bind_order, c->b);
    for (size_t i = 0; c->binds.n && i < c->spans.n; i++) {
        if (!span_open_logs(c->spans.v[i]->s, e))
            return false;
    }
    for (size_t i = 0; i < c->binds.n; i++) {
        if (!bind_row(c, &c->binds.v[i], e))
            return false;
    }
    return open_heads(c, e);
}

/* ---- 3: rows into tails ---- */

uint64_t append_row_bits(const struct append_batch *b, const struct append_row *row)
{
    const char *blob;

    switch ((enum tail_kind)row->kind) {
    case TAIL_FLOAT:
        return row->value;
    case TAIL_START:
        return b->starts.v[row->value].value;
    case TAIL_HISTOGRAM:
        break;
    }
    blob = b->blobs.p + row->value;
    return hash_seeded(str_of(blob + 4, get_le32(blob)), 1);
}

// The value as the tail keeps it.
static uint64_t tail_value(struct tail *t, const struct append_batch *b,
                           const struct append_row *row)
{
    if (row->kind == TAIL_FLOAT)
        return row->value;
    if (row->kind == TAIL_START) {
        struct tail_start *s = tail_start_new(t);

        *s = b->starts.v[row->value];
        return (uint64_t)(uintptr_t)s;
    }
    const char *blob = b->blobs.p + row->value;
    struct tail_blob *out = tail_blob_new(t, get_le32(blob));
    memcpy(out->p, blob + 4, get_le32(blob));
    return (uint64_t)(uintptr_t)out;
}

// The order rules. True: the row is to be written.
static bool check_order(struct commit *c, struct slot *slot, struct append_row *row)
{
    uint64_t bits = append_row_bits(c->b, row);

    if (row->t_ms > slot->last_ms) {
        slot->last_ms = row->t_ms;
        slot->last_bits = bits;
        return true;
    }
    if (row->t_ms == slot->last_ms) {
        if (slot->last_bits != bits)
            row->status = APPEND_DUPLICATE;
        return false;
    }
    if (row->t_ms >= c->late_ms)
        return true;
    row->status = APPEND_OUT_OF_ORDER;
    return false;
}

// Marks the slice of the row, unless the series' row before it has done so.
static void mark_slice(struct commit_span *cs, const struct append_row *row, int64_t last_ms)
{
    if (row->t_ms < cs->slice_from || row->t_ms >= cs->slice_to) {
        cs->slice_from = row->t_ms - (row->t_ms - cs->s->min_ms) % cs->s->slice_ms;
        cs->slice_to = cs->slice_from + cs->s->slice_ms;
    }
    if (last_ms < cs->slice_from || last_ms >= cs->slice_to)
        catalog_slices_set(cs->s->catalog, row->id, span_slice(cs->s, row->t_ms));
}

static void copy_rows(struct commit *c, uint32_t k)
{
    struct batch_shard *bs = &c->b->shard[k];
    struct slots *slots = &c->t->shard[k].slots;

    for (size_t i = 0; i < bs->rows.n; i++) {
        struct append_row *row = &bs->rows.v[i];
        struct commit_span *cs;
        struct slot *slot;
        struct tail *tail;
        int64_t last_ms;

        if (row->status != APPEND_OK)
            continue;
        slot = slots_live(slots, row->slot, row->generation);
        if (!slot) {
            row->status = APPEND_STALE_REF;
            continue;
        }
        last_ms = slot->last_ms;
        if (!check_order(c, slot, row))
            continue;
        cs = c->spans.v[row->span];
        tail = cs->shard[k].tail;
        mark_slice(cs, row, slot->tag == cs->s->tag ? last_ms : INT64_MIN);
        tail_add(tail, tail_id_kind(row->id, (enum tail_kind)row->kind), row->t_ms,
                 tail_value(tail, c->b, row));
        cs->shard[k].kinds |= 1u << row->kind;
        c->seen_ms = MAX(c->seen_ms, row->t_ms);
    }
}

/* ---- frames ---- */

// Rows [from, to) of one chunk that are of one kind, as one frame.
struct frame_rows {
    const struct tail *tail;
    const struct tail_chunk *chunk;
    uint32_t from, to;
    enum tail_kind kind;
    bool mixed; // others are in between
};

static bool takes(const struct frame_rows *f, uint32_t i)
{
    return !f->mixed || TAIL_KIND(f->chunk->id[i]) == f->kind;
}

static void put_ids(struct buf *b, const struct frame_rows *f, struct frame *head)
{
    if (!f->mixed && f->kind == TAIL_FLOAT) {
        buf_bytes(b, f->chunk->id + f->from, (f->to - f->from) * sizeof(uint32_t));
        head->rows = f->to - f->from;
        for (uint32_t i = f->from; i < f->to; i++)
            head->catalog_need = MAX(head->catalog_need, f->chunk->id[i] + 1);
        return;
    }
    for (uint32_t i = f->from; i < f->to; i++) {
        uint32_t id = TAIL_ID(f->chunk->id[i]);

        if (!takes(f, i))
            continue;
        buf_le32(b, id);
        head->rows++;
        head->catalog_need = MAX(head->catalog_need, id + 1);
    }
}

static void put_times(struct buf *b, const struct frame_rows *f)
{
    if (!f->mixed) {
        buf_bytes(b, f->chunk->dt_ms + f->from, (f->to - f->from) * sizeof(int32_t));
        return;
    }
    for (uint32_t i = f->from; i < f->to; i++) {
        if (takes(f, i))
            buf_le32(b, (uint32_t)f->chunk->dt_ms[i]);
    }
}

static const struct tail_blob *blob_at(const struct frame_rows *f, uint32_t i)
{
    return (const struct tail_blob *)(uintptr_t)f->chunk->value[i];
}

static const struct tail_start *start_at(const struct frame_rows *f, uint32_t i)
{
    return (const struct tail_start *)(uintptr_t)f->chunk->value[i];
}

static void put_starts(struct buf *b, const struct frame_rows *f)
{
    for (uint32_t i = f->from; i < f->to; i++) {
        if (takes(f, i))
            buf_le64(b, start_at(f, i)->value);
    }
    for (uint32_t i = f->from; i < f->to; i++) {
        if (takes(f, i))
            buf_le64(b, (uint64_t)start_at(f, i)->start_ms);
    }
}

static void put_blobs(struct buf *b, const struct frame_rows *f)
{
    uint32_t end = 0;

    for (uint32_t i = f->from; i < f->to; i++) {
        if (takes(f, i))
            buf_le32(b, end += blob_at(f, i)->n);
    }
    for (uint32_t i = f->from; i < f->to; i++) {
        if (takes(f, i))
            buf_bytes(b, blob_at(f, i)->p, blob_at(f, i)->n);
    }
}

static void put_frame(struct buf *b, const struct frame_rows *f, uint64_t batch)
{
    static const enum frame_type types[] = { FRAME_FLOATS, FRAME_STARTS, FRAME_HISTOGRAMS };
    struct frame head = { .type = types[f->kind], .batch = batch };
    size_t at = frame_begin(b);

    buf_le64(b, (uint64_t)f->tail->base_ms);
    put_ids(b, f, &head);
    put_times(b, f);
    if (f->kind == TAIL_HISTOGRAM)
        put_blobs(b, f);
    else if (f->kind == TAIL_START)
        put_starts(b, f);
    else if (!f->mixed)
        buf_bytes(b, f->chunk->value + f->from, (f->to - f->from) * sizeof(uint64_t));
    else
        for (uint32_t i = f->from; i < f->to; i++) {
            if (takes(f, i))
                buf_le64(b, f->chunk->value[i]);
        }
    frame_end(b, at, &head);
}

// A frame per kind and run of FRAME_ROWS rows: histograms may be large.
static void put_frames(struct buf *b, const struct commit_shard *cs, uint64_t batch)
{
    const struct tail *t = cs->tail;
    bool mixed = cs->kinds & (cs->kinds - 1);
    uint32_t step = cs->kinds & 1u << TAIL_HISTOGRAM ? 32 : TAIL_CHUNK_ROWS;

    for (uint32_t row = cs->start; row < t->end;) {
        uint32_t from = row % TAIL_CHUNK_ROWS;
        uint32_t n = MIN(MIN(t->end - row, TAIL_CHUNK_ROWS - from), step);
        struct frame_rows f = {
            .tail = t,
            .chunk = atomic_load_explicit(&t->chunk[row / TAIL_CHUNK_ROWS], memory_order_relaxed),
            .from = from,
            .to = from + n,
            .mixed = mixed,
        };

        for (f.kind = TAIL_FLOAT; f.kind <= TAIL_HISTOGRAM; f.kind++) {
            bool any = cs->kinds & 1u << f.kind;

            for (uint32_t i = f.from; any && mixed && !takes(&f, i);) {
                if (++i == f.to)
                    any = false;
            }
            if (any)
                put_frame(b, &f, batch);
        }
        row += n;
    }
}

static void publish_rows(struct commit_shard *cs, uint64_t batch)
{
    if (cs->tail->end == cs->start) {
        cs->position = log_stream_position(cs->tail->stream);
        return;
    }
    put_frames(log_stream_begin(cs->tail->stream), cs, batch);
    cs->position = log_stream_end(cs->tail->stream);
    tail_publish(cs->tail, batch);
}

// Steps 2 to 4.
static void add_rows(struct commit *c)
{
    uint64_t number = batch_begin(c->t);
    int64_t now_ns = clock_mono_ns(c->t->m->clock);

    for (uint32_t k = 0; k < c->t->shard_count; k++) {
        if (!c->b->shard[k].rows.n)
            continue;
        LOCKED(&c->t->shard[k].mu);
        for (size_t i = 0; i < c->spans.n; i++) {
            struct commit_shard *cs = &c->spans.v[i]->shard[k];

            if (!cs->used)
                continue;
            assert(c->spans.v[i]->s->head[k]); // appenders keep the span from closing
            cs->tail = tail_get(c->spans.v[i]->s->head[k]);
            cs->start = cs->tail->end;
        }
        copy_rows(c, k);
        for (size_t i = 0; i < c->spans.n; i++) {
            if (c->spans.v[i]->shard[k].used)
                publish_rows(&c->spans.v[i]->shard[k], number);
        }
    }
    batch_end(c->t, number);
    for (size_t i = 0; i < c->spans.n; i++)
        atomic_store_explicit(&c->spans.v[i]->s->appended_mono_ns, now_ns, memory_order_relaxed);
}

/* ---- 5 and 6: the log ---- */

static bool wait_span(struct commit *c, struct commit_span *cs, uint64_t ticket, struct err *e)
{
    if (!log_writer_wait(c->t->m->writer, ticket, WAIT_MS, e))
        return false;
    for (uint32_t k = 0; k < c->t->shard_count; k++) {
        const struct tail *t = cs->shard[k].tail;

        if (!t || log_stream_has_written(t->stream, cs->shard[k].position) ||
            atomic_load_explicit(&t->is_durable, memory_order_acquire))
            continue;
        return err_set(e, ERR_UNAVAILABLE, "log %s cannot be written", log_stream_path(t->stream));
    }
    return true;
}

static bool wait_log(struct commit *c, struct err *e)
{
    uint64_t *ticket = arena_array(&c->arena, c->spans.n, uint64_t);

    for (size_t i = 0; i < c->spans.n; i++) {
        if (c->spans.v[i]->s->logs)
            ticket[i] = log_group_kick(c->spans.v[i]->s->logs);
    }
    for (size_t i = 0; i < c->spans.n; i++) {
        if (c->spans.v[i]->s->logs && !wait_span(c, c->spans.v[i], ticket[i], e))
            return false;
    }
    return true;
}

/* ---- accounts ---- */

static void raise_newest(struct metrics_tenant *t, int64_t t_ms)
{
    int64_t newest = atomic_load_explicit(&t->newest_ms, memory_order_relaxed);

    while (t_ms > newest &&
           !atomic_compare_exchange_weak_explicit(&t->newest_ms, &newest, t_ms,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

static void count_rows(struct commit *c, uint8_t *status)
{
    for (uint32_t k = 0; k < c->t->shard_count; k++) {
        for (size_t i = 0; i < c->b->shard[k].rows.n; i++) {
            const struct append_row *row = &c->b->shard[k].rows.v[i];

            c->stats.rows[row->status]++;
            if (status)
                status[row->index] = row->status;
        }
    }
    c->stats.series_added = c->b->series_added;
    atomic_fetch_add_explicit(&c->t->rows_appended, c->stats.rows[APPEND_OK], memory_order_relaxed);
    atomic_fetch_add_explicit(&c->t->series_created, c->b->series_added, memory_order_relaxed);
    for (size_t i = 1; i < APPEND_STATUS_COUNT; i++)
        atomic_fetch_add_explicit(&c->t->rows_refused[i], c->stats.rows[i], memory_order_relaxed);
}

static void add_exemplars(struct commit *c)
{
    for (size_t i = 0; i < c->b->exemplars.n; i++) {
        const struct batch_exemplar *x = &c->b->exemplars.v[i];
        struct metrics_shard *sh = &c->t->shard[ref_shard(c->t, x->ref)];
        const struct slot *slot;
        struct hash128 fp = { 0 };

        mutex_lock(&sh->mu);
        slot = slots_live(&sh->slots, ref_number(c->t, x->ref), x->ref.generation);
        if (slot)
            fp = slot->fingerprint;
        mutex_unlock(&sh->mu);
        if (slot)
            exemplars_add(c->t->exemplars, fp, &x->x);
    }
}

bool append_commit(struct append_batch *b, struct append_stats *stats, uint8_t *status,
                   struct err *e)
{
    OWNED(commit_fini) struct commit c = { .b = b, .t = b->tenant };

    if (!prepare(&c, e))
        return false;
    if (fault_hit("commit.resolved"))
        return err_os(e, "commit");
    if (c.spans.n) {
        add_rows(&c);
        raise_newest(c.t, c.seen_ms);
        for (size_t i = 0; i < c.spans.n; i++)
            append_accept_repeats(b, (uint8_t)i, c.spans.v[i]->s);
        if (fault_hit("commit.copied"))
            return err_os(e, "commit");
        if (!wait_log(&c, e))
            return false;
        if (fault_hit("commit.written"))
            return err_os(e, "commit");
    }
    add_exemplars(&c);
    count_rows(&c, status);
    if (stats)
        *stats = c.stats;
    append_batch_reset(b);
    return true;
}
