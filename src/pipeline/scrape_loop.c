// scrape_loop.c - the timer: which target is due, the call, the hand-over to a worker.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "pipeline/scrape_priv.h"

enum { SNAP_MS = 2, IDLE_MS = 1000 };

/* ---- a binary heap by due time ---- */

static bool is_before(const struct scrape_target *a, const struct scrape_target *b)
{
    return a->due_mono_ns < b->due_mono_ns;
}

static void heap_up(struct scraper *s, size_t i)
{
    struct scrape_target **h = s->heap.v;

    for (; i && is_before(h[i], h[(i - 1) / 2]); i = (i - 1) / 2) {
        struct scrape_target *t = h[i];
        h[i] = h[(i - 1) / 2];
        h[(i - 1) / 2] = t;
    }
}

static void heap_down(struct scraper *s)
{
    struct scrape_target **h = s->heap.v;
    size_t i = 0, n = s->heap.n;

    for (;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < n && is_before(h[left], h[least]))
            least = left;
        if (right < n && is_before(h[right], h[least]))
            least = right;
        if (least == i)
            return;
        struct scrape_target *t = h[i];
        h[i] = h[least];
        h[least] = t;
        i = least;
    }
}

static struct scrape_target *heap_pop(struct scraper *s)
{
    struct scrape_target *t = s->heap.v[0];

    s->heap.v[0] = s->heap.v[--s->heap.n];
    heap_down(s);
    return t;
}

// The target's next beat: the wall clock moments that are its offset modulo its interval.
static void set_next(struct scraper *s, struct scrape_target *t)
{
    int64_t now_ns = clock_ms(s->o.clock) * NS_MS, interval = t->interval_ms * NS_MS;
    int64_t due = floor_div(now_ns - t->offset_ns, interval) * interval + interval + t->offset_ns;

    t->due_wall_ms = due / NS_MS;
    t->due_mono_ns = clock_mono_ns(s->o.clock) + (due - now_ns);
}

void scrape_schedule_locked(struct scraper *s, struct scrape_target *t)
{
    set_next(s, t);
    *vec_push(&s->heap) = scrape_target_get(t);
    heap_up(s, s->heap.n - 1);
    cond_wake(&s->wake);
}

/* ---- one scrape ---- */

struct scrape_job {
    struct scrape_target *t; // a reference
    struct buf body;
    struct err failure;
    enum expo_format format;
    bool too_big;
};

static void job_end(struct scrape_job *job)
{
    struct scrape_target *t = job->t;
    struct scraper *s = t->pool->scraper;

    // release: the next scrape sees the cache; seq_cst: see scrape_target_claim()
    atomic_store_explicit(&t->busy, false, memory_order_seq_cst);
    if (atomic_load_explicit(&t->fate, memory_order_seq_cst) == FATE_GONE && scrape_target_claim(t))
        scrape_append_gone(t, clock_ms(s->o.clock));
    scrape_target_put(t);
    buf_fini(&job->body);
    xfree(job);
    atomic_fetch_sub_explicit(&s->running, 1, memory_order_release); // pairs with scraper_stop()
}

static bool is_live(const struct scrape_target *t)
{
    // relaxed: a scrape more or less does no harm
    return atomic_load_explicit(&t->fate, memory_order_relaxed) == FATE_LIVE;
}

static void log_failure(struct scrape_job *job)
{
    const struct scrape_pool *p = job->t->pool;

    if (p->failures && job->failure.kind)
        scrape_log_failure(p->failures, job->t, clock_ms(p->scraper->o.clock),
                           str_c(job->failure.text));
}

static void job_run(void *ctx)
{
    struct scrape_job *job = ctx;

    if (is_live(job->t)) {
        log_failure(job);
        scrape_append(job->t, &(struct scrape_result){
                                  .body = buf_view(&job->body),
                                  .format = job->format,
                                  .failure = job->failure.kind ? &job->failure : NULL,
                                  .too_big = job->too_big,
                              });
    }
    job_end(job);
}

static void hand_over(struct scrape_job *job)
{
    struct err e;

    if (pool_submit(job->t->pool->scraper->workers, job_run, job, &e))
        return;
    log_warn("scrape", "page dropped", KV_STR("url", job->t->url), KV_ERR(&e));
    job_end(job);
}

static enum expo_format fallback_of(const struct conf_scrape *c)
{
    struct str f = c->fallback_scrape_protocol;

    return str_starts(f, STR("OpenMetrics"))       ? EXPO_OPENMETRICS
           : str_starts(f, STR("PrometheusText"))  ? EXPO_TEXT
           : str_starts(f, STR("PrometheusProto")) ? EXPO_PROTO
                                                   : EXPO_NONE;
}

static struct str header_of(const struct http_response *r, struct str name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return STR_NONE;
}

static void body_done(void *ctx, struct http_response *r, const struct err *e)
{
    struct scrape_job *job = ctx;
    const struct scrape_pool *p = job->t->pool;

    if (!r) {
        job->failure = *e;
        job->too_big = e->kind == ERR_LIMIT && p->conf->body_size_limit;
        if (job->too_big) {
            err_set(&job->failure, ERR_LIMIT, "body size limit exceeded");
            metric_add(p->scraper->body_limit, 1);
        }
    } else if (r->status != 200) {
        err_set(&job->failure, ERR_UNAVAILABLE, "server returned HTTP status %d %.*s", r->status,
                STRF(r->reason));
    } else if (r->body.n && // an empty page is one of any type
               expo_format_of(header_of(r, STR("Content-Type")), fallback_of(p->conf), &job->format,
                              &job->failure)) {
        job->body = r->body;
        r->body = (struct buf){ 0 };
    }
    hand_over(job);
}

static void local_run(void *ctx)
{
    struct scrape_job *job = ctx;
    const struct scraper_options *o = &job->t->pool->scraper->o;

    job->format = EXPO_TEXT;
    if (!o->local)
        err_set(&job->failure, ERR_UNSUPPORTED, "there are no pages inside this process");
    else
        (void)!o->local(o->local_ctx, job->t->url, job->t->timeout_ms, &job->body, &job->failure);
    hand_over(job);
}

static void call(struct scrape_job *job, const struct discover_http *h)
{
    struct scrape_target *t = job->t;
    struct http_header headers[64];
    size_t n = 0;

    for (size_t i = 0; i < t->header_count; i++)
        headers[n++] = t->headers[i];
    for (size_t i = 0; i < h->header_count && n < ARRAY_LEN(headers); i++)
        headers[n++] = h->headers[i];
    http_client_call(t->pool->scraper->client,
                     &(struct http_call_options){
                         .url = t->url,
                         .headers = headers, // copied
                         .header_count = n,
                         .tls = h->tls, // gets a reference
                         .proxy_url = t->proxy_url,
                         .proxy_headers = h->proxy_headers,
                         .proxy_header_count = h->proxy_header_count,
                         .no_redirects = h->no_redirects,
                         .timeout_ms = t->timeout_ms,
                         .body_max = t->pool->conf->body_size_limit,
                     },
                     body_done, job);
}

// On a worker: the settings ask for a token first, or read secrets from files.
static void authorize_run(void *ctx)
{
    struct scrape_job *job = ctx;
    const struct scrape_pool *p = job->t->pool;
    OWNED(arena_fini) struct arena a = { 0 };
    struct discover_http h = p->http;
    struct discover_authorize o = { p->scraper->client, p->token, job->t->timeout_ms };

    if (discover_http_authorize(&p->conf->http, &o, &a, &h.headers, &h.header_count,
                                &job->failure)) {
        call(job, &h);
        return;
    }
    err_wrap(&job->failure, "Get \"%.*s\"", STRF(job->t->url));
    job_run(job);
}

// What makes every scrape of the pool fail before it begins.
static bool check_pool(const struct scrape_pool *p, struct err *e)
{
    unsigned n = atomic_load_explicit(&p->too_many, memory_order_relaxed);

    if (n)
        return err_set(e, ERR_LIMIT, "target_limit exceeded (number of targets: %u, limit: %llu)",
                       n, (unsigned long long)p->conf->target_limit);
    if (p->http_error.kind)
        *e = p->http_error;
    return !p->http_error.kind;
}

static void start_call(struct scrape_job *job)
{
    struct scrape_pool *p = job->t->pool;
    bool on_worker = job->t->is_local || p->http.dynamic;
    struct err e;

    if (!check_pool(p, &job->failure))
        hand_over(job);
    else if (!on_worker)
        call(job, &p->http);
    else if (!pool_submit(job->t->is_local ? p->scraper->waiters : p->scraper->workers,
                          job->t->is_local ? local_run : authorize_run, job, &e))
        job_end(job);
}

static void note_interval(struct scrape_target *t, int64_t now_mono_ns)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct scraper *s = t->pool->scraper;

    if (!t->interval_seconds) {
        buf_duration_go(&b, t->interval_ms * NS_MS);
        struct str label = buf_view(&b);
        t->interval_seconds = metric_child(s->interval_seconds, &label);
    }
    if (t->started_mono_ns)
        metric_observe(t->interval_seconds, (double)(now_mono_ns - t->started_mono_ns) / 1e9);
}

static void start_scrape(struct scraper *s, struct scrape_target *t, int64_t due_wall_ms)
{
    if (!is_live(t))
        return;
    if (!scrape_target_claim(t)) {
        metric_add(s->late, 1);
        return;
    }
    int64_t now_ms = clock_ms(s->o.clock), late = now_ms - due_wall_ms;
    int64_t snap_ms = MIN((int64_t)SNAP_MS, t->interval_ms / 100);
    int64_t now_mono_ns = clock_mono_ns(clock_real());
    note_interval(t, now_mono_ns);
    t->started_mono_ns = now_mono_ns;
    t->started_ns = now_ms * NS_MS;
    // Snapped to the beat when close: equal gaps make shared time columns.
    t->stamp_ms = late >= -snap_ms && late <= snap_ms ? due_wall_ms : now_ms;
    struct scrape_job *job = xcalloc(1, sizeof *job);
    job->t = scrape_target_get(t);
    atomic_fetch_add_explicit(&s->running, 1, memory_order_relaxed);
    start_call(job);
}

// Takes one due target off the heap and starts it. Returns how long to wait instead, in ms; 0: go on.
static int64_t turn_locked(struct scraper *s)
{
    int64_t now = clock_mono_ns(s->o.clock);

    scrape_orphans_expire_locked(s, now);
    if (!s->heap.n)
        return IDLE_MS;
    int64_t wait_ns = s->heap.v[0]->due_mono_ns - now;
    if (wait_ns > 0)
        return MIN(wait_ns / NS_MS + 1, (int64_t)IDLE_MS);
    OWNED(scrape_target_put) struct scrape_target *t = heap_pop(s);
    int64_t due = t->due_wall_ms;
    if (is_live(t))
        scrape_schedule_locked(s, t);
    mutex_unlock(&s->mu);
    start_scrape(s, t, due);
    mutex_lock(&s->mu);
    return 0;
}

void *scrape_timer(void *ctx)
{
    struct scraper *s = ctx;

    mutex_lock(&s->mu);
    while (!s->stopping) {
        int64_t wait_ms = turn_locked(s);
        if (wait_ms)
            cond_wait(&s->wake, &s->mu, wait_ms);
    }
    mutex_unlock(&s->mu);
    return NULL;
}
