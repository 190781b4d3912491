/*
 * histogram_acc.c - accumulators of histograms.
 *
 * A side is three parallel arrays: index, count, compensation. Adding flattens
 * the other histogram into the same form (merging buckets where its schema is
 * finer) and merges two ascending sequences. Series of one metric nearly always
 * share their layout, so the first test is whether the index arrays are equal.
 *
 * Where a value depends on the order of additions, the order is upstream's.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"
#include "model/histogram_priv.h"

void hist_acc_init(struct hist_acc *x, struct arena *a)
{
    *x = (struct hist_acc){ .a = a };
}

// Room for n buckets; what is in there stays when keep is set.
static void reserve(struct hist_acc *x, struct hist_buckets *b, size_t n, bool keep)
{
    struct hist_buckets old = *b;

    if (b->cap >= n)
        return;
    assert(n < UINT32_MAX / 2);
    b->cap = (uint32_t)(n + n / 2 + 8);
    b->index = arena_raw(x->a, b->cap * sizeof *b->index);
    b->count = arena_raw(x->a, b->cap * sizeof *b->count);
    b->comp = arena_raw(x->a, b->cap * sizeof *b->comp);
    if (keep && old.n) {
        memcpy(b->index, old.index, old.n * sizeof *b->index);
        memcpy(b->count, old.count, old.n * sizeof *b->count);
        memcpy(b->comp, old.comp, old.n * sizeof *b->comp);
    }
}

static inline void push(struct hist_buckets *b, int32_t index, double count, double comp)
{
    assert(b->n < b->cap);
    b->index[b->n] = index;
    b->count[b->n] = count;
    b->comp[b->n++] = comp;
}

static void set_bounds(struct hist_acc *x, const double *bounds, uint32_t n)
{
    if (n > x->bounds_cap) {
        x->bounds_cap = n;
        x->bounds = arena_raw(x->a, n * sizeof *bounds);
    }
    if (n)
        memmove(x->bounds, bounds, n * sizeof *bounds);
    x->h.custom = x->bounds;
    x->h.custom_n = n;
}

// The buckets of a side in a schema coarser by shift. exact: merged counts are compensated sums.
static void flatten(struct hist_acc *x, struct hist_buckets *out, const struct hist_side *s,
                    int32_t shift, bool exact)
{
    struct hist_walk w = hist_walk_of(s);

    reserve(x, out, s->buckets, false);
    out->n = 0;
    while (hist_walk_next(&w)) {
        int32_t index = hist_coarser_index(w.index, shift);
        uint32_t last = out->n - 1;

        if (out->n == 0 || out->index[last] != index)
            push(out, index, w.count, 0);
        else if (exact)
            kahan_add(w.count, &out->count[last], &out->comp[last]);
        else
            out->count[last] += w.count;
    }
}

void hist_acc_set(struct hist_acc *x, const struct histogram *h)
{
    x->h = *h;
    x->h.integer = false;
    x->h.pos = x->h.neg = (struct hist_side){ 0 };
    set_bounds(x, h->custom, histogram_is_custom(h) ? h->custom_n : 0);
    flatten(x, &x->pos, &h->pos, 0, false);
    flatten(x, &x->neg, &h->neg, 0, false);
    x->zero_comp = x->count_comp = x->sum_comp = 0;
}

/* ---- resolution ---- */

static void coarsen(struct hist_buckets *b, int32_t shift, bool exact)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        int32_t index = hist_coarser_index(b->index[i], shift);

        if (n == 0 || b->index[n - 1] != index) {
            b->index[n] = index;
            b->count[n] = b->count[i];
            b->comp[n++] = b->comp[i];
        } else if (exact) {
            kahan_add(b->count[i], &b->count[n - 1], &b->comp[n - 1]);
            kahan_add(b->comp[i], &b->count[n - 1], &b->comp[n - 1]);
        } else {
            b->count[n - 1] += b->count[i];
        }
    }
    b->n = n;
}

static void reduce(struct hist_acc *x, int32_t schema, bool exact)
{
    int32_t shift = x->h.schema - schema;

    if (shift <= 0)
        return;
    coarsen(&x->pos, shift, exact);
    coarsen(&x->neg, shift, exact);
    assert(x->h.schema > schema);
    x->h.schema = schema;
}

void hist_acc_reduce(struct hist_acc *x, int32_t schema)
{
    assert(!histogram_is_custom(&x->h) && schema <= x->h.schema && schema >= HIST_SCHEMA_MIN);
    reduce(x, schema, false);
}

/* ---- the zero bucket ---- */

/*
 * Takes the buckets of one side that begin below threshold into z. True when the threshold had to
 * be raised to the end of a bucket.
 */
static bool widen_flat(const struct hist_buckets *b, int32_t schema, struct hist_zero *z)
{
    for (uint32_t i = 0; i < b->n; i++) {
        double upper = hist_bound(b->index[i], schema);

        if (hist_bound((int32_t)((uint32_t)b->index[i] - 1), schema) >= z->threshold)
            return false;
        kahan_add(b->count[i], &z->count, &z->comp);
        kahan_add(b->comp[i], &z->count, &z->comp);
        if (upper > z->threshold) {
            if (b->count[i] == 0)
                return false;
            z->threshold = upper;
            return true;
        }
    }
    return false;
}

static void widen_zero(struct hist_acc *x, double threshold)
{
    struct hist_zero z = { .threshold = threshold, .comp = x->zero_comp };

    do { // again with the positive side when the negative one raised the threshold
        z.count = x->h.zero_count; // the compensation goes on, as upstream's does
        widen_flat(&x->pos, x->h.schema, &z);
    } while (widen_flat(&x->neg, x->h.schema, &z));
    x->h.zero_count = z.count;
    x->zero_comp = z.comp;
    x->h.zero_threshold = z.threshold;
}

// Drops what lies in the zero bucket, and with it all empty buckets.
static void drop_covered(struct hist_buckets *b, int32_t schema, double threshold)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        if ((b->count[i] == 0 && b->comp[i] == 0) ||
            hist_bound((int32_t)((uint32_t)b->index[i] - 1), schema) < threshold)
            continue;
        b->index[n] = b->index[i];
        b->count[n] = b->count[i];
        b->comp[n++] = b->comp[i];
    }
    b->n = n;
}

// Gives both the same zero threshold; h is not changed: its zero bucket would be the result.
static struct hist_zero reconcile_zero(struct hist_acc *x, const struct histogram *h, bool exact)
{
    struct hist_zero z = { h->zero_threshold, h->zero_count, 0 };

    while (z.threshold < x->h.zero_threshold || z.threshold > x->h.zero_threshold) {
        if (x->h.zero_threshold > z.threshold)
            z = hist_zero_widened(h, x->h.zero_threshold);
        if (z.threshold > x->h.zero_threshold) {
            widen_zero(x, z.threshold);
            x->zero_comp = exact ? x->zero_comp : 0;
            drop_covered(&x->pos, x->h.schema, x->h.zero_threshold);
            drop_covered(&x->neg, x->h.schema, x->h.zero_threshold);
        }
    }
    return z;
}

/* ---- adding ---- */

enum mode { ADD, SUB, EXACT };

static inline void add_one(struct hist_buckets *to, uint32_t i, double count, double comp,
                           enum mode mode)
{
    if (mode != EXACT) {
        to->count[i] += count;
        return;
    }
    kahan_add(count, &to->count[i], &to->comp[i]);
    if (comp != 0)
        kahan_add(comp, &to->count[i], &to->comp[i]);
}

// Buckets of the union of two ascending sequences.
static size_t count_union(const struct hist_buckets *x, const struct hist_buckets *y)
{
    size_t n = 0;
    uint32_t i = 0, j = 0;

    for (; i < x->n && j < y->n; n++) {
        int32_t a = x->index[i], b = y->index[j];

        i += a <= b;
        j += b <= a;
    }
    return n + (x->n - i) + (y->n - j);
}

static void merge(struct hist_acc *x, struct hist_buckets *to, const struct hist_buckets *in,
                  enum mode mode)
{
    struct hist_buckets *out = &x->spare, swap;
    uint32_t i = 0, j = 0;

    assert(to != out && in != out);
    reserve(x, out, (size_t)to->n + in->n, false);
    out->n = 0;
    while (i < to->n || j < in->n) {
        bool old = i < to->n && (j == in->n || to->index[i] <= in->index[j]);
        bool both = old && j < in->n && to->index[i] == in->index[j];

        if (old)
            push(out, to->index[i], to->count[i], to->comp[i]);
        else
            push(out, in->index[j], in->count[j], mode == EXACT ? in->comp[j] : 0);
        if (both)
            add_one(out, out->n - 1, in->count[j], in->comp[j], mode);
        i += old;
        j += both || !old;
    }
    swap = *to;
    *to = *out;
    *out = swap;
}

// Adds x->input to one side.
static void add_input(struct hist_acc *x, struct hist_buckets *to, enum mode mode)
{
    struct hist_buckets *in = &x->input;

    if (mode == SUB) {
        for (uint32_t i = 0; i < in->n; i++)
            in->count[i] = -in->count[i];
    }
    if (to->n == in->n &&
        (in->n == 0 || memcmp(to->index, in->index, in->n * sizeof *in->index) == 0)) {
        for (uint32_t i = 0; i < in->n; i++)
            add_one(to, i, in->count[i], in->comp[i], mode);
    } else if (count_union(to, in) == to->n) {
        for (uint32_t i = 0, j = 0; j < in->n; i++) {
            if (to->index[i] == in->index[j]) {
                add_one(to, i, in->count[j], in->comp[j], mode);
                j++;
            }
        }
    } else {
        merge(x, to, in, mode);
    }
}

static void add_side(struct hist_acc *x, struct hist_buckets *to, const struct hist_side *s,
                     int32_t shift, enum mode mode)
{
    struct hist_buckets *in = &x->input;
    bool zero = x->h.zero_threshold > 0 && !histogram_is_custom(&x->h);
    uint32_t skip = 0;

    flatten(x, in, s, shift, mode == EXACT);
    while (zero && skip < in->n && hist_bound(in->index[skip], x->h.schema) <= x->h.zero_threshold)
        skip++;
    if (skip) { // counted in the zero bucket already
        in->n -= skip;
        memmove(in->index, in->index + skip, in->n * sizeof *in->index);
        memmove(in->count, in->count + skip, in->n * sizeof *in->count);
        memmove(in->comp, in->comp + skip, in->n * sizeof *in->comp);
    }
    add_input(x, to, mode);
}

/* ---- custom bounds ---- */

bool hist_bounds_equal(const struct histogram *x, const struct histogram *y)
{
    if (x->custom_n != y->custom_n)
        return false;
    for (uint32_t i = 0; i < x->custom_n; i++) {
        if (x->custom[i] != y->custom[i])
            return false;
    }
    return true;
}

// The bounds that both have, into room for the fewer of the two; returns their count.
static uint32_t common_bounds(double *out, const struct histogram *x, const struct histogram *y)
{
    uint32_t n = 0;

    for (uint32_t i = 0, j = 0; i < x->custom_n && j < y->custom_n;) {
        double a = x->custom[i], b = y->custom[j];

        if (a == b)
            out[n++] = a;
        i += a <= b;
        j += !(a < b); // so NaN cannot hold up the loop
    }
    return n;
}

/*
 * Adds buckets under `from` bounds into dense counts under the fewer bounds `to`: into the first
 * that reaches as far, and behind the last bound into the bucket that ends at infinity.
 */
static void map_buckets(struct hist_buckets *dense, const struct hist_buckets *in,
                        const struct histogram *from, const double *to, uint32_t to_n)
{
    uint32_t target = 0;

    for (uint32_t i = 0; i < in->n; i++) {
        uint32_t at = (uint32_t)in->index[i];

        if (at < from->custom_n) {
            while (target < to_n && to[target] < from->custom[at])
                target++;
        }
        uint32_t k = at < from->custom_n ? target : to_n;
        kahan_add(in->count[i], &dense->count[k], &dense->comp[k]);
        if (in->comp[i] != 0)
            kahan_add(in->comp[i], &dense->count[k], &dense->comp[k]);
    }
}

static void add_mismatched(struct hist_acc *x, const struct histogram *h, enum mode mode)
{
    struct hist_buckets *dense = &x->spare, *in = &x->input, swap;
    uint32_t room = MIN(x->h.custom_n, h->custom_n), n, kept = 0;

    reserve(x, dense, (size_t)room + 1, false);
    reserve(x, in, h->pos.buckets, false);
    struct arena_mark mark = arena_mark(x->a); // nothing that stays is allocated from here on
    double *common = arena_raw(x->a, room * sizeof *common);

    n = common_bounds(common, &x->h, h);
    for (uint32_t i = 0; i <= n; i++)
        dense->count[i] = dense->comp[i] = 0;
    if (mode != EXACT) {
        for (uint32_t i = 0; i < x->pos.n; i++)
            x->pos.comp[i] = 0;
    }
    map_buckets(dense, &x->pos, &x->h, common, n);
    flatten(x, in, &h->pos, 0, false);
    for (uint32_t i = 0; i < in->n && mode == SUB; i++)
        in->count[i] = -in->count[i];
    map_buckets(dense, in, h, common, n);
    for (uint32_t i = 0; i <= n; i++) {
        if (dense->count[i] == 0 && dense->comp[i] == 0)
            continue;
        assert(kept <= i);
        dense->index[kept] = (int32_t)i;
        dense->count[kept] = dense->count[i];
        dense->comp[kept++] = mode == EXACT ? dense->comp[i] : 0;
    }
    dense->n = kept;
    swap = x->pos;
    x->pos = *dense;
    *dense = swap;
    assert(n <= x->bounds_cap);
    set_bounds(x, common, n);
    arena_release(x->a, mark);
}

enum hist_reset hist_reset_join(enum hist_reset x, enum hist_reset y, bool *collision)
{
    if (x == y)
        return x;
    if (x == HIST_RESET_GAUGE || y == HIST_RESET_GAUGE)
        return HIST_RESET_GAUGE;
    if (x != HIST_RESET_UNKNOWN && y != HIST_RESET_UNKNOWN)
        *collision = true;
    return HIST_RESET_UNKNOWN;
}

static void add_scalars(struct hist_acc *x, const struct histogram *h, enum mode mode)
{
    struct hist_zero z = { 0 };

    if (!histogram_is_custom(h))
        z = reconcile_zero(x, h, mode == EXACT);
    if (mode == EXACT) {
        kahan_add(z.count, &x->h.zero_count, &x->zero_comp);
        kahan_add(z.comp, &x->h.zero_count, &x->zero_comp);
        kahan_add(h->count, &x->h.count, &x->count_comp);
        kahan_add(h->sum, &x->h.sum, &x->sum_comp);
        return;
    }
    double sign = mode == SUB ? -1 : 1;
    x->h.zero_count += sign * z.count;
    x->h.count += sign * h->count;
    x->h.sum += sign * h->sum;
}

static unsigned add(struct hist_acc *x, const struct histogram *h, enum mode mode)
{
    bool collision = false;
    unsigned notes = 0;

    if (!histogram_is_compatible(&x->h, h))
        return HIST_NOTE_INCOMPATIBLE;
    x->h.reset = hist_reset_join(x->h.reset, h->reset, &collision);
    if (collision)
        notes |= HIST_NOTE_RESET_COLLISION;
    add_scalars(x, h, mode);
    if (!histogram_is_custom(h)) {
        reduce(x, h->schema, mode == EXACT);
        add_side(x, &x->pos, &h->pos, h->schema - x->h.schema, mode);
        add_side(x, &x->neg, &h->neg, h->schema - x->h.schema, mode);
    } else if (hist_bounds_equal(&x->h, h)) {
        add_side(x, &x->pos, &h->pos, 0, mode);
    } else {
        add_mismatched(x, h, mode);
        notes |= HIST_NOTE_BOUNDS_MISMATCH;
    }
    return notes;
}

unsigned hist_acc_add(struct hist_acc *x, const struct histogram *h)
{
    return add(x, h, ADD);
}

unsigned hist_acc_sub(struct hist_acc *x, const struct histogram *h)
{
    return add(x, h, SUB);
}

unsigned hist_acc_add_exact(struct hist_acc *x, const struct histogram *h)
{
    return add(x, h, EXACT);
}

/* ---- scaling and results ---- */

static void scale_numbers(double *v, uint32_t n, double by, bool divide)
{
    for (uint32_t i = 0; i < n; i++)
        v[i] = divide ? v[i] / by : v[i] * by;
}

static void scale(struct hist_acc *x, double by, bool divide)
{
    double *const scalar[] = { &x->h.zero_count, &x->h.count,    &x->h.sum,
                               &x->zero_comp,    &x->count_comp, &x->sum_comp };

    for (size_t i = 0; i < ARRAY_LEN(scalar); i++)
        scale_numbers(scalar[i], 1, by, divide);
    scale_numbers(x->pos.count, x->pos.n, by, divide);
    scale_numbers(x->pos.comp, x->pos.n, by, divide);
    scale_numbers(x->neg.count, x->neg.n, by, divide);
    scale_numbers(x->neg.comp, x->neg.n, by, divide);
    if (by < 0)
        x->h.reset = HIST_RESET_GAUGE;
}

void hist_acc_mul(struct hist_acc *x, double factor)
{
    scale(x, factor, false);
}

void hist_acc_div(struct hist_acc *x, double divisor)
{
    if (divisor == 0)
        x->pos.n = x->neg.n = 0;
    scale(x, divisor, true);
}

// Largest finite magnitude, or infinity. NaN does not count.
static double peak_of(const double *v, uint32_t n, double peak)
{
    for (uint32_t i = 0; i < n; i++)
        peak = fabs(v[i]) > peak ? fabs(v[i]) : peak;
    return peak;
}

static double peak_of_scalars(const struct histogram *h)
{
    double v[3] = { h->zero_count, h->count, h->sum };
    double peak = peak_of(v, 3, 0);

    // A first bound of −Inf counts as an overflow upstream, so it does here.
    return h->custom_n && isinf(h->custom[0]) ? INFINITY : peak;
}

static double peak(const struct hist_acc *x)
{
    double p = peak_of(x->pos.count, x->pos.n, peak_of_scalars(&x->h));

    return peak_of(x->neg.count, x->neg.n, p);
}

bool hist_acc_overflows(const struct hist_acc *x)
{
    return isinf(peak(x));
}

// Buckets within the zero bucket keep their rounded counts, as upstream leaves them.
static void fold_side(struct hist_acc *x, struct hist_buckets *b)
{
    bool covered = x->h.zero_threshold > 0 && !histogram_is_custom(&x->h);

    for (uint32_t i = 0; i < b->n; i++) {
        covered = covered && hist_bound(b->index[i], x->h.schema) <= x->h.zero_threshold;
        if (!covered)
            b->count[i] += b->comp[i];
        b->comp[i] = 0;
    }
}

void hist_acc_fold(struct hist_acc *x)
{
    x->h.zero_count += x->zero_comp;
    x->h.count += x->count_comp;
    x->h.sum += x->sum_comp;
    x->zero_comp = x->count_comp = x->sum_comp = 0;
    fold_side(x, &x->pos);
    fold_side(x, &x->neg);
}

struct hist_side hist_side_build(struct arena *a, const int32_t *index, const double *count,
                                 uint32_t n, bool compact)
{
    struct hist_side s = { 0 };
    struct hist_span *span;
    double *to;
    int64_t end = 0; // index behind the last bucket

    for (uint32_t i = 0; i < n; i++) {
        if (compact && count[i] == 0)
            continue;
        s.spans += s.buckets == 0 || index[i] != end;
        s.buckets++;
        end = (int64_t)index[i] + 1;
    }
    s.span = span = arena_raw(a, s.spans * sizeof *span);
    s.count = to = arena_raw(a, s.buckets * sizeof *to);
    for (uint32_t i = 0, left = s.buckets; i < n; i++) {
        if (compact && count[i] == 0)
            continue;
        if (left == s.buckets)
            *span = (struct hist_span){ index[i], 0 };
        else if (index[i] != end)
            *++span = (struct hist_span){ (int32_t)(index[i] - end), 0 };
        span->length++;
        *to++ = count[i];
        left--;
        end = (int64_t)index[i] + 1;
    }
    return s;
}

struct histogram *hist_acc_get(const struct hist_acc *x, struct arena *out, bool compact)
{
    struct histogram *h = arena_copy(out, &x->h, sizeof x->h);

    h->custom = arena_copy(out, h->custom, h->custom_n * sizeof *h->custom);
    h->pos = hist_side_build(out, x->pos.index, x->pos.count, x->pos.n, compact);
    h->neg = hist_side_build(out, x->neg.index, x->neg.count, x->neg.n, compact);
    return h;
}

/* ---- means ---- */

void hist_mean_init(struct hist_mean *m, struct arena *a)
{
    *m = (struct hist_mean){ 0 };
    hist_acc_init(&m->acc, a);
}

static void copy_buckets(struct hist_acc *x, struct hist_buckets *b)
{
    struct hist_buckets from = *b;

    *b = (struct hist_buckets){ 0 };
    reserve(x, b, from.n, false);
    for (uint32_t i = 0; i < from.n; i++)
        push(b, from.index[i], from.count[i], from.comp[i]);
}

// Everything of x in room of its own.
static struct hist_acc acc_copy(const struct hist_acc *x)
{
    struct hist_acc y = *x;

    copy_buckets(&y, &y.pos);
    copy_buckets(&y, &y.neg);
    y.input = y.spare = (struct hist_buckets){ 0 };
    y.bounds = NULL;
    y.bounds_cap = 0;
    set_bounds(&y, x->h.custom, x->h.custom_n);
    return y;
}

static double peak_of_histogram(const struct histogram *h)
{
    double p = peak_of(h->pos.count, h->pos.buckets, peak_of_scalars(h));

    return peak_of(h->neg.count, h->neg.buckets, p);
}

static unsigned add_to_mean(struct hist_mean *m, const struct histogram *h)
{
    OWNED(arena_fini) struct arena scratch = { 0 };
    struct hist_acc part;

    hist_acc_mul(&m->acc, (m->n - 1) / m->n);
    hist_acc_init(&part, &scratch);
    hist_acc_set(&part, h);
    hist_acc_div(&part, m->n);
    return hist_acc_add_exact(&m->acc, hist_acc_get(&part, &scratch, false));
}

unsigned hist_mean_add(struct hist_mean *m, const struct histogram *h)
{
    m->n++;
    if (m->n == 1) {
        hist_acc_set(&m->acc, h);
        return 0;
    }
    if (!histogram_is_compatible(&m->acc.h, h))
        return HIST_NOTE_INCOMPATIBLE;
    if (m->incremental)
        return add_to_mean(m, h);
    if (peak(&m->acc) + peak_of_histogram(h) < DBL_MAX / 4) // far from any overflow
        return hist_acc_add_exact(&m->acc, h);

    struct hist_acc before = acc_copy(&m->acc);
    unsigned notes = hist_acc_add_exact(&m->acc, h);
    if (!hist_acc_overflows(&m->acc))
        return notes;
    m->acc = before;
    m->incremental = true;
    hist_acc_div(&m->acc, m->n - 1);
    return notes | add_to_mean(m, h);
}

struct histogram *hist_mean_get(const struct hist_mean *m, struct arena *out, bool compact)
{
    struct hist_acc result = acc_copy(&m->acc);

    assert(m->n > 0 && m->acc.a);
    if (!m->incremental)
        hist_acc_div(&result, m->n);
    hist_acc_fold(&result);
    return hist_acc_get(&result, out, compact);
}
