/*
 * chunk_ints.c - runs of up to 512 integers: differences, common factors, packed bits, patches.
 *
 * All arithmetic is modulo 2^64. With G = gcd << shift and m = n − 1 residuals r[1..m]:
 *
 *   FOR   k[i] = first + r[i]·G
 *   D1    k[i] = k[i−1] + r[i]·G
 *   D2    k[i] = k[i−1] + s[i]·G, s[i] = s[i−1] + r[i], s[0] = 0
 *   REF   k[i] = k[i−1] + (ref[i] − ref[i−1]) + r[i], gcd 1, shift 0
 *
 * A residual is stored as u[i] = r[i] − base, or as zigzag(r[i]), in `width` bits at bit
 * (i−1)·width, least significant first; width 64 means whole words. What does not fit is
 * patched: behind the packed bits follow, per patch, varint(gap to the position after the
 * patch before) and varint(u >> width); the packed bits hold the low part.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/chunk_priv.h"

enum {
    PATCH_MIN_VALUES = 12, // fewer: no outlier pays
    PROBE_VALUES = 96,     // looked at before a mode is tried in earnest
};

void ints_pack(uint8_t *out, const uint64_t *v, size_t m, unsigned width)
{
    uint64_t acc = 0;
    unsigned have = 0;

    assert(width <= CHUNK_WIDTH_MAX || width == 64);
    if (width == 64) {
        memcpy(out, v, m * 8);
        return;
    }
    if (width == 0)
        return;
    uint64_t mask = (UINT64_C(1) << width) - 1;
    for (size_t i = 0; i < m; i++) {
        // have < 8 here: together at most 7 + 56 bits.
        acc |= (v[i] & mask) << have;
        have += width;
        put_le64(out, acc);
        out += have / 8;
        acc >>= have & ~7u;
        have &= 7;
    }
}

typedef uint64_t lanes __attribute__((vector_size(32), aligned(8)));

// Eight numbers of at most 16 bits take `width` bytes: two words have them all.
static inline __attribute__((always_inline)) size_t unpack_eights(uint64_t *out, const uint8_t *p,
                                                                  size_t m, unsigned width)
{
    uint64_t mask = (UINT64_C(1) << width) - 1;
    unsigned half = width <= 8 ? 0 : width / 2;
    unsigned skip = width <= 8 ? 4 * width : 4 * (width & 1);
    lanes shifts = { 0, width, 2 * width, 3 * width }, masks = { mask, mask, mask, mask };
    size_t i = 0;

    for (; i + 8 <= m; i += 8, p += width) {
        uint64_t x = get_le64(p), y = get_le64(p + half) >> skip;
        lanes low = { x, x, x, x }, high = { y, y, y, y };

        *(lanes *)(out + i) = low >> shifts & masks;
        *(lanes *)(out + i + 4) = high >> shifts & masks;
    }
    return i;
}

HOT_CLONES
void ints_unpack(uint64_t *out, const uint8_t *p, size_t m, unsigned width)
{
    assert(width <= CHUNK_WIDTH_MAX || width == 64);
    if (width == 64) {
        memcpy(out, p, m * 8);
        return;
    }
    uint64_t mask = (UINT64_C(1) << width) - 1;
    size_t i = width <= 16 ? unpack_eights(out, p, m, width) : 0, bit = i * width;
    for (; i < m; i++, bit += width)
        out[i] = get_le64(p + bit / 8) >> (bit % 8) & mask;
}

// Fills count[len] with the number of values of each bit length.
HOT_CLONES
static void count_lengths(const uint64_t *v, size_t m, uint16_t count[static 65])
{
    uint16_t other[65] = { 0 };
    size_t i = 0;

    memset(count, 0, 65 * sizeof *count);
    // Two tables: equal neighbours would wait for each other's store.
    for (; i + 1 < m; i += 2) {
        count[bit_length(v[i])]++;
        other[bit_length(v[i + 1])]++;
    }
    if (i < m)
        count[bit_length(v[i])]++;
    for (unsigned len = 0; len <= 64; len++)
        count[len] = (uint16_t)(count[len] + other[len]);
}

static inline unsigned width_allowed(unsigned width)
{
    return width > CHUNK_WIDTH_MAX ? 64 : width;
}

unsigned ints_choose_width(const uint64_t *v, size_t m, uint64_t *bits)
{
    uint16_t count[65];
    unsigned top = 64, best;
    size_t outliers = 0;

    if (m < PATCH_MIN_VALUES) {
        uint64_t any = 0;

        for (size_t i = 0; i < m; i++)
            any |= v[i];
        best = width_allowed(bit_length(any));
        *bits = (uint64_t)m * best;
        return best;
    }
    count_lengths(v, m, count);
    while (top && !count[top])
        top--;
    best = width_allowed(top);
    *bits = (uint64_t)m * best;
    for (unsigned width = top; width-- > 0;) {
        outliers += count[width + 1];
        if (outliers > m / 4)
            break;
        if (!count[width] && width)
            continue; // the next smaller width has the same outliers and fewer packed bits
        if (width > CHUNK_WIDTH_MAX)
            continue;
        uint64_t cost = (uint64_t)m * width + outliers * 8;
        for (unsigned len = width + 1; len <= top; len++)
            cost += (uint64_t)count[len] * ((len - width + 6) / 7) * 8;
        if (cost < *bits) {
            *bits = cost;
            best = width;
        }
    }
    return best;
}

uint16_t ints_put_patches(struct buf *out, const uint64_t *v, size_t m, unsigned width)
{
    uint16_t patches = 0;
    size_t next = 0;

    if (width == 64)
        return 0;
    for (size_t i = 0; i < m; i++) {
        if (LIKELY(!(v[i] >> width)))
            continue;
        buf_varint(out, i - next);
        buf_varint(out, v[i] >> width);
        next = i + 1;
        patches++;
    }
    return patches;
}

size_t ints_get_patches(uint64_t *v, size_t m, unsigned width, unsigned patches, const uint8_t *p,
                        size_t n)
{
    struct bytes b = bytes_of(str_of((const char *)p, n));
    size_t at = 0;

    if (width > CHUNK_WIDTH_MAX)
        return patches ? SIZE_MAX : 0;
    for (unsigned i = 0; i < patches; i++) {
        uint64_t gap = bytes_varint(&b);
        uint64_t high = bytes_varint(&b);

        if (b.bad || at >= m || gap >= m - at)
            return SIZE_MAX;
        at += gap;
        v[at++] |= high << width;
    }
    return (size_t)(b.p - p);
}

/* ---- encoding ---- */

struct range {
    int64_t min, max;
};

HOT_CLONES
static struct range range_of(const uint64_t *v, size_t m)
{
    int64_t min = (int64_t)v[0], max = (int64_t)v[0];

    for (size_t i = 1; i < m; i++) {
        int64_t x = (int64_t)v[i];

        min = x < min ? x : min;
        max = x > max ? x : max;
    }
    return (struct range){ min, max };
}

HOT_CLONES
static uint64_t deltas(uint64_t *r, const uint64_t *k, size_t n)
{
    uint64_t any = 0;

    for (size_t i = 1; i < n; i++) {
        r[i - 1] = k[i] - k[i - 1];
        any |= r[i - 1];
    }
    return any;
}

HOT_CLONES
static void sums(uint64_t *x, const uint64_t *r, size_t m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < m; i++)
        x[i] = sum += r[i];
}

HOT_CLONES
static void minus(uint64_t *u, const uint64_t *r, size_t m, uint64_t base)
{
    for (size_t i = 0; i < m; i++)
        u[i] = r[i] - base;
}

HOT_CLONES
static void zigzags(uint64_t *u, const uint64_t *r, size_t m)
{
    for (size_t i = 0; i < m; i++)
        u[i] = zigzag((int64_t)r[i]);
}

HOT_CLONES
static void scale(uint64_t *r, size_t m, unsigned shift, uint64_t inverse)
{
    for (size_t i = 0; i < m; i++)
        r[i] = (uint64_t)((int64_t)r[i] >> shift) * inverse;
}

// The odd x with a·x = 1 modulo 2^64, for odd a: Newton's iteration doubles the right bits.
static uint64_t inverse_of(uint64_t a)
{
    uint64_t x = a * 3 ^ 2; // 5 bits

    for (int i = 0; i < 4; i++)
        x *= 2 - a * x;
    return x;
}

static uint64_t magnitude(uint64_t r)
{
    return (int64_t)r < 0 ? -r : r;
}

static uint64_t gcd_odd(uint64_t a, uint64_t b)
{
    while (b) {
        b >>= __builtin_ctzll(b);
        if (a > b) {
            uint64_t t = a;
            a = b;
            b = t;
        }
        b -= a;
    }
    return a;
}

// The greatest odd common divisor of the residuals after the shift; 1 when there is none.
static uint64_t common_divisor(const uint64_t *r, size_t m, unsigned shift)
{
    uint64_t g = 0, inverse = 0, quotient_max = 0;

    for (size_t i = 0; i < m; i++) {
        uint64_t x = magnitude(r[i]) >> shift;

        if (x == 0 || (g && x * inverse <= quotient_max))
            continue; // divisible: the exact quotient is small
        x >>= __builtin_ctzll(x);
        g = g ? gcd_odd(g, x) : x;
        if (g == 1)
            return 1;
        inverse = inverse_of(g);
        quotient_max = UINT64_MAX / g;
    }
    return g ? g : 1;
}

// Sum of bit lengths of the zigzagged values: a cheap measure of what they cost.
HOT_CLONES
static unsigned probe(const uint64_t *r, size_t m)
{
    unsigned sum = 0;

    for (size_t i = 0; i < m; i++)
        sum += bit_length(zigzag((int64_t)r[i]));
    return sum;
}

static bool second_deltas_pay(const uint64_t *r, size_t m)
{
    uint64_t s[PROBE_VALUES];
    size_t probed = MIN(m, (size_t)PROBE_VALUES);

    if (probed < 8)
        return false;
    for (size_t i = 1; i < probed; i++)
        s[i - 1] = r[i] - r[i - 1];
    // A quarter bit a value must be gained, and twice the first difference paid.
    return probe(s, probed - 1) + probed / 4 + 16 < probe(r + 1, probed - 1);
}

static bool reference_pays(const uint64_t *r, const uint64_t *ref, size_t m)
{
    uint64_t s[PROBE_VALUES];
    size_t probed = MIN(m, (size_t)PROBE_VALUES);

    for (size_t i = 0; i < probed; i++)
        s[i] = r[i] - (ref[i + 1] - ref[i]);
    return probe(s, probed) + probed / 8 < probe(r, probed);
}

struct candidate {
    uint64_t bits;
    uint64_t base;
    unsigned width;
    bool zigzag;
};

// Least size of residuals r with a base or zigzagged; u is left as the winner wants it.
static struct candidate choose_form(const uint64_t *r, size_t m, uint64_t *u)
{
    struct range range = range_of(r, m);
    struct candidate best = { .base = (uint64_t)range.min };

    minus(u, r, m, best.base);
    best.width = ints_choose_width(u, m, &best.bits);
    if (range.min < 0 && range.max > 0 && m >= PATCH_MIN_VALUES) {
        struct candidate other = { .zigzag = true };
        uint64_t z[CHUNK_VALUES_MAX];

        zigzags(z, r, m);
        other.width = ints_choose_width(z, m, &other.bits);
        if (other.bits < best.bits) {
            memcpy(u, z, m * sizeof *z);
            return other;
        }
    }
    return best;
}

static void put_payload(struct buf *out, const uint64_t *u, size_t m, const struct candidate *c,
                        struct ints_form *form)
{
    size_t bytes = packed_bytes(m, c->width);

    ints_pack((uint8_t *)buf_room(out, bytes + 8), u, m, c->width);
    out->n += bytes;
    form->base = c->base;
    form->zigzag = c->zigzag;
    form->width = (uint8_t)c->width;
    form->patches = ints_put_patches(out, u, m, c->width);
}

// Tries FOR against the differences' candidate; x has room for m.
static bool for_pays(const uint64_t *r, size_t m, const struct candidate *d1, uint64_t *x,
                     uint64_t *u, struct candidate *out)
{
    sums(x, r, m);
    struct range range = range_of(x, m);
    unsigned width = bit_length((uint64_t)range.max - (uint64_t)range.min);

    // Outliers may still be patched away, but not two bits a value.
    if ((uint64_t)width * m > d1->bits + 2 * m)
        return false;
    *out = choose_form(x, m, u);
    return out->bits < d1->bits;
}

static void encode_reference(const uint64_t *r, const uint64_t *ref, size_t m,
                             struct ints_form *form, struct buf *payload)
{
    uint64_t s[CHUNK_VALUES_MAX], u[CHUNK_VALUES_MAX];

    for (size_t i = 0; i < m; i++)
        s[i] = r[i] - (ref[i + 1] - ref[i]);
    struct candidate c = choose_form(s, m, u);
    form->mode = MODE_REF;
    form->gcd = 1;
    put_payload(payload, u, m, &c, form);
}

void ints_encode(const uint64_t *k, size_t n, const uint64_t *ref, struct ints_form *form,
                 struct buf *payload)
{
    uint64_t r[CHUNK_VALUES_MAX], u[CHUNK_VALUES_MAX], x[CHUNK_VALUES_MAX], u2[CHUNK_VALUES_MAX];
    size_t m = n - 1;

    assert(n >= 1 && n <= CHUNK_VALUES_MAX);
    *form = (struct ints_form){ .first = k[0], .gcd = 1, .mode = MODE_CONST };
    uint64_t any = deltas(r, k, n);
    if (any == 0)
        return;
    if (ref && reference_pays(r, ref, m)) {
        encode_reference(r, ref, m, form, payload);
        return;
    }
    form->shift = (uint8_t)__builtin_ctzll(any);
    form->gcd = common_divisor(r, m, form->shift);
    if (form->shift || form->gcd != 1)
        scale(r, m, form->shift, inverse_of(form->gcd));

    struct candidate best = choose_form(r, m, u), other;
    form->mode = MODE_D1;
    const uint64_t *chosen = u;
    if (best.bits > m && second_deltas_pay(r, m)) {
        x[0] = r[0];
        deltas(x + 1, r, m);
        other = choose_form(x, m, u2);
        if (other.bits < best.bits) {
            form->mode = MODE_D2;
            put_payload(payload, u2, m, &other, form);
            return;
        }
    }
    if (best.bits && for_pays(r, m, &best, x, u2, &other)) {
        form->mode = MODE_FOR;
        best = other;
        chosen = u2;
    }
    put_payload(payload, chosen, m, &best, form);
}

/* ---- decoding ---- */

bool ints_form_is_valid(const struct ints_form *f, size_t n)
{
    if (f->mode >= MODE_COUNT || f->shift > 63 || !(f->gcd & 1) || f->zigzag > 1)
        return false;
    if (f->width > CHUNK_WIDTH_MAX && f->width != 64)
        return false;
    return f->patches < n;
}

HOT_CLONES
static void undo_form(uint64_t *r, size_t m, const struct ints_form *f)
{
    uint64_t base = f->base, factor = f->gcd << f->shift;

    if (f->zigzag) {
        for (size_t i = 0; i < m; i++)
            r[i] = (uint64_t)unzigzag(r[i]);
    } else if (base) {
        for (size_t i = 0; i < m; i++)
            r[i] += base;
    }
    if (factor != 1)
        for (size_t i = 0; i < m; i++)
            r[i] *= factor;
}

// In place: k[0] is set, k[1..m] are residuals.
HOT_CLONES
static void undo_mode(uint64_t *k, size_t m, enum chunk_mode mode, const uint64_t *ref)
{
    uint64_t sum = k[0], step = 0;

    switch (mode) {
    case MODE_FOR:
        for (size_t i = 1; i <= m; i++)
            k[i] += sum;
        break;
    case MODE_D1:
        for (size_t i = 1; i <= m; i++)
            k[i] = sum += k[i];
        break;
    case MODE_D2:
        for (size_t i = 1; i <= m; i++)
            k[i] = sum += step += k[i];
        break;
    case MODE_REF:
        sum -= ref[0];
        for (size_t i = 1; i <= m; i++) {
            sum += k[i];
            k[i] = sum + ref[i];
        }
        break;
    default:
        break;
    }
}

size_t ints_decode(const struct ints_form *f, size_t n, const uint8_t *p, size_t n_bytes,
                   const uint64_t *ref, uint64_t *k)
{
    size_t m = n - 1, used = packed_bytes(m, f->width);

    k[0] = f->first;
    if (f->mode == MODE_CONST) {
        for (size_t i = 1; i < n; i++)
            k[i] = f->first;
        return 0;
    }
    if (used > n_bytes)
        return SIZE_MAX;
    ints_unpack(k + 1, p, m, f->width);
    if (f->patches) {
        size_t more = ints_get_patches(k + 1, m, f->width, f->patches, p + used, n_bytes - used);

        if (more == SIZE_MAX)
            return SIZE_MAX;
        used += more;
    }
    undo_form(k + 1, m, f);
    undo_mode(k, m, f->mode, ref);
    return used;
}
