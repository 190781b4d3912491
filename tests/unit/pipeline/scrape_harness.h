/*
 * scrape_harness.h - one target of one job over a store in a fresh folder; pages are handed in, rows
 * are read back as text.
 *
 * Times are seconds after T0; each page is 15 s after the one before.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sort.h"
#include "model/histogram.h"
#include "pipeline/scrape_page_priv.h"
#include "test.h"

#define T0 INT64_C(1795219200000) // 2026-11-21T00:00:00Z

struct fixture {
    struct arena arena;
    struct clock clock;
    const char *dir;
    struct metrics *m;
    struct metrics_tenant *tenant;
    struct scraper *s;
    struct prom_config *config;
    struct scrape_pool *pool;
    struct scrape_target *t;
    struct buf dump;
};

static void fx_quiet(void *ctx UNUSED, struct str line UNUSED)
{
}

// job: lines of the only scrape config behind its name, each indented by two; "" for none.
static inline void fx_configure(struct fixture *f, const char *job)
{
    OWNED(buf_fini) struct buf text = { 0 };
    struct err e = { 0 };

    buf_printf(&text, "scrape_configs:\n- job_name: j\n%s", job);
    prom_config_put(f->config);
    CHECK_OK(prom_config_parse(buf_view(&text), "test.yml", NULL, &f->config, &e), &e);
}

static inline struct scrape_pool *fx_pool(struct fixture *f)
{
    struct scrape_pool *p = xcalloc(1, sizeof *p);
    struct err e = { 0 };

    atomic_init(&p->refs, 1);
    p->scraper = f->s;
    p->config = prom_config_get(f->config);
    p->conf = f->config->doc.scrape_configs.v[0];
    p->name = p->conf->job_name;
    p->gauges = scrape_gauges_of(p->name);
    CHECK_OK(discover_http_make(&p->conf->http, &p->http, &e), &e);
    return p;
}

// labels: name, value, … NULL, beside the address "i".
static inline struct scrape_target *fx_target(struct fixture *f, const char *const *labels)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct err e = { 0 };
    bool kept;

    labels_builder_set(&b, STR("__address__"), STR("i"));
    for (; labels && labels[0]; labels += 2)
        labels_builder_set(&b, str_c(labels[0]), str_c(labels[1]));
    struct scrape_target *t = scrape_target_make(f->pool, labels_builder_view(&b), &kept, &e);
    CHECK_F(t, "no target: %s", e.text);
    t->stamp_ms = T0;
    return t;
}

static inline struct fixture *fx_new_with(const char *job, const char *const *labels)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err e = { 0 };

    log_capture(fx_quiet, NULL);
    f->clock = clock_fake(T0 + MS_HOUR);
    f->dir = file_temp_dir(&f->arena);
    CHECK_OK(
        metrics_open(&f->m,
                     &(struct metrics_options){
                         .path = f->dir, .clock = &f->clock, .shards = 2, .no_background = true },
                     &e),
        &e);
    CHECK_OK(metrics_tenant(f->m, STR("anonymous"), &f->tenant, &e), &e);
    f->s = xcalloc(1, sizeof *f->s);
    f->s->o = (struct scraper_options){ .tenant = f->tenant,
                                        .clock = &f->clock,
                                        .user_agent = STR("Prometheus/3.15.0") };
    mutex_init(&f->s->scratch_mu, "scrape scratch", RANK_LEAF);
    scrape_metrics_make(f->s);
    fx_configure(f, job);
    f->pool = fx_pool(f);
    f->t = fx_target(f, labels);
    return f;
}

static inline struct fixture *fx_new(const char *job)
{
    return fx_new_with(job, NULL);
}

static inline void fx_free(struct fixture *f)
{
    struct err e = { 0 };

    scrape_target_put(f->t);
    scrape_pool_put(f->pool);
    prom_config_put(f->config);
    scrape_scratch_free(f->s->scratch);
    mutex_fini(&f->s->scratch_mu);
    xfree(f->s);
    metrics_close(f->m);
    CHECK_OK(file_remove_tree(f->dir, &e), &e);
    buf_fini(&f->dump);
    arena_fini(&f->arena);
    xfree(f);
    log_capture(NULL, NULL);
}
OWN_DEFINE(struct fixture *, fx_free)

static inline void fx_result(struct fixture *f, const struct scrape_result *r)
{
    f->t->stamp_ms += 15000;
    f->t->started_mono_ns = clock_mono_ns(clock_real());
    scrape_append(f->t, r);
}

static inline void fx_page_as(struct fixture *f, enum expo_format format, struct str page)
{
    fx_result(f, &(struct scrape_result){ .body = page, .format = format });
}

static inline void fx_page(struct fixture *f, const char *page)
{
    fx_page_as(f, EXPO_TEXT, str_c(page));
}

static inline void fx_fail(struct fixture *f)
{
    struct err e = { 0 };

    err_set(&e, ERR_IO, "connection refused");
    fx_result(f, &(struct scrape_result){ .failure = &e });
}

/* ---- reading back ---- */

struct fx_line {
    struct str series;
    struct buf rows;
};

struct fx_read {
    struct arena *arena;
    const struct series_set *set;
    struct fx_line *lines;
};

static inline void fx_put_rows(struct buf *b, const struct series_samples *s)
{
    for (size_t k = 0; k < s->n; k++) {
        const struct histogram *h = s->hist ? s->hist[k] : NULL;
        buf_char(b, ' ');
        if (h && !histogram_is_stale(h)) {
            buf_histogram_text(b, h);
        } else if (h || sample_is_stale(s->value[k])) {
            buf_char(b, 'S');
        } else {
            buf_double_g(b, s->value[k]);
        }
        if (s->start_ms && s->start_ms[k])
            buf_printf(b, "^%lld", (long long)((s->start_ms[k] - T0) / 1000));
        buf_printf(b, "@%lld", (long long)((s->t_ms[k] - T0) / 1000));
    }
}

static inline bool fx_visit(void *ctx, uint32_t pos, const struct series_samples *s,
                            struct err *e UNUSED)
{
    struct fx_read *r = ctx;

    fx_put_rows(&r->lines[pos].rows, s);
    return true;
}

static inline int fx_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct fx_line *)a)->series, ((const struct fx_line *)b)->series);
}

static inline struct str fx_series_text(struct arena *a, struct labels ls)
{
    OWNED(labels_builder_fini) struct labels_builder l = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };

    labels_builder_reset(&l, ls);
    if (str_eq(labels_get(ls, STR("job")), STR("j")))
        labels_builder_del(&l, STR("job"));
    if (str_eq(labels_get(ls, STR("instance")), STR("i")))
        labels_builder_del(&l, STR("instance"));
    buf_series(&b, labels_builder_view(&l));
    if (!labels_get(ls, STR("instance")).n)
        buf_lit(&b, "(no instance)");
    return arena_str(a, buf_view(&b));
}

/*
 * All rows as `series value@seconds …` lines, sorted; S is a stale marker; job="j" and instance="i"
 * are left out. Report series only when asked for, never the duration.
 */
static inline struct str fx_dump(struct fixture *f, bool report)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = T0 - MS_DAY, .max_ms = T0 + MS_DAY
    };
    struct scan_query scan = { .min_ms = T0 - MS_DAY, .max_ms = T0 + MS_DAY, .need_start = true };
    struct series_set set = { 0 };
    struct series_source *source = metrics_source(f->tenant);

    CHECK_OK(source->open(source, q.min_ms, q.max_ms, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    struct fx_read r = { &a, &set, arena_array(&a, set.n, struct fx_line) };
    for (size_t i = 0; i < set.n; i++)
        r.lines[i].series = fx_series_text(&a, set.v[i].labels);
    CHECK_OK(v->ops->scan(v, &set, &scan, &budget, fx_visit, &r, &e), &e);
    sort_stable(r.lines, set.n, sizeof *r.lines, fx_order, NULL);
    buf_reset(&f->dump);
    for (size_t i = 0; i < set.n; i++) {
        struct str s = r.lines[i].series;
        bool is_report = str_starts(s, STR("up")) || str_starts(s, STR("scrape_"));
        if (r.lines[i].rows.n && (!is_report || report) && !str_starts(s, STR("scrape_duration"))) {
            buf_str(&f->dump, s);
            buf_str(&f->dump, buf_view(&r.lines[i].rows));
            buf_char(&f->dump, '\n');
        }
        buf_fini(&r.lines[i].rows);
    }
    return buf_view(&f->dump);
}

#define CHECK_ROWS(f, want) CHECK_STR(fx_dump((f), false), STR(want))
