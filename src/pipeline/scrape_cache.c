/*
 * scrape_cache.c - what is remembered of a target's pages: slots of series, their order, metadata.
 *
 * A target whose pages look alike needs only `known` and the slots; the index from hash to slot is
 * built at the first line that is not where it was, and dropped when some pages did without.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "pipeline/scrape_page_priv.h"

enum {
    CALM_PAGES = 4,  // without use of the index before it is dropped
    META_PAGES = 10, // that metadata outlives its last line, as upstream
    COMPACT_SLOTS_MIN = 1024,
};

static void meta_entry_fini(struct scrape_meta_entry *m)
{
    xfree((void *)(uintptr_t)m->name.p);
    xfree((void *)(uintptr_t)m->help.p);
    xfree((void *)(uintptr_t)m->unit.p);
}

void scrape_cache_fini(struct scrape_cache *c)
{
    for (size_t i = 0; i < c->meta.n; i++)
        meta_entry_fini(&c->meta.v[i]);
    vec_fini(&c->meta);
    map_fini(&c->meta_index);
    vec_fini(&c->known);
    vec_fini(&c->series);
    vec_fini(&c->hashes);
    vec_fini(&c->starts);
    vec_fini(&c->free_slots);
    vec_fini(&c->parts);
    map_fini(&c->index);
}

/* ---- slots ---- */

static void build_index(struct scrape_cache *c)
{
    map_reserve(&c->index, c->used);
    for (uint32_t i = 0; i < c->series.n; i++)
        if (c->series.v[i].used)
            map_add(&c->index, c->hashes.v[i], i);
    c->indexed = true;
}

static bool slot_equal(const void *ctx, const void *key, uint32_t slot)
{
    const struct scrape_cache *c = ctx;

    return c->hashes.v[slot] == *(const uint64_t *)key;
}

uint32_t scrape_cache_find(struct scrape_cache *c, uint64_t hash)
{
    c->calm = 0;
    if (!c->indexed)
        build_index(c);
    return map_find(&c->index, hash, slot_equal, c, &hash);
}

uint32_t scrape_cache_add(struct scrape_cache *c, uint64_t hash)
{
    uint32_t slot;

    if (c->free_slots.n) {
        slot = c->free_slots.v[--c->free_slots.n];
    } else {
        slot = (uint32_t)c->series.n;
        (void)vec_push(&c->series);
        (void)vec_push(&c->hashes);
    }
    c->series.v[slot] = (struct scrape_series){ .used = true, .page = c->page - 1 };
    c->hashes.v[slot] = hash;
    if (slot < c->starts.n)
        c->starts.v[slot] = 0;
    if (slot < c->parts.n)
        c->parts.v[slot].role = ROLE_UNKNOWN;
    if (c->indexed)
        map_add(&c->index, hash, slot);
    c->used++;
    return slot;
}

void scrape_cache_remove(struct scrape_cache *c, uint32_t slot)
{
    assert(c->series.v[slot].used);
    if (c->indexed)
        map_remove(&c->index, c->hashes.v[slot], slot);
    c->series.v[slot] = (struct scrape_series){ 0 };
    *vec_push(&c->free_slots) = slot;
    c->used--;
}

void scrape_cache_keep_only(struct scrape_cache *c, uint32_t page)
{
    for (uint32_t i = 0; i < c->series.n; i++)
        if (c->series.v[i].used && c->series.v[i].page != page)
            scrape_cache_remove(c, i);
}

void scrape_cache_compact(struct scrape_cache *c)
{
    if (c->series.n < COMPACT_SLOTS_MIN || c->used >= c->series.n / 4)
        return;
    __typeof__(c->series) series = { 0 };
    __typeof__(c->hashes) hashes = { 0 };
    uint32_t *moved = xmalloc(c->series.n * sizeof *moved);

    vec_reserve(&series, c->used);
    vec_reserve(&hashes, c->used);
    for (size_t i = 0; i < c->series.n; i++) {
        moved[i] = (uint32_t)series.n;
        if (!c->series.v[i].used)
            continue;
        *vec_push(&series) = c->series.v[i];
        *vec_push(&hashes) = c->hashes.v[i];
        if (i < c->starts.n)
            c->starts.v[series.n - 1] = c->starts.v[i];
        if (i < c->parts.n)
            c->parts.v[series.n - 1] = c->parts.v[i];
    }
    for (size_t i = 0; i < c->known.n; i++)
        if (c->known.v[i].slot != EXPO_SLOT_NONE)
            c->known.v[i].slot = moved[c->known.v[i].slot];
    xfree(moved);
    vec_fini(&c->series);
    vec_fini(&c->hashes);
    vec_fini(&c->free_slots);
    c->starts.n = MIN(c->starts.n, series.n);
    c->parts.n = MIN(c->parts.n, series.n);
    c->series = (__typeof__(c->series)){ series.v, series.n, series.cap };
    c->hashes = (__typeof__(c->hashes)){ hashes.v, hashes.n, hashes.cap };
    map_fini(&c->index);
    c->indexed = false;
}

void scrape_cache_settle(struct scrape_cache *c, const scrape_known *order)
{
    if (order) {
        if (c->known.cap < order->n || c->known.cap > 2 * order->n + 64) {
            vec_fini(&c->known);
            vec_reserve(&c->known, order->n);
        }
        if (order->n)
            memcpy(c->known.v, order->v, order->n * sizeof *order->v);
        c->known.n = order->n;
        for (uint32_t i = 0; i < c->known.n; i++)
            c->series.v[c->known.v[i].slot].at = i;
    }
    if (c->indexed && c->calm++ >= CALM_PAGES) {
        map_fini(&c->index);
        c->indexed = false;
    }
    c->good_used = c->used;
}

/* ---- metadata ---- */

static bool meta_equal(const void *ctx, const void *key, uint32_t i)
{
    const struct scrape_cache *c = ctx;

    return str_eq(c->meta.v[i].name, *(const struct str *)key);
}

// The entry of this name; lines come in the order of the last page nearly always.
static uint32_t meta_find(struct scrape_cache *c, struct str name)
{
    for (uint32_t i = c->meta_at; i < c->meta.n && i < c->meta_at + 2; i++)
        if (str_eq(c->meta.v[i].name, name))
            return i;
    return map_find(&c->meta_index, hash_keyed(name), meta_equal, c, &name);
}

static bool meta_says_it(const struct scrape_meta_entry *m, const struct expo_event *ev)
{
    switch (ev->kind) {
    case EXPO_META_TYPE:
        return m->type == (enum metric_type)ev->type;
    case EXPO_META_HELP:
        return str_eq(m->help, ev->text);
    default:
        return str_eq(m->unit, ev->text);
    }
}

static void replace(struct str *old, struct str now)
{
    xfree((void *)(uintptr_t)old->p);
    *old = str_of(xstrdup_str(now), now.n);
}

static void meta_change(struct scrape_meta_entry *m, const struct expo_event *ev)
{
    if (ev->kind == EXPO_META_TYPE)
        m->type = (enum metric_type)ev->type;
    else if (ev->kind == EXPO_META_HELP)
        replace(&m->help, ev->text);
    else
        replace(&m->unit, ev->text);
}

bool scrape_cache_meta(struct scrape_target *t, const struct expo_event *ev, struct arena *a,
                       struct metric_meta *changed)
{
    struct scrape_cache *c = &t->cache;
    uint32_t at = meta_find(c, ev->name);
    bool is_new = at == MAP_NONE;

    if (is_new) {
        LOCKED(&t->mu);
        at = (uint32_t)c->meta.n;
        vec_push(&c->meta)->name = str_of(xstrdup_str(ev->name), ev->name.n);
        map_add(&c->meta_index, hash_keyed(ev->name), at);
    }
    struct scrape_meta_entry *m = &c->meta.v[at];
    m->page = c->page;
    c->meta_at = at;
    if (meta_says_it(m, ev) && !is_new)
        return false;
    LOCKED(&t->mu);
    meta_change(m, ev);
    *changed = (struct metric_meta){ arena_str(a, m->name), m->type, arena_str(a, m->help),
                                     arena_str(a, m->unit) };
    return true;
}

void scrape_cache_meta_expire(struct scrape_target *t)
{
    struct scrape_cache *c = &t->cache;
    size_t n = 0;

    c->meta_at = 0;
    while (n < c->meta.n && c->page - c->meta.v[n].page <= META_PAGES)
        n++;
    if (n == c->meta.n)
        return;
    LOCKED(&t->mu);
    map_reset(&c->meta_index);
    size_t kept = 0;
    for (size_t i = 0; i < c->meta.n; i++) {
        struct scrape_meta_entry m = c->meta.v[i];
        if (c->page - m.page > META_PAGES) {
            meta_entry_fini(&m);
            continue;
        }
        map_add(&c->meta_index, hash_keyed(m.name), (uint32_t)kept);
        c->meta.v[kept++] = m;
    }
    c->meta.n = kept;
}
