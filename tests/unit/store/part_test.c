// part_test.c - the container: sections, index levels, refusal of foreign and damaged files.
// SPDX-License-Identifier: Apache-2.0
#include "store/part.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/rand.h"
#include "test.h"

static const struct part_id ID = { .owner = 11, .number = 22, .epoch = 3, .kind = PART_METRICS };

struct layout {
    size_t pages[3]; // of sections 0, 2, 5
    size_t page_bytes;
};
static const unsigned section_of[3] = { 0, 2, 5 };

// Page i of a section has key 10·i + 5 and is filled with section + i.
static bool write_part(const char *path, const struct layout *l, struct part_info *info,
                       struct err *e)
{
    OWNED(part_writer_close) struct part_writer *w = NULL;
    uint8_t page[512];

    if (!part_writer_open(&w, &(struct part_writer_options){ .path = path, .id = ID }, e))
        return false;
    for (size_t i = 0; i < 5000; i++) {
        for (size_t s = 0; s < 3; s++) {
            struct part_page_key key = {
                .key = 10 * i + 5, .min_ms = (int64_t)i, .max_ms = (int64_t)i + 1, .rows = 2
            };

            if (i >= l->pages[s])
                continue;
            memset(page, (int)(section_of[s] + i), l->page_bytes);
            if (!part_writer_page(w, section_of[s], &key, str_of((char *)page, l->page_bytes), e))
                return false;
        }
    }
    part_writer_root(w, 2, STR("old"));
    part_writer_root(w, 2, STR("root of two"));
    *info = (struct part_info){ .shard = 1,
                                .seq_from = 4,
                                .seq_to = 9,
                                .min_ms = -5,
                                .max_ms = 77,
                                .rows = 123,
                                .series = 45,
                                .resolution_ms = 60000 };
    return part_writer_finish(w, info, e);
}

static const char *temp_path(struct arena *a)
{
    return arena_printf(a, "%s/00000022.part", file_temp_dir(a)).p;
}

static void check_section(struct part *p, unsigned section, size_t pages, size_t page_bytes)
{
    struct err e = { 0 };
    struct part_walk w;
    const struct page *page;
    size_t seen = 0;
    int r;

    CHECK(part_section_pages(p, section) == pages);
    CHECK(part_section_bytes(p, section) == pages * page_bytes);
    part_walk_init(&w, p, section, PAGE_KEEP);
    for (r = part_walk_find(&w, 0, &e); r > 0; r = part_walk_next(&w, &e), seen++) {
        CHECK(w.entry.key == 10 * seen + 5 && w.entry.rows == 2 &&
              w.entry.max_ms == (int64_t)seen + 1);
        CHECK_OK(part_walk_page(&w, &page, &e), &e);
        CHECK(page->n == page_bytes && page->p[0] == (uint8_t)(section + seen));
        page_put(page);
    }
    CHECK_F(r == 0, "%s", e.text);
    CHECK(seen == pages);
    for (size_t i = 0; pages && i < 10 * pages + 20; i += 1 + i / 40) {
        size_t want = i < 5 ? 0 : MIN((i - 5) / 10, pages - 1);

        CHECK(part_walk_find(&w, i, &e) == 1);
        CHECK_F(w.at == want && w.entry.key == 10 * want + 5, "key %zu", i);
    }
    part_walk_fini(&w);
}

TEST(sections_are_found_page_by_page)
{
    static const struct layout cases[] = {
        { { 0, 0, 0 }, 10 },     { { 1, 0, 0 }, 500 },   { { 64, 65, 3 }, 8 },
        { { 800, 801, 1 }, 16 }, { { 5000, 0, 7 }, 40 },
    };
    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct err e = { 0 };
        OWNED(page_cache_free) struct page_cache *c = page_cache_new(NULL);
        const char *path = temp_path(&a);
        struct part_info info;
        struct part *p;
        uint64_t size;

        CHECK_OK(write_part(path, t, &info, &e), &e);
        CHECK_OK(part_open(&p, c, path, &ID, &e), &e);
        CHECK_OK(file_size(path, &size, &e), &e);
        CHECK(size == info.bytes);
        CHECK(memcmp(part_info(p), &info, sizeof info) == 0);
        CHECK(part_id(p)->epoch == 3 && part_id(p)->number == 22);
        for (size_t s = 0; s < 3; s++)
            check_section(p, section_of[s], t->pages[s], t->page_bytes);
        check_section(p, 1, 0, 0);
        CHECK_STR(part_root(p, 2), STR("root of two"));
        CHECK(part_root(p, 0).n == 0);
        CHECK_OK(part_verify(p, &e), &e);
        part_close(p);
        CHECK_OK(part_open(&p, c, path, NULL, &e), &e);
        CHECK(part_id(p)->owner == 11 && part_id(p)->kind == PART_METRICS);
        part_close(p);
    }
}

TEST(foreign_files_are_refused)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    OWNED(page_cache_free) struct page_cache *c = page_cache_new(NULL);
    const char *path = temp_path(&a);
    struct part_info info;
    struct part *p = NULL;
    struct part_id other[3] = { ID, ID, ID };

    CHECK_OK(write_part(path, &(struct layout){ { 2, 1, 0 }, 9 }, &info, &e), &e);
    other[0].owner++;
    other[1].number++;
    other[2].kind = PART_EVENTS;
    for (size_t i = 0; i < 3; i++) {
        CHECK(!part_open(&p, c, path, &other[i], &e));
        CHECK(e.kind == ERR_CONFLICT && p == NULL);
    }
    CHECK(!part_open(&p, c, "/nonexistent", &ID, &e) && e.kind == ERR_NOT_FOUND);
    CHECK(!write_part(path, &(struct layout){ { 2, 1, 0 }, 9 }, &info, &e)); // must not exist
    CHECK(file_exists(path)); // and is not removed by the failure
}

static void put_file(const char *path, const void *p, size_t n)
{
    struct err e = { 0 };
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    CHECK_OK(file_write_all(fd, p, n, &e), &e);
    close(fd);
}

// Opens and reads everything; true when nothing was found wrong.
static bool part_is_sound(struct page_cache *c, const char *path, struct err *e)
{
    struct part *p;
    bool ok = part_open(&p, c, path, &ID, e);

    if (!ok)
        return false;
    ok = part_verify(p, e);
    part_close(p);
    return ok;
}

TEST(every_truncation_and_every_flip_is_noticed)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    OWNED(page_cache_free) struct page_cache *c = page_cache_new(NULL);
    const char *path = temp_path(&a);
    struct part_info info;
    struct str whole;

    CHECK_OK(write_part(path, &(struct layout){ { 70, 2, 1 }, 9 }, &info, &e), &e);
    CHECK_OK(file_read(&a, path, 1 << 20, &whole, &e), &e);
    for (size_t n = 0; n < whole.n; n += n < 200 || whole.n - n < 700 ? 1 : 13) {
        put_file(path, whole.p, n);
        CHECK_F(!part_is_sound(c, path, &e), "cut at %zu of %zu", n, whole.n);
    }
    char *damaged = arena_copy(&a, whole.p, whole.n);
    for (size_t i = 0; i < whole.n; i++) {

        damaged[i] = (char)(damaged[i] ^ (1 << i % 8));
        put_file(path, damaged, whole.n);
        damaged[i] = whole.p[i];
        CHECK_F(!part_is_sound(c, path, &e), "flip at %zu of %zu", i, whole.n);
    }
    put_file(path, whole.p, whole.n);
    CHECK_OK(part_is_sound(c, path, &e), &e);
}

TEST(failed_writes_leave_no_file)
{
    static const char *const points[] = { "file.write", "file.sync" };

    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct err e = { 0 };
        const char *path = temp_path(&a);
        struct part_info info;

        fault_at(points[i], 1);
        CHECK(!write_part(path, &(struct layout){ { 5, 0, 0 }, 100 }, &info, &e));
        CHECK(e.kind == ERR_IO && strstr(e.text, path));
        CHECK(!file_exists(path));
        fault_clear();
        CHECK_OK(write_part(path, &(struct layout){ { 5, 0, 0 }, 100 }, &info, &e), &e);
    }
}
