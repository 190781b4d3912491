// otlp_fuzz.h - walks a request of metrics and reads everything in it.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/otlp_metrics.h"

struct otlp_fuzz {
    struct arena arena;
    struct buf text;
    uint64_t sum;
};

static inline void otlp_fuzz_attrs(struct otlp_fuzz *f, struct otlp_attrs attrs)
{
    for (size_t i = 0; i < attrs.n && f->text.n < 1 << 20; i++)
        buf_otlp_value(&f->text, &attrs.v[i].value);
    buf_reset(&f->text);
}

static inline bool otlp_fuzz_resource(void *ctx, const struct otlp_resource *r, struct err *e)
{
    (void)e;
    otlp_fuzz_attrs(ctx, r->attrs);
    return true;
}

static inline bool otlp_fuzz_scope(void *ctx, const struct otlp_scope *s, struct err *e)
{
    (void)e;
    otlp_fuzz_attrs(ctx, s->attrs);
    return true;
}

static inline bool otlp_fuzz_point(void *ctx, const struct otlp_point *p, struct err *e)
{
    struct otlp_fuzz *f = ctx;
    struct otlp_attrs attrs;

    if (!otlp_point_attrs(p, &f->arena, &attrs, e))
        return false;
    otlp_fuzz_attrs(f, attrs);
    for (size_t i = 0; i < p->pos.n; i++)
        f->sum += p->pos.count[i];
    for (size_t i = 0; i < p->neg.n; i++)
        f->sum += p->neg.count[i];
    for (size_t i = 0; i < p->bound_n; i++)
        f->sum += p->bound[i] > 0;
    for (size_t i = 0; i < p->quantile_n; i++)
        f->sum += p->quantile[i].value > 0;
    for (size_t i = 0; i < p->exemplar_n; i++) {
        otlp_fuzz_attrs(f, p->exemplar[i].attrs);
        f->sum += p->exemplar[i].trace_id.n + p->exemplar[i].span_id.n;
    }
    return true;
}

static inline bool otlp_fuzz_item(void *ctx, const struct otlp_item *item, struct err *e)
{
    struct otlp_fuzz *f = ctx;
    struct otlp_metric m;

    return otlp_metric_read(item, &m, e) &&
           otlp_metric_points(&m, &f->arena, otlp_fuzz_point, f, e);
}

static inline void otlp_fuzz_run(bool json, struct str in)
{
    struct otlp_fuzz f = { 0 };
    const struct otlp_walk w = { .signal = OTLP_METRICS,
                                 .arena = &f.arena,
                                 .ctx = &f,
                                 .resource = otlp_fuzz_resource,
                                 .scope = otlp_fuzz_scope,
                                 .item = otlp_fuzz_item };
    struct err e = { 0 };
    bool ok = json ? otlp_walk_json(&w, in, &e) : otlp_walk_proto(&w, in, &e);

    assert(ok || (e.kind != ERR_NONE && e.text[0]));
    // Memory is that of the largest object, whatever the input.
    assert(f.arena.taken_bytes < (64 << 20));
    arena_fini(&f.arena);
    buf_fini(&f.text);
}
