// line_protocol_test.c - InfluxDB, Graphite, OpenTSDB, statsd, CSV, JSON lines: what is read, and where it is wrong.
// SPDX-License-Identifier: Apache-2.0
#include "codec/csv.h"
#include "codec/datadog.h"
#include "codec/graphite.h"
#include "codec/influx.h"
#include "codec/jsonl.h"
#include "codec/opentsdb.h"
#include "codec/statsd.h"
#include "test.h"

static void put_tags(struct buf *b, const struct line_tag *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "[%.*s=%.*s]", STRF(v[i].name), STRF(v[i].value));
}

static void put_error(struct buf *b, const struct err *e)
{
    buf_printf(b, "!%u:%u %s;", e->pos.line, e->pos.col, e->text);
}

/* ---- InfluxDB ---- */

static const struct {
    const char *in, *want;
} influx_cases[] = {
    { "m,a=b,c=d x=1,y=2i,z=3u 15\n", "m[a=b][c=d] x=1 y=2 z=3 @15;" },
    { "m x=t,y=FALSE,z=\"text, \\\" 5\",w=\"5\"", "m x=1 y=0 z=- w=5;" },
    { "a\\ b\\,c,k\\=1=v\\ 2 f\\,g=-1.5e3 -7\r\n", "a b,c[k=1=v 2] f,g=-1500 @-7;" },
    { "m,e= x=1\n\n# comment\n  n y=2  3  \n", "m x=1;n y=2 @3;" },
    { "m\\n x=1\n", "m\\n x=1;" },
    { "m x=\"a\nb\" 1\nn bad\n", "m x=- @1;!3:6 missing field value;" },
    { "m\nn x=1\n", "!1:2 missing fields;n x=1;" },
    { " x=1\n", "!1:4 missing fields;" },
    { "m,=b x=1\nm,a x=1\nm,a=b =1\n",
      "!1:3 missing tag key;!2:4 missing tag value;!3:7 missing field key;" },
    { "m x=1x\nm x=\nm x=\"a\n",
      "!1:5 invalid field value: expected a number, true, false or a quoted "
      "text;!2:5 invalid field value: expected a number, true, false or a "
      "quoted text;!3:5 unbalanced quotes;" },
    { "m x=1 abc\nm x=1 1 2\n", "!1:7 bad timestamp;!2:9 unexpected text behind the timestamp;" },
    { "m x=9223372036854775808i\n",
      "!1:5 invalid field value: expected a number, true, false or a quoted text;" },
};

TEST(influx_lines)
{
    FOR_CASES (t, influx_cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct influx x = influx_of(&a, str_c(t->in));
        struct influx_line l;
        struct err e;
        int got;

        while ((got = influx_next(&x, &l, &e)) != 0) {
            if (got < 0) {
                put_error(&b, &e);
                continue;
            }
            buf_str(&b, l.measurement);
            put_tags(&b, l.tag, l.tags);
            for (size_t i = 0; i < l.fields; i++)
                if (l.field[i].is_number)
                    buf_printf(&b, " %.*s=%g", STRF(l.field[i].key), l.field[i].value);
                else
                    buf_printf(&b, " %.*s=-", STRF(l.field[i].key));
            if (l.has_time)
                buf_printf(&b, " @%lld", (long long)l.time);
            buf_char(&b, ';');
        }
        CHECK_F(str_eq_c(buf_view(&b), t->want), "%s: %.*s", t->in, STRF(buf_view(&b)));
    }
}

TEST(influx_times)
{
    int64_t ms = -7;

    CHECK(influx_time_ms(1500000000123456789, STR("ns"), &ms) && ms == 1500000000123);
    CHECK(influx_time_ms(-1, STR("us"), &ms) && ms == -1);
    CHECK(influx_time_ms(2, STR("h"), &ms) && ms == 7200000);
    CHECK(influx_time_ms(INT64_MAX, STR("m"), &ms) && ms == INT64_MAX);
    CHECK(influx_time_ms(1500000000, STR_NONE, &ms) && ms == 1500000000000);
    CHECK(influx_time_ms(1500000000123456789, STR_NONE, &ms) && ms == 1500000000123);
    ms = -7;
    CHECK(!influx_time_ms(1, STR("x"), &ms) && ms == -7);
}

/* ---- Graphite, OpenTSDB, statsd ---- */

static const struct {
    const char *in, *want;
} graphite_cases[] = {
    { "a.b 1.5 1500000000\na 2\n", "a.b 1.5 1500000000000;a 2 -;" },
    { "a;x=y;e=;z=1=2 3 -1\r\n", "a[x=y][z=1=2] 3 -;" },
    { "a\t1\t1.5\n   \n", "a 1 1500;" },
    { "a\na x\na 1 y\na 1 2 3\n;a=b 1\na;b 1\n",
      "!1:2 expected a value behind the name, got \"\";!2:3 expected a value behind the name, got "
      "\"x\";!3:5 expected a time in seconds, got \"y\";!4:6 unexpected text behind the time;!5:1 "
      "missing metric name;!6:3 expected a tag such as name=value, got \"b\";" },
};

TEST(graphite_lines)
{
    FOR_CASES (t, graphite_cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct graphite g = graphite_of(&a, str_c(t->in));
        struct graphite_line l;
        struct err e;
        int got;

        while ((got = graphite_next(&g, &l, &e)) != 0) {
            if (got < 0) {
                put_error(&b, &e);
                continue;
            }
            buf_str(&b, l.name);
            put_tags(&b, l.tag, l.tags);
            buf_printf(&b, " %g ", l.value);
            if (l.has_time)
                buf_i64(&b, l.t_ms);
            else
                buf_char(&b, '-');
            buf_char(&b, ';');
        }
        CHECK_F(str_eq_c(buf_view(&b), t->want), "%s: %.*s", t->in, STRF(buf_view(&b)));
    }
}

TEST(opentsdb_lines_and_json)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct opentsdb o = opentsdb_of(
        &a, STR("version\nput m 1500000000 1.5 a=b c=d\nput m 1500000000123 2\nput m x 1\n"));
    struct opentsdb_point p;
    struct json_value *v;
    struct err e;

    CHECK(opentsdb_next(&o, &p, &e) == 1 && p.t_ms == 1500000000000 && p.tags == 2 &&
          p.value == 1.5);
    CHECK(opentsdb_next(&o, &p, &e) == 1 && p.t_ms == 1500000000123 && p.tags == 0);
    CHECK(opentsdb_next(&o, &p, &e) == -1 && e.pos.line == 4 && e.pos.col == 7);
    CHECK(opentsdb_next(&o, &p, &e) == 0);
    CHECK_OK(json_parse(&a,
                        STR("{\"metric\":\"m\",\"value\":\"2.5\",\"tags\":{\"a\":1,\"b\":\"\"}}"),
                        &v, &e),
             &e);
    CHECK_OK(opentsdb_json_point(&a, v, &p, &e), &e);
    CHECK(p.value == 2.5 && p.tags == 1 && str_eq(p.tag[0].value, STR("1")) && !p.has_time);
    CHECK_OK(json_parse(&a, STR("{\"metric\":\"m\"}"), &v, &e), &e);
    CHECK(!opentsdb_json_point(&a, v, &p, &e) && strstr(e.text, "\"value\""));
}

static const struct {
    const char *in, *want;
} statsd_cases[] = {
    { "a:1|c\nb:2.5|g|@0.5\n", "a c0 1 r1;b c1 2.5 r0.5;" },
    { "a:1:2:3|ms|#x:y,z:w\n", "a[x=y][z=w] c2 1 r1;a[x=y][z=w] c2 2 r1;a[x=y][z=w] c2 3 r1;" },
    { "a:-1|g\na:+2|g\na:3|g", "a c1 -1 r1 rel;a c1 2 r1 rel;a c1 3 r1;" },
    { "s:u:1|s\n_e{1,2}:x|y\n", "s c4 u:1;" },
    { "a,t=v:1|c\na#t=v,u=w:1|h|c:container\na[t=v]:1|d\n",
      "a[t=v] c0 1 r1;a[t=v][u=w] c3 1 r1;a[t=v] c3 1 r1;" },
    { "a\na:1\na:x|c\na:1|q\na:1|c|@2\nok:1|c\n",
      "!1:1 expected name:value|type, got \"a\";!2:3 expected name:value|type, got \"a:1\";!3:3 "
      "expected "
      "a number, got \"x\";!4:5 expected a type: c, g, ms, h, d or s, got \"q\";!5:7 expected a "
      "rate above "
      "0 and at most 1, got \"@2\";ok c0 1 r1;" },
};

TEST(statsd_lines)
{
    FOR_CASES (t, statsd_cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct statsd s = statsd_of(&a, str_c(t->in));
        struct statsd_event v;
        struct err e;
        int got;

        while ((got = statsd_next(&s, &v, &e)) != 0) {
            if (got < 0) {
                put_error(&b, &e);
                continue;
            }
            buf_str(&b, v.name);
            put_tags(&b, v.tag, v.tags);
            buf_printf(&b, " c%d ", v.type);
            if (v.type == STATSD_SET)
                buf_str(&b, v.member);
            else
                buf_printf(&b, "%g r%g%s", v.value, v.rate, v.relative ? " rel" : "");
            buf_char(&b, ';');
        }
        CHECK_F(str_eq_c(buf_view(&b), t->want), "%s: %.*s", t->in, STRF(buf_view(&b)));
    }
}

/* ---- CSV, JSON lines, DataDog ---- */

static const struct {
    const char *format, *in, *want;
} csv_cases[] = {
    { "2:metric:m,1:label:l", "a,1\n\"b\"\"c\",2\r\n,3\n", "[l=a]m=1@-;[l=b\"c]m=2@-;m=3@-;" },
    { "1:metric:m,3:time:unix_s", "1,skip,1.5\n,x,2\n", "m=1@1500;@2000;" },
    { "1:metric:m,2:time:rfc3339", "1,1970-01-01T00:00:02.5Z\n", "m=1@2500;" },
    { "1:metric:m,2:time:unix_ns", "1,-1\n", "m=1@-1;" },
    { "1:metric:m", "x\n\"1\n3\n",
      "!1:1 column 1: expected a number, got \"x\";!2:1 a quoted cell does not end;m=3@-;" },
    { "1:metric:m", "\"2\"z\n3\n", "!1:4 unexpected text behind a quoted cell;m=3@-;" },
    { "1:metric:m,3:label:l", "1,2\n4,5,6\n", "!1:4 the row has 2 columns of 3;[l=6]m=4@-;" },
    { "1:metric:m,2:time:unix_ms", "1,x\n",
      "!1:3 column 2: expected a time as unix_ms, got \"x\";" },
    { "1:label:l", "", "!the format names no metric column" },
    { "0:metric:m", "", "!expected a column such as 2:metric:name" },
    { "1:metric:a,1:metric:b", "", "!column 1 is named twice" },
    { "1:time:custom:2006", "", "!custom times are not supported" },
    { "1:what:x", "", "!expected metric:NAME, label:NAME or time:" },
};

TEST(csv_rows)
{
    FOR_CASES (t, csv_cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct csv_format f;
        struct csv_row row;
        struct err e;
        int got;

        if (!csv_format_parse(&a, str_c(t->format), &f, &e)) {
            CHECK_F(t->want[0] == '!' && strstr(e.text, t->want + 1), "%s: %s", t->format, e.text);
            continue;
        }
        struct csv c = csv_of(&a, &f, str_c(t->in));
        while ((got = csv_next(&c, &row, &e)) != 0) {
            if (got < 0) {
                put_error(&b, &e);
                continue;
            }
            put_tags(&b, row.tag, row.tags);
            for (size_t i = 0; i < row.values; i++)
                buf_printf(&b, "%.*s=%g", STRF(row.value[i].name), row.value[i].value);
            buf_char(&b, '@');
            if (row.has_time)
                buf_i64(&b, row.t_ms);
            else
                buf_char(&b, '-');
            buf_char(&b, ';');
        }
        CHECK_F(str_eq_c(buf_view(&b), t->want), "%s: %.*s", t->in, STRF(buf_view(&b)));
    }
}

static const struct {
    const char *in, *want;
} jsonl_cases[] = {
    { "{\"metric\":{\"__name__\":\"up\",\"a\":\"b\\n\"},\"values\":[1,null,\"Infinity\",-2.5e-7],"
      "\"timestamps\":[1,2,3,-4]}\n",
      "{\"metric\":{\"__name__\":\"up\",\"a\":\"b\\n\"},\"values\":[1,null,\"Infinity\",-2.5e-7],"
      "\"timestamps\":[1,2,3,-4]}\n" },
    { " { \"timestamps\" : [ 1 ] , \"x\":{\"y\":[\"]}\"]}, \"values\":[ 7 ], \"metric\": {} } \n",
      "{\"metric\":{},\"values\":[7],\"timestamps\":[1]}\n" },
    { "{\"metric\":{\"a\":\"b\"},\"values\":[1,2],\"timestamps\":[1]}",
      "!1:53 there are not as many timestamps as values;" },
    { "{\"metric\":{},\"histograms\":[\"{{}}\"],\"timestamps\":[1,2]}\n"
      "{\"metric\":{},\"histograms\":[1],\"timestamps\":[1]}\n"
      "{\"metric\":{},\"histograms\":[\"{{}}\"],\"values\":[1],\"timestamps\":[1,2]}\n",
      "!1:55 there are not as many timestamps as values;!2:30 expected an array of texts;!3:68 "
      "values "
      "and histograms must be lines of their own;" },
    { "\n[]\n{\"values\":[]}\n{\"metric\":{\"a\":1}}\n",
      "!2:1 expected an object;!3:14 missing \"metric\";!4:11 expected texts as values of "
      "labels;" },
    { "{\"metric\":{},\"values\":[x]}\n{\"metric\":{},\"timestamps\":[1.5]}\n{\"metric\":{\n",
      "!1:24 expected a number;!2:29 expected a comma or the end of the array;!3:12 the line ends "
      "inside a "
      "value;" },
};

TEST(jsonl_lines)
{
    FOR_CASES (t, jsonl_cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct jsonl j = jsonl_of(&a, str_c(t->in));
        struct jsonl_series s;
        struct err e;
        int got;

        while ((got = jsonl_next(&j, &s, &e)) != 0) {
            if (got < 0)
                put_error(&b, &e);
            else
                jsonl_write(&b, &s);
        }
        CHECK_F(str_eq_c(buf_view(&b), t->want), "%s: %.*s", t->in, STRF(buf_view(&b)));
    }
}

TEST(datadog_names_and_tags)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct datadog_body d;
    struct err e;

    CHECK_OK(datadog_read(
                 &a, DATADOG_V1,
                 STR("{\"series\":[{\"metric\":\"a-b._c__d\",\"host\":\"h\",\"points\":[[1.5,2],"
                     "[2,3]],\"tags\":[\"k:v:w\",\"alone\",\"host:x\",\"e:\"]}]}"),
                 &d, &e),
             &e);
    put_tags(&b, d.v[0].tag, d.v[0].tags);
    CHECK(str_eq(d.v[0].name, STR("a_b.c_d")));
    CHECK(str_eq(buf_view(&b), STR("[host=h][k=v:w][alone=no_label_value][exported_host=x]")));
    CHECK(d.v[0].points == 2 && d.v[0].point[0].t_ms == 1500 && d.v[0].point[1].value == 3);
    CHECK(!datadog_read(&a, DATADOG_V1, STR("{\"series\":[{\"metric\":\"a\",\"points\":[[1]]}]}"),
                        &d, &e) &&
          e.pos.line == 1);
    CHECK(!datadog_read(&a, DATADOG_V2_PROTO, STR("\x0a\x05\x12"), &d, &e) &&
          e.kind == ERR_INVALID);
}
