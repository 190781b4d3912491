/*
 * tmpl_prometheus.c - the function table of Prometheus, and expanding labels and annotations.
 */
// SPDX-License-Identifier: Apache-2.0
#include "template/tmpl_prometheus.h"

#include <arpa/inet.h>

#include "base/sort.h"
#include "base/time.h"
#include "model/histogram.h"
#include "template/tmpl_human.h"
#include "template/tmpl_priv.h"

/* ---- types ---- */

static void print_histogram(struct buf *b, const struct tmpl_value *v)
{
    buf_histogram_text(b, v->opaque);
}

static const struct tmpl_type type_histogram = { .name = "*histogram.FloatHistogram",
                                                 .kind = TMPL_OPAQUE,
                                                 .print = print_histogram };
static const struct tmpl_field sample_fields[] = { { "Labels", "Labels", &tmpl_string_map, false },
                                                   { "Value", "Value", &tmpl_any, false } };
static const struct tmpl_type type_sample_struct = { .name = "template.sample",
                                                     .kind = TMPL_STRUCT,
                                                     .field = sample_fields,
                                                     .field_count = ARRAY_LEN(sample_fields) };
static const struct tmpl_type type_sample = { .name = "*template.sample",
                                              .kind = TMPL_POINTER,
                                              .elem = &type_sample_struct };
static const struct tmpl_type type_result = { .name = "template.queryResult",
                                              .kind = TMPL_LIST,
                                              .elem = &type_sample };
static const struct tmpl_field alert_fields[] = {
    { "Labels", "Labels", &tmpl_string_map, false },
    { "ExternalLabels", "ExternalLabels", &tmpl_string_map, false },
    { "ExternalURL", "ExternalURL", &tmpl_string, false },
    { "Value", "Value", &tmpl_any, false },
};
static const struct tmpl_type type_alert = {
    .name = "struct { Labels map[string]string; ExternalLabels map[string]string; "
            "ExternalURL string; Value interface {} }",
    .kind = TMPL_STRUCT,
    .field = alert_fields,
    .field_count = ARRAY_LEN(alert_fields),
};

struct tmpl_value tmpl_of_labels(struct arena *a, struct labels ls)
{
    struct tmpl_pair *v = arena_array(a, ls.n + 1, struct tmpl_pair);

    for (size_t i = 0; i < ls.n; i++)
        v[i] = (struct tmpl_pair){ ls.v[i].name, tmpl_of_str(ls.v[i].value) };
    return (struct tmpl_value){ .type = &tmpl_string_map, .map = { v, ls.n } };
}

struct tmpl_value tmpl_of_histogram(const struct histogram *h)
{
    return (struct tmpl_value){ .type = &type_histogram, .opaque = h };
}

static struct tmpl_value number_of(const struct tmpl_sample *s)
{
    return s->hist ? tmpl_of_histogram(s->hist) : tmpl_of_float(s->value);
}

struct tmpl_value tmpl_of_sample(struct arena *a, const struct tmpl_sample *s)
{
    struct tmpl_value fields[] = { tmpl_of_labels(a, s->labels), number_of(s) };

    return tmpl_pointer_to(a, &type_sample, tmpl_of_fields(a, &type_sample_struct, fields));
}

/* ---- queries ---- */

static TMPL_FN(fn_query)
{
    const struct tmpl_prometheus *env = c->ctx;
    struct tmpl_sample *v = NULL;
    struct str error = { 0 };
    size_t count = 0;

    (void)n;
    if (env->query &&
        !env->query(env->query_ctx, arg[0].s, env->now_ms, c->arena, &v, &count, &error))
        return tmpl_fail(c, "%.*s", STRF(error));
    if (!tmpl_charge(c, count * 4 * sizeof *arg))
        return false;
    struct tmpl_value *list = arena_array(c->arena, count + 1, struct tmpl_value);
    for (size_t i = 0; i < count; i++)
        list[i] = tmpl_of_sample(c->arena, &v[i]);
    *out = (struct tmpl_value){ .type = &type_result, .list = { list, count } };
    return true;
}

static TMPL_FN(fn_first)
{
    (void)n;
    if (!arg[0].list.n)
        return tmpl_fail(c, "first() called on vector with no elements");
    *out = arg[0].list.v[0];
    return true;
}

// A label of a sample, empty when absent.
static struct tmpl_value label_of(const struct tmpl_value *sample, struct str name)
{
    const struct tmpl_value *v = sample->type ? tmpl_map_get(&sample->target->field[0], name)
                                              : NULL;

    return v ? *v : tmpl_of_str(STR(""));
}

static bool fail_nil(struct tmpl_call *c)
{
    return tmpl_fail(c, "runtime error: invalid memory address or nil pointer dereference");
}

static TMPL_FN(fn_label)
{
    (void)n;
    if (!arg[1].type)
        return fail_nil(c);
    *out = label_of(&arg[1], arg[0].s);
    return true;
}

static TMPL_FN(fn_value)
{
    (void)n;
    if (!arg[0].type)
        return fail_nil(c);
    *out = arg[0].target->field[1];
    return true;
}

static TMPL_FN(fn_strvalue)
{
    (void)n;
    if (!arg[0].type)
        return fail_nil(c);
    *out = label_of(&arg[0], STR("__value__"));
    return true;
}

static int by_label(const void *a, const void *b, void *ctx)
{
    const struct str *name = ctx;

    return str_cmp(label_of(a, *name).s, label_of(b, *name).s);
}

static TMPL_FN(fn_sort_by_label)
{
    struct str name = arg[0].s;
    size_t bytes = arg[1].list.n * sizeof *arg;

    (void)n;
    *out = arg[1];
    if (!arg[1].list.n)
        return true;
    if (!tmpl_charge(c, bytes))
        return false;
    struct tmpl_value *v = arena_copy(c->arena, arg[1].list.v, bytes);
    sort_stable(v, arg[1].list.n, sizeof *v, by_label, &name);
    out->list.v = v;
    return true;
}

static TMPL_FN(fn_args)
{
    struct tmpl_pair *v = arena_array(c->arena, n + 1, struct tmpl_pair);

    for (size_t i = 0; i < n; i++)
        v[i] = (struct tmpl_pair){ arena_printf(c->arena, "arg%zu", i), arg[i] };
    *out = tmpl_of_pairs(&tmpl_any_map, v, n);
    return true;
}

static TMPL_FN(fn_tmpl)
{
    const struct tmpl_prometheus *env = c->ctx;
    OWNED(buf_fini) struct buf b = { 0 };

    (void)n;
    if (!env->set)
        return tmpl_fail(c, "no templates are at hand");
    if (!tmpl_run_inner(c, env->set, arg[0].s, arg[1], &b) || !tmpl_give_str(c, buf_view(&b), out))
        return false;
    out->type = &tmpl_html;
    return true;
}

/* ---- addresses ---- */

static bool give_link(struct tmpl_call *c, struct str query, int tab, struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "/graph?g0.expr=");
    tmpl_escape_query(&b, query);
    buf_printf(&b, "&g0.tab=%d", tab);
    return tmpl_give_str(c, buf_view(&b), out);
}

static TMPL_FN(fn_graph_link)
{
    (void)n;
    return give_link(c, arg[0].s, 0, out);
}

static TMPL_FN(fn_table_link)
{
    (void)n;
    return give_link(c, arg[0].s, 1, out);
}

static TMPL_FN(fn_external_url)
{
    const struct tmpl_prometheus *env = c->ctx;

    (void)arg, (void)n;
    *out = tmpl_of_str(env->external_url);
    return true;
}

static TMPL_FN(fn_path_prefix)
{
    struct str url = ((const struct tmpl_prometheus *)c->ctx)->external_url;
    size_t scheme = str_find(url, STR("://"));

    (void)arg, (void)n;
    if (scheme != STR_NPOS)
        url = str_sub(url, scheme + 3, url.n);
    size_t slash = str_find_char(url, '/');
    struct str path = slash == STR_NPOS ? STR_NONE : str_sub(url, slash, url.n);
    size_t end = MIN(str_find_char(path, '?'), str_find_char(path, '#'));
    *out = tmpl_of_str(end == STR_NPOS ? path : str_sub(path, 0, end));
    return true;
}

// Host and port of "host:port" or "[host]:port"; false: it is neither.
static bool split_host_port(struct str s, struct str *host, struct str *port)
{
    size_t colon = str_rfind_char(s, ':');
    struct str before, behind;

    if (colon == STR_NPOS)
        return false;
    if (s.p[0] == '[') {
        size_t end = str_find_char(s, ']');
        if (end == STR_NPOS || end + 1 != colon)
            return false;
        *host = str_sub(s, 1, end);
        before = *host;
        behind = str_sub(s, end + 1, s.n);
    } else {
        *host = str_sub(s, 0, colon);
        if (str_find_char(*host, ':') != STR_NPOS)
            return false;
        before = behind = s;
    }
    *port = str_sub(s, colon + 1, s.n);
    return str_find_char(before, '[') == STR_NPOS && str_find_char(behind, ']') == STR_NPOS &&
           str_find_char(behind, '[') == STR_NPOS;
}

static bool is_ip(struct str s)
{
    unsigned char bytes[16];
    char text[64];

    if (s.n >= sizeof text)
        return false;
    memcpy(text, s.p ? s.p : "", s.n);
    text[s.n] = 0;
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static TMPL_FN(fn_strip_port)
{
    struct str host, port;

    (void)c, (void)n;
    *out = tmpl_of_str(split_host_port(arg[0].s, &host, &port) ? host : arg[0].s);
    return true;
}

static TMPL_FN(fn_strip_domain)
{
    struct str s = arg[0].s, host = s, port = STR_NONE;

    (void)n;
    if (!split_host_port(s, &host, &port)) {
        host = s;
        port = STR_NONE;
    }
    *out = arg[0];
    if (is_ip(host))
        return true;
    struct str first = str_cut(&host, '.');
    if (!port.n) {
        *out = tmpl_of_str(first);
        return true;
    }
    bool colons = str_find_char(first, ':') != STR_NPOS;
    return tmpl_give_str(
        c, arena_printf(c->arena, colons ? "[%.*s]:%.*s" : "%.*s:%.*s", STRF(first), STRF(port)),
        out);
}

/* ---- times ---- */

static TMPL_FN(fn_to_time)
{
    struct tmpl_instant t;
    struct str why;
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    if (!tmpl_float_to_time(c->arena, v, &t, &why))
        return tmpl_fail(c, "%.*s", STRF(why.p ? why : STR("value is NaN or Inf")));
    *out = tmpl_pointer_to(c->arena, &tmpl_time_pointer, tmpl_of_time(c->arena, t.s, t.ns));
    return true;
}

static TMPL_FN(fn_to_duration)
{
    double v;

    (void)n;
    if (!tmpl_to_float(c, &arg[0], &v))
        return false;
    v *= 1e9;
    struct tmpl_value d = { .type = &tmpl_duration };
    d.i = v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
    *out = tmpl_pointer_to(c->arena, &tmpl_duration_pointer, d);
    return true;
}

static TMPL_FN(fn_now)
{
    (void)arg, (void)n;
    *out = tmpl_of_float((double)((const struct tmpl_prometheus *)c->ctx)->now_ms / 1000);
    return true;
}

static TMPL_FN(fn_parse_duration)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str s = arg[0].s;
    bool negative = s.n && s.p[0] == '-';
    struct err e = { 0 };
    int64_t ms;

    (void)n;
    if (!s.n)
        return tmpl_fail(c, "empty duration string");
    if (!duration_parse(str_sub(s, negative, s.n), &ms, &e)) {
        buf_quoted(&b, str_sub(s, negative, s.n));
        return tmpl_fail(c, "not a valid duration string: %.*s", STRF(buf_view(&b)));
    }
    *out = tmpl_of_float((double)(negative ? -ms : ms) / 1000);
    return true;
}

const struct tmpl_function tmpl_prometheus_functions[] = {
    { "args", fn_args, { NULL }, &tmpl_any },
    { "externalURL", fn_external_url, { NULL }, NULL },
    { "first", fn_first, { &type_result }, NULL },
    { "graphLink", fn_graph_link, { &tmpl_string }, NULL },
    { "humanize", tmpl_fn_humanize, { &tmpl_any }, NULL },
    { "humanize1024", tmpl_fn_humanize1024, { &tmpl_any }, NULL },
    { "humanizeDuration", tmpl_fn_humanize_duration, { &tmpl_any }, NULL },
    { "humanizePercentage", tmpl_fn_humanize_percentage, { &tmpl_any }, NULL },
    { "humanizeTimestamp", tmpl_fn_humanize_timestamp, { &tmpl_any }, NULL },
    { "label", fn_label, { &tmpl_string, &type_sample }, NULL },
    { "match", tmpl_fn_match, { &tmpl_string, &tmpl_string }, NULL },
    { "now", fn_now, { NULL }, NULL },
    { "parseDuration", fn_parse_duration, { &tmpl_string }, NULL },
    { "pathPrefix", fn_path_prefix, { NULL }, NULL },
    { "query", fn_query, { &tmpl_string }, NULL },
    { "reReplaceAll", tmpl_fn_replace, { &tmpl_string, &tmpl_string, &tmpl_string }, NULL },
    { "safeHtml", tmpl_fn_safe_html, { &tmpl_string }, NULL },
    { "sortByLabel", fn_sort_by_label, { &tmpl_string, &type_result }, NULL },
    { "stripDomain", fn_strip_domain, { &tmpl_string }, NULL },
    { "stripPort", fn_strip_port, { &tmpl_string }, NULL },
    { "strvalue", fn_strvalue, { &type_sample }, NULL },
    { "tableLink", fn_table_link, { &tmpl_string }, NULL },
    { "title", tmpl_fn_title, { &tmpl_string }, NULL },
    { "tmpl", fn_tmpl, { &tmpl_string, &tmpl_any }, NULL },
    { "toDuration", fn_to_duration, { &tmpl_any }, NULL },
    { "toLower", tmpl_fn_to_lower, { &tmpl_string }, NULL },
    { "toTime", fn_to_time, { &tmpl_any }, NULL },
    { "toUpper", tmpl_fn_to_upper, { &tmpl_string }, NULL },
    { "urlQueryEscape", tmpl_fn_query_escape, { &tmpl_string }, NULL },
    { "value", fn_value, { &type_sample }, NULL },
};
const size_t tmpl_prometheus_function_count = ARRAY_LEN(tmpl_prometheus_functions);

bool tmpl_prometheus_has_function(void *ctx UNUSED, struct str name)
{
    return tmpl_find(tmpl_prometheus_functions, tmpl_prometheus_function_count, name) ||
           tmpl_find(tmpl_builtins, tmpl_builtin_count, name);
}

/* ---- labels and annotations ---- */

struct tmpl_alert {
    struct gotemplate_set set;
    struct str name, text; // text: as it is, where nothing is to be expanded
    struct str problem;
    bool plain;
};

struct tmpl_alert *tmpl_alert_new(struct arena *a, struct str alertname, struct str text)
{
    struct tmpl_alert *t = arena_new(a, struct tmpl_alert);
    struct err e = { 0 };

    t->plain = str_find(text, STR("{{")) == STR_NPOS;
    t->text = arena_str(a, text);
    if (t->plain)
        return t;
    t->name = arena_printf(a, "__alert_%.*s", STRF(alertname));
    struct str whole = arena_printf(a,
                                    "{{$labels := .Labels}}"
                                    "{{$externalLabels := .ExternalLabels}}"
                                    "{{$externalURL := .ExternalURL}}"
                                    "{{$value := .Value}}%.*s",
                                    STRF(text));
    t->set.arena = a;
    t->set.has_function = tmpl_prometheus_has_function;
    if (!gotemplate_parse(&t->set, t->name, whole, &e))
        t->problem = t->set.error;
    return t;
}

struct str tmpl_alert_problem(const struct tmpl_alert *t)
{
    return t->problem;
}

static bool stand_in(struct arena *a, struct str problem, struct str *out)
{
    *out = arena_printf(a, "<error expanding template: %.*s>", STRF(problem));
    return false;
}

bool tmpl_alert_expand(const struct tmpl_alert *t, const struct tmpl_alert_data *d, struct arena *a,
                       struct str *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_options o = { .functions = tmpl_prometheus_functions,
                              .function_count = tmpl_prometheus_function_count,
                              .ctx = (void *)d->env,
                              .budget = d->budget };
    struct str error = { 0 };
    struct err e = { 0 };

    if (t->plain) {
        *out = t->text;
        return true;
    }
    if (t->problem.n)
        return stand_in(
            a,
            arena_printf(a, "error parsing template %.*s: %.*s", STRF(t->name), STRF(t->problem)),
            out);
    struct tmpl_value fields[] = { tmpl_of_labels(a, d->labels),
                                   tmpl_of_labels(a, d->external_labels),
                                   tmpl_of_str(d->env->external_url), number_of(&d->sample) };
    if (!tmpl_run(&t->set, t->name, tmpl_of_fields(a, &type_alert, fields), &o, a, &b, &error, &e))
        return stand_in(a,
                        arena_printf(a, "error executing template %.*s: %.*s", STRF(t->name),
                                     STRF(error.n ? error : str_c(e.text))),
                        out);
    *out = arena_str(a, buf_view(&b));
    return true;
}
