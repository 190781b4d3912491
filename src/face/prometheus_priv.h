/*
 * prometheus_priv.h - what the files of face/prometheus share: parameters in, envelopes out.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/vec.h"
#include "codec/expo.h"
#include "codec/json.h"
#include "face/prometheus.h"

#define PROM_VERSION "3.14.0" // whose behaviour is kept: clients decide by it

enum prom_slice { PROM_SLICE_INNER, PROM_SLICE_PREPARE, PROM_SLICE_QUEUE, PROM_SLICE_SORT };

struct prom_face {
    struct prom_face_options o;
    struct arena arena;      // of route paths
    struct pool *query_pool; // PromQL: its threads are the limit of concurrency
    struct pool *pool;       // everything else that reads the store
    struct pool *write_pool; // remote write
    struct regex *cors;
    VEC(struct str) paths; // of routes, below the prefix; set up before the server starts
    struct metric *query_running, *query_samples, *query_samples_read, *query_seconds[4];
    struct metric_family *scrapes; // of /metrics, by status
    struct metric *query_log_enabled, *query_log_failures;
};

static inline struct prom_face *prom_face_of(struct http_exchange *x)
{
    return x->route_ctx;
}

/* ---- tenants (prometheus_tenant.c); what takes the exchange answers it on failure ---- */

struct tenant_names;
// The tenants a request asks about.
bool prom_tenants(struct http_exchange *x, struct tenant_names *out);
// What the request may read, in its arena. NULL: answered.
struct series_source *prom_source(struct http_exchange *x);
// The one tenant of requests that can be about one only; NULL without *answered: it has no data.
struct metrics_tenant *prom_tenant(struct http_exchange *x, bool *answered);
struct prom_limits { // of queries; 0: none
    uint64_t series_max, samples_max, expression_bytes;
    int64_t lookback_ms, length_ms;
};
// The least of the tenants' limits.
struct prom_limits prom_limits(struct http_exchange *x, const struct tenant_names *names);

/* ---- the envelope ---- */

struct prom_notes { // warnings and infos of an answer
    const struct str *warnings, *infos;
    size_t warning_count, info_count;
};

// {"status":"success","data": … : the handler writes the data with w, then prom_reply_end().
struct json_writer prom_reply_begin(struct http_exchange *x);
void prom_reply_end(struct http_exchange *x, struct json_writer *w, const struct prom_notes *notes);
// Limits of a request that reads the store without being a query.
struct budget prom_budget(struct http_exchange *x);
// external_labels of the configuration, in the arena of the exchange.
struct labels prom_external_labels(struct http_exchange *x);
// Content-Type and format of a page of metrics, by Accept: text or delimited protobuf; and whether
// names may have characters beyond the old set.
struct str prom_expo_type(struct http_exchange *x, enum expo_format *format, bool *utf8);
// Passes what was written on when it is big. False: the client is gone, stop.
bool prom_reply_flush(struct http_exchange *x);

// {"status":"error", …} with the status of the type: "bad_data", "execution", "timeout" …
void prom_error(struct http_exchange *x, const char *type, struct str text);
void prom_error_notes(struct http_exchange *x, const char *type, struct str text,
                      const struct prom_notes *notes);
// True when this is an agent, which answers "unavailable with Prometheus Agent".
bool prom_refuse_agent(struct http_exchange *x);
void prom_error_of(struct http_exchange *x, const struct err *e); // type by kind
// bad_data: invalid parameter "name": text
void prom_bad_parameter(struct http_exchange *x, const char *name, struct str text);
// text/plain with nosniff, as Go's http.Error; a line feed is added.
void prom_plain_error(struct http_exchange *x, int status, struct str text);

/* ---- parameters; what takes the exchange answers it with the error on failure ---- */

// As Go's %q, in the arena.
struct str prom_quote(struct arena *a, struct str s);
// What r.FormValue sees: malformed pairs are left out.
struct http_form prom_form(struct http_exchange *x);
// As r.ParseForm: malformed pairs are bad_data.
bool prom_form_strict(struct http_exchange *x, struct http_form *out);

// A point in time as Go has it: seconds since 1970 of any size, and 0..999999999 ns.
struct prom_time {
    int64_t s;
    int32_t ns;
};
// Upstream's MinTime and MaxTime: the defaults of start and end where they may be left out.
#define PROM_TIME_MIN ((struct prom_time){ INT64_C(-9223309901257974), 0 })
#define PROM_TIME_MAX ((struct prom_time){ INT64_C(9223309901257974), 999999999 })
// Seconds with decimals, or RFC 3339. *out untouched on failure.
bool prom_time_parse(struct str text, struct prom_time *out);
int64_t prom_time_engine_ms(struct prom_time t);  // as queries see it
int64_t prom_time_storage_ms(struct prom_time t); // as series, labels, exemplars see it
struct prom_time prom_time_of_ms(int64_t ms);
int64_t prom_time_sub_ns(struct prom_time a, struct prom_time b); // a − b, saturated
// Float seconds or 1h30m. ERR_INVALID in upstream's words.
bool prom_duration_parse(struct str s, int64_t *out_ns, struct err *e);

// An optional time: *out keeps what it has when absent. invalid parameter "name": invalid time …
bool prom_time_param(struct http_exchange *x, const struct http_form *f, const char *name,
                     struct prom_time *out);
// The same without `invalid parameter "name": ` in front of the error.
bool prom_time_param_plain(struct http_exchange *x, const struct http_form *f, const char *name,
                           struct prom_time *out);
bool prom_time_required(struct http_exchange *x, const struct http_form *f, const char *name,
                        struct prom_time *out);
bool prom_duration_param(struct http_exchange *x, const struct http_form *f, const char *name,
                         int64_t *out_ns);
bool prom_limit_param(struct http_exchange *x, const struct http_form *f, size_t *out);
// As Go's strconv.ParseBool.
bool prom_bool_parse(struct str s, bool *out);
// What strconv.Atoi or ParseInt (function) says of a text that is no number, or too large.
struct str prom_number_problem(struct arena *a, const char *function, struct str s);
// The first error of a failed parse, whole.
struct str prom_parse_problem(struct arena *a, const struct promql *q, const struct err *e);

// The selectors of match[].
struct prom_selectors {
    struct promql *v;
    size_t n;
};
void prom_selectors_fini(struct prom_selectors *s);
OWN_DEFINE_FINI(struct prom_selectors, prom_selectors_fini)
// All match[] of the form. False: *problem says why. To be freed in both cases.
bool prom_selectors_parse(struct arena *a, const struct http_form *f, struct prom_selectors *out,
                          struct str *problem);
// As above, and each must have a matcher that refuses the empty value. wrap: the parameter's name
// where errors read `invalid parameter "match[]": …` (series), NULL where not (labels).
bool prom_selectors(struct http_exchange *x, const struct http_form *f, const char *wrap,
                    struct prom_selectors *out);

void prom_buf_html(struct buf *b, struct str s); // as Go's html.EscapeString

/* ---- values ---- */

void prom_json_time(struct json_writer *w, int64_t ms); // 1717245000 or 1717245000.123
void prom_json_labels(struct json_writer *w, struct labels ls);
void prom_json_value(struct json_writer *w, double v); // "1", "NaN", "+Inf"
void prom_json_histogram(struct json_writer *w, const struct histogram *h);
void buf_prom_labels(struct buf *b, struct labels ls);

/* ---- what is kept of queries (prometheus_engine.c) ---- */

struct prom_query_record {
    struct http_exchange *exchange;
    const struct query_request *request;
    struct prom_time start, end;
    const struct query_stats *stats; // NULL: it failed
    int64_t queued_ns;
    struct str error;
};
void prom_engine_init(struct prom_face *f);
void prom_query_begin(struct prom_face *f);
void prom_query_end(struct prom_face *f, const struct prom_query_record *r);

/* ---- handlers, one file each group ---- */

void prom_query(struct http_exchange *x);
void prom_query_range(struct http_exchange *x);
void prom_format_query(struct http_exchange *x);
void prom_parse_query(struct http_exchange *x);
void prom_series(struct http_exchange *x);
void prom_labels(struct http_exchange *x);
void prom_label_values(struct http_exchange *x);
void prom_features(struct http_exchange *x);
void prom_routes_rules(struct prom_face *f, struct http_server *s);
void prom_routes_metrics(struct prom_face *f, struct http_server *s);
void prom_metrics_init(struct prom_face *f);
void prom_routes_federate(struct prom_face *f, struct http_server *s);
void prom_routes_search(struct prom_face *f, struct http_server *s);
void prom_routes_docs(struct prom_face *f, struct http_server *s);
void prom_routes_status(struct prom_face *f, struct http_server *s);
void prom_routes_targets(struct prom_face *f, struct http_server *s);
void prom_routes_write(struct prom_face *f, struct http_server *s);
void prom_routes_mimir(struct prom_face *f, struct http_server *s);
void prom_routes_read(struct prom_face *f, struct http_server *s);
void prom_routes_admin(struct prom_face *f, struct http_server *s);
// Adds a route below the prefix of the face.
void prom_route(struct prom_face *f, struct http_server *s, const char *method, const char *path,
                http_handler_fn handle);
void prom_route_with(struct prom_face *f, struct http_server *s, const struct http_route *r);
