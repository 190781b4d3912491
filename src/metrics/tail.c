/*
 * tail.c - rows in memory: runs, permutations, reading by id.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/tail.h"

#include "base/bytes.h"
#include "base/hot.h"
#include "base/mem.h"
#include "base/sort.h"
#include "metrics/hist_blob.h"
#include "store/log_writer.h"

static_assert(sizeof(struct tail_chunk) == 8 + 16 * TAIL_CHUNK_ROWS, "16 bytes a row");

struct tail *tail_new(uint32_t shard, int64_t base_ms, uint64_t seq)
{
    struct tail *t = xcalloc(1, sizeof *t);

    atomic_init(&t->refs, 1);
    t->shard = shard;
    t->base_ms = base_ms;
    t->seq = seq;
    atomic_init(&t->min_ms, INT64_MAX);
    return t;
}

struct tail *tail_get(struct tail *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tail_put(struct tail *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < TAIL_CHUNKS_MAX; i++) {
        struct tail_chunk *c = atomic_load_explicit(&t->chunk[i], memory_order_relaxed);

        if (c)
            xfree(atomic_load_explicit(&c->order, memory_order_relaxed));
        xfree(c);
    }
    for (struct tail_runs *r = atomic_load_explicit(&t->runs, memory_order_relaxed); r;) {
        struct tail_runs *before = r->before;

        xfree(r);
        r = before;
    }
    arena_fini(&t->blobs);
    log_stream_put(t->stream);
    xfree(t);
}

/* ---- writing ---- */

// Not zeroed: pages that no row touches are never made.
struct tail_chunk *tail_chunk_new(struct tail *t, uint32_t index)
{
    struct tail_chunk *c = xmalloc(sizeof *c);

    assert(index < TAIL_CHUNKS_MAX);
    atomic_init(&c->order, NULL);
    atomic_store_explicit(&t->chunk[index], c, memory_order_relaxed);
    return c;
}

struct tail_blob *tail_blob_new(struct tail *t, size_t n)
{
    struct tail_blob *b = arena_raw(&t->blobs, sizeof *b + n);

    b->n = (uint32_t)n;
    atomic_store_explicit(&t->blob_bytes, t->blobs.taken_bytes, memory_order_relaxed);
    return b;
}

struct tail_start *tail_start_new(struct tail *t)
{
    struct tail_start *s = arena_raw(&t->blobs, sizeof *s);

    atomic_store_explicit(&t->blob_bytes, t->blobs.taken_bytes, memory_order_relaxed);
    return s;
}

void tail_publish(struct tail *t, uint64_t batch)
{
    uint32_t n = atomic_load_explicit(&t->run_count, memory_order_relaxed);
    struct tail_runs *r = atomic_load_explicit(&t->runs, memory_order_relaxed);

    if (!r || n - r->first == TAIL_RUNS_PER_BLOCK) {
        struct tail_runs *next = xcalloc(1, sizeof *next);

        next->before = r;
        next->first = n;
        next->batch_max_before = t->batch_max;
        r = next;
        // release; pairs with the acquire in view_rows
        atomic_store_explicit(&t->runs, r, memory_order_release);
    }
    r->run[n - r->first] = (struct tail_run){ batch, t->end };
    t->batch_max = MAX(t->batch_max, batch);
    atomic_store_explicit(&t->row_count, t->end, memory_order_relaxed);
    // release; pairs with the acquire in view_rows
    atomic_store_explicit(&t->run_count, n + 1, memory_order_release);
}

/* ---- what a snapshot sees ---- */

struct hidden {
    uint32_t from, to; // rows [from, to) are not seen
};
struct visible {
    uint32_t rows;    // published
    struct hidden *v; // ascending
    size_t n, cap;
};

static void hide(struct visible *out, uint32_t from, uint32_t to, struct arena *a)
{
    struct hidden *last = out->n ? &out->v[out->n - 1] : NULL;

    if (last && last->from == to) { // runs are walked backwards
        last->from = from;
        return;
    }
    if (out->n == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 8;
        struct hidden *v = arena_array(a, cap, struct hidden);

        if (out->n)
            memcpy(v, out->v, out->n * sizeof *v);
        out->v = v;
        out->cap = cap;
    }
    out->v[out->n++] = (struct hidden){ from, to };
}

static uint32_t run_start(const struct tail_runs *r, uint32_t i)
{
    if (i > r->first)
        return r->run[i - 1 - r->first].end;
    return r->before ? r->before->run[TAIL_RUNS_PER_BLOCK - 1].end : 0;
}

// Walks the runs backwards until all earlier batches were complete before the snapshot.
static struct visible view_rows(struct tail *t, const struct batch_view *view, struct arena *a)
{
    struct visible out = { 0 };
    uint32_t n = atomic_load_explicit(&t->run_count, memory_order_acquire);
    struct tail_runs *r = atomic_load_explicit(&t->runs, memory_order_acquire);

    while (r && r->first >= n)
        r = r->before;
    if (!r)
        return out;
    out.rows = r->run[n - 1 - r->first].end;
    for (; r; n = r->first, r = r->before) {
        for (uint32_t i = n; i-- > r->first;) {
            const struct tail_run *run = &r->run[i - r->first];

            if (!batch_is_visible(view, run->batch))
                hide(&out, run_start(r, i), run->end, a);
        }
        if (r->batch_max_before < view->low)
            break;
    }
    for (size_t i = 0; i < out.n / 2; i++) {
        struct hidden h = out.v[i];

        out.v[i] = out.v[out.n - 1 - i];
        out.v[out.n - 1 - i] = h;
    }
    return out;
}

struct tail_visible tail_visible(struct tail *t, const struct batch_view *view)
{
    struct tail_visible out = { 0 };
    uint32_t n = atomic_load_explicit(&t->run_count, memory_order_acquire);
    struct tail_runs *r = atomic_load_explicit(&t->runs, memory_order_acquire);

    while (r && r->first >= n)
        r = r->before;
    if (!r)
        return out;
    out.rows = out.published = r->run[n - 1 - r->first].end;
    for (; r; n = r->first, r = r->before) {
        for (uint32_t i = n; i-- > r->first;) {
            if (!batch_is_visible(view, r->run[i - r->first].batch))
                out.rows = run_start(r, i);
        }
        if (r->batch_max_before < view->low)
            break;
    }
    return out;
}

static bool is_of_one_kind(const struct tail *t, uint32_t from, uint32_t to)
{
    enum tail_kind kind = TAIL_KIND(tail_row_id(t, from));

    for (uint32_t i = from + 1; i < to; i++) {
        if (TAIL_KIND(tail_row_id(t, i)) != kind)
            return false;
    }
    return true;
}

uint32_t tail_replay_row(struct tail *t, uint32_t row)
{
    uint32_t n = atomic_load_explicit(&t->run_count, memory_order_acquire), from;
    struct tail_runs *r = atomic_load_explicit(&t->runs, memory_order_acquire);

    while (r && r->first >= n)
        r = r->before;
    if (!r || row >= r->run[n - 1 - r->first].end)
        return row;
    while (r->first && run_start(r, r->first) > row)
        r = r->before;
    for (n = MIN(n, r->first + TAIL_RUNS_PER_BLOCK) - 1; n > r->first && run_start(r, n) > row;)
        n--;
    from = run_start(r, n);
    return from == row || is_of_one_kind(t, from, r->run[n - r->first].end) ? row : from;
}

static bool is_hidden_in(const struct visible *v, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->v[i].from < to && v->v[i].to > from)
            return true;
    }
    return false;
}

/* ---- permutations ---- */

// Stable counting sort by bytes of the id: rows[0..n) become ordered by (id, row).
static void sort_rows(const uint32_t *id, uint16_t *rows, uint32_t n, uint16_t *scratch)
{
    uint32_t all_or = 0, all_and = UINT32_MAX;

    for (uint32_t i = 0; i < n; i++) {
        all_or |= TAIL_ID(id[rows[i]]);
        all_and &= id[rows[i]];
    }
    for (unsigned shift = 0; shift < TAIL_ID_BITS; shift += 10) {
        uint32_t count[1025] = { 0 };

        if (((all_or ^ (all_and & all_or)) >> shift & 1023) == 0)
            continue;
        for (uint32_t i = 0; i < n; i++)
            count[(TAIL_ID(id[rows[i]]) >> shift & 1023) + 1]++;
        for (unsigned d = 0; d < 1024; d++)
            count[d + 1] += count[d];
        for (uint32_t i = 0; i < n; i++)
            scratch[count[TAIL_ID(id[rows[i]]) >> shift & 1023]++] = rows[i];
        memcpy(rows, scratch, n * sizeof *rows);
    }
}

// The permutation of a full chunk, made by whoever needs it first.
static const uint16_t *chunk_order(struct tail_chunk *c)
{
    uint16_t *order = atomic_load_explicit(&c->order, memory_order_acquire), *none = NULL;
    OWNED(xfree) void *scratch = NULL;

    if (order)
        return order;
    order = xmalloc(TAIL_CHUNK_ROWS * sizeof *order);
    scratch = xmalloc(TAIL_CHUNK_ROWS * sizeof *order);
    for (uint32_t i = 0; i < TAIL_CHUNK_ROWS; i++)
        order[i] = (uint16_t)i;
    sort_rows(c->id, order, TAIL_CHUNK_ROWS, scratch);
    // release; pairs with the acquire above in other readers
    if (atomic_compare_exchange_strong_explicit(&c->order, &none, order, memory_order_acq_rel,
                                                memory_order_acquire))
        return order;
    xfree(order);
    return none;
}

enum { FILTER_ROWS = 64 }; // looked at together

struct wanted {
    const uint64_t *bits; // NULL: all ids
    uint32_t id_end;      // no bit is set from here on, but there is one
    uint32_t low, high;   // of the ids wanted; low > high: none
};

static struct wanted wanted_of(const uint64_t *bits, uint32_t id_end)
{
    struct wanted w = { bits, id_end, 0, UINT32_MAX };
    uint32_t words = id_end / 64 + 1, first = 0;

    if (!bits)
        return w;
    while (first < words && !bits[first])
        first++;
    if (first == words)
        return (struct wanted){ bits, id_end, 1, 0 };
    while (!bits[words - 1])
        words--;
    w.low = first * 64 + (uint32_t)__builtin_ctzll(bits[first]);
    w.high = words * 64 - 1 - (uint32_t)__builtin_clzll(bits[words - 1]);
    return w;
}

HOT_CLONES
static bool any_between(const uint32_t *id, uint32_t low, uint32_t high)
{
    uint32_t any = 0, span = high - low;

    for (size_t i = 0; i < FILTER_ROWS; i++) {
        uint32_t above = TAIL_ID(id[i]) - low;

        any |= MIN(above, span) == above;
    }
    return any;
}

// Notes the rows [from, to) that are wanted; without branches, as about each row is a surprise.
static size_t pick_some(const uint32_t *id, uint32_t from, uint32_t to, const struct wanted *w,
                        uint16_t *rows)
{
    size_t n = 0;

    for (uint32_t i = from; i < to; i++) {
        uint32_t x = MIN(TAIL_ID(id[i]), w->id_end);

        rows[n] = (uint16_t)i;
        n += w->bits[x / 64] >> x % 64 & 1;
    }
    return n;
}

static size_t pick_stretch(const uint32_t *id, uint32_t from, uint32_t to, const struct wanted *w,
                           uint16_t *rows)
{
    size_t n = 0;

    if (!w->bits) {
        for (uint32_t i = from; i < to; i++)
            rows[n++] = (uint16_t)i;
        return n;
    }
    for (; from + FILTER_ROWS <= to; from += FILTER_ROWS)
        if (any_between(id + from, w->low, w->high))
            n += pick_some(id, from, from + FILTER_ROWS, w, rows + n);
    return n + pick_some(id, from, to, w, rows + n);
}

// The wanted, visible rows among the first n of a chunk whose row 0 is `base` of the tail.
static struct tail_reader_chunk pick_rows(const struct tail_chunk *c, uint32_t base, uint32_t n,
                                          const struct visible *vis, const struct wanted *w,
                                          struct arena *a)
{
    struct tail_reader_chunk out = { .chunk = c };
    uint16_t *rows = arena_raw(a, (n + 1) * sizeof *rows), *scratch;
    uint32_t at = 0;

    if (w->low > w->high)
        return out;
    for (size_t i = 0; i < vis->n && at < n; i++) {
        uint32_t from = MAX(vis->v[i].from, base) - base, to = MAX(vis->v[i].to, base) - base;

        if (from > at)
            out.n += (uint32_t)pick_stretch(c->id, at, MIN(from, n), w, rows + out.n);
        at = MAX(at, to);
    }
    if (at < n)
        out.n += (uint32_t)pick_stretch(c->id, at, n, w, rows + out.n);
    scratch = arena_raw(a, (out.n + 1) * sizeof *rows);
    sort_rows(c->id, rows, out.n, scratch);
    out.order = rows;
    return out;
}

void tail_reader_init(struct tail_reader *r, struct tail *t, const struct batch_view *view,
                      const uint64_t *want, uint32_t id_end, struct arena *a)
{
    struct visible vis = view_rows(t, view, a);
    struct wanted w = wanted_of(want, id_end);
    size_t chunks = (vis.rows + TAIL_CHUNK_ROWS - 1) / TAIL_CHUNK_ROWS;

    r->tail = t;
    r->n = chunks;
    r->v = arena_array(a, chunks, struct tail_reader_chunk);
    for (size_t i = 0; i < chunks; i++) {
        uint32_t base = (uint32_t)i * TAIL_CHUNK_ROWS;
        uint32_t n = MIN(vis.rows - base, (uint32_t)TAIL_CHUNK_ROWS);
        struct tail_chunk *c = atomic_load_explicit(&t->chunk[i], memory_order_relaxed);

        if (n == TAIL_CHUNK_ROWS && !is_hidden_in(&vis, base, base + n))
            r->v[i] = (struct tail_reader_chunk){ c, chunk_order(c), n, 0 };
        else
            r->v[i] = pick_rows(c, base, n, &vis, &w, a);
    }
}

// Places c->at at the first row with an id >= id; gallops forward from where it stands.
static void seek(struct tail_reader_chunk *c, uint32_t id)
{
    const uint32_t *ids = c->chunk->id;
    uint32_t low = c->at, step = 1;

    if (low && TAIL_ID(ids[c->order[low - 1]]) >= id)
        low = 0; // backwards: from the start
    while (low + step <= c->n && TAIL_ID(ids[c->order[low + step - 1]]) < id) {
        low += step;
        step *= 2;
    }
    uint32_t high = MIN(low + step, c->n); // the answer is in [low, high]
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (TAIL_ID(ids[c->order[mid]]) < id)
            low = mid + 1;
        else
            high = mid;
    }
    c->at = low;
}

static bool row_read(const struct tail *t, const struct tail_chunk *c, uint32_t at,
                     struct sample_columns *out, struct err *e)
{
    int64_t t_ms = t->base_ms + c->dt_ms[at];
    uint64_t value = c->value[at];

    switch (TAIL_KIND(c->id[at])) {
    case TAIL_FLOAT:
        sample_columns_push(out, t_ms, double_from_bits(value), NULL, 0);
        return true;
    case TAIL_START: {
        const struct tail_start *s = (const struct tail_start *)(uintptr_t)value;

        sample_columns_push(out, t_ms, double_from_bits(s->value), NULL, s->start_ms);
        return true;
    }
    case TAIL_HISTOGRAM: {
        const struct tail_blob *b = (const struct tail_blob *)(uintptr_t)value;
        const struct histogram *h;

        if (!hist_blob_read(str_of((const char *)b->p, b->n), out->arena, &h, e))
            return false;
        sample_columns_push(out, t_ms, 0, h, 0);
        return true;
    }
    }
    return err_set(e, ERR_CORRUPT, "row of unknown kind in memory");
}

bool tail_reader_read(struct tail_reader *r, uint32_t id, int64_t min_ms, int64_t max_ms,
                      struct sample_columns *out, struct err *e)
{
    for (size_t i = 0; i < r->n; i++) {
        struct tail_reader_chunk *c = &r->v[i];

        for (seek(c, id); c->at < c->n; c->at++) {
            uint32_t at = c->order[c->at];
            int64_t t_ms = r->tail->base_ms + c->chunk->dt_ms[at];

            if (TAIL_ID(c->chunk->id[at]) != id)
                break;
            if (t_ms >= min_ms && t_ms <= max_ms && !row_read(r->tail, c->chunk, at, out, e))
                return false;
        }
    }
    return true;
}

/* ---- for flushing ---- */

struct tail_sorted tail_sort(struct tail *t, struct arena *a)
{
    uint32_t rows = atomic_load_explicit(&t->row_count, memory_order_acquire), id_end = 0;
    uint32_t *order = arena_raw(a, (size_t)rows * sizeof *order), *count;

    for (uint32_t i = 0; i < rows; i++)
        id_end = MAX(id_end, TAIL_ID(tail_row_id(t, i)) + 1);
    count = arena_array(a, (size_t)id_end + 1, uint32_t);
    for (uint32_t i = 0; i < rows; i++)
        count[TAIL_ID(tail_row_id(t, i)) + 1]++;
    for (uint32_t i = 0; i < id_end; i++)
        count[i + 1] += count[i];
    for (uint32_t i = 0; i < rows; i++)
        order[count[TAIL_ID(tail_row_id(t, i))]++] = i;
    return (struct tail_sorted){ order, rows };
}

bool tail_row_read(const struct tail *t, uint32_t row, struct sample_columns *out, struct err *e)
{
    const struct tail_chunk *c = atomic_load_explicit(&t->chunk[row / TAIL_CHUNK_ROWS],
                                                      memory_order_relaxed);

    return row_read(t, c, row % TAIL_CHUNK_ROWS, out, e);
}

/* ---- order of time ---- */

static int by_time(const void *a, const void *b, void *ctx)
{
    const struct sample_columns *c = ctx;
    int64_t x = c->t_ms[*(const uint32_t *)a], y = c->t_ms[*(const uint32_t *)b];

    return (x > y) - (x < y);
}

static bool ascends(const struct sample_columns *c, size_t from)
{
    for (size_t i = MAX(from, (size_t)1); i < c->n; i++) {
        if (c->t_ms[i] <= c->t_ms[i - 1])
            return false;
    }
    return true;
}

void columns_settle(struct sample_columns *c, size_t from, struct arena *scratch)
{
    struct arena_mark mark = arena_mark(scratch);
    struct sample_columns out = { .arena = c->arena };
    uint32_t *order;
    struct series_samples s;

    if (ascends(c, from))
        return;
    order = arena_array(scratch, c->n, uint32_t);
    for (size_t i = 0; i < c->n; i++)
        order[i] = (uint32_t)i;
    sort_stable(order, c->n, sizeof *order, by_time, c);
    s = sample_columns_view(c);
    for (size_t i = 0; i < c->n; i++) {
        uint32_t at = order[i];

        if (out.n && out.t_ms[out.n - 1] == s.t_ms[at])
            continue; // the first accepted wins
        sample_columns_push(&out, s.t_ms[at], s.value[at], s.hist ? s.hist[at] : NULL,
                            s.start_ms ? s.start_ms[at] : 0);
    }
    sample_columns_fini(c);
    *c = out;
    arena_release(scratch, mark);
}
