/*
 * intake.c - batches of pushed samples: from series and rows to a result.
 *
 * Batches are kept per tenant and used again: their room is what a request needs most.
 */
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/intake.h"

#include <math.h>

#include "auth/tenant.h"
#include "base/mem.h"
#include "base/rand.h"
#include "pipeline/intake_priv.h"

enum { TENANTS_MAX = 10000, SPARES_MAX = 16, SPARE_ROWS_MAX = 1 << 16, RATE_FADE_S = 60 };

const char *intake_reason_name(enum intake_reason r)
{
    static const char *const names[INTAKE_REASONS] = {
        [INTAKE_UNAVAILABLE] = "unavailable",
        [INTAKE_RATE] = "rate_limited",
        [INTAKE_SERIES] = "series_limit",
        [INTAKE_LABELS] = "label_limit",
        [INTAKE_INVALID] = "invalid",
        [INTAKE_DUPLICATE] = "sample_duplicate_timestamp",
        [INTAKE_OUT_OF_ORDER] = "sample_out_of_order",
        [INTAKE_TOO_OLD] = "sample_too_old",
        [INTAKE_TOO_NEW] = "sample_too_far_in_future",
        [INTAKE_REPLICA] = "ha_replica",
    };
    return names[r];
}

/* ---- tenants ---- */

static void batch_free(struct intake_batch *b)
{
    append_batch_free(b->rows);
    arena_fini(&b->arena);
    vec_fini(&b->hist_row);
    vec_fini(&b->meta);
    vec_fini(&b->meta_hash);
    buf_fini(&b->status);
    xfree(b);
}

static void tenant_free(struct intake_tenant *t)
{
    while (t->spare) {
        struct intake_batch *next = t->spare->next;

        batch_free(t->spare);
        t->spare = next;
    }
    limits_doc_put(t->doc);
    xfree((void *)t->meta_seen);
    intake_ha_fini(t);
    vec_fini(&t->by_metric);
    map_fini(&t->by_metric_map);
    mutex_fini(&t->mu);
    xfree(t->name);
    xfree(t);
}

static bool name_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct intake *in = ctx;
    const struct str *name = key;

    return str_eq_c(*name, in->tenants.v[index]->name);
}

static void apply_limits(void *ctx, struct metrics_tenant *store)
{
    struct intake *in = ctx;
    OWNED(limits_doc_put)
    struct limits_doc *doc = in->o.limits ? limits_store_doc(in->o.limits) : NULL;
    const struct limits *l = doc ? limits_of(doc, str_c(metrics_tenant_name(store))) : NULL;

    if (l)
        metrics_tenant_set(store, &(struct metrics_tenant_settings){
                                      .retention_ms = l->compactor_blocks_retention_period_ms,
                                      .out_of_order_window_ms = l->out_of_order_time_window_ms });
}

static void make_metrics(struct intake_tenant *t)
{
    static const char *const names[] = { "tenant", "reason" };
    struct metric_family *stored = metric_family(
        "vigie_push_samples_total", "Pushed samples stored.", METRIC_COUNTER, names, 1);
    struct metric_family *refused = metric_family("vigie_push_samples_refused_total",
                                                  "Pushed samples refused, by reason.",
                                                  METRIC_COUNTER, names, 2);
    struct str values[2] = { str_c(t->name) };

    t->samples_metric = metric_child(stored, values);
    for (size_t i = 0; i < INTAKE_REASONS; i++) {
        values[1] = str_c(intake_reason_name((enum intake_reason)i));
        t->refused_metric[i] = metric_child(refused, values);
    }
}

static struct intake_tenant *find_locked(struct intake *in, struct str name, uint64_t hash)
{
    uint32_t i = map_find(&in->by_name, hash, name_equal, in, &name);

    return i == MAP_NONE ? NULL : in->tenants.v[i];
}

static bool tenant_of(struct intake *in, struct str name, struct intake_tenant **out, struct err *e)
{
    uint64_t hash = hash_keyed(name);
    struct metrics_tenant *store;
    struct intake_tenant *t;
    LOCKED(&in->mu);

    *out = find_locked(in, name, hash);
    if (*out)
        return true;
    if (in->tenants.n >= in->o.tenants_max)
        return err_set(e, ERR_LIMIT, "more than %u tenants", in->o.tenants_max);
    if (!metrics_tenant(in->o.metrics, name, &store, e))
        return false;
    apply_limits(in, store);
    t = xcalloc(1, sizeof *t);
    t->in = in;
    t->name = xstrdup_str(name);
    t->store = store;
    rand_bytes(&t->seed, sizeof t->seed);
    mutex_init(&t->mu, "intake tenant", RANK_QUEUE + 1);
    make_metrics(t);
    map_add(&in->by_name, hash, (uint32_t)in->tenants.n);
    *vec_push(&in->tenants) = t;
    *out = t;
    return true;
}

void intake_apply_limits(struct intake *in)
{
    metrics_tenant_each(in->o.metrics, apply_limits, in);
}

bool intake_tenant_of(const struct intake *in, const struct http_request *r, struct str *out,
                      struct err *e)
{
    return tenant_of_request(r, in->o.tenancy, out, e);
}

bool intake_new(struct intake **out, const struct intake_options *o, struct err *e UNUSED)
{
    struct intake *in = xcalloc(1, sizeof *in);

    in->o = *o;
    in->clock = o->clock ? o->clock : clock_real();
    if (!in->o.tenants_max)
        in->o.tenants_max = TENANTS_MAX;
    mutex_init(&in->mu, "intake", RANK_APP - 5); // outside of all of the store
    intake_apply_limits(in);
    *out = in;
    return true;
}

void intake_free(struct intake *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->tenants.n; i++)
        tenant_free(in->tenants.v[i]);
    vec_fini(&in->tenants);
    map_fini(&in->by_name);
    mutex_fini(&in->mu);
    xfree(in);
}

/* ---- batches ---- */

static struct intake_batch *batch_take(struct intake_tenant *t)
{
    struct intake_batch *b;

    mutex_lock(&t->mu);
    b = t->spare;
    if (b) {
        t->spare = b->next;
        t->spares--;
    }
    mutex_unlock(&t->mu);
    if (b)
        return b;
    b = xcalloc(1, sizeof *b);
    b->tenant = t;
    b->rows = append_batch_new(t->store);
    return b;
}

// The limits in force, from the store when they have changed. Referenced.
static struct limits_doc *doc_locked(struct intake_tenant *t)
{
    struct limits_store *store = t->in->o.limits;

    if (!store)
        return NULL;
    if (!t->doc || t->doc->number != limits_store_number(store)) {
        limits_doc_put(t->doc);
        t->doc = limits_store_doc(store);
    }
    return limits_doc_get(t->doc);
}

static void set_limits(struct intake_batch *b)
{
    struct intake_tenant *t = b->tenant;

    mutex_lock(&t->mu);
    b->doc = doc_locked(t);
    mutex_unlock(&t->mu);
    b->limits = b->doc ? limits_of(b->doc, str_c(t->name)) : NULL;
    b->seed = t->seed ^ intake_shape_hash(b->limits);
    b->ha = b->limits && b->limits->accept_ha_samples ? INTAKE_HA_ASK : INTAKE_HA_OFF;
}

static bool request_allowed(struct intake_batch *b, struct err *e)
{
    const struct limits *l = b->limits;
    struct intake_tenant *t = b->tenant;

    if (!l || !(l->request_rate > 0))
        return true;
    LOCKED(&t->mu);
    if (bucket_take(&t->requests, (struct bucket_rate){ l->request_rate, l->request_burst_size }, 1,
                    clock_mono_ns(t->in->clock)))
        return true;
    return err_set(e, ERR_LIMIT,
                   "request rate limit exceeded (err-mimir-tenant-max-request-rate): request_rate "
                   "is %g/s with a request_burst_size of %llu for tenant %s",
                   l->request_rate, (unsigned long long)l->request_burst_size, t->name);
}

bool intake_begin(struct intake *in, const struct intake_request *r, struct intake_batch **out,
                  struct err *e)
{
    struct str name = r->tenant.n ? r->tenant : TENANT_ANONYMOUS;
    struct intake_tenant *t;
    struct intake_batch *b;

    if (!tenant_of(in, name, &t, e))
        return false;
    b = batch_take(t);
    set_limits(b);
    if (!request_allowed(b, e)) {
        intake_end(b);
        return false;
    }
    append_batch_any_age(b->rows, r->history);
    *out = b;
    return true;
}

void intake_end(struct intake_batch *b)
{
    struct intake_tenant *t;
    bool keep;

    if (!b)
        return;
    keep = append_rows(b->rows) <= SPARE_ROWS_MAX && b->status.cap <= SPARE_ROWS_MAX;
    limits_doc_put(b->doc);
    b->doc = NULL;
    b->limits = NULL;
    append_batch_reset(b->rows);
    arena_reset(&b->arena);
    vec_reset(&b->hist_row);
    vec_reset(&b->meta);
    vec_reset(&b->meta_hash);
    buf_reset(&b->status);
    memset(b->refused, 0, sizeof b->refused);
    memset(b->text, 0, sizeof b->text);
    b->last_reason = INTAKE_UNAVAILABLE;
    b->exemplars = 0;
    b->last_row_refused = b->committed = false;
    t = b->tenant;
    mutex_lock(&t->mu);
    if (keep && t->spares < SPARES_MAX) {
        b->next = t->spare;
        t->spare = b;
        t->spares++;
        b = NULL;
    }
    mutex_unlock(&t->mu);
    if (b)
        batch_free(b);
}

int intake_error_status(const struct err *e)
{
    switch (e->kind) {
    case ERR_INVALID:
        return 400;
    case ERR_DENIED:
        return 401;
    case ERR_LIMIT:
        return 429;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

void intake_refuse(struct intake_batch *b, enum intake_reason why, uint64_t n, struct str text)
{
    b->refused[why] += n;
    if (!b->text[why].p)
        b->text[why] = arena_str(&b->arena, text);
}

/* ---- series ---- */

uint64_t intake_seed(const struct intake_batch *b)
{
    return b->seed;
}

bool intake_find(struct intake_batch *b, struct hash128 key, struct series_ref *out)
{
    if (UNLIKELY(b->ha >= INTAKE_HA_ASK)) {
        if (b->ha == INTAKE_HA_ASK)
            return false; // the labels of the first series tell whose batch it is
        if (b->ha == INTAKE_HA_OTHER) {
            *out = (struct series_ref){ 0 };
            return true;
        }
    }
    return append_find(b->rows, key, out);
}

void intake_find_many(struct intake_batch *b, const struct hash128 *key, size_t n,
                      struct series_ref *out)
{
    // While it is not clear whose batch it is, one series after the other has to be asked.
    if (LIKELY(b->ha != INTAKE_HA_ASK && b->ha != INTAKE_HA_OTHER))
        append_find_many(b->rows, key, n, out);
    else
        memset(out, 0, n * sizeof *out);
}

// Names and values that no store could keep.
static bool check_labels(struct labels ls, struct err *e)
{
    OWNED(buf_fini) struct buf text = { 0 };

    if (labels_get(ls, LABEL_NAME).n && labels_are_valid(ls, false))
        return true;
    buf_lit(&text, "invalid metric name or labels, got ");
    buf_labels(&text, ls);
    return err_set(e, ERR_INVALID, "%.*s", STRF(buf_view(&text)));
}

bool intake_refuse_series(struct intake_batch *b, enum intake_reason why, struct str text)
{
    b->last_reason = why;
    if (!b->text[why].p)
        b->text[why] = arena_str(&b->arena, text);
    return false;
}

static bool resolve(struct intake_batch *b, struct labels ls, struct series_ref *out)
{
    struct err e;

    if (b->ha == INTAKE_HA_OTHER || (b->ha == INTAKE_HA_ASK && !intake_ha_decide(b, ls)))
        return false;
    if (!check_labels(ls, &e))
        return intake_refuse_series(b, INTAKE_INVALID, str_c(e.text));
    intake_shape_labels(b, &ls);
    if (append_known(b->rows, ls, out))
        return true;
    if (!intake_series_allowed(b, ls))
        return false;
    if (!append_resolve(b->rows, ls, out, &e))
        return intake_refuse_series(b, INTAKE_LABELS, str_c(e.text));
    return true;
}

bool intake_series(struct intake_batch *b, struct labels ls, const struct hash128 *key,
                   struct series_ref *out)
{
    if (!resolve(b, ls, out)) {
        *out = (struct series_ref){ 0 };
        return false;
    }
    // What keeps its replica label, because the request was not seen as a pair's, is not remembered.
    if (key && !(b->ha == INTAKE_HA_NONE && labels_get(ls, b->limits->ha_replica_label).n))
        append_alias(b->rows, *key, *out);
    return true;
}

/* ---- rows ---- */

static bool refuse_row(struct intake_batch *b, struct series_ref ref)
{
    b->last_row_refused = !ref.generation;
    b->refused[b->last_reason] += b->last_row_refused;
    return b->last_row_refused;
}

void intake_float(struct intake_batch *b, struct series_ref ref, int64_t t_ms, double v)
{
    if (UNLIKELY(refuse_row(b, ref)))
        return;
    append_float(b->rows, ref, t_ms, v);
}

void intake_histogram(struct intake_batch *b, struct series_ref ref, int64_t t_ms,
                      const struct histogram *h)
{
    struct err e;

    if (refuse_row(b, ref))
        return;
    if (!histogram_validate(h, &e)) {
        b->last_row_refused = true;
        intake_refuse(b, INTAKE_INVALID, 1, str_c(e.text));
        return;
    }
    *vec_push(&b->hist_row) = (uint32_t)append_rows(b->rows);
    append_histogram(b->rows, ref, t_ms, h);
}

void intake_start(struct intake_batch *b, int64_t start_ms)
{
    if (start_ms && !b->last_row_refused)
        append_start(b->rows, start_ms);
}

void intake_exemplar(struct intake_batch *b, struct series_ref ref, const struct exemplar *x)
{
    if (!ref.generation)
        return; // its samples tell
    append_exemplar(b->rows, ref, x);
    b->exemplars++;
}

void intake_meta(struct intake_batch *b, const struct metric_meta *meta)
{
    size_t max = b->limits ? b->limits->max_metadata_length : 0;

    if (max && (meta->name.n > max || meta->unit.n > max))
        return; // as if it had not been sent: its samples are what matters
    if (meta->name.n)
        *vec_push(&b->meta) = (struct metric_meta){ arena_str(&b->arena, meta->name), meta->type,
                                                    arena_str(&b->arena, meta->help),
                                                    arena_str(&b->arena, meta->unit) };
}

static _Atomic uint64_t *meta_seen(struct intake_tenant *t)
{
    _Atomic uint64_t *v = atomic_load_explicit(&t->meta_seen, memory_order_acquire);

    if (v)
        return v;
    LOCKED(&t->mu);
    v = atomic_load_explicit(&t->meta_seen, memory_order_relaxed);
    if (!v) {
        v = xcalloc(META_SEEN, sizeof *v);
        atomic_store_explicit(&t->meta_seen, v, memory_order_release); // pairs with the above
    }
    return v;
}

bool intake_meta_is_known(struct intake_batch *b, uint64_t hash)
{
    _Atomic uint64_t *seen = meta_seen(b->tenant);

    if (atomic_load_explicit(&seen[hash % META_SEEN], memory_order_relaxed) == hash)
        return true;
    *vec_push(&b->meta_hash) = hash;
    return false;
}

size_t intake_rows(const struct intake_batch *b)
{
    return append_rows(b->rows);
}

/* ---- the result ---- */

static const struct {
    int status, retry_after_s;
} reasons[INTAKE_REASONS] = {
    [INTAKE_UNAVAILABLE] = { 503, 5 },  [INTAKE_RATE] = { 429, 1 },
    [INTAKE_SERIES] = { 429, 60 },      [INTAKE_LABELS] = { 400, 0 },
    [INTAKE_INVALID] = { 400, 0 },      [INTAKE_DUPLICATE] = { 400, 0 },
    [INTAKE_OUT_OF_ORDER] = { 400, 0 }, [INTAKE_TOO_OLD] = { 400, 0 },
    [INTAKE_TOO_NEW] = { 400, 0 },      [INTAKE_REPLICA] = { 202, 0 },
};

static void fill_result(struct intake_batch *b, struct intake_result *r)
{
    r->status = 200;
    memcpy(r->refused, b->refused, sizeof r->refused);
    memcpy(r->reason_text, b->text, sizeof r->reason_text);
    for (size_t i = 0; i < INTAKE_REASONS; i++) {
        if (!b->refused[i])
            continue;
        r->status = reasons[i].status;
        r->retry_after_s = reasons[i].retry_after_s;
        r->text = b->text[i];
        return;
    }
}

static enum intake_reason reason_of(enum append_status s)
{
    switch (s) {
    case APPEND_DUPLICATE:
        return INTAKE_DUPLICATE;
    case APPEND_OUT_OF_ORDER:
        return INTAKE_OUT_OF_ORDER;
    case APPEND_TOO_OLD:
        return INTAKE_TOO_OLD;
    case APPEND_TOO_NEW:
        return INTAKE_TOO_NEW;
    case APPEND_LIMIT:
        return INTAKE_SERIES;
    default: // a ref that went stale under the batch: the sender comes again
        return INTAKE_UNAVAILABLE;
    }
}

static void count_rows(struct intake_batch *b, const struct append_stats *stats,
                       struct intake_result *r)
{
    for (size_t i = APPEND_OK + 1; i < APPEND_STATUS_COUNT; i++) {
        if (stats->rows[i])
            intake_refuse(b, reason_of((enum append_status)i), stats->rows[i],
                          str_c(append_status_text((enum append_status)i)));
    }
    for (size_t i = 0; i < b->hist_row.n; i++)
        r->histograms += r->row_status[b->hist_row.v[i]] == APPEND_OK;
    r->samples = stats->rows[APPEND_OK] - r->histograms;
    r->exemplars = b->exemplars;
    r->series_added = stats->series_added;
}

static void account(struct intake_batch *b, const struct intake_result *r)
{
    struct intake_tenant *t = b->tenant;
    int64_t now_ns = clock_mono_ns(t->in->clock);
    uint64_t stored = r->samples + r->histograms;

    metric_add(t->samples_metric, (double)stored);
    for (size_t i = 0; i < INTAKE_REASONS; i++)
        if (r->refused[i])
            metric_add(t->refused_metric[i], (double)r->refused[i]);
    LOCKED(&t->mu);
    t->rate = t->rate * exp(-(double)(now_ns - t->rate_ns) / NS_SECOND / RATE_FADE_S) +
              (double)stored / RATE_FADE_S;
    t->rate_ns = now_ns;
    t->samples += stored;
    for (size_t i = 0; i < INTAKE_REASONS; i++)
        t->refused[i] += r->refused[i];
}

bool intake_tenant_stats(struct intake *in, struct str tenant, struct intake_tenant_stats *out)
{
    struct intake_tenant *t;

    mutex_lock(&in->mu);
    t = find_locked(in, tenant, hash_keyed(tenant));
    mutex_unlock(&in->mu);
    if (!t)
        return false;
    LOCKED(&t->mu);
    double age_s = (double)(clock_mono_ns(in->clock) - t->rate_ns) / NS_SECOND;
    *out = (struct intake_tenant_stats){ .series = metrics_tenant_series(t->store),
                                         .samples_per_s = t->rate * exp(-age_s / RATE_FADE_S),
                                         .samples = t->samples };
    memcpy(out->refused, t->refused, sizeof out->refused);
    return true;
}

// Stores everything or nothing. False: nothing.
static bool store(struct intake_batch *b, struct intake_result *out)
{
    struct append_stats stats = { 0 };
    char *status = buf_room(&b->status, out->rows + 1);
    struct err e;

    out->row_status = (const uint8_t *)status;
    memset(status, APPEND_STALE_REF, out->rows);
    if (!intake_rate_allows(b, out->rows + b->exemplars + b->meta.n))
        return false;
    if (!append_commit(b->rows, &stats, (uint8_t *)status, &e)) {
        intake_refuse(b, e.kind == ERR_LIMIT ? INTAKE_INVALID : INTAKE_UNAVAILABLE,
                      MAX(out->rows, (size_t)1), str_c(e.text));
        return false;
    }
    count_rows(b, &stats, out);
    return true;
}

void intake_commit(struct intake_batch *b, struct intake_result *out)
{

    assert(!b->committed);
    b->committed = true;
    *out = (struct intake_result){ .rows = append_rows(b->rows) };
    if (b->ha == INTAKE_HA_OTHER) {
        vec_reset(&b->meta);
        vec_reset(&b->meta_hash);
    }
    if (store(b, out)) {
        for (size_t i = 0; i < b->meta.n; i++)
            metrics_meta_set(b->tenant->store, &b->meta.v[i]);
        for (size_t i = 0; i < b->meta_hash.n; i++)
            atomic_store_explicit(&meta_seen(b->tenant)[b->meta_hash.v[i] % META_SEEN],
                                  b->meta_hash.v[i], memory_order_relaxed);
        out->metadata = b->meta.n;
    }
    fill_result(b, out);
    account(b, out);
}
