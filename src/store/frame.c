/*
 * frame.c - making and reading frames.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/frame.h"

#include "base/bytes.h"
#include "base/hash.h"

uint32_t frame_seed(uint64_t owner, uint64_t number)
{
    uint8_t b[16];

    put_le64(b, owner);
    put_le64(b + 8, number);
    return crc32c(0, b, sizeof b);
}

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

size_t frame_begin(struct buf *b)
{
    size_t at = b->n;

    assert(at % 8 == 0);
    memset(buf_room(b, FRAME_HEAD_BYTES), 0, FRAME_HEAD_BYTES);
    b->n += FRAME_HEAD_BYTES;
    return at;
}

void frame_end(struct buf *b, size_t at, const struct frame *f)
{
    size_t length = b->n - at - FRAME_HEAD_BYTES, pad = padded(length) - length;
    char *h;

    assert(b->n >= at + FRAME_HEAD_BYTES); // begun there
    assert(f->type <= UINT8_MAX);
    assert(length <= FRAME_PAYLOAD_MAX);
    memset(buf_room(b, pad), 0, pad);
    b->n += pad;
    h = b->p + at;
    put_le16(h, FRAME_MAGIC);
    h[2] = (char)f->type;
    put_le32(h + 4, (uint32_t)length);
    put_le32(h + 12, f->catalog_need);
    put_le64(h + 16, f->batch);
    put_le32(h + 24, f->rows);
}

static uint32_t frame_crc(const char *h, size_t length, uint32_t seed)
{
    return crc32c(crc32c(seed, h, 8), h + 12, FRAME_HEAD_BYTES - 12 + length);
}

void frame_seal(void *p, size_t n, uint32_t seed)
{
    for (size_t at = 0; at < n;) {
        char *h = (char *)p + at;
        size_t length = get_le32(h + 4);

        assert(n - at >= FRAME_HEAD_BYTES && get_le16(h) == FRAME_MAGIC);
        assert(padded(length) <= n - at - FRAME_HEAD_BYTES);
        put_le32(h + 8, frame_crc(h, length, seed));
        at += FRAME_HEAD_BYTES + padded(length);
    }
}

static bool head_is_zero(const char *h)
{
    for (size_t i = 0; i < FRAME_HEAD_BYTES; i += 8) {
        if (get_le64(h + i))
            return false;
    }
    return true;
}

enum frame_state frame_read(const void *p, size_t n, uint32_t seed, struct frame *out, size_t *need)
{
    const char *h = p;
    size_t length;

    *need = FRAME_HEAD_BYTES;
    if (n < FRAME_HEAD_BYTES)
        return FRAME_MORE;
    if (head_is_zero(h))
        return FRAME_END;
    length = get_le32(h + 4);
    if (get_le16(h) != FRAME_MAGIC || length > FRAME_PAYLOAD_MAX || h[3] != 0)
        return FRAME_BAD;
    *need = FRAME_HEAD_BYTES + padded(length);
    if (n < *need)
        return FRAME_MORE;
    if (get_le32(h + 8) != frame_crc(h, length, seed))
        return FRAME_BAD;
    *out = (struct frame){
        .type = (enum frame_type)(uint8_t)h[2],
        .catalog_need = get_le32(h + 12),
        .batch = get_le64(h + 16),
        .rows = get_le32(h + 24),
        .payload = { h + FRAME_HEAD_BYTES, length },
    };
    return FRAME_GOOD;
}
