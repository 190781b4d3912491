/*
 * promql_series.c - series in text: `name{label="x"}` alone, or with values as promqltest has them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_series_priv.h"

struct label_list {
    VEC(struct label) v;
};

/* ---- label sets ---- */

// `="value"` behind a label's name, or behind a quoted metric name nothing. False: aborted.
static bool parse_label_value(struct parser *p, struct label_list *ls, struct token name)
{
    bool quoted = name.t == T_STRING;
    struct str text = quoted ? promql_unquote(p, name.val) : name.val;
    enum miss miss;

    while (promql_peek(p) != T_EQL) {
        if (quoted) {
            *vec_push_in(p->a, &ls->v) = (struct label){ LABEL_NAME, text };
            return true;
        }
        miss = promql_miss(p);
        if (miss == MISS_ERROR)
            promql_unexpected(p, "label set", "\"=\"");
        if (miss != MISS_DROPPED)
            return miss == MISS_ERROR;
    }
    promql_take(p);
    while (promql_peek(p) != T_STRING) {
        miss = promql_miss(p);
        if (miss == MISS_ERROR)
            promql_unexpected(p, "label set", "string");
        if (miss != MISS_DROPPED)
            return miss == MISS_ERROR;
    }
    struct token value = promql_take(p);
    *vec_push_in(p->a, &ls->v) = (struct label){ text, promql_unquote(p, value.val) };
    return true;
}

// A label, or what stands in its place, or with *done the right brace. False: aborted.
static bool parse_label_or_end(struct parser *p, struct label_list *ls, bool *done)
{
    for (;;) {
        enum tok t = promql_peek(p);

        *done = t == T_RIGHT_BRACE;
        if (*done)
            return true;
        if (t == T_IDENTIFIER || t == T_STRING)
            return parse_label_value(p, ls, promql_take(p));
        switch (promql_miss(p)) {
        case MISS_ABORT:
            return false;
        case MISS_ERROR:
            promql_unexpected(p, "label set", "identifier or \"}\"");
            return true;
        case MISS_DROPPED:
            break;
        }
    }
}

// Behind the left brace, up to the right one, which is still to be taken. False: aborted.
static bool parse_label_set(struct parser *p, struct label_list *ls)
{
    for (;;) {
        bool done;
        if (!parse_label_or_end(p, ls, &done))
            return false;
        if (done)
            return true;
        while (promql_peek(p) != T_COMMA) {
            if (p->look == T_RIGHT_BRACE)
                return true;
            enum miss miss = promql_miss(p);
            if (miss == MISS_ABORT)
                return false;
            if (miss == MISS_ERROR)
                promql_unexpected(p, "label set", "\",\" or \"}\"");
        }
        promql_take(p);
    }
}

static void set_metric_name(struct parser *p, struct label_list *ls, struct str name)
{
    size_t kept = 0;

    for (size_t i = 0; i < ls->v.n; i++)
        if (!str_eq(ls->v.v[i].name, LABEL_NAME))
            ls->v.v[kept++] = ls->v.v[i];
    ls->v.n = kept;
    *vec_push_in(p->a, &ls->v) = (struct label){ LABEL_NAME, name };
}

// A name and a label set; either may be missing. False: aborted.
static bool parse_metric(struct parser *p, struct label_list *out)
{
    struct label_list ls = { 0 };
    struct token name = { 0 };

    if (promql_tok_is_metric(promql_peek(p)))
        name = promql_take(p);
    if (promql_peek(p) == T_LEFT_BRACE) {
        promql_take(p);
        if (!parse_label_set(p, &ls))
            return false;
        promql_take(p);
    }
    if (name.val.n)
        set_metric_name(p, &ls, name.val);
    *out = ls;
    return true;
}

// Sorts the labels, drops empty ones, and reports repeated ones unless more is wrong.
static struct labels finish_labels(struct parser *p, struct label_list *ls)
{
    struct str dup;

    if (!labels_normalize(ls->v.v, &ls->v.n, &dup) && p->errors.n == 0) {
        struct str quoted = promql_quoted(p, dup);
        promql_report(p, 0, 0, "label %.*s is given twice", STRF(quoted));
    }
    return (struct labels){ ls->v.v, ls->v.n };
}

/* ---- values ---- */

bool promql_seq_reserve(struct parser *p, struct seq *s, uint64_t n)
{
    if (n <= PROMQL_SEQ_MAX - s->values.n) {
        vec_reserve_in(p->a, &s->values, n);
        return true;
    }
    promql_report_here(p, "series has more than %d values", PROMQL_SEQ_MAX);
    p->aborted = true;
    return false;
}

static bool seq_fill(struct parser *p, struct seq *s, struct promql_seq_value v, double step,
                     uint64_t n)
{
    if (!promql_seq_reserve(p, s, n))
        return false;
    for (; n; n--) {
        *vec_push_in(p->a, &s->values) = v;
        v.value += step;
    }
    return true;
}

bool promql_rule_repetition(struct parser *p, uint64_t *out)
{
    struct token t;

    if (!promql_expect(p, T_NUMBER, &t))
        return false;
    bool digits = t.val.n > 0;
    for (size_t i = 0; i < t.val.n; i++)
        digits &= byte_is_digit((unsigned char)t.val.p[i]);
    if (!str_to_u64(t.val, out) || !digits) {
        struct str quoted = promql_quoted(p, t.val);
        promql_report(p, t.pos, token_end(&t),
                      "invalid repetition in series values: strconv.ParseUint: parsing %.*s: %s",
                      STRF(quoted), digits ? "value out of range" : "invalid syntax");
        *out = 0;
    }
    return true;
}

static bool parse_unsigned_number(struct parser *p, double *out)
{
    while (promql_peek(p) != T_NUMBER && p->look != T_DURATION)
        if (promql_miss(p) != MISS_DROPPED)
            return false;
    struct token t = promql_take(p);
    *out = promql_number_value(p, &t);
    return true;
}

bool promql_rule_signed_number(struct parser *p, double *out)
{
    bool negative = false;

    if (promql_peek(p) == T_ADD || p->look == T_SUB)
        negative = promql_take(p).t == T_SUB;
    if (!parse_unsigned_number(p, out))
        return false;
    if (negative)
        *out = -*out;
    return true;
}

static bool parse_gap(struct parser *p, struct seq *s)
{
    uint64_t n = 1;

    promql_take(p);
    if (promql_peek(p) == T_TIMES) {
        promql_take(p);
        if (!promql_rule_repetition(p, &n))
            return false;
    }
    return seq_fill(p, s, (struct promql_seq_value){ .omitted = true }, 0, n);
}

// A number or `stale`, alone or repeated: 5, 5x3, 5+2x3.
static bool parse_value(struct parser *p, struct seq *s)
{
    struct promql_seq_value v = { 0 };
    double step = 0;
    uint64_t n = 0;

    if (promql_peek(p) == T_IDENTIFIER) {
        if (!str_eq(promql_take(p).val, STR("stale")))
            promql_unexpected(p, "series values", "number or \"stale\"");
        v.value = double_from_bits(SAMPLE_STALE_BITS);
    } else if (!promql_rule_signed_number(p, &v.value)) {
        return false;
    }
    bool stepped = promql_peek(p) == T_ADD || p->look == T_SUB;
    if (stepped && !promql_rule_signed_number(p, &step))
        return false;
    if (stepped || promql_peek(p) == T_TIMES) {
        struct token times;
        if (!promql_expect(p, T_TIMES, &times) || !promql_rule_repetition(p, &n))
            return false;
    }
    // The value itself is one more than what the repetition says.
    return n < UINT64_MAX && seq_fill(p, s, v, step, n + 1);
}

static bool parse_item(struct parser *p, struct seq *s)
{
    switch (promql_peek(p)) {
    case T_BLANK:
        return parse_gap(p, s);
    case T_IDENTIFIER:
    case T_NUMBER:
    case T_DURATION:
    case T_ADD:
    case T_SUB:
        return parse_value(p, s);
    case T_OPEN_HIST:
        return promql_rule_histogram_item(p, s);
    default:
        return true; // spaces at the end
    }
}

// Up to the first token that does not belong here. False: falls back.
static bool parse_values(struct parser *p, struct seq *s)
{
    while (promql_peek(p) == T_SPACE) {
        promql_take(p);
        if (!parse_item(p, s))
            return false;
    }
    return true;
}

static void parse_series(struct parser *p, struct promql_series_line *out)
{
    struct label_list labels;
    struct seq s = { 0 };

    if (!parse_metric(p, &labels))
        return;
    while (promql_peek(p) != T_SPACE && p->look != T_EOF && p->look != T_END) {
        enum miss miss = promql_miss(p);
        if (miss == MISS_ABORT)
            return;
        if (miss == MISS_ERROR) {
            promql_unexpected(p, "series values", NULL);
            break;
        }
    }
    while (!parse_values(p, &s)) {
        if (p->aborted)
            return;
        promql_unexpected(p, "series values", NULL);
    }
    assert(s.values.n <= PROMQL_SEQ_MAX);
    out->v = s.values.v;
    out->n = s.values.n;
    promql_finish(p);
    out->labels = finish_labels(p, &labels);
}

/* ---- entry points ---- */

static bool too_long(struct parser *p, struct str text)
{
    if (text.n <= PROMQL_TEXT_MAX)
        return false;
    promql_report(p, 0, 0, "series of %zu bytes is longer than %d", text.n, PROMQL_TEXT_MAX);
    return true;
}

bool promql_parse_series_line(struct arena *a, struct str line, struct promql_series_line *out,
                              struct err *e)
{
    struct promql_series_line result = { 0 };
    struct promql q = { 0 };
    struct parser p;

    promql_parser_init(&p, a, str_sub(line, 0, PROMQL_TEXT_MAX));
    p.lex.series = true;
    if (!too_long(&p, line))
        parse_series(&p, &result);
    bool ok = promql_result(&p, &q, e);
    if (ok)
        *out = result;
    promql_parser_fini(&p);
    return ok;
}

bool promql_parse_labels(struct arena *a, struct str text, struct labels *out, struct err *e)
{
    struct labels result = { NULL, 0 };
    struct label_list list;
    struct promql q = { 0 };
    struct parser p;

    promql_parser_init(&p, a, str_sub(text, 0, PROMQL_TEXT_MAX));
    if (!too_long(&p, text) && parse_metric(&p, &list)) {
        promql_finish(&p);
        result = finish_labels(&p, &list);
    }
    bool ok = promql_result(&p, &q, e);
    if (ok)
        *out = result;
    promql_parser_fini(&p);
    return ok;
}
