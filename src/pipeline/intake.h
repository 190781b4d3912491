/*
 * intake.h - the one door through which pushed samples of every protocol enter the store.
 *
 * A protocol decodes its request and feeds one batch: series (labels → ref), rows, exemplars,
 * metadata; the commit stores what is good and says what became of the rest, down to the HTTP
 * status. Limits of the tenant and the choice between replicas of HA pairs happen in here.
 *
 *   OWNED(intake_end) struct intake_batch *b = NULL;
 *   if (!intake_begin(in, &(struct intake_request){ .tenant = name }, &b, &e)) …
 *   intake_series(b, labels, NULL, &ref);        // false: refused and counted; going on is fine
 *   intake_float(b, ref, t_ms, value);           // rows of a refused series are counted as refused
 *   intake_commit(b, &result);                   // answer by result.status and result.text
 *
 * Series that come again and again should not be decoded each time: hash their raw bytes with
 * intake_seed(b) (hash128_seeded), ask intake_find(), and give the same key to intake_series() when
 * it does not know them. Equal raw bytes must then mean equal labels, now and later.
 *
 * Threads: an intake may be used by any number; a batch belongs to one thread.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/time.h"
#include "config/limits.h"
#include "metrics/metrics.h"

struct http_request;

struct intake;
struct intake_batch;

struct intake_options { // zero in a field means its default
    struct metrics *metrics;
    struct clock *clock;         // clock_real()
    unsigned tenants_max;        // 10000: whoever pushes may name tenants, and each takes files
    struct limits_store *limits; // NULL: nothing is limited
    bool tenancy;                // requests must name their tenant
};

MUST_CHECK bool intake_new(struct intake **out, const struct intake_options *o, struct err *e);
void intake_free(struct intake *in); // before the store is closed; no batch is out
OWN_DEFINE(struct intake *, intake_free)

/*
 * The tenant that a request stores for; borrowed from the request. Errors: ERR_DENIED (401) and
 * ERR_INVALID (400), see tenant_of_request().
 */
MUST_CHECK bool intake_tenant_of(const struct intake *in, const struct http_request *r,
                                 struct str *out, struct err *e);
// Gives the store what the limits say of its tenants: retention and the out-of-order window.
void intake_apply_limits(struct intake *in);

struct intake_request {
    struct str tenant; // empty: "anonymous", the tenant of those who have none
    bool history;      // samples of any age are taken, in any order: imports
};

/*
 * Begins a batch. Errors: ERR_INVALID: a name that no tenant can have; ERR_LIMIT: too many tenants,
 * or too many requests of this one; ERR_UNAVAILABLE, ERR_IO: the store.
 * intake_error_status() has the HTTP status.
 */
MUST_CHECK bool intake_begin(struct intake *in, const struct intake_request *r,
                             struct intake_batch **out, struct err *e);
void intake_end(struct intake_batch *b); // NULL is fine; what was not committed is forgotten
OWN_DEFINE(struct intake_batch *, intake_end)
int intake_error_status(const struct err *e); // 400, 401, 429, 500 or 503

/* ---- series ---- */

// Of this process, tenant and its settings: for keys. Differs after a change of limits.
uint64_t intake_seed(const struct intake_batch *b);
// A series known by its key. False: decode the labels, and intake_series().
bool intake_find(struct intake_batch *b, struct hash128 key, struct series_ref *out);
// The same for up to APPEND_FIND_MAX keys at once, which is faster; generation 0: not known.
void intake_find_many(struct intake_batch *b, const struct hash128 *key, size_t n,
                      struct series_ref *out);
/*
 * Resolves a label set (sorted, no empty values: labels_normalize(), labels_builder), registering a
 * new series if the limits let it in. key: what intake_find() was asked for, NULL: none.
 * False: refused, counted and noted for the result; *out is then a ref that refuses rows.
 */
bool intake_series(struct intake_batch *b, struct labels ls, const struct hash128 *key,
                   struct series_ref *out);

/* ---- rows: nothing here fails, see the result ---- */

void intake_float(struct intake_batch *b, struct series_ref ref, int64_t t_ms, double v);
// Copied. One that histogram_validate() refuses is counted as INTAKE_INVALID, and no row.
void intake_histogram(struct intake_batch *b, struct series_ref ref, int64_t t_ms,
                      const struct histogram *h);
void intake_start(struct intake_batch *b, int64_t start_ms); // of the row added last; 0: unknown
void intake_exemplar(struct intake_batch *b, struct series_ref ref, const struct exemplar *x);
void intake_meta(struct intake_batch *b, const struct metric_meta *meta); // without name: ignored
// Whether metadata with this hash (keyed by intake_seed()) was stored a while ago: it need not come
// again. Else the hash is remembered once the batch is stored.
bool intake_meta_is_known(struct intake_batch *b, uint64_t hash);
size_t intake_rows(const struct intake_batch *b); // so far, without the refused

/* ---- the result ---- */

enum intake_reason {
    INTAKE_UNAVAILABLE, // overload, full disk, shutting down: 503
    INTAKE_RATE,        // ingestion rate: 429, nothing was stored
    INTAKE_SERIES,      // too many series: 429, those that exist go on
    INTAKE_LABELS,      // label limits: 400
    INTAKE_INVALID,     // what no store could take: 400
    INTAKE_DUPLICATE,   // same time, other value: 400
    INTAKE_OUT_OF_ORDER,
    INTAKE_TOO_OLD,
    INTAKE_TOO_NEW,
    INTAKE_REPLICA, // of the HA replica that is not listened to: 202, not an error
    INTAKE_REASONS,
};

// A refusal that the protocol itself finds: n samples, lines or points. text is copied; the first stays.
void intake_refuse(struct intake_batch *b, enum intake_reason why, uint64_t n, struct str text);

struct intake_result {
    int status;      // 200: all is stored; 202, 400, 429, 503: of the first reason that has a count
    struct str text; // of that reason
    int retry_after_s;                                 // > 0: for a Retry-After header
    uint64_t samples, histograms, exemplars, metadata; // stored
    uint64_t series_added;
    uint64_t refused[INTAKE_REASONS];
    struct str reason_text[INTAKE_REASONS]; // of the first refusal of the kind
    const uint8_t *row_status;              // enum append_status of each of the rows, in order
    size_t rows;
};

/*
 * Stores the batch: acknowledged means the log has it. Good rows are stored beside refused ones,
 * except when there is not room for all (INTAKE_UNAVAILABLE, INTAKE_RATE): then none is.
 * Once per batch; at most a million rows: who streams begins a new batch every 50,000 or so. The result's texts and rows live until intake_end().
 */
void intake_commit(struct intake_batch *b, struct intake_result *out);

/* ---- figures ---- */

struct intake_tenant_stats {
    uint64_t series;                           // active
    double samples_per_s;                      // stored, over the last minute or so
    uint64_t samples, refused[INTAKE_REASONS]; // since the start
};
// False: nobody has pushed for this tenant since the start.
bool intake_tenant_stats(struct intake *in, struct str tenant, struct intake_tenant_stats *out);
struct intake_replica {                  // of an HA pair
    struct str tenant, cluster, replica; // replica: the one listened to
    int64_t received_ms;                 // when it was last heard of
};
// All pairs heard of, by tenant; arena memory.
size_t intake_replicas(struct intake *in, struct arena *a, struct intake_replica **out);
const char *intake_reason_name(enum intake_reason r); // "rate_limited": for metrics
