/*
 * promql_parse.c - expressions: operators by precedence, calls, aggregations, and the entry points.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

#include "base/regex.h"

enum { LABELS_MAX = 1000 }; // of one grouping: some checks compare each with each

enum { PREC_OR = 1, PREC_AND, PREC_COMPARE, PREC_ADD, PREC_MUL, PREC_POW };

struct promql_node *promql_node_new(struct parser *p, enum promql_kind kind, uint32_t start,
                                    uint32_t end)
{
    struct promql_node *n = arena_new(p->a, struct promql_node);

    n->kind = kind;
    n->start = start;
    n->end = end;
    n->height = 1;
    return n;
}

void promql_node_raise(struct parser *p, struct promql_node *n, const struct promql_node *below)
{
    if (!below || below->height < n->height)
        return;
    n->height = below->height + 1;
    if (n->height > PROMQL_HEIGHT_MAX && !p->too_high) {
        promql_report(p, n->start, n->end, "expression has more than %d levels", PROMQL_HEIGHT_MAX);
        p->too_high = p->aborted = true;
    }
}

/* ---- words that stand for several things ---- */

bool promql_tok_is_metric(enum tok t)
{
    return t == T_IDENTIFIER || t == T_METRIC_IDENTIFIER || tok_is_aggregator(t) || t == T_BY ||
           t == T_WITHOUT || t == T_AND || t == T_OR || t == T_UNLESS || t == T_OFFSET ||
           t == T_ANCHORED || t == T_SMOOTHED || (t >= T_FILL && t <= T_FILL_RIGHT) ||
           (t >= T_START && t <= T_MIN_OF);
}

bool promql_tok_is_label(enum tok t)
{
    return (promql_tok_is_metric(t) && t != T_WITHOUT) || t == T_BOOL || t == T_GROUP_LEFT ||
           t == T_GROUP_RIGHT || t == T_IGNORING || t == T_ON || t == T_ATAN2;
}

static bool tok_starts_expr(enum tok t)
{
    return promql_tok_is_metric(t) || t == T_NUMBER || t == T_DURATION || t == T_STRING ||
           t == T_LEFT_PAREN || t == T_LEFT_BRACE || t == T_ADD || t == T_SUB;
}

/* ---- grouping labels ---- */

struct grouping {
    VEC(struct str) labels;
};

static void grouping_add(struct parser *p, struct grouping *g, struct str label)
{
    if (g->labels.n < LABELS_MAX)
        *vec_push_in(p->a, &g->labels) = label;
    else if (g->labels.n == LABELS_MAX && p->errors.n == 0)
        promql_report_here(p, "more than %d labels in grouping", LABELS_MAX);
}

static struct str grouping_label(struct parser *p)
{
    struct token t = promql_take(p);
    struct str label = t.t == T_STRING ? promql_unquote(p, t.val) : t.val;

    if (label.n == 0 || !str_is_utf8(label)) {
        struct str quoted = promql_quoted(p, label);
        promql_report(p, t.pos, token_end(&t), "invalid label name for grouping: %.*s",
                      STRF(quoted));
    }
    return label;
}

// A label, or what stands in its place. False: aborted, or, with *done, a right parenthesis taken.
static bool grouping_item(struct parser *p, struct grouping *g, bool *done)
{
    for (;;) {
        enum tok t = promql_peek(p);

        if (t == T_RIGHT_PAREN) {
            promql_take(p);
            *done = true;
            return false;
        }
        if (t == T_STRING || promql_tok_is_label(t)) {
            grouping_add(p, g, grouping_label(p));
            return true;
        }
        switch (promql_miss(p)) {
        case MISS_ABORT:
            return false;
        case MISS_ERROR:
            promql_unexpected(p, "grouping opts", "label");
            return true;
        case MISS_DROPPED:
            break;
        }
    }
}

// A comma, or with *done a right parenthesis. False: aborted.
static bool grouping_separator(struct parser *p, bool *done)
{
    for (;;) {
        enum tok t = promql_peek(p);
        enum miss miss;

        if (t == T_COMMA || t == T_RIGHT_PAREN) {
            promql_take(p);
            *done = t == T_RIGHT_PAREN;
            return true;
        }
        miss = promql_miss(p);
        if (miss == MISS_ABORT)
            return false;
        if (miss == MISS_ERROR)
            promql_unexpected(p, "grouping opts", "\",\" or \")\"");
    }
}

bool promql_rule_grouping(struct parser *p, struct strs *out)
{
    struct grouping g = { 0 };
    bool done = false;
    enum miss miss;

    while (promql_peek(p) != T_LEFT_PAREN) {
        miss = promql_miss(p);
        if (miss == MISS_ABORT)
            return false;
        if (miss == MISS_ERROR) {
            promql_unexpected(p, "grouping opts", "\"(\"");
            *out = (struct strs){ NULL, 0 };
            return true;
        }
    }
    promql_take(p);
    while (!done) {
        if (!grouping_item(p, &g, &done)) {
            if (done)
                break;
            return false;
        }
        if (!grouping_separator(p, &done))
            return false;
    }
    *out = (struct strs){ g.labels.v, g.labels.n };
    return true;
}

/* ---- calls and aggregations ---- */

struct arguments {
    VEC(struct promql_node *) v;
};

// Behind the left parenthesis, up to and with the right one. False: falls back.
static bool parse_arguments(struct parser *p, struct arguments *out)
{
    for (;;) { // the first, or an empty list
        enum tok t = promql_peek(p);
        if (t == T_RIGHT_PAREN) {
            promql_take(p);
            return true;
        }
        if (tok_starts_expr(t))
            break;
        if (promql_miss(p) != MISS_DROPPED)
            return false;
    }
    for (;;) {
        struct promql_node *n = promql_rule_expr(p, 0);
        if (!n)
            return false;
        *vec_push_in(p->a, &out->v) = n;
        for (;;) { // up to the start of the next
            enum tok t = promql_peek(p);
            if (t == T_RIGHT_PAREN) {
                promql_take(p);
                return true;
            }
            if (t == T_COMMA) {
                struct token comma = promql_take(p);
                if (tok_starts_expr(promql_peek(p)))
                    break;
                promql_report(p, comma.pos, token_end(&comma),
                              "trailing commas not allowed in function call args");
            } else if (promql_miss(p) != MISS_DROPPED) {
                return false;
            }
        }
    }
}

static struct promql_node *parse_call(struct parser *p, const struct token *name)
{
    struct arguments args = { 0 };

    struct token open = promql_take(p);
    assert(open.t == T_LEFT_PAREN);
    if (!parse_arguments(p, &args))
        return NULL;
    struct promql_node *n = promql_node_new(p, PROMQL_CALL, name->pos, p->last_closing);
    n->call.fn = promql_function_find(name->val);
    if (n->call.fn && n->call.fn->id == FN_holt_winters && p->options.no_old_functions)
        n->call.fn = NULL;
    if (!n->call.fn) {
        struct str quoted = promql_quoted(p, name->val);
        promql_report(p, name->pos, token_end(name), "unknown function with name %.*s",
                      STRF(quoted));
    } else if ((n->call.fn->flags & FN_EXPERIMENTAL) && p->options.no_experimental_functions) {
        struct str quoted = promql_quoted(p, name->val);
        promql_report(p, name->pos, token_end(name), "function %.*s is not enabled", STRF(quoted));
    }
    n->call.args = args.v.v;
    n->call.arg_count = args.v.n;
    for (size_t i = 0; i < args.v.n; i++)
        promql_node_raise(p, n, args.v.v[i]);
    return n;
}

// by or without and their labels, if the next token is one of them. False: aborted.
static bool parse_aggregate_modifier(struct parser *p, struct promql_node *n, bool *found)
{
    struct strs labels;
    enum tok t = promql_peek(p);

    *found = t == T_BY || t == T_WITHOUT;
    if (!*found)
        return true;
    promql_take(p);
    if (!promql_rule_grouping(p, &labels))
        return false;
    n->aggregate.grouping = labels.v;
    n->aggregate.grouping_count = labels.n;
    n->aggregate.without = t == T_WITHOUT;
    return true;
}

// The modifier and the arguments in either order. False: falls back.
static bool parse_aggregate_body(struct parser *p, struct promql_node *n, struct arguments *args,
                                 bool *overread)
{
    struct token paren;
    bool found;

    if (!parse_aggregate_modifier(p, n, &found) || !promql_expect(p, T_LEFT_PAREN, &paren) ||
        !parse_arguments(p, args))
        return false;
    if (!found && !parse_aggregate_modifier(p, n, &found))
        return false;
    *overread = !found;
    return true;
}

/*
 * The end of an aggregation behind which one token was read to see that no modifier follows: when
 * that was a right parenthesis too, the one before it.
 */
static uint32_t previous_right_paren(const struct parser *p)
{
    uint32_t last = p->tok.pos;

    if (p->last_closing == 0 || last == 0 || last >= p->text.n || p->text.p[last] != ')')
        return p->last_closing;
    for (uint32_t i = last - 1; i > 0; i--) {
        if (p->text.p[i] == ')')
            return i + 1;
        if (!byte_is_space((unsigned char)p->text.p[i]))
            break;
    }
    return p->last_closing;
}

static bool agg_has_param(enum promql_agg op)
{
    return op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_QUANTILE || op == AGG_COUNT_VALUES ||
           op == AGG_LIMITK || op == AGG_LIMIT_RATIO;
}

static bool agg_is_experimental(enum promql_agg op)
{
    return op == AGG_LIMITK || op == AGG_LIMIT_RATIO;
}

static enum promql_agg agg_of(enum tok t)
{
    static const enum promql_agg aggs[] = {
        [T_AVG - T_AVG] = AGG_AVG,       [T_BOTTOMK - T_AVG] = AGG_BOTTOMK,
        [T_COUNT - T_AVG] = AGG_COUNT,   [T_COUNT_VALUES - T_AVG] = AGG_COUNT_VALUES,
        [T_GROUP - T_AVG] = AGG_GROUP,   [T_MAX - T_AVG] = AGG_MAX,
        [T_MIN - T_AVG] = AGG_MIN,       [T_QUANTILE - T_AVG] = AGG_QUANTILE,
        [T_STDDEV - T_AVG] = AGG_STDDEV, [T_STDVAR - T_AVG] = AGG_STDVAR,
        [T_SUM - T_AVG] = AGG_SUM,       [T_TOPK - T_AVG] = AGG_TOPK,
        [T_LIMITK - T_AVG] = AGG_LIMITK, [T_LIMIT_RATIO - T_AVG] = AGG_LIMIT_RATIO,
    };

    assert(tok_is_aggregator(t));
    return aggs[t - T_AVG];
}

// The operator is taken; a parenthesis or a modifier follows. Catches errors of what is inside.
static struct promql_node *parse_aggregate(struct parser *p, const struct token *op)
{
    struct promql_node *n = promql_node_new(p, PROMQL_AGGREGATE, op->pos, 0);
    struct arguments args = { 0 };
    bool overread = false;

    n->aggregate.op = agg_of(op->t);
    if (!parse_aggregate_body(p, n, &args, &overread)) {
        if (p->aborted)
            return NULL;
        promql_unexpected(p, "aggregation", NULL);
        args.v.n = 0;
    }
    assert(!p->aborted);
    n->end = overread ? previous_right_paren(p) : p->last_closing;
    size_t want = agg_has_param(n->aggregate.op) ? 2 : 1;
    if (args.v.n == 0) {
        promql_report(p, n->start, n->end, "no arguments for aggregate expression provided");
    } else if (agg_is_experimental(n->aggregate.op) && p->options.no_experimental_functions) {
        promql_report(p, n->start, n->end,
                      "%s() is experimental and must be enabled with "
                      "--enable-feature=promql-experimental-functions",
                      promql_agg_name(n->aggregate.op));
    } else if (args.v.n != want) {
        promql_report(p, n->start, n->end,
                      "wrong number of arguments for aggregate expression provided, expected %zu, "
                      "got %zu",
                      want, args.v.n);
    } else {
        n->aggregate.expr = args.v.v[want - 1];
        n->aggregate.param = want == 2 ? args.v.v[0] : NULL;
        promql_node_raise(p, n, n->aggregate.expr);
        promql_node_raise(p, n, n->aggregate.param);
    }
    return n;
}

/* ---- operands ---- */

static struct promql_node *parse_word(struct parser *p)
{
    struct token word = promql_take(p);
    enum tok t = promql_peek(p);

    if (tok_is_aggregator(word.t) && (t == T_LEFT_PAREN || t == T_BY || t == T_WITHOUT))
        return parse_aggregate(p, &word);
    if ((word.t == T_IDENTIFIER || (word.t >= T_START && word.t <= T_MIN_OF)) && t == T_LEFT_PAREN)
        return parse_call(p, &word);
    return promql_rule_selector(p, &word);
}

static struct promql_node *parse_literal(struct parser *p)
{
    struct token t = promql_take(p);
    bool text = t.t == T_STRING;
    struct promql_node *n = promql_node_new(p, text ? PROMQL_TEXT : PROMQL_NUMBER, t.pos,
                                            token_end(&t));

    if (text) {
        n->text = promql_unquote(p, t.val);
    } else {
        n->number.value = promql_number_value(p, &t);
        n->number.is_duration = t.t == T_DURATION;
    }
    return n;
}

// A sign binds like a product: weaker than ^. Literals take it in.
static struct promql_node *parse_unary(struct parser *p)
{
    struct token sign = promql_take(p);
    struct promql_node *operand = promql_rule_expr(p, PREC_POW);

    if (!operand)
        return NULL;
    if (operand->kind == PROMQL_NUMBER) {
        if (sign.t == T_SUB)
            operand->number.value = -operand->number.value;
        operand->start = sign.pos;
        return operand;
    }
    struct promql_node *n = promql_node_new(p, PROMQL_UNARY, sign.pos, operand->end);
    n->unary.negative = sign.t == T_SUB;
    n->unary.expr = operand;
    promql_node_raise(p, n, operand);
    return n;
}

static struct promql_node *parse_operators(struct parser *p, struct promql_node *lhs,
                                           int precedence_min);

static struct promql_node *parse_paren(struct parser *p)
{
    struct token open = promql_take(p), close;
    struct promql_node *inner = promql_rule_expr(p, 0);

    while (inner && promql_peek(p) != T_RIGHT_PAREN) {
        if (promql_miss(p) != MISS_DROPPED)
            return NULL;
        inner = parse_operators(p, inner, 0);
    }
    if (!inner)
        return NULL;
    close = promql_take(p);
    struct promql_node *n = promql_node_new(p, PROMQL_PAREN, open.pos, token_end(&close));
    n->paren = inner;
    promql_node_raise(p, n, inner);
    return n;
}

static struct promql_node *parse_operand(struct parser *p)
{
    for (;;) {
        enum tok t = promql_peek(p);

        if (t == T_NUMBER || t == T_DURATION || t == T_STRING)
            return parse_literal(p);
        if (t == T_LEFT_PAREN)
            return parse_paren(p);
        if (t == T_ADD || t == T_SUB)
            return parse_unary(p);
        if (t == T_LEFT_BRACE)
            return promql_rule_selector(p, NULL);
        if (promql_tok_is_metric(t))
            return parse_word(p);
        if (promql_miss(p) != MISS_DROPPED)
            return NULL;
    }
}

/* ---- binary operators ---- */

struct binary_op {
    enum promql_op op;
    int precedence; // 0: no binary operator
};

static struct binary_op binary_op(enum tok t)
{
    static const struct binary_op ops[] = {
        [T_ADD] = { PROMQL_ADD, PREC_ADD },
        [T_SUB] = { PROMQL_SUB, PREC_ADD },
        [T_MUL] = { PROMQL_MUL, PREC_MUL },
        [T_DIV] = { PROMQL_DIV, PREC_MUL },
        [T_MOD] = { PROMQL_MOD, PREC_MUL },
        [T_ATAN2] = { PROMQL_ATAN2, PREC_MUL },
        [T_POW] = { PROMQL_POW, PREC_POW },
        [T_EQLC] = { PROMQL_EQ, PREC_COMPARE },
        [T_NEQ] = { PROMQL_NE, PREC_COMPARE },
        [T_LSS] = { PROMQL_LT, PREC_COMPARE },
        [T_LTE] = { PROMQL_LE, PREC_COMPARE },
        [T_GTR] = { PROMQL_GT, PREC_COMPARE },
        [T_GTE] = { PROMQL_GE, PREC_COMPARE },
        [T_TRIM_UPPER] = { PROMQL_TRIM_UPPER, PREC_COMPARE },
        [T_TRIM_LOWER] = { PROMQL_TRIM_LOWER, PREC_COMPARE },
        [T_AND] = { PROMQL_AND, PREC_AND },
        [T_UNLESS] = { PROMQL_UNLESS, PREC_AND },
        [T_OR] = { PROMQL_OR, PREC_OR },
    };

    return (size_t)t < ARRAY_LEN(ops) ? ops[t] : (struct binary_op){ PROMQL_ADD, 0 };
}

static bool parse_fill_value(struct parser *p, double *out)
{
    struct token t;
    bool negative = false;

    if (!promql_expect(p, T_LEFT_PAREN, &t))
        return false;
    if (promql_peek(p) == T_ADD || p->look == T_SUB)
        negative = promql_take(p).t == T_SUB;
    if (promql_peek(p) != T_NUMBER && p->look != T_DURATION) {
        enum miss miss = promql_miss(p);
        assert(miss != MISS_DROPPED); // a token was taken just before
        return false;
    }
    t = promql_take(p);
    *out = promql_number_value(p, &t);
    if (negative)
        *out = -*out;
    return promql_expect(p, T_RIGHT_PAREN, &t);
}

static bool parse_fill(struct parser *p, struct promql_node *n)
{
    enum tok t = promql_peek(p);
    double v;

    if (t != T_FILL && t != T_FILL_LEFT && t != T_FILL_RIGHT)
        return true;
    promql_take(p);
    if (!parse_fill_value(p, &v))
        return false;
    n->binary.has_fill_lhs = t != T_FILL_RIGHT;
    n->binary.has_fill_rhs = t != T_FILL_LEFT;
    n->binary.fill_lhs = n->binary.fill_rhs = v;
    if (t == T_FILL_LEFT && promql_peek(p) == T_FILL_RIGHT) {
        promql_take(p);
        n->binary.has_fill_rhs = true;
        return parse_fill_value(p, &n->binary.fill_rhs);
    }
    if (t == T_FILL_RIGHT && promql_peek(p) == T_FILL_LEFT) {
        promql_take(p);
        n->binary.has_fill_lhs = true;
        return parse_fill_value(p, &n->binary.fill_lhs);
    }
    return true;
}

// group_left or group_right, with or without labels.
static bool parse_group_side(struct parser *p, struct promql_node *n)
{
    struct strs include = { NULL, 0 };
    enum tok t = promql_peek(p);

    if (t != T_GROUP_LEFT && t != T_GROUP_RIGHT)
        return true;
    promql_take(p);
    n->binary.card = t == T_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
    bool bare = promql_peek(p) != T_LEFT_PAREN && tok_starts_expr(p->look);
    if (!bare && !promql_rule_grouping(p, &include))
        return false;
    n->binary.include = include.v;
    n->binary.include_count = include.n;
    return true;
}

static bool parse_binary_modifiers(struct parser *p, struct promql_node *n)
{
    struct strs labels;

    if (promql_peek(p) == T_BOOL) {
        promql_take(p);
        n->binary.return_bool = true;
    }
    if (promql_peek(p) == T_ON || p->look == T_IGNORING) {
        n->binary.on = promql_take(p).t == T_ON;
        if (!promql_rule_grouping(p, &labels))
            return false;
        n->binary.labels = labels.v;
        n->binary.label_count = labels.n;
        if (!parse_group_side(p, n))
            return false;
    }
    return parse_fill(p, n);
}

static struct promql_node *parse_binary(struct parser *p, struct promql_node *lhs,
                                        struct binary_op op)
{
    struct token t = promql_take(p);
    struct promql_node *n = promql_node_new(p, PROMQL_BINARY, lhs->start, 0);

    n->binary.op = op.op;
    n->binary.op_start = t.pos;
    n->binary.op_end = token_end(&t);
    n->binary.has_matching = true; // until the types are checked
    if (!parse_binary_modifiers(p, n))
        return NULL;
    n->binary.lhs = lhs;
    n->binary.rhs = promql_rule_expr(p, op.precedence == PREC_POW ? PREC_POW : op.precedence + 1);
    if (!n->binary.rhs)
        return NULL;
    n->end = n->binary.rhs->end;
    if ((n->binary.has_fill_lhs || n->binary.has_fill_rhs) && p->options.no_fill_modifiers)
        promql_report(p, n->start, n->end, "binop fill modifiers are experimental and not enabled");
    promql_node_raise(p, n, lhs);
    promql_node_raise(p, n, n->binary.rhs);
    return p->aborted ? NULL : n;
}

// What may follow an operand: modifiers, and operators of at least this precedence.
static struct promql_node *parse_operators(struct parser *p, struct promql_node *lhs,
                                           int precedence_min)
{
    while (lhs && !p->aborted) {
        enum tok t = promql_peek(p);
        struct binary_op op = binary_op(t);

        if (promql_tok_is_postfix(t))
            lhs = promql_rule_postfix(p, lhs);
        else if (op.precedence && op.precedence >= precedence_min)
            lhs = parse_binary(p, lhs, op);
        else
            break;
    }
    return p->aborted ? NULL : lhs;
}

struct promql_node *promql_rule_expr(struct parser *p, int precedence_min)
{
    if (!promql_enter(p))
        return NULL;
    struct promql_node *n = parse_operators(p, parse_operand(p), precedence_min);
    promql_leave(p);
    return n;
}

/* ---- whole texts ---- */

static bool fits(struct parser *p)
{
    if (p->text.n <= PROMQL_TEXT_MAX)
        return true;
    promql_report(p, 0, 0, "query of %zu bytes is longer than %d", p->text.n, PROMQL_TEXT_MAX);
    return false;
}

static void parse_query(struct parser *p, struct promql *q)
{
    if (promql_peek(p) == T_EOF) {
        promql_take(p);
        promql_report(p, 0, 0, "no expression found in input");
        return;
    }
    q->root = promql_rule_expr(p, 0);
    if (!q->root && !p->aborted)
        promql_unexpected(p, NULL, NULL);
    if (promql_finish(p) && q->root)
        promql_check(p, q->root);
}

bool promql_parse_with(struct arena *a, struct str text, const struct promql_options *o,
                       struct promql *q, struct err *e)
{
    struct parser p;

    *q = (struct promql){ .text = text };
    promql_parser_init(&p, a, str_sub(text, 0, PROMQL_TEXT_MAX + 1));
    if (o)
        p.options = *o;
    if (fits(&p))
        parse_query(&p, q);
    bool ok = promql_result(&p, q, e);
    promql_parser_fini(&p);
    return ok;
}

bool promql_parse(struct arena *a, struct str text, struct promql *q, struct err *e)
{
    return promql_parse_with(a, text, NULL, q, e);
}

static void parse_only_selector(struct parser *p, struct promql *q)
{
    struct token name;

    for (;;) {
        enum tok t = promql_peek(p);
        if (t == T_LEFT_BRACE) {
            q->root = promql_rule_selector(p, NULL);
            break;
        }
        if (promql_tok_is_metric(t)) {
            name = promql_take(p);
            q->root = promql_rule_selector(p, &name);
            break;
        }
        if (promql_miss(p) != MISS_DROPPED)
            break;
    }
    if (!q->root && !p->aborted)
        promql_unexpected(p, NULL, NULL);
    if (q->root)
        q->root->type = PROMQL_VECTOR;
    promql_finish(p);
}

bool promql_parse_selector(struct arena *a, struct str text, struct promql *q, struct err *e)
{
    struct parser p;

    *q = (struct promql){ .text = text };
    promql_parser_init(&p, a, str_sub(text, 0, PROMQL_TEXT_MAX + 1));
    if (fits(&p))
        parse_only_selector(&p, q);
    bool ok = promql_result(&p, q, e);
    promql_parser_fini(&p);
    return ok;
}
