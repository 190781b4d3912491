/*
 * catalog_test.c - the catalog against a plain list of label sets, through rotations, freezes,
 * merges and reopening.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/sort.h"
#include "base/vec.h"
#include "store/page_cache.h"
#include "test.h"

enum { MATCHERS_MAX = 3, WORLD_MAX = 4000 };

/* ---- the world: a catalog, what it should hold, and the files a store would keep ---- */

struct series {
    struct labels labels; // in the world's arena
    struct hash128 fingerprint;
    uint32_t id, shard, slices;
    bool unsure; // from before a reopening: its slices may count as all
};

struct log {
    uint64_t number;
    struct str payload; // in the world's arena
};

struct world {
    struct arena arena;
    struct rand_state rand;
    const char *dir;
    struct page_cache *pages;
    struct catalog *catalog;
    uint64_t number; // of files
    uint64_t log_number;
    VEC(struct series) series;
    VEC(struct log) logs;
    struct budget budget;
    bool closed; // nothing came since a final merge
    bool stale;  // what the next opening is told of slices
};

static uint64_t below(struct world *w, uint64_t n)
{
    return rand_next(&w->rand) % n;
}

static void catalog_open_ok(struct world *w, const struct catalog_segment *v, size_t n)
{
    struct err e = { 0 };
    struct catalog_damage damage = { 0 };
    uint64_t dropped = 0;

    struct catalog_options o = { .dir = w->dir,
                                 .cache = w->pages,
                                 .place = 77,
                                 .segments = v,
                                 .segment_count = n,
                                 .slices_trusted = !w->stale };
    CHECK_OK(catalog_open(&w->catalog, &o, &damage, &e), &e);
    CHECK(damage.segments == 0);
    for (size_t i = 0; i < w->logs.n; i++) {
        if (i == 0 || w->logs.v[i].number != w->logs.v[i - 1].number)
            catalog_replay_log(w->catalog);
        for (int twice = 0; twice < 2; twice++)
            CHECK_OK(catalog_replay(w->catalog, w->logs.v[i].payload, &dropped, &e), &e);
    }
    CHECK(dropped == 0);
    w->log_number = ++w->number;
    catalog_start(w->catalog, w->log_number, 0);
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){ .rand = rand_seeded(seed) };
    w->dir = file_temp_dir(&w->arena);
    w->pages = page_cache_new(&(struct page_cache_options){ .bytes_max = 1 << 20 });
    catalog_open_ok(w, NULL, 0);
}

static void world_fini(struct world *w)
{
    catalog_close(w->catalog);
    page_cache_free(w->pages);
    CHECK(file_remove_tree(w->dir, &(struct err){ 0 }));
    vec_fini(&w->series);
    vec_fini(&w->logs);
    arena_fini(&w->arena);
}

// What the log writer does.
static void drain(struct world *w)
{
    OWNED(buf_fini) struct buf b = { 0 };
    uint64_t number;

    while (catalog_log_take(w->catalog, 4096, &b, &number))
        *vec_push(&w->logs) = (struct log){ number, arena_str(&w->arena, buf_view(&b)) };
    CHECK(catalog_log_pending(w->catalog) == 0);
}

static const char *const names[] = {
    "__name__", "instance", "job", "le", "pod", "zone", "\xc3\xa9"
};

static struct labels random_labels(struct world *w)
{
    struct label v[ARRAY_LEN(names)];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        static const int range[] = { 12, 5, 3, 4, 100000, 2, 1 };
        if (i > 0 && below(w, 3) == 0)
            continue;
        v[n].name = str_c(names[i]);
        v[n].value = arena_printf(&w->arena, "%s%llu",
                                  i == 0   ? "metric_"
                                  : i == 4 ? ""
                                           : "v",
                                  (unsigned long long)below(w, (uint64_t)range[i]));
        n++;
    }
    return labels_copy(&w->arena, (struct labels){ v, n });
}

static bool known(const struct world *w, struct labels ls)
{
    for (size_t i = 0; i < w->series.n; i++)
        if (labels_equal(w->series.v[i].labels, ls))
            return true;
    return false;
}

static void add_one(struct world *w)
{
    struct labels ls = random_labels(w);
    struct err e = { 0 };

    if (known(w, ls) && below(w, 50) != 0) // now and then a label set gets a second id
        return;
    struct series s = { .labels = ls, .shard = (uint32_t)below(w, 4) };
    s.fingerprint = labels_fingerprint(ls, 5);
    CHECK_OK(catalog_add(w->catalog, ls, s.fingerprint, s.shard, &s.id, &e), &e);
    CHECK(w->series.n == 0 || s.id > w->series.v[w->series.n - 1].id);
    s.slices = (uint32_t)below(w, 16);
    catalog_slices_set(w->catalog, s.id, s.slices);
    *vec_push(&w->series) = s;
}

static void forget_logs_before(struct world *w, uint64_t number)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->logs.n; i++)
        if (w->logs.v[i].number >= number)
            w->logs.v[kept++] = w->logs.v[i];
    w->logs.n = kept;
}

static void rotate(struct world *w)
{
    w->log_number = ++w->number;
    catalog_rotate(w->catalog, w->log_number);
    drain(w);
}

// Rows of older series: their slices must not get lost, whatever holds them.
static void late_rows(struct world *w)
{
    for (int i = 0; i < 5 && w->series.n; i++) {
        struct series *s = &w->series.v[below(w, w->series.n)];
        uint32_t bit = 1u << below(w, 6);
        catalog_slices_set(w->catalog, s->id, bit);
        s->slices |= bit;
    }
}

static void seal(struct world *w, bool merge, bool install)
{
    OWNED(catalog_build_free) struct catalog_build *b = NULL;
    struct err e = { 0 };

    rotate(w);
    uint64_t number = ++w->number;
    CHECK_OK(merge ? catalog_merge(w->catalog, number, true, &b, &e)
                   : catalog_freeze(w->catalog, number, &b, &e),
             &e);
    if (!b || !install)
        return;
    CHECK(catalog_build_segment(b)->number == number);
    forget_logs_before(w, w->log_number);
    CHECK_OK(catalog_install(w->catalog, TAKE(b), &e), &e);
    CHECK(!catalog_freeze_is_due(w->catalog));
    w->closed = w->closed || merge;
}

static void reopen(struct world *w)
{
    size_t n;
    struct catalog_segment *v;

    drain(w);
    v = catalog_segments(w->catalog, &w->arena, &n);
    // A store says so when rows may have come after the last final merge. Closed, it need not.
    w->stale = !w->closed;
    for (size_t i = 0; i < w->series.n; i++)
        w->series.v[i].unsure = w->series.v[i].unsure || w->stale;
    catalog_close(w->catalog);
    catalog_open_ok(w, v, n);
}

/* ---- questions ---- */

struct question {
    struct matcher m[MATCHERS_MAX];
    struct regex *re[MATCHERS_MAX];
    size_t n;
};

static void question_fini(struct question *q)
{
    for (size_t i = 0; i < q->n; i++)
        regex_free(q->re[i]);
}
OWN_DEFINE_FINI(struct question, question_fini)

static struct question random_question(struct world *w)
{
    static const char *const value[] = { "", "v0", "v1", "metric_3", "17", "absent" };
    static const char *const pattern[] = { "",           ".*",    ".+", "v0|v1", "metric_[0-5]",
                                           "metric_1.*", "1.*",   "v.", "|v1",   ".*2",
                                           "9[0-9]*",    "(?i)V1" };
    struct question q = { .n = below(w, MATCHERS_MAX + 1) };

    for (size_t i = 0; i < q.n; i++) {
        struct matcher *m = &q.m[i];
        uint64_t name = below(w, ARRAY_LEN(names) + 1);
        m->op = (enum match_op)below(w, 4);
        m->name = name < ARRAY_LEN(names) ? str_c(names[name]) : STR("nowhere");
        bool re = m->op == MATCH_RE || m->op == MATCH_NRE;
        m->value = str_c(re ? pattern[below(w, ARRAY_LEN(pattern))]
                            : value[below(w, ARRAY_LEN(value))]);
        if (re)
            CHECK(regex_new(&q.re[i], m->value, REGEX_ANCHORED, &(struct err){ 0 }));
        m->re = q.re[i];
    }
    return q;
}

static void explain(const struct question *q)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < q->n; i++) {
        buf_char(&b, ' ');
        buf_matcher(&b, &q->m[i]);
    }
    print_error("matchers:%s\n", buf_cstr(&b));
}

struct asking { // the state of one round of questions
    struct world *w;
    struct arena arena;
    struct catalog_view *view;
    struct catalog_read read;
};

static void check_select(struct asking *k, const struct question *q, uint32_t slices,
                         struct catalog_ids *out)
{
    struct catalog_query cq = { q->m, q->n, slices };
    struct err e = { 0 };
    size_t at = 0;

    CHECK_OK(catalog_select(k->view, &cq, &k->read, out, &e), &e);
    for (size_t i = 0; i < k->w->series.n; i++) {
        const struct series *s = &k->w->series.v[i];
        bool want = matchers_match(q->m, q->n, s->labels);
        bool got = at < out->n && out->v[at] == s->id;
        if (slices && !(s->slices & slices))
            want = want && s->unsure && got; // may be left out, then
        if (got != want)
            explain(q);
        CHECK_F(got == want, "id %u: got %d, want %d", s->id, got, want);
        at += got;
    }
    CHECK_F(at == out->n, "%zu ids too many", out->n - at);
}

static const struct series *series_of(const struct world *w, uint32_t id)
{
    for (size_t i = 0; i < w->series.n; i++)
        if (w->series.v[i].id == id)
            return &w->series.v[i];
    return NULL;
}

static void check_labels(struct asking *k, struct catalog_ids ids)
{
    struct labels *ls = arena_array(&k->arena, ids.n, struct labels);
    struct catalog_key *keys = arena_array(&k->arena, ids.n, struct catalog_key);
    uint32_t *order = arena_array(&k->arena, ids.n, uint32_t);
    struct err e = { 0 };

    CHECK_OK(catalog_labels(k->view, ids, &k->read, ls, &e), &e);
    CHECK_OK(catalog_keys(k->view, ids, &k->read, keys, &e), &e);
    CHECK_OK(catalog_order(k->view, ids, &k->read, order, &e), &e);
    for (size_t i = 0; i < ids.n; i++) {
        const struct series *s = series_of(k->w, ids.v[i]);
        CHECK(labels_equal(ls[i], s->labels));
        CHECK(keys[i].id == s->id && keys[i].shard == s->shard);
        CHECK(memcmp(&keys[i].fingerprint, &s->fingerprint, 16) == 0);
        CHECK(i == 0 || labels_cmp(ls[order[i - 1]], ls[order[i]]) <= 0);
    }
}

static void check_strings(struct asking *k, const struct question *q, struct catalog_ids ids,
                          uint32_t slices, struct str name, size_t limit)
{
    struct catalog_values_query vq = { { q->m, q->n, slices }, name, limit };
    struct catalog_strs got;
    struct err e = { 0 };
    VEC(struct str) want = { 0 };

    for (size_t i = 0; i < ids.n; i++) {
        struct labels ls = series_of(k->w, ids.v[i])->labels;
        for (size_t l = 0; l < ls.n; l++) {
            if (name.n == 0)
                *vec_push(&want) = ls.v[l].name;
            else if (str_eq(ls.v[l].name, name))
                *vec_push(&want) = ls.v[l].value;
        }
    }
    want.n = sort_strs_unique(want.v, want.n);
    if (name.n)
        CHECK_OK(catalog_label_values(k->view, &vq, &k->read, &got, &e), &e);
    else
        CHECK_OK(catalog_label_names(k->view, &vq.select, limit, &k->read, &got, &e), &e);
    CHECK_F(got.n == (limit ? MIN(want.n, limit + 1) : want.n), "got %zu of %zu strings, limit %zu",
            got.n, want.n, limit);
    for (size_t i = 0; i < got.n; i++)
        CHECK_STR(got.v[i], want.v[i]);
    vec_fini(&want);
}

static void check_find(struct world *w)
{
    if (w->series.n == 0)
        return;
    const struct series *s = &w->series.v[below(w, w->series.n)];
    uint32_t ids[CATALOG_FIND_MAX];
    size_t n = catalog_find(w->catalog, s->fingerprint, ids), want = 0;

    for (size_t i = w->series.n; i > 0; i--) {
        if (memcmp(&w->series.v[i - 1].fingerprint, &s->fingerprint, 16) != 0)
            continue;
        CHECK(want >= n || ids[want] == w->series.v[i - 1].id);
        want++;
    }
    CHECK(n == MIN(want, (size_t)CATALOG_FIND_MAX));
    CHECK(catalog_find(w->catalog, (struct hash128){ 1, 2 }, ids) == 0);
}

static void check_figures(struct asking *k)
{
    struct catalog_figures f;
    struct err e = { 0 };
    uint64_t metric = 0, bytes = 0;

    CHECK_OK(catalog_figures(k->view, 3, &k->read, &f, &e), &e);
    CHECK(f.series == k->w->series.n);
    if (k->w->series.n == 0)
        return;
    CHECK(f.by_metric_n <= 3 && f.by_metric_n > 0);
    for (size_t i = 0; i < k->w->series.n; i++) {
        struct labels ls = k->w->series.v[i].labels;
        metric += str_eq(labels_get(ls, LABEL_NAME), f.by_metric[0].name);
        bytes += labels_get(ls, f.bytes_by_label[0].name).n;
    }
    CHECK(metric == f.by_metric[0].value);
    CHECK(bytes == f.bytes_by_label[0].value);
    for (size_t i = 1; i < f.by_pair_n; i++)
        CHECK(f.by_pair[i - 1].value >= f.by_pair[i].value);
}

static void ask(struct world *w, int questions)
{
    struct asking k = { .w = w, .view = catalog_view_get(w->catalog) };

    k.read = (struct catalog_read){ &k.arena, &w->budget, NULL };
    CHECK(catalog_view_series(k.view) == w->series.n);
    for (int i = 0; i < questions; i++) {
        OWNED(question_fini) struct question q = random_question(w);
        uint32_t slices = below(w, 2) ? 0 : (uint32_t)below(w, 64);
        struct catalog_ids ids;
        check_select(&k, &q, slices, &ids);
        if (i % 4 == 0) {
            check_labels(&k, ids);
            check_strings(&k, &q, ids, slices, STR_NONE, below(w, 3));
            check_strings(&k, &q, ids, slices, str_c(names[below(w, ARRAY_LEN(names))]),
                          below(w, 5));
        }
        check_find(w);
        arena_reset(&k.arena);
    }
    check_figures(&k);
    catalog_view_put(k.view);
    arena_fini(&k.arena);
}

TEST(catalog_agrees_with_a_plain_list)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world w;
        world_init(&w, seed);
        for (int step = 0; step < 60; step++) {
            if (below(&w, 3)) {
                for (uint64_t n = below(&w, step < 20 ? 10 : 60); n > 0; n--)
                    add_one(&w);
                late_rows(&w);
                w.closed = false;
            }
            switch (below(&w, 8)) {
            case 0:
                rotate(&w);
                break;
            case 1:
                seal(&w, false, true);
                break;
            case 2:
                seal(&w, true, true);
                break;
            case 3:
                seal(&w, below(&w, 2), false); // a build that is given up
                break;
            case 4:
                reopen(&w);
                break;
            default:
                drain(&w);
            }
            ask(&w, 8);
        }
        world_fini(&w);
    }
}

TEST(catalog_view_outlives_everything)
{
    struct world w;
    struct arena a = { 0 };
    struct err e = { 0 };

    world_init(&w, 9);
    for (int i = 0; i < 300; i++)
        add_one(&w);
    seal(&w, false, true);
    size_t n = w.series.n;
    struct catalog_view *v = catalog_view_get(w.catalog);
    for (int i = 0; i < 300; i++)
        add_one(&w);
    seal(&w, true, true); // the first segment's file goes with the view
    struct file_list files;
    CHECK(file_list(&a, w.dir, &files, &e) && files.n == 2);
    catalog_close(w.catalog);
    struct catalog_read r = { &a, &w.budget, NULL };
    struct catalog_ids ids;
    CHECK_OK(catalog_select(v, &(struct catalog_query){ 0 }, &r, &ids, &e), &e);
    CHECK(ids.n == n);
    catalog_view_put(v);
    CHECK(file_list(&a, w.dir, &files, &e) && files.n == 1);
    w.catalog = NULL;
    arena_fini(&a);
    world_fini(&w);
}

TEST(catalog_refuses_what_is_too_large)
{
    struct world w;
    struct err e = { 0 };
    uint32_t id = 7;

    world_init(&w, 3);
    struct label *v = arena_array(&w.arena, CATALOG_LABELS_MAX + 1, struct label);
    for (size_t i = 0; i <= CATALOG_LABELS_MAX; i++)
        v[i] = (struct label){ arena_printf(&w.arena, "n%05zu", i), STR("v") };
    CHECK(!catalog_add(w.catalog, (struct labels){ v, CATALOG_LABELS_MAX + 1 },
                       (struct hash128){ 1, 1 }, 0, &id, &e));
    CHECK(e.kind == ERR_LIMIT && id == 7);
    CHECK_OK(catalog_add(w.catalog, (struct labels){ v, CATALOG_LABELS_MAX },
                         (struct hash128){ 1, 1 }, 0, &id, &e),
             &e);
    v[0].value = str_of(xcalloc(1, CATALOG_LABEL_BYTES_MAX), CATALOG_LABEL_BYTES_MAX);
    CHECK(!catalog_add(w.catalog, (struct labels){ v, 1 }, (struct hash128){ 1, 2 }, 0, &id, &e));
    v[0].value.n -= v[0].name.n; // just fits
    CHECK_OK(catalog_add(w.catalog, (struct labels){ v, 1 }, (struct hash128){ 1, 2 }, 0, &id, &e),
             &e);
    *vec_push(&w.series) = (struct series){ .labels = { v, 1 }, .id = id };
    seal(&w, false, true);
    struct catalog_view *view = catalog_view_get(w.catalog);
    struct labels out;
    struct catalog_read r = { &w.arena, &w.budget, NULL };
    CHECK_OK(catalog_labels(view, (struct catalog_ids){ &id, 1 }, &r, &out, &e), &e);
    CHECK(out.n == 1 && str_eq(out.v[0].value, v[0].value));
    catalog_view_put(view);
    xfree((void *)v[0].value.p);
    world_fini(&w);
}

TEST(catalog_replay_drops_series_without_their_pairs)
{
    struct world w;
    struct err e = { 0 };
    uint64_t dropped = 0;
    size_t whole;

    world_init(&w, 11);
    for (int i = 0; i < 50; i++)
        add_one(&w);
    drain(&w);
    CHECK(w.logs.n == 1);
    struct str payload = w.logs.v[0].payload;
    catalog_close(w.catalog);
    for (size_t cut = 1; cut < payload.n; cut += 7) { // the log's beginning is lost, or its end
        struct catalog_options o = { .dir = w.dir, .cache = w.pages, .id_next = 1000 };
        CHECK_OK(catalog_open(&w.catalog, &o, NULL, &e), &e);
        catalog_replay_log(w.catalog);
        bool ok = catalog_replay(w.catalog, str_sub(payload, 0, cut), &dropped, &e);
        CHECK(ok || e.kind == ERR_CORRUPT);
        (void)!catalog_replay(w.catalog, str_sub(payload, cut, payload.n), &dropped, &e);
        catalog_start(w.catalog, 9, 0);
        CHECK(catalog_id_next(w.catalog) == 1000);
        struct catalog_view *v = catalog_view_get(w.catalog);
        whole = catalog_view_series(v);
        CHECK(whole <= w.series.n);
        struct catalog_ids ids;
        struct arena a = { 0 };
        struct catalog_read r = { &a, &w.budget, NULL };
        CHECK_OK(catalog_select(v, &(struct catalog_query){ 0 }, &r, &ids, &e), &e);
        struct labels *ls = arena_array(&a, ids.n, struct labels);
        CHECK_OK(catalog_labels(v, ids, &r, ls, &e), &e);
        for (size_t i = 0; i < ids.n; i++) { // none is on another's id
            const struct series *s = series_of(&w, ids.v[i]);
            CHECK(!s || labels_equal(ls[i], s->labels) || !ok);
        }
        arena_fini(&a);
        catalog_view_put(v);
        catalog_close(w.catalog);
    }
    w.catalog = NULL;
    world_fini(&w);
}
