/*
 * scrape_priv.h - targets and pools, shared by the files of pipeline/scrape.
 *
 * Lock order: scraper.mu → scrape_target.mu. A target's cache belongs to the one
 * scrape under way (target.busy), no lock.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/pool.h"
#include "base/thread.h"
#include "base/vec.h"
#include "codec/expo.h"
#include "discover/discover.h"
#include "pipeline/scrape.h"

enum { REPORT_COUNT = 8 }; // up and the scrape_* series

// One series of a target's page, or a line that is only a part of a histogram to convert.
struct scrape_series {
    struct series_ref ref;
    uint32_t page; // number of the page that had it last
    uint32_t at;   // where it stands in `known`; only a hint
    bool used;     // false: the slot is free
    bool resolved; // relabelled: `dropped`, or else `ref`, says what came out
    bool dropped;
    uint8_t tracked : 1; // its newest row is no marker: it gets one when it vanishes
    uint8_t redo : 1;    // its ref was stale at the commit: once more
};
static_assert(sizeof(struct scrape_series) == 20, "one per series and target");

enum scrape_role { ROLE_UNKNOWN, ROLE_OTHER, ROLE_BUCKET, ROLE_COUNT, ROLE_SUM };

// What a line says about the histogram it belongs to.
struct scrape_part {
    uint64_t family; // hash of the histogram's name
    uint64_t base;   // hash of name and labels without `le`
    double le;
    enum scrape_role role;
    uint32_t native; // slot of the histogram made of it; only a hint
};

struct scrape_meta_entry {
    struct str name, help, unit; // heap
    enum metric_type type;
    uint32_t page; // number of the page that had it last
};

typedef VEC(struct expo_known) scrape_known;

/*
 * What is remembered of a target's pages. Slots live while their series is on successful pages; a
 * failed page frees none, as upstream, unless they have become too many.
 */
struct scrape_cache {
    scrape_known known;               // the last good page in its order
    VEC(struct scrape_series) series; // by slot
    VEC(uint64_t) hashes;             // by slot
    VEC(int64_t) starts; // by slot: start_ms of the zero row written last; may be shorter
    VEC(uint32_t) free_slots;
    VEC(struct scrape_part) parts; // by slot, where histograms are converted; may be shorter
    struct map index;   // hash → slot: built when a line is out of order, dropped when idle
    bool indexed;       // index is there
    uint32_t calm;      // pages since it was needed
    uint32_t used;      // slots
    uint32_t good_used; // after the last good page
    uint32_t page;
    uint64_t seed;
    struct series_ref report[REPORT_COUNT];
    VEC(struct scrape_meta_entry) meta; // under target.mu to change, and for others to read
    struct map meta_index;              // as meta
    uint32_t meta_at;                   // where the next entry is expected
};

// Whether a target is scraped, and what becomes of its series when it is not any more.
enum scrape_fate {
    FATE_LIVE,
    FATE_WAITING, // for one that goes on; else it will be GONE
    FATE_GONE,    // markers are to be written
    FATE_SILENT,  // the process stops: no markers
};

struct scrape_pool;

struct scrape_target {
    atomic_uint refs;
    struct scrape_pool *pool; // holds a reference
    struct arena arena;       // labels, url
    struct labels discovered, labels;
    struct str url, key;  // key: equal targets have equal keys
    uint64_t labels_hash; // of labels
    struct str proxy_url; // empty: none
    int64_t interval_ms, timeout_ms, offset_ns;
    bool native, classic;        // histograms: scrape native ones, keep the classic beside
    bool convert;                // classic histograms to native ones with custom buckets
    int32_t schema_max;          // native histograms beyond it are reduced
    struct http_header *headers; // without those of authentication
    size_t header_count;
    bool is_local;                    // a page of this process
    int64_t due_mono_ns, due_wall_ms; // under scraper.mu
    atomic_bool busy;                 // a scrape is under way, or the last one was
    atomic_int fate;                  // enum scrape_fate
    struct scrape_target *heir_of;    // of the busy one: its series get markers unless they go on
    struct scrape_cache cache;
    int64_t started_mono_ns, started_ns, stamp_ms; // of the scrape under way
    struct metric *interval_seconds;               // the timer's
    struct mutex mu;                               // guards what follows
    char last_error[256];
    int64_t last_scrape_ns, last_duration_ns;
    enum scrape_health health;
    uint64_t page_series, page_bytes;
};

struct scrape_log; // a failure log, shared by jobs

// Metrics of one job; its family's children live for ever.
struct scrape_gauges {
    struct metric *targets, *target_limit, *syncs, *sync_failed, *sync_seconds;
};

struct scrape_pool {
    atomic_uint refs;
    struct scraper *scraper;
    struct prom_config *config; // a reference
    const struct conf_scrape *conf;
    struct str name;
    struct hash128 key; // of all settings, secrets too: equal key, same pool
    struct discover_http http;
    struct err http_error;        // kind set: certificates cannot be read, every scrape fails
    struct discover_token *token; // of oauth2; NULL: none
    struct scrape_log *failures;  // a reference; NULL: none
    struct scrape_gauges gauges;
    atomic_uint too_many;                // targets, when more than target_limit; else 0
    VEC(struct scrape_target *) targets; // under scraper.mu
    struct arena dropped_arena;          // under scraper.mu
    VEC(struct labels) dropped;          // under scraper.mu
    uint64_t dropped_count;              // under scraper.mu
};

struct scrape_orphan {
    struct scrape_target *t; // a reference
    int64_t until_mono_ns;
};

struct scraper {
    struct scraper_options o;
    struct http_client *client;
    struct mutex mu;
    struct cond wake;
    bool stopping;                     // under mu
    struct prom_config *config;        // under mu
    VEC(struct scrape_pool *) pools;   // under mu
    VEC(struct scrape_target *) heap;  // under mu: by due_mono_ns; each holds a reference
    VEC(struct scrape_orphan) orphans; // under mu
    struct discover *discover;         // changed by scraper_apply only
    struct pool *workers;
    struct pool *waiters; // make pages inside the process: probes and databases are waited for
    struct thread timer;
    atomic_uint running;
    struct mutex scratch_mu;
    struct scrape_scratch *scratch; // under scratch_mu: those not in use
    uint64_t spread;                // of this process: moves all offsets
    struct metric *samples, *late, *sample_limit, *bucket_limit, *label_limits, *body_limit,
        *duplicates, *out_of_order, *out_of_bounds, *cache_flushes, *pools_made, *pools_failed,
        *reloads, *target_limits;
    struct metric_family *interval_seconds;
};

struct scrape_target *scrape_target_get(struct scrape_target *t);
void scrape_target_put(struct scrape_target *t);
OWN_DEFINE(struct scrape_target *, scrape_target_put)

/* ---- scrape_pool.c ---- */

void scrape_pool_put(struct scrape_pool *p);
OWN_DEFINE(struct scrape_pool *, scrape_pool_put)
// Makes the pool's targets those that were discovered.
void scrape_pool_update_locked(struct scraper *s, struct scrape_pool *p,
                               const struct labels *targets, size_t n);
// Its targets go, with this fate; puts the pool.
void scrape_pool_close_locked(struct scraper *s, struct scrape_pool *p, enum scrape_fate fate);
void scrape_orphans_expire_locked(struct scraper *s, int64_t now_mono_ns);
// Makes an idle target busy. False: it is.
bool scrape_target_claim(struct scrape_target *t);

/* ---- scrape_log.c ---- */

MUST_CHECK bool scrape_log_open(struct scrape_log **out, struct str path, struct err *e);
struct scrape_log *scrape_log_get(struct scrape_log *l);
void scrape_log_put(struct scrape_log *l); // NULL is fine
struct str scrape_log_path(const struct scrape_log *l);
// Any thread.
void scrape_log_failure(struct scrape_log *l, const struct scrape_target *t, int64_t now_ms,
                        struct str text);

// scrape_target.c: NULL with *e on labels that make no target; *kept false: dropped by relabelling.
struct scrape_target *scrape_target_make(struct scrape_pool *p, struct labels discovered,
                                         bool *kept, struct err *e);

// scrape_append.c: what came back (body empty with failure set), from page to stored rows.
struct scrape_result {
    struct str body; // empty: a page without samples, whatever the format
    enum expo_format format;
    const struct err *failure; // NULL: the body is to be read
    bool too_big;              // the failure is the body's size
};
void scrape_append(struct scrape_target *t, const struct scrape_result *r);
// Stale markers for everything the target had: it is gone.
void scrape_append_gone(struct scrape_target *t, int64_t now_ms);
void scrape_cache_fini(struct scrape_cache *c);
void scrape_scratch_free(struct scrape_scratch *sc); // and those behind it

// scrape_metrics.c
void scrape_metrics_make(struct scraper *s);
struct scrape_gauges scrape_gauges_of(struct str job);

// scrape_loop.c
void scrape_schedule_locked(struct scraper *s, struct scrape_target *t);
void *scrape_timer(void *ctx);
