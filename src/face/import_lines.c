// import_lines.c - InfluxDB, Graphite, OpenTSDB and DataDog.
// SPDX-License-Identifier: Apache-2.0
#include "codec/datadog.h"
#include "codec/graphite.h"
#include "codec/influx.h"
#include "codec/opentsdb.h"
#include "face/import_priv.h"

/* ---- InfluxDB ---- */

// cpu,host=a usage=1 becomes cpu_usage{host="a"}; without a measurement the field is the name.
static void influx_series(struct import *im, const struct influx_line *l, struct str field,
                          const struct hash128 *key, struct series_ref *out)
{
    struct str name = field;

    if (l->measurement.n)
        name = arena_printf(&im->record, "%.*s_%.*s", STRF(l->measurement), STRF(field));
    import_labels(im);
    import_tags(im, l->tag, l->tags);
    import_label(im, LABEL_NAME, name);
    import_series(im, key, out);
}

static void influx_row(struct import *im, const struct influx_line *l, int64_t t_ms)
{
    for (size_t i = 0; i < l->fields; i++) {
        struct series_ref ref;

        if (!l->field[i].is_number)
            continue;
        struct hash128 key = import_key(im, l->raw, l->field[i].key);
        if (!import_find(im, key, &ref))
            influx_series(im, l, l->field[i].key, &key, &ref);
        import_row(im, ref, t_ms, l->field[i].value);
    }
}

void import_influx(struct import *im, struct str body, struct str precision)
{
    struct influx p = influx_of(&im->record, body);
    struct influx_line l;
    struct err e;
    int got;

    while ((got = influx_next(&p, &l, &e)) != 0) {
        int64_t t_ms = im->now_ms;

        if (got < 0) {
            import_bad(im, &e);
        } else {
            if (l.has_time && l.time) // a known precision: checked by the handler
                influx_time_ms(l.time, precision, &t_ms);
            influx_row(im, &l, t_ms);
        }
        arena_reset(&im->record);
        influx_reset(&p);
        if (!import_step(im))
            return;
    }
}

static void handle_influx(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct str body, precision;
    int64_t ms;

    if (import_request(&im, x, "influx", &form, &body)) {
        precision = http_form_get(&form, STR("precision"));
        if (!precision.p)
            precision = STR("ns");
        if (precision.n && !influx_time_ms(0, precision, &ms)) {
            import_bad(&im, &(struct err){ .text = "invalid precision: use n, u, ms, s, m or h" });
        } else {
            import_influx(&im, body, precision);
        }
        http_set_header(x, STR("X-Influxdb-Version"), STR("1.8.0"));
        import_reply(&im, x, 204);
    }
    import_end(&im);
}

static void handle_ping(struct http_exchange *x)
{
    http_set_header(x, STR("X-Influxdb-Version"), STR("1.8.0"));
    http_status(x, 204);
}

// What agents ask before they write: there are no databases to make or list.
static void handle_influx_query(struct http_exchange *x)
{
    http_set_header(x, STR("X-Influxdb-Version"), STR("1.8.0"));
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    buf_lit(http_body(x), "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\","
                          "\"columns\":[\"name\"],\"values\":[]}]}]}\n");
}

/* ---- Graphite ---- */

void import_graphite(struct import *im, struct str body)
{
    struct graphite p = graphite_of(&im->record, body);
    struct graphite_line l;
    struct err e;
    int got;

    while ((got = graphite_next(&p, &l, &e)) != 0) {
        struct series_ref ref;

        if (got < 0) {
            import_bad(im, &e);
        } else {
            struct hash128 key = import_key(im, l.raw, STR_NONE);

            if (!import_find(im, key, &ref)) {
                import_labels(im);
                import_tags(im, l.tag, l.tags);
                import_label(im, LABEL_NAME, l.name);
                import_series(im, &key, &ref);
            }
            import_row(im, ref, l.has_time ? l.t_ms : im->now_ms, l.value);
        }
        if (!import_step(im))
            return;
    }
}

static void handle_graphite(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct str body;

    if (import_request(&im, x, "graphite", &form, &body)) {
        import_graphite(&im, body);
        import_reply(&im, x, 204);
    }
    import_end(&im);
}

/* ---- OpenTSDB ---- */

static void opentsdb_row(struct import *im, const struct opentsdb_point *p)
{
    struct series_ref ref;

    import_labels(im);
    import_tags(im, p->tag, p->tags);
    import_label(im, LABEL_NAME, p->name);
    import_series(im, NULL, &ref);
    import_row(im, ref, p->has_time ? p->t_ms : im->now_ms, p->value);
}

void import_opentsdb(struct import *im, struct str body)
{
    struct opentsdb o = opentsdb_of(&im->record, body);
    struct opentsdb_point p;
    struct err e;
    int got;

    while ((got = opentsdb_next(&o, &p, &e)) != 0) {
        if (got < 0)
            import_bad(im, &e);
        else
            opentsdb_row(im, &p);
        if (!import_step(im))
            return;
    }
}

static void opentsdb_json(struct import *im, struct str body)
{
    struct json_value *doc;
    struct err e;
    bool list;

    if (!json_parse(im->arena, body, &doc, &e)) {
        import_bad(im, &e);
        return;
    }
    list = doc->kind == JSON_ARRAY;
    for (uint32_t i = 0; i < (list ? doc->n : 1); i++) {
        struct opentsdb_point p;

        if (opentsdb_json_point(im->arena, list ? &doc->items[i] : doc, &p, &e))
            opentsdb_row(im, &p);
        else
            import_bad(im, &e);
        if (!import_step(im))
            return;
    }
}

static void handle_opentsdb(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct str body;

    if (import_request(&im, x, "opentsdb", &form, &body)) {
        opentsdb_json(&im, body);
        import_reply(&im, x, 204);
    }
    import_end(&im);
}

/* ---- DataDog ---- */

static void datadog_rows(struct import *im, const struct datadog_body *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct datadog_series *s = &b->v[i];
        struct series_ref ref;

        import_labels(im);
        import_tags(im, s->tag, s->tags);
        import_label(im, LABEL_NAME, s->name);
        import_series(im, NULL, &ref);
        for (size_t k = 0; k < s->points; k++)
            import_row(im, ref, s->point[k].t_ms ? s->point[k].t_ms : im->now_ms,
                       s->point[k].value);
        if (!import_step(im))
            return;
    }
}

static void handle_datadog(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct datadog_body b;
    struct str body, type = http_header_get(&x->req, STR("Content-Type"));
    enum datadog_format format = DATADOG_V1;
    struct err e;

    if (str_find(x->req.path, STR("/v2/")) != STR_NPOS)
        format = str_starts(type, STR("application/x-protobuf")) ? DATADOG_V2_PROTO : DATADOG_V2;
    if (import_request(&im, x, "datadog", &form, &body)) {
        if (datadog_read(&x->arena, format, body, &b, &e))
            datadog_rows(&im, &b);
        else
            import_bad(&im, &e);
        import_reply(&im, x, 202);
        if (im.status < 400) {
            http_set_header(x, STR("Content-Type"), STR("application/json"));
            buf_str(http_body(x),
                    format == DATADOG_V1 ? STR("{\"status\":\"ok\"}") : STR("{\"errors\":[]}"));
        }
    }
    import_end(&im);
}

static void handle_datadog_validate(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    buf_lit(http_body(x), "{\"valid\":true}");
}

// Check runs, intake and metadata of agents: taken and dropped, so that they do not retry.
static void handle_datadog_other(struct http_exchange *x)
{
    http_status(x, 202);
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    buf_lit(http_body(x), "{\"status\":\"ok\"}");
}

void import_lines_routes(struct import_face *f, struct http_server *s)
{
    static const struct import_handler handlers[] = {
        { "POST", "/write", handle_influx, false },
        { "POST", "/api/v2/write", handle_influx, false },
        { "POST", "/influx/write", handle_influx, false },
        { "POST", "/influx/api/v2/write", handle_influx, false },
        { "POST", "/api/v1/push/influx/write", handle_influx, false },
        { "GET HEAD", "/ping", handle_ping, false },
        { "GET HEAD", "/influx/ping", handle_ping, false },
        { "GET HEAD", "/influx/health", handle_ping, false },
        { "GET POST", "/influx/query", handle_influx_query, false },
        { "POST", "/graphite/write", handle_graphite, false },
        { "POST PUT", "/api/put", handle_opentsdb, false },
        { "POST PUT", "/opentsdb/api/put", handle_opentsdb, false },
        { "POST", "/datadog/api/v1/series", handle_datadog, false },
        { "POST", "/datadog/api/v2/series", handle_datadog, false },
        { "GET POST", "/datadog/api/v1/validate", handle_datadog_validate, false },
        { "POST", "/datadog/api/v1/check_run", handle_datadog_other, false },
        { "POST", "/datadog/intake/", handle_datadog_other, true },
        { "POST PUT", "/datadog/api/v1/metadata", handle_datadog_other, false },
    };

    import_routes(f, s, handlers, ARRAY_LEN(handlers));
}
