/*
 * metrics_scan.c - samples of selected series, in storage order.
 *
 * A series' rows lie in parts and tails of its shard, per span. Sources are read in sequence order;
 * mostly their times just follow each other, else they are sorted, the first accepted row winning.
 * With several spans, series are read in groups, span by span, so that pages are met in order.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/sort.h"
#include "metrics/metrics_view_priv.h"

enum { GROUP_SERIES = 256, GROUP_BYTES = 8 << 20 };

struct scan_span {
    struct view_span *vs;
    struct metric_part_cursor **cursor; // per part of the view; NULL: not yet
    struct tail_reader *tail;           // per tail of the view
    uint64_t *want;                     // bit per id
    uint32_t id_end;
    int64_t min_ms, max_ms;
    struct mask_set masks;
    bool is_wanted;
};

struct scan {
    struct metrics_view *view;
    const struct series_set *set;
    const struct scan_query *q;
    struct budget *budget;
    struct arena arena, scratch, hist; // of the scan; for sorting; histograms of the group
    struct scan_span *spans;
    struct sample_columns *group;
    size_t group_n;
};

static void scan_fini(struct scan *c)
{
    for (size_t i = 0; c->spans && i < c->view->span_count; i++) {
        for (size_t k = 0; c->spans[i].cursor && k < c->spans[i].vs->rows->part_count; k++)
            metric_part_cursor_free(c->spans[i].cursor[k]);
    }
    for (size_t i = 0; i < c->group_n; i++)
        sample_columns_fini(&c->group[i]);
    arena_fini(&c->arena);
    arena_fini(&c->scratch);
    arena_fini(&c->hist);
}
OWN_DEFINE_FINI(struct scan, scan_fini)

static size_t pick_count(const struct scan *c)
{
    return c->q->pick ? c->q->pick_count : c->set->n;
}

static uint32_t pick_at(const struct scan *c, size_t i)
{
    return c->q->pick ? c->q->pick[i] : (uint32_t)i;
}

/* ---- preparation ---- */

// Notes which ids are wanted of which span.
static void mark_wanted(struct scan *c)
{
    for (size_t i = 0; i < pick_count(c); i++) {
        const struct series_entry *x = &c->set->v[pick_at(c, i)];
        struct series_loc one;
        uint32_t n;
        const struct series_loc *loc = entry_locs(x, &one, &n);

        for (uint32_t k = 0; k < n; k++) {
            struct scan_span *ss = &c->spans[loc[k].span];

            if (loc[k].id < ss->id_end)
                ss->want[loc[k].id / 64] |= UINT64_C(1) << loc[k].id % 64;
            ss->is_wanted = true;
        }
    }
}

static bool start_span(struct scan *c, size_t index, struct err *e)
{
    struct scan_span *ss = &c->spans[index];
    struct view_span *vs = &c->view->spans[index];
    size_t words;

    ss->vs = vs;
    ss->min_ms = MAX(c->q->min_ms, vs->s->min_ms);
    ss->max_ms = MIN(c->q->max_ms, vs->s->max_ms - 1);
    ss->id_end = catalog_view_id_end(vs->catalog);
    words = ss->id_end / 64 + 1;
    if (!budget_charge(c->budget, words * 8, e))
        return false;
    ss->want = arena_array(&c->arena, words, uint64_t);
    ss->cursor = arena_array(&c->arena, vs->rows->part_count + 1, struct metric_part_cursor *);
    if (LIKELY(!vs->rows->mask_count))
        return true;
    struct catalog_damage damage = { 0 }; // said by the select before
    struct mask_query q = { ss->min_ms, ss->max_ms, { &c->arena, c->budget, &damage } };
    return masks_resolve(vs->rows, vs->catalog, &q, &ss->masks, e);
}

static bool start_tails(struct scan *c, struct scan_span *ss, struct err *e)
{
    const struct span_view *rows = ss->vs->rows;

    if (!ss->is_wanted || ss->min_ms > ss->max_ms)
        return true;
    ss->tail = arena_array(&c->arena, rows->tail_count + 1, struct tail_reader);
    for (size_t i = 0; i < rows->tail_count; i++) {
        if (!budget_step(c->budget, TAIL_CHUNK_ROWS / 64, e))
            return false;
        tail_reader_init(&ss->tail[i], rows->tails[i], &c->view->batches, ss->want, ss->id_end,
                         &c->arena);
    }
    return true;
}

/* ---- one series ---- */

static bool read_parts(struct scan *c, struct scan_span *ss, uint32_t id, uint32_t shard,
                       struct sample_columns *out, struct err *e)
{
    const struct span_view *rows = ss->vs->rows;
    unsigned flags = (c->q->need_start ? METRIC_PART_START : 0) |
                     (c->q->times_only ? METRIC_PART_TIMES : 0);
    struct err why = { 0 };

    for (size_t i = 0; i < rows->part_count; i++) {
        const struct manifest_part *info = &rows->parts[i].info;

        if ((info->shard != shard && info->shard != MANIFEST_SHARD_ALL) ||
            info->max_ms < ss->min_ms || info->min_ms > ss->max_ms)
            continue;
        if (!ss->cursor[i])
            ss->cursor[i] = metric_part_cursor_new(rows->parts[i].part, flags);
        size_t from = out->n;
        if (metric_part_read(ss->cursor[i], id, ss->min_ms, ss->max_ms, out, &why)) {
            masks_apply(&ss->masks, info->number, id, out, from);
            continue;
        }
        if (why.kind != ERR_CORRUPT) {
            *e = why;
            return false;
        }
        // A damaged page hides its rows; the rest is served.
        view_damage(c->view, "samples of a damaged part are left out",
                    str_c(metric_part_path(rows->parts[i].part)), &why);
    }
    return true;
}

// Appends the rows of one id of one span.
static bool read_id(struct scan *c, struct scan_span *ss, uint32_t id, uint32_t shard,
                    struct sample_columns *out, struct err *e)
{
    const struct span_view *rows = ss->vs->rows;
    size_t from = out->n;

    if (!ss->tail)
        return true;
    if (!read_parts(c, ss, id, shard, out, e))
        return false;
    for (size_t i = 0; i < rows->tail_count; i++) {
        if (rows->tails[i]->shard == shard &&
            !tail_reader_read(&ss->tail[i], id, ss->min_ms, ss->max_ms, out, e))
            return false;
    }
    columns_settle(out, from, &c->scratch);
    return budget_step(c->budget, out->n - from + 1, e);
}

// "No reset" was said between neighbours at the sender; rows may have come in between here.
static void forget_hints(struct sample_columns *out)
{
    for (size_t i = 0; out->has_hist && i < out->n; i++) {
        struct histogram *h = (struct histogram *)(uintptr_t)out->hist[i];

        if (h && h->reset == HIST_RESET_NO)
            h->reset = HIST_RESET_UNKNOWN;
    }
}

static bool give(struct scan *c, uint32_t pos, struct sample_columns *out, scan_fn visit, void *ctx,
                 struct err *e)
{
    struct series_samples s;

    if (!out->n)
        return true;
    forget_hints(out);
    s = sample_columns_view(out);
    if (!c->q->need_start)
        s.start_ms = NULL;
    return visit(ctx, pos, &s, e);
}

/* ---- groups ---- */

struct group_read {
    uint32_t id, at; // at: place in the group
};

static int by_id(const void *a, const void *b, void *ctx UNUSED)
{
    const struct group_read *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static bool read_group_span(struct scan *c, uint32_t span, size_t first, size_t n, struct err *e)
{
    struct scan_span *ss = &c->spans[span];
    struct arena_mark mark = arena_mark(&c->scratch);
    VEC(struct group_read) reads = { 0 };
    bool sorted = true, ok = true;

    for (size_t i = 0; i < n; i++) {
        struct series_loc one;
        uint32_t locs;
        const struct series_loc *loc = entry_locs(&c->set->v[pick_at(c, first + i)], &one, &locs);

        for (uint32_t k = 0; k < locs; k++) {
            if (loc[k].span != span)
                continue;
            sorted &= !reads.n || reads.v[reads.n - 1].id <= loc[k].id;
            *vec_push_in(&c->scratch, &reads) = (struct group_read){ loc[k].id, (uint32_t)i };
        }
    }
    if (!sorted)
        sort_stable(reads.v, reads.n, sizeof *reads.v, by_id, NULL);
    for (size_t i = 0; ok && i < reads.n; i++) {
        const struct series_entry *x = &c->set->v[pick_at(c, first + reads.v[i].at)];

        ok = read_id(c, ss, reads.v[i].id, shard_of(x->fingerprint, ss->vs->s->shards),
                     &c->group[reads.v[i].at], e);
    }
    arena_release(&c->scratch, mark);
    return ok;
}

// How many series are held at once: one where there is one span.
static size_t group_size(const struct scan *c)
{
    int64_t rows = (c->q->max_ms / 15000 - c->q->min_ms / 15000) + 1;
    int64_t n = GROUP_BYTES / 16 / MAX(rows, 1);

    if (c->view->span_count <= 1)
        return 1;
    return (size_t)MIN(MAX(n, 16), GROUP_SERIES);
}

static bool scan_groups(struct scan *c, scan_fn visit, void *ctx, struct err *e)
{
    size_t size = group_size(c), count = pick_count(c);

    c->group_n = size;
    c->group = arena_array(&c->arena, size, struct sample_columns);
    for (size_t first = 0; first < count; first += size) {
        size_t n = MIN(size, count - first);

        for (size_t i = 0; i < n; i++) {
            sample_columns_reset(&c->group[i]);
            c->group[i].arena = &c->hist;
        }
        for (uint32_t k = 0; k < c->view->span_count; k++) {
            if (c->spans[k].is_wanted && !read_group_span(c, k, first, n, e))
                return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (!give(c, pick_at(c, first + i), &c->group[i], visit, ctx, e))
                return false;
        }
        arena_reset(&c->hist);
    }
    return true;
}

bool metrics_view_scan(struct series_view *v, const struct series_set *set,
                       const struct scan_query *q, struct budget *b, scan_fn visit, void *ctx,
                       struct err *e)
{
    OWNED(scan_fini)
    struct scan c = {
        .view = CONTAINER_OF(v, struct metrics_view, base),
        .set = set,
        .q = q,
        .budget = b,
    };

    if (q->min_ms > q->max_ms || !pick_count(&c))
        return true;
    c.spans = arena_array(&c.arena, c.view->span_count + 1, struct scan_span);
    for (size_t i = 0; i < c.view->span_count; i++) {
        if (!start_span(&c, i, e))
            return false;
    }
    mark_wanted(&c);
    for (size_t i = 0; i < c.view->span_count; i++) {
        if (!start_tails(&c, &c.spans[i], e))
            return false;
    }
    return scan_groups(&c, visit, ctx, e);
}
