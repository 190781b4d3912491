// proto.c - the parts of the protobuf wire format that are not inline.
// SPDX-License-Identifier: Apache-2.0
#include "codec/proto.h"

bool proto_varint_slow(struct proto *c, uint64_t *out)
{
    const uint8_t *p = c->p;
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && p < c->end; shift += 7) {
        uint8_t byte = *p++;

        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            c->p = p;
            return true;
        }
    }
    return false;
}

size_t proto_packed_count(struct str bytes)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes.n; i++)
        n += !(bytes.p[i] & 0x80); // the last byte of each
    return n;
}

size_t proto_begin(struct buf *b, uint32_t number)
{
    buf_varint(b, PROTO_KEY(number, PROTO_BYTES));
    return proto_begin_delimited(b);
}

size_t proto_begin_delimited(struct buf *b)
{
    buf_char(b, 0); // room for a short length
    return b->n;
}

void proto_end(struct buf *b, size_t mark)
{
    size_t n = b->n - mark, more = 0;

    assert(mark > 0 && mark <= b->n);
    for (size_t rest = n >> 7; rest; rest >>= 7)
        more++;
    if (more) {
        buf_room(b, more);
        memmove(b->p + mark + more, b->p + mark, n);
        b->n += more;
    }
    char *p = b->p + mark - 1;
    size_t rest = n;
    for (size_t i = 0; i < more; i++, rest >>= 7)
        *p++ = (char)(rest | 0x80);
    *p = (char)rest;
}
