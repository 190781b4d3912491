/*
 * postings.h - sorted lists of series positions: their packed form and sets of them.
 *
 * A packed list is a run of blocks, each of at most POSTINGS_BLOCK positions packed
 * by bits, or one run of neighbours of any length. Block bytes are described at
 * the head of postings.c. Reading stays inside the given bytes, but for slack: 8
 * bytes behind them must be readable.
 *
 * A set (struct posset) is either a sorted list or a bit per position; sets of
 * 256 Ki positions are 32 KiB of bits, so that unions and intersections are cheap. A
 * list turns into bits when it passes 1/32 of the universe: then bits are smaller.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/buf.h"

enum { POSTINGS_BLOCK = 128, POSTINGS_BLOCK_BYTES_MAX = 12 + POSTINGS_BLOCK * 4 };

/* ---- packing ---- */

// Called with the bytes of one whole block.
typedef bool (*postings_emit_fn)(void *ctx, struct str block, struct err *e);

struct postings_encoder { // emit and ctx are set by the caller, the rest is zero at first
    postings_emit_fn emit;
    void *ctx;
    struct buf block;
    uint64_t emitted;              // bytes of the list so far
    uint32_t end;                  // last position of the blocks emitted + 1
    uint32_t run_first, run_count; // neighbours at the end of what was added
    uint32_t n;
    uint32_t v[POSTINGS_BLOCK]; // added before the run
};
void postings_encoder_reset(struct postings_encoder *c); // the next list begins
// Frees the block's buffer. What was not ended is lost.
void postings_encoder_fini(struct postings_encoder *c);
OWN_DEFINE_FINI(struct postings_encoder, postings_encoder_fini);
// Positions come ascending, each once.
MUST_CHECK bool postings_encoder_run(struct postings_encoder *c, uint32_t first, uint32_t count,
                                     struct err *e);
// Emits what is left: the list is whole, its length is c->emitted.
MUST_CHECK bool postings_encoder_end(struct postings_encoder *c, struct err *e);

/* ---- unpacking ---- */

struct postings_block {
    uint32_t n;
    uint32_t first;
    const uint32_t *v; // n positions; NULL: first, first + 1, …
};

// State between the blocks of one list: zero, with left = positions of the list, limit = bound.
struct postings_state {
    uint32_t left, end, limit;
};
/*
 * Unpacks the block at *p into v[POSTINGS_BLOCK] and steps over it. A block that ends before
 * `from` is stepped over without unpacking: out->n is 0 then. False: not a block, or positions
 * not below limit, or more than are left.
 */
MUST_CHECK bool postings_unpack(struct postings_state *s, const uint8_t **p, const uint8_t *end,
                                uint32_t from, uint32_t *v, struct postings_block *out);

/* ---- bits ---- */

// Value i of an array packed with `width` ≤ 32 bits each; 8 bytes behind it are readable.
static inline uint32_t bits_get(const uint8_t *p, size_t i, unsigned width)
{
    uint64_t word;
    size_t at = i * width;

    memcpy(&word, p + at / 8, sizeof word);
    return (uint32_t)((word >> (at % 8)) & ((UINT64_C(1) << width) - 1));
}
static inline size_t bits_bytes(size_t n, unsigned width)
{
    return (n * width + 7) / 8;
}
static inline unsigned bits_width(uint32_t max)
{
    return max ? 32 - (unsigned)__builtin_clz(max) : 0;
}
void buf_bits(struct buf *b, const uint32_t *v, size_t n, unsigned width); // packs

/* ---- sets ---- */

struct posset {
    uint32_t universe; // positions are below
    bool is_bits;
    bool unsorted;  // a list that posset_seal() has yet to sort
    uint64_t *bits; // is_bits
    uint32_t *v;    // else
    size_t n, cap;  // of v; n is the population when is_bits after posset_seal()
};
void posset_init(struct posset *s, uint32_t universe); // empty
// Frees the set; init it again before further use.
void posset_fini(struct posset *s);
OWN_DEFINE_FINI(struct posset, posset_fini);
// Adds a block's positions, all below the universe. Not readable until posset_seal().
void posset_add(struct posset *s, const struct postings_block *b);
// As posset_add, for one position.
void posset_add_one(struct posset *s, uint32_t position);
void posset_add_set(struct posset *s, const struct posset *from); // what is in the universe of s
void posset_fill(struct posset *s);                               // all of the universe; as bits
void posset_seal(struct posset *s); // sorts, counts: before the set is read
// Whether the position is in the set, which must be sealed.
bool posset_has(const struct posset *s, uint32_t position);
// Keeps in s what is (keep) or is not (!keep) in the other. Both sealed; s is sealed after.
void posset_filter(struct posset *s, const struct posset *other, bool keep);
void posset_copy(struct posset *to, const struct posset *from); // `to` is uninitialised
// Heap memory held, in bytes.
uint64_t posset_bytes(const struct posset *s);
// Positions below the bound as a list appended to v (room for all of them); returns the count.
size_t posset_list(const struct posset *s, uint32_t bound, uint32_t *v);
