/*
 * promql_token.c - how tokens are named in messages.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

static const char *const texts[] = {
    [T_EQL] = "=",
    [T_BLANK] = "_",
    [T_COLON] = ":",
    [T_COMMA] = ",",
    [T_LEFT_BRACE] = "{",
    [T_LEFT_BRACKET] = "[",
    [T_LEFT_PAREN] = "(",
    [T_OPEN_HIST] = "{{",
    [T_CLOSE_HIST] = "}}",
    [T_RIGHT_BRACE] = "}",
    [T_RIGHT_BRACKET] = "]",
    [T_RIGHT_PAREN] = ")",
    [T_SPACE] = "<space>",
    [T_TIMES] = "x",
    [T_ADD] = "+",
    [T_DIV] = "/",
    [T_EQLC] = "==",
    [T_EQL_REGEX] = "=~",
    [T_GTE] = ">=",
    [T_GTR] = ">",
    [T_TRIM_UPPER] = "</",
    [T_TRIM_LOWER] = ">/",
    [T_AND] = "and",
    [T_OR] = "or",
    [T_LSS] = "<",
    [T_LTE] = "<=",
    [T_UNLESS] = "unless",
    [T_MOD] = "%",
    [T_MUL] = "*",
    [T_NEQ] = "!=",
    [T_NEQ_REGEX] = "!~",
    [T_POW] = "^",
    [T_SUB] = "-",
    [T_AT] = "@",
    [T_ATAN2] = "atan2",
    [T_AVG] = "avg",
    [T_BOTTOMK] = "bottomk",
    [T_COUNT] = "count",
    [T_COUNT_VALUES] = "count_values",
    [T_GROUP] = "group",
    [T_MAX] = "max",
    [T_MIN] = "min",
    [T_QUANTILE] = "quantile",
    [T_STDDEV] = "stddev",
    [T_STDVAR] = "stdvar",
    [T_SUM] = "sum",
    [T_TOPK] = "topk",
    [T_LIMITK] = "limitk",
    [T_LIMIT_RATIO] = "limit_ratio",
    [T_BOOL] = "bool",
    [T_BY] = "by",
    [T_GROUP_LEFT] = "group_left",
    [T_GROUP_RIGHT] = "group_right",
    [T_FILL] = "fill",
    [T_FILL_LEFT] = "fill_left",
    [T_FILL_RIGHT] = "fill_right",
    [T_IGNORING] = "ignoring",
    [T_OFFSET] = "offset",
    [T_SMOOTHED] = "smoothed",
    [T_ANCHORED] = "anchored",
    [T_ON] = "on",
    [T_WITHOUT] = "without",
    [T_START] = "start",
    [T_STOP] = "end",
    [T_STEP] = "step",
    [T_RANGE] = "range",
    [T_MAX_OF] = "max_of",
    [T_MIN_OF] = "min_of",
};

const char *promql_tok_text(enum tok t)
{
    return (size_t)t < ARRAY_LEN(texts) ? texts[t] : NULL;
}

// At most ten code points, then "…" as three dots.
static void buf_quoted_short(struct buf *b, struct str s)
{
    uint32_t r;
    size_t n = 0;

    if (s.n <= 10) {
        buf_quoted(b, s);
        return;
    }
    for (int i = 0; i < 10 && n < s.n; i++)
        n += rune_decode(str_sub(s, n, s.n), &r);
    buf_quoted(b, str_sub(s, 0, n));
    buf_lit(b, "...");
}

static void buf_marked(struct buf *b, const char *mark, struct str s)
{
    buf_char(b, '<');
    buf_str(b, str_c(mark));
    buf_str(b, s);
    buf_char(b, '>');
}

void promql_buf_token(struct buf *b, const struct token *t)
{
    // Numbers of upstream's token table show for tokens that it gave no name.
    enum { SUM_DESC_NUMBER = 57370, RESET_UNKNOWN_NUMBER = 57445 };

    if (t->t == T_EOF) {
        buf_lit(b, "end of input");
        return;
    }
    if (t->t == T_IDENTIFIER || t->t == T_METRIC_IDENTIFIER) {
        buf_str(b, t->t == T_IDENTIFIER ? STR("identifier ") : STR("metric identifier "));
        buf_quoted(b, t->val);
        return;
    }
    if (t->t == T_STRING || t->t == T_NUMBER || t->t == T_DURATION)
        buf_printf(b, "%s ",
                   t->t == T_STRING   ? "string"
                   : t->t == T_NUMBER ? "number"
                                      : "duration");
    if (t->t >= T_SUM_DESC && t->t <= T_RESET_HINT_DESC)
        buf_printf(b, "\"<Item %d>\" ", SUM_DESC_NUMBER + (int)(t->t - T_SUM_DESC));
    if (t->t >= T_RESET_UNKNOWN && t->t <= T_RESET_GAUGE)
        buf_printf(b, "\"<Item %d>\" ", RESET_UNKNOWN_NUMBER + (int)(t->t - T_RESET_UNKNOWN));
    if (tok_is_keyword(t->t))
        buf_marked(b, "", t->val);
    else if (tok_is_operator(t->t))
        buf_marked(b, "op:", t->val);
    else if (tok_is_aggregator(t->t))
        buf_marked(b, "aggr:", t->val);
    else
        buf_quoted_short(b, t->val);
}
