/*
 * postgres.h - the postgres exporter: statistics views of servers, versions 10 to 17.
 *
 * Talks through libpq, which is loaded when it is first wanted: without it pg_up is 0 and a log
 * line says what to install.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"

struct export_postgres_options {   // texts are copied; NULL: none
    const char *dsn;               // DATA_SOURCE_NAME: URIs or k=v, separated by commas
    const char *uri, *user, *pass; // or in parts: host:port/db?…
    const char *config_path;       // auth_modules of /probe
    const char *queries_path;      // --extend.query-path
    const char *const *enable, *const *disable;
    size_t enable_count, disable_count;
    const char *exclude_databases; // comma-separated
    bool disable_defaults, disable_settings;
};
MUST_CHECK bool export_postgres_open(struct exporter **out, const struct export_postgres_options *o,
                                     struct err *e);
// Name of the i-th collector, NULL behind the last. *on: enabled by default.
const char *export_postgres_collector(size_t i, bool *on);
