/*
 * metrics_threads_test.c - appenders, readers and upkeep at once; run it under TSan.
 *
 * Each appender writes the same time to all its series in one batch. A reader must see every batch
 * whole: within one snapshot all series of an appender have the same number of samples, and the
 * samples are those that were sent. What an appender has been told is committed, it must see.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>

#include "base/thread.h"
#include "metrics/metrics.h"
#include "metrics_harness.h"

enum { APPENDERS = 3, READERS = 2, WIDTH = 40, STEPS = 120 };

struct shared {
    struct fixture *f;
    atomic_int running; // appenders that are not done
    atomic_int committed[APPENDERS];
    atomic_int views;
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
        struct append_stats stats;
        struct err e = { 0 };

        for (unsigned i = 0; i < WIDTH; i++) {
            struct series_ref ref;

            CHECK_OK(append_resolve(b, fx_labels(&a, (unsigned)w->number * WIDTH + i), &ref, &e),
                     &e);
            append_float(b, ref, step_ms(k), k);
        }
        CHECK_OK(append_commit(b, &stats, NULL, &e), &e);
        CHECK(stats.rows[APPEND_OK] == WIDTH);
        atomic_store(&w->s->committed[w->number], k + 1);
    }
    append_batch_free(b);
    atomic_fetch_sub(&w->s->running, 1);
    return NULL;
}

struct seen {
    const struct series_set *set;
    size_t samples[APPENDERS * WIDTH];
};

static bool count(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e UNUSED)
{
    struct seen *seen = ctx;

    for (size_t k = 0; k < s->n; k++)
        CHECK(s->t_ms[k] == step_ms((int)k) && s->value[k] == (double)k);
    seen->samples[fx_number(seen->set->v[pos].labels)] = s->n;
    return true;
}

static void look(struct shared *s)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = T0, .max_ms = T0 + 2 * (int64_t)MS_DAY
    };
    struct scan_query scan = { .min_ms = q.min_ms, .max_ms = q.max_ms };
    struct series_set set = { 0 };
    struct seen seen = { .set = &set };
    struct series_source *source = metrics_source(s->f->t);
    int before[APPENDERS];

    for (int i = 0; i < APPENDERS; i++)
        before[i] = atomic_load(&s->committed[i]);
    CHECK_OK(source->open(source, q.min_ms, q.max_ms, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    CHECK_OK(v->ops->scan(v, &set, &scan, &budget, count, &seen, &e), &e);
    for (int i = 0; i < APPENDERS; i++) {
        size_t n = seen.samples[i * WIDTH];

        for (int k = 1; k < WIDTH; k++)
            CHECK_F(seen.samples[i * WIDTH + k] == n, "half a batch: %zu and %zu", n,
                    seen.samples[i * WIDTH + k]);
        CHECK_F(n >= (size_t)before[i], "%d batches committed, %zu seen", before[i], n);
    }
    atomic_fetch_add(&s->views, 1);
}

static void *read_on(void *ctx)
{
    struct worker *w = ctx;

    while (atomic_load(&w->s->running))
        look(w->s);
    look(w->s);
    return NULL;
}

static void *keep_up(void *ctx)
{
    struct worker *w = ctx;
    struct metrics_stats stats;

    while (atomic_load(&w->s->running)) {
        struct err e = { 0 };
        char name[64];

        CHECK_OK(metrics_flush(w->s->f->m, &e), &e);
        CHECK_OK(metrics_merge(w->s->f->m, &e), &e);
        CHECK_OK(metrics_snapshot(w->s->f->m, false, name, &e), &e);
        metrics_stats(w->s->f->m, &stats);
    }
    return NULL;
}

TEST(readers_see_whole_batches_while_all_else_goes_on)
{
    struct metrics_options o = { .shards = 4 };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct shared s = { .f = f, .running = APPENDERS };
    struct worker w[APPENDERS + READERS + 1];
    struct err e = { 0 };

    f->clock.fake_ms = T0 + MS_DAY + MS_HOUR;
    for (int i = 0; i < APPENDERS + READERS + 1; i++) {
        w[i] = (struct worker){ .s = &s, .number = i };
        CHECK_OK(thread_start(&w[i].thread, "worker",
                              i < APPENDERS             ? append
                              : i < APPENDERS + READERS ? read_on
                                                        : keep_up,
                              &w[i], &e),
                 &e);
    }
    for (int i = 0; i < APPENDERS + READERS + 1; i++)
        thread_join(&w[i].thread);
    print_message("%d views\n", atomic_load(&s.views));
    fx_reopen(f);
    look(&s);
}

// The store's own threads run beside appenders: nothing is lost over a clean close.
TEST(the_stores_own_threads)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct metrics_options o = { .shards = 2, .path = file_temp_dir(&a), .sync_interval_ms = 5 };
    struct fixture f = { .clock = clock_fake(T0 + MS_DAY + MS_HOUR), .ledger = NULL };
    struct shared s = { .f = &f };
    struct err e = { 0 };

    o.clock = &f.clock;
    for (int round = 0; round < 2; round++) {
        struct worker w[APPENDERS] = { 0 };

        CHECK_OK(metrics_open(&f.m, &o, &e), &e);
        CHECK_OK(metrics_tenant(f.m, STR("anonymous"), &f.t, &e), &e);
        atomic_store(&s.running, APPENDERS);
        for (int i = 0; round == 0 && i < APPENDERS; i++) {
            w[i] = (struct worker){ .s = &s, .number = i };
            CHECK_OK(thread_start(&w[i].thread, "worker", append, &w[i], &e), &e);
        }
        for (int i = 0; i < APPENDERS; i++)
            thread_join(&w[i].thread);
        look(&s);
        metrics_close(f.m);
    }
    CHECK_OK(file_remove_tree(o.path, &e), &e);
}
