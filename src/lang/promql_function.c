/*
 * promql_function.c - the table of functions, and the words for types, operators, aggregations.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

const char *promql_type_name(enum promql_type t)
{
    static const char *const names[] = { "none", "scalar", "instant vector", "range vector",
                                         "string" };

    assert((size_t)t < ARRAY_LEN(names));
    return names[t];
}

const char *promql_type_word(enum promql_type t)
{
    static const char *const words[] = { "none", "scalar", "vector", "matrix", "string" };

    assert((size_t)t < ARRAY_LEN(words));
    return words[t];
}

const char *promql_op_text(enum promql_op op)
{
    static const char *const texts[] = {
        [PROMQL_ADD] = "+",       [PROMQL_SUB] = "-",         [PROMQL_MUL] = "*",
        [PROMQL_DIV] = "/",       [PROMQL_MOD] = "%",         [PROMQL_POW] = "^",
        [PROMQL_ATAN2] = "atan2", [PROMQL_EQ] = "==",         [PROMQL_NE] = "!=",
        [PROMQL_LT] = "<",        [PROMQL_LE] = "<=",         [PROMQL_GT] = ">",
        [PROMQL_GE] = ">=",       [PROMQL_TRIM_UPPER] = "</", [PROMQL_TRIM_LOWER] = ">/",
        [PROMQL_AND] = "and",     [PROMQL_OR] = "or",         [PROMQL_UNLESS] = "unless",
    };

    assert((size_t)op < ARRAY_LEN(texts));
    return texts[op];
}

const char *promql_agg_name(enum promql_agg a)
{
    static const char *const names[] = {
        [AGG_SUM] = "sum",           [AGG_AVG] = "avg",
        [AGG_MIN] = "min",           [AGG_MAX] = "max",
        [AGG_GROUP] = "group",       [AGG_COUNT] = "count",
        [AGG_STDDEV] = "stddev",     [AGG_STDVAR] = "stdvar",
        [AGG_TOPK] = "topk",         [AGG_BOTTOMK] = "bottomk",
        [AGG_QUANTILE] = "quantile", [AGG_COUNT_VALUES] = "count_values",
        [AGG_LIMITK] = "limitk",     [AGG_LIMIT_RATIO] = "limit_ratio",
    };

    assert((size_t)a < ARRAY_LEN(names));
    return names[a];
}

#define S PROMQL_SCALAR
#define V PROMQL_VECTOR
#define M PROMQL_MATRIX
#define T PROMQL_STRING
#define ARGS(...)   \
    {               \
        __VA_ARGS__ \
    }
#define FN(name, args, variadic, result, flags) \
    [FN_##name] = { #name, args, variadic, result, flags, FN_##name }
#define V_TO_V(name)     FN(name, ARGS(V), 0, V, 0)
#define M_TO_V(name)     FN(name, ARGS(M), 0, V, 0)
#define DATE(name)       FN(name, ARGS(V), 1, V, 0)
#define M_TO_V_EXP(name) FN(name, ARGS(M), 0, V, FN_EXPERIMENTAL)
#define TO_S_EXP(name)   FN(name, ARGS(PROMQL_NONE), 0, S, FN_EXPERIMENTAL)

// Sorted by name, as enum promql_fn is.
static const struct promql_function functions[] = {
    V_TO_V(abs),
    V_TO_V(absent),
    M_TO_V(absent_over_time),
    V_TO_V(acos),
    V_TO_V(acosh),
    V_TO_V(asin),
    V_TO_V(asinh),
    V_TO_V(atan),
    V_TO_V(atanh),
    M_TO_V(avg_over_time),
    V_TO_V(ceil),
    M_TO_V(changes),
    FN(clamp, ARGS(V, S, S), 0, V, 0),
    FN(clamp_max, ARGS(V, S), 0, V, 0),
    FN(clamp_min, ARGS(V, S), 0, V, 0),
    V_TO_V(cos),
    V_TO_V(cosh),
    M_TO_V(count_over_time),
    DATE(day_of_month),
    DATE(day_of_week),
    DATE(day_of_year),
    DATE(days_in_month),
    V_TO_V(deg),
    M_TO_V(delta),
    M_TO_V(deriv),
    FN(double_exponential_smoothing, ARGS(M, S, S), 0, V, FN_EXPERIMENTAL),
    TO_S_EXP(end),
    V_TO_V(exp),
    M_TO_V(first_over_time),
    V_TO_V(floor),
    V_TO_V(histogram_avg),
    V_TO_V(histogram_count),
    FN(histogram_fraction, ARGS(S, S, V), 0, V, 0),
    FN(histogram_quantile, ARGS(S, V), 0, V, 0),
    FN(histogram_quantiles, ARGS(V, T, S, S), 9, V, FN_EXPERIMENTAL),
    V_TO_V(histogram_stddev),
    V_TO_V(histogram_stdvar),
    V_TO_V(histogram_sum),
    FN(holt_winters, ARGS(M, S, S), 0, V, 0), // of Prometheus 2
    DATE(hour),
    M_TO_V(idelta),
    M_TO_V(increase),
    FN(info, ARGS(V, V), 1, V, FN_EXPERIMENTAL),
    M_TO_V(irate),
    FN(label_join, ARGS(V, T, T, T), -1, V, 0),
    FN(label_replace, ARGS(V, T, T, T, T), 0, V, 0),
    M_TO_V(last_over_time),
    V_TO_V(ln),
    V_TO_V(log10),
    V_TO_V(log2),
    M_TO_V_EXP(mad_over_time),
    FN(max_of, ARGS(S, S), 0, S, FN_EXPERIMENTAL),
    M_TO_V(max_over_time),
    FN(min_of, ARGS(S, S), 0, S, FN_EXPERIMENTAL),
    M_TO_V(min_over_time),
    DATE(minute),
    DATE(month),
    FN(pi, ARGS(PROMQL_NONE), 0, S, 0),
    FN(predict_linear, ARGS(M, S), 0, V, 0),
    M_TO_V(present_over_time),
    FN(quantile_over_time, ARGS(S, M), 0, V, 0),
    V_TO_V(rad),
    TO_S_EXP(range),
    M_TO_V(rate),
    M_TO_V(resets),
    FN(round, ARGS(V, S), 1, V, 0),
    FN(scalar, ARGS(V), 0, S, 0),
    V_TO_V(sgn),
    V_TO_V(sin),
    V_TO_V(sinh),
    V_TO_V(sort),
    FN(sort_by_label, ARGS(V, T), -1, V, FN_EXPERIMENTAL),
    FN(sort_by_label_desc, ARGS(V, T), -1, V, FN_EXPERIMENTAL),
    V_TO_V(sort_desc),
    V_TO_V(sqrt),
    TO_S_EXP(start),
    FN(start_timestamp, ARGS(V), 0, V, FN_EXPERIMENTAL),
    M_TO_V(stddev_over_time),
    M_TO_V(stdvar_over_time),
    TO_S_EXP(step),
    M_TO_V(sum_over_time),
    V_TO_V(tan),
    V_TO_V(tanh),
    FN(time, ARGS(PROMQL_NONE), 0, S, 0),
    V_TO_V(timestamp),
    M_TO_V_EXP(ts_of_first_over_time),
    M_TO_V_EXP(ts_of_last_over_time),
    M_TO_V_EXP(ts_of_max_over_time),
    M_TO_V_EXP(ts_of_min_over_time),
    FN(vector, ARGS(S), 0, V, 0),
    DATE(year),
};
static_assert(ARRAY_LEN(functions) == FN_COUNT, "one row per function");

const struct promql_function *promql_function_find(struct str name)
{
    size_t from = 0, to = ARRAY_LEN(functions);

    while (from < to) {
        size_t middle = (from + to) / 2;
        int c = str_cmp(name, str_c(functions[middle].name));

        if (c == 0)
            return &functions[middle];
        if (c < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

/* ---- walking ---- */

void promql_walk(struct promql_node *n, void (*visit)(void *ctx, struct promql_node *n), void *ctx)
{
    if (!n)
        return;
    visit(ctx, n);
    switch (n->kind) {
    case PROMQL_NUMBER:
    case PROMQL_TEXT:
    case PROMQL_SELECTOR:
        break;
    case PROMQL_RANGE:
        promql_walk(n->range.selector, visit, ctx);
        break;
    case PROMQL_SUBQUERY:
        promql_walk(n->subquery.expr, visit, ctx);
        break;
    case PROMQL_UNARY:
        promql_walk(n->unary.expr, visit, ctx);
        break;
    case PROMQL_BINARY:
        promql_walk(n->binary.lhs, visit, ctx);
        promql_walk(n->binary.rhs, visit, ctx);
        break;
    case PROMQL_AGGREGATE:
        promql_walk(n->aggregate.expr, visit, ctx);
        promql_walk(n->aggregate.param, visit, ctx);
        break;
    case PROMQL_CALL:
        for (size_t i = 0; i < n->call.arg_count; i++)
            promql_walk(n->call.args[i], visit, ctx);
        break;
    case PROMQL_PAREN:
        promql_walk(n->paren, visit, ctx);
        break;
    }
}
