/*
 * nginx_log_priv.h - an access log that is followed: lines in, sums of requests out.
 *
 * Metrics have the names of nginxlog-exporter: nginx_http_response_count_total{method,status} and
 * its relatives.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/export_priv.h"

struct nginx_log;
/*
 * Follows the file from its present end; it need not be there yet. format: NULL is "combined".
 * ERR_INVALID: the format has no $status, or two variables without anything between.
 */
MUST_CHECK bool nginx_log_open(struct nginx_log **out, const char *path, const char *format,
                               struct err *e);
void nginx_log_close(struct nginx_log *l);
OWN_DEFINE(struct nginx_log *, nginx_log_close)
// Reads what was added, also behind a rotation, at most NGINX_LOG_READ_MAX bytes.
void nginx_log_read(struct nginx_log *l);
enum { NGINX_LOG_READ_MAX = 64 << 20, NGINX_LOG_SERIES_MAX = 1024 };
// One line, for tests: as nginx_log_read() takes it.
void nginx_log_line(struct nginx_log *l, struct str line);
void nginx_log_add(const struct nginx_log *l, struct export_set *set,
                   const struct expo_label *labels, size_t n);
