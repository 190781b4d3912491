/*
 * metrics_test.c - promises of metrics.h: what is committed is read, in every state of the store.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/metrics.h"

#include "metrics_harness.h"
#include "model/histogram.h"

static const struct metrics_options two_shards = { .shards = 2 };

TEST(committed_rows_are_read_from_memory)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);

    CHECK(fx_compare(f) == 0);
    for (int k = 0; k < 10; k++)
        fx_scrape(f, 0, 50, T0 + k * 15000);
    CHECK(fx_compare(f) == 500);
    CHECK(fx_compare_range(f, T0 + 15000, T0 + 30000) == 100);
    CHECK(fx_compare_range(f, T0 + 15001, T0 + 29999) == 0);
}

TEST(rows_survive_without_a_flush)
{
    struct metrics_options o = { .shards = 4, .leave_logs = true };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct metrics_stats stats;

    for (int k = 0; k < 10; k++)
        fx_scrape(f, 0, 50, T0 + k * 15000);
    fx_reopen(f);
    CHECK(fx_compare(f) == 500);
    metrics_stats(f->m, &stats);
    CHECK(stats.replayed_rows == 500 && stats.parts == 0);
    fx_scrape(f, 0, 60, T0 + 10 * 15000);
    CHECK(fx_compare(f) == 560);
    fx_reopen(f);
    CHECK(fx_compare(f) == 560);
}

TEST(flushed_and_merged_rows_are_the_same)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct metrics_stats stats;
    struct err e = { 0 };

    for (int k = 0; k < 40; k++) {
        fx_scrape(f, (unsigned)k % 7, 50, T0 + k * 15000);
        if (k % 4 == 3)
            CHECK_OK(metrics_flush(f->m, &e), &e);
    }
    metrics_stats(f->m, &stats);
    CHECK(stats.parts == 20 && stats.rows_tail == 0);
    uint64_t rows = fx_compare(f);
    CHECK_OK(metrics_merge(f->m, &e), &e);
    metrics_stats(f->m, &stats);
    CHECK_F(stats.parts == 2 && stats.merges == 2, "%d parts", (int)stats.parts);
    CHECK(fx_compare(f) == rows);
    fx_reopen(f);
    CHECK(fx_compare(f) == rows);
}

TEST(order_rules)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    static const struct {
        int64_t t_ms;
        double v;
        enum append_status want;
    } cases[] = {
        { T0 + 60000, 1, APPEND_OK },
        { T0 + 60000, 1, APPEND_OK },        // a retry
        { T0 + 60000, 2, APPEND_DUPLICATE }, // the first wins
        { T0 + 59999, 1, APPEND_OUT_OF_ORDER },
        { T0 + 75000, 3, APPEND_OK },
        { T0 - 2 * MS_HOUR, 3, APPEND_TOO_OLD },
        { T0 + MS_HOUR + 11 * MS_MINUTE, 3, APPEND_TOO_NEW },
        { T0 + MS_HOUR + 9 * MS_MINUTE, 3, APPEND_OK },
    };

    FOR_CASES (c, cases) {
        struct append_stats stats;

        fx_add(f, 1, c->t_ms, c->v);
        stats = fx_commit(f);
        CHECK_F(stats.rows[c->want] == 1, "case %d", (int)(c - cases));
        if (c->want == APPEND_OK)
            ledger_add(f->ledger, 1, c->t_ms, double_bits(c->v));
    }
    CHECK(fx_compare(f) == 3);
}

// A sender that was not answered sends the same batch again: nothing of it is refused.
TEST(a_repeated_batch_is_accepted)
{
    struct metrics_options o = { .shards = 2, .leave_logs = true };
    OWNED(fx_free) struct fixture *f = fx_new(&o);

    for (int round = 0; round < 3; round++) {
        struct append_stats stats;

        for (unsigned i = 0; i < 20; i++) {
            for (int k = 0; k < 5; k++) {
                fx_add(f, i, T0 + k * 15000, k);
                ledger_add(f->ledger, i, T0 + k * 15000, double_bits(k));
            }
        }
        stats = fx_commit(f);
        CHECK_F(stats.rows[APPEND_OK] == 100, "round %d: %d accepted", round,
                (int)stats.rows[APPEND_OK]);
        if (round == 1)
            fx_reopen(f);
    }
    fx_add(f, 3, T0 + 15000, 77); // the same time, another value
    CHECK(fx_commit(f).rows[APPEND_OUT_OF_ORDER] == 1);
    CHECK(fx_compare(f) == 100);
}

TEST(status_is_told_per_row)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    uint8_t status[5];
    struct append_stats stats;
    struct err e = { 0 };

    fx_add(f, 1, T0, 1);
    fx_add(f, 2, T0, 1);
    fx_add(f, 1, T0, 2);
    fx_add(f, 3, T0, 1);
    append_float(f->b, (struct series_ref){ 77, 1 }, T0, 1);
    CHECK(append_rows(f->b) == 5);
    CHECK_OK(append_commit(f->b, &stats, status, &e), &e);
    CHECK(status[0] == APPEND_OK && status[1] == APPEND_OK && status[3] == APPEND_OK);
    CHECK(status[2] == APPEND_DUPLICATE && status[4] == APPEND_STALE_REF);
    CHECK(stats.rows[APPEND_OK] == 3 && stats.series_added == 3);
    CHECK(append_rows(f->b) == 0);
}

TEST(out_of_order_window)
{
    struct metrics_options o = { .shards = 2, .out_of_order_window_ms = 30 * MS_MINUTE };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct err e = { 0 };

    fx_scrape(f, 0, 20, T0 + 40 * MS_MINUTE);
    fx_scrape(f, 0, 20, T0 + 20 * MS_MINUTE);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    fx_scrape(f, 0, 20, T0 + 30 * MS_MINUTE);
    fx_scrape(f, 0, 20, T0 + 25 * MS_MINUTE);
    CHECK(fx_compare(f) == 80);
    fx_add(f, 1, T0 + 9 * MS_MINUTE, 1);
    CHECK(fx_commit(f).rows[APPEND_OUT_OF_ORDER] == 1);
    // The same time with another value is taken and hidden: the first accepted wins.
    fx_add(f, 1, T0 + 20 * MS_MINUTE, 12345);
    CHECK(fx_commit(f).rows[APPEND_OK] == 1);
    CHECK(fx_compare(f) == 80);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    CHECK(fx_compare(f) == 80);
    fx_reopen(f);
    CHECK(fx_compare(f) == 80);
}

TEST(midnight_is_crossed)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct metrics_stats stats;
    struct err e = { 0 };

    f->clock.fake_ms = T0 + MS_DAY;
    for (int k = -3; k <= 3; k++)
        fx_scrape(f, 0, 100, T0 + MS_DAY + k * 15000);
    metrics_stats(f->m, &stats);
    CHECK(stats.partitions == 2);
    CHECK(fx_compare(f) == 700);
    // One batch on both sides, as a sender that was away sends it; and a new series yesterday.
    fx_add(f, 200, T0 + MS_DAY - 1000, 5);
    ledger_add(f->ledger, 200, T0 + MS_DAY - 1000, double_bits(5));
    fx_add(f, 200, T0 + MS_DAY + 1000, 6);
    ledger_add(f->ledger, 200, T0 + MS_DAY + 1000, double_bits(6));
    CHECK(fx_commit(f).rows[APPEND_OK] == 2);
    CHECK(fx_compare(f) == 702);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    CHECK(fx_compare(f) == 702);
    fx_reopen(f);
    CHECK(fx_compare(f) == 702);
    // Order holds over midnight and restart: this time is known as the series' last.
    fx_scrape(f, 0, 100, T0 + MS_DAY + 60000);
    CHECK(fx_compare(f) == 802);
}

TEST(yesterday_is_closed)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct metrics_stats stats;
    struct err e = { 0 };

    for (int k = 0; k < 20; k++)
        fx_scrape(f, 0, 100, T0 + k * 60000);
    f->clock.fake_ms = T0 + MS_DAY + 2 * MS_HOUR;
    fx_scrape(f, 0, 100, T0 + MS_DAY + 2 * MS_HOUR);
    CHECK_OK(metrics_merge(f->m, &e), &e);
    metrics_stats(f->m, &stats);
    CHECK_F(stats.parts == 1 && stats.rows_tail == 100, "%d parts, %d rows in memory",
            (int)stats.parts, (int)stats.rows_tail);
    CHECK(fx_compare(f) == 2100);
    fx_reopen(f);
    CHECK(fx_compare(f) == 2100);
}

TEST(a_closed_partition_takes_late_rows)
{
    struct metrics_options o = { .shards = 2, .out_of_order_window_ms = 26 * (int64_t)MS_HOUR };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct err e = { 0 };

    f->clock.fake_ms = T0 + MS_DAY + 2 * MS_HOUR;
    fx_scrape(f, 0, 10, T0 + 23 * MS_HOUR);
    fx_scrape(f, 0, 10, T0 + MS_DAY + 2 * MS_HOUR);
    CHECK_OK(metrics_merge(f->m, &e), &e);
    fx_scrape(f, 5, 15, T0 + 22 * MS_HOUR);
    CHECK(fx_compare(f) == 30);
    fx_reopen(f);
    CHECK(fx_compare(f) == 30);
    fx_scrape(f, 0, 15, T0 + 21 * MS_HOUR);
    f->clock.fake_ms += 3 * MS_HOUR;
    CHECK_OK(metrics_merge(f->m, &e), &e);
    CHECK(fx_compare(f) == 45);
}

TEST(old_partitions_are_dropped)
{
    struct metrics_options o = { .shards = 2, .retention_ms = 2 * (int64_t)MS_DAY };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct metrics_stats stats;
    struct err e = { 0 };

    for (int day = 0; day < 5; day++) {
        f->clock.fake_ms = T0 + (day + 1) * (int64_t)MS_DAY;
        fx_scrape(f, 0, 10, T0 + day * (int64_t)MS_DAY + 12 * MS_HOUR);
    }
    CHECK_OK(metrics_retain(f->m, &e), &e);
    metrics_stats(f->m, &stats);
    CHECK(stats.partitions == 5); // those with logs stay
    f->clock.fake_ms += 3 * MS_HOUR;
    CHECK_OK(metrics_merge(f->m, &e), &e);
    CHECK_OK(metrics_retain(f->m, &e), &e);
    metrics_stats(f->m, &stats);
    CHECK_F(stats.partitions == 3, "%d", (int)stats.partitions);
    for (unsigned i = 0; i < 10; i++) {
        memmove(f->ledger->series[i].v, f->ledger->series[i].v + 2, 3 * sizeof(struct ledger_row));
        f->ledger->series[i].n = 3;
    }
    CHECK(fx_compare(f) == 30);
    fx_reopen(f);
    CHECK(fx_compare(f) == 30);
}

TEST(another_number_of_shards)
{
    struct metrics_options o = { .shards = 4, .leave_logs = true };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct err e = { 0 };

    fx_scrape(f, 0, 100, T0);
    CHECK_OK(metrics_flush(f->m, &e), &e);
    fx_scrape(f, 0, 100, T0 + 15000);
    f->o.shards = 2;
    fx_reopen(f);
    CHECK(fx_compare(f) == 200);
    fx_scrape(f, 0, 100, T0 + 30000);
    f->o.shards = 8;
    fx_reopen(f);
    fx_scrape(f, 0, 100, T0 + 45000);
    CHECK(fx_compare(f) == 400);
}

TEST(a_snapshot_is_a_data_directory)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    OWNED(arena_fini) struct arena a = { 0 };
    struct metrics_options o = two_shards;
    struct err e = { 0 };
    char name[64];

    fx_scrape(f, 0, 100, T0);
    CHECK_OK(metrics_snapshot(f->m, false, name, &e), &e);
    fx_scrape(f, 0, 100, T0 + 15000);
    o.path = arena_printf(&a, "%s/snapshots/%s", f->o.path, name).p;
    o.clock = &f->clock;
    o.no_background = true;

    struct fixture copy = { .o = o,
                            .clock = f->clock,
                            .ledger = xcalloc(1, sizeof(struct ledger)) };
    CHECK_OK(metrics_open(&copy.m, &o, &e), &e);
    CHECK_OK(metrics_tenant(copy.m, STR("anonymous"), &copy.t, &e), &e);
    for (unsigned i = 0; i < 100; i++)
        ledger_add(copy.ledger, i, T0, f->ledger->series[i].v[0].bits);
    CHECK(fx_compare(&copy) == 100);
    metrics_close(copy.m);
    for (unsigned i = 0; i < 100; i++)
        vec_fini(&copy.ledger->series[i]);
    xfree(copy.ledger);
    CHECK(fx_compare(f) == 200);
}

TEST(one_process_at_a_time)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct metrics *m = NULL;
    struct err e = { 0 };

    CHECK(!metrics_open(&m, &f->o, &e));
    CHECK(e.kind == ERR_CONFLICT && strstr(e.text, "in use") && !m);
}

/* ---- histograms, start times, stale markers ---- */

struct kept {
    int64_t t_ms[16];
    double value[16];
    int64_t start_ms[16];
    struct histogram *hist[16];
    size_t n;
    struct arena arena;
};

static bool keep(void *ctx, uint32_t pos UNUSED, const struct series_samples *s,
                 struct err *e UNUSED)
{
    struct kept *k = ctx;

    for (size_t i = 0; i < s->n && i < 16; i++) {
        k->t_ms[i] = s->t_ms[i];
        k->value[i] = s->value[i];
        k->start_ms[i] = s->start_ms ? s->start_ms[i] : 0;
        k->hist[i] = s->hist && s->hist[i] ? histogram_copy(&k->arena, s->hist[i]) : NULL;
    }
    k->n = s->n;
    return true;
}

static void read_one(struct fixture *f, unsigned i, struct kept *k)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher m = { MATCH_EQ, STR("i"), arena_printf(&a, "%u", i), NULL };
    struct select_query q = { .matchers = &m, .matcher_count = 1, .max_ms = INT64_MAX };
    struct scan_query scan = { .min_ms = 0, .max_ms = INT64_MAX, .need_start = true };
    struct series_set set;
    struct series_source *source = metrics_source(f->t);

    k->n = 0;
    CHECK_OK(source->open(source, 0, INT64_MAX, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    CHECK(set.n == 1);
    CHECK(labels_equal(set.v[0].labels, fx_labels(&a, i)));
    CHECK_OK(v->ops->scan(v, &set, &scan, &budget, keep, k, &e), &e);
}

static struct histogram test_histogram(double scale)
{
    static const struct hist_span span[] = { { -2, 2 }, { 3, 1 } };
    static double count[3];
    static const struct hist_span neg_span[] = { { 0, 1 } };
    static double neg_count[1];

    for (int i = 0; i < 3; i++)
        count[i] = scale * (i + 1);
    neg_count[0] = scale;
    return (struct histogram){
        .schema = 3,
        .integer = true,
        .zero_threshold = 1e-128,
        .zero_count = 2,
        .count = 7 * scale + 2,
        .sum = 12.25 * scale,
        .pos = { span, count, 2, 3 },
        .neg = { neg_span, neg_count, 1, 1 },
    };
}

static void check_mixed(struct fixture *f)
{
    struct kept k = { 0 };
    struct histogram h1 = test_histogram(1);

    read_one(f, 7, &k);
    CHECK_F(k.n == 5, "%zu", k.n);
    CHECK(k.t_ms[0] == T0 && k.hist[0] && histogram_equal(k.hist[0], &h1));
    struct histogram h2 = test_histogram(3);
    CHECK(k.hist[1] && histogram_equal(k.hist[1], &h2));
    CHECK(k.hist[2] && histogram_is_stale(k.hist[2]));
    CHECK(!k.hist[3] && k.value[3] == 5 && k.start_ms[3] == T0 - 99);
    CHECK(!k.hist[4] && sample_is_stale(k.value[4]) && k.start_ms[4] == 0);
    arena_fini(&k.arena);
}

TEST(histograms_starts_and_stale_markers)
{
    struct metrics_options o = { .shards = 2, .leave_logs = true };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct histogram h = test_histogram(1);
    struct err e = { 0 };

    append_histogram(f->b, fx_ref(f, 7), T0, &h);
    h = test_histogram(3);
    append_histogram(f->b, fx_ref(f, 7), T0 + 1000, &h);
    fx_add(f, 8, T0, 1);
    h = (struct histogram){ .sum = double_from_bits(SAMPLE_STALE_BITS) };
    append_histogram(f->b, fx_ref(f, 7), T0 + 2000, &h);
    fx_add(f, 7, T0 + 3000, 5);
    append_start(f->b, T0 - 99);
    fx_add(f, 7, T0 + 4000, double_from_bits(SAMPLE_STALE_BITS));
    CHECK(fx_commit(f).rows[APPEND_OK] == 6);
    check_mixed(f);
    fx_reopen(f); // from the log
    check_mixed(f);
    CHECK_OK(metrics_flush(f->m, &e), &e); // from a part
    check_mixed(f);
    fx_reopen(f);
    check_mixed(f);
}

/* ---- series and labels ---- */

TEST(aliases_and_labels)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    OWNED(arena_fini) struct arena a = { 0 };
    struct hash128 key = { 1, 2 };
    struct series_ref ref, got;
    struct labels ls;

    CHECK(!append_find(f->b, key, &got));
    ref = fx_ref(f, 3);
    append_alias(f->b, key, ref);
    CHECK(append_find(f->b, key, &got) && got.slot == ref.slot && got.generation == ref.generation);
    CHECK(append_labels(f->b, ref, &a, &ls) && labels_equal(ls, fx_labels(&a, 3)));
    append_float(f->b, ref, T0, 1);
    (void)fx_commit(f);
    CHECK(append_ref_is_live(f->b, ref));
    CHECK(append_labels(f->b, ref, &a, &ls) && labels_equal(ls, fx_labels(&a, 3)));
    ref.generation++;
    CHECK(!append_ref_is_live(f->b, ref) && !append_labels(f->b, ref, &a, &ls));
}

// A series that was resolved but never written is in no catalog; its ref is not live elsewhere.
TEST(a_resolved_series_without_rows_leaves_no_trace)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct series_ref ref = fx_ref(f, 3);

    CHECK(append_ref_is_live(f->b, ref));
    append_batch_reset(f->b);
    CHECK(!append_ref_is_live(f->b, ref));
    append_float(f->b, ref, T0, 1);
    CHECK(fx_commit(f).rows[APPEND_STALE_REF] == 1);
    CHECK(fx_compare(f) == 0);
    fx_scrape(f, 3, 4, T0);
    CHECK(fx_compare(f) == 1);
}

static size_t strings(struct fixture *f, const char *name, int64_t min_ms, int64_t max_ms,
                      size_t limit, struct arena *a, struct str **out)
{
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct select_query q = {
        .min_ms = min_ms, .max_ms = max_ms, .limit = limit, .label = str_c(name)
    };
    struct series_source *source = metrics_source(f->t);
    size_t n;

    CHECK_OK(source->open(source, min_ms, max_ms, &v, &e), &e);
    CHECK_OK(v->ops->label_strings(v, &q, a, &budget, out, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = arena_str(a, (*out)[i]);
    return n;
}

TEST(label_names_and_values)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    OWNED(arena_fini) struct arena a = { 0 };
    struct str *v;

    fx_scrape(f, 0, 30, T0);
    f->clock.fake_ms = T0 + 30 * MS_HOUR;
    fx_scrape(f, 20, 35, T0 + 26 * MS_HOUR);
    CHECK(strings(f, "", 0, INT64_MAX, 0, &a, &v) == 3);
    CHECK_STR(v[0], LABEL_NAME);
    CHECK(strings(f, "i", 0, INT64_MAX, 0, &a, &v) == 35);
    CHECK(strings(f, "i", 0, INT64_MAX, 4, &a, &v) == 5);
    CHECK(strings(f, "i", T0 + 25 * MS_HOUR, INT64_MAX, 0, &a, &v) == 15);
    CHECK(strings(f, "nope", 0, INT64_MAX, 0, &a, &v) == 0);
}

TEST(cardinality_of_the_newest_partition)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    OWNED(arena_fini) struct arena a = { 0 };
    struct metrics_cardinality c;
    struct err e = { 0 };

    fx_scrape(f, 0, 35, T0);
    CHECK_OK(metrics_cardinality(f->t, 3, &a, &c, &e), &e);
    CHECK(c.series == 35 && c.by_metric_n == 3 && c.by_metric[0].value == 4);
    CHECK_STR(c.by_label[0].name, STR("i"));
}

/* ---- exemplars, metadata ---- */

TEST(exemplars_are_kept_by_series)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct label l = { STR("trace_id"), STR("abc") };
    struct exemplar x = { { &l, 1 }, 0.5, T0 };
    struct matcher m = { MATCH_EQ, STR("i"), STR("3"), NULL };
    struct select_query q = { .matchers = &m, .matcher_count = 1, .max_ms = INT64_MAX };
    struct series_source *source = metrics_source(f->t);
    struct series_exemplars *got;
    struct budget budget = { 0 };
    struct err e = { 0 };
    size_t n;

    fx_add(f, 3, T0, 1);
    append_exemplar(f->b, fx_ref(f, 3), &x);
    append_exemplar(f->b, fx_ref(f, 3), &x); // a repeat
    fx_add(f, 4, T0, 1);
    append_exemplar(f->b, fx_ref(f, 4), &x);
    (void)fx_commit(f);
    CHECK_OK(source->open(source, 0, INT64_MAX, &v, &e), &e);
    CHECK_OK(v->ops->exemplars(v, &q, &a, &budget, &got, &n, &e), &e);
    CHECK(n == 1 && got[0].n == 1 && got[0].v[0].value == 0.5 && got[0].v[0].t_ms == T0);
    CHECK_STR(labels_get(got[0].v[0].labels, STR("trace_id")), STR("abc"));
    CHECK_STR(labels_get(got[0].series, STR("i")), STR("3"));
}

static void count_meta(void *ctx, const struct metric_meta *m)
{
    size_t *n = ctx;

    if (str_eq_c(m->name, "up"))
        *n += m->type == TYPE_GAUGE && str_eq_c(m->help, "Is it up?") && !m->unit.n;
    else
        *n += 10;
}

TEST(metadata_is_kept)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct metric_meta m = { STR("up"), TYPE_COUNTER, STR("?"), STR("s") };
    size_t n = 0;

    metrics_meta_set(f->t, &m);
    m = (struct metric_meta){ STR("up"), TYPE_GAUGE, STR("Is it up?"), STR("") };
    metrics_meta_set(f->t, &m);
    m.name = STR("down");
    metrics_meta_set(f->t, &m);
    metrics_meta_each(f->t, count_meta, &n);
    CHECK(n == 11);
    fx_reopen(f);
    n = 0;
    metrics_meta_each(f->t, count_meta, &n);
    CHECK(n == 11);
}

TEST(tenants_are_apart)
{
    OWNED(fx_free) struct fixture *f = fx_new(&two_shards);
    struct metrics_tenant *mine = f->t, *other;
    struct err e = { 0 };

    fx_scrape(f, 0, 10, T0);
    CHECK_OK(metrics_tenant(f->m, STR("a/b %"), &other, &e), &e);
    CHECK(other != mine);
    f->t = other;
    CHECK(!metrics_tenant(f->m, STR(""), &other, &e) && e.kind == ERR_INVALID);
    struct ledger *l = f->ledger;
    f->ledger = xcalloc(1, sizeof *l);
    CHECK(fx_compare(f) == 0);
    xfree(f->ledger);
    f->ledger = l;
    f->t = mine;
    fx_reopen(f);
    CHECK_OK(metrics_tenant(f->m, STR("a/b %"), &other, &e), &e);
    CHECK(fx_compare(f) == 10);
}

/* ---- pruning by time ---- */

static size_t selected_between(struct fixture *f, int64_t min_ms, int64_t max_ms)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms
    };
    struct series_set set = { 0 };
    struct series_source *source = metrics_source(f->t);

    CHECK_OK(source->open(source, min_ms, max_ms, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    return set.n;
}

TEST(closed_partitions_prune_series_by_time_after_a_restart_until_late_rows_come)
{
    struct metrics_options o = { .shards = 2, .out_of_order_window_ms = 60 * (int64_t)MS_DAY };
    OWNED(fx_free) struct fixture *f = fx_new(&o);
    struct err e = { 0 };

    fx_scrape(f, 0, 50, T0);
    f->clock.fake_ms = T0 + 20 * MS_HOUR;
    fx_scrape(f, 50, 60, T0 + 20 * MS_HOUR);
    f->clock.fake_ms += 2 * MS_DAY;
    fx_scrape(f, 0, 1, T0 + 2 * MS_DAY);
    CHECK_OK(metrics_merge(f->m, &e), &e);
    CHECK(selected_between(f, T0 + 20 * MS_HOUR, T0 + 21 * MS_HOUR) == 10);
    fx_reopen(f);
    CHECK(selected_between(f, T0 + 20 * MS_HOUR, T0 + 21 * MS_HOUR) == 10);
    CHECK(selected_between(f, T0, T0 + MS_HOUR) == 50);

    fx_scrape(f, 0, 5, T0 + 20 * MS_HOUR + MS_MINUTE); // late
    CHECK(selected_between(f, T0 + 20 * MS_HOUR, T0 + 21 * MS_HOUR) == 15);
    fx_reopen(f);
    CHECK(selected_between(f, T0 + 20 * MS_HOUR, T0 + 21 * MS_HOUR) >= 15);
    (void)fx_compare(f);
    (void)fx_compare_range(f, T0 + 20 * MS_HOUR, T0 + 21 * MS_HOUR);
    f->clock.fake_ms += 3 * MS_HOUR;
    CHECK_OK(metrics_merge(f->m, &e), &e);
    fx_reopen(f);
    (void)fx_compare_range(f, T0 + 20 * MS_HOUR, T0 + 21 * MS_HOUR);
}
