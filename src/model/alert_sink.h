/*
 * alert_sink.h - who takes alerts: the sender to Alertmanagers, and the one inside this program.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/labels.h"

#define ALERT_NO_TIME INT64_MIN

struct alert_notice {
    struct labels labels, annotations;
    int64_t starts_ns, ends_ns; // ALERT_NO_TIME: none. Resolved: ends_ns is past
    struct str generator_url;
};

/*
 * Takes notices that are due, borrowed during the call: what is kept is copied. Must not block; what
 * does not fit is dropped and counted by the sink. Called from several threads at once.
 */
struct alert_sink {
    void (*send)(struct alert_sink *s, const struct alert_notice *v, size_t n);
};
