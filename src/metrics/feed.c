/*
 * feed.c - cursors of the change feed by name, and their files.
 *
 * A cursor is …/tenants/<name>/feed/<cursor>.cursor: records of 40 bytes, appended, the last one of
 * a (partition, shard) counting; rewritten when it has grown. Field by field:
 *
 *   0  magic   u16, 0xFEED
 *   2  kind    u8: 0 head, 1 place, 2 the partition is gone
 *   3  shard   u8
 *   4  crc     u32, CRC-32C of the record with zero here
 *   8  min_ms  i64, begin of the partition; head: hash of the tenant's key
 *   16 seq     u64
 *   24 row     u32, or id
 *   28 at      u32, enum feed_at
 *   32 t_ms    i64
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/feed.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/feed_priv.h"

enum {
    RECORD_BYTES = 40,
    RECORD_MAGIC = 0xFEED,
    RECORD_HEAD = 0,
    RECORD_PLACE = 1,
    RECORD_GONE = 2,
    FILE_BYTES_MAX = 64 << 20,
    REWRITE_BYTES = 256 << 10,
};
#define BEHIND_BYTES_MAX (UINT64_C(8) << 30)
#define TAIL_BYTES_MAX   (UINT64_C(64) << 20)
#define SUFFIX           ".cursor"

/* ---- places in memory ---- */

struct feed_span *feed_span_find(const struct feed *f, int64_t min_ms)
{
    for (size_t i = f->spans.n; i-- > 0;) {
        if (f->spans.v[i]->min_ms == min_ms && !f->spans.v[i]->is_gone)
            return f->spans.v[i];
    }
    return NULL;
}

struct feed_span *feed_span_add(struct feed *f, int64_t min_ms)
{
    struct feed_span *fs = xcalloc(1, sizeof *fs);
    size_t i;

    fs->min_ms = min_ms;
    fs->is_unsaved = true;
    (void)vec_push(&f->spans);
    for (i = f->spans.n - 1; i > 0 && f->spans.v[i - 1]->min_ms > min_ms; i--)
        f->spans.v[i] = f->spans.v[i - 1];
    f->spans.v[i] = fs;
    return fs;
}

static void span_entry_free(struct feed_span *fs)
{
    for (size_t k = 0; k < METRICS_SHARDS_MAX; k++) {
        tail_put(fs->shard[k].held);
        feed_rest_free(fs->shard[k].rest);
    }
    span_put(fs->s);
    xfree(fs);
}

void feed_span_remove(struct feed *f, struct feed_span *fs)
{
    for (size_t i = 0; i < f->spans.n; i++) {
        if (f->spans.v[i] != fs)
            continue;
        memmove(&f->spans.v[i], &f->spans.v[i + 1], (f->spans.n - i - 1) * sizeof f->spans.v[0]);
        f->spans.n--;
        span_entry_free(fs);
        return;
    }
}

static struct feed *feed_new(struct metrics_tenant *t, struct str name)
{
    struct feed *f = xcalloc(1, sizeof *f);
    OWNED(buf_fini) struct buf path = { 0 };

    buf_printf(&path, "%s/../feed/%.*s", t->path, STRF(name));
    f->t = t;
    f->name = xstrdup_str(name);
    f->path = xstrdup_str(buf_view(&path));
    f->fd = -1;
    mutex_init(&f->rest_mu, "feed_rest", RANK_LEAF - 1);
    atomic_init(&f->oldest_ms, INT64_MAX);
    return f;
}

static void feed_free(struct feed *f)
{
    if (!f)
        return;
    feed_read_fini(f);
    for (size_t i = 0; i < f->spans.n; i++)
        span_entry_free(f->spans.v[i]);
    vec_fini(&f->spans);
    vec_fini(&f->segments);
    file_close(f->fd);
    mutex_fini(&f->rest_mu);
    xfree(f->name);
    xfree(f->path);
    xfree(f);
}
OWN_DEFINE(struct feed *, feed_free)

/* ---- the file ---- */

struct record {
    unsigned kind, shard;
    int64_t min_ms;
    struct feed_pos pos;
};

static void put_record(struct buf *b, const struct record *r)
{
    size_t at = b->n;

    buf_le16(b, RECORD_MAGIC);
    buf_char(b, (char)r->kind);
    buf_char(b, (char)r->shard);
    buf_le32(b, 0);
    buf_le64(b, (uint64_t)r->min_ms);
    buf_le64(b, r->pos.seq);
    buf_le32(b, r->pos.row);
    buf_le32(b, (uint32_t)r->pos.at);
    buf_le64(b, (uint64_t)r->pos.t_ms);
    put_le32(b->p + at + 4, crc32c(0, b->p + at, RECORD_BYTES));
}

static bool get_record(const char *p, struct record *r)
{
    char copy[RECORD_BYTES];

    memcpy(copy, p, sizeof copy);
    memset(copy + 4, 0, 4);
    *r = (struct record){
        .kind = (unsigned char)p[2],
        .shard = (unsigned char)p[3],
        .min_ms = (int64_t)get_le64(p + 8),
        .pos = { get_le64(p + 16), (enum feed_at)get_le32(p + 28), get_le32(p + 24),
                 (int64_t)get_le64(p + 32) },
    };
    return get_le16(p) == RECORD_MAGIC && crc32c(0, copy, sizeof copy) == get_le32(p + 4) &&
           r->kind <= RECORD_GONE && r->shard < METRICS_SHARDS_MAX && r->pos.at <= FEED_REST;
}

static struct record head_record(const struct feed *f)
{
    return (struct record){ .kind = RECORD_HEAD, .min_ms = (int64_t)hash_u64(f->t->owner_key) };
}

static void apply_record(struct feed *f, const struct record *r)
{
    struct feed_span *fs = feed_span_find(f, r->min_ms);

    if (r->kind == RECORD_GONE && fs)
        feed_span_remove(f, fs);
    if (r->kind != RECORD_PLACE)
        return;
    if (!fs)
        fs = feed_span_add(f, r->min_ms);
    fs->is_unsaved = false;
    fs->shard[r->shard].saved = r->pos;
}

static const char *cursor_path(const struct feed *f, struct buf *b)
{
    buf_printf(b, "%s" SUFFIX, f->path);
    return buf_cstr(b);
}

static bool load_file(struct feed *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct record r, head = head_record(f);
    struct str text;
    uint64_t bad = 0;

    if (!file_read(&a, cursor_path(f, &path), FILE_BYTES_MAX, &text, e))
        return false;
    if (text.n < RECORD_BYTES || !get_record(text.p, &r) || r.kind != RECORD_HEAD ||
        r.min_ms != head.min_ms)
        return err_set(e, ERR_CORRUPT, "%s is no cursor of this tenant", path.p);
    for (size_t at = RECORD_BYTES; at + RECORD_BYTES <= text.n; at += RECORD_BYTES) {
        if (get_record(text.p + at, &r))
            apply_record(f, &r);
        else
            bad++;
    }
    if (bad)
        log_error("feed", "records of a cursor are damaged: rows may be sent again",
                  KV("path", path.p), KV_U64("records", bad));
    for (size_t i = 0; i < f->spans.n; i++) {
        for (size_t k = 0; k < METRICS_SHARDS_MAX; k++) {
            struct feed_shard *sh = &f->spans.v[i]->shard[k];

            sh->read = sh->acked = sh->saved;
        }
    }
    return true;
}

/* ---- saving ---- */

static bool pos_equal(const struct feed_pos *a, const struct feed_pos *b)
{
    return a->seq == b->seq && a->at == b->at && a->row == b->row && a->t_ms == b->t_ms;
}

// The tail that a place is in, if it is still in memory.
static struct tail *tail_of_place(const struct feed *f, const struct feed_span *fs, unsigned k)
{
    const struct feed_shard *sh = &fs->shard[k];

    if (sh->acked.at != FEED_TAIL)
        return NULL;
    if (sh->held && sh->held->seq == sh->acked.seq)
        return sh->held;
    for (size_t i = f->segment_at; i < f->segments.n; i++) {
        const struct feed_segment *s = &f->segments.v[i];

        if (s->fs == fs && s->shard == k && s->seq == sh->acked.seq)
            return s->tail;
    }
    return NULL;
}

/*
 * What a place becomes after a restart: a log is replayed kind by kind within a batch, so amidst a
 * batch of several kinds the row number would mean other rows.
 */
static struct feed_pos pos_to_save(const struct feed *f, const struct feed_span *fs, unsigned k)
{
    struct feed_pos p = fs->shard[k].acked;
    struct tail *t = tail_of_place(f, fs, k);

    if (p.at == FEED_REST)
        return (struct feed_pos){ p.seq, FEED_REST, 0, INT64_MIN };
    if (t)
        p.row = tail_replay_row(t, p.row);
    return p;
}

// The table of what is left, for a place in a tail that is or becomes a part.
static bool save_rest(struct feed *f, struct feed_span *fs, unsigned k, struct err *e)
{
    struct feed_shard *sh = &fs->shard[k];
    struct tail *t = tail_of_place(f, fs, k);
    struct feed_rest *r = NULL;
    bool ok, written;

    mutex_lock(&f->t->feeds.mu); // a flush may write the table, too
    written = sh->rest_seq == sh->acked.seq && sh->rest_row == sh->acked.row;
    mutex_unlock(&f->t->feeds.mu);
    if (sh->acked.at == FEED_REST && !pos_equal(&sh->acked, &sh->saved))
        r = feed_rest_of_reader(f, fs, k);
    else if (t && !written && atomic_load_explicit(&t->is_leaving, memory_order_acquire))
        r = feed_rest_of_tail(t, sh->acked.row);
    if (!r)
        return true;
    ok = feed_rest_save(f, fs, k, r, e);
    feed_rest_free(r);
    if (!ok)
        return false;
    LOCKED(&f->t->feeds.mu);
    sh->rest_seq = sh->acked.seq;
    sh->rest_row = sh->acked.row;
    return true;
}

static bool save_rests(struct feed *f, struct err *e)
{
    for (size_t i = 0; i < f->spans.n; i++) {
        for (unsigned k = 0; k < METRICS_SHARDS_MAX; k++) {
            if (!save_rest(f, f->spans.v[i], k, e))
                return false;
        }
    }
    return true;
}

static void put_span(struct buf *b, const struct feed *f, const struct feed_span *fs)
{
    for (unsigned k = 0; k < METRICS_SHARDS_MAX; k++) {
        struct record r = { RECORD_PLACE, k, fs->min_ms, pos_to_save(f, fs, k) };

        if (!k || r.pos.seq || r.pos.at)
            put_record(b, &r);
    }
}

// All places in a new file.
static bool rewrite_file(struct feed *f, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct record head = head_record(f);

    put_record(&b, &head);
    for (size_t i = 0; i < f->spans.n; i++) {
        if (!f->spans.v[i]->is_gone)
            put_span(&b, f, f->spans.v[i]);
    }
    if (!file_replace(cursor_path(f, &path), buf_view(&b), e))
        return false;
    file_close(f->fd);
    f->fd = open(path.p, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (f->fd < 0)
        return err_os(e, "open %s", path.p);
    f->file_bytes = b.n;
    f->is_unsynced = false;
    return true;
}

struct saved {
    struct feed_span *fs;
    unsigned shard;
    struct feed_pos acked;
};

// Partitions that are gone: before one of the same day may come again.
static void put_ends(struct feed *f, struct buf *b)
{
    for (size_t i = 0; i < f->spans.n; i++) {
        struct record r = { .kind = RECORD_GONE, .min_ms = f->spans.v[i]->min_ms };

        if (!f->spans.v[i]->is_gone || f->spans.v[i]->is_unsaved)
            continue;
        put_record(b, &r);
        f->spans.v[i]->is_unsaved = true;
    }
}

bool feed_save(struct feed *f, bool sync, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    VEC(struct saved) list = { 0 };
    bool ok = true, later = false;

    feed_apply_floors(f);
    if (sync)
        feed_look_around(f);
    if (sync && !save_rests(f, e))
        return false;
    put_ends(f, &b);
    for (size_t i = 0; f->is_dirty && i < f->spans.n; i++) {
        struct feed_span *fs = f->spans.v[i];

        if (fs->is_gone)
            continue;
        for (unsigned k = 0; k < METRICS_SHARDS_MAX; k++) {
            const struct feed_shard *sh = &fs->shard[k];
            struct record r = { RECORD_PLACE, k, fs->min_ms, sh->acked };

            if (pos_equal(&sh->acked, &sh->saved) && !(fs->is_unsaved && !k))
                continue;
            if (sh->acked.at == FEED_REST && !sync) {
                later = true;
                continue; // without its table the place means nothing
            }
            r.pos = pos_to_save(f, fs, k);
            put_record(&b, &r);
            *vec_push(&list) = (struct saved){ fs, k, sh->acked };
        }
    }
    if (b.n && f->file_bytes + b.n > REWRITE_BYTES + f->spans.n * 16 * RECORD_BYTES)
        ok = rewrite_file(f, e);
    else if (b.n)
        ok = file_write_all(f->fd, b.p, b.n, e);
    f->is_unsynced |= b.n > 0;
    f->file_bytes += b.n;
    if (ok && sync && f->is_unsynced) {
        ok = file_sync(f->fd, e);
        f->is_unsynced = !ok;
    }
    if (ok) {
        LOCKED(&f->t->feeds.mu);
        f->is_dirty = later;
        for (size_t i = 0; i < list.n; i++) {
            list.v[i].fs->shard[list.v[i].shard].saved = list.v[i].acked;
            list.v[i].fs->is_unsaved = false;
        }
    }
    vec_fini(&list);
    return ok || err_wrap(e, "cursor %s", f->name);
}

/* ---- a new cursor ---- */

// Behind all that a span holds now.
static void start_behind(struct metrics_tenant *t, struct span *s, struct feed_span *fs,
                         const struct batch_view *batches)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    const struct span_view *v = s->view;
    uint64_t last = 0;

    assert(mutex_is_mine(&t->snapshot_mu));
    partition_manifest(s->store, &m);
    for (size_t i = 0; i < m.parts.n; i++)
        last = MAX(last, m.parts.v[i].seq_to);
    for (size_t i = 0; i < v->tail_count; i++)
        last = MAX(last, v->tails[i]->seq);
    for (size_t k = 0; k < METRICS_SHARDS_MAX; k++)
        fs->shard[k].acked = (struct feed_pos){ .seq = last + 1 };
    for (size_t i = 0; i < v->tail_count; i++) { // the last one of a shard counts
        struct tail *tail = v->tails[i];

        fs->shard[tail->shard].acked = (struct feed_pos){ .seq = tail->seq,
                                                          .at = FEED_TAIL,
                                                          .row = tail_visible(tail, batches).rows };
    }
    for (size_t k = 0; k < METRICS_SHARDS_MAX; k++)
        fs->shard[k].read = fs->shard[k].saved = fs->shard[k].acked;
}

static void start_new(struct feed *f, bool from_start)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct metrics_tenant *t = f->t;
    struct batch_view batches;
    LOCKED(&t->snapshot_mu);

    batches = batch_view_locked(t, &a);
    for (size_t i = 0; i < t->spans.n; i++) {
        struct feed_span *fs = feed_span_add(f, t->spans.v[i]->min_ms);

        if (!from_start)
            start_behind(t, t->spans.v[i], fs, &batches);
    }
}

// Entries of partitions that are gone say nothing.
static void drop_strangers(struct feed *f)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(f->t, &a);
    LOCKED(&f->t->feeds.mu);

    for (size_t i = f->spans.n; i-- > 0;) {
        bool there = false;

        for (size_t k = 0; k < list.n && !there; k++)
            there = list.v[k]->min_ms == f->spans.v[i]->min_ms;
        if (!there)
            feed_span_remove(f, f->spans.v[i]);
    }
}

/* ---- opening ---- */

static bool name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return name.n > 0 && name.n <= FEED_NAME_MAX;
}

static struct feed *find_locked(struct metrics_tenant *t, struct str name)
{
    for (size_t i = 0; i < t->feeds.v.n; i++) {
        if (str_eq_c(name, t->feeds.v.v[i]->name))
            return t->feeds.v.v[i];
    }
    return NULL;
}

static bool make_folder(struct metrics_tenant *t, struct err *e)
{
    OWNED(buf_fini) struct buf dir = { 0 };

    buf_printf(&dir, "%s/../feed", t->path);
    return file_mkdirs(buf_cstr(&dir), e);
}

static bool create(const struct feed_options *o, struct feed **out, struct err *e)
{
    OWNED(feed_free) struct feed *f = feed_new(o->tenant, o->name);

    start_new(f, o->from_start);
    if (!make_folder(o->tenant, e) || !rewrite_file(f, e))
        return false;
    f->is_open = true;
    LOCKED(&o->tenant->feeds.mu);
    *vec_push(&o->tenant->feeds.v) = f;
    *out = TAKE(f);
    return true;
}

static bool reopen(struct feed *f, struct err *e)
{
    if (f->fd >= 0)
        return true;
    drop_strangers(f);
    return rewrite_file(f, e);
}

bool feed_open(struct feed **out, const struct feed_options *o, struct err *e)
{
    struct metrics_tenant *t = o->tenant;
    struct feed *f;

    if (!name_is_valid(o->name))
        return err_set(e, ERR_INVALID, "name of a cursor must be of letters, digits, _ and -");
    LOCKED(&t->feeds.list_mu);
    mutex_lock(&t->feeds.mu);
    f = find_locked(t, o->name);
    bool busy = f && f->is_open;
    if (f)
        f->is_open = true;
    mutex_unlock(&t->feeds.mu);
    if (busy)
        return err_set(e, ERR_CONFLICT, "cursor %s is open already", f->name);
    if (!f && !create(o, &f, e))
        return false;
    if (!reopen(f, e)) {
        LOCKED(&t->feeds.mu);
        f->is_open = false;
        return false;
    }
    f->o = *o;
    f->o.name = str_c(f->name);
    if (!f->o.behind_bytes_max)
        f->o.behind_bytes_max = BEHIND_BYTES_MAX;
    if (!f->o.behind_ms_max)
        f->o.behind_ms_max = MS_DAY;
    if (!f->o.tail_bytes_max)
        f->o.tail_bytes_max = TAIL_BYTES_MAX;
    f->has_more = true;
    f->exemplar_serial = exemplars_serial(t->exemplars);
    *out = f;
    return true;
}

void feed_close(struct feed *f)
{
    struct err e = { 0 };

    if (!f)
        return;
    if (!feed_save(f, true, &e))
        log_warn("feed", "cursor is not saved: rows may be sent again", KV_ERR(&e));
    feed_read_fini(f);
    LOCKED(&f->t->feeds.mu);
    for (size_t i = 0; i < f->spans.n; i++) {
        for (size_t k = 0; k < METRICS_SHARDS_MAX; k++) {
            struct feed_shard *sh = &f->spans.v[i]->shard[k];

            sh->read = pos_to_save(f, f->spans.v[i], (unsigned)k);
            feed_rest_free(sh->rest);
            sh->rest = NULL;
        }
    }
    f->is_open = false;
}

static struct feed *unlist_locked(struct metrics_tenant *t, struct feed *f)
{
    for (size_t i = 0; i < t->feeds.v.n; i++) {
        if (t->feeds.v.v[i] != f)
            continue;
        t->feeds.v.v[i] = t->feeds.v.v[--t->feeds.v.n];
        return f;
    }
    return NULL;
}

bool feed_remove(struct metrics_tenant *t, struct str name, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(feed_free) struct feed *f = NULL;
    OWNED(buf_fini) struct buf path = { 0 };
    struct feed *found;
    struct file_list files;

    LOCKED(&t->feeds.list_mu);
    found = find_locked(t, name);
    if (!found)
        return true;
    if (found->is_open)
        return err_set(e, ERR_CONFLICT, "cursor %.*s is open", STRF(name));
    mutex_lock(&t->feeds.mu);
    f = unlist_locked(t, found);
    mutex_unlock(&t->feeds.mu);
    buf_printf(&path, "%s/../feed", t->path);
    if (!file_list(&a, buf_cstr(&path), &files, e))
        return false;
    for (size_t i = 0; i < files.n; i++) {
        struct str rest = files.v[i];

        if (!str_starts(rest, name) || rest.n == name.n || rest.p[name.n] != '.')
            continue;
        buf_reset(&path);
        buf_printf(&path, "%s/../feed/%.*s", t->path, STRF(rest));
        if (!file_remove(buf_cstr(&path), e))
            return false;
    }
    return true;
}

size_t feed_names(struct metrics_tenant *t, struct arena *a, struct str **out)
{
    size_t n;
    LOCKED(&t->feeds.mu);

    n = t->feeds.v.n;
    *out = arena_array(a, n, struct str);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = arena_str(a, str_c(t->feeds.v.v[i]->name));
    return n;
}

/* ---- of a tenant ---- */

static void load_one(struct metrics_tenant *t, struct str name)
{
    OWNED(feed_free) struct feed *f = feed_new(t, name);
    struct err e = { 0 };

    if (!load_file(f, &e)) {
        log_error("feed", "cursor cannot be read: it begins anew at the newest row",
                  KV_STR("cursor", name), KV_ERR(&e));
        return;
    }
    f->o.behind_bytes_max = BEHIND_BYTES_MAX;
    f->o.behind_ms_max = MS_DAY;
    *vec_push(&t->feeds.v) = TAKE(f);
}

bool feeds_load(struct metrics_tenant *t, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf dir = { 0 };
    struct file_list files;

    buf_printf(&dir, "%s/../feed", t->path);
    if (!file_exists(buf_cstr(&dir)))
        return true;
    if (!file_list(&a, dir.p, &files, e))
        return false;
    for (size_t i = 0; i < files.n; i++) {
        struct str name = files.v[i];

        if (!str_ends(name, STR(SUFFIX)))
            continue;
        name.n -= strlen(SUFFIX);
        if (name_is_valid(name))
            load_one(t, name);
    }
    return true;
}

void feeds_free(struct metrics_tenant *t)
{
    for (size_t i = 0; i < t->feeds.v.n; i++)
        feed_free(t->feeds.v.v[i]);
    vec_fini(&t->feeds.v);
    mutex_fini(&t->feeds.list_mu);
    mutex_fini(&t->feeds.mu);
}

void feed_stats(struct feed *f, struct feed_stats *out)
{
    *out = (struct feed_stats){
        .rows_read = atomic_load_explicit(&f->rows_read, memory_order_relaxed),
        .rows_acked = atomic_load_explicit(&f->rows_acked, memory_order_relaxed),
        .rows_skipped = atomic_load_explicit(&f->rows_skipped, memory_order_relaxed),
        .restarts = atomic_load_explicit(&f->restarts, memory_order_relaxed),
        .behind_bytes = atomic_load_explicit(&f->behind_bytes, memory_order_relaxed),
        .oldest_ms = atomic_load_explicit(&f->oldest_ms, memory_order_relaxed),
    };
}
