// catalog_merge.c - the values of one label in order, over several segments.
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/sort.h"
#include "store/catalog_priv.h"

static void names_collect(struct catalog_merge *m)
{
    VEC(struct str) all = { 0 };

    for (size_t i = 0; i < m->n; i++) {
        const struct catalog_source *s = m->v[i].source;
        uint32_t n = s->live ? atomic_load_explicit(&s->live->name_count, memory_order_acquire)
                             : segment_name_count(s->segment);
        for (uint32_t k = 0; k < n; k++)
            *vec_push(&all) = s->live ? live_text(s->live, live_name(s->live, k)->text)
                                      : segment_name(s->segment, k)->text;
    }
    m->name_count = sort_strs_unique(all.v, all.n);
    m->names = all.v;
}

void catalog_merge_init(struct catalog_merge *m, const struct catalog_source *v, size_t n,
                        enum page_use use)
{
    *m = (struct catalog_merge){ .v = xcalloc(n, sizeof *m->v), .n = n };
    for (size_t i = 0; i < n; i++) {
        m->v[i].source = &v[i];
        if (v[i].segment)
            segment_values_init(&m->v[i].values, v[i].segment, use);
    }
    names_collect(m);
}

void catalog_merge_fini(struct catalog_merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->v[i].source->segment)
            segment_values_fini(&m->v[i].values);
        xfree(m->v[i].pairs);
    }
    xfree(m->v);
    xfree(m->names);
}

struct value_of {
    struct str value;
    uint32_t pair;
};

static int value_cmp(const void *a, const void *b, void *ctx)
{
    return str_cmp(((const struct value_of *)a)->value, ((const struct value_of *)b)->value);
}

uint32_t *live_sorted_pairs(const struct live *s, uint32_t name, uint32_t n, size_t *count)
{
    VEC(struct value_of) v = { 0 };
    uint32_t at = atomic_load_explicit(&live_name(s, name)->head, memory_order_acquire);
    uint32_t *pairs;

    for (; at != LIVE_NONE; at = live_pair(s, at)->prev)
        if (live_pair_is_seen(s, at, n))
            *vec_push(&v) = (struct value_of){ live_pair_value(s, at), at };
    sort_stable(v.v, v.n, sizeof *v.v, value_cmp, NULL);
    pairs = xmalloc(v.n * sizeof *pairs);
    for (size_t i = 0; i < v.n; i++)
        pairs[i] = v.v[i].pair;
    *count = v.n;
    vec_fini(&v);
    return pairs;
}

// Puts the stream on its next value, or to its end.
static bool stream_step(struct catalog_stream *s, struct err *e)
{
    s->there = false;
    if (s->source->live) {
        const struct live *live = s->source->live;
        if (s->at == s->n)
            return true;
        s->pair = (struct segment_pair){ .pair = s->pairs[s->at++] };
        s->pair.count = live_pair_count(live, s->pair.pair);
        s->value = live_pair_value(live, s->pair.pair);
    } else {
        if (s->values.at >= s->pair_end)
            return true;
        if (!segment_values_read(&s->values, e))
            return false;
        s->pair = s->values.pair;
        s->value = s->values.value;
    }
    s->there = true;
    return true;
}

static bool stream_begin(struct catalog_stream *s, struct str name, struct err *e)
{
    s->hit = false;
    if (s->source->live) {
        uint32_t i = live_name_find(s->source->live, name);
        xfree(s->pairs);
        s->pairs = NULL;
        s->n = s->at = 0;
        if (i != LIVE_NONE)
            s->pairs = live_sorted_pairs(s->source->live, i, s->source->n, &s->n);
    } else {
        uint32_t i = segment_name_find(s->source->segment, name);
        s->pair_end = s->values.at;
        if (i != UINT32_MAX) {
            const struct segment_name *of = segment_name(s->source->segment, i);
            s->pair_end = of->pair_first + of->pairs;
            if (!segment_values_goto(&s->values, of->pair_first, e))
                return false;
        }
    }
    return stream_step(s, e);
}

bool catalog_merge_name(struct catalog_merge *m, struct str name, struct err *e)
{
    m->begun = false;
    for (size_t i = 0; i < m->n; i++)
        if (!stream_begin(&m->v[i], name, e))
            return false;
    return true;
}

int catalog_merge_next(struct catalog_merge *m, struct err *e)
{
    struct catalog_stream *least = NULL;

    for (size_t i = 0; i < m->n; i++) {
        struct catalog_stream *s = &m->v[i];
        if (m->begun && s->hit && !stream_step(s, e))
            return -1;
        s->hit = false;
        if (s->there && (!least || str_cmp(s->value, least->value) < 0))
            least = s;
    }
    m->begun = true;
    if (!least)
        return 0;
    m->value = least->value;
    m->count = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct catalog_stream *s = &m->v[i];
        s->hit = s->there && str_eq(s->value, m->value);
        m->count += s->hit ? s->pair.count : 0;
    }
    return 1;
}
