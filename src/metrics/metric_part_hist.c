/*
 * metric_part_hist.c - native histograms of one series as columns: one per bucket, and a few more.
 *
 * A record holds up to 512 rows of one schema and one set of custom bounds:
 *   u8 format (1), varint zigzag(schema), varint custom bounds, 8 bytes each
 *   varint layouts, each: u8 1 for integer counts; for positive, then negative buckets: varint
 *     spans, each varint zigzag(offset), varint length
 *   blocks of chunk_block.c until the end of the record, each behind its varint length
 *
 * The columns are chunks of n values with ascending ids: 0 layout of the row, 1 reset hint (both
 * integers), 2 count, 3 sum, 4 zero threshold, 5 zero count, and from 6 on one per bucket that
 * any layout has, positive ones by index, then negative ones. A row that lacks a bucket repeats
 * the value before; its layout tells. So new buckets and staleness markers cost little.
 *
 * A page: u32 records, u32 offset of each, records. The page's key is its first record's number.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/mem.h"
#include "metrics/metric_part_priv.h"

enum {
    RECORD_FORMAT = 1,
    LAYOUTS_MAX = 64,
    VALUES_MAX = 128 << 10, // buckets × rows of a record of several rows
    COLUMN_LAYOUT = 0,
    COLUMN_RESET,
    COLUMN_COUNT,
    COLUMN_SUM,
    COLUMN_ZERO_THRESHOLD,
    COLUMN_ZERO_COUNT,
    COLUMN_BUCKETS,
};

// The indexes of the buckets of one side, ascending.
struct side_set {
    int64_t *index;
    uint32_t n;
};

struct layout {
    bool integer;
    struct hist_side side[2]; // positive, negative; counts unused
    struct side_set set[2];
    int32_t *bucket_of[2]; // reading: from a column's place in the union to the bucket, −1
};

struct layouts {
    struct layout v[LAYOUTS_MAX];
    uint32_t n;
    struct side_set all[2]; // union
};

/* ---- layouts ---- */

// False: the spans overlap or make other than `buckets` buckets.
static bool spans_to_set(struct arena *a, const struct hist_side *s, struct side_set *out)
{
    int64_t at = 0;
    uint32_t n = 0;

    if (s->spans > HIST_SPANS_MAX || s->buckets > HIST_BUCKETS_MAX)
        return false;
    out->index = arena_raw(a, (s->buckets + 1u) * sizeof *out->index);
    for (uint32_t i = 0; i < s->spans; i++) {
        if ((i && s->span[i].offset < 0) || s->span[i].length > s->buckets - n)
            return false;
        at += s->span[i].offset;
        for (uint32_t k = 0; k < s->span[i].length; k++)
            out->index[n++] = at++;
    }
    out->n = n;
    return n == s->buckets;
}

static struct side_set union_of(struct arena *a, const struct side_set *x, const struct side_set *y)
{
    struct side_set out = { arena_raw(a, (x->n + y->n + 1u) * sizeof *out.index), 0 };

    for (uint32_t i = 0, k = 0; i < x->n || k < y->n;) {
        int64_t next;

        if (k == y->n || (i < x->n && x->index[i] <= y->index[k])) {
            next = x->index[i];
            k += k < y->n && y->index[k] == next;
            i++;
        } else {
            next = y->index[k++];
        }
        out.index[out.n++] = next;
    }
    return out;
}

static bool same_spans(const struct hist_side *x, const struct hist_side *y)
{
    return x->spans == y->spans && x->buckets == y->buckets &&
           (x->spans == 0 || memcmp(x->span, y->span, x->spans * sizeof *x->span) == 0);
}

static bool is_layout_of(const struct layout *l, const struct histogram *h)
{
    return l->integer == h->integer && same_spans(&l->side[0], &h->pos) &&
           same_spans(&l->side[1], &h->neg);
}

static uint32_t find_layout(const struct layouts *ls, const struct histogram *h)
{
    uint32_t i = ls->n;

    while (i-- > 0)
        if (is_layout_of(&ls->v[i], h))
            return i;
    return UINT32_MAX;
}

static bool fits(uint64_t buckets, uint64_t rows)
{
    return rows == 1 || buckets * rows <= VALUES_MAX;
}

// Adds one with its sets to the list and to the union; false: unsound, no room for it or its rows.
static bool add_layout(struct arena *a, struct layouts *ls, const struct layout *from,
                       uint64_t rows)
{
    if (ls->n == LAYOUTS_MAX)
        return false;
    struct layout *l = &ls->v[ls->n];
    struct side_set all[2];
    *l = *from;
    for (int s = 0; s < 2; s++) {
        if (!spans_to_set(a, &l->side[s], &l->set[s]))
            return false;
        all[s] = union_of(a, &ls->all[s], &l->set[s]);
    }
    if (!fits((uint64_t)all[0].n + all[1].n, rows))
        return false;
    ls->all[0] = all[0];
    ls->all[1] = all[1];
    ls->n++;
    return true;
}

static bool same_family(const struct histogram *x, const struct histogram *y)
{
    return x->schema == y->schema && x->custom_n == y->custom_n &&
           (x->custom_n == 0 || memcmp(x->custom, y->custom, x->custom_n * sizeof *x->custom) == 0);
}

// Collects the layouts of a prefix of h; the rows that go together.
static size_t collect(struct arena *a, struct layouts *ls, const struct histogram *const *h,
                      size_t n)
{
    size_t i = 0;

    ls->n = 0;
    ls->all[0] = ls->all[1] = (struct side_set){ 0 };
    for (; i < n && i < CHUNK_VALUES_MAX && same_family(h[0], h[i]); i++) {
        if (find_layout(ls, h[i]) == UINT32_MAX) {
            struct layout l = { .integer = h[i]->integer, .side = { h[i]->pos, h[i]->neg } };

            if (!add_layout(a, ls, &l, i + 1))
                break;
        } else if (!fits((uint64_t)ls->all[0].n + ls->all[1].n, i + 1)) {
            break;
        }
    }
    return i;
}

/* ---- writing ---- */

void hist_pages_init(struct hist_pages *h, struct part_writer *out)
{
    *h = (struct hist_pages){ .out = out };
}

void hist_pages_fini(struct hist_pages *h)
{
    block_builder_free(h->builder);
    buf_fini(&h->records);
    buf_fini(&h->page);
    buf_fini(&h->scratch);
    vec_fini(&h->offsets);
}

size_t hist_pages_fit(const struct histogram *const *h, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct layouts ls;

    return collect(&a, &ls, h, n);
}

static void put_side(struct buf *out, const struct hist_side *s)
{
    buf_varint(out, s->spans);
    for (uint32_t i = 0; i < s->spans; i++) {
        buf_varint(out, zigzag(s->span[i].offset));
        buf_varint(out, s->span[i].length);
    }
}

static void put_head(struct buf *out, const struct histogram *h, const struct layouts *ls)
{
    buf_char(out, RECORD_FORMAT);
    buf_varint(out, zigzag(h->schema));
    buf_varint(out, h->custom_n);
    buf_bytes(out, h->custom, h->custom_n * sizeof *h->custom);
    buf_varint(out, ls->n);
    for (uint32_t i = 0; i < ls->n; i++) {
        buf_char(out, ls->v[i].integer);
        put_side(out, &ls->v[i].side[0]);
        put_side(out, &ls->v[i].side[1]);
    }
}

static void flush_columns(struct hist_pages *p)
{
    struct buf *scratch = &p->scratch;

    buf_reset(scratch);
    block_builder_finish(p->builder, scratch);
    buf_varint(&p->records, scratch->n);
    buf_str(&p->records, buf_view(scratch));
}

static void put_column(struct hist_pages *p, uint32_t id, const void *v, size_t n)
{
    struct chunk_key key = { .id = id };

    if (!block_builder_has_room(p->builder, n))
        flush_columns(p);
    if (id <= COLUMN_RESET)
        block_builder_ints(p->builder, &key, v, n);
    else
        block_builder_doubles(p->builder, &key, v, n);
}

static void put_row_columns(struct hist_pages *p, const struct layouts *ls,
                            const struct histogram *const *h, size_t n)
{
    int64_t ints[CHUNK_VALUES_MAX];
    double v[CHUNK_VALUES_MAX];

    for (size_t i = 0; i < n; i++)
        ints[i] = find_layout(ls, h[i]);
    put_column(p, COLUMN_LAYOUT, ints, n);
    for (size_t i = 0; i < n; i++)
        ints[i] = h[i]->reset;
    put_column(p, COLUMN_RESET, ints, n);
    // By memcpy: the sum of a stale histogram is a signalling NaN.
    for (size_t i = 0; i < n; i++)
        memcpy(&v[i], &h[i]->count, sizeof *v);
    put_column(p, COLUMN_COUNT, v, n);
    for (size_t i = 0; i < n; i++)
        memcpy(&v[i], &h[i]->sum, sizeof *v);
    put_column(p, COLUMN_SUM, v, n);
    for (size_t i = 0; i < n; i++)
        memcpy(&v[i], &h[i]->zero_threshold, sizeof *v);
    put_column(p, COLUMN_ZERO_THRESHOLD, v, n);
    for (size_t i = 0; i < n; i++)
        memcpy(&v[i], &h[i]->zero_count, sizeof *v);
    put_column(p, COLUMN_ZERO_COUNT, v, n);
}

// One column per bucket of the union of one side; id: of the first.
static void put_buckets(struct hist_pages *p, const struct layouts *ls, int side, uint32_t id,
                        const struct histogram *const *h, size_t n)
{
    const struct side_set *all = &ls->all[side];
    double v[CHUNK_VALUES_MAX];
    uint32_t next[CHUNK_VALUES_MAX] = { 0 }; // per row: its first bucket not yet written
    const struct layout *of[CHUNK_VALUES_MAX];

    for (size_t i = 0; i < n; i++)
        of[i] = &ls->v[find_layout(ls, h[i])];
    for (uint32_t c = 0; c < all->n; c++) {
        uint64_t bits = 0;

        for (size_t i = 0; i < n; i++) {
            const struct side_set *set = &of[i]->set[side];
            const double *count = side ? h[i]->neg.count : h[i]->pos.count;

            if (next[i] < set->n && set->index[next[i]] == all->index[c])
                memcpy(&bits, &count[next[i]++], sizeof bits);
            memcpy(&v[i], &bits, sizeof bits);
        }
        put_column(p, id + c, v, n);
    }
}

static bool flush_records(struct hist_pages *p, struct err *e)
{
    size_t n = p->offsets.n, head = 4 + 4 * n;

    if (n == 0)
        return true;
    buf_reset(&p->page);
    buf_le32(&p->page, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        buf_le32(&p->page, (uint32_t)(head + p->offsets.v[i]));
    buf_str(&p->page, buf_view(&p->records));
    buf_reset(&p->records);
    vec_reset(&p->offsets);
    struct part_page_key key = { .key = p->number - n, .rows = (uint32_t)n };
    return part_writer_page(p->out, SECTION_HISTOGRAMS, &key, buf_view(&p->page), e);
}

bool hist_pages_add(struct hist_pages *p, const struct histogram *const *h, size_t n,
                    uint64_t *number, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct layouts ls;
    size_t taken = collect(&a, &ls, h, n);

    assert(n >= 1 && taken == n);
    if (!p->builder)
        p->builder = block_builder_new();
    *vec_push(&p->offsets) = (uint32_t)p->records.n;
    put_head(&p->records, h[0], &ls);
    put_row_columns(p, &ls, h, n);
    put_buckets(p, &ls, 0, COLUMN_BUCKETS, h, n);
    put_buckets(p, &ls, 1, COLUMN_BUCKETS + ls.all[0].n, h, n);
    flush_columns(p);
    *number = p->number++;
    return p->records.n < PART_PAGE_BYTES || flush_records(p, e);
}

bool hist_pages_finish(struct hist_pages *p, struct err *e)
{
    return flush_records(p, e);
}

/* ---- reading ---- */

void hist_reader_init(struct hist_reader *w, struct part *p, enum page_use use)
{
    *w = (struct hist_reader){ 0 };
    part_walk_init(&w->pages, p, SECTION_HISTOGRAMS, use);
}

void hist_reader_fini(struct hist_reader *w)
{
    block_reader_free(w->reader);
    page_put(w->page);
    part_walk_fini(&w->pages);
    arena_fini(&w->scratch);
}

static bool corrupt(const struct hist_reader *w, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "part %s: page at offset %llu: %s", part_path(w->pages.part),
                   (unsigned long long)w->pages.entry.offset, what);
}

static bool find_record(struct hist_reader *w, uint64_t number, struct bytes *out, struct err *e)
{
    const struct page *page;
    int r = part_walk_find(&w->pages, number, e);

    if (r <= 0)
        return r < 0 ? false
                     : err_set(e, ERR_CORRUPT, "part %s: histograms are missing",
                               part_path(w->pages.part));
    if (!w->page || w->page_number != w->pages.at) {
        if (!part_walk_page(&w->pages, &page, e))
            return false;
        page_put(w->page);
        w->page = page;
        w->page_number = w->pages.at;
    }
    struct bytes b = bytes_of(str_of((const char *)w->page->p, w->page->n));
    uint64_t n = bytes_le32(&b), i = number - w->pages.entry.key;
    if (n > bytes_left(&b) / 4 || number < w->pages.entry.key || i >= n)
        return corrupt(w, "no such histogram record", e);
    uint32_t from = get_le32(b.p + i * 4);
    uint32_t to = i + 1 < n ? get_le32(b.p + i * 4 + 4) : w->page->n;
    if (from > to || to > w->page->n)
        return corrupt(w, "damaged directory of histograms", e);
    *out = bytes_of(str_of((const char *)w->page->p + from, to - from));
    return true;
}

static bool get_side(struct arena *a, struct bytes *b, struct hist_side *out, uint64_t buckets_max)
{
    uint64_t spans = bytes_varint(b), buckets = 0;

    if (spans > HIST_SPANS_MAX || spans > bytes_left(b) / 2)
        return false;
    struct hist_span *span = arena_raw(a, spans * sizeof *span);
    for (uint64_t i = 0; i < spans; i++) {
        int64_t offset = unzigzag(bytes_varint(b));
        uint64_t length = bytes_varint(b);

        if (b->bad || offset < INT32_MIN || offset > INT32_MAX || length > buckets_max - buckets)
            return false;
        buckets += length;
        span[i] = (struct hist_span){ (int32_t)offset, (uint32_t)length };
    }
    *out = (struct hist_side){ .span = span,
                               .spans = (uint32_t)spans,
                               .buckets = (uint32_t)buckets };
    return !b->bad;
}

struct record {
    int32_t schema;
    uint32_t custom_n;
    const double *custom;
    struct layouts layouts;
};

// Spans and bounds go to `keep`, where the histograms will be, the rest to `scratch`.
static bool get_head(struct hist_reader *w, struct bytes *b, struct arena *keep, size_t rows,
                     struct record *out)
{
    unsigned format = bytes_u8(b);
    int64_t schema = unzigzag(bytes_varint(b));
    uint64_t custom = bytes_varint(b);
    uint64_t buckets_max = rows == 1 ? HIST_BUCKETS_MAX : VALUES_MAX / rows;

    if (b->bad || format != RECORD_FORMAT || schema < INT32_MIN || schema > INT32_MAX ||
        custom > bytes_left(b) / 8 || custom > HIST_BUCKETS_MAX)
        return false;
    out->schema = (int32_t)schema;
    out->custom_n = (uint32_t)custom;
    struct str bounds = bytes_take(b, custom * 8);
    out->custom = custom ? arena_copy(keep, bounds.p, bounds.n) : NULL;
    uint64_t layouts = bytes_varint(b);
    if (b->bad || layouts < 1 || layouts > LAYOUTS_MAX || layouts > rows)
        return false;
    out->layouts.n = 0;
    out->layouts.all[0] = out->layouts.all[1] = (struct side_set){ 0 };
    for (uint64_t i = 0; i < layouts; i++) {
        struct layout l = { 0 };
        unsigned integer = bytes_u8(b);

        l.integer = integer;
        if (integer > 1 || !get_side(keep, b, &l.side[0], buckets_max) ||
            !get_side(keep, b, &l.side[1], buckets_max) ||
            !add_layout(&w->scratch, &out->layouts, &l, rows))
            return false;
    }
    return true;
}

static void invert_sides(struct arena *a, struct layouts *ls)
{
    for (struct layout *l = ls->v; l < ls->v + ls->n; l++) {
        for (int s = 0; s < 2; s++) {
            uint32_t at = 0;

            l->bucket_of[s] = arena_raw(a, (ls->all[s].n + 1u) * sizeof *l->bucket_of[s]);
            for (uint32_t c = 0; c < ls->all[s].n; c++) {
                bool has = at < l->set[s].n && l->set[s].index[at] == ls->all[s].index[c];

                l->bucket_of[s][c] = has ? (int32_t)at++ : -1;
            }
        }
    }
}

struct rows {        // being made
    size_t n;        // of the record
    size_t from, to; // wanted
    struct histogram *h;
    double **count[2]; // per wanted row and side: where its buckets go
    const struct layout **layout;
};

static bool set_layouts(struct arena *a, const struct record *record, struct rows *r,
                        const int64_t *v)
{
    for (size_t i = r->from; i < r->to; i++) {
        struct histogram *h = &r->h[i - r->from];

        if (v[i] < 0 || v[i] >= record->layouts.n)
            return false;
        const struct layout *l = &record->layouts.v[v[i]];
        r->layout[i - r->from] = l;
        h->schema = record->schema;
        h->custom = record->custom;
        h->custom_n = record->custom_n;
        h->integer = l->integer;
        h->pos = l->side[0];
        h->neg = l->side[1];
        for (int s = 0; s < 2; s++)
            r->count[s][i - r->from] = arena_raw(a, l->side[s].buckets * sizeof(double));
        h->pos.count = r->count[0][i - r->from];
        h->neg.count = r->count[1][i - r->from];
    }
    return true;
}

static bool set_resets(struct rows *r, const int64_t *v)
{
    for (size_t i = r->from; i < r->to; i++) {
        if (v[i] < HIST_RESET_UNKNOWN || v[i] > HIST_RESET_GAUGE)
            return false;
        r->h[i - r->from].reset = (enum hist_reset)v[i];
    }
    return true;
}

static void set_column(struct rows *r, const struct record *record, uint32_t id, const double *v)
{
    uint32_t positives = record->layouts.all[0].n, bucket = id - COLUMN_BUCKETS;
    int side = id >= COLUMN_BUCKETS && bucket >= positives;

    bucket -= side ? positives : 0;
    for (size_t i = r->from; i < r->to; i++) {
        struct histogram *h = &r->h[i - r->from];
        void *to;

        if (id == COLUMN_COUNT) {
            to = &h->count;
        } else if (id == COLUMN_SUM) {
            to = &h->sum;
        } else if (id == COLUMN_ZERO_THRESHOLD) {
            to = &h->zero_threshold;
        } else if (id == COLUMN_ZERO_COUNT) {
            to = &h->zero_count;
        } else {
            int32_t at = r->layout[i - r->from]->bucket_of[side][bucket];

            if (at < 0)
                continue;
            to = &r->count[side][i - r->from][at];
        }
        memcpy(to, &v[i], sizeof *v);
    }
}

// All columns of the blocks; they must be those that the layouts want, each once.
static bool get_columns(struct hist_reader *w, struct bytes *b, struct arena *a,
                        const struct record *record, struct rows *r)
{
    int64_t ints[CHUNK_VALUES_MAX];
    double v[CHUNK_VALUES_MAX];
    uint64_t next = 0,
             want = (uint64_t)COLUMN_BUCKETS + record->layouts.all[0].n + record->layouts.all[1].n;

    while (bytes_left(b)) {
        uint64_t bytes = bytes_varint(b);
        struct str block = bytes_take(b, MIN(bytes, (uint64_t)SIZE_MAX));

        if (b->bad || !block_reader_open(w->reader, (const uint8_t *)block.p, block.n))
            return false;
        for (size_t c = 0; c < block_reader_chunks(w->reader); c++, next++) {
            if (next >= want || block_reader_key(w->reader, c).id != next ||
                block_reader_values(w->reader, c) != r->n)
                return false;
            if (next <= COLUMN_RESET) {
                if (!block_reader_ints(w->reader, c, ints) ||
                    !(next == COLUMN_LAYOUT ? set_layouts(a, record, r, ints)
                                            : set_resets(r, ints)))
                    return false;
                continue;
            }
            if (!block_reader_doubles(w->reader, c, v))
                return false;
            set_column(r, record, (uint32_t)next, v);
        }
    }
    return next == want;
}

bool hist_reader_read(struct hist_reader *w, uint64_t number, const struct row_slice *s,
                      struct arena *a, const struct histogram **out, struct err *e)
{
    struct bytes b;
    struct record record;
    struct rows r = { .n = s->n, .from = s->from, .to = s->to };
    size_t rows = s->to - s->from;

    assert(s->from < s->to && s->to <= s->n && s->n <= CHUNK_VALUES_MAX);
    if (!find_record(w, number, &b, e))
        return false;
    if (!w->reader)
        w->reader = block_reader_new();
    arena_reset(&w->scratch);
    if (!get_head(w, &b, a, s->n, &record))
        return corrupt(w, "damaged head of a histogram record", e);
    invert_sides(&w->scratch, &record.layouts);
    r.h = arena_array(a, rows, struct histogram);
    r.layout = arena_array(&w->scratch, rows, const struct layout *);
    for (int side = 0; side < 2; side++)
        r.count[side] = arena_array(&w->scratch, rows, double *);
    if (!get_columns(w, &b, a, &record, &r))
        return corrupt(w, "damaged columns of a histogram record", e);
    for (size_t i = 0; i < rows; i++)
        out[i] = &r.h[i];
    return true;
}
