/*
 * intake_priv.h - what the files of the intake share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "base/thread.h"
#include "base/vec.h"
#include "pipeline/intake.h"

struct intake_tenant {
    struct intake *in;
    char *name;
    struct metrics_tenant *store;
    uint64_t seed;
    struct mutex mu;            // guards what follows
    struct intake_batch *spare; // batches to use again
    unsigned spares;
};

struct intake {
    struct intake_options o;
    struct clock *clock;
    struct mutex mu; // guards tenants; held while one is opened, which is rare
    struct map by_name;
    VEC(struct intake_tenant *) tenants;
};

struct intake_batch {
    struct intake_batch *next; // of the spares
    struct intake_tenant *tenant;
    struct append_batch *rows;
    struct arena arena;     // of texts and statuses
    VEC(uint32_t) hist_row; // which rows are histograms
    VEC(struct metric_meta) meta;
    enum intake_reason last_reason; // of the series refused last
    uint64_t exemplars;
    bool last_row_refused, committed;
    uint64_t refused[INTAKE_REASONS];
    struct str text[INTAKE_REASONS];
    struct buf status;
};
