// metric.c - the registry of the program's own metrics.
// SPDX-License-Identifier: Apache-2.0
#include "base/metric.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"

enum { BOUNDS_MAX = 62 };

struct metric {
    struct metric *next; // of the family, oldest first
    struct str *labels;
    const struct metric_family *family;
    _Atomic uint64_t bits;  // the value as a double
    _Atomic uint64_t count; // histogram
    _Atomic uint64_t *counts;
};

struct metric_family {
    const char *name, *help;
    enum metric_kind kind;
    const char *const *label_names;
    size_t label_count;
    const double *bounds;
    size_t bound_count;
    double (*read)(void *ctx);
    void *read_ctx;
    struct metric *first, **last; // under registry.mu
};

// The one registry of the process: families are constants of the program, found by name.
static struct {
    struct mutex mu;
    VEC(struct metric_family *) families; // under mu, sorted by name
} registry = { .mu = MUTEX_INIT("metric", RANK_LEAF) };

// Position of the name among the sorted families.
static size_t family_at_locked(const char *name)
{
    size_t lo = 0, hi = registry.families.n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (strcmp(registry.families.v[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct metric_family *family_locked(const char *name, const char *help,
                                           enum metric_kind kind)
{
    size_t at = family_at_locked(name);

    if (at < registry.families.n && strcmp(registry.families.v[at]->name, name) == 0)
        return registry.families.v[at];
    struct metric_family *f = xcalloc(1, sizeof *f);
    *f = (struct metric_family){ .name = name, .help = help, .kind = kind };
    f->last = &f->first;
    vec_push(&registry.families);
    memmove(registry.families.v + at + 1, registry.families.v + at,
            (registry.families.n - at - 1) * sizeof f);
    registry.families.v[at] = f;
    return f;
}

struct metric_family *metric_family(const char *name, const char *help, enum metric_kind kind,
                                    const char *const *label_names, size_t label_count)
{
    LOCKED(&registry.mu);
    struct metric_family *f = family_locked(name, help, kind);

    assert(f->kind == kind);
    assert(!f->first || f->label_count == label_count); // its children have so many values
    f->label_names = label_names;
    f->label_count = label_count;
    return f;
}

static bool labels_are(const struct metric *m, const struct str *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!str_eq(m->labels[i], values[i]))
            return false;
    return true;
}

static struct metric *child_locked(struct metric_family *f, const struct str *values)
{
    for (struct metric *m = f->first; m; m = m->next)
        if (labels_are(m, values, f->label_count))
            return m;
    struct metric *m = xcalloc(1, sizeof *m);
    m->family = f;
    m->labels = xcalloc(f->label_count, sizeof *m->labels);
    for (size_t i = 0; i < f->label_count; i++)
        m->labels[i] = str_of(xstrdup_str(values[i]), values[i].n);
    if (f->kind == METRIC_HISTOGRAM || f->kind == METRIC_SUMMARY)
        m->counts = xcalloc(f->bound_count + 1, sizeof *m->counts);
    *f->last = m;
    f->last = &m->next;
    return m;
}

struct metric *metric_child(struct metric_family *f, const struct str *label_values)
{
    LOCKED(&registry.mu);

    return child_locked(f, label_values);
}

struct metric *metric_plain(const char *name, const char *help, enum metric_kind kind)
{
    LOCKED(&registry.mu);

    return child_locked(family_locked(name, help, kind), NULL);
}

struct metric_family *metric_histogram_family(const char *name, const char *help,
                                              const double *bounds, size_t n,
                                              const char *const *label_names, size_t label_count)
{
    LOCKED(&registry.mu);
    struct metric_family *f = family_locked(name, help, METRIC_HISTOGRAM);

    assert(n <= BOUNDS_MAX);
    for (size_t i = 1; i < n; i++)
        assert(bounds[i - 1] < bounds[i]);
    f->bounds = bounds;
    f->bound_count = n;
    f->label_names = label_names;
    f->label_count = label_count;
    return f;
}

struct metric *metric_histogram(const char *name, const char *help, const double *bounds, size_t n)
{
    return metric_child(metric_histogram_family(name, help, bounds, n, NULL, 0), NULL);
}

void metric_add(struct metric *m, double v)
{
    uint64_t old = atomic_load_explicit(&m->bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&m->bits, &old,
                                                  double_bits(double_from_bits(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void metric_set(struct metric *m, double v)
{
    atomic_store_explicit(&m->bits, double_bits(v), memory_order_relaxed);
}

void metric_observe(struct metric *m, double v)
{
    const struct metric_family *f = m->family;
    size_t i = 0;

    assert(m->counts && "a histogram or summary");
    while (i < f->bound_count && v > f->bounds[i])
        i++;
    atomic_fetch_add_explicit(&m->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
    metric_add(m, v);
}

double metric_get(const struct metric *m)
{
    return double_from_bits(atomic_load_explicit(&m->bits, memory_order_relaxed));
}

void metric_on_read(const char *name, const char *help, enum metric_kind kind,
                    double (*read)(void *ctx), void *ctx)
{
    LOCKED(&registry.mu);
    struct metric_family *f = family_locked(name, help, kind);

    f->read = read;
    f->read_ctx = ctx;
}

static void visit_child(const struct metric_family *f, const struct metric *m,
                        void (*visit)(void *ctx, const struct metric_sample *s), void *ctx)
{
    uint64_t counts[BOUNDS_MAX + 1];
    struct metric_sample s = { .family = str_c(f->name),
                               .help = str_c(f->help),
                               .kind = f->kind,
                               .label_names = f->label_names,
                               .label_values = m ? m->labels : NULL,
                               .label_count = m ? f->label_count : 0,
                               .value = m ? metric_get(m) : f->read(f->read_ctx) };

    if (m && m->counts) {
        for (size_t i = 0; i <= f->bound_count; i++)
            s.count += counts[i] = atomic_load_explicit(&m->counts[i], memory_order_relaxed);
        s.bounds = f->bounds;
        s.bound_count = f->bound_count;
        s.counts = counts;
    }
    visit(ctx, &s);
}

void metric_each(void (*visit)(void *ctx, const struct metric_sample *s), void *ctx)
{
    // Families and children are never freed, and lists only grow: copy the heads, visit unlocked.
    VEC(struct metric_family *) families = { 0 };

    mutex_lock(&registry.mu);
    vec_reserve(&families, registry.families.n);
    for (size_t i = 0; i < registry.families.n; i++)
        *vec_push(&families) = registry.families.v[i];
    mutex_unlock(&registry.mu);
    for (size_t i = 0; i < families.n; i++) {
        struct metric_family *f = families.v[i];
        if (f->read)
            visit_child(f, NULL, visit, ctx);
        mutex_lock(&registry.mu);
        struct metric *m = f->first;
        mutex_unlock(&registry.mu);
        while (m) {
            visit_child(f, m, visit, ctx);
            mutex_lock(&registry.mu);
            m = m->next;
            mutex_unlock(&registry.mu);
        }
    }
    vec_fini(&families);
}
