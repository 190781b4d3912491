/*
 * otlp_metrics.h - OTLP metrics: what a metric and its data points say, from protobuf or JSON.
 *
 * otlp_metric_read() reads the head of one item of otlp_walk(); otlp_metric_points() then goes
 * through its data points one by one, so that memory is that of one point. Lists of a point live
 * in the arena and only until the next point. Source: opentelemetry-proto 1.x, metrics.proto.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/otlp.h"

enum {
    OTLP_BUCKETS_MAX = 65536, // of one point or side
    OTLP_EXEMPLARS_MAX = 1024,
    OTLP_QUANTILES_MAX = 4096,
};

enum otlp_metric_kind {
    OTLP_METRIC_NONE,
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXP_HISTOGRAM,
    OTLP_SUMMARY,
};

enum otlp_temporality { OTLP_TEMPORALITY_NONE, OTLP_DELTA, OTLP_CUMULATIVE };

struct otlp_metric {
    struct str name, description, unit;
    enum otlp_metric_kind kind;
    int temporality; // enum otlp_temporality, or a number that nobody knows
    bool monotonic;
    struct otlp_item data; // of that kind; for otlp_metric_points()
};

enum otlp_number { OTLP_NO_NUMBER, OTLP_NUMBER_INT, OTLP_NUMBER_DOUBLE };

struct otlp_exemplar {
    struct otlp_attrs attrs;
    uint64_t time_ns;
    enum otlp_number kind;
    double value;                 // either kind
    struct str trace_id, span_id; // bytes; empty: none
};

struct otlp_buckets {
    int32_t offset;
    const uint64_t *count;
    size_t n;
};

struct otlp_quantile {
    double quantile, value;
};

enum { OTLP_FLAG_NO_RECORDED_VALUE = 1 };

struct otlp_point {
    /*
     * The attributes: otlp_point_attrs(). attr_bytes: as sent, where protobuf has them in one
     * piece; then they are not read yet, since whoever knows these bytes need not.
     */
    struct otlp_attrs attrs;
    struct str attr_bytes;
    uint64_t start_ns, time_ns;
    uint32_t flags;
    // gauge, sum
    enum otlp_number kind;
    int64_t i;
    double value; // either kind
    // histograms, summary
    uint64_t count;
    bool has_sum;
    double sum;
    struct otlp_buckets pos, neg; // pos: also those of a histogram with bounds, offset 0
    const double *bound;
    size_t bound_n;
    int32_t scale;
    uint64_t zero_count;
    double zero_threshold;
    const struct otlp_quantile *quantile;
    size_t quantile_n;
    const struct otlp_exemplar *exemplar;
    size_t exemplar_n;
};

// The head of a metric. Slices of the item.
MUST_CHECK bool otlp_metric_read(const struct otlp_item *item, struct otlp_metric *out,
                                 struct err *e);
/*
 * Calls visit for each point; it returns false to end with its error. Errors: ERR_CORRUPT,
 * ERR_LIMIT: more buckets, exemplars or quantiles than the limits above.
 */
MUST_CHECK bool otlp_metric_points(const struct otlp_metric *m, struct arena *a,
                                   bool (*visit)(void *ctx, const struct otlp_point *p,
                                                 struct err *e),
                                   void *ctx, struct err *e);
MUST_CHECK bool otlp_point_attrs(const struct otlp_point *p, struct arena *a,
                                 struct otlp_attrs *out, struct err *e);
// How many points it has; −1: malformed.
int64_t otlp_metric_point_count(const struct otlp_metric *m);
