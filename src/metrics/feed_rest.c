/*
 * feed_rest.c - what is left of a sequence for a cursor whose tail has become a part.
 *
 * In a tail rows are by arrival, in a part by (id, time): a row number of the one means nothing in
 * the other. What a cursor has not passed is kept as the least time per series.
 *
 * File <name>.<tag>.<shard>.rest: 8 bytes "vgrest1\n", u32 CRC-32C of what follows, u32 number of
 * series, u64 sequence, u32 id each, i64 time each.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sort.h"
#include "metrics/feed_priv.h"

enum { HEAD_BYTES = 24, ENTRY_BYTES = 12 };
#define REST_BYTES_MAX (UINT64_C(1) << 30)
#define REST_MAGIC     "vgrest1\n"

void feed_rest_free(struct feed_rest *r)
{
    if (!r)
        return;
    xfree(r->id);
    xfree(r->t_ms);
    xfree(r);
}

// The tail takes no more rows.
struct feed_rest *feed_rest_of_tail(struct tail *t, uint32_t row)
{
    uint32_t end = atomic_load_explicit(&t->row_count, memory_order_acquire), id_end = 0;
    struct feed_rest *r = xcalloc(1, sizeof *r);
    int64_t *least;

    for (uint32_t i = row; i < end; i++)
        id_end = MAX(id_end, TAIL_ID(tail_row_id(t, i)) + 1);
    least = xmalloc(((size_t)id_end + 1) * sizeof *least);
    for (uint32_t i = 0; i < id_end; i++)
        least[i] = INT64_MAX;
    for (uint32_t i = row; i < end; i++) {
        uint32_t id = TAIL_ID(tail_row_id(t, i));

        r->n += least[id] == INT64_MAX;
        least[id] = MIN(least[id], tail_row_ms(t, i));
    }
    r->seq = t->seq;
    r->id = xmalloc((r->n + 1) * sizeof *r->id);
    r->t_ms = xmalloc((r->n + 1) * sizeof *r->t_ms);
    r->n = 0;
    for (uint32_t id = 0; id < id_end; id++) {
        if (least[id] == INT64_MAX)
            continue;
        r->id[r->n] = id;
        r->t_ms[r->n++] = least[id];
    }
    xfree(least);
    return r;
}

/* ---- of a reader without its tail ---- */

struct pairs {
    struct sort_pair *v;
    size_t n, cap;
};

static void add_pair(struct pairs *p, uint32_t id, int64_t t_ms)
{
    *(struct sort_pair *)vec_push(p) = (struct sort_pair){ id, (uint64_t)t_ms };
}

static struct feed_rest *least_of(struct pairs *p, uint64_t seq)
{
    struct feed_rest *r = xcalloc(1, sizeof *r);
    struct sort_pair *scratch = xmalloc((p->n + 1) * sizeof *scratch);

    sort_pairs(p->v, p->n, scratch);
    xfree(scratch);
    r->seq = seq;
    r->id = xmalloc((p->n + 1) * sizeof *r->id);
    r->t_ms = xmalloc((p->n + 1) * sizeof *r->t_ms);
    for (size_t i = 0; i < p->n; i++) {
        int64_t t_ms = (int64_t)p->v[i].value;

        if (r->n && r->id[r->n - 1] == p->v[i].key) {
            r->t_ms[r->n - 1] = MIN(r->t_ms[r->n - 1], t_ms);
            continue;
        }
        r->id[r->n] = (uint32_t)p->v[i].key;
        r->t_ms[r->n++] = t_ms;
    }
    return r;
}

struct feed_rest *feed_rest_of_reader(const struct feed *f, const struct feed_span *fs,
                                      uint32_t shard)
{
    const struct feed_shard *sh = &fs->shard[shard];
    struct pairs p = { 0 };
    struct feed_rest *r;

    for (size_t i = f->segment_at; i < f->segments.n; i++) {
        const struct feed_segment *s = &f->segments.v[i];
        size_t done = s->serial < f->acked_serial ? f->acked_serial - s->serial : 0;

        for (; s->fs == fs && s->shard == shard && s->seq == sh->acked.seq && done < s->n; done++)
            add_pair(&p, s->place[done].id, s->place[done].t_ms);
    }
    for (size_t i = 0; sh->rest && sh->rest->seq == sh->acked.seq && i < sh->rest->n; i++) {
        if (sh->rest->id[i] >= sh->read.row)
            add_pair(&p, sh->rest->id[i],
                     sh->rest->id[i] == sh->read.row ? MAX(sh->rest->t_ms[i], sh->read.t_ms)
                                                     : sh->rest->t_ms[i]);
    }
    r = least_of(&p, sh->acked.seq);
    vec_fini(&p);
    return r;
}

/* ---- files ---- */

static const char *rest_path(const struct feed *f, const struct feed_span *fs, uint32_t shard,
                             struct buf *b)
{
    buf_reset(b);
    buf_printf(b, "%s.%lld.%u.rest", f->path, (long long)fs->min_ms, shard);
    return buf_cstr(b);
}

static void put_rest(struct buf *b, const struct feed_rest *r)
{
    buf_lit(b, REST_MAGIC);
    buf_le32(b, 0);
    buf_le32(b, (uint32_t)r->n);
    buf_le64(b, r->seq);
    buf_bytes(b, r->id, r->n * sizeof *r->id);
    buf_bytes(b, r->t_ms, r->n * sizeof *r->t_ms);
    put_le32(b->p + 8, crc32c(0, b->p + 12, b->n - 12));
}

bool feed_rest_save(struct feed *f, const struct feed_span *fs, uint32_t shard,
                    const struct feed_rest *r, struct err *e)
{
    OWNED(buf_fini) struct buf path = { 0 };
    OWNED(buf_fini) struct buf bytes = { 0 };

    put_rest(&bytes, r);
    LOCKED(&f->rest_mu); // two threads may save; either's table is right
    return file_replace(rest_path(f, fs, shard, &path), buf_view(&bytes), e);
}

static struct feed_rest *read_rest(struct str text, uint64_t seq)
{
    struct feed_rest *r;
    uint64_t n;

    if (text.n < HEAD_BYTES || memcmp(text.p, REST_MAGIC, 8) != 0 ||
        get_le32(text.p + 8) != crc32c(0, text.p + 12, text.n - 12))
        return NULL;
    n = get_le32(text.p + 12);
    if (text.n != HEAD_BYTES + n * ENTRY_BYTES || get_le64(text.p + 16) != seq)
        return NULL;
    r = xcalloc(1, sizeof *r);
    r->seq = seq;
    r->n = n;
    r->id = xmalloc((n + 1) * sizeof *r->id);
    r->t_ms = xmalloc((n + 1) * sizeof *r->t_ms);
    memcpy(r->id, text.p + HEAD_BYTES, n * sizeof *r->id);
    memcpy(r->t_ms, text.p + HEAD_BYTES + n * sizeof *r->id, n * sizeof *r->t_ms);
    for (size_t i = 1; i < n; i++) {
        if (r->id[i] > r->id[i - 1])
            continue;
        feed_rest_free(r);
        return NULL;
    }
    return r;
}

struct feed_rest *feed_rest_load(struct feed *f, const struct feed_span *fs, uint32_t shard,
                                 uint64_t seq)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct err e = { 0 }; // without it the sequence is read again
    struct str text;
    LOCKED(&f->rest_mu);

    if (!file_read(&a, rest_path(f, fs, shard, &path), REST_BYTES_MAX, &text, &e))
        return NULL;
    return read_rest(text, seq);
}
