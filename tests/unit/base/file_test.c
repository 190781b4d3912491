// file_test.c - files with faults; workers; budgets; the log; self-metrics.
// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/budget.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/pool.h"
#include "test.h"

TEST(replace_is_whole_or_not_at_all)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    const char *dir = file_temp_dir(&a);
    const char *path = arena_printf(&a, "%s/f", dir).p;
    struct str got = STR("untouched");
    static const char *const points[] = { "file.create", "file.write", "file.sync", "file.rename" };

    CHECK(!file_read(&a, path, 100, &got, &e) && e.kind == ERR_NOT_FOUND);
    CHECK_STR(got, STR("untouched"));
    CHECK_OK(file_replace(path, STR("one"), &e), &e);
    FOR_CASES (t, points) {
        fault_at(*t, 1);
        CHECK(!file_replace(path, STR("two"), &e) && e.kind == ERR_IO);
        fault_clear();
        CHECK_OK(file_read(&a, path, 100, &got, &e), &e);
        CHECK_STR(got, STR("one"));
    }
    CHECK_OK(file_replace(path, STR("two"), &e), &e);
    CHECK_OK(file_read(&a, path, 3, &got, &e), &e);
    CHECK_STR(got, STR("two"));
    CHECK(!file_read(&a, path, 2, &got, &e) && e.kind == ERR_LIMIT);
    fault_set("file.write", 1, FAULT_ENOSPC);
    CHECK(!file_replace(path, STR("x"), &e) && e.kind == ERR_UNAVAILABLE);
    fault_clear();
    CHECK_OK(file_remove_tree(dir, &e), &e);
    CHECK(!file_exists(dir));
}

static void bump(void *ctx)
{
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

TEST(pool_runs_everything_before_it_stops)
{
    struct pool *p = NULL;
    struct err e = { 0 };
    _Atomic int n = 0;

    CHECK_OK(
        pool_start(&p, &(struct pool_options){ .name = "t", .threads = 3, .queue_max = 2000 }, &e),
        &e);
    for (int i = 0; i < 1000; i++)
        CHECK_OK(pool_submit(p, bump, &n, &e), &e);
    pool_stop(p);
    CHECK(n == 1000);
}

TEST(budget_limits_memory_and_time)
{
    struct budget b = { .bytes_max = 100, .what = "query" };
    struct err e = { 0 };
    atomic_bool cancelled = false;

    CHECK_OK(budget_charge(&b, 60, &e), &e);
    CHECK(!budget_charge(&b, 41, &e) && e.kind == ERR_LIMIT);
    CHECK_OK(budget_charge(&b, 40, &e), &e);
    budget_refund(&b, 100);
    CHECK(!budget_charge(&b, UINT64_MAX, &e) && b.bytes == 0);
    b.cancelled = &cancelled;
    CHECK_OK(budget_step(&b, 10000, &e), &e);
    cancelled = true;
    CHECK(!budget_step(&b, 10000, &e) && e.kind == ERR_CANCELLED);
    cancelled = false;
    b.deadline_mono_ns = 1;
    CHECK(!budget_step(&b, 10000, &e) && e.kind == ERR_TIMEOUT);
}

static void keep_line(void *ctx, struct str line)
{
    buf_str(ctx, line);
}

TEST(log_lines_are_quoted_and_limited)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    log_capture(keep_line, &b);
    log_info("unit", "hello there", KV("path", "a b\n\""), KV_U64("n", 7));
    log_debug("unit", "not shown");
    CHECK(strstr(buf_cstr(&b), "module=unit msg=\"hello there\" path=\"a b\\n\\\"\" n=7\n"));
    CHECK(!strstr(b.p, "not shown"));
    buf_reset(&b);
    for (int i = 0; i < 50; i++)
        log_warn("unit", "again");
    size_t lines = 0;
    for (size_t i = 0; i < b.n; i++)
        lines += b.p[i] == '\n';
    CHECK_F(lines >= 10 && lines <= 20, "%zu lines", lines); // 20: across a minute's end
    CHECK(!log_configure(STR("loud"), STR("logfmt"), &e));
    CHECK_OK(log_configure(STR("warn,unit=debug"), STR("json"), &e), &e);
    buf_reset(&b);
    log_debug("unit", "shown", KV_F64("f", 0.5));
    log_info("other", "hidden");
    CHECK(strstr(buf_cstr(&b), "\"msg\":\"shown\",\"f\":0.5}\n") && !strstr(b.p, "hidden"));
    CHECK_OK(log_configure(STR("info"), STR("logfmt"), &e), &e);
    log_capture(NULL, NULL);
}

static void sum_family(void *ctx, const struct metric_sample *s)
{
    if (str_eq(s->family, STR("unit_total")))
        *(double *)ctx += s->value;
    if (str_eq(s->family, STR("unit_seconds")))
        *(double *)ctx += (double)s->counts[0] * 100 + (double)s->counts[1] * 10000;
}

TEST(metrics_are_found_by_name)
{
    static const char *const names[] = { "code" };
    static const double bounds[] = { 1 };
    struct metric_family *f = metric_family("unit_total", "Test.", METRIC_COUNTER, names, 1);
    struct str a = STR("200"), b = STR("500");
    double sum = 0;

    metric_add(metric_child(f, &a), 1);
    metric_add(metric_child(f, &b), 2);
    metric_add(metric_child(f, &a), 3);
    metric_observe(metric_histogram("unit_seconds", "Test.", bounds, 1), 0.5);
    metric_observe(metric_histogram("unit_seconds", "Test.", bounds, 1), 5);
    metric_each(sum_family, &sum);
    CHECK_F(sum == 6 + 100 + 10000, "%g", sum);
}
