/*
 * catalog_strings.c - label names and values, and the figures of /api/v1/status/tsdb.
 *
 * Each segment gives its first limit + 1 strings in order; what is wanted of their
 * union is among them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/sort.h"
#include "store/catalog_priv.h"

enum { PROBE_SHARE = 4 }; // pairs are probed when at least 1/4 of the series are selected

struct gather { // strings of all segments so far
    struct catalog_view *view;
    const struct catalog_read *read;
    size_t limit; // SIZE_MAX: none
    VEC(struct str) v;
};

static bool is_all(const struct catalog_query *q)
{
    return q->matcher_count == 0 && (q->slices == 0 || q->slices == UINT32_MAX);
}

static bool keep(struct gather *g, struct str s, bool copy, struct err *e)
{
    if (!budget_charge(g->read->budget, sizeof s + (copy ? s.n : 0), e))
        return false;
    *vec_push_in(g->read->arena, &g->v) = copy ? arena_str(g->read->arena, s) : s;
    return true;
}

static void finish(struct gather *g, struct catalog_strs *out)
{
    size_t n = sort_strs_unique(g->v.v, g->v.n);

    *out = (struct catalog_strs){ g->v.v, MIN(n, g->limit) };
}

/* ---- names ---- */

static bool names_all(struct gather *g, const struct catalog_source *s, struct err *e)
{
    uint32_t n = s->live ? atomic_load_explicit(&s->live->name_count, memory_order_acquire)
                         : segment_name_count(s->segment);

    for (uint32_t i = 0; i < n; i++) {
        struct str name;
        if (s->live) {
            uint32_t at = atomic_load_explicit(&live_name(s->live, i)->head, memory_order_acquire);
            while (at != LIVE_NONE && !live_pair_is_seen(s->live, at, s->n))
                at = live_pair(s->live, at)->prev;
            if (at == LIVE_NONE)
                continue;
            name = live_text(s->live, live_name(s->live, i)->text);
        } else {
            name = segment_name(s->segment, i)->text;
        }
        if (!keep(g, name, false, e))
            return false;
    }
    return true;
}

static void names_live(const struct live *s, const uint32_t *at, size_t n, struct posset *names)
{
    uint32_t last = LIVE_NONE;

    for (size_t i = 0; i < n; i++) {
        struct live_record r = live_record(s, at[i]);
        while (r.left) {
            uint32_t name = live_pair(s, live_record_next(&r))->name;
            if (name != last)
                posset_add_one(names, name);
            last = name;
        }
    }
}

static bool names_sealed(struct segment *s, const uint32_t *at, size_t n, struct posset *names,
                         struct err *e)
{
    OWNED(segment_rows_fini) struct segment_rows rows;
    uint32_t block = UINT32_MAX;
    size_t open = 0; // columns [0, open) of the block have no row yet

    segment_rows_init(&rows, s, PAGE_KEEP);
    for (size_t i = 0; i < n; i++) {
        if (!segment_rows_load(&rows, at[i], e))
            return false;
        if (rows.block != block)
            open = rows.columns.n;
        block = rows.block;
        for (size_t c = 0; c < open;) {
            struct segment_column *col = &rows.columns.v[c];
            if (segment_row_pair(col, at[i] % SEGMENT_BLOCK) == UINT32_MAX) {
                c++;
                continue;
            }
            posset_add_one(names, col->name);
            struct segment_column swap = *col; // seen: out of the way
            *col = rows.columns.v[--open];
            rows.columns.v[open] = swap;
        }
    }
    return true;
}

// The series of a source that q selects: a list to read, or a probe.
struct selection {
    const struct catalog_source *source;
    struct posset set;
    uint32_t *list;  // NULL: probe
    size_t n;        // of list
    uint32_t slices; // 0: probe the set, else slices
    const struct catalog_slices *live;
    struct budget *budget;
    struct segment_slices cursor; // when the source is sealed
};

static void selection_fini(struct selection *x)
{
    posset_fini(&x->set);
    xfree(x->list);
    if (x->source && x->source->segment)
        segment_slices_fini(&x->cursor);
}
OWN_DEFINE_FINI(struct selection, selection_fini);

/*
 * Probing: when much of a segment is selected, nearly every pair has a selected series among its
 * first. Asking the pairs costs one look each, where reading the series costs all their labels.
 */
static bool select_series(struct gather *g, const struct catalog_source *s,
                          const struct catalog_query *q, struct selection *x, struct err *e)
{
    x->source = s;
    x->live = g->view->slices;
    x->budget = g->read->budget;
    if (s->segment)
        segment_slices_init(&x->cursor, s->segment, PAGE_KEEP);
    if (q->matcher_count == 0) {
        x->slices = q->slices;
        return true;
    }
    if (!source_select(g->view, s, q, g->read->budget, &x->set, e) ||
        !budget_step(g->read->budget, x->set.n + 1, e))
        return false;
    if (x->set.is_bits && x->set.n >= s->n / PROBE_SHARE)
        return true;
    x->list = xmalloc((x->set.n + 1) * sizeof *x->list);
    x->n = posset_list(&x->set, s->n, x->list);
    return true;
}

// 1: selected; 0: not; -1. So do the next two say of a pair: has a selected series, has none.
static int probe(struct selection *x, uint32_t position, struct err *e)
{
    uint32_t bits;

    if (!x->slices)
        return posset_has(&x->set, position);
    if (!source_slices(x->source, position, x->live, &x->cursor, &bits, e))
        return -1;
    return (bits & x->slices) != 0;
}

static int probe_live(struct selection *x, uint32_t pair, struct err *e)
{
    const struct live *s = x->source->live;
    struct live_iter it;
    uint32_t at[POSTINGS_BLOCK], count;
    int hit;

    if (!live_pair_is_seen(s, pair, x->source->n))
        return 0;
    hit = probe(x, live_pair(s, pair)->first, e);
    if (hit)
        return hit;
    it = live_iter(s, pair, x->source->n);
    while ((count = live_iter_next(&it, at)) > 0) {
        for (uint32_t i = 0; i < count && !hit; i++)
            hit = probe(x, at[i], e);
        if (hit || !budget_step(x->budget, count, e))
            return hit ? hit : -1;
    }
    return 0;
}

static int probe_sealed(struct selection *x, struct segment_postings *p,
                        const struct segment_pair *pair, struct err *e)
{
    struct postings_block b;
    int more, hit = 0;

    if (!segment_postings_begin(p, pair, e))
        return -1;
    while ((more = segment_postings_next(p, 0, &b, e)) > 0) {
        for (uint32_t i = 0; i < b.n && !hit; i++)
            hit = probe(x, b.v ? b.v[i] : b.first + i, e);
        if (hit || !budget_step(x->budget, b.n, e))
            return hit ? hit : -1;
    }
    return more;
}

static bool names_probe(struct gather *g, struct selection *x, struct err *e)
{
    const struct catalog_source *s = x->source;
    uint32_t n = s->live ? atomic_load_explicit(&s->live->name_count, memory_order_acquire)
                         : segment_name_count(s->segment);
    OWNED(segment_postings_fini) struct segment_postings p = { 0 };

    if (!s->live)
        segment_postings_init(&p, s->segment, PAGE_KEEP);
    for (uint32_t i = 0; i < n; i++) {
        struct str name;
        int hit = 0;
        if (s->live) {
            struct live_name *of = live_name(s->live, i);
            uint32_t at = atomic_load_explicit(&of->head, memory_order_acquire);
            name = live_text(s->live, of->text);
            for (; at != LIVE_NONE && !hit; at = live_pair(s->live, at)->prev)
                hit = probe_live(x, at, e);
        } else {
            name = segment_name(s->segment, i)->text;
            hit = probe_sealed(x, &p, &segment_name(s->segment, i)->any, e);
        }
        if (hit < 0 || !budget_step(g->read->budget, 1, e) || (hit && !keep(g, name, false, e)))
            return false;
    }
    return true;
}

static bool names_of(struct gather *g, const struct catalog_source *s,
                     const struct catalog_query *q, struct err *e)
{
    OWNED(posset_fini) struct posset names = { 0 };
    OWNED(selection_fini) struct selection x = { 0 };
    size_t count;
    bool ok = true;

    if (is_all(q))
        return names_all(g, s, e);
    if (!select_series(g, s, q, &x, e))
        return false;
    if (!x.list)
        return names_probe(g, &x, e);
    posset_init(&names, s->live ? s->live->name_count : segment_name_count(s->segment));
    if (s->live)
        names_live(s->live, x.list, x.n, &names);
    else
        ok = names_sealed(s->segment, x.list, x.n, &names, e);
    if (!ok)
        return false;
    posset_seal(&names);
    OWNED(xfree) void *found = xmalloc((names.n + 1) * sizeof(uint32_t));
    uint32_t *name = found;
    count = posset_list(&names, UINT32_MAX, name);
    for (size_t i = 0; i < count; i++)
        if (!keep(g,
                  s->live ? live_text(s->live, live_name(s->live, name[i])->text)
                          : segment_name(s->segment, name[i])->text,
                  false, e))
            return false;
    return true;
}

/* ---- values ---- */

// Values in order that a selected series has, x NULL: any.
static bool values_live_probe(struct gather *g, const struct catalog_source *s, uint32_t name,
                              struct selection *x, struct err *e)
{
    size_t n, kept = 0;
    uint32_t *list = live_sorted_pairs(s->live, name, s->n, &n);
    OWNED(xfree) void *owned = list;

    for (size_t i = 0; i < n && kept < g->limit; i++) {
        int hit = x ? probe_live(x, list[i], e) : 1;
        if (hit < 0 || (hit && !keep(g, live_pair_value(s->live, list[i]), false, e)))
            return false;
        kept += (size_t)hit;
        if (i % 64 == 63 && !budget_step(g->read->budget, 64, e))
            return false;
    }
    return true;
}

static bool values_live(struct gather *g, const struct catalog_source *s, uint32_t name,
                        const struct catalog_query *q, struct err *e)
{
    const struct live *live = s->live;
    OWNED(posset_fini) struct posset pairs = { 0 };
    OWNED(selection_fini) struct selection x = { 0 };
    size_t n;

    if (is_all(q))
        return values_live_probe(g, s, name, NULL, e);
    if (!select_series(g, s, q, &x, e))
        return false;
    if (!x.list)
        return values_live_probe(g, s, name, &x, e);
    posset_init(&pairs, live->pair_count);
    for (size_t i = 0; i < x.n; i++) {
        struct live_record r = live_record(live, x.list[i]);
        while (r.left) {
            uint32_t pair = live_record_next(&r);
            if (live_pair(live, pair)->name == name) {
                posset_add_one(&pairs, pair);
                break;
            }
        }
    }
    posset_seal(&pairs);
    OWNED(xfree) void *found = xmalloc((pairs.n + 1) * sizeof(uint32_t));
    n = posset_list(&pairs, UINT32_MAX, found);
    for (size_t i = 0; i < n; i++)
        if (!keep(g, live_pair_value(live, ((uint32_t *)found)[i]), false, e))
            return false;
    return true;
}

// As values_live_probe().
static bool values_sealed_probe(struct gather *g, struct segment *s, uint32_t name,
                                struct selection *x, struct err *e)
{
    OWNED(segment_values_fini) struct segment_values v;
    OWNED(segment_postings_fini) struct segment_postings p;
    const struct segment_name *of = segment_name(s, name);
    size_t kept = 0;

    segment_values_init(&v, s, PAGE_KEEP);
    segment_postings_init(&p, s, PAGE_KEEP);
    if (!segment_values_goto(&v, of->pair_first, e))
        return false;
    while (v.at < of->pair_first + of->pairs && kept < g->limit) {
        int hit = 1;
        if (!segment_values_read(&v, e))
            return false;
        if (x)
            hit = probe_sealed(x, &p, &v.pair, e);
        if (hit < 0 || (hit && !keep(g, v.value, true, e)))
            return false;
        kept += (size_t)hit;
        if (v.at % 64 == 0 && !budget_step(g->read->budget, 64, e))
            return false;
    }
    return true;
}

// Pairs of one name that the rows at these positions have.
static bool pairs_sealed(struct segment *s, uint32_t name, const uint32_t *at, size_t n,
                         struct posset *pairs, struct err *e)
{
    OWNED(segment_rows_fini) struct segment_rows rows;
    const struct segment_column *col = NULL;
    uint32_t block = UINT32_MAX;

    segment_rows_init(&rows, s, PAGE_KEEP);
    for (size_t i = 0; i < n; i++) {
        if (!segment_rows_load(&rows, at[i], e))
            return false;
        if (rows.block != block) {
            col = NULL;
            for (size_t c = 0; c < rows.columns.n && !col; c++)
                if (rows.columns.v[c].name == name)
                    col = &rows.columns.v[c];
            block = rows.block;
        }
        uint32_t pair = col ? segment_row_pair(col, at[i] % SEGMENT_BLOCK) : UINT32_MAX;
        if (pair != UINT32_MAX)
            posset_add_one(pairs, pair);
    }
    return true;
}

static bool values_sealed(struct gather *g, const struct catalog_source *s, uint32_t name,
                          const struct catalog_query *q, struct err *e)
{
    OWNED(posset_fini) struct posset pairs = { 0 };
    OWNED(segment_values_fini) struct segment_values v;
    OWNED(selection_fini) struct selection x = { 0 };
    size_t n;

    segment_values_init(&v, s->segment, PAGE_KEEP);
    if (is_all(q))
        return values_sealed_probe(g, s->segment, name, NULL, e);
    if (!select_series(g, s, q, &x, e))
        return false;
    if (!x.list)
        return values_sealed_probe(g, s->segment, name, &x, e);
    posset_init(&pairs, segment_pair_count(s->segment));
    if (!pairs_sealed(s->segment, name, x.list, x.n, &pairs, e))
        return false;
    posset_seal(&pairs);
    OWNED(xfree) void *found = xmalloc((pairs.n + 1) * sizeof(uint32_t));
    n = posset_list(&pairs, UINT32_MAX, found);
    for (size_t i = 0; i < MIN(n, g->limit); i++) { // pair numbers are in order of value
        if (!segment_values_goto(&v, ((uint32_t *)found)[i], e) || !segment_values_read(&v, e) ||
            !keep(g, v.value, true, e))
            return false;
    }
    return true;
}

static bool values_of(struct gather *g, const struct catalog_source *s, struct str name,
                      const struct catalog_query *q, struct err *e)
{
    uint32_t i = s->live ? live_name_find(s->live, name) : segment_name_find(s->segment, name);

    if (i == UINT32_MAX)
        return true;
    return s->live ? values_live(g, s, i, q, e) : values_sealed(g, s, i, q, e);
}

static bool strings(struct catalog_view *v, const struct catalog_values_query *q,
                    const struct catalog_read *r, struct catalog_strs *out, struct err *e)
{
    struct gather g = { .view = v, .read = r, .limit = q->limit ? q->limit + 1 : SIZE_MAX };

    if (!catalog_quarantine_check(v, r, e))
        return false;
    for (size_t i = 0; i < v->n; i++) {
        struct err damage = { 0 };
        bool ok = q->name.n ? values_of(&g, &v->v[i], q->name, &q->select, &damage)
                            : names_of(&g, &v->v[i], &q->select, &damage);
        if (!ok && !catalog_damaged(v, r, &damage)) {
            *e = damage;
            return false;
        }
    }
    finish(&g, out);
    return true;
}

bool catalog_label_names(struct catalog_view *v, const struct catalog_query *q, size_t limit,
                         const struct catalog_read *r, struct catalog_strs *out, struct err *e)
{
    return strings(v, &(struct catalog_values_query){ *q, STR_NONE, limit }, r, out, e);
}

bool catalog_label_values(struct catalog_view *v, const struct catalog_values_query *q,
                          const struct catalog_read *r, struct catalog_strs *out, struct err *e)
{
    if (q->name.n == 0) {
        *out = (struct catalog_strs){ 0 };
        return true;
    }
    return strings(v, q, r, out, e);
}

/* ---- figures ---- */

struct top { // the `limit` largest, as a heap with the least in front
    struct arena *arena;
    struct catalog_top *v;
    size_t n, limit;
};

static bool top_less(const struct catalog_top *a, const struct catalog_top *b)
{
    return a->value < b->value || (a->value == b->value && str_cmp(a->name, b->name) > 0);
}

static void top_sift(struct top *t, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < t->n; k++)
            if (top_less(&t->v[k], &t->v[least]))
                least = k;
        if (least == i)
            return;
        struct catalog_top swap = t->v[i];
        t->v[i] = t->v[least];
        t->v[least] = swap;
        i = least;
    }
}

// prefix, if not empty, goes before the name with an equals sign. Copies what it keeps.
static void top_add(struct top *t, struct str prefix, struct str name, uint64_t value)
{
    if (t->limit == 0 || (t->n == t->limit && value <= t->v[0].value))
        return;
    struct str text = prefix.n ? arena_printf(t->arena, "%.*s=%.*s", STRF(prefix), STRF(name))
                               : arena_str(t->arena, name);
    if (t->n == t->limit) {
        t->v[0] = (struct catalog_top){ text, value };
        top_sift(t, 0);
        return;
    }
    t->v[t->n++] = (struct catalog_top){ text, value };
    if (t->n == t->limit)
        for (size_t i = t->n; i > 0; i--)
            top_sift(t, i - 1);
}

static int top_cmp(const void *a, const void *b, void *ctx)
{
    const struct catalog_top *x = a, *y = b;

    return x->value != y->value ? (x->value < y->value) - (x->value > y->value)
                                : str_cmp(x->name, y->name);
}

static void top_give(struct top *t, struct catalog_top **v, size_t *n)
{
    sort_stable(t->v, t->n, sizeof *t->v, top_cmp, NULL);
    *v = t->v;
    *n = t->n;
}

enum { TOP_METRIC, TOP_LABEL, TOP_BYTES, TOP_PAIR, TOP_COUNT };

static bool figures_name(struct catalog_merge *m, struct str name, struct top *top,
                         struct catalog_figures *f, struct budget *b, struct err *e)
{
    uint64_t values = 0, bytes = 0;
    int more;

    if (!catalog_merge_name(m, name, e))
        return false;
    while ((more = catalog_merge_next(m, e)) > 0) {
        values++;
        bytes += m->value.n * m->count;
        if (str_eq(name, LABEL_NAME))
            top_add(&top[TOP_METRIC], STR_NONE, m->value, m->count);
        top_add(&top[TOP_PAIR], name, m->value, m->count);
        if (values % 64 == 0 && !budget_step(b, 64, e))
            return false;
    }
    if (more < 0)
        return false;
    if (values == 0)
        return true;
    f->label_pairs += values;
    f->label_names++;
    top_add(&top[TOP_LABEL], STR_NONE, name, values);
    top_add(&top[TOP_BYTES], STR_NONE, name, bytes);
    return true;
}

bool catalog_figures(struct catalog_view *v, size_t limit, const struct catalog_read *r,
                     struct catalog_figures *out, struct err *e)
{
    OWNED(catalog_merge_fini) struct catalog_merge m;
    struct catalog_figures f = { .series = v->series };
    struct top top[TOP_COUNT];

    catalog_merge_init(&m, v->v, v->n, PAGE_KEEP);
    limit = MIN(limit, (size_t)10000);
    if (!catalog_quarantine_check(v, r, e) ||
        !budget_charge(r->budget, TOP_COUNT * limit * sizeof(struct catalog_top), e))
        return false;
    for (size_t i = 0; i < TOP_COUNT; i++)
        top[i] = (struct top){ r->arena, arena_array(r->arena, limit, struct catalog_top), 0,
                               limit };
    for (size_t i = 0; i < m.name_count; i++) {
        struct err damage = { 0 };
        if (figures_name(&m, m.names[i], top, &f, r->budget, &damage))
            continue;
        if (catalog_damaged(v, r, &damage))
            break; // what was counted so far is told, with the damage
        *e = damage;
        return false;
    }
    top_give(&top[TOP_METRIC], &f.by_metric, &f.by_metric_n);
    top_give(&top[TOP_LABEL], &f.by_label, &f.by_label_n);
    top_give(&top[TOP_BYTES], &f.bytes_by_label, &f.bytes_by_label_n);
    top_give(&top[TOP_PAIR], &f.by_pair, &f.by_pair_n);
    *out = f;
    return true;
}
