/*
 * catalog.c - the list of segments, adding series, views.
 *
 * `current` is an immutable list: sealed segments, then segments that were put
 * aside and wait to be frozen, then the open one. Rotation, freezing and merging
 * replace the list; readers keep the one they took.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/catalog.h"

#include <inttypes.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/catalog_priv.h"

enum { PENDING_CHUNK = 256 << 10 };

/* ---- lists ---- */

struct catalog_list *catalog_list_new(size_t n)
{
    struct catalog_list *l = xcalloc(1, sizeof *l + n * sizeof l->v[0]);

    atomic_init(&l->refs, 1);
    l->n = n;
    return l;
}

void catalog_list_put(struct catalog_list *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < l->n; i++) {
        live_put(l->v[i].live);
        segment_put(l->v[i].segment);
    }
    xfree(l);
}

struct catalog_list *catalog_list_get(struct catalog *c)
{
    LOCKED(&c->view_mu);
    atomic_fetch_add_explicit(&c->current->refs, 1, memory_order_relaxed);
    return c->current;
}

struct catalog_list *catalog_publish_locked(struct catalog *c, struct catalog_list *list)
{
    struct catalog_list *old;

    LOCKED(&c->view_mu);
    old = c->current;
    c->current = list;
    return old;
}

static void source_ref(struct catalog_source *to, const struct catalog_source *from)
{
    *to = *from;
    if (to->live)
        live_get(to->live);
    else
        segment_get(to->segment);
}

// Appends a fresh open segment to the list. The old list is put: it owns nothing alone.
static void open_fresh_locked(struct catalog *c)
{
    struct catalog_list *list = catalog_list_new(c->current->n + 1);

    for (size_t i = 0; i + 1 < list->n; i++)
        source_ref(&list->v[i], &c->current->v[i]);
    c->open = live_new(c->uid_next++);
    list->v[list->n - 1].live = c->open;
    catalog_list_put(catalog_publish_locked(c, list));
}

/* ---- opening and closing ---- */

void buf_segment_name(struct buf *b, uint64_t number)
{
    buf_printf(b, "%08" PRIu64 ".seg", number);
}

static void shared_put(struct catalog_shared *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        xfree(s);
}

static bool segments_check(const struct catalog_options *o, struct err *e)
{
    uint32_t end = 0;

    for (size_t i = 0; i < o->segment_count; i++) {
        const struct catalog_segment *s = &o->segments[i];
        if (s->id_first < end || s->id_end < s->id_first)
            return err_set(e, ERR_CORRUPT,
                           "segment %" PRIu64 " has ids %" PRIu32 " to %" PRIu32
                           ", which overlap those of the segment before",
                           s->number, s->id_first, s->id_end);
        end = s->id_end;
    }
    return true;
}

static void quarantine(struct catalog *c, const struct catalog_segment *s, struct err *e)
{
    err_wrap(e, "catalog segment %" PRIu64, s->number);
    if (c->shared->quarantined++ == 0)
        c->shared->quarantine = *e;
    c->shared->damages++;
    *vec_push(&c->quarantined) = *s;
}

static void segments_open(struct catalog *c, const struct catalog_options *o)
{
    OWNED(catalog_list_put) struct catalog_list *list = catalog_list_new(o->segment_count);
    size_t n = 0;

    for (size_t i = 0; i < o->segment_count; i++) {
        OWNED(buf_fini) struct buf path = { 0 };
        struct err e = { 0 };
        buf_printf(&path, "%s/", c->dir);
        buf_segment_name(&path, o->segments[i].number);
        struct segment_options so = { .path = buf_cstr(&path),
                                      .cache = c->pages,
                                      .place = c->place,
                                      .uid = c->uid_next++,
                                      .slices_stale = !o->slices_trusted,
                                      .expect = &o->segments[i] };
        if (segment_open(&list->v[n].segment, &so, &e))
            n++;
        else
            quarantine(c, &o->segments[i], &e);
        c->id_next = o->segments[i].id_end;
    }
    list->n = n;
    c->current = TAKE(list);
}

bool catalog_open(struct catalog **out, const struct catalog_options *o,
                  struct catalog_damage *damage, struct err *e)
{
    struct catalog *c;

    if (!segments_check(o, e))
        return false;
    c = xcalloc(1, sizeof *c);
    mutex_init(&c->mu, "catalog", RANK_CATALOG);
    mutex_init(&c->view_mu, "catalog view", RANK_LEAF);
    c->dir = xstrdup_str(str_c(o->dir));
    c->pages = o->cache;
    c->place = o->place;
    c->epoch = o->epoch;
    c->id_floor = o->id_next;
    c->slices = catalog_slices_new();
    c->cache = catalog_cache_new(o->match_cache_bytes ? o->match_cache_bytes : 1 << 20);
    c->shared = xcalloc(1, sizeof *c->shared);
    atomic_init(&c->shared->refs, 1);
    segments_open(c, o);
    open_fresh_locked(c);
    if (damage && c->shared->quarantined) {
        if (damage->segments == 0)
            damage->first = c->shared->quarantine;
        damage->segments += (uint32_t)c->shared->quarantined;
    }
    *out = c;
    return true;
}

void catalog_close(struct catalog *c)
{
    if (!c)
        return;
    catalog_list_put(c->current);
    for (size_t i = 0; i < c->pending.n; i++)
        buf_fini(&c->pending.v[i].bytes);
    vec_fini(&c->pending);
    vec_fini(&c->replay_pair);
    vec_fini(&c->quarantined);
    catalog_slices_put(c->slices);
    catalog_cache_put(c->cache);
    shared_put(c->shared);
    mutex_fini(&c->mu);
    mutex_fini(&c->view_mu);
    xfree(c->dir);
    xfree(c);
}

void catalog_start(struct catalog *c, uint64_t log_number, uint32_t id_next)
{
    assert(log_number > 0);
    LOCKED(&c->mu);
    assert(c->log_number == 0);
    c->id_next = MAX(c->id_next, MAX(c->id_floor, id_next));
    catalog_slices_begin(c->slices, c->id_next);
    c->log_number = log_number;
    vec_fini(&c->replay_pair);
    if (live_count(c->open) > 0)
        open_fresh_locked(c);
}

/* ---- writing ---- */

static bool set_check(struct labels ls, struct err *e)
{
    size_t bytes = 0;

    if (ls.n > CATALOG_LABELS_MAX)
        return err_set(e, ERR_LIMIT, "series has %zu labels, at most %d are possible", ls.n,
                       CATALOG_LABELS_MAX);
    for (size_t i = 0; i < ls.n; i++) {
        assert(ls.v[i].value.n > 0 && ls.v[i].name.n > 0);
        bytes += ls.v[i].name.n + ls.v[i].value.n;
        if (bytes > CATALOG_LABEL_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "labels of a series are longer than %d bytes",
                           CATALOG_LABEL_BYTES_MAX);
    }
    return true;
}

static struct buf *pending_locked(struct catalog *c)
{
    struct catalog_pending *last = c->pending.n ? &c->pending.v[c->pending.n - 1] : NULL;

    if (!last || last->log_number != c->log_number || last->bytes.n >= PENDING_CHUNK) {
        last = vec_push(&c->pending);
        last->log_number = c->log_number;
    }
    return &last->bytes;
}

bool catalog_add(struct catalog *c, struct labels ls, struct hash128 fingerprint, unsigned shard,
                 uint32_t *id, struct err *e)
{
    if (!set_check(ls, e))
        return false;
    assert(shard < 256);
    LOCKED(&c->mu);
    assert(c->log_number > 0);
    struct live *s = c->open;
    if (c->id_next == UINT32_MAX)
        return err_set(e, ERR_UNAVAILABLE, "partition has no series ids left");
    if (!live_has_room(s))
        return err_set(e, ERR_UNAVAILABLE, "open catalog segment is full");
    uint32_t pairs = s->pair_count;
    struct live_key key = { fingerprint, c->id_next, (uint8_t)shard };
    live_intern_set(s, ls);
    catalog_slices_grow(c->slices, key.id);
    uint32_t position = live_add(s, &key);
    struct buf *b = pending_locked(c);
    size_t before = b->n;
    catalog_log_pairs(b, s, pairs, s->pair_count);
    catalog_log_series(b, s, position);
    c->pending_bytes += b->n - before;
    *id = c->id_next++;
    return true;
}

bool catalog_log_take(struct catalog *c, size_t max_bytes, struct buf *out, uint64_t *log_number)
{
    (void)max_bytes; // chunks are small; a record is never cut
    LOCKED(&c->mu);
    buf_reset(out);
    if (c->pending.n == 0)
        return false;
    struct catalog_pending *p = &c->pending.v[0];
    buf_fini(out);
    *out = p->bytes;
    *log_number = p->log_number;
    c->pending_bytes -= out->n;
    c->pending.n--;
    memmove(p, p + 1, c->pending.n * sizeof *p);
    return true;
}

uint64_t catalog_log_pending(struct catalog *c)
{
    LOCKED(&c->mu);
    return c->pending_bytes;
}

uint32_t catalog_id_next(struct catalog *c)
{
    LOCKED(&c->mu);
    return c->id_next;
}

void catalog_slices_set(struct catalog *c, uint32_t id, uint32_t bits)
{
    if (catalog_slices_mark(c->slices, id, bits))
        return;
    LOCKED(&c->mu); // a late row of a series from before the start: once per 4096 ids
    catalog_slices_grow(c->slices, id);
    (void)!catalog_slices_mark(c->slices, id, bits);
}

void catalog_rotate(struct catalog *c, uint64_t log_number)
{
    LOCKED(&c->mu);
    assert(c->log_number > 0 && log_number > 0);
    c->log_number = log_number;
    if (live_count(c->open) > 0)
        open_fresh_locked(c);
}

bool catalog_freeze_is_due(struct catalog *c)
{
    LOCKED(&c->mu);
    const struct catalog_list *l = c->current; // replaced under mu only
    return live_count(c->open) >= CATALOG_SERIES_MAX || !live_has_room(c->open) ||
           (l->n > 1 && l->v[l->n - 2].live);
}

/* ---- looking up ---- */

static size_t find_in(struct catalog *c, const struct catalog_source *s, struct hash128 f,
                      uint32_t *ids)
{
    uint32_t at[CATALOG_FIND_MAX];
    size_t n = CATALOG_FIND_MAX;

    if (s->live) {
        n = live_find(s->live, f, at, CATALOG_FIND_MAX);
        for (size_t i = 0; i < n; i++)
            ids[i] = live_id(s->live, at[i]);
        return n;
    }
    if (!segment_find(s->segment, f, at, &n, &(struct err){ 0 })) { // the worst: another id
        c->shared->damages++;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        ids[i] = segment_id(s->segment, at[n - 1 - i]);
    return n;
}

size_t catalog_find(struct catalog *c, struct hash128 fingerprint, uint32_t *ids)
{
    OWNED(catalog_list_put) struct catalog_list *l = catalog_list_get(c);
    size_t n = 0;

    for (size_t i = l->n; i > 0 && n < CATALOG_FIND_MAX; i--) {
        uint32_t found[CATALOG_FIND_MAX];
        size_t more = find_in(c, &l->v[i - 1], fingerprint, found);
        more = MIN(more, CATALOG_FIND_MAX - n);
        memcpy(ids + n, found, more * sizeof *ids);
        n += more;
    }
    return n;
}

/* ---- views ---- */

struct catalog_view *catalog_view_get(struct catalog *c)
{
    struct catalog_list *list = catalog_list_get(c);
    struct catalog_view *v = xcalloc(1, sizeof *v + list->n * sizeof v->v[0]);

    atomic_init(&v->refs, 1);
    v->list = list;
    v->slices = catalog_slices_ref(c->slices);
    v->cache = catalog_cache_ref(c->cache);
    v->shared = c->shared;
    atomic_fetch_add_explicit(&v->shared->refs, 1, memory_order_relaxed);
    for (size_t i = 0; i < list->n; i++) {
        struct catalog_source *s = &v->v[v->n];
        *s = list->v[i];
        s->n = s->live ? live_count(s->live) : segment_count(s->segment);
        if (s->n == 0)
            continue;
        v->n++;
        v->series += s->n;
        v->id_end = source_id(s, s->n - 1) + 1;
    }
    return v;
}

struct catalog_view *catalog_view_ref(struct catalog_view *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void catalog_view_put(struct catalog_view *v)
{
    assert(!v || atomic_load_explicit(&v->refs, memory_order_relaxed) > 0);
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    catalog_list_put(v->list);
    catalog_slices_put(v->slices);
    catalog_cache_put(v->cache);
    shared_put(v->shared);
    xfree(v);
}

uint32_t catalog_view_id_end(const struct catalog_view *v)
{
    return v->id_end;
}

uint64_t catalog_view_series(const struct catalog_view *v)
{
    return v->series;
}

uint32_t source_position(const struct catalog_source *s, uint32_t id)
{
    uint32_t at = s->live ? live_position(s->live, id) : segment_position(s->segment, id);

    return MIN(at, s->n);
}

bool source_slices(const struct catalog_source *s, uint32_t position,
                   const struct catalog_slices *live, struct segment_slices *cursor, uint32_t *out,
                   struct err *e)
{
    uint32_t id = source_id(s, position), bits = 0;

    if (!catalog_slices_has_all(live, id)) {
        if (!s->segment || !segment_is_final(s->segment)) {
            *out = UINT32_MAX;
            return true;
        }
        if (!segment_slices_read(cursor, position, &bits, e))
            return false;
    }
    *out = bits | catalog_slices_of(live, id);
    return true;
}

bool catalog_damaged(struct catalog_view *v, const struct catalog_read *r, struct err *e)
{
    if (e->kind != ERR_CORRUPT && e->kind != ERR_IO)
        return false;
    v->shared->damages++;
    if (!r->damage)
        return false;
    if (r->damage->segments++ == 0)
        r->damage->first = *e;
    return true;
}

bool catalog_quarantine_check(struct catalog_view *v, const struct catalog_read *r, struct err *e)
{
    const struct catalog_shared *s = v->shared;

    if (s->quarantined == 0)
        return true;
    if (!r->damage) {
        *e = s->quarantine;
        return false;
    }
    if (r->damage->segments == 0)
        r->damage->first = s->quarantine;
    r->damage->segments += (uint32_t)s->quarantined;
    return true;
}

/* ---- figures ---- */

struct catalog_segment *catalog_segments(struct catalog *c, struct arena *a, size_t *n)
{
    OWNED(catalog_list_put) struct catalog_list *l = catalog_list_get(c);
    struct catalog_segment *v = arena_array(a, l->n + c->quarantined.n, struct catalog_segment);
    size_t q = 0;

    *n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->v[i].segment)
            continue;
        const struct catalog_segment *s = segment_info(l->v[i].segment);
        while (q < c->quarantined.n && c->quarantined.v[q].id_first < s->id_first)
            v[(*n)++] = c->quarantined.v[q++];
        v[(*n)++] = *s;
    }
    while (q < c->quarantined.n)
        v[(*n)++] = c->quarantined.v[q++];
    return v;
}

void catalog_memory(struct catalog *c, struct catalog_memory *out)
{
    OWNED(catalog_list_put) struct catalog_list *l = catalog_list_get(c);

    *out = (struct catalog_memory){ 0 };
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].live) {
            out->open_bytes += live_bytes(l->v[i].live);
            out->open_series += live_count(l->v[i].live);
        } else {
            out->sealed_bytes += segment_bytes(l->v[i].segment);
            out->sealed_series += segment_count(l->v[i].segment);
            out->sealed_file_bytes += segment_info(l->v[i].segment)->bytes;
        }
    }
    out->slices_bytes = catalog_slices_bytes(c->slices);
    out->match_cache_bytes = catalog_cache_bytes(c->cache);
    out->pending_bytes = catalog_log_pending(c);
    out->damages = c->shared->damages;
}
