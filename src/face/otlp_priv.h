/*
 * otlp_priv.h - what the files of the translation share.
 *
 *   otlp_translate.c  the walk: resources, scopes, metrics; batches and what became of them
 *   otlp_series.c     labels and refs of series
 *   otlp_points.c     data points as rows
 *   otlp_histogram.c  buckets as native histograms
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "base/vec.h"
#include "codec/otlp_metrics.h"
#include "face/otlp_translate.h"
#include "model/histogram.h"
#include "model/labels.h"

struct otlp_mark { // where the rows of a point begin
    uint32_t row;
    bool counted; // no point, or one that is known to be rejected
};

struct otlp_labels {
    VEC(struct label) v;
};

struct otlp_work {
    const struct otlp_job *job;
    const struct otlp_options *o;
    struct arena *arena;  // of the walk
    struct arena *result; // of the caller
    struct intake_batch *batch;
    struct buf key; // scratch
    // the resource
    struct otlp_attrs resource;
    struct str job_label, instance_label;
    struct otlp_labels promoted;
    bool resource_bad;
    struct err resource_err;
    struct hash128 resource_key;
    uint64_t min_ns, max_ns; // of its points; max 0: none
    // the scope
    bool scope_bad;
    struct err scope_err;
    struct otlp_labels scope; // set when scopes are promoted
    struct hash128 scope_key;
    // the metric
    struct otlp_metric metric;
    struct metric_meta meta; // name: of the family in Prometheus
    struct str unit_label;   // of __unit__
    struct hash128 metric_key;
    bool delta; // its points are differences and stay so
    // the point
    const struct otlp_point *p;
    int64_t t_ms, start_ms;
    struct hash128 point_key;
    struct labels_builder labels; // once they were needed
    bool labels_ready, point_bad, point_refused;
    // what became of all
    VEC(struct otlp_mark) marks; // of the batch
    uint64_t points, rejected, stored;
    uint64_t refused; // points of the batch with a refused series
    int status;       // of the batches: the gravest
    int retry_after_s;
    struct str text;
};

// Notes n rejected points; the first text stays.
void otlp_reject(struct otlp_work *w, uint64_t n, struct str text);
// Commits a batch that is large enough and begins the next.
MUST_CHECK bool otlp_next_batch(struct otlp_work *w, struct err *e);

/* ---- series ---- */
// Bytes for keys: equal only for equal attributes.
void otlp_key_attrs(struct buf *b, struct otlp_attrs attrs);
void otlp_key_str(struct buf *b, struct str s);
struct hash128 otlp_key_take(struct otlp_work *w); // hash of w->key, which is empty after
// Of the attributes of a point, as sent: in another order they have another key.
struct hash128 otlp_point_key(struct otlp_work *w, const struct otlp_point *p);
// Of a stream of the metric, for otlp_delta.h: whatever the order of the attributes.
struct hash128 otlp_stream_key(struct otlp_work *w, struct otlp_attrs attrs);
/*
 * Sets the labels of attributes: renamed, sorted, collisions joined by ';', then those of the
 * resource and scope. ignore: keys left out. ERR_INVALID: a name that cannot be.
 */
MUST_CHECK bool otlp_make_labels(struct otlp_work *w, struct otlp_attrs attrs,
                                 const struct str *ignore, size_t ignore_n, struct err *e);
/*
 * The series of the point with this suffix and, unless extra is empty, one more label whose value is
 * the number. False: the point is bad (noted).
 */
bool otlp_series(struct otlp_work *w, struct str suffix, struct str extra, double number,
                 struct series_ref *out);

/* ---- points ---- */
bool otlp_point(void *work, const struct otlp_point *p, struct err *e);

/* ---- histograms; in the arena ---- */
MUST_CHECK bool otlp_exponential(const struct otlp_point *p, bool gauge, struct arena *a,
                                 struct histogram *out, struct err *e);
MUST_CHECK bool otlp_custom(const struct otlp_point *p, bool gauge, struct arena *a,
                            struct histogram *out, struct err *e);
