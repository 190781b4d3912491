/*
 * metric_part_merge.c - several parts into one, series by series.
 *
 * Mostly the inputs' times follow each other: their rows are then simply joined. Where they
 * overlap, rows are merged by time, and of equal times the first input's row is kept.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "metrics/metric_part_priv.h"

struct input {
    struct metric_part_cursor *cursor;
    uint32_t id; // its next series
    bool ended;
    size_t at, end; // its rows of the series in work
};

struct merger {
    const struct metric_part_merge *m;
    struct metric_part_writer *out;
    struct input *input;
    uint32_t id_max;
    struct sample_columns rows, merged;
    struct arena arena;
};

static bool advance(struct merger *m, struct input *in, uint32_t from, struct err *e)
{
    in->id = from;
    int r = metric_part_next_id(in->cursor, &in->id, e);
    in->ended = r == 0 || in->id > m->id_max;
    return r >= 0;
}

static bool open_inputs(struct merger *m, struct err *e)
{
    for (size_t i = 0; i < m->m->inputs; i++) {
        struct input *in = &m->input[i];

        in->cursor = metric_part_cursor_new(m->m->input[i], METRIC_PART_START | METRIC_PART_ONCE);
        if (!advance(m, in, m->m->id_min, e))
            return false;
    }
    return true;
}

// False when all inputs have ended.
static bool least_id(const struct merger *m, uint32_t *id)
{
    bool any = false;

    for (size_t i = 0; i < m->m->inputs; i++) {
        const struct input *in = &m->input[i];

        if (in->ended || (any && in->id >= *id))
            continue;
        *id = in->id;
        any = true;
    }
    return any;
}

// Reads the rows of one series of all inputs, one after the other. *ascending: they already are.
static bool gather(struct merger *m, uint32_t id, bool *ascending, struct err *e)
{
    sample_columns_reset(&m->rows);
    arena_reset(&m->arena);
    *ascending = true;
    for (size_t i = 0; i < m->m->inputs; i++) {
        struct input *in = &m->input[i];

        in->at = in->end = m->rows.n;
        if (in->ended || in->id != id)
            continue;
        if (!metric_part_read(in->cursor, id, INT64_MIN, INT64_MAX, &m->rows, e))
            return false;
        if (m->m->cut)
            m->m->cut(m->m->ctx, i, id, &m->rows, in->at);
        in->end = m->rows.n;
        if (in->at && in->at < in->end && m->rows.t_ms[in->at] <= m->rows.t_ms[in->at - 1])
            *ascending = false;
        if (id == UINT32_MAX)
            in->ended = true;
        else if (!advance(m, in, id + 1, e))
            return false;
    }
    return true;
}

static void copy_row(struct sample_columns *to, const struct sample_columns *from, size_t i)
{
    sample_columns_push(to, from->t_ms[i], from->value[i], from->has_hist ? from->hist[i] : NULL,
                        from->has_start ? from->start_ms[i] : 0);
}

static void merge_rows(struct merger *m)
{
    const int64_t *t_ms = m->rows.t_ms;

    sample_columns_reset(&m->merged);
    for (;;) {
        struct input *first = NULL;

        for (struct input *in = m->input; in < m->input + m->m->inputs; in++)
            if (in->at < in->end && (!first || t_ms[in->at] < t_ms[first->at]))
                first = in;
        if (!first)
            return;
        size_t n = m->merged.n;
        if (n == 0 || m->merged.t_ms[n - 1] != t_ms[first->at])
            copy_row(&m->merged, &m->rows, first->at);
        first->at++;
    }
}

static bool merge_series(struct merger *m, struct err *e)
{
    uint32_t id;
    bool ascending;

    while (least_id(m, &id)) {
        if (!gather(m, id, &ascending, e))
            return false;
        if (m->m->budget && !budget_step(m->m->budget, m->rows.n + 1, e))
            return false;
        if (m->rows.n == 0)
            continue;
        if (!ascending)
            merge_rows(m);
        struct series_samples s = sample_columns_view(ascending ? &m->rows : &m->merged);
        if (!metric_part_writer_add(m->out, id, &s, e))
            return false;
    }
    return true;
}

/* ---- exemplars ---- */

struct exemplar_input {
    struct exemplar_walk walk;
    struct metric_part_exemplar x;
    bool ended;
};

static bool exemplar_step(const struct merger *m, struct exemplar_input *in, struct err *e)
{
    int r = exemplar_walk_next(&in->walk, &in->x, e);

    in->ended = r == 0 || in->x.id > m->id_max;
    return r >= 0;
}

static bool exemplar_is_before(const struct metric_part_exemplar *a,
                               const struct metric_part_exemplar *b)
{
    return a->id != b->id ? a->id < b->id : a->t_ms < b->t_ms;
}

static bool merge_exemplar_inputs(struct merger *m, struct exemplar_input *input, struct err *e)
{
    size_t n = m->m->inputs;
    struct metric_part_exemplar last = { 0 };
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        exemplar_walk_init(&input[i].walk, m->m->input[i]->part, PAGE_ONCE);
        int r = exemplar_walk_find(&input[i].walk, m->m->id_min, e);
        if (r < 0 || !exemplar_step(m, &input[i], e))
            return false;
    }
    for (;;) {
        struct exemplar_input *first = NULL;

        for (struct exemplar_input *in = input; in < input + n; in++)
            if (!in->ended && (!first || exemplar_is_before(&in->x, &first->x)))
                first = in;
        if (!first)
            return true;
        bool again = any && last.id == first->x.id && last.t_ms == first->x.t_ms;
        if (!again && first->x.id >= m->m->id_min) {
            if (!metric_part_writer_exemplar(m->out, &first->x, e))
                return false;
            last = first->x;
            any = true;
        }
        if (!exemplar_step(m, first, e))
            return false;
    }
}

static bool merge_exemplars(struct merger *m, struct err *e)
{
    struct exemplar_input *input = xcalloc(m->m->inputs, sizeof *input);
    bool ok = merge_exemplar_inputs(m, input, e);

    for (size_t i = 0; i < m->m->inputs; i++)
        if (input[i].walk.pages.part)
            exemplar_walk_fini(&input[i].walk);
    xfree(input);
    return ok;
}

bool metric_part_merge(const struct metric_part_merge *merge, struct metric_part_writer *w,
                       struct err *e)
{
    struct merger m = {
        .m = merge,
        .out = w,
        .id_max = merge->id_max ? merge->id_max : UINT32_MAX,
        .input = xcalloc(merge->inputs, sizeof *m.input),
    };

    m.rows.arena = m.merged.arena = &m.arena;
    bool ok = open_inputs(&m, e) && merge_series(&m, e) && merge_exemplars(&m, e);
    for (size_t i = 0; i < merge->inputs; i++)
        metric_part_cursor_free(m.input[i].cursor);
    xfree(m.input);
    sample_columns_fini(&m.rows);
    sample_columns_fini(&m.merged);
    arena_fini(&m.arena);
    return ok;
}
