// jsonl.c - JSON lines. The arrays are read where they stand; only the labels go through json.h.
// SPDX-License-Identifier: Apache-2.0
#include "codec/jsonl.h"

#include <math.h>

#include "base/num.h"
#include "codec/json.h"

enum { DEPTH_MAX = 32 };

struct jsonl jsonl_of(struct arena *a, struct str body)
{
    return (struct jsonl){ .lines = line_walk_of(body), .arena = a };
}

void jsonl_reset(struct jsonl *j)
{
    j->tag.v = NULL;
    j->tag.n = j->tag.cap = 0;
    j->value.v = NULL;
    j->value.n = j->value.cap = 0;
    j->t_ms.v = NULL;
    j->t_ms.n = j->t_ms.cap = 0;
    j->histogram.v = NULL;
    j->histogram.n = j->histogram.cap = 0;
}

struct scan {
    struct jsonl *j;
    struct str line;
    struct pos pos; // of the line
    const char *p, *end;
    struct err *e;
};

static bool fail(struct scan *s, const char *what)
{
    return err_at(s->e, line_pos(s->pos, s->line, s->p), ERR_INVALID, "%s", what);
}

static int peek(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
    return s->p < s->end ? (unsigned char)*s->p : -1;
}

static bool take(struct scan *s, char c, const char *what)
{
    if (peek(s) != c)
        return fail(s, what);
    s->p++;
    return true;
}

// A string without its quotes, escapes left in.
static bool raw_string(struct scan *s, struct str *out)
{
    if (!take(s, '"', "expected a text in quotes"))
        return false;
    const char *from = s->p;
    while (s->p < s->end && *s->p != '"')
        s->p += *s->p == '\\' && s->p + 1 < s->end ? 2 : 1;
    if (s->p >= s->end)
        return s->p = s->end, fail(s, "a text does not end");
    *out = str_of(from, (size_t)(s->p - from));
    s->p++;
    return true;
}

// Any value, as a slice.
static bool skip_value(struct scan *s, struct str *out)
{
    unsigned depth = 0;
    struct str text;

    peek(s);
    const char *from = s->p;
    do {
        int c = peek(s);

        if (c < 0)
            return fail(s, "the line ends inside a value");
        if (c == '"') {
            if (!raw_string(s, &text))
                return false;
            continue;
        }
        if ((c == '{' || c == '[') && ++depth > DEPTH_MAX)
            return fail(s, "too deep");
        if (c == '}' || c == ']') {
            if (!depth)
                return fail(s, "expected a value");
            depth--;
        }
        s->p++;
        while (!depth && c != '}' && c != ']' && s->p < s->end && *s->p != ',' && *s->p != '}')
            s->p++;
    } while (depth);
    *out = str_of(from, (size_t)(s->p - from));
    return true;
}

static bool read_metric(struct scan *s, struct str *raw)
{
    struct json_value *v;

    if (!skip_value(s, raw))
        return false;
    const char *from = raw->p;
    if (!json_parse(s->j->arena, *raw, &v, s->e)) {
        s->e->pos = line_pos(s->pos, s->line, from + s->e->pos.offset);
        return false;
    }
    s->p = from;
    if (v->kind != JSON_OBJECT || v->n > LINE_TAGS_MAX)
        return fail(s, "expected an object of labels as \"metric\"");
    s->j->tag.n = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->members[i].value->kind != JSON_STRING)
            return fail(s, "expected texts as values of labels");
        if (v->members[i].value->s.n)
            *vec_push_in(s->j->arena, &s->j->tag) = (struct line_tag){ v->members[i].key,
                                                                       v->members[i].value->s };
    }
    s->p = raw->p + raw->n;
    return true;
}

static bool read_value(struct scan *s, double *out)
{
    struct str text;
    int c = peek(s);
    size_t n;

    if (c == '"') {
        if (!raw_string(s, &text))
            return false;
        return num_parse_double(text, out) || fail(s, "expected a number");
    }
    if (c == 'n' && s->end - s->p >= 4 && memcmp(s->p, "null", 4) == 0) {
        *out = NAN;
        s->p += 4;
        return true;
    }
    n = c < 0 ? 0 : num_scan_double(s->p, (size_t)(s->end - s->p), out);
    s->p += n;
    return n || fail(s, "expected a number");
}

static bool read_values(struct scan *s)
{
    if (!take(s, '[', "expected an array of numbers"))
        return false;
    s->j->value.n = 0;
    if (peek(s) == ']')
        return s->p++, true;
    for (;;) {
        double v;

        if (!read_value(s, &v))
            return false;
        *vec_push_in(s->j->arena, &s->j->value) = v;
        if (peek(s) == ']')
            return s->p++, true;
        if (!take(s, ',', "expected a comma or the end of the array"))
            return false;
    }
}

static bool read_time(struct scan *s, int64_t *out)
{
    const char *from = s->p;

    while (s->p < s->end && (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')))
        s->p++;
    return str_to_i64(str_of(from, (size_t)(s->p - from)), out) ||
           fail(s, "expected a whole number of milliseconds");
}

static bool read_times(struct scan *s)
{
    if (!take(s, '[', "expected an array of times"))
        return false;
    s->j->t_ms.n = 0;
    if (peek(s) == ']')
        return s->p++, true;
    for (;;) {
        int64_t t;

        peek(s);
        if (!read_time(s, &t))
            return false;
        *vec_push_in(s->j->arena, &s->j->t_ms) = t;
        if (peek(s) == ']')
            return s->p++, true;
        if (!take(s, ',', "expected a comma or the end of the array"))
            return false;
    }
}

static bool read_histograms(struct scan *s)
{
    struct json_value *v;
    struct str raw;

    if (!skip_value(s, &raw) || !json_parse(s->j->arena, raw, &v, s->e)) {
        s->e->pos = line_pos(s->pos, s->line, s->p);
        return false;
    }
    if (v->kind != JSON_ARRAY)
        return fail(s, "expected an array of texts");
    s->j->histogram.n = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i].kind != JSON_STRING)
            return fail(s, "expected an array of texts");
        *vec_push_in(s->j->arena, &s->j->histogram) = v->items[i].s;
    }
    return true;
}

static bool read_member(struct scan *s, struct str *metric)
{
    struct str key, other;

    if (!raw_string(s, &key) || !take(s, ':', "expected a colon"))
        return false;
    if (str_eq(key, STR("metric")))
        return read_metric(s, metric);
    if (str_eq(key, STR("values")))
        return read_values(s);
    if (str_eq(key, STR("timestamps")))
        return read_times(s);
    if (str_eq(key, STR("histograms")))
        return read_histograms(s);
    return skip_value(s, &other);
}

static bool read_line(struct scan *s, struct str *metric)
{
    if (!take(s, '{', "expected an object"))
        return false;
    while (peek(s) != '}') {
        if (!read_member(s, metric))
            return false;
        if (peek(s) != '}' && !take(s, ',', "expected a comma or the end of the object"))
            return false;
    }
    s->p++;
    if (peek(s) >= 0)
        return fail(s, "unexpected text behind the object");
    if (!metric->p)
        return fail(s, "missing \"metric\"");
    if (s->j->histogram.n && s->j->value.n)
        return fail(s, "values and histograms must be lines of their own");
    return s->j->value.n + s->j->histogram.n == s->j->t_ms.n ||
           fail(s, "there are not as many timestamps as values");
}

int jsonl_next(struct jsonl *j, struct jsonl_series *out, struct err *e)
{
    struct str metric = STR_NONE;
    struct scan s = { .j = j, .e = e };

    j->tag.n = j->value.n = j->t_ms.n = j->histogram.n = 0;
    do {
        if (!line_walk_next(&j->lines, &s.line, &s.pos))
            return 0;
    } while (!str_trim(s.line).n);
    s.p = s.line.p;
    s.end = s.line.p + s.line.n;
    if (s.line.n > JSONL_LINE_MAX) {
        err_at(e, s.pos, ERR_LIMIT, "a line of more than %d bytes", JSONL_LINE_MAX);
        return -1;
    }
    if (!read_line(&s, &metric))
        return -1;
    *out = (struct jsonl_series){ .raw = metric,
                                  .tag = j->tag.v,
                                  .tags = j->tag.n,
                                  .value = j->value.v,
                                  .t_ms = j->t_ms.v,
                                  .n = j->value.n,
                                  .histogram = j->histogram.v,
                                  .histograms = j->histogram.n };
    return 1;
}

void jsonl_write(struct buf *b, const struct jsonl_series *s)
{
    buf_lit(b, "{\"metric\":{");
    for (size_t i = 0; i < s->tags; i++) {
        if (i)
            buf_char(b, ',');
        buf_json_str(b, s->tag[i].name);
        buf_char(b, ':');
        buf_json_str(b, s->tag[i].value);
    }
    buf_lit(b, "},\"values\":[");
    for (size_t i = 0; i < s->n; i++) {
        double v = s->value[i];

        if (i)
            buf_char(b, ',');
        if (isnan(v))
            buf_lit(b, "null");
        else if (isinf(v))
            buf_printf(b, "\"%sInfinity\"", v < 0 ? "-" : "");
        else
            buf_double_json(b, v);
    }
    buf_lit(b, "],\"timestamps\":[");
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            buf_char(b, ',');
        buf_i64(b, s->t_ms[i]);
    }
    buf_lit(b, "]}\n");
}
