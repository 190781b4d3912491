/*
 * intake_limits.c - what a tenant may push: rates, labels, numbers of series.
 *
 * Limits on series refuse new ones only; what is active goes on. Texts carry the ids of Mimir's
 * errors, because people look for them, and the limit's name and value.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/budget.h"
#include "pipeline/intake_priv.h"

enum {
    COUNT_AGE_S = 10, // a count that has come to its limit is made anew after that
    COUNT_METRICS_MAX = 1 << 16,
    TEXT_MAX = 200, // bytes of a label or a series in a text
};

/* ---- rates ---- */

bool bucket_take(struct bucket *b, struct bucket_rate rate, double n, int64_t now_ns)
{
    double room = rate.burst ? (double)rate.burst : rate.per_s;

    if (!b->at_ns)
        b->tokens = room;
    else
        b->tokens += (double)(now_ns - b->at_ns) / NS_SECOND * rate.per_s;
    b->at_ns = now_ns ? now_ns : 1;
    b->tokens = MIN(b->tokens, room);
    if (b->tokens < n)
        return false;
    b->tokens -= n;
    return true;
}

bool intake_rate_allows(struct intake_batch *b, uint64_t items)
{
    const struct limits *l = b->limits;
    struct intake_tenant *t = b->tenant;
    struct bucket_rate rate;

    if (!l || !(l->ingestion_rate > 0) || !items)
        return true;
    rate = (struct bucket_rate){ l->ingestion_rate, l->ingestion_burst_size };
    mutex_lock(&t->mu);
    bool fits = bucket_take(&t->items, rate, (double)items, clock_mono_ns(t->in->clock));
    mutex_unlock(&t->mu);
    if (fits)
        return true;
    intake_refuse(
        b, INTAKE_RATE, items,
        arena_printf(&b->arena,
                     "ingestion rate limit exceeded (err-mimir-tenant-max-ingestion-rate): "
                     "ingestion_rate is %g items/s with an ingestion_burst_size of %llu "
                     "for tenant %s, the request has %llu",
                     l->ingestion_rate, (unsigned long long)l->ingestion_burst_size, t->name,
                     (unsigned long long)items));
    return false;
}

/* ---- shaping ---- */

uint64_t intake_shape_hash(const struct limits *l)
{
    uint64_t h = 0;

    if (!l)
        return 0;
    for (size_t i = 0; i < l->drop_labels.n; i++)
        h = hash_seeded(l->drop_labels.v[i], h + 1);
    if (l->accept_ha_samples)
        h = hash_seeded(l->ha_replica_label, hash_seeded(l->ha_cluster_label, h + 2));
    return h;
}

static bool is_dropped(const struct intake_batch *b, struct str name)
{
    const struct limits *l = b->limits;

    if (b->ha == INTAKE_HA_MINE && str_eq(name, l->ha_replica_label))
        return true;
    for (size_t i = 0; i < l->drop_labels.n; i++)
        if (str_eq(name, l->drop_labels.v[i]))
            return true;
    return false;
}

void intake_shape_labels(struct intake_batch *b, struct labels *ls)
{
    struct label *kept;
    size_t n = 0;

    if (!b->limits || (b->ha != INTAKE_HA_MINE && !b->limits->drop_labels.n))
        return;
    kept = arena_array(&b->arena, ls->n, struct label);
    for (size_t i = 0; i < ls->n; i++)
        if (!is_dropped(b, ls->v[i].name))
            kept[n++] = ls->v[i];
    *ls = (struct labels){ kept, n };
}

/* ---- labels ---- */

static struct str series_text(struct intake_batch *b, struct labels ls)
{
    OWNED(buf_fini) struct buf text = { 0 };

    buf_series(&text, ls);
    return arena_str(&b->arena, str_sub(buf_view(&text), 0, TEXT_MAX));
}

static bool refuse_label(struct intake_batch *b, struct labels ls, struct str label,
                         const char *what, uint64_t limit)
{
    struct str shown = str_sub(label, 0, TEXT_MAX);

    return intake_refuse_series(
        b, INTAKE_LABELS,
        arena_printf(&b->arena,
                     "label %s is too long (err-mimir-label-%s-too-long): max_label_%s_length is "
                     "%llu, '%.*s' has %zu bytes, series %.*s",
                     what, what, what, (unsigned long long)limit, STRF(shown), label.n,
                     STRF(series_text(b, ls))));
}

static bool labels_allowed(struct intake_batch *b, struct labels ls)
{
    const struct limits *l = b->limits;

    if (l->max_label_names_per_series && ls.n > l->max_label_names_per_series)
        return intake_refuse_series(
            b, INTAKE_LABELS,
            arena_printf(&b->arena,
                         "too many labels (err-mimir-max-label-names-per-series): "
                         "max_label_names_per_series is %llu, the series has %zu: %.*s",
                         (unsigned long long)l->max_label_names_per_series, ls.n,
                         STRF(series_text(b, ls))));
    for (size_t i = 0; i < ls.n; i++) {
        if (l->max_label_name_length && ls.v[i].name.n > l->max_label_name_length)
            return refuse_label(b, ls, ls.v[i].name, "name", l->max_label_name_length);
        if (l->max_label_value_length && ls.v[i].value.n > l->max_label_value_length)
            return refuse_label(b, ls, ls.v[i].value, "value", l->max_label_value_length);
    }
    return true;
}

/* ---- numbers of series ---- */

// Active series of one metric: those that have samples of the last hour.
static uint64_t count_metric(struct intake_tenant *t, struct str metric)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(series_view_put) struct series_view *view = NULL;
    struct series_source *source = metrics_source(t->store);
    struct matcher m = { MATCH_EQ, LABEL_NAME, metric, NULL };
    int64_t now_ms = clock_ms(t->in->clock);
    struct select_query q = {
        .matchers = &m, .matcher_count = 1, .min_ms = now_ms - MS_HOUR, .max_ms = now_ms + MS_HOUR
    };
    struct budget budget = { 0 };
    struct series_set set;
    struct err e; // what cannot be counted does not count

    if (!source->open(source, q.min_ms, q.max_ms, &view, &e) ||
        !view->ops->select(view, &q, &a, &budget, &set, &e))
        return 0;
    return set.n;
}

static bool metric_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct intake_tenant *t = ctx;

    return t->by_metric.v[index].name_hash == *(const uint64_t *)key;
}

static struct metric_count *metric_locked(struct intake_tenant *t, uint64_t hash)
{
    uint32_t i = map_find(&t->by_metric_map, hash, metric_equal, t, &hash);

    if (i != MAP_NONE)
        return &t->by_metric.v[i];
    if (t->by_metric.n >= COUNT_METRICS_MAX) { // begin again rather than grow without end
        map_reset(&t->by_metric_map);
        vec_reset(&t->by_metric);
    }
    map_add(&t->by_metric_map, hash, (uint32_t)t->by_metric.n);
    struct metric_count *c = vec_push(&t->by_metric);
    *c = (struct metric_count){ .name_hash = hash };
    return c;
}

// Counts one more series of the metric unless the limit is reached.
static bool metric_take(struct intake_tenant *t, struct str metric, uint64_t limit)
{
    int64_t now_ns = clock_mono_ns(t->in->clock);
    uint64_t hash = hash_keyed(metric), counted;
    struct metric_count *c;
    bool stale;

    mutex_lock(&t->mu);
    c = metric_locked(t, hash);
    stale = !c->counted_ns ||
            (c->series >= limit && now_ns - c->counted_ns > COUNT_AGE_S * NS_SECOND);
    mutex_unlock(&t->mu);
    counted = stale ? count_metric(t, metric) : 0; // reads the store: not under the lock
    LOCKED(&t->mu);
    c = metric_locked(t, hash);
    if (stale) {
        c->series = counted;
        c->counted_ns = now_ns ? now_ns : 1;
    }
    if (c->series >= limit)
        return false;
    c->series++;
    return true;
}

bool intake_series_allowed(struct intake_batch *b, struct labels ls)
{
    const struct limits *l = b->limits;
    struct intake_tenant *t = b->tenant;
    uint64_t active;

    if (!l)
        return true;
    if (!labels_allowed(b, ls))
        return false;
    active = metrics_tenant_series(t->store);
    if (l->max_global_series_per_user && active >= l->max_global_series_per_user)
        return intake_refuse_series(
            b, INTAKE_SERIES,
            arena_printf(&b->arena,
                         "per-user series limit of %llu exceeded (err-mimir-max-series-per-user): "
                         "max_global_series_per_user of tenant %s, %llu series are active; refused "
                         "was %.*s",
                         (unsigned long long)l->max_global_series_per_user, t->name,
                         (unsigned long long)active, STRF(series_text(b, ls))));
    if (l->max_global_series_per_metric &&
        !metric_take(t, labels_get(ls, LABEL_NAME), l->max_global_series_per_metric))
        return intake_refuse_series(
            b, INTAKE_SERIES,
            arena_printf(&b->arena,
                         "per-metric series limit of %llu exceeded "
                         "(err-mimir-max-series-per-metric): max_global_series_per_metric of "
                         "tenant %s; refused was %.*s",
                         (unsigned long long)l->max_global_series_per_metric, t->name,
                         STRF(series_text(b, ls))));
    return true;
}
