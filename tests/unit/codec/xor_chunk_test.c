// xor_chunk_test.c - chunks of float samples: known bytes, round trips, and those of a real block.
// SPDX-License-Identifier: Apache-2.0
#include "codec/xor_chunk.h"

#include <math.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/rand.h"
#include "codec/json.h"
#include "model/sample.h"
#include "test.h"

struct point {
    int64_t t_ms;
    double value;
};

static void encode(struct buf *out, const struct point *v, size_t n)
{
    struct xor_writer w;

    xor_writer_begin(&w, out);
    for (size_t i = 0; i < n; i++)
        xor_writer_add(&w, v[i].t_ms, v[i].value);
    xor_writer_end(&w);
}

static void check_decodes(struct str chunk, const struct point *v, size_t n)
{
    struct xor_reader r;
    int64_t t;
    double value;

    CHECK(xor_reader_open(&r, chunk));
    for (size_t i = 0; i < n; i++) {
        CHECK_F(xor_reader_next(&r, &t, &value) == 1, "sample %zu", i);
        CHECK_F(t == v[i].t_ms && double_bits(value) == double_bits(v[i].value), "sample %zu", i);
    }
    CHECK(xor_reader_next(&r, &t, &value) == 0);
}

TEST(xor_chunk_layout_by_hand)
{
    OWNED(buf_fini) struct buf b = { 0 };
    // 1 and 1: 64 bits of 1.0; 3 ms later the same value: varint 3, bit 0; then +4 ms (change 1,
    // 14 bits) and 2.0: window of 11 bits after 1 leading zero.
    struct point v[] = { { 1, 1 }, { 4, 1 }, { 8, 2 } };
    static const uint8_t want[] = { 0x00, 0x03, 0x02, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x03,
                                    // 0 | 10 00000000000001 | 11 00001 001011 11111111111
                                    0x40, 0x00, 0xe1, 0x2f, 0xff, 0x80 };

    encode(&b, v, 3);
    CHECK(b.n >= 12 && memcmp(b.p, want, 12) == 0);
    check_decodes(buf_view(&b), v, 3);
    CHECK_F(b.n == sizeof want && memcmp(b.p, want, sizeof want) == 0, "%02x %02x %02x %02x %02x",
            (uint8_t)b.p[12], (uint8_t)b.p[13], (uint8_t)b.p[14], (uint8_t)b.p[15],
            (uint8_t)b.p[16]);
}

TEST(xor_chunk_takes_every_size_of_time_and_value)
{
    static const int64_t change[] = {
        0,     1,     -1,     8191,    -8191,  8192,   -8192,   8193,          65535,        -65535,
        65536, 65537, 524287, -524287, 524288, 524289, 1 << 30, INT64_MIN / 4, INT64_MAX / 4
    };
    static const double value[] = { 0, -0.0, 1, -1, 0x1p-1074, 1e308, INFINITY, -INFINITY };
    OWNED(buf_fini) struct buf b = { 0 };
    struct point v[400];
    struct rand_state r = rand_seeded(7);
    uint64_t t = (uint64_t)-5000, delta = 15000;

    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        uint64_t x = rand_next(&r);

        delta += (uint64_t)change[x % ARRAY_LEN(change)];
        t += delta;
        v[i].t_ms = (int64_t)t;
        v[i].value = value[x >> 32 & 7];
        if (x >> 40 & 1)
            v[i].value = double_from_bits(rand_next(&r) >> (x >> 48 & 31));
    }
    v[7].value = double_from_bits(SAMPLE_STALE_BITS);
    for (size_t n = 0; n <= ARRAY_LEN(v); n++) {
        buf_reset(&b);
        encode(&b, v, n);
        check_decodes(buf_view(&b), v, n);
    }
}

TEST(xor_chunk_cut_anywhere_fails_and_does_not_overrun)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct point v[50];

    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = (struct point){ (int64_t)(i * i * 1000), (double)i * 1.1 };
    encode(&b, v, ARRAY_LEN(v));
    for (size_t cut = 0; cut < b.n; cut++) {
        struct xor_reader r;
        int64_t t;
        double value;
        int got = -1;

        void *copy = NULL; // on the heap, so that a read behind the end is seen
        OWNED(arena_fini) struct arena a = { 0 };
        copy = arena_copy(&a, b.p, cut);
        if (!xor_reader_open(&r, str_of(copy, cut))) {
            CHECK(cut < 2);
            continue;
        }
        while ((got = xor_reader_next(&r, &t, &value)) > 0)
            ;
        CHECK_F(got == -1, "cut at %zu", cut);
    }
}

/* ---- a block written by Prometheus ---- */

// All samples of the float chunks of a segment file, and that encoding them again gives the file.
static size_t read_segment(struct str file, struct point *out, size_t room)
{
    struct bytes b = bytes_of(file);
    size_t n = 0;

    CHECK(get_be32(file.p) == 0x85BD40DD);
    bytes_take(&b, 8);
    while (bytes_left(&b) > 0) {
        struct str body = bytes_take(&b, (size_t)bytes_varint(&b) + 1);
        struct str sum = bytes_take(&b, 4), chunk = str_sub(body, 1, body.n);
        OWNED(buf_fini) struct buf again = { 0 };
        struct xor_reader r;
        size_t first = n;

        CHECK(!b.bad && crc32c(0, body.p, body.n) == get_be32(sum.p));
        if (body.p[0] != XOR_CHUNK_ENCODING)
            continue;
        CHECK(xor_reader_open(&r, chunk));
        while (n < room && xor_reader_next(&r, &out[n].t_ms, &out[n].value) > 0)
            n++;
        CHECK(r.at == r.n);
        encode(&again, out + first, n - first);
        CHECK_STR(buf_view(&again), chunk);
    }
    return n;
}

static size_t read_expected(struct arena *a, struct str text, struct point *out, size_t room)
{
    size_t n = 0;

    while (text.n) {
        struct json_value *doc;
        struct err e = { 0 };

        CHECK_OK(json_parse(a, str_cut(&text, '\n'), &doc, &e), &e);
        struct json_value *samples = json_get(doc, STR("samples"));
        for (size_t i = 0; samples && i < samples->n && n < room; i++, n++) {
            struct str value = samples->items[i].items[1].s;

            CHECK(json_to_i64(&samples->items[i].items[0], &out[n].t_ms));
            if (str_eq(value, STR("stale")))
                out[n].value = double_from_bits(SAMPLE_STALE_BITS);
            else
                CHECK(num_parse_double(value, &out[n].value));
        }
    }
    return n;
}

TEST(xor_chunk_corpus_block)
{
    enum { POINTS_MAX = 100000 };
    const char *path = test_corpus("tsdb/generated/block_floats/data");
    SKIP_WITHOUT_CORPUS(path);
    OWNED(arena_fini) struct arena a = { 0 };
    struct point *got = arena_array(&a, POINTS_MAX, struct point);
    struct point *want = arena_array(&a, POINTS_MAX, struct point);
    struct file_list blocks;
    struct err e = { 0 };
    struct str text;
    size_t n = 0;

    CHECK_OK(file_list(&a, path, &blocks, &e), &e);
    for (size_t i = 0; i < blocks.n; i++) {
        struct str name = arena_printf(&a, "%s/%.*s/chunks/000001", path, STRF(blocks.v[i]));

        if (!file_exists(name.p))
            continue;
        CHECK_OK(file_read(&a, name.p, 1 << 24, &text, &e), &e);
        n += read_segment(text, got + n, POINTS_MAX - n);
    }
    path = test_corpus("tsdb/generated/block_floats/expected.jsonl");
    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 1 << 24, &text, &e), &e);
    CHECK(read_expected(&a, text, want, POINTS_MAX) == n && n > 1000);
    for (size_t i = 0; i < n; i++) {
        bool same = got[i].value == want[i].value || (isnan(got[i].value) && isnan(want[i].value));

        CHECK_F(got[i].t_ms == want[i].t_ms && same, "sample %zu", i);
        CHECK(sample_is_stale(got[i].value) == sample_is_stale(want[i].value));
    }
}
