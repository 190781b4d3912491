/*
 * otlp_translate.h - OTLP metrics into the store, as Prometheus 3 translates them.
 *
 * Names and labels by otlp_name.h; service.namespace/service.name become job, service.instance.id
 * instance, the rest of a resource target_info and, where configured, labels of each series;
 * histograms with bounds become classic ones or native ones with custom buckets, exponential ones
 * native ones. What is good in a request is stored, the rest counted as rejected points.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "face/otlp_name.h"
#include "pipeline/intake.h"

struct otlp_delta;

struct otlp_options {
    struct otlp_namer namer;
    bool promote_all;            // but those in `attributes`
    struct conf_strs attributes; // of resources: to promote, or not to
    bool keep_identifying, nhcb, promote_scope;
    bool type_and_unit;       // as labels
    bool native_delta;        // deltas are stored as they are
    int64_t lookback_ms;      // of queries; half of it between samples of target_info
    struct otlp_delta *delta; // makes deltas cumulative; NULL: they are refused
    uint64_t seed;            // of keys: secret, the same for the life of `delta`
    uint64_t number;          // random: series of other settings are not these
};
// From prometheus.yml; lists stay borrowed. The rest of the fields is the caller's, before.
void otlp_options_set(struct otlp_options *o, const struct conf_otlp *c);

struct otlp_job {
    struct intake *intake;
    const struct otlp_options *o;
    struct str tenant;
    struct str body; // an ExportMetricsServiceRequest
    bool json;
};

struct otlp_outcome {
    int status; // 200: stored, with `rejected` points left out; 400, 429, 503: nothing, or try again
    int retry_after_s;
    uint64_t points, rejected;
    struct str text; // of the first rejection; in the arena
};

/*
 * Stores a request. False: it could not be read or begun; intake_error_status() has the status,
 * ERR_CORRUPT is the sender's fault too (400).
 */
MUST_CHECK bool otlp_store_metrics(const struct otlp_job *job, struct arena *a,
                                   struct otlp_outcome *out, struct err *e);
