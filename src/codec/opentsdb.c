// opentsdb.c - put lines and /api/put. Source: OpenTSDB's documentation, "Writing Data".
// SPDX-License-Identifier: Apache-2.0
#include "codec/opentsdb.h"

#include "base/num.h"
#include "base/time.h"

// Seconds fit into 32 bits; what does not is in milliseconds.
static int64_t time_ms(double t)
{
    return t >= 4294967296.0 ? ms_from_seconds(t / 1000) : ms_from_seconds(t);
}

struct opentsdb opentsdb_of(struct arena *a, struct str body)
{
    return (struct opentsdb){ .lines = line_walk_of(body), .arena = a };
}

static bool read_tags(struct opentsdb *o, struct str line, struct pos pos, struct str rest,
                      struct err *e)
{
    for (struct str word; (word = line_word(&rest)).n;) {
        struct str value = word, name = str_cut(&value, '=');

        if (!name.n || !value.p)
            return err_at(e, line_pos(pos, line, word.p), ERR_INVALID,
                          "expected a tag such as name=value, got \"%.*s\"", STRF(word));
        if (o->tag.n >= LINE_TAGS_MAX)
            return err_at(e, line_pos(pos, line, word.p), ERR_LIMIT, "too many tags");
        if (value.n)
            *vec_push_in(o->arena, &o->tag) = (struct line_tag){ name, value };
    }
    return true;
}

static bool read_put(struct opentsdb *o, struct str line, struct pos pos, struct str rest,
                     struct opentsdb_point *out, struct err *e)
{
    struct str time, value;
    double t;

    out->name = line_word(&rest);
    time = line_word(&rest);
    value = line_word(&rest);
    if (!out->name.n)
        return err_at(e, line_pos(pos, line, line.p + line.n), ERR_INVALID, "missing metric name");
    if (!time.n || !num_parse_double(time, &t) || !(t >= 0))
        return err_at(e, line_pos(pos, line, time.p), ERR_INVALID,
                      "expected a time in seconds or milliseconds, got \"%.*s\"", STRF(time));
    if (!value.n || !num_parse_double(value, &out->value))
        return err_at(e, line_pos(pos, line, value.p), ERR_INVALID,
                      "expected a value, got \"%.*s\"", STRF(value));
    out->t_ms = time_ms(t);
    out->has_time = t > 0;
    return read_tags(o, line, pos, rest, e);
}

int opentsdb_next(struct opentsdb *o, struct opentsdb_point *out, struct err *e)
{
    struct opentsdb_point p = { 0 };
    struct str line, rest;
    struct pos pos;

    o->tag.n = 0;
    do {
        if (!line_walk_next(&o->lines, &line, &pos))
            return 0;
        rest = line;
    } while (!str_eq(line_word(&rest), STR("put")));
    if (!read_put(o, line, pos, rest, &p, e))
        return -1;
    p.tag = o->tag.v;
    p.tags = o->tag.n;
    *out = p;
    return 1;
}

static bool number_of(const struct json_value *v, double *out)
{
    if (v && v->kind == JSON_STRING)
        return num_parse_double(v->s, out);
    return v && json_to_double(v, out);
}

bool opentsdb_json_point(struct arena *a, const struct json_value *v, struct opentsdb_point *out,
                         struct err *e)
{
    struct opentsdb_point p = { .name = json_get_str(v, STR("metric")) };
    const struct json_value *tags = json_get(v, STR("tags"));
    double t = 0;

    if (v->kind != JSON_OBJECT)
        return err_at(e, v->pos, ERR_INVALID,
                      "expected an object with metric, timestamp and value");
    if (!p.name.n)
        return err_at(e, v->pos, ERR_INVALID, "missing \"metric\"");
    if (!number_of(json_get(v, STR("value")), &p.value))
        return err_at(e, v->pos, ERR_INVALID, "expected a number as \"value\"");
    if (json_get(v, STR("timestamp")) && (!number_of(json_get(v, STR("timestamp")), &t) || t < 0))
        return err_at(e, v->pos, ERR_INVALID, "expected seconds or milliseconds as \"timestamp\"");
    p.t_ms = time_ms(t);
    p.has_time = t > 0;
    if (tags && (tags->kind != JSON_OBJECT || tags->n > LINE_TAGS_MAX))
        return err_at(e, tags->pos, ERR_INVALID, "expected an object of tags");
    struct line_tag *tag = arena_array(a, tags ? tags->n : 0, struct line_tag);
    for (uint32_t i = 0; tags && i < tags->n; i++) {
        const struct json_value *value = tags->members[i].value;

        if (value->kind != JSON_STRING && value->kind != JSON_NUMBER)
            return err_at(e, value->pos, ERR_INVALID, "expected a text as the value of a tag");
        if (value->s.n)
            tag[p.tags++] = (struct line_tag){ tags->members[i].key, value->s };
    }
    p.tag = tag;
    *out = p;
    return true;
}
