// tsdb_test.c - Prometheus's log and tombstones byte by byte; what is damaged is named. Blocks: import_e2e.py.
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "codec/compress.h"
#include "model/tsdb_block.h"
#include "model/tsdb_chunk.h"
#include "model/tsdb_wal.h"
#include "test.h"

static void be32(struct buf *b, uint32_t v)
{
    buf_le32(b, __builtin_bswap32(v));
}

static void be64(struct buf *b, uint64_t v)
{
    be32(b, (uint32_t)(v >> 32));
    be32(b, (uint32_t)v);
}

static void put_fragment(struct buf *b, uint8_t type, struct str data)
{
    buf_char(b, (char)type);
    buf_le16(b, __builtin_bswap16((uint16_t)data.n));
    be32(b, crc32c(0, data.p, data.n));
    buf_str(b, data);
}

// What a segment holds: records parted by '|', and the error.
static void read_all(struct str segment, struct buf *out)
{
    OWNED(tsdb_wal_fini) struct tsdb_wal w = tsdb_wal_of(segment);
    struct str record;
    struct err e = { 0 };
    int got;

    while ((got = tsdb_wal_next(&w, &record, &e)) > 0) {
        buf_str(out, record);
        buf_char(out, '|');
    }
    if (got < 0)
        buf_printf(out, "!%s", e.text);
}

static bool holds(struct str segment, const char *want)
{
    OWNED(buf_fini) struct buf got = { 0 };

    read_all(segment, &got);
    return str_eq_c(buf_view(&got), want);
}

TEST(wal_fragments)
{
    OWNED(buf_fini) struct buf b = { 0 }, packed = { 0 };

    put_fragment(&b, 1, STR("whole"));
    put_fragment(&b, 2, STR("fir"));
    put_fragment(&b, 3, STR("st"));
    put_fragment(&b, 4, STR("last"));
    compress_all(COMPRESS_SNAPPY, 0, STR("snappy"), &packed);
    put_fragment(&b, 1 | 8, buf_view(&packed));
    buf_reset(&packed);
    compress_all(COMPRESS_ZSTD, 0, STR("zstd"), &packed);
    put_fragment(&b, 1 | 16, buf_view(&packed));
    CHECK(holds(buf_view(&b), "whole|firstlast|snappy|zstd|"));
    // The rest of a page is empty, the next begins with a record.
    while (b.n < 32768)
        buf_char(&b, 0);
    put_fragment(&b, 1, STR("next"));
    CHECK(holds(buf_view(&b), "whole|firstlast|snappy|zstd|next|"));
    CHECK(holds(str_sub(buf_view(&b), 0, b.n - 1),
                "whole|firstlast|snappy|zstd|!a fragment is cut off at offset 32768"));
    b.p[7] ^= 1;
    CHECK(holds(buf_view(&b), "!wrong checksum of a fragment at offset 0"));
    buf_reset(&b);
    put_fragment(&b, 2, STR("x"));
    CHECK(holds(buf_view(&b), "!the log ends inside a record at offset 8"));
    buf_reset(&b);
    put_fragment(&b, 4, STR("x"));
    CHECK(holds(buf_view(&b), "!a fragment that does not belong here at offset 0"));
}

/* ---- records ---- */

static bool on_series(void *ctx, uint64_t ref, struct labels ls, struct err *e UNUSED)
{
    buf_printf(ctx, "%d", (int)ref);
    buf_labels(ctx, ls);
    buf_char(ctx, ';');
    return true;
}

static bool on_sample(void *ctx, uint64_t ref, int64_t t_ms, double v, struct err *e UNUSED)
{
    buf_printf(ctx, "%d@%d=%g;", (int)ref, (int)t_ms, v);
    return true;
}

static bool on_histogram(void *ctx, uint64_t ref, int64_t t_ms, const struct histogram *h,
                         struct err *e)
{
    buf_printf(ctx, "%d@%d=", (int)ref, (int)t_ms);
    buf_histogram_test(ctx, h);
    return histogram_validate(h, e);
}

static bool on_tombstone(void *ctx, uint64_t ref, int64_t min_ms, int64_t max_ms,
                         struct err *e UNUSED)
{
    buf_printf(ctx, "%d:%d..%d;", (int)ref, (int)min_ms, (int)max_ms);
    return true;
}

static void put_zigzag(struct buf *b, int64_t v)
{
    buf_varint(b, zigzag(v));
}

static void put_histogram(struct buf *b)
{
    buf_char(b, 7);
    be64(b, 9);
    be64(b, 1000);
    put_zigzag(b, 1);
    put_zigzag(b, 5);
    buf_char(b, 2); // no reset
    put_zigzag(b, 1);
    be64(b, double_bits(0.5));
    buf_varint(b, 2);          // zero count
    buf_varint(b, 7);          // count
    be64(b, double_bits(3.5)); // sum
    buf_varint(b, 1);          // spans: offset 0, length 2
    put_zigzag(b, 0);
    buf_varint(b, 2);
    buf_varint(b, 0);
    buf_varint(b, 2); // buckets 2, 3
    put_zigzag(b, 2);
    put_zigzag(b, 1);
    buf_varint(b, 0);
}

TEST(wal_records)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 }, got = { 0 };
    struct tsdb_wal_visit v = { .ctx = &got,
                                .series = on_series,
                                .sample = on_sample,
                                .histogram = on_histogram,
                                .tombstone = on_tombstone };
    struct err e = { 0 };

    buf_char(&b, 1);
    be64(&b, 7);
    buf_lit(&b, "\2\1b\1x\1a\1y"); // two labels, out of order
    CHECK_OK(tsdb_wal_record(&a, buf_view(&b), &v, &e), &e);
    buf_reset(&b);
    buf_char(&b, 2);
    be64(&b, 7);
    be64(&b, 1000);
    put_zigzag(&b, 0);
    put_zigzag(&b, 0);
    be64(&b, double_bits(1.5));
    put_zigzag(&b, -3);
    put_zigzag(&b, -15);
    be64(&b, double_bits(2));
    CHECK_OK(tsdb_wal_record(&a, buf_view(&b), &v, &e), &e);
    for (size_t n = 1; n < b.n; n++) // cut anywhere but between samples
        CHECK(n == 1 || n == 9 || n == 17 || n == 27 ||
              !tsdb_wal_record(&a, str_sub(buf_view(&b), 0, n), &(struct tsdb_wal_visit){ 0 }, &e));
    buf_reset(&b);
    put_histogram(&b);
    CHECK_OK(tsdb_wal_record(&a, buf_view(&b), &v, &e), &e);
    buf_reset(&b);
    buf_char(&b, 3);
    be64(&b, 7);
    put_zigzag(&b, -1);
    put_zigzag(&b, 9);
    CHECK_OK(tsdb_wal_record(&a, buf_view(&b), &v, &e), &e);
    CHECK_F(
        str_starts(buf_view(&got), STR("7{a=\"y\", b=\"x\"};7@1000=1.5;4@985=2;10@1005={{schema:1 "
                                       "count:7 sum:3.5")) &&
            str_ends(buf_view(&got), STR("7:-1..9;")),
        "%.*s", STRF(buf_view(&got)));
}

TEST(tombstones_hide_by_series_and_time)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct tsdb_tombstone *t;
    struct err e = { 0 };
    size_t n;

    be32(&b, 0x0130ba30);
    buf_char(&b, 1);
    buf_varint(&b, 9);
    put_zigzag(&b, 10);
    put_zigzag(&b, 20);
    buf_varint(&b, 3);
    put_zigzag(&b, -5);
    put_zigzag(&b, 5);
    be32(&b, crc32c(0, b.p + 5, b.n - 5));
    CHECK_OK(tsdb_tombstones_read(&a, buf_view(&b), &t, &n, &e), &e);
    CHECK(n == 2 && tsdb_is_deleted(t, n, 3, -5) && tsdb_is_deleted(t, n, 3, 5));
    CHECK(!tsdb_is_deleted(t, n, 3, 6) && !tsdb_is_deleted(t, n, 4, 0) &&
          tsdb_is_deleted(t, n, 9, 20));
    CHECK_OK(tsdb_tombstones_read(&a, STR(""), &t, &n, &e), &e);
    CHECK(n == 0);
    for (size_t i = 1; i < b.n; i++)
        CHECK(!tsdb_tombstones_read(&a, str_sub(buf_view(&b), 0, i), &t, &n, &e));
}
