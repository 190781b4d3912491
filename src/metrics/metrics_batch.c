/*
 * metrics_batch.c - collecting the rows of a batch and resolving series.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "metrics/hist_blob.h"
#include "metrics/metrics_priv.h"

struct append_batch *append_batch_new(struct metrics_tenant *t)
{
    struct append_batch *b = xcalloc(1, sizeof *b);

    b->tenant = t;
    return b;
}

void append_batch_reset(struct append_batch *b)
{
    for (size_t i = 0; i < b->tenant->shard_count; i++)
        vec_reset(&b->shard[i].rows);
    b->rows = 0;
    b->series_added = 0;
    buf_reset(&b->blobs);
    vec_reset(&b->starts);
    if (b->fresh.n > 1024)
        map_fini(&b->fresh_map); // clearing a large one each time would cost more than the rows
    else if (b->fresh.n)
        map_reset(&b->fresh_map);
    vec_reset(&b->fresh);
    vec_reset(&b->exemplars);
    arena_reset(&b->arena);
}

void append_batch_free(struct append_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < METRICS_SHARDS_MAX; i++)
        vec_fini(&b->shard[i].rows);
    buf_fini(&b->blobs);
    vec_fini(&b->starts);
    vec_fini(&b->fresh);
    vec_fini(&b->exemplars);
    map_fini(&b->fresh_map);
    arena_fini(&b->arena);
    xfree(b);
}

void append_batch_any_age(struct append_batch *b, bool on)
{
    b->any_age = on;
}

size_t append_rows(const struct append_batch *b)
{
    return b->rows;
}

const char *append_status_text(enum append_status s)
{
    static const char *const text[APPEND_STATUS_COUNT] = {
        [APPEND_OK] = "",
        [APPEND_DUPLICATE] = "duplicate sample for timestamp",
        [APPEND_OUT_OF_ORDER] = "out of order sample",
        [APPEND_TOO_OLD] = "out of bounds",
        [APPEND_TOO_NEW] = "out of bounds",
        [APPEND_STALE_REF] = "unknown series reference",
        [APPEND_LIMIT] = "series limit exceeded",
    };
    return text[s];
}

/* ---- resolving ---- */

static bool fresh_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct append_batch *b = ctx;
    const struct series_ref *ref = key;

    return b->fresh.v[index].ref.slot == ref->slot &&
           b->fresh.v[index].ref.generation == ref->generation;
}

bool batch_fresh_labels(const struct append_batch *b, struct series_ref ref, struct labels *out)
{
    uint32_t i = map_find(&b->fresh_map, hash_u64(ref.slot), fresh_equal, b, &ref);

    if (i == MAP_NONE)
        return false;
    *out = b->fresh.v[i].labels;
    return true;
}

static void keep_labels(struct append_batch *b, struct series_ref ref, struct labels ls)
{
    struct labels known;

    if (batch_fresh_labels(b, ref, &known))
        return;
    map_add(&b->fresh_map, hash_u64(ref.slot), (uint32_t)b->fresh.n);
    *vec_push(&b->fresh) = (struct batch_fresh){ ref, labels_copy(&b->arena, ls) };
}

static bool check_size(struct labels ls, struct err *e)
{
    size_t bytes = 0;

    if (ls.n > CATALOG_LABELS_MAX)
        return err_set(e, ERR_INVALID, "series has %zu labels, the limit is %d", ls.n,
                       CATALOG_LABELS_MAX);
    for (size_t i = 0; i < ls.n; i++)
        bytes += ls.v[i].name.n + ls.v[i].value.n;
    if (bytes > CATALOG_LABEL_BYTES_MAX)
        return err_set(e, ERR_INVALID, "labels of a series take %zu bytes, the limit is %d", bytes,
                       CATALOG_LABEL_BYTES_MAX);
    return true;
}

bool append_resolve(struct append_batch *b, struct labels ls, struct series_ref *out, struct err *e)
{
    struct metrics_tenant *t = b->tenant;
    struct hash128 fp;
    uint32_t shard, number;
    struct metrics_shard *sh;
    struct series_ref ref;
    bool fresh;

    if (!check_size(ls, e))
        return false;
    fp = labels_fingerprint(ls, t->fingerprint_key);
    shard = shard_of(fp, t->shard_count);
    sh = &t->shard[shard];
    mutex_lock(&sh->mu);
    number = slots_find(&sh->slots, fp);
    if (number == SLOT_NONE) {
        number = slots_add(&sh->slots, fp);
        b->series_added++;
    }
    ref = (struct series_ref){ number << t->shard_bits | shard,
                               slots_at(&sh->slots, number)->generation };
    fresh = slots_at(&sh->slots, number)->tag == 0;
    mutex_unlock(&sh->mu);
    if (fresh)
        keep_labels(b, ref, ls);
    *out = ref;
    return true;
}

bool append_known(struct append_batch *b, struct labels ls, struct series_ref *out)
{
    struct metrics_tenant *t = b->tenant;
    struct hash128 fp = labels_fingerprint(ls, t->fingerprint_key);
    uint32_t shard = shard_of(fp, t->shard_count), number;
    struct metrics_shard *sh = &t->shard[shard];
    struct slot *slot;
    LOCKED(&sh->mu);

    number = slots_find(&sh->slots, fp);
    slot = number == SLOT_NONE ? NULL : slots_at(&sh->slots, number);
    if (!slot || !slot->tag)
        return false;
    slot->age = 0;
    *out = (struct series_ref){ number << t->shard_bits | shard, slot->generation };
    return true;
}

bool append_find(struct append_batch *b, struct hash128 key, struct series_ref *out)
{
    struct series_ref ref;

    if (!aliases_find(&b->tenant->aliases, key, &ref.slot, &ref.generation) ||
        !append_ref_is_live(b, ref))
        return false;
    *out = ref;
    return true;
}

// Refs that are live in one shard stay, the others become unknown. One lock for all.
static void drop_dead(struct append_batch *b, uint32_t shard, size_t n, struct series_ref *refs)
{
    struct metrics_tenant *t = b->tenant;
    struct metrics_shard *sh = &t->shard[shard];
    struct labels ls;
    LOCKED(&sh->mu);

    for (size_t i = 0; i < n; i++)
        if (refs[i].generation && ref_shard(t, refs[i]) == shard &&
            ref_number(t, refs[i]) < sh->slots.end)
            __builtin_prefetch(slots_at(&sh->slots, ref_number(t, refs[i])), 1);
    for (size_t i = 0; i < n; i++) {
        struct slot *slot;

        if (!refs[i].generation || ref_shard(t, refs[i]) != shard)
            continue;
        slot = slots_live(&sh->slots, ref_number(t, refs[i]), refs[i].generation);
        if (slot && (slot->tag || batch_fresh_labels(b, refs[i], &ls)))
            slot->age = 0;
        else
            refs[i].generation = 0;
    }
}

void append_find_many(struct append_batch *b, const struct hash128 *key, size_t n,
                      struct series_ref *out)
{
    struct aliases *a = &b->tenant->aliases;

    assert(n <= APPEND_FIND_MAX);
    for (size_t i = 0; i < n; i++)
        aliases_prefetch(a, key[i]);
    for (size_t i = 0; i < n; i++)
        if (!aliases_find(a, key[i], &out[i].slot, &out[i].generation))
            out[i] = (struct series_ref){ 0 };
    for (uint32_t k = 0; k < b->tenant->shard_count; k++)
        drop_dead(b, k, n, out);
}

void append_alias(struct append_batch *b, struct hash128 key, struct series_ref ref)
{
    if (ref.generation)
        aliases_put(&b->tenant->aliases, key, ref.slot, ref.generation);
}

// Copies a live slot. One in no partition yet counts as live only where its labels are at hand.
static bool slot_of(struct append_batch *b, struct series_ref ref, struct slot *out)
{
    struct metrics_shard *sh = &b->tenant->shard[ref_shard(b->tenant, ref)];
    struct slot *slot;
    LOCKED(&sh->mu);

    slot = slots_live(&sh->slots, ref_number(b->tenant, ref), ref.generation);
    if (!slot)
        return false;
    slot->age = 0; // it will not be swept away before the batch is committed
    *out = *slot;
    return true;
}

bool append_ref_is_live(struct append_batch *b, struct series_ref ref)
{
    struct labels ls;
    struct slot slot;

    return slot_of(b, ref, &slot) && (slot.tag || batch_fresh_labels(b, ref, &ls));
}

bool tenant_labels(struct metrics_tenant *t, uint16_t tag, uint32_t id, struct arena *a,
                   struct labels *out)
{
    OWNED(span_put) struct span *s = NULL;
    OWNED(catalog_view_put) struct catalog_view *view = NULL;
    struct budget budget = { 0 };
    struct catalog_read read = { a, &budget, NULL };
    struct err e = { 0 }; // a damaged catalog means: resolve again from labels in hand
    struct labels ls;
    int64_t t_ms = ((int64_t)tag - METRICS_TAG_OFFSET_DAYS) * MS_DAY;

    if (!span_for(t, t_ms, SPAN_FIND, &s, &e) || !s || s->tag != tag || !span_open(s, false, &e))
        return false;
    view = catalog_view_get(s->catalog);
    if (!catalog_labels(view, (struct catalog_ids){ &id, 1 }, &read, &ls, &e) || ls.n == 0)
        return false;
    *out = labels_copy(a, ls);
    return true;
}

bool append_labels(struct append_batch *b, struct series_ref ref, struct arena *a,
                   struct labels *out)
{
    struct slot slot;
    struct labels ls;

    if (!slot_of(b, ref, &slot))
        return false;
    if (slot.tag)
        return tenant_labels(b->tenant, slot.tag, slot.id, a, out);
    if (!batch_fresh_labels(b, ref, &ls))
        return false;
    *out = labels_copy(a, ls);
    return true;
}

/* ---- rows ---- */

static struct append_row *add_row(struct append_batch *b, struct series_ref ref, int64_t t_ms,
                                  enum tail_kind kind)
{
    uint32_t shard = ref_shard(b->tenant, ref);
    struct append_row *row = vec_push(&b->shard[shard].rows);

    row->slot = ref_number(b->tenant, ref);
    row->generation = (uint16_t)ref.generation;
    row->index = (uint32_t)b->rows++;
    row->t_ms = t_ms;
    row->kind = (unsigned)kind & 3u;
    b->last_shard = shard;
    return row;
}

void append_float(struct append_batch *b, struct series_ref ref, int64_t t_ms, double v)
{
    add_row(b, ref, t_ms, TAIL_FLOAT)->value = double_bits(v);
}

void append_start(struct append_batch *b, int64_t start_ms)
{
    struct batch_shard *sh = &b->shard[b->last_shard];
    struct append_row *row;

    assert(b->rows > 0);
    row = &sh->rows.v[sh->rows.n - 1];
    if (row->kind != TAIL_FLOAT || start_ms == 0)
        return; // histograms carry none yet
    *vec_push(&b->starts) = (struct tail_start){ row->value, start_ms };
    row->value = b->starts.n - 1;
    row->kind = TAIL_START;
}

void append_histogram(struct append_batch *b, struct series_ref ref, int64_t t_ms,
                      const struct histogram *h)
{
    struct append_row *row = add_row(b, ref, t_ms, TAIL_HISTOGRAM);
    size_t at = b->blobs.n;

    row->value = at;
    buf_le32(&b->blobs, 0);
    buf_hist_blob(&b->blobs, h);
    put_le32(b->blobs.p + at, (uint32_t)(b->blobs.n - at - 4));
}

void append_exemplar(struct append_batch *b, struct series_ref ref, const struct exemplar *x)
{
    struct batch_exemplar *out = vec_push(&b->exemplars);

    out->ref = ref;
    out->x = *x;
    out->x.labels = labels_copy(&b->arena, x->labels);
}
