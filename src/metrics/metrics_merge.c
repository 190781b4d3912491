/*
 * metrics_merge.c - fewer, larger parts; closing of partitions.
 *
 * Size-tiered by a factor of eight within a shard, neighbours in sequence only. A part of all
 * shards is a barrier, and so is one that cannot be read. Closing merges everything, all shards
 * together, cut by id at about 1 GiB.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/feed_priv.h"

enum { TIER = 8, INPUTS_MAX = 64, TIER_ROWS = 8192, TIERS = 12 };
#define CLOSED_PART_BYTES (UINT64_C(1) << 30)
#define ROOM_SPARE_BYTES  (UINT64_C(64) << 20)
#define CLOSE_RETRY_NS    (10 * 60 * NS_SECOND)

struct input_list { // referenced parts, in sequence order
    struct span_part *v;
    size_t n, cap;
};

static void inputs_fini(struct input_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        metric_part_put(l->v[i].part);
    vec_fini(l);
}
OWN_DEFINE_FINI(struct input_list, inputs_fini)

static void add_input(struct input_list *l, const struct span_part *p)
{
    struct span_part *x = vec_push(l);

    *x = *p;
    (void)metric_part_get(x->part);
}

/* ---- choosing ---- */

static unsigned tier_of(const struct span_part *p)
{
    unsigned tier = 0;

    for (uint64_t rows = p->info.rows / TIER_ROWS; rows && tier < TIERS; rows /= TIER)
        tier++;
    return tier;
}

// Whether a part that the manifest lists, but that is not open, lies between two sequences.
static bool is_barred(const struct manifest *m, struct span *s, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < m->parts.n; i++) {
        const struct manifest_part *p = &m->parts.v[i];
        bool open = false;

        if (p->seq_from < from || p->seq_from > to)
            continue;
        for (size_t k = 0; k < s->parts.n && !open; k++)
            open = s->parts.v[k].info.number == p->number;
        if (!open || p->shard == MANIFEST_SHARD_ALL)
            return true;
    }
    return false;
}

// Finds TIER or more neighbours of a shard that are not above the tier.
static bool choose_tier(struct span *s, const struct manifest *m, uint32_t shard, unsigned tier,
                        struct input_list *out)
{
    for (size_t i = 0; i < s->parts.n && out->n < INPUTS_MAX; i++) {
        const struct span_part *p = &s->parts.v[i];
        bool fits = p->info.shard == shard && tier_of(p) <= tier;

        if (p->info.shard != shard && p->info.shard != MANIFEST_SHARD_ALL)
            continue;
        if (fits && out->n &&
            (is_barred(m, s, out->v[out->n - 1].info.seq_to + 1, p->info.seq_from - 1) ||
             feeds_bar_merge(s, shard, out->v[0].info.seq_from, p->info.seq_to)))
            fits = false;
        if (!fits) {
            if (out->n >= TIER)
                return true;
            inputs_fini(out);
        }
        if (p->info.shard == shard && tier_of(p) <= tier)
            add_input(out, p);
    }
    if (out->n >= TIER)
        return true;
    inputs_fini(out);
    return false;
}

static bool choose(struct span *s, struct input_list *out)
{
    OWNED(manifest_fini) struct manifest m = { 0 };

    partition_manifest(s->store, &m);
    LOCKED(&s->mu);
    for (unsigned tier = 0; tier < TIERS; tier++) {
        for (uint32_t k = 0; k < s->shards; k++) {
            if (choose_tier(s, &m, k, tier, out))
                return true;
        }
    }
    return false;
}

/* ---- merging ---- */

struct merge_fill {
    const struct input_list *in;
    struct metric_part **parts;
    struct mask_set masks;
    uint64_t mask_last; // number of the newest mask that is applied; 0: none
    uint32_t id_min, id_max;
};

static void cut_masked(void *ctx, size_t input, uint32_t id, struct sample_columns *rows,
                       size_t from)
{
    const struct merge_fill *f = ctx;

    masks_apply(&f->masks, f->in->v[input].info.number, id, rows, from);
}

static bool fill_merge(void *ctx, struct metric_part_writer *w, struct err *e)
{
    struct merge_fill *f = ctx;
    struct metric_part_merge merge = {
        .input = f->parts,
        .inputs = f->in->n,
        .id_min = f->id_min,
        .id_max = f->id_max,
        .cut = f->masks.n ? cut_masked : NULL,
        .ctx = f,
    };

    return metric_part_merge(&merge, w, e);
}

struct merge_edit {
    const struct input_list *in, *out;
    struct span *s;
    uint64_t mask_last;
    bool is_stale; // a mask came meanwhile: nothing was changed
};

static void edit_merge(void *ctx, struct manifest *m)
{
    struct merge_edit *d = ctx;

    d->is_stale = m->masks.n && m->masks.v[m->masks.n - 1].number > d->mask_last;
    if (d->is_stale)
        return;
    for (size_t i = 0; i < d->in->n; i++)
        (void)manifest_drop_part(m, d->in->v[i].info.number);
    for (size_t i = 0; i < d->out->n; i++)
        manifest_add_part(m, &d->out->v[i].info);
    manifest_drop_masks(m);
    m->next_id = catalog_id_next(d->s->catalog);
}

struct merge_plan {
    const struct input_list *in;
    uint32_t shard;
    uint64_t cuts; // parts to write, cut evenly by id
};

static void swap_parts(struct span *s, const struct input_list *in, struct input_list *out)
{
    OWNED(manifest_fini) struct manifest m = { 0 };

    partition_manifest(s->store, &m);
    LOCKED(&s->mu);
    for (size_t i = 0; i < s->parts.n;) {
        bool gone = false;

        for (size_t k = 0; k < in->n; k++)
            gone |= s->parts.v[i].info.number == in->v[k].info.number;
        if (!gone) {
            i++;
            continue;
        }
        metric_part_doom(s->parts.v[i].part); // unlinked when the last reader lets go
        metric_part_put(s->parts.v[i].part);
        memmove(&s->parts.v[i], &s->parts.v[i + 1], (s->parts.n - i - 1) * sizeof s->parts.v[0]);
        s->parts.n--;
    }
    for (size_t i = 0; i < out->n; i++)
        span_insert_part_locked(s, &out->v[i]);
    out->n = 0; // their references are the span's now
    span_masks_prune_locked(s, &m);
    span_publish_locked(s);
}

static uint64_t input_bytes(const struct input_list *l)
{
    uint64_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += l->v[i].info.bytes;
    return n;
}

static bool check_room(struct span *s, uint64_t need, struct err *e)
{
    uint64_t left, total;

    if (!file_disk_free(partition_path(s->store), &left, &total, e))
        return false;
    if (left < need + ROOM_SPARE_BYTES)
        return err_set(e, ERR_UNAVAILABLE,
                       "no room to merge: %llu MiB needed, %llu MiB free on the disk",
                       (unsigned long long)(need >> 20), (unsigned long long)(left >> 20));
    return true;
}

// What masks hide of the inputs, as of now.
static bool find_masked(struct span *s, struct merge_fill *fill, struct arena *a, struct err *e)
{
    struct budget unlimited = { 0 };
    struct span_view *rows = span_view_now(s);
    OWNED(catalog_view_put) struct catalog_view *catalog = catalog_view_get(s->catalog);
    struct mask_query q = { INT64_MIN, INT64_MAX, { a, &unlimited, NULL } };
    bool ok = masks_resolve(rows, catalog, &q, &fill->masks, e);

    fill->mask_last = rows->mask_count ? rows->masks[rows->mask_count - 1]->number : 0;
    span_view_put(rows);
    return ok;
}

// Writes the outputs, cut evenly by id into `cuts` parts. *mask_last: the newest mask applied.
static bool write_outputs(struct span *s, const struct merge_plan *plan, struct input_list *out,
                          uint64_t *mask_last, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct input_list *in = plan->in;
    struct merge_fill fill = { .in = in, .parts = arena_array(&a, in->n, struct metric_part *) };
    struct metric_part_writer_options o = { .shard = plan->shard, .background = true };
    uint64_t ids = MAX(catalog_id_next(s->catalog), UINT32_C(1)), cuts = plan->cuts;

    if (!find_masked(s, &fill, &a, e))
        return false;
    *mask_last = fill.mask_last;
    o.seq_from = UINT64_MAX;
    for (size_t i = 0; i < in->n; i++) {
        fill.parts[i] = in->v[i].part;
        o.seq_from = MIN(o.seq_from, in->v[i].info.seq_from);
        o.seq_to = MAX(o.seq_to, in->v[i].info.seq_to);
    }
    for (uint64_t i = 0; i < cuts; i++) {
        struct span_part part;

        fill.id_min = (uint32_t)(ids * i / cuts);
        fill.id_max = i + 1 == cuts ? UINT32_MAX : (uint32_t)(ids * (i + 1) / cuts - 1);
        if (!span_part_create(s, &o, fill_merge, &fill, &part, e))
            return false;
        if (part.part)
            *vec_push(out) = part;
    }
    return true;
}

static void doom_all(struct input_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        metric_part_doom(l->v[i].part);
}

// Commits unless a cursor has come; fm NULL: none minds.
static bool commit_merge(struct span *s, struct feed_merge *fm, struct merge_edit *edit,
                         struct err *e)
{
    if (fault_hit("merge.commit"))
        return err_os(e, "merge in %s", s->name);
    if (fm && !feeds_merge_commit(fm)) {
        edit->is_stale = true;
        return true;
    }
    return partition_commit(s->store, edit_merge, edit, e);
}

static bool merge_bracketed(struct span *s, const struct merge_plan *plan, struct feed_merge *fm,
                            struct err *e)
{
    OWNED(inputs_fini) struct input_list out = { 0 };
    const struct input_list *in = plan->in;
    struct merge_edit edit = { in, &out, s, 0, false };

    if (!write_outputs(s, plan, &out, &edit.mask_last, e) || !commit_merge(s, fm, &edit, e)) {
        doom_all(&out);
        return err_wrap(e, "merge %zu parts of %s", in->n, s->name);
    }
    if (edit.is_stale) {
        doom_all(&out);
        return true;
    }
    (void)fault_hit("merge.committed"); // a kill before the inputs go
    swap_parts(s, in, &out);
    atomic_fetch_add_explicit(&s->tenant->m->merges, 1, memory_order_relaxed);
    return true;
}

/*
 * Merges the inputs, or does nothing when a deletion or a cursor came meanwhile: then choose again.
 * A cursor's place in a part holds in one that was written anew.
 */
static bool merge_inputs(struct span *s, const struct merge_plan *plan, struct err *e)
{
    const struct input_list *in = plan->in;
    struct feed_merge fm;
    bool ok;

    if (!check_room(s, input_bytes(in), e))
        return false;
    if (in->n == 1 && plan->shard != MANIFEST_SHARD_ALL)
        return merge_bracketed(s, plan, NULL, e);
    if (!feeds_merge_begin(&fm, s, plan->shard, in->v[0].info.seq_from,
                           in->v[in->n - 1].info.seq_to))
        return true;
    ok = merge_bracketed(s, plan, &fm, e);
    feeds_merge_end(&fm);
    return ok;
}

bool span_drop_passed(struct span *s, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(inputs_fini) struct input_list in = { 0 };
    struct input_list none = { 0 };
    struct merge_edit edit = { &in, &none, s, UINT64_MAX, false };
    uint64_t *numbers;
    size_t n;
    LOCKED(&s->merge_mu);

    n = feeds_passed_parts(s, &a, &numbers);
    if (!n)
        return true;
    mutex_lock(&s->mu);
    for (size_t i = 0; i < s->parts.n; i++) {
        for (size_t k = 0; k < n; k++) {
            if (s->parts.v[i].info.number == numbers[k])
                add_input(&in, &s->parts.v[i]);
        }
    }
    mutex_unlock(&s->mu);
    if (!partition_commit(s->store, edit_merge, &edit, e))
        return false;
    swap_parts(s, &in, &none);
    return true;
}

bool span_merge(struct span *s, struct err *e)
{
    LOCKED(&s->merge_mu);
    for (;;) {
        OWNED(inputs_fini) struct input_list in = { 0 };

        if (!choose(s, &in))
            return true;
        struct merge_plan plan = { &in, in.v[0].info.shard, 1 };
        if (!merge_inputs(s, &plan, e))
            return false;
    }
}

/* ---- cleaning after deletions ---- */

// A part of which a mask hides rows, or may.
static bool choose_masked(struct span *s, struct input_list *out)
{
    OWNED(manifest_fini) struct manifest m = { 0 };

    partition_manifest(s->store, &m);
    LOCKED(&s->mu);
    for (size_t i = 0; i < s->parts.n; i++) {
        for (size_t k = 0; k < m.masks.n; k++) {
            if (!manifest_mask_hides(&m.masks.v[k], &s->parts.v[i].info))
                continue;
            add_input(out, &s->parts.v[i]);
            return true;
        }
    }
    return false;
}

bool span_clean(struct span *s, struct err *e)
{
    LOCKED(&s->merge_mu);
    if (!span_open(s, false, e))
        return false;
    for (;;) {
        OWNED(inputs_fini) struct input_list in = { 0 };

        if (!choose_masked(s, &in))
            return true;
        struct merge_plan plan = { &in, in.v[0].info.shard, 1 };
        if (!merge_inputs(s, &plan, e))
            return false;
    }
}

/* ---- closing ---- */

static uint64_t cuts_for(uint64_t bytes)
{
    return bytes / CLOSED_PART_BYTES + 1;
}

// Whether the parts are as closing leaves them: all shards together, no two over the same ids.
static bool is_merged(const struct manifest *m)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < m->parts.n; i++) {
        if (m->parts.v[i].shard != MANIFEST_SHARD_ALL)
            return false;
        bytes += m->parts.v[i].bytes;
    }
    if (m->masks.n) // deleted rows are in parts that could be without them
        return false;
    return m->parts.n <= 2 * cuts_for(bytes) - 1;
}

bool span_is_due_to_close(struct span *s)
{
    struct metrics_tenant *t = s->tenant;
    OWNED(manifest_fini) struct manifest m = { 0 };
    int64_t now_ns = clock_mono_ns(t->m->clock);
    int64_t last_ns = atomic_load_explicit(&s->appended_mono_ns, memory_order_relaxed);
    bool newest;

    mutex_lock(&t->snapshot_mu);
    newest = t->spans.n && t->spans.v[t->spans.n - 1] == s;
    mutex_unlock(&t->snapshot_mu);
    if (newest || clock_ms(t->m->clock) < s->max_ms + MS_HOUR ||
        (last_ns && now_ns - last_ns < MS_HOUR * NS_MS))
        return false;
    mutex_lock(&s->merge_mu);
    last_ns = s->close_after_ns;
    mutex_unlock(&s->merge_mu);
    if (now_ns < last_ns)
        return false;
    partition_manifest(s->store, &m);
    if (!is_merged(&m) || m.segments.n > 1 || span_has_logs(s))
        return true;
    return atomic_load_explicit(&s->is_open, memory_order_acquire) &&
           catalog_freeze_is_due(s->catalog);
}

static bool merge_all(struct span *s, struct err *e)
{
    OWNED(inputs_fini) struct input_list in = { 0 };
    OWNED(manifest_fini) struct manifest m = { 0 };

    partition_manifest(s->store, &m);
    if (is_merged(&m))
        return true;
    mutex_lock(&s->mu);
    for (size_t i = 0; i < s->parts.n; i++)
        add_input(&in, &s->parts.v[i]);
    mutex_unlock(&s->mu);
    if (feeds_need(s))
        return true; // a part came meanwhile
    if (in.n != m.parts.n)
        return err_set(e, ERR_CORRUPT, "a damaged part of %s keeps it from being merged", s->name);
    struct merge_plan plan = { &in, MANIFEST_SHARD_ALL, cuts_for(input_bytes(&in)) };
    return merge_inputs(s, &plan, e);
}

// Lets go of the logs. The next late row gets new ones.
static void let_go_of_logs(struct span *s)
{
    VEC(struct log_stream *) streams = { 0 };
    struct log_group *g = NULL;
    struct err e = { 0 }; // an empty log that stays is deleted at the next start
    LOCKED(&s->open_mu);

    mutex_lock(&s->mu);
    if (!s->tails.n && !s->appenders) {
        g = s->logs;
        s->logs = NULL;
        for (size_t i = 0; i < s->catalog_streams.n; i++)
            *vec_push(&streams) = s->catalog_streams.v[i];
        s->catalog_streams.n = 0;
    }
    mutex_unlock(&s->mu);
    if (!g)
        return;
    s->catalog_log = partition_number(s->store);
    catalog_rotate(s->catalog, s->catalog_log);
    for (size_t i = 0; i < streams.n; i++) {
        log_stream_retire(streams.v[i]);
        if (!file_remove(log_stream_path(streams.v[i]), &e))
            log_warn("metrics", "empty log is not deleted", KV_ERR(&e));
        log_stream_put(streams.v[i]);
    }
    vec_fini(&streams);
    log_group_free(g);
}

/*
 * A number for the final segment, above those of all logs whose rows its slices know: rows of later
 * logs are of larger sequence. False: there are logs.
 */
static bool number_after_logs(struct span *s, uint64_t *number)
{
    LOCKED(&s->open_mu); // logs get their numbers under it
    *number = partition_number(s->store);
    return !span_has_logs(s);
}

static bool close_writing(struct span *s, struct err *e)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    uint64_t number;
    LOCKED(&s->work_mu);

    if (!span_flush_locked(s, false, e))
        return false;
    if (!number_after_logs(s, &number))
        return true; // rows are on their way
    atomic_store_explicit(&s->is_final, true, memory_order_relaxed);
    partition_manifest(s->store, &m);
    if ((m.segments.n > 1 || catalog_freeze_is_due(s->catalog) || s->catalog_streams.n) &&
        !span_freeze_locked(s, number, e))
        return false;
    let_go_of_logs(s);
    return true;
}

bool span_close_writing(struct span *s, struct err *e)
{
    LOCKED(&s->merge_mu);
    s->close_after_ns = clock_mono_ns(s->tenant->m->clock) + CLOSE_RETRY_NS;
    if (!span_open(s, false, e) || !close_writing(s, e))
        return false;
    if (feeds_need(s))
        return true; // a cursor reads shard by shard; another time
    if (!merge_all(s, e))
        return false;
    log_info("metrics", "partition closed", KV("partition", s->name));
    return true;
}
