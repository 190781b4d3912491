/*
 * prometheus_engine.c - what is kept of queries that ran: metrics and the query log.
 *
 * The log is one JSON object per line, as upstream's --query_log_file: params, stats, ts, and
 * httpRequest. Threads: any; lines are written whole by one write().
 */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include "base/metric.h"
#include "face/prometheus_priv.h"

static const double bounds[] = { .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60 };

void prom_engine_init(struct prom_face *f)
{
    static const char *const slice[] = { "slice" };
    static const struct {
        struct str name;
        size_t at;
    } slices[] = { { { "inner_eval", 10 }, PROM_SLICE_INNER },
                   { { "prepare_time", 12 }, PROM_SLICE_PREPARE },
                   { { "queue_time", 10 }, PROM_SLICE_QUEUE },
                   { { "result_sort", 11 }, PROM_SLICE_SORT } };
    struct metric_family *family = metric_histogram_family(
        "prometheus_engine_query_duration_seconds", "Query timings by part of the work.", bounds,
        ARRAY_LEN(bounds), slice, 1);

    for (size_t i = 0; i < ARRAY_LEN(slices); i++)
        f->query_seconds[slices[i].at] = metric_child(family, &slices[i].name);
    f->query_running = metric_plain("prometheus_engine_queries",
                                    "Queries that are running or waiting.", METRIC_GAUGE);
    metric_set(metric_plain("prometheus_engine_queries_concurrent_max",
                            "How many queries may run at once.", METRIC_GAUGE),
               f->o.query_concurrency);
    f->query_samples = metric_plain("prometheus_engine_query_samples_total",
                                    "Samples that queries looked at.", METRIC_COUNTER);
    f->query_samples_read = metric_plain("prometheus_engine_query_samples_read_total",
                                         "Samples that queries read.", METRIC_COUNTER);
    f->query_log_enabled = metric_plain("prometheus_engine_query_log_enabled",
                                        "Whether the query log is written.", METRIC_GAUGE);
    f->query_log_failures = metric_plain("prometheus_engine_query_log_failures_total",
                                         "Queries that could not be logged.", METRIC_COUNTER);
}

void prom_query_begin(struct prom_face *f)
{
    metric_add(f->query_running, 1);
}

/* ---- the log ---- */

static void put_time(struct json_writer *w, const char *key, struct prom_time t)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_rfc3339_ms(&b, prom_time_engine_ms(t));
    json_key(w, str_c(key));
    json_str(w, buf_view(&b));
}

static void put_stats(struct json_writer *w, const struct prom_query_record *r)
{
    const struct {
        const char *key;
        double seconds;
    } timings[] = { { "evalTotalTime", r->stats->eval_total_s },
                    { "execQueueTime", (double)r->queued_ns / 1e9 },
                    { "execTotalTime", r->stats->exec_total_s + (double)r->queued_ns / 1e9 },
                    { "innerEvalTime", r->stats->inner_eval_s },
                    { "queryPreparationTime", r->stats->preparation_s },
                    { "resultSortTime", r->stats->result_sort_s } };

    json_key_lit(w, "stats");
    json_object(w);
    json_key_lit(w, "timings");
    json_object(w);
    for (size_t i = 0; i < ARRAY_LEN(timings); i++) {
        json_key(w, str_c(timings[i].key));
        json_double(w, timings[i].seconds);
    }
    json_object_end(w);
    json_key_lit(w, "samples");
    json_object(w);
    json_key_lit(w, "totalQueryableSamples");
    json_i64(w, r->stats->total_samples);
    json_key_lit(w, "peakSamples");
    json_i64(w, r->stats->peak_samples);
    json_object_end(w);
    json_object_end(w);
}

static void put_request(struct json_writer *w, const struct http_request *r)
{
    size_t colon = str_rfind_char(r->peer, ':');

    json_key_lit(w, "httpRequest");
    json_object(w);
    json_key_lit(w, "clientIP");
    json_str(w, str_sub(r->peer, 0, colon));
    json_key_lit(w, "method");
    json_str(w, r->method);
    json_key_lit(w, "path");
    json_str(w, r->path);
    json_object_end(w);
}

static void put_line(struct buf *b, struct prom_face *f, const struct prom_query_record *r)
{
    struct json_writer w = json_writer(b);

    json_object(&w);
    put_time(&w, "ts", prom_time_of_ms(clock_ms(f->o.clock)));
    json_key_lit(&w, "params");
    json_object(&w);
    put_time(&w, "start", r->start);
    put_time(&w, "end", r->end);
    json_key_lit(&w, "query");
    json_str(&w, r->request->text);
    json_key_lit(&w, "step");
    json_double(&w, (double)r->request->step_ms / 1000);
    json_object_end(&w);
    if (r->error.n) {
        json_key_lit(&w, "error");
        json_str(&w, r->error);
    }
    if (r->stats)
        put_stats(&w, r);
    put_request(&w, &r->exchange->req);
    json_object_end(&w);
    buf_char(b, '\n');
}

// The file is opened for each line: it may be moved away at any time, and most run without a log.
static void log_query(struct prom_face *f, const struct prom_query_record *r)
{
    OWNED(prom_config_put) struct prom_config *c = f->o.host.config(f->o.host.ctx);
    OWNED(buf_fini) struct buf line = { 0 }, path = { 0 };

    if (c)
        buf_str(&path, c->doc.global.query_log_file);
    metric_set(f->query_log_enabled, path.n > 0);
    if (!path.n)
        return;
    put_line(&line, f, r);
    int fd = open(buf_cstr(&path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    bool ok = fd >= 0 && write(fd, line.p, line.n) == (ssize_t)line.n;
    if (fd >= 0)
        close(fd);
    if (!ok)
        metric_add(f->query_log_failures, 1);
}

void prom_query_end(struct prom_face *f, const struct prom_query_record *r)
{
    metric_add(f->query_running, -1);
    metric_observe(f->query_seconds[PROM_SLICE_QUEUE], (double)r->queued_ns / 1e9);
    if (r->stats) {
        metric_observe(f->query_seconds[PROM_SLICE_PREPARE], r->stats->preparation_s);
        metric_observe(f->query_seconds[PROM_SLICE_INNER], r->stats->inner_eval_s);
        metric_observe(f->query_seconds[PROM_SLICE_SORT], r->stats->result_sort_s);
        metric_add(f->query_samples, (double)r->stats->total_samples);
        metric_add(f->query_samples_read, (double)r->stats->samples_read);
    }
    log_query(f, r);
}
