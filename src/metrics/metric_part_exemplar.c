/*
 * metric_part_exemplar.c - exemplars of a part, by (series id, time).
 *
 * A page is a run of: varint id − id before (0 at first), varint zigzag(t_ms − t_ms before; the
 * first of an id: t_ms), 8 bytes value, varint bytes of labels, labels.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "metrics/metric_part_priv.h"

void exemplar_pages_init(struct exemplar_pages *x, struct part_writer *out)
{
    *x = (struct exemplar_pages){ .out = out };
}

void exemplar_pages_fini(struct exemplar_pages *x)
{
    buf_fini(&x->page);
}

bool exemplar_pages_finish(struct exemplar_pages *p, struct err *e)
{
    if (p->page.n == 0)
        return true;
    bool ok = part_writer_page(p->out, SECTION_EXEMPLARS, &p->key, buf_view(&p->page), e);
    buf_reset(&p->page);
    return ok;
}

bool exemplar_pages_add(struct exemplar_pages *p, const struct metric_part_exemplar *x,
                        struct err *e)
{
    struct buf *b = &p->page;

    assert(!p->any || x->id > p->id_last || (x->id == p->id_last && x->t_ms >= p->t_last));
    if (b->n >= PART_PAGE_BYTES && !exemplar_pages_finish(p, e))
        return false;
    bool same = p->any && x->id == p->id_last;
    if (b->n == 0) {
        p->key = (struct part_page_key){ .key = page_key(x->id, same),
                                         .min_ms = x->t_ms,
                                         .max_ms = x->t_ms };
        p->id_last = 0;
        same = false;
    }
    buf_varint(b, x->id - p->id_last);
    buf_varint(b, zigzag((int64_t)((uint64_t)x->t_ms - (same ? (uint64_t)p->t_last : 0))));
    buf_le64(b, double_bits(x->value));
    buf_varint(b, x->labels.n);
    buf_str(b, x->labels);
    p->key.min_ms = MIN(p->key.min_ms, x->t_ms);
    p->key.max_ms = MAX(p->key.max_ms, x->t_ms);
    p->key.rows++;
    p->any = true;
    p->id_last = x->id;
    p->t_last = x->t_ms;
    return true;
}

void exemplar_walk_init(struct exemplar_walk *w, struct part *p, enum page_use use)
{
    *w = (struct exemplar_walk){ 0 };
    part_walk_init(&w->pages, p, SECTION_EXEMPLARS, use);
}

void exemplar_walk_fini(struct exemplar_walk *w)
{
    page_put(w->page);
    part_walk_fini(&w->pages);
}

static bool load(struct exemplar_walk *w, struct err *e)
{
    const struct page *page;

    if (!part_walk_page(&w->pages, &page, e))
        return false;
    page_put(w->page);
    w->page = page;
    w->at = bytes_of(str_of((const char *)page->p, page->n));
    w->id_last = 0;
    w->t_last = 0;
    w->ended = false;
    return true;
}

int exemplar_walk_find(struct exemplar_walk *w, uint32_t id, struct err *e)
{
    int r = part_walk_find(&w->pages, page_key(id, false), e);

    w->ended = true;
    if (r > 0 && !load(w, e))
        return -1;
    return r;
}

int exemplar_walk_next(struct exemplar_walk *w, struct metric_part_exemplar *out, struct err *e)
{
    if (w->ended)
        return 0;
    bool first = false;
    if (bytes_left(&w->at) == 0) {
        int r = part_walk_next(&w->pages, e);

        if (r <= 0) {
            w->ended = r == 0;
            return r;
        }
        if (!load(w, e))
            return -1;
    }
    first = w->at.p == w->page->p;
    uint64_t gap = bytes_varint(&w->at);
    uint64_t step = (uint64_t)unzigzag(bytes_varint(&w->at));
    if (first || gap)
        w->t_last = 0;
    if (gap <= UINT32_MAX - w->id_last) {
        w->id_last += (uint32_t)gap;
        w->t_last = (int64_t)((uint64_t)w->t_last + step);
    } else {
        w->at.bad = true;
    }
    *out = (struct metric_part_exemplar){ .id = w->id_last, .t_ms = w->t_last };
    out->value = double_from_bits(bytes_le64(&w->at));
    out->labels = bytes_take(&w->at, bytes_varint(&w->at));
    if (w->at.bad) {
        w->ended = true;
        err_set(e, ERR_CORRUPT, "part %s: page at offset %llu: damaged exemplars",
                part_path(w->pages.part), (unsigned long long)w->pages.entry.offset);
        return -1;
    }
    return 1;
}

bool metric_part_exemplars(struct metric_part *p, const struct metric_part_exemplar_query *q,
                           metric_part_exemplar_fn visit, void *ctx, struct err *e)
{
    struct exemplar_walk w;
    struct metric_part_exemplar x;
    bool ok = true;

    exemplar_walk_init(&w, p->part, PAGE_KEEP);
    int r = exemplar_walk_find(&w, q->id_min, e);
    while (ok && r > 0 && (r = exemplar_walk_next(&w, &x, e)) > 0) {
        if (x.id > q->id_max)
            break;
        if (x.id >= q->id_min && x.t_ms >= q->min_ms && x.t_ms <= q->max_ms)
            ok = visit(ctx, &x, e);
    }
    exemplar_walk_fini(&w);
    return ok && r >= 0;
}
