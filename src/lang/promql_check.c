/*
 * promql_check.c - types: every node gets one, and what does not fit together is reported.
 *
 * Errors come in upstream's order (checkAST of promql/parser/parse.go): operands first, where that
 * does them first.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

static void expect_type(struct parser *p, struct promql_node *n, enum promql_type want,
                        const char *context)
{
    enum promql_type got = promql_check(p, n);

    if (got != want)
        promql_report(p, n->start, n->end, "expected type %s in %s, got %s", promql_type_name(want),
                      context, promql_type_name(got));
}

static enum promql_type check_aggregate(struct parser *p, struct promql_node *n)
{
    assert(n->aggregate.expr); // else the parse was not clean
    expect_type(p, n->aggregate.expr, PROMQL_VECTOR, "aggregation expression");
    if (n->aggregate.param)
        expect_type(p, n->aggregate.param,
                    n->aggregate.op == AGG_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
                    "aggregation parameter");
    return PROMQL_VECTOR;
}

/* ---- binary operators ---- */

// From the operator to the last byte in front of the right operand, as upstream counts it.
static void operator_span(const struct parser *p, const struct promql_node *n, uint32_t *start,
                          uint32_t *end)
{
    uint32_t from = n->binary.lhs->end, to = n->binary.rhs->start - 1;

    assert(n->binary.rhs->start > 0); // an operator comes first
    while (from < p->text.n && byte_is_space((unsigned char)p->text.p[from]))
        from++;
    while (to > 0 && byte_is_space((unsigned char)p->text.p[to]))
        to--;
    *start = from;
    *end = to;
}

static void check_operator(struct parser *p, const struct promql_node *n, enum promql_type lt,
                           enum promql_type rt)
{
    uint32_t start, end;

    operator_span(p, n, &start, &end);
    if (n->binary.return_bool && !promql_op_is_comparison(n->binary.op))
        promql_report(p, start, end, "bool modifier can only be used on comparison operators");
    if (promql_op_is_comparison(n->binary.op) && !n->binary.return_bool && lt == PROMQL_SCALAR &&
        rt == PROMQL_SCALAR)
        promql_report(p, start, end, "comparisons between scalars must use BOOL modifier");
    if (!n->binary.on)
        return;
    for (size_t i = 0; i < n->binary.label_count; i++)
        for (size_t k = 0; k < n->binary.include_count; k++)
            if (str_eq(n->binary.labels[i], n->binary.include[k])) {
                struct str quoted = promql_quoted(p, n->binary.labels[i]);
                promql_report(p, start, end,
                              "label %.*s must not occur in ON and GROUP clause at once",
                              STRF(quoted));
            }
}

static void check_operand(struct parser *p, const struct promql_node *n)
{
    if (n->type != PROMQL_SCALAR && n->type != PROMQL_VECTOR)
        promql_report(p, n->start, n->end,
                      "binary expression must contain only scalar and instant vector types");
}

static void check_set_matching(struct parser *p, const struct promql_node *n)
{
    if (n->binary.card == CARD_ONE_TO_MANY || n->binary.card == CARD_MANY_TO_ONE)
        promql_report(p, n->start, n->end, "no grouping allowed for \"%s\" operation",
                      promql_op_text(n->binary.op));
    if (n->binary.card != CARD_MANY_TO_MANY)
        promql_report(p, n->start, n->end, "set operations must always be many-to-many");
    if (n->binary.has_fill_lhs || n->binary.has_fill_rhs)
        promql_report(p, n->start, n->end,
                      "filling in missing series not allowed for set operators");
}

static void drop_matching(struct parser *p, struct promql_node *n)
{
    if (n->binary.label_count > 0)
        promql_report(p, n->start, n->end, "vector matching only allowed between instant vectors");
    if (n->binary.has_fill_lhs || n->binary.has_fill_rhs)
        promql_report(p, n->start, n->end,
                      "filling in missing series only allowed between instant vectors");
    n->binary.has_matching = n->binary.on = false;
    n->binary.card = CARD_ONE_TO_ONE;
    n->binary.include_count = 0;
}

static enum promql_type check_binary(struct parser *p, struct promql_node *n)
{
    enum promql_type lt = promql_check(p, n->binary.lhs);
    enum promql_type rt = promql_check(p, n->binary.rhs);
    bool set = promql_op_is_set(n->binary.op);

    check_operator(p, n, lt, rt);
    if (set && n->binary.card == CARD_ONE_TO_ONE)
        n->binary.card = CARD_MANY_TO_MANY;
    check_operand(p, n->binary.lhs);
    check_operand(p, n->binary.rhs);
    if (lt != PROMQL_VECTOR || rt != PROMQL_VECTOR)
        drop_matching(p, n);
    else if (set)
        check_set_matching(p, n);
    if (set && (lt == PROMQL_SCALAR || rt == PROMQL_SCALAR))
        promql_report(p, n->start, n->end,
                      "set operator \"%s\" not allowed in binary scalar expression",
                      promql_op_text(n->binary.op));
    return lt == PROMQL_SCALAR && rt == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
}

/* ---- calls ---- */

static void check_arg_count(struct parser *p, const struct promql_node *n, size_t declared)
{
    const struct promql_function *fn = n->call.fn;
    size_t got = n->call.arg_count, least = declared - (fn->variadic != 0);

    assert(fn->variadic == 0 || declared > 0);
    if (fn->variadic == 0) {
        if (got != declared)
            promql_report(p, n->start, n->end,
                          "expected %zu argument(s) in call to \"%s\", got %zu", declared, fn->name,
                          got);
    } else if (got < least) {
        promql_report(p, n->start, n->end,
                      "expected at least %zu argument(s) in call to \"%s\", got %zu", least,
                      fn->name, got);
    } else if (fn->variadic > 0 && got > least + (size_t)fn->variadic) {
        promql_report(p, n->start, n->end,
                      "expected at most %zu argument(s) in call to \"%s\", got %zu",
                      least + (size_t)fn->variadic, fn->name, got);
    }
}

// Types are known without a check but for operators and calls: as far as info() needs it.
static enum promql_type type_of(const struct promql_node *n)
{
    switch (n->kind) {
    case PROMQL_NUMBER:
        return PROMQL_SCALAR;
    case PROMQL_TEXT:
        return PROMQL_STRING;
    case PROMQL_SELECTOR:
    case PROMQL_AGGREGATE:
        return PROMQL_VECTOR;
    case PROMQL_RANGE:
    case PROMQL_SUBQUERY:
        return PROMQL_MATRIX;
    case PROMQL_UNARY:
        return type_of(n->unary.expr);
    case PROMQL_PAREN:
        return type_of(n->paren);
    case PROMQL_CALL:
        return n->call.fn->result;
    case PROMQL_BINARY:
        return type_of(n->binary.lhs) == PROMQL_SCALAR && type_of(n->binary.rhs) == PROMQL_SCALAR
                   ? PROMQL_SCALAR
                   : PROMQL_VECTOR;
    }
    return PROMQL_NONE;
}

// The second argument of info() is a selector of labels; a selector without any is fine there.
static void check_info(struct parser *p, const struct promql_node *n)
{
    const struct promql_node *arg = n->call.args[1];

    if (type_of(arg) != PROMQL_VECTOR)
        promql_report(p, n->start, n->end, "expected type %s in call to function \"info\", got %s",
                      promql_type_name(PROMQL_VECTOR), promql_type_name(type_of(arg)));
    if (arg->kind != PROMQL_SELECTOR)
        promql_report(p, arg->start, arg->end, "expected label selectors only");
    else if (arg->selector.name.n)
        promql_report(p, arg->start, arg->end,
                      "expected label selectors only, got vector selector instead");
}

static enum promql_type check_selector(struct parser *p, struct promql_node *n, bool may_be_empty);

static enum promql_type check_call(struct parser *p, struct promql_node *n)
{
    const struct promql_function *fn = n->call.fn;
    size_t declared = 0;
    assert(fn);
    bool info = fn->id == FN_info && n->call.arg_count > 1;

    while (declared < PROMQL_ARGS_MAX && fn->args[declared] != PROMQL_NONE)
        declared++;
    check_arg_count(p, n, declared);
    if (info)
        check_info(p, n);
    for (size_t i = 0; i < n->call.arg_count; i++) {
        struct promql_node *arg = n->call.args[i];
        if (i >= declared && fn->variadic == 0)
            break;
        enum promql_type want = fn->args[MIN(i, declared - 1)];
        enum promql_type got = info && i == 1 && arg->kind == PROMQL_SELECTOR
                                   ? check_selector(p, arg, true)
                                   : promql_check(p, arg);
        if (got != want)
            promql_report(p, arg->start, arg->end,
                          "expected type %s in call to function \"%s\", got %s",
                          promql_type_name(want), fn->name, promql_type_name(got));
    }
    return fn->result;
}

/* ---- the rest ---- */

static enum promql_type check_selector(struct parser *p, struct promql_node *n, bool may_be_empty)
{
    const struct matcher *m = n->selector.matchers;
    size_t count = n->selector.matcher_count;

    n->type = PROMQL_VECTOR;
    if (n->selector.name.n) {
        for (size_t i = 0; i + 1 < count; i++)
            if (str_eq(m[i].name, LABEL_NAME)) {
                struct str name = promql_quoted(p, n->selector.name);
                struct str again = promql_quoted(p, m[i].value);
                promql_report(p, n->start, n->end,
                              "metric name must not be set twice: %.*s or %.*s", STRF(name),
                              STRF(again));
            }
        return PROMQL_VECTOR;
    }
    for (size_t i = 0; i < count; i++)
        may_be_empty |= !matcher_matches_empty(&m[i]);
    if (!may_be_empty)
        promql_report(p, n->start, n->end,
                      "vector selector must contain at least one non-empty matcher");
    return PROMQL_VECTOR;
}

static enum promql_type check_unary(struct parser *p, struct promql_node *n)
{
    enum promql_type t = promql_check(p, n->unary.expr);

    if (t != PROMQL_SCALAR && t != PROMQL_VECTOR)
        promql_report(p, n->start, n->end,
                      "unary expression only allowed on expressions of type scalar or instant "
                      "vector, got \"%s\"",
                      promql_type_name(t));
    return t;
}

static enum promql_type check_subquery(struct parser *p, struct promql_node *n)
{
    enum promql_type t = promql_check(p, n->subquery.expr);

    if (t != PROMQL_VECTOR)
        promql_report(p, n->start, n->end,
                      "subquery is only allowed on instant vector, got %s instead",
                      promql_type_word(t));
    return PROMQL_MATRIX;
}

static enum promql_type check_node(struct parser *p, struct promql_node *n)
{
    switch (n->kind) {
    case PROMQL_NUMBER:
        return PROMQL_SCALAR;
    case PROMQL_TEXT:
        return PROMQL_STRING;
    case PROMQL_SELECTOR:
        return check_selector(p, n, false);
    case PROMQL_RANGE:
        promql_check(p, n->range.selector);
        return PROMQL_MATRIX;
    case PROMQL_SUBQUERY:
        return check_subquery(p, n);
    case PROMQL_UNARY:
        return check_unary(p, n);
    case PROMQL_BINARY:
        return check_binary(p, n);
    case PROMQL_AGGREGATE:
        return check_aggregate(p, n);
    case PROMQL_CALL:
        return check_call(p, n);
    case PROMQL_PAREN:
        return promql_check(p, n->paren);
    }
    assert(0 && "node without a valid kind");
    return PROMQL_NONE;
}

enum promql_type promql_check(struct parser *p, struct promql_node *n)
{
    assert(n->height <= PROMQL_HEIGHT_MAX); // bounds this recursion and all later ones
    n->type = check_node(p, n);
    assert(n->type != PROMQL_NONE);
    return n->type;
}
