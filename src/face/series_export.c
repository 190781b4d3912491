// series_export.c - series as JSON lines and CSV. See series_export.h.
// SPDX-License-Identifier: Apache-2.0
#include "face/series_export.h"

#include "base/num.h"
#include "base/time.h"
#include "codec/csv.h"
#include "codec/json.h"
#include "codec/jsonl.h"
#include "model/histogram.h"

enum { COLUMNS_MAX = 64, PIECE_BYTES = 256 << 10 };

enum column_kind {
    COLUMN_LABEL,
    COLUMN_SERIES,
    COLUMN_VALUE,
    COLUMN_S,
    COLUMN_MS,
    COLUMN_NS,
    COLUMN_RFC3339
};

struct column {
    enum column_kind kind;
    struct str label;
};

struct exporter {
    const struct series_export *o;
    struct arena *arena;
    struct series_set set;
    size_t selector; // in work
    struct column column[COLUMNS_MAX];
    size_t columns;
    struct buf out, text;
    VEC(int64_t) t_ms;
    VEC(double) value;
    VEC(const struct histogram *) hist;
    VEC(int64_t) hist_ms;
    struct series_export_counts counts;
};

bool series_time_parse(struct str text, int64_t *out_ms)
{
    double v;
    int64_t ns;

    if (num_parse_double(text, &v)) {
        if (v != v)
            return false;
        // Beyond the year 5138 in seconds: those are milliseconds.
        *out_ms = v > 1e11 || v < -1e11 ? (v > 9e18    ? INT64_MAX
                                           : v < -9e18 ? INT64_MIN
                                                       : (int64_t)v)
                                        : ms_from_seconds(v);
        return true;
    }
    if (!rfc3339_parse(text, &ns, &(struct err){ 0 })) // the caller names the parameter
        return false;
    *out_ms = floor_div(ns, NS_MS);
    return true;
}

/* ---- columns ---- */

static bool read_column(struct str item, struct column *out)
{
    static const struct {
        const char *name;
        enum column_kind kind;
    } kinds[] = {
        { "__series__", COLUMN_SERIES },
        { "__value__", COLUMN_VALUE },
        { "__timestamp__", COLUMN_MS },
        { "__timestamp__:unix_s", COLUMN_S },
        { "__timestamp__:unix_ms", COLUMN_MS },
        { "__timestamp__:unix_ns", COLUMN_NS },
        { "__timestamp__:rfc3339", COLUMN_RFC3339 },
    };

    *out = (struct column){ COLUMN_LABEL, item };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq_c(item, kinds[i].name))
            out->kind = kinds[i].kind;
    return item.n && (out->kind != COLUMN_LABEL || !str_starts(item, STR("__timestamp__")));
}

static bool read_columns(struct exporter *x, struct err *e)
{
    struct str rest = x->o->columns.n ? x->o->columns
                                      : STR("__series__,__timestamp__:rfc3339,__value__");

    while (rest.p) {
        struct str item = str_cut(&rest, ',');

        if (x->columns >= COLUMNS_MAX || !read_column(item, &x->column[x->columns++]))
            return err_set(e, ERR_INVALID,
                           "format: expected label names, __series__, __value__ or "
                           "__timestamp__:unix_s, unix_ms, unix_ns, rfc3339, got \"%.*s\"",
                           STRF(item));
    }
    return true;
}

/* ---- writing ---- */

static bool flush(struct exporter *x, size_t above, struct err *e)
{
    if (x->out.n <= above)
        return true;
    bool ok = x->o->write(x->o->ctx, buf_view(&x->out), e);
    buf_reset(&x->out);
    return ok;
}

static void csv_time(struct buf *b, enum column_kind kind, int64_t t_ms)
{
    switch (kind) {
    case COLUMN_S:
        buf_i64(b, floor_div(t_ms, 1000));
        break;
    case COLUMN_NS:
        buf_i64(b, t_ms);
        buf_lit(b, "000000");
        break;
    case COLUMN_RFC3339:
        buf_rfc3339_ms(b, t_ms);
        break;
    default:
        buf_i64(b, t_ms);
    }
}

static void csv_row(struct exporter *x, struct labels ls, int64_t t_ms, double v)
{
    for (size_t i = 0; i < x->columns; i++) {
        if (i)
            buf_char(&x->out, ',');
        if (x->column[i].kind == COLUMN_LABEL) {
            buf_csv_cell(&x->out, labels_get(ls, x->column[i].label));
        } else if (x->column[i].kind == COLUMN_SERIES) {
            buf_csv_cell(&x->out, buf_view(&x->text));
        } else if (x->column[i].kind == COLUMN_VALUE) {
            buf_double_f(&x->out, v);
        } else {
            csv_time(&x->out, x->column[i].kind, t_ms);
        }
    }
    buf_char(&x->out, '\n');
}

static bool write_csv(struct exporter *x, struct labels ls, struct err *e)
{
    buf_reset(&x->text);
    buf_series(&x->text, ls);
    for (size_t i = 0; i < x->value.n; i++) {
        csv_row(x, ls, x->t_ms.v[i], x->value.v[i]);
        if (!flush(x, PIECE_BYTES, e))
            return false;
    }
    return true;
}

static void write_histograms(struct exporter *x, struct labels ls)
{
    struct buf *b = &x->out;

    if (!x->hist.n)
        return;
    buf_lit(b, "{\"metric\":{");
    for (size_t i = 0; i < ls.n; i++) {
        if (i)
            buf_char(b, ',');
        buf_json_str(b, ls.v[i].name);
        buf_char(b, ':');
        buf_json_str(b, ls.v[i].value);
    }
    buf_lit(b, "},\"histograms\":[");
    for (size_t i = 0; i < x->hist.n; i++) {
        buf_reset(&x->text);
        buf_histogram_test(&x->text, x->hist.v[i]);
        if (i)
            buf_char(b, ',');
        buf_json_str(b, buf_view(&x->text));
    }
    buf_lit(b, "],\"timestamps\":[");
    for (size_t i = 0; i < x->hist.n; i++) {
        if (i)
            buf_char(b, ',');
        buf_i64(b, x->hist_ms.v[i]);
    }
    buf_lit(b, "]}\n");
}

static bool write_jsonl(struct exporter *x, struct labels ls, struct err *e)
{
    struct arena_mark mark = arena_mark(x->arena);
    struct line_tag *tag = arena_array(x->arena, ls.n, struct line_tag);
    size_t step = x->o->rows_per_line ? x->o->rows_per_line : SIZE_MAX;

    for (size_t i = 0; i < ls.n; i++)
        tag[i] = (struct line_tag){ ls.v[i].name, ls.v[i].value };
    for (size_t i = 0; i < x->value.n;) {
        size_t n = MIN(step, x->value.n - i);

        jsonl_write(
            &x->out,
            &(struct jsonl_series){
                .tag = tag, .tags = ls.n, .value = x->value.v + i, .t_ms = x->t_ms.v + i, .n = n });
        i += n;
        if (!flush(x, PIECE_BYTES, e))
            return false;
    }
    write_histograms(x, ls);
    arena_release(x->arena, mark);
    return true;
}

/* ---- reading ---- */

// Whether an earlier selector had the series already.
static bool was_written(const struct exporter *x, struct labels ls)
{
    for (size_t i = 0; i < x->selector; i++) {
        const struct promql *q = &x->o->selector[i];

        if (matchers_match(q->root->selector.matchers, q->root->selector.matcher_count, ls))
            return true;
    }
    return false;
}

static bool visit(void *ctx, uint32_t pos, const struct series_samples *s, struct err *e)
{
    struct exporter *x = ctx;
    struct labels ls = x->set.v[pos].labels;

    if (was_written(x, ls))
        return true;
    x->t_ms.n = x->value.n = x->hist.n = x->hist_ms.n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->hist && s->hist[i]) {
            if (histogram_is_stale(s->hist[i]))
                continue;
            *vec_push(&x->hist) = s->hist[i];
            *vec_push(&x->hist_ms) = s->t_ms[i];
        } else if (!sample_is_stale(s->value[i])) {
            *vec_push(&x->t_ms) = s->t_ms[i];
            *vec_push(&x->value) = s->value[i];
        }
    }
    x->counts.series++;
    x->counts.samples += x->value.n;
    x->counts.histograms += x->hist.n;
    return (x->o->format == SERIES_CSV ? write_csv(x, ls, e) : write_jsonl(x, ls, e)) &&
           flush(x, PIECE_BYTES, e);
}

static bool export_selected(struct exporter *x, struct series_view *view, struct err *e)
{
    static const struct matcher all = { .op = MATCH_NE, .name = { "__name__", 8 } };
    struct budget none = { 0 };
    struct budget *b = x->o->budget ? x->o->budget : &none;
    const struct promql *q = x->o->selectors ? &x->o->selector[x->selector] : NULL;
    struct select_query select = { .matchers = q ? q->root->selector.matchers : &all,
                                   .matcher_count = q ? q->root->selector.matcher_count : 1,
                                   .min_ms = x->o->min_ms,
                                   .max_ms = x->o->max_ms };
    struct scan_query scan = { .min_ms = x->o->min_ms, .max_ms = x->o->max_ms };

    return view->ops->select(view, &select, x->arena, b, &x->set, e) &&
           view->ops->scan(view, &x->set, &scan, b, visit, x, e);
}

bool series_export(const struct series_export *o, struct series_export_counts *out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *view = NULL;
    struct exporter x = { .o = o, .arena = &a };
    bool ok = (o->format != SERIES_CSV || read_columns(&x, e)) &&
              o->source->open(o->source, o->min_ms, o->max_ms, &view, e);

    for (size_t n = MAX(o->selectors, (size_t)1); ok && x.selector < n; x.selector++)
        ok = export_selected(&x, view, e);
    ok = ok && flush(&x, 0, e);
    buf_fini(&x.out);
    buf_fini(&x.text);
    vec_fini(&x.t_ms);
    vec_fini(&x.value);
    vec_fini(&x.hist);
    vec_fini(&x.hist_ms);
    if (ok)
        *out = x.counts;
    return ok;
}
