/*
 * metric_part_priv.h - between the files of metric_part: sections, block pages, time columns,
 * histogram records, walkers.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "metrics/chunk.h"
#include "metrics/metric_part.h"

enum metric_section {
    SECTION_VALUES,     // block pages: chunks of doubles, links to histogram records
    SECTION_TIMES,      // block pages: time columns, as chunks of integers
    SECTION_HISTOGRAMS, // record pages
    SECTION_STARTS,     // block pages: start times of those chunks of VALUES that have any
    SECTION_EXEMPLARS,  // exemplar pages
};

enum { DIRECTORY_ENTRY = 32, DIRECTORY_HEAD = 4, BLOCKS_PER_PAGE_MAX = 1 << 16 };

struct block_place {        // an entry of a block page's directory
    uint32_t offset, bytes; // of the block in the page
    uint32_t id_first, id_last;
    int64_t min_ms, max_ms;
};

// Key of a page whose first row or record has this id; continued: the page before ends with it.
static inline uint64_t page_key(uint32_t id, bool continued)
{
    return (uint64_t)id << 1 | continued;
}

/* ---- metric_part_blocks.c: block pages ---- */

struct block_pages { // writing them
    struct part_writer *out;
    unsigned section;
    struct block_builder *builder;
    struct block_place open; // of the block being built
    VEC(struct block_place) places;
    struct buf blocks, page;
    uint64_t rows, open_rows; // of the page, of the block
    bool any;                 // a page was written
    uint32_t id_written;      // last id of the pages written
};
void block_pages_init(struct block_pages *b, struct part_writer *out, unsigned section);
void block_pages_fini(struct block_pages *b);
// Makes room for a chunk of n values and notes its key and times; then add it to b->builder.
MUST_CHECK bool block_pages_room(struct block_pages *b, uint32_t id, int64_t min_ms, int64_t max_ms,
                                 size_t n, struct err *e);
MUST_CHECK bool block_pages_finish(struct block_pages *b, struct err *e);

/*
 * Walks chunks of block pages in order of id. While `open` is set, `chunk` is a chunk of `reader`,
 * which has the block number `block` of the page pinned.
 */
struct chunk_walk {
    struct part_walk pages;
    const struct page *page;   // NULL: none
    uint64_t page_number;      // which of the section, while `page` is there
    struct block_place *place; // the directory of the page
    size_t places, places_cap;
    struct block_reader *reader; // made with the first block
    size_t block, chunk;
    bool open;
};
void chunk_walk_init(struct chunk_walk *w, struct part *p, unsigned section, enum page_use use);
void chunk_walk_fini(struct chunk_walk *w);
/*
 * Goes to the first chunk whose id is >= id and that may have rows in the times: 1, 0: none, -1.
 * Blocks and pages outside of the times are passed over unread.
 */
int chunk_walk_find(struct chunk_walk *w, uint32_t id, int64_t min_ms, int64_t max_ms,
                    struct err *e);
// The next such chunk; only after 1.
int chunk_walk_next(struct chunk_walk *w, int64_t min_ms, int64_t max_ms, struct err *e);
bool chunk_walk_corrupt(const struct chunk_walk *w, const char *what, struct err *e); // false

static inline struct chunk_key chunk_walk_key(const struct chunk_walk *w)
{
    return block_reader_key(w->reader, w->chunk);
}

/* ---- metric_part_times.c: each run of timestamps once ---- */

struct time_column {
    int64_t *t_ms;
    uint32_t n, cap; // at most CHUNK_VALUES_MAX
    uint32_t next;   // the column that followed it in a series; TIME_NONE: none yet
};
#define TIME_NONE UINT32_MAX

struct time_table {
    struct block_pages pages;
    VEC(struct time_column) columns; // in memory: numbers first .. first + n − 1
    uint32_t first;
    size_t bytes;           // of them
    struct map index;       // hash of a timestamp → place, for every TIME_STRIDEth
    uint32_t series_column; // where the series before began; TIME_NONE: nowhere
    uint16_t series_start;
};
struct time_place {
    uint32_t column;
    uint16_t start;
    uint16_t n;
};
void time_table_init(struct time_table *t, struct part_writer *out);
void time_table_fini(struct time_table *t);
/*
 * Finds or makes a column for the longest useful prefix of n >= 1 ascending times. before: where
 * the series' rows before these are, NULL: these are its first.
 */
MUST_CHECK bool time_table_place(struct time_table *t, const int64_t *t_ms, size_t n,
                                 const struct time_place *before, struct time_place *out,
                                 struct err *e);
MUST_CHECK bool time_table_finish(struct time_table *t, struct err *e);

/* ---- metric_part_hist.c: histograms as columns ---- */

struct hist_pages { // writing records
    struct part_writer *out;
    struct block_builder *builder;
    struct buf records, page, scratch;
    VEC(uint32_t) offsets;
    uint64_t number; // of the next record
};
void hist_pages_init(struct hist_pages *h, struct part_writer *out);
void hist_pages_fini(struct hist_pages *h);
/*
 * How many of n histograms, none NULL, fit into one record: at least one. 0: the first is not
 * sound (spans that overlap or that do not match its counts).
 */
size_t hist_pages_fit(const struct histogram *const *h, size_t n);
// Writes a record of n histograms, no more than fit. *number: what the link says.
MUST_CHECK bool hist_pages_add(struct hist_pages *p, const struct histogram *const *h, size_t n,
                               uint64_t *number, struct err *e);
MUST_CHECK bool hist_pages_finish(struct hist_pages *p, struct err *e);

struct hist_reader { // reading records
    struct part_walk pages;
    const struct page *page;
    uint64_t page_number;
    struct block_reader *reader;
    struct arena scratch;
};
void hist_reader_init(struct hist_reader *w, struct part *p, enum page_use use);
void hist_reader_fini(struct hist_reader *w);
struct row_slice { // rows [from, to) of a chunk of n rows
    size_t n, from, to;
};
// Those rows of a record, in the arena: out[0..to−from).
MUST_CHECK bool hist_reader_read(struct hist_reader *w, uint64_t number, const struct row_slice *s,
                                 struct arena *a, const struct histogram **out, struct err *e);

/* ---- metric_part_exemplar.c ---- */

struct exemplar_pages {
    struct part_writer *out;
    struct buf page;
    struct part_page_key key;
    bool any;
    uint32_t id_last;
    int64_t t_last;
};
void exemplar_pages_init(struct exemplar_pages *x, struct part_writer *out);
void exemplar_pages_fini(struct exemplar_pages *x);
MUST_CHECK bool exemplar_pages_add(struct exemplar_pages *p, const struct metric_part_exemplar *x,
                                   struct err *e);
MUST_CHECK bool exemplar_pages_finish(struct exemplar_pages *p, struct err *e);

struct exemplar_walk {
    struct part_walk pages;
    const struct page *page;
    struct bytes at;
    uint32_t id_last;
    int64_t t_last;
    bool ended;
};
void exemplar_walk_init(struct exemplar_walk *w, struct part *p, enum page_use use);
void exemplar_walk_fini(struct exemplar_walk *w);
// Goes to the page where id may begin: 1, 0: no exemplars, -1.
int exemplar_walk_find(struct exemplar_walk *w, uint32_t id, struct err *e);
// The next one: 1, 0, -1. Its labels are borrowed until the next call.
int exemplar_walk_next(struct exemplar_walk *w, struct metric_part_exemplar *out, struct err *e);

/* ---- metric_part.c ---- */

struct metric_part {
    struct part *part;
    atomic_uint references;
    atomic_bool doomed;
};

/* ---- metric_part_writer.c ---- */

struct metric_part_writer {
    struct part_writer *out;
    struct part_info info;
    struct block_pages values, starts;
    struct time_table times;
    struct hist_pages hist;
    struct exemplar_pages exemplars;
    bool any;
    uint32_t id_last;
    int64_t t_last;
    struct time_place place_last; // of the last chunk, for continued series
};
