// prometheus_admin.c - snapshots and deleting over HTTP, for those who switched it on.
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus_priv.h"

static bool allowed(struct http_exchange *x)
{
    if (prom_refuse_agent(x))
        return false;
    if (prom_face_of(x)->o.enable_admin)
        return true;
    prom_error(x, "unavailable", STR("admin APIs disabled"));
    return false;
}

static void snapshot(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    bool skip_head = false;
    char name[64];
    struct err e;

    if (!allowed(x))
        return;
    struct http_form form = prom_form(x);
    struct str s = http_form_get(&form, STR("skip_head"));
    if (s.n && !prom_bool_parse(s, &skip_head)) {
        s = prom_quote(&x->arena, s);
        prom_bad_parameter(
            x, "skip_head",
            arena_printf(&x->arena,
                         "unable to parse boolean: strconv.ParseBool: parsing %.*s: invalid syntax",
                         STRF(s)));
        return;
    }
    if (!metrics_snapshot(f->o.metrics, skip_head, name, &e)) {
        prom_error(x, "internal", arena_printf(&x->arena, "create snapshot: %s", e.text));
        return;
    }
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "name");
    json_str(&w, str_c(name));
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

// Matchers of one selector, the name's among them, deleted in the times.
static bool delete_selector(struct metrics_tenant *tenant, const struct promql *p,
                            struct prom_time start, struct prom_time end, struct err *e)
{
    const struct promql_node *n = p->root;
    struct metrics_delete d = {
        .matchers = n->selector.matchers,
        .matcher_count = n->selector.matcher_count,
        .min_ms = prom_time_storage_ms(start),
        .max_ms = prom_time_storage_ms(end),
    };

    return metrics_delete(tenant, &d, e);
}

static void delete_series(struct http_exchange *x)
{
    OWNED(prom_selectors_fini) struct prom_selectors s = { 0 };
    struct http_form form;
    struct prom_time start = PROM_TIME_MIN, end = PROM_TIME_MAX;
    struct str problem;
    struct err e;
    bool answered;

    if (!allowed(x) || !prom_form_strict(x, &form))
        return;
    if (!http_form_get(&form, STR("match[]")).p) {
        prom_error(x, "bad_data", STR("no match[] parameter provided"));
        return;
    }
    if (!prom_time_param(x, &form, "start", &start) || !prom_time_param(x, &form, "end", &end))
        return;
    if (!prom_selectors_parse(&x->arena, &form, &s, &problem)) {
        prom_bad_parameter(x, "match[]", problem);
        return;
    }
    struct metrics_tenant *tenant = prom_tenant(x, &answered);
    if (answered)
        return;
    for (size_t i = 0; tenant && i < s.n; i++) {
        if (!delete_selector(tenant, &s.v[i], start, end, &e)) {
            prom_error(x, "internal", str_c(e.text));
            return;
        }
    }
    http_status(x, 204);
}

static void clean_tombstones(struct http_exchange *x)
{
    struct err e;

    if (!allowed(x))
        return;
    if (metrics_clean(prom_face_of(x)->o.metrics, &e))
        http_status(x, 204);
    else
        prom_error(x, "internal", str_c(e.text));
}

void prom_routes_admin(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "POST PUT", "/api/v1/admin/tsdb/snapshot", snapshot);
    prom_route(f, s, "POST PUT", "/api/v1/admin/tsdb/delete_series", delete_series);
    prom_route(f, s, "POST PUT", "/api/v1/admin/tsdb/clean_tombstones", clean_tombstones);
}
