/*
 * manifest.h - the one truth of a partition: which files belong to it, and from where logs live.
 *
 * A text file. Its rename is the only commit of a partition: parts appear, logs retire and inputs
 * of merges go in one step. A line with a word this program does not know makes it refuse the
 * partition: a newer program may have put meaning into it.
 *
 *   vigie partition 1 kind metrics span <min_ms> <max_ms> shards <n> epoch <n> generation <n>
 *   next file <n> id <n>
 *   log_first <n> <n> …  catalog_first <n>      (two lines; one number per shard)
 *   segment <n> ids <from> <to> bytes <n> crc <hex>
 *   part <n> shard <n|all> seq <from> <to> resolution <ms> time <min> <max> rows <n> bytes <n> crc <hex>
 *   mask <number> time <min> <max> rows <word>
 *   end crc32c <hex>
 *
 * Logs with numbers below log_first (per shard) are dead; those from there on are replayed.
 * A mask hides rows of parts whose number is below its own; which rows is said by a word that is the
 * caller's. `seq` of a part: numbers of the logs whose rows it holds; smaller ones were accepted earlier.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/vec.h"

enum { MANIFEST_SHARDS_MAX = 64, MANIFEST_BYTES_MAX = 64 << 20 };
#define MANIFEST_SHARD_ALL UINT32_MAX

struct manifest_segment {
    uint64_t number, bytes;
    uint32_t id_from, id_to; // [from, to)
    uint32_t crc;
};

struct manifest_part {
    uint64_t number, seq_from, seq_to; // both inclusive
    uint64_t rows, bytes;
    int64_t min_ms, max_ms, resolution_ms;
    uint32_t shard; // MANIFEST_SHARD_ALL: rows of any shard
    uint32_t crc;
};

struct manifest_mask {
    uint64_t number; // of the one counter, so that it says which parts are older
    int64_t min_ms, max_ms;
    char *rows; // no blank, no line end; owned
};

struct manifest {
    char kind[16];              // "metrics"
    int64_t span_min, span_max; // [min, max)
    uint32_t shards, next_id;
    uint64_t epoch, generation, next_file, catalog_first;
    uint64_t log_first[MANIFEST_SHARDS_MAX];
    VEC(struct manifest_segment) segments; // by id_from
    VEC(struct manifest_part) parts;       // by (seq_from, number)
    VEC(struct manifest_mask) masks;       // by number
};

// Frees the lists; the manifest is zero and usable again.
void manifest_fini(struct manifest *m);
OWN_DEFINE_FINI(struct manifest, manifest_fini);
void manifest_copy(struct manifest *to, const struct manifest *from); // to: zero or finished
// Appends the whole text with its checksum: what manifest_parse() reads back equal.
void manifest_print(struct buf *b, const struct manifest *m);
// ERR_CORRUPT with the line; ERR_UNSUPPORTED for a newer version or an unknown word. *out is zero.
MUST_CHECK bool manifest_parse(struct str text, struct manifest *out, struct err *e);
// Reads and parses a file. As manifest_parse(), besides ERR_IO and ERR_NOT_FOUND.
MUST_CHECK bool manifest_read(const char *path, struct manifest *out, struct err *e);
// Atomic: the old or the new one is there after any kill. Fault point "manifest.commit".
MUST_CHECK bool manifest_write(const char *path, const struct manifest *m, struct err *e);
// Puts the part at its place in the order.
void manifest_add_part(struct manifest *m, const struct manifest_part *p);
bool manifest_drop_part(struct manifest *m, uint64_t number);                 // false: not listed
void manifest_add_mask(struct manifest *m, const struct manifest_mask *mask); // rows is copied
// Whether the part may hold rows that the mask hides.
static inline bool manifest_mask_hides(const struct manifest_mask *k, const struct manifest_part *p)
{
    return p->number < k->number && p->min_ms <= k->max_ms && p->max_ms >= k->min_ms;
}
void manifest_drop_masks(struct manifest *m); // those that hide nothing of any part
