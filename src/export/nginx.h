/*
 * nginx.h - the nginx exporter: stub_status of servers, and what their access logs say of requests.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/exporter.h"

struct export_nginx_options { // texts are copied; NULL: none
    const char *const *uri;   // of stub_status
    size_t uri_count;
    const char *const *labels; // name=value, on every sample
    size_t label_count;
    const char *const *logs; // access logs that are followed from their end
    size_t log_count;
    const char *log_format; // as of nginx's log_format; NULL: combined
    const char *ca_file, *cert_file, *key_file;
    int64_t timeout_ms;
    bool verify;
};
MUST_CHECK bool export_nginx_open(struct exporter **out, const struct export_nginx_options *o,
                                  struct err *e);
