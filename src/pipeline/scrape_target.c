// scrape_target.c - from discovered labels to a target: defaults, relabelling, address, URL.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/rune.h"
#include "base/sort.h"
#include "model/histogram.h"
#include "pipeline/scrape_priv.h"

struct scrape_target *scrape_target_get(struct scrape_target *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void scrape_target_put(struct scrape_target *t)
{
    // acq_rel: the last holder sees what the others did
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    scrape_target_put(t->heir_of);
    scrape_cache_fini(&t->cache);
    scrape_pool_put(t->pool);
    mutex_fini(&t->mu);
    arena_fini(&t->arena);
    xfree(t);
}

static void set_default(struct labels_builder *b, struct str name, struct str value)
{
    if (!labels_builder_get(b, name).n)
        labels_builder_set(b, name, value);
}

static struct str bool_text(enum conf_tri v)
{
    return v == CONF_TRUE ? STR("true") : STR("false");
}

// What the job adds where the discovery did not say otherwise.
static void add_defaults(struct labels_builder *b, const struct conf_scrape *job, struct arena *a)
{
    OWNED(buf_fini) struct buf interval = { 0 }, timeout = { 0 };

    buf_duration(&interval, job->scrape_interval_ms);
    buf_duration(&timeout, job->scrape_timeout_ms);
    set_default(b, STR("job"), job->job_name);
    set_default(b, STR("__scrape_interval__"), arena_str(a, buf_view(&interval)));
    set_default(b, STR("__scrape_timeout__"), arena_str(a, buf_view(&timeout)));
    set_default(b, STR("__scrape_native_histograms__"), bool_text(job->scrape_native_histograms));
    set_default(b, STR("__always_scrape_classic_histograms__"),
                bool_text(job->always_scrape_classic_histograms));
    set_default(b, STR("__convert_classic_histograms_to_nhcb__"),
                bool_text(job->convert_classic_histograms_to_nhcb));
    set_default(b, STR("__metrics_path__"), job->metrics_path);
    set_default(b, STR("__scheme__"), job->scheme);
    for (size_t i = 0; i < job->params.n; i++)
        if (job->params.v[i].values.n)
            set_default(b, arena_printf(a, "__param_%.*s", STRF(job->params.v[i].key)),
                        job->params.v[i].values.v[0]);
}

// As Go's strconv.ParseBool.
static bool parse_bool(struct str s, bool *out)
{
    static const char *const words[] = { "0",     "1",    "f",     "t",    "F",     "T",
                                         "false", "true", "False", "True", "FALSE", "TRUE" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq_c(s, words[i]))
            continue;
        *out = i % 2;
        return true;
    }
    return false;
}

static bool check_bools(const struct labels_builder *b, struct err *e)
{
    static const struct {
        struct str label;
        const char *what;
    } bools[] = {
        { { "__convert_classic_histograms_to_nhcb__", 38 }, "convert classic histograms to nhcb" },
        { { "__always_scrape_classic_histograms__", 36 }, "always scrape classic histograms" },
        { { "__scrape_native_histograms__", 28 }, "scrape native histograms" },
    };
    bool v;

    for (size_t i = 0; i < ARRAY_LEN(bools); i++) {
        struct str text = labels_builder_get(b, bools[i].label);
        if (text.n && !parse_bool(text, &v)) {
            OWNED(buf_fini) struct buf quoted = { 0 };
            buf_quoted(&quoted, text);
            return err_set(e, ERR_INVALID,
                           "error parsing %s: strconv.ParseBool: parsing %s: invalid syntax",
                           bools[i].what, buf_cstr(&quoted));
        }
    }
    return true;
}

static bool check_times(struct labels_builder *b, struct err *e)
{
    int64_t interval, timeout;
    struct err inner = { 0 };

    if (!duration_parse(labels_builder_get(b, STR("__scrape_interval__")), &interval, &inner))
        return err_set(e, ERR_INVALID, "error parsing scrape interval: %s", inner.text);
    if (interval == 0)
        return err_set(e, ERR_INVALID, "scrape interval cannot be 0");
    if (!duration_parse(labels_builder_get(b, STR("__scrape_timeout__")), &timeout, &inner))
        return err_set(e, ERR_INVALID, "error parsing scrape timeout: %s", inner.text);
    if (timeout == 0)
        return err_set(e, ERR_INVALID, "scrape timeout cannot be 0");
    if (timeout > interval)
        return err_set(
            e, ERR_INVALID,
            "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
            STRF(labels_builder_get(b, STR("__scrape_timeout__"))),
            STRF(labels_builder_get(b, STR("__scrape_interval__"))));
    return true;
}

bool scrape_target_labels(const struct conf_scrape *job, struct labels discovered, struct arena *a,
                          struct labels *before, struct labels *after, bool *kept, struct err *e)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, discovered);
    add_defaults(&b, job, a);
    *before = labels_copy(a, labels_builder_view(&b));
    *kept = relabel_apply(job->relabel, job->relabel_configs.n, &b, a);
    if (!*kept)
        return true;
    struct str address = labels_builder_get(&b, STR("__address__"));
    if (!address.n)
        return err_set(e, ERR_INVALID, "no address");
    if (str_find_char(address, '/') != STR_NPOS)
        return err_set(e, ERR_INVALID, "\"%.*s\" is not a valid hostname", STRF(address));
    if (!check_times(&b, e) || !check_bools(&b, e))
        return false;
    for (size_t i = b.n; i-- > 0;)
        if (str_starts(b.v[i].name, STR("__meta_")))
            labels_builder_del(&b, b.v[i].name);
    set_default(&b, STR("instance"), address);
    for (size_t i = 0; i < b.n; i++)
        if (!str_is_utf8(b.v[i].value))
            return err_set(e, ERR_INVALID, "invalid label value for \"%.*s\"", STRF(b.v[i].name));
    *after = labels_copy(a, labels_builder_view(&b));
    return true;
}

/* ---- the URL ---- */

// One query parameter: the values of the job, the first replaced by a label where there is one.
struct param {
    struct str key, first;
    const struct conf_multi *conf;
};

static int by_key(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct param *)a)->key, ((const struct param *)b)->key);
}

static void url_param(struct buf *b, struct str key, struct str value, bool *any)
{
    buf_char(b, *any ? '&' : '?');
    *any = true;
    buf_url_encode(b, key);
    buf_char(b, '=');
    buf_url_encode(b, value);
}

static void url_params(struct buf *b, const struct conf_scrape *job, struct labels all)
{
    OWNED(arena_fini) struct arena a = { 0 };
    VEC(struct param) params = { 0 };
    struct str prefix = STR("__param_");
    bool any = false;

    for (size_t i = 0; i < job->params.n; i++) {
        const struct conf_multi *m = &job->params.v[i];
        struct str label = labels_get(all, arena_printf(&a, "__param_%.*s", STRF(m->key)));
        if (m->values.n)
            *vec_push_in(&a, &params) = (struct param){ m->key, label.n ? label : m->values.v[0],
                                                        m };
    }
    size_t of_job = params.n;
    for (size_t i = 0; i < all.n; i++) {
        struct str key = str_sub(all.v[i].name, MIN(prefix.n, all.v[i].name.n), all.v[i].name.n);
        bool known = !str_starts(all.v[i].name, prefix);
        for (size_t k = 0; k < of_job && !known; k++)
            known = str_eq(params.v[k].key, key);
        if (!known)
            *vec_push_in(&a, &params) = (struct param){ key, all.v[i].value, NULL };
    }
    sort_stable(params.v, params.n, sizeof *params.v, by_key, NULL);
    for (size_t i = 0; i < params.n; i++) {
        url_param(b, params.v[i].key, params.v[i].first, &any);
        for (size_t k = 1; params.v[i].conf && k < params.v[i].conf->values.n; k++)
            url_param(b, params.v[i].key, params.v[i].conf->values.v[k], &any);
    }
}

// As Go's URL.EscapedPath.
static void url_path(struct buf *b, struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-_.~$&+,/:;=@", c));
        if (plain)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static struct str url_of(const struct conf_scrape *job, struct labels all, struct arena *a)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str path = labels_get(all, STR("__metrics_path__"));

    buf_str(&b, labels_get(all, STR("__scheme__")));
    buf_lit(&b, "://");
    buf_str(&b, labels_get(all, STR("__address__")));
    if (path.n && path.p[0] != '/')
        buf_char(&b, '/');
    url_path(&b, path);
    url_params(&b, job, all);
    return arena_str(a, buf_view(&b));
}

// Labels that samples get: those not hidden by two underscores.
static struct labels visible(struct labels all, struct arena *a)
{
    struct label *v = arena_array(a, all.n, struct label);
    size_t n = 0;

    for (size_t i = 0; i < all.n; i++)
        if (!str_starts(all.v[i].name, STR("__")))
            v[n++] = all.v[i];
    return (struct labels){ v, n };
}

/* ---- headers ---- */

static const struct {
    const char *protocol, *media;
    bool escapes;
} media_types[] = {
    { "PrometheusProto",
      "application/"
      "vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
      true },
    { "OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0", true },
    { "OpenMetricsText0.0.1", "application/openmetrics-text;version=0.0.1", false },
    { "PrometheusText1.0.0", "text/plain;version=1.0.0", true },
    { "PrometheusText0.0.4", "text/plain;version=0.0.4", false },
};

static struct str accept_of(const struct conf_scrape *job, struct arena *a)
{
    OWNED(buf_fini) struct buf b = { 0 };
    size_t weight = ARRAY_LEN(media_types) + 1;

    for (size_t i = 0; i < job->scrape_protocols.n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(media_types); k++) {
            if (!str_eq_c(job->scrape_protocols.v[i], media_types[k].protocol))
                continue;
            buf_printf(&b, "%s%s", b.n ? "," : "", media_types[k].media);
            if (media_types[k].escapes)
                buf_printf(&b, ";escaping=%.*s", STRF(job->metric_name_escaping_scheme));
            buf_printf(&b, ";q=0.%zu", weight--);
        }
    }
    buf_printf(&b, "%s*/*;q=0.%zu", b.n ? "," : "", weight);
    return arena_str(a, buf_view(&b));
}

static void make_headers(struct scrape_target *t)
{
    const struct scrape_pool *p = t->pool;
    struct arena *a = &t->arena;
    OWNED(buf_fini) struct buf seconds = { 0 };
    const struct http_header own[] = {
        { STR("User-Agent"), p->scraper->o.user_agent },
        { STR("Accept"), accept_of(p->conf, a) },
        { STR("Accept-Encoding"), p->conf->enable_compression ? STR("gzip") : STR("identity") },
        { STR("X-Prometheus-Scrape-Timeout-Seconds"), STR_NONE },
    };

    buf_double_f(&seconds, (double)t->timeout_ms / 1000);
    t->headers = arena_copy(a, own, sizeof own);
    t->header_count = ARRAY_LEN(own);
    t->headers[t->header_count - 1].value = arena_str(a, buf_view(&seconds));
}

// The highest schema whose buckets grow by at least this factor.
static int32_t schema_of(double factor)
{
    double schema = floor(-log2(log2(factor <= 1 ? 1.00271 : factor)));

    return schema >= HIST_SCHEMA_MAX   ? HIST_SCHEMA_MAX
           : schema <= HIST_SCHEMA_MIN ? HIST_SCHEMA_MIN
                                       : (int32_t)schema;
}

static bool is_on(struct labels all, struct str name, enum conf_tri otherwise)
{
    bool on = otherwise == CONF_TRUE;

    (void)!parse_bool(labels_get(all, name), &on);
    return on;
}

static void set_options(struct scrape_target *t, struct labels all)
{
    const struct conf_scrape *c = t->pool->conf;
    struct err unused; // both were checked

    (void)!duration_parse(labels_get(all, STR("__scrape_interval__")), &t->interval_ms, &unused);
    (void)!duration_parse(labels_get(all, STR("__scrape_timeout__")), &t->timeout_ms, &unused);
    t->native = is_on(all, STR("__scrape_native_histograms__"), c->scrape_native_histograms);
    t->classic = is_on(all, STR("__always_scrape_classic_histograms__"),
                       c->always_scrape_classic_histograms);
    t->convert = is_on(all, STR("__convert_classic_histograms_to_nhcb__"),
                       c->convert_classic_histograms_to_nhcb);
    t->schema_max = schema_of(c->native_histogram_min_bucket_factor);
}

static struct str key_of(struct scrape_target *t)
{
    OWNED(buf_fini) struct buf key = { 0 };

    buf_labels_canonical(&key, t->labels);
    buf_char(&key, 0);
    buf_str(&key, t->url);
    buf_printf(&key, " %lld %lld %d%d%d", (long long)t->interval_ms, (long long)t->timeout_ms,
               t->native, t->classic, t->convert);
    return arena_str(&t->arena, buf_view(&key));
}

struct scrape_target *scrape_target_make(struct scrape_pool *p, struct labels discovered,
                                         bool *kept, struct err *e)
{
    OWNED(scrape_target_put) struct scrape_target *t = xcalloc(1, sizeof *t);
    struct labels all = { 0 };

    atomic_init(&t->refs, 1);
    mutex_init(&t->mu, "scrape target", RANK_SHARD);
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    t->pool = p;
    if (!scrape_target_labels(p->conf, discovered, &t->arena, &t->discovered, &all, kept, e) ||
        !*kept)
        return NULL;
    set_options(t, all);
    t->labels = visible(all, &t->arena);
    t->labels_hash = labels_hash(t->labels);
    t->url = url_of(p->conf, all, &t->arena);
    t->is_local = str_eq(labels_get(all, STR("__scheme__")), STR("vigie"));
    t->proxy_url = discover_proxy_of(&p->conf->http.proxy, t->url, &t->arena);
    t->key = key_of(t);
    t->offset_ns = (int64_t)(hash_u64(hash_seeded(t->key, 0) ^ p->scraper->spread) %
                             (uint64_t)(t->interval_ms * NS_MS));
    t->cache.seed = rand_u64();
    make_headers(t);
    return TAKE(t);
}
