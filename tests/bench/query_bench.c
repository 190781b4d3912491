/*
 * query_bench.c - CPU and wall time of query shapes over a real store: 10 000 series × 240 samples.
 *
 * 100 instances scraped every 15 s for an hour. Arguments: threads of the pool (default 0), then
 * a part of a shape's name to run it alone, for a profiler; then anything to leave all rows in
 * memory.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "metrics/metrics.h"
#include "query/query.h"

#define T0 INT64_C(1795219200000) // 2026-11-21T00:00:00Z

enum { INSTANCES = 100, ROWS = 240, STEP_MS = 15000, LABELS_MAX = 8 };

struct shape {
    const char *name;
    const char *query;
    int64_t step_ms; // 0: instant, at the end
};

static const struct shape shapes[] = {
    { "select, range", "node_memory_MemAvailable_bytes", 15000 },
    { "select many, range", "node_cpu_seconds_total", 60000 },
    { "select many, instant", "node_cpu_seconds_total", 0 },
    { "rate, range", "rate(node_cpu_seconds_total[5m])", 15000 },
    { "sum rate by, range", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 15000 },
    { "sum rate by, 60 s", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 60000 },
    { "sum rate by, instant", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 0 },
    { "sum rate without", "sum without (cpu) (rate(node_cpu_seconds_total[5m]))", 15000 },
    { "ratio of errors",
      "sum(rate(http_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))",
      15000 },
    { "cpu busy", "100 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) * 100",
      15000 },
    { "histogram_quantile by le",
      "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
      15000 },
    { "histogram_quantile all",
      "histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m]))", 15000 },
    { "mean duration",
      "rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])",
      15000 },
    { "join group_left",
      "sum by (instance, handler) (rate(http_requests_total[5m])) * on(instance) group_left "
      "(version) build_info",
      15000 },
    { "topk", "topk(10, rate(http_requests_total[5m]))", 15000 },
    { "topk of sum", "topk(5, sum by (instance) (rate(http_requests_total[5m])))", 15000 },
    { "regex", "sum(rate({__name__=~\"http_.*\", code=~\"2..|4..\"}[5m]))", 15000 },
    { "comparison", "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.5", 15000 },
    { "unless", "up == 1 unless on(instance) queue_length > 90", 15000 },
    { "max_over_time", "max_over_time(queue_length[10m])", 15000 },
    { "avg_over_time", "avg_over_time(queue_length[10m])", 15000 },
    { "quantile_over_time", "quantile_over_time(0.95, queue_length[10m])", 15000 },
    { "subquery", "max_over_time(sum by (instance) (rate(http_requests_total[5m]))[30m:1m])",
      60000 },
    { "increase 1h, instant", "sum by (code) (increase(http_requests_total[1h]))", 0 },
    { "count all, instant", "count({__name__!=\"\"})", 0 },
    { "count by name, instant", "topk(10, count by (__name__) ({__name__!=\"\"}))", 0 },
    { "quantile of all", "quantile by (mode) (0.9, rate(node_cpu_seconds_total[5m]))", 15000 },
    { "label_replace",
      "sum by (host) (label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\"))", 15000 },
    { "absent", "absent(up{job=\"nothing\"})", 15000 },
    { "deriv", "deriv(node_memory_MemAvailable_bytes[10m])", 15000 },
};

/* ---- data ---- */

struct filler {
    struct append_batch *batch;
    struct arena arena;
    uint64_t seed;
    struct series_ref *ref;
    bool *counter;
    double *value, *speed;
    size_t n, cap;
};

static void check(bool ok, const struct err *e)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

static double random_unit(struct filler *f)
{
    f->seed = f->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(f->seed >> 11) / 0x1p53;
}

// Pairs of name and value, in order of the names.
static void add_series(struct filler *f, bool counter, const char *const *pairs, size_t n)
{
    struct label ls[LABELS_MAX];
    struct err e;

    for (size_t i = 0; i < n; i++)
        ls[i] = (struct label){ str_c(pairs[2 * i]), str_c(pairs[2 * i + 1]) };
    check(append_resolve(f->batch, (struct labels){ ls, n }, &f->ref[f->n], &e), &e);
    f->counter[f->n] = counter;
    f->value[f->n] = floor(random_unit(f) * 1e6);
    f->speed[f->n] = random_unit(f) < 0.3 ? 0 : random_unit(f) * 20;
    f->n++;
}

#define ADD(f, counter, ...)                                 \
    do {                                                     \
        const char *const pairs[] = { __VA_ARGS__ };         \
        add_series(f, counter, pairs, ARRAY_LEN(pairs) / 2); \
    } while (0)

static void add_http(struct filler *f, const char *host, const char *job)
{
    static const char *const codes[] = { "200", "404", "500" };
    static const char *const bounds[] = { "0.005", "0.01", "0.025", "0.05", "0.1",  "0.25",
                                          "0.5",   "1.0",  "2.5",   "5.0",  "10.0", "+Inf" };

    for (int h = 0; h < 5; h++)
        for (size_t c = 0; c < ARRAY_LEN(codes); c++)
            ADD(f, true, "__name__", "http_requests_total", "code", codes[c], "handler",
                arena_printf(&f->arena, "/api/v1/handler%d", h).p, "instance", host, "job", job);
    for (int h = 0; h < 3; h++) {
        const char *handler = arena_printf(&f->arena, "/api/v1/handler%d", h).p;

        ADD(f, true, "__name__", "http_request_duration_seconds_sum", "handler", handler,
            "instance", host, "job", job);
        ADD(f, true, "__name__", "http_request_duration_seconds_count", "handler", handler,
            "instance", host, "job", job);
        for (size_t b = 0; b < ARRAY_LEN(bounds); b++)
            ADD(f, true, "__name__", "http_request_duration_seconds_bucket", "handler", handler,
                "instance", host, "job", job, "le", bounds[b]);
    }
}

static void add_instance(struct filler *f, int i)
{
    static const char *const modes[] = { "idle",    "iowait", "irq",    "nice",
                                         "softirq", "steal",  "system", "user" };
    const char *host = arena_printf(&f->arena, "host-%03d.example.net:9100", i).p;
    const char *job = i % 2 ? "api" : "worker";

    ADD(f, false, "__name__", "up", "instance", host, "job", job);
    ADD(f, false, "__name__", "build_info", "instance", host, "job", job, "version",
        i % 3 ? "1.2.3" : "1.2.4");
    ADD(f, false, "__name__", "node_memory_MemAvailable_bytes", "instance", host, "job", job);
    ADD(f, false, "__name__", "node_memory_MemTotal_bytes", "instance", host, "job", job);
    for (int cpu = 0; cpu < 4; cpu++)
        for (size_t m = 0; m < ARRAY_LEN(modes); m++)
            ADD(f, true, "__name__", "node_cpu_seconds_total", "cpu",
                arena_printf(&f->arena, "%d", cpu).p, "instance", host, "job", job, "mode",
                modes[m]);
    for (int k = 0; k < 7; k++)
        ADD(f, false, "__name__", "queue_length", "instance", host, "job", job, "queue",
            arena_printf(&f->arena, "queue-%d", k).p);
    add_http(f, host, job);
}

static void add_row(struct filler *f, size_t i, int64_t t_ms)
{
    if (f->counter[i] && f->speed[i] != 0)
        f->value[i] += floor(f->speed[i] * 15 * random_unit(f) * 100) / 100;
    else if (f->speed[i] != 0)
        f->value[i] = floor(100 * random_unit(f));
    append_float(f->batch, f->ref[i], t_ms, f->value[i]);
}

static void fill(struct metrics *m, struct metrics_tenant *t, bool flush)
{
    struct filler f = { .batch = append_batch_new(t), .seed = 7, .cap = INSTANCES * 110 };
    struct append_stats stats;
    struct err e;

    f.ref = xcalloc(f.cap, sizeof *f.ref);
    f.counter = xcalloc(f.cap, sizeof *f.counter);
    f.value = xcalloc(f.cap, sizeof *f.value);
    f.speed = xcalloc(f.cap, sizeof *f.speed);
    for (int i = 0; i < INSTANCES; i++)
        add_instance(&f, i);
    size_t per = f.n / INSTANCES;
    for (int k = 0; k < ROWS; k++) {
        for (size_t i = 0; i < f.n; i++)
            add_row(&f, i, T0 + k * STEP_MS + (int64_t)(i / per) * 137);
        check(append_commit(f.batch, &stats, NULL, &e), &e);
    }
    append_batch_free(f.batch);
    check(!flush || (metrics_flush(m, &e) && metrics_merge(m, &e)), &e);
    printf("%zu series, %d rows each\n", f.n, ROWS);
    xfree(f.ref);
    xfree(f.counter);
    xfree(f.value);
    xfree(f.speed);
    arena_fini(&f.arena);
}

/* ---- shapes ---- */

static double seconds(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct took {
    double cpu, wall;
    size_t series;
};

static void run_once(const struct query_engine *g, struct series_source *source,
                     const struct shape *s, struct took *best)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct budget b = { .what = "query" };
    struct query_result out = { 0 };
    struct query_request r = { .text = str_c(s->query),
                               .range = s->step_ms > 0,
                               .start_ms = T0 + (s->step_ms ? 0 : (ROWS - 1) * STEP_MS),
                               .end_ms = T0 + (ROWS - 1) * STEP_MS,
                               .step_ms = s->step_ms };
    struct err e;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);

    check(query_run(g, &r, source, &b, &a, &out, &e), &e);
    best->cpu = fmin(best->cpu, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    best->wall = fmin(best->wall, seconds(CLOCK_MONOTONIC) - wall);
    best->series = out.series_count;
}

static void run_label_values(struct series_source *source)
{
    struct matcher m = { MATCH_EQ, LABEL_NAME, STR("node_cpu_seconds_total"), NULL };
    struct took best = { 1e9, 1e9, 0 };

    for (int i = 0; i < 20; i++) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct series_view *v;
        struct budget b = { 0 };
        struct select_query q = { .matchers = &m,
                                  .matcher_count = 1,
                                  .min_ms = T0,
                                  .max_ms = T0 + ROWS * STEP_MS,
                                  .label = STR("instance") };
        struct series_set set;
        struct str *values;
        struct err e;
        double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

        check(source->open(source, q.min_ms, q.max_ms, &v, &e), &e);
        check(v->ops->label_strings(v, &q, &a, &b, &values, &best.series, &e), &e);
        best.cpu = fmin(best.cpu, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        check(v->ops->select(v, &q, &a, &b, &set, &e), &e);
        best.wall = fmin(best.wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        series_view_put(v);
    }
    printf("%-26s cpu %9.3f ms                     %6zu values\n", "label values", best.cpu * 1e3,
           best.series);
    printf("%-26s cpu %9.3f ms\n", "series", best.wall * 1e3);
}

int main(int argc, char **argv)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct clock clock = clock_fake(T0 + MS_HOUR);
    struct metrics_options o = {
        .path = file_temp_dir(&a), .clock = &clock, .no_background = true, .shards = 2
    };
    struct query_engine engine = { .early_name_removal = true };
    const char *only = argc > 2 ? argv[2] : "";
    struct metrics *m;
    struct metrics_tenant *t;
    struct err e;
    double sum = 0;
    size_t n = 0;

    check(metrics_open(&m, &o, &e) && metrics_tenant(m, STR("anonymous"), &t, &e), &e);
    fill(m, t, argc < 4);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct took best = { 1e9, 1e9, 0 };
        double until = seconds(CLOCK_MONOTONIC) + (*only ? 5 : 0.25);

        if (!strstr(shapes[i].name, only))
            continue;
        for (int k = 0; k < 3 || seconds(CLOCK_MONOTONIC) < until; k++)
            run_once(&engine, metrics_source(t), &shapes[i], &best);
        printf("%-26s cpu %9.3f ms  wall %9.3f ms  %6zu series\n", shapes[i].name, best.cpu * 1e3,
               best.wall * 1e3, best.series);
        sum += log(best.cpu);
        n++;
    }
    if (!*only)
        run_label_values(metrics_source(t));
    printf("geometric mean %.3f ms\n", exp(sum / (double)n) * 1e3);
    metrics_close(m);
    check(file_remove_tree(o.path, &e), &e);
    return 0;
}
