/*
 * metric_part_writer.c - rows of ascending series into chunks, with their times shared.
 *
 * A run of rows of one kind (floats, or histograms that fit one record) is offered to the time
 * table, which says how many of them lie in one column; those become a chunk.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "metrics/metric_part_priv.h"

bool metric_part_writer_open(struct metric_part_writer **out,
                             const struct metric_part_writer_options *o, struct err *e)
{
    struct part_writer_options po = { .path = o->path, .id = o->id };
    struct part_writer *part;

    po.id.kind = PART_METRICS;
    if (!part_writer_open(&part, &po, e))
        return false;
    struct metric_part_writer *w = xcalloc(1, sizeof *w);
    w->out = part;
    w->info = (struct part_info){
        .shard = o->shard,
        .seq_from = o->seq_from,
        .seq_to = o->seq_to,
        .resolution_ms = o->resolution_ms,
        .min_ms = INT64_MAX,
        .max_ms = INT64_MIN,
    };
    block_pages_init(&w->values, part, SECTION_VALUES);
    block_pages_init(&w->starts, part, SECTION_STARTS);
    time_table_init(&w->times, part);
    hist_pages_init(&w->hist, part);
    exemplar_pages_init(&w->exemplars, part);
    *out = w;
    return true;
}

void metric_part_writer_close(struct metric_part_writer *w)
{
    if (!w)
        return;
    block_pages_fini(&w->values);
    block_pages_fini(&w->starts);
    time_table_fini(&w->times);
    hist_pages_fini(&w->hist);
    exemplar_pages_fini(&w->exemplars);
    part_writer_close(w->out);
    xfree(w);
}

uint64_t metric_part_writer_bytes(const struct metric_part_writer *w)
{
    uint64_t bytes = part_writer_bytes(w->out) + w->values.blocks.n + w->hist.records.n;

    if (w->values.builder)
        bytes += block_builder_bytes(w->values.builder);
    return bytes;
}

uint64_t metric_part_writer_rows(const struct metric_part_writer *w)
{
    return w->info.rows;
}

// Length of the run of one kind that begins at row i; 0: a histogram that is not sound.
static size_t run_length(const struct series_samples *s, size_t i)
{
    size_t n = i + 1;

    if (!s->hist)
        return s->n - i;
    while (n < s->n && !s->hist[n] == !s->hist[i])
        n++;
    return s->hist[i] ? hist_pages_fit(s->hist + i, n - i) : n - i;
}

static bool has_starts(const struct series_samples *s, size_t i, size_t n)
{
    for (size_t k = i; s->start_ms && k < i + n; k++)
        if (s->start_ms[k])
            return true;
    return false;
}

static bool add_chunk(struct metric_part_writer *w, uint32_t id, const struct series_samples *s,
                      size_t i, const struct time_place *at, struct err *e)
{
    struct chunk_key key = { .id = id, .time = at->column, .time_start = at->start };
    int64_t min_ms = s->t_ms[i], max_ms = s->t_ms[i + at->n - 1u];
    uint64_t number;

    if (!block_pages_room(&w->values, id, min_ms, max_ms, at->n, e))
        return false;
    if (!s->hist || !s->hist[i]) {
        block_builder_doubles(w->values.builder, &key, s->value + i, at->n);
    } else {
        if (!hist_pages_add(&w->hist, s->hist + i, at->n, &number, e))
            return false;
        block_builder_link(w->values.builder, &key, number, at->n);
    }
    if (!has_starts(s, i, at->n))
        return true;
    if (!block_pages_room(&w->starts, id, min_ms, max_ms, at->n, e))
        return false;
    block_builder_ints(w->starts.builder, &key, s->start_ms + i, at->n);
    return true;
}

static bool times_ascend(const int64_t *t_ms, size_t n)
{
    bool ok = true;

    for (size_t i = 1; i < n; i++)
        ok &= t_ms[i - 1] < t_ms[i];
    return ok;
}

bool metric_part_writer_add(struct metric_part_writer *w, uint32_t id,
                            const struct series_samples *s, struct err *e)
{
    bool same = w->any && id == w->id_last;

    assert(s->n >= 1 && times_ascend(s->t_ms, s->n));
    assert(!w->any || id > w->id_last || (same && s->t_ms[0] > w->t_last));
    for (size_t i = 0; i < s->n; i += w->place_last.n) {
        size_t n = run_length(s, i);
        struct time_place at;

        if (n == 0)
            return err_set(e, ERR_INVALID, "histogram with overlapping spans or missing counts");
        if (!time_table_place(&w->times, s->t_ms + i, n, same || i ? &w->place_last : NULL, &at, e))
            return false;
        if (!add_chunk(w, id, s, i, &at, e))
            return false;
        w->place_last = at;
    }
    w->info.rows += s->n;
    w->info.series += !same;
    w->info.min_ms = MIN(w->info.min_ms, s->t_ms[0]);
    w->info.max_ms = MAX(w->info.max_ms, s->t_ms[s->n - 1]);
    w->any = true;
    w->id_last = id;
    w->t_last = s->t_ms[s->n - 1];
    return true;
}

bool metric_part_writer_exemplar(struct metric_part_writer *w, const struct metric_part_exemplar *x,
                                 struct err *e)
{
    return exemplar_pages_add(&w->exemplars, x, e);
}

bool metric_part_writer_finish(struct metric_part_writer *w, struct part_info *out, struct err *e)
{
    if (!block_pages_finish(&w->values, e) || !time_table_finish(&w->times, e) ||
        !hist_pages_finish(&w->hist, e) || !block_pages_finish(&w->starts, e) ||
        !exemplar_pages_finish(&w->exemplars, e) || !part_writer_finish(w->out, &w->info, e))
        return false;
    *out = w->info;
    return true;
}
