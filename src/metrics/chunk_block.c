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

// What is known of every chunk, half a cache line: reading many parts at once, these must stay near.
struct chunk_head {
    uint64_t first;
    uint32_t id, time, value_first;
    uint16_t time_start, n, form, slot; // chunk i is number slot of those with a payload
    uint16_t ref;
    uint8_t chain;
    bool known; // k and used are there
};
static_assert(sizeof(struct chunk_head) == 32, "two per cache line");

struct chunk_payload { // of chunks with a payload only
    uint64_t gcd, base;
    uint32_t offset, used; // used: payload bytes of the integers, once known
    uint16_t patches, exceptions, chunk;
    uint8_t width, shift;
};
static_assert(sizeof(struct chunk_payload) == 32, "two per cache line");

struct block_reader {
    size_t chunks, payloads;
    const uint8_t *payload;
    struct chunk_head head[BLOCK_CHUNKS_MAX];
    struct chunk_payload slot[BLOCK_CHUNKS_MAX + 1]; // one more: where the last payload ends
    bool wanted[BLOCK_CHUNKS_MAX]; // while opening: slots that have a value in a column
    uint64_t *k;                   // integers of all chunks, filled as wanted
    size_t k_cap;
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
    uint64_t v[BLOCK_CHUNKS_MAX], id = bytes_varint(b), any = 0;

    if (b->bad || id > UINT32_MAX || !get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        any |= v[i];
        id += v[i];
        r->head[i].id = (uint32_t)id;
    }
    return !(any >> 32) && id <= UINT32_MAX;
}

static bool get_lengths(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX], any = 0;
    uint32_t values = 0;

    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        any |= v[i] - 1;
        r->head[i].n = (uint16_t)v[i];
        r->head[i].value_first = values;
        values += (uint32_t)v[i];
    }
    static_assert(CHUNK_VALUES_MAX == 512, "n − 1 has nine bits");
    return !(any >> 9) && values <= BLOCK_VALUES_MAX;
}

static bool get_times(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX], start[BLOCK_CHUNKS_MAX], time = 0, any = 0, any_start = 0;

    if (!get_column(b, v, n) || !get_column(b, start, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        time += (uint64_t)unzigzag(v[i]);
        any |= time;
        any_start |= start[i];
        r->head[i].time = (uint32_t)time;
        r->head[i].time_start = (uint16_t)start[i];
    }
    return !(any >> 32) && !(any_start >> 9);
}

static bool get_forms(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX];
    size_t payloads = 0;

    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!form_is_valid(v[i]))
            return false;
        r->head[i].form = (uint16_t)v[i];
        r->head[i].slot = (uint16_t)payloads;
        r->slot[payloads].chunk = (uint16_t)i;
        payloads += form_has_payload(v[i]);
    }
    r->payloads = payloads;
    return true;
}

// A column of some of n slots, spread to those that want it; the others get `rest`.
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
    uint64_t width[BLOCK_CHUNKS_MAX], scale[BLOCK_CHUNKS_MAX], gcd[BLOCK_CHUNKS_MAX], any = 0;
    bool *wanted = r->wanted;

    if (!get_column(b, width, n) || !get_column(b, scale, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (width[i] > CHUNK_WIDTH_MAX && width[i] != 64)
            return false;
        wanted[i] = scale[i] >> 6 & 1;
        any |= scale[i];
    }
    if (any >> 7 || !get_some(b, n, wanted, gcd, (uint64_t)-1))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->slot[i].width = (uint8_t)width[i];
        r->slot[i].shift = scale[i] & 63;
        r->slot[i].gcd = 2 * gcd[i] + 3; // of the rest: 1
    }
    return true;
}

static bool get_bases(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t patches[BLOCK_CHUNKS_MAX], exceptions[BLOCK_CHUNKS_MAX], base[BLOCK_CHUNKS_MAX];
    bool *wanted = r->wanted;

    if (!get_column(b, patches, n) || !get_column(b, exceptions, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct chunk_head *h = &r->head[r->slot[i].chunk];

        if (patches[i] >= h->n || exceptions[i] > h->n)
            return false;
        wanted[i] = !form_is_zigzag(h->form);
        r->slot[i].patches = (uint16_t)patches[i];
        r->slot[i].exceptions = (uint16_t)exceptions[i];
    }
    if (!get_some(b, n, wanted, base, 0))
        return false;
    for (size_t i = 0; i < n; i++)
        r->slot[i].base = (uint64_t)unzigzag(base[i]);
    return true;
}

static bool get_offsets(struct block_reader *r, struct bytes *b, size_t n, size_t payload_bytes)
{
    uint64_t extra[BLOCK_CHUNKS_MAX], offset = 0;
    bool *wanted = r->wanted;

    for (size_t i = 0; i < n; i++)
        wanted[i] = r->slot[i].patches || r->slot[i].exceptions ||
                    form_domain(r->head[r->slot[i].chunk].form) >= DOMAIN_ULPS;
    if (!get_some(b, n, wanted, extra, 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->slot[i].offset = (uint32_t)offset;
        if (extra[i] > payload_bytes)
            return false;
        offset += packed_bytes(r->head[r->slot[i].chunk].n - 1u, r->slot[i].width) + extra[i];
        if (offset > payload_bytes)
            return false;
    }
    r->slot[n].offset = (uint32_t)offset;
    return true;
}

static uint16_t reader_twin(const struct chunk_head *h, size_t i)
{
    size_t stop = i > CHUNK_REF_BACK ? i - CHUNK_REF_BACK : 0;

    for (size_t j = i; j-- > stop;)
        if (h[j].time == h[i].time && h[j].n == h[i].n && h[j].time_start == h[i].time_start)
            return (uint16_t)j;
    return NO_REF;
}

static bool get_firsts(struct block_reader *r, struct bytes *b, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX];

    if (!get_column(b, v, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct chunk_head *h = &r->head[i];
        unsigned domain = form_domain(h->form);

        h->ref = NO_REF;
        h->chain = 0;
        h->known = false;
        h->first = v[i];
        if (LIKELY(form_mode(h->form) < MODE_REF)) {
            h->first = chunk_first_unpack((uint8_t)domain, v[i]);
        } else if (form_mode(h->form) == MODE_REF) {
            h->ref = reader_twin(r->head, i);
            if (h->ref == NO_REF)
                return false;
            const struct chunk_head *twin = &r->head[h->ref];
            if (!form_has_payload(twin->form) || form_domain(twin->form) != domain ||
                twin->chain >= CHUNK_CHAIN_MAX)
                return false;
            h->chain = (uint8_t)(twin->chain + 1);
            h->first = twin->first + (uint64_t)unzigzag(v[i]);
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
    size_t values = r->head[chunks - 1].value_first + r->head[chunks - 1].n;
    if (values > r->k_cap) {
        xfree(r->k);
        r->k_cap = values;
        r->k = xmalloc(r->k_cap * sizeof *r->k);
    }
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
        if (r->head[low].id >= id)
            return low;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->head[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct chunk_key block_reader_key(const struct block_reader *r, size_t chunk)
{
    const struct chunk_head *h = &r->head[chunk];

    return (struct chunk_key){ h->id, h->time, h->time_start };
}

enum chunk_kind block_reader_kind(const struct block_reader *r, size_t chunk)
{
    if (form_mode(r->head[chunk].form) == MODE_LINK)
        return CHUNK_LINK;
    return form_domain(r->head[chunk].form) == DOMAIN_INT ? CHUNK_INTS : CHUNK_DOUBLES;
}

size_t block_reader_values(const struct block_reader *r, size_t chunk)
{
    return r->head[chunk].n;
}

uint64_t block_reader_link(const struct block_reader *r, size_t chunk)
{
    return r->head[chunk].first;
}

static bool know_one(struct block_reader *r, size_t chunk)
{
    struct chunk_head *h = &r->head[chunk];
    struct chunk_payload *p = form_has_payload(h->form) ? &r->slot[h->slot] : NULL;
    struct ints_form f = {
        .first = h->first,
        .gcd = 1,
        .mode = (uint8_t)form_mode(h->form),
        .zigzag = form_is_zigzag(h->form),
    };

    if (!p) { // a constant
        ints_decode(&f, h->n, NULL, 0, NULL, r->k + h->value_first);
        h->known = true;
        return true;
    }
    f.base = p->base;
    f.gcd = p->gcd;
    f.shift = p->shift;
    f.width = p->width;
    f.patches = p->patches;
    const uint64_t *ref = h->ref == NO_REF ? NULL : r->k + r->head[h->ref].value_first;
    size_t used = ints_decode(&f, h->n, r->payload + p->offset, p[1].offset - p->offset, ref,
                              r->k + h->value_first);
    if (used == SIZE_MAX)
        return false;
    p->used = (uint32_t)used;
    h->known = true;
    return true;
}

// Decodes the chain of references from its far end; it is short, see CHUNK_CHAIN_MAX.
static bool know(struct block_reader *r, size_t chunk)
{
    uint16_t chain[CHUNK_CHAIN_MAX + 1];
    size_t n = 0;

    for (size_t at = chunk; !r->head[at].known; at = r->head[at].ref) {
        chain[n++] = (uint16_t)at;
        if (r->head[at].ref == NO_REF)
            break;
    }
    while (n--)
        if (!know_one(r, chain[n]))
            return false;
    return true;
}

bool block_reader_doubles(struct block_reader *r, size_t chunk, double *out)
{
    const struct chunk_head *h = &r->head[chunk];
    struct chunk_desc d = { .n = h->n, .domain = (uint8_t)form_domain(h->form) };
    size_t offset = 0, bytes = 0;

    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_DOUBLES || !know(r, chunk))
        return false;
    if (form_has_payload(h->form)) {
        const struct chunk_payload *p = &r->slot[h->slot];

        d.exceptions = p->exceptions;
        offset = p->offset + p->used;
        bytes = p[1].offset - offset;
    }
    return chunk_decode_doubles(&d, r->payload + offset, bytes, r->k + h->value_first, out);
}

bool block_reader_may_be_nan(const struct block_reader *r, size_t chunk)
{
    const struct chunk_head *h = &r->head[chunk];
    unsigned domain = form_domain(h->form);

    assert(chunk < r->chunks);
    if (domain == DOMAIN_BITS || domain == DOMAIN_SPECIAL)
        return true;
    return form_has_payload(h->form) && r->slot[h->slot].exceptions > 0;
}

bool block_reader_ints(struct block_reader *r, size_t chunk, int64_t *out)
{
    const struct chunk_head *h = &r->head[chunk];

    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_INTS || !know(r, chunk))
        return false;
    memcpy(out, r->k + h->value_first, h->n * sizeof *out);
    return true;
}
