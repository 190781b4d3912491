/*
 * query_priv.h - what the files of the engine share.
 *
 * An expression becomes a tree of operators (query_plan.c). run() of an operator pushes its
 * series one by one into a flow: labels and one column of values over the steps of its grid.
 * Invariants that every operator relies on:
 *   1. what is pushed (labels, column, histograms) is valid during the push only, and the
 *      receiver may change the column in place;
 *   2. series are pushed in a fixed order that depends on the snapshot alone; instant vectors
 *      are answered in that order;
 *   3. equal labels may be pushed twice only by an operator that says `repeats`, and then never
 *      with values at the same step;
 *   4. no operator keeps all its input unless its result needs it.
 * Leaves scan all their series in one call, in storage order.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <math.h>

#include "base/map.h"
#include "base/vec.h"
#include "model/histogram.h"
#include "query/column.h"
#include "query/query.h"

#define QUERY_TIME_MAX (INT64_C(1) << 53) // ms; beyond, sums of times could overflow

/* ---- time ---- */

struct grid {
    int64_t start_ms, step_ms; // step > 0
    size_t n;                  // steps; may be 0
};
static inline int64_t grid_time(const struct grid *g, size_t i)
{
    return g->start_ms + (int64_t)i * g->step_ms;
}
static inline int64_t grid_last(const struct grid *g)
{
    return g->n ? grid_time(g, g->n - 1) : g->start_ms;
}

/* ---- flows and operators ---- */

struct query;

struct flow_series {
    struct labels labels;
    bool drop_name; // __name__, __type__ and __unit__ go at the end of the query
    bool stable;    // labels live as long as the query
};
typedef bool (*flow_fn)(void *ctx, const struct flow_series *s, struct column *c, struct err *e);
struct flow {
    flow_fn push;
    void *ctx;
};

/* No two series of an operator are equal at one step, not even once their names are gone. */
enum op_distinct { DISTINCT_UNKNOWN, DISTINCT_YES, DISTINCT_NO };

struct op {
    bool (*run)(struct op *o, struct query *q, struct flow to, struct err *e);
    const struct promql_node *node;
    struct grid grid;
    bool repeats; // invariant 3
    enum op_distinct distinct;
    const struct series_set *set; // unknown: these tell; there from the first push on
    struct op *origin;            // what holds for it holds here; NULL: asked about itself
    int64_t held_peak;            // functions of ranges: samples that upstream would have held
};

/* ---- what a query has ---- */

struct tally { // samples, as upstream counts them for stats
    int64_t total, read;
    int64_t *total_step, *read_step; // NULL: not per step
    struct grid grid;
};
static inline void tally_add(struct tally *t, size_t step, int64_t total, int64_t read)
{
    t->total += total;
    t->read += read;
    if (t->total_step)
        t->total_step[step] += total;
    if (t->read_step)
        t->read_step[step] += read;
}

struct key_index;
struct meter;
struct note;

struct query {
    const struct query_engine *engine;
    const struct query_request *request;
    struct promql *promql;
    int64_t lookback_ms, start_ms, end_ms, step_ms;
    struct series_view *view;
    struct budget *budget;
    struct arena *keep;                                   // lives until the query ends
    struct arena *scratch;                                // strictly last in, first out
    struct arena *result;                                 // the caller's
    uint64_t charged_bytes, reserved_bytes, result_bytes; // charged to the budget
    int64_t samples_now, samples_peak;
    struct tally *tally;
    VEC(struct note) notes;
    struct key_index *indexes;                          // all made, to free their tables
    struct meter *meters;                               // with statistics: one per planned operator
    VEC(struct regex *) regexes;                        // made here, freed at the end
    VEC(const struct promql_node *) presence_selectors; // whose values do not matter
    VEC(const struct promql_node *) stat_selectors;     // only counts and sums of histograms wanted
    struct str error;                                   // whole text of the first failure
};

/*
 * Fails the query: e gets kind and (cut) text, q->error all of it. Returns false.
 */
bool query_fail(struct query *q, struct err *e, enum err_kind kind, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
bool query_fail_str(struct query *q, struct err *e, enum err_kind kind, struct str text);
bool query_fail_same_labels(struct query *q, struct err *e);
// Charges what the arenas grew by; steps the budget by n units. Call once per series and batch.
MUST_CHECK bool query_account(struct query *q, uint64_t n, struct err *e);
MUST_CHECK bool query_reserve(struct query *q, size_t steps, struct err *e);
// Counts samples that are held in memory; ERR_LIMIT beyond the engine's maximum.
MUST_CHECK bool query_hold(struct query *q, int64_t samples, struct err *e);
void query_release(struct query *q, int64_t samples);

/* ---- planning (query_plan.c) ---- */

struct op *plan_vector(struct query *q, const struct promql_node *n, struct grid g, struct err *e);
const struct promql_node *plan_unwrap(const struct promql_node *n); // without parentheses
bool plan_is_invariant(const struct promql_node *n);
int64_t plan_at_ms(const struct query *q, enum promql_at at, int64_t at_ms);
// Finds the selectors whose histograms are asked for count and sum only.
void plan_stat_selectors(struct query *q, const struct promql_node *n, bool wanted, bool blocked);
// Values of a scalar expression at every step of g; in keep.
MUST_CHECK bool scalar_eval(struct query *q, const struct promql_node *n, struct grid g,
                            double **out, struct err *e);
double scalar_binop(enum promql_op op, double a, double b);
struct grid plan_subquery_grid(const struct query *q, const struct promql_node *sub,
                               const struct grid *outer);
// Notes that of this selector (or anything else, which is fine) only presence matters.
void plan_presence_only(struct query *q, const struct promql_node *n);
bool plan_is_presence_only(const struct query *q, const struct promql_node *selector);
// A child of one step, shown at every step of g.
struct op *op_once(struct query *q, struct op *child, struct grid g);
/*
 * The child with names dropped at once (query_names.c); the child itself where names go late.
 * Equal labels at one step are an error then, and from functions of ranges at any steps.
 */
struct op *op_drop_names(struct query *q, struct op *child, const struct promql_node *n);
// The child with a meter behind it when statistics are wanted (query_meter.c).
struct op *op_metered(struct query *q, struct op *child);
// The most samples that upstream would have held at once; after the run. g: of the whole query.
int64_t meter_peak(struct query *q, struct grid g);
static inline struct op *op_origin(struct op *o)
{
    return o->origin ? o->origin : o;
}

// Series of a selector, before any value is read (query_select.c).
MUST_CHECK bool query_select(struct query *q, const struct promql_node *n, int64_t lo_ms,
                             int64_t hi_ms, struct series_set *out, struct err *e);

/* ---- operators, by file; each returns NULL with *e set ---- */

struct op *leaf_new(struct query *q, const struct promql_node *n, struct grid g);
struct op *leaf_timestamp_new(struct query *q, const struct promql_node *n, struct grid g,
                              bool start_time);
// Values are the times in ms of the samples seen; for info().
struct op *leaf_info_new(struct query *q, const struct promql_node *n, struct grid g);
/* One series' samples without stale markers, floats apart from histograms. */
struct split {
    const int64_t *ft, *ht; // times, ascending
    const double *fv;
    const struct histogram *const *hv;
    const int64_t *fs, *hs; // start times; NULL: none
    size_t fn, hn;
};
typedef bool (*split_fn)(void *ctx, const struct flow_series *s, const struct split *x,
                         struct err *e);
struct flow_split {
    split_fn push;
    void *ctx;
};
// Selects and scans a selector: every series with samples in lo..hi, both inclusive.
struct leaf_span {
    int64_t lo_ms, hi_ms;
    bool starts;   // start times are wanted
    struct op *op; // told of the set of series; NULL: nobody
};
MUST_CHECK bool leaf_scan(struct query *q, const struct promql_node *selector,
                          struct leaf_span span, struct flow_split to, struct err *e);
// Floats of an anchored or smoothed range: values at both ends, made up where needed.
struct split extend_floats(struct arena *a, const struct split *x, int64_t lo_ms, int64_t hi_ms,
                           bool smoothed);
// The histogram at time t between x and y, in scratch; NULL with a note when they do not mix.
struct hist_point {
    const struct histogram *h;
    int64_t t_ms;
};
const struct histogram *hist_between(struct query *q, const struct promql_node *at,
                                     struct hist_point x, struct hist_point y, int64_t t_ms,
                                     bool counter);
// A range selector at the top of an instant query, at time t_ms.
MUST_CHECK bool leaf_range_run(struct query *q, const struct promql_node *n, int64_t t_ms,
                               struct flow_split to, struct err *e);
struct op *window_new(struct query *q, const struct promql_node *call, struct grid g,
                      struct err *e);
struct op *agg_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e);
struct op *agg_k_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e);
struct op *agg_values_new(struct query *q, const struct promql_node *n, struct grid g,
                          struct err *e);
struct op *binary_scalar_new(struct query *q, const struct promql_node *n, struct grid g,
                             struct err *e);
struct op *match_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e);
struct op *set_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e);
struct op *unary_new(struct query *q, const struct promql_node *n, struct grid g, struct err *e);
struct op *simple_new(struct query *q, const struct promql_node *call, struct grid g,
                      struct err *e);
bool simple_is_of_hists(unsigned fn); // histogram_count and its kin
struct op *quantile_new(struct query *q, const struct promql_node *call, struct grid g,
                        struct err *e);
struct op *relabel_new(struct query *q, const struct promql_node *call, struct grid g,
                       struct err *e);
struct op *sort_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e);
struct op *absent_new(struct query *q, const struct promql_node *call, struct grid g,
                      struct err *e);
struct op *info_new(struct query *q, const struct promql_node *call, struct grid g, struct err *e);
struct labels absent_labels(struct query *q, const struct promql_node *arg);
// Earliest and latest time that info() reads its info series at, for the snapshot.
void info_span(const struct query *q, const struct promql_node *call, int64_t *lo, int64_t *hi);

/* ---- sets of labels ---- */

struct key_index { // keys of bytes → 0, 1, 2 …
    struct map map;
    VEC(struct str) keys;
    struct arena *arena;
    struct key_index *next;
};
struct key_index *key_index_new(struct query *q);
uint32_t key_index_put(struct key_index *x, struct str key, bool *added);
uint32_t key_index_find(const struct key_index *x, struct str key); // MAP_NONE

struct names { // sorted, unique
    struct str *v;
    size_t n;
};
struct names names_of(struct arena *a, const struct str *v, size_t n);
bool names_has(const struct names *s, struct str name);
bool names_has_metadata(const struct names *s);
bool name_is_metadata(struct str name); // __name__, __type__, __unit__

// New arrays in a; the strings stay where they are.
struct labels labels_keep(struct arena *a, struct labels ls, const struct names *s);
struct labels labels_without(struct arena *a, struct labels ls, const struct names *s,
                             bool drop_name);
struct labels labels_drop_metadata(struct arena *a, struct labels ls);
struct labels labels_with(struct arena *a, struct labels ls, struct str name, struct str value);
// Appends the canonical bytes of what labels_keep / labels_without (name dropped) would leave.
void key_of_labels(struct buf *b, struct labels ls, const struct names *s, bool keep);
// Labels of s that live as long as the query.
struct labels flow_labels_keep(struct query *q, const struct flow_series *s);
struct str labels_text(struct arena *a, struct labels ls);

// Overlaps: the same labels at the same step from two pushes are an error.
struct overlap {
    struct key_index *index;
    VEC(uint64_t *) bits;
};
MUST_CHECK bool overlap_add(struct query *q, struct overlap *x, struct labels ls,
                            const struct column *c, struct err *e);

// The bitmap of steps seen for these labels (and a number that tells equal labels apart).
uint64_t *overlap_marks(struct query *q, struct overlap *x, struct labels ls, uint32_t salt,
                        size_t steps);

// Collects a flow so that equal labels become one series.
struct held_series {
    struct flow_series series;
    struct column column;
};
struct held {
    struct query *q;
    bool merge; // equal labels are joined
    struct key_index *index;
    VEC(struct held_series) v;
    int64_t samples;
};
MUST_CHECK bool held_run(struct held *h, struct op *from, bool merge, struct query *q,
                         struct err *e);
void held_done(struct held *h); // the samples no longer count as held

/* ---- annotations (query_note.c) ---- */

enum note_level { NOTE_WARNING, NOTE_INFO };
// Adds a text at the start of a node; equal texts become one.
void query_note(struct query *q, enum note_level level, const struct promql_node *at,
                const char *fmt, ...) PRINTF_LIKE(4, 5);
struct note_bucket_fix { // of histogram_quantile: what had to be made monotonic
    double bucket_min, bucket_max, diff_max;
};
void query_note_monotonic(struct query *q, const struct promql_node *at, struct str metric,
                          int64_t t_ms, const struct note_bucket_fix *fix);
void query_note_overlap(struct query *q, const struct promql_node *at, struct str metric);
void query_notes_finish(struct query *q, struct query_result *out);

enum hist_verb { HIST_ADD, HIST_SUB, HIST_AGG };
void note_mixed(struct query *q, struct labels ls, const struct promql_node *at);
void note_mixed_schemas(struct query *q, struct labels ls, const struct promql_node *at);
void note_mismatched_bounds(struct query *q, const struct promql_node *at, enum hist_verb verb);
void note_reset_collision(struct query *q, const struct promql_node *at, enum hist_verb verb);
void note_not_counter(struct query *q, struct labels ls, const struct promql_node *at);
void note_not_gauge(struct query *q, struct labels ls, const struct promql_node *at);
void note_ignored_hist(struct query *q, const char *agg, const struct promql_node *at);
void note_ignored_in_range(struct query *q, struct labels ls, const struct promql_node *at);
void note_bad_quantile(struct query *q, double v, const struct promql_node *at);
void note_types(struct query *q, const struct promql_node *at, const char *l, const char *op,
                const char *r);

/* ---- numbers ---- */

// Neumaier's sum, with upstream's rule for infinities.
static inline void sum_add(double x, double *sum, double *c)
{
    double s = *sum, t = s + x;

    if (__builtin_isinf(t))
        *c = 0;
    else if (fabs(s) >= fabs(x))
        *c += (s - t) + x;
    else
        *c += (x - t) + s;
    *sum = t;
}
static inline double num_max(double a, double b) // NaN unless one is +Inf
{
    if ((isinf(a) && a > 0) || (isinf(b) && b > 0))
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}
static inline double num_min(double a, double b) // NaN unless one is −Inf
{
    if ((isinf(a) && a < 0) || (isinf(b) && b < 0))
        return -INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}
// The q-quantile of n values, which are put in order; n 0 or q NaN: NaN.
double quantile_of(double q, double *v, size_t n);
