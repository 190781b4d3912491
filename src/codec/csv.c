// csv.c - rows by a format; cells as RFC 4180. See csv.h.
// SPDX-License-Identifier: Apache-2.0
#include "codec/csv.h"

#include "base/num.h"
#include "base/time.h"

/* ---- the format ---- */

static bool time_kind(struct str name, enum csv_kind *out)
{
    static const struct {
        const char *name;
        enum csv_kind kind;
    } kinds[] = { { "unix_s", CSV_UNIX_S },
                  { "unix_ms", CSV_UNIX_MS },
                  { "unix_ns", CSV_UNIX_NS },
                  { "rfc3339", CSV_RFC3339 } };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq_c(name, kinds[i].name))
            return *out = kinds[i].kind, true;
    return false;
}

static bool read_column(struct str item, uint64_t *at, struct csv_column *out, struct err *e)
{
    struct str rest = item, number = str_trim(str_cut(&rest, ':')), kind = str_cut(&rest, ':');

    if (!str_to_u64(number, at) || *at < 1 || *at > CSV_COLUMNS_MAX || !rest.p)
        return err_set(
            e, ERR_INVALID,
            "expected a column such as 2:metric:name, got \"%.*s\" (columns are 1 to %d)",
            STRF(item), CSV_COLUMNS_MAX);
    out->name = rest;
    if (str_eq(kind, STR("metric")) && rest.n)
        out->kind = CSV_METRIC;
    else if (str_eq(kind, STR("label")) && rest.n)
        out->kind = CSV_LABEL;
    else if (str_eq(kind, STR("time")) && str_starts(rest, STR("custom:")))
        return err_set(e, ERR_UNSUPPORTED,
                       "custom times are not supported: use unix_s, unix_ms, unix_ns or rfc3339");
    else if (!str_eq(kind, STR("time")) || !time_kind(rest, &out->kind))
        return err_set(
            e, ERR_INVALID,
            "expected metric:NAME, label:NAME or time:unix_s, unix_ms, unix_ns or rfc3339 "
            "in \"%.*s\"",
            STRF(item));
    return true;
}

bool csv_format_parse(struct arena *a, struct str text, struct csv_format *out, struct err *e)
{
    struct csv_format f = { .column = arena_array(a, CSV_COLUMNS_MAX, struct csv_column) };
    bool time = false;

    while (text.n) {
        struct csv_column c = { 0 };
        struct str item = str_cut(&text, ',');
        uint64_t at;

        if (!read_column(item, &at, &c, e))
            return false;
        if (f.column[at - 1].kind != CSV_SKIP)
            return err_set(e, ERR_INVALID, "column %zu is named twice", (size_t)at);
        if (c.kind > CSV_LABEL && time)
            return err_set(e, ERR_INVALID, "there is more than one time column");
        time |= c.kind > CSV_LABEL;
        f.column[at - 1] = c;
        f.columns = MAX(f.columns, (size_t)at);
        f.metrics += c.kind == CSV_METRIC;
    }
    if (!f.metrics)
        return err_set(e, ERR_INVALID, "the format names no metric column");
    *out = f;
    return true;
}

/* ---- rows ---- */

struct csv csv_of(struct arena *a, const struct csv_format *f, struct str body)
{
    const char *p = body.p ? body.p : "";

    return (
        struct csv){ .format = f, .p = p, .end = p + body.n, .start = p, .line = 1, .arena = a };
}

void csv_reset(struct csv *c)
{
    c->tag.v = NULL;
    c->tag.n = c->tag.cap = 0;
    c->value.v = NULL;
    c->value.n = c->value.cap = 0;
}

static struct pos pos_at(const struct csv *c, const char *row, const char *p)
{
    return (struct pos){ c->line, (uint32_t)(p - row) + 1, (uint64_t)(p - c->start) };
}

// A quoted cell; the quote is at hand. Line feeds in it count for the rows that follow.
static bool quoted_cell(struct csv *c, const char *row, uint32_t *lines, struct str *out,
                        struct err *e)
{
    const char *from = ++c->p, *p = from;
    bool doubled = false;

    for (; p < c->end; p++) {
        *lines += *p == '\n';
        if (*p != '"')
            continue;
        if (p + 1 == c->end || p[1] != '"')
            break;
        doubled = true;
        p++;
    }
    if (p >= c->end) {
        c->p = from; // the next line has a chance of its own
        *lines = 0;
        return err_at(e, pos_at(c, row, from - 1), ERR_INVALID, "a quoted cell does not end");
    }
    *out = str_of(from, (size_t)(p - from));
    c->p = p + 1;
    if (!doubled)
        return true;
    char *text = arena_raw(c->arena, out->n);
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        text[n++] = out->p[i];
        i += out->p[i] == '"';
    }
    *out = str_of(text, n);
    return true;
}

static struct str plain_cell(struct csv *c)
{
    const char *from = c->p;

    while (c->p < c->end && *c->p != ',' && *c->p != '\n')
        c->p++;
    struct str s = str_of(from, (size_t)(c->p - from));
    if (s.n && s.p[s.n - 1] == '\r' && (c->p == c->end || *c->p == '\n'))
        s.n--;
    return s;
}

static bool read_time(enum csv_kind kind, struct str cell, int64_t *out_ms)
{
    int64_t ns, n;
    double seconds;

    if (kind == CSV_RFC3339) {
        if (!rfc3339_parse(cell, &ns, &(struct err){ 0 })) // the caller names the cell
            return false;
        *out_ms = floor_div(ns, NS_MS);
        return true;
    }
    if (kind == CSV_UNIX_S) {
        if (!num_parse_double(cell, &seconds) || seconds != seconds)
            return false;
        *out_ms = ms_from_seconds(seconds);
        return true;
    }
    if (!str_to_i64(cell, &n))
        return false;
    *out_ms = kind == CSV_UNIX_NS ? floor_div(n, NS_MS) : n;
    return true;
}

static bool take_cell(struct csv *c, struct csv_row *row, size_t at, struct str cell, struct err *e)
{
    const struct csv_column *col = &c->format->column[at];
    double v;

    switch (col->kind) {
    case CSV_SKIP:
        return true;
    case CSV_LABEL:
        if (cell.n)
            *vec_push_in(c->arena, &c->tag) = (struct line_tag){ col->name, cell };
        return true;
    case CSV_METRIC:
        if (!cell.n)
            return true;
        if (!num_parse_double(cell, &v))
            return err_set(e, ERR_INVALID, "column %zu: expected a number, got \"%.*s\"", at + 1,
                           STRF(str_sub(cell, 0, 60)));
        *vec_push_in(c->arena, &c->value) = (struct csv_value){ col->name, v };
        return true;
    default:
        row->has_time = true;
        return read_time(col->kind, cell, &row->t_ms) ||
               err_set(e, ERR_INVALID, "column %zu: expected a time as %.*s, got \"%.*s\"", at + 1,
                       STRF(col->name), STRF(str_sub(cell, 0, 60)));
    }
}

static bool read_row(struct csv *c, const char *from, uint32_t *lines, struct csv_row *row,
                     struct err *e)
{
    size_t at = 0;

    for (;; at++) {
        const char *p = c->p;
        struct str cell;

        if (c->p < c->end && *c->p == '"') {
            if (!quoted_cell(c, from, lines, &cell, e))
                return false;
        } else {
            cell = plain_cell(c);
        }
        if (at < c->format->columns && !take_cell(c, row, at, cell, e)) {
            e->pos = pos_at(c, from, p);
            return false;
        }
        if (c->p == c->end || *c->p != ',')
            break;
        c->p++;
    }
    if (c->p < c->end && *c->p == '\r')
        c->p++;
    if (c->p < c->end && *c->p != '\n')
        return err_at(e, pos_at(c, from, c->p), ERR_INVALID,
                      "unexpected text behind a quoted cell");
    return at + 1 >= c->format->columns ||
           err_at(e, pos_at(c, from, c->p), ERR_INVALID, "the row has %zu columns of %zu", at + 1,
                  c->format->columns);
}

int csv_next(struct csv *c, struct csv_row *out, struct err *e)
{
    struct csv_row row = { 0 };
    uint32_t lines = 0;

    c->tag.n = c->value.n = 0;
    while (c->p < c->end && (*c->p == '\n' || *c->p == '\r'))
        c->line += *c->p++ == '\n';
    if (c->p == c->end)
        return 0;
    const char *from = c->p;
    bool ok = read_row(c, from, &lines, &row, e);
    if (!ok) {
        const char *nl = memchr(c->p, '\n', (size_t)(c->end - c->p));
        c->p = nl ? nl : c->end;
    }
    c->line += lines;
    if (!ok)
        return -1;
    row.tag = c->tag.v;
    row.tags = c->tag.n;
    row.value = c->value.v;
    row.values = c->value.n;
    *out = row;
    return 1;
}

void buf_csv_cell(struct buf *b, struct str s)
{
    bool quotes = false;

    for (size_t i = 0; i < s.n; i++)
        quotes |= s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
    if (!quotes) {
        buf_str(b, s);
        return;
    }
    buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_char(b, '"');
        buf_char(b, s.p[i]);
    }
    buf_char(b, '"');
}
