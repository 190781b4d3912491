/*
 * metric_part.c - parts of metric rows as objects, and the columns that reading fills.
 *
 * The file is a container of part.c with the sections of metric_part_priv.h:
 *   VALUES      block pages; a chunk's key is (series id, time column, start in it)
 *   TIMES       block pages of integer chunks; the chunk's id is the time column's number
 *   HISTOGRAMS  records of metric_part_hist.c; a link chunk of VALUES names one by number
 *   STARTS      block pages of integer chunks, with the keys of those chunks of VALUES any of
 *               whose rows has a start time; 0 where a row has none
 *   EXEMPLARS   pages of metric_part_exemplar.c
 * Pages of all but HISTOGRAMS have keys of page_key().
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/metric_part.h"

#include <unistd.h>

#include "base/mem.h"
#include "metrics/metric_part_priv.h"

bool metric_part_open(struct metric_part **out, struct page_cache *c, const char *path,
                      const struct part_id *expect, struct err *e)
{
    struct part_id want;
    struct part *part;

    if (expect) {
        want = *expect;
        want.kind = PART_METRICS;
    }
    if (!part_open(&part, c, path, expect ? &want : NULL, e))
        return false;
    if (part_id(part)->kind != PART_METRICS) {
        part_close(part);
        return err_set(e, ERR_CONFLICT, "part %s holds no metrics", path);
    }
    struct metric_part *p = xcalloc(1, sizeof *p);
    p->part = part;
    atomic_init(&p->references, 1);
    *out = p;
    return true;
}

struct metric_part *metric_part_get(struct metric_part *p)
{
    // relaxed: who takes another reference holds one.
    atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);
    return p;
}

void metric_part_put(struct metric_part *p)
{
    // acq_rel: the last one sees what the others did, metric_part_doom() included.
    if (!p || atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) != 1)
        return;
    if (atomic_load_explicit(&p->doomed, memory_order_relaxed))
        unlink(part_path(p->part)); // best effort: unlisted files are removed at start-up
    part_close(p->part);
    xfree(p);
}

void metric_part_doom(struct metric_part *p)
{
    atomic_store_explicit(&p->doomed, true, memory_order_relaxed); // ordered by the last put
}

const struct part_info *metric_part_info(const struct metric_part *p)
{
    return part_info(p->part);
}

const char *metric_part_path(const struct metric_part *p)
{
    return part_path(p->part);
}

bool metric_part_has_exemplars(const struct metric_part *p)
{
    return part_section_pages(p->part, SECTION_EXEMPLARS) > 0;
}

void metric_part_sections(const struct metric_part *p, struct metric_part_sections *out)
{
    *out = (struct metric_part_sections){
        .values_bytes = part_section_bytes(p->part, SECTION_VALUES),
        .times_bytes = part_section_bytes(p->part, SECTION_TIMES),
        .histograms_bytes = part_section_bytes(p->part, SECTION_HISTOGRAMS),
        .starts_bytes = part_section_bytes(p->part, SECTION_STARTS),
        .exemplars_bytes = part_section_bytes(p->part, SECTION_EXEMPLARS),
    };
}

/* ---- columns of samples ---- */

void sample_columns_fini(struct sample_columns *c)
{
    xfree(c->t_ms);
    xfree(c->value);
    xfree(c->hist);
    xfree(c->start_ms);
    *c = (struct sample_columns){ .arena = c->arena };
}

void sample_columns_reset(struct sample_columns *c)
{
    c->n = 0;
    c->has_hist = c->has_start = false;
}

void sample_columns_reserve(struct sample_columns *c, size_t more)
{
    if (c->cap - c->n >= more)
        return;
    size_t cap = MAX(MAX(c->cap * 2, c->n + more), (size_t)64);
    assert(cap < SIZE_MAX / 16);
    c->t_ms = xrealloc(c->t_ms, cap * sizeof *c->t_ms);
    c->value = xrealloc(c->value, cap * sizeof *c->value);
    if (c->hist)
        c->hist = xrealloc(c->hist, cap * sizeof *c->hist);
    if (c->start_ms)
        c->start_ms = xrealloc(c->start_ms, cap * sizeof *c->start_ms);
    c->cap = cap;
}

void sample_columns_need_hist(struct sample_columns *c)
{
    if (c->has_hist)
        return;
    if (!c->hist)
        c->hist = xmalloc(c->cap * sizeof *c->hist);
    memset(c->hist, 0, c->n * sizeof *c->hist);
    c->has_hist = true;
}

void sample_columns_need_start(struct sample_columns *c)
{
    if (c->has_start)
        return;
    if (!c->start_ms)
        c->start_ms = xmalloc(c->cap * sizeof *c->start_ms);
    memset(c->start_ms, 0, c->n * sizeof *c->start_ms);
    c->has_start = true;
}

void sample_columns_push(struct sample_columns *c, int64_t t_ms, double value,
                         const struct histogram *hist, int64_t start_ms)
{
    sample_columns_reserve(c, 1);
    if (hist)
        sample_columns_need_hist(c);
    if (start_ms)
        sample_columns_need_start(c);
    c->t_ms[c->n] = t_ms;
    memcpy(&c->value[c->n], &value, sizeof value);
    if (c->has_hist)
        c->hist[c->n] = hist;
    if (c->has_start)
        c->start_ms[c->n] = start_ms;
    c->n++;
}
