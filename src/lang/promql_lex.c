/*
 * promql_lex.c - the lexer of PromQL: statements, braces, brackets, strings and numbers.
 *
 * What a character means depends on what is open around it, so the lexer has modes, and it follows
 * upstream's (promql/parser/lex.go) closely where messages or positions show: a lexical error has
 * the start of its token and reaches to the end of the text.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

/* ---- helpers ---- */

uint32_t promql_lex_rune(struct lexer *l)
{
    uint32_t r;

    if (l->pos >= l->n)
        return LEX_EOF;
    if ((unsigned char)l->text[l->pos] < 0x80)
        return (unsigned char)l->text[l->pos++];
    l->pos += (uint32_t)rune_decode(str_of(l->text + l->pos, l->n - l->pos), &r);
    return r;
}

void promql_lex_emit(struct lexer *l, enum tok t)
{
    assert(l->start <= l->pos && l->pos <= l->n);
    *l->out = (struct token){ t, l->start, lex_word_so_far(l) };
    l->start = l->pos;
    l->scanned = true;
}

enum lex_mode promql_lex_fail(struct lexer *l, struct str message)
{
    *l->out = (struct token){ T_ERROR, l->start, message };
    l->scanned = true;
    return LEX_DONE;
}

struct str promql_lex_quoted_rune(struct lexer *l, uint32_t r)
{
    OWNED(buf_fini) struct buf raw = { 0 };
    OWNED(buf_fini) struct buf quoted = { 0 };

    if (r == '\'')
        return STR("'\\''");
    if (r == '"')
        return STR("'\"'");
    buf_rune(&raw, r == LEX_EOF ? RUNE_BAD : r);
    buf_quoted(&quoted, buf_view(&raw));
    quoted.p[0] = quoted.p[quoted.n - 1] = '\'';
    return arena_str(l->a, buf_view(&quoted));
}

static struct str quoted_word(struct lexer *l)
{
    OWNED(buf_fini) struct buf quoted = { 0 };

    buf_quoted(&quoted, lex_word_so_far(l));
    return arena_str(l->a, buf_view(&quoted));
}

static bool accept(struct lexer *l, const char *valid)
{
    int c = lex_peek(l);

    if (c <= 0 || !strchr(valid, c))
        return false;
    l->pos++;
    return true;
}

enum lex_mode promql_lex_space(struct lexer *l)
{
    while (byte_is_space(lex_peek(l)))
        l->pos++;
    l->start = l->pos;
    return LEX_STATEMENTS;
}

// Up to the end of the line.
static enum lex_mode lex_comment(struct lexer *l)
{
    while (l->pos < l->n && l->text[l->pos] != '\n' && l->text[l->pos] != '\r')
        l->pos++;
    promql_lex_emit(l, T_COMMENT);
    return LEX_STATEMENTS;
}

/* ---- words ---- */

struct keyword {
    const char *name;
    enum tok t;
};

// Sorted by name.
static const struct keyword keywords[] = {
    { "anchored", T_ANCHORED },
    { "and", T_AND },
    { "atan2", T_ATAN2 },
    { "avg", T_AVG },
    { "bool", T_BOOL },
    { "bottomk", T_BOTTOMK },
    { "by", T_BY },
    { "count", T_COUNT },
    { "count_values", T_COUNT_VALUES },
    { "end", T_STOP },
    { "fill", T_FILL },
    { "fill_left", T_FILL_LEFT },
    { "fill_right", T_FILL_RIGHT },
    { "group", T_GROUP },
    { "group_left", T_GROUP_LEFT },
    { "group_right", T_GROUP_RIGHT },
    { "ignoring", T_IGNORING },
    { "inf", T_NUMBER },
    { "limit_ratio", T_LIMIT_RATIO },
    { "limitk", T_LIMITK },
    { "max", T_MAX },
    { "max_of", T_MAX_OF },
    { "min", T_MIN },
    { "min_of", T_MIN_OF },
    { "nan", T_NUMBER },
    { "offset", T_OFFSET },
    { "on", T_ON },
    { "or", T_OR },
    { "quantile", T_QUANTILE },
    { "range", T_RANGE },
    { "smoothed", T_SMOOTHED },
    { "start", T_START },
    { "stddev", T_STDDEV },
    { "stdvar", T_STDVAR },
    { "step", T_STEP },
    { "sum", T_SUM },
    { "topk", T_TOPK },
    { "unless", T_UNLESS },
    { "without", T_WITHOUT },
};

enum { KEYWORD_BYTES_MAX = 12 };

enum tok promql_lex_keyword(struct str word)
{
    char lower[KEYWORD_BYTES_MAX + 1];
    size_t from = 0, to = ARRAY_LEN(keywords);

    if (word.n > KEYWORD_BYTES_MAX || word.n < 2)
        return T_IDENTIFIER;
    for (size_t i = 0; i < word.n; i++)
        lower[i] = (char)(word.p[i] >= 'A' && word.p[i] <= 'Z' ? word.p[i] | 32 : word.p[i]);
    lower[word.n] = 0;
    while (from < to) {
        size_t middle = (from + to) / 2;
        int c = strcmp(lower, keywords[middle].name);

        if (c == 0)
            return keywords[middle].t;
        if (c < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return T_IDENTIFIER;
}

// fill, fill_left and fill_right are modifiers only in front of a parenthesis.
static bool paren_follows(const struct lexer *l)
{
    uint32_t at = l->pos;

    while (at < l->n && byte_is_space(l->text[at]))
        at++;
    return at < l->n && l->text[at] == '(';
}

enum lex_mode promql_lex_word(struct lexer *l)
{
    bool colon = false;
    int c;

    while (byte_is_alnum(c = lex_peek(l)) || c == ':') {
        colon |= c == ':';
        l->pos++;
    }
    enum tok t = colon ? T_METRIC_IDENTIFIER : promql_lex_keyword(lex_word_so_far(l));
    if (t >= T_FILL && t <= T_FILL_RIGHT && !paren_follows(l))
        t = T_IDENTIFIER;
    promql_lex_emit(l, t);
    return l->series && lex_peek(l) != '{' ? LEX_VALUES : LEX_STATEMENTS;
}

// Inside braces no word is a keyword.
static enum lex_mode lex_label(struct lexer *l)
{
    while (byte_is_alnum(lex_peek(l)))
        l->pos++;
    promql_lex_emit(l, T_IDENTIFIER);
    return LEX_STATEMENTS;
}

static enum tok duration_keyword(struct str word)
{
    enum tok t = promql_lex_keyword(word);

    return t == T_STEP || t == T_RANGE || t == T_MAX_OF || t == T_MIN_OF ? t : T_IDENTIFIER;
}

static bool starts_duration_keyword(uint32_t r)
{
    uint32_t lower = r | 32;

    return r < 0x80 && (lower == 's' || lower == 'r' || lower == 'm');
}

static bool lex_duration_keyword(struct lexer *l)
{
    while (byte_is_alpha(lex_peek(l)))
        l->pos++;
    enum tok t = duration_keyword(lex_word_so_far(l));
    if (t == T_IDENTIFIER)
        return false;
    promql_lex_emit(l, t);
    return true;
}

/* ---- numbers and durations ---- */

struct number_scan {
    const char *digits;
    bool hex, dot, exponent;
};

enum scan_step { SCAN_OK, SCAN_BAD, SCAN_STOP };

// One step behind the first digit: a point, an exponent, an underscore, or a run of digits.
static enum scan_step scan_number_step(struct lexer *l, struct number_scan *s)
{
    int c = lex_peek(l);

    if (c == '.') {
        l->pos++;
        if (s->dot || accept(l, "_.") || s->hex)
            return SCAN_BAD;
        s->dot = true;
        return SCAN_OK;
    }
    if ((c == 'e' || c == 'E') && s->exponent) {
        l->pos++;
        return SCAN_BAD;
    }
    if (c == 'e' || c == 'E') {
        l->pos++;
        s->exponent = true;
        accept(l, "+-");
        return accept(l, "._eE") || lex_peek(l) < 0 ? SCAN_BAD : SCAN_OK;
    }
    if (c == '_') {
        l->pos++;
        return accept(l, "._eE") || lex_peek(l) < 0 ? SCAN_BAD : SCAN_OK;
    }
    if (!accept(l, s->digits))
        return SCAN_STOP;
    while (accept(l, s->digits))
        ;
    return SCAN_OK;
}

// Reads what may be a number; the parser checks its value. False: pos is behind what was wrong.
static bool scan_number(struct lexer *l)
{
    struct number_scan s = { .digits = "0123456789" };
    uint32_t from = l->pos;
    enum scan_step step;

    // In series lines 0x3 is a zero, three times more.
    if (!l->series && accept(l, "0") && accept(l, "xX")) {
        accept(l, "_");
        s.digits = "0123456789abcdefABCDEF";
        s.hex = true;
    }
    accept(l, ".");
    accept(l, s.digits);
    while ((step = scan_number_step(l, &s)) == SCAN_OK)
        ;
    if (step == SCAN_BAD || l->pos == from)
        return false;
    int c = lex_peek(l);
    return (l->series && c == 'x') || !byte_is_alnum(c);
}

enum lex_mode promql_lex_number(struct lexer *l)
{
    if (!scan_number(l))
        return lex_error(l, "bad number syntax: %.*s", STRF(quoted_word(l)));
    promql_lex_emit(l, T_NUMBER);
    return LEX_STATEMENTS;
}

// The units behind the digits of a duration. Order and names are checked where it is converted.
static bool scan_duration(struct lexer *l)
{
    if (!accept(l, "smhdwy"))
        return false;
    accept(l, "s"); // of ms
    while (accept(l, "0123456789")) {
        while (accept(l, "0123456789"))
            ;
        if (!accept(l, "smhdw"))
            return false;
        accept(l, "s");
    }
    if (byte_is_alnum(lex_peek(l))) {
        l->pos++;
        return false;
    }
    return true;
}

static enum lex_mode lex_number_or_duration(struct lexer *l)
{
    if (scan_number(l)) {
        promql_lex_emit(l, T_NUMBER);
        return LEX_STATEMENTS;
    }
    if (scan_duration(l)) {
        promql_lex_emit(l, T_DURATION);
        return LEX_STATEMENTS;
    }
    return lex_error(l, "bad number or duration syntax: %.*s", STRF(quoted_word(l)));
}

/* ---- strings ---- */

static int hex_digit(uint32_t r)
{
    if (r >= '0' && r <= '9')
        return (int)(r - '0');
    if ((r | 32) >= 'a' && (r | 32) <= 'f')
        return (int)((r | 32) - 'a') + 10;
    return 16;
}

static enum lex_mode escape_error(struct lexer *l, const char *before, uint32_t r,
                                  const char *after)
{
    OWNED(buf_fini) struct buf raw = { 0 };
    bool printable = r >= 0x80 ? rune_is_print(r) : r >= ' ' && r < 0x7f;

    buf_rune(&raw, r);
    if (printable)
        return lex_error(l, "%s U+%04X '%.*s'%s", before, r, (int)raw.n, raw.p, after);
    return lex_error(l, "%s U+%04X%s", before, r, after);
}

// Behind a backslash. True when the escape is whole; else an error was emitted.
static bool lex_escape(struct lexer *l)
{
    uint32_t r = promql_lex_rune(l), x = 0, base = 16, max = RUNE_MAX;
    int n = 0;

    if (r == LEX_EOF)
        return lex_error(l, "escape sequence not terminated") != LEX_DONE;
    if (r < 0x80 && r && (strchr("abfnrtv\\", (int)r) || r == (unsigned char)l->quote))
        return true;
    if (r >= '0' && r <= '7') {
        n = 3;
        base = 8;
        max = 255;
    } else if (r == 'x' || r == 'u' || r == 'U') {
        n = r == 'x' ? 2 : r == 'u' ? 4 : 8;
        max = r == 'x' ? 255 : RUNE_MAX;
        r = promql_lex_rune(l);
    } else {
        return escape_error(l, "unknown escape sequence", r, "") != LEX_DONE;
    }
    for (; n > 0; n--) {
        uint32_t digit = (uint32_t)hex_digit(r);
        if (digit >= base && r == LEX_EOF)
            return lex_error(l, "escape sequence not terminated") != LEX_DONE;
        if (digit >= base)
            return escape_error(l, "illegal character", r, " in escape sequence") != LEX_DONE;
        x = x * base + digit;
        if (n > 1)
            r = promql_lex_rune(l);
    }
    if (x > max || (x >= 0xd800 && x < 0xe000))
        return lex_error(l, "escape sequence is an invalid Unicode code point") != LEX_DONE;
    return true;
}

static enum lex_mode lex_string(struct lexer *l)
{
    for (;;) {
        uint32_t r = promql_lex_rune(l);

        if (r == (unsigned char)l->quote)
            break;
        if (r == RUNE_BAD)
            return lex_error(l, "invalid UTF-8 rune");
        if (r == LEX_EOF || r == '\n')
            return lex_error(l, "unterminated quoted string");
        if (r == '\\' && !lex_escape(l))
            return LEX_DONE;
    }
    promql_lex_emit(l, T_STRING);
    return LEX_STATEMENTS;
}

static enum lex_mode lex_raw_string(struct lexer *l)
{
    uint32_t r;

    while ((r = promql_lex_rune(l)) != '`') {
        if (r == RUNE_BAD)
            return lex_error(l, "invalid UTF-8 rune");
        if (r == LEX_EOF)
            return lex_error(l, "unterminated raw string");
    }
    promql_lex_emit(l, T_STRING);
    return LEX_STATEMENTS;
}

static enum lex_mode lex_quoted(struct lexer *l, char quote)
{
    l->quote = quote;
    return quote == '`' ? lex_raw_string(l) : lex_string(l);
}

/* ---- braces ---- */

static enum lex_mode lex_close_brace(struct lexer *l)
{
    promql_lex_emit(l, T_RIGHT_BRACE);
    l->brace_open = false;
    return l->series ? LEX_VALUES : LEX_STATEMENTS;
}

static enum lex_mode lex_braces(struct lexer *l)
{
    if (lex_peek(l) == '#')
        return lex_comment(l);
    uint32_t r = promql_lex_rune(l);
    switch (r) {
    case LEX_EOF:
        return lex_error(l, "unexpected end of input inside braces");
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        return promql_lex_space(l);
    case ',':
        promql_lex_emit(l, T_COMMA);
        return LEX_BRACES;
    case '"':
    case '\'':
    case '`':
        return lex_quoted(l, (char)r);
    case '=':
        promql_lex_emit(l, accept(l, "~") ? T_EQL_REGEX : T_EQL);
        return LEX_BRACES;
    case '!':
        r = promql_lex_rune(l);
        if (r != '~' && r != '=')
            return lex_error(l, "unexpected character after '!' inside braces: %.*s",
                             STRF(promql_lex_quoted_rune(l, r)));
        promql_lex_emit(l, r == '~' ? T_NEQ_REGEX : T_NEQ);
        return LEX_BRACES;
    case '{':
        return lex_error(l, "unexpected left brace '{'");
    case '}':
        return lex_close_brace(l);
    default:
        if (r < 0x80 && byte_is_alpha((int)r))
            return lex_label(l);
        return lex_error(l, "unexpected character inside braces: %.*s",
                         STRF(promql_lex_quoted_rune(l, r)));
    }
}

/* ---- brackets ---- */

static enum lex_mode lex_close_paren(struct lexer *l, enum lex_mode next)
{
    promql_lex_emit(l, T_RIGHT_PAREN);
    if (--l->paren_depth < 0)
        return lex_error(l, "unexpected right parenthesis ')'");
    return next;
}

static enum tok arithmetic_tok(uint32_t r)
{
    switch (r) {
    case '+':
        return T_ADD;
    case '-':
        return T_SUB;
    case '*':
        return T_MUL;
    case '/':
        return T_DIV;
    case '%':
        return T_MOD;
    case '^':
        return T_POW;
    case ',':
        return T_COMMA;
    default:
        return T_ERROR;
    }
}

static enum lex_mode lex_duration_colon(struct lexer *l)
{
    promql_lex_emit(l, T_COLON);
    if (!l->got_duration)
        return lex_error(l, "unexpected colon before duration in duration expression");
    if (l->got_colon)
        return lex_error(l, "unexpected repeated colon in duration expression");
    l->got_colon = true;
    return LEX_DURATION;
}

// Behind a left bracket, until its first number: then LEX_STATEMENTS with bracket_open.
static enum lex_mode lex_duration(struct lexer *l)
{
    int next = lex_peek(l);

    if (byte_is_digit(next) ||
        (next == '.' && l->pos + 1 < l->n && byte_is_digit((unsigned char)l->text[l->pos + 1]))) {
        l->got_duration = true;
        return lex_number_or_duration(l);
    }
    uint32_t r = promql_lex_rune(l);
    if (r < 0x80 && byte_is_space((int)r)) {
        promql_lex_space(l);
        return LEX_DURATION;
    }
    switch (r) {
    case LEX_EOF:
        return lex_error(l, "unexpected end of input in duration expression");
    case ']':
        promql_lex_emit(l, T_RIGHT_BRACKET);
        l->bracket_open = l->got_colon = false;
        return LEX_STATEMENTS;
    case ':':
        return lex_duration_colon(l);
    case '(':
        promql_lex_emit(l, T_LEFT_PAREN);
        l->paren_depth++;
        return LEX_DURATION;
    case ')':
        return lex_close_paren(l, LEX_DURATION);
    default:
        break;
    }
    if (arithmetic_tok(r) != T_ERROR) {
        promql_lex_emit(l, arithmetic_tok(r));
        return LEX_DURATION;
    }
    if (starts_duration_keyword(r) && lex_duration_keyword(l))
        return LEX_DURATION;
    return lex_error(l, "unexpected character in duration expression: %.*s",
                     STRF(promql_lex_quoted_rune(l, r)));
}

static enum lex_mode lex_open_bracket(struct lexer *l)
{
    if (l->bracket_open)
        return lex_error(l, "unexpected left bracket '['");
    l->got_colon = false;
    promql_lex_emit(l, T_LEFT_BRACKET);
    l->bracket_open = true;
    return LEX_DURATION;
}

/* ---- statements ---- */

static enum lex_mode lex_end(struct lexer *l)
{
    if (l->paren_depth != 0)
        return lex_error(l, "unclosed left parenthesis");
    if (l->bracket_open)
        return lex_error(l, "unclosed left bracket");
    promql_lex_emit(l, T_EOF);
    return LEX_DONE;
}

static enum lex_mode lex_equals_or_not(struct lexer *l, uint32_t r)
{
    if (r == '!') {
        r = promql_lex_rune(l);
        if (r != '=')
            return lex_error(l, "unexpected character after '!': %.*s",
                             STRF(promql_lex_quoted_rune(l, r)));
        promql_lex_emit(l, T_NEQ);
        return LEX_STATEMENTS;
    }
    if (lex_peek(l) == '~')
        return lex_error(l, "unexpected character after '=': '~'");
    promql_lex_emit(l, accept(l, "=") ? T_EQLC : T_EQL);
    return LEX_STATEMENTS;
}

static enum lex_mode lex_less_or_greater(struct lexer *l, uint32_t r)
{
    bool less = r == '<';

    if (accept(l, "="))
        promql_lex_emit(l, less ? T_LTE : T_GTE);
    else if (accept(l, "/"))
        promql_lex_emit(l, less ? T_TRIM_UPPER : T_TRIM_LOWER);
    else
        promql_lex_emit(l, less ? T_LSS : T_GTR);
    return LEX_STATEMENTS;
}

// A letter or a colon while a bracket is open.
static enum lex_mode lex_word_in_brackets(struct lexer *l, uint32_t r)
{
    if (r == ':') {
        if (l->got_colon)
            return lex_error(l, "unexpected colon ':'");
        promql_lex_emit(l, T_COLON);
        l->got_colon = true;
        return LEX_STATEMENTS;
    }
    if (starts_duration_keyword(r) && lex_duration_keyword(l))
        return LEX_STATEMENTS;
    return lex_error(l, "unexpected character: %.*s, expected ':'",
                     STRF(promql_lex_quoted_rune(l, r)));
}

static enum lex_mode lex_bracket_or_at(struct lexer *l, uint32_t r)
{
    switch (r) {
    case '(':
        promql_lex_emit(l, T_LEFT_PAREN);
        l->paren_depth++;
        return LEX_STATEMENTS;
    case ')':
        return lex_close_paren(l, LEX_STATEMENTS);
    case '{':
        promql_lex_emit(l, T_LEFT_BRACE);
        l->brace_open = true;
        return LEX_BRACES;
    case '[':
        return lex_open_bracket(l);
    case ']':
        if (!l->bracket_open)
            return lex_error(l, "unexpected right bracket ']'");
        promql_lex_emit(l, T_RIGHT_BRACKET);
        l->bracket_open = false;
        return LEX_STATEMENTS;
    case '@':
        promql_lex_emit(l, T_AT);
        return LEX_STATEMENTS;
    default:
        return lex_error(l, "unexpected character: %.*s", STRF(promql_lex_quoted_rune(l, r)));
    }
}

static enum lex_mode lex_statements(struct lexer *l)
{
    int c = lex_peek(l);

    if (l->hist != HIST_OUTSIDE)
        return promql_lex_histogram(l);
    if (l->brace_open)
        return lex_braces(l);
    if (c < 0)
        return lex_end(l);
    if (c == '#')
        return lex_comment(l);
    if (byte_is_space(c))
        return promql_lex_space(l);
    if ((byte_is_alpha(c) || c == ':') && !l->bracket_open)
        return promql_lex_word(l);
    if (byte_is_digit(c) ||
        (c == '.' && l->pos + 1 < l->n && byte_is_digit((unsigned char)l->text[l->pos + 1])))
        return lex_number_or_duration(l);

    uint32_t r = promql_lex_rune(l);
    if (arithmetic_tok(r) != T_ERROR) {
        promql_lex_emit(l, arithmetic_tok(r));
        return LEX_STATEMENTS;
    }
    if (r == '=' || r == '!')
        return lex_equals_or_not(l, r);
    if (r == '<' || r == '>')
        return lex_less_or_greater(l, r);
    if (r == '"' || r == '\'' || r == '`')
        return lex_quoted(l, (char)r);
    if (byte_is_alpha(c) || c == ':')
        return lex_word_in_brackets(l, r);
    return lex_bracket_or_at(l, r);
}

static enum lex_mode lex_step(struct lexer *l)
{
    switch (l->mode) {
    case LEX_STATEMENTS:
        return lex_statements(l);
    case LEX_BRACES:
        return lex_braces(l);
    case LEX_DURATION:
        return lex_duration(l);
    case LEX_NUMBER:
        return promql_lex_number(l);
    case LEX_VALUES:
        return promql_lex_values(l);
    case LEX_HISTOGRAM:
        return promql_lex_histogram(l);
    case LEX_BUCKETS:
        return promql_lex_buckets(l);
    case LEX_DONE:
        break;
    }
    promql_lex_emit(l, T_EOF);
    return LEX_DONE;
}

void promql_lex_next(struct lexer *l, struct token *out)
{
    assert(l->pos <= l->n);
    l->out = out;
    l->scanned = false;
    while (!l->scanned)
        l->mode = lex_step(l);
}
