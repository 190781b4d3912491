// otlp.c - values as text, the envelope in protobuf, answers: see otlp.h.
// SPDX-License-Identifier: Apache-2.0
#include "codec/otlp.h"

#include <math.h>

#include "base/num.h"
#include "base/sort.h"
#include "codec/base64.h"
#include "codec/otlp_priv.h"

bool otlp_malformed(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "malformed OTLP request: %s", what);
}

/* ---- values as text ---- */

const struct otlp_value *otlp_attr_get(struct otlp_attrs attrs, struct str key)
{
    for (size_t i = attrs.n; i-- > 0;)
        if (str_eq(attrs.v[i].key, key))
            return &attrs.v[i].value;
    return NULL;
}

static void put_double(struct buf *b, double d)
{
    if (isfinite(d)) {
        buf_double_json(b, d);
        return;
    }
    buf_lit(b, "json: unsupported value: ");
    buf_double_g(b, d);
}

static int compare_keys(const void *x, const void *y, void *ctx)
{
    const struct otlp_attr *const *a = x, *const *b = y;

    (void)ctx;
    return str_cmp((*a)->key, (*b)->key);
}

static void put_json(struct json_writer *w, const struct otlp_value *v);

static void put_map(struct json_writer *w, const struct otlp_value *v)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct otlp_attr **sorted = arena_array(&a, v->n + 1, const struct otlp_attr *);

    for (uint32_t i = 0; i < v->n; i++)
        sorted[i] = &v->map[i];
    sort_stable(sorted, v->n, sizeof *sorted, compare_keys, NULL);
    json_object(w);
    for (uint32_t i = 0; i < v->n; i++) {
        if (i + 1 < v->n && str_eq(sorted[i]->key, sorted[i + 1]->key))
            continue; // the last one counts
        json_key(w, sorted[i]->key);
        put_json(w, &sorted[i]->value);
    }
    json_object_end(w);
}

// Recurses as deep as values were read: OTLP_DEPTH_MAX.
static void put_json(struct json_writer *w, const struct otlp_value *v)
{
    OWNED(buf_fini) struct buf text = { 0 };

    switch (v->kind) {
    case OTLP_EMPTY:
        json_null(w);
        break;
    case OTLP_BOOL:
        json_bool(w, v->b);
        break;
    case OTLP_INT:
        json_i64(w, v->i);
        break;
    case OTLP_DOUBLE:
        json_double(w, v->d);
        break;
    case OTLP_STRING:
        json_str(w, v->s);
        break;
    case OTLP_BYTES:
        buf_base64(&text, v->s);
        json_str(w, buf_view(&text));
        break;
    case OTLP_ARRAY:
        json_array(w);
        for (uint32_t i = 0; i < v->n; i++)
            put_json(w, &v->items[i]);
        json_array_end(w);
        break;
    case OTLP_MAP:
        put_map(w, v);
        break;
    }
}

void buf_otlp_value(struct buf *b, const struct otlp_value *v)
{
    struct json_writer w = json_writer(b);

    switch (v->kind) {
    case OTLP_EMPTY:
        break;
    case OTLP_STRING:
        buf_str(b, v->s);
        break;
    case OTLP_BOOL:
        buf_str(b, v->b ? STR("true") : STR("false"));
        break;
    case OTLP_INT:
        buf_i64(b, v->i);
        break;
    case OTLP_DOUBLE:
        put_double(b, v->d);
        break;
    case OTLP_BYTES:
        buf_base64(b, v->s);
        break;
    case OTLP_ARRAY:
    case OTLP_MAP:
        put_json(&w, v);
        break;
    }
}

struct str otlp_value_text(struct arena *a, const struct otlp_value *v)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (v->kind == OTLP_STRING)
        return v->s;
    buf_otlp_value(&b, v);
    return arena_str(a, buf_view(&b));
}

/* ---- values in protobuf ---- */

struct reading { // one list of attributes
    struct arena *arena;
    uint32_t *nodes;
    int depth;
};

static bool charge(struct reading *r, struct err *e)
{
    if (++*r->nodes > OTLP_NODES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d attributes in one list", OTLP_NODES_MAX);
    return true;
}

static bool read_value(struct reading *r, struct str message, struct otlp_value *out,
                       struct err *e);

static bool read_pair(struct reading *r, struct str message, struct otlp_attr *out, struct err *e)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES))
            out->key = f.bytes;
        else if (f.key == PROTO_KEY(2, PROTO_BYTES) && !read_value(r, f.bytes, &out->value, e))
            return false;
    }
    return got == 0 || otlp_malformed(e, "KeyValue");
}

static bool read_array(struct reading *r, struct str message, struct otlp_value *out, struct err *e)
{
    VEC(struct otlp_value) v = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0)
        if (f.key == PROTO_KEY(1, PROTO_BYTES) &&
            (!charge(r, e) || !read_value(r, f.bytes, vec_push_in(r->arena, &v), e)))
            return false;
    *out = (struct otlp_value){ .kind = OTLP_ARRAY, .n = (uint32_t)v.n, .items = v.v };
    return got == 0 || otlp_malformed(e, "ArrayValue");
}

static bool read_map(struct reading *r, struct str message, struct otlp_value *out, struct err *e)
{
    VEC(struct otlp_attr) v = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0)
        if (f.key == PROTO_KEY(1, PROTO_BYTES) &&
            (!charge(r, e) || !read_pair(r, f.bytes, vec_push_in(r->arena, &v), e)))
            return false;
    *out = (struct otlp_value){ .kind = OTLP_MAP, .n = (uint32_t)v.n, .map = v.v };
    return got == 0 || otlp_malformed(e, "KeyValueList");
}

static bool read_nested(struct reading *r, const struct proto_field *f, struct otlp_value *out,
                        struct err *e)
{
    bool ok;

    if (++r->depth > OTLP_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "values nested more than %d deep", OTLP_DEPTH_MAX);
    if (proto_number(f) == 5)
        ok = read_array(r, f->bytes, out, e);
    else
        ok = read_map(r, f->bytes, out, e);
    r->depth--;
    return ok;
}

static bool read_value(struct reading *r, struct str message, struct otlp_value *out, struct err *e)
{
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(1, PROTO_BYTES):
            *out = (struct otlp_value){ .kind = OTLP_STRING, .s = f.bytes };
            break;
        case PROTO_KEY(2, PROTO_VARINT):
            *out = (struct otlp_value){ .kind = OTLP_BOOL, .b = f.value != 0 };
            break;
        case PROTO_KEY(3, PROTO_VARINT):
            *out = (struct otlp_value){ .kind = OTLP_INT, .i = (int64_t)f.value };
            break;
        case PROTO_KEY(4, PROTO_FIXED64):
            *out = (struct otlp_value){ .kind = OTLP_DOUBLE, .d = proto_double(&f) };
            break;
        case PROTO_KEY(5, PROTO_BYTES):
        case PROTO_KEY(6, PROTO_BYTES):
            if (!read_nested(r, &f, out, e))
                return false;
            break;
        case PROTO_KEY(7, PROTO_BYTES):
            *out = (struct otlp_value){ .kind = OTLP_BYTES, .s = f.bytes };
            break;
        default:
            break;
        }
    }
    return got == 0 || otlp_malformed(e, "AnyValue");
}

bool otlp_proto_attr(struct arena *a, struct str message, struct otlp_list *out, struct err *e)
{
    struct reading r = { a, &out->nodes, 0 };

    return charge(&r, e) && read_pair(&r, message, vec_push_in(a, &out->v), e);
}

/* ---- the envelope in protobuf ---- */

static bool read_resource(const struct otlp_walk *w, struct str message, struct otlp_resource *out,
                          struct err *e)
{
    struct proto c = proto_of(message);
    struct otlp_list attrs = { 0 };
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0)
        if (f.key == PROTO_KEY(1, PROTO_BYTES) && !otlp_proto_attr(w->arena, f.bytes, &attrs, e))
            return false;
    out->attrs = otlp_list_view(&attrs);
    return got == 0 || otlp_malformed(e, "Resource");
}

static bool read_scope(const struct otlp_walk *w, struct str message, struct otlp_scope *out,
                       struct err *e)
{
    struct proto c = proto_of(message);
    struct otlp_list attrs = { 0 };
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_BYTES))
            out->name = f.bytes;
        else if (f.key == PROTO_KEY(2, PROTO_BYTES))
            out->version = f.bytes;
        else if (f.key == PROTO_KEY(3, PROTO_BYTES) &&
                 !otlp_proto_attr(w->arena, f.bytes, &attrs, e))
            return false;
    }
    out->attrs = otlp_list_view(&attrs);
    return got == 0 || otlp_malformed(e, "InstrumentationScope");
}

// Fields may come in any order: first what all items need, then the items.
static bool walk_scope(const struct otlp_walk *w, struct str message, struct err *e)
{
    struct otlp_scope scope = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(3, PROTO_BYTES))
            scope.schema_url = f.bytes;
        else if (f.key == PROTO_KEY(1, PROTO_BYTES) && !read_scope(w, f.bytes, &scope, e))
            return false;
    }
    if (got < 0)
        return otlp_malformed(e, "scope");
    if (w->scope && !w->scope(w->ctx, &scope, e))
        return false;
    c = proto_of(message);
    while (proto_next(&c, &f) > 0)
        if (f.key == PROTO_KEY(2, PROTO_BYTES) && w->item &&
            !w->item(w->ctx, &(struct otlp_item){ .message = f.bytes }, e))
            return false;
    return true;
}

static bool walk_resource(const struct otlp_walk *w, struct str message, struct err *e)
{
    struct otlp_resource resource = { 0 };
    struct proto c = proto_of(message);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(3, PROTO_BYTES))
            resource.schema_url = f.bytes;
        else if (f.key == PROTO_KEY(1, PROTO_BYTES) && !read_resource(w, f.bytes, &resource, e))
            return false;
    }
    if (got < 0)
        return otlp_malformed(e, "resource");
    if (w->resource && !w->resource(w->ctx, &resource, e))
        return false;
    c = proto_of(message);
    while (proto_next(&c, &f) > 0) {
        struct arena_mark mark = arena_mark(w->arena);
        bool ok = f.key != PROTO_KEY(2, PROTO_BYTES) || walk_scope(w, f.bytes, e);

        arena_release(w->arena, mark);
        if (!ok)
            return false;
    }
    return !w->resource_end || w->resource_end(w->ctx, e);
}

bool otlp_walk_proto(const struct otlp_walk *w, struct str request, struct err *e)
{
    struct proto c = proto_of(request);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        struct arena_mark mark = arena_mark(w->arena);
        bool ok = f.key != PROTO_KEY(1, PROTO_BYTES) || walk_resource(w, f.bytes, e);

        arena_release(w->arena, mark);
        if (!ok)
            return false;
    }
    return got == 0 || otlp_malformed(e, "request");
}

/* ---- answers ---- */

void buf_otlp_response(struct buf *b, enum otlp_signal signal, bool json, uint64_t rejected,
                       struct str text)
{
    static const char *const names[] = { [OTLP_METRICS] = "rejectedDataPoints",
                                         [OTLP_LOGS] = "rejectedLogRecords",
                                         [OTLP_TRACES] = "rejectedSpans" };
    struct json_writer w = json_writer(b);
    OWNED(buf_fini) struct buf number = { 0 };

    if (!json) {
        if (!rejected && !text.n)
            return;
        size_t mark = proto_begin(b, 1);
        if (rejected)
            proto_put_varint(b, 1, rejected);
        if (text.n)
            proto_put_bytes(b, 2, text);
        proto_end(b, mark);
        return;
    }
    json_object(&w);
    if (rejected || text.n) {
        json_key_lit(&w, "partialSuccess");
        json_object(&w);
        json_key(&w, str_c(names[signal]));
        buf_u64(&number, rejected);
        json_str(&w, buf_view(&number)); // 64 bits are strings in this JSON
        json_key_lit(&w, "errorMessage");
        json_str(&w, text);
        json_object_end(&w);
    }
    json_object_end(&w);
}

void buf_otlp_status(struct buf *b, bool json, int code, struct str text)
{
    struct json_writer w = json_writer(b);

    if (!json) {
        proto_put_varint(b, 1, (uint64_t)code);
        proto_put_bytes(b, 2, text);
        return;
    }
    json_object(&w);
    json_key_lit(&w, "code");
    json_i64(&w, code);
    json_key_lit(&w, "message");
    json_str(&w, text);
    json_object_end(&w);
}
