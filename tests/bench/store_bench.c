/*
 * store_bench.c - figures of the metric store: append, disk, memory, scan, restart.
 *
 *   store_bench [series] [steps] [folder]      100000 200 below $TMPDIR
 *
 * Values are like a scraped host's: a third constant, a third counters, the rest gauges.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/time.h"
#include "metrics/metrics.h"

#define START_MS INT64_C(1795219200000)

static double now_s(void)
{
    return (double)clock_mono_ns(clock_real()) / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double rss_mib(void)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text, word;
    struct err e = { 0 };
    uint64_t pages = 0;

    if (!file_read(&a, "/proc/self/statm", 4096, &text, &e))
        return 0;
    (void)str_cut(&text, ' ');
    word = str_cut(&text, ' ');
    (void)str_to_u64(word, &pages);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void die(const struct err *e)
{
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

static double value_of(uint32_t i, int step)
{
    uint32_t h = (uint32_t)hash_u64(i);

    if (h % 3 == 0)
        return (double)(h % 1000);
    if (h % 3 == 1)
        return (double)(h % 100000) + (double)step * (double)(h % 50);
    return (double)((int64_t)(hash_u64(i * 1000003ull + (unsigned)step) % 2000) - 1000) / 100;
}

struct bench {
    struct metrics_options o;
    struct metrics *m;
    struct metrics_tenant *t;
    struct clock clock;
    uint32_t series;
    int steps;
    struct series_ref *refs;
};

static void open_store(struct bench *b)
{
    struct err e = { 0 };

    if (!metrics_open(&b->m, &b->o, &e) || !metrics_tenant(b->m, STR("anonymous"), &b->t, &e))
        die(&e);
}

static void resolve(struct bench *b, struct append_batch *batch)
{
    struct arena a = { 0 };
    struct err e = { 0 };

    for (uint32_t i = 0; i < b->series; i++) {
        struct label l[10];
        struct labels ls = { l, 10 };

        l[0] = (struct label){ LABEL_NAME, arena_printf(&a, "metric_%u_total", i % 500) };
        l[1] = (struct label){ STR("cluster"), STR("eu-west-1") };
        l[2] = (struct label){ STR("container"), arena_printf(&a, "app-%u", i / 500 % 40) };
        l[3] = (struct label){ STR("endpoint"), STR("http-metrics") };
        l[4] = (struct label){ STR("instance"), arena_printf(&a, "10.0.%u.7:9100", i / 500) };
        l[5] = (struct label){ STR("job"), arena_printf(&a, "job-%u", i / 500 % 20) };
        l[6] = (struct label){ STR("mode"), arena_printf(&a, "m%u", i % 8) };
        l[7] = (struct label){ STR("namespace"), STR("production") };
        l[8] = (struct label){ STR("pod"), arena_printf(&a, "app-%u-7d9f%x", i / 500, i / 500) };
        l[9] = (struct label){ STR("service"), arena_printf(&a, "svc-%u", i / 500 % 40) };
        if (!append_resolve(batch, ls, &b->refs[i], &e))
            die(&e);
        arena_reset(&a);
    }
    arena_fini(&a);
}

// One step: targets of 500 series, one batch each, as a scraper commits them.
static void append_step(struct bench *b, struct append_batch *batch, int step, uint32_t per_batch)
{
    int64_t t_ms = START_MS + (int64_t)step * 15000;
    struct err e = { 0 };

    for (uint32_t i = 0; i < b->series; i += per_batch) {
        for (uint32_t k = i; k < i + per_batch && k < b->series; k++)
            append_float(batch, b->refs[k], t_ms, value_of(k, step));
        if (!append_commit(batch, NULL, NULL, &e))
            die(&e);
    }
}

struct sums {
    uint64_t samples;
    double sum;
};

static bool add_up(void *ctx, uint32_t pos UNUSED, const struct series_samples *s,
                   struct err *e UNUSED)
{
    struct sums *x = ctx;

    for (size_t i = 0; i < s->n; i++)
        x->sum += s->value[i];
    x->samples += s->n;
    return true;
}

static void scan_all(struct bench *b, const char *what)
{
    struct arena a = { 0 };
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = START_MS, .max_ms = START_MS + MS_DAY - 1
    };
    struct scan_query scan = { .min_ms = START_MS, .max_ms = START_MS + MS_DAY - 1 };
    struct series_source *source = metrics_source(b->t);
    struct series_view *v;
    struct series_set set;
    struct sums sums = { 0 };
    double t0 = now_s(), t1;

    if (!source->open(source, q.min_ms, q.max_ms, &v, &e) ||
        !v->ops->select(v, &q, &a, &budget, &set, &e))
        die(&e);
    t1 = now_s();
    if (!v->ops->scan(v, &set, &scan, &budget, add_up, &sums, &e))
        die(&e);
    printf("scan %-18s %zu series, select %.1f ms, %llu samples, %.2f ns/sample\n", what, set.n,
           (t1 - t0) * 1e3, (unsigned long long)sums.samples,
           (now_s() - t1) * 1e9 / (double)MAX(sums.samples, 1));
    series_view_put(v);
    arena_fini(&a);
}

static void append_all(struct bench *b)
{
    struct append_batch *batch = append_batch_new(b->t);
    double t0 = now_s(), c0 = cpu_s(), r0 = rss_mib(), rows = (double)b->series * b->steps;
    struct metrics_stats stats;
    struct err e = { 0 };

    resolve(b, batch);
    append_step(b, batch, 0, b->series);
    printf("register     %.0f ns/series\n", (now_s() - t0) * 1e9 / b->series);
    t0 = now_s(), c0 = cpu_s();
    for (int k = 1; k < b->steps; k++) {
        append_step(b, batch, k, k % 2 ? 500 : 20000);
        b->clock.fake_ms = START_MS + (int64_t)k * 15000;
        if (k % 16 == 15 && !metrics_flush(b->m, &e))
            die(&e);
        if (k % 128 == 127 && !metrics_merge(b->m, &e))
            die(&e);
    }
    printf("append       %.1f ns/row wall, %.1f ns/row CPU with flushing and merging\n",
           (now_s() - t0) * 1e9 / rows, (cpu_s() - c0) * 1e9 / rows);
    metrics_stats(b->m, &stats);
    printf("memory       %.0f bytes/series (RSS %.1f MiB)\n",
           (rss_mib() - r0) * (1 << 20) / b->series, rss_mib());
    scan_all(b, "open partition");
    append_batch_free(batch);
}

static void append_only(struct bench *b)
{
    struct append_batch *batch = append_batch_new(b->t);
    double t0, c0;
    int steps = 10;

    resolve(b, batch);
    append_step(b, batch, b->steps, b->series);
    t0 = now_s(), c0 = cpu_s();
    for (int k = 1; k <= steps; k++)
        append_step(b, batch, b->steps + k, 5000);
    printf("append only  %.1f ns/row wall, %.1f ns/row CPU (batches of 5000)\n",
           (now_s() - t0) * 1e9 / b->series / steps, (cpu_s() - c0) * 1e9 / b->series / steps);
    append_batch_free(batch);
    scan_all(b, "with tails");
}

static void close_day(struct bench *b)
{
    struct append_batch *batch = append_batch_new(b->t);
    struct metrics_stats stats;
    struct err e = { 0 };
    double t0;

    b->clock.fake_ms = START_MS + MS_DAY + 2 * MS_HOUR;
    append_float(batch, b->refs[0], b->clock.fake_ms, 1);
    if (!append_commit(batch, NULL, NULL, &e))
        die(&e);
    append_batch_free(batch);
    t0 = now_s();
    if (!metrics_merge(b->m, &e))
        die(&e);
    metrics_stats(b->m, &stats);
    printf("close        %.2f s: %.3f bytes/sample parts, %.1f bytes/series catalog\n",
           now_s() - t0, (double)stats.part_bytes / (double)b->series / (b->steps + 11),
           (double)stats.catalog_bytes / b->series);
    scan_all(b, "closed partition");
    scan_all(b, "closed, again");
}

int main(int argc, char **argv)
{
    struct arena a = { 0 };
    struct bench b = { .series = 100000, .steps = 200, .clock = clock_fake(START_MS + MS_HOUR) };
    uint64_t n;
    double t0;
    struct metrics_stats stats;
    struct err e = { 0 };

    if (argc > 1 && str_to_u64(str_c(argv[1]), &n))
        b.series = (uint32_t)n;
    if (argc > 2 && str_to_u64(str_c(argv[2]), &n))
        b.steps = (int)n;
    b.o = (struct metrics_options){ .path = argc > 3 ? argv[3] : file_temp_dir(&a),
                                    .clock = &b.clock,
                                    .no_background = true,
                                    .leave_logs = true };
    b.refs = xcalloc(b.series, sizeof *b.refs);
    open_store(&b);
    append_all(&b);
    append_only(&b);
    metrics_close(b.m);
    t0 = now_s();
    b.o.clock = &b.clock;
    open_store(&b);
    metrics_stats(b.m, &stats);
    printf("restart      %.3f s with %llu rows in logs and %u series\n", now_s() - t0,
           (unsigned long long)stats.replayed_rows, b.series);
    struct append_batch *batch = append_batch_new(b.t);
    resolve(&b, batch);
    append_batch_free(batch);
    close_day(&b);
    metrics_close(b.m);
    if (argc <= 3 && !file_remove_tree(b.o.path, &e))
        die(&e);
    xfree(b.refs);
    arena_fini(&a);
    return 0;
}
