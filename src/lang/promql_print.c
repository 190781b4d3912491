/*
 * promql_print.c - trees as text: in one line, and over several where lines get long.
 *
 * The pretty printer asks of every node whether its one-line form fits. A printer therefore can
 * have a limit, behind which it stops: then asking costs no more than the width of a line, and
 * pretty printing is linear in the number of nodes.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

#include <inttypes.h>

#include "base/num.h"
#include "base/sort.h"
#include "base/time.h"

struct printer {
    struct buf *b;
    size_t stop; // no need to go on when b is longer
};

static bool is_full(const struct printer *pr)
{
    return pr->b->n > pr->stop;
}

// As much of s as can matter.
static struct str clip(const struct printer *pr, struct str s)
{
    return pr->stop == SIZE_MAX ? s : str_sub(s, 0, pr->stop + 1);
}

static void print_quoted(const struct printer *pr, struct str s)
{
    buf_quoted(pr->b, clip(pr, s));
}

/* ---- durations ---- */

static void print_seconds(struct buf *b, double seconds)
{
    double ns = seconds * 1e9;
    bool negative = seconds < 0;

    if (negative)
        ns = -ns;
    if (negative)
        buf_char(b, '-');
    buf_duration(b, ns < 0x1p63 ? (int64_t)ns / NS_MS : INT64_MAX / NS_MS);
}

static void print_number(struct buf *b, double value, bool is_duration)
{
    if (is_duration)
        print_seconds(b, value);
    else
        buf_double_f(b, value);
}

static const char *duration_op_text(enum promql_dur_kind kind)
{
    switch (kind) {
    case DUR_ADD:
    case DUR_PLUS:
        return "+";
    case DUR_SUB:
    case DUR_NEG:
        return "-";
    case DUR_MUL:
        return "*";
    case DUR_DIV:
        return "/";
    case DUR_MOD:
        return "%";
    case DUR_POW:
        return "^";
    default:
        return "";
    }
}

static void print_duration(const struct printer *pr, const struct promql_duration *d)
{
    struct buf *b = pr->b;

    if (is_full(pr))
        return;
    if (d->wrapped)
        buf_char(b, '(');
    switch (d->kind) {
    case DUR_CONST:
        print_number(b, d->seconds, d->is_duration);
        break;
    case DUR_STEP:
        buf_lit(b, "step()");
        break;
    case DUR_RANGE:
        buf_lit(b, "range()");
        break;
    case DUR_MIN:
    case DUR_MAX:
        buf_str(b, d->kind == DUR_MIN ? STR("min_of(") : STR("max_of("));
        print_duration(pr, d->a);
        buf_lit(b, ", ");
        print_duration(pr, d->b);
        buf_char(b, ')');
        break;
    case DUR_NEG:
        buf_char(b, '-');
        print_duration(pr, d->a);
        break;
    case DUR_PLUS:
        print_duration(pr, d->a);
        break;
    default:
        print_duration(pr, d->a);
        buf_printf(b, " %s ", duration_op_text(d->kind));
        print_duration(pr, d->b);
        break;
    }
    if (d->wrapped)
        buf_char(b, ')');
}

void promql_print_duration(struct buf *b, const struct promql_duration *d)
{
    print_duration(&(struct printer){ b, SIZE_MAX }, d);
}

// A constant, or the expression that it was computed from.
static void print_ms(const struct printer *pr, int64_t ms, const struct promql_duration *expr)
{
    if (expr)
        print_duration(pr, expr);
    else
        buf_duration(pr->b, ms);
}

/* ---- modifiers ---- */

static void print_at(const struct printer *pr, enum promql_at at, int64_t at_ms)
{
    if (at == AT_TIME)
        buf_printf(pr->b, " @ %.3f", (double)at_ms / 1000.0);
    else if (at == AT_START)
        buf_lit(pr->b, " @ start()");
    else if (at == AT_END)
        buf_lit(pr->b, " @ end()");
}

// Two operands that would read back as an operation of the query, not of the offset.
static bool is_open_operation(const struct promql_duration *d)
{
    bool two = false;

    for (; d && !d->wrapped && d->kind >= DUR_ADD && d->kind <= DUR_POW; d = d->a)
        two = true;
    return two && !d->wrapped;
}

static void print_offset(const struct printer *pr, int64_t ms, const struct promql_duration *expr)
{
    bool open = is_open_operation(expr);

    if (ms == 0 && !expr)
        return;
    buf_str(pr->b, open ? STR(" offset (") : STR(" offset "));
    print_ms(pr, ms, expr);
    if (open)
        buf_char(pr->b, ')');
}

static void print_extended(const struct printer *pr, const struct promql_node *selector)
{
    if (selector->selector.anchored)
        buf_lit(pr->b, " anchored");
    else if (selector->selector.smoothed)
        buf_lit(pr->b, " smoothed");
}

/* ---- selectors ---- */

// The matcher of the name in front of the braces.
static bool is_name_matcher(const struct promql_node *n, const struct matcher *m)
{
    return m->op == MATCH_EQ && m->value.n && str_eq(m->name, LABEL_NAME) &&
           str_eq(m->value, n->selector.name);
}

static bool selector_is_longer(const struct promql_node *n, size_t limit)
{
    size_t bytes = n->selector.name.n;

    for (size_t i = 0; i < n->selector.matcher_count && bytes <= limit; i++) {
        const struct matcher *m = &n->selector.matchers[i];
        if (!is_name_matcher(n, m))
            bytes += m->name.n + m->value.n;
    }
    return bytes > limit;
}

// Sorted as text.
static void print_matchers(struct buf *b, const struct promql_node *n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf one = { 0 };
    size_t count = n->selector.matcher_count, shown = 0;
    struct str *texts = arena_array(&a, count + 1, struct str);

    for (size_t i = 0; i < count; i++) {
        const struct matcher *m = &n->selector.matchers[i];
        if (is_name_matcher(n, m))
            continue;
        buf_reset(&one);
        buf_matcher(&one, m);
        texts[shown++] = arena_str(&a, buf_view(&one));
    }
    if (!shown)
        return;
    sort_strs(texts, shown);
    for (size_t i = 0; i < shown; i++) {
        buf_char(b, i ? ',' : '{');
        buf_str(b, texts[i]);
    }
    buf_char(b, '}');
}

// The name and the braces, without modifiers.
static void print_series(const struct printer *pr, const struct promql_node *n)
{
    if (pr->stop != SIZE_MAX && selector_is_longer(n, pr->stop)) {
        memset(buf_room(pr->b, pr->stop + 1), '.', pr->stop + 1); // only the length matters
        pr->b->n += pr->stop + 1;
        return;
    }
    buf_str(pr->b, n->selector.name);
    if (n->selector.matcher_count)
        print_matchers(pr->b, n);
}

static void print_selector(const struct printer *pr, const struct promql_node *n)
{
    print_series(pr, n);
    print_at(pr, n->selector.at, n->selector.at_ms);
    print_extended(pr, n);
    print_offset(pr, n->selector.offset_ms, n->selector.offset_expr);
}

static void print_range(const struct printer *pr, const struct promql_node *n)
{
    const struct promql_node *s = n->range.selector;

    print_series(pr, s);
    buf_char(pr->b, '[');
    print_ms(pr, n->range.range_ms, n->range.range_expr);
    buf_char(pr->b, ']');
    print_extended(pr, s);
    print_at(pr, s->selector.at, s->selector.at_ms);
    print_offset(pr, s->selector.offset_ms, s->selector.offset_expr);
}

static void print_subquery_suffix(const struct printer *pr, const struct promql_node *n)
{
    buf_char(pr->b, '[');
    print_ms(pr, n->subquery.range_ms, n->subquery.range_expr);
    buf_char(pr->b, ':');
    if (n->subquery.step_ms != 0 || n->subquery.step_expr)
        print_ms(pr, n->subquery.step_ms, n->subquery.step_expr);
    buf_char(pr->b, ']');
    print_at(pr, n->subquery.at, n->subquery.at_ms);
    print_offset(pr, n->subquery.offset_ms, n->subquery.offset_expr);
}

/* ---- operators and calls ---- */

static void print_labels(const struct printer *pr, const struct str *v, size_t n)
{
    buf_char(pr->b, '(');
    for (size_t i = 0; i < n && !is_full(pr); i++) {
        if (i)
            buf_lit(pr->b, ", ");
        if (label_name_is_legacy(v[i]))
            buf_str(pr->b, clip(pr, v[i]));
        else
            print_quoted(pr, v[i]);
    }
    buf_char(pr->b, ')');
}

static void print_fill(struct buf *b, const char *name, double v)
{
    buf_printf(b, " %s (", name);
    buf_double_g(b, v);
    buf_char(b, ')');
}

// The operator with all that stands between it and its right operand.
static void print_operator(const struct printer *pr, const struct promql_node *n)
{
    struct buf *b = pr->b;
    bool grouped = n->binary.card == CARD_MANY_TO_ONE || n->binary.card == CARD_ONE_TO_MANY;

    buf_str(b, str_c(promql_op_text(n->binary.op)));
    if (n->binary.return_bool)
        buf_lit(b, " bool");
    if (!n->binary.has_matching)
        return;
    if (n->binary.label_count || n->binary.on || grouped) {
        buf_str(b, n->binary.on ? STR(" on ") : STR(" ignoring "));
        print_labels(pr, n->binary.labels, n->binary.label_count);
    }
    if (grouped) {
        buf_str(b, n->binary.card == CARD_MANY_TO_ONE ? STR(" group_left ") : STR(" group_right "));
        print_labels(pr, n->binary.include, n->binary.include_count);
    }
    if (n->binary.has_fill_lhs && n->binary.has_fill_rhs &&
        n->binary.fill_lhs == n->binary.fill_rhs) {
        print_fill(b, "fill", n->binary.fill_lhs);
        return;
    }
    if (n->binary.has_fill_lhs)
        print_fill(b, "fill_left", n->binary.fill_lhs);
    if (n->binary.has_fill_rhs)
        print_fill(b, "fill_right", n->binary.fill_rhs);
}

// sum, or `sum by (a, b) `.
static void print_aggregate_op(const struct printer *pr, const struct promql_node *n)
{
    buf_str(pr->b, str_c(promql_agg_name(n->aggregate.op)));
    if (!n->aggregate.without && !n->aggregate.grouping_count)
        return;
    buf_str(pr->b, n->aggregate.without ? STR(" without ") : STR(" by "));
    print_labels(pr, n->aggregate.grouping, n->aggregate.grouping_count);
    buf_char(pr->b, ' ');
}

static void print_node(const struct printer *pr, const struct promql_node *n);

static void print_call(const struct printer *pr, const struct promql_node *n)
{
    assert(n->call.fn);
    buf_str(pr->b, str_c(n->call.fn->name));
    buf_char(pr->b, '(');
    for (size_t i = 0; i < n->call.arg_count && !is_full(pr); i++) {
        if (i)
            buf_lit(pr->b, ", ");
        print_node(pr, n->call.args[i]);
    }
    buf_char(pr->b, ')');
}

static void print_aggregate(const struct printer *pr, const struct promql_node *n)
{
    assert(n->aggregate.expr);
    print_aggregate_op(pr, n);
    buf_char(pr->b, '(');
    if (n->aggregate.param) {
        print_node(pr, n->aggregate.param);
        buf_lit(pr->b, ", ");
    }
    print_node(pr, n->aggregate.expr);
    buf_char(pr->b, ')');
}

static void print_node(const struct printer *pr, const struct promql_node *n)
{
    if (is_full(pr))
        return;
    switch (n->kind) {
    case PROMQL_NUMBER:
        print_number(pr->b, n->number.value, n->number.is_duration);
        break;
    case PROMQL_TEXT:
        print_quoted(pr, n->text);
        break;
    case PROMQL_SELECTOR:
        print_selector(pr, n);
        break;
    case PROMQL_RANGE:
        print_range(pr, n);
        break;
    case PROMQL_SUBQUERY:
        print_node(pr, n->subquery.expr);
        print_subquery_suffix(pr, n);
        break;
    case PROMQL_UNARY:
        buf_char(pr->b, n->unary.negative ? '-' : '+');
        print_node(pr, n->unary.expr);
        break;
    case PROMQL_BINARY:
        print_node(pr, n->binary.lhs);
        buf_char(pr->b, ' ');
        print_operator(pr, n);
        buf_char(pr->b, ' ');
        print_node(pr, n->binary.rhs);
        break;
    case PROMQL_AGGREGATE:
        print_aggregate(pr, n);
        break;
    case PROMQL_CALL:
        print_call(pr, n);
        break;
    case PROMQL_PAREN:
        buf_char(pr->b, '(');
        print_node(pr, n->paren);
        buf_char(pr->b, ')');
        break;
    }
}

void promql_print(struct buf *b, const struct promql_node *n)
{
    print_node(&(struct printer){ b, SIZE_MAX }, n);
}

/* ---- pretty ---- */

enum { INDENT_MAX = 120 }; // levels: deeper nodes stay there, so that the output stays in bounds

struct pretty {
    struct printer out;
    struct buf scratch;
    size_t width;
};

static bool needs_split(struct pretty *y, const struct promql_node *n)
{
    buf_reset(&y->scratch);
    print_node(&(struct printer){ &y->scratch, y->width }, n);
    return y->scratch.n > y->width;
}

static void indent(struct pretty *y, size_t level)
{
    for (size_t i = 0; i < MIN(level, (size_t)INDENT_MAX); i++)
        buf_lit(y->out.b, "  ");
}

static void pretty_node(struct pretty *y, const struct promql_node *n, size_t level);

// One level deeper, on lines of its own, up to the bracket that closes it.
static void pretty_inside(struct pretty *y, const struct promql_node *n, size_t level)
{
    buf_lit(y->out.b, "(\n");
    pretty_node(y, n, level + 1);
    buf_char(y->out.b, '\n');
    indent(y, level);
    buf_char(y->out.b, ')');
}

static void pretty_aggregate(struct pretty *y, const struct promql_node *n, size_t level)
{
    print_aggregate_op(&y->out, n);
    buf_lit(y->out.b, "(\n");
    if (n->aggregate.param) {
        pretty_node(y, n->aggregate.param, level + 1);
        buf_lit(y->out.b, ",\n");
    }
    pretty_node(y, n->aggregate.expr, level + 1);
    buf_char(y->out.b, '\n');
    indent(y, level);
    buf_char(y->out.b, ')');
}

static void pretty_call(struct pretty *y, const struct promql_node *n, size_t level)
{
    buf_str(y->out.b, str_c(n->call.fn->name));
    buf_lit(y->out.b, "(\n");
    for (size_t i = 0; i < n->call.arg_count; i++) {
        if (i)
            buf_lit(y->out.b, ",\n");
        pretty_node(y, n->call.args[i], level + 1);
    }
    buf_char(y->out.b, '\n');
    indent(y, level);
    buf_char(y->out.b, ')');
}

static void pretty_binary(struct pretty *y, const struct promql_node *n, size_t level)
{
    pretty_node(y, n->binary.lhs, level + 1);
    buf_char(y->out.b, '\n');
    indent(y, level);
    print_operator(&y->out, n);
    buf_char(y->out.b, '\n');
    pretty_node(y, n->binary.rhs, level + 1);
}

// The sign goes in front of the operand's text, behind its indentation.
static void pretty_unary(struct pretty *y, const struct promql_node *n, size_t level)
{
    struct buf *b = y->out.b;

    indent(y, level);
    buf_char(b, n->unary.negative ? '-' : '+');
    size_t from = b->n;
    pretty_node(y, n->unary.expr, level);
    size_t blank = 0;
    while (from + blank < b->n && b->p[from + blank] == ' ')
        blank++;
    memmove(b->p + from, b->p + from + blank, b->n - from - blank);
    b->n -= blank;
}

static void pretty_node(struct pretty *y, const struct promql_node *n, size_t level)
{
    bool split = n->kind != PROMQL_NUMBER && n->kind != PROMQL_TEXT && n->kind != PROMQL_SELECTOR &&
                 n->kind != PROMQL_RANGE && n->kind != PROMQL_UNARY && needs_split(y, n);

    if (n->kind == PROMQL_UNARY) {
        pretty_unary(y, n, level);
        return;
    }
    if (n->kind == PROMQL_SUBQUERY) { // not indented when it fits: as upstream
        if (split) {
            pretty_node(y, n->subquery.expr, level);
            print_subquery_suffix(&y->out, n);
        } else {
            print_node(&y->out, n);
        }
        return;
    }
    if (split && n->kind == PROMQL_BINARY) { // its operands indent themselves
        pretty_binary(y, n, level);
        return;
    }
    indent(y, level);
    if (!split)
        print_node(&y->out, n);
    else if (n->kind == PROMQL_AGGREGATE)
        pretty_aggregate(y, n, level);
    else if (n->kind == PROMQL_CALL)
        pretty_call(y, n, level);
    else
        pretty_inside(y, n->paren, level);
}

void promql_pretty_width(struct buf *b, const struct promql_node *n, size_t width)
{
    struct pretty y = { .out = { b, SIZE_MAX }, .width = MIN(width, (size_t)100000) };

    pretty_node(&y, n, 0);
    buf_fini(&y.scratch);
}

void promql_pretty(struct buf *b, const struct promql_node *n)
{
    promql_pretty_width(b, n, PROMQL_PRETTY_WIDTH);
}
