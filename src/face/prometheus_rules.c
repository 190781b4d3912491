/*
 * prometheus_rules.c - rules and alerts: /api/v1/rules with its filters and pages, /api/v1/alerts.
 */
// SPDX-License-Identifier: Apache-2.0
#include <openssl/sha.h>

#include "base/num.h"
#include "base/time.h"
#include "face/prometheus_priv.h"
#include "rules/rules.h"

/* ---- parameters ---- */

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

// What a request asks for.
struct rules_query {
    const struct http_form *form;
    struct prom_selectors selectors;
    bool alerting, recording, no_alerts;
    int64_t limit; // groups of a page; 0: all
    struct str token;
};

static bool pages_are_good(struct http_exchange *x, const struct http_form *form,
                           struct rules_query *q)
{
    struct str limit = http_form_get(form, STR("group_limit"));

    q->token = http_form_get(form, STR("group_next_token"));
    if (q->token.n && !limit.n) {
        prom_bad_parameter(
            x, "group_next_token",
            STR("group_limit needs to be present in order to paginate over the groups"));
        return false;
    }
    return !limit.n || group_limit(x, limit, &q->limit);
}

static bool read_query(struct http_exchange *x, const struct http_form *form, struct rules_query *q)
{
    struct str type = http_form_get(form, STR("type"));
    struct str exclude = http_form_get(form, STR("exclude_alerts"));

    q->form = form;
    if (!prom_selectors(x, form, NULL, &q->selectors) || !type_is_good(x, form) ||
        !exclude_is_good(x, form) || !pages_are_good(x, form, q))
        return false;
    q->alerting = !type.n || str_eq_nocase(type, STR("alert"));
    q->recording = !type.n || str_eq_nocase(type, STR("record"));
    return !exclude.n || prom_bool_parse(exclude, &q->no_alerts);
}

// Is the value one of a repeated parameter? Without the parameter everything is.
static bool is_asked(const struct http_form *form, struct str name, struct str value)
{
    bool given = false;

    for (size_t i = 0; i < form->n; i++) {
        if (!str_eq(form->v[i].name, name))
            continue;
        given = true;
        if (str_eq(form->v[i].value, value))
            return true;
    }
    return !given;
}

static bool matches(const struct prom_selectors *s, struct labels ls)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct promql_node *n = s->v[i].root;
        if (matchers_match(n->selector.matchers, n->selector.matcher_count, ls))
            return true;
    }
    return !s->n;
}

static bool rule_is_asked(const struct rules_query *q, const struct rules_rule *r)
{
    return (r->alerting ? q->alerting : q->recording) &&
           is_asked(q->form, STR("rule_name[]"), r->name) && matches(&q->selectors, r->labels);
}

/* ---- answers ---- */

static void pair(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, str_c(key));
    json_str(w, value);
}

static void number(struct json_writer *w, const char *key, double value)
{
    json_key(w, str_c(key));
    json_double(w, value);
}

// Go's zero time where there is none.
static void time_pair(struct json_writer *w, const char *key, int64_t ns)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (ns == EVAL_NEVER)
        buf_lit(&b, "0001-01-01T00:00:00Z");
    else
        buf_rfc3339_ns(&b, ns);
    pair(w, key, buf_view(&b));
}

static void labels_pair(struct json_writer *w, const char *key, struct labels ls)
{
    json_key(w, str_c(key));
    prom_json_labels(w, ls);
}

static void write_alert(struct json_writer *w, const struct rules_alert *a)
{
    char value[NUM_TEXT_MAX];

    json_object(w);
    labels_pair(w, "labels", a->labels);
    labels_pair(w, "annotations", a->annotations);
    pair(w, "state", str_c(alert_state_name(a->state)));
    time_pair(w, "activeAt", a->active_ns);
    if (a->keep_since_ns != EVAL_NEVER)
        time_pair(w, "keepFiringSince", a->keep_since_ns);
    pair(w, "value", str_of(value, num_format_e(a->value, value)));
    json_object_end(w);
}

static void write_alerting(struct json_writer *w, const struct rules_rule *r, bool no_alerts)
{
    pair(w, "state", str_c(alert_state_name(r->state)));
    pair(w, "name", r->name);
    pair(w, "query", r->query);
    number(w, "duration", (double)r->for_ms / 1000);
    number(w, "keepFiringFor", (double)r->keep_firing_for_ms / 1000);
    labels_pair(w, "labels", r->labels);
    labels_pair(w, "annotations", r->annotations);
    json_key_lit(w, "alerts");
    if (no_alerts) {
        json_null(w);
        return;
    }
    json_array(w);
    for (size_t i = 0; i < r->alert_count; i++)
        write_alert(w, &r->alerts[i]);
    json_array_end(w);
}

static void write_rule(struct json_writer *w, const struct rules_rule *r, bool no_alerts)
{
    static const char *const health[] = { "unknown", "ok", "err" };

    json_object(w);
    if (r->alerting) {
        write_alerting(w, r, no_alerts);
    } else {
        pair(w, "name", r->name);
        pair(w, "query", r->query);
        labels_pair(w, "labels", r->labels);
    }
    pair(w, "health", str_c(health[r->health]));
    if (r->error.n)
        pair(w, "lastError", r->error);
    number(w, "evaluationTime", (double)r->duration_ns / 1e9);
    time_pair(w, "lastEvaluation", r->evaluated_ns);
    pair(w, "type", r->alerting ? STR("alerting") : STR("recording"));
    json_object_end(w);
}

static void write_group(struct json_writer *w, const struct rules_group *g,
                        const struct rules_query *q)
{
    json_object(w);
    pair(w, "name", g->name);
    pair(w, "file", g->file);
    json_key_lit(w, "rules");
    json_array(w);
    for (size_t i = 0; i < g->rule_count; i++)
        if (rule_is_asked(q, &g->rules[i]))
            write_rule(w, &g->rules[i], q->no_alerts);
    json_array_end(w);
    number(w, "interval", (double)g->interval_ms / 1000);
    json_key_lit(w, "limit");
    json_i64(w, g->limit);
    number(w, "evaluationTime", (double)g->duration_ns / 1e9);
    time_pair(w, "lastEvaluation", g->evaluated_ns);
    json_object_end(w);
}

// Where a page begins: as upstream, the SHA-256 of file and name.
static struct str token_of(struct arena *a, const struct rules_group *g)
{
    struct str key = arena_printf(a, "%.*s;%.*s", STRF(g->file), STRF(g->name));
    unsigned char digest[SHA256_DIGEST_LENGTH];
    OWNED(buf_fini) struct buf b = { 0 };

    SHA256((const unsigned char *)key.p, key.n, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        buf_printf(&b, "%02x", digest[i]);
    return arena_str(a, buf_view(&b));
}

static bool group_is_asked(const struct rules_query *q, const struct rules_group *g)
{
    if (!is_asked(q->form, STR("rule_group[]"), g->name) ||
        !is_asked(q->form, STR("file[]"), g->file))
        return false;
    for (size_t i = 0; i < g->rule_count; i++)
        if (rule_is_asked(q, &g->rules[i]))
            return true;
    return false;
}

// The first group of the page; n: there is none with the token.
static size_t first_group(struct http_exchange *x, const struct rules_query *q,
                          const struct rules_info *info)
{
    size_t i = 0;

    while (q->token.n && i < info->n && !str_eq(token_of(&x->arena, &info->groups[i]), q->token))
        i++;
    return i;
}

static void reply_rules(struct http_exchange *x, const struct rules_query *q,
                        const struct rules_info *info)
{
    size_t i = first_group(x, q, info);
    int64_t shown = 0;

    if (q->token.n && i == info->n) {
        prom_bad_parameter(x, "group_next_token",
                           arena_printf(&x->arena,
                                        "invalid group_next_token '%.*s'. were rule groups "
                                        "changed?",
                                        STRF(q->token)));
        return;
    }
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "groups");
    json_array(&w);
    for (; i < info->n; i++) {
        if (!group_is_asked(q, &info->groups[i]))
            continue;
        if (q->limit && shown == q->limit)
            break;
        shown++;
        write_group(&w, &info->groups[i], q);
    }
    json_array_end(&w);
    if (i < info->n)
        pair(&w, "groupNextToken", token_of(&x->arena, &info->groups[i]));
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

static void query_fini(struct rules_query *q)
{
    prom_selectors_fini(&q->selectors);
}
OWN_DEFINE_FINI(struct rules_query, query_fini)

static void rules(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    OWNED(query_fini) struct rules_query q = { 0 };
    struct rules_info info = { 0 };
    struct http_form form;

    if (prom_refuse_agent(x) || !prom_form_strict(x, &form) || !read_query(x, &form, &q))
        return;
    if (f->o.rules)
        rules_info(f->o.rules, q.no_alerts || !q.alerting, &x->arena, &info);
    reply_rules(x, &q, &info);
}

static void alerts(struct http_exchange *x)
{
    struct prom_face *f = prom_face_of(x);
    struct rules_info info = { 0 };

    if (prom_refuse_agent(x))
        return;
    if (f->o.rules)
        rules_info(f->o.rules, false, &x->arena, &info);
    struct json_writer w = prom_reply_begin(x);
    json_object(&w);
    json_key_lit(&w, "alerts");
    json_array(&w);
    for (size_t i = 0; i < info.n; i++)
        for (size_t k = 0; k < info.groups[i].rule_count; k++)
            for (size_t j = 0; j < info.groups[i].rules[k].alert_count; j++)
                write_alert(&w, &info.groups[i].rules[k].alerts[j]);
    json_array_end(&w);
    json_object_end(&w);
    prom_reply_end(x, &w, NULL);
}

void prom_routes_rules(struct prom_face *f, struct http_server *s)
{
    prom_route(f, s, "GET", "/api/v1/rules", rules);
    prom_route(f, s, "GET", "/api/v1/alerts", alerts);
}
