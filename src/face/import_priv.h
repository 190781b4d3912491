/*
 * import_priv.h - what the files of face/import share: one request on its way into the store.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/map.h"
#include "base/metric.h"
#include "codec/line.h"
#include "face/import.h"
#include "model/labels.h"

enum {
    IMPORT_BATCH_ROWS = 200000,
    IMPORT_BATCH_HISTOGRAMS = 20000,
    IMPORT_BATCH_DAYS = 32, // a batch that is spread wider is cut by time: each day is a partition
};

struct import_fresh { // a series that its batch resolved: another batch must do so again
    struct series_ref ref;
    struct labels labels; // in `kept`
    uint64_t batch;
};

struct import_sample {
    struct series_ref ref;
    uint32_t fresh; // index; UINT32_MAX: found by its key
    int64_t t_ms;
    double value;
};

struct import_face {
    struct import_options o;
    struct arena arena; // of route paths
    struct str prefix;  // without a slash at the end
    struct pool *pool;
    struct metric_family *rows, *malformed;
};

struct import {
    struct import_face *f;
    const char *protocol; // for metrics
    struct str tenant;
    struct arena *arena; // of the request
    struct arena record; // of one record; reset between them
    struct label *extra; // labels of the request, which replace those of records
    size_t extras;
    struct str db; // InfluxDB's database: a label where the record has none
    uint64_t salt; // of what the request adds to every series
    struct intake_batch *batch;
    uint64_t batches;               // begun so far
    VEC(struct import_sample) rows; // not yet in the batch
    VEC(struct import_fresh) fresh; // of those rows
    struct map fresh_by_ref;
    uint32_t fresh_at; // of the series found or resolved last
    struct arena kept;
    struct labels_builder labels;
    struct buf scratch, inflated;
    int64_t now_ms;
    // What became of it.
    uint64_t samples, bad, refused;
    int status, retry_after_s;
    struct str text;
};

// Prepares; import_end() in any case. ERR_…: intake_begin()'s.
MUST_CHECK bool import_begin(struct import *im, struct import_face *f, const char *protocol,
                             struct str tenant, struct arena *a, struct err *e);
void import_end(struct import *im);
// A record that cannot be read.
void import_bad(struct import *im, const struct err *e);
// Commits what has come together. False: do not go on.
bool import_flush(struct import *im);
// Between records: commits when enough has come together. False: do not go on.
bool import_step(struct import *im);
// Commits the rest; afterwards status, text and counts are final.
void import_finish(struct import *im);

// A key of a series for import_find(): of raw bytes and what tells series of one record apart.
struct hash128 import_key(struct import *im, struct str raw, struct str part);
bool import_find(struct import *im, struct hash128 key, struct series_ref *out);
// Begins a label set; then import_label() for each; then import_series().
void import_labels(struct import *im);
void import_label(struct import *im, struct str name, struct str value); // empty: none
void import_tags(struct import *im, const struct line_tag *v, size_t n);
// Resolves the set. key NULL: none. A refused series takes rows, which are then counted as refused.
void import_series(struct import *im, const struct hash128 *key, struct series_ref *out);
void import_row(struct import *im, struct series_ref ref, int64_t t_ms, double v);

// Bodies; each goes on behind what is malformed.
void import_influx(struct import *im, struct str body, struct str precision);
void import_graphite(struct import *im, struct str body);
void import_opentsdb(struct import *im, struct str body);

// A request of HTTP: tenant, extra labels, body decoded. False: answered.
bool import_request(struct import *im, struct http_exchange *x, const char *protocol,
                    struct http_form *form, struct str *body);
// Answers by what became of it: `success` when all is well.
void import_reply(struct import *im, struct http_exchange *x, int success);
struct import_handler {
    const char *method, *path;
    http_handler_fn handle;
    bool prefix;
};
void import_routes(struct import_face *f, struct http_server *s, const struct import_handler *v,
                   size_t n);
void import_lines_routes(struct import_face *f, struct http_server *s);
void import_files_routes(struct import_face *f, struct http_server *s);
void import_export_routes(struct import_face *f, struct http_server *s);
