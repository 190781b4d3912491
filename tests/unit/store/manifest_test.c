/*
 * manifest_test.c - print and parse agree; every cut and every flip is noticed; partitions' orphans go.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/partition.h"
#include "test.h"

static struct manifest sample(void)
{
    struct manifest m = {
        .kind = "metrics",
        .span_min = -86400000,
        .span_max = 86400000,
        .shards = 2,
        .epoch = 3,
        .generation = 57,
        .next_file = 124,
        .next_id = 300355,
        .log_first = { 17, 18 },
        .catalog_first = 9,
    };
    struct manifest_part p = { .number = 102,
                               .seq_from = 17,
                               .seq_to = 17,
                               .rows = 9,
                               .min_ms = -5,
                               .max_ms = 7,
                               .bytes = 1000,
                               .crc = 0xdeadbeef,
                               .shard = 1 };

    *vec_push(&m.segments) = (struct manifest_segment){ 7, 12345, 0, 262144, 1 };
    manifest_add_part(&m, &p);
    p.number = 101;
    p.seq_from = 1;
    p.shard = MANIFEST_SHARD_ALL;
    manifest_add_part(&m, &p);
    manifest_add_mask(&m, &(struct manifest_mask){ 103, -9, 3, (char *)"job=~a%7cb" });
    manifest_add_mask(&m, &(struct manifest_mask){ 105, 1, 3, (char *)"x=" });
    return m;
}

TEST(print_and_parse_agree)
{
    OWNED(manifest_fini) struct manifest m = sample();
    OWNED(manifest_fini) struct manifest got = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };
    OWNED(buf_fini) struct buf again = { 0 };
    struct err e = { 0 };

    manifest_print(&text, &m);
    CHECK_OK(manifest_parse(buf_view(&text), &got, &e), &e);
    CHECK(got.parts.n == 2 && got.parts.v[0].number == 101 && got.parts.v[1].number == 102);
    CHECK(got.parts.v[0].shard == MANIFEST_SHARD_ALL && got.log_first[1] == 18);
    manifest_print(&again, &got);
    CHECK_STR(buf_view(&again), buf_view(&text));
    CHECK(got.masks.n == 2 && got.masks.v[0].min_ms == -9 &&
          strcmp(got.masks.v[1].rows, "x=") == 0);
    CHECK(manifest_mask_hides(&got.masks.v[0], &got.parts.v[0]));
    CHECK(manifest_drop_part(&got, 101) && !manifest_drop_part(&got, 101) && got.parts.n == 1);
}

TEST(masks_go_when_no_older_part_is_left_in_their_time)
{
    OWNED(manifest_fini) struct manifest m = sample();
    struct manifest_part young = m.parts.v[0];

    young.number = 104;
    manifest_add_part(&m, &young);
    manifest_drop_masks(&m);
    CHECK(m.masks.n == 2);
    CHECK(manifest_drop_part(&m, 101) && manifest_drop_part(&m, 102));
    manifest_drop_masks(&m);
    CHECK(m.masks.n == 1 && m.masks.v[0].number == 105);
    CHECK(manifest_drop_part(&m, 104));
    manifest_drop_masks(&m);
    CHECK(m.masks.n == 0);
}

TEST(every_cut_and_every_flip_is_noticed)
{
    OWNED(manifest_fini) struct manifest m = sample();
    OWNED(buf_fini) struct buf text = { 0 };

    manifest_print(&text, &m);
    for (size_t n = 0; n < text.n; n++) {
        struct manifest got = { 0 };
        struct err e = { 0 };

        CHECK(!manifest_parse(str_of(text.p, n), &got, &e) && e.kind == ERR_CORRUPT);
        text.p[n] ^= 1;
        CHECK_F(!manifest_parse(buf_view(&text), &got, &e), "flip at %zu", n);
        text.p[n] ^= 1;
        CHECK(got.shards == 0);
    }
}

TEST(words_of_a_newer_program_are_refused)
{
    OWNED(buf_fini) struct buf text = { 0 };
    struct manifest got = { 0 };
    struct err e = { 0 };

    buf_lit(&text, "vigie partition 1 kind metrics span 0 9 shards 1 epoch 1 generation 1\n"
                   "next file 1 id 0\nlog_first 0\ncatalog_first 0\nabsorbs 2026-10-01\n");
    buf_printf(&text, "end crc32c %08x\n", crc32c(0, text.p, text.n));
    CHECK(!manifest_parse(buf_view(&text), &got, &e) && e.kind == ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "absorbs"));
}

static void edit_part(void *ctx, struct manifest *m)
{
    struct manifest_part p = { .number = *(uint64_t *)ctx, .rows = 1 };

    manifest_add_part(m, &p);
}

static void touch(const struct partition *p, enum partition_file kind, uint64_t number)
{
    OWNED(buf_fini) struct buf path = { 0 };
    struct err e = { 0 };

    CHECK_OK(file_replace(partition_file_path(p, kind, number, &path), STR("x"), &e), &e);
}

static bool is_there(const struct partition *p, enum partition_file kind, uint64_t number)
{
    OWNED(buf_fini) struct buf path = { 0 };

    return file_exists(partition_file_path(p, kind, number, &path));
}

TEST(orphans_go_and_numbers_are_not_reused)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *parent = file_temp_dir(&a);
    const char *path = arena_printf(&a, "%s/2026-11-21", parent).p;
    struct manifest m = { .kind = "metrics",
                          .span_max = 10,
                          .shards = 2,
                          .next_file = 5,
                          .log_first = { 7, 9 },
                          .catalog_first = 6 };
    struct partition *p;
    struct err e = { 0 };
    uint64_t listed = 5;

    CHECK_OK(partition_create(parent, "2026-11-21", &m, &e), &e);
    CHECK_OK(partition_open(&p, path, 1, &e), &e);
    CHECK_OK(partition_commit(p, edit_part, &listed, &e), &e);
    for (enum partition_file k = PARTITION_ROWS; k <= PARTITION_PART; k++)
        CHECK_OK(partition_mkdir(p, k, &e), &e);
    touch(p, PARTITION_PART, 5);
    touch(p, PARTITION_PART, 30);
    touch(p, PARTITION_ROWS, 6);
    touch(p, PARTITION_ROWS, 8); // live for one of the shards
    touch(p, PARTITION_CATALOG_LOG, 5);
    touch(p, PARTITION_CATALOG_LOG, 6);
    touch(p, PARTITION_SEGMENT, 11);
    partition_close(p);
    CHECK_OK(partition_open(&p, path, 1, &e), &e);
    CHECK(is_there(p, PARTITION_PART, 5) && !is_there(p, PARTITION_PART, 30));
    CHECK(!is_there(p, PARTITION_ROWS, 6) && is_there(p, PARTITION_ROWS, 8));
    CHECK(!is_there(p, PARTITION_CATALOG_LOG, 5) && is_there(p, PARTITION_CATALOG_LOG, 6));
    CHECK(!is_there(p, PARTITION_SEGMENT, 11));
    CHECK(partition_number(p) == 31 && partition_number(p) == 32);
    partition_close(p);
    CHECK_OK(partition_drop(parent, "2026-11-21", &e), &e);
    CHECK(!file_exists(path));
    CHECK_OK(file_remove_tree(parent, &e), &e);
}

// The rename is done when the sync of the folder fails: the new manifest is the truth.
TEST(a_commit_counts_once_it_is_in_place)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *parent = file_temp_dir(&a);
    struct manifest m = { .kind = "metrics", .span_max = 10, .shards = 1, .next_file = 1 };
    OWNED(manifest_fini) struct manifest got = { 0 };
    struct partition *p;
    struct err e = { 0 };
    uint64_t number = 5;

    CHECK_OK(partition_create(parent, "x", &m, &e), &e);
    CHECK_OK(partition_open(&p, arena_printf(&a, "%s/x", parent).p, 1, &e), &e);
    fault_at("file.rename", 1);
    CHECK(!partition_commit(p, edit_part, &number, &e));
    fault_at("file.sync_dir", 1);
    CHECK_OK(partition_commit(p, edit_part, &number, &e), &e);
    fault_clear();
    partition_manifest(p, &got);
    CHECK(got.parts.n == 1 && got.generation == 1);
    partition_close(p);
    CHECK_OK(file_remove_tree(parent, &e), &e);
}
