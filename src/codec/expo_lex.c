/*
 * expo_lex.c - the tokens that Prometheus text and OpenMetrics have in common.
 *
 * What is a token depends on where one is, so there is a function per place
 * rather than one lexer with states. Token kinds have upstream's names, because
 * they are part of its error texts, which users know and clients compare.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo_priv.h"

#include <math.h>
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/num.h"
#include "base/rune.h"

#define LETTERS_8(c)                                                                            \
    [c] = CLASS_LETTER, [c + 1] = CLASS_LETTER, [c + 2] = CLASS_LETTER, [c + 3] = CLASS_LETTER, \
    [c + 4] = CLASS_LETTER, [c + 5] = CLASS_LETTER, [c + 6] = CLASS_LETTER, [c + 7] = CLASS_LETTER

const uint8_t expo_class[256] = {
    LETTERS_8('a'),       LETTERS_8('i'),       LETTERS_8('q'),       ['y'] = CLASS_LETTER,
    ['z'] = CLASS_LETTER, LETTERS_8('A'),       LETTERS_8('I'),       LETTERS_8('Q'),
    ['Y'] = CLASS_LETTER, ['Z'] = CLASS_LETTER, ['_'] = CLASS_LETTER, [':'] = CLASS_COLON,
    ['0'] = CLASS_DIGIT,  ['1'] = CLASS_DIGIT,  ['2'] = CLASS_DIGIT,  ['3'] = CLASS_DIGIT,
    ['4'] = CLASS_DIGIT,  ['5'] = CLASS_DIGIT,  ['6'] = CLASS_DIGIT,  ['7'] = CLASS_DIGIT,
    ['8'] = CLASS_DIGIT,  ['9'] = CLASS_DIGIT,  [' '] = CLASS_BLANK,  ['\t'] = CLASS_BLANK,
};

static const char *const tok_names[] = {
    [TOK_INVALID] = "INVALID",     [TOK_EOF] = "EOF",
    [TOK_LINEBREAK] = "LINEBREAK", [TOK_TEXT] = "TEXT",
    [TOK_COMMENT] = "COMMENT",     [TOK_MNAME] = "MNAME",
    [TOK_QSTRING] = "QSTRING",     [TOK_BOPEN] = "BOPEN",
    [TOK_BCLOSE] = "BCLOSE",       [TOK_LNAME] = "LNAME",
    [TOK_LVALUE] = "LVALUE",       [TOK_COMMA] = "COMMA",
    [TOK_EQUAL] = "EQUAL",         [TOK_TIMESTAMP] = "TIMESTAMP",
    [TOK_VALUE] = "VALUE",
};

const double expo_pow10[23] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* ---- errors ---- */

enum { QUOTE_MAX = 256 }; // bytes of input in a message: longer ones are cut there anyway

// The input from `from` up to and with the byte at `last`; plain text has a newline at its end.
static void quote_input(struct buf *b, const struct lex *l, const char *from, const char *last)
{
    OWNED(buf_fini) struct buf part = { 0 };
    size_t n = (size_t)(MIN(last + 1, l->end) - from);

    if (last >= l->end)
        n = (size_t)(l->end - from);
    buf_bytes(&part, from, MIN(n, (size_t)QUOTE_MAX));
    if (last >= l->end && !l->om && part.n < QUOTE_MAX)
        buf_char(&part, '\n');
    buf_quoted(b, buf_view(&part));
}

static bool fail_text(const struct lex *l, const char *at, struct buf *b, struct err *e)
{
    assert(at >= l->body && at <= l->end);
    struct str body = str_of(l->body, (size_t)(l->end - l->body));
    struct pos pos = pos_of_offset(body, (size_t)(at - l->body));

    return err_at(e, pos, ERR_INVALID, "%s", buf_cstr(b));
}

bool lex_fail(const struct lex *l, const char *expected, enum expo_tok got, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s, got ", expected);
    quote_input(&b, l, l->tok, l->p);
    buf_printf(&b, " (\"%s\") while parsing: ", tok_names[got]);
    quote_input(&b, l, l->line, l->p);
    return fail_text(l, l->tok, &b, e);
}

bool lex_fail_entry(const struct lex *l, const char *what, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s while parsing: ", what);
    buf_quoted(&b, str_of(l->line, MIN((size_t)(l->p - l->line), (size_t)QUOTE_MAX)));
    return fail_text(l, l->tok, &b, e);
}

bool lex_fail_plain(const struct lex *l, const char *what, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s", what);
    return fail_text(l, l->tok, &b, e);
}

/* ---- tokens ---- */

static inline void skip_blanks(struct lex *l)
{
    while (l->p < l->end && is_class(*l->p, CLASS_BLANK))
        l->p++;
}

// First byte in p..end that is a quote, a backslash, a newline or NUL; *high: a byte ≥ 0x80 on the way.
static const char *scan_quoted(const char *p, const char *end, bool *high)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\');
    const __m128i line = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)),
                                   _mm_or_si128(_mm_cmpeq_epi8(v, line), _mm_cmpeq_epi8(v, zero)));
        unsigned hits = (unsigned)_mm_movemask_epi8(hit), highs = (unsigned)_mm_movemask_epi8(v);

        if (hits) {
            unsigned at = (unsigned)__builtin_ctz(hits);
            *high |= (highs & ((1u << at) - 1)) != 0;
            return p + at;
        }
        *high |= highs != 0;
    }
#endif
    for (; p < end && *p != '"' && *p != '\\' && *p != '\n' && *p; p++)
        *high |= (unsigned char)*p >= 0x80;
    return p;
}

enum { QUOTED_NEWLINE = 1, QUOTED_NUL = 2 };

/*
 * Reads a quoted string at l->p. False: not closed, and l->p is where it broke off. A backslash
 * takes the byte behind it along, whichever it is but a newline.
 */
static bool lex_quoted(struct lex *l, unsigned allow, bool *high)
{
    const char *p = l->p + 1;

    while ((p = scan_quoted(p, l->end, high)) < l->end) {
        if (*p == '"') {
            l->p = p + 1;
            return true;
        }
        if (*p == '\\') {
            p++;
            while (p < l->end && *p == 0 && allow & QUOTED_NUL)
                p++;
            if (p == l->end || *p == '\n' || *p == 0)
                break;
            *high |= (unsigned char)*p >= 0x80;
        } else if (*p == '\n' ? !(allow & QUOTED_NEWLINE) : !(allow & QUOTED_NUL)) {
            break;
        }
        p++;
    }
    l->p = p;
    return false;
}

// A token between braces.
static enum expo_tok lex_in_braces(struct lex *l, bool exemplar)
{
    bool high = false;

    if (!l->om)
        skip_blanks(l);
    else if (l->p == l->end)
        return TOK_EOF; // the token before stays in hand: it is what upstream shows
    l->tok = l->p;
    if (l->p == l->end)
        return TOK_INVALID;
    if (is_class(*l->p, CLASS_LETTER)) {
        while (l->p < l->end && is_class(*l->p, CLASS_LABEL_REST))
            l->p++;
        return TOK_LNAME;
    }
    switch (*l->p) {
    case '"':
        return lex_quoted(l, exemplar ? 0 : QUOTED_NEWLINE, &high) ? TOK_QSTRING : TOK_INVALID;
    case '}':
        l->p++;
        return TOK_BCLOSE;
    case '=':
        l->p++;
        return TOK_EQUAL;
    case ',':
        l->p++;
        return TOK_COMMA;
    default:
        return TOK_INVALID;
    }
}

static enum expo_tok lex_label_value(struct lex *l, bool exemplar, bool *high)
{
    unsigned allow = (l->om ? 0 : QUOTED_NEWLINE) | (exemplar ? 0 : QUOTED_NUL);

    if (!l->om)
        skip_blanks(l);
    else if (l->p == l->end)
        return TOK_EOF;
    l->tok = l->p;
    if (l->p == l->end || *l->p != '"' || !lex_quoted(l, allow, high))
        return TOK_INVALID;
    return TOK_LVALUE;
}

/* ---- labels and series ---- */

struct expo_label *expo_sink_add(struct expo_sink *s)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        struct expo_label *v = arena_array(s->a, cap, struct expo_label);

        if (s->n)
            memcpy(v, s->v, s->n * sizeof *v);
        s->v = v;
        s->cap = cap;
    }
    return &s->v[s->n++];
}

struct str expo_unescape(char *p, size_t n, bool quotes)
{
    char *from = memchr(p, '\\', n), *to = from, *end = p + n;

    if (!from)
        return str_of(p, n);
    while (from < end) {
        char next = from + 1 < end ? from[1] : 0;

        if (*from == '\\' && (next == '\\' || next == 'n' || (quotes && next == '"'))) {
            *to++ = next == 'n' ? '\n' : next;
            from += 2;
        } else {
            *to++ = *from++;
        }
    }
    return str_of(p, (size_t)(to - p));
}

// Without quotes and escapes. The bytes are an arena's when there is a sink: see lex_series().
static struct str take_text(const char *from, const char *to, bool quoted)
{
    return expo_unescape((char *)from + quoted, (size_t)(to - from) - 2 * (size_t)quoted, true);
}

static bool set_name(struct lex *l, bool *has_name, struct str name, struct expo_sink *sink,
                     struct err *e)
{
    if (*has_name)
        return lex_fail_entry(l, "metric name already set", e);
    *has_name = true;
    if (sink)
        *expo_sink_add(sink) = (struct expo_label){ STR("__name__"), name };
    return true;
}

// Reads `="value"` of a label whose name is at.
static bool lex_pair(struct lex *l, enum expo_tok t, bool exemplar, struct str at,
                     struct expo_sink *sink, struct err *e)
{
    bool high = false;

    if (t != TOK_EQUAL)
        return lex_fail(l, "expected equal", t, e);
    t = lex_label_value(l, exemplar, &high);
    if (t != TOK_LVALUE)
        return lex_fail(l, "expected label value", t, e);
    if (high && !str_is_utf8(str_of(l->tok, (size_t)(l->p - l->tok)))) {
        OWNED(buf_fini) struct buf b = { 0 };

        buf_lit(&b, "invalid UTF-8 label value: ");
        buf_quoted(&b, str_of(l->tok, MIN((size_t)(l->p - l->tok), (size_t)QUOTE_MAX)));
        return lex_fail_plain(l, buf_cstr(&b), e);
    }
    if (sink)
        *expo_sink_add(sink) = (struct expo_label){ take_text(at.p, at.p + at.n, *at.p == '"'),
                                                    take_text(l->tok, l->p, true) };
    return true;
}

bool lex_labels(struct lex *l, bool exemplar, bool has_name, struct expo_sink *sink, struct err *e)
{
    enum expo_tok t = lex_in_braces(l, exemplar);

    while (t != TOK_BCLOSE) {
        struct str at = str_of(l->tok, (size_t)(l->p - l->tok));
        bool quoted = t == TOK_QSTRING;

        if (t != TOK_LNAME && !quoted)
            return lex_fail(l, "expected label name", t, e);
        t = lex_in_braces(l, exemplar);
        if (quoted && (t == TOK_COMMA || t == TOK_BCLOSE)) {
            if (exemplar)
                return lex_fail(l, "expected label name", t, e);
            struct str name = sink ? take_text(at.p, at.p + at.n, true) : STR_NONE;
            if (!set_name(l, &has_name, name, sink, e))
                return false;
            if (t == TOK_COMMA)
                t = lex_in_braces(l, exemplar);
            continue;
        }
        if (!lex_pair(l, t, exemplar, at, sink, e))
            return false;
        t = lex_in_braces(l, exemplar);
        if (t == TOK_COMMA)
            t = lex_in_braces(l, exemplar);
        else if (l->om && t != TOK_BCLOSE)
            return lex_fail(l, "expected comma or brace close", t, e);
    }
    if (has_name || exemplar)
        return true;
    if (l->p < l->end && is_class(*l->p, CLASS_BLANK)) // the value is shown, too
        l->p++;
    while (l->p < l->end && !memchr(" \t\n", *l->p, 4))
        l->p++;
    return lex_fail_entry(l, "metric name not set", e);
}

bool lex_series(struct lex *l, struct expo_sink *sink, struct err *e)
{
    bool has_name = false;

    assert(l->p < l->end);
    l->tok = l->p;
    if (*l->p != '{') {
        while (l->p < l->end && is_class(*l->p, CLASS_NAME_REST))
            l->p++;
        if (!set_name(l, &has_name, str_of(l->tok, (size_t)(l->p - l->tok)), sink, e))
            return false;
        const char *name_end = l->p;
        if (!l->om)
            skip_blanks(l);
        if (l->p == l->end || *l->p != '{') {
            l->p = name_end;
            return true;
        }
    }
    l->p++;
    return lex_labels(l, false, has_name, sink, e);
}

/* ---- numbers and metadata ---- */

// True when s, which parses as an infinity, says so in words; else it is a number out of range.
static bool is_spelt_inf(struct str s)
{
    return s.n && (is_class(s.p[s.n - 1], CLASS_LETTER));
}

bool lex_float(const struct lex *l, size_t skip, double *out, struct err *e)
{
    assert(skip <= (size_t)(l->p - l->tok));
    struct str s = str_of(l->tok + skip, (size_t)(l->p - l->tok) - skip);
    OWNED(buf_fini) struct buf b = { 0 };
    const char *why = NULL;
    double v = 0;

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 'p' || s.p[i] == 'P' || s.p[i] == '_')
            return lex_fail_entry(l, "unsupported character in float", e);
    if (!num_parse_double(s, &v))
        why = "invalid syntax";
    else if (isinf(v) && !is_spelt_inf(s))
        why = "value out of range";
    if (why) {
        buf_lit(&b, "strconv.ParseFloat: parsing ");
        buf_quoted(&b, str_sub(s, 0, QUOTE_MAX));
        buf_printf(&b, ": %s", why);
        return lex_fail_entry(l, buf_cstr(&b), e);
    }
    *out = isnan(v) ? double_from_bits(UINT64_C(0x7ff8000000000001)) : v;
    return true;
}

bool lex_meta_name(struct lex *l, const char *keyword, struct str *name, struct err *e)
{
    char expected[48];
    bool high = false, ok = false;

    l->tok = l->p;
    if (l->p < l->end && is_class(*l->p, CLASS_NAME)) {
        while (l->p < l->end && is_class(*l->p, CLASS_NAME_REST))
            l->p++;
        *name = str_of(l->tok, (size_t)(l->p - l->tok));
        return true;
    }
    if (l->p < l->end && *l->p == '"')
        ok = lex_quoted(l, QUOTED_NEWLINE, &high);
    if (!ok) {
        snprintf(expected, sizeof expected, "expected metric name after %s", keyword);
        return lex_fail(l, expected, TOK_INVALID, e);
    }
    *name = str_of(l->tok + 1, (size_t)(l->p - l->tok) - 2);
    return true;
}
