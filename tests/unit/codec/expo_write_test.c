// expo_write_test.c - what is written in each format, and that it reads back.
// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "base/metric.h"
#include "codec/expo_write.h"

static void write_all(enum expo_format format, struct buf *out)
{
    static const struct expo_label odd[] = { { { "path", 4 }, { "a\\b\"c\nd", 7 } },
                                             { { "empty", 5 }, { "", 0 } },
                                             { { "é.x", 4 }, { "1", 1 } } };
    static const struct expo_label trace[] = { { { "trace", 5 }, { "t1", 2 } } };
    static const struct expo_exemplar_out ex = { trace, 1, 0.5, 1500 };
    static const struct expo_bucket buckets[] = { { 0.5, 2, NULL }, { 1, 3, &ex } };
    static const struct expo_quantile quantiles[] = { { 0.5, 1.25 }, { 1, 7 } };
    struct expo_writer w = expo_writer(format, out);

    expo_write_family(&w, &(struct expo_family){ .name = STR("r_total"),
                                                 .help = STR("two\nlines \\ \"q\""),
                                                 .type = EXPO_COUNTER });
    expo_write_metric(
        &w, &(struct expo_metric){
                .label = odd, .labels = 3, .value = 1e6, .start_ms = 2500, .exemplar = &ex });
    expo_write_family(&w, &(struct expo_family){ .name = STR("g.x"), .type = EXPO_GAUGE });
    expo_write_metric(&w, &(struct expo_metric){ .value = -1, .has_time = true, .t_ms = 1234 });
    expo_write_metric(&w, &(struct expo_metric){ .label = trace, .labels = 1, .value = NAN });
    expo_write_family(
        &w, &(struct expo_family){
                .name = STR("h_s"), .help = STR(""), .unit = STR("s"), .type = EXPO_HISTOGRAM });
    expo_write_metric(&w, &(struct expo_metric){ .bucket = buckets,
                                                 .buckets = 2,
                                                 .count = 4,
                                                 .value = 2.5,
                                                 .label = trace,
                                                 .labels = 1 });
    expo_write_family(&w, &(struct expo_family){ .name = STR("s"), .type = EXPO_SUMMARY });
    expo_write_metric(
        &w, &(struct expo_metric){ .quantile = quantiles, .quantiles = 2, .count = 9, .value = 8 });
    expo_write_family(&w, &(struct expo_family){ .name = STR("odd"), .type = EXPO_COUNTER });
    expo_write_metric(&w, &(struct expo_metric){ .value = 3 });
    expo_write_end(&w);
}

TEST(text_output)
{
    OWNED(buf_fini) struct buf b = { 0 };

    write_all(EXPO_TEXT, &b);
    CHECK_STR(buf_view(&b),
              STR("# HELP r_total two\\nlines \\\\ \"q\"\n# TYPE r_total counter\n"
                  "r_total{path=\"a\\\\b\\\"c\\nd\",\"é.x\"=\"1\"} 1e+06\n"
                  "# TYPE \"g.x\" gauge\n{\"g.x\"} -1 1234\n{\"g.x\",trace=\"t1\"} NaN\n"
                  "# HELP h_s \n# TYPE h_s histogram\n"
                  "h_s_bucket{trace=\"t1\",le=\"0.5\"} 2\nh_s_bucket{trace=\"t1\",le=\"1\"} 3\n"
                  "h_s_bucket{trace=\"t1\",le=\"+Inf\"} 4\nh_s_sum{trace=\"t1\"} 2.5\n"
                  "h_s_count{trace=\"t1\"} 4\n"
                  "# TYPE s summary\ns{quantile=\"0.5\"} 1.25\ns{quantile=\"1\"} 7\ns_sum 8\n"
                  "s_count 9\n# TYPE odd counter\nodd 3\n"));
}

TEST(openmetrics_output)
{
    OWNED(buf_fini) struct buf b = { 0 };

    write_all(EXPO_OPENMETRICS, &b);
    CHECK_STR(buf_view(&b),
              STR("# HELP r two\\nlines \\\\ \\\"q\\\"\n# TYPE r counter\n"
                  "r_total{path=\"a\\\\b\\\"c\\nd\",\"é.x\"=\"1\"} 1e+06 # {trace=\"t1\"} 0.5 1.5\n"
                  "r_created{path=\"a\\\\b\\\"c\\nd\",\"é.x\"=\"1\"} 2.5\n"
                  "# TYPE \"g.x\" gauge\n{\"g.x\"} -1.0 1.234\n{\"g.x\",trace=\"t1\"} NaN\n"
                  "# HELP h_s \n# TYPE h_s histogram\n# UNIT h_s s\n"
                  "h_s_bucket{trace=\"t1\",le=\"0.5\"} 2\n"
                  "h_s_bucket{trace=\"t1\",le=\"1.0\"} 3 # {trace=\"t1\"} 0.5 1.5\n"
                  "h_s_bucket{trace=\"t1\",le=\"+Inf\"} 4\nh_s_sum{trace=\"t1\"} 2.5\n"
                  "h_s_count{trace=\"t1\"} 4\n"
                  "# TYPE s summary\ns{quantile=\"0.5\"} 1.25\ns{quantile=\"1.0\"} 7.0\ns_sum 8.0\n"
                  "s_count 9\n# TYPE odd unknown\nodd 3.0\n# EOF\n"));
}

// Series, values, times and exemplars of a page, whatever its format.
static void read_back(enum expo_format format, struct str body, struct buf *out)
{
    OWNED(expo_free) struct expo *x = expo_new();
    OWNED(arena_fini) struct arena a = { 0 };
    struct expo_event ev;
    struct err e = { 0 };
    int got;

    expo_start(x, &(struct expo_options){ .format = format, .created_is_start = true }, body);
    while ((got = expo_next(x, &ev, &e)) > 0) {
        struct expo_labels ls;

        if (ev.kind != EXPO_SAMPLE)
            continue;
        CHECK_OK(expo_series_decode(format, ev.type, ev.series, &a, &ls, &e), &e);
        for (size_t i = 0; i < ls.n; i++)
            buf_printf(out, "%.*s=%.*s|", STRF(ls.v[i].name), STRF(ls.v[i].value));
        buf_printf(out, " %g %lld %lld %u\n", ev.value, ev.has_time ? (long long)ev.t_ms : 0,
                   (long long)ev.start_ms, ev.exemplars);
    }
    CHECK_F(got == 0, "%s", e.text);
}

static int cmp_str(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static size_t sorted_lines(struct str s, struct str *line, size_t max)
{
    size_t n = 0;

    while (s.n && n < max)
        line[n++] = str_cut(&s, '\n');
    qsort(line, n, sizeof *line, cmp_str);
    return n;
}

TEST(protobuf_reads_back_as_openmetrics_does)
{
    OWNED(buf_fini) struct buf om = { 0 }, pb = { 0 }, from_om = { 0 }, from_pb = { 0 };
    struct str x[64], y[64];

    write_all(EXPO_OPENMETRICS, &om);
    write_all(EXPO_PROTO, &pb);
    read_back(EXPO_OPENMETRICS, buf_view(&om), &from_om);
    read_back(EXPO_PROTO, buf_view(&pb), &from_pb);
    size_t n = sorted_lines(buf_view(&from_om), x, 64), m = sorted_lines(buf_view(&from_pb), y, 64);
    CHECK(n == m && n > 10);
    for (size_t i = 0; i < n; i++)
        CHECK_STR(y[i], x[i]);
}

TEST(own_metrics)
{
    static const double bounds[] = { 1, 10 };
    static const char *const names[] = { "code" };
    OWNED(buf_fini) struct buf b = { 0 };
    struct expo_writer w = expo_writer(EXPO_TEXT, &b);
    struct metric_family *f = metric_family("zz_test_requests_total", "Requests.", METRIC_COUNTER,
                                            names, 1);
    struct metric *h = metric_histogram("zz_test_seconds", "Time.", bounds, 2);

    metric_add(metric_child(f, &(struct str){ "200", 3 }), 2);
    metric_add(metric_child(f, &(struct str){ "500", 3 }), 1);
    metric_observe(h, 0.5);
    metric_observe(h, 5);
    metric_observe(h, 50);
    expo_write_self(&w);
    expo_write_end(&w);
    CHECK(str_ends(buf_view(&b), STR("# HELP zz_test_requests_total Requests.\n"
                                     "# TYPE zz_test_requests_total counter\n"
                                     "zz_test_requests_total{code=\"200\"} 2\n"
                                     "zz_test_requests_total{code=\"500\"} 1\n"
                                     "# HELP zz_test_seconds Time.\n"
                                     "# TYPE zz_test_seconds histogram\n"
                                     "zz_test_seconds_bucket{le=\"1\"} 1\n"
                                     "zz_test_seconds_bucket{le=\"10\"} 2\n"
                                     "zz_test_seconds_bucket{le=\"+Inf\"} 3\n"
                                     "zz_test_seconds_sum 55.5\n"
                                     "zz_test_seconds_count 3\n")));
}
