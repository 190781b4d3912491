// expo_family.c - MetricFamily messages as whole structs. The messages: head of expo_proto.c.
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo_family.h"

#include <math.h>

#include "base/vec.h"
#include "codec/proto.h"

struct reader {
    struct arena *arena;
    size_t bytes_max;
    const char *from; // start of the input, for positions
    struct err *e;
};

typedef VEC(struct expo_label) label_list;
typedef VEC(struct expo_bucket) bucket_list;
typedef VEC(struct expo_quantile) quantile_list;

struct side {
    VEC(struct expo_span) span;
    VEC(double) count;
    VEC(int64_t) delta;
};

struct histogram {
    bucket_list bucket;
    struct side neg, pos;
    double count, count_float, sum, zero_threshold, zero_count, zero_count_float;
    int32_t schema;
    int64_t start_ms;
};

static bool malformed(struct reader *r, const void *at, const char *message)
{
    return err_at(r->e, (struct pos){ 0, 0, (uint64_t)((const char *)at - r->from) }, ERR_INVALID,
                  "protobuf: malformed %s message", message);
}

static bool within(struct reader *r)
{
    return r->arena->taken_bytes <= r->bytes_max ||
           err_set(r->e, ERR_LIMIT, "the families take more than %zu bytes of memory",
                   r->bytes_max);
}

/* ---- labels, times, exemplars ---- */

static bool read_label(struct reader *r, struct str s, label_list *out)
{
    struct expo_label *l = vec_push_in(r->arena, out);
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES))
            l->name = f.bytes;
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            l->value = f.bytes;
    }
    return got < 0 ? malformed(r, c.p, "LabelPair") : within(r);
}

static bool read_time(struct reader *r, struct str s, int64_t *out_ms)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int64_t seconds = 0, ns = 0, ms;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            seconds = (int64_t)f.value;
        else if (f.key == PROTO_KEY(2, PROTO_VARINT))
            ns = (int32_t)f.value;
    }
    if (got < 0 || __builtin_mul_overflow(seconds, 1000, &ms) ||
        __builtin_add_overflow(ms, ns / 1000000, out_ms))
        return malformed(r, c.p, "Timestamp");
    return true;
}

static bool read_exemplar(struct reader *r, struct str s, const struct expo_exemplar_out **out)
{
    struct expo_exemplar_out *x = arena_new(r->arena, struct expo_exemplar_out);
    label_list labels = { 0 };
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES) && !read_label(r, f.bytes, &labels))
            return false;
        if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            x->value = proto_double(&f);
        if (f.key == PROTO_KEY(3, PROTO_BYTES) && !read_time(r, f.bytes, &x->t_ms))
            return false;
    }
    if (got < 0)
        return malformed(r, c.p, "Exemplar");
    x->label = labels.v;
    x->labels = labels.n;
    *out = x;
    return true;
}

/* ---- values ---- */

static bool read_simple(struct reader *r, struct str s, struct expo_metric *m)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            m->value = proto_double(&f);
        if (f.key == PROTO_KEY(2, PROTO_BYTES) && !read_exemplar(r, f.bytes, &m->exemplar))
            return false;
        if (f.key == PROTO_KEY(3, PROTO_BYTES) && !read_time(r, f.bytes, &m->start_ms))
            return false;
    }
    return got == 0 || malformed(r, c.p, "Counter, Gauge or Untyped");
}

static bool read_quantile(struct reader *r, struct str s, quantile_list *out)
{
    struct expo_quantile *q = vec_push_in(r->arena, out);
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            q->quantile = proto_double(&f);
        else if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            q->value = proto_double(&f);
    }
    return got < 0 ? malformed(r, c.p, "Quantile") : within(r);
}

static bool read_summary(struct reader *r, struct str s, struct expo_metric *m)
{
    quantile_list quantiles = { 0 };
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            m->count = (double)f.value;
        else if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            m->value = proto_double(&f);
        else if (f.key == PROTO_KEY(3, PROTO_BYTES) && !read_quantile(r, f.bytes, &quantiles))
            return false;
    }
    m->quantile = quantiles.v;
    m->quantiles = quantiles.n;
    return got == 0 || malformed(r, c.p, "Summary");
}

static bool read_bucket(struct reader *r, struct str s, bucket_list *out)
{
    struct expo_bucket *b = vec_push_in(r->arena, out);
    struct proto c = proto_of(s);
    struct proto_field f;
    double as_float = 0;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            b->count = (double)f.value;
        else if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            b->upper = proto_double(&f);
        else if (f.key == PROTO_KEY(4, PROTO_FIXED64))
            as_float = proto_double(&f);
        else if (f.key == PROTO_KEY(3, PROTO_BYTES) && !read_exemplar(r, f.bytes, &b->exemplar))
            return false;
    }
    if (as_float > 0)
        b->count = as_float;
    return got < 0 ? malformed(r, c.p, "Bucket") : within(r);
}

/* ---- native histograms ---- */

static bool read_span(struct reader *r, struct str s, struct side *side)
{
    struct expo_span *span = vec_push_in(r->arena, &side->span);
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            span->offset = (int32_t)proto_sint(&f);
        else if (f.key == PROTO_KEY(2, PROTO_VARINT))
            span->length = (uint32_t)f.value;
    }
    return got < 0 ? malformed(r, c.p, "BucketSpan") : within(r);
}

static bool read_deltas(struct reader *r, struct str packed, struct side *side)
{
    struct proto c = proto_of(packed);
    uint64_t v;

    vec_reserve_in(r->arena, &side->delta, proto_packed_count(packed));
    while (c.p < c.end) {
        if (!proto_varint(&c, &v))
            return malformed(r, c.p, "Histogram");
        *vec_push_in(r->arena, &side->delta) = unzigzag(v);
    }
    return within(r);
}

static bool read_counts(struct reader *r, struct str packed, struct side *side)
{
    if (packed.n % 8)
        return malformed(r, packed.p, "Histogram");
    vec_reserve_in(r->arena, &side->count, packed.n / 8);
    for (size_t i = 0; i < packed.n; i += 8)
        *vec_push_in(r->arena, &side->count) = double_from_bits(get_le64(packed.p + i));
    return within(r);
}

// Fields 9..11 and 12..14: spans, deltas and counts of one side, packed or one by one.
static bool read_side(struct reader *r, const struct proto_field *f, struct side *side)
{
    uint32_t which = (proto_number(f) - 9) % 3;

    switch (f->key & 7) {
    case PROTO_BYTES:
        if (which == 0)
            return read_span(r, f->bytes, side);
        return which == 1 ? read_deltas(r, f->bytes, side) : read_counts(r, f->bytes, side);
    case PROTO_VARINT:
        if (which == 1)
            *vec_push_in(r->arena, &side->delta) = proto_sint(f);
        break;
    case PROTO_FIXED64:
        if (which == 2)
            *vec_push_in(r->arena, &side->count) = proto_double(f);
        break;
    default:
        break;
    }
    return within(r);
}

static bool read_histogram_field(struct reader *r, const struct proto_field *f, struct histogram *h)
{
    uint32_t number = proto_number(f);

    switch (f->key) {
    case PROTO_KEY(1, PROTO_VARINT):
        h->count = (double)f->value;
        return true;
    case PROTO_KEY(2, PROTO_FIXED64):
        h->sum = proto_double(f);
        return true;
    case PROTO_KEY(3, PROTO_BYTES):
        return read_bucket(r, f->bytes, &h->bucket);
    case PROTO_KEY(4, PROTO_FIXED64):
        h->count_float = proto_double(f);
        return true;
    case PROTO_KEY(5, PROTO_VARINT):
        h->schema = (int32_t)proto_sint(f);
        return true;
    case PROTO_KEY(6, PROTO_FIXED64):
        h->zero_threshold = proto_double(f);
        return true;
    case PROTO_KEY(7, PROTO_VARINT):
        h->zero_count = (double)f->value;
        return true;
    case PROTO_KEY(8, PROTO_FIXED64):
        h->zero_count_float = proto_double(f);
        return true;
    case PROTO_KEY(15, PROTO_BYTES):
        return read_time(r, f->bytes, &h->start_ms);
    default:
        return number < 9 || number > 14 || read_side(r, f, number < 12 ? &h->neg : &h->pos);
    }
}

// Counts of one side, absolute. False: they are not as many as the spans say.
static bool side_of(struct reader *r, struct side *in, bool integer, struct expo_hist_side *out)
{
    uint64_t want = 0;
    int64_t at = 0;

    for (size_t i = 0; i < in->span.n; i++)
        want += in->span.v[i].length;
    if (integer) {
        vec_reset(&in->count);
        for (size_t i = 0; i < in->delta.n; i++) {
            if (__builtin_add_overflow(at, in->delta.v[i], &at))
                return false;
            *vec_push_in(r->arena, &in->count) = (double)at;
        }
    }
    *out = (struct expo_hist_side){ in->span.v, in->count.v, (uint32_t)in->span.n,
                                    (uint32_t)in->count.n };
    return want == in->count.n;
}

static bool native_of(struct reader *r, struct str s, struct histogram *h, struct expo_metric *m)
{
    struct expo_histogram *n = arena_new(r->arena, struct expo_histogram);

    n->schema = h->schema;
    n->integer = !(h->count_float > 0 || h->zero_count_float > 0);
    n->zero_threshold = h->zero_threshold;
    n->zero_count = n->integer ? h->zero_count : h->zero_count_float;
    n->count = m->count;
    n->sum = h->sum;
    if (!side_of(r, &h->neg, n->integer, &n->neg) || !side_of(r, &h->pos, n->integer, &n->pos))
        return malformed(r, s.p, "Histogram");
    m->hist = n;
    return within(r);
}

static bool read_histogram(struct reader *r, struct str s, struct expo_metric *m)
{
    struct histogram h = { 0 };
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0)
        if (!read_histogram_field(r, &f, &h))
            return false;
    if (got < 0)
        return malformed(r, c.p, "Histogram");
    m->count = h.count_float > 0 ? h.count_float : h.count;
    m->value = h.sum;
    m->start_ms = h.start_ms;
    m->bucket = h.bucket.v;
    m->buckets = h.bucket.n;
    if (h.neg.span.n || h.pos.span.n || h.zero_threshold > 0)
        return native_of(r, s, &h, m);
    return true;
}

/* ---- metrics and families ---- */

// Which field of Metric holds the value of a type.
static uint32_t field_of(enum expo_type t)
{
    switch (t) {
    case EXPO_GAUGE:
        return 2;
    case EXPO_COUNTER:
        return 3;
    case EXPO_SUMMARY:
        return 4;
    case EXPO_HISTOGRAM:
    case EXPO_GAUGE_HISTOGRAM:
        return 7;
    default:
        return 5;
    }
}

static bool read_value(struct reader *r, enum expo_type t, struct str s, struct expo_metric *m)
{
    if (field_of(t) == 7)
        return read_histogram(r, s, m);
    return t == EXPO_SUMMARY ? read_summary(r, s, m) : read_simple(r, s, m);
}

static bool read_metric(struct reader *r, enum expo_type t, struct str s, struct expo_metric *m,
                        bool *has_value)
{
    label_list labels = { 0 };
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES)) {
            if (!read_label(r, f.bytes, &labels))
                return false;
        } else if (f.key == PROTO_KEY(6, PROTO_VARINT)) {
            m->has_time = true;
            m->t_ms = (int64_t)f.value;
        } else if (f.key == PROTO_KEY(field_of(t), PROTO_BYTES)) {
            *has_value = true;
            if (!read_value(r, t, f.bytes, m))
                return false;
        }
    }
    if (t != EXPO_COUNTER)
        m->exemplar = NULL; // a Gauge has no such field
    m->label = labels.v;
    m->labels = labels.n;
    return got < 0 ? malformed(r, c.p, "Metric") : within(r);
}

static bool read_head(struct reader *r, struct str s, struct expo_family *out, size_t *metrics)
{
    static const enum expo_type types[] = { EXPO_COUNTER, EXPO_GAUGE,     EXPO_SUMMARY,
                                            EXPO_UNKNOWN, EXPO_HISTOGRAM, EXPO_GAUGE_HISTOGRAM };
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    out->type = EXPO_COUNTER; // 0, the default of the enumeration
    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(1, PROTO_BYTES):
            out->name = f.bytes;
            break;
        case PROTO_KEY(2, PROTO_BYTES):
            out->help = f.bytes;
            break;
        case PROTO_KEY(3, PROTO_VARINT):
            if (f.value >= ARRAY_LEN(types))
                return malformed(r, c.p, "MetricFamily");
            out->type = types[f.value];
            break;
        case PROTO_KEY(4, PROTO_BYTES):
            ++*metrics;
            break;
        case PROTO_KEY(5, PROTO_BYTES):
            out->unit = f.bytes;
            break;
        default:
            break;
        }
    }
    return got == 0 || malformed(r, c.p, "MetricFamily");
}

static bool read_family(struct reader *r, struct str s, struct expo_whole *out)
{
    size_t n = 0;
    struct proto c = proto_of(s);
    struct proto_field f;

    *out = (struct expo_whole){ 0 };
    if (!read_head(r, s, &out->family, &n))
        return false;
    if (n > r->bytes_max / sizeof *out->metric)
        return err_set(r->e, ERR_LIMIT, "the families take more than %zu bytes of memory",
                       r->bytes_max);
    out->metric = arena_array(r->arena, n, struct expo_metric);
    out->odd = n;
    while (proto_next(&c, &f) > 0) {
        bool has_value = false;

        if (f.key != PROTO_KEY(4, PROTO_BYTES))
            continue;
        if (!read_metric(r, out->family.type, f.bytes, &out->metric[out->n], &has_value))
            return false;
        if (!has_value && out->odd == n)
            out->odd = out->n;
        out->n++;
    }
    return within(r);
}

int expo_family_next(struct arena *a, size_t bytes_max, struct str *rest, struct expo_whole *out,
                     struct err *e)
{
    struct reader r = { .arena = a, .bytes_max = bytes_max, .from = rest->p, .e = e };
    struct expo_whole whole;
    struct proto c = proto_of(*rest);
    uint64_t n;

    if (!rest->n)
        return 0;
    if (!proto_varint(&c, &n) || n > (uint64_t)(c.end - c.p)) {
        malformed(&r, rest->p, "MetricFamily");
        return -1;
    }
    if (!read_family(&r, str_of((const char *)c.p, (size_t)n), &whole))
        return -1;
    *rest = str_of((const char *)c.p + n, (size_t)(c.end - c.p) - (size_t)n);
    *out = whole;
    return 1;
}
