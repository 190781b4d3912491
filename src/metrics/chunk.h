/*
 * chunk.h - columns of numbers: up to 512 values of one series as a chunk, many chunks as a block.
 *
 * Bit exact for every double, NaN payloads and signed zeros included, and for every
 * int64. A block is self-contained bytes; what is known of a chunk (id, time column,
 * mode, widths) lies in packed descriptor columns before the payloads. The encodings
 * are described at the head of chunk.c, the block at the head of chunk_block.c.
 *
 * Threads: a builder or reader belongs to one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/buf.h"

enum {
    CHUNK_VALUES_MAX = 512,
    BLOCK_CHUNKS_MAX = 256,
    BLOCK_VALUES_MAX = 16384,
};

/* ---- building ---- */

// What names a chunk in its block; opaque to the encoding but for equality.
struct chunk_key {
    uint32_t id;         // ascending in a block
    uint32_t time;       // number of a time column; 0 where unused
    uint16_t time_start; // its first value of the column; 0..511
};

struct block_builder;

struct block_builder *block_builder_new(void);
void block_builder_free(struct block_builder *b);
OWN_DEFINE(struct block_builder *, block_builder_free)
bool block_builder_has_room(const struct block_builder *b, size_t n); // for a chunk of n values
size_t block_builder_chunks(const struct block_builder *b);
size_t block_builder_bytes(const struct block_builder *b); // about what finish will append

// Adds 1..512 values. has_room() holds.
void block_builder_doubles(struct block_builder *b, const struct chunk_key *key, const double *v,
                           size_t n);
void block_builder_ints(struct block_builder *b, const struct chunk_key *key, const int64_t *v,
                        size_t n);
// A chunk of n rows whose content is elsewhere: the number is all that is kept here.
void block_builder_link(struct block_builder *b, const struct chunk_key *key, uint64_t number,
                        size_t n);
// Appends the block to *out and empties the builder. At least one chunk.
void block_builder_finish(struct block_builder *b, struct buf *out);

/* ---- reading ---- */

enum chunk_kind { CHUNK_DOUBLES, CHUNK_INTS, CHUNK_LINK };

struct block_reader;

struct block_reader *block_reader_new(void);
void block_reader_free(struct block_reader *r);
OWN_DEFINE(struct block_reader *, block_reader_free)

/*
 * Takes a block: checks it and unpacks its descriptors. The bytes are borrowed, with at least 8
 * readable ones behind them, until the next open. False: damaged (the reader is then empty).
 */
MUST_CHECK bool block_reader_open(struct block_reader *r, const uint8_t *p, size_t n);
size_t block_reader_chunks(const struct block_reader *r);
// First chunk at or after `from` with an id >= id; block_reader_chunks() when there is none.
size_t block_reader_find(const struct block_reader *r, size_t from, uint32_t id);
struct chunk_key block_reader_key(const struct block_reader *r, size_t chunk);
enum chunk_kind block_reader_kind(const struct block_reader *r, size_t chunk);
size_t block_reader_values(const struct block_reader *r, size_t chunk); // 1..512
uint64_t block_reader_link(const struct block_reader *r, size_t chunk); // of CHUNK_LINK
/*
 * Decodes a chunk into room for block_reader_values() numbers. False: damaged; the room may then
 * hold anything. A chunk may be decoded any number of times.
 */
MUST_CHECK bool block_reader_doubles(struct block_reader *r, size_t chunk, double *out);
// Cheap; false: no value of the chunk is NaN, nor has to be decoded to know that.
bool block_reader_may_be_nan(const struct block_reader *r, size_t chunk);
MUST_CHECK bool block_reader_ints(struct block_reader *r, size_t chunk, int64_t *out);
