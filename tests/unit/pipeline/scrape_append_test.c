// scrape_append_test.c - what pages become in the store: rows, markers, the report, limits.
// SPDX-License-Identifier: Apache-2.0
#include "base/rand.h"
#include "scrape_harness.h"

static const char *last_error(const struct fixture *f)
{
    return f->t->last_error;
}

static void check_error(const struct fixture *f, const char *want)
{
    CHECK_STR(str_c(last_error(f)), str_c(want));
    CHECK(f->t->health == (*want ? SCRAPE_DOWN : SCRAPE_UP));
}

TEST(samples_and_report)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n");
    fx_page(f, "a{x=\"1\"} 3\na{x=\"2\"} 4\nb 5\n");
    CHECK_STR(fx_dump(f, true), STR("a{x=\"1\"} 1@15 3@30\n"
                                    "a{x=\"2\"} 2@15 4@30\n"
                                    "b 5@30\n"
                                    "scrape_samples_post_metric_relabeling 2@15 3@30\n"
                                    "scrape_samples_scraped 2@15 3@30\n"
                                    "scrape_series_added 2@15 1@30\n"
                                    "up 1@15 1@30\n"));
    check_error(f, "");
}

TEST(extra_report_series)
{
    OWNED(fx_free)
    struct fixture *f = fx_new("  extra_scrape_metrics: true\n  sample_limit: 7\n"
                               "  scrape_interval: 20s\n  scrape_timeout: 5s\n");
    struct err e = { 0 };

    fx_page(f, "a 1\n");
    err_set(&e, ERR_LIMIT, "body size limit exceeded");
    fx_result(f, &(struct scrape_result){ .failure = &e, .too_big = true });
    CHECK_STR(fx_dump(f, true), STR("a 1@15 S@30\n"
                                    "scrape_body_size_bytes 4@15 -1@30\n"
                                    "scrape_sample_limit 7@15 7@30\n"
                                    "scrape_samples_post_metric_relabeling 1@15 0@30\n"
                                    "scrape_samples_scraped 1@15 0@30\n"
                                    "scrape_series_added 1@15 0@30\n"
                                    "scrape_timeout_seconds 5@15 5@30\n"
                                    "up 1@15 0@30\n"));
}

TEST(vanished_series_get_one_marker)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "a 1\nb 1\nc 1\n");
    fx_page(f, "c 2\na 2\n");
    fx_page(f, "c 3\na 3\n");
    fx_page(f, "b 4\na 4\n");
    CHECK_ROWS(f, "a 1@15 2@30 3@45 4@60\nb 1@15 S@30 4@60\nc 1@15 2@30 3@45 S@60\n");
}

TEST(failed_scrape_marks_all_and_forgets_nothing)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "a 1\nb 1\n");
    fx_fail(f);
    fx_fail(f);
    check_error(f, "connection refused");
    fx_page(f, "b 4\nc 4\n");
    CHECK_STR(fx_dump(f, true), STR("a 1@15 S@30\n"
                                    "b 1@15 S@30 4@60\n"
                                    "c 4@60\n"
                                    "scrape_samples_post_metric_relabeling 2@15 0@30 0@45 2@60\n"
                                    "scrape_samples_scraped 2@15 0@30 0@45 2@60\n"
                                    "scrape_series_added 2@15 0@30 0@45 1@60\n"
                                    "up 1@15 0@30 0@45 1@60\n"));
}

TEST(malformed_page_stores_nothing)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "a 1\n");
    fx_page(f, "a 2\nb 2\nc{ 2\n");
    CHECK(f->t->health == SCRAPE_DOWN && strstr(last_error(f), "while parsing"));
    CHECK_STR(fx_dump(f, true), STR("a 1@15 S@30\n"
                                    "scrape_samples_post_metric_relabeling 1@15 2@30\n"
                                    "scrape_samples_scraped 1@15 2@30\n"
                                    "scrape_series_added 1@15 1@30\n"
                                    "up 1@15 0@30\n"));
    fx_page(f, "a 3\nb 3\n");
    CHECK_ROWS(f, "a 1@15 S@30 3@45\nb 3@45\n");
}

TEST(empty_page_is_a_good_one)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "a 1\n");
    fx_page_as(f, EXPO_OPENMETRICS, STR(""));
    check_error(f, "");
    fx_page(f, "a 3\n");
    CHECK_STR(fx_dump(f, true), STR("a 1@15 S@30 3@45\n"
                                    "scrape_samples_post_metric_relabeling 1@15 0@30 1@45\n"
                                    "scrape_samples_scraped 1@15 0@30 1@45\n"
                                    "scrape_series_added 1@15 0@30 0@45\n"
                                    "up 1@15 1@30 1@45\n"));
}

TEST(target_that_goes_leaves_markers)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "a 1\nb 1\n");
    fx_page(f, "a 2\n");
    scrape_append_gone(f->t, T0 + 45000);
    CHECK_STR(fx_dump(f, true), STR("a 1@15 2@30 S@45\n"
                                    "b 1@15 S@30\n"
                                    "scrape_samples_post_metric_relabeling 2@15 1@30 S@45\n"
                                    "scrape_samples_scraped 2@15 1@30 S@45\n"
                                    "scrape_series_added 2@15 0@30 S@45\n"
                                    "up 1@15 1@30 S@45\n"));
}

TEST(successor_goes_on_without_a_gap)
{
    OWNED(fx_free) struct fixture *f = fx_new("");
    struct scrape_target *old = f->t;

    fx_page(f, "a 1\nb 1\nc 1\n");
    f->t = fx_target(f, NULL);
    f->t->stamp_ms = old->stamp_ms;
    f->t->heir_of = old;
    fx_page(f, "a 2\nd 2\n");
    fx_page(f, "a 3\n");
    CHECK_STR(fx_dump(f, true), STR("a 1@15 2@30 3@45\n"
                                    "b 1@15 S@30\n"
                                    "c 1@15 S@30\n"
                                    "d 2@30 S@45\n"
                                    "scrape_samples_post_metric_relabeling 3@15 2@30 1@45\n"
                                    "scrape_samples_scraped 3@15 2@30 1@45\n"
                                    "scrape_series_added 3@15 2@30 0@45\n"
                                    "up 1@15 1@30 1@45\n"));
}

/* ---- the same series twice ---- */

TEST(line_twice_first_wins)
{
    OWNED(fx_free) struct fixture *f = fx_new("");
    double before = metric_get(f->s->duplicates);

    fx_page(f, "a 1\nb 1\na 2\n");
    fx_page(f, "a 3\nb 3\na 3\n");
    CHECK(metric_get(f->s->duplicates) - before == 2); // also with the same value, as upstream
    CHECK_STR(fx_dump(f, true), STR("a 1@15 3@30\n"
                                    "b 1@15 3@30\n"
                                    "scrape_samples_post_metric_relabeling 3@15 3@30\n"
                                    "scrape_samples_scraped 3@15 3@30\n"
                                    "scrape_series_added 2@15 0@30\n"
                                    "up 1@15 1@30\n"));
}

TEST(line_twice_with_other_spelling)
{
    OWNED(fx_free) struct fixture *f = fx_new("");
    double before = metric_get(f->s->duplicates);

    fx_page(f, "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n");
    CHECK(metric_get(f->s->duplicates) - before == 1);
    before = metric_get(f->s->duplicates);
    fx_page(f, "a{y=\"2\",x=\"1\"} 3\n"); // the other one vanished: no marker, no refusal counted
    CHECK(metric_get(f->s->duplicates) - before == 0);
    CHECK_ROWS(f, "a{x=\"1\", y=\"2\"} 1@15 3@30\n");
}

TEST(lines_with_times_are_all_stored)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "a 1 1795219201000\na 2 1795219202000\nb 1 1795219201000\n");
    fx_page(f, "c 1\n");
    CHECK_ROWS(f, "a 1@1 2@2\nb 1@1\nc 1@30\n"); // no markers
}

TEST(times_are_tracked_when_asked)
{
    OWNED(fx_free) struct fixture *f = fx_new("  track_timestamps_staleness: true\n");

    fx_page(f, "a 1 1795219201000\n");
    fx_page(f, "c 1\n");
    CHECK_ROWS(f, "a 1@1 S@30\nc 1@30\n");
}

TEST(times_are_ignored_when_asked)
{
    OWNED(fx_free) struct fixture *f = fx_new("  honor_timestamps: false\n");
    double before = metric_get(f->s->duplicates);

    fx_page(f, "a 1 1795219201000\na 2 1795219202000\n");
    fx_page(f, "c 1\n");
    CHECK(metric_get(f->s->duplicates) - before == 1);
    CHECK_ROWS(f, "a 1@15 S@30\nc 1@30\n");
}

TEST(samples_out_of_bounds_are_counted)
{
    OWNED(fx_free) struct fixture *f = fx_new("");
    double before = metric_get(f->s->out_of_bounds);

    fx_page(f, "a 1 9995219201000\nb 1\n");
    CHECK(metric_get(f->s->out_of_bounds) - before == 1);
    CHECK_STR(fx_dump(f, true), STR("b 1@15\n"
                                    "scrape_samples_post_metric_relabeling 2@15\n"
                                    "scrape_samples_scraped 2@15\n"
                                    "scrape_series_added 2@15\n"
                                    "up 1@15\n"));
}

/* ---- labels ---- */

TEST(honor_labels_table)
{
    static const struct {
        const char *job, *page, *want;
        const char *labels[8];
    } cases[] = {
        { "", "m{n=\"1\"} 1\n", "m{exported_n=\"1\", n=\"2\"} 1@15\n", { "n", "2" } },
        { "",
          "m{n=\"1\"} 1\n",
          "m{exported_exported_n=\"1\", exported_n=\"3\", n=\"2\"} 1@15\n",
          { "n", "2", "exported_n", "3" } },
        { "",
          "m{n=\"1\",exported_n=\"x\"} 1\n",
          "m{exported_exported_n=\"1\", exported_n=\"x\", n=\"2\"} 1@15\n",
          { "n", "2" } },
        { "", "m{n=\"\"} 1\n", "m 1@15\n", { 0 } },
        { "", "m{n=\"\"} 1\n", "m{n=\"2\"} 1@15\n", { "n", "2" } },
        { "", "m{job=\"x\"} 1\n", "m{exported_job=\"x\"} 1@15\n", { 0 } },
        { "  honor_labels: true\n", "m{n=\"1\"} 1\n", "m{n=\"1\"} 1@15\n", { "n", "2" } },
        { "  honor_labels: true\n", "m{n=\"\"} 1\n", "m 1@15\n", { "n", "2" } },
        { "  honor_labels: true\n", "m{job=\"x\"} 1\n", "m{job=\"x\"} 1@15\n", { 0 } },
        { "  honor_labels: true\n", "m{instance=\"\"} 1\n", "m(no instance) 1@15\n", { 0 } },
    };

    FOR_CASES (t, cases) {
        OWNED(fx_free) struct fixture *f = fx_new_with(t->job, t->labels);
        fx_page(f, t->page);
        check_error(f, "");
        CHECK_STR(fx_dump(f, false), str_c(t->want));
    }
}

TEST(report_labels_as_upstream)
{
    static const char *const labels[] = { "exported_job", "x", "a", "1", "exported_a", "2", NULL };
    OWNED(fx_free) struct fixture *f = fx_new_with("", labels);

    fx_page(f, "m 1\n");
    struct str all = fx_dump(f, true);
    CHECK(str_find(all, STR("m{a=\"1\", exported_a=\"2\", exported_job=\"x\"} 1@15\n")) == 0);
    // setting job takes exported_job away, as upstream; a comes before exported_a
    CHECK(str_find(all, STR("up{a=\"1\", exported_a=\"2\"} 1@15\n")) != STR_NPOS);
}

TEST(refused_labels_fail_the_page)
{
    static const struct {
        const char *job, *page, *error;
    } cases[] = {
        { "", "m{a=\"1\",a=\"2\"} 1\n", "label name \"a\" is not unique: invalid sample" },
        { "  metric_relabel_configs:\n  - action: labeldrop\n    regex: __name__\n", "m 1\n",
          "missing metric name (__name__ label)" },
        { "  metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores\n",
          "{\"m.x\"} 1\n",
          "invalid metric name or label names: {__name__=\"m.x\", instance=\"i\", job=\"j\"}" },
        { "  label_limit: 3\n", "m{a=\"1\"} 1\n",
          "label_limit exceeded (metric: m, number of labels: 4, limit: 3)" },
        { "  label_name_length_limit: 8\n", "m{abcdefghi=\"1\"} 1\n",
          "label_name_length_limit exceeded (metric: m, label name: abcdefghi, length: 9, "
          "limit: 8)" },
        { "  label_value_length_limit: 4\n", "m{a=\"xy\\\"zz\"} 1\n",
          "label_value_length_limit exceeded (metric: m, label name: a, value: \"xy\\\"zz\", "
          "length: 5, limit: 4)" },
    };

    FOR_CASES (t, cases) {
        OWNED(fx_free) struct fixture *f = fx_new(t->job);
        fx_page(f, t->page);
        check_error(f, t->error);
        CHECK_ROWS(f, "");
    }
}

TEST(empty_and_repeated_label_is_one_label)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "m{a=\"\",a=\"2\",b=\"\"} 1\n");
    check_error(f, "");
    CHECK_ROWS(f, "m{a=\"2\"} 1@15\n");
}

TEST(dropped_series_cost_nothing)
{
    OWNED(fx_free)
    struct fixture *f = fx_new("  sample_limit: 1\n  metric_relabel_configs:\n"
                               "  - source_labels: [__name__]\n    regex: b\n    action: keep\n");

    for (int i = 0; i < 3; i++)
        fx_page(f, "a{x=\"1\",x=\"1\"} 1\nb 1\nc 1\n");
    CHECK_STR(fx_dump(f, true), STR("b 1@15 1@30 1@45\n"
                                    "scrape_samples_post_metric_relabeling 1@15 1@30 1@45\n"
                                    "scrape_samples_scraped 3@15 3@30 3@45\n"
                                    "scrape_series_added 1@15 0@30 0@45\n"
                                    "up 1@15 1@30 1@45\n"));
}

TEST(dropping_everything_is_fine)
{
    OWNED(fx_free)
    struct fixture *f = fx_new("  metric_relabel_configs:\n  - regex: .*\n    action: drop\n");

    fx_page(f, "a 1\nb 1\n");
    fx_page(f, "a 1\n");
    check_error(f, "");
    CHECK_ROWS(f, "");
}

/* ---- sample limit ---- */

TEST(sample_limit)
{
    OWNED(fx_free) struct fixture *f = fx_new("  sample_limit: 2\n");
    double before = metric_get(f->s->sample_limit);

    fx_page(f, "a 1\nb 1\n");
    fx_page(f, "a 2\nb 2\nc 2\nd 2\n");
    check_error(f, "sample limit exceeded");
    CHECK(metric_get(f->s->sample_limit) - before == 1);
    fx_page(f, "b 3\nc 3\n");
    check_error(f, "");
    CHECK_STR(fx_dump(f, true), STR("a 1@15 S@30\n"
                                    "b 1@15 S@30 3@45\n"
                                    "c 3@45\n"
                                    "scrape_samples_post_metric_relabeling 2@15 4@30 2@45\n"
                                    "scrape_samples_scraped 2@15 4@30 2@45\n"
                                    "scrape_series_added 2@15 0@30 1@45\n"
                                    "up 1@15 0@30 1@45\n"));
}

/* ---- memory ---- */

TEST(slots_are_bounded)
{
    OWNED(fx_free) struct fixture *f = fx_new("");
    OWNED(buf_fini) struct buf page = { 0 };

    for (int round = 0; round < 8; round++) { // ever new series on good pages
        buf_reset(&page);
        for (int i = 0; i < 2000; i++)
            buf_printf(&page, "a{i=\"%d\"} 1\n", round * 2000 + i);
        fx_page_as(f, EXPO_TEXT, buf_view(&page));
        CHECK(f->t->cache.used == 2000);
    }
    CHECK(f->t->cache.series.n <= 4000);
    fx_page(f, "a{i=\"1\"} 1\n");
    CHECK(f->t->cache.used == 1 && f->t->cache.series.n == 1); // compacted
    fx_page(f, "a{i=\"1\"} 2\n");
    fx_page(f, "a{i=\"1\"} 2\n");
    buf_lit(&page, "broken {\n");
    for (int round = 0; round < 8; round++) { // and on bad ones
        buf_reset(&page);
        for (int i = 0; i < 800; i++)
            buf_printf(&page, "b{i=\"%d\"} 1\n", round * 800 + i);
        buf_lit(&page, "broken {\n");
        fx_page_as(f, EXPO_TEXT, buf_view(&page));
        CHECK(f->t->health == SCRAPE_DOWN && f->t->cache.used <= 2 * 1 + 1000);
    }
    fx_page(f, "a{i=\"1\"} 9\n");
    CHECK(f->t->cache.used == 1);
}

TEST(metadata_is_kept_for_ten_pages)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page(f, "# HELP a first\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n");
    CHECK(f->t->cache.meta.n == 2);
    CHECK_STR(f->t->cache.meta.v[0].help, STR("first"));
    fx_page(f, "# HELP a second\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n");
    CHECK_STR(f->t->cache.meta.v[0].help, STR("second"));
    CHECK(f->t->cache.meta.v[0].type == TYPE_COUNTER && f->t->cache.meta.v[1].type == TYPE_GAUGE);
    for (int i = 0; i < 10; i++)
        fx_page(f, "# TYPE b gauge\nb 1\n");
    CHECK(f->t->cache.meta.n == 2);
    fx_page(f, "# TYPE b gauge\nb 1\n");
    CHECK(f->t->cache.meta.n == 1);
    CHECK_STR(f->t->cache.meta.v[0].name, STR("b"));
}

/* ---- refs that went stale ---- */

TEST(stale_refs_are_resolved_again)
{
    OWNED(fx_free) struct fixture *f = fx_new("  sample_limit: 3\n");

    fx_page(f, "a 1\nb 1\nc 1\n");
    for (size_t i = 0; i < f->t->cache.series.n; i++)
        if (i != 1)
            f->t->cache.series.v[i].ref.generation += 7;
    fx_page(f, "a 2\nb 2\nc 2\n");
    check_error(f, "");
    fx_page(f, "a 3\nb 3\n");
    CHECK_STR(fx_dump(f, true), STR("a 1@15 2@30 3@45\n"
                                    "b 1@15 2@30 3@45\n"
                                    "c 1@15 2@30 S@45\n"
                                    "scrape_samples_post_metric_relabeling 3@15 3@30 2@45\n"
                                    "scrape_samples_scraped 3@15 3@30 2@45\n"
                                    "scrape_series_added 3@15 0@30 0@45\n"
                                    "up 1@15 1@30 1@45\n"));
}

/* ---- start times ---- */

static const char om_created[] = "# TYPE a counter\na_total 5\na_created 1795219205.0\n# EOF\n";

TEST(created_lines_are_samples_by_default)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    fx_page_as(f, EXPO_OPENMETRICS, str_c(om_created));
    CHECK_ROWS(f, "a_created 1.795219205e+09@15\na_total 5@15\n");
}

TEST(created_lines_become_zero_rows)
{
    OWNED(fx_free) struct fixture *f = fx_new("");
    double before = metric_get(f->s->out_of_order);

    f->s->o.zero_rows = true;
    fx_page_as(f, EXPO_OPENMETRICS, str_c(om_created));
    fx_page_as(f, EXPO_OPENMETRICS, str_c(om_created));
    fx_page_as(f, EXPO_OPENMETRICS,
               STR("# TYPE a counter\na_total 1\na_created 1795219240.0\n# EOF\n"));
    CHECK_ROWS(f, "a_total 0@5 5@15 5@30 0@40 1@45\n");
    CHECK(metric_get(f->s->out_of_order) - before == 0);
}

TEST(start_times_are_stored)
{
    OWNED(fx_free) struct fixture *f = fx_new("");

    f->s->o.start_times = true;
    fx_page_as(f, EXPO_OPENMETRICS, str_c(om_created));
    CHECK_ROWS(f, "a_total 5^5@15\n");
}

/* ---- any order gives the same rows, with a warm cache and a cold one ---- */

static void random_page(struct buf *page, struct rand_state *r, const char *const *series, size_t n)
{
    buf_reset(page);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = rand_next(r);
        if (x % 8 == 0)
            continue; // gone for now
        size_t at = x % 5 == 1 ? rand_next(r) % n : i;
        buf_printf(page, "%s %d\n", series[at], (int)(rand_next(r) % 1000));
        if (x % 16 == 3)
            buf_printf(page, "# HELP m%d text\n", (int)(rand_next(r) % 4));
    }
}

TEST(warm_and_cold_cache_give_the_same_rows)
{
    static const char *const series[] = {
        "a",
        "b",
        "c{x=\"1\"}",
        "c{x=\"2\"}",
        "c{y=\"\"}",
        "d{x=\"1\",y=\"2\"}",
        "d{y=\"2\",x=\"1\"}",
        "e{x=\"\\\"\"}",
        "f",
        "g",
        "h{job=\"q\"}",
        "k{drop=\"1\"}",
        "k{drop=\"2\"}",
        "{\"l.m\"}",
    };
    static const char job[] = "  metric_relabel_configs:\n  - source_labels: [drop]\n"
                              "    regex: \"1\"\n    action: drop\n";

    for (uint64_t seed = 1; seed <= 20; seed++) {
        OWNED(fx_free) struct fixture *warm = fx_new(job);
        OWNED(fx_free) struct fixture *cold = fx_new(job);
        OWNED(buf_fini) struct buf page = { 0 };
        struct rand_state r = rand_seeded(seed);
        for (int i = 0; i < 12; i++) {
            random_page(&page, &r, series, ARRAY_LEN(series));
            fx_page_as(warm, EXPO_TEXT, buf_view(&page));
            // The order is forgotten: every line is looked up by its hash.
            cold->t->cache.known.n = 0;
            fx_page_as(cold, EXPO_TEXT, buf_view(&page));
        }
        OWNED(buf_fini) struct buf a = { 0 };
        buf_str(&a, fx_dump(warm, true));
        CHECK_STR(buf_view(&a), fx_dump(cold, true));
    }
}
