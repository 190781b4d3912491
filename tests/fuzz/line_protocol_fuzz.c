/*
 * line_protocol_fuzz.c - every line protocol, chosen by the first byte: no record is larger than its
 * input, positions are inside it, and a malformed record does not stop the next.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/csv.h"
#include "codec/datadog.h"
#include "codec/graphite.h"
#include "codec/influx.h"
#include "codec/jsonl.h"
#include "codec/opentsdb.h"
#include "codec/statsd.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(int got, const struct err *e, struct str body)
{
    assert(got >= -1 && got <= 1);
    if (got < 0)
        assert(e->kind != ERR_NONE && e->pos.offset <= body.n && e->text[0]);
}

static void run_influx(struct arena *a, struct str body)
{
    struct influx x = influx_of(a, body);
    struct influx_line l;
    struct err e = { 0 };
    int64_t ms;
    int got;

    while ((got = influx_next(&x, &l, &e)) != 0) {
        check(got, &e, body);
        if (got > 0) {
            assert(l.raw.n <= body.n && l.fields > 0);
            assert(influx_time_ms(l.time, STR_NONE, &ms));
        }
    }
}

static void run_text(struct arena *a, struct str body)
{
    struct graphite g = graphite_of(a, body);
    struct opentsdb o = opentsdb_of(a, body);
    struct statsd s = statsd_of(a, body);
    struct graphite_line gl;
    struct opentsdb_point op;
    struct statsd_event se;
    struct err e = { 0 };
    int got;

    while ((got = graphite_next(&g, &gl, &e)) != 0)
        check(got, &e, body);
    while ((got = opentsdb_next(&o, &op, &e)) != 0)
        check(got, &e, body);
    while ((got = statsd_next(&s, &se, &e)) != 0)
        check(got, &e, body);
}

static void run_csv(struct arena *a, struct str body)
{
    struct str rest = body, text = str_cut(&rest, '\n');
    struct csv_format f;
    struct csv_row row;
    struct err e = { 0 };
    int got;

    if (!csv_format_parse(a, text, &f, &e))
        return;
    struct csv c = csv_of(a, &f, rest);
    while ((got = csv_next(&c, &row, &e)) != 0) {
        check(got, &e, body);
        assert(got < 0 || row.values <= f.metrics);
    }
}

// What was read is written, and reads the same.
static void run_jsonl(struct arena *a, struct str body)
{
    struct jsonl j = jsonl_of(a, body);
    struct jsonl_series s, again;
    struct err e = { 0 };
    int got;

    while ((got = jsonl_next(&j, &s, &e)) != 0) {
        OWNED(buf_fini) struct buf b = { 0 };

        check(got, &e, body);
        if (got < 0)
            continue;
        jsonl_write(&b, &s);
        struct jsonl k = jsonl_of(a, buf_view(&b));
        assert(jsonl_next(&k, &again, &e) == 1);
        assert(again.n == s.n && again.tags == s.tags);
        for (size_t i = 0; i < s.n; i++)
            assert(again.t_ms[i] == s.t_ms[i] &&
                   (again.value[i] == s.value[i] || s.value[i] != s.value[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct datadog_body dd;
    struct err e = { 0 };

    if (!n)
        return 0;
    struct str body = { (const char *)p + 1, n - 1 };
    switch (p[0] % 6) {
    case 0:
        run_influx(&a, body);
        break;
    case 1:
        run_text(&a, body);
        break;
    case 2:
        run_csv(&a, body);
        break;
    case 3:
        run_jsonl(&a, body);
        break;
    case 4:
        (void)!datadog_read(&a, DATADOG_V2_PROTO, body, &dd, &e); // survival is all
        break;
    default:
        for (int v = DATADOG_V1; v <= DATADOG_V2; v++)
            (void)!datadog_read(&a, (enum datadog_format)v, body, &dd, &e);
    }
    return 0;
}
