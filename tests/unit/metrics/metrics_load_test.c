/*
 * metrics_load_test.c - midnight with many series, a slow disk, a power cut.
 *
 * VIGIE_TEST_SERIES sets how many series cross midnight; 20000, and 1000000 is the goal.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/fault.h"
#include "base/sort.h"
#include "base/thread.h"
#include "metrics/metrics.h"
#include "metrics_harness.h"

/* ---- midnight ---- */

enum { TARGET_SERIES = 1000, BEFORE = 3, AFTER = 3 };

static bool count_rows(void *ctx, uint32_t pos UNUSED, const struct series_samples *s,
                       struct err *e UNUSED)
{
    *(uint64_t *)ctx += s->n;
    return true;
}

static uint64_t rows_between(struct metrics_tenant *t, int64_t min_ms, int64_t max_ms,
                             size_t *series)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms
    };
    struct scan_query scan = { .min_ms = min_ms, .max_ms = max_ms };
    struct series_set set = { 0 };
    struct series_source *source = metrics_source(t);
    uint64_t rows = 0;

    CHECK_OK(source->open(source, min_ms, max_ms, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    CHECK_OK(v->ops->scan(v, &set, &scan, &budget, count_rows, &rows, &e), &e);
    *series = set.n;
    return rows;
}

static int by_time(const void *a, const void *b, void *ctx UNUSED)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int64_t p99_us(int64_t *ns, size_t n)
{
    sort_stable(ns, n, sizeof *ns, by_time, NULL);
    return ns[n * 99 / 100] / 1000;
}

static long peak_mib(void)
{
    struct rusage r;

    CHECK(getrusage(RUSAGE_SELF, &r) == 0);
    return r.ru_maxrss / 1024;
}

// One scrape of a target, by refs as a scraper holds them.
static void commit_target(struct fixture *f, struct series_ref *refs, size_t n, int64_t t_ms)
{
    uint8_t *status = xcalloc(n, 1);
    struct err e = { 0 };

    for (size_t i = 0; i < n; i++)
        append_float(f->b, refs[i], t_ms, (double)i);
    CHECK_OK(append_commit(f->b, NULL, status, &e), &e);
    for (size_t i = 0; i < n; i++)
        CHECK_F(status[i] == APPEND_OK, "row %zu: %s", i, append_status_text(status[i]));
    xfree(status);
}

TEST(midnight_with_many_series_loses_nothing)
{
    const char *env = getenv("VIGIE_TEST_SERIES");
    struct metrics_options o = { .shards = 2 };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    OWNED(arena_fini) struct arena a = { 0 };
    uint64_t count = 20000;
    int64_t midnight = T0 + MS_DAY, ns[2][4096];
    size_t n[2] = { 0 }, series;
    long before_mib = 0;

    CHECK(!env || str_to_u64(str_c(env), &count));
    count -= count % TARGET_SERIES;
    struct series_ref *refs = arena_array(&a, count, struct series_ref);
    for (int k = -BEFORE; k < AFTER; k++) {
        f->clock.fake_ms = midnight + k * 15000;
        if (k == 0)
            before_mib = peak_mib();
        for (uint64_t at = 0; at < count; at += TARGET_SERIES) {
            for (size_t i = 0; k == -BEFORE && i < TARGET_SERIES; i++)
                refs[at + i] = fx_ref(f, (unsigned)(at + i));
            int64_t from_ns = clock_mono_ns(clock_real());
            commit_target(f, refs + at, TARGET_SERIES, f->clock.fake_ms);
            if (n[k >= 0] < 4096 && k > -BEFORE)
                ns[k >= 0][n[k >= 0]++] = clock_mono_ns(clock_real()) - from_ns;
        }
    }
    print_message("%llu series: p99 of a commit of %d rows %lld us before, %lld us after midnight; "
                  "peak %ld MiB before, %ld MiB after\n",
                  (unsigned long long)count, TARGET_SERIES, (long long)p99_us(ns[0], n[0]),
                  (long long)p99_us(ns[1], n[1]), before_mib, peak_mib());
    CHECK(rows_between(f->t, T0, T0 + 2 * (int64_t)MS_DAY, &series) == count * (BEFORE + AFTER));
    CHECK(series == count);
    CHECK(rows_between(f->t, midnight, midnight + MS_HOUR, &series) == count * AFTER);
}

/* ---- a slow disk ---- */

struct appender {
    struct fixture *f;
    atomic_bool done;
    bool ok;
};

static void *append_one(void *ctx)
{
    struct appender *p = ctx;
    struct err e = { 0 };

    for (unsigned i = 0; i < 50; i++)
        fx_add(p->f, i, T0 + MS_MINUTE, 1);
    p->ok = append_commit(p->f->b, NULL, NULL, &e);
    atomic_store_explicit(&p->done, true, memory_order_release);
    return NULL;
}

static void *flush_one(void *ctx)
{
    struct appender *p = ctx;
    struct err e = { 0 };

    p->ok = metrics_flush(p->f->m, &e);
    atomic_store_explicit(&p->done, true, memory_order_release);
    return NULL;
}

static void wait_for_pass(const char *point)
{
    for (int i = 0; i < 5000 && fault_passes(point) == 0; i++)
        usleep(1000);
    CHECK_F(fault_passes(point) > 0, "%s is never passed", point);
}

// The act stalls at the point; meanwhile `meanwhile` returns, which the act has not.
static void stall(struct fixture *f, const char *point, void *(*act)(void *),
                  void (*meanwhile)(struct fixture *f))
{
    struct appender p = { .f = f };
    struct thread t = { 0 };
    struct err e = { 0 };

    fault_delay(point, 500);
    CHECK_OK(thread_start(&t, "act", act, &p, &e), &e);
    wait_for_pass(point);
    meanwhile(f);
    CHECK_F(!atomic_load_explicit(&p.done, memory_order_acquire), "%s: waited for the disk", point);
    fault_clear();
    thread_join(&t);
    CHECK(p.ok);
}

static void read_all(struct fixture *f)
{
    size_t series;

    CHECK(rows_between(f->t, T0, T0 + MS_MINUTE - 1, &series) == 50);
}

static void read_and_append(struct fixture *f)
{
    read_all(f);
    fx_scrape(f, 0, 50, T0 + 2 * MS_MINUTE);
}

TEST(reads_go_on_while_the_log_waits_for_the_disk)
{
    static const char *const points[] = { "log.catalog", "log.rows", "rowlog.write" };

    FOR_CASES (point, points) {
        struct metrics_options o = { .shards = 2 };
        OWNED(fx_free) struct fixture *f = fx_new(&o);

        fx_scrape(f, 0, 50, T0);
        stall(f, *point, append_one, read_all);
    }
}

TEST(reads_and_appends_go_on_while_a_flush_waits_for_the_disk)
{
    static const char *const points[] = { "part.write", "part.sync", "manifest.commit",
                                          "flush.committed" };

    FOR_CASES (point, points) {
        struct metrics_options o = { .shards = 2 };
        OWNED(fx_free) struct fixture *f = fx_new(&o);

        fx_scrape(f, 0, 50, T0);
        stall(f, *point, flush_one, read_and_append);
        (void)fx_compare(f);
    }
}

/* ---- a power cut ---- */

enum { LOGS_MAX = 64, CUT_STEPS = 12, CUT_SAFE = 6 };

struct log_sizes {
    struct str path[LOGS_MAX];
    size_t used[LOGS_MAX], n;
};

// Bytes of the logs up to the last that is not zero, rounded up to a frame's alignment.
static void measure_logs(struct arena *a, const char *root, struct log_sizes *s)
{
    struct str files[LOGS_MAX], bytes;
    struct err e = { 0 };
    size_t n = 0;

    s->n = 0;
    fx_list_tree(a, root, files, &n, LOGS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!str_ends(files[i], STR(".log")) || str_find(files[i], STR("metadata")) < files[i].n)
            continue;
        CHECK_OK(file_read(a, files[i].p, 80 << 20, &bytes, &e), &e);
        while (bytes.n && bytes.p[bytes.n - 1] == 0)
            bytes.n--;
        s->path[s->n] = files[i];
        s->used[s->n++] = (bytes.n + 7) / 8 * 8;
    }
}

static size_t size_before(const struct log_sizes *s, struct str path)
{
    for (size_t i = 0; i < s->n; i++) {
        if (str_eq(s->path[i], path))
            return s->used[i];
    }
    return 64; // the head, which is synced before the log is used
}

// Drops what the disk had not yet: from a point of each log on, which is cut off or zeros.
static void cut_logs(const char *root, const struct log_sizes *synced, struct rand_state *r)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct log_sizes now;

    measure_logs(&a, root, &now);
    for (size_t i = 0; i < now.n; i++) {
        size_t keep = size_before(synced, now.path[i]);

        keep = MIN(keep + rand_next(r) % (MAX(now.used[i], keep) - keep + 9), now.used[i]);
        CHECK(truncate(now.path[i].p, (off_t)keep) == 0);
        if (rand_next(r) % 2)
            CHECK(truncate(now.path[i].p, (off_t)now.used[i] + 4096) == 0);
    }
}

static void cut_step(struct fixture *f, int k)
{
    fx_scrape(f, 0, 10 + 8 * (unsigned)k, T0 + k * 15000); // new series in each
}

// synced: what was acknowledged up to CUT_SAFE is on disk, as with sync_always; else nothing is.
static void power_cut(uint64_t seed, bool synced)
{
    struct metrics_options o = { .shards = 2, .leave_logs = true, .sync_always = synced };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    OWNED(arena_fini) struct arena a = { 0 };
    const char *root = arena_printf(&a, "%s/tenants", f->o.path).p;
    struct rand_state r = rand_seeded(seed);
    struct log_sizes sizes = { .n = 0 };
    struct err e = { 0 };
    uint64_t safe = 0, left;
    size_t series;

    for (int k = 0; k < CUT_STEPS; k++) {
        cut_step(f, k);
        safe += synced && k < CUT_SAFE ? 10 + 8 * (uint64_t)k : 0;
        if (synced && k == CUT_SAFE - 1)
            measure_logs(&a, root, &sizes);
    }
    append_batch_free(f->b);
    metrics_close(f->m);
    f->b = NULL;
    f->m = NULL;
    cut_logs(root, &sizes, &r);
    CHECK_OK(metrics_open(&f->m, &f->o, &e), &e);
    CHECK_OK(metrics_tenant(f->m, STR("anonymous"), &f->t, &e), &e);
    f->b = append_batch_new(f->t);
    left = fx_read_what_is_left(f, NULL, NULL);
    CHECK_F(left >= safe, "seed %d: %d rows left of %d that were synced", (int)seed, (int)left,
            (int)safe);
    for (unsigned i = 300; i < 340; i++) { // new series must not inherit the rows of lost ones
        fx_add(f, i, T0 + CUT_STEPS * 15000, i);
        ledger_add(f->ledger, i, T0 + CUT_STEPS * 15000, double_bits(i));
    }
    (void)fx_commit(f);
    CHECK(fx_read_what_is_left(f, NULL, NULL) == left + 40);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    fx_reopen(f);
    CHECK(fx_read_what_is_left(f, NULL, NULL) == left + 40);
    CHECK(rows_between(f->t, T0 + CUT_STEPS * 15000, T0 + MS_DAY, &series) == 40);
}

TEST(a_power_cut_moves_no_row_to_another_series)
{
    uint64_t n = getenv("VIGIE_TEST_FULL") ? 500 : 10;

    for (uint64_t seed = 1; seed <= n; seed++)
        power_cut(seed, false);
}

TEST(what_was_synced_survives_a_power_cut)
{
    uint64_t n = getenv("VIGIE_TEST_FULL") ? 500 : 10;

    for (uint64_t seed = 1; seed <= n; seed++)
        power_cut(1000 + seed, true);
}
