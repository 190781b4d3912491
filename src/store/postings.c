/*
 * postings.c - blocks of positions, and sets.
 *
 * A block, gap being the first position minus the end of the block before (last
 * position + 1, 0 at first):
 *
 *   run     0x80, varint gap, varint count − 1: count neighbours
 *   packed  width 0..32, count − 1 (0..127), varint gap, varint span (last − first;
 *           absent for one), then count − 1 numbers of `width` bits: each position
 *           minus the one before minus 1
 *
 * The span lets a reader step over a block that ends too early.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/postings.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/sort.h"

enum { RUN_TAG = 0x80, RUN_MIN = 48 }; // shorter runs are packed with their neighbours

/* ---- bits ---- */

void buf_bits(struct buf *b, const uint32_t *v, size_t n, unsigned width)
{
    uint64_t word = 0;
    unsigned fill = 0;

    assert(width <= 32);
    uint8_t *p = (uint8_t *)buf_room(b, bits_bytes(n, width) + 8);

    b->n += bits_bytes(n, width);
    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)v[i] << fill;
        for (fill += width; fill >= 8; fill -= 8, word >>= 8)
            *p++ = (uint8_t)word;
    }
    if (fill)
        *p = (uint8_t)word;
}

/* ---- packing ---- */

void postings_encoder_reset(struct postings_encoder *c)
{
    c->emitted = 0;
    c->end = c->run_first = c->run_count = c->n = 0;
}

void postings_encoder_fini(struct postings_encoder *c)
{
    buf_fini(&c->block);
}

static bool emit(struct postings_encoder *c, struct err *e)
{
    if (!c->emit(c->ctx, buf_view(&c->block), e))
        return false;
    c->emitted += c->block.n;
    buf_reset(&c->block);
    return true;
}

static bool emit_packed(struct postings_encoder *c, struct err *e)
{
    struct buf *b = &c->block;
    uint32_t delta[POSTINGS_BLOCK], all = 0, first = c->v[0], last = c->v[c->n - 1];

    assert(first >= c->end && last - first >= c->n - 1);
    for (uint32_t i = 1; i < c->n; i++) {
        delta[i - 1] = c->v[i] - c->v[i - 1] - 1;
        all |= delta[i - 1];
    }
    buf_char(b, (char)bits_width(all));
    buf_char(b, (char)(c->n - 1));
    buf_varint(b, first - c->end);
    if (c->n > 1)
        buf_varint(b, last - first);
    buf_bits(b, delta, c->n - 1, bits_width(all));
    c->end = last + 1;
    c->n = 0;
    return emit(c, e);
}

static bool emit_run(struct postings_encoder *c, struct err *e)
{
    struct buf *b = &c->block;

    assert(c->run_first >= c->end);
    buf_char(b, (char)RUN_TAG);
    buf_varint(b, c->run_first - c->end);
    buf_varint(b, c->run_count - 1);
    c->end = c->run_first + c->run_count;
    c->run_count = 0;
    return emit(c, e);
}

// Gives the pending run away: as a block of its own or to the packed positions.
static bool settle_run(struct postings_encoder *c, struct err *e)
{
    if (c->run_count >= RUN_MIN)
        return (c->n == 0 || emit_packed(c, e)) && emit_run(c, e);
    for (; c->run_count; c->run_count--, c->run_first++) {
        c->v[c->n++] = c->run_first;
        if (c->n == POSTINGS_BLOCK && !emit_packed(c, e))
            return false;
    }
    return true;
}

bool postings_encoder_run(struct postings_encoder *c, uint32_t first, uint32_t count, struct err *e)
{
    assert(count > 0 && first + count > first);
    assert(first >= c->run_first + c->run_count && (c->n == 0 || first > c->v[c->n - 1]));
    if (c->run_count == 0 || first != c->run_first + c->run_count) {
        if (!settle_run(c, e))
            return false;
        c->run_first = first;
    }
    c->run_count += count;
    return true;
}

bool postings_encoder_end(struct postings_encoder *c, struct err *e)
{
    return settle_run(c, e) && (c->n == 0 || emit_packed(c, e));
}

/* ---- unpacking ---- */

static bool unpack_run(struct postings_state *s, struct bytes *in, uint32_t from,
                       struct postings_block *out)
{
    uint64_t gap = bytes_varint(in), more = bytes_varint(in), first = s->end + gap;

    if (in->bad || gap > s->limit || more >= s->left || first + more >= s->limit)
        return false;
    s->left -= (uint32_t)more + 1;
    s->end = (uint32_t)(first + more) + 1;
    *out = (struct postings_block){ s->end <= from ? 0 : (uint32_t)more + 1, (uint32_t)first,
                                    NULL };
    return true;
}

bool postings_unpack(struct postings_state *s, const uint8_t **p, const uint8_t *end, uint32_t from,
                     uint32_t *v, struct postings_block *out)
{
    struct bytes in = { *p, end, false };
    uint8_t width = bytes_u8(&in);

    if (width == RUN_TAG) {
        bool ok = unpack_run(s, &in, from, out);
        *p = in.p;
        return ok;
    }
    uint32_t n = (uint32_t)bytes_u8(&in) + 1;
    uint64_t gap = bytes_varint(&in), span = n > 1 ? bytes_varint(&in) : 0, first = s->end + gap;
    struct str packed = bytes_take(&in, bits_bytes(n - 1, MIN(width, 32)));
    if (in.bad || width > 32 || n > POSTINGS_BLOCK || n > s->left || gap > s->limit ||
        span > s->limit || first + span >= s->limit)
        return false;
    *p = in.p;
    s->left -= n;
    s->end = (uint32_t)(first + span) + 1;
    *out = (struct postings_block){ s->end <= from ? 0 : n, (uint32_t)first, v };
    if (out->n == 0)
        return true;
    v[0] = (uint32_t)first;
    uint64_t at = first;
    for (uint32_t i = 1; i < n; i++) {
        at += (uint64_t)bits_get((const uint8_t *)packed.p, i - 1, width) + 1;
        v[i] = (uint32_t)at;
    }
    return at == first + span;
}

/* ---- sets ---- */

void posset_init(struct posset *s, uint32_t universe)
{
    *s = (struct posset){ .universe = universe };
}

void posset_fini(struct posset *s)
{
    xfree(s->bits);
    xfree(s->v);
    *s = (struct posset){ 0 };
}

static void list_room(struct posset *s, size_t more)
{
    if (s->cap - s->n >= more)
        return;
    s->cap = MAX(s->cap + s->cap / 2, MAX(s->n + more, (size_t)16));
    s->v = xrealloc(s->v, s->cap * sizeof *s->v);
}

static void bits_fill(uint64_t *bits, uint32_t first, uint32_t n)
{
    uint64_t end = (uint64_t)first + n;

    for (uint64_t i = first; i < end;) {
        unsigned from = i % 64;
        uint64_t take = MIN(end - i, (uint64_t)(64 - from));
        bits[i / 64] |= (take == 64 ? ~UINT64_C(0) : (UINT64_C(1) << take) - 1) << from;
        i += take;
    }
}

static void add_bits(struct posset *s, const struct postings_block *b)
{
    if (!b->v)
        bits_fill(s->bits, b->first, b->n);
    for (uint32_t i = 0; b->v && i < b->n; i++)
        s->bits[b->v[i] / 64] |= UINT64_C(1) << (b->v[i] % 64);
}

static void list_to_bits(struct posset *s)
{
    s->is_bits = true;
    s->unsorted = false;
    s->bits = xcalloc(s->universe / 64 + 1, sizeof *s->bits);
    for (size_t i = 0; i < s->n; i++)
        s->bits[s->v[i] / 64] |= UINT64_C(1) << (s->v[i] % 64);
    xfree(s->v);
    s->v = NULL;
    s->n = s->cap = 0;
}

void posset_add(struct posset *s, const struct postings_block *b)
{
    if (b->n == 0)
        return;
    uint32_t first = b->v ? b->v[0] : b->first;
    assert(first < s->universe && b->n <= s->universe);
    if (!s->is_bits && s->n + b->n > s->universe / 32)
        list_to_bits(s);
    if (s->is_bits) {
        add_bits(s, b);
        return;
    }
    list_room(s, b->n);
    if (s->n > 0 && s->v[s->n - 1] >= first)
        s->unsorted = true;
    for (uint32_t i = 0; i < b->n; i++)
        s->v[s->n + i] = b->v ? b->v[i] : b->first + i;
    s->n += b->n;
}

void posset_add_one(struct posset *s, uint32_t position)
{
    posset_add(s, &(struct postings_block){ 1, position, NULL });
}

void posset_fill(struct posset *s)
{
    posset_fini(&(struct posset){ .bits = s->bits, .v = s->v });
    *s = (struct posset){ .universe = s->universe, .is_bits = true };
    s->bits = xcalloc(s->universe / 64 + 1, sizeof *s->bits);
    bits_fill(s->bits, 0, s->universe);
    s->n = s->universe;
}

void posset_add_set(struct posset *s, const struct posset *from)
{
    if (from->is_bits) {
        uint32_t last = MIN(s->universe, from->universe) / 64;
        if (!s->is_bits)
            list_to_bits(s);
        for (uint32_t w = 0; w <= last; w++)
            s->bits[w] |= from->bits[w];
        if (s->universe / 64 == last) // nothing beyond the universe
            s->bits[last] &= (UINT64_C(1) << s->universe % 64) - 1;
        return;
    }
    for (size_t i = 0; i < from->n && from->v[i] < s->universe; i++)
        posset_add_one(s, from->v[i]);
}

static size_t population(const struct posset *s)
{
    size_t n = 0;

    for (uint32_t w = 0; w <= s->universe / 64; w++)
        n += (size_t)__builtin_popcountll(s->bits[w]);
    return n;
}

void posset_seal(struct posset *s)
{
    if (s->is_bits) {
        s->n = population(s);
        return;
    }
    if (!s->unsorted)
        return;
    sort_u32(s->v, s->n);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (kept == 0 || s->v[kept - 1] != s->v[i])
            s->v[kept++] = s->v[i];
    s->n = kept;
    s->unsorted = false;
}

// First index >= from whose value is >= want: doubling steps, then halving.
static size_t gallop(const uint32_t *v, size_t n, size_t from, uint32_t want)
{
    size_t step = 1, lo = from, hi = from;

    while (hi < n && v[hi] < want) {
        lo = hi + 1;
        hi += step;
        step *= 2;
    }
    hi = MIN(hi, n);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] < want)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool bit_is_set(const struct posset *s, uint32_t i)
{
    return i < s->universe && (s->bits[i / 64] >> (i % 64) & 1);
}

bool posset_has(const struct posset *s, uint32_t position)
{
    assert(!s->unsorted);
    if (s->is_bits)
        return bit_is_set(s, position);
    size_t at = gallop(s->v, s->n, 0, position);
    return at < s->n && s->v[at] == position;
}

static void filter_list(struct posset *s, const struct posset *other, bool keep)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < s->n; i++) {
        bool has;
        if (other->is_bits) {
            has = bit_is_set(other, s->v[i]);
        } else {
            at = gallop(other->v, other->n, at, s->v[i]);
            has = at < other->n && other->v[at] == s->v[i];
        }
        if (has == keep)
            s->v[kept++] = s->v[i];
    }
    s->n = kept;
}

// Bits that stay only where the short list has them: the result is that list, filtered.
static void bits_to_list(struct posset *s, const struct posset *other)
{
    struct posset list = { .universe = s->universe };

    list_room(&list, other->n);
    for (size_t i = 0; i < other->n; i++)
        if (bit_is_set(s, other->v[i]))
            list.v[list.n++] = other->v[i];
    posset_fini(s);
    *s = list;
}

void posset_filter(struct posset *s, const struct posset *other, bool keep)
{
    assert(!s->unsorted && !other->unsorted);
    if (!s->is_bits) {
        filter_list(s, other, keep);
    } else if (!other->is_bits && keep) {
        bits_to_list(s, other);
    } else if (!other->is_bits) {
        for (size_t i = 0; i < other->n && other->v[i] < s->universe; i++)
            s->bits[other->v[i] / 64] &= ~(UINT64_C(1) << (other->v[i] % 64));
        s->n = population(s);
    } else {
        uint32_t words = MIN(s->universe, other->universe) / 64;
        for (uint32_t w = 0; w <= s->universe / 64; w++) {
            uint64_t mask = w <= words ? other->bits[w] : 0;
            s->bits[w] &= keep ? mask : ~mask;
        }
        s->n = population(s);
    }
}

void posset_copy(struct posset *to, const struct posset *from)
{
    *to = *from;
    to->cap = from->n;
    to->bits = NULL;
    to->v = NULL;
    if (from->is_bits)
        to->bits = xmemdup(from->bits, (from->universe / 64 + 1) * sizeof *from->bits);
    else
        to->v = xmemdup(from->v, from->n * sizeof *from->v);
}

uint64_t posset_bytes(const struct posset *s)
{
    return s->is_bits ? (s->universe / 64 + 1) * sizeof *s->bits : s->cap * sizeof *s->v;
}

size_t posset_list(const struct posset *s, uint32_t bound, uint32_t *v)
{
    size_t n = 0;

    assert(!s->unsorted);
    if (!s->is_bits) {
        n = bound < s->universe ? gallop(s->v, s->n, 0, bound) : s->n;
        if (n)
            memcpy(v, s->v, n * sizeof *v);
        return n;
    }
    for (uint32_t w = 0; w <= s->universe / 64 && (uint64_t)w * 64 < bound; w++)
        for (uint64_t word = s->bits[w]; word; word &= word - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(word);
            if (i < bound)
                v[n++] = i;
        }
    return n;
}
