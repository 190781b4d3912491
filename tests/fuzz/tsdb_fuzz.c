/*
 * tsdb_fuzz.c - Prometheus's files with any bytes behind right checksums: index, chunks, tombstones, log.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "model/tsdb_block.h"
#include "model/tsdb_chunk.h"
#include "model/tsdb_wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void be32(struct buf *b, uint32_t v)
{
    buf_le32(b, __builtin_bswap32(v));
}

static void be64(struct buf *b, uint64_t v)
{
    be32(b, (uint32_t)(v >> 32));
    be32(b, (uint32_t)v);
}

// An index with this symbol table and these bytes as the only series.
static void build_index(struct buf *b, struct str symbols, struct str series)
{
    size_t at, toc;

    be32(b, 0xbaaad700);
    buf_char(b, 2);
    be32(b, (uint32_t)symbols.n);
    buf_str(b, symbols);
    be32(b, crc32c(0, symbols.p, symbols.n));
    while (b->n % 16)
        buf_char(b, 0);
    at = b->n;
    buf_varint(b, series.n);
    buf_str(b, series);
    be32(b, crc32c(0, series.p, series.n));
    toc = b->n;
    be64(b, 5);
    be64(b, at);
    for (int i = 0; i < 4; i++)
        be64(b, toc);
    be32(b, crc32c(0, b->p + toc, 48));
}

static void run_index(struct arena *a, struct str body)
{
    OWNED(buf_fini) struct buf b = { 0 };
    size_t cut = body.n ? (uint8_t)body.p[0] : 0, at = 0;
    struct tsdb_index x;
    struct tsdb_series s;
    struct err e;

    build_index(&b, str_sub(body, 1, cut), str_sub(body, MAX(cut, (size_t)1), body.n));
    if (!tsdb_index_open(a, buf_view(&b), &x, &e))
        return;
    while (tsdb_series_next(&x, &at, a, &s, &e) > 0)
        for (size_t i = 0; i < s.chunks; i++)
            assert(s.chunk[i].min_ms <= s.chunk[i].max_ms);
}

static void run_histograms(struct arena *a, struct str body)
{
    struct tsdb_histograms *r;
    const struct histogram *h;
    struct err e;
    int64_t t_ms;

    for (uint8_t encoding = 2; encoding <= 3; encoding++)
        if (tsdb_histograms_open(a, encoding, body, &r, &e))
            while (tsdb_histograms_next(r, &t_ms, &h) > 0)
                (void)!histogram_validate(h, &e); // survival is all
}

static bool on_series(void *ctx UNUSED, uint64_t ref UNUSED, struct labels ls, struct err *e UNUSED)
{
    for (size_t i = 1; i < ls.n; i++)
        assert(str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0);
    return true;
}

static bool on_histogram(void *ctx UNUSED, uint64_t ref UNUSED, int64_t t_ms UNUSED,
                         const struct histogram *h, struct err *e)
{
    (void)!histogram_validate(h, e); // survival is all
    return true;
}

static void run_wal(struct arena *a, struct str body)
{
    struct tsdb_wal_visit v = { .series = on_series, .histogram = on_histogram };
    OWNED(buf_fini) struct buf b = { 0 };
    struct str record;
    struct err e;

    (void)!tsdb_wal_record(a, body, &v, &e); // survival is all
    // The same bytes as one fragment of a segment, of the kind and compression that the first byte says.
    if (!body.n || body.n > 30000)
        return;
    buf_char(&b, body.p[0]);
    buf_le16(&b, __builtin_bswap16((uint16_t)(body.n - 1)));
    be32(&b, crc32c(0, body.p + 1, body.n - 1));
    buf_str(&b, str_sub(body, 1, body.n));
    OWNED(tsdb_wal_fini) struct tsdb_wal w = tsdb_wal_of(buf_view(&b));
    while (tsdb_wal_next(&w, &record, &e) > 0)
        (void)!tsdb_wal_record(a, record, &v, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct tsdb_tombstone *t;
    size_t count;
    struct err e;

    if (!n)
        return 0;
    struct str body = { (const char *)p + 1, n - 1 };
    switch (p[0] % 4) {
    case 0:
        run_index(&a, body);
        break;
    case 1:
        run_histograms(&a, body);
        break;
    case 2:
        run_wal(&a, body);
        break;
    default:
        be32(&b, 0x0130ba30);
        buf_char(&b, 1);
        buf_str(&b, body);
        be32(&b, crc32c(0, body.p, body.n));
        if (tsdb_tombstones_read(&a, buf_view(&b), &t, &count, &e))
            for (size_t i = 1; i < count; i++)
                assert(t[i - 1].ref <= t[i].ref);
    }
    return 0;
}
