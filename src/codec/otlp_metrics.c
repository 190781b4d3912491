// otlp_metrics.c - metrics and their points in protobuf: see otlp_metrics.h.
// SPDX-License-Identifier: Apache-2.0
#include "codec/otlp_metrics.h"

#include "codec/otlp_metrics_priv.h"
#include "codec/otlp_priv.h"

/* ---- the head ---- */

static void set_kind(struct otlp_metric *m, enum otlp_metric_kind kind, struct str data)
{
    m->kind = kind;
    m->data = (struct otlp_item){ .message = data };
}

// Temporality and monotonicity stand beside the points.
static bool read_data_head(struct otlp_metric *m, struct err *e)
{
    struct proto c = proto_of(m->data.message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(2, PROTO_VARINT))
            m->temporality = f.value <= 2 ? (int)f.value : OTLP_TEMPORALITY_NONE;
        else if (f.key == PROTO_KEY(3, PROTO_VARINT))
            m->monotonic = f.value != 0;
    }
    return got == 0 || otlp_malformed(e, "data of a metric");
}

static bool read_proto(struct str message, struct otlp_metric *m, struct err *e)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(1, PROTO_BYTES):
            m->name = f.bytes;
            break;
        case PROTO_KEY(2, PROTO_BYTES):
            m->description = f.bytes;
            break;
        case PROTO_KEY(3, PROTO_BYTES):
            m->unit = f.bytes;
            break;
        case PROTO_KEY(5, PROTO_BYTES):
            set_kind(m, OTLP_GAUGE, f.bytes);
            break;
        case PROTO_KEY(7, PROTO_BYTES):
            set_kind(m, OTLP_SUM, f.bytes);
            break;
        case PROTO_KEY(9, PROTO_BYTES):
            set_kind(m, OTLP_HISTOGRAM, f.bytes);
            break;
        case PROTO_KEY(10, PROTO_BYTES):
            set_kind(m, OTLP_EXP_HISTOGRAM, f.bytes);
            break;
        case PROTO_KEY(11, PROTO_BYTES):
            set_kind(m, OTLP_SUMMARY, f.bytes);
            break;
        default:
            break;
        }
    }
    return got == 0 ? read_data_head(m, e) : otlp_malformed(e, "Metric");
}

bool otlp_metric_read(const struct otlp_item *item, struct otlp_metric *out, struct err *e)
{
    *out = (struct otlp_metric){ 0 };
    return item->json ? otlp_metric_read_json(item->json, out, e)
                      : read_proto(item->message, out, e);
}

/* ---- lists of numbers, packed or not ---- */

struct numbers { // 64 bits each
    VEC(uint64_t) v;
};

static bool too_many(struct err *e, const char *what)
{
    return err_set(e, ERR_LIMIT, "a data point has too many %s", what);
}

static bool add_fixed(struct arena *a, const struct proto_field *f, struct numbers *out,
                      struct err *e)
{
    bool packed = (f->key & 7) == PROTO_BYTES;
    size_t n = packed ? f->bytes.n / 8 : 1;

    if (packed && f->bytes.n % 8)
        return otlp_malformed(e, "packed numbers");
    if (n > OTLP_BUCKETS_MAX - out->v.n)
        return too_many(e, "buckets");
    vec_reserve_in(a, &out->v, n);
    if (packed && n)
        memcpy(out->v.v + out->v.n, f->bytes.p, 8 * n);
    else if (n)
        out->v.v[out->v.n] = f->value;
    out->v.n += n;
    return true;
}

static bool add_varints(struct arena *a, const struct proto_field *f, struct numbers *out,
                        struct err *e)
{
    if ((f->key & 7) == PROTO_VARINT) {
        if (out->v.n == OTLP_BUCKETS_MAX)
            return too_many(e, "buckets");
        *vec_push_in(a, &out->v) = f->value;
        return true;
    }
    struct proto c = proto_of(f->bytes);
    size_t n = proto_packed_count(f->bytes);
    if (n > OTLP_BUCKETS_MAX - out->v.n)
        return too_many(e, "buckets");
    vec_reserve_in(a, &out->v, n);
    while (c.p < c.end)
        if (!proto_varint(&c, vec_push_in(a, &out->v)))
            return otlp_malformed(e, "packed numbers");
    return true;
}

/* ---- points ---- */

struct reading { // one point
    struct arena *arena;
    struct otlp_point *p;
    struct numbers counts, bounds;
    VEC(struct otlp_exemplar) exemplars;
    VEC(struct otlp_quantile) quantiles;
};

static bool read_exemplar(struct reading *r, struct str message, struct err *e)
{
    struct proto c = proto_of(message);
    struct otlp_list attrs = { 0 };
    struct proto_field f;
    int got;

    if (r->exemplars.n == OTLP_EXEMPLARS_MAX)
        return too_many(e, "exemplars");
    struct otlp_exemplar *x = vec_push_in(r->arena, &r->exemplars);
    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(2, PROTO_FIXED64):
            x->time_ns = f.value;
            break;
        case PROTO_KEY(3, PROTO_FIXED64):
            x->kind = OTLP_NUMBER_DOUBLE;
            x->value = proto_double(&f);
            break;
        case PROTO_KEY(4, PROTO_BYTES):
            x->span_id = f.bytes;
            break;
        case PROTO_KEY(5, PROTO_BYTES):
            x->trace_id = f.bytes;
            break;
        case PROTO_KEY(6, PROTO_FIXED64):
            x->kind = OTLP_NUMBER_INT;
            x->value = (double)(int64_t)f.value;
            break;
        case PROTO_KEY(7, PROTO_BYTES):
            if (!otlp_proto_attr(r->arena, f.bytes, &attrs, e))
                return false;
            break;
        default:
            break;
        }
    }
    x->attrs = otlp_list_view(&attrs);
    return got == 0 || otlp_malformed(e, "Exemplar");
}

static bool number_field(struct reading *r, const struct proto_field *f, struct err *e)
{
    struct otlp_point *p = r->p;

    switch (f->key) {
    case PROTO_KEY(4, PROTO_FIXED64):
        p->kind = OTLP_NUMBER_DOUBLE;
        p->value = proto_double(f);
        return true;
    case PROTO_KEY(5, PROTO_BYTES):
        return read_exemplar(r, f->bytes, e);
    case PROTO_KEY(6, PROTO_FIXED64):
        p->kind = OTLP_NUMBER_INT;
        p->i = (int64_t)f->value;
        p->value = (double)p->i;
        return true;
    case PROTO_KEY(8, PROTO_VARINT):
        p->flags = (uint32_t)f->value;
        return true;
    default:
        return true;
    }
}

static bool histogram_field(struct reading *r, const struct proto_field *f, struct err *e)
{
    struct otlp_point *p = r->p;

    switch (f->key) {
    case PROTO_KEY(4, PROTO_FIXED64):
        p->count = f->value;
        return true;
    case PROTO_KEY(5, PROTO_FIXED64):
        p->has_sum = true;
        p->sum = proto_double(f);
        return true;
    case PROTO_KEY(6, PROTO_FIXED64):
    case PROTO_KEY(6, PROTO_BYTES):
        return add_fixed(r->arena, f, &r->counts, e);
    case PROTO_KEY(7, PROTO_FIXED64):
    case PROTO_KEY(7, PROTO_BYTES):
        return add_fixed(r->arena, f, &r->bounds, e);
    case PROTO_KEY(8, PROTO_BYTES):
        return read_exemplar(r, f->bytes, e);
    case PROTO_KEY(10, PROTO_VARINT):
        p->flags = (uint32_t)f->value;
        return true;
    default:
        return true;
    }
}

static bool read_side(struct reading *r, struct str message, struct otlp_buckets *out,
                      struct err *e)
{
    struct proto c = proto_of(message);
    struct numbers counts = { 0 };
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_VARINT))
            out->offset = (int32_t)proto_sint(&f);
        else if (proto_number(&f) == 2 && (f.key & 7) != PROTO_FIXED32 &&
                 (f.key & 7) != PROTO_FIXED64 && !add_varints(r->arena, &f, &counts, e))
            return false;
    }
    out->count = counts.v.v;
    out->n = counts.v.n;
    return got == 0 || otlp_malformed(e, "Buckets");
}

static bool exponential_field(struct reading *r, const struct proto_field *f, struct err *e)
{
    struct otlp_point *p = r->p;

    switch (f->key) {
    case PROTO_KEY(4, PROTO_FIXED64):
        p->count = f->value;
        return true;
    case PROTO_KEY(5, PROTO_FIXED64):
        p->has_sum = true;
        p->sum = proto_double(f);
        return true;
    case PROTO_KEY(6, PROTO_VARINT):
        p->scale = (int32_t)proto_sint(f);
        return true;
    case PROTO_KEY(7, PROTO_FIXED64):
        p->zero_count = f->value;
        return true;
    case PROTO_KEY(8, PROTO_BYTES):
        return read_side(r, f->bytes, &p->pos, e);
    case PROTO_KEY(9, PROTO_BYTES):
        return read_side(r, f->bytes, &p->neg, e);
    case PROTO_KEY(10, PROTO_VARINT):
        p->flags = (uint32_t)f->value;
        return true;
    case PROTO_KEY(11, PROTO_BYTES):
        return read_exemplar(r, f->bytes, e);
    case PROTO_KEY(14, PROTO_FIXED64):
        p->zero_threshold = proto_double(f);
        return true;
    default:
        return true;
    }
}

static bool read_quantile(struct reading *r, struct str message, struct err *e)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    if (r->quantiles.n == OTLP_QUANTILES_MAX)
        return too_many(e, "quantiles");
    struct otlp_quantile *q = vec_push_in(r->arena, &r->quantiles);
    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            q->quantile = proto_double(&f);
        else if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            q->value = proto_double(&f);
    }
    return got == 0 || otlp_malformed(e, "ValueAtQuantile");
}

static bool summary_field(struct reading *r, const struct proto_field *f, struct err *e)
{
    struct otlp_point *p = r->p;

    switch (f->key) {
    case PROTO_KEY(4, PROTO_FIXED64):
        p->count = f->value;
        return true;
    case PROTO_KEY(5, PROTO_FIXED64):
        p->has_sum = true;
        p->sum = proto_double(f);
        return true;
    case PROTO_KEY(6, PROTO_BYTES):
        return read_quantile(r, f->bytes, e);
    case PROTO_KEY(8, PROTO_VARINT):
        p->flags = (uint32_t)f->value;
        return true;
    default:
        return true;
    }
}

typedef bool (*field_fn)(struct reading *r, const struct proto_field *f, struct err *e);
static const field_fn fields[] = {
    [OTLP_GAUGE] = number_field,        [OTLP_SUM] = number_field,
    [OTLP_HISTOGRAM] = histogram_field, [OTLP_EXP_HISTOGRAM] = exponential_field,
    [OTLP_SUMMARY] = summary_field,
};

static const uint8_t attr_fields[] = {
    [OTLP_GAUGE] = 7,         [OTLP_SUM] = 7,     [OTLP_HISTOGRAM] = 9,
    [OTLP_EXP_HISTOGRAM] = 1, [OTLP_SUMMARY] = 7,
};

static bool read_attrs(struct str message, uint32_t key, struct arena *a, struct otlp_attrs *out,
                       struct err *e)
{
    struct proto c = proto_of(message);
    struct otlp_list attrs = { 0 };
    struct proto_field f;

    while (proto_next(&c, &f) > 0)
        if (f.key == key && !otlp_proto_attr(a, f.bytes, &attrs, e))
            return false;
    *out = otlp_list_view(&attrs);
    return true;
}

bool otlp_point_attrs(const struct otlp_point *p, struct arena *a, struct otlp_attrs *out,
                      struct err *e)
{
    uint64_t key;
    struct proto c = proto_of(p->attr_bytes);

    *out = p->attrs;
    return !proto_varint(&c, &key) || read_attrs(p->attr_bytes, (uint32_t)key, a, out, e);
}

// False: attributes stand apart from each other.
static bool note_attr(struct otlp_point *p, const uint8_t *from, const uint8_t *to)
{
    if (p->attr_bytes.n && (const char *)from != p->attr_bytes.p + p->attr_bytes.n)
        return false;
    if (!p->attr_bytes.n)
        p->attr_bytes.p = (const char *)from;
    p->attr_bytes.n += (size_t)(to - from);
    return true;
}

static bool read_point(enum otlp_metric_kind kind, struct arena *a, struct str message,
                       struct otlp_point *p, struct err *e)
{
    struct reading r = { .arena = a, .p = p };
    struct proto c = proto_of(message);
    const uint32_t attr = PROTO_KEY(attr_fields[kind], PROTO_BYTES);
    const uint8_t *at = c.p;
    struct proto_field f;
    bool apart = false;
    int got;

    for (; (got = proto_next(&c, &f)) > 0; at = c.p) {
        if (f.key == PROTO_KEY(2, PROTO_FIXED64))
            p->start_ns = f.value;
        else if (f.key == PROTO_KEY(3, PROTO_FIXED64))
            p->time_ns = f.value;
        else if (f.key == attr)
            apart |= !note_attr(p, at, c.p);
        else if (!fields[kind](&r, &f, e))
            return false;
    }
    if (got < 0)
        return otlp_malformed(e, "data point");
    if (apart) {
        p->attr_bytes = STR_NONE;
        if (!read_attrs(message, attr, a, &p->attrs, e))
            return false;
    }
    p->exemplar = r.exemplars.v;
    p->exemplar_n = r.exemplars.n;
    p->quantile = r.quantiles.v;
    p->quantile_n = r.quantiles.n;
    if (kind == OTLP_HISTOGRAM) {
        p->pos = (struct otlp_buckets){ .count = r.counts.v.v, .n = r.counts.v.n };
        p->bound = (const double *)r.bounds.v.v; // the same 64 bits
        p->bound_n = r.bounds.v.n;
    }
    return true;
}

bool otlp_metric_points(const struct otlp_metric *m, struct arena *a,
                        bool (*visit)(void *ctx, const struct otlp_point *p, struct err *e),
                        void *ctx, struct err *e)
{
    struct proto c = proto_of(m->data.message);
    struct proto_field f;

    if (m->kind == OTLP_METRIC_NONE)
        return true;
    if (m->data.json)
        return otlp_metric_points_json(m, a, visit, ctx, e);
    while (proto_next(&c, &f) > 0) {
        struct arena_mark mark = arena_mark(a);
        struct otlp_point p = { 0 };

        if (f.key != PROTO_KEY(1, PROTO_BYTES))
            continue;
        bool ok = read_point(m->kind, a, f.bytes, &p, e) && visit(ctx, &p, e);
        arena_release(a, mark);
        if (!ok)
            return false;
    }
    return true; // that it is well-formed is known from the head
}

int64_t otlp_metric_point_count(const struct otlp_metric *m)
{
    struct proto c = proto_of(m->data.message);
    struct proto_field f;
    int64_t n = 0;
    int got;

    if (m->data.json)
        return otlp_metric_point_count_json(m);
    while ((got = proto_next(&c, &f)) > 0)
        n += f.key == PROTO_KEY(1, PROTO_BYTES);
    return got < 0 ? -1 : n;
}
