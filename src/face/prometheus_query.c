// prometheus_query.c - query, query_range, format_query, parse_query.
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "auth/tenant.h"
#include "face/prometheus_priv.h"

enum { POINTS_MAX = 11000 };

struct run {
    struct http_exchange *x;
    struct http_form form;
    struct query_request request;
    struct budget budget;
    struct prom_time start, end;
    size_t limit;
    struct str stats; // the parameter
    int64_t queued_ns;
};

// The deadline counts from the arrival of the request: waiting for a worker is part of it.
static bool read_timeout(struct run *r, const struct prom_face *f)
{
    int64_t timeout_ns = f->o.query_timeout_ms * NS_MS, asked, deadline;

    if (http_form_get(&r->form, STR("timeout")).n) {
        if (!prom_duration_param(r->x, &r->form, "timeout", &asked))
            return false;
        timeout_ns = MIN(asked, timeout_ns);
    }
    if (__builtin_add_overflow(r->x->start_mono_ns, timeout_ns, &deadline))
        deadline = 1;
    r->budget = (struct budget){
        .what = "query",
        .bytes_max = f->o.query_memory_bytes,
        .deadline_mono_ns = MAX(deadline, INT64_C(1)),
        .cancelled = r->x->cancelled,
    };
    return true;
}

static bool read_lookback(struct run *r)
{
    struct str s = http_form_get(&r->form, STR("lookback_delta"));
    struct err e;
    int64_t ns;

    if (!s.n)
        return true;
    if (!prom_duration_parse(s, &ns, &e)) {
        prom_error(r->x, "bad_data",
                   arena_printf(&r->x->arena, "error parsing lookback delta duration: %s", e.text));
        return false;
    }
    r->request.lookback_delta_ms = ns > 0 ? MAX(ns / NS_MS, INT64_C(1)) : 0;
    return true;
}

// What instant and range queries share, behind their times.
static bool read_common(struct run *r)
{
    r->stats = http_form_get(&r->form, STR("stats"));
    r->request.stats = r->stats.n > 0;
    r->request.per_step_stats = str_eq(r->stats, STR("all"));
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
                    { "execQueueTime", (double)r->queued_ns / 1e9 },
                    { "execTotalTime", s->exec_total_s + (double)r->queued_ns / 1e9 } };

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
    if (r->stats.n)
        write_stats(r, w, &q->stats);
    json_object_end(w);
}

/* ---- running ---- */

static const char *failure_type(enum err_kind kind)
{
    switch (kind) {
    case ERR_INVALID:
        return "bad_data";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CANCELLED:
        return "canceled";
    case ERR_CORRUPT:
    case ERR_IO:
        return "internal";
    case ERR_UNAVAILABLE:
        return "unavailable";
    default:
        return "execution";
    }
}

static void send_failure(struct run *r, const struct query_result *q, const struct err *e)
{
    struct prom_notes notes = { q->warnings, q->infos, q->warning_count, q->info_count };
    struct str text = q->error.n ? q->error : str_c(e->text);

    if (e->kind == ERR_INVALID)
        text = arena_printf(&r->x->arena, "invalid parameter \"query\": %.*s", STRF(text));
    else if (e->kind == ERR_TIMEOUT)
        text = STR("query timed out in expression evaluation");
    else if (e->kind == ERR_CANCELLED)
        text = STR("query was canceled in expression evaluation");
    prom_error_notes(r->x, failure_type(e->kind), text, &notes);
}

static void add_warning(struct run *r, struct prom_notes *n, struct str text)
{
    struct str *v = arena_array(&r->x->arena, n->warning_count + 1, struct str);

    if (n->warning_count)
        memcpy(v, n->warnings, n->warning_count * sizeof *v);
    v[n->warning_count++] = text;
    n->warnings = v;
}

// The query's own, and what the request did to deserve some.
static struct prom_notes notes_of(struct run *r, const struct query_result *q)
{
    struct prom_notes n = { q->warnings, q->infos, q->warning_count, q->info_count };

    if (r->limit && q->series_count > r->limit)
        add_warning(r, &n, STR("results truncated due to limit"));
    if (r->stats.n && !str_eq(r->stats, STR("true")) && !str_eq(r->stats, STR("all"))) {
        struct str quoted = prom_quote(&r->x->arena, r->stats);
        add_warning(r, &n,
                    arena_printf(&r->x->arena,
                                 "value %.*s for parameter \"stats\" is deprecated and will be "
                                 "rejected in the next major release, use \"true\" or \"all\"",
                                 STRF(quoted)));
    }
    return n;
}

static void answer(struct run *r, const struct query_result *q)
{
    struct json_writer w = prom_reply_begin(r->x);
    struct prom_notes notes = notes_of(r, q);

    write_result(r, &w, q);
    prom_reply_end(r->x, &w, &notes);
}

// Looks at the query itself; the engine's own limits are lowered to the tenants'. False: answered.
static bool within_limits(struct run *r, struct query_engine *engine)
{
    struct prom_face *f = prom_face_of(r->x);
    struct arena *a = &r->x->arena;
    struct tenant_names names;
    int64_t length_ms = r->request.range ? r->request.end_ms - r->request.start_ms : 0;

    if (!f->o.limits)
        return true;
    if (!prom_tenants(r->x, &names))
        return false;
    struct prom_limits l = prom_limits(r->x, &names);
    if (l.samples_max && (!engine->samples_max || l.samples_max < engine->samples_max))
        engine->samples_max = l.samples_max;
    if (l.expression_bytes && r->request.text.n > l.expression_bytes) {
        prom_error(r->x, "execution",
                   arena_printf(a,
                                "the query is longer than the limit "
                                "(err-mimir-max-query-expression-size-bytes): "
                                "max_query_expression_size_bytes is %llu, the query has %zu",
                                (unsigned long long)l.expression_bytes, r->request.text.n));
        return false;
    }
    if (l.length_ms && length_ms > l.length_ms) {
        OWNED(buf_fini) struct buf limit = { 0 };
        OWNED(buf_fini) struct buf length = { 0 };
        buf_duration(&limit, l.length_ms);
        buf_duration(&length, length_ms);
        prom_error(r->x, "execution",
                   arena_printf(a,
                                "the query time range exceeds the limit "
                                "(err-mimir-max-total-query-length): max_total_query_length is "
                                "%.*s, the query spans %.*s",
                                STRF(buf_view(&limit)), STRF(buf_view(&length))));
        return false;
    }
    return true;
}

static void run_query(struct run *r)
{
    struct prom_face *f = prom_face_of(r->x);
    struct query_result q = { 0 };
    struct query_engine engine = *f->o.engine;
    struct series_source *source = prom_source(r->x);
    struct err e = { 0 };

    if (!source || !within_limits(r, &engine))
        return;
    prom_query_begin(f);
    bool ok = query_run(&engine, &r->request, source, &r->budget, &r->x->arena, &q, &e);
    prom_query_end(f, &(struct prom_query_record){
                          .exchange = r->x,
                          .request = &r->request,
                          .start = r->start,
                          .end = r->end,
                          .stats = ok ? &q.stats : NULL,
                          .queued_ns = r->queued_ns,
                          .error = ok          ? STR_NONE
                                   : q.error.n ? q.error
                                               : str_c(e.text),
                      });
    if (ok)
        answer(r, &q);
    else
        send_failure(r, &q, &e);
}

static struct run run_of(struct http_exchange *x, bool range)
{
    return (struct run){
        .x = x,
        .form = prom_form(x),
        .request.range = range,
        .queued_ns = clock_mono_ns(clock_real()) - x->start_mono_ns,
    };
}

void prom_query(struct http_exchange *x)
{
    struct run r;

    if (prom_refuse_agent(x))
        return;
    r = run_of(x, false);
    r.start = prom_time_of_ms(clock_ms(prom_face_of(x)->o.clock));
    if (!prom_limit_param(x, &r.form, &r.limit) || !prom_time_param(x, &r.form, "time", &r.start))
        return;
    r.end = r.start;
    r.request.start_ms = prom_time_engine_ms(r.start);
    if (read_common(&r))
        run_query(&r);
}

static bool read_step(struct run *r)
{
    struct query_request *q = &r->request;
    int64_t step_ns;

    if (!prom_duration_param(r->x, &r->form, "step", &step_ns))
        return false;
    if (step_ns <= 0) {
        prom_bad_parameter(r->x, "step",
                           STR("zero or negative query resolution step widths are not accepted. "
                               "Try a positive integer"));
        return false;
    }
    if (prom_time_sub_ns(r->end, r->start) / step_ns > POINTS_MAX) {
        prom_error(
            r->x, "bad_data",
            STR("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                "query resolution (?step=XX)"));
        return false;
    }
    q->step_ms = MAX(step_ns / NS_MS, INT64_C(1));
    q->start_ms = prom_time_engine_ms(r->start);
    q->end_ms = prom_time_engine_ms(r->end);
    return true;
}

void prom_query_range(struct http_exchange *x)
{
    struct run r;

    if (prom_refuse_agent(x))
        return;
    r = run_of(x, true);
    if (!prom_limit_param(x, &r.form, &r.limit) ||
        !prom_time_required(x, &r.form, "start", &r.start) ||
        !prom_time_required(x, &r.form, "end", &r.end))
        return;
    if (prom_time_sub_ns(r.end, r.start) < 0) {
        prom_bad_parameter(x, "end", STR("end timestamp must not be before start time"));
        return;
    }
    if (read_step(&r) && read_common(&r))
        run_query(&r);
}

/* ---- the text itself ---- */

static bool parse_param(struct http_exchange *x, struct promql *q)
{
    struct err e;

    if (prom_refuse_agent(x))
        return false;
    struct http_form form = prom_form(x);
    if (promql_parse_with(&x->arena, http_form_get(&form, STR("query")),
                          &prom_face_of(x)->o.engine->syntax, q, &e))
        return true;
    prom_bad_parameter(x, "query", prom_parse_problem(&x->arena, q, &e));
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
