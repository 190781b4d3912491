/*
 * promql_postfix.c - what follows an expression: [range], [range:step], offset, @, anchored, smoothed.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

#include <math.h>

#include "base/time.h"

bool promql_tok_is_postfix(enum tok t)
{
    return t == T_LEFT_BRACKET || t == T_OFFSET || t == T_AT || t == T_ANCHORED || t == T_SMOOTHED;
}

/* ---- the place that a modifier is stored at ---- */

struct modified {
    int64_t *offset_ms;
    struct promql_duration **offset_expr;
    enum promql_at *at;
    int64_t *at_ms;
};

// False when n takes no modifiers: nothing was reported.
static bool modified_of(struct promql_node *n, struct modified *out)
{
    struct promql_node *s = n->kind == PROMQL_RANGE ? n->range.selector : n;

    if (s->kind == PROMQL_SELECTOR) {
        *out = (struct modified){ &s->selector.offset_ms, &s->selector.offset_expr, &s->selector.at,
                                  &s->selector.at_ms };
        return true;
    }
    if (n->kind == PROMQL_SUBQUERY) {
        *out = (struct modified){ &n->subquery.offset_ms, &n->subquery.offset_expr, &n->subquery.at,
                                  &n->subquery.at_ms };
        return true;
    }
    return false;
}

static void report_unmodifiable(struct parser *p, const struct promql_node *n, const char *what)
{
    if (n->kind == PROMQL_RANGE)
        promql_report(p, n->start, n->end, "ranges only allowed for vector selectors");
    else
        promql_report(p, n->start, n->end,
                      "%s modifier must be preceded by an instant vector selector or range vector "
                      "selector or a subquery",
                      what);
}

/* ---- offset ---- */

static void set_offset(struct parser *p, struct promql_node *n, struct promql_duration *d)
{
    struct modified m;

    if (!modified_of(n, &m)) {
        report_unmodifiable(p, n, "offset");
        return;
    }
    if (*m.offset_ms != 0 || *m.offset_expr)
        promql_report(p, n->start, n->end, "offset may not be set multiple times");
    else if (promql_duration_is_literal(d))
        *m.offset_ms = promql_duration_literal_ms(d);
    else
        *m.offset_expr = d;
    n->end = p->last_closing;
}

static struct promql_node *parse_offset(struct parser *p, struct promql_node *n)
{
    promql_take(p);
    promql_duration_begin(p);
    struct promql_duration *d = promql_rule_offset_duration(p);
    if (d)
        set_offset(p, n, d);
    else if (p->aborted)
        return NULL;
    else
        promql_unexpected(p, "offset", "number, duration, step(), or range()");
    return n;
}

/* ---- @ ---- */

static bool at_place(struct parser *p, struct promql_node *n, struct modified *m)
{
    if (!modified_of(n, m)) {
        report_unmodifiable(p, n, "@");
        return false;
    }
    if (*m->at == AT_NONE)
        return true;
    promql_report(p, n->start, n->end, "@ <timestamp> may not be set multiple times");
    return false;
}

static void set_time(struct parser *p, struct promql_node *n, double seconds)
{
    struct modified m;

    if (isnan(seconds))
        promql_report(p, n->start, n->end, "timestamp out of bounds for @ modifier: NaN");
    else if (isinf(seconds))
        promql_report(p, n->start, n->end, "timestamp out of bounds for @ modifier: %cInf",
                      seconds < 0 ? '-' : '+');
    else if (seconds >= 0x1p63 || seconds <= -0x1p63)
        promql_report(p, n->start, n->end, "timestamp out of bounds for @ modifier: %f", seconds);
    if (!at_place(p, n, &m))
        return;
    *m.at = AT_TIME;
    *m.at_ms = ms_from_seconds(seconds);
    n->end = p->last_closing;
}

static bool parse_timestamp(struct parser *p, struct promql_node *n)
{
    bool negative = false;
    struct token t;

    if (p->look == T_ADD || p->look == T_SUB)
        negative = promql_take(p).t == T_SUB;
    if (promql_peek(p) != T_NUMBER && p->look != T_DURATION) {
        promql_miss(p);
        return false;
    }
    t = promql_take(p);
    double seconds = promql_number_value(p, &t);
    set_time(p, n, negative ? -seconds : seconds);
    return true;
}

static bool parse_start_or_end(struct parser *p, struct promql_node *n)
{
    enum promql_at at = promql_take(p).t == T_START ? AT_START : AT_END;
    struct modified m;
    struct token t;

    if (!promql_expect(p, T_LEFT_PAREN, &t) || !promql_expect(p, T_RIGHT_PAREN, &t))
        return false;
    if (at_place(p, n, &m)) {
        *m.at = at;
        n->end = p->last_closing;
    }
    return true;
}

static struct promql_node *parse_at(struct parser *p, struct promql_node *n)
{
    promql_take(p);
    enum tok t = promql_peek(p);
    bool ok = t == T_START || t == T_STOP ? parse_start_or_end(p, n) : parse_timestamp(p, n);
    if (!ok && p->aborted)
        return NULL;
    if (!ok)
        promql_unexpected(p, "@", "timestamp");
    return n;
}

/* ---- anchored, smoothed ---- */

static struct promql_node *parse_extended(struct parser *p, struct promql_node *n)
{
    bool anchored = promql_take(p).t == T_ANCHORED;
    const char *word = anchored ? "anchored" : "smoothed";
    struct promql_node *s = n->kind == PROMQL_RANGE ? n->range.selector : n;

    if (p->options.no_extended_selectors) {
        promql_report(p, n->start, n->end, "%s modifier is experimental and not enabled", word);
    } else if (s->kind == PROMQL_SELECTOR) {
        bool *mine = anchored ? &s->selector.anchored : &s->selector.smoothed;
        *mine = true;
        if (s->selector.anchored && s->selector.smoothed)
            promql_report(p, n->start, n->end,
                          "anchored and smoothed modifiers cannot be used together");
    } else if (n->kind == PROMQL_SUBQUERY) {
        promql_report(p, n->start, n->end, "%s modifier is not supported for subqueries", word);
    } else if (n->kind != PROMQL_RANGE) {
        promql_report(p, n->start, n->end, "%s modifier not implemented", word);
    }
    return n;
}

/* ---- ranges and subqueries ---- */

static struct promql_duration *positive(struct parser *p, struct promql_duration *d)
{
    if (d && promql_duration_is_literal(d) && d->seconds <= 0)
        promql_report(p, d->start, d->end, "duration must be greater than 0");
    return d;
}

static void check_range(struct parser *p, const struct promql_node *n, uint32_t start, uint32_t end)
{
    if (n->kind != PROMQL_SELECTOR)
        promql_report(p, start, end, "ranges only allowed for vector selectors");
    else if (n->selector.offset_ms != 0 || n->selector.offset_expr)
        promql_report(p, start, end, "no offset modifiers allowed before range");
    else if (n->selector.at != AT_NONE)
        promql_report(p, start, end, "no @ modifiers allowed before range");
}

static struct promql_node *new_range(struct parser *p, struct promql_node *below,
                                     const struct token *open, struct promql_duration *range)
{
    struct token close = promql_take(p);
    assert(close.t == T_RIGHT_BRACKET);
    struct promql_node *n = promql_node_new(p, PROMQL_RANGE, below->start, p->last_closing);

    check_range(p, below, open->pos, token_end(&close));
    n->range.selector = below;
    if (promql_duration_is_literal(range))
        n->range.range_ms = promql_duration_literal_ms(range);
    else
        n->range.range_expr = range;
    promql_node_raise(p, n, below);
    return n;
}

static struct promql_node *new_subquery(struct parser *p, struct promql_node *below,
                                        struct promql_duration *range, struct promql_duration *step)
{
    struct token close = promql_take(p);
    assert(close.t == T_RIGHT_BRACKET);
    struct promql_node *n = promql_node_new(p, PROMQL_SUBQUERY, below->start, token_end(&close));

    n->subquery.expr = below;
    if (promql_duration_is_literal(range))
        n->subquery.range_ms = promql_duration_literal_ms(range);
    else
        n->subquery.range_expr = range;
    if (step && promql_duration_is_literal(step))
        n->subquery.step_ms = promql_duration_literal_ms(step);
    else
        n->subquery.step_expr = step;
    promql_node_raise(p, n, below);
    return n;
}

// A token that does not fit inside brackets: the expression before them is taken for whole.
static struct promql_node *give_up(struct parser *p, struct promql_node *n, const char *context,
                                   const char *expected)
{
    if (p->aborted)
        return NULL;
    promql_unexpected(p, context, expected);
    return n;
}

// Behind the colon.
static struct promql_node *parse_step(struct parser *p, struct promql_node *n,
                                      struct promql_duration *range)
{
    if (promql_peek(p) == T_RIGHT_BRACKET)
        return new_subquery(p, n, range, NULL);
    struct promql_duration *step = positive(p, promql_rule_duration(p, 0));
    if (!step)
        return give_up(p, n, "subquery selector", "number, duration, step(), range(), or \"]\"");
    if (promql_peek(p) == T_RIGHT_BRACKET)
        return new_subquery(p, n, range, step);
    promql_miss(p);
    return give_up(p, n, "subquery selector", "\"]\"");
}

static struct promql_node *parse_brackets(struct parser *p, struct promql_node *n)
{
    struct token open = promql_take(p);

    promql_duration_begin(p);
    struct promql_duration *range = positive(p, promql_rule_duration(p, 0));
    if (!range)
        return give_up(p, n, "subquery or range selector", "number, duration, step(), or range()");
    switch (promql_peek(p)) {
    case T_RIGHT_BRACKET:
        return new_range(p, n, &open, range);
    case T_COLON:
        promql_take(p);
        return parse_step(p, n, range);
    default:
        promql_miss(p);
        return give_up(p, n, "subquery or range", "\":\" or \"]\"");
    }
}

struct promql_node *promql_rule_postfix(struct parser *p, struct promql_node *n)
{
    switch (promql_peek(p)) {
    case T_LEFT_BRACKET:
        return parse_brackets(p, n);
    case T_OFFSET:
        return parse_offset(p, n);
    case T_AT:
        return parse_at(p, n);
    default:
        return parse_extended(p, n);
    }
}
