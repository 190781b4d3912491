/*
 * chunk_block.c - many chunks as one run of bytes: descriptor columns, then payloads.
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

enum { BLOCK_HEADER = 8, BLOCK_FORMAT = 1, NO_REF = UINT16_MAX };
enum { TAG_VARINT = 0x80, TAG_PATCHED = 0x41, COLUMN_PATCHES_MAX = 255 };

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

static bool get_column(struct bytes *b, uint64_t *v, size_t n)
{
    unsigned tag = bytes_u8(b), patches = 0;

    assert(n >= 1 && n <= BLOCK_CHUNKS_MAX);
    if (tag == TAG_VARINT) {
        for (size_t i = 0; i < n; i++)
            v[i] = bytes_varint(b);
        return !b->bad;
    }
    uint64_t base = bytes_varint(b);
    unsigned width = tag;
    if (tag >= TAG_PATCHED) {
        width = tag - TAG_PATCHED;
        patches = bytes_u8(b);
    }
    if (b->bad || (width > CHUNK_WIDTH_MAX && (width != 64 || patches)))
        return false;
    struct str packed = bytes_take(b, packed_bytes(n, width));
    if (b->bad)
        return false;
    ints_unpack(v, (const uint8_t *)packed.p, n, width);
    if (patches) {
        size_t used = ints_get_patches(v, n, width, patches, b->p, bytes_left(b));

        if (used == SIZE_MAX)
            return false;
        b->p += used;
    }
    for (size_t i = 0; i < n; i++)
        v[i] += base;
    return true;
}

/* ---- what both sides agree on ---- */

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
    struct chunk_ref ref = reference_for(b, d);
    unsigned hint = b->chunks && d[-1].key.id == key->id ? d[-1].domain : 0;

    chunk_encode_doubles(&b->scratch, v, n, hint, &ref, d, b->k + b->values, &b->payload);
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

/* ---- reading ---- */

struct block_reader {
    size_t chunks;
    const uint8_t *payload;
    struct chunk_desc desc[BLOCK_CHUNKS_MAX];
    size_t used[BLOCK_CHUNKS_MAX]; // payload bytes of the integers, once decoded; see `known`
    bool known[BLOCK_CHUNKS_MAX];  // k and used are there
    uint64_t *k;                   // integers of all chunks, filled as wanted
    size_t k_cap;
};

struct block_reader *block_reader_new(void)
{
    return xcalloc(1, sizeof(struct block_reader));
}

void block_reader_free(struct block_reader *r)
{
    if (!r)
        return;
    xfree(r->k);
    xfree(r);
}

static bool get_key_columns(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX], id = bytes_varint(b), time = 0;
    size_t values = 0;

    if (b->bad || !get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (id > UINT32_MAX || v[i] > UINT32_MAX - id)
            return false;
        r->desc[i] = (struct chunk_desc){ .key.id = (uint32_t)(id += v[i]), .ref = NO_REF };
    }
    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (v[i] < 1 || v[i] > CHUNK_VALUES_MAX)
            return false;
        r->desc[i].n = (uint16_t)v[i];
        r->desc[i].value_first = (uint32_t)values;
        values += v[i];
    }
    if (values > BLOCK_VALUES_MAX || !get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        time += (uint64_t)unzigzag(v[i]);
        if (time > UINT32_MAX)
            return false;
        r->desc[i].key.time = (uint32_t)time;
    }
    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (v[i] >= CHUNK_VALUES_MAX)
            return false;
        r->desc[i].key.time_start = (uint16_t)v[i];
    }
    return true;
}

static bool get_forms(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX];

    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct chunk_desc *d = &r->desc[i];

        if (v[i] > (DOMAIN_MAX << 4 | 15))
            return false;
        d->ints = (struct ints_form){ .gcd = 1, .mode = v[i] & 7, .zigzag = v[i] >> 3 & 1 };
        d->domain = (uint8_t)(v[i] >> 4);
        if (d->ints.mode >= MODE_COUNT || d->domain > DOMAIN_MAX)
            return false;
        if ((d->domain == DOMAIN_SPECIAL || d->domain >= DOMAIN_ULPS) &&
            has_payload(d) != (d->domain >= DOMAIN_ULPS))
            return false;
        if (d->ints.mode == MODE_LINK && d->domain != DOMAIN_INT)
            return false;
    }
    return true;
}

// One column of the chunks that satisfy `cond`: `store` is done with x, its value, if `ok`.
#define GET_SOME(cond, ok, store)                                    \
    do {                                                             \
        size_t some = 0;                                             \
        for (struct chunk_desc *d = r->desc; d < r->desc + n; d++)   \
            some += (cond);                                          \
        if (some && !get_column(b, v, some))                         \
            return false;                                            \
        some = 0;                                                    \
        for (struct chunk_desc *d = r->desc; d < r->desc + n; d++) { \
            if (!(cond))                                             \
                continue;                                            \
            uint64_t x = v[some++];                                  \
            if (!(ok))                                               \
                return false;                                        \
            store;                                                   \
        }                                                            \
    } while (0)

static bool get_form_columns(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX];

    GET_SOME(has_payload(d), x <= CHUNK_WIDTH_MAX || x == 64, d->ints.width = (uint8_t)x);
    GET_SOME(has_payload(d), x < 128, d->ints.shift = (uint8_t)x);
    GET_SOME(has_payload(d) && d->ints.shift >= 64, true,
             (d->ints.gcd = 2 * x + 3, d->ints.shift &= 63));
    GET_SOME(has_payload(d), x < d->n, d->ints.patches = (uint16_t)x);
    GET_SOME(has_payload(d), x <= d->n, d->exceptions = (uint16_t)x);
    GET_SOME(has_payload(d) && !d->ints.zigzag, true, d->ints.base = (uint64_t)unzigzag(x));
    return true;
}

static bool get_lengths(struct block_reader *r, struct bytes *b, size_t n, size_t payload_bytes)
{
    uint64_t v[BLOCK_CHUNKS_MAX], offset = 0;

    GET_SOME(has_extra(d), x <= payload_bytes, d->bytes = (uint32_t)x);
    for (struct chunk_desc *d = r->desc; d < r->desc + n; d++) {
        if (!has_payload(d))
            continue;
        d->bytes += (uint32_t)packed_bytes(d->n - 1u, d->ints.width);
        d->offset = (uint32_t)offset;
        offset += d->bytes;
        if (offset > payload_bytes || !ints_form_is_valid(&d->ints, d->n))
            return false;
    }
    return true;
}

static bool get_firsts(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX];

    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct chunk_desc *d = &r->desc[i];

        if (d->ints.mode == MODE_LINK) {
            d->ints.first = v[i];
        } else if (d->ints.mode != MODE_REF) {
            d->ints.first = chunk_first_unpack(d->domain, v[i]);
        } else {
            d->ref = find_twin(r->desc, i);
            if (d->ref == NO_REF)
                return false;
            const struct chunk_desc *t = &r->desc[d->ref];
            if (!has_payload(t) || t->domain != d->domain || t->chain >= CHUNK_CHAIN_MAX)
                return false;
            d->chain = (uint8_t)(t->chain + 1);
            d->ints.first = t->ints.first + (uint64_t)unzigzag(v[i]);
        }
    }
    return true;
}

static bool read_descriptors(struct block_reader *r, const uint8_t *p, size_t n)
{
    struct bytes b = bytes_of(str_of((const char *)p, n));
    size_t chunks = bytes_le16(&b);
    unsigned format = bytes_le16(&b);
    size_t desc_bytes = bytes_le32(&b);

    if (b.bad || format != BLOCK_FORMAT || chunks < 1 || chunks > BLOCK_CHUNKS_MAX)
        return false;
    size_t payload_bytes = bytes_left(&b);
    if (desc_bytes > payload_bytes)
        return false;
    payload_bytes -= desc_bytes;
    r->payload = b.p + desc_bytes;
    b.end = r->payload;
    if (!get_key_columns(r, &b, chunks) || !get_forms(r, &b, chunks) ||
        !get_form_columns(r, &b, chunks) || !get_lengths(r, &b, chunks, payload_bytes) ||
        !get_firsts(r, &b, chunks) || bytes_left(&b))
        return false;
    r->chunks = chunks;
    return true;
}

bool block_reader_open(struct block_reader *r, const uint8_t *p, size_t n)
{
    r->chunks = 0;
    if (!read_descriptors(r, p, n)) {
        r->chunks = 0;
        return false;
    }
    const struct chunk_desc *last = &r->desc[r->chunks - 1];
    size_t values = last->value_first + last->n;
    if (values > r->k_cap) {
        xfree(r->k);
        r->k = xmalloc(values * sizeof *r->k);
        r->k_cap = values;
    }
    memset(r->known, 0, r->chunks * sizeof *r->known);
    return true;
}

size_t block_reader_chunks(const struct block_reader *r)
{
    return r->chunks;
}

size_t block_reader_find(const struct block_reader *r, size_t from, uint32_t id)
{
    size_t low = MIN(from, r->chunks), high = r->chunks;

    // Ascending ids are mostly the very next ones.
    for (int near = 0; near < 4 && low < high; near++, low++)
        if (r->desc[low].key.id >= id)
            return low;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->desc[middle].key.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct chunk_key block_reader_key(const struct block_reader *r, size_t chunk)
{
    return r->desc[chunk].key;
}

enum chunk_kind block_reader_kind(const struct block_reader *r, size_t chunk)
{
    const struct chunk_desc *d = &r->desc[chunk];

    if (d->ints.mode == MODE_LINK)
        return CHUNK_LINK;
    return d->domain == DOMAIN_INT ? CHUNK_INTS : CHUNK_DOUBLES;
}

size_t block_reader_values(const struct block_reader *r, size_t chunk)
{
    return r->desc[chunk].n;
}

uint64_t block_reader_link(const struct block_reader *r, size_t chunk)
{
    return r->desc[chunk].ints.first;
}

static bool know_one(struct block_reader *r, size_t chunk)
{
    const struct chunk_desc *d = &r->desc[chunk];
    const uint64_t *ref = d->ref == NO_REF ? NULL : r->k + r->desc[d->ref].value_first;

    r->used[chunk] = ints_decode(&d->ints, d->n, r->payload + d->offset, d->bytes, ref,
                                 r->k + d->value_first);
    if (r->used[chunk] == SIZE_MAX)
        return false;
    r->known[chunk] = true;
    return true;
}

// Decodes the chain of references from its far end; it is short, see CHUNK_CHAIN_MAX.
static bool know(struct block_reader *r, size_t chunk)
{
    uint16_t chain[CHUNK_CHAIN_MAX + 1];
    size_t n = 0;

    for (size_t at = chunk; !r->known[at]; at = r->desc[at].ref) {
        chain[n++] = (uint16_t)at;
        if (r->desc[at].ref == NO_REF)
            break;
    }
    while (n--)
        if (!know_one(r, chain[n]))
            return false;
    return true;
}

bool block_reader_doubles(struct block_reader *r, size_t chunk, double *out)
{
    const struct chunk_desc *d = &r->desc[chunk];

    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_DOUBLES || !know(r, chunk))
        return false;
    return chunk_decode_doubles(d, r->payload + d->offset + r->used[chunk],
                                d->bytes - r->used[chunk], r->k + d->value_first, out);
}

bool block_reader_ints(struct block_reader *r, size_t chunk, int64_t *out)
{
    const struct chunk_desc *d = &r->desc[chunk];

    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_INTS || !know(r, chunk))
        return false;
    memcpy(out, r->k + d->value_first, d->n * sizeof *out);
    return true;
}
