/*
 * promql.h - PromQL: from text to a checked tree, and back to text.
 *
 * The tree lives in the caller's arena and holds slices of the text, which must
 * live as long. Parsing evaluates nothing, except that duration expressions
 * keep their own small tree (promql_duration) until start, end and step are
 * known. Language of Prometheus 3.15 with experimental functions, duration
 * expressions, anchored/smoothed selectors and fill modifiers on, unless
 * struct promql_options says otherwise.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "model/histogram.h"
#include "model/matcher.h"

struct json_writer; // codec/json.h

enum {
    PROMQL_DEPTH_MAX = 400,   // parentheses, calls, signs, right operands inside each other
    PROMQL_HEIGHT_MAX = 2000, // of the tree: a + b + c + … is one level per operator
    PROMQL_TEXT_MAX = 1 << 20,
    PROMQL_SEQ_MAX = 1 << 20, // values of one series line after expansion
    PROMQL_PRETTY_WIDTH = 100,
};

enum promql_type { PROMQL_NONE, PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };
// As people say: "instant vector", "range vector", ….
const char *promql_type_name(enum promql_type t);
// As the API says: "vector", "matrix", ….
const char *promql_type_word(enum promql_type t);

enum promql_kind {
    PROMQL_NUMBER,
    PROMQL_TEXT,
    PROMQL_SELECTOR,
    PROMQL_RANGE,
    PROMQL_SUBQUERY,
    PROMQL_UNARY,
    PROMQL_BINARY,
    PROMQL_AGGREGATE,
    PROMQL_CALL,
    PROMQL_PAREN,
};

enum promql_op {
    PROMQL_ADD,
    PROMQL_SUB,
    PROMQL_MUL,
    PROMQL_DIV,
    PROMQL_MOD,
    PROMQL_POW,
    PROMQL_ATAN2,
    PROMQL_EQ,
    PROMQL_NE,
    PROMQL_LT,
    PROMQL_LE,
    PROMQL_GT,
    PROMQL_GE, // comparisons
    PROMQL_TRIM_UPPER,
    PROMQL_TRIM_LOWER, // </ and >/ of histograms
    PROMQL_AND,
    PROMQL_OR,
    PROMQL_UNLESS,
};
// As it is written: "+", "atan2", "</", ….
const char *promql_op_text(enum promql_op op);
static inline bool promql_op_is_comparison(enum promql_op op)
{
    return op >= PROMQL_EQ && op <= PROMQL_GE;
}
static inline bool promql_op_is_set(enum promql_op op)
{
    return op >= PROMQL_AND;
}

enum promql_agg {
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_GROUP,
    AGG_COUNT,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_QUANTILE,
    AGG_COUNT_VALUES,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
};
// As it is written: "sum", "count_values", ….
const char *promql_agg_name(enum promql_agg a);

enum promql_card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };

// @ modifier
enum promql_at { AT_NONE, AT_TIME, AT_START, AT_END };

/*
 * A duration: a constant, or an expression of numbers (seconds), step(), range(), + - * / % ^,
 * min_of, max_of. Resolved by promql_resolve_durations().
 */
enum promql_dur_kind {
    DUR_CONST,
    DUR_STEP,
    DUR_RANGE,
    DUR_ADD,
    DUR_SUB,
    DUR_MUL,
    DUR_DIV,
    DUR_MOD,
    DUR_POW,
    DUR_NEG,
    DUR_PLUS, // of a
    DUR_MIN,
    DUR_MAX,
};
struct promql_duration {
    enum promql_dur_kind kind;
    double seconds;   // DUR_CONST
    bool is_duration; // DUR_CONST written as 5m rather than 300: for printing
    bool wrapped;     // in parentheses; (5m) alone is DUR_PLUS of a constant, wrapped
    struct promql_duration *a, *b;
    uint32_t start, end; // byte span in the text
};

struct promql_function; // a row of the function table, see below

struct promql_node {
    enum promql_kind kind;
    enum promql_type type;
    uint32_t start, end; // byte span in the text, end exclusive; as upstream counts, so an end may
                         // lie a token late
    uint32_t height;     // of the tree below, 1 for a leaf; ≤ PROMQL_HEIGHT_MAX
    union {
        struct {
            double value;
            bool is_duration; // written as 5m: prints so
        } number;
        struct str text; // PROMQL_TEXT, unquoted (arena)
        struct {
            struct str name;          // as written before the braces; empty for {"name"}
            struct matcher *matchers; // __name__ included (that of `name` last); regexes are
                                      // owned by the query, see below
            size_t matcher_count;
            int64_t offset_ms; // resolved; original in offset_expr when it is an expression
            struct promql_duration *offset_expr;
            enum promql_at at;
            int64_t at_ms; // AT_TIME
            bool anchored, smoothed;
        } selector;
        struct {
            struct promql_node *selector; // PROMQL_SELECTOR, carries offset and @
            int64_t range_ms;
            struct promql_duration *range_expr;
        } range;
        struct {
            struct promql_node *expr;
            int64_t range_ms, step_ms; // step 0: the default of the engine
            struct promql_duration *range_expr, *step_expr;
            int64_t offset_ms;
            struct promql_duration *offset_expr;
            enum promql_at at;
            int64_t at_ms;
        } subquery;
        struct {
            bool negative; // else a plus sign
            struct promql_node *expr;
        } unary;
        struct {
            enum promql_op op;
            struct promql_node *lhs, *rhs;
            bool return_bool;
            bool has_matching; // both sides are vectors
            enum promql_card card;
            bool on;            // else ignoring
            struct str *labels; // of on/ignoring
            size_t label_count;
            struct str *include; // of group_left/group_right
            size_t include_count;
            bool has_fill_lhs, has_fill_rhs;
            double fill_lhs, fill_rhs;
            uint32_t op_start, op_end;
        } binary;
        struct {
            enum promql_agg op;
            struct promql_node *expr, *param; // param NULL: none
            struct str *grouping;
            size_t grouping_count;
            bool without;
        } aggregate;
        struct {
            const struct promql_function *fn;
            struct promql_node **args;
            size_t arg_count;
        } call;
        struct promql_node *paren;
    };
};

enum promql_fn_flags { FN_EXPERIMENTAL = 1 };
enum { PROMQL_ARGS_MAX = 8 };
struct promql_function {
    const char *name;
    enum promql_type args[PROMQL_ARGS_MAX]; // PROMQL_NONE ends
    // 0: exactly args. Else the last of args is optional and may repeat: n > 0: up to n times in
    // all; −1: without limit.
    int variadic;
    enum promql_type result;
    unsigned flags;
    unsigned id; // enum promql_fn: the engine's dispatch
};
// The row of this exact name, NULL: no such function.
const struct promql_function *promql_function_find(struct str name);

// clang-format off
#define PROMQL_FUNCTIONS(X)                                                                        \
    X(abs)                                                                                         \
    X(absent)                                                                                      \
    X(absent_over_time) X(acos) X(acosh) X(asin) X(asinh) X(atan) X(atanh) X(avg_over_time) X(     \
        ceil) X(changes) X(clamp) X(clamp_max) X(clamp_min) X(cos) X(cosh) X(count_over_time)      \
        X(day_of_month) X(day_of_week) X(day_of_year) X(days_in_month) X(deg) X(delta) X(deriv) X( \
            double_exponential_smoothing) X(end) X(exp) X(first_over_time) X(floor)                \
            X(histogram_avg) X(histogram_count) X(histogram_fraction) X(histogram_quantile) X(     \
                histogram_quantiles) X(histogram_stddev) X(histogram_stdvar) X(histogram_sum)      \
                X(holt_winters) X(hour) X(idelta) X(increase) X(info) X(irate) X(label_join) X(    \
                    label_replace) X(last_over_time) X(ln) X(log10) X(log2) X(mad_over_time)       \
                    X(max_of) X(max_over_time) X(min_of) X(min_over_time) X(minute) X(month) X(pi) \
                        X(predict_linear) X(present_over_time) X(quantile_over_time) X(rad)        \
                            X(range) X(rate) X(resets) X(round) X(scalar) X(sgn) X(sin) X(sinh)    \
                                X(sort) X(sort_by_label) X(sort_by_label_desc) X(sort_desc)        \
                                    X(sqrt) X(start) X(start_timestamp) X(stddev_over_time)        \
                                        X(stdvar_over_time) X(step) X(sum_over_time) X(tan)        \
                                            X(tanh) X(time) X(timestamp) X(ts_of_first_over_time)  \
                                                X(ts_of_last_over_time) X(ts_of_max_over_time)     \
                                                    X(ts_of_min_over_time) X(vector) X(year)
// clang-format on
enum promql_fn {
#define PROMQL_FN_ENUM(name) FN_##name,
    PROMQL_FUNCTIONS(PROMQL_FN_ENUM)
#undef PROMQL_FN_ENUM
        FN_COUNT
};

struct promql_error {
    uint32_t start, end; // byte span
    struct str text;     // without position
};

/*
 * One parsed query: owns the compiled regexes of its matchers; the arena owns the rest.
 */
struct promql {
    struct str text;
    struct promql_node *root;
    struct promql_error *errors; // all, in the order found; for the API and the editor
    size_t error_count;
    struct regex **regexes;
    size_t regex_count;
};

// Parts of the language that Prometheus has behind feature flags; zero: all of them are on.
struct promql_options {
    bool no_experimental_functions;
    bool no_extended_selectors; // anchored, smoothed
    bool no_fill_modifiers;     // fill(0), fill_left(0), fill_right(0)
    bool no_old_functions;      // holt_winters, which Prometheus 3 renamed
};

/*
 * Parses and type-checks. On failure q->errors is filled (in the order found) and *e holds the
 * first one as upstream writes it: "1:7: parse error: unexpected end of input", cut to the room of
 * a struct err; promql_print_error() gives it whole. Call promql_fini() in both cases; q is set in
 * both cases and holds no tree after a failure.
 */
MUST_CHECK bool promql_parse(struct arena *a, struct str text, struct promql *q, struct err *e);
// As promql_parse, where what o (NULL: nothing) switches off is an error in upstream's words.
MUST_CHECK bool promql_parse_with(struct arena *a, struct str text, const struct promql_options *o,
                                  struct promql *q, struct err *e);
// Frees the regexes and empties q; the tree, in the arena, must not be matched with any more.
void promql_fini(struct promql *q);
OWN_DEFINE_FINI(struct promql, promql_fini);

// Appends error i of a failed parse: "1:7: parse error: unexpected end of input".
void promql_print_error(struct buf *b, const struct promql *q, size_t i);

// A series selector alone, as match[] takes it ("metric selectors"). Same error form. The root is a
// PROMQL_SELECTOR; it may match the empty series ({}): the caller decides.
MUST_CHECK bool promql_parse_selector(struct arena *a, struct str text, struct promql *q,
                                      struct err *e);

/*
 * Fills range_ms, step_ms and offset_ms from duration expressions, once start, end and step of the
 * evaluation are known (range() is end − start). May be called again with other times. Errors are
 * upstream's: "<start>:<end>: duration must be greater than 0", with the byte span.
 */
MUST_CHECK bool promql_resolve_durations(struct promql *q, int64_t start_ms, int64_t end_ms,
                                         int64_t step_ms, struct err *e);

/*
 * Printers take a tree without errors. Canonical, in one line; parsing that gives a tree that prints
 * the same, except for ranges under a millisecond, which print as 0s.
 */
void promql_print(struct buf *b, const struct promql_node *n);
// As format_query and promtool promql format: over several lines where one would be too long.
void promql_pretty(struct buf *b, const struct promql_node *n);
// As promql_pretty with another width than PROMQL_PRETTY_WIDTH: longer nodes are split.
void promql_pretty_width(struct buf *b, const struct promql_node *n, size_t width);
// The source form of a duration expression.
void promql_print_duration(struct buf *b, const struct promql_duration *d);
// The tree as /api/v1/parse_query gives it, as the writer's next value.
void promql_json(struct json_writer *w, const struct promql_node *n);

// Visits n and everything below it, parents first.
void promql_walk(struct promql_node *n, void (*visit)(void *ctx, struct promql_node *n), void *ctx);

/* ---- the notation of series and their samples in promqltest and promtool unit tests ---- */

struct promql_seq_value {
    bool omitted;
    double value;
    const struct histogram *hist; // NULL: value
    bool counter_reset_hint_set;  // hist: the text gave counter_reset_hint
};
struct promql_series_line {
    struct labels labels;
    struct promql_seq_value *v;
    size_t n;
};
// A whole line: `metric{a="b"} 1 2 _ 3x4 {{schema:0 …}}`. Positions are columns of the line.
MUST_CHECK bool promql_parse_series_line(struct arena *a, struct str line,
                                         struct promql_series_line *out, struct err *e);
// The labels alone: `metric{a="b"}` (as in exp_samples of unit tests).
MUST_CHECK bool promql_parse_labels(struct arena *a, struct str text, struct labels *out,
                                    struct err *e);
