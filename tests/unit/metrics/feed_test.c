/*
 * feed_test.c - the change feed: every row once and in order, whatever the store does meanwhile.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/feed.h"

#include <stdlib.h>

#include "base/map.h"
#include "metrics/metrics_harness.h"

enum { DAY_SERIES = 20 };

// A store whose end is a kill: what is to be flushed is flushed by hand.
static struct fixture *store_new(const struct metrics_options *o)
{
    struct metrics_options mine = *o;

    mine.leave_logs = true;
    return fx_new(&mine);
}

// What the consumer has got, row by row, and how far each series is.
struct got_row {
    unsigned series;
    int64_t t_ms;
};
struct consumer {
    struct fixture *f;
    struct feed_options o;
    struct feed *feed;
    struct feed_batch batch;
    struct arena arena;
    struct map known;
    VEC(uint64_t) key; // of known series
    VEC(unsigned) number;
    VEC(struct got_row) got; // from serial `base` on
    uint64_t base, acked, saved;
    size_t next[SERIES_MAX]; // per series: rows of the ledger delivered
    size_t done[SERIES_MAX]; // after a restart: those acknowledged, which need not come again
    bool always_sync;
    bool is_synced;  // the last save
    bool may_repeat; // a kill took back more than what was not saved
};

static void consumer_open(struct consumer *c)
{
    struct err e = { 0 };

    c->o.tenant = c->f->t;
    if (!c->o.name.n)
        c->o.name = STR("test");
    CHECK_OK(feed_open(&c->feed, &c->o, &e), &e);
    c->base = c->acked = c->saved = 0;
    c->is_synced = true;
    vec_reset(&c->got);
    vec_reset(&c->key);
    vec_reset(&c->number);
    map_reset(&c->known);
}

static void consumer_fini(struct consumer *c)
{
    feed_close(c->feed);
    feed_batch_fini(&c->batch);
    arena_fini(&c->arena);
    map_fini(&c->known);
    vec_fini(&c->key);
    vec_fini(&c->number);
    vec_fini(&c->got);
}
OWN_DEFINE_FINI(struct consumer, consumer_fini)

// What is in the ledger now counts as delivered: a new cursor begins behind it.
static void consumer_skip_all(struct consumer *c)
{
    for (unsigned i = 0; i < SERIES_MAX; i++)
        c->next[i] = c->f->ledger->series[i].n;
}

static bool key_equal(const void *ctx, const void *key, uint32_t i)
{
    return ((const struct consumer *)ctx)->key.v[i] == *(const uint64_t *)key;
}

static unsigned series_number(struct consumer *c, uint64_t key)
{
    uint32_t i = map_find(&c->known, hash_u64(key), key_equal, c, &key);
    struct feed_labels l;
    struct err e = { 0 };

    if (i != MAP_NONE)
        return c->number.v[i];
    CHECK_OK(feed_labels(c->feed, &key, 1, &c->arena, &l, &e), &e);
    CHECK(l.labels.n == 3);
    map_add(&c->known, hash_u64(key), (uint32_t)c->key.n);
    *vec_push(&c->key) = key;
    *vec_push(&c->number) = fx_number(l.labels);
    return c->number.v[c->number.n - 1];
}

static void take_row(struct consumer *c, const struct feed_row *row)
{
    unsigned i = series_number(c, row->series);
    const struct ledger_row *want = c->f->ledger->series[i].v;
    size_t n = c->f->ledger->series[i].n, at = c->next[i];

    *vec_push(&c->got) = (struct got_row){ i, row->t_ms };
    while (c->may_repeat && at > 0 && want[at - 1].t_ms >= row->t_ms)
        at--;
    while (at < c->done[i] && want[at].t_ms < row->t_ms)
        at++;
    CHECK_F(at < n, "series %u: a row at %lld too many", i, (long long)row->t_ms);
    CHECK_F(want[at].t_ms == row->t_ms, "series %u: row at %lld where %lld comes", i,
            (long long)row->t_ms, (long long)want[at].t_ms);
    CHECK(row->hist ? row->hist->count == double_from_bits(want[at].bits)
                    : double_bits(row->value) == want[at].bits);
    c->next[i] = MAX(c->next[i], at + 1);
}

// Reads at most max rows; how many came.
static size_t consumer_read(struct consumer *c, size_t max)
{
    struct err e = { 0 };

    CHECK_OK(feed_read(c->feed, max, &c->batch, &e), &e);
    CHECK(c->batch.n <= max);
    CHECK(c->batch.serial == c->base + c->got.n);
    for (size_t i = 0; i < c->batch.n; i++)
        take_row(c, &c->batch.v[i]);
    return c->batch.n;
}

static void consumer_ack(struct consumer *c, uint64_t serial)
{
    feed_ack(c->feed, serial);
    c->acked = serial;
}

static void consumer_save(struct consumer *c, bool sync)
{
    struct err e = { 0 };

    CHECK_OK(feed_save(c->feed, sync, &e), &e);
    c->saved = c->acked;
    c->is_synced = sync;
}

static void consumer_drain(struct consumer *c)
{
    while (consumer_read(c, 1000) > 0)
        ;
    consumer_ack(c, c->base + c->got.n);
}

static void check_all_came(const struct consumer *c)
{
    for (unsigned i = 0; i < SERIES_MAX; i++)
        CHECK_F(MAX(c->next[i], c->done[i]) == c->f->ledger->series[i].n,
                "series %u: %zu rows of %zu", i, c->next[i], c->f->ledger->series[i].n);
}

static void flush(struct fixture *f)
{
    struct err e = { 0 };

    CHECK_OK(metrics_flush(f->m, &e), &e);
}

/*
 * Ends the store and opens it again. killed: without a last save, and nothing is flushed. What was
 * not saved comes again.
 */
static void consumer_restart(struct consumer *c, bool killed)
{
    size_t from, acked;

    if (!killed) {
        feed_close(c->feed);
        flush(c->f);
        c->saved = c->acked;
    }
    from = c->saved - c->base;
    acked = c->acked - c->base;
    // A tail of which the end was acknowledged and not saved comes again, if it became a part.
    c->may_repeat |= killed && (!c->is_synced || c->acked != c->saved);
    for (size_t i = c->got.n; !c->may_repeat && i-- > acked;)
        c->next[c->got.v[i].series]--;
    for (unsigned i = 0; i < SERIES_MAX; i++)
        c->done[i] = MAX(c->done[i], c->next[i]);
    for (size_t i = acked; !c->may_repeat && i-- > from;)
        c->next[c->got.v[i].series]--;
    fx_reopen(c->f);
    consumer_open(c);
}

static void merge(struct fixture *f)
{
    struct err e = { 0 };

    CHECK_OK(metrics_merge(f->m, &e), &e);
}

static uint64_t parts_of(struct fixture *f)
{
    struct metrics_stats s;

    metrics_stats(f->m, &s);
    return s.parts;
}

TEST(feed_begins_behind_what_is_there)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 2 });
    OWNED(consumer_fini) struct consumer c = { .f = f };

    fx_scrape(f, 0, 10, T0 + 1000);
    flush(f);
    fx_scrape(f, 0, 10, T0 + 2000);
    consumer_skip_all(&c);
    consumer_open(&c);
    CHECK(consumer_read(&c, 100) == 0);
    CHECK(!feed_has_news(c.feed));
    fx_scrape(f, 0, 12, T0 + 3000);
    CHECK(feed_has_news(c.feed));
    CHECK(consumer_read(&c, 100) == 12);
    CHECK(!feed_has_news(c.feed));
    check_all_came(&c);
}

TEST(feed_begins_at_the_start)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 2 });
    OWNED(consumer_fini) struct consumer c = { .f = f, .o.from_start = true };

    fx_scrape(f, 0, 10, T0 + 1000);
    flush(f);
    fx_scrape(f, 0, 10, T0 + 2000);
    fx_reopen(f);
    fx_scrape(f, 0, 10, T0 + 3000);
    consumer_open(&c);
    while (consumer_read(&c, 3))
        ;
    check_all_came(&c);
}

TEST(feed_names_are_checked_and_one_at_a_time)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ 0 });
    OWNED(consumer_fini) struct consumer c = { .f = f };
    struct feed_options o = { .name = STR("../x") };
    OWNED(arena_fini) struct arena a = { 0 };
    struct feed *feed = NULL;
    struct err e = { 0 };
    struct str *names;

    consumer_open(&c);
    o.tenant = f->t;
    CHECK(!feed_open(&feed, &o, &e) && e.kind == ERR_INVALID && !feed);
    o.name = STR("test");
    CHECK(!feed_open(&feed, &o, &e) && e.kind == ERR_CONFLICT && !feed);
    CHECK(!feed_remove(f->t, STR("test"), &e) && e.kind == ERR_CONFLICT);
    CHECK(feed_names(f->t, &a, &names) == 1 && str_eq(names[0], STR("test")));
    feed_close(TAKE(c.feed));
    CHECK_OK(feed_remove(f->t, STR("test"), &e), &e);
    CHECK(feed_names(f->t, &a, &names) == 0);
    fx_reopen(f);
    CHECK(feed_names(f->t, &a, &names) == 0);
}

// Amidst a tail that becomes a part: reading goes on in memory.
TEST(feed_outlives_flushes)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 2 });
    OWNED(consumer_fini) struct consumer c = { .f = f };

    consumer_open(&c);
    for (int i = 0; i < 10; i++) {
        fx_scrape(f, 0, 50, T0 + i * 1000);
        (void)consumer_read(&c, 17);
        flush(f);
    }
    consumer_drain(&c);
    check_all_came(&c);
}

// The same, but there is no room for flushed tails: reading goes on in the part.
TEST(feed_goes_on_in_parts_when_tails_take_too_much)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 2 });
    OWNED(consumer_fini) struct consumer c = { .f = f, .o.tail_bytes_max = 1 };
    struct feed_stats s;

    consumer_open(&c);
    for (int i = 0; i < 10; i++) {
        fx_scrape(f, 0, 50, T0 + 2 * i * 1000);
        fx_scrape(f, 0, 50, T0 + (2 * i + 1) * 1000);
        (void)consumer_read(&c, 33);
        flush(f);
        (void)consumer_read(&c, 7);
        consumer_ack(&c, c.base + c.got.n - 5);
        consumer_save(&c, i % 2);
    }
    consumer_drain(&c);
    check_all_came(&c);
    feed_stats(c.feed, &s);
    CHECK(s.restarts == 0 && s.rows_skipped == 0 && s.rows_read == 1000 && s.rows_acked == 1000);
}

TEST(feed_resumes_where_it_was_saved)
{
    for (unsigned how = 0; how < 16; how++) {
        OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 2 });
        OWNED(consumer_fini) struct consumer c = { .f = f };
        struct feed_stats s;

        consumer_open(&c);
        fx_scrape(f, 0, 40, T0 + 1000);
        fx_scrape(f, 0, 40, T0 + 2000);
        (void)consumer_read(&c, 60);
        consumer_ack(&c, 45);
        if (how & 1)
            flush(f);
        consumer_save(&c, how & 2);
        if (how & 4)
            flush(f);
        fx_scrape(f, 0, 40, T0 + 3000);
        consumer_restart(&c, how & 8);
        fx_scrape(f, 0, 40, T0 + 4000);
        consumer_drain(&c);
        check_all_came(&c);
        feed_stats(c.feed, &s);
        CHECK_F(s.restarts == 0 && c.got.n == 160 - 45, "how %u: %zu rows, %d restarts", how,
                c.got.n, (int)s.restarts);
    }
}

// A cursor in a part, saved in the middle of a series.
TEST(feed_resumes_within_a_part)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 1 });
    OWNED(consumer_fini) struct consumer c = { .f = f };

    consumer_open(&c);
    for (int i = 0; i < 20; i++)
        fx_scrape(f, 0, 5, T0 + i * 1000);
    consumer_restart(&c, false);
    for (uint64_t at = 0; at < 100; at += 13) {
        uint64_t from = c.base;

        CHECK(consumer_read(&c, 30) > 0);
        consumer_ack(&c, MIN(from + 13, c.base + c.got.n));
        consumer_restart(&c, false);
    }
    consumer_drain(&c);
    check_all_came(&c);
}

TEST(feed_carries_histograms_and_start_times)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 1 });
    OWNED(consumer_fini) struct consumer c = { .f = f };
    struct hist_span span = { 0, 1 };
    double count = 7;
    struct histogram h = { .count = 7, .sum = 3, .pos = { &span, &count, 1, 1 } };

    consumer_open(&c);
    for (int round = 0; round < 2; round++) {
        int64_t t_ms = T0 + round * 1000;

        fx_add(f, 0, t_ms, 1);
        ledger_add(f->ledger, 0, t_ms, double_bits(1));
        append_histogram(f->b, fx_ref(f, 1), t_ms, &h);
        ledger_add(f->ledger, 1, t_ms, double_bits(7));
        fx_add(f, 2, t_ms, 2);
        append_start(f->b, T0 - 5000);
        ledger_add(f->ledger, 2, t_ms, double_bits(2));
        (void)fx_commit(f);
        if (round == 1) {
            // One row of three: a replay may give them in another order, so all come again.
            CHECK(consumer_read(&c, 1) == 1);
            consumer_ack(&c, 4);
            consumer_save(&c, true);
            c.saved = 3;
            consumer_restart(&c, true);
            flush(f);
        }
        CHECK(consumer_read(&c, 10) == 3);
        for (size_t i = 0; i < 3; i++) {
            const struct feed_row *r = &c.batch.v[i];
            unsigned n = series_number(&c, r->series);

            CHECK(r->start_ms == (n == 2 ? T0 - 5000 : 0) && (r->hist != NULL) == (n == 1));
            CHECK(n != 1 || histogram_equal(r->hist, &h));
        }
        consumer_ack(&c, c.base + c.got.n);
    }
    check_all_came(&c);
}

TEST(feed_hands_on_exemplars)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .exemplars_max = 3 });
    OWNED(consumer_fini) struct consumer c = { .f = f };
    OWNED(arena_fini) struct arena a = { 0 };
    struct feed_exemplar *x;

    fx_scrape(f, 0, 1, T0 + 1000);
    consumer_open(&c);
    for (int i = 1; i <= 7; i++) {
        struct exemplar ex = { .value = i, .t_ms = T0 + i * 1000 };

        append_exemplar(f->b, fx_ref(f, 0), &ex);
        fx_scrape(f, 1, 2, T0 + i * 1000);
        if (i == 2) {
            CHECK(feed_exemplars(c.feed, 10, &a, &x) == 2);
            CHECK(x[0].x.value == 1 && x[1].x.value == 2);
        }
    }
    CHECK(feed_exemplars(c.feed, 2, &a, &x) == 2 && x[0].x.value == 5 && x[1].x.value == 6);
    CHECK(feed_exemplars(c.feed, 2, &a, &x) == 1 && x[0].x.value == 7);
    CHECK(feed_exemplars(c.feed, 2, &a, &x) == 0);
}

// Parts behind the cursor and ahead of it are merged, none across it.
TEST(feed_keeps_merges_from_crossing_it)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 1 });
    OWNED(consumer_fini) struct consumer c = { .f = f };

    consumer_open(&c);
    for (int i = 0; i < 21; i++) {
        fx_scrape(f, 0, 10, T0 + i * 1000);
        flush(f);
    }
    CHECK(parts_of(f) == 21);
    CHECK(consumer_read(&c, 85) == 85); // amidst the ninth part
    consumer_ack(&c, 85);
    merge(f);
    CHECK_F(parts_of(f) == 10, "%d parts", (int)parts_of(f)); // the twelve ahead became one
    consumer_save(&c, true);
    merge(f);
    CHECK_F(parts_of(f) == 3, "%d parts", (int)parts_of(f)); // and the eight behind
    consumer_drain(&c);
    check_all_came(&c);
    CHECK(fx_compare(f) == 210);
}

// A closed day is merged only when every cursor has passed it, and dropped only then.
TEST(feed_keeps_a_day_open_until_it_has_passed)
{
    struct metrics_options o = { .shards = 2, .retention_ms = 2 * (int64_t)MS_DAY };
    OWNED(fx_free) struct fixture *f = store_new(&o);
    OWNED(consumer_fini) struct consumer c = { .f = f };
    struct metrics_stats s;
    struct err e = { 0 };

    consumer_open(&c);
    for (int i = 0; i < 4; i++) {
        fx_scrape(f, 0, 10, T0 + i * 1000);
        flush(f);
    }
    for (int day = 1; day <= 4; day++) {
        f->clock.fake_ms = T0 + day * (int64_t)MS_DAY + 2 * MS_HOUR;
        fx_scrape(f, 0, 10, T0 + day * (int64_t)MS_DAY + MS_HOUR);
    }
    merge(f);
    CHECK_OK(metrics_retain(f->m, &e), &e);
    metrics_stats(f->m, &s);
    CHECK(s.partitions == 5);
    CHECK(consumer_read(&c, 25) == 25);
    consumer_restart(&c, false);
    consumer_drain(&c);
    check_all_came(&c);
    consumer_save(&c, true);
    CHECK_OK(metrics_retain(f->m, &e), &e);
    metrics_stats(f->m, &s);
    CHECK(s.partitions == 3);
    f->clock.fake_ms += MS_HOUR;
    merge(f);
    fx_scrape(f, 0, 10, f->clock.fake_ms);
    consumer_drain(&c);
    consumer_restart(&c, false);
    check_all_came(&c);
}

TEST(feed_skips_what_is_beyond_its_bound)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 1 });
    OWNED(consumer_fini) struct consumer c = { .f = f, .o.behind_bytes_max = 1 };
    struct feed_stats s;

    consumer_open(&c);
    for (int i = 0; i < 3; i++) {
        fx_scrape(f, 0, 10, T0 + i * 1000);
        if (i == 0)
            CHECK(consumer_read(&c, 4) == 4);
        flush(f);
    }
    fx_scrape(f, 0, 10, T0 + 3000);
    feed_bounds(f->t);
    feed_stats(c.feed, &s);
    CHECK(s.rows_skipped == 30);
    consumer_skip_all(&c);
    for (unsigned i = 0; i < 10; i++)
        c.next[i]--;
    CHECK(consumer_read(&c, 100) == 10);
    check_all_came(&c);
    consumer_ack(&c, 2); // of rows that were skipped after they had been read
    consumer_ack(&c, 14);
    consumer_restart(&c, false);
    CHECK(consumer_read(&c, 100) == 0);
}

// A cursor that nobody opens holds up to its bound, too.
TEST(feed_bounds_cursors_that_are_not_open)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 1 });
    OWNED(consumer_fini) struct consumer c = { .f = f, .o.behind_bytes_max = 1 };

    consumer_open(&c);
    feed_close(TAKE(c.feed));
    for (int i = 0; i < 9; i++) {
        fx_scrape(f, 0, 10, T0 + i * 1000);
        flush(f);
    }
    feed_bounds(f->t);
    merge(f);
    CHECK(parts_of(f) == 1);
    consumer_skip_all(&c);
    consumer_open(&c);
    CHECK(consumer_read(&c, 100) == 0);
}

TEST(feed_survives_another_number_of_shards)
{
    OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 4 });
    OWNED(consumer_fini) struct consumer c = { .f = f };

    consumer_open(&c);
    for (int i = 0; i < 3; i++) {
        fx_scrape(f, 0, 40, T0 + i * 1000);
        flush(f);
    }
    CHECK(consumer_read(&c, 70) == 70);
    consumer_ack(&c, 61);
    for (unsigned shards = 2; shards <= 8; shards += 6) {
        f->o.shards = shards;
        consumer_restart(&c, shards == 8);
        fx_scrape(f, 0, 40, T0 + shards * 10000);
        CHECK(consumer_read(&c, 21) == 21);
        consumer_ack(&c, 21);
        consumer_save(&c, true);
    }
    consumer_drain(&c);
    check_all_came(&c);
}

/* ---- random ---- */

static void random_step(struct consumer *c, struct rand_state *r, int64_t *t_ms)
{
    struct fixture *f = c->f;
    unsigned from = (unsigned)(rand_next(r) % DAY_SERIES);
    unsigned to = from + 1 + (unsigned)(rand_next(r) % DAY_SERIES);

    switch (rand_next(r) % 16) {
    case 0:
        flush(f);
        break;
    case 1:
        merge(f);
        break;
    case 2:
        consumer_restart(c, rand_next(r) % 2);
        break;
    case 3:
        if (rand_next(r) % 8 == 0) {
            *t_ms += MS_DAY / 2;
            f->clock.fake_ms = *t_ms + MS_MINUTE;
        }
        break;
    case 4:
    case 5:
        consumer_save(c, c->always_sync || rand_next(r) % 2);
        break;
    case 6:
    case 7:
    case 8:
        consumer_ack(c, c->acked + rand_next(r) % (c->base + c->got.n - c->acked + 1));
        break;
    case 9:
    case 10:
    case 11:
        (void)consumer_read(c, 1 + rand_next(r) % 60);
        break;
    default:
        *t_ms += 1000;
        f->clock.fake_ms = *t_ms + MS_MINUTE;
        fx_scrape(f, from, to, *t_ms);
    }
}

TEST(feed_model)
{
    unsigned runs = getenv("VIGIE_TEST_FULL") ? 400 : 6;

    for (unsigned seed = 0; seed < runs; seed++) {
        OWNED(fx_free) struct fixture *f = store_new(&(struct metrics_options){ .shards = 2 });
        OWNED(consumer_fini)
        struct consumer c = { .f = f, .o.tail_bytes_max = seed % 2 ? 100 : 0 };
        struct rand_state r = rand_seeded(seed);
        struct feed_stats s;
        int64_t t_ms = T0 + MS_HOUR;

        c.always_sync = seed % 4 < 2; // else a kill may take back a second of a tail that is gone
        consumer_open(&c);
        for (int i = 0; i < 300; i++)
            random_step(&c, &r, &t_ms);
        consumer_drain(&c);
        check_all_came(&c);
        feed_stats(c.feed, &s);
        CHECK_F(s.rows_skipped == 0, "seed %u", seed);
    }
}
