// graphite.c - plaintext lines. Source: Graphite's documentation, "Feeding In Your Data", "Tag support".
// SPDX-License-Identifier: Apache-2.0
#include "codec/graphite.h"

#include "base/num.h"
#include "base/time.h"

struct graphite graphite_of(struct arena *a, struct str body)
{
    return (struct graphite){ .lines = line_walk_of(body), .arena = a };
}

static bool read_tags(struct graphite *g, struct str line, struct pos pos, struct str text,
                      struct err *e)
{
    while (text.p) {
        struct str value = str_cut(&text, ';'), name = str_cut(&value, '=');

        if (!name.n || !value.p)
            return err_at(e, line_pos(pos, line, name.p), ERR_INVALID,
                          "expected a tag such as name=value, got \"%.*s\"", STRF(name));
        if (g->tag.n >= LINE_TAGS_MAX)
            return err_at(e, line_pos(pos, line, name.p), ERR_LIMIT, "too many tags");
        if (value.n)
            *vec_push_in(g->arena, &g->tag) = (struct line_tag){ name, value };
    }
    return true;
}

static bool read_line(struct graphite *g, struct str line, struct pos pos,
                      struct graphite_line *out, struct err *e)
{
    struct str rest = line, value, time;
    double seconds;

    out->raw = line_word(&rest);
    value = line_word(&rest);
    time = line_word(&rest);
    struct str tags = out->raw;
    out->name = str_cut(&tags, ';');
    if (!out->name.n)
        return err_at(e, line_pos(pos, line, out->raw.p), ERR_INVALID, "missing metric name");
    if (!read_tags(g, line, pos, tags, e))
        return false;
    if (!value.n || !num_parse_double(value, &out->value))
        return err_at(e, line_pos(pos, line, value.p), ERR_INVALID,
                      "expected a value behind the name, got \"%.*s\"", STRF(value));
    if (time.n && !num_parse_double(time, &seconds))
        return err_at(e, line_pos(pos, line, time.p), ERR_INVALID,
                      "expected a time in seconds, got \"%.*s\"", STRF(time));
    if (str_trim(rest).n)
        return err_at(e, line_pos(pos, line, rest.p), ERR_INVALID,
                      "unexpected text behind the time");
    out->has_time = time.n && seconds >= 0;
    out->t_ms = out->has_time ? ms_from_seconds(seconds) : 0;
    return true;
}

int graphite_next(struct graphite *g, struct graphite_line *out, struct err *e)
{
    struct graphite_line l = { 0 };
    struct str line;
    struct pos pos;

    g->tag.n = 0;
    do {
        if (!line_walk_next(&g->lines, &line, &pos))
            return 0;
    } while (!str_trim(line).n);
    if (!read_line(g, line, pos, &l, e))
        return -1;
    l.tag = g->tag.v;
    l.tags = g->tag.n;
    *out = l;
    return 1;
}
