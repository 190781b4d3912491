/*
 * promql_selector.c - vector selectors: a name, and matchers inside braces.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

struct matchers {
    VEC(struct matcher) v;
};

// Takes a matcher whose regular expression, if any, compiles; else adds an error.
static void add_matcher(struct parser *p, struct matchers *ms, const struct token *label,
                        struct matcher m, const struct token *value)
{
    struct err e = { 0 };
    struct regex *re = NULL;

    if (m.op == MATCH_RE || m.op == MATCH_NRE) {
        if (!regex_new(&re, m.value, REGEX_ANCHORED, &e)) {
            promql_report(p, label->pos, token_end(value), "%s", e.text);
            return;
        }
        *vec_push(&p->regexes) = re;
        m.re = re;
    }
    *vec_push_in(p->a, &ms->v) = m;
}

static bool match_op(enum tok t, enum match_op *out)
{
    switch (t) {
    case T_EQL:
        *out = MATCH_EQ;
        return true;
    case T_NEQ:
        *out = MATCH_NE;
        return true;
    case T_EQL_REGEX:
        *out = MATCH_RE;
        return true;
    case T_NEQ_REGEX:
        *out = MATCH_NRE;
        return true;
    default:
        return false;
    }
}

// Behind a label and an operator. False: aborted.
static bool parse_match_value(struct parser *p, struct matchers *ms, const struct token *label,
                              struct matcher m)
{
    while (promql_peek(p) != T_STRING) {
        switch (promql_miss(p)) {
        case MISS_ABORT:
            return false;
        case MISS_ERROR:
            promql_unexpected(p, "label matching", "string");
            return true;
        case MISS_DROPPED:
            break;
        }
    }
    struct token value = promql_take(p);
    m.value = promql_unquote(p, value.val);
    add_matcher(p, ms, label, m, &value);
    return true;
}

// A label or a quoted name is next. False: aborted.
static bool parse_matcher(struct parser *p, struct matchers *ms)
{
    struct token label = promql_take(p);
    bool quoted = label.t == T_STRING;
    struct matcher m = { .name = quoted ? promql_unquote(p, label.val) : label.val };

    while (!match_op(promql_peek(p), &m.op)) {
        if (quoted) { // a metric name
            m = (struct matcher){ .op = MATCH_EQ, .name = LABEL_NAME, .value = m.name };
            *vec_push_in(p->a, &ms->v) = m;
            return true;
        }
        switch (promql_miss(p)) {
        case MISS_ABORT:
            return false;
        case MISS_ERROR:
            promql_unexpected(p, "label matching", "label matching operator");
            return true;
        case MISS_DROPPED:
            break;
        }
    }
    promql_take(p);
    return parse_match_value(p, ms, &label, m);
}

// A matcher, or what stands in its place, or with *done the right brace. False: aborted.
static bool parse_matcher_or_end(struct parser *p, struct matchers *ms, bool *done)
{
    for (;;) {
        enum tok t = promql_peek(p);

        *done = t == T_RIGHT_BRACE;
        if (*done)
            return true;
        if (t == T_IDENTIFIER || t == T_STRING)
            return parse_matcher(p, ms);
        switch (promql_miss(p)) {
        case MISS_ABORT:
            return false;
        case MISS_ERROR:
            promql_unexpected(p, "label matching", "identifier or \"}\"");
            return true;
        case MISS_DROPPED:
            break;
        }
    }
}

// Behind the left brace, up to the right one, which is still to be taken. False: aborted.
static bool parse_matchers(struct parser *p, struct matchers *ms)
{
    for (;;) {
        bool done;
        if (!parse_matcher_or_end(p, ms, &done))
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
                promql_unexpected(p, "label matching", "\",\" or \"}\"");
        }
        promql_take(p);
    }
}

struct promql_node *promql_rule_selector(struct parser *p, const struct token *name)
{
    struct matchers ms = { 0 };
    struct promql_node *n = promql_node_new(p, PROMQL_SELECTOR, 0, 0);

    if (name) {
        n->start = name->pos;
        n->end = token_end(name);
        n->selector.name = name->val;
    }
    if (promql_peek(p) == T_LEFT_BRACE) {
        struct token open = promql_take(p);
        if (!name)
            n->start = open.pos;
        if (!parse_matchers(p, &ms))
            return NULL;
        struct token close = promql_take(p);
        n->end = token_end(&close);
    }
    if (name)
        *vec_push_in(p->a, &ms.v) = (struct matcher){ .op = MATCH_EQ,
                                                      .name = LABEL_NAME,
                                                      .value = name->val };
    n->selector.matchers = ms.v.v;
    n->selector.matcher_count = ms.v.n;
    return n;
}
