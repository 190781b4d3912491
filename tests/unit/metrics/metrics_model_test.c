/*
 * metrics_model_test.c - random appends, deletions, flushes, merges, closings, snapshots and
 * reopenings, compared with a sorted map.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/metrics.h"
#include "metrics_harness.h"

enum { WIDTH = 60, STEPS = 250 };

static void random_batch(struct fixture *f, struct rand_state *r, int64_t now_ms)
{
    uint8_t status[400];
    struct {
        unsigned i;
        int64_t t_ms;
        double v;
    } rows[400];
    size_t n = 1 + rand_next(r) % 120;
    struct err e = { 0 };

    for (size_t k = 0; k < n; k++) {
        rows[k].i = (unsigned)(rand_next(r) % WIDTH);
        // Mostly the next time; now and then an old one, far beyond midnight.
        rows[k].t_ms = now_ms + (int64_t)(rand_next(r) % 3) * 15000;
        if (rand_next(r) % 4 == 0)
            rows[k].t_ms -= (int64_t)(rand_next(r) % (20 * (uint64_t)MS_HOUR));
        rows[k].v = (double)(rand_next(r) % 5);
        fx_add(f, rows[k].i, rows[k].t_ms, rows[k].v);
    }
    CHECK_OK(append_commit(f->b, NULL, status, &e), &e);
    for (size_t k = 0; k < n; k++) {
        if (status[k] == APPEND_OK)
            ledger_add(f->ledger, rows[k].i, rows[k].t_ms, double_bits(rows[k].v));
    }
}

// Deletes a third of the series, or one metric, in a stretch of the past.
static void random_delete(struct fixture *f, struct rand_state *r, int64_t now_ms)
{
    OWNED(arena_fini) struct arena a = { 0 };
    bool by_job = rand_next(r) % 2;
    unsigned which = (unsigned)(rand_next(r) % (by_job ? 3 : 10));
    struct matcher m = { MATCH_EQ, by_job ? STR("job") : LABEL_NAME,
                         arena_printf(&a, by_job ? "job-%u" : "metric_%u", which), NULL };
    int64_t max_ms = now_ms - MS_HOUR - (int64_t)(rand_next(r) % (uint64_t)MS_DAY);
    struct metrics_delete d = { &m, 1, max_ms - (int64_t)(rand_next(r) % (uint64_t)MS_DAY),
                                max_ms };
    struct err e = { 0 };

    CHECK_OK(metrics_delete(f->t, &d, &e), &e);
    for (unsigned i = 0; i < WIDTH; i++) {
        if (which == i % (by_job ? 3 : 10))
            ledger_remove(f->ledger, i, d.min_ms, d.max_ms);
    }
}

static void random_upkeep(struct fixture *f, struct rand_state *r, int64_t now_ms)
{
    struct err e = { 0 };
    char name[64];

    switch (rand_next(r) % 14) {
    case 0:
    case 1:
    case 2:
        CHECK_OK(metrics_flush(f->m, &e), &e);
        break;
    case 3:
        CHECK_OK(metrics_merge(f->m, &e), &e);
        break;
    case 4:
        f->o.leave_logs = rand_next(r) % 2;
        fx_reopen(f);
        break;
    case 5:
        CHECK_OK(metrics_snapshot(f->m, rand_next(r) % 2, name, &e), &e);
        break;
    case 6:
        f->o.shards = 1u << (1 + rand_next(r) % 3);
        break;
    case 7:
        random_delete(f, r, now_ms);
        break;
    case 8:
        if (rand_next(r) % 3 == 0)
            CHECK_OK(metrics_clean(f->m, &e), &e);
        break;
    default:
        break;
    }
}

static void run(uint64_t seed)
{
    struct metrics_options o = { .shards = 2, .out_of_order_window_ms = 30 * (int64_t)MS_HOUR };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct rand_state r = rand_seeded(seed);

    for (int k = 0; k < STEPS; k++) {
        int64_t now_ms = T0 + k * (int64_t)(20 * MS_MINUTE); // three and a half days
        f->clock.fake_ms = now_ms + MS_MINUTE;
        random_batch(f, &r, now_ms);
        random_upkeep(f, &r, now_ms);
        if (k % 10 == 9)
            (void)fx_compare_range(f, now_ms - (int64_t)(rand_next(&r) % (50 * (uint64_t)MS_HOUR)),
                                   now_ms);
    }
    (void)fx_compare(f);
    fx_reopen(f);
    (void)fx_compare(f);
}

TEST(random_life_equals_a_sorted_map)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        print_message("seed %d\n", (int)seed);
        run(seed);
    }
}
