/*
 * expo_check.c - what a strict OpenMetrics 1.0 reader demands beyond the grammar.
 *
 * Families follow each other and never come back; metadata precede samples; the samples of one metric
 * stand together, in time; names of different families do not clash; and each type's samples are
 * complete and consistent. Source: the OpenMetrics 1.0 specification and its test suite.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo.h"

#include <math.h>

#include "base/cursor.h"
#include "base/map.h"
#include "base/num.h"
#include "base/sort.h"
#include "codec/expo_priv.h"

enum { EXEMPLAR_RUNES_MAX = 128 };

enum part { PART_VALUE, PART_TOTAL, PART_CREATED, PART_BUCKET, PART_COUNT, PART_SUM, PART_INFO };

// Which suffixes a type has; the empty one is the plain name.
static const struct suffix {
    enum expo_type type;
    enum part part;
    struct str text;
} suffixes[] = {
    { EXPO_UNKNOWN, PART_VALUE, { "", 0 } },
    { EXPO_GAUGE, PART_VALUE, { "", 0 } },
    { EXPO_STATESET, PART_VALUE, { "", 0 } },
    { EXPO_INFO, PART_INFO, { "_info", 5 } },
    { EXPO_COUNTER, PART_TOTAL, { "_total", 6 } },
    { EXPO_COUNTER, PART_CREATED, { "_created", 8 } },
    { EXPO_SUMMARY, PART_VALUE, { "", 0 } },
    { EXPO_SUMMARY, PART_COUNT, { "_count", 6 } },
    { EXPO_SUMMARY, PART_SUM, { "_sum", 4 } },
    { EXPO_SUMMARY, PART_CREATED, { "_created", 8 } },
    { EXPO_HISTOGRAM, PART_BUCKET, { "_bucket", 7 } },
    { EXPO_HISTOGRAM, PART_COUNT, { "_count", 6 } },
    { EXPO_HISTOGRAM, PART_SUM, { "_sum", 4 } },
    { EXPO_HISTOGRAM, PART_CREATED, { "_created", 8 } },
    { EXPO_GAUGE_HISTOGRAM, PART_BUCKET, { "_bucket", 7 } },
    { EXPO_GAUGE_HISTOGRAM, PART_COUNT, { "_gcount", 7 } },
    { EXPO_GAUGE_HISTOGRAM, PART_SUM, { "_gsum", 5 } },
};

// One metric at one time: what its samples said.
struct point {
    uint64_t key; // of its labels but le, quantile and the state
    bool open, has_time;
    int64_t t_ms;
    size_t buckets;
    double last_le, last_count, count, sum;
    bool negative, has_count, has_sum;
};

struct check {
    struct expo *x;
    struct str body;
    struct arena a;
    struct str family;
    enum expo_type type;
    bool open, has_type, has_help, has_unit, has_samples;
    VEC(struct str) claimed; // names that families took
    struct map by_name;
    VEC(uint64_t) groups; // metrics of the family that are done
    struct map by_group;
    VEC(uint64_t) series; // of the family, without a time: they must not come twice
    struct map by_series;
    struct point point;
};

static bool fail(const struct check *c, struct err *e, const char *text)
{
    size_t at = (size_t)(c->x->l.line - c->body.p);

    return err_at(e, pos_of_offset(c->body, at), ERR_INVALID, "%s", text);
}

/* ---- families ---- */

static bool is_claimed(const void *ctx, const void *key, uint32_t i)
{
    return str_eq(((const struct check *)ctx)->claimed.v[i], *(const struct str *)key);
}

static bool claim(struct check *c, struct str name, struct err *e)
{
    uint64_t hash = hash_keyed(name);

    if (map_find(&c->by_name, hash, is_claimed, c, &name) != MAP_NONE)
        return fail(c, e, "metric name clashes with another family");
    map_add(&c->by_name, hash, (uint32_t)c->claimed.n);
    *vec_push_in(&c->a, &c->claimed) = name;
    return true;
}

static bool claim_suffixes(struct check *c, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (suffixes[i].type == c->type && suffixes[i].text.n &&
            !claim(c, arena_printf(&c->a, "%.*s%s", STRF(c->family), suffixes[i].text.p), e))
            return false;
    return true;
}

static bool is_gauge_hist(const struct check *c)
{
    return c->type == EXPO_GAUGE_HISTOGRAM;
}

// What can be said of a point only when all its samples are there.
static bool close_point(struct check *c, struct err *e)
{
    const struct point *p = &c->point;

    if (!p->open || (c->type != EXPO_HISTOGRAM && !is_gauge_hist(c)))
        return true;
    if (p->buckets == 0 || p->last_le != INFINITY)
        return fail(c, e, "histogram without a bucket of +Inf as its last");
    if (p->has_count && p->count != p->last_count)
        return fail(c, e, "histogram's count differs from its +Inf bucket");
    if (p->has_sum && p->negative && !is_gauge_hist(c))
        return fail(c, e, "histogram with negative buckets cannot have a sum");
    if (p->has_sum && p->sum < 0 && !p->negative)
        return fail(c, e, "negative sum without negative buckets");
    if (p->has_count != p->has_sum && !(p->negative && p->has_count))
        return fail(c, e, "histogram must have both count and sum or neither");
    return true;
}

static bool close_family(struct check *c, struct err *e)
{
    bool ok = close_point(c, e);

    c->point = (struct point){ 0 };
    c->groups.n = c->series.n = 0;
    map_fini(&c->by_group); // not reset: a big family must not make small ones slow
    map_fini(&c->by_series);
    c->open = false;
    return ok;
}

static bool open_family(struct check *c, struct str name, struct err *e)
{
    if (!close_family(c, e))
        return false;
    c->family = arena_str(&c->a, name);
    c->type = EXPO_UNKNOWN;
    c->open = true;
    c->has_type = c->has_help = c->has_unit = c->has_samples = false;
    return claim(c, c->family, e);
}

static bool check_meta(struct check *c, const struct expo_event *ev, struct err *e)
{
    bool *had = ev->kind == EXPO_META_TYPE   ? &c->has_type
                : ev->kind == EXPO_META_HELP ? &c->has_help
                                             : &c->has_unit;

    if ((!c->open || !str_eq(c->family, ev->name)) && !open_family(c, ev->name, e))
        return false;
    if (c->has_samples)
        return fail(c, e, "metadata behind samples of its family");
    if (*had)
        return fail(c, e, "metadata repeated");
    *had = true;
    if (ev->kind == EXPO_META_TYPE) {
        c->type = ev->type;
        if (!claim_suffixes(c, e))
            return false;
    }
    if (c->has_unit && (c->type == EXPO_INFO || c->type == EXPO_STATESET))
        return fail(c, e, "info and stateset have no unit");
    return true;
}

/* ---- samples ---- */

static bool find_part(const struct check *c, struct str name, enum part *out)
{
    for (size_t i = 0; c->open && i < ARRAY_LEN(suffixes); i++) {
        struct str text = suffixes[i].text;

        if (suffixes[i].type == c->type && name.n == c->family.n + text.n &&
            str_starts(name, c->family) && str_ends(name, text)) {
            *out = suffixes[i].part;
            return true;
        }
    }
    return false;
}

static int cmp_label(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct expo_label *)a)->name, ((const struct expo_label *)b)->name);
}

static struct str get_label(const struct expo_labels *ls, struct str name)
{
    for (size_t i = 1; i < ls->n; i++)
        if (str_eq(ls->v[i].name, name))
            return ls->v[i].value;
    return STR_NONE;
}

// The label that tells the samples of one metric apart; empty: there is none.
static struct str inner_label(const struct check *c, enum part part)
{
    if (part == PART_BUCKET)
        return STR("le");
    if (c->type == EXPO_SUMMARY && part == PART_VALUE)
        return STR("quantile");
    return c->type == EXPO_STATESET ? c->family : STR("");
}

static uint64_t group_key(const struct expo_labels *ls, struct str inner, bool whole)
{
    uint64_t key = whole ? hash_keyed(ls->v[0].value) : 1;

    for (size_t i = 1; i < ls->n; i++)
        if (whole || !str_eq(ls->v[i].name, inner))
            key = hash_seeded(ls->v[i].value, hash_seeded(ls->v[i].name, key));
    return key;
}

static bool is_group(const void *ctx, const void *key, uint32_t i)
{
    return ((const struct check *)ctx)->groups.v[i] == *(const uint64_t *)key;
}

static bool enter_group(struct check *c, uint64_t key, struct err *e)
{
    if (map_find(&c->by_group, key, is_group, c, &key) != MAP_NONE)
        return fail(c, e, "samples of one metric are not together");
    map_add(&c->by_group, key, (uint32_t)c->groups.n);
    *vec_push_in(&c->a, &c->groups) = key;
    return true;
}

static bool is_series(const void *ctx, const void *key, uint32_t i)
{
    return ((const struct check *)ctx)->series.v[i] == *(const uint64_t *)key;
}

static bool enter_series(struct check *c, uint64_t key, struct err *e)
{
    if (map_find(&c->by_series, key, is_series, c, &key) != MAP_NONE)
        return fail(c, e, "series repeated");
    map_add(&c->by_series, key, (uint32_t)c->series.n);
    *vec_push_in(&c->a, &c->series) = key;
    return true;
}

// Opens the point that the sample belongs to, if it is not the one in hand.
static bool enter_point(struct check *c, const struct expo_event *ev, uint64_t key, uint64_t series,
                        struct err *e)
{
    struct point *p = &c->point;
    bool later = true;

    if (p->open && p->key == key) {
        if (p->has_time != ev->has_time)
            return fail(c, e, "samples of one metric with and without a time");
        if (ev->has_time && ev->t_ms < p->t_ms)
            return fail(c, e, "times of one metric go backwards");
        later = ev->has_time && ev->t_ms > p->t_ms;
    } else if (!enter_group(c, key, e)) {
        return false;
    }
    if (later) {
        if (!close_point(c, e))
            return false;
        *p = (struct point){ .key = key, .open = true, .has_time = ev->has_time, .t_ms = ev->t_ms };
    }
    return ev->has_time || enter_series(c, series, e);
}

static bool check_bucket(struct check *c, struct str text, double count, struct err *e)
{
    struct point *p = &c->point;
    double le;

    if (!text.p || !num_parse_double(text, &le) || isnan(le) ||
        (isinf(le) && !str_eq(text, STR("+Inf"))))
        return fail(c, e, "bucket without a valid le");
    if (p->buckets && le <= p->last_le)
        return fail(c, e, "buckets are not in ascending order");
    if (p->buckets && count < p->last_count)
        return fail(c, e, "bucket counts go down");
    p->buckets++;
    p->last_le = le;
    p->last_count = count;
    p->negative |= le < 0;
    return true;
}

static bool check_quantile(struct check *c, struct str text, double v, struct err *e)
{
    double q;

    if (!text.p || !num_parse_double(text, &q) || !(q >= 0 && q <= 1))
        return fail(c, e, "summary without a quantile from 0 to 1");
    return !(v < 0) || fail(c, e, "negative quantile value");
}

static bool check_value(struct check *c, enum part part, double v, struct err *e)
{
    bool counts = part == PART_TOTAL || part == PART_BUCKET || part == PART_COUNT;
    bool sums = part == PART_SUM;

    if ((counts || sums) && isnan(v))
        return fail(c, e, "counter-like value is NaN");
    if ((counts || (sums && c->type == EXPO_SUMMARY)) && v < 0)
        return fail(c, e, "counter-like value is negative");
    if (part == PART_INFO && v != 1)
        return fail(c, e, "info's value is not 1");
    if (c->type == EXPO_STATESET && v != 0 && v != 1)
        return fail(c, e, "stateset's value is neither 0 nor 1");
    if (part == PART_COUNT) {
        c->point.has_count = true;
        c->point.count = v;
    } else if (sums) {
        c->point.has_sum = true;
        c->point.sum = v;
    }
    return true;
}

static bool check_exemplar(struct check *c, const struct expo_event *ev, enum part part,
                           struct err *e)
{
    struct expo_labels ls;
    size_t runes = 0;

    if (!ev->exemplars)
        return true;
    if (part != PART_TOTAL && part != PART_BUCKET)
        return fail(c, e, "exemplar on a sample that cannot have one");
    if (!expo_exemplar_decode(EXPO_OPENMETRICS, ev->exemplar->raw, &c->a, &ls, e))
        return false;
    for (size_t i = 0; i < ls.n; i++) {
        struct str both[] = { ls.v[i].name, ls.v[i].value };
        for (size_t k = 0; k < 2; k++)
            for (size_t b = 0; b < both[k].n; b++)
                runes += (both[k].p[b] & 0xc0) != 0x80;
    }
    return runes <= EXEMPLAR_RUNES_MAX || fail(c, e, "exemplar labels are too long");
}

static bool check_labels(struct check *c, struct expo_labels *ls, struct err *e)
{
    sort_stable(ls->v + 1, ls->n - 1, sizeof *ls->v, cmp_label, NULL);
    for (size_t i = 2; i < ls->n; i++)
        if (str_eq(ls->v[i].name, ls->v[i - 1].name))
            return fail(c, e, "label name repeated");
    return true;
}

static bool check_sample(struct check *c, const struct expo_event *ev, struct err *e)
{
    struct expo_labels ls;
    enum part part = PART_VALUE;

    if (!expo_series_decode(EXPO_OPENMETRICS, EXPO_UNKNOWN, ev->series, &c->a, &ls, e))
        return fail(c, e, "metric or label name is empty or no UTF-8");
    struct str name = ls.v[0].value;
    if (!check_labels(c, &ls, e) || (!find_part(c, name, &part) && !open_family(c, name, e)))
        return false;
    c->has_samples = true;
    struct str inner = inner_label(c, part);
    if (!enter_point(c, ev, group_key(&ls, inner, false), group_key(&ls, inner, true), e))
        return false;
    if (c->type == EXPO_STATESET && !get_label(&ls, c->family).p)
        return fail(c, e, "stateset without its label");
    if (part == PART_BUCKET && !check_bucket(c, get_label(&ls, inner), ev->value, e))
        return false;
    if (c->type == EXPO_SUMMARY && part == PART_VALUE &&
        !check_quantile(c, get_label(&ls, inner), ev->value, e))
        return false;
    return check_value(c, part, ev->value, e) && check_exemplar(c, ev, part, e);
}

static void check_fini(struct check *c)
{
    map_fini(&c->by_name);
    map_fini(&c->by_group);
    map_fini(&c->by_series);
    arena_fini(&c->a);
}
OWN_DEFINE_FINI(struct check, check_fini);

bool expo_check_openmetrics(struct str body, struct err *e)
{
    OWNED(expo_free) struct expo *x = expo_new();
    OWNED(check_fini) struct check c = { .x = x };
    struct expo_event ev;
    int got;

    expo_start(x, &(struct expo_options){ .format = EXPO_OPENMETRICS }, body);
    c.body = str_of(x->l.body, (size_t)(x->l.end - x->l.body));
    while ((got = expo_next(x, &ev, e)) > 0)
        if (ev.kind == EXPO_SAMPLE ? !check_sample(&c, &ev, e) : !check_meta(&c, &ev, e))
            return false;
    return got == 0 && close_family(&c, e);
}
