/*
 * rowlog_test.c - frames and row logs: what was appended is replayed, whatever is cut or flipped.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/rowlog.h"

#include <unistd.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "test.h"

enum { FRAMES = 12 };

static const struct file_head head = { FILE_ROW_LOG, 0x1234567890abcdef, 17, 3, 2 };

// Frame k: payload of 5·k bytes of value k.
static void put_frame(struct buf *b, unsigned k)
{
    struct frame f = { .type = FRAME_FLOATS, .catalog_need = k, .rows = k, .batch = 100 + k };
    size_t at = frame_begin(b);

    for (unsigned i = 0; i < 5 * k; i++)
        buf_char(b, (char)k);
    frame_end(b, at, &f);
}

static const char *new_log(struct arena *a, struct rowlog **out)
{
    const char *path = arena_printf(a, "%s/00000017.log", file_temp_dir(a)).p;
    struct err e = { 0 };

    CHECK_OK(rowlog_create(out, path, &head, &e), &e);
    return path;
}

// The bytes of a log with FRAMES frames, without preallocated room; ends[k]: offset behind frame k.
static struct str log_bytes(struct arena *a, size_t *ends)
{
    OWNED(rowlog_close) struct rowlog *l = NULL;
    const char *path = new_log(a, &l);
    struct err e = { 0 };
    struct str bytes;

    for (unsigned k = 0; k < FRAMES; k++) {
        OWNED(buf_fini) struct buf b = { 0 };

        put_frame(&b, k);
        CHECK_OK(rowlog_append(l, b.p, b.n, &e), &e);
        ends[k] = (size_t)rowlog_bytes(l);
    }
    CHECK_OK(rowlog_sync(l, &e), &e);
    CHECK_OK(file_read(a, path, 64 << 20, &bytes, &e), &e);
    return str_sub(bytes, 0, ends[FRAMES - 1]);
}

struct got {
    bool seen[FRAMES];
    unsigned n;
};

static bool visit(void *ctx, const struct frame *f, struct err *e UNUSED)
{
    struct got *g = ctx;
    unsigned k = f->rows;

    CHECK(k < FRAMES && f->batch == 100 + k && f->catalog_need == k && f->payload.n == 5 * k);
    for (size_t i = 0; i < f->payload.n; i++)
        CHECK(f->payload.p[i] == (char)k);
    CHECK(!g->seen[k]);
    g->seen[k] = true;
    g->n++;
    return true;
}

static struct got replay(struct arena *a, struct str bytes, struct rowlog_report *r)
{
    const char *path = arena_printf(a, "%s/x.log", file_temp_dir(a)).p;
    struct got g = { 0 };
    struct err e = { 0 };

    CHECK_OK(file_replace(path, bytes, &e), &e);
    CHECK_OK(rowlog_replay(path, &head, visit, &g, r, &e), &e);
    CHECK(unlink(path) == 0);
    return g;
}

TEST(appended_frames_are_replayed)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(rowlog_close) struct rowlog *l = NULL;
    const char *path = new_log(&a, &l);
    struct file_head got_head;
    struct rowlog_report r;
    struct got g = { 0 };
    struct err e = { 0 };

    for (unsigned k = 0; k < FRAMES; k++) {
        OWNED(buf_fini) struct buf b = { 0 };

        put_frame(&b, k);
        CHECK_OK(rowlog_append(l, b.p, b.n, &e), &e);
    }
    CHECK_OK(rowlog_replay(path, &head, visit, &g, &r, &e), &e);
    CHECK(g.n == FRAMES && r.frames == FRAMES && !r.gaps && !r.torn_bytes);
    CHECK_OK(rowlog_head(path, &head, &got_head, &e), &e);
    CHECK(got_head.shard == 2 && got_head.epoch == 3);
    CHECK(!rowlog_create(&l, path, &head, &e)); // numbers are not reused
}

TEST(another_files_log_is_refused)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(rowlog_close) struct rowlog *l = NULL;
    const char *path = new_log(&a, &l);
    struct file_head want = head;
    struct rowlog_report r;
    struct got g = { 0 };
    struct err e = { 0 };

    want.number = 18;
    CHECK(!rowlog_replay(path, &want, visit, &g, &r, &e) && e.kind == ERR_CONFLICT);
    want = head;
    want.owner++;
    CHECK(!rowlog_replay(path, &want, visit, &g, &r, &e) && e.kind == ERR_CONFLICT);
}

TEST(a_log_cut_at_every_byte_keeps_the_frames_before)
{
    OWNED(arena_fini) struct arena a = { 0 };
    size_t ends[FRAMES];
    struct str bytes = log_bytes(&a, ends);

    for (size_t n = 0; n <= bytes.n; n++) {
        struct rowlog_report r;
        struct got g = replay(&a, str_sub(bytes, 0, n), &r);
        unsigned want = 0;

        while (want < FRAMES && ends[want] <= n)
            want++;
        CHECK_F(g.n == want && !r.gaps, "cut at %zu: %u frames, want %u", n, g.n, want);
    }
}

TEST(a_flipped_byte_costs_one_frame)
{
    OWNED(arena_fini) struct arena a = { 0 };
    size_t ends[FRAMES];
    struct str bytes = log_bytes(&a, ends);
    char *p = arena_copy(&a, bytes.p, bytes.n);

    for (size_t at = 0; at < bytes.n; at++) {
        struct rowlog_report r;
        struct got g;

        p[at] ^= 0x20;
        g = replay(&a, str_of(p, bytes.n), &r);
        p[at] ^= 0x20;
        // Padding is not covered: a flip there costs nothing.
        CHECK_F(g.n >= FRAMES - 1, "flip at %zu: %u frames", at, g.n);
        CHECK_F(g.n == FRAMES || r.gaps == 1 || r.torn_bytes, "flip at %zu is not reported", at);
    }
}

TEST(a_failed_write_leaves_whole_frames_only)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(rowlog_close) struct rowlog *l = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    const char *path = new_log(&a, &l);
    struct rowlog_report r;
    struct got g = { 0 };
    struct err e = { 0 };

    put_frame(&b, 3);
    CHECK_OK(rowlog_append(l, b.p, b.n, &e), &e);
    fault_at("rowlog.write", 1);
    buf_reset(&b);
    put_frame(&b, 4);
    CHECK(!rowlog_append(l, b.p, b.n, &e));
    CHECK(strstr(e.text, "00000017.log"));
    CHECK_OK(rowlog_append(l, b.p, b.n, &e), &e);
    fault_clear();
    CHECK_OK(rowlog_replay(path, &head, visit, &g, &r, &e), &e);
    CHECK(g.n == 2 && g.seen[3] && g.seen[4] && !r.torn_bytes && !r.gaps);
}

TEST(frames_of_another_file_do_not_verify)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct frame f;
    size_t need;

    put_frame(&b, 5);
    frame_seal(b.p, b.n, frame_seed(1, 2));
    CHECK(frame_read(b.p, b.n, frame_seed(1, 2), &f, &need) == FRAME_GOOD && need == b.n);
    CHECK(frame_read(b.p, b.n, frame_seed(1, 3), &f, &need) == FRAME_BAD);
    CHECK(frame_read(b.p, b.n - 8, frame_seed(1, 2), &f, &need) == FRAME_MORE && need == b.n);
    put_le32(b.p + 4, UINT32_MAX); // a length that no file can hold
    CHECK(frame_read(b.p, b.n, frame_seed(1, 2), &f, &need) == FRAME_BAD);
}
