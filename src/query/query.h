/*
 * query.h - runs PromQL over a series source: instant and range queries.
 *
 * Select, plan on labels, scan in storage order and fold as read: see
 * query/README.md. The engine keeps no state between calls; one engine record
 * (struct query_engine) may be used by any number of threads at once. A query
 * runs on the calling thread.
 *
 * Semantics are those of Prometheus 3.15, negative offsets and the @ modifier always on. Times
 * beyond what 64 bits of nanoseconds hold (the years 1678 to 2262) wrap around, as upstream's do.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/budget.h"
#include "base/time.h"
#include "lang/promql.h"
#include "metrics/source.h"

enum { QUERY_NOTES_MAX = 10 };       // warnings, and infos, returned by default
enum { QUERY_STEPS_MAX = 32 << 20 }; // steps of one grid; the API has its own, lower limit

struct query_engine {          // zero in a field means its default
    int64_t lookback_delta_ms; // 5 min
    int64_t subquery_step_ms;  // of [5m:] without a step: 1 min (global evaluation interval)
    uint64_t samples_max;      // held in memory by one query: 50e6
    bool no_start_times;       // rate & co. ignore start timestamps
    bool type_and_unit_labels; // rate judges counters by __type__, not by name
    bool exact_numbers;        // matchers of le and quantile compare text: "1" is not "1.0"
    // Names go where a function or an operator drops them, as upstream without the feature
    // promql-delayed-name-removal; else at the end of the query.
    bool early_name_removal;
    bool per_step_stats; // upstream's feature promql-per-step-stats; else stats=all is stats=true
    struct promql_options syntax; // parts of the language that are off
    struct clock *clock;          // for timings; NULL: all timings are 0
};

struct query_request {
    struct str text;
    bool range;                        // else instant at start_ms
    int64_t start_ms, end_ms, step_ms; // end and step: of range queries; step > 0
    int64_t lookback_delta_ms;         // > 0: instead of the engine's
    bool stats;                        // stats=true: peak_samples is counted as upstream counts
    bool per_step_stats;               // stats=all; implies stats
    size_t notes_max;                  // warnings, and infos, at most; 0: QUERY_NOTES_MAX
};

struct query_point {
    int64_t t_ms;
    double value;
};

struct query_hist_point {
    int64_t t_ms;
    const struct histogram *hist;
};

struct query_series {
    struct labels labels;
    struct query_point *floats; // ascending in time
    size_t float_count;
    struct query_hist_point *hists; // ascending in time; with floats at the same time only where
                                    // two metrics became one by losing their names
    size_t hist_count;
};

struct query_step_stat {
    int64_t t_ms;
    int64_t samples;
};

struct query_stats {
    // seconds, as /api/v1/query?stats=true names them; execQueueTime is the caller's
    double eval_total_s, result_sort_s, preparation_s, inner_eval_s, exec_total_s;
    int64_t total_samples; // totalQueryableSamples
    int64_t samples_read;
    int64_t peak_samples;
    struct query_step_stat *total_per_step, *read_per_step; // NULL: not asked for, or off
    size_t step_count;
};

/*
 * Everything lives in the arena given to query_run(). Order of series: PROMQL_MATRIX by labels;
 * PROMQL_VECTOR as evaluated (sort(), topk() … keep their order). Series without a point are not
 * listed. A vector has one point per series, at the evaluation time.
 */
struct query_result {
    enum promql_type type;       // PROMQL_VECTOR, _MATRIX, _SCALAR, _STRING
    struct query_series *series; // of vector and matrix
    size_t series_count;
    struct query_point scalar; // PROMQL_SCALAR, and the time of PROMQL_STRING
    struct str string;
    struct str *warnings, *infos; // texts with "(line:col)", sorted; filled on failure too
    size_t warning_count, info_count;
    struct query_stats stats;
    struct str error; // on failure: the whole text, as err.text is cut to its room
};

/*
 * Runs one query. *out is written on success; on failure only its error and annotations are.
 * Errors: ERR_INVALID: does not parse, has the wrong type or a bad duration (the API's bad_data);
 * ERR_CONFLICT: upstream's execution errors, such as many-to-many matches (execution); ERR_LIMIT:
 * too many samples or a limit of the budget (execution); ERR_TIMEOUT, ERR_CANCELLED; whatever the
 * source reports. Working memory is given back to b at the end; on success the answer's own stays
 * charged.
 */
MUST_CHECK bool query_run(const struct query_engine *g, const struct query_request *r,
                          struct series_source *source, struct budget *b, struct arena *a,
                          struct query_result *out, struct err *e);
