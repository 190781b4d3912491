// statsd.c - sums of statsd events, flushed through the intake.
// SPDX-License-Identifier: Apache-2.0
#include "face/statsd.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/statsd.h"

enum { FORGET_MS = 3600000 };

struct entry {
    char *key;
    size_t key_n;
    enum statsd_type type;
    struct arena arena;  // of the labels
    struct label *label; // without the name
    size_t labels;
    struct str name;
    double value;          // counter, gauge; sum of a timer
    double count;          // of a timer
    VEC(double) values;    // of a timer: the last ones, a ring
    size_t at;             // in the ring
    VEC(uint64_t) members; // of a set
    int64_t event_ms;
};

struct statsd_sums {
    struct intake *in;
    struct clock *clock;
    struct arena arena; // of one run of lines
    VEC(struct entry *) entries;
    struct map by_key;
    struct buf scratch;
    struct labels_builder labels;
    struct metric *events, *malformed, *dropped;
};

struct statsd_sums *statsd_sums_new(struct intake *in, struct clock *clock)
{
    struct statsd_sums *s = xcalloc(1, sizeof *s);

    s->in = in;
    s->clock = clock;
    s->events = metric_plain("vigie_statsd_events_total", "Events taken from statsd senders.",
                             METRIC_COUNTER);
    s->malformed = metric_plain("vigie_statsd_malformed_lines_total",
                                "Lines of statsd senders that could not be read.", METRIC_COUNTER);
    s->dropped = metric_plain("vigie_statsd_dropped_events_total",
                              "Events dropped because there are too many names or members.",
                              METRIC_COUNTER);
    return s;
}

static void entry_free(struct entry *x)
{
    arena_fini(&x->arena);
    vec_fini(&x->values);
    vec_fini(&x->members);
    xfree(x->key);
    xfree(x);
}

void statsd_sums_free(struct statsd_sums *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->entries.n; i++)
        entry_free(s->entries.v[i]);
    vec_fini(&s->entries);
    map_fini(&s->by_key);
    buf_fini(&s->scratch);
    labels_builder_fini(&s->labels);
    arena_fini(&s->arena);
    xfree(s);
}

/* ---- entries ---- */

static struct str clean(struct arena *a, struct str s, bool colon)
{
    char *out = arena_raw(a, s.n + 2);
    size_t n = 0;

    if (s.n && s.p[0] >= '0' && s.p[0] <= '9')
        out[n++] = '_';
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || (colon && c == ':');
        out[n++] = good ? c : '_';
    }
    return str_of(out, n);
}

static struct entry *entry_new(struct statsd_sums *s, const struct statsd_event *v, uint64_t hash)
{
    struct entry *x = xcalloc(1, sizeof *x);

    x->key = xstrdup_str(buf_view(&s->scratch));
    x->key_n = s->scratch.n;
    x->type = v->type;
    x->name = clean(&x->arena, v->name, true);
    x->label = arena_array(&x->arena, v->tags, struct label);
    for (size_t i = 0; i < v->tags; i++)
        x->label[x->labels++] = (struct label){ clean(&x->arena, v->tag[i].name, false),
                                                arena_str(&x->arena, v->tag[i].value) };
    map_add(&s->by_key, hash, (uint32_t)s->entries.n);
    *vec_push(&s->entries) = x;
    return x;
}

// NULL: too many.
static struct entry *entry_of(struct statsd_sums *s, const struct statsd_event *v)
{
    uint64_t hash;
    uint32_t i;

    buf_reset(&s->scratch);
    buf_char(&s->scratch, (char)('0' + v->type));
    buf_str(&s->scratch, v->raw);
    buf_str(&s->scratch, v->tags_raw);
    hash = hash_keyed(buf_view(&s->scratch));
    for (size_t at = map_first(&s->by_key, hash); (i = map_at(&s->by_key, hash, &at)) != MAP_NONE;)
        if (str_eq(str_of(s->entries.v[i]->key, s->entries.v[i]->key_n), buf_view(&s->scratch)))
            return s->entries.v[i];
    return s->entries.n < STATSD_SERIES_MAX ? entry_new(s, v, hash) : NULL;
}

static void observe(struct entry *x, double v, double weight)
{
    x->value += v * weight;
    x->count += weight;
    if (x->values.n < STATSD_VALUES_MAX)
        *vec_push(&x->values) = v;
    else
        x->values.v[x->at] = v;
    x->at = (x->at + 1) % STATSD_VALUES_MAX;
}

static bool take_event(struct entry *x, const struct statsd_event *v)
{
    switch (v->type) {
    case STATSD_COUNTER:
        if (v->value >= 0) // a counter does not fall
            x->value += v->value / v->rate;
        return v->value >= 0;
    case STATSD_GAUGE:
        x->value = v->relative ? x->value + v->value : v->value;
        return true;
    case STATSD_TIMER:
        observe(x, v->value / 1000, 1 / v->rate);
        return true;
    case STATSD_DISTRIBUTION:
        observe(x, v->value, 1 / v->rate);
        return true;
    case STATSD_SET:
        if (x->members.n >= STATSD_MEMBERS_MAX)
            return false;
        *vec_push(&x->members) = hash_keyed(v->member);
        return true;
    }
    return false;
}

void statsd_lines(struct statsd_sums *s, struct str text)
{
    struct statsd p = statsd_of(&s->arena, text);
    int64_t now_ms = clock_ms(s->clock);
    struct statsd_event v;
    struct err e;
    int got;

    while ((got = statsd_next(&p, &v, &e)) != 0) {
        struct entry *x = got > 0 ? entry_of(s, &v) : NULL;

        if (x)
            x->event_ms = now_ms;
        if (got < 0)
            metric_add(s->malformed, 1);
        else
            metric_add(x && take_event(x, &v) ? s->events : s->dropped, 1);
    }
    arena_reset(&s->arena);
}

/* ---- flushing ---- */

static void put(struct statsd_sums *s, struct intake_batch *b, const struct entry *x,
                const char *suffix, struct str quantile, int64_t t_ms, double v)
{
    struct series_ref ref;

    buf_reset(&s->scratch);
    buf_str(&s->scratch, x->name);
    buf_str(&s->scratch, str_c(suffix));
    labels_builder_reset(&s->labels, (struct labels){ 0 });
    for (size_t i = 0; i < x->labels; i++)
        labels_builder_set(&s->labels, x->label[i].name, x->label[i].value);
    labels_builder_set(&s->labels, STR("quantile"), quantile);
    labels_builder_set(&s->labels, LABEL_NAME, buf_view(&s->scratch));
    (void)intake_series(b, labels_builder_view(&s->labels), NULL, &ref); // refused: counted there
    intake_float(b, ref, t_ms, v);
}

static int number_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void put_timer(struct statsd_sums *s, struct intake_batch *b, const struct entry *x,
                      int64_t t_ms)
{
    static const struct {
        struct str text;
        double at;
    } quantiles[] = { { { "0.5", 3 }, 0.5 }, { { "0.9", 3 }, 0.9 }, { { "0.99", 4 }, 0.99 } };
    OWNED(arena_fini) struct arena a = { 0 };
    double *sorted = arena_copy(&a, x->values.v, x->values.n * sizeof *sorted);

    qsort(sorted, x->values.n, sizeof *sorted, number_order);
    for (size_t i = 0; i < ARRAY_LEN(quantiles) && x->values.n; i++) {
        size_t rank = (size_t)ceil(quantiles[i].at * (double)x->values.n);
        put(s, b, x, "", quantiles[i].text, t_ms, sorted[MAX(rank, (size_t)1) - 1]);
    }
    put(s, b, x, "_sum", STR_NONE, t_ms, x->value);
    put(s, b, x, "_count", STR_NONE, t_ms, x->count);
}

static int hash_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double distinct(struct entry *x)
{
    size_t n = 0;

    qsort(x->members.v, x->members.n, sizeof *x->members.v, hash_order);
    for (size_t i = 0; i < x->members.n; i++)
        n += i == 0 || x->members.v[i] != x->members.v[i - 1];
    x->members.n = 0;
    return (double)n;
}

static void forget_idle(struct statsd_sums *s, int64_t now_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < s->entries.n; i++) {
        if (now_ms - s->entries.v[i]->event_ms < FORGET_MS)
            s->entries.v[n++] = s->entries.v[i];
        else
            entry_free(s->entries.v[i]);
    }
    if (n == s->entries.n)
        return;
    s->entries.n = n;
    map_reset(&s->by_key);
    for (size_t i = 0; i < n; i++)
        map_add(&s->by_key, hash_keyed(str_of(s->entries.v[i]->key, s->entries.v[i]->key_n)),
                (uint32_t)i);
}

bool statsd_flush(struct statsd_sums *s, struct err *e)
{
    OWNED(intake_end) struct intake_batch *b = NULL;
    int64_t now_ms = clock_ms(s->clock);
    struct intake_result r;

    forget_idle(s, now_ms);
    if (!s->entries.n)
        return true;
    if (!intake_begin(s->in, &(struct intake_request){ 0 }, &b, e))
        return false;
    for (size_t i = 0; i < s->entries.n; i++) {
        struct entry *x = s->entries.v[i];

        if (x->type == STATSD_TIMER || x->type == STATSD_DISTRIBUTION)
            put_timer(s, b, x, now_ms);
        else
            put(s, b, x, "", STR_NONE, now_ms, x->type == STATSD_SET ? distinct(x) : x->value);
    }
    intake_commit(b, &r);
    return r.status < 400 ||
           err_set(e, r.status == 503 ? ERR_UNAVAILABLE : ERR_LIMIT, "%.*s", STRF(r.text));
}
