// scrape_info.c - copies of what the scraper knows, for the API and the pages.
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "pipeline/scrape_priv.h"

static void target_info(struct scrape_target *t, struct arena *a, struct scrape_target_info *out)
{
    *out = (struct scrape_target_info){
        .pool = arena_str(a, t->pool->name),
        .url = arena_str(a, t->url),
        .discovered = labels_copy(a, t->discovered),
        .labels = labels_copy(a, t->labels),
        .interval_ms = t->interval_ms,
        .timeout_ms = t->timeout_ms,
    };
    LOCKED(&t->mu);
    out->last_error = arena_str(a, str_c(t->last_error));
    out->last_scrape_ns = t->last_scrape_ns;
    out->last_duration_ns = t->last_duration_ns;
    out->health = t->health;
    out->series = t->page_series;
    out->body_bytes = t->page_bytes;
}

static int pool_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct scrape_pool_info *)a)->name,
                   ((const struct scrape_pool_info *)b)->name);
}

void scraper_info(struct scraper *s, struct arena *a, struct scrape_info *out)
{
    LOCKED(&s->mu);

    *out = (struct scrape_info){ .config = s->config ? prom_config_get(s->config) : NULL };
    out->pools = arena_array(a, s->pools.n, struct scrape_pool_info);
    out->n = s->pools.n;
    for (size_t i = 0; i < s->pools.n; i++) {
        struct scrape_pool *p = s->pools.v[i];
        struct scrape_pool_info *info = &out->pools[i];
        *info = (struct scrape_pool_info){ .name = arena_str(a, p->name),
                                           .conf = p->conf,
                                           .dropped_count = p->dropped_count };
        info->active = arena_array(a, p->targets.n, struct scrape_target_info);
        info->active_n = p->targets.n;
        for (size_t k = 0; k < p->targets.n; k++)
            target_info(p->targets.v[k], a, &info->active[k]);
        info->dropped = arena_array(a, p->dropped.n, struct scrape_target_info);
        info->dropped_n = p->dropped.n;
        for (size_t k = 0; k < p->dropped.n; k++)
            info->dropped[k] = (struct scrape_target_info){
                .pool = info->name, .discovered = labels_copy(a, p->dropped.v[k])
            };
    }
    sort_stable(out->pools, out->n, sizeof *out->pools, pool_order, NULL);
}

typedef VEC(struct scrape_meta) meta_vec;

static void target_meta(struct scrape_target *t, struct str metric, struct arena *a, meta_vec *out)
{
    LOCKED(&t->mu);

    for (size_t i = 0; i < t->cache.meta.n; i++) {
        const struct scrape_meta_entry *m = &t->cache.meta.v[i];
        if (metric.n && !str_eq(metric, m->name))
            continue;
        *vec_push_in(a, out) = (struct scrape_meta){
            labels_copy(a, t->labels),
            { arena_str(a, m->name), m->type, arena_str(a, m->help), arena_str(a, m->unit) }
        };
    }
}

void scraper_meta(struct scraper *s, struct str metric, struct arena *a, struct scrape_meta **out,
                  size_t *n)
{
    meta_vec all = { 0 };
    LOCKED(&s->mu);

    for (size_t i = 0; i < s->pools.n; i++)
        for (size_t k = 0; k < s->pools.v[i]->targets.n; k++)
            target_meta(s->pools.v[i]->targets.v[k], metric, a, &all);
    *out = all.v;
    *n = all.n;
}
