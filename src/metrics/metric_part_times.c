/*
 * metric_part_times.c - the time columns of a part: each distinct run of timestamps stored once.
 *
 * A column has up to 512 timestamps; a chunk says (column, start) and takes its n from there. All
 * series of one target share columns, also those that come later (start > 0) or end earlier.
 * Columns that are not full may still grow at their end, since a reference says where it stops.
 *
 * Columns stay in memory until they pass TABLE_BYTES_MAX; then all are written and forgotten,
 * which costs a second copy of those that are met again, once per 4 M distinct timestamps.
 * On disk a column is a chunk of integers whose id is its number.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "metrics/metric_part_priv.h"

enum {
    TIME_STRIDE = 8,    // every eighth timestamp of a column can be found by its hash
    CANDIDATES_MAX = 8, // columns of one hash that are looked at
    PARTIAL_MIN = 64,   // shorter agreements are not worth a chunk of their own
    TABLE_BYTES_MAX = 32 << 20,
    CAP_MIN = 16,
};

struct match {
    uint32_t at; // in `columns`
    uint32_t start, n;
};

void time_table_init(struct time_table *t, struct part_writer *out)
{
    *t = (struct time_table){ .series_column = TIME_NONE };
    block_pages_init(&t->pages, out, SECTION_TIMES);
}

static void forget_columns(struct time_table *t)
{
    for (size_t i = 0; i < t->columns.n; i++)
        xfree(t->columns.v[i].t_ms);
    t->first += (uint32_t)t->columns.n;
    t->bytes = 0;
    t->series_column = TIME_NONE;
    vec_reset(&t->columns);
    map_reset(&t->index);
}

void time_table_fini(struct time_table *t)
{
    forget_columns(t);
    block_pages_fini(&t->pages);
    map_fini(&t->index);
    vec_fini(&t->columns);
}

static bool write_columns(struct time_table *t, struct err *e)
{
    for (size_t i = 0; i < t->columns.n; i++) {
        const struct time_column *c = &t->columns.v[i];
        uint32_t number = t->first + (uint32_t)i;

        if (!block_pages_room(&t->pages, number, c->t_ms[0], c->t_ms[c->n - 1], c->n, e))
            return false;
        // Each with a time key of its own: columns are never differences of each other.
        block_builder_ints(t->pages.builder, &(struct chunk_key){ .id = number, .time = number },
                           c->t_ms, c->n);
    }
    forget_columns(t);
    return true;
}

bool time_table_finish(struct time_table *t, struct err *e)
{
    return write_columns(t, e) && block_pages_finish(&t->pages, e);
}

/* ---- finding ---- */

// A timestamp that many columns share finds none of them any better for being entered again.
static bool is_crowded(const struct time_table *t, uint64_t hash)
{
    size_t at = map_first(&t->index, hash);

    for (int i = 0; i < CANDIDATES_MAX; i++)
        if (map_at(&t->index, hash, &at) == MAP_NONE)
            return false;
    return true;
}

static void index_from(struct time_table *t, uint32_t at, uint32_t from)
{
    const struct time_column *c = &t->columns.v[at];

    for (uint32_t i = (from + TIME_STRIDE - 1) / TIME_STRIDE * TIME_STRIDE; i < c->n;
         i += TIME_STRIDE) {
        uint64_t hash = hash_u64((uint64_t)c->t_ms[i]);

        if (!is_crowded(t, hash))
            map_add(&t->index, hash, at * (CHUNK_VALUES_MAX / TIME_STRIDE) + i / TIME_STRIDE);
    }
}

static uint32_t agreement(const int64_t *a, const int64_t *b, uint32_t n)
{
    uint32_t i = 0;

    if (memcmp(a, b, n * sizeof *a) == 0)
        return n;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

// How far the n times agree with a column from `start` on; 0: not at all.
static struct match match_at(const struct time_table *t, uint32_t at, uint32_t start,
                             const int64_t *t_ms, size_t n)
{
    const struct time_column *c = &t->columns.v[at];

    if (start >= c->n || c->t_ms[start] != t_ms[0])
        return (struct match){ at, start, 0 };
    return (struct match){
        at, start, agreement(c->t_ms + start, t_ms, (uint32_t)MIN(n, (size_t)c->n - start))
    };
}

static struct match match_anywhere(const struct time_table *t, uint32_t at, uint32_t hint,
                                   const int64_t *t_ms, size_t n)
{
    const struct time_column *c = &t->columns.v[at];
    uint32_t low = 0, high = c->n;

    if (hint < c->n && c->t_ms[hint] == t_ms[0])
        return match_at(t, at, hint, t_ms, n);
    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (c->t_ms[middle] < t_ms[0])
            low = middle + 1;
        else
            high = middle;
    }
    return match_at(t, at, low, t_ms, n);
}

// Whether a match is as good as it gets: it takes all, or the column to its full end.
static bool is_whole(const struct time_table *t, const struct match *m, size_t n)
{
    return m->n &&
           (m->n == n || m->start + m->n == CHUNK_VALUES_MAX ||
            (m->start + m->n == t->columns.v[m->at].n && t->columns.v[m->at].next != TIME_NONE));
}

// Ends at the end of a column that may grow: the rest of the times can be appended to it.
static bool can_grow(const struct time_table *t, const struct match *m)
{
    return m->n && m->start + m->n == t->columns.v[m->at].n;
}

static void better(struct match *best, const struct match *m)
{
    if (m->n > best->n)
        *best = *m;
}

// By hash: some timestamp of the first few is one of those indexed in a column.
static struct match match_hashed(const struct time_table *t, const int64_t *t_ms, size_t n)
{
    struct match best = { 0 };

    for (uint32_t j = 0; j < TIME_STRIDE && j < n; j++) {
        uint64_t hash = hash_u64((uint64_t)t_ms[j]);
        size_t at = map_first(&t->index, hash);
        uint32_t found;

        for (int tries = 0; tries < CANDIDATES_MAX; tries++) {
            found = map_at(&t->index, hash, &at);
            if (found == MAP_NONE)
                break;
            uint32_t column = found / (CHUNK_VALUES_MAX / TIME_STRIDE);
            uint32_t place = found % (CHUNK_VALUES_MAX / TIME_STRIDE) * TIME_STRIDE;
            if (place < j || t->columns.v[column].t_ms[place] != t_ms[j])
                continue;
            struct match m = match_at(t, column, place - j, t_ms, n);
            better(&best, &m);
            if (is_whole(t, &best, n))
                return best;
        }
    }
    return best;
}

static uint32_t in_memory(const struct time_table *t, uint32_t number)
{
    return number != TIME_NONE && number >= t->first ? number - t->first : TIME_NONE;
}

// What came next the last time, or where the series before began: right nearly always.
static struct match match_expected(const struct time_table *t, const int64_t *t_ms, size_t n,
                                   const struct time_place *before)
{
    uint32_t at, start = t->series_start;
    struct match best = { 0 };

    if (!before) {
        at = in_memory(t, t->series_column);
        return at == TIME_NONE ? best : match_anywhere(t, at, start, t_ms, n);
    }
    at = in_memory(t, before->column);
    if (at == TIME_NONE)
        return best;
    // Behind a gap the same column may go on.
    start = before->start + before->n;
    if (start < t->columns.v[at].n) {
        struct match m = match_anywhere(t, at, start, t_ms, n);
        better(&best, &m);
    }
    uint32_t next = in_memory(t, t->columns.v[at].next);
    if (next != TIME_NONE) {
        struct match m = match_anywhere(t, next, 0, t_ms, n);
        better(&best, &m);
    }
    return best;
}

/* ---- adding ---- */

static void append_times(struct time_table *t, uint32_t at, const int64_t *t_ms, uint32_t n)
{
    struct time_column *c = &t->columns.v[at];
    uint32_t from = c->n, cap = c->cap ? c->cap : CAP_MIN;

    while (cap < c->n + n)
        cap *= 2;
    if (cap != c->cap) {
        c->t_ms = xrealloc(c->t_ms, cap * sizeof *c->t_ms);
        t->bytes += (cap - c->cap) * sizeof *c->t_ms;
        c->cap = cap;
    }
    memcpy(c->t_ms + c->n, t_ms, n * sizeof *t_ms);
    c->n += n;
    index_from(t, at, from);
}

static void grow_column(struct time_table *t, struct match *m, const int64_t *t_ms, size_t n)
{
    uint32_t room = CHUNK_VALUES_MAX - t->columns.v[m->at].n;
    uint32_t more = (uint32_t)MIN(n - m->n, (size_t)room);

    append_times(t, m->at, t_ms + m->n, more);
    m->n += more;
}

static struct match new_column(struct time_table *t, const int64_t *t_ms, size_t n)
{
    struct match m = { (uint32_t)t->columns.n, 0, (uint32_t)MIN(n, (size_t)CHUNK_VALUES_MAX) };

    vec_push(&t->columns)->next = TIME_NONE;
    t->bytes += sizeof(struct time_column);
    append_times(t, m.at, t_ms, m.n);
    return m;
}

static struct match find_or_make(struct time_table *t, const int64_t *t_ms, size_t n,
                                 const struct time_place *before)
{
    struct match best = match_expected(t, t_ms, n, before);

    if (!is_whole(t, &best, n)) {
        struct match m = match_hashed(t, t_ms, n);
        better(&best, &m);
    }
    if (is_whole(t, &best, n))
        return best;
    if (can_grow(t, &best)) {
        grow_column(t, &best, t_ms, n);
        return best;
    }
    return best.n >= PARTIAL_MIN ? best : new_column(t, t_ms, n);
}

bool time_table_place(struct time_table *t, const int64_t *t_ms, size_t n,
                      const struct time_place *before, struct time_place *out, struct err *e)
{
    if (t->bytes >= TABLE_BYTES_MAX && !write_columns(t, e))
        return false;
    if (t->first + t->columns.n >= TIME_NONE)
        return err_set(e, ERR_LIMIT, "more than %u time columns in a part", TIME_NONE);
    struct match m = find_or_make(t, t_ms, n, before);
    *out = (struct time_place){ t->first + m.at, (uint16_t)m.start, (uint16_t)m.n };
    if (!before) {
        t->series_column = out->column;
        t->series_start = out->start;
    } else {
        uint32_t at = in_memory(t, before->column);

        if (at != TIME_NONE && at != m.at)
            t->columns.v[at].next = out->column;
    }
    return true;
}
