/*
 * buf.h - a growing run of bytes on the heap.
 *
 * Zero is a valid empty buf. Appending never fails: out of memory stops the
 * process. Bytes are p[0..n); p may be NULL while n is 0. After buf_cstr() the
 * byte p[n] is NUL and not counted.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string.h>

#include "base/base.h"

struct buf {
    char *p;
    size_t n, cap;
};

// Frees the bytes; the buf is empty and usable again. Borrowed views of it are invalid.
void buf_fini(struct buf *b);
OWN_DEFINE_FINI(struct buf, buf_fini);
void buf_grow(struct buf *b, size_t more); // room for `more` bytes behind n
// Appends formatted text, without a NUL. fmt is never text of outsiders.
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *buf_cstr(struct buf *b);        // NUL-terminated view, valid until the next append
void buf_u64(struct buf *b, uint64_t v);    // decimal digits
void buf_i64(struct buf *b, int64_t v);     // decimal digits with sign
void buf_varint(struct buf *b, uint64_t v); // LEB128, as protobuf

static inline void buf_reset(struct buf *b)
{
    b->n = 0;
}

// Room for n bytes; the caller writes them and then adds to b->n.
static inline char *buf_room(struct buf *b, size_t n)
{
    if (b->cap - b->n < n)
        buf_grow(b, n);
    return b->p + b->n;
}

static inline void buf_bytes(struct buf *b, const void *p, size_t n)
{
    if (n)
        memcpy(buf_room(b, n), p, n);
    b->n += n;
}

static inline void buf_str(struct buf *b, struct str s)
{
    buf_bytes(b, s.p, s.n);
}

#define buf_lit(b, lit) buf_bytes((b), "" lit, sizeof(lit) - 1)

static inline void buf_char(struct buf *b, char c)
{
    *buf_room(b, 1) = c;
    b->n++;
}

static inline void buf_le16(struct buf *b, uint16_t v)
{
    buf_bytes(b, &v, sizeof v); // little-endian hosts only: checked in base/bytes.h
}

static inline void buf_le32(struct buf *b, uint32_t v)
{
    buf_bytes(b, &v, sizeof v);
}

static inline void buf_le64(struct buf *b, uint64_t v)
{
    buf_bytes(b, &v, sizeof v);
}

static inline struct str buf_view(const struct buf *b)
{
    return (struct str){ b->p, b->n };
}
