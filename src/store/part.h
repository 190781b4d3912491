/*
 * part.h - the container of an immutable part: sections of keyed, checksummed pages and a footer.
 *
 * The container does not know what pages mean. A section is a list of pages in
 * ascending order of a 64-bit key of the caller's, each with a time range and a
 * row count, and an index over them of two levels: the top one stays in memory
 * while the part is open, the lower one is paged like the data. The footer repeats
 * what the manifest says of the part, so that a lost manifest can be rebuilt. The
 * format is described at the head of part.c.
 *
 * Threads: a writer belongs to one thread; an open part is immutable and may be
 * read by any number of threads; a part_walk belongs to one.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "store/page_cache.h"

enum part_kind { PART_METRICS = 1, PART_EVENTS = 2, PART_SEGMENT = 3 };
enum {
    PART_SECTIONS_MAX = 16,
    PART_PAGE_BYTES = 32 << 10, // what a writer of pages should aim at
    PART_ROOT_BYTES_MAX = 64 << 10,
};
#define PART_SHARD_ALL UINT32_MAX // rows of every shard: imports and closed partitions

// Where the file belongs: what its header says.
struct part_id {
    uint64_t owner;  // keyed hash of tenant and partition, as in file_head.h
    uint64_t number; // the file's own, from the partition's counter
    uint64_t epoch;  // the writer's
    enum part_kind kind;
};

// What the manifest says of a part; repeated in its footer.
struct part_info {
    uint32_t shard;            // or PART_SHARD_ALL
    uint32_t crc;              // of the footer, which covers the checksum of every page
    uint64_t seq_from, seq_to; // sequence numbers of the logs it came from, both inclusive
    uint64_t resolution_ms;    // 0: raw
    int64_t min_ms, max_ms;    // of its rows; INT64_MAX, INT64_MIN without rows
    uint64_t rows, series, bytes;
};

/* ---- writing ---- */

struct part_writer;

struct part_writer_options {
    const char *path; // must not exist; borrowed until part_writer_open() returns
    struct part_id id;
};

// Creates the file. The caller owns *out: part_writer_close().
MUST_CHECK bool part_writer_open(struct part_writer **out, const struct part_writer_options *o,
                                 struct err *e);

struct part_page_key {
    uint64_t key;           // ascending within a section, equal ones allowed
    int64_t min_ms, max_ms; // of its rows, for skipping
    uint32_t rows;
};

// Appends one page of 1..PAGE_BYTES_MAX bytes to section 0..PART_SECTIONS_MAX-1. Copies.
MUST_CHECK bool part_writer_page(struct part_writer *w, unsigned section,
                                 const struct part_page_key *key, struct str payload,
                                 struct err *e);
// Bytes of the section that are kept in memory with the footer: at most PART_ROOT_BYTES_MAX.
void part_writer_root(struct part_writer *w, unsigned section, struct str root);
uint64_t part_writer_bytes(const struct part_writer *w); // written so far
/*
 * Writes indexes and footer and syncs the file (not its folder). info: shard, seq, resolution,
 * times, rows, series are the caller's; bytes and crc are filled in.
 */
MUST_CHECK bool part_writer_finish(struct part_writer *w, struct part_info *info, struct err *e);
void part_writer_close(struct part_writer *w); // unlinks the file unless finished; NULL is fine
OWN_DEFINE(struct part_writer *, part_writer_close);

/* ---- reading ---- */

struct part;

/*
 * Opens by header and footer. expect: refuse anything else; NULL: take what is there (tools).
 * The cache must outlive the part. Errors: ERR_IO, ERR_NOT_FOUND, ERR_CORRUPT.
 */
MUST_CHECK bool part_open(struct part **out, struct page_cache *c, const char *path,
                          const struct part_id *expect, struct err *e);
void part_close(struct part *p); // NULL is fine; pages are put before
OWN_DEFINE(struct part *, part_close);

// What the header says; borrowed from the part.
const struct part_id *part_id(const struct part *p);
// What the footer says; borrowed from the part.
const struct part_info *part_info(const struct part *p);
// The path as given; borrowed from the part.
const char *part_path(const struct part *p);
struct str part_root(const struct part *p, unsigned section);        // borrowed from the part
uint64_t part_section_pages(const struct part *p, unsigned section); // 0: absent
uint64_t part_section_bytes(const struct part *p, unsigned section); // payload of its pages

/*
 * A place in the list of pages of one section. part_walk_find() and part_walk_next() set `entry`;
 * part_walk_page() reads what it names.
 */
struct part_entry {
    uint64_t key;
    int64_t min_ms, max_ms;
    uint64_t offset;
    uint32_t bytes, rows;
};
struct part_walk {
    struct part *part;
    unsigned section;
    enum page_use use;
    uint64_t at; // number of the entry in the section
    struct part_entry entry;
    const struct page *index; // pinned lower index page, NULL: none
    uint64_t index_first;     // number of its first entry
};
// Stands nowhere: part_walk_find() first. Borrows p until part_walk_fini().
void part_walk_init(struct part_walk *w, struct part *p, unsigned section, enum page_use use);
// Puts the pinned index page; the walk may be initialised again.
void part_walk_fini(struct part_walk *w);
// Goes to the last page whose key is <= key, or to the first page. 1: there, 0: empty section, -1.
int part_walk_find(struct part_walk *w, uint64_t key, struct err *e);
int part_walk_next(struct part_walk *w, struct err *e); // 1: there, 0: the end (w stays), -1
// The page the walk stands on, pinned.
MUST_CHECK bool part_walk_page(const struct part_walk *w, const struct page **out, struct err *e);
// Reads every page and checks it: for `check storage`.
MUST_CHECK bool part_verify(struct part *p, struct err *e);
