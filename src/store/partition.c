/*
 * partition.c - partition folders.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/partition.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

struct partition {
    char *path;
    uint64_t owner, epoch;
    _Atomic uint64_t next_file;
    struct mutex commit_mu; // makes commits serial; held over their I/O
    struct mutex mu;        // guards manifest
    struct manifest manifest;
};

static const struct {
    const char *dir, *suffix;
    enum file_kind kind;
} kinds[] = {
    [PARTITION_ROWS] = { "rows", "log", FILE_ROW_LOG },
    [PARTITION_CATALOG_LOG] = { "catalog", "log", FILE_CATALOG_LOG },
    [PARTITION_SEGMENT] = { "catalog", "seg", FILE_SEGMENT },
    [PARTITION_PART] = { "parts", "part", FILE_PART },
};

/* ---- paths ---- */

const char *partition_path(const struct partition *p)
{
    return p->path;
}

uint64_t partition_owner(const struct partition *p)
{
    return p->owner;
}

uint64_t partition_number(struct partition *p)
{
    return atomic_fetch_add_explicit(&p->next_file, 1, memory_order_relaxed);
}

struct file_head partition_head(const struct partition *p, enum partition_file kind,
                                uint64_t number)
{
    return (struct file_head){
        .kind = kinds[kind].kind,
        .owner = p->owner,
        .number = number,
        .epoch = p->epoch,
    };
}

static const char *dir_path(const struct partition *p, enum partition_file kind, struct buf *b)
{
    buf_reset(b);
    buf_printf(b, "%s/%s", p->path, kinds[kind].dir);
    return buf_cstr(b);
}

const char *partition_file_path(const struct partition *p, enum partition_file kind,
                                uint64_t number, struct buf *b)
{
    (void)dir_path(p, kind, b);
    buf_printf(b, "/%08" PRIu64 ".%s", number, kinds[kind].suffix);
    return buf_cstr(b);
}

bool partition_mkdir(struct partition *p, enum partition_file kind, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (file_exists(dir_path(p, kind, &b)))
        return true;
    return file_mkdirs(b.p, e) && file_sync_dir(p->path, e);
}

bool partition_sync_dir(struct partition *p, enum partition_file kind, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    return file_sync_dir(dir_path(p, kind, &b), e);
}

// The number in a file name with this suffix; false for other names.
static bool name_number(struct str name, const char *suffix, uint64_t *out)
{
    struct str rest = name, digits = str_cut(&rest, '.');

    return str_eq_c(rest, suffix) && str_to_u64(digits, out);
}

bool partition_files(const struct partition *p, enum partition_file kind, struct arena *a,
                     struct partition_numbers *out, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct file_list names = { 0 };
    size_t n = 0;

    if (file_exists(dir_path(p, kind, &b)) && !file_list(a, b.p, &names, e))
        return false;
    out->v = arena_array(a, names.n, uint64_t);
    for (size_t i = 0; i < names.n; i++) {
        if (name_number(names.v[i], kinds[kind].suffix, &out->v[n]))
            n++;
    }
    for (size_t i = 1; i < n; i++) { // names longer than eight digits sort elsewhere
        for (size_t j = i; j > 0 && out->v[j] < out->v[j - 1]; j--) {
            uint64_t t = out->v[j];

            out->v[j] = out->v[j - 1];
            out->v[j - 1] = t;
        }
    }
    out->n = n;
    return true;
}

/* ---- commits ---- */

void partition_manifest(struct partition *p, struct manifest *out)
{
    LOCKED(&p->mu);
    manifest_copy(out, &p->manifest);
}

/*
 * Whether a write that failed has put the manifest in place all the same: its rename was done and
 * the sync of the folder failed. Then it counts; to go on with the old one would be worse.
 */
static bool is_on_disk(const char *path, uint64_t generation, const struct err *why)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    struct err e = { 0 };

    if (!manifest_read(path, &m, &e) || m.generation != generation)
        return false;
    log_error("store", "manifest may not survive a power cut", KV("path", path), KV_ERR(why));
    return true;
}

bool partition_commit(struct partition *p, partition_edit_fn edit, void *ctx, struct err *e)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    LOCKED(&p->commit_mu);

    partition_manifest(p, &m);
    edit(ctx, &m);
    m.generation++;
    uint64_t next_before = m.next_file;
    m.next_file = atomic_load_explicit(&p->next_file, memory_order_relaxed);
    assert(m.next_file >= next_before); // a file number is never used again
    buf_printf(&path, "%s/MANIFEST", p->path);
    if (!manifest_write(buf_cstr(&path), &m, e) && !is_on_disk(path.p, m.generation, e))
        return false;
    LOCKED(&p->mu);
    struct manifest old = p->manifest;
    p->manifest = m;
    m = old;
    return true;
}

/* ---- opening ---- */

static bool is_listed(const struct partition *p, enum partition_file kind, uint64_t number)
{
    const struct manifest *m = &p->manifest;

    switch (kind) {
    case PARTITION_PART:
        for (size_t i = 0; i < m->parts.n; i++) {
            if (m->parts.v[i].number == number)
                return true;
        }
        return false;
    case PARTITION_SEGMENT:
        for (size_t i = 0; i < m->segments.n; i++) {
            if (m->segments.v[i].number == number)
                return true;
        }
        return false;
    case PARTITION_CATALOG_LOG:
        return number >= m->catalog_first;
    case PARTITION_ROWS:
        break;
    }
    // Which shard a log belongs to is in its frames' ids only; it is dead when dead for all.
    for (uint32_t i = 0; i < m->shards; i++) {
        if (number >= m->log_first[i])
            return true;
    }
    return false;
}

// Deletes unlisted files and learns the highest number ever seen.
static bool clear_orphans(struct partition *p, enum partition_file kind, uint64_t *next,
                          struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct partition_numbers files;

    if (!partition_files(p, kind, &a, &files, e))
        return false;
    for (size_t i = 0; i < files.n; i++) {
        *next = MAX(*next, files.v[i] + 1);
        if (is_listed(p, kind, files.v[i]))
            continue;
        if (!file_remove(partition_file_path(p, kind, files.v[i], &path), e))
            return false;
        log_debug("store", "unlisted file deleted", KV("path", path.p));
    }
    return true;
}

static uint64_t owner_of(uint64_t key, const struct manifest *m)
{
    uint8_t b[24];

    put_le64(b, key);
    put_le64(b + 8, (uint64_t)m->span_min);
    put_le64(b + 16, (uint64_t)m->span_max);
    return hash_seeded(str_of((char *)b, sizeof b), hash_seeded(str_c(m->kind), 0));
}

bool partition_open(struct partition **out, const char *path, uint64_t owner_key, struct err *e)
{
    OWNED(partition_close) struct partition *p = xcalloc(1, sizeof *p);
    OWNED(buf_fini) struct buf b = { 0 };
    uint64_t next;

    p->path = xstrdup_str(str_c(path));
    mutex_init(&p->commit_mu, "partition_commit", RANK_QUEUE - 1); // editors take locks
    mutex_init(&p->mu, "partition", RANK_MANIFEST);
    buf_printf(&b, "%s/MANIFEST", path);
    if (!manifest_read(buf_cstr(&b), &p->manifest, e))
        return false;
    buf_lit(&b, ".new");
    if (!file_remove(buf_cstr(&b), e))
        return false;
    p->epoch = p->manifest.epoch;
    p->owner = owner_of(owner_key, &p->manifest);
    next = p->manifest.next_file;
    for (enum partition_file k = 0; k < ARRAY_LEN(kinds); k++) {
        if (!clear_orphans(p, k, &next, e))
            return false;
    }
    atomic_init(&p->next_file, next);
    *out = TAKE(p);
    return true;
}

void partition_close(struct partition *p)
{
    if (!p)
        return;
    manifest_fini(&p->manifest);
    mutex_fini(&p->commit_mu);
    mutex_fini(&p->mu);
    xfree(p->path);
    xfree(p);
}

/* ---- life and death ---- */

bool partition_create(const char *parent, const char *name, const struct manifest *m, struct err *e)
{
    OWNED(buf_fini) struct buf from = { 0 };
    OWNED(buf_fini) struct buf to = { 0 };

    buf_printf(&from, "%s/.new-%s/MANIFEST", parent, name);
    from.n -= strlen("/MANIFEST");
    buf_printf(&to, "%s/%s", parent, name);
    if (file_exists(buf_cstr(&to)))
        return err_set(e, ERR_CONFLICT, "partition %s exists", to.p);
    if (!file_remove_tree(buf_cstr(&from), e) || !file_mkdirs(buf_cstr(&from), e))
        return false;
    buf_lit(&from, "/MANIFEST");
    if (!manifest_write(buf_cstr(&from), m, e))
        return false;
    from.n -= strlen("/MANIFEST");
    if (fault_hit("partition.create"))
        return err_os(e, "create partition %s", to.p);
    return file_rename(buf_cstr(&from), to.p, e) && file_sync_dir(parent, e);
}

bool partition_drop(const char *parent, const char *name, struct err *e)
{
    OWNED(buf_fini) struct buf from = { 0 };
    OWNED(buf_fini) struct buf to = { 0 };
    struct err why = { 0 };

    buf_printf(&from, "%s/%s", parent, name);
    buf_printf(&to, "%s/.drop-%s", parent, name);
    if (!file_rename(buf_cstr(&from), buf_cstr(&to), e))
        return false;
    // It is gone now. What is left of it is deleted at the next start.
    if (!file_sync_dir(parent, &why) || fault_hit("partition.drop") ||
        !file_remove_tree(to.p, &why))
        log_warn("store", "dropped partition is not deleted yet", KV("path", to.p), KV_ERR(&why));
    return true;
}

bool partition_clean_parent(const char *parent, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct file_list names;

    if (!file_list(&a, parent, &names, e))
        return false;
    for (size_t i = 0; i < names.n; i++) {
        if (!str_starts(names.v[i], STR(".new-")) && !str_starts(names.v[i], STR(".drop-")))
            continue;
        buf_reset(&path);
        buf_printf(&path, "%s/%.*s", parent, STRF(names.v[i]));
        if (!file_remove_tree(buf_cstr(&path), e))
            return false;
    }
    return true;
}
