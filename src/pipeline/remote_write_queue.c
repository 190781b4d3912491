/*
 * remote_write_queue.c - one queue: reading the feed, shards, requests, answers, what is done with.
 *
 * The thread goes round: take answers, read rows while no shard is full, send what is due,
 * acknowledge up to the least row that waits anywhere. A request that failed and may be tried again
 * stays at the front of its shard, which keeps the order of its series.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "pipeline/remote_write_priv.h"

enum {
    POLL_MS = 100,
    READ_MAX = 10000, // rows a read
    EXEMPLARS_MAX = 1000,
    RETRY_READ_MS = 1000,
    RESHARD_MS = 10000,
    SWEEP_MS = 30 * MS_MINUTE,
    META_MS = 5000,
    TEXT_MAX = 200,
    HEADERS_MAX = 64,
};
#define TOLERANCE 0.3 // of a change of the number of shards
#define EWMA      0.2

struct rw_answer {
    bool is_there;
    int status; // 0: none, see err
    int64_t retry_after_ms;
    int64_t written[3]; // samples, histograms, exemplars; -1: not said
    struct err err;
    char text[TEXT_MAX + 1]; // begin of the body
};

// One request at a time.
struct rw_sender {
    struct rw_queue *q;
    struct buf body; // borrowed by the call
    bool is_busy;
    int attempt; // tries that failed
    int64_t backoff_ms, next_try_ns, sent_ns;
    struct rw_answer answer; // under the queue's mu until it is taken
};

struct rw_shard {
    struct rw_sender out;
    VEC(struct rw_item) v; // from head on; the first in_request are in the request
    size_t head, in_request;
    struct rw_counts counts; // of the request
    int64_t oldest_ns;       // since when the first waits
};

struct rw_rates {
    double in, out, dropped, duration_s;               // per second
    double in_sum, out_sum, dropped_sum, duration_sum; // since the last look
    uint64_t appended;
};

struct rw_queue {
    const struct remote_write_options *o;
    struct prom_config *config; // a reference
    const struct conf_remote_write *conf;
    char *name;
    struct feed *feed;
    struct http_client *client;
    struct discover_http http;
    struct discover_token *token;
    struct str proxy;
    struct arena arena;
    struct rw_table table;
    struct rw_metrics m;
    struct rw_shard *shard;
    unsigned shards, shards_wanted;
    struct rw_chunk *stuck; // read, but its labels could not be had
    uint64_t next_serial, acked, skipped_before;
    int64_t read_after_ns, saved_ns, looked_ns, swept_ns, meta_ns, last_sent_ns;
    int64_t newest_ms, newest_sent_ms;
    struct rw_rates rates;
    struct buf scratch[2];
    struct rw_sender meta;
    struct arena meta_arena;
    VEC(struct metric_meta) metas;
    size_t meta_at, meta_in_request;
    struct thread thread;
    struct mutex mu; // guards what follows, and answers
    struct cond wake;
    bool has_answers, is_stopping;
    int64_t flush_until_ns;
};

static int64_t now_ns(void)
{
    return clock_mono_ns(clock_real());
}

static size_t shard_n(const struct rw_shard *s)
{
    return s->v.n - s->head;
}

/* ---- answers ---- */

static int64_t header_int(const struct http_response *r, const char *name)
{
    uint64_t v;

    for (size_t i = 0; i < r->header_count; i++) {
        if (str_eq_nocase(r->headers[i].name, str_c(name)) &&
            str_to_u64(str_trim(r->headers[i].value), &v) && v < INT64_MAX)
            return (int64_t)v;
    }
    return -1;
}

static void read_answer(struct rw_answer *a, struct http_response *r)
{
    static const char *const written[] = { "X-Prometheus-Remote-Write-Samples-Written",
                                           "X-Prometheus-Remote-Write-Histograms-Written",
                                           "X-Prometheus-Remote-Write-Exemplars-Written" };
    int64_t after_s = header_int(r, "Retry-After");
    size_t n = MIN(r->body.n, (size_t)TEXT_MAX);

    a->status = r->status;
    a->retry_after_ms = after_s > 0 ? MIN(after_s, INT64_C(3600)) * MS_SECOND : 0;
    for (size_t i = 0; i < 3; i++)
        a->written[i] = header_int(r, written[i]);
    if (n)
        memcpy(a->text, r->body.p, n);
    while (n && (unsigned char)a->text[n - 1] <= ' ')
        n--;
    a->text[n] = 0;
}

// On the client's loop.
static void on_answer(void *ctx, struct http_response *r, const struct err *e)
{
    struct rw_sender *s = ctx;
    struct rw_queue *q = s->q;
    LOCKED(&q->mu);

    s->answer = (struct rw_answer){ .is_there = true, .written = { -1, -1, -1 } };
    if (r)
        read_answer(&s->answer, r);
    else
        s->answer.err = *e;
    q->has_answers = true;
    cond_wake(&q->wake);
}

/* ---- sending ---- */

static void add_header(struct http_header *v, size_t *n, struct str name, struct str value)
{
    for (size_t i = 0; i < *n; i++) {
        if (str_eq_nocase(v[i].name, name)) {
            v[i].value = value;
            return;
        }
    }
    if (*n < HEADERS_MAX)
        v[(*n)++] = (struct http_header){ name, value };
}

static size_t make_headers(const struct rw_queue *q, const struct rw_sender *s,
                           struct http_header *v, char *attempt)
{
    bool is_2 = q->table.version == PROMPB_WRITE_2;
    size_t n = 0;

    for (size_t i = 0; i < q->http.header_count; i++)
        add_header(v, &n, q->http.headers[i].name, q->http.headers[i].value);
    for (size_t i = 0; i < q->conf->headers.n; i++)
        add_header(v, &n, q->conf->headers.v[i].key, q->conf->headers.v[i].value);
    add_header(v, &n, STR("Content-Encoding"), STR("snappy"));
    add_header(v, &n, STR("Content-Type"),
               is_2 ? STR("application/x-protobuf;proto=io.prometheus.write.v2.Request")
                    : STR("application/x-protobuf"));
    add_header(v, &n, STR("User-Agent"), q->o->user_agent);
    add_header(v, &n, STR("X-Prometheus-Remote-Write-Version"), is_2 ? STR("2.0.0") : STR("0.1.0"));
    if (s->attempt) {
        snprintf(attempt, 16, "%d", s->attempt);
        add_header(v, &n, STR("Retry-Attempt"), str_c(attempt));
    }
    return n;
}

// Headers of settings that change: secrets in files, tokens.
static bool authorize(struct rw_queue *q, struct arena *a, struct http_header *v, size_t *n,
                      struct err *e)
{
    struct discover_authorize o = { q->client, q->token, q->conf->remote_timeout_ms };
    struct http_header *more;
    size_t count;

    if (!q->http.dynamic)
        return true;
    if (!discover_http_authorize(&q->conf->http, &o, a, &more, &count, e))
        return false;
    for (size_t i = 0; i < count; i++)
        add_header(v, n, more[i].name, more[i].value);
    return true;
}

static void call(struct rw_queue *q, struct rw_sender *s)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct http_header headers[HEADERS_MAX];
    char attempt[16];
    size_t n = make_headers(q, s, headers, attempt);
    struct err e = { 0 };

    s->is_busy = true;
    s->sent_ns = now_ns();
    if (!authorize(q, &a, headers, &n, &e)) {
        on_answer(s, NULL, &e);
        return;
    }
    http_client_call(q->client,
                     &(struct http_call_options){
                         .method = STR("POST"),
                         .url = q->conf->url,
                         .headers = headers,
                         .header_count = n,
                         .body = buf_view(&s->body),
                         .tls = q->http.tls,
                         .proxy_url = q->proxy,
                         .proxy_headers = q->http.proxy_headers,
                         .proxy_header_count = q->http.proxy_header_count,
                         .no_redirects = q->http.no_redirects,
                         .timeout_ms = q->conf->remote_timeout_ms,
                         .body_max = 1 << 20,
                     },
                     on_answer, s);
}

enum verdict { SENT, AGAIN, REFUSED };

// Takes the answer of a call that is over. False: it is not.
static bool take_answer(struct rw_queue *q, struct rw_sender *s, struct rw_answer *out)
{
    LOCKED(&q->mu);

    if (!s->answer.is_there)
        return false;
    *out = s->answer;
    s->answer.is_there = false;
    s->is_busy = false;
    return true;
}

static void wait_before_retry(struct rw_queue *q, struct rw_sender *s, const struct rw_answer *a)
{
    const struct conf_queue *c = &q->conf->queue;
    int64_t wait_ms = a->retry_after_ms;

    s->backoff_ms = s->backoff_ms ? MIN(2 * s->backoff_ms, c->max_backoff_ms) : c->min_backoff_ms;
    if (!wait_ms) // so that shards and senders do not come all at once: 80 to 120 %
        wait_ms = s->backoff_ms * (int64_t)(80 + rand_u64() % 41) / 100;
    s->attempt++;
    s->next_try_ns = now_ns() + MAX(wait_ms, INT64_C(1)) * NS_MS;
}

static enum verdict judge(struct rw_queue *q, struct rw_sender *s, const struct rw_answer *a)
{
    bool again = a->status == 0 || a->status / 100 == 5 ||
                 (a->status == 429 && q->conf->queue.retry_on_http_429);

    metric_observe(q->m.duration, (double)(now_ns() - s->sent_ns) / 1e9);
    if (a->status / 100 == 2) {
        s->attempt = 0;
        s->backoff_ms = 0;
        return SENT;
    }
    if (!again) {
        s->attempt = 0;
        s->backoff_ms = 0;
        log_error("remote_write", "the receiver refused samples for good: they are dropped",
                  KV("remote_name", q->name), KV_STR("url", q->conf->url),
                  KV_I64("status", a->status), KV("answer", a->text));
        return REFUSED;
    }
    wait_before_retry(q, s, a);
    log_warn("remote_write", "sending failed and is tried again", KV("remote_name", q->name),
             KV_STR("url", q->conf->url), KV_I64("status", a->status),
             KV("err", a->status ? a->text : a->err.text), KV_I64("attempt", s->attempt));
    return AGAIN;
}

/* ---- items ---- */

static void chunk_put(struct rw_chunk *c, uint32_t n)
{
    assert(c->left >= n);
    c->left -= n;
    if (c->left)
        return;
    feed_batch_fini(&c->batch);
    arena_fini(&c->arena);
    xfree(c);
}

static void pop_items(struct rw_shard *s, size_t n)
{
    for (size_t i = s->head; i < s->head + n; i++) {
        s->v.v[i].series->pending--;
        chunk_put(s->v.v[i].chunk, 1);
    }
    s->head += n;
    if (s->head == s->v.n) {
        s->head = 0;
        vec_reset(&s->v);
    } else if (s->head > s->v.n / 2) {
        s->v.n -= s->head;
        memmove(s->v.v, s->v.v + s->head, s->v.n * sizeof s->v.v[0]);
        s->head = 0;
    }
    s->oldest_ns = now_ns();
}

static void count(struct metric *samples, struct metric *histograms, struct metric *exemplars,
                  const struct rw_counts *c)
{
    metric_add(samples, c->samples);
    metric_add(histograms, c->histograms);
    metric_add(exemplars, c->exemplars);
}

static struct rw_counts counts_of(const struct rw_item *v, size_t n)
{
    struct rw_counts c = { .newest_ms = INT64_MIN };

    for (size_t i = 0; i < n; i++) {
        c.exemplars += v[i].exemplar != NULL;
        c.histograms += v[i].hist != NULL;
        c.samples += !v[i].exemplar && !v[i].hist;
        if (!v[i].exemplar)
            c.newest_ms = MAX(c.newest_ms, v[i].t_ms);
    }
    return c;
}

// What a receiver of 2.0 says it has not written counts as refused.
static struct rw_counts written_of(const struct rw_counts *sent, const struct rw_answer *a)
{
    struct rw_counts c = *sent;

    if (a->written[0] >= 0)
        c.samples = (uint32_t)MIN(a->written[0], (int64_t)c.samples);
    if (a->written[1] >= 0)
        c.histograms = (uint32_t)MIN(a->written[1], (int64_t)c.histograms);
    if (a->written[2] >= 0)
        c.exemplars = (uint32_t)MIN(a->written[2], (int64_t)c.exemplars);
    return c;
}

static void shard_sent(struct rw_queue *q, struct rw_shard *s, const struct rw_answer *a)
{
    struct rw_counts written = s->counts, missing = s->counts;

    if (q->table.version == PROMPB_WRITE_2)
        written = written_of(&s->counts, a);
    missing.samples -= written.samples;
    missing.histograms -= written.histograms;
    missing.exemplars -= written.exemplars;
    count(q->m.samples, q->m.histograms, q->m.exemplars, &s->counts);
    count(q->m.failed_samples, q->m.failed_histograms, q->m.failed_exemplars, &missing);
    metric_add(q->m.bytes, (double)s->out.body.n);
    q->newest_sent_ms = MAX(q->newest_sent_ms, s->counts.newest_ms);
    q->rates.out_sum += (double)s->in_request;
    q->rates.duration_sum += (double)(now_ns() - s->out.sent_ns) / 1e9;
    q->last_sent_ns = now_ns();
}

static bool take_shard_answer(struct rw_queue *q, struct rw_shard *s)
{
    struct rw_answer a;

    if (!s->out.is_busy || !take_answer(q, &s->out, &a))
        return false;
    switch (judge(q, &s->out, &a)) {
    case SENT:
        shard_sent(q, s, &a);
        break;
    case REFUSED:
        count(q->m.failed_samples, q->m.failed_histograms, q->m.failed_exemplars, &s->counts);
        break;
    case AGAIN:
        count(q->m.retried_samples, q->m.retried_histograms, q->m.retried_exemplars, &s->counts);
        return true;
    }
    pop_items(s, s->in_request);
    s->in_request = 0;
    return true;
}

/* ---- what is due ---- */

static bool is_too_old(const struct rw_queue *q, int64_t t_ms)
{
    int64_t limit_ms = q->conf->queue.sample_age_limit_ms;

    return limit_ms > 0 && t_ms < clock_ms(clock_real()) - limit_ms;
}

static void count_dropped(struct rw_queue *q, enum rw_reason why, bool is_histogram)
{
    metric_add(is_histogram ? q->m.dropped_histograms[why] : q->m.dropped_samples[why], 1);
    q->rates.dropped_sum++;
}

// Before a retry: what has become too old meanwhile goes. False: nothing is left.
static bool drop_old(struct rw_queue *q, struct rw_shard *s)
{
    struct rw_item *v = s->v.v + s->head;
    size_t kept = 0, n = s->in_request;

    for (size_t i = 0; i < n; i++) {
        if (!is_too_old(q, v[i].t_ms)) {
            v[kept++] = v[i];
            continue;
        }
        count_dropped(q, RW_TOO_OLD, v[i].hist != NULL);
        v[i].series->pending--;
        chunk_put(v[i].chunk, 1);
    }
    if (kept == n)
        return true;
    memmove(v + kept, v + n, (shard_n(s) - n) * sizeof *v);
    s->v.n -= n - kept;
    s->in_request = kept;
    s->counts = counts_of(v, kept);
    rw_encode(&q->table, v, kept, q->scratch, &s->out.body);
    return kept > 0;
}

static bool send_shard(struct rw_queue *q, struct rw_shard *s, bool flush)
{
    size_t n = shard_n(s), max = (size_t)q->conf->queue.max_samples_per_send;
    int64_t now = now_ns();

    if (s->out.is_busy || !n || now < s->out.next_try_ns)
        return false;
    if (s->in_request) { // again
        if (q->conf->queue.sample_age_limit_ms > 0 && !drop_old(q, s))
            return true;
        call(q, &s->out);
        return true;
    }
    if (n < max && !flush && now - s->oldest_ns < q->conf->queue.batch_send_deadline_ms * NS_MS)
        return false;
    s->in_request = MIN(n, max);
    s->counts = counts_of(s->v.v + s->head, s->in_request);
    rw_encode(&q->table, s->v.v + s->head, s->in_request, q->scratch, &s->out.body);
    call(q, &s->out);
    return true;
}

/* ---- reading ---- */

static void push_item(struct rw_queue *q, const struct rw_item *x)
{
    struct rw_shard *s = &q->shard[x->series->hash % q->shards];

    if (!shard_n(s))
        s->oldest_ns = now_ns();
    *vec_push(&s->v) = *x;
    x->series->pending++;
    x->chunk->left++;
}

// Whether a row is to be sent; if not, why is counted.
static bool is_wanted(struct rw_queue *q, const struct feed_row *r, const struct rw_series *s)
{
    if (!s)
        count_dropped(q, RW_UNKNOWN, r->hist);
    else if (s->is_dropped)
        count_dropped(q, RW_DROPPED, r->hist);
    else if (is_too_old(q, r->t_ms))
        count_dropped(q, RW_TOO_OLD, r->hist);
    else if (r->hist && !q->conf->send_native_histograms)
        return false;
    else if (r->hist && histogram_is_custom(r->hist) && q->table.version == PROMPB_WRITE_1)
        count_dropped(q, RW_NHCB, true);
    else
        return true;
    return false;
}

static void push_rows(struct rw_queue *q, struct rw_chunk *c, struct rw_series *const *series)
{
    for (size_t i = 0; i < c->batch.n; i++) {
        const struct feed_row *r = &c->batch.v[i];
        struct rw_item x = { .series = series[i],
                             .serial = c->batch.serial + i,
                             .t_ms = r->t_ms,
                             .start_ms = r->start_ms,
                             .value = r->value,
                             .hist = r->hist,
                             .chunk = c };

        if (is_wanted(q, r, series[i]))
            push_item(q, &x);
        q->newest_ms = MAX(q->newest_ms, r->t_ms);
    }
}

// Exemplars of series that were sent: they ride behind the rows just read.
static void push_exemplars(struct rw_queue *q, struct rw_chunk *c)
{
    struct feed_exemplar *v;
    size_t n;

    if (!q->conf->send_exemplars)
        return;
    n = feed_exemplars(q->feed, EXEMPLARS_MAX, &c->arena, &v);
    for (size_t i = 0; i < n; i++) {
        struct rw_item x = { .series = rw_table_series(&q->table, v[i].fingerprint),
                             .serial = c->batch.serial + c->batch.n,
                             .t_ms = v[i].x.t_ms,
                             .exemplar = &v[i].x,
                             .chunk = c };

        if (!x.series || x.series->is_dropped)
            metric_add(q->m.dropped_exemplars[x.series ? RW_DROPPED : RW_UNKNOWN], 1);
        else
            push_item(q, &x);
    }
}

static void read_later(struct rw_queue *q, const struct err *e)
{
    q->read_after_ns = now_ns() + RETRY_READ_MS * NS_MS;
    log_warn("remote_write", "the store cannot be read, which is tried again",
             KV("remote_name", q->name), KV_ERR(e));
}

// Spreads the rows of a chunk over the shards. False: not now, the chunk is kept.
static bool spread(struct rw_queue *q, struct rw_chunk *c)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct rw_series **series = arena_array(&a, c->batch.n, struct rw_series *);
    struct err e = { 0 };

    if (!rw_table_find(&q->table, q->feed, &c->batch, series, &e)) {
        q->stuck = c;
        read_later(q, &e);
        return false;
    }
    q->stuck = NULL;
    c->left = 1; // mine
    q->next_serial = c->batch.serial + c->batch.n;
    push_rows(q, c, series);
    push_exemplars(q, c);
    chunk_put(c, 1);
    return true;
}

static bool is_full(const struct rw_queue *q)
{
    for (unsigned i = 0; i < q->shards; i++) {
        if (shard_n(&q->shard[i]) >= (size_t)q->conf->queue.capacity)
            return true;
    }
    return false;
}

static bool read_rows(struct rw_queue *q)
{
    size_t max = (size_t)q->conf->queue.max_samples_per_send * q->shards;
    struct rw_chunk *c;
    struct err e = { 0 };

    if (q->shards != q->shards_wanted || now_ns() < q->read_after_ns)
        return false;
    if (is_full(q)) {
        metric_add(q->m.enqueue_retries, 1);
        return false;
    }
    if (q->stuck)
        return spread(q, q->stuck);
    if (!feed_has_news(q->feed))
        return false;
    c = xcalloc(1, sizeof *c);
    if (!feed_read(q->feed, MIN(max, (size_t)READ_MAX), &c->batch, &e) || !c->batch.n) {
        c->left = 1;
        chunk_put(c, 1);
        if (e.kind)
            read_later(q, &e);
        return false;
    }
    return spread(q, c);
}

/* ---- metadata, 1.0 ---- */

static void collect_meta(void *ctx, const struct metric_meta *m)
{
    struct rw_queue *q = ctx;
    struct arena *a = &q->meta_arena;

    *vec_push(&q->metas) = (struct metric_meta){ arena_str(a, m->name), m->type,
                                                 arena_str(a, m->help), arena_str(a, m->unit) };
}

static void begin_metadata(struct rw_queue *q)
{
    q->meta_ns = now_ns();
    if (q->table.version == PROMPB_WRITE_2) {
        rw_table_metadata(&q->table, q->o->tenant);
        return;
    }
    arena_reset(&q->meta_arena);
    vec_reset(&q->metas);
    q->meta_at = q->meta_in_request = 0;
    metrics_meta_each(q->o->tenant, collect_meta, q);
}

static bool take_meta_answer(struct rw_queue *q)
{
    struct rw_answer a;

    if (!q->meta.is_busy || !take_answer(q, &q->meta, &a))
        return false;
    switch (judge(q, &q->meta, &a)) {
    case SENT:
        metric_add(q->m.metadata, (double)q->meta_in_request);
        metric_add(q->m.metadata_bytes, (double)q->meta.body.n);
        break;
    case REFUSED:
        metric_add(q->m.failed_metadata, (double)q->meta_in_request);
        break;
    case AGAIN:
        metric_add(q->m.retried_metadata, (double)q->meta_in_request);
        return true;
    }
    q->meta_at += q->meta_in_request;
    q->meta_in_request = 0;
    return true;
}

static bool send_metadata(struct rw_queue *q)
{
    const struct conf_metadata *c = &q->conf->metadata;
    bool is_2 = q->table.version == PROMPB_WRITE_2;
    int64_t every_ms = is_2 ? META_MS : c->send_interval_ms, now = now_ns();

    if (!c->send || q->meta.is_busy || now < q->meta.next_try_ns)
        return false;
    if (q->meta_at == q->metas.n && now - q->meta_ns >= every_ms * NS_MS)
        begin_metadata(q);
    if (q->meta_at == q->metas.n)
        return false;
    if (!q->meta_in_request) {
        q->meta_in_request = MIN(q->metas.n - q->meta_at,
                                 (size_t)MAX(c->max_samples_per_send, INT64_C(1)));
        rw_encode_metadata(q->metas.v + q->meta_at, q->meta_in_request, &q->scratch[0],
                           &q->meta.body);
    }
    call(q, &q->meta);
    return true;
}

/* ---- acknowledging, figures ---- */

static uint64_t done_serial(const struct rw_queue *q)
{
    uint64_t serial = q->stuck ? q->stuck->batch.serial : q->next_serial;

    for (unsigned i = 0; i < q->shards; i++) {
        const struct rw_shard *s = &q->shard[i];

        if (shard_n(s))
            serial = MIN(serial, s->v.v[s->head].serial);
    }
    return serial;
}

static void acknowledge(struct rw_queue *q)
{
    uint64_t done = done_serial(q);
    int64_t now = now_ns();
    bool sync = now - q->saved_ns >= NS_SECOND;
    struct err e = { 0 };

    if (done == q->acked && !sync)
        return;
    feed_ack(q->feed, done);
    q->acked = done;
    if (sync)
        q->saved_ns = now;
    if (!feed_save(q->feed, sync, &e))
        log_warn("remote_write", "the cursor is not saved, which is tried again",
                 KV("remote_name", q->name), KV_ERR(&e));
}

static void show_pending(struct rw_queue *q)
{
    struct rw_counts c = { 0 };

    for (unsigned i = 0; i < q->shards; i++) {
        struct rw_counts one = counts_of(q->shard[i].v.v + q->shard[i].head, shard_n(&q->shard[i]));

        c.samples += one.samples;
        c.histograms += one.histograms;
        c.exemplars += one.exemplars;
    }
    metric_set(q->m.pending_samples, c.samples);
    metric_set(q->m.pending_histograms, c.histograms);
    metric_set(q->m.pending_exemplars, c.exemplars);
}

static void show_figures(struct rw_queue *q)
{
    struct feed_stats s;

    feed_stats(q->feed, &s);
    metric_add(q->m.dropped_samples[RW_SKIPPED], (double)(s.rows_skipped - q->skipped_before));
    q->skipped_before = s.rows_skipped;
    metric_set(q->m.behind_bytes, (double)s.behind_bytes);
    metric_set(
        q->m.behind_seconds,
        s.oldest_ms == INT64_MAX ? 0 : (double)(clock_ms(clock_real()) - s.oldest_ms) / MS_SECOND);
    metric_set(q->m.newest, (double)MAX(q->newest_ms, INT64_C(0)) / MS_SECOND);
    metric_set(q->m.newest_sent, (double)MAX(q->newest_sent_ms, INT64_C(0)) / MS_SECOND);
    metric_set(q->m.shards, q->shards);
    metric_set(q->m.capacity, (double)q->conf->queue.capacity);
    metric_set(q->m.per_send, (double)q->conf->queue.max_samples_per_send);
    metric_set(q->m.shards_max, (double)q->conf->queue.max_shards);
    metric_set(q->m.shards_min, (double)q->conf->queue.min_shards);
    show_pending(q);
}

/* ---- the number of shards ---- */

static void rate(double *r, double *sum, double seconds, bool first)
{
    double now = *sum / seconds;

    *r = first ? now : *r + EWMA * (now - *r);
    *sum = 0;
}

/*
 * As upstream: what comes in and 5 % of what is behind, times how long a sample takes to send.
 */
static double shards_desired(struct rw_queue *q, double seconds)
{
    struct rw_rates *r = &q->rates;
    struct metrics_stats s;
    double kept, delay;
    bool first = r->appended == 0;

    metrics_stats(q->o->metrics, &s);
    r->in_sum = first ? 0 : (double)(s.rows_appended - r->appended);
    r->appended = s.rows_appended;
    rate(&r->in, &r->in_sum, seconds, first);
    rate(&r->out, &r->out_sum, seconds, first);
    rate(&r->dropped, &r->dropped_sum, seconds, first);
    rate(&r->duration_s, &r->duration_sum, seconds, first);
    if (r->out <= 0)
        return q->shards;
    kept = r->out / (r->dropped + r->out);
    delay = s.max_ms > q->newest_sent_ms && q->newest_sent_ms > 0
                ? (double)(s.max_ms - q->newest_sent_ms) / MS_SECOND
                : 0;
    return r->duration_s / r->out * (r->in * kept + 0.05 * delay * r->in * kept);
}

static void want_shards(struct rw_queue *q, int64_t elapsed_ns)
{
    const struct conf_queue *c = &q->conf->queue;
    double desired = shards_desired(q, (double)elapsed_ns / 1e9), n = q->shards;
    unsigned wanted;

    metric_set(q->m.shards_desired, desired);
    desired = ceil(desired);
    if ((desired >= n * (1 - TOLERANCE) && desired <= n * (1 + TOLERANCE)) ||
        now_ns() - q->last_sent_ns > 2 * RESHARD_MS * NS_MS)
        return;
    wanted = (unsigned)MIN(MAX(desired, (double)c->min_shards), (double)c->max_shards);
    if (wanted != q->shards_wanted)
        log_info("remote_write", "number of shards changes", KV("remote_name", q->name),
                 KV_U64("from", q->shards), KV_U64("to", wanted));
    q->shards_wanted = wanted;
}

static void shard_fini(struct rw_shard *s)
{
    pop_items(s, shard_n(s));
    vec_fini(&s->v);
    buf_fini(&s->out.body);
}

static void make_shards(struct rw_queue *q, unsigned n)
{
    for (unsigned i = 0; i < q->shards; i++)
        shard_fini(&q->shard[i]);
    xfree(q->shard);
    q->shard = xcalloc(n, sizeof *q->shard);
    q->shards = q->shards_wanted = n;
    for (unsigned i = 0; i < n; i++)
        q->shard[i].out.q = q;
}

// Once all is sent: a series may go to another shard then.
static void reshard(struct rw_queue *q)
{
    for (unsigned i = 0; i < q->shards; i++) {
        if (shard_n(&q->shard[i]) || q->shard[i].out.is_busy)
            return;
    }
    make_shards(q, q->shards_wanted);
}

/* ---- the thread ---- */

static bool take_answers(struct rw_queue *q)
{
    bool any = take_meta_answer(q);

    mutex_lock(&q->mu);
    q->has_answers = false;
    mutex_unlock(&q->mu);
    for (unsigned i = 0; i < q->shards; i++)
        any |= take_shard_answer(q, &q->shard[i]);
    return any;
}

static bool send_due(struct rw_queue *q, bool flush)
{
    bool any = send_metadata(q);

    for (unsigned i = 0; i < q->shards; i++)
        any |= send_shard(q, &q->shard[i], flush);
    return any;
}

static void look_around(struct rw_queue *q)
{
    int64_t now = now_ns();
    int64_t elapsed = now - q->looked_ns;

    show_figures(q);
    if (elapsed >= RESHARD_MS * NS_MS) {
        want_shards(q, elapsed);
        q->looked_ns = now;
    }
    if (now - q->swept_ns >= SWEEP_MS * NS_MS) {
        rw_table_sweep(&q->table);
        q->swept_ns = now;
    }
}

// At the end: whether all is sent, or it cannot be.
static bool is_finished(const struct rw_queue *q)
{
    bool empty = !q->stuck && !feed_has_news(q->feed);

    for (unsigned i = 0; i < q->shards; i++) {
        if (q->shard[i].out.attempt)
            return true;
        empty &= !shard_n(&q->shard[i]);
    }
    return empty;
}

// Waits for an answer or the next look. False: the queue ends.
static bool wait_on(struct rw_queue *q, bool moved, bool *flush)
{
    int64_t until_ns;
    LOCKED(&q->mu);

    if (!moved && !q->has_answers && (!q->is_stopping || *flush))
        (void)cond_wait(&q->wake, &q->mu, *flush ? 10 : POLL_MS);
    *flush = q->is_stopping;
    until_ns = q->flush_until_ns;
    return !q->is_stopping || (now_ns() < until_ns && !is_finished(q));
}

static void *run(void *ctx)
{
    struct rw_queue *q = ctx;
    bool flush = false, moved = false;
    int64_t looked_ns = 0;

    q->looked_ns = q->swept_ns = q->saved_ns = now_ns();
    while (wait_on(q, moved, &flush)) {
        moved = take_answers(q);
        if (q->shards != q->shards_wanted)
            reshard(q);
        moved |= read_rows(q);
        moved |= send_due(q, flush || q->shards != q->shards_wanted);
        acknowledge(q);
        if (now_ns() - looked_ns >= NS_SECOND) {
            look_around(q);
            looked_ns = now_ns();
        }
    }
    (void)take_answers(q);
    acknowledge(q);
    return NULL;
}

/* ---- starting and ending ---- */

static void queue_free(struct rw_queue *q)
{
    if (!q)
        return;
    http_client_stop(q->client); // calls under way end first
    feed_close(q->feed);
    if (q->stuck) {
        q->stuck->left = 1;
        chunk_put(q->stuck, 1);
    }
    for (unsigned i = 0; i < q->shards; i++)
        shard_fini(&q->shard[i]);
    xfree(q->shard);
    rw_table_fini(&q->table);
    buf_fini(&q->scratch[0]);
    buf_fini(&q->scratch[1]);
    buf_fini(&q->meta.body);
    vec_fini(&q->metas);
    arena_fini(&q->meta_arena);
    discover_http_fini(&q->http);
    discover_token_free(q->token);
    arena_fini(&q->arena);
    mutex_fini(&q->mu);
    cond_fini(&q->wake);
    prom_config_put(q->config);
    xfree(q->name);
    xfree(q);
}
OWN_DEFINE(struct rw_queue *, queue_free)

static struct labels external_labels(struct rw_queue *q)
{
    const struct conf_map *m = &q->config->doc.global.external_labels;
    struct label *v = arena_array(&q->arena, m->n, struct label);

    for (size_t i = 0; i < m->n; i++)
        v[i] = (struct label){ m->v[i].key, m->v[i].value };
    return (struct labels){ v, m->n };
}

static struct relabel_rule *rules_of(struct rw_queue *q)
{
    const struct conf_list *l = &q->conf->write_relabel_configs;
    struct relabel_rule *v = arena_array(&q->arena, l->n, struct relabel_rule);

    for (size_t i = 0; i < l->n; i++)
        v[i] = ((const struct conf_relabel *)l->v[i])->rule;
    return v;
}

static struct rw_queue *queue_new(const struct rw_queue_options *o)
{
    struct rw_queue *q = xcalloc(1, sizeof *q);

    q->o = o->all;
    q->config = prom_config_get(o->config);
    q->conf = o->conf;
    q->name = xstrdup_str(o->name);
    q->token = discover_token_new();
    q->meta.q = q;
    q->newest_ms = q->newest_sent_ms = INT64_MIN;
    mutex_init(&q->mu, "remote_write", RANK_QUEUE);
    cond_init(&q->wake);
    q->table.version = str_eq(o->conf->protobuf_message, STR("io.prometheus.write.v2.Request"))
                           ? PROMPB_WRITE_2
                           : PROMPB_WRITE_1;
    q->table.rules = rules_of(q);
    q->table.rule_count = o->conf->write_relabel_configs.n;
    q->table.external = external_labels(q);
    q->table.round = 1;
    q->proxy = discover_proxy_of(&o->conf->http.proxy, o->conf->url, &q->arena);
    rw_metrics_init(&q->m, o->name, o->conf->url);
    make_shards(q, (unsigned)MAX(o->conf->queue.min_shards, INT64_C(1)));
    return q;
}

bool rw_queue_start(struct rw_queue **out, const struct rw_queue_options *o, struct err *e)
{
    OWNED(queue_free) struct rw_queue *q = queue_new(o);
    struct feed_options feed = {
        .tenant = o->all->tenant,
        .name = o->cursor,
        .behind_bytes_max = o->all->behind_bytes_max,
        .behind_ms_max = o->all->behind_ms_max,
    };

    if (!discover_http_make(&o->conf->http, &q->http, e) || !http_client_start(&q->client, e) ||
        !feed_open(&q->feed, &feed, e) || !thread_start(&q->thread, "remote-write", run, q, e))
        return err_wrap(e, "remote write %.*s", STRF(o->name));
    *out = TAKE(q);
    return true;
}

void rw_queue_stop(struct rw_queue *q, int64_t flush_ms)
{
    mutex_lock(&q->mu);
    q->is_stopping = true;
    q->flush_until_ns = now_ns() + flush_ms * NS_MS;
    cond_wake(&q->wake);
    mutex_unlock(&q->mu);
    thread_join(&q->thread);
    queue_free(q);
}
