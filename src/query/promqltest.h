/*
 * promqltest.h - runs scripts of Prometheus's promqltest language against the engine.
 *
 * load, load_with_nhcb, clear, eval instant, eval range; expect lines and the older spellings.
 * Every instant evaluation is repeated with @ put on its selectors at other times, and as the
 * middle step of a range query, as the reference does.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

struct promqltest_report {
    const char *name; // of the script
    uint32_t line;    // of the eval command
    struct str expr;
    bool passed;
    struct str message; // on failure: expected and got
};

struct promqltest_options {
    void (*report)(void *ctx, const struct promqltest_report *r); // per eval command; may be NULL
    void *ctx;
};

struct promqltest_totals {
    size_t passed, failed; // eval commands
};

/*
 * Runs one script; adds to *totals. False: the script itself is wrong (ERR_INVALID, with the
 * line); what ran before it has been reported.
 */
MUST_CHECK bool promqltest_run(const char *name, struct str text,
                               const struct promqltest_options *o, struct promqltest_totals *totals,
                               struct err *e);
