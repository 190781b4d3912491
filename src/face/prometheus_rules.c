/*
 * prometheus_rules.c - rules and alerts. There is no rule engine yet: lists are empty, parameters are
 * checked all the same, so that clients learn of their mistakes today.
 */
// SPDX-License-Identifier: Apache-2.0
#include "face/prometheus_priv.h"

static bool type_is_good(struct http_exchange *x, const struct http_form *form)
{
    struct str type = http_form_get(form, STR("type"));

    if (!type.n || str_eq_nocase(type, STR("alert")) || str_eq_nocase(type, STR("record")))
        return true;
    type = prom_quote(&x->arena, type);
    prom_bad_parameter(x, "type", arena_printf(&x->arena, "not supported value %.*s", STRF(type)));
    return false;
}

static bool exclude_is_good(struct http_exchange *x, const struct http_form *form)
{
    struct str s = http_form_get(form, STR("exclude_alerts"));
    bool unused;

    if (!s.n || prom_bool_parse(s, &unused))
        return true;
    s = prom_quote(&x->arena, s);
    prom_bad_parameter(x, "exclude_alerts",
                       arena_printf(&x->arena,
                                    "error converting exclude_alerts: strconv.ParseBool: parsing "
                                    "%.*s: invalid syntax",
                                    STRF(s)));
    return false;
}

static bool group_limit(struct http_exchange *x, struct str s, int64_t *out)
{
    if (!str_to_i64(s, out) || *out != (int32_t)*out) {
        struct str why = prom_number_problem(&x->arena, "ParseInt", s);
        prom_bad_parameter(
            x, "group_limit",
            arena_printf(&x->arena, "group_limit needs to be a valid number: %.*s", STRF(why)));
        return false;
    }
    if (*out > 0)
        return true;
    prom_bad_parameter(x, "group_limit", STR("group_limit needs to be greater than 0"));
    return false;
}

static bool pages_are_good(struct http_exchange *x, const struct http_form *form)
{
    struct str limit = http_form_get(form, STR("group_limit"));
    struct str token = http_form_get(form, STR("group_next_token"));
    int64_t n = 0;

    if (token.n && !limit.n) {
        prom_bad_parameter(
            x, "group_next_token",
            STR("group_limit needs to be present in order to paginate over the groups"));
        return false;
    }
    if (limit.n && !group_limit(x, limit, &n))
        return false;
    if (!token.n)
        return true;
    prom_bad_parameter(x, "group_next_token",
                       arena_printf(&x->arena,
                                    "invalid group_next_token '%.*s'. were rule groups changed?",
                                    STRF(token)));
    return false;
}

static void reply_empty(struct http_exchange *x, const char *list)
{
    struct json_writer w = prom_reply_begin(x);

    json_object(&w);
    json_key(&w, str_c(list));
    json_array(&w);
    json_array_end(&w);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void rules(struct http_exchange *x)
{
    OWNED(prom_selectors_fini) struct prom_selectors s = { 0 };
    struct http_form form;

    if (prom_refuse_agent(x) || !prom_form_strict(x, &form))
        return;
    if (prom_selectors(x, &form, NULL, &s) && type_is_good(x, &form) && exclude_is_good(x, &form) &&
        pages_are_good(x, &form))
        reply_empty(x, "groups");
}

static void alerts(struct http_exchange *x)
{
    if (!prom_refuse_agent(x))
        reply_empty(x, "alerts");
}

void prom_routes_rules(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/api/v1/rules", rules);
    prom_route(f, s, "GET", "/api/v1/alerts", alerts);
}
