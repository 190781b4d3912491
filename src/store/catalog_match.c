/*
 * catalog_match.c - matchers → positions of one segment.
 *
 * Each matcher becomes a term: the series that have one of some values of its
 * label, to be kept or to be taken away. A matcher that matches the empty value
 * takes away the series with the values it does not match; so a label that a
 * segment does not know costs nothing. Values are tested, never series; results of
 * scans over values are cached. The term with the fewest series is the start, the
 * others filter it.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/sort.h"
#include "store/catalog_priv.h"

enum term_kind { TERM_ALL, TERM_NONE, TERM_PAIR, TERM_SET };

struct term {
    enum term_kind kind;
    bool subtract;
    uint64_t count;            // series at most
    struct segment_pair pair;  // TERM_PAIR
    struct catalog_match *set; // TERM_SET
};

struct scope { // one selection in one source
    const struct catalog_source *source;
    struct catalog_cache *cache;
    struct budget *budget;
    struct segment_postings postings; // sealed
    struct segment_values values;     // sealed
};

static void scope_fini(struct scope *c)
{
    if (c->source->segment) {
        segment_postings_fini(&c->postings);
        segment_values_fini(&c->values);
    }
}
OWN_DEFINE_FINI(struct scope, scope_fini);

/* ---- postings of one pair ---- */

static bool pair_add(struct scope *c, const struct segment_pair *pair, struct posset *out,
                     struct err *e)
{
    struct postings_block block;
    int more;

    if (c->source->live) {
        uint32_t v[POSTINGS_BLOCK], n;
        struct live_iter it = live_iter(c->source->live, pair->pair, c->source->n);
        while ((n = live_iter_next(&it, v)) > 0)
            posset_add(out, &(struct postings_block){ n, v[0], v });
        return true;
    }
    if (!segment_postings_begin(&c->postings, pair, e))
        return false;
    while ((more = segment_postings_next(&c->postings, 0, &block, e)) > 0)
        posset_add(out, &block);
    return more == 0;
}

static bool live_has_pair(const struct live *s, uint32_t position, uint32_t pair)
{
    struct live_record r = live_record(s, position);

    while (r.left)
        if (live_record_next(&r) == pair)
            return true;
    return false;
}

// Filters a short list against the long postings of a sealed pair, stepping over blocks.
static bool list_filter_sealed(struct scope *c, const struct segment_pair *pair, bool keep,
                               struct posset *s, struct err *e)
{
    size_t kept = 0, i = 0;
    struct postings_block b;
    int more = 1;

    if (!segment_postings_begin(&c->postings, pair, e))
        return false;
    while (i < s->n && (more = segment_postings_next(&c->postings, s->v[i], &b, e)) > 0) {
        if (b.n == 0)
            continue;
        uint32_t last = b.v ? b.v[b.n - 1] : b.first + b.n - 1, k = 0;
        for (; i < s->n && s->v[i] <= last; i++) {
            bool has = !b.v && s->v[i] >= b.first;
            for (; b.v && b.v[k] < s->v[i]; k++)
                continue;
            if (b.v)
                has = b.v[k] == s->v[i];
            if (has == keep)
                s->v[kept++] = s->v[i];
        }
    }
    for (; !keep && i < s->n; i++)
        s->v[kept++] = s->v[i];
    s->n = kept;
    return more >= 0;
}

static bool pair_filter(struct scope *c, const struct term *t, struct posset *s, struct err *e)
{
    OWNED(posset_fini) struct posset other;
    const struct live *live = c->source->live;

    posset_init(&other, s->universe);
    if (!s->is_bits && !live)
        return list_filter_sealed(c, &t->pair, !t->subtract, s, e);
    if (!s->is_bits && s->n < t->pair.count / 16) {
        size_t kept = 0;
        for (size_t i = 0; i < s->n; i++)
            if (live_has_pair(live, s->v[i], t->pair.pair) != t->subtract)
                s->v[kept++] = s->v[i];
        s->n = kept;
        return true;
    }
    if (!pair_add(c, &t->pair, &other, e))
        return false;
    posset_seal(&other);
    posset_filter(s, &other, !t->subtract);
    return true;
}

/* ---- scanning values ---- */

// Which values a scan collects.
struct want {
    const struct matcher *m;
    bool any;           // every value: the series that have the label
    bool matching;      // those that match, else those that do not
    struct str prefix;  // of every value that can match, when `matching`
    bool prefix_is_all; // and nothing else is asked of it
};

static bool value_wanted(const struct want *w, struct str value)
{
    if (w->any)
        return true;
    if (w->prefix_is_all)
        return str_starts(value, w->prefix) == w->matching;
    return matcher_matches(w->m, value) == w->matching;
}

static struct want want_of(const struct matcher *m, bool matching)
{
    struct want w = { .m = m, .matching = matching };

    if (m->op == MATCH_RE || m->op == MATCH_NRE) {
        struct str prefix = regex_prefix(m->re), p = m->value;
        bool positive = (m->op == MATCH_RE) == matching;
        // `abc.*`: the pattern is its own prefix and any rest.
        bool rest = prefix.n > 0 && p.n == prefix.n + 2 && str_starts(p, prefix) &&
                    str_ends(p, STR(".*"));
        w.prefix = positive ? prefix : STR_NONE;
        if (rest) {
            w.prefix = prefix;
            w.prefix_is_all = true;
            w.matching = positive;
        }
    }
    return w;
}

// Tests the pairs of a name that were not looked at yet, newest first, and appends the wanted.
static bool live_scan_pairs(struct scope *c, uint32_t name, const struct want *w,
                            struct catalog_match *m, struct err *e)
{
    const struct live *s = c->source->live;
    uint32_t end = atomic_load_explicit(&s->pair_count, memory_order_acquire);
    uint32_t at = atomic_load_explicit(&live_name(s, name)->head, memory_order_acquire);
    VEC(uint32_t) found = { 0 };
    uint64_t seen = 0;
    bool ok = true;

    for (; at != LIVE_NONE && at >= m->pair_end && ok; at = live_pair(s, at)->prev) {
        if (at < end && value_wanted(w, live_pair_value(s, at)))
            *vec_push(&found) = at;
        if (++seen % 64 == 0)
            ok = budget_step(c->budget, 64, e);
    }
    if (ok && found.n) {
        m->pairs = xrealloc(m->pairs, (m->pair_count + found.n) * sizeof *m->pairs);
        while (found.n)
            m->pairs[m->pair_count++] = found.v[--found.n];
    }
    m->pair_end = end;
    vec_fini(&found);
    return ok;
}

static bool pairs_have(const struct catalog_match *m, uint32_t pair)
{
    size_t lo = 0, hi = m->pair_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->pairs[mid] == pair)
            return true;
        if (m->pairs[mid] < pair)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static bool live_new_series(struct scope *c, struct catalog_match *m, struct err *e)
{
    for (; m->n < c->source->n; m->n++) {
        struct live_record r = live_record(c->source->live, m->n);
        bool has = false;
        while (r.left && !has)
            has = pairs_have(m, live_record_next(&r));
        if (has)
            posset_add_one(&m->set, m->n);
        if (m->n % 64 == 0 && !budget_step(c->budget, 64, e))
            return false;
    }
    return true;
}

static bool live_all_series(struct scope *c, struct catalog_match *m, struct err *e)
{
    for (size_t i = 0; i < m->pair_count; i++) {
        struct segment_pair pair = { .pair = m->pairs[i] };
        if (!pair_add(c, &pair, &m->set, e) || !budget_step(c->budget, 1, e))
            return false;
    }
    m->n = c->source->n;
    return true;
}

/*
 * The match of a name in the open segment: what `old` (may be NULL) found, plus the pairs and
 * series that came since.
 */
static bool live_match(struct scope *c, uint32_t name, const struct want *w,
                       const struct catalog_match *old, struct catalog_match **out, struct err *e)
{
    OWNED(catalog_match_put) struct catalog_match *m = catalog_match_new();
    bool extend = old && c->source->n - old->n < c->source->n / 8;

    posset_init(&m->set, c->source->n);
    if (old) {
        m->pair_end = old->pair_end;
        m->pair_count = old->pair_count;
        m->pairs = xmemdup(old->pairs, old->pair_count * sizeof *old->pairs);
    }
    if (!live_scan_pairs(c, name, w, m, e))
        return false;
    if (extend) {
        posset_add_set(&m->set, &old->set);
        m->n = old->n;
    }
    if (!(extend ? live_new_series(c, m, e) : live_all_series(c, m, e)))
        return false;
    posset_seal(&m->set);
    *out = TAKE(m);
    return true;
}

static bool sealed_match(struct scope *c, uint32_t name_index, const struct want *w,
                         struct catalog_match **out, struct err *e)
{
    OWNED(catalog_match_put) struct catalog_match *m = catalog_match_new();
    const struct segment_name *name = segment_name(c->source->segment, name_index);
    struct segment_values *v = &c->values;
    struct str prefix = w->matching ? w->prefix : STR_NONE;

    m->n = c->source->n;
    posset_init(&m->set, m->n);
    if (!segment_values_seek(v, name, prefix, e))
        return false;
    while (v->at < name->pair_first + name->pairs) {
        if (!segment_values_read(v, e))
            return false;
        if (!str_starts(v->value, prefix))
            break;
        if (value_wanted(w, v->value) && !pair_add(c, &v->pair, &m->set, e))
            return false;
        if (v->at % 64 == 0 && !budget_step(c->budget, 64, e))
            return false;
    }
    posset_seal(&m->set);
    *out = TAKE(m);
    return true;
}

// The set of series that have a wanted value of the name, from the cache as far as it goes.
static bool match_get(struct scope *c, uint32_t name, const struct want *w,
                      struct catalog_match **out, struct err *e)
{
    const struct catalog_source *s = c->source;
    struct catalog_cache_key key = {
        .segment = s->live ? s->live->uid : segment_uid(s->segment),
        .want = w->any                                  ? 'a'
                : w->matching == (w->m->op == MATCH_RE) ? 'm'
                                                        : 'n',
        .name = w->m->name,
        .value = w->any ? STR_NONE : w->m->value,
    };
    OWNED(catalog_match_put) struct catalog_match *old = catalog_cache_find(c->cache, &key);
    bool ok;

    if (old && old->n >= s->n) {
        *out = TAKE(old);
        return true;
    }
    ok = s->live ? live_match(c, name, w, old, out, e) : sealed_match(c, name, w, out, e);
    if (ok)
        catalog_cache_store(c->cache, &key, *out);
    return ok;
}

/* ---- terms ---- */

static bool find_pair(struct scope *c, uint32_t name, struct str value, struct segment_pair *out,
                      bool *found, struct err *e)
{
    struct live *live = c->source->live;

    *found = false;
    if (live) {
        out->pair = live_pair_find(live, name, value);
        *found = out->pair != LIVE_NONE && live_pair_is_seen(live, out->pair, c->source->n);
        if (*found)
            out->count = live_pair_count(live, out->pair);
        return true;
    }
    const struct segment_name *of = segment_name(c->source->segment, name);
    struct segment_values *v = &c->values;
    if (!segment_values_seek(v, of, value, e))
        return false;
    if (v->at == of->pair_first + of->pairs)
        return true;
    if (!segment_values_read(v, e))
        return false;
    *found = str_eq(v->value, value);
    *out = v->pair;
    return true;
}

static bool term_value(struct scope *c, uint32_t name, struct str value, struct term *t,
                       struct err *e)
{
    bool found;

    t->kind = TERM_PAIR;
    if (!find_pair(c, name, value, &t->pair, &found, e))
        return false;
    t->count = t->pair.count;
    if (!found)
        t->kind = t->subtract ? TERM_ALL : TERM_NONE;
    return true;
}

static bool term_set(struct scope *c, uint32_t name, const struct want *w, struct term *t,
                     struct err *e)
{
    t->kind = TERM_SET;
    if (!match_get(c, name, w, &t->set, e))
        return false;
    t->count = t->set->set.n;
    return true;
}

// Series that have the label at all.
static bool term_any(struct scope *c, uint32_t name, const struct matcher *m, struct term *t,
                     struct err *e)
{
    if (c->source->live)
        return term_set(c, name, &(struct want){ .m = m, .any = true, .matching = true }, t, e);
    t->kind = TERM_PAIR;
    t->pair = segment_name(c->source->segment, name)->any;
    t->count = t->pair.count;
    return true;
}

// A finite set of literals: a few look-ups instead of a scan.
static bool term_literals(struct scope *c, uint32_t name, const struct str *v, size_t n,
                          struct term *t, struct err *e)
{
    OWNED(catalog_match_put) struct catalog_match *m = catalog_match_new();

    m->n = c->source->n;
    posset_init(&m->set, m->n);
    for (size_t i = 0; i < n; i++) {
        struct segment_pair pair;
        bool found;
        if (!find_pair(c, name, v[i], &pair, &found, e) || !budget_step(c->budget, 1, e))
            return false;
        if (found && !pair_add(c, &pair, &m->set, e))
            return false;
    }
    posset_seal(&m->set);
    t->kind = TERM_SET;
    t->count = m->set.n;
    t->set = TAKE(m);
    return true;
}

static bool term_regex(struct scope *c, uint32_t name, const struct matcher *m, struct term *t,
                       struct err *e)
{
    bool negative = m->op == MATCH_NRE, empty = matcher_matches_empty(m);
    bool matching = !empty; // collect the values that match, or those that do not

    if (str_eq_c(m->value, ".+") || str_eq_c(m->value, ".*") || m->value.n == 0)
        return term_any(c, name, m, t, e); // constant cases are gone: only presence decides
    const struct str *set;
    size_t n = regex_set(m->re, &set);
    if (n > 0 && matching != negative)
        return term_literals(c, name, set, n, t, e);
    struct want w = want_of(m, matching);
    return term_set(c, name, &w, t, e);
}

static bool term_of(struct scope *c, const struct matcher *m, struct term *t, struct err *e)
{
    const struct catalog_source *s = c->source;
    bool empty = matcher_matches_empty(m);
    uint32_t name;

    *t = (struct term){ .subtract = empty };
    if (m->op == MATCH_RE || m->op == MATCH_NRE) {
        if (str_eq_c(m->value, ".*")) { // everything, or nothing
            t->kind = m->op == MATCH_RE ? TERM_ALL : TERM_NONE;
            return true;
        }
    }
    name = s->live ? live_name_find(s->live, m->name) : segment_name_find(s->segment, m->name);
    if (name == UINT32_MAX) {
        t->kind = empty ? TERM_ALL : TERM_NONE;
        return true;
    }
    if (m->op == MATCH_RE || m->op == MATCH_NRE)
        return term_regex(c, name, m, t, e);
    if (m->value.n == 0)
        return term_any(c, name, m, t, e);
    return term_value(c, name, m->value, t, e);
}

/* ---- the selection ---- */

struct terms {
    struct term *v;
    size_t n;
};

static void terms_fini(struct terms *ts)
{
    for (size_t i = 0; i < ts->n; i++)
        catalog_match_put(ts->v[i].set);
    xfree(ts->v);
}
OWN_DEFINE_FINI(struct terms, terms_fini);

// Fills `out` from the term that keeps the fewest series; returns it, or NULL: all of them.
static bool start(struct scope *c, struct terms *ts, struct term **from, struct posset *out,
                  struct err *e)
{
    struct term *best = NULL;

    for (size_t i = 0; i < ts->n; i++) {
        struct term *t = &ts->v[i];
        if (!t->subtract && t->kind != TERM_ALL && (!best || t->count < best->count))
            best = t;
    }
    *from = best;
    if (!best)
        posset_fill(out);
    else if (best->kind == TERM_PAIR && !pair_add(c, &best->pair, out, e))
        return false;
    else if (best->kind == TERM_SET)
        posset_add_set(out, &best->set->set);
    posset_seal(out);
    return true;
}

static int term_by_count(const void *a, const void *b, void *ctx)
{
    const struct term *x = a, *y = b;

    return (x->count > y->count) - (x->count < y->count);
}

static bool filter(struct scope *c, struct terms *ts, const struct term *from, struct posset *out,
                   struct err *e)
{
    for (size_t i = 0; i < ts->n && out->n > 0; i++) {
        struct term *t = &ts->v[i];
        if (t == from || t->kind == TERM_ALL)
            continue;
        if (!budget_step(c->budget, 1 + out->n / 64, e))
            return false;
        if (t->kind == TERM_SET)
            posset_filter(out, &t->set->set, !t->subtract);
        else if (!pair_filter(c, t, out, e))
            return false;
    }
    return true;
}

static bool select_terms(struct scope *c, const struct catalog_query *q, struct posset *out,
                         struct err *e)
{
    OWNED(terms_fini) struct terms ts = { xcalloc(q->matcher_count + 1, sizeof *ts.v), 0 };
    struct term *from;

    for (size_t i = 0; i < q->matcher_count; i++) {
        if (!term_of(c, &q->matchers[i], &ts.v[i], e))
            return false;
        ts.n++;
        if (ts.v[i].kind == TERM_NONE)
            return true;
    }
    sort_stable(ts.v, ts.n, sizeof *ts.v, term_by_count, NULL);
    if (!start(c, &ts, &from, out, e))
        return false;
    return filter(c, &ts, from, out, e);
}

static bool filter_slices(struct catalog_view *v, struct scope *c, uint32_t slices,
                          struct posset *s, struct err *e)
{
    OWNED(posset_fini) struct posset kept;
    OWNED(xfree) void *room = xmalloc((s->n + 1) * sizeof(uint32_t));
    uint32_t *list = room;
    size_t n = posset_list(s, c->source->n, list);
    struct segment *sealed = c->source->segment;
    struct segment_slices cursor;
    bool ok = true;

    posset_init(&kept, s->universe);
    if (sealed)
        segment_slices_init(&cursor, sealed, PAGE_KEEP);
    for (size_t i = 0; i < n && ok; i++) {
        uint32_t bits = 0;
        ok = source_slices(c->source, list[i], v->slices, &cursor, &bits, e);
        if (ok && bits & slices)
            posset_add_one(&kept, list[i]);
    }
    if (sealed)
        segment_slices_fini(&cursor);
    if (!ok)
        return false;
    posset_seal(&kept);
    struct posset swap = *s;
    *s = kept;
    kept = swap;
    return true;
}

bool source_select(struct catalog_view *v, const struct catalog_source *s,
                   const struct catalog_query *q, struct budget *b, struct posset *out,
                   struct err *e)
{
    OWNED(scope_fini) struct scope c = { .source = s, .cache = v->cache, .budget = b };
    OWNED(posset_fini) struct posset set;

    posset_init(&set, s->n);
    if (s->segment) {
        segment_postings_init(&c.postings, s->segment, PAGE_KEEP);
        segment_values_init(&c.values, s->segment, PAGE_KEEP);
    }
    if (!select_terms(&c, q, &set, e))
        return false;
    if (q->slices && q->slices != UINT32_MAX && set.n > 0 &&
        !filter_slices(v, &c, q->slices, &set, e))
        return false;
    *out = set;
    set = (struct posset){ 0 };
    return true;
}
