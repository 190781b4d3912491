/*
 * promql_histogram.c - native histograms in series lines: {{schema:1 count:3 buckets:[1 2]}}.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/promql_series_priv.h"

#include "model/histogram_ops.h"

struct floats {
    VEC(double) v;
};

struct literal {
    unsigned seen; // bit per key, T_SUM_DESC first
    double sum, count, zero_count, zero_threshold;
    int64_t schema, offset, n_offset;
    struct floats buckets, n_buckets, custom;
    enum hist_reset reset;
    bool is_hint_set;
};

static const char *key_name(enum tok t)
{
    static const char *const names[] = {
        "sum",       "count",    "schema",     "offset",        "n_offset",           "buckets",
        "n_buckets", "z_bucket", "z_bucket_w", "custom_values", "counter_reset_hint",
    };

    return names[t - T_SUM_DESC];
}

static bool is_key(enum tok t)
{
    return t >= T_SUM_DESC && t <= T_RESET_HINT_DESC;
}

/* ---- values of keys; each falls back on false ---- */

static bool parse_int(struct parser *p, int64_t *out)
{
    uint64_t v;
    bool negative = promql_peek(p) == T_SUB;

    if (negative)
        promql_take(p);
    if (!promql_rule_repetition(p, &v))
        return false;
    *out = (int64_t)(negative ? 0 - v : v);
    return true;
}

// Up to and with the right bracket; what does not belong inside is dropped without a word.
static bool parse_buckets_rest(struct parser *p, struct floats *out)
{
    for (;;) {
        enum tok t = promql_peek(p);
        bool number = false;

        if (t == T_RIGHT_BRACKET) {
            promql_take(p);
            return true;
        }
        if (t == T_SPACE) {
            promql_take(p);
            t = promql_peek(p);
            if (t == T_RIGHT_BRACKET)
                continue;
            number = t == T_NUMBER || t == T_DURATION || t == T_ADD || t == T_SUB;
        }
        double v;
        if (number && promql_rule_signed_number(p, &v)) {
            *vec_push_in(p->a, &out->v) = v;
            continue;
        }
        if (p->aborted || (!number && promql_miss(p) == MISS_ABORT))
            return false;
    }
}

static bool parse_buckets(struct parser *p, struct floats *out)
{
    struct token t;
    double v;

    if (!promql_expect(p, T_LEFT_BRACKET, &t) || !promql_rule_signed_number(p, &v))
        return false;
    *vec_push_in(p->a, &out->v) = v;
    return parse_buckets_rest(p, out);
}

static bool parse_hint(struct parser *p, struct literal *l)
{
    enum tok t = promql_peek(p);

    if (t < T_RESET_UNKNOWN || t > T_RESET_GAUGE) {
        promql_miss(p);
        return false;
    }
    promql_take(p);
    static const enum hist_reset hints[] = { HIST_RESET_UNKNOWN, HIST_RESET_YES, HIST_RESET_NO,
                                             HIST_RESET_GAUGE };
    l->reset = hints[t - T_RESET_UNKNOWN];
    l->is_hint_set = true;
    return true;
}

static bool parse_key_value(struct parser *p, struct literal *l, enum tok key)
{
    double *number = key == T_SUM_DESC        ? &l->sum
                     : key == T_COUNT_DESC    ? &l->count
                     : key == T_Z_BUCKET_DESC ? &l->zero_count
                                              : NULL;

    if (number)
        return promql_rule_signed_number(p, number);
    switch (key) {
    case T_Z_BUCKET_W_DESC:
        if (promql_peek(p) == T_ADD || p->look == T_SUB) {
            promql_miss(p);
            return false;
        }
        return promql_rule_signed_number(p, &l->zero_threshold);
    case T_SCHEMA_DESC:
        return parse_int(p, &l->schema);
    case T_OFFSET_DESC:
        return parse_int(p, &l->offset);
    case T_N_OFFSET_DESC:
        return parse_int(p, &l->n_offset);
    case T_BUCKETS_DESC:
        return parse_buckets(p, &l->buckets);
    case T_N_BUCKETS_DESC:
        return parse_buckets(p, &l->n_buckets);
    case T_CUSTOM_VALUES_DESC:
        return parse_buckets(p, &l->custom);
    default:
        return parse_hint(p, l);
    }
}

// `key:value`; the key is next. A key that was there before keeps its first value.
static bool parse_key(struct parser *p, struct literal *l)
{
    enum tok key = promql_take(p).t;
    unsigned bit = 1u << (key - T_SUM_DESC);
    struct literal again = { 0 };
    struct token colon;
    bool repeated = l->seen & bit;

    if (!promql_expect(p, T_COLON, &colon) || !parse_key_value(p, repeated ? &again : l, key))
        return false;
    l->seen |= bit;
    if (repeated)
        promql_report(p, 0, 0, "duplicate key \"%s\" in histogram", key_name(key));
    return true;
}

/* ---- literals ---- */

// Behind the first key, up to and with the closing braces. Catches errors. False: aborted.
static bool parse_literal_rest(struct parser *p, struct literal *l)
{
    for (;;) {
        enum tok t = promql_peek(p);
        enum miss miss = MISS_ERROR;

        if (t == T_CLOSE_HIST) {
            promql_take(p);
            return true;
        }
        if (t == T_SPACE) {
            promql_take(p);
            t = promql_peek(p);
            if (t == T_CLOSE_HIST)
                continue;
            if (is_key(t)) {
                if (parse_key(p, l))
                    continue;
            } else {
                miss = promql_miss(p);
            }
        } else {
            miss = promql_miss(p);
        }
        if (p->aborted)
            return false;
        if (miss == MISS_ERROR)
            promql_unexpected(p, "histogram description",
                              "histogram description key, e.g. buckets:[5 10 7]");
    }
}

static bool parse_literal(struct parser *p, struct literal *l)
{
    struct token t;

    if (!promql_expect(p, T_OPEN_HIST, &t))
        return false;
    if (promql_peek(p) == T_CLOSE_HIST) {
        promql_take(p);
        return true;
    }
    if (p->look == T_SPACE) {
        promql_take(p);
        return promql_expect(p, T_CLOSE_HIST, &t);
    }
    if (!is_key(p->look)) {
        promql_miss(p);
        return false;
    }
    return parse_key(p, l) && parse_literal_rest(p, l);
}

static struct hist_side build_side(struct parser *p, const struct floats *buckets, int64_t offset)
{
    if (buckets->v.n == 0)
        return (struct hist_side){ 0 };
    struct hist_span *span = arena_new(p->a, struct hist_span);
    *span = (struct hist_span){ (int32_t)offset, (uint32_t)buckets->v.n };
    return (struct hist_side){ span, buckets->v.v, 1, (uint32_t)buckets->v.n };
}

static bool is_schema(int64_t schema)
{
    return schema == HIST_SCHEMA_CUSTOM || (schema >= HIST_SCHEMA_MIN && schema <= HIST_SCHEMA_MAX);
}

/*
 * Reports what arithmetic on histograms could not stand: upstream takes it here and fails later.
 * Counts that do not add up are fine, tests are written so.
 */
static void check_layout(struct parser *p, const struct literal *l)
{
    enum { OFFSET_MAX = 1 << 30 };
    size_t n = l->buckets.v.n, bounds = l->custom.v.n;

    if (!is_schema(l->schema))
        promql_report_here(p, "histogram has an invalid schema %lld, expected -4 to 8 or -53",
                           (long long)l->schema);
    else if (l->offset > OFFSET_MAX || l->offset < -OFFSET_MAX || l->n_offset > OFFSET_MAX ||
             l->n_offset < -OFFSET_MAX)
        promql_report_here(p, "bucket offset of histogram is out of range");
    else if (n > HIST_BUCKETS_MAX || l->n_buckets.v.n > HIST_BUCKETS_MAX ||
             bounds > HIST_BUCKETS_MAX)
        promql_report_here(p, "histogram has more than %d buckets", HIST_BUCKETS_MAX);
    else if (l->schema != HIST_SCHEMA_CUSTOM)
        return;
    else if (l->n_buckets.v.n)
        promql_report_here(p, "histogram with custom buckets has negative buckets");
    else if (n && (l->offset < 0 || (uint64_t)l->offset + n > bounds + 1))
        promql_report_here(p, "histogram with %zu custom values has buckets beyond them", bounds);
}

static const struct histogram *build(struct parser *p, const struct literal *l)
{
    struct histogram *h = arena_new(p->a, struct histogram);

    check_layout(p, l);
    h->schema = (int32_t)l->schema;
    h->reset = l->reset;
    h->sum = l->sum;
    h->count = l->count;
    h->zero_count = l->zero_count;
    h->zero_threshold = l->zero_threshold;
    h->custom = l->custom.v.v;
    h->custom_n = (uint32_t)l->custom.v.n;
    h->pos = build_side(p, &l->buckets, l->offset);
    h->neg = build_side(p, &l->n_buckets, l->n_offset);
    return h;
}

/* ---- expansion ---- */

// How many sums of these may be made: each takes memory of its own.
static uint64_t expansion_max(const struct histogram *base, const struct histogram *inc)
{
    enum { COUNTS_MAX = 1 << 22, COUNTS_LEAST = 32 };
    uint64_t counts = (uint64_t)base->pos.buckets + base->neg.buckets + inc->pos.buckets +
                      inc->neg.buckets + base->custom_n + COUNTS_LEAST;

    return COUNTS_MAX / counts;
}

// v, v+inc, v+inc+inc, …: n + 1 values. Wrong layouts are reported.
static bool expand(struct parser *p, struct seq *out, struct promql_seq_value v,
                   const struct histogram *inc, bool subtract, uint64_t n)
{
    struct hist_acc acc;

    hist_acc_init(&acc, p->a);
    hist_acc_set(&acc, v.hist);
    *vec_push_in(p->a, &out->values) = v;
    for (; n; n--) {
        if (acc.h.schema > inc->schema) {
            promql_report_here(p, "error combining histograms: cannot merge from schema %d to %d",
                               (int)inc->schema, (int)acc.h.schema);
            return true;
        }
        unsigned notes = subtract ? hist_acc_sub(&acc, inc) : hist_acc_add(&acc, inc);
        if (notes & HIST_NOTE_INCOMPATIBLE) {
            promql_report_here(p, "cannot apply this operation on histograms with a mix of "
                                  "exponential and custom bucket schemas");
            return true;
        }
        v.hist = hist_acc_get(&acc, p->a, false);
        *vec_push_in(p->a, &out->values) = v;
    }
    return true;
}

bool promql_rule_histogram_item(struct parser *p, struct seq *out)
{
    struct literal l = { 0 }, step = { 0 };
    uint64_t n = 0;

    if (!parse_literal(p, &l))
        return false;
    const struct histogram *base = build(p, &l);
    struct promql_seq_value v = { .hist = base, .counter_reset_hint_set = l.is_hint_set };
    enum tok t = promql_peek(p);
    if (t == T_ADD || t == T_SUB) {
        struct token times;
        promql_take(p);
        if (!parse_literal(p, &step) || !promql_expect(p, T_TIMES, &times) ||
            !promql_rule_repetition(p, &n))
            return false;
        const struct histogram *inc = build(p, &step);
        if (p->errors.n)
            return true;
        if (!promql_seq_reserve(p, out, n > expansion_max(base, inc) ? UINT64_MAX : n + 1))
            return false;
        v.counter_reset_hint_set = step.is_hint_set;
        return expand(p, out, v, inc, t == T_SUB, n);
    }
    if (t == T_TIMES) {
        promql_take(p);
        if (!promql_rule_repetition(p, &n))
            return false;
    }
    if (!promql_seq_reserve(p, out, n == UINT64_MAX ? n : n + 1))
        return false;
    for (uint64_t i = 0; i <= n; i++)
        *vec_push_in(p->a, &out->values) = v;
    return true;
}
