/*
 * promql_duration.c - durations: literals, arithmetic on them, and their values at evaluation.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_priv.h"

#include <math.h>

enum { DURATION_NODES_MAX = 1000 }; // of one duration: bounds recursion over it

bool promql_duration_is_literal(const struct promql_duration *d)
{
    return d->kind == DUR_CONST;
}

void promql_duration_begin(struct parser *p)
{
    p->duration_nodes = 0;
}

// More seconds than upstream's 63 bits of nanoseconds hold.
static bool out_of_range(double seconds)
{
    return seconds > 0x1p63 / 1e9 || seconds < -0x1p63 / 1e9;
}

// Rounded to nanoseconds first, then cut to milliseconds: as upstream.
int64_t promql_duration_literal_ms(const struct promql_duration *d)
{
    double ns = round(d->seconds * 1e9);

    assert(promql_duration_is_literal(d));
    if (!(ns > -0x1p63))
        return isnan(ns) ? 0 : INT64_MIN / 1000000;
    return ns >= 0x1p63 ? INT64_MAX / 1000000 : (int64_t)ns / 1000000;
}

static struct promql_duration *duration_new(struct parser *p, enum promql_dur_kind kind,
                                            uint32_t start, uint32_t end)
{
    struct promql_duration *d = arena_new(p->a, struct promql_duration);

    if (++p->duration_nodes > DURATION_NODES_MAX && !p->aborted) {
        promql_report_here(p, "duration has more than %d parts", DURATION_NODES_MAX);
        p->aborted = true;
    }
    d->kind = kind;
    d->start = start;
    d->end = end;
    return d;
}

// What stands for a duration that was wrong: nothing, at the start of the text.
static struct promql_duration *duration_zero(struct parser *p)
{
    return duration_new(p, DUR_CONST, 0, 0);
}

static struct promql_duration *parse_literal(struct parser *p)
{
    struct token t = promql_take(p);
    struct promql_duration *d = duration_new(p, DUR_CONST, t.pos, token_end(&t));

    d->seconds = promql_number_value(p, &t);
    d->is_duration = t.t == T_DURATION;
    return d;
}

static struct promql_duration *in_range(struct parser *p, struct promql_duration *d)
{
    if (!out_of_range(d->seconds))
        return d;
    promql_report(p, d->start, d->end, "duration out of range");
    return duration_zero(p);
}

static struct promql_duration *negate(struct parser *p, const struct token *sign,
                                      struct promql_duration *d)
{
    if (sign->t != T_SUB)
        return d;
    struct promql_duration *n = duration_new(p, DUR_NEG, sign->pos, d->end);
    n->a = d;
    return n;
}

static struct promql_duration *signed_literal(struct parser *p, const struct token *sign,
                                              struct promql_duration *d)
{
    if (sign->t == T_SUB)
        d->seconds = -d->seconds;
    if (out_of_range(d->seconds)) {
        promql_report(p, sign->pos, token_end(sign), "duration out of range");
        return duration_zero(p);
    }
    d->start = sign->pos;
    return d;
}

static struct promql_duration *wrap(struct parser *p, struct promql_duration *d, uint32_t start,
                                    uint32_t end)
{
    if (promql_duration_is_literal(d)) {
        struct promql_duration *plus = duration_new(p, DUR_PLUS, start, end);
        plus->a = d;
        d = plus;
    }
    d->wrapped = true;
    return d;
}

/* ---- grammar ---- */

// step(), range(): the word is next.
static struct promql_duration *parse_step_or_range(struct parser *p)
{
    struct token word = promql_take(p), t;

    if (!promql_expect(p, T_LEFT_PAREN, &t) || !promql_expect(p, T_RIGHT_PAREN, &t))
        return NULL;
    return duration_new(p, word.t == T_STEP ? DUR_STEP : DUR_RANGE, word.pos, token_end(&t));
}

// min_of(a, b), max_of(a, b): the word is next.
static struct promql_duration *parse_min_or_max(struct parser *p)
{
    struct token word = promql_take(p), t;
    struct promql_duration *a, *b;

    if (!promql_expect(p, T_LEFT_PAREN, &t) || !(a = promql_rule_duration(p, 0)) ||
        !promql_expect(p, T_COMMA, &t) || !(b = promql_rule_duration(p, 0)) ||
        !promql_expect(p, T_RIGHT_PAREN, &t))
        return NULL;
    struct promql_duration *d = duration_new(p, word.t == T_MIN_OF ? DUR_MIN : DUR_MAX, a->start,
                                             b->end);
    d->a = a;
    d->b = b;
    return d;
}

// ( … ): the parenthesis is next. Behind a sign the span is that of what is inside.
static struct promql_duration *parse_wrapped(struct parser *p, bool behind_sign)
{
    struct token open = promql_take(p), close;
    struct promql_duration *d = promql_rule_duration(p, 0);

    if (!d || !promql_expect(p, T_RIGHT_PAREN, &close))
        return NULL;
    return behind_sign ? wrap(p, d, d->start, d->end) : wrap(p, d, open.pos, token_end(&close));
}

enum { PREC_ADD = 1, PREC_MUL, PREC_POW };

static struct promql_duration *parse_unary(struct parser *p)
{
    struct token sign = promql_take(p);
    struct promql_duration *d = promql_rule_duration(p, PREC_POW);

    if (!d)
        return NULL;
    return promql_duration_is_literal(d) ? signed_literal(p, &sign, d) : negate(p, &sign, d);
}

static struct promql_duration *parse_operand(struct parser *p)
{
    switch (promql_peek(p)) {
    case T_NUMBER:
    case T_DURATION:
        return in_range(p, parse_literal(p));
    case T_ADD:
    case T_SUB:
        return parse_unary(p);
    case T_STEP:
    case T_RANGE:
        return parse_step_or_range(p);
    case T_MIN_OF:
    case T_MAX_OF:
        return parse_min_or_max(p);
    case T_LEFT_PAREN:
        return parse_wrapped(p, false);
    default:
        promql_miss(p); // never drops: a token was taken just before
        return NULL;
    }
}

static bool duration_op(enum tok t, enum promql_dur_kind *kind, int *precedence)
{
    switch (t) {
    case T_ADD:
    case T_SUB:
        *kind = t == T_ADD ? DUR_ADD : DUR_SUB;
        *precedence = PREC_ADD;
        return true;
    case T_MUL:
    case T_DIV:
    case T_MOD:
        *kind = t == T_MUL ? DUR_MUL : t == T_DIV ? DUR_DIV : DUR_MOD;
        *precedence = PREC_MUL;
        return true;
    case T_POW:
        *kind = DUR_POW;
        *precedence = PREC_POW;
        return true;
    default:
        return false;
    }
}

// Operators of at least this precedence behind a. NULL: falls back.
static struct promql_duration *parse_operators(struct parser *p, struct promql_duration *a,
                                               int precedence_min)
{
    enum promql_dur_kind kind;
    int precedence;

    while (a && !p->aborted && duration_op(promql_peek(p), &kind, &precedence) &&
           precedence >= precedence_min) {
        struct token op = promql_take(p);
        struct promql_duration *b = promql_rule_duration(
            p, precedence == PREC_POW ? PREC_POW : precedence + 1);
        if (!b)
            return NULL;
        bool by_zero = (kind == DUR_DIV || kind == DUR_MOD) && promql_duration_is_literal(b) &&
                       b->seconds == 0;
        if (by_zero) {
            promql_report(p, op.pos, token_end(&op), "%s by zero",
                          kind == DUR_DIV ? "division" : "modulo");
            a = duration_zero(p);
            continue;
        }
        struct promql_duration *d = duration_new(p, kind, a->start, b->end);
        d->a = a;
        d->b = b;
        a = d;
    }
    return p->aborted ? NULL : a;
}

struct promql_duration *promql_rule_duration(struct parser *p, int precedence_min)
{
    if (!promql_enter(p))
        return NULL;
    struct promql_duration *d = parse_operators(p, parse_operand(p), precedence_min);
    promql_leave(p);
    return d;
}

// A sign behind `offset`: one operand belongs to it; another sign begins a whole expression.
static struct promql_duration *parse_signed_offset(struct parser *p)
{
    struct token sign = promql_take(p);
    struct promql_duration *d;

    switch (promql_peek(p)) {
    case T_NUMBER:
    case T_DURATION:
        return signed_literal(p, &sign, parse_literal(p));
    case T_STEP:
    case T_RANGE:
    case T_MIN_OF:
    case T_MAX_OF:
        d = parse_operand(p);
        if (!d)
            return NULL;
        if (sign.t == T_SUB)
            return negate(p, &sign, d);
        struct promql_duration *plus = duration_new(p, DUR_PLUS, sign.pos, d->end);
        plus->a = d;
        return plus;
    case T_LEFT_PAREN:
        d = parse_wrapped(p, true);
        return d ? negate(p, &sign, d) : NULL;
    default:
        d = promql_rule_duration(p, PREC_POW);
        if (!d)
            return NULL;
        d = promql_duration_is_literal(d) ? signed_literal(p, &sign, d) : negate(p, &sign, d);
        return parse_operators(p, d, 0);
    }
}

/*
 * Behind `offset` an operator belongs to the query rather than to the offset, unless the offset
 * starts with a parenthesis or two signs: this is how upstream's grammar decides.
 */
struct promql_duration *promql_rule_offset_duration(struct parser *p)
{
    switch (promql_peek(p)) {
    case T_ADD:
    case T_SUB:
        return parse_signed_offset(p);
    case T_LEFT_PAREN:
        return promql_rule_duration(p, 0);
    default:
        return parse_operand(p);
    }
}

/* ---- values ---- */

struct duration_times {
    double step, range; // seconds
};

static bool span_error(const struct promql_duration *d, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "%u:%u: %s", d->start, d->end, what);
}

static bool evaluate(const struct promql_duration *d, const struct duration_times *t, double *out,
                     struct err *e)
{
    double a = 0, b = 0;

    assert(!d->b || d->a);
    if (d->a && !evaluate(d->a, t, &a, e))
        return false;
    if (d->b && !evaluate(d->b, t, &b, e))
        return false;
    switch (d->kind) {
    case DUR_CONST:
        *out = d->seconds;
        return true;
    case DUR_STEP:
        *out = t->step;
        return true;
    case DUR_RANGE:
        *out = t->range;
        return true;
    case DUR_ADD:
        *out = a + b;
        return true;
    case DUR_SUB:
        *out = a - b;
        return true;
    case DUR_MUL:
        *out = a * b;
        return true;
    case DUR_DIV:
        if (b == 0)
            return span_error(d, "division by zero", e);
        *out = a / b;
        return true;
    case DUR_MOD:
        if (b == 0)
            return span_error(d, "modulo by zero", e);
        *out = fmod(a, b);
        return true;
    case DUR_POW:
        *out = pow(a, b);
        return true;
    case DUR_NEG:
        *out = -a;
        return true;
    case DUR_PLUS:
        *out = a;
        return true;
    case DUR_MIN:
        *out = isnan(a) || isnan(b) ? NAN : fmin(a, b);
        return true;
    case DUR_MAX:
        *out = isnan(a) || isnan(b) ? NAN : fmax(a, b);
        return true;
    }
    assert(0 && "duration without a valid kind");
    return false;
}

static bool resolve(const struct promql_duration *d, const struct duration_times *t, bool signed_ok,
                    int64_t *out_ms, struct err *e)
{
    double seconds;

    if (!d)
        return true;
    if (!evaluate(d, t, &seconds, e))
        return false;
    if (isnan(seconds) || isinf(seconds))
        return span_error(d, "duration is NaN or infinite", e);
    if (seconds <= 0 && !signed_ok)
        return span_error(d, "duration must be greater than 0", e);
    if (out_of_range(seconds))
        return span_error(d, "duration is out of range", e);
    *out_ms = (int64_t)(seconds * 1000);
    return true;
}

static bool resolve_node(struct promql_node *n, const struct duration_times *t, struct err *e)
{
    switch (n->kind) {
    case PROMQL_SELECTOR:
        return resolve(n->selector.offset_expr, t, true, &n->selector.offset_ms, e);
    case PROMQL_RANGE:
        return resolve(n->range.range_expr, t, false, &n->range.range_ms, e);
    case PROMQL_SUBQUERY:
        return resolve(n->subquery.offset_expr, t, true, &n->subquery.offset_ms, e) &&
               resolve(n->subquery.step_expr, t, false, &n->subquery.step_ms, e) &&
               resolve(n->subquery.range_expr, t, false, &n->subquery.range_ms, e);
    default:
        return true;
    }
}

struct resolver {
    struct duration_times times;
    struct err *e;
    bool failed;
};

static void resolve_visit(void *ctx, struct promql_node *n)
{
    struct resolver *r = ctx;

    if (!r->failed && !resolve_node(n, &r->times, r->e))
        r->failed = true;
}

bool promql_resolve_durations(struct promql *q, int64_t start_ms, int64_t end_ms, int64_t step_ms,
                              struct err *e)
{
    struct resolver r = {
        .times = { .step = promql_seconds_of_ms(step_ms),
                   .range = promql_seconds_of_ms(end_ms - start_ms) },
        .e = e,
    };

    promql_walk(q->root, resolve_visit, &r);
    return !r.failed;
}
