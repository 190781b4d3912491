/*
 * xor_chunk.c - Prometheus's chunks of float samples.
 *
 *   u16, big-endian         number of samples
 *   first sample            varint (zigzag) of its time, 64 bits of its value
 *   second sample           varint of the time passed, value as below
 *   every other one         time, then value
 *
 * After the count all is one stream of bits, the highest of each byte first;
 * the varints are bytes within it. A time is the change of the time passed:
 *
 *   0                       none
 *   10, 110, 1110           14, 17, 20 bits of two's complement, −(2^(n−1)−1)..2^(n−1)
 *   1111                    64 bits
 *
 * A value is the exclusive or with the one before:
 *
 *   0                       the same value
 *   10                      the bits within the last window
 *   11                      5 bits: leading zeros, at most 31; 6 bits: length of the window, 0
 *                           for 64; the bits within it
 *
 * Source: tsdb/chunkenc/xor.go and docs/bstream.md of Prometheus.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/xor_chunk.h"

enum { NO_WINDOW = 255 };

static inline uint64_t low_bits(uint64_t v, unsigned n)
{
    return n < 64 ? v & ((UINT64_C(1) << n) - 1) : v;
}

/* ---- writing ---- */

// The low n ≤ 56 bits of v.
static void put_short(struct xor_writer *w, uint64_t v, unsigned n)
{
    assert(n <= 56 && w->left < 8);
    w->bits = w->bits << n | low_bits(v, n);
    w->left += n;
    while (w->left >= 8) {
        w->left -= 8;
        buf_char(w->out, (char)(w->bits >> w->left));
    }
}

static void put_bits(struct xor_writer *w, uint64_t v, unsigned n)
{
    if (n > 32) {
        put_short(w, v >> 32, n - 32);
        n = 32;
    }
    put_short(w, v, n);
}

static void put_varint(struct xor_writer *w, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put_short(w, v | 0x80, 8);
    put_short(w, v, 8);
}

static void put_time(struct xor_writer *w, int64_t change)
{
    if (change == 0)
        put_short(w, 0, 1);
    else if (change >= -8191 && change <= 8192)
        put_short(w, UINT64_C(2) << 14 | low_bits((uint64_t)change, 14), 16);
    else if (change >= -65535 && change <= 65536)
        put_short(w, UINT64_C(6) << 17 | low_bits((uint64_t)change, 17), 20);
    else if (change >= -524287 && change <= 524288)
        put_short(w, UINT64_C(14) << 20 | low_bits((uint64_t)change, 20), 24);
    else {
        put_short(w, 15, 4);
        put_bits(w, (uint64_t)change, 64);
    }
}

static void put_value(struct xor_writer *w, uint64_t value)
{
    uint64_t x = value ^ w->value;
    unsigned leading, trailing;

    if (x == 0) {
        put_short(w, 0, 1);
        return;
    }
    leading = (unsigned)__builtin_clzll(x);
    leading = leading > 31 ? 31 : leading;
    trailing = (unsigned)__builtin_ctzll(x);
    if (w->leading != NO_WINDOW && leading >= w->leading && trailing >= w->trailing) {
        put_short(w, 2, 2);
        put_bits(w, x >> w->trailing, 64 - w->leading - w->trailing);
        return;
    }
    w->leading = leading;
    w->trailing = trailing;
    put_short(w, 3, 2);
    put_short(w, leading, 5);
    put_short(w, 64 - leading - trailing, 6); // 64 is written as 0
    put_bits(w, x >> trailing, 64 - leading - trailing);
}

void xor_writer_begin(struct xor_writer *w, struct buf *out)
{
    *w = (struct xor_writer){ .out = out, .start = out->n, .leading = NO_WINDOW };
    buf_bytes(out, "\0\0", 2);
}

void xor_writer_add(struct xor_writer *w, int64_t t_ms, double value)
{
    uint64_t bits = double_bits(value), delta = (uint64_t)t_ms - (uint64_t)w->t_ms;

    assert(w->n < XOR_CHUNK_SAMPLES_MAX);
    if (w->n == 0) {
        put_varint(w, zigzag(t_ms));
        put_bits(w, bits, 64);
        delta = 0;
    } else if (w->n == 1) {
        put_varint(w, delta);
        put_value(w, bits);
    } else {
        put_time(w, (int64_t)(delta - w->delta_ms));
        put_value(w, bits);
    }
    w->t_ms = t_ms;
    w->delta_ms = delta;
    w->value = bits;
    w->n++;
}

void xor_writer_end(struct xor_writer *w)
{
    assert(w->out->n >= w->start + 2); // nobody cut the header off
    if (w->left)
        put_short(w, 0, 8 - w->left);
    w->out->p[w->start] = (char)(w->n >> 8);
    w->out->p[w->start + 1] = (char)w->n;
}

/* ---- reading ---- */

bool xor_reader_open(struct xor_reader *r, struct str chunk)
{
    if (chunk.n < 2)
        return false;
    *r = (struct xor_reader){ .p = (const uint8_t *)chunk.p + 2,
                              .end = (const uint8_t *)chunk.p + chunk.n,
                              .n = get_be16(chunk.p) };
    return true;
}

// n ≤ 56 bits into *out.
static inline bool get_short(struct xor_reader *r, unsigned n, uint64_t *out)
{
    while (r->have < n) {
        if (r->p == r->end)
            return false;
        r->bits = r->bits << 8 | *r->p++;
        r->have += 8;
    }
    assert(r->have < n + 8); // no whole byte was read for nothing
    r->have -= n;
    *out = low_bits(r->bits >> r->have, n);
    return true;
}

static bool get_bits(struct xor_reader *r, unsigned n, uint64_t *out)
{
    uint64_t high = 0, low;

    if (n > 32 && !get_short(r, n - 32, &high))
        return false;
    if (!get_short(r, n > 32 ? 32 : n, &low))
        return false;
    *out = n > 32 ? high << 32 | low : low;
    return true;
}

static bool get_varint_bits(struct xor_reader *r, uint64_t *out)
{
    uint64_t v = 0, byte;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!get_short(r, 8, &byte) || (shift == 63 && byte > 1))
            return false;
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool get_time(struct xor_reader *r)
{
    static const unsigned sizes[] = { 0, 14, 17, 20, 64 };
    unsigned ones = 0, n;
    uint64_t bit = 1, change = 0;

    while (ones < 4) {
        if (!get_short(r, 1, &bit))
            return false;
        if (!bit)
            break;
        ones++;
    }
    n = sizes[ones];
    if (n && !get_bits(r, n, &change))
        return false;
    if (n && n < 64 && change > UINT64_C(1) << (n - 1))
        change -= UINT64_C(1) << n;
    r->delta_ms += change;
    return true;
}

static bool get_value(struct xor_reader *r)
{
    uint64_t bit, leading, size, bits;

    if (!get_short(r, 1, &bit))
        return false;
    if (!bit)
        return true;
    if (!get_short(r, 1, &bit))
        return false;
    if (bit) {
        if (!get_short(r, 5, &leading) || !get_short(r, 6, &size))
            return false;
        size = size ? size : 64;
        if (leading + size > 64)
            return false;
        r->leading = (unsigned)leading;
        r->trailing = (unsigned)(64 - leading - size);
    }
    if (!get_bits(r, 64 - r->leading - r->trailing, &bits))
        return false;
    r->value ^= bits << r->trailing;
    return true;
}

static bool get_sample(struct xor_reader *r)
{
    uint64_t first;

    if (r->at == 0) {
        if (!get_varint_bits(r, &first) || !get_bits(r, 64, &r->value))
            return false;
        r->t_ms = unzigzag(first);
        return true;
    }
    if (r->at == 1 ? !get_varint_bits(r, &r->delta_ms) : !get_time(r))
        return false;
    r->t_ms = (int64_t)((uint64_t)r->t_ms + r->delta_ms);
    return get_value(r);
}

int xor_reader_next(struct xor_reader *r, int64_t *t_ms, double *value)
{
    if (r->at == r->n)
        return 0;
    if (!get_sample(r))
        return -1;
    r->at++;
    *t_ms = r->t_ms;
    *value = double_from_bits(r->value);
    return 1;
}
