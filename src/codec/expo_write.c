/*
 * expo_write.c - the text writers, and the program's own metrics in any format.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo_write.h"

#include <math.h>

#include "base/metric.h"
#include "base/num.h"
#include "codec/expo_priv.h"
#include "codec/expo_write_priv.h"

const char *expo_content_type(enum expo_format format)
{
    switch (format) {
    case EXPO_OPENMETRICS:
        return "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    case EXPO_PROTO:
        return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
               "encoding=delimited; escaping=allow-utf-8";
    default:
        return "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";
    }
}

/* ---- pieces of text ---- */

static void put_escaped(struct buf *b, struct str s, bool quotes)
{
    const char *p = s.p, *end = s.p + s.n, *from = p;

    for (; p < end; p++) {
        if (*p != '\\' && *p != '\n' && !(quotes && *p == '"'))
            continue;
        buf_bytes(b, from, (size_t)(p - from));
        buf_char(b, '\\');
        buf_char(b, *p == '\n' ? 'n' : *p);
        from = p + 1;
    }
    buf_bytes(b, from, (size_t)(end - from));
}

static void put_quoted(struct buf *b, struct str s)
{
    buf_char(b, '"');
    put_escaped(b, s, true);
    buf_char(b, '"');
}

static bool is_plain(struct str s, unsigned first, unsigned rest)
{
    if (s.n == 0 || !is_class(s.p[0], first))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_class(s.p[i], rest))
            return false;
    return true;
}

static void put_metric_name(struct buf *b, struct str s)
{
    if (is_plain(s, CLASS_NAME, CLASS_NAME_REST))
        buf_str(b, s);
    else
        put_quoted(b, s);
}

static void put_label(struct buf *b, struct str name, struct str value)
{
    if (is_plain(name, CLASS_LETTER, CLASS_LABEL_REST))
        buf_str(b, name);
    else
        put_quoted(b, name);
    buf_char(b, '=');
    put_quoted(b, value);
}

static void put_float(const struct expo_writer *w, double v)
{
    char text[NUM_TEXT_MAX + 2];

    if (w->format == EXPO_OPENMETRICS)
        buf_bytes(w->out, text, expo_format_float(v, text));
    else
        buf_double_g(w->out, v);
}

// Counts are integers in OpenMetrics where they are whole.
static void put_count(const struct expo_writer *w, double v)
{
    if (w->format == EXPO_OPENMETRICS && v >= 0 && v < 1e15 && v == floor(v))
        buf_u64(w->out, (uint64_t)v);
    else
        put_float(w, v);
}

static void put_seconds(const struct expo_writer *w, int64_t ms)
{
    char text[NUM_TEXT_MAX + 2];
    size_t n = num_format_f((double)ms / 1000, text);

    buf_bytes(w->out, text, n);
    if (!memchr(text, '.', n))
        buf_lit(w->out, ".0");
}

static void put_labels(const struct expo_writer *w, const struct expo_label *v, size_t n, bool more)
{
    struct buf *b = w->out;

    for (size_t i = 0; i < n; i++) {
        if (v[i].value.n == 0 && !w->keep_empty)
            continue;
        if (more)
            buf_char(b, ',');
        put_label(b, v[i].name, v[i].value);
        more = true;
    }
}

static void put_exemplar(const struct expo_writer *w, const struct expo_exemplar_out *ex)
{
    if (!ex || w->format != EXPO_OPENMETRICS)
        return;
    buf_lit(w->out, " # {");
    put_labels(w, ex->label, ex->labels, false);
    buf_lit(w->out, "} ");
    put_float(w, ex->value);
    if (ex->t_ms) {
        buf_char(w->out, ' ');
        put_seconds(w, ex->t_ms);
    }
}

/* ---- samples ---- */

struct sample {
    struct str name, suffix;
    struct str extra_name, extra_value; // le or quantile
    double value;
    bool is_count;
    const struct expo_exemplar_out *exemplar;
};

static void put_series(const struct expo_writer *w, const struct sample *s,
                       const struct expo_metric *m)
{
    struct buf *b = w->out;
    bool plain = is_plain(s->name, CLASS_NAME, CLASS_NAME_REST), any = s->extra_name.n > 0;

    for (size_t i = 0; i < m->labels && !any; i++)
        any = m->label[i].value.n > 0 || w->keep_empty;
    if (plain) {
        buf_str(b, s->name);
        buf_str(b, s->suffix);
        if (!any)
            return;
        buf_char(b, '{');
    } else {
        buf_lit(b, "{\"");
        put_escaped(b, s->name, true);
        buf_str(b, s->suffix);
        buf_char(b, '"');
    }
    size_t before = b->n;
    put_labels(w, m->label, m->labels, !plain);
    if (s->extra_name.n) {
        if (!plain || b->n > before)
            buf_char(b, ',');
        put_label(b, s->extra_name, s->extra_value);
    }
    buf_char(b, '}');
}

static void put_sample(struct expo_writer *w, const struct sample *s, const struct expo_metric *m)
{
    put_series(w, s, m);
    buf_char(w->out, ' ');
    if (s->is_count)
        put_count(w, s->value);
    else
        put_float(w, s->value);
    if (m->has_time) {
        buf_char(w->out, ' ');
        if (w->format == EXPO_OPENMETRICS)
            put_seconds(w, m->t_ms);
        else
            buf_i64(w->out, m->t_ms);
    }
    put_exemplar(w, s->exemplar);
    buf_char(w->out, '\n');
}

static struct str le_text(const struct expo_writer *w, double v, char *out)
{
    size_t n = w->format == EXPO_OPENMETRICS ? expo_format_float(v, out) : num_format_g(v, out);

    return str_of(out, n);
}

static void put_sum_and_count(struct expo_writer *w, const struct expo_metric *m, bool gauge)
{
    put_sample(w,
               &(struct sample){ .name = w->family.name,
                                 .suffix = gauge ? STR("_gsum") : STR("_sum"),
                                 .value = m->value },
               m);
    put_sample(w,
               &(struct sample){ .name = w->family.name,
                                 .suffix = gauge ? STR("_gcount") : STR("_count"),
                                 .value = m->count,
                                 .is_count = true },
               m);
}

static void put_histogram(struct expo_writer *w, const struct expo_metric *m)
{
    bool gauge = w->family.type == EXPO_GAUGE_HISTOGRAM && w->format == EXPO_OPENMETRICS;
    bool inf = false;
    char text[NUM_TEXT_MAX + 2];

    for (size_t i = 0; i < m->buckets || !inf; i++) {
        struct expo_bucket end = { .upper = INFINITY, .count = m->count };
        const struct expo_bucket *b = i < m->buckets ? &m->bucket[i] : &end;

        inf = b->upper == INFINITY;
        put_sample(w,
                   &(struct sample){ .name = w->family.name,
                                     .suffix = STR("_bucket"),
                                     .extra_name = STR("le"),
                                     .extra_value = le_text(w, b->upper, text),
                                     .value = b->count,
                                     .is_count = true,
                                     .exemplar = b->exemplar },
                   m);
    }
    put_sum_and_count(w, m, gauge);
}

static void put_summary(struct expo_writer *w, const struct expo_metric *m)
{
    char text[NUM_TEXT_MAX + 2];

    for (size_t i = 0; i < m->quantiles; i++)
        put_sample(w,
                   &(struct sample){ .name = w->family.name,
                                     .extra_name = STR("quantile"),
                                     .extra_value = le_text(w, m->quantile[i].quantile, text),
                                     .value = m->quantile[i].value },
                   m);
    put_sum_and_count(w, m, false);
}

/* ---- families ---- */

// The type word of the format in hand; *cut: bytes of the name that its metadata has not.
static const char *type_word(const struct expo_writer *w, size_t *cut)
{
    static const char *const text[] = {
        [EXPO_UNKNOWN] = "untyped", [EXPO_COUNTER] = "counter",
        [EXPO_GAUGE] = "gauge",     [EXPO_HISTOGRAM] = "histogram",
        [EXPO_SUMMARY] = "summary", [EXPO_GAUGE_HISTOGRAM] = "histogram",
        [EXPO_INFO] = "gauge",      [EXPO_STATESET] = "gauge",
    };
    static const char *const om[] = {
        [EXPO_UNKNOWN] = "unknown", [EXPO_COUNTER] = "counter",
        [EXPO_GAUGE] = "gauge",     [EXPO_HISTOGRAM] = "histogram",
        [EXPO_SUMMARY] = "summary", [EXPO_GAUGE_HISTOGRAM] = "gaugehistogram",
        [EXPO_INFO] = "info",       [EXPO_STATESET] = "stateset",
    };
    enum expo_type type = w->family.type;

    *cut = 0;
    if (w->format != EXPO_OPENMETRICS)
        return text[type];
    if (type == EXPO_COUNTER || type == EXPO_INFO) {
        struct str suffix = type == EXPO_COUNTER ? STR("_total") : STR("_info");
        if (!str_ends(w->family.name, suffix))
            return "unknown";
        *cut = suffix.n;
    }
    return om[type];
}

static void put_meta(struct expo_writer *w, const char *keyword, struct str name)
{
    buf_printf(w->out, "# %s ", keyword);
    put_metric_name(w->out, name);
    buf_char(w->out, ' ');
}

static void close_family(struct expo_writer *w)
{
    if (w->open && w->format == EXPO_PROTO)
        expo_write_proto_close(w);
    w->open = false;
}

void expo_write_family(struct expo_writer *w, const struct expo_family *f)
{
    size_t cut;

    close_family(w);
    w->family = *f;
    w->open = true;
    if (w->format == EXPO_PROTO) {
        expo_write_proto_family(w);
        return;
    }
    const char *type = type_word(w, &cut);
    struct str name = str_sub(f->name, 0, f->name.n - cut);
    if (f->help.p) {
        put_meta(w, "HELP", name);
        put_escaped(w->out, f->help, w->format == EXPO_OPENMETRICS);
        buf_char(w->out, '\n');
    }
    put_meta(w, "TYPE", name);
    buf_printf(w->out, "%s\n", type);
    if (f->unit.n && w->format == EXPO_OPENMETRICS) {
        put_meta(w, "UNIT", name);
        buf_str(w->out, f->unit);
        buf_char(w->out, '\n');
    }
}

static void put_created(struct expo_writer *w, const struct expo_metric *m)
{
    struct expo_metric plain = { .label = m->label, .labels = m->labels };
    struct sample s = { .name = w->family.name, .suffix = STR("_created") };

    if (str_ends(s.name, STR("_total")))
        s.name.n -= 6;
    put_series(w, &s, &plain);
    buf_char(w->out, ' ');
    put_seconds(w, m->start_ms);
    buf_char(w->out, '\n');
}

void expo_write_metric(struct expo_writer *w, const struct expo_metric *m)
{
    enum expo_type type = w->family.type;
    bool has_start = type == EXPO_COUNTER || type == EXPO_HISTOGRAM || type == EXPO_SUMMARY;

    assert(w->open);
    if (w->format == EXPO_PROTO) {
        expo_write_proto_metric(w, m);
        return;
    }
    if (type == EXPO_HISTOGRAM || type == EXPO_GAUGE_HISTOGRAM)
        put_histogram(w, m);
    else if (type == EXPO_SUMMARY)
        put_summary(w, m);
    else
        put_sample(w,
                   &(struct sample){
                       .name = w->family.name,
                       .value = m->value,
                       .exemplar = type == EXPO_COUNTER ? m->exemplar : NULL,
                   },
                   m);
    if (m->start_ms && has_start && w->format == EXPO_OPENMETRICS)
        put_created(w, m);
}

void expo_write_end(struct expo_writer *w)
{
    close_family(w);
    if (w->format == EXPO_OPENMETRICS)
        buf_lit(w->out, "# EOF\n");
}

/* ---- the program's own metrics ---- */

struct self {
    struct expo_writer *w;
    struct str family; // the one before; its bytes live as long as the process
    struct arena a;
};

static void self_family(struct self *self, const struct metric_sample *s)
{
    static const enum expo_type types[] = { [METRIC_COUNTER] = EXPO_COUNTER,
                                            [METRIC_GAUGE] = EXPO_GAUGE,
                                            [METRIC_HISTOGRAM] = EXPO_HISTOGRAM,
                                            [METRIC_SUMMARY] = EXPO_SUMMARY };

    if (self->family.p && str_eq(self->family, s->family))
        return;
    self->family = s->family;
    expo_write_family(self->w, &(struct expo_family){ .name = s->family,
                                                      .help = s->help.p ? s->help : STR(""),
                                                      .type = types[s->kind] });
}

static void self_visit(void *ctx, const struct metric_sample *s)
{
    struct self *self = ctx;
    struct expo_metric m = { .value = s->value, .count = (double)s->count };
    double sum = 0;

    arena_reset(&self->a);
    self_family(self, s);
    struct expo_label *label = arena_array(&self->a, s->label_count, struct expo_label);
    for (size_t i = 0; i < s->label_count; i++)
        label[i] = (struct expo_label){ str_c(s->label_names[i]), s->label_values[i] };
    m.label = label;
    m.labels = s->label_count;
    struct expo_bucket *bucket = arena_array(&self->a, s->bound_count, struct expo_bucket);
    for (size_t i = 0; i < s->bound_count; i++) {
        sum += (double)s->counts[i];
        bucket[i] = (struct expo_bucket){ .upper = s->bounds[i], .count = sum };
    }
    m.bucket = bucket;
    m.buckets = s->bound_count;
    expo_write_metric(self->w, &m);
}

void expo_write_self(struct expo_writer *w)
{
    struct self self = { .w = w };

    metric_each(self_visit, &self);
    arena_fini(&self.a);
}
