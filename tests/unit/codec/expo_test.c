// expo_test.c - pages in the three formats: events, refusals, decoding, and the known series.
// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/expo.h"
#include "codec/json.h"
#include "codec/proto.h"

/* ---- a page as text: one line per event ---- */

static void put_labels(struct buf *b, const struct expo_labels *ls)
{
    for (size_t i = 0; i < ls->n; i++)
        buf_printf(b, "%s%.*s=%.*s", i ? "," : "", STRF(ls->v[i].name), STRF(ls->v[i].value));
}

static void put_exemplars(struct buf *b, enum expo_format format, const struct expo_event *ev)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct expo_labels ls;
    struct err e = { 0 };

    for (uint32_t i = 0; i < ev->exemplars; i++) {
        const struct expo_exemplar *ex = &ev->exemplar[i];

        CHECK_OK(expo_exemplar_decode(format, ex->raw, &a, &ls, &e), &e);
        buf_lit(b, " #{");
        put_labels(b, &ls);
        buf_printf(b, "}%g", ex->value);
        if (ex->has_time)
            buf_printf(b, "@%lld", (long long)ex->t_ms);
    }
}

static void put_side(struct buf *b, const char *name, const struct expo_hist_side *s)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < s->spans; i++) {
        buf_printf(b, " %s%+d", name, s->span[i].offset);
        for (uint32_t k = 0; k < s->span[i].length; k++)
            buf_printf(b, "%c%g", k ? ',' : ':', s->count[at++]);
    }
    CHECK(at == s->buckets);
}

static void put_native(struct buf *b, const struct expo_histogram *h)
{
    buf_printf(b, " schema=%d%s%s zero=%g/%g count=%g sum=%g", h->schema, h->integer ? " int" : "",
               h->gauge ? " gauge" : "", h->zero_count, h->zero_threshold, h->count, h->sum);
    put_side(b, "n", &h->neg);
    put_side(b, "p", &h->pos);
}

static void put_event(struct buf *b, enum expo_format format, const struct expo_event *ev)
{
    static const char *const kinds[] = { "", "", "TYPE", "HELP", "UNIT" };
    OWNED(arena_fini) struct arena a = { 0 };
    struct expo_labels ls;
    struct err e = { 0 };

    if (ev->kind >= EXPO_META_TYPE) {
        buf_printf(b, "%s %.*s ", kinds[ev->kind], STRF(ev->name));
        if (ev->kind == EXPO_META_TYPE)
            buf_printf(b, "%d\n", (int)ev->type);
        else
            buf_printf(b, "%.*s\n", STRF(ev->text));
        return;
    }
    if (!expo_series_decode(format, ev->type, ev->series, &a, &ls, &e)) {
        buf_printf(b, "! %s\n", e.text);
        return;
    }
    put_labels(b, &ls);
    if (ev->kind == EXPO_NATIVE)
        put_native(b, ev->hist);
    else
        buf_printf(b, " %.17g", ev->value);
    if (ev->has_time)
        buf_printf(b, " @%lld", (long long)ev->t_ms);
    if (ev->start_ms)
        buf_printf(b, " start=%lld", (long long)ev->start_ms);
    put_exemplars(b, format, ev);
    buf_char(b, '\n');
}

struct page {
    struct buf text; // of the events, then of the error
    VEC(struct expo_known) known;
    size_t hits;
    bool ok;
    struct err e;
};

static void page_fini(struct page *p)
{
    buf_fini(&p->text);
    vec_fini(&p->known);
}
OWN_DEFINE_FINI(struct page, page_fini)

static void page_read(struct page *p, struct expo_options o, struct str body)
{
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_event ev;
    int got;

    expo_start(x, &o, body);
    while ((got = expo_next(x, &ev, &p->e)) > 0) {
        put_event(&p->text, o.format, &ev);
        if (ev.kind >= EXPO_META_TYPE)
            continue;
        p->hits += ev.slot != EXPO_SLOT_NONE;
        struct expo_known k = { ev.hash, (uint32_t)ev.series.n, (uint32_t)p->known.n };
        *vec_push(&p->known) = k;
    }
    p->ok = got == 0;
    if (!p->ok)
        buf_printf(&p->text, "%u:%u %s", p->e.pos.line, p->e.pos.col, p->e.text);
}

/* Reads the page cold, then with what it held as known: the events are the same, and all are hits. */
static void page_read_twice(struct page *p, struct expo_options o, struct str body)
{
    OWNED(page_fini) struct page warm = { 0 };

    page_read(p, o, body);
    o.known = p->known.v;
    o.known_n = p->known.n;
    page_read(&warm, o, body);
    CHECK_STR(buf_view(&warm.text), buf_view(&p->text));
    CHECK(warm.ok == p->ok);
    CHECK_F(warm.hits == p->known.n, "%zu of %zu known", warm.hits, p->known.n);
}

struct page_case {
    const char *in, *want;
};

static void check_pages(enum expo_format format, bool start, const struct page_case *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        OWNED(page_fini) struct page p = { 0 };

        page_read_twice(&p, (struct expo_options){ .format = format, .created_is_start = start },
                        str_c(v[i].in));
        CHECK_F(str_eq_c(buf_view(&p.text), v[i].want), "%s\ngot:\n%.*s\nwant:\n%s", v[i].in,
                STRF(buf_view(&p.text)), v[i].want);
    }
}

/* ---- text ---- */

TEST(text_pages)
{
    static const struct page_case cases[] = {
        { "", "" },
        { "a 1", "__name__=a 1\n" },
        { "\n \t\n a 1\n\n", "__name__=a 1\n" },
        { "a:b_9{} 1 \n", "__name__=a:b_9 1\n" },
        { "a-1\n", "__name__=a -1\n" }, // the name ends where the value can begin
        { "a{b=\"c\"}1", "__name__=a,b=c 1\n" },
        { "store {path=\"/t\"} 6\nstore{ a = \"b\" , } 7\nstore \t {x=\"y\" z=\"\"} 8\n",
          "__name__=store,path=/t 6\n__name__=store,a=b 7\n__name__=store,x=y,z= 8\n" },
        { "a 1 123\na 2\t-\n", "__name__=a 1 @123\n2:5 expected timestamp or new record, got \"-\" "
                               "(\"INVALID\") while parsing: \"a 2\\t-\"" },
        { "a +Inf\na -inf\na infinity\n", "__name__=a inf\n__name__=a -inf\n__name__=a inf\n" },
        { "a 1e2\na .5\na 5.\na -0\na 0.1\na 12345678901234567\na 1e-7\na 1E3\na +7",
          "__name__=a 100\n__name__=a 0.5\n__name__=a 5\n__name__=a -0\n"
          "__name__=a 0.10000000000000001\n__name__=a 12345678901234568\n"
          "__name__=a 9.9999999999999995e-08\n__name__=a 1000\n__name__=a 7\n" },
        { "a{b=\"x\\\\y\\\"z\\n\\q\"} 1\n", "__name__=a,b=x\\y\"z\n\\q 1\n" },
        { "a{b=\"two\nlines\"} 1\nb 2", "__name__=a,b=two\nlines 1\n__name__=b 2\n" },
        { "{\"my.metric\", \"a.b\"=\"c\"} 1\n{x=\"1\",\"é\"} 2\n",
          "__name__=my.metric,a.b=c 1\n__name__=é,x=1 2\n" },
        { "# a comment\n#b\n#\n# HELP\n# HELPer x\na 1\n", "__name__=a 1\n" },
        { "# HELP a  two\\\\\\n\\\"x\n# TYPE a counter\na 1\n#\tTYPE \"b.c\" gauge",
          "HELP a  two\\\n\\\"x\nTYPE a 1\n__name__=a 1\nTYPE b.c 2\n" },
        { "# HELP a\n# HELP b  \n", "HELP a \nHELP b \n" },
        { "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh{quantile=\"1\"} 3\n"
          "# TYPE s summary\ns{quantile=\"1\",le=\"5\"} 1\ns{quantile=\"0.50\"} 2\n"
          "# TYPE s gauge\ns{quantile=\"1\"} 1\n",
          "TYPE h 3\n__name__=h_bucket,le=1.0 1\n__name__=h_bucket,le=+Inf 2\n"
          "__name__=h,quantile=1 3\nTYPE s 5\n__name__=s,quantile=1.0,le=5 1\n"
          "__name__=s,quantile=0.5 2\nTYPE s 2\n__name__=s,quantile=1 1\n" },
        { "a 1\n\0garbage", "__name__=a 1\n" },
    };

    check_pages(EXPO_TEXT, false, cases, ARRAY_LEN(cases));
}

TEST(text_refusals)
{
    static const struct page_case cases[] = {
        { "a",
          "1:2 expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\"" },
        { "ok 1\na 1\r\n",
          "__name__=ok 1\n2:3 strconv.ParseFloat: parsing \"1\\r\": invalid syntax "
          "while parsing: \"a 1\\r\"" },
        { "a 1e999\n",
          "1:3 strconv.ParseFloat: parsing \"1e999\": value out of range while parsing: "
          "\"a 1e999\"" },
        { "a 1 99999999999999999999\n", "1:5 strconv.ParseInt: parsing \"99999999999999999999\": "
                                        "value out of range while parsing: "
                                        "\"a 1 99999999999999999999\"" },
        { "a 1 2 3\n",
          "1:7 expected next entry after timestamp, got \"3\\n\" (\"TIMESTAMP\") while "
          "parsing: \"a 1 2 3\\n\"" },
        { "# TYPE a what\n", "1:9 invalid metric type \"what\"" },
        { "# TYPE a counter \n", "1:9 invalid metric type \"counter \"" },
        { "a{\"b\"} 1\n", "1:6 metric name already set while parsing: \"a{\\\"b\\\"}\"" },
        { "a{b=\"open",
          "1:5 expected label value, got \"\\\"open\\n\" (\"INVALID\") while parsing: "
          "\"a{b=\\\"open\\n\"" },
        { "a{,} 1\n", "1:3 expected label name, got \",}\" (\"COMMA\") while parsing: \"a{,}\"" },
        { "é 1\n", "1:1 expected a valid start token, got \"\\xc3\" (\"INVALID\") while parsing: "
                   "\"\\xc3\"" },
    };

    check_pages(EXPO_TEXT, false, cases, ARRAY_LEN(cases));
}

TEST(nan_is_the_ordinary_one)
{
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_event ev;
    struct err e;

    expo_start(x, &(struct expo_options){ .format = EXPO_TEXT }, STR("a NaN\na -1\n"));
    CHECK(expo_next(x, &ev, &e) == 1);
    CHECK(double_bits(ev.value) == UINT64_C(0x7ff8000000000001));
}

/* ---- OpenMetrics ---- */

TEST(openmetrics_pages)
{
    static const struct page_case cases[] = {
        { "# TYPE a counter\n# UNIT a_s s\n# HELP a x\\\"\\n\na_total{x=\"1\"} 5 1.5 # "
          "{t=\"\\\"u\"} "
          "2 3.25\na_created 7\n# EOF",
          "TYPE a 1\nUNIT a_s s\nHELP a x\"\n\n__name__=a_total,x=1 5 @1500 #{t=\"u}2@3250\n"
          "__name__=a_created 7\n" },
        { "a 1 # {} 1e1\n# EOF\n", "__name__=a 1 #{}10\n" },
        { "# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"a\"} 0\n# TYPE g "
          "gaugehistogram\n"
          "g_bucket{le=\"1\"} 2\n# TYPE u unknown\nu -1\n# EOF\n",
          "TYPE i 6\n__name__=i_info,v=1 1\nTYPE s 7\n__name__=s,s=a 0\nTYPE g 4\n"
          "__name__=g_bucket,le=1 2\nTYPE u 0\n__name__=u -1\n" },
        { "{\"a.b\",c=\"d\"} 1\n# TYPE \"a.b\" gauge\n# EOF\n",
          "__name__=a.b,c=d 1\nTYPE a.b 2\n" },
        { "a 1\n", "__name__=a 1\n2:1 data does not end with # EOF" },
        { "a 1 \n# EOF\n",
          "1:5 expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: "
          "\"\\n\"" },
        { "a  1\n# EOF\n",
          "1:2 expected value after metric, got \"  \" (\"INVALID\") while parsing: "
          "\"a  \"" },
        { "a{b=\"x\" c=\"y\"} 1\n# EOF\n",
          "1:8 expected comma or brace close, got \" \" (\"INVALID\") "
          "while parsing: \"a{b=\\\"x\\\" \"" },
        { "a{b=\"x\ny\"} 1\n# EOF\n",
          "1:5 expected label value, got \"\\\"x\\n\" (\"INVALID\") while "
          "parsing: \"a{b=\\\"x\\n\"" },
    };

    check_pages(EXPO_OPENMETRICS, false, cases, ARRAY_LEN(cases));
}

TEST(openmetrics_created_lines_give_start_times)
{
    static const struct page_case cases[] = {
        { "# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 1.5\na_total{x=\"2\"} 6\n"
          "a_total{x=\"3\"} 7\na_created{x=\"3\"} 2\n# EOF\n",
          "TYPE a 1\n__name__=a_total,x=1 5 start=1500\n__name__=a_total,x=2 6\n"
          "__name__=a_total,x=3 7 start=2000\n" },
        { "# TYPE h histogram\nh_bucket{le=\"+Inf\",p=\"q\"} 1\nh_count{p=\"q\"} 1\nh_sum{p=\"q\"} "
          "2\n"
          "h_created{p=\"q\"} 9\n# TYPE g gauge\ng_created 4\n# EOF\n",
          "TYPE h 3\n__name__=h_bucket,le=+Inf,p=q 1 start=9000\n__name__=h_count,p=q 1 "
          "start=9000\n"
          "__name__=h_sum,p=q 2 start=9000\nTYPE g 2\n__name__=g_created 4\n" },
        // a line of another family is not looked at
        { "# TYPE a counter\na_total 1\n# TYPE b counter\nb_created 3\n# EOF\n",
          "TYPE a 1\n__name__=a_total 1\nTYPE b 1\n" },
    };

    check_pages(EXPO_OPENMETRICS, true, cases, ARRAY_LEN(cases));
}

/* ---- protobuf ---- */

static void put_label(struct buf *b, const char *name, const char *value)
{
    size_t mark = proto_begin(b, 1);

    proto_put_bytes(b, 1, str_c(name));
    proto_put_bytes(b, 2, str_c(value));
    proto_end(b, mark);
}

static void put_time(struct buf *b, uint32_t number, int64_t seconds, int32_t nanos)
{
    size_t mark = proto_begin(b, number);

    proto_put_varint(b, 1, (uint64_t)seconds);
    proto_put_varint(b, 2, (uint64_t)nanos);
    proto_end(b, mark);
}

static void put_exemplar(struct buf *b, uint32_t number, const char *trace, int64_t seconds)
{
    size_t mark = proto_begin(b, number);

    put_label(b, "t", trace);
    proto_put_double(b, 2, 0.5);
    if (seconds)
        put_time(b, 3, seconds, 7000000);
    proto_end(b, mark);
}

static void put_span(struct buf *b, uint32_t number, int32_t offset, uint32_t length)
{
    size_t mark = proto_begin(b, number);

    proto_put_sint(b, 1, offset);
    proto_put_varint(b, 2, length);
    proto_end(b, mark);
}

static void put_bucket(struct buf *b, double upper, uint64_t count, const char *trace)
{
    size_t mark = proto_begin(b, 3);

    proto_put_varint(b, 1, count);
    proto_put_double(b, 2, upper);
    if (trace)
        put_exemplar(b, 3, trace, 9);
    proto_end(b, mark);
}

struct family_marks {
    size_t family, metric, payload;
};

// Opens a family with one metric and its payload; field: where the payload goes.
static struct family_marks family_begin(struct buf *b, const char *name, unsigned type,
                                        uint32_t field)
{
    struct family_marks m = { .family = proto_begin_delimited(b) };

    proto_put_bytes(b, 1, str_c(name));
    proto_put_bytes(b, 2, STR("help"));
    proto_put_varint(b, 3, type);
    m.metric = proto_begin(b, 4);
    put_label(b, "l", "v");
    m.payload = proto_begin(b, field);
    return m;
}

static void family_end(struct buf *b, struct family_marks m)
{
    proto_end(b, m.payload);
    proto_put_varint(b, 6, 123);
    proto_end(b, m.metric);
    proto_end(b, m.family);
}

static void check_proto(struct expo_options o, const struct buf *b, const char *want)
{
    OWNED(page_fini) struct page p = { 0 };

    o.format = EXPO_PROTO;
    page_read_twice(&p, o, buf_view(b));
    CHECK_F(str_eq_c(buf_view(&p.text), want), "got:\n%.*s\nwant:\n%s", STRF(buf_view(&p.text)),
            want);
}

TEST(proto_plain_types)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct family_marks m = family_begin(&b, "c_total", 0, 3);

    proto_put_double(&b, 1, 5);
    put_exemplar(&b, 2, "x", 0);
    put_time(&b, 3, 4, 5000000);
    family_end(&b, m);
    m = family_begin(&b, "g.é", 1, 2);
    proto_put_double(&b, 1, -1);
    family_end(&b, m);
    m = family_begin(&b, "u", 3, 5);
    family_end(&b, m);
    m.family = proto_begin_delimited(&b); // without metrics: not even metadata
    proto_put_bytes(&b, 1, STR("none"));
    proto_end(&b, m.family);
    check_proto((struct expo_options){ 0 }, &b,
                "HELP c_total help\nTYPE c_total 1\n__name__=c_total,l=v 5 @123 start=4005 "
                "#{t=x}0.5\nHELP g.é help\nTYPE g.é 2\n__name__=g.é,l=v -1 @123\n"
                "HELP u help\nTYPE u 0\n__name__=u,l=v 0 @123\n");
}

TEST(proto_summary_and_classic_histogram)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct family_marks m = family_begin(&b, "s", 2, 4);

    proto_put_varint(&b, 1, 9);
    proto_put_double(&b, 2, 8.5);
    size_t q = proto_begin(&b, 3);
    proto_put_double(&b, 1, 0.99);
    proto_put_double(&b, 2, 7);
    proto_end(&b, q);
    family_end(&b, m);
    m = family_begin(&b, "h", 4, 7);
    proto_put_varint(&b, 1, 4);
    proto_put_double(&b, 2, 2);
    put_bucket(&b, 1, 3, "x");
    family_end(&b, m);
    m = family_begin(&b, "i", 5, 7);
    put_bucket(&b, INFINITY, 6, NULL);
    family_end(&b, m);
    check_proto((struct expo_options){ 0 }, &b,
                "HELP s help\nTYPE s 5\n__name__=s_count,l=v 9 @123\n__name__=s_sum,l=v 8.5 @123\n"
                "__name__=s,l=v,quantile=0.99 7 @123\nHELP h help\nTYPE h 3\n"
                "__name__=h_count,l=v 4 @123\n__name__=h_sum,l=v 2 @123\n"
                "__name__=h_bucket,l=v,le=1.0 3 @123 #{t=x}0.5@9007\n"
                "__name__=h_bucket,l=v,le=+Inf 4 @123\nHELP i help\nTYPE i 4\n"
                "__name__=i_count,l=v 0 @123\n__name__=i_sum,l=v 0 @123\n"
                "__name__=i_bucket,l=v,le=+Inf 6 @123\n");
}

// An integer histogram with empty buckets to be cut out, classic buckets, and exemplars.
static void put_native_family(struct buf *b)
{
    struct family_marks m = family_begin(b, "n", 4, 7);
    size_t packed;

    proto_put_varint(b, 1, 12);
    proto_put_double(b, 2, 3.5);
    proto_put_sint(b, 5, -1);
    proto_put_double(b, 6, 0.25);
    proto_put_varint(b, 7, 2);
    put_span(b, 12, -2, 3);
    put_span(b, 12, 0, 1); // goes on where the one before ended
    put_span(b, 12, 4, 2);
    packed = proto_begin(b, 13); // counts 0 3 1 0 5 1
    for (int i = 0; i < 6; i++)
        buf_varint(b, zigzag((const int64_t[]){ 0, 3, -2, -1, 5, -4 }[i]));
    proto_end(b, packed);
    put_span(b, 9, 1, 1);
    proto_put_sint(b, 10, 4); // not packed
    put_bucket(b, 1, 3, "x");
    put_exemplar(b, 16, "a", 5);
    put_exemplar(b, 16, "b", 0); // no time: left out
    put_exemplar(b, 16, "c", 6);
    family_end(b, m);
}

TEST(proto_native_histogram)
{
    OWNED(buf_fini) struct buf b = { 0 };
    static const char native[] =
        "HELP n help\nTYPE n 3\n__name__=n,l=v schema=-1 int zero=2/0.25 count=12 sum=3.5 "
        "n+1:4 p-1:3,1 p+5:5,1 @123 #{t=a}0.5@5007 #{t=c}0.5@6007\n";
    static const char classic[] = "__name__=n_count,l=v 12 @123\n__name__=n_sum,l=v 3.5 @123\n"
                                  "__name__=n_bucket,l=v,le=1.0 3 @123 #{t=x}0.5@9007\n"
                                  "__name__=n_bucket,l=v,le=+Inf 12 @123\n";
    OWNED(buf_fini) struct buf both = { 0 }, only = { 0 };

    put_native_family(&b);
    buf_printf(&both, "%s%s", native, classic);
    buf_printf(&only, "HELP n help\nTYPE n 3\n%s", classic);
    check_proto((struct expo_options){ 0 }, &b, native);
    check_proto((struct expo_options){ .always_classic = true }, &b, buf_cstr(&both));
    check_proto((struct expo_options){ .no_native_histograms = true }, &b, buf_cstr(&only));
}

TEST(proto_float_histogram)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct family_marks m = family_begin(&b, "f", 5, 7);

    proto_put_double(&b, 4, 2.5);
    proto_put_double(&b, 8, 0.5);
    put_span(&b, 12, 3, 2);
    size_t packed = proto_begin(&b, 14);
    buf_le64(&b, double_bits(1.5));
    buf_le64(&b, double_bits(0.5));
    proto_end(&b, packed);
    put_bucket(&b, 1, 3, "x");
    family_end(&b, m);
    check_proto((struct expo_options){ 0 }, &b,
                "HELP f help\nTYPE f 4\n__name__=f,l=v schema=0 gauge zero=0.5/0 count=2.5 sum=0 "
                "p+3:1.5,0.5 @123 #{t=x}0.5@9007\n");
}

TEST(proto_refusals)
{
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(buf_fini) struct buf odd = { 0 };
    struct family_marks m;

    check_proto(
        (struct expo_options){ 0 },
        &(struct buf){ .p = (char[]){ "\x05"
                                      "abc" },
                       .n = 4 },
        "0:0 clientpb: insufficient length of buffer, expected at least 6 bytes, got 4 bytes");
    check_proto((struct expo_options){ 0 }, &(struct buf){ .p = (char[]){ "\xff\xff" }, .n = 2 },
                "0:0 clientpb: invalid varint encountered");
    m = family_begin(&b, "h", 4, 7);
    put_span(&b, 12, 0, 3);
    proto_put_sint(&b, 13, 1);
    family_end(&b, m);
    check_proto(
        (struct expo_options){ 0 }, &b,
        "HELP h help\nTYPE h 3\n0:0 histogram \"h\": positive side: spans require 3 buckets, "
        "have 1");
    m = family_begin(&odd, "x", 9, 7);
    family_end(&odd, m);
    check_proto((struct expo_options){ 0 }, &odd, "0:0 unknown metric type for metric \"x\": 9");
}

TEST(strict_openmetrics_says_where)
{
    static const struct {
        const char *in, *err;
        uint32_t line; // 0: fine
    } cases[] = {
        { "# TYPE a counter\na_total 1\n# EOF\n", "", 0 },
        { "# TYPE a counter\na_total{x=\"1\"} 1 1\na_total{x=\"1\"} 2 2\na_total{x=\"2\"} 2\n# "
          "EOF\n",
          "", 0 },
        { "# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 1\na_total{x=\"1\"} 1\n# EOF\n",
          "not together", 4 },
        { "a 1\na 1\n# EOF\n", "series repeated", 2 },
        { "# TYPE a counter\na_total 1\n# TYPE a_total gauge\n# EOF\n", "clashes", 3 },
        { "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# EOF\n", "+Inf", 3 },
        { "a 1\nb x\n# EOF\n", "invalid syntax", 2 },
    };

    FOR_CASES (t, cases) {
        struct err e = { 0 };
        bool ok = expo_check_openmetrics(str_c(t->in), &e);

        CHECK_F(ok == !t->line && e.pos.line == t->line && strstr(e.text, t->err), "%s: %u %s",
                t->in, e.pos.line, e.text);
    }
}

/* ---- the known series ---- */

static void check_hits(struct str before, struct str after, size_t hits)
{
    OWNED(page_fini) struct page p = { 0 }, q = { 0 }, cold = { 0 };
    struct expo_options o = { .format = EXPO_TEXT, .seed = 77 };

    page_read(&p, o, before);
    page_read(&cold, o, after);
    o.known = p.known.v;
    o.known_n = p.known.n;
    page_read(&q, o, after);
    CHECK_STR(buf_view(&q.text), buf_view(&cold.text));
    CHECK_F(q.hits == hits, "%zu hits, want %zu: %.*s", q.hits, hits, STRF(after));
}

TEST(known_series_resynchronise)
{
    struct str page = STR("a 1\nb{x=\"1\"} 2\nc 3\nd 4\n");

    check_hits(page, page, 4);
    check_hits(page, STR("a 9\nnew 5\nb{x=\"1\"} 7\nc 3\nd 4\n"), 4); // one came
    check_hits(page, STR("a 9\nc 3\nd 4\n"), 3);                      // one went
    check_hits(page, STR("a 9\nb{x=\"2\"} 2\nc 3\nd 4\n"), 3);        // one changed
    check_hits(page, STR("x 1\n"), 0);
}

TEST(a_known_name_must_end_where_it_ended)
{
    // Each page begins with the bytes of a known series that here is only the beginning of one.
    check_hits(STR("a 1\n"), STR("ab 1\n"), 0);
    check_hits(STR("a 1\n"), STR("a{b=\"c\"} 1\n"), 0);
    check_hits(STR("a 1\n"), STR("a \t{b=\"c\"} 1\n"), 0);
    check_hits(STR("a 1\n"), STR("a"), 0);
    check_hits(STR("a-1\n"), STR("a-1\n"), 1); // by the slow path
}

TEST(hashes_differ_by_seed_and_format)
{
    OWNED(page_fini) struct page p = { 0 }, q = { 0 }, r = { 0 };

    page_read(&p, (struct expo_options){ .format = EXPO_TEXT, .seed = 1 }, STR("a 1\n"));
    page_read(&q, (struct expo_options){ .format = EXPO_TEXT, .seed = 2 }, STR("a 1\n"));
    page_read(&r, (struct expo_options){ .format = EXPO_OPENMETRICS, .seed = 1 },
              STR("a 1\n# EOF\n"));
    CHECK(p.known.n == 1 && q.known.n == 1 && r.known.n == 1);
    CHECK(p.known.v[0].hash != q.known.v[0].hash && p.known.v[0].hash != r.known.v[0].hash);
}

TEST(seek_sets_the_expected_series)
{
    OWNED(page_fini) struct page p = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_options o = { .format = EXPO_TEXT };
    struct expo_event ev;
    struct err e;

    for (int i = 0; i < 300; i++)
        buf_printf(&b, "m%d 1\n", i);
    page_read(&p, o, buf_view(&b));
    o.known = p.known.v;
    o.known_n = p.known.n;
    expo_start(x, &o, STR("m250 1\nm251 1\n"));
    CHECK(expo_next(x, &ev, &e) == 1 && ev.slot == EXPO_SLOT_NONE); // too far ahead
    expo_seek(x, 251);
    CHECK(expo_next(x, &ev, &e) == 1 && ev.slot == 251 && ev.known_at == 251);
}

/* ---- choice of format ---- */

TEST(content_types)
{
    static const struct {
        const char *in;
        enum expo_format want; // EXPO_NONE: refused
        const char *err;
    } cases[] = {
        { "text/plain", EXPO_TEXT, NULL },
        { "Text/Plain; version=0.0.4; charset=\"utf-8\";", EXPO_TEXT, NULL },
        { "application/openmetrics-text; version=1.0.0", EXPO_OPENMETRICS, NULL },
        { "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
          "encoding=delimited",
          EXPO_PROTO, NULL },
        { "", EXPO_NONE,
          "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
          "specified for target" },
        { "application/json", EXPO_NONE,
          "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol "
          "specified for target" },
        { "text/plain; x", EXPO_NONE,
          "cannot parse Content-Type \"text/plain; x\" and no fallback_scrape_protocol for "
          "target" },
        { "text/", EXPO_NONE,
          "cannot parse Content-Type \"text/\" and no fallback_scrape_protocol for target" },
    };

    FOR_CASES (t, cases) {
        enum expo_format got = EXPO_NONE;
        struct err e = { 0 };
        bool ok = expo_format_of(str_c(t->in), EXPO_NONE, &got, &e);

        CHECK_F(ok == !t->err && got == t->want, "%s: %s", t->in, e.text);
        if (!ok)
            CHECK_STR(str_c(e.text), str_c(t->err));
        CHECK(expo_format_of(str_c(t->in), EXPO_PROTO, &got, &e));
        CHECK(got == (t->err ? EXPO_PROTO : t->want));
    }
}

TEST(float_text)
{
    static const struct {
        double v;
        const char *want;
    } cases[] = {
        { 1, "1.0" },     { 0, "0.0" },           { -1, "-1.0" },       { 0.25, "0.25" },
        { 1e6, "1e+06" }, { 100000, "100000.0" }, { INFINITY, "+Inf" }, { NAN, "NaN" },
    };

    FOR_CASES (t, cases) {
        char text[NUM_TEXT_MAX];

        CHECK_STR(str_of(text, expo_format_float(t->v, text)), str_c(t->want));
    }
}

/* ---- the corpus ---- */

static struct str read_corpus(struct arena *a, const char *below)
{
    const char *path = test_corpus(below);
    struct err e = { 0 };
    struct str s;

    if (!path)
        return STR_NONE;
    CHECK_OK(file_read(a, path, 16 << 20, &s, &e), &e);
    return s;
}

static struct str unbase64(struct arena *a, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_raw(a, s.n);
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;

    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, s.p[i]) - digits);
        have += 6;
        if (have >= 8)
            out[n++] = (char)(bits >> (have -= 8));
    }
    return str_of(out, n);
}

static void check_error_table(const char *below, enum expo_format format)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *doc;
    struct err e = { 0 };
    struct str text = read_corpus(&a, below);

    SKIP_WITHOUT_CORPUS(text.p);
    CHECK_OK(json_parse(&a, text, &doc, &e), &e);
    struct json_value *cases = json_get(doc, STR("cases"));
    CHECK(cases && cases->n > 10);
    for (uint32_t i = 0; i < cases->n; i++) {
        OWNED(page_fini) struct page p = { 0 };
        const struct json_value *c = &cases->items[i];
        struct str in = json_get_str(c, STR("input")),
                   base64 = json_get_str(c, STR("input_base64"));
        struct str want = json_get_str(c, STR("error"));

        if (base64.p)
            in = unbase64(&a, base64);
        page_read_twice(&p, (struct expo_options){ .format = format }, in);
        CHECK_F(p.ok == !want.p, "%.*s: %s", STRF(in), p.e.text);
        if (want.p)
            CHECK_STR(str_c(p.e.text), want);
    }
}

TEST(upstream_text_errors)
{
    check_error_table("exposition/prometheus_text_errors.json", EXPO_TEXT);
}

TEST(upstream_openmetrics_errors)
{
    check_error_table("exposition/openmetrics_text_errors.json", EXPO_OPENMETRICS);
}

TEST(real_pages)
{
    static const struct {
        const char *below;
        enum expo_format format;
        size_t samples;
    } cases[] = {
        { "exposition/prometheus/1histogram.om.txt", EXPO_OPENMETRICS, 0 },
        { "exposition/prometheus/alltypes.5mfs.om.txt", EXPO_OPENMETRICS, 0 },
        { "exposition/prometheus/alltypes.237mfs.prom.txt", EXPO_TEXT, 1857 },
        { "exposition/prometheus/alltypes.237mfs.nometa.prom.txt", EXPO_TEXT, 1857 },
        { "exposition/node_exporter/e2e-output-darwin.txt", EXPO_TEXT, 0 },
        { "exporters/node/expected-e2e-output.txt", EXPO_TEXT, 0 },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(page_fini) struct page p = { 0 };
        struct str body = read_corpus(&a, t->below);

        SKIP_WITHOUT_CORPUS(body.p);
        page_read_twice(&p, (struct expo_options){ .format = t->format }, body);
        CHECK_F(p.ok, "%s: %s", t->below, p.e.text);
        CHECK_F(p.known.n > 20 && (!t->samples || p.known.n == t->samples), "%s: %zu samples",
                t->below, p.known.n);
    }
}

/* OpenMetrics' own cases: what a strict reader takes, the scraper's parser takes too. */
TEST(openmetrics_suite)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *root = test_corpus("exposition/openmetrics");
    struct file_list names;
    struct err e = { 0 };
    size_t good = 0;

    SKIP_WITHOUT_CORPUS(root);
    CHECK_OK(file_list(&a, root, &names, &e), &e);
    for (size_t i = 0; i < names.n; i++) {
        OWNED(page_fini) struct page p = { 0 };
        struct json_value *doc;
        bool want;
        char below[256];

        snprintf(below, sizeof below, "exposition/openmetrics/%.*s/test.json", STRF(names.v[i]));
        CHECK_OK(json_parse(&a, read_corpus(&a, below), &doc, &e), &e);
        want = json_get(doc, STR("shouldParse"))->b;
        snprintf(below, sizeof below, "exposition/openmetrics/%.*s/metrics", STRF(names.v[i]));
        struct str body = read_corpus(&a, below);
        page_read_twice(&p, (struct expo_options){ .format = EXPO_OPENMETRICS }, body);
        CHECK_F(p.ok || !want, "%s: %s", below, p.e.text);
        bool strict = expo_check_openmetrics(body, &e);
        CHECK_F(strict == want, "%s: %s", below, strict ? "taken" : e.text);
        good += want;
    }
    CHECK(good > 25);
}
