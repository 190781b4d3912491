/*
 * import_block.c - one block of Prometheus's TSDB, day by day: our partitions are days, and a batch
 * that touches few of them is cheap.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/import_priv.h"
#include "base/file.h"
#include "codec/xor_chunk.h"
#include "model/tsdb_block.h"
#include "model/tsdb_chunk.h"

enum { CHUNK_FILES_MAX = 100000 };

struct block {
    struct importer *im;
    struct arena arena; // of the block
    struct arena pass;  // of one series
    struct mapped index_file, tombstone_file;
    VEC(struct mapped) chunk_files;
    struct tsdb_index index;
    struct tsdb_chunks chunks;
    struct tsdb_tombstone *tombstone;
    size_t tombstones;
    int64_t min_ms, max_ms; // of its chunks
    int64_t day_from_ms, day_to_ms;
};

static void block_fini(struct block *b)
{
    mapped_close(&b->index_file);
    mapped_close(&b->tombstone_file);
    for (size_t i = 0; i < b->chunk_files.n; i++)
        mapped_close(&b->chunk_files.v[i]);
    vec_fini(&b->chunk_files);
    arena_fini(&b->pass);
    arena_fini(&b->arena);
}
OWN_DEFINE_FINI(struct block, block_fini)

static bool open_chunks(struct block *b, const char *folder, struct err *e)
{
    struct str *files;

    for (size_t i = 1; i < CHUNK_FILES_MAX; i++) {
        const char *path = arena_printf(&b->arena, "%s/chunks/%06zu", folder, i).p;
        struct mapped m = { 0 };

        if (!file_exists(path))
            break;
        if (!mapped_open(&m, path, e))
            return false;
        *vec_push(&b->chunk_files) = m;
    }
    files = arena_array(&b->arena, b->chunk_files.n, struct str);
    for (size_t i = 0; i < b->chunk_files.n; i++)
        files[i] = b->chunk_files.v[i].bytes;
    b->chunks = (struct tsdb_chunks){ files, b->chunk_files.n };
    return true;
}

static bool open_block(struct block *b, const char *folder, struct err *e)
{
    return mapped_open(&b->index_file, arena_printf(&b->arena, "%s/index", folder).p, e) &&
           mapped_open(&b->tombstone_file, arena_printf(&b->arena, "%s/tombstones", folder).p, e) &&
           open_chunks(b, folder, e) &&
           tsdb_index_open(&b->arena, b->index_file.bytes, &b->index, e) &&
           tsdb_tombstones_read(&b->arena, b->tombstone_file.bytes, &b->tombstone, &b->tombstones,
                                e);
}

/* ---- one chunk ---- */

static bool wanted(const struct block *b, uint64_t series, int64_t t_ms)
{
    return t_ms >= b->day_from_ms && t_ms < b->day_to_ms && t_ms >= b->im->min_ms &&
           t_ms <= b->im->max_ms &&
           !(b->tombstones && tsdb_is_deleted(b->tombstone, b->tombstones, series, t_ms));
}

static bool take_floats(struct block *b, uint64_t series, struct series_ref ref, struct str chunk,
                        struct err *e)
{
    struct xor_reader r;
    int64_t t_ms;
    double v;
    int got;

    if (!xor_reader_open(&r, chunk))
        return err_set(e, ERR_CORRUPT, "a chunk is too short");
    while ((got = xor_reader_next(&r, &t_ms, &v)) > 0)
        if (wanted(b, series, t_ms) && !importer_float(b->im, ref, t_ms, v, e))
            return false;
    return got == 0 || err_set(e, ERR_CORRUPT, "a chunk of samples is cut off");
}

static bool take_histograms(struct block *b, uint64_t series, struct series_ref ref,
                            const struct tsdb_chunk *c, struct err *e)
{
    struct tsdb_histograms *r;
    const struct histogram *h;
    int64_t t_ms;
    int got;

    if (!tsdb_histograms_open(&b->pass, c->encoding, c->data, &r, e))
        return false;
    while ((got = tsdb_histograms_next(r, &t_ms, &h)) > 0)
        if (wanted(b, series, t_ms) && !importer_histogram(b->im, ref, t_ms, h, e))
            return false;
    return got == 0 || err_set(e, ERR_CORRUPT, "a chunk of histograms is cut off");
}

static bool take_chunk(struct block *b, uint64_t series, struct series_ref ref, uint64_t at,
                       struct err *e)
{
    struct tsdb_chunk c;

    if (!tsdb_chunk_get(&b->chunks, at, &c, e))
        return false;
    switch (c.encoding) {
    case TSDB_ENCODING_XOR:
        return take_floats(b, series, ref, c.data, e);
    case TSDB_ENCODING_HISTOGRAM:
    case TSDB_ENCODING_FLOAT_HISTOGRAM:
        return take_histograms(b, series, ref, &c, e);
    default:
        return err_set(e, ERR_UNSUPPORTED, "chunk encoding %u is not supported", c.encoding);
    }
}

/* ---- series ---- */

// A chunk that cannot be read costs its samples; what the store says ends the import.
static bool is_damage(const struct err *e)
{
    return e->kind == ERR_CORRUPT || e->kind == ERR_UNSUPPORTED || e->kind == ERR_LIMIT;
}

static bool take_series(struct block *b, const struct tsdb_series *s, struct err *e)
{
    struct series_ref ref;
    uint64_t batch = UINT64_MAX;

    for (size_t i = 0; i < s->chunks; i++) {
        if (s->chunk[i].max_ms < b->day_from_ms || s->chunk[i].min_ms >= b->day_to_ms)
            continue;
        if (batch != b->im->batches) { // a ref is sure in the batch that resolved it
            if (!append_resolve(b->im->batch, s->labels, &ref, e))
                return false;
            batch = b->im->batches;
        }
        if (take_chunk(b, s->ref, ref, s->chunk[i].ref, e))
            continue;
        if (!is_damage(e))
            return false;
        importer_damage(b->im, "a chunk is left out", e);
    }
    return true;
}

typedef bool (*series_fn)(struct block *b, const struct tsdb_series *s, struct err *e);

static bool each_series(struct block *b, series_fn visit, struct err *e)
{
    struct tsdb_series s;
    size_t at = 0;
    int got;

    while ((got = tsdb_series_next(&b->index, &at, &b->pass, &s, e)) > 0) {
        if (!visit(b, &s, e))
            return false;
        arena_reset(&b->pass);
    }
    return got == 0;
}

static bool measure(struct block *b, const struct tsdb_series *s, struct err *e UNUSED)
{
    b->im->series++;
    for (size_t i = 0; i < s->chunks; i++) {
        b->min_ms = MIN(b->min_ms, s->chunk[i].min_ms);
        b->max_ms = MAX(b->max_ms, s->chunk[i].max_ms);
    }
    return true;
}

bool importer_block(struct importer *im, const char *folder, struct err *e)
{
    OWNED(block_fini) struct block b = { .im = im, .min_ms = INT64_MAX, .max_ms = INT64_MIN };

    if (!open_block(&b, folder, e) || !each_series(&b, measure, e))
        return false;
    int64_t from = MAX(b.min_ms, im->min_ms), to = MIN(b.max_ms, im->max_ms);
    for (int64_t day = floor_div(from, MS_DAY); from <= to && day <= floor_div(to, MS_DAY); day++) {
        b.day_from_ms = day * MS_DAY;
        b.day_to_ms = b.day_from_ms + MS_DAY;
        if (!each_series(&b, take_series, e) || !importer_commit(im, e))
            return false;
        importer_progress(im, folder);
    }
    return importer_flush(im, e);
}
