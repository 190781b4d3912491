/*
 * scrape_nhcb.c - classic histograms of a page become native ones with custom buckets.
 *
 * Lines of one histogram stand together. They are collected while name and labels, but for `le`, stay
 * the same, and put as one sample when they change, at a line of metadata and at the end. What a line
 * is to its histogram is remembered by slot, so that a page like the last one decodes no labels.
 * A native histogram before its own classic lines keeps these as they are. Source: upstream's
 * model/textparse/nhcbparse.go, version 3.15.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "pipeline/scrape_page_priv.h"

/* ---- what a line is ---- */

static enum scrape_role role_of(struct str name, struct str *base)
{
    static const struct {
        struct str suffix;
        enum scrape_role role;
    } roles[] = { { { "_bucket", 7 }, ROLE_BUCKET },
                  { { "_count", 6 }, ROLE_COUNT },
                  { { "_sum", 4 }, ROLE_SUM } };

    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (!str_ends(name, roles[i].suffix))
            continue;
        *base = str_sub(name, 0, name.n - roles[i].suffix.n);
        return roles[i].role;
    }
    *base = name;
    return ROLE_OTHER;
}

static struct scrape_part part_of_labels(const struct expo_labels *raw)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    OWNED(buf_fini) struct buf bytes = { 0 };
    struct str base, le;
    struct scrape_part part = { .native = MAP_NONE };

    for (size_t i = 0; i < raw->n; i++)
        labels_builder_set(&b, raw->v[i].name, raw->v[i].value);
    part.role = role_of(labels_builder_get(&b, LABEL_NAME), &base);
    le = labels_builder_get(&b, STR("le"));
    if (part.role == ROLE_BUCKET && (!num_parse_double(le, &part.le) || isnan(part.le)))
        part.role = ROLE_OTHER;
    part.family = hash_keyed(base);
    labels_builder_set(&b, LABEL_NAME, base);
    labels_builder_del(&b, STR("le"));
    buf_labels_canonical(&bytes, labels_builder_view(&b));
    part.base = hash_keyed(buf_view(&bytes));
    return part;
}

static struct scrape_part *part_of(struct page *p, const struct expo_event *ev, uint32_t slot)
{
    struct scrape_cache *c = &p->t->cache;
    struct expo_labels raw;

    while (c->parts.n <= slot)
        (void)vec_push(&c->parts);
    struct scrape_part *part = &c->parts.v[slot];
    if (part->role != ROLE_UNKNOWN)
        return part;
    if (!expo_series_decode(p->format, ev->type, ev->series, &p->sc->arena, &raw, &p->error))
        return NULL;
    *part = part_of_labels(&raw);
    return part;
}

/* ---- the histogram made ---- */

bool scrape_nhcb_labels(struct page *p, struct labels *out)
{
    struct arena *a = &p->sc->arena;
    struct expo_labels raw;
    size_t n = 0;

    if (!expo_series_decode(p->format, EXPO_HISTOGRAM, p->nhcb.raw, a, &raw, &p->error))
        return false;
    struct label *v = arena_array(a, raw.n, struct label);
    for (size_t i = 0; i < raw.n; i++) {
        struct str value = raw.v[i].value;
        if (str_eq(raw.v[i].name, STR("le")))
            continue;
        if (str_eq(raw.v[i].name, LABEL_NAME))
            role_of(value, &value);
        v[n++] = (struct label){ raw.v[i].name, value };
    }
    *out = (struct labels){ v, n };
    return true;
}

static uint64_t made_hash(uint64_t base)
{
    return hash_u64(base + 1); // no hash of a line but by chance
}

bool scrape_nhcb_end(struct page *p)
{
    struct nhcb *n = &p->nhcb;
    struct scrape_cache *c = &p->t->cache;
    struct histogram *h;
    struct err ignored; // a histogram that cannot be made costs nothing but itself, as upstream

    if (n->state != NHCB_COLLECTING)
        return true;
    n->state = NHCB_START;
    bool made = !n->failed && nhcb_build(&p->sc->builder, &p->sc->arena, &h, &ignored) &&
                histogram_validate(h, &ignored);
    nhcb_reset(&p->sc->builder);
    if (!made)
        return true;
    struct page_sample x = {
        .made = n,
        .hist = h,
        .hash = made_hash(n->base),
        .t_ms = n->t_ms,
        .has_time = n->has_time,
        .start_ms = n->start_ms,
    };
    uint32_t slot = c->parts.v[n->slot].native;
    if (slot >= c->series.n || !c->series.v[slot].used || c->hashes.v[slot] != x.hash)
        slot = scrape_cache_find(c, x.hash);
    if (!scrape_page_put(p, &slot, &x))
        return false;
    c->parts.v[n->slot].native = slot;
    return true;
}

/* ---- collecting ---- */

static void begin(struct page *p, const struct expo_event *ev, uint32_t slot, uint64_t base)
{
    struct nhcb *n = &p->nhcb;

    n->state = NHCB_COLLECTING;
    n->failed = false;
    n->base = base;
    n->raw = ev->series;
    n->slot = slot;
    n->start_ms = ev->start_ms;
    n->exemplars.n = 0;
    nhcb_reset(&p->sc->builder);
    if (p->format == EXPO_PROTO) // there the bytes live until the next event only
        n->raw = arena_str(&p->sc->arena, ev->series);
}

// Exemplars without a time are left out, as with native histograms.
static void take_exemplars(struct page *p, const struct expo_event *ev)
{
    struct arena *a = &p->sc->arena;

    for (uint32_t i = 0; i < ev->exemplars; i++) {
        struct exemplar x;
        if (ev->exemplar[i].has_time && scrape_page_exemplar(p, &ev->exemplar[i], &x))
            *vec_push_in(a, &p->nhcb.exemplars) = x;
    }
}

// True when the line is one of a classic histogram under its TYPE line.
static bool collect(struct page *p, const struct expo_event *ev, uint32_t slot,
                    const struct scrape_part *part)
{
    struct nhcb *n = &p->nhcb;
    struct nhcb_builder *b = &p->sc->builder;
    struct err ignored; // see scrape_nhcb_end()
    bool ok = true;

    if (ev->type != EXPO_HISTOGRAM || part->role == ROLE_OTHER || part->family != n->family)
        return false;
    if (n->state != NHCB_COLLECTING)
        begin(p, ev, slot, part->base);
    if (part->role == ROLE_BUCKET)
        ok = nhcb_bucket(b, part->le, ev->value, &ignored);
    else if (part->role == ROLE_COUNT)
        ok = nhcb_count(b, ev->value, &ignored);
    else
        nhcb_sum(b, ev->value);
    n->failed |= !ok;
    n->t_ms = ev->t_ms;
    n->has_time = ev->has_time;
    if (UNLIKELY(ev->exemplars))
        take_exemplars(p, ev);
    return true;
}

bool scrape_nhcb_line(struct page *p, const struct expo_event *ev, uint32_t slot, bool *taken)
{
    struct nhcb *n = &p->nhcb;
    const struct scrape_part *part = part_of(p, ev, slot);

    *taken = false;
    if (!part)
        return false;
    struct scrape_part at = *part; // scrape_nhcb_end() may move it
    bool same = ev->type == EXPO_HISTOGRAM && at.base == n->base;
    if ((ev->kind == EXPO_NATIVE || !same) && !scrape_nhcb_end(p))
        return false;
    if (ev->kind == EXPO_NATIVE) {
        n->state = NHCB_INHIBITED;
        n->base = at.base;
        return true;
    }
    if (n->state == NHCB_INHIBITED && same)
        return true;
    if (n->state == NHCB_INHIBITED)
        n->state = NHCB_START;
    *taken = collect(p, ev, slot, &at);
    return true;
}

bool scrape_nhcb_meta(struct page *p, const struct expo_event *ev)
{
    if (!scrape_nhcb_end(p))
        return false;
    if (ev->kind == EXPO_META_TYPE)
        p->nhcb.family = hash_keyed(ev->name);
    return true;
}
