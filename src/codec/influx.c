/*
 * influx.c - the line protocol. Source: InfluxDB's reference, "Line protocol".
 *
 * A backslash escapes a comma, blank or equals sign in names and tags, a quote or backslash in quoted
 * texts; before any other byte it stands for itself. Quoted texts may hold line feeds.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/influx.h"

#include "base/num.h"
#include "base/time.h"

struct influx influx_of(struct arena *a, struct str body)
{
    const char *p = body.p ? body.p : "";

    return (struct influx){ .p = p, .end = p + body.n, .start = p, .line = 1, .arena = a };
}

void influx_reset(struct influx *x)
{
    x->tag.v = NULL;
    x->tag.n = x->tag.cap = 0;
    x->field.v = NULL;
    x->field.n = x->field.cap = 0;
}

struct scan {
    struct influx *x;
    const char *p, *end, *from; // from: start of the line
    struct err *e;
};

static bool fail(struct scan *s, const char *at, const char *what)
{
    struct pos pos = { s->x->line, (uint32_t)(at - s->from) + 1, (uint64_t)(at - s->x->start) };

    return err_at(s->e, pos, ERR_INVALID, "%s", what);
}

static bool is_stop(char c, const char *stops)
{
    for (; *stops; stops++)
        if (c == *stops)
            return true;
    return c == '\n';
}

static bool is_escaped(const struct scan *s, const char *p)
{
    return *p == '\\' && p + 1 < s->end &&
           (p[1] == ',' || p[1] == ' ' || p[1] == '=' || p[1] == '\\');
}

static struct str unescape(struct scan *s, struct str raw)
{
    char *out = arena_raw(s->x->arena, raw.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i], next = i + 1 < raw.n ? raw.p[i + 1] : 0;

        if (c == '\\' && (next == ',' || next == ' ' || next == '='))
            c = raw.p[++i];
        out[n++] = c;
    }
    return str_of(out, n);
}

// Up to an unescaped stop or line feed, without it.
static struct str token(struct scan *s, const char *stops)
{
    const char *from = s->p;
    bool escapes = false;

    while (s->p < s->end && !is_stop(*s->p, stops)) {
        bool two = is_escaped(s, s->p);

        escapes |= two;
        s->p += two ? 2 : 1;
    }
    struct str raw = str_of(from, (size_t)(s->p - from));
    if (raw.n && raw.p[raw.n - 1] == '\r' && (s->p == s->end || *s->p == '\n'))
        raw.n--;
    return escapes ? unescape(s, raw) : raw;
}

static bool read_tags(struct scan *s)
{
    while (s->p < s->end && *s->p == ',') {
        const char *at = ++s->p;
        struct str name = token(s, "=, ");

        if (!name.n)
            return fail(s, at, "missing tag key");
        if (s->p == s->end || *s->p != '=')
            return fail(s, s->p, "missing tag value");
        s->p++;
        struct str value = token(s, ", ");
        if (s->x->tag.n >= LINE_TAGS_MAX)
            return fail(s, at, "too many tags");
        if (value.n)
            *vec_push_in(s->x->arena, &s->x->tag) = (struct line_tag){ name, value };
    }
    return true;
}

/* ---- fields ---- */

static bool quoted_value(struct scan *s, struct influx_field *f)
{
    const char *from = ++s->p;
    uint32_t lines = 0;

    while (s->p < s->end && *s->p != '"') {
        lines += *s->p == '\n';
        s->p += *s->p == '\\' && s->p + 1 < s->end ? 2 : 1;
    }
    if (s->p >= s->end) {
        s->p = from; // the next line has a chance of its own
        return fail(s, from - 1, "unbalanced quotes");
    }
    s->x->line += lines; // an error in what follows names the right line
    // Some agents send numbers as texts.
    f->is_number = num_parse_double(str_of(from, (size_t)(s->p - from)), &f->value);
    s->p++;
    return true;
}

static bool is_word(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (str_eq_c(s, *words))
            return true;
    return false;
}

static bool plain_value(struct str text, double *out)
{
    static const char *const yes[] = { "t", "T", "true", "True", "TRUE", NULL };
    static const char *const no[] = { "f", "F", "false", "False", "FALSE", NULL };
    struct str digits = str_sub(text, 0, text.n ? text.n - 1 : 0);
    int64_t i;
    uint64_t u;

    if (is_word(text, yes) || is_word(text, no)) {
        *out = text.p[0] == 't' || text.p[0] == 'T';
        return true;
    }
    if (text.n > 1 && text.p[text.n - 1] == 'i') {
        bool ok = str_to_i64(digits, &i);
        *out = ok ? (double)i : 0;
        return ok;
    }
    if (text.n > 1 && text.p[text.n - 1] == 'u') {
        bool ok = str_to_u64(digits, &u);
        *out = ok ? (double)u : 0;
        return ok;
    }
    return text.n && num_scan_double(text.p, text.n, out) == text.n;
}

static bool read_field(struct scan *s)
{
    struct influx_field f = { .is_number = true };
    const char *at = s->p;

    f.key = token(s, "=, ");
    if (!f.key.n)
        return fail(s, at, "missing field key");
    if (s->p == s->end || *s->p != '=')
        return fail(s, s->p, "missing field value");
    at = ++s->p;
    if (s->p < s->end && *s->p == '"') {
        if (!quoted_value(s, &f))
            return false;
    } else if (!plain_value(token(s, ", "), &f.value)) {
        return fail(s, at, "invalid field value: expected a number, true, false or a quoted text");
    }
    if (s->x->field.n >= LINE_FIELDS_MAX)
        return fail(s, at, "too many fields");
    *vec_push_in(s->x->arena, &s->x->field) = f;
    return true;
}

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
        s->p++;
}

static bool read_fields(struct scan *s)
{
    skip_blanks(s);
    if (s->p == s->end || *s->p == '\n' || *s->p == '\r')
        return fail(s, s->p, "missing fields");
    for (;;) {
        if (!read_field(s))
            return false;
        if (s->p == s->end || *s->p != ',')
            return true;
        s->p++;
    }
}

static bool read_time(struct scan *s, struct influx_line *out)
{
    skip_blanks(s);
    const char *at = s->p;
    struct str text = token(s, " ");

    if (text.n && !str_to_i64(text, &out->time))
        return fail(s, at, "bad timestamp");
    out->has_time = text.n > 0;
    skip_blanks(s);
    if (s->p < s->end && *s->p == '\r')
        s->p++;
    if (s->p < s->end && *s->p != '\n')
        return fail(s, s->p, "unexpected text behind the timestamp");
    return true;
}

static bool read_line(struct scan *s, struct influx_line *out)
{
    const char *at = s->p;

    *out = (struct influx_line){ .measurement = token(s, ", ") };
    if (!out->measurement.n && (s->p == s->end || *s->p != ','))
        return fail(s, at, "missing measurement");
    if (!read_tags(s))
        return false;
    out->raw = str_of(at, (size_t)(s->p - at));
    return read_fields(s) && read_time(s, out);
}

static bool skip_empty(struct influx *x)
{
    while (x->p < x->end) {
        char c = *x->p;

        if (c == '#') {
            const char *nl = memchr(x->p, '\n', (size_t)(x->end - x->p));
            x->p = nl ? nl : x->end;
        } else if (c == '\n' || c == '\r' || c == ' ' || c == '\t') {
            x->line += c == '\n';
            x->p++;
        } else {
            return true;
        }
    }
    return false;
}

int influx_next(struct influx *x, struct influx_line *out, struct err *e)
{
    struct influx_line line;

    x->tag.n = x->field.n = 0;
    if (!skip_empty(x))
        return 0;
    struct scan s = { .x = x, .p = x->p, .end = x->end, .from = x->p, .e = e };
    bool ok = read_line(&s, &line);
    if (!ok) {
        const char *nl = s.p < s.end ? memchr(s.p, '\n', (size_t)(s.end - s.p)) : NULL;
        s.p = nl ? nl : s.end;
    }
    x->p = s.p;
    if (!ok)
        return -1;
    line.tag = x->tag.v;
    line.tags = x->tag.n;
    line.field = x->field.v;
    line.fields = x->field.n;
    *out = line;
    return 1;
}

// Seconds are below 1e10 until 2286, milliseconds below 1e13, and so on.
static struct str guess(int64_t time)
{
    uint64_t size = time < 0 ? -(uint64_t)time : (uint64_t)time;

    if (size < UINT64_C(10000000000))
        return STR("s");
    if (size < UINT64_C(10000000000000))
        return STR("ms");
    return size < UINT64_C(10000000000000000) ? STR("us") : STR("ns");
}

bool influx_time_ms(int64_t time, struct str precision, int64_t *out_ms)
{
    static const struct {
        const char *name;
        int64_t divide, multiply;
    } units[] = {
        { "ns", 1000000, 1 }, { "n", 1000000, 1 }, { "u", 1000, 1 }, { "us", 1000, 1 },
        { "µ", 1000, 1 },     { "µs", 1000, 1 },   { "ms", 1, 1 },   { "s", 1, 1000 },
        { "m", 1, 60000 },    { "h", 1, 3600000 },
    };

    if (!precision.n)
        precision = guess(time);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!str_eq_c(precision, units[i].name))
            continue;
        int64_t t = floor_div(time, units[i].divide);
        if (__builtin_mul_overflow(t, units[i].multiply, out_ms))
            *out_ms = t < 0 ? INT64_MIN : INT64_MAX;
        return true;
    }
    return false;
}
