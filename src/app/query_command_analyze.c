/*
 * query_command_analyze.c - `query analyze`: how many buckets of histograms are in use.
 *
 * Source: cmd/promtool/analyze.go.
 */
// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <stdio.h>

#include "app/query_command.h"
#include "base/num.h"
#include "base/sort.h"
#include "base/time.h"

static const char header[] =
    "Bucket stats for each histogram series over time\n"
    "------------------------------------------------\n"
    "First the min, avg, and max number of populated buckets, followed by the total\n"
    "number of buckets (only if different from the max number of populated buckets\n"
    "which is typical for classic but not native histograms).\n\n";
static const char footer[] = "\nAggregated bucket stats\n"
                             "-----------------------\n"
                             "Each line shows min/avg/max over the series above.\n";

struct spread {
    int min, max, count;
    double avg;
};

static void spread_add(struct spread *s, int v)
{
    s->min = s->count ? MIN(s->min, v) : v;
    s->max = s->count ? MAX(s->max, v) : v;
    s->count++;
    s->avg += ((double)v - s->avg) / s->count;
}

struct totals {
    struct spread min, avg, max, all;
};

struct usage {
    struct spread populated;
    int total;
};

struct analysis {
    struct arena *arena;
    struct totals native, classic;
};

static void show_usage(struct totals *t, struct str name, const char *kind, const struct usage *u)
{
    printf("- %.*s (%s): %d/%.3f/%d", STRF(name), kind, u->populated.min, u->populated.avg,
           u->populated.max);
    if (u->populated.max != u->total)
        printf("/%d", u->total);
    printf("\n");
    spread_add(&t->min, u->populated.min);
    spread_add(&t->avg, (int)u->populated.avg);
    spread_add(&t->max, u->populated.max);
    spread_add(&t->all, u->total);
}

static void show_spread(const char *name, const struct spread *s)
{
    printf("- %s: %d/%.3f/%d\n", name, s->min, s->avg, s->max);
}

static void show_totals(const char *kind, const struct totals *t)
{
    if (!t->min.count)
        return;
    printf("\n%s histogram series (%d in total):\n", kind, t->min.count);
    show_spread("min populated", &t->min);
    show_spread("avg populated", &t->avg);
    show_spread("max populated", &t->max);
    if (t->max.min != t->all.min || t->max.max != t->all.max || t->max.avg != t->all.avg)
        show_spread("total", &t->all);
}

/* ---- native histograms ---- */

static int text_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

// Each bucket is known by its bounds, as text.
static int count_distinct(struct arena *a, const struct json_value *points)
{
    VEC(struct str) keys = { 0 };
    int distinct = 0;

    for (size_t i = 0; i < points->n; i++) {
        struct json_value *buckets = json_get(&points->items[i].items[1], STR("buckets"));
        for (size_t k = 0; buckets && k < buckets->n; k++) {
            struct json_value *v = buckets->items[k].items;
            *vec_push_in(a, &keys) = arena_printf(a, "%.*s %.*s %.*s", STRF(v[0].s), STRF(v[1].s),
                                                  STRF(v[2].s));
        }
    }
    sort_stable(keys.v, keys.n, sizeof *keys.v, text_order, NULL);
    for (size_t i = 0; i < keys.n; i++)
        distinct += !i || !str_eq(keys.v[i - 1], keys.v[i]);
    return distinct;
}

static struct str name_of(struct arena *a, const struct json_value *metric)
{
    OWNED(buf_fini) struct buf b = { 0 };

    query_print_metric(&b, metric);
    return arena_str(a, buf_view(&b));
}

static void analyze_native(struct analysis *x, const struct json_value *series)
{
    struct json_value *points = json_get(series, STR("histograms"));
    struct usage u = { 0 };

    if (!points || points->n < 2)
        return;
    for (size_t i = 0; i < points->n; i++) {
        struct json_value *buckets = json_get(&points->items[i].items[1], STR("buckets"));
        spread_add(&u.populated, buckets ? (int)buckets->n : 0);
    }
    u.total = count_distinct(x->arena, points);
    show_usage(&x->native, name_of(x->arena, json_get(series, STR("metric"))), "native", &u);
}

/* ---- classic histograms ---- */

struct bucket {
    struct str key; // the series without le
    double le;
    const struct json_value *points;
};

static int bucket_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct bucket *x = a, *y = b;
    int c = str_cmp(x->key, y->key);

    return c ? c : (x->le > y->le) - (x->le < y->le);
}

static double value_at(const struct bucket *b, size_t i)
{
    double v = 0;

    (void)!num_parse_double(b->points->items[i].items[1].s, &v);
    return v;
}

static void analyze_classic(struct analysis *x, const struct bucket *b, size_t n)
{
    struct usage u = { .total = (int)n };

    if (b[0].points->n < 2)
        return;
    for (size_t i = 0; i < b[0].points->n; i++) {
        int populated = (int64_t)value_at(&b[0], i) != 0;
        for (size_t k = 1; k < n && i < b[k].points->n; k++)
            populated += (int64_t)(value_at(&b[k], i) - value_at(&b[k - 1], i)) != 0;
        spread_add(&u.populated, populated);
    }
    show_usage(&x->classic, b[0].key, "classic", &u);
}

// The series' name without le; p NULL: no bucket of a classic histogram.
static struct str key_of(struct arena *a, const struct json_value *metric)
{
    struct json_value rest = { .kind = JSON_OBJECT };

    if (!json_get(metric, STR("le")) ||
        !str_ends(json_get_str(metric, STR("__name__")), STR("_bucket")))
        return STR_NONE;
    rest.members = arena_array(a, metric->n, struct json_member);
    for (size_t i = 0; i < metric->n; i++)
        if (!str_eq_c(metric->members[i].key, "le"))
            rest.members[rest.n++] = metric->members[i];
    return name_of(a, &rest);
}

static void analyze_matrix(struct analysis *x, const struct json_value *list)
{
    VEC(struct bucket) all = { 0 };

    for (size_t i = 0; i < list->n; i++) {
        struct json_value *series = &list->items[i], *points = json_get(series, STR("values"));
        struct json_value *metric = json_get(series, STR("metric"));
        if (!points || !points->n) {
            analyze_native(x, series);
            continue;
        }
        struct bucket b = { .key = key_of(x->arena, metric), .points = points };
        if (b.key.p && num_parse_double(json_get_str(metric, STR("le")), &b.le))
            *vec_push_in(x->arena, &all) = b;
    }
    sort_stable(all.v, all.n, sizeof *all.v, bucket_order, NULL);
    for (size_t i = 0, end; i < all.n; i = end) {
        for (end = i + 1; end < all.n && str_eq(all.v[end].key, all.v[i].key);)
            end++;
        analyze_classic(x, &all.v[i], end - i);
    }
}

static bool analyze_all(const struct cli *c, struct query_session *s, struct analysis *x,
                        int64_t at_ns, struct err *e)
{
    struct cli_list match = cli_all(c, "match");

    for (size_t i = 0; i < match.n; i++) {
        OWNED(buf_fini) struct buf form = { 0 }, range = { 0 };
        struct json_value *data = NULL;
        buf_str(&range, match.v[i]);
        buf_char(&range, '[');
        buf_duration(&range, cli_ns(c, "duration") / NS_MS);
        buf_char(&range, ']');
        buf_lit(&form, "query=");
        buf_url_encode(&form, buf_view(&range));
        buf_lit(&form, "&time=");
        buf_double_f(&form, (double)(at_ns / NS_MS) / 1000);
        if (!query_session_ask(s, "/api/v1/query", buf_view(&form), false, &data, e))
            return false;
        if (!str_eq_c(json_get_str(data, STR("resultType")), "matrix"))
            return err_set(e, ERR_INVALID, "query of buckets resulted in non-Matrix");
        analyze_matrix(x, json_get(data, STR("result")));
    }
    return true;
}

int query_command_analyze(const struct cli *c)
{
    OWNED(query_session_close) struct query_session s = { 0 };
    struct str type = cli_text(c, "type"), time = cli_text(c, "time");
    struct analysis x = { .arena = c->arena };
    int64_t at_ns = wall_ns();
    struct err e = { 0 };

    if (!str_eq_c(type, "histogram")) {
        fprintf(stderr, "analyze type is %.*s, must be 'histogram'\n", STRF(type));
        return 1;
    }
    if (time.n && !query_time_parse(time, &at_ns, &e)) {
        fprintf(stderr, "error parsing time '%.*s': %s\n", STRF(time), e.text);
        return 1;
    }
    if (!query_session_open(&s, c))
        return 1;
    printf("%s", header);
    if (!analyze_all(c, &s, &x, at_ns, &e)) {
        fprintf(stderr, "%s\n", s.error.n ? s.error.p : e.text);
        return 1;
    }
    printf("%s", footer);
    show_totals("Native", &x.native);
    show_totals("Classic", &x.classic);
    return 0;
}
