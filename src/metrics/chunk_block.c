/*
 * chunk_block.c - many chunks as one run of bytes: descriptor columns, then payloads. Building
 * them; chunk_block_read.c reads.
 *
 *   u16 chunks (1..256), u16 format (1), u32 bytes of descriptors
 *   descriptor columns, in this order; those in brackets only of the chunks they concern
 *     id          varint first id; then a column of differences to the chunk before, 0 first
 *     n           values
 *     time        zigzag of the difference of the time column's number to the chunk before
 *     time_start
 *     form        mode | zigzag << 3 | domain << 4
 *     [width]     not CONST, LINK: and so all that follow but first
 *     [scale]     shift, + 64 when a gcd follows
 *     [gcd]       (gcd − 3) / 2, only where scale says so
 *     [patches]
 *     [exceptions]
 *     [base]      zigzag; not of zigzag forms
 *     [extra]     payload bytes beyond the packed residuals; only with patches, exceptions or ulps
 *     first       small for small values (chunk_first_pack); of REF the zigzag of the difference
 *                 to the reference's; of LINK its number
 *   payloads, in the order of the chunks: packed residuals of n − 1 values and `extra` bytes
 *
 * A column: u8 tag, then
 *   tag 0x80     varints
 *   tag w 0..64  varint base, values − base packed in w bits
 *   tag 0x41 + w varint base, u8 patches, packed, patches: as in chunk_ints.c
 * whichever is smallest.
 *
 * The reference of a REF chunk is the nearest earlier chunk of the block, at most CHUNK_REF_BACK
 * before, with the same time column, start and n; its domain must be the same too. Following
 * references never takes more than CHUNK_CHAIN_MAX steps.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/chunk_priv.h"

#include "base/mem.h"

/* ---- one descriptor column ---- */

static unsigned varint_bytes(uint64_t v)
{
    return (bit_length(v | 1) + 6) / 7;
}

static void put_column(struct buf *out, const uint64_t *v, size_t n)
{
    uint64_t u[BLOCK_CHUNKS_MAX], min = UINT64_MAX, any = 0, bits;
    size_t varints = 0;

    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        min = MIN(min, v[i]);
        varints += varint_bytes(v[i]);
    }
    for (size_t i = 0; i < n; i++)
        any |= u[i] = v[i] - min;
    unsigned width = ints_choose_width(u, n, &bits);
    if (varints < varint_bytes(min) + (size_t)(bits + 7) / 8) {
        buf_char(out, (char)TAG_VARINT);
        for (size_t i = 0; i < n; i++)
            buf_varint(out, v[i]);
        return;
    }
    size_t bytes = packed_bytes(n, width);
    bool patched = width < bit_length(any);
    buf_char(out, (char)(patched ? TAG_PATCHED + width : width));
    buf_varint(out, min);
    if (patched)
        buf_char(out, 0);
    size_t count_at = out->n - 1;
    ints_pack((uint8_t *)buf_room(out, bytes + 8), u, n, width);
    out->n += bytes;
    if (patched)
        out->p[count_at] = (char)ints_put_patches(out, u, n, width);
}

/* ---- what the reader must agree on ---- */

static bool has_payload(const struct chunk_desc *d)
{
    return d->ints.mode != MODE_CONST && d->ints.mode != MODE_LINK;
}

static bool has_extra(const struct chunk_desc *d)
{
    return has_payload(d) && (d->ints.patches || d->exceptions || d->domain >= DOMAIN_ULPS);
}

static bool is_twin(const struct chunk_desc *a, const struct chunk_desc *b)
{
    return a->key.time == b->key.time && a->key.time_start == b->key.time_start && a->n == b->n;
}

// The chunk that chunk i would refer to: NO_REF when there is none.
static uint16_t find_twin(const struct chunk_desc *d, size_t i)
{
    size_t stop = i > CHUNK_REF_BACK ? i - CHUNK_REF_BACK : 0;

    for (size_t j = i; j-- > stop;)
        if (is_twin(&d[j], &d[i]))
            return (uint16_t)j;
    return NO_REF;
}

/* ---- building ---- */

struct block_builder {
    size_t chunks, values;
    struct chunk_desc desc[BLOCK_CHUNKS_MAX];
    struct buf payload;
    struct chunk_scratch scratch;
    uint64_t column[BLOCK_CHUNKS_MAX]; // of descriptors, while finishing
    uint64_t k[BLOCK_VALUES_MAX];      // integers of the chunks with a payload
};

struct block_builder *block_builder_new(void)
{
    return xcalloc(1, sizeof(struct block_builder));
}

void block_builder_free(struct block_builder *b)
{
    if (!b)
        return;
    buf_fini(&b->payload);
    chunk_scratch_fini(&b->scratch);
    xfree(b);
}

bool block_builder_has_room(const struct block_builder *b, size_t n)
{
    return b->chunks < BLOCK_CHUNKS_MAX && b->values + n <= BLOCK_VALUES_MAX;
}

size_t block_builder_chunks(const struct block_builder *b)
{
    return b->chunks;
}

size_t block_builder_bytes(const struct block_builder *b)
{
    return BLOCK_HEADER + b->payload.n + b->chunks * 6;
}

static struct chunk_desc *start_chunk(struct block_builder *b, const struct chunk_key *key,
                                      size_t n)
{
    struct chunk_desc *d = &b->desc[b->chunks];

    assert(n >= 1 && n <= CHUNK_VALUES_MAX && block_builder_has_room(b, n));
    assert(b->chunks == 0 || key->id >= d[-1].key.id);
    *d = (struct chunk_desc){
        .key = *key,
        .n = (uint16_t)n,
        .ref = NO_REF,
        .offset = (uint32_t)b->payload.n,
        .value_first = (uint32_t)b->values,
    };
    return d;
}

static void end_chunk(struct block_builder *b, struct chunk_desc *d)
{
    d->bytes = (uint32_t)(b->payload.n - d->offset);
    b->values += d->n;
    b->chunks++;
}

static struct chunk_ref reference_for(const struct block_builder *b, struct chunk_desc *d)
{
    uint16_t twin = find_twin(b->desc, b->chunks);

    if (twin == NO_REF)
        return (struct chunk_ref){ 0 };
    const struct chunk_desc *t = &b->desc[twin];
    if (!has_payload(t) || t->chain >= CHUNK_CHAIN_MAX)
        return (struct chunk_ref){ 0 };
    d->ref = twin;
    return (struct chunk_ref){ b->k + t->value_first, t->domain };
}

static void note_reference(const struct block_builder *b, struct chunk_desc *d)
{
    if (d->ints.mode == MODE_REF)
        d->chain = (uint8_t)(b->desc[d->ref].chain + 1);
}

void block_builder_doubles(struct block_builder *b, const struct chunk_key *key, const double *v,
                           size_t n)
{
    struct chunk_desc *d = start_chunk(b, key, n);
    struct chunk_input in = { .v = v, .n = n, .ref = reference_for(b, d) };

    if (b->chunks && d[-1].key.id == key->id)
        in.domain_hint = d[-1].domain;
    chunk_encode_doubles(&b->scratch, &in, d, b->k + b->values, &b->payload);
    note_reference(b, d);
    end_chunk(b, d);
}

void block_builder_ints(struct block_builder *b, const struct chunk_key *key, const int64_t *v,
                        size_t n)
{
    struct chunk_desc *d = start_chunk(b, key, n);
    struct chunk_ref ref = reference_for(b, d);
    uint64_t *k = b->k + b->values;

    memcpy(k, v, n * sizeof *k);
    d->domain = DOMAIN_INT;
    ints_encode(k, n, ref.k && ref.domain == DOMAIN_INT ? ref.k : NULL, &d->ints, &b->payload);
    note_reference(b, d);
    end_chunk(b, d);
}

void block_builder_link(struct block_builder *b, const struct chunk_key *key, uint64_t number,
                        size_t n)
{
    struct chunk_desc *d = start_chunk(b, key, n);

    d->domain = DOMAIN_INT;
    d->ints = (struct ints_form){ .first = number, .gcd = 1, .mode = MODE_LINK };
    end_chunk(b, d);
}

static uint64_t first_stored(const struct chunk_desc *all, const struct chunk_desc *d)
{
    if (d->ints.mode == MODE_REF)
        return zigzag((int64_t)(d->ints.first - all[d->ref].ints.first));
    if (d->ints.mode == MODE_LINK)
        return d->ints.first;
    return chunk_first_pack(d->domain, d->ints.first);
}

static void put_key_columns(struct block_builder *b, struct buf *out)
{
    const struct chunk_desc *d = b->desc;
    uint64_t *v = b->column;
    size_t n = b->chunks;

    for (size_t i = 0; i < n; i++)
        v[i] = i ? d[i].key.id - d[i - 1].key.id : 0;
    buf_varint(out, d[0].key.id);
    put_column(out, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = d[i].n;
    put_column(out, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = zigzag((int64_t)d[i].key.time - (i ? (int64_t)d[i - 1].key.time : 0));
    put_column(out, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = d[i].key.time_start;
    put_column(out, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = d[i].ints.mode | (uint64_t)d[i].ints.zigzag << 3 | (uint64_t)d[i].domain << 4;
    put_column(out, v, n);
}

// One column of the chunks that satisfy `cond`, with `value` of chunk d.
#define PUT_SOME(cond, value)                                                    \
    do {                                                                         \
        size_t some = 0;                                                         \
        for (const struct chunk_desc *d = b->desc; d < b->desc + b->chunks; d++) \
            if (cond)                                                            \
                v[some++] = (value);                                             \
        put_column(out, v, some);                                                \
    } while (0)

static void put_form_columns(struct block_builder *b, struct buf *out)
{
    uint64_t *v = b->column;

    PUT_SOME(has_payload(d), d->ints.width);
    PUT_SOME(has_payload(d), d->ints.shift + (d->ints.gcd != 1 ? 64u : 0));
    PUT_SOME(has_payload(d) && d->ints.gcd != 1, (d->ints.gcd - 3) / 2);
    PUT_SOME(has_payload(d), d->ints.patches);
    PUT_SOME(has_payload(d), d->exceptions);
    PUT_SOME(has_payload(d) && !d->ints.zigzag, zigzag((int64_t)d->ints.base));
    PUT_SOME(has_extra(d), d->bytes - packed_bytes(d->n - 1u, d->ints.width));
    PUT_SOME(true, first_stored(b->desc, d));
}

void block_builder_finish(struct block_builder *b, struct buf *out)
{
    size_t start = out->n;

    assert(b->chunks);
    buf_le16(out, (uint16_t)b->chunks);
    buf_le16(out, BLOCK_FORMAT);
    buf_le32(out, 0);
    put_key_columns(b, out);
    put_form_columns(b, out);
    put_le32(out->p + start + 4, (uint32_t)(out->n - start - BLOCK_HEADER));
    buf_str(out, buf_view(&b->payload));
    b->chunks = b->values = 0;
    buf_reset(&b->payload);
}
