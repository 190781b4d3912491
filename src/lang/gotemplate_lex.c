/*
 * gotemplate_lex.c - the tokens of templates. Source: the documentation of Go's text/template.
 *
 * Space between operands is a token, because it tells `$x .y` from `$x.y`; space that trim markers
 * take away is never seen. After an error the lexer gives nothing but the end.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/rune.h"
#include "lang/gotemplate_priv.h"

static const struct {
    const char *word;
    enum gotemplate_token_kind kind;
} keywords[] = {
    { "block", TOKEN_BLOCK },   { "break", TOKEN_BREAK },       { "continue", TOKEN_CONTINUE },
    { "define", TOKEN_DEFINE }, { "else", TOKEN_ELSE },         { "end", TOKEN_END },
    { "if", TOKEN_IF },         { "nil", TOKEN_NIL },           { "range", TOKEN_RANGE },
    { "with", TOKEN_WITH },     { "template", TOKEN_TEMPLATE }, { "true", TOKEN_BOOL },
    { "false", TOKEN_BOOL },
};

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str rest_of(const struct gotemplate_lexer *l)
{
    return str_sub(l->text, l->pos, l->text.n);
}

// The byte `ahead` of the position, −1 at the end.
static int peek(const struct gotemplate_lexer *l, size_t ahead)
{
    return ahead < l->text.n - l->pos ? (unsigned char)l->text.p[l->pos + ahead] : -1;
}

static void advance(struct gotemplate_lexer *l, size_t n)
{
    for (; n; n--, l->pos++)
        l->line += l->text.p[l->pos] == '\n';
}

// Drops what was read since the last token.
static void ignore(struct gotemplate_lexer *l)
{
    l->start = l->pos;
    l->start_line = l->line;
}

static struct gotemplate_token emit(struct gotemplate_lexer *l, enum gotemplate_token_kind kind)
{
    struct gotemplate_token t = { kind, (uint32_t)l->start, l->start_line,
                                  str_sub(l->text, l->start, l->pos) };
    ignore(l);
    return t;
}

static struct gotemplate_token fail(struct gotemplate_lexer *l, struct str what)
{
    struct gotemplate_token t = { TOKEN_ERROR, (uint32_t)l->start, l->start_line, what };

    l->pos = l->start = l->text.n = 0;
    l->inside = false;
    return t;
}

/* ---- outside of actions ---- */

static bool trims_left(struct str s) // at what follows {{
{
    return s.n >= 2 && s.p[0] == '-' && is_space(s.p[1]);
}

static bool trims_right(struct str s) // at what may be before }}
{
    return s.n >= 2 && is_space(s.p[0]) && s.p[1] == '-';
}

static bool at_close(const struct gotemplate_lexer *l, bool *trim)
{
    struct str rest = rest_of(l);

    *trim = trims_right(rest) && str_starts(str_sub(rest, 2, rest.n), STR("}}"));
    return *trim || str_starts(rest, STR("}}"));
}

static void skip_spaces(struct gotemplate_lexer *l)
{
    while (is_space(peek(l, 0)))
        advance(l, 1);
}

// Skips a comment with its delimiters; false: *bad is the error.
static bool skip_comment(struct gotemplate_lexer *l, struct gotemplate_token *bad)
{
    size_t end = str_find(str_sub(l->text, l->pos + 2, l->text.n), STR("*/"));
    bool trim;

    if (end == STR_NPOS) {
        *bad = fail(l, STR("unclosed comment"));
        return false;
    }
    advance(l, 2 + end + 2);
    if (!at_close(l, &trim)) {
        *bad = fail(l, STR("comment ends before closing delimiter"));
        return false;
    }
    advance(l, trim ? 4 : 2);
    if (trim)
        skip_spaces(l);
    ignore(l);
    return true;
}

static struct gotemplate_token lex_outside(struct gotemplate_lexer *l)
{
    for (struct gotemplate_token bad;;) {
        size_t n = str_find(rest_of(l), STR("{{"));
        if (n == STR_NPOS) {
            advance(l, l->text.n - l->pos);
            return emit(l, l->pos > l->start ? TOKEN_TEXT : TOKEN_EOF);
        }
        if (n) {
            size_t end = l->pos + n, keep = n;
            if (trims_left(str_sub(l->text, end + 2, l->text.n)))
                while (keep && is_space(l->text.p[l->pos + keep - 1]))
                    keep--;
            advance(l, keep);
            struct gotemplate_token t = emit(l, TOKEN_TEXT);
            advance(l, end - l->pos);
            ignore(l);
            if (t.text.n)
                return t;
        }
        bool trim = trims_left(str_sub(l->text, l->pos + 2, l->text.n));
        struct str inside = str_sub(l->text, l->pos + (trim ? 4 : 2), l->text.n);
        if (!str_starts(inside, STR("/*"))) {
            advance(l, 2);
            struct gotemplate_token t = emit(l, TOKEN_OPEN);
            advance(l, trim ? 2 : 0);
            ignore(l);
            l->inside = true;
            l->parens = 0;
            return t;
        }
        advance(l, trim ? 4 : 2);
        ignore(l);
        if (!skip_comment(l, &bad))
            return bad;
    }
}

/* ---- inside ---- */

// Letters of all scripts, told from the blocks of punctuation and symbols: near enough to Go's.
static bool is_foreign_letter(uint32_t r)
{
    static const struct {
        uint32_t lo, hi;
    } others[] = { { 0xa1, 0xa9 },     { 0xab, 0xb4 },     { 0xb6, 0xb9 },      { 0xbb, 0xbf },
                   { 0xd7, 0xd7 },     { 0xf7, 0xf7 },     { 0x2010, 0x2070 },  { 0x207a, 0x207e },
                   { 0x20a0, 0x20f0 }, { 0x2190, 0x2bff }, { 0x2e00, 0x2fff },  { 0x3001, 0x3004 },
                   { 0x3008, 0x3020 }, { 0xe000, 0xf8ff }, { 0xfe00, 0xfe6f },  { 0xff01, 0xff0f },
                   { 0xff1a, 0xff20 }, { 0xfffc, 0xfffd }, { 0x1f000, 0x1faff } };

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (r >= others[i].lo && r <= others[i].hi)
            return false;
    return rune_is_print(r);
}

static bool is_word(uint32_t r)
{
    return r == '_' || (r < 128 ? (r | 32) - 'a' < 26 || r - '0' < 10 : is_foreign_letter(r));
}

// The code point at the position, 0 bytes at the end.
static size_t rune_at(const struct gotemplate_lexer *l, uint32_t *r)
{
    return l->pos < l->text.n ? rune_decode(rest_of(l), r) : 0;
}

static void skip_word(struct gotemplate_lexer *l)
{
    uint32_t r;

    for (size_t n; (n = rune_at(l, &r)) && is_word(r);)
        advance(l, n);
}

// What may stand behind a name.
static bool at_terminator(const struct gotemplate_lexer *l)
{
    int c = peek(l, 0);

    return c < 0 || is_space(c) || strchr(".,|:()", c) || str_starts(rest_of(l), STR("}}"));
}

static struct str rune_text(struct arena *a, const char *what, uint32_t r)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s U+%04X", what, r);
    if (rune_is_print(r)) {
        buf_lit(&b, " '");
        buf_rune(&b, r);
        buf_char(&b, '\'');
    }
    return arena_str(a, buf_view(&b));
}

static struct gotemplate_token bad_character(struct gotemplate_lexer *l)
{
    uint32_t r = 0;

    (void)rune_at(l, &r);
    return fail(l, rune_text(l->arena, "bad character", r));
}

static struct gotemplate_token lex_name(struct gotemplate_lexer *l)
{
    skip_word(l);
    if (!at_terminator(l))
        return bad_character(l);
    struct str word = str_sub(l->text, l->start, l->pos);
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (str_eq_c(word, keywords[i].word))
            return emit(l, keywords[i].kind);
    return emit(l, TOKEN_NAME);
}

// A field or a variable, whose first character was read.
static struct gotemplate_token lex_dotted(struct gotemplate_lexer *l,
                                          enum gotemplate_token_kind kind)
{
    if (at_terminator(l))
        return emit(l, kind == TOKEN_VARIABLE ? kind : TOKEN_DOT);
    skip_word(l);
    return at_terminator(l) ? emit(l, kind) : bad_character(l);
}

// A string or a rune, whose opening quote was read.
static struct gotemplate_token lex_quoted(struct gotemplate_lexer *l, int quote)
{
    for (int c; (c = peek(l, 0)) >= 0 && c != '\n';) {
        advance(l, 1);
        if (c == quote)
            return emit(l, quote == '"' ? TOKEN_STRING : TOKEN_RUNE);
        if (c == '\\') {
            if (peek(l, 0) < 0 || peek(l, 0) == '\n')
                break;
            advance(l, 1);
        }
    }
    return fail(l, quote == '"' ? STR("unterminated quoted string")
                                : STR("unterminated character constant"));
}

static struct gotemplate_token lex_raw(struct gotemplate_lexer *l)
{
    size_t end = str_find_char(rest_of(l), '`');

    if (end == STR_NPOS)
        return fail(l, STR("unterminated raw quoted string"));
    advance(l, end + 1);
    return emit(l, TOKEN_RAW_STRING);
}

static bool take_any(struct gotemplate_lexer *l, const char *set)
{
    int c = peek(l, 0);

    if (c <= 0 || !strchr(set, c))
        return false;
    advance(l, 1);
    return true;
}

// More than numbers have: what is wrong is found when it is converted.
static bool scan_number(struct gotemplate_lexer *l)
{
    const char *digits = "0123456789_";
    bool hex = false, decimal = true;
    uint32_t r;

    (void)take_any(l, "+-");
    if (take_any(l, "0")) {
        if ((hex = take_any(l, "xX")))
            digits = "0123456789abcdefABCDEF_";
        else if (take_any(l, "oO"))
            digits = "01234567_", decimal = false;
        else if (take_any(l, "bB"))
            digits = "01_", decimal = false;
    }
    while (take_any(l, digits))
        ;
    if (take_any(l, "."))
        while (take_any(l, digits))
            ;
    if ((decimal && !hex && take_any(l, "eE")) || (hex && take_any(l, "pP"))) {
        (void)take_any(l, "+-");
        while (take_any(l, "0123456789_"))
            ;
    }
    (void)take_any(l, "i");
    size_t n = rune_at(l, &r);
    if (!n || !is_word(r))
        return true;
    advance(l, n);
    return false;
}

static struct gotemplate_token lex_number(struct gotemplate_lexer *l)
{
    OWNED(buf_fini) struct buf b = { 0 };
    enum gotemplate_token_kind kind = TOKEN_NUMBER;
    bool ok = scan_number(l);

    if (ok && (peek(l, 0) == '+' || peek(l, 0) == '-')) {
        ok = scan_number(l) && l->text.p[l->pos - 1] == 'i';
        kind = TOKEN_COMPLEX;
    }
    if (ok)
        return emit(l, kind);
    buf_lit(&b, "bad number syntax: ");
    buf_quoted(&b, str_sub(l->text, l->start, l->pos));
    return fail(l, arena_str(l->arena, buf_view(&b)));
}

static struct gotemplate_token lex_close(struct gotemplate_lexer *l, bool trim)
{
    if (trim) {
        advance(l, 2);
        ignore(l);
    }
    advance(l, 2);
    struct gotemplate_token t = emit(l, TOKEN_CLOSE);
    if (trim) {
        skip_spaces(l);
        ignore(l);
    }
    l->inside = false;
    return t;
}

// A run of space; one before a trimming }} belongs to that.
static struct gotemplate_token lex_space(struct gotemplate_lexer *l)
{
    struct str rest;
    size_t n = 0;

    for (; is_space(peek(l, 0)); n++)
        advance(l, 1);
    rest = str_sub(l->text, l->pos - 1, l->text.n);
    if (trims_right(rest) && str_starts(str_sub(rest, 2, rest.n), STR("}}"))) {
        l->pos--;
        l->line -= l->text.p[l->pos] == '\n';
        if (n == 1)
            return lex_close(l, true);
    }
    return emit(l, TOKEN_SPACE);
}

static struct gotemplate_token lex_mark(struct gotemplate_lexer *l, int c)
{
    switch (c) {
    case '=':
        return emit(l, TOKEN_ASSIGN);
    case '|':
        return emit(l, TOKEN_PIPE);
    case '(':
        l->parens++;
        return emit(l, TOKEN_LEFT_PAREN);
    case ')':
        if (!l->parens)
            return fail(l, STR("unexpected right paren"));
        l->parens--;
        return emit(l, TOKEN_RIGHT_PAREN);
    case ':':
        if (peek(l, 0) != '=')
            return fail(l, STR("expected :="));
        advance(l, 1);
        return emit(l, TOKEN_DECLARE);
    default:
        return emit(l, TOKEN_CHAR);
    }
}

static struct gotemplate_token lex_inside(struct gotemplate_lexer *l)
{
    bool trim;
    uint32_t r = 0;

    if (at_close(l, &trim))
        return l->parens ? fail(l, STR("unclosed left paren")) : lex_close(l, trim);
    size_t n = rune_at(l, &r);
    int next = peek(l, 1);
    if (!n)
        return fail(l, STR("unclosed action"));
    if (is_space((int)r))
        return lex_space(l);
    if (r == '+' || r == '-' || r - '0' < 10 || (r == '.' && next >= '0' && next <= '9') ||
        (r == '.' && next < 0))
        return lex_number(l);
    if (is_word(r))
        return lex_name(l);
    advance(l, n);
    switch (r) {
    case '"':
    case '\'':
        return lex_quoted(l, (int)r);
    case '`':
        return lex_raw(l);
    case '$':
        return lex_dotted(l, TOKEN_VARIABLE);
    case '.':
        return lex_dotted(l, TOKEN_FIELD);
    default:
        if (r > ' ' && r < 127)
            return lex_mark(l, (int)r);
        return fail(l, rune_text(l->arena, "unrecognized character in action:", r));
    }
}

struct gotemplate_token gotemplate_lex(struct gotemplate_lexer *l)
{
    return l->inside ? lex_inside(l) : lex_outside(l);
}
