/*
 * import_wal.c - Prometheus's write-ahead logs: the newest checkpoint, then the segments behind it.
 *
 * Two passes: tombstones first, because a deletion hides samples wherever they stand in the log.
 */
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/import_priv.h"
#include "base/file.h"
#include "base/hash.h"
#include "model/tsdb_block.h"
#include "model/tsdb_wal.h"

struct wal_series {
    uint64_t ref;
    struct labels labels;
    struct series_ref own;
    uint64_t batch; // that resolved it
};

struct wal {
    struct importer *im;
    struct arena arena;  // of labels
    struct arena record; // of one record
    int64_t from_ms;
    VEC(struct wal_series) series;
    struct map by_ref;
    VEC(struct tsdb_tombstone) tombstones; // sorted by ref after the first pass
    uint64_t unknown;                      // samples of series that no record names
    bool first_pass;
};

static void wal_fini(struct wal *w)
{
    arena_fini(&w->arena);
    arena_fini(&w->record);
    vec_fini(&w->series);
    map_fini(&w->by_ref);
    vec_fini(&w->tombstones);
}
OWN_DEFINE_FINI(struct wal, wal_fini)

/* ---- records ---- */

static struct wal_series *find(struct wal *w, uint64_t ref)
{
    uint64_t hash = hash_u64(ref);
    uint32_t i;

    for (size_t at = map_first(&w->by_ref, hash); (i = map_at(&w->by_ref, hash, &at)) != MAP_NONE;)
        if (w->series.v[i].ref == ref)
            return &w->series.v[i];
    return NULL;
}

static bool on_series(void *ctx, uint64_t ref, struct labels ls, struct err *e UNUSED)
{
    struct wal *w = ctx;

    if (w->first_pass || find(w, ref))
        return true;
    map_add(&w->by_ref, hash_u64(ref), (uint32_t)w->series.n);
    *vec_push(
        &w->series) = (struct wal_series){ ref, labels_copy(&w->arena, ls), { 0 }, UINT64_MAX };
    w->im->series++;
    return true;
}

// The series of a row that is wanted; NULL with true: it is not.
static bool series_of(struct wal *w, uint64_t ref, int64_t t_ms, struct wal_series **out,
                      struct err *e)
{
    struct wal_series *s;

    *out = NULL;
    if (w->first_pass || t_ms < w->from_ms || t_ms < w->im->min_ms || t_ms > w->im->max_ms ||
        tsdb_is_deleted(w->tombstones.v, w->tombstones.n, ref, t_ms))
        return true;
    s = find(w, ref);
    if (!s || !s->labels.n) {
        w->unknown++;
        return true;
    }
    if (s->batch != w->im->batches) { // a ref is sure in the batch that resolved it
        if (!append_resolve(w->im->batch, s->labels, &s->own, e))
            return false;
        s->batch = w->im->batches;
    }
    *out = s;
    return true;
}

static bool on_sample(void *ctx, uint64_t ref, int64_t t_ms, double v, struct err *e)
{
    struct wal *w = ctx;
    struct wal_series *s;

    return series_of(w, ref, t_ms, &s, e) && (!s || importer_float(w->im, s->own, t_ms, v, e));
}

static bool on_histogram(void *ctx, uint64_t ref, int64_t t_ms, const struct histogram *h,
                         struct err *e)
{
    struct wal *w = ctx;
    struct wal_series *s;

    return series_of(w, ref, t_ms, &s, e) && (!s || importer_histogram(w->im, s->own, t_ms, h, e));
}

static bool on_tombstone(void *ctx, uint64_t ref, int64_t min_ms, int64_t max_ms,
                         struct err *e UNUSED)
{
    struct wal *w = ctx;

    if (w->first_pass)
        *vec_push(&w->tombstones) = (struct tsdb_tombstone){ ref, min_ms, max_ms };
    return true;
}

static int tombstone_order(const void *a, const void *b)
{
    const struct tsdb_tombstone *x = a, *y = b;

    return (x->ref > y->ref) - (x->ref < y->ref);
}

/* ---- segments ---- */

static bool read_segment(struct wal *w, const char *path, struct err *e)
{
    struct tsdb_wal_visit visit = { .ctx = w,
                                    .series = on_series,
                                    .sample = on_sample,
                                    .histogram = on_histogram,
                                    .tombstone = on_tombstone };
    OWNED(mapped_close) struct mapped file = { 0 };
    struct str record;
    int got;

    if (!mapped_open(&file, path, e))
        return false;
    OWNED(tsdb_wal_fini) struct tsdb_wal r = tsdb_wal_of(file.bytes);
    while ((got = tsdb_wal_next(&r, &record, e)) > 0) {
        bool ok = tsdb_wal_record(&w->record, record, &visit, e);

        arena_reset(&w->record);
        if (!ok && e->kind != ERR_CORRUPT)
            return false;
        if (!ok && !w->first_pass)
            importer_damage(w->im, path, e);
    }
    if (got < 0 && !w->first_pass)
        importer_damage(w->im, path, e);
    importer_progress(w->im, path);
    return true;
}

static bool number_of(struct str name, uint64_t *out)
{
    for (size_t i = 0; i < name.n; i++)
        if (!isdigit((unsigned char)name.p[i]))
            return false;
    return str_to_u64(name, out);
}

// Segments of a folder with numbers of at least `from`, in order.
static bool read_folder(struct wal *w, const char *folder, uint64_t from, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct file_list names;

    if (!file_list(&a, folder, &names, e))
        return false;
    for (size_t i = 0; i < names.n;
         i++) { // names have leading zeros: the order is that of the numbers
        uint64_t number;

        if (number_of(names.v[i], &number) && number >= from &&
            !read_segment(w, arena_printf(&a, "%s/%.*s", folder, STRF(names.v[i])).p, e))
            return false;
    }
    return true;
}

// The newest checkpoint.N of wal/: its number, or false.
static bool newest_checkpoint(const struct file_list *names, uint64_t *out, struct str *name)
{
    struct str prefix = STR("checkpoint.");
    bool found = false;

    for (size_t i = 0; i < names->n; i++) {
        uint64_t number;

        if (!str_starts(names->v[i], prefix) ||
            !number_of(str_sub(names->v[i], prefix.n, names->v[i].n), &number) ||
            (found && number <= *out))
            continue;
        *out = number;
        *name = names->v[i];
        found = true;
    }
    return found;
}

static bool read_wal(struct wal *w, const char *folder, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct file_list names;
    uint64_t number = 0;
    struct str name;

    if (!file_exists(folder))
        return true;
    if (!file_list(&a, folder, &names, e))
        return false;
    bool checkpoint = newest_checkpoint(&names, &number, &name);
    if (checkpoint && !read_folder(w, arena_printf(&a, "%s/%.*s", folder, STRF(name)).p, 0, e))
        return false;
    return read_folder(w, folder, checkpoint ? number + 1 : 0, e);
}

bool importer_wal(struct importer *im, int64_t from_ms, struct err *e)
{
    OWNED(wal_fini) struct wal w = { .im = im, .from_ms = from_ms, .first_pass = true };
    OWNED(arena_fini) struct arena a = { 0 };
    const char *wal = arena_printf(&a, "%s/wal", im->from).p;

    if (!read_wal(&w, wal, e))
        return false;
    if (w.tombstones.n)
        qsort(w.tombstones.v, w.tombstones.n, sizeof *w.tombstones.v, tombstone_order);
    w.first_pass = false;
    if (!read_wal(&w, wal, e))
        return false;
    w.from_ms = INT64_MIN; // the log of late samples: blocks have none of them
    if (!read_wal(&w, arena_printf(&a, "%s/wbl", im->from).p, e) || !importer_commit(im, e))
        return false;
    if (w.unknown)
        fprintf(stderr, "%llu samples in the log belong to series that it does not name\n",
                (unsigned long long)w.unknown);
    return importer_flush(im, e);
}
