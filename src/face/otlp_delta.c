// otlp_delta.c - see otlp_delta.h.
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp_delta.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"

enum {
    STREAMS_MAX = 500000,
    BYTES_MAX = 256 << 20,
    STALE_MS = 300000,
    SWEEP_EVERY = 4,       // times per stale_ms
    EXP_BUCKETS_MAX = 160, // of a side; beyond, neighbours merge, as in the collector
};

struct side { // buckets of an exponential histogram, dense
    int64_t offset;
    size_t n;
    uint64_t *count;
};

struct stream {
    struct hash128 key;
    uint64_t start_ns, last_ns;
    int64_t seen_mono_ns;
    enum otlp_number number;
    int64_t i;
    double value;
    uint64_t count, zero_count;
    double sum, zero_threshold;
    bool has_sum, used;
    int32_t scale;
    size_t bound_n;
    double *bound;
    struct side pos, neg; // pos: also counts of a histogram with bounds
};

struct otlp_delta {
    struct mutex mu; // all below
    struct otlp_delta_options o;
    VEC(struct stream) streams;
    VEC(uint32_t) free;
    struct map map;
    size_t used, bytes;
    int64_t swept_mono_ns;
};

struct otlp_delta *otlp_delta_new(const struct otlp_delta_options *o)
{
    struct otlp_delta *d = xcalloc(1, sizeof *d);

    d->o = *o;
    if (!d->o.clock)
        d->o.clock = clock_real();
    if (!d->o.streams_max)
        d->o.streams_max = STREAMS_MAX;
    if (!d->o.bytes_max)
        d->o.bytes_max = BYTES_MAX;
    if (!d->o.stale_ms)
        d->o.stale_ms = STALE_MS;
    mutex_init(&d->mu, "otlp delta", RANK_LEAF);
    d->swept_mono_ns = clock_mono_ns(d->o.clock);
    return d;
}

static size_t stream_bytes(const struct stream *s)
{
    return sizeof *s + (s->bound_n + s->pos.n + s->neg.n) * sizeof(uint64_t);
}

static void stream_clear(struct stream *s)
{
    xfree(s->bound);
    xfree(s->pos.count);
    xfree(s->neg.count);
    s->bound = NULL;
    s->pos = s->neg = (struct side){ 0 };
    s->bound_n = 0;
}

void otlp_delta_free(struct otlp_delta *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->streams.n; i++)
        stream_clear(&d->streams.v[i]);
    vec_fini(&d->streams);
    vec_fini(&d->free);
    map_fini(&d->map);
    mutex_fini(&d->mu);
    xfree(d);
}

size_t otlp_delta_streams(struct otlp_delta *d)
{
    LOCKED(&d->mu);
    return d->used;
}

/* ---- finding, making and forgetting streams ---- */

static bool same_key(const void *ctx, const void *key, uint32_t index)
{
    const struct otlp_delta *d = ctx;
    const struct hash128 *k = key;

    return d->streams.v[index].key.lo == k->lo && d->streams.v[index].key.hi == k->hi;
}

static void forget_locked(struct otlp_delta *d, uint32_t index)
{
    struct stream *s = &d->streams.v[index];

    d->bytes -= stream_bytes(s);
    d->used--;
    map_remove(&d->map, s->key.lo, index);
    stream_clear(s);
    *s = (struct stream){ 0 };
    *vec_push(&d->free) = index;
}

static void sweep_locked(struct otlp_delta *d, int64_t now_ns)
{
    int64_t stale_ns = d->o.stale_ms * NS_MS;

    if (now_ns - d->swept_mono_ns < stale_ns / SWEEP_EVERY)
        return;
    d->swept_mono_ns = now_ns;
    for (uint32_t i = 0; i < d->streams.n; i++)
        if (d->streams.v[i].used && now_ns - d->streams.v[i].seen_mono_ns > stale_ns)
            forget_locked(d, i);
}

static struct stream *add_stream_locked(struct otlp_delta *d, struct hash128 key, struct err *e)
{
    uint32_t index;

    if (d->used >= d->o.streams_max || d->bytes >= d->o.bytes_max) {
        err_set(e, ERR_LIMIT, "too many streams of delta temporality: %zu", d->used);
        return NULL;
    }
    if (d->free.n) {
        index = d->free.v[--d->free.n];
    } else {
        index = (uint32_t)d->streams.n;
        vec_push(&d->streams);
    }
    struct stream *s = &d->streams.v[index];
    *s = (struct stream){ .key = key, .used = true };
    map_add(&d->map, key.lo, index);
    d->used++;
    d->bytes += stream_bytes(s);
    return s;
}

/* ---- numbers ---- */

static void add_number(struct stream *s, const struct otlp_point *p)
{
    if (s->number == OTLP_NO_NUMBER)
        s->number = p->kind;
    if (p->kind == OTLP_NUMBER_INT && s->number == OTLP_NUMBER_INT) {
        s->i = (int64_t)((uint64_t)s->i + (uint64_t)p->i); // wraps as the sender's would
        s->value = (double)s->i;
    } else {
        s->number = OTLP_NUMBER_DOUBLE;
        s->value += p->value;
    }
}

/* ---- histograms with bounds ---- */

static void take_bounds(struct stream *s, const struct otlp_point *p)
{
    stream_clear(s);
    s->bound_n = p->bound_n;
    s->bound = xmemdup(p->bound, p->bound_n * sizeof *p->bound);
    s->pos.n = p->pos.n;
    s->pos.count = xcalloc(p->pos.n, sizeof *s->pos.count);
    s->count = 0;
    s->sum = 0;
    s->has_sum = p->has_sum;
}

static bool same_bounds(const struct stream *s, const struct otlp_point *p)
{
    return s->bound_n == p->bound_n && s->pos.n == p->pos.n &&
           (!p->bound_n || memcmp(s->bound, p->bound, p->bound_n * sizeof *p->bound) == 0);
}

static void add_count_and_sum(struct stream *s, const struct otlp_point *p)
{
    s->count += p->count;
    s->sum += p->sum;
    s->has_sum = s->has_sum && p->has_sum;
}

static void add_histogram(struct stream *s, const struct otlp_point *p)
{
    if (!same_bounds(s, p)) { // the sender changed them: anew
        take_bounds(s, p);
        s->start_ns = p->start_ns;
    }
    for (size_t i = 0; i < p->pos.n; i++)
        s->pos.count[i] += p->pos.count[i];
    add_count_and_sum(s, p);
}

/* ---- exponential histograms ---- */

struct range { // of indexes with counts: [from, to)
    int64_t from, to;
};

static struct range range_of(const uint64_t *count, size_t n, int64_t offset)
{
    size_t from = 0;

    while (n && !count[n - 1])
        n--;
    while (from < n && !count[from])
        from++;
    return (struct range){ offset + (int64_t)from, offset + (int64_t)n };
}

static struct range shifted(struct range r, int shift)
{
    if (r.from >= r.to)
        return r;
    return (struct range){ r.from >> shift, ((r.to - 1) >> shift) + 1 };
}

static struct range joined(struct range x, struct range y)
{
    if (x.from >= x.to)
        return y;
    if (y.from >= y.to)
        return x;
    return (struct range){ MIN(x.from, y.from), MAX(x.to, y.to) };
}

static int shift_of(int64_t from_scale, int64_t to_scale)
{
    return (int)MIN(from_scale - to_scale, INT64_C(62));
}

static struct range side_range(const struct stream *s, const struct side *side,
                               const struct otlp_point *p, const struct otlp_buckets *b,
                               int64_t scale)
{
    return joined(shifted(range_of(side->count, side->n, side->offset), shift_of(s->scale, scale)),
                  shifted(range_of(b->count, b->n, b->offset), shift_of(p->scale, scale)));
}

static void merge_side(struct side *side, struct range r, const struct otlp_buckets *b,
                       int own_shift, int shift)
{
    size_t n = r.to > r.from ? (size_t)(r.to - r.from) : 0;
    uint64_t *count = xcalloc(n, sizeof *count);

    for (size_t i = 0; i < side->n; i++)
        if (side->count[i])
            count[((side->offset + (int64_t)i) >> own_shift) - r.from] += side->count[i];
    for (size_t i = 0; i < b->n; i++)
        if (b->count[i])
            count[((b->offset + (int64_t)i) >> shift) - r.from] += b->count[i];
    xfree(side->count);
    *side = (struct side){ .offset = n ? r.from : 0, .n = n, .count = count };
}

static void add_exponential(struct stream *s, const struct otlp_point *p)
{
    int64_t scale = MIN(s->scale, p->scale);
    struct range pos, neg;

    for (;; scale--) {
        pos = side_range(s, &s->pos, p, &p->pos, scale);
        neg = side_range(s, &s->neg, p, &p->neg, scale);
        if (pos.to - pos.from <= EXP_BUCKETS_MAX && neg.to - neg.from <= EXP_BUCKETS_MAX)
            break;
    }
    int own = shift_of(s->scale, scale), other = shift_of(p->scale, scale);
    merge_side(&s->pos, pos, &p->pos, own, other);
    merge_side(&s->neg, neg, &p->neg, own, other);
    s->scale = (int32_t)scale;
    s->zero_count += p->zero_count;
    s->zero_threshold = MAX(s->zero_threshold, p->zero_threshold);
    add_count_and_sum(s, p);
}

/* ---- points ---- */

static bool check_order(const struct stream *s, const struct otlp_point *p, struct err *e)
{
    if (p->start_ns && p->start_ns < s->start_ns)
        return err_set(e, ERR_INVALID, "delta point starts before its stream");
    if (p->time_ns <= s->last_ns)
        return err_set(e, ERR_INVALID, "out of order sample of delta temporality");
    return true;
}

static void begin_stream(struct stream *s, enum otlp_metric_kind kind, const struct otlp_point *p)
{
    s->start_ns = p->start_ns;
    s->has_sum = true;
    s->scale = p->scale;
    if (kind == OTLP_HISTOGRAM)
        take_bounds(s, p);
}

static void fold(struct stream *s, enum otlp_metric_kind kind, const struct otlp_point *p)
{
    if (kind == OTLP_HISTOGRAM)
        add_histogram(s, p);
    else if (kind == OTLP_EXP_HISTOGRAM)
        add_exponential(s, p);
    else
        add_number(s, p);
    s->last_ns = p->time_ns;
}

static struct otlp_buckets copy_side(struct arena *a, const struct side *side)
{
    return (struct otlp_buckets){
        .offset = (int32_t)side->offset,
        .count = side->n ? arena_copy(a, side->count, side->n * sizeof *side->count) : NULL,
        .n = side->n,
    };
}

static void fill(const struct stream *s, const struct otlp_point *p, struct arena *a,
                 struct otlp_point *out)
{
    *out = *p; // attributes, exemplars, time, flags, bounds
    out->start_ns = s->start_ns;
    out->kind = s->number;
    out->i = s->i;
    out->value = s->value;
    out->count = s->count;
    out->has_sum = s->has_sum;
    out->sum = s->sum;
    out->scale = s->scale;
    out->zero_count = s->zero_count;
    out->zero_threshold = s->zero_threshold;
    out->pos = copy_side(a, &s->pos);
    out->neg = copy_side(a, &s->neg);
}

bool otlp_delta_add(struct otlp_delta *d, struct hash128 stream, enum otlp_metric_kind kind,
                    const struct otlp_point *p, struct arena *a, struct otlp_point *out,
                    struct err *e)
{
    int64_t now_ns = clock_mono_ns(d->o.clock);
    struct stream *s;
    LOCKED(&d->mu);

    if (p->flags & OTLP_FLAG_NO_RECORDED_VALUE) { // a gap, not a difference
        *out = *p;
        return true;
    }
    sweep_locked(d, now_ns);
    uint32_t index = map_find(&d->map, stream.lo, same_key, d, &stream);
    if (index != MAP_NONE) {
        s = &d->streams.v[index];
        if (!check_order(s, p, e))
            return false;
    } else {
        s = add_stream_locked(d, stream, e);
        if (!s)
            return false;
        d->bytes -= stream_bytes(s);
        begin_stream(s, kind, p);
        d->bytes += stream_bytes(s);
    }
    s->seen_mono_ns = now_ns;
    d->bytes -= stream_bytes(s);
    fold(s, kind, p);
    d->bytes += stream_bytes(s);
    fill(s, p, a, out);
    return true;
}
