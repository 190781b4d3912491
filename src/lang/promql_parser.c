/*
 * promql_parser.c - the parser's machinery: tokens, errors, recovery, results, literals.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

#include <inttypes.h>
#include <math.h>

#include "base/num.h"
#include "base/time.h"

enum { ERRORS_MAX = 200 }; // of one parse; more help nobody

void promql_parser_init(struct parser *p, struct arena *a, struct str text)
{
    assert(text.n <= UINT32_MAX / 2);
    *p = (struct parser){ .a = a, .text = text };
    p->lex = (struct lexer){ .a = a, .text = text.p ? text.p : "", .n = (uint32_t)text.n };
}

void promql_parser_fini(struct parser *p)
{
    for (size_t i = 0; i < p->regexes.n; i++)
        regex_free(p->regexes.v[i]);
    vec_fini(&p->regexes);
}

/* ---- errors ---- */

void promql_report_text(struct parser *p, uint32_t start, uint32_t end, struct str message)
{
    assert(message.n > 0 && start <= p->text.n);
    if (p->errors.n < ERRORS_MAX)
        *vec_push_in(p->a, &p->errors) = (struct promql_error){ start, end, message };
}

struct str promql_quoted(struct parser *p, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, s);
    return arena_str(p->a, buf_view(&b));
}

void promql_unexpected(struct parser *p, const char *context, const char *expected)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (p->tok.t == T_ERROR) // reported when it was read
        return;
    buf_lit(&b, "unexpected ");
    promql_buf_token(&b, &p->tok);
    if (context)
        buf_printf(&b, " in %s", context);
    if (expected)
        buf_printf(&b, ", expected %s", expected);
    promql_report_text(p, p->tok.pos, token_end(&p->tok), arena_str(p->a, buf_view(&b)));
}

bool promql_enter(struct parser *p)
{
    if (p->depth < PROMQL_DEPTH_MAX) {
        p->depth++;
        return true;
    }
    promql_report_here(p, "expression is nested deeper than %d levels", PROMQL_DEPTH_MAX);
    p->aborted = true;
    return false;
}

void promql_leave(struct parser *p)
{
    assert(p->depth > 0);
    p->depth--;
}

/* ---- tokens and recovery ---- */

static void read_token(struct parser *p)
{
    do
        promql_lex_next(&p->lex, &p->tok);
    while (p->tok.t == T_COMMENT);
    p->look = p->tok.t;
    switch (p->tok.t) {
    case T_ERROR:
        promql_report_text(p, p->lex.start, p->lex.n, p->tok.val);
        p->look = T_END;
        break;
    case T_RIGHT_BRACE:
    case T_RIGHT_PAREN:
    case T_RIGHT_BRACKET:
    case T_DURATION:
    case T_NUMBER:
        p->last_closing = token_end(&p->tok);
        break;
    default:
        break;
    }
}

enum tok promql_peek(struct parser *p)
{
    if (!p->have) {
        if (p->tok.t == T_EOF)
            p->look = T_END; // it was taken or dropped before
        else
            read_token(p);
        p->have = true;
    }
    return p->look;
}

struct token promql_take(struct parser *p)
{
    assert(p->have);
    p->have = false;
    if (p->recovering > 0)
        p->recovering--;
    return p->tok;
}

enum miss promql_miss(struct parser *p)
{
    assert(p->have);
    if (p->aborted)
        return MISS_ABORT;
    if (p->recovering < 3) {
        p->recovering = 3;
        return MISS_ERROR;
    }
    if (p->look == T_END) {
        p->aborted = true;
        return MISS_ABORT;
    }
    p->have = false;
    return MISS_DROPPED;
}

bool promql_expect(struct parser *p, enum tok t, struct token *out)
{
    while (promql_peek(p) != t)
        if (promql_miss(p) != MISS_DROPPED)
            return false;
    *out = promql_take(p);
    return true;
}

bool promql_finish(struct parser *p)
{
    while (!p->aborted && promql_peek(p) != T_END) {
        if (p->look == T_EOF)
            promql_take(p);
        else if (promql_miss(p) == MISS_ERROR)
            promql_unexpected(p, NULL, NULL);
    }
    return p->errors.n == 0;
}

/* ---- results ---- */

void promql_buf_error(struct buf *b, struct str text, const struct promql_error *pe)
{
    if (text.n == 0) {
        buf_lit(b, "unknown position");
    } else if (pe->start > text.n) {
        buf_lit(b, "invalid position");
    } else {
        struct pos at = pos_of_offset(text, pe->start);
        buf_printf(b, "%" PRIu32 ":%" PRIu32, at.line, at.col);
    }
    buf_lit(b, ": parse error: ");
    buf_str(b, pe->text);
}

bool promql_result(struct parser *p, struct promql *q, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    assert(p->depth == 0);
    q->text = p->text;
    q->errors = p->errors.v;
    q->error_count = p->errors.n;
    q->regexes = p->regexes.v;
    q->regex_count = p->regexes.n;
    p->regexes.v = NULL;
    p->regexes.n = p->regexes.cap = 0;
    if (p->errors.n == 0)
        return true;
    q->root = NULL;
    promql_buf_error(&b, p->text, &p->errors.v[0]);
    size_t at = MIN((size_t)p->errors.v[0].start, p->text.n);
    return err_at(e, pos_of_offset(p->text, at), ERR_INVALID, "%.*s", (int)b.n, b.p);
}

void promql_print_error(struct buf *b, const struct promql *q, size_t i)
{
    assert(i < q->error_count);
    promql_buf_error(b, q->text, &q->errors[i]);
}

void promql_fini(struct promql *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->regex_count; i++)
        regex_free(q->regexes[i]);
    vec_free_(q->regexes);
    *q = (struct promql){ 0 };
}

/* ---- literals ---- */

// The escape behind a backslash, checked by the lexer, as bytes. *at is behind the backslash.
static void unescape(struct buf *b, struct str s, size_t *at)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    char c = s.p[(*at)++];
    const char *simple = memchr(from, c, sizeof from - 1);
    uint32_t v = 0;
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

    if (simple) {
        buf_char(b, to[simple - from]);
        return;
    }
    if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3; i++)
            v = v * 8 + (uint32_t)(s.p[*at - 1 + (size_t)i] - '0');
        *at += 2;
        buf_char(b, (char)v);
        return;
    }
    if (!digits) { // a backslash or the quote
        buf_char(b, c);
        return;
    }
    for (int i = 0; i < digits; i++) {
        char d = s.p[(*at)++];
        v = v * 16 + (uint32_t)(d <= '9' ? d - '0' : (d | 32) - 'a' + 10);
    }
    if (c == 'x')
        buf_char(b, (char)v);
    else
        buf_rune(b, v);
}

struct str promql_unquote(struct parser *p, struct str quoted)
{
    OWNED(buf_fini) struct buf b = { 0 };
    assert(quoted.n >= 2);
    struct str s = str_sub(quoted, 1, quoted.n - 1);

    if (quoted.p[0] == '`' || str_find_char(s, '\\') == STR_NPOS)
        return s;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\') {
            buf_char(&b, s.p[i++]);
            continue;
        }
        i++;
        unescape(&b, s, &i);
    }
    return arena_str(p->a, buf_view(&b));
}

// Underscores stand between digits, or behind a prefix such as 0x; as in Go.
static bool underscores_ok(struct str s)
{
    bool hex = s.n > 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x';
    char saw = hex ? '0' : '^';

    for (size_t i = hex ? 2 : 0; i < s.n; i++) {
        char c = s.p[i];
        if (byte_is_digit((unsigned char)c) || (hex && (c | 32) >= 'a' && (c | 32) <= 'f')) {
            saw = '0';
        } else if (c == '_') {
            if (saw != '0')
                return false;
            saw = '_';
        } else {
            if (saw == '_')
                return false;
            saw = '!';
        }
    }
    return saw != '_';
}

// Integers as Go reads them with base 0: decimal, 0x, and octal behind a zero.
static bool parse_integer(struct str s, double *out)
{
    unsigned base = 10;
    size_t i = 0;
    int64_t v = 0;

    if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x') {
        base = 16;
        i = 2;
    } else if (s.n > 1 && s.p[0] == '0') {
        base = 8;
        i = 1;
    }
    for (; i < s.n; i++) {
        char c = s.p[i];
        unsigned d = byte_is_digit((unsigned char)c)      ? (unsigned)(c - '0')
                     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a') + 10
                                                          : 99;
        if (c == '_')
            continue;
        if (d >= base || __builtin_mul_overflow(v, (int64_t)base, &v) ||
            __builtin_add_overflow(v, (int64_t)d, &v))
            return false;
    }
    *out = (double)v;
    return s.n > 0;
}

static bool parse_go_number(struct parser *p, struct str s, double *out)
{
    bool plain = str_find_char(s, '_') == STR_NPOS;

    if (!plain && !underscores_ok(s))
        return false;
    if (parse_integer(s, out))
        return true;
    if (!plain) {
        char *digits = arena_raw(p->a, s.n);
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++)
            if (s.p[i] != '_')
                digits[n++] = s.p[i];
        s = str_of(digits, n);
    }
    return num_parse_double(s, out);
}

double promql_seconds_of_ms(int64_t ms)
{
    return (double)(ms / 1000) + (double)(ms % 1000) * 1e6 / 1e9;
}

double promql_number_value(struct parser *p, const struct token *t)
{
    uint32_t end = token_end(t);
    struct err e = { 0 };
    double v = 0;
    int64_t ms;

    if (t->t == T_DURATION) {
        if (duration_parse(t->val, &ms, &e))
            return promql_seconds_of_ms(ms);
        promql_report(p, t->pos, end, "%s", e.text);
        return 0;
    }
    const char *why = NULL;
    if (!parse_go_number(p, t->val, &v))
        why = "invalid syntax";
    else if (isinf(v) && !str_eq_nocase(t->val, STR("inf")))
        why = "value out of range";
    if (why) {
        struct str quoted = promql_quoted(p, t->val);
        promql_report(p, t->pos, end, "error parsing number: strconv.ParseFloat: parsing %.*s: %s",
                      STRF(quoted), why);
    }
    return v;
}
