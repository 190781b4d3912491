/*
 * metric_part_read.c - a cursor over one part: chunks by id, their times through a small cache.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/mem.h"
#include "metrics/metric_part_priv.h"

enum { TIME_CACHE = 64 }; // decoded time columns, direct-mapped by number

struct time_entry {
    uint32_t column, n; // n 0: free
    int64_t *t_ms;      // room for CHUNK_VALUES_MAX
};

struct metric_part_cursor {
    struct metric_part *part;
    unsigned flags;
    struct chunk_walk values, times, starts;
    struct hist_reader hist;
    struct time_entry time[TIME_CACHE];
};

struct metric_part_cursor *metric_part_cursor_new(struct metric_part *p, unsigned flags)
{
    struct metric_part_cursor *c = xcalloc(1, sizeof *c);
    enum page_use use = flags & METRIC_PART_ONCE ? PAGE_ONCE : PAGE_KEEP;

    c->part = metric_part_get(p);
    c->flags = flags;
    chunk_walk_init(&c->values, p->part, SECTION_VALUES, use);
    chunk_walk_init(&c->times, p->part, SECTION_TIMES, use);
    chunk_walk_init(&c->starts, p->part, SECTION_STARTS, use);
    hist_reader_init(&c->hist, p->part, use);
    return c;
}

void metric_part_cursor_free(struct metric_part_cursor *c)
{
    if (!c)
        return;
    chunk_walk_fini(&c->values);
    chunk_walk_fini(&c->times);
    chunk_walk_fini(&c->starts);
    hist_reader_fini(&c->hist);
    for (size_t i = 0; i < TIME_CACHE; i++)
        xfree(c->time[i].t_ms);
    metric_part_put(c->part);
    xfree(c);
}

static bool times_ascend(const int64_t *t_ms, size_t n)
{
    bool ok = true;

    for (size_t i = 1; i < n; i++)
        ok &= t_ms[i - 1] < t_ms[i];
    return ok;
}

static bool load_times(struct metric_part_cursor *c, uint32_t column, struct time_entry *to,
                       struct err *e)
{
    struct chunk_walk *w = &c->times;
    int r = chunk_walk_find(w, column, INT64_MIN, INT64_MAX, e);

    if (r < 0)
        return false;
    if (r == 0 || chunk_walk_key(w).id != column ||
        block_reader_kind(w->reader, w->chunk) != CHUNK_INTS)
        return chunk_walk_corrupt(&c->values, "names a time column that is not there", e);
    if (!to->t_ms)
        to->t_ms = xmalloc(CHUNK_VALUES_MAX * sizeof *to->t_ms);
    size_t n = block_reader_values(w->reader, w->chunk);
    to->n = 0;
    if (!block_reader_ints(w->reader, w->chunk, to->t_ms) || !times_ascend(to->t_ms, n))
        return chunk_walk_corrupt(w, "damaged time column", e);
    to->column = column;
    to->n = (uint32_t)n;
    return true;
}

// The times of the chunk that `values` stands on: n of them.
static bool chunk_times(struct metric_part_cursor *c, const int64_t **out, size_t *n, struct err *e)
{
    struct chunk_key key = chunk_walk_key(&c->values);
    struct time_entry *t = &c->time[key.time % TIME_CACHE];

    if ((t->n == 0 || t->column != key.time) && !load_times(c, key.time, t, e))
        return false;
    *n = block_reader_values(c->values.reader, c->values.chunk);
    if (key.time_start + *n > t->n)
        return chunk_walk_corrupt(&c->values, "a chunk is longer than its time column", e);
    *out = t->t_ms + key.time_start;
    return true;
}

// First index whose time is >= t.
static size_t lower_bound(const int64_t *t_ms, size_t n, int64_t t)
{
    size_t low = 0, high = n;

    if (n == 0 || t_ms[0] >= t)
        return 0;
    if (t_ms[n - 1] < t)
        return n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t_ms[middle] < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool append_values(struct metric_part_cursor *c, const struct row_slice *s,
                          struct sample_columns *out, struct err *e)
{
    struct chunk_walk *w = &c->values;
    double v[CHUNK_VALUES_MAX], *to = out->value + out->n;
    size_t rows = s->to - s->from;

    if ((c->flags & METRIC_PART_TIMES) && !block_reader_may_be_nan(w->reader, w->chunk))
        memset(to, 0, rows * sizeof *to);
    else if (!block_reader_doubles(w->reader, w->chunk, rows == s->n ? to : v))
        return chunk_walk_corrupt(w, "damaged chunk", e);
    else if (rows != s->n)
        memcpy(to, v + s->from, rows * sizeof *v);
    if (out->has_hist)
        memset(out->hist + out->n, 0, rows * sizeof *out->hist);
    return true;
}

static bool append_hist(struct metric_part_cursor *c, const struct row_slice *s,
                        struct sample_columns *out, struct err *e)
{
    struct chunk_walk *w = &c->values;

    assert(out->arena);
    sample_columns_need_hist(out);
    memset(out->value + out->n, 0, (s->to - s->from) * sizeof *out->value);
    return hist_reader_read(&c->hist, block_reader_link(w->reader, w->chunk), s, out->arena,
                            out->hist + out->n, e);
}

// Start times of the chunk that `values` stands on, if there are any.
static bool append_starts(struct metric_part_cursor *c, const struct row_slice *s,
                          struct sample_columns *out, struct err *e)
{
    struct chunk_walk *w = &c->starts;
    struct chunk_key want = chunk_walk_key(&c->values), key = { 0 };
    int64_t v[CHUNK_VALUES_MAX];
    int r = chunk_walk_find(w, want.id, INT64_MIN, INT64_MAX, e);

    for (; r > 0; r = chunk_walk_next(w, INT64_MIN, INT64_MAX, e)) {
        key = chunk_walk_key(w);
        if (key.id != want.id || (key.time == want.time && key.time_start == want.time_start))
            break;
    }
    if (r < 0)
        return false;
    if (r == 0 || key.id != want.id) {
        if (out->has_start)
            memset(out->start_ms + out->n, 0, (s->to - s->from) * sizeof *out->start_ms);
        return true;
    }
    if (block_reader_values(w->reader, w->chunk) != s->n ||
        !block_reader_ints(w->reader, w->chunk, v))
        return chunk_walk_corrupt(w, "damaged start times", e);
    sample_columns_need_start(out);
    memcpy(out->start_ms + out->n, v + s->from, (s->to - s->from) * sizeof *v);
    return true;
}

// Appends rows of the chunk that `values` stands on.
static bool append_chunk(struct metric_part_cursor *c, int64_t min_ms, int64_t max_ms, size_t first,
                         struct sample_columns *out, struct err *e)
{
    struct chunk_walk *w = &c->values;
    const int64_t *t_ms;
    struct row_slice s;

    if (!chunk_times(c, &t_ms, &s.n, e))
        return false;
    s.from = lower_bound(t_ms, s.n, min_ms);
    s.to = max_ms == INT64_MAX ? s.n : lower_bound(t_ms, s.n, max_ms + 1);
    if (s.from >= s.to)
        return true;
    if (out->n > first && t_ms[s.from] <= out->t_ms[out->n - 1])
        return chunk_walk_corrupt(w, "chunks of a series overlap", e);
    sample_columns_reserve(out, s.to - s.from);
    switch (block_reader_kind(w->reader, w->chunk)) {
    case CHUNK_DOUBLES:
        if (!append_values(c, &s, out, e))
            return false;
        break;
    case CHUNK_LINK:
        if (!append_hist(c, &s, out, e))
            return false;
        break;
    default:
        return chunk_walk_corrupt(w, "integers where values belong", e);
    }
    if ((c->flags & METRIC_PART_START) && !append_starts(c, &s, out, e))
        return false;
    if (!(c->flags & METRIC_PART_START) && out->has_start)
        memset(out->start_ms + out->n, 0, (s.to - s.from) * sizeof *out->start_ms);
    memcpy(out->t_ms + out->n, t_ms + s.from, (s.to - s.from) * sizeof *t_ms);
    out->n += s.to - s.from;
    return true;
}

bool metric_part_read(struct metric_part_cursor *c, uint32_t id, int64_t min_ms, int64_t max_ms,
                      struct sample_columns *out, struct err *e)
{
    struct chunk_walk *w = &c->values;
    size_t first = out->n;
    int r = chunk_walk_find(w, id, min_ms, max_ms, e);

    for (; r > 0 && chunk_walk_key(w).id == id; r = chunk_walk_next(w, min_ms, max_ms, e)) {
        if (append_chunk(c, min_ms, max_ms, first, out, e))
            continue;
        out->n = first;
        return false;
    }
    if (r < 0)
        out->n = first;
    return r >= 0;
}

int metric_part_next_id(struct metric_part_cursor *c, uint32_t *id, struct err *e)
{
    int r = chunk_walk_find(&c->values, *id, INT64_MIN, INT64_MAX, e);

    if (r > 0)
        *id = chunk_walk_key(&c->values).id;
    return r;
}

bool metric_part_verify(struct metric_part *p, struct budget *b, struct err *e)
{
    OWNED(metric_part_cursor_free)
    struct metric_part_cursor *c = metric_part_cursor_new(p, METRIC_PART_START | METRIC_PART_ONCE);
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(sample_columns_fini) struct sample_columns rows = { .arena = &a };
    uint64_t count = 0, series = 0;
    int r;

    if (!part_verify(p->part, e))
        return false;
    for (uint32_t id = 0; (r = metric_part_next_id(c, &id, e)) > 0; id++) {
        sample_columns_reset(&rows);
        arena_reset(&a);
        if (!metric_part_read(c, id, INT64_MIN, INT64_MAX, &rows, e))
            return false;
        count += rows.n;
        series++;
        if (b && !budget_step(b, rows.n + 1, e))
            return false;
        if (id == UINT32_MAX)
            break;
    }
    if (r < 0)
        return false;
    if (count != metric_part_info(p)->rows || series != metric_part_info(p)->series)
        return err_set(e, ERR_CORRUPT,
                       "part %s has %llu rows of %llu series, its footer says %llu of %llu",
                       metric_part_path(p), (unsigned long long)count, (unsigned long long)series,
                       (unsigned long long)metric_part_info(p)->rows,
                       (unsigned long long)metric_part_info(p)->series);
    return true;
}
