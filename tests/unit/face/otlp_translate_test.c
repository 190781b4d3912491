// otlp_translate_test.c - OTLP requests into a real store, and what is read back from it.
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp_translate.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sort.h"
#include "face/otlp_delta.h"
#include "test.h"

#define T0 INT64_C(1795262400000) // 2026-11-21T12:00:00Z
#define A  "1795262400000000000"  // T0 in ns
#define B  "1795262430000000000"  // and 30 s later
#define S  "1795262340000000000"  // a minute before

struct fixture {
    struct arena arena;
    struct clock clock;
    const char *dir;
    struct metrics *m;
    struct intake *in;
    struct otlp_delta *delta;
    struct conf_otlp conf;
    struct otlp_options o;
    struct otlp_outcome out;
};

static struct fixture *fx_new(void)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err e = { 0 };

    f->clock = clock_fake(T0 + 60000);
    f->dir = file_temp_dir(&f->arena);
    CHECK_OK(metrics_open(&f->m,
                          &(struct metrics_options){ .path = f->dir,
                                                     .clock = &f->clock,
                                                     .no_background = true,
                                                     .out_of_order_window_ms = 600000 },
                          &e),
             &e);
    CHECK_OK(
        intake_new(&f->in, &(struct intake_options){ .metrics = f->m, .clock = &f->clock }, &e),
        &e);
    f->delta = otlp_delta_new(&(struct otlp_delta_options){ .clock = &f->clock });
    f->conf = (struct conf_otlp){ .translation_strategy = STR("UnderscoreEscapingWithSuffixes"),
                                  .label_name_underscore_sanitization = true,
                                  .label_name_preserve_multiple_underscores = true };
    f->o.lookback_ms = 300000;
    return f;
}

static void fx_free(struct fixture *f)
{
    struct err e = { 0 };

    intake_free(f->in);
    otlp_delta_free(f->delta);
    metrics_close(f->m);
    CHECK_OK(file_remove_tree(f->dir, &e), &e);
    arena_fini(&f->arena);
    xfree(f);
}
OWN_DEFINE(struct fixture *, fx_free)

static void send(struct fixture *f, const char *json)
{
    struct otlp_job job = { .intake = f->in, .o = &f->o, .body = str_c(json), .json = true };
    struct err e = { 0 };

    otlp_options_set(&f->o, &f->conf);
    CHECK_OK(otlp_store_metrics(&job, &f->arena, &f->out, &e), &e);
}

/* ---- reading back ---- */

struct dump {
    struct series_set set;
    VEC(struct str) lines;
    struct arena *a;
};

static bool dump_series(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e)
{
    struct dump *d = ctx;
    OWNED(buf_fini) struct buf b = { 0 };

    (void)e;
    buf_series(&b, d->set.v[pos].labels);
    for (size_t i = 0; i < s->n; i++) {
        buf_printf(&b, " %lld:", (long long)(s->t_ms[i] - T0) / 1000);
        if (s->hist && s->hist[i] && histogram_is_stale(s->hist[i]))
            buf_lit(&b, "stale histogram");
        else if (s->hist && s->hist[i])
            buf_histogram_test(&b, s->hist[i]);
        else if (sample_is_stale(s->value[i]))
            buf_lit(&b, "stale");
        else
            buf_double_g(&b, s->value[i]);
        if (s->start_ms && s->start_ms[i])
            buf_printf(&b, "(%lld)", (long long)(s->start_ms[i] - T0) / 1000);
    }
    buf_char(&b, '\n');
    *vec_push_in(d->a, &d->lines) = arena_str(d->a, buf_view(&b));
    return true;
}

static void open_view(struct fixture *f, struct series_view **out)
{
    struct metrics_tenant *t;
    struct err e = { 0 };

    CHECK_OK(metrics_tenant(f->m, STR("anonymous"), &t, &e), &e);
    struct series_source *s = metrics_source(t);
    CHECK_OK(s->open(s, INT64_MIN, INT64_MAX, out, &e), &e);
}

// All that is stored, a line for each series, sorted.
static struct str stored(struct fixture *f)
{
    OWNED(series_view_put) struct series_view *view = NULL;
    struct matcher any = { MATCH_NE, LABEL_NAME, STR("nothing"), NULL };
    struct select_query q = {
        .matchers = &any, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = INT64_MAX
    };
    struct scan_query all = { .min_ms = INT64_MIN, .max_ms = INT64_MAX, .need_start = true };
    struct dump d = { .a = &f->arena };
    OWNED(buf_fini) struct buf text = { 0 };
    struct budget budget = { 0 };
    struct err e = { 0 };

    open_view(f, &view);
    CHECK_OK(view->ops->select(view, &q, &f->arena, &budget, &d.set, &e), &e);
    CHECK_OK(view->ops->scan(view, &d.set, &all, &budget, dump_series, &d, &e), &e);
    if (d.lines.n)
        d.lines.n = sort_strs_unique(d.lines.v, d.lines.n);
    for (size_t i = 0; i < d.lines.n; i++)
        buf_str(&text, d.lines.v[i]);
    return arena_str(&f->arena, buf_view(&text));
}

/* ---- requests ---- */

#define ATTR(k, v)      "{\"key\":\"" k "\",\"value\":{\"stringValue\":\"" v "\"}}"
#define REQUEST(rest)   "{\"resourceMetrics\":[{" rest "}]}"
#define RESOURCE(attrs) "\"resource\":{\"attributes\":[" attrs "]},"
#define SCOPE(metrics)  "\"scopeMetrics\":[{\"metrics\":[" metrics "]}]"
#define POINT(t, rest)  "{\"timeUnixNano\":\"" t "\"," rest "}"
#define GAUGE(name, unit, points) \
    "{\"name\":\"" name "\",\"unit\":\"" unit "\",\"gauge\":{\"dataPoints\":[" points "]}}"
#define SUM(name, unit, points)                                                           \
    "{\"name\":\"" name "\",\"unit\":\"" unit "\",\"sum\":{\"aggregationTemporality\":2," \
    "\"isMonotonic\":true,\"dataPoints\":[" points "]}}"
#define SHOP                                                                              \
    RESOURCE(ATTR("service.name", "cart") "," ATTR("service.namespace", "shop") "," ATTR( \
        "service.instance.id", "i-1") "," ATTR("host.name", "h1") "," ATTR("zone", "z"))

static void plain(struct fixture *f)
{
    (void)f;
}
static void bare(struct fixture *f)
{
    f->conf.translation_strategy = STR("UnderscoreEscapingWithoutSuffixes");
}
static void utf8(struct fixture *f)
{
    f->conf.translation_strategy = STR("NoUTF8EscapingWithSuffixes");
}
static void untouched(struct fixture *f)
{
    f->conf.translation_strategy = STR("NoTranslation");
}
static void promoted(struct fixture *f)
{
    static struct str names[] = { { "host.name", 9 }, { "absent", 6 } };

    f->conf.promote_resource_attributes = (struct conf_strs){ names, 2, true };
}
static void all_but(struct fixture *f)
{
    static struct str names[] = { { "host.name", 9 }, { "service.namespace", 17 } };

    f->conf.promote_all_resource_attributes = true;
    f->conf.ignore_resource_attributes = (struct conf_strs){ names, 2, true };
}
static void identifying(struct fixture *f)
{
    f->conf.keep_identifying_resource_attributes = true;
}
static void scopes(struct fixture *f)
{
    f->conf.promote_scope_metadata = true;
}
static void nhcb(struct fixture *f)
{
    f->conf.convert_histograms_to_nhcb = true;
}
static void typed(struct fixture *f)
{
    f->o.type_and_unit = true;
}
static void native(struct fixture *f)
{
    f->o.native_delta = true;
}

#define HISTOGRAM(temporality, rest)                                                               \
    "{\"name\":\"latency\",\"unit\":\"ms\",\"histogram\":{\"aggregationTemporality\":" temporality \
    ",\"dataPoints\":[{\"startTimeUnixNano\":\"" S "\",\"timeUnixNano\":\"" A "\"," rest "}]}}"
#define EXPONENTIAL(rest)                                                                      \
    "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" \
    "\"timeUnixNano\":\"" A "\"," rest "}]}}"

static const struct {
    const char *what;
    void (*set)(struct fixture *f);
    const char *request, *stored;
} cases[] = {
    { "target_info", plain,
      REQUEST(SHOP SCOPE(
          GAUGE("temp.now", "Cel",
                POINT(A, "\"asDouble\":21.5,\"attributes\":[" ATTR("room.id", "1") "]")))),
      "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/cart\", zone=\"z\"} 0:1\n"
      "temp_now_celsius{instance=\"i-1\", job=\"shop/cart\", room_id=\"1\"} 0:21.5\n" },
    { "bare", bare, REQUEST(SCOPE(SUM("requests.seen", "1", POINT(A, "\"asInt\":7")))),
      "requests_seen 0:7\n" },
    { "counters", plain,
      REQUEST(SCOPE(
          SUM("requests.seen", "1", POINT(A, "\"asInt\":\"7\",\"startTimeUnixNano\":\"" S "\"")))),
      "requests_seen_total 0:7(-60)\n" },
    { "utf8", utf8,
      REQUEST(SHOP SCOPE(SUM("requests.seen", "By/s",
                             POINT(A, "\"asInt\":7,\"attributes\":[" ATTR("a.b", "c") "]")))),
      "target_info{\"host.name\"=\"h1\", instance=\"i-1\", job=\"shop/cart\", zone=\"z\"} 0:1\n"
      "{\"requests.seen_bytes_per_second_total\", \"a.b\"=\"c\", instance=\"i-1\", "
      "job=\"shop/cart\"} 0:7\n" },
    { "untouched", untouched, REQUEST(SCOPE(SUM("requests.seen", "By", POINT(A, "\"asInt\":7")))),
      "{\"requests.seen\"} 0:7\n" },
    { "promoted", promoted, REQUEST(SHOP SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1")))),
      "g{host_name=\"h1\", instance=\"i-1\", job=\"shop/cart\"} 0:1\n"
      "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/cart\", zone=\"z\"} 0:1\n" },
    { "an attribute of the point wins over a promoted one", promoted,
      REQUEST(RESOURCE(ATTR("host.name", "h1")) SCOPE(
          GAUGE("g", "", POINT(A, "\"asInt\":1,\"attributes\":[" ATTR("host_name", "own") "]")))),
      "g{host_name=\"own\"} 0:1\n" },
    { "all but", all_but, REQUEST(SHOP SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1")))),
      "g{instance=\"i-1\", job=\"shop/cart\", service_instance_id=\"i-1\", service_name=\"cart\", "
      "zone=\"z\"} 0:1\n"
      "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/cart\", zone=\"z\"} 0:1\n" },
    { "identifying", identifying,
      REQUEST(RESOURCE(ATTR("service.name", "cart") "," ATTR("x", "y"))
                  SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1")))),
      "g{job=\"cart\"} 0:1\n"
      "target_info{job=\"cart\", service_name=\"cart\", x=\"y\"} 0:1\n" },
    { "no target_info without more than job and instance", plain,
      REQUEST(RESOURCE(ATTR("service.name", "cart"))
                  SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1")))),
      "g{job=\"cart\"} 0:1\n" },
    { "nor without either", plain,
      REQUEST(RESOURCE(ATTR("x", "y")) SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1")))), "g 0:1\n" },
    { "scopes", scopes,
      REQUEST(
          "\"scopeMetrics\":[{\"schemaUrl\":\"urn:s\",\"scope\":{\"name\":\"lib\",\"version\":"
          "\"1.2\",\"attributes\":[" ATTR("k.x", "v") "]},\"metrics\":[" GAUGE(
              "g", "", POINT(A, "\"asInt\":1")) "]},{\"scope\":{\"version\":\"9\"},\"metrics\":"
                                                "[" GAUGE("h", "", POINT(A, "\"asInt\":1")) "]}]"),
      "g{otel_scope_k_x=\"v\", otel_scope_name=\"lib\", otel_scope_schema_url=\"urn:s\", "
      "otel_scope_version=\"1.2\"} 0:1\n"
      "h 0:1\n" },
    { "collisions, reserved and empty", plain,
      REQUEST(SCOPE(GAUGE(
          "g", "",
          POINT(A, "\"asInt\":1,\"attributes\":[" ATTR("a.b", "2") "," ATTR("a-b", "1") "," ATTR(
                       "__name__", "evil") "," ATTR("empty", "") "," ATTR("a_b", "3") "]")))),
      "g{a_b=\"1;2;3\"} 0:1\n" },
    { "values of other kinds", plain,
      REQUEST(SCOPE(GAUGE("g", "",
                          POINT(A, "\"asInt\":1,\"attributes\":[{\"key\":\"b\",\"value\":{"
                                   "\"boolValue\":true}},{\"key\":\"d\",\"value\":{\"doubleValue\":"
                                   "0.5}},{\"key\":\"i\",\"value\":{\"intValue\":\"9\"}}]")))),
      "g{b=\"true\", d=\"0.5\", i=\"9\"} 0:1\n" },
    { "no recorded value", plain,
      REQUEST(SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1") "," POINT(B, "\"flags\":1")))),
      "g 0:1 30:stale\n" },
    { "type and unit", typed, REQUEST(SCOPE(SUM("n", "By", POINT(A, "\"asInt\":1")))),
      "n_bytes_total{__type__=\"counter\", __unit__=\"bytes\"} 0:1\n" },
    { "histogram", plain,
      REQUEST(SCOPE(HISTOGRAM("2", "\"count\":\"6\",\"sum\":12.5,\"bucketCounts\":[1,2,3],"
                                   "\"explicitBounds\":[0.5,10]"))),
      "latency_milliseconds_bucket{le=\"+Inf\"} 0:6(-60)\n"
      "latency_milliseconds_bucket{le=\"0.5\"} 0:1(-60)\n"
      "latency_milliseconds_bucket{le=\"10\"} 0:3(-60)\n"
      "latency_milliseconds_count 0:6(-60)\n"
      "latency_milliseconds_sum 0:12.5(-60)\n" },
    { "histogram without sum and buckets", plain, REQUEST(SCOPE(HISTOGRAM("2", "\"count\":\"6\""))),
      "latency_milliseconds_bucket{le=\"+Inf\"} 0:6(-60)\n"
      "latency_milliseconds_count 0:6(-60)\n" },
    { "histogram with an attribute le", plain,
      REQUEST(SCOPE(HISTOGRAM("2", "\"count\":1,\"attributes\":[" ATTR("le", "x") "]"))),
      "latency_milliseconds_bucket{le=\"+Inf\"} 0:1(-60)\n"
      "latency_milliseconds_count{le=\"x\"} 0:1(-60)\n" },
    { "nhcb", nhcb,
      REQUEST(SCOPE(HISTOGRAM("2", "\"count\":\"6\",\"sum\":12.5,\"bucketCounts\":[0,2,0,4],"
                                   "\"explicitBounds\":[0.5,10,20]"))),
      "latency_milliseconds 0:{{schema:-53 count:6 sum:12.5 custom_values:[0.5 10 20] offset:1 "
      "buckets:[2 0 4]}}\n" },
    { "nhcb without a value", nhcb, REQUEST(SCOPE(HISTOGRAM("2", "\"flags\":1"))),
      "latency_milliseconds 0:stale histogram\n" },
    { "native delta", native,
      REQUEST(SCOPE(HISTOGRAM("1", "\"count\":\"1\",\"bucketCounts\":[1,0],"
                                   "\"explicitBounds\":[0.5]"))),
      "latency_milliseconds_bucket{le=\"+Inf\"} 0:1(-60)\n"
      "latency_milliseconds_bucket{le=\"0.5\"} 0:1(-60)\n"
      "latency_milliseconds_count 0:1(-60)\n" },
    { "exponential", plain,
      REQUEST(SCOPE(EXPONENTIAL("\"count\":10,\"sum\":5,\"scale\":1,\"zeroCount\":1,\"positive\":{"
                                "\"offset\":-1,\"bucketCounts\":[1,2,0,0,0,0,3]},\"negative\":{"
                                "\"bucketCounts\":[3]}"))),
      "e 0:{{schema:1 count:10 sum:5 z_bucket:1 z_bucket_w:1e-128 buckets:[1 2 0 0 0 0 3] "
      "n_offset:1 n_buckets:[3]}}\n" },
    { "exponential, scale reduced", plain,
      REQUEST(SCOPE(EXPONENTIAL("\"count\":15,\"scale\":10,\"positive\":{\"offset\":-3,"
                                "\"bucketCounts\":[1,2,3,4,5]}"))),
      "e 0:{{schema:8 count:15 z_bucket_w:1e-128 buckets:[6 9]}}\n" },
    { "summary", plain,
      REQUEST(SCOPE("{\"name\":\"s\",\"summary\":{\"dataPoints\":[" POINT(
          A, "\"count\":\"3\",\"sum\":4.5,\"quantileValues\":[{\"quantile\":0.5,\"value\":1},{"
             "\"quantile\":1,\"value\":2}]") "]}}")),
      "s_count 0:3\ns_sum 0:4.5\ns{quantile=\"0.5\"} 0:1\ns{quantile=\"1\"} 0:2\n" },
    { "target_info over a span of time", plain,
      REQUEST(RESOURCE(ATTR("service.name", "cart") "," ATTR("x", "y")) SCOPE(
          GAUGE("g", "", POINT("1795262000000000000", "\"asInt\":1") "," POINT(A, "\"asInt\":2")))),
      "g{job=\"cart\"} -400:1 0:2\n"
      "target_info{job=\"cart\", x=\"y\"} -400:1 -250:1 -100:1 0:1\n" },
};

TEST(otlp_translates)
{
    FOR_CASES (t, cases) {
        OWNED(fx_free) struct fixture *f = fx_new();

        t->set(f);
        send(f, t->request);
        CHECK_F(f->out.status == 200 && !f->out.rejected, "%s: %d %.*s", t->what, f->out.status,
                STRF(f->out.text));
        CHECK_F(str_eq_c(stored(f), t->stored), "%s: got\n%.*swant\n%s", t->what, STRF(stored(f)),
                t->stored);
    }
}

/* ---- again, and with other settings ---- */

TEST(otlp_known_series_are_found)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    otlp_options_set(&f->o, &f->conf);
    struct otlp_job job = { .intake = f->in, .o = &f->o, .json = true };
    struct err e = { 0 };
    static const char *const requests[] = {
        REQUEST(SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1,\"attributes\":[" ATTR("a", "b") "]")))),
        REQUEST(SCOPE(GAUGE("g", "", POINT(B, "\"asInt\":2,\"attributes\":[" ATTR("a", "b") "]")))),
        REQUEST(SCOPE(GAUGE("g", "", POINT(B, "\"asInt\":3,\"attributes\":[" ATTR("ab", "") "]")))),
    };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        job.body = str_c(requests[i]);
        CHECK_OK(otlp_store_metrics(&job, &f->arena, &f->out, &e), &e);
    }
    CHECK_STR(stored(f), STR("g 30:3\ng{a=\"b\"} 0:1 30:2\n"));
}

// The keys of before a reload must not count behind it.
TEST(otlp_settings_change)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    const char *request = REQUEST(
        SCOPE(GAUGE("g.x", "", POINT(A, "\"asInt\":1,\"attributes\":[" ATTR("a.b", "c") "]"))));

    send(f, request);
    send(f, request);
    CHECK_STR(stored(f), STR("g_x{a_b=\"c\"} 0:1\n"));
    utf8(f);
    send(f, request);
    CHECK_STR(stored(f), STR("g_x{a_b=\"c\"} 0:1\n{\"g.x\", \"a.b\"=\"c\"} 0:1\n"));
}

/* ---- what is refused ---- */

TEST(otlp_partial_success)
{
    static const struct {
        const char *request, *text;
        int status;
        unsigned rejected;
    } refusals[] = {
        { REQUEST(SCOPE(GAUGE("...", "", POINT(A, "\"asInt\":1")) "," GAUGE(
              "g", "", POINT(A, "\"asInt\":1")))),
          "normalization for metric \"...\" resulted in empty name", 200, 1 },
        { REQUEST(SCOPE(GAUGE("g", "",
                              POINT(A, "\"asInt\":1,\"attributes\":[" ATTR("", "x") "]") "," POINT(
                                  A, "\"asInt\":1")))),
          "label name is empty", 200, 1 },
        { REQUEST(SCOPE(GAUGE("g", "", POINT("1", "\"asInt\":1") "," POINT(A, "\"asInt\":1")))),
          "out of bounds", 200, 1 },
        { REQUEST(SCOPE(GAUGE("g", "", POINT("1", "\"asInt\":1") "," POINT("2", "\"asInt\":1")))),
          "out of bounds", 400, 2 },
        { REQUEST(SCOPE("{\"name\":\"d\",\"sum\":{\"dataPoints\":[" POINT(A, "\"asInt\":1") "]}}")),
          "invalid temporality and type combination for metric \"d\"", 400, 1 },
        { REQUEST(
              SCOPE("{\"name\":\"d\",\"sum\":{\"aggregationTemporality\":1,\"dataPoints\":[" POINT(
                  A, "\"asInt\":1") "]}}")),
          "invalid temporality", 400, 1 },
        { REQUEST(SCOPE(EXPONENTIAL("\"scale\":-5,\"count\":0"))), "Scale must be >= -4, was -5",
          400, 1 },
        { REQUEST(SCOPE(EXPONENTIAL("\"count\":7,\"positive\":{\"bucketCounts\":[1]}"))),
          "observations found in buckets", 400, 1 },
        { REQUEST(SCOPE(EXPONENTIAL(
              "\"count\":1,\"positive\":{\"offset\":2147483647,\"bucketCounts\":[0,1]}"))),
          "does not fit 32 bits", 400, 1 },
    };

    FOR_CASES (t, refusals) {
        OWNED(fx_free) struct fixture *f = fx_new();

        send(f,
             REQUEST(SCOPE(GAUGE("g", "", POINT(S, "\"asInt\":0"))))); // what is old is now known
        send(f, t->request);
        CHECK_F(f->out.status == t->status && f->out.rejected == t->rejected, "%s: %d, %d: %.*s",
                t->text, f->out.status, (int)f->out.rejected, STRF(f->out.text));
        CHECK_F(str_find(f->out.text, str_c(t->text)) != STR_NPOS, "want %s got %.*s", t->text,
                STRF(f->out.text));
    }
}

TEST(otlp_malformed_requests_store_nothing)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    struct otlp_job job = {
        .intake = f->in,
        .o = &f->o,
        .json = true,
        .body = STR(REQUEST(SCOPE(GAUGE("g", "", POINT(A, "\"asInt\":1")) ",7"))),
    };
    struct err e = { 0 };

    otlp_options_set(&f->o, &f->conf);
    CHECK(!otlp_store_metrics(&job, &f->arena, &f->out, &e) && e.kind == ERR_CORRUPT);
    CHECK_STR(stored(f), STR(""));
}

TEST(otlp_large_requests_are_stored_in_batches)
{
    enum { POINTS = 120000 };
    OWNED(fx_free) struct fixture *f = fx_new();
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"g\",\"gauge\":"
                "{\"dataPoints\":[");
    for (int i = 0; i < POINTS; i++)
        buf_printf(&b, "%s{\"timeUnixNano\":\"%s\",\"asInt\":%d}", i ? "," : "", i == 7 ? "1" : A,
                   5);
    buf_lit(&b, "]}}]}]}]}");
    send(f, buf_cstr(&b));
    CHECK(f->out.status == 200 && f->out.points == POINTS && f->out.rejected == 1);
    CHECK_STR(stored(f), STR("g 0:5\n"));
}

/* ---- exemplars and metadata ---- */

TEST(otlp_exemplars_go_to_their_buckets)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    OWNED(series_view_put) struct series_view *view = NULL;
    OWNED(buf_fini) struct buf text = { 0 };
    struct matcher any = { MATCH_NE, LABEL_NAME, STR("nothing"), NULL };
    struct select_query q = {
        .matchers = &any, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = INT64_MAX
    };
    struct budget budget = { 0 };
    struct series_exemplars *x;
    struct err e = { 0 };
    size_t n;

    send(f, REQUEST(SCOPE(HISTOGRAM(
                "2", "\"count\":\"3\",\"bucketCounts\":[1,1,1],\"explicitBounds\":[1,2],"
                     "\"exemplars\":[{\"timeUnixNano\":\"" A "\",\"asDouble\":9,\"spanId\":"
                     "\"0000000000000000\"},{\"timeUnixNano\":\"" A "\",\"asInt\":1,\"traceId\":"
                     "\"000102030405060708090a0b0c0d0e0f\",\"spanId\":\"0102030405060708\","
                     "\"filteredAttributes\":[" ATTR("k", "v") "]}]"))));
    open_view(f, &view);
    CHECK_OK(view->ops->exemplars(view, &q, &f->arena, &budget, &x, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < x[i].n; k++) {
            buf_series(&text, x[i].series);
            buf_char(&text, ' ');
            buf_labels(&text, x[i].v[k].labels);
            buf_printf(&text, " %g %lld\n", x[i].v[k].value, (long long)(x[i].v[k].t_ms - T0));
        }
    }
    CHECK(n == 2);
    CHECK(str_find(buf_view(&text), STR("latency_milliseconds_bucket{le=\"1\"} {k=\"v\", span_id="
                                        "\"0102030405060708\", trace_id="
                                        "\"000102030405060708090a0b0c0d0e0f\"} 1 0\n")) !=
          STR_NPOS);
    CHECK(str_find(buf_view(&text), STR("latency_milliseconds_bucket{le=\"+Inf\"} {} 9 0\n")) !=
          STR_NPOS);
}

static void note_meta(void *ctx, const struct metric_meta *m)
{
    buf_printf(ctx, "%.*s %s %.*s %.*s\n", STRF(m->name), metric_type_name(m->type), STRF(m->help),
               STRF(m->unit));
}

TEST(otlp_metadata)
{
    OWNED(fx_free) struct fixture *f = fx_new();
    OWNED(buf_fini) struct buf text = { 0 };
    struct metrics_tenant *t;
    struct err e = { 0 };

    send(f,
         REQUEST(SCOPE("{\"name\":\"n\",\"unit\":\"By\",\"description\":\"what it is\",\"sum\":{"
                       "\"isMonotonic\":true,\"aggregationTemporality\":2,\"dataPoints\":[" POINT(
                           A, "\"asInt\":1") "]}}")));
    CHECK_OK(metrics_tenant(f->m, STR("anonymous"), &t, &e), &e);
    metrics_meta_each(t, note_meta, &text);
    CHECK_STR(buf_view(&text), STR("n_bytes_total counter what it is bytes\n"));
}

/* ---- deltas ---- */

#define DELTA(kind, points)                                                \
    REQUEST(SCOPE("{\"name\":\"d\",\"" kind                                \
                  "\":{\"aggregationTemporality\":1,\"isMonotonic\":true," \
                  "\"dataPoints\":[" points "]}}"))

TEST(otlp_delta_to_cumulative)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    f->o.delta = f->delta;
    send(f, DELTA("sum", POINT(A, "\"asInt\":5,\"startTimeUnixNano\":\"" S "\"") "," POINT(
                             B, "\"asInt\":7,\"startTimeUnixNano\":\"" A "\"")));
    CHECK(f->out.status == 200 && !f->out.rejected);
    // Sent again: refused, also after a reload.
    send(f, DELTA("sum", POINT(B, "\"asInt\":7,\"startTimeUnixNano\":\"" A "\"")));
    CHECK(f->out.status == 400 && f->out.rejected == 1);
    CHECK_STR(stored(f), STR("d_total 0:5(-60) 30:12(-60)\n"));
}

TEST(otlp_delta_streams_do_not_depend_on_the_order_of_attributes)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    f->o.delta = f->delta;
    send(f, DELTA("sum",
                  POINT(A, "\"asInt\":5,\"attributes\":[" ATTR("a", "1") "," ATTR("b", "2") "]")));
    send(f, DELTA("sum",
                  POINT(B, "\"asInt\":7,\"attributes\":[" ATTR("b", "2") "," ATTR("a", "1") "]")));
    CHECK_STR(stored(f), STR("d_total{a=\"1\", b=\"2\"} 0:5 30:12\n"));
}

TEST(otlp_delta_histograms)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    f->o.delta = f->delta;
    send(f,
         DELTA(
             "histogram",
             POINT(
                 A,
                 "\"count\":3,\"sum\":4,\"bucketCounts\":[1,2],"
                 "\"explicitBounds\":[1]") "," POINT(B,
                                                     "\"count\":1,\"sum\":1,\"bucketCounts\":[1,0],"
                                                     "\"explicitBounds\":[1]")));
    CHECK_STR(stored(f), STR("d_bucket{le=\"+Inf\"} 0:3 30:4\nd_bucket{le=\"1\"} 0:1 30:2\n"
                             "d_count 0:3 30:4\nd_sum 0:4 30:5\n"));
}

TEST(otlp_delta_exponential_histograms)
{
    OWNED(fx_free) struct fixture *f = fx_new();

    f->o.delta = f->delta;
    send(f,
         DELTA("exponentialHistogram",
               POINT(A,
                     "\"count\":3,\"scale\":1,\"zeroCount\":1,\"positive\":{\"offset\":0,"
                     "\"bucketCounts\":[1,1]}") "," POINT(B, "\"count\":2,\"scale\":0,\"positive\":"
                                                             "{\"offset\":-2,\"bucketCounts\":[1]},"
                                                             "\"negative\":{\"offset\":5,"
                                                             "\"bucketCounts\":[1]}")));
    CHECK_STR(stored(f),
              STR("d 0:{{schema:1 count:3 z_bucket:1 z_bucket_w:1e-128 offset:1 buckets:[1 1]}} "
                  "30:{{count:5 z_bucket:1 z_bucket_w:1e-128 offset:-1 buckets:[1 0 2] n_offset:6 "
                  "n_buckets:[1]}}\n"));
}

TEST(otlp_delta_streams_are_bounded_and_forgotten)
{
    struct clock clock = clock_fake(T0);
    OWNED(otlp_delta_free)
    struct otlp_delta *d = otlp_delta_new(
        &(struct otlp_delta_options){ .clock = &clock, .streams_max = 2, .stale_ms = 1000 });
    OWNED(arena_fini) struct arena a = { 0 };
    struct otlp_point p = { .time_ns = 5, .kind = OTLP_NUMBER_INT, .i = 1, .value = 1 }, out;
    struct err e = { 0 };

    CHECK(otlp_delta_add(d, (struct hash128){ 1, 0 }, OTLP_SUM, &p, &a, &out, &e));
    CHECK(otlp_delta_add(d, (struct hash128){ 1, 1 }, OTLP_SUM, &p, &a, &out, &e));
    CHECK(!otlp_delta_add(d, (struct hash128){ 1, 2 }, OTLP_SUM, &p, &a, &out, &e));
    CHECK(e.kind == ERR_LIMIT && otlp_delta_streams(d) == 2);
    clock.fake_ms += 1500;
    CHECK(otlp_delta_add(d, (struct hash128){ 1, 2 }, OTLP_SUM, &p, &a, &out, &e));
    CHECK(otlp_delta_streams(d) == 1 && out.i == 1);
    p = (struct otlp_point){ .time_ns = 6, .kind = OTLP_NUMBER_DOUBLE, .value = 0.5 };
    CHECK(otlp_delta_add(d, (struct hash128){ 1, 2 }, OTLP_SUM, &p, &a, &out, &e));
    CHECK(out.kind == OTLP_NUMBER_DOUBLE && out.value == 1.5);
}

// Buckets far apart merge instead of taking memory.
TEST(otlp_delta_exponential_histograms_stay_small)
{
    struct clock clock = clock_fake(T0);
    OWNED(otlp_delta_free)
    struct otlp_delta *d = otlp_delta_new(&(struct otlp_delta_options){ .clock = &clock });
    OWNED(arena_fini) struct arena a = { 0 };
    static const uint64_t one[] = { 1 };
    struct otlp_point p = { .time_ns = 5, .count = 1, .scale = 20 }, out;
    struct err e = { 0 };

    p.pos = (struct otlp_buckets){ .offset = INT32_MIN, .count = one, .n = 1 };
    CHECK(otlp_delta_add(d, (struct hash128){ 1, 0 }, OTLP_EXP_HISTOGRAM, &p, &a, &out, &e));
    p.pos.offset = INT32_MAX;
    p.time_ns = 6;
    CHECK(otlp_delta_add(d, (struct hash128){ 1, 0 }, OTLP_EXP_HISTOGRAM, &p, &a, &out, &e));
    CHECK(out.count == 2 && out.pos.n <= 160 && out.scale < 0);
}
