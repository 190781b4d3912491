/*
 * prompb_read.c - remote read: the request, and streamed answers.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "codec/xor_chunk.h"
#include "model/prompb_priv.h"

/* ---- the request ---- */

static bool read_matcher(struct str message, struct matcher *out, struct err *e)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    uint64_t op = MATCH_EQ;
    int got;

    *out = (struct matcher){ 0 };
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            op = f.value;
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            out->name = f.bytes;
        else if (f.key == PROTO_KEY(3, PROTO_BYTES))
            out->value = f.bytes;
    }
    if (got < 0)
        return prompb_malformed(message, c.p, "LabelMatcher", e);
    if (op > MATCH_NRE)
        return err_set(e, ERR_INVALID, "invalid matcher type %llu", (unsigned long long)op);
    out->op = (enum match_op)op; // EQ, NEQ, RE, NRE: the same numbers
    return true;
}

struct str_list {
    struct str *v;
    size_t n, cap;
};

static bool read_hints(struct arena *a, struct str message, struct prompb_query *q, struct err *e)
{
    struct str_list grouping = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(1, PROTO_VARINT):
            q->step_ms = (int64_t)f.value;
            break;
        case PROTO_KEY(2, PROTO_BYTES):
            q->func = f.bytes;
            break;
        case PROTO_KEY(3, PROTO_VARINT):
            q->hint_min_ms = (int64_t)f.value;
            break;
        case PROTO_KEY(4, PROTO_VARINT):
            q->hint_max_ms = (int64_t)f.value;
            break;
        case PROTO_KEY(5, PROTO_BYTES):
            if (grouping.n == PROMPB_LABELS_MAX)
                return err_set(e, ERR_LIMIT, "more than %d grouping labels", PROMPB_LABELS_MAX);
            *vec_push_in(a, &grouping) = f.bytes;
            break;
        case PROTO_KEY(6, PROTO_VARINT):
            q->by = f.value != 0;
            break;
        case PROTO_KEY(7, PROTO_VARINT):
            q->range_ms = (int64_t)f.value;
            break;
        default:
            break;
        }
    }
    q->grouping = grouping.v;
    q->grouping_count = grouping.n;
    return got == 0 || prompb_malformed(message, c.p, "ReadHints", e);
}

struct matcher_list {
    struct matcher *v;
    size_t n, cap;
};

static bool read_query(struct arena *a, struct str message, struct prompb_query *q, struct err *e)
{
    struct matcher_list matchers = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT)) {
            q->min_ms = (int64_t)f.value;
        } else if (f.key == PROTO_KEY(2, PROTO_VARINT)) {
            q->max_ms = (int64_t)f.value;
        } else if (f.key == PROTO_KEY(3, PROTO_BYTES)) {
            if (matchers.n == PROMPB_MATCHERS_MAX)
                return err_set(e, ERR_LIMIT, "more than %d matchers in one query",
                               PROMPB_MATCHERS_MAX);
            if (!read_matcher(f.bytes, vec_push_in(a, &matchers), e))
                return false;
        } else if (f.key == PROTO_KEY(4, PROTO_BYTES)) {
            if (!read_hints(a, f.bytes, q, e))
                return false;
        }
    }
    q->matchers = matchers.v;
    q->matcher_count = matchers.n;
    return got == 0 || prompb_malformed(message, c.p, "Query", e);
}

/* The response types of a request: the first one that there is decides. */
struct accepted {
    bool any, found, streamed;
    uint64_t first; // for the message
};

static void accept_type(struct accepted *t, uint64_t type)
{
    if (!t->any)
        t->first = type;
    t->any = true;
    if (!t->found && type <= 1) {
        t->found = true;
        t->streamed = type == 1;
    }
}

static bool accept_field(struct accepted *t, const struct proto_field *f)
{
    struct proto c = proto_of(f->bytes);
    uint64_t type;

    if ((f->key & 7) == PROTO_VARINT) {
        accept_type(t, f->value);
        return true;
    }
    if ((f->key & 7) != PROTO_BYTES)
        return false;
    while (c.p < c.end) {
        if (!proto_varint(&c, &type))
            return false;
        accept_type(t, type);
    }
    return true;
}

struct query_list {
    struct prompb_query *v;
    size_t n, cap;
};

bool prompb_read_request(struct arena *a, struct str body, struct prompb_read_request *out,
                         struct err *e)
{
    struct query_list queries = { 0 };
    struct accepted types = { 0 };
    struct proto c = proto_of(body);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES)) {
            if (queries.n == PROMPB_QUERIES_MAX)
                return err_set(e, ERR_LIMIT, "more than %d queries in one read request",
                               PROMPB_QUERIES_MAX);
            if (!read_query(a, f.bytes, vec_push_in(a, &queries), e))
                return false;
        } else if (proto_number(&f) == 2 && !accept_field(&types, &f)) {
            got = -1;
            break;
        }
    }
    if (got < 0)
        return prompb_malformed(body, c.p, "ReadRequest", e);
    if (types.any && !types.found)
        return err_set(e, ERR_INVALID,
                       "server does not support any of the requested response types: first is %llu",
                       (unsigned long long)types.first);
    *out = (struct prompb_read_request){ queries.v, queries.n, types.streamed };
    return true;
}

/* ---- streamed answers ---- */

static void put_frame(struct buf *b, struct str message)
{
    uint32_t sum = __builtin_bswap32(crc32c(0, message.p, message.n));

    buf_varint(b, message.n);
    buf_le32(b, sum);
    buf_str(b, message);
}

static void put_chunk(struct buf *b, const struct series_samples *s, size_t from, size_t to)
{
    assert(from < to && to <= s->n);
    size_t mark = proto_begin(b, 2), data;
    struct xor_writer w;

    proto_put_varint(b, 1, (uint64_t)s->t_ms[from]);
    proto_put_varint(b, 2, (uint64_t)s->t_ms[to - 1]);
    proto_put_varint(b, 3, XOR_CHUNK_ENCODING);
    data = proto_begin(b, 4);
    xor_writer_begin(&w, b);
    for (size_t i = from; i < to; i++)
        xor_writer_add(&w, s->t_ms[i], s->value[i]);
    xor_writer_end(&w);
    proto_end(b, data);
    proto_end(b, mark);
}

static void put_chunk_labels(struct buf *b, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        size_t mark = proto_begin(b, 1);

        proto_put_bytes(b, 1, ls.v[i].name);
        proto_put_bytes(b, 2, ls.v[i].value);
        proto_end(b, mark);
    }
}

bool prompb_put_chunked(struct buf *b, int64_t query_index, struct labels ls,
                        const struct series_samples *s, size_t frame_bytes, struct err *e)
{
    OWNED(buf_fini) struct buf frame = { 0 };
    size_t limit = frame_bytes ? frame_bytes : PROMPB_FRAME_BYTES;

    for (size_t i = 0; s->hist && i < s->n; i++) {
        if (s->hist[i])
            return err_set(e, ERR_UNSUPPORTED, "histograms cannot be streamed as chunks yet");
    }
    for (size_t from = 0; from < s->n;) {
        size_t mark;

        buf_reset(&frame);
        mark = proto_begin(&frame, 1);
        put_chunk_labels(&frame, ls);
        do {
            size_t to = MIN(s->n, from + XOR_CHUNK_SAMPLES_USUAL);

            put_chunk(&frame, s, from, to);
            from = to;
        } while (from < s->n && frame.n < limit);
        proto_end(&frame, mark);
        if (query_index)
            proto_put_varint(&frame, 2, (uint64_t)query_index);
        put_frame(b, buf_view(&frame));
    }
    return true;
}
