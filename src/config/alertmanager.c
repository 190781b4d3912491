/*
 * alertmanager.c - alertmanager.yml as a whole: routes, inhibition, intervals, loading.
 */
// SPDX-License-Identifier: Apache-2.0
#include "config/alertmanager.h"

#include <stdatomic.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rune.h"
#include "base/sort.h"
#include "base/time.h"
#include "config/alertmanager_priv.h"

enum { CONFIG_BYTES_MAX = 16 << 20, ROUTES_MAX = 100000, ROUTE_DEPTH_MAX = 90 };

#define FIELD(s, m, key, kind, flags, type) CONF_FIELD(struct s, m, key, kind, flags, type)
#define TEXT(lit)            \
    {                        \
        lit, sizeof(lit) - 1 \
    }

/* ---- values ---- */

bool am_check_url(struct str url, const struct yaml_node *node, struct err *e)
{
    size_t at = str_find(url, STR("://"));
    struct str scheme = at == STR_NPOS ? STR_NONE : str_sub(url, 0, at);

    if (!url.n || str_eq_c(url, "<secret>"))
        return true;
    if (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https")))
        return conf_fail(e, node, "unsupported scheme \"%.*s\" for URL", STRF(scheme));
    struct str host = str_sub(url, at + 3, url.n);
    if (!host.n || memchr("/?#", host.p[0], 3))
        return conf_fail(e, node, "missing host for URL");
    return true;
}

bool am_check_host_port(struct str s, const struct yaml_node *node, struct err *e)
{
    size_t colon = str_rfind_char(s, ':');

    if (!s.n)
        return true;
    if (colon == STR_NPOS || (s.p[0] == '[' && s.p[s.n - 1] == ']'))
        return conf_fail(e, node, "address %.*s: missing port in address", STRF(s));
    if (s.p[0] != '[' && str_find_char(str_sub(s, 0, colon), ':') != STR_NPOS)
        return conf_fail(e, node, "address %.*s: too many colons in address", STRF(s));
    if (colon + 1 == s.n)
        return conf_fail(e, node, "address \"%.*s\": port cannot be empty", STRF(s));
    return true;
}

static bool is_classic_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c != '_' && !((c | 32) >= 'a' && (c | 32) <= 'z') && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

static bool check_names(const struct conf_map *m, const struct yaml_node *node, struct err *e)
{
    for (size_t i = 0; i < m->n; i++) {
        if (!is_classic_name(m->v[i].key))
            return conf_fail(e, node, "invalid label name \"%.*s\"", STRF(m->v[i].key));
    }
    return true;
}

static int by_name(const void *a, const void *b, void *ctx UNUSED)
{
    const struct matcher *x = a, *y = b;
    int order = str_cmp(x->name, y->name);

    if (!order)
        order = str_cmp(x->value, y->value);
    return order ? order : (x->op > y->op) - (x->op < y->op);
}

// One side of matching, as three keys say it: equal, by expression, and in the newer language.
struct side {
    const struct conf_map *equal, *expression;
    const struct conf_strs *texts;
};

static bool add_side(struct conf_reader *r, const struct side *s, const struct yaml_node *node,
                     struct matcher_list *out, struct err *e)
{
    struct err why;

    if (!check_names(s->equal, node, e) || !check_names(s->expression, node, e))
        return false;
    for (size_t i = 0; i < s->equal->n; i++) {
        struct matcher m = { MATCH_EQ, s->equal->v[i].key, s->equal->v[i].value, NULL };
        if (!matcher_list_add(r->arena, out, &m, &why))
            return conf_fail(e, node, "%s", why.text);
    }
    for (size_t i = 0; i < s->expression->n; i++) {
        struct str text = s->expression->v[i].value;
        struct matcher m = { MATCH_RE, s->expression->v[i].key, text, NULL };
        struct regex *re;

        if (!text.p)
            return conf_fail(e, node, "invalid regexp value for \"%.*s\"", STRF(m.name));
        if (!regex_new(&re, text, 0, &why))
            return conf_fail(e, node, "%s", why.text);
        regex_free(re);
        // Keys of groups show expressions of this kind with their anchors.
        m.value = arena_printf(r->arena, "^(?:%.*s)$", STRF(text));
        if (!matcher_list_add(r->arena, out, &m, &why))
            return conf_fail(e, node, "%s", why.text);
    }
    for (size_t i = 0; i < s->texts->n; i++) {
        bool doubt = false;

        if (!matchers_parse(r->arena, s->texts->v[i], MATCHER_BOTH, out, &doubt, &why))
            return conf_fail(e, node, "%s", why.text);
        if (doubt)
            conf_warn(r, node,
                      arena_printf(r->arena,
                                   "matcher %.*s is read in the old way: quote its "
                                   "value",
                                   STRF(s->texts->v[i])));
    }
    return true;
}

// The matchers' expressions become the configuration's, also when a later one is wrong.
static bool read_side(struct conf_reader *r, const struct side *s, const struct yaml_node *node,
                      struct matcher_list *out, struct err *e)
{
    struct am_config *c = r->ctx;
    bool ok = add_side(r, s, node, out, e);

    for (size_t i = 0; i < out->n; i++) {
        if (out->v[i].re)
            *vec_push(&c->regexes) = out->v[i].re;
    }
    sort_stable(out->v, out->n, sizeof *out->v, by_name, NULL);
    return ok;
}

/* ---- global ---- */

static const struct am_global global_defaults = {
    .resolve_timeout_ms = 300000,
    .smtp_hello = TEXT("localhost"),
    .smtp_require_tls = true,
    .pagerduty_url = TEXT("https://events.pagerduty.com/v2/enqueue"),
    .opsgenie_api_url = TEXT("https://api.opsgenie.com/"),
    .wechat_api_url = TEXT("https://qyapi.weixin.qq.com/cgi-bin/"),
    .victorops_api_url = TEXT("https://alert.victorops.com/integrations/generic/20131114/alert/"),
    .telegram_api_url = TEXT("https://api.telegram.org"),
    .webex_api_url = TEXT("https://webexapis.com/v1/messages"),
    .rocketchat_api_url = TEXT("https://open.rocket.chat/"),
    .slack_app_url = TEXT("https://slack.com/api/chat.postMessage"),
};

static const struct conf_field global_fields[] = {
#define G(m, kind) FIELD(am_global, m, #m, kind, CONF_OMIT, NULL)
    FIELD(am_global, resolve_timeout_ms, "resolve_timeout", CONF_DURATION, 0, NULL),
    FIELD(am_global, http, "http_config", CONF_PTR, CONF_OMIT, &conf_http_type),
    G(jira_api_url, CONF_STR),
    G(smtp_from, CONF_STR),
    G(smtp_hello, CONF_STR),
    G(smtp_smarthost, CONF_STR),
    G(smtp_auth_username, CONF_STR),
    G(smtp_auth_password, CONF_SECRET),
    G(smtp_auth_password_file, CONF_STR),
    G(smtp_auth_secret, CONF_SECRET),
    G(smtp_auth_secret_file, CONF_STR),
    G(smtp_auth_identity, CONF_STR),
    FIELD(am_global, smtp_require_tls, "smtp_require_tls", CONF_BOOL, 0, NULL),
    FIELD(am_global, smtp_tls, "smtp_tls_config", CONF_PTR, CONF_OMIT, &conf_tls_type),
    G(smtp_force_implicit_tls, CONF_TRI),
    G(slack_api_url, CONF_SECRET),
    G(slack_api_url_file, CONF_STR),
    G(slack_app_token, CONF_SECRET),
    G(slack_app_token_file, CONF_STR),
    G(slack_app_url, CONF_STR),
    G(pagerduty_url, CONF_STR),
    G(opsgenie_api_url, CONF_STR),
    G(opsgenie_api_key, CONF_SECRET),
    G(opsgenie_api_key_file, CONF_STR),
    G(wechat_api_url, CONF_STR),
    G(wechat_api_secret, CONF_SECRET),
    G(wechat_api_secret_file, CONF_STR),
    G(wechat_api_corp_id, CONF_STR),
    G(victorops_api_url, CONF_STR),
    G(victorops_api_key, CONF_SECRET),
    G(victorops_api_key_file, CONF_STR),
    G(telegram_api_url, CONF_STR),
    G(telegram_bot_token, CONF_SECRET),
    G(telegram_bot_token_file, CONF_STR),
    G(webex_api_url, CONF_STR),
    G(rocketchat_api_url, CONF_STR),
    G(rocketchat_token, CONF_SECRET),
    G(rocketchat_token_file, CONF_STR),
    G(rocketchat_token_id, CONF_SECRET),
    G(rocketchat_token_id_file, CONF_STR),
    G(mattermost_webhook_url, CONF_SECRET),
    G(mattermost_webhook_url_file, CONF_STR),
#undef G
};

static bool check_global(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                         struct err *e)
{
    const struct am_global *g = obj;
    const struct str urls[] = { g->jira_api_url,       g->slack_api_url,         g->slack_app_url,
                                g->pagerduty_url,      g->opsgenie_api_url,      g->wechat_api_url,
                                g->victorops_api_url,  g->telegram_api_url,      g->webex_api_url,
                                g->rocketchat_api_url, g->mattermost_webhook_url };

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        if (!am_check_url(urls[i], node, e))
            return false;
    }
    return am_check_host_port(g->smtp_smarthost, node, e);
}

static const struct conf_type global_type = CONF_TYPE(
    "config.plain", struct am_global, global_fields, &global_defaults, check_global);

/* ---- routes ---- */

static bool read_interval(const struct yaml_node *node, const char *name, int64_t *out,
                          struct err *e)
{
    struct err why;

    if (!node || node->kind == YAML_NULL)
        return true; // inherited
    if (node->kind != YAML_SCALAR || !duration_parse(node->text, out, &why))
        return conf_fail(e, node, "%s",
                         node->kind == YAML_SCALAR ? why.text : "not a valid duration");
    if (!*out && strcmp(name, "group_wait") != 0)
        return conf_fail(e, node, "%s cannot be zero", name);
    return true;
}

static bool check_group_by(struct conf_reader *r, struct am_route *x, const struct yaml_node *node,
                           struct err *e)
{
    x->group_by = arena_array(r->arena, x->group_by_text.n, struct str);
    for (size_t i = 0; i < x->group_by_text.n; i++) {
        struct str name = x->group_by_text.v[i];

        if (str_eq_c(name, "...")) {
            x->group_by_all = true;
            continue;
        }
        if (!name.n || !str_is_utf8(name))
            return conf_fail(e, node, "invalid label name \"%.*s\" in group_by list", STRF(name));
        for (size_t k = 0; k < x->group_by_n; k++) {
            if (str_eq(x->group_by[k], name) && !x->group_by_all)
                return conf_fail(e, node, "duplicated label \"%.*s\" in group_by", STRF(name));
        }
        x->group_by[x->group_by_n++] = name;
    }
    if (x->group_by_all && x->group_by_n)
        return conf_fail(e, node,
                         "cannot have wildcard group_by (`...`) and other labels at the "
                         "same time");
    sort_strs(x->group_by, x->group_by_n);
    return true;
}

static bool check_route(struct conf_reader *r, const struct yaml_node *node, void *obj,
                        struct err *e)
{
    struct am_route *x = obj;
    struct side side = { &x->match, &x->match_re, &x->matchers_text };

    x->pos = node ? node->pos : (struct pos){ 0 };
    x->group_wait_ms = x->group_interval_ms = x->repeat_interval_ms = -1;
    if (!read_side(r, &side, node, &x->matchers, e) || !check_group_by(r, x, node, e))
        return false;
    for (size_t i = 0; i < x->labels.n; i++) {
        if (!x->labels.v[i].key.n)
            return conf_fail(e, node, "invalid label name \"\" in route labels");
    }
    return read_interval(x->group_wait_node, "group_wait", &x->group_wait_ms, e) &&
           read_interval(x->group_interval_node, "group_interval", &x->group_interval_ms, e) &&
           read_interval(x->repeat_interval_node, "repeat_interval", &x->repeat_interval_ms, e);
}

static const struct conf_type route_type;
static const struct conf_field route_fields[] = {
    FIELD(am_route, receiver, "receiver", CONF_STR, CONF_OMIT, NULL),
    FIELD(am_route, group_by_text, "group_by", CONF_STRS, CONF_OMIT, NULL),
    FIELD(am_route, match, "match", CONF_MAP, CONF_OMIT, NULL),
    FIELD(am_route, match_re, "match_re", CONF_MAP, CONF_OMIT, NULL),
    FIELD(am_route, matchers_text, "matchers", CONF_STRS, CONF_OMIT, NULL),
    FIELD(am_route, mute_time_intervals, "mute_time_intervals", CONF_STRS, CONF_OMIT, NULL),
    FIELD(am_route, active_time_intervals, "active_time_intervals", CONF_STRS, CONF_OMIT, NULL),
    FIELD(am_route, is_continue, "continue", CONF_BOOL, 0, NULL),
    FIELD(am_route, routes, "routes", CONF_LIST, CONF_OMIT, &route_type),
    FIELD(am_route, group_wait_node, "group_wait", CONF_NODE, CONF_OMIT, NULL),
    FIELD(am_route, group_interval_node, "group_interval", CONF_NODE, CONF_OMIT, NULL),
    FIELD(am_route, repeat_interval_node, "repeat_interval", CONF_NODE, CONF_OMIT, NULL),
    FIELD(am_route, labels, "labels", CONF_MAP, CONF_OMIT, NULL),
};
static const struct conf_type route_type = CONF_TYPE("config.plain", struct am_route, route_fields,
                                                     NULL, check_route);

/* ---- inhibition, intervals ---- */

static bool check_inhibit(struct conf_reader *r, const struct yaml_node *node, void *obj,
                          struct err *e)
{
    struct am_inhibit *x = obj;
    struct side source = { &x->source_match, &x->source_match_re, &x->source_text };
    struct side target = { &x->target_match, &x->target_match_re, &x->target_text };

    for (size_t i = 0; i < x->equal.n; i++) {
        if (!x->equal.v[i].n || !str_is_utf8(x->equal.v[i]))
            return conf_fail(e, node, "invalid label name \"%.*s\" in equal list",
                             STRF(x->equal.v[i]));
    }
    return read_side(r, &source, node, &x->source, e) && read_side(r, &target, node, &x->target, e);
}

static const struct conf_field inhibit_fields[] = {
    FIELD(am_inhibit, name, "name", CONF_STR, CONF_OMIT, NULL),
    FIELD(am_inhibit, source_match, "source_match", CONF_MAP, CONF_OMIT, NULL),
    FIELD(am_inhibit, source_match_re, "source_match_re", CONF_MAP, CONF_OMIT, NULL),
    FIELD(am_inhibit, source_text, "source_matchers", CONF_STRS, CONF_OMIT, NULL),
    FIELD(am_inhibit, target_match, "target_match", CONF_MAP, CONF_OMIT, NULL),
    FIELD(am_inhibit, target_match_re, "target_match_re", CONF_MAP, CONF_OMIT, NULL),
    FIELD(am_inhibit, target_text, "target_matchers", CONF_STRS, CONF_OMIT, NULL),
    FIELD(am_inhibit, equal, "equal", CONF_STRS, CONF_OMIT, NULL),
};
static const struct conf_type inhibit_type = CONF_TYPE("config.plain", struct am_inhibit,
                                                       inhibit_fields, NULL, check_inhibit);

static bool check_mute(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                       struct err *e)
{
    const struct am_interval *x = obj;

    return x->name.n || conf_fail(e, node, "missing name in mute time interval");
}

static bool check_time(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                       struct err *e)
{
    const struct am_interval *x = obj;

    return x->name.n || conf_fail(e, node, "missing name in time interval");
}

static const struct conf_field interval_fields[] = {
    FIELD(am_interval, name, "name", CONF_STR, 0, NULL),
    FIELD(am_interval, intervals, "time_intervals", CONF_LIST, 0, &conf_time_interval_type),
};
static const struct conf_type mute_type = CONF_TYPE("config.plain", struct am_interval,
                                                    interval_fields, NULL, check_mute),
                              time_type = CONF_TYPE("config.plain", struct am_interval,
                                                    interval_fields, NULL, check_time);

/* ---- the document ---- */

static const struct conf_field doc_fields[] = {
    FIELD(am_doc, global, "global", CONF_PTR, CONF_OMIT, &global_type),
    FIELD(am_doc, route, "route", CONF_PTR, CONF_OMIT, &route_type),
    FIELD(am_doc, inhibit_rules, "inhibit_rules", CONF_LIST, CONF_OMIT, &inhibit_type),
    FIELD(am_doc, receivers, "receivers", CONF_LIST, CONF_OMIT, &am_receiver_type),
    FIELD(am_doc, templates, "templates", CONF_STRS, 0, NULL),
    FIELD(am_doc, mute_time_intervals, "mute_time_intervals", CONF_LIST, CONF_OMIT, &mute_type),
    FIELD(am_doc, time_intervals, "time_intervals", CONF_LIST, CONF_OMIT, &time_type),
    FIELD(am_doc, tracing, "tracing", CONF_NODE, CONF_OMIT, NULL),
    FIELD(am_doc, event_recorder, "event_recorder", CONF_NODE, CONF_OMIT, NULL),
};
static const struct conf_type doc_type = CONF_TYPE("config.plain", struct am_doc, doc_fields, NULL,
                                                   NULL);

struct am_receiver *am_receiver_find(const struct am_config *c, struct str name)
{
    for (size_t i = 0; i < c->doc.receivers.n; i++) {
        struct am_receiver *r = c->doc.receivers.v[i];
        if (str_eq(r->name, name))
            return r;
    }
    return NULL;
}

const struct am_interval *am_interval_find(const struct am_config *c, struct str name)
{
    const struct conf_list *lists[] = { &c->doc.mute_time_intervals, &c->doc.time_intervals };

    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        for (size_t i = 0; i < lists[k]->n; i++) {
            const struct am_interval *t = lists[k]->v[i];
            if (str_eq(t->name, name))
                return t;
        }
    }
    return NULL;
}

/* ---- the tree of routes ---- */

static void put_matchers(struct buf *b, const struct matcher_list *l)
{
    buf_char(b, '{');
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_char(b, ',');
        buf_matcher(b, &l->v[i]);
    }
    buf_char(b, '}');
}

// Labels of the route over those of its parent, sorted.
static struct conf_map join_labels(struct arena *a, const struct conf_map *over,
                                   const struct conf_map *under)
{
    struct conf_pair *v = arena_array(a, over->n + under->n, struct conf_pair);
    size_t n = 0, i = 0, k = 0;

    while (i < over->n || k < under->n) {
        int order = i == over->n    ? 1
                    : k == under->n ? -1
                                    : str_cmp(over->v[i].key, under->v[k].key);

        v[n++] = order <= 0 ? over->v[i] : under->v[k];
        i += order <= 0;
        k += order >= 0;
    }
    return (struct conf_map){ v, n };
}

static void inherit_route(struct am_config *c, struct am_route *x)
{
    static const struct am_route root = { .group_wait_ms = 30000,
                                          .group_interval_ms = 300000,
                                          .repeat_interval_ms = 14400000 };
    const struct am_route *p = x->parent ? x->parent : &root;
    OWNED(buf_fini) struct buf key = { 0 };

    if (!x->receiver.n)
        x->receiver = p->receiver;
    if (!x->group_by_text.set) {
        x->group_by = p->group_by;
        x->group_by_n = p->group_by_n;
        x->group_by_all = p->group_by_all;
    }
    if (x->group_wait_ms < 0)
        x->group_wait_ms = p->group_wait_ms;
    if (x->group_interval_ms < 0)
        x->group_interval_ms = p->group_interval_ms;
    if (x->repeat_interval_ms < 0)
        x->repeat_interval_ms = p->repeat_interval_ms;
    x->all_labels = join_labels(&c->arena, &x->labels, &p->all_labels);
    if (x->parent) {
        buf_str(&key, p->key);
        buf_char(&key, '/');
    }
    put_matchers(&key, &x->matchers);
    x->key = arena_str(&c->arena, buf_view(&key));
    x->id = x->key;
    if (x->parent)
        x->id = arena_printf(&c->arena, "%.*s/%.*s/%u", STRF(p->id),
                             STRF(str_sub(x->key, p->key.n + 1, x->key.n)), x->child);
}

// Walks the tree: parents before their children. Deep nesting was refused by the YAML reader.
static bool link_route(struct am_config *c, struct am_route *x, struct err *e)
{
    *(c->routes + c->route_count) = x;
    x->index = (unsigned)c->route_count++;
    inherit_route(c, x);
    for (size_t i = 0; i < x->routes.n; i++) {
        struct am_route *child = x->routes.v[i];

        child->parent = x;
        child->child = (unsigned)i;
        if (!link_route(c, child, e))
            return false;
    }
    x->to = am_receiver_find(c, x->receiver);
    if (!x->to)
        return err_at(e, x->pos, ERR_INVALID, "undefined receiver \"%.*s\" used in route",
                      STRF(x->receiver));
    return true;
}

static size_t count_routes(const struct am_route *x)
{
    size_t n = 1;

    for (size_t i = 0; i < x->routes.n; i++)
        n += count_routes(x->routes.v[i]);
    return n;
}

static bool check_root(const struct am_route *x, struct err *e)
{
    if (!x->receiver.n)
        return err_at(e, x->pos, ERR_INVALID, "root route must specify a default receiver");
    if (x->matchers.n)
        return err_at(e, x->pos, ERR_INVALID, "root route must not have any matchers");
    if (x->mute_time_intervals.n)
        return err_at(e, x->pos, ERR_INVALID, "root route must not have any mute time intervals");
    if (x->active_time_intervals.n)
        return err_at(e, x->pos, ERR_INVALID, "root route must not have any active time intervals");
    return true;
}

static bool check_intervals_used(const struct am_config *c, const struct am_route *x,
                                 const struct conf_strs *names, struct err *e)
{
    for (size_t i = 0; i < names->n; i++) {
        if (!am_interval_find(c, names->v[i]))
            return err_at(e, x->pos, ERR_INVALID, "undefined time interval \"%.*s\" used in route",
                          STRF(names->v[i]));
    }
    return true;
}

static bool check_unique_intervals(const struct am_config *c, struct err *e)
{
    const struct conf_list *mute = &c->doc.mute_time_intervals, *time = &c->doc.time_intervals;

    for (size_t i = 0; i < mute->n + time->n; i++) {
        bool is_mute = i < mute->n;
        const struct am_interval *x = is_mute ? mute->v[i] : time->v[i - mute->n];

        for (size_t k = 0; k < i; k++) {
            const struct am_interval *y = k < mute->n ? mute->v[k] : time->v[k - mute->n];
            if (str_eq(x->name, y->name))
                return err_set(e, ERR_INVALID, "%stime interval \"%.*s\" is not unique",
                               is_mute ? "mute " : "", STRF(x->name));
        }
    }
    return true;
}

static bool check_doc(struct am_config *c, struct err *e)
{
    struct am_doc *d = &c->doc;

    if (!am_inherit(c, e))
        return false;
    if (!d->route)
        return err_set(e, ERR_INVALID, "no routes provided");
    if (!check_root(d->route, e))
        return false;
    size_t n = count_routes(d->route);
    if (n > ROUTES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d routes", ROUTES_MAX);
    c->routes = arena_array(&c->arena, n, struct am_route *);
    if (!link_route(c, d->route, e) || !check_unique_intervals(c, e))
        return false;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct am_route *x = c->routes[i];
        if (!check_intervals_used(c, x, &x->active_time_intervals, e) ||
            !check_intervals_used(c, x, &x->mute_time_intervals, e))
            return false;
    }
    if (d->route->is_continue)
        return err_at(e, d->route->pos, ERR_INVALID, "cannot have continue in root route");
    return true;
}

/* ---- loading ---- */

void am_config_put(struct am_config *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->regexes.n; i++)
        regex_free((struct regex *)c->regexes.v[i]);
    vec_fini(&c->regexes);
    arena_fini(&c->arena);
    xfree(c);
}

struct am_config *am_config_get(struct am_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void warn_other(struct conf_reader *r, const struct yaml_node *node, const char *key)
{
    if (node && node->kind != YAML_NULL)
        conf_warn(r, node, arena_printf(r->arena, "%s is read and has no effect", key));
}

static void resolve_templates(struct am_config *c)
{
    for (size_t i = 0; i < c->doc.templates.n; i++) {
        struct str *t = &c->doc.templates.v[i];
        if (t->n && t->p[0] != '/' && c->dir.n && !str_eq_c(c->dir, "."))
            *t = arena_printf(&c->arena, "%.*s/%.*s", STRF(c->dir), STRF(*t));
    }
}

bool am_config_parse(struct str text, const char *path, struct am_config **out, struct err *e)
{
    OWNED(am_config_put) struct am_config *c = xcalloc(1, sizeof *c);
    struct conf_reader r = { .arena = &c->arena, .ctx = c };
    const struct yaml_node *node;
    size_t slash = str_rfind_char(str_c(path), '/');

    atomic_init(&c->refs, 1);
    *out = NULL;
    c->path = arena_str(&c->arena, str_c(path));
    c->dir = str_sub(c->path, 0, slash == STR_NPOS ? 0 : slash);
    c->text = arena_str(&c->arena, text);
    bool ok = yaml_parse(&c->arena, c->text, &node, e) &&
              conf_read(&r, &doc_type, node, &c->doc, e);
    warn_other(&r, c->doc.tracing, "tracing");
    warn_other(&r, c->doc.event_recorder, "event_recorder");
    if (ok && !c->doc.global) {
        const struct yaml_node *none;
        c->doc.global = arena_new(&c->arena, struct am_global);
        ok = yaml_parse(&c->arena, STR("{}"), &none, e) &&
             conf_read(&r, &global_type, none, c->doc.global, e);
    }
    if (ok && node->kind == YAML_NULL)
        ok = err_set(e, ERR_INVALID, "no route provided in config");
    ok = ok && check_doc(c, e);
    resolve_templates(c);
    c->problems = r.problems.v;
    c->problem_count = r.problems.n;
    c->warnings = r.warnings.v;
    c->warning_count = r.warnings.n;
    if (ok || c->problem_count)
        *out = TAKE(c);
    return ok;
}

bool am_config_load(const char *path, struct am_config **out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;

    *out = NULL;
    return file_read(&a, path, CONFIG_BYTES_MAX, &text, e) && am_config_parse(text, path, out, e);
}
