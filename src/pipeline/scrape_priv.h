/*
 * scrape_priv.h - targets and pools, shared by the files of pipeline/scrape.
 *
 * Lock order: scraper.mu → scrape_target.mu. A target's cache belongs to the one
 * scrape under way (target.busy), no lock.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/map.h"
#include "base/metric.h"
#include "base/pool.h"
#include "base/thread.h"
#include "base/vec.h"
#include "codec/expo.h"
#include "discover/discover.h"
#include "pipeline/scrape.h"

enum { REPORT_COUNT = 8 }; // up and the scrape_* series

// What is known of one series of a target's page.
struct scrape_series {
    struct series_ref ref; // generation 0: dropped by relabelling
    uint32_t page;         // number of the page that had it last
    bool timed;            // came with its own timestamp: no stale marker
    bool dropped;
};

struct scrape_meta_entry {
    struct str name, help, unit; // heap
    enum metric_type type;
};

struct scrape_cache {
    VEC(struct expo_known) known, next; // the last page in its order, the one being read
    VEC(struct scrape_series) series;   // by slot
    VEC(uint32_t) free_slots;
    struct map index;     // hash → slot, for lines out of order
    VEC(uint64_t) hashes; // by slot: the hash of its raw bytes
    uint32_t page;
    uint64_t seed;
    struct series_ref report[REPORT_COUNT];
    VEC(struct scrape_meta_entry) meta; // under target.mu
    struct map meta_index;              // under target.mu
};

struct scrape_pool;

struct scrape_target {
    atomic_uint refs;
    struct scrape_pool *pool; // holds a reference
    struct arena arena;       // labels, url
    struct labels discovered, labels;
    struct str url, key; // key: equal targets have equal keys
    int64_t interval_ms, timeout_ms, offset_ns;
    bool native, classic;    // histograms: scrape native ones, keep the classic beside
    struct buf headers_text; // X-Prometheus-Scrape-Timeout-Seconds
    struct http_header *headers;
    size_t header_count;
    int64_t due_mono_ns, due_wall_ms; // under scraper.mu
    atomic_bool busy, removed;
    struct scrape_cache cache;
    int64_t started_mono_ns, started_ns, stamp_ms; // of the scrape under way
    struct mutex mu;                               // guards what follows
    char last_error[256];
    int64_t last_scrape_ns, last_duration_ns;
    enum scrape_health health;
    uint64_t page_series, page_bytes;
};

struct scrape_pool {
    atomic_uint refs;
    struct scraper *scraper;
    struct prom_config *config; // a reference
    const struct conf_scrape *conf;
    struct str name;
    struct buf printed; // the job's text: equal text, same pool
    struct discover_http http;
    struct err http_error;       // kind set: a secret's file cannot be read, every scrape fails
    _Atomic uint64_t over_limit; // targets, when there are more than target_limit; else 0
    VEC(struct scrape_target *) targets; // under scraper.mu
    struct arena dropped_arena;          // under scraper.mu
    VEC(struct labels) dropped;          // under scraper.mu
    uint64_t dropped_count;              // under scraper.mu
};

struct scraper {
    struct scraper_options o;
    struct http_client *client;
    struct mutex mu;
    struct cond wake;
    bool stopping;                    // under mu
    struct prom_config *config;       // under mu
    VEC(struct scrape_pool *) pools;  // under mu
    VEC(struct scrape_target *) heap; // under mu: by due_mono_ns; each holds a reference
    VEC(size_t) set_pool;             // under mu: discovery set → pool
    struct discover *discover;        // changed by scraper_apply only
    struct pool *workers;
    struct thread timer;
    atomic_uint running;
    uint64_t spread; // of this process: moves all offsets
    struct metric *samples, *late, *sample_limit, *duplicates, *out_of_order, *out_of_bounds;
    struct metric_family *interval_seconds;
};

struct scrape_target *scrape_target_get(struct scrape_target *t);
void scrape_target_put(struct scrape_target *t);
OWN_DEFINE(struct scrape_target *, scrape_target_put)
void scrape_pool_put(struct scrape_pool *p);

// scrape_target.c: NULL with *e on labels that make no target; *kept false: dropped by relabelling.
struct scrape_target *scrape_target_make(struct scrape_pool *p, struct labels discovered,
                                         bool *kept, struct err *e);

// scrape_append.c: what came back (body empty with failure set), from page to stored rows.
struct scrape_result {
    struct str body;
    enum expo_format format;
    const struct err *failure; // NULL: the body is to be read
    size_t wire_bytes;
};
void scrape_append(struct scrape_target *t, const struct scrape_result *r);
// Stale markers for everything the target had: it is gone.
void scrape_append_gone(struct scrape_target *t, int64_t now_ms);
void scrape_cache_fini(struct scrape_cache *c);

// scrape_loop.c
void scrape_schedule_locked(struct scraper *s, struct scrape_target *t);
void *scrape_timer(void *ctx);
