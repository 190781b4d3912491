// query_command_print.c - answers as text and as JSON, as the client library's types print.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "app/query_command.h"
#include "base/num.h"
#include "base/rune.h"
#include "base/sort.h"

/* ---- pieces ---- */

static int member_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct json_member *)a)->key, ((const struct json_member *)b)->key);
}

static void sort_members(struct json_value *v)
{
    if (v && v->kind == JSON_OBJECT)
        sort_stable(v->members, v->n, sizeof *v->members, member_order, NULL);
}

static struct str text_of(const struct json_value *v)
{
    return v && (v->kind == JSON_STRING || v->kind == JSON_NUMBER) ? v->s : STR_NONE;
}

// A number, given as a number or as text, without exponent.
static void put_plain(struct buf *b, const struct json_value *v)
{
    double d;

    if (num_parse_double(text_of(v), &d))
        buf_double_f(b, d);
    else
        buf_str(b, text_of(v));
}

static struct json_value *item(struct json_value *v, size_t i)
{
    return v && v->kind == JSON_ARRAY && i < v->n ? &v->items[i] : NULL;
}

// As Go's encoder: quoted, and safe inside HTML.
static void put_json_text(struct buf *b, struct str s)
{
    OWNED(buf_fini) struct buf plain = { 0 };

    buf_json_str(&plain, s);
    for (size_t i = 0; i < plain.n; i++) {
        char c = plain.p[i];
        if (c == '<' || c == '>' || c == '&')
            buf_printf(b, "\\u%04x", (unsigned)c);
        else
            buf_char(b, c);
    }
}

void query_print_metric(struct buf *b, const struct json_value *metric)
{
    size_t labels = 0;

    buf_str(b, json_get_str(metric, STR("__name__")));
    for (size_t i = 0; metric && i < metric->n; i++) {
        const struct json_member *m = &metric->members[i];
        if (str_eq_c(m->key, "__name__"))
            continue;
        buf_printf(b, "%s%.*s=", labels++ ? ", " : "{", STRF(m->key));
        buf_quoted(b, text_of(m->value));
    }
    if (labels)
        buf_char(b, '}');
    else if (!metric || !metric->n)
        buf_lit(b, "{}");
}

/* ---- as text ---- */

static void put_bucket(struct buf *b, struct json_value *bucket)
{
    double lower = 0, upper = 0, kind = 0;

    (void)!num_parse_double(text_of(item(bucket, 0)), &kind);
    (void)!num_parse_double(text_of(item(bucket, 1)), &lower);
    (void)!num_parse_double(text_of(item(bucket, 2)), &upper);
    buf_char(b, kind == 1 || kind == 3 ? '[' : '(');
    buf_double_g(b, lower);
    buf_char(b, ',');
    buf_double_g(b, upper);
    buf_char(b, kind == 0 || kind == 3 ? ']' : ')');
    buf_char(b, ':');
    put_plain(b, item(bucket, 3));
}

static void put_histogram(struct buf *b, struct json_value *h)
{
    struct json_value *buckets = json_get(h, STR("buckets"));
    double count = 0, sum = 0;

    (void)!num_parse_double(json_get_str(h, STR("count")), &count);
    (void)!num_parse_double(json_get_str(h, STR("sum")), &sum);
    buf_printf(b, "Count: %f, Sum: %f, Buckets: [", count, sum);
    for (size_t i = 0; buckets && i < buckets->n; i++) {
        if (i)
            buf_char(b, ' ');
        put_bucket(b, item(buckets, i));
    }
    buf_char(b, ']');
}

// [time, value] as "value @[time]".
static void put_point(struct buf *b, struct json_value *point)
{
    struct json_value *value = item(point, 1);

    if (value && value->kind == JSON_OBJECT)
        put_histogram(b, value);
    else
        put_plain(b, value);
    buf_lit(b, " @[");
    put_plain(b, item(point, 0));
    buf_char(b, ']');
}

static void put_points(struct buf *b, struct json_value *points)
{
    for (size_t i = 0; points && i < points->n; i++) {
        buf_char(b, '\n');
        put_point(b, item(points, i));
    }
}

static void put_series(struct buf *b, struct json_value *series)
{
    struct json_value *value = json_get(series, STR("value"));
    struct json_value *hist = json_get(series, STR("histogram"));

    query_print_metric(b, json_get(series, STR("metric")));
    if (value || hist) {
        buf_lit(b, " => ");
        put_point(b, value ? value : hist);
        return;
    }
    buf_lit(b, " =>");
    put_points(b, json_get(series, STR("values")));
    put_points(b, json_get(series, STR("histograms")));
}

// Fewer labels first, then by names and values: the order in which the library prints a matrix.
static int series_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct json_value *x = json_get(a, STR("metric")), *y = json_get(b, STR("metric"));
    size_t xn = x ? x->n : 0, yn = y ? y->n : 0;

    if (xn != yn)
        return xn < yn ? -1 : 1;
    for (size_t i = 0; i < xn; i++) {
        int c = str_cmp(x->members[i].key, y->members[i].key);
        if (c)
            return -c; // who has the smaller name lacks nothing there: it comes behind
        c = str_cmp(text_of(x->members[i].value), text_of(y->members[i].value));
        if (c)
            return c;
    }
    return 0;
}

static void print_text(struct buf *b, struct str type, struct json_value *result)
{
    if (str_eq_c(type, "scalar")) {
        buf_lit(b, "scalar: ");
        put_point(b, result);
    } else if (str_eq_c(type, "string")) {
        buf_str(b, text_of(item(result, 1)));
    } else {
        for (size_t i = 0; result && i < result->n; i++) {
            if (i)
                buf_char(b, '\n');
            put_series(b, item(result, i));
        }
    }
    buf_char(b, '\n');
}

/* ---- as JSON ---- */

static void put_json_point(struct buf *b, struct json_value *point, bool is_text)
{
    struct json_value *value = item(point, 1);

    buf_char(b, '[');
    put_plain(b, item(point, 0));
    buf_char(b, ',');
    if (is_text) {
        put_json_text(b, text_of(value));
    } else if (value && value->kind == JSON_OBJECT) {
        struct json_value *buckets = json_get(value, STR("buckets"));
        buf_lit(b, "{\"count\":\"");
        put_plain(b, json_get(value, STR("count")));
        buf_lit(b, "\",\"sum\":\"");
        put_plain(b, json_get(value, STR("sum")));
        buf_lit(b, "\",\"buckets\":[");
        for (size_t i = 0; buckets && i < buckets->n; i++) {
            buf_printf(b, "%s[%.*s", i ? "," : "", STRF(text_of(item(item(buckets, i), 0))));
            for (size_t k = 1; k < 4; k++) {
                buf_lit(b, ",\"");
                put_plain(b, item(item(buckets, i), k));
                buf_char(b, '"');
            }
            buf_char(b, ']');
        }
        buf_lit(b, "]}");
    } else {
        buf_char(b, '"');
        put_plain(b, value);
        buf_char(b, '"');
    }
    buf_char(b, ']');
}

static void put_json_metric(struct buf *b, const struct json_value *metric)
{
    buf_char(b, '{');
    for (size_t i = 0; metric && i < metric->n; i++) {
        if (i)
            buf_char(b, ',');
        put_json_text(b, metric->members[i].key);
        buf_char(b, ':');
        put_json_text(b, text_of(metric->members[i].value));
    }
    buf_char(b, '}');
}

static void put_json_points(struct buf *b, const char *key, struct json_value *points)
{
    if (!points)
        return;
    buf_printf(b, ",\"%s\":[", key);
    for (size_t i = 0; i < points->n; i++) {
        if (i)
            buf_char(b, ',');
        put_json_point(b, item(points, i), false);
    }
    buf_char(b, ']');
}

static void put_json_series(struct buf *b, struct json_value *series)
{
    static const char *const single[] = { "value", "histogram" };

    buf_lit(b, "{\"metric\":");
    put_json_metric(b, json_get(series, STR("metric")));
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        struct json_value *point = json_get(series, str_c(single[i]));
        if (!point)
            continue;
        buf_printf(b, ",\"%s\":", single[i]);
        put_json_point(b, point, false);
    }
    put_json_points(b, "values", json_get(series, STR("values")));
    put_json_points(b, "histograms", json_get(series, STR("histograms")));
    buf_char(b, '}');
}

static void print_json(struct buf *b, struct str type, struct json_value *result)
{
    if (str_eq_c(type, "scalar") || str_eq_c(type, "string")) {
        put_json_point(b, result, str_eq_c(type, "string"));
    } else {
        buf_char(b, '[');
        for (size_t i = 0; result && i < result->n; i++) {
            if (i)
                buf_char(b, ',');
            put_json_series(b, item(result, i));
        }
        buf_char(b, ']');
    }
    buf_char(b, '\n');
}

/* ---- entries ---- */

void query_print_result(const struct query_session *s, struct json_value *data)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct json_value *result = json_get(data, STR("result"));
    struct str type = json_get_str(data, STR("resultType"));
    bool list = str_eq_c(type, "vector") || str_eq_c(type, "matrix");

    for (size_t i = 0; list && result && i < result->n; i++)
        sort_members(json_get(item(result, i), STR("metric")));
    if (s->json) {
        print_json(&b, type, result);
    } else {
        if (str_eq_c(type, "matrix") && result)
            sort_stable(result->items, result->n, sizeof *result->items, series_order, NULL);
        print_text(&b, type, result);
    }
    fwrite(b.p, 1, b.n, stdout);
}

static void put_label_set(struct buf *b, const struct json_value *series)
{
    buf_char(b, '{');
    for (size_t i = 0; i < series->n; i++) {
        buf_printf(b, "%s%.*s=", i ? ", " : "", STRF(series->members[i].key));
        buf_quoted(b, text_of(series->members[i].value));
    }
    buf_lit(b, "}\n");
}

void query_print_series(const struct query_session *s, const struct json_value *list)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (s->json)
        buf_char(&b, '[');
    for (size_t i = 0; list && i < list->n; i++) {
        sort_members(&list->items[i]);
        if (s->json && i)
            buf_char(&b, ',');
        if (s->json)
            put_json_metric(&b, &list->items[i]);
        else
            put_label_set(&b, &list->items[i]);
    }
    if (s->json)
        buf_lit(&b, "]\n");
    fwrite(b.p, 1, b.n, stdout);
}

void query_print_values(const struct query_session *s, const struct json_value *list)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (s->json)
        buf_char(&b, '[');
    for (size_t i = 0; list && i < list->n; i++) {
        if (s->json && i)
            buf_char(&b, ',');
        if (s->json)
            put_json_text(&b, text_of(&list->items[i]));
        else
            buf_printf(&b, "%.*s\n", STRF(text_of(&list->items[i])));
    }
    if (s->json)
        buf_lit(&b, "]\n");
    fwrite(b.p, 1, b.n, stdout);
}
