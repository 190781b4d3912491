/*
 * import.h - the face of everything that is neither Prometheus nor OTLP: line protocols and files in,
 * series out.
 *
 * InfluxDB, Graphite, OpenTSDB, DataDog, CSV, JSON lines and text pages come in over HTTP (the paths
 * are those of VictoriaMetrics and of the originals) or as text from whoever reads sockets. Samples of
 * any age are taken. Good records are stored beside bad ones; the answer names the first bad one.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/time.h"
#include "metrics/metrics.h"
#include "net/http.h"
#include "pipeline/intake.h"

struct import_options { // zero in a field means its default
    struct metrics *metrics;
    struct intake *intake;
    bool tenancy;        // requests name their tenant
    struct clock *clock; // clock_real()
    struct str prefix;   // of all paths: "/", "/prom"
};

struct import_face;
MUST_CHECK bool import_face_new(struct import_face **out, const struct import_options *o,
                                struct err *e);
void import_face_free(struct import_face *f); // after the servers were closed
OWN_DEFINE(struct import_face *, import_face_free)
void import_face_routes(struct import_face *f, struct http_server *s);

enum import_protocol { IMPORT_GRAPHITE, IMPORT_OPENTSDB, IMPORT_INFLUX, IMPORT_PROTOCOLS };

struct import_counts {
    uint64_t samples;   // stored
    uint64_t malformed; // records
    uint64_t refused;   // samples
    int status;         // as over HTTP: 204, 400, 429, 503
    char text[256];     // of the first problem
};
// Whole lines from a socket, for the tenant of those who name none. Blocks until they are stored.
void import_text(struct import_face *f, enum import_protocol p, struct str text,
                 struct import_counts *out);
