/*
 * scrape_append.c - a page becomes rows: known lines by their hash, new ones by relabelling, vanished
 * ones as stale markers, and the report about the scrape itself; all in one batch.
 *
 * A page that fails anywhere gives no samples at all: the batch is reset, and only markers and the
 * report remain.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "pipeline/scrape_priv.h"

struct page {
    struct scrape_target *t;
    struct append_batch *batch;
    struct arena arena; // labels of new series
    enum expo_format format;
    int64_t stamp_ms;
    uint64_t scraped, added, new_series, limit;
    bool limited; // beyond the limit: the rest is only counted
    struct err error;
};

static void page_fini(struct page *p)
{
    append_batch_free(p->batch);
    arena_fini(&p->arena);
}
OWN_DEFINE_FINI(struct page, page_fini)

static void meta_fini(struct scrape_cache *c)
{
    for (size_t i = 0; i < c->meta.n; i++) {
        xfree((void *)(uintptr_t)c->meta.v[i].name.p);
        xfree((void *)(uintptr_t)c->meta.v[i].help.p);
        xfree((void *)(uintptr_t)c->meta.v[i].unit.p);
    }
    vec_fini(&c->meta);
    map_fini(&c->meta_index);
}

void scrape_cache_fini(struct scrape_cache *c)
{
    vec_fini(&c->known);
    vec_fini(&c->next);
    vec_fini(&c->series);
    vec_fini(&c->free_slots);
    vec_fini(&c->hashes);
    map_fini(&c->index);
    meta_fini(c);
}

/* ---- slots ---- */

static bool slot_equal(const void *ctx, const void *key, uint32_t slot)
{
    const struct scrape_cache *c = ctx;

    return c->hashes.v[slot] == *(const uint64_t *)key;
}

static uint32_t slot_find(struct scrape_cache *c, uint64_t hash)
{
    return map_find(&c->index, hash, slot_equal, c, &hash);
}

static uint32_t slot_new(struct scrape_cache *c, uint64_t hash)
{
    uint32_t slot;

    if (c->free_slots.n) {
        slot = c->free_slots.v[--c->free_slots.n];
    } else {
        slot = (uint32_t)c->series.n;
        vec_push(&c->series);
        vec_push(&c->hashes);
    }
    c->series.v[slot] = (struct scrape_series){ .page = c->page };
    c->hashes.v[slot] = hash;
    map_add(&c->index, hash, slot);
    return slot;
}

/* ---- labels of a new series ---- */

// exported_ before names that clash with the target's, as long as needed.
static void move_aside(struct page *p, struct labels_builder *b, struct str name, struct str value)
{
    struct str moved = name;

    do
        moved = arena_printf(&p->arena, "exported_%.*s", STRF(moved));
    while (labels_builder_get(b, moved).n || labels_get(p->t->labels, moved).n);
    labels_builder_set(b, moved, value);
}

static void add_target_labels(struct page *p, struct labels_builder *b)
{
    struct labels own = p->t->labels;
    bool honor = p->t->pool->conf->honor_labels;

    for (size_t i = 0; i < own.n; i++) {
        struct str there = labels_builder_get(b, own.v[i].name);
        if (honor && there.n)
            continue;
        labels_builder_set(b, own.v[i].name, own.v[i].value);
        if (there.n)
            move_aside(p, b, own.v[i].name, there);
    }
}

static bool check_limits(struct page *p, struct labels ls)
{
    const struct conf_scrape *c = p->t->pool->conf;
    struct str metric = labels_get(ls, LABEL_NAME);

    if (c->label_limit && ls.n > c->label_limit)
        return err_set(&p->error, ERR_LIMIT,
                       "label_limit exceeded (metric: %.50s, number of labels: %zu, limit: %llu)",
                       arena_cstr(&p->arena, metric), ls.n, (unsigned long long)c->label_limit);
    for (size_t i = 0; i < ls.n; i++) {
        if (c->label_name_length_limit && ls.v[i].name.n > c->label_name_length_limit)
            return err_set(&p->error, ERR_LIMIT,
                           "label_name_length_limit exceeded (metric: %.50s, label name: %.50s, "
                           "length: %zu, limit: %llu)",
                           arena_cstr(&p->arena, metric), arena_cstr(&p->arena, ls.v[i].name),
                           ls.v[i].name.n, (unsigned long long)c->label_name_length_limit);
        if (c->label_value_length_limit && ls.v[i].value.n > c->label_value_length_limit)
            return err_set(&p->error, ERR_LIMIT,
                           "label_value_length_limit exceeded (metric: %.50s, label name: %.50s, "
                           "value: %.50s, length: %zu, limit: %llu)",
                           arena_cstr(&p->arena, metric), arena_cstr(&p->arena, ls.v[i].name),
                           arena_cstr(&p->arena, ls.v[i].value), ls.v[i].value.n,
                           (unsigned long long)c->label_value_length_limit);
    }
    return true;
}

static bool check_names(struct page *p, struct labels ls)
{
    bool legacy = str_eq(p->t->pool->conf->metric_name_validation_scheme, STR("legacy"));
    struct str metric = labels_get(ls, LABEL_NAME);

    if (!metric.n)
        return err_set(&p->error, ERR_INVALID, "missing metric name (__name__ label)");
    if (legacy && !metric_name_is_legacy(metric))
        return err_set(&p->error, ERR_INVALID, "invalid metric name or label names: {%.*s}",
                       STRF(metric));
    for (size_t i = 0; legacy && i < ls.n; i++)
        if (!label_name_is_legacy(ls.v[i].name))
            return err_set(&p->error, ERR_INVALID, "invalid metric name or label names: {%.*s}",
                           STRF(metric));
    return true;
}

// Resolves the series of an event into s. False: the page fails.
static bool resolve(struct page *p, const struct expo_event *ev, struct scrape_series *s)
{
    const struct conf_scrape *conf = p->t->pool->conf;
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct expo_labels raw;

    if (!expo_series_decode(p->format, ev->type, ev->series, &p->arena, &raw, &p->error))
        return false;
    labels_builder_reset(&b, (struct labels){ 0 });
    for (size_t i = 0; i < raw.n; i++)
        labels_builder_set(&b, raw.v[i].name, raw.v[i].value);
    add_target_labels(p, &b);
    s->dropped = !relabel_apply(conf->metric_relabel, conf->metric_relabel_configs.n, &b,
                                &p->arena) ||
                 b.n == 0;
    s->ref = (struct series_ref){ 0 };
    if (s->dropped)
        return true;
    struct labels ls = labels_builder_view(&b);
    return check_names(p, ls) && check_limits(p, ls) &&
           append_resolve(p->batch, ls, &s->ref, &p->error);
}

/* ---- samples ---- */

static struct histogram *to_model(struct arena *a, const struct expo_histogram *x)
{
    struct histogram *h = arena_new(a, struct histogram);
    const struct expo_hist_side *from[] = { &x->pos, &x->neg };
    struct hist_side *to[] = { &h->pos, &h->neg };

    h->schema = x->schema;
    h->integer = x->integer;
    h->reset = x->gauge ? HIST_RESET_GAUGE : HIST_RESET_UNKNOWN;
    h->zero_threshold = x->zero_threshold;
    h->zero_count = x->zero_count;
    h->count = x->count;
    h->sum = x->sum;
    for (int i = 0; i < 2; i++) {
        struct hist_span *spans = arena_array(a, from[i]->spans, struct hist_span);
        for (uint32_t k = 0; k < from[i]->spans; k++)
            spans[k] = (struct hist_span){ from[i]->span[k].offset, from[i]->span[k].length };
        *to[i] = (struct hist_side){ spans, from[i]->count, from[i]->spans, from[i]->buckets };
    }
    return h;
}

static void add_exemplars(struct page *p, const struct expo_event *ev,
                          const struct scrape_series *s, int64_t t_ms)
{
    for (uint32_t i = 0; i < ev->exemplars; i++) {
        const struct expo_exemplar *x = &ev->exemplar[i];
        struct expo_labels raw;
        struct err ignored; // an exemplar that cannot be read costs nothing but itself
        if (!expo_exemplar_decode(p->format, x->raw, &p->arena, &raw, &ignored))
            continue;
        struct label *v = arena_array(&p->arena, raw.n, struct label);
        size_t n = raw.n;
        struct str twice;
        for (size_t k = 0; k < raw.n; k++)
            v[k] = (struct label){ raw.v[k].name, raw.v[k].value };
        if (labels_normalize(v, &n, &twice))
            append_exemplar(p->batch, s->ref,
                            &(struct exemplar){ { v, n }, x->value, x->has_time ? x->t_ms : t_ms });
    }
}

// Rows of one event whose series is in hand.
static void add_rows(struct page *p, const struct expo_event *ev, struct scrape_series *s)
{
    const struct conf_scrape *conf = p->t->pool->conf;
    bool own_time = ev->has_time && conf->honor_timestamps;
    int64_t t_ms = own_time ? ev->t_ms : p->stamp_ms;

    s->timed = own_time && !conf->track_timestamps_staleness;
    if (s->dropped)
        return;
    if (ev->kind == EXPO_NATIVE)
        append_histogram(p->batch, s->ref, t_ms, to_model(&p->arena, ev->hist));
    else
        append_float(p->batch, s->ref, t_ms, ev->value);
    if (ev->start_ms)
        append_start(p->batch, ev->start_ms);
    if (UNLIKELY(ev->exemplars))
        add_exemplars(p, ev, s, t_ms);
    p->added++;
}

static bool add_sample(struct page *p, struct expo *x, const struct expo_event *ev)
{
    struct scrape_cache *c = &p->t->cache;
    uint32_t slot = ev->slot;

    p->scraped++;
    if (UNLIKELY(p->limited)) {
        p->added += slot == EXPO_SLOT_NONE || !c->series.v[slot].dropped;
        return true;
    }
    if (UNLIKELY(slot == EXPO_SLOT_NONE)) {
        slot = slot_find(c, ev->hash);
        if (slot == MAP_NONE) {
            struct scrape_series s = { .page = c->page };
            if (!resolve(p, ev, &s))
                return false;
            slot = slot_new(c, ev->hash);
            c->series.v[slot] = s;
            p->new_series += !s.dropped;
        }
    }
    struct scrape_series *s = &c->series.v[slot];
    if (UNLIKELY(!s->dropped && !append_ref_is_live(p->batch, s->ref)) && !resolve(p, ev, s))
        return false;
    s->page = c->page;
    *vec_push(&c->next) = (struct expo_known){ ev->hash, (uint32_t)ev->series.n, slot };
    add_rows(p, ev, s);
    p->limited = p->limit && p->added > p->limit;
    return true;
}

/* ---- metadata ---- */

static bool meta_equal(const void *ctx, const void *key, uint32_t i)
{
    const struct scrape_cache *c = ctx;

    return str_eq(c->meta.v[i].name, *(const struct str *)key);
}

static bool text_changes(struct str *old, struct str now)
{
    if (str_eq(*old, now))
        return false;
    xfree((void *)(uintptr_t)old->p);
    *old = str_of(xstrdup_str(now), now.n);
    return true;
}

static void add_meta(struct page *p, const struct expo_event *ev)
{
    struct scrape_cache *c = &p->t->cache;
    uint64_t hash = hash_keyed(ev->name);
    bool changed = false;
    struct metric_meta meta;

    mutex_lock(&p->t->mu);
    uint32_t at = map_find(&c->meta_index, hash, meta_equal, c, &ev->name);
    if (at == MAP_NONE) {
        at = (uint32_t)c->meta.n;
        vec_push(&c->meta)->name = str_of(xstrdup_str(ev->name), ev->name.n);
        map_add(&c->meta_index, hash, at);
        changed = true;
    }
    struct scrape_meta_entry *m = &c->meta.v[at];
    if (ev->kind == EXPO_META_TYPE && m->type != (enum metric_type)ev->type) {
        m->type = (enum metric_type)ev->type;
        changed = true;
    }
    if (ev->kind == EXPO_META_HELP)
        changed |= text_changes(&m->help, ev->text);
    if (ev->kind == EXPO_META_UNIT)
        changed |= text_changes(&m->unit, ev->text);
    if (changed)
        meta = (struct metric_meta){ arena_str(&p->arena, m->name), m->type,
                                     arena_str(&p->arena, m->help), arena_str(&p->arena, m->unit) };
    mutex_unlock(&p->t->mu);
    if (changed)
        metrics_meta_set(p->t->pool->scraper->o.tenant, &meta);
}

/* ---- the page ---- */

static bool read_page(struct page *p, struct str body)
{
    struct scrape_cache *c = &p->t->cache;
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_event ev;
    int got;

    expo_start(x,
               &(struct expo_options){
                   .format = p->format,
                   .seed = c->seed,
                   .known = c->known.v,
                   .known_n = c->known.n,
                   .no_native_histograms = !p->t->native,
                   .always_classic = p->t->classic,
               },
               body);
    vec_reset(&c->next);
    while ((got = expo_next(x, &ev, &p->error)) == 1) {
        if (ev.kind == EXPO_SAMPLE || ev.kind == EXPO_NATIVE) {
            if (!add_sample(p, x, &ev))
                return false;
        } else {
            add_meta(p, &ev);
        }
    }
    if (got == 0 && p->limited)
        return err_set(&p->error, ERR_LIMIT, "sample limit exceeded");
    return got == 0;
}

// Stale markers for series that the page before had and this one has not; their slots become free.
static void add_vanished(struct page *p)
{
    struct scrape_cache *c = &p->t->cache;

    for (size_t i = 0; i < c->known.n; i++) {
        uint32_t slot = c->known.v[i].slot;
        struct scrape_series *s = &c->series.v[slot];
        if (s->page == c->page || c->hashes.v[slot] != c->known.v[i].hash || s->page == UINT32_MAX)
            continue;
        if (!s->dropped && !s->timed && append_ref_is_live(p->batch, s->ref))
            append_float(p->batch, s->ref, p->stamp_ms, double_from_bits(SAMPLE_STALE_BITS));
        map_remove(&c->index, c->hashes.v[slot], slot);
        s->page = UINT32_MAX; // a series twice on a page gives one marker
        *vec_push(&c->free_slots) = slot;
    }
}

static void swap_pages(struct scrape_cache *c)
{
    __typeof__(c->known) old = c->known;

    c->known = c->next;
    c->next = old;
    vec_reset(&c->next);
}

/* ---- the report ---- */

static const char *const report_names[REPORT_COUNT] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
};

static bool report_ref(struct page *p, size_t i, struct err *e)
{
    struct series_ref *ref = &p->t->cache.report[i];
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    if (ref->generation && append_ref_is_live(p->batch, *ref))
        return true;
    labels_builder_reset(&b, p->t->labels);
    labels_builder_set(&b, LABEL_NAME, str_c(report_names[i]));
    return append_resolve(p->batch, labels_builder_view(&b), ref, e);
}

static void add_report(struct page *p, bool up, double seconds, double body_bytes)
{
    const struct scrape_target *t = p->t;
    const double values[REPORT_COUNT] = { up,
                                          seconds,
                                          (double)p->scraped,
                                          (double)p->added,
                                          (double)p->new_series,
                                          (double)t->timeout_ms / 1000,
                                          (double)t->pool->conf->sample_limit,
                                          body_bytes };
    size_t n = t->pool->conf->extra_scrape_metrics == CONF_TRUE ? REPORT_COUNT : 5;
    struct err e;

    for (size_t i = 0; i < n; i++) {
        if (report_ref(p, i, &e))
            append_float(p->batch, t->cache.report[i], p->stamp_ms, values[i]);
        else
            log_warn("scrape", "report series refused", KV_STR("url", t->url), KV_ERR(&e));
    }
}

static void count_refused(struct scraper *s, const struct append_stats *stats)
{
    metric_add(s->samples, (double)stats->rows[APPEND_OK]);
    metric_add(s->duplicates, (double)stats->rows[APPEND_DUPLICATE]);
    metric_add(s->out_of_order, (double)stats->rows[APPEND_OUT_OF_ORDER]);
    metric_add(s->out_of_bounds,
               (double)(stats->rows[APPEND_TOO_OLD] + stats->rows[APPEND_TOO_NEW]));
}

static void commit(struct page *p)
{
    struct append_stats stats = { 0 };
    struct err e;

    if (!append_rows(p->batch))
        return;
    if (!append_commit(p->batch, &stats, NULL, &e)) {
        log_warn("scrape", "page not stored", KV_STR("url", p->t->url), KV_ERR(&e));
        if (p->error.kind == ERR_NONE)
            p->error = e;
        return;
    }
    count_refused(p->t->pool->scraper, &stats);
}

static void remember(struct page *p, int64_t duration_ns, size_t body_bytes)
{
    struct scrape_target *t = p->t;
    LOCKED(&t->mu);

    snprintf(t->last_error, sizeof t->last_error, "%s", p->error.kind ? p->error.text : "");
    t->health = p->error.kind ? SCRAPE_DOWN : SCRAPE_UP;
    t->last_scrape_ns = t->started_ns;
    t->last_duration_ns = duration_ns;
    t->page_series = p->scraped;
    t->page_bytes = body_bytes;
}

void scrape_append(struct scrape_target *t, const struct scrape_result *r)
{
    struct scrape_cache *c = &t->cache;
    OWNED(page_fini)
    struct page p = { .t = t,
                      .batch = append_batch_new(t->pool->scraper->o.tenant),
                      .format = r->format,
                      .stamp_ms = t->stamp_ms,
                      .limit = t->pool->conf->sample_limit };
    int64_t fetched_ns = clock_mono_ns(clock_real()) - t->started_mono_ns;

    c->page++;
    if (r->failure)
        p.error = *r->failure;
    if (r->failure || !read_page(&p, r->body)) {
        if (p.limited)
            metric_add(t->pool->scraper->sample_limit, 1);
        append_batch_reset(p.batch);
        vec_reset(&c->next);
        c->page++; // nothing of this page counts as seen
    }
    add_vanished(&p);
    swap_pages(c);
    add_report(&p, !p.error.kind, (double)fetched_ns / 1e9, (double)r->body.n);
    commit(&p);
    remember(&p, fetched_ns, r->body.n);
}

void scrape_append_gone(struct scrape_target *t, int64_t now_ms)
{
    OWNED(page_fini)
    struct page p = { .t = t,
                      .batch = append_batch_new(t->pool->scraper->o.tenant),
                      .stamp_ms = now_ms };
    const double stale = double_from_bits(SAMPLE_STALE_BITS);

    t->cache.page++;
    add_vanished(&p);
    for (size_t i = 0; i < REPORT_COUNT; i++)
        if (t->cache.report[i].generation && append_ref_is_live(p.batch, t->cache.report[i]))
            append_float(p.batch, t->cache.report[i], now_ms, stale);
    commit(&p);
}
