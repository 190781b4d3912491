/*
 * exporter.h - what all exporters have in common: questions come in, pages go out.
 *
 * An exporter answers one question on one thread, and may be asked by many threads at once.
 * Every question has a deadline, so that a slow database holds up one thread and no longer
 * than its scrape. No port: a face serves it (face/exporter.h), or the server asks it in place.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/time.h"
#include "net/http.h"

enum {
    EXPORT_TIMEOUT_MS = 10000, // of a question that names none
    EXPORT_TIMEOUT_OFFSET_MS = 250,
};

struct export_request {
    struct str method; // empty: GET
    struct str path;   // without the prefix: "/metrics", "/probe"
    const struct http_header *param;
    size_t params;
    double timeout_s;      // X-Prometheus-Scrape-Timeout-Seconds; 0: none
    int64_t start_mono_ns; // when the question came
};
// First value of a parameter, p NULL when absent.
struct str export_param(const struct export_request *q, const char *name);
// When the answer has to be ready: before the scraper's patience ends.
int64_t export_deadline(const struct export_request *q);

struct export_answer {
    int status;               // 0: 200
    const char *content_type; // NULL: the text format
    struct buf body;
};
void export_answer_fini(struct export_answer *a);
OWN_DEFINE_FINI(struct export_answer, export_answer_fini)
// Makes the answer an error: status by kind, the text and a line end as body.
void export_answer_error(struct export_answer *a, int status, const char *text);

struct exporter;

struct exporter_class {
    const char *name, *title;           // "redis_exporter", "Redis Exporter"
    const char *probe_path, *probe_try; // "/scrape"; what the landing page offers; may be NULL
    // The page of what was configured; NULL: this program's own metrics only.
    bool (*metrics)(struct exporter *x, const struct export_request *q, struct buf *out,
                    struct err *e);
    // The page of ?target=.
    bool (*probe)(struct exporter *x, const struct export_request *q, struct buf *out,
                  struct err *e);
    // Other paths, also "/" when it likes; false: not mine.
    bool (*other)(struct exporter *x, const struct export_request *q, struct export_answer *out);
    bool (*reload)(struct exporter *x, struct err *e); // on SIGHUP and /-/reload; NULL: nothing
    void (*close)(struct exporter *x);
};

struct exporter { // the first member of each
    const struct exporter_class *class;
    const char *metrics_path; // NULL: /metrics
    bool no_self;             // without process_* and the like
    bool may_reload;          // POST /-/reload
};
void exporter_close(struct exporter *x); // NULL is fine
OWN_DEFINE(struct exporter *, exporter_close)
// Answers any question of HTTP; never fails.
void exporter_answer(struct exporter *x, const struct export_request *q, struct export_answer *out);

void buf_html(struct buf *b, struct str s); // escaped
