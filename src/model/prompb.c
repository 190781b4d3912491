/*
 * prompb.c - messages that remote write and remote read share: labels, histograms, series.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/prompb.h"

#include "model/histogram_ops.h"
#include "model/prompb_priv.h"

bool prompb_malformed(struct str body, const void *p, const char *message, struct err *e)
{
    struct pos at = { 0 };

    if (body.p && (const char *)p >= body.p && (const char *)p <= body.p + body.n)
        at.offset = (uint64_t)((const char *)p - body.p);
    return err_at(e, at, ERR_INVALID, "protobuf: malformed %s at byte %llu", message,
                  (unsigned long long)at.offset);
}

bool prompb_label(struct str message, struct label *out, const uint8_t **bad)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    *out = (struct label){ 0 };
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES))
            out->name = f.bytes;
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            out->value = f.bytes;
    }
    *bad = c.p;
    return got == 0;
}

/* ---- histograms: reading ---- */

enum { // field numbers of Histogram
    H_COUNT_INT = 1,
    H_COUNT_FLOAT,
    H_SUM,
    H_SCHEMA,
    H_ZERO_THRESHOLD,
    H_ZERO_COUNT_INT,
    H_ZERO_COUNT_FLOAT,
    H_NEG_SPANS,
    H_NEG_DELTAS,
    H_NEG_COUNTS,
    H_POS_SPANS,
    H_POS_DELTAS,
    H_POS_COUNTS,
    H_RESET_HINT,
    H_TIME,
    H_CUSTOM,
    H_START,
};

enum { SCHEMA_RESERVED_MAX = 52 }; // finer than HIST_SCHEMA_MAX, and reduced to it

// What is repeated in one side, before and after room was made.
struct side {
    struct hist_span *span;
    double *delta, *count; // delta: already summed up
    uint32_t spans, deltas, counts;
};

struct reading {
    struct histogram h;
    struct side pos, neg;
    double *custom;
    uint32_t customs;
    uint64_t count_int, zero_int;
    double count_float, zero_float;
    bool is_float, bad;
    int64_t t_ms, start_ms;
};

// Elements of a repeated field in this occurrence.
static size_t count_of(const struct proto_field *f, enum proto_wire element)
{
    if ((f->key & 7) != PROTO_BYTES)
        return 1;
    return element == PROTO_VARINT ? proto_packed_count(f->bytes) : f->bytes.n / 8;
}

static bool count_fields(struct str message, struct reading *r)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    size_t n[H_START + 1] = { 0 };
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        uint32_t number = proto_number(&f);

        if (number == H_NEG_SPANS || number == H_POS_SPANS)
            n[number]++;
        else if (number == H_NEG_DELTAS || number == H_POS_DELTAS)
            n[number] += count_of(&f, PROTO_VARINT);
        else if (number == H_NEG_COUNTS || number == H_POS_COUNTS || number == H_CUSTOM)
            n[number] += count_of(&f, PROTO_FIXED64);
    }
    for (uint32_t i = 0; i <= H_START; i++) {
        if (n[i] > (i == H_NEG_SPANS || i == H_POS_SPANS ? HIST_SPANS_MAX : HIST_BUCKETS_MAX))
            return false;
    }
    r->neg = (struct side){ .spans = (uint32_t)n[H_NEG_SPANS],
                            .deltas = (uint32_t)n[H_NEG_DELTAS],
                            .counts = (uint32_t)n[H_NEG_COUNTS] };
    r->pos = (struct side){ .spans = (uint32_t)n[H_POS_SPANS],
                            .deltas = (uint32_t)n[H_POS_DELTAS],
                            .counts = (uint32_t)n[H_POS_COUNTS] };
    r->customs = (uint32_t)n[H_CUSTOM];
    return true;
}

static void make_room(struct arena *a, struct side *s)
{
    s->span = arena_raw(a, s->spans * sizeof *s->span);
    s->delta = arena_raw(a, s->deltas * sizeof *s->delta);
    s->count = arena_raw(a, s->counts * sizeof *s->count);
    s->spans = s->deltas = s->counts = 0;
}

static void read_span(struct reading *r, struct side *s, const struct proto_field *f)
{
    struct proto c = proto_of(f->bytes);
    struct proto_field g;
    struct hist_span span = { 0, 0 };
    int got = (f->key & 7) == PROTO_BYTES ? 1 : -1;

    while (got > 0 && (got = proto_next(&c, &g)) > 0) {
        if (g.key == PROTO_KEY(1, PROTO_VARINT))
            span.offset = (int32_t)proto_sint(&g);
        else if (g.key == PROTO_KEY(2, PROTO_VARINT))
            span.length = (uint32_t)g.value;
    }
    r->bad |= got < 0;
    s->span[s->spans++] = span;
}

// Deltas become counts at once, exact up to 2^53.
static void read_deltas(struct reading *r, struct side *s, const struct proto_field *f)
{
    struct proto c = proto_of(f->bytes);
    double last = s->deltas ? s->delta[s->deltas - 1] : 0;
    uint64_t v;

    if ((f->key & 7) == PROTO_VARINT) {
        s->delta[s->deltas++] = last + (double)proto_sint(f);
        return;
    }
    r->bad |= (f->key & 7) != PROTO_BYTES;
    while (!r->bad && c.p < c.end) {
        if (!proto_varint(&c, &v)) {
            r->bad = true;
            return;
        }
        last += (double)unzigzag(v);
        s->delta[s->deltas++] = last;
    }
}

static void read_doubles(struct reading *r, double *to, uint32_t *n, const struct proto_field *f)
{
    if ((f->key & 7) == PROTO_FIXED64) {
        to[(*n)++] = proto_double(f);
        return;
    }
    r->bad |= (f->key & 7) != PROTO_BYTES || f->bytes.n % 8;
    for (size_t i = 0; !r->bad && i < f->bytes.n; i += 8)
        to[(*n)++] = double_from_bits(get_le64(f->bytes.p + i));
}

static void read_repeated(struct reading *r, const struct proto_field *f)
{
    switch (proto_number(f)) {
    case H_NEG_SPANS:
        read_span(r, &r->neg, f);
        break;
    case H_POS_SPANS:
        read_span(r, &r->pos, f);
        break;
    case H_NEG_DELTAS:
        read_deltas(r, &r->neg, f);
        break;
    case H_POS_DELTAS:
        read_deltas(r, &r->pos, f);
        break;
    case H_NEG_COUNTS:
        read_doubles(r, r->neg.count, &r->neg.counts, f);
        break;
    case H_POS_COUNTS:
        read_doubles(r, r->pos.count, &r->pos.counts, f);
        break;
    case H_CUSTOM:
        read_doubles(r, r->custom, &r->customs, f);
        break;
    default:
        r->bad |= proto_number(f) <= H_START; // known, but of another wire type
    }
}

static void read_field(struct reading *r, const struct proto_field *f)
{
    switch (f->key) {
    case PROTO_KEY(H_COUNT_INT, PROTO_VARINT):
        r->count_int = f->value;
        r->is_float = false;
        break;
    case PROTO_KEY(H_COUNT_FLOAT, PROTO_FIXED64):
        r->count_float = proto_double(f);
        r->is_float = true;
        break;
    case PROTO_KEY(H_SUM, PROTO_FIXED64):
        r->h.sum = proto_double(f);
        break;
    case PROTO_KEY(H_SCHEMA, PROTO_VARINT):
        r->h.schema = (int32_t)proto_sint(f);
        break;
    case PROTO_KEY(H_ZERO_THRESHOLD, PROTO_FIXED64):
        r->h.zero_threshold = proto_double(f);
        break;
    case PROTO_KEY(H_ZERO_COUNT_INT, PROTO_VARINT):
        r->zero_int = f->value;
        r->zero_float = 0; // one of the two: the later one
        break;
    case PROTO_KEY(H_ZERO_COUNT_FLOAT, PROTO_FIXED64):
        r->zero_float = proto_double(f);
        r->zero_int = 0;
        break;
    case PROTO_KEY(H_RESET_HINT, PROTO_VARINT):
        r->h.reset = f->value <= HIST_RESET_GAUGE ? (enum hist_reset)f->value : HIST_RESET_UNKNOWN;
        break;
    case PROTO_KEY(H_TIME, PROTO_VARINT):
        r->t_ms = (int64_t)f->value;
        break;
    case PROTO_KEY(H_START, PROTO_VARINT):
        r->start_ms = (int64_t)f->value;
        break;
    default:
        read_repeated(r, f);
    }
}

static struct hist_side side_of(const struct side *s, bool is_float)
{
    return (struct hist_side){ s->span, is_float ? s->count : s->delta, s->spans,
                               is_float ? s->counts : s->deltas };
}

bool prompb_histogram(struct arena *a, struct str message, struct prompb_histogram *out,
                      struct err *e)
{
    struct reading r = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    struct histogram *h;
    int got = 0;

    if (!count_fields(message, &r))
        return err_set(e, ERR_LIMIT, "histogram has more than %d spans or %d buckets",
                       HIST_SPANS_MAX, HIST_BUCKETS_MAX);
    make_room(a, &r.pos);
    make_room(a, &r.neg);
    r.custom = arena_raw(a, r.customs * sizeof *r.custom);
    r.customs = 0;
    while (!r.bad && (got = proto_next(&c, &f)) > 0)
        read_field(&r, &f);
    if (r.bad || got < 0)
        return prompb_malformed(message, c.p, "Histogram", e);
    assert(r.pos.spans <= HIST_SPANS_MAX && r.pos.counts <= HIST_BUCKETS_MAX);
    assert(r.neg.spans <= HIST_SPANS_MAX && r.neg.counts <= HIST_BUCKETS_MAX);
    h = arena_copy(a, &r.h, sizeof r.h);
    h->integer = !r.is_float;
    h->count = r.is_float ? r.count_float : (double)r.count_int;
    h->zero_count = r.is_float ? r.zero_float : (double)r.zero_int;
    h->pos = side_of(&r.pos, r.is_float);
    h->neg = side_of(&r.neg, r.is_float);
    h->custom = r.custom;
    h->custom_n = r.customs;
    if (h->schema > HIST_SCHEMA_MAX && h->schema <= SCHEMA_RESERVED_MAX) {
        struct histogram check = *h;

        check.schema = HIST_SCHEMA_MAX;
        if (!histogram_validate(&check, e))
            return false;
        h = histogram_reduce(a, h, HIST_SCHEMA_MAX);
    }
    *out = (struct prompb_histogram){ h, r.t_ms, r.start_ms };
    return true;
}

/* ---- writing ---- */

static void put_double(struct buf *b, uint32_t number, double v)
{
    if (double_bits(v) != 0)
        proto_put_double(b, number, v);
}

static void put_int(struct buf *b, uint32_t number, int64_t v)
{
    if (v != 0)
        proto_put_varint(b, number, (uint64_t)v);
}

// Counts of integer histograms are whole, but nothing here relies on it.
static uint64_t whole(double v)
{
    if (!(v > 0))
        return 0;
    return v < 0x1p64 ? (uint64_t)v : UINT64_MAX;
}

static void put_side(struct buf *b, const struct hist_side *s, bool integer, uint32_t spans_number)
{
    size_t mark;
    uint64_t last = 0;

    for (uint32_t i = 0; i < s->spans; i++) {
        mark = proto_begin(b, spans_number);
        if (s->span[i].offset)
            proto_put_sint(b, 1, s->span[i].offset);
        put_int(b, 2, s->span[i].length);
        proto_end(b, mark);
    }
    if (s->buckets == 0)
        return;
    mark = proto_begin(b, integer ? spans_number + 1 : spans_number + 2);
    for (uint32_t i = 0; i < s->buckets; i++) {
        uint64_t now = whole(s->count[i]);

        if (integer)
            buf_varint(b, zigzag((int64_t)(now - last)));
        else
            buf_le64(b, double_bits(s->count[i]));
        last = now;
    }
    proto_end(b, mark);
}

void prompb_put_histogram(struct buf *b, uint32_t number, const struct prompb_histogram *x)
{
    const struct histogram *h = x->h;
    size_t mark = proto_begin(b, number), packed;

    if (h->integer) // one of a oneof is written even when it is zero
        proto_put_varint(b, H_COUNT_INT, whole(h->count));
    else
        proto_put_double(b, H_COUNT_FLOAT, h->count);
    put_double(b, H_SUM, h->sum);
    if (h->schema)
        proto_put_sint(b, H_SCHEMA, h->schema);
    put_double(b, H_ZERO_THRESHOLD, h->zero_threshold);
    if (h->integer)
        proto_put_varint(b, H_ZERO_COUNT_INT, whole(h->zero_count));
    else
        proto_put_double(b, H_ZERO_COUNT_FLOAT, h->zero_count);
    put_side(b, &h->neg, h->integer, H_NEG_SPANS);
    put_side(b, &h->pos, h->integer, H_POS_SPANS);
    put_int(b, H_RESET_HINT, (int64_t)h->reset);
    put_int(b, H_TIME, x->t_ms);
    if (h->custom_n) {
        packed = proto_begin(b, H_CUSTOM);
        for (uint32_t i = 0; i < h->custom_n; i++)
            buf_le64(b, double_bits(h->custom[i]));
        proto_end(b, packed);
    }
    put_int(b, H_START, x->start_ms);
    proto_end(b, mark);
}

static void put_labels(struct buf *b, uint32_t number, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        size_t mark = proto_begin(b, number);

        proto_put_bytes(b, 1, ls.v[i].name);
        proto_put_bytes(b, 2, ls.v[i].value);
        proto_end(b, mark);
    }
}

void prompb_put_series(struct buf *b, uint32_t number, struct labels ls,
                       const struct series_samples *s)
{
    size_t mark = proto_begin(b, number);

    put_labels(b, 1, ls);
    for (size_t i = 0; i < s->n; i++) {
        size_t sample;

        if (s->hist && s->hist[i])
            continue;
        sample = proto_begin(b, 2);
        put_double(b, 1, s->value[i]);
        put_int(b, 2, s->t_ms[i]);
        proto_end(b, sample);
    }
    for (size_t i = 0; s->hist && i < s->n; i++) {
        struct prompb_histogram h = { s->hist[i], s->t_ms[i], 0 };

        if (h.h)
            prompb_put_histogram(b, 4, &h);
    }
    proto_end(b, mark);
}

static_assert(TYPE_GAUGE_HISTOGRAM == 4 && TYPE_STATESET == 7, "as MetricMetadata.MetricType");

void prompb_put_meta(struct buf *b, const struct metric_meta *m)
{
    size_t mark = proto_begin(b, 3);

    put_int(b, 1, (int64_t)m->type);
    proto_put_bytes(b, 2, m->name);
    proto_put_bytes(b, 4, m->help);
    proto_put_bytes(b, 5, m->unit);
    proto_end(b, mark);
}
