/*
 * blackbox.h - the blackbox exporter: probes a target as a module of blackbox.yml says.
 *
 * /probe?target=&module= answers what blackbox_exporter answers, with the same names. Probes run
 * on the caller's thread and end by their deadline.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"

struct export_blackbox_options {
    const char *config_path;  // blackbox.yml; NULL: what is built in
    double timeout_offset_s;  // taken off the scraper's timeout
    size_t history_max;       // probes remembered for /logs
    const char *const *allow; // networks that may be probed; none: all
    size_t allow_count;
};
// ERR_INVALID, ERR_IO: the file; errors name line and column.
MUST_CHECK bool export_blackbox_open(struct exporter **out, const struct export_blackbox_options *o,
                                     struct err *e);
