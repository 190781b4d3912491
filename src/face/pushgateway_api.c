// pushgateway_api.c - /api/v1: groups and metrics as JSON, flags and version.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "base/sort.h"
#include "face/pushgateway_priv.h"

/* ---- JSON as upstream writes it ---- */

static void json_number_text(struct json_writer *w, double v)
{
    char text[NUM_TEXT_MAX];

    json_str(w, str_of(text, num_format_g(v, text)));
}

// Counts are integers there.
static void json_count_text(struct json_writer *w, double v)
{
    char text[NUM_TEXT_MAX];

    json_str(w, str_of(text, v >= 0 && v == floor(v) && v < 1e18 ? num_format_f(v, text)
                                                                 : num_format_g(v, text)));
}

static void json_key_number(struct json_writer *w, double v)
{
    char text[NUM_TEXT_MAX];

    json_key(w, str_of(text, num_format_g(v, text)));
}

static void json_labels(struct json_writer *w, const struct expo_label *v, size_t n)
{
    json_key_lit(w, "labels");
    json_object(w);
    for (size_t i = 0; i < n; i++) {
        json_key(w, v[i].name);
        json_str(w, v[i].value);
    }
    json_object_end(w);
}

static void json_native(struct json_writer *w, const struct expo_histogram *h)
{
    const struct expo_hist_side *sides[] = { &h->neg, &h->pos };

    // As Prometheus: bounds rule, lower, upper, count. Boundaries: 2^(index / 2^schema).
    json_key_lit(w, "buckets");
    json_array(w);
    for (int side = 0; side < 2; side++) {
        int64_t index = 0;
        size_t k = 0;

        for (uint32_t i = 0; i < sides[side]->spans; i++) {
            index += sides[side]->span[i].offset;
            for (uint32_t j = 0; j < sides[side]->span[i].length; j++, index++, k++) {
                double lower = exp2(ldexp((double)(index - 1), -h->schema));
                double upper = exp2(ldexp((double)index, -h->schema));

                if (sides[side]->count[k] == 0)
                    continue;
                json_array(w);
                json_u64(w, side == 0 ? 1 : 0);
                json_number_text(w, side == 0 ? -upper : lower);
                json_number_text(w, side == 0 ? -lower : upper);
                json_count_text(w, sides[side]->count[k]);
                json_array_end(w);
            }
        }
    }
    json_array_end(w);
}

static void json_parts(struct json_writer *w, enum expo_type type, const struct expo_metric *m)
{
    json_key_lit(w, "sum");
    json_number_text(w, m->hist ? m->hist->sum : m->value);
    json_key_lit(w, "count");
    json_count_text(w, m->hist ? m->hist->count : m->count);
    if (m->hist) {
        json_native(w, m->hist);
        return;
    }
    if (type == EXPO_SUMMARY)
        json_key_lit(w, "quantiles");
    else
        json_key_lit(w, "buckets");
    json_object(w);
    for (size_t i = 0; i < m->quantiles; i++) {
        json_key_number(w, m->quantile[i].quantile);
        json_number_text(w, m->quantile[i].value);
    }
    for (size_t i = 0; i < m->buckets; i++) {
        json_key_number(w, m->bucket[i].upper);
        json_count_text(w, m->bucket[i].count);
    }
    json_object_end(w);
}

static const char *json_type(enum expo_type t)
{
    static const char *const names[] = {
        [EXPO_UNKNOWN] = "UNTYPED", [EXPO_COUNTER] = "COUNTER",
        [EXPO_GAUGE] = "GAUGE",     [EXPO_HISTOGRAM] = "HISTOGRAM",
        [EXPO_SUMMARY] = "SUMMARY", [EXPO_GAUGE_HISTOGRAM] = "GAUGE_HISTOGRAM",
    };

    return names[t];
}

static void json_family(struct json_writer *w, const struct push_family *f)
{
    OWNED(buf_fini) struct buf time = { 0 };

    json_key(w, f->head.name);
    json_object(w);
    json_key_lit(w, "time_stamp");
    buf_rfc3339_ns(&time, f->t_ns);
    json_str(w, buf_view(&time));
    json_key_lit(w, "type");
    json_str(w, str_c(json_type(f->head.type)));
    if (f->head.help.n) {
        json_key_lit(w, "help");
        json_str(w, f->head.help);
    }
    json_key_lit(w, "metrics");
    json_array(w);
    for (size_t i = 0; i < f->n; i++) {
        const struct expo_metric *m = &f->metric[i];

        json_object(w);
        json_labels(w, m->label, m->labels);
        if (f->head.type == EXPO_SUMMARY || f->head.type == EXPO_HISTOGRAM ||
            f->head.type == EXPO_GAUGE_HISTOGRAM) {
            json_parts(w, f->head.type, m);
        } else {
            json_key_lit(w, "value");
            json_number_text(w, m->value);
        }
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static int group_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct push_family *x = *(struct push_family *const *)a;
    const struct push_family *y = *(struct push_family *const *)b;

    return str_cmp(x->batch->key, y->batch->key); // stable: names stay in order
}

void push_groups_each(struct pushgateway *g, push_group_fn visit, void *ctx)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct push_snapshot s = push_snapshot_get(g, &a);

    sort_stable(s.v, s.n, sizeof *s.v, group_order, NULL);
    for (size_t i = 0, k; i < s.n; i = k) {
        for (k = i + 1; k < s.n && str_eq(s.v[k]->batch->key, s.v[i]->batch->key);)
            k++;
        visit(ctx, s.v + i, k - i);
    }
    push_snapshot_put(&s);
}

static void json_group(void *ctx, struct push_family *const *v, size_t n)
{
    struct json_writer *w = ctx;

    json_object(w);
    json_labels(w, v[0]->batch->label, v[0]->batch->labels);
    json_key_lit(w, "last_push_successful");
    json_bool(w, push_group_is_good(v, n));
    for (size_t i = 0; i < n; i++)
        json_family(w, v[i]);
    json_object_end(w);
}

/* ---- handlers ---- */

static void set_cors(struct http_exchange *x)
{
    http_set_header(x, STR("Access-Control-Allow-Headers"),
                    STR("Accept, Authorization, Content-Type, Origin"));
    http_set_header(x, STR("Access-Control-Allow-Methods"), STR("GET, POST, DELETE, OPTIONS"));
    http_set_header(x, STR("Access-Control-Allow-Origin"), STR("*"));
    http_set_header(x, STR("Access-Control-Expose-Headers"), STR("Date"));
    http_set_header(x, STR("Cache-Control"), STR("no-cache, no-store, must-revalidate"));
}

static bool is_preflight(struct http_exchange *x)
{
    if (!str_eq(x->req.method, STR("OPTIONS")))
        return false;
    set_cors(x);
    http_status(x, 200);
    push_count(push_of(x), x, "api/v1/options", 200);
    return true;
}

static struct json_writer begin(struct http_exchange *x)
{
    struct json_writer w = json_writer(http_body(x));

    set_cors(x);
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    json_object(&w);
    json_key_lit(&w, "status");
    json_str(&w, STR("success"));
    json_key_lit(&w, "data");
    return w;
}

static void handle_metrics(struct http_exchange *x)
{
    if (is_preflight(x))
        return;
    struct json_writer w = begin(x);
    json_array(&w);
    push_groups_each(push_of(x), json_group, &w);
    json_array_end(&w);
    json_object_end(&w);
    push_count(push_of(x), x, "api/v1/metrics", 200);
}

static void handle_status(struct http_exchange *x)
{
    static const char *const build[] = { "branch", "buildDate", "buildUser", "goVersion",
                                         "revision" };
    struct pushgateway *g = push_of(x);
    OWNED(buf_fini) struct buf time = { 0 };

    if (is_preflight(x))
        return;
    struct json_writer w = begin(x);
    json_object(&w);
    json_key_lit(&w, "build_information");
    json_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(build); i++) {
        json_key(&w, str_c(build[i]));
        json_str(&w, STR(""));
    }
    json_key_lit(&w, "version");
    json_str(&w, g->o.version);
    json_object_end(&w);
    json_key_lit(&w, "flags");
    json_object(&w);
    for (size_t i = 0; i < g->o.flag_count; i++) {
        json_key(&w, str_c(g->o.flags[i].name));
        json_str(&w, g->o.flags[i].value);
    }
    json_object_end(&w);
    json_key_lit(&w, "start_time");
    buf_rfc3339_ns(&time, g->start_ns);
    json_str(&w, buf_view(&time));
    json_object_end(&w);
    json_object_end(&w);
    push_count(g, x, "api/v1/status", 200);
}

void push_routes_read(struct pushgateway *g, struct http_server *s)
{
    push_route(g, s,
               &(struct http_route){
                   .method = "GET OPTIONS", .path = "/api/v1/metrics", .handle = handle_metrics });
    push_route(g, s,
               &(struct http_route){
                   .method = "GET OPTIONS", .path = "/api/v1/status", .handle = handle_status });
}
