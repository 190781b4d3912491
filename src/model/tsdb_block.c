/*
 * tsdb_block.c - Prometheus's blocks, index version 2.
 *
 * index: magic baaad700, version; symbols: length (4), count (4), for each length (varint) and bytes,
 * CRC-32C (4); series, each at a multiple of 16: length (varint), labels (varint count, then pairs of
 * varint symbol numbers), chunks (varint count; the first: min zigzag, max − min, ref; each further one:
 * min − last max, max − min, ref − last ref zigzag), CRC-32C; other sections; at the end six offsets (8
 * each): symbols, series, label indices, their table, postings, their table, and a CRC-32C.
 * chunks/000001: magic 85bd40dd, version, 3 zero bytes; chunks: length (varint), encoding (1), data,
 * CRC-32C of encoding and data. A ref is file number − 1 (upper 32 bits) and offset.
 * tombstones: magic 0130ba30, version 1, entries ref (varint), min, max (zigzag), CRC-32C of the entries.
 * Fixed numbers are big-endian.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/tsdb_block.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/vec.h"

enum {
    INDEX_MAGIC_OFFSET = 5, // of what follows magic and version
    TOC_BYTES = 6 * 8 + 4,
    CHUNKS_HEAD = 8,
    TOMBSTONES_HEAD = 5,
    SERIES_ALIGN = 16,
};
#define INDEX_MAGIC      0xbaaad700u
#define CHUNKS_MAGIC     0x85bd40ddu
#define TOMBSTONES_MAGIC 0x0130ba30u

static bool damaged(struct err *e, size_t offset, const char *what)
{
    return err_at(e, (struct pos){ 0, 0, offset }, ERR_CORRUPT, "%s at offset %zu", what, offset);
}

static uint64_t be64(const char *p)
{
    return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static bool crc_is(struct str s, const char *crc)
{
    return crc32c(0, s.p, s.n) == get_be32(crc);
}

/* ---- index ---- */

static bool read_symbols(struct arena *a, struct tsdb_index *x, uint64_t at, struct err *e)
{
    if (at < INDEX_MAGIC_OFFSET || at > x->file.n - TOC_BYTES - 8)
        return damaged(e, (size_t)at, "no symbol table");
    uint32_t n = get_be32(x->file.p + at);
    if (n < 4 || n > x->file.n - TOC_BYTES - at - 8)
        return damaged(e, (size_t)at, "bad length of the symbol table");
    struct str table = str_of(x->file.p + at + 4, n);
    if (!crc_is(table, table.p + n))
        return damaged(e, (size_t)at, "wrong checksum of the symbol table");
    uint32_t count = get_be32(table.p);
    if (count > n) // each takes a byte at least
        return damaged(e, (size_t)at, "too many symbols");
    struct str *v = arena_array(a, count, struct str);
    struct bytes r = bytes_of(str_sub(table, 4, table.n));
    for (uint32_t i = 0; i < count; i++)
        v[i] = bytes_take(&r, bytes_varint(&r));
    if (r.bad)
        return damaged(e, (size_t)at, "the symbol table is cut off");
    x->symbol = v;
    x->symbols = count;
    return true;
}

bool tsdb_index_open(struct arena *a, struct str file, struct tsdb_index *out, struct err *e)
{
    struct tsdb_index x = { .file = file };

    if (file.n < INDEX_MAGIC_OFFSET + TOC_BYTES || get_be32(file.p) != INDEX_MAGIC)
        return damaged(e, 0, "not an index of Prometheus's TSDB");
    if (file.p[4] != 2)
        return err_set(e, ERR_UNSUPPORTED, "index version %d: only version 2 can be read",
                       file.p[4]);
    size_t toc = file.n - TOC_BYTES;
    if (!crc_is(str_of(file.p + toc, TOC_BYTES - 4), file.p + file.n - 4))
        return damaged(e, toc, "wrong checksum of the table of contents");
    uint64_t offset[6], end = toc;
    for (int i = 0; i < 6; i++)
        offset[i] = be64(file.p + toc + i * 8);
    for (int i = 0; i < 6; i++)
        if (offset[i] > offset[1] && offset[i] < end)
            end = offset[i];
    if (offset[1] < INDEX_MAGIC_OFFSET || offset[1] > toc)
        return damaged(e, toc + 8, "no series");
    x.series_from = (size_t)offset[1];
    x.series_to = (size_t)end;
    if (!read_symbols(a, &x, offset[0], e))
        return false;
    *out = x;
    return true;
}

static bool read_labels(const struct tsdb_index *x, struct bytes *r, struct arena *a,
                        struct labels *out)
{
    uint64_t n = bytes_varint(r);

    if (n > TSDB_LABELS_MAX)
        return false;
    struct label *v = arena_array(a, n, struct label);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t name = bytes_varint(r), value = bytes_varint(r);

        if (r->bad || name >= x->symbols || value >= x->symbols)
            return false;
        v[i] = (struct label){ x->symbol[name], x->symbol[value] };
        if (i && str_cmp(v[i - 1].name, v[i].name) >= 0)
            return false;
    }
    *out = (struct labels){ v, (size_t)n };
    return true;
}

static bool read_chunk_refs(struct bytes *r, struct arena *a, struct tsdb_series *out)
{
    uint64_t n = bytes_varint(r);
    int64_t t = 0;
    uint64_t ref = 0;

    if (r->bad || n > bytes_left(r)) // each takes three bytes at least
        return false;
    struct tsdb_chunk_ref *v = arena_array(a, n, struct tsdb_chunk_ref);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t from = bytes_varint(r), length = bytes_varint(r), next = bytes_varint(r);
        int64_t step = i ? (int64_t)from : unzigzag(from);

        if (r->bad || __builtin_add_overflow(t, step, &v[i].min_ms) ||
            __builtin_add_overflow(v[i].min_ms, (int64_t)length, &v[i].max_ms) ||
            v[i].max_ms < v[i].min_ms)
            return false;
        t = v[i].max_ms;
        ref = i ? ref + (uint64_t)unzigzag(next) : next;
        v[i].ref = ref;
    }
    out->chunk = v;
    out->chunks = (size_t)n;
    return true;
}

int tsdb_series_next(const struct tsdb_index *x, size_t *at, struct arena *a,
                     struct tsdb_series *out, struct err *e)
{
    size_t p = *at ? *at : x->series_from;

    p = (p + SERIES_ALIGN - 1) & ~(size_t)(SERIES_ALIGN - 1);
    while (p < x->series_to && x->file.p[p] == 0) // padding before the next section
        p += SERIES_ALIGN;
    if (p >= x->series_to)
        return 0;
    struct bytes r = bytes_of(str_sub(x->file, p, x->series_to));
    struct str body = bytes_take(&r, bytes_varint(&r)), crc = bytes_take(&r, 4);
    if (r.bad || !crc_is(body, crc.p)) {
        damaged(e, p, "a damaged series");
        return -1;
    }
    struct tsdb_series s = { .ref = p / SERIES_ALIGN };
    struct bytes b = bytes_of(body);
    if (!read_labels(x, &b, a, &s.labels) || !read_chunk_refs(&b, a, &s)) {
        damaged(e, p, "a malformed series");
        return -1;
    }
    *at = (size_t)((const char *)r.p - x->file.p);
    *out = s;
    return 1;
}

/* ---- chunks ---- */

bool tsdb_chunk_get(const struct tsdb_chunks *c, uint64_t ref, struct tsdb_chunk *out,
                    struct err *e)
{
    size_t number = (size_t)(ref >> 32), at = (size_t)(uint32_t)ref;

    if (number >= c->n)
        return err_set(e, ERR_CORRUPT, "a chunk is said to be in file %zu of %zu", number + 1,
                       c->n);
    struct str file = c->file[number];
    if (file.n < CHUNKS_HEAD || get_be32(file.p) != CHUNKS_MAGIC || file.p[4] != 1)
        return err_set(e, ERR_CORRUPT, "chunks/%06zu is no file of chunks", number + 1);
    struct bytes r = bytes_of(str_sub(file, MAX(at, (size_t)CHUNKS_HEAD), file.n));
    uint64_t n = bytes_varint(&r);
    struct str body = n < UINT32_MAX ? bytes_take(&r, (size_t)n + 1) : STR_NONE;
    struct str crc = bytes_take(&r, 4);
    if (at < CHUNKS_HEAD || r.bad || !body.n || !crc_is(body, crc.p))
        return damaged(e, at, "a damaged chunk");
    *out = (struct tsdb_chunk){ (uint8_t)body.p[0], str_sub(body, 1, body.n) };
    return true;
}

/* ---- tombstones ---- */

static int tombstone_order(const void *a, const void *b)
{
    const struct tsdb_tombstone *x = a, *y = b;

    return (x->ref > y->ref) - (x->ref < y->ref);
}

bool tsdb_tombstones_read(struct arena *a, struct str file, struct tsdb_tombstone **out, size_t *n,
                          struct err *e)
{
    VEC(struct tsdb_tombstone) v = { 0 };

    *out = NULL;
    *n = 0;
    if (!file.n)
        return true;
    if (file.n < TOMBSTONES_HEAD + 4 || get_be32(file.p) != TOMBSTONES_MAGIC || file.p[4] != 1)
        return damaged(e, 0, "not a file of tombstones");
    struct str body = str_sub(file, TOMBSTONES_HEAD, file.n - 4);
    if (!crc_is(body, file.p + file.n - 4))
        return damaged(e, file.n - 4, "wrong checksum of the tombstones");
    struct bytes r = bytes_of(body);
    while (bytes_left(&r)) {
        struct tsdb_tombstone t = { .ref = bytes_varint(&r) };

        t.min_ms = unzigzag(bytes_varint(&r));
        t.max_ms = unzigzag(bytes_varint(&r));
        if (r.bad)
            return damaged(e, file.n - 4, "the tombstones are cut off");
        *vec_push_in(a, &v) = t;
    }
    if (v.n)
        qsort(v.v, v.n, sizeof *v.v, tombstone_order);
    *out = v.v;
    *n = v.n;
    return true;
}

bool tsdb_is_deleted(const struct tsdb_tombstone *v, size_t n, uint64_t ref, int64_t t_ms)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (v[mid].ref < ref)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n && v[lo].ref == ref; lo++)
        if (t_ms >= v[lo].min_ms && t_ms <= v[lo].max_ms)
            return true;
    return false;
}
