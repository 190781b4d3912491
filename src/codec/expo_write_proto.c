/*
 * expo_write_proto.c - the protobuf writer; the messages are laid out at the head of expo_proto.c.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "codec/expo_write_priv.h"
#include "codec/proto.h"

void expo_write_proto_family(struct expo_writer *w)
{
    static const uint8_t types[] = {
        [EXPO_UNKNOWN] = 3, [EXPO_COUNTER] = 0,         [EXPO_GAUGE] = 1, [EXPO_HISTOGRAM] = 4,
        [EXPO_SUMMARY] = 2, [EXPO_GAUGE_HISTOGRAM] = 5, [EXPO_INFO] = 1,  [EXPO_STATESET] = 1,
    };

    assert(w->family.type < ARRAY_LEN(types));
    w->mark = proto_begin_delimited(w->out);
    proto_put_bytes(w->out, 1, w->family.name);
    if (w->family.help.n)
        proto_put_bytes(w->out, 2, w->family.help);
    proto_put_varint(w->out, 3, types[w->family.type]);
    if (w->family.unit.n)
        proto_put_bytes(w->out, 5, w->family.unit);
}

void expo_write_proto_close(struct expo_writer *w)
{
    proto_end(w->out, w->mark);
}

static void put_labels(struct buf *b, const struct expo_label *v, size_t n, bool keep_empty)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n == 0 && !keep_empty)
            continue;
        size_t mark = proto_begin(b, 1);
        proto_put_bytes(b, 1, v[i].name);
        proto_put_bytes(b, 2, v[i].value);
        proto_end(b, mark);
    }
}

static void put_time(struct buf *b, uint32_t number, int64_t ms)
{
    size_t mark = proto_begin(b, number);
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);

    proto_put_varint(b, 1, (uint64_t)seconds);
    proto_put_varint(b, 2, (uint64_t)((ms - seconds * 1000) * 1000000));
    proto_end(b, mark);
}

static void put_exemplar(struct buf *b, uint32_t number, const struct expo_exemplar_out *ex)
{
    if (!ex)
        return;
    size_t mark = proto_begin(b, number);
    put_labels(b, ex->label, ex->labels, false);
    proto_put_double(b, 2, ex->value);
    if (ex->t_ms)
        put_time(b, 3, ex->t_ms);
    proto_end(b, mark);
}

// A count as an integer in field `whole` or, when it is none, as a float in field `fraction`.
static void put_count(struct buf *b, uint32_t whole, uint32_t fraction, double v)
{
    if (v >= 0 && v < 1e18 && v == floor(v))
        proto_put_varint(b, whole, (uint64_t)v);
    else
        proto_put_double(b, fraction, v);
}

static void put_summary(struct buf *b, const struct expo_metric *m)
{
    put_count(b, 1, 1, m->count < 0 ? 0 : floor(m->count));
    proto_put_double(b, 2, m->value);
    for (size_t i = 0; i < m->quantiles; i++) {
        size_t mark = proto_begin(b, 3);
        proto_put_double(b, 1, m->quantile[i].quantile);
        proto_put_double(b, 2, m->quantile[i].value);
        proto_end(b, mark);
    }
    if (m->start_ms)
        put_time(b, 4, m->start_ms);
}

// Spans, then deltas of whole counts or the counts; `number` is the field of the spans.
static void put_side(struct buf *b, uint32_t number, const struct expo_hist_side *s, bool integer)
{
    int64_t last = 0;

    for (uint32_t i = 0; i < s->spans; i++) {
        size_t mark = proto_begin(b, number);
        proto_put_sint(b, 1, s->span[i].offset);
        proto_put_varint(b, 2, s->span[i].length);
        proto_end(b, mark);
    }
    if (!s->buckets)
        return;
    size_t mark = proto_begin(b, number + (integer ? 1 : 2));
    for (uint32_t i = 0; i < s->buckets; i++) {
        if (integer) {
            buf_varint(b, zigzag((int64_t)s->count[i] - last));
            last = (int64_t)s->count[i];
        } else {
            buf_le64(b, double_bits(s->count[i]));
        }
    }
    proto_end(b, mark);
}

static void put_native(struct buf *b, const struct expo_histogram *h)
{
    if (h->integer) {
        proto_put_varint(b, 1, (uint64_t)h->count);
        proto_put_varint(b, 7, (uint64_t)h->zero_count);
    } else {
        proto_put_double(b, 4, h->count);
        proto_put_double(b, 8, h->zero_count);
    }
    proto_put_double(b, 2, h->sum);
    proto_put_sint(b, 5, h->schema);
    proto_put_double(b, 6, h->zero_threshold);
    put_side(b, 9, &h->neg, h->integer);
    put_side(b, 12, &h->pos, h->integer);
    if (h->neg.spans || h->pos.spans || h->zero_threshold > 0 || h->zero_count > 0)
        return;
    proto_end(b, proto_begin(b, 12)); // an empty span tells it from a classic histogram
}

static void put_histogram(struct buf *b, const struct expo_metric *m)
{
    if (m->hist) {
        put_native(b, m->hist);
    } else {
        put_count(b, 1, 4, m->count);
        proto_put_double(b, 2, m->value);
    }
    for (size_t i = 0; i < m->buckets; i++) {
        size_t mark = proto_begin(b, 3);
        put_count(b, 1, 4, m->bucket[i].count);
        proto_put_double(b, 2, m->bucket[i].upper);
        put_exemplar(b, 3, m->bucket[i].exemplar);
        proto_end(b, mark);
    }
    if (m->start_ms)
        put_time(b, 15, m->start_ms);
}

void expo_write_proto_metric(struct expo_writer *w, const struct expo_metric *m)
{
    static const uint8_t fields[] = {
        [EXPO_UNKNOWN] = 5, [EXPO_COUNTER] = 3,         [EXPO_GAUGE] = 2, [EXPO_HISTOGRAM] = 7,
        [EXPO_SUMMARY] = 4, [EXPO_GAUGE_HISTOGRAM] = 7, [EXPO_INFO] = 2,  [EXPO_STATESET] = 2,
    };
    struct buf *b = w->out;

    assert(w->family.type < ARRAY_LEN(fields));
    size_t metric = proto_begin(b, 4);

    put_labels(b, m->label, m->labels, w->keep_empty);
    size_t payload = proto_begin(b, fields[w->family.type]);
    if (fields[w->family.type] == 7) {
        put_histogram(b, m);
    } else if (w->family.type == EXPO_SUMMARY) {
        put_summary(b, m);
    } else {
        proto_put_double(b, 1, m->value);
        if (w->family.type == EXPO_COUNTER) {
            put_exemplar(b, 2, m->exemplar);
            if (m->start_ms)
                put_time(b, 3, m->start_ms);
        }
    }
    proto_end(b, payload);
    if (m->has_time)
        proto_put_varint(b, 6, (uint64_t)m->t_ms);
    proto_end(b, metric);
}
