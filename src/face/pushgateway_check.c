/*
 * pushgateway_check.c - whether a push fits what is there. Source: client_golang's Gatherers.
 *
 * What is there passed this check when it came, so only the families of the push are looked at,
 * against those of the same name and of names that a histogram or summary of that name would use.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"
#include "base/mem.h"
#include "face/pushgateway_priv.h"

struct check {
    const struct pushgateway *g;
    const struct push_batch *b;
    enum push_mode mode;
    struct err *e;
    struct buf text;
};

static const char *type_name(enum expo_type t)
{
    static const char *const names[] = {
        [EXPO_UNKNOWN] = "UNTYPED", [EXPO_COUNTER] = "COUNTER",
        [EXPO_GAUGE] = "GAUGE",     [EXPO_HISTOGRAM] = "HISTOGRAM",
        [EXPO_SUMMARY] = "SUMMARY", [EXPO_GAUGE_HISTOGRAM] = "GAUGE_HISTOGRAM",
    };

    return t < ARRAY_LEN(names) && names[t] ? names[t] : "UNTYPED";
}

static bool is_compound(enum expo_type t)
{
    return t == EXPO_HISTOGRAM || t == EXPO_SUMMARY || t == EXPO_GAUGE_HISTOGRAM;
}

// collected metric "a" { label:{name:"job" value:"x"} …
static const char *metric_text(struct check *c, const struct push_family *f, size_t i)
{
    buf_reset(&c->text);
    buf_lit(&c->text, "collected metric ");
    buf_quoted(&c->text, f->head.name);
    buf_lit(&c->text, " {");
    for (size_t k = 0; k < f->metric[i].labels; k++) {
        buf_printf(&c->text, " label:{name:\"%.*s\" value:", STRF(f->metric[i].label[k].name));
        buf_quoted(&c->text, f->metric[i].label[k].value);
        buf_char(&c->text, '}');
    }
    buf_lit(&c->text, "}");
    return buf_cstr(&c->text);
}

/* ---- one family alone ---- */

static bool label_name_is_valid(const struct check *c, struct str name)
{
    if (!name.n || str_starts(name, STR("__")))
        return false;
    return c->g->o.utf8 ? str_is_utf8(name) : label_name_is_legacy(name);
}

static bool check_labels(struct check *c, const struct push_family *f, size_t i)
{
    const struct expo_metric *m = &f->metric[i];

    for (size_t k = 0; k < m->labels; k++) {
        struct str name = m->label[k].name;

        if (k && str_eq(name, m->label[k - 1].name))
            return err_set(c->e, ERR_INVALID, "%s has two or more labels with the same name: %.*s",
                           metric_text(c, f, i), STRF(name));
        if (!label_name_is_valid(c, name))
            return err_set(c->e, ERR_INVALID, "%s has a label with an invalid name: %.*s",
                           metric_text(c, f, i), STRF(name));
        if (f->head.type == EXPO_SUMMARY && str_eq(name, STR("quantile")))
            return err_set(c->e, ERR_INVALID, "%s must not have an explicit \"quantile\" label",
                           metric_text(c, f, i));
        if (!str_is_utf8(m->label[k].value))
            return err_set(c->e, ERR_INVALID,
                           "%s has a label named \"%.*s\" whose value is not utf8",
                           metric_text(c, f, i), STRF(name));
    }
    return true;
}

static bool same_series(const struct push_family *x, size_t i, const struct push_family *y,
                        size_t k)
{
    const struct expo_metric *a = &x->metric[i], *b = &y->metric[k];

    if (x->hash[i] != y->hash[k] || a->labels != b->labels)
        return false;
    for (size_t j = 0; j < a->labels; j++)
        if (!str_eq(a->label[j].name, b->label[j].name) ||
            !str_eq(a->label[j].value, b->label[j].value))
            return false;
    return true;
}

static bool collected_before(struct check *c, const struct push_family *f, size_t i)
{
    return err_set(c->e, ERR_INVALID, "%s was collected before with the same name and label values",
                   metric_text(c, f, i));
}

// Fills `seen` with the metrics of f by hash.
static bool check_unique(struct check *c, const struct push_family *f, struct map *seen)
{
    for (size_t i = 0; i < f->n; i++) {
        uint32_t k;

        for (size_t at = map_first(seen, f->hash[i]);
             (k = map_at(seen, f->hash[i], &at)) != MAP_NONE;)
            if (same_series(f, i, f, k))
                return collected_before(c, f, i);
        map_add(seen, f->hash[i], (uint32_t)i);
    }
    return true;
}

static bool check_alone(struct check *c, const struct push_family *f)
{
    bool legacy = !c->g->o.utf8;

    if (!f->head.name.n || !str_is_utf8(f->head.name) ||
        (legacy && !metric_name_is_legacy(f->head.name)))
        return err_set(c->e, ERR_INVALID, "invalid metric name \"%.*s\"", STRF(f->head.name));
    if (f->odd < f->n)
        return err_set(c->e, ERR_INVALID, "%s is not a %s", metric_text(c, f, f->odd),
                       type_name(f->head.type));
    for (size_t i = 0; i < f->n; i++)
        if (!check_labels(c, f, i))
            return false;
    return true;
}

/* ---- against what is there ---- */

// Families of that name that stay: the first, and how many.
static struct push_family *const *named(const struct pushgateway *g, struct str name, size_t *n)
{
    size_t lo = 0, hi = g->families.n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (str_cmp(g->families.v[mid]->head.name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (*n = 0; lo + *n < g->families.n; ++*n)
        if (!str_eq(g->families.v[lo + *n]->head.name, name))
            break;
    return g->families.v + lo;
}

// Whether a family of the store outlives the push.
static bool stays(const struct check *c, const struct push_family *f)
{
    if (!str_eq(f->batch->key, c->b->key))
        return true;
    if (c->mode == PUSH_REPLACE)
        return false;
    for (size_t i = 0; i < c->b->families.n; i++)
        if (str_eq(c->b->families.v[i]->head.name, f->head.name))
            return false;
    return true;
}

// The type that a name has beside f: in the push, in the store or in this process. False: none.
static bool type_beside(const struct check *c, const struct push_family *f, struct str name,
                        enum expo_type *out)
{
    static const enum expo_type types[] = {
        [PAGE_COUNTER] = EXPO_COUNTER,     [PAGE_GAUGE] = EXPO_GAUGE,
        [PAGE_SUMMARY] = EXPO_SUMMARY,     [PAGE_UNTYPED] = EXPO_UNKNOWN,
        [PAGE_HISTOGRAM] = EXPO_HISTOGRAM, [PAGE_GAUGE_HISTOGRAM] = EXPO_GAUGE_HISTOGRAM,
    };
    size_t n;
    struct push_family *const *v = named(c->g, name, &n);

    for (size_t i = 0; i < c->b->families.n; i++)
        if (c->b->families.v[i] != f && str_eq(c->b->families.v[i]->head.name, name))
            return *out = c->b->families.v[i]->head.type, true;
    for (size_t i = 0; i < n; i++)
        if (v[i]->n && stays(c, v[i]))
            return *out = v[i]->head.type, true;
    for (size_t i = 0; i < c->g->self.n; i++)
        if (str_eq(c->g->self.families[i]->name, name))
            return *out = types[c->g->self.families[i]->type], true;
    return false;
}

static struct str cut_suffix(struct str name, struct str suffix)
{
    return name.n > suffix.n && str_ends(name, suffix) ? str_sub(name, 0, name.n - suffix.n)
                                                       : STR_NONE;
}

// Names that the lines of a histogram or summary take.
static bool check_collisions(struct check *c, const struct push_family *f)
{
    static const struct str suffixes[] = { { "_count", 6 }, { "_sum", 4 }, { "_bucket", 7 } };
    struct str name = f->head.name;
    enum expo_type other;

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        struct str base = cut_suffix(name, suffixes[i]);

        if (!base.n || !type_beside(c, f, base, &other) || !is_compound(other) ||
            (i == 2 && other == EXPO_SUMMARY))
            continue;
        return err_set(c->e, ERR_INVALID,
                       "collected metric named \"%.*s\" collides with previously collected %s "
                       "named \"%.*s\"",
                       STRF(name), other == EXPO_SUMMARY ? "summary" : "histogram", STRF(base));
    }
    for (size_t i = 0; is_compound(f->head.type) && i < ARRAY_LEN(suffixes); i++) {
        buf_reset(&c->text);
        buf_str(&c->text, name);
        buf_str(&c->text, suffixes[i]);
        if ((i == 2 && f->head.type == EXPO_SUMMARY) ||
            !type_beside(c, f, buf_view(&c->text), &other))
            continue;
        return err_set(c->e, ERR_INVALID,
                       "collected %s named \"%.*s\" collides with previously collected metric "
                       "named \"%s\"",
                       i == 2 ? "histogram" : "histogram or summary", STRF(name),
                       buf_cstr(&c->text));
    }
    return true;
}

static bool check_against(struct check *c, const struct push_family *f, const struct map *seen,
                          const struct push_family *other)
{
    if (other->head.type != f->head.type && f->n && other->n)
        return err_set(c->e, ERR_INVALID, "%s is not a %s", metric_text(c, f, 0),
                       type_name(other->head.type));
    for (size_t i = 0; i < other->n; i++) {
        uint32_t k;

        for (size_t at = map_first(seen, other->hash[i]);
             (k = map_at(seen, other->hash[i], &at)) != MAP_NONE;)
            if (same_series(other, i, f, k))
                return collected_before(c, f, k);
    }
    return true;
}

static bool check_family(struct check *c, const struct push_family *f)
{
    OWNED(map_fini) struct map seen = { 0 };
    enum expo_type own;
    size_t n;
    struct push_family *const *v = named(c->g, f->head.name, &n);

    if (!check_alone(c, f) || !check_unique(c, f, &seen) || !check_collisions(c, f))
        return false;
    for (size_t i = 0; i < n; i++)
        if (stays(c, v[i]) && !check_against(c, f, &seen, v[i]))
            return false;
    if (type_beside(c, f, f->head.name, &own) && own != f->head.type && f->n)
        return err_set(c->e, ERR_INVALID,
                       "gathered metric family %.*s has type %s but should have %s",
                       STRF(f->head.name), type_name(f->head.type), type_name(own));
    return true;
}

bool push_check(const struct pushgateway *g, const struct push_batch *b, enum push_mode mode,
                struct err *e)
{
    struct check c = { .g = g, .b = b, .mode = mode, .e = e };
    bool ok = true;

    for (size_t i = 0; i < b->families.n; i++)
        for (size_t k = 0; k < b->families.v[i]->n; k++)
            if (b->families.v[i]->metric[k].has_time)
                return err_set(e, ERR_INVALID, "pushed metrics must not have timestamps");
    for (size_t i = 0; ok && i < b->families.n; i++)
        ok = g->o.unchecked ? check_alone(&c, b->families.v[i])
                            : check_family(&c, b->families.v[i]);
    buf_fini(&c.text);
    return ok;
}
