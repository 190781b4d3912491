/*
 * page_cache.h - checksummed pages of immutable files, read by pread into one bounded cache.
 *
 * A page is a run of bytes of a file with a CRC-32C behind it. The checksum is
 * seeded with the file's seed and the page's offset, so that neither a page of
 * another file nor one from elsewhere in this file passes. A page that does not
 * verify is ERR_CORRUPT naming file and offset, never a signal: nothing is mapped.
 *
 * A page got is pinned: its bytes stay until it is put. Behind its bytes lie
 * PAGE_SLACK readable zero bytes, so that decoders may load past the end. Pages
 * of closed files leave the cache at once.
 *
 * Threads: all functions from any thread, but for page_cache_free and
 * page_file_close, whose caller knows that nobody else uses the object.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

enum { PAGE_SLACK = 16, PAGE_TRAILER = 4, PAGE_BYTES_MAX = 64 << 20 };

struct page_cache;
struct page_file;

struct page_cache_options { // zero in a field means its default
    uint64_t bytes_max;     // payload and headers of cached pages; 16 MiB
    unsigned shards;        // power of two; 16
};

// An empty cache; the caller owns it: page_cache_free(). o->shards is a power of two.
struct page_cache *page_cache_new(const struct page_cache_options *o);
void page_cache_free(struct page_cache *c); // all files closed, all pages put before
OWN_DEFINE(struct page_cache *, page_cache_free);

struct page_cache_stats {
    uint64_t hits, misses, evictions, corrupt, pages, bytes, bytes_max;
};
// Sums over the shards as of now; counts since the start.
void page_cache_stats(struct page_cache *c, struct page_cache_stats *out);

// CRC-32C of a page's n bytes at this offset of a file with this seed: what follows them on disk.
uint32_t page_checksum(uint64_t seed, uint64_t offset, const void *p, size_t n);

/*
 * Opens an immutable file for reading by pages. The cache must outlive the file. The caller owns
 * *out: page_file_close(). Errors: ERR_IO, ERR_NOT_FOUND.
 */
MUST_CHECK bool page_file_open(struct page_file **out, struct page_cache *c, const char *path,
                               uint64_t seed, struct err *e);
void page_file_close(struct page_file *f); // its pages are put before; NULL is fine
OWN_DEFINE(struct page_file *, page_file_close);
uint64_t page_file_bytes(const struct page_file *f); // its size when opened
// The path as given; borrowed from f.
const char *page_file_path(const struct page_file *f);
// Unchecked bytes, not cached: for headers and footers. ERR_CORRUPT beyond the end.
MUST_CHECK bool page_file_pread(const struct page_file *f, void *p, size_t n, uint64_t offset,
                                struct err *e);

struct page {
    const uint8_t *p; // n bytes and PAGE_SLACK zeros
    uint32_t n;
};

enum page_use {
    PAGE_KEEP, // look in the cache, leave it there
    PAGE_ONCE, // use it if cached, else read without caching: merges and exports
};

/*
 * The page of n payload bytes at offset, pinned: page_put() it. Errors: ERR_IO; ERR_CORRUPT when
 * the checksum differs or the page would end beyond the file.
 */
MUST_CHECK bool page_get(struct page_file *f, uint64_t offset, uint32_t n, enum page_use use,
                         const struct page **out, struct err *e);
void page_put(const struct page *p); // NULL is fine
OWN_DEFINE(const struct page *, page_put);
