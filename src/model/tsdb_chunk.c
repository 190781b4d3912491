// tsdb_chunk.c - chunks of histograms, bit by bit.
// SPDX-License-Identifier: Apache-2.0
#include "model/tsdb_chunk.h"

#include <math.h>

enum { HEAD_BYTES = 3 };

struct bits {
    const uint8_t *p, *end;
    unsigned used; // bits of *p
    bool bad;
};

static uint64_t take(struct bits *b, unsigned n)
{
    uint64_t v = 0;

    if (b->bad || (uint64_t)(b->end - b->p) * 8 - b->used < n) {
        b->bad = true;
        return 0;
    }
    while (n) {
        unsigned have = 8 - b->used, k = n < have ? n : have;

        v = v << k | ((*b->p >> (have - k)) & ((1u << k) - 1));
        b->used += k;
        n -= k;
        if (b->used == 8) {
            b->used = 0;
            b->p++;
        }
    }
    return v;
}

// Bits of the payload by the number of ones before the zero; eight ones: 64 bits.
static unsigned payload_bits(struct bits *b)
{
    static const uint8_t sizes[] = { 0, 3, 6, 9, 12, 18, 25, 56, 64 };
    unsigned ones = 0;

    while (ones < 8 && take(b, 1))
        ones++;
    return sizes[ones];
}

static uint64_t varbit_uint(struct bits *b)
{
    unsigned n = payload_bits(b);

    return n ? take(b, n) : 0;
}

static int64_t varbit_int(struct bits *b)
{
    unsigned n = payload_bits(b);
    uint64_t v = n ? take(b, n) : 0;

    if (n && n < 64 && v > UINT64_C(1) << (n - 1))
        v -= UINT64_C(1) << n;
    return (int64_t)v;
}

static double float_bits(struct bits *b)
{
    return double_from_bits(take(b, 64));
}

struct xor_value {
    uint64_t bits;
    uint8_t leading, trailing;
};

static void next_xor(struct bits *b, struct xor_value *x)
{
    if (!take(b, 1))
        return;
    if (take(b, 1)) {
        unsigned leading = (unsigned)take(b, 5), n = (unsigned)take(b, 6);

        if (n == 0)
            n = 64;
        if (leading + n > 64) {
            b->bad = true;
            return;
        }
        x->leading = (uint8_t)leading;
        x->trailing = (uint8_t)(64 - leading - n);
    }
    unsigned n = 64u - x->leading - x->trailing;
    x->bits ^= take(b, n) << x->trailing;
}

/* ---- a chunk ---- */

struct side {
    struct hist_span *span;
    double *count;
    int64_t *last, *delta; // integers: of the bucket's difference to the one before it
    struct xor_value *x;   // floats
    uint32_t spans, buckets;
};

struct tsdb_histograms {
    struct arena *arena;
    struct bits b;
    bool integer;
    unsigned n, at;
    struct side pos, neg;
    int64_t t_ms, t_delta;
    uint64_t count, zero;
    int64_t count_delta, zero_delta;
    struct xor_value sum, fcount, fzero;
    struct histogram h;
};

static double zero_threshold(struct bits *b)
{
    unsigned v = (unsigned)take(b, 8);

    if (v == 0)
        return 0;
    return v == 255 ? float_bits(b) : ldexp(0.5, (int)v - 243);
}

static bool read_spans(struct tsdb_histograms *r, struct side *s, struct err *e)
{
    uint64_t n = varbit_uint(&r->b), buckets = 0;

    if (n > HIST_SPANS_MAX)
        return err_set(e, ERR_LIMIT, "a histogram has more than %d spans", HIST_SPANS_MAX);
    s->span = arena_array(r->arena, n, struct hist_span);
    s->spans = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t length = varbit_uint(&r->b);

        s->span[i].offset = (int32_t)varbit_int(&r->b);
        s->span[i].length = (uint32_t)length;
        if (length > HIST_BUCKETS_MAX || (buckets += length) > HIST_BUCKETS_MAX)
            return err_set(e, ERR_LIMIT, "a histogram has more than %d buckets", HIST_BUCKETS_MAX);
    }
    s->buckets = (uint32_t)buckets;
    return true;
}

static void make_room(struct tsdb_histograms *r, struct side *s)
{
    s->count = arena_array(r->arena, s->buckets, double);
    if (r->integer) {
        s->last = arena_array(r->arena, s->buckets, int64_t);
        s->delta = arena_array(r->arena, s->buckets, int64_t);
    } else {
        s->x = arena_array(r->arena, s->buckets, struct xor_value);
    }
}

static bool read_bounds(struct tsdb_histograms *r, struct err *e)
{
    uint64_t n = varbit_uint(&r->b);

    if (n > HIST_BUCKETS_MAX)
        return err_set(e, ERR_LIMIT, "a histogram has more than %d bounds", HIST_BUCKETS_MAX);
    double *v = arena_array(r->arena, n, double);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t x = varbit_uint(&r->b);
        v[i] = x ? (double)(x - 1) / 1000 : float_bits(&r->b);
    }
    r->h.custom = v;
    r->h.custom_n = (uint32_t)n;
    return true;
}

static bool read_layout(struct tsdb_histograms *r, struct err *e)
{
    r->h.zero_threshold = zero_threshold(&r->b);
    r->h.schema = (int32_t)varbit_int(&r->b);
    if (!read_spans(r, &r->pos, e) || !read_spans(r, &r->neg, e) ||
        (r->h.schema == HIST_SCHEMA_CUSTOM && !read_bounds(r, e)))
        return false;
    if (r->b.bad)
        return err_set(e, ERR_CORRUPT, "a chunk of histograms is cut off in its layout");
    make_room(r, &r->pos);
    make_room(r, &r->neg);
    return true;
}

bool tsdb_histograms_open(struct arena *a, uint8_t encoding, struct str chunk,
                          struct tsdb_histograms **out, struct err *e)
{
    static const enum hist_reset resets[] = { HIST_RESET_UNKNOWN, HIST_RESET_NO, HIST_RESET_YES,
                                              HIST_RESET_GAUGE };
    struct tsdb_histograms *r = arena_new(a, struct tsdb_histograms);

    if (chunk.n < HEAD_BYTES)
        return err_set(e, ERR_CORRUPT, "a chunk of histograms has no head");
    r->arena = a;
    r->n = get_be16(chunk.p);
    r->integer = encoding == TSDB_ENCODING_HISTOGRAM;
    r->b = (struct bits){ (const uint8_t *)chunk.p + HEAD_BYTES, (const uint8_t *)chunk.p + chunk.n,
                          0, false };
    r->h.reset = resets[(uint8_t)chunk.p[2] >> 6];
    r->h.integer = r->integer;
    if (r->n && !read_layout(r, e))
        return false;
    *out = r;
    return true;
}

/* ---- samples ---- */

static int64_t add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b); // wraps, as Go's
}

// A difference to the bucket before: `first` the value itself, later the change of its change.
static void next_integers(struct tsdb_histograms *r, struct side *s, bool first)
{
    int64_t absolute = 0;

    for (uint32_t i = 0; i < s->buckets; i++) {
        int64_t v = varbit_int(&r->b);

        if (first) {
            s->last[i] = v;
        } else {
            s->delta[i] = add(s->delta[i], v);
            s->last[i] = add(s->last[i], s->delta[i]);
        }
        absolute = add(absolute, s->last[i]);
        s->count[i] = (double)absolute;
    }
}

static void next_floats(struct tsdb_histograms *r, struct side *s, bool first)
{
    for (uint32_t i = 0; i < s->buckets; i++) {
        if (first)
            s->x[i].bits = take(&r->b, 64);
        else
            next_xor(&r->b, &s->x[i]);
        s->count[i] = double_from_bits(s->x[i].bits);
    }
}

static void read_first(struct tsdb_histograms *r)
{
    r->t_ms = varbit_int(&r->b);
    if (r->integer) {
        r->count = varbit_uint(&r->b);
        r->zero = varbit_uint(&r->b);
    } else {
        r->fcount.bits = take(&r->b, 64);
        r->fzero.bits = take(&r->b, 64);
    }
    r->sum.bits = take(&r->b, 64);
}

static void read_later(struct tsdb_histograms *r)
{
    r->t_delta = add(r->t_delta, varbit_int(&r->b));
    r->t_ms = add(r->t_ms, r->t_delta);
    if (r->integer) {
        r->count_delta = add(r->count_delta, varbit_int(&r->b));
        r->count += (uint64_t)r->count_delta;
        r->zero_delta = add(r->zero_delta, varbit_int(&r->b));
        r->zero += (uint64_t)r->zero_delta;
    } else {
        next_xor(&r->b, &r->fcount);
        next_xor(&r->b, &r->fzero);
    }
    next_xor(&r->b, &r->sum);
}

// A marker of staleness has no buckets behind it.
static void read_buckets(struct tsdb_histograms *r, bool first)
{
    if (r->integer) {
        next_integers(r, &r->pos, first);
        next_integers(r, &r->neg, first);
    } else {
        next_floats(r, &r->pos, first);
        next_floats(r, &r->neg, first);
    }
}

int tsdb_histograms_next(struct tsdb_histograms *r, int64_t *t_ms, const struct histogram **h)
{
    bool first = r->at == 0;

    if (r->at == r->n)
        return 0;
    if (first)
        read_first(r);
    else
        read_later(r);
    r->h.sum = double_from_bits(r->sum.bits);
    bool stale = sample_is_stale(r->h.sum);
    if (first || !stale)
        read_buckets(r, first);
    if (r->b.bad)
        return -1;
    if (r->at++ == 1 && r->h.reset != HIST_RESET_GAUGE)
        r->h.reset = HIST_RESET_NO; // the flag is about the first; a reset would begin a chunk
    r->h.count = r->integer ? (double)r->count : double_from_bits(r->fcount.bits);
    r->h.zero_count = r->integer ? (double)r->zero : double_from_bits(r->fzero.bits);
    r->h.pos = (struct hist_side){ r->pos.span, r->pos.count, r->pos.spans, r->pos.buckets };
    r->h.neg = (struct hist_side){ r->neg.span, r->neg.count, r->neg.spans, r->neg.buckets };
    *t_ms = r->t_ms;
    *h = &r->h;
    return 1;
}
