/*
 * bytes.h - reading fixed and variable width numbers from bytes of outside.
 *
 * get_le*() want that many readable bytes: the caller has checked. A reader
 * (struct bytes) checks by itself: after the first short read `bad` is set and
 * every further read gives zero, so that one check at the end suffices.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string.h>

#include "base/base.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written for little-endian hosts");

static inline uint16_t get_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t get_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t get_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t get_be32(const void *p)
{
    return __builtin_bswap32(get_le32(p));
}

static inline uint16_t get_be16(const void *p)
{
    return __builtin_bswap16(get_le16(p));
}

static inline void put_le16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void put_le32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void put_le64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline double double_from_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static inline uint64_t double_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

struct bytes {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct bytes bytes_of(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : ""); // NULL + 0 is undefined

    return (struct bytes){ p, p + s.n, false };
}

static inline size_t bytes_left(const struct bytes *b)
{
    return (size_t)(b->end - b->p);
}

// The next n bytes as a slice; empty and b->bad when fewer are left.
static inline struct str bytes_take(struct bytes *b, size_t n)
{
    if (UNLIKELY(b->bad || bytes_left(b) < n)) {
        b->bad = true;
        return STR_NONE;
    }
    struct str s = { (const char *)b->p, n };
    b->p += n;
    return s;
}

static inline uint8_t bytes_u8(struct bytes *b)
{
    struct str s = bytes_take(b, 1);
    return s.n ? (uint8_t)s.p[0] : 0;
}

static inline uint16_t bytes_le16(struct bytes *b)
{
    struct str s = bytes_take(b, 2);
    return s.n ? get_le16(s.p) : 0;
}

static inline uint32_t bytes_le32(struct bytes *b)
{
    struct str s = bytes_take(b, 4);
    return s.n ? get_le32(s.p) : 0;
}

static inline uint64_t bytes_le64(struct bytes *b)
{
    struct str s = bytes_take(b, 8);
    return s.n ? get_le64(s.p) : 0;
}

// LEB128 of at most 10 bytes; a longer or overflowing one sets b->bad.
static inline uint64_t bytes_varint(struct bytes *b)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t c = bytes_u8(b);

        if (shift == 63 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return b->bad ? 0 : v;
    }
    b->bad = true;
    return 0;
}
