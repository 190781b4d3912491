/*
 * metrics_damage_test.c - files cut and flipped at each byte: no lie, no crash, and a warning for
 * what is missing.
 *
 * VIGIE_TEST_FULL=1 takes every byte; else a part of them, another in each file.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/log.h"
#include "metrics/metrics.h"
#include "metrics_harness.h"

enum { SERIES = 6, ROWS = 12 };

struct damaged {
    const char *dir;    // of the sound store
    struct str below;   // the file in question, below dir/tenants
    struct str content; // of it
    struct fixture *model;
    bool must_warn; // when rows are missing
};

// Logs are zeros for the most part, made in advance: a few of them are enough to copy.
static void trim_logs(const char *root)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str files[100], bytes;
    struct err e = { 0 };
    size_t n = 0;

    fx_list_tree(&a, root, files, &n, 100);
    for (size_t i = 0; i < n; i++) {
        if (!str_ends(files[i], STR(".log")))
            continue;
        CHECK_OK(file_read(&a, files[i].p, 80 << 20, &bytes, &e), &e);
        while (bytes.n > 64 && bytes.p[bytes.n - 64] == 0)
            bytes.n--;
        fx_put_file(files[i].p, bytes);
    }
}

// Rows of one day: flushed, or left in logs.
static struct fixture *sound_store(bool flushed)
{
    struct metrics_options o = { .shards = 1, .leave_logs = !flushed };
    struct fixture *f = fx_new(&o);
    struct err e = { 0 };
    char name[64];

    for (int k = 0; k < ROWS; k++)
        fx_scrape(f, 0, SERIES, T0 + k * 15000);
    CHECK_OK(!flushed || metrics_snapshot(f->m, false, name, &e), &e); // freezes the series
    append_batch_free(f->b);
    metrics_close(f->m);
    trim_logs(f->o.path);
    f->b = NULL;
    f->m = NULL;
    f->o.leave_logs = true;
    return f;
}

static bool find_file(struct arena *a, const char *root, const char *word, struct str *out)
{
    struct str files[100];
    size_t n = 0;

    fx_list_tree(a, root, files, &n, 100);
    for (size_t i = 0; i < n; i++) {
        if (strstr(files[i].p, word)) {
            *out = files[i];
            return true;
        }
    }
    return false;
}

static const char *file_of(struct str path)
{
    return path.p + str_rfind_char(path, '/') + 1;
}

// Opens a copy in which the file has this content.
static void open_damaged(const struct damaged *d, struct str content, size_t offset)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *copy = file_temp_dir(&a);
    struct fixture f = { .o = d->model->o, .ledger = d->model->ledger };
    struct fx_warnings w;
    struct err e = { 0 };
    uint64_t rows;

    fx_copy_tree(arena_printf(&a, "%s/tenants", d->dir).p, arena_printf(&a, "%s/tenants", copy).p);
    fx_put_file(arena_printf(&a, "%s/tenants%.*s", copy, STRF(d->below)).p, content);
    f.o.path = copy;
    CHECK_OK(metrics_open(&f.m, &f.o, &e), &e);
    CHECK_OK(metrics_tenant(f.m, STR("anonymous"), &f.t, &e), &e);
    rows = fx_read_what_is_left(&f, &a, &w);
    CHECK_F(rows <= SERIES * ROWS, "%d rows", (int)rows);
    CHECK_F(rows == SERIES * ROWS || !d->must_warn ||
                (w.n > 0 && strstr(arena_cstr(&a, w.v[0]), file_of(d->below))),
            "%s, byte %zu: %d rows, first of %zu warnings: %.*s", d->below.p, offset, (int)rows,
            w.n, w.n ? (int)w.v[0].n : 0, w.n ? w.v[0].p : "");
    metrics_close(f.m);
    CHECK_OK(file_remove_tree(copy, &e), &e);
}

static void sink(void *ctx UNUSED, struct str line UNUSED)
{
}

static void damage_each_byte(bool flushed, const char *word, bool must_warn)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(fx_free) struct fixture *f = sound_store(flushed);
    const char *root = arena_printf(&a, "%s/tenants", f->o.path).p;
    size_t stride = getenv("VIGIE_TEST_FULL") ? 1 : 13;
    struct damaged d = { f->o.path, { 0 }, { 0 }, f, must_warn };
    struct str path;
    struct err e = { 0 };
    char *p;

    CHECK_F(find_file(&a, root, word, &path), "no file %s", word);
    CHECK_OK(file_read(&a, path.p, 80 << 20, &d.content, &e), &e);
    d.below = str_sub(path, strlen(root), SIZE_MAX);
    log_capture(sink, NULL);
    open_damaged(&d, d.content, 0);
    p = arena_copy(&a, d.content.p, d.content.n);
    for (size_t i = (size_t)*word % stride; i < d.content.n; i += stride) {
        open_damaged(&d, str_of(d.content.p, i), i);
        p[i] ^= (char)(1 << i % 8);
        open_damaged(&d, str_of(p, d.content.n), i);
        p[i] = d.content.p[i];
    }
    log_capture(NULL, NULL);
    print_message("%s: %zu bytes\n", word, d.content.n);
}

TEST(a_part_cut_or_flipped_at_each_byte)
{
    damage_each_byte(true, ".part", true);
}

TEST(a_segment_cut_or_flipped_at_each_byte)
{
    damage_each_byte(true, ".seg", true);
}

TEST(a_manifest_cut_or_flipped_at_each_byte)
{
    damage_each_byte(true, "MANIFEST", false);
}

TEST(a_row_log_cut_or_flipped_at_each_byte)
{
    damage_each_byte(false, "/rows/", false);
}

TEST(a_catalog_log_cut_or_flipped_at_each_byte)
{
    damage_each_byte(false, "/catalog/", false);
}

/* ---- what is told ---- */

static void count_line(void *ctx, struct str line)
{
    unsigned *n = ctx;

    *n += str_find(line, STR("an answer is incomplete")) < line.n;
}

TEST(a_damaged_page_is_told_in_each_answer_and_logged_once_a_minute)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(fx_free) struct fixture *f = sound_store(true);
    struct str path, bytes;
    struct fx_warnings w;
    struct err e = { 0 };
    unsigned lines = 0;

    CHECK(find_file(&a, arena_printf(&a, "%s/tenants", f->o.path).p, ".part", &path));
    CHECK_OK(file_read(&a, path.p, 1 << 20, &bytes, &e), &e);
    char *p = arena_copy(&a, bytes.p, bytes.n);
    p[4096 < bytes.n / 2 ? 4096 : 80] ^= 1; // of the first page
    fx_put_file(path.p, str_of(p, bytes.n));
    fx_reopen(f);
    log_capture(count_line, &lines);
    for (int k = 0; k < 3; k++) {
        CHECK(fx_read_what_is_left(f, &a, &w) < SERIES * ROWS);
        CHECK_F(w.n == 1, "%zu warnings", w.n);
        CHECK(str_find(w.v[0], path) < w.v[0].n && str_find(w.v[0], STR("offset")) < w.v[0].n);
    }
    CHECK_F(lines <= 1, "%u lines", lines); // the log itself limits a sentence to 10 a minute
    f->clock.fake_ms += 2 * MS_MINUTE;
    CHECK(fx_read_what_is_left(f, &a, &w) < SERIES * ROWS);
    CHECK_F(lines <= 2, "%u lines", lines); // the log itself limits a sentence to 10 a minute
    log_capture(NULL, NULL);
}

TEST(a_missing_part_is_told_only_where_it_had_rows)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(fx_free) struct fixture *f = sound_store(true);
    struct series_source *source;
    struct series_view *v;
    struct str path, *w;
    struct err e = { 0 };

    CHECK(find_file(&a, arena_printf(&a, "%s/tenants", f->o.path).p, ".part", &path));
    fx_put_file(path.p, STR("no part"));
    fx_reopen(f);
    source = metrics_source(f->t);
    CHECK_OK(source->open(source, T0, T0 + MS_MINUTE, &v, &e), &e);
    CHECK(series_view_warnings(v, &a, &w) == 1 && str_find(w[0], STR(".part")) < w[0].n);
    series_view_put(v);
    CHECK_OK(source->open(source, T0 + MS_HOUR, T0 + 2 * MS_HOUR, &v, &e), &e);
    CHECK(series_view_warnings(v, &a, &w) == 0);
    series_view_put(v);
}
