/*
 * expo_bench.c - how fast pages are parsed: bytes and samples per second of one core.
 *
 * A synthetic page of 10,000 series (1.8 MB), as a busy service exposes it, in text and OpenMetrics:
 * cold (nothing known: every series is lexed and checked) and warm (as the last page: the series are
 * only hashed). The scraper's part of the warm path, writing the new list of known series, is included.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/expo.h"
#include "codec/expo_write.h"

enum { SERIES = 10000, BLOCK = 100, ROUNDS = 15, PAGES = 20 };

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double value_of(int i)
{
    switch (i % 4) {
    case 0:
        return (double)(i * 37 % 1000);
    case 1:
        return (double)((int64_t)i * 7919 % 1000003) / 1000;
    case 2:
        return 1.7e9 + i * 1000.25;
    default:
        return (double)((int64_t)i * 104729 % 100000007);
    }
}

static void make_page(struct buf *b, enum expo_format format)
{
    struct expo_writer w = expo_writer(format, b);
    char name[64], route[64], pod[64];

    for (int i = 0; i < SERIES; i++) {
        if (i % BLOCK == 0) {
            int n = snprintf(name, sizeof name, "service_request_duration_%d_seconds", i / BLOCK);
            expo_write_family(&w, &(struct expo_family){ .name = str_of(name, (size_t)n),
                                                         .help = STR("Time that requests took."),
                                                         .type = EXPO_GAUGE });
        }
        int r = snprintf(route, sizeof route, "/api/v1/customers/%d/orders", i % BLOCK);
        int p = snprintf(pod, sizeof pod, "checkout-7f9c6d5b4-%05d", i * 31 % 99991);
        struct expo_label labels[] = {
            { STR("cluster"), STR("production-eu-west-1") },
            { STR("method"), STR("GET") },
            { STR("pod"), str_of(pod, (size_t)p) },
            { STR("route"), str_of(route, (size_t)r) },
            { STR("status"), STR("200") },
        };
        expo_write_metric(
            &w, &(struct expo_metric){ .label = labels, .labels = 5, .value = value_of(i) });
    }
    expo_write_end(&w);
}

struct run {
    struct expo *x;
    struct expo_known *known, *next;
    size_t known_n;
    double sum;
};

static void parse(struct run *r, enum expo_format format, struct str page, bool warm)
{
    struct expo_options o = {
        .format = format, .seed = 42, .known = r->known, .known_n = warm ? r->known_n : 0
    };
    struct expo_event ev;
    struct err e = { 0 };
    size_t n = 0, hits = 0;
    int got;

    expo_start(r->x, &o, page);
    while ((got = expo_next(r->x, &ev, &e)) > 0) {
        if (ev.kind != EXPO_SAMPLE)
            continue;
        hits += ev.slot != EXPO_SLOT_NONE;
        r->next[n++] = (struct expo_known){ ev.hash, (uint32_t)ev.series.n, (uint32_t)n };
        r->sum += ev.value;
    }
    assert(got == 0 && n == SERIES && hits == (warm ? n : 0));
    struct expo_known *old = r->known;
    r->known = r->next;
    r->next = old;
    r->known_n = n;
}

static void bench(const char *name, enum expo_format format, struct str page, bool warm)
{
    struct run r = { .x = expo_new(),
                     .known = xcalloc(SERIES, sizeof *r.known),
                     .next = xcalloc(SERIES, sizeof *r.next) };
    double best = 1e9;

    parse(&r, format, page, false);
    for (int round = 0; round < ROUNDS; round++) {
        double t = now_s();
        for (int i = 0; i < PAGES; i++)
            parse(&r, format, page, warm);
        t = (now_s() - t) / PAGES;
        best = t < best ? t : best;
    }
    printf("%-12s %s  %7.0f MB/s  %6.1f ns per series  (%zu bytes, sum %g)\n", name,
           warm ? "warm" : "cold", (double)page.n / best / 1e6, best / SERIES * 1e9, page.n, r.sum);
    expo_free(r.x);
    xfree(r.known);
    xfree(r.next);
}

int main(void)
{
    static const struct {
        const char *name;
        enum expo_format format;
    } formats[] = { { "text", EXPO_TEXT },
                    { "openmetrics", EXPO_OPENMETRICS },
                    { "proto", EXPO_PROTO } };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        OWNED(buf_fini) struct buf b = { 0 };

        make_page(&b, formats[i].format);
        bench(formats[i].name, formats[i].format, buf_view(&b), false);
        bench(formats[i].name, formats[i].format, buf_view(&b), true);
    }
    return 0;
}
