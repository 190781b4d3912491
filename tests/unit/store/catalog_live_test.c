// catalog_live_test.c - one writer and several readers at the open segment: run it under TSan.
// SPDX-License-Identifier: Apache-2.0
#include "store/catalog.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/thread.h"
#include "store/page_cache.h"
#include "test.h"

enum { SERIES = 12000, READERS = 3 };

struct shared {
    struct catalog *catalog;
    atomic_bool done;
    atomic_uint added;
    atomic_uint failures;
};

// Series i has labels that follow from its number: readers can check what they see.
static struct labels make(uint32_t i, char text[4][32], struct label label[4])
{
    static const char *const name[] = { "__name__", "host", "mod", "unique" };

    snprintf(text[0], 32, "metric_%u", i % 40);
    snprintf(text[1], 32, "host-%u", i / 500);
    snprintf(text[2], 32, "%u", i % 7);
    snprintf(text[3], 32, "u%u", i);
    for (size_t k = 0; k < 4; k++)
        label[k] = (struct label){ str_c(name[k]), str_c(text[k]) };
    return (struct labels){ label, 4 };
}

static bool right_labels(uint32_t id, struct labels ls)
{
    struct label label[4];
    char text[4][32];

    return labels_equal(ls, make(id, text, label));
}

static bool look(struct shared *s, struct arena *a, uint32_t *last, const struct matcher *general)
{
    unsigned added = atomic_load(&s->added);
    struct catalog_view *v = catalog_view_get(s->catalog);
    struct budget budget = { 0 };
    struct catalog_read r = { a, &budget, NULL };
    struct matcher eq = { MATCH_EQ, STR("mod"), STR("3"), NULL };
    struct matcher both[] = { eq, *general };
    struct catalog_ids ids, some;
    struct catalog_strs values;
    struct err e = { 0 };
    uint64_t n = catalog_view_series(v);
    bool ok = n >= added && n >= *last;

    *last = (uint32_t)n;
    ok = ok && catalog_select(v, &(struct catalog_query){ &eq, 1, 0 }, &r, &ids, &e);
    ok = ok && ids.n == (n + 3) / 7; // of 0 … n−1 those that are 3 modulo 7
    ok = ok && catalog_select(v, &(struct catalog_query){ both, 2, 0 }, &r, &some, &e);
    for (size_t i = 0; ok && i < some.n; i++)
        ok = some.v[i] % 7 == 3 && some.v[i] % 40 >= 10 && some.v[i] % 40 < 20;
    struct labels *ls = arena_array(a, ids.n, struct labels);
    ok = ok && catalog_labels(v, ids, &r, ls, &e);
    for (size_t i = 0; ok && i < ids.n; i++)
        ok = ids.v[i] < n && right_labels(ids.v[i], ls[i]);
    struct catalog_values_query vq = { { 0 }, STR("unique"), 0 };
    ok = ok && catalog_label_values(v, &vq, &r, &values, &e) && values.n == n;
    catalog_view_put(v);
    return ok;
}

static void *reader(void *ctx)
{
    struct shared *s = ctx;
    struct arena a = { 0 };
    struct matcher m = { MATCH_RE, LABEL_NAME, STR("metric_1[0-9]"), NULL };
    struct regex *re;
    uint32_t last = 0;

    if (!regex_new(&re, m.value, REGEX_ANCHORED, &(struct err){ 0 }))
        return NULL;
    m.re = re;
    do {
        if (!look(s, &a, &last, &m))
            atomic_fetch_add(&s->failures, 1);
        arena_reset(&a);
    } while (!atomic_load(&s->done));
    regex_free(re);
    arena_fini(&a);
    return NULL;
}

static void write_all(struct shared *s)
{
    struct label label[4];
    char text[4][32];
    uint64_t file = 1, log;
    struct buf b = { 0 };
    struct err e = { 0 };

    for (uint32_t i = 0; i < SERIES; i++) {
        struct labels ls = make(i, text, label);
        uint32_t id;
        CHECK_OK(catalog_add(s->catalog, ls, labels_fingerprint(ls, 1), i % 2, &id, &e), &e);
        CHECK(id == i);
        catalog_slices_set(s->catalog, id, 1);
        atomic_store(&s->added, i + 1);
        if (i % 100 == 0)
            catalog_log_take(s->catalog, 1 << 20, &b, &log);
        if (i % 3000 == 2999) { // freeze and merge under the readers
            struct catalog_build *build;
            catalog_rotate(s->catalog, ++file);
            CHECK_OK(i % 6000 == 5999 ? catalog_merge(s->catalog, ++file, false, &build, &e)
                                      : catalog_freeze(s->catalog, ++file, &build, &e),
                     &e);
            CHECK_OK(catalog_install(s->catalog, build, &e), &e);
        }
    }
    buf_fini(&b);
}

TEST(catalog_readers_see_whole_series_while_one_writes)
{
    struct arena a = { 0 };
    struct shared s = { 0 };
    struct thread t[READERS] = { 0 };
    struct err e = { 0 };
    const char *dir = file_temp_dir(&a);
    struct page_cache *pages = page_cache_new(&(struct page_cache_options){ .bytes_max = 1 << 20 });

    struct catalog_options o = { .dir = dir, .cache = pages };
    CHECK_OK(catalog_open(&s.catalog, &o, NULL, &e), &e);
    catalog_start(s.catalog, 1, 0);
    for (size_t i = 0; i < READERS; i++)
        CHECK_OK(thread_start(&t[i], "reader", reader, &s, &e), &e);
    write_all(&s);
    atomic_store(&s.done, true);
    for (size_t i = 0; i < READERS; i++)
        thread_join(&t[i]);
    CHECK(atomic_load(&s.failures) == 0);
    catalog_close(s.catalog);
    page_cache_free(pages);
    CHECK_OK(file_remove_tree(dir, &e), &e);
    arena_fini(&a);
}
