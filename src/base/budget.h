/*
 * budget.h - what one request may use: memory, work, time; and whether it was cancelled.
 *
 * Charged before memory is taken; stepped in every loop over data. Zero limits
 * mean no limit. May be shared by the threads of one request.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/base.h"

struct budget {
    uint64_t bytes_max;
    uint64_t samples_max;     // in memory at once, as Prometheus's query.max-samples
    int64_t deadline_mono_ns; // 0: none
    const char *what;         // "query", for messages; NULL: "request"
    _Atomic uint64_t bytes;
    _Atomic uint64_t steps;
    const atomic_bool *cancelled; // borrowed; NULL: cannot be cancelled
};

// ERR_LIMIT with figures when bytes_max would be passed; nothing is charged then.
MUST_CHECK bool budget_charge(struct budget *b, uint64_t bytes, struct err *e);
// Takes back what was charged before: bytes never exceed the sum of the charges.
void budget_refund(struct budget *b, uint64_t bytes);
// Counts n units of work; every 4096 or so looks at clock and cancellation: ERR_TIMEOUT, ERR_CANCELLED.
MUST_CHECK bool budget_step(struct budget *b, uint64_t n, struct err *e);
// Looks at clock and cancellation now.
MUST_CHECK bool budget_check(struct budget *b, struct err *e);
