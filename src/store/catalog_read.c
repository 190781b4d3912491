/*
 * catalog_read.c - answers that go over all segments of a view: ids, labels, keys, order.
 *
 * Ids ascend, so that each segment sees its ids as one run and each page once.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/map.h"
#include "base/sort.h"
#include "store/catalog_priv.h"

/* ---- select ---- */

// Turns ascending positions into ids, run by run.
static void to_ids(const struct catalog_source *s, uint32_t *v, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t from = v[i], shift = source_id(s, from) - from;
        size_t end = i + 1, last = n - 1;
        // Mostly one run holds all that is left.
        if (source_id(s, v[last]) - v[last] == shift)
            end = n;
        while (end < n && source_id(s, v[end]) - v[end] == shift)
            end++;
        for (; i < end; i++)
            v[i] += shift;
    }
}

bool catalog_select(struct catalog_view *v, const struct catalog_query *q,
                    const struct catalog_read *r, struct catalog_ids *out, struct err *e)
{
    VEC(uint32_t) ids = { 0 };

    if (!catalog_quarantine_check(v, r, e))
        return false;
    for (size_t i = 0; i < v->n; i++) {
        OWNED(posset_fini) struct posset set = { 0 };
        const struct catalog_source *s = &v->v[i];
        struct err damage = { 0 };
        if (!source_select(v, s, q, r->budget, &set, &damage)) {
            if (catalog_damaged(v, r, &damage))
                continue;
            *e = damage;
            return false;
        }
        if (set.n == 0)
            continue;
        if (!budget_charge(r->budget, set.n * sizeof(uint32_t), e))
            return false;
        vec_reserve_in(r->arena, &ids, set.n);
        size_t n = posset_list(&set, s->n, ids.v + ids.n);
        to_ids(s, ids.v + ids.n, n);
        ids.n += n;
    }
    *out = (struct catalog_ids){ ids.v, ids.n };
    return true;
}

/* ---- walking ids segment by segment ---- */

struct span { // ids[from, to) belong to the source
    const struct catalog_source *source;
    size_t from, to;
};

// Steps to the next source with ids; ids that no source has are skipped over by the caller.
static bool span_next(struct catalog_view *v, struct catalog_ids ids, size_t *source,
                      struct span *out)
{
    for (; *source < v->n; (*source)++) {
        const struct catalog_source *s = &v->v[*source];
        uint32_t first = source_id(s, 0), last = source_id(s, s->n - 1);
        size_t from = out->to;
        while (from < ids.n && ids.v[from] < first)
            from++;
        size_t to = from;
        while (to < ids.n && ids.v[to] <= last)
            to++;
        out->to = to;
        if (to > from) {
            *out = (struct span){ s, from, to };
            (*source)++;
            return true;
        }
    }
    return false;
}

// Position of an id, UINT32_MAX when the source does not have it. *hint: the last position.
static uint32_t position_of(const struct catalog_source *s, uint32_t id, uint32_t *hint)
{
    uint32_t at = *hint + 1;

    if (at >= s->n || source_id(s, at) != id)
        at = source_position(s, id);
    if (at >= s->n || source_id(s, at) != id)
        return UINT32_MAX;
    *hint = at;
    return at;
}

/* ---- labels ---- */

static bool labels_live(const struct span *sp, struct catalog_ids ids, const struct catalog_read *r,
                        struct labels *out, struct err *e)
{
    const struct live *s = sp->source->live;
    uint32_t hint = UINT32_MAX;

    for (size_t i = sp->from; i < sp->to; i++) {
        uint32_t at = position_of(sp->source, ids.v[i], &hint);
        if (at == UINT32_MAX)
            continue;
        struct live_record rec = live_record(s, at);
        size_t n = rec.left;
        if (!budget_charge(r->budget, n * sizeof(struct label), e))
            return false;
        struct label *v = arena_raw(r->arena, n * sizeof *v);
        for (size_t k = 0; k < n; k++) {
            const struct live_pair *pair = live_pair(s, live_record_next(&rec));
            v[k].name = live_text(s, live_name(s, pair->name)->text);
            v[k].value = live_text(s, pair->value);
        }
        out[i] = (struct labels){ v, n };
    }
    return true;
}

struct memo_text {
    uint32_t pair;
    struct str text;
};

struct memo_cell {
    uint32_t column, pair;
};

/*
 * Values of sealed pairs, each copied to the arena once per call: by pair number in a hash index,
 * in front of which stands the last pair of each column.
 */
struct memo {
    struct segment *segment;
    struct segment_values cursor;
    const struct catalog_read *read;
    struct map map;
    VEC(struct memo_text) text;
    VEC(struct memo_cell) cell; // of the row at hand
    uint32_t last_pair[64];
    struct str last_text[64];
};

static void memo_init(struct memo *m, struct segment *s, const struct catalog_read *r)
{
    memset(m, 0, sizeof *m);
    m->segment = s;
    m->read = r;
    segment_values_init(&m->cursor, s, PAGE_KEEP);
    memset(m->last_pair, 0xff, sizeof m->last_pair);
}

static void memo_fini(struct memo *m)
{
    segment_values_fini(&m->cursor);
    map_fini(&m->map);
    vec_fini(&m->text);
    vec_fini(&m->cell);
}
OWN_DEFINE_FINI(struct memo, memo_fini);

static bool memo_read(struct memo *m, uint32_t pair, struct str *out, struct err *e)
{
    uint64_t hash = hash_u64(pair);
    uint32_t i;

    for (size_t at = map_first(&m->map, hash); (i = map_at(&m->map, hash, &at)) != MAP_NONE;)
        if (m->text.v[i].pair == pair) {
            *out = m->text.v[i].text;
            return true;
        }
    if (!segment_values_goto(&m->cursor, pair, e) || !segment_values_read(&m->cursor, e) ||
        !budget_charge(m->read->budget, m->cursor.value.n, e))
        return false;
    *out = arena_str(m->read->arena, m->cursor.value);
    map_add(&m->map, hash, (uint32_t)m->text.n);
    *vec_push(&m->text) = (struct memo_text){ pair, *out };
    return true;
}

static bool memo_text(struct memo *m, size_t column, uint32_t pair, struct str *out, struct err *e)
{
    column %= ARRAY_LEN(m->last_pair);
    if (m->last_pair[column] != pair) {
        if (!memo_read(m, pair, &m->last_text[column], e))
            return false;
        m->last_pair[column] = pair;
    }
    *out = m->last_text[column];
    return true;
}

static bool labels_row(struct memo *m, struct segment_rows *rows, uint32_t row, struct labels *out,
                       struct err *e)
{
    vec_reset(&m->cell);
    for (size_t c = 0; c < rows->columns.n; c++) {
        uint32_t pair = segment_row_pair(&rows->columns.v[c], row);
        if (pair != UINT32_MAX)
            *vec_push(&m->cell) = (struct memo_cell){ (uint32_t)c, pair };
    }
    size_t n = m->cell.n;
    if (!budget_charge(m->read->budget, n * sizeof(struct label), e))
        return false;
    struct label *v = arena_raw(m->read->arena, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        uint32_t c = m->cell.v[i].column;
        v[i].name = segment_name(m->segment, rows->columns.v[c].name)->text;
        if (!memo_text(m, c, m->cell.v[i].pair, &v[i].value, e))
            return false;
    }
    *out = (struct labels){ v, n };
    return true;
}

static bool labels_sealed(const struct span *sp, struct catalog_ids ids,
                          const struct catalog_read *r, struct labels *out, struct err *e)
{
    OWNED(memo_fini) struct memo memo;
    OWNED(segment_rows_fini) struct segment_rows rows;
    uint32_t hint = UINT32_MAX;

    memo_init(&memo, sp->source->segment, r);
    segment_rows_init(&rows, sp->source->segment, PAGE_KEEP);
    for (size_t i = sp->from; i < sp->to; i++) {
        uint32_t at = position_of(sp->source, ids.v[i], &hint);
        if (at == UINT32_MAX)
            continue;
        if (!segment_rows_load(&rows, at, e) ||
            !labels_row(&memo, &rows, at % SEGMENT_BLOCK, &out[i], e))
            return false;
        if (i % 64 == 0 && !budget_step(r->budget, 64, e))
            return false;
    }
    return true;
}

bool catalog_labels(struct catalog_view *v, struct catalog_ids ids, const struct catalog_read *r,
                    struct labels *out, struct err *e)
{
    struct span sp = { 0 };
    size_t source = 0;

    if (ids.n)
        memset(out, 0, ids.n * sizeof *out);
    while (span_next(v, ids, &source, &sp)) {
        struct err damage = { 0 };
        bool ok = sp.source->live ? labels_live(&sp, ids, r, out, &damage)
                                  : labels_sealed(&sp, ids, r, out, &damage);
        if (!ok && !catalog_damaged(v, r, &damage)) {
            *e = damage;
            return false;
        }
    }
    return true;
}

/* ---- keys ---- */

static bool keys_sealed(const struct span *sp, struct catalog_ids ids, const struct catalog_read *r,
                        struct catalog_key *out, struct err *e)
{
    OWNED(segment_keys_fini) struct segment_keys keys;
    uint32_t hint = UINT32_MAX;

    segment_keys_init(&keys, sp->source->segment, PAGE_KEEP);
    for (size_t i = sp->from; i < sp->to; i++) {
        uint32_t at = position_of(sp->source, ids.v[i], &hint);
        struct segment_key k;
        if (at == UINT32_MAX)
            continue;
        if (!segment_keys_read(&keys, at, &k, e))
            return false;
        out[i].fingerprint = k.fingerprint;
        out[i].shard = k.shard;
        if (i % 1024 == 0 && !budget_step(r->budget, 1024, e))
            return false;
    }
    return true;
}

static void keys_live(const struct span *sp, struct catalog_ids ids, struct catalog_key *out)
{
    uint32_t hint = UINT32_MAX;

    for (size_t i = sp->from; i < sp->to; i++) {
        uint32_t at = position_of(sp->source, ids.v[i], &hint);
        if (at == UINT32_MAX)
            continue;
        out[i].fingerprint = live_fingerprint(sp->source->live, at);
        out[i].shard = live_shard(sp->source->live, at);
    }
}

bool catalog_keys(struct catalog_view *v, struct catalog_ids ids, const struct catalog_read *r,
                  struct catalog_key *out, struct err *e)
{
    struct span sp = { 0 };
    size_t source = 0;

    for (size_t i = 0; i < ids.n; i++)
        out[i] = (struct catalog_key){ .id = ids.v[i], .shard = UINT32_MAX };
    while (span_next(v, ids, &source, &sp)) {
        struct err damage = { 0 };
        if (sp.source->live) {
            keys_live(&sp, ids, out);
        } else if (!keys_sealed(&sp, ids, r, out, &damage) && !catalog_damaged(v, r, &damage)) {
            *e = damage;
            return false;
        }
    }
    return true;
}

/* ---- order ---- */

static int order_cmp(const void *a, const void *b, void *ctx)
{
    const struct labels *ls = ctx;

    return labels_cmp(ls[*(const uint32_t *)a], ls[*(const uint32_t *)b]);
}

// One sealed segment has all ids: its ranks are the order.
static bool order_sealed(const struct span *sp, struct catalog_ids ids,
                         const struct catalog_read *r, uint32_t *order, struct err *e)
{
    OWNED(segment_keys_fini) struct segment_keys keys;
    struct sort_pair *v, *scratch;
    uint32_t hint = UINT32_MAX;

    segment_keys_init(&keys, sp->source->segment, PAGE_KEEP);
    if (!budget_charge(r->budget, 2 * ids.n * sizeof *v, e))
        return false;
    v = arena_array(r->arena, ids.n, struct sort_pair);
    scratch = arena_array(r->arena, ids.n, struct sort_pair);
    for (size_t i = 0; i < ids.n; i++) {
        uint32_t at = position_of(sp->source, ids.v[i], &hint);
        struct segment_key k = { .rank = UINT32_MAX };
        if (at != UINT32_MAX && !segment_keys_read(&keys, at, &k, e))
            return false;
        v[i] = (struct sort_pair){ k.rank, i };
    }
    sort_pairs(v, ids.n, scratch);
    for (size_t i = 0; i < ids.n; i++)
        order[i] = (uint32_t)v[i].value;
    return true;
}

bool catalog_order(struct catalog_view *v, struct catalog_ids ids, const struct catalog_read *r,
                   uint32_t *order, struct err *e)
{
    struct span sp = { 0 };
    size_t source = 0;
    struct labels *ls;

    for (size_t i = 0; i < ids.n; i++)
        order[i] = (uint32_t)i;
    if (span_next(v, ids, &source, &sp) && sp.source->segment && sp.to - sp.from == ids.n) {
        struct err damage = { 0 };
        if (order_sealed(&sp, ids, r, order, &damage))
            return true;
        if (!catalog_damaged(v, r, &damage)) {
            *e = damage;
            return false;
        }
        return true; // in order of ids: all that can be told
    }
    if (!budget_charge(r->budget, ids.n * sizeof *ls, e))
        return false;
    ls = arena_array(r->arena, ids.n, struct labels);
    if (!catalog_labels(v, ids, r, ls, e))
        return false;
    sort_stable(order, ids.n, sizeof *order, order_cmp, ls);
    return true;
}
