/*
 * limits.h - what tenants may do: defaults and overrides in the shape of Mimir's, changed while running.
 *
 *   limits:                          # of every tenant
 *     ingestion_rate: 100000
 *   overrides:                       # of one, on top of those
 *     pods:
 *       max_global_series_per_user: 2000000
 *
 * A document is immutable; whoever holds a reference reads it without a lock. The store swaps in a
 * new one when its file changes and keeps the old one when the new file is wrong.
 *
 * Threads: all of the store's functions may be called from any.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/time.h"
#include "config/schema.h"

struct limits { // 0 means no limit, or the server's own value, where nothing else is said
    double ingestion_rate; // samples, exemplars and metadata per second
    uint64_t ingestion_burst_size;
    double request_rate; // write requests per second
    uint64_t request_burst_size;
    uint64_t max_global_series_per_user, max_global_series_per_metric; // active ones
    uint64_t max_label_names_per_series, max_label_name_length, max_label_value_length;
    uint64_t max_metadata_length;
    struct conf_strs drop_labels;
    bool accept_ha_samples;
    struct str ha_cluster_label, ha_replica_label;
    uint64_t ha_max_clusters;
    int64_t ha_tracker_failover_timeout_ms;
    int64_t out_of_order_time_window_ms; // −1: the server's own
    int64_t compactor_blocks_retention_period_ms;
    uint64_t max_fetched_series_per_query;
    uint64_t max_samples_per_query;
    int64_t max_query_lookback_ms, max_query_length_ms;
    uint64_t max_query_expression_size_bytes;
    const struct yaml_node *other; // a key that has no meaning here
};

struct limits_override {
    struct str tenant;
    struct limits limits;
};
struct limits_doc {
    struct limits limits;      // of tenants without override
    struct limits_override *v; // sorted by tenant
    size_t n;
    uint64_t number; // differs from that of any other document of this process
    // private to limits.c behind this
    _Atomic uint32_t refs;
    struct arena arena;
    VEC(struct conf_problem) warnings;
};

/*
 * Reads a document; text may be empty. tenancy: the defaults are those of a shared server, else
 * nothing is limited that the text does not limit. The reference is the caller's. Errors:
 * ERR_INVALID with position, unknown keys among them.
 */
MUST_CHECK bool limits_parse(struct str text, bool tenancy, struct limits_doc **out, struct err *e);
struct limits_doc *limits_doc_get(struct limits_doc *d);
void limits_doc_put(struct limits_doc *d);
OWN_DEFINE(struct limits_doc *, limits_doc_put)
// Those of one tenant; lives as long as the document.
const struct limits *limits_of(const struct limits_doc *d, struct str tenant);
// Appends one set of limits as block YAML.
void buf_limits(struct buf *b, const struct limits *l, int indent);
// The document as a file would have it: limits, then overrides.
void buf_limits_doc(struct buf *b, const struct limits_doc *d);
// Calls visit for each limit that is a number, by its name.
void limits_each(const struct limits *l, void (*visit)(void *ctx, const char *name, double v),
                 void *ctx);

struct limits_store;
enum { LIMITS_POLL_MS = 10000 }; // how soon a changed file acts

/*
 * path: NULL for none. An unreadable or wrong file is an error here and, later, a line in the log.
 */
MUST_CHECK bool limits_store_open(struct limits_store **out, const char *path, bool tenancy,
                                  struct err *e);
void limits_store_close(struct limits_store *s);
OWN_DEFINE(struct limits_store *, limits_store_close)
struct limits_doc *limits_store_doc(struct limits_store *s); // a reference
// Changes with every document taken in: cheap to ask before fetching it.
uint64_t limits_store_number(const struct limits_store *s);
MUST_CHECK bool limits_store_reload(struct limits_store *s, struct err *e); // now
// Reloads when the file has changed; logs what came of it. What the watching thread does.
void limits_store_poll(struct limits_store *s);
/*
 * Starts a thread that polls, when there is a file. changed: NULL, or called after every document
 * taken in, on the thread that took it.
 */
MUST_CHECK bool limits_store_watch(struct limits_store *s, void (*changed)(void *ctx), void *ctx,
                                   struct err *e);
void limits_store_stop(struct limits_store *s); // joins it; nothing is called from then on
