/*
 * histogram_classic.c - classic histograms: quantiles and fractions of cumulative buckets, and
 * their conversion to native histograms with custom buckets.
 *
 * Semantics: upstream's promql/quantile.go and util/convertnhcb of 3.x.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/num.h"
#include "base/sort.h"
#include "model/histogram_priv.h"

/*
 * Differences of neighbours below this share of their sum are noise of float arithmetic. One
 * observation more in a bucket shows until there are 10^12 in it.
 */
#define SMALL_DELTA 1e-12

static int cmp_bucket(const void *a, const void *b, void *ctx UNUSED)
{
    double x = ((const struct classic_bucket *)a)->le, y = ((const struct classic_bucket *)b)->le;

    return (x > y) - (x < y);
}

// Ascending bounds, each once. False without a +Inf bucket.
static bool bring_in_order(struct classic_bucket *v, size_t *n)
{
    size_t last = 0;
    bool sorted = true;

    assert(*n > 0);
    for (size_t i = 1; i < *n && sorted; i++)
        sorted = v[i - 1].le <= v[i].le;
    if (!sorted)
        sort_stable(v, *n, sizeof *v, cmp_bucket, NULL);
    if (v[*n - 1].le != INFINITY)
        return false;
    for (size_t i = 1; i < *n; i++) {
        if (v[i].le == v[last].le)
            v[last].count += v[i].count;
        else
            v[++last] = v[i];
    }
    *n = last + 1;
    return true;
}

static bool is_almost_equal(double a, double b)
{
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);

    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    if (diff > 4 * SMALL_DELTA * sum && sum >= DBL_MIN && diff <= DBL_MAX)
        return false; // far apart, as nearly always: no division
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < SMALL_DELTA * DBL_MIN;
    return diff / MIN(sum, DBL_MAX) < SMALL_DELTA;
}

// Makes counts rise: what falls is lifted to the one before.
static void make_monotonic(struct classic_bucket *v, size_t n, struct classic_repair *r)
{
    double last = v[0].count;

    for (size_t i = 1; i < n; i++) {
        double count = v[i].count;

        if (count == last)
            continue;
        if (is_almost_equal(last, count)) {
            v[i].count = last;
            r->small = true;
        } else if (count < last) {
            v[i].count = last;
            r->forced = true;
            r->le_min = MIN(r->le_min, v[i].le);
            r->le_max = MAX(r->le_max, v[i].le);
            r->diff_max = MAX(r->diff_max, last - count);
        } else {
            last = count;
        }
    }
}

// First bucket but the last whose count reaches rank; the last when none does.
static size_t seek_rank(const struct classic_bucket *v, size_t n, double rank)
{
    size_t from = 0, to = n - 1;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (v[mid].count >= rank)
            to = mid;
        else
            from = mid + 1;
    }
    return from;
}

double classic_quantile(struct classic_bucket *v, size_t *n, double q,
                        struct classic_repair *repair)
{
    double nan = double_from_bits(SAMPLE_NAN_BITS), rank, start = 0, count;
    size_t i;

    assert(*n > 0);
    *repair = (struct classic_repair){ .le_min = INFINITY, .le_max = -INFINITY };
    if (isnan(q))
        return nan;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (!bring_in_order(v, n))
        return nan;
    make_monotonic(v, *n, repair);
    if (*n < 2 || v[*n - 1].count == 0)
        return nan;
    rank = q * v[*n - 1].count;
    i = seek_rank(v, *n, rank);
    if (i == *n - 1)
        return v[*n - 2].le;
    if (i == 0 && v[0].le <= 0)
        return v[0].le;
    count = v[i].count;
    if (i > 0) {
        start = v[i - 1].le;
        count -= v[i - 1].count;
        rank -= v[i - 1].count;
    }
    return start + (v[i].le - start) * (rank / count);
}

// Observations up to a bound, interpolated within its bucket.
static double rank_of(const struct classic_bucket *v, size_t n, double bound)
{
    double lower = v[0].le <= 0 ? -INFINITY : 0, below = 0, total = v[n - 1].count;

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            lower = v[i - 1].le;
        if (lower >= bound)
            return MIN(below, total);
        if (v[i].le > bound) {
            double rank = v[i].count;

            if (lower != -INFINITY)
                rank = below + (v[i].count - below) * (bound - lower) / (v[i].le - lower);
            return rank > total ? total : rank;
        }
        below = v[i].count;
    }
    return total;
}

double classic_fraction(struct classic_bucket *v, size_t *n, double lower, double upper)
{
    double total;

    assert(*n > 0);
    if (!bring_in_order(v, n))
        return double_from_bits(SAMPLE_NAN_BITS);
    total = v[*n - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return double_from_bits(SAMPLE_NAN_BITS);
    if (lower >= upper)
        return 0;
    return (rank_of(v, *n, upper) - rank_of(v, *n, lower)) / total;
}

/* ---- conversion ---- */

void nhcb_fini(struct nhcb_builder *b)
{
    xfree(b->v);
    *b = (struct nhcb_builder){ 0 };
}

void nhcb_reset(struct nhcb_builder *b)
{
    b->n = 0;
    b->count = b->sum = 0;
    b->has_count = false;
}

static bool not_cumulative(double a, char op, double b, struct err *e)
{
    char x[NUM_TEXT_MAX], y[NUM_TEXT_MAX];

    return err_set(e, ERR_INVALID, "count is not cumulative: %.*s %c %.*s", (int)num_format_g(a, x),
                   x, op, (int)num_format_g(b, y), y);
}

static struct classic_bucket *insert(struct nhcb_builder *b, size_t at)
{
    if (b->n == b->cap) {
        b->cap = b->cap * 2 + 16;
        b->v = xrealloc(b->v, b->cap * sizeof *b->v);
    }
    assert(at <= b->n && b->n < b->cap);
    memmove(b->v + at + 1, b->v + at, (b->n - at) * sizeof *b->v);
    b->n++;
    return &b->v[at];
}

bool nhcb_bucket(struct nhcb_builder *b, double le, double count, struct err *e)
{
    char x[NUM_TEXT_MAX], y[NUM_TEXT_MAX];
    size_t at = b->n;

    if (isnan(le))
        return err_set(e, ERR_INVALID, "bucket boundary must not be NaN");
    if (count < 0)
        return err_set(e, ERR_INVALID, "bucket count must be non-negative: le=%.*s, count=%.*s",
                       (int)num_format_g(le, x), x, (int)num_format_g(count, y), y);
    while (at > 0 && b->v[at - 1].le >= le) // nearly always at the end
        at--;
    if (at < b->n && b->v[at].le == le)
        return true; // a repeated bucket: the first one counts
    if (at > 0 && count < b->v[at - 1].count)
        return not_cumulative(count, '<', b->v[at - 1].count, e);
    if (at < b->n && count > b->v[at].count)
        return not_cumulative(count, '>', b->v[at].count, e);
    *insert(b, at) = (struct classic_bucket){ le, count };
    return true;
}

bool nhcb_count(struct nhcb_builder *b, double count, struct err *e)
{
    char x[NUM_TEXT_MAX];

    if (count < 0)
        return err_set(e, ERR_INVALID, "count must be non-negative: count=%.*s",
                       (int)num_format_g(count, x), x);
    b->count = count;
    b->has_count = true;
    return true;
}

void nhcb_sum(struct nhcb_builder *b, double sum)
{
    b->sum = sum;
}

static bool is_whole(double v)
{
    return v == rint(v) && fabs(v) < 0x1p63;
}

static bool all_whole(const struct nhcb_builder *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!is_whole(b->v[i].count))
            return false;
    }
    return is_whole(b->count);
}

static bool count_mismatch(const struct nhcb_builder *b, struct err *e)
{
    const struct classic_bucket *last = &b->v[b->n - 1];
    char x[NUM_TEXT_MAX], y[NUM_TEXT_MAX], z[NUM_TEXT_MAX];

    return err_set(e, ERR_INVALID, "count mismatch: count=%.*s != le=%.*s count=%.*s",
                   (int)num_format_g(b->count, x), x, (int)num_format_g(last->le, y), y,
                   (int)num_format_g(last->count, z), z);
}

bool nhcb_build(struct nhcb_builder *b, struct arena *a, struct histogram **out, struct err *e)
{
    struct histogram h = { .schema = HIST_SCHEMA_CUSTOM, .sum = b->sum };
    struct hist_span span = { 0, 0 };
    double *count, *bound, before = 0;

    if (!b->has_count && b->n > 0)
        b->count = b->v[b->n - 1].count;
    b->has_count = true;
    if (b->n == 0 || b->v[b->n - 1].le != INFINITY)
        *insert(b, b->n) = (struct classic_bucket){ INFINITY, b->count };
    if (b->count != b->v[b->n - 1].count)
        return count_mismatch(b, e);
    if (b->n > HIST_BUCKETS_MAX)
        return err_set(e, ERR_LIMIT, "classic histogram has %zu buckets, at most %d are taken",
                       b->n, HIST_BUCKETS_MAX);
    count = arena_raw(a, b->n * sizeof *count);
    bound = arena_raw(a, b->n * sizeof *bound);
    for (size_t i = 0; i < b->n; i++) {
        count[i] = b->v[i].count - before;
        before = b->v[i].count;
        bound[i] = b->v[i].le;
    }
    h.count = b->count;
    h.integer = all_whole(b);
    h.custom = bound;
    h.custom_n = (uint32_t)b->n - 1; // +Inf is implied
    span.length = (uint32_t)b->n;
    h.pos = (struct hist_side){ &span, count, 1, (uint32_t)b->n };
    // Upstream joins spans at most 2 apart where counts are whole, and none where they are not.
    *out = histogram_copy(a, histogram_compact(a, &h, h.integer ? 2 : 0));
    return true;
}
