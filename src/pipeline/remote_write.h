/*
 * remote_write.h - sending samples to other stores: the remote_write section of prometheus.yml.
 *
 * A queue per entry, each with a cursor of the change feed, so that a receiver which is
 * away for hours loses nothing: what was not acknowledged is read again from the store.
 * Series are spread over shards, each with one request on its way, so that the rows of a series
 * arrive in order. Reloading leaves queues whose settings did not change alone, and one of
 * the same name with other settings goes on where it was.
 *
 * Threads: all functions from the thread that loads configurations.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "metrics/metrics.h"

struct remote_write;

struct remote_write_options { // zero in a field means its default
    struct metrics *metrics;
    struct metrics_tenant *tenant;
    struct str user_agent;     // "Prometheus/3.15.0"
    int64_t flush_ms;          // at the end: how long to go on sending what is left; 0: not at all
    uint64_t behind_bytes_max; // see metrics/feed.h
    int64_t behind_ms_max;
};

struct remote_write *remote_write_new(const struct remote_write_options *o);
// Ends all queues; cursors stay.
void remote_write_free(struct remote_write *w);
OWN_DEFINE(struct remote_write *, remote_write_free)

// Whether the section can be taken: certificates are read, kinds of signing that are not done refused.
MUST_CHECK bool remote_write_check(const struct prom_config *c, struct err *e);
// Starts, replaces and ends queues so that they are those of c. Cursors of queues that are gone go.
void remote_write_apply(struct remote_write *w, struct prom_config *c);
