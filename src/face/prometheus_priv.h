/*
 * prometheus_priv.h - what the files of face/prometheus share: parameters in, envelopes out.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/json.h"
#include "face/prometheus.h"

struct prom_face {
    struct prom_face_options o;
    struct arena arena;      // of route paths
    struct pool *pool;       // queries and everything that reads the store
    struct pool *write_pool; // remote write
    struct regex *cors;
    atomic_uint queries_running;
};

static inline struct prom_face *prom_face_of(struct http_exchange *x)
{
    return x->route_ctx;
}

/* ---- the envelope ---- */

struct prom_notes { // warnings and infos of an answer
    const struct str *warnings, *infos;
    size_t warning_count, info_count;
};

// {"status":"success","data": … : the handler writes the data with w, then prom_reply_end().
struct json_writer prom_reply_begin(struct http_exchange *x);
void prom_reply_end(struct http_exchange *x, struct json_writer *w, const struct prom_notes *notes);
// Passes what was written on when it is big. False: the client is gone, stop.
bool prom_reply_flush(struct http_exchange *x);

// {"status":"error", …} with the status of the type: "bad_data", "execution", "timeout" …
void prom_error(struct http_exchange *x, const char *type, struct str text);
void prom_error_notes(struct http_exchange *x, const char *type, struct str text,
                      const struct prom_notes *notes);
void prom_error_of(struct http_exchange *x, const struct err *e); // type by kind
// bad_data: invalid parameter "name": text
void prom_bad_parameter(struct http_exchange *x, const char *name, struct str text);
// text/plain with nosniff, as Go's http.Error; a line feed is added.
void prom_plain_error(struct http_exchange *x, int status, struct str text);

/* ---- parameters; on failure the error was sent ---- */

bool prom_form(struct http_exchange *x, struct http_form *out);
// Time as upstream reads it: seconds with decimals, or RFC 3339. *out_ms untouched on failure.
bool prom_time_parse(struct str s, int64_t *out_ms);
bool prom_duration_parse(struct str s, int64_t *out_ms, struct err *e);
// An optional time: absent gives fallback.
bool prom_time_param(struct http_exchange *x, const struct http_form *f, const char *name,
                     int64_t fallback_ms, int64_t *out_ms);
bool prom_limit_param(struct http_exchange *x, const struct http_form *f, size_t *out);
#define PROM_MIN_MS \
    INT64_C(-9223372036854775) // upstream's MinTime and MaxTime, in its milliseconds
#define PROM_MAX_MS INT64_C(9223372036854775)

// The selectors of match[]: parsed; each must have a matcher that does not match the empty value.
struct prom_selectors {
    struct promql *v;
    size_t n;
};
void prom_selectors_fini(struct prom_selectors *s);
OWN_DEFINE_FINI(struct prom_selectors, prom_selectors_fini)
// wrapped: errors read `invalid parameter "match[]": …` (series) rather than plain (labels).
bool prom_selectors(struct http_exchange *x, const struct http_form *f, bool wrapped,
                    struct prom_selectors *out);

/* ---- values ---- */

void prom_json_time(struct json_writer *w, int64_t ms); // 1717245000 or 1717245000.123
void prom_json_labels(struct json_writer *w, struct labels ls);
void prom_json_value(struct json_writer *w, double v); // "1", "NaN", "+Inf"
void prom_json_histogram(struct json_writer *w, const struct histogram *h);
void buf_prom_labels(struct buf *b, struct labels ls);

/* ---- handlers, one file each group ---- */

void prom_query(struct http_exchange *x);
void prom_query_range(struct http_exchange *x);
void prom_format_query(struct http_exchange *x);
void prom_parse_query(struct http_exchange *x);
void prom_series(struct http_exchange *x);
void prom_labels(struct http_exchange *x);
void prom_label_values(struct http_exchange *x);
void prom_routes_status(struct prom_face *f, struct http_server *s);
void prom_routes_targets(struct prom_face *f, struct http_server *s);
void prom_routes_write(struct prom_face *f, struct http_server *s);
void prom_routes_read(struct prom_face *f, struct http_server *s);
void prom_routes_admin(struct prom_face *f, struct http_server *s);
// Adds a route below the prefix of the face.
void prom_route(struct prom_face *f, struct http_server *s, const char *method, const char *path,
                http_handler_fn handle);
void prom_route_with(struct prom_face *f, struct http_server *s, const struct http_route *r);
