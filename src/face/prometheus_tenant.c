/*
 * prometheus_tenant.c - whose data a request reads, and what of it it may.
 */
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant.h"
#include "auth/tenant_source.h"
#include "face/prometheus_priv.h"

bool prom_tenants(struct http_exchange *x, struct tenant_names *out)
{
    struct err e;

    if (tenants_of_request(&x->req, prom_face_of(x)->o.tenancy, &x->arena, out, &e))
        return true;
    if (e.kind == ERR_DENIED)
        prom_plain_error(x, 401, str_c(e.text));
    else
        prom_error(x, "bad_data", arena_str(&x->arena, str_c(e.text)));
    return false;
}

// The smaller of two limits, of which 0 is none.
#define LEAST(a, b) ((a) && (b) ? MIN(a, b) : MAX(a, b))

struct prom_limits prom_limits(struct http_exchange *x, const struct tenant_names *names)
{
    struct limits_store *store = prom_face_of(x)->o.limits;
    OWNED(limits_doc_put) struct limits_doc *doc = store ? limits_store_doc(store) : NULL;
    struct prom_limits out = { 0 };

    for (size_t i = 0; doc && i < names->n; i++) {
        const struct limits *l = limits_of(doc, names->v[i]);

        out.series_max = LEAST(out.series_max, l->max_fetched_series_per_query);
        out.samples_max = LEAST(out.samples_max, l->max_samples_per_query);
        out.lookback_ms = LEAST(out.lookback_ms, l->max_query_lookback_ms);
        out.length_ms = LEAST(out.length_ms, l->max_query_length_ms);
        out.expression_bytes = LEAST(out.expression_bytes, l->max_query_expression_size_bytes);
    }
    return out;
}

struct series_source *prom_source(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct tenant_source_options o = { .floor_ms = INT64_MIN };
    struct tenant_names names;

    if (!f->o.tenancy && !f->o.limits)
        return metrics_source(f->o.tenant);
    if (!prom_tenants(x, &names))
        return NULL;
    struct tenant_part *parts = arena_array(&x->arena, names.n, struct tenant_part);
    for (size_t i = 0; i < names.n; i++) {
        struct metrics_tenant *t = metrics_tenant_find(f->o.metrics, names.v[i]);
        parts[i] = (struct tenant_part){ names.v[i], t ? metrics_source(t) : NULL };
    }
    struct prom_limits limits = prom_limits(x, &names);
    o.parts = parts;
    o.part_count = names.n;
    o.series_max = limits.series_max;
    if (limits.lookback_ms)
        o.floor_ms = clock_ms(f->o.clock) - limits.lookback_ms;
    return tenant_source_new(&x->arena, &o);
}

struct metrics_tenant *prom_tenant(struct http_exchange *x, bool *answered)
{
    struct prom_face *f = prom_face_of(x);
    struct tenant_names names;

    *answered = false;
    if (!f->o.tenancy)
        return f->o.tenant;
    if (!prom_tenants(x, &names)) {
        *answered = true;
        return NULL;
    }
    if (names.n == 1)
        return metrics_tenant_find(f->o.metrics, names.v[0]);
    prom_error(x, "bad_data", STR("multiple org IDs present"));
    *answered = true;
    return NULL;
}
