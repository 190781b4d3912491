// compress_test.c - round trips, limits and torn input of every codec, whole and as streams.
// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"

#include "base/bytes.h"
#include "base/rand.h"
#include "test.h"

static const enum compress_codec all_codecs[] = { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_DEFLATE,
                                                  COMPRESS_ZSTD, COMPRESS_SNAPPY };
static const enum compress_codec stream_codecs[] = { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_DEFLATE,
                                                     COMPRESS_ZSTD };

static void fill_text(struct buf *b, size_t n)
{
    for (size_t i = 0; b->n < n; i++)
        buf_printf(b, "http_requests_total{code=\"%zu\",path=\"/p%zu\"} %zu\n", 200 + i % 7, i % 91,
                   i * 7919);
    b->n = n;
}

TEST(compress_round_trip)
{
    static const size_t sizes[] = { 0, 1, 17, 4096, 300000 };

    FOR_CASES (c, all_codecs) {
        FOR_CASES (n, sizes) {
            OWNED(buf_fini) struct buf in = { 0 }, packed = { 0 }, out = { 0 };
            struct err e = { 0 };

            fill_text(&in, *n);
            compress_all(*c, 0, buf_view(&in), &packed);
            buf_lit(&out, "kept");
            CHECK_OK(compress_inflate(*c, buf_view(&packed), NULL, &out, &e), &e);
            CHECK(out.n == *n + 4 && (*n == 0 || memcmp(out.p + 4, in.p, *n) == 0));
        }
    }
}

TEST(compress_streams_read_what_streams_wrote)
{
    FOR_CASES (c, stream_codecs) {
        for (size_t piece = 1; piece < 100000; piece = piece * 13 + 1) {
            OWNED(buf_fini) struct buf in = { 0 }, packed = { 0 }, out = { 0 };
            OWNED(compress_writer_free) struct compress_writer *w = compress_writer_new(*c, 1);
            OWNED(compress_inflater_free)
            struct compress_inflater *f = compress_inflater_new(*c, NULL);
            struct err e = { 0 };

            fill_text(&in, 50000);
            for (size_t at = 0; at < in.n; at += 7000)
                compress_writer_feed(w, str_sub(buf_view(&in), at, at + 7000),
                                     at % 2 ? COMPRESS_MORE : COMPRESS_FLUSH, &packed);
            compress_writer_feed(w, STR_NONE, COMPRESS_END, &packed);
            for (size_t at = 0; at < packed.n; at += piece)
                CHECK_OK(
                    compress_inflater_feed(f, str_sub(buf_view(&packed), at, at + piece), &out, &e),
                    &e);
            CHECK_OK(compress_inflater_end(f, &e), &e);
            CHECK_STR(buf_view(&out), buf_view(&in));
            // The whole-buffer way reads the same bytes.
            buf_reset(&out);
            CHECK_OK(compress_inflate(*c, buf_view(&packed), NULL, &out, &e), &e);
            CHECK_STR(buf_view(&out), buf_view(&in));
        }
    }
}

TEST(compress_flush_makes_all_readable)
{
    FOR_CASES (c, stream_codecs) {
        OWNED(buf_fini) struct buf packed = { 0 }, out = { 0 };
        OWNED(compress_writer_free) struct compress_writer *w = compress_writer_new(*c, 1);
        OWNED(compress_inflater_free) struct compress_inflater *f = compress_inflater_new(*c, NULL);
        struct err e = { 0 };

        compress_writer_feed(w, STR("first event\n"), COMPRESS_FLUSH, &packed);
        CHECK_OK(compress_inflater_feed(f, buf_view(&packed), &out, &e), &e);
        CHECK_STR(buf_view(&out), STR("first event\n"));
        if (*c != COMPRESS_NONE)
            CHECK(!compress_inflater_end(f, &e) && strstr(e.text, "unexpected EOF"));
    }
}

TEST(compress_cut_at_every_byte_is_corrupt)
{
    OWNED(buf_fini) struct buf in = { 0 };

    fill_text(&in, 2000);
    FOR_CASES (c, all_codecs) {
        OWNED(buf_fini) struct buf packed = { 0 }, out = { 0 };

        if (*c == COMPRESS_NONE)
            continue;
        compress_all(*c, 1, buf_view(&in), &packed);
        for (size_t n = 0; n < packed.n; n++) {
            struct err e = { 0 };

            buf_reset(&out);
            CHECK_F(!compress_inflate(*c, str_of(packed.p, n), NULL, &out, &e), "%s cut at %zu",
                    compress_codec_name(*c), n);
            CHECK(e.kind == ERR_CORRUPT && out.n == 0);
            if (*c == COMPRESS_SNAPPY)
                continue;
            OWNED(compress_inflater_free)
            struct compress_inflater *f = compress_inflater_new(*c, NULL);
            bool ok = compress_inflater_feed(f, str_of(packed.p, n), &out, &e) &&
                      compress_inflater_end(f, &e);
            CHECK(!ok && e.kind == ERR_CORRUPT);
        }
    }
}

static void check_limited(enum compress_codec c, struct str packed, const struct compress_limits *l,
                          const char *text)
{
    OWNED(buf_fini) struct buf out = { 0 };
    struct err e = { 0 };

    CHECK(!compress_inflate(c, packed, l, &out, &e));
    CHECK_F(e.kind == ERR_LIMIT && strstr(e.text, text), "%s: %s", compress_codec_name(c), e.text);
    CHECK(out.n == 0);
    if (c == COMPRESS_SNAPPY)
        return;
    OWNED(compress_inflater_free) struct compress_inflater *f = compress_inflater_new(c, l);
    CHECK(!compress_inflater_feed(f, packed, &out, &e));
    CHECK(e.kind == ERR_LIMIT && strstr(e.text, text));
    CHECK(out.n <= (l->size_max ? l->size_max : 64 << 20) + 1);
}

TEST(compress_limits_hold)
{
    OWNED(buf_fini) struct buf in = { 0 }, zeros = { 0 };

    fill_text(&in, 100000);
    memset(buf_room(&zeros, 8 << 20), 0, 8 << 20);
    zeros.n = 8 << 20;
    FOR_CASES (c, all_codecs) {
        OWNED(buf_fini) struct buf packed = { 0 }, bomb = { 0 }, out = { 0 };
        struct compress_limits exact = { .size_max = in.n };
        struct err e = { 0 };

        if (*c == COMPRESS_NONE)
            continue;
        compress_all(*c, 1, buf_view(&in), &packed);
        CHECK_OK(compress_inflate(*c, buf_view(&packed), &exact, &out, &e), &e);
        check_limited(*c, buf_view(&packed), &(struct compress_limits){ .size_max = in.n - 1 },
                      "larger than 99999 bytes");
        if (*c == COMPRESS_SNAPPY) // its format cannot reach the ratio
            continue;
        compress_all(*c, 1, buf_view(&zeros), &bomb);
        check_limited(*c, buf_view(&bomb), &(struct compress_limits){ .ratio_max = 100 },
                      "more than 100 times");
    }
}

TEST(compress_zstd_of_unknown_size_is_bounded)
{
    OWNED(buf_fini) struct buf zeros = { 0 }, packed = { 0 };
    OWNED(compress_writer_free) struct compress_writer *w = compress_writer_new(COMPRESS_ZSTD, 1);

    memset(buf_room(&zeros, 8 << 20), 0, 8 << 20);
    zeros.n = 8 << 20;
    compress_writer_feed(w, buf_view(&zeros), COMPRESS_MORE, &packed);
    compress_writer_feed(w, STR_NONE, COMPRESS_END, &packed);
    check_limited(COMPRESS_ZSTD, buf_view(&packed), &(struct compress_limits){ .size_max = 5000 },
                  "larger than 5000");
}

TEST(compress_declared_lengths_are_not_believed)
{
    OWNED(buf_fini) struct buf packed = { 0 }, out = { 0 };
    struct err e = { 0 };

    // snappy: says 4 GiB - 1, holds nothing
    CHECK(!compress_inflate(COMPRESS_SNAPPY, STR("\xff\xff\xff\xff\x0f"), NULL, &out, &e));
    CHECK(e.kind == ERR_CORRUPT && out.cap < 1 << 20);
    // gzip: a length at the end that lies is found out
    compress_all(COMPRESS_GZIP, 1, STR("hello hello hello hello"), &packed);
    put_le32(packed.p + packed.n - 4, 0xfffffff0u);
    CHECK(!compress_inflate(COMPRESS_GZIP, buf_view(&packed), NULL, &out, &e));
    CHECK(e.kind == ERR_CORRUPT && out.cap < 1 << 20);
}

TEST(compress_gzip_members_follow_each_other)
{
    OWNED(buf_fini) struct buf packed = { 0 }, out = { 0 };
    OWNED(compress_inflater_free)
    struct compress_inflater *f = compress_inflater_new(COMPRESS_GZIP, NULL);
    struct err e = { 0 };

    compress_all(COMPRESS_GZIP, 1, STR("one "), &packed);
    compress_all(COMPRESS_GZIP, 1, STR("two"), &packed);
    CHECK_OK(compress_inflate(COMPRESS_GZIP, buf_view(&packed), NULL, &out, &e), &e);
    CHECK_STR(buf_view(&out), STR("one two"));
    buf_reset(&out);
    for (size_t i = 0; i < packed.n; i++)
        CHECK_OK(compress_inflater_feed(f, str_of(packed.p + i, 1), &out, &e), &e);
    CHECK_OK(compress_inflater_end(f, &e), &e);
    CHECK_STR(buf_view(&out), STR("one two"));
    buf_lit(&packed, "garbage behind the end");
    CHECK(!compress_inflate(COMPRESS_GZIP, buf_view(&packed), NULL, &out, &e));
    CHECK_STR(str_c(e.text), STR("gzip: invalid header"));
}

TEST(compress_raw_deflate_is_accepted)
{
    OWNED(buf_fini) struct buf packed = { 0 }, out = { 0 };
    struct err e = { 0 };

    compress_all(COMPRESS_DEFLATE, 1, STR("raw raw raw raw"), &packed);
    struct str raw = str_sub(buf_view(&packed), 2, packed.n - 4); // without header and checksum
    CHECK_OK(compress_inflate(COMPRESS_DEFLATE, raw, NULL, &out, &e), &e);
    CHECK_STR(buf_view(&out), STR("raw raw raw raw"));
    OWNED(compress_inflater_free)
    struct compress_inflater *f = compress_inflater_new(COMPRESS_DEFLATE, NULL);
    buf_reset(&out);
    CHECK_OK(compress_inflater_feed(f, raw, &out, &e), &e);
    CHECK_OK(compress_inflater_end(f, &e), &e);
    CHECK_STR(buf_view(&out), STR("raw raw raw raw"));
}

TEST(compress_names)
{
    enum compress_codec c = COMPRESS_SNAPPY;

    CHECK(compress_codec_of(STR("X-GZIP"), &c) && c == COMPRESS_GZIP);
    CHECK(compress_codec_of(STR(""), &c) && c == COMPRESS_NONE);
    CHECK(!compress_codec_of(STR("br"), &c) && c == COMPRESS_NONE);
    CHECK_STR(str_c(compress_codec_name(COMPRESS_ZSTD)), STR("zstd"));
    CHECK_STR(str_c(compress_codec_name(COMPRESS_GZIP)), STR("gzip"));
}
