// otlp_bench.c - CPU time of OTLP metrics in protobuf from the request to the log, per data point.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "codec/proto.h"
#include "face/otlp_translate.h"

enum { SERIES = 20000, REQUEST_POINTS = 2000, ATTRS = 10, ROUNDS = 50 };

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put_attr(struct buf *b, uint32_t number, const char *key, struct str value)
{
    size_t attr = proto_begin(b, number);

    proto_put_bytes(b, 1, str_c(key));
    size_t v = proto_begin(b, 2);
    proto_put_bytes(b, 1, value);
    proto_end(b, v);
    proto_end(b, attr);
}

static void put_point(struct buf *b, int series, int64_t t_ms)
{
    static const char *const keys[ATTRS] = { "http.method", "http.route",   "http.status_code",
                                             "net.host",    "net.peer",     "region",
                                             "zone",        "service.tier", "user.kind",
                                             "series" };
    size_t p = proto_begin(b, 1);
    char text[32];

    for (int i = 0; i < ATTRS; i++) {
        int n = snprintf(text, sizeof text, "value-%d", i == ATTRS - 1 ? series : series % (i + 2));
        put_attr(b, 7, keys[i], str_of(text, (size_t)n));
    }
    proto_put_fixed64(b, 2, (uint64_t)(t_ms - 60000) * 1000000);
    proto_put_fixed64(b, 3, (uint64_t)t_ms * 1000000);
    proto_put_double(b, 4, (double)(t_ms % 1000000) + series);
    proto_end(b, p);
}

static void put_request(struct buf *b, int first, int64_t t_ms)
{
    size_t r = proto_begin(b, 1), resource = proto_begin(b, 1);

    put_attr(b, 1, "service.name", STR("shop"));
    put_attr(b, 1, "host.name", STR("h1"));
    proto_end(b, resource);
    size_t scope = proto_begin(b, 2), metric = proto_begin(b, 2);
    proto_put_bytes(b, 1, STR("http.server.requests"));
    size_t sum = proto_begin(b, 7);
    for (int i = 0; i < REQUEST_POINTS; i++)
        put_point(b, first + i, t_ms);
    proto_put_varint(b, 2, 2);
    proto_put_varint(b, 3, 1);
    proto_end(b, sum);
    proto_end(b, metric);
    proto_end(b, scope);
    proto_end(b, r);
}

static void send_round(struct intake *in, const struct otlp_options *o, int64_t t_ms, double *cpu,
                       uint64_t *bytes)
{
    for (int first = 0; first < SERIES; first += REQUEST_POINTS) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct otlp_outcome out;
        struct err e = { 0 };

        put_request(&b, first, t_ms);
        struct otlp_job job = { .intake = in, .o = o, .body = buf_view(&b) };
        double began = cpu_s();
        bool ok = otlp_store_metrics(&job, &a, &out, &e);
        *cpu += cpu_s() - began;
        *bytes += b.n;
        assert(ok && out.status == 200 && !out.rejected);
    }
}

int main(void)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const int64_t t0 = INT64_C(1795262400000);
    struct clock clock = clock_fake(t0);
    struct conf_otlp conf = { .translation_strategy = STR("UnderscoreEscapingWithSuffixes") };
    struct otlp_options o = { .lookback_ms = 300000 };
    const char *dir = file_temp_dir(&a);
    double cold = 0, warm = 0;
    uint64_t bytes = 0, skip = 0;
    struct metrics *m;
    struct intake *in;
    struct err e = { 0 };

    bool ok = metrics_open(
                  &m,
                  &(struct metrics_options){ .path = dir, .clock = &clock, .no_background = true },
                  &e) &&
              intake_new(&in, &(struct intake_options){ .metrics = m, .clock = &clock }, &e);
    assert(ok);
    otlp_options_set(&o, &conf);
    send_round(in, &o, t0, &cold, &skip);
    for (int i = 1; i <= ROUNDS; i++) {
        clock.fake_ms = t0 + 15000 * i;
        send_round(in, &o, clock.fake_ms, &warm, &bytes);
    }
    double points = (double)SERIES * ROUNDS;
    printf("new series: %.0f ns a point; known: %.0f ns a point (%.2f CPU s per million), %.0f "
           "bytes each, %.0f MB/s\n",
           cold / SERIES * 1e9, warm / points * 1e9, warm / points * 1e6, (double)bytes / points,
           (double)bytes / warm / 1e6);
    intake_free(in);
    metrics_close(m);
    if (!file_remove_tree(dir, &e))
        printf("%s\n", e.text);
    return 0;
}
