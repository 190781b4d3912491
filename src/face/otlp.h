/*
 * otlp.h - the OTLP face: metrics over HTTP (protobuf, JSON) and gRPC.
 *
 * POST …/v1/metrics takes an ExportMetricsServiceRequest, plain or compressed with gzip, zstd, deflate or
 * snappy; gRPC is opentelemetry.proto.collector.metrics.v1.MetricsService/Export. Points that
 * cannot be stored are told as a partial success; what can succeed later as 429 or 503 with
 * Retry-After, or RESOURCE_EXHAUSTED or UNAVAILABLE with RetryInfo. Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "net/grpc.h"
#include "net/http.h"
#include "pipeline/intake.h"

struct otlp_face;

struct otlp_face_options {
    struct intake *intake;
    int64_t lookback_ms; // of queries
    bool convert_delta;  // points of delta temporality are made cumulative
    bool native_delta;   // or stored as they are; neither: refused
    bool type_and_unit;  // labels __type__ and __unit__
    const char *off;     // not NULL: routes that Prometheus has answer 404 with this
};

MUST_CHECK bool otlp_face_new(struct otlp_face **out, const struct otlp_face_options *o,
                              struct err *e);
void otlp_face_free(struct otlp_face *f); // after the servers that have its routes
OWN_DEFINE(struct otlp_face *, otlp_face_free)
// The otlp section counts for requests from now on. Until the first call all are answered 503.
void otlp_face_apply(struct otlp_face *f, struct prom_config *c);

// POST of that path; path must outlive the server. plain: errors as text, as Prometheus answers.
void otlp_face_route_http(struct otlp_face *f, struct http_server *s, const char *path, bool plain);
void otlp_face_route_grpc(struct otlp_face *f, struct http_server *s);
