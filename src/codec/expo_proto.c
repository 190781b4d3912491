/*
 * expo_proto.c - delimited io.prometheus.client.MetricFamily messages (client_model, 2.x and later).
 *
 * A body is a sequence of families, each behind its length as a varint:
 *   MetricFamily  1 name, 2 help, 3 type, 4 metric…, 5 unit
 *   Metric        1 label…, 2 gauge, 3 counter, 4 summary, 5 untyped, 6 time in ms, 7 histogram
 *   Counter       1 value, 2 exemplar, 3 start          Gauge, Untyped  1 value
 *   Summary       1 count, 2 sum, 3 quantile{1 quantile, 2 value}…, 4 start
 *   Histogram     1 count, 2 sum, 3 bucket{1 cumulative, 2 upper, 3 exemplar, 4 cumulative float}…,
 *                 4 count float, 5 schema, 6 zero threshold, 7 zero count, 8 zero count float,
 *                 9/10/11 negative span/delta/count…, 12/13/14 positive span/delta/count…,
 *                 15 start, 16 exemplar…
 *   Exemplar      1 label…, 2 value, 3 time{1 seconds, 2 nanoseconds}
 *   LabelPair     1 name, 2 value
 *
 * The raw series bytes of an event are made up here: the name behind its length as a varint, then
 * the label fields as they were sent, then `le` or `quantile` as one more label field.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/rune.h"
#include "codec/expo_priv.h"
#include "codec/proto.h"

struct bucket {
    double cumulative, upper;
    struct str exemplar; // a message; p == NULL: none
};

struct quantile {
    double quantile, value;
};

struct side {
    VEC(struct expo_span) span;
    VEC(int64_t) delta;
    VEC(double) count;
};

// What a Histogram or Summary message holds.
struct compound {
    uint64_t count, zero_count;
    double count_float, sum, zero_threshold, zero_count_float;
    int32_t schema;
    VEC(struct bucket) bucket;
    VEC(struct quantile) quantile;
    struct side pos, neg;
    VEC(struct str) exemplar;
};

enum { LABELS_MAX = 64 << 10 }; // bytes of one metric's labels: each of its buckets repeats them

enum phase { PHASE_FAMILY, PHASE_UNIT, PHASE_TYPE, PHASE_METRIC, PHASE_NATIVE, PHASE_CLASSIC };

struct expo_proto {
    struct proto in; // families left
    enum phase phase;
    struct str name, help, unit; // of the family
    enum expo_type type;
    struct proto metrics; // fields of the family left

    // The metric in hand. Its arrays are in the parser's scratch arena.
    double value;
    int64_t t_ms, start_ms;
    struct str exemplar; // of a counter
    struct compound c;
    size_t step;       // 0 _count, 1 _sum, then quantiles or buckets
    struct buf labels; // its label fields
    struct buf raw;    // series bytes of the event
    struct expo_histogram hist;
};

void expo_proto_start(struct expo *x)
{
    if (!x->proto)
        x->proto = xcalloc(1, sizeof *x->proto);
    x->proto->in = proto_of(str_of(x->l.body, (size_t)(x->l.end - x->l.body)));
    x->proto->phase = PHASE_FAMILY;
}

void expo_proto_free(struct expo_proto *p)
{
    if (!p)
        return;
    buf_fini(&p->labels);
    buf_fini(&p->raw);
    xfree(p);
}

static struct pos pos_at(const struct expo *x, const void *at)
{
    return (struct pos){ .offset = (uint64_t)((const char *)at - x->l.body) };
}

static bool fail_field(const struct expo *x, const void *at, const char *message, struct err *e)
{
    return err_at(e, pos_at(x, at), ERR_INVALID, "protobuf: malformed field in %s", message);
}

/* ---- small messages ---- */

static bool read_time(const struct expo *x, struct str s, int64_t *out_ms, struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int64_t seconds = 0, ms;
    int32_t nanos = 0;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            seconds = (int64_t)f.value;
        else if (f.key == PROTO_KEY(2, PROTO_VARINT))
            nanos = (int32_t)f.value;
    }
    if (got < 0)
        return fail_field(x, c.p, "Timestamp", e);
    if (__builtin_mul_overflow(seconds, 1000, &ms) ||
        __builtin_add_overflow(ms, nanos / 1000000, &ms))
        return err_at(e, pos_at(x, s.p), ERR_INVALID, "protobuf: timestamp out of range");
    *out_ms = ms;
    return true;
}

static bool read_exemplar(const struct expo *x, struct str s, struct expo_exemplar *out,
                          struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    *out = (struct expo_exemplar){ .raw = s };
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(2, PROTO_FIXED64)) {
            out->value = proto_double(&f);
        } else if (f.key == PROTO_KEY(3, PROTO_BYTES)) {
            if (!read_time(x, f.bytes, &out->t_ms, e))
                return false;
            out->has_time = true;
        }
    }
    return got == 0 || fail_field(x, c.p, "Exemplar", e);
}

// A message whose field 1 is a double: Gauge and Untyped, and the first half of Counter.
static bool read_simple(const struct expo *x, struct str s, struct expo_proto *p, struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            p->value = proto_double(&f);
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            p->exemplar = f.bytes;
        else if (f.key == PROTO_KEY(3, PROTO_BYTES) && !read_time(x, f.bytes, &p->start_ms, e))
            return false;
    }
    return got == 0 || fail_field(x, c.p, "Counter, Gauge or Untyped", e);
}

/* ---- summaries and histograms ---- */

static bool read_quantile(struct expo *x, struct str s, struct err *e)
{
    struct quantile *q = vec_push_in(&x->scratch, &x->proto->c.quantile);
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            q->quantile = proto_double(&f);
        else if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            q->value = proto_double(&f);
    }
    return got == 0 || fail_field(x, c.p, "Quantile", e);
}

static bool read_summary(struct expo *x, struct str s, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(1, PROTO_VARINT):
            p->c.count = f.value;
            break;
        case PROTO_KEY(2, PROTO_FIXED64):
            p->c.sum = proto_double(&f);
            break;
        case PROTO_KEY(3, PROTO_BYTES):
            if (!read_quantile(x, f.bytes, e))
                return false;
            break;
        case PROTO_KEY(4, PROTO_BYTES):
            if (!read_time(x, f.bytes, &p->start_ms, e))
                return false;
            break;
        default:
            break;
        }
    }
    return got == 0 || fail_field(x, c.p, "Summary", e);
}

static bool read_bucket(struct expo *x, struct str s, struct err *e)
{
    struct bucket *b = vec_push_in(&x->scratch, &x->proto->c.bucket);
    struct proto c = proto_of(s);
    struct proto_field f;
    double as_float = 0;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            b->cumulative = (double)f.value;
        else if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            b->upper = proto_double(&f);
        else if (f.key == PROTO_KEY(3, PROTO_BYTES))
            b->exemplar = f.bytes;
        else if (f.key == PROTO_KEY(4, PROTO_FIXED64))
            as_float = proto_double(&f);
    }
    if (as_float != 0)
        b->cumulative = as_float;
    return got == 0 || fail_field(x, c.p, "Bucket", e);
}

static bool read_span(struct expo *x, struct str s, struct side *side, struct err *e)
{
    struct expo_span *span = vec_push_in(&x->scratch, &side->span);
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            span->offset = (int32_t)proto_sint(&f);
        else if (f.key == PROTO_KEY(2, PROTO_VARINT))
            span->length = (uint32_t)f.value;
    }
    return got == 0 || fail_field(x, c.p, "BucketSpan", e);
}

static bool read_deltas(struct expo *x, struct str packed, struct side *side, struct err *e)
{
    struct proto c = proto_of(packed);
    uint64_t v;

    vec_reserve_in(&x->scratch, &side->delta, proto_packed_count(packed));
    while (c.p < c.end) {
        if (!proto_varint(&c, &v))
            return fail_field(x, c.p, "Histogram", e);
        *vec_push_in(&x->scratch, &side->delta) = unzigzag(v);
    }
    return true;
}

static bool read_counts(struct expo *x, struct str packed, struct side *side, struct err *e)
{
    if (packed.n % 8)
        return fail_field(x, packed.p, "Histogram", e);
    vec_reserve_in(&x->scratch, &side->count, packed.n / 8);
    for (size_t i = 0; i < packed.n; i += 8)
        *vec_push_in(&x->scratch, &side->count) = double_from_bits(get_le64(packed.p + i));
    return true;
}

// Fields 9..11 and 12..14: spans, deltas and counts of one side.
static bool read_side(struct expo *x, const struct proto_field *f, struct side *side, struct err *e)
{
    uint32_t which = (proto_number(f) - 9) % 3;

    if ((f->key & 7) == PROTO_BYTES) {
        if (which == 0)
            return read_span(x, f->bytes, side, e);
        return which == 1 ? read_deltas(x, f->bytes, side, e) : read_counts(x, f->bytes, side, e);
    }
    if (which == 1 && (f->key & 7) == PROTO_VARINT)
        *vec_push_in(&x->scratch, &side->delta) = proto_sint(f);
    else if (which == 2 && (f->key & 7) == PROTO_FIXED64)
        *vec_push_in(&x->scratch, &side->count) = proto_double(f);
    return true;
}

static bool read_histogram_field(struct expo *x, const struct proto_field *f, struct err *e)
{
    struct compound *c = &x->proto->c;

    switch (f->key) {
    case PROTO_KEY(1, PROTO_VARINT):
        c->count = f->value;
        return true;
    case PROTO_KEY(2, PROTO_FIXED64):
        c->sum = proto_double(f);
        return true;
    case PROTO_KEY(3, PROTO_BYTES):
        return read_bucket(x, f->bytes, e);
    case PROTO_KEY(4, PROTO_FIXED64):
        c->count_float = proto_double(f);
        return true;
    case PROTO_KEY(5, PROTO_VARINT):
        c->schema = (int32_t)proto_sint(f);
        return true;
    case PROTO_KEY(6, PROTO_FIXED64):
        c->zero_threshold = proto_double(f);
        return true;
    case PROTO_KEY(7, PROTO_VARINT):
        c->zero_count = f->value;
        return true;
    case PROTO_KEY(8, PROTO_FIXED64):
        c->zero_count_float = proto_double(f);
        return true;
    case PROTO_KEY(15, PROTO_BYTES):
        return read_time(x, f->bytes, &x->proto->start_ms, e);
    case PROTO_KEY(16, PROTO_BYTES):
        *vec_push_in(&x->scratch, &c->exemplar) = f->bytes;
        return true;
    default:
        break;
    }
    uint32_t number = proto_number(f);
    if (number >= 9 && number <= 14)
        return read_side(x, f, number < 12 ? &c->neg : &c->pos, e);
    return true;
}

static bool read_histogram(struct expo *x, struct str s, struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0)
        if (!read_histogram_field(x, &f, e))
            return false;
    return got == 0 || fail_field(x, c.p, "Histogram", e);
}

/* ---- metrics and families ---- */

static bool is_histogram(enum expo_type t)
{
    return t == EXPO_HISTOGRAM || t == EXPO_GAUGE_HISTOGRAM;
}

// The payload that the family's type asks for; others are ignored, as upstream does.
static bool read_payload(struct expo *x, const struct proto_field *f, struct err *e)
{
    struct expo_proto *p = x->proto;

    switch (f->key) {
    case PROTO_KEY(2, PROTO_BYTES):
        return p->type != EXPO_GAUGE || read_simple(x, f->bytes, p, e);
    case PROTO_KEY(3, PROTO_BYTES):
        return p->type != EXPO_COUNTER || read_simple(x, f->bytes, p, e);
    case PROTO_KEY(4, PROTO_BYTES):
        return p->type != EXPO_SUMMARY || read_summary(x, f->bytes, e);
    case PROTO_KEY(5, PROTO_BYTES):
        return p->type != EXPO_UNKNOWN || read_simple(x, f->bytes, p, e);
    case PROTO_KEY(6, PROTO_VARINT):
        p->t_ms = (int64_t)f->value;
        return true;
    case PROTO_KEY(7, PROTO_BYTES):
        return !is_histogram(p->type) || read_histogram(x, f->bytes, e);
    default:
        return true;
    }
}

static bool read_metric(struct expo *x, struct str s, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    arena_reset(&x->scratch);
    buf_reset(&p->labels);
    p->value = 0;
    p->t_ms = p->start_ms = 0;
    p->exemplar = STR_NONE;
    p->c = (struct compound){ 0 };
    p->step = 0;
    for (;;) {
        const uint8_t *from = c.p;

        got = proto_next(&c, &f);
        if (got <= 0)
            break;
        if (f.key == PROTO_KEY(1, PROTO_BYTES)) {
            if (p->labels.n + (size_t)(c.p - from) > LABELS_MAX)
                return err_at(e, pos_at(x, from), ERR_LIMIT,
                              "protobuf: labels of one metric take more than %d bytes", LABELS_MAX);
            buf_bytes(&p->labels, from, (size_t)(c.p - from));
        } else if (!read_payload(x, &f, e))
            return false;
    }
    if (p->type != EXPO_COUNTER) // a Gauge has no such fields
        p->exemplar = STR_NONE;
    return got == 0 || fail_field(x, c.p, "Metric", e);
}

static bool type_of(uint64_t v, enum expo_type *out)
{
    static const enum expo_type types[] = { EXPO_COUNTER, EXPO_GAUGE,     EXPO_SUMMARY,
                                            EXPO_UNKNOWN, EXPO_HISTOGRAM, EXPO_GAUGE_HISTOGRAM };

    if (v >= ARRAY_LEN(types))
        return false;
    *out = types[v];
    return true;
}

static bool check_family(const struct expo *x, uint64_t type, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct pos pos = pos_at(x, p->metrics.p);
    OWNED(buf_fini) struct buf name = { 0 };

    if (p->name.n == 0 || !str_is_utf8(p->name))
        return err_at(e, pos, ERR_INVALID, "invalid metric name: %.*s", STRF(p->name));
    buf_quoted(&name, p->name);
    if (!str_is_utf8(p->help))
        return err_at(e, pos, ERR_INVALID, "invalid help for metric %s: %.*s", buf_cstr(&name),
                      STRF(p->help));
    if (!type_of(type, &p->type))
        return err_at(e, pos, ERR_INVALID, "unknown metric type for metric %s: %" PRIu64,
                      buf_cstr(&name), type);
    return true;
}

// Reads the next family but its metrics: 1, 0 at the end of the page, −1.
static int next_family(struct expo *x, bool *empty, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct proto at = p->in;
    struct proto_field f;
    uint64_t n, type = 0;
    int got;

    if (at.p == at.end)
        return 0;
    if (!proto_varint(&at, &n) || at.p - p->in.p > 5) {
        err_at(e, pos_at(x, p->in.p), ERR_INVALID, "clientpb: invalid varint encountered");
        return -1;
    }
    if (n > (uint64_t)(at.end - at.p)) {
        err_at(e, pos_at(x, p->in.p), ERR_INVALID,
               "clientpb: insufficient length of buffer, expected at least %" PRIu64
               " bytes, got %zu bytes",
               n + (uint64_t)(at.p - p->in.p), (size_t)(at.end - p->in.p));
        return -1;
    }
    p->metrics = (struct proto){ at.p, at.p + n };
    p->in.p = at.p + n;
    p->name = p->help = p->unit = STR("");
    *empty = true;
    for (struct proto c = p->metrics; (got = proto_next(&c, &f)) != 0;) {
        if (got < 0) {
            fail_field(x, c.p, "MetricFamily", e);
            return -1;
        }
        if (f.key == PROTO_KEY(1, PROTO_BYTES))
            p->name = f.bytes;
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            p->help = f.bytes;
        else if (f.key == PROTO_KEY(3, PROTO_VARINT))
            type = f.value;
        else if (f.key == PROTO_KEY(4, PROTO_BYTES))
            *empty = false;
        else if (f.key == PROTO_KEY(5, PROTO_BYTES))
            p->unit = f.bytes;
    }
    return *empty || check_family(x, type, e) ? 1 : -1;
}

/* ---- events ---- */

static bool check_labels(const struct expo *x, struct str labels, struct err *e)
{
    struct proto c = proto_of(labels);
    struct proto_field pair, f;
    int got = 0;

    while (proto_next(&c, &pair) > 0) {
        struct proto in = proto_of(pair.bytes);
        struct str name = STR("");

        while ((got = proto_next(&in, &f)) > 0) {
            if (f.key == PROTO_KEY(1, PROTO_BYTES))
                name = f.bytes;
            if (f.key == PROTO_KEY(2, PROTO_BYTES) && !str_is_utf8(f.bytes))
                return err_at(e, pos_at(x, x->proto->metrics.p), ERR_INVALID,
                              "invalid label value: %.*s", STRF(f.bytes));
        }
        if (got < 0)
            return fail_field(x, x->proto->metrics.p, "LabelPair", e);
        if (name.n == 0 || !str_is_utf8(name))
            return err_at(e, pos_at(x, x->proto->metrics.p), ERR_INVALID,
                          "invalid label name: %.*s", STRF(name));
    }
    return true;
}

// Makes the series bytes of name + suffix, the labels and perhaps one more, and looks them up.
static bool series_event(struct expo *x, struct expo_event *ev, struct str suffix, struct str label,
                         double label_value, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct str view;

    buf_reset(&p->raw);
    buf_varint(&p->raw, p->name.n + suffix.n);
    buf_str(&p->raw, p->name);
    buf_str(&p->raw, suffix);
    buf_str(&p->raw, buf_view(&p->labels));
    if (label.n) {
        char text[NUM_TEXT_MAX + 2];
        size_t mark = proto_begin(&p->raw, 1);

        proto_put_bytes(&p->raw, 1, label);
        proto_put_bytes(&p->raw, 2, str_of(text, expo_format_float(label_value, text)));
        proto_end(&p->raw, mark);
    }
    view = buf_view(&p->raw);
    ev->type = p->type;
    ev->has_time = p->t_ms != 0; // absent and 0 look alike
    ev->t_ms = p->t_ms;
    ev->start_ms = p->start_ms;
    ev->exemplars = 0;
    if (x->known_at < x->o.known_n && x->o.known[x->known_at].n == view.n &&
        expo_match(x, view.p, view.n + 1, ev)) {
        x->known_at++;
        return true;
    }
    expo_match_slow(x, view, ev);
    return ev->slot != EXPO_SLOT_NONE || check_labels(x, buf_view(&p->labels), e);
}

static bool add_exemplar(struct expo *x, struct str message, struct expo_event *ev, struct err *e)
{
    if (!message.p)
        return true;
    if (!read_exemplar(x, message, &x->exemplar, e))
        return false;
    ev->exemplars = 1;
    ev->exemplar = &x->exemplar;
    return true;
}

// Exemplars of a native histogram; those without a time are left out.
static bool native_exemplars(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct compound *c = &x->proto->c;
    size_t n = c->exemplar.n ? c->exemplar.n : c->bucket.n;
    struct expo_exemplar *v = arena_array(&x->scratch, n + 1, struct expo_exemplar);

    for (size_t i = 0; i < n; i++) {
        struct str message = c->exemplar.n ? c->exemplar.v[i] : c->bucket.v[i].exemplar;

        if (!message.p)
            continue;
        if (!read_exemplar(x, message, &v[ev->exemplars], e))
            return false;
        ev->exemplars += v[ev->exemplars].has_time;
    }
    ev->exemplar = v;
    return true;
}

static bool fail_histogram(const struct expo *x, const char *side, const char *what, struct err *e)
{
    OWNED(buf_fini) struct buf name = { 0 };

    buf_quoted(&name, str_sub(x->proto->name, 0, 128));
    return err_at(e, pos_at(x, x->proto->metrics.p), ERR_INVALID, "histogram %s: %s side: %s",
                  buf_cstr(&name), side, what);
}

// Absolute counts of a side whose spans and deltas agree; false: the sums overflow.
static bool sum_deltas(struct side *side, double *out)
{
    int64_t sum = 0;

    for (size_t i = 0; i < side->delta.n; i++) {
        if (__builtin_add_overflow(sum, side->delta.v[i], &sum))
            return false;
        out[i] = (double)sum;
    }
    return true;
}

/*
 * Cuts empty buckets out: the spans become the maximal runs of buckets that are not 0. count has
 * room for all buckets and is compacted in place. False: an index leaves the range of int32.
 */
static bool compact(struct arena *a, const struct side *side, double *count,
                    struct expo_hist_side *out)
{
    VEC(struct expo_span) runs = { 0 };
    int64_t index = 0, end = 0; // of the bucket in hand; behind the last one kept
    uint32_t kept = 0;
    size_t at = 0;

    for (size_t i = 0; i < side->span.n; i++) {
        index += side->span.v[i].offset;
        for (uint32_t k = 0; k < side->span.v[i].length; k++, index++, at++) {
            if (count[at] == 0)
                continue;
            if (runs.n == 0 || index != end) {
                if (index - end > INT32_MAX || index - end < INT32_MIN)
                    return false;
                *vec_push_in(a, &runs) = (struct expo_span){ (int32_t)(index - end), 0 };
            }
            runs.v[runs.n - 1].length++;
            count[kept++] = count[at];
            end = index + 1;
        }
    }
    *out = (struct expo_hist_side){ runs.v, count, (uint32_t)runs.n, kept };
    return end <= INT32_MAX;
}

static bool build_side(struct expo *x, const char *name, struct side *side, bool integer,
                       struct expo_hist_side *out, struct err *e)
{
    size_t n = integer ? side->delta.n : side->count.n;
    uint64_t want = 0;
    char text[96];
    double *count;

    for (size_t i = 0; i < side->span.n; i++)
        want += side->span.v[i].length;
    if (want != n || n > UINT32_MAX || side->span.n > UINT32_MAX) {
        snprintf(text, sizeof text, "spans require %" PRIu64 " buckets, have %zu", want, n);
        return fail_histogram(x, name, text, e);
    }
    count = integer ? arena_array(&x->scratch, n, double) : side->count.v;
    if (integer && !sum_deltas(side, count))
        return fail_histogram(x, name, "bucket counts overflow", e);
    if (!compact(&x->scratch, side, count, out))
        return fail_histogram(x, name, "bucket index out of range", e);
    return true;
}

static bool is_native(const struct expo *x)
{
    const struct compound *c = &x->proto->c;

    return is_histogram(x->proto->type) && !x->o.no_native_histograms &&
           (c->pos.span.n || c->neg.span.n || c->zero_threshold > 0 || c->zero_count > 0);
}

static bool native_event(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct compound *c = &p->c;
    bool is_float = c->count_float > 0 || c->zero_count_float > 0;

    p->hist = (struct expo_histogram){
        .schema = c->schema,
        .integer = !is_float,
        .gauge = p->type == EXPO_GAUGE_HISTOGRAM,
        .zero_threshold = c->zero_threshold,
        .zero_count = is_float ? c->zero_count_float : (double)c->zero_count,
        .count = is_float ? c->count_float : (double)c->count,
        .sum = c->sum,
    };
    if (!build_side(x, "positive", &c->pos, !is_float, &p->hist.pos, e) ||
        !build_side(x, "negative", &c->neg, !is_float, &p->hist.neg, e) ||
        !series_event(x, ev, STR(""), STR(""), 0, e))
        return false;
    ev->kind = EXPO_NATIVE;
    ev->hist = &p->hist;
    return native_exemplars(x, ev, e);
}

// Step 0 is _count, 1 _sum, then quantiles. *last: nothing comes behind.
static bool summary_event(struct expo *x, struct expo_event *ev, bool *last, struct err *e)
{
    struct compound *c = &x->proto->c;
    size_t step = x->proto->step++;

    *last = step == c->quantile.n + 1;
    if (step == 0) {
        ev->value = (double)c->count;
        return series_event(x, ev, STR("_count"), STR(""), 0, e);
    }
    if (step == 1) {
        ev->value = c->sum;
        return series_event(x, ev, STR("_sum"), STR(""), 0, e);
    }
    ev->value = c->quantile.v[step - 2].value;
    return series_event(x, ev, STR(""), STR("quantile"), c->quantile.v[step - 2].quantile, e);
}

// As summary_event(); the bucket of +Inf is added when it was not sent.
static bool classic_event(struct expo *x, struct expo_event *ev, bool *last, struct err *e)
{
    struct compound *c = &x->proto->c;
    size_t step = x->proto->step++;
    double count = c->count_float != 0 ? c->count_float : (double)c->count;

    *last = false;
    if (step == 0) {
        ev->value = count;
        return series_event(x, ev, STR("_count"), STR(""), 0, e);
    }
    if (step == 1) {
        ev->value = c->sum;
        return series_event(x, ev, STR("_sum"), STR(""), 0, e);
    }
    if (step - 2 == c->bucket.n) {
        *last = true;
        ev->value = count;
        return series_event(x, ev, STR("_bucket"), STR("le"), INFINITY, e);
    }
    const struct bucket *b = &c->bucket.v[step - 2];
    *last = b->upper == INFINITY;
    ev->value = b->cumulative;
    return series_event(x, ev, STR("_bucket"), STR("le"), b->upper, e) &&
           add_exemplar(x, b->exemplar, ev, e);
}

// The events of the metric in hand, one per call.
static int metric_event(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct expo_proto *p = x->proto;
    bool last = true, ok;

    ev->kind = EXPO_SAMPLE;
    if (p->phase == PHASE_NATIVE) {
        ok = native_event(x, ev, e);
        last = !(x->o.always_classic && p->c.bucket.n);
    } else if (is_histogram(p->type)) {
        ok = classic_event(x, ev, &last, e);
    } else if (p->type == EXPO_SUMMARY) {
        ok = summary_event(x, ev, &last, e);
    } else {
        ev->value = p->value;
        ok = series_event(x, ev, STR(""), STR(""), 0, e) && add_exemplar(x, p->exemplar, ev, e);
    }
    p->phase = last ? PHASE_METRIC : PHASE_CLASSIC;
    return ok ? 1 : -1;
}

// To the next metric of the family: 1, 0 when there is none, −1.
static int next_metric(struct expo *x, struct err *e)
{
    struct expo_proto *p = x->proto;
    struct proto_field f;

    while (proto_next(&p->metrics, &f) > 0) {
        if (f.key != PROTO_KEY(4, PROTO_BYTES))
            continue;
        if (!read_metric(x, f.bytes, e))
            return -1;
        p->phase = is_native(x) ? PHASE_NATIVE : PHASE_CLASSIC;
        return 1;
    }
    p->phase = PHASE_FAMILY;
    return 0;
}

static int meta_event(struct expo *x, struct expo_event *ev, enum expo_kind kind, struct str text)
{
    ev->kind = kind;
    ev->type = x->proto->type;
    ev->name = x->proto->name;
    ev->text = text;
    return 1;
}

int expo_proto_next(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct expo_proto *p = x->proto;
    bool empty = false;
    int got;

    assert(p && x->o.format == EXPO_PROTO);
    for (;;) {
        switch (p->phase) {
        case PHASE_FAMILY:
            got = next_family(x, &empty, e);
            if (got <= 0)
                return got;
            if (empty)
                break;
            p->phase = p->unit.n ? PHASE_UNIT : PHASE_TYPE;
            return meta_event(x, ev, EXPO_META_HELP, p->help);
        case PHASE_UNIT:
            p->phase = PHASE_TYPE;
            return meta_event(x, ev, EXPO_META_UNIT, p->unit);
        case PHASE_TYPE:
            p->phase = PHASE_METRIC;
            return meta_event(x, ev, EXPO_META_TYPE, STR(""));
        case PHASE_METRIC:
            if (next_metric(x, e) < 0)
                return -1;
            break;
        default:
            return metric_event(x, ev, e);
        }
    }
}

/* ---- decoding ---- */

static bool decode_labels(struct proto c, struct expo_sink *sink)
{
    struct proto_field pair, f;
    int got, in;

    while ((got = proto_next(&c, &pair)) > 0) {
        if (pair.key != PROTO_KEY(1, PROTO_BYTES))
            continue;
        struct expo_label *label = expo_sink_add(sink);
        struct proto p = proto_of(pair.bytes);

        label->name = label->value = STR("");
        while ((in = proto_next(&p, &f)) > 0) {
            if (f.key == PROTO_KEY(1, PROTO_BYTES))
                label->name = f.bytes;
            else if (f.key == PROTO_KEY(2, PROTO_BYTES))
                label->value = f.bytes;
        }
        if (in < 0)
            return false;
    }
    return got == 0;
}

bool expo_proto_decode(struct str raw, struct arena *a, struct expo_labels *out, struct err *e)
{
    struct expo_sink sink = { .a = a };
    struct proto c = proto_of(arena_str(a, raw));
    uint64_t n;

    if (!proto_varint(&c, &n) || n > (uint64_t)(c.end - c.p))
        return err_set(e, ERR_INVALID, "expected a series");
    *expo_sink_add(&sink) = (struct expo_label){ STR("__name__"),
                                                 str_of((const char *)c.p, (size_t)n) };
    c.p += n;
    if (!decode_labels(c, &sink))
        return err_set(e, ERR_INVALID, "expected a series");
    *out = (struct expo_labels){ sink.v, sink.n };
    return true;
}

bool expo_proto_exemplar(struct str raw, struct arena *a, struct expo_labels *out, struct err *e)
{
    struct expo_sink sink = { .a = a };

    if (!decode_labels(proto_of(arena_str(a, raw)), &sink))
        return err_set(e, ERR_INVALID, "expected an exemplar");
    *out = (struct expo_labels){ sink.v, sink.n };
    return true;
}
