// statsd.c - lines of statsd. Source: statsd's metric_types.md, DogStatsD's "Datagram format" 1.0 to 1.3.
// SPDX-License-Identifier: Apache-2.0
#include "codec/statsd.h"

#include "base/num.h"

struct statsd statsd_of(struct arena *a, struct str body)
{
    return (struct statsd){ .lines = line_walk_of(body), .arena = a };
}

static bool fail(struct statsd *s, const char *at, struct err *e, const char *what, struct str got)
{
    return err_at(e, line_pos(s->pos, s->line, at), ERR_INVALID, "%s, got \"%.*s\"", what,
                  STRF(str_sub(got, 0, 60)));
}

static bool add_tags(struct statsd *s, struct str text, char between, struct err *e)
{
    while (text.p) {
        struct str value = str_cut(&text, ','), name = value;

        name = str_cut(&value, between);
        if (!name.n || s->tag.n >= LINE_TAGS_MAX)
            return name.n ? fail(s, name.p, e, "too many tags", name) : true; // empty ones: skipped
        if (value.n)
            *vec_push_in(s->arena, &s->tag) = (struct line_tag){ name, value };
    }
    return true;
}

// Tags in the name: at the first '#' or ',' or in brackets at the end.
static bool name_tags(struct statsd *s, struct err *e)
{
    struct str *name = &s->event.name;

    for (size_t i = 0; i < name->n; i++) {
        char c = name->p[i];
        struct str tags = str_sub(*name, i + 1, name->n);

        if (c != '#' && c != ',' && c != '[')
            continue;
        if (c == '[') {
            size_t end = str_find_char(tags, ']');
            if (end == STR_NPOS)
                return true;
            tags.n = end;
        }
        *name = str_sub(*name, 0, i);
        return add_tags(s, tags, '=', e);
    }
    return true;
}

static bool read_type(struct statsd *s, struct str text, struct err *e)
{
    static const struct {
        const char *name;
        enum statsd_type type;
    } types[] = { { "c", STATSD_COUNTER },      { "g", STATSD_GAUGE },
                  { "ms", STATSD_TIMER },       { "h", STATSD_DISTRIBUTION },
                  { "d", STATSD_DISTRIBUTION }, { "s", STATSD_SET },
                  { "m", STATSD_COUNTER } };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_c(text, types[i].name)) {
            s->event.type = types[i].type;
            return true;
        }
    return fail(s, text.p, e, "expected a type: c, g, ms, h, d or s", text);
}

// What stands behind the type: @rate, #tags, and others that are for DataDog only.
static bool read_extras(struct statsd *s, struct str rest, struct err *e)
{
    while (rest.p) {
        struct str item = str_cut(&rest, '|');

        if (!item.n)
            continue;
        if (item.p[0] == '#') {
            s->event.tags_raw = item;
            if (!add_tags(s, str_sub(item, 1, item.n), ':', e))
                return false;
        } else if (item.p[0] == '@') {
            double rate;
            if (!num_parse_double(str_sub(item, 1, item.n), &rate) || !(rate > 0 && rate <= 1))
                return fail(s, item.p, e, "expected a rate above 0 and at most 1", item);
            s->event.rate = rate;
        }
    }
    return true;
}

// Everything of a line but its values.
static bool begin_line(struct statsd *s, struct err *e)
{
    struct str rest = s->line;
    size_t colon = str_find_char(rest, ':');

    s->tag.n = 0;
    s->event = (struct statsd_event){ .rate = 1 };
    if (colon == STR_NPOS || colon == 0)
        return fail(s, rest.p, e, "expected name:value|type", rest);
    s->event.raw = s->event.name = str_sub(rest, 0, colon);
    rest = str_sub(rest, colon + 1, rest.n);
    s->values = str_cut(&rest, '|');
    if (!rest.p)
        return fail(s, s->values.p, e, "expected name:value|type", s->line);
    struct str type = str_cut(&rest, '|');
    if (!name_tags(s, e) || !read_type(s, type, e) || !read_extras(s, rest, e))
        return false;
    s->event.tag = s->tag.v;
    s->event.tags = s->tag.n;
    return s->event.name.n || fail(s, s->line.p, e, "expected a name", s->line);
}

static bool read_value(struct statsd *s, struct statsd_event *out, struct err *e)
{
    // A set's member may hold colons.
    struct str text = s->event.type == STATSD_SET ? s->values : str_cut(&s->values, ':');

    if (s->event.type == STATSD_SET)
        s->values = STR_NONE;
    *out = s->event;
    out->member = text;
    if (out->type == STATSD_SET)
        return true;
    out->relative = out->type == STATSD_GAUGE && text.n && (text.p[0] == '+' || text.p[0] == '-');
    return num_parse_double(text, &out->value) || fail(s, text.p, e, "expected a number", text);
}

int statsd_next(struct statsd *s, struct statsd_event *out, struct err *e)
{
    while (!s->values.p) {
        if (!line_walk_next(&s->lines, &s->line, &s->pos))
            return 0;
        s->line = str_trim(s->line);
        if (!s->line.n || str_starts(s->line, STR("_e{")) || str_starts(s->line, STR("_sc|")))
            continue;
        if (!begin_line(s, e)) {
            s->values = STR_NONE;
            return -1;
        }
        if (!s->values.p)
            s->values = STR("");
    }
    if (read_value(s, out, e))
        return 1;
    s->values = STR_NONE;
    return -1;
}
