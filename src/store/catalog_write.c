/*
 * catalog_write.c - one segment file from any number of segments, ids kept.
 *
 * Sources have disjoint ascending ids, so positions of the result are those of the
 * sources one behind the other. Four passes, each streaming: pairs (values merged
 * in order, their postings copied, pair numbers remembered per source), label
 * order (each source is in order by itself; heads are compared by pair numbers),
 * series (blocks in order of position), fingerprints (sorted in rounds of bounded
 * size). Kept in memory: 4 bytes per pair of each source, 8 per series.
 *
 * The format is described at the head of segment.c.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/sort.h"
#include "store/catalog_priv.h"

enum { PRINTS_ROUND = 512 << 10 };

/* ---- pages ---- */

// A page of items; a table of offsets of every `group`-th item goes before them.
struct pages {
    struct part_writer *writer;
    enum segment_section section;
    uint32_t group; // 0: no table
    uint32_t count;
    uint64_t first; // key
    struct buf body, page;
    VEC(uint32_t) offset;
};

static void pages_init(struct pages *p, struct part_writer *w, enum segment_section section,
                       uint32_t group)
{
    *p = (struct pages){ .writer = w, .section = section, .group = group };
}

static void pages_fini(struct pages *p)
{
    buf_fini(&p->body);
    buf_fini(&p->page);
    vec_fini(&p->offset);
}
OWN_DEFINE_FINI(struct pages, pages_fini);

static bool pages_flush(struct pages *p, struct err *e)
{
    struct part_page_key key = { .key = p->first, .rows = p->count };
    size_t table = 4 + 4 * p->offset.n;

    if (p->count == 0)
        return true;
    buf_reset(&p->page);
    if (p->group) {
        buf_le32(&p->page, p->count);
        for (size_t i = 0; i < p->offset.n; i++)
            buf_le32(&p->page, p->offset.v[i] + (uint32_t)table);
    }
    buf_str(&p->page, buf_view(&p->body));
    if (!part_writer_page(p->writer, p->section, &key, buf_view(&p->page), e))
        return false;
    buf_reset(&p->body);
    vec_reset(&p->offset);
    p->count = 0;
    return true;
}

/*
 * Makes room for the next item; its bytes go to p->body. With a table the page ends only before an
 * item that begins a group. *new_group: the item does.
 */
static bool pages_item(struct pages *p, uint64_t key, bool *new_group, struct err *e)
{
    bool begins = p->group && p->count % p->group == 0;

    if (p->body.n >= PART_PAGE_BYTES - PART_PAGE_BYTES / 16 && (begins || !p->group))
        if (!pages_flush(p, e))
            return false;
    if (p->count == 0)
        p->first = key;
    if (begins)
        *vec_push(&p->offset) = (uint32_t)p->body.n;
    p->count++;
    *new_group = begins;
    return true;
}

/* ---- the build ---- */

struct name_range {
    uint32_t pair_first, pair_end;
};

struct source_state {
    const struct catalog_source *source;
    uint32_t base;                    // position of its first series in the result
    uint32_t *remap;                  // its pair → pair of the result
    struct segment_postings postings; // sealed
    struct segment_rows rows;         // sealed
    struct segment_keys keys;         // sealed
    struct segment_slices slices;     // sealed
};

struct lists { // a stream of packed lists
    struct pages pages;
    struct postings_encoder encoder;
    uint64_t end;
};

struct build {
    const struct catalog_write_options *o;
    struct part_writer *writer;
    struct source_state *source;
    uint32_t count; // series
    uint32_t pairs;
    VEC(struct name_range) names;
    uint32_t *rank; // by position
    // pairs
    struct pages symbols, names_pages;
    struct lists postings, any_lists;
    struct posset any; // series of the name at hand
    struct buf last;   // value before, for front coding
};

static void lists_fini(struct lists *s)
{
    pages_fini(&s->pages);
    postings_encoder_fini(&s->encoder);
}

static void build_fini(struct build *b)
{
    for (size_t i = 0; b->source && i < b->o->n; i++) {
        struct source_state *s = &b->source[i];
        xfree(s->remap);
        if (!s->source || !s->source->segment)
            continue;
        segment_postings_fini(&s->postings);
        segment_rows_fini(&s->rows);
        segment_keys_fini(&s->keys);
        segment_slices_fini(&s->slices);
    }
    xfree(b->source);
    xfree(b->rank);
    vec_fini(&b->names);
    pages_fini(&b->symbols);
    pages_fini(&b->names_pages);
    lists_fini(&b->postings);
    lists_fini(&b->any_lists);
    posset_fini(&b->any);
    buf_fini(&b->last);
    part_writer_close(b->writer);
}
OWN_DEFINE_FINI(struct build, build_fini);

static bool build_init(struct build *b, struct err *e)
{
    uint64_t count = 0;

    b->source = xcalloc(b->o->n, sizeof *b->source);
    for (size_t i = 0; i < b->o->n; i++) {
        struct source_state *s = &b->source[i];
        const struct catalog_source *from = &b->o->v[i];
        uint32_t pairs = from->live ? from->live->pair_count : segment_pair_count(from->segment);
        s->source = from;
        s->base = (uint32_t)count;
        s->remap = xcalloc(pairs, sizeof *s->remap);
        count += from->n;
        if (from->live)
            continue;
        segment_postings_init(&s->postings, from->segment, PAGE_ONCE);
        segment_rows_init(&s->rows, from->segment, PAGE_KEEP);
        segment_keys_init(&s->keys, from->segment, PAGE_ONCE);
        segment_slices_init(&s->slices, from->segment, PAGE_ONCE);
    }
    if (count >= UINT32_MAX)
        return err_set(e, ERR_LIMIT, "too many series for one segment");
    b->count = (uint32_t)count;
    b->rank = xcalloc(b->count, sizeof *b->rank);
    return true;
}

/* ---- pass 1: pairs ---- */

static bool lists_emit(void *ctx, struct str block, struct err *e)
{
    struct lists *s = ctx;
    bool unused;

    if (!pages_item(&s->pages, s->end, &unused, e))
        return false;
    buf_str(&s->pages.body, block);
    s->end += block.n;
    return true;
}

static void lists_init(struct lists *s, struct part_writer *w, enum segment_section section)
{
    pages_init(&s->pages, w, section, 0);
    s->encoder.emit = lists_emit;
    s->encoder.ctx = s;
}

// A list under way: the first position is held back, since lists of one are not packed.
struct list {
    struct lists *stream;
    uint64_t offset;
    uint32_t count, first;
};

static bool list_add(struct list *l, uint32_t first, uint32_t n, struct err *e)
{
    struct postings_encoder *c = &l->stream->encoder;

    if (l->count == 0) {
        l->first = first;
        l->count = 1;
        if (--n == 0)
            return true;
        first++;
    }
    if (l->count == 1 && !postings_encoder_run(c, l->first, 1, e))
        return false;
    l->count += n;
    return postings_encoder_run(c, first, n, e);
}

static bool list_block(struct build *b, struct list *l, uint32_t base,
                       const struct postings_block *block, struct err *e)
{
    if (!block->v) {
        struct postings_block run = { block->n, block->first + base, NULL };
        posset_add(&b->any, &run);
        return list_add(l, run.first, run.n, e);
    }
    for (uint32_t i = 0; i < block->n; i++) {
        posset_add_one(&b->any, block->v[i] + base);
        if (!list_add(l, block->v[i] + base, 1, e))
            return false;
    }
    return true;
}

static struct list list_begin(struct lists *s)
{
    postings_encoder_reset(&s->encoder);
    return (struct list){ .stream = s, .offset = s->end };
}

static bool list_end(const struct list *l, bool names, struct buf *out, struct err *e)
{
    if (l->count > 1 && !postings_encoder_end(&l->stream->encoder, e))
        return false;
    assert(l->count > 0);
    buf_varint(out, l->count);
    if (l->count == 1) {
        buf_varint(out, l->first);
        return true;
    }
    if (names)
        buf_varint(out, l->offset);
    buf_varint(out, l->stream->end - l->offset);
    return true;
}

static bool copy_postings(struct build *b, struct source_state *s, const struct segment_pair *pair,
                          struct list *l, struct err *e)
{
    struct postings_block block;
    int more;

    if (s->source->live) {
        uint32_t v[POSTINGS_BLOCK], n;
        struct live_iter it = live_iter(s->source->live, pair->pair, s->source->n);
        while ((n = live_iter_next(&it, v)) > 0)
            if (!list_block(b, l, s->base, &(struct postings_block){ n, v[0], v }, e))
                return false;
        return true;
    }
    if (!segment_postings_begin(&s->postings, pair, e))
        return false;
    while ((more = segment_postings_next(&s->postings, 0, &block, e)) > 0)
        if (!list_block(b, l, s->base, &block, e))
            return false;
    return more == 0;
}

static void put_value(struct build *b, struct str value, bool new_group)
{
    struct buf *out = &b->symbols.body;
    size_t shared = 0, most = MIN(value.n, b->last.n);

    if (new_group)
        buf_varint(out, b->postings.end);
    while (!new_group && shared < most && value.p[shared] == b->last.p[shared])
        shared++;
    buf_varint(out, shared);
    buf_varint(out, value.n - shared);
    buf_str(out, str_sub(value, shared, value.n));
    buf_reset(&b->last);
    buf_str(&b->last, value);
}

static bool put_pair(struct build *b, struct catalog_merge *m, struct err *e)
{
    bool new_group;

    if (b->pairs == UINT32_MAX - 1)
        return err_set(e, ERR_LIMIT, "too many label pairs for one segment");
    if (!pages_item(&b->symbols, b->pairs, &new_group, e))
        return false;
    put_value(b, m->value, new_group);
    struct list l = list_begin(&b->postings);
    for (size_t i = 0; i < m->n; i++) {
        if (!m->v[i].hit)
            continue;
        b->source[i].remap[m->v[i].pair.pair] = b->pairs;
        if (!copy_postings(b, &b->source[i], &m->v[i].pair, &l, e))
            return false;
    }
    b->pairs++;
    return list_end(&l, false, &b->symbols.body, e);
}

static bool put_any(struct build *b, struct buf *out, struct err *e)
{
    OWNED(xfree) void *room = NULL;

    posset_seal(&b->any);
    room = xmalloc((b->any.n + 1) * sizeof(uint32_t));
    uint32_t *v = room;
    size_t n = posset_list(&b->any, b->count, v);
    struct list l = list_begin(&b->any_lists);
    for (size_t i = 0; i < n; i++)
        if (!list_add(&l, v[i], 1, e))
            return false;
    return list_end(&l, true, out, e);
}

static bool put_name(struct build *b, struct catalog_merge *m, struct str name, struct err *e)
{
    struct name_range range = { b->pairs, 0 };
    bool unused;
    int more;

    posset_fini(&b->any);
    posset_init(&b->any, b->count);
    if (!catalog_merge_name(m, name, e))
        return false;
    while ((more = catalog_merge_next(m, e)) > 0)
        if (!put_pair(b, m, e))
            return false;
    range.pair_end = b->pairs;
    if (more < 0 || range.pair_end == range.pair_first)
        return more == 0;
    if (!pages_item(&b->names_pages, b->names.n, &unused, e))
        return false;
    *vec_push(&b->names) = range;
    struct buf *out = &b->names_pages.body;
    buf_varint(out, name.n);
    buf_str(out, name);
    buf_varint(out, range.pair_end - range.pair_first);
    return put_any(b, out, e);
}

static bool names_flush(struct build *b, struct err *e)
{
    struct pages *p = &b->names_pages;
    struct buf head = { 0 };

    buf_le32(&head, p->count); // a count, but no table
    buf_str(&head, buf_view(&p->body));
    buf_fini(&p->body);
    p->body = head;
    return pages_flush(p, e);
}

static bool write_pairs(struct build *b, struct err *e)
{
    OWNED(catalog_merge_fini) struct catalog_merge m;

    pages_init(&b->symbols, b->writer, SEGMENT_SYMBOLS, SEGMENT_GROUP);
    pages_init(&b->names_pages, b->writer, SEGMENT_NAMES, 0);
    lists_init(&b->postings, b->writer, SEGMENT_POSTINGS);
    lists_init(&b->any_lists, b->writer, SEGMENT_ANY);
    catalog_merge_init(&m, b->o->v, b->o->n, PAGE_ONCE);
    for (size_t i = 0; i < m.name_count; i++) {
        // Pages of names end here, because they carry their count.
        if (b->names_pages.body.n >= PART_PAGE_BYTES / 2 && !names_flush(b, e))
            return false;
        if (!put_name(b, &m, m.names[i], e))
            return false;
    }
    return (b->names_pages.count == 0 || names_flush(b, e)) && pages_flush(&b->symbols, e) &&
           pages_flush(&b->postings.pages, e) && pages_flush(&b->any_lists.pages, e);
}

/* ---- pairs of one series ---- */

struct row {
    VEC(uint32_t) v;
};

// Appends the pairs of the series as numbers of the result, ascending.
static bool read_row(struct source_state *s, uint32_t position, struct row *out, struct err *e)
{
    if (s->source->live) {
        struct live_record r = live_record(s->source->live, position);
        while (r.left)
            *vec_push(&out->v) = s->remap[live_record_next(&r)];
        return true;
    }
    if (!segment_rows_load(&s->rows, position, e))
        return false;
    for (size_t i = 0; i < s->rows.columns.n; i++) {
        uint32_t pair = segment_row_pair(&s->rows.columns.v[i], position % SEGMENT_BLOCK);
        if (pair != UINT32_MAX)
            *vec_push(&out->v) = s->remap[pair];
    }
    return true;
}

/* ---- pass 2: label order ---- */

struct rows_flat { // the pairs of all series of one source
    const uint32_t *v;
    const uint32_t *end; // of series i: v[end[i]]; it begins where the one before ends
};

static int pairs_cmp(const uint32_t *a, size_t na, const uint32_t *b, size_t nb)
{
    size_t n = MIN(na, nb);

    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return (na > nb) - (na < nb);
}

static int flat_cmp(const void *a, const void *b, void *ctx)
{
    const struct rows_flat *f = ctx;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    uint32_t from_i = i ? f->end[i - 1] : 0, from_k = k ? f->end[k - 1] : 0;

    return pairs_cmp(f->v + from_i, f->end[i] - from_i, f->v + from_k, f->end[k] - from_k);
}

static bool order_live(struct source_state *s, uint32_t *order, struct err *e)
{
    struct row all = { 0 };
    uint32_t n = s->source->n;
    uint32_t *end = xmalloc(n * sizeof *end);
    bool ok = true;

    for (uint32_t i = 0; i < n && ok; i++) {
        ok = read_row(s, i, &all, e);
        end[i] = (uint32_t)all.v.n;
        order[i] = i;
    }
    struct rows_flat flat = { all.v.v, end };
    if (ok)
        sort_stable(order, n, sizeof *order, flat_cmp, &flat);
    vec_fini(&all.v);
    xfree(end);
    return ok;
}

static bool order_sealed(struct source_state *s, uint32_t *order, struct err *e)
{
    uint32_t n = s->source->n;

    memset(order, 0xff, n * sizeof *order);
    for (uint32_t i = 0; i < n; i++) {
        struct segment_key key;
        if (!segment_keys_read(&s->keys, i, &key, e))
            return false;
        if (key.rank >= n || order[key.rank] != UINT32_MAX)
            return err_set(e, ERR_CORRUPT, "label order of a segment is not an order");
        order[key.rank] = i;
    }
    return true;
}

struct head { // the least series of one source that has no rank yet
    struct row row;
    uint32_t at;
};

static bool head_step(struct source_state *s, const uint32_t *order, struct head *h, struct err *e)
{
    vec_reset(&h->row.v);
    return h->at == s->source->n || read_row(s, order[h->at], &h->row, e);
}

static bool merge_orders(struct build *b, const uint32_t *order, struct head *head, struct err *e)
{
    for (size_t i = 0; i < b->o->n; i++)
        if (!head_step(&b->source[i], order + b->source[i].base, &head[i], e))
            return false;
    for (uint32_t rank = 0; rank < b->count; rank++) {
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < b->o->n; i++)
            if (head[i].at < b->source[i].source->n &&
                (least == SIZE_MAX || pairs_cmp(head[i].row.v.v, head[i].row.v.n,
                                                head[least].row.v.v, head[least].row.v.n) < 0))
                least = i;
        struct source_state *s = &b->source[least];
        b->rank[s->base + order[s->base + head[least].at++]] = rank;
        if (!head_step(s, order + s->base, &head[least], e))
            return false;
    }
    return true;
}

static bool compute_order(struct build *b, struct err *e)
{
    OWNED(xfree) void *room = xmalloc(b->count * sizeof(uint32_t));
    uint32_t *order = room;
    bool ok = true;

    for (size_t i = 0; i < b->o->n && ok; i++) {
        struct source_state *s = &b->source[i];
        ok = s->source->live ? order_live(s, order + s->base, e)
                             : order_sealed(s, order + s->base, e);
    }
    if (!ok)
        return false;
    if (b->o->n == 1) {
        for (uint32_t i = 0; i < b->count; i++)
            b->rank[order[i]] = i;
        return true;
    }
    struct head *head = xcalloc(b->o->n, sizeof *head);
    ok = merge_orders(b, order, head, e);
    for (size_t i = 0; i < b->o->n; i++)
        vec_fini(&head[i].row.v);
    xfree(head);
    return ok;
}

/* ---- pass 3: series ---- */

struct block {
    uint32_t rows;
    VEC(struct sort_pair) cell, scratch; // name → row << 32 | pair
    struct row row;
    uint32_t name_hint;
    struct segment_key key[SEGMENT_BLOCK];
    uint32_t slices[SEGMENT_BLOCK];
};

static void block_fini(struct block *k)
{
    vec_fini(&k->cell);
    vec_fini(&k->scratch);
    vec_fini(&k->row.v);
}
OWN_DEFINE_FINI(struct block, block_fini);

static uint32_t name_of(const struct build *b, uint32_t pair, uint32_t hint)
{
    uint32_t lo = 0, hi = (uint32_t)b->names.n;

    // Labels ascend, so that the name after the last one is a good guess.
    for (uint32_t i = hint; i < MIN(hint + 2, hi); i++)
        if (pair >= b->names.v[i].pair_first && pair < b->names.v[i].pair_end)
            return i;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->names.v[mid].pair_first <= pair)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void put_bitmap(struct buf *out, const struct sort_pair *cell, size_t n, uint32_t rows)
{
    uint8_t map[SEGMENT_BLOCK / 8] = { 0 };

    for (size_t i = 0; i < n; i++)
        map[cell[i].value >> 35] |= (uint8_t)(1u << (cell[i].value >> 32 & 7));
    buf_bytes(out, map, bits_bytes(rows, 1));
}

static size_t distinct(const uint32_t *v, size_t n, uint32_t *out)
{
    size_t kept = 0;

    memcpy(out, v, n * sizeof *v);
    sort_u32(out, n);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

static void to_indexes(uint32_t *v, size_t n, const uint32_t *dict, size_t count)
{
    for (size_t i = 0; i < n; i++) {
        size_t lo = 0, hi = count;
        while (hi - lo > 1) {
            size_t mid = lo + (hi - lo) / 2;
            if (dict[mid] <= v[i])
                lo = mid;
            else
                hi = mid;
        }
        v[i] = (uint32_t)lo;
    }
}

// One column: the cells of one name, ascending by row.
static void put_column(const struct build *b, struct buf *out, const struct sort_pair *cell,
                       size_t n, uint32_t rows)
{
    uint32_t v[SEGMENT_BLOCK], dict[SEGMENT_BLOCK], least = UINT32_MAX, most = 0;
    uint8_t sparse = n < rows ? COLUMN_SPARSE : 0;
    size_t count = 0;

    assert(n > 0 && n <= SEGMENT_BLOCK);
    for (size_t i = 0; i < n; i++) {
        v[i] = (uint32_t)cell[i].value;
        least = MIN(least, v[i]);
        most = MAX(most, v[i]);
    }
    for (size_t i = 0; i < n; i++)
        v[i] -= least;
    unsigned width = bits_width(most - least), index_width = 0;
    uint8_t kind = width ? COLUMN_PACKED : COLUMN_CONST;
    if (width > 2) {
        count = distinct(v, n, dict);
        index_width = bits_width((uint32_t)count - 1);
        if (2 + bits_bytes(count, width) + bits_bytes(n, index_width) < bits_bytes(n, width))
            kind = COLUMN_DICT;
    }
    buf_char(out, (char)(kind | sparse));
    if (sparse)
        put_bitmap(out, cell, n, rows);
    buf_varint(out, least - b->names.v[cell->key].pair_first);
    if (kind == COLUMN_DICT) {
        buf_char(out, (char)count);
        buf_char(out, (char)width);
        buf_bits(out, dict, count, width);
        to_indexes(v, n, dict, count);
        width = index_width;
    }
    if (kind != COLUMN_CONST) {
        buf_char(out, (char)width);
        buf_bits(out, v, n, width);
    }
}

static void put_rows(struct build *b, struct block *k, struct buf *out)
{
    size_t n = k->cell.n, columns = 0;
    uint64_t last = 0;

    vec_reset(&k->scratch);
    vec_reserve(&k->scratch, n);
    sort_pairs(k->cell.v, n, k->scratch.v);
    for (size_t i = 0; i < n; i++)
        columns += i == 0 || k->cell.v[i].key != k->cell.v[i - 1].key;
    buf_varint(out, columns);
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && k->cell.v[end].key == k->cell.v[i].key)
            end++;
        buf_varint(out, k->cell.v[i].key - last);
        last = k->cell.v[i].key;
        put_column(b, out, k->cell.v + i, end - i, k->rows);
        i = end;
    }
}

static void put_keys(const struct block *k, struct buf *out)
{
    uint32_t rank[SEGMENT_BLOCK], most = 0;
    bool same = true;

    for (uint32_t i = 0; i < k->rows; i++) {
        buf_le64(out, k->key[i].fingerprint.lo);
        buf_le64(out, k->key[i].fingerprint.hi);
        rank[i] = k->key[i].rank;
        most = MAX(most, rank[i]);
        same = same && k->key[i].shard == k->key[0].shard;
    }
    buf_char(out, !same);
    for (uint32_t i = 0; i < (same ? 1 : k->rows); i++)
        buf_char(out, (char)k->key[i].shard);
    buf_char(out, (char)bits_width(most));
    buf_bits(out, rank, k->rows, bits_width(most));
}

static void put_slices(const struct block *k, struct buf *out)
{
    bool same = true;

    for (uint32_t i = 1; i < k->rows; i++)
        same = same && k->slices[i] == k->slices[0];
    buf_char(out, !same);
    for (uint32_t i = 0; i < (same ? 1 : k->rows); i++)
        buf_le32(out, k->slices[i]);
}

static bool read_key(struct source_state *s, uint32_t position, struct segment_key *out,
                     struct err *e)
{
    if (!s->source->live)
        return segment_keys_read(&s->keys, position, out, e);
    out->fingerprint = live_fingerprint(s->source->live, position);
    out->shard = live_shard(s->source->live, position);
    return true;
}

static bool add_series(struct build *b, struct block *k, struct source_state *s, uint32_t position,
                       struct err *e)
{
    uint32_t row = k->rows, name = k->name_hint;

    vec_reset(&k->row.v);
    if (!read_row(s, position, &k->row, e) || !read_key(s, position, &k->key[row], e) ||
        !source_slices(s->source, position, b->o->slices, &s->slices, &k->slices[row], e))
        return false;
    k->key[row].rank = b->rank[s->base + position];
    for (size_t i = 0; i < k->row.v.n; i++) {
        uint32_t pair = k->row.v.v[i];
        name = name_of(b, pair, i ? name : 0);
        *vec_push(&k->cell) = (struct sort_pair){ name, (uint64_t)row << 32 | pair };
    }
    k->rows++;
    return true;
}

struct series_pages {
    struct pages rows, keys, slices;
};

static void series_pages_fini(struct series_pages *p)
{
    pages_fini(&p->rows);
    pages_fini(&p->keys);
    pages_fini(&p->slices);
}
OWN_DEFINE_FINI(struct series_pages, series_pages_fini);

static bool put_block(struct build *b, struct series_pages *p, struct block *k, uint32_t number,
                      struct err *e)
{
    bool unused;

    if (k->rows == 0)
        return true;
    if (!pages_item(&p->rows, number, &unused, e) || !pages_item(&p->keys, number, &unused, e) ||
        !pages_item(&p->slices, number, &unused, e))
        return false;
    put_rows(b, k, &p->rows.body);
    put_keys(k, &p->keys.body);
    put_slices(k, &p->slices.body);
    vec_reset(&k->cell);
    k->rows = 0;
    return true;
}

static bool write_series(struct build *b, struct err *e)
{
    OWNED(series_pages_fini) struct series_pages p = { 0 };
    OWNED(block_fini) struct block k = { 0 };
    uint32_t number = 0;

    pages_init(&p.rows, b->writer, SEGMENT_ROWS, 1);
    pages_init(&p.keys, b->writer, SEGMENT_KEYS, 1);
    pages_init(&p.slices, b->writer, SEGMENT_SLICES, 1);
    for (size_t i = 0; i < b->o->n; i++) {
        struct source_state *s = &b->source[i];
        for (uint32_t at = 0; at < s->source->n; at++) {
            if (!add_series(b, &k, s, at, e))
                return false;
            if (k.rows == SEGMENT_BLOCK && !put_block(b, &p, &k, number++, e))
                return false;
        }
    }
    return put_block(b, &p, &k, number, e) && pages_flush(&p.rows, e) && pages_flush(&p.keys, e) &&
           pages_flush(&p.slices, e);
}

/* ---- pass 4: fingerprints ---- */

static void put_prints(struct buf *out, const struct sort_pair *v, size_t n)
{
    uint32_t step[SEGMENT_BLOCK], position[SEGMENT_BLOCK], steps = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        step[i] = i ? (uint32_t)((v[i].key >> 32) - (v[i - 1].key >> 32)) : 0;
        position[i] = (uint32_t)v[i].key;
        steps |= step[i];
        most |= position[i];
    }
    buf_char(out, (char)n);
    buf_le32(out, (uint32_t)(v[0].key >> 32));
    buf_char(out, (char)bits_width(steps));
    buf_bits(out, step + 1, n - 1, bits_width(steps));
    buf_char(out, (char)bits_width(most));
    buf_bits(out, position, n, bits_width(most));
}

struct prints {
    VEC(struct sort_pair) v, scratch;
};

static void prints_fini(struct prints *p)
{
    vec_fini(&p->v);
    vec_fini(&p->scratch);
}
OWN_DEFINE_FINI(struct prints, prints_fini);

// Collects the series whose prefix is in [from, to).
static bool collect_prints(struct build *b, uint64_t from, uint64_t to, struct prints *out,
                           struct err *e)
{
    vec_reset(&out->v);
    for (size_t i = 0; i < b->o->n; i++) {
        struct source_state *s = &b->source[i];
        for (uint32_t at = 0; at < s->source->n; at++) {
            struct segment_key key;
            if (!read_key(s, at, &key, e))
                return false;
            uint64_t prefix = key.fingerprint.hi >> 32;
            if (prefix >= from && prefix < to)
                *vec_push(&out->v) = (struct sort_pair){ prefix << 32 | (s->base + at), 0 };
        }
    }
    return true;
}

static bool write_prints(struct build *b, struct err *e)
{
    OWNED(pages_fini) struct pages p;
    OWNED(prints_fini) struct prints all = { 0 };
    uint64_t rounds = b->count / PRINTS_ROUND + 1, span = (UINT64_C(1) << 32) / rounds + 1;
    bool unused;

    pages_init(&p, b->writer, SEGMENT_PRINTS, 1);
    for (uint64_t r = 0; r < rounds; r++) {
        if (!collect_prints(b, r * span, (r + 1) * span, &all, e))
            return false;
        vec_reserve(&all.scratch, all.v.n);
        sort_pairs(all.v.v, all.v.n, all.scratch.v);
        for (size_t i = 0; i < all.v.n; i += SEGMENT_BLOCK) {
            if (!pages_item(&p, all.v.v[i].key, &unused, e))
                return false;
            put_prints(&p.body, all.v.v + i, MIN(all.v.n - i, (size_t)SEGMENT_BLOCK));
        }
    }
    return pages_flush(&p, e);
}

/* ---- head page ---- */

static void put_runs(const struct build *b, struct buf *out, uint32_t *runs, uint32_t *id_end)
{
    uint64_t next = 0, run_first = 0;
    bool begun = false;

    *runs = 0;
    for (size_t i = 0; i < b->o->n; i++) {
        const struct catalog_source *s = &b->o->v[i];
        for (uint32_t at = 0; at < s->n; at++) {
            uint32_t id = source_id(s, at);
            if (begun && id == next) {
                next++;
                continue;
            }
            if (begun)
                buf_varint(out, next - run_first);
            buf_varint(out, begun ? id - next : 0);
            run_first = id;
            next = (uint64_t)id + 1;
            begun = true;
            (*runs)++;
        }
    }
    buf_varint(out, next - run_first);
    *id_end = (uint32_t)next;
}

static bool write_meta(struct build *b, struct catalog_segment *info, struct err *e)
{
    OWNED(buf_fini) struct buf head = { 0 };
    OWNED(buf_fini) struct buf ids = { 0 };
    uint32_t runs;

    put_runs(b, &ids, &runs, &info->id_end);
    info->id_first = source_id(&b->o->v[0], 0);
    buf_varint(&head, SEGMENT_VERSION);
    buf_varint(&head, b->o->final ? SEGMENT_FINAL : 0);
    buf_varint(&head, b->count);
    buf_varint(&head, b->pairs);
    buf_varint(&head, b->names.n);
    buf_varint(&head, runs);
    buf_str(&head, buf_view(&ids));
    return part_writer_page(b->writer, SEGMENT_META, &(struct part_page_key){ .rows = 1 },
                            buf_view(&head), e);
}

bool catalog_write(const struct catalog_write_options *o, struct catalog_segment *out,
                   struct err *e)
{
    OWNED(build_fini) struct build b = { .o = o };
    struct catalog_segment info = { .number = o->number };
    struct part_info part = { 0 };
    struct part_writer_options wo = {
        .path = o->path,
        .id = { .owner = o->place, .number = o->number, .epoch = o->epoch, .kind = PART_SEGMENT },
    };

    assert(o->n > 0);
    if (!part_writer_open(&b.writer, &wo, e) || !build_init(&b, e))
        return false;
    if (!write_pairs(&b, e) || !compute_order(&b, e) || !write_series(&b, e) ||
        !write_prints(&b, e) || !write_meta(&b, &info, e))
        return false;
    if (fault_hit("segment.write"))
        return err_os(e, "write segment %s", o->path);
    part.series = part.rows = b.count;
    if (!part_writer_finish(b.writer, &part, e))
        return false;
    info.bytes = part.bytes;
    info.crc = part.crc;
    info.series = b.count;
    *out = info;
    return true;
}
