// metric_part_test.c - metric parts against a model: rows, sharing of times, histograms, merging, damage.
// SPDX-License-Identifier: Apache-2.0
#include "metrics/metric_part.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"
#include "test.h"

static const struct part_id ID = { .owner = 5, .number = 9, .epoch = 1, .kind = PART_METRICS };

static uint64_t below(struct rand_state *r, uint64_t n)
{
    return (rand_next(r) >> 11) % n;
}

/* ---- a model: all rows of a part in order ---- */

struct row {
    uint32_t id;
    int64_t t_ms, start_ms;
    double value;
    const struct histogram *hist;
};

struct model {
    VEC(struct row) rows; // by (id, time)
    struct arena arena;
};

static void model_fini(struct model *m)
{
    vec_fini(&m->rows);
    arena_fini(&m->arena);
}

static void model_add(struct model *m, uint32_t id, int64_t t_ms, double value)
{
    struct row *r = vec_push(&m->rows);

    r->id = id;
    r->t_ms = t_ms;
    memcpy(&r->value, &value, sizeof value);
}

static bool write_model(const struct model *m, const char *path, struct part_info *info,
                        struct err *e)
{
    OWNED(metric_part_writer_close) struct metric_part_writer *w = NULL;
    struct metric_part_writer_options o = {
        .path = path, .id = ID, .shard = 2, .seq_from = 7, .seq_to = 8, .resolution_ms = 0
    };
    OWNED(sample_columns_fini) struct sample_columns c = { 0 };

    if (!metric_part_writer_open(&w, &o, e))
        return false;
    for (size_t i = 0; i < m->rows.n;) {
        const struct row *first = &m->rows.v[i];

        sample_columns_reset(&c);
        for (; i < m->rows.n && m->rows.v[i].id == first->id; i++) {
            const struct row *r = &m->rows.v[i];

            sample_columns_push(&c, r->t_ms, r->value, r->hist, r->start_ms);
        }
        struct series_samples s = sample_columns_view(&c);
        if (!metric_part_writer_add(w, first->id, &s, e))
            return false;
    }
    return metric_part_writer_finish(w, info, e);
}

// Bit-wise, with layout: histogram_equal() knows less.
static bool same_side(const struct hist_side *x, const struct hist_side *y)
{
    return x->spans == y->spans && x->buckets == y->buckets &&
           (!x->spans || !memcmp(x->span, y->span, x->spans * sizeof *x->span)) &&
           (!x->buckets || !memcmp(x->count, y->count, x->buckets * sizeof *x->count));
}

static bool same_bits(double x, double y)
{
    return double_bits(x) == double_bits(y);
}

static bool same_hist(const struct histogram *x, const struct histogram *y)
{
    if (!x || !y)
        return x == y;
    return x->schema == y->schema && x->reset == y->reset && x->integer == y->integer &&
           same_bits(x->zero_threshold, y->zero_threshold) &&
           same_bits(x->zero_count, y->zero_count) && same_bits(x->count, y->count) &&
           same_bits(x->sum, y->sum) && same_side(&x->pos, &y->pos) &&
           same_side(&x->neg, &y->neg) && x->custom_n == y->custom_n &&
           (!x->custom_n || !memcmp(x->custom, y->custom, x->custom_n * sizeof *x->custom));
}

static void check_rows(const struct row *want, size_t n, const struct sample_columns *got)
{
    CHECK_F(got->n == n, "%zu rows, want %zu", got->n, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_F(got->t_ms[i] == want[i].t_ms, "row %zu of id %u", i, want[i].id);
        CHECK(same_hist(got->has_hist ? got->hist[i] : NULL, want[i].hist));
        CHECK(want[i].hist || same_bits(got->value[i], want[i].value));
        CHECK((got->has_start ? got->start_ms[i] : 0) == want[i].start_ms);
    }
}

// Every series in full, in order, by iteration; then random reads of time ranges.
static void check_part(struct metric_part *p, const struct model *m, struct rand_state *rand,
                       size_t random_reads)
{
    struct err e = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(sample_columns_fini) struct sample_columns c = { .arena = &a };
    struct metric_part_cursor *cur = metric_part_cursor_new(p, METRIC_PART_START);
    size_t i = 0;
    int r;

    for (uint32_t id = 0; (r = metric_part_next_id(cur, &id, &e)) > 0; id++) {
        size_t n = 0;

        CHECK(i < m->rows.n && m->rows.v[i].id == id);
        while (i + n < m->rows.n && m->rows.v[i + n].id == id)
            n++;
        sample_columns_reset(&c);
        CHECK_OK(metric_part_read(cur, id, INT64_MIN, INT64_MAX, &c, &e), &e);
        check_rows(m->rows.v + i, n, &c);
        i += n;
        if (id == UINT32_MAX)
            break;
    }
    CHECK_F(r >= 0, "%s", e.text);
    CHECK(i == m->rows.n);
    for (size_t k = 0; k < random_reads && m->rows.n; k++) {
        const struct row *at = &m->rows.v[below(rand, m->rows.n)];
        uint32_t id = at->id + (uint32_t)below(rand, 2);
        int64_t min = at->t_ms - (int64_t)below(rand, 100000);
        int64_t max = below(rand, 9) ? min + (int64_t)below(rand, 300000) : INT64_MAX;
        size_t from = 0, to;

        while (from < m->rows.n && (m->rows.v[from].id < id ||
                                    (m->rows.v[from].id == id && m->rows.v[from].t_ms < min)))
            from++;
        for (to = from; to < m->rows.n && m->rows.v[to].id == id && m->rows.v[to].t_ms <= max;)
            to++;
        sample_columns_reset(&c);
        arena_reset(&a);
        CHECK_OK(metric_part_read(cur, id, min, max, &c, &e), &e);
        check_rows(m->rows.v + from, to - from, &c);
    }
    metric_part_cursor_free(cur);
}

static const char *temp_path(struct arena *a)
{
    return arena_printf(a, "%s/00000009.part", file_temp_dir(a)).p;
}

static void check_model(const struct model *m, struct rand_state *rand, size_t random_reads,
                        struct metric_part_sections *sections)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
    struct err e = { 0 };
    const char *path = temp_path(&a);
    struct part_info info;
    struct metric_part *p;

    CHECK_OK(write_model(m, path, &info, &e), &e);
    CHECK(info.rows == m->rows.n && info.shard == 2 && info.seq_to == 8);
    CHECK_OK(metric_part_open(&p, cache, path, &ID, &e), &e);
    CHECK(memcmp(metric_part_info(p), &info, sizeof info) == 0);
    check_part(p, m, rand, random_reads);
    CHECK_OK(metric_part_verify(p, NULL, &e), &e);
    if (sections)
        metric_part_sections(p, sections);
    metric_part_put(p);
}

/* ---- floats and times ---- */

TEST(one_row_and_extreme_ids_and_times)
{
    struct model m = { 0 };
    struct rand_state r = rand_seeded(1);

    model_add(&m, 0, INT64_MIN / 4, 1);
    model_add(&m, 7, -1, 2);
    model_add(&m, 7, 0, double_from_bits(SAMPLE_STALE_BITS));
    model_add(&m, UINT32_MAX, (INT64_C(1) << 53) - 1, -0.0);
    check_model(&m, &r, 50, NULL);
    model_fini(&m);
}

// targets × series × rows; each target has its own jitter, shared by its series.
static void fill_targets(struct model *m, struct rand_state *r, size_t targets, size_t series,
                         size_t rows, bool ragged)
{
    int64_t *t_ms = xmalloc(rows * sizeof *t_ms);

    for (size_t target = 0; target < targets; target++) {
        for (size_t i = 0; i < rows; i++)
            t_ms[i] = 1795219200000 + (int64_t)(target * 7 + i * 15000 + below(r, 100));
        for (size_t s = 0; s < series; s++) {
            size_t from = ragged && !below(r, 3) ? below(r, rows) : 0;
            size_t to = ragged && !below(r, 3) ? from + 1 + below(r, rows - from) : rows;
            size_t gap = ragged && !below(r, 5) ? below(r, rows) : rows;
            double v = 0;

            for (size_t i = from; i < to; i++) {
                v += (double)below(r, 20);
                if (i != gap)
                    model_add(m, (uint32_t)(target * series + s) * 2, t_ms[i], v);
            }
        }
    }
    xfree(t_ms);
}

TEST(series_of_a_target_share_their_times)
{
    static const struct {
        size_t targets, series, rows;
        bool ragged;
        double bytes_max; // of times, per distinct timestamp
    } cases[] = {
        { 3, 40, 16, false, 3.0 }, { 3, 40, 200, false, 1.2 }, { 2, 10, 1300, false, 1.2 },
        { 3, 40, 200, true, 3.0 }, { 1, 30, 1300, true, 1.8 }, { 1, 3, 9000, false, 1.2 },
        { 200, 2, 3, false, 3.0 },
    };
    FOR_CASES (t, cases) {
        struct model m = { 0 };
        struct rand_state r = rand_seeded(2);
        struct metric_part_sections s;

        fill_targets(&m, &r, t->targets, t->series, t->rows, t->ragged);
        check_model(&m, &r, 200, &s);
        double per_time = (double)s.times_bytes / (double)(t->targets * t->rows);
        print_message("%.2f of %.1f bytes per distinct time\n", per_time, t->bytes_max);
        CHECK_F(per_time <= t->bytes_max, "%zu×%zu×%zu: %.2f bytes per distinct time", t->targets,
                t->series, t->rows, per_time);
        model_fini(&m);
    }
}

TEST(a_regular_grid_costs_nearly_nothing_for_times)
{
    struct model m = { 0 };
    struct rand_state r = rand_seeded(3);
    struct metric_part_sections s;

    for (uint32_t id = 0; id < 100; id++)
        for (int64_t i = 0; i < 500; i++)
            model_add(&m, id, 1795219200000 + i * 15000, (double)(i * id));
    check_model(&m, &r, 100, &s);
    CHECK_F(s.times_bytes < 100, "%llu", (unsigned long long)s.times_bytes);
    CHECK_F(s.values_bytes < 50000 / 40, "%llu", (unsigned long long)s.values_bytes);
    model_fini(&m);
}

TEST(random_rows_over_many_pages)
{
    struct model m = { 0 };
    struct rand_state r = rand_seeded(4);

    for (uint32_t id = 0; id < 400; id += 1 + (uint32_t)below(&r, 4)) {
        size_t n = below(&r, 20) ? 1 + below(&r, 60) : 3000;
        int64_t t_ms = 1795219200000 + (int64_t)below(&r, 1000000);

        for (size_t i = 0; i < n; i++) {
            model_add(&m, id, t_ms, double_from_bits(rand_next(&r)));
            m.rows.v[m.rows.n - 1].start_ms = id % 3 ? 0
                                                     : (int64_t)below(&r, 2) *
                                                           (1795219200000 - (int64_t)(i / 20));
            t_ms += 1 + (int64_t)below(&r, 30000);
        }
    }
    check_model(&m, &r, 400, NULL);
    model_fini(&m);
}

TEST(a_series_may_be_added_in_pieces)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
    struct err e = { 0 };
    struct model m = { 0 };
    struct rand_state r = rand_seeded(5);
    struct metric_part_writer *w;
    struct metric_part_writer_options o = { .path = temp_path(&a), .id = ID };
    struct part_info info;
    struct metric_part *p;
    int64_t t_ms[1000];
    double v[1000];

    for (int i = 0; i < 1000; i++) {
        t_ms[i] = i * 10;
        v[i] = i % 17;
    }
    CHECK_OK(metric_part_writer_open(&w, &o, &e), &e);
    for (uint32_t id = 1; id < 9; id++) {
        for (size_t i = 0, n; i < 1000; i += n) {
            n = MIN(1 + below(&r, 700), 1000 - i);
            struct series_samples s = { .t_ms = t_ms + i, .value = v + i, .n = n };
            CHECK_OK(metric_part_writer_add(w, id, &s, &e), &e);
        }
        for (int i = 0; i < 1000; i++)
            model_add(&m, id, t_ms[i], v[i]);
    }
    CHECK(metric_part_writer_rows(w) == 8000);
    CHECK_OK(metric_part_writer_finish(w, &info, &e), &e);
    metric_part_writer_close(w);
    CHECK(info.series == 8 && info.rows == 8000 && info.min_ms == 0 && info.max_ms == 9990);
    CHECK_OK(metric_part_open(&p, cache, o.path, &ID, &e), &e);
    check_part(p, &m, &r, 100);
    metric_part_put(p);
    model_fini(&m);
}

/* ---- histograms ---- */

static void random_side(struct rand_state *r, struct arena *a, struct hist_side *s, size_t spans)
{
    struct hist_span *span = arena_array(a, spans, struct hist_span);
    uint32_t buckets = 0;

    for (size_t i = 0; i < spans; i++) {
        span[i].offset = (int32_t)below(r, 6) - (i ? 0 : 3);
        span[i].length = (uint32_t)below(r, 5);
        buckets += span[i].length;
    }
    double *count = arena_array(a, buckets, double);
    for (size_t i = 0; i < buckets; i++)
        count[i] = (double)below(r, 30);
    *s = (struct hist_side){
        .span = span, .count = count, .spans = (uint32_t)spans, .buckets = buckets
    };
}

// Like the one before, a little grown, as a real series; or something quite new.
static const struct histogram *next_hist(struct rand_state *r, struct arena *a,
                                         const struct histogram *last)
{
    struct histogram *h = arena_new(a, struct histogram);

    if (!below(r, 25)) {
        *h = (struct histogram){ .integer = last && last->integer };
        h->sum = double_from_bits(SAMPLE_STALE_BITS);
        return h;
    }
    if (last && below(r, 12) && last->pos.buckets) {
        *h = *last;
        double *count = arena_copy(a, last->pos.count, last->pos.buckets * sizeof *count);
        for (uint32_t i = 0; i < h->pos.buckets; i++)
            count[i] += (double)below(r, 5);
        h->pos.count = count;
        h->count += 17;
        h->sum += 0.1;
        h->reset = (enum hist_reset)below(r, 4);
        return h;
    }
    h->integer = below(r, 2);
    h->schema = below(r, 5) ? 3 : (int32_t)below(r, 13) - 4;
    h->zero_threshold = below(r, 2) ? 1e-128 : 0;
    h->zero_count = (double)below(r, 9);
    h->count = (double)below(r, 1000);
    h->sum = (double)below(r, 1000) / 7;
    random_side(r, a, &h->pos, below(r, 4));
    random_side(r, a, &h->neg, below(r, 3));
    if (!below(r, 6)) {
        double *bounds = arena_array(a, 3, double);
        for (int i = 0; i < 3; i++)
            bounds[i] = i * 0.1;
        h->schema = HIST_SCHEMA_CUSTOM;
        h->neg = (struct hist_side){ 0 };
        h->custom = bounds;
        h->custom_n = 3;
    }
    return h;
}

TEST(histograms_are_bit_exact)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct model m = { 0 };
        struct rand_state r = rand_seeded(100 + seed);

        for (uint32_t id = 0; id < 12; id++) {
            const struct histogram *last = NULL;
            size_t n = 1 + below(&r, seed % 3 ? 40 : 900);

            for (size_t i = 0; i < n; i++) {
                model_add(&m, id, (int64_t)i * 15000, (double)i);
                if (id % 4 == 3 || (id % 4 == 2 && below(&r, 4)))
                    continue; // floats among them
                last = next_hist(&r, &m.arena, last);
                m.rows.v[m.rows.n - 1].hist = last;
            }
        }
        check_model(&m, &r, 60, NULL);
        model_fini(&m);
    }
}

TEST(a_huge_histogram_fits)
{
    struct model m = { 0 };
    struct rand_state r = rand_seeded(6);
    struct hist_span span = { -5, HIST_BUCKETS_MAX };
    double *count = arena_array(&m.arena, HIST_BUCKETS_MAX, double);

    for (size_t i = 0; i < HIST_BUCKETS_MAX; i++)
        count[i] = (double)below(&r, 3);
    for (int i = 0; i < 3; i++) {
        struct histogram *h = arena_new(&m.arena, struct histogram);

        h->pos = (struct hist_side){ &span, count, 1, HIST_BUCKETS_MAX };
        h->neg = h->pos;
        model_add(&m, 1, i, 0);
        m.rows.v[m.rows.n - 1].hist = h;
    }
    check_model(&m, &r, 4, NULL);
    model_fini(&m);
}

TEST(unsound_histograms_are_refused)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct hist_span spans[2] = { { 0, 2 }, { -1, 2 } };
    double count[4] = { 1, 2, 3, 4 };
    struct histogram h[2] = {
        { .pos = { spans, count, 2, 4 } }, // overlap
        { .pos = { spans, count, 1, 4 } }, // four counts, two buckets
    };

    for (int i = 0; i < 2; i++) {
        const struct histogram *hs[1] = { &h[i] };
        struct metric_part_writer_options o = { .path = temp_path(&a), .id = ID };
        struct series_samples s = {
            .t_ms = (int64_t[]){ 1 }, .value = (double[]){ 0 }, .hist = hs, .n = 1
        };
        OWNED(metric_part_writer_close) struct metric_part_writer *w = NULL;

        CHECK_OK(metric_part_writer_open(&w, &o, &e), &e);
        CHECK(!metric_part_writer_add(w, 1, &s, &e) && e.kind == ERR_INVALID);
    }
}

/* ---- exemplars ---- */

struct seen {
    const struct metric_part_exemplar *want;
    size_t n, at;
};

static bool see(void *ctx, const struct metric_part_exemplar *x, struct err *e)
{
    struct seen *s = ctx;
    const struct metric_part_exemplar *w = &s->want[s->at++];

    CHECK(s->at <= s->n);
    CHECK(x->id == w->id && x->t_ms == w->t_ms && same_bits(x->value, w->value));
    CHECK_STR(x->labels, w->labels);
    return s->at < 5000 || err_set(e, ERR_CANCELLED, "enough");
}

TEST(exemplars_come_back_in_order)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
    struct err e = { 0 };
    struct rand_state r = rand_seeded(7);
    struct metric_part_writer_options o = { .path = temp_path(&a), .id = ID };
    OWNED(metric_part_writer_close) struct metric_part_writer *w = NULL;
    struct metric_part_exemplar x[3000];
    struct part_info info;
    struct metric_part *p;

    CHECK_OK(metric_part_writer_open(&w, &o, &e), &e);
    for (uint32_t i = 0; i < 3000; i++) {
        x[i] = (struct metric_part_exemplar){
            .id = i / 100 * 3,
            .t_ms = (int64_t)i * 10 - 500,
            .value = (double)below(&r, 9),
            .labels = arena_printf(&a, "trace%llx", (unsigned long long)rand_next(&r)),
        };
        CHECK_OK(metric_part_writer_exemplar(w, &x[i], &e), &e);
    }
    struct series_samples s = { .t_ms = (int64_t[]){ 1 }, .value = (double[]){ 2 }, .n = 1 };
    CHECK_OK(metric_part_writer_add(w, 0, &s, &e), &e);
    CHECK_OK(metric_part_writer_finish(w, &info, &e), &e);
    CHECK_OK(metric_part_open(&p, cache, o.path, &ID, &e), &e);
    CHECK(metric_part_has_exemplars(p));
    struct seen all = { x, 3000, 0 };
    CHECK_OK(metric_part_exemplars(
                 p, &(struct metric_part_exemplar_query){ 0, UINT32_MAX, INT64_MIN, INT64_MAX },
                 see, &all, &e),
             &e);
    CHECK(all.at == 3000);
    struct seen some = { x + 700, 300, 0 };
    CHECK_OK(metric_part_exemplars(
                 p, &(struct metric_part_exemplar_query){ 20, 27, INT64_MIN, INT64_MAX }, see,
                 &some, &e),
             &e);
    CHECK(some.at == 300);
    struct seen timed = { x + 1050, 100, 0 };
    CHECK_OK(metric_part_exemplars(p, &(struct metric_part_exemplar_query){ 0, 99, 10000, 10990 },
                                   see, &timed, &e),
             &e);
    CHECK(timed.at == 100);
    metric_part_put(p);
}

/* ---- merging ---- */

// Takes out what is older than the series' bound.
static void cut_old(void *ctx, size_t input UNUSED, uint32_t id, struct sample_columns *rows,
                    size_t from)
{
    const int64_t *by_id = ctx;
    size_t kept = from;

    for (size_t i = from; i < rows->n; i++) {
        if (rows->t_ms[i] < by_id[id % 8])
            continue;
        rows->t_ms[kept] = rows->t_ms[i];
        rows->value[kept] = rows->value[i];
        if (rows->has_hist)
            rows->hist[kept] = rows->hist[i];
        if (rows->has_start)
            rows->start_ms[kept] = rows->start_ms[i];
        kept++;
    }
    rows->n = kept;
}

static void merge_models(const struct model *in, size_t n, const int64_t *cut, struct model *out)
{
    size_t at[8] = { 0 };

    for (;;) {
        const struct row *first = NULL;
        size_t who = 0;

        for (size_t i = 0; i < n; i++) {
            const struct row *r = at[i] < in[i].rows.n ? &in[i].rows.v[at[i]] : NULL;

            if (r &&
                (!first || r->id < first->id || (r->id == first->id && r->t_ms < first->t_ms))) {
                first = r;
                who = i;
            }
        }
        if (!first)
            return;
        at[who]++;
        const struct row *last = out->rows.n ? &out->rows.v[out->rows.n - 1] : NULL;
        if ((!last || last->id != first->id || last->t_ms != first->t_ms) &&
            first->t_ms >= cut[first->id % 8])
            *vec_push(&out->rows) = *first;
    }
}

static void fill_input(struct model *m, struct rand_state *r, size_t which, bool overlap)
{
    const struct histogram *last = NULL;

    for (uint32_t id = 0; id < 60; id += 1 + (uint32_t)below(r, 3)) {
        int64_t t_ms = overlap ? (int64_t)below(r, 50) : (int64_t)which * 1000;
        size_t n = below(r, 8) ? 1 + below(r, 30) : 700;

        for (size_t i = 0; i < n && (overlap || i < 999); i++) {
            model_add(m, id, t_ms, (double)below(r, 100) + (double)which / 8);
            struct row *row = &m->rows.v[m->rows.n - 1];
            if (id % 7 == 0)
                row->hist = last = next_hist(r, &m->arena, last);
            row->start_ms = id % 5 ? 0 : 1 + (int64_t)which;
            t_ms += 1 + (overlap ? (int64_t)below(r, 4) : 0);
        }
    }
}

TEST(merging_equals_a_sorted_map)
{
    for (uint64_t seed = 0; seed < 16; seed++) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
        struct err e = { 0 };
        struct rand_state r = rand_seeded(200 + seed);
        struct model in[5] = { 0 }, want = { 0 };
        struct metric_part *part[5], *merged;
        size_t n = 1 + below(&r, 5);
        int64_t cut[8];
        struct metric_part_writer_options o = { .path = temp_path(&a), .id = ID };
        OWNED(metric_part_writer_close) struct metric_part_writer *w = NULL;
        struct part_info info;

        for (size_t i = 0; i < 8; i++)
            cut[i] = below(&r, 2) ? INT64_MIN : (int64_t)below(&r, 2500);
        cut[3] = seed % 2 ? INT64_MAX : cut[3]; // a dead series
        for (size_t i = 0; i < n; i++) {
            const char *path = temp_path(&a);

            fill_input(&in[i], &r, i, seed % 3 != 0);
            CHECK_OK(write_model(&in[i], path, &info, &e), &e);
            CHECK_OK(metric_part_open(&part[i], cache, path, &ID, &e), &e);
        }
        merge_models(in, n, cut, &want);
        struct budget budget = { 0 };
        struct metric_part_merge m = {
            .input = part, .inputs = n, .cut = cut_old, .ctx = cut, .budget = &budget
        };
        CHECK_OK(metric_part_writer_open(&w, &o, &e), &e);
        // In two halves of ids, as a merge that is cut by size does it; with one writer here.
        m.id_max = 29;
        CHECK_OK(metric_part_merge(&m, w, &e), &e);
        m.id_min = 30;
        m.id_max = 0;
        CHECK_OK(metric_part_merge(&m, w, &e), &e);
        CHECK_OK(metric_part_writer_finish(w, &info, &e), &e);
        CHECK(info.rows == want.rows.n);
        CHECK_OK(metric_part_open(&merged, cache, o.path, &ID, &e), &e);
        check_part(merged, &want, &r, 100);
        metric_part_put(merged);
        for (size_t i = 0; i < n; i++) {
            metric_part_put(part[i]);
            model_fini(&in[i]);
        }
        model_fini(&want);
    }
}

TEST(merging_stops_when_cancelled)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
    struct err e = { 0 };
    struct rand_state r = rand_seeded(8);
    struct model m = { 0 };
    struct metric_part_writer_options o = { .path = temp_path(&a), .id = ID };
    const char *path = temp_path(&a);
    struct part_info info;
    struct metric_part *p;
    atomic_bool cancelled = true;
    struct budget budget = { .cancelled = &cancelled };

    fill_targets(&m, &r, 2, 50, 200, false);
    CHECK_OK(write_model(&m, path, &info, &e), &e);
    CHECK_OK(metric_part_open(&p, cache, path, &ID, &e), &e);
    OWNED(metric_part_writer_close) struct metric_part_writer *w = NULL;
    CHECK_OK(metric_part_writer_open(&w, &o, &e), &e);
    struct metric_part_merge merge = { .input = &p, .inputs = 1, .budget = &budget };
    CHECK(!metric_part_merge(&merge, w, &e) && e.kind == ERR_CANCELLED);
    metric_part_doom(p);
    metric_part_put(metric_part_get(p));
    CHECK(file_exists(path));
    metric_part_put(p);
    CHECK(!file_exists(path)); // doomed: gone with the last reference
    model_fini(&m);
}

/* ---- damage ---- */

static void put_file(const char *path, const void *p, size_t n)
{
    struct err e = { 0 };
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    CHECK_OK(file_write_all(fd, p, n, &e), &e);
    close(fd);
}

// Equal rows, or an error: never other rows. Returns whether it was an error.
static bool part_errs(struct page_cache *cache, const char *path, const struct model *m)
{
    struct err e = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(sample_columns_fini) struct sample_columns c = { .arena = &a };
    OWNED(metric_part_put) struct metric_part *p = NULL;

    if (!metric_part_open(&p, cache, path, &ID, &e))
        return true;
    OWNED(metric_part_cursor_free)
    struct metric_part_cursor *cur = metric_part_cursor_new(p, METRIC_PART_START);
    for (size_t i = 0, n; i < m->rows.n; i += n) {
        uint32_t id = m->rows.v[i].id;

        for (n = 0; i + n < m->rows.n && m->rows.v[i + n].id == id;)
            n++;
        sample_columns_reset(&c);
        if (!metric_part_read(cur, id, INT64_MIN, INT64_MAX, &c, &e)) {
            CHECK(e.kind == ERR_CORRUPT && c.n == 0);
            return true;
        }
        check_rows(m->rows.v + i, n, &c);
    }
    return false;
}

TEST(damage_gives_errors_never_other_data)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
    struct err e = { 0 };
    struct rand_state r = rand_seeded(9);
    struct model m = { 0 };
    const char *path = temp_path(&a);
    struct part_info info;
    struct str whole;
    size_t unharmed = 0;

    fill_input(&m, &r, 0, true);
    vec_reset(&m.rows);
    for (uint32_t id = 0; id < 12; id++) {
        for (int i = 0; i < 6; i++) {
            model_add(&m, id, i * 15000 + (int64_t)below(&r, 9), (double)below(&r, 99));
            m.rows.v[m.rows.n - 1].start_ms = id == 4;
            if (id == 9)
                m.rows.v[m.rows.n - 1].hist = next_hist(&r, &m.arena, NULL);
        }
    }
    CHECK_OK(write_model(&m, path, &info, &e), &e);
    CHECK_OK(file_read(&a, path, 1 << 20, &whole, &e), &e);
    for (size_t n = 0; n < whole.n; n++) {
        put_file(path, whole.p, n);
        CHECK_F(part_errs(cache, path, &m), "cut at %zu", n);
    }
    char *damaged = arena_copy(&a, whole.p, whole.n);
    for (size_t i = 0; i < whole.n; i++) {
        damaged[i] = (char)(damaged[i] ^ (1 << i % 8));
        put_file(path, damaged, whole.n);
        unharmed += !part_errs(cache, path, &m);
        damaged[i] = whole.p[i];
    }
    CHECK(unharmed == 0);
    put_file(path, whole.p, whole.n);
    CHECK(!part_errs(cache, path, &m));
    model_fini(&m);
}

TEST(failing_reads_are_errors)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(page_cache_free) struct page_cache *cache = page_cache_new(NULL);
    struct err e = { 0 };
    struct rand_state r = rand_seeded(10);
    struct model m = { 0 };
    const char *path = temp_path(&a);
    struct part_info info;
    struct metric_part *p;
    OWNED(sample_columns_fini) struct sample_columns c = { 0 };

    fill_targets(&m, &r, 2, 4, 300, false);
    CHECK_OK(write_model(&m, path, &info, &e), &e);
    CHECK_OK(metric_part_open(&p, cache, path, &ID, &e), &e);
    struct metric_part_cursor *cur = metric_part_cursor_new(p, 0);
    for (unsigned nth = 1; nth <= 2; nth++) {
        fault_at("file.read", nth);
        CHECK(!metric_part_read(cur, 2, INT64_MIN, INT64_MAX, &c, &e));
        CHECK(e.kind == ERR_IO && c.n == 0 && strstr(e.text, path));
        fault_clear();
    }
    CHECK_OK(metric_part_read(cur, 2, INT64_MIN, INT64_MAX, &c, &e), &e); // and goes on after
    CHECK(c.n == 300);
    metric_part_cursor_free(cur);
    metric_part_put(p);
    model_fini(&m);
}
