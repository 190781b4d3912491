/*
 * intake_test.c - what becomes of pushed samples: stored, refused, and said how.
 */
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/intake.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "test.h"

#define T0 INT64_C(1795219200000) // 2026-11-21T00:00:00Z

struct fixture {
    struct arena arena;
    struct clock clock;
    const char *dir;
    struct metrics *m;
    struct intake *in;
    struct intake_batch *b;
    struct intake_result r;
};

static struct fixture *fx_new(void)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err e = { 0 };

    f->clock = clock_fake(T0 + 12 * MS_HOUR);
    f->dir = file_temp_dir(&f->arena);
    CHECK_OK(metrics_open(&f->m,
                          &(struct metrics_options){
                              .path = f->dir, .clock = &f->clock, .no_background = true },
                          &e),
             &e);
    CHECK_OK(
        intake_new(&f->in, &(struct intake_options){ .metrics = f->m, .clock = &f->clock }, &e),
        &e);
    return f;
}

static void fx_free(struct fixture *f)
{
    struct err e = { 0 };

    intake_end(f->b);
    intake_free(f->in);
    metrics_close(f->m);
    CHECK_OK(file_remove_tree(f->dir, &e), &e);
    arena_fini(&f->arena);
    xfree(f);
}
OWN_DEFINE(struct fixture *, fx_free)

static void begin(struct fixture *f, const char *tenant)
{
    struct err e = { 0 };

    intake_end(f->b);
    f->b = NULL;
    CHECK_OK(intake_begin(f->in, &(struct intake_request){ .tenant = str_c(tenant) }, &f->b, &e),
             &e);
}

static void commit(struct fixture *f)
{
    intake_commit(f->b, &f->r);
}

// The series name{i="…"}, empty i: without it.
static bool series(struct fixture *f, const char *name, const char *i, struct series_ref *out)
{
    struct label l[2] = { { LABEL_NAME, str_c(name) }, { STR("i"), str_c(i) } };

    return intake_series(f->b, (struct labels){ l, *i ? 2 : 1 }, NULL, out);
}

static void add(struct fixture *f, const char *name, int64_t t_ms, double v)
{
    struct series_ref ref;

    (void)series(f, name, "", &ref);
    intake_float(f->b, ref, t_ms, v);
}

static bool write_samples(void *ctx, uint32_t pos UNUSED, const struct series_samples *s,
                          struct err *e UNUSED)
{
    struct buf *b = ctx;

    for (size_t i = 0; i < s->n; i++)
        buf_printf(b, "%lld=%g ", (long long)((s->t_ms[i] - T0) / 1000),
                   s->hist && s->hist[i] ? s->hist[i]->sum : s->value[i]);
    return true;
}

// All samples of a metric of a tenant, "seconds=value " each.
static struct str stored(struct fixture *f, const char *tenant, const char *name)
{
    OWNED(series_view_put) struct series_view *view = NULL;
    struct matcher m = { MATCH_EQ, LABEL_NAME, str_c(name), NULL };
    struct buf text = { 0 };
    struct budget budget = { 0 };
    struct metrics_tenant *t;
    struct series_set set;
    struct err e = { 0 };

    CHECK_OK(metrics_tenant(f->m, str_c(tenant), &t, &e), &e);
    struct series_source *s = metrics_source(t);
    CHECK_OK(s->open(s, INT64_MIN, INT64_MAX, &view, &e), &e);
    struct select_query q = {
        .matchers = &m, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = INT64_MAX
    };
    CHECK_OK(view->ops->select(view, &q, &f->arena, &budget, &set, &e), &e);
    struct scan_query all = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
    CHECK_OK(view->ops->scan(view, &set, &all, &budget, write_samples, &text, &e), &e);
    struct str out = arena_str(&f->arena, buf_view(&text));
    buf_fini(&text);
    return out;
}

TEST(good_rows_are_stored_beside_refused_ones)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    begin(f, "");
    add(f, "a", T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 200 && f->r.samples == 1 && f->r.series_added == 1 && !f->r.text.n);
    begin(f, "");
    add(f, "a", T0 + 43200000, 2);              // duplicate
    add(f, "a", T0 + 43190000, 3);              // out of order
    add(f, "a", T0, 4);                         // too old
    add(f, "a", T0 + 43200000 + 11 * 60000, 5); // too new
    add(f, "", T0 + 43200000, 6);               // no name
    add(f, "a\xff", T0 + 43200000, 7);          // not UTF-8
    add(f, "a", T0 + 43210000, 8);
    commit(f);
    CHECK(f->r.status == 400 && f->r.samples == 1);
    CHECK(f->r.refused[INTAKE_DUPLICATE] == 1 && f->r.refused[INTAKE_OUT_OF_ORDER] == 1);
    CHECK(f->r.refused[INTAKE_TOO_OLD] == 1 && f->r.refused[INTAKE_TOO_NEW] == 1);
    CHECK(f->r.refused[INTAKE_INVALID] == 2);
    CHECK_STR(f->r.text, f->r.reason_text[INTAKE_INVALID]);
    CHECK(str_find(f->r.text, STR("invalid metric name or labels")) == 0);
    CHECK_STR(f->r.reason_text[INTAKE_OUT_OF_ORDER], STR("out of order sample"));
    CHECK(f->r.rows == 5 && f->r.row_status[0] == APPEND_DUPLICATE &&
          f->r.row_status[4] == APPEND_OK);
    CHECK_STR(stored(f, "anonymous", "a"), STR("43200=1 43210=8 "));
}

TEST(tenants_are_apart)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    begin(f, "one");
    add(f, "a", T0 + 43200000, 1);
    commit(f);
    begin(f, "two");
    add(f, "a", T0 + 43200000, 2);
    commit(f);
    CHECK(f->r.status == 200);
    CHECK_STR(stored(f, "one", "a"), STR("43200=1 "));
    CHECK_STR(stored(f, "two", "a"), STR("43200=2 "));
    CHECK_STR(stored(f, "anonymous", "a"), STR(""));
}

TEST(keys_lead_to_series)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    struct label l = { LABEL_NAME, STR("a") };
    struct series_ref ref, again;

    begin(f, "");
    struct hash128 key = hash128_seeded(STR("raw"), intake_seed(f->b));
    CHECK(!intake_find(f->b, key, &ref));
    CHECK(intake_series(f->b, (struct labels){ &l, 1 }, &key, &ref));
    intake_float(f->b, ref, T0 + 43200000, 1);
    commit(f);
    begin(f, "");
    CHECK(intake_find(f->b, key, &again));
    intake_float(f->b, again, T0 + 43201000, 2);
    commit(f);
    CHECK(f->r.status == 200 && f->r.series_added == 0);
    CHECK_STR(stored(f, "anonymous", "a"), STR("43200=1 43201=2 "));
    begin(f, "other");
    CHECK(!intake_find(f->b, key, &again));
    CHECK(intake_seed(f->b) != 0);
}

TEST(histograms_exemplars_and_metadata_are_counted)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    struct histogram good = { .schema = 0, .integer = true, .count = 0, .sum = 3 };
    struct histogram bad = { .schema = 0, .count = -1 };
    struct series_ref ref;

    begin(f, "");
    CHECK(series(f, "h", "", &ref));
    intake_histogram(f->b, ref, T0 + 43200000, &good);
    intake_histogram(f->b, ref, T0 + 43201000, &bad);
    intake_start(f->b, T0);
    CHECK(series(f, "c_total", "", &ref));
    intake_float(f->b, ref, T0 + 43200000, 7);
    intake_start(f->b, T0);
    intake_exemplar(f->b, ref, &(struct exemplar){ .value = 1, .t_ms = T0 + 43200000 });
    intake_meta(f->b, &(struct metric_meta){ STR("h"), TYPE_HISTOGRAM, STR("help"), STR_NONE });
    intake_meta(f->b, &(struct metric_meta){ STR_NONE, TYPE_HISTOGRAM, STR("help"), STR_NONE });
    CHECK(intake_rows(f->b) == 2);
    commit(f);
    CHECK(f->r.samples == 1 && f->r.histograms == 1 && f->r.exemplars == 1 && f->r.metadata == 1);
    CHECK(f->r.refused[INTAKE_INVALID] == 1 && f->r.status == 400);
    CHECK_STR(stored(f, "anonymous", "h"), STR("43200=3 "));
}

TEST(history_is_taken_at_any_age)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    struct err e = { 0 };

    begin(f, "");
    add(f, "a", T0 + 43200000, 1);
    commit(f);
    intake_end(f->b);
    f->b = NULL;
    CHECK_OK(intake_begin(f->in, &(struct intake_request){ .history = true }, &f->b, &e), &e);
    add(f, "a", T0 - 5 * MS_DAY, 2);
    add(f, "a", T0 - 6 * MS_DAY, 3);
    commit(f);
    CHECK_F(f->r.status == 200, "%.*s", STRF(f->r.text));
    CHECK_STR(stored(f, "anonymous", "a"), STR("-518400=3 -432000=2 43200=1 "));
    begin(f, ""); // the batch is used again, and is an ordinary one
    add(f, "a", T0 - 5 * MS_DAY, 2);
    commit(f);
    CHECK(f->r.refused[INTAKE_TOO_OLD] == 1);
}

TEST(what_protocols_refuse_is_counted_with_the_rest)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    begin(f, "");
    intake_refuse(f->b, INTAKE_INVALID, 3, STR("line 7: no value"));
    intake_refuse(f->b, INTAKE_INVALID, 1, STR("line 9: no name"));
    commit(f);
    CHECK(f->r.status == 400 && f->r.refused[INTAKE_INVALID] == 4);
    CHECK_STR(f->r.text, STR("line 7: no value"));
}

TEST(tenant_names_and_their_number_are_limited)
{
    struct fixture *f = fx_new();
    struct intake_batch *b = NULL;
    struct intake *few = NULL;
    struct err e = { 0 };

    CHECK(!intake_begin(f->in, &(struct intake_request){ .tenant = STR("a\nb") }, &b, &e));
    CHECK(intake_error_status(&e) == 400 && !b);
    CHECK_OK(intake_new(&few, &(struct intake_options){ .metrics = f->m, .tenants_max = 1 }, &e),
             &e);
    CHECK_OK(intake_begin(few, &(struct intake_request){ .tenant = STR("a") }, &b, &e), &e);
    intake_end(b);
    b = NULL;
    CHECK(!intake_begin(few, &(struct intake_request){ .tenant = STR("b") }, &b, &e));
    CHECK(intake_error_status(&e) == 429 && !b);
    intake_free(few);
    fx_free(f);
}
