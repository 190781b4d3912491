/*
 * feed_threads_test.c - appenders, consumers and upkeep at once; run it under TSan.
 *
 * Each consumer gets every row of every series once and in order, across midnight, while tails are
 * flushed and parts are merged.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>

#include "base/thread.h"
#include "metrics/feed.h"
#include "metrics/metrics_harness.h"

enum { APPENDERS = 2, CONSUMERS = 2, WIDTH = 30, STEPS = 120 };

struct shared {
    struct fixture *f;
    atomic_int running;   // appenders that are not done
    atomic_int consuming; // consumers that are not done
};
struct worker {
    struct shared *s;
    int number;
    struct thread thread;
};

// Midnight is crossed in the middle.
static int64_t step_ms(int k)
{
    return T0 + MS_DAY + (k - STEPS / 2) * INT64_C(15000);
}

static void *append(void *ctx)
{
    struct worker *w = ctx;
    struct append_batch *b = append_batch_new(w->s->f->t);
    OWNED(arena_fini) struct arena a = { 0 };

    for (int k = 0; k < STEPS; k++) {
        struct err e = { 0 };

        for (unsigned i = 0; i < WIDTH; i++) {
            struct series_ref ref;

            CHECK_OK(append_resolve(b, fx_labels(&a, (unsigned)w->number * WIDTH + i), &ref, &e),
                     &e);
            append_float(b, ref, step_ms(k), k);
        }
        CHECK_OK(append_commit(b, NULL, NULL, &e), &e);
    }
    append_batch_free(b);
    atomic_fetch_sub(&w->s->running, 1);
    return NULL;
}

struct consumer {
    struct feed *feed;
    struct feed_batch batch;
    int next[APPENDERS * WIDTH]; // step
    uint64_t rows;
};

static void take_rows(struct consumer *c)
{
    OWNED(arena_fini) struct arena a = { 0 };
    uint64_t *series = arena_array(&a, c->batch.n, uint64_t);
    struct feed_labels *labels = arena_array(&a, c->batch.n, struct feed_labels);
    struct err e = { 0 };

    for (size_t i = 0; i < c->batch.n; i++)
        series[i] = c->batch.v[i].series;
    CHECK_OK(feed_labels(c->feed, series, c->batch.n, &a, labels, &e), &e);
    for (size_t i = 0; i < c->batch.n; i++) {
        unsigned n = fx_number(labels[i].labels);

        CHECK_F(c->batch.v[i].t_ms == step_ms(c->next[n]) &&
                    c->batch.v[i].value == (double)c->next[n],
                "series %u: step %g where %d comes", n, c->batch.v[i].value, c->next[n]);
        c->next[n]++;
    }
    c->rows += c->batch.n;
}

static void *consume(void *ctx)
{
    struct worker *w = ctx;
    struct rand_state r = rand_seeded((uint64_t)w->number);
    struct feed_options o = {
        .tenant = w->s->f->t,
        .name = w->number % 2 ? STR("one") : STR("two"),
        .from_start = true,
        .tail_bytes_max = w->number % 2 ? 1 : 0,
    };
    struct consumer c = { 0 };
    struct err e = { 0 };

    CHECK_OK(feed_open(&c.feed, &o, &e), &e);
    while (c.rows < APPENDERS * WIDTH * STEPS) {
        CHECK_OK(feed_read(c.feed, 1 + rand_next(&r) % 300, &c.batch, &e), &e);
        take_rows(&c);
        feed_ack(c.feed, c.batch.serial + (c.batch.n ? rand_next(&r) % c.batch.n : 0));
        CHECK_OK(feed_save(c.feed, rand_next(&r) % 4 == 0, &e), &e);
    }
    CHECK_OK(feed_read(c.feed, 100, &c.batch, &e), &e);
    CHECK(c.batch.n == 0);
    feed_ack(c.feed, c.batch.serial);
    feed_close(c.feed);
    feed_batch_fini(&c.batch);
    atomic_fetch_sub(&w->s->consuming, 1);
    return NULL;
}

static void *keep_up(void *ctx)
{
    struct worker *w = ctx;

    while (atomic_load(&w->s->running) || atomic_load(&w->s->consuming)) {
        struct err e = { 0 };

        CHECK_OK(metrics_flush(w->s->f->m, &e), &e);
        CHECK_OK(metrics_merge(w->s->f->m, &e), &e);
        feed_bounds(w->s->f->t);
    }
    return NULL;
}

TEST(consumers_get_all_rows_while_all_else_goes_on)
{
    struct metrics_options o = { .shards = 4 };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct shared s = { .f = f, .running = APPENDERS, .consuming = CONSUMERS };
    struct worker w[APPENDERS + CONSUMERS + 1];
    struct err e = { 0 };

    f->clock.fake_ms = T0 + MS_DAY + 2 * MS_HOUR; // the first day is due to be closed
    for (int i = 0; i < APPENDERS + CONSUMERS + 1; i++) {
        w[i] = (struct worker){ .s = &s, .number = i };
        CHECK_OK(thread_start(&w[i].thread, "worker",
                              i < APPENDERS               ? append
                              : i < APPENDERS + CONSUMERS ? consume
                                                          : keep_up,
                              &w[i], &e),
                 &e);
    }
    for (int i = 0; i < APPENDERS + CONSUMERS + 1; i++)
        thread_join(&w[i].thread);
}
