/*
 * metrics_snapshot.c - a copy of the data directory by hard links, below snapshots/.
 *
 * Each partition is copied under its work locks: everything its manifest lists is linked, and a
 * manifest without live logs is written. The copy is a data directory that can be opened.
 */
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "base/log.h"
#include "base/rand.h"
#include "metrics/metrics_priv.h"

static bool link_file(const char *from, const char *to, struct err *e)
{
    return link(from, to) == 0 || err_os(e, "link %s to %s", from, to);
}

static bool link_kind(struct span *s, enum partition_file kind, uint64_t number, const char *dir,
                      struct err *e)
{
    OWNED(buf_fini) struct buf from = { 0 };
    OWNED(buf_fini) struct buf to = { 0 };
    const char *path = partition_file_path(s->store, kind, number, &from);

    buf_printf(&to, "%s%s", dir, path + strlen(partition_path(s->store)));
    return link_file(path, buf_cstr(&to), e);
}

static bool make_folders(const char *dir, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s/parts", dir);
    if (!file_mkdirs(buf_cstr(&b), e))
        return false;
    buf_reset(&b);
    buf_printf(&b, "%s/catalog", dir);
    return file_mkdirs(buf_cstr(&b), e);
}

static bool copy_listed(struct span *s, const char *dir, struct err *e)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };

    partition_manifest(s->store, &m);
    for (size_t i = 0; i < m.parts.n; i++) {
        if (!link_kind(s, PARTITION_PART, m.parts.v[i].number, dir, e))
            return false;
    }
    for (size_t i = 0; i < m.segments.n; i++) {
        if (!link_kind(s, PARTITION_SEGMENT, m.segments.v[i].number, dir, e))
            return false;
    }
    m.next_file = partition_number(s->store);
    m.catalog_first = m.next_file;
    for (uint32_t k = 0; k < m.shards; k++)
        m.log_first[k] = m.next_file;
    buf_printf(&path, "%s/MANIFEST", dir);
    return manifest_write(buf_cstr(&path), &m, e);
}

static bool copy_span(struct span *s, const char *root, bool skip_head, struct err *e)
{
    OWNED(buf_fini) struct buf dir = { 0 };

    if (!span_open(s, false, e))
        return false;
    buf_printf(&dir, "%s/%s", root, s->name);
    LOCKED(&s->merge_mu);
    LOCKED(&s->work_mu);
    return (skip_head || span_flush_locked(s, true, e)) && span_freeze_locked(s, 0, e) &&
           make_folders(buf_cstr(&dir), e) && copy_listed(s, dir.p, e);
}

static bool copy_tenant(struct metrics_tenant *t, const char *root, bool skip_head, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(t, &a);
    OWNED(buf_fini) struct buf dir = { 0 };
    OWNED(buf_fini) struct buf from = { 0 };
    struct str key;

    // …/tenants/<name>/metrics below the data directory becomes the same below root.
    buf_printf(&dir, "%s%s", root, t->path + strlen(t->m->path));
    if (!file_mkdirs(buf_cstr(&dir), e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        if (!copy_span(list.v[i], dir.p, skip_head, e))
            return false;
    }
    buf_printf(&from, "%s/../tenant.json", t->path);
    buf_lit(&dir, "/../tenant.json");
    return file_read(&a, buf_cstr(&from), 4096, &key, e) && file_replace(buf_cstr(&dir), key, e);
}

bool metrics_snapshot(struct metrics *m, bool skip_head, char *name, struct err *e)
{
    OWNED(buf_fini) struct buf root = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct civil c = civil_of(floor_div(clock_ms(m->clock), MS_SECOND));
    struct str id = arena_printf(&a, "%04lld%02d%02dT%02d%02d%02dZ-%016llx", (long long)c.year,
                                 c.month, c.day, c.hour, c.minute, c.second,
                                 (unsigned long long)rand_u64());
    size_t n;

    buf_printf(&root, "%s/snapshots/%.*s", m->path, STRF(id));
    if (!file_mkdirs(buf_cstr(&root), e))
        return false;
    mutex_lock(&m->mu);
    n = m->tenants.n;
    struct metrics_tenant **list = arena_array(&a, n, struct metrics_tenant *);
    for (size_t i = 0; i < n; i++)
        list[i] = m->tenants.v[i];
    mutex_unlock(&m->mu);
    LOCKED(&m->retain_mu);
    for (size_t i = 0; i < n; i++) {
        if (!copy_tenant(list[i], root.p, skip_head, e)) {
            struct err ignored = { 0 }; // the first error is the one to tell

            if (!file_remove_tree(root.p, &ignored))
                log_warn("metrics", "unfinished snapshot is not deleted", KV_ERR(&ignored));
            return err_wrap(e, "snapshot");
        }
    }
    memcpy(name, id.p, id.n);
    name[id.n] = 0;
    return true;
}
