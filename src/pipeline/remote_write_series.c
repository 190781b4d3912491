/*
 * remote_write_series.c - the series of a queue: labels are fetched, relabelled and encoded once.
 *
 * A series has another id in every partition; what is kept of it is found by its fingerprint then,
 * so that midnight costs a key and no labels.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "model/relabel.h"
#include "pipeline/remote_write_priv.h"

void rw_table_fini(struct rw_table *t)
{
    for (size_t i = 0; i < t->v.n; i++)
        xfree(t->v.v[i]);
    vec_fini(&t->v);
    vec_fini(&t->key);
    vec_fini(&t->of);
    vec_fini(&t->symbols);
    vec_fini(&t->metas);
    map_fini(&t->by_fingerprint);
    map_fini(&t->by_key);
    map_fini(&t->by_text);
    map_fini(&t->by_name);
    arena_fini(&t->arena);
}

/* ---- symbols ---- */

static bool text_equal(const void *ctx, const void *key, uint32_t i)
{
    return str_eq(((const struct rw_table *)ctx)->symbols.v[i].text, *(const struct str *)key);
}

static uint32_t symbol_of(struct rw_table *t, struct str text)
{
    uint64_t hash = hash_keyed(text);
    uint32_t i = map_find(&t->by_text, hash, text_equal, t, &text);

    if (i != MAP_NONE)
        return i;
    i = (uint32_t)t->symbols.n;
    map_add(&t->by_text, hash, i);
    *vec_push(&t->symbols) = (struct rw_symbol){ .text = arena_str(&t->arena, text) };
    return i;
}

/* ---- making a series ---- */

static struct labels labels_to_send(struct rw_table *t, struct labels ls, struct labels_builder *b,
                                    struct arena *a)
{
    labels_builder_reset(b, ls);
    for (size_t i = 0; i < t->external.n; i++) {
        if (!labels_builder_get(b, t->external.v[i].name).n)
            labels_builder_set(b, t->external.v[i].name, t->external.v[i].value);
    }
    if (!relabel_apply(t->rules, t->rule_count, b, a))
        return (struct labels){ 0 };
    return labels_builder_view(b);
}

static struct rw_series *series_of_bytes(struct labels ls)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct rw_series *s;

    for (size_t i = 0; i < ls.n; i++) {
        size_t mark = proto_begin(&b, 1);

        proto_put_bytes(&b, 1, ls.v[i].name);
        proto_put_bytes(&b, 2, ls.v[i].value);
        proto_end(&b, mark);
    }
    s = xcalloc(1, sizeof *s + b.n);
    s->n = (uint32_t)b.n;
    if (b.n)
        memcpy(s->bytes, b.p, b.n);
    return s;
}

static struct rw_series *series_of_symbols(struct rw_table *t, struct labels ls)
{
    struct rw_series *s = xcalloc(1, sizeof *s + 2 * ls.n * sizeof s->bytes[0]);

    s->n = (uint32_t)(2 * ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        s->bytes[2 * i] = symbol_of(t, ls.v[i].name);
        s->bytes[2 * i + 1] = symbol_of(t, ls.v[i].value);
        if (str_eq(ls.v[i].name, LABEL_NAME))
            s->name = s->bytes[2 * i + 1];
    }
    return s;
}

static struct rw_series *make_series(struct rw_table *t, const struct feed_labels *l)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct labels ls = labels_to_send(t, l->labels, &b, &a);
    struct rw_series *s = t->version == PROMPB_WRITE_2 ? series_of_symbols(t, ls)
                                                       : series_of_bytes(ls);

    s->fingerprint = l->fingerprint;
    s->hash = hash_u64(l->fingerprint.lo);
    s->is_dropped = ls.n == 0;
    s->label_count = (uint32_t)ls.n;
    *vec_push(&t->v) = s;
    map_add(&t->by_fingerprint, l->fingerprint.lo, (uint32_t)t->v.n - 1);
    return s;
}

/* ---- finding ---- */

struct rw_series *rw_table_series(struct rw_table *t, struct hash128 fp)
{
    uint32_t i;

    if (!t->by_fingerprint.n)
        return NULL;
    for (size_t at = map_first(&t->by_fingerprint, fp.lo);
         (i = map_at(&t->by_fingerprint, fp.lo, &at)) != MAP_NONE;) {
        if (t->v.v[i]->fingerprint.lo == fp.lo && t->v.v[i]->fingerprint.hi == fp.hi)
            return t->v.v[i];
    }
    return NULL;
}

static bool key_equal(const void *ctx, const void *key, uint32_t i)
{
    return ((const struct rw_table *)ctx)->key.v[i] == *(const uint64_t *)key;
}

// Adds what is known of the keys. Series without labels are not kept: they may get some.
static bool fetch(struct rw_table *t, struct feed *f, const uint64_t *key, size_t n, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct feed_labels *l = arena_array(&a, n, struct feed_labels);

    if (!feed_labels(f, key, n, &a, l, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct rw_series *s;

        if (!l[i].labels.n ||
            map_find(&t->by_key, hash_u64(key[i]), key_equal, t, &key[i]) != MAP_NONE)
            continue;
        s = rw_table_series(t, l[i].fingerprint);
        if (!s)
            s = make_series(t, &l[i]);
        map_add(&t->by_key, hash_u64(key[i]), (uint32_t)t->key.n);
        *vec_push(&t->key) = key[i];
        *vec_push(&t->of) = s;
    }
    return true;
}

static struct rw_series *of_key(struct rw_table *t, uint64_t key)
{
    uint32_t i = map_find(&t->by_key, hash_u64(key), key_equal, t, &key);

    if (i == MAP_NONE)
        return NULL;
    t->of.v[i]->round = t->round;
    return t->of.v[i];
}

bool rw_table_find(struct rw_table *t, struct feed *f, const struct feed_batch *b,
                   struct rw_series **out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    uint64_t *news = NULL;
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) {
        bool again = i && b->v[i].series == b->v[i - 1].series;

        out[i] = again ? out[i - 1] : of_key(t, b->v[i].series);
        if (out[i] || again)
            continue;
        if (!news)
            news = arena_array(&a, b->n, uint64_t);
        news[n++] = b->v[i].series;
    }
    if (!n)
        return true;
    if (!fetch(t, f, news, n, e))
        return false;
    for (size_t i = 0; i < b->n; i++) {
        if (!out[i])
            out[i] = of_key(t, b->v[i].series);
    }
    return true;
}

/* ---- forgetting ---- */

static bool is_kept(const struct rw_table *t, const struct rw_series *s)
{
    return s->pending || s->round + 1 >= t->round;
}

void rw_table_sweep(struct rw_table *t)
{
    size_t n = 0;

    t->round++;
    for (size_t i = 0; i < t->key.n; i++) {
        if (!is_kept(t, t->of.v[i]))
            continue;
        t->key.v[n] = t->key.v[i];
        t->of.v[n++] = t->of.v[i];
    }
    if (n == t->key.n)
        return;
    t->key.n = t->of.n = n;
    map_fini(&t->by_key);
    t->by_key = (struct map){ 0 };
    for (size_t i = 0; i < n; i++)
        map_add(&t->by_key, hash_u64(t->key.v[i]), (uint32_t)i);
    n = 0;
    for (size_t i = 0; i < t->v.n; i++) {
        if (is_kept(t, t->v.v[i]))
            t->v.v[n++] = t->v.v[i];
        else
            xfree(t->v.v[i]);
    }
    t->v.n = n;
    map_fini(&t->by_fingerprint);
    t->by_fingerprint = (struct map){ 0 };
    for (size_t i = 0; i < n; i++)
        map_add(&t->by_fingerprint, t->v.v[i]->fingerprint.lo, (uint32_t)i);
}

/* ---- metadata of 2.0 ---- */

static bool meta_equal(const void *ctx, const void *key, uint32_t i)
{
    return ((const struct rw_table *)ctx)->metas.v[i].name == *(const uint32_t *)key;
}

static uint32_t find_meta(const struct rw_table *t, uint32_t name)
{
    return map_find(&t->by_name, hash_u64(name), meta_equal, t, &name);
}

static void take_meta(void *ctx, const struct metric_meta *m)
{
    struct rw_table *t = ctx;
    uint32_t name = symbol_of(t, m->name), i = find_meta(t, name);

    if (i == MAP_NONE) {
        i = (uint32_t)t->metas.n;
        (void)vec_push(&t->metas);
        map_add(&t->by_name, hash_u64(name), i);
    }
    t->metas.v[i] = (struct rw_meta){ name, m->type, symbol_of(t, m->help), symbol_of(t, m->unit) };
}

void rw_table_metadata(struct rw_table *t, struct metrics_tenant *tenant)
{
    metrics_meta_each(tenant, take_meta, t);
}

// Of the family of that name, or of the one whose part it is: x_bucket is of x.
const struct rw_meta *rw_table_meta(const struct rw_table *t, const struct rw_series *s)
{
    static const char *const parts[] = {
        "_bucket", "_count", "_sum", "_total", "_created", "_info"
    };
    uint32_t i = find_meta(t, s->name);
    struct str name;

    if (i != MAP_NONE)
        return &t->metas.v[i];
    if (s->name >= t->symbols.n)
        return NULL;
    name = t->symbols.v[s->name].text;
    for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
        struct str family = str_sub(name, 0, name.n - MIN(name.n, strlen(parts[k])));
        uint32_t symbol;

        if (!str_ends(name, str_c(parts[k])))
            continue;
        symbol = map_find(&t->by_text, hash_keyed(family), text_equal, t, &family);
        i = symbol == MAP_NONE ? MAP_NONE : find_meta(t, symbol);
        if (i != MAP_NONE)
            return &t->metas.v[i];
    }
    return NULL;
}
