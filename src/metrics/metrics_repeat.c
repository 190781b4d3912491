/*
 * metrics_repeat.c - rows that were refused for order, but are there already.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/hist_blob.h"
#include "metrics/metrics_priv.h"

enum { ROWS_MAX = 65536 }; // refused rows of a batch and shard that are looked up

struct repeats {
    struct append_batch *b;
    struct span *s;
    uint8_t span_index;
    struct arena arena, hist;
    struct sample_columns found;
    struct append_row **rows;
    size_t n;
};

static void repeats_fini(struct repeats *r)
{
    sample_columns_fini(&r->found);
    arena_fini(&r->arena);
    arena_fini(&r->hist);
}
OWN_DEFINE_FINI(struct repeats, repeats_fini)

static bool is_same(const struct repeats *r, const struct append_row *row)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!r->found.n)
        return false;
    if (row->kind != TAIL_HISTOGRAM)
        return double_bits(r->found.value[0]) == append_row_bits(r->b, row);
    if (!r->found.has_hist || !r->found.hist[0])
        return false;
    buf_hist_blob(&b, r->found.hist[0]);
    return hash_seeded(buf_view(&b), 1) == append_row_bits(r->b, row);
}

// The first row of the time, over the tails in sequence order, decides.
static void look_up(struct repeats *r, struct tail_reader *readers, size_t n,
                    struct append_row *row)
{
    struct err e = { 0 }; // what cannot be read is not found

    sample_columns_reset(&r->found);
    for (size_t i = 0; i < n && !r->found.n; i++) {
        if (!tail_reader_read(&readers[i], row->id, row->t_ms, row->t_ms, &r->found, &e))
            return;
    }
    if (is_same(r, row))
        row->status = APPEND_OK;
}

static void collect(struct repeats *r, uint32_t shard)
{
    struct batch_shard *bs = &r->b->shard[shard];

    r->n = 0;
    for (size_t i = 0; i < bs->rows.n && r->n < ROWS_MAX; i++) {
        struct append_row *row = &bs->rows.v[i];

        if (row->status != APPEND_OUT_OF_ORDER || row->span != r->span_index)
            continue;
        if (!r->rows)
            r->rows = arena_array(&r->arena, ROWS_MAX, struct append_row *);
        r->rows[r->n++] = row;
    }
}

static void look_up_shard(struct repeats *r, uint32_t shard)
{
    struct span_view *view;
    struct tail_reader *readers;
    struct batch_view all = { .last = UINT64_MAX, .low = UINT64_MAX };
    uint64_t *want;
    uint32_t id_end = 0;
    size_t n = 0;

    collect(r, shard);
    if (!r->n)
        return;
    for (size_t i = 0; i < r->n; i++)
        id_end = MAX(id_end, r->rows[i]->id + 1);
    want = arena_array(&r->arena, id_end / 64 + 1, uint64_t);
    for (size_t i = 0; i < r->n; i++)
        want[r->rows[i]->id / 64] |= UINT64_C(1) << r->rows[i]->id % 64;
    view = span_view_now(r->s);
    readers = arena_array(&r->arena, view->tail_count + 1, struct tail_reader);
    for (size_t i = 0; i < view->tail_count; i++) {
        if (view->tails[i]->shard == shard)
            tail_reader_init(&readers[n++], view->tails[i], &all, want, id_end, &r->arena);
    }
    for (size_t i = 0; i < r->n; i++)
        look_up(r, readers, n, r->rows[i]);
    span_view_put(view);
}

void append_accept_repeats(struct append_batch *b, uint8_t span_index, struct span *s)
{
    OWNED(repeats_fini) struct repeats r = { .b = b, .s = s, .span_index = span_index };

    r.found.arena = &r.hist;
    for (uint32_t k = 0; k < b->tenant->shard_count; k++)
        look_up_shard(&r, k);
}
