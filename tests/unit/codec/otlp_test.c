// otlp_test.c - OTLP: the envelope, values as text, metrics; protobuf and JSON say the same.
// SPDX-License-Identifier: Apache-2.0
#include "codec/otlp.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "codec/otlp_metrics.h"
#include "codec/proto.h"
#include "test.h"

/* ---- a request as text, one line for each thing ---- */

struct listing {
    struct arena arena;
    struct buf out;
    struct otlp_metric metric;
};

static void listing_fini(struct listing *l)
{
    arena_fini(&l->arena);
    buf_fini(&l->out);
}
OWN_DEFINE_FINI(struct listing, listing_fini)

static void put_attrs(struct buf *b, struct otlp_attrs attrs)
{
    buf_char(b, '{');
    for (size_t i = 0; i < attrs.n; i++) {
        buf_printf(b, "%s%.*s=", i ? "," : "", STRF(attrs.v[i].key));
        buf_otlp_value(b, &attrs.v[i].value);
    }
    buf_char(b, '}');
}

static bool on_resource(void *ctx, const struct otlp_resource *r, struct err *e)
{
    struct listing *l = ctx;

    (void)e;
    buf_lit(&l->out, "resource ");
    put_attrs(&l->out, r->attrs);
    buf_printf(&l->out, " %.*s\n", STRF(r->schema_url));
    return true;
}

static bool on_scope(void *ctx, const struct otlp_scope *s, struct err *e)
{
    struct listing *l = ctx;

    (void)e;
    buf_printf(&l->out, "scope %.*s %.*s ", STRF(s->name), STRF(s->version));
    put_attrs(&l->out, s->attrs);
    buf_printf(&l->out, " %.*s\n", STRF(s->schema_url));
    return true;
}

static void put_side(struct buf *b, const char *name, const struct otlp_buckets *side)
{
    if (!side->n)
        return;
    buf_printf(b, " %s@%d[", name, side->offset);
    for (size_t i = 0; i < side->n; i++)
        buf_printf(b, "%s%llu", i ? " " : "", (unsigned long long)side->count[i]);
    buf_char(b, ']');
}

static void put_exemplar(struct buf *b, const struct otlp_exemplar *x)
{
    buf_printf(b, " exemplar(%d ", x->kind);
    buf_double_g(b, x->value);
    buf_printf(b, " @%llu trace %zu:", (unsigned long long)x->time_ns, x->trace_id.n);
    for (size_t i = 0; i < x->trace_id.n; i++)
        buf_printf(b, "%02x", (unsigned char)x->trace_id.p[i]);
    buf_printf(b, " span %zu ", x->span_id.n);
    put_attrs(b, x->attrs);
    buf_char(b, ')');
}

static bool on_point(void *ctx, const struct otlp_point *p, struct err *e)
{
    struct listing *l = ctx;
    struct buf *b = &l->out;
    struct otlp_attrs attrs;

    if (!otlp_point_attrs(p, &l->arena, &attrs, e))
        return false;
    buf_lit(b, "  ");
    put_attrs(b, attrs);
    buf_printf(b, " %llu..%llu", (unsigned long long)p->start_ns, (unsigned long long)p->time_ns);
    if (p->flags)
        buf_printf(b, " flags %u", p->flags);
    if (p->kind) {
        buf_lit(b, " value ");
        buf_double_g(b, p->value);
        buf_printf(b, " %s", p->kind == OTLP_NUMBER_INT ? "int" : "double");
    }
    if (p->count)
        buf_printf(b, " count %llu", (unsigned long long)p->count);
    if (p->has_sum) {
        buf_lit(b, " sum ");
        buf_double_g(b, p->sum);
    }
    if (p->scale || p->zero_count)
        buf_printf(b, " scale %d zero %llu", p->scale, (unsigned long long)p->zero_count);
    put_side(b, "pos", &p->pos);
    put_side(b, "neg", &p->neg);
    for (size_t i = 0; i < p->bound_n; i++) {
        buf_lit(b, " le ");
        buf_double_g(b, p->bound[i]);
    }
    for (size_t i = 0; i < p->quantile_n; i++) {
        buf_lit(b, " q ");
        buf_double_g(b, p->quantile[i].quantile);
        buf_char(b, '=');
        buf_double_g(b, p->quantile[i].value);
    }
    for (size_t i = 0; i < p->exemplar_n; i++)
        put_exemplar(b, &p->exemplar[i]);
    buf_char(b, '\n');
    return true;
}

static bool on_item(void *ctx, const struct otlp_item *item, struct err *e)
{
    struct listing *l = ctx;
    struct otlp_metric m;

    if (!otlp_metric_read(item, &m, e))
        return false;
    buf_printf(&l->out, "metric %.*s '%.*s' %.*s kind %d temporality %d%s points %d\n",
               STRF(m.name), STRF(m.description), STRF(m.unit), m.kind, m.temporality,
               m.monotonic ? " monotonic" : "", (int)otlp_metric_point_count(&m));
    return otlp_metric_points(&m, &l->arena, on_point, l, e);
}

static bool on_end(void *ctx, struct err *e)
{
    struct listing *l = ctx;

    (void)e;
    buf_lit(&l->out, "end\n");
    return true;
}

static bool list(struct listing *l, bool json, struct str request, struct err *e)
{
    const struct otlp_walk w = { .signal = OTLP_METRICS,
                                 .arena = &l->arena,
                                 .ctx = l,
                                 .resource = on_resource,
                                 .scope = on_scope,
                                 .item = on_item,
                                 .resource_end = on_end };

    return json ? otlp_walk_json(&w, request, e) : otlp_walk_proto(&w, request, e);
}

/* ---- a request with everything, in protobuf ---- */

static void put_text_attr(struct buf *b, uint32_t number, const char *key, const char *value)
{
    size_t attr = proto_begin(b, number);

    proto_put_bytes(b, 1, str_c(key));
    size_t v = proto_begin(b, 2);
    proto_put_bytes(b, 1, str_c(value));
    proto_end(b, v);
    proto_end(b, attr);
}

static void put_times(struct buf *b)
{
    proto_put_fixed64(b, 2, 1000);
    proto_put_fixed64(b, 3, 2000);
}

static void put_exemplar_message(struct buf *b, uint32_t number)
{
    size_t x = proto_begin(b, number);

    proto_put_fixed64(b, 2, 1500);
    proto_put_double(b, 3, 0.25);
    proto_put_bytes(b, 4, STR("12345678"));
    proto_put_bytes(b, 5, STR("0123456789abcdef"));
    put_text_attr(b, 7, "k", "v");
    proto_end(b, x);
}

static void put_number(struct buf *b, uint32_t kind, bool exemplar)
{
    size_t metric = proto_begin(b, 2);

    proto_put_bytes(b, 1, STR("m"));
    proto_put_bytes(b, 2, STR("help"));
    proto_put_bytes(b, 3, STR("By"));
    size_t data = proto_begin(b, kind);
    size_t p = proto_begin(b, 1);
    put_text_attr(b, 7, "a", "1");
    put_times(b);
    proto_put_fixed64(b, 6, (uint64_t)-5);
    if (exemplar)
        put_exemplar_message(b, 5);
    proto_end(b, p);
    p = proto_begin(b, 1);
    put_times(b);
    proto_put_double(b, 4, 1.5);
    proto_put_varint(b, 8, 1);
    proto_end(b, p);
    if (kind == 7) {
        proto_put_varint(b, 2, 2);
        proto_put_varint(b, 3, 1);
    }
    proto_end(b, data);
    proto_end(b, metric);
}

static void put_histogram(struct buf *b, bool packed)
{
    size_t metric = proto_begin(b, 2);
    size_t list;

    proto_put_bytes(b, 1, STR("h"));
    size_t data = proto_begin(b, 9);
    size_t p = proto_begin(b, 1);
    put_times(b);
    proto_put_fixed64(b, 4, 6);
    proto_put_double(b, 5, 12.5);
    if (packed) {
        list = proto_begin(b, 6);
        for (uint64_t i = 1; i <= 3; i++)
            buf_le64(b, i);
        proto_end(b, list);
        list = proto_begin(b, 7);
        buf_le64(b, double_bits(1));
        buf_le64(b, double_bits(2.5));
        proto_end(b, list);
    } else {
        for (uint64_t i = 1; i <= 3; i++)
            proto_put_fixed64(b, 6, i);
        proto_put_double(b, 7, 1);
        proto_put_double(b, 7, 2.5);
    }
    put_exemplar_message(b, 8);
    put_text_attr(b, 9, "a", "1");
    proto_put_double(b, 11, 0.1);
    proto_end(b, p);
    proto_put_varint(b, 2, 1);
    proto_end(b, data);
    proto_end(b, metric);
}

static void put_exponential(struct buf *b, bool packed)
{
    size_t metric = proto_begin(b, 2);

    proto_put_bytes(b, 1, STR("e"));
    size_t data = proto_begin(b, 10);
    size_t p = proto_begin(b, 1);
    put_times(b);
    proto_put_fixed64(b, 4, 308);
    proto_put_sint(b, 6, -2);
    proto_put_fixed64(b, 7, 4);
    size_t side = proto_begin(b, 8);
    proto_put_sint(b, 1, -3);
    if (packed) {
        size_t list = proto_begin(b, 2);
        buf_varint(b, 1);
        buf_varint(b, 300);
        proto_end(b, list);
    } else {
        proto_put_varint(b, 2, 1);
        proto_put_varint(b, 2, 300);
    }
    proto_end(b, side);
    side = proto_begin(b, 9);
    proto_put_varint(b, 2, 3);
    proto_end(b, side);
    proto_end(b, p);
    proto_put_varint(b, 2, 2);
    proto_end(b, data);
    proto_end(b, metric);
}

static void put_summary(struct buf *b)
{
    size_t metric = proto_begin(b, 2);

    proto_put_bytes(b, 1, STR("s"));
    size_t data = proto_begin(b, 11);
    size_t p = proto_begin(b, 1);
    put_times(b);
    proto_put_fixed64(b, 4, 2);
    proto_put_double(b, 5, 3);
    size_t q = proto_begin(b, 6);
    proto_put_double(b, 1, 0.5);
    proto_put_double(b, 2, 1.25);
    proto_end(b, q);
    proto_end(b, p);
    proto_end(b, data);
    proto_end(b, metric);
}

// The fields in the reverse of the usual order: resource and scope stand behind their items.
static void put_request(struct buf *b, bool packed)
{
    size_t resource_metrics = proto_begin(b, 1);
    size_t scope_metrics = proto_begin(b, 2);

    put_number(b, 5, false);
    put_number(b, 7, true);
    put_histogram(b, packed);
    put_exponential(b, packed);
    put_summary(b);
    size_t empty = proto_begin(b, 2); // a metric without data
    proto_put_bytes(b, 1, STR("none"));
    proto_end(b, empty);
    size_t scope = proto_begin(b, 1);
    proto_put_bytes(b, 1, STR("lib"));
    proto_put_bytes(b, 2, STR("1.0"));
    put_text_attr(b, 3, "sa", "sv");
    proto_end(b, scope);
    proto_put_bytes(b, 3, STR("urn:scope"));
    proto_end(b, scope_metrics);
    proto_put_varint(b, 999, 1); // unknown
    size_t resource = proto_begin(b, 1);
    put_text_attr(b, 1, "service.name", "shop");
    proto_end(b, resource);
    proto_put_bytes(b, 3, STR("urn:resource"));
    proto_end(b, resource_metrics);
}

static const char listed[] =
    "resource {service.name=shop} urn:resource\n"
    "scope lib 1.0 {sa=sv} urn:scope\n"
    "metric m 'help' By kind 1 temporality 0 points 2\n"
    "  {a=1} 1000..2000 value -5 int\n"
    "  {} 1000..2000 flags 1 value 1.5 double\n"
    "metric m 'help' By kind 2 temporality 2 monotonic points 2\n"
    "  {a=1} 1000..2000 value -5 int exemplar(2 0.25 @1500 trace "
    "16:30313233343536373839616263646566 span 8 {k=v})\n"
    "  {} 1000..2000 flags 1 value 1.5 double\n"
    "metric h ''  kind 3 temporality 1 points 1\n"
    "  {a=1} 1000..2000 count 6 sum 12.5 pos@0[1 2 3] le 1 le 2.5 exemplar(2 0.25 @1500 trace "
    "16:30313233343536373839616263646566 span 8 {k=v})\n"
    "metric e ''  kind 4 temporality 2 points 1\n"
    "  {} 1000..2000 count 308 scale -2 zero 4 pos@-3[1 300] neg@0[3]\n"
    "metric s ''  kind 5 temporality 0 points 1\n"
    "  {} 1000..2000 count 2 sum 3 q 0.5=1.25\n"
    "metric none ''  kind 0 temporality 0 points 0\n"
    "end\n";

TEST(otlp_reads_all_of_protobuf)
{
    for (int packed = 0; packed < 2; packed++) {
        OWNED(listing_fini) struct listing l = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };

        put_request(&b, packed);
        CHECK_OK(list(&l, false, buf_view(&b), &e), &e);
        CHECK_STR(buf_view(&l.out), str_c(listed));
    }
}

/* ---- the same in JSON ---- */

#define TIMES            "\"startTimeUnixNano\":\"1000\",\"timeUnixNano\":2000"
#define ATTR(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define EXEMPLAR                                                                        \
    "{\"timeUnixNano\":\"1500\",\"asDouble\":\"0.25\",\"spanId\":\"3132333435363738\"," \
    "\"traceId\":"                                                                      \
    "\"30313233343536373839616263646566\",\"filteredAttributes\":[" ATTR("k", "v") "]}"
#define POINTS(x)                                                                       \
    "\"dataPoints\":[{\"attributes\":[" ATTR("a", "1") "]," TIMES ",\"asInt\":\"-5\"" x \
                                                       "},{" TIMES                      \
                                                       ",\"asDouble\":1.5,\"flags\":1}]"

static const char json[] =
    "{\"unknown\":[],\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":["
    "{\"name\":\"m\",\"description\":\"help\",\"unit\":\"By\",\"gauge\":{" POINTS(
        "") "}},"
            "{\"name\":\"m\",\"description\":\"help\",\"unit\":\"By\",\"sum\":{" POINTS(
                ",\"exemplars\":[" EXEMPLAR
                "]") ",\"aggregationTemporality\":"
                     "\"AGGREGATION_TEMPORALITY_CUMULATIVE\",\"isMonotonic\":true}},"
                     "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":1,\"dataPoints\":[{"
                     "\"attributes\":"
                     "[" ATTR(
                         "a",
                         "1") "]," TIMES
                              ",\"count\":\"6\",\"sum\":12.5,\"bucketCounts\":[\"1\",2,\"3\"],"
                              "\"explicitBounds\":[1,\"2.5\"],\"min\":null,\"exemplars\":[" EXEMPLAR
                              "]}]}},"
                              "{\"name\":\"e\",\"exponential_histogram\":{\"aggregation_"
                              "temporality\":2,\"data_points\":[{"
                              "\"start_time_unix_nano\":1e3,\"time_unix_nano\":\"2000\",\"count\":"
                              "308,\"scale\":-2,"
                              "\"zero_count\":\"4\",\"positive\":{\"offset\":-3,\"bucket_counts\":["
                              "\"1\",\"300\"]},"
                              "\"negative\":{\"bucketCounts\":[3]}}]}},"
                              "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" TIMES
                              ",\"count\":\"2\",\"sum\":3,"
                              "\"quantileValues\":[{\"quantile\":0.5,\"value\":1.25}]}]}},"
                              "{\"name\":\"none\"}],"
                              "\"scope\":{\"name\":\"lib\",\"version\":\"1.0\",\"attributes\":"
                              "[" ATTR("sa", "sv") "]},"
                                                   "\"schemaUrl\":\"urn:scope\"}],"
                                                   "\"resource\":{\"attributes\":[" ATTR(
                                                       "service.name",
                                                       "shop") "]},"
                                                               "\"schemaUrl\":\"urn:resource\"}]}";

TEST(otlp_json_says_the_same)
{
    OWNED(listing_fini) struct listing l = { 0 };
    struct err e = { 0 };

    CHECK_OK(list(&l, true, str_c(json), &e), &e);
    CHECK_STR(buf_view(&l.out), str_c(listed));
}

TEST(otlp_json_refuses)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "", "" },
        { "[]", "expected an object for the request" },
        { "{\"resourceMetrics\":{}}", "expected a list for resourceMetrics" },
        { "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[1]}]}]}", "expected objects" },
        { "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":1}]}}]}",
          "expected an object such as" },
        { "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{"
          "\"intValue\":\"1.5\"}}]}}]}",
          "expected an integer for intValue" },
        { "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":[{"
          "\"timeUnixNano\":-1}]}}]}]}]}",
          "expected an unsigned integer for timeUnixNano" },
        { "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{\"dataPoints\":[{"
          "\"exemplars\":[{\"traceId\":\"xyz\"}]}]}}]}]}]}",
          "expected an id in hex for traceId" },
    };

    FOR_CASES (t, cases) {
        OWNED(listing_fini) struct listing l = { 0 };
        struct err e = { 0 };

        CHECK(!list(&l, true, str_c(t->text), &e));
        CHECK_F(strstr(e.text, t->error), "%s: %s", t->text, e.text);
    }
}

// Attributes in one piece are left as they are; else they are read at once.
TEST(otlp_attributes_together_or_apart)
{
    for (int apart = 0; apart < 2; apart++) {
        OWNED(listing_fini) struct listing l = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };
        size_t marks[5];

        for (int i = 0; i < 2; i++)
            marks[i] = proto_begin(&b, (uint32_t)i + 1);
        marks[2] = proto_begin(&b, 2);
        marks[3] = proto_begin(&b, 5);
        marks[4] = proto_begin(&b, 1);
        put_text_attr(&b, 7, "a", "1");
        if (apart)
            put_times(&b);
        put_text_attr(&b, 7, "b", "2");
        if (!apart)
            put_times(&b);
        for (int i = 5; i-- > 0;)
            proto_end(&b, marks[i]);
        CHECK_OK(list(&l, false, buf_view(&b), &e), &e);
        CHECK(str_find(buf_view(&l.out), STR("  {a=1,b=2} 1000..2000\n")) != STR_NPOS);
    }
}

// Every cut of a good message is told or read in part, never read beyond its end (ASan).
TEST(otlp_protobuf_cut_anywhere)
{
    OWNED(buf_fini) struct buf b = { 0 };
    int refused = 0;

    put_request(&b, true);
    for (size_t n = 0; n < b.n; n++) {
        OWNED(listing_fini) struct listing l = { 0 };
        OWNED(buf_fini) struct buf cut = { 0 };
        struct err e = { 0 };

        buf_bytes(&cut, b.p, n);
        refused += !list(&l, false, buf_view(&cut), &e);
    }
    CHECK(refused == (int)b.n - 1); // all but the empty one: the envelope is one field
}

/* ---- values ---- */

TEST(otlp_values_as_text)
{
    static const struct otlp_value items[] = { { .kind = OTLP_INT, .i = -3 },
                                               { .kind = OTLP_STRING, .s = { "x\"", 2 } },
                                               { .kind = OTLP_EMPTY } };
    static const struct otlp_attr pairs[] = {
        { { "b", 1 }, { .kind = OTLP_BOOL, .b = true } },
        { { "a", 1 }, { .kind = OTLP_ARRAY, .n = 3, .items = items } },
        { { "b", 1 }, { .kind = OTLP_BYTES, .s = { "hi!", 3 } } },
    };
    static const struct {
        struct otlp_value v;
        const char *text;
    } cases[] = {
        { { .kind = OTLP_EMPTY }, "" },
        { { .kind = OTLP_STRING, .s = { "as is", 5 } }, "as is" },
        { { .kind = OTLP_BOOL }, "false" },
        { { .kind = OTLP_INT, .i = INT64_MIN }, "-9223372036854775808" },
        { { .kind = OTLP_DOUBLE, .d = 1 }, "1" },
        { { .kind = OTLP_DOUBLE, .d = 0.1 }, "0.1" },
        { { .kind = OTLP_DOUBLE, .d = 1e-7 }, "1e-7" },
        { { .kind = OTLP_DOUBLE, .d = 1e21 }, "1e+21" },
        { { .kind = OTLP_DOUBLE, .d = INFINITY }, "json: unsupported value: +Inf" },
        { { .kind = OTLP_BYTES, .s = { "hi!", 3 } }, "aGkh" },
        { { .kind = OTLP_ARRAY, .n = 3, .items = items }, "[-3,\"x\\\"\",null]" },
        { { .kind = OTLP_MAP, .n = 3, .map = pairs },
          "{\"a\":[-3,\"x\\\"\",null],\"b\":\"aGkh\"}" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };

        CHECK_STR(otlp_value_text(&a, &t->v), str_c(t->text));
    }
}

TEST(otlp_values_are_bounded)
{
    OWNED(listing_fini) struct listing l = { 0 };
    OWNED(buf_fini) struct buf deep = { 0 }, wide = { 0 };
    struct err e = { 0 };
    size_t marks[128], n = 0;

    marks[n++] = proto_begin(&deep, 1);
    marks[n++] = proto_begin(&deep, 1);
    marks[n++] = proto_begin(&deep, 1);
    marks[n++] = proto_begin(&deep, 2);
    for (int i = 0; i < 40; i++) {
        marks[n++] = proto_begin(&deep, 5);
        marks[n++] = proto_begin(&deep, 1);
    }
    while (n)
        proto_end(&deep, marks[--n]);
    CHECK(!list(&l, false, buf_view(&deep), &e) && e.kind == ERR_LIMIT);

    size_t resource_metrics = proto_begin(&wide, 1), resource = proto_begin(&wide, 1);
    for (int i = 0; i < OTLP_NODES_MAX + 1; i++)
        proto_put_bytes(&wide, 1, STR_NONE);
    proto_end(&wide, resource);
    proto_end(&wide, resource_metrics);
    CHECK(!list(&l, false, buf_view(&wide), &e) && e.kind == ERR_LIMIT);
    CHECK(l.arena.taken_bytes < 32 << 20);
}

/* ---- answers ---- */

TEST(otlp_answers)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_otlp_response(&b, OTLP_METRICS, false, 0, STR_NONE);
    CHECK(b.n == 0);
    buf_otlp_response(&b, OTLP_METRICS, true, 0, STR_NONE);
    CHECK_STR(buf_view(&b), STR("{}"));
    buf_reset(&b);
    buf_otlp_response(&b, OTLP_LOGS, true, 3, STR("why"));
    CHECK_STR(buf_view(&b), STR("{\"partialSuccess\":{\"rejectedLogRecords\":\"3\","
                                "\"errorMessage\":\"why\"}}"));
    buf_reset(&b);
    buf_otlp_response(&b, OTLP_METRICS, false, 3, STR("why"));
    CHECK_STR(buf_view(&b), STR("\x0a\x07\x08\x03\x12\x03why"));
    buf_reset(&b);
    buf_otlp_status(&b, true, 3, STR("bad"));
    CHECK_STR(buf_view(&b), STR("{\"code\":3,\"message\":\"bad\"}"));
}
