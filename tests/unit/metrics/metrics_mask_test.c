/*
 * metrics_mask_test.c - deleting hides what was there, at once and over kills, and nothing that comes later.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/fault.h"
#include "metrics_harness.h"

enum { N = 40 };

static void forget(struct fixture *f, const struct matcher *m, int64_t min_ms, int64_t max_ms)
{
    struct metrics_delete d = { m, 1, min_ms, max_ms };
    struct err e = { 0 };

    CHECK_OK(metrics_delete(f->t, &d, &e), &e);
}

static const struct matcher job_1 = { MATCH_EQ, { "job", 3 }, { "job-1", 5 }, NULL };

static void forget_job_1(struct fixture *f, int64_t min_ms, int64_t max_ms)
{
    for (unsigned i = 1; i < N; i += 3)
        ledger_remove(f->ledger, i, min_ms, max_ms);
}

TEST(deleted_series_are_gone_and_may_come_back)
{
    OWNED(fx_free) struct fixture *f = fx_new(&(struct metrics_options){ .shards = 2 });
    struct err e = { 0 };

    for (int k = 0; k < 10; k++)
        fx_scrape(f, 0, N, T0 + k * 15000);
    forget(f, &job_1, INT64_MIN, INT64_MAX);
    forget_job_1(f, INT64_MIN, INT64_MAX);
    CHECK(fx_compare(f) == 10 * (N - 13));
    fx_reopen(f);
    CHECK(fx_compare(f) == 10 * (N - 13));
    fx_scrape(f, 0, N, T0 + 10 * 15000);
    CHECK(fx_compare(f) == 10 * (N - 13) + N);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    CHECK(fx_compare(f) == 10 * (N - 13) + N);
    CHECK_OK(metrics_clean(f->m, &e), &e);
    CHECK(fx_compare(f) == 10 * (N - 13) + N);
}

TEST(only_the_times_asked_for_are_deleted)
{
    OWNED(fx_free) struct fixture *f = fx_new(&(struct metrics_options){ .shards = 2 });

    for (int k = 0; k < 20; k++)
        fx_scrape(f, 0, N, T0 + k * 15000);
    forget(f, &job_1, T0 + 5 * 15000, T0 + 7 * 15000);
    forget(f, &job_1, T0 + 7 * 15000, T0 + 8 * 15000);
    forget_job_1(f, T0 + 5 * 15000, T0 + 8 * 15000);
    CHECK(fx_compare(f) == 20 * N - 13 * 4);
    CHECK(fx_compare_range(f, T0 + 5 * 15000, T0 + 8 * 15000) == 4 * (N - 13));
}

static uint64_t part_bytes(struct fixture *f)
{
    struct metrics_stats stats;

    metrics_stats(f->m, &stats);
    return stats.part_bytes;
}

TEST(cleaning_gives_space_back_and_ends_the_mask)
{
    OWNED(fx_free) struct fixture *f = fx_new(&(struct metrics_options){ .shards = 2 });
    struct err e = { 0 };
    uint64_t before;

    for (int k = 0; k < 200; k++)
        fx_scrape(f, 0, N, T0 + k * 15000);
    forget(f, &job_1, INT64_MIN, INT64_MAX);
    forget_job_1(f, INT64_MIN, INT64_MAX);
    before = part_bytes(f);
    CHECK_OK(metrics_clean(f->m, &e), &e);
    CHECK(part_bytes(f) < before);
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;
    const char
        *path = arena_printf(&a, "%s/tenants/anonymous/metrics/2026-11-21/MANIFEST", f->o.path).p;
    CHECK_OK(file_read(&a, path, 1 << 20, &text, &e), &e);
    CHECK(str_find(text, STR("\nmask ")) == STR_NPOS && str_find(text, STR("\npart ")) != STR_NPOS);
    CHECK(fx_compare(f) == 200 * (N - 13));
    // Everything: no part is left.
    forget(f, &(struct matcher){ MATCH_NE, LABEL_NAME, STR(""), NULL }, INT64_MIN, INT64_MAX);
    for (unsigned i = 0; i < N; i++)
        ledger_remove(f->ledger, i, INT64_MIN, INT64_MAX);
    CHECK_OK(metrics_clean(f->m, &e), &e);
    CHECK(fx_compare(f) == 0 && part_bytes(f) == 0);
}

TEST(odd_values_survive_a_restart)
{
    OWNED(fx_free) struct fixture *f = fx_new(&(struct metrics_options){ .shards = 2 });
    struct regex *re;
    struct err e = { 0 };

    for (int k = 0; k < 3; k++)
        fx_scrape(f, 0, N, T0 + k * 15000);
    CHECK_OK(regex_new(&re, STR("job-1| %&=~\n\u00e9+"), REGEX_ANCHORED, &e), &e);
    forget(f, &(struct matcher){ MATCH_RE, STR("job"), STR("job-1| %&=~\n\u00e9+"), re }, INT64_MIN,
           INT64_MAX);
    regex_free(re);
    forget_job_1(f, INT64_MIN, INT64_MAX);
    CHECK(fx_compare(f) == 3 * (N - 13));
    f->o.leave_logs = true;
    fx_reopen(f);
    CHECK(fx_compare(f) == 3 * (N - 13));
}

TEST(a_failed_deletion_hides_nothing)
{
    OWNED(fx_free) struct fixture *f = fx_new(&(struct metrics_options){ .shards = 2 });
    struct metrics_delete d = { &job_1, 1, INT64_MIN, INT64_MAX };
    struct err e = { 0 };

    for (int k = 0; k < 3; k++)
        fx_scrape(f, 0, N, T0 + k * 15000);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    fault_at("manifest.commit", 1);
    CHECK(!metrics_delete(f->t, &d, &e));
    fault_clear();
    CHECK(fx_compare(f) == 3 * N);
    CHECK_OK(metrics_delete(f->t, &d, &e), &e);
    forget_job_1(f, INT64_MIN, INT64_MAX);
    CHECK(fx_compare(f) == 3 * (N - 13));
}
