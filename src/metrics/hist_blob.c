/*
 * hist_blob.c - histograms to and from bytes.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/hist_blob.h"

#include "base/bytes.h"

enum { FLAG_RESET = 3, FLAG_INTEGER = 4, FLAG_VARINT = 8 };
#define COUNT_EXACT_MAX 9007199254740992.0 // 2^53

static void put_f64(struct buf *b, double v)
{
    buf_le64(b, double_bits(v));
}

static bool count_is_exact(double v)
{
    return v >= 0 && v <= COUNT_EXACT_MAX && (double)(uint64_t)v == v &&
           double_bits(v) != double_bits(-0.0);
}

static bool side_is_exact(const struct hist_side *s)
{
    for (uint32_t i = 0; i < s->buckets; i++) {
        if (!count_is_exact(s->count[i]))
            return false;
    }
    return true;
}

static void put_side(struct buf *b, const struct hist_side *s, bool as_varint)
{
    buf_varint(b, s->spans);
    for (uint32_t i = 0; i < s->spans; i++) {
        buf_varint(b, zigzag(s->span[i].offset));
        buf_varint(b, s->span[i].length);
    }
    buf_varint(b, s->buckets);
    for (uint32_t i = 0; i < s->buckets; i++) {
        if (as_varint)
            buf_varint(b, (uint64_t)s->count[i]);
        else
            put_f64(b, s->count[i]);
    }
}

void buf_hist_blob(struct buf *b, const struct histogram *h)
{
    bool as_varint = side_is_exact(&h->pos) && side_is_exact(&h->neg);

    buf_varint(b, zigzag(h->schema));
    buf_char(b, (char)(((unsigned)h->reset & FLAG_RESET) | (h->integer ? FLAG_INTEGER : 0) |
                       (as_varint ? FLAG_VARINT : 0)));
    put_f64(b, h->zero_threshold);
    put_f64(b, h->zero_count);
    put_f64(b, h->count);
    put_f64(b, h->sum);
    put_side(b, &h->pos, as_varint);
    put_side(b, &h->neg, as_varint);
    buf_varint(b, h->custom_n);
    for (uint32_t i = 0; i < h->custom_n; i++)
        put_f64(b, h->custom[i]);
}

static double read_f64(struct bytes *r)
{
    return double_from_bits(bytes_le64(r));
}

// A count of things of at least `least` bytes each: no more than what is left can hold.
static uint32_t read_count(struct bytes *r, size_t least, size_t max)
{
    uint64_t n = bytes_varint(r);

    if (n > bytes_left(r) / least || n > max) {
        r->bad = true;
        return 0;
    }
    return (uint32_t)n;
}

static void read_side(struct bytes *r, struct arena *a, bool as_varint, struct hist_side *s)
{
    uint64_t total = 0;
    struct hist_span *span;
    double *count;

    s->spans = read_count(r, 2, HIST_SPANS_MAX);
    span = arena_array(a, s->spans, struct hist_span);
    for (uint32_t i = 0; i < s->spans; i++) {
        int64_t offset = unzigzag(bytes_varint(r));
        uint64_t length = bytes_varint(r);

        if (offset != (int32_t)offset || length > HIST_BUCKETS_MAX)
            r->bad = true;
        span[i] = (struct hist_span){ (int32_t)offset, (uint32_t)length };
        total += span[i].length;
    }
    s->buckets = read_count(r, as_varint ? 1 : 8, HIST_BUCKETS_MAX);
    if (s->buckets != total)
        r->bad = true;
    count = arena_array(a, s->buckets, double);
    for (uint32_t i = 0; i < s->buckets; i++)
        count[i] = as_varint ? (double)bytes_varint(r) : read_f64(r);
    s->span = span;
    s->count = count;
}

bool hist_blob_read(struct str bytes, struct arena *a, const struct histogram **out, struct err *e)
{
    struct bytes r = bytes_of(bytes);
    struct histogram *h = arena_new(a, struct histogram);
    int64_t schema = unzigzag(bytes_varint(&r));
    unsigned flags = bytes_u8(&r);
    double *custom;

    h->schema = (int32_t)schema;
    h->reset = (enum hist_reset)(flags & FLAG_RESET);
    h->integer = flags & FLAG_INTEGER;
    h->zero_threshold = read_f64(&r);
    h->zero_count = read_f64(&r);
    h->count = read_f64(&r);
    h->sum = read_f64(&r);
    read_side(&r, a, flags & FLAG_VARINT, &h->pos);
    read_side(&r, a, flags & FLAG_VARINT, &h->neg);
    h->custom_n = read_count(&r, 8, HIST_BUCKETS_MAX);
    custom = arena_array(a, h->custom_n, double);
    for (uint32_t i = 0; i < h->custom_n; i++)
        custom[i] = read_f64(&r);
    h->custom = custom;
    if (r.bad || bytes_left(&r) || schema != h->schema)
        return err_set(e, ERR_CORRUPT, "encoded histogram of %zu bytes is malformed", bytes.n);
    *out = h;
    return true;
}
