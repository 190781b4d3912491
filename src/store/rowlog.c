/*
 * rowlog.c - writing and recovering row logs.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/rowlog.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

enum { WINDOW_BYTES = 1 << 20 };

struct rowlog {
    int fd;
    char *path;
    uint64_t number, size, room; // size: head and whole frames; room: preallocated to here
    uint32_t seed;
};

void rowlog_close(struct rowlog *l)
{
    if (!l)
        return;
    file_close(l->fd);
    xfree(l->path);
    xfree(l);
}

// Extends the file with zeros; file systems that cannot do so are written at the end instead.
static bool make_room(struct rowlog *l, uint64_t size, struct err *e)
{
    uint64_t room = (size + ROWLOG_STEP_BYTES - 1) / ROWLOG_STEP_BYTES * ROWLOG_STEP_BYTES;

    if (size <= l->room)
        return true;
    if (fallocate(l->fd, 0, (off_t)l->room, (off_t)(room - l->room)) == 0) {
        l->room = room;
        return true;
    }
    if (errno == EOPNOTSUPP || errno == ENOSYS)
        return true;
    return err_os(e, "extend log %s", l->path);
}

static bool sync_folder_of(const char *path, struct err *e)
{
    OWNED(xfree) void *copy = xstrdup_str(str_c(path));

    return file_sync_dir(dirname(copy), e);
}

bool rowlog_create(struct rowlog **out, const char *path, const struct file_head *head,
                   struct err *e)
{
    OWNED(rowlog_close) struct rowlog *l = xcalloc(1, sizeof *l);
    uint8_t h[FILE_HEAD_BYTES];

    l->path = xstrdup_str(str_c(path));
    l->number = head->number;
    l->seed = frame_seed(head->owner, head->number);
    l->fd = fault_hit("rowlog.create") ? -1
                                       : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (l->fd < 0)
        return err_os(e, "create log %s", path);
    file_head_put(h, head);
    l->size = FILE_HEAD_BYTES;
    if (!make_room(l, l->size, e) || !file_pwrite_all(l->fd, h, sizeof h, 0, e) ||
        !file_sync(l->fd, e) || !sync_folder_of(path, e)) {
        (void)unlink(path);
        return err_wrap(e, "create log %s", path);
    }
    *out = TAKE(l);
    return true;
}

// Removes what a failed write may have left, so that no half frame stays before a later good one.
static void cut_back(struct rowlog *l)
{
    if (ftruncate(l->fd, (off_t)l->size) == 0)
        l->room = l->size;
}

bool rowlog_append(struct rowlog *l, void *frames, size_t n, struct err *e)
{
    if (n == 0)
        return true;
    assert(n % 8 == 0 && l->size % 8 == 0); // frames are sought at multiples of 8
    frame_seal(frames, n, l->seed);
    if (fault_hit("rowlog.write")) {
        if (pwrite(l->fd, frames, n / 2, (off_t)l->size) >= 0) // a torn write
            cut_back(l);
        errno = EIO;
        return err_os(e, "write log %s", l->path);
    }
    if (!make_room(l, l->size + n, e) || !file_pwrite_all(l->fd, frames, n, l->size, e)) {
        cut_back(l);
        return err_wrap(e, "write log %s", l->path);
    }
    l->size += n;
    return true;
}

bool rowlog_sync(struct rowlog *l, struct err *e)
{
    if (fault_hit("rowlog.sync"))
        return err_os(e, "sync log %s", l->path);
    return file_sync(l->fd, e) || err_wrap(e, "sync log %s", l->path);
}

uint64_t rowlog_bytes(const struct rowlog *l)
{
    return l->size;
}

uint64_t rowlog_number(const struct rowlog *l)
{
    return l->number;
}

const char *rowlog_path(const struct rowlog *l)
{
    return l->path;
}

/* ---- recovery ---- */

// A window of the file: bytes [offset, offset + n) are in b.
struct window {
    int fd;
    uint64_t size, offset;
    struct buf b;
};

static void window_fini(struct window *w)
{
    buf_fini(&w->b);
    file_close(w->fd);
}
OWN_DEFINE_FINI(struct window, window_fini);

// Makes at least `need` bytes at `offset` readable (less only at the end of the file).
static bool window_at(struct window *w, uint64_t offset, size_t need, const char **p, size_t *n,
                      struct err *e)
{
    uint64_t left = w->size > offset ? w->size - offset : 0;

    need = (size_t)MIN((uint64_t)need, left);
    if (offset < w->offset || offset + need > w->offset + w->b.n) {
        size_t want = (size_t)MIN((uint64_t)MAX(need, (size_t)WINDOW_BYTES), left);

        buf_reset(&w->b);
        if (!file_pread_all(w->fd, buf_room(&w->b, want), want, offset, e))
            return false;
        w->b.n = want;
        w->offset = offset;
    }
    assert(offset >= w->offset && offset - w->offset <= w->b.n);
    *p = w->b.p + (offset - w->offset);
    *n = w->b.n - (size_t)(offset - w->offset);
    return true;
}

// The frame at `offset`, looking at as many bytes as it needs.
static bool frame_at(struct window *w, uint64_t offset, uint32_t seed, struct frame *f,
                     size_t *need, enum frame_state *state, struct err *e)
{
    const char *p;
    size_t n;

    *need = FRAME_HEAD_BYTES;
    for (int i = 0; i < 2; i++) {
        if (!window_at(w, offset, *need, &p, &n, e))
            return false;
        *state = frame_read(p, n, seed, f, need);
        if (*state != FRAME_MORE)
            return true;
    }
    *state = FRAME_BAD; // declares more than the file has
    return true;
}

// Whether only zeros follow; *end: offset behind the last other byte.
static bool find_end(struct window *w, uint64_t offset, uint64_t *end, struct err *e)
{
    *end = offset;
    while (offset < w->size) {
        const char *p;
        size_t n;

        if (!window_at(w, offset, WINDOW_BYTES, &p, &n, e))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (p[i])
                *end = offset + i + 1;
        }
        offset += n;
    }
    return true;
}

// Seeks the next good frame from `offset` on; *offset_out is w->size when there is none.
static bool resync(struct window *w, uint64_t offset, uint32_t seed, uint64_t *offset_out,
                   struct err *e)
{
    for (; offset + FRAME_HEAD_BYTES <= w->size; offset += 8) {
        enum frame_state state;
        struct frame f;
        const char *p;
        size_t n;

        if (!window_at(w, offset, FRAME_HEAD_BYTES, &p, &n, e))
            return false;
        if (get_le16(p) != FRAME_MAGIC)
            continue;
        if (!frame_at(w, offset, seed, &f, &n, &state, e))
            return false;
        if (state == FRAME_GOOD) {
            *offset_out = offset;
            return true;
        }
    }
    *offset_out = w->size;
    return true;
}

static bool skip_damage(struct window *w, uint64_t *offset, uint32_t seed,
                        struct rowlog_report *report, struct err *e)
{
    uint64_t next, end;

    if (!resync(w, *offset, seed, &next, e))
        return false;
    if (next == w->size) {
        if (!find_end(w, *offset, &end, e))
            return false;
        report->torn_bytes = end - *offset;
    } else {
        if (!report->gaps++)
            report->first_gap_offset = *offset;
        report->gap_bytes += next - *offset;
    }
    *offset = next;
    return true;
}

static bool replay_frames(struct window *w, uint32_t seed, frame_visit_fn visit, void *ctx,
                          struct rowlog_report *report, struct err *e)
{
    uint64_t offset = FILE_HEAD_BYTES;

    while (offset < w->size) {
        enum frame_state state;
        struct frame f;
        size_t need;

        if (!frame_at(w, offset, seed, &f, &need, &state, e))
            return false;
        if (state != FRAME_GOOD) {
            // A zero head is the end, unless damage zeroed it: good frames behind would show.
            if (!skip_damage(w, &offset, seed, report, e))
                return false;
            continue;
        }
        if (!visit(ctx, &f, e))
            return false;
        report->frames++;
        report->bytes += need;
        offset += need;
    }
    return true;
}

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i])
            return false;
    }
    return true;
}

bool rowlog_replay(const char *path, const struct file_head *head, frame_visit_fn visit, void *ctx,
                   struct rowlog_report *report, struct err *e)
{
    OWNED(window_fini) struct window w = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
    const char *p;
    size_t n;

    *report = (struct rowlog_report){ 0 };
    if (w.fd < 0)
        return err_os(e, "open log %s", path);
    if (!file_size(path, &w.size, e))
        return false;
    if (!window_at(&w, 0, FILE_HEAD_BYTES, &p, &n, e))
        return err_wrap(e, "log %s", path);
    if (n < FILE_HEAD_BYTES) {
        report->torn_bytes = n;
        return true;
    }
    if (!file_head_check(p, n, head, NULL, e)) {
        if (e->kind != ERR_CORRUPT)
            return err_wrap(e, "log %s", path);
        // All zero: killed between making room and writing the head.
        if (!is_zero(p, FILE_HEAD_BYTES))
            *report = (struct rowlog_report){ .gaps = 1, .gap_bytes = FILE_HEAD_BYTES };
    }
    return replay_frames(&w, frame_seed(head->owner, head->number), visit, ctx, report, e) ||
           err_wrap(e, "log %s", path);
}

bool rowlog_head(const char *path, const struct file_head *want, struct file_head *out,
                 struct err *e)
{
    OWNED(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t h[FILE_HEAD_BYTES];

    if (fd < 0)
        return err_os(e, "open log %s", path);
    return (file_pread_all(fd, h, sizeof h, 0, e) && file_head_check(h, sizeof h, want, out, e)) ||
           err_wrap(e, "log %s", path);
}
