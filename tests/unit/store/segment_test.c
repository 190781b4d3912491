// segment_test.c - a small segment, flipped and cut at every byte: an error value, never more.
// SPDX-License-Identifier: Apache-2.0
#include "store/segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/catalog.h"
#include "test.h"

struct fixture {
    struct arena arena;
    const char *dir, *path;
    struct page_cache *pages;
    struct catalog_segment segment;
    struct str file; // its bytes
};

static void fixture_init(struct fixture *f, uint32_t series)
{
    struct catalog *c;
    struct catalog_build *build;
    struct err e = { 0 };

    *f = (struct fixture){ 0 };
    f->dir = file_temp_dir(&f->arena);
    f->path = arena_printf(&f->arena, "%s/00000002.seg", f->dir).p;
    f->pages = page_cache_new(&(struct page_cache_options){ .bytes_max = 1 << 20 });
    struct catalog_options o = { .dir = f->dir, .cache = f->pages, .place = 5 };
    CHECK_OK(catalog_open(&c, &o, NULL, &e), &e);
    catalog_start(c, 1, 10);
    for (uint32_t i = 0; i < series; i++) {
        struct label v[] = { { LABEL_NAME, arena_printf(&f->arena, "m%u", i % 5) },
                             { STR("a"), arena_printf(&f->arena, "value-%u", i) },
                             { STR("b"), STR("same") } };
        struct labels ls = { v, i % 3 ? 3 : 2 };
        uint32_t id;
        CHECK_OK(catalog_add(c, ls, labels_fingerprint(ls, 1), i % 2, &id, &e), &e);
    }
    catalog_rotate(c, 2);
    CHECK_OK(catalog_freeze(c, 2, &build, &e), &e);
    f->segment = *catalog_build_segment(build);
    CHECK_OK(catalog_install(c, build, &e), &e);
    catalog_close(c);
    CHECK_OK(file_read(&f->arena, f->path, 1 << 24, &f->file, &e), &e);
}

static void fixture_fini(struct fixture *f)
{
    page_cache_free(f->pages);
    CHECK(file_remove_tree(f->dir, &(struct err){ 0 }));
    arena_fini(&f->arena);
}

static bool open_segment(const struct fixture *f, struct segment **out, struct err *e)
{
    struct segment_options o = {
        .path = f->path, .cache = f->pages, .place = 5, .expect = &f->segment
    };

    return segment_open(out, &o, e);
}

static void write_file(const struct fixture *f, struct str bytes)
{
    __attribute__((cleanup(file_close_owned_))) int fd = open(
        f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    CHECK(fd >= 0 && file_write_all(fd, bytes.p, bytes.n, &(struct err){ 0 }));
}

TEST(segment_verifies_when_sound)
{
    struct fixture f;
    struct segment *s;
    struct err e = { 0 };

    fixture_init(&f, 300);
    CHECK_OK(open_segment(&f, &s, &e), &e);
    CHECK(segment_count(s) == 300 && segment_info(s)->id_first == 10);
    CHECK(segment_position(s, 0) == 0 && segment_position(s, 309) == 299);
    CHECK(segment_position(s, 310) == 300);
    CHECK_OK(segment_verify(s, &e), &e);
    segment_put(s);
    f.segment.number = 3; // another file's number
    CHECK(!open_segment(&f, &s, &e));
    fixture_fini(&f);
}

TEST(segment_flipped_at_every_byte_is_an_error)
{
    struct fixture f;
    struct err e = { 0 };

    fixture_init(&f, 40);
    __attribute__((cleanup(file_close_owned_))) int fd = open(f.path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (size_t i = 0; i < f.file.n; i++) {
        OWNED(segment_put) struct segment *s = NULL;
        char flipped = (char)(f.file.p[i] ^ 1 << i % 8);
        CHECK(file_pwrite_all(fd, &flipped, 1, i, &e));
        e.kind = ERR_NONE;
        bool ok = open_segment(&f, &s, &e) && segment_verify(s, &e);
        CHECK_F(!ok, "byte %zu of %zu flipped and not noticed", i, f.file.n);
        CHECK(e.kind == ERR_CORRUPT || e.kind == ERR_CONFLICT || e.kind == ERR_UNSUPPORTED);
        CHECK(file_pwrite_all(fd, f.file.p + i, 1, i, &e));
    }
    fixture_fini(&f);
}

TEST(segment_cut_at_every_byte_is_an_error)
{
    struct fixture f;
    struct err e = { 0 };

    fixture_init(&f, 40);
    for (size_t n = f.file.n; n > 0; n--) {
        OWNED(segment_put) struct segment *s = NULL;
        CHECK(truncate(f.path, (off_t)n - 1) == 0);
        CHECK(!open_segment(&f, &s, &e));
    }
    fixture_fini(&f);
}

// A segment that went bad leaves the others to be served, and every answer says so.
TEST(catalog_serves_the_rest_when_a_segment_is_damaged)
{
    struct fixture f;
    struct err e = { 0 };
    struct catalog *c;
    struct budget budget = { 0 };
    struct catalog_damage damage = { 0 };

    fixture_init(&f, 40);
    write_file(&f, str_of(f.file.p, f.file.n / 2));
    struct catalog_options o = {
        .dir = f.dir, .cache = f.pages, .place = 5, .segments = &f.segment, .segment_count = 1
    };
    CHECK_OK(catalog_open(&c, &o, &damage, &e), &e);
    CHECK(damage.segments == 1 && strstr(damage.first.text, "00000002.seg"));
    catalog_start(c, 3, 0);
    CHECK(catalog_id_next(c) == 50); // ids of the damaged one are not given again
    struct label v[] = { { LABEL_NAME, STR("up") } };
    uint32_t id;
    CHECK_OK(catalog_add(c, (struct labels){ v, 1 }, (struct hash128){ 1, 1 }, 0, &id, &e), &e);
    struct catalog_view *view = catalog_view_get(c);
    struct catalog_read r = { &f.arena, &budget, NULL };
    struct catalog_ids ids;
    CHECK(!catalog_select(view, &(struct catalog_query){ 0 }, &r, &ids, &e));
    CHECK(e.kind == ERR_CORRUPT || e.kind == ERR_IO);
    damage = (struct catalog_damage){ 0 };
    r.damage = &damage;
    CHECK_OK(catalog_select(view, &(struct catalog_query){ 0 }, &r, &ids, &e), &e);
    CHECK(ids.n == 1 && ids.v[0] == 50 && damage.segments == 1);
    size_t n;
    catalog_segments(c, &f.arena, &n);
    CHECK(n == 1); // the MANIFEST goes on naming it
    catalog_view_put(view);
    catalog_close(c);
    fixture_fini(&f);
}
