/*
 * redis.h - the redis exporter: INFO and its relatives of one server, or of any by /scrape?target=.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"

struct export_redis_options {    // texts are copied; NULL: none
    const char *address;         // redis://[user:password@]host:port[/db], rediss://, unix://
    const char *user, *password; // where the address has none
    const char *password_file;   // JSON: {"redis://host:6379": "password"}
    const char *space;           // prefix of all names; NULL: "redis"
    const char *check_keys, *check_single_keys, *count_keys; // db0=pattern,…
    const char *config_command;                              // "CONFIG"; "-": not asked
    const char *ca_file, *cert_file, *key_file, *server_name;
    int64_t timeout_ms;
    bool skip_verify, client_list, client_port, config_metrics, show_secrets, system_metrics,
        no_latency_histograms, no_key_values, ping, no_client_name, no_empty_databases,
        no_scrape_endpoint;
};
MUST_CHECK bool export_redis_open(struct exporter **out, const struct export_redis_options *o,
                                  struct err *e);
