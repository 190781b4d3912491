/*
 * intake.c - batches of pushed samples: from series and rows to a result.
 *
 * Batches are kept per tenant and used again: their room is what a request needs most.
 */
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/intake.h"

#include "base/mem.h"
#include "base/rand.h"
#include "pipeline/intake_priv.h"

enum { TENANTS_MAX = 10000, SPARES_MAX = 16 };

/* ---- tenants ---- */

static void batch_free(struct intake_batch *b)
{
    append_batch_free(b->rows);
    arena_fini(&b->arena);
    vec_fini(&b->hist_row);
    vec_fini(&b->meta);
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

static bool tenant_of(struct intake *in, struct str name, struct intake_tenant **out, struct err *e)
{
    uint64_t hash = hash_keyed(name);
    struct metrics_tenant *store;
    struct intake_tenant *t;
    uint32_t i;
    LOCKED(&in->mu);

    i = map_find(&in->by_name, hash, name_equal, in, &name);
    if (i != MAP_NONE) {
        *out = in->tenants.v[i];
        return true;
    }
    if (in->tenants.n >= in->o.tenants_max)
        return err_set(e, ERR_LIMIT, "more than %u tenants", in->o.tenants_max);
    if (!metrics_tenant(in->o.metrics, name, &store, e))
        return false;
    t = xcalloc(1, sizeof *t);
    t->in = in;
    t->name = xstrdup_str(name);
    t->store = store;
    rand_bytes(&t->seed, sizeof t->seed);
    mutex_init(&t->mu, "intake tenant", RANK_QUEUE + 1);
    map_add(&in->by_name, hash, (uint32_t)in->tenants.n);
    *vec_push(&in->tenants) = t;
    *out = t;
    return true;
}

bool intake_new(struct intake **out, const struct intake_options *o, struct err *e UNUSED)
{
    struct intake *in = xcalloc(1, sizeof *in);

    in->o = *o;
    in->clock = o->clock ? o->clock : clock_real();
    if (!in->o.tenants_max)
        in->o.tenants_max = TENANTS_MAX;
    mutex_init(&in->mu, "intake", RANK_APP - 5); // outside of all of the store
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

bool intake_begin(struct intake *in, const struct intake_request *r, struct intake_batch **out,
                  struct err *e)
{
    struct str name = r->tenant.n ? r->tenant : STR("anonymous");
    struct intake_tenant *t;

    if (!tenant_of(in, name, &t, e))
        return false;
    *out = batch_take(t);
    append_batch_any_age((*out)->rows, r->history);
    return true;
}

void intake_end(struct intake_batch *b)
{
    struct intake_tenant *t;

    if (!b)
        return;
    append_batch_reset(b->rows);
    arena_reset(&b->arena);
    vec_reset(&b->hist_row);
    vec_reset(&b->meta);
    buf_reset(&b->status);
    memset(b->refused, 0, sizeof b->refused);
    memset(b->text, 0, sizeof b->text);
    b->last_reason = INTAKE_UNAVAILABLE;
    b->exemplars = 0;
    b->last_row_refused = b->committed = false;
    t = b->tenant;
    mutex_lock(&t->mu);
    if (t->spares < SPARES_MAX) {
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
    return b->tenant->seed;
}

bool intake_find(struct intake_batch *b, struct hash128 key, struct series_ref *out)
{
    return append_find(b->rows, key, out);
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

static bool refuse_series(struct intake_batch *b, enum intake_reason why, const struct err *e,
                          struct series_ref *out)
{
    b->last_reason = why;
    if (!b->text[why].p)
        b->text[why] = arena_str(&b->arena, str_c(e->text));
    *out = (struct series_ref){ 0 };
    return false;
}

bool intake_series(struct intake_batch *b, struct labels ls, const struct hash128 *key,
                   struct series_ref *out)
{
    struct err e;

    if (!check_labels(ls, &e))
        return refuse_series(b, INTAKE_INVALID, &e, out);
    if (!append_resolve(b->rows, ls, out, &e))
        return refuse_series(b, e.kind == ERR_LIMIT ? INTAKE_LABELS : INTAKE_UNAVAILABLE, &e, out);
    if (key)
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
    if (meta->name.n)
        *vec_push(&b->meta) = (struct metric_meta){ arena_str(&b->arena, meta->name), meta->type,
                                                    arena_str(&b->arena, meta->help),
                                                    arena_str(&b->arena, meta->unit) };
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

void intake_commit(struct intake_batch *b, struct intake_result *out)
{
    struct append_stats stats = { 0 };
    struct err e;

    assert(!b->committed);
    b->committed = true;
    *out = (struct intake_result){ .rows = append_rows(b->rows) };
    buf_reset(&b->status);
    char *status = buf_room(&b->status, out->rows + 1);
    out->row_status = (const uint8_t *)status;
    if (!append_commit(b->rows, &stats, (uint8_t *)status, &e)) {
        memset(status, APPEND_STALE_REF, out->rows);
        intake_refuse(b, e.kind == ERR_LIMIT ? INTAKE_INVALID : INTAKE_UNAVAILABLE,
                      MAX(out->rows, (size_t)1), str_c(e.text));
        fill_result(b, out);
        return;
    }
    for (size_t i = 0; i < b->meta.n; i++)
        metrics_meta_set(b->tenant->store, &b->meta.v[i]);
    out->metadata = b->meta.n;
    count_rows(b, &stats, out);
    fill_result(b, out);
}
