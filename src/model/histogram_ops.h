/*
 * histogram_ops.h - arithmetic, comparison and statistics of native histograms, as PromQL has them.
 *
 * Two styles. The histogram_… functions take shared histograms and give a new one
 * in an arena: what one operator of PromQL yields. A struct hist_acc is a private,
 * mutable histogram with room to grow: for rate, sum, avg, where one result
 * collects many inputs; adding a histogram of a layout already seen allocates
 * nothing. Semantics are those of Prometheus 3.x (model/histogram/float_histogram.go,
 * promql/quantile.go), including the order of floating point operations.
 *
 * Nothing here fails. What a query must tell its user comes back as a set of notes.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/histogram.h"

enum hist_note {
    HIST_NOTE_INCOMPATIBLE = 1,    // exponential meets custom buckets: nothing was done
    HIST_NOTE_RESET_COLLISION = 2, // hints "reset" and "not reset" met: the result's is unknown
    HIST_NOTE_BOUNDS_MISMATCH = 4, // custom bounds differed: reduced to those in common
    HIST_NOTE_QUANTILE_NAN = 8,    // NaN was observed and the quantile fell above all buckets
    HIST_NOTE_NAN_SKEW = 16,       // NaN was observed: the quantile is skewed upwards
    HIST_NOTE_FRACTION_NAN = 32,   // NaN was observed: fractions leave these out
};

/* ---- bounds ---- */

// Index in a coarser schema of what has this index in a finer one; shift: difference ≥ 0.
static inline int32_t hist_coarser_index(int32_t index, int32_t shift)
{
    return (int32_t)((((int64_t)index - 1) >> shift) + 1);
}

/* ---- whole histograms ---- */

static inline bool histogram_is_compatible(const struct histogram *x, const struct histogram *y)
{
    return histogram_is_custom(x) == histogram_is_custom(y);
}
// The same custom bounds.
bool hist_bounds_equal(const struct histogram *x, const struct histogram *y);
/*
 * Drops empty buckets at the ends of spans, joins spans at most gap_max apart, splits spans at
 * longer runs of empty buckets. h itself when there is nothing to do. UINT32_MAX: one span per
 * side.
 */
const struct histogram *histogram_compact(struct arena *a, const struct histogram *h,
                                          uint32_t gap_max);
// The same counts in schema ≤ h->schema; exponential only.
struct histogram *histogram_reduce(struct arena *a, const struct histogram *h, int32_t schema);
// What the operator + gives, compacted. INCOMPATIBLE leaves *out untouched.
unsigned histogram_add(struct arena *a, const struct histogram *x, const struct histogram *y,
                       const struct histogram **out);
// As histogram_add(), x − y: always a gauge.
unsigned histogram_sub(struct arena *a, const struct histogram *x, const struct histogram *y,
                       const struct histogram **out);
// h * factor, compacted. A negative factor makes a gauge.
const struct histogram *histogram_mul(struct arena *a, const struct histogram *h, double factor);
// h / divisor, compacted. A negative divisor makes a gauge, 0 drops all buckets.
const struct histogram *histogram_div(struct arena *a, const struct histogram *h, double divisor);
// −h, not compacted.
struct histogram *histogram_negate(struct arena *a, const struct histogram *h);
// h </ bound (upper) or h >/ bound: estimates count and sum of what is left.
const struct histogram *histogram_trim(struct arena *a, const struct histogram *h, double bound,
                                       bool upper);
/*
 * True when h cannot be a later state of the counter prev. The hints "reset" and "not reset" of h
 * decide at once.
 */
bool histogram_is_reset(const struct histogram *h, const struct histogram *prev);
// Hint of a sum or difference of two; *collision: as HIST_NOTE_RESET_COLLISION, else untouched.
enum hist_reset hist_reset_join(enum hist_reset x, enum hist_reset y, bool *collision);

// memory of a deep copy, for budgets.
size_t histogram_bytes(const struct histogram *h);
// what it weighs against query.max-samples.
size_t histogram_samples(const struct histogram *h);

/* ---- statistics ---- */

// NaN for no observations, ∓Inf for q outside 0..1. notes: QUANTILE_NAN, NAN_SKEW are or-ed in.
double histogram_quantile(const struct histogram *h, double q, unsigned *notes);
// Share of observations in lower..upper. notes: FRACTION_NAN is or-ed in.
double histogram_fraction(const struct histogram *h, double lower, double upper, unsigned *notes);
// Variance; stddev is its square root; avg is sum/count.
double histogram_stdvar(const struct histogram *h);

/* ---- collecting ---- */

struct hist_buckets {
    int32_t *index; // ascending
    double *count;
    double *comp; // compensation of each count
    uint32_t n, cap;
};

struct hist_acc {
    struct arena *a;    // borrowed for the accumulator's life; all arrays are its own, in there
    struct histogram h; // scalars and custom bounds; h.pos and h.neg are unused
    struct hist_buckets pos, neg;
    double zero_comp, count_comp, sum_comp;
    struct hist_buckets input, spare; // working room
    double *bounds;                   // room behind h.custom
    uint32_t bounds_cap;
};

// Empty; hist_acc_set() comes before anything else. Nothing is taken from the arena yet.
void hist_acc_init(struct hist_acc *x, struct arena *a);
// The accumulator becomes a copy; keeps its room.
void hist_acc_set(struct hist_acc *x, const struct histogram *h);
/*
 * Add or subtract h. The plain ones round as they go; hist_acc_add_exact() is the compensated
 * sum of sum() and avg(). The hint becomes that of the pair. The result is not compacted.
 */
unsigned hist_acc_add(struct hist_acc *x, const struct histogram *h);
// As hist_acc_add(), subtracting.
unsigned hist_acc_sub(struct hist_acc *x, const struct histogram *h);
// As hist_acc_add(), compensated: hist_acc_fold() before the result is taken.
unsigned hist_acc_add_exact(struct hist_acc *x, const struct histogram *h);
// Multiplies all values, compensations too. Negative: a gauge.
void hist_acc_mul(struct hist_acc *x, double factor);
// Divides likewise; 0 drops all buckets.
void hist_acc_div(struct hist_acc *x, double divisor);
// To a coarser schema: exponential, schema ≤ its own.
void hist_acc_reduce(struct hist_acc *x, int32_t schema);
// True when some value is infinite.
bool hist_acc_overflows(const struct hist_acc *x);
// Puts the compensations into the values.
void hist_acc_fold(struct hist_acc *x);
// A histogram in arena out, compacted on request. The accumulator stays as it is.
struct histogram *hist_acc_get(const struct hist_acc *x, struct arena *out, bool compact);

/*
 * The mean as avg() and avg_over_time() compute it: a compensated sum, divided at the end; from the
 * first overflow on an incremental mean.
 */
struct hist_mean {
    struct hist_acc acc;
    double n;         // histograms added
    bool incremental; // acc holds the mean, not the sum
};
// No histograms yet.
void hist_mean_init(struct hist_mean *m, struct arena *a);
// INCOMPATIBLE: the histogram was counted but not added, and there is no mean.
unsigned hist_mean_add(struct hist_mean *m, const struct histogram *h);
// The mean so far, in arena out; at least one was added.
struct histogram *hist_mean_get(const struct hist_mean *m, struct arena *out, bool compact);

/* ---- classic histograms ---- */

struct classic_bucket {
    double le, count; // cumulative
};

struct classic_repair {              // what was mended in buckets that were not monotonic
    bool forced, small;              // a real decrease; only differences of relative 1e-12
    double le_min, le_max, diff_max; // where forced
};

/*
 * Both sort v and join equal bounds in place (*n may fall); the quantile also mends counts that
 * fall and says so in *repair, which it always fills. *n ≥ 1 on entry. NaN without a +Inf
 * bucket.
 */
double classic_quantile(struct classic_bucket *v, size_t *n, double q,
                        struct classic_repair *repair);
// Share of observations in lower..upper.
double classic_fraction(struct classic_bucket *v, size_t *n, double lower, double upper);

/*
 * Collects the series of one classic histogram (any order) and makes it a native one with custom
 * buckets. Zero is a valid empty builder.
 */
struct nhcb_builder {
    struct classic_bucket *v;
    size_t n, cap;
    double count, sum;
    bool has_count;
};
// Frees the room; the builder is empty and usable again.
void nhcb_fini(struct nhcb_builder *b);
OWN_DEFINE_FINI(struct nhcb_builder, nhcb_fini);
// Empties, keeps the room.
void nhcb_reset(struct nhcb_builder *b);
// ERR_INVALID for NaN bounds, negative or not cumulative counts: give the histogram up then.
MUST_CHECK bool nhcb_bucket(struct nhcb_builder *b, double le, double count, struct err *e);
// The _count series; without it the highest bucket gives the count. ERR_INVALID: negative.
MUST_CHECK bool nhcb_count(struct nhcb_builder *b, double count, struct err *e);
// The _sum series.
void nhcb_sum(struct nhcb_builder *b, double sum);
// h->integer tells whether all counts are whole. ERR_INVALID: count and +Inf bucket differ.
MUST_CHECK bool nhcb_build(struct nhcb_builder *b, struct arena *a, struct histogram **out,
                           struct err *e);
