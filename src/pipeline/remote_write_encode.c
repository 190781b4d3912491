/*
 * remote_write_encode.c - requests of remote write 1.0 and 2.0.
 *
 * Neighbouring items of one series share a TimeSeries: at the head that is one sample, behind it are
 * runs of a part.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"
#include "pipeline/remote_write_priv.h"

enum {
    HIST_1 = 4,
    HIST_2 = 3,
    EXEMPLAR_1 = 3,
    EXEMPLAR_2 = 4,
    SYMBOLS = 4,
    SERIES_2 = 5,
    META_2 = 5
};

/* ---- symbols of a request ---- */

struct encoder {
    struct rw_table *t;
    struct buf *symbols; // NULL: 1.0
    struct buf *out;
    uint32_t refs;
};

static uint32_t add_symbol(struct encoder *c, struct str text)
{
    proto_put_bytes(c->symbols, SYMBOLS, text);
    return c->refs++;
}

static uint32_t ref_of(struct encoder *c, uint32_t symbol)
{
    struct rw_symbol *s = &c->t->symbols.v[symbol];

    if (!s->text.n)
        return 0;
    if (s->request != c->t->request) {
        s->request = c->t->request;
        s->ref = add_symbol(c, s->text);
    }
    return s->ref;
}

/* ---- pieces ---- */

static void put_labels(struct encoder *c, const struct rw_series *s)
{
    size_t mark;

    if (!c->symbols) {
        buf_bytes(c->out, s->bytes, s->n);
        return;
    }
    mark = proto_begin(c->out, 1);
    for (uint32_t i = 0; i < s->n; i++)
        buf_varint(c->out, ref_of(c, s->bytes[i]));
    proto_end(c->out, mark);
}

static void put_sample(struct encoder *c, const struct rw_item *x)
{
    size_t mark = proto_begin(c->out, 2);

    proto_put_double(c->out, 1, x->value);
    proto_put_varint(c->out, 2, (uint64_t)x->t_ms);
    if (c->symbols && x->start_ms)
        proto_put_varint(c->out, 3, (uint64_t)x->start_ms);
    proto_end(c->out, mark);
}

static void put_histogram(struct encoder *c, const struct rw_item *x)
{
    struct prompb_histogram h = { x->hist, x->t_ms, c->symbols ? x->start_ms : 0 };

    prompb_put_histogram(c->out, c->symbols ? HIST_2 : HIST_1, &h);
}

static void put_exemplar(struct encoder *c, const struct exemplar *x)
{
    size_t mark = proto_begin(c->out, c->symbols ? EXEMPLAR_2 : EXEMPLAR_1), inner;

    if (c->symbols) {
        inner = proto_begin(c->out, 1);
        for (size_t i = 0; i < x->labels.n; i++) {
            buf_varint(c->out, add_symbol(c, x->labels.v[i].name));
            buf_varint(c->out, add_symbol(c, x->labels.v[i].value));
        }
        proto_end(c->out, inner);
    }
    for (size_t i = 0; !c->symbols && i < x->labels.n; i++) {
        inner = proto_begin(c->out, 1);
        proto_put_bytes(c->out, 1, x->labels.v[i].name);
        proto_put_bytes(c->out, 2, x->labels.v[i].value);
        proto_end(c->out, inner);
    }
    proto_put_double(c->out, 2, x->value);
    proto_put_varint(c->out, 3, (uint64_t)x->t_ms);
    proto_end(c->out, mark);
}

static void put_meta(struct encoder *c, const struct rw_series *s)
{
    const struct rw_meta *m = c->symbols ? rw_table_meta(c->t, s) : NULL;
    uint32_t help, unit;
    size_t mark;

    if (!m)
        return;
    help = ref_of(c, m->help);
    unit = ref_of(c, m->unit);
    mark = proto_begin(c->out, META_2);
    if (m->type)
        proto_put_varint(c->out, 1, (uint64_t)m->type);
    if (help)
        proto_put_varint(c->out, 3, help);
    if (unit)
        proto_put_varint(c->out, 4, unit);
    proto_end(c->out, mark);
}

static void put_item(struct encoder *c, const struct rw_item *x)
{
    if (x->exemplar)
        put_exemplar(c, x->exemplar);
    else if (x->hist)
        put_histogram(c, x);
    else
        put_sample(c, x);
}

/* ---- requests ---- */

void rw_encode(struct rw_table *t, const struct rw_item *v, size_t n, struct buf scratch[2],
               struct buf *body)
{
    bool is_2 = t->version == PROMPB_WRITE_2;
    struct encoder c = { t, is_2 ? &scratch[0] : NULL, &scratch[1], 0 };

    buf_reset(&scratch[0]);
    buf_reset(&scratch[1]);
    t->request++;
    if (is_2)
        (void)add_symbol(&c, STR(""));
    for (size_t i = 0; i < n;) {
        const struct rw_series *s = v[i].series;
        size_t mark = proto_begin(c.out, is_2 ? SERIES_2 : 1);

        put_labels(&c, s);
        for (; i < n && v[i].series == s; i++)
            put_item(&c, &v[i]);
        put_meta(&c, s);
        proto_end(c.out, mark);
    }
    buf_str(&scratch[0], buf_view(&scratch[1]));
    buf_reset(body);
    compress_all(COMPRESS_SNAPPY, 0, buf_view(&scratch[0]), body);
}

void rw_encode_metadata(const struct metric_meta *v, size_t n, struct buf *scratch,
                        struct buf *body)
{
    buf_reset(scratch);
    for (size_t i = 0; i < n; i++)
        prompb_put_meta(scratch, &v[i]);
    buf_reset(body);
    compress_all(COMPRESS_SNAPPY, 0, buf_view(scratch), body);
}
