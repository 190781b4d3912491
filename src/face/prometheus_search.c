/*
 * prometheus_search.c - search/metric_names, label_names, label_values: names that fit what was typed.
 *
 * The answer is NDJSON: batches of results, then a line that says how it ended. Errors before the
 * first batch are the usual JSON object.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"
#include "base/sort.h"
#include "base/vec.h"
#include "face/prometheus_priv.h"
#include "face/prometheus_score.h"

enum { TERMS_MAX = 32, LIMIT_DEFAULT = 100, BATCH_DEFAULT = 100 };

struct hit {
    struct str name;
    double score;
};

typedef VEC(struct hit) hit_vec;
typedef VEC(struct str) name_vec;

struct search {
    struct http_exchange *x;
    const char *endpoint; // as errors name it
    struct http_form form;
    struct prom_selectors selectors;
    struct score_filter filter;
    struct prom_time start, end;
    bool by_score, descending, include_score, include_metadata;
    size_t limit, batch;
    struct budget budget;
    struct scrape_meta *meta; // sorted by name
    size_t meta_count;
    hit_vec hits;
};

static void search_fini(struct search *s)
{
    prom_selectors_fini(&s->selectors);
}
OWN_DEFINE_FINI(struct search, search_fini)

/* ---- parameters ---- */

static struct str value_of(const struct search *s, const char *name)
{
    return http_form_get(&s->form, str_c(name));
}

// bad_data: invalid <name> "<value>"<tail>
static bool invalid(struct search *s, const char *name, struct str value, const char *tail)
{
    struct str quoted = prom_quote(&s->x->arena, value);

    prom_error(s->x, "bad_data",
               arena_printf(&s->x->arena, "invalid %s %.*s%s", name, STRF(quoted), tail));
    return false;
}

static bool refused(struct search *s, const char *why)
{
    prom_error(s->x, "bad_data", str_c(why));
    return false;
}

static bool read_bool(struct search *s, const char *name, bool *out)
{
    struct str v = value_of(s, name);

    return !v.n || prom_bool_parse(v, out) || invalid(s, name, v, ": must be boolean");
}

static bool read_count(struct search *s, const char *name, size_t *out)
{
    struct str v = value_of(s, name);
    int64_t n;

    if (!v.n)
        return true;
    if (!str_to_i64(v, &n) || n <= 0)
        return invalid(s, name, v, ": must be a positive integer");
    *out = (size_t)n;
    return true;
}

static bool read_terms(struct search *s)
{
    name_vec terms = { 0 };

    for (size_t i = 0; i < s->form.n; i++)
        if (str_eq(s->form.v[i].name, STR("search[]")))
            *vec_push_in(&s->x->arena, &terms) = s->form.v[i].value;
    s->filter.terms = terms.v;
    s->filter.term_count = terms.n;
    if (terms.n <= TERMS_MAX)
        return true;
    prom_error(s->x, "bad_data",
               arena_printf(&s->x->arena, "too many search[] terms: got %zu, maximum is %d",
                            terms.n, TERMS_MAX));
    return false;
}

static bool read_fuzz(struct search *s)
{
    struct str threshold = value_of(s, "fuzz_threshold"), algorithm = value_of(s, "fuzz_alg");
    bool case_sensitive = true;
    int64_t v = 0;

    if (threshold.n && (!str_to_i64(threshold, &v) || v < 0 || v > 100))
        return invalid(s, "fuzz_threshold", threshold, ": must be 0-100");
    s->filter.threshold = (unsigned)v;
    if (str_eq(algorithm, STR("jarowinkler"))) {
        s->filter.algorithm = SCORE_JARO_WINKLER;
    } else if (algorithm.n && !str_eq(algorithm, STR("subsequence"))) {
        struct str quoted = prom_quote(&s->x->arena, algorithm);
        prom_error(s->x, "bad_data",
                   arena_printf(&s->x->arena,
                                "unsupported fuzz_alg %.*s: must be one of [subsequence "
                                "jarowinkler]",
                                STRF(quoted)));
        return false;
    }
    if (!read_bool(s, "case_sensitive", &case_sensitive))
        return false;
    s->filter.ignore_case = !case_sensitive;
    return read_bool(s, "include_score", &s->include_score);
}

static bool read_order(struct search *s)
{
    struct str by = value_of(s, "sort_by"), dir = value_of(s, "sort_dir");

    s->by_score = str_eq(by, STR("score"));
    if (dir.n && !by.n)
        return refused(s, "sort_dir is only valid when sort_by is set");
    if (dir.n && s->by_score)
        return refused(s, "sort_dir is not supported for sort_by=score");
    if (dir.n && !str_eq(dir, STR("asc")) && !str_eq(dir, STR("dsc")))
        return invalid(s, "sort_dir", dir, ": must be \"asc\" or \"dsc\"");
    if (s->by_score && !s->filter.term_count)
        return refused(s, "sort_by=score requires search[] to be set");
    s->descending = str_eq(by, STR("alpha")) && str_eq(dir, STR("dsc"));
    return true;
}

static bool read_limits(struct search *s)
{
    size_t max = prom_face_of(s->x)->o.search_limit_max;

    s->limit = max ? MIN(max, (size_t)LIMIT_DEFAULT) : LIMIT_DEFAULT;
    s->batch = BATCH_DEFAULT;
    if (!read_count(s, "limit", &s->limit))
        return false;
    if (max && s->limit > max) {
        prom_error(s->x, "bad_data",
                   arena_printf(&s->x->arena,
                                "limit %zu exceeds the configured maximum (%zu, see "
                                "--web.search.max-limit)",
                                s->limit, max));
        return false;
    }
    return read_count(s, "batch_size", &s->batch);
}

static bool read_times(struct search *s)
{
    int64_t now_ms = clock_ms(prom_face_of(s->x)->o.clock);

    s->start = prom_time_of_ms(now_ms - MS_HOUR);
    s->end = prom_time_of_ms(now_ms);
    if (!prom_time_param_plain(s->x, &s->form, "start", &s->start) ||
        !prom_time_param_plain(s->x, &s->form, "end", &s->end))
        return false;
    return prom_time_sub_ns(s->end, s->start) >= 0 ||
           refused(s, "end timestamp must not be before start timestamp");
}

static bool search_begin(struct search *s, struct http_exchange *x, const char *endpoint)
{
    struct prom_face *f = prom_face_of(x);

    s->x = x;
    s->endpoint = endpoint;
    http_set_header(x, STR("Vary"), STR("Origin"));
    if (!f->o.search_api) {
        prom_error(x, "unavailable", STR("search API disabled"));
        return false;
    }
    if (prom_refuse_agent(x) || !prom_form_strict(x, &s->form) || !read_times(s) ||
        !prom_selectors(x, &s->form, NULL, &s->selectors) || !read_terms(s) || !read_fuzz(s) ||
        !read_order(s) || !read_limits(s))
        return false;
    struct str by = value_of(s, "sort_by");
    if (by.n && !s->by_score && !str_eq(by, STR("alpha"))) {
        const char
            *tail = arena_printf(&x->arena, " for %s: must be \"alpha\" or \"score\"", endpoint).p;
        return invalid(s, "sort_by", by, tail);
    }
    s->budget = prom_budget(x);
    return true;
}

/* ---- searching ---- */

static int hit_order(const void *a, const void *b, void *ctx)
{
    const struct hit *x = a, *y = b;
    const struct search *s = ctx;

    if (s->by_score && (x->score < y->score || x->score > y->score))
        return x->score > y->score ? -1 : 1;
    return s->descending ? str_cmp(y->name, x->name) : str_cmp(x->name, y->name);
}

static bool take_names(struct search *s, const struct str *v, size_t n, struct err *e)
{
    OWNED(arena_fini) struct arena scratch = { 0 };

    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(&scratch);
        double score;
        if (!budget_step(&s->budget, 1 + v[i].n * s->filter.term_count, e))
            return false;
        if (score_accepts(&s->filter, v[i], &scratch, &score))
            *vec_push_in(&s->x->arena, &s->hits) = (struct hit){ v[i], score };
        arena_release(&scratch, mark);
    }
    return true;
}

// label: names of its values; empty: names of labels.
static bool collect(struct search *s, struct str label, struct series_view *view, struct err *e)
{
    name_vec all = { 0 };

    for (size_t i = 0; i < MAX(s->selectors.n, (size_t)1); i++) {
        struct select_query q = { .min_ms = prom_time_storage_ms(s->start),
                                  .max_ms = prom_time_storage_ms(s->end),
                                  .label = label };
        struct str *v;
        size_t n;
        if (s->selectors.n) {
            q.matchers = s->selectors.v[i].root->selector.matchers;
            q.matcher_count = s->selectors.v[i].root->selector.matcher_count;
        }
        if (!view->ops->label_strings(view, &q, &s->x->arena, &s->budget, &v, &n, e))
            return false;
        for (size_t k = 0; k < n; k++)
            *vec_push_in(&s->x->arena, &all) = v[k];
    }
    if (s->selectors.n > 1)
        all.n = sort_strs_unique(all.v, all.n);
    if (!take_names(s, all.v, all.n, e))
        return false;
    sort_stable(s->hits.v, s->hits.n, sizeof *s->hits.v, hit_order, s);
    return true;
}

static void write_meta(const struct search *s, struct json_writer *w, struct str name)
{
    for (size_t lo = 0, hi = s->meta_count; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const struct metric_meta *m = &s->meta[mid].meta;
        int c = str_cmp(m->name, name);
        if (c != 0) {
            lo = c < 0 ? mid + 1 : lo;
            hi = c < 0 ? hi : mid;
            continue;
        }
        const struct {
            const char *key;
            struct str value;
        } parts[] = { { "type", str_c(metric_type_name(m->type)) },
                      { "help", m->help },
                      { "unit", m->unit } };
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            if (!parts[i].value.n)
                continue;
            json_key(w, str_c(parts[i].key));
            json_str(w, parts[i].value);
        }
        return;
    }
}

static void write_hit(const struct search *s, struct json_writer *w, const struct hit *h)
{
    bool values = strcmp(s->endpoint, "label_values") == 0;

    json_object(w);
    json_key(w, values ? STR("value") : STR("name"));
    json_str(w, h->name);
    if (s->include_score) {
        json_key_lit(w, "score");
        json_double(w, h->score);
    }
    if (s->include_metadata)
        write_meta(s, w, h->name);
    json_object_end(w);
}

static void write_trailer(struct search *s)
{
    struct json_writer w = json_writer(http_body(s->x));

    json_object(&w);
    json_key_lit(&w, "status");
    json_str(&w, STR("success"));
    json_key_lit(&w, "has_more");
    json_bool(&w, s->hits.n > s->limit);
    json_object_end(&w);
    buf_char(http_body(s->x), '\n');
}

static void answer(struct search *s)
{
    size_t n = MIN(s->hits.n, s->limit), at = 0;

    http_set_header(s->x, STR("Content-Type"), STR("application/x-ndjson; charset=utf-8"));
    do { // one batch at least, be it empty
        struct json_writer w = json_writer(http_body(s->x));
        json_object(&w);
        json_key_lit(&w, "results");
        json_array(&w);
        for (size_t left = s->batch; left && at < n; left--)
            write_hit(s, &w, &s->hits.v[at++]);
        json_array_end(&w);
        json_object_end(&w);
        buf_char(http_body(s->x), '\n');
        if (!prom_reply_flush(s->x))
            return;
    } while (at < n);
    write_trailer(s);
}

static void run(struct search *s, struct str label)
{
    OWNED(series_view_put) struct series_view *view = NULL;
    struct series_source *source = prom_source(s->x);
    int64_t min_ms = prom_time_storage_ms(s->start), max_ms = prom_time_storage_ms(s->end);
    struct err e;

    if (!source)
        return;
    if (source->open(source, min_ms, max_ms, &view, &e) && collect(s, label, view, &e))
        answer(s);
    else
        prom_error_of(s->x, &e);
}

static int meta_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct scrape_meta *)a)->meta.name,
                   ((const struct scrape_meta *)b)->meta.name);
}

static void search_metric_names(struct http_exchange *x)
{
    OWNED(search_fini) struct search s = { 0 };
    struct prom_face *f = prom_face_of(x);

    if (!search_begin(&s, x, "metric_names") ||
        !read_bool(&s, "include_metadata", &s.include_metadata))
        return;
    if (s.include_metadata && f->o.scraper && !f->o.tenancy) {
        scraper_meta(f->o.scraper, STR_NONE, &x->arena, &s.meta, &s.meta_count);
        if (s.meta_count)
            sort_stable(s.meta, s.meta_count, sizeof *s.meta, meta_order, NULL);
    }
    run(&s, LABEL_NAME);
}

static void search_label_names(struct http_exchange *x)
{
    OWNED(search_fini) struct search s = { 0 };

    if (search_begin(&s, x, "label_names"))
        run(&s, STR_NONE);
}

static void search_label_values(struct http_exchange *x)
{
    OWNED(search_fini) struct search s = { 0 };

    if (!search_begin(&s, x, "label_values"))
        return;
    struct str label = value_of(&s, "label");
    if (label.n)
        run(&s, label);
    else
        refused(&s, "missing required parameter \"label\"");
}

void prom_routes_search(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET POST", "/api/v1/search/metric_names", search_metric_names);
    prom_route(f, s, "GET POST", "/api/v1/search/label_names", search_label_names);
    prom_route(f, s, "GET POST", "/api/v1/search/label_values", search_label_values);
}
