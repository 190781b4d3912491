/*
 * segment.h - a sealed segment: an immutable file of series, read page by page.
 *
 * Series have positions 0 … count−1, ascending with their ids. Pairs (name, value)
 * are numbered in the order of (name, value), so that comparing the pair numbers of
 * two series compares their labels. Names, page tops and id runs are resident; all
 * else comes through the page cache. The format is described at the head of
 * segment.c; every reader is safe on arbitrary bytes.
 *
 * Threads: a segment is immutable and may be read by any number of threads; each
 * cursor below belongs to one.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/hash.h"
#include "base/vec.h"
#include "store/catalog.h"
#include "store/part.h"
#include "store/postings.h"

enum {
    SEGMENT_BLOCK = 128, // series per block
    SEGMENT_GROUP = 16,  // values per front-coded group
    SEGMENT_VERSION = 1,
    SEGMENT_FINAL = 1, // flag: slices are complete
};
enum { COLUMN_CONST, COLUMN_PACKED, COLUMN_DICT, COLUMN_SPARSE = 4 }; // kind, and a flag

struct segment;

struct segment_options {
    const char *path; // borrowed during open
    struct page_cache *cache;
    uint64_t place;                       // hash of tenant and partition
    uint64_t uid;                         // distinguishes segments in caches
    bool slices_stale;                    // the file's slices are not to be trusted
    const struct catalog_segment *expect; // number, ids, bytes and crc must be these
};
// Errors: ERR_IO, ERR_NOT_FOUND, ERR_CORRUPT.
MUST_CHECK bool segment_open(struct segment **out, const struct segment_options *o, struct err *e);
// One more reference; returns s.
struct segment *segment_get(struct segment *s);
void segment_put(struct segment *s); // NULL is fine
OWN_DEFINE(struct segment *, segment_put);
void segment_doom(struct segment *s); // the file is unlinked at the last put

// What the MANIFEST says of it; borrowed from s.
const struct catalog_segment *segment_info(const struct segment *s);
// The number given by segment_options.uid.
uint64_t segment_uid(const struct segment *s);
bool segment_is_final(const struct segment *s);  // slices may be trusted
uint64_t segment_bytes(const struct segment *s); // resident
uint32_t segment_count(const struct segment *s); // series
// How many distinct (name, value) there are: pair numbers are below.
uint32_t segment_pair_count(const struct segment *s);
// Id of the series at a position that is below segment_count().
uint32_t segment_id(const struct segment *s, uint32_t position);
// Position of the first id >= id; segment_count() when there is none.
uint32_t segment_position(const struct segment *s, uint32_t id);

/* ---- names ---- */

struct segment_pair {
    uint32_t pair;   // its number
    uint32_t count;  // series that have it
    uint32_t first;  // position of the first, for count 1
    uint64_t offset; // of its packed list in its section, for count > 1
    bool any;        // a name's: its list is in SEGMENT_ANY
};
struct segment_name {
    struct str text;
    uint32_t pair_first, pairs; // its values are pairs [first, first + pairs)
    struct segment_pair any;    // the series that have this label; .pair is unused
};
// How many label names there are: indexes are below.
uint32_t segment_name_count(const struct segment *s);
// One name by its index, in the order of names; borrowed from s.
const struct segment_name *segment_name(const struct segment *s, uint32_t name);
uint32_t segment_name_find(const struct segment *s, struct str text);  // UINT32_MAX: absent
uint32_t segment_name_of_pair(const struct segment *s, uint32_t pair); // index

/* ---- cursors ---- */

// Sections of the file, and what the keys of their pages number.
enum segment_section {
    SEGMENT_META,     // one page
    SEGMENT_NAMES,    // names
    SEGMENT_SYMBOLS,  // pairs
    SEGMENT_POSTINGS, // bytes of packed lists
    SEGMENT_ROWS,     // blocks of series: pairs
    SEGMENT_KEYS,     // blocks: fingerprints, shards, ranks
    SEGMENT_SLICES,   // blocks
    SEGMENT_PRINTS,   // fingerprint prefix << 32 | position
    SEGMENT_ANY,      // bytes of the lists of names
};

// A page that stays pinned while its items are in use.
struct segment_cursor {
    struct segment *segment;
    struct part_walk walk;
    const struct page *page;
    uint64_t first, end; // items on the page
};

/* ---- values ---- */

// A cursor over pairs in order. value lives until the next call.
struct segment_values {
    struct segment_cursor cursor;
    const uint8_t *p; // entry of pair `at`; NULL: its page is not loaded
    uint32_t at;      // the next pair
    uint64_t offset;  // where its list begins
    struct buf text;
    struct str value;
    struct segment_pair pair; // of value
};
// Before the first pair. Borrows s until segment_values_fini(), as all cursors here.
void segment_values_init(struct segment_values *c, struct segment *s, enum page_use use);
// Puts the pinned page and frees; value is invalid.
void segment_values_fini(struct segment_values *c);
OWN_DEFINE_FINI(struct segment_values, segment_values_fini);
// Before the first value of the name that is >= the given one, or behind its last.
MUST_CHECK bool segment_values_seek(struct segment_values *c, const struct segment_name *name,
                                    struct str value, struct err *e);
// Before this pair; it may be one behind the last.
MUST_CHECK bool segment_values_goto(struct segment_values *c, uint32_t pair, struct err *e);
// Reads pair `at` and steps over it: there must be one.
MUST_CHECK bool segment_values_read(struct segment_values *c, struct err *e);

/* ---- postings ---- */

struct segment_postings {
    struct segment_cursor of_pairs, of_names;
    struct segment_cursor *cursor; // one of them
    const uint8_t *p, *page_end;
    struct postings_state state;
    struct segment_pair pair;
    uint32_t v[POSTINGS_BLOCK];
};
// On no list: segment_postings_begin() first.
void segment_postings_init(struct segment_postings *c, struct segment *s, enum page_use use);
// Puts the pinned pages; blocks told before are invalid.
void segment_postings_fini(struct segment_postings *c);
OWN_DEFINE_FINI(struct segment_postings, segment_postings_fini);
// Goes before the first posting of a pair, or of a name (its `any`). pair is copied.
MUST_CHECK bool segment_postings_begin(struct segment_postings *c, const struct segment_pair *pair,
                                       struct err *e);
// 1: a block, empty when it was stepped over because it ends before `from`; 0: the end; -1.
int segment_postings_next(struct segment_postings *c, uint32_t from, struct postings_block *out,
                          struct err *e);

/* ---- series ---- */

struct segment_column {
    uint32_t name;                // index
    uint32_t base, end;           // pair number of the least value; end of the name's pairs
    const uint8_t *present;       // a bit per row, NULL: all rows
    const uint8_t *dict, *packed; // dict NULL: the packed numbers count from base
    uint8_t dict_width, width, dict_count;
};
// Pair numbers of series, block by block; columns are parsed once per block.
struct segment_rows {
    struct segment_cursor cursor;
    uint32_t block;                     // parsed, UINT32_MAX: none
    uint32_t rows;                      // in it
    VEC(struct segment_column) columns; // ascending by name
};
// With no block loaded.
void segment_rows_init(struct segment_rows *c, struct segment *s, enum page_use use);
// Puts the pinned page and frees the columns.
void segment_rows_fini(struct segment_rows *c);
OWN_DEFINE_FINI(struct segment_rows, segment_rows_fini);
// Parses the block that holds this position, if it is not parsed already.
MUST_CHECK bool segment_rows_load(struct segment_rows *c, uint32_t position, struct err *e);
// Pair of row (position % SEGMENT_BLOCK) in one column of the loaded block, UINT32_MAX: none.
uint32_t segment_row_pair(const struct segment_column *col, uint32_t row);

struct segment_keys {
    struct segment_cursor cursor;
    uint32_t block; // parsed, UINT32_MAX: none
    const uint8_t *fingerprint, *shard, *rank;
    uint8_t shard_all, rank_width;
};
struct segment_key {
    struct hash128 fingerprint;
    uint32_t rank; // place in the order of labels
    uint8_t shard;
};
// With no block parsed.
void segment_keys_init(struct segment_keys *c, struct segment *s, enum page_use use);
// Puts the pinned page.
void segment_keys_fini(struct segment_keys *c);
OWN_DEFINE_FINI(struct segment_keys, segment_keys_fini);
// Fingerprint, rank and shard of the series at a position below segment_count(). ERR_IO,
// ERR_CORRUPT.
MUST_CHECK bool segment_keys_read(struct segment_keys *c, uint32_t position,
                                  struct segment_key *out, struct err *e);

struct segment_slices {
    struct segment_cursor cursor;
    uint32_t block;      // parsed, UINT32_MAX: none
    const uint8_t *each; // NULL: all rows have `all`
    uint32_t all;
};
// With no block parsed.
void segment_slices_init(struct segment_slices *c, struct segment *s, enum page_use use);
// Puts the pinned page.
void segment_slices_fini(struct segment_slices *c);
OWN_DEFINE_FINI(struct segment_slices, segment_slices_fini);
// The slices (bit k: rows in the k-th 1/32 of the span) of the series at a position below
// segment_count(). ERR_IO, ERR_CORRUPT.
MUST_CHECK bool segment_slices_read(struct segment_slices *c, uint32_t position, uint32_t *out,
                                    struct err *e);

// Positions with this fingerprint, ascending; *n of at most max.
MUST_CHECK bool segment_find(struct segment *s, struct hash128 fingerprint, uint32_t *positions,
                             size_t *n, struct err *e);
// Reads every page and checks it: for `check storage`.
MUST_CHECK bool segment_verify(struct segment *s, struct err *e);
