/*
 * metrics_harness.h - a store in a fresh folder with a clock moved by hand, and a ledger to compare with.
 *
 * The ledger holds what was acknowledged: per series ascending times, the first accepted value.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"
#include "metrics/metrics.h"
#include "test.h"

#define T0 INT64_C(1795219200000) // 2026-11-21T00:00:00Z

enum { SERIES_MAX = 2000 };

struct ledger_row {
    int64_t t_ms;
    uint64_t bits;
};
struct ledger {
    struct {
        struct ledger_row *v;
        size_t n, cap;
    } series[SERIES_MAX];
};

struct fixture {
    struct arena arena;
    struct clock clock;
    struct metrics_options o;
    struct metrics *m;
    struct metrics_tenant *t;
    struct append_batch *b;
    struct ledger *ledger;
};

static inline void fx_reopen(struct fixture *f)
{
    struct err e = { 0 };

    append_batch_free(f->b);
    metrics_close(f->m);
    f->b = NULL;
    f->m = NULL;
    CHECK_OK(metrics_open(&f->m, &f->o, &e), &e);
    CHECK_OK(metrics_tenant(f->m, STR("anonymous"), &f->t, &e), &e);
    f->b = append_batch_new(f->t);
}

static inline struct fixture *fx_new(const struct metrics_options *o)
{
    struct fixture *f = xcalloc(1, sizeof *f);

    f->clock = clock_fake(T0 + MS_HOUR);
    f->o = *o;
    f->o.clock = &f->clock;
    f->o.path = file_temp_dir(&f->arena);
    f->o.no_background = true;
    f->ledger = xcalloc(1, sizeof *f->ledger);
    fx_reopen(f);
    return f;
}

static inline void fx_free(struct fixture *f)
{
    struct err e = { 0 };

    append_batch_free(f->b);
    metrics_close(f->m);
    CHECK_OK(file_remove_tree(f->o.path, &e), &e);
    for (size_t i = 0; i < SERIES_MAX; i++)
        vec_fini(&f->ledger->series[i]);
    xfree(f->ledger);
    arena_fini(&f->arena);
    xfree(f);
}
OWN_DEFINE(struct fixture *, fx_free)

// Labels of the test series i.
static inline struct labels fx_labels(struct arena *a, unsigned i)
{
    struct label *l = arena_array(a, 3, struct label);

    l[0] = (struct label){ LABEL_NAME, arena_printf(a, "metric_%u", i % 10) };
    l[1] = (struct label){ STR("i"), arena_printf(a, "%u", i) };
    l[2] = (struct label){ STR("job"), arena_printf(a, "job-%u", i % 3) };
    return (struct labels){ l, 3 };
}

static inline struct series_ref fx_ref(struct fixture *f, unsigned i)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct series_ref ref;

    CHECK_OK(append_resolve(f->b, fx_labels(&a, i), &ref, &e), &e);
    return ref;
}

static inline void fx_add(struct fixture *f, unsigned i, int64_t t_ms, double v)
{
    append_float(f->b, fx_ref(f, i), t_ms, v);
}

// Puts a row into the ledger unless its time is there: the first accepted wins.
static inline void ledger_add(struct ledger *l, unsigned i, int64_t t_ms, uint64_t bits)
{
    size_t at = l->series[i].n;

    while (at > 0 && l->series[i].v[at - 1].t_ms > t_ms)
        at--;
    if (at > 0 && l->series[i].v[at - 1].t_ms == t_ms)
        return;
    (void)vec_push(&l->series[i]);
    memmove(&l->series[i].v[at + 1], &l->series[i].v[at],
            (l->series[i].n - 1 - at) * sizeof l->series[i].v[0]);
    l->series[i].v[at] = (struct ledger_row){ t_ms, bits };
}

static inline void ledger_remove(struct ledger *l, unsigned i, int64_t min_ms, int64_t max_ms)
{
    size_t kept = 0;

    for (size_t k = 0; k < l->series[i].n; k++) {
        if (l->series[i].v[k].t_ms < min_ms || l->series[i].v[k].t_ms > max_ms)
            l->series[i].v[kept++] = l->series[i].v[k];
    }
    l->series[i].n = kept;
}

static inline struct append_stats fx_commit(struct fixture *f)
{
    struct append_stats stats = { 0 };
    struct err e = { 0 };

    CHECK_OK(append_commit(f->b, &stats, NULL, &e), &e);
    return stats;
}

static inline bool fx_visit(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e);

struct fx_read {
    struct fixture *f;
    const struct series_set *set;
    int64_t min_ms, max_ms;
    uint64_t rows, wrong;
    bool seen[SERIES_MAX];
};

static inline unsigned fx_number(struct labels ls)
{
    uint64_t i = 0;

    CHECK(str_to_u64(labels_get(ls, STR("i")), &i));
    return (unsigned)i;
}

static inline bool fx_visit(void *ctx, uint32_t pos, const struct series_samples *s,
                            struct err *e UNUSED)
{
    struct fx_read *r = ctx;
    unsigned i = fx_number(r->set->v[pos].labels);
    const struct ledger_row *want = r->f->ledger->series[i].v;
    size_t n = r->f->ledger->series[i].n, at = 0;

    CHECK(!r->seen[i]);
    r->seen[i] = true;
    while (at < n && want[at].t_ms < r->min_ms)
        at++;
    for (size_t k = 0; k < s->n; k++, at++) {
        CHECK_F(at < n && want[at].t_ms == s->t_ms[k] && want[at].bits == double_bits(s->value[k]),
                "series %u row %zu: got t=%lld v=%g, ledger t=%lld v=%g", i, k,
                (long long)s->t_ms[k], s->value[k], at < n ? (long long)want[at].t_ms : -1LL,
                at < n ? double_from_bits(want[at].bits) : -1.0);
    }
    CHECK_F(at == n || want[at].t_ms > r->max_ms, "series %u: %zu rows got, %zu in the ledger", i,
            s->n, n);
    r->rows += s->n;
    return true;
}

// Reads everything in the range and compares it with the ledger, both ways. Returns the rows.
static inline uint64_t fx_compare_range(struct fixture *f, int64_t min_ms, int64_t max_ms)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms
    };
    struct scan_query scan = { .min_ms = min_ms, .max_ms = max_ms };
    struct series_set set = { 0 };
    struct fx_read *r = xcalloc(1, sizeof *r);
    struct series_source *source = metrics_source(f->t);
    uint64_t rows;

    *r = (struct fx_read){ .f = f, .set = &set, .min_ms = min_ms, .max_ms = max_ms };
    CHECK_OK(source->open(source, min_ms, max_ms, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    CHECK_OK(v->ops->scan(v, &set, &scan, &budget, fx_visit, r, &e), &e);
    for (unsigned i = 0; i < SERIES_MAX; i++) {
        for (size_t k = 0; k < f->ledger->series[i].n && !r->seen[i]; k++)
            CHECK_F(f->ledger->series[i].v[k].t_ms < min_ms ||
                        f->ledger->series[i].v[k].t_ms > max_ms,
                    "series %u is missing", i);
    }
    rows = r->rows;
    xfree(r);
    return rows;
}

static inline uint64_t fx_compare(struct fixture *f)
{
    return fx_compare_range(f, T0 - 30 * (int64_t)MS_DAY, T0 + 30 * (int64_t)MS_DAY);
}

// Adds rows of series [from, to) at t_ms to a batch and the ledger, and commits.
static inline void fx_scrape(struct fixture *f, unsigned from, unsigned to, int64_t t_ms)
{
    for (unsigned i = from; i < to; i++) {
        double v = (double)(i * 1000) + (double)(t_ms % 86400000) / 1000;

        fx_add(f, i, t_ms, v);
        ledger_add(f->ledger, i, t_ms, double_bits(v));
    }
    CHECK(fx_commit(f).rows[APPEND_OK] == to - from);
}

/* ---- damaged files ---- */

// Rows that are read are right, whatever is missing.
static inline bool fx_no_lie(void *ctx, uint32_t pos, const struct series_samples *s,
                             struct err *e UNUSED)
{
    struct fx_read *r = ctx;
    unsigned i = fx_number(r->set->v[pos].labels);

    for (size_t k = 0; k < s->n; k++) {
        bool known = false;

        for (size_t j = 0; j < r->f->ledger->series[i].n && !known; j++)
            known = r->f->ledger->series[i].v[j].t_ms == s->t_ms[k] &&
                    r->f->ledger->series[i].v[j].bits == double_bits(s->value[k]);
        CHECK_F(known, "series %u has a row that nobody sent", i);
    }
    r->rows += s->n;
    return true;
}

struct fx_warnings {
    struct str *v; // in the arena given
    size_t n;
};

// Reads all that is there: nothing but rows of the ledger. Warnings into *w unless NULL.
static inline uint64_t fx_read_what_is_left(struct fixture *f, struct arena *keep,
                                            struct fx_warnings *w)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *v = NULL;
    struct budget budget = { 0 };
    struct err e = { 0 };
    struct matcher all = { MATCH_NE, LABEL_NAME, STR(""), NULL };
    struct select_query q = {
        .matchers = &all, .matcher_count = 1, .min_ms = T0, .max_ms = T0 + 3 * (int64_t)MS_DAY
    };
    struct scan_query scan = { .min_ms = q.min_ms, .max_ms = q.max_ms };
    struct series_set set = { 0 };
    struct fx_read *r = arena_new(&a, struct fx_read);
    struct series_source *source = metrics_source(f->t);

    r->f = f;
    r->set = &set;
    CHECK_OK(source->open(source, q.min_ms, q.max_ms, &v, &e), &e);
    CHECK_OK(v->ops->select(v, &q, &a, &budget, &set, &e), &e);
    CHECK_OK(v->ops->scan(v, &set, &scan, &budget, fx_no_lie, r, &e), &e);
    if (w)
        w->n = series_view_warnings(v, keep, &w->v);
    return r->rows;
}

static inline void fx_list_tree(struct arena *a, const char *dir, struct str *out, size_t *n,
                                size_t max)
{
    struct file_list names;
    struct err e = { 0 };

    CHECK_OK(file_list(a, dir, &names, &e), &e);
    for (size_t i = 0; i < names.n; i++) {
        struct str path = arena_printf(a, "%s/%.*s", dir, STRF(names.v[i]));
        struct stat st;

        CHECK(stat(path.p, &st) == 0);
        if (S_ISDIR(st.st_mode))
            fx_list_tree(a, path.p, out, n, max);
        else if (*n < max)
            out[(*n)++] = path;
    }
}

// Puts a file in place without syncing: it is a copy.
static inline void fx_put_file(const char *path, struct str bytes)
{
    OWNED(file_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    struct err e = { 0 };

    CHECK(fd >= 0);
    CHECK_OK(file_write_all(fd, bytes.p, bytes.n, &e), &e);
}

static inline void fx_copy_tree(const char *from, const char *to)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str files[200];
    struct err e = { 0 };
    size_t n = 0;

    fx_list_tree(&a, from, files, &n, 200);
    CHECK(n < 200);
    for (size_t i = 0; i < n; i++) {
        struct str path = arena_printf(&a, "%s%s", to, files[i].p + strlen(from)), bytes;
        struct str dir = str_sub(path, 0, str_rfind_char(path, '/'));

        CHECK_OK(file_mkdirs(arena_cstr(&a, dir), &e), &e);
        CHECK_OK(file_read(&a, files[i].p, 80 << 20, &bytes, &e), &e);
        fx_put_file(path.p, bytes);
    }
}
