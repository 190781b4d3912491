// otlp_json.c - values and the envelope of OTLP in JSON: see otlp.h and otlp_priv.h.
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <math.h>

#include "base/num.h"
#include "codec/base64.h"
#include "codec/otlp_priv.h"

enum { NAME_MAX_SIZE = 64 };

static bool wrong(const struct json_value *v, const char *name, const char *want, struct err *e)
{
    return err_at(e, v->pos, ERR_CORRUPT, "malformed OTLP request: expected %s for %s", want, name);
}

/* ---- members ---- */

// "timeUnixNano" as time_unix_nano.
static struct str snake(const char *name, char *out)
{
    size_t n = 0;

    for (; *name; name++) {
        assert(n + 2 < NAME_MAX_SIZE);
        if (isupper((unsigned char)*name))
            out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)*name);
    }
    return str_of(out, n);
}

const struct json_value *otlp_json_get(const struct json_value *object, const char *name)
{
    char room[NAME_MAX_SIZE];
    const struct json_value *v = json_get(object, str_c(name));

    if (!v)
        v = json_get(object, snake(name, room));
    return v && v->kind == JSON_NULL ? NULL : v;
}

struct str otlp_json_str(const struct json_value *object, const char *name)
{
    const struct json_value *v = otlp_json_get(object, name);

    return v && v->kind == JSON_STRING ? v->s : STR_NONE;
}

// A number, or a string that holds one.
static bool number_text(const struct json_value *v, struct str *out)
{
    if (v->kind != JSON_NUMBER && v->kind != JSON_STRING)
        return false;
    *out = v->s;
    return true;
}

bool otlp_json_to_double(const struct json_value *v, double *out)
{
    struct str s;

    if (!number_text(v, &s))
        return false;
    if (str_eq(s, STR("NaN")))
        *out = double_from_bits(UINT64_C(0x7ff8000000000001));
    else if (str_eq(s, STR("Infinity")))
        *out = INFINITY;
    else if (str_eq(s, STR("-Infinity")))
        *out = -INFINITY;
    else
        return num_parse_double(s, out);
    return true;
}

bool otlp_json_to_u64(const struct json_value *v, uint64_t *out)
{
    struct str s;
    double d;

    if (!number_text(v, &s))
        return false;
    if (str_to_u64(s, out))
        return true;
    if (!num_parse_double(s, &d) || !(d >= 0) || d >= 0x1p64 || d != floor(d))
        return false;
    *out = (uint64_t)d;
    return true;
}

bool otlp_json_to_i64(const struct json_value *v, int64_t *out)
{
    struct str s;
    double d;

    if (!number_text(v, &s))
        return false;
    if (str_to_i64(s, out))
        return true;
    if (!num_parse_double(s, &d) || !(d >= -0x1p63) || d >= 0x1p63 || d != floor(d))
        return false;
    *out = (int64_t)d;
    return true;
}

bool otlp_json_u64(const struct json_value *object, const char *name, uint64_t *out, struct err *e)
{
    const struct json_value *v = otlp_json_get(object, name);

    return !v || otlp_json_to_u64(v, out) || wrong(v, name, "an unsigned integer", e);
}

bool otlp_json_i64(const struct json_value *object, const char *name, int64_t *out, struct err *e)
{
    const struct json_value *v = otlp_json_get(object, name);

    return !v || otlp_json_to_i64(v, out) || wrong(v, name, "an integer", e);
}

bool otlp_json_double(const struct json_value *object, const char *name, double *out, bool *found,
                      struct err *e)
{
    const struct json_value *v = otlp_json_get(object, name);

    if (v && !otlp_json_to_double(v, out))
        return wrong(v, name, "a number", e);
    *found = v != NULL;
    return true;
}

bool otlp_json_enum(const struct json_value *object, const char *name, const char *prefix,
                    const char *const *names, int *out, struct err *e)
{
    const struct json_value *v = otlp_json_get(object, name);
    int64_t number;

    if (!v)
        return true;
    if (otlp_json_to_i64(v, &number)) {
        *out = number >= 0 && number < 1024 ? (int)number : 0;
        return true;
    }
    if (v->kind != JSON_STRING)
        return wrong(v, name, "a number or name", e);
    struct str s = v->s;
    if (str_starts(s, str_c(prefix)))
        s = str_sub(s, strlen(prefix), s.n);
    *out = 0;
    for (int i = 0; names[i]; i++)
        if (str_eq_c(s, names[i]))
            *out = i;
    return true;
}

bool otlp_json_list(const struct json_value *object, const char *name,
                    const struct json_value **items, size_t *n, struct err *e)
{
    const struct json_value *v = otlp_json_get(object, name);

    *n = 0;
    if (!v)
        return true;
    if (v->kind != JSON_ARRAY)
        return wrong(v, name, "a list", e);
    *items = v->items;
    *n = v->n;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool otlp_json_hex(struct arena *a, const struct json_value *object, const char *name, size_t size,
                   struct str *out, struct err *e)
{
    const struct json_value *v = otlp_json_get(object, name);

    if (!v || (v->kind == JSON_STRING && v->s.n == 0))
        return true;
    if (v->kind != JSON_STRING || v->s.n != 2 * size)
        return wrong(v, name, "an id in hex", e);
    char *p = arena_raw(a, size);
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(v->s.p[2 * i]), low = hex_digit(v->s.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return wrong(v, name, "an id in hex", e);
        p[i] = (char)(high << 4 | low);
    }
    *out = str_of(p, size);
    return true;
}

/* ---- values ---- */

struct reading {
    struct arena *arena;
    uint32_t nodes;
    int depth;
};

static bool charge(struct reading *r, size_t n, struct err *e)
{
    if (n > OTLP_NODES_MAX - r->nodes)
        return err_set(e, ERR_LIMIT, "more than %d attributes in one list", OTLP_NODES_MAX);
    r->nodes += (uint32_t)n;
    return true;
}

static bool read_value(struct reading *r, const struct json_value *v, struct otlp_value *out,
                       struct err *e);

static bool read_pairs(struct reading *r, const struct json_value *items, size_t n,
                       const struct otlp_attr **out, struct err *e)
{
    if (!charge(r, n, e))
        return false;
    struct otlp_attr *v = arena_array(r->arena, n + 1, struct otlp_attr);
    for (size_t i = 0; i < n; i++) {
        const struct json_value *value = otlp_json_get(&items[i], "value");

        if (items[i].kind != JSON_OBJECT)
            return wrong(&items[i], "attributes", "an object with key and value", e);
        v[i].key = otlp_json_str(&items[i], "key");
        if (value && !read_value(r, value, &v[i].value, e))
            return false;
    }
    *out = v;
    return true;
}

static bool read_bytes(struct reading *r, const struct json_value *v, struct otlp_value *out,
                       struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (v->kind != JSON_STRING || !base64_decode(v->s, &b))
        return wrong(v, "bytesValue", "base64", e);
    *out = (struct otlp_value){ .kind = OTLP_BYTES, .s = arena_str(r->arena, buf_view(&b)) };
    return true;
}

static bool read_list(struct reading *r, const struct json_value *v, bool map,
                      struct otlp_value *out, struct err *e)
{
    const struct json_value *items = NULL;
    size_t n;

    if (!otlp_json_list(v, "values", &items, &n, e))
        return false;
    if (++r->depth > OTLP_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "values nested more than %d deep", OTLP_DEPTH_MAX);
    if (map) {
        *out = (struct otlp_value){ .kind = OTLP_MAP, .n = (uint32_t)n };
        if (!read_pairs(r, items, n, &out->map, e))
            return false;
    } else {
        if (!charge(r, n, e))
            return false;
        struct otlp_value *list = arena_array(r->arena, n + 1, struct otlp_value);
        for (size_t i = 0; i < n; i++)
            if (!read_value(r, &items[i], &list[i], e))
                return false;
        *out = (struct otlp_value){ .kind = OTLP_ARRAY, .n = (uint32_t)n, .items = list };
    }
    r->depth--;
    return true;
}

static bool read_scalar(const struct json_value *v, struct otlp_value *out, struct err *e)
{
    const struct json_value *m;

    if ((m = otlp_json_get(v, "stringValue"))) {
        *out = (struct otlp_value){ .kind = OTLP_STRING };
        if (m->kind != JSON_STRING)
            return wrong(m, "stringValue", "a string", e);
        out->s = m->s;
    } else if ((m = otlp_json_get(v, "boolValue"))) {
        *out = (struct otlp_value){ .kind = OTLP_BOOL };
        if (m->kind != JSON_BOOL)
            return wrong(m, "boolValue", "true or false", e);
        out->b = m->b;
    } else if ((m = otlp_json_get(v, "intValue"))) {
        *out = (struct otlp_value){ .kind = OTLP_INT };
        if (!otlp_json_to_i64(m, &out->i))
            return wrong(m, "intValue", "an integer", e);
    } else if ((m = otlp_json_get(v, "doubleValue"))) {
        *out = (struct otlp_value){ .kind = OTLP_DOUBLE };
        if (!otlp_json_to_double(m, &out->d))
            return wrong(m, "doubleValue", "a number", e);
    }
    return true;
}

static bool read_value(struct reading *r, const struct json_value *v, struct otlp_value *out,
                       struct err *e)
{
    const struct json_value *m;

    if (v->kind != JSON_OBJECT)
        return wrong(v, "value", "an object such as {\"stringValue\":\"x\"}", e);
    if ((m = otlp_json_get(v, "arrayValue")))
        return read_list(r, m, false, out, e);
    if ((m = otlp_json_get(v, "kvlistValue")))
        return read_list(r, m, true, out, e);
    if ((m = otlp_json_get(v, "bytesValue")))
        return read_bytes(r, m, out, e);
    return read_scalar(v, out, e);
}

bool otlp_json_attrs(struct arena *a, const struct json_value *object, const char *name,
                     struct otlp_attrs *out, struct err *e)
{
    struct reading r = { .arena = a };
    const struct json_value *items = NULL;

    *out = (struct otlp_attrs){ 0 };
    return otlp_json_list(object, name, &items, &out->n, e) &&
           read_pairs(&r, items, out->n, &out->v, e);
}

/* ---- the envelope ---- */

static const struct {
    const char *resources, *scopes, *items;
} names[] = {
    [OTLP_METRICS] = { "resourceMetrics", "scopeMetrics", "metrics" },
    [OTLP_LOGS] = { "resourceLogs", "scopeLogs", "logRecords" },
    [OTLP_TRACES] = { "resourceSpans", "scopeSpans", "spans" },
};

static bool walk_scope(const struct otlp_walk *w, const struct json_value *v, struct err *e)
{
    const struct json_value *scope = otlp_json_get(v, "scope"), *items = NULL;
    struct otlp_scope s = { .name = otlp_json_str(scope, "name"),
                            .version = otlp_json_str(scope, "version"),
                            .schema_url = otlp_json_str(v, "schemaUrl") };
    size_t n;

    if (!otlp_json_attrs(w->arena, scope, "attributes", &s.attrs, e) ||
        (w->scope && !w->scope(w->ctx, &s, e)) ||
        !otlp_json_list(v, names[w->signal].items, &items, &n, e))
        return false;
    for (size_t i = 0; w->item && i < n; i++) {
        if (items[i].kind != JSON_OBJECT)
            return wrong(&items[i], names[w->signal].items, "objects", e);
        if (!w->item(w->ctx, &(struct otlp_item){ .json = &items[i] }, e))
            return false;
    }
    return true;
}

static bool walk_resource(const struct otlp_walk *w, const struct json_value *v, struct err *e)
{
    const struct json_value *scopes = NULL;
    struct otlp_resource r = { .schema_url = otlp_json_str(v, "schemaUrl") };
    size_t n;

    if (!otlp_json_attrs(w->arena, otlp_json_get(v, "resource"), "attributes", &r.attrs, e) ||
        (w->resource && !w->resource(w->ctx, &r, e)) ||
        !otlp_json_list(v, names[w->signal].scopes, &scopes, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(w->arena);
        bool ok = walk_scope(w, &scopes[i], e);

        arena_release(w->arena, mark);
        if (!ok)
            return false;
    }
    return !w->resource_end || w->resource_end(w->ctx, e);
}

bool otlp_walk_json(const struct otlp_walk *w, struct str request, struct err *e)
{
    OWNED(arena_fini) struct arena text = { 0 };
    const struct json_value *resources = NULL;
    struct json_value *root;
    size_t n;

    if (!json_parse(&text, request, &root, e))
        return false;
    if (root->kind != JSON_OBJECT)
        return wrong(root, "the request", "an object", e);
    if (!otlp_json_list(root, names[w->signal].resources, &resources, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(w->arena);
        bool ok = walk_resource(w, &resources[i], e);

        arena_release(w->arena, mark);
        if (!ok)
            return false;
    }
    return true;
}
