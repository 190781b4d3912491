/*
 * catalog_live.c - the open segment: interning, postings, look-ups.
 *
 * A postings list in `list` (units of 8 bytes):
 *
 *   struct list_head   writer's only: last position, tail chunk, fill and room of it
 *   first chunk        next u32 (unit of the next chunk), LIST_FIRST bytes of deltas
 *   further chunks     next u32, a third of all before, at least 12 bytes
 *
 * Deltas are LEB128 and never 0; a 0 byte, or the end of the chunk, says that the
 * list goes on in the next one. Reader and writer compute chunk sizes alike. The
 * first position is in the pair record, so a list holds count − 1 deltas.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/catalog_live.h"

#include "base/bytes.h"

enum { LIST_UNIT = 8, LIST_FIRST = 8, LIST_CHUNK_MAX = 1024, NEXT_BYTES = 4 };
#define TEXT_MAX UINT32_C(0xf0000000) // offsets are 32 bits; room for one more set of labels

struct list_head {
    uint32_t last, tail;
    uint16_t fill, room; // of the tail's deltas
};
static_assert(sizeof(struct list_head) == 12, "header of a list");

static size_t varint_bytes(uint32_t v)
{
    return (size_t)(38 - __builtin_clz(v | 1)) / 7;
}

static uint8_t *varint_put(uint8_t *p, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static uint32_t varint_get(const uint8_t **p)
{
    uint32_t v = 0;

    for (unsigned shift = 0;; shift += 7) {
        v |= (uint32_t)(**p & 0x7f) << shift;
        if (!(*(*p)++ & 0x80))
            return v;
    }
}

struct live *live_new(uint64_t uid)
{
    struct live *s = xcalloc(1, sizeof *s);

    atomic_init(&s->refs, 1);
    s->uid = uid;
    mutex_init(&s->mu, "catalog segment", RANK_LEAF);
    return s;
}

struct live *live_get(struct live *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void live_put(struct live *s)
{
    assert(!s || atomic_load_explicit(&s->refs, memory_order_relaxed) > 0);
    // Release what this thread did; acquire what the others did before their put.
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    pool_fini(&s->pair);
    pool_fini(&s->name);
    pool_fini(&s->run);
    pool_fini(&s->offset);
    pool_fini(&s->fingerprint);
    pool_fini(&s->shard);
    byte_pool_fini(&s->text);
    byte_pool_fini(&s->list);
    byte_pool_fini(&s->record);
    for (size_t i = 0; i < LIVE_MAPS; i++) {
        map_fini(&s->pair_map[i]);
        map_fini(&s->fingerprint_map[i]);
    }
    map_fini(&s->name_map);
    vec_fini(&s->last);
    vec_fini(&s->next);
    mutex_fini(&s->mu);
    xfree(s);
}

uint64_t live_bytes(struct live *s)
{
    uint64_t n = live_count(s), maps = 0;

    LOCKED(&s->mu);
    for (size_t i = 0; i < LIVE_MAPS; i++)
        maps += map_bytes(&s->pair_map[i]) + map_bytes(&s->fingerprint_map[i]);
    return sizeof *s + maps + map_bytes(&s->name_map) + s->text.used + s->list.used +
           s->record.used + s->pair_count * sizeof(struct live_pair) +
           s->name_count * sizeof(struct live_name) +
           n * (sizeof(uint32_t) + sizeof(struct hash128) + 1);
}

/* ---- maps ---- */

static struct map *map_of(struct map *maps, uint64_t hash)
{
    return &maps[hash >> 58];
}

static uint64_t pair_hash(uint32_t name, struct str value)
{
    return hash_u64(hash_keyed(value) + name * UINT64_C(0x9e3779b97f4a7c15));
}

// Fingerprints are keyed by the tenant: outsiders cannot choose them.
static uint64_t fingerprint_hash(struct hash128 f)
{
    return hash_u64(f.lo ^ f.hi);
}

static uint32_t name_find_locked(struct live *s, struct str name, uint64_t hash)
{
    uint32_t i;

    for (size_t at = map_first(&s->name_map, hash);
         (i = map_at(&s->name_map, hash, &at)) != MAP_NONE;)
        if (str_eq(live_text(s, live_name(s, i)->text), name))
            return i;
    return LIVE_NONE;
}

static uint32_t pair_find_locked(struct live *s, uint32_t name, struct str value, uint64_t hash)
{
    const struct map *m = map_of(s->pair_map, hash);
    uint32_t i;

    for (size_t at = map_first(m, hash); (i = map_at(m, hash, &at)) != MAP_NONE;)
        if (live_pair(s, i)->name == name && str_eq(live_pair_value(s, i), value))
            return i;
    return LIVE_NONE;
}

uint32_t live_name_find(struct live *s, struct str name)
{
    LOCKED(&s->mu);
    return name_find_locked(s, name, hash_keyed(name));
}

uint32_t live_pair_find(struct live *s, uint32_t name, struct str value)
{
    uint64_t hash = pair_hash(name, value);

    LOCKED(&s->mu);
    return pair_find_locked(s, name, value, hash);
}

size_t live_find(struct live *s, struct hash128 fingerprint, uint32_t *positions, size_t max)
{
    uint64_t hash = fingerprint_hash(fingerprint);
    size_t n = 0;
    uint32_t i;

    LOCKED(&s->mu);
    const struct map *m = map_of(s->fingerprint_map, hash);
    for (size_t at = map_first(m, hash); (i = map_at(m, hash, &at)) != MAP_NONE;) {
        struct hash128 f = live_fingerprint(s, i);
        size_t to = n;
        if (f.lo != fingerprint.lo || f.hi != fingerprint.hi)
            continue;
        for (; to > 0 && positions[to - 1] < i; to--)
            if (to < max)
                positions[to] = positions[to - 1];
        if (to < max) {
            positions[to] = i;
            n = MIN(n + 1, max);
        }
    }
    return n;
}

/* ---- interning ---- */

bool live_has_room(const struct live *s)
{
    return s->text.end < TEXT_MAX && s->record.end < TEXT_MAX &&
           s->list.end / LIST_UNIT < TEXT_MAX && s->pair_count < TEXT_MAX && s->count < TEXT_MAX;
}

static uint32_t text_add(struct live *s, struct str v)
{
    uint64_t at = byte_pool_take(&s->text, varint_bytes((uint32_t)v.n) + v.n, 1);
    uint8_t *p = varint_put(byte_pool_at(&s->text, at), (uint32_t)v.n);

    if (v.n)
        memcpy(p, v.p, v.n);
    return (uint32_t)at;
}

static uint32_t name_intern(struct live *s, struct str text)
{
    uint64_t hash = hash_keyed(text);
    uint32_t i;

    i = name_find_locked(s, text, hash); // the writer reads its own maps without the lock
    if (i != LIVE_NONE)
        return i;
    i = s->name_count;
    struct live_name *name = POOL_TAKE(&s->name, i, struct live_name);
    name->text = text_add(s, text);
    atomic_init(&name->head, LIVE_NONE);
    atomic_init(&name->pairs, 0);
    atomic_store_explicit(&s->name_count, i + 1, memory_order_release); // readers count names
    LOCKED(&s->mu);
    map_add(&s->name_map, hash, i);
    return i;
}

static uint32_t pair_add(struct live *s, uint32_t name, struct str value, uint64_t hash)
{
    uint32_t i = s->pair_count;
    struct live_pair *pair = POOL_TAKE(&s->pair, i, struct live_pair);
    struct live_name *of = live_name(s, name);

    pair->value = text_add(s, value);
    pair->name = name;
    pair->prev = of->head;
    pair->first = LIVE_NONE;
    pair->list = 0;
    atomic_init(&pair->count, 0);
    atomic_store_explicit(&of->pairs, of->pairs + 1, memory_order_relaxed);
    atomic_store_explicit(&of->head, i, memory_order_release); // readers walk from the head
    atomic_store_explicit(&s->pair_count, i + 1, memory_order_release);
    LOCKED(&s->mu);
    map_add(map_of(s->pair_map, hash), hash, i);
    return i;
}

uint32_t live_intern(struct live *s, struct str name, struct str value)
{
    uint32_t of = name_intern(s, name);
    uint64_t hash = pair_hash(of, value);
    uint32_t i = pair_find_locked(s, of, value, hash);

    return i != LIVE_NONE ? i : pair_add(s, of, value, hash);
}

void live_intern_set(struct live *s, struct labels ls)
{
    size_t k = 0;

    vec_reset(&s->next);
    vec_reserve(&s->next, ls.n);
    for (size_t i = 0; i < ls.n; i++) {
        uint32_t pair;

        // Series of one target follow each other and share most labels: no hashing for these.
        while (k < s->last.n && str_cmp(live_pair_name(s, s->last.v[k]), ls.v[i].name) < 0)
            k++;
        if (k < s->last.n && str_eq(live_pair_name(s, s->last.v[k]), ls.v[i].name) &&
            str_eq(live_pair_value(s, s->last.v[k]), ls.v[i].value))
            pair = s->last.v[k];
        else
            pair = live_intern(s, ls.v[i].name, ls.v[i].value);
        *vec_push(&s->next) = pair;
    }
}

/* ---- postings ---- */

static uint16_t chunk_room(uint32_t total)
{
    uint32_t whole = MIN(MAX((total / 3 + LIST_UNIT - 1) & ~(uint32_t)(LIST_UNIT - 1), 16u),
                         (uint32_t)LIST_CHUNK_MAX);

    return (uint16_t)(whole - NEXT_BYTES);
}

static uint8_t *list_at(const struct live *s, uint32_t unit)
{
    return byte_pool_at(&s->list, (uint64_t)unit * LIST_UNIT);
}

static void list_start(struct live *s, struct live_pair *pair)
{
    size_t bytes = sizeof(struct list_head) + NEXT_BYTES + LIST_FIRST;
    uint32_t unit = (uint32_t)(byte_pool_take(&s->list, bytes, LIST_UNIT) / LIST_UNIT);
    struct list_head h = { pair->first, 0, 0, LIST_FIRST };

    memcpy(list_at(s, unit), &h, sizeof h);
    pair->list = unit;
}

/*
 * The tail's `next` field lies before its deltas; for the first chunk behind the head. tail 0
 * stands for the first chunk (no other chunk is at unit 0: the first unit holds a head).
 */
static uint8_t *tail_at(const struct live *s, const struct live_pair *pair,
                        const struct list_head *h)
{
    return h->tail ? list_at(s, h->tail) : list_at(s, pair->list) + sizeof *h;
}

// Links a fresh tail. An open tail keeps the sum of rooms before it where `next` will be.
static uint8_t *list_grow(struct live *s, struct list_head *h, uint8_t *chunk)
{
    uint32_t total = (h->tail ? get_le32(chunk) : 0) + h->room;
    uint16_t room = chunk_room(total);
    uint64_t at = byte_pool_take(&s->list, (size_t)NEXT_BYTES + room, LIST_UNIT);

    if (h->fill < h->room)
        chunk[NEXT_BYTES + h->fill] = 0;
    put_le32(chunk, (uint32_t)(at / LIST_UNIT));
    *h = (struct list_head){ h->last, (uint32_t)(at / LIST_UNIT), 0, room };
    chunk = list_at(s, h->tail);
    put_le32(chunk, total);
    return chunk;
}

static void list_add(struct live *s, struct live_pair *pair, uint32_t position)
{
    uint8_t *head = list_at(s, pair->list), *chunk;
    struct list_head h;

    memcpy(&h, head, sizeof h);
    uint32_t delta = position - h.last;
    size_t n = varint_bytes(delta);
    chunk = tail_at(s, pair, &h);
    if ((size_t)(h.room - h.fill) < n)
        chunk = list_grow(s, &h, chunk);
    varint_put(chunk + NEXT_BYTES + h.fill, delta);
    h.fill = (uint16_t)(h.fill + n);
    h.last = position;
    memcpy(head, &h, sizeof h);
}

static void posting_add(struct live *s, uint32_t pair_id, uint32_t position)
{
    struct live_pair *pair = POOL_AT(&s->pair, pair_id, struct live_pair);
    uint32_t count = pair->count;

    if (count == 0)
        pair->first = position;
    if (count == 1)
        list_start(s, pair);
    if (count > 0)
        list_add(s, pair, position);
    // Readers that see this count see the delta, the chunk and the links to it.
    atomic_store_explicit(&pair->count, count + 1, memory_order_release);
}

struct live_iter live_iter(const struct live *s, uint32_t pair_id, uint32_t n)
{
    const struct live_pair *pair = live_pair(s, pair_id);
    uint32_t count = live_pair_count(s, pair_id);
    struct live_iter it = { .segment = s, .left = count, .bound = n };

    if (count == 0)
        return it;
    it.at = pair->first;
    it.count = count;
    if (count > 1) {
        it.chunk = list_at(s, pair->list) + sizeof(struct list_head);
        it.p = it.chunk + NEXT_BYTES;
        it.end = it.p + LIST_FIRST;
        it.total = LIST_FIRST;
    }
    return it;
}

static uint32_t iter_delta(struct live_iter *it)
{
    if (it->p == it->end || *it->p == 0) {
        uint16_t room = chunk_room(it->total);
        it->chunk = list_at(it->segment, get_le32(it->chunk));
        it->p = it->chunk + NEXT_BYTES;
        it->end = it->p + room;
        it->total += room;
    }
    return varint_get(&it->p);
}

uint32_t live_iter_next(struct live_iter *it, uint32_t *out)
{
    uint32_t n = 0;

    if (it->left && it->left == it->count) { // the first one, from the pair record
        if (it->at >= it->bound) {
            it->left = 0;
            return 0;
        }
        out[n++] = it->at;
        it->left--;
    }
    for (; n < POSTINGS_BLOCK && it->left; it->left--) {
        it->at += iter_delta(it);
        if (it->at >= it->bound) {
            it->left = 0;
            break;
        }
        out[n++] = it->at;
    }
    return n;
}

/* ---- series ---- */

static uint32_t record_add(struct live *s)
{
    size_t n = varint_bytes((uint32_t)s->next.n);

    for (size_t i = 0; i < s->next.n; i++)
        n += varint_bytes(s->next.v[i]);
    uint64_t at = byte_pool_take(&s->record, n, 1);
    uint8_t *p = varint_put(byte_pool_at(&s->record, at), (uint32_t)s->next.n);
    for (size_t i = 0; i < s->next.n; i++)
        p = varint_put(p, s->next.v[i]);
    return (uint32_t)at;
}

static void run_add(struct live *s, uint32_t position, uint32_t id)
{
    uint32_t i = s->run_count;

    if (i > 0 && id == s->id_end)
        return;
    *POOL_TAKE(&s->run, i, struct live_run) = (struct live_run){ position, id };
    atomic_store_explicit(&s->run_count, i + 1, memory_order_release); // readers load it
}

uint32_t live_add(struct live *s, const struct live_key *key)
{
    uint32_t position = s->count;
    uint64_t hash = fingerprint_hash(key->fingerprint);

    assert(key->id >= s->id_end && key->id < UINT32_MAX);
    run_add(s, position, key->id);
    s->id_end = key->id + 1;
    *POOL_TAKE(&s->offset, position, uint32_t) = record_add(s);
    *POOL_TAKE(&s->fingerprint, position, struct hash128) = key->fingerprint;
    *POOL_TAKE(&s->shard, position, uint8_t) = key->shard;
    for (size_t i = 0; i < s->next.n; i++)
        posting_add(s, s->next.v[i], position);
    // Publishes the series whole; pairs with the acquire in live_count().
    atomic_store_explicit(&s->count, position + 1, memory_order_release);
    mutex_lock(&s->mu);
    map_add(map_of(s->fingerprint_map, hash), hash, position);
    mutex_unlock(&s->mu);
    struct live_ids swap = s->last;
    s->last = s->next;
    s->next = swap;
    return position;
}

struct live_record live_record(const struct live *s, uint32_t position)
{
    assert(position < live_count(s));
    uint32_t at = *POOL_AT(&s->offset, position, uint32_t);
    struct live_record r = { byte_pool_at(&s->record, at), 1 };

    r.left = live_record_next(&r);
    return r;
}

uint32_t live_record_next(struct live_record *r)
{
    assert(r->left > 0);
    r->left--;
    return varint_get(&r->p);
}

/* ---- ids ---- */

// The last run that begins at or before the position (by_id: before the id); count > 0.
static uint32_t run_find(const struct live *s, uint32_t count, uint32_t key, bool by_id)
{
    uint32_t lo = 0, hi = count;

    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        const struct live_run *r = POOL_AT(&s->run, mid, struct live_run);
        if ((by_id ? r->id : r->position) <= key)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

uint32_t live_id(const struct live *s, uint32_t position)
{
    uint32_t count = atomic_load_explicit(&s->run_count, memory_order_acquire);
    const struct live_run *r = POOL_AT(&s->run, run_find(s, count, position, false),
                                       struct live_run);

    return r->id + (position - r->position);
}

uint32_t live_position(const struct live *s, uint32_t id)
{
    uint32_t n = live_count(s);
    uint32_t count = atomic_load_explicit(&s->run_count, memory_order_acquire);

    if (count == 0)
        return n;
    uint32_t i = run_find(s, count, id, true);
    const struct live_run *r = POOL_AT(&s->run, i, struct live_run);
    uint32_t end = i + 1 < count ? POOL_AT(&s->run, i + 1, struct live_run)->position : n;
    if (id < r->id)
        return r->position;
    return id - r->id < end - r->position ? r->position + (id - r->id) : end;
}
