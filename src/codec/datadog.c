/*
 * datadog.c - DataDog's series. Source: DataDog's API reference, "Submit metrics"; agent-payload's
 * metrics: MetricPayload 1 series; MetricSeries 1 resources{1 type, 2 name}, 2 metric, 3 tags,
 * 4 points{1 value, 2 timestamp}, 7 source_type_name.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/datadog.h"

#include <ctype.h>

#include "base/num.h"
#include "base/time.h"
#include "codec/json.h"
#include "codec/proto.h"

typedef VEC(struct datadog_series) series_list;
typedef VEC(struct datadog_point) point_list;

// Other characters become one '_', which goes beside a dot.
static struct str clean_name(struct arena *a, struct str s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = isalnum((unsigned char)s.p[i]) || s.p[i] == '.' ? s.p[i] : '_';

        if (c == '_' && n && (out[n - 1] == '_' || out[n - 1] == '.'))
            continue;
        if (c == '.' && n && out[n - 1] == '_')
            n--;
        out[n++] = c;
    }
    return str_of(out, n);
}

// "env:prod" or "plain", which is a tag without a value.
static void add_tag(struct arena *a, line_tags *tags, struct str text)
{
    struct str value = text, name = str_cut(&value, ':');

    if (!name.n || tags->n >= LINE_TAGS_MAX)
        return;
    if (!value.p)
        value = STR("no_label_value");
    if (str_eq(name, STR("host"))) // the host of the series is the label of that name
        name = STR("exported_host");
    if (value.n)
        *vec_push_in(a, tags) = (struct line_tag){ name, value };
}

static void add_label(struct arena *a, line_tags *tags, struct str name, struct str value)
{
    if (name.n && value.n && tags->n < LINE_TAGS_MAX)
        *vec_push_in(a, tags) = (struct line_tag){ name, value };
}

/* ---- JSON ---- */

static bool json_point(const struct json_value *v, enum datadog_format format,
                       struct datadog_point *out, struct err *e)
{
    const struct json_value *t, *value;
    double seconds;

    if (format == DATADOG_V1) {
        if (v->kind != JSON_ARRAY || v->n != 2)
            return err_at(e, v->pos, ERR_INVALID, "expected a point such as [time, value]");
        t = &v->items[0];
        value = &v->items[1];
    } else {
        t = json_get(v, STR("timestamp"));
        value = json_get(v, STR("value"));
    }
    if (!value || !json_to_double(value, &out->value))
        return err_at(e, v->pos, ERR_INVALID, "expected a number as the value of a point");
    if (!t || !json_to_double(t, &seconds) || seconds < 0)
        return err_at(e, v->pos, ERR_INVALID, "expected seconds as the time of a point");
    out->t_ms = ms_from_seconds(seconds);
    return true;
}

static void json_tags(struct arena *a, const struct json_value *v, enum datadog_format format,
                      line_tags *tags)
{
    const struct json_value *list = json_get(v, STR("tags")),
                            *resources = json_get(v, STR("resources"));

    if (format == DATADOG_V1) {
        add_label(a, tags, STR("host"), json_get_str(v, STR("host")));
        add_label(a, tags, STR("device"), json_get_str(v, STR("device")));
    }
    for (uint32_t i = 0; resources && resources->kind == JSON_ARRAY && i < resources->n; i++)
        add_label(a, tags, json_get_str(&resources->items[i], STR("type")),
                  json_get_str(&resources->items[i], STR("name")));
    add_label(a, tags, STR("source_type_name"), json_get_str(v, STR("source_type_name")));
    for (uint32_t i = 0; list && list->kind == JSON_ARRAY && i < list->n; i++)
        if (list->items[i].kind == JSON_STRING)
            add_tag(a, tags, list->items[i].s);
}

static bool json_series(struct arena *a, const struct json_value *v, enum datadog_format format,
                        struct datadog_series *out, struct err *e)
{
    const struct json_value *points = json_get(v, STR("points"));
    struct str name = json_get_str(v, STR("metric"));
    line_tags tags = { 0 };

    if (!name.n)
        return err_at(e, v->pos, ERR_INVALID, "a series has no \"metric\"");
    if (!points || points->kind != JSON_ARRAY)
        return err_at(e, v->pos, ERR_INVALID, "a series has no array \"points\"");
    struct datadog_point *p = arena_array(a, points->n, struct datadog_point);
    for (uint32_t i = 0; i < points->n; i++)
        if (!json_point(&points->items[i], format, &p[i], e))
            return false;
    json_tags(a, v, format, &tags);
    *out = (struct datadog_series){ clean_name(a, name), tags.v, tags.n, p, points->n };
    return true;
}

static bool read_json(struct arena *a, enum datadog_format format, struct str body,
                      struct datadog_body *out, struct err *e)
{
    struct json_value *doc, *list;

    if (!json_parse(a, body, &doc, e))
        return false;
    list = json_get(doc, STR("series"));
    if (!list || list->kind != JSON_ARRAY)
        return err_at(e, doc->pos, ERR_INVALID, "expected an object with an array \"series\"");
    struct datadog_series *v = arena_array(a, list->n, struct datadog_series);
    for (uint32_t i = 0; i < list->n; i++)
        if (!json_series(a, &list->items[i], format, &v[i], e))
            return false;
    *out = (struct datadog_body){ v, list->n };
    return true;
}

/* ---- protobuf ---- */

static bool malformed(struct str body, const void *at, struct err *e)
{
    return err_at(e, (struct pos){ 0, 0, (uint64_t)((const char *)at - body.p) }, ERR_INVALID,
                  "malformed protobuf");
}

static bool proto_pair(struct str body, struct str s, struct str out[2], struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    out[0] = out[1] = STR_NONE;
    while ((got = proto_next(&c, &f)) > 0)
        if (f.key == PROTO_KEY(1, PROTO_BYTES) || f.key == PROTO_KEY(2, PROTO_BYTES))
            out[proto_number(&f) - 1] = f.bytes;
    return got == 0 || malformed(body, c.p, e);
}

static bool proto_point(struct str body, struct str s, struct datadog_point *out, struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        if (f.key == PROTO_KEY(1, PROTO_FIXED64))
            out->value = proto_double(&f);
        else if (f.key == PROTO_KEY(2, PROTO_VARINT) &&
                 __builtin_mul_overflow((int64_t)f.value, 1000, &out->t_ms))
            return malformed(body, c.p, e);
    }
    return got == 0 || malformed(body, c.p, e);
}

static bool proto_series(struct arena *a, struct str body, struct str s, struct datadog_series *out,
                         struct err *e)
{
    struct proto c = proto_of(s);
    struct proto_field f;
    struct str pair[2];
    point_list points = { 0 };
    line_tags tags = { 0 };
    int got;

    while ((got = proto_next(&c, &f)) > 0) {
        switch (f.key) {
        case PROTO_KEY(1, PROTO_BYTES):
            if (!proto_pair(body, f.bytes, pair, e))
                return false;
            add_label(a, &tags, pair[0], pair[1]);
            break;
        case PROTO_KEY(2, PROTO_BYTES):
            out->name = clean_name(a, f.bytes);
            break;
        case PROTO_KEY(3, PROTO_BYTES):
            add_tag(a, &tags, f.bytes);
            break;
        case PROTO_KEY(4, PROTO_BYTES):
            if (!proto_point(body, f.bytes, vec_push_in(a, &points), e))
                return false;
            break;
        case PROTO_KEY(7, PROTO_BYTES):
            add_label(a, &tags, STR("source_type_name"), f.bytes);
            break;
        default:
            break;
        }
    }
    if (got < 0)
        return malformed(body, c.p, e);
    if (!out->name.n)
        return err_set(e, ERR_INVALID, "a series has no metric");
    *out = (struct datadog_series){ out->name, tags.v, tags.n, points.v, points.n };
    return true;
}

static bool read_proto(struct arena *a, struct str body, struct datadog_body *out, struct err *e)
{
    series_list list = { 0 };
    struct proto c = proto_of(body);
    struct proto_field f;
    int got;

    while ((got = proto_next(&c, &f)) > 0)
        if (f.key == PROTO_KEY(1, PROTO_BYTES) &&
            !proto_series(a, body, f.bytes, vec_push_in(a, &list), e))
            return false;
    if (got < 0)
        return malformed(body, c.p, e);
    *out = (struct datadog_body){ list.v, list.n };
    return true;
}

bool datadog_read(struct arena *a, enum datadog_format format, struct str body,
                  struct datadog_body *out, struct err *e)
{
    return format == DATADOG_V2_PROTO ? read_proto(a, body, out, e)
                                      : read_json(a, format, body, out, e);
}
