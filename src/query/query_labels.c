/*
 * query_labels.c - label sets during evaluation: grouping keys, parts of sets, overlaps.
 */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/hash.h"
#include "base/sort.h"
#include "query/query_priv.h"

struct key_index *key_index_new(struct query *q)
{
    struct key_index *x = arena_new(q->keep, struct key_index);

    x->arena = q->keep;
    x->next = q->indexes;
    q->indexes = x;
    return x;
}

static bool key_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct key_index *x = ctx;

    return str_eq(x->keys.v[index], *(const struct str *)key);
}

uint32_t key_index_find(const struct key_index *x, struct str key)
{
    return map_find(&x->map, hash_keyed(key), key_equal, x, &key);
}

uint32_t key_index_put(struct key_index *x, struct str key, bool *added)
{
    uint64_t hash = hash_keyed(key);
    uint32_t i = map_find(&x->map, hash, key_equal, x, &key);

    *added = i == MAP_NONE;
    if (!*added)
        return i;
    i = (uint32_t)x->keys.n;
    *vec_push_in(x->arena, &x->keys) = arena_str(x->arena, key);
    map_add(&x->map, hash, i);
    return i;
}

struct names names_of(struct arena *a, const struct str *v, size_t n)
{
    struct names s = { arena_array(a, n + 1, struct str), 0 };

    if (n)
        memcpy(s.v, v, n * sizeof *v);
    s.n = sort_strs_unique(s.v, n);
    return s;
}

bool names_has(const struct names *s, struct str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->v[i], name))
            return true;
    return false;
}

bool name_is_metadata(struct str name)
{
    return name.n > 4 && name.p[0] == '_' && name.p[1] == '_' &&
           (str_eq(name, LABEL_NAME) || str_eq(name, STR("__type__")) ||
            str_eq(name, STR("__unit__")));
}

bool names_has_metadata(const struct names *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (name_is_metadata(s->v[i]))
            return true;
    return false;
}

struct labels labels_keep(struct arena *a, struct labels ls, const struct names *s)
{
    struct label *v = arena_array(a, ls.n + 1, struct label);
    size_t n = 0;

    for (size_t i = 0; i < ls.n; i++)
        if (names_has(s, ls.v[i].name))
            v[n++] = ls.v[i];
    return (struct labels){ v, n };
}

struct labels labels_without(struct arena *a, struct labels ls, const struct names *s,
                             bool drop_name)
{
    struct label *v = arena_array(a, ls.n + 1, struct label);
    size_t n = 0;

    for (size_t i = 0; i < ls.n; i++)
        if (!names_has(s, ls.v[i].name) && !(drop_name && str_eq(ls.v[i].name, LABEL_NAME)))
            v[n++] = ls.v[i];
    return (struct labels){ v, n };
}

struct labels labels_drop_metadata(struct arena *a, struct labels ls)
{
    size_t last = ls.n, first = 0;

    while (first < ls.n && name_is_metadata(ls.v[first].name))
        first++;
    while (last > first && !name_is_metadata(ls.v[last - 1].name))
        last--;
    if (last == first) // nothing behind the first ones, as is usual: no copy
        return (struct labels){ ls.v + first, ls.n - first };

    struct label *v = arena_array(a, ls.n + 1, struct label);
    size_t n = 0;

    for (size_t i = 0; i < ls.n; i++)
        if (!name_is_metadata(ls.v[i].name))
            v[n++] = ls.v[i];
    return (struct labels){ v, n };
}

struct labels labels_with(struct arena *a, struct labels ls, struct str name, struct str value)
{
    struct label *v = arena_array(a, ls.n + 1, struct label);
    size_t n = 0, i = 0;

    for (; i < ls.n && str_cmp(ls.v[i].name, name) < 0; i++)
        v[n++] = ls.v[i];
    if (value.n)
        v[n++] = (struct label){ name, value };
    if (i < ls.n && str_eq(ls.v[i].name, name))
        i++;
    for (; i < ls.n; i++)
        v[n++] = ls.v[i];
    return (struct labels){ v, n };
}

void key_of_labels(struct buf *b, struct labels ls, const struct names *s, bool keep)
{
    for (size_t i = 0; i < ls.n; i++) {
        if (names_has(s, ls.v[i].name) != keep)
            continue;
        if (!keep && str_eq(ls.v[i].name, LABEL_NAME))
            continue;
        buf_varint(b, ls.v[i].name.n);
        buf_str(b, ls.v[i].name);
        buf_varint(b, ls.v[i].value.n);
        buf_str(b, ls.v[i].value);
    }
}

struct labels flow_labels_keep(struct query *q, const struct flow_series *s)
{
    return s->stable ? s->labels : labels_copy(q->keep, s->labels);
}

struct str labels_text(struct arena *a, struct labels ls)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_labels(&b, ls);
    return arena_str(a, buf_view(&b));
}

uint64_t *overlap_marks(struct query *q, struct overlap *x, struct labels ls, uint32_t salt,
                        size_t steps)
{
    OWNED(buf_fini) struct buf key = { 0 };
    bool added;

    if (!x->index)
        x->index = key_index_new(q);
    buf_labels_canonical(&key, ls);
    buf_le32(&key, salt);
    uint32_t i = key_index_put(x->index, buf_view(&key), &added);
    if (added)
        *vec_push_in(q->keep, &x->bits) = arena_array(q->keep, column_words(steps) + 1, uint64_t);
    return x->bits.v[i];
}

bool overlap_add(struct query *q, struct overlap *x, struct labels ls, const struct column *c,
                 struct err *e)
{
    uint64_t *bits = overlap_marks(q, x, ls, 0, c->n);

    for (size_t w = 0; w < column_words(c->n); w++) {
        if (bits[w] & c->has[w])
            return query_fail_same_labels(q, e);
        bits[w] |= c->has[w];
    }
    return true;
}

static bool held_join(struct held *h, uint32_t i, const struct column *c, struct err *e)
{
    struct column *to = &h->v.v[i].column;

    FOR_STEPS(k, c)
    {
        if (column_has(to, k))
            return query_fail_same_labels(h->q, e);
        column_put(to, k, c->v[k]);
        if (!column_hist(c, k))
            continue;
        column_want_hists(h->q->keep, to);
        to->hist[k] = histogram_copy(h->q->keep, c->hist[k]);
    }
    return true;
}

static bool held_push(void *ctx, const struct flow_series *s, struct column *c, struct err *e)
{
    struct held *h = ctx;
    struct query *q = h->q;
    int64_t samples = column_samples(c);

    h->samples += samples;
    if (!query_hold(q, samples, e) || !query_account(q, 1, e))
        return false;
    if (h->merge) {
        OWNED(buf_fini) struct buf key = { 0 };
        bool added;

        buf_labels_canonical(&key, s->labels);
        uint32_t i = key_index_put(h->index, buf_view(&key), &added);
        if (!added)
            return held_join(h, i, c, e);
    }
    struct held_series *to = vec_push_in(q->keep, &h->v);
    to->series = *s;
    to->series.labels = flow_labels_keep(q, s);
    to->series.stable = true;
    to->column = column_copy(q->keep, c);
    return true;
}

bool held_run(struct held *h, struct op *from, bool merge, struct query *q, struct err *e)
{
    *h = (struct held){ .q = q, .merge = merge };
    if (merge)
        h->index = key_index_new(q);
    return from->run(from, q, (struct flow){ held_push, h }, e);
}

void held_done(struct held *h)
{
    assert(h->q);
    query_release(h->q, h->samples);
    h->samples = 0;
}
