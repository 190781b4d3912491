/*
 * sample.h - samples: a time, and a float or a native histogram; special NaNs.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/bytes.h"
#include "model/labels.h"

struct histogram; // model/histogram.h

#define SAMPLE_STALE_BITS UINT64_C(0x7ff0000000000002) // the staleness marker: a signalling NaN
#define SAMPLE_NAN_BITS   UINT64_C(0x7ff8000000000001) // the ordinary NaN of Go

static inline bool sample_is_stale(double v)
{
    return double_bits(v) == SAMPLE_STALE_BITS;
}

/*
 * The samples of one series in ascending time, as parallel arrays. Markers of staleness are
 * included: a stale float has SAMPLE_STALE_BITS, a stale histogram has a sum of those bits.
 */
struct series_samples {
    const int64_t *t_ms;
    const double *value;                 // of floats; unspecified where hist[i] is set
    const struct histogram *const *hist; // NULL: all are floats; hist[i] NULL: this one is
    const int64_t *start_ms;             // start (created) times; NULL: none; [i] 0: unknown
    size_t n;
};

struct exemplar {
    struct labels labels;
    double value;
    int64_t t_ms;
};

enum metric_type {
    TYPE_UNKNOWN,
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_HISTOGRAM,
    TYPE_GAUGE_HISTOGRAM,
    TYPE_SUMMARY,
    TYPE_INFO,
    TYPE_STATESET,
};
// "counter", …, "unknown": constants.
const char *metric_type_name(enum metric_type t);
// Of exact names; "untyped" is unknown. False, and *out as it was, for any other.
bool metric_type_of(struct str name, enum metric_type *out);

struct metric_meta {
    struct str name; // metric family
    enum metric_type type;
    struct str help, unit;
};
