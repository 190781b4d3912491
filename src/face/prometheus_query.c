// prometheus_query.c - query, query_range, format_query, parse_query.
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "face/prometheus_priv.h"

enum { POINTS_MAX = 11000 };

struct run {
    struct http_exchange *x;
    struct http_form form;
    struct query_request request;
    struct budget budget;
    size_t limit;
    bool stats;
};

static bool read_timeout(struct run *r, const struct prom_face *f)
{
    struct str s = http_form_get(&r->form, STR("timeout"));
    int64_t timeout_ms = f->o.query_timeout_ms;
    struct err e;

    if (s.n) {
        int64_t asked;
        if (!prom_duration_parse(s, &asked, &e)) {
            prom_bad_parameter(r->x, "timeout", str_c(e.text));
            return false;
        }
        timeout_ms = MIN(asked, timeout_ms);
    }
    r->budget = (struct budget){
        .what = "query",
        .bytes_max = f->o.query_memory_bytes,
        .deadline_mono_ns = clock_mono_ns(clock_real()) + timeout_ms * NS_MS,
        .cancelled = r->x->cancelled,
    };
    return true;
}

static bool read_lookback(struct run *r)
{
    struct str s = http_form_get(&r->form, STR("lookback_delta"));
    struct err e;

    if (!s.n)
        return true;
    if (!prom_duration_parse(s, &r->request.lookback_delta_ms, &e)) {
        prom_error(r->x, "bad_data",
                   arena_printf(&r->x->arena, "error parsing lookback delta duration: %s", e.text));
        return false;
    }
    return true;
}

// What instant and range queries share, behind their times.
static bool read_common(struct run *r)
{
    struct str stats = http_form_get(&r->form, STR("stats"));

    r->stats = r->request.stats = stats.n > 0;
    r->request.per_step_stats = str_eq(stats, STR("all"));
    r->request.text = http_form_get(&r->form, STR("query"));
    return read_timeout(r, prom_face_of(r->x)) && read_lookback(r);
}

/* ---- writing ---- */

static void write_sample(struct json_writer *w, const struct query_series *s)
{
    if (s->hist_count) {
        json_key_lit(w, "histogram");
        json_array(w);
        prom_json_time(w, s->hists[0].t_ms);
        prom_json_histogram(w, s->hists[0].hist);
        json_array_end(w);
        return;
    }
    json_key_lit(w, "value");
    json_array(w);
    prom_json_time(w, s->floats[0].t_ms);
    prom_json_value(w, s->floats[0].value);
    json_array_end(w);
}

static bool write_points(struct http_exchange *x, struct json_writer *w,
                         const struct query_series *s)
{
    if (s->float_count) {
        json_key_lit(w, "values");
        json_array(w);
        for (size_t i = 0; i < s->float_count; i++) {
            json_array(w);
            prom_json_time(w, s->floats[i].t_ms);
            prom_json_value(w, s->floats[i].value);
            json_array_end(w);
        }
        json_array_end(w);
    }
    if (s->hist_count) {
        json_key_lit(w, "histograms");
        json_array(w);
        for (size_t i = 0; i < s->hist_count; i++) {
            json_array(w);
            prom_json_time(w, s->hists[i].t_ms);
            prom_json_histogram(w, s->hists[i].hist);
            json_array_end(w);
        }
        json_array_end(w);
    }
    return prom_reply_flush(x);
}

static void write_series(struct run *r, struct json_writer *w, const struct query_result *q)
{
    size_t n = r->limit && q->series_count > r->limit ? r->limit : q->series_count;

    json_array(w);
    for (size_t i = 0; i < n; i++) {
        json_object(w);
        json_key_lit(w, "metric");
        prom_json_labels(w, q->series[i].labels);
        if (q->type == PROMQL_VECTOR)
            write_sample(w, &q->series[i]);
        else if (!write_points(r->x, w, &q->series[i]))
            return;
        json_object_end(w);
        if (!prom_reply_flush(r->x))
            return;
    }
    json_array_end(w);
}

static void write_steps(struct json_writer *w, const char *key, const struct query_step_stat *v,
                        size_t n)
{
    json_key(w, str_c(key));
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        json_array(w);
        prom_json_time(w, v[i].t_ms);
        json_i64(w, v[i].samples);
        json_array_end(w);
    }
    json_array_end(w);
}

static void write_stats(struct run *r, struct json_writer *w, const struct query_stats *s)
{
    const struct {
        const char *key;
        double seconds;
    } timings[] = { { "evalTotalTime", s->eval_total_s },
                    { "resultSortTime", s->result_sort_s },
                    { "queryPreparationTime", s->preparation_s },
                    { "innerEvalTime", s->inner_eval_s },
                    { "execQueueTime", 0 },
                    { "execTotalTime", s->exec_total_s } };

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
    if (s->total_per_step) {
        write_steps(w, "totalQueryableSamplesPerStep", s->total_per_step, s->step_count);
        write_steps(w, "samplesReadPerStep", s->read_per_step, s->step_count);
    }
    json_key_lit(w, "totalQueryableSamples");
    json_i64(w, s->total_samples);
    json_key_lit(w, "samplesRead");
    json_i64(w, s->samples_read);
    json_key_lit(w, "peakSamples");
    json_i64(w, s->peak_samples);
    json_object_end(w);
    json_object_end(w);
}

static void write_result(struct run *r, struct json_writer *w, const struct query_result *q)
{
    json_object(w);
    json_key_lit(w, "resultType");
    json_str(w, str_c(promql_type_word(q->type)));
    json_key_lit(w, "result");
    if (q->type == PROMQL_SCALAR || q->type == PROMQL_STRING) {
        json_array(w);
        prom_json_time(w, q->scalar.t_ms);
        if (q->type == PROMQL_SCALAR)
            prom_json_value(w, q->scalar.value);
        else
            json_str(w, q->string);
        json_array_end(w);
    } else {
        write_series(r, w, q);
    }
    if (r->stats)
        write_stats(r, w, &q->stats);
    json_object_end(w);
}

/* ---- running ---- */

static void send_failure(struct run *r, const struct query_result *q, const struct err *e)
{
    struct prom_notes notes = { q->warnings, q->infos, q->warning_count, q->info_count };
    struct str text = q->error.n ? q->error : str_c(e->text);

    if (e->kind == ERR_INVALID)
        text = arena_printf(&r->x->arena, "invalid parameter \"query\": %.*s", STRF(text));
    prom_error_notes(r->x,
                     e->kind == ERR_INVALID       ? "bad_data"
                     : e->kind == ERR_TIMEOUT     ? "timeout"
                     : e->kind == ERR_CANCELLED   ? "canceled"
                     : e->kind == ERR_CORRUPT     ? "internal"
                     : e->kind == ERR_IO          ? "internal"
                     : e->kind == ERR_UNAVAILABLE ? "unavailable"
                                                  : "execution",
                     text, &notes);
}

// Results were cut: say so among the warnings.
static struct prom_notes notes_of(struct run *r, const struct query_result *q)
{
    struct prom_notes n = { q->warnings, q->infos, q->warning_count, q->info_count };

    if (r->limit && q->series_count > r->limit) {
        struct str *v = arena_array(&r->x->arena, n.warning_count + 1, struct str);
        if (n.warning_count)
            memcpy(v, n.warnings, n.warning_count * sizeof *v);
        v[n.warning_count++] = STR("results truncated due to limit");
        n.warnings = v;
    }
    return n;
}

static void run_query(struct run *r)
{
    struct prom_face *f = prom_face_of(r->x);
    struct query_result q = { 0 };
    struct err e = { 0 };

    if (f->o.agent) {
        prom_error(r->x, "execution", STR("unavailable with Prometheus Agent"));
        return;
    }
    if (!query_run(f->o.engine, &r->request, metrics_source(f->o.tenant), &r->budget, &r->x->arena,
                   &q, &e)) {
        send_failure(r, &q, &e);
        return;
    }
    struct json_writer w = prom_reply_begin(r->x);
    struct prom_notes notes = notes_of(r, &q);
    write_result(r, &w, &q);
    prom_reply_end(r->x, &w, &notes);
}

void prom_query(struct http_exchange *x)
{
    struct run r = { .x = x };

    if (!prom_form(x, &r.form) || !prom_limit_param(x, &r.form, &r.limit))
        return;
    if (!prom_time_param(x, &r.form, "time", clock_ms(prom_face_of(x)->o.clock),
                         &r.request.start_ms))
        return;
    if (read_common(&r))
        run_query(&r);
}

// A required time of query_range.
static bool read_edge(struct run *r, const char *name, int64_t *out_ms)
{
    struct str s = http_form_get(&r->form, str_c(name));

    if (prom_time_parse(s, out_ms))
        return true;
    prom_bad_parameter(
        r->x, name,
        arena_printf(&r->x->arena, "cannot parse \"%.*s\" to a valid timestamp", STRF(s)));
    return false;
}

static bool read_step(struct run *r)
{
    struct query_request *q = &r->request;
    struct err e;

    if (!prom_duration_parse(http_form_get(&r->form, STR("step")), &q->step_ms, &e)) {
        prom_bad_parameter(r->x, "step", str_c(e.text));
        return false;
    }
    if (q->step_ms <= 0) {
        prom_bad_parameter(r->x, "step",
                           STR("zero or negative query resolution step widths are not accepted. "
                               "Try a positive integer"));
        return false;
    }
    // The difference may pass 63 bits: times are anything within upstream's range.
    if ((double)q->end_ms - (double)q->start_ms > (double)POINTS_MAX * (double)q->step_ms) {
        prom_error(
            r->x, "bad_data",
            STR("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                "query resolution (?step=XX)"));
        return false;
    }
    return true;
}

void prom_query_range(struct http_exchange *x)
{
    struct run r = { .x = x, .request.range = true };

    if (!prom_form(x, &r.form) || !prom_limit_param(x, &r.form, &r.limit))
        return;
    if (!read_edge(&r, "start", &r.request.start_ms) || !read_edge(&r, "end", &r.request.end_ms))
        return;
    if (r.request.end_ms < r.request.start_ms) {
        prom_bad_parameter(x, "end", STR("end timestamp must not be before start time"));
        return;
    }
    if (read_step(&r) && read_common(&r))
        run_query(&r);
}

/* ---- the text itself ---- */

static bool parse_param(struct http_exchange *x, struct promql *q)
{
    struct http_form form;
    struct err e;

    if (!prom_form(x, &form))
        return false;
    if (promql_parse(&x->arena, http_form_get(&form, STR("query")), q, &e))
        return true;
    prom_bad_parameter(x, "query", str_c(e.text));
    return false;
}

void prom_format_query(struct http_exchange *x)
{
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };

    if (!parse_param(x, &q))
        return;
    promql_pretty(&text, q.root);
    struct json_writer w = prom_reply_begin(x);
    json_str(&w, buf_view(&text));
    prom_reply_end(x, &w, NULL);
}

void prom_parse_query(struct http_exchange *x)
{
    OWNED(promql_fini) struct promql q = { 0 };

    if (!parse_param(x, &q))
        return;
    struct json_writer w = prom_reply_begin(x);
    promql_json(&w, q.root);
    prom_reply_end(x, &w, NULL);
}
