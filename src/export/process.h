/*
 * process.h - the process exporter: processes in groups by name, as process-exporter shows them.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"

struct export_process_options { // texts are copied; NULL: none
    const char *procfs;         // NULL: /proc
    const char *names;          // comma-separated names to watch
    const char *config_path;    // process_names: [{ name, comm, exe, cmdline }]
    bool no_children;           // a child does not join its parent's group
    bool no_threads;            // without metrics by thread name
};
MUST_CHECK bool export_process_open(struct exporter **out, const struct export_process_options *o,
                                    struct err *e);
