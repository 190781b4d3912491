/*
 * rune.c - UTF-8 code points: decoding after RFC 3629, lookups in the tables of rune_table.c.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/rune.h"

#include "base/rune_priv.h"

size_t rune_decode(struct str s, uint32_t *out)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned low = 0x80, high = 0xbf; // of the second byte
    size_t n;
    uint32_t r;

    assert(s.n);
    unsigned c = p[0];
    *out = c;
    if (c < 0x80)
        return 1;
    *out = RUNE_BAD;
    if (c < 0xc2 || c > 0xf4)
        return 1;
    n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : low;
    high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : high;
    if (s.n < n || p[1] < low || p[1] > high)
        return 1;
    r = c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        r = r << 6 | (p[i] & 0x3f);
    }
    *out = r;
    return n;
}

void buf_rune(struct buf *b, uint32_t r)
{
    char *p = buf_room(b, 4);

    if (r > RUNE_MAX || (r >= 0xd800 && r <= 0xdfff))
        r = RUNE_BAD;
    if (r < 0x80) {
        p[0] = (char)r;
        b->n += 1;
    } else if (r < 0x800) {
        p[0] = (char)(0xc0 | r >> 6);
        p[1] = (char)(0x80 | (r & 0x3f));
        b->n += 2;
    } else if (r < 0x10000) {
        p[0] = (char)(0xe0 | r >> 12);
        p[1] = (char)(0x80 | (r >> 6 & 0x3f));
        p[2] = (char)(0x80 | (r & 0x3f));
        b->n += 3;
    } else {
        p[0] = (char)(0xf0 | r >> 18);
        p[1] = (char)(0x80 | (r >> 12 & 0x3f));
        p[2] = (char)(0x80 | (r >> 6 & 0x3f));
        p[3] = (char)(0x80 | (r & 0x3f));
        b->n += 4;
    }
}

bool rune_is_print(uint32_t r)
{
    uint32_t from = 0, to = rune_print_n;

    if (r < 0x7f)
        return r >= 0x20;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;

        if (rune_print[mid].hi < r)
            from = mid + 1;
        else
            to = mid;
    }
    return from < rune_print_n && rune_print[from].lo <= r;
}

static uint32_t map_case(const struct rune_case *run, uint32_t n, uint32_t r)
{
    uint32_t from = 0, to = n;

    while (from < to) {
        uint32_t mid = from + (to - from) / 2;

        if (run[mid].hi < r)
            from = mid + 1;
        else
            to = mid;
    }
    if (from == n || run[from].lo > r || (r - run[from].lo) % run[from].stride)
        return r;
    return r + (uint32_t)run[from].delta;
}

uint32_t rune_lower(uint32_t r)
{
    if (r < 0x80)
        return r >= 'A' && r <= 'Z' ? r + 32 : r;
    return map_case(rune_lower_runs, rune_lower_n, r);
}

uint32_t rune_upper(uint32_t r)
{
    if (r < 0x80)
        return r >= 'a' && r <= 'z' ? r - 32 : r;
    return map_case(rune_upper_runs, rune_upper_n, r);
}

static void buf_mapped(struct buf *b, struct str s, uint32_t (*map)(uint32_t))
{
    uint32_t r;

    for (size_t at = 0; at < s.n;) {
        at += rune_decode(str_sub(s, at, s.n), &r);
        buf_rune(b, map(r));
    }
}

void buf_lower(struct buf *b, struct str s)
{
    buf_mapped(b, s, rune_lower);
}

void buf_upper(struct buf *b, struct str s)
{
    buf_mapped(b, s, rune_upper);
}

// Letter behind the backslash, 0: none.
static char short_escape(uint32_t r)
{
    static const char of[14] = {
        [7] = 'a', [8] = 'b', [9] = 't', [10] = 'n', [11] = 'v', [12] = 'f', [13] = 'r'
    };

    if (r < sizeof of)
        return of[r];
    return r == '"' || r == '\\' ? (char)r : 0;
}

void buf_quoted(struct buf *b, struct str s)
{
    uint32_t r;

    buf_char(b, '"');
    for (size_t at = 0, n; at < s.n; at += n) {
        size_t run = at;

        while (run < s.n && s.p[run] >= ' ' && s.p[run] < 0x7f && s.p[run] != '"' &&
               s.p[run] != '\\')
            run++;
        n = run - at;
        if (n) {
            buf_bytes(b, s.p + at, n);
            continue;
        }
        n = rune_decode(str_sub(s, at, s.n), &r);
        if (short_escape(r))
            buf_printf(b, "\\%c", short_escape(r));
        else if ((r == RUNE_BAD && n == 1) || r < ' ' || r == 0x7f)
            buf_printf(b, "\\x%02x", (unsigned char)s.p[at]);
        else if (rune_is_print(r))
            buf_bytes(b, s.p + at, n);
        else
            buf_printf(b, r < 0x10000 ? "\\u%04x" : "\\U%08x", r);
    }
    buf_char(b, '"');
}

/* ---- escapes ---- */

static bool take_digits(struct str *s, unsigned n, unsigned base, uint32_t *out)
{
    uint32_t v = 0;

    if (s->n < n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s->p[i];
        unsigned d = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        if (d >= base)
            return false;
        v = v * base + d;
    }
    *s = str_sub(*s, n, s->n);
    *out = v;
    return true;
}

bool rune_unescape(struct str *s, char quote, uint32_t *r, bool *byte)
{
    static const char names[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    const char *at;

    if (!s->n)
        return false;
    char c = s->p[0];
    *byte = false;
    if (c >= '0' && c <= '7') {
        *byte = true;
        return take_digits(s, 3, 8, r) && *r < 256;
    }
    *s = str_sub(*s, 1, s->n);
    if (c && (at = strchr(names, c))) {
        *r = (unsigned char)values[at - names];
        return true;
    }
    if (c == quote) {
        *r = (unsigned char)c;
        return true;
    }
    if (c == 'x') {
        *byte = true;
        return take_digits(s, 2, 16, r);
    }
    if (c != 'u' && c != 'U')
        return false;
    return take_digits(s, c == 'u' ? 4 : 8, 16, r) && *r <= RUNE_MAX &&
           !(*r >= 0xd800 && *r < 0xe000);
}

bool unquote(struct buf *b, struct str quoted)
{
    size_t before = b->n;
    struct str s = quoted.n < 2 ? STR_NONE : str_sub(quoted, 1, quoted.n - 1);

    if (quoted.n < 2 || quoted.p[0] != '"' || quoted.p[quoted.n - 1] != '"')
        return false;
    while (s.n) {
        uint32_t r = (unsigned char)s.p[0];
        bool byte = true, escaped = r == '\\';

        s = str_sub(s, 1, s.n);
        if ((!escaped && (r == '"' || r == '\n')) ||
            (escaped && !rune_unescape(&s, '"', &r, &byte))) {
            b->n = before;
            return false;
        }
        if (byte)
            buf_char(b, (char)r);
        else
            buf_rune(b, r);
    }
    return true;
}
