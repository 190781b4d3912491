/*
 * proto.h - the protobuf wire format: a cursor over fields, and a writer.
 *
 *   struct proto c = proto_of(bytes);
 *   struct proto_field f;
 *   int got;
 *   while ((got = proto_next(&c, &f)) > 0) {
 *       switch (f.key) {
 *       case PROTO_KEY(1, PROTO_BYTES): name = f.bytes; break;
 *       case PROTO_KEY(2, PROTO_FIXED64): value = proto_double(&f); break;
 *       default: break;                       // unknown fields are skipped
 *       }
 *   }
 *   if (got < 0) …                            // malformed at c.p
 *
 * Nothing is copied: strings and messages are slices of the input. There is no
 * recursion here; who descends into messages bounds the depth. Groups, which
 * proto3 does not have, are refused. Stateless; any thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/bytes.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

#define PROTO_KEY(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))

struct proto {
    const uint8_t *p, *end;
};

struct proto_field {
    uint32_t key;     // PROTO_KEY(number, wire)
    uint64_t value;   // varint, or the bits of a fixed field
    struct str bytes; // PROTO_BYTES: a slice of the input
};

static inline struct proto proto_of(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");

    return (struct proto){ p, p + s.n };
}

static inline uint32_t proto_number(const struct proto_field *f)
{
    return f->key >> 3;
}

static inline double proto_double(const struct proto_field *f)
{
    return double_from_bits(f->value);
}

static inline int64_t proto_sint(const struct proto_field *f)
{
    return unzigzag(f->value);
}

// A varint of at most 10 bytes; false, and the cursor stays, when it is cut off or overflows.
bool proto_varint_slow(struct proto *c, uint64_t *out);
static inline bool proto_varint(struct proto *c, uint64_t *out)
{
    if (LIKELY(c->p < c->end && *c->p < 0x80)) {
        *out = *c->p++;
        return true;
    }
    return proto_varint_slow(c, out);
}

/*
 * The next field: 1, 0 at the end, −1 when malformed: then the cursor stays at the field. Field
 * numbers are 1..2^29−1.
 */
static inline int proto_next(struct proto *c, struct proto_field *f)
{
    struct proto at = *c;
    uint64_t key, n;

    if (c->p == c->end)
        return 0;
    if (!proto_varint(&at, &key) || key > UINT32_MAX || key < 8)
        return -1;
    f->key = (uint32_t)key;
    switch (key & 7) {
    case PROTO_VARINT:
        if (!proto_varint(&at, &f->value))
            return -1;
        break;
    case PROTO_FIXED64:
        if (at.end - at.p < 8)
            return -1;
        f->value = get_le64(at.p);
        at.p += 8;
        break;
    case PROTO_BYTES:
        if (!proto_varint(&at, &n) || n > (uint64_t)(at.end - at.p))
            return -1;
        f->bytes = str_of((const char *)at.p, (size_t)n);
        at.p += n;
        break;
    case PROTO_FIXED32:
        if (at.end - at.p < 4)
            return -1;
        f->value = get_le32(at.p);
        at.p += 4;
        break;
    default:
        return -1;
    }
    c->p = at.p;
    return 1;
}

// How many elements a packed field of varints has: a bound for allocation. Malformed ones are counted low.
size_t proto_packed_count(struct str bytes);

/* ---- writing: fields in any order; zero values are the caller's to leave out ---- */

static inline void proto_put_varint(struct buf *b, uint32_t number, uint64_t v)
{
    buf_varint(b, PROTO_KEY(number, PROTO_VARINT));
    buf_varint(b, v);
}

static inline void proto_put_sint(struct buf *b, uint32_t number, int64_t v)
{
    proto_put_varint(b, number, zigzag(v));
}

static inline void proto_put_fixed64(struct buf *b, uint32_t number, uint64_t v)
{
    buf_varint(b, PROTO_KEY(number, PROTO_FIXED64));
    buf_le64(b, v);
}

static inline void proto_put_double(struct buf *b, uint32_t number, double v)
{
    proto_put_fixed64(b, number, double_bits(v));
}

static inline void proto_put_bytes(struct buf *b, uint32_t number, struct str s)
{
    buf_varint(b, PROTO_KEY(number, PROTO_BYTES));
    buf_varint(b, s.n);
    buf_str(b, s);
}

/*
 * A nested message or packed field: what is appended between begin and end is its body.
 *   size_t mark = proto_begin(b, 4); …; proto_end(b, mark);
 * A body shorter than 128 bytes stays where it was written; a longer one is moved once.
 */
size_t proto_begin(struct buf *b, uint32_t number);
// As proto_begin() without a key: for messages delimited by their length alone.
size_t proto_begin_delimited(struct buf *b);
// Ends what proto_begin() or proto_begin_delimited() began: writes its length. mark is theirs;
// messages end in reverse order of their beginning.
void proto_end(struct buf *b, size_t mark);
