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

// As bytes_varint(), 0 on failure; the fast way while no varint can reach the end.
static bool get_varints(struct bytes *b, uint64_t *v, size_t n)
{
    size_t i = 0;

    for (; i < n && bytes_left(b) >= 10; i++) {
        const uint8_t *p = b->p;
        uint64_t x = *p & 0x7f;

        for (unsigned shift = 7; *p++ & 0x80; shift += 7) {
            if (shift > 63 || (shift == 63 && *p > 1))
                return false;
            x |= (uint64_t)(*p & 0x7f) << shift;
        }
        b->p = p;
        v[i] = x;
    }
    for (; i < n; i++)
        v[i] = bytes_varint(b);
    return !b->bad;
}

HOT_CLONES
static void add_base(uint64_t *v, size_t n, uint64_t base)
{
    for (size_t i = 0; i < n; i++)
        v[i] += base;
}

static bool get_column(struct bytes *b, uint64_t *v, size_t n)
{
    unsigned tag = bytes_u8(b), patches = 0;

    assert(n >= 1 && n <= BLOCK_CHUNKS_MAX);
    if (tag == TAG_VARINT)
        return get_varints(b, v, n);
    uint64_t base = bytes_varint(b);
    unsigned width = tag;
    if (tag == 0) {
        for (size_t i = 0; i < n; i++)
            v[i] = base;
        return !b->bad;
    }
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
    if (base)
        add_base(v, n, base);
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

/* ---- reading ---- */

// The columns stay as they are unpacked; a chunk's descriptor is put together when it is wanted.
struct block_reader {
    size_t chunks;
    const uint8_t *payload;
    uint64_t id[BLOCK_CHUNKS_MAX], n[BLOCK_CHUNKS_MAX], time[BLOCK_CHUNKS_MAX],
        time_start[BLOCK_CHUNKS_MAX], form[BLOCK_CHUNKS_MAX], first[BLOCK_CHUNKS_MAX];
    uint32_t value_first[BLOCK_CHUNKS_MAX + 1];
    uint16_t ref[BLOCK_CHUNKS_MAX];
    uint8_t chain[BLOCK_CHUNKS_MAX];

    // Of the chunks with a payload only: chunk i is number slot[i] of them.
    size_t payloads;
    uint16_t slot[BLOCK_CHUNKS_MAX];
    uint16_t chunk_of[BLOCK_CHUNKS_MAX];
    uint64_t width[BLOCK_CHUNKS_MAX], scale[BLOCK_CHUNKS_MAX], gcd[BLOCK_CHUNKS_MAX],
        patches[BLOCK_CHUNKS_MAX], exceptions[BLOCK_CHUNKS_MAX], base[BLOCK_CHUNKS_MAX],
        extra[BLOCK_CHUNKS_MAX];
    uint32_t offset[BLOCK_CHUNKS_MAX + 1]; // of the payload

    uint64_t *k; // integers of all chunks, filled as wanted
    size_t k_cap;
    bool known[BLOCK_CHUNKS_MAX];    // k and used are there
    uint32_t used[BLOCK_CHUNKS_MAX]; // payload bytes of the integers
};

struct block_reader *block_reader_new(void)
{
    struct block_reader *r = xmalloc(sizeof *r);

    r->chunks = r->k_cap = 0; // the rest is set by open
    r->k = NULL;
    return r;
}

void block_reader_free(struct block_reader *r)
{
    if (!r)
        return;
    xfree(r->k);
    xfree(r);
}

static enum chunk_mode form_mode(uint64_t form)
{
    return form & 7;
}

static unsigned form_domain(uint64_t form)
{
    return (unsigned)(form >> 4);
}

static bool form_has_payload(uint64_t form)
{
    return form_mode(form) != MODE_CONST && form_mode(form) != MODE_LINK;
}

static bool form_is_zigzag(uint64_t form)
{
    return form >> 3 & 1;
}

static bool form_is_valid(uint64_t form)
{
    unsigned domain = form_domain(form);

    if (form > (DOMAIN_MAX << 4 | 15) || form_mode(form) >= MODE_COUNT)
        return false;
    if (form_mode(form) == MODE_LINK && domain != DOMAIN_INT)
        return false;
    return domain == DOMAIN_SPECIAL ? form_mode(form) == MODE_CONST
                                    : domain < DOMAIN_ULPS || form_has_payload(form);
}

static bool get_ids(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t id = bytes_varint(b), any = 0;

    if (b->bad || id > UINT32_MAX || !get_column(b, r->id, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        any |= r->id[i];
        r->id[i] = id += r->id[i];
    }
    return !(any >> 32) && id <= UINT32_MAX;
}

static bool get_lengths(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t any = 0;
    uint32_t values = 0;

    if (!get_column(b, r->n, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        any |= r->n[i] - 1;
        r->value_first[i] = values;
        values += (uint32_t)r->n[i];
    }
    r->value_first[n] = values;
    static_assert(CHUNK_VALUES_MAX == 512, "n − 1 has nine bits");
    return !(any >> 9) && values <= BLOCK_VALUES_MAX;
}

static bool get_times(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t time = 0, any = 0, any_start = 0;

    if (!get_column(b, r->time, n) || !get_column(b, r->time_start, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->time[i] = time += (uint64_t)unzigzag(r->time[i]);
        any |= time;
        any_start |= r->time_start[i];
    }
    return !(any >> 32) && !(any_start >> 9);
}

static bool get_forms(struct block_reader *r, struct bytes *b, size_t n)
{
    size_t payloads = 0;

    if (!get_column(b, r->form, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!form_is_valid(r->form[i]))
            return false;
        r->slot[i] = (uint16_t)payloads;
        r->chunk_of[payloads] = (uint16_t)i;
        payloads += form_has_payload(r->form[i]);
    }
    r->payloads = payloads;
    return true;
}

// A column of some of the chunks with a payload, spread to the slots that want it; others: rest.
static bool get_some(struct bytes *b, size_t n, const bool *wanted, uint64_t *out, uint64_t rest)
{
    uint64_t v[BLOCK_CHUNKS_MAX];
    size_t some = 0, at = 0;

    for (size_t i = 0; i < n; i++)
        some += wanted[i];
    if (some == n)
        return get_column(b, out, n);
    if (some && !get_column(b, v, some))
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = wanted[i] ? v[at++] : rest;
    return true;
}

static bool get_scales(struct block_reader *r, struct bytes *b, size_t n)
{
    bool wanted[BLOCK_CHUNKS_MAX];
    uint64_t any = 0;

    if (!get_column(b, r->width, n) || !get_column(b, r->scale, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (r->width[i] > CHUNK_WIDTH_MAX && r->width[i] != 64)
            return false;
        wanted[i] = r->scale[i] >> 6 & 1;
        any |= r->scale[i];
    }
    if (any >> 7 || !get_some(b, n, wanted, r->gcd, (uint64_t)-1))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->gcd[i] = 2 * r->gcd[i] + 3; // of the rest: 1
        r->scale[i] &= 63;
    }
    return true;
}

static bool get_bases(struct block_reader *r, struct bytes *b, size_t n)
{
    bool wanted[BLOCK_CHUNKS_MAX];

    if (!get_column(b, r->patches, n) || !get_column(b, r->exceptions, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t values = r->n[r->chunk_of[i]];

        if (r->patches[i] >= values || r->exceptions[i] > values)
            return false;
        wanted[i] = !form_is_zigzag(r->form[r->chunk_of[i]]);
    }
    if (!get_some(b, n, wanted, r->base, 0))
        return false;
    for (size_t i = 0; i < n; i++)
        r->base[i] = (uint64_t)unzigzag(r->base[i]);
    return true;
}

static bool get_offsets(struct block_reader *r, struct bytes *b, size_t n, size_t payload_bytes)
{
    bool wanted[BLOCK_CHUNKS_MAX];
    uint64_t offset = 0;

    for (size_t i = 0; i < n; i++)
        wanted[i] = r->patches[i] || r->exceptions[i] ||
                    form_domain(r->form[r->chunk_of[i]]) >= DOMAIN_ULPS;
    if (!get_some(b, n, wanted, r->extra, 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->offset[i] = (uint32_t)offset;
        if (r->extra[i] > payload_bytes)
            return false;
        offset += packed_bytes(r->n[r->chunk_of[i]] - 1, (unsigned)r->width[i]) + r->extra[i];
        if (offset > payload_bytes)
            return false;
    }
    r->offset[n] = (uint32_t)offset;
    return true;
}

static uint16_t reader_twin(const struct block_reader *r, size_t i)
{
    size_t stop = i > CHUNK_REF_BACK ? i - CHUNK_REF_BACK : 0;

    for (size_t j = i; j-- > stop;)
        if (r->time[j] == r->time[i] && r->n[j] == r->n[i] && r->time_start[j] == r->time_start[i])
            return (uint16_t)j;
    return NO_REF;
}

static bool get_firsts(struct block_reader *r, struct bytes *b, size_t n)
{
    if (!get_column(b, r->first, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned domain = form_domain(r->form[i]);

        r->ref[i] = NO_REF;
        r->chain[i] = 0;
        if (LIKELY(form_mode(r->form[i]) < MODE_REF)) {
            r->first[i] = chunk_first_unpack((uint8_t)domain, r->first[i]);
        } else if (form_mode(r->form[i]) == MODE_REF) {
            uint16_t twin = reader_twin(r, i);

            if (twin == NO_REF || !form_has_payload(r->form[twin]) ||
                form_domain(r->form[twin]) != domain || r->chain[twin] >= CHUNK_CHAIN_MAX)
                return false;
            r->ref[i] = twin;
            r->chain[i] = (uint8_t)(r->chain[twin] + 1);
            r->first[i] = r->first[twin] + (uint64_t)unzigzag(r->first[i]);
        }
    }
    return true;
}

static bool read_columns(struct block_reader *r, struct bytes *b, size_t n, size_t payload_bytes)
{
    if (!get_ids(r, b, n) || !get_lengths(r, b, n) || !get_times(r, b, n) || !get_forms(r, b, n))
        return false;
    if (r->payloads && (!get_scales(r, b, r->payloads) || !get_bases(r, b, r->payloads) ||
                        !get_offsets(r, b, r->payloads, payload_bytes)))
        return false;
    return get_firsts(r, b, n) && bytes_left(b) == 0;
}

bool block_reader_open(struct block_reader *r, const uint8_t *p, size_t n)
{
    struct bytes b = bytes_of(str_of((const char *)p, n));
    size_t chunks = bytes_le16(&b);
    unsigned format = bytes_le16(&b);
    size_t columns = bytes_le32(&b), payload_bytes = bytes_left(&b);

    r->chunks = 0;
    if (b.bad || format != BLOCK_FORMAT || chunks < 1 || chunks > BLOCK_CHUNKS_MAX ||
        columns > payload_bytes || payload_bytes > UINT32_MAX)
        return false;
    payload_bytes -= columns;
    r->payload = b.p + columns;
    b.end = r->payload;
    if (!read_columns(r, &b, chunks, payload_bytes))
        return false;
    r->chunks = chunks;
    if (r->value_first[chunks] > r->k_cap) {
        xfree(r->k);
        r->k_cap = r->value_first[chunks];
        r->k = xmalloc(r->k_cap * sizeof *r->k);
    }
    memset(r->known, 0, chunks * sizeof *r->known);
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
        if (r->id[low] >= id)
            return low;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->id[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct chunk_key block_reader_key(const struct block_reader *r, size_t chunk)
{
    return (struct chunk_key){
        (uint32_t)r->id[chunk],
        (uint32_t)r->time[chunk],
        (uint16_t)r->time_start[chunk],
    };
}

enum chunk_kind block_reader_kind(const struct block_reader *r, size_t chunk)
{
    if (form_mode(r->form[chunk]) == MODE_LINK)
        return CHUNK_LINK;
    return form_domain(r->form[chunk]) == DOMAIN_INT ? CHUNK_INTS : CHUNK_DOUBLES;
}

size_t block_reader_values(const struct block_reader *r, size_t chunk)
{
    return r->n[chunk];
}

uint64_t block_reader_link(const struct block_reader *r, size_t chunk)
{
    return r->first[chunk];
}

static bool know_one(struct block_reader *r, size_t chunk)
{
    size_t slot = r->slot[chunk];
    struct ints_form f = {
        .first = r->first[chunk],
        .gcd = 1,
        .mode = (uint8_t)form_mode(r->form[chunk]),
        .zigzag = form_is_zigzag(r->form[chunk]),
    };
    uint32_t offset = 0, bytes = 0;

    if (form_has_payload(r->form[chunk])) {
        f.base = r->base[slot];
        f.gcd = r->gcd[slot];
        f.shift = (uint8_t)r->scale[slot];
        f.width = (uint8_t)r->width[slot];
        f.patches = (uint16_t)r->patches[slot];
        offset = r->offset[slot];
        bytes = r->offset[slot + 1] - offset;
    }
    const uint64_t *ref = r->ref[chunk] == NO_REF ? NULL : r->k + r->value_first[r->ref[chunk]];
    size_t used = ints_decode(&f, r->n[chunk], r->payload + offset, bytes, ref,
                              r->k + r->value_first[chunk]);
    if (used == SIZE_MAX)
        return false;
    r->used[chunk] = (uint32_t)used;
    r->known[chunk] = true;
    return true;
}

// Decodes the chain of references from its far end; it is short, see CHUNK_CHAIN_MAX.
static bool know(struct block_reader *r, size_t chunk)
{
    uint16_t chain[CHUNK_CHAIN_MAX + 1];
    size_t n = 0;

    for (size_t at = chunk; !r->known[at]; at = r->ref[at]) {
        chain[n++] = (uint16_t)at;
        if (r->ref[at] == NO_REF)
            break;
    }
    while (n--)
        if (!know_one(r, chain[n]))
            return false;
    return true;
}

bool block_reader_doubles(struct block_reader *r, size_t chunk, double *out)
{
    struct chunk_desc d = { .n = (uint16_t)r->n[chunk] };
    size_t slot = r->slot[chunk], offset = 0, bytes = 0;

    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_DOUBLES || !know(r, chunk))
        return false;
    d.domain = (uint8_t)form_domain(r->form[chunk]);
    if (form_has_payload(r->form[chunk])) {
        d.exceptions = (uint16_t)r->exceptions[slot];
        offset = r->offset[slot] + r->used[chunk];
        bytes = r->offset[slot + 1] - offset;
    }
    return chunk_decode_doubles(&d, r->payload + offset, bytes, r->k + r->value_first[chunk], out);
}

bool block_reader_ints(struct block_reader *r, size_t chunk, int64_t *out)
{
    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_INTS || !know(r, chunk))
        return false;
    memcpy(out, r->k + r->value_first[chunk], r->n[chunk] * sizeof *out);
    return true;
}
