/*
 * metric_part_blocks.c - pages of blocks of chunks: filling them, and walking their chunks by id.
 *
 * A block page: u32 blocks, then per block its place (32 bytes): u32 offset in the page, u32 bytes,
 * u32 first id, u32 last id, i64 min_ms, i64 max_ms; then the blocks of chunk_block.c.
 * Chunks ascend by id over blocks and pages; an id may go on in the next block or page.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/mem.h"
#include "metrics/metric_part_priv.h"

/* ---- writing ---- */

void block_pages_init(struct block_pages *b, struct part_writer *out, unsigned section)
{
    *b = (struct block_pages){ .out = out, .section = section };
}

void block_pages_fini(struct block_pages *b)
{
    block_builder_free(b->builder);
    vec_fini(&b->places);
    buf_fini(&b->blocks);
    buf_fini(&b->page);
}

static void put_place(struct buf *out, const struct block_place *p, uint32_t shift)
{
    buf_le32(out, p->offset + shift);
    buf_le32(out, p->bytes);
    buf_le32(out, p->id_first);
    buf_le32(out, p->id_last);
    buf_le64(out, (uint64_t)p->min_ms);
    buf_le64(out, (uint64_t)p->max_ms);
}

static bool flush_page(struct block_pages *b, struct err *e)
{
    size_t n = b->places.n;

    if (n == 0)
        return true;
    struct part_page_key key = {
        .key = page_key(b->places.v[0].id_first,
                        b->any && b->id_written == b->places.v[0].id_first),
        .min_ms = b->places.v[0].min_ms,
        .max_ms = b->places.v[0].max_ms,
        .rows = (uint32_t)MIN(b->rows, (uint64_t)UINT32_MAX),
    };
    buf_reset(&b->page);
    buf_le32(&b->page, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        put_place(&b->page, &b->places.v[i], (uint32_t)(DIRECTORY_HEAD + n * DIRECTORY_ENTRY));
        key.min_ms = MIN(key.min_ms, b->places.v[i].min_ms);
        key.max_ms = MAX(key.max_ms, b->places.v[i].max_ms);
    }
    buf_str(&b->page, buf_view(&b->blocks));
    b->any = true;
    b->id_written = b->places.v[n - 1].id_last;
    b->rows = 0;
    vec_reset(&b->places);
    buf_reset(&b->blocks);
    return part_writer_page(b->out, b->section, &key, buf_view(&b->page), e);
}

static bool flush_block(struct block_pages *b, struct err *e)
{
    if (!b->builder || block_builder_chunks(b->builder) == 0)
        return true;
    b->open.offset = (uint32_t)b->blocks.n;
    block_builder_finish(b->builder, &b->blocks);
    b->open.bytes = (uint32_t)(b->blocks.n - b->open.offset);
    *vec_push(&b->places) = b->open;
    b->rows += b->open_rows;
    b->open_rows = 0;
    return b->blocks.n < PART_PAGE_BYTES || flush_page(b, e);
}

bool block_pages_room(struct block_pages *b, uint32_t id, int64_t min_ms, int64_t max_ms, size_t n,
                      struct err *e)
{
    if (!b->builder)
        b->builder = block_builder_new();
    if (!block_builder_has_room(b->builder, n) && !flush_block(b, e))
        return false;
    if (block_builder_chunks(b->builder) == 0) {
        b->open = (struct block_place){ .id_first = id, .min_ms = min_ms, .max_ms = max_ms };
        // A page is cut between series where that costs little: so a series is in fewer pages.
        if (b->places.n && b->places.v[b->places.n - 1].id_last != id &&
            b->blocks.n > PART_PAGE_BYTES / 4 * 3 && !flush_page(b, e))
            return false;
    }
    b->open.id_last = id;
    b->open.min_ms = MIN(b->open.min_ms, min_ms);
    b->open.max_ms = MAX(b->open.max_ms, max_ms);
    b->open_rows += n;
    return true;
}

bool block_pages_finish(struct block_pages *b, struct err *e)
{
    return flush_block(b, e) && flush_page(b, e);
}

/* ---- walking ---- */

void chunk_walk_init(struct chunk_walk *w, struct part *p, unsigned section, enum page_use use)
{
    *w = (struct chunk_walk){ 0 };
    part_walk_init(&w->pages, p, section, use);
}

void chunk_walk_fini(struct chunk_walk *w)
{
    block_reader_free(w->reader);
    page_put(w->page);
    part_walk_fini(&w->pages);
    xfree(w->place);
}

bool chunk_walk_corrupt(const struct chunk_walk *w, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "part %s: page at offset %llu: %s", part_path(w->pages.part),
                   (unsigned long long)w->pages.entry.offset, what);
}

static bool read_directory(struct chunk_walk *w, const struct page *page, struct err *e)
{
    struct bytes b = bytes_of(str_of((const char *)page->p, page->n));
    size_t n = bytes_le32(&b);

    w->places = 0;
    if (n < 1 || n > bytes_left(&b) / DIRECTORY_ENTRY)
        return chunk_walk_corrupt(w, "damaged directory of blocks", e);
    if (n > w->places_cap) {
        w->place = xrealloc(w->place, n * sizeof *w->place);
        w->places_cap = n;
    }
    for (size_t i = 0; i < n; i++) {
        struct block_place *p = &w->place[i];

        p->offset = bytes_le32(&b);
        p->bytes = bytes_le32(&b);
        p->id_first = bytes_le32(&b);
        p->id_last = bytes_le32(&b);
        p->min_ms = (int64_t)bytes_le64(&b);
        p->max_ms = (int64_t)bytes_le64(&b);
        if (p->offset > page->n || p->bytes > page->n - p->offset || p->id_first > p->id_last ||
            (i && p->id_first < p[-1].id_last))
            return chunk_walk_corrupt(w, "damaged directory of blocks", e);
    }
    w->places = n;
    return true;
}

// Pins the page that `pages` stands on and reads its directory.
static bool load_page(struct chunk_walk *w, struct err *e)
{
    const struct page *page;

    if (w->page && w->page_number == w->pages.at)
        return true;
    w->open = false;
    if (!part_walk_page(&w->pages, &page, e))
        return false;
    page_put(w->page);
    w->page = page;
    w->page_number = w->pages.at;
    if (read_directory(w, page, e))
        return true;
    page_put(TAKE(w->page));
    return false;
}

static bool open_block(struct chunk_walk *w, size_t block, struct err *e)
{
    const struct block_place *p = &w->place[block];

    if (w->open && w->block == block)
        return true;
    w->open = false;
    if (!w->reader)
        w->reader = block_reader_new();
    if (!block_reader_open(w->reader, w->page->p + p->offset, p->bytes))
        return chunk_walk_corrupt(w, "damaged block", e);
    size_t last = block_reader_chunks(w->reader) - 1;
    if (block_reader_key(w->reader, 0).id != p->id_first ||
        block_reader_key(w->reader, last).id != p->id_last)
        return chunk_walk_corrupt(w, "a block has not the ids that its page says", e);
    w->block = block;
    w->open = true;
    return true;
}

static bool overlaps(int64_t min_a, int64_t max_a, int64_t min_b, int64_t max_b)
{
    return min_a <= max_b && min_b <= max_a;
}

// The first chunk >= id of blocks from `block` on, over pages: 1, 0, -1.
static int find_from(struct chunk_walk *w, size_t block, uint32_t id, int64_t min_ms,
                     int64_t max_ms, struct err *e)
{
    for (int r = 1; r > 0; r = part_walk_next(&w->pages, e), block = 0) {
        const struct part_entry *n = &w->pages.entry;

        if (!overlaps(n->min_ms, n->max_ms, min_ms, max_ms))
            continue;
        if (!load_page(w, e))
            return -1;
        for (; block < w->places; block++) {
            const struct block_place *p = &w->place[block];

            if (p->id_last < id || !overlaps(p->min_ms, p->max_ms, min_ms, max_ms))
                continue;
            if (!open_block(w, block, e))
                return -1;
            w->chunk = block_reader_find(w->reader, 0, id);
            assert(w->chunk < block_reader_chunks(w->reader));
            return 1;
        }
    }
    return 0;
}

// True when the first chunk of id, if there is one, is not before the open block.
static bool begins_here(const struct chunk_walk *w, uint32_t id)
{
    return w->open && w->place[w->block].id_first < id && w->place[w->block].id_last >= id &&
           w->pages.at == w->page_number;
}

int chunk_walk_find(struct chunk_walk *w, uint32_t id, int64_t min_ms, int64_t max_ms,
                    struct err *e)
{
    if (begins_here(w, id)) {
        const struct block_place *p = &w->place[w->block];
        bool ahead = w->chunk == 0 || block_reader_key(w->reader, w->chunk - 1).id < id;

        if (!overlaps(p->min_ms, p->max_ms, min_ms, max_ms))
            return find_from(w, w->block + 1, id, min_ms, max_ms, e);
        w->chunk = block_reader_find(w->reader, ahead ? w->chunk : 0, id);
        return 1;
    }
    int r = part_walk_find(&w->pages, page_key(id, false), e);
    return r > 0 ? find_from(w, 0, id, min_ms, max_ms, e) : r;
}

int chunk_walk_next(struct chunk_walk *w, int64_t min_ms, int64_t max_ms, struct err *e)
{
    assert(w->open);
    if (++w->chunk < block_reader_chunks(w->reader))
        return 1;
    w->chunk--; // stays on a chunk when this was the last
    return find_from(w, w->block + 1, 0, min_ms, max_ms, e);
}
