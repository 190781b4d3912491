/*
 * exporter.h - an exporter on a port: its pages over HTTP.
 *
 * Questions run on the exporter's own pool: what a slow database holds up is one of its threads.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"
#include "net/http.h"

struct exporter_face_options {
    struct exporter *exporter; // borrowed
    struct str prefix;         // of all paths: "" or "/prefix"
    unsigned threads;          // questions at once; 0: 16
};
struct exporter_face;
MUST_CHECK bool exporter_face_open(struct exporter_face **out,
                                   const struct exporter_face_options *o, struct err *e);
void exporter_face_close(struct exporter_face *f); // after the server was closed
OWN_DEFINE(struct exporter_face *, exporter_face_close)
void exporter_face_routes(struct exporter_face *f, struct http_server *s);
