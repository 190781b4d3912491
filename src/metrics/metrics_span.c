/*
 * metrics_span.c - partitions at run time: finding, creating, opening, publishing what readers see.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "metrics/metrics_priv.h"

/* ---- references and lists ---- */

struct span *span_get(struct span *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void span_free(struct span *s)
{
    span_view_put(s->view);
    for (size_t i = 0; i < s->tails.n; i++)
        tail_put(s->tails.v[i]);
    for (size_t i = 0; i < s->parts.n; i++)
        metric_part_put(s->parts.v[i].part);
    for (size_t i = 0; i < s->masks.n; i++)
        span_mask_put(s->masks.v[i]);
    for (size_t i = 0; i < s->catalog_streams.n; i++)
        log_stream_put(s->catalog_streams.v[i]);
    log_group_free(s->logs);
    catalog_close(s->catalog);
    vec_fini(&s->tails);
    vec_fini(&s->parts);
    vec_fini(&s->masks);
    vec_fini(&s->catalog_streams);
    vec_fini(&s->late);
    map_fini(&s->late_map);
    partition_close(s->store);
    mutex_fini(&s->merge_mu);
    mutex_fini(&s->work_mu);
    mutex_fini(&s->open_mu);
    mutex_fini(&s->mu);
    xfree(s->name);
    xfree(s);
}

void span_put(struct span *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        span_free(s);
}

struct span_list span_list(struct metrics_tenant *t, struct arena *a)
{
    struct span_list l;
    LOCKED(&t->snapshot_mu);

    l.n = t->spans.n;
    l.v = arena_array(a, l.n, struct span *);
    for (size_t i = 0; i < l.n; i++)
        l.v[i] = span_get(t->spans.v[i]);
    return l;
}

void span_list_put(struct span_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        span_put(l->v[i]);
    l->n = 0;
}

static struct span *find_locked(struct metrics_tenant *t, int64_t t_ms)
{
    size_t low = 0, high = t->spans.n;

    assert(mutex_is_mine(&t->snapshot_mu));
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t->spans.v[mid]->max_ms <= t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < t->spans.n && t->spans.v[low]->min_ms <= t_ms)
        return span_get(t->spans.v[low]);
    return NULL;
}

static void insert_span(struct metrics_tenant *t, struct span *s)
{
    size_t i;
    LOCKED(&t->snapshot_mu);

    (void)vec_push(&t->spans);
    for (i = t->spans.n - 1; i > 0 && t->spans.v[i - 1]->min_ms > s->min_ms; i--)
        t->spans.v[i] = t->spans.v[i - 1];
    t->spans.v[i] = s;
}

void span_detach(struct metrics_tenant *t, struct span *s)
{
    bool found = false;

    mutex_lock(&t->snapshot_mu);
    for (size_t i = 0; i < t->spans.n && !found; i++) {
        if (t->spans.v[i] != s)
            continue;
        memmove(&t->spans.v[i], &t->spans.v[i + 1], (t->spans.n - i - 1) * sizeof t->spans.v[0]);
        t->spans.n--;
        found = true;
    }
    damage_forget_locked(t, s);
    mutex_unlock(&t->snapshot_mu);
    if (found)
        span_put(s);
}

/* ---- creating ---- */

static bool span_from_folder(struct metrics_tenant *t, const char *name, struct span **out,
                             struct err *e)
{
    OWNED(span_put) struct span *s = xcalloc(1, sizeof *s);
    OWNED(buf_fini) struct buf path = { 0 };
    OWNED(manifest_fini) struct manifest m = { 0 };

    atomic_init(&s->refs, 1);
    s->tenant = t;
    s->name = xstrdup_str(str_c(name));
    mutex_init(&s->merge_mu, "span_merge", RANK_MERGE);
    mutex_init(&s->work_mu, "span_work", RANK_WORK);
    mutex_init(&s->open_mu, "span_open", RANK_OPEN);
    mutex_init(&s->mu, "span", RANK_SPAN);
    buf_printf(&path, "%s/%s", t->path, name);
    if (!partition_open(&s->store, buf_cstr(&path), t->owner_key, e))
        return false;
    partition_manifest(s->store, &m);
    s->min_ms = m.span_min;
    s->max_ms = m.span_max;
    s->slice_ms = MAX((m.span_max - m.span_min) / METRICS_SLICES, 1);
    s->tag = (uint16_t)(floor_div(m.span_min, MS_DAY) + METRICS_TAG_OFFSET_DAYS);
    s->shards = m.shards;
    s->view = xcalloc(1, sizeof *s->view);
    atomic_init(&s->view->refs, 1);
    *out = TAKE(s);
    return true;
}

static void day_name(int64_t day, struct buf *b)
{
    struct civil c = civil_of(day * (MS_DAY / MS_SECOND));

    buf_printf(b, "%04lld-%02d-%02d", (long long)c.year, c.month, c.day);
    (void)buf_cstr(b);
}

static bool may_create_locked(struct metrics_tenant *t, enum span_create create, struct err *e)
{
    bool history = create == SPAN_CREATE_HISTORY;
    unsigned max = history ? METRICS_CREATE_HISTORY_MAX : METRICS_CREATE_MAX;
    int64_t minute = clock_ms(t->m->clock) / MS_MINUTE;

    if (minute != t->create_minute) {
        t->create_minute = minute;
        t->created[0] = t->created[1] = 0;
    }
    if (t->created[history]++ >= max)
        return err_set(e, ERR_UNAVAILABLE,
                       "more than %u new partitions within a minute: samples are spread over too "
                       "many days",
                       max);
    return true;
}

static bool create_span(struct metrics_tenant *t, int64_t day, enum span_create create,
                        struct span **out, struct err *e)
{
    OWNED(buf_fini) struct buf name = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    OWNED(span_put) struct span *s = NULL;
    struct manifest m = {
        .kind = "metrics",
        .span_min = day * MS_DAY,
        .span_max = (day + 1) * MS_DAY,
        .shards = t->shard_count,
        .epoch = 1,
        .next_file = 1,
    };

    if (!may_create_locked(t, create, e))
        return false;
    day_name(day, &name);
    buf_printf(&path, "%s/%s/MANIFEST", t->path, name.p);
    // An earlier try may have failed after the rename: then it is there already.
    if ((!file_exists(buf_cstr(&path)) && !partition_create(t->path, name.p, &m, e)) ||
        !span_from_folder(t, name.p, &s, e) || !span_open(s, false, e))
        return err_wrap(e, "create partition %s", name.p);
    insert_span(t, span_get(s));
    *out = TAKE(s);
    return true;
}

bool span_for(struct metrics_tenant *t, int64_t t_ms, enum span_create create, struct span **out,
              struct err *e)
{
    mutex_lock(&t->snapshot_mu);
    struct span *s = find_locked(t, t_ms);
    mutex_unlock(&t->snapshot_mu);
    if (s || create == SPAN_FIND) {
        *out = s;
        return true;
    }
    LOCKED(&t->create_mu);
    mutex_lock(&t->snapshot_mu);
    s = find_locked(t, t_ms); // another batch may have created it meanwhile
    mutex_unlock(&t->snapshot_mu);
    if (s) {
        *out = s;
        return true;
    }
    return create_span(t, floor_div(t_ms, MS_DAY), create, out, e);
}

bool spans_load(struct metrics_tenant *t, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    struct file_list names;

    if (!partition_clean_parent(t->path, e) || !file_list(&a, t->path, &names, e))
        return false;
    for (size_t i = 0; i < names.n; i++) {
        struct err why = { 0 };
        struct span *s;

        buf_reset(&path);
        buf_printf(&path, "%s/%s/MANIFEST", t->path, names.v[i].p);
        if (!file_exists(buf_cstr(&path)))
            continue; // not a partition
        if (span_from_folder(t, names.v[i].p, &s, &why)) {
            insert_span(t, s);
            continue;
        }
        if (why.kind == ERR_IO || why.kind == ERR_UNAVAILABLE) {
            *e = why;
            return false;
        }
        atomic_fetch_add_explicit(&t->m->corruptions, 1, memory_order_relaxed);
        damage_note(t, NULL, INT64_MIN, INT64_MAX, "a damaged partition is left out", &why);
        log_error("metrics", "partition cannot be opened and is left out",
                  KV_STR("partition", names.v[i]), KV_ERR(&why));
    }
    return true;
}

/* ---- opening ---- */

/*
 * Whether the final segment knows of all rows: there is one segment, no log, and no part holds rows
 * of a log younger than the segment (parts keep the numbers of their logs when they are merged).
 */
static bool slices_are_whole(struct span *s, const struct manifest *m)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct partition_numbers logs;
    struct err e = { 0 }; // unsure means no

    if (m->segments.n != 1 || !partition_files(s->store, PARTITION_ROWS, &a, &logs, &e) || logs.n)
        return false;
    for (size_t i = 0; i < m->parts.n; i++) {
        if (m->parts.v[i].seq_to >= m->segments.v[0].number)
            return false;
    }
    return true;
}

static bool open_catalog(struct span *s, const struct manifest *m, struct err *e)
{
    OWNED(buf_fini) struct buf dir = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct catalog_segment *seg = arena_array(&a, m->segments.n, struct catalog_segment);
    struct catalog_damage damage = { 0 };

    for (size_t i = 0; i < m->segments.n; i++) {
        const struct manifest_segment *x = &m->segments.v[i];

        seg[i] = (struct catalog_segment){ .number = x->number,
                                           .id_first = x->id_from,
                                           .id_end = x->id_to,
                                           .bytes = x->bytes,
                                           .crc = x->crc };
    }
    buf_printf(&dir, "%s/catalog", partition_path(s->store));
    struct catalog_options o = {
        .dir = buf_cstr(&dir),
        .cache = s->tenant->m->cache,
        .place = partition_owner(s->store),
        .epoch = (uint32_t)m->epoch,
        .id_next = m->next_id,
        .segments = seg,
        .segment_count = m->segments.n,
        .slices_trusted = slices_are_whole(s, m),
    };
    if (!catalog_open(&s->catalog, &o, &damage, e))
        return false;
    if (damage.segments) {
        atomic_fetch_add_explicit(&s->tenant->m->corruptions, damage.segments,
                                  memory_order_relaxed);
        damage_note(s->tenant, s, s->min_ms, s->max_ms - 1,
                    "series of a damaged catalog segment are left out", &damage.first);
        log_error("metrics", "catalog segment is damaged, its series are left out",
                  KV("partition", partition_path(s->store)), KV_ERR(&damage.first));
    }
    return true;
}

static struct part_id part_id_of(const struct span *s, uint64_t number, uint64_t epoch)
{
    return (struct part_id){
        .owner = partition_owner(s->store), .number = number, .epoch = epoch, .kind = PART_METRICS
    };
}

// A part that cannot be opened is left out and stays in the manifest: nothing is thrown away.
static void open_parts(struct span *s, const struct manifest *m)
{
    OWNED(buf_fini) struct buf path = { 0 };

    for (size_t i = 0; i < m->parts.n; i++) {
        struct part_id id = part_id_of(s, m->parts.v[i].number, m->epoch);
        struct metric_part *part;
        struct err why = { 0 };

        (void)partition_file_path(s->store, PARTITION_PART, m->parts.v[i].number, &path);
        if (metric_part_open(&part, s->tenant->m->cache, path.p, &id, &why)) {
            LOCKED(&s->mu);
            *vec_push(&s->parts) = (struct span_part){ part, m->parts.v[i] };
            continue;
        }
        atomic_fetch_add_explicit(&s->tenant->m->corruptions, 1, memory_order_relaxed);
        damage_note(s->tenant, s, m->parts.v[i].min_ms, m->parts.v[i].max_ms,
                    "samples of a damaged part are left out", &why);
        log_error("metrics", "part is damaged, its samples are left out", KV("path", path.p),
                  KV_ERR(&why));
    }
}

static bool open_once(struct span *s, bool fill_slots, struct err *e)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    uint32_t id_next;

    LOCKED(&s->open_mu);
    if (atomic_load_explicit(&s->is_open, memory_order_relaxed))
        return true;
    partition_manifest(s->store, &m);
    if (!partition_mkdir(s->store, PARTITION_CATALOG_LOG, e))
        return false;
    if (!s->catalog && !open_catalog(s, &m, e))
        return err_wrap(e, "partition %s", s->name);
    if (!s->parts.n)
        open_parts(s, &m);
    if (!s->masks.n)
        span_masks_load(s, &m);
    for (size_t i = 0; i < m.parts.n; i++) {
        if (m.parts.v[i].shard == MANIFEST_SHARD_ALL)
            atomic_store_explicit(&s->is_final, true, memory_order_relaxed);
    }
    id_next = m.next_id;
    if (!span_replay(s, fill_slots, &id_next, e))
        return err_wrap(e, "partition %s", s->name);
    s->catalog_log = partition_number(s->store);
    catalog_start(s->catalog, s->catalog_log, id_next);
    mutex_lock(&s->mu);
    span_publish_locked(s);
    mutex_unlock(&s->mu);
    // release; pairs with the acquire above
    atomic_store_explicit(&s->is_open, true, memory_order_release);
    return true;
}

bool span_open(struct span *s, bool fill_slots, struct err *e)
{
    if (atomic_load_explicit(&s->is_open, memory_order_acquire))
        return true;
    return open_once(s, fill_slots, e) &&
           (s->shards == s->tenant->shard_count || span_reshard(s, e));
}

/* ---- logs ---- */

// The stream of a catalog log. Records of one that was let go of meanwhile go to the newest.
static struct log_stream *catalog_stream_of(struct span *s, uint64_t number)
{
    size_t n;
    LOCKED(&s->mu);

    n = s->catalog_streams.n;
    for (size_t i = 0; i < n; i++) {
        if (log_stream_number(s->catalog_streams.v[i]) == number)
            return log_stream_get(s->catalog_streams.v[i]);
    }
    return n ? log_stream_get(s->catalog_streams.v[n - 1]) : NULL;
}

static bool has_catalog_log(struct span *s)
{
    LOCKED(&s->mu);
    return s->catalog_streams.n > 0;
}

// On the log writer: moves the catalog's pending records into frames of their logs.
static void pull_catalog(void *ctx)
{
    struct span *s = ctx;
    OWNED(buf_fini) struct buf records = { 0 };
    uint64_t number;

    if (!has_catalog_log(s))
        return; // its creation failed; nothing was registered either
    while (catalog_log_take(s->catalog, 1 << 20, &records, &number)) {
        OWNED(log_stream_put) struct log_stream *stream = catalog_stream_of(s, number);
        struct frame f = { .type = FRAME_CATALOG };
        struct buf *b;
        size_t at;

        assert(stream);
        f.catalog_need = catalog_id_next(s->catalog);
        b = log_stream_begin(stream);
        at = frame_begin(b);
        buf_bytes(b, records.p, records.n);
        frame_end(b, at, &f);
        (void)log_stream_end(stream);
    }
}

static bool create_log(struct span *s, enum partition_file kind, uint64_t number, uint32_t shard,
                       struct rowlog **out, struct err *e)
{
    OWNED(buf_fini) struct buf path = { 0 };
    struct file_head head = partition_head(s->store, kind, number);

    head.shard = shard;
    return partition_mkdir(s->store, kind, e) &&
           rowlog_create(out, partition_file_path(s->store, kind, number, &path), &head, e);
}

bool span_new_catalog_log(struct span *s, uint64_t number, struct err *e)
{
    struct rowlog *log;
    struct log_stream *stream;

    if (!create_log(s, PARTITION_CATALOG_LOG, number, 0, &log, e))
        return false;
    stream = log_stream_new(s->logs, log, LOG_CATALOG);
    LOCKED(&s->mu);
    *vec_push(&s->catalog_streams) = stream;
    return true;
}

bool span_new_tail(struct span *s, uint32_t shard, struct tail **out, struct err *e)
{
    OWNED(tail_put) struct tail *t = NULL;
    uint64_t number = partition_number(s->store);
    struct rowlog *log;

    if (!create_log(s, PARTITION_ROWS, number, shard, &log, e))
        return false;
    t = tail_new(shard, s->min_ms, number);
    t->stream = log_stream_new(s->logs, log, LOG_ROWS);
    t->born_mono_ns = clock_mono_ns(s->tenant->m->clock);
    *out = TAKE(t);
    return true;
}

// Under open_mu: the group and the catalog log that new series go to.
static bool open_logs(struct span *s, struct err *e)
{
    assert(mutex_is_mine(&s->open_mu));
    if (!s->logs) {
        struct log_group *g = log_group_new(s->tenant->m->writer, pull_catalog, s);

        mutex_lock(&s->mu);
        s->logs = g;
        mutex_unlock(&s->mu);
    }
    if (s->catalog_streams.n)
        return true;
    return span_new_catalog_log(s, s->catalog_log, e);
}

bool span_open_logs(struct span *s, struct err *e)
{
    if (has_catalog_log(s))
        return true;
    LOCKED(&s->open_mu);
    return open_logs(s, e) || err_wrap(e, "partition %s", s->name);
}

bool span_open_head(struct span *s, uint32_t shard, struct err *e)
{
    struct metrics_shard *sh = &s->tenant->shard[shard];
    struct tail *tail;
    bool there;

    mutex_lock(&sh->mu);
    there = s->head[shard];
    mutex_unlock(&sh->mu);
    if (there)
        return true;
    LOCKED(&s->open_mu);
    mutex_lock(&sh->mu);
    there = s->head[shard];
    mutex_unlock(&sh->mu);
    if (there)
        return true;
    if (!open_logs(s, e) || !span_new_tail(s, shard, &tail, e))
        return err_wrap(e, "partition %s", s->name);
    mutex_lock(&sh->mu);
    mutex_lock(&s->mu);
    s->head[shard] = tail;
    span_add_tail_locked(s, tail);
    span_publish_locked(s);
    mutex_unlock(&s->mu);
    mutex_unlock(&sh->mu);
    return true;
}

bool span_append_begin(struct span *s)
{
    LOCKED(&s->mu);
    if (s->is_dropped)
        return false;
    s->appenders++;
    return true;
}

void span_append_end(struct span *s)
{
    LOCKED(&s->mu);
    assert(s->appenders > 0);
    s->appenders--;
}

bool span_has_logs(struct span *s)
{
    LOCKED(&s->mu);
    return s->tails.n > 0;
}

struct log_group *span_logs(struct span *s)
{
    LOCKED(&s->mu);
    return s->logs;
}

/* ---- what readers see ---- */

void span_add_tail_locked(struct span *s, struct tail *t)
{
    size_t i;

    assert(mutex_is_mine(&s->mu));
    (void)vec_push(&s->tails);
    for (i = s->tails.n - 1; i > 0 && s->tails.v[i - 1]->seq > t->seq; i--)
        s->tails.v[i] = s->tails.v[i - 1];
    s->tails.v[i] = t;
}

void span_view_put(struct span_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->tail_count; i++)
        tail_put(v->tails[i]);
    for (size_t i = 0; i < v->part_count; i++)
        metric_part_put(v->parts[i].part);
    for (size_t i = 0; i < v->mask_count; i++)
        span_mask_put(v->masks[i]);
    xfree(v->tails);
    xfree(v->parts);
    xfree(v->masks);
    xfree(v);
}

struct span_view *span_view_get_locked(struct span *s)
{
    assert(mutex_is_mine(&s->tenant->snapshot_mu));
    atomic_fetch_add_explicit(&s->view->refs, 1, memory_order_relaxed);
    return s->view;
}

struct span_view *span_view_now(struct span *s)
{
    LOCKED(&s->tenant->snapshot_mu);
    return span_view_get_locked(s);
}

void span_publish_locked(struct span *s)
{
    struct span_view *v = xcalloc(1, sizeof *v), *old;

    assert(mutex_is_mine(&s->mu));
    atomic_init(&v->refs, 1);
    v->tail_count = s->tails.n;
    v->tails = xcalloc(s->tails.n + 1, sizeof(struct tail *));
    for (size_t i = 0; i < s->tails.n; i++)
        v->tails[i] = tail_get(s->tails.v[i]);
    v->part_count = s->parts.n;
    v->parts = xcalloc(s->parts.n + 1, sizeof *v->parts);
    for (size_t i = 0; i < s->parts.n; i++) {
        v->parts[i] = s->parts.v[i];
        (void)metric_part_get(v->parts[i].part);
    }
    v->mask_count = s->masks.n;
    v->masks = s->masks.n ? xcalloc(s->masks.n, sizeof *v->masks) : NULL;
    for (size_t i = 0; i < s->masks.n; i++)
        v->masks[i] = span_mask_get(s->masks.v[i]);
    mutex_lock(&s->tenant->snapshot_mu);
    old = s->view;
    s->view = v;
    mutex_unlock(&s->tenant->snapshot_mu);
    span_view_put(old);
}

/* ---- batches in flight ---- */

uint64_t batch_begin(struct metrics_tenant *t)
{
    LOCKED(&t->snapshot_mu);
    *vec_push(&t->in_flight) = ++t->batch_last;
    return t->batch_last;
}

void batch_end(struct metrics_tenant *t, uint64_t number)
{
    LOCKED(&t->snapshot_mu);
    for (size_t i = 0; i < t->in_flight.n; i++) {
        if (t->in_flight.v[i] == number)
            t->in_flight.v[i] = t->in_flight.v[--t->in_flight.n];
    }
    cond_wake_all(&t->batch_done);
}

static bool is_in_flight_locked(struct metrics_tenant *t, uint64_t upto)
{
    for (size_t i = 0; i < t->in_flight.n; i++) {
        if (t->in_flight.v[i] <= upto)
            return true;
    }
    return false;
}

void batch_wait(struct metrics_tenant *t, uint64_t upto)
{
    LOCKED(&t->snapshot_mu);
    while (is_in_flight_locked(t, upto))
        (void)cond_wait(&t->batch_done, &t->snapshot_mu, MS_SECOND);
}

struct batch_view batch_view_locked(struct metrics_tenant *t, struct arena *a)
{
    struct batch_view v = { .last = t->batch_last, .low = t->batch_last + 1 };
    uint64_t *list = arena_array(a, t->in_flight.n, uint64_t);

    assert(mutex_is_mine(&t->snapshot_mu));
    for (size_t i = 0; i < t->in_flight.n; i++) {
        list[i] = t->in_flight.v[i];
        v.low = MIN(v.low, list[i]);
    }
    v.in_flight = list;
    v.in_flight_count = t->in_flight.n;
    return v;
}
