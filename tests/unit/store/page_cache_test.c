// page_cache_test.c - pinning, eviction, bounds, checksums, several threads.
// SPDX-License-Identifier: Apache-2.0
#include "store/page_cache.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/rand.h"
#include "base/thread.h"
#include "test.h"

enum { PAGES = 64, PAGE_N = 1000, SEED = 77 };

static uint64_t offset_of(size_t i)
{
    return i * (PAGE_N + PAGE_TRAILER);
}

// A file of PAGES pages, page i filled with byte i.
static const char *make_file(struct arena *a)
{
    struct err e = { 0 };
    const char *path = arena_printf(a, "%s/pages", file_temp_dir(a)).p;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

    CHECK(fd >= 0);
    for (size_t i = 0; i < PAGES; i++) {
        uint8_t page[PAGE_N + PAGE_TRAILER];

        memset(page, (int)i, PAGE_N);
        put_le32(page + PAGE_N, page_checksum(SEED, offset_of(i), page, PAGE_N));
        CHECK_OK(file_write_all(fd, page, sizeof page, &e), &e);
    }
    close(fd);
    return path;
}

TEST(pages_are_read_once_and_pinned)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    const char *path = make_file(&a);
    OWNED(page_cache_free) struct page_cache *c = page_cache_new(NULL);
    struct page_file *f;
    const struct page *p, *q;
    struct page_cache_stats s;

    CHECK_OK(page_file_open(&f, c, path, SEED, &e), &e);
    CHECK(page_file_bytes(f) == offset_of(PAGES));
    CHECK_OK(page_get(f, offset_of(3), PAGE_N, PAGE_KEEP, &p, &e), &e);
    CHECK_OK(page_get(f, offset_of(3), PAGE_N, PAGE_KEEP, &q, &e), &e);
    CHECK(p == q && p->n == PAGE_N && p->p[0] == 3 && p->p[PAGE_N - 1] == 3);
    for (size_t i = 0; i < PAGE_SLACK; i++)
        CHECK(p->p[PAGE_N + i] == 0);
    page_cache_stats(c, &s);
    CHECK(s.hits == 1 && s.misses == 1 && s.pages == 1 && s.bytes > PAGE_N);
    page_put(p);
    page_put(q);
    CHECK_OK(page_get(f, offset_of(4), PAGE_N, PAGE_ONCE, &p, &e), &e);
    page_put(p);
    page_cache_stats(c, &s);
    CHECK(s.pages == 1); // used once: not kept
    page_put(NULL);
    page_file_close(f);
    page_cache_stats(c, &s);
    CHECK(s.pages == 0 && s.bytes == 0);
}

TEST(the_bound_holds_and_pinned_pages_survive)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    const char *path = make_file(&a);
    OWNED(page_cache_free)
    struct page_cache *c = page_cache_new(
        &(struct page_cache_options){ .bytes_max = 8 * 1200, .shards = 1 });
    struct page_file *f;
    const struct page *pinned[PAGES], *p;
    struct page_cache_stats s;

    CHECK_OK(page_file_open(&f, c, path, SEED, &e), &e);
    for (size_t i = 0; i < PAGES; i++)
        CHECK_OK(page_get(f, offset_of(i), PAGE_N, PAGE_KEEP, &pinned[i], &e), &e);
    page_cache_stats(c, &s);
    CHECK(s.pages <= 8 && s.bytes <= s.bytes_max && s.evictions == 0);
    for (size_t i = 0; i < PAGES; i++) {
        CHECK(pinned[i]->p[500] == i);
        page_put(pinned[i]);
    }
    for (size_t i = 0; i < 3 * PAGES; i++) {
        CHECK_OK(page_get(f, offset_of(i % PAGES), PAGE_N, PAGE_KEEP, &p, &e), &e);
        CHECK(p->p[7] == i % PAGES);
        page_put(p);
        CHECK_OK(page_get(f, offset_of(1), PAGE_N, PAGE_KEEP, &p, &e), &e); // always in use
        page_put(p);
    }
    page_cache_stats(c, &s);
    CHECK(s.bytes <= s.bytes_max && s.evictions > 100);
    CHECK(s.hits > 3 * PAGES - 5); // the page in use stays
    page_file_close(f);
}

TEST(damage_is_an_error_with_the_place)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    const char *path = make_file(&a);
    OWNED(page_cache_free) struct page_cache *c = page_cache_new(NULL);
    struct page_file *f;
    const struct page *p = NULL;
    int fd = open(path, O_RDWR);

    CHECK_OK(file_pwrite_all(fd, "x", 1, offset_of(2) + 10, &e), &e);
    close(fd);
    CHECK_OK(page_file_open(&f, c, path, SEED, &e), &e);
    CHECK(!page_get(f, offset_of(2), PAGE_N, PAGE_KEEP, &p, &e));
    CHECK(e.kind == ERR_CORRUPT && strstr(e.text, "offset 2008") && strstr(e.text, path));
    CHECK(!page_get(f, offset_of(3) + 1, PAGE_N, PAGE_KEEP, &p, &e) && e.kind == ERR_CORRUPT);
    CHECK(!page_get(f, offset_of(3), PAGE_N - 1, PAGE_KEEP, &p, &e) && e.kind == ERR_CORRUPT);
    CHECK(!page_get(f, offset_of(PAGES - 1), PAGE_N + 1, PAGE_KEEP, &p, &e));
    CHECK(e.kind == ERR_CORRUPT && strstr(e.text, "beyond"));
    CHECK(!page_get(f, UINT64_MAX - 2, PAGE_N, PAGE_KEEP, &p, &e) && e.kind == ERR_CORRUPT);
    CHECK(!page_get(f, 0, UINT32_MAX, PAGE_KEEP, &p, &e) && e.kind == ERR_CORRUPT);
    CHECK(p == NULL);
    page_file_close(f);
    // The same bytes under another seed are another file's.
    CHECK_OK(page_file_open(&f, c, path, SEED + 1, &e), &e);
    CHECK(!page_get(f, offset_of(5), PAGE_N, PAGE_KEEP, &p, &e) && e.kind == ERR_CORRUPT);
    page_file_close(f);
    CHECK(!page_file_open(&f, c, "/nonexistent/part", SEED, &e) && e.kind == ERR_NOT_FOUND);
}

struct reader {
    struct page_file *f;
    struct thread thread;
    uint64_t seed;
    size_t bad;
};

static void *read_many(void *ctx)
{
    struct reader *r = ctx;
    struct rand_state rand = rand_seeded(r->seed);
    const struct page *held[4] = { 0 };

    for (size_t i = 0; i < 4000; i++) {
        size_t page = (rand_next(&rand) >> 20) % PAGES;
        const struct page **slot = &held[i % ARRAY_LEN(held)];
        struct err e;

        page_put(*slot);
        *slot = NULL;
        r->bad += !page_get(r->f, offset_of(page), PAGE_N, i % 7 ? PAGE_KEEP : PAGE_ONCE, slot, &e);
        r->bad += *slot && ((*slot)->p[0] != page || (*slot)->p[PAGE_N - 1] != page);
    }
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        page_put(held[i]);
    return NULL;
}

TEST(threads_share_a_small_cache)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    const char *path = make_file(&a);
    OWNED(page_cache_free)
    struct page_cache *c = page_cache_new(
        &(struct page_cache_options){ .bytes_max = 20 * 1200, .shards = 2 });
    struct page_file *f;
    struct reader r[4];

    CHECK_OK(page_file_open(&f, c, path, SEED, &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        r[i] = (struct reader){ .f = f, .seed = i };
        CHECK_OK(thread_start(&r[i].thread, "reader", read_many, &r[i], &e), &e);
    }
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        thread_join(&r[i].thread);
        CHECK(r[i].bad == 0);
    }
    page_file_close(f);
}
