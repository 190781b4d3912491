/*
 * query_test.c - query_run(): results, kinds of failure, limits, statistics.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/query.h"

#include <math.h>
#include <string.h>

#include "query/memory_source.h"
#include "test.h"

struct fixture {
    struct memory_source *data;
    struct arena arena;
    struct budget budget;
    struct query_engine engine;
    struct query_result out;
    struct err e;
};

static void fixture_fini(struct fixture *f)
{
    memory_source_free(f->data);
    arena_fini(&f->arena);
}
OWN_DEFINE_FINI(struct fixture, fixture_fini)

static void add(struct fixture *f, const char *series, int64_t step_ms, const double *v, size_t n)
{
    struct labels ls;
    struct err e = { 0 };

    if (!f->data)
        f->data = memory_source_new();
    CHECK_OK(promql_parse_labels(&f->arena, str_c(series), &ls, &e), &e);
    for (size_t i = 0; i < n; i++) {
        struct memory_sample s = { .t_ms = (int64_t)i * step_ms, .value = v[i] };

        memory_source_add(f->data, ls, &s, 1);
    }
}

static bool run(struct fixture *f, struct query_request r)
{
    f->out = (struct query_result){ 0 };
    f->e = (struct err){ 0 };
    return query_run(&f->engine, &r, memory_source_view(f->data), &f->budget, &f->arena, &f->out,
                     &f->e);
}

static bool instant(struct fixture *f, const char *text, int64_t t_ms)
{
    return run(f, (struct query_request){ .text = str_c(text), .start_ms = t_ms });
}

static bool range(struct fixture *f, const char *text, int64_t from, int64_t to, int64_t step)
{
    return run(
        f,
        (struct query_request){
            .text = str_c(text), .range = true, .start_ms = from, .end_ms = to, .step_ms = step });
}

static const double ramp[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

static void fill(struct fixture *f)
{
    add(f, "a_total{x=\"1\"}", 10000, ramp, 11);
    add(f, "a_total{x=\"2\"}", 10000, ramp, 11);
    add(f, "b{x=\"1\"}", 10000, ramp, 11);
}

// A series as in a promqltest script, a sample every 10 s.
static void add_line(struct fixture *f, const char *line)
{
    struct promql_series_line s;
    struct err e = { 0 };

    if (!f->data)
        f->data = memory_source_new();
    CHECK_OK(promql_parse_series_line(&f->arena, str_c(line), &s, &e), &e);
    for (size_t i = 0; i < s.n; i++) {
        struct memory_sample x = { (int64_t)i * 10000, 0, s.v[i].value, s.v[i].hist };

        if (!s.v[i].omitted)
            memory_source_add(f->data, s.labels, &x, 1);
    }
}

TEST(types_of_results)
{
    OWNED(fixture_fini) struct fixture f = { 0 };

    fill(&f);
    CHECK(instant(&f, "1 + 2", 5000) && f.out.type == PROMQL_SCALAR);
    CHECK(f.out.scalar.value == 3 && f.out.scalar.t_ms == 5000);
    CHECK(instant(&f, "\"text\"", 5000) && f.out.type == PROMQL_STRING);
    CHECK_STR(f.out.string, STR("text"));
    CHECK(instant(&f, "a_total", 100000) && f.out.type == PROMQL_VECTOR);
    CHECK(f.out.series_count == 2 && f.out.series[0].floats[0].value == 10);
    CHECK(f.out.series[0].floats[0].t_ms == 100000);
    CHECK(instant(&f, "a_total[20s]", 100000) && f.out.type == PROMQL_MATRIX);
    CHECK(f.out.series[0].float_count == 2 && f.out.series[0].floats[0].t_ms == 90000);
    CHECK(range(&f, "b", 0, 20000, 10000) && f.out.type == PROMQL_MATRIX);
    CHECK(f.out.series_count == 1 && f.out.series[0].float_count == 3);
    CHECK(range(&f, "time()", 0, 20000, 10000) && f.out.type == PROMQL_MATRIX);
    CHECK(f.out.series[0].labels.n == 0 && f.out.series[0].floats[2].value == 20);
    CHECK(range(&f, "nothing", 0, 20000, 10000) && f.out.series_count == 0);
}

TEST(failures_have_their_kinds)
{
    static const struct {
        const char *text;
        bool range;
        enum err_kind kind;
        const char *error;
    } cases[] = {
        { "a_total +", false, ERR_INVALID, "unexpected end of input" },
        { "sum(1)", false, ERR_INVALID, "expected type instant vector" },
        { "a_total[5m]", true, ERR_INVALID,
          "invalid expression type \"range vector\" for range query" },
        { "a_total[5m * 0]", false, ERR_INVALID, "duration must be greater than 0" },
        { "b * on() a_total", false, ERR_CONFLICT,
          "found duplicate series for the match group {} on the right hand-side of the operation: "
          "[{__name__=\"a_total\", x=\"2\"}, {__name__=\"a_total\", x=\"1\"}];many-to-many "
          "matching "
          "not allowed: matching labels must be unique on one side" },
        { "a_total * on() b", false, ERR_CONFLICT, "multiple matches for labels: many-to-one" },
        { "label_replace(a_total, \"x\", \"\", \"x\", \".*\")", false, ERR_CONFLICT,
          "vector cannot contain metrics with the same labelset" },
        { "label_replace(b, \"y\", \"\", \"x\", \"(\")", false, ERR_CONFLICT,
          "invalid regular expression in label_replace(): (" },
        { "topk(NaN, b) or topk(scalar(b) / 0 * 0 + 5, b)", true, ERR_CONFLICT, "NaN" },
        { "double_exponential_smoothing(b[1m], 2, 0.5)", false, ERR_CONFLICT,
          "invalid smoothing factor. Expected: 0 < sf < 1, got: 2.000000" },
    };

    FOR_CASES (t, cases) {
        OWNED(fixture_fini) struct fixture f = { 0 };

        fill(&f);
        bool ok = t->range ? range(&f, t->text, 0, 100000, 10000) : instant(&f, t->text, 100000);
        CHECK_F(!ok, "%s must fail", t->text);
        CHECK_F(f.e.kind == t->kind, "%s: kind %d: %s", t->text, f.e.kind, f.e.text);
        CHECK_F(str_find(f.out.error, str_c(t->error)) != STR_NPOS, "%s: %.*s", t->text,
                STRF(f.out.error));
        CHECK(!f.out.series && !f.out.series_count); // the rest of the result stays as it was
        CHECK(f.budget.bytes == 0 || ok);
    }
}

TEST(duplicates_matter_only_where_both_sides_are)
{
    OWNED(fixture_fini) struct fixture f = { 0 };

    fill(&f);
    CHECK_OK(instant(&f, "nothing * on() a_total", 100000), &f.e);
    CHECK(f.out.series_count == 0);
}

TEST(limits_and_cancelling)
{
    OWNED(fixture_fini) struct fixture f = { 0 };
    atomic_bool stop = true;

    fill(&f);
    f.engine.samples_max = 10;
    CHECK(!range(&f, "a_total", 0, 100000, 10000) && f.e.kind == ERR_LIMIT);
    CHECK(strstr(f.e.text, "too many samples into memory in query execution"));
    f.engine.samples_max = 22;
    CHECK_OK(range(&f, "a_total", 0, 100000, 10000), &f.e);
    f.engine.samples_max = 0;
    f.budget.bytes_max = 64;
    CHECK(!instant(&f, "a_total", 100000) && f.e.kind == ERR_LIMIT);
    f.budget.bytes_max = 0;
    f.budget.cancelled = &stop;
    CHECK(!instant(&f, "a_total", 100000) && f.e.kind == ERR_CANCELLED);
    f.budget.cancelled = NULL;
    f.budget.deadline_mono_ns = 1;
    CHECK(!instant(&f, "a_total", 100000) && f.e.kind == ERR_TIMEOUT);
}

TEST(extreme_times_wrap_as_upstream)
{
    static const char *const texts[] = { "a_total",
                                         "rate(a_total[1m])",
                                         "a_total offset 100y",
                                         "a_total @ 9e15",
                                         "max_over_time(a_total[100y:1y])",
                                         "a_total @ -9e15 offset -290y" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        OWNED(fixture_fini) struct fixture f = { 0 };

        fill(&f);
        CHECK_OK(instant(&f, texts[i], INT64_MAX), &f.e);
        CHECK_OK(instant(&f, texts[i], INT64_MIN), &f.e);
        CHECK_OK(range(&f, texts[i], INT64_MIN, INT64_MAX, INT64_MAX), &f.e);
        CHECK_OK(instant(&f, texts[i], INT64_C(1) << 53), &f.e);
        CHECK_OK(instant(&f, texts[i], -(INT64_C(1) << 53)), &f.e);
        CHECK_OK(range(&f, texts[i], 0, 100, INT64_MAX / 2), &f.e);
        CHECK_OK(range(&f, texts[i], 100, 0, 10), &f.e);
        CHECK(f.out.series_count == 0);
    }
    OWNED(fixture_fini) struct fixture f = { 0 };
    fill(&f);
    CHECK(!range(&f, "b", 0, INT64_C(1) << 43, 1) && f.e.kind == ERR_INVALID);
    CHECK(instant(&f, "time()", INT64_C(-9223309901257974000)));
    CHECK(f.out.scalar.t_ms == INT64_C(6795364580679));
    CHECK(instant(&f, "time()", INT64_C(9223309901257974999)));
    CHECK(f.out.scalar.t_ms == INT64_C(-6795364579679));
    CHECK(!instant(&f, "max_over_time(b[100y:1ms])", 0) && f.e.kind == ERR_LIMIT);
}

TEST(statistics_count_samples_as_upstream)
{
    static const struct {
        const char *text;
        bool range;
        int64_t total, read;
    } cases[] = {
        { "a_total", false, 2, 2 },
        { "a_total", true, 22, 22 },
        { "sum(a_total)", true, 22, 22 },
        { "rate(a_total[30s])", false, 6, 6 },
        { "rate(b[30s])", true, 1 + 2 + 9 * 3, 11 },
        { "b @ 50", true, 11, 1 },
        { "1", false, 0, 0 },
        { "max_over_time(b[30s:10s])", false, 3, 3 },
    };

    FOR_CASES (t, cases) {
        OWNED(fixture_fini) struct fixture f = { 0 };
        struct query_request r = { .text = str_c(t->text),
                                   .range = t->range,
                                   .start_ms = t->range ? 0 : 100000,
                                   .end_ms = 100000,
                                   .step_ms = 10000,
                                   .per_step_stats = true };
        int64_t total = 0, read = 0;

        f.engine.per_step_stats = true;
        fill(&f);
        CHECK_OK(run(&f, r), &f.e);
        CHECK_F(f.out.stats.total_samples == t->total && f.out.stats.samples_read == t->read,
                "%s: %lld, %lld", t->text, (long long)f.out.stats.total_samples,
                (long long)f.out.stats.samples_read);
        CHECK(f.out.stats.step_count == (t->range ? 11 : 1));
        for (size_t i = 0; i < f.out.stats.step_count; i++) {
            total += f.out.stats.total_per_step[i].samples;
            read += f.out.stats.read_per_step[i].samples;
        }
        CHECK(total == t->total && read == t->read);
    }
}

// Figures by the rules of upstream's engine: what each node holds while the next is evaluated.
TEST(peak_samples_are_what_upstream_would_hold)
{
    static const struct {
        const char *text;
        bool range;
        int64_t peak;
    } cases[] = {
        { "b", false, 1 },
        { "b", true, 11 },
        { "1", true, 11 },
        { "sum(a_total)", true, 22 },
        { "rate(b[30s])", false, 4 },              // the window, and the result
        { "rate(a_total[30s])", false, 5 },        // of the first; the window; of the second
        { "b + b", true, 35 },                     // both sides, one step of each, results
        { "abs(a_total)", false, 6 },              // input, gathered, results
        { "max_over_time(b[30s:10s])", false, 7 }, // subquery, window, result
        { "b @ 50", true, 11 },
        { "b[30s]", false, 3 },
        { "topk(1, a_total)", false, 3 },
        { "a_total > bool 3", true, 22 + 11 + 22 + 3 },
    };

    for (int early = 0; early < 2; early++)
        FOR_CASES (t, cases) {
            OWNED(fixture_fini) struct fixture f = { .engine.early_name_removal = early };
            struct query_request r = { .text = str_c(t->text),
                                       .range = t->range,
                                       .start_ms = t->range ? 0 : 100000,
                                       .end_ms = 100000,
                                       .step_ms = 10000,
                                       .stats = true };

            fill(&f);
            CHECK_OK(run(&f, r), &f.e);
            CHECK_F(f.out.stats.peak_samples == t->peak, "%s: %lld, want %lld", t->text,
                    (long long)f.out.stats.peak_samples, (long long)t->peak);
        }
}

TEST(names_go_early_or_late)
{
    static const struct {
        const char *text;
        bool early_ok, late_ok;
        size_t early_n, late_n;
    } cases[] = {
        // Two metrics that differ in their names alone.
        { "sum(rate({__name__=~\"a_total|c_total\"}[1m]))", false, true, 0, 1 },
        { "abs({__name__=~\"a_total|c_total\"})", false, false, 0, 0 },
        { "-{__name__=~\"a_total|c_total\"}", false, false, 0, 0 },
        { "count by (n) (label_replace(abs({__name__=~\"a_total|c_total\"}), \"n\", \"$1\", "
          "\"__name__\", \"(.+)\"))",
          false, true, 0, 2 },
        { "count by (n) (label_replace({__name__=~\"a_total|c_total\"} + 1, \"n\", \"$1\", "
          "\"__name__\", \"(.+)\"))",
          false, true, 0, 2 },
        { "last_over_time({__name__=~\"a_total|c_total\"}[1m])", true, true, 3, 3 },
        // The name is there for what comes above, or not.
        { "sum by (__name__) (rate(a_total[1m]))", true, true, 1, 1 },
        { "label_replace(rate(a_total[1m]), \"n\", \"$1\", \"__name__\", \"(.+)\")", true, true, 2,
          2 },
        { "rate(a_total[1m]) * on(x, __name__) group_left() a_total", true, true, 0, 2 },
        { "abs({__name__=~\"a_.*\"})", true, true, 2, 2 },
        { "rate({__name__=~\"a_.*|b\", x!=\"1\"}[1m])", true, true, 1, 1 },
    };

    for (int early = 0; early < 2; early++)
        FOR_CASES (t, cases) {
            OWNED(fixture_fini) struct fixture f = { .engine.early_name_removal = early };

            fill(&f);
            add(&f, "c_total{x=\"1\"}", 10000, ramp, 11);
            bool ok = instant(&f, t->text, 100000);
            CHECK_F(ok == (early ? t->early_ok : t->late_ok), "%s: %s", t->text, f.e.text);
            CHECK_F(!ok || f.out.series_count == (early ? t->early_n : t->late_n), "%s: %zu",
                    t->text, f.out.series_count);
            CHECK(ok || str_find(f.out.error, STR("same labelset")) != STR_NPOS);
        }
}

TEST(annotations_are_sorted_and_cut)
{
    OWNED(fixture_fini) struct fixture f = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };

    for (int i = 0; i < 15; i++) {
        const char *series = arena_printf(&f.arena, "metric_%c", 'a' + i).p;

        add(&f, series, 10000, ramp, 11);
        buf_printf(&text, "%srate(%s[1m])", i ? " or " : "", series);
    }
    CHECK_OK(run(&f, (struct query_request){ .text = buf_view(&text), .start_ms = 100000 }), &f.e);
    CHECK(f.out.info_count == QUERY_NOTES_MAX + 1 && f.out.warning_count == 0);
    for (size_t i = 1; i < QUERY_NOTES_MAX; i++)
        CHECK(str_cmp(f.out.infos[i - 1], f.out.infos[i]) < 0);
    CHECK_STR(f.out.infos[QUERY_NOTES_MAX], STR("5 more info annotations omitted"));
    CHECK_STR(f.out.infos[0],
              STR("PromQL info: metric might not be a counter, name does not end in "
                  "_total/_sum/_count/_bucket: \"metric_a\" (1:6)"));
}

TEST(numbers_in_labels_match_in_either_spelling)
{
    OWNED(fixture_fini) struct fixture f = { 0 };

    add(&f, "h_bucket{le=\"1.0\"}", 10000, ramp, 11);
    add(&f, "h_bucket{le=\"+Inf\"}", 10000, ramp, 11);
    CHECK(instant(&f, "h_bucket{le=\"1\"}", 100000) && f.out.series_count == 1);
    CHECK(instant(&f, "h_bucket{le=\"1.0\"}", 100000) && f.out.series_count == 1);
    CHECK(instant(&f, "h_bucket{le!=\"1\"}", 100000) && f.out.series_count == 1);
    CHECK(instant(&f, "h_bucket{le=\"10\"}", 100000) && f.out.series_count == 0);
}

TEST(avg_survives_sums_that_overflow)
{
    static const double big[] = { 1.7e308 };
    OWNED(fixture_fini) struct fixture f = { 0 };

    for (int i = 0; i < 4; i++)
        add(&f, arena_printf(&f.arena, "big{x=\"%d\"}", i).p, 10000, big, 1);
    CHECK_OK(instant(&f, "avg(big)", 0), &f.e);
    CHECK(fabs(f.out.series[0].floats[0].value / 1.7e308 - 1) < 1e-12);
    CHECK_OK(instant(&f, "sum(big)", 0), &f.e);
    CHECK(isinf(f.out.series[0].floats[0].value));
}

// What a selector sees of one series must not depend on the series before it.
TEST(floats_next_to_histograms_stay_floats)
{
    static const char *const texts[] = { "h", "-h", "last_over_time(h[15s])", "sum by (x) (h)" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        OWNED(fixture_fini) struct fixture f = { 0 };

        add_line(&f, "h{x=\"1\"} {{count:5 sum:3 buckets:[1 2 2]}}x10");
        add_line(&f, "h{x=\"2\"} {{count:5 sum:3 buckets:[1 2 2]}}x4 7 7 7 7 7 7");
        CHECK(range(&f, texts[i], 0, 100000, 10000));
        CHECK(f.out.series_count == 2);
        CHECK_F(f.out.series[1].hist_count == 5, "%s: %zu", texts[i], f.out.series[1].hist_count);
        CHECK_F(f.out.series[1].float_count == 6, "%s: %zu", texts[i], f.out.series[1].float_count);
    }
}

// A window alone is looked at whole, many windows share a queue: both see the same.
TEST(extremes_of_one_window_and_of_many_agree)
{
    static const double v[] = {
        NAN, NAN,  -0.0, 0,   NAN, -INFINITY, 3, 2, 3,  NAN, INFINITY, 1,
        0,   -0.0, NAN,  NAN, NAN, NAN,       5, 4, -1, -1,  7,        NAN
    };
    for (int width = 1; width <= 20; width++)
        for (int k = 0; k < 2; k++) {
            OWNED(fixture_fini) struct fixture f = { 0 };
            struct str text = k ? arena_printf(&f.arena, "min_over_time(a[%d0s])", width)
                                : arena_printf(&f.arena, "max_over_time(a[%d0s])", width);

            add(&f, "a", 10000, v, ARRAY_LEN(v));
            CHECK(range(&f, text.p, 0, 230000, 1000));
            const struct query_series many = f.out.series[0];
            for (size_t i = 0; i < many.float_count; i++) {
                CHECK(instant(&f, text.p, many.floats[i].t_ms) && f.out.series_count == 1);
                double one = f.out.series[0].floats[0].value, other = many.floats[i].value;
                CHECK(double_bits(one) == double_bits(other) || (isnan(one) && isnan(other)));
            }
        }
}
