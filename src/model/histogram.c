/*
 * histogram.c - native histograms: validity, copies, walking over buckets, text.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/histogram.h"

#include <math.h>

#include "base/num.h"

/* ---- validity ---- */

static bool check_spans(const struct hist_side *s, struct err *e)
{
    uint64_t need = 0;
    int64_t end = 0;

    for (uint32_t i = 0; i < s->spans; i++) {
        if (i > 0 && s->span[i].offset < 0)
            return err_set(e, ERR_INVALID,
                           "span number %u with offset %d: histogram has a span whose offset is "
                           "negative",
                           i + 1, s->span[i].offset);
        need += s->span[i].length;
        end += (int64_t)s->span[i].offset + s->span[i].length;
        if (end > INT32_MAX)
            return err_set(e, ERR_INVALID, "histogram has a bucket index beyond 32 bits");
    }
    if (need != s->buckets)
        return err_set(e, ERR_INVALID,
                       "spans need %llu buckets, have %u buckets: histogram spans specify "
                       "different number of buckets than provided",
                       (unsigned long long)need, s->buckets);
    return true;
}

static bool check_counts(const struct hist_side *s, double *total, struct err *e)
{
    char text[NUM_TEXT_MAX];

    for (uint32_t i = 0; i < s->buckets; i++) {
        if (s->count[i] < 0)
            return err_set(e, ERR_INVALID,
                           "bucket number %u has observation count of %.*s: histogram has a bucket "
                           "whose observation count is negative",
                           i + 1, (int)num_format_g(s->count[i], text), text);
        *total += s->count[i];
    }
    return true;
}

static bool check_bounds(const struct histogram *h, struct err *e)
{
    uint64_t width = 0;
    double last = -INFINITY;

    for (uint32_t i = 0; i < h->custom_n; i++) {
        if (isnan(h->custom[i]))
            return err_set(e, ERR_INVALID, "histogram custom bounds must not be NaN");
        if (i > 0 && h->custom[i] <= last)
            return err_set(e, ERR_INVALID,
                           "previous bound is %f and current is %f: histogram custom bounds must "
                           "be in strictly increasing order",
                           last, h->custom[i]);
        last = h->custom[i];
    }
    if (last == INFINITY)
        return err_set(e, ERR_INVALID,
                       "last +Inf bound must not be explicitly defined: histogram custom bounds "
                       "must be finite");
    if (h->pos.spans && h->pos.span[0].offset < 0)
        return err_set(
            e, ERR_INVALID,
            "span number 1 with offset %d: histogram has a span whose offset is negative",
            h->pos.span[0].offset);
    if (!check_spans(&h->pos, e))
        return false;
    for (uint32_t i = 0; i < h->pos.spans; i++)
        width += (uint64_t)h->pos.span[i].offset + h->pos.span[i].length;
    if (width > (uint64_t)h->custom_n + 1)
        return err_set(e, ERR_INVALID,
                       "only %u custom bounds defined which is insufficient to cover total span "
                       "length of %llu: histogram custom bounds are too few",
                       h->custom_n, (unsigned long long)width);
    return true;
}

static bool validate_custom(const struct histogram *h, struct err *e)
{
    if (!check_bounds(h, e))
        return err_wrap(e, "custom buckets");
    if (h->zero_count != 0)
        return err_set(e, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return err_set(e, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (h->neg.spans)
        return err_set(e, ERR_INVALID, "custom buckets: must not have negative spans");
    if (h->neg.buckets)
        return err_set(e, ERR_INVALID, "custom buckets: must not have negative buckets");
    return true;
}

static bool validate_exponential(const struct histogram *h, double *total, struct err *e)
{
    char text[NUM_TEXT_MAX];

    if (h->schema < HIST_SCHEMA_MIN || h->schema > HIST_SCHEMA_MAX)
        return err_set(e, ERR_INVALID,
                       "histogram has an invalid schema, which must be between %d and %d for "
                       "exponential buckets, or %d for custom buckets, got schema %d",
                       HIST_SCHEMA_MIN, HIST_SCHEMA_MAX, HIST_SCHEMA_CUSTOM, h->schema);
    if (!check_spans(&h->pos, e))
        return err_wrap(e, "positive side");
    if (!check_spans(&h->neg, e) || !check_counts(&h->neg, total, e))
        return err_wrap(e, "negative side");
    if (h->zero_count < 0)
        return err_set(e, ERR_INVALID,
                       "zero bucket has observation count of %.*s: histogram has a bucket whose "
                       "observation count is negative",
                       (int)num_format_g(h->zero_count, text), text);
    if (!(h->zero_threshold >= 0))
        return err_set(e, ERR_INVALID, "histogram has an invalid zero threshold of %.*s",
                       (int)num_format_g(h->zero_threshold, text), text);
    if (h->custom_n)
        return err_set(e, ERR_INVALID,
                       "histogram with exponential schema must not have custom bounds");
    return true;
}

bool histogram_validate(const struct histogram *h, struct err *e)
{
    char text[NUM_TEXT_MAX];
    double total = 0; // of whole numbers below 2^53: exact

    if (histogram_is_custom(h) ? !validate_custom(h, e) : !validate_exponential(h, &total, e))
        return false;
    if (h->count < 0)
        return err_set(e, ERR_INVALID,
                       "observation count is  %.*s: histogram's observation count is negative",
                       (int)num_format_g(h->count, text), text);
    if (!check_counts(&h->pos, &total, e))
        return err_wrap(e, "positive side");
    total += h->zero_count;
    if (!h->integer || total == h->count || (isnan(h->sum) && total < h->count))
        return true;
    return err_set(e, ERR_INVALID,
                   "%.0f observations found in buckets, but the Count field is %.0f: histogram's "
                   "observation count should %s the number of observations found in the buckets%s",
                   total, h->count, isnan(h->sum) ? "be at least" : "equal",
                   isnan(h->sum) ? "" : " (in absence of NaN)");
}

/* ---- copies ---- */

static void *take(char **room, const void *p, size_t n)
{
    void *out = *room;

    if (n)
        memcpy(out, p, n);
    *room += n;
    return out;
}

static void copy_side(char **room, struct hist_side *to, const struct hist_side *from)
{
    to->count = take(room, from->count, from->buckets * sizeof *from->count);
    to->span = take(room, from->span, from->spans * sizeof *from->span);
}

struct histogram *histogram_copy(struct arena *a, const struct histogram *h)
{
    size_t numbers = (size_t)h->pos.buckets + h->neg.buckets + h->custom_n;
    size_t spans = (size_t)h->pos.spans + h->neg.spans;
    char *room = arena_raw(a,
                           sizeof *h + numbers * sizeof(double) + spans * sizeof(struct hist_span));
    struct histogram *out = take(&room, h, sizeof *h);

    out->custom = take(&room, h->custom, h->custom_n * sizeof *h->custom);
    copy_side(&room, &out->pos, &h->pos);
    copy_side(&room, &out->neg, &h->neg);
    return out;
}

static bool side_equal(const struct hist_side *x, const struct hist_side *y)
{
    struct hist_walk v = hist_walk_of(x), w = hist_walk_of(y);

    if (x->buckets != y->buckets)
        return false;
    while (hist_walk_next(&v)) {
        if (!hist_walk_next(&w) || v.index != w.index ||
            double_bits(v.count) != double_bits(w.count))
            return false;
    }
    return true;
}

bool histogram_equal(const struct histogram *x, const struct histogram *y)
{
    if (x->schema != y->schema || double_bits(x->count) != double_bits(y->count) ||
        double_bits(x->sum) != double_bits(y->sum) || x->zero_threshold != y->zero_threshold ||
        double_bits(x->zero_count) != double_bits(y->zero_count))
        return false;
    if (histogram_is_custom(x)) {
        if (x->custom_n != y->custom_n)
            return false;
        for (uint32_t i = 0; i < x->custom_n; i++) {
            if (x->custom[i] != y->custom[i])
                return false;
        }
    }
    return side_equal(&x->pos, &y->pos) && side_equal(&x->neg, &y->neg);
}

/* ---- visiting ---- */

struct hist_walk hist_walk_back_of(const struct hist_side *s)
{
    struct hist_walk w = { .side = s, .at = s->buckets };

    for (uint32_t i = 0; i < s->spans; i++)
        w.next += (uint32_t)s->span[i].offset + s->span[i].length;
    w.span = s->spans ? s->spans - 1 : 0;
    w.in_span = s->spans ? s->span[w.span].length : 0;
    return w;
}

bool hist_walk_back(struct hist_walk *w)
{
    while (w->in_span == 0) {
        if (w->span == 0)
            return false;
        w->next -= (uint32_t)w->side->span[w->span].offset;
        w->in_span = w->side->span[--w->span].length;
    }
    if (w->at == 0)
        return false;
    w->in_span--;
    w->index = (int32_t)--w->next;
    w->count = w->side->count[--w->at];
    return true;
}

static double bound_of(const struct histogram *h, int32_t index)
{
    if (!histogram_is_custom(h))
        return hist_bound(index, h->schema);
    if (index < 0)
        return -INFINITY;
    return (uint32_t)index < h->custom_n ? h->custom[index] : INFINITY;
}

struct hist_bucket hist_bucket_of(const struct histogram *h, bool positive, int32_t index,
                                  double count)
{
    double near = bound_of(h, (int32_t)((uint32_t)index - 1)), far = bound_of(h, index);
    struct hist_bucket b = { positive ? near : -far, positive ? far : -near, count,
                             .index = index };

    b.lower_inclusive = histogram_is_custom(h) ? index == 0 : b.lower < 0;
    b.upper_inclusive = histogram_is_custom(h) || b.upper > 0;
    return b;
}

enum { ITER_FIRST_SIDE, ITER_ZERO, ITER_LAST_SIDE, ITER_DONE };

struct hist_iter histogram_iter(const struct histogram *h)
{
    return (struct hist_iter){ h, hist_walk_back_of(&h->neg), ITER_FIRST_SIDE, false };
}

struct hist_iter histogram_iter_reverse(const struct histogram *h)
{
    return (struct hist_iter){ h, hist_walk_back_of(&h->pos), ITER_FIRST_SIDE, true };
}

static void iter_bucket(const struct hist_iter *it, bool positive, struct hist_bucket *out)
{
    double zero = it->h->zero_threshold;

    *out = hist_bucket_of(it->h, positive, it->walk.index, it->walk.count);
    if (out->upper < 0 && out->upper > -zero)
        out->upper = -zero;
    else if (out->lower > 0 && out->lower < zero)
        out->lower = zero;
}

bool histogram_iter_next(struct hist_iter *it, struct hist_bucket *out)
{
    double zero = it->h->zero_threshold;

    if (it->state == ITER_FIRST_SIDE) {
        if (hist_walk_back(&it->walk)) {
            iter_bucket(it, it->reverse, out);
            return true;
        }
        it->state = ITER_ZERO;
    }
    if (it->state == ITER_ZERO) {
        it->walk = hist_walk_of(it->reverse ? &it->h->neg : &it->h->pos);
        it->state = ITER_LAST_SIDE;
        if (it->h->zero_count > 0) {
            *out = (struct hist_bucket){ -zero, zero, it->h->zero_count, true, true, 0 };
            return true;
        }
    }
    if (it->state == ITER_LAST_SIDE && hist_walk_next(&it->walk)) {
        iter_bucket(it, !it->reverse, out);
        return true;
    }
    it->state = ITER_DONE;
    return false;
}

/* ---- text ---- */

static void buf_bucket(struct buf *b, const struct hist_bucket *k)
{
    buf_lit(b, ", ");
    buf_char(b, k->lower_inclusive ? '[' : '(');
    buf_double_g(b, k->lower);
    buf_char(b, ',');
    buf_double_g(b, k->upper);
    buf_char(b, k->upper_inclusive ? ']' : ')');
    buf_char(b, ':');
    buf_double_g(b, k->count);
}

void buf_histogram_text(struct buf *b, const struct histogram *h)
{
    struct hist_walk w = hist_walk_back_of(&h->neg);
    struct hist_bucket k;

    buf_lit(b, "{count:");
    buf_double_g(b, h->count);
    buf_lit(b, ", sum:");
    buf_double_g(b, h->sum);
    while (hist_walk_back(&w)) {
        k = hist_bucket_of(h, false, w.index, w.count);
        if (w.count != 0)
            buf_bucket(b, &k);
    }
    if (h->zero_count != 0) {
        k = (struct hist_bucket){
            -h->zero_threshold, h->zero_threshold, h->zero_count, true, true, 0
        };
        buf_bucket(b, &k);
    }
    w = hist_walk_of(&h->pos);
    while (hist_walk_next(&w)) {
        k = hist_bucket_of(h, true, w.index, w.count);
        if (w.count != 0)
            buf_bucket(b, &k);
    }
    buf_char(b, '}');
}

// " key:value" for values other than 0; the first one without the blank.
static void buf_field(struct buf *b, size_t start, const char *key, double v)
{
    if (v == 0)
        return;
    buf_printf(b, "%s%s:", b->n > start ? " " : "", key);
    buf_double_g(b, v);
}

// Counts from the first to the last bucket that is not empty, as one run.
static void buf_side(struct buf *b, size_t start, const struct hist_side *s, const char *offset,
                     const char *buckets)
{
    struct hist_walk w = hist_walk_of(s);
    bool open = false;
    int64_t expected = 0;
    uint32_t written = 0;

    while (hist_walk_next(&w)) {
        if (w.count == 0)
            continue;
        if (!open) {
            buf_field(b, start, offset, w.index);
            buf_printf(b, "%s%s:[", b->n > start ? " " : "", buckets);
            expected = w.index;
            open = true;
        }
        for (; expected < w.index && written < HIST_BUCKETS_MAX; expected++, written++)
            buf_lit(b, "0 ");
        buf_double_g(b, w.count);
        buf_char(b, ' ');
        expected = (int64_t)w.index + 1;
    }
    if (open)
        b->p[b->n - 1] = ']';
}

void buf_histogram_test(struct buf *b, const struct histogram *h)
{
    static const char *const hints[] = {
        [HIST_RESET_YES] = "reset", [HIST_RESET_NO] = "not_reset", [HIST_RESET_GAUGE] = "gauge"
    };
    size_t start;

    assert((size_t)h->reset < ARRAY_LEN(hints));
    buf_lit(b, "{{");
    start = b->n;
    buf_field(b, start, "schema", h->schema);
    buf_field(b, start, "count", h->count);
    buf_field(b, start, "sum", h->sum);
    buf_field(b, start, "z_bucket", h->zero_count);
    buf_field(b, start, "z_bucket_w", h->zero_threshold);
    if (histogram_is_custom(h)) {
        buf_printf(b, "%scustom_values:[", b->n > start ? " " : "");
        for (uint32_t i = 0; i < h->custom_n; i++) {
            if (i > 0)
                buf_char(b, ' ');
            buf_double_g(b, h->custom[i]);
        }
        buf_char(b, ']');
    }
    if (h->reset != HIST_RESET_UNKNOWN)
        buf_printf(b, "%scounter_reset_hint:%s", b->n > start ? " " : "", hints[h->reset]);
    buf_side(b, start, &h->pos, "offset", "buckets");
    buf_side(b, start, &h->neg, "n_offset", "n_buckets");
    buf_lit(b, "}}");
}
