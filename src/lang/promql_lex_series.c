/*
 * promql_lex_series.c - the lexer behind the labels of a series line: values and histograms.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

enum lex_mode promql_lex_values(struct lexer *l)
{
    int c = lex_peek(l);

    if (l->hist != HIST_OUTSIDE)
        return promql_lex_histogram(l);
    if (c < 0)
        return LEX_STATEMENTS;
    if (byte_is_digit(c) ||
        (c == '.' && l->pos + 1 < l->n && byte_is_digit((unsigned char)l->text[l->pos + 1])))
        return promql_lex_number(l) == LEX_DONE ? LEX_DONE : LEX_VALUES;
    if (byte_is_alpha(c) && c != 'x' && c != '_')
        return promql_lex_word(l); // odd words are for the parser to refuse

    uint32_t r = promql_lex_rune(l);
    switch (r) {
    case '{':
        if (lex_peek(l) != '{')
            break;
        l->pos++;
        l->hist = HIST_OPEN;
        promql_lex_emit(l, T_OPEN_HIST);
        return LEX_HISTOGRAM;
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        promql_lex_emit(l, T_SPACE);
        promql_lex_space(l);
        return LEX_VALUES;
    case '+':
        promql_lex_emit(l, T_ADD);
        return LEX_VALUES;
    case '-':
        promql_lex_emit(l, T_SUB);
        return LEX_VALUES;
    case 'x':
        promql_lex_emit(l, T_TIMES);
        return LEX_VALUES;
    case '_':
        promql_lex_emit(l, T_BLANK);
        return LEX_VALUES;
    default:
        break;
    }
    return lex_error(l, "unexpected character in series sequence: %.*s",
                     STRF(promql_lex_quoted_rune(l, r)));
}

static enum tok descriptor(struct str word)
{
    static const struct {
        const char *name;
        enum tok t;
    } keys[] = {
        { "sum", T_SUM_DESC },
        { "count", T_COUNT_DESC },
        { "schema", T_SCHEMA_DESC },
        { "offset", T_OFFSET_DESC },
        { "n_offset", T_N_OFFSET_DESC },
        { "buckets", T_BUCKETS_DESC },
        { "n_buckets", T_N_BUCKETS_DESC },
        { "z_bucket", T_Z_BUCKET_DESC },
        { "z_bucket_w", T_Z_BUCKET_W_DESC },
        { "custom_values", T_CUSTOM_VALUES_DESC },
        { "counter_reset_hint", T_RESET_HINT_DESC },
        { "unknown", T_RESET_UNKNOWN },
        { "reset", T_RESET_YES },
        { "not_reset", T_RESET_NO },
        { "gauge", T_RESET_GAUGE },
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_eq_nocase(word, str_c(keys[i].name)))
            return keys[i].t;
    return promql_lex_keyword(word) == T_NUMBER ? T_NUMBER : T_ERROR;
}

static enum lex_mode lex_descriptor(struct lexer *l)
{
    OWNED(buf_fini) struct buf quoted = { 0 };

    while (byte_is_alpha(lex_peek(l)))
        l->pos++;
    enum tok t = descriptor(lex_word_so_far(l));
    if (t == T_ERROR) {
        buf_quoted(&quoted, lex_word_so_far(l));
        return lex_error(l, "bad histogram descriptor found: %.*s", (int)quoted.n, quoted.p);
    }
    if (t >= T_SUM_DESC && t <= T_RESET_HINT_DESC && lex_peek(l) != ':')
        return lex_error(l, "missing `:` for histogram descriptor");
    promql_lex_emit(l, t);
    return LEX_HISTOGRAM;
}

// Behind }}: an operator that follows at once belongs to the histogram.
static enum lex_mode lex_close_histogram(struct lexer *l)
{
    l->pos++;
    promql_lex_emit(l, T_CLOSE_HIST);
    switch (lex_peek(l)) {
    case 'x':
        l->hist = HIST_TIMES;
        return LEX_HISTOGRAM;
    case '+':
        l->hist = HIST_ADD;
        return LEX_HISTOGRAM;
    case '-':
        l->hist = HIST_SUB;
        return LEX_HISTOGRAM;
    default:
        l->hist = HIST_OUTSIDE;
        return LEX_VALUES;
    }
}

static enum lex_mode lex_after_histogram(struct lexer *l)
{
    enum tok t = l->hist == HIST_TIMES ? T_TIMES : l->hist == HIST_ADD ? T_ADD : T_SUB;

    l->hist = HIST_OUTSIDE;
    l->pos++;
    promql_lex_emit(l, t);
    return LEX_VALUES;
}

enum lex_mode promql_lex_histogram(struct lexer *l)
{
    int c = lex_peek(l);

    if (l->hist != HIST_OPEN)
        return lex_after_histogram(l);
    if (l->bracket_open)
        return promql_lex_buckets(l);
    if (byte_is_alpha(c))
        return lex_descriptor(l);
    if (byte_is_digit(c))
        return promql_lex_number(l);

    uint32_t r = promql_lex_rune(l);
    switch (r) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        promql_lex_emit(l, T_SPACE);
        promql_lex_space(l);
        return LEX_HISTOGRAM;
    case ':':
        promql_lex_emit(l, T_COLON);
        return LEX_HISTOGRAM;
    case '-':
        promql_lex_emit(l, T_SUB);
        return LEX_HISTOGRAM;
    case '[':
        l->bracket_open = true;
        l->got_colon = l->got_duration = false;
        promql_lex_emit(l, T_LEFT_BRACKET);
        return LEX_BUCKETS;
    case '}':
        if (lex_peek(l) == '}')
            return lex_close_histogram(l);
        break;
    default:
        break;
    }
    return lex_error(l, "histogram description incomplete unexpected: %.*s",
                     STRF(promql_lex_quoted_rune(l, r)));
}

enum lex_mode promql_lex_buckets(struct lexer *l)
{
    if (byte_is_digit(lex_peek(l)))
        return promql_lex_number(l);
    uint32_t r = promql_lex_rune(l);
    if (r < 0x80 && byte_is_alpha((int)r)) { // Inf or NaN, letter by letter
        if (promql_lex_keyword(lex_word_so_far(l)) != T_NUMBER)
            return LEX_BUCKETS;
        promql_lex_emit(l, T_NUMBER);
        return LEX_HISTOGRAM;
    }
    switch (r) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        promql_lex_emit(l, T_SPACE);
        promql_lex_space(l);
        return LEX_HISTOGRAM;
    case '-':
        promql_lex_emit(l, T_SUB);
        return LEX_NUMBER;
    case ']':
        l->bracket_open = false;
        promql_lex_emit(l, T_RIGHT_BRACKET);
        return LEX_HISTOGRAM;
    default:
        return lex_error(l, "invalid character in buckets description: %.*s",
                         STRF(promql_lex_quoted_rune(l, r)));
    }
}
