/*
 * segment.c - reading a sealed segment. catalog_write.c writes it.
 *
 * The file is a part container (part.c) of kind PART_SEGMENT with these sections.
 * Numbers are LEB128 ("v") unless a width is given. n series, positions 0 … n−1;
 * P pairs in the order of (name, value); lists as in postings.c.
 *
 *   META      one page, key 0: v version (1), v flags (1: slices are complete), v n, v P,
 *             v names, v runs, then per run of ids: v gap since the end of the last run, v length
 *   NAMES     key: index of the first name. u32 count; per name, ascending: v bytes, name,
 *             v pairs (≥ 1), list of the series that have it
 *   SYMBOLS   key: first pair. u32 count, u32 offset of each group of 16 in the page; per group:
 *             v offset in POSTINGS where lists of the group begin; per pair: v bytes shared with
 *             the value before (0 for the first of the group), v further bytes, bytes, list
 *             (a list here is without offset: the bytes before it in the group say it)
 *   POSTINGS  key: offset of the page's first byte in the stream of lists; blocks, uncut
 *   ANY       likewise, the lists of NAMES
 *   ROWS      key: first block. u32 count, u32 offset of each block; per block of 128 series:
 *             v columns; per column: v name index (minus that of the column before), u8 kind
 *             (0 const, 1 packed, 2 dictionary; +4: a bitmap of the rows that have it follows),
 *             v least value (pair − first pair of the name); packed: u8 width, numbers above the
 *             least; dictionary: u8 entries, u8 width, entries above the least, u8 width, indexes
 *   KEYS      likewise; per block: fingerprints (16 bytes each: lo, hi), u8 1: a byte of shard
 *             per series, 0: one for all; u8 width, ranks in label order
 *   SLICES    likewise; per block: u8 1: u32 per series, 0: one for all
 *   PRINTS    key: prefix << 32 | position of its first entry; entries sorted so, prefix being
 *             the upper 32 bits of hi. u32 count of blocks, u32 offset of each; per block of up
 *             to 128: u8 entries, u32 first prefix, u8 width, steps of prefix, u8 width, positions
 *
 * A list: v count (≥ 1); for one: v position; else, in NAMES: v offset in ANY, v bytes;
 * in SYMBOLS: v bytes.
 *
 * Checksums are the container's. Everything is checked again where it is read, so that
 * bytes made to deceive give wrong answers or ERR_CORRUPT, and nothing worse.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/segment.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

struct run {
    uint32_t position, id;
};

struct segment {
    atomic_uint refs;
    atomic_bool doomed;
    struct part *part;
    uint64_t uid;
    struct catalog_segment info;
    bool final;
    uint32_t count, pairs, names, runs;
    uint64_t postings_bytes, any_bytes;
    struct run *run;
    struct segment_name *name;
    struct arena arena; // names
};

static bool corrupt(const struct segment *s, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "segment %s: %s", part_path(s->part), what);
}

/* ---- opening ---- */

// One list as in NAMES and SYMBOLS; offset: where it begins if the list does not say.
static bool list_read(const struct segment *s, struct bytes *b, bool names, uint64_t *offset,
                      struct segment_pair *out)
{
    uint64_t count = bytes_varint(b), first = 0, bytes = 0;
    uint64_t all = names ? s->any_bytes : s->postings_bytes;

    if (count == 1) {
        first = bytes_varint(b);
    } else {
        if (names)
            *offset = bytes_varint(b);
        bytes = bytes_varint(b);
    }
    if (b->bad || count == 0 || count > s->count || first >= s->count || *offset > all ||
        bytes > all - *offset)
        return false;
    out->count = (uint32_t)count;
    out->first = (uint32_t)first;
    out->offset = *offset;
    out->any = names;
    *offset += bytes;
    return true;
}

static bool read_runs(struct segment *s, struct bytes *b)
{
    uint64_t id = s->info.id_first, position = 0;

    if (s->runs > bytes_left(b) / 2)
        return false;
    s->run = arena_array(&s->arena, s->runs, struct run);
    for (uint32_t i = 0; i < s->runs; i++) {
        uint64_t gap = bytes_varint(b), n = bytes_varint(b);
        if (b->bad || n == 0 || gap > UINT32_MAX || n > UINT32_MAX)
            return false;
        id += gap;
        s->run[i] = (struct run){ (uint32_t)position, (uint32_t)id };
        id += n;
        position += n;
        if (id > s->info.id_end || position > s->count)
            return false;
    }
    return position == s->count && bytes_left(b) == 0;
}

static bool read_meta(struct segment *s, struct err *e)
{
    struct part_walk w;
    OWNED(page_put) const struct page *page = NULL;

    part_walk_init(&w, s->part, SEGMENT_META, PAGE_ONCE);
    int there = part_walk_find(&w, 0, e);
    bool ok = there > 0 && part_walk_page(&w, &page, e);
    part_walk_fini(&w);
    if (!ok)
        return there == 0 ? corrupt(s, "has no head page", e) : false;
    struct bytes b = { page->p, page->p + page->n, false };
    uint64_t version = bytes_varint(&b);
    if (version != SEGMENT_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "segment %s: format version %" PRIu64 ", expected %d",
                       part_path(s->part), version, SEGMENT_VERSION);
    s->final = bytes_varint(&b) & SEGMENT_FINAL;
    uint64_t v[4];
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = bytes_varint(&b);
    if (b.bad || v[0] == 0 || v[0] >= UINT32_MAX || v[1] >= UINT32_MAX || v[2] > v[1] ||
        v[3] > v[0])
        return corrupt(s, "impossible counts", e);
    s->count = (uint32_t)v[0];
    s->pairs = (uint32_t)v[1];
    s->names = (uint32_t)v[2];
    s->runs = (uint32_t)v[3];
    return read_runs(s, &b) || corrupt(s, "ids are not understood", e);
}

static bool read_name(struct segment *s, struct bytes *b, uint32_t i, uint64_t *pairs)
{
    struct segment_name *name = &s->name[i];
    struct str text = bytes_take(b, bytes_varint(b));
    uint64_t n = bytes_varint(b), offset = 0;

    if (b->bad || text.n == 0 || n == 0 || *pairs + n > s->pairs || n > s->pairs ||
        (i > 0 && str_cmp(s->name[i - 1].text, text) >= 0))
        return false;
    name->text = arena_str(&s->arena, text);
    name->pair_first = (uint32_t)*pairs;
    name->pairs = (uint32_t)n;
    *pairs += n;
    return list_read(s, b, true, &offset, &name->any);
}

static bool read_names(struct segment *s, struct err *e)
{
    struct part_walk w;
    uint64_t pairs = 0;
    uint32_t i = 0;
    int more;

    // A name takes at least 5 bytes: what the section cannot hold is not allocated.
    if (s->names > part_section_bytes(s->part, SEGMENT_NAMES) / 5)
        return corrupt(s, "has fewer names than it says", e);
    s->name = arena_array(&s->arena, s->names, struct segment_name);
    part_walk_init(&w, s->part, SEGMENT_NAMES, PAGE_ONCE);
    for (more = part_walk_find(&w, 0, e); more > 0; more = part_walk_next(&w, e)) {
        OWNED(page_put) const struct page *page = NULL;
        if (!part_walk_page(&w, &page, e)) {
            more = -1;
            break;
        }
        struct bytes b = { page->p, page->p + page->n, false };
        bool ok = true;
        for (uint32_t n = bytes_le32(&b); n > 0 && ok; n--)
            ok = i < s->names && read_name(s, &b, i++, &pairs);
        if (!ok || bytes_left(&b)) {
            more = -1;
            corrupt(s, "names are not understood", e);
            break;
        }
    }
    part_walk_fini(&w);
    if (more < 0)
        return false;
    return (i == s->names && pairs == s->pairs) || corrupt(s, "names are missing", e);
}

bool segment_open(struct segment **out, const struct segment_options *o, struct err *e)
{
    OWNED(segment_put) struct segment *s = xcalloc(1, sizeof *s);
    struct part_id id = { .owner = o->place, .number = o->expect->number, .kind = PART_SEGMENT };

    atomic_init(&s->refs, 1);
    s->uid = o->uid;
    s->info = *o->expect;
    if (!part_open(&s->part, o->cache, o->path, &id, e))
        return false;
    const struct part_info *info = part_info(s->part);
    if (o->expect->bytes && (info->bytes != o->expect->bytes || info->crc != o->expect->crc))
        return corrupt(s, "is not the file that the manifest names", e);
    s->info.bytes = info->bytes;
    s->info.crc = info->crc;
    s->postings_bytes = part_section_bytes(s->part, SEGMENT_POSTINGS);
    s->any_bytes = part_section_bytes(s->part, SEGMENT_ANY);
    if (!read_meta(s, e) || !read_names(s, e))
        return false;
    s->final = s->final && !o->slices_stale;
    s->info.series = s->count;
    *out = TAKE(s);
    return true;
}

struct segment *segment_get(struct segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void segment_put(struct segment *s)
{
    assert(!s || atomic_load_explicit(&s->refs, memory_order_relaxed) > 0);
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (s->part && atomic_load_explicit(&s->doomed, memory_order_relaxed)) {
        struct err e;
        if (!file_remove(part_path(s->part), &e))
            log_warn("catalog", "replaced segment not removed", KV("path", part_path(s->part)),
                     KV_ERR(&e));
    }
    part_close(s->part);
    arena_fini(&s->arena);
    xfree(s);
}

void segment_doom(struct segment *s)
{
    atomic_store_explicit(&s->doomed, true, memory_order_relaxed); // the last put acquires
}

/* ---- figures and ids ---- */

const struct catalog_segment *segment_info(const struct segment *s)
{
    return &s->info;
}

uint64_t segment_uid(const struct segment *s)
{
    return s->uid;
}

bool segment_is_final(const struct segment *s)
{
    return s->final;
}

uint64_t segment_bytes(const struct segment *s)
{
    return sizeof *s + s->arena.taken_bytes;
}

uint32_t segment_count(const struct segment *s)
{
    return s->count;
}

uint32_t segment_pair_count(const struct segment *s)
{
    return s->pairs;
}

// The last run that begins at or before the key.
static const struct run *run_find(const struct segment *s, uint32_t key, bool by_id)
{
    uint32_t lo = 0, hi = s->runs;

    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((by_id ? s->run[mid].id : s->run[mid].position) <= key)
            lo = mid;
        else
            hi = mid;
    }
    return &s->run[lo];
}

uint32_t segment_id(const struct segment *s, uint32_t position)
{
    assert(position < s->count);
    const struct run *r = run_find(s, position, false);

    return r->id + (position - r->position);
}

uint32_t segment_position(const struct segment *s, uint32_t id)
{
    const struct run *r = run_find(s, id, true);
    uint32_t end = r + 1 < s->run + s->runs ? r[1].position : s->count;

    if (id < r->id)
        return r->position;
    return id - r->id < end - r->position ? r->position + (id - r->id) : end;
}

uint32_t segment_name_count(const struct segment *s)
{
    return s->names;
}

const struct segment_name *segment_name(const struct segment *s, uint32_t name)
{
    assert(name < s->names);
    return &s->name[name];
}

uint32_t segment_name_find(const struct segment *s, struct str text)
{
    uint32_t lo = 0, hi = s->names;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(s->name[mid].text, text);
        if (c == 0)
            return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return UINT32_MAX;
}

uint32_t segment_name_of_pair(const struct segment *s, uint32_t pair)
{
    uint32_t lo = 0, hi = s->names;

    assert(pair < s->pairs);
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->name[mid].pair_first <= pair)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* ---- cursors ---- */

static void cursor_init(struct segment_cursor *c, struct segment *s, enum segment_section section,
                        enum page_use use)
{
    *c = (struct segment_cursor){ .segment = s };
    part_walk_init(&c->walk, s->part, section, use);
}

static void cursor_fini(struct segment_cursor *c)
{
    page_put(c->page);
    part_walk_fini(&c->walk);
    c->page = NULL;
}

static bool damaged(const struct segment_cursor *c, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "segment %s: %s in the page at offset %" PRIu64,
                   part_path(c->segment->part), what, c->walk.entry.offset);
}

// Pins the page the walk stands on. group: items per offset in the table at its start, 0: bytes.
static bool cursor_load(struct segment_cursor *c, uint32_t group, struct err *e)
{
    uint32_t n;

    page_put(c->page);
    c->page = NULL;
    if (!part_walk_page(&c->walk, &c->page, e))
        return false;
    c->first = c->walk.entry.key;
    c->end = c->first + c->page->n;
    if (group == 0)
        return c->end >= c->first || damaged(c, "impossible key", e);
    n = c->page->n >= 4 ? get_le32(c->page->p) : 0;
    uint64_t offsets = ((uint64_t)n + group - 1) / group;
    c->end = c->first + n;
    if (n == 0 || 4 + 4 * offsets > c->page->n || c->end < c->first) {
        page_put(c->page);
        c->page = NULL;
        return damaged(c, "impossible count", e);
    }
    return true;
}

// Goes to the page that holds item `key`, which must exist.
static bool cursor_seek(struct segment_cursor *c, uint64_t key, uint32_t group, struct err *e)
{
    int there;

    if (c->page && c->first <= key && key < c->end)
        return true;
    there = c->page && c->end == key ? part_walk_next(&c->walk, e)
                                     : part_walk_find(&c->walk, key, e);
    if (there < 0 || (there > 0 && !cursor_load(c, group, e)))
        return false;
    if (there == 0 || key < c->first || key >= c->end)
        return corrupt(c->segment, "a page is missing", e);
    return true;
}

// Bytes of item i / group of the page, up to the next one.
static bool cursor_item(const struct segment_cursor *c, uint32_t i, uint32_t count,
                        struct bytes *out, struct err *e)
{
    const struct page *p = c->page;
    uint32_t from = get_le32(p->p + 4 + 4 * (size_t)i);
    uint32_t to = i + 1 < count ? get_le32(p->p + 8 + 4 * (size_t)i) : p->n;

    if (from < 4 + 4 * (uint64_t)count || to < from || to > p->n)
        return damaged(c, "impossible offset", e);
    *out = (struct bytes){ p->p + from, p->p + to, false };
    return true;
}

// Bytes of one block of series, and how many rows it has.
static bool cursor_block(struct segment_cursor *c, uint32_t block, struct bytes *out,
                         uint32_t *rows, struct err *e)
{
    *rows = MIN(c->segment->count - block * SEGMENT_BLOCK, (uint32_t)SEGMENT_BLOCK);
    return cursor_seek(c, block, 1, e) &&
           cursor_item(c, (uint32_t)(block - c->first), (uint32_t)(c->end - c->first), out, e);
}

/* ---- values ---- */

void segment_values_init(struct segment_values *c, struct segment *s, enum page_use use)
{
    *c = (struct segment_values){ 0 };
    cursor_init(&c->cursor, s, SEGMENT_SYMBOLS, use);
}

void segment_values_fini(struct segment_values *c)
{
    cursor_fini(&c->cursor);
    buf_fini(&c->text);
}

// Stands before the first pair of the group that holds this one.
static bool values_group(struct segment_values *c, uint32_t pair, struct err *e)
{
    struct segment_cursor *k = &c->cursor;
    struct bytes b;

    c->p = NULL;
    if (!cursor_seek(k, pair, SEGMENT_GROUP, e))
        return false;
    uint32_t i = (uint32_t)(pair - k->first) / SEGMENT_GROUP;
    uint32_t groups = (uint32_t)(k->end - k->first + SEGMENT_GROUP - 1) / SEGMENT_GROUP;
    if (!cursor_item(k, i, groups, &b, e))
        return false;
    c->offset = bytes_varint(&b);
    if (b.bad || c->offset > k->segment->postings_bytes)
        return damaged(k, "impossible group of values", e);
    c->p = b.p;
    c->at = (uint32_t)k->first + i * SEGMENT_GROUP;
    buf_reset(&c->text);
    return true;
}

bool segment_values_read(struct segment_values *c, struct err *e)
{
    struct segment_cursor *k = &c->cursor;

    assert(c->at < k->segment->pairs);
    if (!c->p || c->at >= k->end || (c->at - k->first) % SEGMENT_GROUP == 0)
        if (!values_group(c, c->at, e))
            return false;
    struct bytes b = { c->p, k->page->p + k->page->n, false };
    uint64_t shared = bytes_varint(&b);
    struct str more = bytes_take(&b, bytes_varint(&b));
    if (b.bad || shared > c->text.n || shared + more.n > CATALOG_LABEL_BYTES_MAX ||
        !list_read(k->segment, &b, false, &c->offset, &c->pair)) {
        c->p = NULL;
        return damaged(k, "impossible value", e);
    }
    c->text.n = shared;
    buf_str(&c->text, more);
    c->value = buf_view(&c->text);
    c->pair.pair = c->at++;
    c->p = b.p;
    return true;
}

bool segment_values_goto(struct segment_values *c, uint32_t pair, struct err *e)
{
    struct segment_cursor *k = &c->cursor;

    assert(pair <= k->segment->pairs);
    if (pair == k->segment->pairs) {
        c->at = pair;
        c->p = NULL;
        return true;
    }
    if (c->p && c->at == pair && pair < k->end)
        return true;
    bool near = c->p && c->at < pair && pair < k->end &&
                (c->at - k->first) / SEGMENT_GROUP == (pair - k->first) / SEGMENT_GROUP;
    if (!near && !values_group(c, pair, e))
        return false;
    while (c->at < pair)
        if (!segment_values_read(c, e))
            return false;
    return true;
}

bool segment_values_seek(struct segment_values *c, const struct segment_name *name,
                         struct str value, struct err *e)
{
    uint32_t lo = name->pair_first, hi = lo + name->pairs; // value of lo <= value, if not first

    while (value.n > 0 && hi - lo > SEGMENT_GROUP) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (!values_group(c, mid, e))
            return false;
        if (c->at <= lo) { // the group began earlier: take the next one
            uint32_t next = c->at + SEGMENT_GROUP;
            mid = (uint32_t)MIN((uint64_t)next, c->cursor.end);
            if (mid <= lo || mid >= hi)
                break;
            if (!values_group(c, mid, e))
                return false;
        }
        mid = c->at;
        if (!segment_values_read(c, e))
            return false;
        if (str_cmp(c->value, value) <= 0)
            lo = mid;
        else
            hi = mid;
    }
    if (!segment_values_goto(c, lo, e))
        return false;
    while (value.n > 0 && c->at < hi) {
        if (!segment_values_read(c, e))
            return false;
        if (str_cmp(c->value, value) >= 0)
            return segment_values_goto(c, c->at - 1, e);
    }
    return true;
}

/* ---- postings ---- */

void segment_postings_init(struct segment_postings *c, struct segment *s, enum page_use use)
{
    *c = (struct segment_postings){ 0 };
    cursor_init(&c->of_pairs, s, SEGMENT_POSTINGS, use);
    cursor_init(&c->of_names, s, SEGMENT_ANY, use);
}

void segment_postings_fini(struct segment_postings *c)
{
    cursor_fini(&c->of_pairs);
    cursor_fini(&c->of_names);
}

static bool postings_page(struct segment_postings *c, uint64_t offset, struct err *e)
{
    struct segment_cursor *k = c->cursor;

    if (!cursor_seek(k, offset, 0, e))
        return false;
    c->p = k->page->p + (offset - k->first);
    c->page_end = k->page->p + k->page->n;
    return true;
}

bool segment_postings_begin(struct segment_postings *c, const struct segment_pair *pair,
                            struct err *e)
{
    c->pair = *pair;
    c->cursor = pair->any ? &c->of_names : &c->of_pairs;
    c->state = (struct postings_state){ pair->count, 0, c->cursor->segment->count };
    return pair->count == 1 || postings_page(c, pair->offset, e);
}

int segment_postings_next(struct segment_postings *c, uint32_t from, struct postings_block *out,
                          struct err *e)
{
    if (c->state.left == 0)
        return 0;
    if (c->pair.count == 1) {
        c->state.left = 0;
        *out = (struct postings_block){ c->pair.first >= from, c->pair.first, NULL };
        return 1;
    }
    if (c->p == c->page_end && !postings_page(c, c->cursor->end, e))
        return -1;
    if (!postings_unpack(&c->state, &c->p, c->page_end, from, c->v, out)) {
        damaged(c->cursor, "impossible postings", e);
        return -1;
    }
    return 1;
}

/* ---- rows ---- */

void segment_rows_init(struct segment_rows *c, struct segment *s, enum page_use use)
{
    *c = (struct segment_rows){ .block = UINT32_MAX };
    cursor_init(&c->cursor, s, SEGMENT_ROWS, use);
}

void segment_rows_fini(struct segment_rows *c)
{
    cursor_fini(&c->cursor);
    vec_fini(&c->columns);
}

static bool column_dict(struct bytes *b, uint32_t present, struct segment_column *col)
{
    col->dict_count = bytes_u8(b);
    col->dict_width = bytes_u8(b);
    if (col->dict_count == 0 || col->dict_width > 32)
        return false;
    col->dict = (const uint8_t *)bytes_take(b, bits_bytes(col->dict_count, col->dict_width)).p;
    col->width = bytes_u8(b);
    if (b->bad || col->width > 8)
        return false;
    col->packed = (const uint8_t *)bytes_take(b, bits_bytes(present, col->width)).p;
    return !b->bad;
}

static bool column_parse(const struct segment *s, struct bytes *b, uint32_t rows, uint64_t *name,
                         struct segment_column *col)
{
    *name += bytes_varint(b);
    uint8_t kind = bytes_u8(b);
    uint32_t present = rows;

    if (b->bad || *name >= s->names || kind > (COLUMN_DICT | COLUMN_SPARSE))
        return false;
    if (kind & COLUMN_SPARSE) {
        struct str map = bytes_take(b, bits_bytes(rows, 1));
        col->present = (const uint8_t *)map.p;
        present = 0;
        for (size_t i = 0; i < map.n; i++)
            present += (uint32_t)__builtin_popcount((uint8_t)map.p[i]);
    }
    const struct segment_name *of = &s->name[*name];
    uint64_t base = bytes_varint(b);
    col->name = (uint32_t)*name;
    if (b->bad || base >= of->pairs)
        return false;
    col->base = of->pair_first + (uint32_t)base;
    col->end = of->pair_first + of->pairs;
    col->packed = b->p; // const: never read beyond its width of 0
    if ((kind & 3) == COLUMN_DICT)
        return column_dict(b, present, col);
    if ((kind & 3) == COLUMN_PACKED) {
        col->width = bytes_u8(b);
        if (b->bad || col->width > 32)
            return false;
        col->packed = (const uint8_t *)bytes_take(b, bits_bytes(present, col->width)).p;
    }
    return !b->bad && (kind & 3) != 3;
}

bool segment_rows_load(struct segment_rows *c, uint32_t position, struct err *e)
{
    const struct segment *s = c->cursor.segment;
    uint32_t block = position / SEGMENT_BLOCK;
    struct bytes b;
    uint64_t name = 0, last = 0;

    assert(position < s->count);
    if (c->block == block)
        return true;
    c->block = UINT32_MAX;
    if (!cursor_block(&c->cursor, block, &b, &c->rows, e))
        return false;
    uint64_t n = bytes_varint(&b);
    if (n > bytes_left(&b))
        return damaged(&c->cursor, "impossible block of series", e);
    vec_reset(&c->columns);
    for (uint64_t i = 0; i < n; i++) {
        if (!column_parse(s, &b, c->rows, &name, vec_push(&c->columns)) || (i > 0 && name == last))
            return damaged(&c->cursor, "impossible column", e);
        last = name;
    }
    c->block = block;
    return true;
}

// How many rows before this one are in the column; UINT32_MAX: the row is not.
static uint32_t column_rank(const uint8_t *present, uint32_t row)
{
    uint32_t n = 0;

    if (!(present[row / 8] >> (row % 8) & 1))
        return UINT32_MAX;
    for (uint32_t i = 0; i < row / 8; i++)
        n += (uint32_t)__builtin_popcount(present[i]);
    return n + (uint32_t)__builtin_popcount(present[row / 8] & ((1u << row % 8) - 1));
}

uint32_t segment_row_pair(const struct segment_column *col, uint32_t row)
{
    uint64_t pair = col->base;

    if (col->present && (row = column_rank(col->present, row)) == UINT32_MAX)
        return UINT32_MAX;
    uint32_t v = col->width ? bits_get(col->packed, row, col->width) : 0;
    if (col->dict) {
        if (v >= col->dict_count)
            return UINT32_MAX;
        v = bits_get(col->dict, v, col->dict_width);
    }
    pair += v;
    return pair < col->end ? (uint32_t)pair : UINT32_MAX;
}

/* ---- keys and slices ---- */

void segment_keys_init(struct segment_keys *c, struct segment *s, enum page_use use)
{
    *c = (struct segment_keys){ .block = UINT32_MAX };
    cursor_init(&c->cursor, s, SEGMENT_KEYS, use);
}

void segment_keys_fini(struct segment_keys *c)
{
    cursor_fini(&c->cursor);
}

static bool keys_block(struct segment_keys *c, uint32_t block, struct err *e)
{
    struct bytes b;
    uint32_t rows;

    c->block = UINT32_MAX;
    if (!cursor_block(&c->cursor, block, &b, &rows, e))
        return false;
    c->fingerprint = (const uint8_t *)bytes_take(&b, (size_t)rows * 16).p;
    bool each = bytes_u8(&b) != 0;
    struct str shard = bytes_take(&b, each ? rows : 1);
    c->shard = each ? (const uint8_t *)shard.p : NULL;
    c->shard_all = shard.n ? (uint8_t)shard.p[0] : 0;
    c->rank_width = bytes_u8(&b);
    c->rank = (const uint8_t *)bytes_take(&b, bits_bytes(rows, MIN(c->rank_width, 32))).p;
    if (b.bad || c->rank_width > 32)
        return damaged(&c->cursor, "impossible block of keys", e);
    c->block = block;
    return true;
}

bool segment_keys_read(struct segment_keys *c, uint32_t position, struct segment_key *out,
                       struct err *e)
{
    uint32_t row = position % SEGMENT_BLOCK;

    assert(position < c->cursor.segment->count);
    if (c->block != position / SEGMENT_BLOCK && !keys_block(c, position / SEGMENT_BLOCK, e))
        return false;
    out->fingerprint.lo = get_le64(c->fingerprint + 16 * (size_t)row);
    out->fingerprint.hi = get_le64(c->fingerprint + 16 * (size_t)row + 8);
    out->shard = c->shard ? c->shard[row] : c->shard_all;
    out->rank = bits_get(c->rank, row, c->rank_width);
    return true;
}

void segment_slices_init(struct segment_slices *c, struct segment *s, enum page_use use)
{
    *c = (struct segment_slices){ .block = UINT32_MAX };
    cursor_init(&c->cursor, s, SEGMENT_SLICES, use);
}

void segment_slices_fini(struct segment_slices *c)
{
    cursor_fini(&c->cursor);
}

bool segment_slices_read(struct segment_slices *c, uint32_t position, uint32_t *out, struct err *e)
{
    uint32_t block = position / SEGMENT_BLOCK, rows;

    assert(position < c->cursor.segment->count);
    if (c->block != block) {
        struct bytes b;
        c->block = UINT32_MAX;
        if (!cursor_block(&c->cursor, block, &b, &rows, e))
            return false;
        bool each = bytes_u8(&b) != 0;
        struct str bits = bytes_take(&b, each ? 4 * (size_t)rows : 4);
        if (b.bad)
            return damaged(&c->cursor, "impossible block of slices", e);
        c->each = each ? (const uint8_t *)bits.p : NULL;
        c->all = get_le32(bits.p);
        c->block = block;
    }
    *out = c->each ? get_le32(c->each + 4 * (size_t)(position % SEGMENT_BLOCK)) : c->all;
    return true;
}

/* ---- fingerprints ---- */

struct find {
    struct segment *segment;
    struct hash128 fingerprint;
    uint32_t prefix;
    uint32_t *out;
    size_t n, max;
    struct segment_keys keys;
};

static bool find_check(struct find *f, uint32_t position, struct err *e)
{
    struct segment_key k;

    if (position >= f->segment->count)
        return corrupt(f->segment, "fingerprints name a series that is not there", e);
    if (!segment_keys_read(&f->keys, position, &k, e))
        return false;
    if (k.fingerprint.lo == f->fingerprint.lo && k.fingerprint.hi == f->fingerprint.hi &&
        f->n < f->max)
        f->out[f->n++] = position;
    return true;
}

// Looks through one block; *past: it reached a larger prefix.
static bool find_block(struct find *f, const struct segment_cursor *c, struct bytes b, bool *past,
                       struct err *e)
{
    uint32_t n = bytes_u8(&b);
    uint64_t at = bytes_le32(&b);
    uint8_t step_width = bytes_u8(&b);
    const uint8_t
        *steps = (const uint8_t *)bytes_take(&b, n ? bits_bytes(n - 1, MIN(step_width, 32)) : 0).p;
    uint8_t width = bytes_u8(&b);
    const uint8_t *positions = (const uint8_t *)bytes_take(&b, bits_bytes(n, MIN(width, 32))).p;

    if (b.bad || n == 0 || n > SEGMENT_BLOCK || step_width > 32 || width > 32)
        return damaged(c, "impossible block of fingerprints", e);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            at += bits_get(steps, i - 1, step_width);
        if (at == f->prefix && !find_check(f, bits_get(positions, i, width), e))
            return false;
        *past = at > f->prefix;
        if (*past)
            break;
    }
    return true;
}

static bool find_page(struct find *f, const struct segment_cursor *c, bool *past, struct err *e)
{
    uint32_t count = (uint32_t)(c->end - c->first), lo = 0, hi = count;
    struct bytes b;

    // The last block that begins with a smaller prefix, then on.
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (!cursor_item(c, mid, count, &b, e))
            return false;
        bytes_u8(&b);
        if (bytes_le32(&b) < f->prefix)
            lo = mid;
        else
            hi = mid;
    }
    for (; lo < count && !*past; lo++)
        if (!cursor_item(c, lo, count, &b, e) || !find_block(f, c, b, past, e))
            return false;
    return true;
}

bool segment_find(struct segment *s, struct hash128 fingerprint, uint32_t *positions, size_t *n,
                  struct err *e)
{
    struct find f = { s,  fingerprint,   (uint32_t)(fingerprint.hi >> 32), positions, 0,
                      *n, { .block = 0 } };
    struct segment_cursor c;
    bool ok = true, past = false;

    segment_keys_init(&f.keys, s, PAGE_KEEP);
    cursor_init(&c, s, SEGMENT_PRINTS, PAGE_KEEP);
    int more = part_walk_find(&c.walk, (uint64_t)f.prefix << 32, e);
    for (; more > 0 && ok && !past; more = ok && !past ? part_walk_next(&c.walk, e) : 1) {
        if (c.walk.entry.key >> 32 > f.prefix)
            break;
        ok = cursor_load(&c, 1, e) && find_page(&f, &c, &past, e);
    }
    cursor_fini(&c);
    segment_keys_fini(&f.keys);
    if (more < 0 || !ok)
        return false;
    *n = f.n;
    return true;
}

/* ---- checking ---- */

static bool verify_values(struct segment *s, struct err *e)
{
    OWNED(segment_values_fini) struct segment_values v;
    OWNED(segment_postings_fini) struct segment_postings p;
    struct postings_block b;
    int more = 0;

    segment_values_init(&v, s, PAGE_ONCE);
    segment_postings_init(&p, s, PAGE_ONCE);
    for (uint32_t i = 0; i < s->pairs; i++) {
        if (!segment_values_read(&v, e) || !segment_postings_begin(&p, &v.pair, e))
            return false;
        while ((more = segment_postings_next(&p, 0, &b, e)) > 0)
            continue;
        if (more < 0)
            return false;
    }
    for (uint32_t i = 0; i < s->names; i++) {
        if (!segment_postings_begin(&p, &s->name[i].any, e))
            return false;
        while ((more = segment_postings_next(&p, 0, &b, e)) > 0)
            continue;
        if (more < 0)
            return false;
    }
    return true;
}

static bool verify_series(struct segment *s, struct err *e)
{
    OWNED(segment_rows_fini) struct segment_rows rows;
    OWNED(segment_keys_fini) struct segment_keys keys;
    OWNED(segment_slices_fini) struct segment_slices slices;
    struct segment_key key;
    uint32_t bits;

    segment_rows_init(&rows, s, PAGE_ONCE);
    segment_keys_init(&keys, s, PAGE_ONCE);
    segment_slices_init(&slices, s, PAGE_ONCE);
    for (uint32_t i = 0; i < s->count; i++) {
        size_t n = 1;
        uint32_t found;
        if (!segment_rows_load(&rows, i, e) || !segment_keys_read(&keys, i, &key, e) ||
            !segment_slices_read(&slices, i, &bits, e))
            return false;
        for (size_t c = 0; c < rows.columns.n; c++)
            segment_row_pair(&rows.columns.v[c], i % SEGMENT_BLOCK);
        if (i % SEGMENT_BLOCK == 0 && !segment_find(s, key.fingerprint, &found, &n, e))
            return false;
    }
    return true;
}

bool segment_verify(struct segment *s, struct err *e)
{
    return part_verify(s->part, e) && verify_values(s, e) && verify_series(s, e);
}
