// json_read.c - strict JSON in: a tree in the caller's arena, errors with line and column.
// SPDX-License-Identifier: Apache-2.0
#include "codec/json.h"

#include "base/cursor.h"
#include "base/num.h"
#include "base/vec.h"

struct reader {
    struct arena *a;
    struct cursor c;
    struct err *e;
    int depth;
};

static bool value_at(struct reader *r, struct json_value *out);

static void skip_space(struct reader *r)
{
    for (int c; (c = cursor_peek(&r->c, 0)) == ' ' || c == '\n' || c == '\t' || c == '\r';)
        cursor_skip(&r->c, 1);
}

static bool unexpected(struct reader *r, const char *wanted)
{
    int c = cursor_peek(&r->c, 0);

    if (c < 0)
        return err_at(r->e, r->c.pos, ERR_INVALID, "unexpected end of JSON, expected %s", wanted);
    if (c < ' ' || c >= 0x7f)
        return err_at(r->e, r->c.pos, ERR_INVALID, "unexpected byte 0x%02x in JSON, expected %s", c,
                      wanted);
    return err_at(r->e, r->c.pos, ERR_INVALID, "unexpected '%c' in JSON, expected %s", c, wanted);
}

static int hex4(const char *p)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        int c = p[i] | 32;
        int d = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static void utf8_put(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_char(b, (char)c);
    } else if (c < 0x800) {
        buf_char(b, (char)(0xc0 | c >> 6));
        buf_char(b, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        buf_char(b, (char)(0xe0 | c >> 12));
        buf_char(b, (char)(0x80 | (c >> 6 & 63)));
        buf_char(b, (char)(0x80 | (c & 63)));
    } else {
        buf_char(b, (char)(0xf0 | c >> 18));
        buf_char(b, (char)(0x80 | (c >> 12 & 63)));
        buf_char(b, (char)(0x80 | (c >> 6 & 63)));
        buf_char(b, (char)(0x80 | (c & 63)));
    }
}

// \uXXXX behind the backslash; a lone surrogate becomes U+FFFD, as in Go.
static bool unicode_escape(struct reader *r, struct buf *out)
{
    size_t left = (size_t)(r->c.end - r->c.p);
    int hi = left >= 5 ? hex4(r->c.p + 1) : -1, lo;

    if (hi < 0)
        return unexpected(r, "four hex digits behind \\u");
    cursor_skip(&r->c, 5);
    if (hi < 0xd800 || hi > 0xdfff) {
        utf8_put(out, (uint32_t)hi);
        return true;
    }
    left = (size_t)(r->c.end - r->c.p);
    lo = left >= 6 && r->c.p[0] == '\\' && r->c.p[1] == 'u' ? hex4(r->c.p + 2) : -1;
    if (hi > 0xdbff || lo < 0xdc00 || lo > 0xdfff) {
        utf8_put(out, 0xfffd);
        return true;
    }
    utf8_put(out, 0x10000 + ((uint32_t)(hi - 0xd800) << 10) + (uint32_t)(lo - 0xdc00));
    cursor_skip(&r->c, 6);
    return true;
}

static bool escape_at(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = cursor_peek(&r->c, 0);
    const char *at = c > 0 ? strchr(from, c) : NULL;

    if (c == 'u')
        return unicode_escape(r, out);
    if (!at)
        return unexpected(r, "an escape such as \\n");
    buf_char(out, to[at - from]);
    cursor_skip(&r->c, 1);
    return true;
}

// The rest of a string with escapes, from the first of them on; `from` is its first byte.
static bool escaped_string(struct reader *r, const char *from, struct str *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_bytes(&b, from, (size_t)(r->c.p - from));
    for (;;) {
        int c = cursor_peek(&r->c, 0);
        if (c < 0 || c < 0x20)
            return unexpected(r, "a character or '\"'");
        cursor_skip(&r->c, 1);
        if (c == '"')
            break;
        if (c != '\\')
            buf_char(&b, (char)c);
        else if (!escape_at(r, &b))
            return false;
    }
    *out = arena_str(r->a, buf_view(&b));
    return true;
}

static bool string_at(struct reader *r, struct str *out)
{
    struct pos at = r->c.pos;
    const char *from = r->c.p + 1;

    cursor_skip(&r->c, 1);
    const char *p = from;
    while (p < r->c.end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    r->c.pos.col += (uint32_t)(p - from);
    r->c.pos.offset += (uint64_t)(p - from);
    r->c.p = p;
    if (cursor_peek(&r->c, 0) == '"') {
        *out = str_of(from, (size_t)(p - from));
        cursor_skip(&r->c, 1);
    } else if (!escaped_string(r, from, out)) {
        return false;
    }
    if (!str_is_utf8(*out))
        return err_at(r->e, at, ERR_INVALID, "string is not valid UTF-8");
    return true;
}

static size_t digits(struct reader *r)
{
    size_t n = 0;

    for (; cursor_peek(&r->c, 0) >= '0' && cursor_peek(&r->c, 0) <= '9'; n++)
        cursor_skip(&r->c, 1);
    return n;
}

static bool number_at(struct reader *r, struct str *out)
{
    const char *from = r->c.p;

    cursor_take(&r->c, '-');
    bool zero = cursor_peek(&r->c, 0) == '0';
    size_t n = digits(r);
    if (!n || (zero && n > 1))
        return unexpected(r, "a number");
    if (cursor_take(&r->c, '.') && !digits(r))
        return unexpected(r, "a digit behind the point");
    if (cursor_take(&r->c, 'e') || cursor_take(&r->c, 'E')) {
        if (!cursor_take(&r->c, '+'))
            cursor_take(&r->c, '-');
        if (!digits(r))
            return unexpected(r, "an exponent");
    }
    *out = str_of(from, (size_t)(r->c.p - from));
    return true;
}

static bool word_at(struct reader *r, struct str word)
{
    if (!str_starts(str_of(r->c.p, (size_t)(r->c.end - r->c.p)), word))
        return unexpected(r, "a value");
    cursor_skip(&r->c, word.n);
    return true;
}

static bool array_at(struct reader *r, struct json_value *out)
{
    VEC(struct json_value) items = { 0 };

    cursor_skip(&r->c, 1);
    skip_space(r);
    if (cursor_take(&r->c, ']'))
        return true;
    do {
        struct json_value v = { 0 };
        if (!value_at(r, &v))
            return false;
        *vec_push_in(r->a, &items) = v;
        skip_space(r);
    } while (cursor_take(&r->c, ','));
    if (!cursor_take(&r->c, ']'))
        return unexpected(r, "',' or ']'");
    out->items = items.v;
    out->n = (uint32_t)items.n;
    return true;
}

static bool object_at(struct reader *r, struct json_value *out)
{
    VEC(struct json_member) members = { 0 };

    cursor_skip(&r->c, 1);
    skip_space(r);
    if (cursor_take(&r->c, '}'))
        return true;
    do {
        struct json_member m = { .value = arena_new(r->a, struct json_value) };
        skip_space(r);
        if (cursor_peek(&r->c, 0) != '"')
            return unexpected(r, "a key in quotes");
        if (!string_at(r, &m.key))
            return false;
        skip_space(r);
        if (!cursor_take(&r->c, ':'))
            return unexpected(r, "':'");
        if (!value_at(r, m.value))
            return false;
        *vec_push_in(r->a, &members) = m;
        skip_space(r);
    } while (cursor_take(&r->c, ','));
    if (!cursor_take(&r->c, '}'))
        return unexpected(r, "',' or '}'");
    out->members = members.v;
    out->n = (uint32_t)members.n;
    return true;
}

static bool nested_at(struct reader *r, struct json_value *out)
{
    if (r->depth == JSON_DEPTH_MAX)
        return err_at(r->e, r->c.pos, ERR_LIMIT, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
    r->depth++;
    bool ok = out->kind == JSON_OBJECT ? object_at(r, out) : array_at(r, out);
    r->depth--;
    return ok;
}

static bool value_at(struct reader *r, struct json_value *out)
{
    skip_space(r);
    int c = cursor_peek(&r->c, 0);
    out->pos = r->c.pos;
    switch (c) {
    case '{':
    case '[':
        out->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        return nested_at(r, out);
    case '"':
        out->kind = JSON_STRING;
        return string_at(r, &out->s);
    case 't':
    case 'f':
        out->kind = JSON_BOOL;
        out->b = c == 't';
        return word_at(r, out->b ? STR("true") : STR("false"));
    case 'n':
        return word_at(r, STR("null"));
    default:
        out->kind = JSON_NUMBER;
        if (c != '-' && (c < '0' || c > '9'))
            return unexpected(r, "a value");
        return number_at(r, &out->s);
    }
}

bool json_parse(struct arena *a, struct str text, struct json_value **out, struct err *e)
{
    struct reader r = { a, cursor_of(text), e, 0 };
    struct json_value *v = arena_new(a, struct json_value);

    if (!value_at(&r, v))
        return false;
    skip_space(&r);
    if (!cursor_done(&r.c))
        return unexpected(&r, "the end");
    *out = v;
    return true;
}

struct json_value *json_get(const struct json_value *v, struct str key)
{
    if (!v || v->kind != JSON_OBJECT)
        return NULL;
    for (uint32_t i = v->n; i-- > 0;)
        if (str_eq(v->members[i].key, key))
            return v->members[i].value;
    return NULL;
}

struct str json_get_str(const struct json_value *v, struct str key)
{
    const struct json_value *m = json_get(v, key);

    return m && m->kind == JSON_STRING ? m->s : STR_NONE;
}

bool json_to_double(const struct json_value *v, double *out)
{
    return v && v->kind == JSON_NUMBER && num_parse_double(v->s, out);
}

bool json_to_i64(const struct json_value *v, int64_t *out)
{
    return v && v->kind == JSON_NUMBER && str_to_i64(v->s, out);
}
