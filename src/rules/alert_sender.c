/*
 * alert_sender.c - sets of Alertmanagers, their queues and the threads that empty them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "rules/alert_sender.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/thread.h"
#include "base/time.h"
#include "codec/json.h"
#include "discover/discover.h"

enum { QUEUE_DEFAULT = 10000, BATCH_DEFAULT = 256, ANSWER_BYTES_MAX = 1 << 20 };

// An alert as it is sent; shared by the queues of a set.
struct parcel {
    _Atomic unsigned refs;
    struct buf json;
};

// The settings of one item of `alertmanagers`; kept by those who use them.
struct manager_set {
    _Atomic unsigned refs;
    struct prom_config *config;
    const struct conf_alertmanager *conf;
    struct discover_http http;
    struct discover_token *token;
    size_t index;
    struct str name;
    char name_text[32];
};

// One Alertmanager.
struct manager {
    struct alert_sender *sender;
    struct manager_set *set; // under mu of the sender
    size_t set_index;
    char *url;
    struct thread thread;
    struct cond wake;
    VEC(struct parcel *) queue; // under mu: from `first` on
    size_t first;
    bool stopping; // under mu
    bool wanted;   // during an update
    struct metric *sent, *errors, *dropped, *length, *latency, *latency_histogram;
};

struct alert_sender {
    struct alert_sink sink; // first: found from the sink by its address
    struct alert_sender_options o;
    struct http_client *client;
    struct discover *discover;
    struct mutex mu;                 // guards what follows
    struct prom_config *config;      // whose relabelling and external labels are used
    VEC(struct manager_set *) sets;  // by index
    VEC(struct manager *) managers;  // of all sets
    VEC(struct manager *) retired;   // ending: joined later
    VEC(char *) dropped_urls;        // by relabelling
    VEC(size_t) dropped_sets;        // of which set
    VEC(struct manager_set *) ready; // prepared
    struct prom_config *ready_config;
    bool stopped;
    struct metric *discovered;
};

/* ---- parts ---- */

static void parcel_put(struct parcel *p)
{
    // acq_rel: the last holder sees what the others did
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    buf_fini(&p->json);
    xfree(p);
}

static struct manager_set *set_get(struct manager_set *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void set_put(struct manager_set *s)
{
    // acq_rel: as in parcel_put()
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    discover_http_fini(&s->http);
    discover_token_free(s->token);
    prom_config_put(s->config);
    xfree(s);
}
OWN_DEFINE(struct manager_set *, set_put)

static bool set_make(struct prom_config *c, size_t i, struct manager_set **out, struct err *e)
{
    OWNED(set_put) struct manager_set *s = xcalloc(1, sizeof *s);

    atomic_init(&s->refs, 1);
    s->config = prom_config_get(c);
    s->conf = c->doc.alerting.alertmanagers.v[i];
    s->index = i;
    s->name = str_of(s->name_text,
                     (size_t)snprintf(s->name_text, sizeof s->name_text, "config-%zu", i));
    s->token = discover_token_new();
    if (!discover_http_make(&s->conf->http, &s->http, e))
        return err_wrap(e, "alertmanagers, item %zu", i + 1);
    *out = TAKE(s);
    return true;
}

/* ---- what is sent ---- */

static void json_labels(struct json_writer *w, struct labels ls)
{
    json_object(w);
    for (size_t i = 0; i < ls.n; i++) {
        json_key(w, ls.v[i].name);
        json_str(w, ls.v[i].value);
    }
    json_object_end(w);
}

static void json_time(struct json_writer *w, const char *key, int64_t ns)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (ns == ALERT_NO_TIME)
        return;
    buf_rfc3339_ms(&b, floor_div(ns, NS_MS));
    json_key(w, str_c(key));
    json_str(w, buf_view(&b));
}

static struct parcel *parcel_new(const struct alert_notice *n, struct labels ls)
{
    struct parcel *p = xcalloc(1, sizeof *p);
    struct json_writer w = json_writer(&p->json);

    atomic_init(&p->refs, 1);
    json_object(&w);
    if (n->annotations.n) {
        json_key_lit(&w, "annotations");
        json_labels(&w, n->annotations);
    }
    json_time(&w, "endsAt", n->ends_ns);
    json_time(&w, "startsAt", n->starts_ns);
    json_key_lit(&w, "generatorURL");
    json_str(&w, n->generator_url);
    json_key_lit(&w, "labels");
    json_labels(&w, ls);
    json_object_end(&w);
    return p;
}

static bool relabel_list(const struct conf_list *list, struct labels_builder *b, struct arena *a)
{
    for (size_t i = 0; i < list->n; i++)
        if (!relabel_apply(&((const struct conf_relabel *)list->v[i])->rule, 1, b, a))
            return false;
    return true;
}

static void add_external(const struct prom_config *c, struct labels own, struct labels_builder *b)
{
    const struct conf_map *map = &c->doc.global.external_labels;

    for (size_t i = 0; i < map->n; i++)
        if (!labels_get(own, map->v[i].key).n)
            labels_builder_set(b, map->v[i].key, map->v[i].value);
}

/* ---- queues ---- */

static size_t waiting(const struct manager *m)
{
    return m->queue.n - m->first;
}

// The oldest ones make room.
static void enqueue_locked(struct manager *m, struct parcel *p)
{
    if (waiting(m) >= m->sender->o.queue_capacity) {
        parcel_put(m->queue.v[m->first++]);
        metric_add(m->dropped, 1);
    }
    if (m->first > 1024 && m->first * 2 > m->queue.n) {
        memmove(m->queue.v, m->queue.v + m->first, waiting(m) * sizeof *m->queue.v);
        m->queue.n -= m->first;
        m->first = 0;
    }
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    *vec_push(&m->queue) = p;
    metric_set(m->length, (double)waiting(m));
    cond_wake(&m->wake);
}

static void send_to_set_locked(struct alert_sender *s, struct manager_set *set,
                               const struct alert_notice *n, struct labels ls, struct arena *a)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct parcel *p;
    bool any = false;

    for (size_t i = 0; i < s->managers.n; i++)
        any = any || s->managers.v[i]->set_index == set->index;
    labels_builder_reset(&b, ls);
    if (!any || !relabel_list(&set->conf->alert_relabel_configs, &b, a))
        return;
    p = parcel_new(n, labels_builder_view(&b));
    for (size_t i = 0; i < s->managers.n; i++)
        if (s->managers.v[i]->set_index == set->index)
            enqueue_locked(s->managers.v[i], p);
    parcel_put(p);
}

static void sink_send(struct alert_sink *sink, const struct alert_notice *v, size_t n)
{
    struct alert_sender *s = CONTAINER_OF(sink, struct alert_sender, sink);
    OWNED(arena_fini) struct arena a = { 0 };
    LOCKED(&s->mu);

    if (!s->config || s->stopped || !s->managers.n)
        return;
    for (size_t i = 0; i < n; i++) {
        OWNED(labels_builder_fini) struct labels_builder b = { 0 };
        labels_builder_reset(&b, v[i].labels);
        add_external(s->config, v[i].labels, &b);
        if (!relabel_list(&s->config->doc.alerting.alert_relabel_configs, &b, &a))
            continue;
        for (size_t k = 0; k < s->sets.n; k++)
            send_to_set_locked(s, s->sets.v[k], &v[i], labels_builder_view(&b), &a);
    }
}

/* ---- sending ---- */

// Up to a batch of alerts as the body of a request. Under mu.
static size_t take_batch_locked(struct manager *m, struct buf *body)
{
    size_t n = MIN(waiting(m), m->sender->o.batch_max);

    buf_char(body, '[');
    for (size_t i = 0; i < n; i++) {
        struct parcel *p = m->queue.v[m->first++];
        if (i)
            buf_char(body, ',');
        buf_str(body, buf_view(&p->json));
        parcel_put(p);
    }
    buf_char(body, ']');
    metric_set(m->length, (double)waiting(m));
    return n;
}

static bool make_headers(struct alert_sender *s, struct manager_set *set, struct arena *a,
                         struct http_call_options *o, struct err *e)
{
    struct http_header *auth = set->http.headers;
    size_t n = set->http.header_count;
    struct discover_authorize how = { s->client, set->token, set->conf->timeout_ms };

    if (set->http.dynamic && !discover_http_authorize(&set->conf->http, &how, a, &auth, &n, e))
        return false;
    struct http_header *v = arena_array(a, n + 2, struct http_header);
    if (n)
        memcpy(v, auth, n * sizeof *v);
    v[n] = (struct http_header){ STR("User-Agent"), s->o.user_agent };
    v[n + 1] = (struct http_header){ STR("Content-Type"), STR("application/json") };
    o->headers = v;
    o->header_count = n + 2;
    return true;
}

static bool post(struct manager *m, struct manager_set *set, struct str body, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct http_response r = { 0 };
    struct http_call_options o = {
        .method = STR("POST"),
        .url = str_c(m->url),
        .body = body,
        .tls = set->http.tls,
        .proxy_url = discover_proxy_of(&set->conf->http.proxy, str_c(m->url), &a),
        .proxy_headers = set->http.proxy_headers,
        .proxy_header_count = set->http.proxy_header_count,
        .no_redirects = set->http.no_redirects,
        .timeout_ms = set->conf->timeout_ms,
        .body_max = ANSWER_BYTES_MAX,
    };

    if (!make_headers(m->sender, set, &a, &o, e) ||
        !http_client_wait(m->sender->client, &o, &a, &r, e))
        return false;
    buf_fini(&r.body);
    if (r.status / 100 != 2)
        return err_set(e, ERR_UNAVAILABLE, "bad response status %d %.*s", r.status, STRF(r.reason));
    return true;
}

static bool send_batch(struct manager *m, struct manager_set *set, struct str body, size_t n)
{
    int64_t begin = clock_mono_ns(clock_real());
    struct err e = { 0 };

    if (post(m, set, body, &e)) {
        double seconds = (double)(clock_mono_ns(clock_real()) - begin) / 1e9;
        metric_add(m->sent, (double)n);
        metric_observe(m->latency, seconds);
        metric_observe(m->latency_histogram, seconds);
        return true;
    }
    log_error("rules", "sending alerts failed", KV("alertmanager", m->url), KV_U64("alerts", n),
              KV_ERR(&e));
    metric_add(m->errors, (double)n);
    metric_add(m->dropped, (double)n);
    return false;
}

static void *manager_run(void *ctx)
{
    struct manager *m = ctx;
    struct alert_sender *s = m->sender;
    LOCKED(&s->mu);

    for (;;) {
        while (!waiting(m) && !m->stopping)
            (void)cond_wait(&m->wake, &s->mu, 60000);
        if (!waiting(m) || (m->stopping && s->o.no_drain))
            break;
        OWNED(buf_fini) struct buf body = { 0 };
        OWNED(set_put) struct manager_set *set = set_get(m->set);
        size_t n = take_batch_locked(m, &body);
        mutex_unlock(&s->mu);
        bool sent = send_batch(m, set, buf_view(&body), n);
        mutex_lock(&s->mu);
        if (m->stopping && !sent)
            break; // one that does not answer must not hold up the end for each batch
    }
    metric_add(m->dropped, (double)waiting(m));
    return NULL;
}

/* ---- Alertmanagers that come and go ---- */

static struct metric *of_manager(const char *url, const char *name, const char *help,
                                 enum metric_kind kind)
{
    static const char *const labels[] = { "alertmanager" };
    struct str value = str_c(url);

    return metric_child(metric_family(name, help, kind, labels, 1), &value);
}

static void make_metrics(struct manager *m)
{
    static const char *const labels[] = { "alertmanager" };
    static const double seconds[] = { .01, .1, 1, 10 };
    struct str url = str_c(m->url);

    m->sent = of_manager(m->url, "prometheus_notifications_sent_total",
                         "Total number of alerts sent.", METRIC_COUNTER);
    m->errors = of_manager(m->url, "prometheus_notifications_errors_total",
                           "Total number of sent alerts affected by errors.", METRIC_COUNTER);
    m->dropped = of_manager(m->url, "prometheus_notifications_dropped_total",
                            "Total number of alerts dropped due to errors when sending to "
                            "Alertmanager.",
                            METRIC_COUNTER);
    m->length = of_manager(m->url, "prometheus_notifications_queue_length",
                           "The number of alert notifications in the queue.", METRIC_GAUGE);
    m->latency = of_manager(m->url, "prometheus_notifications_latency_seconds",
                            "Latency quantiles for sending alert notifications.", METRIC_SUMMARY);
    m->latency_histogram = metric_child(
        metric_histogram_family("prometheus_notifications_latency_histogram_seconds",
                                "Latency histogram for sending alert notifications.", seconds,
                                ARRAY_LEN(seconds), labels, 1),
        &url);
}

static void add_manager_locked(struct alert_sender *s, struct manager_set *set, struct str url)
{
    struct manager *m = xcalloc(1, sizeof *m);
    struct err e = { 0 };

    m->sender = s;
    m->set = set_get(set);
    m->set_index = set->index;
    m->url = xstrdup_str(url);
    m->wanted = true;
    cond_init(&m->wake);
    make_metrics(m);
    *vec_push(&s->managers) = m;
    if (!thread_start(&m->thread, "alerts", manager_run, m, &e))
        log_error("rules", "no thread for an Alertmanager", KV("alertmanager", m->url), KV_ERR(&e));
}

static void retire_locked(struct alert_sender *s, size_t i)
{
    struct manager *m = s->managers.v[i];

    m->stopping = true;
    cond_wake(&m->wake);
    s->managers.v[i] = s->managers.v[--s->managers.n];
    *vec_push(&s->retired) = m;
}

static void manager_free(struct manager *m)
{
    thread_join(&m->thread);
    for (size_t i = m->first; i < m->queue.n; i++)
        parcel_put(m->queue.v[i]);
    vec_fini(&m->queue);
    cond_fini(&m->wake);
    set_put(m->set);
    xfree(m->url);
    xfree(m);
}

// Joins those that have ended or soon will. Without mu.
static void join_retired(struct alert_sender *s)
{
    for (;;) {
        mutex_lock(&s->mu);
        struct manager *m = s->retired.n ? s->retired.v[--s->retired.n] : NULL;
        mutex_unlock(&s->mu);
        if (!m)
            return;
        manager_free(m);
    }
}

// The address to post to, of discovered labels. False: relabelling dropped it; *url is what it
// would have been.
static bool url_of(const struct conf_alertmanager *c, struct labels target, struct arena *a,
                   struct str *url)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    struct str prefix = c->path_prefix;

    while (prefix.n && prefix.p[0] == '/')
        prefix = str_sub(prefix, 1, prefix.n);
    while (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    labels_builder_reset(&b, target);
    labels_builder_set(&b, STR("__scheme__"), c->scheme);
    labels_builder_set(&b, STR("__alerts_path__"),
                       arena_printf(a, "/%.*s%sapi/v2/alerts", STRF(prefix), prefix.n ? "/" : ""));
    struct labels before = labels_copy(a, labels_builder_view(&b));
    bool kept = relabel_list(&c->relabel_configs, &b, a);
    struct labels ls = kept ? labels_builder_view(&b) : before;
    struct str path = labels_get(ls, STR("__alerts_path__"));
    *url = arena_printf(a, "%.*s://%.*s%s%.*s", STRF(labels_get(ls, STR("__scheme__"))),
                        STRF(labels_get(ls, STR("__address__"))),
                        str_starts(path, STR("/")) ? "" : "/", STRF(path));
    return kept;
}

static void want_manager_locked(struct alert_sender *s, struct manager_set *set, struct str url)
{
    for (size_t i = 0; i < s->managers.n; i++) {
        struct manager *m = s->managers.v[i];
        if (m->set_index != set->index || !str_eq_c(url, m->url))
            continue;
        set_put(m->set);
        m->set = set_get(set);
        m->wanted = true;
        return;
    }
    add_manager_locked(s, set, url);
}

static void forget_dropped_locked(struct alert_sender *s, size_t set)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->dropped_urls.n; i++) {
        if (s->dropped_sets.v[i] == set) {
            xfree(s->dropped_urls.v[i]);
            continue;
        }
        s->dropped_urls.v[kept] = s->dropped_urls.v[i];
        s->dropped_sets.v[kept++] = s->dropped_sets.v[i];
    }
    s->dropped_urls.n = s->dropped_sets.n = kept;
}

static void update(void *ctx, size_t index, const struct labels *targets, size_t n)
{
    struct alert_sender *s = ctx;
    OWNED(arena_fini) struct arena a = { 0 };
    LOCKED(&s->mu);

    if (index >= s->sets.n || s->stopped)
        return;
    struct manager_set *set = s->sets.v[index];
    for (size_t i = 0; i < s->managers.n; i++)
        s->managers.v[i]->wanted = s->managers.v[i]->set_index != index;
    forget_dropped_locked(s, index);
    for (size_t i = 0; i < n; i++) {
        struct str url;
        if (url_of(set->conf, targets[i], &a, &url)) {
            want_manager_locked(s, set, url);
        } else {
            *vec_push(&s->dropped_urls) = xstrdup_str(url);
            *vec_push(&s->dropped_sets) = index;
        }
    }
    for (size_t i = s->managers.n; i > 0; i--)
        if (!s->managers.v[i - 1]->wanted)
            retire_locked(s, i - 1);
    metric_set(s->discovered, (double)s->managers.n);
}

/* ---- configuration ---- */

static void drop_ready(struct alert_sender *s)
{
    for (size_t i = 0; i < s->ready.n; i++)
        set_put(s->ready.v[i]);
    s->ready.n = 0;
    prom_config_put(s->ready_config);
    s->ready_config = NULL;
}

bool alert_sender_prepare(struct alert_sender *s, struct prom_config *c, struct err *e)
{
    drop_ready(s);
    for (size_t i = 0; i < c->doc.alerting.alertmanagers.n; i++) {
        struct manager_set *set = NULL;
        if (!set_make(c, i, &set, e)) {
            drop_ready(s);
            return false;
        }
        *vec_push(&s->ready) = set;
    }
    s->ready_config = prom_config_get(c);
    return true;
}

struct old_sets {
    VEC(struct manager_set *) v;
};

// The new sets take the place of the old ones, which go to *old: the discovery before reads them
// to its end. Alertmanagers of sets that are no more end.
static void swap_sets(struct alert_sender *s, struct old_sets *old)
{
    LOCKED(&s->mu);

    for (size_t i = 0; i < s->sets.n; i++)
        *vec_push(&old->v) = s->sets.v[i];
    s->sets.n = 0;
    for (size_t i = 0; i < s->ready.n; i++)
        *vec_push(&s->sets) = s->ready.v[i];
    s->ready.n = 0;
    prom_config_put(s->config);
    s->config = s->ready_config;
    s->ready_config = NULL;
    for (size_t i = s->managers.n; i > 0; i--)
        if (s->managers.v[i - 1]->set_index >= s->sets.n)
            retire_locked(s, i - 1);
    metric_set(s->discovered, (double)s->managers.n);
    for (size_t i = s->dropped_urls.n; i > 0; i--)
        if (s->dropped_sets.v[i - 1] >= s->sets.n)
            forget_dropped_locked(s, s->dropped_sets.v[i - 1]);
}

static void old_sets_fini(struct old_sets *o)
{
    for (size_t i = 0; i < o->v.n; i++)
        set_put(o->v.v[i]);
    vec_fini(&o->v);
}
OWN_DEFINE_FINI(struct old_sets, old_sets_fini)

void alert_sender_apply(struct alert_sender *s)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(old_sets_fini) struct old_sets sets_before = { 0 };
    struct discover *old = s->discover;
    struct err e = { 0 };

    if (!s->ready_config)
        return;
    discover_pause(old);
    swap_sets(s, &sets_before);
    struct discover_set *sets = arena_array(&a, s->sets.n, struct discover_set);
    for (size_t i = 0; i < s->sets.n; i++)
        sets[i] = (struct discover_set){ s->sets.v[i]->name, &s->sets.v[i]->conf->sd };
    s->discover = NULL;
    if (!discover_start(&s->discover,
                        &(struct discover_options){ .name = "notify",
                                                    .sets = sets,
                                                    .set_count = s->sets.n,
                                                    .client = s->client,
                                                    .update = update,
                                                    .ctx = s,
                                                    .old = old }, // takes it over
                        &e))
        log_error("rules", "discovery of Alertmanagers did not start", KV_ERR(&e));
    join_retired(s);
}

/* ---- start and stop ---- */

bool alert_sender_start(struct alert_sender **out, const struct alert_sender_options *o,
                        struct err *e)
{
    OWNED(alert_sender_free) struct alert_sender *s = xcalloc(1, sizeof *s);

    s->o = *o;
    s->sink.send = sink_send;
    if (!s->o.queue_capacity)
        s->o.queue_capacity = QUEUE_DEFAULT;
    if (!s->o.batch_max)
        s->o.batch_max = BATCH_DEFAULT;
    mutex_init(&s->mu, "alert sender", RANK_QUEUE);
    if (!http_client_start(&s->client, e))
        return false;
    metric_set(metric_plain("prometheus_notifications_queue_capacity",
                            "The capacity of the alert notifications queue.", METRIC_GAUGE),
               (double)s->o.queue_capacity);
    s->discovered = metric_plain("prometheus_notifications_alertmanagers_discovered",
                                 "The number of alertmanagers discovered and active.",
                                 METRIC_GAUGE);
    *out = TAKE(s);
    return true;
}

void alert_sender_stop(struct alert_sender *s)
{
    if (!s)
        return;
    discover_stop(s->discover);
    s->discover = NULL;
    mutex_lock(&s->mu);
    s->stopped = true;
    while (s->managers.n)
        retire_locked(s, s->managers.n - 1);
    mutex_unlock(&s->mu);
    join_retired(s);
}

void alert_sender_free(struct alert_sender *s)
{
    if (!s)
        return;
    alert_sender_stop(s);
    drop_ready(s);
    http_client_stop(s->client);
    for (size_t i = 0; i < s->sets.n; i++)
        set_put(s->sets.v[i]);
    for (size_t i = 0; i < s->dropped_urls.n; i++)
        xfree(s->dropped_urls.v[i]);
    vec_fini(&s->sets);
    vec_fini(&s->ready);
    vec_fini(&s->managers);
    vec_fini(&s->retired);
    vec_fini(&s->dropped_urls);
    vec_fini(&s->dropped_sets);
    prom_config_put(s->config);
    mutex_fini(&s->mu);
    xfree(s);
}

struct alert_sink *alert_sender_sink(struct alert_sender *s)
{
    return &s->sink;
}

void alert_sender_info(struct alert_sender *s, struct arena *a, struct alert_sender_info *out)
{
    LOCKED(&s->mu);

    *out = (struct alert_sender_info){ .active = arena_array(a, s->managers.n, struct str),
                                       .dropped = arena_array(a, s->dropped_urls.n, struct str),
                                       .active_n = s->managers.n,
                                       .dropped_n = s->dropped_urls.n };
    for (size_t i = 0; i < s->managers.n; i++)
        out->active[i] = arena_str(a, str_c(s->managers.v[i]->url));
    for (size_t i = 0; i < s->dropped_urls.n; i++)
        out->dropped[i] = arena_str(a, str_c(s->dropped_urls.v[i]));
}
