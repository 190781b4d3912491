/*
 * alert_sender.h - sends alerts to the Alertmanagers of a configuration, found by service discovery.
 *
 * Each Alertmanager has a queue and a thread; what does not fit, and what it refuses, is dropped and
 * counted: rules give an alert again as long as it fires, and for a while after. Source: Prometheus
 * 3.15, notifier/. All functions are thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/prometheus.h"
#include "model/alert_sink.h"

struct alert_sender;

struct alert_sender_options { // zero in a field means its default
    struct str user_agent;    // borrowed
    size_t queue_capacity;    // alerts waiting for one Alertmanager; 10000
    size_t batch_max;         // alerts in one request; 256
    bool no_drain;            // at the end, what waits is dropped instead of sent
};
MUST_CHECK bool alert_sender_start(struct alert_sender **out, const struct alert_sender_options *o,
                                   struct err *e);
// Sends what waits, unless no_drain, and ends its threads. NULL is fine.
void alert_sender_stop(struct alert_sender *s);
void alert_sender_free(struct alert_sender *s); // stops, too; NULL is fine
OWN_DEFINE(struct alert_sender *, alert_sender_free)

// Reads certificates and starts nothing; what is prepared waits for alert_sender_apply().
MUST_CHECK bool alert_sender_prepare(struct alert_sender *s, struct prom_config *c, struct err *e);
// Takes what was prepared last. Queues of Alertmanagers that stay are kept.
void alert_sender_apply(struct alert_sender *s);
struct alert_sink *alert_sender_sink(struct alert_sender *s);

struct alert_sender_info {
    struct str *active, *dropped; // URLs
    size_t active_n, dropped_n;
};
void alert_sender_info(struct alert_sender *s, struct arena *a, struct alert_sender_info *out);
