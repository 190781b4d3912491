/*
 * scrape_append.c - a page becomes rows: known lines by their hash, new ones by relabelling, vanished
 * ones as stale markers, and the report about the scrape itself; all in one batch.
 *
 * A page that fails anywhere gives no samples at all: the batch is reset, all series get markers, and
 * the report remains. Counts and messages are those of upstream's scrape/scrape.go, version 3.15;
 * there the series of a page that fails late get no markers, which reads like an oversight.
 *
 * A ref may have gone stale unnoticed: the commit tells, and the page is read once more for the series
 * it told of. That is rare, and asking for every row beforehand would cost a lock each.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sort.h"
#include "pipeline/scrape_page_priv.h"

/* ---- scratch memory ---- */

static struct scrape_scratch *scratch_take(struct scraper *s)
{
    struct scrape_scratch *sc;

    mutex_lock(&s->scratch_mu);
    sc = s->scratch;
    if (sc)
        s->scratch = sc->next;
    mutex_unlock(&s->scratch_mu);
    if (sc)
        return sc;
    sc = xcalloc(1, sizeof *sc);
    sc->batch = append_batch_new(s->o.tenant);
    sc->expo = expo_new();
    return sc;
}

static void scratch_give(struct scraper *s, struct scrape_scratch *sc)
{
    append_batch_reset(sc->batch);
    arena_reset(&sc->arena);
    LOCKED(&s->scratch_mu);
    sc->next = s->scratch;
    s->scratch = sc;
}

void scrape_scratch_free(struct scrape_scratch *sc)
{
    while (sc) {
        struct scrape_scratch *next = sc->next;
        append_batch_free(sc->batch);
        expo_free(sc->expo);
        arena_fini(&sc->arena);
        vec_fini(&sc->order);
        vec_fini(&sc->row_slot);
        buf_fini(&sc->status);
        nhcb_fini(&sc->builder);
        xfree(sc);
        sc = next;
    }
}

static void page_begin(struct page *p, struct scrape_target *t, int64_t stamp_ms)
{
    *p = (struct page){
        .t = t, .conf = t->pool->conf, .sc = scratch_take(t->pool->scraper), .stamp_ms = stamp_ms
    };
    vec_reset(&p->sc->row_slot);
    t->cache.page++;
}

static void page_end(struct page *p)
{
    scratch_give(p->t->pool->scraper, p->sc);
}

/* ---- rows ---- */

static void mark_row(struct page *p, uint32_t slot)
{
    *vec_push(&p->sc->row_slot) = slot;
}

static void add_marker(struct page *p, struct series_ref ref)
{
    append_float(p->sc->batch, ref, p->stamp_ms, double_from_bits(SAMPLE_STALE_BITS));
    mark_row(p, ROW_NONE);
}

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

// Reduces a histogram to what the job allows. False: it has too many buckets even so.
static bool fit_histogram(struct page *p, const struct histogram **h)
{
    uint64_t limit = p->conf->native_histogram_bucket_limit;

    if (!histogram_is_custom(*h) && (*h)->schema > p->t->schema_max)
        *h = histogram_reduce(&p->sc->arena, *h, p->t->schema_max);
    while (limit && (*h)->pos.buckets + (*h)->neg.buckets > limit) {
        if (histogram_is_custom(*h) || (*h)->schema <= HIST_SCHEMA_MIN) {
            p->over_buckets = true;
            return false;
        }
        *h = histogram_reduce(&p->sc->arena, *h, (*h)->schema - 1);
    }
    return true;
}

bool scrape_page_exemplar(struct page *p, const struct expo_exemplar *from, struct exemplar *out)
{
    struct expo_labels raw;
    struct err ignored; // an exemplar that cannot be read costs nothing but itself
    struct str twice;

    if (!expo_exemplar_decode(p->format, from->raw, &p->sc->arena, &raw, &ignored))
        return false;
    struct label *v = arena_array(&p->sc->arena, raw.n, struct label);
    size_t n = raw.n;
    for (size_t k = 0; k < raw.n; k++)
        v[k] = (struct label){ raw.v[k].name, raw.v[k].value };
    if (!labels_normalize(v, &n, &twice))
        return false;
    *out = (struct exemplar){ { v, n }, from->value, from->t_ms };
    return true;
}

static int by_time(const void *a, const void *b, void *ctx UNUSED)
{
    int64_t x = ((const struct exemplar *)a)->t_ms, y = ((const struct exemplar *)b)->t_ms;

    return (x > y) - (x < y);
}

static void add_exemplars(struct page *p, const struct page_sample *x, struct series_ref ref,
                          int64_t t_ms)
{
    size_t n = x->made ? x->made->exemplars.n : x->ev->exemplars, kept = 0;
    struct exemplar *v = arena_array(&p->sc->arena, n, struct exemplar);

    for (size_t i = 0; i < n; i++) {
        if (x->made) {
            v[kept++] = x->made->exemplars.v[i];
            continue;
        }
        const struct expo_exemplar *from = &x->ev->exemplar[i];
        // Those of native histograms need a time, as upstream: else repeats could not be told.
        if ((!from->has_time && x->ev->kind == EXPO_NATIVE) ||
            !scrape_page_exemplar(p, from, &v[kept]))
            continue;
        if (!from->has_time)
            v[kept].t_ms = t_ms;
        kept++;
    }
    sort_stable(v, kept, sizeof *v, by_time, NULL);
    for (size_t i = 0; i < kept; i++)
        append_exemplar(p->sc->batch, ref, &v[i]);
}

// The row at the start of a counter, once per start: created-timestamp-zero-ingestion.
static void add_zero(struct page *p, uint32_t slot, const struct page_sample *x,
                     const struct histogram *h, int64_t t_ms)
{
    struct scrape_cache *c = &p->t->cache;
    struct series_ref ref = c->series.v[slot].ref;

    while (c->starts.n <= slot)
        (void)vec_push(&c->starts);
    if (x->start_ms >= t_ms || c->starts.v[slot] == x->start_ms)
        return;
    c->starts.v[slot] = x->start_ms;
    if (h)
        append_histogram(p->sc->batch, ref, x->start_ms,
                         &(struct histogram){ .schema = h->schema,
                                              .integer = h->integer,
                                              .reset = HIST_RESET_YES,
                                              .zero_threshold = h->zero_threshold,
                                              .custom = h->custom,
                                              .custom_n = h->custom_n });
    else
        append_float(p->sc->batch, ref, x->start_ms, 0);
    mark_row(p, slot | ROW_QUIET);
}

static void add_row(struct page *p, uint32_t slot, const struct page_sample *x,
                    const struct histogram *h, bool own_time)
{
    const struct scraper_options *o = &p->t->pool->scraper->o;
    struct scrape_series *s = &p->t->cache.series.v[slot];
    int64_t t_ms = own_time ? x->t_ms : p->stamp_ms;

    if (UNLIKELY(x->start_ms && o->zero_rows))
        add_zero(p, slot, x, h, t_ms);
    if (UNLIKELY(h != NULL))
        append_histogram(p->sc->batch, s->ref, t_ms, h);
    else
        append_float(p->sc->batch, s->ref, t_ms, x->ev->value);
    mark_row(p, slot);
    if (UNLIKELY(x->start_ms && o->start_times))
        append_start(p->sc->batch, x->start_ms);
    s->tracked = !own_time || p->conf->track_timestamps_staleness;
    if (UNLIKELY(x->made ? x->made->exemplars.n : x->ev->exemplars))
        add_exemplars(p, x, s->ref, t_ms);
}

/* ---- samples ---- */

static void see(struct page *p, struct scrape_series *s)
{
    p->seen += s->page != p->t->cache.page;
    s->page = p->t->cache.page;
}

static uint32_t slot_for(struct page *p, uint32_t slot, uint64_t hash)
{
    return slot == MAP_NONE ? scrape_cache_add(&p->t->cache, hash) : slot;
}

// The histogram of a sample, fitted and checked. *h NULL: a float. *over: leave the sample out.
static bool histogram_of(struct page *p, const struct page_sample *x, const struct histogram **h,
                         bool *over)
{
    *h = x->made ? x->hist : NULL;
    *over = false;
    if (!x->made && x->ev->kind == EXPO_NATIVE)
        *h = to_model(&p->sc->arena, x->ev->hist);
    if (!*h)
        return true;
    *over = !fit_histogram(p, h);
    return *over || histogram_validate(*h, &p->error);
}

// Of a series not known yet: labels, then room in the cache if the limits let it pass.
static NOINLINE bool put_new(struct page *p, uint32_t *slot, const struct page_sample *x,
                             bool own_time)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct scrape_cache *c = &p->t->cache;
    const struct histogram *h;
    struct series_ref ref = { 0 };
    bool dropped, over;

    if (!scrape_page_labels(p, x, &b, &dropped))
        return false;
    p->kept += !dropped;
    if (!dropped) {
        if (!histogram_of(p, x, &h, &over))
            return false;
        if (over)
            return true;
        if (p->conf->sample_limit && ++p->appended > p->conf->sample_limit) {
            p->over_samples = true;
            return true;
        }
        if (!append_resolve(p->sc->batch, labels_builder_view(&b), &ref, &p->error))
            return false;
        p->new_series += !p->over_buckets;
    }
    *slot = slot_for(p, *slot, x->hash);
    struct scrape_series *s = &c->series.v[*slot];
    s->resolved = true;
    s->dropped = dropped;
    s->ref = ref;
    see(p, s);
    if (!dropped)
        add_row(p, *slot, x, h, own_time);
    return true;
}

// The second reading: only series whose refs were stale, and nothing is counted.
static bool put_again(struct page *p, uint32_t slot, const struct page_sample *x, bool own_time)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct scrape_series *s = slot == MAP_NONE ? NULL : &p->t->cache.series.v[slot];
    const struct histogram *h;
    bool dropped = false, over;

    if (!s || !s->redo)
        return true;
    if (!s->ref.generation &&
        (!scrape_page_labels(p, x, &b, &dropped) || dropped ||
         !append_resolve(p->sc->batch, labels_builder_view(&b), &s->ref, &p->error)))
        return dropped;
    if (!histogram_of(p, x, &h, &over))
        return false;
    if (!over)
        add_row(p, slot, x, h, own_time);
    return true;
}

bool scrape_page_put(struct page *p, uint32_t *slot, const struct page_sample *x)
{
    struct scrape_cache *c = &p->t->cache;
    struct scrape_series *s = *slot == MAP_NONE ? NULL : &c->series.v[*slot];
    bool own_time = x->has_time && p->conf->honor_timestamps;
    const struct histogram *h;
    bool over;

    if (UNLIKELY(p->redo))
        return put_again(p, *slot, x, own_time);
    p->scraped++;
    if (UNLIKELY(!s || !s->resolved))
        return put_new(p, slot, x, own_time);
    bool again = s->page == c->page;
    see(p, s);
    if (s->dropped)
        return true;
    p->kept++;
    if (UNLIKELY(again && !own_time)) {
        p->duplicates++;
        return true;
    }
    if (!histogram_of(p, x, &h, &over))
        return false;
    if (UNLIKELY(over))
        return true;
    if (p->conf->sample_limit && ++p->appended > p->conf->sample_limit) {
        p->over_samples = true;
        return true;
    }
    add_row(p, *slot, x, h, own_time);
    return true;
}

/* ---- lines ---- */

static NOINLINE void note_order(struct page *p, const struct expo_event *ev, uint32_t slot)
{
    scrape_known *order = &p->sc->order;

    if (!p->differs) {
        vec_reset(order);
        vec_reserve(order, p->t->cache.known.n);
        if (p->lines)
            memcpy(order->v, p->t->cache.known.v, p->lines * sizeof *order->v);
        order->n = p->lines;
        p->differs = true;
    }
    *vec_push(order) = (struct expo_known){ ev->hash, (uint32_t)ev->series.n, slot };
}

static inline void note_line(struct page *p, const struct expo_event *ev, uint32_t slot)
{
    if (p->differs || ev->slot == EXPO_SLOT_NONE || ev->known_at != p->lines)
        note_order(p, ev, slot);
    p->lines++;
}

// A line that is not where it was: by its hash.
static uint32_t look_up(struct page *p, const struct expo_event *ev)
{
    struct scrape_cache *c = &p->t->cache;
    uint32_t slot = scrape_cache_find(c, ev->hash);

    if (slot == MAP_NONE)
        return slot;
    uint32_t at = c->series.v[slot].at;
    if (at < c->known.n && c->known.v[at].slot == slot)
        expo_seek(p->sc->expo, at + 1);
    return slot;
}

static bool add_line(struct page *p, const struct expo_event *ev)
{
    struct scrape_cache *c = &p->t->cache;
    uint32_t slot = ev->slot;
    bool taken = false;

    if (UNLIKELY(slot == EXPO_SLOT_NONE))
        slot = look_up(p, ev);
    if (UNLIKELY(p->t->convert)) {
        slot = slot_for(p, slot, ev->hash);
        if (!scrape_nhcb_line(p, ev, slot, &taken))
            return false;
    }
    if (!taken || p->t->classic) {
        struct page_sample x = { .ev = ev,
                                 .hash = ev->hash,
                                 .t_ms = ev->t_ms,
                                 .start_ms = ev->start_ms,
                                 .has_time = ev->has_time };
        if (!scrape_page_put(p, &slot, &x))
            return false;
    } else if (!p->redo) {
        see(p, &c->series.v[slot]);
    }
    if (slot != MAP_NONE && !p->redo)
        note_line(p, ev, slot);
    return true;
}

static bool add_meta(struct page *p, const struct expo_event *ev)
{
    struct metric_meta changed;

    if (p->t->convert && !scrape_nhcb_meta(p, ev))
        return false;
    if (!p->redo && scrape_cache_meta(p->t, ev, &p->sc->arena, &changed))
        metrics_meta_set(p->t->pool->scraper->o.tenant, &changed);
    return true;
}

static bool read_page(struct page *p, struct str body)
{
    const struct scraper_options *o = &p->t->pool->scraper->o;
    struct scrape_cache *c = &p->t->cache;
    struct expo_event ev;
    int got;

    expo_start(p->sc->expo,
               &(struct expo_options){
                   .format = p->format,
                   .seed = c->seed,
                   .known = c->known.v,
                   .known_n = c->known.n,
                   .created_is_start = o->zero_rows || o->start_times,
                   .no_native_histograms = !p->t->native,
                   .always_classic = p->t->classic,
               },
               body);
    p->nhcb = (struct nhcb){ 0 };
    nhcb_reset(&p->sc->builder);
    while ((got = expo_next(p->sc->expo, &ev, &p->error)) == 1) {
        bool is_sample = ev.kind == EXPO_SAMPLE || ev.kind == EXPO_NATIVE;
        if (!(is_sample ? add_line(p, &ev) : add_meta(p, &ev)))
            return false;
    }
    return got == 0 && scrape_nhcb_end(p);
}

/* ---- the end of a page ---- */

// Markers for what this page has not; its slots become free.
static void drop_vanished(struct page *p)
{
    struct scrape_cache *c = &p->t->cache;

    if (p->seen == c->used)
        return;
    for (size_t i = 0; i < c->series.n; i++)
        if (c->series.v[i].used && c->series.v[i].page != c->page && c->series.v[i].tracked)
            add_marker(p, c->series.v[i].ref);
    scrape_cache_keep_only(c, c->page);
}

// Markers for everything: the page failed, or there is none any more. Slots stay.
static void mark_all(struct page *p)
{
    struct scrape_cache *c = &p->t->cache;

    for (size_t i = 0; i < c->series.n; i++) {
        if (c->series.v[i].tracked)
            add_marker(p, c->series.v[i].ref);
        c->series.v[i].tracked = 0;
    }
}

// Failing pages with ever new series: as upstream, the cache may double and have a thousand more.
static void bound_cache(struct page *p)
{
    struct scrape_cache *c = &p->t->cache;

    if (c->used <= 2 * c->good_used + 1000)
        return;
    metric_add(p->t->pool->scraper->cache_flushes, 1);
    vec_reset(&c->known);
    scrape_cache_keep_only(c, c->page);
}

static void give_up(struct page *p)
{
    append_batch_reset(p->sc->batch);
    vec_reset(&p->sc->row_slot);
}

static bool check_limits(struct page *p)
{
    if (p->over_samples)
        return err_set(&p->error, ERR_LIMIT, "sample limit exceeded");
    if (p->over_buckets)
        return err_set(&p->error, ERR_LIMIT, "histogram bucket limit exceeded");
    return true;
}

static void add_samples(struct page *p, const struct scrape_result *r)
{
    struct scrape_cache *c = &p->t->cache;

    if (r->failure)
        p->error = *r->failure;
    if (r->failure || r->body.n == 0) {
        mark_all(p);
        return;
    }
    bool ok = read_page(p, r->body);
    struct scraper *s = p->t->pool->scraper;
    metric_add(s->duplicates, (double)p->duplicates);
    if (p->over_samples)
        metric_add(s->sample_limit, 1);
    if (p->over_buckets)
        metric_add(s->bucket_limit, 1);
    if (p->over_labels)
        metric_add(s->label_limits, 1);
    if (ok && check_limits(p)) {
        drop_vanished(p);
        bool as_known = !p->differs && p->lines == c->known.n;
        if (!p->differs && !as_known) // the page was cut short
            c->known.n = p->lines;
        scrape_cache_settle(c, p->differs ? &p->sc->order : NULL);
        scrape_cache_meta_expire(p->t);
        return;
    }
    give_up(p);
    mark_all(p);
    bound_cache(p);
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

    if (ref->generation && append_ref_is_live(p->sc->batch, *ref))
        return true;
    scrape_report_labels(p->t, str_c(report_names[i]), &b);
    return append_resolve(p->sc->batch, labels_builder_view(&b), ref, e);
}

static void add_report(struct page *p, double seconds, double body_bytes)
{
    const struct scrape_target *t = p->t;
    const double values[REPORT_COUNT] = { p->error.kind == ERR_NONE,
                                          seconds,
                                          (double)p->scraped,
                                          (double)p->kept,
                                          (double)p->new_series,
                                          (double)t->timeout_ms / 1000,
                                          (double)p->conf->sample_limit,
                                          body_bytes };
    size_t n = p->conf->extra_scrape_metrics == CONF_TRUE ? REPORT_COUNT : 5;
    struct err e;

    for (size_t i = 0; i < n; i++) {
        if (!report_ref(p, i, &e)) {
            log_warn("scrape", "report series refused", KV_STR("url", t->url), KV_ERR(&e));
            continue;
        }
        append_float(p->sc->batch, t->cache.report[i], p->stamp_ms, values[i]);
        mark_row(p, ROW_NONE);
    }
}

/* ---- committing ---- */

struct refused {
    uint64_t count[APPEND_STATUS_COUNT];
};

// Counts what was refused of samples, and makes series with stale refs ready to be read again.
static bool look_at_status(struct page *p, const uint8_t *status, struct refused *out)
{
    struct scrape_cache *c = &p->t->cache;
    bool redo = false;

    for (size_t i = 0; i < p->sc->row_slot.n; i++) {
        uint32_t slot = p->sc->row_slot.v[i];
        if (LIKELY(status[i] == APPEND_OK) || slot == ROW_NONE)
            continue;
        struct scrape_series *s = &c->series.v[slot & ~ROW_QUIET];
        if (status[i] == APPEND_STALE_REF) {
            s->redo = 1;
            redo = true;
            s->ref = (struct series_ref){ 0 };
            if ((slot & ~ROW_QUIET) < c->starts.n)
                c->starts.v[slot & ~ROW_QUIET] = 0;
        } else if (!(slot & ROW_QUIET)) {
            out->count[status[i]]++;
        }
    }
    return redo;
}

static void tell_refused(struct page *p, const struct refused *r)
{
    struct scraper *s = p->t->pool->scraper;
    uint64_t order = r->count[APPEND_OUT_OF_ORDER], twice = r->count[APPEND_DUPLICATE];
    uint64_t bounds = r->count[APPEND_TOO_OLD] + r->count[APPEND_TOO_NEW];

    metric_add(s->out_of_order, (double)order);
    metric_add(s->duplicates, (double)twice);
    metric_add(s->out_of_bounds, (double)bounds);
    if (order)
        log_warn("scrape", "samples out of order", KV_STR("url", p->t->url),
                 KV_U64("dropped", order));
    if (twice + p->duplicates)
        log_warn("scrape", "samples with other values at the same time", KV_STR("url", p->t->url),
                 KV_U64("dropped", twice + p->duplicates));
    if (bounds)
        log_warn("scrape", "samples too old or too far in the future", KV_STR("url", p->t->url),
                 KV_U64("dropped", bounds));
}

// *redo: some series must be read again.
static bool commit_once(struct page *p, struct refused *refused, bool *redo, struct err *e)
{
    struct append_batch *b = p->sc->batch;
    size_t rows = append_rows(b);
    struct append_stats stats = { 0 };

    *redo = false;
    assert(rows == p->sc->row_slot.n);
    if (!rows)
        return true;
    buf_reset(&p->sc->status);
    uint8_t *status = (uint8_t *)buf_room(&p->sc->status, rows);
    if (!append_commit(b, &stats, status, e))
        return false;
    metric_add(p->t->pool->scraper->samples, (double)stats.rows[APPEND_OK]);
    if (stats.rows[APPEND_OK] != rows)
        *redo = look_at_status(p, status, refused);
    return true;
}

static void end_redo(struct scrape_cache *c)
{
    for (size_t i = 0; i < c->series.n; i++) {
        struct scrape_series *s = &c->series.v[i];
        if (s->redo && !s->ref.generation) { // the next page tries again
            s->resolved = false;
            s->tracked = 0;
        }
        s->redo = 0;
    }
}

static void commit(struct page *p, struct str body)
{
    struct refused refused = { 0 };
    struct err e = { 0 };
    bool redo;
    bool ok = commit_once(p, &refused, &redo, &e);

    if (ok && redo) { // only a good page has rows of series
        give_up(p);
        p->redo = true;
        ok = read_page(p, body) && commit_once(p, &refused, &redo, &e);
        if (p->error.kind)
            e = p->error;
        end_redo(&p->t->cache);
    }
    tell_refused(p, &refused);
    if (ok)
        return;
    log_warn("scrape", "page not stored", KV_STR("url", p->t->url), KV_ERR(&e));
    if (p->error.kind == ERR_NONE)
        p->error = e;
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

/* ---- targets that follow others ---- */

/*
 * Markers for what the target before had: behind this page's rows, so that series that go on keep
 * theirs, the marker being the second row at the same time.
 */
static void inherit(struct page *p)
{
    struct scrape_target *old = p->t->heir_of;
    bool idle = false;

    // acquire: what its last page wrote is seen; pairs with the release in job_end()
    if (!old || !atomic_compare_exchange_strong_explicit(
                    &old->busy, &idle, true, memory_order_acquire, memory_order_relaxed))
        return;
    for (size_t i = 0; i < old->cache.series.n; i++)
        if (old->cache.series.v[i].tracked)
            add_marker(p, old->cache.series.v[i].ref);
    p->t->heir_of = NULL;
    scrape_target_put(old); // stays busy: nobody scrapes it again
}

void scrape_append(struct scrape_target *t, const struct scrape_result *r)
{
    struct page p;

    page_begin(&p, t, t->stamp_ms);
    p.format = r->format;
    add_samples(&p, r);
    int64_t took_ns = clock_mono_ns(clock_real()) - t->started_mono_ns;
    add_report(&p, (double)took_ns / 1e9, r->too_big ? -1 : (double)r->body.n);
    inherit(&p);
    commit(&p, r->body);
    scrape_cache_compact(&t->cache);
    remember(&p, took_ns, r->body.n);
    page_end(&p);
}

void scrape_append_gone(struct scrape_target *t, int64_t now_ms)
{
    struct page p;

    page_begin(&p, t, now_ms);
    mark_all(&p);
    for (size_t i = 0; i < REPORT_COUNT; i++)
        if (t->cache.report[i].generation)
            add_marker(&p, t->cache.report[i]);
    inherit(&p);
    commit(&p, STR_NONE);
    page_end(&p);
}
