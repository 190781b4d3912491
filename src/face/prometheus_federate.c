/*
 * prometheus_federate.c - /federate: the newest sample of each series, as another Prometheus scrapes it.
 *
 * Everything is untyped, as upstream; native histograms go out as such in protobuf only, those with
 * custom buckets as classic ones in all formats. External labels are added where a series has none of that
 * name; a series without `instance` gets an empty one, so that the scraper does not add its own.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/rune.h"
#include "base/sort.h"
#include "codec/expo_write.h"
#include "face/prometheus_priv.h"

struct row {
    struct labels labels;
    int64_t t_ms;
    double value;
    const struct histogram *hist; // NULL: value
};

typedef VEC(struct row) row_vec;
typedef VEC(struct expo_label) label_vec;

struct federation {
    struct http_exchange *x;
    struct series_set set;
    row_vec rows;
    struct labels external;
    int64_t now_ms;
    enum expo_format format;
    bool utf8; // the scraper takes names of any characters
};

static bool take_latest(void *ctx, uint32_t pos, const struct series_samples *s,
                        struct err *e UNUSED)
{
    struct federation *f = ctx;
    struct arena *a = &f->x->arena;
    size_t last = s->n - 1;
    const struct histogram *h = s->hist ? s->hist[last] : NULL;

    if (h ? histogram_is_stale(h) : sample_is_stale(s->value[last]))
        return true;
    if (h && !histogram_is_custom(h) && f->format != EXPO_PROTO)
        return true; // has no place in the text format
    *vec_push_in(a, &f->rows) = (struct row){ labels_copy(a, f->set.v[pos].labels), s->t_ms[last],
                                              s->value[last], h ? histogram_copy(a, h) : NULL };
    return true;
}

static bool collect(struct federation *f, struct series_source *source,
                    const struct prom_selectors *s, struct err *e)
{
    struct prom_face *face = prom_face_of(f->x);
    OWNED(series_view_put) struct series_view *view = NULL;
    struct budget b = prom_budget(f->x);
    int64_t lookback = face->o.engine->lookback_delta_ms;
    struct scan_query scan = { .min_ms = f->now_ms - (lookback ? lookback : 5 * MS_MINUTE) + 1,
                               .max_ms = f->now_ms };

    if (!source->open(source, scan.min_ms, scan.max_ms, &view, e))
        return false;
    for (size_t i = 0; i < s->n; i++) {
        struct select_query q = { .matchers = s->v[i].root->selector.matchers,
                                  .matcher_count = s->v[i].root->selector.matcher_count,
                                  .min_ms = scan.min_ms,
                                  .max_ms = scan.max_ms };
        if (!view->ops->select(view, &q, &f->x->arena, &b, &f->set, e) ||
            !view->ops->scan(view, &f->set, &scan, &b, take_latest, f, e))
            return false;
    }
    return true;
}

/* ---- writing ---- */

// A name for scrapers that know the old character set only: others become underscores.
static struct str escaped_name(struct federation *f, struct str name)
{
    OWNED(buf_fini) struct buf b = { 0 };
    uint32_t rune;

    if (f->utf8 || metric_name_is_legacy(name))
        return name;
    for (size_t i = 0; i < name.n;) {
        size_t n = rune_decode(str_sub(name, i, name.n), &rune);
        bool digit = rune >= '0' && rune <= '9';
        bool good = (rune | 32) - 'a' < 26 || rune == '_' || rune == ':' || (digit && i);
        buf_char(&b, good ? (char)rune : '_');
        i += n;
    }
    return arena_str(&f->x->arena, buf_view(&b));
}

static void add_label(struct federation *f, label_vec *v, struct label l)
{
    *vec_push_in(&f->x->arena, v) = (struct expo_label){ escaped_name(f, l.name), l.value };
}

static label_vec labels_of(struct federation *f, struct labels ls)
{
    label_vec v = { 0 };
    bool instance = false;

    for (size_t i = 0; i < ls.n; i++) {
        instance |= str_eq(ls.v[i].name, STR("instance"));
        if (!str_eq(ls.v[i].name, LABEL_NAME) && ls.v[i].value.n)
            add_label(f, &v, ls.v[i]);
    }
    for (size_t i = 0; i < f->external.n; i++) {
        instance |= str_eq(f->external.v[i].name, STR("instance"));
        if (!labels_get(ls, f->external.v[i].name).n)
            add_label(f, &v, f->external.v[i]);
    }
    if (!instance)
        add_label(f, &v, (struct label){ STR("instance"), STR("") });
    return v;
}

static struct expo_hist_side side_of(struct arena *a, const struct hist_side *s)
{
    struct expo_span *span = arena_array(a, s->spans, struct expo_span);

    for (uint32_t i = 0; i < s->spans; i++)
        span[i] = (struct expo_span){ s->span[i].offset, s->span[i].length };
    return (struct expo_hist_side){ span, s->count, s->spans, s->buckets };
}

static const struct expo_histogram *native_of(struct arena *a, const struct histogram *h)
{
    struct expo_histogram *out = arena_array(a, 1, struct expo_histogram);

    *out = (struct expo_histogram){ .schema = h->schema,
                                    .gauge = h->reset == HIST_RESET_GAUGE,
                                    .zero_threshold = h->zero_threshold,
                                    .zero_count = h->zero_count,
                                    .count = h->count,
                                    .sum = h->sum,
                                    .pos = side_of(a, &h->pos),
                                    .neg = side_of(a, &h->neg) };
    return out;
}

// Cumulative classic buckets of a histogram with custom bounds.
static const struct expo_bucket *classic_of(struct arena *a, const struct histogram *h)
{
    struct expo_bucket *out = arena_array(a, h->custom_n, struct expo_bucket);
    struct hist_walk w = hist_walk_of(&h->pos);
    bool more = hist_walk_next(&w);
    double sum = 0;

    for (uint32_t i = 0; i < h->custom_n; i++) {
        for (; more && w.index <= (int32_t)i; more = hist_walk_next(&w))
            sum += w.index == (int32_t)i ? w.count : 0;
        out[i] = (struct expo_bucket){ .upper = h->custom[i], .count = sum };
    }
    return out;
}

static void put_row(struct federation *f, struct expo_writer *w, const struct row *r)
{
    struct arena *a = &f->x->arena;
    label_vec labels = labels_of(f, r->labels);
    struct expo_metric m = {
        .label = labels.v, .labels = labels.n, .value = r->value, .t_ms = r->t_ms, .has_time = true
    };

    if (r->hist) {
        m.value = r->hist->sum;
        m.count = r->hist->count;
    }
    if (r->hist && histogram_is_custom(r->hist)) {
        m.bucket = classic_of(a, r->hist);
        m.buckets = r->hist->custom_n;
    } else if (r->hist) {
        m.hist = native_of(a, r->hist);
    }
    expo_write_metric(w, &m);
}

static enum expo_type type_of(const struct row *r)
{
    if (!r->hist)
        return EXPO_UNKNOWN;
    return r->hist->reset == HIST_RESET_GAUGE ? EXPO_GAUGE_HISTOGRAM : EXPO_HISTOGRAM;
}

static int row_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct row *x = a, *y = b;
    int c = str_cmp(labels_get(x->labels, LABEL_NAME), labels_get(y->labels, LABEL_NAME));

    return c ? c : labels_cmp(x->labels, y->labels);
}

static void put_rows(struct federation *f)
{
    struct expo_writer w = expo_writer(f->format, http_body(f->x));
    const struct row *before = NULL;
    struct str name = STR_NONE;

    w.keep_empty = true;
    sort_stable(f->rows.v, f->rows.n, sizeof *f->rows.v, row_order, NULL);
    for (size_t i = 0; i < f->rows.n; i++) {
        const struct row *r = &f->rows.v[i];
        struct str own = labels_get(r->labels, LABEL_NAME);
        if (!own.n || (before && labels_equal(r->labels, before->labels)))
            continue; // nameless, or matched by two selectors
        if (!before || !str_eq(own, name) || type_of(r) != type_of(before))
            expo_write_family(
                &w, &(struct expo_family){ .name = escaped_name(f, own), .type = type_of(r) });
        name = own;
        before = r;
        put_row(f, &w, r);
    }
    expo_write_end(&w);
}

static void federate(struct http_exchange *x)
{
    struct prom_face *face = prom_face_of(x);
    struct federation f = { .x = x, .now_ms = clock_ms(face->o.clock) };
    OWNED(prom_selectors_fini) struct prom_selectors s = { 0 };
    struct http_form form;
    struct str problem;
    struct err e;

    http_set_header(x, STR("Vary"), STR("Accept-Encoding"));
    if (!http_form_parse(&x->arena, &x->req, &form, &e)) {
        prom_plain_error(x, 400, arena_printf(&x->arena, "error parsing form values: %s", e.text));
        return;
    }
    if (!prom_selectors_parse(&x->arena, &form, &s, &problem)) {
        prom_plain_error(x, 400, problem);
        return;
    }
    struct str type = prom_expo_type(x, &f.format, &f.utf8);
    f.external = prom_external_labels(x);
    struct series_source *source = prom_source(x);
    if (!source)
        return;
    if (!collect(&f, source, &s, &e)) {
        prom_plain_error(x, 500, str_c(e.text));
        return;
    }
    http_set_header(x, STR("Content-Type"), type);
    put_rows(&f);
}

void prom_routes_federate(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/federate", federate);
}
