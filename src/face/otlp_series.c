/*
 * otlp_series.c - labels of series, and series that are known already.
 *
 * A series that was seen before is found by a hash of everything its labels are made of: options,
 * resource, scope, metric, the attributes as sent, the part of the family. Only for a new one
 * are labels made.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/sort.h"
#include "face/otlp_priv.h"

#define JOB      STR("job")
#define INSTANCE STR("instance")

/* ---- keys ---- */

void otlp_key_str(struct buf *b, struct str s)
{
    buf_varint(b, s.n);
    buf_str(b, s);
}

void otlp_key_attrs(struct buf *b, struct otlp_attrs attrs)
{
    buf_varint(b, attrs.n);
    for (size_t i = 0; i < attrs.n; i++) {
        const struct otlp_value *v = &attrs.v[i].value;

        otlp_key_str(b, attrs.v[i].key);
        buf_char(b, (char)v->kind);
        if (v->kind == OTLP_STRING || v->kind == OTLP_BYTES) {
            otlp_key_str(b, v->s);
        } else if (v->kind == OTLP_INT) {
            buf_le64(b, (uint64_t)v->i);
        } else {
            OWNED(buf_fini) struct buf text = { 0 };

            buf_otlp_value(&text, v);
            otlp_key_str(b, buf_view(&text));
        }
    }
}

struct hash128 otlp_key_take(struct otlp_work *w)
{
    struct hash128 h = hash128_seeded(buf_view(&w->key), w->o->seed);

    buf_reset(&w->key);
    return h;
}

struct hash128 otlp_point_key(struct otlp_work *w, const struct otlp_point *p)
{
    if (p->attr_bytes.n)
        return hash128_seeded(p->attr_bytes, w->o->seed);
    otlp_key_attrs(&w->key, p->attrs);
    struct hash128 h = hash128_seeded(buf_view(&w->key), ~w->o->seed); // other bytes: other keys
    buf_reset(&w->key);
    return h;
}

struct hash128 otlp_stream_key(struct otlp_work *w, struct otlp_attrs attrs)
{
    struct hash128 sum = { 0 };

    for (size_t i = 0; i < attrs.n; i++) {
        otlp_key_attrs(&w->key, (struct otlp_attrs){ &attrs.v[i], 1 });
        struct hash128 h = otlp_key_take(w);
        sum.lo += h.lo;
        sum.hi += h.hi;
    }
    buf_bytes(&w->key, &w->metric_key, sizeof w->metric_key);
    buf_bytes(&w->key, &sum, sizeof sum);
    otlp_key_str(&w->key, w->job->tenant);
    return otlp_key_take(w);
}

/* ---- labels ---- */

static int compare_keys(const void *x, const void *y, void *ctx)
{
    const struct otlp_attr *const *a = x, *const *b = y;

    (void)ctx;
    return str_cmp((*a)->key, (*b)->key);
}

static bool is_one_of(struct str s, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, list[i]))
            return true;
    return false;
}

// One attribute: what collides with it by name is joined to it.
static bool set_attr(struct otlp_work *w, const struct otlp_attr *attr, struct err *e)
{
    struct str name = attr->key, value = otlp_value_text(w->arena, &attr->value);

    if (w->o->namer.utf8) {
        labels_builder_set(&w->labels, name, value);
        return true;
    }
    if (!otlp_label_name(&w->o->namer, w->arena, attr->key, &name, e))
        return false;
    struct str before = labels_builder_get(&w->labels, name);
    if (before.n)
        value = arena_printf(w->arena, "%.*s;%.*s", STRF(before), STRF(value));
    labels_builder_set(&w->labels, name, value);
    return true;
}

static void set_all(struct otlp_work *w, const struct otlp_labels *l, bool keep)
{
    for (size_t i = 0; i < l->v.n; i++)
        if (!keep || !labels_builder_get(&w->labels, l->v.v[i].name).n)
            labels_builder_set(&w->labels, l->v.v[i].name, l->v.v[i].value);
}

bool otlp_make_labels(struct otlp_work *w, struct otlp_attrs attrs, const struct str *ignore,
                      size_t ignore_n, struct err *e)
{
    const struct otlp_attr **sorted = arena_array(w->arena, attrs.n + 1, const struct otlp_attr *);
    size_t n = 0;

    for (size_t i = 0; i < attrs.n; i++)
        if (!is_one_of(attrs.v[i].key, ignore, ignore_n) && !str_eq(attrs.v[i].key, LABEL_NAME))
            sorted[n++] = &attrs.v[i];
    sort_stable(sorted, n, sizeof *sorted, compare_keys, NULL);
    labels_builder_reset(&w->labels, (struct labels){ 0 });
    for (size_t i = 0; i < n; i++)
        if (!set_attr(w, sorted[i], e))
            return false;
    set_all(w, &w->promoted, true);
    if (w->job_label.n)
        labels_builder_set(&w->labels, JOB, w->job_label);
    if (w->instance_label.n)
        labels_builder_set(&w->labels, INSTANCE, w->instance_label);
    set_all(w, &w->scope, false);
    return true;
}

static bool point_labels(struct otlp_work *w)
{
    struct otlp_attrs attrs;
    struct err e = { 0 };

    if (w->labels_ready || w->point_bad)
        return !w->point_bad;
    if (!otlp_point_attrs(w->p, w->arena, &attrs, &e) || !otlp_make_labels(w, attrs, NULL, 0, &e)) {
        w->point_bad = true;
        otlp_reject(w, 0, str_c(e.text));
        return false;
    }
    if (w->o->type_and_unit) {
        if (w->meta.type != TYPE_UNKNOWN)
            labels_builder_set(&w->labels, STR("__type__"), str_c(metric_type_name(w->meta.type)));
        if (w->unit_label.n)
            labels_builder_set(&w->labels, STR("__unit__"), w->unit_label);
    }
    w->labels_ready = true;
    return true;
}

/* ---- series ---- */

static bool add_series(struct otlp_work *w, struct str suffix, struct label extra,
                       const struct hash128 *key, struct series_ref *out)
{
    struct str own = STR_NONE, name = w->meta.name;

    if (!point_labels(w))
        return false;
    if (suffix.n)
        name = arena_printf(w->arena, "%.*s%.*s", STRF(name), STRF(suffix));
    labels_builder_set(&w->labels, LABEL_NAME, name);
    if (extra.name.n) {
        own = labels_builder_get(&w->labels, extra.name); // an attribute of that name
        labels_builder_set(&w->labels, extra.name, extra.value);
    }
    bool ok = intake_series(w->batch, labels_builder_view(&w->labels), key, out);
    if (extra.name.n)
        labels_builder_set(&w->labels, extra.name, own);
    w->point_refused |= !ok;
    return true; // rows of a refused series are counted by the intake
}

bool otlp_series(struct otlp_work *w, struct str suffix, struct str extra, double number,
                 struct series_ref *out)
{
    struct {
        struct hash128 metric, point;
        uint64_t number, suffix;
    } parts = { w->metric_key, w->point_key, extra.n ? double_bits(number) : 0,
                suffix.n | (uint64_t)extra.n << 32 };
    struct hash128 key = hash128_seeded(str_of((const char *)&parts, sizeof parts),
                                        intake_seed(w->batch) ^ w->o->number);
    char text[NUM_TEXT_MAX];

    if (intake_find(w->batch, key, out))
        return true;
    struct label l = { extra, STR_NONE };
    if (extra.n)
        l.value = str_of(text, num_format_f(number, text));
    return add_series(w, suffix, l, &key, out);
}
