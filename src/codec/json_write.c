// json_write.c - JSON out: escapes only what must be, copies runs in one piece.
// SPDX-License-Identifier: Apache-2.0
#include "codec/json.h"

#include <math.h>

#include "base/num.h"

static void comma(struct json_writer *w)
{
    assert(w->depth >= 0 && w->depth <= 63);
    if (w->comma >> w->depth & 1)
        buf_char(w->out, ',');
    w->comma |= UINT64_C(1) << w->depth;
}

static void open_with(struct json_writer *w, char c)
{
    comma(w);
    buf_char(w->out, c);
    assert(w->depth < 63);
    w->depth++;
    w->comma &= ~(UINT64_C(1) << w->depth);
}

static void close_with(struct json_writer *w, char c)
{
    assert(w->depth > 0);
    w->depth--;
    buf_char(w->out, c);
}

void json_object(struct json_writer *w)
{
    open_with(w, '{');
}

void json_object_end(struct json_writer *w)
{
    close_with(w, '}');
}

void json_array(struct json_writer *w)
{
    open_with(w, '[');
}

void json_array_end(struct json_writer *w)
{
    close_with(w, ']');
}

void json_key(struct json_writer *w, struct str key)
{
    assert(w->depth > 0);
    comma(w);
    buf_json_str(w->out, key);
    buf_char(w->out, ':');
    w->comma &= ~(UINT64_C(1) << w->depth); // the value follows without a comma
}

void json_raw(struct json_writer *w, struct str json)
{
    comma(w);
    buf_str(w->out, json);
}

void json_str(struct json_writer *w, struct str s)
{
    comma(w);
    buf_json_str(w->out, s);
}

void json_i64(struct json_writer *w, int64_t v)
{
    comma(w);
    buf_i64(w->out, v);
}

void json_u64(struct json_writer *w, uint64_t v)
{
    comma(w);
    buf_u64(w->out, v);
}

void json_double(struct json_writer *w, double v)
{
    comma(w);
    if (isfinite(v))
        buf_double_json(w->out, v);
    else
        buf_lit(w->out, "null");
}

void json_bool(struct json_writer *w, bool v)
{
    json_raw(w, v ? STR("true") : STR("false"));
}

void json_null(struct json_writer *w)
{
    json_raw(w, STR("null"));
}

// Bytes of the valid UTF-8 sequence at p, 0: not valid.
static size_t utf8_at(const char *p, size_t n)
{
    unsigned char c = (unsigned char)p[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    return len <= n && str_is_utf8(str_of(p, len)) ? len : 0;
}

static void escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[] = "btn\vfr"; // for 8..13; \v has none

    buf_char(b, '\\');
    if (c == '"' || c == '\\') {
        buf_char(b, (char)c);
    } else if (c >= 8 && c <= 13 && c != 11) {
        buf_char(b, names[c - 8]);
    } else {
        buf_lit(b, "u00");
        buf_char(b, hex[c >> 4]);
        buf_char(b, hex[c & 15]);
    }
}

void buf_json_str(struct buf *b, struct str s)
{
    size_t from = 0;

    buf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = 1;
        if (LIKELY(c >= 0x20 && c < 0x7f && c != '"' && c != '\\')) {
            i++;
            continue;
        }
        if (c >= 0x80 && (len = utf8_at(s.p + i, s.n - i)) != 0) {
            i += len;
            continue;
        }
        buf_bytes(b, s.p + from, i - from);
        if (c >= 0x80)
            buf_lit(b, "\xef\xbf\xbd");
        else if (c == 0x7f)
            buf_char(b, 0x7f);
        else
            escape(b, c);
        from = ++i;
    }
    if (from < s.n) // s.p may be NULL
        buf_bytes(b, s.p + from, s.n - from);
    buf_char(b, '"');
}
