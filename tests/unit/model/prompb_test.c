// prompb_test.c - requests of remote write and remote read: decoding, keys, limits, streamed answers.
// SPDX-License-Identifier: Apache-2.0
#include "model/prompb.h"

#include "base/hash.h"
#include "codec/xor_chunk.h"
#include "histogram_test.h"
#include "test.h"

#define L(n, v)                  \
    {                            \
        { "" n, sizeof(n) - 1 }, \
        {                        \
            "" v, sizeof(v) - 1  \
        }                        \
    }

static const struct label one_label[] = { L("__name__", "up"), L("job", "a") };
static const struct labels one = { one_label, 2 };

static struct str bytes_of_hex(struct arena *a, const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *p = arena_alloc(a, n + 1);

    for (size_t i = 0; i < n * 2; i++) {
        int digit = hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10;

        p[i / 2] = (char)(p[i / 2] << 4 | digit);
    }
    return str_of(p, n);
}

/* ---- remote write 1.0 ---- */

// {__name__="up", job="a"}: 1.5 at 1000 and 0 at 2000; metadata: up is a gauge, help h.
static const char known_1[] = "0a2d0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161120c09"
                              "000000000000f83f10e807120310d00f1a09080212027570220168";

TEST(prompb_write_1_of_known_bytes)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct str body = bytes_of_hex(&a, known_1);
    struct prompb_series s;
    struct metric_meta meta;
    struct labels ls;
    struct err e = { 0 };

    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_1, body, &e), &e);
    CHECK_F(prompb_write_next(&w, &s, &e) == 1, "%s", e.text);
    CHECK_OK(prompb_series_labels(&w, &s, &a, &ls, &e), &e);
    CHECK(labels_equal(ls, one));
    CHECK(s.samples == 2 && s.sample[0].t_ms == 1000 && s.sample[0].value == 1.5);
    CHECK(s.sample[1].t_ms == 2000 && s.sample[1].value == 0 && s.sample[1].start_ms == 0);
    CHECK(s.labels.n == 26);
    CHECK(prompb_write_next(&w, &s, &e) == 0);
    CHECK_F(prompb_write_next_meta(&w, &meta, &e) == 1, "%s", e.text);
    CHECK(str_eq(meta.name, STR("up")) && meta.type == TYPE_GAUGE && str_eq(meta.help, STR("h")));
    CHECK(prompb_write_next_meta(&w, &meta, &e) == 0);
}

// What one TimeSeries of the field numbers of 1.0 says of itself when decoded.
static void first_series(struct prompb_write *w, struct str body, struct prompb_series *s)
{
    struct err e = { 0 };

    CHECK_OK(prompb_write_begin(w, PROMPB_WRITE_1, body, &e), &e);
    CHECK_F(prompb_write_next(w, s, &e) == 1, "%s", e.text);
}

static const struct test_histogram exponential = {
    .schema = 3,
    .count = 21,
    .sum = -2.5,
    .zero_threshold = 0.001,
    .zero_count = 2,
    .reset = HIST_RESET_GAUGE,
    .pos = { { -4, 3 }, { -3, 1 }, { 7, 4 }, { END, 0 } },
    .neg = { { 0, 11 }, { END, 0 } },
};
static const struct test_histogram bounded = {
    .schema = HIST_SCHEMA_CUSTOM,
    .count = 6.5,
    .sum = 9,
    .pos = { { 0, 1.5 }, { 2, 2 }, { 3, 3 }, { END, 0 } },
    .neg = { { END, 0 } },
    .custom = { -1, 2, 5 },
    .custom_n = 3,
};

TEST(prompb_series_round_trip)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct histogram *whole = histogram_copy(&a, test_histogram(&a, &exponential));
    const struct histogram *hist[4] = { [1] = whole, [3] = test_histogram(&a, &bounded) };
    int64_t t[] = { 1, -2, 3, INT64_MAX };
    double value[] = { double_from_bits(SAMPLE_STALE_BITS), 0, -0.0, 0 };
    struct series_samples in = { .t_ms = t, .value = value, .hist = hist, .n = 4 };
    struct prompb_histogram h;
    struct prompb_series s;
    struct labels ls;
    struct err e = { 0 };

    whole->integer = true;
    prompb_put_series(&b, 1, one, &in);
    first_series(&w, buf_view(&b), &s);
    CHECK_OK(prompb_series_labels(&w, &s, &a, &ls, &e), &e);
    CHECK(labels_equal(ls, one));
    CHECK(s.samples == 2 && s.histograms == 2);
    CHECK(s.sample[0].t_ms == 1 && sample_is_stale(s.sample[0].value));
    CHECK(s.sample[1].t_ms == 3 && double_bits(s.sample[1].value) == double_bits(-0.0));
    CHECK_OK(prompb_histogram(&a, s.histogram[0], &h, &e), &e);
    CHECK(h.t_ms == -2 && h.h->integer && histogram_equal(h.h, whole));
    CHECK(h.h->reset == HIST_RESET_GAUGE && h.start_ms == 0);
    CHECK_OK(histogram_validate(h.h, &e), &e);
    CHECK_OK(prompb_histogram(&a, s.histogram[1], &h, &e), &e);
    CHECK(h.t_ms == INT64_MAX && !h.h->integer && histogram_equal(h.h, hist[3]));
    CHECK(prompb_write_next(&w, &s, &e) == 0);
}

TEST(prompb_series_key_follows_the_bytes_of_labels)
{
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    OWNED(buf_fini) struct buf b = { 0 }, c = { 0 };
    struct label other[] = { L("__name__", "up"), L("job", "b") };
    int64_t t = 1;
    double value = 1;
    struct series_samples in = { .t_ms = &t, .value = &value, .n = 1 };
    struct prompb_series s;
    struct hash128 x, y;

    prompb_put_series(&b, 1, one, &in);
    first_series(&w, buf_view(&b), &s);
    CHECK(prompb_series_key(&w, &s, 7, &x));
    t = 99; // a later request of the same series
    prompb_put_series(&c, 1, one, &in);
    first_series(&w, buf_view(&c), &s);
    CHECK(prompb_series_key(&w, &s, 7, &y) && x.lo == y.lo && x.hi == y.hi);
    CHECK(prompb_series_key(&w, &s, 8, &y) && x.lo != y.lo);
    buf_reset(&c);
    prompb_put_series(&c, 1, (struct labels){ other, 2 }, &in);
    first_series(&w, buf_view(&c), &s);
    CHECK(prompb_series_key(&w, &s, 7, &y) && x.lo != y.lo);
    buf_reset(&c); // no labels: no key
    prompb_put_series(&c, 1, (struct labels){ 0 }, &in);
    first_series(&w, buf_view(&c), &s);
    CHECK(!prompb_series_key(&w, &s, 7, &y));
}

static void put_label(struct buf *b, const char *name, const char *value)
{
    size_t mark = proto_begin(b, 1);

    proto_put_bytes(b, 1, str_c(name));
    proto_put_bytes(b, 2, str_c(value));
    proto_end(b, mark);
}

TEST(prompb_labels_in_any_order_and_apart)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct prompb_series s;
    struct hash128 key;
    struct labels ls;
    struct err e = { 0 };
    size_t mark = proto_begin(&b, 1);

    put_label(&b, "job", "a");
    put_label(&b, "empty", "");
    proto_put_bytes(&b, 2, STR_NONE); // a sample of zeros between the labels
    put_label(&b, "__name__", "up");
    proto_end(&b, mark);
    first_series(&w, buf_view(&b), &s);
    CHECK(s.samples == 1 && !prompb_series_key(&w, &s, 7, &key));
    CHECK_OK(prompb_series_labels(&w, &s, &a, &ls, &e), &e);
    CHECK(labels_equal(ls, one));

    buf_reset(&b);
    mark = proto_begin(&b, 1);
    put_label(&b, "job", "a");
    put_label(&b, "job", "b");
    proto_end(&b, mark);
    first_series(&w, buf_view(&b), &s);
    CHECK(!prompb_series_labels(&w, &s, &a, &ls, &e) && e.kind == ERR_CONFLICT);
    CHECK(strstr(e.text, "duplicated label job"));
}

TEST(prompb_write_1_exemplars)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct prompb_series s;
    struct exemplar x;
    struct err e = { 0 };
    size_t mark = proto_begin(&b, 1), inner = proto_begin(&b, 3);

    put_label(&b, "trace_id", "t");
    proto_put_double(&b, 2, 4.5);
    proto_put_varint(&b, 3, 77);
    proto_end(&b, inner);
    proto_end(&b, mark);
    first_series(&w, buf_view(&b), &s);
    CHECK(s.exemplars == 1);
    CHECK_OK(prompb_exemplar(&w, s.exemplar[0], &a, &x, &e), &e);
    CHECK(x.value == 4.5 && x.t_ms == 77 && x.labels.n == 1);
    CHECK_STR(x.labels.v[0].value, STR("t"));
}

/* ---- remote write 2.0 ---- */

// Symbols "", __name__, up, job, a, "help me", s; labels as above; 1.5 at 1000 since 100; an
// exemplar {job="up"} 2 at 5; a counter with help and unit.
static const char known_2[] =
    "220022085f5f6e616d655f5f2202757022036a6f62220161220768656c70206d652201"
    "732a2f0a0401020304120e09000000000000f83f10e8071864220f0a020302110000"
    "00000000004018052a06080118052006";

TEST(prompb_write_2_of_known_bytes)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct str body = bytes_of_hex(&a, known_2);
    struct metric_meta meta = { 0 };
    struct prompb_series s;
    struct exemplar x;
    struct labels ls;
    struct err e = { 0 };

    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_2, body, &e), &e);
    CHECK_F(prompb_write_next(&w, &s, &e) == 1, "%s", e.text);
    CHECK_OK(prompb_series_labels(&w, &s, &a, &ls, &e), &e);
    CHECK(labels_equal(ls, one));
    CHECK(s.samples == 1 && s.sample[0].start_ms == 100 && s.sample[0].value == 1.5);
    CHECK(s.exemplars == 1 && s.histograms == 0);
    CHECK_OK(prompb_exemplar(&w, s.exemplar[0], &a, &x, &e), &e);
    CHECK(x.value == 2 && x.t_ms == 5 && str_eq(x.labels.v[0].value, STR("up")));
    CHECK_OK(prompb_series_meta(&w, &s, &meta, &e), &e);
    CHECK(meta.type == TYPE_COUNTER && str_eq(meta.help, STR("help me")));
    CHECK_STR(meta.unit, STR("s"));
    CHECK(prompb_write_next(&w, &s, &e) == 0);
    CHECK(prompb_write_next_meta(&w, &meta, &e) == 0);
    // Taken for the other version, a request is empty.
    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_1, body, &e), &e);
    CHECK(prompb_write_next(&w, &s, &e) == 0);
}

// {__name__="up", job="a"} by symbols in one of two orders, or broken.
static void put_request_2(struct buf *b, const char *const *symbols, size_t n, const uint8_t *refs,
                          size_t refs_n)
{
    size_t mark;

    for (size_t i = 0; i < n; i++)
        proto_put_bytes(b, 4, str_c(symbols[i]));
    mark = proto_begin(b, 5);
    proto_put_bytes(b, 1, str_of((const char *)refs, refs_n));
    proto_end(b, mark);
}

TEST(prompb_series_key_of_2_does_not_depend_on_the_symbol_table)
{
    static const char *const symbols[] = { "", "__name__", "up", "job", "a" };
    static const char *const shuffled[] = { "", "a", "up", "job", "x", "__name__" };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    OWNED(buf_fini) struct buf b = { 0 }, c = { 0 };
    struct prompb_series s;
    struct hash128 x, y;
    struct err e = { 0 };

    put_request_2(&b, symbols, 5, (const uint8_t[]){ 1, 2, 3, 4 }, 4);
    put_request_2(&c, shuffled, 6, (const uint8_t[]){ 5, 2, 3, 1 }, 4);
    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_2, buf_view(&b), &e), &e);
    CHECK(prompb_write_next(&w, &s, &e) == 1 && prompb_series_key(&w, &s, 7, &x));
    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_2, buf_view(&c), &e), &e);
    CHECK(prompb_write_next(&w, &s, &e) == 1 && prompb_series_key(&w, &s, 7, &y));
    CHECK(x.lo == y.lo && x.hi == y.hi);
    buf_reset(&c);
    put_request_2(&c, shuffled, 6, (const uint8_t[]){ 5, 2, 3, 4 }, 4);
    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_2, buf_view(&c), &e), &e);
    CHECK(prompb_write_next(&w, &s, &e) == 1 && prompb_series_key(&w, &s, 7, &y) && x.lo != y.lo);
}

TEST(prompb_write_2_refuses_bad_references)
{
    static const char *const symbols[] = { "", "a", "b" };
    static const struct {
        uint8_t refs[4];
        size_t n;
        const char *err;
    } cases[] = {
        { { 1, 9 }, 2, "labelRefs 1 (name) = 9 (value) outside of symbols table (size 3)" },
        { { 3, 1 }, 2, "outside of symbols table" },
        { { 1, 2, 1 }, 3, "invalid labelRefs length 3" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(prompb_write_fini) struct prompb_write w = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct prompb_series s;
        struct labels ls;
        struct err e = { 0 };

        put_request_2(&b, symbols, 3, t->refs, t->n);
        CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_2, buf_view(&b), &e), &e);
        CHECK(prompb_write_next(&w, &s, &e) == 1);
        CHECK(!prompb_series_labels(&w, &s, &a, &ls, &e) && e.kind == ERR_NOT_FOUND);
        CHECK_F(strstr(e.text, t->err), "%s", e.text);
    }
}

/* ---- hostile ---- */

// Walks over all of a request; −1: malformed somewhere.
static int walk(enum prompb_version version, struct str body)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct prompb_histogram h;
    struct prompb_series s;
    struct metric_meta meta;
    struct exemplar x;
    struct labels ls;
    struct err e = { 0 };
    int got, bad = 0;

    if (!prompb_write_begin(&w, version, body, &e))
        return -1;
    while ((got = prompb_write_next(&w, &s, &e)) > 0) {
        bad |= !prompb_series_labels(&w, &s, &a, &ls, &e);
        for (size_t i = 0; i < s.histograms; i++)
            bad |= !prompb_histogram(&a, s.histogram[i], &h, &e);
        for (size_t i = 0; i < s.exemplars; i++)
            bad |= !prompb_exemplar(&w, s.exemplar[i], &a, &x, &e);
    }
    while (prompb_write_next_meta(&w, &meta, &e) > 0)
        ;
    return got < 0 || bad ? -1 : 0;
}

TEST(prompb_requests_cut_anywhere_are_refused_without_overrun)
{
    static const struct {
        const char *hex;
        enum prompb_version version;
    } cases[] = { { known_1, PROMPB_WRITE_1 }, { known_2, PROMPB_WRITE_2 } };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena all = { 0 };
        struct str body = bytes_of_hex(&all, t->hex);
        size_t refused = 0;

        CHECK(walk(t->version, body) == 0);
        for (size_t n = 0; n < body.n; n++) {
            OWNED(arena_fini) struct arena a = { 0 };

            refused += walk(t->version, str_of(arena_copy(&a, body.p, n), n)) < 0;
        }
        CHECK_F(refused > body.n * 3 / 4, "%zu of %zu", refused, body.n);
    }
}

TEST(prompb_malformed_requests_name_the_offset)
{
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct prompb_series s;
    struct err e = { 0 };
    struct str body = STR("\x0a\x02\x12\x00\x0a\x04\x12\x02\x09\x00");

    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_1, body, &e), &e);
    CHECK(prompb_write_next(&w, &s, &e) == 1 && s.samples == 1);
    CHECK(prompb_write_next(&w, &s, &e) == -1);
    CHECK(e.kind == ERR_INVALID && e.pos.offset == 6 && strstr(e.text, "TimeSeries at byte 6"));
}

TEST(prompb_histogram_limits)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct prompb_histogram h;
    struct err e = { 0 };

    for (int i = 0; i <= HIST_SPANS_MAX; i++)
        proto_put_bytes(&b, 11, STR_NONE);
    CHECK(!prompb_histogram(&a, buf_view(&b), &h, &e) && e.kind == ERR_LIMIT);
    buf_reset(&b);
    size_t mark = proto_begin(&b, 12);
    for (int i = 0; i <= HIST_BUCKETS_MAX; i++)
        buf_char(&b, 0);
    proto_end(&b, mark);
    CHECK(!prompb_histogram(&a, buf_view(&b), &h, &e) && e.kind == ERR_LIMIT);
    CHECK(!prompb_histogram(&a, STR("\x62\x01\x80"), &h, &e) && e.kind == ERR_INVALID);
    CHECK(!prompb_histogram(&a, STR("\x6a\x07\x00\x00\x00\x00\x00\x00\x00"), &h, &e));
    CHECK(!prompb_histogram(&a, STR("\x58\x00"), &h, &e)); // a span that is a number
    CHECK_OK(prompb_histogram(&a, STR_NONE, &h, &e), &e);
    CHECK(h.h->integer && h.h->count == 0 && h.h->pos.buckets == 0);
}

TEST(prompb_histogram_reduces_reserved_schemas)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 }, text = { 0 };
    struct prompb_histogram h;
    struct err e = { 0 };
    size_t mark;

    proto_put_varint(&b, 1, 6);
    proto_put_sint(&b, 4, 10);
    mark = proto_begin(&b, 11);
    proto_put_sint(&b, 1, 1);
    proto_put_varint(&b, 2, 6);
    proto_end(&b, mark);
    proto_put_bytes(&b, 12, STR("\x02\x00\x00\x00\x00\x00")); // six times 1, as deltas
    CHECK_OK(prompb_histogram(&a, buf_view(&b), &h, &e), &e);
    buf_histogram_test(&text, h.h);
    CHECK_STR(buf_view(&text), STR("{{schema:8 count:6 offset:1 buckets:[4 2]}}"));
    CHECK(h.h->integer);
    proto_put_bytes(&b, 12, STR("\x00")); // one bucket more than the span
    CHECK(!prompb_histogram(&a, buf_view(&b), &h, &e) && strstr(e.text, "spans need 6 buckets"));
}

/* ---- remote read ---- */

static void put_query(struct buf *b)
{
    size_t query = proto_begin(b, 1), inner;

    proto_put_varint(b, 1, 1000);
    proto_put_varint(b, 2, (uint64_t)-5);
    inner = proto_begin(b, 3);
    proto_put_varint(b, 1, 2);
    proto_put_bytes(b, 2, STR("job"));
    proto_put_bytes(b, 3, STR("a.*"));
    proto_end(b, inner);
    inner = proto_begin(b, 4);
    proto_put_varint(b, 1, 15000);
    proto_put_bytes(b, 2, STR("rate"));
    proto_put_varint(b, 3, 900);
    proto_put_varint(b, 4, 2000);
    proto_put_bytes(b, 5, STR("instance"));
    proto_put_varint(b, 6, 1);
    proto_put_varint(b, 7, 60000);
    proto_end(b, inner);
    proto_end(b, query);
}

TEST(prompb_read_request_decodes)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct prompb_read_request r;
    struct err e = { 0 };

    put_query(&b);
    CHECK_OK(prompb_read_request(&a, buf_view(&b), &r, &e), &e);
    const struct prompb_query *q = r.query;
    CHECK(r.queries == 1 && !r.streamed && q->min_ms == 1000 && q->max_ms == -5);
    CHECK(q->matcher_count == 1 && q->matchers[0].op == MATCH_RE && !q->matchers[0].re);
    CHECK_STR(q->matchers[0].value, STR("a.*"));
    CHECK(q->step_ms == 15000 && q->range_ms == 60000 && q->by && q->hint_min_ms == 900);
    CHECK(q->hint_max_ms == 2000 && q->grouping_count == 1 && str_eq(q->func, STR("rate")));
    proto_put_varint(&b, 2, 9);
    CHECK(!prompb_read_request(&a, buf_view(&b), &r, &e) && e.kind == ERR_INVALID);
    proto_put_bytes(&b, 2, STR("\x01\x00")); // packed: 9 is passed over for the stream
    CHECK_OK(prompb_read_request(&a, buf_view(&b), &r, &e), &e);
    CHECK(r.streamed);
    size_t refused = 0;
    for (size_t n = 1; n < b.n; n++) {
        OWNED(arena_fini) struct arena cut = { 0 };

        refused += !prompb_read_request(&cut, str_of(arena_copy(&cut, b.p, n), n), &r, &e);
    }
    CHECK(refused > b.n / 2);
    CHECK(!prompb_read_request(&a, STR("\x0a\x04\x1a\x02\x08\x04"), &r, &e));
    CHECK(strstr(e.text, "invalid matcher type 4"));
}

// The samples of all chunks of a ChunkedSeries, checked against what went in.
static size_t read_chunks(struct str series, const struct series_samples *want, size_t at)
{
    struct proto c = proto_of(series), d;
    struct proto_field f, g;

    while (proto_next(&c, &f) > 0) {
        struct str data = STR_NONE;
        struct xor_reader x;
        int64_t t, min = 0, max = 0;
        double value;

        if (proto_number(&f) != 2)
            continue;
        d = proto_of(f.bytes);
        while (proto_next(&d, &g) > 0) {
            min = proto_number(&g) == 1 ? (int64_t)g.value : min;
            max = proto_number(&g) == 2 ? (int64_t)g.value : max;
            data = proto_number(&g) == 4 ? g.bytes : data;
            CHECK(proto_number(&g) != 3 || g.value == XOR_CHUNK_ENCODING);
        }
        CHECK(xor_reader_open(&x, data) && x.n <= XOR_CHUNK_SAMPLES_USUAL);
        CHECK(min == want->t_ms[at] && max == want->t_ms[at + x.n - 1]);
        while (xor_reader_next(&x, &t, &value) > 0) {
            CHECK(t == want->t_ms[at] && value == want->value[at]);
            at++;
        }
    }
    return at;
}

TEST(prompb_put_chunked_streams_frames)
{
    enum { N = 1000 };
    static int64_t t[N];
    static double value[N];
    OWNED(buf_fini) struct buf b = { 0 };
    struct series_samples in = { .t_ms = t, .value = value, .n = N };
    struct err e = { 0 };
    size_t at = 0, frames = 0;

    for (int i = 0; i < N; i++) {
        t[i] = i * 15000;
        value[i] = i * 0.37;
    }
    CHECK_OK(prompb_put_chunked(&b, 3, one, &in, 2000, &e), &e);
    struct proto c = proto_of(buf_view(&b));
    while (c.p < c.end) {
        struct proto_field f;
        uint64_t n;

        CHECK(proto_varint(&c, &n) && n + 4 <= (uint64_t)(c.end - c.p));
        CHECK(get_be32(c.p) == crc32c(0, c.p + 4, n));
        struct proto frame = proto_of(str_of((const char *)c.p + 4, n));
        CHECK(proto_next(&frame, &f) == 1 && f.key == PROTO_KEY(1, PROTO_BYTES));
        at = read_chunks(f.bytes, &in, at);
        CHECK(proto_next(&frame, &f) == 1 && f.key == PROTO_KEY(2, PROTO_VARINT) && f.value == 3);
        c.p += 4 + n;
        frames++;
    }
    CHECK(at == N && frames > 1);
    const struct histogram *hist[N] = { 0 };
    in.hist = hist;
    CHECK_OK(prompb_put_chunked(&b, 0, one, &in, 0, &e), &e);
    struct histogram h = { 0 };
    hist[5] = &h;
    size_t before = b.n;
    CHECK(!prompb_put_chunked(&b, 0, one, &in, 0, &e) && e.kind == ERR_UNSUPPORTED);
    CHECK(b.n == before);
}

TEST(blocks_hold_the_same_series)
{
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct prompb_series block[PROMPB_BLOCK];
    int64_t t[] = { 1700000000000, 5, -5, INT64_MAX }; // six bytes, one, ten, nine
    double value[] = { 1, 2, 3, 4 };
    struct err e = { 0 };
    int got, sum = 0;

    for (uint32_t i = 0; i < 100; i++) {
        char name[] = { (char)('a' + i % 26), 0 };
        struct label l = { LABEL_NAME, str_c(name) };
        prompb_put_series(&b, 1, (struct labels){ &l, 1 },
                          &(struct series_samples){ .t_ms = t, .value = value, .n = i % 5 });
    }
    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_1, buf_view(&b), &e), &e);
    while ((got = prompb_write_block(&w, block, &e)) > 0) {
        for (int i = 0; i < got; i++, sum++) {
            CHECK(block[i].samples == (size_t)sum % 5);
            CHECK(block[i].labels.p[block[i].labels.n - 1] == 'a' + sum % 26);
            for (size_t k = 0; k < block[i].samples; k++)
                CHECK(block[i].sample[k].t_ms == t[k] &&
                      double_bits(block[i].sample[k].value) == double_bits(value[k]));
        }
    }
    CHECK(got == 0 && sum == 100);
}

static void put_symbols(struct buf *b, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        proto_put_bytes(b, 4, str_c(v[i]));
}

// One series of 2.0 with the labels' references and metadata of (type, help reference).
static void put_series_2(struct buf *b, const char *refs, uint64_t type, uint64_t help)
{
    size_t mark = proto_begin(b, 5);

    proto_put_bytes(b, 1, str_c(refs));
    size_t meta = proto_begin(b, 5);
    proto_put_varint(b, 1, type);
    proto_put_varint(b, 3, help);
    proto_end(b, meta);
    proto_end(b, mark);
}

TEST(keys_of_metadata_tell_metrics_apart_and_not_series)
{
    static const char *const symbols[] = { "", "__name__", "a", "b", "job", "x", "help" };
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(prompb_write_fini) struct prompb_write w = { 0 };
    struct prompb_series s;
    struct err e = { 0 };
    uint64_t key[6];

    put_symbols(&b, symbols, ARRAY_LEN(symbols));
    put_series_2(&b, "\1\2", 1, 6);
    put_series_2(&b, "\1\2\4\5", 1, 6); // another series of the metric
    put_series_2(&b, "\1\3", 1, 6);     // another metric
    put_series_2(&b, "\1\2", 2, 6);     // another type
    put_series_2(&b, "\1\2", 1, 5);     // another help
    put_series_2(&b, "\4\5", 1, 6);     // no name
    CHECK_OK(prompb_write_begin(&w, PROMPB_WRITE_2, buf_view(&b), &e), &e);
    for (size_t i = 0; i < 5; i++) {
        CHECK(prompb_write_next(&w, &s, &e) == 1);
        CHECK(prompb_series_meta_key(&w, &s, 1, &key[i]));
    }
    CHECK(key[0] == key[1]);
    for (size_t i = 2; i < 5; i++)
        CHECK(key[i] != key[0]);
    CHECK(prompb_write_next(&w, &s, &e) == 1 && !prompb_series_meta_key(&w, &s, 1, &key[5]));
}
