/*
 * chunk_block_read.c - reading blocks of chunks; the format is at the head of chunk_block.c.
 *
 * Opening a block unpacks its descriptor columns, whole, into one array each: loops over arrays of
 * small numbers, without branches on what is in them, are what makes a single series cheap to
 * find. What needs no sum over the chunks before is looked up when a chunk is decoded, and unpacked
 * once several are.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/chunk_priv.h"

#include "base/mem.h"

struct column {           // where a descriptor column lies
    const uint8_t *p;     // packed bits, or varints
    const uint8_t *patch; // patches of packed bits
    uint64_t base;
    uint16_t n;
    uint8_t width, patches;
    bool is_varint;
};

enum { SPARSE_MAX = 4 }; // chunks decoded before the columns left behind are unpacked whole

struct block_reader {
    size_t chunks, payloads;
    const uint8_t *payload, *readable; // end of what may be looked at
    /* of every chunk */
    uint32_t id[BLOCK_CHUNKS_MAX], time[BLOCK_CHUNKS_MAX];
    uint32_t value_first[BLOCK_CHUNKS_MAX + 1];
    uint16_t n[BLOCK_CHUNKS_MAX], time_start[BLOCK_CHUNKS_MAX], form[BLOCK_CHUNKS_MAX];
    uint16_t slot[BLOCK_CHUNKS_MAX]; // chunk i is number slot[i] of those with a payload
    uint8_t known[BLOCK_CHUNKS_MAX]; // 0: its integers are not in k yet; else 1 + references behind
    uint32_t used[BLOCK_CHUNKS_MAX]; // once known: payload bytes of the integers
    /* of chunks with a payload, by slot */
    uint32_t offset[BLOCK_CHUNKS_MAX + 1]; // one more: where the last payload ends
    uint16_t patches[BLOCK_CHUNKS_MAX], exceptions[BLOCK_CHUNKS_MAX];
    uint16_t slot_n[BLOCK_CHUNKS_MAX + 1], slot_form[BLOCK_CHUNKS_MAX + 1];
    uint8_t width[BLOCK_CHUNKS_MAX], scale[BLOCK_CHUNKS_MAX];
    uint8_t has_gcd[BLOCK_CHUNKS_MAX], has_base[BLOCK_CHUNKS_MAX]; // 1, else 0
    /* looked up one by one at first, then unpacked whole */
    struct column gcd_column, base_column, first_column;
    size_t decoded; // chunks
    bool is_spread;
    uint64_t gcd[BLOCK_CHUNKS_MAX], base[BLOCK_CHUNKS_MAX], first[BLOCK_CHUNKS_MAX]; // as stored
    uint64_t *k; // integers of all chunks, filled as wanted
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
    return (form_mode(form) != MODE_CONST) & (form_mode(form) != MODE_LINK);
}

static bool form_is_zigzag(uint64_t form)
{
    return form >> 3 & 1;
}

/* ---- one descriptor column ---- */

struct columns {
    struct bytes b;          // what is left of them
    const uint8_t *readable; // end of what may be looked at
};

enum { WINDOW = 32 }; // bytes whose varints are found at once

// A bit per byte of the window that ends a varint.
static inline uint32_t varint_ends(const uint8_t *p)
{
    uint32_t ends = 0;

    for (unsigned i = 0; i < WINDOW; i += 8) {
        uint64_t last = ~get_le64(p + i) >> 7 & UINT64_C(0x0101010101010101);

        ends |= (uint32_t)(last * UINT64_C(0x0102040810204080) >> 56) << i;
    }
    return ends;
}

// The varint of 1..8 bytes at p.
static inline uint64_t short_varint(const uint8_t *p, unsigned bytes)
{
    uint64_t x = get_le64(p) & UINT64_C(0x7f7f7f7f7f7f7f7f) >> (64 - 8 * bytes);

    x = (x & UINT64_C(0x007f007f007f007f)) | (x >> 1 & UINT64_C(0x3f803f803f803f80));
    x = (x & UINT64_C(0x00003fff00003fff)) | (x >> 2 & UINT64_C(0x0fffc0000fffc000));
    return (x & UINT64_C(0x000000000fffffff)) | (x >> 4 & UINT64_C(0x00fffffff0000000));
}

/*
 * As many varints as can be read window by window; the others, long ones, and those near the end
 * of what is readable are left. Returns how many.
 */
HOT_CLONES
static size_t get_varints_fast(struct columns *c, uint64_t *v, size_t n)
{
    const uint8_t *p = c->b.p;
    size_t i = 0;

    while (i < n && c->readable - p >= WINDOW + 8) {
        uint32_t ends = varint_ends(p);
        size_t some = MIN((size_t)__builtin_popcount(ends), n - i);
        unsigned from = 0, longest = 0;

        for (size_t j = 0; j < some; j++, ends &= ends - 1) {
            unsigned to = (unsigned)__builtin_ctz(ends) + 1;

            longest = MAX(longest, to - from);
            v[i + j] = short_varint(p + from, MIN(to - from, 8u));
            from = to;
        }
        if (!some || longest > 8)
            break;
        i += some;
        p += from;
    }
    c->b.p = p;
    return i;
}

static bool get_varints(struct columns *c, uint64_t *v, size_t n)
{
    for (size_t i = 0; i < n;) {
        i += get_varints_fast(c, v + i, n - i);
        if (c->b.p > c->b.end)
            return false;
        for (size_t stop = MIN(n, i + 8); i < stop; i++) // one of them is a long one
            v[i] = bytes_varint(&c->b);
        if (c->b.bad)
            return false;
    }
    return true;
}

// Passes over n varints.
HOT_CLONES
static bool skip_varints(struct columns *c, size_t n)
{
    const uint8_t *p = c->b.p;

    while (n && c->readable - p >= 8) {
        uint64_t ends = ~get_le64(p) & UINT64_C(0x8080808080808080);
        size_t some = (size_t)__builtin_popcountll(ends);

        if (some < n) {
            n -= some;
            p += 8;
            continue;
        }
        for (; n > 1; n--)
            ends &= ends - 1;
        p += __builtin_ctzll(ends) / 8 + 1;
        n = 0;
    }
    if (p > c->b.end)
        return false;
    c->b.p = p;
    for (; n && !c->b.bad; n--)
        (void)bytes_varint(&c->b);
    return !c->b.bad;
}

// Finds the ends of the column that comes next.
static bool column_open(struct columns *c, size_t n, struct column *out)
{
    struct bytes *b = &c->b;

    *out = (struct column){ .n = (uint16_t)n };
    if (n == 0)
        return true;
    unsigned tag = bytes_u8(b);
    out->p = b->p;
    out->is_varint = tag == TAG_VARINT;
    if (out->is_varint)
        return !b->bad && skip_varints(c, n);
    out->base = bytes_varint(b);
    if (tag >= TAG_PATCHED) {
        tag -= TAG_PATCHED;
        out->patches = bytes_u8(b);
    }
    if (b->bad || (tag > CHUNK_WIDTH_MAX && (tag != 64 || out->patches)))
        return false;
    out->width = (uint8_t)tag;
    out->p = (const uint8_t *)bytes_take(b, packed_bytes(n, tag)).p;
    out->patch = b->p;
    return !b->bad && skip_varints(c, 2 * (size_t)out->patches);
}

static bool column_is_constant(const struct column *x)
{
    return !x->is_varint && x->width == 0 && !x->patches;
}

HOT_CLONES
static void add_base(uint64_t *v, size_t n, uint64_t base)
{
    for (size_t i = 0; i < n; i++)
        v[i] += base;
}

/*
 * Unpacks n numbers of at most 8 bits, eight at a time: eight of them take `width` bytes, and are
 * spread over the bytes of a word in three steps.
 */
static void unpack_bytes(uint8_t *out, const uint8_t *p, size_t n, unsigned width)
{
    uint64_t low = (UINT64_C(1) << (4 * width)) - 1;
    uint64_t pair = ((UINT64_C(1) << (2 * width)) - 1) * UINT64_C(0x100000001);
    uint64_t one = ((UINT64_C(1) << width) - 1) * UINT64_C(0x0001000100010001);

    for (size_t i = 0; i < n; i += 8, p += width) {
        uint64_t x = get_le64(p);

        x = (x & low) | (x >> (4 * width) & low) << 32;
        x = (x & pair) | (x >> (2 * width) & pair) << 16;
        x = (x & one) | (x >> width & one) << 8;
        put_le64(out + i, x); // there is room for eight
    }
}

static bool column_unpack(const struct columns *c, const struct column *x, uint64_t *v)
{
    if (x->is_varint) {
        struct columns at = { { x->p, c->b.end, false }, c->readable };

        return get_varints(&at, v, x->n);
    }
    ints_unpack(v, x->p, x->n, x->width);
    if (x->patches && ints_get_patches(v, x->n, x->width, x->patches, x->patch,
                                       (size_t)(c->b.end - x->patch)) == SIZE_MAX)
        return false;
    if (x->base)
        add_base(v, x->n, x->base);
    return true;
}

// The value of its i-th alone.
static bool column_at(const struct columns *c, const struct column *x, size_t i, uint64_t *out)
{
    struct columns at = { { x->is_varint ? x->p : x->patch, c->b.end, false }, c->readable };
    uint64_t v = 0;

    assert(i < x->n);
    if (x->is_varint) {
        if (i && !skip_varints(&at, i))
            return false;
        *out = bytes_varint(&at.b);
        return !at.b.bad;
    }
    if (x->width == 64)
        v = get_le64(x->p + 8 * i);
    else if (x->width)
        v = get_le64(x->p + i * x->width / 8) >> (i * x->width % 8) &
            ((UINT64_C(1) << x->width) - 1);
    for (size_t k = 0, next = 0; k < x->patches; k++, next++) {
        uint64_t gap = bytes_varint(&at.b), high = bytes_varint(&at.b);

        if (at.b.bad || next >= x->n || gap >= x->n - next)
            return false;
        next += gap;
        if (next == i)
            v |= high << x->width;
        if (next >= i)
            break;
    }
    *out = v + x->base;
    return true;
}

/*
 * Narrows a column. Returns the OR of it, which tells whether anything was cut off. These loops and
 * those below are vectorised: eight to thirty-two numbers at once.
 */
HOT_CLONES
static uint64_t narrow_16(const uint64_t *v, size_t n, uint16_t *out)
{
    uint64_t any = 0;

    for (size_t i = 0; i < n; i++) {
        any |= v[i];
        out[i] = (uint16_t)v[i];
    }
    return any;
}

HOT_CLONES
static void widen_16(const uint8_t *v, size_t n, uint16_t base, uint16_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint16_t)(v[i] + base);
}

HOT_CLONES
static uint64_t narrow_8(const uint64_t *v, size_t n, uint8_t *out)
{
    uint64_t any = 0;

    for (size_t i = 0; i < n; i++) {
        any |= v[i];
        out[i] = (uint8_t)v[i];
    }
    return any;
}

HOT_CLONES
static void add_base_8(uint8_t *v, size_t n, uint8_t base)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (uint8_t)(v[i] + base);
}

// Numbers of up to 7 bits and a base that leaves room for them.
static bool column_is_narrow(const struct column *x, uint64_t base_max)
{
    return !x->is_varint && x->width <= 7 && !x->patches && x->base <= base_max - 127;
}

// The next column, whose values are small; room for n rounded up to 8. False: they are not.
static bool get_column_16(struct columns *c, size_t n, uint16_t *out)
{
    uint64_t v[BLOCK_CHUNKS_MAX];
    uint8_t narrow[BLOCK_CHUNKS_MAX];
    struct column x;

    if (!column_open(c, n, &x))
        return false;
    if (!column_is_narrow(&x, UINT16_MAX))
        return column_unpack(c, &x, v) && narrow_16(v, n, out) <= UINT16_MAX;
    if (column_is_constant(&x))
        memset(narrow, 0, n);
    else
        unpack_bytes(narrow, x.p, n, x.width);
    widen_16(narrow, n, (uint16_t)x.base, out);
    return true;
}

static bool get_column_8(struct columns *c, size_t n, uint8_t *out)
{
    uint64_t v[BLOCK_CHUNKS_MAX];
    struct column x;

    if (!column_open(c, n, &x))
        return false;
    if (!column_is_narrow(&x, UINT8_MAX))
        return column_unpack(c, &x, v) && narrow_8(v, n, out) <= UINT8_MAX;
    if (column_is_constant(&x)) {
        memset(out, (int)x.base, n);
        return true;
    }
    unpack_bytes(out, x.p, n, x.width);
    if (x.base)
        add_base_8(out, n, (uint8_t)x.base);
    return true;
}

HOT_CLONES
static size_t count_wanted(const uint8_t *wanted, size_t n)
{
    size_t some = 0;

    for (size_t i = 0; i < n; i++)
        some += wanted[i];
    return some;
}

// Spreads a column of some of n slots to those that want it (1, else 0); the others get `rest`.
static bool column_spread(const struct columns *c, const struct column *x, const uint8_t *wanted,
                          size_t n, uint64_t rest, uint64_t *out)
{
    uint64_t v[BLOCK_CHUNKS_MAX + 1];
    size_t at = 0;

    if (x->n == n)
        return column_unpack(c, x, out);
    if (x->n && !column_unpack(c, x, v))
        return false;
    v[x->n] = 0; // looked at, not taken
    for (size_t i = 0; i < n; i++) {
        uint64_t mask = -(uint64_t)wanted[i];

        out[i] = (v[at] & mask) | (rest & ~mask);
        at += wanted[i];
    }
    return true;
}

/* ---- all of them ---- */

static bool get_ids(struct block_reader *r, struct columns *c, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX], id = bytes_varint(&c->b), any = 0;
    struct column x;

    if (c->b.bad || id > UINT32_MAX || !column_open(c, n, &x) || !column_unpack(c, &x, v))
        return false;
    for (size_t i = 0; i < n; i++) {
        any |= v[i];
        id += v[i];
        r->id[i] = (uint32_t)id;
    }
    return !(any >> 32) && id <= UINT32_MAX;
}

HOT_CLONES
static bool lengths_are_valid(const uint16_t *v, size_t n)
{
    uint16_t any = 0;

    static_assert(CHUNK_VALUES_MAX == 512, "n − 1 has nine bits");
    for (size_t i = 0; i < n; i++)
        any |= (uint16_t)(v[i] - 1);
    return any < CHUNK_VALUES_MAX;
}

static bool get_lengths(struct block_reader *r, struct columns *c, size_t n)
{
    uint32_t values = 0;

    if (!get_column_16(c, n, r->n) || !lengths_are_valid(r->n, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->value_first[i] = values;
        values += r->n[i];
    }
    r->value_first[n] = values;
    return values <= BLOCK_VALUES_MAX;
}

static bool get_times(struct block_reader *r, struct columns *c, size_t n)
{
    uint64_t v[BLOCK_CHUNKS_MAX], time = 0, any = 0;
    struct column x;

    if (!column_open(c, n, &x) || !column_unpack(c, &x, v))
        return false;
    for (size_t i = 0; i < n; i++) {
        time += (uint64_t)unzigzag(v[i]);
        any |= time;
        r->time[i] = (uint32_t)time;
    }
    if (any >> 32 || !get_column_16(c, n, r->time_start))
        return false;
    any = 0;
    for (size_t i = 0; i < n; i++)
        any |= r->time_start[i];
    return any < CHUNK_VALUES_MAX;
}

static bool get_forms(struct block_reader *r, struct columns *c, size_t n)
{
    size_t at = 0;

    if (!get_column_16(c, n, r->form))
        return false;
    for (size_t i = 0; i < n; i++) {
        r->slot[i] = (uint16_t)at;
        r->slot_form[at] = r->form[i];
        r->slot_n[at] = r->n[i];
        at += form_has_payload(r->form[i]);
    }
    r->payloads = at;
    return true;
}

// What bits of scale and form say of the other columns.
HOT_CLONES
static bool note_scales(struct block_reader *r, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++) {
        any |= r->scale[i];
        r->has_gcd[i] = r->scale[i] >> 6;
    }
    for (size_t i = 0; i < n; i++)
        r->has_base[i] = (uint8_t)(~r->slot_form[i] >> 3 & 1);
    return !(any >> 7);
}

static bool get_scales(struct block_reader *r, struct columns *c, size_t n)
{
    return get_column_8(c, n, r->width) && get_column_8(c, n, r->scale) && note_scales(r, n) &&
           column_open(c, count_wanted(r->has_gcd, n), &r->gcd_column) &&
           get_column_16(c, n, r->patches) && get_column_16(c, n, r->exceptions) &&
           column_open(c, count_wanted(r->has_base, n), &r->base_column);
}

HOT_CLONES
static void note_extra(const struct block_reader *r, size_t n, uint8_t *wanted)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t any = r->patches[i] | r->exceptions[i];

        wanted[i] = (any != 0) | (r->slot_form[i] >= DOMAIN_ULPS << 4);
    }
}

static bool get_offsets(struct block_reader *r, struct columns *c, size_t n, size_t payload_bytes)
{
    uint64_t extra[BLOCK_CHUNKS_MAX], offset = 0, any = 0;
    uint8_t wanted[BLOCK_CHUNKS_MAX];
    struct column x;

    note_extra(r, n, wanted);
    if (!column_open(c, count_wanted(wanted, n), &x) || !column_spread(c, &x, wanted, n, 0, extra))
        return false;
    for (size_t i = 0; i < n; i++) {
        any |= extra[i];
        r->offset[i] = (uint32_t)offset;
        offset += packed_bytes(r->slot_n[i] - 1u, r->width[i]) + extra[i];
    }
    r->offset[n] = (uint32_t)offset;
    return !(any >> 32) && offset <= payload_bytes; // no sum of these can wrap
}

static bool read_columns(struct block_reader *r, struct columns *c, size_t n, size_t payload_bytes)
{
    if (!get_ids(r, c, n) || !get_lengths(r, c, n) || !get_times(r, c, n) || !get_forms(r, c, n))
        return false;
    if (r->payloads &&
        (!get_scales(r, c, r->payloads) || !get_offsets(r, c, r->payloads, payload_bytes)))
        return false;
    return column_open(c, n, &r->first_column) && bytes_left(&c->b) == 0;
}

bool block_reader_open(struct block_reader *r, const uint8_t *p, size_t n)
{
    struct columns c = { bytes_of(str_of((const char *)p, n)), p + n + 8 };
    size_t chunks = bytes_le16(&c.b);
    unsigned format = bytes_le16(&c.b);
    size_t bytes = bytes_le32(&c.b), payload_bytes = bytes_left(&c.b);

    r->chunks = 0;
    if (c.b.bad || format != BLOCK_FORMAT || chunks < 1 || chunks > BLOCK_CHUNKS_MAX ||
        bytes > payload_bytes || payload_bytes > UINT32_MAX)
        return false;
    payload_bytes -= bytes;
    r->payload = c.b.p + bytes;
    r->readable = c.readable;
    c.b.end = r->payload;
    if (!read_columns(r, &c, chunks, payload_bytes))
        return false;
    r->chunks = chunks;
    r->decoded = 0;
    r->is_spread = false;
    memset(r->known, 0, chunks);
    if (r->value_first[chunks] > r->k_cap) {
        xfree(r->k);
        r->k_cap = r->value_first[chunks];
        r->k = xmalloc(r->k_cap * sizeof *r->k);
    }
    return true;
}

static bool spread_columns(struct block_reader *r)
{
    struct columns c = { { NULL, r->payload, false }, r->readable };
    size_t n = r->payloads;

    r->is_spread = column_unpack(&c, &r->first_column, r->first) &&
                   (!n || (column_spread(&c, &r->gcd_column, r->has_gcd, n, (uint64_t)-1, r->gcd) &&
                           column_spread(&c, &r->base_column, r->has_base, n, 0, r->base)));
    return r->is_spread;
}

static bool stored_first(const struct block_reader *r, size_t chunk, uint64_t *out)
{
    struct columns c = { { NULL, r->payload, false }, r->readable };

    *out = r->first[chunk];
    return r->is_spread || column_at(&c, &r->first_column, chunk, out);
}

// gcd and base of a slot.
static bool stored_scale(const struct block_reader *r, size_t slot, uint64_t *gcd, uint64_t *base)
{
    struct columns c = { { NULL, r->payload, false }, r->readable };

    *gcd = (uint64_t)-1;
    *base = 0;
    if (r->is_spread) {
        *gcd = r->gcd[slot];
        *base = r->base[slot];
        return true;
    }
    return (!r->has_gcd[slot] ||
            column_at(&c, &r->gcd_column, count_wanted(r->has_gcd, slot), gcd)) &&
           (!r->has_base[slot] ||
            column_at(&c, &r->base_column, count_wanted(r->has_base, slot), base));
}

/* ---- chunks ---- */

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
    return (struct chunk_key){ r->id[chunk], r->time[chunk], r->time_start[chunk] };
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
    uint64_t number;

    return stored_first(r, chunk, &number) ? number : UINT64_MAX;
}

// The chunk that chunk i refers to; NO_REF: there is none that could be.
static size_t reader_twin(const struct block_reader *r, size_t i)
{
    size_t stop = i > CHUNK_REF_BACK ? i - CHUNK_REF_BACK : 0, j = i;

    do {
        if (j-- == stop)
            return NO_REF;
    } while (r->time[j] != r->time[i] || r->n[j] != r->n[i] ||
             r->time_start[j] != r->time_start[i]);
    if (!form_has_payload(r->form[j]) || form_domain(r->form[j]) != form_domain(r->form[i]))
        return NO_REF;
    return j;
}

static bool form_is_valid(unsigned form)
{
    unsigned domain = form_domain(form);

    if (domain > DOMAIN_MAX || form_mode(form) >= MODE_COUNT)
        return false;
    if (form_mode(form) == MODE_LINK && domain != DOMAIN_INT)
        return false;
    return domain == DOMAIN_SPECIAL ? form_mode(form) == MODE_CONST
                                    : domain < DOMAIN_ULPS || form_has_payload(form);
}

static bool decode_payload(struct block_reader *r, size_t chunk, struct ints_form *f,
                           const uint64_t *ref)
{
    size_t n = r->n[chunk], slot = r->slot[chunk];
    const uint8_t *p = r->payload + r->offset[slot];
    uint64_t gcd, base;

    if (!stored_scale(r, slot, &gcd, &base))
        return false;
    f->zigzag = form_is_zigzag(r->form[chunk]);
    f->base = (uint64_t)unzigzag(base);
    f->gcd = 2 * gcd + 3; // without one: 1
    f->shift = r->scale[slot] & 63;
    f->width = r->width[slot];
    f->patches = r->patches[slot];
    if (!ints_form_is_valid(f, n))
        return false;
    size_t used = ints_decode(f, n, p, r->offset[slot + 1] - r->offset[slot], ref,
                              r->k + r->value_first[chunk]);
    r->used[chunk] = (uint32_t)used;
    return used != SIZE_MAX;
}

// Decodes the integers of a chunk; those of `twin` are known if it refers to one.
static bool know_one(struct block_reader *r, size_t chunk, size_t twin)
{
    unsigned form = r->form[chunk], behind = 0;
    struct ints_form f = { .gcd = 1, .mode = (uint8_t)form_mode(form) };
    const uint64_t *ref = NULL;
    uint64_t first;

    if (!form_is_valid(form) || !stored_first(r, chunk, &first))
        return false;
    if (f.mode == MODE_REF) {
        ref = r->k + r->value_first[twin];
        behind = r->known[twin];
        f.first = ref[0] + (uint64_t)unzigzag(first);
    } else {
        f.first = chunk_first_unpack((uint8_t)form_domain(form), first);
    }
    if (behind > CHUNK_CHAIN_MAX)
        return false;
    if (!form_has_payload(form)) // a constant
        ints_decode(&f, r->n[chunk], NULL, 0, NULL, r->k + r->value_first[chunk]);
    else if (!decode_payload(r, chunk, &f, ref))
        return false;
    r->known[chunk] = (uint8_t)(behind + 1);
    return true;
}

// Decodes the chain of references from its far end; it is short, see CHUNK_CHAIN_MAX.
static bool know(struct block_reader *r, size_t chunk)
{
    uint16_t chain[CHUNK_CHAIN_MAX + 1];
    size_t n = 0, at = chunk;

    if (r->decoded++ == SPARSE_MAX && !spread_columns(r))
        return false;
    while (!r->known[at]) {
        if (n == ARRAY_LEN(chain))
            return false;
        chain[n++] = (uint16_t)at;
        if (form_mode(r->form[at]) != MODE_REF)
            break;
        at = reader_twin(r, at);
        if (at == NO_REF)
            return false;
    }
    for (; n--; at = chain[n])
        if (!know_one(r, chain[n], at))
            return false;
    return true;
}

bool block_reader_doubles(struct block_reader *r, size_t chunk, double *out)
{
    struct chunk_desc d = { .n = r->n[chunk], .domain = (uint8_t)form_domain(r->form[chunk]) };
    size_t offset = 0, bytes = 0, slot = r->slot[chunk];

    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_DOUBLES || !know(r, chunk))
        return false;
    if (form_has_payload(r->form[chunk])) {
        d.exceptions = r->exceptions[slot];
        if (d.exceptions > d.n)
            return false;
        offset = r->offset[slot] + r->used[chunk];
        bytes = r->offset[slot + 1] - offset;
    }
    return chunk_decode_doubles(&d, r->payload + offset, bytes, r->k + r->value_first[chunk], out);
}

bool block_reader_may_be_nan(const struct block_reader *r, size_t chunk)
{
    unsigned domain = form_domain(r->form[chunk]);

    assert(chunk < r->chunks);
    if (domain == DOMAIN_BITS || domain == DOMAIN_SPECIAL)
        return true;
    return form_has_payload(r->form[chunk]) && r->exceptions[r->slot[chunk]] > 0;
}

bool block_reader_ints(struct block_reader *r, size_t chunk, int64_t *out)
{
    assert(chunk < r->chunks);
    if (block_reader_kind(r, chunk) != CHUNK_INTS || !know(r, chunk))
        return false;
    memcpy(out, r->k + r->value_first[chunk], r->n[chunk] * sizeof *out);
    return true;
}
