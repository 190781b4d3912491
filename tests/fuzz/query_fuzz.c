/*
 * query_fuzz.c - any expression over a small fixed set of series: nothing breaks, and a range
 * query gives at each step what an instant query gives there.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/histogram.h"
#include "query/memory_source.h"
#include "query/query.h"

enum { TEXT_MAX = 2000, STEPS = 4, STEP_MS = 45000, FROM_MS = 300000 };

// One series per line, a sample every 30 s.
static const char *const lines[] = {
    "a_total{x=\"1\",y=\"1\"} 0+3x30",
    "a_total{x=\"2\",y=\"1\"} 5 4 3 _ _ 2 1 stale 9 8x20",
    "b{x=\"1\",y=\"2\"} 1x30",
    "b{x=\"2\"} NaN Inf -Inf 1 2 3x20",
    "h{x=\"1\"} {{schema:1 count:5 sum:3 buckets:[1 2 2]}}+{{schema:1 count:2 sum:1 buckets:[1 0 "
    "1]}}x30",
    "h{x=\"2\"} {{schema:-53 count:3 sum:3 custom_values:[1 2] buckets:[1 1 1]}}x10 1 2 3x10",
    "c_bucket{x=\"1\",le=\"1\"} 0+1x30",
    "c_bucket{x=\"1\",le=\"2\"} 0+3x30",
    "c_bucket{x=\"1\",le=\"+Inf\"} 0+4x30",
    "target_info{instance=\"i\",job=\"j\",v=\"1\"} 1x30",
    "m{instance=\"i\",job=\"j\"} 0+1x30",
};

static void load(struct memory_source *m, struct arena *a)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct promql_series_line s;
        struct err e = { 0 };

        bool ok = promql_parse_series_line(a, str_c(lines[i]), &s, &e);
        assert(ok);
        for (size_t k = 0; k < s.n; k++) {
            struct memory_sample x = { (int64_t)k * 30000, 0, s.v[k].value, s.v[k].hist };

            if (!s.v[k].omitted)
                memory_source_add(m, s.labels, &x, 1);
        }
    }
}

static bool run(struct memory_source *m, struct str text, const struct query_request *times,
                struct arena *a, struct query_result *out)
{
    struct query_engine g = { .samples_max = 200000 };
    struct budget b = { .bytes_max = 64 << 20 };
    struct query_request r = *times;
    struct err e = { 0 };

    r.text = text;
    return query_run(&g, &r, memory_source_view(m), &b, a, out, &e);
}

// What asks for the times of the query may differ.
static bool depends_on_range(struct str text)
{
    static const char *const words[] = { "start", "end", "range", "step", "@",
                                         "START", "END", "RANGE", "STEP" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_find(text, str_c(words[i])) != STR_NPOS)
            return true;
    return false;
}

static bool same_value(double x, double y)
{
    return double_bits(x) == double_bits(y) || (isnan(x) && isnan(y));
}

static size_t points_at(const struct query_result *m, int64_t t_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < m->series_count; i++) {
        bool any = false;

        for (size_t k = 0; k < m->series[i].float_count; k++)
            any |= m->series[i].floats[k].t_ms == t_ms;
        for (size_t k = 0; k < m->series[i].hist_count; k++)
            any |= m->series[i].hists[k].t_ms == t_ms;
        n += any;
    }
    return n;
}

static bool has_sample(const struct query_result *m, const struct query_series *s)
{
    for (size_t i = 0; i < m->series_count; i++) {
        const struct query_series *x = &m->series[i];

        if (!labels_equal(x->labels, s->labels))
            continue;
        for (size_t k = 0; s->float_count && k < x->float_count; k++)
            if (x->floats[k].t_ms == s->floats[0].t_ms)
                return same_value(x->floats[k].value, s->floats[0].value);
        for (size_t k = 0; s->hist_count && k < x->hist_count; k++)
            if (x->hists[k].t_ms == s->hists[0].t_ms)
                return histogram_equal(x->hists[k].hist, s->hists[0].hist) ||
                       isnan(x->hists[k].hist->sum);
    }
    return false;
}

static void compare(struct memory_source *m, struct str text, const struct query_result *range)
{
    for (int i = 0; i < STEPS; i++) {
        struct query_request r = { .start_ms = FROM_MS + i * STEP_MS };
        struct arena a = { 0 };
        struct query_result v = { 0 };

        if (run(m, text, &r, &a, &v) && v.type == PROMQL_VECTOR) {
            assert(points_at(range, r.start_ms) == v.series_count);
            for (size_t k = 0; k < v.series_count; k++)
                assert(has_sample(range, &v.series[k]));
        }
        arena_fini(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct query_request r = { .range = true,
                               .start_ms = FROM_MS,
                               .end_ms = FROM_MS + (STEPS - 1) * STEP_MS,
                               .step_ms = STEP_MS };
    struct str text = { (const char *)p, n };
    struct arena a = { 0 };
    struct query_result out = { 0 };

    if (n > TEXT_MAX)
        return 0;
    struct memory_source *m = memory_source_new();
    load(m, &a);
    if (run(m, text, &r, &a, &out) && !depends_on_range(text))
        compare(m, text, &out);
    memory_source_free(m);
    arena_fini(&a);
    return 0;
}
