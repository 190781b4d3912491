// pushgateway_store.c - the groups: batches, snapshots, pushes and deletes.
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "base/sort.h"
#include "face/pushgateway_priv.h"

#define PUSH_TIME_HELP    "Last Unix time when changing this group in the Pushgateway succeeded."
#define PUSH_FAILURE_HELP "Last Unix time when changing this group in the Pushgateway failed."

int64_t push_now_ns(struct pushgateway *g)
{
    return g->o.clock == clock_real() ? wall_ns() : clock_ms(g->o.clock) * NS_MS;
}

/* ---- batches ---- */

struct push_batch *push_batch_new(void)
{
    struct push_batch *b = xcalloc(1, sizeof *b);

    atomic_init(&b->refs, 1);
    return b;
}

struct push_batch *push_batch_get(struct push_batch *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void push_batch_put(struct push_batch *b)
{
    // release: what was read is read before; pairs with the acquire of whoever is last
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (b->charged_to)
        atomic_fetch_sub_explicit(b->charged_to, b->charged, memory_order_relaxed);
    arena_fini(&b->arena);
    xfree(b);
}

static int label_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct expo_label *)a)->name, ((const struct expo_label *)b)->name);
}

void push_batch_group(struct push_batch *b, struct expo_label *v, size_t n)
{
    OWNED(buf_fini) struct buf key = { 0 };

    sort_stable(v, n, sizeof *v, label_order, NULL);
    for (size_t i = 0; i < n; i++) {
        buf_varint(&key, v[i].name.n);
        buf_str(&key, v[i].name);
        buf_varint(&key, v[i].value.n);
        buf_str(&key, v[i].value);
    }
    b->label = v;
    b->labels = n;
    b->key = arena_str(&b->arena, buf_view(&key));
}

// The metric's labels with those of the group set, and an instance.
static void set_labels(struct push_batch *b, struct expo_metric *m)
{
    struct expo_label *v = arena_array(&b->arena, m->labels + b->labels + 1, struct expo_label);
    size_t n = m->labels;
    bool instance = false;

    for (size_t i = 0; i < n; i++)
        v[i] = m->label[i];
    for (size_t k = 0; k < b->labels; k++) {
        size_t at = 0;

        while (at < m->labels && !str_eq(v[at].name, b->label[k].name))
            at++;
        v[at < m->labels ? at : n++] = b->label[k];
    }
    for (size_t i = 0; i < n; i++)
        instance |= str_eq(v[i].name, STR("instance"));
    if (!instance)
        v[n++] = (struct expo_label){ STR("instance"), STR("") };
    sort_stable(v, n, sizeof *v, label_order, NULL);
    m->label = v;
    m->labels = n;
}

static uint64_t hash_of(struct buf *scratch, const struct expo_metric *m)
{
    buf_reset(scratch);
    for (size_t i = 0; i < m->labels; i++) {
        buf_varint(scratch, m->label[i].name.n);
        buf_str(scratch, m->label[i].name);
        buf_varint(scratch, m->label[i].value.n);
        buf_str(scratch, m->label[i].value);
    }
    return hash_keyed(buf_view(scratch));
}

struct push_family *push_batch_add(struct push_batch *b, const struct expo_whole *w, int64_t t_ns)
{
    OWNED(buf_fini) struct buf scratch = { 0 };
    struct push_family *f = arena_new(&b->arena, struct push_family);
    size_t at = 0;

    *f = (struct push_family){ .batch = b,
                               .head = w->family,
                               .metric = w->metric,
                               .n = w->n,
                               .odd = w->odd,
                               .hash = arena_array(&b->arena, w->n, uint64_t),
                               .t_ns = t_ns };
    for (size_t i = 0; i < f->n; i++) {
        if (!b->plain)
            set_labels(b, &f->metric[i]);
        f->hash[i] = hash_of(&scratch, &f->metric[i]);
    }
    while (at < b->families.n && str_cmp(b->families.v[at]->head.name, f->head.name) < 0)
        at++;
    if (at < b->families.n && str_eq(b->families.v[at]->head.name, f->head.name)) {
        b->families.v[at] = f;
        return f;
    }
    vec_push_in(&b->arena, &b->families);
    memmove(b->families.v + at + 1, b->families.v + at,
            (b->families.n - 1 - at) * sizeof *b->families.v);
    b->families.v[at] = f;
    return f;
}

// push_time_seconds or push_failure_time_seconds; t_ns 0: never.
static void add_time(struct push_batch *b, struct str name, const char *help, int64_t value_ns,
                     int64_t t_ns)
{
    struct expo_whole w = { .family = { .name = name, .help = str_c(help), .type = EXPO_GAUGE },
                            .metric = arena_new(&b->arena, struct expo_metric),
                            .n = 1,
                            .odd = 1 };

    w.metric->value = (double)value_ns / 1e9;
    push_batch_add(b, &w, t_ns);
}

/* ---- snapshots ---- */

struct push_snapshot push_snapshot_get(struct pushgateway *g, struct arena *a)
{
    LOCKED(&g->mu);
    struct push_snapshot s = { arena_array(a, g->families.n, struct push_family *), g->families.n };

    for (size_t i = 0; i < s.n; i++) {
        s.v[i] = g->families.v[i];
        push_batch_get(s.v[i]->batch);
    }
    return s;
}

void push_snapshot_put(struct push_snapshot *s)
{
    for (size_t i = 0; i < s->n; i++)
        push_batch_put(s->v[i]->batch);
    s->n = 0;
}

/* ---- changes, all under the mutex ---- */

static void changed_locked(struct pushgateway *g)
{
    g->dirty = true;
    cond_wake(&g->wake);
}

static bool is_push_time(struct str name)
{
    return str_eq(name, PUSH_TIME_NAME) || str_eq(name, PUSH_FAILURE_NAME);
}

static struct push_family *find_in(const struct push_batch *b, struct str name)
{
    size_t lo = 0, hi = b->families.n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(b->families.v[mid]->head.name, name);

        if (c == 0)
            return b->families.v[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static int family_order(const struct push_family *x, const struct push_family *y)
{
    int c = str_cmp(x->head.name, y->head.name);

    return c ? c : str_cmp(x->batch->key, y->batch->key);
}

// Puts the families of the batch into the array, in the place of those they replace.
static void merge_locked(struct pushgateway *g, struct push_batch *b, enum push_mode mode)
{
    VEC(struct push_family *) out = { 0 };
    size_t k = 0;

    vec_reserve(&out, g->families.n + b->families.n);
    for (size_t i = 0; i < g->families.n; i++) {
        struct push_family *f = g->families.v[i];
        bool same = str_eq(f->batch->key, b->key);

        while (k < b->families.n && family_order(b->families.v[k], f) < 0)
            *vec_push(&out) = b->families.v[k++];
        if (same &&
            ((mode == PUSH_REPLACE && !is_push_time(f->head.name)) || find_in(b, f->head.name)))
            push_batch_put(f->batch);
        else
            *vec_push(&out) = f;
    }
    while (k < b->families.n)
        *vec_push(&out) = b->families.v[k++];
    for (size_t i = 0; i < b->families.n; i++)
        push_batch_get(b);
    if (!b->charged_to) {
        b->charged_to = &g->bytes;
        b->charged = b->arena.taken_bytes;
        atomic_fetch_add_explicit(&g->bytes, b->charged, memory_order_relaxed);
    }
    vec_fini(&g->families);
    g->families.v = out.v;
    g->families.n = out.n;
    g->families.cap = out.cap;
    changed_locked(g);
}

// The family of that name in the group.
static struct push_family *find_locked(struct pushgateway *g, struct str name, struct str key)
{
    size_t lo = 0, hi = g->families.n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        struct push_family *f = g->families.v[mid];
        int c = str_cmp(f->head.name, name);

        c = c ? c : str_cmp(f->batch->key, key);
        if (c == 0)
            return f;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static void note_failure_locked(struct pushgateway *g, const struct push_batch *failed,
                                int64_t t_ns)
{
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct expo_label *v = arena_array(&b->arena, failed->labels, struct expo_label);

    for (size_t i = 0; i < failed->labels; i++)
        v[i] = (struct expo_label){ arena_str(&b->arena, failed->label[i].name),
                                    arena_str(&b->arena, failed->label[i].value) };
    push_batch_group(b, v, failed->labels);
    add_time(b, PUSH_FAILURE_NAME, PUSH_FAILURE_HELP, t_ns, t_ns);
    if (!find_locked(g, PUSH_TIME_NAME, b->key))
        add_time(b, PUSH_TIME_NAME, PUSH_TIME_HELP, 0, t_ns);
    merge_locked(g, b, PUSH_UPDATE);
}

bool push_store_push(struct pushgateway *g, struct push_batch *b, enum push_mode mode,
                     struct err *e)
{
    int64_t t_ns = push_now_ns(g);
    LOCKED(&g->mu);

    if (atomic_load_explicit(&g->bytes, memory_order_relaxed) + b->arena.taken_bytes >
        g->o.memory_max)
        return err_set(e, ERR_LIMIT, "pushed metrics take more than %zu bytes of memory",
                       g->o.memory_max);
    add_time(b, PUSH_TIME_NAME, PUSH_TIME_HELP, t_ns, t_ns);
    if (!find_locked(g, PUSH_FAILURE_NAME, b->key))
        add_time(b, PUSH_FAILURE_NAME, PUSH_FAILURE_HELP, 0, t_ns);
    if (!push_check(g, b, mode, e)) {
        note_failure_locked(g, b, t_ns);
        return false;
    }
    merge_locked(g, b, mode);
    return true;
}

void push_store_restore(struct pushgateway *g, struct push_batch *b)
{
    LOCKED(&g->mu);

    merge_locked(g, b, PUSH_UPDATE);
}

// key NULL: all groups.
static void take_out(struct pushgateway *g, const struct str *key)
{
    LOCKED(&g->mu);
    size_t n = 0;

    for (size_t i = 0; i < g->families.n; i++) {
        struct push_family *f = g->families.v[i];

        if (!key || str_eq(f->batch->key, *key))
            push_batch_put(f->batch);
        else
            g->families.v[n++] = f;
    }
    g->families.n = n;
    changed_locked(g);
}

void push_store_delete(struct pushgateway *g, struct str key)
{
    take_out(g, &key);
}

void push_store_wipe(struct pushgateway *g)
{
    take_out(g, NULL);
}

static double time_of(struct push_family *const *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i]->head.name, name) && v[i]->n)
            return v[i]->metric[0].value;
    return 0;
}

bool push_group_is_good(struct push_family *const *v, size_t n)
{
    return time_of(v, n, PUSH_FAILURE_NAME) <= time_of(v, n, PUSH_TIME_NAME);
}
