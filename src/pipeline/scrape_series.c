/*
 * scrape_series.c - labels of a series that the target's cache does not know: decoding, the target's
 * own labels, relabelling, and the limits on labels.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "pipeline/scrape_page_priv.h"

enum { SHOWN_RUNES = 50 };

// The first runes of s: what Go's %.50s shows.
static struct str shown(struct str s)
{
    size_t at = 0;
    uint32_t r;

    for (int i = 0; i < SHOWN_RUNES && at < s.n; i++)
        at += rune_decode(str_sub(s, at, s.n), &r);
    return str_sub(s, 0, at);
}

/* ---- the target's labels ---- */

static int shorter_first(const void *a, const void *b, void *ctx UNUSED)
{
    size_t x = ((const struct label *)a)->name.n, y = ((const struct label *)b)->name.n;

    return (x > y) - (x < y);
}

// exported_ before names that the target's labels took, as often as needed; short names first.
static void move_aside(struct page *p, struct labels_builder *b, struct label *v, size_t n)
{
    sort_stable(v, n, sizeof *v, shorter_first, NULL);
    for (size_t i = 0; i < n; i++) {
        struct str moved = v[i].name;
        do
            moved = arena_printf(&p->sc->arena, "exported_%.*s", STRF(moved));
        while (labels_builder_get(b, moved).n);
        labels_builder_set(b, moved, v[i].value);
    }
}

static bool has_name(const struct label *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return true;
    return false;
}

// all: the labels as the page had them, empty ones too: with honor_labels those count as present.
static void add_target_labels(struct page *p, struct labels_builder *b, struct labels all)
{
    struct labels own = p->t->labels;
    struct label *aside = arena_array(&p->sc->arena, own.n, struct label);
    size_t n = 0;

    for (size_t i = 0; i < own.n; i++) {
        if (p->conf->honor_labels) {
            if (!has_name(all.v, all.n, own.v[i].name))
                labels_builder_set(b, own.v[i].name, own.v[i].value);
            continue;
        }
        struct str there = labels_builder_get(b, own.v[i].name);
        if (there.n)
            aside[n++] = (struct label){ own.v[i].name, there };
        labels_builder_set(b, own.v[i].name, own.v[i].value);
    }
    move_aside(p, b, aside, n);
}

void scrape_report_labels(const struct scrape_target *t, struct str name, struct labels_builder *b)
{
    OWNED(arena_fini) struct arena a = { 0 };

    labels_builder_reset(b, (struct labels){ 0 });
    labels_builder_set(b, LABEL_NAME, name);
    for (size_t i = 0; i < t->labels.n; i++) {
        // Upstream moves the (absent) label of the page aside: that can delete another one.
        labels_builder_del(b, arena_printf(&a, "exported_%.*s", STRF(t->labels.v[i].name)));
        labels_builder_set(b, t->labels.v[i].name, t->labels.v[i].value);
    }
}

/* ---- checks ---- */

static bool check_lengths(struct page *p, struct str metric, struct label l)
{
    const struct conf_scrape *c = p->conf;

    if (c->label_name_length_limit && l.name.n > c->label_name_length_limit)
        return err_set(&p->error, ERR_LIMIT,
                       "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                       "length: %zu, limit: %llu)",
                       STRF(metric), STRF(shown(l.name)), l.name.n,
                       (unsigned long long)c->label_name_length_limit);
    if (c->label_value_length_limit && l.value.n > c->label_value_length_limit) {
        OWNED(buf_fini) struct buf quoted = { 0 };
        buf_quoted(&quoted, shown(l.value));
        return err_set(&p->error, ERR_LIMIT,
                       "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                       "value: %s, length: %zu, limit: %llu)",
                       STRF(metric), STRF(shown(l.name)), buf_cstr(&quoted), l.value.n,
                       (unsigned long long)c->label_value_length_limit);
    }
    return true;
}

static bool check_limits(struct page *p, struct labels ls)
{
    const struct conf_scrape *c = p->conf;
    struct str metric = shown(labels_get(ls, LABEL_NAME));
    bool ok = true;

    if (c->label_limit && ls.n > c->label_limit)
        ok = err_set(&p->error, ERR_LIMIT,
                     "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                     STRF(metric), ls.n, (unsigned long long)c->label_limit);
    for (size_t i = 0; ok && i < ls.n; i++)
        ok = check_lengths(p, metric, ls.v[i]);
    p->over_labels = !ok;
    return ok;
}

static bool check_names(struct page *p, struct labels ls)
{
    bool legacy = str_eq(p->conf->metric_name_validation_scheme, STR("legacy"));
    OWNED(buf_fini) struct buf text = { 0 };

    if (!labels_get(ls, LABEL_NAME).n)
        return err_set(&p->error, ERR_INVALID, "missing metric name (__name__ label)");
    if (labels_are_valid(ls, legacy))
        return true;
    buf_labels(&text, ls);
    return err_set(&p->error, ERR_INVALID, "invalid metric name or label names: %s",
                   buf_cstr(&text));
}

static bool is_own_name(const struct page *p, struct str name)
{
    return !p->conf->honor_labels && has_name(p->t->labels.v, p->t->labels.n, name);
}

/* ---- all of it ---- */

// The labels as written, in the arena.
static bool read_labels(struct page *p, const struct page_sample *x, struct labels *out)
{
    struct arena *a = &p->sc->arena;
    struct expo_labels raw;

    if (x->made)
        return scrape_nhcb_labels(p, out);
    if (!expo_series_decode(p->format, x->ev->type, x->ev->series, a, &raw, &p->error))
        return false;
    struct label *v = arena_array(a, raw.n, struct label);
    for (size_t i = 0; i < raw.n; i++)
        v[i] = (struct label){ raw.v[i].name, raw.v[i].value };
    *out = (struct labels){ v, raw.n };
    return true;
}

bool scrape_page_labels(struct page *p, const struct page_sample *x, struct labels_builder *b,
                        bool *dropped)
{
    struct arena *a = &p->sc->arena;
    struct labels all;
    struct str twice = STR_NONE;

    if (!read_labels(p, x, &all))
        return false;
    struct label *sorted = arena_array(a, all.n, struct label);
    size_t n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].value.n)
            sorted[n++] = all.v[i];
    labels_builder_reset(b, (struct labels){ 0 });
    for (size_t i = 0; i < n; i++)
        labels_builder_set(b, sorted[i].name, sorted[i].value);
    bool unique = labels_normalize(sorted, &n, &twice);
    add_target_labels(p, b, all);
    *dropped = !relabel_apply(p->conf->metric_relabel, p->conf->metric_relabel_configs.n, b, a) ||
               b->n == 0;
    if (*dropped)
        return true;
    struct labels ls = labels_builder_view(b);
    if (!check_names(p, ls) || !check_limits(p, ls))
        return false;
    if (!unique && labels_get(ls, twice).n && !is_own_name(p, twice))
        return err_set(&p->error, ERR_INVALID, "label name \"%.*s\" is not unique: invalid sample",
                       STRF(shown(twice)));
    return true;
}
