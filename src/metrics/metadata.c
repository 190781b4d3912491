/*
 * metadata.c - metric families' type, help and unit.
 *
 * The file is the common head and frames of type META, whose payload is records of
 *   varint length and bytes of the name, u8 type, the same of help, of unit.
 * It is replaced as a whole, in the background, when something changed.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/metadata.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"
#include "store/rowlog.h"

enum { FAMILIES_MAX = 1 << 20, TEXT_MAX = 64 << 10, FRAME_BYTES = 1 << 20 };

struct family {
    struct str name, help, unit; // one heap block, which name.p starts
    enum metric_type type;
};

struct metadata {
    struct mutex mu; // guards all but path and owner
    VEC(struct family) families;
    struct map by_name;
    bool changed;
    char *path;
    uint64_t owner;
};

static bool name_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct metadata *m = ctx;

    return str_eq(m->families.v[index].name, *(const struct str *)key);
}

static struct family family_new(const struct metric_meta *meta)
{
    struct str help = str_sub(meta->help, 0, TEXT_MAX), unit = str_sub(meta->unit, 0, TEXT_MAX);
    char *p = xmalloc(meta->name.n + help.n + unit.n + 1);
    struct family f = { { p, meta->name.n },
                        { p + meta->name.n, help.n },
                        { p + meta->name.n + help.n, unit.n },
                        meta->type };

    memcpy(p, meta->name.p, meta->name.n);
    if (help.n)
        memcpy(p + meta->name.n, help.p, help.n);
    if (unit.n)
        memcpy(p + meta->name.n + help.n, unit.p, unit.n);
    return f;
}

void metadata_set(struct metadata *m, const struct metric_meta *meta)
{
    uint64_t hash = hash_keyed(meta->name);
    uint32_t i;
    struct family *f;

    if (!meta->name.n || meta->name.n > TEXT_MAX)
        return;
    LOCKED(&m->mu);
    i = map_find(&m->by_name, hash, name_equal, m, &meta->name);
    if (i == MAP_NONE) {
        if (m->families.n == FAMILIES_MAX)
            return;
        map_add(&m->by_name, hash, (uint32_t)m->families.n);
        *vec_push(&m->families) = family_new(meta);
        m->changed = true;
        return;
    }
    f = &m->families.v[i];
    if (f->type == meta->type && str_eq(f->help, str_sub(meta->help, 0, TEXT_MAX)) &&
        str_eq(f->unit, str_sub(meta->unit, 0, TEXT_MAX)))
        return;
    xfree((void *)(uintptr_t)f->name.p);
    *f = family_new(meta);
    m->changed = true;
}

void metadata_each(struct metadata *m, void (*visit)(void *ctx, const struct metric_meta *m),
                   void *ctx)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct metric_meta *copy;
    size_t n;

    // Visited without the lock: the visitor may be slow.
    mutex_lock(&m->mu);
    n = m->families.n;
    copy = arena_array(&a, n, struct metric_meta);
    for (size_t i = 0; i < n; i++) {
        const struct family *f = &m->families.v[i];

        copy[i] = (struct metric_meta){ arena_str(&a, f->name), f->type, arena_str(&a, f->help),
                                        arena_str(&a, f->unit) };
    }
    mutex_unlock(&m->mu);
    for (size_t i = 0; i < n; i++)
        visit(ctx, &copy[i]);
}

/* ---- the file ---- */

static struct file_head head_of(const struct metadata *m)
{
    return (struct file_head){ .kind = FILE_META_LOG, .owner = m->owner, .number = 0 };
}

static struct str read_text(struct bytes *r)
{
    uint64_t n = bytes_varint(r);

    return bytes_take(r, n > TEXT_MAX ? SIZE_MAX / 2 : (size_t)n);
}

static bool visit_frame(void *ctx, const struct frame *f, struct err *e UNUSED)
{
    struct bytes r = bytes_of(f->payload);

    while (f->type == FRAME_META && !r.bad && bytes_left(&r)) {
        struct metric_meta meta = { .name = read_text(&r) };
        uint8_t type = bytes_u8(&r);

        meta.help = read_text(&r);
        meta.unit = read_text(&r);
        meta.type = type <= TYPE_STATESET ? (enum metric_type)type : TYPE_UNKNOWN;
        if (!r.bad)
            metadata_set(ctx, &meta);
    }
    return true;
}

bool metadata_open(struct metadata **out, const char *path, uint64_t owner, struct err *e)
{
    OWNED(metadata_close) struct metadata *m = xcalloc(1, sizeof *m);
    struct file_head head;
    struct rowlog_report r;

    mutex_init(&m->mu, "metadata", RANK_LEAF);
    m->path = xstrdup_str(str_c(path));
    m->owner = owner;
    head = head_of(m);
    if (file_exists(path) && !rowlog_replay(path, &head, visit_frame, m, &r, e))
        return false;
    m->changed = false;
    *out = TAKE(m);
    return true;
}

static void put_text(struct buf *b, struct str s)
{
    buf_varint(b, s.n);
    buf_str(b, s);
}

static void put_families_locked(const struct metadata *m, struct buf *b)
{
    struct frame head = { .type = FRAME_META };
    size_t at = frame_begin(b);

    for (size_t i = 0; i < m->families.n; i++) {
        const struct family *f = &m->families.v[i];

        if (b->n - at > FRAME_BYTES) {
            frame_end(b, at, &head);
            head.rows = 0;
            at = frame_begin(b);
        }
        put_text(b, f->name);
        buf_char(b, (char)f->type);
        put_text(b, f->help);
        put_text(b, f->unit);
        head.rows++;
    }
    frame_end(b, at, &head);
}

bool metadata_save(struct metadata *m, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct file_head head = head_of(m);

    mutex_lock(&m->mu);
    if (!m->changed) {
        mutex_unlock(&m->mu);
        return true;
    }
    file_head_put((uint8_t *)buf_room(&b, FILE_HEAD_BYTES), &head);
    b.n = FILE_HEAD_BYTES;
    put_families_locked(m, &b);
    m->changed = false;
    mutex_unlock(&m->mu);
    frame_seal(b.p + FILE_HEAD_BYTES, b.n - FILE_HEAD_BYTES, frame_seed(m->owner, 0));
    if (file_replace(m->path, buf_view(&b), e))
        return true;
    mutex_lock(&m->mu);
    m->changed = true;
    mutex_unlock(&m->mu);
    return false;
}

void metadata_close(struct metadata *m)
{
    struct err e = { 0 };

    if (!m)
        return;
    if (m->path && !metadata_save(m, &e))
        log_warn("metrics", "metadata is not saved", KV_ERR(&e));
    for (size_t i = 0; i < m->families.n; i++)
        xfree((void *)(uintptr_t)m->families.v[i].name.p);
    vec_fini(&m->families);
    map_fini(&m->by_name);
    mutex_fini(&m->mu);
    xfree(m->path);
    xfree(m);
}
