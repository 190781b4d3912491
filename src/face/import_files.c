// import_files.c - CSV, JSON lines and text pages: history, moved from elsewhere.
// SPDX-License-Identifier: Apache-2.0
#include "codec/csv.h"
#include "codec/expo.h"
#include "codec/jsonl.h"
#include "face/import_priv.h"
#include "lang/promql.h"

/* ---- CSV ---- */

static void import_csv(struct import *im, struct str body, const struct csv_format *format)
{
    struct csv c = csv_of(&im->record, format, body);
    struct csv_row row;
    struct err e;
    int got;

    while ((got = csv_next(&c, &row, &e)) != 0) {
        if (got < 0)
            import_bad(im, &e);
        for (size_t i = 0; got > 0 && i < row.values; i++) {
            struct series_ref ref;

            import_labels(im);
            import_tags(im, row.tag, row.tags);
            import_label(im, LABEL_NAME, row.value[i].name);
            import_series(im, NULL, &ref);
            import_row(im, ref, row.has_time ? row.t_ms : im->now_ms, row.value[i].value);
        }
        arena_reset(&im->record);
        csv_reset(&c);
        if (!import_step(im))
            return;
    }
}

static void handle_csv(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct csv_format format;
    struct str body;
    struct err e;

    if (import_request(&im, x, "csv", &form, &body)) {
        if (csv_format_parse(&x->arena, http_form_get(&form, STR("format")), &format, &e)) {
            import_csv(&im, body, &format);
        } else {
            err_wrap(&e, "format");
            import_bad(&im, &e);
        }
        import_reply(&im, x, 204);
    }
    import_end(&im);
}

/* ---- JSON lines ---- */

static void resolve(struct import *im, const struct jsonl_series *s, struct series_ref *out)
{
    struct hash128 key = import_key(im, s->raw, STR_NONE);

    if (import_find(im, key, out))
        return;
    import_labels(im);
    import_tags(im, s->tag, s->tags);
    import_series(im, &key, out);
}

// All samples of a series, in as many batches as it takes. False: do not go on.
static bool jsonl_rows(struct import *im, const struct jsonl_series *s)
{
    for (size_t i = 0; i < s->n;) {
        size_t end = MIN(s->n, i + IMPORT_BATCH_ROWS);
        struct series_ref ref;

        resolve(im, s, &ref);
        for (; i < end; i++)
            import_row(im, ref, s->t_ms[i], s->value[i]);
        if (!import_step(im))
            return false;
    }
    return true;
}

static void put_histogram(struct import *im, struct series_ref ref, int64_t t_ms, struct str text)
{
    struct promql_series_line line;
    struct err e = { 0 };

    if (!promql_parse_series_line(&im->record, arena_printf(&im->record, "h %.*s", STRF(text)),
                                  &line, &e))
        import_bad(im, &e);
    else if (line.n != 1 || !line.v[0].hist)
        import_bad(im, &(struct err){ .text = "expected a histogram such as {{count:1 sum:2}}" });
    else
        intake_histogram(im->batch, ref, t_ms, line.v[0].hist);
}

// Histograms go straight to the batch, which they may not spread over too many days.
static bool jsonl_histograms(struct import *im, const struct jsonl_series *s)
{
    int64_t from_ms = 0, width = IMPORT_BATCH_DAYS * (int64_t)MS_DAY;
    struct series_ref ref = { 0 };

    for (size_t i = 0; i < s->histograms; i++) {
        bool far = s->t_ms[i] < from_ms || s->t_ms[i] - from_ms > width;

        if ((i == 0 || far || intake_rows(im->batch) >= IMPORT_BATCH_HISTOGRAMS) &&
            !import_flush(im))
            return false;
        if (i == 0 || intake_rows(im->batch) == 0) {
            from_ms = s->t_ms[i];
            resolve(im, s, &ref);
        }
        put_histogram(im, ref, s->t_ms[i], s->histogram[i]);
    }
    return true;
}

static void import_jsonl(struct import *im, struct str body)
{
    struct jsonl j = jsonl_of(&im->record, body);
    struct jsonl_series s;
    struct err e;
    int got;

    while ((got = jsonl_next(&j, &s, &e)) != 0) {
        if (got < 0)
            import_bad(im, &e);
        else if (!jsonl_rows(im, &s) || !jsonl_histograms(im, &s))
            return;
        arena_reset(&im->record);
        jsonl_reset(&j);
        if (!import_step(im))
            return;
    }
}

static void handle_jsonl(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct str body;

    if (import_request(&im, x, "jsonl", &form, &body)) {
        import_jsonl(&im, body);
        import_reply(&im, x, 204);
    }
    import_end(&im);
}

/* ---- text pages ---- */

static void page_series(struct import *im, enum expo_format format, const struct expo_event *ev,
                        const struct hash128 *key, struct series_ref *out, struct err *e)
{
    struct expo_labels labels;

    import_labels(im);
    if (expo_series_decode(format, ev->type, ev->series, &im->record, &labels, e))
        for (size_t i = 0; i < labels.n; i++)
            import_label(im, labels.v[i].name, labels.v[i].value);
    import_series(im, key, out);
}

static void import_page(struct import *im, struct str body, enum expo_format format, int64_t t_ms)
{
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_event ev;
    struct err e = { 0 };
    int got;

    expo_start(x, &(struct expo_options){ .format = format, .seed = im->salt }, body);
    while ((got = expo_next(x, &ev, &e)) > 0) {
        struct series_ref ref;

        if (ev.kind != EXPO_SAMPLE)
            continue;
        struct hash128 key = import_key(im, ev.series,
                                        ev.type == EXPO_HISTOGRAM ? STR("h")
                                        : ev.type == EXPO_SUMMARY ? STR("s")
                                                                  : STR_NONE);
        if (!import_find(im, key, &ref))
            page_series(im, format, &ev, &key, &ref, &e);
        import_row(im, ref, ev.has_time ? ev.t_ms : t_ms, ev.value);
        arena_reset(&im->record);
        if (!import_step(im))
            return;
    }
    if (got < 0)
        import_bad(im, &e);
}

static void handle_page(struct http_exchange *x)
{
    struct import im = { 0 };
    struct http_form form = { 0 };
    struct str body, time;
    enum expo_format format = EXPO_TEXT;
    int64_t t_ms;

    if (import_request(&im, x, "prometheus", &form, &body)) {
        time = http_form_get(&form, STR("timestamp"));
        t_ms = im.now_ms;
        (void)!expo_format_of(http_header_get(&x->req, STR("Content-Type")), EXPO_TEXT, &format,
                              &(struct err){ 0 }); // anything unknown is text
        if (format == EXPO_NONE)
            format = EXPO_TEXT;
        if (time.n && !str_to_i64(time, &t_ms))
            import_bad(&im, &(struct err){ .text = "timestamp: expected milliseconds" });
        else
            import_page(&im, body, format, t_ms);
        import_reply(&im, x, 204);
    }
    import_end(&im);
}

void import_files_routes(struct import_face *f, struct http_server *s)
{
    static const struct import_handler handlers[] = {
        { "POST PUT", "/api/v1/import", handle_jsonl, false },
        { "POST PUT", "/api/v1/import/csv", handle_csv, false },
        { "POST PUT GET", "/api/v1/import/prometheus", handle_page, false },
    };

    import_routes(f, s, handlers, ARRAY_LEN(handlers));
}
