/*
 * promql_json.c - the tree as JSON, in the shape of /api/v1/parse_query.
 *
 * Written by hand rather than through the writer, whose depth is limited: trees are deeper. Keys
 * are in alphabetical order, as upstream sends them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

#include <math.h>

#include "base/num.h"
#include "codec/json.h"

static void json_bool_text(struct buf *b, bool v)
{
    buf_str(b, v ? STR("true") : STR("false"));
}

static void json_text(struct buf *b, const char *s)
{
    buf_json_str(b, str_c(s));
}

// A float as a string, with all its digits.
static void json_float_text(struct buf *b, double v)
{
    buf_char(b, '"');
    buf_double_f(b, v);
    buf_char(b, '"');
}

/* ---- durations ---- */

static const char *duration_op(enum promql_dur_kind kind)
{
    static const char *const ops[] = {
        [DUR_CONST] = "",     [DUR_STEP] = "step", [DUR_RANGE] = "range", [DUR_ADD] = "+",
        [DUR_SUB] = "-",      [DUR_MUL] = "*",     [DUR_DIV] = "/",       [DUR_MOD] = "%",
        [DUR_POW] = "^",      [DUR_NEG] = "-",     [DUR_PLUS] = "+",      [DUR_MIN] = "min_of",
        [DUR_MAX] = "max_of",
    };

    return ops[kind];
}

static void json_duration(struct buf *b, const struct promql_duration *d)
{
    if (!d) {
        buf_lit(b, "null");
        return;
    }
    if (d->kind == DUR_CONST) {
        buf_lit(b, "{\"duration\":");
        json_bool_text(b, d->is_duration);
        buf_lit(b, ",\"type\":\"numberLiteral\",\"val\":");
        json_float_text(b, d->seconds);
        buf_char(b, '}');
        return;
    }
    bool unary = d->kind == DUR_NEG || d->kind == DUR_PLUS; // upstream: a right side alone
    buf_lit(b, "{\"lhs\":");
    json_duration(b, unary ? NULL : d->a);
    buf_lit(b, ",\"op\":");
    json_text(b, duration_op(d->kind));
    buf_lit(b, ",\"rhs\":");
    json_duration(b, unary ? d->a : d->b);
    buf_lit(b, ",\"type\":\"durationExpr\",\"wrapped\":");
    json_bool_text(b, d->wrapped);
    buf_char(b, '}');
}

/* ---- parts ---- */

static void json_strs(struct buf *b, const struct str *v, size_t n)
{
    buf_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(b, ',');
        buf_json_str(b, v[i]);
    }
    buf_char(b, ']');
}

static void json_matchers(struct buf *b, const struct promql_node *s)
{
    buf_lit(b, "\"matchers\":[");
    for (size_t i = 0; i < s->selector.matcher_count; i++) {
        const struct matcher *m = &s->selector.matchers[i];
        if (i)
            buf_char(b, ',');
        buf_lit(b, "{\"name\":");
        buf_json_str(b, m->name);
        buf_lit(b, ",\"type\":");
        json_text(b, match_op_text(m->op));
        buf_lit(b, ",\"value\":");
        buf_json_str(b, m->value);
        buf_char(b, '}');
    }
    buf_lit(b, "],\"name\":");
    buf_json_str(b, s->selector.name);
}

static void json_ms(struct buf *b, const char *key, int64_t ms, const struct promql_duration *expr)
{
    buf_printf(b, ",\"%s\":", key);
    buf_i64(b, expr ? 0 : ms); // upstream shows what was parsed, not what it comes to
    buf_printf(b, ",\"%sExpr\":", key);
    json_duration(b, expr);
}

static void json_at(struct buf *b, enum promql_at at, int64_t at_ms)
{
    buf_lit(b, ",\"startOrEnd\":");
    buf_str(b, at == AT_START ? STR("\"start\"") : at == AT_END ? STR("\"end\"") : STR("null"));
    buf_lit(b, ",\"timestamp\":");
    if (at == AT_TIME)
        buf_i64(b, at_ms);
    else
        buf_lit(b, "null");
}

/* ---- nodes ---- */

static void json_selector(struct buf *b, const struct promql_node *s,
                          const struct promql_node *range)
{
    buf_lit(b, "{\"anchored\":");
    json_bool_text(b, s->selector.anchored);
    buf_char(b, ',');
    json_matchers(b, s);
    json_ms(b, "offset", s->selector.offset_ms, s->selector.offset_expr);
    if (range)
        json_ms(b, "range", range->range.range_ms, range->range.range_expr);
    buf_lit(b, ",\"smoothed\":");
    json_bool_text(b, s->selector.smoothed);
    json_at(b, s->selector.at, s->selector.at_ms);
    buf_str(b, range ? STR(",\"type\":\"matrixSelector\"}") : STR(",\"type\":\"vectorSelector\"}"));
}

static void json_node(struct buf *b, const struct promql_node *n);

static void json_subquery(struct buf *b, const struct promql_node *n)
{
    buf_lit(b, "{\"expr\":");
    json_node(b, n->subquery.expr);
    json_ms(b, "offset", n->subquery.offset_ms, n->subquery.offset_expr);
    json_ms(b, "range", n->subquery.range_ms, n->subquery.range_expr);
    json_ms(b, "step", n->subquery.step_ms, n->subquery.step_expr);
    json_at(b, n->subquery.at, n->subquery.at_ms);
    buf_lit(b, ",\"type\":\"subquery\"}");
}

static void json_fill(struct buf *b, bool has, double v)
{
    if (has && isfinite(v))
        buf_double_json(b, v);
    else
        buf_lit(b, "null");
}

static void json_matching(struct buf *b, const struct promql_node *n)
{
    static const char *const cards[] = {
        [CARD_ONE_TO_ONE] = "one-to-one",
        [CARD_MANY_TO_ONE] = "many-to-one",
        [CARD_ONE_TO_MANY] = "one-to-many",
        [CARD_MANY_TO_MANY] = "many-to-many",
    };

    buf_printf(b, "{\"card\":\"%s\",\"fillValues\":{\"lhs\":", cards[n->binary.card]);
    json_fill(b, n->binary.has_fill_lhs, n->binary.fill_lhs);
    buf_lit(b, ",\"rhs\":");
    json_fill(b, n->binary.has_fill_rhs, n->binary.fill_rhs);
    buf_lit(b, "},\"include\":");
    json_strs(b, n->binary.include, n->binary.include_count);
    buf_lit(b, ",\"labels\":");
    json_strs(b, n->binary.labels, n->binary.label_count);
    buf_lit(b, ",\"on\":");
    json_bool_text(b, n->binary.on);
    buf_char(b, '}');
}

static void json_binary(struct buf *b, const struct promql_node *n)
{
    buf_lit(b, "{\"bool\":");
    json_bool_text(b, n->binary.return_bool);
    buf_lit(b, ",\"lhs\":");
    json_node(b, n->binary.lhs);
    buf_lit(b, ",\"matching\":");
    if (n->binary.has_matching)
        json_matching(b, n);
    else
        buf_lit(b, "null");
    buf_lit(b, ",\"op\":");
    json_text(b, promql_op_text(n->binary.op));
    buf_lit(b, ",\"rhs\":");
    json_node(b, n->binary.rhs);
    buf_lit(b, ",\"type\":\"binaryExpr\"}");
}

static void json_aggregate(struct buf *b, const struct promql_node *n)
{
    buf_lit(b, "{\"expr\":");
    json_node(b, n->aggregate.expr);
    buf_lit(b, ",\"grouping\":");
    json_strs(b, n->aggregate.grouping, n->aggregate.grouping_count);
    buf_lit(b, ",\"op\":");
    json_text(b, promql_agg_name(n->aggregate.op));
    buf_lit(b, ",\"param\":");
    if (n->aggregate.param)
        json_node(b, n->aggregate.param);
    else
        buf_lit(b, "null");
    buf_lit(b, ",\"type\":\"aggregation\",\"without\":");
    json_bool_text(b, n->aggregate.without);
    buf_char(b, '}');
}

static void json_function(struct buf *b, const struct promql_function *fn)
{
    buf_lit(b, "{\"argTypes\":[");
    for (size_t i = 0; i < PROMQL_ARGS_MAX && fn->args[i] != PROMQL_NONE; i++) {
        if (i)
            buf_char(b, ',');
        json_text(b, promql_type_word(fn->args[i]));
    }
    buf_lit(b, "],\"name\":");
    json_text(b, fn->name);
    buf_lit(b, ",\"returnType\":");
    json_text(b, promql_type_word(fn->result));
    buf_lit(b, ",\"variadic\":");
    buf_i64(b, fn->variadic);
    buf_char(b, '}');
}

static void json_call(struct buf *b, const struct promql_node *n)
{
    buf_lit(b, "{\"args\":[");
    for (size_t i = 0; i < n->call.arg_count; i++) {
        if (i)
            buf_char(b, ',');
        json_node(b, n->call.args[i]);
    }
    buf_lit(b, "],\"func\":");
    json_function(b, n->call.fn);
    buf_lit(b, ",\"type\":\"call\"}");
}

static void json_node(struct buf *b, const struct promql_node *n)
{
    switch (n->kind) {
    case PROMQL_NUMBER:
        buf_lit(b, "{\"type\":\"numberLiteral\",\"val\":");
        json_float_text(b, n->number.value);
        buf_char(b, '}');
        break;
    case PROMQL_TEXT:
        buf_lit(b, "{\"type\":\"stringLiteral\",\"val\":");
        buf_json_str(b, n->text);
        buf_char(b, '}');
        break;
    case PROMQL_SELECTOR:
        json_selector(b, n, NULL);
        break;
    case PROMQL_RANGE:
        json_selector(b, n->range.selector, n);
        break;
    case PROMQL_SUBQUERY:
        json_subquery(b, n);
        break;
    case PROMQL_UNARY:
        buf_lit(b, "{\"expr\":");
        json_node(b, n->unary.expr);
        buf_str(b, n->unary.negative ? STR(",\"op\":\"-\"") : STR(",\"op\":\"+\""));
        buf_lit(b, ",\"type\":\"unaryExpr\"}");
        break;
    case PROMQL_BINARY:
        json_binary(b, n);
        break;
    case PROMQL_AGGREGATE:
        json_aggregate(b, n);
        break;
    case PROMQL_CALL:
        json_call(b, n);
        break;
    case PROMQL_PAREN:
        buf_lit(b, "{\"expr\":");
        json_node(b, n->paren);
        buf_lit(b, ",\"type\":\"parenExpr\"}");
        break;
    }
}

void promql_json(struct json_writer *w, const struct promql_node *n)
{
    json_raw(w, STR("")); // the comma, if one is due
    json_node(w->out, n);
}
