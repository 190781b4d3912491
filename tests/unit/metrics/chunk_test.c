// chunk_test.c - column chunks: bit exactness over random data of many kinds, damage, sizes.
// SPDX-License-Identifier: Apache-2.0
#include "metrics/chunk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/rand.h"
#include "metrics/chunk_priv.h"
#include "model/sample.h"
#include "test.h"

// Full counts take minutes under sanitizers: VIGIE_TEST_FULL=1 asks for them.
static size_t scaled(size_t full, size_t quick)
{
    const char *s = getenv("VIGIE_TEST_FULL");

    return s && *s == '1' ? full : quick;
}

static uint64_t below(struct rand_state *r, uint64_t n)
{
    return (rand_next(r) >> 11) % n;
}

static double unit(struct rand_state *r)
{
    return (double)(rand_next(r) >> 11) * 0x1p-53;
}

static const uint64_t odd_bits[] = {
    SAMPLE_STALE_BITS,
    SAMPLE_NAN_BITS,
    UINT64_C(0x7ff0000000000000), // +Inf
    UINT64_C(0xfff0000000000000), // -Inf
    UINT64_C(0x8000000000000000), // -0.0
    UINT64_C(0x7ff8000000000000), // other NaNs
    UINT64_C(0xfff8000000000001),
    UINT64_C(0x7ff0000000000001),
    UINT64_C(0xffffffffffffffff),
    UINT64_C(0x0000000000000001), // subnormal
    UINT64_C(0x000fffffffffffff),
    UINT64_C(0x7fefffffffffffff), // largest
    UINT64_C(0x4330000000000000), // 2^52
    UINT64_C(0x4340000000000000), // 2^53
    UINT64_C(0x4340000000000001), // 2^53 + 2
    UINT64_C(0x43e0000000000000), // 2^63
    UINT64_C(0xc3e0000000000000), // -2^63
    UINT64_C(0x43dfffffffffffff), // below 2^63
    UINT64_C(0x43f0000000000000), // 2^64
    UINT64_C(0x4320000000000000), // 2^51
    UINT64_C(0x431fffffffffffff),
};

enum kind {
    RANDOM_BITS,
    HUGE_TINY,
    COUNTER,
    COUNTER_RESETS,
    GAUGE,
    DECIMALS,
    FLOAT_SUM,
    SMOOTH,
    CONSTANT,
    FEW_VALUES,
    BIG_INTEGERS,
    AROUND_LIMITS,
    SUBNORMAL,
    PAGES,
    WALK,
    SPIKES,
    KINDS,
};

static double next_value(struct rand_state *r, enum kind kind, double last, size_t i, unsigned p)
{
    double scale = pow(10, (double)(p % 19));

    switch (kind) {
    case RANDOM_BITS:
        return double_from_bits(rand_next(r));
    case HUGE_TINY:
        return ldexp(unit(r) - 0.5, (int)below(r, 2000) - 1000);
    case COUNTER:
        return last + (double)below(r, p + 1);
    case COUNTER_RESETS:
        return below(r, 50) ? last + (double)below(r, 100) : 0;
    case GAUGE:
        return (double)(int64_t)below(r, p * p + 2) - p;
    case DECIMALS:
        return rint(unit(r) * scale * 10) / scale;
    case FLOAT_SUM:
        return last + rint(unit(r) * 1e4) / 1e6;
    case SMOOTH:
        return 1.7e9 + (double)i * 15 + (double)(i * i) * p;
    case CONSTANT:
        return i ? last : rint(unit(r) * scale) / 1000;
    case FEW_VALUES:
        return (double)below(r, 3) * 0.1;
    case BIG_INTEGERS:
        return (double)(int64_t)(rand_next(r) >> (p % 12));
    case AROUND_LIMITS:
        return ldexp(1, (int)(49 + below(r, 17))) + (double)below(r, 5) - 2;
    case SUBNORMAL:
        return double_from_bits(below(r, 1000));
    case PAGES:
        return (double)(below(r, 4000) * 4096 * (p + 1));
    case WALK:
        return last + unit(r) - 0.5;
    default:
        return below(r, 30) ? 5 : ldexp(1, (int)below(r, 60));
    }
}

static size_t random_length(struct rand_state *r)
{
    switch (below(r, 4)) {
    case 0:
        return 1 + below(r, 8);
    case 1:
        return 1 + below(r, 64);
    case 2:
        return 1 + below(r, 300);
    default:
        return below(r, 8) ? 1 + below(r, 120) : CHUNK_VALUES_MAX;
    }
}

static void random_values(struct rand_state *r, double *v, size_t n)
{
    enum kind kind = (enum kind)below(r, KINDS);
    unsigned p = (unsigned)below(r, 200), odd_rate = below(r, 3) ? 0 : 1 + (unsigned)below(r, 60);
    double last = below(r, 2) ? 0 : rint(unit(r) * 1e6);

    for (size_t i = 0; i < n; i++) {
        v[i] = last = next_value(r, kind, last, i, p);
        if (odd_rate && !below(r, odd_rate + 1))
            memcpy(&v[i], &odd_bits[below(r, ARRAY_LEN(odd_bits))], sizeof *v);
    }
}

struct block_bench {
    struct block_builder *builder;
    struct block_reader *reader;
    struct buf bytes;
    uint8_t *exact; // the block in a heap block of its own, so that a sanitizer sees overreads
};

static void bench_open(struct block_bench *b)
{
    b->builder = block_builder_new();
    b->reader = block_reader_new();
}

static void bench_close(struct block_bench *b)
{
    block_builder_free(b->builder);
    block_reader_free(b->reader);
    buf_fini(&b->bytes);
    xfree(b->exact);
    *b = (struct block_bench){ 0 };
}

// Finishes the block and opens it from memory with exactly 8 bytes behind.
static bool bench_turn(struct block_bench *b)
{
    buf_reset(&b->bytes);
    block_builder_finish(b->builder, &b->bytes);
    xfree(b->exact);
    b->exact = xcalloc(1, b->bytes.n + 8);
    memcpy(b->exact, b->bytes.p, b->bytes.n);
    return block_reader_open(b->reader, b->exact, b->bytes.n);
}

// The first chunk decoded of a freshly opened block.
static bool is_alone(struct block_bench *b, size_t chunk, const double *v, size_t n)
{
    double out[CHUNK_VALUES_MAX];

    return block_reader_open(b->reader, b->exact, b->bytes.n) &&
           block_reader_values(b->reader, chunk) == n &&
           block_reader_doubles(b->reader, chunk, out) && memcmp(out, v, n * sizeof *v) == 0;
}

TEST(random_chunks_are_bit_exact)
{
    struct rand_state r = rand_seeded(1);
    struct block_bench b = { 0 };
    double *v = xmalloc(BLOCK_VALUES_MAX * sizeof *v), out[CHUNK_VALUES_MAX];
    size_t total = scaled(600000, 60000);

    bench_open(&b);
    for (size_t done = 0; done < total;) {
        size_t n[BLOCK_CHUNKS_MAX], chunks = 0, values = 0;

        for (; chunks < 1 + below(&r, BLOCK_CHUNKS_MAX); chunks++, values += n[chunks - 1]) {
            struct chunk_key key = { .id = (uint32_t)(chunks * 3), .time = (uint32_t)below(&r, 3) };

            n[chunks] = random_length(&r);
            if (!block_builder_has_room(b.builder, n[chunks]))
                break;
            random_values(&r, v + values, n[chunks]);
            block_builder_doubles(b.builder, &key, v + values, n[chunks]);
        }
        CHECK(bench_turn(&b));
        CHECK(block_reader_chunks(b.reader) == chunks);
        for (size_t i = 0, at = 0; i < chunks; at += n[i++]) {
            CHECK(block_reader_values(b.reader, i) == n[i]);
            CHECK(block_reader_doubles(b.reader, i, out));
            CHECK_F(memcmp(out, v + at, n[i] * sizeof *v) == 0, "chunk %zu of %zu values", done + i,
                    n[i]);
        }
        for (size_t i = 0, at = 0; i < chunks; at += n[i++])
            CHECK(i % 8 != done % 8 || is_alone(&b, i, v + at, n[i]));
        done += chunks;
    }
    xfree(v);
    bench_close(&b);
}

// Buckets of one histogram: each moves with the one before, less often.
static void fill_buckets(struct rand_state *r, double *v, size_t n, size_t chunks)
{
    bool resets = !below(r, 4), stale = !below(r, 6), decimals = !below(r, 6);

    for (size_t i = 0; i < n; i++) {
        double step = (double)below(r, 40);
        bool reset = resets && !below(r, 90), gone = stale && !below(r, 70);

        for (size_t c = 0; c < chunks; c++) {
            double last = i ? v[c * n + i - 1] : (double)(c * 7);

            if (!(last >= 0))
                last = 3;
            step += (double)below(r, 3);
            v[c * n + i] = reset ? 0 : last + (decimals ? step / 8 : step);
            if (gone)
                memcpy(&v[c * n + i], &odd_bits[below(r, 3)], sizeof *v);
        }
    }
}

TEST(random_reference_chains_are_bit_exact)
{
    struct rand_state r = rand_seeded(2);
    struct block_bench b = { 0 };
    double *v = xmalloc(BLOCK_VALUES_MAX * sizeof *v), out[CHUNK_VALUES_MAX];
    size_t total = scaled(1200000, 100000), bytes = 0, values = 0;

    bench_open(&b);
    for (size_t done = 0; done < total;) {
        size_t n = random_length(&r);
        size_t chunks = MIN(1 + below(&r, BLOCK_CHUNKS_MAX), (size_t)BLOCK_VALUES_MAX / n);

        fill_buckets(&r, v, n, chunks);
        for (size_t i = 0; i < chunks; i++)
            block_builder_doubles(b.builder, &(struct chunk_key){ .id = (uint32_t)i }, v + i * n,
                                  n);
        CHECK(bench_turn(&b));
        // Backwards and at random: every chunk stands alone, whatever was decoded before.
        for (size_t i = chunks; i-- > 0;) {
            size_t c = below(&r, 2) ? i : below(&r, chunks);

            CHECK(block_reader_doubles(b.reader, c, out));
            CHECK_F(memcmp(out, v + c * n, n * sizeof *v) == 0, "chunk %zu", c);
        }
        for (size_t i = done % 8; i < chunks; i += 8)
            CHECK(is_alone(&b, i, v + i * n, n));
        done += chunks;
        bytes += b.bytes.n;
        values += n * chunks;
    }
    print_message("%.2f bytes a value\n", (double)bytes / (double)values);
    xfree(v);
    bench_close(&b);
}

TEST(references_save_space_and_end)
{
    struct rand_state r = rand_seeded(3);
    struct block_bench b = { 0 };
    double *v = xmalloc(40 * 200 * sizeof *v);
    size_t with, without;

    bench_open(&b);
    for (size_t i = 0; i < 200; i++) {
        for (size_t c = 0; c < 40; c++) {
            double *x = v + c * 200 + i;

            *x = (i ? x[-1] : 0) + (c ? x[-200] - (i ? x[-201] : 0) : (double)below(&r, 1000));
        }
    }
    for (uint32_t i = 0; i < 40; i++)
        block_builder_doubles(b.builder, &(struct chunk_key){ .id = i }, v + i * 200, 200);
    CHECK(bench_turn(&b));
    with = b.bytes.n;
    for (uint32_t i = 0; i < 40; i++)
        block_builder_doubles(b.builder, &(struct chunk_key){ .id = i, .time = i }, v + i * 200,
                              200);
    CHECK(bench_turn(&b));
    without = b.bytes.n;
    // All alike: one in 16 is written in full, because a chain ends there.
    CHECK_F(with < without / 8, "with %zu, without %zu", with, without);
    xfree(v);
    bench_close(&b);
}

TEST(integers_and_links)
{
    struct block_bench b = { 0 };
    int64_t v[5] = { INT64_MIN, INT64_MAX, 0, -1, 1795219200000 }, out[5];
    int64_t times[200], got[200];

    bench_open(&b);
    for (int i = 0; i < 200; i++)
        times[i] = 1795219200000 + 15000 * i;
    block_builder_ints(b.builder, &(struct chunk_key){ .id = 0 }, v, 5);
    block_builder_link(b.builder, &(struct chunk_key){ .id = 7, .time_start = 511 }, UINT64_MAX, 9);
    block_builder_ints(b.builder, &(struct chunk_key){ .id = UINT32_MAX, .time = UINT32_MAX },
                       times, 200);
    CHECK(bench_turn(&b));
    CHECK(b.bytes.n < 160);
    CHECK(block_reader_kind(b.reader, 0) == CHUNK_INTS);
    CHECK(block_reader_ints(b.reader, 0, out) && memcmp(out, v, sizeof v) == 0);
    CHECK(block_reader_kind(b.reader, 1) == CHUNK_LINK);
    CHECK(block_reader_link(b.reader, 1) == UINT64_MAX && block_reader_values(b.reader, 1) == 9);
    CHECK(block_reader_key(b.reader, 1).time_start == 511);
    CHECK(block_reader_ints(b.reader, 2, got) && memcmp(got, times, sizeof times) == 0);
    CHECK(block_reader_key(b.reader, 2).id == UINT32_MAX);
    CHECK(block_reader_key(b.reader, 2).time == UINT32_MAX);
    CHECK(!block_reader_doubles(b.reader, 0, (double[5]){ 0 })); // not what it is
    bench_close(&b);
}

TEST(find_gives_first_chunk_of_an_id)
{
    struct block_bench b = { 0 };
    double v[2] = { 1, 2 };

    bench_open(&b);
    for (uint32_t i = 0; i < 200; i++)
        block_builder_doubles(b.builder, &(struct chunk_key){ .id = 10 + i / 2 * 5 }, v, 2);
    CHECK(bench_turn(&b));
    for (uint32_t id = 0; id < 520; id++) {
        size_t want = 0;

        while (want < 200 && 10 + want / 2 * 5 < id)
            want++;
        CHECK(block_reader_find(b.reader, 0, id) == want);
        CHECK(block_reader_find(b.reader, want, id) == want);
        CHECK(block_reader_find(b.reader, 150, id) == MAX(want, (size_t)150));
    }
    bench_close(&b);
}

// Sizes that the encoding promises: a regression in a choice shows here.
TEST(sizes_stay_small)
{
    static const struct {
        const char *name;
        enum kind kind;
        unsigned p;
        size_t bytes_max; // of 512 values
    } cases[] = {
        { "constant", CONSTANT, 3, 32 },      { "counter", COUNTER, 15, 300 },
        { "gauge", GAUGE, 10, 490 },          { "pages", PAGES, 2, 810 },
        { "smooth", SMOOTH, 1, 40 },          { "decimals", DECIMALS, 2, 680 },
        { "float sum", FLOAT_SUM, 0, 1320 },  { "few values", FEW_VALUES, 0, 200 },
        { "resets", COUNTER_RESETS, 0, 580 }, { "spikes", SPIKES, 0, 200 },
    };
    FOR_CASES (t, cases) {
        struct rand_state r = rand_seeded(4);
        struct block_bench b = { 0 };
        double v[CHUNK_VALUES_MAX], last = 0;

        for (size_t i = 0; i < CHUNK_VALUES_MAX; i++)
            v[i] = last = next_value(&r, t->kind, last, i, t->p);
        bench_open(&b);
        block_builder_doubles(b.builder, &(struct chunk_key){ 0 }, v, CHUNK_VALUES_MAX);
        CHECK(bench_turn(&b));
        CHECK_F(b.bytes.n <= t->bytes_max, "%s: %zu bytes", t->name, b.bytes.n);
        CHECK_F(b.bytes.n * 2 > t->bytes_max, "%s: only %zu bytes, tighten", t->name, b.bytes.n);
        bench_close(&b);
    }
}

TEST(damaged_blocks_are_refused_or_decode_to_something)
{
    struct rand_state r = rand_seeded(5);
    struct block_bench b = { 0 };
    double v[CHUNK_VALUES_MAX], out[CHUNK_VALUES_MAX];
    size_t refused = 0, turns = scaled(200000, 10000);

    bench_open(&b);
    for (uint32_t i = 0; i < 24; i++) {
        size_t n = 1 + below(&r, 60);

        random_values(&r, v, n);
        block_builder_doubles(b.builder, &(struct chunk_key){ .id = i }, v, n);
        block_builder_doubles(b.builder, &(struct chunk_key){ .id = i }, v, n);
    }
    CHECK(bench_turn(&b));
    for (size_t turn = 0; turn < turns; turn++) {
        size_t n = below(&r, 8) ? b.bytes.n : below(&r, b.bytes.n);
        uint8_t *p = xcalloc(1, n + 8);
        bool ok;

        memcpy(p, b.bytes.p, n);
        for (size_t flips = 1 + below(&r, 3); n && flips--;)
            p[below(&r, below(&r, 2) ? n : MIN(n, (size_t)300))] = (uint8_t)rand_next(&r);
        ok = block_reader_open(b.reader, p, n);
        for (size_t i = 0; ok && i < block_reader_chunks(b.reader); i++)
            ok = block_reader_doubles(b.reader, i, out);
        refused += !ok;
        xfree(p);
    }
    CHECK(refused > turns / 10);
    bench_close(&b);
}

TEST(packing_round_trips_at_every_width)
{
    struct rand_state r = rand_seeded(6);
    uint64_t v[67], out[67];

    for (unsigned width = 0; width <= 64; width++) {
        if (width > CHUNK_WIDTH_MAX && width != 64)
            continue;
        for (size_t m = 0; m <= 67; m++) {
            uint8_t p[67 * 8 + 8];

            memset(p, 0xee, sizeof p);
            for (size_t i = 0; i < m; i++)
                v[i] = width == 64 ? rand_next(&r) : rand_next(&r) & ((UINT64_C(1) << width) - 1);
            ints_pack(p, v, m, width);
            ints_unpack(out, p, m, width);
            CHECK(memcmp(v, out, m * sizeof *v) == 0);
        }
    }
}
