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
    struct limits_store *limits;
    char *file;
    struct intake *in;
    struct intake_batch *b;
    struct intake_result r;
};

// limits: text of the limits file; NULL: no limits at all.
static struct fixture *fx_new_with(const char *limits)
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
    if (limits) {
        f->file = arena_cstr(&f->arena, arena_printf(&f->arena, "%s/limits.yml", f->dir));
        CHECK_OK(file_replace(f->file, str_c(limits), &e), &e);
        CHECK_OK(limits_store_open(&f->limits, f->file, false, &e), &e);
    }
    CHECK_OK(intake_new(&f->in,
                        &(struct intake_options){
                            .metrics = f->m, .clock = &f->clock, .limits = f->limits },
                        &e),
             &e);
    return f;
}

static struct fixture *fx_new(void)
{
    return fx_new_with(NULL);
}

static void fx_free(struct fixture *f)
{
    struct err e = { 0 };

    intake_end(f->b);
    intake_free(f->in);
    limits_store_close(f->limits);
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

/* ---- limits ---- */

TEST(rates_refuse_whole_batches)
{
    OWNED(fx_free)
    struct fixture *f = fx_new_with("limits:\n  ingestion_rate: 2\n  ingestion_burst_size: 4\n"
                                    "overrides:\n  fast:\n    ingestion_rate: 0\n");

    for (int i = 0; i < 2; i++) {
        begin(f, "slow");
        for (int k = 0; k < 3; k++)
            add(f, "a", T0 + 43200000 + i * 15000 + k * 1000, k);
        commit(f);
        CHECK(f->r.status == (i ? 429 : 200));
    }
    CHECK(f->r.refused[INTAKE_RATE] == 3 && f->r.samples == 0 && f->r.retry_after_s > 0);
    CHECK(str_find(f->r.text, STR("ingestion_rate is 2 items/s")) != STR_NPOS);
    CHECK(str_find(f->r.text, STR("err-mimir-tenant-max-ingestion-rate")) != STR_NPOS);
    CHECK_STR(stored(f, "slow", "a"), STR("43200=0 43201=1 43202=2 "));
    f->clock.fake_ms += 1000; // two more tokens
    begin(f, "slow");
    add(f, "a", T0 + 43300000, 1);
    add(f, "a", T0 + 43301000, 1);
    add(f, "a", T0 + 43302000, 1);
    commit(f);
    CHECK(f->r.status == 200);
    for (int i = 0; i < 9; i++) {
        begin(f, "fast");
        add(f, "a", T0 + 43300000 + i * 1000, i);
        commit(f);
        CHECK(f->r.status == 200);
    }
}

TEST(requests_have_a_rate)
{
    OWNED(fx_free)
    struct fixture *f = fx_new_with("limits: {request_rate: 1, request_burst_size: 2}\n");
    struct intake_batch *b = NULL;
    struct err e;

    begin(f, "");
    begin(f, "");
    CHECK(!intake_begin(f->in, &(struct intake_request){ 0 }, &b, &e) && !b);
    CHECK(intake_error_status(&e) == 429 && strstr(e.text, "request_rate is 1/s"));
    f->clock.fake_ms += 1000;
    begin(f, "");
}

TEST(series_limits_refuse_only_new_series)
{
    OWNED(fx_free) struct fixture *f = fx_new_with("limits: {max_global_series_per_user: 2}\n");

    begin(f, "");
    add(f, "a", T0 + 43200000, 1);
    add(f, "b", T0 + 43200000, 1);
    add(f, "c", T0 + 43200000, 1);
    add(f, "c", T0 + 43201000, 1);
    commit(f);
    CHECK(f->r.status == 429 && f->r.samples == 2 && f->r.refused[INTAKE_SERIES] == 2);
    CHECK(str_find(f->r.text, STR("per-user series limit of 2 exceeded")) != STR_NPOS);
    CHECK(str_find(f->r.text, STR("max_global_series_per_user")) != STR_NPOS);
    begin(f, "");
    add(f, "a", T0 + 43202000, 1);
    add(f, "b", T0 + 43202000, 1);
    commit(f);
    CHECK(f->r.status == 200 && f->r.samples == 2);
    begin(f, "other");
    add(f, "c", T0 + 43202000, 1);
    commit(f);
    CHECK(f->r.status == 200);
}

TEST(metrics_have_a_number_of_series)
{
    OWNED(fx_free) struct fixture *f = fx_new_with("limits: {max_global_series_per_metric: 2}\n");
    struct series_ref ref;

    begin(f, "");
    for (int i = 0; i < 4; i++) {
        char text[] = { (char)('0' + i), 0 };
        CHECK(series(f, "a", arena_cstr(&f->arena, str_c(text)), &ref) == (i < 2));
        intake_float(f->b, ref, T0 + 43200000, 1);
    }
    CHECK(series(f, "b", "", &ref));
    commit(f);
    CHECK(f->r.status == 429 && f->r.refused[INTAKE_SERIES] == 2);
    CHECK(str_find(f->r.text, STR("per-metric series limit of 2 exceeded")) != STR_NPOS);
    f->clock.fake_ms += 3 * MS_HOUR; // those are active no more
    begin(f, "");
    CHECK(series(f, "a", "9", &ref));
}

TEST(labels_are_limited)
{
    OWNED(fx_free)
    struct fixture *f = fx_new_with("limits: {max_label_name_length: 8, max_label_value_length: 5, "
                                    "max_label_names_per_series: 2, drop_labels: [junk]}\n");
    static const struct {
        struct label v[3];
        size_t n;
        const char *problem;
    } cases[] = {
        { { { { "__name__", 8 }, { "abcde", 5 } } }, 1, NULL },
        { { { { "__name__", 8 }, { "abcdef", 6 } } }, 1, "max_label_value_length is 5" },
        { { { { "__name__", 8 }, { "a", 1 } }, { { "aaaaaaaaa", 9 }, { "a", 1 } } },
          2,
          "max_label_name_length is 8" },
        { { { { "__name__", 8 }, { "a", 1 } },
            { { "x", 1 }, { "a", 1 } },
            { { "y", 1 }, { "a", 1 } } },
          3,
          "max_label_names_per_series is 2" },
        { { { { "__name__", 8 }, { "a", 1 } },
            { { "junk", 4 }, { "abcdefgh", 8 } },
            { { "y", 1 }, { "a", 1 } } },
          3,
          NULL },
    };

    FOR_CASES (t, cases) {
        struct series_ref ref;

        begin(f, "");
        CHECK(intake_series(f->b, (struct labels){ t->v, t->n }, NULL, &ref) == !t->problem);
        intake_float(f->b, ref, T0 + 43200000, 1);
        commit(f);
        CHECK(f->r.status == (t->problem ? 400 : 200));
        CHECK(f->r.refused[INTAKE_LABELS] == (t->problem ? 1 : 0));
        CHECK(!t->problem || str_find(f->r.text, str_c(t->problem)) != STR_NPOS);
    }
}

TEST(limits_change_while_running)
{
    OWNED(fx_free) struct fixture *f = fx_new_with("limits: {max_global_series_per_user: 1}\n");
    struct err e = { 0 };

    begin(f, "");
    add(f, "a", T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 200);
    begin(f, "");
    add(f, "b", T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 429);
    CHECK_OK(file_replace(f->file, STR("limits: {max_global_series_per_user: 2}\n"), &e), &e);
    limits_store_poll(f->limits);
    begin(f, "");
    add(f, "b", T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 200);
    CHECK_OK(file_replace(f->file, STR("limits: {max_global_series_per_usr: 9}\n"), &e), &e);
    limits_store_poll(f->limits); // wrong: the old ones stay
    begin(f, "");
    add(f, "c", T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 429);
}

TEST(out_of_order_window_of_a_tenant)
{
    OWNED(fx_free)
    struct fixture *f = fx_new_with("overrides: {late: {out_of_order_time_window: 10m}}\n");
    static const char *const tenants[] = { "late", "strict" };

    for (size_t i = 0; i < 2; i++) {
        begin(f, tenants[i]);
        add(f, "a", T0 + 43200000, 1);
        commit(f);
        begin(f, tenants[i]);
        add(f, "a", T0 + 43100000, 2);
        commit(f);
        CHECK(f->r.status == (i ? 400 : 200));
        CHECK(f->r.refused[INTAKE_OUT_OF_ORDER] == i);
    }
}

/* ---- HA pairs ---- */

static void add_replica(struct fixture *f, const char *replica, int64_t t_ms, double v)
{
    struct label l[4] = { { LABEL_NAME, STR("a") },
                          { STR("__replica__"), str_c(replica) },
                          { STR("cluster"), STR("c1") },
                          { STR("job"), STR("j") } };
    struct series_ref ref;

    begin(f, "ha");
    // As a protocol does it: the key first.
    struct hash128 key = hash128_seeded(str_c(replica), intake_seed(f->b));
    if (!intake_find(f->b, key, &ref))
        (void)intake_series(f->b, (struct labels){ l, 4 }, &key, &ref);
    intake_float(f->b, ref, t_ms, v);
    if (intake_find(f->b, key, &ref)) // the second series of the request
        intake_float(f->b, ref, t_ms, v);
    commit(f);
}

TEST(one_replica_is_listened_to)
{
    OWNED(fx_free) struct fixture *f = fx_new_with("overrides: {ha: {accept_ha_samples: true}}\n");
    struct intake_replica *replicas;

    add_replica(f, "r1", T0 + 43200000, 1);
    CHECK(f->r.status == 200 && f->r.samples == 2);
    add_replica(f, "r2", T0 + 43201000, 2);
    CHECK(f->r.status == 202 && f->r.samples == 0 && f->r.refused[INTAKE_REPLICA] == 2);
    CHECK_STR(f->r.text, STR("replicas did not match, rejecting sample: replica=r2, elected=r1"));
    f->clock.fake_ms += 20000;
    add_replica(f, "r1", T0 + 43220000, 3);
    CHECK(f->r.status == 200);
    f->clock.fake_ms += 30000;
    add_replica(f, "r2", T0 + 43250000, 4);
    CHECK(f->r.status == 202);
    f->clock.fake_ms += 1; // 30.001 s after r1 was heard of last
    add_replica(f, "r2", T0 + 43251000, 5);
    CHECK(f->r.status == 200);
    add_replica(f, "r1", T0 + 43252000, 6);
    CHECK(f->r.status == 202);
    // One series, without the replica.
    CHECK_STR(stored(f, "ha", "a"), STR("43200=1 43220=3 43251=5 "));
    CHECK(intake_replicas(f->in, &f->arena, &replicas) == 1);
    CHECK_STR(replicas[0].replica, STR("r2"));
    CHECK_STR(replicas[0].cluster, STR("c1"));
}

TEST(pairs_are_told_by_both_labels_and_are_limited)
{
    OWNED(fx_free)
    struct fixture *f = fx_new_with(
        "limits: {accept_ha_samples: true, ha_max_clusters: 1, ha_cluster_label: zone, "
        "ha_replica_label: r}\n");
    struct label v[3] = { { LABEL_NAME, STR("a") },
                          { STR("r"), STR("1") },
                          { STR("zone"), STR("x") } };
    struct series_ref ref;

    begin(f, "");
    CHECK(intake_series(f->b, (struct labels){ v, 3 }, NULL, &ref));
    begin(f, "");
    CHECK(intake_series(f->b, (struct labels){ v, 2 }, NULL, &ref)); // no cluster: kept as it is
    intake_float(f->b, ref, T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 200);
    v[2].value = STR("y");
    begin(f, "");
    CHECK(!intake_series(f->b, (struct labels){ v, 3 }, NULL, &ref));
    intake_float(f->b, ref, T0 + 43200000, 1);
    commit(f);
    CHECK(f->r.status == 400 && str_find(f->r.text, STR("ha_max_clusters is 1")) != STR_NPOS);
}

TEST(figures_of_a_tenant)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    struct intake_tenant_stats s;

    CHECK(!intake_tenant_stats(f->in, STR("x"), &s));
    begin(f, "x");
    for (int i = 0; i < 60; i++)
        add(f, "a", T0 + 43200000 + i * 1000, i);
    add(f, "a", T0 + 43200000, 5);
    commit(f);
    CHECK(intake_tenant_stats(f->in, STR("x"), &s));
    CHECK(s.series == 1 && s.samples == 60 && s.refused[INTAKE_OUT_OF_ORDER] == 1);
    CHECK_F(s.samples_per_s > 0.9 && s.samples_per_s < 1.1, "%g", s.samples_per_s);
}

TEST(metadata_is_known_once_it_was_stored)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    begin(f, "");
    CHECK(!intake_meta_is_known(f->b, 77));
    begin(f, ""); // the batch before was dropped
    CHECK(!intake_meta_is_known(f->b, 77));
    commit(f);
    begin(f, "");
    CHECK(intake_meta_is_known(f->b, 77) && !intake_meta_is_known(f->b, 78));
}

TEST(retention_of_a_tenant)
{
    OWNED(fx_free)
    struct fixture *f = fx_new_with(
        "overrides: {short: {compactor_blocks_retention_period: 2d}}\n");
    static const char *const tenants[] = { "short", "long" };
    struct err e = { 0 };

    for (size_t i = 0; i < 2; i++) {
        intake_end(f->b);
        f->b = NULL;
        struct intake_request r = { .tenant = str_c(tenants[i]), .history = true };
        CHECK_OK(intake_begin(f->in, &r, &f->b, &e), &e);
        add(f, "a", T0 - 4 * MS_DAY, 1);
        add(f, "a", T0, 2);
        commit(f);
        CHECK(f->r.status == 200);
    }
    f->clock.fake_ms += 2 * MS_HOUR; // the days are closed
    CHECK_OK(metrics_merge(f->m, &e), &e);
    CHECK_OK(metrics_retain(f->m, &e), &e);
    CHECK_STR(stored(f, "short", "a"), STR("0=2 "));
    CHECK_STR(stored(f, "long", "a"), STR("-345600=1 0=2 "));
}
