/*
 * chunk_priv.h - between the files of chunk: integer columns, domains, descriptors.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/bytes.h"
#include "base/hot.h"
#include "metrics/chunk.h"

enum chunk_mode {
    MODE_CONST, // all equal: nothing but `first`
    MODE_FOR,   // differences to the first value
    MODE_D1,    // differences to the value before
    MODE_D2,    // differences of differences
    MODE_REF,   // as D1, of the differences to another chunk of the block
    MODE_LINK,  // no values: `first` is a number of the caller's
    MODE_COUNT,
};

enum chunk_domain {
    DOMAIN_DECIMAL_MAX = 15, // 0..15: integer / 10^d
    DOMAIN_BITS = 16,        // the 64 bits of the double, in numeric order
    DOMAIN_INT = 17,         // int64, no double at all
    DOMAIN_SPECIAL = 18,     // MODE_CONST only: `first` is an exception code
    DOMAIN_ULPS = 19,        // 19..33: integer / 10^(domain − 19), plus a column of ulps
    DOMAIN_MAX = 33,
};

enum { CHUNK_CHAIN_MAX = 15, CHUNK_WIDTH_MAX = 56, CHUNK_REF_BACK = 64 };

// How a run of integers is laid out; the payload has the packed bits, then the patches.
struct ints_form {
    uint64_t first; // value 0
    uint64_t base;  // least residual, in units of gcd << shift; 0 with zigzag
    uint64_t gcd;   // odd
    uint16_t patches;
    uint8_t mode, zigzag, width, shift; // width 0..56 or 64
};

struct chunk_desc {
    struct chunk_key key;
    uint16_t n;
    uint16_t exceptions;
    uint8_t domain;
    uint8_t chain;        // REF chunks that must be decoded before, 0: none
    uint16_t ref;         // chunk number of the reference when mode is MODE_REF
    uint32_t offset;      // of the payload in the block's payload
    uint32_t bytes;       // of the payload
    uint32_t value_first; // number of the chunk's first value in the block
    struct ints_form ints;
};

static inline unsigned bit_length(uint64_t x)
{
    return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

// Bytes of m packed values.
static inline size_t packed_bytes(size_t m, unsigned width)
{
    return (m * width + 7) / 8;
}

/* ---- blocks: see chunk_block.c ---- */

enum { BLOCK_HEADER = 8, BLOCK_FORMAT = 1, NO_REF = UINT16_MAX };
enum { TAG_VARINT = 0x80, TAG_PATCHED = 0x41 }; // of a descriptor column

/* ---- chunk_ints.c ---- */

/*
 * Writes m values below 2^width at out (packed_bytes() of room and 8 more, which are scribbled on).
 * width 0..56 or 64.
 */
void ints_pack(uint8_t *out, const uint64_t *v, size_t m, unsigned width);
// Reads m values; 8 bytes behind the packed ones must be readable.
void ints_unpack(uint64_t *out, const uint8_t *p, size_t m, unsigned width);

// The width of least size for values whose largest have to be patched; *bits: the size it gives.
unsigned ints_choose_width(const uint64_t *v, size_t m, uint64_t *bits);
// Appends the patches of values that do not fit the width; their count.
uint16_t ints_put_patches(struct buf *out, const uint64_t *v, size_t m, unsigned width);
// Reads them back into v; the bytes used, SIZE_MAX: damaged.
size_t ints_get_patches(uint64_t *v, size_t m, unsigned width, unsigned patches, const uint8_t *p,
                        size_t n);

/*
 * Lays out n integers, 1..512, and appends the payload. ref: n integers that may serve as the
 * reference, or NULL. Only the form is told to the decoder, besides n and ref.
 */
void ints_encode(const uint64_t *k, size_t n, const uint64_t *ref, struct ints_form *form,
                 struct buf *payload);
/*
 * The other way round. p has n_bytes and 8 readable bytes behind. The bytes used, SIZE_MAX:
 * damaged. ref is there when the mode is MODE_REF.
 */
size_t ints_decode(const struct ints_form *form, size_t n, const uint8_t *p, size_t n_bytes,
                   const uint64_t *ref, uint64_t *k);
bool ints_form_is_valid(const struct ints_form *form, size_t n);

/* ---- chunk.c ---- */

struct chunk_attempt { // one way to see the doubles of a chunk as integers
    uint8_t domain;
    uint16_t bad_n; // values that it cannot show
    uint16_t raw_n; // of them: finite, not -0.0
    uint64_t k[CHUNK_VALUES_MAX];
    uint16_t bad[CHUNK_VALUES_MAX]; // positions, ascending
};

struct chunk_scratch { // of an encoder
    struct chunk_attempt attempt[3];
    uint64_t ulps[CHUNK_VALUES_MAX];
    struct buf payload[3];
};
void chunk_scratch_fini(struct chunk_scratch *s);

struct chunk_ref {     // a chunk that the new one may refer to, if its domain is the same
    const uint64_t *k; // NULL: none
    uint8_t domain;
};

struct chunk_input {
    const double *v;
    size_t n;
    unsigned domain_hint; // tried first
    struct chunk_ref ref;
};

/*
 * Encodes doubles: fills domain, exceptions and ints of *d, appends the payload, and leaves the
 * integers in k (n of them) for later references.
 */
void chunk_encode_doubles(struct chunk_scratch *s, const struct chunk_input *in,
                          struct chunk_desc *d, uint64_t *k, struct buf *payload);
/*
 * Makes doubles of the integers k of a chunk. rest: the payload behind the integers' part, n_bytes,
 * with 8 readable bytes behind. False: damaged.
 */
bool chunk_decode_doubles(const struct chunk_desc *d, const uint8_t *rest, size_t n_bytes,
                          const uint64_t *k, double *out);
// The `first` column: small numbers for small or round values.
uint64_t chunk_first_pack(uint8_t domain, uint64_t first);
uint64_t chunk_first_unpack(uint8_t domain, uint64_t stored);
