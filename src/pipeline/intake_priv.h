/*
 * intake_priv.h - what the files of the intake share.
 *
 *   intake.c         tenants, batches, rows, results
 *   intake_limits.c  rates, labels, numbers of series
 *   intake_ha.c      which replica of an HA pair is listened to
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/thread.h"
#include "base/vec.h"
#include "pipeline/intake.h"

enum { META_SEEN = 1 << 12 };

struct bucket { // of a rate: fills with time
    double tokens;
    int64_t at_ns; // 0: never asked
};

struct ha_cluster {
    char *cluster, *replica;
    int64_t received_ms;
    uint64_t changes; // of the replica
};

struct metric_count { // series of one metric name, about
    uint64_t name_hash, series;
    int64_t counted_ns;
};

struct intake_tenant {
    struct intake *in;
    char *name;
    struct metrics_tenant *store;
    uint64_t seed;
    struct mutex mu;            // guards what follows
    struct intake_batch *spare; // batches to use again
    unsigned spares;
    struct limits_doc *doc; // NULL: nothing is limited
    struct bucket items, requests;
    VEC(struct ha_cluster) ha;
    struct map ha_map;
    VEC(struct metric_count) by_metric;
    struct map by_metric_map;
    double rate; // samples per second, fading
    int64_t rate_ns;
    uint64_t samples, refused[INTAKE_REASONS];
    _Atomic uint64_t *_Atomic meta_seen; // META_SEEN hashes by their low bits; NULL: none yet
    struct metric *samples_metric, *refused_metric[INTAKE_REASONS];
};

struct intake {
    struct intake_options o;
    struct clock *clock;
    struct mutex mu; // guards tenants; held while one is opened, which is rare
    struct map by_name;
    VEC(struct intake_tenant *) tenants;
};

enum intake_ha { INTAKE_HA_OFF, INTAKE_HA_ASK, INTAKE_HA_NONE, INTAKE_HA_MINE, INTAKE_HA_OTHER };

struct intake_batch {
    struct intake_batch *next; // of the spares
    struct intake_tenant *tenant;
    struct append_batch *rows;
    struct limits_doc *doc; // referenced; NULL: no limits
    const struct limits *limits;
    uint64_t seed;
    enum intake_ha ha;
    struct arena arena;     // of texts and labels
    VEC(uint32_t) hist_row; // which rows are histograms
    VEC(struct metric_meta) meta;
    VEC(uint64_t) meta_hash;
    enum intake_reason last_reason; // of the series refused last
    uint64_t exemplars;
    bool last_row_refused, committed;
    uint64_t refused[INTAKE_REASONS];
    struct str text[INTAKE_REASONS];
    struct buf status;
};

// Notes a refusal whose rows are still to be counted; false.
bool intake_refuse_series(struct intake_batch *b, enum intake_reason why, struct str text);

/* ---- intake_limits.c ---- */

// Takes n from a rate's bucket, if there is as much. burst 0: a second's worth.
struct bucket_rate {
    double per_s;
    uint64_t burst;
};
bool bucket_take(struct bucket *b, struct bucket_rate rate, double n, int64_t now_ns);
// Whether the items of the batch fit the tenant's rate; else everything is refused.
bool intake_rate_allows(struct intake_batch *b, uint64_t items);
// Drops labels that limits and HA say; *ls may then be a copy in the arena of the batch.
void intake_shape_labels(struct intake_batch *b, struct labels *ls);
// Whether a series that is not active yet may become so; else it is refused.
bool intake_series_allowed(struct intake_batch *b, struct labels ls);
// Mixed into keys: labels are shaped by it.
uint64_t intake_shape_hash(const struct limits *l);

/* ---- intake_ha.c ---- */

// Decides by the first series of a batch. False: refused.
bool intake_ha_decide(struct intake_batch *b, struct labels ls);
void intake_ha_fini(struct intake_tenant *t);
