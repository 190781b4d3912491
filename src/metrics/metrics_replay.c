/*
 * metrics_replay.c - recovery: catalog logs, slots, row logs.
 *
 * Order: catalog logs first, so that ids are known; then slots of all series of the span; then the
 * row logs, shards in parallel, each into a tail that takes no more and is soon flushed. A row whose
 * id the catalog does not know is dropped and counted: no row may land on another series.
 */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/hist_blob.h"
#include "metrics/metrics_priv.h"

struct replay {
    struct span *s;
    uint32_t id_end;   // ids the catalog knows are below
    uint32_t *slot_of; // by id: number in its shard, SLOT_NONE; NULL: slots are not filled
    uint32_t slot_of_n;
};

// One shard's logs, replayed by one thread.
struct replay_shard {
    struct replay *r;
    uint32_t shard;
    VEC(uint64_t) logs; // numbers, ascending
    struct tail *tail;  // of the log being replayed
    uint32_t id_need;
    uint64_t rows, dropped, bad_frames;
    int64_t newest_ms;
    struct thread thread;
    bool ok;
    struct err e;
};

/* ---- catalog ---- */

struct catalog_replay_ctx {
    struct span *s;
    uint32_t id_need;
    uint64_t dropped, bad_frames;
};

static bool visit_catalog(void *ctx, const struct frame *f, struct err *e UNUSED)
{
    struct catalog_replay_ctx *c = ctx;
    struct err why = { 0 };

    c->id_need = MAX(c->id_need, f->catalog_need);
    if (f->type != FRAME_CATALOG || !catalog_replay(c->s->catalog, f->payload, &c->dropped, &why))
        c->bad_frames++;
    return true;
}

static void report(struct span *s, const char *path, const struct rowlog_report *r)
{
    struct err why = { 0 };

    if (r->torn_bytes)
        log_warn("metrics", "torn end of a log cut off", KV("path", path),
                 KV_U64("torn_bytes", r->torn_bytes));
    if (!r->gaps)
        return;
    err_set(&why, ERR_CORRUPT, "%s: %llu bytes from offset %llu on", path,
            (unsigned long long)r->gap_bytes, (unsigned long long)r->first_gap_offset);
    damage_note(s->tenant, s, s->min_ms, s->max_ms - 1, "rows of a damaged log are lost", &why);
    atomic_fetch_add_explicit(&s->tenant->m->corruptions, r->gaps, memory_order_relaxed);
    log_error("metrics", "log is damaged, what lies between good frames is lost", KV("path", path),
              KV_U64("offset", r->first_gap_offset), KV_U64("lost_bytes", r->gap_bytes),
              KV_U64("kept_frames", r->frames));
}

// What parts will rest on must be on disk before them.
static bool sync_file(const char *path, struct err *e)
{
    OWNED(file_close) int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return err_os(e, "open %s", path);
    return file_sync(fd, e);
}

static bool replay_catalog(struct span *s, struct catalog_replay_ctx *c, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct partition_numbers logs;

    if (!partition_files(s->store, PARTITION_CATALOG_LOG, &a, &logs, e))
        return false;
    for (size_t i = 0; i < logs.n; i++) {
        struct file_head head = partition_head(s->store, PARTITION_CATALOG_LOG, logs.v[i]);
        struct rowlog_report r;

        (void)partition_file_path(s->store, PARTITION_CATALOG_LOG, logs.v[i], &path);
        catalog_replay_log(s->catalog);
        if (!rowlog_replay(path.p, &head, visit_catalog, c, &r, e) || !sync_file(path.p, e))
            return false;
        report(s, path.p, &r);
    }
    if (c->dropped || c->bad_frames)
        log_error("metrics", "series of a damaged catalog log are lost",
                  KV("partition", partition_path(s->store)), KV_U64("series", c->dropped),
                  KV_U64("frames", c->bad_frames));
    return true;
}

/* ---- slots ---- */

static uint32_t fill_slot(struct span *s, const struct catalog_key *key)
{
    struct metrics_tenant *t = s->tenant;
    struct metrics_shard *sh = &t->shard[shard_of(key->fingerprint, t->shard_count)];
    struct slot *slot;
    uint32_t n;
    LOCKED(&sh->mu);

    n = slots_find(&sh->slots, key->fingerprint);
    if (n == SLOT_NONE)
        n = slots_add(&sh->slots, key->fingerprint);
    slot = slots_at(&sh->slots, n);
    if (slot->tag <= s->tag) { // of several ids the newest counts
        slot->tag = s->tag;
        slot->id = key->id;
    }
    return n;
}

static bool fill_slots(struct replay *r, struct err *e)
{
    OWNED(catalog_view_put) struct catalog_view *view = catalog_view_get(r->s->catalog);
    OWNED(arena_fini) struct arena a = { 0 };
    struct budget budget = { 0 };
    struct catalog_damage damage = { 0 };
    struct catalog_read read = { &a, &budget, &damage };
    struct catalog_query all = { 0 };
    struct catalog_ids ids;
    struct catalog_key *keys;

    if (!catalog_select(view, &all, &read, &ids, e))
        return false;
    keys = arena_array(&a, ids.n, struct catalog_key);
    if (!catalog_keys(view, ids, &read, keys, e))
        return false;
    r->slot_of_n = r->id_end;
    r->slot_of = xmalloc(((size_t)r->id_end + 1) * sizeof *r->slot_of);
    memset(r->slot_of, 0xff, ((size_t)r->id_end + 1) * sizeof *r->slot_of);
    for (size_t i = 0; i < ids.n; i++) {
        if (keys[i].shard != UINT32_MAX && ids.v[i] < r->slot_of_n)
            r->slot_of[ids.v[i]] = fill_slot(r->s, &keys[i]);
    }
    return true;
}

/* ---- rows ---- */

// The slot of an id of this shard; NULL when slots are not filled or it moved on.
static struct slot *slot_for(struct replay_shard *rs, uint32_t id)
{
    const struct replay *r = rs->r;
    struct slot *slot;

    if (!r->slot_of || id >= r->slot_of_n || r->slot_of[id] == SLOT_NONE)
        return NULL;
    slot = slots_at(&r->s->tenant->shard[rs->shard].slots, r->slot_of[id]);
    return slot;
}

static void add_row(struct replay_shard *rs, uint32_t id, enum tail_kind kind, int64_t t_ms,
                    uint64_t value, uint64_t bits)
{
    struct span *s = rs->r->s;
    struct slot *slot;
    int64_t last_ms = INT64_MIN;

    if (id >= rs->r->id_end || t_ms < s->min_ms || t_ms >= s->max_ms || !tail_room(rs->tail)) {
        rs->dropped++;
        return;
    }
    slot = slot_for(rs, id);
    if (slot) {
        last_ms = slot->last_ms;
        if (t_ms > last_ms) {
            slot->last_ms = t_ms;
            slot->last_bits = bits;
        }
    }
    if (last_ms < s->min_ms || span_slice(s, last_ms) != span_slice(s, t_ms))
        catalog_slices_set(s->catalog, id, span_slice(s, t_ms));
    tail_add(rs->tail, tail_id_kind(id, kind), t_ms, value);
    rs->newest_ms = MAX(rs->newest_ms, t_ms);
    rs->rows++;
}

// The time of a row: any bits are safe, what is outside the span is dropped.
static int64_t row_ms(int64_t base_ms, const char *delta)
{
    int64_t t_ms;

    return __builtin_add_overflow(base_ms, (int32_t)get_le32(delta), &t_ms) ? INT64_MIN : t_ms;
}

static bool replay_floats(struct replay_shard *rs, const struct frame *f)
{
    const char *p = f->payload.p;
    size_t n = f->rows;
    int64_t base_ms;

    if (f->payload.n != 8 + 16 * n)
        return false;
    base_ms = (int64_t)get_le64(p);
    for (size_t i = 0; i < n; i++) {
        uint64_t value = get_le64(p + 8 + 8 * n + 8 * i);

        add_row(rs, get_le32(p + 8 + 4 * i), TAIL_FLOAT, row_ms(base_ms, p + 8 + 4 * n + 4 * i),
                value, value);
    }
    return true;
}

static bool replay_starts(struct replay_shard *rs, const struct frame *f)
{
    const char *p = f->payload.p;
    size_t n = f->rows;
    int64_t base_ms;

    if (f->payload.n != 8 + 24 * n)
        return false;
    base_ms = (int64_t)get_le64(p);
    for (size_t i = 0; i < n; i++) {
        struct tail_start *start = tail_start_new(rs->tail);

        start->value = get_le64(p + 8 + 8 * n + 8 * i);
        start->start_ms = (int64_t)get_le64(p + 8 + 16 * n + 8 * i);
        add_row(rs, get_le32(p + 8 + 4 * i), TAIL_START, row_ms(base_ms, p + 8 + 4 * n + 4 * i),
                (uint64_t)(uintptr_t)start, start->value);
    }
    return true;
}

static bool replay_histograms(struct replay_shard *rs, const struct frame *f)
{
    const char *p = f->payload.p;
    size_t n = f->rows, blobs = 8 + 12 * n;
    uint32_t from = 0;
    int64_t base_ms;

    if (f->payload.n < blobs)
        return false;
    base_ms = (int64_t)get_le64(p);
    for (size_t i = 0; i < n; i++) {
        uint32_t to = get_le32(p + 8 + 8 * n + 4 * i);
        struct tail_blob *blob;
        struct str bytes;

        if (to < from || to > f->payload.n - blobs)
            return false;
        bytes = str_of(p + blobs + from, to - from);
        blob = tail_blob_new(rs->tail, bytes.n);
        memcpy(blob->p, bytes.p, bytes.n);
        add_row(rs, get_le32(p + 8 + 4 * i), TAIL_HISTOGRAM, row_ms(base_ms, p + 8 + 4 * n + 4 * i),
                (uint64_t)(uintptr_t)blob, hash_seeded(bytes, 1));
        from = to;
    }
    return true;
}

static bool visit_rows(void *ctx, const struct frame *f, struct err *e UNUSED)
{
    struct replay_shard *rs = ctx;
    bool ok = f->rows <= f->payload.n / 8;

    rs->id_need = MAX(rs->id_need, f->catalog_need);
    if (ok && f->type == FRAME_FLOATS)
        ok = replay_floats(rs, f);
    else if (ok && f->type == FRAME_STARTS)
        ok = replay_starts(rs, f);
    else if (ok && f->type == FRAME_HISTOGRAMS)
        ok = replay_histograms(rs, f);
    else
        ok = false;
    if (!ok)
        rs->bad_frames++;
    tail_publish(rs->tail, 0);
    return true;
}

static bool replay_log(struct replay_shard *rs, uint64_t number, struct err *e)
{
    struct span *s = rs->r->s;
    OWNED(buf_fini) struct buf path = { 0 };
    struct file_head head = partition_head(s->store, PARTITION_ROWS, number);
    struct rowlog_report r;
    uint64_t dropped = rs->dropped, bad_frames = rs->bad_frames;

    (void)partition_file_path(s->store, PARTITION_ROWS, number, &path);
    rs->tail = tail_new(rs->shard, s->min_ms, number);
    rs->tail->born_mono_ns = clock_mono_ns(s->tenant->m->clock);
    if (!rowlog_replay(path.p, &head, visit_rows, rs, &r, e)) {
        tail_put(rs->tail);
        rs->tail = NULL;
        return false;
    }
    report(s, path.p, &r);
    rs->tail->is_partial = rs->dropped != dropped || rs->bad_frames != bad_frames || r.gaps;
    LOCKED(&s->mu);
    span_add_tail_locked(s, TAKE(rs->tail));
    return true;
}

static void *replay_shard(void *ctx)
{
    struct replay_shard *rs = ctx;

    rs->ok = true;
    for (size_t i = 0; rs->ok && i < rs->logs.n; i++)
        rs->ok = replay_log(rs, rs->logs.v[i], &rs->e);
    return NULL;
}

// Sorts the live logs by shard; dead ones are deleted.
static bool list_logs(struct span *s, struct replay_shard *shards, size_t *count, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    OWNED(manifest_fini) struct manifest m = { 0 };
    struct partition_numbers logs;

    *count = 0;
    partition_manifest(s->store, &m);
    if (!partition_files(s->store, PARTITION_ROWS, &a, &logs, e))
        return false;
    for (size_t i = 0; i < logs.n; i++) {
        struct file_head head = partition_head(s->store, PARTITION_ROWS, logs.v[i]), got = { 0 };
        struct err why = { 0 };

        (void)partition_file_path(s->store, PARTITION_ROWS, logs.v[i], &path);
        // Without a readable head the log is replayed as shard 0's: ids say what its rows are, and
        // rows that are in a part already collapse.
        if (!rowlog_head(path.p, &head, &got, &why) || got.shard >= s->shards)
            got.shard = 0;
        if (why.kind == ERR_NONE && logs.v[i] < m.log_first[got.shard]) {
            if (!file_remove(path.p, e))
                return false;
            continue;
        }
        *vec_push(&shards[got.shard].logs) = logs.v[i];
        ++*count;
    }
    return true;
}

/*
 * Runs all shards. Slots are shared by tenant shard: when the span was written with another number
 * of shards, threads would meet in them, so they run one after the other, without slots.
 */
static bool replay_rows(struct replay *r, struct replay_shard *shards, struct err *e)
{
    bool parallel = r->s->shards == r->s->tenant->shard_count;

    if (!parallel) {
        xfree(r->slot_of);
        r->slot_of = NULL;
    }
    for (uint32_t k = 0; k < r->s->shards; k++) {
        struct err why = { 0 };

        if (!shards[k].logs.n)
            continue;
        if (!parallel || !thread_start(&shards[k].thread, "replay", replay_shard, &shards[k], &why))
            (void)replay_shard(&shards[k]);
    }
    for (uint32_t k = 0; k < r->s->shards; k++)
        thread_join(&shards[k].thread);
    for (uint32_t k = 0; k < r->s->shards; k++) {
        if (shards[k].logs.n && !shards[k].ok) {
            *e = shards[k].e;
            return false;
        }
    }
    return true;
}

static void count_rows(struct span *s, const struct replay_shard *shards, uint32_t *id_next)
{
    uint64_t rows = 0, dropped = 0, bad = 0;
    int64_t newest = INT64_MIN;

    for (uint32_t k = 0; k < s->shards; k++) {
        rows += shards[k].rows;
        dropped += shards[k].dropped;
        bad += shards[k].bad_frames;
        newest = MAX(newest, shards[k].newest_ms);
        *id_next = MAX(*id_next, shards[k].id_need);
    }
    atomic_fetch_add_explicit(&s->tenant->m->replayed_rows, rows, memory_order_relaxed);
    if (newest > atomic_load_explicit(&s->tenant->newest_ms, memory_order_relaxed))
        atomic_store_explicit(&s->tenant->newest_ms, newest, memory_order_relaxed);
    if (dropped || bad)
        log_error("metrics", "rows without their series or in malformed frames are dropped",
                  KV("partition", partition_path(s->store)), KV_U64("rows", dropped),
                  KV_U64("frames", bad));
}

bool span_replay(struct span *s, bool fill, uint32_t *id_next, struct err *e)
{
    struct catalog_replay_ctx c = { .s = s };
    struct replay r = { .s = s };
    struct replay_shard *shards;
    size_t logs;
    bool ok;

    if (!replay_catalog(s, &c, e))
        return false;
    r.id_end = catalog_id_next(s->catalog);
    *id_next = MAX(MAX(*id_next, c.id_need), r.id_end);
    if (fill && !fill_slots(&r, e))
        return false;
    shards = xcalloc(MANIFEST_SHARDS_MAX, sizeof *shards);
    for (uint32_t k = 0; k < MANIFEST_SHARDS_MAX; k++) {
        shards[k].r = &r;
        shards[k].shard = k;
        shards[k].newest_ms = INT64_MIN;
    }
    ok = list_logs(s, shards, &logs, e) && (!logs || replay_rows(&r, shards, e));
    if (ok && logs)
        count_rows(s, shards, id_next);
    for (uint32_t k = 0; k < MANIFEST_SHARDS_MAX; k++)
        vec_fini(&shards[k].logs);
    xfree(shards);
    xfree(r.slot_of);
    return ok;
}
