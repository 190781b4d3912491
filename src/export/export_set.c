/*
 * export_set.c - the families of one scrape: gathered in any order, written by name.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/sort.h"
#include "export/export_priv.h"

void export_set_fini(struct export_set *s)
{
    map_fini(&s->by_name);
}

static bool is_named(const void *ctx, const void *key, uint32_t index)
{
    const struct export_set *s = ctx;

    return str_eq(s->family.v[index].name, *(const struct str *)key);
}

static struct export_family *family_of(struct export_set *s, const struct expo_family *f)
{
    uint64_t hash = hash_keyed(f->name);
    uint32_t at = map_find(&s->by_name, hash, is_named, s, &f->name);

    if (at != MAP_NONE)
        return &s->family.v[at];
    map_add(&s->by_name, hash, (uint32_t)s->family.n);
    struct export_family *new = vec_push_in(s->a, &s->family);
    new->name = f->name;
    new->help = f->help;
    new->type = f->type;
    return new;
}

void export_add_metric(struct export_set *s, const struct expo_family *f,
                       const struct expo_metric *m)
{
    struct export_family *family = family_of(s, f);

    *vec_push_in(s->a, &family->metric) = *m;
}

static int cmp_label(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct expo_label *)a)->name, ((const struct expo_label *)b)->name);
}

void export_add(struct export_set *s, const struct export_desc *d, double v,
                const struct expo_label *label, size_t n)
{
    struct expo_label *own = arena_array(s->a, n, struct expo_label);

    for (size_t i = 0; i < n; i++)
        own[i] = (struct expo_label){ arena_str(s->a, label[i].name),
                                      arena_str(s->a, label[i].value) };
    sort_stable(own, n, sizeof *own, cmp_label, NULL);
    struct expo_family f = { .name = str_c(d->name), .help = str_c(d->help), .type = d->type };
    export_add_metric(s, &f, &(struct expo_metric){ .label = own, .labels = n, .value = v });
}

static int cmp_metric(const void *a, const void *b, void *ctx UNUSED)
{
    const struct expo_metric *x = a, *y = b;

    if (x->labels != y->labels)
        return x->labels < y->labels ? -1 : 1;
    for (size_t i = 0; i < x->labels; i++) {
        int c = str_cmp(x->label[i].value, y->label[i].value);
        if (c == 0)
            c = str_cmp(x->label[i].name, y->label[i].name);
        if (c)
            return c;
    }
    return 0;
}

static int cmp_family(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct export_family *)a)->name,
                   ((const struct export_family *)b)->name);
}

void export_set_write(struct export_set *s, struct expo_writer *w)
{
    sort_stable(s->family.v, s->family.n, sizeof *s->family.v, cmp_family, NULL);
    for (size_t i = 0; i < s->family.n; i++) {
        struct export_family *f = &s->family.v[i];

        expo_write_family(
            w, &(struct expo_family){ .name = f->name, .help = f->help, .type = f->type });
        sort_stable(f->metric.v, f->metric.n, sizeof *f->metric.v, cmp_metric, NULL);
        for (size_t k = 0; k < f->metric.n; k++)
            if (k == 0 || cmp_metric(&f->metric.v[k - 1], &f->metric.v[k], NULL) != 0)
                expo_write_metric(w, &f->metric.v[k]);
    }
    map_reset(&s->by_name); // positions have changed
}
